"""Peak memory of a process that holds a large cluster's services as values, told by a process of its own.

Knows: how a process says what it took at most. Must not know: how values are made.
"""

from __future__ import annotations

import subprocess
import sys

from tests.bench.cases import Result, below, case

__all__: list[str] = []

SERVICES, REALS = 44_000, 250_000


def _peak(*arguments: str) -> float:
    """Megabytes (10^6 bytes) at most, as the child process says."""
    command = [sys.executable, "-m", "tests.bench.holding", *arguments]
    return float(subprocess.run(command, capture_output=True, text=True, check=True, timeout=900).stdout) / 1e6


def _held(source: str) -> Result:
    size = [str(SERVICES), str(REALS)]
    ours, base = _peak(source, *size), _peak("nothing", *size)
    return Result(ours, notes=(f"{base:.0f} MB of it are Python with ipvskit imported",))


@case("memory.values", "44,000 services, 250,000 real servers held", unit="MB", where="host", targets=(below(200),))
def values() -> Result:
    return _held("rows")


@case("memory.kernel", "the same read from the kernel", unit="MB", where="lab", targets=(below(200),))
def kernel() -> Result:
    return _held("kernel")
