"""Services and EndpointSlices, as far as they count here.

Knows: the API's fields, their defaults, and which objects are none of ours. Must not know: the node, what becomes of them.

Reading is tolerant where the API is (fields that are absent), and exact otherwise: of an object with a field of the wrong type nothing is used.
Sources: the API reference of core/v1 Service and discovery.k8s.io/v1 EndpointSlice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from ipvskit.kube.addresses import Address
from ipvskit.kube.diagnostics import Unusable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ipvskit.kube.addresses import Network
    from ipvskit.kube.annotations import Wishes
    from ipvskit.kube.diagnostics import Diagnostic
    from ipvskit.model.address import Family, IPAddress

__all__ = [
    "MAX_PORT",
    "NO_AGE",
    "PROTOCOLS",
    "Endpoint",
    "Identity",
    "ReadyEndpoints",
    "Service",
    "ServicePort",
    "Slice",
    "SlicePort",
    "identity",
    "is_ours",
    "map_of",
    "number_of",
    "objects_of",
    "text_of",
    "texts_of",
]

PROXY_NAME = "service.kubernetes.io/service-proxy-name"
HEADLESS = "service.kubernetes.io/headless"
MAX_PORT = 65535
PROTOCOLS = {"TCP": "tcp", "UDP": "udp", "SCTP": "sctp"}

#: Later than any time: objects from files have no age, and those that have one go first.
NO_AGE = "~"


class Identity(NamedTuple):
    """Which object it is."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


class ServicePort(NamedTuple):
    """A port of a Service. `node_port` is 0 where there is none."""

    name: str
    protocol: str
    port: int
    node_port: int


class Service(NamedTuple):
    """A Service that has virtual addresses.

    `external_ips` and `ingress` are in the order of the object; of ingress only addresses to be handled here. `internal_local` and `external_local`
    are the policies in effect. `affinity` is in seconds. `stated_ranges` says whether there were any source ranges at all, unreadable ones included.
    """

    identity: Identity
    created: str
    type: str
    ports: tuple[ServicePort, ...]
    cluster_ips: Mapping[Family, Address]
    external_ips: tuple[Address, ...]
    ingress: tuple[Address, ...]
    source_ranges: tuple[Network, ...]
    stated_ranges: bool
    internal_local: bool
    external_local: bool
    affinity: int | None
    health_check_port: int
    wishes: Wishes
    faults: tuple[Diagnostic, ...] = ()

    @property
    def key(self) -> tuple[str, str]:
        """Namespace and name."""
        return self.identity[1:]


class SlicePort(NamedTuple):
    """A port of a slice."""

    name: str
    protocol: str
    port: int


class Endpoint(NamedTuple):
    """An endpoint: conditions with their defaults filled in, `zones` and `nodes` as hinted to."""

    address: Address
    node: str | None
    ready: bool
    serving: bool
    terminating: bool
    zones: tuple[str, ...]
    nodes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReadyEndpoints:
    """Endpoints as most slices have them: all are ready, without hints, each address is there once. By their texts, as in places ("10.0.0.1:80")."""

    texts: tuple[str, ...]
    nodes: tuple[str | None, ...]
    addresses: tuple[IPAddress, ...] = field(compare=False)

    def __iter__(self) -> Iterator[Endpoint]:
        for text, value, node in zip(self.texts, self.addresses, self.nodes, strict=True):
            yield Endpoint(Address(text, value), node, True, True, False, (), ())


class Slice(NamedTuple):
    """An EndpointSlice of a Service. `weight` is what it gives its endpoints."""

    identity: Identity
    service: str
    family: Family
    ports: tuple[SlicePort, ...]
    endpoints: tuple[Endpoint, ...] | ReadyEndpoints
    weight: int | None
    faults: tuple[Diagnostic, ...] = ()

    @property
    def key(self) -> tuple[str, str]:
        """Namespace and name of the Service."""
        return self.identity.namespace, self.service


def identity(kind: str, fields: Mapping[str, Any]) -> Identity:
    """Which object it is. Raises Unusable."""
    metadata = map_of(fields, "metadata")
    name, namespace = metadata.get("name"), metadata.get("namespace")
    if name and namespace and type(name) is type(namespace) is str:
        return Identity(kind, namespace, name)
    name = text_of(metadata, "name")
    if not name:
        raise Unusable("metadata.name", "there is none")
    return Identity(kind, text_of(metadata, "namespace") or "default", name)


def is_ours(labels: Mapping[str, Any]) -> bool:
    """Whether the object with these labels is for this kind of proxy."""
    return PROXY_NAME not in labels and HEADLESS not in labels


def map_of(fields: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A field that is a mapping, empty where it is absent. Raises Unusable."""
    found = fields.get(name)
    if found is None:
        return {}
    if type(found) is not dict and not isinstance(found, Mapping):
        raise Unusable(name, "not an object")
    return found


def objects_of(fields: Mapping[str, Any], name: str) -> Sequence[Mapping[str, Any]]:
    """A field that is a list of objects, empty where it is absent. Raises Unusable."""
    found = fields.get(name)
    if found is None:
        return ()
    if not isinstance(found, list | tuple):
        raise Unusable(name, "not a list")
    for item in found:
        # Asking an abstract class takes long, and there are as many of these as endpoints.
        if type(item) is not dict and not isinstance(item, Mapping):
            raise Unusable(name, f"{item!r} is no object")
    return found


def texts_of(fields: Mapping[str, Any], name: str) -> Sequence[str]:
    """A field that is a list of texts, empty where it is absent. Raises Unusable."""
    found = fields.get(name)
    if found is None:
        return ()
    if not isinstance(found, list | tuple) or not all(isinstance(item, str) for item in found):
        raise Unusable(name, "not a list of texts")
    return found


def text_of(fields: Mapping[str, Any], name: str) -> str:
    """A field that is text, empty where it is absent. Raises Unusable."""
    found = fields.get(name)
    if found is None:
        return ""
    if not isinstance(found, str):
        raise Unusable(name, f"{found!r} is no text")
    return found


def number_of(fields: Mapping[str, Any], name: str, low: int = 0, high: int = MAX_PORT) -> int:
    """A field that is a whole number, 0 where it is absent. Raises Unusable."""
    found = fields.get(name)
    if found is None:
        return 0
    if not isinstance(found, int) or isinstance(found, bool) or not low <= found <= high:
        raise Unusable(name, f"{found!r} is no whole number from {low} to {high}")
    return found
