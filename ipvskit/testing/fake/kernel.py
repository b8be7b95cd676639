"""The fake kernel as a handle.

Knows: what tests want to arrange. Must not know: requests.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from ipvskit.ipvs import records
from ipvskit.ipvs.records import Command
from ipvskit.kernel import Kernel
from ipvskit.model.connection import Connection
from ipvskit.model.key import ServiceKey
from ipvskit.model.real import RealServer
from ipvskit.netns import NetNS
from ipvskit.testing.fake.backend import FakeBackend
from ipvskit.testing.fake.devices import FakeDevices, FakeDevicesBackend
from ipvskit.testing.fake.flows import FakeConntrackBackend, FakeFlows
from ipvskit.testing.fake.ipset.adapter import Adapter, Names
from ipvskit.testing.fake.ipset.kernel import FakeIpset
from ipvskit.testing.fake.ipset.types import TYPES
from ipvskit.testing.fake.lies import Lie, Lies, Told
from ipvskit.testing.fake.network import ETHERNET, LOOPBACK, Interface
from ipvskit.testing.fake.releases import Release
from ipvskit.testing.fake.requests import Identity, Request
from ipvskit.testing.fake.settings import Settings
from ipvskit.testing.fake.tables import HeldConnection, HeldReal, HeldService, Place, Tables

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from ipvskit.conntrack.backend import ConntrackBackend
    from ipvskit.devices.backend import DevicesBackend
    from ipvskit.ipset.replacing import Owner
    from ipvskit.ipset.transport import Transport
    from ipvskit.ipvs.backend import Backend
    from ipvskit.ipvs.client import Ipvs
    from ipvskit.model.status import Stats
    from ipvskit.netns import NetNSLike

__all__ = ["SCHEDULERS", "FakeKernel"]

#: Those of the kernel's own tree that distributions build.
SCHEDULERS = frozenset({"rr", "wrr", "lc", "wlc", "fo", "ovf", "lblc", "lblcr", "dh", "sh", "mh", "sed", "nq"})


class World(NamedTuple):
    """One network namespace of a fake kernel, and what is told about it."""

    tables: Tables
    settings: Settings
    lies: Lies
    sets: FakeIpset
    names: Names
    devices: FakeDevices
    flows: FakeFlows


class FakeKernel(Kernel):
    """A kernel in memory, for tests of programs that use `Kernel`. It needs no privileges, and answers as real ones do.

    `release` is the kernel release that it behaves like, `schedulers` and `engines` are those that it has, `interfaces` its network, `ticks` its
    ticks per second (CONFIG_HZ), `cpus` its processors. `sysctls` gives settings other values than the defaults, as text; with None a setting is
    absent. `set_types` are the types of sets that it has, `device_kinds` the kinds of devices that it can make, `clock` tells the seconds that
    timeouts of entries go by, `patience` is as in `Kernel`. `same_as` makes it another handle on the tables of an existing one, as a restarted
    controller gets it; the rest, but for `patience`, then does not count.

    What is deleted is remembered for ever: a real server that is added again has its old counters and connections, as it has in a real kernel
    for the first minute or two. Nothing expires, and no packets are forwarded: `connect`, `set_stats` and the like say what there was.
    """

    def __init__(
        self,
        *,
        release: str = "7.2",
        schedulers: Iterable[str] = SCHEDULERS,
        engines: Iterable[str] = ("sip",),
        interfaces: Iterable[Interface] = (LOOPBACK, ETHERNET),
        ticks: int = 250,
        cpus: int = 4,
        sysctls: Mapping[str, str | None] | None = None,
        set_types: Iterable[str] = tuple(TYPES),
        device_kinds: Iterable[str] = ("dummy",),
        clock: Callable[[], float] = time.monotonic,
        patience: float = 2.0,
        same_as: FakeKernel | None = None,
    ) -> None:
        super().__init__(patience=patience)
        if same_as is not None:
            self._world = same_as.world
        else:
            known = Release.parse(release)
            devices = FakeDevices(interfaces, device_kinds)
            tables = Tables(known, ticks, frozenset(schedulers), frozenset(engines), devices.network)
            settings = Settings(known, cpus, sysctls or {}, tables.loaded)
            sets = FakeIpset(release, types=set_types, clock=clock)
            self._world = World(tables, settings, Lies(), sets, Names(), devices, FakeFlows())
        self._tables = self._world.tables

    def _open_netns(self, netns: NetNSLike) -> NetNS:
        return NetNS(-1, "fake")

    def _open_backend(self) -> Backend:
        return self.backend(lies=True)

    def _open_transport(self) -> Transport:
        return Adapter(self.sets)

    def _open_devices(self) -> DevicesBackend:
        return FakeDevicesBackend(self.links)

    def _open_conntrack(self) -> ConntrackBackend:
        return FakeConntrackBackend(self.flows)

    def _own(self, name: str) -> Owner | None:
        return self._world.names.own(name)

    @property
    def sets(self) -> FakeIpset:
        """The sets: lies about them, requests that came, what other programs do."""
        return self._world.sets

    @property
    def links(self) -> FakeDevices:
        """The network devices: lies about them, what other programs do."""
        return self._world.devices

    @property
    def flows(self) -> FakeFlows:
        """The tracked flows: those that packets made, lies about them."""
        return self._world.flows

    @property
    def names(self) -> Names:
        """The names that are owned in this namespace."""
        return self._world.names

    @property
    def world(self) -> World:
        """What all handles on the same kernel have in common."""
        return self._world

    def backend(self, *, lies: bool = False) -> FakeBackend:
        """What executes packed requests, for tests that go below the client."""
        return FakeBackend(self._tables, self._world.settings, self._world.lies if lies else None)

    @property
    def rival(self) -> Ipvs:
        """Another program's client of the same kernel. It is never lied to."""
        return self.backend().rival()

    # --- lies -----------------------------------------------------------------------------------------------------------------------

    def lie(
        self,
        lie: Lie,
        *,
        command: Command | None = None,
        key: ServiceKey | str | None = None,
        nth: int | None = None,
    ) -> Told:
        """Let something go wrong from now on (see `ipvskit.testing.fake.lies`).

        It does with requests of `command` and about service `key` where these are given, and of those with the `nth` only (from 1), or with every
        one. The answer counts how often it did.
        """
        told = Told(lie, command, None if key is None else _identity(key), nth)
        self._world.lies.told.append(told)
        return told

    def tell_the_truth(self) -> None:
        """Forget all lies."""
        self._world.lies.told.clear()

    # --- traffic --------------------------------------------------------------------------------------------------------------------

    def set_stats(self, key: ServiceKey | str, stats: Stats, real: RealServer | str | None = None) -> None:
        """Set the counters and rates of a service, or of one of its real servers. Raises KeyError when there is none."""
        with self._tables.lock:
            if real is None:
                self._service(key).stats = stats
            else:
                self._real(key, real).stats = stats

    def set_totals(self, stats: Stats) -> None:
        """Set the counters and rates of the namespace."""
        self._tables.totals = stats

    def set_connections(
        self, key: ServiceKey | str, real: RealServer | str, *, active: int = 0, inactive: int = 0, persistent: int = 0
    ) -> None:
        """Set how many connections a real server has, whatever the table of connections says. Raises KeyError."""
        held = self._real(key, real)
        held.active, held.inactive, held.persistent = active, inactive, persistent

    def connect(
        self,
        key: ServiceKey | str,
        real: RealServer | str,
        client: str = "198.51.100.1:40000",
        *,
        state: str = "ESTABLISHED",
        expires: int = 900,
    ) -> Connection:
        """Add a connection to a real server, which counts it; with client port 0, a persistence template. Raises KeyError."""
        parsed, held = ServiceKey.parse(key), self._real(key, real)
        source = RealServer.parse(client)
        target = RealServer.parse(real)
        connection = Connection(
            parsed.protocol or "tcp",
            source.address,
            source.port,
            parsed.address or target.address,
            parsed.port,
            target.address,
            target.port or parsed.port,
            state,
            expires,
        )
        self.add_connection(connection, held)
        return connection

    def add_connection(self, connection: Connection, held: HeldReal | None = None) -> None:
        """Add a row to the table of connections as it is; no real server counts it."""
        with self._tables.lock:
            self._tables.connections.append(HeldConnection(connection, held))
            _count(held, connection, 1)

    def disconnect(self, connection: Connection) -> None:
        """Take a connection away. Raises KeyError."""
        with self._tables.lock:
            found = [held for held in self._tables.connections if held.connection == connection]
            if not found:
                raise KeyError(str(connection))
            self._tables.connections.remove(found[0])
            _count(found[0].real, connection, -1)

    def _service(self, key: ServiceKey | str) -> HeldService:
        identity = _identity(key)
        if identity not in self._tables.services:
            raise KeyError(str(key))
        return self._tables.services[identity]

    def _real(self, key: ServiceKey | str, real: RealServer | str) -> HeldReal:
        service, wanted = self._service(key), RealServer.parse(real)
        family = records.AF_INET if wanted.address.version == 4 else records.AF_INET6
        place = Place(family, wanted.address.packed.ljust(16, b"\0"), wanted.port)
        if place not in service.reals:
            raise KeyError(f"{wanted.endpoint} of {key}")
        return service.reals[place]

    def __repr__(self) -> str:
        return f"FakeKernel({len(self._tables.services)} services{', closed' if self._closed else ''})"


def _identity(key: ServiceKey | str) -> Identity:
    return Request(0, records.key_request(Command.GET_SERVICE, ServiceKey.parse(key))).identity()


def _count(real: HeldReal | None, connection: Connection, change: int) -> None:
    """As the kernel does: established ones are active, templates are persistent, all others inactive."""
    if real is None:
        return
    if connection.is_template:
        real.persistent += change
    elif connection.state == "ESTABLISHED":
        real.active += change
    else:
        real.inactive += change
