"""What the engine promises (docs/desired-state.md), each by its number, on random states.

Knows: the promises. Must not know: how they are kept. Failures, kills and stale plans are in test_engine_failures.py, draining in
tests/unit/test_engine_drain.py.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ipvskit as ik
from ipvskit.engine.diff_settings import same_daemon
from ipvskit.ipvs.holding import HeldServices
from ipvskit.model.service import flag_bits
from ipvskit.sets.definition import with_options
from ipvskit.testing.state_strategies import edited, scopes, states, within
from tests.examples import examples
from tests.property.engine_support import ALL, COMPARED, everything, filled, reals_alive
from tests.property.watched import Request, Watched

PAIRS = st.tuples(states(), states()) | states().flatmap(edited)


def converge(kernel: ik.Kernel, state: ik.State, **options: Any) -> ik.ApplyReport:
    """Apply what is different, until nothing is; a set may have to wait for a list to let go of it."""
    report = kernel.apply(ik.diff(kernel.snapshot(), state, **options).guard(1.0))
    report.raise_for_failures()
    return report


def possible(plan: ik.Plan) -> bool:
    """Whether the kernel can do all of it."""
    return not any(change.refused for change in plan)


# --- 1: scope -------------------------------------------------------------------------------------------------------------------------


@given(PAIRS)
def test_promise_1_without_a_scope_nothing_is_deleted(pair: tuple[ik.State, ik.State]) -> None:
    before, after = pair
    with filled(before) as kernel:
        held = kernel.snapshot()
        plan = ik.diff(held, after)
        assert not any(plan.deletions().values()) or all(change.refused for change in plan if change.entries)
        kernel.apply(plan)
        now = kernel.snapshot()
        for key, service in held.services.items():
            kept = {(real.address, real.port) for real in service.reals}
            assert kept <= {(real.address, real.port) for real in now.services[key].reals}
        for name, each in held.sets.items():
            assert name in now.sets
            if each.type == now.sets[name].type and each.netmask == now.sets[name].netmask:
                assert {str(one.parts) for one in each.entries} <= {str(one.parts) for one in now.sets[name].entries}
        for name, device in held.devices.items():
            assert {one for one in device.addresses if not one.is_link_local} <= set(now.devices[name].addresses)
        assert held.daemons.keys() <= now.daemons.keys()


@given(states(), states(), scopes())
def test_promise_1_nothing_outside_the_scope_is_touched(before: ik.State, after: ik.State, scope: ik.Scope) -> None:
    with filled(before) as kernel:
        was = everything(kernel)
        wanted = within(after, scope)
        plan = ik.diff(kernel.snapshot(), wanted, scope=scope)
        kernel.apply(plan.guard(1.0))
        now = everything(kernel)
        for key, value in was.items():
            if not isinstance(key, str) and key not in scope:
                assert now[key] == value, key
        seen = {key for key in was if not isinstance(key, str) and key not in scope}
        assert seen - {ik.DaemonKey(role) for role in ("master", "backup")} <= set(plan.foreign)  # type: ignore[arg-type]


@given(states(), scopes())
def test_promise_1_a_state_stays_within_its_scope(state: ik.State, scope: ik.Scope) -> None:
    settings_too = (ik.SysctlKey, ik.TimeoutsKey, ik.DaemonKey)
    named = list(state.keys())
    outside = [key for key in named if not isinstance(key, settings_too) and key not in scope]
    with Watched() as kernel:
        snapshot = kernel.snapshot()
        if outside:
            with pytest.raises(ik.InvalidConfig, match="scope"):
                ik.diff(snapshot, state, scope=scope)
        else:
            ik.diff(snapshot, state, scope=scope)


@given(states())
def test_promise_1_an_empty_state_is_a_question(state: ik.State) -> None:
    with filled(state) as kernel:
        plan = ik.diff(kernel.snapshot(), ik.State(), scope=ALL)
        if any(plan.deletions().values()):
            with pytest.raises(ik.GuardRefused):
                kernel.apply(plan)
        assert not kernel.writes
        kernel.apply(plan.guard(1.0)).raise_for_failures()


# --- 2: converges, normalises ---------------------------------------------------------------------------------------------------------


@given(PAIRS, st.booleans())
def test_promise_2_converges_and_is_idempotent(pair: tuple[ik.State, ik.State], atomic: bool) -> None:
    before, after = pair
    with filled(before) as kernel:
        plan = ik.diff(kernel.snapshot(), after, scope=ALL, atomic=atomic).guard(1.0)
        report = kernel.apply(plan)
        if not possible(plan):
            assert len(report.failures) == sum(change.refused is not None for change in plan)
            return
        report.raise_for_failures()
        assert report.converged
        left = ik.diff(kernel.snapshot(), after, scope=ALL, atomic=atomic)
        assert not left, str(left)
        kernel.forget()
        assert kernel.apply(left).converged
        assert not kernel.requests


@given(states())
def test_promise_2_what_is_normalised_is_what_is_listed(state: ik.State) -> None:
    with filled(state) as kernel:
        found = kernel.snapshot()
    for key, service in state.services.items():
        assert HeldServices.of([ik.normalise(service)])[key] == HeldServices.of([found.services[key]])[key]
    for name, wanted in state.sets.items():
        normal, held = ik.normalise(wanted), found.sets[name]
        told = {
            option: getattr(held, option) for option in ("bucketsize", "initval") if getattr(normal, option) is None
        }
        assert with_options(normal, entries=None, **told) == with_options(held, entries=None)
        assert (normal.entries or with_options(normal, entries=held.entries).entries).same_as(held.entries, COMPARED)
    for name, device in state.devices.items():
        normal_device = ik.normalise(device)
        assert (normal_device.kind, normal_device.up) == (found.devices[name].kind, found.devices[name].up)
        assert set(normal_device.addresses) == {one for one in found.devices[name].addresses if not one.is_link_local}
    for role, daemon in (state.daemons or {}).items():
        assert same_daemon(ik.normalise(daemon), found.daemons[role])


# --- 3: fewest writes -----------------------------------------------------------------------------------------------------------------


@given(states(sets=False, devices=False, settings=False).flatmap(edited))
def test_promise_3_one_write_for_each_change(pair: tuple[ik.State, ik.State]) -> None:
    before, after = pair
    with filled(before) as kernel:
        plan = ik.diff(
            kernel.snapshot(),
            after,
            scope=ik.Scope(vips=["0.0.0.0/0", "::/0"], fwmarks=["1-4294967295"], sets=["*"], devices=["*"]),
        )
        report = kernel.apply(plan.guard(1.0))
        report.raise_for_failures()
        services = [request for request in kernel.writes if request.part == "ipvs"]
        expected = sum(
            1 + len(change.after.reals) if isinstance(change.key, ik.ServiceKey) and change.action == "add" else 1
            for change in plan
            if isinstance(change.key, ik.ServiceKey | ik.RealKey)
        )
        assert len(services) == expected, plan
        assert not any(request.command in {"FLUSH", "ZERO"} for request in kernel.writes)
        about = [request.about for request in services]
        assert len(about) == len(set(about)), "nothing is written twice"


@given(states())
def test_promise_3_nothing_is_written_for_what_is_so(state: ik.State) -> None:
    with filled(state) as kernel:
        kernel.apply(ik.diff(kernel.snapshot(), state, scope=ALL))
        assert not kernel.writes


def test_promise_3_a_scheduler_with_a_costly_table_comes_last() -> None:
    reals = [f"10.0.{number // 250}.{number % 250 + 1}:80" for number in range(200)]
    service = ik.VirtualService("192.0.2.1:80/tcp", scheduler="mh", scheduler_flags=["mh-port"], reals=reals)
    with filled(ik.State([service])) as kernel:
        assert kernel.ipvs.service(service.key).scheduler == "mh"
        assert kernel.ipvs.service(service.key).scheduler_flags == {"mh-port"}
        assert not ik.diff(kernel.snapshot(), ik.State([service]), scope=ALL)
    with Watched() as fresh:
        fresh.apply(ik.diff(fresh.snapshot(), ik.State([service]))).raise_for_failures()
        commands = [request.command for request in fresh.writes]
    assert commands == ["NEW_SERVICE", *["NEW_DEST"] * 200, "SET_SERVICE"]


# --- 4: order -------------------------------------------------------------------------------------------------------------------------


@given(states(devices=False, settings=False, sets=False).flatmap(edited))
def test_promise_4_live_capacity_never_falls_below_the_lesser(pair: tuple[ik.State, ik.State]) -> None:
    before, after = pair
    with filled(before) as kernel:
        was = reals_alive(kernel)
        will = {service.key: sum(real.weight > 0 for real in service.reals) for service in after.services.values()}
        plan = ik.diff(kernel.snapshot(), after, scope=ALL).guard(1.0)

        def look(request: Request) -> None:
            if request.write:
                now = reals_alive(kernel)
                for key in was.keys() & will.keys():
                    assert now[key] >= min(was[key], will[key]), f"{key} before {request}"

        kernel.hook = look
        kernel.apply(plan).raise_for_failures()


_ORDER = [
    ("sysctl", "WRITE"),
    ("ipset", "CREATE"),
    ("devices", "NEW_LINK"),
    ("devices", "NEW_ADDRESS"),
    ("ipvs", "NEW_SERVICE"),
]
_GOING = [
    ("ipvs", "NEW_DEST"),
    ("ipvs", "DEL_DEST"),
    ("ipvs", "DEL_SERVICE"),
    ("devices", "DELETE_LINK"),
    ("ipset", "DESTROY"),
]


def test_promise_4_what_others_use_comes_first_and_goes_last() -> None:
    def state(number: int, *reals: str) -> ik.State:
        return ik.State(
            [
                ik.VirtualService(f"192.0.2.{number}:80/tcp", reals=["10.0.0.1:80"]),
                ik.VirtualService("192.0.2.9:80/tcp", reals=reals),
            ],
            sets=[ik.Set(f"web-{number}", "hash:ip", entries=["10.0.0.1"])],
            devices=[ik.Device(f"vip{number}", addresses=[f"192.0.2.{number}"])],
            sysctls={"conntrack": bool(number % 2)},
        )

    with filled(state(2, "10.0.0.1:80")) as kernel:
        kernel.apply(ik.diff(kernel.snapshot(), state(1, "10.0.0.2:80"), scope=ALL).guard(1.0)).raise_for_failures()
        seen = [(request.part, request.command) for request in kernel.writes]
    for order in (_ORDER, _GOING):
        places = [seen.index(step) for step in order]
        assert places == sorted(places), seen
    assert seen.index(("ipset", "ADD")) < seen.index(("ipvs", "NEW_SERVICE"))


def test_promise_4_weight_moves_without_a_gap() -> None:
    before = ik.VirtualService("192.0.2.1:80/tcp", reals=["10.0.0.1:80 weight=5", "10.0.0.2:80 weight=0"])
    after = ik.VirtualService("192.0.2.1:80/tcp", reals=["10.0.0.1:80 weight=0", "10.0.0.2:80 weight=5"])
    with filled(ik.State([before])) as kernel:
        alive = []
        kernel.hook = lambda request: alive.append(reals_alive(kernel)[before.key]) if request.write else None
        kernel.apply(ik.diff(kernel.snapshot(), ik.State([after]), scope=ALL)).raise_for_failures()
    assert alive == [1, 2]


# --- 6: KEEP --------------------------------------------------------------------------------------------------------------------------


@given(states(keep=True, sets=False, devices=False, settings=False), states(sets=False, devices=False, settings=False))
def test_promise_6_kept_fields_are_defaults_at_first_and_untouched_later(wanted: ik.State, there: ik.State) -> None:
    with filled(there) as kernel:
        was = dict(kernel.snapshot().services)
        plan = ik.diff(kernel.snapshot(), wanted, scope=ALL).guard(1.0)
        report = kernel.apply(plan)
        now = dict(kernel.snapshot().services)
        for key, service in wanted.services.items():
            source = was.get(key, service)
            for name in service.keep - {"reals", "scheduler_flags"}:
                together = name == "persistence_netmask" and None in (
                    source.persistence_timeout,
                    now[key].persistence_timeout,
                )
                assert together or getattr(now[key], name) == getattr(source, name), (key, name)
            if "scheduler_flags" in service.keep:
                # The same bits have other names with other schedulers.
                bits = [flag_bits(one.scheduler, one.scheduler_flags) for one in (now[key], source)]
                assert bits[0] == bits[1]
            if "reals" in service.keep:
                assert set(now[key].reals) == set(source.reals)
                continue
            before = {(real.address, real.port): real for real in source.reals}
            found = {(real.address, real.port): real for real in now[key].reals}
            for real in service.reals:
                origin = before.get((real.address, real.port), real) if key in was else real
                for name in real.keep:
                    held = found.get((real.address, real.port))
                    if held is None or (name == "tunnel" and held.forwarding != origin.forwarding):
                        # It goes with the forwarding method.
                        continue
                    given = getattr(origin, name)
                    kept = min(given, held.upper_threshold) if name == "lower_threshold" else given
                    assert getattr(held, name) == kept, (real, name)
        if report.ok:
            assert not ik.diff(kernel.snapshot(), wanted, scope=ALL)


# --- 8: stale plans -------------------------------------------------------------------------------------------------------------------


@given(states(settings=False).flatmap(edited), states(settings=False).flatmap(edited))
def test_promise_8_an_overtaken_plan_writes_nothing_or_fits(
    ours: tuple[ik.State, ik.State], theirs: tuple[ik.State, ik.State]
) -> None:
    before, after = ours
    with filled(before) as kernel:
        plan = ik.diff(kernel.snapshot(), after, scope=ALL).guard(1.0)
        rival = Watched(same_as=kernel)
        with rival:
            rival.apply(ik.diff(rival.snapshot(), theirs[1], scope=ALL).guard(1.0))
            kernel.forget()
            was = everything(rival)
            stale: list[ik.StalePlan] = []
            try:
                kernel.apply(plan)
            except ik.StalePlan as error:
                stale.append(error)
            for overtaken in stale:
                assert overtaken.keys
                assert not kernel.writes
                assert everything(rival) == was


# --- 10: cost follows the change ------------------------------------------------------------------------------------------------------


@given(states().flatmap(edited), st.data())
def test_promise_10_some_keys_only(pair: tuple[ik.State, ik.State], data: st.DataObject) -> None:
    before, after = pair
    known: list[ik.ServiceKey | ik.SetKey] = [
        *{**before.services, **after.services},
        *map(ik.SetKey, {**before.sets, **after.sets}),
    ]
    only = data.draw(st.lists(st.sampled_from(known), unique=True) if known else st.just([]))
    with filled(before) as kernel:
        whole = ik.diff(kernel.snapshot(), after, scope=ALL)
        part = ik.diff(kernel.snapshot(only), after, scope=ALL)
        owners = {change.key.service if isinstance(change.key, ik.RealKey) else change.key for change in part}
        assert owners <= set(only)
        expected = {
            str(change)
            for change in whole
            if (change.key.service if isinstance(change.key, ik.RealKey) else change.key) in only
        }
        assert {str(change) for change in part} == expected


@settings(max_examples=examples(10))
@given(st.integers(0, 2999))
def test_promise_10_one_among_thousands(number: int) -> None:
    services = [
        ik.VirtualService(f"10.{one >> 8}.{one & 255}.1:80/tcp", reals=["192.168.0.1:80"]) for one in range(3000)
    ]
    with _thousands(services) as kernel:
        one = services[number]
        state = ik.State(services).updated([one.replace(reals=["192.168.0.1:80", "192.168.0.2:80"])])
        kernel.forget()
        plan = ik.diff(kernel.snapshot([one.key]), state, scope=ALL)
        kernel.apply(plan).raise_for_failures()
        assert [request.command for request in kernel.requests] == ["GET_SERVICE", "GET_DEST"] * 2 + ["NEW_DEST"]
        kernel.ipvs.replace_service(one)
        kernel.ipvs.delete_real(one.key, "192.168.0.2:80")


_KEPT: list[Watched] = []


def _thousands(services: list[ik.VirtualService]) -> Watched:
    """Filled once for all examples."""
    if not _KEPT:
        _KEPT.append(filled(ik.State(services)))
    return Watched(same_as=_KEPT[0])


# --- data -----------------------------------------------------------------------------------------------------------------------------


@given(PAIRS)
def test_a_plan_is_data(pair: tuple[ik.State, ik.State]) -> None:
    before, after = pair
    with filled(before) as kernel:
        plan = ik.diff(kernel.snapshot(), after, scope=ALL)
        assert ik.diff(kernel.snapshot(), after, scope=ALL) == plan
        text = str(plan)
        assert text.splitlines()[-1 - bool(plan.foreign)] == (plan.summary() if plan else "nothing to do")
        told = json.loads(json.dumps(plan.to_dict()))
        assert told["version"] == 1
        assert [one["key"] for one in told["changes"]] == [str(change.key) for change in plan]
        assert [plan.changes[place] for place in range(len(plan))] == list(plan)


@given(states())
def test_a_snapshot_is_a_state(state: ik.State) -> None:
    with filled(state) as kernel, Watched() as other:
        snapshot = kernel.snapshot()
        assert not ik.diff(snapshot, snapshot.to_state(), scope=ALL)
        converge(other, snapshot.to_state(), scope=ALL)
        assert everything(other) == everything(kernel)
        assert not ik.diff(snapshot, other.snapshot().to_state(), scope=ALL)
