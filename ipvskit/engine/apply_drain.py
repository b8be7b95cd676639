"""Draining: weight 0, look, delete.

Knows: how real servers are taken out without cutting connections. Must not know: why.

Nothing is waited for: what still has connections stays as it is, and the report says when to look again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ipvskit.engine.apply_services import delete_real, run_operations
from ipvskit.engine.changes import segments_of
from ipvskit.engine.drain import Drain, Drained, Draining, with_weight
from ipvskit.engine.keys import AddressKey, RealKey
from ipvskit.engine.plan import Action
from ipvskit.engine.report import Status
from ipvskit.errors import NotFound
from ipvskit.ipvs.operations import DeleteService, ReplaceReal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ipvskit.engine.handle import Handle
    from ipvskit.engine.keys import Key
    from ipvskit.engine.plan import Change, Plan
    from ipvskit.engine.verdicts import Verdicts, Work
    from ipvskit.ipvs.operations import DeleteReal
    from ipvskit.model.address import IPAddress
    from ipvskit.model.key import ServiceKey
    from ipvskit.model.real import RealServer
    from ipvskit.model.status import RealServerStatus

__all__ = ["Drainer"]


class Drainer:
    """The drains of one plan. `now` is in seconds since the epoch."""

    def __init__(self, kernel: Handle, plan: Plan, verdicts: Verdicts, now: float) -> None:
        self._kernel, self._plan, self._verdicts, self._now = kernel, plan, verdicts, now
        self._drain = plan.drain or Drain()
        self._remembered = dict(plan.basis.draining) if plan.basis is not None else {}
        self._reals = [
            found
            for _, segment in segments_of(plan.changes)
            if isinstance(segment, tuple)
            for change in segment
            if change.action is Action.DRAIN
            for found in _reals_of(change)
        ]
        #: What is still on its way out.
        self._going = {key for key, _ in self._reals}

    def remember(self) -> None:
        """Have the kernel handle know which weights are about to be taken: afterwards nobody else does."""
        draining = self._kernel.draining
        for key, real in self._reals:
            known = draining.get(key) or self._remembered.get(key)
            if known is None or real.weight:
                draining[key] = Drained(self._now, real.weight or 1)
            else:
                # A clock that was set back does not prolong it.
                draining[key] = Drained(min(known.since, self._now), known.weight)

    def run(self, work: Sequence[Work]) -> None:
        """Drain real servers, or whole services."""
        reals = [(place, key, real) for place, change in work for key, real in _reals_of(change)]
        failed = self._quiesce(reals)
        services = list(dict.fromkeys(key.service for _, key, _ in reals))
        status = self._kernel.ipvs.reals_status(services)
        found = {
            RealKey(service, one.real.address, one.real.port): one for service, some in status.items() for one in some
        }
        ready: list[Work] = []
        for place, change in work:
            if place in failed:
                continue
            waiting = self._waiting(change, found)
            if waiting:
                self._wait(place, waiting)
            else:
                ready.append((place, change))
        run_operations(self._kernel, ready, self._verdicts, _deletion)
        for place, change in ready:
            if self._verdicts.status(place) in {Status.DONE, Status.ALREADY}:
                self._going.difference_update(key for key, _ in _reals_of(change))

    def _quiesce(self, reals: Sequence[tuple[int, RealKey, RealServer]]) -> set[int]:
        """Take the weight of those that still have one; returns the places of changes for which that failed."""
        active = [(place, key, real) for place, key, real in reals if real.weight]
        operations = [ReplaceReal(key.service, with_weight(real, 0)) for _, key, real in active]
        report = self._kernel.ipvs.bulk(operations) if operations else None
        failed: set[int] = set()
        for failure in report.failures if report is not None else ():
            place, _, _ = active[failure.index]
            if isinstance(failure.error, NotFound):
                continue
            failed.add(place)
            self._verdicts.failed(place, failure.error)
        return failed

    def _waiting(self, change: Change, found: dict[RealKey, RealServerStatus]) -> list[Draining]:
        waiting = []
        for key, _ in _reals_of(change):
            status = found.get(key)
            if status is None or self._drain.idle(status):
                continue
            left = self._drain.left(key.service, self._kernel.draining[key].since, self._now)
            if left is None or left > 0:
                waiting.append(Draining(key.service, status, left))
        return waiting

    def _wait(self, place: int, waiting: list[Draining]) -> None:
        verdicts = self._verdicts
        verdicts.waits(place, f"{len(waiting)} with connections")
        verdicts.draining += waiting
        soonest = min((one.left for one in waiting if one.left is not None), default=self._drain.interval)
        after = min(self._drain.interval, soonest)
        verdicts.requeue_after = after if verdicts.requeue_after is None else min(after, verdicts.requeue_after)

    def needless(self, work: Sequence[Work]) -> list[Work]:
        """Of deletions of addresses, those that no service needs any more; the others wait. Other changes are handed on."""
        # That of a service whose draining failed too: nobody looked whether it has connections.
        busy: set[IPAddress | None] = {key.service.address for key in self._going}
        free = []
        for place, change in work:
            held: Any = change.before if change.deletes else None
            addresses = [held] if isinstance(change.key, AddressKey) else getattr(held, "addresses", ())
            if held is not None and any(address.ip in busy for address in addresses):
                self._verdicts.waits(place, "a service that drains has this address")
            else:
                free.append((place, change))
        return free

    def finish(self) -> None:
        """Forget what no longer drains."""
        draining = self._kernel.draining
        basis = self._plan.basis
        kept = self._going | self._without_weight()
        for key in list(draining):
            if key not in kept and (basis is None or basis.covers(key.service)):
                del draining[key]

    def _without_weight(self) -> set[Key]:
        """Those that are wanted again and did not get their weight back: the next plan has to know which."""
        made = {Status.DONE, Status.ALREADY}
        return {
            change.key
            for start, segment in segments_of(self._plan.changes)
            if isinstance(segment, tuple)
            for place, change in enumerate(segment, start)
            if change.action is Action.EDIT and self._verdicts.status(place) not in made
        }


def _reals_of(change: Change) -> list[tuple[RealKey, RealServer]]:
    if isinstance(change.key, RealKey):
        return [(change.key, change.before)]
    key: ServiceKey = change.key  # type: ignore[assignment] # nothing else drains
    return [(RealKey(key, real.address, real.port), real) for real in change.before.reals]


def _deletion(change: Change) -> DeleteReal | DeleteService:
    if isinstance(change.key, RealKey):
        return delete_real(change.key)
    return DeleteService(change.key)  # type: ignore[arg-type] # nothing else drains
