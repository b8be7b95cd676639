"""Which flows are stale: those to a service that are answered by none of its endpoints.

Knows: packed records, by their keys. Must not know: netlink, how flows are deleted.

Tables have hundreds of thousands of flows and few of them are stale, so no value is made of any: a flow is two keys and a look into a dictionary.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from ipvskit.conntrack.records import (
    AF_INET,
    AF_INET6,
    CHOICE,
    FLOW,
    address_key,
    destination_key,
    port_key,
    source_key,
)
from ipvskit.errors import InvalidConfig
from ipvskit.model.address import parse_address, parse_number
from ipvskit.model.flow import parse_flow_endpoint

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from ipvskit.model.address import IPAddress
    from ipvskit.model.flow import Endpoint, EndpointLike

__all__ = ["Rules", "rules_of"]

_Place = TypeVar("_Place", bound="EndpointLike")


@dataclass(slots=True)
class Rules:
    """Whose answers are right, in one family: sources by destination, and by port. Ports count for the addresses of `nodes`, for all with None."""

    destinations: dict[bytes, frozenset[bytes]] = field(default_factory=dict)
    ports: dict[bytes, frozenset[bytes]] = field(default_factory=dict)
    nodes: frozenset[bytes] | None = None

    @property
    def are_empty(self) -> bool:
        """Whether no flow can be stale."""
        return not self.destinations and (not self.ports or self.nodes == frozenset())

    def stale(self, data: bytes) -> bytes:
        """Those of the packed records that are stale."""
        rules, by_port = self.destinations.get, self._by_port if self.ports else None
        found = []
        for at, (destination, source) in enumerate(CHOICE.iter_unpack(data)):
            endpoints = rules(destination)
            if endpoints is None:
                if by_port is None:
                    continue
                endpoints = by_port(destination)
            if endpoints is not None and source not in endpoints:
                found.append(at)
        size = FLOW.size
        return b"".join([data[at * size : (at + 1) * size] for at in found])

    def _by_port(self, destination: bytes) -> frozenset[bytes] | None:
        endpoints = self.ports.get(destination[:2])
        if endpoints is None or (self.nodes is not None and destination[2:] not in self.nodes):
            return None
        return endpoints


def rules_of(
    destinations: Mapping[_Place, Collection[EndpointLike]],
    ports: Mapping[int, Collection[EndpointLike]],
    node_addresses: Collection[str | IPAddress] | None,
) -> dict[int, Rules]:
    """The rules by family (AF_INET, AF_INET6). Raises InvalidConfig."""
    rules = {AF_INET: Rules(), AF_INET6: Rules()}
    for destination, endpoints in destinations.items():
        place = parse_flow_endpoint("destinations", destination)
        family = _family(place[0])
        # Nothing of the other family ever answers.
        sources, held = _sources("destinations", endpoints)[family], rules[family].destinations
        held[destination_key(place)] = held.get(destination_key(place), frozenset()) | sources
    for port, endpoints in ports.items():
        key = port_key(parse_number("ports", port, 1, 65535))
        by_family = _sources("ports", endpoints)
        for family, one in rules.items():
            one.ports[key] = by_family[family]
    if node_addresses is not None:
        _check_several("node_addresses", node_addresses)
        nodes = [parse_address("node_addresses", one) for one in node_addresses]
        for family, one in rules.items():
            one.nodes = frozenset(address_key(address) for address in nodes if _family(address) == family)
    return rules


def _sources(name: str, endpoints: Collection[EndpointLike]) -> dict[int, frozenset[bytes]]:
    found: dict[int, list[Endpoint]] = {AF_INET: [], AF_INET6: []}
    _check_several(name, endpoints)
    for endpoint in endpoints:
        parsed = parse_flow_endpoint(name, endpoint)
        found[_family(parsed[0])].append(parsed)
    return {family: frozenset(map(source_key, some)) for family, some in found.items()}


def _check_several(name: str, values: object) -> None:
    if isinstance(values, str | bytes):
        raise InvalidConfig(name, values, "several, not one text")


def _family(address: IPAddress) -> int:
    return AF_INET if address.version == 4 else AF_INET6
