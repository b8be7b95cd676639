"""Runs one command on several kernels and says how it went on each.

Knows: which runs go side by side, the closing table, what the whole counts as. Must not know: the
command line's options, how a guest is started.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass

from tests.lab import kernels
from tests.lab.errors import GuestError, KernelUnavailableError, LabError
from tests.lab.follow import write_all
from tests.lab.guest import Result
from tests.lab.kernels import Kernel

TROUBLE = 125

Runner = Callable[[Kernel, threading.Event], Result]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one kernel: a result, or the reason there is none."""

    name: str
    result: Result | None = None
    trouble: LabError | None = None

    @property
    def unavailable(self) -> bool:
        return isinstance(self.trouble, KernelUnavailableError)


def run_each(names: Sequence[str], runner: Runner, jobs: int) -> list[Outcome]:
    """Run on every kernel that can be had; output comes in one piece per kernel."""
    outcomes: dict[str, Outcome] = {}
    stop = threading.Event()
    with ThreadPoolExecutor(max_workers=jobs) as pool:
        try:
            running: dict[Future[Outcome], str] = {}
            for name in names:
                had = _pick(name)
                if isinstance(had, Outcome):
                    outcomes[name] = had
                    continue
                running[pool.submit(_run_one, name, had, runner, stop)] = name
            for future in as_completed(running):
                outcome = future.result()
                outcomes[outcome.name] = outcome
                _show(outcome)
        except BaseException:
            # An interrupt reaches this thread only; the guests' threads learn of it here.
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise
    return [outcomes[name] for name in names]


def exit_status(outcomes: Iterable[Outcome], *, strict: bool) -> int:
    """Return 1 if a command failed, 125 if the lab did.

    A kernel that cannot be had counts as the lab's failure if strict, or if there was no other.
    """
    all_outcomes = list(outcomes)
    results = [outcome.result for outcome in all_outcomes if outcome.result is not None]
    if any(result.exit_status != 0 for result in results):
        return 1
    if any(outcome.trouble and not outcome.unavailable for outcome in all_outcomes):
        return TROUBLE
    if not results or (strict and any(outcome.unavailable for outcome in all_outcomes)):
        return TROUBLE
    return 0


def table(outcomes: Iterable[Outcome]) -> str:
    """Lay out the closing table, then one line per kernel that could not be had."""
    rows = [("kernel", "release", "status", "seconds")]
    lines = []
    for outcome in outcomes:
        if outcome.unavailable and outcome.trouble is not None:
            lines.append(outcome.trouble.summary)
            continue
        rows.append(_row(outcome))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    body = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([*body, *lines])


def _row(outcome: Outcome) -> tuple[str, str, str, str]:
    result = outcome.result
    if result is None:
        what = outcome.trouble.what if isinstance(outcome.trouble, GuestError) else "lab trouble"
        return (outcome.name, "-", what, "-")
    return (
        outcome.name,
        result.kernel_release,
        str(result.exit_status),
        f"{result.seconds:.1f}",
    )


def _pick(name: str) -> Kernel | Outcome:
    try:
        return kernels.pick(name)
    except LabError as error:
        print(f"lab: {error.summary}", file=sys.stderr, flush=True)
        return Outcome(name, trouble=error)


def _run_one(name: str, kernel: Kernel, runner: Runner, stop: threading.Event) -> Outcome:
    try:
        return Outcome(name, result=runner(kernel, stop))
    except LabError as error:
        return Outcome(name, trouble=error)


def _show(outcome: Outcome) -> None:
    print(f"=== kernel {outcome.name} ===", flush=True)
    output = b""
    if outcome.result is not None:
        output = outcome.result.output
    elif isinstance(outcome.trouble, GuestError):
        output = outcome.trouble.output
    write_all(sys.stdout.fileno(), output)
    if output and not output.endswith(b"\n"):
        print(flush=True)
    if outcome.trouble is not None:
        print(f"lab: {outcome.trouble}", file=sys.stderr, flush=True)
