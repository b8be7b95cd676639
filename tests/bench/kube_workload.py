"""The objects of a large cluster, as the API serves them.

Knows: sizes and kinds. Must not know: what is measured, what becomes of them.
"""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Any

from ipvskit import kube

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["CONFIG", "ENDPOINTS", "NODE", "SERVICES", "cluster", "slice_of"]

SERVICES, ENDPOINTS = 44_000, 250_000
#: As in clusters: most Services have few endpoints, some have many. Adds up to 125 for 22 of them.
_SIZES = (1, 3, 2, 5, 1, 8, 2, 26, 3, 4, 2, 12, 3, 6, 3, 10, 2, 4, 16, 3, 5, 4)
_VIPS, _PODS, _BALANCERS = (int(IPv4Address(text)) for text in ("10.96.0.1", "10.128.0.1", "203.0.112.1"))
#: Every so manieth Service has a second port, a node port, a load balancer. A node has its share of the endpoints: 110 pods and their Services.
_SECOND_PORT, _NODE_PORT, _BALANCER, _NODES = 20, 22, 440, 2273
NODE = kube.Node("node-7", addresses={"eth0": ["172.18.0.7/16"]}, labels={"topology.kubernetes.io/zone": "a"})
CONFIG = kube.Config(cluster_cidr=("10.128.0.0/9",))


def cluster(services: int = SERVICES) -> list[dict[str, Any]]:
    """Services with a slice each."""
    return [thing for number, first in _numbered(services) for thing in (_service(number), slice_of(number, first))]


def _numbered(services: int) -> Iterator[tuple[int, int]]:
    first = 0
    for number in range(services):
        yield number, first
        first += _SIZES[number % len(_SIZES)]


def _metadata(name: str, number: int, **labels: str) -> dict[str, Any]:
    return {
        "name": name,
        "namespace": f"team-{number % 97}",
        "uid": f"7d0a3f3e-0b3c-4a55-9d5e-{number:012x}",
        "resourceVersion": str(100_000 + number),
        "creationTimestamp": f"2026-01-{number % 28 + 1:02}T10:00:00Z",
        "labels": {"app": name} | labels,
    }


def _ports(number: int) -> list[tuple[str, int, int]]:
    return [("http", 80, 8080), ("metrics", 9153, 9153)] if number % _SECOND_PORT == 0 else [("http", 80, 8080)]


def _service(number: int) -> dict[str, Any]:
    name, vip = f"svc-{number}", str(IPv4Address(_VIPS + number))
    kind = "ClusterIP"
    ports: list[dict[str, Any]] = [
        {"name": port, "protocol": "TCP", "port": outside, "targetPort": inside}
        for port, outside, inside in _ports(number)
    ]
    status: dict[str, Any] = {}
    if number % _NODE_PORT == 0:
        kind, ports[0]["nodePort"] = "NodePort", 30_000 + number // _NODE_PORT
    if number % _BALANCER == 0:
        kind, status = "LoadBalancer", {"ingress": [{"ip": str(IPv4Address(_BALANCERS + number // _BALANCER))}]}
    spec = {
        "type": kind,
        "clusterIP": vip,
        "clusterIPs": [vip],
        "ipFamilies": ["IPv4"],
        "ipFamilyPolicy": "SingleStack",
        "internalTrafficPolicy": "Cluster",
        "sessionAffinity": "None",
        "selector": {"app": name},
        "ports": ports,
    }
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _metadata(name, number),
        "spec": spec,
        "status": {"loadBalancer": status},
    }


def slice_of(number: int, first: int, *, generation: int = 0) -> dict[str, Any]:
    """The slice of a Service, whose endpoints begin with this one; of another generation the last endpoint is another one."""
    size = _SIZES[number % len(_SIZES)]
    places = [first + each for each in range(size)]
    places[-1] += generation * (1 << 20)
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": _metadata(f"svc-{number}-x7k2p", number, **{"kubernetes.io/service-name": f"svc-{number}"}),
        "addressType": "IPv4",
        "ports": [{"name": name, "protocol": "TCP", "port": inside} for name, _, inside in _ports(number)],
        "endpoints": [_endpoint(place) for place in places],
    }


def _endpoint(place: int) -> dict[str, Any]:
    return {
        "addresses": [str(IPv4Address(_PODS + place))],
        "conditions": {"ready": True, "serving": True, "terminating": False},
        "nodeName": f"node-{place % _NODES}",
        "zone": "abc"[place % 3],
        "targetRef": {"kind": "Pod", "name": f"pod-{place}", "namespace": "x"},
    }
