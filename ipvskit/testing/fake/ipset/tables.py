"""The sets of one network namespace.

Knows: names, indices, references, busy states, what may be swapped. Must not know: bytes, elements.
"""

from __future__ import annotations

import errno
import itertools
import random
import threading
from typing import TYPE_CHECKING

from ipvskit.testing.fake.ipset.attributes import Attributes, Refused
from ipvskit.testing.fake.ipset.bitmaps import BitmapSet
from ipvskit.testing.fake.ipset.hashes import HashSet
from ipvskit.testing.fake.ipset.lists import ListSet
from ipvskit.testing.fake.ipset.names import UNSPEC, Error
from ipvskit.testing.fake.ipset.types import DESTROY_MISSING, F_LAST, TYPES, SetType

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from ipvskit.testing.fake.ipset.sets import HeldSet
    from ipvskit.testing.fake.releases import Release

_MOST_SETS = 65534
_METHODS: dict[str, type[HashSet | BitmapSet | ListSet]] = {"hash": HashSet, "bitmap": BitmapSet, "list": ListSet}


class Tables:
    """All sets. Methods raise Refused with what the kernel would answer."""

    def __init__(self, release: Release, clock: Callable[[], float], types: Collection[str]) -> None:
        self.release, self.clock = release, clock
        self.types = {name: TYPES[name] for name in types}
        self.sets: dict[int, HeldSet] = {}
        self.lock = threading.RLock()
        self._random = random.Random(1)  # noqa: S311 - the same in every run, and no secret

    def seed(self) -> int:
        """See `Surroundings`."""
        return self._random.getrandbits(32)

    def refer(self, name: bytes) -> tuple[int, HeldSet] | None:
        """See `Surroundings`."""
        for index, held in sorted(self.sets.items()):
            if held.name == name:
                return index, held
        return None

    def named(self, index: int) -> HeldSet:
        """See `Surroundings`."""
        return self.sets[index]

    def find(self, name: bytes) -> tuple[int, HeldSet]:
        """The index and the set of this name."""
        found = self.refer(name)
        if found is None:
            raise Refused(errno.ENOENT)
        return found

    def find_type(self, name: bytes, family: int, revision: int | None = None) -> SetType:
        """The type of this name that takes the family, and has the revision."""
        kind = self.types.get(name.decode("latin-1"))
        if kind is None or kind.family not in {UNSPEC, family}:
            raise Refused(Error.FIND_TYPE)
        if revision is not None and revision > kind.last_revision(self.release):
            raise Refused(Error.FIND_TYPE)
        return kind

    def create(self, made: HeldSet, given: Attributes, *, exist: bool) -> None:
        """Take in a new set, unless its options or its name are wrong."""
        made.create(given)
        clash = self.refer(made.name)
        if clash is not None:
            if exist and made.same_as(clash[1]):
                return
            raise Refused(errno.EEXIST)
        index = next(number for number in itertools.count() if number not in self.sets)
        if index >= _MOST_SETS:
            raise Refused(Error.MAX_SETS)
        self.sets[index] = made

    def make(self, kind: SetType, name: bytes, family: int, revision: int) -> HeldSet:
        """An empty set that is not in the table yet."""
        return _METHODS[kind.method](kind, name, family, revision, self)

    def destroy(self, name: bytes | None, *, exist: bool) -> None:
        """Forget a set, or with None all of them."""
        if name is None:
            if any(held.references or held.dumps for held in self.sets.values()):
                raise Refused(Error.BUSY)
            self.sets.clear()
            return
        found = self.refer(name)
        if found is None:
            if exist and self.release.since(DESTROY_MISSING):
                return
            raise Refused(errno.ENOENT)
        index, held = found
        if held.references or held.dumps:
            raise Refused(Error.BUSY)
        held.flush()  # a list gives up its members
        del self.sets[index]

    def flush(self, name: bytes | None) -> None:
        """Delete the elements of a set, or with None of all sets."""
        for held in [self.find(name)[1]] if name is not None else list(self.sets.values()):
            held.flush()

    def rename(self, name: bytes, new: bytes) -> None:
        """Give a set another name."""
        _, held = self.find(name)
        if held.references or held.dumps:
            raise Refused(Error.REFERENCED)
        if self.refer(new) is not None:
            raise Refused(Error.EXIST_SETNAME2)
        held.name = new

    def swap(self, name: bytes, other: bytes) -> None:
        """Exchange the contents of two sets. Names, indices and references stay where they are."""
        index, held = self.find(name)
        found = self.refer(other)
        if found is None:
            raise Refused(Error.EXIST_SETNAME2)
        index2, held2 = found
        if (held.kind.features, held.family) != (held2.kind.features, held2.family):
            raise Refused(Error.TYPE_MISMATCH)
        if held.dumps or held2.dumps:
            raise Refused(errno.EBUSY)
        held.name, held2.name = held2.name, held.name
        held.references, held2.references = held2.references, held.references
        self.sets[index], self.sets[index2] = held2, held

    def in_order(self) -> list[tuple[int, HeldSet]]:
        """As a listing has them: by index, and sets of sets behind all others."""
        return sorted(self.sets.items(), key=lambda item: (bool(item[1].kind.features & F_LAST), item[0]))
