"""Applying a plan.

Knows: the phases of a plan, and what is checked before the first of them. Must not know: how any kind of change is made.
"""

from __future__ import annotations

import time
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Literal

from ipvskit.engine.apply_devices import apply_addresses, apply_devices
from ipvskit.engine.apply_drain import Drainer
from ipvskit.engine.apply_services import apply_new_services, apply_reals, apply_rows, apply_services
from ipvskit.engine.apply_sets import apply_sets
from ipvskit.engine.apply_settings import apply_settings
from ipvskit.engine.changes import LAZY, segments_of
from ipvskit.engine.keys import AddressKey, DeviceKey, RealKey, ServiceKey, SetKey
from ipvskit.engine.order import phase
from ipvskit.engine.plan import Action, Plan
from ipvskit.engine.progress import PORTION, Counter, portions
from ipvskit.engine.service_segment import ServiceSegment
from ipvskit.engine.stale import check_stale
from ipvskit.engine.verdicts import Verdicts
from ipvskit.errors import GuardRefused, InvalidConfig, IpvskitError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ipvskit.engine.handle import Handle
    from ipvskit.engine.ledger import Ledger
    from ipvskit.engine.plan import Change
    from ipvskit.engine.progress import Tell
    from ipvskit.engine.real_segment import RealSegment
    from ipvskit.engine.report import ApplyReport
    from ipvskit.engine.verdicts import Work

__all__ = ["apply"]

OnError = Literal["continue", "stop"]


def apply(
    kernel: Handle,
    plan: Plan,
    *,
    on_error: OnError = "continue",
    ledger: Ledger | None = None,
    progress: Tell | None = None,
) -> ApplyReport:
    """See `Kernel.apply`."""
    if not isinstance(plan, Plan):
        raise InvalidConfig("plan", plan, "a Plan, as diff() makes it")
    if on_error not in {"continue", "stop"}:
        raise InvalidConfig("on_error", on_error, '"continue" or "stop"')
    deletions = sum(plan.deletions().values()) if plan.empty and not plan.guarded else 0
    if deletions:
        raise GuardRefused("objects for an empty desired state", deletions, deletions, 0)
    check_stale(kernel, plan)
    if ledger is not None:
        ledger.recall(kernel.draining)
    verdicts = Verdicts(plan, stop=on_error == "stop")
    applying = _Applying(kernel, plan, verdicts, Counter(plan, progress))
    if ledger is not None:
        ledger.begin(plan, kernel.draining)
    try:
        applying.run()
    except BaseException as error:
        # Somebody else's, or an interrupt: what was done until then must not stay unsaid.
        error.add_note(f"of the plan until then: {verdicts.report()}")
        if ledger is not None:
            ledger.remember(kernel.draining)
        raise
    report = verdicts.report()
    if ledger is not None:
        ledger.finish(plan, report, kernel.draining)
    return report


class _Applying:
    def __init__(self, kernel: Handle, plan: Plan, verdicts: Verdicts, counter: Counter) -> None:
        self._kernel, self._plan, self._verdicts, self._counter = kernel, plan, verdicts, counter
        self._drainer = Drainer(kernel, plan, verdicts, time.time())
        self._drainer.remember()

    def run(self) -> None:
        """Work the plan off, phase by phase."""
        for start, segment in segments_of(self._plan.changes):
            if isinstance(segment, LAZY):
                self._work(range(start, start + len(segment)), segment, partial(self._rows, segment, start))
                continue
            changes = sorted(enumerate(segment, start), key=lambda each: phase(each[1]))
            for _, group in groupby(changes, key=lambda each: phase(each[1])):
                work = list(group)
                self._work([place for place, _ in work], [one for _, one in work], partial(self._changes, work))
        self._drainer.finish()

    def _work(self, places: Sequence[int], changes: Sequence[Change], make: Callable[[], None]) -> None:
        if self._verdicts.stopped:
            return
        try:
            make()
        except IpvskitError as error:
            # The kernel cannot be asked any more, or not for this.
            for place in places:
                if self._verdicts.status(place) is None:
                    self._verdicts.failed(place, error)
        self._counter.part(changes)

    def _rows(self, segment: RealSegment | ServiceSegment, start: int) -> None:
        if isinstance(segment, ServiceSegment):
            self._new_services(segment, start)
        elif self._verdicts.stop:
            # One by one, so that nothing is on its way behind a failure.
            apply_reals(self._kernel, list(enumerate(segment, start)), self._verdicts)
        else:
            apply_rows(self._kernel, segment, start, self._verdicts, self._counter.reached)

    def _new_services(self, segment: ServiceSegment, start: int) -> None:
        for at in range(0, len(segment), PORTION):
            if self._verdicts.stopped:
                return
            some = ServiceSegment(segment.action, segment.packed[at : at + PORTION])
            apply_new_services(self._kernel, some, start + at, self._verdicts)
            self._counter.some(some)

    def _changes(self, work: list[Work]) -> None:
        self._refused(work)
        for some in portions(self._verdicts.open(work)):
            if self._verdicts.stopped:
                return
            self._executor(some)(some)
            self._counter.some([change for _, change in some])

    def _refused(self, work: list[Work]) -> None:
        for place, change in work:
            if change.refused is not None:
                self._verdicts.failed(place, change.refused, change.before)

    def _executor(self, work: list[Work]) -> Callable[[list[Work]], None]:
        kernel, verdicts = self._kernel, self._verdicts
        change = work[0][1]
        match change.key:
            case ServiceKey() | RealKey() if change.action is Action.DRAIN:
                return self._drainer.run
            case ServiceKey():
                return lambda some: apply_services(kernel, some, verdicts)
            case RealKey():
                return lambda some: apply_reals(kernel, some, verdicts)
            case SetKey():
                return lambda some: apply_sets(kernel, some, verdicts)
            case DeviceKey():
                return lambda some: apply_devices(kernel, self._drainer.needless(some), verdicts)
            case AddressKey():
                return lambda some: apply_addresses(kernel, self._drainer.needless(some), verdicts)
        return lambda some: apply_settings(kernel, some, verdicts)
