"""Addresses and networks as Kubernetes objects have them.

Knows: how they are read, and which addresses can be no virtual address. Must not know: whose they are.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from socket import AF_INET, inet_pton
from typing import NamedTuple

from ipvskit.model.address import Family, IPAddress

__all__ = ["Address", "Network", "endpoint_place", "read_address", "read_network", "unusable"]

Network = IPv4Network | IPv6Network

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


def endpoint_place(address: Address, port: int) -> str:
    """`10.0.0.1:80`, `[2001:db8::1]:80`."""
    return f"{address.text}:{port}" if address.value.version == 4 else f"[{address.text}]:{port}"
