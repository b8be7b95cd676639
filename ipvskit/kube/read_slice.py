"""A slice of endpoints out of an API object.

Knows: the fields of EndpointSlices. Must not know: Services, the node.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ipvskit.kube.addresses import read_address
from ipvskit.kube.annotations import read_weight
from ipvskit.kube.diagnostics import Code, Diagnostic, Unusable
from ipvskit.kube.objects import (
    PROTOCOLS,
    Endpoint,
    Slice,
    SlicePort,
    identity,
    is_ours,
    map_of,
    number_of,
    objects_of,
    text_of,
)
from ipvskit.model.address import Family

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ipvskit.kube.addresses import Address

__all__ = ["SERVICE_NAME", "read_slice"]

SERVICE_NAME = "kubernetes.io/service-name"

_FAMILIES = {"IPv4": Family.IPV4, "IPv6": Family.IPV6}
_NONE: tuple[str, ...] = ()


def read_slice(fields: Mapping[str, Any]) -> Slice | None:
    """The slice, None where it belongs to no Service, has names for addresses, or is another proxy's. Raises Unusable."""
    named = identity("EndpointSlice", fields)
    metadata = map_of(fields, "metadata")
    service = text_of(map_of(metadata, "labels"), SERVICE_NAME)
    family = _FAMILIES.get(text_of(fields, "addressType"))
    if not service or family is None or not is_ours(metadata):
        return None
    weight, faults = read_weight(map_of(metadata, "annotations"), str(named))
    ports = tuple(
        _port(each) for each in objects_of(fields, "ports") if each.get("name") is not None and each.get("port")
    )
    endpoints = []
    for number, each in enumerate(objects_of(fields, "endpoints")):
        try:
            endpoint = _endpoint(each, family)
        except Unusable as error:
            subject = f"endpoints[{number}].{error.subject}"
            faults.append(Diagnostic(Code.INVALID_ENDPOINT, str(named), subject, error.message))
            continue
        if endpoint is not None:
            endpoints.append(endpoint)
    return Slice(named, service, family, ports, tuple(endpoints), weight, tuple(faults))


def _port(each: Mapping[str, Any]) -> SlicePort:
    protocol = text_of(each, "protocol") or "TCP"
    if protocol not in PROTOCOLS:
        raise Unusable("ports.protocol", f"{protocol!r} is none of " + ", ".join(PROTOCOLS))
    return SlicePort(text_of(each, "name"), PROTOCOLS[protocol], number_of(each, "port"))


def _endpoint(each: Mapping[str, Any], family: Family) -> Endpoint | None:
    texts = each.get("addresses")
    if not texts:
        return None
    if not isinstance(texts, list | tuple):
        raise Unusable("addresses", "not a list")
    address = read_address(texts[0])
    if address is None or not _is_unicast(address, family):
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


def _is_unicast(address: Address, family: Family) -> bool:
    """What a `RealServer` takes, reserved addresses and those of one link or host excepted, asked without making one."""
    number = int(address.value)
    if address.value.version == 4:
        elsewhere = number >> 24 != 127 and number >> 16 != 0xA9FE
        return family is Family.IPV4 and 0 < number < 0xE0000000 and elsewhere
    link_local, mapped = number >> 118 == 0x3FA, number >> 32 == 0xFFFF
    return family is Family.IPV6 and number > 1 and number >> 120 != 0xFF and not link_local and not mapped


def _names(hints: Mapping[str, Any], field: str) -> tuple[str, ...]:
    return tuple(text_of(each, "name") for each in objects_of(hints, field))
