"""What identifies a virtual service, and its text form.

Knows: protocol, address and port, or a firewall mark. Must not know: the service's options, the kernel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ipvskit.errors import InvalidConfig
from ipvskit.model.address import (
    Family,
    IPAddress,
    endpoint_text,
    family_of,
    parse_address,
    parse_digits,
    parse_endpoint,
    parse_number,
)
from ipvskit.model.slots import draft_of, setter

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["PROTOCOLS", "ServiceKey"]

#: The protocols that IPVS forwards (the kernel stores any number), by their numbers in /etc/protocols.
PROTOCOLS = {"tcp": 6, "udp": 17, "sctp": 132}

_SHAPE = 'ADDRESS:PORT/PROTOCOL such as "192.0.2.10:80/tcp" or "[2001:db8::1]:53/udp", or "fwmark:7/v4", "fwmark:7/v6"'
_VERSIONS = {"v4": Family.IPV4, "v6": Family.IPV6}


@dataclass(frozen=True, slots=True, init=False, order=False)
class ServiceKey:
    """Identity of a virtual service: protocol, address and port, or firewall mark and family.

    Two services with the same key cannot exist in a network namespace. `port` 0 means every port. `protocol` and `address` are None for a
    firewall mark; `fwmark` is 0 for the others.
    """

    family: Family
    protocol: str | None
    address: IPAddress | None
    port: int
    fwmark: int

    def __init__(
        self,
        family: Family | str | None = None,
        protocol: str | None = None,
        address: str | IPAddress | None = None,
        port: int = 0,
        fwmark: int = 0,
    ) -> None:
        if address is None:
            if protocol is not None or port != 0:
                raise InvalidConfig("fwmark", fwmark, "a firewall mark goes without address, port and protocol")
            parse_number("fwmark", fwmark, 1, 2**32 - 1)
            known = _family(family)
        else:
            if fwmark != 0:
                raise InvalidConfig("fwmark", fwmark, "a service has either an address or a firewall mark")
            address = parse_address("address", address)
            known = family_of(address)
            if family is not None and _family(family) is not known:
                raise InvalidConfig("family", family, f"{known.value} as the address {address} is")
            if protocol not in PROTOCOLS:
                raise InvalidConfig("protocol", protocol, "one of " + ", ".join(PROTOCOLS))
            parse_number("port", port, 0, 65535)
        _fill(self, known, protocol, address, port, fwmark)

    @classmethod
    def parse(cls, text: str | ServiceKey) -> ServiceKey:
        """From its text form; a key is handed back as it is. Raises InvalidConfig."""
        if isinstance(text, ServiceKey):
            return text
        if not isinstance(text, str):
            raise InvalidConfig("service", text, _SHAPE)
        place, slash, suffix = text.partition("/")
        if place.startswith("fwmark:"):
            if slash and suffix not in _VERSIONS:
                raise InvalidConfig("service", text, _SHAPE)
            mark = parse_digits("fwmark", place.removeprefix("fwmark:"), 1, 2**32 - 1)
            return cls(_VERSIONS.get(suffix, Family.IPV4), fwmark=mark)
        if not slash:
            raise InvalidConfig("service", text, _SHAPE)
        address, port = parse_endpoint("service", place)
        if port is None:
            raise InvalidConfig("service", text, _SHAPE)
        return cls(None, suffix, address, port)

    def __hash__(self) -> int:
        # Addresses hash their text; their numbers do as well, and cost a quarter.
        address = self.address
        return hash((None if address is None else int(address), self.port, self.protocol, self.fwmark))

    def __str__(self) -> str:
        if self.address is None:
            return f"fwmark:{self.fwmark}/{'v4' if self.family is Family.IPV4 else 'v6'}"
        return f"{endpoint_text(self.address, self.port)}/{self.protocol}"


def _family(value: Family | str | None) -> Family:
    try:
        return Family(value or "")
    except ValueError:
        raise InvalidConfig("family", value, '"ipv4" or "ipv6"') from None


_set_family = setter(ServiceKey, "family")
_set_protocol = setter(ServiceKey, "protocol")
_set_address = setter(ServiceKey, "address")
_set_port = setter(ServiceKey, "port")
_set_fwmark = setter(ServiceKey, "fwmark")


def _fill(
    key: ServiceKey, family: Family, protocol: str | None, address: IPAddress | None, port: int, fwmark: int
) -> None:
    _set_family(key, family)
    _set_protocol(key, protocol)
    _set_address(key, address)
    _set_port(key, port)
    _set_fwmark(key, fwmark)


_Draft = draft_of(ServiceKey)


def stored_key(family: Family, protocol: str | None, address: IPAddress | None, port: int, fwmark: int) -> ServiceKey:
    """A key as the kernel has it, not checked: another program may have made what we would refuse."""
    made = _Draft()
    made.family = family
    made.protocol = protocol
    made.address = address
    made.port = port
    made.fwmark = fwmark
    made.__class__ = ServiceKey
    done: ServiceKey = made
    return done


def stored_keys(
    families: Sequence[Family],
    protocols: Iterable[str | None],
    addresses: Iterable[IPAddress | None],
    ports: Iterable[int],
    fwmarks: Iterable[int],
) -> list[ServiceKey]:
    """Many of them, from columns as long as that of families, or longer."""
    rows = zip(families, protocols, addresses, ports, fwmarks, strict=False)
    return [stored_key(family, protocol, address, port, mark) for family, protocol, address, port, mark in rows]
