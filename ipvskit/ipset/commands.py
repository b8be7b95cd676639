"""Commands as packed records, and what answers them as values.

Knows: struct ik_ipset_command and struct ik_ipset_set of csrc/ik_ipset.h. Must not know: sockets, what refusals mean.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Any

from ipvskit.errors import InvalidConfig
from ipvskit.ipset.records import (
    LIST_HEADERS,
    LIST_NAMES,
    NLM_F_CREATE,
    NLM_F_DUMP,
    NLM_F_EXCL,
    Bit,
    Header,
    decode_headers,
)
from ipvskit.model.address import Family
from ipvskit.sets.definition import SetStatus, stored_set
from ipvskit.sets.parts import MAX_NAME, AddressRange, NumberRange, check_word
from ipvskit.sets.shape import family_number

if TYPE_CHECKING:
    from ipvskit.model.address import IPAddress
    from ipvskit.sets.definition import Set

__all__ = [
    "LIST_HEADERS",
    "LIST_NAMES",
    "NLM_F_CREATE",
    "NLM_F_DUMP",
    "NLM_F_EXCL",
    "Command",
    "Header",
    "command",
    "create",
    "decode_headers",
    "held",
    "query_type",
    "set_name",
]

_HEAD = struct.Struct("=IIII")

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
        header.present |= Bit.NAME
    if name2 is not None:
        header.name2 = set_name(name2)
        header.present |= Bit.NAME2
    if index is not None:
        if not 0 <= index <= 65535:
            raise InvalidConfig("index", index, "a number from 0 to 65535")
        header.set_index = index
        header.present |= Bit.INDEX
    return _HEAD.pack(what, flags, listing, 0) + header.pack()


def query_type(kind: str, family: Family | None) -> bytes:
    """Ask which revisions of a type there are."""
    header = Header(name2=kind.encode(), family=family_number(family), present=Bit.NAME2 | Bit.FAMILY)
    return _HEAD.pack(Command.TYPE, 0, 0, 0) + header.pack()


def create(wanted: Set, revision: int) -> bytes:
    """Make a set of this revision of its type."""
    header = Header(
        name=set_name(wanted.name),
        name2=wanted.type.encode(),
        family=family_number(wanted.family),
        revision=revision,
        present=Bit.NAME | Bit.NAME2 | Bit.FAMILY | Bit.REVISION,
    )
    for name, bit in _NUMBERS.items():
        value = getattr(wanted, name)
        if value is not None:
            setattr(header, name, value)
            header.present |= bit
    if wanted.bitmask is not None:
        header.bitmask = wanted.bitmask.packed
        header.present |= Bit.BITMASK
    if isinstance(wanted.range, NumberRange):
        header.low_port, header.high_port = wanted.range.first, wanted.range.last
        header.present |= Bit.LOW_PORT | Bit.HIGH_PORT
    elif wanted.range is not None:
        header.first, header.last = wanted.range.first.packed, wanted.range.last.packed
        header.present |= Bit.FROM | Bit.TO
    header.flags = sum(bit for name, bit in _FLAGS.items() if getattr(wanted, name))
    if header.flags:
        header.present |= Bit.FLAGS
    return _HEAD.pack(Command.CREATE, NLM_F_CREATE | NLM_F_EXCL, 0, 0) + header.pack()


_NUMBERS = {
    "hashsize": Bit.HASHSIZE,
    "maxelem": Bit.MAXELEM,
    "bucketsize": Bit.BUCKETSIZE,
    "initval": Bit.INITVAL,
    "netmask": Bit.NETMASK,
    "markmask": Bit.MARKMASK,
    "size": Bit.SIZE,
    "timeout": Bit.TIMEOUT,
}


def _address(raw: bytes, family: Family | None) -> IPAddress:
    return IPv6Address(raw) if family is Family.IPV6 else IPv4Address(raw[:4])


def _range(header: Header) -> AddressRange | NumberRange | None:
    if header.has(Bit.LOW_PORT):
        return NumberRange(header.low_port, header.high_port if header.has(Bit.HIGH_PORT) else header.low_port)
    if header.has(Bit.FROM):
        first = _address(header.first, Family.IPV4)
        return AddressRange(first, _address(header.last, Family.IPV4) if header.has(Bit.TO) else first)
    return None


def held(header: Header, entries: Any = None) -> SetStatus:  # noqa: ANN401 - as in Set
    """A set as the kernel has it."""
    values: dict[str, Any] = {name: getattr(header, name) for name, bit in _NUMBERS.items() if header.has(bit)}
    if header.has(Bit.BITMASK):
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
    index = header.set_index if header.has(Bit.INDEX) else None
    return SetStatus(found, header.revision, index, header.elements, header.references, header.memory)
