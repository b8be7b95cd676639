"""Taking away what was made on a node, and nothing else.

Knows: the order: services, addresses, rules, sets. Must not know: what is wanted.

Both families and both variants of iptables are looked at, whatever a configuration says: what is to go may have been made with another one, or by
kube-proxy in IPVS mode, which has the same names.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, get_args

from ipvskit.engine.apply import apply
from ipvskit.engine.diff import diff
from ipvskit.engine.keys import DeviceKey
from ipvskit.engine.report import ApplyReport
from ipvskit.engine.scope import Scope
from ipvskit.engine.state import State
from ipvskit.ipvs.holding import HeldServices
from ipvskit.kube.config import Config, Variant
from ipvskit.kube.iptables_tool import Iptables, IptablesFailed, IptablesNotAvailable
from ipvskit.kube.names import DEVICE, set_names
from ipvskit.kube.owning import owned_services
from ipvskit.kube.planning import looked_at
from ipvskit.model.address import Family
from ipvskit.report import Report

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ipvskit.engine.plan import Plan
    from ipvskit.engine.snapshot import Snapshot
    from ipvskit.kernel import Kernel

__all__ = ["CleanupReport", "cleanup", "plan_cleanup"]


@dataclass(slots=True)
class CleanupReport(Report):
    """What was taken away: `live` reports on virtual services and the device, `last` on the sets.

    `rules` are the tools by name ("iptables-nft") that had rules of ours; `kept` are chains (table, chain, the chain that leads there) that stay,
    empty, because others' rules lead to them; `rule_errors` says what a tool refused.
    """

    live: ApplyReport = field(default_factory=ApplyReport)
    rules: tuple[str, ...] = ()
    kept: tuple[tuple[str, str, str], ...] = ()
    rule_errors: tuple[IptablesFailed, ...] = ()
    last: ApplyReport = field(default_factory=ApplyReport)
    stopped: bool = False

    @property
    def failures(self) -> tuple[Any, ...]:  # type: ignore[override] # a base without slots only names it
        """What could not be taken away."""
        return (*self.live.failures, *self.rule_errors, *self.last.failures)

    def to_dict(self) -> dict[str, Any]:
        """For machines: the reports as those of `ApplyReport.to_dict`, and what stands beside them."""
        return {
            "version": 1,
            "live": self.live.to_dict(),
            "rules": list(self.rules),
            "kept": [list(each) for each in self.kept],
            "rule_errors": [str(error) for error in self.rule_errors],
            "last": self.last.to_dict(),
        }

    def __str__(self) -> str:
        parts = [str(self.live), *([f"rules of {', '.join(self.rules)}"] if self.rules else []), str(self.last)]
        parts += [
            f"chain {chain} of {table} stays, empty: a rule in {by} leads to it" for table, chain, by in self.kept
        ]
        return self._text("\n".join(parts), (getattr(failure, "error", failure) for failure in self.failures))


def plan_cleanup(snapshot: Snapshot, config: Config) -> tuple[Plan, Plan]:
    """What goes before the rules, and the sets, which go after them."""
    mine = {name: one for name, one in snapshot.devices.items() if name == DEVICE}
    there = replace(snapshot, sets={}, set_status={}, leftovers=(), devices=mine)
    scope = Scope(keys=[*owned_services(snapshot, config), DeviceKey(DEVICE)])
    live = diff(there, State(), scope=scope).guard(1.0)
    rest = replace(snapshot, services=HeldServices.of(()), devices={})
    sets = Scope(sets=[name for family in Family for name in set_names(family)])
    return live, diff(rest, State(), scope=sets).guard(1.0)


def cleanup(
    kernel: Kernel, config: Config | None = None, *, iptables: Callable[[Family, Variant], Iptables] | None = None
) -> CleanupReport:
    """Take away virtual services that are the node's own, kube-ipvs0, chains and jumps, and the sets, of both families.

    What others made stays, and so do virtual services in the configuration's `exclude_cidrs`; settings and timeouts stay as they are. It may be
    called again. Nothing is raised for what fails: see the report. Raises StalePlan when somebody else changes the same objects, and what reading
    raises.
    """
    config = replace(config or Config(), families=tuple(Family))
    live, last = plan_cleanup(kernel.snapshot(looked_at(Family)), config)
    report = CleanupReport(live=apply(kernel, live))
    make = iptables or (lambda family, variant: Iptables(family, kernel.netns, variant=variant))
    _remove_rules(make, report)
    report.last = apply(kernel, last)
    return report


def _remove_rules(make: Callable[[Family, Variant], Iptables], report: CleanupReport) -> None:
    for tool in _tools(make):
        with tool:
            try:
                found = tool.remove()
            except IptablesNotAvailable:
                continue
            except IptablesFailed as error:
                report.rule_errors = (*report.rule_errors, error)
                continue
            if found.document:
                report.rules = (*report.rules, tool.program)
            report.kept = (*report.kept, *found.kept)


def _tools(make: Callable[[Family, Variant], Iptables]) -> Iterator[Iptables]:
    for family in Family:
        for variant in get_args(Variant):
            if variant != "auto":
                yield make(family, variant)
