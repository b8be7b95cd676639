"""Where the engine meets what it did not make or did not expect: odd rows, lost races, failures while draining, parts that were not read.

Knows: situations. Must not know: the engine's insides.
"""

from __future__ import annotations

import errno
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

import pytest

import ipvskit as ik
from ipvskit import operations as ops
from ipvskit.ipvs.records import Command
from ipvskit.model.real import ForwardingMethod, stored_real
from ipvskit.testing.fake import lies
from tests.property.engine_support import ALL, everything, filled
from tests.property.watched import Request, Watched

if TYPE_CHECKING:
    from pathlib import Path

KEY = ik.ServiceKey.parse("192.0.2.1:80/tcp")
SERVICE = ik.VirtualService(KEY, reals=["10.0.0.1:80", "10.0.0.2:80"])
ONE = ik.State([SERVICE.replace(reals=["10.0.0.1:80"])])
DRAIN = ik.Drain()


def planned(kernel: ik.Kernel, state: ik.State, **options: Any) -> ik.Plan:
    return ik.diff(kernel.snapshot(), state, scope=ALL, **options).guard(1.0)


def statuses(report: ik.ApplyReport) -> dict[str, str]:
    return {str(outcome.change.key): str(outcome.status) for outcome in report.outcomes}


# --- rows that others made ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def odd() -> Watched:
    """With a real server that this library would not make."""
    kernel = filled(ONE)
    real = stored_real(ip_address("10.0.0.9"), 80, 5, ForwardingMethod.UNKNOWN_5, 0, 0, None)
    kernel.rival.bulk([ops.AddReal(KEY, real)]).raise_for_failures()
    return kernel


def test_an_odd_real_server_drains(odd: Watched) -> None:
    report = odd.apply(planned(odd, ONE, drain=DRAIN))
    assert report.ok, str(report)
    assert odd.ipvs.reals(KEY) == list(ONE.services[KEY].reals)


def test_an_odd_real_server_is_no_reason_to_fail_when_the_service_goes(odd: Watched) -> None:
    plan = planned(odd, ik.State())
    # Somebody begins to drain, which is compatible with what is planned.
    odd.rival.update_real(KEY, "10.0.0.1:80", weight=0)
    assert odd.apply(plan).ok
    assert not odd.ipvs.services()


# --- races that come out right --------------------------------------------------------------------------------------------------------

_WITH_KEPT = ik.State([SERVICE.replace(reals=[*SERVICE.reals, "10.0.0.3:80 weight=keep"])])


def test_promise_8_a_real_server_with_a_kept_weight_may_be_there_with_any() -> None:
    with filled(ik.State([SERVICE])) as kernel:
        plan = planned(kernel, _WITH_KEPT)
        kernel.rival.add_real(KEY, "10.0.0.3:80 weight=4")
        assert statuses(kernel.apply(plan)) == {f"10.0.0.3:80 of {KEY}": "already"}
        assert not planned(kernel, _WITH_KEPT)


def test_promise_7_a_real_server_with_a_kept_weight_may_come_at_the_last_moment() -> None:
    with filled(ik.State([SERVICE])) as kernel:
        plan = planned(kernel, _WITH_KEPT)
        kernel.lie(lies.Before(lambda ipvs: ipvs.add_real(KEY, "10.0.0.3:80 weight=4")), command=Command.NEW_DEST)
        assert statuses(kernel.apply(plan)) == {f"10.0.0.3:80 of {KEY}": "already"}
        assert kernel.ipvs.real(KEY, "10.0.0.3:80").weight == 4


def test_promise_7_to_stop_at_failures_does_not_stop_at_what_is_gone_already() -> None:
    with filled(ik.State([SERVICE])) as kernel:
        plan = planned(kernel, ik.State([SERVICE.replace(reals=[])]), drain=DRAIN)
        gone = lies.Before(lambda ipvs: ipvs.delete_real(KEY, "10.0.0.1:80"))
        kernel.lie(gone, command=Command.DEL_DEST, nth=1)
        assert sorted(statuses(kernel.apply(plan, on_error="stop")).values()) == ["already", "done"]
        assert not kernel.ipvs.reals(KEY)


def test_promise_8_a_device_that_came_without_its_addresses() -> None:
    state = ik.State(devices=[ik.Device("vip0", addresses=["192.0.2.1"])])
    with Watched() as kernel:
        plan = planned(kernel, state)
        kernel.links.rival.create("vip0")
        with pytest.raises(ik.StalePlan, match="device:vip0"):
            kernel.apply(plan)
        assert not kernel.writes
        assert ik.reconcile(kernel, state, scope=ALL).ok
        kernel.links.rival.delete("vip0")
        plan = planned(kernel, state)
        kernel.links.rival.create("vip0\n  192.0.2.1")
        assert statuses(kernel.apply(plan)) == {"device:vip0": "already"}


def test_a_device_that_goes_while_it_is_read_is_not_there() -> None:
    with filled(ik.State(devices=["vip0"])) as kernel:
        kernel.links.before(lambda devices: devices.delete("vip0"), nth=1)
        assert not kernel.snapshot(["device:vip0"]).devices


# --- draining that fails --------------------------------------------------------------------------------------------------------------


def test_promise_5_a_kept_weight_that_could_not_be_given_back_is_not_forgotten() -> None:
    with filled(ik.State([SERVICE.replace(reals=["10.0.0.1:80 weight=7"])])) as kernel:
        kernel.connect(KEY, "10.0.0.1:80")
        kernel.apply(planned(kernel, ik.State([SERVICE.replace(reals=[])]), drain=DRAIN))
        again = ik.State([SERVICE.replace(reals=["10.0.0.1:80 weight=keep"])])
        kernel.lie(lies.Refuse(errno.ENOMEM), command=Command.SET_DEST, nth=1)
        assert not kernel.apply(planned(kernel, again)).ok
        assert kernel.apply(planned(kernel, again)).ok
        assert kernel.ipvs.real(KEY, "10.0.0.1:80").weight == 7


def test_promise_5_what_could_not_be_tried_still_drains() -> None:
    with filled(ik.State([SERVICE])) as kernel:
        kernel.connect(KEY, "10.0.0.1:80")
        gone = ik.State([SERVICE.replace(reals=["10.0.0.2:80"])])
        kernel.apply(planned(kernel, gone, drain=DRAIN))
        was = dict(kernel.draining)
        kernel.lie(lies.Refuse(errno.ENOMEM), command=Command.SET_CONFIG)
        more = ik.State(gone.services.values(), timeouts=ik.Timeouts(60, 0, 0))
        assert kernel.apply(planned(kernel, more, drain=DRAIN), on_error="stop").stopped
        assert kernel.draining == was


def test_promise_5_an_address_stays_where_draining_failed() -> None:
    state = ik.State([SERVICE], devices=[ik.Device("vip0", addresses=["192.0.2.1"])])
    with filled(state) as kernel:
        kernel.connect(KEY, "10.0.0.1:80")
        plan = planned(kernel, ik.State(devices=["vip0"]), drain=DRAIN)
        # Behind the check of what is stale: nobody can say whether there are connections.
        kernel.lie(lies.Fail(lambda: ik.TimedOut(errno.ETIMEDOUT)), command=Command.GET_DEST, nth=2)
        found = statuses(kernel.apply(plan))
        assert found == {str(KEY): "failed", "192.0.2.1/32 on vip0": "draining"}
        assert "192.0.2.1/32" in map(str, kernel.devices.addresses("vip0"))


# --- services that are built in two steps ---------------------------------------------------------------------------------------------

_MANY = [f"10.0.{number // 250}.{number % 250 + 1}:80" for number in range(100)]
_HASHED = ik.VirtualService(KEY, scheduler="mh", reals=_MANY)


@pytest.mark.parametrize("on_error", ["continue", "stop"])
def test_promise_7_a_costly_service_without_one_of_its_real_servers(on_error: Any) -> None:
    with Watched() as kernel:
        kernel.lie(lies.Refuse(errno.ENOMEM), command=Command.NEW_DEST, nth=3)
        (failure,) = kernel.apply(planned(kernel, ik.State([_HASHED])), on_error=on_error).failures
        kernel.tell_the_truth()
        assert isinstance(failure.error, ik.KernelError)
        assert failure.error.errno == errno.ENOMEM
        # What is there takes connections.
        assert kernel.ipvs.service(KEY).scheduler == "mh"
        assert ik.reconcile(kernel, ik.State([_HASHED]), scope=ALL).ok


def test_promise_7_a_costly_service_that_gets_no_scheduler_is_not_there() -> None:
    with Watched(schedulers=["wlc"]) as kernel:
        (failure,) = kernel.apply(planned(kernel, ik.State([_HASHED]))).failures
        assert isinstance(failure.error, ik.SchedulerNotAvailable)
        assert not kernel.ipvs.services()


def test_promise_7_a_costly_service_that_somebody_else_makes() -> None:
    with Watched() as kernel:
        plan = planned(kernel, ik.State([_HASHED]))
        kernel.lie(lies.Before(lambda ipvs: ipvs.add_service(_HASHED)), command=Command.NEW_SERVICE, nth=1)
        assert statuses(kernel.apply(plan)) == {str(KEY): "already"}


# --- KEEP -----------------------------------------------------------------------------------------------------------------------------


def test_promise_6_a_kept_lower_threshold_stays_below_the_upper_one() -> None:
    with filled(ik.State([SERVICE.replace(reals=["10.0.0.1:80 upper_threshold=100 lower_threshold=60"])])) as kernel:
        for upper, lower in ((80, 60), (50, 50), (0, 0)):
            real = ik.RealServer("10.0.0.1:80", upper_threshold=upper, lower_threshold=ik.KEEP)
            state = ik.State([SERVICE.replace(reals=[real])])
            assert kernel.apply(planned(kernel, state)).ok
            assert not planned(kernel, state)
            assert kernel.ipvs.real(KEY, "10.0.0.1:80").lower_threshold == lower


# --- what was not read ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "state",
    [
        ik.State(sysctls={"conntrack": True}),
        ik.State(timeouts=ik.Timeouts(1, 2, 3)),
        ik.State(daemons=["master lo"]),
        ik.State([SERVICE]),
        ik.State(devices=["vip0"]),
    ],
)
def test_promise_10_what_a_snapshot_did_not_look_for_cannot_be_compared(state: ik.State) -> None:
    with Watched() as kernel:
        snapshot = kernel.snapshot(ik.Scope(sets=["web-*"]))
        assert {request.part for request in kernel.requests} == {"ipset"}
        with pytest.raises(ik.InvalidConfig, match="did not look for"):
            ik.diff(snapshot, state)


@pytest.mark.parametrize("only", [ik.Scope(keys=["daemon:master"]), ik.Scope(daemons=True), ["daemon:master"]])
def test_promise_10_a_daemon_alone(only: Any) -> None:
    state = ik.State(daemons=["master lo"])
    with filled(state) as kernel:
        assert not ik.diff(kernel.snapshot(only), state)


def test_promise_10_a_setting_alone() -> None:
    with Watched() as kernel:
        snapshot = kernel.snapshot(ik.Scope(keys=["sysctl:conntrack", "timeouts"]))
        plan = ik.diff(snapshot, ik.State(sysctls={"conntrack": True}, timeouts=ik.Timeouts(60, 0, 0)))
        assert [change.refused for change in plan] == [None, None]
        assert kernel.apply(plan).ok


def test_promise_1_a_daemon_outside_the_scope_is_not_made_anew() -> None:
    with filled(ik.State(daemons=["master lo sync_id=1"])) as kernel:
        wanted = ik.State(daemons=["master lo sync_id=2"])
        with pytest.raises(ik.InvalidConfig, match="outside the scope"):
            ik.diff(kernel.snapshot(), wanted, scope=ik.Scope(vips=["192.0.2.0/24"]))
        for scope in (ik.Scope(daemons=True), ik.Scope(keys=["daemon:master"]), ALL):
            assert ik.diff(kernel.snapshot(), wanted, scope=scope)


def test_a_snapshot_knows_what_it_covers() -> None:
    with Watched() as kernel:
        found = kernel.snapshot(["device:vip0", KEY])
        address = next(iter(ik.Device("vip0", addresses=["192.0.2.1"]).addresses))
        assert found.covers(ik.AddressKey("vip0", address))
        assert not found.covers(ik.AddressKey("vip1", address))
        assert found.covers(ik.RealKey(KEY, ip_address("10.0.0.1"), 80))
        assert not found.covers(ik.SetKey("vip0"))


# --- ledgers and going back -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [b"\xff\xfe", b"", b"[]", b"{}", b'{"ipvskit-ledger": 1, "keys": 5}', b"null"])
def test_bytes_that_are_no_ledger(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "ledger.json"
    path.write_bytes(content)
    with pytest.raises(ik.InvalidConfig, match="a file that Ledger wrote"):
        ik.Ledger(path)


def test_promise_5_apply_recalls_what_its_ledger_has(tmp_path: Path) -> None:
    path = tmp_path / "ledger.json"
    with filled(ik.State([SERVICE])) as kernel:
        kernel.connect(KEY, "10.0.0.2:80")
        kernel.apply(planned(kernel, ONE, drain=DRAIN), ledger=ik.Ledger(path))
        known = ik.Ledger(path).draining
        assert known
        with Watched(same_as=kernel) as again:
            again.apply(planned(again, ONE, drain=DRAIN), ledger=ik.Ledger(path))
        assert ik.Ledger(path).draining == known


def test_reconcile_that_goes_back_tells_its_ledger(tmp_path: Path) -> None:
    other = ik.VirtualService("192.0.2.2:80/tcp")
    with filled(ik.State([SERVICE, other])) as kernel:
        ledger = ik.Ledger(tmp_path / "ledger.json")
        ledger.claim(KEY, other.key)
        was = everything(kernel)
        kernel.lie(lies.Refuse(errno.ENOMEM), command=Command.SET_SERVICE)
        wanted = ik.State([other.replace(scheduler="rr"), "192.0.2.3:80/tcp"])
        done = ik.reconcile(kernel, wanted, scope=ALL, ledger=ledger, max_deletes=1.0, rollback=True, attempts=1)
        assert done.rolled_back is not None
        assert done.rolled_back.ok
        assert everything(kernel) == was
        assert ledger.keys == {KEY, other.key} == ik.Ledger(ledger.path).keys


def test_reconcile_goes_back_when_it_is_overtaken_after_a_failure() -> None:
    wanted = ik.State([SERVICE.replace(scheduler="rr", reals=["10.0.0.1:80 weight=9", "10.0.0.2:80 weight=3"])])
    with filled(ik.State([SERVICE])) as kernel:
        kernel.lie(lies.Refuse(errno.ENOMEM), command=Command.SET_SERVICE)
        seen = []

        def rival(request: Request) -> None:
            if request.command == "GET_SERVICE" and request.about:
                seen.append(request)
                # The check of the first attempt, what became of its failure, the check of the second one.
                if len(seen) == 3:
                    kernel.rival.update_service(KEY, scheduler="lc")

        kernel.hook = rival
        with pytest.raises(ik.StalePlan):
            ik.reconcile(kernel, wanted, scope=ALL, attempts=2, rollback=True)
        assert kernel.ipvs.real(KEY, "10.0.0.1:80").weight == 1
        assert kernel.ipvs.real(KEY, "10.0.0.2:80").weight == 1
