"""A large cluster: 44,000 services with 250,000 real servers, from nothing, unchanged, changed a little, and one of them changed.

Knows: what is compared with what. Must not know: how states are compared.
"""

from __future__ import annotations

import functools
import resource
from contextlib import contextmanager
from typing import TYPE_CHECKING

import ipvskit as ik
from tests.bench import workload
from tests.bench.cases import Result, at_most, below, case
from tests.bench.engine_workload import (
    ALL,
    CHANGED,
    Counting,
    additions,
    changed,
    cluster,
    converge,
    questions,
    stored,
    verify,
)
from tests.bench.floor import floor
from tests.bench.measure import take_turns, timed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ipvskit import NetNS

_PORTION = 256 << 10
_ROOM = 32 << 10


@functools.cache
def _services() -> list[ik.VirtualService]:
    return cluster()


@contextmanager
def _handle() -> Iterator[tuple[NetNS, Counting]]:
    with workload.fresh() as namespace, Counting(namespace) as kernel:
        kernel.snapshot(only=["timeouts"])
        yield namespace, kernel


@contextmanager
def _filled() -> Iterator[tuple[NetNS, Counting, ik.State]]:
    state = ik.State(_services())
    with _handle() as (namespace, kernel):
        converge(kernel, state)[1].raise_for_failures()
        yield namespace, kernel, state


def _told(kernel: Counting) -> tuple[str, ...]:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    return f"{kernel.messages:,} messages", f"{peak:.0f} MB at most, the desired state and this program included"


@case(
    "engine.empty", "44,000 services, 250,000 real servers: from nothing", unit="ms", where="lab", targets=(at_most(3),)
)
def empty() -> Result:
    messages = stored("cluster", additions(_services()))
    notes: list[tuple[str, ...]] = []

    def ours() -> float:
        # A state that was never compared: what it is compared by is made in this time.
        state = ik.State(_services())
        with _handle() as (_, kernel):
            reports: list[ik.ApplyReport] = []
            seconds = timed(lambda: reports.append(converge(kernel, state)[1]))
            reports[0].raise_for_failures()
            notes.append(_told(kernel))
            verify(kernel, state)
        return seconds

    def base() -> float:
        with workload.fresh() as namespace:
            return floor("IPVS").send(namespace, messages, _PORTION).seconds

    found = take_turns({"ours": ours, "floor": base}, 3)
    return Result(found["ours"].best * 1e3, found["floor"].best * 1e3, {}, found["ours"].worst * 1e3, notes[-1])


@case("engine.cluster", "the same, nothing to be done", unit="ms", where="lab", targets=(at_most(1.5),))
def unchanged() -> Result:
    with _filled() as (namespace, kernel, state):
        asked = stored("cluster-dumps", questions(state.services))
        verify(kernel, state)
        kernel.messages = 0
        ours = {"ours": lambda: timed(lambda: converge(kernel, state))}
        found = take_turns(ours | {"floor": lambda: floor("IPVS").dump(namespace, asked, _ROOM).seconds}, 3)
        notes = _told(kernel)
    return Result(found["ours"].best * 1e3, found["floor"].best * 1e3, {}, found["ours"].worst * 1e3, notes)


@case("engine.hundredth", "the same, 1 % of the services with other real servers", unit="ms", where="lab")
def hundredth() -> Result:
    with _filled() as (_, kernel, state):
        took = []
        for generation in range(1, 4):
            state = state.updated(changed(_services(), CHANGED, generation))
            kernel.messages = 0
            reports: list[ik.ApplyReport] = []
            wanted = state
            took.append(timed(lambda: reports.append(converge(kernel, wanted)[1])))  # noqa: B023 - used at once
            reports[0].raise_for_failures()
            notes = _told(kernel)
        verify(kernel, state)
    return Result(min(took) * 1e3, worst=max(took) * 1e3, notes=notes)


@case("engine.one", "the same, one real server changed", unit="ms", where="lab", targets=(below(5),))
def one() -> Result:
    with _filled() as (_, kernel, state):
        service = _services()[len(_services()) // 2]
        took = []
        for weight in range(2, 40):
            first = service.reals[0].replace(weight=weight)
            state = state.updated([service.replace(reals=[first, *service.reals[1:]])])
            kernel.messages = 0
            took.append(timed(functools.partial(_one, kernel, state, service.key)))
        notes = _told(kernel)
        verify(kernel, state)
    return Result(min(took) * 1e3, worst=max(took) * 1e3, notes=notes)


def _one(kernel: Counting, state: ik.State, key: ik.ServiceKey) -> None:
    report = kernel.apply(ik.diff(kernel.snapshot([key]), state, scope=ALL))
    if len(report.outcomes) != 1 or not report.converged:
        raise ValueError(str(report))
