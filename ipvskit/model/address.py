"""Addresses, ports and their text forms.

Knows: how `10.0.0.1:80` and `[2001:db8::1]:80` are read and written. Must not know: services, the kernel.
"""

from __future__ import annotations

import ipaddress
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address

from ipvskit.errors import InvalidConfig

__all__ = ["Family", "IPAddress", "endpoint_text", "parse_address", "parse_endpoint", "parse_number", "split_endpoint"]

IPAddress = IPv4Address | IPv6Address

_MAX_DIGITS = 20


class Family(StrEnum):
    """Address family."""

    IPV4 = "ipv4"
    IPV6 = "ipv6"


def family_of(address: IPAddress) -> Family:
    """The address's family."""
    return Family.IPV4 if address.version == 4 else Family.IPV6


def parse_address(field: str, value: str | IPAddress) -> IPAddress:
    """An IPv4 or IPv6 address without a zone. Raises InvalidConfig."""
    if isinstance(value, str):
        try:
            address = ipaddress.ip_address(value)
        except ValueError:
            raise InvalidConfig(field, value, "an IPv4 or IPv6 address (names are not looked up)") from None
    elif isinstance(value, IPv4Address | IPv6Address):
        address = value
    else:
        raise InvalidConfig(field, value, "an IPv4 or IPv6 address")
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        raise InvalidConfig(field, str(value), "an address without a zone: IPVS has no interface to go with it")
    return address


def parse_number(field: str, value: object, low: int, high: int, unit: str = "") -> int:
    """A whole number in low..high. Raises InvalidConfig."""
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise InvalidConfig(field, value, f"a whole number from {low} to {high}{' ' + unit if unit else ''}")
    return value


def is_number(text: str) -> bool:
    """Whether a text is that of a whole number, and not one of thousands of digits, which int() refuses."""
    return text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS


def parse_digits(field: str, text: str, low: int, high: int) -> int:
    """The same from text."""
    if not is_number(text):
        raise InvalidConfig(field, text, f"a whole number from {low} to {high}")
    return parse_number(field, int(text), low, high)


def split_endpoint(field: str, text: str) -> tuple[str, str | None]:
    """`host:port`, `[host]:port`, `host`, `[host]` or a bare IPv6 address, not looked at any further."""
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise InvalidConfig(field, text, "an IPv6 address in brackets, then a colon and the port")
        return host, rest[1:] if rest else None
    if text.count(":") == 1:
        host, _, port = text.partition(":")
        return host, port
    return text, None


def parse_endpoint(field: str, text: str) -> tuple[IPAddress, int | None]:
    """Address and port (None where the text has none). Raises InvalidConfig."""
    host, port = split_endpoint(field, text)
    address = parse_address(field, host)
    if text.startswith("[") and address.version == 4:
        raise InvalidConfig(field, text, "brackets are for IPv6 addresses")
    return address, None if port is None else parse_digits(f"{field} port", port, 0, 65535)


def endpoint_text(address: IPAddress, port: int) -> str:
    """`10.0.0.1:80`, `[2001:db8::1]:80`."""
    return f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"
