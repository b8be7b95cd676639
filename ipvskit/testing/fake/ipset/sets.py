"""What every set has: a name, options, elements with extensions, and a header to list.

Knows: extensions, timeouts, how elements and headers are listed. Must not know: which elements a type takes, tables of sets.
"""

from __future__ import annotations

import errno
import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ipvskit.testing.fake.ipset import attributes
from ipvskit.testing.fake.ipset.attributes import Attribute, Attributes, Refused, parse_strict
from ipvskit.testing.fake.ipset.names import INET, Command, Data, Elem, Error, Flag, Make

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ipvskit.testing.fake.ipset.attributes import Rule
    from ipvskit.testing.fake.ipset.types import SetType
    from ipvskit.testing.fake.releases import Release

#: A timeout in milliseconds must fit into an int of the kernel.
LONGEST_TIMEOUT = 2147483
LONGEST_COMMENT = 255
#: What stands for counters that are not given, so that this value cannot be given.
_UNSET = 2**64 - 1
#: Extensions of elements that are numbers.
EXTENSION_NUMBERS = (Data.TIMEOUT, Elem.PACKETS, Elem.BYTES, Elem.SKBMARK, Elem.SKBPRIO, Elem.SKBQUEUE)
_EXTENSIONS = Flag.COUNTERS | Flag.COMMENT | Flag.SKBINFO

_V4: dict[int, Rule] = {1: attributes.U32, 2: attributes.Rule(attributes.Kind.EXACT, 16)}


def read_address(one: Attribute, family: int) -> int:
    """The address in a nest. Raises Refused."""
    wanted = 1 if family == INET else 2
    if not one.nested:
        raise Refused(Error.PROTOCOL)
    try:
        inner = parse_strict(one.data, _V4)
    except Refused:
        raise Refused(Error.PROTOCOL) from None
    if wanted not in inner or not inner[wanted].net_order:
        raise Refused(Error.PROTOCOL)
    return inner[wanted].be()


def in_net_order(found: Attributes, *numbers: int) -> None:
    """Every one of these that is there must carry the flag. Raises Refused."""
    if any(number in found and not found[number].net_order for number in numbers):
        raise Refused(Error.PROTOCOL)


def read_timeout(one: Attribute) -> int:
    """Seconds, bounded as the kernel does it."""
    return min(one.be(), LONGEST_TIMEOUT)


@dataclass(slots=True)
class Entry:
    """What a set keeps with an element. `expires` is a time of the clock, None for permanent ones."""

    expires: float | None = None
    nomatch: bool = False
    wildcard: bool = False
    octets: int = 0
    packets: int = 0
    comment: bytes = b""
    skbmark: int = 0
    skbprio: int = 0
    skbqueue: int = 0


@dataclass(slots=True)
class Extensions:
    """The extensions that a request gives."""

    timeout: int = 0
    octets: int = _UNSET
    packets: int = _UNSET
    comment: bytes = b""
    skbmark: int = 0
    skbprio: int = 0
    skbqueue: int = 0


class Surroundings(Protocol):
    """What a set sees of the kernel around it."""

    release: Release
    clock: Callable[[], float]

    def seed(self) -> int:
        """A number to start a hash with."""

    def refer(self, name: bytes) -> tuple[int, HeldSet] | None:
        """The index and the set of this name."""

    def named(self, index: int) -> HeldSet:
        """The set with this index."""


class HeldSet(ABC):
    """A set. `references` counts lists and rules that use its name, `dumps` the listings under way."""

    def __init__(self, kind: SetType, name: bytes, family: int, revision: int, around: Surroundings) -> None:
        self.kind, self.name, self.family, self.revision = kind, name, family, revision
        self.around = around
        self.references = self.dumps = 0
        self.timeout: int | None = None
        self.flags = 0
        #: No element expires before; looking at every element on every change would take too long.
        self.soonest = math.inf

    def take_options(self, given: Attributes) -> None:
        """What creation says of timeouts and extensions."""
        if Data.TIMEOUT in given:
            self.timeout = read_timeout(given[Data.TIMEOUT])
        if Data.CADT_FLAGS in given:
            self.flags = given[Data.CADT_FLAGS].be() & (_EXTENSIONS | Flag.FORCEADD)

    # --- what each kind of set does ---------------------------------------------------------------------------------------------

    @abstractmethod
    def create(self, given: Attributes) -> None:
        """Take the attributes of its creation. Raises Refused."""

    @abstractmethod
    def change(self, command: Command, given: Attributes, *, exist: bool) -> None:
        """Add or delete what an element's attributes say. Raises Refused."""

    @abstractmethod
    def test(self, given: Attributes) -> bool:
        """Whether it has this element. Raises Refused."""

    @abstractmethod
    def flush(self) -> None:
        """Delete all elements."""

    @abstractmethod
    def own(self) -> tuple[object, ...]:
        """What else must be equal for CREATE to take two sets for the same."""

    @abstractmethod
    def head(self) -> bytes:
        """What of its header comes before the reference counter, as packed attributes."""

    @abstractmethod
    def count(self) -> tuple[int, int]:
        """How many elements it has, and a guess at its size in memory."""

    @abstractmethod
    def elements(self) -> Iterator[bytes]:
        """Each element as packed attributes."""

    # --- what all have in common ----------------------------------------------------------------------------------------------------

    def same_as(self, other: HeldSet) -> bool:
        """Whether CREATE without EXCL takes the other for this one."""
        mine = (self.kind, self.timeout, self.flags & _EXTENSIONS, self.own())
        return mine == (other.kind, other.timeout, other.flags & _EXTENSIONS, other.own())

    def read_extensions(self, given: Attributes) -> Extensions:
        """The extensions of an element, each of which the set must have. Raises Refused."""
        in_net_order(given, *EXTENSION_NUMBERS)
        found = Extensions(timeout=self.timeout or 0)
        if Data.TIMEOUT in given:
            if self.timeout is None:
                raise Refused(Error.TIMEOUT)
            found.timeout = read_timeout(given[Data.TIMEOUT])
        if Elem.BYTES in given or Elem.PACKETS in given:
            if not self.flags & Flag.COUNTERS:
                raise Refused(Error.COUNTER)
            found.octets = given[Elem.BYTES].be() if Elem.BYTES in given else _UNSET
            found.packets = given[Elem.PACKETS].be() if Elem.PACKETS in given else _UNSET
        if Elem.COMMENT in given:
            if not self.flags & Flag.COMMENT:
                raise Refused(Error.COMMENT)
            found.comment = given[Elem.COMMENT].text()[:LONGEST_COMMENT]
        for number, field in ((Elem.SKBMARK, "skbmark"), (Elem.SKBPRIO, "skbprio"), (Elem.SKBQUEUE, "skbqueue")):
            if number in given:
                if not self.flags & Flag.SKBINFO:
                    raise Refused(Error.SKBINFO)
                setattr(found, field, given[number].be())
        return found

    def extend(self, entry: Entry, given: Extensions) -> None:
        """Give an element its extensions, in place of what it had. Counters that are not given stay as they are."""
        if given.octets != _UNSET:
            entry.octets = given.octets
        if given.packets != _UNSET:
            entry.packets = given.packets
        entry.comment = given.comment
        entry.skbmark, entry.skbprio, entry.skbqueue = given.skbmark, given.skbprio, given.skbqueue
        entry.expires = None
        if given.timeout:
            entry.expires = self.around.clock() + given.timeout
            self.soonest = min(self.soonest, entry.expires)

    def count_test(self, entry: Entry, given: Extensions) -> None:
        """A test that names PACKETS counts as that many packets, and takes BYTES that are not given for -1."""
        if self.flags & Flag.COUNTERS and given.packets != _UNSET:
            entry.octets = (entry.octets + given.octets) % 2**64
            entry.packets = (entry.packets + given.packets) % 2**64

    def expired(self, entry: Entry) -> bool:
        """Whether the element's time is over."""
        return entry.expires is not None and entry.expires <= self.around.clock()

    def drop_expired(self) -> None:
        """Forget elements whose time is over. The kernel does so now and then, and hides them until then."""
        if self.around.clock() >= self.soonest:
            self.soonest = math.inf
            for entry in self._forget_expired():
                if entry.expires is not None:
                    self.soonest = min(self.soonest, entry.expires)

    @abstractmethod
    def _forget_expired(self) -> Iterable[Entry]:
        """Delete expired elements; the answer is what is left."""

    def listed_extensions(self, entry: Entry, timeout: int | None = None) -> bytes:
        """The extensions as packed attributes; `timeout` in place of the remaining seconds."""
        parts = []
        if self.timeout is not None:
            if timeout is None:
                timeout = 0 if entry.expires is None else max(1, int(entry.expires - self.around.clock()))
            parts.append(attributes.net(Data.TIMEOUT, timeout))
        if self.flags & Flag.COUNTERS:
            parts += [attributes.net(Elem.BYTES, entry.octets, 8), attributes.net(Elem.PACKETS, entry.packets, 8)]
        if entry.comment:
            parts.append(attributes.string(Elem.COMMENT, entry.comment))
        if entry.skbmark:
            parts.append(attributes.net(Elem.SKBMARK, entry.skbmark, 8))
        if entry.skbprio:
            parts.append(attributes.net(Elem.SKBPRIO, entry.skbprio))
        if entry.skbqueue:
            parts.append(attributes.net(Elem.SKBQUEUE, entry.skbqueue, 2))
        return b"".join(parts)

    def header(self) -> bytes:
        """DATA of a listing."""
        elements, memory = self.count()
        parts = [
            self.head(),
            attributes.net(Make.REFERENCES, self.references),
            attributes.net(Make.MEMSIZE, memory),
            attributes.net(Make.ELEMENTS, elements),
        ]
        if self.timeout is not None:
            parts.append(attributes.net(Data.TIMEOUT, self.timeout))
        if self.flags:
            parts.append(attributes.net(Data.CADT_FLAGS, self.flags))
        return attributes.nest(7, b"".join(parts))


def no_memory(*, unless: bool) -> None:
    """Refuse what the kernel could not allocate."""
    if not unless:
        raise Refused(errno.ENOMEM)
