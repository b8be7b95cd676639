"""Packed records: the C core's view of services, real servers and daemons, to values and back.

Knows: the layout of the structs in csrc/ik_ipvs.h and the numbers of linux/ip_vs.h. Must not know: sockets, errors, policy.
"""

from __future__ import annotations

from enum import IntEnum
from ipaddress import IPv4Address, IPv6Address
from struct import Struct
from typing import TYPE_CHECKING

from ipvskit.errors import ProtocolError
from ipvskit.model.address import Family, IPAddress
from ipvskit.model.daemon import DaemonRole, Info, SyncDaemon, Timeouts, stored_daemon
from ipvskit.model.key import PROTOCOLS, ServiceKey, stored_key
from ipvskit.model.real import METHODS, ForwardingMethod, RealServer, Tunnel, TunnelType, stored_real, stored_tunnel
from ipvskit.model.service import VirtualService, flag_bits, flags_of_bits, mask_bits, stored_service
from ipvskit.model.status import Stats

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

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


def _bits(*attributes: int) -> int:
    return sum(1 << attribute for attribute in attributes)


#: Attribute sets, as bits by attribute number (IPVS_SVC_ATTR_*, IPVS_DEST_ATTR_*, IPVS_DAEMON_ATTR_*).
KEY_ADDRESS = _bits(1, 2, 3, 4)
KEY_FWMARK = _bits(1, 5)
SERVICE_FULL = _bits(6, 7, 8, 9, 11)
REAL_KEY = _bits(1, 2, 11)
REAL_FULL = REAL_KEY | _bits(3, 4, 5, 6)
REAL_TUNNEL = _bits(13, 14, 15)
SERVICE_STATS = _bits(10, 12)
ATTR_FWMARK = _bits(5)
ATTR_REAL_FAMILY = _bits(11)
ATTR_GROUP, ATTR_GROUP6 = _bits(5), _bits(6)

FLAG_PERSISTENT = 0x1
FLAG_HASHED = 0x2
FLAG_ONE_PACKET = 0x4
FLAG_SCHEDULER = 0x38
OWN_FLAGS = FLAG_PERSISTENT | FLAG_ONE_PACKET | FLAG_SCHEDULER

TUNNEL_CSUM, TUNNEL_REMCSUM = 1, 2

HEAD = Struct("=II")
SERVICE = Struct("=IIHHHHI16sIIII16s20s")
REAL = Struct("=IIHHHHB3x16sIiIIIII")
DAEMON = Struct("=IIIIHHB3x4s16s16s")
CONFIG = Struct("=IIIII")
INFO = Struct("=IIII")
STATS = Struct("=I4x10Q")
SERVICE_ROW = Struct(SERVICE.format + STATS.format.removeprefix("="))
REAL_ROW = Struct(REAL.format + STATS.format.removeprefix("="))
REQUEST_SIZE = HEAD.size + SERVICE.size + REAL.size

_NOTHING_REAL = bytes(REAL.size)
_NOTHING_SERVICE = bytes(SERVICE.size)
_PROTOCOL_NAMES: dict[int, str] = {number: name for name, number in PROTOCOLS.items()}
_WIRE_METHOD: dict[ForwardingMethod, int] = {method: number for number, method in enumerate(METHODS)}
_TUNNEL_TYPES = tuple(TunnelType)


# --- values to requests -------------------------------------------------------------------------------------------------------------


def _key_record(key: ServiceKey) -> bytes:
    family = AF_INET if key.family is Family.IPV4 else AF_INET6
    if key.address is None:
        return SERVICE.pack(0, KEY_FWMARK, family, 0, 0, 0, key.fwmark, b"", 0, 0, 0, 0, b"", b"")
    protocol = PROTOCOLS.get(key.protocol or "") or int(key.protocol or 0)
    return SERVICE.pack(0, KEY_ADDRESS, family, protocol, key.port, 0, 0, key.address.packed, 0, 0, 0, 0, b"", b"")


def key_request(command: Command, key: ServiceKey, flags: int = 0) -> bytes:
    """A request about a service as a whole."""
    return HEAD.pack(command, flags) + _key_record(key) + _NOTHING_REAL


def plain_request(command: Command, flags: int = 0) -> bytes:
    """A request about nothing in particular."""
    return HEAD.pack(command, flags) + _NOTHING_SERVICE + _NOTHING_REAL


def service_flags(service: VirtualService) -> int:
    """The kernel's flag bits of a service, those that it owns itself left out."""
    bits = flag_bits(service.scheduler, service.scheduler_flags)
    if service.persistence_timeout is not None:
        bits |= FLAG_PERSISTENT
    return bits | FLAG_ONE_PACKET if service.one_packet else bits


def service_netmask(service: VirtualService) -> int:
    """The kernel's netmask: a mask for IPv4, a prefix length for IPv6; all bits when the service is not persistent."""
    netmask = service.persistence_netmask
    if isinstance(netmask, IPv4Address):
        return int(netmask)
    if service.key.family is Family.IPV6:
        return 128 if netmask is None else netmask
    return (0xFFFFFFFF << (32 - (32 if netmask is None else netmask))) & 0xFFFFFFFF


def service_request(command: Command, service: VirtualService) -> bytes:
    """A request with a service's whole configuration, its real servers left out."""
    key = service.key
    marked = key.address is None
    record = SERVICE.pack(
        0,
        (KEY_FWMARK if marked else KEY_ADDRESS) | SERVICE_FULL,
        AF_INET if key.family is Family.IPV4 else AF_INET6,
        0 if marked else PROTOCOLS.get(key.protocol or "") or int(key.protocol or 0),
        key.port,
        0,
        key.fwmark,
        b"" if key.address is None else key.address.packed,
        service_flags(service),
        OWN_FLAGS,
        service.persistence_timeout or 0,
        service_netmask(service),
        service.scheduler.encode(),
        (service.persistence_engine or "").encode(),
    )
    return HEAD.pack(command, 0) + record + _NOTHING_REAL


def real_prefix(command: Command, key: ServiceKey) -> bytes:
    """The part that the requests about all real servers of a service have in common; `real_record` goes behind it."""
    return HEAD.pack(command, 0) + _key_record(key)


def real_record(real: RealServer) -> bytes:
    """A real server's whole configuration."""
    address = real.address
    tunnel = real.tunnel
    if tunnel is None:
        present, kind, port, flags = REAL_FULL, 0, 0, 0
    else:
        present = REAL_FULL | REAL_TUNNEL
        kind = _TUNNEL_TYPES.index(tunnel.type) if isinstance(tunnel.type, TunnelType) else tunnel.type
        port = tunnel.port
        flags = (TUNNEL_CSUM if tunnel.checksum else 0) | (TUNNEL_REMCSUM if tunnel.remote_checksum else 0)
    return REAL.pack(
        0,
        present,
        AF_INET if address.version == 4 else AF_INET6,
        real.port,
        port,
        flags,
        kind,
        address.packed,
        _WIRE_METHOD[real.forwarding],
        real.weight,
        real.upper_threshold,
        real.lower_threshold,
        0,
        0,
        0,
    )


def real_key_record(address: IPAddress, port: int) -> bytes:
    """A real server's identity."""
    family = AF_INET if address.version == 4 else AF_INET6
    return REAL.pack(0, REAL_KEY, family, port, 0, 0, 0, address.packed, 0, 0, 0, 0, 0, 0, 0)


def daemon_request(command: Command, daemon: SyncDaemon) -> bytes:
    """A request to start a daemon; acknowledged, because its answer can get lost."""
    present = _bits(1, 2, 3)
    group, group6 = b"", b""
    if daemon.max_length:
        present |= _bits(4)
    if isinstance(daemon.group, IPv4Address):
        present, group = present | ATTR_GROUP, daemon.group.packed
    elif daemon.group is not None:
        present, group6 = present | ATTR_GROUP6, daemon.group.packed
    if daemon.port:
        present |= _bits(7)
    if daemon.ttl:
        present |= _bits(8)
    state = 1 if daemon.role is DaemonRole.MASTER else 2
    record = DAEMON.pack(
        0,
        present,
        state,
        daemon.sync_id,
        daemon.max_length,
        daemon.port,
        daemon.ttl,
        group,
        group6,
        daemon.interface.encode(),
    )
    return (HEAD.pack(command, NLM_F_ACK) + _NOTHING_SERVICE + record).ljust(REQUEST_SIZE, b"\0")


def daemon_role_request(command: Command, role: DaemonRole) -> bytes:
    """A request to stop a daemon; acknowledged, because its answer can get lost."""
    state = 1 if role is DaemonRole.MASTER else 2
    record = DAEMON.pack(0, _bits(1), state, 0, 0, 0, 0, b"", b"", b"")
    return (HEAD.pack(command, NLM_F_ACK) + _NOTHING_SERVICE + record).ljust(REQUEST_SIZE, b"\0")


def timeouts_request(tcp: int, tcp_fin: int, udp: int) -> bytes:
    """A request to set timeouts; 0 leaves one as it is."""
    present = sum(1 << number for number, value in ((4, tcp), (5, tcp_fin), (6, udp)) if value)
    record = CONFIG.pack(0, present, tcp, tcp_fin, udp)
    return (HEAD.pack(Command.SET_CONFIG, 0) + _NOTHING_SERVICE + record).ljust(REQUEST_SIZE, b"\0")


# --- rows to values -----------------------------------------------------------------------------------------------------------------


class AddressCache(dict[bytes, IPAddress]):
    """Addresses by their 16 bytes, made once each: one backend often serves many services."""

    def ipv4(self, raw: bytes) -> IPAddress:
        """The IPv4 address in the first four bytes."""
        address = self.get(raw)
        if address is None:
            address = self[raw] = IPv4Address(raw[:4])
        return address

    def ipv6(self, raw: bytes) -> IPAddress:
        """The IPv6 address."""
        address = self.get(raw)
        if address is None:
            address = self[raw] = IPv6Address(raw)
        return address


class Addresses:
    """Two caches, because the sixteen bytes do not say their family."""

    def __init__(self) -> None:
        self._ipv4 = AddressCache()
        self._ipv6 = AddressCache()

    def of(self, family: int, raw: bytes) -> IPAddress:
        """The address of this family."""
        if family == AF_INET:
            return self._ipv4.ipv4(raw)
        if family == AF_INET6:
            return self._ipv6.ipv6(raw)
        raise ProtocolError(f"address family {family}, where 2 or 10 was expected")


_NO_FLAGS: frozenset[str] = frozenset()


def services(rows: bytes | bytearray, addresses: Addresses) -> Iterator[tuple[int, VirtualService, Stats]]:
    """(number of the request, service without real servers, stats) of every row."""
    for row in SERVICE_ROW.iter_unpack(rows):
        index, present, family, protocol, port, _, fwmark, raw, flags, _, timeout, netmask, scheduler, engine = row[:14]
        known = Family.IPV4 if family == AF_INET else Family.IPV6
        if family not in {AF_INET, AF_INET6}:
            raise ProtocolError(f"address family {family} of a service, where 2 or 10 was expected")
        if present & ATTR_FWMARK:
            key = stored_key(known, None, None, 0, fwmark)
        else:
            name = _PROTOCOL_NAMES.get(protocol) or str(protocol)
            key = stored_key(known, name, addresses.of(family, raw), port, 0)
        scheduler_name = _text(scheduler) or "none"
        persistent = flags & FLAG_PERSISTENT
        mask: int | IPv4Address | None = None
        if persistent:
            mask = mask_bits(netmask) if family == AF_INET else netmask
        yield (
            index,
            stored_service(
                key,
                scheduler_name,
                flags_of_bits(scheduler_name, flags) if flags & FLAG_SCHEDULER else _NO_FLAGS,
                timeout if persistent else None,
                mask,
                _text(engine) or None,
                bool(flags & FLAG_ONE_PACKET),
                (),
            ),
            Stats(*row[15:]),
        )


def with_reals(service: VirtualService, members: Iterable[RealServer]) -> VirtualService:
    """The same service with these real servers, not checked."""
    return stored_service(
        service.key,
        service.scheduler,
        service.scheduler_flags,
        service.persistence_timeout,
        service.persistence_netmask,
        service.persistence_engine,
        service.one_packet,
        tuple(members),
    )


def service_configs(rows: bytes | bytearray) -> set[bytes]:
    """Every row's configuration as opaque bytes, to compare two readings."""
    size = SERVICE_ROW.size
    return {bytes(rows[at + 4 : at + SERVICE.size]) for at in range(0, len(rows), size)}


def real_configs(rows: bytes | bytearray) -> set[bytes]:
    """The same for real servers (their connection counts left out)."""
    size, end = REAL_ROW.size, REAL.size - 12
    return {bytes(rows[at + 4 : at + end]) for at in range(0, len(rows), size)}


def _text(raw: bytes) -> str:
    return raw.partition(b"\0")[0].decode(errors="replace")


def _tunnel(method: int, kind: int, port: int, flags: int) -> Tunnel | None:
    if method != 2 and not (kind or port or flags):
        return None
    known = _TUNNEL_TYPES[kind] if kind < len(_TUNNEL_TYPES) else kind
    return stored_tunnel(known, port, bool(flags & TUNNEL_CSUM), bool(flags & TUNNEL_REMCSUM))


def reals(rows: bytes | bytearray, families: list[int], addresses: Addresses) -> Iterator[tuple[int, RealServer]]:
    """(number of the request, real server) of every row; `families` are those of the services asked about."""
    of = addresses.of
    for row in REAL_ROW.iter_unpack(rows):
        index, present, family, port, tunnel_port, tunnel_flags, tunnel_type, raw, method, weight, upper, lower = row[
            :12
        ]
        if not present & ATTR_REAL_FAMILY:  # kernels before 3.18 do not send it
            family = families[index]
        method &= 7
        tunnel = _tunnel(method, tunnel_type, tunnel_port, tunnel_flags) if method == 2 or tunnel_type else None
        yield index, stored_real(of(family, raw), port, weight, METHODS[method], upper, lower, tunnel)


def real_numbers(rows: bytes | bytearray) -> Iterator[tuple[int, int, int, Stats]]:
    """(active, inactive, persistent, stats) of every row, in the same order."""
    for row in REAL_ROW.iter_unpack(rows):
        yield row[12], row[13], row[14], Stats(*row[16:])


def daemons(rows: bytes | bytearray) -> list[SyncDaemon]:
    """Running daemons, as the kernel has them."""
    found = []
    for row in DAEMON.iter_unpack(rows):
        _, present, state, sync_id, max_length, port, ttl, group, group6, interface = row
        address: IPv4Address | IPv6Address | None = None
        if present & ATTR_GROUP6:
            address = IPv6Address(group6)
        elif present & ATTR_GROUP:
            address = IPv4Address(group)
        role = {1: DaemonRole.MASTER, 2: DaemonRole.BACKUP}.get(state)
        if role is None:
            raise ProtocolError(f"sync daemon state {state}, where 1 or 2 was expected")
        daemon = SyncDaemon.__new__(SyncDaemon)
        found.append(stored_daemon(daemon, role, _text(interface), sync_id, max_length, address, port, ttl))
    return found


def timeouts(rows: bytes | bytearray) -> Timeouts:
    """The configured timeouts."""
    for row in CONFIG.iter_unpack(rows):
        return Timeouts(*row[2:])
    raise ProtocolError("no answer to the question for the timeouts")


def info(rows: bytes | bytearray) -> Info:
    """Version and table size."""
    for _, _, version, size in INFO.iter_unpack(rows):
        return Info((version >> 16 & 0xFF, version >> 8 & 0xFF, version & 0xFF), size)
    raise ProtocolError("no answer to the question for the version")
