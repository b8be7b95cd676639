"""`ipvskit ipset` beside the tool, both as whole processes: a million lines restored, a million entries saved, a short command.

Knows: what is compared with what. Must not know: how lines are read.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from ipvskit.testing.namespaces import TestNetNS
from tests.bench import ipset_workload as sets
from tests.bench import peers_ipset, workload
from tests.bench.cases import Result, below, case, faster
from tests.bench.floor import FOLDER
from tests.bench.measure import take_turns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ipvskit import NetNS

__all__: list[str] = []

_PROGRAM = "import sys; sys.path[:0] = {path!r}; from ipvskit.cli.ipset import main; sys.exit(main())"


def _run(namespace: NetNS, words: Sequence[str]) -> float:
    """Seconds of one command, the interpreter included, as an installed package has it: compiled."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    env["PYTHONPYCACHEPREFIX"] = str(FOLDER / "bytecode")
    command = [sys.executable, "-S", "-c", _PROGRAM.format(path=sys.path), *words]
    with TestNetNS(os.dup(namespace.fileno())) as usable:
        start = time.perf_counter()
        # With a timeout subprocess looks at the end ever more rarely: what takes 40 ms is found to take 63.
        usable.run(command, env=env, stdout=subprocess.DEVNULL, capture_output=False, timeout=None)
        return time.perf_counter() - start


@case(
    "command.ipset_restore",
    f"ipvskit ipset restore, {sets.TOTAL:,} lines",
    unit="ms",
    where="host",
    targets=(faster(1, peers_ipset.RESTORE),),
)
def restore() -> Result:
    file = str(sets.restore(sets.IP, None))

    def ours() -> float:
        with workload.fresh() as namespace:
            return _run(namespace, ["restore", "-file", file])

    found = take_turns({"ours": ours, "ipset": lambda: peers_ipset.ipset_restore(sets.IP, None)}, 3)
    peers = {peers_ipset.RESTORE: found["ipset"].best * 1e3}
    return Result(found["ours"].best * 1e3, peers=peers, worst=found["ours"].worst * 1e3)


@case(
    "command.ipset_save",
    f"ipvskit ipset save, {sets.TOTAL:,} entries",
    unit="ms",
    where="host",
    targets=(faster(1, peers_ipset.SAVE),),
)
def save() -> Result:
    with sets.filled(sets.IP) as namespace, TestNetNS(os.dup(namespace.fileno())) as usable:
        contestants = {
            "ours": lambda: _run(namespace, ["save", sets.NAME]),
            "ipset": lambda: peers_ipset.ipset_save(usable),
        }
        found = take_turns(contestants, 5)
    peers = {peers_ipset.SAVE: found["ipset"].best * 1e3}
    return Result(found["ours"].best * 1e3, peers=peers, worst=found["ours"].worst * 1e3)


@case("command.ipset_start", "ipvskit ipset, a short command", unit="ms", where="host", targets=(below(60),))
def start() -> Result:
    """Interpreter included."""
    with workload.fresh() as namespace:
        found = take_turns({"ours": lambda: _run(namespace, ["list", "-n"])}, 15)
    return Result(found["ours"].best * 1e3, worst=found["ours"].worst * 1e3)
