"""The iptables document: which rules there are, and in which order.

Knows: iptables. Must not know: how the document is made. That real tools take it is tested in tests/kernel.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

import ipvskit as ik
from ipvskit import kube
from ipvskit.kube.iptables import document
from tests.unit.kube_cluster import BOTH, NODE, V4, V6, endpoint, port, service, slice_of

if TYPE_CHECKING:
    from collections.abc import Callable

LB: dict[str, Any] = {"type": "LoadBalancer", "ingress": ["203.0.113.1", "2001:db8::1"]}
RANGES: dict[str, Any] = {"loadBalancerSourceRanges": ["198.51.100.0/24", "2001:db8:1::/48"]}
NEAR: dict[str, Any] = {"loadBalancerSourceRanges": ["172.18.0.0/16", "fc00::/64"]}
LOCAL: dict[str, Any] = {"externalTrafficPolicy": "Local"}


def dual(name: str, number: int, **given: Any) -> dict[str, Any]:
    return service(name, (f"10.96.0.{number}", f"fd96::{number}"), **given)


#: Something in every set.
FULL = [
    dual("web", 10, externalIPs=["203.0.113.2", "2001:db8::2"]),
    BOTH,
    slice_of("web", endpoint("fd00::1", "n1"), family="IPv6", name="web-6"),
    dual("local", 11, externalIPs=["203.0.113.3", "2001:db8::3"], **LOCAL),
    dual("lb", 12, healthCheckNodePort=32000, **LB, **RANGES, **LOCAL),
    dual("near", 13, ports=[port(81)], **LB, **NEAR),
    *(
        dual(
            f"np-{protocol.lower()}",
            20 + number,
            type="NodePort",
            ports=[port(nodePort=30080, protocol=protocol)],
            **LOCAL,
        )
        for number, protocol in enumerate(("TCP", "UDP", "SCTP"))
    ),
]


def rules(text: str, chain: str, table: str = "") -> list[str]:
    """The chain's rules without comments and match-set words."""
    if table:
        text = text.split(f"*{table}\n")[1].split("COMMIT")[0]
    found = re.findall(rf"^-A {chain} (.*)$", text, re.MULTILINE)
    return [re.sub(r'-m comment --comment "[^"]*" ', "", rule).replace("-m set --match-set ", "@") for rule in found]


def text_of(*objects: Any, family: ik.Family = V4, **settings: Any) -> str:
    return kube.translate(objects, NODE, kube.Config(**settings))[family].iptables


def test_jumps_are_inserted_in_order() -> None:
    text = re.sub(r'-m comment --comment "[^"]*" ', "", text_of())
    filtered, nat = (re.findall(r"^-I (.*)$", part, re.MULTILINE) for part in text.split("*nat"))
    assert nat == ["OUTPUT -j KUBE-SERVICES", "PREROUTING -j KUBE-SERVICES", "POSTROUTING -j KUBE-POSTROUTING"]
    assert filtered == [
        "FORWARD -j KUBE-FORWARD",
        "INPUT -j KUBE-NODE-PORT",
        "INPUT -j KUBE-PROXY-FIREWALL",
        "FORWARD -j KUBE-PROXY-FIREWALL",
        "INPUT -j KUBE-IPVS-FILTER",
        "OUTPUT -j KUBE-IPVS-OUT-FILTER",
    ]


def test_every_chain_is_emptied_first_and_nothing_else_is_declared() -> None:
    text = text_of()
    assert [line for line in text.splitlines() if line[0] in "*:"] == [
        line
        for table in ("filter", "nat")
        for line in (f"*{table}", *(f":{chain} - [0:0]" for chain in kube.CHAINS[table]))
    ]
    assert text.count("COMMIT\n") == 2
    assert text.endswith("COMMIT\n")


def test_every_rule_has_a_short_comment() -> None:
    lines = [line for line in text_of(*FULL).splitlines() if line.startswith(("-A", "-I"))]
    comments = [re.fullmatch(r'-[AI] \S+ -m comment --comment "([^"]{4,63})" -.*', line) for line in lines]
    assert len(lines) == 47
    assert all(comments)


NAT_SERVICES = [
    "-s 127.0.0.0/8 -j RETURN",
    "@KUBE-LOAD-BALANCER dst,dst -j KUBE-LOAD-BALANCER",
    "@KUBE-CLUSTER-IP src,dst -j KUBE-MARK-MASQ",
    "@KUBE-EXTERNAL-IP dst,dst -j KUBE-MARK-MASQ",
    "@KUBE-EXTERNAL-IP dst,dst -m physdev ! --physdev-is-in -m addrtype ! --src-type LOCAL -j ACCEPT",
    "@KUBE-EXTERNAL-IP dst,dst -m addrtype --dst-type LOCAL -j ACCEPT",
    "@KUBE-EXTERNAL-IP-LOCAL dst,dst -m physdev ! --physdev-is-in -m addrtype ! --src-type LOCAL -j ACCEPT",
    "@KUBE-EXTERNAL-IP-LOCAL dst,dst -m addrtype --dst-type LOCAL -j ACCEPT",
    "-m addrtype --dst-type LOCAL -j KUBE-NODE-PORT",
    "@KUBE-CLUSTER-IP dst,dst -j ACCEPT",
    "@KUBE-LOAD-BALANCER dst,dst -j ACCEPT",
]
POSTROUTING = [
    "@KUBE-LOOP-BACK dst,dst,src -j MASQUERADE",
    "-m mark ! --mark 0x4000/0x4000 -j RETURN",
    "-j MARK --xor-mark 0x4000",
    "-j MASQUERADE --random-fully",
]
NODE_PORT = [
    "-p tcp @KUBE-NODE-PORT-LOCAL-TCP dst -j RETURN",
    "-p tcp @KUBE-NODE-PORT-TCP dst -j KUBE-MARK-MASQ",
    "-p udp @KUBE-NODE-PORT-LOCAL-UDP dst -j RETURN",
    "-p udp @KUBE-NODE-PORT-UDP dst -j KUBE-MARK-MASQ",
    "-p sctp @KUBE-NODE-PORT-LOCAL-SCTP-HASH dst,dst -j RETURN",
    "-p sctp @KUBE-NODE-PORT-SCTP-HASH dst,dst -j KUBE-MARK-MASQ",
]
FORWARD = ["-m mark --mark 0x4000/0x4000 -j ACCEPT", "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"]
RANGES_FIREWALL = [
    "@KUBE-LOAD-BALANCER-SOURCE-CIDR dst,dst,src -j RETURN",
    "@KUBE-LOAD-BALANCER-SOURCE-IP dst,dst,src -j RETURN",
    "-j DROP",
]
IPVS_FILTER = [
    "@KUBE-LOAD-BALANCER dst,dst -j RETURN",
    "@KUBE-CLUSTER-IP dst,dst -j RETURN",
    "@KUBE-EXTERNAL-IP dst,dst -j RETURN",
    "@KUBE-EXTERNAL-IP-LOCAL dst,dst -j RETURN",
    "@KUBE-HEALTH-CHECK-NODE-PORT dst -j RETURN",
    "-m conntrack --ctstate NEW @KUBE-IPVS-IPS dst -j REJECT",
]

#: (table, chain, its rules with something in every set, its rules with nothing in any)
CHAINS: list[tuple[str, str, list[str], list[str]]] = [
    ("nat", "KUBE-SERVICES", NAT_SERVICES, [NAT_SERVICES[0], NAT_SERVICES[8]]),
    ("nat", "KUBE-POSTROUTING", POSTROUTING, POSTROUTING[1:]),
    ("nat", "KUBE-NODE-PORT", NODE_PORT, []),
    (
        "nat",
        "KUBE-LOAD-BALANCER",
        ["@KUBE-LOAD-BALANCER-LOCAL dst,dst -j RETURN", "-j KUBE-MARK-MASQ"],
        ["-j KUBE-MARK-MASQ"],
    ),
    ("nat", "KUBE-MARK-MASQ", ["-j MARK --or-mark 0x4000"], ["-j MARK --or-mark 0x4000"]),
    ("filter", "KUBE-FORWARD", FORWARD, FORWARD),
    (
        "filter",
        "KUBE-NODE-PORT",
        ["@KUBE-HEALTH-CHECK-NODE-PORT dst -j ACCEPT"],
        ["@KUBE-HEALTH-CHECK-NODE-PORT dst -j ACCEPT"],
    ),
    (
        "filter",
        "KUBE-PROXY-FIREWALL",
        ["@KUBE-LOAD-BALANCER-FW dst,dst -j KUBE-SOURCE-RANGES-FIREWALL"],
        [],
    ),
    ("filter", "KUBE-SOURCE-RANGES-FIREWALL", RANGES_FIREWALL, ["-j DROP"]),
    ("filter", "KUBE-IPVS-FILTER", IPVS_FILTER, IPVS_FILTER),
    (
        "filter",
        "KUBE-IPVS-OUT-FILTER",
        ["-s 203.0.113.1 -m ipvs --vaddr 203.0.113.1 --vproto tcp --vport 80 -j DROP"],
        [],
    ),
]


@pytest.mark.parametrize(("table", "chain", "full", "empty"), CHAINS, ids=[f"{row[0]} {row[1]}" for row in CHAINS])
def test_the_rules_of_each_chain(table: str, chain: str, full: list[str], empty: list[str]) -> None:
    assert rules(text_of(*FULL), chain, table) == full
    assert rules(text_of(), chain, table) == empty


@pytest.mark.parametrize(("table", "chain", "full", "empty"), CHAINS, ids=[f"{row[0]} {row[1]}" for row in CHAINS])
def test_the_rules_of_each_chain_for_ipv6(table: str, chain: str, full: list[str], empty: list[str]) -> None:
    def six(rule: str) -> str:
        rule = rule.replace("127.0.0.0/8", "::1/128").replace("203.0.113.1", "2001:db8::1")
        return re.sub(r"@KUBE-(\S+)", lambda found: "@" + f"KUBE-6-{found[1]}"[:31], rule)

    assert rules(text_of(*FULL, family=V6), chain, table) == list(map(six, full))
    assert rules(text_of(family=V6), chain, table) == list(map(six, empty))


#: (settings, how cluster IPs are masqueraded, the same for IPv6)
MASQUERADED: list[tuple[dict[str, Any], str, str]] = [
    ({}, "src,dst", "src,dst"),
    ({"masquerade_all": True, "cluster_cidr": "10.10.0.0/16"}, "dst,dst", "dst,dst"),
    ({"cluster_cidr": "10.10.0.0/16"}, "dst,dst ! -s 10.10.0.0/16", "src,dst"),
    ({"cluster_cidr": "10.10.0.0/16,fd10::/48"}, "dst,dst ! -s 10.10.0.0/16", "dst,dst ! -s fd10::/48"),
    ({"local_mode": "NodeCIDR"}, "dst,dst ! -s 10.10.1.0/24", "dst,dst ! -s fd10::/64"),
    ({"local_mode": "BridgeInterface", "local_interface": "br0"}, "dst,dst ! -i br0", "dst,dst ! -i br0"),
    ({"local_mode": "InterfaceNamePrefix", "local_interface": "veth"}, "dst,dst ! -i veth+", "dst,dst ! -i veth+"),
]


@pytest.mark.parametrize(("settings", "four", "six"), MASQUERADED)
def test_who_is_masqueraded_on_the_way_to_a_cluster_ip(settings: dict[str, Any], four: str, six: str) -> None:
    for family, name, expected in ((V4, "KUBE-CLUSTER-IP", four), (V6, "KUBE-6-CLUSTER-IP", six)):
        found = rules(text_of(*FULL, family=family, **settings), "KUBE-SERVICES")
        assert [rule for rule in found if name in rule and "MARK" in rule] == [f"@{name} {expected} -j KUBE-MARK-MASQ"]


def test_the_mark_and_random_ports() -> None:
    text = text_of(masquerade_bit=0, random_fully=False)
    assert rules(text, "KUBE-MARK-MASQ") == ["-j MARK --or-mark 0x1"]
    assert rules(text, "KUBE-POSTROUTING")[0] == "-m mark ! --mark 0x1/0x1 -j RETURN"
    assert rules(text, "KUBE-POSTROUTING")[-1] == "-j MASQUERADE"
    assert "0x80000000" in text_of(masquerade_bit=31)


def test_the_document_does_not_grow_with_services() -> None:
    many = [dual(f"s{number}", number, externalIPs=[f"203.0.113.{number}"]) for number in range(30, 90)]
    assert text_of(*FULL, *many) == text_of(*FULL)
    assert text_of(*FULL) == text_of(*FULL[::-1])


def test_the_port_is_part_of_what_the_node_may_not_reach() -> None:
    two = dual("two", 14, ports=[port(82, "a"), port(83, "b", "UDP")], **LB, **RANGES)
    assert rules(text_of(two), "KUBE-IPVS-OUT-FILTER") == [
        "-s 203.0.113.1 -m ipvs --vaddr 203.0.113.1 --vproto tcp --vport 82 -j DROP",
        "-s 203.0.113.1 -m ipvs --vaddr 203.0.113.1 --vproto udp --vport 83 -j DROP",
    ]


DETECTORS = [
    ("ClusterCIDR", "10.0.0.1/8", "! -s 10.0.0.0/8", "10.0.0.0/8", V4),
    ("NodeCIDR", "FD00::/64", "! -s fd00::/64", "fd00::/64", V6),
    ("BridgeInterface", "br0", "! -i br0", "br0", None),
    ("BridgeInterface", 'a"\\b', '! -i "a\\"\\\\b"', 'a"\\b', None),
    ("InterfaceNamePrefix", "veth", "! -i veth+", "veth", None),
    ("InterfaceNamePrefix", "a" * 15, "! -i " + "a" * 15, "a" * 15, None),
]


@pytest.mark.parametrize(("mode", "value", "condition", "held", "family"), DETECTORS)
def test_detectors(mode: str, value: str, condition: str, held: str, family: ik.Family | None) -> None:
    detector = kube.LocalDetector(mode, value)
    assert (detector.not_local, detector.value, detector.family) == (condition, held, family)
    rules_ = kube.Rules(family=family or V4, filled=frozenset(kube.Role), local_detector=detector)
    assert f" dst,dst {condition} -j KUBE-MARK-MASQ\n" in document(rules_)


def test_the_first_network_of_the_family_counts() -> None:
    found = kube.LocalDetector.by_network("NodeCIDR", ["fd00::/64", "10.0.0.0/24", "10.0.1.0/24"], V4)
    assert found == kube.LocalDetector("NodeCIDR", "10.0.0.0/24")
    assert kube.LocalDetector.by_network("NodeCIDR", ["fd00::/64"], V4) is None


BAD: list[tuple[Callable[[], object], str]] = [
    (lambda: kube.LocalDetector("Cluster", "10.0.0.0/8"), "ClusterCIDR, NodeCIDR"),
    (lambda: kube.LocalDetector("ClusterCIDR", "10.0.0.0"), "a network such as"),
    (lambda: kube.LocalDetector("BridgeInterface", "a b"), "a device's name"),
    (lambda: kube.LocalDetector("InterfaceNamePrefix", ""), "a device's name"),
    (lambda: kube.Rules(family=V6, local_detector=kube.LocalDetector("NodeCIDR", "10.0.0.0/8")), "of ipv6"),
    (lambda: kube.Rules(family=V4, masquerade_bit=32), "from 0 to 31"),
    (lambda: kube.Rules(family=V4, out_filters=(kube.OutFilter("2001:db8::1", 80, "tcp"),)), "of ipv4"),
    (lambda: kube.Rules(family=V4, out_filters=(kube.OutFilter("192.0.2.1", 0, "tcp"),)), "from 1 to 65535"),
    (lambda: kube.Rules(family=V4, out_filters=(kube.OutFilter("192.0.2.1", 80, "TCP"),)), "tcp, udp, sctp"),
]


@pytest.mark.parametrize(("make", "words"), BAD)
def test_what_cannot_be(make: Callable[[], object], words: str) -> None:
    with pytest.raises(ik.InvalidConfig, match=words):
        make()


def test_out_filters_are_in_order_and_each_once() -> None:
    one, two = kube.OutFilter("2001:DB8::2", 80, "tcp"), kube.OutFilter("2001:db8:0::1", 80, "udp")
    first = kube.Rules(family=V6, out_filters=(one, two, one))
    assert first == kube.Rules(family=V6, out_filters=(two, one))
    assert [str(each.address) for each in first.out_filters] == ["2001:db8::1", "2001:db8::2"]
    assert len(rules(document(first), "KUBE-IPVS-OUT-FILTER")) == 2


def test_a_change_of_rules_needs_no_jumps() -> None:
    found = kube.translate(FULL, NODE)[V4]
    whole, change = found.iptables.splitlines(), document(found.rules, with_jumps=False).splitlines()
    assert change == [line for line in whole if not line.startswith("-I")]
