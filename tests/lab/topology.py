"""A client, a director and real servers as network namespaces, joined by a bridge in the director's.

Knows: links, addresses, routes, and what each forwarding method asks of them. Must not know: services, traffic.

    client (eth0) --- br0 of the director --- (eth0) real servers; virtual addresses on a dummy device of the director

Everything is anonymous: nothing is left in the caller's own namespace, and the last descriptor takes all of it away.
The client also owns a crowd of addresses (`CROWD`), for traffic from many sources.
"""

from __future__ import annotations

import contextlib
import socket
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network
from typing import TYPE_CHECKING

from ipvskit import ForwardingMethod
from ipvskit.testing.namespaces import TestNetNS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ipvskit.model.address import IPAddress

__all__ = ["CLIENT", "CROWD", "Host", "Topology", "joined", "numbered"]

Interface = IPv4Interface | IPv6Interface
Network = IPv4Network | IPv6Network

CLIENT: tuple[Interface, ...] = (IPv4Interface("10.0.0.2/24"), IPv6Interface("fd00:0:0:a::2/64"))
#: Every address of these is the client's own, to send from.
CROWD: tuple[Network, ...] = (IPv4Network("10.1.0.0/16"), IPv6Network("fd00:0:0:b::/64"))
VIPS = ("10.200.0.1", "fd00:0:0:c::1")


@dataclass(frozen=True, slots=True)
class Host:
    """A namespace with its name and its addresses on eth0 (the director: on br0)."""

    name: str
    netns: TestNetNS
    interfaces: tuple[Interface, ...]

    def address(self, version: int) -> IPAddress:
        """Its address of the IP version."""
        return next(one.ip for one in self.interfaces if one.version == version)


@dataclass(frozen=True, slots=True)
class Topology:
    """What was built. `vips` are the virtual addresses; the first of a version is the usual one."""

    client: Host
    director: Host
    reals: tuple[Host, ...]
    vips: tuple[IPAddress, ...]
    forwarding: ForwardingMethod

    def vip(self, version: int) -> IPAddress:
        """The first virtual address of the IP version."""
        return next(one for one in self.vips if one.version == version)

    def real(self, name: str) -> Host:
        """The real server of this name."""
        return next(one for one in self.reals if one.name == name)

    def receiving(self, real: Host) -> tuple[IPAddress, ...]:
        """The addresses that packets arrive for at a real server: its own, or the virtual ones where they are not rewritten."""
        if self.forwarding is ForwardingMethod.MASQUERADE:
            return tuple(one.ip for one in real.interfaces)
        return self.vips


def numbered(count: int) -> dict[str, tuple[Interface, ...]]:
    """Names and addresses of real servers in one network: r1, r2, ..."""
    return {
        f"r{number}": (IPv4Interface(f"10.0.1.{10 + number}/24"), IPv6Interface(f"fd00:0:0:d::{10 + number}/64"))
        for number in range(1, count + 1)
    }


@contextlib.contextmanager
def joined(
    reals: Mapping[str, tuple[Interface, ...]],
    *,
    forwarding: ForwardingMethod | str = ForwardingMethod.MASQUERADE,
    vips: Sequence[str] = VIPS,
    device: str = "vip0",
) -> Iterator[Topology]:
    """Build it, and take it away whatever happens. A real server's gateway is the first address of its network."""
    addresses = tuple(IPv4Address(vip) if "." in vip else IPv6Address(vip) for vip in vips)
    networks = dict.fromkeys(one.network for one in [*CLIENT, *(one for pair in reals.values() for one in pair)])
    gateways = tuple(_gateway(network) for network in networks)
    with contextlib.ExitStack() as stack:
        # Where IPv6 is a module, a socket loads it.
        stack.enter_context(socket.socket(socket.AF_INET6))
        director = Host("director", stack.enter_context(TestNetNS(name="director")), gateways)
        client = Host("client", stack.enter_context(TestNetNS(name="client")), CLIENT)
        members = tuple(Host(name, stack.enter_context(TestNetNS(name=name)), own) for name, own in reals.items())
        made = Topology(client, director, members, addresses, ForwardingMethod(forwarding))
        for host in (director, client, *members):
            # Duplicate address detection would keep IPv6 addresses from use for their first second. Redirects would send
            # masqueraded traffic past the director, since clients and real servers share its bridge; for IPv6 it cannot be
            # told not to send them.
            host.netns.sysctl("net.ipv6.conf.default.accept_dad", 0)
            host.netns.sysctl("net.ipv6.conf.default.accept_redirects", 0)
        _build_director(made, device)
        _build_client(made)
        for host in members:
            _build_real(made, host)
        yield made


def _gateway(network: Network) -> Interface:
    if isinstance(network, IPv4Network):
        return IPv4Interface((network.network_address + 1, network.prefixlen))
    return IPv6Interface((network.network_address + 1, network.prefixlen))


def _single(address: IPAddress) -> str:
    return f"{address}/{address.max_prefixlen}"


def _assign(addresses: Sequence[str], device: str) -> list[str]:
    # Even where duplicate address detection is off, the kernel gets to an address's end of it only a little later.
    return [f"addr add {one} dev {device} nodad" for one in addresses]


def _dummy(name: str, addresses: Sequence[IPAddress]) -> list[str]:
    return [
        f"link add {name} type dummy",
        f"link set {name} up",
        *_assign([_single(one) for one in addresses], name),
    ]


def _build_director(made: Topology, device: str) -> None:
    own = made.director.netns
    for setting in ("all", "default"):
        own.sysctl(f"net.ipv4.conf.{setting}.send_redirects", 0)
        own.sysctl(f"net.ipv4.conf.{setting}.rp_filter", 0)
    commands = ["link add br0 type bridge mcast_snooping 0", "link set br0 up"]
    for number, host in enumerate((made.client, *made.reals)):
        commands += [
            f"link add p{number} type veth peer name eth0 netns {host.netns.path}",
            f"link set p{number} master br0 up",
        ]
    commands += _assign([str(one) for one in made.director.interfaces], "br0")
    commands += _dummy(device, made.vips)
    commands += [f"route add {crowd} via {made.client.address(crowd.version)}" for crowd in CROWD]
    own.ip(*commands)
    own.sysctl("net.ipv4.ip_forward", 1)
    own.sysctl("net.ipv6.conf.all.forwarding", 1)


def _build_client(made: Topology) -> None:
    commands = ["link set eth0 up", *_assign([str(one) for one in CLIENT], "eth0")]
    commands += [f"route add local {crowd} dev lo" for crowd in CROWD]
    commands += [f"route add {_single(vip)} via {_gateway(_client_network(vip.version)).ip}" for vip in made.vips]
    made.client.netns.ip(*commands)
    # IPv4 takes a local route for permission to send from its addresses, IPv6 does not.
    made.client.netns.sysctl("net.ipv6.ip_nonlocal_bind", 1)


def _client_network(version: int) -> Network:
    return next(one.network for one in CLIENT if one.version == version)


def _build_real(made: Topology, host: Host) -> None:
    own = host.netns
    commands = ["link set eth0 up", *_assign([str(one) for one in host.interfaces], "eth0")]
    if made.forwarding is ForwardingMethod.MASQUERADE:
        commands += [f"route add default via {_gateway(one.network).ip}" for one in host.interfaces]
        own.ip(*commands)
        return
    for setting, value in (("arp_ignore", 1), ("arp_announce", 2), ("rp_filter", 0)):
        own.sysctl(f"net.ipv4.conf.all.{setting}", value)
        own.sysctl(f"net.ipv4.conf.default.{setting}", value)
    commands += _dummy("vip0", made.vips)
    if made.forwarding is ForwardingMethod.TUNNEL:
        commands += _tunnels(host)
    # Answers carry the virtual address, which the director has too and would not take from outside: they go past it.
    for crowd in CROWD:
        near = _client_network(crowd.version)
        commands += [f"route add {near} dev eth0", f"route add {crowd} via {made.client.address(crowd.version)}"]
    own.ip(*commands)


def _tunnels(host: Host) -> list[str]:
    """Receivers for IPv4 and IPv6 packets inside of either."""
    v4, v6 = host.address(4), host.address(6)
    return [
        f"link add in44 type ipip local {v4}",
        f"link add in64 type sit local {v4}",
        f"link add in66 type ip6tnl mode any local {v6}",
        *(f"link set {name} up" for name in ("in44", "in64", "in66")),
    ]
