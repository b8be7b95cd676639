"""Rows to values: services, real servers and their numbers, in columns, because there may be hundreds of thousands of them.

Knows: the layout of rows (`records`), and what is missing in those of old kernels. Must not know: sockets, refusals, policy.
"""

from __future__ import annotations

import sys
from array import array
from ipaddress import IPv4Address, IPv6Address
from itertools import repeat
from operator import attrgetter
from struct import Struct
from typing import TYPE_CHECKING, Literal

from ipvskit.errors import ProtocolError
from ipvskit.ipvs.records import (
    AF_INET,
    AF_INET6,
    ATTR_FWMARK,
    ATTR_REAL_FAMILY,
    FLAG_ONE_PACKET,
    FLAG_PERSISTENT,
    FLAG_SCHEDULER,
    IDENTITY_SIZE,
    REAL,
    REAL_ROW,
    SERVICE,
    SERVICE_ROW,
    STATS,
    TUNNEL_CSUM,
    TUNNEL_REMCSUM,
    TUNNEL_TYPES,
)
from ipvskit.model.address import Family, IPAddress
from ipvskit.model.key import PROTOCOLS, ServiceKey, stored_key, stored_keys
from ipvskit.model.real import METHODS, ForwardingMethod, RealServer, Tunnel, stored_reals, stored_tunnel
from ipvskit.model.service import VirtualService, flags_of_bits, mask_bits, stored_services
from ipvskit.model.status import Stats, stored_stats

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

# Parts of rows, the rest stepped over.
_SERVICE_CONFIG = Struct(f"=4xIHHH2xI16sI4xII16s20s{STATS.size}x")
_SERVICE_IDENTITY = Struct(f"=8x{IDENTITY_SIZE}s{SERVICE_ROW.size - 8 - IDENTITY_SIZE}x")
_SERVICE_OPAQUE = Struct(f"=4x{SERVICE.size - 4}s{SERVICE_ROW.size - SERVICE.size}x")
# By whether the rows have stats.
_REAL_SIZE = {True: REAL_ROW.size, False: REAL.size}
_REAL_NUMBERS = Struct(f"={REAL.size - 12}xIII8x10Q")
_SERVICE_NUMBERS = Struct(f"={SERVICE.size + 8}x10Q")
_INDEX_OF_SERVICE = Struct(f"=I{SERVICE_ROW.size - 4}x")
_PROTOCOL_NAMES: dict[int, str] = {number: name for name, number in PROTOCOLS.items()}
_WIRE_TUNNEL = METHODS.index(ForwardingMethod.TUNNEL)
_FAMILIES = {AF_INET: Family.IPV4, AF_INET6: Family.IPV6}
_service_options = attrgetter(
    "scheduler",
    "scheduler_flags",
    "persistence_timeout",
    "persistence_netmask",
    "persistence_engine",
    "one_packet",
)


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


def service_configs(rows: bytes | bytearray) -> list[bytes]:
    """Every row's configuration as opaque bytes, to compare two readings."""
    return [config for (config,) in _SERVICE_OPAQUE.iter_unpack(rows)]


def real_configs(rows: bytes | bytearray, stats: bool = True) -> set[bytes]:
    """The same for real servers (their connection counts left out)."""
    size, end = _REAL_SIZE[stats], REAL.size - 12
    return {bytes(rows[at + 4 : at + end]) for at in range(0, len(rows), size)}


def text(raw: bytes) -> str:
    """The text in a field that is filled up with zeros."""
    return raw.partition(b"\0")[0].decode(errors="replace")


def _tunnel(method: int, kind: int, port: int, flags: int) -> Tunnel | None:
    if method & 7 != _WIRE_TUNNEL and not kind:
        return None
    known = TUNNEL_TYPES[kind] if kind < len(TUNNEL_TYPES) else kind
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
    fields = _Fields(rows, _REAL_SIZE[stats])
    indexes, own, wire, kinds = fields.of("I", 0), fields.of("H", 8), fields.of("I", 36), fields.of("B", 16)
    present = fields.of("I", 4)
    if not all(bits & ATTR_REAL_FAMILY for bits in set(present)):  # kernels before 3.18 do not send it
        own = [
            family if bits & ATTR_REAL_FAMILY else families[index]
            for index, bits, family in zip(indexes, present, own, strict=True)
        ]
    tunnels: Iterable[Tunnel | None] = repeat(None)
    if any(kinds) or any(number & 7 == _WIRE_TUNNEL for number in set(wire)):
        tunnels = map(_tunnel, wire, kinds, fields.of("H", 12), fields.of("H", 14))
    if set(own) == {AF_INET}:
        found = addresses.ipv4(fields.of("I", 20, network_order=True))
    else:
        found = addresses.all(own, [bytes(rows[at + 20 : at + 36]) for at in range(0, len(rows), _REAL_SIZE[stats])])
    forwarding = map(_METHOD_OF.__getitem__, wire)
    limits = fields.of("I", 44), fields.of("I", 48)
    return indexes, stored_reals(found, fields.of("H", 10), fields.of("i", 40), forwarding, *limits, tunnels)


def fill_families(rows: bytearray, families: Sequence[int]) -> None:
    """Give every row of a real server the family of its service where the kernel (before 3.18) does not send one."""
    size = REAL.size
    for at in range(0, len(rows), size):
        index, present = _HEAD.unpack_from(rows, at)
        if not present & ATTR_REAL_FAMILY:
            _FAMILY.pack_into(rows, at, index, present | ATTR_REAL_FAMILY, families[index])


def complete(rows: bytes | bytearray) -> bool:
    """Whether every row of a real server has its family."""
    return all(bits & ATTR_REAL_FAMILY for bits in set(_Fields(rows, REAL.size).of("I", 4)))


_HEAD, _FAMILY = Struct("=II"), Struct("=IIH")


class _Fields:
    """One field of every row at a time, without an object for anything else."""

    def __init__(self, rows: bytes | bytearray, size: int) -> None:
        self._rows, self._size = memoryview(rows), size

    def of(self, kind: Literal["B", "H", "I", "i"], offset: int, *, network_order: bool = False) -> list[int]:
        """The numbers at this offset, of a kind as in the module `struct`."""
        width = _WIDTHS[kind]
        column = self._rows.cast(kind)[offset // width :: self._size // width].tolist()
        if not network_order or sys.byteorder == "big":
            return column
        turned = array(kind, column)
        turned.byteswap()
        return turned.tolist()


_WIDTHS = {"B": 1, "H": 2, "I": 4, "i": 4}


def real_numbers(rows: bytes | bytearray) -> Iterator[tuple[int, int, int, Stats]]:
    """(active, inactive, persistent, stats) of every row, in the same order."""
    if not rows:
        return iter(())
    active, inactive, persistent, *stats = zip(*_REAL_NUMBERS.iter_unpack(rows), strict=True)
    return zip(active, inactive, persistent, stored_stats(len(active), stats), strict=True)
