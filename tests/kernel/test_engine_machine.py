"""The engine's state machine of tests/property on a real kernel.

Knows: how to get a fresh namespace for every run. Must not know: what is right (`tests.property.engine_machine`).
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

import ipvskit as ik
from ipvskit.testing.namespaces import TestNetNS
from tests.kernel.engine_support import load_ipv6
from tests.kernel.ipset_support import examples
from tests.property.engine_machine import EngineMachine

if TYPE_CHECKING:
    pass

pytestmark = pytest.mark.ipvs


class OnKernel(EngineMachine):
    # Which settings there are, and which CPUs, differs between kernels.
    parts = MappingProxyType({"settings": False})

    def open_kernel(self) -> ik.Kernel:
        self.namespace = TestNetNS()
        return ik.Kernel(self.namespace)

    def open_again(self) -> ik.Kernel:
        return ik.Kernel(self.namespace)

    def teardown(self) -> None:
        if hasattr(self, "namespace"):
            super().teardown()
            self.namespace.close()


@pytest.fixture(autouse=True)
def _ipv6() -> None:
    load_ipv6()


def test_engine_on_a_real_kernel() -> None:
    steps = settings(
        max_examples=examples(60), stateful_step_count=12, deadline=None, suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False, print_blob=True,
    )  # fmt: skip
    run_state_machine_as_test(OnKernel, settings=steps)
