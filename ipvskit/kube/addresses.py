"""Addresses and networks as Kubernetes objects have them.

Knows: how they are read, and which addresses can be no virtual address. Must not know: whose they are.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from itertools import repeat
from socket import AF_INET, inet_pton
from struct import unpack
from typing import TYPE_CHECKING, NamedTuple

from ipvskit.model.address import Family, IPAddress

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "Address",
    "Network",
    "endpoint_place",
    "is_unicast",
    "place_end",
    "read_address",
    "read_network",
    "read_plain",
    "read_unicasts",
    "unusable",
]

Network = IPv4Network | IPv6Network

#: Where the IPv4 addresses of single hosts begin and end.
_FIRST_HOST, _LOOPBACK, _AFTER_LOOPBACK = 0x01000000, 0x7F000000, 0x80000000
_LINK_LOCAL, _AFTER_LINK_LOCAL, _MULTICAST = 0xA9FE0000, 0xA9FF0000, 0xE0000000
_MAPPED = 0xFFFF
_BROADCAST = 0xFFFFFFFF


class Address(NamedTuple):
    """An address and its canonical text. Two addresses are the same when their texts are."""

    text: str
    value: IPAddress

    @property
    def family(self) -> Family:
        """Its family."""
        return Family.IPV4 if self.value.version == 4 else Family.IPV6


def read_address(text: object) -> Address | None:
    """The address of a text, None where it is none. One with a zone is none: IPVS has no interface to go with it."""
    if not isinstance(text, str):
        return None
    try:
        if ":" not in text:
            # The parser of the module ipaddress takes ten times as long, and a cluster has hundreds of thousands.
            return Address(text, IPv4Address(int.from_bytes(inet_pton(AF_INET, text))))
        value = IPv6Address(text)
    except (OSError, ValueError):
        return None
    return None if value.scope_id is not None else Address(str(value), value)


def read_network(text: object) -> Network | None:
    """The network of a text, bits behind its prefix cut off; None where it is none, or has no prefix length."""
    if not isinstance(text, str) or "/" not in text:
        return None
    address, _, length = text.partition("/")
    if "%" in address or not (length.isascii() and length.isdigit()):
        return None
    try:
        return ip_network(text, strict=False)
    except ValueError:
        return None


def unusable(value: IPAddress) -> str | None:
    """Why no virtual service can be at the address, in words; None where one can."""
    # The properties of the module ipaddress compare networks, which takes ten times as long.
    number = int(value)
    if number == 0:
        return "unspecified"
    if value.version == 4:
        table = ((number >> 24 == 127, "loopback"), (number >> 28 == 14, "multicast"))
        more = ((number >> 16 == 0xA9FE, "link-local"), (number == _BROADCAST, "broadcast"))
    else:
        table = ((number == 1, "loopback"), (number >> 120 == 0xFF, "multicast"))
        more = ((number >> 118 == 0x3FA, "link-local"), (number >> 32 == _MAPPED, "mapped IPv4"))
    return next((word for holds, word in (*table, *more) if holds), None)


def read_plain(text: str, family: Family) -> Address | None:
    """An address of the family at which a virtual service can be; None for all others, and for IPv4 addresses that are not clearly one of a host."""
    if family is Family.IPV4:
        try:
            number = int.from_bytes(inet_pton(AF_INET, text))
        except (OSError, ValueError):
            return None
        return Address(text, IPv4Address(number)) if _are_hosts(number, number) else None
    address = read_address(text)
    usable = address is not None and address.family is family and unusable(address.value) is None
    return address if usable else None


def read_unicasts(texts: Sequence[str], family: Family) -> tuple[Sequence[str], Sequence[IPAddress]] | None:
    """Canonical texts and values of real servers' addresses, those of IPv4 in one go. None where a text is no address, or not one of the family."""
    if family is Family.IPV6:
        found = [address for address in map(read_address, texts) if address and is_unicast(address.value, family)]
        return ([each.text for each in found], [each.value for each in found]) if len(found) == len(texts) else None
    try:
        packed = b"".join(map(inet_pton, repeat(AF_INET), texts))
    except (OSError, ValueError, TypeError):
        return None
    numbers = unpack(f"!{len(texts)}I", packed)
    values = [*map(IPv4Address, numbers)]
    if _are_hosts(min(numbers), max(numbers)) or all(is_unicast(value, family) for value in values):
        return texts, values
    return None


def _are_hosts(least: int, most: int) -> bool:
    """Whether all IPv4 addresses from one to the other are those of single hosts, as far as can be told at once."""
    return (
        _FIRST_HOST <= least <= most < _LOOPBACK
        or _AFTER_LOOPBACK <= least <= most < _LINK_LOCAL
        or _AFTER_LINK_LOCAL <= least <= most < _MULTICAST
    )


def is_unicast(value: IPAddress, family: Family) -> bool:
    """What a `RealServer` takes, reserved addresses and those of one link or host excepted, asked without making one."""
    number = int(value)
    if value.version == 4:
        elsewhere = number >> 24 != 127 and number >> 16 != 0xA9FE
        return family is Family.IPV4 and 0 < number < 0xE0000000 and elsewhere
    link_local, mapped = number >> 118 == 0x3FA, number >> 32 == 0xFFFF
    return family is Family.IPV6 and number > 1 and number >> 120 != 0xFF and not link_local and not mapped


def place_end(family: Family) -> str:
    """What follows the address in a place: places are in the order of addresses with it behind."""
    return ":" if family is Family.IPV4 else "]"


def endpoint_place(text: str, port: int, family: Family) -> str:
    """`10.0.0.1:80`, `[2001:db8::1]:80`."""
    return f"{text}:{port}" if family is Family.IPV4 else f"[{text}]:{port}"
