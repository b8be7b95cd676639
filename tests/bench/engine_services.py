"""Reconciling 1,000 services with 10 real servers each: nothing to be done, and all real servers replaced.

Knows: what is compared with what. Must not know: how states are compared.
"""

from __future__ import annotations

import functools
import os
import time
from typing import TYPE_CHECKING

import ipvskit as ik
from ipvskit.testing.namespaces import TestNetNS
from tests.bench import workload
from tests.bench.cases import Result, at_most, case, faster
from tests.bench.engine_workload import ALL, converge, load, replaced, replacing, verify
from tests.bench.floor import floor
from tests.bench.measure import best_of, take_turns, timed
from tests.bench.peers import _collect, _need_program

if TYPE_CHECKING:
    from collections.abc import Callable

_ROOMS = tuple(size << 10 for size in (4, 8, 16, 32))
_RESTORE = "ipvsadm-restore"
_SERVICE_BY_SERVICE = "service by service"


# --- nothing to be done --------------------------------------------------------------------------------------------------------------


def _unchanged(state: Callable[[], ik.State], scope: ik.Scope | None = None) -> Result:
    questions = workload.dumps()
    with workload.filled() as (namespace, kernel):

        def ours() -> float:
            plans: list[ik.Plan] = []
            seconds = timed(lambda: plans.append(ik.diff(kernel.snapshot(), state(), scope=scope)))
            if plans[0]:
                raise ValueError(f"there was something to be done: {plans[0].summary()}")
            return seconds

        def base(room: int) -> float:
            return floor("IPVS").dump(namespace, questions, room).seconds

        room = best_of(_ROOMS, base)
        found = take_turns({"ours": ours, "floor": lambda: base(room)}, 31)
    note = f"floor: {room >> 10} KiB to receive"
    return Result(found["ours"].best * 1e3, found["floor"].best * 1e3, {}, found["ours"].worst * 1e3, (note,))


@case("engine.noop", "no-op reconcile of 1,000 services x 10", unit="ms", where="lab", targets=(at_most(1.5),))
def noop() -> Result:
    kept = ik.State(workload.services())
    return _unchanged(lambda: kept)


@case("engine.noop_scope", "the same with a scope", unit="ms", where="lab", targets=(at_most(1.5),))
def noop_scope() -> Result:
    kept = ik.State(workload.services())
    return _unchanged(lambda: kept, ik.Scope(vips=["10.0.0.0/16"], ports=[80]))


@case("engine.noop_fresh", "the same, the state made anew every time", unit="ms", where="lab")
def noop_fresh() -> Result:
    values = workload.services()
    return _unchanged(lambda: ik.State(values))


# --- all real servers replaced -------------------------------------------------------------------------------------------------------
# What was deleted makes later additions slow, so every run has a namespace of its own.


@functools.cache
def _other() -> list[ik.VirtualService]:
    return replaced(workload.services())


def _replace(state: ik.State) -> float:
    with workload.filled() as (_, kernel):
        reports: list[ik.ApplyReport] = []
        seconds = timed(lambda: reports.append(converge(kernel, state)[1]))
        reports[0].raise_for_failures()
        verify(kernel, state)
    return seconds


def _apply(state: ik.State) -> float:
    with workload.filled() as (_, kernel):
        plan = ik.diff(kernel.snapshot(), state, scope=ALL)
        reports: list[ik.ApplyReport] = []
        seconds = timed(lambda: reports.append(kernel.apply(plan)))
        reports[0].raise_for_failures()
        verify(kernel, state)
    return seconds


def _each(state: ik.State) -> float:
    work = replacing(workload.services(), _other())
    with workload.filled() as (_, kernel):

        def all_of_them() -> None:
            for operations in work:
                kernel.ipvs.bulk(operations).raise_for_failures()

        seconds = timed(all_of_them)
        verify(kernel, state)
    return seconds


def _restore(rules: str, state: ik.State) -> float:
    """As the script ipvsadm-restore does it."""
    _need_program("ipvsadm")
    with workload.fresh() as namespace, workload.kernel_in(namespace) as kernel:
        load(kernel, workload.services())
        with TestNetNS(os.dup(namespace.fileno())) as usable:
            start = time.perf_counter()
            usable.run(["ipvsadm", "-C"])
            usable.run(["ipvsadm", "-R"], input=rules, timeout=300)
            seconds = time.perf_counter() - start
        verify(kernel, state)
    return seconds


@case(
    "engine.replace",
    "replace 10,000 real servers of 1,000 services",
    unit="ms",
    where="lab",
    targets=(faster(20, _RESTORE),),
)
def replace() -> Result:
    state = ik.State(_other())
    rules = workload.rules(_other())
    found = take_turns({"ours": lambda: _replace(state)}, 15)["ours"]
    others, missing = _collect({_RESTORE: lambda: _restore(rules, state)})
    return Result(
        found.best * 1e3,
        peers={name: seconds * 1e3 for name, seconds in others.items()},
        worst=found.worst * 1e3,
        notes=missing,
    )


@case(
    "engine.order",
    "the same, only applied",
    unit="ms",
    where="lab",
    targets=(faster(5, _SERVICE_BY_SERVICE),),
)
def order() -> Result:
    state = ik.State(_other())
    found = take_turns({"ours": lambda: _apply(state)}, 7)["ours"]
    others, missing = _collect({_SERVICE_BY_SERVICE: lambda: _each(state)})
    return Result(
        found.best * 1e3,
        peers={name: seconds * 1e3 for name, seconds in others.items()},
        worst=found.worst * 1e3,
        notes=missing,
    )
