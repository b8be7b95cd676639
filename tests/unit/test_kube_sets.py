"""The seventeen sets: names, types, options, and when which entry is in which (sections 1.1 and 1.2 of the specification).

Knows: what kube-proxy does in its IPVS mode. Must not know: how it is computed here.
"""

from __future__ import annotations

from typing import Any

import pytest

import ipvskit as ik
from ipvskit import kube
from ipvskit.kube.names import define
from tests.unit.kube_cluster import BOTH, NODE, V4, V6, endpoint, entries, filled, port, service, slice_of, v4, v6

#: (IPv4 name, IPv6 name, type)
SETS = [
    ("KUBE-LOOP-BACK", "KUBE-6-LOOP-BACK", "hash:ip,port,ip"),
    ("KUBE-CLUSTER-IP", "KUBE-6-CLUSTER-IP", "hash:ip,port"),
    ("KUBE-EXTERNAL-IP", "KUBE-6-EXTERNAL-IP", "hash:ip,port"),
    ("KUBE-EXTERNAL-IP-LOCAL", "KUBE-6-EXTERNAL-IP-LOCAL", "hash:ip,port"),
    ("KUBE-LOAD-BALANCER", "KUBE-6-LOAD-BALANCER", "hash:ip,port"),
    ("KUBE-LOAD-BALANCER-FW", "KUBE-6-LOAD-BALANCER-FW", "hash:ip,port"),
    ("KUBE-LOAD-BALANCER-LOCAL", "KUBE-6-LOAD-BALANCER-LOCAL", "hash:ip,port"),
    ("KUBE-LOAD-BALANCER-SOURCE-IP", "KUBE-6-LOAD-BALANCER-SOURCE-IP", "hash:ip,port,ip"),
    ("KUBE-LOAD-BALANCER-SOURCE-CIDR", "KUBE-6-LOAD-BALANCER-SOURCE-CID", "hash:ip,port,net"),
    ("KUBE-NODE-PORT-TCP", "KUBE-6-NODE-PORT-TCP", "bitmap:port"),
    ("KUBE-NODE-PORT-LOCAL-TCP", "KUBE-6-NODE-PORT-LOCAL-TCP", "bitmap:port"),
    ("KUBE-NODE-PORT-UDP", "KUBE-6-NODE-PORT-UDP", "bitmap:port"),
    ("KUBE-NODE-PORT-LOCAL-UDP", "KUBE-6-NODE-PORT-LOCAL-UDP", "bitmap:port"),
    ("KUBE-NODE-PORT-SCTP-HASH", "KUBE-6-NODE-PORT-SCTP-HASH", "hash:ip,port"),
    ("KUBE-NODE-PORT-LOCAL-SCTP-HASH", "KUBE-6-NODE-PORT-LOCAL-SCTP-HAS", "hash:ip,port"),
    ("KUBE-HEALTH-CHECK-NODE-PORT", "KUBE-6-HEALTH-CHECK-NODE-PORT", "bitmap:port"),
    ("KUBE-IPVS-IPS", "KUBE-6-IPVS-IPS", "hash:ip"),
]


@pytest.mark.parametrize(("four", "six", "kind"), SETS)
def test_every_set_is_there_though_empty(four: str, six: str, kind: str) -> None:
    found = kube.translate([], NODE)
    for family, name in ((V4, four), (V6, six)):
        made = ik.normalise(found[family].state.sets[name])
        assert made.type == kind
        assert len(made.entries) == 0
        if kind == "bitmap:port":
            assert (str(made.range), made.family) == ("0-65535", None)
        else:
            assert (made.family, made.hashsize, made.maxelem) == (family, 1024, 65536)
        assert (made.timeout, made.counters, made.comment, made.skbinfo) == (None, False, False, False)


def test_names_are_all_there_are() -> None:
    assert list(kube.set_names(V4)) == [four for four, _, _ in SETS]
    assert list(kube.set_names(V6)) == [six for _, six, _ in SETS]
    assert set(kube.translate([], NODE).state.sets) == {name for four, six, _ in SETS for name in (four, six)}


LB: dict[str, Any] = {"type": "LoadBalancer", "ingress": ["203.0.113.1"]}
LOCAL: dict[str, Any] = {"externalTrafficPolicy": "Local"}
TCP = "203.0.113.1,tcp:80"

#: (set, what the Service is, the set's entries or None where it has none)
ENTRIES: list[tuple[str, dict[str, Any], list[str] | None]] = [
    ("LOOP-BACK", {}, ["10.0.0.1,tcp:8080,10.0.0.1"]),
    ("CLUSTER-IP", {}, ["10.96.0.10,tcp:80"]),
    ("EXTERNAL-IP", {"externalIPs": ["203.0.113.1", "2001:db8::1"]}, [TCP]),
    ("EXTERNAL-IP", {"externalIPs": ["203.0.113.1"], **LOCAL}, None),
    ("EXTERNAL-IP-LOCAL", {"externalIPs": ["203.0.113.1"], **LOCAL}, [TCP]),
    ("EXTERNAL-IP-LOCAL", {"externalIPs": ["203.0.113.1"]}, None),
    ("LOAD-BALANCER", LB, [TCP]),
    ("LOAD-BALANCER-FW", LB, None),
    ("LOAD-BALANCER-FW", LB | {"loadBalancerSourceRanges": ["198.51.100.0/24"]}, [TCP]),
    ("LOAD-BALANCER-FW", LB | {"loadBalancerSourceRanges": ["2001:db8::/64"]}, [TCP]),
    ("LOAD-BALANCER-FW", LB | {"loadBalancerSourceRanges": ["0.0.0.0/0"]}, None),
    ("LOAD-BALANCER-LOCAL", LB, None),
    ("LOAD-BALANCER-LOCAL", LB | LOCAL, [TCP]),
    ("LOAD-BALANCER-SOURCE-IP", LB | {"loadBalancerSourceRanges": ["198.51.100.0/24"]}, None),
    ("LOAD-BALANCER-SOURCE-IP", LB | {"loadBalancerSourceRanges": ["172.18.0.0/16"]}, [f"{TCP},203.0.113.1"]),
    (
        "LOAD-BALANCER-SOURCE-CIDR",
        LB | {"loadBalancerSourceRanges": [" 198.51.100.7/24 ", "192.0.2.1/32", "nonsense", "2001:db8::/64"]},
        [f"{TCP},192.0.2.1", f"{TCP},198.51.100.0/24"],
    ),
    ("NODE-PORT-TCP", {"type": "NodePort", "ports": [port(nodePort=30080)]}, ["30080"]),
    ("NODE-PORT-TCP", {}, None),
    ("NODE-PORT-LOCAL-TCP", {"type": "NodePort", "ports": [port(nodePort=30080)]}, None),
    ("NODE-PORT-LOCAL-TCP", {"type": "NodePort", "ports": [port(nodePort=30080)], **LOCAL}, ["30080"]),
    ("NODE-PORT-UDP", {"type": "NodePort", "ports": [port(nodePort=30080, protocol="UDP")]}, ["30080"]),
    ("NODE-PORT-LOCAL-UDP", {"type": "NodePort", "ports": [port(nodePort=30080, protocol="UDP")]}, None),
    ("NODE-PORT-LOCAL-UDP", {"type": "NodePort", "ports": [port(nodePort=30080, protocol="UDP")], **LOCAL}, ["30080"]),
    (
        "NODE-PORT-SCTP-HASH",
        {"type": "NodePort", "ports": [port(nodePort=30080, protocol="SCTP")]},
        ["172.18.0.2,sctp:30080"],
    ),
    ("NODE-PORT-LOCAL-SCTP-HASH", {"type": "NodePort", "ports": [port(nodePort=30080, protocol="SCTP")]}, None),
    (
        "NODE-PORT-LOCAL-SCTP-HASH",
        {"type": "NodePort", "ports": [port(nodePort=30080, protocol="SCTP")], **LOCAL},
        ["172.18.0.2,sctp:30080"],
    ),
    ("HEALTH-CHECK-NODE-PORT", LB | LOCAL | {"healthCheckNodePort": 32000}, ["32000"]),
    ("HEALTH-CHECK-NODE-PORT", LB | {"healthCheckNodePort": 32000}, None),
    ("HEALTH-CHECK-NODE-PORT", LB | LOCAL, None),
    (
        "HEALTH-CHECK-NODE-PORT",
        {"type": "NodePort", "ports": [port(nodePort=1)], "healthCheckNodePort": 32000, **LOCAL},
        None,
    ),
    ("IPVS-IPS", LB | {"externalIPs": ["203.0.113.2"]}, ["10.96.0.10", "203.0.113.1", "203.0.113.2"]),
    ("IPVS-IPS", {"type": "NodePort", "ports": [port(nodePort=30080)]}, ["10.96.0.10"]),
]


@pytest.mark.parametrize(("name", "given", "expected"), ENTRIES)
def test_when_an_entry_is_in(name: str, given: dict[str, Any], expected: list[str] | None) -> None:
    assert filled(v4(service(**given), BOTH)).get(name) == (sorted(expected) if expected else None)


@pytest.mark.parametrize("conditions", [{}, {"ready": False, "serving": False}, {"ready": False, "terminating": True}])
def test_local_endpoints_loop_back_whatever_their_condition(conditions: dict[str, bool]) -> None:
    found = v4(service(), slice_of("web", endpoint("10.0.0.1", "n1", **conditions)))
    assert entries(found, "KUBE-LOOP-BACK") == ["10.0.0.1,tcp:8080,10.0.0.1"]


def test_entries_of_ipv6_and_of_sctp() -> None:
    six = slice_of(
        "web",
        endpoint("FD00::1", "n1"),
        family="IPv6",
        ports=[{"name": "http", "protocol": "SCTP", "port": 9}],
    )
    ingress: dict[str, Any] = {
        "type": "LoadBalancer",
        "ingress": ["2001:DB8::1"],
        "loadBalancerSourceRanges": ["fc00::/7"],
    }
    ports = [port(protocol="SCTP", nodePort=30080)]
    found = v6(service(ips=("fd96::10",), ports=ports, externalTrafficPolicy="Local", **ingress), six)
    assert filled(found) == {
        "LOOP-BACK": ["fd00::1,sctp:9,fd00::1"],
        "CLUSTER-IP": ["fd96::10,sctp:80"],
        "LOAD-BALANCER": ["2001:db8::1,sctp:80"],
        "LOAD-BALANCER-FW": ["2001:db8::1,sctp:80"],
        "LOAD-BALANCER-LOCAL": ["2001:db8::1,sctp:80"],
        "LOAD-BALANCER-SOURCE-IP": ["2001:db8::1,sctp:80,2001:db8::1"],
        "LOAD-BALANCER-SOURCE-CID": ["2001:db8::1,sctp:80,fc00::/7"],
        "NODE-PORT-SCTP-HASH": ["fc00::2,sctp:30080"],
        "NODE-PORT-LOCAL-SCTP-HAS": ["fc00::2,sctp:30080"],
        "IPVS-IPS": ["2001:db8::1", "fd96::10"],
    }


def test_an_entry_stays_until_the_last_service_is_gone() -> None:
    one, other = service("a"), service("b", ips=("10.96.0.11",))
    shared = [slice_of(name, endpoint("10.0.0.1", "n1")) for name in ("a", "b")]
    tracker = kube.Tracker(NODE)
    tracker.resync([one, other, *shared])
    tracker.delete(one)
    assert entries(tracker.states()[V4], "KUBE-LOOP-BACK") == ["10.0.0.1,tcp:8080,10.0.0.1"]
    tracker.delete(other)
    assert entries(tracker.states()[V4], "KUBE-LOOP-BACK") == []


def test_sizes() -> None:
    many = [service(f"s{number}", ips=(f"10.96.1.{number}",)) for number in range(20)]
    sets = v4(*many, maxelem=20).state.sets
    assert sets["KUBE-CLUSTER-IP"].maxelem == 20
    assert sets["KUBE-NODE-PORT-TCP"].maxelem is None
    assert v4(*many, maxelem=19).state.sets["KUBE-CLUSTER-IP"].maxelem is None
    entries = [f"10.{n >> 16}.{n >> 8 & 255}.{n & 255},tcp:80" for n in range(70000)]
    grown = ik.normalise(define(kube.Role.CLUSTER_IP, V4, 65536, entries))
    assert grown.maxelem is not None
    assert grown.maxelem >= 70000
