"""What the engine promises when things go wrong: one outcome for every change, retry converges, and nothing that a kill leaves is lost.

Knows: the ways in which calls fail. Must not know: how the engine copes.
"""

from __future__ import annotations

import errno
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ipvskit as ik
from ipvskit.ipvs.records import Command
from ipvskit.testing.fake import lies
from ipvskit.testing.fake.ipset.lies import Refuse as RefuseSets
from ipvskit.testing.state_strategies import edited, states
from tests.examples import examples
from tests.property.engine_support import ALL, everything, filled
from tests.property.watched import Request, Watched

if TYPE_CHECKING:
    from pathlib import Path

WORK = ik.State(
    [
        ik.VirtualService("192.0.2.1:80/tcp", reals=["10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80 weight=5"]),
        ik.VirtualService("192.0.2.2:80/tcp", reals=["10.0.0.1:80"]),
        ik.VirtualService("fwmark:7/v4", reals=["10.0.0.9:0"]),
    ],
    sets=[
        ik.Set("web-1", "hash:ip", entries=["10.0.0.1", "10.0.0.2"]),
        ik.Set("web-2", "hash:net", entries=["10.0.0.0/8"]),
        ik.Set("web-all", "list:set", entries=["web-1", "web-2"]),
    ],
    devices=[ik.Device("vip0", addresses=["192.0.2.1", "2001:db8::1"], up=False)],
    sysctls={"conntrack": True},
    timeouts=ik.Timeouts(900, 100, 200),
)
OTHER = ik.State(
    [
        ik.VirtualService("192.0.2.1:80/tcp", scheduler="rr", reals=["10.0.0.2:80 weight=9", "10.0.0.4:80"]),
        ik.VirtualService("192.0.2.3:80/tcp", reals=["10.0.0.1:80", "10.0.0.2:80"]),
    ],
    sets=[
        ik.Set("web-1", "hash:ip", maxelem=1000, entries=["10.0.0.2", "10.0.0.3"]),
        ik.Set("web-3", "hash:ip,port", entries=["10.0.0.1,tcp:80"]),
    ],
    devices=[ik.Device("vip0", addresses=["192.0.2.1", "192.0.2.3"], up=False), ik.Device("vip1", addresses=[])],
    sysctls={"conntrack": False, "sloppy_tcp": True},
    timeouts=ik.Timeouts(800, 0, 0),
)


def planned(kernel: ik.Kernel, state: ik.State) -> ik.Plan:
    return ik.diff(kernel.snapshot(), state, scope=ALL).guard(1.0)


def writes_of_a_change() -> int:
    """How many requests there are from one state to the other."""
    with filled(WORK) as kernel:
        kernel.apply(planned(kernel, OTHER)).raise_for_failures()
        return len(kernel.writes)


WRITES = writes_of_a_change()


class Killed(BaseException):
    """The process ends here."""


# --- 7: partial failure ---------------------------------------------------------------------------------------------------------------


def check(kernel: Watched, plan: ik.Plan, report: ik.ApplyReport) -> None:
    """One outcome for each change, each true to the tables."""
    assert [outcome.change for outcome in report.outcomes] == list(plan)
    held = kernel.snapshot()
    for outcome in report.outcomes:
        key = outcome.change.key
        if outcome.status in {"done", "already"} and not isinstance(key, ik.AddressKey | ik.SysctlKey | ik.TimeoutsKey):
            assert (key in held) == (outcome.change.after is not None), outcome
        if outcome.status == "failed":
            assert isinstance(outcome.error, ik.IpvskitError)


def converges(kernel: Watched, state: ik.State) -> None:
    done = ik.reconcile(kernel, state, scope=ALL, max_deletes=1.0)
    assert done.ok, (str(done.report), str(done.left))
    assert not planned(kernel, state)
    assert not [name for name in kernel.ipset.names() if name.startswith("ipvskit-tmp-")]


_CALLS = [
    pytest.param(lies.Refuse(errno.ENOMEM), id="ENOMEM"),
    pytest.param(lies.Refuse(errno.EINTR), id="EINTR"),
    pytest.param(lies.SwallowAnswer(), id="swallowed"),
    pytest.param(lies.LoseAnswers(), id="ENOBUFS"),
    pytest.param(lies.Fail(lambda: ik.TimedOut(errno.ETIMEDOUT), executed=False), id="timeout before"),
    pytest.param(lies.Fail(lambda: ik.TimedOut(errno.ETIMEDOUT), executed=True), id="timeout after"),
    pytest.param(lies.Fail(lambda: ik.ProtocolError("garbled"), executed=True), id="garbled"),
]
_CHANGING = [
    Command.NEW_SERVICE,
    Command.SET_SERVICE,
    Command.DEL_SERVICE,
    Command.NEW_DEST,
    Command.SET_DEST,
    Command.DEL_DEST,
    Command.SET_CONFIG,
]


@pytest.mark.parametrize("on_error", ["continue", "stop"])
@pytest.mark.parametrize("command", _CHANGING)
@pytest.mark.parametrize("lie", _CALLS)
def test_promise_7_failing_calls(lie: Any, command: Command, on_error: Any) -> None:
    for nth in (1, 2):
        with filled(WORK) as kernel:
            plan = planned(kernel, OTHER)
            told = kernel.lie(lie, command=command, nth=nth)
            report = kernel.apply(plan, on_error=on_error)
            assert told.told or told.seen < nth
            kernel.tell_the_truth()
            check(kernel, plan, report)
            if on_error == "stop" and report.failures:
                assert report.stopped
                assert len(report.failures) == 1
            converges(kernel, OTHER)


@pytest.mark.parametrize("error", [errno.ENOMEM, errno.EINTR])
@pytest.mark.parametrize("nth", range(1, 12))
def test_promise_7_failing_calls_about_sets(error: int, nth: int) -> None:
    with filled(WORK) as kernel:
        plan = planned(kernel, OTHER)
        told = kernel.sets.lie(RefuseSets(error), nth=nth)
        report = None
        with suppress(ik.KernelError):
            report = kernel.apply(plan)
        kernel.sets.lies.told[:] = [each for each in kernel.sets.lies.told if each is not told]
        # Before the first write there is nothing to report.
        assert report is not None or not kernel.writes
        if report is not None:
            check(kernel, plan, report)
        converges(kernel, OTHER)


@settings(max_examples=examples(40))
@given(
    states(settings=False).flatmap(edited),
    st.integers(0, 30),
    st.sampled_from([errno.ENOMEM, errno.EBUSY, errno.EINVAL]),
)
def test_promise_7_any_request_may_be_refused(pair: tuple[ik.State, ik.State], nth: int, error: int) -> None:
    before, after = pair
    with filled(before) as kernel:
        plan = planned(kernel, after)
        if any(change.refused for change in plan):
            return
        kernel.lie(lies.Refuse(error), nth=nth)
        try:
            report = kernel.apply(plan)
        except ik.KernelError:
            assert not kernel.writes
        else:
            kernel.tell_the_truth()
            check(kernel, plan, report)
        kernel.tell_the_truth()
        converges(kernel, after)


def test_promise_7_what_somebody_else_did_meanwhile_is_already_so() -> None:
    with filled(WORK) as kernel:
        plan = planned(kernel, OTHER)
        theirs = OTHER.services[ik.ServiceKey.parse("192.0.2.3:80/tcp")]

        def rival(ipvs: Any) -> None:
            ipvs.add_service(theirs)
            ipvs.delete_service("192.0.2.2:80/tcp")
            ipvs.delete_real("192.0.2.1:80/tcp", "10.0.0.1:80")

        # Behind the check of what is stale, before the first change.
        kernel.lie(lies.Before(rival), command=Command.SET_CONFIG, nth=1)
        report = kernel.apply(plan)
        assert report.ok, str(report)
        status = {str(outcome.change.key): outcome.status for outcome in report.outcomes}
        assert status["192.0.2.3:80/tcp"] == "already"
        assert status["192.0.2.2:80/tcp"] == "already"
        assert status["10.0.0.1:80 of 192.0.2.1:80/tcp"] == "already"
        assert not planned(kernel, OTHER)


def test_promise_7_a_failure_says_what_is_there_now() -> None:
    with filled(WORK) as kernel:
        kernel.lie(lies.Refuse(errno.ENOMEM), command=Command.SET_SERVICE)
        (failure,) = kernel.apply(planned(kernel, OTHER)).failures
        assert failure.change.key == ik.ServiceKey.parse("192.0.2.1:80/tcp")
        assert failure.now.scheduler == "wlc"


def test_promise_7_a_service_without_all_of_its_real_servers_has_failed() -> None:
    with filled(ik.State()) as kernel:
        kernel.lie(lies.Refuse(errno.ENOMEM), command=Command.NEW_DEST, nth=2)
        report = kernel.apply(planned(kernel, WORK))
        (failure,) = report.failures
        assert failure.change.key == ik.ServiceKey.parse("192.0.2.1:80/tcp")
        assert len(failure.now.reals) == 2
        kernel.tell_the_truth()
        converges(kernel, WORK)


# --- killed at any point --------------------------------------------------------------------------------------------------------------


def _kill_at(kernel: Watched, number: int) -> None:
    seen = 0

    def count(request: Request) -> None:
        nonlocal seen
        if request.write:
            seen += 1
            if seen > number:
                raise Killed

    kernel.hook = count


@pytest.mark.parametrize("number", range(WRITES))
def test_killed_before_any_write_the_next_pass_converges(number: int, tmp_path: Path) -> None:
    path = tmp_path / "ledger.json"
    kernel = filled(WORK)
    ledger = ik.Ledger(path)
    ledger.claim(*WORK.keys())
    plan = planned(kernel, OTHER)
    _kill_at(kernel, number)
    with pytest.raises(Killed) as caught:
        kernel.apply(plan, ledger=ledger)
    assert "of the plan until then" in caught.value.__notes__[0]
    kernel.hook = None
    # Nobody closes anything: the next process has a handle and a ledger of its own.
    kernel.names.die()
    again = Watched(same_as=kernel)
    with again:
        held = again.snapshot()
        known = ik.Ledger(path)
        assert (
            set(held.services) | {ik.SetKey(name) for name in held.sets if not name.startswith("ipvskit-")}
            <= known.keys
        )
        done = ik.reconcile(again, OTHER, ledger=known, max_deletes=1.0)
        assert done.ok, (str(done.report), str(done.left))
        assert not [key for key in ik.diff(again.snapshot(), OTHER, scope=ALL) if not isinstance(key.key, ik.SetKey)]
        assert everything(again).keys() >= set(OTHER.services)
        assert not [name for name in again.ipset.names() if name.startswith("ipvskit-tmp-")]


# --- 9: dumps are no snapshots --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lie", [lies.Duplicate(), lies.Omit(), lies.Interrupt(), lies.Chunks(3)])
@pytest.mark.parametrize("command", [Command.GET_SERVICE, Command.GET_DEST])
@pytest.mark.parametrize("nth", [1, 2, 3])
def test_promise_9_a_bad_dump_is_read_again(lie: Any, command: Command, nth: int) -> None:
    with filled(WORK) as kernel:
        told = kernel.lie(lie, command=command, nth=nth)
        found = kernel.snapshot()
        # Services are read twice, before and after their real servers.
        assert told.told or (command is Command.GET_SERVICE and nth == 3)
        assert dict(found.services) == dict(kernel.snapshot().services)
        assert not ik.diff(found, WORK, scope=ALL)


@pytest.mark.parametrize("command", [Command.GET_SERVICE, Command.GET_DEST])
def test_promise_9_dumps_that_never_agree_are_told(command: Command) -> None:
    with filled(WORK) as kernel:
        kernel.lie(lies.Interrupt(), command=command)
        with pytest.raises(ik.InconsistentDump) as caught:
            kernel.snapshot()
        assert caught.value.partial
        plan = _undisturbed(kernel)
        if command is Command.GET_DEST:
            with pytest.raises(ik.InconsistentDump):
                kernel.apply(plan)
            assert not kernel.writes


def _undisturbed(kernel: Watched) -> ik.Plan:
    held, kernel.world.lies.told = kernel.world.lies.told, []
    plan = planned(kernel, OTHER)
    kernel.forget()
    kernel.world.lies.told = held
    return plan


def test_promise_9_a_service_that_comes_while_it_is_read_is_in_it_or_not_but_whole() -> None:
    extra = ik.VirtualService("192.0.2.77:80/tcp", reals=["10.0.0.1:80", "10.0.0.2:80"])
    for nth in (1, 2):
        for command in (Command.GET_SERVICE, Command.GET_DEST):
            with filled(WORK) as kernel:
                kernel.lie(lies.Before(lambda ipvs: ipvs.add_service(extra)), command=command, nth=nth)
                found = dict(kernel.snapshot().services)
                assert found.get(extra.key, extra) == extra
                assert {key: service for key, service in found.items() if key != extra.key} == {
                    service.key: service for service in kernel.rival.services() if service.key != extra.key
                }


# --- reconcile ------------------------------------------------------------------------------------------------------------------------


def test_reconcile_goes_back_when_something_fails() -> None:
    with filled(WORK) as kernel:
        was = everything(kernel)
        kernel.lie(lies.Refuse(errno.ENOMEM), command=Command.NEW_SERVICE)
        done = ik.reconcile(kernel, OTHER, scope=ALL, max_deletes=1.0, rollback=True, attempts=2)
        assert not done.ok
        assert len(done.reports) == 2
        assert done.rolled_back is not None
        kernel.tell_the_truth()
        if not done.rolled_back.ok:
            ik.reconcile(kernel, WORK, scope=ALL, max_deletes=1.0)
        assert everything(kernel) == was


def test_reconcile_plans_anew_when_overtaken_but_not_for_ever() -> None:
    with filled(WORK) as kernel:
        weights = iter(range(1, 100))

        def rival(ipvs: Any) -> None:
            ipvs.update_real("192.0.2.1:80/tcp", "10.0.0.3:80", weight=next(weights))

        kernel.lie(lies.Before(rival), command=Command.GET_SERVICE)
        with pytest.raises(ik.StalePlan) as caught:
            ik.reconcile(kernel, OTHER, scope=ALL, max_deletes=1.0, attempts=2)
        assert not kernel.writes
        assert any("10.0.0.3" in str(key) for key in caught.value.keys)
        kernel.tell_the_truth()
        assert ik.reconcile(kernel, OTHER, scope=ALL, max_deletes=1.0).ok


def test_reconcile_guards() -> None:
    with filled(WORK) as kernel:
        with pytest.raises(ik.GuardRefused) as caught:
            ik.reconcile(kernel, ik.State(), scope=ALL)
        assert caught.value.count > caught.value.held * 0.25
        assert not kernel.writes
        with pytest.raises(ik.InvalidConfig, match="attempts"):
            ik.reconcile(kernel, ik.State(), scope=ALL, attempts=0)
