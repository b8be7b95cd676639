"""The state machine of sets on a real kernel, of those types that it has.

Knows: how to get a fresh namespace for every example. Must not know: what is right (`tests.property.ipset_model`).
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

import ipvskit as ik
from ipvskit.testing.namespaces import TestNetNS
from tests.kernel.ipset_support import examples
from tests.property.ipset_machine import IpsetMachine

pytestmark = pytest.mark.ipset

SETTINGS = settings(
    max_examples=examples(40),
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    print_blob=True,
)


def test_real_kernel_does_what_the_model_says() -> None:
    class OnKernel(IpsetMachine):
        def open_kernel(self) -> ik.Kernel:
            with TestNetNS() as namespace:
                return ik.Kernel(namespace)

    run_state_machine_as_test(OnKernel, settings=SETTINGS)
