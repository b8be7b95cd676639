"""The engine on real kernels: random states converge, are idempotent, touch nothing foreign, and come back.

Knows: what a state has to come to. Must not know: how it gets there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ipvskit as ik
from ipvskit.testing.namespaces import TestNetNS
from tests.kernel import engine_support as support
from tests.kernel.engine_support import COMMON, SCOPE, converge, foreign, frozen, plant_foreign
from tests.kernel.ipset_support import THOROUGH, examples

if TYPE_CHECKING:
    from collections.abc import Iterator

WHOLE = [pytest.param(False, id="sets", marks=pytest.mark.ipset), pytest.param(True, id="all", marks=pytest.mark.ipvs)]


@pytest.fixture(scope="module", autouse=True)
def _ipv6() -> None:
    support.load_ipv6()


@pytest.fixture(scope="module")
def types() -> support.Types:
    with TestNetNS() as namespace, ik.Kernel(namespace) as kernel:
        return kernel.ipset.types()


@pytest.fixture
def handle(namespace: TestNetNS) -> Iterator[ik.Kernel]:
    with ik.Kernel(namespace) as opened:
        yield opened


@pytest.mark.parametrize("ipvs", WHOLE)
def test_states_one_after_the_other(types: support.Types, ipvs: bool) -> None:
    @settings(COMMON, max_examples=examples(60))
    @given(
        wanted=st.lists(support.states(types, ipvs=ipvs), min_size=1, max_size=4),
        atomic=st.booleans(),
    )
    def run(wanted: list[ik.State], atomic: bool) -> None:
        with TestNetNS() as namespace, ik.Kernel(namespace) as kernel:
            plant_foreign(kernel, namespace, ipvs=ipvs)
            theirs = foreign(kernel, ipvs=ipvs)
            first = kernel.snapshot()
            last = first
            for state in wanted:
                before = frozen(last)
                plan = converge(kernel, state, atomic=atomic)
                assert not any(key in SCOPE for key in plan.foreign)
                last = kernel.snapshot()
                support.check_normal(state, last, before)
                # Applied once more, a plan has nothing to do or is out of date: it never does anything else.
                again = _again(kernel, plan)
                assert frozen(kernel.snapshot()) == frozen(last), again
                assert foreign(kernel, ipvs=ipvs) == theirs
            back = ik.reconcile(kernel, first.to_state(), scope=ik.Scope.everything(), max_deletes=1.0)
            assert back.ok, back
            assert frozen(kernel.snapshot()) == frozen(first)
            assert foreign(kernel, ipvs=ipvs) == theirs

    run()


def _again(kernel: ik.Kernel, plan: ik.Plan) -> str:
    try:
        return str(kernel.apply(plan))
    except ik.StalePlan as error:
        return str(error)


@pytest.mark.parametrize("ipvs", WHOLE)
def test_a_snapshot_as_a_state_elsewhere(types: support.Types, ipvs: bool) -> None:
    @settings(COMMON, max_examples=examples(40))
    @given(state=support.states(types, ipvs=ipvs))
    def run(state: ik.State) -> None:
        with TestNetNS() as one, TestNetNS() as other, ik.Kernel(one) as kernel, ik.Kernel(other) as there:
            plant_foreign(kernel, one, ipvs=ipvs)
            converge(kernel, state)
            snapshot = kernel.snapshot()
            text = snapshot.to_state().dump()
            done = ik.reconcile(there, ik.State.load(text))
            assert done.ok, done
            assert frozen(there.snapshot()) == frozen(snapshot)

    run()


# --- one thing at a time --------------------------------------------------------------------------------------------------------------


@pytest.mark.ipvs
def test_rolled_back_where_something_fails(handle: ik.Kernel, namespace: TestNetNS) -> None:
    plant_foreign(handle, namespace, ipvs=True)
    before = ik.State(
        [ik.VirtualService("192.0.2.1:80/tcp", scheduler="wrr", reals=["10.0.0.1:80", "10.0.0.2:80 weight=7"])],
        sets=[ik.Set("web-1", "hash:ip", entries=["10.1.0.1", "10.1.0.2"]), ik.Set("web-2", "hash:net", entries=[])],
        devices=[ik.Device("vip0", addresses=["192.0.2.1", "2001:db8::1"])],
        sysctls={"sloppy_tcp": True},
        timeouts=ik.Timeouts(100, 10, 10),
    )
    converge(handle, before)
    there = frozen(handle.snapshot())
    wanted = ik.State(
        [
            # The kernel takes no broadcast address.
            ik.VirtualService("192.0.2.9:80/tcp", reals=["10.0.0.1:80", "127.255.255.255:80"]),
            ik.VirtualService("192.0.2.1:80/udp", reals=["10.0.0.1:80"]),
        ],
        sets=[ik.Set("web-1", "hash:net", entries=["10.2.0.0/24"]), ik.Set("web-3", "hash:ip", entries=["10.0.0.1"])],
        devices=[ik.Device("vip1", addresses=["192.0.2.1"])],
        sysctls={"sloppy_tcp": False},
        timeouts=ik.Timeouts(200, 20, 20),
    )
    done = ik.reconcile(handle, wanted, scope=SCOPE, max_deletes=1.0, rollback=True)
    assert not done.ok
    assert {type(outcome.error) for outcome in done.report.failures} == {ik.AddressNotUsable}
    assert done.rolled_back is not None
    assert done.rolled_back.ok, done.rolled_back
    assert frozen(handle.snapshot()) == there
    without = ik.reconcile(handle, wanted, scope=SCOPE, max_deletes=1.0)
    assert not without.ok
    assert without.rolled_back is None
    assert "192.0.2.1:80/udp" in [str(key) for key in handle.snapshot().services]


@pytest.mark.ipvs
def test_a_few_keys_only(handle: ik.Kernel, namespace: TestNetNS) -> None:
    plant_foreign(handle, namespace, ipvs=True)
    services = [ik.VirtualService(f"192.0.2.{number}:80/tcp", reals=["10.0.0.1:80"]) for number in range(1, 60)]
    sets = [ik.Set(f"web-{number}", "hash:ip", entries=["10.0.0.1"]) for number in range(9)]
    state = ik.State(services, sets=sets, devices=["vip0\n192.0.2.1"])
    converge(handle, state)
    changed = state.updated(
        [services[6].with_reals((ik.RealServer("10.0.0.2:80"),))],
        sets=[ik.Set("web-3", "hash:ip", entries=["10.0.0.9"])],
        devices=["vip0\n192.0.2.2"],
        remove=["192.0.2.9:80/tcp", "set:web-4", "192.0.2.20:80/tcp"],
    )
    keys = ["192.0.2.7:80/tcp", "192.0.2.9:80/tcp", "set:web-3", "set:web-4", "device:vip0"]
    done = ik.reconcile(handle, changed, scope=SCOPE, only=keys, max_deletes=1.0)
    assert done.ok
    touched = {str(outcome.change.key) for outcome in done.report.outcomes}
    expected = {"10.0.0.1:80 of 192.0.2.7:80/tcp", "10.0.0.2:80 of 192.0.2.7:80/tcp", "192.0.2.1/32 on vip0", "192.0.2.2/32 on vip0"}  # fmt: skip
    assert touched == expected | {"192.0.2.9:80/tcp", "set:web-3", "set:web-4"}
    # What was not asked for is as it was, though the state has it no more.
    left = ik.diff(handle.snapshot(), changed, scope=SCOPE)
    assert [str(change.key) for change in left] == ["192.0.2.20:80/tcp"]


@pytest.mark.ipvs
def test_daemons_are_listed_as_told(handle: ik.Kernel) -> None:
    wanted = [
        ik.SyncDaemon("master", "lo", sync_id=7, ttl=3, group="224.0.0.99", port=9000, max_length=1000),
        ik.SyncDaemon("backup", "lo"),
    ]
    converge(handle, ik.State(daemons=wanted))
    try:
        held = {daemon.role: daemon for daemon in handle.ipvs.daemons()}
        for one in wanted:
            normal = ik.normalise(one)
            open_length = normal.max_length or held[one.role].max_length
            assert held[one.role] == ik.SyncDaemon(
                normal.role, normal.interface, sync_id=normal.sync_id, max_length=open_length, group=normal.group, port=normal.port, ttl=normal.ttl
            )  # fmt: skip
        plan = converge(handle, ik.State(daemons=["master lo sync_id=8"]))
        assert [str(change.action) for change in plan] == ["delete", "replace"]
        assert [(one.role, one.sync_id) for one in handle.ipvs.daemons()] == [("master", 8)]
        there = handle.snapshot()
        converge(handle, ik.State(daemons=[]))
        assert handle.ipvs.daemons() == []
        # Back to what a snapshot had.
        # Besides lo, modules that were loaded make devices of their own in every namespace.
        others = [f"device:{name}" for name in there.devices if not name.startswith("vip")]
        converge(handle, there.to_state().updated(remove=others))
        assert {one.role: one for one in handle.ipvs.daemons()} == dict(there.daemons)
    finally:
        for role in ("master", "backup"):
            try:
                handle.ipvs.stop_daemon(role)
            except ik.DaemonNotFound:
                continue


# --- devices --------------------------------------------------------------------------------------------------------------------------


@pytest.mark.ipvs
def test_ipv6_addresses_survive_switching_off(handle: ik.Kernel) -> None:
    addresses = ["192.0.2.1", "2001:db8::1/64", "2001:db8::2"]
    converge(handle, ik.State(devices=[ik.Device("vip0", addresses=addresses)]))
    for up in (False, True, False, None):
        converge(handle, ik.State(devices=[ik.Device("vip0", up=up, addresses=addresses)]))
        held = handle.devices.get("vip0")
        assert held.up is bool(up)
        assert {str(one) for one in held.addresses if not one.is_link_local} == {"192.0.2.1/32", "2001:db8::1/64", "2001:db8::2/128"}  # fmt: skip
    # What goes at the same time does not come back.
    converge(handle, ik.State(devices=[ik.Device("vip0", up=True, addresses=addresses)]))
    converge(handle, ik.State(devices=[ik.Device("vip0", up=False, addresses=addresses[:2])]))
    assert {str(one) for one in handle.devices.get("vip0").addresses} == {"192.0.2.1/32", "2001:db8::1/64"}


@pytest.mark.ipvs
def test_addresses_of_one_network(handle: ik.Kernel, namespace: TestNetNS) -> None:
    namespace.sysctl("net.ipv4.conf.default.promote_secondaries", 0)
    namespace.sysctl("net.ipv4.conf.all.promote_secondaries", 0)
    first = [f"192.0.2.{number}/24" for number in range(1, 30)]
    converge(handle, ik.State(devices=[ik.Device("vip0", addresses=first)]))
    # The first of a network is the one whose end is the others' end.
    plan = converge(handle, ik.State(devices=[ik.Device("vip0", addresses=[*first[1:], "192.0.2.40/24"])]))
    assert len(plan) == 2
    assert len(handle.devices.addresses("vip0")) == 29 + bool(handle.devices.get("vip0").up)


@pytest.mark.ipvs
def test_very_many_addresses(handle: ik.Kernel) -> None:
    # What the kernel needs for it grows with the square of their number.
    count = 44_000 if THOROUGH else 8_000
    wanted = [f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}" for number in range(count)]
    converge(handle, ik.State(devices=[ik.Device("vip0", up=False, addresses=wanted)]))
    assert len(handle.devices.addresses("vip0")) == count
    state = ik.State(devices=[ik.Device("vip0", up=False, addresses=[*wanted[440:], "192.0.2.1"])])
    plan = ik.diff(handle.snapshot(), state, scope=SCOPE)
    assert len(plan) == 441
    assert ik.reconcile(handle, state, scope=SCOPE).ok
    converge(handle, ik.State())
    assert not handle.devices.exists("vip0")


# --- sets -----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.ipset
def test_interfaces_beside_wildcards_that_cover_them(handle: ik.Kernel) -> None:
    if handle.ipset.types().get("hash:net,iface", (0, 0))[1] < ik.SET_TYPES["hash:net,iface"].revision_of("wildcard"):
        pytest.skip("this kernel has no wildcards in hash:net,iface")

    def state(*entries: str) -> ik.State:
        return ik.State(sets=[ik.Set("web-1", "hash:net,iface", entries=[f"10.0.0.0/8,{entry}" for entry in entries])])

    every = ("eth wildcard", "eth0", "eth1 wildcard", "eth10 wildcard", "wlan0")
    for entries in (every, every[:1], every[:2], every[1:3], (), every[3:], every):
        converge(handle, state(*entries))
        assert len(handle.ipset.entries("web-1")) == len(entries)
