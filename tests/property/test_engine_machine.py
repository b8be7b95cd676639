"""The engine's state machine on the fake kernel, which may also be killed and fail."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule, run_state_machine_as_test

import ipvskit as ik
from ipvskit.testing.fake import FakeKernel, lies
from ipvskit.testing.state_strategies import states
from tests.examples import examples
from tests.property.engine_machine import EngineMachine
from tests.property.engine_support import ALL
from tests.property.watched import Request, Watched

if TYPE_CHECKING:
    from collections.abc import Callable

SETTINGS = settings(
    max_examples=examples(40), stateful_step_count=15, deadline=None, suppress_health_check=list(HealthCheck)
)


class Killed(BaseException):
    """The process ends here."""


class OnFake(EngineMachine):
    release = "7.2"
    can_connect = True
    kernel: Watched

    def open_kernel(self) -> Watched:
        self.world = Watched(release=self.release, patience=0.01)
        return self.world

    def open_again(self) -> Watched:
        return Watched(same_as=self.world, patience=0.01)

    def connect(self, key: ik.ServiceKey, real: ik.RealServer) -> Callable[[], object]:
        held = FakeKernel._real(self.world, key, real)
        held.active += 1

        def end() -> None:
            held.active -= 1

        return end

    @rule(state=states(settings=False), at=st.integers(0, 40))
    def killed_and_restarted(self, state: ik.State, at: int) -> None:
        plan = ik.diff(self.kernel.snapshot(), state, scope=ALL).guard(1.0)
        seen = 0

        def count(_: Request) -> None:
            nonlocal seen
            seen += 1
            if seen > at:
                raise Killed

        self.kernel.hook = count
        killed = False
        try:
            self.kernel.apply(plan, ledger=self.ledger)
        except Killed:
            killed = True
        assert killed == (seen > at)
        self.kernel.hook = None
        self.kernel.names.die()
        self.restarted(with_ledger=True)
        # The next pass clears up, and needs no leave to delete for that.
        assert not self.kernel.snapshot().leftovers or killed
        self._converge(state, ALL, None)

    @rule(state=states(settings=False), nth=st.integers(1, 8), error=st.sampled_from([errno.ENOMEM, errno.EINTR]))
    def a_request_fails(self, state: ik.State, nth: int, error: int) -> None:
        plan = ik.diff(self.kernel.snapshot(), state, scope=ALL).guard(1.0)
        self.kernel.lie(lies.Refuse(error), nth=nth)
        try:
            report = self.kernel.apply(plan, ledger=self.ledger)
            assert len(report.outcomes) == len(plan)
        except ik.KernelError:
            # Looking whether the plan is stale failed, so nothing was written.
            pass
        finally:
            self.kernel.tell_the_truth()
        self._converge(state, ALL, None)


@pytest.mark.parametrize("release", ["5.10", "7.2"])
def test_engine_machine(release: str) -> None:
    machine = type("OnFake", (OnFake,), {"release": release})
    run_state_machine_as_test(machine, settings=SETTINGS)
