"""Slices merged and endpoints chosen (sections 2.2 and 2.3 of the specification).

Knows: conditions, hints, policies. Must not know: how it is computed here.
"""

from __future__ import annotations

from typing import Any

import pytest

import ipvskit as ik
from ipvskit import kube
from ipvskit.kube import Code
from tests.unit.kube_cluster import BOTH, NODE, codes, endpoint, filled, keys, port, reals, service, slice_of, v4, v6

VIP = "10.96.0.10:80/tcp"
LB = "203.0.113.1:80/tcp"


def chosen(*endpoints: dict[str, Any], **spec: Any) -> list[str]:
    """The addresses of the cluster IP's real servers."""
    found = v4(service(**spec), slice_of("web", *endpoints))
    return [each.removesuffix(":8080") for each in reals(found, VIP)]


# --- 2.2: merging -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ports", "expected"),
    [
        ([{"name": "http", "protocol": "TCP", "port": 8080}], ["10.0.0.1:8080"]),
        ([{"name": "http", "port": 8080}], ["10.0.0.1:8080"]),
        ([{"name": None, "protocol": "TCP", "port": 8080}], []),
        ([{"protocol": "TCP", "port": 8080}], []),
        ([{"name": "http", "protocol": "TCP", "port": None}], []),
        ([{"name": "http", "protocol": "TCP", "port": 0}], []),
        ([{"name": "http", "protocol": "TCP"}], []),
        ([{"name": "", "protocol": "TCP", "port": 8080}], []),
        ([{"name": "http", "protocol": "UDP", "port": 8080}], []),
        ([], []),
    ],
)
def test_ports_of_slices(ports: list[Any], expected: list[str]) -> None:
    assert reals(v4(service(), slice_of("web", endpoint("10.0.0.1"), ports=ports)), VIP) == expected


def test_empty_names_match_unnamed_ports() -> None:
    unnamed = [{"name": "", "protocol": "TCP", "port": 8080}]
    for given in ({"protocol": "TCP", "port": 80}, {"name": "", "port": 80}, {"name": None, "port": 80}):
        found = v4(service(ports=[given]), slice_of("web", endpoint("10.0.0.1"), ports=unnamed))
        assert reals(found, VIP) == ["10.0.0.1:8080"]


def test_only_the_first_address_counts() -> None:
    endpoints: list[dict[str, Any]] = [
        {"addresses": ["10.0.0.1", "10.0.0.9"]},
        {"addresses": []},
        {},
        {"addresses": None},
    ]
    assert chosen(*endpoints) == ["10.0.0.1"]


@pytest.mark.parametrize(("family", "counts"), [("IPv4", True), ("IPv6", False), ("FQDN", False), ("", False)])
def test_the_family_of_a_slice(family: str, counts: bool) -> None:
    address = "10.0.0.1" if family != "IPv6" else "fd00::1"
    assert bool(reals(v4(service(), slice_of("web", endpoint(address), family=family)), VIP)) is counts


def test_a_slice_of_nobody() -> None:
    lost = slice_of("web", endpoint("10.0.0.1"))
    del lost["metadata"]["labels"]["kubernetes.io/service-name"]
    assert reals(v4(service(), lost, slice_of("web", endpoint("10.0.0.2"), namespace="other")), VIP) == []


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ({}, True),
        ({"ready": None}, True),
        ({"ready": True}, True),
        ({"ready": False}, False),
        ({"ready": False, "serving": None, "terminating": None}, False),
        ({"ready": False, "terminating": True}, True),
        ({"ready": False, "serving": False, "terminating": True}, False),
        ({"ready": False, "serving": True, "terminating": False}, False),
    ],
)
def test_conditions_and_their_defaults(given: dict[str, Any], used: bool) -> None:
    assert chosen(endpoint("10.0.0.1", **given)) == (["10.0.0.1"] if used else [])


@pytest.mark.parametrize(("node", "local"), [("n1", True), ("n2", False), (None, False), ("", False)])
def test_what_is_local(node: str | None, local: bool) -> None:
    assert ("LOOP-BACK" in filled(v4(service(), slice_of("web", endpoint("10.0.0.1", node))))) is local


def test_duplicates_collapse_and_the_local_one_wins() -> None:
    far, near = endpoint("10.0.0.1", "n2", ready=False, terminating=True), endpoint("10.0.0.1", "n1")
    for first, second in ((far, near), (near, far)):
        found = v4(service(), slice_of("web", first, name="a"), slice_of("web", second, name="b"))
        assert reals(found, VIP) == ["10.0.0.1:8080"]
        assert filled(found)["LOOP-BACK"] == ["10.0.0.1,tcp:8080,10.0.0.1"]


def test_of_duplicates_the_usable_one_wins() -> None:
    bad, good = endpoint("10.0.0.1", ready=False, serving=False), endpoint("10.0.0.1")
    for first, second in ((bad, good), (good, bad)):
        assert reals(v4(service(), slice_of("web", first, name="a"), slice_of("web", second, name="b")), VIP) != []


def test_the_result_is_sorted_by_text() -> None:
    """With its port: a colon comes after all digits."""
    ordered = ["10.0.0.10", "10.0.0.1", "10.0.0.2", "10.0.0.3"]
    assert chosen(*(endpoint(f"10.0.0.{last}") for last in (3, 10, 1, 2))) == ordered


def test_ipv6_addresses_are_compared_as_numbers() -> None:
    slices = [
        slice_of("web", endpoint("FE00:0::1", "n1"), family="IPv6", name="a"),
        slice_of("web", endpoint("fe00::1"), family="IPv6", name="b"),
    ]
    assert reals(v6(service(ips=("fd96::10",)), *slices), "[fd96::10]:80/tcp") == ["[fe00::1]:8080"]


def test_removing_a_slice_removes_its_contribution_only() -> None:
    tracker = kube.Tracker(NODE)
    slices = [
        slice_of("web", endpoint(f"10.0.0.{number}"), endpoint("10.0.0.9"), name=f"web-{number}") for number in (1, 2)
    ]
    tracker.add([service(), *slices])
    tracker.delete(slices[0])
    assert reals(tracker.states()["ipv4"], VIP) == ["10.0.0.2:8080", "10.0.0.9:8080"]


# --- 2.3: choosing ----------------------------------------------------------------------------------------------------------------------

#: (endpoints, which ones the cluster policy uses)
CLUSTER: list[tuple[list[dict[str, Any]], list[str]]] = [
    ([], []),
    ([endpoint("10.0.0.1"), endpoint("10.0.0.2", ready=False)], ["10.0.0.1"]),
    ([endpoint("10.0.0.1"), endpoint("10.0.0.2", ready=False, terminating=True)], ["10.0.0.1"]),
    ([endpoint("10.0.0.1", ready=False), endpoint("10.0.0.2", ready=False, terminating=True)], ["10.0.0.2"]),
    (
        [
            endpoint("10.0.0.1", ready=False, terminating=True, zones=["b"]),
            endpoint("10.0.0.2", ready=False, terminating=True, zones=["a"]),
        ],
        ["10.0.0.1", "10.0.0.2"],
    ),
]


@pytest.mark.parametrize(("endpoints", "expected"), CLUSTER)
def test_the_cluster_policy(endpoints: list[dict[str, Any]], expected: list[str]) -> None:
    assert chosen(*endpoints) == expected


#: (hints of 10.0.0.1, hints of 10.0.0.2, which are used on node n1 in zone a)
TOPOLOGY: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({}, {}, "12"),
    ({"zones": ["a"]}, {"zones": ["b"]}, "1"),
    ({"zones": ["a", "b"]}, {"zones": ["b", "a"]}, "12"),
    ({"zones": ["b"]}, {"zones": ["c"]}, "12"),
    ({"zones": ["a"]}, {}, "12"),
    ({"nodes": ["n1"]}, {"nodes": ["n2"]}, "1"),
    ({"nodes": ["n2"]}, {"nodes": ["n3"]}, "12"),
    ({"nodes": ["n1"]}, {}, "12"),
    ({"nodes": ["n1"], "zones": ["b"]}, {"nodes": ["n2"], "zones": ["a"]}, "1"),
    ({"nodes": ["n3"], "zones": ["a"]}, {"nodes": ["n2"], "zones": ["b"]}, "1"),
    ({"nodes": ["n1"], "zones": ["b"]}, {"zones": ["a"]}, "2"),
    ({"zones": ["a"]}, {"zones": ["b"], "ready": False}, "1"),
    ({"zones": ["b"]}, {"ready": False}, "1"),
]


@pytest.mark.parametrize(("first", "second", "expected"), TOPOLOGY)
def test_topology(first: dict[str, Any], second: dict[str, Any], expected: str) -> None:
    found = chosen(endpoint("10.0.0.1", **first), endpoint("10.0.0.2", **second))
    assert found == [f"10.0.0.{number}" for number in expected]


def test_a_node_without_a_zone_filters_nothing() -> None:
    hinted = slice_of("web", endpoint("10.0.0.1", zones=["a"]), endpoint("10.0.0.2", zones=["b"]))
    assert len(reals(v4(service(), hinted, node=kube.Node("n1")), VIP)) == 2


READY: dict[str, Any] = {}
LEAVING: dict[str, Any] = {"ready": False, "terminating": True}
GONE: dict[str, Any] = {"ready": False, "serving": False}

#: (10.0.0.1, on this node; 10.0.0.2, elsewhere; what the local policy of a load balancer uses)
LOCAL: list[tuple[dict[str, Any] | None, dict[str, Any] | None, list[str]]] = [
    (READY, READY, ["10.0.0.1"]),
    (LEAVING, READY, ["10.0.0.1"]),
    (GONE, READY, ["10.0.0.2"]),
    (None, READY, ["10.0.0.2"]),
    (None, LEAVING, ["10.0.0.2"]),
    (GONE, GONE, []),
    (None, None, []),
]


@pytest.mark.parametrize(("here", "there", "expected"), LOCAL)
@pytest.mark.parametrize("fallback", [True, False])
def test_the_local_policy(here: Any, there: Any, expected: list[str], fallback: bool) -> None:
    endpoints = [] if here is None else [endpoint("10.0.0.1", "n1", **here)]
    endpoints += [] if there is None else [endpoint("10.0.0.2", "n2", **there)]
    given = service(type="LoadBalancer", ingress=["203.0.113.1"], externalTrafficPolicy="Local")
    found = v4(given, slice_of("web", *endpoints), external_fallback=fallback)
    fell = expected == ["10.0.0.2"]
    assert reals(found, LB) == ([] if fell and not fallback else [f"{each}:8080" for each in expected])
    assert codes(found) == ([Code.NO_LOCAL_ENDPOINTS] if fell else [])


def test_the_local_policy_is_never_narrowed_by_topology() -> None:
    given = service(type="LoadBalancer", ingress=["203.0.113.1"], externalTrafficPolicy="Local")
    hinted = slice_of("web", endpoint("10.0.0.1", "n1", zones=["b"]), endpoint("10.0.0.2", "n2", zones=["a"]))
    found = v4(given, hinted)
    assert (reals(found, LB), reals(found, VIP)) == (["10.0.0.1:8080"], ["10.0.0.2:8080"])


FAR = slice_of("web", endpoint("10.0.0.2"))

#: (the Service, what its cluster IP uses without local endpoints)
INTERNAL: list[tuple[dict[str, Any], list[str]]] = [
    ({}, []),
    ({"type": "NodePort", "ports": [port(nodePort=30080)]}, ["10.0.0.2:8080"]),
    ({"type": "LoadBalancer", "ingress": ["203.0.113.1"]}, ["10.0.0.2:8080"]),
    ({"externalIPs": ["203.0.113.1"]}, ["10.0.0.2:8080"]),
    ({"externalIPs": ["2001:db8::1"]}, []),
    ({"type": "LoadBalancer", "ingress": [{"ip": "203.0.113.1", "ipMode": "Proxy"}]}, []),
]


@pytest.mark.parametrize(("given", "expected"), INTERNAL)
def test_the_internal_local_policy_without_local_endpoints(given: dict[str, Any], expected: list[str]) -> None:
    asked = service(internalTrafficPolicy="Local", **given)
    assert reals(v4(asked, FAR, internal_fallback=True), VIP) == expected
    found = v4(asked, FAR)
    assert reals(found, VIP) == []
    assert codes(found) == [Code.NO_LOCAL_ENDPOINTS]


#: (type, its external IPs, whether the external policy Local counts)
EFFECTIVE = [
    ("LoadBalancer", [], True),
    ("NodePort", [], True),
    ("ClusterIP", ["203.0.113.1"], True),
    ("ClusterIP", [], False),
]


@pytest.mark.parametrize(("kind", "external", "counts"), EFFECTIVE)
def test_when_the_external_policy_counts(kind: str, external: list[str], counts: bool) -> None:
    given = service(type=kind, externalIPs=external, ports=[port(nodePort=30080)], externalTrafficPolicy="Local")
    found = v4(given, BOTH)
    assert len(reals(found, "172.18.0.2:30080/tcp")) == (1 if counts else 2)
    assert ("NODE-PORT-LOCAL-TCP" in filled(found)) is counts


def test_fallbacks_are_told_once_for_a_service() -> None:
    ports = [port(80, "http"), port(81, "http2")]
    two = [{"name": each["name"], "protocol": "TCP", "port": 8080} for each in ports]
    given = service(
        ports=ports,
        type="LoadBalancer",
        ingress=["203.0.113.1"],
        externalTrafficPolicy="Local",
        internalTrafficPolicy="Local",
    )
    found = v4(given, slice_of("web", endpoint("10.0.0.2"), ports=two))
    assert [told.subject for told in found.diagnostics] == ["externalTrafficPolicy", "internalTrafficPolicy"]


# --- beyond: weights, forwarding --------------------------------------------------------------------------------------------------------


def weights(*objects: dict[str, Any]) -> dict[str, int]:
    found = v4(*objects)
    return {str(real.address): real.weight for real in found.state.services[ik.ServiceKey.parse(VIP)].reals}


def test_weights() -> None:
    asked = service(annotations={"ipvskit/weight": "5"})
    plain = slice_of("web", endpoint("10.0.0.1"), name="a")
    own = slice_of("web", endpoint("10.0.0.2"), name="b", annotations={"ipvskit/weight": "0"})
    assert weights(asked, plain, own) == {"10.0.0.1": 5, "10.0.0.2": 0}
    assert weights(service(), plain, own) == {"10.0.0.1": 1, "10.0.0.2": 0}


@pytest.mark.parametrize("method", ["tunnel", "direct-route"])
def test_forwarding(method: str) -> None:
    same = slice_of("web", endpoint("10.0.0.1"), ports=[{"name": "http", "port": 80}])
    given: dict[str, Any] = {
        "type": "LoadBalancer",
        "ingress": ["203.0.113.1"],
        "externalIPs": ["203.0.113.2"],
        "annotations": {"ipvskit/forwarding": method},
    }
    found = v4(service(ports=[port(nodePort=30080)], **given), same)
    used = {str(key.address): str(one.reals[0].forwarding) for key, one in found.state.services.items()}
    assert used == {
        "10.96.0.10": "masquerade",
        "203.0.113.1": method,
        "203.0.113.2": method,
        "172.18.0.2": "masquerade",
    }
    assert filled(found)["LOAD-BALANCER-LOCAL"] == ["203.0.113.1,tcp:80"]
    assert filled(found)["EXTERNAL-IP-LOCAL"] == ["203.0.113.2,tcp:80"]
    assert (
        ik.VirtualService.parse(str(found.state.services[ik.ServiceKey.parse(LB)]))
        == found.state.services[ik.ServiceKey.parse(LB)]
    )
    other = v4(service(**given), BOTH)
    assert codes(other) == [Code.FORWARDING_IMPOSSIBLE] * 2
    assert {str(real.forwarding) for one in other.state.services.values() for real in one.reals} == {"masquerade"}
    assert "EXTERNAL-IP-LOCAL" not in filled(other)
    assert keys(other) == [VIP, LB, "203.0.113.2:80/tcp"]
