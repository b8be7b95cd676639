"""Which endpoints a service port has, and which of them are used: the second opinion's second half.

Knows: how slices are read, merged and chosen from. Must not know: Services, beyond a port's name and protocol; ipvskit.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

__all__ = [
    "FAMILIES",
    "IP",
    "Endpoint",
    "Object",
    "annotation",
    "cluster_list",
    "labels",
    "local_list",
    "merge",
    "metadata",
    "name_of",
    "place",
    "read_ip",
    "refused",
    "weight_of",
]

Object = Mapping[str, Any]
IP = IPv4Address | IPv6Address

FAMILIES = {4: "IPv4", 6: "IPv6"}


# --- parts of objects ---------------------------------------------------------------------------------------------------------------


def read_ip(text: Any) -> IP | None:
    try:
        return ip_address(text) if isinstance(text, str) else None
    except ValueError:
        return None


def refused(ip: IP) -> bool:
    return ip.is_loopback or ip.is_unspecified or ip.is_multicast or ip.is_link_local


def metadata(thing: Object) -> Object:
    found: Object = thing.get("metadata") or {}
    return found


def name_of(thing: Object) -> tuple[str, str]:
    return metadata(thing).get("namespace", ""), metadata(thing)["name"]


def labels(thing: Object) -> Object:
    return metadata(thing).get("labels") or {}


def annotation(thing: Object, name: str) -> Any:
    return (metadata(thing).get("annotations") or {}).get(f"ipvskit/{name}")


def weight_of(thing: Object) -> int | None:
    text = annotation(thing, "weight")
    if text is not None and re.fullmatch("[0-9]{1,10}", text) and int(text) < 2**31:
        return int(text)
    return None


def place(ip: IP, port: int) -> str:
    return f"[{ip}]:{port}" if ip.version == 6 else f"{ip}:{port}"


# --- merging slices (2.2) -----------------------------------------------------------------------------------------------------------


@dataclass
class Endpoint:
    """An address and port, as one slice has it."""

    ip: IP
    port: int
    local: bool
    ready: bool
    serving: bool
    terminating: bool
    zones: set[str]
    nodes: set[str]


def merge(
    slices: Sequence[Object], service: Object, port: Object, version: int, node: str
) -> tuple[list[Endpoint], dict[str, int]]:
    """The endpoints of a service port, and the weights that slices say, both by the order of the slices."""
    merged: dict[str, Endpoint] = {}
    weights: dict[str, int] = {}
    for one in slices:
        if name_of(one)[0] != name_of(service)[0] or one.get("addressType") != FAMILIES[version]:
            continue
        if labels(one).get("kubernetes.io/service-name") != name_of(service)[1]:
            continue
        for sighting in _sightings(one, port.get("name") or "", port.get("protocol") or "TCP", version, node):
            where = place(sighting.ip, sighting.port)
            if where not in merged or _rank(sighting) > _rank(merged[where]):
                merged[where] = sighting
            weight = weight_of(one)
            if weight is not None:
                weights.setdefault(where, weight)
    return list(merged.values()), weights


def _rank(sighting: Endpoint) -> tuple[bool, bool, bool]:
    """Local ones go first as in kube-proxy, then those that can be used; then the order of the slices decides."""
    return sighting.local, sighting.ready, sighting.serving and sighting.terminating


def _sightings(one: Object, name: str, protocol: str, version: int, node: str) -> Iterable[Endpoint]:
    for port in one.get("ports") or []:
        if port.get("name") is None or not port.get("port"):
            continue
        if port["name"] != name or (port.get("protocol") or "TCP") != protocol:
            continue
        for endpoint in one.get("endpoints") or []:
            ip = read_ip(next(iter(endpoint.get("addresses") or []), None))
            if ip is None or ip.version != version or refused(ip):
                continue
            conditions = endpoint.get("conditions") or {}
            yield Endpoint(
                ip,
                port["port"],
                local=endpoint.get("nodeName") is not None and endpoint["nodeName"] == node,
                ready=_is(conditions, "ready", True),
                serving=_is(conditions, "serving", True),
                terminating=_is(conditions, "terminating", False),
                zones=_hints(endpoint, "forZones"),
                nodes=_hints(endpoint, "forNodes"),
            )


def _is(conditions: Object, name: str, default: bool) -> bool:
    value = conditions.get(name)
    return default if value is None else bool(value)


def _hints(endpoint: Object, kind: str) -> set[str]:
    return {each["name"] for each in (endpoint.get("hints") or {}).get(kind) or []}


# --- choosing (2.3) -----------------------------------------------------------------------------------------------------------------


def cluster_list(every: Sequence[Endpoint], node: str, zone: str | None) -> list[Endpoint]:
    found = _in_topology([each for each in every if each.ready], node, zone)
    return found or [each for each in every if each.serving and each.terminating]


def _in_topology(ready: list[Endpoint], node: str, zone: str | None) -> list[Endpoint]:
    if all(each.nodes for each in ready) and any(node in each.nodes for each in ready):
        return [each for each in ready if node in each.nodes]
    if all(each.zones for each in ready) and any(zone in each.zones for each in ready):
        return [each for each in ready if zone in each.zones]
    return ready


def local_list(every: Sequence[Endpoint]) -> list[Endpoint]:
    here = [each for each in every if each.local]
    return [each for each in here if each.ready] or [each for each in here if each.serving and each.terminating]
