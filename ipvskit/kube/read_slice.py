"""A slice of endpoints out of an API object.

Knows: the fields of EndpointSlices. Must not know: Services, the node.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from ipvskit.kube.addresses import is_unicast, place_end, read_address, read_unicasts
from ipvskit.kube.annotations import read_weight
from ipvskit.kube.diagnostics import Code, Diagnostic, Unusable
from ipvskit.kube.objects import (
    MAX_PORT,
    PROTOCOLS,
    Endpoint,
    ReadyEndpoints,
    Slice,
    SlicePort,
    is_ours,
    map_of,
    number_of,
    objects_of,
    text_of,
)
from ipvskit.model.address import Family

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ipvskit.kube.objects import Identity

__all__ = ["SERVICE_NAME", "read_slice"]

SERVICE_NAME = "kubernetes.io/service-name"

_FAMILIES = {"IPv4": Family.IPV4, "IPv6": Family.IPV6}
_NONE: tuple[str, ...] = ()
_UNSTATED: dict[str, bool] = {}


def read_slice(fields: Mapping[str, Any], named: Identity) -> Slice | None:
    """The slice, None where it belongs to no Service, has names for addresses, or is another proxy's. Raises Unusable."""
    metadata = map_of(fields, "metadata")
    labels = map_of(metadata, "labels")
    service = text_of(labels, SERVICE_NAME)
    family = _FAMILIES.get(text_of(fields, "addressType"))
    if not service or family is None or not is_ours(labels):
        return None
    annotations = map_of(metadata, "annotations")
    weight, faults = read_weight(annotations, str(named)) if annotations else (None, [])
    ports = tuple(map(_port, objects_of(fields, "ports")))
    endpoints = _ready_endpoints(fields.get("endpoints"), family) or _endpoints(fields, family, str(named), faults)
    return Slice(named, service, family, tuple(filter(None, ports)), endpoints, weight, tuple(faults))


_shared_port = lru_cache(maxsize=4096)(SlicePort)


def _port(each: Mapping[str, Any]) -> SlicePort | None:
    name, protocol, port = each.get("name"), each.get("protocol"), each.get("port")
    if name is None or not port:
        return None
    if type(name) is type(protocol) is str and protocol in PROTOCOLS and type(port) is int and 0 < port <= MAX_PORT:
        return _shared_port(name, PROTOCOLS[protocol], port)
    protocol = text_of(each, "protocol") or "TCP"
    if protocol not in PROTOCOLS:
        raise Unusable("ports.protocol", f"{protocol!r} is none of " + ", ".join(PROTOCOLS))
    return SlicePort(text_of(each, "name"), PROTOCOLS[protocol], number_of(each, "port"))


def _ready_endpoints(found: object, family: Family) -> ReadyEndpoints | None:
    """The endpoints, where there are some and all are as those of most slices; None where each has to be looked at by itself."""
    if type(found) is not list:
        return None
    texts: list[str] = []
    nodes: list[str | None] = []
    for each in found:
        if type(each) is not dict:
            return None
        get = each.get
        conditions, addresses, node = get("conditions", _UNSTATED), get("addresses"), get("nodeName")
        # Written out: this is asked of every endpoint of a cluster.
        if (
            type(addresses) is not list
            or not addresses
            or type(conditions) is not dict
            or conditions.get("ready", True) is not True
            or conditions.get("serving", True) is not True
            or conditions.get("terminating", False) is not False
            or get("hints")
            or (type(node) is not str and node is not None)
        ):
            return None
        texts.append(addresses[0])
        nodes.append(node or None)
    read = read_unicasts(texts, family) if texts else None
    if read is None or len(set(read[0])) < len(texts):
        return None
    if len(texts) == 1:
        return ReadyEndpoints(tuple(read[0]), tuple(nodes), tuple(read[1]))
    end = place_end(family)
    ordered = sorted(zip([text + end for text in read[0]], *read, nodes, strict=True))
    _, ordered_texts, values, ordered_nodes = zip(*ordered, strict=True)
    return ReadyEndpoints(ordered_texts, ordered_nodes, values)


def _endpoints(fields: Mapping[str, Any], family: Family, about: str, faults: list[Diagnostic]) -> tuple[Endpoint, ...]:
    endpoints = []
    for number, each in enumerate(objects_of(fields, "endpoints")):
        try:
            endpoint = _endpoint(each, family)
        except Unusable as error:
            subject = f"endpoints[{number}].{error.subject}"
            faults.append(Diagnostic(Code.INVALID_ENDPOINT, about, subject, error.message))
            continue
        if endpoint is not None:
            endpoints.append(endpoint)
    return tuple(endpoints)


def _endpoint(each: Mapping[str, Any], family: Family) -> Endpoint | None:
    texts = each.get("addresses")
    if not texts:
        return None
    if not isinstance(texts, list | tuple):
        raise Unusable("addresses", "not a list")
    address = read_address(texts[0])
    if address is None or not is_unicast(address.value, family):
        raise Unusable("addresses[0]", f"{texts[0]!r} is no {family} address that a packet could be sent on to")
    hints = each.get("hints")
    zones = nodes = _NONE
    if hints:
        zones, nodes = _names(map_of(each, "hints"), "forZones"), _names(map_of(each, "hints"), "forNodes")
    ready, serving, terminating = _conditions(map_of(each, "conditions"))
    node = text_of(each, "nodeName") or None
    return Endpoint(address, node, ready, serving, terminating, zones, nodes)


def _conditions(found: Mapping[str, Any]) -> tuple[bool, bool, bool]:
    """Ready, serving and terminating; what is not known is taken for good."""
    ready, serving, terminating = found.get("ready", True), found.get("serving", True), found.get("terminating", False)
    if type(ready) is type(serving) is type(terminating) is bool:
        return ready, serving, terminating
    values = (ready, serving, terminating)
    if any(value is not None and type(value) is not bool for value in values):
        raise Unusable("conditions", f"{dict(found)!r} are not all true or false")
    return ready is not False, serving is not False, terminating is True


def _names(hints: Mapping[str, Any], field: str) -> tuple[str, ...]:
    return tuple(text_of(each, "name") for each in objects_of(hints, field))
