"""A node with a proxy on it, pods that serve, and who asks: what a test of Services with traffic starts from.

Knows: how Services, addresses and servers go together. Must not know: what is being tested.

One site serves many tests: each takes a Service of its own, with addresses and a node port that no other one has.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import socket
from dataclasses import dataclass, field
from functools import partial
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Any

import ipvskit as ik
from ipvskit import kube
from tests.lab import rules
from tests.lab.node import POD_NETWORKS, cluster
from tests.lab.site import eventually
from tests.lab.web import Visitor, WebServers
from tests.unit.kube_cluster import endpoint, port, service, slice_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ipvskit.kube.config import Variant
    from tests.lab.node import Cluster

__all__ = ["HOST_PORT", "KubeSite", "Served", "opened"]

#: Two that serve, on this node and on another one; and one on this node that only asks.
PODS = {"near": "node-1", "far": "node-2", "asker": "node-1"}
SERVING = ("near", "far")
POD_PORT = 8080
#: Something on the node itself listens here, at all of its addresses.
HOST_PORT = 8000


@dataclass(frozen=True, slots=True)
class Served:
    """A Service that was added, and where it is reached."""

    name: str
    version: int
    protocol: str
    cluster_address: str
    external_address: str
    balanced_address: str
    port: int
    node_port: int

    @property
    def cluster_ip(self) -> str:
        """By its cluster IP."""
        return self.at(self.cluster_address)

    @property
    def external_ip(self) -> str:
        """By its external IP, if it has one."""
        return self.at(self.external_address)

    @property
    def load_balancer(self) -> str:
        """By its load balancer's address, if it has one."""
        return self.at(self.balanced_address)

    def at(self, address: object, number: int | None = None) -> str:
        """By an address, at another port if given."""
        place = f"[{address}]" if self.version == 6 else str(address)
        return f"{place}:{self.port if number is None else number}/{self.protocol}"


@dataclass(slots=True)
class KubeSite:
    """Everything that is needed to try a Service. `variant` is that of iptables, None where there are no rules."""

    cluster: Cluster
    kernel: ik.Kernel
    config: kube.Config
    proxy: kube.Proxy
    variant: Variant | None
    protocols: tuple[str, ...]
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def visitor(self, who: str) -> Visitor:
        """Somebody who asks: a pod, "node" or "client"."""
        hosts = {"node": self.cluster.node, "client": self.cluster.client}
        return Visitor((hosts.get(who) or self.cluster.host(who)).netns)

    def outcomes(self, who: str, target: str, number: int = 2, **how: Any) -> set[str]:
        """What becomes of that many connections, as in `Visitor.outcome`."""
        visitor = self.visitor(who)
        return {visitor.outcome(target, **how) for _ in range(number)}

    def outcome(self, who: str, target: str, **how: Any) -> str:
        """What becomes of a connection."""
        return self.visitor(who).outcome(target, **how)

    def masqueraded(self, *pods: str, version: int = 4) -> set[str]:
        """Answers of these pods where the node has changed the source address."""
        return {f"{pod} saw {self.cluster.masqueraded(pod, version)}" for pod in pods}

    def kept(self, *pods: str, source: object) -> set[str]:
        """Answers of these pods where the source address is the client's own."""
        return {f"{pod} saw {source}" for pod in pods}

    def address(self, who: str, version: int = 4) -> str:
        """The usual address of a pod, of "node" or of "client"."""
        hosts = {"node": self.cluster.node, "client": self.cluster.client}
        return str((hosts.get(who) or self.cluster.host(who)).address(version))

    def add(
        self,
        *pods: str,
        version: int = 4,
        protocol: str = "tcp",
        external: bool = False,
        balanced: bool = False,
        node_port: bool = False,
        **spec: Any,
    ) -> Served:
        """Add a Service for these pods and bring the node up to date; `spec` are more fields of it."""
        served = self._named(next(self._numbers), version, protocol)
        kind = "LoadBalancer" if balanced else "NodePort" if node_port else "ClusterIP"
        more: dict[str, Any] = {"nodePort": served.node_port} if node_port else {}
        made = service(
            served.name,
            (served.cluster_address,),
            ports=[port(served.port, protocol=protocol.upper(), **more)],
            ingress=[served.balanced_address] if balanced else [],
            type=kind,
            externalIPs=[served.external_address] if external else [],
            **spec,
        )
        self.proxy.tracker.add(made)
        self.change(served, *pods)
        if version == 6:
            bound = {served.cluster_address: True, served.external_address: external, served.balanced_address: balanced}
            for address in (address for address, there in bound.items() if there):
                # The kernel adds the routes of IPv6 addresses in the background.
                eventually(partial(self._is_local, address), True)
        return served

    def _is_local(self, address: str) -> bool:
        """Whether the node takes it for its own."""
        with self.cluster.node.netns.socket(socket.AF_INET6, socket.SOCK_DGRAM) as asking:
            try:
                asking.connect((address, 9))
            except OSError:
                return False
            return bool(asking.getsockname()[0] == address)

    @staticmethod
    def _named(number: int, version: int, protocol: str) -> Served:
        """Addresses that are in no other Service."""
        text, networks = (f"{number}", _ADDRESSES[4]) if version == 4 else (f"{number:x}", _ADDRESSES[6])
        cluster_ip, external, balanced = (network + text for network in networks)
        return Served(f"s{number}", version, protocol, cluster_ip, external, balanced, 80, 30000 + number)

    def change(self, served: Served, *pods: str, leaving: tuple[str, ...] = ()) -> kube.SyncReport:
        """Let the Service have these pods, `leaving` ones of them terminating, and bring the node up to date."""
        home = self.cluster.home
        endpoints = [
            endpoint(self.address(pod, served.version), home[pod], **(_LEAVING if pod in leaving else {}))
            for pod in pods
        ]
        ports = [{"name": "http", "protocol": served.protocol.upper(), "port": POD_PORT}]
        found = slice_of(served.name, *endpoints, ports=ports, family=f"IPv{served.version}")
        self.proxy.tracker.event({"type": "MODIFIED", "object": found})
        return self.sync()

    def sync(self, *, full: bool = False) -> kube.SyncReport:
        """Bring the node up to date. Raises what failed."""
        report = self.proxy.sync(full=full)
        report.raise_for_failures()
        return report


#: Where cluster IPs, external IPs and addresses of load balancers are.
_ADDRESSES = {
    4: ("10.200.1.", "192.168.10.", "192.168.20."),
    6: ("fd00:10:200::", "fd00:192:168:10::", "fd00:192:168:20::"),
}
_LEAVING = {"ready": False, "serving": True, "terminating": True}


@contextlib.contextmanager
def opened(variant: Variant | None) -> Iterator[KubeSite]:
    """A site, with rules of this variant of iptables or without any. Raises Lacking where the kernel has no tables for it."""
    with contextlib.ExitStack() as stack:
        built = stack.enter_context(cluster(PODS, nodes=2))
        netns = built.node.netns
        if variant is not None and (lack := rules.lacking(netns, variant)):
            raise Lacking(lack)
        servers = WebServers()
        stack.callback(servers.close)
        protocols = tuple(protocol for protocol in ("tcp", "udp", "sctp") if _listen(servers, built, protocol))
        for anywhere in (IPv4Address(0), IPv6Address(0)):
            servers.add("host", netns, anywhere, HOST_PORT, "tcp")
        stack.enter_context(servers)
        kernel = stack.enter_context(ik.Kernel(netns))
        kernel.ipvs.info()
        config = kube.Config(cluster_cidr=tuple(map(str, POD_NETWORKS)), iptables=variant or "auto", drain_interval=1)
        without = None if variant else lambda family: rules.NoRules(family, netns)
        proxy = stack.enter_context(kube.Proxy(kernel, kube.Node("node-1"), config, iptables=without))
        proxy.tracker.resync([])
        site = KubeSite(built, kernel, config, proxy, variant, protocols)
        site.sync()
        yield site


class Lacking(Exception):
    """The kernel has no tables for a variant of iptables."""


def _listen(servers: WebServers, built: Cluster, protocol: str) -> bool:
    """Whether the kernel has the protocol."""
    for name in SERVING:
        pod = built.host(name)
        for version in (4, 6):
            try:
                servers.add(name, pod.netns, pod.address(version), POD_PORT, protocol)
            except OSError as error:
                if error.errno == errno.EPROTONOSUPPORT and protocol == "sctp":
                    return False
                raise
    return True
