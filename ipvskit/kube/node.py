"""The node that the state is for.

Knows: its name, addresses and labels. Must not know: Services, how addresses are listed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Interface, ip_interface
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ipvskit.errors import InvalidConfig
from ipvskit.kube.addresses import Address, Network, read_address, read_network, unusable
from ipvskit.kube.client_objects import each_object
from ipvskit.kube.diagnostics import Unusable
from ipvskit.kube.names import DEVICE
from ipvskit.kube.objects import map_of, objects_of, text_of, texts_of
from ipvskit.model.address import Family

if TYPE_CHECKING:
    from ipvskit.kernel import Kernel

__all__ = ["ZONE_LABEL", "Node"]

ZONE_LABEL = "topology.kubernetes.io/zone"

_Interface = IPv4Interface | IPv6Interface


@dataclass(frozen=True, slots=True, init=False)
class Node:
    """A node: `name` as in the `nodeName` of endpoints, and what it has.

    `addresses` are those of its interfaces by their names ("eth0": ["172.18.0.2/16"]; without a prefix length it has all bits); kube-ipvs0 is left
    out. `primary` are the addresses by which the cluster knows the node, one of each family at most; where none is given, the first one that
    is neither loopback nor link-local. `labels` say its zone. `pod_cidrs` are the networks of its pods, for local traffic by node CIDR.
    `kernel` is its release ("6.1.0-13-amd64"), None where it is not known: what depends on it is then left as it is. Raises InvalidConfig.
    """

    name: str
    addresses: Mapping[str, tuple[_Interface, ...]]
    labels: Mapping[str, str]
    primary: Mapping[Family, Address]
    pod_cidrs: tuple[Network, ...]
    kernel: str | None

    def __init__(
        self,
        name: str,
        *,
        addresses: Mapping[str, Iterable[str]] | None = None,
        labels: Mapping[str, str] | None = None,
        primary: Iterable[str] = (),
        pod_cidrs: Iterable[str] = (),
        kernel: str | None = None,
    ) -> None:
        if not isinstance(name, str) or not name:
            raise InvalidConfig("name", name, "the node's name")
        if kernel is not None and not isinstance(kernel, str):
            raise InvalidConfig("kernel", kernel, 'a release such as "6.1.0-13-amd64", or None')
        held = {device: _interfaces(texts) for device, texts in (addresses or {}).items() if device != DEVICE}
        put = object.__setattr__
        put(self, "name", name)
        put(self, "addresses", MappingProxyType(held))
        put(self, "labels", MappingProxyType(dict(labels or {})))
        put(self, "primary", MappingProxyType(_first_usable(held) | _primary(primary)))
        put(self, "pod_cidrs", tuple(map(_network, _several("pod_cidrs", pod_cidrs))))
        put(self, "kernel", kernel)

    @classmethod
    def from_api(cls, found: Any, addresses: Mapping[str, Iterable[str]] | None = None) -> Node:  # noqa: ANN401 - dict or model
        """From a Node object of the API, with the addresses of the interfaces, which it does not have. Raises InvalidConfig."""
        fields = next((raw.fields for raw in each_object([found])), None)
        if fields is None:
            raise InvalidConfig("node", type(found).__name__, "a Node object")
        try:
            metadata, spec, status = (map_of(fields, name) for name in ("metadata", "spec", "status"))
            known = [each for each in objects_of(status, "addresses") if text_of(each, "type") == "InternalIP"]
            return cls(
                text_of(metadata, "name"),
                addresses=addresses,
                labels=map_of(metadata, "labels"),
                primary=[text_of(each, "address") for each in known],
                pod_cidrs=texts_of(spec, "podCIDRs") or [text for text in [text_of(spec, "podCIDR")] if text],
                kernel=text_of(map_of(status, "nodeInfo"), "kernelVersion") or None,
            )
        except Unusable as error:
            raise InvalidConfig(error.subject, error.message, "as the API serves it") from None

    def with_kernel(self, kernel: Kernel, *, release: str | None = None) -> Node:
        """The same node with the addresses that the handle's namespace has, and the kernel's release (the running one's if not given).

        Primary addresses stay. Raises what reading devices raises.
        """
        addresses = {
            one.name: [str(each) for each in one.addresses] for one in kernel.devices.all() if one.name != DEVICE
        }
        return Node(
            self.name,
            addresses=addresses,
            labels=self.labels,
            primary=[address.text for address in self.primary.values()],
            pod_cidrs=[str(network) for network in self.pod_cidrs],
            kernel=release or os.uname().release,
        )

    @property
    def zone(self) -> str | None:
        """The zone that it is in, by its label."""
        return self.labels.get(ZONE_LABEL)


def _several(field: str, values: Iterable[str]) -> Iterable[str]:
    if isinstance(values, str):
        raise InvalidConfig(field, values, "a list, even of one")
    return values


def _interfaces(texts: Iterable[str]) -> tuple[_Interface, ...]:
    found = []
    for text in _several("addresses", texts):
        try:
            # A zone says what the interface says already.
            found.append(ip_interface(re.sub("%[^/]*", "", text)))
        except (ValueError, TypeError):
            raise InvalidConfig("addresses", text, 'an address such as "172.18.0.2/16"') from None
    return tuple(found)


def _first_usable(held: Mapping[str, tuple[_Interface, ...]]) -> dict[Family, Address]:
    """Those of lo last: what a kernel lists first is there for all to use, not to be known by."""
    found: dict[Family, Address] = {}
    ordered = [*(some for name, some in held.items() if name != "lo"), held.get("lo", ())]
    for interfaces in ordered:
        for each in interfaces:
            address = Address(str(each.ip), each.ip)
            if unusable(each.ip) is None:
                found.setdefault(address.family, address)
    return found


def _primary(texts: Iterable[str]) -> dict[Family, Address]:
    found: dict[Family, Address] = {}
    for text in _several("primary", texts):
        address = read_address(text)
        if address is None:
            raise InvalidConfig("primary", text, "an address")
        found.setdefault(address.family, address)
    return found


def _network(text: str) -> Network:
    network = read_network(text)
    if network is None:
        raise InvalidConfig("pod_cidrs", text, 'a network such as "10.10.1.0/24"')
    return network
