"""A flow that the kernel tracks.

Knows: directions, addresses and ports. Must not know: the kernel, which flows are stale.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ipvskit.errors import InvalidConfig
from ipvskit.model.address import (
    Family,
    IPAddress,
    endpoint_text,
    family_of,
    parse_address,
    parse_endpoint,
    parse_number,
)
from ipvskit.model.key import PROTOCOLS
from ipvskit.model.slots import make_all, setter

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["Endpoint", "EndpointLike", "Flow", "parse_flow_endpoint", "parse_protocol", "stored_flows"]

#: An address and a port.
Endpoint = tuple[IPAddress, int]
#: The same as it is given: ("192.0.2.10", 53), "192.0.2.10:53", "[2001:db8::10]:53".
EndpointLike = tuple[str | IPAddress, int] | str

_PORTS = 65535


def parse_flow_endpoint(name: str, value: EndpointLike) -> Endpoint:
    """An address with a port, from a pair or from text. Raises InvalidConfig."""
    expected = 'an address and a port: ("192.0.2.10", 53) or "192.0.2.10:53"'
    if isinstance(value, str):
        address, port = parse_endpoint(name, value)
        if port is None:
            raise InvalidConfig(name, value, expected)
        return address, port
    if not isinstance(value, tuple) or len(value) != 2:
        raise InvalidConfig(name, value, expected)
    return parse_address(name, value[0]), parse_number(f"{name} port", value[1], 0, _PORTS)


def parse_protocol(value: object) -> str:
    """A protocol with ports. Raises InvalidConfig."""
    if not isinstance(value, str) or value not in PROTOCOLS:
        raise InvalidConfig("protocol", value, "one of " + ", ".join(PROTOCOLS))
    return value


@dataclass(frozen=True, slots=True, init=False)
class Flow:
    """A flow that the kernel tracks: who asked whom, and between whom the answers go.

    `source` and `destination` are those of the first packet. `reply_source` and `reply_destination` are those of the answers, and differ from
    `destination` and `source` where addresses are translated: the reply's source is the endpoint that a service chose. Each is an address and a port,
    all of one family; a reply that is not given is that of a flow without translation. `protocol` is "tcp", "udp" or "sctp". `zone` is the tracking
    zone, `reply_zone` that of the answers, where it is another one. `id` is the kernel's number for the flow, 0 where it is not known. `mark` and
    `status` (the bits IPS_* of the kernel) are as they were when the flow was listed, and do not count when flows are compared.
    Raises InvalidConfig.
    """

    protocol: str
    source: Endpoint
    destination: Endpoint
    reply_source: Endpoint
    reply_destination: Endpoint
    zone: int
    reply_zone: int
    id: int
    mark: int = field(compare=False)
    status: int = field(compare=False)

    def __init__(
        self,
        protocol: str,
        source: EndpointLike,
        destination: EndpointLike,
        reply_source: EndpointLike | None = None,
        reply_destination: EndpointLike | None = None,
        *,
        zone: int = 0,
        reply_zone: int | None = None,
        id: int = 0,  # noqa: A002 - the field's name
        mark: int = 0,
        status: int = 0,
    ) -> None:
        given = {
            "source": source,
            "destination": destination,
            "reply_source": destination if reply_source is None else reply_source,
            "reply_destination": source if reply_destination is None else reply_destination,
        }
        places = {name: parse_flow_endpoint(name, value) for name, value in given.items()}
        for name, (address, _) in places.items():
            if address.version != places["source"][0].version:
                raise InvalidConfig(name, str(address), "an address of the same family as the source")
        numbers = {"zone": zone, "reply_zone": zone if reply_zone is None else reply_zone}
        numbers = {name: parse_number(name, value, 0, 0xFFFF) for name, value in numbers.items()}
        wide = {"id": id, "mark": mark, "status": status}
        numbers |= {name: parse_number(name, value, 0, 0xFFFFFFFF) for name, value in wide.items()}
        _SETTERS["protocol"](self, parse_protocol(protocol))
        for name, value in (places | numbers).items():
            _SETTERS[name](self, value)

    @property
    def family(self) -> Family:
        """The family of all its addresses."""
        return family_of(self.source[0])

    def __str__(self) -> str:
        there = f"{endpoint_text(*self.source)} -> {endpoint_text(*self.destination)}"
        back = f"{endpoint_text(*self.reply_source)} -> {endpoint_text(*self.reply_destination)}"
        return f"{self.protocol} {there}, answers {back}" + (f", zone {self.zone}" if self.zone else "")


_FIELDS = (
    *("protocol", "source", "destination", "reply_source", "reply_destination", "zone", "reply_zone", "id", "mark"),
    "status",
)
_SETTERS = {name: setter(Flow, name) for name in _FIELDS}


def stored_flows(count: int, columns: Sequence[Iterable[object]]) -> list[Flow]:
    """So many flows as the kernel lists them, from the columns of all fields in their order, not checked."""
    return make_all(Flow, count, list(zip(_SETTERS.values(), columns, strict=True)))
