"""Examples for every row of the specification's tables: clusters, and what is to be seen of what a node then has.

Knows: kube-proxy's rules, worked out by hand. Must not know: who translates (`look` takes what any translation has).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.property.kube_expected import Expected
from tests.unit.kube_cluster import endpoint, port, service, slice_of

__all__ = [
    "BALANCER",
    "BOTH",
    "EXTERNAL",
    "FAR",
    "HERE",
    "NOBODY",
    "NODE",
    "NODE_PORT",
    "THERE",
    "VIP",
    "Example",
    "balancer_service",
    "choosing",
    "look",
    "named_port",
    "node_port_service",
]

Object = dict[str, Any]

VIP, EXTERNAL, BALANCER, NODE_PORT = (
    "10.96.0.10:80/tcp",
    "203.0.113.1:80/tcp",
    "203.0.113.9:80/tcp",
    "172.18.0.2:30080/tcp",
)
NODE: Object = {
    "name": "n1",
    "addresses": {"lo": ["127.0.0.1/8", "::1/128"], "eth0": ["172.18.0.2/16", "fc00::2/64", "fe80::2/64"]},
    "labels": {"topology.kubernetes.io/zone": "a"},
}
#: One endpoint here and one elsewhere, for the cluster policy and the local one.
HERE, THERE = endpoint("10.0.0.1", "n1"), endpoint("10.0.0.2", "n2")
BOTH = slice_of("web", HERE, THERE)
FAR = slice_of("web", THERE)
ALL, LOCAL, ELSEWHERE, NOBODY = ["10.0.0.1:8080", "10.0.0.2:8080"], ["10.0.0.1:8080"], ["10.0.0.2:8080"], list[str]()
LEAVING = {"ready": False, "serving": True, "terminating": True}


@dataclass(frozen=True, slots=True)
class Example:
    """A cluster, and what is to be seen: see `look` for the names."""

    section: str
    name: str
    objects: Sequence[Object]
    wanted: Object
    node: Object = field(default_factory=lambda: NODE)
    settings: Object = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.section} {self.name}"


def look(found: Expected, what: str) -> Any:
    """One thing by its name.

    "services", "bound", "drops", "filled" (sets that have entries), "health", "losers", the name of a set, the key of a service for its real servers;
    behind a key and a space "scheduler", "flags", "timeout", "drain", "weights" or "forwarding".
    """
    services = {key: each for family in found.passes.values() for key, each in family.services.items()}
    sets = {name: entries for family in found.passes.values() for name, entries in family.sets.items()}
    if what in {"bound", "drops"}:
        return sorted(each for family in found.passes.values() for each in getattr(family, what))
    if what == "filled":
        return sorted(name.removeprefix("KUBE-") for name, entries in sets.items() if entries)
    plain = {"services": sorted(services), "health": found.health, "losers": sorted(found.losers)}
    if what in plain:
        return plain[what]
    if what in sets:
        return sorted(sets[what])
    key, _, attribute = what.partition(" ")
    virtual = services[key]
    if attribute == "weights":
        return {place: real.weight for place, real in sorted(virtual.reals.items())}
    if attribute == "forwarding":
        return sorted({real.forwarding for real in virtual.reals.values()})
    if attribute == "flags":
        return sorted(virtual.flags)
    return getattr(virtual, attribute) if attribute else sorted(virtual.reals)


def named_port(protocol: str = "TCP", number: int = 8080, name: str | None = "http") -> Object:
    return {"name": name, "protocol": protocol, "port": number}


def cluster_service(**more: Any) -> Object:
    return service(**more)


def node_port_service(protocol: str = "TCP", node_port: int = 30080, **more: Any) -> Object:
    return service(type="NodePort", ports=[port(protocol=protocol, nodePort=node_port)], **more)


def balancer_service(**more: Any) -> Object:
    return service(**{"type": "LoadBalancer", "ingress": ["203.0.113.9"]} | more)


# --- 2.1 ----------------------------------------------------------------------------------------------------------------------------

IN_FORCE: Object = {"services": [VIP], VIP: ALL}
SKIPPED: Object = {"services": [], "bound": [], "filled": [], "health": {}}


def which_objects_count() -> list[Example]:
    proxied, headless = "service.kubernetes.io/service-proxy-name", "service.kubernetes.io/headless"
    rows: list[tuple[str, list[Object], Object]] = [
        ("a plain one", [service(), BOTH], IN_FORCE),
        ("another proxy's", [service(labels={proxied: "other"}), BOTH], SKIPPED),
        ("another proxy's, with no name", [service(labels={proxied: ""}), BOTH], SKIPPED),
        ("labelled headless", [service(labels={headless: ""}), BOTH], SKIPPED),
        ("a slice of another proxy's", [service(), slice_of("web", HERE, labels={proxied: "x"})], {VIP: NOBODY}),
        ("a slice labelled headless", [service(), slice_of("web", HERE, labels={headless: ""})], {VIP: NOBODY}),
        ("headless", [service(ips=("None",)), BOTH], SKIPPED),
        ("no cluster IP yet", [service(clusterIP="", clusterIPs=[]), BOTH], SKIPPED),
        ("external name", [service(type="ExternalName"), BOTH], SKIPPED),
        ("a slice in another namespace", [service(), slice_of("web", HERE, namespace="other")], {VIP: NOBODY}),
        ("a slice of another Service", [service(), slice_of("api", HERE)], {VIP: NOBODY}),
        ("another protocol", [service(), slice_of("web", HERE, ports=[named_port("UDP")])], {VIP: NOBODY}),
        ("another port name", [service(), slice_of("web", HERE, ports=[named_port(name="x")])], {VIP: NOBODY}),
        ("the target port is not looked at", [service(ports=[port(targetPort=1)]), BOTH], IN_FORCE),
        ("families by position", [service(ips=("fd96::1", "10.96.0.10"))], {"services": [VIP, "[fd96::1]:80/tcp"]}),
        ("no families", [service(ipFamilies=None), BOTH], IN_FORCE),
        ("no families, of two addresses", [service(ips=("10.96.0.10", "fd96::1"), ipFamilies=[])], {"services": [VIP]}),
        ("two families, one address", [service(ipFamilies=["IPv4", "IPv6"]), BOTH], IN_FORCE),
        (
            "outside addresses of a family without cluster IP",
            [balancer_service(externalIPs=["2001:db8::1"], ingress=["2001:db8::9"])],
            {"services": [VIP]},
        ),
    ]
    return [Example("2.1", *row) for row in rows]


# --- 2.2 ----------------------------------------------------------------------------------------------------------------------------


def merging() -> list[Example]:
    unnamed = service(ports=[port(name="")])
    nowhere = {VIP: NOBODY}
    rows: list[tuple[str, list[Object], Object]] = [
        ("a null port name", [unnamed, slice_of("web", HERE, ports=[named_port(name=None)])], nowhere),
        ("an empty port name", [unnamed, slice_of("web", HERE, ports=[named_port(name="")])], {VIP: LOCAL}),
        ("a null port", [service(), slice_of("web", HERE, ports=[named_port() | {"port": None}])], nowhere),
        ("port 0", [service(), slice_of("web", HERE, ports=[named_port(number=0)])], nowhere),
        ("null ports", [service(), slice_of("web", HERE) | {"ports": None}], nowhere),
        (
            "a null protocol",
            [service(), slice_of("web", HERE, ports=[named_port() | {"protocol": None}])],
            {VIP: LOCAL},
        ),
        ("the other family", [service(), slice_of("web", endpoint("fd00::1"), family="IPv6")], nowhere),
        ("names for addresses", [service(), slice_of("web", endpoint("a.example"), family="FQDN")], nowhere),
        (
            "several addresses",
            [service(), slice_of("web", HERE | {"addresses": ["10.0.0.1", "10.0.0.9"]})],
            {VIP: LOCAL},
        ),
        ("no address", [service(), slice_of("web", HERE | {"addresses": []}, THERE)], {VIP: ELSEWHERE}),
        (
            "the local sighting wins",
            [service(), slice_of("web", endpoint("10.0.0.1", "n2"), name="a"), slice_of("web", HERE, name="b")],
            {VIP: LOCAL, "KUBE-LOOP-BACK": ["10.0.0.1,tcp:8080,10.0.0.1"]},
        ),
        (
            "a local sighting wins, though it cannot be used",
            [
                service(),
                slice_of("web", endpoint("10.0.0.1", "n1", ready=False)),
                slice_of("web", endpoint("10.0.0.1"), name="b"),
            ],
            {VIP: NOBODY, "KUBE-LOOP-BACK": ["10.0.0.1,tcp:8080,10.0.0.1"]},
        ),
        (
            "one Service's slices together",
            [
                service(),
                slice_of("web", HERE, name="a"),
                slice_of("web", THERE, name="b", ports=[named_port(number=81)]),
            ],
            {VIP: ["10.0.0.1:8080", "10.0.0.2:81"]},
        ),
    ]
    rows += [
        (
            f"no endpoint can be {text}",
            [service(), slice_of("web", endpoint(text, "n1"))],
            nowhere | {"KUBE-LOOP-BACK": []},
        )
        for text in ("127.0.0.1", "0.0.0.0", "169.254.1.1", "224.0.0.1", "nonsense")
    ]
    for ready, serving, terminating, used in (
        (None, None, None, True),
        (None, False, True, True),
        (True, None, None, True),
        (False, None, None, False),
        (False, None, True, True),
        (False, True, True, True),
        (False, False, True, False),
        (False, True, False, False),
    ):
        given = endpoint("10.0.0.1", "n1", ready=ready, serving=serving, terminating=terminating)
        wanted: Object = {VIP: LOCAL if used else NOBODY, "KUBE-LOOP-BACK": ["10.0.0.1,tcp:8080,10.0.0.1"]}
        rows.append(
            (
                f"ready {ready}, serving {serving}, terminating {terminating}",
                [service(), slice_of("web", given)],
                wanted,
            )
        )
    for node, local in (("n1", True), ("n2", False), (None, False)):
        wanted = {"KUBE-LOOP-BACK": ["10.0.0.1,tcp:8080,10.0.0.1"] if local else []}
        rows.append((f"on {node}", [service(), slice_of("web", endpoint("10.0.0.1", node))], wanted))
    return [Example("2.2", *row) for row in rows]


# --- 2.3 ----------------------------------------------------------------------------------------------------------------------------


def hinted(*hints: Object) -> Object:
    """Endpoints 10.0.0.1, 10.0.0.2 and so on."""
    return slice_of("web", *(endpoint(f"10.0.0.{last}", "n2", **more) for last, more in enumerate(hints, 1)))


def topology() -> list[Example]:
    here, there = {"nodes": ["n1"]}, {"nodes": ["n2"]}
    near, far = {"zones": ["a"]}, {"zones": ["b"]}
    no_zone = NODE | {"labels": {}}
    first, everybody = LOCAL, ALL
    rows: list[tuple[str, Object, Object, Object]] = [
        ("nodes, one is this one", hinted(here, there), {VIP: first}, NODE),
        ("nodes, none is this one", hinted(there, there), {VIP: everybody}, NODE),
        ("nodes, but not all have them", hinted(here, {}), {VIP: everybody}, NODE),
        ("zones, one is this one", hinted(near, far), {VIP: first}, NODE),
        ("zones, none is this one", hinted(far, far), {VIP: everybody}, NODE),
        ("zones, but not all have them", hinted(near, {}), {VIP: everybody}, NODE),
        ("zones, and the node has none", hinted(near, far), {VIP: everybody}, no_zone),
        ("nodes go before zones", hinted(here | far, there | near), {VIP: first}, NODE),
        ("zones where no node fits", hinted(there | near, there | far), {VIP: first}, NODE),
        ("several zones", hinted({"zones": ["b", "a"]}, far), {VIP: first}, NODE),
        ("one that is not ready has no say", hinted(near, far, {"ready": False}), {VIP: first}, NODE),
        ("terminating ones are not narrowed", hinted(near | LEAVING, far | LEAVING), {VIP: everybody}, NODE),
    ]
    rows.append(
        (
            "only the hints of ready ones count",
            hinted({"zones": ["a"], "ready": False, "serving": False}, far),
            {VIP: ELSEWHERE},
            NODE,
        )
    )
    return [Example("2.3", f"topology: {name}", [service(), given], wanted, node) for name, given, wanted, node in rows]


def policies() -> list[Example]:
    """(name, the Service, settings, what each address has with an endpoint here, and what without)."""
    internal: Object = {"internalTrafficPolicy": "Local"}
    external: Object = {"externalTrafficPolicy": "Local"}
    outside = {"externalIPs": ["203.0.113.1"]}
    leak, shut = {"internal_fallback": True}, {"external_fallback": False}
    rows: list[tuple[str, Object, Object, Object, Object]] = [
        ("cluster", cluster_service(), {}, {VIP: ALL}, {VIP: ELSEWHERE}),
        ("internal local", cluster_service(**internal), {}, {VIP: LOCAL}, {VIP: NOBODY}),
        ("internal local stays shut", cluster_service(**internal), leak, {VIP: LOCAL}, {VIP: NOBODY}),
        ("external local counts for nothing", cluster_service(**external), {}, {VIP: ALL}, {VIP: ELSEWHERE}),
        (
            "node port, internal local",
            node_port_service(**internal),
            {},
            {VIP: LOCAL, NODE_PORT: ALL},
            {VIP: NOBODY, NODE_PORT: ELSEWHERE},
        ),
        (
            "node port, internal local that leaks",
            node_port_service(**internal),
            leak,
            {VIP: LOCAL, NODE_PORT: ALL},
            {VIP: ELSEWHERE, NODE_PORT: ELSEWHERE},
        ),
        (
            "node port, external local",
            node_port_service(**external),
            {},
            {VIP: ALL, NODE_PORT: LOCAL},
            {VIP: ELSEWHERE, NODE_PORT: ELSEWHERE},
        ),
        (
            "node port, external local without fallback",
            node_port_service(**external),
            shut,
            {VIP: ALL, NODE_PORT: LOCAL},
            {VIP: ELSEWHERE, NODE_PORT: NOBODY},
        ),
        (
            "balancer, both local",
            balancer_service(**internal, **external),
            {},
            {VIP: LOCAL, BALANCER: LOCAL},
            {VIP: NOBODY, BALANCER: ELSEWHERE},
        ),
        (
            "external IP, external local",
            cluster_service(**outside, **external),
            {},
            {VIP: ALL, EXTERNAL: LOCAL},
            {VIP: ELSEWHERE, EXTERNAL: ELSEWHERE},
        ),
        (
            "external IP, internal local",
            cluster_service(**outside, **internal),
            {},
            {VIP: LOCAL, EXTERNAL: ALL},
            {VIP: NOBODY, EXTERNAL: ELSEWHERE},
        ),
    ]
    found = []
    for name, given, settings, with_local, without in rows:
        found.append(Example("2.3", f"{name}, one here", [given, BOTH], with_local, settings=settings))
        found.append(Example("2.3", f"{name}, none here", [given, FAR], without, settings=settings))
    return found


def local_lists() -> list[Example]:
    external: Object = {"externalTrafficPolicy": "Local"}
    leaving, gone = endpoint("10.0.0.1", "n1", **LEAVING), endpoint("10.0.0.1", "n1", ready=False, serving=False)
    far_hint = endpoint("10.0.0.1", "n1", zones=["b"])
    near_hint = endpoint("10.0.0.2", "n2", zones=["a"])
    return [
        Example("2.3", name, [node_port_service(**external), slice_of("web", *given)], wanted)
        for name, given, wanted in (
            ("a local one that terminates", [leaving, THERE], {VIP: ELSEWHERE, NODE_PORT: LOCAL}),
            ("a local one that is gone", [gone, THERE], {VIP: ELSEWHERE, NODE_PORT: ELSEWHERE}),
            ("the local list is not narrowed", [far_hint, near_hint], {VIP: ELSEWHERE, NODE_PORT: LOCAL}),
            (
                "nobody is ready anywhere",
                [leaving, endpoint("10.0.0.2", "n2", **LEAVING)],
                {VIP: ALL, NODE_PORT: LOCAL},
            ),
        )
    ]


def choosing() -> list[Example]:
    """Sections 2.1 to 2.3."""
    return [*which_objects_count(), *merging(), *topology(), *policies(), *local_lists()]
