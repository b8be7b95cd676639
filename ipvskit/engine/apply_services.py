"""Making changes of virtual services and real servers.

Knows: the bulk calls, and how a failure is told from a race that came out right. Must not know: plans, order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from ipvskit.engine.keys import RealKey
from ipvskit.engine.plan import Action
from ipvskit.engine.service_segment import scheduler_last
from ipvskit.errors import BulkFailed, IpvskitError, NotFound
from ipvskit.ipvs.operations import (
    AddReal,
    AddService,
    DeleteReal,
    DeleteService,
    Operation,
    ReplaceReal,
    ReplaceService,
)
from ipvskit.ipvs.report import BulkReport
from ipvskit.ipvs.wanted import compare, pack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ipvskit.engine.handle import Handle
    from ipvskit.engine.plan import Change
    from ipvskit.engine.real_segment import RealSegment
    from ipvskit.engine.service_segment import ServiceSegment
    from ipvskit.engine.verdicts import Verdicts, Work
    from ipvskit.model.key import ServiceKey
    from ipvskit.model.service import VirtualService

__all__ = ["apply_new_services", "apply_reals", "apply_rows", "apply_services", "run_operations"]


def apply_services(kernel: Handle, work: Sequence[Work], verdicts: Verdicts) -> None:
    """Add, edit or delete services."""
    action = work[0][1].action
    if action is Action.ADD:
        late = [one for one in work if scheduler_last(one[1].after)]
        if late:
            _add_scheduler_last(kernel, late, verdicts)
        _add(kernel, verdicts.open(work), verdicts)
    elif action is Action.EDIT:
        run_operations(kernel, work, verdicts, lambda change: ReplaceService(change.after))
    else:
        run_operations(kernel, work, verdicts, lambda change: DeleteService(_service_of(change)))


def apply_reals(kernel: Handle, work: Sequence[Work], verdicts: Verdicts) -> None:
    """Add, edit or delete real servers."""
    make: dict[Action, Callable[[Change], Operation]] = {
        Action.ADD: lambda change: AddReal(_real_key(change).service, change.after),
        Action.EDIT: lambda change: ReplaceReal(_real_key(change).service, change.after),
        Action.DELETE: lambda change: delete_real(_real_key(change)),
        # What is left of draining where one of them was gone already.
        Action.DRAIN: lambda change: delete_real(_real_key(change)),
    }
    run_operations(kernel, work, verdicts, make[work[0][1].action])


def apply_rows(
    kernel: Handle, segment: RealSegment, start: int, verdicts: Verdicts, tell: Callable[[int], None]
) -> None:
    """Make changes of real servers from rows; `start` is the place of the first one, `tell` hears how many are done."""

    def requests(begin: int, end: int) -> bytes:
        tell(begin)
        return segment.requests(begin, end)

    report = kernel.ipvs.bulk_packed(len(segment), requests, segment.operation)
    _settle(kernel, _Placed(segment, start), report, verdicts)


def apply_new_services(kernel: Handle, segment: ServiceSegment, start: int, verdicts: Verdicts) -> None:
    """Add services that are packed."""
    if verdicts.stop:
        apply_services(kernel, list(enumerate(segment, start)), verdicts)
    else:
        _settle(kernel, _Placed(segment, start), kernel.ipvs.add_packed(segment.packed), verdicts)


class _Placed(Sequence["Work"]):
    """The changes of a segment with their places."""

    def __init__(self, segment: RealSegment | ServiceSegment, start: int) -> None:
        self._segment, self._start = segment, start

    def __len__(self) -> int:
        return len(self._segment)

    def __getitem__(self, index: Any) -> Any:  # noqa: ANN401 - an index or a slice
        if isinstance(index, slice):
            return [self[at] for at in range(*index.indices(len(self)))]
        return self._start + index, self._segment[index]

    @property
    def places(self) -> range:
        """All places."""
        return range(self._start, self._start + len(self._segment))


def run_operations(
    kernel: Handle, work: Sequence[Work], verdicts: Verdicts, make: Callable[[Change], Operation]
) -> None:
    """One operation for each change."""
    if not work or verdicts.stopped:
        return
    operations = [make(change) for _, change in work]
    report = kernel.ipvs.bulk(operations, on_error="stop" if verdicts.stop else "continue")
    _settle(kernel, work, report, verdicts)


def _add(kernel: Handle, work: Sequence[Work], verdicts: Verdicts) -> None:
    if not work or verdicts.stopped:
        return
    services = [change.after for _, change in work]
    report = kernel.ipvs.add_services(services, on_error="stop" if verdicts.stop else "continue")
    _settle(kernel, work, report, verdicts)


def _add_scheduler_last(kernel: Handle, work: Sequence[Work], verdicts: Verdicts) -> None:
    """New services without a scheduler, their real servers, then the scheduler: nothing is scheduled before."""
    bare = [AddService(change.after.replace(scheduler="none")) for _, change in work]
    report = kernel.ipvs.bulk(bare, on_error="stop" if verdicts.stop else "continue")
    # Those are tried again in the ordinary way, which tells what is wrong with them.
    unmade = {failure.index for failure in report.failures if isinstance(failure.operation, AddService)}
    tried = max(failure.index for failure in report.failures) + 1 if report.stopped else len(work)
    made = [at for at in range(tried) if at not in unmade]
    second = kernel.ipvs.bulk([ReplaceService(work[at][1].after) for at in made])
    without = {made[failure.index]: failure.error for failure in second.failures}
    # As with the ordinary way, what could not be made is not there.
    kernel.ipvs.bulk([DeleteService(_service_of(work[at][1])) for at in without])
    for at, error in without.items():
        verdicts.failed(work[at][0], error)
    left = [at for at in made if at not in without]
    lacking = tuple(
        replace(failure, index=left.index(failure.index)) for failure in report.failures if failure.index in left
    )
    _settle(kernel, [work[at] for at in left], BulkReport(0, lacking), verdicts)


def _settle(kernel: Handle, work: Sequence[Work], report: BulkReport, verdicts: Verdicts) -> None:
    errors: dict[int, list[IpvskitError]] = {}
    for failure in report.failures:
        errors.setdefault(failure.index, []).append(failure.error)
    places = work.places if isinstance(work, _Placed) else [place for place, _ in work]
    if not errors:
        verdicts.done(places)
        return
    tried = max(errors) + 1 if report.stopped else len(work)
    verdicts.done([place for at, place in enumerate(places[:tried]) if at not in errors])
    keys = dict.fromkeys(_service_of(work[at][1]) for at in errors)
    try:
        now = dict(kernel.ipvs.held_of(keys))
    except IpvskitError:
        now = {}
    for at, found in sorted(errors.items()):
        place, change = work[at]
        if _is_so(change, now, found):
            verdicts.already(place)
            continue
        error = found[0] if len(found) == 1 else BulkFailed(_of_one(report, at))
        verdicts.failed(place, error, _object(change, now))
    if report.stopped and not verdicts.stopped:
        # What failed was so already: go on with the rest.
        _again(kernel, work[tried:], verdicts)


def _again(kernel: Handle, rest: Sequence[Work], verdicts: Verdicts) -> None:
    if not rest:
        return
    if isinstance(rest[0][1].key, RealKey):
        apply_reals(kernel, rest, verdicts)
    else:
        apply_services(kernel, rest, verdicts)


def _of_one(report: BulkReport, index: int) -> BulkReport:
    mine = tuple(failure for failure in report.failures if failure.index == index)
    return BulkReport(0, mine, (), report.stopped)


def delete_real(key: RealKey) -> DeleteReal:
    """The operation."""
    return DeleteReal(key.service, key.address, key.port)


def _real_key(change: Change) -> RealKey:
    return cast("RealKey", change.key)


def _service_of(change: Change) -> ServiceKey:
    return change.key.service if isinstance(change.key, RealKey) else cast("ServiceKey", change.key)


def _object(change: Change, now: dict[ServiceKey, VirtualService]) -> object:
    service = now.get(_service_of(change))
    if service is None or not isinstance(change.key, RealKey):
        return service
    place = change.key.address, change.key.port
    return next((real for real in service.reals if (real.address, real.port) == place), None)


def _is_so(change: Change, now: dict[ServiceKey, VirtualService], errors: Iterable[IpvskitError]) -> bool:
    """Whether the wanted end is reached all the same."""
    if change.after is None:
        return all(isinstance(error, NotFound) for error in errors)
    held = _object(change, now)
    if held is None:
        return False
    if isinstance(change.key, RealKey):
        return bool(held == change.after.filled(held))
    service = cast("VirtualService", held)
    if change.action is Action.EDIT:
        return bool(service.with_reals(()) == change.after)
    return same_services(service, change.after)


def same_services(held: VirtualService, wanted: VirtualService) -> bool:
    """Whether a service is as wanted, with its real servers in any order."""
    from ipvskit.ipvs.holding import HeldServices

    found = compare(HeldServices.of([held]), [pack(wanted)])
    return not (found.differing or found.missing)
