"""Plans as text, for people and for machines.

Knows: how values and their differences are written. Must not know: how plans come about.
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from ipvskit.engine.keys import AddressKey, DaemonKey, DeviceKey, RealKey, ServiceKey, SetKey, SysctlKey, TimeoutsKey
from ipvskit.engine.plan import SIGNS, Action
from ipvskit.model.device import Device
from ipvskit.model.service import VirtualService
from ipvskit.sets.definition import Set

if TYPE_CHECKING:
    from ipvskit.engine.keys import Key
    from ipvskit.engine.plan import Change, Plan
    from ipvskit.sets.elements import Elements

__all__ = ["change_dict", "change_text", "plan_dict", "plan_text"]

VERSION = 1
_SHOWN = 3
_LISTED = 1000
_FOREIGN_SHOWN = 3

_KINDS: dict[type, str] = {
    ServiceKey: "service",
    RealKey: "real server",
    SetKey: "set",
    DeviceKey: "device",
    AddressKey: "address",
    SysctlKey: "sysctl",
    TimeoutsKey: "timeouts",
    DaemonKey: "sync daemon",
}
#: Fields that are told on their own, or identify the object.
_NOT_COMPARED = {"key", "address", "port", "reals", "entries", "keep", "name", "addresses", "role"}


def plan_text(plan: Plan) -> str:
    """A line for every change, then a summary."""
    lines = [change_text(change) for change in plan.changes]
    lines.append(plan.summary() if plan.changes else "nothing to do")
    if plan.foreign:
        some = ", ".join(map(str, islice(plan.foreign, _FOREIGN_SHOWN)))
        more = f" and {len(plan.foreign) - _FOREIGN_SHOWN} more" if len(plan.foreign) > _FOREIGN_SHOWN else ""
        lines.append(f"left alone: {some}{more}")
    return "\n".join(lines)


def change_text(change: Change) -> str:
    """One line, or a few."""
    head = f"{SIGNS[change.action]} {_subject(change.key)}"
    if change.refused is not None:
        return f"! {_subject(change.key)}: not possible: {change.refused}"
    if change.action is Action.ADD:
        return f"{head}{_details(change.after)}"
    if change.entries is not None:
        parts = [change.reason] if change.reason else []
        return f"{head}: {'; '.join([*parts, *_entries(change)])}"
    if change.action in {Action.EDIT, Action.REPLACE}:
        return f"{head}: {', '.join(f'{name} {_word(before)} -> {_word(after)}' for name, before, after in _fields(change))}"
    reason = (
        "drain: weight 0, and deleted when it has no connections" if change.action is Action.DRAIN else change.reason
    )
    return head + _gone(change.before) + (f" ({reason})" if reason else "")


def _subject(key: Key) -> str:
    kind = _KINDS[type(key)]
    if isinstance(key, SetKey | DeviceKey | SysctlKey):
        return f"{kind} {key.name}"
    if isinstance(key, DaemonKey):
        return f"{kind} {key.role}"
    return kind if isinstance(key, TimeoutsKey) else f"{kind} {key}"


def _details(value: Any) -> str:  # noqa: ANN401 - any value of the model
    if isinstance(value, VirtualService):
        head, *reals = str(value).split("\n")
        words = head.partition(" ")[2]
        return (f" {words}" if words else "") + "".join(f"\n    {line.strip()}" for line in reals)
    if isinstance(value, Set):
        count = "" if value.entries is None else f", {len(value.entries)} entries"
        return f" {str(value).partition(' ')[2]}{count}{_some(value.entries)}"
    if isinstance(value, Device):
        return f" {str(value).partition(chr(10))[0].partition(' ')[2]}".rstrip() + f", {len(value.addresses)} addresses"
    words = str(value).partition(" ")[2]
    return f" {words}" if words else ""


def _gone(value: Any) -> str:  # noqa: ANN401 - any value of the model
    if isinstance(value, VirtualService) and value.reals:
        return f" with {len(value.reals)} real servers"
    if isinstance(value, Set) and value.entries:
        return f" with {len(value.entries)} entries"
    if isinstance(value, Device) and value.addresses:
        return f" with {len(value.addresses)} addresses"
    return ""


def _entries(change: Change) -> list[str]:
    found = change.entries
    if found is None:
        return []
    parts = [
        f"{len(some)} entries {what}{_some(some)}"
        for what, some in (("added", found.added), ("removed", found.removed), ("changed", found.changed))
        if len(some)
    ]
    how = "all at once by swap" if found.swap else ""
    return [part for part in (", ".join(parts), how) if part]


def _some(entries: Elements | None) -> str:
    if not entries:
        return ""
    shown = ", ".join(str(entry) for entry in islice(entries, _SHOWN))
    return f" ({shown}{', ...' if len(entries) > _SHOWN else ''})"


def _word(value: Any) -> str:  # noqa: ANN401 - any value of a field
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "none"
    return ",".join(sorted(value)) or "none" if isinstance(value, frozenset) else str(value)


def _fields(change: Change) -> list[tuple[str, Any, Any]]:
    """What differs between before and after, field by field."""
    before, after = change.before, change.after
    if not is_dataclass(after) or before is None:
        return [("value", before, after)]
    names = [field.name for field in fields(after) if field.name not in _NOT_COMPARED]
    pairs = [(name, getattr(before, name), getattr(after, name)) for name in names]
    return [(name, one, other) for name, one, other in pairs if one != other]


# --- for machines --------------------------------------------------------------------------------------------------------------------


def plan_dict(plan: Plan) -> dict[str, Any]:
    """See `Plan.to_dict`."""
    return {
        "version": VERSION,
        "changes": [change_dict(change) for change in plan.changes],
        "foreign": [str(key) for key in plan.foreign],
        "held": dict(plan.held),
    }


def change_dict(change: Change) -> dict[str, Any]:
    """See `Plan.to_dict`."""
    found: dict[str, Any] = {
        "action": str(change.action),
        "kind": _KINDS[type(change.key)],
        "key": str(change.key),
        "before": _value(change.before),
        "after": _value(change.after),
        "reason": change.reason,
    }
    if change.entries is not None:
        found["entries"] = {
            name: _listed(getattr(change.entries, name)) for name in ("added", "removed", "changed")
        } | {"swap": change.entries.swap}
    if change.refused is not None:
        found["refused"] = str(change.refused)
    return found


def _value(value: Any) -> Any:  # noqa: ANN401 - any value of the model
    """Values of the model as in state files, everything else as it is."""
    if isinstance(value, Set):
        text = {"create": str(value)}
        return text | {"count": len(value.entries)} if value.entries is not None else text
    if is_dataclass(value) and not isinstance(value, type):
        found = {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
        return {name: held for name, held in found.items() if name != "keep" or held}
    return _plain(value)


def _plain(value: Any) -> Any:  # noqa: ANN401 - any value of a field
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, frozenset):
        return sorted(map(str, value))
    if isinstance(value, tuple):
        return [_value(one) if is_dataclass(one) else _plain(one) for one in value]
    return str(value)


def _listed(entries: Elements) -> dict[str, Any]:
    listed = [str(entry) for entry in entries] if len(entries) <= _LISTED else None
    return {"count": len(entries)} | ({"entries": listed} if listed is not None else {})
