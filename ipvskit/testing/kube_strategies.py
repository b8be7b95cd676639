"""Hypothesis strategies for Kubernetes clusters: Services, EndpointSlices, the node, the settings.

    @given(clusters())                             everything together; two Services may want one address and port
    @given(clusters(conflicts=False))              each address and port is wanted by one Service only

    found = kube.translate(cluster.objects, cluster.node, cluster.config)

Knows: what belongs together. Must not know: what becomes of it. Needs Hypothesis. Must not be imported by the library.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from ipvskit import kube
from ipvskit.testing.kube_object_strategies import (
    ABSENT,
    NODE,
    ZONE,
    Pool,
    one,
    seldom,
    services,
    slices,
    some,
    stated,
    strays,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["NODE", "Cluster", "clusters", "identity", "nodes", "services", "settings", "slices"]

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Cluster:
    """What one translation takes: `objects` as the API serves them, and the keyword arguments of `kube.Node` and `kube.Config`."""

    objects: tuple[Object, ...]
    node_fields: Mapping[str, Any]
    settings: Mapping[str, Any]

    @property
    def node(self) -> kube.Node:
        """The node as a value."""
        return kube.Node(**self.node_fields)

    @property
    def config(self) -> kube.Config:
        """The settings as a value."""
        return kube.Config(**self.settings)


def identity(thing: Mapping[str, Any]) -> tuple[str, str, str]:
    """Kind, namespace and name of an object."""
    return thing["kind"], thing["metadata"].get("namespace", ""), thing["metadata"]["name"]


_FAMILIES = one(("IPv4", "IPv6"), ("IPv4",), ("IPv6",), ("IPv4", "IPv6"), ())
_SECOND = some(("172.18.0.3/16",), 1)
_FURTHER = some(("10.0.0.5/24", "169.254.20.10/32"), 2)
_ON_LOOPBACK = some(("192.0.2.9/32",), 1)
_SIXTH = some(("fc00:18:1::2/64",), 1)
_PRIMARY = one((), ("172.18.0.2", "fc00:18::2"), ("172.18.0.3",))
_ZONES = one({"topology.kubernetes.io/zone": ZONE}, {})


@st.composite
def nodes(draw: st.DrawFn) -> Object:
    """The keyword arguments of a `kube.Node`: of one family or both, with loopback, link-local, and more addresses."""
    families = draw(_FAMILIES)
    local, first, second = ["127.0.0.1/8", "::1/128"], [], []
    if "IPv4" in families:
        first += ["172.18.0.2/16", *draw(_SECOND)]
        second += draw(_FURTHER)
        local += draw(_ON_LOOPBACK)
    if "IPv6" in families:
        first += ["fe80::2/64", "fc00:18::2/64"]
        second += draw(_SIXTH)
    addresses = {"eth0": first, "eth1": second, "lo": local}
    if seldom(draw):
        addresses["kube-ipvs0"] = ["10.96.0.1/32", "203.0.113.1/32", "fd00:96::1/128"]
    held = {text.partition("/")[0] for texts in addresses.values() for text in texts}
    primary = tuple(each for each in draw(_PRIMARY) if each in held)
    return {"name": NODE, "addresses": addresses, "labels": draw(_ZONES), "primary": primary}


_SETTINGS: Mapping[str, st.SearchStrategy[Any]] = {
    "scheduler": one(ABSENT, "mh", "wlc", "sh", "", "rr"),
    "node_port_addresses": one(
        ABSENT,
        (),
        ("primary",),
        ("0.0.0.0/0",),
        ("::/0", "10.0.0.0/8"),
        ("172.18.0.0/16", "10.0.0.0/8"),
        ("172.18.0.3/32", "169.254.0.0/16", "fe80::/10", "fc00::/7"),
        ("127.0.0.0/8", "203.0.113.0/24", "::1/128", "fd00:96::/64"),
    ),
    "exclude_cidrs": one(ABSENT, ("203.0.113.0/24", "fd00::/8")),
    "maxelem": one(ABSENT, ABSENT, ABSENT, 1, 3),
    **dict.fromkeys(
        ("capture_node_addresses", "internal_fallback", "external_fallback", "source_ranges_fail_closed"),
        one(ABSENT, True, False),
    ),
}


def settings() -> st.SearchStrategy[Object]:
    """The keyword arguments of a `kube.Config`."""
    return st.fixed_dictionaries(dict(_SETTINGS)).map(stated)


_ARGUMENTS = nodes(), settings()
_NAMES = (("default", "web"), ("default", "api"), ("prod", "web"), ("prod", "db"), ("kube-system", "dns"))
_FLAG = st.booleans()


@st.composite
def clusters(draw: st.DrawFn, *, conflicts: bool = True, most: int = 4) -> Cluster:
    """Clusters of up to `most` Services (at most 5) with their slices, in any order, a node and settings.

    Without `conflicts` no two Services want the same address, port and protocol.
    """
    found: list[Object] = []
    for number, (namespace, name) in enumerate(draw(some(_NAMES, min(most, len(_NAMES))))):
        pool = Pool.shared(number) if conflicts else Pool.own(number)
        service = draw(services(namespace, name, pool))
        found += [service, *draw(slices(service))]
    found += draw(strays())
    objects = tuple(draw(st.permutations(found))) if draw(_FLAG) else tuple(found)
    return Cluster(objects, *map(draw, _ARGUMENTS))
