"""The benchmarks' command line.

    python -m tests.bench [--only PATTERN] [--kernel 7.2] [--memory 3G] [--check] [--list]

Ends with 0 when every case could be measured, whatever came out; with --check a missed target is an error as well.
Knows: options and exit statuses. Must not know: cases.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from tests.bench import report, running
from tests.bench.cases import chosen

OUTPUT = Path("build/bench.json")


def main() -> int:
    options = _parser().parse_args()
    cases = chosen(options.only)
    if options.inside is not None:
        running.inside(options.only, "lab", options.inside, options.room)
        return 0
    if options.list:
        print("\n".join(f"{case.name:<20} {case.where:<5} {case.title}" for case in cases))
        return 0
    if not cases:
        print(f"bench: no case is called {options.only!r}; see --list", file=sys.stderr)
        return 2
    runs: dict[str, running.Run] = {}
    if here := [case for case in cases if case.where == "host"]:
        runs["host"] = running.run_here(here)
    trouble = ""
    if any(case.where == "lab" for case in cases):
        runs["lab"], trouble = running.in_lab(options.only, options.kernel, options.memory)
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    OUTPUT.write_text(json.dumps(report.records(cases, runs), indent=1) + "\n")
    print(report.environment_text(runs), report.table(cases, runs), sep="\n\n")
    if trouble:
        print(f"\nbench: {trouble}")
    errors = {name: error for run in runs.values() for name, error in run.errors.items()}
    for name, error in errors.items():
        print(f"\nbench: {name} failed:\n{error}", file=sys.stderr)
    lost = report.missed(cases, runs)
    print(f"\nbench: {len(cases) - len(errors)} of {len(cases)} cases measured, {len(lost)} targets missed; {OUTPUT}")
    return 1 if errors or (options.check and lost) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench", description="ipvskit beside a C program and its peers"
    )
    parser.add_argument(
        "--only", default="", metavar="PATTERN", help="part of a case's name, or a pattern with * and ?"
    )
    parser.add_argument("--kernel", default="7.2", help="the lab's kernel (default 7.2)")
    parser.add_argument("--memory", default="2G", help="the guest's memory (default 2G)")
    parser.add_argument("--check", action="store_true", help="missed targets are an error")
    parser.add_argument("--list", action="store_true", help="name the cases and end")
    parser.add_argument("--inside", type=Path, metavar="FILE", help=argparse.SUPPRESS)
    parser.add_argument("--room", type=int, default=0, metavar="MB", help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    sys.exit(main())
