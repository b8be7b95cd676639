"""Commands as packed records, and what answers them as values.

Knows: struct ik_ipset_command and struct ik_ipset_set of csrc/ik_ipset.h. Must not know: sockets, what refusals mean.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Any

from ipvskit.errors import InvalidConfig
from ipvskit.model.address import Family
from ipvskit.model.settype import SET_TYPES
from ipvskit.sets.definition import SetStatus, stored_set
from ipvskit.sets.parts import MAX_NAME, AddressRange, NumberRange, check_word
from ipvskit.sets.shape import family_number

if TYPE_CHECKING:
    from ipvskit.model.address import IPAddress
    from ipvskit.sets.definition import Set

__all__ = ["Command", "Header", "command", "create", "decode_headers", "held", "query_type", "set_name"]

NLM_F_EXCL = 0x200
NLM_F_CREATE = 0x400
NLM_F_DUMP = 0x300
LIST_NAMES = 2
LIST_HEADERS = 4

#: struct ik_ipset_set; the first of its fields is the number of the request that it answers.
SET = struct.Struct("=II32s32sBBBBBBBxHHHxx16s16s16s10I")
_HEAD = struct.Struct("=IIII")

_FAMILIES = {2: Family.IPV4, 10: Family.IPV6}
_FLAGS = {"counters": 8, "comment": 16, "forceadd": 32, "skbinfo": 64}


class Command(IntEnum):
    """enum ipset_cmd of linux/netfilter/ipset/ip_set.h."""

    PROTOCOL = 1
    CREATE = 2
    DESTROY = 3
    FLUSH = 4
    RENAME = 5
    SWAP = 6
    LIST = 7
    ADD = 9
    DEL = 10
    TEST = 11
    HEADER = 12
    TYPE = 13
    GET_BYNAME = 14
    GET_BYINDEX = 15


class _Bit(IntEnum):
    """enum ik_ipset_bit of csrc/ik_ipset.h."""

    NAME = 1
    NAME2 = 2
    FAMILY = 4
    REVISION = 8
    LEAST = 16
    INDEX = 32
    PROTOCOL = 64
    FROM = 128
    TO = 256
    PREFIX = 512
    LOW_PORT = 1024
    HIGH_PORT = 2048
    TIMEOUT = 4096
    FLAGS = 8192
    MARKMASK = 16384
    BITMASK = 32768
    INITVAL = 1 << 16
    HASHSIZE = 1 << 17
    MAXELEM = 1 << 18
    NETMASK = 1 << 19
    BUCKETSIZE = 1 << 20
    SIZE = 1 << 21
    ELEMENTS = 1 << 22
    REFERENCES = 1 << 23
    MEMORY = 1 << 24


@dataclass(slots=True)
class Header:
    """The fields of struct ik_ipset_set, and what is known of each in `present`."""

    index: int = 0
    present: int = 0
    name: bytes = b""
    name2: bytes = b""
    family: int = 0
    revision: int = 0
    least: int = 0
    protocol: int = 0
    prefix: int = 0
    netmask: int = 0
    bucketsize: int = 0
    set_index: int = 0
    low_port: int = 0
    high_port: int = 0
    first: bytes = b""
    last: bytes = b""
    bitmask: bytes = b""
    timeout: int = 0
    flags: int = 0
    markmask: int = 0
    initval: int = 0
    hashsize: int = 0
    maxelem: int = 0
    size: int = 0
    elements: int = 0
    references: int = 0
    memory: int = 0

    def has(self, bit: _Bit) -> bool:
        """Whether the field was there."""
        return bool(self.present & bit)

    def pack(self) -> bytes:
        """As the C core takes it."""
        return SET.pack(*(getattr(self, name) for name in self.__slots__))

    @property
    def set_name(self) -> str:
        """The name of the set."""
        return _text(self.name)

    @property
    def type_name(self) -> str:
        """The name of the type, or of the second set."""
        return _text(self.name2)

    @property
    def inet(self) -> Family | None:
        """The family, None where the type has none."""
        kind = SET_TYPES.get(self.type_name)
        return None if kind is not None and not kind.families else _FAMILIES.get(self.family)


def _text(raw: bytes) -> str:
    return raw.split(b"\0", 1)[0].decode("utf-8", "surrogateescape")


def decode_headers(rows: bytes) -> list[Header]:
    """Packed rows as values."""
    return [Header(*fields) for fields in SET.iter_unpack(rows)]


def set_name(name: object, field: str = "name") -> bytes:
    """A set's name as bytes. Raises InvalidConfig."""
    return check_word(field, name, MAX_NAME).encode("utf-8", "surrogateescape")


def command(
    what: Command,
    name: str | None = None,
    name2: str | None = None,
    *,
    flags: int = 0,
    listing: int = 0,
    index: int | None = None,
) -> bytes:
    """A command about no set, one or two. Raises InvalidConfig."""
    header = Header()
    if name is not None:
        header.name = set_name(name)
        header.present |= _Bit.NAME
    if name2 is not None:
        header.name2 = set_name(name2)
        header.present |= _Bit.NAME2
    if index is not None:
        if not 0 <= index <= 65535:
            raise InvalidConfig("index", index, "a number from 0 to 65535")
        header.set_index = index
        header.present |= _Bit.INDEX
    return _HEAD.pack(what, flags, listing, 0) + header.pack()


def query_type(kind: str, family: Family | None) -> bytes:
    """Ask which revisions of a type there are."""
    header = Header(name2=kind.encode(), family=family_number(family), present=_Bit.NAME2 | _Bit.FAMILY)
    return _HEAD.pack(Command.TYPE, 0, 0, 0) + header.pack()


def create(wanted: Set, revision: int) -> bytes:
    """Make a set of this revision of its type."""
    header = Header(
        name=set_name(wanted.name),
        name2=wanted.type.encode(),
        family=family_number(wanted.family),
        revision=revision,
        present=_Bit.NAME | _Bit.NAME2 | _Bit.FAMILY | _Bit.REVISION,
    )
    for name, bit in _NUMBERS.items():
        value = getattr(wanted, name)
        if value is not None:
            setattr(header, name, value)
            header.present |= bit
    if wanted.bitmask is not None:
        header.bitmask = wanted.bitmask.packed
        header.present |= _Bit.BITMASK
    if isinstance(wanted.range, NumberRange):
        header.low_port, header.high_port = wanted.range.first, wanted.range.last
        header.present |= _Bit.LOW_PORT | _Bit.HIGH_PORT
    elif wanted.range is not None:
        header.first, header.last = wanted.range.first.packed, wanted.range.last.packed
        header.present |= _Bit.FROM | _Bit.TO
    header.flags = sum(bit for name, bit in _FLAGS.items() if getattr(wanted, name))
    if header.flags:
        header.present |= _Bit.FLAGS
    return _HEAD.pack(Command.CREATE, NLM_F_CREATE | NLM_F_EXCL, 0, 0) + header.pack()


_NUMBERS = {
    "hashsize": _Bit.HASHSIZE,
    "maxelem": _Bit.MAXELEM,
    "bucketsize": _Bit.BUCKETSIZE,
    "initval": _Bit.INITVAL,
    "netmask": _Bit.NETMASK,
    "markmask": _Bit.MARKMASK,
    "size": _Bit.SIZE,
    "timeout": _Bit.TIMEOUT,
}


def _address(raw: bytes, family: Family | None) -> IPAddress:
    return IPv6Address(raw) if family is Family.IPV6 else IPv4Address(raw[:4])


def _range(header: Header) -> AddressRange | NumberRange | None:
    if header.has(_Bit.LOW_PORT):
        return NumberRange(header.low_port, header.high_port if header.has(_Bit.HIGH_PORT) else header.low_port)
    if header.has(_Bit.FROM):
        first = _address(header.first, Family.IPV4)
        return AddressRange(first, _address(header.last, Family.IPV4) if header.has(_Bit.TO) else first)
    return None


def held(header: Header, entries: Any = None) -> SetStatus:  # noqa: ANN401 - as in Set
    """A set as the kernel has it."""
    values: dict[str, Any] = {name: getattr(header, name) for name, bit in _NUMBERS.items() if header.has(bit)}
    if header.has(_Bit.BITMASK):
        values["bitmask"] = _address(header.bitmask, header.inet)
    flags = {name: bool(header.flags & bit) for name, bit in _FLAGS.items()}
    found = stored_set(
        name=header.set_name,
        type=header.type_name,
        family=header.inet,
        range=_range(header),
        entries=entries,
        **values,
        **flags,
    )
    index = header.set_index if header.has(_Bit.INDEX) else None
    return SetStatus(found, header.revision, index, header.elements, header.references, header.memory)
