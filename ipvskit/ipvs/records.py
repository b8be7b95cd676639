"""Packed records: the C core's view of services and real servers, to values and back; `namespace_records` has the rest.

Knows: the layout of the structs in csrc/ik_ipvs.h and the numbers of linux/ip_vs.h. Must not know: sockets, errors, policy.
"""

from __future__ import annotations

import sys
from enum import IntEnum
from ipaddress import IPv4Address, IPv6Address
from itertools import chain, repeat
from operator import attrgetter
from struct import Struct
from typing import TYPE_CHECKING

from ipvskit.errors import ProtocolError
from ipvskit.model.address import Family, IPAddress
from ipvskit.model.key import PROTOCOLS, ServiceKey, stored_key, stored_keys
from ipvskit.model.real import METHODS, ForwardingMethod, RealServer, Tunnel, TunnelType, stored_reals, stored_tunnel
from ipvskit.model.service import VirtualService, flag_bits, flags_of_bits, mask_bits, stored_services
from ipvskit.model.status import Stats, stored_stats

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

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
_SERVICE_CONFIG = Struct(f"=4xIHHH2xI16sI4xII16s20s{STATS.size}x")
_SERVICE_IDENTITY = Struct(f"=8x28s{SERVICE_ROW.size - 36}x")
_REAL_CONFIG = Struct("=IIHHHHB3x16sIiII12x")
# By whether the rows have stats.
_REAL_CONFIG_ROW = {True: Struct(f"{_REAL_CONFIG.format}{STATS.size}x"), False: _REAL_CONFIG}
_REAL_IPV4 = {True: Struct(f">20xI{REAL_ROW.size - 24}x"), False: Struct(f">20xI{REAL.size - 24}x")}
_REAL_NUMBERS = Struct(f"={REAL.size - 12}xIII8x10Q")
_SERVICE_NUMBERS = Struct(f"={SERVICE.size + 8}x10Q")
_INDEX_OF_SERVICE = Struct(f"=I{SERVICE_ROW.size - 4}x")

_FULL_IPV4, _FULL_IPV6 = 0xFFFFFFFF, 128
_NOTHING_REAL = bytes(REAL.size)
NOTHING_SERVICE = bytes(SERVICE.size)
_PROTOCOL_NAMES: dict[int, str] = {number: name for name, number in PROTOCOLS.items()}
_WIRE_TUNNEL = METHODS.index(ForwardingMethod.TUNNEL)
_WIRE_METHOD: dict[ForwardingMethod, int] = {method: number for number, method in enumerate(METHODS)}
_TUNNEL_TYPES = tuple(TunnelType)
# A member of an enumeration is looked up anew at every use.
_IPV4, _IPV6 = Family.IPV4, Family.IPV6
_FAMILIES = {AF_INET: _IPV4, AF_INET6: _IPV6}
_service_options = attrgetter(
    "scheduler",
    "scheduler_flags",
    "persistence_timeout",
    "persistence_netmask",
    "persistence_engine",
    "one_packet",
)
_real_fields = attrgetter(
    "address.packed", "port", "weight", "forwarding", "upper_threshold", "lower_threshold", "tunnel"
)


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
    address, port, weight, forwarding, upper, lower, tunnel = _real_fields(real)
    family = AF_INET if len(address) == 4 else AF_INET6
    method = _WIRE_METHOD[forwarding]
    if tunnel is None:
        return _REAL_CONFIG.pack(0, REAL_FULL, family, port, 0, 0, 0, address, method, weight, upper, lower)
    kind = _TUNNEL_TYPES.index(tunnel.type) if isinstance(tunnel.type, TunnelType) else tunnel.type
    flags = (TUNNEL_CSUM if tunnel.checksum else 0) | (TUNNEL_REMCSUM if tunnel.remote_checksum else 0)
    present = REAL_FULL | REAL_TUNNEL
    return _REAL_CONFIG.pack(0, present, family, port, tunnel.port, flags, kind, address, method, weight, upper, lower)


def real_key_record(address: IPAddress, port: int) -> bytes:
    """A real server's identity."""
    family = AF_INET if address.version == 4 else AF_INET6
    return REAL.pack(0, REAL_KEY, family, port, 0, 0, 0, address.packed, 0, 0, 0, 0, 0, 0, 0)


# --- rows to values -----------------------------------------------------------------------------------------------------------------


class Addresses:
    """Addresses by family and number, made once each: one backend often serves many services."""

    def __init__(self) -> None:
        self._caches = {AF_INET: _Cache(IPv4Address), AF_INET6: _Cache(IPv6Address)}

    def ipv4(self, numbers: Iterable[int]) -> list[IPAddress]:
        """IPv4 addresses."""
        return list(map(self._caches[AF_INET].__getitem__, numbers))

    def all(self, families: Sequence[int], raw: Iterable[bytes]) -> list[IPAddress]:
        """Addresses of these families from sixteen bytes each."""
        if unknown := set(families) - self._caches.keys():
            raise ProtocolError(f"address family {unknown.pop()}, where 2 or 10 was expected")
        ipv4, ipv6 = self._caches[AF_INET], self._caches[AF_INET6]
        return [
            ipv4[int.from_bytes(one[:4])] if family == AF_INET else ipv6[int.from_bytes(one)]
            for family, one in zip(families, raw, strict=True)
        ]


class _Cache(dict[int, IPAddress]):
    def __init__(self, kind: type[IPAddress]) -> None:
        self._kind = kind

    def __missing__(self, number: int) -> IPAddress:
        address = self[number] = self._kind(number)
        return address


_NO_FLAGS: frozenset[str] = frozenset()


def service_keys(rows: bytes | bytearray | memoryview, addresses: Addresses) -> list[ServiceKey]:
    """The key in every row."""
    if not rows:
        return []
    present, families, protocols, ports, fwmarks, raw, *_ = zip(*_SERVICE_CONFIG.iter_unpack(rows), strict=True)
    found = addresses.all(families, raw)
    known = [_FAMILIES[family] for family in families]
    if not any(fwmarks):
        names = [_PROTOCOL_NAMES.get(protocol) or str(protocol) for protocol in protocols]
        return stored_keys(known, names, found, ports, fwmarks)
    return [
        stored_key(family, None, None, 0, fwmark)
        if bits & ATTR_FWMARK
        else stored_key(family, _PROTOCOL_NAMES.get(protocol) or str(protocol), address, port, 0)
        for bits, family, protocol, address, port, fwmark in zip(
            present, known, protocols, found, ports, fwmarks, strict=True
        )
    ]


def whole_services(
    rows: bytes | bytearray | memoryview, keys: Sequence[ServiceKey], reals: Iterable[tuple[RealServer, ...]]
) -> list[VirtualService]:
    """The service of every row, with these keys and real servers."""
    if not rows:
        return []
    _, families, _, _, _, _, flags, timeouts, masks, schedulers, engines = zip(
        *_SERVICE_CONFIG.iter_unpack(rows), strict=True
    )
    texts = {raw: text(raw) for raw in {*schedulers, *engines}}
    names = [texts[scheduler] or "none" for scheduler in schedulers]
    persistent = [bits & FLAG_PERSISTENT for bits in flags]
    return stored_services(
        keys,
        names,
        [
            flags_of_bits(name, bits) if bits & FLAG_SCHEDULER else _NO_FLAGS
            for name, bits in zip(names, flags, strict=True)
        ],
        [timeout if on else None for on, timeout in zip(persistent, timeouts, strict=True)],
        [
            (mask_bits(mask) if family == AF_INET else mask) if on else None
            for on, family, mask in zip(persistent, families, masks, strict=True)
        ],
        [texts[engine] or None for engine in engines],
        [bool(bits & FLAG_ONE_PACKET) for bits in flags],
        reals,
    )


def services(rows: bytes | bytearray, addresses: Addresses) -> Iterator[tuple[int, VirtualService, Stats]]:
    """(number of the request, service without real servers, stats) of every row."""
    indexes = (index for (index,) in _INDEX_OF_SERVICE.iter_unpack(rows))
    return zip(
        indexes, whole_services(rows, service_keys(rows, addresses), repeat(())), service_stats(rows), strict=False
    )


def service_stats(rows: bytes | bytearray | memoryview) -> list[Stats]:
    """The stats in every row."""
    return _stats(zip(*_SERVICE_NUMBERS.iter_unpack(rows), strict=True), len(rows) // SERVICE_ROW.size)


def _stats(columns: Iterable[tuple[int, ...]], count: int) -> list[Stats]:
    return stored_stats(count, columns) if count else []


def with_reals(service: VirtualService, members: Iterable[RealServer]) -> VirtualService:
    """The same service with these real servers, not checked."""
    scheduler, flags, timeout, netmask, engine, one_packet = _service_options(service)
    columns = [scheduler], [flags], [timeout], [netmask], [engine], [one_packet], [tuple(members)]
    return stored_services([service.key], *columns)[0]


def service_identities(rows: bytes | bytearray) -> list[bytes]:
    """What identifies the service in every row, as opaque bytes."""
    return [identity for (identity,) in _SERVICE_IDENTITY.iter_unpack(rows)]


def service_configs(rows: bytes | bytearray) -> set[bytes]:
    """Every row's configuration as opaque bytes, to compare two readings."""
    size = SERVICE_ROW.size
    return {bytes(rows[at + 4 : at + SERVICE.size]) for at in range(0, len(rows), size)}


def real_configs(rows: bytes | bytearray, stats: bool = True) -> set[bytes]:
    """The same for real servers (their connection counts left out)."""
    size, end = _REAL_CONFIG_ROW[stats].size, REAL.size - 12
    return {bytes(rows[at + 4 : at + end]) for at in range(0, len(rows), size)}


def text(raw: bytes) -> str:
    """The text in a field that is filled up with zeros."""
    return raw.partition(b"\0")[0].decode(errors="replace")


def _tunnel(method: int, kind: int, port: int, flags: int) -> Tunnel | None:
    if method & 7 != _WIRE_TUNNEL and not kind:
        return None
    known = _TUNNEL_TYPES[kind] if kind < len(_TUNNEL_TYPES) else kind
    return stored_tunnel(known, port, bool(flags & TUNNEL_CSUM), bool(flags & TUNNEL_REMCSUM))


class _MethodOf(dict[int, ForwardingMethod]):
    """By the number, of which three bits count."""

    def __missing__(self, number: int) -> ForwardingMethod:
        return METHODS[number & 7]


_METHOD_OF = _MethodOf(enumerate(METHODS))


def reals(
    rows: bytes | bytearray, families: list[int], addresses: Addresses, stats: bool = True
) -> Iterator[tuple[int, RealServer]]:
    """(number of the request, real server) of every row; `families` are those of the services asked about, `stats` is whether the rows have them."""
    return zip(*real_columns(rows, families, addresses, stats), strict=True)


def real_columns(
    rows: bytes | bytearray, families: list[int], addresses: Addresses, stats: bool = True
) -> tuple[Sequence[int], list[RealServer]]:
    """The same in two columns."""
    if not rows:
        return (), []
    columns = zip(*_REAL_CONFIG_ROW[stats].iter_unpack(rows), strict=True)
    indexes, present, own, ports, tunnel_ports, tunnel_flags, kinds, raw, wire, weights, uppers, lowers = columns
    if not all(bits & ATTR_REAL_FAMILY for bits in set(present)):  # kernels before 3.18 do not send it
        own = tuple(
            family if bits & ATTR_REAL_FAMILY else families[index]
            for index, bits, family in zip(indexes, present, own, strict=True)
        )
    tunnels: Iterable[Tunnel | None] = repeat(None)
    if any(kinds) or any(number & 7 == _WIRE_TUNNEL for number in set(wire)):
        tunnels = [_tunnel(*one) for one in zip(wire, kinds, tunnel_ports, tunnel_flags, strict=True)]
    only_ipv4 = set(own) == {AF_INET}
    numbers = chain.from_iterable(_REAL_IPV4[stats].iter_unpack(rows))
    found = addresses.ipv4(numbers) if only_ipv4 else addresses.all(own, raw)
    forwarding = map(_METHOD_OF.__getitem__, wire)
    return indexes, stored_reals(found, ports, weights, forwarding, uppers, lowers, tunnels)


def real_numbers(rows: bytes | bytearray) -> Iterator[tuple[int, int, int, Stats]]:
    """(active, inactive, persistent, stats) of every row, in the same order."""
    if not rows:
        return iter(())
    active, inactive, persistent, *stats = zip(*_REAL_NUMBERS.iter_unpack(rows), strict=True)
    return zip(active, inactive, persistent, stored_stats(len(active), stats), strict=True)
