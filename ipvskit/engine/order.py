"""The order of a plan.

Knows: what has to come before what. Must not know: how changes are found or made.

Over all objects: what others use comes first and goes last; everything is added before anything is taken away, so that live capacity never falls
below the lesser of before and after. Deleting real servers first, or service by service, would also cost the kernel ten times as much: it keeps what
was deleted for a minute, and searches that for every real server that is added.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipvskit.engine.changes import Changes
from ipvskit.engine.keys import AddressKey, DaemonKey, DeviceKey, RealKey, ServiceKey, SetKey, SysctlKey, TimeoutsKey
from ipvskit.engine.plan import Action, Change
from ipvskit.engine.service_segment import ServiceSegment

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ipvskit.engine.real_segment import RealSegment

__all__ = ["FREES", "LATE_SETTINGS", "PHASES", "in_order", "phase"]

_ADD, _EDIT, _REPLACE, _DRAIN, _DELETE = Action.ADD, Action.EDIT, Action.REPLACE, Action.DRAIN, Action.DELETE

#: Why a list is changed before the sets that it holds.
FREES = "before a set that it holds is made anew"

#: Kinds and actions in the order in which they are worked off.
PHASES: tuple[tuple[type, tuple[Action, ...]], ...] = (
    (SysctlKey, (_EDIT,)),
    (TimeoutsKey, (_EDIT,)),
    # No real server of the other family can be added while a daemon runs.
    (DaemonKey, (_DELETE,)),
    # Firewalls before what they guard.
    (SetKey, (_ADD, _REPLACE, _EDIT)),
    (DeviceKey, (_ADD, _EDIT, _REPLACE)),
    (AddressKey, (_ADD, _REPLACE)),
    (ServiceKey, (_ADD,)),
    (ServiceKey, (_EDIT,)),
    (RealKey, (_ADD,)),
    (RealKey, (_EDIT,)),
    (RealKey, (_DRAIN,)),
    (RealKey, (_DELETE,)),
    (ServiceKey, (_DRAIN,)),
    (ServiceKey, (_DELETE,)),
    (AddressKey, (_DELETE,)),
    (DeviceKey, (_DELETE,)),
    (SetKey, (_DELETE,)),
    (DaemonKey, (_ADD, _REPLACE)),
)

#: Settings that are there once their scheduler is loaded, so they come behind the services that load it.
LATE_SETTINGS = {"lblc_expiration": "lblc", "lblcr_expiration": "lblcr"}

_RANKS = {(kind, action): 2 * rank for rank, (kind, actions) in enumerate(PHASES) for action in actions}


def phase(change: Change) -> int:
    """Which of the PHASES a change belongs to."""
    if change.reason == FREES:
        return _RANKS[SetKey, _ADD]
    if isinstance(change.key, SysctlKey) and change.key.name in LATE_SETTINGS:
        return _RANKS[ServiceKey, _EDIT] + 1
    return _RANKS[type(change.key), change.action]


def in_order(changes: Iterable[Change], segments: Iterable[tuple[RealSegment | ServiceSegment, bool]] = ()) -> Changes:
    """Changes by phase; within one they stay as they come, but sets come before the lists that hold them, and go after them.

    `segments` are changes as rows, each with whether it lowers weights: those that grow come first.
    """
    found: dict[tuple[int, int], list[Change]] = {}
    for change in changes:
        found.setdefault(_rank(change), []).append(change)
    rows: dict[tuple[int, int], RealSegment | ServiceSegment] = {}
    for segment, lowers in segments:
        kind = ServiceKey if isinstance(segment, ServiceSegment) else RealKey
        rows[_RANKS[kind, segment.action], int(lowers)] = segment
    ordered: list[tuple[Change, ...] | RealSegment | ServiceSegment] = []
    for rank in sorted(found.keys() | rows.keys()):
        ordered.append(tuple(found.get(rank, ())))
        if rank in rows:
            ordered.append(rows[rank])
    return Changes(ordered)


def _rank(change: Change) -> tuple[int, int]:
    if isinstance(change.key, RealKey) and change.action is _EDIT:
        # Where one takes over from another, first the one that gets more.
        return phase(change), int(change.after.weight < change.before.weight)
    if change.reason == FREES:
        return _RANKS[SetKey, _ADD], -1
    kind = (change.after or change.before).type if isinstance(change.key, SetKey) else ""
    lists_later = int(kind == "list:set")
    return phase(change), -lists_later if change.action is _DELETE else lists_later
