"""Sets of sets.

Knows: members, their order, before and after. Must not know: how sets are found (`Surroundings` does).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ipvskit.testing.fake.ipset import attributes
from ipvskit.testing.fake.ipset.attributes import Attributes, Refused
from ipvskit.testing.fake.ipset.names import Command, Data, Elem, Error, Flag, ListError, Make
from ipvskit.testing.fake.ipset.sets import Entry, Extensions, HeldSet, in_net_order
from ipvskit.testing.fake.ipset.types import F_NAME

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_SIZE, _LEAST = 8, 4


@dataclass(slots=True)
class Place:
    """A member and where it is wanted: `side` is 1 before the reference, -1 after it, 0 anywhere."""

    member: int
    side: int = 0
    reference: int = -1


class ListSet(HeldSet):
    """A list:set. Members are indices, which stay with the names when sets are swapped."""

    def create(self, given: Attributes) -> None:
        """See `HeldSet`."""
        in_net_order(given, Make.SIZE, Data.TIMEOUT, Data.CADT_FLAGS)
        self.size = max(_LEAST, given[Make.SIZE].be()) if Make.SIZE in given else _SIZE
        self.held: list[int] = []
        self.entries: dict[int, Entry] = {}
        self.take_options(given)

    def own(self) -> tuple[object, ...]:
        """See `HeldSet`."""
        return (self.size,)

    def _read(self, given: Attributes) -> tuple[Place, Extensions]:
        if Elem.NAME not in given:
            raise Refused(Error.PROTOCOL)
        in_net_order(given, Data.CADT_FLAGS)
        extensions = self.read_extensions(given)
        found = self.around.refer(given[Elem.NAME].text())
        if found is None:
            raise Refused(ListError.NAME)
        if found[1].kind.features & F_NAME:
            raise Refused(ListError.LOOP)
        place = Place(found[0])
        if Data.CADT_FLAGS in given and given[Data.CADT_FLAGS].be() & Flag.BEFORE:
            place.side = 1
        if place.side and Elem.NAMEREF not in given:
            raise Refused(ListError.BEFORE)
        if Elem.NAMEREF in given:
            reference = self.around.refer(given[Elem.NAMEREF].text())
            if reference is None:
                raise Refused(ListError.NAMEREF)
            place.reference = reference[0]
            place.side = place.side or -1
        return place, extensions

    def change(self, command: Command, given: Attributes, *, exist: bool) -> None:
        """See `HeldSet`."""
        place, extensions = self._read(given)
        self.drop_expired()
        if command is Command.DEL:
            self._delete(place, exist=exist)
        else:
            self._add(place, extensions, exist=exist)

    def _add(self, place: Place, extensions: Extensions, *, exist: bool) -> None:
        if place.side and (place.reference not in self.held or place.reference == place.member):
            raise Refused(ListError.REF_EXIST)
        if place.member in self.held:
            if not exist:
                raise Refused(Error.EXIST)
        else:
            at = len(self.held)
            if place.side:
                at = self.held.index(place.reference) + (place.side < 0)
            self.held.insert(at, place.member)
            self.entries[place.member] = Entry()
            self.around.named(place.member).references += 1
        self.extend(self.entries[place.member], extensions)

    def _delete(self, place: Place, *, exist: bool) -> None:
        if place.member in self.held:
            if not self._stands(place):
                raise Refused(ListError.REF_EXIST)
            self._drop(place.member)
        elif place.side:
            raise Refused(ListError.REF_EXIST)
        elif not exist:
            raise Refused(Error.EXIST)

    def _stands(self, place: Place) -> bool:
        neighbour = self.held.index(place.member) + place.side
        if not place.side:
            return True
        return 0 <= neighbour < len(self.held) and self.held[neighbour] == place.reference

    def _drop(self, member: int) -> None:
        self.held.remove(member)
        del self.entries[member]
        self.around.named(member).references -= 1

    def _forget_expired(self) -> Iterable[Entry]:
        for member in [member for member in self.held if self.expired(self.entries[member])]:
            self._drop(member)
        return self.entries.values()

    def flush(self) -> None:
        """See `HeldSet`."""
        for member in list(self.held):
            self._drop(member)

    def test(self, given: Attributes) -> bool:
        """See `HeldSet`."""
        place, _ = self._read(given)
        self.drop_expired()
        return place.member in self.held and self._stands(place)

    # --- listing --------------------------------------------------------------------------------------------------------------------

    def head(self) -> bytes:
        """See `HeldSet`."""
        return attributes.net(Make.SIZE, self.size)

    def count(self) -> tuple[int, int]:
        """See `HeldSet`."""
        self.drop_expired()
        return len(self.held), 80 + 32 * len(self.held)

    def elements(self) -> Iterator[bytes]:
        """See `HeldSet`."""
        for member in self.held:
            entry = self.entries[member]
            if not self.expired(entry):
                packed = attributes.string(Elem.NAME, self.around.named(member).name)
                yield packed + self.listed_extensions(entry)
