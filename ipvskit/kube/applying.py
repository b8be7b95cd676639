"""Making the changes of a node, stage by stage.

Knows: what may go on when a stage fails. Must not know: how plans come about, when to do it again.

Without its guards no service goes live: where a set could not be filled or rules could not be loaded, services and addresses that are new wait for
the next time, and those that are there go on being kept up to date. Where a virtual service could not be deleted, the sets keep what names it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ipvskit.engine.apply import apply
from ipvskit.engine.changes import Changes
from ipvskit.engine.keys import AddressKey, DeviceKey, RealKey, ServiceKey
from ipvskit.engine.plan import Action
from ipvskit.engine.report import ApplyReport
from ipvskit.errors import ConntrackNotAvailable, IpvskitError
from ipvskit.report import Report

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from ipvskit.conntrack.report import FlowReport
    from ipvskit.engine.drain import Draining
    from ipvskit.engine.ledger import Ledger
    from ipvskit.engine.plan import Change, Plan
    from ipvskit.kernel import Kernel
    from ipvskit.kube.iptables import Rules
    from ipvskit.kube.iptables_tool import Iptables
    from ipvskit.kube.planning import NodePlan
    from ipvskit.model.address import Family
    from ipvskit.model.service import VirtualService

    Wanted = Callable[[Iterable[ServiceKey]], Mapping[ServiceKey, VirtualService]]

__all__ = ["Applying", "SyncReport"]


@dataclass(slots=True)
class SyncReport(Report):
    """What became of a pass. `full` says whether all was looked at; `first`, `live`, `last` report on the plans of those stages (`NodePlan`).

    `loaded` are the families whose rules were loaded, `rule_errors` says why rules were not. `held_back` counts services and addresses that wait
    because a guard is missing. `flows` reports on UDP flows that no endpoint answers any more and were forgotten, None if there was nothing to look
    for; `flow_error` says why that could not be done. `unserved` are health checks whose port could not be had; the next pass tries again.
    """

    full: bool
    first: ApplyReport = field(default_factory=ApplyReport)
    loaded: tuple[Family, ...] = ()
    rule_errors: dict[Family, IpvskitError] = field(default_factory=dict)
    live: ApplyReport = field(default_factory=ApplyReport)
    held_back: int = 0
    last: ApplyReport = field(default_factory=ApplyReport)
    flows: FlowReport | None = None
    flow_error: IpvskitError | None = None
    unserved: tuple[Any, ...] = ()
    stopped: bool = False

    @property
    def failures(self) -> tuple[Any, ...]:  # type: ignore[override] # a base without slots only names it
        """What failed in all stages: outcomes of changes, and errors about rules and flows."""
        outcomes = [failure for each in (self.first, self.live, self.last) for failure in each.failures]
        flows = [] if self.flows is None else list(self.flows.failures)
        return (*outcomes, *self.rule_errors.values(), *flows, *([] if self.flow_error is None else [self.flow_error]))

    @property
    def draining(self) -> tuple[Draining, ...]:
        """Real servers that still have connections."""
        return self.live.draining

    @property
    def requeue_after(self) -> float | None:
        """Seconds after which to sync again because something drains; None: nothing does."""
        return self.live.requeue_after

    @property
    def failed_services(self) -> set[ServiceKey]:
        """The virtual services that a change failed for."""
        keys = (outcome.change.key for outcome in self.live.failures)
        return {
            key.service if isinstance(key, RealKey) else key for key in keys if isinstance(key, RealKey | ServiceKey)
        }

    @property
    def failed_elsewhere(self) -> bool:
        """Whether anything but virtual services and flows failed, so that all has to be looked at again."""
        devices = any(isinstance(outcome.change.key, AddressKey | DeviceKey) for outcome in self.live.failures)
        return bool(self.first.failures or self.rule_errors or self.held_back or devices or self.last.failures)

    def counts(self) -> dict[str, int]:
        """How many changes there are of each outcome, over all stages."""
        found: dict[str, int] = {}
        for each in (self.first, self.live, self.last):
            for name, count in each.counts().items():
                found[name] = found.get(name, 0) + count
        return found

    def to_dict(self) -> dict[str, Any]:
        """For machines: the reports of the stages as those of `ApplyReport.to_dict`, and what stands beside them."""
        flows = None if self.flows is None else {"done": self.flows.done, "already": self.flows.already}
        return {
            "version": 1,
            "full": self.full,
            "first": self.first.to_dict(),
            "loaded": [str(family) for family in self.loaded],
            "rule_errors": {str(family): str(error) for family, error in self.rule_errors.items()},
            "live": self.live.to_dict(),
            "held_back": self.held_back,
            "last": self.last.to_dict(),
            "flows": flows,
            "flow_error": None if self.flow_error is None else str(self.flow_error),
            "unserved": [str(each) for each in self.unserved],
            "requeue_after": self.requeue_after,
        }

    def __str__(self) -> str:
        counts = ", ".join(f"{count} {status}" for status, count in self.counts().items() if count)
        parts = [counts or "nothing to do"]
        parts += [f"rules of {' and '.join(map(str, self.loaded))} loaded"] if self.loaded else []
        parts += [f"{self.held_back} held back"] if self.held_back else []
        parts += [f"{self.flows.done} stale flows forgotten"] if self.flows is not None and self.flows.done else []
        return self._text("; ".join(parts), (getattr(failure, "error", failure) for failure in self.failures))


class Applying:
    """Applies the plans of one node. `tools` makes the iptables tools of a family."""

    def __init__(self, kernel: Kernel, tools: Callable[[Family], Iptables], ledger: Ledger | None) -> None:
        self._kernel, self._tools, self._ledger = kernel, tools, ledger
        #: Whether flows were looked at since the start: a process that was killed may have left stale ones.
        self._swept = False

    def run(self, plan: NodePlan, rules: Mapping[Family, Rules], wanted: Wanted, *, full: bool) -> SyncReport:
        """All stages. Raises StalePlan when somebody else changed what a plan is about: then what was done is as it was to be."""
        report = SyncReport(full)
        report.first = self._apply(plan.first)
        self._load(plan, rules, report)
        live = plan.live
        if report.first.failures or report.rule_errors:
            live, report.held_back = _without_new(live)
        report.live = self._apply(live)
        if not any(outcome.change.deletes for outcome in report.live.failures):
            report.last = self._apply(plan.last)
        self._forget_flows(plan.live, wanted, report)
        return report

    def _apply(self, plan: Plan) -> ApplyReport:
        return apply(self._kernel, plan, ledger=self._ledger) if plan else ApplyReport()

    def _load(self, plan: NodePlan, rules: Mapping[Family, Rules], report: SyncReport) -> None:
        loaded = []
        for family in plan.rules:
            try:
                self._tools(family).ensure(rules[family])
                loaded.append(family)
            except IpvskitError as error:
                report.rule_errors[family] = error
        report.loaded = tuple(loaded)

    def _forget_flows(self, plan: Plan, wanted: Wanted, report: SyncReport) -> None:
        """Flows of UDP services that changed: UDP knows no end, so without this they would go on to where nobody is."""
        changed = {key for key in plan.owners() if isinstance(key, ServiceKey) and key.protocol == "udp"}
        now = dict(wanted(changed))
        if not self._swept and plan.basis is not None:
            now |= wanted(key for key in plan.basis.services.keys_in_order if key.protocol == "udp")
        places: dict[Any, Any] = {(key.address, key.port): _endpoints(now.get(key)) for key in changed | now.keys()}
        if not places:
            return
        try:
            report.flows = self._kernel.conntrack.delete_stale(places, protocol="udp")
            self._swept = True
        except ConntrackNotAvailable:
            # Nothing tracks flows, so none can be stale.
            self._swept = True
        except IpvskitError as error:
            report.flow_error = error


def _endpoints(service: VirtualService | None) -> list[Any]:
    return [] if service is None else [(real.address, real.port) for real in service.reals]


def _without_new(plan: Plan) -> tuple[Plan, int]:
    """The plan without services, addresses and devices that are new, and how many those are."""
    kept = [change for change in plan if not _is_new(change)]
    return replace(plan, changes=Changes([tuple(kept)])), len(plan) - len(kept)


def _is_new(change: Change) -> bool:
    return change.action is Action.ADD and not isinstance(change.key, RealKey)
