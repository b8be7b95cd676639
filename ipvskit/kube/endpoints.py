"""Which endpoints of a service port get its traffic.

Knows: conditions, hints and traffic policies. Must not know: virtual services, sets.
"""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

from ipvskit.kube.addresses import endpoint_place

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ipvskit.kube.addresses import Address
    from ipvskit.kube.objects import Endpoint, Slice

__all__ = ["Backend", "Selection", "merge", "narrowed", "select"]


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


class Selection(NamedTuple):
    """The endpoints for traffic of the cluster policy, and for that of the local policy."""

    cluster: Sequence[Backend]
    local: Sequence[Backend]


def merge(slices: Iterable[Slice], node: str) -> dict[tuple[str, str], list[Backend]]:
    """The endpoints of each port, by its name and protocol, sorted by text.

    The same address and port in several slices counts once: that on this node goes first, then the ready one, then the serving and terminating one,
    then that of the slice whose name comes first. Its weight is what the first slice says that has it and says one.
    """
    found: dict[tuple[str, str], dict[str, Backend]] = {}
    for each in sorted(slices, key=attrgetter("identity")):
        for name, protocol, port in each.ports:
            known = found.setdefault((name, protocol), {})
            for endpoint in each.endpoints:
                backend = _backend(endpoint, port, node, each.weight)
                place = backend.place
                known[place] = _better(known[place], backend) if place in known else backend
    return {key: [known[place] for place in sorted(known)] for key, known in found.items()}


def _backend(endpoint: Endpoint, port: int, node: str, weight: int | None) -> Backend:
    address, where, ready, serving, terminating, zones, nodes = endpoint
    leaving = serving and terminating
    return Backend(endpoint_place(address, port), address, port, where == node, ready, leaving, zones, nodes, weight)


def _better(first: Backend, second: Backend) -> Backend:
    better = second if _standing(second) > _standing(first) else first
    weight = second.weight if first.weight is None else first.weight
    return better if better.weight == weight else better._replace(weight=weight)


def _standing(backend: Backend) -> tuple[bool, bool, bool]:
    return backend.local, backend.ready, backend.leaving


def select(
    backends: Sequence[Backend], *, uses_cluster: bool, uses_local: bool, node: str, zone: str | None
) -> Selection:
    """What each policy may use. A list that no policy needs is empty."""
    cluster: Sequence[Backend] = ()
    local: Sequence[Backend] = ()
    if uses_cluster:
        ready = [each for each in backends if each.ready]
        cluster = narrowed(ready, node, zone) or [each for each in backends if each.leaving]
    if uses_local:
        here = [each for each in backends if each.local]
        local = [each for each in here if each.ready] or [each for each in here if each.leaving]
    return Selection(cluster, local)


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
