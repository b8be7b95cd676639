"""Promise 5: real servers are taken out without cutting connections, whoever comes back to it.

Knows: what draining has to come to. Must not know: how it is done.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import ipvskit as ik
from ipvskit.testing.fake import FakeKernel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ALL = ik.Scope.everything()
TCP, UDP, MARK = "192.0.2.1:80/tcp", "192.0.2.1:53/udp", "fwmark:7/v4"
ONE, TWO = "10.0.0.1:80", "10.0.0.2:80"


def state(key: str = TCP, *reals: str, **options: Any) -> ik.State:
    return ik.State([ik.VirtualService(key, reals=reals, **options)])


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr("time.time", lambda: now[0])
    return now


@pytest.fixture
def kernel() -> Iterator[FakeKernel]:
    with FakeKernel() as fake:
        yield fake


def step(kernel: FakeKernel, wanted: ik.State, drain: ik.Drain, **options: Any) -> ik.ApplyReport:
    plan = ik.diff(kernel.snapshot(), wanted, scope=ALL, drain=drain).guard(1.0)
    return kernel.apply(plan, **options)


def weights(kernel: FakeKernel, key: str = TCP) -> dict[str, int]:
    return {real.endpoint: real.weight for real in kernel.ipvs.reals(key)}


def test_promise_5_weight_0_then_gone_with_its_last_connection(kernel: FakeKernel, clock: list[float]) -> None:
    step(kernel, state(TCP, ONE, f"{TWO} weight=7"), ik.Drain())
    connection = kernel.connect(TCP, TWO)
    report = step(kernel, state(TCP, ONE), ik.Drain(interval=3))
    assert weights(kernel) == {ONE: 1, TWO: 0}
    assert not report.converged
    assert report.ok
    assert report.requeue_after == 3
    (draining,) = report.draining
    assert (draining.service, draining.status.real.endpoint, draining.left) == (ik.ServiceKey.parse(TCP), TWO, None)
    assert "1 active, 0 inactive" in str(draining)
    clock[0] += 10_000
    assert step(kernel, state(TCP, ONE), ik.Drain()).draining
    kernel.disconnect(connection)
    report = step(kernel, state(TCP, ONE), ik.Drain())
    assert report.converged
    assert report.requeue_after is None
    assert weights(kernel) == {ONE: 1}
    assert not kernel.draining


def test_promise_5_idle_ones_go_in_one_pass(kernel: FakeKernel) -> None:
    step(kernel, state(TCP, ONE, TWO), ik.Drain())
    assert step(kernel, state(TCP, ONE), ik.Drain()).converged
    assert weights(kernel) == {ONE: 1}


def test_promise_5_the_deadline_is_kept_to_the_second(kernel: FakeKernel, clock: list[float]) -> None:
    step(kernel, state(TCP, ONE, TWO), ik.Drain())
    kernel.connect(TCP, TWO)
    drain = ik.Drain(deadline=60, interval=10)
    assert step(kernel, state(TCP, ONE), drain).requeue_after == 10
    clock[0] += 55
    report = step(kernel, state(TCP, ONE), drain)
    assert (report.requeue_after, report.draining[0].left) == (5, 5)
    clock[0] += 5
    assert step(kernel, state(TCP, ONE), drain).converged
    assert weights(kernel) == {ONE: 1}


def test_promise_5_a_clock_that_goes_back_does_not_prolong_it_for_ever(kernel: FakeKernel, clock: list[float]) -> None:
    step(kernel, state(TCP, ONE, TWO), ik.Drain())
    kernel.connect(TCP, TWO)
    drain = ik.Drain(deadline=60)
    step(kernel, state(TCP, ONE), drain)
    clock[0] -= 500
    assert step(kernel, state(TCP, ONE), drain).draining[0].left == 60
    clock[0] += 61
    assert step(kernel, state(TCP, ONE), drain).converged


@pytest.mark.parametrize(
    ("key", "state_of", "drain", "waits"),
    [
        (TCP, "ESTABLISHED", ik.Drain(), True),
        (TCP, "TIME_WAIT", ik.Drain(), True),
        (TCP, "TIME_WAIT", ik.Drain(inactive=False), False),
        (TCP, "ESTABLISHED", ik.Drain(inactive=False), True),
        (TCP, "ESTABLISHED", ik.Drain(tcp="delete"), False),
        (UDP, "UDP", ik.Drain(), False),
        (UDP, "UDP", ik.Drain(udp="wait"), True),
        (UDP, "UDP", ik.Drain(udp="wait", inactive=False), False),
        (MARK, "ESTABLISHED", ik.Drain(), True),
        (MARK, "ESTABLISHED", ik.Drain(fwmark="delete"), False),
        ("192.0.2.1:9/sctp", "ESTABLISHED", ik.Drain(), True),
        ("192.0.2.1:9/sctp", "ESTABLISHED", ik.Drain(sctp="delete"), False),
    ],
)
def test_promise_5_policies(kernel: FakeKernel, key: str, state_of: str, drain: ik.Drain, waits: bool) -> None:
    step(kernel, state(key, ONE, TWO), drain)
    kernel.connect(key, TWO, state=state_of)
    report = step(kernel, state(key, ONE), drain)
    assert bool(report.draining) is waits
    assert (TWO in weights(kernel, key)) is waits


def test_promise_5_a_service_may_have_a_deadline_of_its_own(kernel: FakeKernel, clock: list[float]) -> None:
    key = ik.ServiceKey.parse(UDP)
    step(kernel, ik.State([ik.VirtualService(one, reals=[ONE]) for one in (TCP, UDP)]), ik.Drain())
    kernel.connect(TCP, ONE)
    kernel.connect(UDP, ONE)
    # UDP is not waited for, unless somebody says how long.
    drain = ik.Drain(deadline=10, deadlines={key: 30})
    wanted = ik.State([ik.VirtualService(one) for one in (TCP, UDP)])
    assert {str(one.service): one.left for one in step(kernel, wanted, drain).draining} == {TCP: 10, UDP: 30}
    clock[0] += 11
    assert [str(one.service) for one in step(kernel, wanted, drain).draining] == [UDP]
    clock[0] += 20
    assert step(kernel, wanted, drain).converged
    assert weights(kernel, UDP) == {}


def test_promise_5_templates_count_where_told(kernel: FakeKernel) -> None:
    persistent = {"persistence_timeout": 300}
    step(kernel, state(TCP, ONE, TWO, **persistent), ik.Drain())
    kernel.connect(TCP, TWO, "198.51.100.1:0")
    assert step(kernel, state(TCP, ONE, **persistent), ik.Drain(persistent=True)).draining
    assert step(kernel, state(TCP, ONE, **persistent), ik.Drain()).converged


def test_promise_5_packet_by_packet_there_is_nothing_to_wait_for(kernel: FakeKernel) -> None:
    step(kernel, state(UDP, ONE, TWO, one_packet=True), ik.Drain())
    plan = ik.diff(kernel.snapshot(), state(UDP, ONE, one_packet=True), scope=ALL, drain=ik.Drain(udp="wait"))
    assert [change.action for change in plan] == ["delete"]


@pytest.mark.parametrize("weight", ["weight=7", "weight=keep"])
def test_promise_5_wanted_again_it_gets_its_weight_back(kernel: FakeKernel, weight: str) -> None:
    wanted = state(TCP, ONE, f"{TWO} {weight}")
    step(kernel, state(TCP, ONE, f"{TWO} weight=7"), ik.Drain())
    kernel.connect(TCP, TWO)
    step(kernel, state(TCP, ONE), ik.Drain())
    assert weights(kernel)[TWO] == 0
    report = step(kernel, wanted, ik.Drain())
    assert [outcome.change.action for outcome in report.outcomes] == ["edit"]
    assert weights(kernel)[TWO] == 7
    assert not kernel.draining


def test_promise_5_a_health_checker_may_hold_a_weight_at_0(kernel: FakeKernel) -> None:
    wanted = state(TCP, ONE, f"{TWO} weight=keep")
    step(kernel, wanted, ik.Drain())
    kernel.ipvs.update_real(TCP, TWO, weight=0)
    assert not ik.diff(kernel.snapshot(), wanted, scope=ALL, drain=ik.Drain())


def test_promise_5_the_row_is_the_memory(kernel: FakeKernel, clock: list[float]) -> None:
    step(kernel, state(TCP, ONE, TWO), ik.Drain())
    connection = kernel.connect(TCP, TWO)
    drain = ik.Drain(deadline=60)
    step(kernel, state(TCP, ONE), drain)
    clock[0] += 50
    with FakeKernel(same_as=kernel) as restarted:
        # Nobody remembers since when: the deadline begins anew.
        assert step(restarted, state(TCP, ONE), drain).draining[0].left == 60
        kernel.disconnect(connection)
        assert step(restarted, state(TCP, ONE), drain).converged


def test_promise_5_a_ledger_remembers_since_when(kernel: FakeKernel, clock: list[float], tmp_path: Path) -> None:
    path = tmp_path / "ledger.json"
    drain = ik.Drain(deadline=60)
    step(kernel, state(TCP, ONE, f"{TWO} weight=7"), drain, ledger=ik.Ledger(path))
    kernel.connect(TCP, TWO)
    step(kernel, state(TCP, ONE), drain, ledger=ik.Ledger(path))
    clock[0] += 50
    with FakeKernel(same_as=kernel) as restarted:
        ledger = ik.Ledger(path)
        held = restarted.snapshot(ledger=ledger)
        report = restarted.apply(ik.diff(held, state(TCP, ONE), scope=ALL, drain=drain), ledger=ledger)
        assert report.draining[0].left == 10
        again = ik.diff(restarted.snapshot(), state(TCP, ONE, f"{TWO} weight=keep"), scope=ALL, drain=drain)
        assert again.changes[0].after.weight == 7


def test_promise_5_services_are_drained_and_keep_their_address(kernel: FakeKernel) -> None:
    vip = ik.Device("vips", addresses=["192.0.2.1", "192.0.2.9"], up=False)
    step(kernel, state(TCP, ONE, TWO).updated(devices=[vip]), ik.Drain())
    connection = kernel.connect(TCP, TWO)
    nothing = ik.State(devices=[vip.replace(addresses=[])])
    report = step(kernel, nothing, ik.Drain())
    status = {str(outcome.change.key): outcome.status for outcome in report.outcomes}
    assert status == {TCP: "draining", "192.0.2.1/32 on vips": "draining", "192.0.2.9/32 on vips": "done"}
    assert weights(kernel) == {ONE: 0, TWO: 0}
    kernel.disconnect(connection)
    assert step(kernel, nothing, ik.Drain()).converged
    assert not kernel.ipvs.services()
    assert not kernel.devices.addresses("vips")


def test_promise_5_services_need_not_be_drained(kernel: FakeKernel) -> None:
    step(kernel, state(TCP, ONE), ik.Drain())
    kernel.connect(TCP, ONE)
    assert step(kernel, ik.State(), ik.Drain(services=False)).converged


def test_promise_5_reconcile_says_when_to_come_back(kernel: FakeKernel) -> None:
    ik.reconcile(kernel, state(TCP, ONE, TWO), scope=ALL)
    kernel.connect(TCP, TWO)
    done = ik.reconcile(kernel, state(TCP, ONE), scope=ALL, drain=ik.Drain(interval=4), max_deletes=1)
    assert done.ok
    assert done.requeue_after == 4
    assert len(done.left) == 1
    assert not done.unfinished


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("tcp", "never"),
        ("deadline", -1),
        ("deadline", float("inf")),
        ("deadline", True),
        ("interval", 0),
        ("udp", None),
    ],
)
def test_bad_drains(field: str, value: Any) -> None:
    with pytest.raises(ik.InvalidConfig, match=field):
        ik.Drain(**{field: value})
