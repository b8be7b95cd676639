"""A network device of the fake kernel and the rules by which it takes addresses and loses them.

Knows: what net/ipv4/devinet.c and net/ipv6/addrconf.c do. Must not know: requests, lies.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass, field
from ipaddress import IPv4Interface, IPv6Address, IPv6Interface
from typing import TYPE_CHECKING

from ipvskit._native import rtnl
from ipvskit.devices.records import (
    ADDRESS,
    AF_INET6,
    LINK,
    AddressKey,
    AddressRow,
    Interfaces,
    address_record,
    key_of,
)
from ipvskit.testing.fake.network import Interface

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ipvskit.model.device import DeviceAddress

__all__ = ["HeldDevice", "LiveInterface"]

_PERMANENT = 0x80
_FOREVER = 0xFFFFFFFF
_SCOPE_LINK, _SCOPE_HOST = 253, 254

#: Prefix length, address, network of the peer.
_Place = tuple[int, bytes, int]
#: Prefix length, network.
_Network = tuple[int, int]


@dataclass(slots=True, eq=False)
class HeldDevice:
    """A device. Its IPv4 addresses are listed in order, the first of each network before all secondary ones; IPv6 ones newest first."""

    number: int
    name: str
    kind: str
    up: bool = False
    mtu: int = 1500
    primary: dict[_Place, AddressRow] = field(default_factory=dict)
    secondary: dict[_Place, AddressRow] = field(default_factory=dict)
    ipv6: dict[bytes, AddressRow] = field(default_factory=dict)
    networks: dict[_Network, int] = field(default_factory=dict)
    #: Made when somebody asks, forgotten with every change.
    values: list[DeviceAddress] | None = None
    wide_values: list[IPv4Interface] | None = None

    def link(self) -> bytes:
        """As it is listed."""
        flags = rtnl.LINK_UP * self.up
        return LINK.pack(
            self.number, flags, 0, self.mtu, self.name.encode(errors="surrogateescape"), self.kind.encode()
        )

    def ipv4_rows(self) -> list[AddressRow]:
        """IPv4 addresses as they are listed."""
        return [*sorted(self.primary.values(), key=lambda row: -row.scope), *self.secondary.values()]

    def ipv6_rows(self) -> list[AddressRow]:
        """IPv6 addresses as they are listed."""
        newest_first = list(self.ipv6.values())[::-1]
        return sorted(newest_first, key=lambda row: row.scope != 0)

    def keys(self) -> Iterator[AddressKey]:
        """What is listed, no more than what tells one from another."""
        return (row.key for row in (*self.ipv4_rows(), *self.ipv6_rows()))

    # --- switching ------------------------------------------------------------------------------------------------------------------

    def switch(self, up: bool) -> None:
        """Switch it on, which brings addresses of its own, or off, which takes all IPv6 addresses."""
        if up == self.up:
            return
        self.up = up
        self._forget()
        if not up:
            self.ipv6.clear()
        elif self.name == "lo":
            for text in ("127.0.0.1/8", "::1/128"):
                self.add_own(text)
        else:
            self.add_own(f"fe80::ff:fe00:{self.number:x}/64")

    def add_own(self, text: str | DeviceAddress) -> None:
        """Give it an address; what it has already does not count."""
        key = key_of(text if not isinstance(text, str) else _interface(text))
        self.add(AddressRow._make(ADDRESS.unpack(address_record(self.number, key))))

    # --- addresses ------------------------------------------------------------------------------------------------------------------

    def _forget(self) -> None:
        self.values = self.wide_values = None

    def add(self, row: AddressRow) -> int:
        """Why not (errno), or 0."""
        self._forget()
        if row.family == AF_INET6:
            return self._add_ipv6(row)
        network, place = _network(row), _place(row)
        if place in self.primary or place in self.secondary:
            return errno.EEXIST
        if self.networks.get(network, row.scope) != row.scope:
            return errno.EINVAL
        is_secondary = network in self.networks
        flags = row.flags | _PERMANENT | (rtnl.SECONDARY if is_secondary else 0)
        held = row._replace(flags=flags, valid=row.valid or _FOREVER, preferred=row.preferred or _FOREVER)
        (self.secondary if is_secondary else self.primary)[place] = held
        self.networks.setdefault(network, row.scope)
        return 0

    def _add_ipv6(self, row: AddressRow) -> int:
        if row.local in self.ipv6:
            return errno.EEXIST
        address = IPv6Address(row.local)
        if address.is_multicast or address.is_unspecified or (address.is_loopback and self.name != "lo"):
            return errno.EADDRNOTAVAIL
        scope = _SCOPE_LINK if address.is_link_local else _SCOPE_HOST if address.is_loopback else 0
        flags = row.flags | _PERMANENT | rtnl.NO_DAD
        held = row._replace(flags=flags, scope=scope, valid=row.valid or _FOREVER, preferred=row.preferred or _FOREVER)
        self.ipv6[row.local] = held
        return 0

    def delete(self, row: AddressRow, *, promote: bool = False) -> int:
        """Why not (errno), or 0. The secondary addresses go with the first of their network, unless the next one is promoted."""
        self._forget()
        if row.family == AF_INET6:
            held = self.ipv6.get(row.local)
            if held is None or held.prefix != row.prefix:
                return errno.EADDRNOTAVAIL
            del self.ipv6[row.local]
            return 0
        place = _place(row)
        if self.secondary.pop(place, None) is not None:
            return 0
        if self.primary.pop(place, None) is None:
            return errno.EADDRNOTAVAIL
        self._without_primary(_network(row), promote)
        return 0

    def _without_primary(self, network: _Network, promote: bool) -> None:
        del self.networks[network]
        # Nothing else is in the network of a single address, unless it has another peer.
        orphans = [place for place, row in self.secondary.items() if _network(row) == network] if self.secondary else []
        for place in orphans:
            row = self.secondary.pop(place)
            if promote:
                self.add(row._replace(flags=row.flags & ~rtnl.SECONDARY))


class LiveInterface(Interface):
    """A device as IPVS sees it."""

    __slots__ = ("_held",)
    _held: HeldDevice

    def __init__(self, held: HeldDevice) -> None:
        object.__setattr__(self, "_held", held)

    @property
    def name(self) -> str:
        """Its name."""
        return self._held.name

    @property
    def up(self) -> bool:
        """Whether it is switched on."""
        return self._held.up

    @property
    def mtu(self) -> int:
        """In bytes."""
        return self._held.mtu

    @property
    def addresses(self) -> tuple[str, ...]:
        """With their prefix lengths."""
        return tuple(map(str, self.networks))

    @property
    def networks(self) -> list[IPv4Interface | IPv6Interface]:
        """The same as values."""
        if self._held.values is None:
            self._held.values = Interfaces().all(self._held.keys())
        return self._held.values

    @property
    def wide_networks(self) -> list[IPv4Interface]:
        """The IPv4 ones among them in whose networks there is a broadcast address."""
        if self._held.wide_values is None:
            self._held.wide_values = super().wide_networks
        return self._held.wide_values


def _interface(text: str) -> DeviceAddress:
    return IPv6Interface(text) if ":" in text else IPv4Interface(text)


def _place(row: AddressRow) -> _Place:
    return row.prefix, row.local, _network(row)[1]


def _network(row: AddressRow) -> _Network:
    return row.prefix, int.from_bytes(row.peer[:4]) >> (32 - row.prefix)
