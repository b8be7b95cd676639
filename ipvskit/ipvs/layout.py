"""The C core's view of services and real servers: packed records, and the numbers of linux/ip_vs.h.

Knows: the layout of the structs in csrc/ik_ipvs.h. Must not know: values (`records` makes requests of them), sockets, errors, policy.
"""

from __future__ import annotations

import sys
from struct import Struct

# Programs that live for a moment import this. Type checkers know the name.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

AF_INET, AF_INET6 = 2, 10
NLM_F_ACK, NLM_F_DUMP = 0x4, 0x300

#: IPVS_CMD_*.
NEW_SERVICE = 1
SET_SERVICE = 2
DEL_SERVICE = 3
GET_SERVICE = 4
NEW_DEST = 5
SET_DEST = 6
DEL_DEST = 7
GET_DEST = 8
NEW_DAEMON = 9
DEL_DAEMON = 10
GET_DAEMON = 11
SET_CONFIG = 12
GET_CONFIG = 13
SET_INFO = 14
GET_INFO = 15
ZERO = 16
FLUSH = 17


def bits(*attributes: int) -> int:
    """An attribute set."""
    return sum(1 << attribute for attribute in attributes)


#: Attribute sets, as bits by attribute number (IPVS_SVC_ATTR_*, IPVS_DEST_ATTR_*, IPVS_DAEMON_ATTR_*).
KEY_ADDRESS = bits(1, 2, 3, 4)
KEY_FWMARK = bits(1, 5)
SERVICE_FULL = bits(6, 7, 8, 9, 11)
REAL_KEY = bits(1, 2, 11)
REAL_FULL = REAL_KEY | bits(3, 4, 5, 6)
REAL_TUNNEL = bits(13, 14, 15)
SERVICE_STATS = bits(10, 12)
ATTR_FWMARK = bits(5)
ATTR_REAL_FAMILY = bits(11)
ATTR_GROUP, ATTR_GROUP6 = bits(5), bits(6)

FLAG_PERSISTENT = 0x1
FLAG_HASHED = 0x2
FLAG_ONE_PACKET = 0x4
FLAG_SCHEDULER = 0x38
OWN_FLAGS = FLAG_PERSISTENT | FLAG_ONE_PACKET | FLAG_SCHEDULER

TUNNEL_CSUM, TUNNEL_REMCSUM = 1, 2

HEAD = Struct("=II")
HALF = Struct("=H")
SERVICE = Struct("=IIHHHHI16sIIII16s20s")
REAL = Struct("=IIHHHHB3x16sIiIIIII")
DAEMON = Struct("=IIIIHHB3x4s16s16s")
CONFIG = Struct("=IIIII")
INFO = Struct("=IIII")
STATS = Struct("=I4x10Q")
SERVICE_ROW = Struct(SERVICE.format + STATS.format.removeprefix("="))
REAL_ROW = Struct(REAL.format + STATS.format.removeprefix("="))
REQUEST_SIZE = HEAD.size + SERVICE.size + REAL.size
#: The byte of a request that has the flag NLM_F_ACK.
FLAGS_OFFSET = 4 if sys.byteorder == "little" else 7
#: Family, protocol, port, firewall mark and address.
IDENTITY_SIZE = 28
NOTHING_SERVICE = bytes(SERVICE.size)
NOTHING_REAL = bytes(REAL.size)


def real_questions(identities: Iterable[bytes]) -> list[bytes]:
    """The requests for the real servers of services, from what identifies these in their rows."""
    by_address = HEAD.pack(GET_DEST, NLM_F_DUMP) + HEAD.pack(0, KEY_ADDRESS)
    by_fwmark = HEAD.pack(GET_DEST, NLM_F_DUMP) + HEAD.pack(0, KEY_FWMARK)
    rest = bytes(REQUEST_SIZE - len(by_address) - IDENTITY_SIZE)
    no_mark = bytes(4)
    return [(by_address if one[8:12] == no_mark else by_fwmark) + one + rest for one in identities]
