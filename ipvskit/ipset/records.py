"""The records in which the C core takes commands and gives answers.

Knows: struct ik_ipset_set of csrc/ik_ipset.h, the numbers of commands. Must not know: sets as values: importing those takes longer than a
command.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ipvskit.model.address import Family

__all__ = ["Bit", "Command", "Header", "decode_headers"]

NLM_F_EXCL = 0x200
NLM_F_CREATE = 0x400
NLM_F_DUMP = 0x300
LIST_NAMES = 2
LIST_HEADERS = 4

#: struct ik_ipset_set; the first of its fields is the number of the request that it answers.
SET = struct.Struct("=II32s32sBBBBBBBxHHHxx16s16s16s10I")


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


class Bit(IntEnum):
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

    def has(self, bit: Bit) -> bool:
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
