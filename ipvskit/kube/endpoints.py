"""Which endpoints of a service port get its traffic.

Knows: conditions, hints and traffic policies. Must not know: virtual services, sets.
"""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

from ipvskit.kube.addresses import endpoint_place
from ipvskit.kube.objects import ReadyEndpoints

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ipvskit.kube.addresses import Address
    from ipvskit.kube.objects import Endpoint, Slice
    from ipvskit.model.address import IPAddress

__all__ = [
    "NOBODY",
    "NO_TARGETS",
    "Backend",
    "Backends",
    "ReadyBackends",
    "SomeBackends",
    "Targets",
    "merge",
    "narrowed",
]


class Targets(NamedTuple):
    """Where packets may go, in columns: what a slice says of a weight is None where it says nothing."""

    texts: Sequence[str]
    addresses: Sequence[IPAddress]
    ports: Sequence[int]
    weights: Sequence[int | None]

    def __bool__(self) -> bool:
        return bool(self.texts)


NO_TARGETS = Targets((), (), (), ())


class Backend(NamedTuple):
    """An endpoint of a service port: `place` identifies it, `local` says whether it is on this node, `weight` is what a slice says."""

    place: str
    address: Address
    port: int
    local: bool
    ready: bool
    leaving: bool
    zones: tuple[str, ...]
    nodes: tuple[str, ...]
    weight: int | None


class SomeBackends(NamedTuple):
    """The endpoints of a service port, each looked at by itself. They are in the order of their places."""

    each: Sequence[Backend]

    @property
    def usable(self) -> bool:
        """Whether any of them takes packets."""
        return any(one.ready or one.leaving for one in self.each)

    @property
    def here(self) -> list[tuple[str, int]]:
        """Addresses and ports of those on this node."""
        return [(one.address.text, one.port) for one in self.each if one.local]

    @property
    def ready_here(self) -> set[str]:
        """Addresses of those of them that are ready."""
        return {one.address.text for one in self.each if one.local and one.ready}

    def cluster(self, node: str, zone: str | None) -> Targets:
        """For traffic of the cluster policy."""
        ready = [one for one in self.each if one.ready]
        return _targets(narrowed(ready, node, zone) or [one for one in self.each if one.leaving])

    def local(self) -> Targets:
        """For traffic of the local policy."""
        mine = [one for one in self.each if one.local]
        return _targets([one for one in mine if one.ready] or [one for one in mine if one.leaving])


class ReadyBackends(NamedTuple):
    """The same where they are as those of most Services: ready, without hints, of one port and weight."""

    endpoints: ReadyEndpoints
    port: int
    weight: int | None
    node: str

    @property
    def usable(self) -> bool:
        """Whether any of them takes packets."""
        return True

    @property
    def here(self) -> Sequence[tuple[str, int]]:
        """Addresses and ports of those on this node."""
        if self.node not in self.endpoints.nodes:
            return ()
        return [(self.endpoints.texts[number], self.port) for number in self._numbers()]

    @property
    def ready_here(self) -> set[str]:
        """Addresses of those of them that are ready."""
        return {text for text, _ in self.here}

    def cluster(self, node: str, zone: str | None) -> Targets:
        """For traffic of the cluster policy."""
        texts, count = self.endpoints.texts, len(self.endpoints.texts)
        return Targets(texts, self.endpoints.addresses, (self.port,) * count, (self.weight,) * count)

    def local(self) -> Targets:
        """For traffic of the local policy."""
        texts, addresses, mine = self.endpoints.texts, self.endpoints.addresses, self._numbers()
        return Targets(
            [texts[number] for number in mine],
            [addresses[number] for number in mine],
            (self.port,) * len(mine),
            (self.weight,) * len(mine),
        )

    def _numbers(self) -> list[int]:
        return [number for number, node in enumerate(self.endpoints.nodes) if node == self.node]


Backends = SomeBackends | ReadyBackends
NOBODY = SomeBackends(())


def merge(slices: Sequence[Slice], node: str) -> Mapping[tuple[str, str], Backends]:
    """The endpoints of each port, by its name and protocol, sorted by text.

    The same address and port in several slices counts once: that on this node goes first, then the ready one, then the serving and terminating one,
    then that of the slice whose name comes first. Its weight is what the first slice says that has it and says one.
    """
    if len(slices) == 1:
        (only,) = slices
        endpoints, ports = only.endpoints, only.ports
        if type(endpoints) is ReadyEndpoints:
            made = {port[:2]: ReadyBackends(endpoints, port[2], only.weight, node) for port in ports}
            if len(made) == len(ports):
                return made
    return _merged(slices, node)


def _merged(slices: Sequence[Slice], node: str) -> dict[tuple[str, str], Backends]:
    found: dict[tuple[str, str], dict[str, Backend]] = {}
    for each in sorted(slices, key=attrgetter("identity")):
        for name, protocol, port in each.ports:
            known = found.setdefault((name, protocol), {})
            for endpoint in each.endpoints:
                backend = _backend(endpoint, port, node, each.weight)
                place = backend.place
                known[place] = _better(known[place], backend) if place in known else backend
    return {key: SomeBackends([known[place] for place in sorted(known)]) for key, known in found.items()}


def _targets(chosen: Sequence[Backend]) -> Targets:
    return Targets(
        [one.address.text for one in chosen],
        [one.address.value for one in chosen],
        [one.port for one in chosen],
        [one.weight for one in chosen],
    )


def _backend(endpoint: Endpoint, port: int, node: str, weight: int | None) -> Backend:
    address, where, ready, serving, terminating, zones, nodes = endpoint
    leaving = serving and terminating
    return Backend(
        endpoint_place(address.text, port, address.family),
        address,
        port,
        where == node,
        ready,
        leaving,
        zones,
        nodes,
        weight,
    )


def _better(first: Backend, second: Backend) -> Backend:
    better = second if _standing(second) > _standing(first) else first
    weight = second.weight if first.weight is None else first.weight
    return better if better.weight == weight else better._replace(weight=weight)


def _standing(backend: Backend) -> tuple[bool, bool, bool]:
    return backend.local, backend.ready, backend.leaving


def narrowed(ready: Sequence[Backend], node: str, zone: str | None) -> Sequence[Backend]:
    """Those hinted to this node, if all are hinted to nodes and any to this one; else the same with its zone; else all."""
    if ready and all(each.nodes for each in ready):
        near = [each for each in ready if node in each.nodes]
        if near:
            return near
    if ready and zone and all(each.zones for each in ready):
        near = [each for each in ready if zone in each.zones]
        if near:
            return near
    return ready
