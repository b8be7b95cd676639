"""From a file and a scope to a plan: what `ipvskit plan` and `ipvskit apply` have in common.

Knows: the options of both, what they make of a state. Must not know: what is done with a plan.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from ipvskit.cli.common import Refused, counted, names_of, read_state, seconds, tell
from ipvskit.cli.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ipvskit.engine.keys import Key
    from ipvskit.engine.ledger import Ledger
    from ipvskit.engine.plan import Plan
    from ipvskit.engine.scope import Scope
    from ipvskit.engine.snapshot import Snapshot
    from ipvskit.kernel import Kernel

__all__ = ["Planning", "configure_planning"]

#: Options that say what is one's own, by the names that `Scope` has for them.
_SCOPE = {"vip": "vips", "port": "ports", "fwmark": "fwmarks", "set": "sets", "device": "devices"}


def configure_planning(parser: argparse.ArgumentParser) -> None:
    """Declare the options of a plan."""
    parser.add_argument(
        "file", metavar="FILE", help="the wanted state: JSON, YAML, or what `ipvsadm --save` or `ipset save` write; - is standard input"
    )  # fmt: skip
    scope = parser.add_argument_group(
        "what is yours",
        "A file that names anything outside of it is refused. Nothing is deleted without --prune-scope.",
    )
    scope.add_argument(
        "--vip", action="append", metavar="NET", help="services with addresses of this network (may be repeated)"
    )
    scope.add_argument(
        "--port",
        action="append",
        metavar="PORT",
        help="services with these ports: 80, 53/udp, 8000-8100 (may be repeated)",
    )
    scope.add_argument(
        "--fwmark",
        action="append",
        metavar="MARK",
        help="services with these firewall marks: 7, 100-199 (may be repeated)",
    )
    scope.add_argument(
        "--set", action="append", metavar="PATTERN", help="sets with such names: web-allow, 'web-*' (may be repeated)"
    )
    scope.add_argument("--device", action="append", metavar="PATTERN", help="devices with such names (may be repeated)")
    scope.add_argument("--everything", action="store_true", help="all that there is in the namespace")
    scope.add_argument("--ledger", metavar="FILE", help="what `apply` with this ledger made: it is noted there")
    scope.add_argument("--prune-scope", action="store_true", help="delete what is yours and not in the file")
    scope.add_argument(
        "--max-deletes", type=_share, metavar="N", help="refuse to delete more of any kind: a number of objects, or a share such as 0.25"
    )  # fmt: skip
    parser.add_argument("--atomic", action="store_true", help="replace contents of sets all at once, by swap")
    parser.add_argument(
        "--drain", type=seconds, metavar="SECONDS", help="real servers that go get weight 0 first, and so long to lose their connections"
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="for machines")


def _share(text: str) -> float | int:
    return float(text) if "." in text else int(text)


class Planning:
    """What was asked for on the command line, and the plan for it. Raises BadFile, InvalidConfig, Refused, OSError."""

    def __init__(self, options: argparse.Namespace) -> None:
        from ipvskit.engine.drain import Drain
        from ipvskit.engine.ledger import Ledger

        self.options = options
        self.state = read_state(options.file)
        self.ledger: Ledger | None = Ledger(options.ledger) if options.ledger else None
        self.scope = self._scope()
        if options.prune_scope and self.scope is None:
            raise Refused(
                "--prune-scope goes with what is yours: --vip, --port, --fwmark, --set, --device, --ledger or --everything"
            )
        if options.drain is not None and not options.prune_scope:
            raise Refused("--drain goes with --prune-scope: without it no real server is taken out")
        self.drain = None if options.drain is None else Drain(deadline=options.drain)

    def _scope(self) -> Scope | None:
        from ipvskit.engine.scope import Scope

        options = self.options
        given: dict[str, Any] = {
            name: getattr(options, option) for option, name in _SCOPE.items() if getattr(options, option)
        }
        if options.everything:
            if given:
                raise Refused(
                    "--everything goes alone: it has all that --vip, --port, --fwmark, --set and --device could name"
                )
            return Scope.everything()
        if given:
            return Scope(**given)
        # What it made, and what is to be made now.
        return None if self.ledger is None else Scope(keys=[*self.ledger.keys, *self.state.keys()])

    def look(self, kernel: Kernel, only: Iterable[Key] | None = None) -> Snapshot:
        """What there is."""
        with Progress("reading"):
            return kernel.snapshot(only, ledger=self.ledger)

    def plan(self, snapshot: Snapshot) -> Plan:
        """What is to be done about it. Without --prune-scope the scope only says what the file may name."""
        from ipvskit.engine.diff import diff

        found = diff(snapshot, self.state, scope=self.scope, drain=self.drain, atomic=self.options.atomic)
        if self.scope is None or self.options.prune_scope:
            return found
        left = counted(found.deletions())
        if left:
            tell([f"yours and not in {names_of(self.options.file)}: {left}; --prune-scope deletes them"])
        return diff(snapshot, self.state, drain=self.drain, atomic=self.options.atomic)

    def guarded(self, plan: Plan) -> Plan:
        """The same plan, unless it deletes more than --max-deletes: then Refused is raised."""
        from ipvskit.errors import GuardRefused

        most = self.options.max_deletes
        if most is None:
            return plan
        try:
            return plan.guard(most)
        except GuardRefused as error:
            limit = f"{most:.0%} of them" if isinstance(most, float) else most
            raise Refused(
                f"the plan deletes {error.count} of {error.held} {error.kind}, and --max-deletes lets {limit} go"
            ) from None
