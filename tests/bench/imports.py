"""Import time, beside that of the standard library's modules that nobody can do without.

Knows: how to time an import in a fresh process. Must not know: what the import does.
"""

from __future__ import annotations

import os
import subprocess
import sys

from tests.bench.cases import Result, at_most, case
from tests.bench.floor import FOLDER
from tests.bench.measure import take_turns

__all__: list[str] = []

_PROGRAM = "import time; start = time.perf_counter(); import {modules}; print(time.perf_counter() - start)"


def _once(modules: str) -> float:
    command = [sys.executable, "-c", _PROGRAM.format(modules=modules)]
    # With compiled bytecode, as an installed package has it; the first round, which does not count, leaves it there.
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    env["PYTHONPYCACHEPREFIX"] = str(FOLDER / "bytecode")
    return float(subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout)


@case("imports.ipvskit", "import ipvskit", unit="ms", where="host", targets=(at_most(2.5),))
def ipvskit() -> Result:
    turns = {"ours": lambda: _once("ipvskit"), "floor": lambda: _once("dataclasses, enum, ipaddress")}
    found = take_turns(turns, 25)
    notes = ("floor: import dataclasses, enum, ipaddress",)
    return Result(found["ours"].best * 1e3, found["floor"].best * 1e3, worst=found["ours"].worst * 1e3, notes=notes)
