"""Making changes of sets.

Knows: the calls, and how a failure is told from a race that came out right. Must not know: plans, order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipvskit.engine.plan import Action
from ipvskit.errors import IpvskitError, SetExists, SetNotFound
from ipvskit.sets.definition import with_options
from ipvskit.sets.differences import differences
from ipvskit.sets.elements import Elements

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ipvskit.engine.handle import Handle
    from ipvskit.engine.plan import Change
    from ipvskit.engine.verdicts import Verdicts, Work
    from ipvskit.sets.definition import Set

__all__ = ["apply_sets", "same_sets"]

#: Counters that are not given stay as they are when an entry is added again.
_WITHOUT_COUNTERS = (
    "mac",
    "timeout",
    "comment",
    "skbmark",
    "skbprio",
    "skbqueue",
    "nomatch",
    "wildcard",
    "before",
    "after",
)


def apply_sets(kernel: Handle, work: Sequence[Work], verdicts: Verdicts) -> None:
    """Create, change, replace or destroy sets, one after the other."""
    for place, change in work:
        if verdicts.stopped:
            return
        try:
            made = _make(kernel, change)
        except IpvskitError as error:
            if _is_so(kernel, change, error):
                verdicts.already(place)
            else:
                verdicts.failed(place, error, _now(kernel, change.key.name))  # type: ignore[union-attr] # keys of sets
        else:
            if made:
                verdicts.done([place])
            else:
                verdicts.already(place)


def _make(kernel: Handle, change: Change) -> bool:
    name: str = change.key.name  # type: ignore[union-attr] # keys of sets
    if change.action is Action.ADD:
        return kernel.ipset.create(_in_order(change.after))
    if change.action is Action.DELETE:
        if change.leftover:
            return name in kernel.ipset.clean()
        kernel.ipset.destroy(name)
        return True
    if change.action is Action.REPLACE:
        kernel.ipset.remake(_in_order(change.after)).raise_for_failures()
        return True
    entries = change.entries
    if entries is None:
        return False
    if entries.swap:
        contents = _in_order(change.after).entries
        kernel.ipset.replace(name, contents, grow=change.after.maxelem is None).raise_for_failures()
        return True
    added = _in_order(with_options(change.before, entries=entries.added)).entries
    for some in (added, entries.changed):
        if some:
            kernel.ipset.add_entries(change.before, some.copy(_WITHOUT_COUNTERS), exist=True).raise_for_failures()
    if entries.removed:
        kernel.ipset.delete_entries(change.before, entries.removed).raise_for_failures()
    return True


def _in_order(of: Set) -> Set:
    """The set with wildcards for interfaces behind what they cover: the kernel takes that for the wildcard once this is there, and loses it."""
    if of.entries is None or not of.entries.has_option("wildcard"):
        return of
    entries = sorted(of.entries, key=lambda entry: (entry.wildcard, -len(str(entry.parts[-1]))))
    return with_options(of, entries=Elements(with_options(of, entries=None), entries))


def _is_so(kernel: Handle, change: Change, error: IpvskitError) -> bool:
    if change.action is Action.DELETE:
        return isinstance(error, SetNotFound)
    if change.action is not Action.ADD or not isinstance(error, SetExists):
        return False
    held = _now(kernel, change.after.name)
    return held is not None and same_sets(held, change.after)


def same_sets(held: Set, wanted: Set) -> bool:
    """Whether a set is as wanted, with its entries where those are stated."""
    if differences(wanted, held):
        return False
    return wanted.entries is None or (held.entries is not None and wanted.entries.same_as(held.entries))


def _now(kernel: Handle, name: str) -> Set | None:
    try:
        return next((held for held, _ in kernel.ipset.held(names=[name])), None)
    except IpvskitError:
        return None
