"""Packed records: requests made of values. `decode` is the way back; `namespace_records` has what belongs to the namespace as a whole.

Knows: how values become what `layout` says. Must not know: sockets, errors, policy.
"""

from __future__ import annotations

from enum import IntEnum
from ipaddress import IPv4Address
from operator import attrgetter
from struct import Struct

from ipvskit.ipvs import layout
from ipvskit.ipvs.layout import (
    AF_INET,
    AF_INET6,
    ATTR_FWMARK,
    ATTR_GROUP,
    ATTR_GROUP6,
    ATTR_REAL_FAMILY,
    CONFIG,
    DAEMON,
    FLAG_HASHED,
    FLAG_ONE_PACKET,
    FLAG_PERSISTENT,
    FLAG_SCHEDULER,
    FLAGS_OFFSET,
    HALF,
    HEAD,
    IDENTITY_SIZE,
    INFO,
    KEY_ADDRESS,
    KEY_FWMARK,
    NLM_F_ACK,
    NLM_F_DUMP,
    NOTHING_REAL,
    NOTHING_SERVICE,
    OWN_FLAGS,
    REAL,
    REAL_FULL,
    REAL_KEY,
    REAL_ROW,
    REAL_TUNNEL,
    REQUEST_SIZE,
    SERVICE,
    SERVICE_FULL,
    SERVICE_ROW,
    SERVICE_STATS,
    STATS,
    TUNNEL_CSUM,
    TUNNEL_REMCSUM,
    bits,
    real_questions,
)
from ipvskit.model.address import Family, IPAddress
from ipvskit.model.key import PROTOCOLS, ServiceKey
from ipvskit.model.real import METHODS, ForwardingMethod, RealServer, TunnelType
from ipvskit.model.service import VirtualService, flag_bits

__all__ = [
    "AF_INET",
    "AF_INET6",
    "ATTR_FWMARK",
    "ATTR_GROUP",
    "ATTR_GROUP6",
    "ATTR_REAL_FAMILY",
    "CONFIG",
    "DAEMON",
    "FLAGS_OFFSET",
    "FLAG_HASHED",
    "FLAG_ONE_PACKET",
    "FLAG_PERSISTENT",
    "FLAG_SCHEDULER",
    "HALF",
    "HEAD",
    "IDENTITY_SIZE",
    "INFO",
    "KEY_ADDRESS",
    "KEY_FWMARK",
    "NLM_F_ACK",
    "NLM_F_DUMP",
    "NOTHING_REAL",
    "NOTHING_SERVICE",
    "OWN_FLAGS",
    "REAL",
    "REAL_FULL",
    "REAL_KEY",
    "REAL_ROW",
    "REAL_TUNNEL",
    "REQUEST_SIZE",
    "SERVICE",
    "SERVICE_FULL",
    "SERVICE_ROW",
    "SERVICE_STATS",
    "STATS",
    "TUNNEL_CSUM",
    "TUNNEL_REMCSUM",
    "TUNNEL_TYPES",
    "Command",
    "bits",
    "key_request",
    "plain_request",
    "real_key_record",
    "real_prefix",
    "real_questions",
    "real_record",
    "service_flags",
    "service_netmask",
    "service_request",
]


class Command(IntEnum):
    """IPVS_CMD_*."""

    NEW_SERVICE = layout.NEW_SERVICE
    SET_SERVICE = layout.SET_SERVICE
    DEL_SERVICE = layout.DEL_SERVICE
    GET_SERVICE = layout.GET_SERVICE
    NEW_DEST = layout.NEW_DEST
    SET_DEST = layout.SET_DEST
    DEL_DEST = layout.DEL_DEST
    GET_DEST = layout.GET_DEST
    NEW_DAEMON = layout.NEW_DAEMON
    DEL_DAEMON = layout.DEL_DAEMON
    GET_DAEMON = layout.GET_DAEMON
    SET_CONFIG = layout.SET_CONFIG
    GET_CONFIG = layout.GET_CONFIG
    SET_INFO = layout.SET_INFO
    GET_INFO = layout.GET_INFO
    ZERO = layout.ZERO
    FLUSH = layout.FLUSH


# Parts of rows and requests, the rest stepped over.
_SERVICE_REQUEST = Struct(f"{HEAD.format}{SERVICE.format.removeprefix('=')}{REAL.size}x")
_REAL_CONFIG = Struct("=IIHHHHB3x16sIiII12x")

_FULL_IPV4, _FULL_IPV6 = 0xFFFFFFFF, 128
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
    return HEAD.pack(command, flags) + _key_record(key) + NOTHING_REAL


def plain_request(command: Command, flags: int = 0) -> bytes:
    """A request about nothing in particular."""
    return HEAD.pack(command, flags) + NOTHING_SERVICE + NOTHING_REAL


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
