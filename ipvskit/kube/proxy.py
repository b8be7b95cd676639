"""A node that is kept as its cluster's objects want it.

Knows: when what is looked at, and what is tried again. Must not know: how objects are translated, how changes are made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from ipvskit.engine.diff import diff
from ipvskit.engine.keys import ServiceKey, SetKey
from ipvskit.engine.plan import Plan
from ipvskit.engine.scope import Scope
from ipvskit.engine.state import State
from ipvskit.errors import InvalidConfig, StalePlan
from ipvskit.kube.applying import Applying
from ipvskit.kube.config import Config
from ipvskit.kube.iptables_tool import Iptables
from ipvskit.kube.planning import NodePlan, drain_of, looked_at, plan_sets, plan_stages, with_others
from ipvskit.kube.tracker import Tracker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType

    from ipvskit.engine.ledger import Ledger
    from ipvskit.kernel import Kernel
    from ipvskit.kube.applying import SyncReport
    from ipvskit.kube.changes import NodeChanges
    from ipvskit.kube.health import HealthCheck, HealthServers, Unserved
    from ipvskit.kube.node import Node
    from ipvskit.model.address import Family

__all__ = ["Proxy"]

_ATTEMPTS = 3


class Proxy:
    """Keeps one node as the Services and EndpointSlices of its cluster want it; does for a controller what kube-proxy did in IPVS mode.

    Objects go into `tracker` as they come (`proxy.tracker.event(...)`), and `sync` brings the node up to date. The node's addresses are those of the
    kernel handle's namespace, looked up with every full pass; what `node` says of them is not used. `ledger` remembers beyond a restart since
    when real servers drain. `health_checks` False leaves health check node ports to somebody else. `iptables` makes the tool of a family. Use it
    with `with`, or call `close()`: that ends health checks, and leaves the node as it is. Not to be shared by threads.
    """

    def __init__(
        self,
        kernel: Kernel,
        node: Node,
        config: Config | None = None,
        *,
        ledger: Ledger | None = None,
        health_checks: bool = True,
        iptables: Callable[[Family], Iptables] | None = None,
    ) -> None:
        self.config = config or Config()
        self.tracker = Tracker(node, self.config)
        self._kernel = kernel
        self._make = iptables or (lambda family: Iptables(family, kernel.netns, variant=self.config.iptables))
        self._tools: dict[Family, Iptables] = {}
        self._applying = Applying(kernel, self.tools, ledger)
        self._health: HealthServers | None = None
        self._checks: dict[Family, Iterable[HealthCheck]] = {}
        self._unserved: tuple[Unserved, ...] = ()
        self._serves_health = health_checks
        #: Whether all was looked at and done, so that it is enough to look at what changed.
        self._whole = False
        #: Virtual services to be looked at again: they failed, or real servers of theirs drain.
        self._again: set[ServiceKey] = set()

    def tools(self, family: Family) -> Iptables:
        """The iptables tools of a family."""
        if family not in self._tools:
            self._tools[family] = self._make(family)
        return self._tools[family]

    # --- the whole ------------------------------------------------------------------------------------------------------------------

    def plan(self) -> NodePlan:
        """What a full pass would change now. Raises InvalidConfig before the first full listing (`tracker.resync`), and what reading raises."""
        self._look()
        whole = self.tracker.states()
        rules = {family: text for family, one in whole.items() if (text := self.tools(family).missing(one.rules))}
        snapshot = self._kernel.snapshot(looked_at(self.config.families))
        return plan_stages(snapshot, whole.state, self.config, drain_of(self.config, whole.drains), rules)

    def sync(self, *, full: bool = False, max_deletes: float = 1.0) -> SyncReport:
        """Bring the node up to date: the first time and with `full` all of it, otherwise what changed and what was left from the last time.

        Nothing is raised for what fails: the report says what, and when to come back (`requeue_after`); what failed is tried again the next time.
        A full pass whose plan deletes more than `max_deletes` (as in `Plan.guard`) raises GuardRefused. Raises InvalidConfig before the first full
        listing, StalePlan when somebody else was faster several times, and what reading raises.
        """
        if full or not self._whole:
            return self._all(max_deletes)
        changes = self.tracker.take()
        try:
            return self._some(changes)
        except BaseException:
            # What was taken must not get lost.
            self._whole = False
            raise

    def _look(self) -> None:
        if not self.tracker.listed:
            expected = "a full listing first (tracker.resync): without it everything that is there would be deleted"
            raise InvalidConfig("tracker", "nothing listed yet", expected)
        self.tracker.node = self.tracker.node.with_kernel(self._kernel)

    def _all(self, max_deletes: float) -> SyncReport:
        self._whole = False
        for attempt in range(1, _ATTEMPTS + 1):
            plan = self.plan().guard(max_deletes)
            self.tracker.take()
            try:
                report = self._applying.run(plan, self.tracker.rules(), self.tracker.wanted, full=True)
                break
            except StalePlan:
                if attempt == _ATTEMPTS:
                    raise
        whole = self.tracker.states()
        self._note(report, {family: one.health_checks for family, one in whole.items()})
        return report

    # --- what changed ---------------------------------------------------------------------------------------------------------------

    def _some(self, changes: NodeChanges) -> SyncReport:
        again = self._again - changes.touched
        for attempt in range(1, _ATTEMPTS + 1):
            plan = self._plan_some(changes, again)
            try:
                report = self._applying.run(plan, self.tracker.rules(), self.tracker.wanted, full=False)
                break
            except StalePlan:
                if attempt == _ATTEMPTS:
                    raise
        checks = {family: one.health_checks for family, one in changes.items() if one.health_checks is not None}
        self._note(report, checks)
        return report

    def _plan_some(self, changes: NodeChanges, again: set[ServiceKey]) -> NodePlan:
        sets = {name for each in changes.values() for name in each.sets}
        first = last = Plan()
        if sets:
            snapshot = self._kernel.snapshot(only=map(SetKey, sets))
            first, last = plan_sets(snapshot, State(sets=changes.state.sets.values()), sets)
        rules = {family: each.iptables for family, each in changes.items() if each.iptables is not None}
        return NodePlan(first, rules, self._plan_services(changes, again), last)

    def _plan_services(self, changes: NodeChanges, again: set[ServiceKey]) -> Plan:
        touched = {key for key in changes.touched if not isinstance(key, SetKey)} | again
        if not touched:
            return Plan()
        services = [*changes.state.services.values(), *self.tracker.wanted(again).values()]
        keys = [key for key in touched if isinstance(key, ServiceKey)]
        drain = drain_of(self.config, self.tracker.drains(keys))
        snapshot = self._kernel.snapshot(only=touched)
        devices = [with_others(one, snapshot, self.config) for one in changes.state.devices.values()]
        return diff(snapshot, State(services, devices=devices), scope=Scope(keys=touched), drain=drain)

    # --- afterwards -----------------------------------------------------------------------------------------------------------------

    def _note(self, report: SyncReport, checks: dict[Family, Any]) -> None:
        self._again = {each.service for each in report.draining} | report.failed_services
        self._whole = not report.failed_elsewhere
        self._checks |= checks
        if self._serves_health:
            if checks or self._unserved:
                self._serve()
            report.unserved = self._unserved
            if self._health is not None:
                # Balancers should look for another node while the guards of this one are not as they should be.
                self._health.healthy = self._whole

    def _serve(self) -> None:
        everything = [check for some in self._checks.values() for check in some]
        if self._health is None and everything:
            # A web server is a lot to import for nodes without such Services.
            from ipvskit.kube.health import HealthServers

            self._health = HealthServers(self._kernel.netns)
        if self._health is not None:
            self._unserved = self._health.update(everything)

    @property
    def health(self) -> HealthServers | None:
        """What answers health checks; None as long as no Service asks for it."""
        return self._health

    def close(self) -> None:
        """End health checks and let go of tools; the node stays as it is."""
        if self._health is not None:
            self._health.close()
            self._health = None
        for tool in self._tools.values():
            tool.close()
        self._tools.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
