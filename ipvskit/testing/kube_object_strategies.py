"""Hypothesis strategies for Services and EndpointSlices, as `kubectl get -o json` writes them.

    @given(services())                             a Service of any kind
    @given(services().flatmap(slices))             some EndpointSlices for one

Knows: what the API serves, and what it refuses by now but old objects have. Must not know: what becomes of it. Needs Hypothesis. Must not be imported
by the library.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "ABSENT",
    "NODE",
    "NODE_ADDRESSES",
    "ZONE",
    "Pool",
    "one",
    "seldom",
    "services",
    "slices",
    "some",
    "stated",
    "strays",
]

Object = dict[str, Any]

#: The name of the node that everything is about, and its zone.
NODE, ZONE = "node-1", "a"
#: Addresses that it has, for Services that want them.
NODE_ADDRESSES = ("172.18.0.2", "172.18.0.3", "192.0.2.9", "fc00:18::2")
#: The value of a field that is left out.
ABSENT = object()


def stated(fields: Mapping[str, Any]) -> Object:
    """The fields that are not left out."""
    return {name: value for name, value in fields.items() if value is not ABSENT}


def one(*values: Any) -> st.SearchStrategy[Any]:
    """One of the values."""
    return st.sampled_from(values)


def some(values: Sequence[Any], most: int = 2, least: int = 0) -> st.SearchStrategy[list[Any]]:
    """Different ones of the values."""
    return st.lists(st.sampled_from(values), min_size=least, max_size=most, unique=True)


_EIGHT = st.integers(0, 7)
_FLAG = st.booleans()


def seldom(draw: st.DrawFn) -> bool:
    """Once in eight times."""
    return draw(_EIGHT) == 7


# --- metadata -----------------------------------------------------------------------------------------------------------------------

_ANNOTATIONS: Mapping[str, st.SearchStrategy[str]] = {
    "scheduler": one("wlc", "mh", "mh", "sh", "rr", "", "much-too-long-a-name"),
    "sched-flags": one("mh-port,mh-fallback", "sh-fallback", "flag-3", "mh-fallback", "", "odd"),
    "weight": one("7", "0", "65535", "100", "2147483648", "-1", "x"),
    "drain-seconds": one("30", "0", "86400", "86401", "-1", "2.5", "soon"),
    "forwarding": one("direct-route", "tunnel", "masquerade", "bypass"),
}
_NAMED = some(tuple(_ANNOTATIONS), 3, least=1)
_UID = "7d0a3f3e-0b3c-4a55-9d5e-3a8d6c0f3a11"
_WRITTEN = one(
    {},
    {"creationTimestamp": "2026-01-02T10:00:00Z"},
    {"creationTimestamp": "2026-01-01T00:00:00Z", "uid": _UID, "resourceVersion": "1207"},
    {"creationTimestamp": "2026-03-01T00:00:00Z", "uid": _UID},
    {"creationTimestamp": "2026-01-02T10:00:00Z", "uid": _UID, "resourceVersion": "1208"},
)
_SKIPPED = one(
    {"service.kubernetes.io/service-proxy-name": "other"},
    {"service.kubernetes.io/service-proxy-name": ""},
    {"service.kubernetes.io/headless": ""},
)


@st.composite
def _metadata(draw: st.DrawFn, namespace: str, name: str, labels: Object) -> Object:
    annotations = {}
    if draw(_FLAG):
        annotations = {f"ipvskit/{each}": draw(_ANNOTATIONS[each]) for each in draw(_NAMED)}
    if seldom(draw) and seldom(draw):
        labels = labels | draw(_SKIPPED)
    more: Object = {"labels": labels or ABSENT, "annotations": annotations or ABSENT} | draw(_WRITTEN)
    return stated({"name": name, "namespace": namespace} | more)


# --- Services -----------------------------------------------------------------------------------------------------------------------

_SPOKEN = ((80, "TCP"), (80, "UDP"), (80, "SCTP"), (443, "TCP"), (53, "UDP"), (53, "TCP"))


@dataclass(frozen=True, slots=True)
class Pool:
    """The addresses and ports that a Service may want."""

    cluster: Mapping[str, st.SearchStrategy[str]]
    external: st.SearchStrategy[str]
    externals: st.SearchStrategy[list[str]]
    node_ports: st.SearchStrategy[int]
    ports: st.SearchStrategy[list[tuple[int, str]]]
    health: int

    @staticmethod
    @cache
    def shared(number: int) -> Pool:
        """What all Services have in common; the port of the health check is the Service's own."""
        external = ("203.0.113.1", "203.0.113.2", "2001:db8::1", "2001:DB8:0::2", "10.96.0.1", *NODE_ADDRESSES)
        return Pool(
            {
                "IPv4": one("10.96.0.1", "10.96.0.2", "10.96.0.3"),
                "IPv6": one("fd00:96::1", "fd00:96::2", "FD00:96:0::2"),
            },
            one(*external),
            some(external, 3, least=1),
            one(30080, 30080, 30081, 30082),
            some((*_SPOKEN, (30080, "TCP")), 3, least=1),
            31000 + number,
        )

    @staticmethod
    @cache
    def own(number: int) -> Pool:
        """What no other Service has; the first one may want the node's own addresses."""
        numbers = (2 * number + 10, 2 * number + 11)
        external = [f"{prefix}{each}" for prefix in ("203.0.113.", "2001:db8::", "2001:DB8:0::") for each in numbers]
        external += [f"10.96.1.{number + 1}", *(() if number else NODE_ADDRESSES)]
        return Pool(
            {"IPv4": one(f"10.96.1.{number + 1}"), "IPv6": one(f"fd00:96::1:{number + 1}")},
            one(*external),
            some(external, 3, least=1),
            one(*range(30100 + 10 * number, 30104 + 10 * number)),
            some(_SPOKEN, 3, least=1),
            31000 + number,
        )


#: The name of a single port.
_SINGLE = one("http", "", ABSENT)


@st.composite
def _ports(draw: st.DrawFn, pool: Pool, with_node_ports: bool) -> list[Object]:
    spoken = draw(pool.ports)
    names = ("http", "dns", "dns-tcp") if len(spoken) > 1 else (draw(_SINGLE),)
    found, taken = [], set()
    for name, (port, protocol) in zip(names, spoken, strict=False):
        node_port: Any = ABSENT
        if with_node_ports:
            node_port = draw(pool.node_ports)
            node_port = ABSENT if (node_port, protocol) in taken else node_port
            taken.add((node_port, protocol))
        target = 9999 if protocol == "TCP" else "nobody-looks-at-it"
        fields = {"name": name, "protocol": protocol, "port": port, "targetPort": target, "nodePort": node_port}
        found.append(stated(fields))
    return found


_ORDERS = one(("IPv4",), ("IPv4", "IPv6"), ("IPv4",), ("IPv6",), ("IPv6", "IPv4"))
_DUAL = one("PreferDualStack", "RequireDualStack")


@st.composite
def _families(draw: st.DrawFn, pool: Pool) -> Object:
    order = draw(_ORDERS)
    texts = [draw(pool.cluster[family]) for family in order]
    policy = "SingleStack" if len(order) == 1 else draw(_DUAL)
    found = {"clusterIP": texts[0], "clusterIPs": texts, "ipFamilies": list(order), "ipFamilyPolicy": policy}
    number = draw(_EIGHT)
    if number == 7:
        # From before there was more than one family.
        return {"clusterIP": texts[0]}
    if number == 6:
        # The second address is still to come.
        return found | {"clusterIPs": texts[:1]}
    return {"clusterIP": texts[0], "clusterIPs": texts[:1]} if number == 5 else found


_AFFINITY = one(
    {},
    {"sessionAffinity": "None"},
    {"sessionAffinity": "None", "sessionAffinityConfig": None},
    {"sessionAffinity": "ClientIP"},
    {"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 60}}},
    {"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 86400}}},
    {"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": None}}},
    {"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": None}},
    {"sessionAffinity": "ClientIP", "sessionAffinityConfig": None},
)
#: Addresses that are none, or nobody else's business.
_ODD = one("127.0.0.1", "::1", "0.0.0.0", "::", "169.254.9.9", "fe80::9", "224.0.0.1", "ff02::1", "odd")  # noqa: S104
_MODE = one(ABSENT, ABSENT, "VIP", None, "Proxy")
_INGRESSES = one(1, 2, 1, 2, 0)
_POLICY = one(ABSENT, "Local", "Local", "Cluster")
_RANGES = some(
    ("198.51.100.0/24", "172.18.0.0/16", "2001:db8:5::/64", "fc00::1/7", "198.51.100.9/32", " 203.0.113.7/25 "), 3
)
_ODD_RANGES = some(("0.0.0.0/0", "::/0", "odd", "", "  "), 2)
_HEALTHY = one(True, True, False, ABSENT)
_OLD_IP = one(ABSENT, "203.0.113.99")


@st.composite
def _ingress(draw: st.DrawFn, pool: Pool) -> Object:
    number = draw(_EIGHT)
    if number == 7:
        return {"hostname": "lb.example.com"}
    return stated({"ip": draw(_ODD if number == 6 else pool.external), "ipMode": draw(_MODE)})


@st.composite
def _exposed(draw: st.DrawFn, kind: str, pool: Pool) -> tuple[Object, Object]:
    """What concerns clients outside of the cluster: a part of the spec, and the status."""
    spec: Object = {"internalTrafficPolicy": draw(_POLICY), "externalTrafficPolicy": draw(_POLICY)}
    if draw(_FLAG):
        spec["externalIPs"] = draw(pool.externals) + ([draw(_ODD)] if seldom(draw) else [])
    ingress: list[Object] = []
    # Others have a status while their type changes.
    if kind == "LoadBalancer" or seldom(draw):
        ingress = [draw(_ingress(pool)) for _ in range(draw(_INGRESSES))]
    if kind == "LoadBalancer":
        if draw(_EIGHT) > 2:
            spec["loadBalancerSourceRanges"] = draw(_RANGES) + (draw(_ODD_RANGES) if draw(_EIGHT) > 4 else [])
        healthy = draw(_HEALTHY)
        spec["healthCheckNodePort"] = pool.health if healthy is True else 0 if healthy is False else ABSENT
        spec["loadBalancerIP"] = draw(_OLD_IP)
    return stated(spec), {"loadBalancer": {"ingress": ingress} if ingress else {}}


_KIND = one(
    "LoadBalancer", "ClusterIP", "NodePort", "LoadBalancer", "LoadBalancer", "NodePort", "headless", "ExternalName"
)
_ALLOCATES = one(ABSENT, True, False)
_LABELS = one({}, {"app": "web"})


@st.composite
def _services(draw: st.DrawFn, namespace: str, name: str, pool: Pool) -> Object:
    kind = draw(_KIND)
    spec: Object = {"type": "ClusterIP" if kind == "headless" else kind} | draw(_families(pool)) | draw(_AFFINITY)
    if kind == "headless":
        spec |= {"clusterIP": "None", "clusterIPs": ["None"]}
    if kind == "ExternalName":
        spec["externalName"] = "web.example.com"
        if draw(_FLAG):
            spec = {key: value for key, value in spec.items() if not key.startswith(("clusterIP", "ipFamil"))}
    allocates = draw(_ALLOCATES) if kind == "LoadBalancer" else ABSENT
    with_node_ports = kind in {"NodePort", "LoadBalancer"} and allocates is not False
    spec["ports"] = draw(_ports(pool, with_node_ports))
    exposed, status = draw(_exposed(kind, pool))
    spec |= exposed | stated({"allocateLoadBalancerNodePorts": allocates})
    metadata = draw(_metadata(namespace, name, draw(_LABELS)))
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec, "status": status}


def services(namespace: str = "default", name: str = "web", pool: Pool | None = None) -> st.SearchStrategy[Object]:
    """Services of every kind; without a pool of their own, with addresses and ports that others may have as well."""
    return _services(namespace, name, pool or Pool.shared(0))


# --- EndpointSlices -----------------------------------------------------------------------------------------------------------------

_ENDPOINTS = {
    "IPv4": one("10.244.1.1", "10.244.1.2", "10.244.2.1", "10.244.2.2", "172.18.0.2"),
    "IPv6": one("fd00:244::1", "fd00:244::2", "FD00:244:0::2", "fd00:244:1::1", "fc00:18::2"),
    "FQDN": one("web.example.com"),
}
_ODD_ENDPOINTS = {
    "IPv4": one("127.0.0.1", "169.254.3.3", "0.0.0.0", "224.0.0.5", "odd"),  # noqa: S104
    "IPv6": one("::1", "fe80::3", "::", "ff02::5", "odd"),
    "FQDN": one("odd"),
}
_CONDITIONS = st.sampled_from(
    [
        stated({"ready": ready, "serving": serving, "terminating": terminating})
        for ready in (ABSENT, True, True, False, None)
        for serving in (ABSENT, True, False)
        for terminating in (ABSENT, False, True, True, None)
    ]
)
_WHERE = one(NODE, "node-2", NODE, "node-2", ABSENT, None)
_NONE: Sequence[str] = ()


def _hints(zones: Sequence[str], nodes: Sequence[str]) -> Object:
    named = {"forZones": zones, "forNodes": nodes}
    return {kind: [{"name": each} for each in names] for kind, names in named.items() if names}


_HINTS = one(
    ABSENT,
    _hints([ZONE], _NONE),
    _hints(["b"], _NONE),
    _hints([ZONE, "b"], _NONE),
    _hints(_NONE, [NODE]),
    _hints(_NONE, ["node-2"]),
    _hints([ZONE], [NODE]),
    _hints(["b"], [NODE]),
    _hints([ZONE], ["node-2"]),
    _hints(["b"], ["node-2", NODE]),
    {"forZones": []},
    {},
    None,
)


@st.composite
def _endpoints(draw: st.DrawFn, family: str, hinted: bool) -> Object:
    number = draw(_EIGHT)
    addresses = [draw(_ODD_ENDPOINTS[family] if number == 7 else _ENDPOINTS[family])]
    if number == 6:
        addresses.append(draw(_ENDPOINTS[family]))
    conditions = draw(_CONDITIONS)
    fields = {
        "addresses": [] if number == 5 and seldom(draw) else addresses,
        "conditions": conditions or (ABSENT if number % 2 else {}),
        "nodeName": draw(_WHERE),
        "zone": ABSENT if number == 4 else ZONE,
        "hints": draw(_HINTS) if hinted else ABSENT,
    }
    return stated(fields)


_OTHER_NAME = one(None, ABSENT, "foreign")
_OTHER_PORT = one(None, ABSENT, 0)
_OTHER_PROTOCOL = one(None, ABSENT, "TCP", "UDP")
_TO = one(8080, 8080, 8081)
_TENTH = st.integers(0, 9)


@st.composite
def _slice_ports(draw: st.DrawFn, ports: Sequence[Object]) -> list[Object]:
    """Those of the Service, or nearly."""
    found = []
    for port in ports:
        number = draw(_TENTH)
        fields: Object = {"name": port.get("name", ""), "protocol": port["protocol"], "port": port["port"]}
        if number % 2:
            fields["port"] = draw(_TO)
        if number == 9:
            fields["name"] = draw(_OTHER_NAME)
        if number == 8:
            fields["port"] = draw(_OTHER_PORT)
        if number == 7:
            fields["protocol"] = draw(_OTHER_PROTOCOL)
        if number != 6:
            found.append(stated(fields))
    return [*found, {"name": "metrics", "protocol": "TCP", "port": 9090}] if seldom(draw) else found


_OTHER_FAMILY = one("IPv4", "IPv6", "FQDN")
_NO_PORTS = one(None, ABSENT, [])
_NO_ENDPOINTS = one([], None, ABSENT)
_COUNT = st.integers(0, 4)


@st.composite
def _slices(draw: st.DrawFn, namespace: str, name: str, labels: Object, spec: Object) -> Object:
    families = spec.get("ipFamilies") or ["IPv4"]
    family = draw(_OTHER_FAMILY) if seldom(draw) else families[draw(_EIGHT) % len(families)]
    ports: Any = draw(_slice_ports(spec["ports"]))
    if seldom(draw):
        ports = draw(_NO_PORTS)
    hinted = draw(_FLAG)
    endpoints: Any = [draw(_endpoints(family, hinted)) for _ in range(draw(_COUNT))]
    return stated(
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": draw(_metadata(namespace, name, labels)),
            "addressType": family,
            "ports": ports,
            "endpoints": endpoints or draw(_NO_ENDPOINTS),
        }
    )


_SUFFIXES = one(("k2x9z",), ("k2x9z", "b7qpd"), ("zz4mn", "b7qpd"), ("zz4mn", "k2x9z", "b7qpd"), ())


@st.composite
def slices(draw: st.DrawFn, service: Mapping[str, Any]) -> list[Object]:
    """Some EndpointSlices for a Service: of either family, with ports that fit or do not, with the same endpoints more than once."""
    namespace, name = service["metadata"]["namespace"], service["metadata"]["name"]
    labels = {"kubernetes.io/service-name": name}
    return [draw(_slices(namespace, f"{name}-{each}", labels, service["spec"])) for each in draw(_SUFFIXES)]


@st.composite
def strays(draw: st.DrawFn) -> list[Object]:
    """An EndpointSlice that belongs to no Service, or none."""
    labels: Object = {} if draw(_FLAG) else {"kubernetes.io/service-name": "nobody"}
    spec = {"ports": [{"name": "http", "protocol": "TCP", "port": 80}]}
    return [draw(_slices("default", "stray-1", labels, spec))] if seldom(draw) else []
