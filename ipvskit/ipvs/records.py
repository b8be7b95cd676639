"""Packed records: the C core's view of services and real servers, and requests made of values.

`decode` is the way back; `namespace_records` has what belongs to the namespace as a whole.

Knows: the layout of the structs in csrc/ik_ipvs.h and the numbers of linux/ip_vs.h. Must not know: sockets, errors, policy.
"""

from __future__ import annotations

import sys
from enum import IntEnum
from ipaddress import IPv4Address
from operator import attrgetter
from struct import Struct
from typing import TYPE_CHECKING

from ipvskit.model.address import Family, IPAddress
from ipvskit.model.key import PROTOCOLS, ServiceKey
from ipvskit.model.real import METHODS, ForwardingMethod, RealServer, TunnelType
from ipvskit.model.service import VirtualService, flag_bits

if TYPE_CHECKING:
    from collections.abc import Iterable

AF_INET, AF_INET6 = 2, 10
NLM_F_ACK, NLM_F_DUMP = 0x4, 0x300


class Command(IntEnum):
    """IPVS_CMD_*."""

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

# Parts of rows and requests, the rest stepped over.
_SERVICE_REQUEST = Struct(f"{HEAD.format}{SERVICE.format.removeprefix('=')}{REAL.size}x")
# Family, protocol, port, firewall mark and address.
IDENTITY_SIZE = 28
_REAL_CONFIG = Struct("=IIHHHHB3x16sIiII12x")

_FULL_IPV4, _FULL_IPV6 = 0xFFFFFFFF, 128
_NOTHING_REAL = bytes(REAL.size)
NOTHING_SERVICE = bytes(SERVICE.size)
_WIRE_METHOD: dict[ForwardingMethod, int] = {method: number for number, method in enumerate(METHODS)}
TUNNEL_TYPES = tuple(TunnelType)
# A member of an enumeration is looked up anew at every use.
_IPV4, _IPV6 = Family.IPV4, Family.IPV6
_real_fields = attrgetter("address", "port", "weight", "forwarding", "upper_threshold", "lower_threshold", "tunnel")


# --- values to requests -------------------------------------------------------------------------------------------------------------


def _key_record(key: ServiceKey) -> bytes:
    family = AF_INET if key.family is _IPV4 else AF_INET6
    if key.address is None:
        return SERVICE.pack(0, KEY_FWMARK, family, 0, 0, 0, key.fwmark, b"", 0, 0, 0, 0, b"", b"")
    protocol = PROTOCOLS.get(key.protocol or "") or int(key.protocol or 0)
    return SERVICE.pack(0, KEY_ADDRESS, family, protocol, key.port, 0, 0, key.address.packed, 0, 0, 0, 0, b"", b"")


def key_request(command: Command, key: ServiceKey, flags: int = 0) -> bytes:
    """A request about a service as a whole."""
    return HEAD.pack(command, flags) + _key_record(key) + _NOTHING_REAL


def plain_request(command: Command, flags: int = 0) -> bytes:
    """A request about nothing in particular."""
    return HEAD.pack(command, flags) + NOTHING_SERVICE + _NOTHING_REAL


def service_flags(service: VirtualService) -> int:
    """The kernel's flag bits of a service, those that it owns itself left out."""
    bits = flag_bits(service.scheduler, service.scheduler_flags) if service.scheduler_flags else 0
    if service.persistence_timeout is not None:
        bits |= FLAG_PERSISTENT
    return bits | FLAG_ONE_PACKET if service.one_packet else bits


def service_netmask(service: VirtualService) -> int:
    """The kernel's netmask: a mask for IPv4, a prefix length for IPv6; all bits when the service is not persistent."""
    netmask = service.persistence_netmask
    if isinstance(netmask, IPv4Address):
        return int(netmask)
    if service.key.family is _IPV6:
        return _FULL_IPV6 if netmask is None else netmask
    return _FULL_IPV4 if netmask is None else (0xFFFFFFFF << (32 - netmask)) & 0xFFFFFFFF


def service_request(command: Command, service: VirtualService) -> bytes:
    """A request with a service's whole configuration, its real servers left out."""
    key, timeout, engine = service.key, service.persistence_timeout, service.persistence_engine
    address, ipv4 = key.address, key.family is _IPV4
    if address is None:
        present, protocol, packed = KEY_FWMARK | SERVICE_FULL, 0, b""
    else:
        present = KEY_ADDRESS | SERVICE_FULL
        protocol, packed = PROTOCOLS.get(key.protocol or "") or int(key.protocol or 0), address.packed
    # Most services have none of this.
    special = timeout is not None or service.one_packet or service.scheduler_flags
    return _SERVICE_REQUEST.pack(
        command,
        0,
        0,
        present,
        AF_INET if ipv4 else AF_INET6,
        protocol,
        key.port,
        0,
        key.fwmark,
        packed,
        service_flags(service) if special else 0,
        OWN_FLAGS,
        timeout or 0,
        service_netmask(service) if special else _FULL_IPV4 if ipv4 else _FULL_IPV6,
        service.scheduler.encode(),
        b"" if engine is None else engine.encode(),
    )


def real_prefix(command: Command, key: ServiceKey) -> bytes:
    """The part that the requests about all real servers of a service have in common; `real_record` goes behind it."""
    return HEAD.pack(command, 0) + _key_record(key)


def real_record(real: RealServer) -> bytes:
    """A real server's whole configuration."""
    place, port, weight, forwarding, upper, lower, tunnel = _real_fields(real)
    # Half the price of IPv4Address.packed.
    ipv4 = type(place) is IPv4Address
    address, family = (int(place).to_bytes(4), AF_INET) if ipv4 else (place.packed, AF_INET6)
    method = _WIRE_METHOD[forwarding]
    if tunnel is None:
        return _REAL_CONFIG.pack(0, REAL_FULL, family, port, 0, 0, 0, address, method, weight, upper, lower)
    kind = TUNNEL_TYPES.index(tunnel.type) if isinstance(tunnel.type, TunnelType) else tunnel.type
    flags = (TUNNEL_CSUM if tunnel.checksum else 0) | (TUNNEL_REMCSUM if tunnel.remote_checksum else 0)
    present = REAL_FULL | REAL_TUNNEL
    return _REAL_CONFIG.pack(0, present, family, port, tunnel.port, flags, kind, address, method, weight, upper, lower)


def real_key_record(address: IPAddress, port: int) -> bytes:
    """A real server's identity."""
    family = AF_INET if address.version == 4 else AF_INET6
    return REAL.pack(0, REAL_KEY, family, port, 0, 0, 0, address.packed, 0, 0, 0, 0, 0, 0, 0)


def real_questions(identities: Iterable[bytes]) -> list[bytes]:
    """The requests for the real servers of services, from what identifies these in their rows."""
    by_address = HEAD.pack(Command.GET_DEST, NLM_F_DUMP) + HEAD.pack(0, KEY_ADDRESS)
    by_fwmark = HEAD.pack(Command.GET_DEST, NLM_F_DUMP) + HEAD.pack(0, KEY_FWMARK)
    rest = bytes(REQUEST_SIZE - len(by_address) - IDENTITY_SIZE)
    no_mark = bytes(4)
    return [(by_address if one[8:12] == no_mark else by_fwmark) + one + rest for one in identities]
