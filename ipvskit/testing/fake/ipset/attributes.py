"""Netlink attributes as the kernel reads and writes them.

Knows: flags, policies, liberal and strict validation, byte orders. Must not know: what ipset's attributes mean.
"""

from __future__ import annotations

import errno
import struct
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

NESTED, NET_ORDER, TYPE_MASK = 0x8000, 0x4000, 0x3FFF
HEADER = struct.Struct("=HH")


class Refused(Exception):
    """The kernel answers with this errno. A negative one is what a careless `return ret` of the kernel makes of a truth value."""

    def __init__(self, error: int) -> None:
        super().__init__(error)
        self.error = error


class Kind(Enum):
    """What a policy says about an attribute."""

    U8 = 1
    U16 = 2
    U32 = 4
    U64 = 8
    NUL_STRING = "text with its NUL"
    STRING = "text"
    BINARY = "at most so many bytes"
    EXACT = "so many bytes"
    NEST = "attributes"


@dataclass(frozen=True, slots=True)
class Rule:
    """The policy of one attribute; `length` bounds strings and bytes."""

    kind: Kind
    length: int = 0


U8, U16, U32, U64, NEST = Rule(Kind.U8), Rule(Kind.U16), Rule(Kind.U32), Rule(Kind.U64), Rule(Kind.NEST)
NAME = Rule(Kind.NUL_STRING, 31)

_NUMBERS = frozenset({Kind.U8, Kind.U16, Kind.U32, Kind.U64})


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute of a request; `offset` is where its header lies in what was parsed."""

    kind: int
    data: bytes
    offset: int = 0

    @property
    def number(self) -> int:
        """Its type without the flags."""
        return self.kind & TYPE_MASK

    @property
    def nested(self) -> bool:
        """Whether it carries the flag of a nest."""
        return bool(self.kind & NESTED)

    @property
    def net_order(self) -> bool:
        """Whether it carries the flag of network byte order."""
        return bool(self.kind & NET_ORDER)

    def u8(self) -> int:
        """Its first byte."""
        return self.data[0]

    def be(self) -> int:
        """A number in network byte order, whatever the flag says."""
        return int.from_bytes(self.data, "big")

    def host(self) -> int:
        """A number in this machine's byte order."""
        return int(struct.unpack_from("=I", self.data)[0])

    def text(self) -> bytes:
        """What comes before the first NUL."""
        return self.data.split(b"\0", 1)[0]


Attributes = dict[int, Attribute]


def walk(data: bytes, start: int = 0) -> Iterator[Attribute]:
    """The well-formed attributes of a buffer, up to the first that is not. The rest is the caller's affair (`rest`)."""
    while len(data) - start >= HEADER.size:
        length, kind = HEADER.unpack_from(data, start)
        if length < HEADER.size or length > len(data) - start:
            return
        yield Attribute(kind, data[start + HEADER.size : start + length], start)
        start += length + -length % 4


def parse_liberal(data: bytes, policy: Mapping[int, Rule], most: int) -> Attributes:
    """As nfnetlink reads a command's attributes: unknown ones and what follows the last are passed over. Raises Refused."""
    found: Attributes = {}
    for one in walk(data):
        if 0 < one.number <= most:
            if one.number in policy:
                _validate(one, policy[one.number], strict=False)
            found[one.number] = one
    return found


def parse_strict(data: bytes, policy: Mapping[int, Rule]) -> Attributes:
    """As newer code reads attributes: nothing unknown, exact lengths, right flags. Raises Refused."""
    found: Attributes = {}
    end = 0
    for one in walk(data):
        if one.number not in policy:
            raise Refused(errno.EINVAL)
        _validate(one, policy[one.number], strict=True)
        found[one.number] = one
        end = one.offset + HEADER.size + len(one.data)
        end += -end % 4
    if end < len(data):
        raise Refused(errno.EINVAL)
    return found


def _validate(one: Attribute, rule: Rule, *, strict: bool) -> None:
    length = len(one.data)
    if strict and one.nested != (rule.kind is Kind.NEST):
        raise Refused(errno.EINVAL)
    if rule.kind in _NUMBERS:
        size = int(rule.kind.value)
        if strict and length != size:
            raise Refused(errno.EINVAL)
        if length < size:
            raise Refused(errno.ERANGE)
    elif rule.kind is Kind.NUL_STRING and (not length or b"\0" not in one.data[: rule.length + 1]):
        raise Refused(errno.EINVAL)
    elif rule.kind in {Kind.NUL_STRING, Kind.STRING}:
        if length < 1 or length - (one.data[-1] == 0) > rule.length:
            raise Refused(errno.ERANGE)
    elif _wrong_size(length, rule):
        raise Refused(errno.ERANGE)


def _wrong_size(length: int, rule: Rule) -> bool:
    if rule.kind is Kind.NEST:
        return 0 < length < HEADER.size
    return length > rule.length or (rule.kind is Kind.EXACT and length != rule.length)


def pack(number: int, data: bytes, flags: int = 0) -> bytes:
    """One attribute with its padding."""
    length = HEADER.size + len(data)
    return HEADER.pack(length, number | flags) + data + bytes(-length % 4)


def nest(number: int, data: bytes) -> bytes:
    """A nest of packed attributes."""
    return pack(number, data, NESTED)


def u8(number: int, value: int) -> bytes:
    """One byte."""
    return pack(number, bytes([value]))


def net(number: int, value: int, size: int = 4) -> bytes:
    """A number in network byte order, flagged so."""
    return pack(number, value.to_bytes(size, "big"), NET_ORDER)


def string(number: int, text: bytes) -> bytes:
    """Text with its NUL."""
    return pack(number, text + b"\0")


def address(number: int, value: int, family: int) -> bytes:
    """An address in its nest; the kernel leaves out the flag that it demands."""
    inner = pack(1, value.to_bytes(4, "big")) if family == 2 else pack(2, value.to_bytes(16, "big"))
    return nest(number, inner)
