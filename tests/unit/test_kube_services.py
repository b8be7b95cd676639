"""From Services to virtual services: what counts, what each kind becomes, collisions (sections 2.1, 2.4 to 2.9 of the specification).

Knows: what kube-proxy does in its IPVS mode, and where we do better. Must not know: how it is computed here.
"""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest

import ipvskit as ik
from ipvskit import kube
from ipvskit.kube import Code
from tests.unit.kube_cluster import (
    BOTH,
    NODE,
    V4,
    V6,
    bound,
    codes,
    endpoint,
    filled,
    keys,
    port,
    reals,
    service,
    slice_of,
    v4,
    v6,
)

VIP = "10.96.0.10:80/tcp"
LOCAL: dict[str, Any] = {"externalTrafficPolicy": "Local"}


# --- 2.1: which objects count ------------------------------------------------------------------------------------------------------------

SKIPPED = {
    "another proxy's": {"labels": {"service.kubernetes.io/service-proxy-name": ""}},
    "headless by label": {"labels": {"service.kubernetes.io/headless": "anything"}},
    "headless": {"clusterIP": "None", "clusterIPs": ["None"]},
    "without an address yet": {"clusterIP": "", "clusterIPs": []},
    "an external name": {"type": "ExternalName"},
}


@pytest.mark.parametrize("given", SKIPPED.values(), ids=SKIPPED)
def test_services_that_do_not_count(given: dict[str, Any]) -> None:
    found = kube.translate([service(externalIPs=["203.0.113.1"], **given), BOTH], NODE)
    assert not found.state.services
    assert not found.diagnostics
    assert not filled(found[V4])


@pytest.mark.parametrize("label", ["service.kubernetes.io/service-proxy-name", "service.kubernetes.io/headless"])
def test_slices_that_do_not_count(label: str) -> None:
    assert reals(v4(service(), slice_of("web", endpoint("10.0.0.1"), labels={label: "x"})), VIP) == []


CLUSTER_IPS: list[tuple[dict[str, Any], str | None, str | None]] = [
    ({"ips": ("10.96.0.1",)}, "10.96.0.1", None),
    ({"ips": ("fd96::1",)}, None, "fd96::1"),
    ({"ips": ("fd96::1", "10.96.0.1")}, "10.96.0.1", "fd96::1"),
    ({"ips": ("10.96.0.1",), "ipFamilies": None, "clusterIPs": None}, "10.96.0.1", None),
    ({"ips": ("fd96::1",), "ipFamilies": None, "clusterIPs": None}, None, "fd96::1"),
    ({"ips": ("10.96.0.1",), "ipFamilies": None, "clusterIPs": ["10.96.0.1", "fd96::1"]}, "10.96.0.1", None),
]


@pytest.mark.parametrize(("given", "four", "six"), CLUSTER_IPS)
def test_the_cluster_ip_of_each_family(given: dict[str, Any], four: str | None, six: str | None) -> None:
    found = kube.translate([service(**given)], NODE)
    assert bound(found[V4]) == ([four] if four else [])
    assert bound(found[V6]) == ([six] if six else [])


def test_ports_match_by_name_and_protocol() -> None:
    ports = [port(80, "a"), port(81, "b"), port(53, "a", "UDP"), port(82, "c")]
    of_slice = [
        {"name": "a", "protocol": "TCP", "port": 1},
        {"name": "a", "protocol": "UDP", "port": 2},
        {"name": "b", "port": 3},
    ]
    found = v4(service(ports=ports), slice_of("web", endpoint("10.0.0.1"), ports=of_slice))
    assert {key.split(":")[1]: reals(found, key) for key in keys(found)} == {
        "80/tcp": ["10.0.0.1:1"],
        "81/tcp": ["10.0.0.1:3"],
        "53/udp": ["10.0.0.1:2"],
        "82/tcp": [],
    }


# --- 2.4: attributes --------------------------------------------------------------------------------------------------------------------

AFFINITY: dict[str, Any] = {"sessionAffinity": "ClientIP"}


@pytest.mark.parametrize("protocol", ["TCP", "UDP", "SCTP"])
def test_protocols(protocol: str) -> None:
    of_slice = [{"name": "http", "protocol": protocol, "port": 8080}]
    found = v4(service(ports=[port(protocol=protocol)]), slice_of("web", endpoint("10.0.0.1"), ports=of_slice))
    assert reals(found, f"10.96.0.10:80/{protocol.lower()}") == ["10.0.0.1:8080"]


@pytest.mark.parametrize(
    ("scheduler", "flags"), [("", []), ("rr", []), ("wlc", []), ("sh", []), ("mh", ["mh-port"]), ("mhx", [])]
)
def test_scheduler_and_its_flags(scheduler: str, flags: list[str]) -> None:
    made = v4(service(), scheduler=scheduler).state.services[ik.ServiceKey.parse(VIP)]
    assert (made.scheduler, sorted(made.scheduler_flags)) == (scheduler or "rr", flags)


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        ({}, None),
        ({"sessionAffinity": "None", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 5}}}, None),
        (AFFINITY, 10800),
        (AFFINITY | {"sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 77}}}, 77),
    ],
)
def test_affinity(given: dict[str, Any], seconds: int | None) -> None:
    found = kube.translate([service(ips=("10.96.0.10", "fd96::10"), **given)], NODE)
    four, six = found.state.services.values()
    assert (four.persistence_timeout, six.persistence_timeout) == (seconds, seconds)
    assert (four.persistence_netmask, six.persistence_netmask) == ((32, 128) if seconds else (None, None))


def test_everything_else_is_at_its_default() -> None:
    made = v4(service(), BOTH).state.services[ik.ServiceKey.parse(VIP)]
    assert (made.one_packet, made.persistence_engine, made.key.fwmark, made.keep) == (False, None, 0, frozenset())
    assert [str(real) for real in made.reals] == ["10.0.0.1:8080 weight=1", "10.0.0.2:8080 weight=1"]
    assert made.reals[0] == ik.RealServer("10.0.0.1:8080", weight=1, forwarding="masquerade")


def test_virtual_services_without_endpoints_stay() -> None:
    assert keys(v4(service())) == [VIP]


# --- 2.5: kinds -------------------------------------------------------------------------------------------------------------------------


def test_an_external_ip_on_another_interface_is_not_bound() -> None:
    found = v4(service(externalIPs=["172.18.0.2", "203.0.113.1"]), BOTH, capture_node_addresses=True)
    assert keys(found) == [VIP, "172.18.0.2:80/tcp", "203.0.113.1:80/tcp"]
    assert bound(found) == ["10.96.0.10", "203.0.113.1"]


def test_an_ingress_address_on_another_interface_is_not_bound() -> None:
    found = v4(service(type="LoadBalancer", ingress=["172.18.0.2"]), BOTH)
    assert keys(found) == [VIP, "172.18.0.2:80/tcp"]
    assert bound(found) == ["10.96.0.10"]
    assert codes(found) == []


INGRESS = [
    ({"ip": "203.0.113.1"}, True),
    ({"ip": "203.0.113.1", "ipMode": "VIP"}, True),
    ({"ip": "203.0.113.1", "ipMode": None}, True),
    ({"ip": "203.0.113.1", "ipMode": "Proxy"}, False),
    ({"hostname": "lb.example"}, False),
    ({"ip": "2001:db8::1"}, False),
]


@pytest.mark.parametrize(("given", "counts"), INGRESS)
def test_ingress(given: dict[str, Any], counts: bool) -> None:
    found = v4(service(type="LoadBalancer", ingress=[given], loadBalancerIP="203.0.113.9"))
    assert bound(found) == (["10.96.0.10", "203.0.113.1"] if counts else ["10.96.0.10"])


@pytest.mark.parametrize("kind", ["NodePort", "LoadBalancer", "ClusterIP"])
def test_a_node_port_of_any_type_of_service(kind: str) -> None:
    found = v4(service(type=kind, ports=[port(nodePort=30080)]), BOTH)
    assert keys(found) == [VIP, "172.18.0.2:30080/tcp"]
    assert reals(found, "172.18.0.2:30080/tcp") == ["10.0.0.1:8080", "10.0.0.2:8080"]
    assert bound(found) == ["10.96.0.10"]


def test_a_load_balancer_without_node_ports() -> None:
    given: dict[str, Any] = {"type": "LoadBalancer", "allocateLoadBalancerNodePorts": False, "ingress": ["203.0.113.1"]}
    assert keys(v4(service(**given))) == [VIP, "203.0.113.1:80/tcp"]


#: (policy of the service, what the cluster IP uses, what the other addresses use)
POLICIES: list[tuple[dict[str, str], list[str], list[str]]] = [
    ({}, ["10.0.0.1:8080", "10.0.0.2:8080"], ["10.0.0.1:8080", "10.0.0.2:8080"]),
    ({"internalTrafficPolicy": "Local"}, ["10.0.0.1:8080"], ["10.0.0.1:8080", "10.0.0.2:8080"]),
    (LOCAL, ["10.0.0.1:8080", "10.0.0.2:8080"], ["10.0.0.1:8080"]),
    (LOCAL | {"internalTrafficPolicy": "Local"}, ["10.0.0.1:8080"], ["10.0.0.1:8080"]),
]


@pytest.mark.parametrize(("policy", "inside", "outside"), POLICIES)
@pytest.mark.parametrize("address", [VIP, "203.0.113.1:80/tcp", "203.0.113.2:80/tcp", "172.18.0.2:30080/tcp"])
def test_each_kind_follows_its_policy(
    policy: dict[str, str], inside: list[str], outside: list[str], address: str
) -> None:
    given: dict[str, Any] = {
        "type": "LoadBalancer",
        "ingress": ["203.0.113.2"],
        "externalIPs": ["203.0.113.1"],
        **policy,
    }
    found = v4(service(ports=[port(nodePort=30080)], **given), BOTH)
    assert reals(found, address) == (inside if address == VIP else outside)


#: (ranges, set entries without their prefix, whether the node's answers are dropped, code)
RANGES: list[tuple[list[str], list[str], bool, list[Code]]] = [
    ([], [], False, []),
    (["198.51.100.0/24"], ["198.51.100.0/24"], True, []),
    (["198.51.100.7/24"], ["198.51.100.0/24"], True, []),
    (["172.18.0.0/16"], ["172.18.0.0/16"], False, []),
    (["0.0.0.0/0"], [], False, [Code.OPEN_SOURCE_RANGES]),
    (["0.0.0.0/0", "198.51.100.0/24"], [], False, [Code.OPEN_SOURCE_RANGES]),
    (["::/0", "198.51.100.0/24"], ["198.51.100.0/24"], True, []),
    (["2001:db8::/64"], [], False, [Code.NO_SOURCE_RANGES_OF_FAMILY]),
    (["198.51.100.0"], [], False, [Code.IGNORED_SOURCE_RANGE, Code.NO_SOURCE_RANGES_OF_FAMILY]),
    (["198.51.100.0/24", "x"], ["198.51.100.0/24"], True, [Code.IGNORED_SOURCE_RANGE]),
]


@pytest.mark.parametrize(("ranges", "entries", "dropped", "told"), RANGES)
def test_source_ranges(ranges: list[str], entries: list[str], dropped: bool, told: list[Code]) -> None:
    given = service(type="LoadBalancer", ingress=["203.0.113.1"], loadBalancerSourceRanges=ranges)
    found = v4(given, source_ranges_fail_closed=False)
    assert filled(found).get("LOAD-BALANCER-SOURCE-CIDR", []) == [f"203.0.113.1,tcp:80,{entry}" for entry in entries]
    assert filled(found).get("LOAD-BALANCER-FW", []) == (["203.0.113.1,tcp:80"] if entries else [])
    assert ("-s 203.0.113.1 -m ipvs " in found.iptables) is dropped
    assert codes(found) == told


@pytest.mark.parametrize("ranges", [["2001:db8::/64"], ["nonsense"]])
def test_source_ranges_fail_closed(ranges: list[str]) -> None:
    given = service(type="LoadBalancer", ingress=["203.0.113.1"], loadBalancerSourceRanges=ranges)
    found = v4(given)
    assert filled(found)["LOAD-BALANCER-FW"] == ["203.0.113.1,tcp:80"]
    assert "LOAD-BALANCER-SOURCE-CIDR" not in filled(found)
    assert "-s 203.0.113.1 -m ipvs" in found.iptables


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("127.0.0.1", "loopback"),
        ("0.0.0.0", "unspecified"),
        ("224.0.0.1", "multicast"),
        ("169.254.1.1", "link-local"),
        ("255.255.255.255", "broadcast"),
        ("::1", "loopback"),
        ("::", "unspecified"),
        ("ff02::1", "multicast"),
        ("fe80::1", "link-local"),
        ("::ffff:10.0.0.1", "mapped"),
        ("fe80::9%eth0", "no address"),
        ("010.0.0.1", "no address"),
        ("lb.example", "no address"),
    ],
)
def test_addresses_that_nothing_is_made_for(text: str, word: str) -> None:
    given = service(ips=("10.96.0.10", "fd96::10"), type="LoadBalancer", externalIPs=[text], ingress=[text])
    found = kube.translate([given], NODE)
    assert sorted(map(str, found.state.services)) == [VIP, "[fd96::10]:80/tcp"]
    assert [told.code for told in found.diagnostics] == [Code.REFUSED_EXTERNAL_IP, Code.REFUSED_INGRESS_IP]
    assert all(word in told.message for told in found.diagnostics)


def test_the_nodes_own_address_as_external_ip() -> None:
    given = service(externalIPs=["172.18.0.2"])
    found = v4(given, BOTH)
    assert (keys(found), bound(found)) == ([VIP, "172.18.0.2:80/tcp"], ["10.96.0.10"])
    assert codes(found) == [Code.NODE_ADDRESS]
    assert filled(found)["EXTERNAL-IP"] == ["172.18.0.2,tcp:80"]
    refused = v4(given, BOTH, capture_node_addresses=False)
    assert (keys(refused), bound(refused), codes(refused)) == ([VIP], ["10.96.0.10"], [Code.REFUSED_EXTERNAL_IP])
    assert "EXTERNAL-IP" not in filled(refused)


def test_an_address_that_is_external_and_ingress() -> None:
    found = v4(service(type="LoadBalancer", externalIPs=["203.0.113.1"], ingress=["203.0.113.1"]), BOTH)
    assert keys(found) == [VIP, "203.0.113.1:80/tcp"]
    assert filled(found)["EXTERNAL-IP"] == filled(found)["LOAD-BALANCER"] == ["203.0.113.1,tcp:80"]
    assert codes(found) == []


# --- 2.6: where node ports are served ---------------------------------------------------------------------------------------------------

WIDE = kube.Node(
    "n1",
    addresses={
        "lo": ["127.0.0.1/8", "::1/128"],
        "eth0": ["172.18.0.2/16", "fc00::2/64", "fe80::2/64"],
        "eth1": ["192.168.0.2/24"],
        "kube-ipvs0": ["10.96.0.10/32"],
    },
)
EVERYWHERE = ["172.18.0.2", "192.168.0.2"]

#: (nodePortAddresses, where IPv4 node ports are served, where those of IPv6 are)
SERVED = [
    ([], EVERYWHERE, ["fc00::2"]),
    (["0.0.0.0/0"], EVERYWHERE, ["fc00::2"]),
    (["192.168.0.0/16", "0.0.0.0/0"], EVERYWHERE, ["fc00::2"]),
    (["192.168.0.0/16"], ["192.168.0.2"], ["fc00::2"]),
    (["192.168.0.0/16", "::/0"], ["192.168.0.2"], ["fc00::2"]),
    (["fc00::/7"], EVERYWHERE, ["fc00::2"]),
    (["fe80::/10"], EVERYWHERE, []),
    (["fe80::/10", "fc00::/7"], EVERYWHERE, ["fc00::2"]),
    (["127.0.0.0/8"], [], ["fc00::2"]),
    (["10.0.0.0/8"], [], ["fc00::2"]),
    (["primary"], ["172.18.0.2"], ["fc00::2"]),
]


@pytest.mark.parametrize(("asked", "four", "six"), SERVED)
def test_where_node_ports_are_served(asked: list[str], four: list[str], six: list[str]) -> None:
    given = service(ips=("10.96.0.10", "fd96::10"), type="NodePort", ports=[port(nodePort=30080)])
    found = kube.translate([given], WIDE, kube.Config(node_port_addresses=asked))  # type: ignore[arg-type]
    served = {str(key.address) for key in found.state.services if key.port == 30080}
    assert served == {*four, *six}
    assert codes(found[V4]) == ([] if four else [Code.NO_NODE_ADDRESS])


def test_the_primary_address_can_be_named() -> None:
    node = kube.Node("n1", addresses={"eth0": ["172.18.0.2/16"], "eth1": ["192.168.0.2/24"]}, primary=["192.168.0.2"])
    given = service(type="NodePort", ports=[port(nodePort=30080)])
    assert keys(v4(given, node=node, node_port_addresses=["primary"])) == [VIP, "192.168.0.2:30080/tcp"]


@pytest.mark.parametrize("node_port", [30080, 0])
def test_a_node_port_that_is_nowhere_leaves_its_health_check(node_port: int) -> None:
    given = service(type="LoadBalancer", healthCheckNodePort=32000, ports=[port(nodePort=node_port)], **LOCAL)
    found = v4(given, node=kube.Node("n1"))
    assert filled(found)["HEALTH-CHECK-NODE-PORT"] == ["32000"]
    assert [check.port for check in found.health_checks] == [32000]


# --- 2.7 and 2.8 ------------------------------------------------------------------------------------------------------------------------


def test_the_device() -> None:
    found = kube.translate([service(ips=("10.96.0.10", "fd96::10"))], NODE)
    for state in (found[V4].state, found[V6].state, found.state):
        device = state.devices["kube-ipvs0"]
        assert (device.kind, device.up) == ("dummy", False)
        assert all(address.network.prefixlen == address.max_prefixlen for address in device.addresses)
    assert [str(address) for address in found.state.devices["kube-ipvs0"].addresses] == [
        "10.96.0.10/32",
        "fd96::10/128",
    ]


def test_a_shared_address_stays_until_the_last_is_gone() -> None:
    ports = [port(80, "a", nodePort=0), port(81, "b")]
    tracker = kube.Tracker(NODE)
    tracker.add(
        [
            service("a", ports=ports, externalIPs=["203.0.113.1"]),
            service("b", ("10.96.0.11",), ports=[port(82)], externalIPs=["203.0.113.1"]),
        ]
    )
    tracker.add(service("a", ports=ports[:1], externalIPs=["203.0.113.1"]))
    assert "203.0.113.1" in bound(tracker.states()[V4])
    tracker.delete(service("a"))
    assert "203.0.113.1" in bound(tracker.states()[V4])
    tracker.delete(service("b"))
    assert bound(tracker.states()[V4]) == []


@pytest.mark.parametrize(
    ("given", "count"),
    [
        ({}, 2),
        ({"type": "NodePort"}, None),
        ({"externalTrafficPolicy": "Cluster"}, None),
        ({"healthCheckNodePort": 0}, None),
    ],
)
def test_health_checks(given: dict[str, Any], count: int | None) -> None:
    """Ready endpoints on this node count, each address once; those that terminate do not."""
    here = [
        endpoint("10.0.0.1", "n1"),
        endpoint("10.0.0.2", "n1", ready=True),
        endpoint("10.0.0.3", "n1", ready=False, serving=True, terminating=True),
        endpoint("10.0.0.4", "n2"),
    ]
    two = [{"name": name, "protocol": "TCP", "port": number} for name, number in (("http", 80), ("x", 81))]
    asked: dict[str, Any] = {"type": "LoadBalancer", "healthCheckNodePort": 32000, **LOCAL} | given
    found = v4(service(**asked), slice_of("web", *here, ports=two))
    assert found.health_checks == (
        () if count is None else (kube.HealthCheck("default", "web", 32000, count, ("0.0.0.0",)),)
    )


# --- 2.9: collisions --------------------------------------------------------------------------------------------------------------------

SHARED: dict[str, Any] = {"externalIPs": ["203.0.113.1"]}


def claimants() -> list[dict[str, Any]]:
    return [
        service("a", ("10.96.0.1",), created="2026-01-02T00:00:00Z", **SHARED),
        service("b", ("10.96.0.2",), created="2026-01-01T00:00:00Z", externalTrafficPolicy="Local", **SHARED),
        service("c", ("10.96.0.3",), created="2026-01-01T00:00:00Z", **SHARED),
        *(slice_of(name, endpoint(f"10.0.0.{number}")) for number, name in enumerate("abc", 1)),
    ]


def test_the_oldest_wins_then_the_first_by_name() -> None:
    objects = claimants()
    for given in (objects, objects[::-1]):
        found = v4(*given)
        assert reals(found, "203.0.113.1:80/tcp") == ["10.0.0.2:8080"]
        assert [(told.about, told.subject) for told in found.diagnostics if told.code == Code.CONFLICT] == [
            ("Service default/a", "203.0.113.1:80/tcp"),
            ("Service default/c", "203.0.113.1:80/tcp"),
        ]
        assert "EXTERNAL-IP" not in filled(found)
        assert filled(found)["EXTERNAL-IP-LOCAL"] == ["203.0.113.1,tcp:80"]


def test_the_next_one_takes_over() -> None:
    tracker = kube.Tracker(NODE)
    tracker.resync(claimants())
    tracker.delete(service("b"))
    assert reals(tracker.states()[V4], "203.0.113.1:80/tcp") == ["10.0.0.3:8080"]
    tracker.delete(service("c"))
    found = tracker.states()[V4]
    assert reals(found, "203.0.113.1:80/tcp") == ["10.0.0.1:8080"]
    assert codes(found) == []


def test_who_has_no_age_comes_last() -> None:
    young, ageless = service("b", ("10.96.0.2",), **SHARED), service("a", ("10.96.0.1",), created="", **SHARED)
    found = v4(young, ageless, slice_of("b", endpoint("10.0.0.2")))
    assert reals(found, "203.0.113.1:80/tcp") == ["10.0.0.2:8080"]


def test_other_ports_and_protocols_of_the_address_are_no_conflict() -> None:
    dns = service("dns", ("10.96.0.2",), ports=[port(80, "u", "UDP"), port(53, "t")], **SHARED)
    found = v4(service(**SHARED), dns)
    assert codes(found) == []
    assert len(found.state.services) == 6


# --- dual stack, scope ------------------------------------------------------------------------------------------------------------------


def test_dual_stack() -> None:
    slices = [slice_of("web", endpoint("10.0.0.1")), slice_of("web", endpoint("fd00::1"), family="IPv6", name="web-6")]
    found = kube.translate([service(ips=("10.96.0.10", "fd96::10")), *slices], NODE)
    assert reals(found[V4], VIP) == ["10.0.0.1:8080"]
    assert reals(found[V6], "[fd96::10]:80/tcp") == ["[fd00::1]:8080"]
    assert set(found.state.services) == {*found[V4].state.services, *found[V6].state.services}
    only = kube.translate([service(ips=("10.96.0.10", "fd96::10"))], NODE, kube.Config(families=["ipv6"]))  # type: ignore[arg-type]
    assert list(only) == [V6]
    assert found["ipv4"] is found[V4]


def test_the_scope_owns_what_the_state_names() -> None:
    found = kube.translate([service(ips=("10.96.0.10", "fd96::10"))], NODE)
    named = list(found.state.keys())
    for key in named:
        assert key in found.scope or isinstance(key, ik.SysctlKey | ik.TimeoutsKey)
    assert ik.ServiceKey.parse("10.96.0.11:80/tcp") not in found.scope
    assert ik.SetKey("KUBE-MINE") not in found.scope
    assert ik.SetKey("KUBE-6-CLUSTER-IP") not in found[V4].scope
    assert ik.AddressKey("kube-ipvs0", ipaddress.ip_interface("10.9.9.9/32")) in found.scope
    assert ik.DeviceKey("eth0") not in found.scope


def test_the_scope_with_networks_and_exceptions() -> None:
    config = kube.Config(owned_vips=("10.0.0.0/8", "::/0"), exclude_cidrs=("10.96.0.0/24", "192.0.2.0/24"))
    found = kube.translate([service()], NODE, config)
    inside = {
        "10.1.0.0:80/tcp": True,
        "10.96.0.11:80/tcp": False,
        VIP: True,
        "192.168.0.1:80/tcp": False,
        "[fd::1]:80/tcp": True,
    }
    assert {text: ik.ServiceKey.parse(text) in found.scope for text in inside} == inside
    assert ik.ServiceKey.parse("fwmark:7") not in found.scope
    nothing = kube.Config(owned_vips=("10.96.0.0/24",), exclude_cidrs=("10.0.0.0/8",))
    assert (
        ik.ServiceKey.parse("10.96.0.11:80/tcp")
        not in v4(service(), owned_vips=nothing.owned_vips, exclude_cidrs=nothing.exclude_cidrs).scope
    )


def test_both_families_and_pods_of_the_other_one() -> None:
    assert reals(v6(service(ips=("fd96::10",)), BOTH), "[fd96::10]:80/tcp") == []
