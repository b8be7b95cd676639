"""Tables of a million entries: the difference of two, and the memory that one takes.

Knows: what is compared with what. Must not know: how tables are kept.
"""

from __future__ import annotations

import functools
import os
import subprocess
import sys

import ipvskit as ik
from ipvskit.testing.namespaces import TestNetNS
from tests.bench.cases import Result, at_most, below, case
from tests.bench.ipset_workload import IP, IP_PORT, NAME, TOTAL, Kind, dump_once, filled
from tests.bench.measure import best_of, take_turns, timed

_ROOMS = tuple(size << 10 for size in (8, 16, 32, 64))
_CHANGED = TOTAL // 100


def _difference(kind: Kind) -> Result:
    """What a program does that finds out what to change: read the set anew, compare it with what is wanted."""
    wanted = ik.Elements.parse(kind.type, kind.lines(range(_CHANGED, TOTAL + _CHANGED)))
    with filled(kind) as namespace, ik.Kernel(namespace, timeout=60) as kernel:

        def ours() -> float:
            present = kernel.ipset.entries(NAME)
            found = []
            seconds = timed(lambda: found.append(present.diff(wanted)))
            if tuple(map(len, found[0])) != (_CHANGED, _CHANGED, 0):
                raise ValueError("the difference is not what was changed")
            return seconds

        room = best_of(_ROOMS, lambda room: dump_once(namespace, room))
        turns = take_turns({"ours": ours, "floor": lambda: dump_once(namespace, room)}, 15)
    notes = ("floor: the dump; one table just read, the other parsed from text once",)
    return Result(turns["ours"].best * 1e3, turns["floor"].best * 1e3, worst=turns["ours"].worst * 1e3, notes=notes)


for _kind in (IP, IP_PORT):
    case(
        f"ipset.diff_{_kind.label}",
        f"diff() of 2 x 1,000,000 {_kind.type}, 1 % new",
        unit="ms",
        where="host",
        targets=(at_most(0.25),),
    )(functools.partial(_difference, _kind))


def _peak(namespace: str, count: int) -> float:
    """Megabytes (10^6 bytes) at most, as the child process says."""
    command = [sys.executable, "-m", "tests.bench.ipset_holding", namespace, NAME, str(count)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True, timeout=300).stdout) / 1e6


@case("ipset.memory", "1,000,000 hash:ip,port read", unit="MB", where="host", targets=(below(48),))
def memory() -> Result:
    with filled(IP_PORT) as namespace, TestNetNS(os.dup(namespace.fileno())) as usable:
        ours, base = _peak(usable.path, TOTAL), _peak(usable.path, 0)
    return Result(ours, notes=(f"{base:.0f} MB of it are Python with ipvskit imported",))
