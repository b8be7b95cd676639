"""Examples for the node's addresses, health checks, conflicts and annotations.

Knows: kube-proxy's rules and what ipvskit adds, worked out by hand. Must not know: who translates.
"""

from __future__ import annotations

from typing import Any

from tests.unit.kube_cluster import endpoint, port, service, slice_of
from tests.unit.kube_examples import (
    BOTH,
    EXTERNAL,
    FAR,
    HERE,
    NODE,
    THERE,
    VIP,
    Example,
    Object,
    balancer_service,
    named_port,
    node_port_service,
)
from tests.unit.kube_examples_kinds import LOCAL, ON_EXTERNAL, PLACES

__all__ = ["surroundings"]

#: A node with more addresses: of several interfaces, secondary, on the loopback interface, link-local, and already on the device.
WIDE = NODE | {
    "addresses": {
        "eth0": ["fe80::2/64", "172.18.0.2/16", "172.18.0.3/16", "fc00::2/64"],
        "lo": ["127.0.0.1/8", "::1/128", "192.0.2.1/32"],
        "eth1": ["192.168.0.2/24"],
        "kube-ipvs0": ["10.96.0.10/32", "203.0.113.1/32", "fd96::10/128"],
    }
}


# --- 2.6, 2.7 and 2.8 ---------------------------------------------------------------------------------------------------------------


def node_addresses() -> list[Example]:
    four, six = ["172.18.0.2", "172.18.0.3", "192.0.2.1", "192.168.0.2"], ["fc00::2"]
    rows: list[tuple[str, list[str], list[str], list[str]]] = [
        ("unset", [], four, six),
        ("everything", ["0.0.0.0/0", "::/0"], four, six),
        ("everything of one family", ["192.168.0.0/16", "::/0"], ["192.168.0.2"], six),
        ("one of them is everything", ["192.168.0.0/16", "0.0.0.0/0"], four, six),
        ("the other family only", ["192.168.0.0/16"], ["192.168.0.2"], six),
        ("secondary addresses", ["172.18.0.3/32"], ["172.18.0.3"], six),
        ("loopback", ["127.0.0.0/8", "::1/128"], [], []),
        ("addresses of the device", ["10.96.0.0/16", "203.0.113.0/24", "fd96::/64"], [], []),
        ("link-local", ["fe80::/10"], four, []),
        ("nowhere", ["198.18.0.0/15"], [], six),
        ("primary", ["primary"], ["172.18.0.2"], six),
    ]
    both = node_port_service(ips=("10.96.0.10", "fd96::10"))
    found = []
    for name, asked, ours, theirs in rows:
        keys = [f"{each}:30080/tcp" for each in ours] + [f"[{each}]:30080/tcp" for each in theirs]
        wanted: Object = {
            "services": sorted([VIP, "[fd96::10]:80/tcp", *keys]),
            "KUBE-NODE-PORT-TCP": ["30080"] if ours else [],
            "KUBE-6-NODE-PORT-TCP": ["30080"] if theirs else [],
            "bound": ["10.96.0.10", "fd96::10"],
        }
        found.append(Example("2.6", name, [both], wanted, WIDE, {"node_port_addresses": asked}))
    named = WIDE | {"primary": ["172.18.0.3"]}
    wanted = {"services": [VIP, "172.18.0.3:30080/tcp"]}
    found.append(
        Example("2.6", "a named primary", [node_port_service()], wanted, named, {"node_port_addresses": ["primary"]})
    )
    return found


def bound_addresses() -> list[Example]:
    own = ["172.18.0.2:80/tcp", VIP]
    refused: Object = {"capture_node_addresses": False}
    return [
        Example("2.7", name, [given, BOTH], wanted, WIDE, settings)
        for name, given, wanted, settings in (
            (
                "an external IP of the node",
                service(externalIPs=["172.18.0.2"]),
                {"services": sorted(own), "bound": ["10.96.0.10"]},
                {},
            ),
            ("one on the loopback interface", service(externalIPs=["192.0.2.1"]), {"bound": ["10.96.0.10"]}, {}),
            ("a load balancer's", balancer_service(ingress=["172.18.0.3"]), {"bound": ["10.96.0.10"]}, {}),
            (
                "one that is on the device",
                service(externalIPs=["203.0.113.1"]),
                {"bound": ["10.96.0.10", "203.0.113.1"]},
                {},
            ),
            (
                "none is to be captured",
                service(externalIPs=["172.18.0.2"]),
                {"services": [VIP], "KUBE-EXTERNAL-IP": []},
                refused,
            ),
        )
    ] + [
        Example(
            "2.7",
            "an address of several Services",
            [
                service(externalIPs=["203.0.113.1"]),
                service("api", ("10.96.0.11",), externalIPs=["203.0.113.1"], ports=[port(81)]),
            ],
            {"bound": ["10.96.0.10", "10.96.0.11", "203.0.113.1"], "losers": []},
        )
    ]


def health_checks() -> list[Example]:
    asked: Object = {"healthCheckNodePort": 32000, "ports": [port(nodePort=30080)], **LOCAL}
    web = ("default", "web")
    leaving = endpoint("10.0.0.1", "n1", ready=False, terminating=True)
    bare = NODE | {"addresses": {"lo": ["127.0.0.1/8"]}}
    two = slice_of("web", HERE, endpoint("10.0.0.3", "n1"))
    several: Object = {"ports": [port(nodePort=30080), port(81, "admin", nodePort=30081)]}
    both_ports = slice_of("web", HERE, ports=[named_port(), named_port(number=9000, name="admin")])
    rows: list[tuple[str, Object, Object, Object, tuple[int, int] | None]] = [
        ("one here", balancer_service(**asked), BOTH, NODE, (32000, 1)),
        ("two here", balancer_service(**asked), two, NODE, (32000, 2)),
        ("one with two ports", balancer_service(**(asked | several)), both_ports, NODE, (32000, 1)),
        ("none here", balancer_service(**asked), FAR, NODE, (32000, 0)),
        ("one that terminates", balancer_service(**asked), slice_of("web", leaving), NODE, (32000, 0)),
        ("a node without addresses", balancer_service(**asked), BOTH, bare, (32000, 1)),
        ("not local", balancer_service(**(asked | {"externalTrafficPolicy": "Cluster"})), BOTH, NODE, None),
        ("no port", balancer_service(**(asked | {"healthCheckNodePort": 0})), BOTH, NODE, None),
        ("no load balancer", service(**(asked | {"type": "NodePort"})), BOTH, NODE, None),
    ]
    return [
        Example(
            "2.8",
            name,
            [given, slices],
            {
                "health": {} if found is None else {web: found},
                "KUBE-HEALTH-CHECK-NODE-PORT": [] if found is None else ["32000"],
            },
            node,
        )
        for name, given, slices, node, found in rows
    ]


# --- 2.9 ----------------------------------------------------------------------------------------------------------------------------


def conflicts() -> list[Example]:
    def one(name: str, last: int, created: str | None, **more: Any) -> Object:
        made = service(name, (f"10.96.0.{last}",), externalIPs=["203.0.113.1"], **more)
        made["metadata"]["creationTimestamp"] = created
        return made

    old, new = "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"
    slices = [slice_of("web", HERE), slice_of("api", THERE)]
    web, api = (
        {EXTERNAL: ["10.0.0.1:8080"], "losers": ["default/api"]},
        {EXTERNAL: ["10.0.0.2:8080"], "losers": ["default/web"]},
    )
    rows: list[tuple[str, Object, Object, Object]] = [
        ("the older one has it", one("web", 10, old), one("api", 11, new), web),
        ("the older one has it, whatever its name", one("web", 10, new), one("api", 11, old), api),
        ("of the same age, the first by name", one("web", 10, old), one("api", 11, old), api),
        ("one without an age comes last", one("web", 10, new), one("api", 11, None), web),
        (
            "the loser has no entries for it",
            one("web", 10, old),
            one("api", 11, new, **LOCAL),
            {
                "KUBE-EXTERNAL-IP": [ON_EXTERNAL],
                "KUBE-EXTERNAL-IP-LOCAL": [],
                "KUBE-LOOP-BACK": ["10.0.0.1,tcp:8080,10.0.0.1"],
                "services": [VIP, "10.96.0.11:80/tcp", EXTERNAL],
            },
        ),
        ("another protocol", one("web", 10, old), one("api", 11, new, ports=[port(protocol="UDP")]), {"losers": []}),
        ("another port", one("web", 10, old), one("api", 11, new, ports=[port(81)]), {"losers": []}),
    ]
    return [Example("2.9", name, [first, second, *slices], wanted) for name, first, second, wanted in rows]


# --- annotations --------------------------------------------------------------------------------------------------------------------


def wishes() -> list[Example]:
    def asked(service_port: int = 80, **wanted: str) -> Object:
        names = {f"ipvskit/{name.replace('_', '-')}": text for name, text in wanted.items()}
        return service(annotations=names, externalIPs=["203.0.113.1"], ports=[port(service_port)])

    def weighty(weight: str, name: str, *endpoints: Object) -> Object:
        return slice_of("web", *endpoints, name=name, annotations={"ipvskit/weight": weight})

    same = slice_of("web", HERE, ports=[named_port(number=80)])
    mh: Object = {"scheduler": "mh"}
    on = EXTERNAL
    rows: list[tuple[str, list[Object], Object, Object]] = [
        ("a scheduler", [asked(scheduler="wlc")], {}, {f"{VIP} scheduler": "wlc", f"{VIP} flags": []}),
        ("mh for one", [asked(scheduler="mh")], {}, {f"{VIP} scheduler": "mh", f"{VIP} flags": ["mh-port"]}),
        ("rr for one", [asked(scheduler="rr")], mh, {f"{VIP} scheduler": "rr", f"{VIP} flags": []}),
        ("a name that cannot be", [asked(scheduler="much-too-long-a-name")], mh, {f"{VIP} scheduler": "mh"}),
        ("flags are the whole list", [asked(sched_flags="mh-fallback")], mh, {f"{VIP} flags": ["mh-fallback"]}),
        ("no flags", [asked(sched_flags="")], mh, {f"{VIP} flags": []}),
        ("several flags", [asked(sched_flags="mh-port,mh-fallback")], mh, {f"{VIP} flags": ["mh-fallback", "mh-port"]}),
        ("flags of another scheduler", [asked(sched_flags="sh-port")], mh, {f"{VIP} flags": ["mh-port"]}),
        ("a weight", [asked(weight="7"), BOTH], {}, {f"{VIP} weights": dict.fromkeys(PLACES, 7)}),
        ("weight 0", [asked(weight="0"), BOTH], {}, {f"{VIP} weights": dict.fromkeys(PLACES, 0)}),
        ("a weight that cannot be", [asked(weight="-1"), BOTH], {}, {f"{VIP} weights": dict.fromkeys(PLACES, 1)}),
        (
            "a slice's weight",
            [asked(weight="7"), weighty("3", "a", HERE, THERE)],
            {},
            {f"{VIP} weights": dict.fromkeys(PLACES, 3)},
        ),
        (
            "a slice's weight 0",
            [asked(weight="7"), weighty("0", "a", HERE, THERE)],
            {},
            {f"{VIP} weights": dict.fromkeys(PLACES, 0)},
        ),
        (
            "a slice's that cannot be",
            [asked(weight="7"), weighty("x", "a", HERE, THERE)],
            {},
            {f"{VIP} weights": dict.fromkeys(PLACES, 7)},
        ),
        (
            "the first slice that says a weight",
            [
                asked(),
                slice_of("web", HERE, name="a"),
                weighty("3", "b", HERE | {"nodeName": "n2"}),
                weighty("4", "c", HERE),
            ],
            {},
            {f"{VIP} weights": {"10.0.0.1:8080": 3}, "KUBE-LOOP-BACK": ["10.0.0.1,tcp:8080,10.0.0.1"]},
        ),
        ("time to drain", [asked(drain_seconds="30"), BOTH], {}, {f"{VIP} drain": 30, f"{on} drain": 30}),
        ("a time that cannot be", [asked(drain_seconds="soon"), BOTH], {}, {f"{VIP} drain": None}),
        (
            "direct routing",
            [asked(forwarding="direct-route"), same],
            {},
            {f"{on} forwarding": ["direct-route"], "KUBE-EXTERNAL-IP": []},
        ),
        ("cluster IPs masquerade", [asked(forwarding="direct-route"), same], {}, {f"{VIP} forwarding": ["masquerade"]}),
        (
            "tunnels",
            [asked(forwarding="tunnel"), same],
            {},
            {f"{on} forwarding": ["tunnel"], "KUBE-EXTERNAL-IP-LOCAL": [ON_EXTERNAL]},
        ),
        (
            "no direct routing to another port",
            [asked(forwarding="direct-route"), BOTH],
            {},
            {f"{on} forwarding": ["masquerade"], "KUBE-EXTERNAL-IP": [ON_EXTERNAL]},
        ),
        ("a method that cannot be", [asked(forwarding="bypass"), same], {}, {f"{on} forwarding": ["masquerade"]}),
    ]
    return [Example("annotations", name, given, wanted, settings=settings) for name, given, settings, wanted in rows]


def surroundings() -> list[Example]:
    """Sections 2.6 to 2.9, and annotations."""
    return [*node_addresses(), *bound_addresses(), *health_checks(), *conflicts(), *wishes()]
