"""Running cases here, and those that need IPVS together in one guest of the lab.

Knows: processes, the lab's command line, the file that the results come back in. Must not know: what cases measure, how results are shown.
"""

from __future__ import annotations

import json
import subprocess
import sys
import traceback
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.bench import environment
from tests.bench.cases import Result, chosen
from tests.bench.floor import FOLDER, build

if TYPE_CHECKING:
    from tests.bench.cases import Case, Where

__all__ = ["Run", "in_lab", "inside", "run_here"]

_SECONDS = 1500
#: A process in a guest takes a mapping of the host for nearly each of its pages; when there are no more, it stands still for ever.
_MAPPINGS = Path("/proc/sys/vm/max_map_count")
_PAGES_PER_MEGABYTE = 256


@dataclass(slots=True)
class Run:
    """What came of the cases in one place."""

    environment: dict[str, str] = field(default_factory=dict)
    results: dict[str, Result] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)


def run_here(cases: list[Case]) -> Run:
    """Run them in this process; one that fails does not stop the others."""
    run = Run(environment.describe())
    for case in cases:
        print(f"  {case.name}", file=sys.stderr, flush=True)
        try:
            run.results[case.name] = case.measure()
        except Exception:
            run.errors[case.name] = traceback.format_exc()
    return run


def inside(pattern: str, where: Where, path: Path, room: int) -> None:
    """What runs in the guest: the cases for it that find so many megabytes enough, and the results into the file."""
    run = run_here([case for case in chosen(pattern) if case.where == where and case.memory <= room])
    path.write_text(json.dumps(asdict(run)))


def in_lab(pattern: str, kernel: str, memory: str) -> tuple[Run, str]:
    """Run them in a guest with this kernel, or with whichever can be had; also what to say about that."""
    build()
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / "lab.json"
    room = int(_MAPPINGS.read_text()) // _PAGES_PER_MEGABYTE
    trouble = ""
    for attempt in (kernel, "auto"):
        path.unlink(missing_ok=True)
        guest = ["run", "--kernel", attempt, "--timeout", str(_SECONDS), "--memory", memory]
        work = [sys.executable, "-m", "tests.bench", "--only", pattern, "--inside", str(path), "--room", str(room)]
        status = subprocess.run([sys.executable, "-m", "tests.lab", *guest, "--", *work], check=False).returncode
        if path.exists():
            run = _loaded(json.loads(path.read_text()))
            run.errors |= _too_large(pattern, room)
            return run, trouble
        if status != 125 or attempt == "auto":
            raise RuntimeError(f"the guest with kernel {attempt} ended with status {status} and left no results")
        trouble = f"kernel {attempt} could not be had; ran on another one"
    raise AssertionError


def _too_large(pattern: str, room: int) -> dict[str, str]:
    return {
        case.name: f"a process in a guest has {room} MB here, this takes {case.memory} MB: "
        f"sysctl vm.max_map_count={case.memory * _PAGES_PER_MEGABYTE}"
        for case in chosen(pattern)
        if case.where == "lab" and case.memory > room
    }


def _loaded(data: dict[str, Any]) -> Run:
    results = {name: Result(**{**fields, "notes": tuple(fields["notes"])}) for name, fields in data["results"].items()}
    return Run(data["environment"], results, data["errors"])
