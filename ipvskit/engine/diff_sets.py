"""Sets and their entries: what is to be changed.

Knows: what of a set can be edited, and what has to be made anew. Must not know: how changes are made.
"""

from __future__ import annotations

import errno
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from ipvskit.engine.keys import SetKey
from ipvskit.engine.normal import own_entries
from ipvskit.engine.order import FREES
from ipvskit.engine.part import Part, check_scope, owned
from ipvskit.engine.plan import LEFTOVER, Action, Change, EntryChange
from ipvskit.errors import InvalidConfig, InvalidEntry, SetTypeMismatch
from ipvskit.model.settype import SET_TYPES
from ipvskit.sets.definition import with_options
from ipvskit.sets.differences import differences
from ipvskit.sets.elements import COMPARED, Elements
from ipvskit.sets.sizes import fitting, sized

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ipvskit.engine.scope import Scope
    from ipvskit.engine.snapshot import Snapshot
    from ipvskit.engine.state import State
    from ipvskit.sets.definition import Set

__all__ = ["EntryTimeouts", "diff_sets"]

#: What counts of entries' timeouts: nothing, every second, or that so many seconds are left.
EntryTimeouts = Literal["ignore", "exact"] | float

_DEFAULT_MAXELEM = 65536
#: Changing an element costs about as much as adding one to a new set, and the new set costs two more commands.
_SWAP_COSTS = 64


def diff_sets(
    snapshot: Snapshot, state: State, scope: Scope | None, *, atomic: bool, entry_timeouts: EntryTimeouts
) -> Part:
    """The changes of sets and their entries."""
    return _Sets(snapshot, state, scope, atomic, entry_timeouts).run()


class _Sets:
    def __init__(
        self, snapshot: Snapshot, state: State, scope: Scope | None, atomic: bool, entry_timeouts: EntryTimeouts
    ) -> None:
        self._snapshot, self._state, self._scope = snapshot, state, scope
        self._atomic, self._timeouts = atomic, entry_timeouts
        self._part = Part([], [], {})
        self._leaving = self._lists_that_let_go()
        #: Lists that have to let go of a set before that is made anew.
        self._freeing: set[str] = set()

    def run(self) -> Part:
        for name in self._wanted_names():
            key, wanted = SetKey(name), own_entries(self._state.sets[name])
            check_scope(key, self._scope, self._snapshot)
            held = self._snapshot.sets.get(name)
            if held is None:
                self._part.changes.append(Change(Action.ADD, key, None, wanted))
            else:
                self._both(key, held, wanted)
        self._unwanted()
        for name in self._snapshot.leftovers:
            self._part.changes.append(Change(Action.DELETE, SetKey(name), _gone(name), None, LEFTOVER))
        self._count()
        if self._freeing:
            self._part.changes[:] = [part for change in self._part.changes for part in self._split(change)]
        return self._part

    def _split(self, change: Change) -> list[Change]:
        """A list lets go of sets before those are made anew; sets that it is to hold may have to be made first."""
        if not isinstance(change.key, SetKey) or change.key.name not in self._freeing or change.refused:
            return [change]
        entries = change.entries
        if entries is None:
            return [replace(change, reason=FREES)]
        none = entries.removed - entries.removed
        early = replace(change, action=Action.EDIT, reason=FREES, entries=EntryChange(none, entries.removed, none))
        late = replace(change, entries=replace(entries, removed=none))
        rest = change.action is Action.REPLACE or entries.added or entries.changed
        return [early, late] if rest else [early]

    def _lists_that_let_go(self) -> dict[str, list[str]]:
        """For each set, the lists that hold it and are to hold it no more."""
        found: dict[str, list[str]] = {}
        for name, held in self._snapshot.sets.items():
            if held.type != "list:set" or not held.entries or not owned(SetKey(name), self._scope):
                continue
            wanted = self._state.sets.get(name)
            if wanted is not None and (wanted.type != held.type or wanted.entries is None):
                continue
            stays = {str(entry.parts[0]) for entry in wanted.entries} if wanted is not None else set()
            for member in {str(entry.parts[0]) for entry in held.entries} - stays:
                found.setdefault(member, []).append(name)
        return found

    def _wanted_names(self) -> Iterable[str]:
        only = self._snapshot.only
        if isinstance(only, frozenset):
            names = (key.name for key in only if isinstance(key, SetKey))
            return sorted(name for name in names if name in self._state.sets)
        return self._state.sets

    def _unwanted(self) -> None:
        for name in sorted(self._snapshot.sets.keys() - self._state.sets.keys()):
            key, held = SetKey(name), self._snapshot.sets[name]
            if owned(key, self._scope):
                self._part.changes.append(Change(Action.DELETE, key, held))
            else:
                self._part.foreign.append(key)

    def _count(self) -> None:
        mine = [held for name, held in self._snapshot.sets.items() if owned(SetKey(name), self._scope)]
        self._part.held["sets"] = len(mine)
        self._part.held["entries"] = sum(len(held.entries) for held in mine if held.entries is not None)

    # --- a set that is there ---------------------------------------------------------------------------------------------------------

    def _both(self, key: SetKey, held: Set, wanted: Set) -> None:
        if held.type not in SET_TYPES:
            self._refuse(
                key, held, wanted, f"there is one of type {held.type}, which this version of ipvskit does not know"
            )
            return
        if wanted.entries is not None and held.entries is None:
            raise InvalidConfig(
                "snapshot", str(key), "one that was taken with the entries of the sets that a state has"
            )
        fitted = _fitted(wanted, held)
        if wanted.entries is None and wanted.type == held.type:
            # Sizes that were left open go with contents that are left alone.
            wanted = fitted
        status = self._snapshot.set_status.get(key.name)
        found = differences(fitted, held)
        if not found:
            if wanted.entries is not None:
                self._contents(key, held, wanted)
            return
        reason = ", ".join(f"{field}: {has} -> {wants}" for field, wants, has in found)
        if wanted.type != held.type or wanted.family != held.family:
            leaving = self._leaving.get(key.name, [])
            references = (status.references if status is not None else 0) - len(leaving)
            self._freeing.update(leaving)
            if references and not wanted.set_type.swaps_with(held.set_type, same_family=wanted.family == held.family):
                self._refuse(
                    key,
                    held,
                    wanted,
                    f"{reason}, which is not possible while rules or lists refer to it ({references})",
                )
                return
            if not owned(key, self._scope) and held.entries:
                self._refuse(
                    key, held, wanted, f"{reason}, which loses its entries: only what is in the scope is deleted"
                )
                return
            removed = held.entries if held.entries is not None else Elements(held)
            after = wanted if wanted.entries is not None else with_options(wanted, entries=Elements(wanted))
            lost = EntryChange(after.entries, removed, Elements(wanted), swap=True)
            self._part.changes.append(Change(Action.REPLACE, key, held, after, reason, lost))
            return
        self._recreated(key, held, wanted, reason)

    def _refuse(self, key: SetKey, held: Set, wanted: Set, why: str) -> None:
        error = SetTypeMismatch(errno.EINVAL, why, operation="replace set", key=key.name)
        self._part.changes.append(Change(Action.REPLACE, key, held, wanted, why, None, error))

    def _recreated(self, key: SetKey, held: Set, wanted: Set, reason: str) -> None:
        """With other options: the contents go along, or become those that are wanted."""
        if held.entries is None:
            raise InvalidConfig(
                "snapshot", str(key), "one that was taken with the entries of sets that have to be made anew"
            )
        kept, lost = _converted(held.entries, wanted)
        contents = wanted.entries
        if lost and (contents is None or not owned(key, self._scope)):
            self._refuse(key, held, wanted, f"{reason}, and {lost} of its {len(held.entries)} entries do not fit then")
            return
        if contents is None:
            contents = kept
        elif not owned(key, self._scope):
            contents = kept | contents
        after = sized(with_options(wanted, entries=contents), len(contents))
        added, removed, changed = contents.diff(kept, self._compared(wanted))
        self._part.changes.append(
            Change(Action.REPLACE, key, held, after, reason, EntryChange(added, removed, changed, swap=True))
        )

    def _compared(self, wanted: Set) -> tuple[str, ...]:
        exact = self._timeouts == "exact" and wanted.timeout is not None
        return (*COMPARED, "timeout") if exact else COMPARED

    def _contents(self, key: SetKey, held: Set, wanted: Set) -> None:
        added, removed, changed = wanted.entries.diff(held.entries, self._compared(wanted))
        if isinstance(self._timeouts, int | float) and wanted.timeout is not None:
            expiring = wanted.entries.expiring(held.entries, self._timeouts)
            if expiring:
                changed = changed | expiring
        if not owned(key, self._scope) and removed:
            removed = removed - removed
            self._part.foreign.append(key)
        total = len(added) + len(removed) + len(changed)
        if not total:
            return
        swap = self._atomic or self._cheaper_by_swap(held, wanted, added, removed, changed, total)
        after = wanted
        if swap and (held.counters or held.timeout is not None or not owned(key, self._scope)):
            # As if it had been done one by one: what stays keeps its counters, and the time that it has left.
            after = with_options(wanted, entries=(held.entries - removed) | added | changed)
        entries = EntryChange(added, removed, changed, swap)
        self._part.changes.append(Change(Action.EDIT, key, held, after, "", entries))

    @staticmethod
    def _cheaper_by_swap(
        held: Set, wanted: Set, added: Elements, removed: Elements, changed: Elements, total: int
    ) -> bool:
        most = held.maxelem if held.maxelem is not None else _DEFAULT_MAXELEM
        if "maxelem" in wanted.set_type.create_options and len(held.entries) + len(added) > most >= len(wanted.entries):
            # There is no room for both, the old ones and the new.
            return True
        if changed and _needs_delete(changed, held.entries):
            return True
        if added and held.entries.has_option("wildcard"):
            # What a wildcard covers has to be added before it.
            return True
        if wanted.type == "list:set":
            return False
        return bool(removed) and total > len(wanted.entries) + _SWAP_COSTS


def _needs_delete(changed: Elements, held: Elements) -> bool:
    """Whether adding again does not change these: a wildcard stays, and so does a MAC that is no longer told."""
    return any(changed.has_option(name) or held.has_option(name) for name in ("wildcard", "mac"))


def _fitted(wanted: Set, held: Set) -> Set:
    """What is wanted, with sizes that were left open as the one there has them, or as the contents need them."""
    if wanted.entries is None:
        return fitting(wanted, held, 0)
    count = len(wanted.entries)
    fitted = fitting(wanted, held, count)
    grown = sized(fitted, count)
    return with_options(fitted, maxelem=grown.maxelem, size=grown.size)


def _converted(entries: Elements, wanted: Set) -> tuple[Elements, int]:
    """Entries as a set with other options has them: without the options that it lacks, and cut as it cuts them. And how many do not fit."""
    kept = [name for name in _OPTIONS if _has(wanted, name)]
    bare = entries.copy([*kept, *_PARTS])
    made = Elements(with_options(wanted, entries=None))
    try:
        made.update(Elements(wanted.set_type, bare, family=wanted.family))
    except InvalidEntry:
        lost: list[InvalidEntry] = []
        return Elements.parse(with_options(wanted, entries=None), bare.to_text(), on_error=lost.append), len(lost)
    return made, 0


_OPTIONS = ("timeout", "packets", "bytes", "comment", "skbmark", "skbprio", "skbqueue")
_PARTS = ("mac", "nomatch", "wildcard", "before", "after")


def _has(wanted: Set, name: str) -> bool:
    if name == "timeout":
        return wanted.timeout is not None
    if name in {"packets", "bytes"}:
        return wanted.counters
    return wanted.comment if name == "comment" else wanted.skbinfo


def _gone(name: str) -> Set:
    from ipvskit.sets.definition import Set

    return Set(name, "hash:ip")
