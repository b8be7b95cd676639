"""Packed records: the C core's view of links and addresses, to values and back.

Knows: the layout of the structs in csrc/ik_rtnl.h, what the kernel takes for an address's scope. Must not know: sockets, errors, policy.
"""

from __future__ import annotations

from enum import IntEnum
from ipaddress import IPv4Interface, IPv6Interface
from itertools import chain
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple

from ipvskit._native import rtnl

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ipvskit.model.address import IPAddress
    from ipvskit.model.device import DeviceAddress

__all__ = [
    "ADDRESS",
    "LINK",
    "AddressKey",
    "AddressRow",
    "Command",
    "Interfaces",
    "LinkRow",
    "address_indexes",
    "address_keys",
    "address_record",
    "address_rows",
    "key_of",
    "link_record",
    "link_rows",
    "packed_address",
]

AF_INET, AF_INET6 = 2, 10
SCOPE_HOST = 254
LOOPBACK_NET = 127

#: struct ik_rtnl_address and struct ik_rtnl_link.
ADDRESS = Struct("=II4BIII16s16s4s16s")
LINK = Struct("=IIII16s64s")
_KEYS = Struct("=8xBB14x16s36x")
_INDEXES = Struct("=I72x")


class Command(IntEnum):
    """enum ik_rtnl_command."""

    NEW_ADDRESS = rtnl.NEW_ADDRESS
    DELETE_ADDRESS = rtnl.DELETE_ADDRESS
    NEW_LINK = rtnl.NEW_LINK
    CHANGE_LINK = rtnl.CHANGE_LINK
    DELETE_LINK = rtnl.DELETE_LINK
    GET_LINK = rtnl.GET_LINK


class AddressRow(NamedTuple):
    """One address of a device, in the order of struct ik_rtnl_address."""

    device: int
    flags: int
    family: int
    prefix: int
    scope: int
    protocol: int
    metric: int
    valid: int
    preferred: int
    local: bytes
    peer: bytes
    broadcast: bytes
    label: bytes

    @property
    def key(self) -> AddressKey:
        """What tells it from the other addresses of its device."""
        return (self.family, self.prefix, self.local)

    @property
    def is_secondary(self) -> bool:
        """Whether the kernel deletes it together with the first address of its network."""
        return self.family == AF_INET and bool(self.flags & rtnl.SECONDARY)

    def record(self) -> bytes:
        """To make it again, or to delete it, just as it is."""
        return ADDRESS.pack(*self._replace(flags=self.flags & rtnl.NO_PREFIX_ROUTE))


#: Family, prefix length, sixteen bytes.
AddressKey = tuple[int, int, bytes]


class LinkRow(NamedTuple):
    """One device."""

    number: int
    name: str
    kind: str
    up: bool
    mtu: int


def packed_address(address: IPAddress) -> tuple[int, bytes]:
    """Family and sixteen bytes."""
    return (AF_INET if address.version == 4 else AF_INET6), address.packed.ljust(16, b"\0")


def key_of(address: DeviceAddress) -> AddressKey:
    """The key of the row that it is listed as."""
    family, packed = packed_address(address)
    return family, address.network.prefixlen, packed


def address_record(index: int, key: AddressKey) -> bytes:
    """To add it to the device, or to delete it from there."""
    family, prefix, packed = key
    scope = SCOPE_HOST if family == AF_INET and packed[0] == LOOPBACK_NET else 0
    return ADDRESS.pack(index, 0, family, prefix, scope, 0, 0, 0, 0, packed, packed, b"", b"")


def link_record(name: str = "", *, index: int = 0, kind: str = "", up: bool | None = None) -> bytes:
    """A device by name or, where that is given, by number."""
    flags, change = (0, 0) if up is None else (rtnl.LINK_UP * up, rtnl.LINK_UP)
    return LINK.pack(index, flags, change, 0, name.encode(errors="surrogateescape"), kind.encode())


def address_rows(data: bytes) -> list[AddressRow]:
    """Packed records as rows."""
    return list(map(AddressRow._make, ADDRESS.iter_unpack(data)))


def address_keys(data: bytes) -> list[AddressKey]:
    """The keys of the same rows."""
    return list(_KEYS.iter_unpack(data))


def address_indexes(data: bytes) -> list[int]:
    """The numbers of the devices that have them."""
    return list(chain.from_iterable(_INDEXES.iter_unpack(data)))


def link_rows(data: bytes) -> list[LinkRow]:
    """The same of links."""
    return [
        LinkRow(number, _text(name), _text(kind), bool(flags & rtnl.LINK_UP), mtu)
        for number, flags, _, mtu, name, kind in LINK.iter_unpack(data)
    ]


def _text(field: bytes) -> str:
    return field.rstrip(b"\0").decode(errors="surrogateescape")


class Interfaces:
    """Addresses as values. Those of the last listing are kept: the next one mostly has the same, and to make one takes long."""

    def __init__(self) -> None:
        self._held: dict[AddressKey, DeviceAddress] = {}

    def all(self, keys: Iterable[AddressKey]) -> list[DeviceAddress]:
        """The values, in the same order."""
        held, now = self._held, {}
        found = []
        for key in keys:
            value = held.get(key)
            if value is None:
                value = _interface(key)
            now[key] = value
            found.append(value)
        self._held = now
        return found


def _interface(key: AddressKey) -> DeviceAddress:
    family, prefix, packed = key
    if family == AF_INET:
        return IPv4Interface((packed[:4], prefix))
    return IPv6Interface((packed, prefix))
