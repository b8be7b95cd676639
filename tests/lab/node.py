"""A node of a Kubernetes cluster as a network namespace, with its pods, other nodes with theirs, and clients outside of the cluster.

Knows: links, addresses, routes, as a CNI plugin without a bridge makes them. Must not know: Services, traffic.

    pods (eth0) --- node-1 (eth0) --- br0 of a namespace of its own --- (eth0) node-2 --- (eth0) pods
                                                |
                                      (eth0) client, outside

The first node is the one that a test looks after; what addresses of Services there are, it has to see to itself. Other nodes only forward. Everything
is anonymous: nothing is left in the caller's own namespace, and the last descriptor takes all of it away.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import socket
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network
from typing import TYPE_CHECKING

from ipvskit.netns import NetNS
from ipvskit.testing.namespaces import TestNetNS
from tests.lab.topology import Host

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ipvskit.model.address import IPAddress

__all__ = ["CLIENTS", "NODE_NETWORKS", "POD_NETWORKS", "SERVICE_NETWORKS", "Cluster", "cluster"]

Interface = IPv4Interface | IPv6Interface
Network = IPv4Network | IPv6Network

NODE_NETWORKS: tuple[Network, ...] = (IPv4Network("172.18.0.0/16"), IPv6Network("fd00:172:18::/64"))
#: Of each, a node has a part for its pods: 10.10.1.0/24, fd00:10:10:1::/64 are the first one's.
POD_NETWORKS: tuple[Network, ...] = (IPv4Network("10.10.0.0/16"), IPv6Network("fd00:10:10::/48"))
#: What clients outside reach through the first node: cluster IPs, external IPs and addresses of load balancers.
SERVICE_NETWORKS: tuple[Network, ...] = (
    IPv4Network("10.200.1.0/24"),
    IPv4Network("192.168.0.0/16"),
    IPv6Network("fd00:10:200::/48"),
    IPv6Network("fd00:192:168::/48"),
)
#: The client's own; the first of each version is the usual one.
CLIENTS: tuple[Interface, ...] = (
    IPv4Interface("172.18.0.100/16"),
    IPv4Interface("172.18.0.101/16"),
    IPv6Interface("fd00:172:18::100/64"),
    IPv6Interface("fd00:172:18::101/64"),
)


@dataclass(frozen=True, slots=True)
class Cluster:
    """What was built. `node` is the first of `nodes`; `home` says which node a pod is on."""

    nodes: tuple[Host, ...]
    pods: tuple[Host, ...]
    home: Mapping[str, str]
    client: Host

    @property
    def node(self) -> Host:
        """The node that is looked after."""
        return self.nodes[0]

    def host(self, name: str) -> Host:
        """The node or pod of this name."""
        return next(one for one in (*self.nodes, *self.pods) if one.name == name)

    def masqueraded(self, pod: str, version: int = 4) -> IPAddress:
        """The source address that the pod sees of what the first node masquerades: the node's on the link that leads there."""
        if self.home[pod] == self.node.name:
            return _gateway(_pod_network(0, version)).ip
        return self.node.address(version)


@contextlib.contextmanager
def cluster(pods: Mapping[str, str], *, nodes: int = 3) -> Iterator[Cluster]:
    """Build it, and take it away whatever happens: node-1, node-2, ..., and pods by name, each with the name of its node."""
    names = [f"node-{number}" for number in range(1, nodes + 1)]
    with contextlib.ExitStack() as stack:
        # Where IPv6 is a module, a socket loads it.
        stack.enter_context(socket.socket(socket.AF_INET6))
        switch = stack.enter_context(_space("switch"))
        own = [tuple(_nth(network, 2 + place) for network in NODE_NETWORKS) for place in range(nodes)]
        hosts = [
            Host(name, stack.enter_context(_space(name)), addresses) for name, addresses in zip(names, own, strict=True)
        ]
        client = Host("client", stack.enter_context(_space("client")), CLIENTS)
        free = {name: itertools.count(2) for name in names}
        members = []
        for pod, node in pods.items():
            number, place = next(free[node]), names.index(node)
            single = tuple(_alone(_nth(_pod_network(place, version), number)) for version in (4, 6))
            members.append(Host(pod, stack.enter_context(_space(pod)), single))
        made = Cluster(tuple(hosts), tuple(members), dict(pods), client)
        _build_switch(switch, [*hosts, client])
        for place, host in enumerate(hosts):
            _build_node(made, place, host)
        for host in members:
            _build_pod(host, names.index(pods[host.name]))
        _build_client(made)
        yield made


class _Space(TestNetNS):
    """Its loopback interface comes up with the others: starting the program for it alone takes a quarter of a second in a guest."""

    def __init__(self, name: str) -> None:
        with NetNS.create() as fresh:
            NetNS.__init__(self, os.dup(fresh.fileno()), name)


def _space(name: str) -> TestNetNS:
    made = _Space(name)
    # Duplicate address detection would keep IPv6 addresses from use for their first second. Nodes and clients share a network, so redirects would
    # send answers past the node that has to rewrite them; for IPv6 it cannot be told not to send them.
    made.sysctl("net.ipv6.conf.default.accept_dad", 0)
    for version in (4, 6):
        made.sysctl(f"net.ipv{version}.conf.default.accept_redirects", 0)
    for setting in ("all", "default"):
        made.sysctl(f"net.ipv4.conf.{setting}.send_redirects", 0)
    # Of refusals only some a second would be told.
    made.sysctl("net.ipv4.icmp_ratelimit", 0)
    made.sysctl("net.ipv6.icmp.ratelimit", 0)
    return made


def _nth(network: Network, number: int) -> Interface:
    if isinstance(network, IPv4Network):
        return IPv4Interface((network.network_address + number, network.prefixlen))
    return IPv6Interface((network.network_address + number, network.prefixlen))


def _alone(interface: Interface) -> Interface:
    """The same address without a network around it."""
    return IPv4Interface(interface.ip) if isinstance(interface.ip, IPv4Address) else IPv6Interface(interface.ip)


def _pod_network(place: int, version: int) -> Network:
    """Where the pods of a node are; its place counts from 0."""
    if version == 4:
        return IPv4Network((IPv4Address(int(POD_NETWORKS[0].network_address) + (place + 1) * 2**8), 24))
    return IPv6Network((IPv6Address(int(POD_NETWORKS[1].network_address) + (place + 1) * 2**64), 64))


def _gateway(network: Network) -> Interface:
    """The node's end of its pods' links; all of them have this address."""
    return _alone(_nth(network, 1))


def _build_switch(switch: TestNetNS, hosts: list[Host]) -> None:
    commands = ["link add br0 type bridge mcast_snooping 0", "link set br0 up"]
    for number, host in enumerate(hosts):
        commands += [
            f"link add p{number} type veth peer name eth0 netns {host.netns.path}",
            f"link set p{number} master br0 up",
        ]
    switch.ip(*commands)


def _up(interfaces: tuple[Interface, ...], device: str = "eth0") -> list[str]:
    # Even where duplicate address detection is off, the kernel gets to an address's end of it only a little later.
    return [f"link set {device} up", *(f"addr add {one} dev {device} nodad" for one in interfaces)]


def _build_node(made: Cluster, place: int, host: Host) -> None:
    commands = ["link set lo up", *_up(host.interfaces)]
    for version in (4, 6):
        commands += [
            f"route add {_pod_network(other, version)} via {each.address(version)}"
            for other, each in enumerate(made.nodes)
            if each is not host
        ]
    gateways = tuple(_gateway(_pod_network(place, version)) for version in (4, 6))
    for number, pod in enumerate(pod for pod in made.pods if made.home[pod.name] == host.name):
        device = f"veth{number}"
        commands.append(f"link add {device} type veth peer name eth0 netns {pod.netns.path}")
        commands += _up(gateways, device)
        commands += [f"route add {one} dev {device}" for one in pod.interfaces]
    host.netns.ip(*commands)
    host.netns.sysctl("net.ipv6.conf.all.forwarding", 1)
    # The node that is looked after has to be told so by who looks after it.
    if host is not made.node:
        host.netns.sysctl("net.ipv4.ip_forward", 1)


def _build_pod(pod: Host, place: int) -> None:
    commands = ["link set lo up", *_up(pod.interfaces)]
    for version in (4, 6):
        gateway = _gateway(_pod_network(place, version))
        commands += [f"route add {gateway} dev eth0", f"route add default via {gateway.ip}"]
    pod.netns.ip(*commands)


def _build_client(made: Cluster) -> None:
    routes = [f"route add {network} via {made.node.address(network.version)}" for network in SERVICE_NETWORKS]
    usual = tuple(made.client.address(version) for version in (4, 6))
    # Those that are no longer preferred are taken by who asks for them.
    others = [f"addr change {one} dev eth0 preferred_lft 0" for one in made.client.interfaces if one.ip not in usual]
    made.client.netns.ip("link set lo up", *_up(made.client.interfaces), *others, *routes)
