"""The records in which the C core takes commands and gives answers.

Knows: struct ik_ipset_set of csrc/ik_ipset.h. Must not know: sets as values: importing those takes longer than a
command.
"""

from __future__ import annotations

import struct

# Programs that live for a moment import this: no `typing`. Type checkers know the name.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from ipvskit.model.address import Family

__all__ = ["Bit", "Header", "decode_headers"]

NLM_F_EXCL = 0x200
NLM_F_CREATE = 0x400
NLM_F_DUMP = 0x300
LIST_NAMES = 2
LIST_HEADERS = 4

#: struct ik_ipset_set; the first of its fields is the number of the request that it answers.
SET = struct.Struct("=II32s32sBBBBBBBxHHHxx16s16s16s10I")

#: In the order of the record.
_FIELDS = (
    "index",
    "present",
    "name",
    "name2",
    "family",
    "revision",
    "least",
    "protocol",
    "prefix",
    "netmask",
    "bucketsize",
    "set_index",
    "low_port",
    "high_port",
    "first",
    "last",
    "bitmask",
    "timeout",
    "flags",
    "markmask",
    "initval",
    "hashsize",
    "maxelem",
    "size",
    "elements",
    "references",
    "memory",
)
_RAW = {"name", "name2", "first", "last", "bitmask"}


class Bit:
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


class Header:
    """The fields of struct ik_ipset_set, and what is known of each in `present`."""

    __slots__ = _FIELDS

    index: int
    present: int
    name: bytes
    name2: bytes
    family: int
    revision: int
    least: int
    protocol: int
    prefix: int
    netmask: int
    bucketsize: int
    set_index: int
    low_port: int
    high_port: int
    first: bytes
    last: bytes
    bitmask: bytes
    timeout: int
    flags: int
    markmask: int
    initval: int
    hashsize: int
    maxelem: int
    size: int
    elements: int
    references: int
    memory: int

    def __init__(self, *fields: int | bytes, **named: int | bytes) -> None:
        given = dict(zip(_FIELDS, fields, strict=False)) | named
        for name in _FIELDS:
            setattr(self, name, given.get(name, b"" if name in _RAW else 0))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Header) and self._all() == other._all()

    __hash__ = None  # type: ignore[assignment] # it can be changed

    def __repr__(self) -> str:
        return f"Header{self._all()!r}"

    def _all(self) -> tuple[int | bytes, ...]:
        return tuple(getattr(self, name) for name in _FIELDS)

    def has(self, bit: int) -> bool:
        """Whether the field was there."""
        return bool(self.present & bit)

    def pack(self) -> bytes:
        """As the C core takes it."""
        return SET.pack(*self._all())

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
        from ipvskit.model.address import Family
        from ipvskit.model.settype import SET_TYPES

        kind = SET_TYPES.get(self.type_name)
        families = {2: Family.IPV4, 10: Family.IPV6}
        return None if kind is not None and not kind.families else families.get(self.family)


def _text(raw: bytes) -> str:
    return raw.split(b"\0", 1)[0].decode("utf-8", "surrogateescape")


def decode_headers(rows: bytes) -> list[Header]:
    """Packed rows as values."""
    return [Header(*fields) for fields in SET.iter_unpack(rows)]
