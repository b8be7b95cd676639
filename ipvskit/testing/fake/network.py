"""The network that the fake kernel is in: interfaces, and what its routing table says about an address.

Knows: which addresses the kernel takes for unicast. Must not know: requests, services.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface, ip_interface
from typing import TYPE_CHECKING

from ipvskit.ipvs.records import AF_INET

if TYPE_CHECKING:
    from collections.abc import Collection

    from ipvskit.testing.fake.releases import Release

_NO_HOST = {IPv4Address("0.0.0.0"), IPv4Address("255.255.255.255")}  # noqa: S104 - not bound to
_MULTICAST = 0xE
#: Prefix lengths from here on leave no room for a broadcast address.
_NARROW = 31


@dataclass(frozen=True, slots=True)
class Interface:
    """A network interface. `addresses` are written with their prefix length ("192.0.2.1/24")."""

    name: str
    addresses: tuple[str, ...] = ()
    mtu: int = 1500
    up: bool = True

    @property
    def networks(self) -> list[IPv4Interface | IPv6Interface]:
        """The addresses as values."""
        return [ip_interface(address) for address in self.addresses]

    @property
    def wide_networks(self) -> list[IPv4Interface]:
        """The IPv4 ones among them in whose networks there is a broadcast address."""
        return [one for one in self.networks if isinstance(one, IPv4Interface) and one.network.prefixlen < _NARROW]


LOOPBACK = Interface("lo", ("127.0.0.1/8", "::1/128"), mtu=65536)
ETHERNET = Interface("eth0", ("192.0.2.1/24", "fe80::1/64"))


def usable(address: IPv4Address | IPv6Address, interfaces: Collection[Interface], release: Release) -> bool:
    """Whether a real server can have this address: unicast, or the director's own."""
    up = [interface for interface in interfaces if interface.up]
    if isinstance(address, IPv6Address):
        ours = address.is_unspecified or address.is_multicast or address.is_link_local
        if not ours and address.ipv4_mapped is None:
            return True
        return any(address == network.ip for interface in up for network in interface.networks)
    if address in _NO_HOST or int(address) >> 28 == _MULTICAST:
        return False
    return not any(
        address == network.network.broadcast_address
        or (address == network.network.network_address and not release.lowest_address_is_unicast)
        for interface in up
        for network in interface.wide_networks
    )


def of_bytes(family: int, raw: bytes) -> IPv4Address | IPv6Address:
    """The address in sixteen bytes."""
    return IPv4Address(raw[:4]) if family == AF_INET else IPv6Address(raw)


def master_refusal(interface: Interface, ipv6_group: bool) -> int:
    """Why a sync daemon cannot send on an interface (errno), or 0. A receiving one needs none of this."""
    if not interface.up or (ipv6_group and interface.name == "lo"):
        return errno.ENETUNREACH
    if ipv6_group and not any(isinstance(network, IPv6Interface) for network in interface.networks):
        return errno.EADDRNOTAVAIL
    return 0
