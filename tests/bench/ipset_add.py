"""Adding a million entries to a set: from a table, from strings, and into a set that is sized from what it is to hold.

Knows: what is compared with what. Must not know: how entries become messages.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import ipvskit as ik
from tests.bench import peers_ipset, workload
from tests.bench.cases import Result, at_most, case, faster
from tests.bench.floor import floor
from tests.bench.ipset_workload import HASHSIZE, IP, IP_PORT, MAXELEM, NAME, TOTAL, Kind, adds, empty
from tests.bench.measure import best_of, take_turns, timed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_PORTIONS = tuple(size << 10 for size in (64, 128, 256, 512, 1024, 4096))


def _floor_once(kind: Kind, portion: int, hashsize: int | None = HASHSIZE) -> float:
    with empty(kind, hashsize) as namespace:
        return floor("netfilter").send(namespace, adds(kind), portion).seconds


@functools.cache
def _portion(kind: Kind) -> int:
    """The portion with which the floor is at its best."""
    return best_of(_PORTIONS, lambda portion: _floor_once(kind, portion), 2)


def _add(kind: Kind, entries: ik.Elements | Iterable[str]) -> float:
    with workload.fresh() as namespace, ik.Kernel(namespace, timeout=60) as kernel:
        kernel.ipset.create(ik.Set(NAME, kind.type, hashsize=HASHSIZE, maxelem=MAXELEM))
        reports = []
        seconds = timed(lambda: reports.append(kernel.ipset.add_entries(NAME, entries)))
    reports[0].raise_for_failures()
    if reports[0].done != TOTAL:
        raise ValueError(f"{reports[0].done} entries were added, not {TOTAL}")
    return seconds


def _compare(
    kind: Kind, ours: Callable[[], float], others: peers_ipset.Peers, hashsize: int | None = HASHSIZE
) -> Result:
    portion = _portion(kind)
    found = take_turns({"ours": ours, "floor": lambda: _floor_once(kind, portion, hashsize)}, 9)
    return Result(
        found["ours"].best * 1e3,
        found["floor"].best * 1e3,
        {name: seconds * 1e3 for name, seconds in others[0].items()},
        found["ours"].worst * 1e3,
        (f"floor: {portion >> 10} KiB a send", *others[1]),
    )


def _table(kind: Kind) -> Result:
    """From a table into a set of the right size."""
    table = ik.Elements.parse(kind.type, kind.lines())
    return _compare(kind, lambda: _add(kind, table), peers_ipset.adding(kind))


def _strings(kind: Kind) -> Result:
    """From Python strings into a set of the right size."""
    strings = kind.strings()
    return _compare(kind, lambda: _add(kind, strings), peers_ipset.adding(kind))


def _sized(kind: Kind) -> Result:
    """From a table into a set that nobody said a size for; the floor and `ipset restore` let it grow from the usual size."""
    table = ik.Elements.parse(kind.type, kind.lines())

    def ours() -> float:
        with workload.fresh() as namespace, ik.Kernel(namespace, timeout=60) as kernel:
            wanted = ik.Set(NAME, kind.type, maxelem=MAXELEM, entries=table)
            seconds = timed(lambda: kernel.ipset.create(wanted))
            if len(kernel.ipset.entries(NAME)) != TOTAL:
                raise ValueError("not everything was added")
        return seconds

    return _compare(kind, ours, peers_ipset.growing(kind), None)


for _kind, _ahead in ((IP, 8), (IP_PORT, 25)):
    _targets = (at_most(1.15), faster(_ahead, peers_ipset.RESTORE), faster(20, peers_ipset.PYROUTE2))
    _about = f"add_entries(1,000,000 {_kind.type}"
    case(f"ipset.add_{_kind.label}", f"{_about})", unit="ms", where="host", targets=_targets)(
        functools.partial(_table, _kind)
    )
    case(f"ipset.str_{_kind.label}", f"{_about}, str)", unit="ms", where="host", targets=(at_most(1.7),))(
        functools.partial(_strings, _kind)
    )
    case(f"ipset.size_{_kind.label}", f"create(1,000,000 {_kind.type}), no hashsize", unit="ms", where="host")(
        functools.partial(_sized, _kind)
    )
