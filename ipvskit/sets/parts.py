"""What entries of sets are made of: small values with the text forms of ipset(8).

Knows: addresses, networks, ranges, ports, marks, MAC and interface names. Must not know: which type of set has which, options, netlink.

Names of hosts and services are not looked up here. Types of ICMP are written as numbers (`icmp:8/0`), which ipset takes as well as its names.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import TYPE_CHECKING

from ipvskit._native.elements import icmp_name, protocol_name
from ipvskit.errors import InvalidConfig
from ipvskit.model.address import IPAddress, is_number, parse_address, parse_number

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

__all__ = [
    "MAC",
    "AddressRange",
    "IPNetwork",
    "Interface",
    "Mark",
    "NumberRange",
    "Port",
    "Value",
    "address_text",
    "parse_seconds",
    "part_text",
]

IPNetwork = IPv4Network | IPv6Network

#: The kernel keeps milliseconds in 31 bits and clamps what is longer without a word (seconds).
MAX_TIMEOUT = (2**31 - 1) // 1000
MAX_INTERFACE = 15
MAX_NAME = 31

#: Not 0, which no set takes.
PROTOCOL_NAMES = {number: name for number in range(1, 256) if (name := protocol_name(number))}
PROTOCOL_NUMBERS = {name: number for number, name in PROTOCOL_NAMES.items()} | {"icmpv6": 58}
_WITH_PORTS = {"tcp", "udp", "sctp", "udplite"}
_ICMP = {"icmp", "ipv6-icmp"}


def parse_plain_address(field: str, value: str | IPAddress) -> IPAddress:
    """An address that stands for itself on every interface. Raises InvalidConfig."""
    text = str(value)
    if "%" in text:
        raise InvalidConfig(field, text, "an address without a zone: sets have none")
    return parse_address(field, value)


def address_text(address: IPAddress) -> str:
    """As inet_ntop(3) writes it, which is ipset's form: IPv4 addresses inside IPv6 ones stay readable."""
    if address.version == 4:
        return str(address)
    number = int(address)
    head = number >> 32
    if head == 0xFFFF or (head == 0 and number >> 16):
        return ("::ffff:" if head else "::") + str(IPv4Address(number & 0xFFFFFFFF))
    return str(address)


def _network_text(network: IPNetwork) -> str:
    address = address_text(network.network_address)
    return address if network.prefixlen == network.max_prefixlen else f"{address}/{network.prefixlen}"


def parse_seconds(field: str, value: float | timedelta | None) -> int | None:
    """A timeout in whole seconds, 0 to 2147483; None is none. Raises InvalidConfig."""
    if value is None:
        return None
    seconds: object = value
    if not isinstance(value, int | float):
        total = getattr(value, "total_seconds", None)
        seconds = total() if callable(total) else value
    if isinstance(seconds, float) and seconds.is_integer():
        seconds = int(seconds)
    try:
        return parse_number(field, seconds, 0, MAX_TIMEOUT)
    except InvalidConfig:
        expected = f"None, or whole seconds from 0 to {MAX_TIMEOUT} as a number or timedelta"
        raise InvalidConfig(field, value, expected) from None


@dataclass(frozen=True, slots=True, init=False)
class AddressRange:
    """Addresses of one family from `first` to `last`, both included. The kernel puts them in order, and so is it here. Raises InvalidConfig."""

    first: IPAddress
    last: IPAddress

    def __init__(self, first: str | IPAddress, last: str | IPAddress) -> None:
        low, high = parse_plain_address("range", first), parse_plain_address("range", last)
        if low.version != high.version:
            raise InvalidConfig("range", f"{low}-{high}", "two addresses of the same family")
        if int(low) > int(high):
            low, high = high, low
        object.__setattr__(self, "first", low)
        object.__setattr__(self, "last", high)

    @classmethod
    def parse(cls, text: str) -> AddressRange:
        """`10.0.0.1-10.0.0.9` or `10.0.0.0/24`, whose host bits are cut. Raises InvalidConfig."""
        first, dash, last = text.partition("-")
        if dash:
            return cls(first, last)
        address, slash, prefix = text.partition("/")
        if not slash or not is_number(prefix):
            raise InvalidConfig("range", text, "two addresses as in 10.0.0.1-10.0.0.9, or a network as in 10.0.0.0/24")
        first_address = parse_plain_address("range", address)
        if not 0 <= int(prefix) <= first_address.max_prefixlen:
            raise InvalidConfig("range", text, f"a prefix length of at most {first_address.max_prefixlen}")
        kind = IPv4Network if first_address.version == 4 else IPv6Network
        return cls.of_network(kind((int(first_address), int(prefix)), strict=False))

    @classmethod
    def of_network(cls, network: IPNetwork) -> AddressRange:
        """All addresses of the network."""
        return cls(network.network_address, network.broadcast_address)

    @property
    def size(self) -> int:
        """How many addresses."""
        return int(self.last) - int(self.first) + 1

    def __contains__(self, address: IPAddress) -> bool:
        return address.version == self.first.version and int(self.first) <= int(address) <= int(self.last)

    def __str__(self) -> str:
        return f"{address_text(self.first)}-{address_text(self.last)}"


@dataclass(frozen=True, slots=True, init=False)
class NumberRange:
    """Ports without a protocol from `first` to `last`, both included, in order. Raises InvalidConfig."""

    first: int
    last: int

    def __init__(self, first: int, last: int) -> None:
        low, high = (parse_number("range", number, 0, 65535) for number in (first, last))
        object.__setattr__(self, "first", min(low, high))
        object.__setattr__(self, "last", max(low, high))

    @classmethod
    def parse(cls, text: str) -> NumberRange:
        """`0-1023`; a protocol before it (`tcp:`) says nothing, and is taken as ipset takes it. Raises InvalidConfig."""
        protocol, colon, rest = text.partition(":")
        first, dash, last = (rest if colon and protocol.lower() in _WITH_PORTS else text).partition("-")
        if not dash or not is_number(first) or not is_number(last):
            raise InvalidConfig("range", text, "two ports as in 0-1023 (names of services are not looked up)")
        return cls(int(first), int(last))

    @property
    def size(self) -> int:
        """How many ports."""
        return self.last - self.first + 1

    def __contains__(self, number: int) -> bool:
        return self.first <= number <= self.last

    def __str__(self) -> str:
        return f"{self.first}-{self.last}"


@dataclass(frozen=True, slots=True, init=False)
class Port:
    """A port of a protocol, or with `last` those from `number` to `last`.

    `protocol` is a name as in /etc/protocols, or a number where it has no name here; never 0. Of icmp and icmpv6 (`ipv6-icmp`) `number` is
    `type << 8 | code`, see `Port.icmp`. Protocols without ports have number 0. Raises InvalidConfig.
    """

    number: int
    protocol: str | int
    last: int | None

    def __init__(self, number: int, protocol: str | int = "tcp", last: int | None = None) -> None:
        known = protocol_number(protocol)
        name = PROTOCOL_NAMES.get(known, known)
        parse_number("port", number, 0, 65535)
        if last is not None:
            parse_number("port", last, 0, 65535)
            number, last = min(number, last), max(number, last)
            last = None if last == number else last
        if name not in _WITH_PORTS:
            if last is not None:
                raise InvalidConfig("port", f"{number}-{last}", f"one number, because {name} has no ranges of ports")
            if number and name not in _ICMP:
                raise InvalidConfig("port", number, f"0, because {name} has no ports")
        object.__setattr__(self, "number", number)
        object.__setattr__(self, "protocol", name)
        object.__setattr__(self, "last", last)

    @classmethod
    def icmp(cls, type: int, code: int = 0, *, v6: bool = False) -> Port:  # noqa: A002 - the field's own name
        """A type and code of ICMP, with `v6` of ICMPv6. Raises InvalidConfig."""
        number = parse_number("icmp type", type, 0, 255) << 8 | parse_number("icmp code", code, 0, 255)
        return cls(number, "ipv6-icmp" if v6 else "icmp")

    @property
    def protocol_number(self) -> int:
        """The number of the protocol (IANA)."""
        return protocol_number(self.protocol)

    def __str__(self) -> str:
        if self.protocol in _ICMP:
            name = icmp_name(self.number, v6=self.protocol != "icmp")
            return f"{self.protocol}:{name or f'{self.number >> 8}/{self.number & 0xFF}'}"
        return f"{self.protocol}:{self.number}" + ("" if self.last is None else f"-{self.last}")


def protocol_number(protocol: str | int) -> int:
    """From a name in any case, or a number as text or int. Raises InvalidConfig."""
    if isinstance(protocol, str):
        number = PROTOCOL_NUMBERS.get(protocol.lower())
        if number is not None:
            return number
        protocol = int(protocol) if is_number(protocol) else -1
    if isinstance(protocol, bool) or not isinstance(protocol, int) or not 0 < protocol < 256:
        raise InvalidConfig("protocol", protocol, "a name as in /etc/protocols, or a number from 1 to 255")
    return protocol


@dataclass(frozen=True, slots=True)
class Mark:
    """A mark of packets, 0 to 2^32 - 1. Raises InvalidConfig."""

    value: int

    def __post_init__(self) -> None:
        parse_number("mark", self.value, 0, 2**32 - 1)

    def __int__(self) -> int:
        return self.value

    def __str__(self) -> str:
        return f"0x{self.value:08x}"


@dataclass(frozen=True, slots=True, init=False)
class MAC:
    """A MAC address, as `02:00:00:00:00:01` or six bytes. Not all zeros, which no set takes. Raises InvalidConfig."""

    octets: bytes

    def __init__(self, value: str | bytes | MAC) -> None:
        octets = value.octets if isinstance(value, MAC) else value
        if isinstance(octets, str):
            # Two digits each: ipset takes nothing else, nor any other separator.
            plain = re.fullmatch(r"[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}", octets)
            octets = bytes.fromhex(octets.replace(":", "")) if plain else b""
        if not isinstance(octets, bytes) or len(octets) != 6 or not any(octets):
            raise InvalidConfig("mac", value, "a MAC address as in 02:00:00:00:00:01, other than 00:00:00:00:00:00")
        object.__setattr__(self, "octets", octets)

    def __str__(self) -> str:
        return self.octets.hex(":").upper()


@dataclass(frozen=True, slots=True)
class Interface:
    """The name of a network interface, 1 to 15 bytes; `physdev` means the port of a bridge, whose name may be empty, too. Raises InvalidConfig."""

    name: str
    physdev: bool = False

    def __post_init__(self) -> None:
        if self.physdev and self.name == "":
            return
        check_word("interface", self.name, MAX_INTERFACE)
        if "," in self.name or self.name.startswith("physdev:"):
            raise InvalidConfig("interface", self.name, "a name without a comma; physdev=True says physdev:")

    def __str__(self) -> str:
        return f"physdev:{self.name}" if self.physdev else self.name


def check_word(field: str, value: object, limit: int) -> str:
    """A name that is one word of ipset's grammar. Raises InvalidConfig."""
    good = isinstance(value, str) and value.isprintable() and not re.search(r'[\s"]', value)
    if not isinstance(value, str) or not good or not 0 < len(value.encode()) <= limit:
        raise InvalidConfig(field, value, f"1 to {limit} bytes without white space, control characters and quotes")
    return value


#: A part of an entry. A text is either the name of a set or not yet taken apart; an int is a port without a protocol.
Value = (
    IPv4Address | IPv6Address | IPv4Network | IPv6Network | AddressRange | Port | NumberRange | Mark | MAC | Interface | int | str
)  # fmt: skip

_WRITERS: dict[type, Callable[..., str]] = {
    IPv4Address: str,
    IPv6Address: address_text,
    IPv4Network: _network_text,
    IPv6Network: _network_text,
}


def part_text(part: Value) -> str:
    """The part's text in an entry."""
    return _WRITERS.get(type(part), str)(part)
