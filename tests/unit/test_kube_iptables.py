"""The iptables document: rules, their order, and that the real tools take it (section 1.3 of the specification).

Knows: iptables. Must not know: how the document is made.
"""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING, Any

import pytest

import ipvskit as ik
from ipvskit import kube
from tests.unit.kube_cluster import BOTH, NODE, V4, V6, endpoint, port, service, slice_of

if TYPE_CHECKING:
    from ipvskit.testing.namespaces import TestNetNS

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
    assert re.findall(r"^-I (.*)$", text, re.MULTILINE) == [
        "OUTPUT -j KUBE-SERVICES",
        "PREROUTING -j KUBE-SERVICES",
        "POSTROUTING -j KUBE-POSTROUTING",
        "FORWARD -j KUBE-FORWARD",
        "INPUT -j KUBE-NODE-PORT",
        "INPUT -j KUBE-PROXY-FIREWALL",
        "FORWARD -j KUBE-PROXY-FIREWALL",
        "INPUT -j KUBE-IPVS-FILTER",
        "OUTPUT -j KUBE-IPVS-OUT-FILTER",
    ]
    assert text.index("*nat") < text.index("-I PREROUTING") < text.index("*filter") < text.index("-I INPUT")


def test_every_chain_is_emptied_first() -> None:
    text = text_of()
    nat, filtered = (re.findall(r"^:(\S+) - \[0:0\]$", part, re.MULTILINE) for part in text.split("*filter"))
    assert (tuple(nat), tuple(filtered)) == (kube.CHAINS["nat"], kube.CHAINS["filter"])


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


def test_jumps_that_are_there_can_be_left_out() -> None:
    found = kube.translate(FULL, NODE)[V4]
    assert "-I " not in found.iptables_document(missing=())
    one = found.iptables_document(missing=kube.JUMPS[3:4])
    assert re.findall(r"^-I \S+", one, re.MULTILINE) == ["-I FORWARD"]


# --- the tools ----------------------------------------------------------------------------------------------------------------------------

TOOLS = [
    (tool, family)
    for family, start in ((V4, "iptables"), (V6, "ip6tables"))
    for tool in (f"{start}-legacy", f"{start}-nft")
]


def make_sets(namespace: TestNetNS, state: ik.State) -> None:
    with ik.Kernel(namespace) as kernel:
        try:
            for each in state.sets.values():
                kernel.ipset.create(each)
        except (ik.IpsetNotAvailable, ik.SetTypeNotAvailable) as error:
            pytest.skip(f"this kernel has no such set: {error}")


def load(namespace: TestNetNS, tool: str, text: str, *options: str) -> str:
    """Load a document, or skip where the kernel lacks what it needs."""
    if shutil.which(f"{tool}-restore") is None:
        pytest.skip(f"there is no {tool}-restore")
    done = namespace.run([f"{tool}-restore", "--noflush", *options], input=text, check=False)
    lacking = re.search(
        r"missing kernel module|Extension \w+ .*not supported|can't initialize",
        done.stderr,
    )
    if done.returncode and lacking:
        pytest.skip(f"not on this kernel: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    return done.stderr


@pytest.mark.parametrize(("tool", "family"), TOOLS)
@pytest.mark.parametrize("objects", [[], FULL], ids=["empty", "full"])
def test_the_tools_accept_it(namespace: TestNetNS, tool: str, family: ik.Family, objects: list[Any]) -> None:
    found = kube.translate(objects, NODE)[family]
    make_sets(namespace, found.state)
    load(namespace, tool, found.iptables, "--test")


@pytest.mark.parametrize(("tool", "family"), TOOLS)
def test_the_tools_load_it_twice_and_take_it_back(namespace: TestNetNS, tool: str, family: ik.Family) -> None:
    """All but the rule that needs xt_ipvs, which kernels without IPVS lack."""
    found = kube.translate([each for each in FULL if each["metadata"]["name"] != "lb"], NODE)[family]
    assert "-m ipvs" not in found.iptables
    make_sets(namespace, found.state)
    before = namespace.run([f"{tool}-save"], check=False).stdout if shutil.which(f"{tool}-save") else ""
    load(namespace, tool, found.iptables)
    once = namespace.run([f"{tool}-save"]).stdout
    load(namespace, tool, found.iptables_document(missing=()))
    assert without_counters(namespace.run([f"{tool}-save"]).stdout) == without_counters(once)
    for jump in kube.JUMPS:
        namespace.run([tool, "-t", jump.table, "-C", jump.chain, *jump.arguments])
    written = sum(line.startswith("-A KUBE-") for line in found.iptables.splitlines())
    assert sum(line.startswith("-A KUBE-") for line in once.splitlines()) == written
    load(namespace, tool, kube.cleanup())
    assert "KUBE" not in namespace.run([f"{tool}-save"]).stdout
    assert "KUBE" not in before


def without_counters(text: str) -> list[str]:
    return [re.sub(r"\[\d+:\d+\]", "", line) for line in text.splitlines() if not line.startswith("#")]


@pytest.mark.parametrize(("tool", "family"), TOOLS)
def test_the_rule_with_ipvs_loads(namespace: TestNetNS, tool: str, family: ik.Family) -> None:
    found = kube.translate(FULL, NODE)[family]
    make_sets(namespace, found.state)
    load(namespace, tool, found.iptables)
    assert "KUBE-IPVS-OUT-FILTER" in namespace.run([f"{tool}-save"]).stdout
