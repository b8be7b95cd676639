"""A node's plan as text, and for machines.

Knows: what people and machines should see of each stage. Must not know: how a plan comes about.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ipvskit.engine.plan import Plan
    from ipvskit.kube.planning import NodePlan

__all__ = ["plan_dict", "plan_text"]


def plan_text(plan: NodePlan) -> str:
    """A line for each change, in order, and one for each document of rules."""
    lines = [*_lines(plan.first)]
    lines += [
        f"~ rules of {family}: {document.count('-A ')} in {_chains(document)} chains"
        for family, document in plan.rules.items()
    ]
    lines += [*_lines(plan.live), *_lines(plan.last)]
    lines += [f"! {address} is on another device, and not put on kube-ipvs0" for address in plan.blocked]
    counts = [0, 0, 0]
    for change in plan:
        counts[0 if change.action == "add" else 2 if change.deletes else 1] += 1
    counts[1] += len(plan.rules)
    return "\n".join([*lines, f"{counts[0]} to add, {counts[1]} to edit, {counts[2]} to delete"])


def _lines(plan: Plan) -> Iterator[str]:
    return (str(change) for change in plan)


def _chains(document: str) -> int:
    return sum(line.startswith(":") for line in document.splitlines())


def plan_dict(plan: NodePlan) -> dict[str, Any]:
    """See `NodePlan.to_dict`."""
    changes = [change for each in plan.plans for change in each.to_dict()["changes"]]
    return {
        "version": 1,
        "changes": changes,
        "iptables": {str(family): document for family, document in plan.rules.items()},
        "blocked": [str(address) for address in plan.blocked],
        "foreign": [str(key) for key in plan.live.foreign],
    }
