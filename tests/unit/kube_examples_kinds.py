"""Examples for the kinds of Services and the sets.

Knows: kube-proxy's rules, worked out by hand. Must not know: who translates.
"""

from __future__ import annotations

from typing import Any

from tests.unit.kube_cluster import endpoint, port, service, slice_of
from tests.unit.kube_examples import (
    BALANCER,
    BOTH,
    EXTERNAL,
    HERE,
    NODE_PORT,
    THERE,
    VIP,
    Example,
    Object,
    balancer_service,
    named_port,
    node_port_service,
)

__all__ = ["kinds"]

LOCAL: Object = {"externalTrafficPolicy": "Local"}
ENTRY, ON_EXTERNAL, ON_BALANCER = "10.96.0.10,tcp:80", "203.0.113.1,tcp:80", "203.0.113.9,tcp:80"
PLACES = ("10.0.0.1:8080", "10.0.0.2:8080")


# --- 2.4 ----------------------------------------------------------------------------------------------------------------------------


def attributes() -> list[Example]:
    def affine(config: Any) -> Object:
        return service(sessionAffinity="ClientIP", sessionAffinityConfig=config)

    plain = service()
    rows: list[tuple[str, Object, Object, Object]] = [
        ("defaults", plain, {}, {"scheduler": "rr", "flags": [], "timeout": None, "drain": None}),
        ("no scheduler is rr", plain, {"scheduler": ""}, {"scheduler": "rr", "flags": []}),
        ("a scheduler for all", plain, {"scheduler": "wlc"}, {"scheduler": "wlc", "flags": []}),
        ("mh has a flag", plain, {"scheduler": "mh"}, {"scheduler": "mh", "flags": ["mh-port"]}),
        ("sh has none", plain, {"scheduler": "sh"}, {"scheduler": "sh", "flags": []}),
        ("affinity", affine({"clientIP": {"timeoutSeconds": 60}}), {}, {"timeout": 60}),
        ("affinity without a timeout", affine({"clientIP": {}}), {}, {"timeout": 10800}),
        ("affinity with a null timeout", affine({"clientIP": {"timeoutSeconds": None}}), {}, {"timeout": 10800}),
        ("affinity and no more", affine(None), {}, {"timeout": 10800}),
        ("no affinity", service(sessionAffinity="None"), {}, {"timeout": None}),
        ("weights and forwarding", plain, {}, {"weights": dict.fromkeys(PLACES, 1), "forwarding": ["masquerade"]}),
    ]
    return [
        Example(
            "2.4", name, [given, BOTH], {f"{VIP} {what}": value for what, value in wanted.items()}, settings=settings
        )
        for name, given, settings, wanted in rows
    ] + [Example("2.4", "no real servers, and there all the same", [plain], {"services": [VIP], VIP: []})]


# --- 2.5 and 1.2 --------------------------------------------------------------------------------------------------------------------

ALWAYS = ["CLUSTER-IP", "IPVS-IPS", "LOOP-BACK"]


def sources() -> list[Example]:
    outside: Object = {"externalIPs": ["203.0.113.1", "2001:db8::1"]}
    ingress = [
        {"ip": "203.0.113.9"},
        {"ip": "203.0.113.10", "ipMode": "VIP"},
        {"ip": "203.0.113.11", "ipMode": "Proxy"},
        {"hostname": "lb.example"},
        {"ip": "2001:db8::9"},
    ]
    rows: list[tuple[str, Object, Object]] = [
        (
            "cluster IP",
            service(),
            {
                "services": [VIP],
                "bound": ["10.96.0.10"],
                "filled": ALWAYS,
                "KUBE-CLUSTER-IP": [ENTRY],
                "KUBE-IPVS-IPS": ["10.96.0.10"],
                "KUBE-LOOP-BACK": ["10.0.0.1,tcp:8080,10.0.0.1"],
            },
        ),
        (
            "external IPs of the family",
            service(**outside),
            {
                "services": [VIP, EXTERNAL],
                "bound": ["10.96.0.10", "203.0.113.1"],
                "filled": sorted([*ALWAYS, "EXTERNAL-IP"]),
                "KUBE-EXTERNAL-IP": [ON_EXTERNAL],
            },
        ),
        (
            "external IPs, local",
            service(**outside, **LOCAL),
            {"filled": sorted([*ALWAYS, "EXTERNAL-IP-LOCAL"]), "KUBE-EXTERNAL-IP-LOCAL": [ON_EXTERNAL]},
        ),
        (
            "load balancer addresses that are handled here",
            balancer_service(ingress=ingress, loadBalancerIP="203.0.113.12"),
            {
                "services": [VIP, "203.0.113.10:80/tcp", BALANCER],
                "bound": ["10.96.0.10", "203.0.113.10", "203.0.113.9"],
                "filled": sorted([*ALWAYS, "LOAD-BALANCER"]),
                "KUBE-LOAD-BALANCER": ["203.0.113.10,tcp:80", ON_BALANCER],
            },
        ),
        (
            "load balancer, local",
            balancer_service(**LOCAL),
            {
                "filled": sorted([*ALWAYS, "LOAD-BALANCER", "LOAD-BALANCER-LOCAL"]),
                "KUBE-LOAD-BALANCER": [ON_BALANCER],
                "KUBE-LOAD-BALANCER-LOCAL": [ON_BALANCER],
            },
        ),
        (
            "a load balancer's address that is left over",
            service(ingress=["203.0.113.9"], **LOCAL),
            {"services": [VIP, BALANCER], BALANCER: list(PLACES), "KUBE-LOAD-BALANCER-LOCAL": []},
        ),
        (
            "a load balancer's address that is left over, and external IPs",
            service(ingress=["203.0.113.9"], externalIPs=["203.0.113.1"], **LOCAL),
            {BALANCER: ["10.0.0.1:8080"], EXTERNAL: ["10.0.0.1:8080"], "KUBE-LOAD-BALANCER-LOCAL": [ON_BALANCER]},
        ),
        (
            "load balancer with a node port",
            balancer_service(ports=[port(nodePort=30080)]),
            {"services": [VIP, NODE_PORT, BALANCER], "KUBE-NODE-PORT-TCP": ["30080"]},
        ),
        (
            "load balancer without one",
            balancer_service(allocateLoadBalancerNodePorts=False, ports=[port(nodePort=0)]),
            {"services": [VIP, BALANCER], "KUBE-NODE-PORT-TCP": []},
        ),
        ("the same address twice", service(externalIPs=["203.0.113.1", "203.0.113.1"]), {"services": [VIP, EXTERNAL]}),
        (
            "external and load balancer",
            balancer_service(externalIPs=["203.0.113.9"]),
            {
                "services": [VIP, BALANCER],
                "KUBE-EXTERNAL-IP": [ON_BALANCER],
                "KUBE-LOAD-BALANCER": [ON_BALANCER],
                "losers": [],
            },
        ),
        (
            "cluster and external",
            service(externalIPs=["10.96.0.10"], internalTrafficPolicy="Local"),
            {VIP: ["10.0.0.1:8080"], "KUBE-EXTERNAL-IP": [ENTRY], "bound": ["10.96.0.10"], "losers": []},
        ),
    ]
    for text in ("127.0.0.1", "0.0.0.0", "224.0.0.1", "169.254.0.9", "::1", "fe80::1", "nonsense"):
        rows.append(
            (f"no external IP can be {text}", service(externalIPs=[text]), {"services": [VIP], "filled": ALWAYS})
        )
        rows.append(
            (f"no ingress can be {text}", balancer_service(ingress=[text]), {"services": [VIP], "filled": ALWAYS})
        )
    for protocol, name in (("TCP", "TCP"), ("UDP", "UDP"), ("SCTP", "SCTP-HASH")):
        entry = "172.18.0.2,sctp:30080" if protocol == "SCTP" else "30080"
        everything, local = f"NODE-PORT-{name}", f"NODE-PORT-LOCAL-{name}"
        key = f"172.18.0.2:30080/{protocol.lower()}"
        seen: Object = {"services": [f"10.96.0.10:80/{protocol.lower()}", key], "bound": ["10.96.0.10"]}
        filled = ["CLUSTER-IP", "IPVS-IPS"]
        given = node_port_service(protocol)
        rows.append(
            (
                f"node port, {protocol}",
                given,
                seen | {"filled": sorted([*filled, everything]), f"KUBE-{everything}": [entry]},
            )
        )
        given = node_port_service(protocol, **LOCAL)
        wanted = seen | {f"KUBE-{everything}": [entry], f"KUBE-{local}": [entry]}
        rows.append((f"node port, {protocol}, local", given, wanted | {"filled": sorted([*filled, everything, local])}))
    return [
        Example("2.5", name, [given] if name.startswith("node port") else [given, BOTH], wanted)
        for name, given, wanted in rows
    ] + [
        Example(
            "1.2",
            "whoever is on this node is in the loop-back set",
            [
                service(),
                slice_of(
                    "web",
                    endpoint("10.0.0.1", "n1", ready=False, serving=False),
                    HERE | {"addresses": ["10.0.0.3"]},
                    THERE,
                ),
            ],
            {
                "KUBE-LOOP-BACK": ["10.0.0.1,tcp:8080,10.0.0.1", "10.0.0.3,tcp:8080,10.0.0.3"],
                VIP: ["10.0.0.2:8080", "10.0.0.3:8080"],
            },
        ),
        Example(
            "1.2",
            "the sets of IPv6",
            [
                service(
                    ips=("fd96::10",),
                    type="LoadBalancer",
                    ingress=["2001:db8::9"],
                    ports=[port(protocol="SCTP", nodePort=30080)],
                    loadBalancerSourceRanges=["fc00::9/64"],
                    **LOCAL,
                ),
                slice_of("web", endpoint("fd00::1", "n1"), family="IPv6", ports=[named_port("SCTP")]),
            ],
            {
                "services": ["[2001:db8::9]:80/sctp", "[fc00::2]:30080/sctp", "[fd96::10]:80/sctp"],
                "[fd96::10]:80/sctp": ["[fd00::1]:8080"],
                "KUBE-6-LOOP-BACK": ["fd00::1,sctp:8080,fd00::1"],
                "KUBE-6-LOAD-BALANCER-SOURCE-CID": ["2001:db8::9,sctp:80,fc00::/64"],
                "KUBE-6-LOAD-BALANCER-SOURCE-IP": ["2001:db8::9,sctp:80,2001:db8::9"],
                "KUBE-6-NODE-PORT-LOCAL-SCTP-HAS": ["fc00::2,sctp:30080"],
                "KUBE-6-IPVS-IPS": ["2001:db8::9", "fd96::10"],
                "drops": [],
            },
        ),
    ]


def source_ranges() -> list[Example]:
    """(name, ranges, the networks let in or None for all of them, whether the node is one of those, settings)."""
    closed, opened = {"source_ranges_fail_closed": True}, {"source_ranges_fail_closed": False}
    rows: list[tuple[str, list[str], list[str] | None, bool, Object]] = [
        ("none", [], None, False, {}),
        ("one", ["198.51.100.0/24"], ["198.51.100.0/24"], False, {}),
        ("masked", ["198.51.100.7/24"], ["198.51.100.0/24"], False, {}),
        ("trimmed", [" 198.51.100.0/24 "], ["198.51.100.0/24"], False, {}),
        ("one address", ["198.51.100.7/32"], ["198.51.100.7/32"], False, {}),
        ("the node is in it", ["172.18.0.0/16"], ["172.18.0.0/16"], True, {}),
        (
            "the node is in one of them",
            ["198.51.100.0/24", "172.18.0.2/32"],
            ["172.18.0.2/32", "198.51.100.0/24"],
            True,
            {},
        ),
        ("some that are none", ["198.51.100.0/24", "nonsense", ""], ["198.51.100.0/24"], False, {}),
        ("both families", ["198.51.100.0/24", "2001:db8::/64"], ["198.51.100.0/24"], False, {}),
        ("everybody", ["0.0.0.0/0"], None, False, {}),
        ("everybody, beside others", ["198.51.100.0/24", "0.0.0.0/0"], None, False, {}),
        ("everybody of the other family", ["198.51.100.0/24", "::/0"], ["198.51.100.0/24"], False, {}),
        ("all of the other family", ["2001:db8::/64"], [], False, {}),
        ("all of the other family, shut", ["2001:db8::/64"], [], False, closed),
        ("all of the other family, open", ["2001:db8::/64"], None, False, opened),
    ]
    found = []
    for name, ranges, allowed, covered, settings in rows:
        wanted: Object = {
            "KUBE-LOAD-BALANCER": [ON_BALANCER],
            "KUBE-LOAD-BALANCER-FW": [] if allowed is None else [ON_BALANCER],
            "KUBE-LOAD-BALANCER-SOURCE-CIDR": [f"{ON_BALANCER},{network}" for network in allowed or []],
            "KUBE-LOAD-BALANCER-SOURCE-IP": [f"{ON_BALANCER},203.0.113.9"] if covered else [],
            "drops": [ON_BALANCER] if allowed is not None and not covered else [],
        }
        given = balancer_service(loadBalancerSourceRanges=ranges)
        found.append(Example("2.5", f"source ranges: {name}", [given, BOTH], wanted, settings=settings))
        for more, kind in (({"externalIPs": ["203.0.113.9"]}, "external"), ({"ips": ("203.0.113.9",)}, "cluster")):
            given = balancer_service(loadBalancerSourceRanges=ranges, **more)
            title = f"source ranges of an address that is {kind} IP as well: {name}"
            found.append(Example("2.5", title, [given, BOTH], wanted, settings=settings))
    return found


def kinds() -> list[Example]:
    """Sections 1.2, 2.4 and 2.5."""
    return [*attributes(), *sources(), *source_ranges()]
