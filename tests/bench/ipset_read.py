"""Reading a set of a million entries: into a table, and to text.

Knows: what is compared with what. Must not know: how dumps are received.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import ipvskit as ik
from tests.bench import peers_ipset
from tests.bench.cases import Result, at_most, case, faster
from tests.bench.ipset_workload import IP, IP_PORT, NAME, TOTAL, Kind, dump_once, filled
from tests.bench.measure import best_of, take_turns, timed

if TYPE_CHECKING:
    from collections.abc import Callable

_ROOMS = tuple(size << 10 for size in (8, 16, 32, 64))


def _compare(kind: Kind, read: Callable[[ik.Kernel], object], check: Callable[[object], bool]) -> Result:
    with filled(kind) as namespace, ik.Kernel(namespace, timeout=60) as kernel:
        if not check(read(kernel)):
            raise ValueError("what was read is not what was added")

        def ours() -> float:
            kept: list[object] = []
            return timed(lambda: kept.append(read(kernel)))

        room = best_of(_ROOMS, lambda room: dump_once(namespace, room))
        found = take_turns({"ours": ours, "floor": lambda: dump_once(namespace, room)}, 15)
    others, missing = peers_ipset.listing(kind)
    return Result(
        found["ours"].best * 1e3,
        found["floor"].best * 1e3,
        {name: seconds * 1e3 for name, seconds in others.items()},
        found["ours"].worst * 1e3,
        (f"floor: {room >> 10} KiB to receive", *missing),
    )


def _table(kind: Kind) -> Result:
    """Into a table."""
    return _compare(
        kind,
        lambda kernel: kernel.ipset.entries(NAME),
        lambda table: table == ik.Elements.parse(kind.type, kind.lines()),
    )


def _text(kind: Kind) -> Result:
    """To the text that `ipset save` writes."""

    def same(text: object) -> bool:
        added = {line.rpartition(" ")[2] for line in str(text).splitlines() if line.startswith("add ")}
        return len(added) == TOTAL and added == set(kind.strings())

    return _compare(kind, lambda kernel: kernel.ipset.save(NAME), same)


for _kind, _ahead in ((IP, 2), (IP_PORT, 15)):
    case(
        f"ipset.list_{_kind.label}",
        f"entries() of 1,000,000 {_kind.type}",
        unit="ms",
        where="host",
        targets=(at_most(1.3),),
    )(functools.partial(_table, _kind))
    case(
        f"ipset.save_{_kind.label}",
        f"save() of 1,000,000 {_kind.type}",
        unit="ms",
        where="host",
        targets=(faster(_ahead, peers_ipset.SAVE),),
    )(functools.partial(_text, _kind))
