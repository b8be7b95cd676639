"""Random clusters: few names and addresses, so that things meet.

Knows: what the API serves. Must not know: what becomes of it.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tests.unit.kube_cluster import endpoint, port, service, slice_of

NAMES = ("a", "b")
NAMESPACES = ("x", "x", "x", "y")
NODES = ("n1", "n2", None)
CONDITION = st.sampled_from([None, True, False])
EXTERNAL = ("203.0.113.1", "203.0.113.2", "2001:db8::1", "172.18.0.2", "127.0.0.1", "10.96.0.1", "odd")
RANGES = ("198.51.100.0/24", "172.18.0.0/16", "0.0.0.0/0", "2001:db8:5::/64", "fc00::/64", "odd")
CLUSTER_IPS = (("10.96.0.1",), ("10.96.0.2",), ("10.96.0.3", "fd96::3"), ("fd96::4", "10.96.0.4"), ("fd96::1",))


PORT_NAMES = st.sampled_from(["http", "http", ""])
PROTOCOLS = st.sampled_from(["TCP", "TCP", "UDP", "SCTP"])


def several(values: Any, most: int = 3) -> st.SearchStrategy[list[Any]]:
    return st.lists(st.sampled_from(values), max_size=most)


@st.composite
def ports(draw: st.DrawFn) -> dict[str, Any]:
    return port(
        draw(st.sampled_from([80, 81, 30080])),
        draw(PORT_NAMES),
        draw(PROTOCOLS),
        nodePort=draw(st.sampled_from([0, 30080, 30081])),
    )


INGRESS = st.sampled_from(
    [*EXTERNAL, {"hostname": "lb"}, {"ip": "203.0.113.3", "ipMode": "Proxy"}, {"ip": "203.0.113.3", "ipMode": "VIP"}]
)
POLICY = st.sampled_from(["Cluster", "Local"])
LABELS = st.sampled_from([{}, {}, {}, {}, {}, {"service.kubernetes.io/service-proxy-name": "x"}])
ANNOTATIONS = st.sampled_from(
    [
        {},
        {},
        {"ipvskit/scheduler": "mh"},
        {"ipvskit/forwarding": "tunnel", "ipvskit/drain-seconds": "5"},
        {"ipvskit/weight": "x"},
    ]
)


@st.composite
def services(draw: st.DrawFn) -> dict[str, Any]:
    return service(
        draw(st.sampled_from(NAMES)),
        draw(st.sampled_from(CLUSTER_IPS)),
        namespace=draw(st.sampled_from(NAMESPACES)),
        created=draw(st.sampled_from(["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z", ""])),
        ports=draw(st.lists(ports(), min_size=1, max_size=2)),
        ingress=draw(st.lists(INGRESS, max_size=2)),
        labels=draw(LABELS),
        annotations=draw(ANNOTATIONS),
        type=draw(st.sampled_from(["ClusterIP", "NodePort", "LoadBalancer", "LoadBalancer", "ExternalName"])),
        externalIPs=draw(several(EXTERNAL)),
        loadBalancerSourceRanges=draw(several(RANGES)),
        internalTrafficPolicy=draw(POLICY),
        externalTrafficPolicy=draw(POLICY),
        sessionAffinity=draw(st.sampled_from(["None", "ClientIP"])),
        healthCheckNodePort=draw(st.sampled_from([0, 32000])),
    )


@st.composite
def endpoints(draw: st.DrawFn, family: str) -> dict[str, Any]:
    last = draw(st.integers(1, 4))
    more = {name: draw(CONDITION) for name in ("ready", "serving", "terminating")}
    hints = {"zones": draw(several(["a", "b"], 2)), "nodes": draw(several(["n1", "n2"], 2))}
    address = f"10.0.0.{last}" if family == "IPv4" else f"fd00::{last}"
    return endpoint(
        address, draw(st.sampled_from(NODES)), **more, **{name: held for name, held in hints.items() if held}
    )


@st.composite
def slices(draw: st.DrawFn) -> dict[str, Any]:
    family = draw(st.sampled_from(["IPv4", "IPv4", "IPv4", "IPv6"]))
    of_slice = st.fixed_dictionaries(
        {"name": PORT_NAMES | st.none(), "protocol": PROTOCOLS, "port": st.sampled_from([80, 8080, 8080, 0])}
    )
    return slice_of(
        draw(st.sampled_from(NAMES)),
        *draw(st.lists(endpoints(family), min_size=1, max_size=4)),
        name=draw(st.sampled_from(["s1", "s2", "s3", "s4"])),
        namespace=draw(st.sampled_from(NAMESPACES)),
        ports=draw(st.lists(of_slice, min_size=1, max_size=3)),
        family=family,
        labels=draw(LABELS),
        annotations=draw(st.sampled_from([{}, {"ipvskit/weight": "7"}])),
    )


BROKEN = st.sampled_from(
    [
        {"kind": "Service", "metadata": {"name": "a", "namespace": "x"}, "spec": {"clusterIP": "odd"}},
        {"kind": "EndpointSlice", "metadata": {"name": "s1", "namespace": "x", "labels": 7}},
        {"kind": "Service"},
    ]
)
OBJECTS = st.one_of(services(), services(), slices(), slices(), slices(), BROKEN)


def identity(found: dict[str, Any]) -> tuple[Any, ...]:
    metadata = found.get("metadata", {})
    return found["kind"], metadata.get("namespace"), metadata.get("name")


@st.composite
def applications(draw: st.DrawFn) -> list[dict[str, Any]]:
    """A Service with slices that are made for it."""
    made = draw(services())
    spec, metadata = made["spec"], made["metadata"]
    of_slice = [{"name": each["name"], "protocol": each["protocol"], "port": 8080} for each in spec["ports"]]
    found = [made]
    for number, family in enumerate(draw(st.lists(st.sampled_from(spec["ipFamilies"]), min_size=1, max_size=2))):
        found.append(
            slice_of(
                metadata["name"],
                *draw(st.lists(endpoints(family), min_size=1, max_size=4)),
                name=f"{metadata['name']}-{number}",
                namespace=metadata["namespace"],
                ports=of_slice,
                family=family,
            )
        )
    return found


def together(pieces: list[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Each object once, the last one of those with one identity."""
    return list({identity(each): each for piece in pieces for each in piece}.values())


def clusters(most: int = 4) -> st.SearchStrategy[list[dict[str, Any]]]:
    piece = st.one_of(applications(), applications(), OBJECTS.map(lambda each: [each]))
    return st.lists(piece, max_size=most).map(together)
