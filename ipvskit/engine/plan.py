"""A plan: what is to be changed, in order.

Knows: changes and their order. Must not know: how they came about, how they are made.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from ipvskit.engine.changes import LAZY, segments_of
from ipvskit.engine.keys import AddressKey, DeviceKey, RealKey, ServiceKey, SetKey, owner
from ipvskit.errors import GuardRefused, InvalidConfig

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ipvskit.engine.drain import Drain
    from ipvskit.engine.keys import Key
    from ipvskit.engine.snapshot import Snapshot
    from ipvskit.errors import IpvskitError
    from ipvskit.sets.elements import Elements

__all__ = ["LEFTOVER", "Action", "Change", "EntryChange", "Plan"]

#: Why a temporary set is deleted, whatever the scope: it is nobody's any more, so it counts for nothing.
LEFTOVER = "a temporary set whose process died"


class Action(StrEnum):
    """What is done to an object."""

    ADD = "add"
    EDIT = "edit"
    #: Made anew with other options, because it cannot be edited.
    REPLACE = "replace"
    #: Weight 0, then deleted when it has no connections.
    DRAIN = "drain"
    DELETE = "delete"


SIGNS = {Action.ADD: "+", Action.EDIT: "~", Action.REPLACE: "±", Action.DRAIN: "-", Action.DELETE: "-"}


@dataclass(frozen=True, slots=True)
class EntryChange:
    """What becomes of a set's contents: elements to be added, removed, and added again with other options; `swap`: all at once."""

    added: Elements
    removed: Elements
    changed: Elements
    swap: bool = False

    @property
    def total(self) -> int:
        """How many elements it is about."""
        return len(self.added) + len(self.removed) + len(self.changed)


@dataclass(frozen=True, slots=True)
class Change:
    """One change: `before` is what the snapshot had (None: nothing), `after` what there is to be (None: nothing), as values of the model.

    A service that is added or deleted comes with its real servers; edits of a service and of its real servers are changes of their own. `entries`
    goes with sets. `refused` says why a change cannot be made at all: it is in the plan so that nobody misses it, and fails without anything being
    sent.
    """

    action: Action
    key: Key
    before: Any = None
    after: Any = None
    reason: str = ""
    entries: EntryChange | None = None
    refused: IpvskitError | None = field(default=None, compare=False)

    @property
    def deletes(self) -> bool:
        """Whether the object is gone afterwards."""
        return self.action in {Action.DELETE, Action.DRAIN}

    @property
    def leftover(self) -> bool:
        """Whether it only clears up behind a process that died."""
        return self.reason == LEFTOVER

    def __str__(self) -> str:
        from ipvskit.engine.plan_text import change_text

        return change_text(self)

    def to_dict(self) -> dict[str, Any]:
        """For machines: see `Plan.to_dict`."""
        from ipvskit.engine.plan_text import change_dict

        return change_dict(self)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be changed, in the order in which it will be: data, which does not change. It is true when there is something to do.

    `foreign` are the keys of what was seen and left alone because it is outside the scope. `held` counts what the snapshot has inside of it, by
    kind. Printed, every change is a line with `+`, `~`, `±` or `-` and the fields that change.
    """

    changes: Sequence[Change] = ()
    foreign: tuple[Key, ...] = ()
    held: Mapping[str, int] = field(default_factory=dict)
    #: Whether the desired state was empty: a question, not an order.
    empty: bool = False
    #: Whether `guard` let it pass.
    guarded: bool = False
    drain: Drain | None = None
    basis: Snapshot | None = field(default=None, compare=False, repr=False)

    def __bool__(self) -> bool:
        return bool(self.changes)

    def __len__(self) -> int:
        return len(self.changes)

    def __iter__(self) -> Iterator[Change]:
        return iter(self.changes)

    def owners(self) -> list[Key]:
        """The keys of all objects that it is about, real servers told by their services and addresses by their devices."""
        found: dict[Key, None] = {}
        for _, segment in segments_of(self.changes):
            if isinstance(segment, LAZY):
                found |= dict.fromkeys(segment.service_keys())
            else:
                found |= dict.fromkeys(owner(change.key) for change in segment)
        return list(found)

    def deletions(self) -> dict[str, int]:
        """How many objects it deletes, by kind; real servers of deleted services, entries of deleted sets and the like count too."""
        found = dict.fromkeys(_KINDS, 0)
        for _, segment in segments_of(self.changes):
            if isinstance(segment, LAZY):
                found["real servers"] += len(segment) if segment.deletes else 0
                continue
            for change in segment:
                _count(change, found)
        return found

    def guard(self, max_deletes: float = 0.25) -> Plan:
        """The same plan, unless it deletes more than allowed: then GuardRefused is raised.

        `max_deletes` is a number of objects, or, as a float from 0.0 to 1.0, a share of those of each kind that the scope has: services, real
        servers, sets, entries, addresses, devices. With 1.0 everything may go. A plan from an empty state that deletes anything has to pass here
        before it is applied: an empty state is mostly a mistake. Raises InvalidConfig.
        """
        share = isinstance(max_deletes, float)
        if (
            isinstance(max_deletes, bool)
            or not isinstance(max_deletes, int | float)
            or not max_deletes >= 0
            or (share and max_deletes > 1)
        ):
            raise InvalidConfig("max_deletes", max_deletes, "a number of objects, or a share from 0.0 to 1.0")
        for kind, count in self.deletions().items():
            held = max(self.held.get(kind, 0), count)
            if count > (held * max_deletes if share else max_deletes):
                raise GuardRefused(kind, count, held, max_deletes)
        return replace(self, guarded=True)

    def summary(self) -> str:
        """`3 to add, 1 to edit, 0 to replace, 2 to delete`."""
        counts = {"add": 0, "edit": 0, "replace": 0, "delete": 0}
        for _, segment in segments_of(self.changes):
            if isinstance(segment, LAZY):
                counts["delete" if segment.deletes else segment.action.value] += len(segment)
                continue
            for change in segment:
                counts["delete" if change.deletes else change.action.value] += 1
        return ", ".join(f"{count} to {what}" for what, count in counts.items() if count or what != "replace")

    def to_dict(self) -> dict[str, Any]:
        """For machines: {"version": 1, "changes": [{"action", "kind", "key", "before", "after", "reason", ...}], "foreign": [...]}.

        Values are in their text forms' fields as in state files; contents of sets are told as counts, and as lists up to 1000 elements.
        """
        from ipvskit.engine.plan_text import plan_dict

        return plan_dict(self)

    def __str__(self) -> str:
        from ipvskit.engine.plan_text import plan_text

        return plan_text(self)


def _count(change: Change, found: dict[str, int]) -> None:
    if change.entries is not None:
        found["entries"] += len(change.entries.removed)
    if not change.deletes or change.leftover:
        return
    found[_KIND_OF.get(type(change.key), "daemons")] += 1
    if isinstance(change.key, ServiceKey):
        found["real servers"] += len(change.before.reals)
    elif isinstance(change.key, SetKey) and change.before.entries is not None:
        found["entries"] += len(change.before.entries)
    elif isinstance(change.key, DeviceKey):
        found["addresses"] += len(change.before.addresses)


_KIND_OF: dict[type, str] = {
    ServiceKey: "services",
    RealKey: "real servers",
    SetKey: "sets",
    AddressKey: "addresses",
    DeviceKey: "devices",
}
_KINDS = ("services", "real servers", "sets", "entries", "addresses", "devices", "daemons")
