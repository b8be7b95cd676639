"""The loop made for those who do not want to write it: look, plan, apply, look again.

Knows: snapshot, diff, apply. Must not know: how any of them works.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ipvskit.engine.apply import apply
from ipvskit.engine.diff import diff
from ipvskit.engine.keys import DaemonKey, DeviceKey, ServiceKey, SetKey, SysctlKey, TimeoutsKey
from ipvskit.engine.plan import Plan
from ipvskit.engine.report import Status
from ipvskit.engine.scope import Scope
from ipvskit.engine.state import State
from ipvskit.engine.taking import take
from ipvskit.errors import InvalidConfig, StalePlan

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ipvskit.engine.diff_sets import EntryTimeouts
    from ipvskit.engine.drain import Drain
    from ipvskit.engine.handle import Handle
    from ipvskit.engine.keys import Key
    from ipvskit.engine.ledger import Ledger
    from ipvskit.engine.plan import Change
    from ipvskit.engine.report import ApplyReport
    from ipvskit.engine.snapshot import Snapshot

__all__ = ["Reconciled", "go_back", "reconcile"]


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What a reconciliation came to: the last plan, the reports of all attempts, and `left`, the plan for what is still to do (empty: verified).

    `rolled_back` is the report of going back, None if that was not necessary or not asked for.
    """

    plan: Plan
    reports: tuple[ApplyReport, ...]
    left: Plan
    rolled_back: ApplyReport | None = None

    @property
    def report(self) -> ApplyReport:
        """That of the last attempt."""
        return self.reports[-1]

    @property
    def ok(self) -> bool:
        """Whether the state is reached, real servers that drain aside."""
        return self.report.ok and self.rolled_back is None and not self.unfinished

    @property
    def unfinished(self) -> tuple[Change, ...]:
        """What is still to do and not under way."""
        waiting = {outcome.change.key for outcome in self.report.outcomes.of(Status.DRAINING)}
        return tuple(change for change in self.left if change.key not in waiting)

    @property
    def requeue_after(self) -> float | None:
        """Seconds after which to reconcile again because something drains; None: nothing does."""
        return self.report.requeue_after

    def raise_for_failures(self) -> None:
        """Raise BulkFailed if anything failed in the last attempt."""
        self.report.raise_for_failures()


def reconcile(
    kernel: Handle,
    state: State,
    *,
    scope: Scope | None = None,
    only: Iterable[Key | str] | None = None,
    drain: Drain | None = None,
    ledger: Ledger | None = None,
    atomic: bool = False,
    entry_timeouts: EntryTimeouts = "ignore",
    max_deletes: float = 0.25,
    attempts: int = 3,
    rollback: bool = False,
) -> Reconciled:
    """One pass: read, plan, guard, apply, and read again to see that nothing is left to do.

    `only` restricts it to some keys. With a `ledger` and no `scope`, what the ledger names is the scope. A plan that was overtaken by somebody else
    is made anew, and what failed is tried again, at most `attempts` times in all. With `rollback`, if something still fails then, what was changed
    is brought back to what it was before the first attempt. `max_deletes` is as in `Plan.guard`. Raises StalePlan when the last attempt was
    overtaken too, GuardRefused, InvalidConfig, and what reading raises.
    """
    if isinstance(attempts, bool) or not isinstance(attempts, int) or attempts < 1:
        raise InvalidConfig("attempts", attempts, "a number of attempts, at least 1")
    if ledger is not None and scope is None:
        # What the ledger has, and what the state names: that is to be made by this controller.
        scope = Scope(keys=[*ledger.keys, *state.keys()])
    asked = None if only is None else list(only)

    def plan_of(snapshot: Snapshot) -> Plan:
        return diff(snapshot, state, scope=scope, drain=drain, atomic=atomic, entry_timeouts=entry_timeouts)

    before = snapshot = take(kernel, asked, ledger)
    touched: dict[Key, None] = {}
    reports: list[ApplyReport] = []
    for attempt in range(1, attempts + 1):
        plan = plan_of(snapshot).guard(max_deletes)
        touched |= dict.fromkeys(plan.owners())
        try:
            reports.append(apply(kernel, plan, ledger=ledger))
        except StalePlan:
            if attempt == attempts:
                if rollback and reports:
                    go_back(kernel, before, list(touched), ledger)
                raise
        else:
            if reports[-1].ok or attempt == attempts:
                break
        snapshot = take(kernel, asked, ledger)
    left = plan_of(take(kernel, touched, ledger)) if touched else Plan()
    if reports[-1].ok or not rollback:
        return Reconciled(plan, tuple(reports), left)
    return Reconciled(plan, tuple(reports), left, go_back(kernel, before, list(touched), ledger))


def go_back(kernel: Handle, before: Snapshot, touched: Sequence[Key], ledger: Ledger | None) -> ApplyReport:
    """To what a snapshot of everything had, for what was touched since. A plan turned around would lose the real servers of deleted services."""
    keys = dict.fromkeys(touched)
    undo = diff(take(kernel, keys), _part(before, keys), scope=Scope(keys=keys))
    return apply(kernel, undo.guard(1.0), ledger=ledger)


def _part(snapshot: Snapshot, keys: Iterable[Key]) -> State:
    """What the snapshot has of these, as a state."""
    names = [key.name for key in keys if isinstance(key, SetKey)]
    devices = [key.name for key in keys if isinstance(key, DeviceKey)]
    sysctls = {key.name: snapshot.sysctls.get(key.name) for key in keys if isinstance(key, SysctlKey)}
    roles = [key for key in keys if isinstance(key, DaemonKey)]
    return State(
        [
            service
            for key in keys
            if isinstance(key, ServiceKey) and (service := snapshot.services.get(key)) is not None
        ],
        sets=[snapshot.sets[name] for name in names if name in snapshot.sets],
        devices=[snapshot.devices[name] for name in devices if name in snapshot.devices],
        sysctls={name: value for name, value in sysctls.items() if value is not None},
        timeouts=snapshot.timeouts if TimeoutsKey() in keys else None,
        daemons=snapshot.daemons.values() if roles else None,
    )
