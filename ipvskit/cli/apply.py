"""`ipvskit apply`: make the kernel match a file.

    ipvskit apply state.json
    ipvskit apply state.json --vip 192.0.2.0/24 --prune-scope --drain 60 --wait

Knows: what is asked before and said afterwards. Must not know: how a plan comes about (`ipvskit.cli.planning`), how changes are made.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

from ipvskit.cli.common import STDIN, Refused, counted, kernel_of, names_of, say, tell
from ipvskit.cli.main import DONE, ERROR
from ipvskit.cli.planning import Planning, configure_planning
from ipvskit.cli.progress import Progress

if TYPE_CHECKING:
    import argparse

    from ipvskit.engine.plan import Plan
    from ipvskit.engine.report import ApplyReport
    from ipvskit.kernel import Kernel

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    configure_planning(parser)
    parser.add_argument("-y", "--yes", action="store_true", help="delete without asking")
    parser.add_argument("--wait", action="store_true", help="come back until nothing drains any more")
    parser.add_argument(
        "--rollback-on-failure", action="store_true", help="if anything fails, bring back what was changed"
    )


def run(options: argparse.Namespace) -> int:
    """Make the changes; returns the exit status, 1 when anything failed or was not allowed."""
    if options.wait and options.drain is None:
        raise Refused("--wait goes with --drain")
    planning = Planning(options)
    with kernel_of(options) as kernel:
        snapshot = planning.look(kernel)
        plan = planning.guarded(planning.plan(snapshot))
        if plan and not options.json:
            plan = _allowed(plan, options)
        elif plan:
            plan = _without_asking(plan, options)
        with Progress(f"applying {len(plan)} changes") as shown:
            report = kernel.apply(plan, ledger=planning.ledger, progress=shown.reached)
        back = None
        if not report.ok and options.rollback_on_failure:
            from ipvskit.engine.reconcile import go_back

            back = go_back(kernel, snapshot, plan.owners(), planning.ledger)
        if not options.json:
            _tell_outcomes(report, back)
        if options.wait and report.ok and report.requeue_after is not None:
            report = _waited(kernel, planning, plan, report)
    if options.json:
        _say_json(report, back)
    elif report.requeue_after is not None and back is None:
        tell([f"apply again in {report.requeue_after:.0f} s to delete what drains, or let --wait do it"])
    return DONE if report.ok and back is None else ERROR


# --- before -------------------------------------------------------------------------------------------------------------------------


def _allowed(plan: Plan, options: argparse.Namespace) -> Plan:
    """The plan if it may be applied: one that deletes is shown and asked about where somebody can answer."""
    what = counted(plan.deletions())
    if not what or options.yes or options.file == STDIN or not (sys.stdin.isatty() and sys.stdout.isatty()):
        return _without_asking(plan, options)
    say(str(plan))
    sys.stdout.flush()
    sys.stderr.write(f"delete {what}? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise Refused("nothing was done")
    return plan if plan.guarded else plan.guard(1.0)


def _without_asking(plan: Plan, options: argparse.Namespace) -> Plan:
    what = counted(plan.deletions())
    if what and not options.yes:
        raise Refused(f"the plan deletes {what}: look at it with `ipvskit plan`, then say --yes")
    if what and plan.empty and not plan.guarded:
        # Nobody looked: an empty file is a question, not an order.
        name = names_of(options.file)
        raise Refused(
            f"{name} is an empty state, and the plan deletes {what}: --max-deletes 1.0 says that all of it may go"
        )
    return plan


# --- afterwards ---------------------------------------------------------------------------------------------------------------------


def _tell_outcomes(report: ApplyReport, back: ApplyReport | None) -> None:
    from ipvskit.engine.keys import AddressKey, DeviceKey
    from ipvskit.engine.report import Status

    for outcome in report.outcomes.of(Status.ALREADY, Status.DRAINING, Status.FAILED, Status.SKIPPED):
        # What drains is told with its connections.
        if outcome.status is not Status.DRAINING or isinstance(outcome.change.key, AddressKey | DeviceKey):
            say(str(outcome))
    for each in report.draining:
        say(f"draining: {each}")
    say(_summary(report))
    if back is not None:
        say(f"brought back: {_summary(back)}")
        tell(str(outcome) for outcome in back.failures)


def _summary(report: ApplyReport) -> str:
    return ", ".join(f"{count} {status}" for status, count in report.counts().items() if count) or "nothing to do"


def _say_json(report: ApplyReport, back: ApplyReport | None) -> None:
    import json

    found: dict[str, Any] = report.to_dict()
    say(json.dumps(found if back is None else found | {"brought_back": back.to_dict()}, indent=2))


def _waited(kernel: Kernel, planning: Planning, plan: Plan, report: ApplyReport) -> ApplyReport:
    """Plan and apply again, for what the plan was about only, until nothing drains or something fails."""
    most = _connections(report)
    with Progress("draining") as shown:
        while report.ok and report.requeue_after is not None:
            left = _connections(report)
            shown.text = f"draining, {left} connections"
            shown.part = 1 - left / most if most else None
            time.sleep(report.requeue_after)
            again = planning.plan(kernel.snapshot(plan.owners(), ledger=planning.ledger))
            report = kernel.apply(again.guard(1.0), ledger=planning.ledger)
    if not planning.options.json:
        _tell_outcomes(report, None)
    return report


def _connections(report: ApplyReport) -> int:
    return sum(each.status.active + each.status.inactive for each in report.draining)
