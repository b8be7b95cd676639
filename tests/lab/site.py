"""A topology with servers running, a client and a handle on the director: what a test of traffic starts from.

Knows: how services, servers and addresses go together. Must not know: what is being tested.

One site serves many tests: each takes a port of its own for its service, so that connections, counters and the kernel's
memory of deleted real servers (its "trash") of one test are nothing to the next.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import ipvskit as ik
from tests.lab.topology import VIPS, Topology, joined, numbered
from tests.lab.traffic import Client, Servers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["Site", "eventually", "opened"]

T = TypeVar("T")

#: Real servers listen here; where ports are not rewritten a service must have one of these.
PORTS = range(8001, 8021)


@dataclass(slots=True)
class Site:
    """Everything that is needed to try a service. `protocols` are those that the servers speak."""

    topology: Topology
    kernel: ik.Kernel
    client: Client
    protocols: tuple[str, ...]
    _ports: Iterator[int] = field(default_factory=itertools.count)

    @property
    def ipvs(self) -> ik.Ipvs:
        """IPVS of the director."""
        return self.kernel.ipvs

    def key(self, version: int = 4, protocol: str = "tcp") -> ik.ServiceKey:
        """A service that no test has had yet."""
        return ik.ServiceKey(None, protocol, self.topology.vip(version), next(self._ports))

    def real(self, name: str, key: ik.ServiceKey, *, version: int | None = None, **options: Any) -> ik.RealServer:
        """A real server of the topology as one of this service; `version` if its address is of the other family."""
        masquerade = self.topology.forwarding is ik.ForwardingMethod.MASQUERADE
        address = self.topology.real(name).address(version or (4 if key.family is ik.Family.IPV4 else 6))
        port = PORTS[0] if masquerade else key.port
        return ik.RealServer(address, port, **{"forwarding": self.topology.forwarding} | options)

    def add(
        self,
        scheduler: str = "rr",
        *,
        key: ik.ServiceKey | None = None,
        weights: Sequence[int] = (1, 1, 1),
        **options: Any,
    ) -> ik.ServiceKey:
        """Add a service with real servers r1, r2, ... of these weights; options as for VirtualService."""
        key = key or self.key()
        reals = [self.real(f"r{number}", key, weight=weight) for number, weight in enumerate(weights, 1)]
        self.ipvs.add_service(ik.VirtualService(key, scheduler=scheduler, reals=reals, **options))
        return key

    def numbers(self, key: ik.ServiceKey) -> dict[str, ik.RealServerStatus]:
        """What the kernel counts for a service's real servers, by their names in the topology."""
        names = {one.ip: host.name for host in self.topology.reals for one in host.interfaces}
        return {names[status.real.address]: status for status in self.ipvs.service_status(key).reals}

    @contextlib.contextmanager
    def settings(self, **values: Any) -> Iterator[None]:
        """IPVS settings for as long as the block runs."""
        before = {name: self.ipvs.sysctls[name] for name in values}
        self.ipvs.sysctls.set(values)
        try:
            yield
        finally:
            self.ipvs.sysctls.set(before)


@contextlib.contextmanager
def opened(
    count: int = 3,
    *,
    forwarding: ik.ForwardingMethod = ik.ForwardingMethod.MASQUERADE,
    vips: Sequence[str] = VIPS,
    prepare: Callable[[Topology], None] | None = None,
) -> Iterator[Site]:
    """A site with that many real servers. `prepare` may run programs: later there is a thread, which forking does not go with."""
    with contextlib.ExitStack() as stack:
        topology = stack.enter_context(joined(numbered(count), forwarding=forwarding, vips=vips))
        if prepare is not None:
            prepare(topology)
        servers = Servers()
        stack.callback(servers.close)
        protocols = tuple(protocol for protocol in ("tcp", "udp", "sctp") if _listen(servers, topology, protocol))
        stack.enter_context(servers)
        kernel = stack.enter_context(ik.Kernel(topology.director.netns))
        kernel.ipvs.info()
        ports = iter(PORTS) if forwarding is not ik.ForwardingMethod.MASQUERADE else itertools.count(1000)
        yield Site(topology, kernel, Client(topology.client.netns), protocols, ports)


def _listen(servers: Servers, topology: Topology, protocol: str) -> bool:
    rewritten = topology.forwarding is ik.ForwardingMethod.MASQUERADE
    for host in topology.reals:
        for address in topology.receiving(host):
            for port in PORTS[:1] if rewritten else PORTS:
                try:
                    servers.add(host.name, host.netns, address, port, protocol)
                except OSError as error:
                    if error.errno == errno.EPROTONOSUPPORT and protocol == "sctp":
                        return False
                    raise
    return True


def eventually(read: Callable[[], T], wanted: T, within: float = 8.0) -> None:
    """Wait until it reads as wanted: the kernel refreshes counters every 2 seconds, and closes connections when it gets to it."""
    end = time.monotonic() + within
    while (found := read()) != wanted:
        if time.monotonic() > end:
            raise AssertionError(f"after {within:g} s still {found}, not {wanted}")
        time.sleep(0.05)
