"""The state machine of sets on the fake kernel, as three releases. The same rules run on real ones: tests/kernel/test_ipset_machine.py.

Knows: how to make a fake kernel. Must not know: what is right (`tests.property.ipset_model`).
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule, run_state_machine_as_test

import ipvskit as ik
from ipvskit.ipset.client import Ipset
from ipvskit.ipset.transport import Limits
from ipvskit.ipset.waiting import Patience
from ipvskit.sets.elements import Elements
from ipvskit.testing import set_strategies
from ipvskit.testing.fake import FakeKernel
from ipvskit.testing.fake.ipset.adapter import Adapter
from tests.examples import examples
from tests.property.ipset_machine import IpsetMachine, names

SETTINGS = settings(
    max_examples=examples(80), stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


class FakeMachine(IpsetMachine):
    """With rules of a packet filter that refer to sets, which cost nothing here."""

    kernel: FakeKernel
    release = "7.2"
    limits: Limits | None = None

    def open_kernel(self) -> ik.Kernel:
        return FakeKernel(release=self.release)

    def open_ipset(self) -> Ipset:
        return Ipset(Adapter(self.kernel.sets, self.limits), self.kernel._own, Patience(0.0, 0.0))

    @rule(name=names, more=st.booleans())
    def refer(self, name: str, more: bool) -> None:
        there = self.model.rules.get(name, 0)
        if name in self.model.sets and (more or there):
            self.kernel.sets.refer(name, 1 if more else -1)
            self.model.rules[name] = there + (1 if more else -1)


@pytest.mark.parametrize("release", ["5.10", "6.1", "7.2"])
def test_fake_kernel_does_what_the_model_says(release: str) -> None:
    run_state_machine_as_test(type("OnFake", (FakeMachine,), {"release": release}), settings=SETTINGS)


def test_it_makes_no_difference_how_much_goes_out_at_once() -> None:
    # One element or two in a message, a few messages in a send.
    small = Limits(send=2048, message=512, singles=2)
    run_state_machine_as_test(
        type("OnFake", (FakeMachine,), {"limits": small, "one_message": False}), settings=SETTINGS
    )


@settings(max_examples=examples(200), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_public_strategies_make_what_a_kernel_takes(data: st.DataObject) -> None:
    with FakeKernel() as kernel:
        for member in ("m1", "m2"):
            kernel.ipset.create(member, "hash:ip")
        of = data.draw(set_strategies.sets(kernel=kernel.ipset.types()))
        entry = data.draw(set_strategies.entries(of, members=["m1", "m2"]))
        assert ik.Set.parse(str(of)) == of
        kernel.ipset.create(of)
        kernel.ipset.add(of.name, entry, exist=True)
        assert kernel.ipset.entries(of.name).same_as(Elements(of, [entry]))
