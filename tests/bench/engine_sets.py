"""Reconciling a set of a million entries: nothing to be done, and one entry in a hundred other than wanted.

Knows: what is compared with what. Must not know: how tables are compared.
"""

from __future__ import annotations

import functools
import os
import time

import ipvskit as ik
from ipvskit.testing.namespaces import TestNetNS
from tests.bench.cases import Result, at_most, case, faster
from tests.bench.engine_workload import ALL, converge, verify
from tests.bench.floor import FOLDER
from tests.bench.ipset_workload import HASHSIZE, IP, IP_PORT, MAXELEM, NAME, TOTAL, Kind, dump_once, filled
from tests.bench.measure import best_of, take_turns, timed
from tests.bench.peers import _collect, _need_program

_ROOMS = tuple(size << 10 for size in (8, 16, 32, 64))
_CHANGED = TOTAL // 100
_RESTORE = "ipset restore, swap, destroy"
_TEMPORARY = "bench-new"


def _state(kind: Kind, start: int = 0) -> ik.State:
    entries = ik.Elements.parse(kind.type, kind.lines(range(start, start + TOTAL)))
    return ik.State(sets=[ik.Set(NAME, kind.type, hashsize=HASHSIZE, maxelem=MAXELEM, entries=entries)])


def _unchanged(kind: Kind) -> Result:
    """The floor reads the same listing."""
    state = _state(kind)
    with filled(kind) as namespace, ik.Kernel(namespace, timeout=60) as kernel:

        def ours() -> float:
            plans: list[ik.Plan] = []
            seconds = timed(lambda: plans.append(ik.diff(kernel.snapshot(), state, scope=ALL)))
            if plans[0]:
                raise ValueError(f"there was something to be done: {plans[0].summary()}")
            return seconds

        room = best_of(_ROOMS, lambda room: dump_once(namespace, room))
        found = take_turns({"ours": ours, "floor": lambda: dump_once(namespace, room)}, 9)
    note = f"floor: {room >> 10} KiB to receive"
    return Result(found["ours"].best * 1e3, found["floor"].best * 1e3, {}, found["ours"].worst * 1e3, (note,))


def _changed(kind: Kind) -> Result:
    """From one contents to the other, and back; the floor reads only."""
    states = [_state(kind), _state(kind, _CHANGED)]
    notes = ("floor: the listing only",)
    with filled(kind) as namespace, ik.Kernel(namespace, timeout=60) as kernel:

        def ours() -> float:
            states.reverse()
            done: list[tuple[ik.Plan, ik.ApplyReport]] = []
            seconds = timed(lambda: done.append(converge(kernel, states[0])))
            plan, report = done[0]
            report.raise_for_failures()
            entries = plan.changes[0].entries
            if entries is None or (len(entries.added), len(entries.removed), entries.swap) != (
                _CHANGED,
                _CHANGED,
                False,
            ):
                raise ValueError(f"not what was changed: {plan}")
            verify(kernel, states[0])
            return seconds

        room = best_of(_ROOMS, lambda room: dump_once(namespace, room))
        found = take_turns({"ours": ours, "floor": lambda: dump_once(namespace, room)}, 7)
    others, missing = _collect({_RESTORE: lambda: _replaced(kind, states[0])})
    return Result(
        found["ours"].best * 1e3,
        found["floor"].best * 1e3,
        {name: seconds * 1e3 for name, seconds in others.items()},
        found["ours"].worst * 1e3,
        (*notes, *missing),
    )


def _replaced(kind: Kind, state: ik.State) -> float:
    """All entries into a temporary set, which then takes the place of the other."""
    _need_program("ipset")
    file = FOLDER / f"ipset-{kind.label}-replace.restore"
    entries = state.sets[NAME].entries
    assert entries is not None
    with file.open("w") as output:
        output.write(f"create {_TEMPORARY} {kind.type} maxelem {MAXELEM} hashsize {HASHSIZE}\n")
        output.write(entries.to_text(f"add {_TEMPORARY} "))
        output.write(f"swap {_TEMPORARY} {NAME}\ndestroy {_TEMPORARY}\n")
    with filled(kind) as namespace, TestNetNS(os.dup(namespace.fileno())) as usable:
        start = time.perf_counter()
        usable.run(["ipset", "restore", "-file", str(file)], timeout=300)
        seconds = time.perf_counter() - start
        with ik.Kernel(namespace, timeout=60) as kernel:
            verify(kernel, state)
    return seconds


for _kind in (IP, IP_PORT):
    case(
        f"engine.noop_{_kind.label}",
        f"no-op of 1,000,000 {_kind.type}",
        unit="ms",
        where="host",
        targets=(at_most(1.5),),
    )(functools.partial(_unchanged, _kind))
    case(
        f"engine.set_{_kind.label}",
        f"1,000,000 {_kind.type}, 1 % changed",
        unit="ms",
        where="host",
        targets=(faster(5, _RESTORE),),
    )(functools.partial(_changed, _kind))
