"""What the fake kernel remembers.

Knows: services, real servers, daemons, connections, and the rows they are listed as. Must not know: requests, verdicts.
"""

from __future__ import annotations

import threading
import zlib
from dataclasses import astuple, dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from ipvskit.ipvs import records
from ipvskit.model.status import Stats

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ipvskit.model.connection import Connection
    from ipvskit.testing.fake.network import Interface
    from ipvskit.testing.fake.releases import Release
    from ipvskit.testing.fake.requests import Identity

IP_VS_VERSION = 0x010201
DEFAULT_TIMEOUTS = (900, 120, 300)
TABLE_SIZE, FIRST_TABLE_SIZE = 4096, 256
STATS_PRESENT = sum(1 << number for number in range(1, 11))
ALL_BITS = 0xFFFFFFFF
_SERVICE_ROW = records.SERVICE_FULL & ~(1 << 11) | records.SERVICE_STATS
_REAL_ROW = records.REAL_FULL | records.REAL_TUNNEL | records.SERVICE_STATS | 0x380
_CONFIG_ROW, _INFO_ROW = 0x70, 0x6


class Place(NamedTuple):
    """What tells one real server of a service from another."""

    family: int
    address: bytes
    port: int


class Settings(NamedTuple):
    """What a real server can be given anew."""

    forwarding: int
    weight: int
    upper: int
    lower: int
    tunnel_type: int
    tunnel_port: int
    tunnel_flags: int


@dataclass(slots=True, eq=False)
class HeldReal:
    """A real server."""

    place: Place
    settings: Settings
    active: int = 0
    inactive: int = 0
    persistent: int = 0
    stats: Stats = field(default_factory=Stats)

    def row(self, index: int) -> bytes:
        """As it is listed."""
        method, weight, upper, lower, kind, tunnel_port, tunnel_flags = self.settings
        family, address, port = self.place
        head = (index, _REAL_ROW, family, port, tunnel_port, tunnel_flags, kind, address)
        numbers = (method, weight, upper, lower, self.active, self.inactive, self.persistent)
        return records.REAL_ROW.pack(*head, *numbers, STATS_PRESENT, *astuple(self.stats))


@dataclass(slots=True, eq=False)
class HeldService:
    """A service. Its real servers are in the order in which they came; they are listed the other way round."""

    identity: Identity
    flags: int
    timeout: int
    netmask: int
    scheduler: bytes
    engine: bytes
    reals: dict[Place, HeldReal] = field(default_factory=dict)
    stats: Stats = field(default_factory=Stats)

    def row(self, index: int) -> bytes:
        """As it is listed."""
        family, protocol, address, port, fwmark = self.identity
        present = (records.KEY_FWMARK if fwmark else records.KEY_ADDRESS) | _SERVICE_ROW | (bool(self.engine) << 11)
        key = (family, 0 if fwmark else protocol, port, 0, fwmark, address)
        options = (self.flags, ALL_BITS, self.timeout, self.netmask, self.scheduler, self.engine)
        return records.SERVICE_ROW.pack(index, present, *key, *options, STATS_PRESENT, *astuple(self.stats))

    @property
    def mixed(self) -> bool:
        """Whether it has a real server of the other address family."""
        return any(place.family != self.identity.family for place in self.reals)


@dataclass(slots=True)
class HeldDaemon:
    """A sync daemon; `group` has 4 or 16 bytes."""

    state: int
    interface: bytes
    sync_id: int
    max_length: int
    group: bytes
    port: int
    ttl: int

    def row(self, index: int) -> bytes:
        """As it is listed."""
        wide = len(self.group) == 16
        present = sum(1 << number for number in (1, 2, 3, 4, 6 if wide else 5, 7, 8))
        groups = (b"", self.group) if wide else (self.group, b"")
        numbers = (self.state, self.sync_id, self.max_length, self.port, self.ttl)
        return records.DAEMON.pack(index, present, *numbers, *groups, self.interface)


@dataclass(slots=True, eq=False)
class HeldConnection:
    """A connection, and the real server that counts it."""

    connection: Connection
    real: HeldReal | None


class Tables:
    """One network namespace of the fake kernel. Who holds `lock` may read and change everything."""

    def __init__(
        self,
        release: Release,
        ticks: int,
        schedulers: frozenset[str],
        engines: frozenset[str],
        interfaces: Mapping[str, Interface],
    ) -> None:
        self.lock = threading.RLock()
        self.release = release
        self.ticks = ticks
        self.schedulers = schedulers
        self.engines = engines
        self.interfaces = interfaces
        self.services: dict[Identity, HeldService] = {}
        #: Deleted real servers: the kernel keeps them for a while, and their counters come back with them.
        self.trash: dict[tuple[Identity, Place], tuple[HeldService, HeldReal]] = {}
        self.daemons: dict[int, HeldDaemon] = {}
        self.timeouts = DEFAULT_TIMEOUTS
        self.totals = Stats()
        self.connections: list[HeldConnection] = []
        self.expire_nodest_conn = False
        #: Schedulers whose modules were loaded, which they stay.
        self.loaded: set[str] = set()
        self._ever_used = False

    def add_service(self, service: HeldService) -> None:
        """Enter a service."""
        self.services[service.identity] = service
        self._ever_used = True

    def delete_service(self, service: HeldService) -> None:
        """Delete a service with its real servers."""
        for real in list(service.reals.values()):
            self.delete_real(service, real)
        del self.services[service.identity]

    def add_real(self, service: HeldService, place: Place, settings: Settings) -> None:
        """Enter a real server: the old one if it was deleted from this service before."""
        real = HeldReal(place, settings)
        found = self.trash.pop((service.identity, place), None)
        if found is not None:
            former, real = found
            real.settings = settings
            if former is not service:
                real.stats = Stats()
        service.reals[place] = real

    def delete_real(self, service: HeldService, real: HeldReal) -> None:
        """Delete a real server; its connections stay in the table unless sysctl expire_nodest_conn is set."""
        del service.reals[real.place]
        self.trash[service.identity, real.place] = (service, real)
        if self.expire_nodest_conn:
            self.connections = [held for held in self.connections if held.real is not real]
            real.active = real.inactive = real.persistent = 0

    def in_order(self) -> list[HeldService]:
        """The services in the order in which they are listed: that of a hash, not that of their coming."""
        return sorted(self.services.values(), key=lambda service: zlib.crc32(repr(service.identity).encode()))

    @property
    def mixed(self) -> bool:
        """Whether any real server is of the other address family than its service."""
        return any(service.mixed for service in self.services.values())

    def config_row(self, index: int) -> bytes:
        """The timeouts as they are listed."""
        return records.CONFIG.pack(index, _CONFIG_ROW, *self.timeouts)

    def info_row(self, index: int) -> bytes:
        """Version and table size as they are listed."""
        size = (FIRST_TABLE_SIZE if self._ever_used else 0) if self.release.growing_connection_table else TABLE_SIZE
        return records.INFO.pack(index, _INFO_ROW, IP_VS_VERSION, size)
