"""A Service out of an API object.

Knows: the fields of Services. Must not know: endpoints, the node.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from ipvskit.kube.addresses import Address, read_address, read_network, read_plain, unusable
from ipvskit.kube.annotations import NO_WISHES, read_wishes
from ipvskit.kube.diagnostics import Code, Diagnostic, Unusable
from ipvskit.kube.objects import (
    MAX_PORT,
    NO_AGE,
    PROTOCOLS,
    Service,
    ServicePort,
    is_ours,
    map_of,
    number_of,
    objects_of,
    text_of,
    texts_of,
)
from ipvskit.model.address import Family

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ipvskit.kube.addresses import Network
    from ipvskit.kube.objects import Identity

__all__ = ["read_service"]

#: What the API gives a Service with affinity that does not say how long (seconds), and the most that it takes.
DEFAULT_AFFINITY = 10800
MAX_AFFINITY = 86400
#: Labels of DNS: names of Services, their ports and namespaces.
MAX_LABEL = 63

_FAMILIES = {"IPv4": Family.IPV4, "IPv6": Family.IPV6}
_LOCAL = "Local"

#: What Services mostly have, or have not.
_RARE = frozenset({"externalIPs", "loadBalancerSourceRanges", "healthCheckNodePort"})
_PLAIN_TYPES = ("ClusterIP", "NodePort", "LoadBalancer")
_CLUSTER = (None, "Cluster")
_INTERNAL = (*_CLUSTER, _LOCAL)
_NO_AFFINITY = (None, "None")
_NO_BALANCER: dict[str, Any] = {"loadBalancer": {}}
_ONE_FAMILY = [[name] for name in _FAMILIES]
_PORT_FIELDS = ("name", "protocol", "port", "nodePort")
_shared_port = lru_cache(maxsize=4096)(ServicePort)


def read_service(fields: Mapping[str, Any], named: Identity, default_scheduler: str) -> Service | None:
    """The Service, None where it has no virtual addresses or is another proxy's. Raises Unusable."""
    return _plain_service(fields, named, default_scheduler) or _careful_service(fields, named, default_scheduler)


def _careful_service(fields: Mapping[str, Any], named: Identity, default_scheduler: str) -> Service | None:
    metadata, spec = map_of(fields, "metadata"), map_of(fields, "spec")
    kind = text_of(spec, "type") or "ClusterIP"
    if not is_ours(map_of(metadata, "labels")) or kind == "ExternalName" or text_of(spec, "clusterIP") in {"", "None"}:
        return None
    faults: list[Diagnostic] = []
    externals = texts_of(spec, "externalIPs")
    policy = text_of(spec, "externalTrafficPolicy") == _LOCAL
    ranges = texts_of(spec, "loadBalancerSourceRanges")
    wishes, odd = read_wishes(map_of(metadata, "annotations"), str(named), default_scheduler)
    faults += odd
    _check_names(named, spec, faults)
    return Service(
        identity=named,
        created=text_of(metadata, "creationTimestamp") or NO_AGE,
        type=kind,
        ports=_ports(spec, str(named), faults),
        cluster_ips=_cluster_ips(spec),
        external_ips=_external_ips(externals, str(named), faults),
        ingress=_ingress(fields, str(named), faults),
        source_ranges=_ranges(ranges, str(named), faults),
        stated_ranges=bool(ranges),
        internal_local=text_of(spec, "internalTrafficPolicy") == _LOCAL,
        external_local=policy and (kind in {"LoadBalancer", "NodePort"} or (kind == "ClusterIP" and bool(externals))),
        affinity=_affinity(spec),
        health_check_port=number_of(spec, "healthCheckNodePort") if kind == "LoadBalancer" and policy else 0,
        wishes=wishes,
        faults=tuple(faults),
    )


def _plain_service(fields: Mapping[str, Any], named: Identity, default_scheduler: str) -> Service | None:
    """The Service where it has what most have and nothing else; None where it has to be looked at more closely."""
    metadata, spec, status = fields.get("metadata"), fields.get("spec"), fields.get("status")
    if type(metadata) is not dict or type(spec) is not dict or not _RARE.isdisjoint(spec):
        return None
    labels, annotations, created = (metadata.get(name) for name in ("labels", "annotations", "creationTimestamp"))
    kind, inside = spec.get("type"), spec.get("internalTrafficPolicy")
    if (
        (labels is not None and (type(labels) is not dict or not is_ours(labels)))
        or (annotations is not None and type(annotations) is not dict)
        or type(created) is not str
        or not created
        or kind not in _PLAIN_TYPES
        or inside not in _INTERNAL
        or spec.get("externalTrafficPolicy") not in _CLUSTER
        or spec.get("sessionAffinity") not in _NO_AFFINITY
        or (status is not None and status != _NO_BALANCER)
        or max(len(named.namespace), len(named.name)) > MAX_LABEL
    ):
        return None
    found, ports = _plain_cluster_ip(spec), _plain_ports(spec.get("ports"))
    if found is None or ports is None:
        return None
    wishes, odd = read_wishes(annotations, str(named), default_scheduler) if annotations else (NO_WISHES, ())
    return Service(
        named,
        created,
        kind,
        ports,
        found,
        external_ips=(),
        ingress=(),
        source_ranges=(),
        stated_ranges=False,
        internal_local=inside == _LOCAL,
        external_local=False,
        affinity=None,
        health_check_port=0,
        wishes=wishes,
        faults=tuple(odd),
    )


def _plain_cluster_ip(spec: dict[str, Any]) -> dict[Family, Address] | None:
    """The cluster IP of a Service with one."""
    text, texts, families = spec.get("clusterIP"), spec.get("clusterIPs"), spec.get("ipFamilies")
    if type(text) is not str or texts != [text] or families not in _ONE_FAMILY:
        return None
    family = _FAMILIES[families[0]]
    address = read_plain(text, family)
    return None if address is None else {family: address}


def _plain_ports(found: object) -> tuple[ServicePort, ...] | None:
    if type(found) is not list:
        return None
    ports = []
    for each in found:
        if type(each) is not dict:
            return None
        name, protocol, port, node_port = map(each.get, _PORT_FIELDS)
        if (
            (type(name) is not str and name is not None)
            or type(protocol) is not str
            or protocol not in PROTOCOLS
            or type(port) is not int
            or not 0 < port <= MAX_PORT
            or (node_port is not None and (type(node_port) is not int or not 0 <= node_port <= MAX_PORT))
            or (name and len(name) > MAX_LABEL)
        ):
            return None
        make = ServicePort if node_port else _shared_port
        ports.append(make(name or "", PROTOCOLS[protocol], port, node_port or 0))
    return tuple(ports)


def _check_names(named: Identity, spec: Mapping[str, Any], faults: list[Diagnostic]) -> None:
    ports = (("spec.ports.name", port.get("name") or "") for port in objects_of(spec, "ports"))
    for subject, name in (("metadata.namespace", named.namespace), ("metadata.name", named.name), *ports):
        if isinstance(name, str) and len(name) > MAX_LABEL:
            told = f"{len(name)} characters, and the API admits {MAX_LABEL}"
            faults.append(Diagnostic(Code.NAME_TOO_LONG, str(named), subject, told))


def _ports(spec: Mapping[str, Any], about: str, faults: list[Diagnostic]) -> tuple[ServicePort, ...]:
    found = []
    for number, each in enumerate(objects_of(spec, "ports")):
        try:
            found.append(_port(each))
        except Unusable as error:
            subject = f"spec.ports[{number}].{error.subject}"
            faults.append(Diagnostic(Code.INVALID_OBJECT, about, subject, error.message))
    return tuple(found)


def _port(each: Mapping[str, Any]) -> ServicePort:
    protocol = text_of(each, "protocol") or "TCP"
    if protocol not in PROTOCOLS:
        raise Unusable("protocol", f"{protocol!r} is none of " + ", ".join(PROTOCOLS))
    port = number_of(each, "port")
    if not port:
        raise Unusable("port", "there is none")
    return ServicePort(text_of(each, "name"), PROTOCOLS[protocol], port, number_of(each, "nodePort"))


def _cluster_ips(spec: Mapping[str, Any]) -> dict[Family, Address]:
    """By position where there are families, and otherwise by what the one address is."""
    names = texts_of(spec, "ipFamilies")
    texts = texts_of(spec, "clusterIPs") or [text_of(spec, "clusterIP")]
    if not names:
        address = _cluster_ip(text_of(spec, "clusterIP"))
        return {address.family: address}
    found = {}
    for name, text in zip(names, texts, strict=False):
        address = _cluster_ip(text)
        if _FAMILIES.get(name) is not address.family:
            raise Unusable("spec.clusterIPs", f"{text} is not of the family {name}")
        found[address.family] = address
    return found


def _cluster_ip(text: str) -> Address:
    address = read_address(text)
    if address is None:
        raise Unusable("spec.clusterIP", f"{text!r} is no address")
    word = unusable(address.value)
    if word is not None:
        raise Unusable("spec.clusterIP", f"{text} is {word}")
    return address


def _external_ips(texts: Iterable[str], about: str, faults: list[Diagnostic]) -> tuple[Address, ...]:
    found = [_usable(text, Code.REFUSED_EXTERNAL_IP, about, faults) for text in texts]
    return tuple(dict.fromkeys(address for address in found if address is not None))


def _ingress(fields: Mapping[str, Any], about: str, faults: list[Diagnostic]) -> tuple[Address, ...]:
    """Addresses that are handled on the node: not host names, nor those whose balancer delivers to the node's own address."""
    status = map_of(map_of(fields, "status"), "loadBalancer")
    found = []
    for each in objects_of(status, "ingress"):
        text = text_of(each, "ip")
        if text and text_of(each, "ipMode") in {"", "VIP"}:
            found.append(_usable(text, Code.REFUSED_INGRESS_IP, about, faults))
    return tuple(dict.fromkeys(address for address in found if address is not None))


def _usable(text: str, code: Code, about: str, faults: list[Diagnostic]) -> Address | None:
    address = read_address(text)
    word = "no address" if address is None else unusable(address.value)
    if word is None:
        return address
    faults.append(Diagnostic(code, about, text, f"it is {word}, and nothing is made for it"))
    return None


def _ranges(texts: Iterable[str], about: str, faults: list[Diagnostic]) -> tuple[Network, ...]:
    found = []
    for text in texts:
        network = read_network(text.strip())
        if network is None:
            faults.append(Diagnostic(Code.IGNORED_SOURCE_RANGE, about, text, "it is no network"))
        else:
            found.append(network)
    return tuple(dict.fromkeys(found))


def _affinity(spec: Mapping[str, Any]) -> int | None:
    if text_of(spec, "sessionAffinity") != "ClientIP":
        return None
    stated = map_of(map_of(spec, "sessionAffinityConfig"), "clientIP")
    return number_of(stated, "timeoutSeconds", 1, MAX_AFFINITY) or DEFAULT_AFFINITY
