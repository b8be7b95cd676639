"""`ipvskit ipvsadm`: restoring beside the tool, and what a short command costs before it does anything.

Knows: what is compared with what. Must not know: how lines are read.
"""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
import time

import ipvskit as ik
from ipvskit.cli.ipvsadm.program import run
from ipvskit.ipvs.backend import KernelBackend
from tests.bench import peers, workload
from tests.bench.cases import Result, below, case, faster
from tests.bench.floor import FOLDER
from tests.bench.measure import take_turns, timed
from tests.bench.workload import SERVICES, TOTAL

__all__: list[str] = []

#: Everything that listing or changing something needs, and the end of the program.
_SHORT = """
import sys
sys.path[:0] = {path!r}
from ipvskit.cli.ipvsadm import main, program, sending, tables
from ipvskit.ipvs.backend import KernelBackend
from ipvskit.netns import NetNS
NetNS.current().close()
"""


def _restore() -> float:
    """Seconds of `-R` in this process."""
    text = workload.text().encode()
    with workload.fresh() as namespace, ik.Kernel(namespace) as kernel:
        streams = [io.TextIOWrapper(io.BytesIO(data)) for data in (text, b"", b"")]
        before, sys.stdin = sys.stdin, streams[0]
        try:
            with contextlib.redirect_stdout(streams[1]), contextlib.redirect_stderr(streams[2]):
                statuses: list[int] = []
                seconds = timed(lambda: statuses.append(run(["-R"], lambda: KernelBackend(namespace))))
        finally:
            sys.stdin = before
        if statuses != [0] or len(kernel.ipvs.services(reals=False)) != SERVICES:
            raise ValueError(f"not everything was restored: {streams[2].buffer.getvalue()[:200]!r}")
    return seconds


@case(
    "command.ipvsadm_R",
    f"ipvskit ipvsadm -R, {TOTAL:,} lines",
    unit="ms",
    where="lab",
    targets=(faster(20, peers.IPVSADM),),
)
def restore() -> Result:
    """Without the interpreter's start, which in a guest alone takes ten times as long as elsewhere."""
    found = take_turns({"ours": _restore}, 9)
    others = {peers.IPVSADM: peers.ipvsadm_restore() * 1e3}
    return Result(found["ours"].best * 1e3, peers=others, worst=found["ours"].worst * 1e3)


def _short_command() -> float:
    # As an installed package has it: compiled, and without the finder of an editable installation.
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    env["PYTHONPYCACHEPREFIX"] = str(FOLDER / "bytecode")
    start = time.perf_counter()
    subprocess.run([sys.executable, "-S", "-c", _SHORT.format(path=sys.path)], env=env, check=True)
    return time.perf_counter() - start


@case(
    "command.ipvsadm_start", "ipvskit ipvsadm, a short command's start", unit="ms", where="host", targets=(below(60),)
)
def start() -> Result:
    """Interpreter included."""
    found = take_turns({"ours": _short_command}, 25)
    return Result(found["ours"].best * 1e3, worst=found["ours"].worst * 1e3)
