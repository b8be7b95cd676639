"""The numbers of ipset's netlink interface.

Knows: commands, attributes, flags and error codes (uapi linux/netfilter/ipset/ip_set.h). Must not know: what is done with them.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag


class Command(IntEnum):
    """What a request wants."""

    NONE = 0
    PROTOCOL = 1
    CREATE = 2
    DESTROY = 3
    FLUSH = 4
    RENAME = 5
    SWAP = 6
    LIST = 7
    SAVE = 8
    ADD = 9
    DEL = 10
    TEST = 11
    HEADER = 12
    TYPE = 13
    GET_BYNAME = 14
    GET_BYINDEX = 15


class Attr(IntEnum):
    """Attributes of a command."""

    PROTOCOL = 1
    SETNAME = 2
    TYPENAME = 3
    REVISION = 4
    FAMILY = 5
    FLAGS = 6
    DATA = 7
    ADT = 8
    LINENO = 9
    PROTOCOL_MIN = 10
    INDEX = 11


SETNAME2, REVISION_MIN, COMMAND_ATTRIBUTES = Attr.TYPENAME, Attr.PROTOCOL_MIN, 11


class Data(IntEnum):
    """Attributes inside DATA that creation and elements share."""

    IP = 1
    IP_TO = 2
    CIDR = 3
    PORT = 4
    PORT_TO = 5
    TIMEOUT = 6
    PROTO = 7
    CADT_FLAGS = 8
    LINENO = 9
    MARK = 10
    MARKMASK = 11
    BITMASK = 12


class Make(IntEnum):
    """Those of creation only."""

    INITVAL = 17
    HASHSIZE = 18
    MAXELEM = 19
    NETMASK = 20
    BUCKETSIZE = 21
    RESIZE = 22
    SIZE = 23
    ELEMENTS = 24
    REFERENCES = 25
    MEMSIZE = 26


class Elem(IntEnum):
    """Those of elements only."""

    ETHER = 17
    NAME = 18
    NAMEREF = 19
    IP2 = 20
    CIDR2 = 21
    IP2_TO = 22
    IFACE = 23
    BYTES = 24
    PACKETS = 25
    COMMENT = 26
    SKBMARK = 27
    SKBPRIO = 28
    SKBQUEUE = 29


class Flag(IntFlag):
    """CADT_FLAGS."""

    BEFORE = 1
    PHYSDEV = 2
    NOMATCH = 4
    COUNTERS = 8
    COMMENT = 16
    FORCEADD = 32
    SKBINFO = 64
    WILDCARD = 128


LIST_NAMES, LIST_HEADERS = 2, 4


class Error(IntEnum):
    """ipset's own error codes; those from 4352 on mean something else for each kind of set."""

    PROTOCOL = 4097
    FIND_TYPE = 4098
    MAX_SETS = 4099
    BUSY = 4100
    EXIST_SETNAME2 = 4101
    TYPE_MISMATCH = 4102
    EXIST = 4103
    INVALID_CIDR = 4104
    INVALID_NETMASK = 4105
    INVALID_FAMILY = 4106
    TIMEOUT = 4107
    REFERENCED = 4108
    COUNTER = 4111
    COMMENT = 4112
    INVALID_MARKMASK = 4113
    SKBINFO = 4114
    BITMASK_NETMASK_EXCL = 4115


class HashError(IntEnum):
    """Those of hash types."""

    FULL = 4352
    ELEM = 4353
    INVALID_PROTO = 4354
    MISSING_PROTO = 4355
    RANGE_UNSUPPORTED = 4356
    RANGE = 4357


class BitmapError(IntEnum):
    """Those of bitmap types."""

    RANGE = 4352
    RANGE_SIZE = 4353


class ListError(IntEnum):
    """Those of list:set."""

    NAME = 4352
    LOOP = 4353
    BEFORE = 4354
    NAMEREF = 4355
    REF_EXIST = 4357


INET, INET6, UNSPEC = 2, 10, 0
