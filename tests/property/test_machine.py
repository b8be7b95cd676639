"""The state machine on the fake kernel, as every release. The same rules run on real ones: tests/kernel/test_machine.py."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

import ipvskit as ik
from ipvskit.testing.fake import LOOPBACK, FakeKernel
from tests.examples import examples
from tests.property.machine import IpvsMachine

SETTINGS = settings(
    max_examples=examples(50), stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


@pytest.mark.parametrize("release", ["5.10", "7.2"])
def test_fake_kernel_does_what_the_oracle_says(release: str) -> None:
    class OnFake(IpvsMachine):
        ticks = 250

        def open_kernel(self) -> ik.Kernel:
            return FakeKernel(release=release, ticks=self.ticks, interfaces=[LOOPBACK])

    run_state_machine_as_test(OnFake, settings=SETTINGS)
