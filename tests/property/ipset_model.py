"""What must be after every call about sets: an oracle in plain Python.

Knows: what ipset(8) and the kernel's source say of sets, references and refusals. Must not know: the client, netlink, what elements are.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING

import ipvskit as ik
from ipvskit.model.settype import SET_TYPES
from tests.property.ipset_held import Held, Outcome, RefusedError, Written, defaults, options_of, table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

__all__ = ["TEMPORARY", "Model"]

TEMPORARY = "ipvskit-tmp-"


class Model:
    """All sets of a namespace. `types` are those of the kernel, with its newest revision of each."""

    def __init__(self, types: Mapping[str, int]) -> None:
        self.types = types
        #: By index; a name stays with its index.
        self.names: dict[int, str] = {}
        self.sets: dict[str, Held] = {}
        #: How many rules of a packet filter refer to each.
        self.rules: dict[str, int] = {}

    # --- what is --------------------------------------------------------------------------------------------------------------------

    def held(self, name: str) -> Held:
        if name not in self.sets:
            raise RefusedError(ik.SetNotFound)
        return self.sets[name]

    def references(self, name: str) -> int:
        return self.rules.get(name, 0) + sum(
            (name,) in held.kept for held in self.sets.values() if held.kind.name == "list:set"
        )

    def in_order(self) -> Iterator[tuple[int, Held]]:
        """As they are listed: by index, lists last."""
        found = [(index, self.sets[name]) for index, name in sorted(self.names.items())]
        yield from sorted(found, key=lambda each: each[1].kind.name == "list:set")

    def new_index(self) -> int:
        return next(index for index in range(len(self.names) + 1) if index not in self.names)

    # --- sets -----------------------------------------------------------------------------------------------------------------------

    def revision(self, of: ik.Set, wish: str | int, features: Iterable[str] = ()) -> int:
        """The revision that is asked for. Raises RefusedError."""
        kind, newest = SET_TYPES[of.type], self.types[of.type]
        flags = [name for name in ("counters", "comment", "skbinfo", "forceadd") if getattr(of, name)]
        flags += ["bucketsize"] if of.bucketsize is not None or of.initval is not None else []
        flags += [name for name in ("netmask", "bitmask") if getattr(of, name) is not None]
        needed = max((kind.revision_of(feature) for feature in [*flags, *features]), default=0)
        if needed > newest:
            raise RefusedError(ik.SetFeatureNotAvailable)
        if wish == "latest":
            return newest
        if isinstance(wish, int):
            if wish > newest:
                raise RefusedError(ik.SetFeatureNotAvailable)
            return wish
        return max(needed, min(newest, max(kind.lowest, kind.syntax_revision)))

    def create(self, of: ik.Set, wish: str | int, entries: Sequence[Written] | None, *, exist: bool) -> Outcome:
        """Raises RefusedError; an outcome with failures means BulkFailed."""
        probe = Held(of, 0)
        for written in entries or ():
            if written.wrong or probe.refuses(written.options) or any(map(probe.outside, probe.keys(written))):
                raise RefusedError(ik.InvalidEntry)
        wildcard = any(written.options.get("wildcard") for written in entries or ())
        revision = self.revision(of, wish, ["wildcard"] if wildcard else [])
        if of.name in self.sets:
            there = self.sets[of.name]
            if not exist or not self._same(of, there, wish, len(table(probe, entries or ()))):
                raise RefusedError(ik.SetExists)
            # A table made for a set with counters has them, 0 where they were not given: so they begin anew.
            zero = {"packets": 0, "bytes": 0} if of.counters else {}
            wanted = [replace(each, options=zero | dict(each.options)) for each in table(there, entries or ())]
            return self.change("add", of.name, wanted, exist=True)
        self.names[self.new_index()] = of.name
        self.sets[of.name] = Held(defaults(of), revision)
        outcome = self.change("add", of.name, table(self.sets[of.name], entries or ()))
        if outcome.failures:
            self.destroy(of.name)
        return outcome

    def _same(self, of: ik.Set, there: Held, wish: str | int, count: int) -> bool:
        have, want = there.of, defaults(of)
        if (want.type, want.family) != (have.type, have.family) or (isinstance(wish, int) and wish != there.revision):
            return False
        shown = there.revision == self.types[have.type]
        for name in ("bucketsize", "initval"):
            if shown and getattr(of, name) is not None and getattr(of, name) != getattr(have, name):
                return False
        fields = {"netmask", "bitmask", "range", "timeout", "counters", "comment", "skbinfo", "forceadd", "markmask"}
        # A size that was left open may be one that was made for the contents.
        open_size = of.maxelem is None and 0 < count <= (have.maxelem or 0)
        fields |= set() if open_size else {"maxelem"}
        larger = of.hashsize is None or (have.hashsize or 0) >= of.hashsize
        return larger and all(getattr(want, name) == getattr(have, name) for name in fields)

    def destroy(self, name: str) -> None:
        self.held(name)
        if self.references(name):
            raise RefusedError(ik.SetReferenced)
        del self.sets[name]
        self.names = {index: each for index, each in self.names.items() if each != name}

    def destroy_all(self) -> None:
        if any(self.rules.get(name) for name in self.sets):
            raise RefusedError(ik.SetReferenced)
        self.sets.clear()
        self.names.clear()

    def flush_all(self) -> None:
        for held in self.sets.values():
            held.flush()

    def rename(self, name: str, new: str) -> None:
        held = self.held(name)
        if self.references(name):
            raise RefusedError(ik.SetReferenced)
        if new in self.sets:
            raise RefusedError(ik.SetExists)
        self.sets[new] = self.sets.pop(name)
        held.of = ik.Set(new, **options_of(held.of))
        self.names = {index: new if each == name else each for index, each in self.names.items()}

    def swap(self, one: str, two: str) -> None:
        first, second = self.held(one), self.held(two)
        if first.features != second.features:
            raise RefusedError(ik.SetTypeMismatch)
        first.of, second.of = ik.Set(two, **options_of(first.of)), ik.Set(one, **options_of(second.of))
        self.sets[one], self.sets[two] = second, first

    def replace(self, name: str, entries: Sequence[Written], *, grow: bool) -> Outcome:
        held = self.held(name)
        for written in entries:
            if written.wrong or held.refuses(written.options) or any(map(held.outside, held.keys(written))):
                raise RefusedError(ik.InvalidEntry)
        wanted, of = table(held, entries), held.of
        if of.maxelem is not None and len(wanted) > of.maxelem:
            if not grow:
                raise RefusedError(ik.SetFull)
            of = ik.Set(name, **(options_of(of) | {"maxelem": 65536}))
        self.clean()
        before = self.sets[name]
        self.sets[name] = Held(of, held.revision)
        outcome = self.change("add", name, wanted)
        if outcome.failures:
            self.sets[name] = before
        return outcome

    def clean(self) -> list[str]:
        found = [name for name in self.sets if name.startswith(TEMPORARY)]
        for name in found:
            self.destroy(name)
        return found

    # --- entries --------------------------------------------------------------------------------------------------------------------

    def change(
        self, command: str, name: str, entries: Sequence[Written], *, exist: bool = False, stop: bool = False
    ) -> Outcome:
        """Add or delete them: an entry is done if any of its elements was, and failed if any of them did."""
        held, outcome = self.held(name), Outcome()
        for at, written in enumerate(entries):
            try:
                done = self._one(command, held, written, exist=exist, stop=stop)
            except RefusedError as refused:
                outcome.failures.append((at, refused.kind))
                if stop:
                    outcome.stopped = True
                    break
            else:
                outcome.done += done
                outcome.already += [] if done else [at]
        return outcome

    @staticmethod
    def _place(command: str, held: Held, written: Written) -> int | None:
        """Where among the members of a list the new one stands. Raises RefusedError."""
        near = written.options.get("before") or written.options.get("after")
        if near is None:
            return None
        members, (member,) = [key[0] for key in held.kept], written.keys[0]
        after = "after" in written.options
        if command == "delete":
            pair = (near, member) if after else (member, near)
            if pair not in itertools.pairwise(members):
                raise RefusedError(ik.EntryNotFound)
            return None
        if near not in members or near == member:
            raise RefusedError(ik.EntryNotFound)
        return members.index(near) + after

    def _one(self, command: str, held: Held, written: Written, *, exist: bool, stop: bool) -> bool:
        """Whether anything was done. Raises RefusedError."""
        self._check(command, held, written)
        place = self._place(command, held, written)
        if place is not None and written.keys[0] not in held.kept:
            held.put(written.keys[0], written, exist=exist)
            held.move_last(place)
            return True
        any_done = False
        full: RefusedError | None = None
        for key in held.keys(written):
            try:
                added = command == "add" and held.put(key, written, held.mac_of(written), exist=exist)
                any_done |= added or (command == "delete" and (held.drop(key) or exist))
            except RefusedError as refused:
                full = refused
                if stop:
                    break
        if full:
            raise full
        return any_done

    def _check(self, command: str, held: Held, written: Written) -> None:
        """What is said of the entry before it is looked for. Raises RefusedError."""
        if written.wrong:
            raise RefusedError(written.wrong)
        if command == "add" and held.refuses(written.options):
            raise RefusedError(ik.OptionNotEnabled)
        if held.kind.name == "list:set":
            self._check_member(written.keys[0][0])
            for near in ("before", "after"):
                self.held(written.options.get(near, written.keys[0][0]))
        if any(map(held.outside, held.keys(written))):
            raise RefusedError(ik.EntryRefused)

    def _check_member(self, member: str) -> None:
        if self.held(member).kind.name == "list:set":
            raise RefusedError(ik.EntryRefused)
