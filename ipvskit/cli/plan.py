"""`ipvskit plan`: what would be changed.

    ipvskit plan state.json
    ipvskit plan state.json --vip 192.0.2.0/24 --set 'web-*' --prune-scope

Knows: what is printed. Must not know: how a plan comes about (`ipvskit.cli.planning`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipvskit.cli.common import kernel_of, say
from ipvskit.cli.main import DONE, PENDING
from ipvskit.cli.planning import Planning, configure_planning

if TYPE_CHECKING:
    import argparse

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    configure_planning(parser)


def run(options: argparse.Namespace) -> int:
    """Print the plan; returns the exit status, 2 when there is something to do."""
    planning = Planning(options)
    with kernel_of(options) as kernel:
        plan = planning.plan(planning.look(kernel))
    if options.json:
        import json

        say(json.dumps(plan.to_dict(), indent=2))
    else:
        say(str(plan))
    planning.guarded(plan)
    return PENDING if plan else DONE
