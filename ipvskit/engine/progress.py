"""How far the work on a plan is.

Knows: how much work a change is. Must not know: how changes are made, who is told.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ipvskit.engine.changes import segments_of
from ipvskit.engine.keys import AddressKey, DeviceKey, RealKey, ServiceKey, SetKey
from ipvskit.engine.plan import Action
from ipvskit.engine.real_segment import RealSegment
from ipvskit.engine.service_segment import ServiceSegment

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ipvskit.engine.plan import Change, Plan
    from ipvskit.engine.verdicts import Work

__all__ = ["PORTION", "Counter", "Tell", "portions"]

#: Told how many objects are done, of how many.
Tell = Callable[[int, int], None]

#: Changes that are made together: so many that the calls do not count, so few that one hears of them several times a second.
PORTION = 4096
_ADDRESSES = 1024


class Counter:
    """Counts objects: virtual services, real servers, entries of sets, devices, addresses, settings. Without `tell` it does nothing."""

    def __init__(self, plan: Plan, tell: Tell | None) -> None:
        self._tell = tell
        #: Objects of the parts of the plan that were worked off, and of the part at hand.
        self._done = self._of_part = 0
        self._total = 0
        if tell is not None:
            self._total = sum(weight(segment) for _, segment in segments_of(plan.changes))
            tell(0, self._total)

    def reached(self, objects: int) -> None:
        """So many of the part at hand are done."""
        if self._tell is not None:
            self._of_part = objects
            self._tell(self._done + objects, self._total)

    def some(self, changes: Sequence[Change]) -> None:
        """These of the part at hand are done, too."""
        if self._tell is not None:
            self.reached(self._of_part + weight(changes))

    def part(self, changes: Sequence[Change]) -> None:
        """The part at hand was these changes, and is done with, whatever came of them."""
        if self._tell is not None:
            self._done += weight(changes)
            self.reached(0)


def weight(changes: Sequence[Change]) -> int:
    """How many objects the changes are about."""
    if isinstance(changes, RealSegment):
        return len(changes)
    if isinstance(changes, ServiceSegment):
        return len(changes) + sum(one.total for one in changes.packed)
    return sum(map(_weight, changes))


def _weight(change: Change) -> int:
    key, after = change.key, change.after
    if isinstance(key, SetKey) and change.entries is not None:
        entries = change.entries
        return 1 + (
            len(after.entries) if entries.swap else len(entries.added) + len(entries.changed) + len(entries.removed)
        )
    if change.action in {Action.ADD, Action.REPLACE}:
        if isinstance(key, SetKey):
            return 1 + len(after.entries or ())
        if isinstance(key, ServiceKey):
            return 1 + len(after.reals)
        if isinstance(key, DeviceKey):
            return 1 + len(after.addresses)
    return 1


def portions(work: list[Work]) -> Iterator[list[Work]]:
    """Changes of one phase, apart where they may be made one after the other just as well."""
    if not work:
        return
    key, action = work[0][1].key, work[0][1].action
    size = len(work)
    if isinstance(key, SetKey | DeviceKey):
        size = 1
    elif isinstance(key, ServiceKey | RealKey) and action is not Action.DRAIN:
        size = PORTION
    elif isinstance(key, AddressKey) and action is Action.ADD:
        # Those that are deleted stay together: with the first of an IPv4 network the others may go, and would be brought back.
        size = _ADDRESSES
    for start in range(0, len(work), size):
        yield work[start : start + size]
