"""The results as a table for people, and as a file for programs.

Knows: how results are shown. Must not know: how they were measured.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.bench.cases import Case, Result
    from tests.bench.running import Run

__all__ = ["environment_text", "missed", "records", "table"]


def environment_text(runs: dict[str, Run]) -> str:
    """What was measured on what; the guest's lines only where they differ."""
    lines = []
    shown: dict[str, str] = {}
    for place, run in runs.items():
        for name, value in run.environment.items():
            if shown.get(name) != value:
                lines.append(f"{place:<5}{name:<11}{value}")
            shown.setdefault(name, value)
    return "\n".join(lines)


def _figure(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.0f}" if value >= 1000 else f"{value:.3g}"


def _lines(case: Case, result: Result) -> list[str]:
    spread = f" (to {_figure(result.worst)})" if result.worst is not None else ""
    ratio = f"{result.ours / result.floor:.2f}x" if result.floor else "-"
    figures = f"{_figure(result.ours) + spread:>20} {_figure(result.floor):>9} {ratio:>7}  {case.unit}"
    lines = [f"{case.name:<20} {case.title:<46} {figures}"]
    lines += [f"{'':<23}{target.text(result, case.unit)}" for target in case.targets]
    lines += [
        f"{'':<23}{name}: {_figure(value)} {case.unit}, {value / result.ours:.0f}x ours"
        for name, value in result.peers.items()
    ]
    return lines + [f"{'':<23}({note})" for note in result.notes]


def table(cases: list[Case], runs: dict[str, Run]) -> str:
    """Every case with its figures, targets, peers and notes."""
    lines = [f"{'name':<20} {'what':<46} {'ours (to worst)':>20} {'floor':>9} {'ratio':>7}  unit"]
    for case in cases:
        run = runs[case.where]
        if case.name in run.results:
            lines += _lines(case, run.results[case.name])
        else:
            reason = run.errors.get(case.name, "no result").strip().splitlines()[-1]
            lines.append(f"{case.name:<20} {case.title:<46} FAILED: {reason}")
    return "\n".join(lines)


def missed(cases: list[Case], runs: dict[str, Run]) -> list[str]:
    """The targets that were measured and missed."""
    found = []
    for case in cases:
        result = runs[case.where].results.get(case.name)
        for target in case.targets if result is not None else ():
            reached = target.reached(result) if result is not None else None
            if reached is not None and not reached[1] and result is not None:
                found.append(f"{case.name}: {target.text(result, case.unit)}")
    return found


def records(cases: list[Case], runs: dict[str, Run]) -> list[dict[str, Any]]:
    """What goes into the file."""
    found = []
    for case in cases:
        run = runs[case.where]
        result = run.results.get(case.name)
        if result is not None:
            found.append(
                {
                    "name": case.name,
                    "unit": case.unit,
                    "ours": result.ours,
                    "floor": result.floor,
                    "peers": dict(result.peers),
                    "kernel": run.environment["kernel"],
                }
            )
    return found
