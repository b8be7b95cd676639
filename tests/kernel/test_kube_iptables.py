"""The rules and the tools that load them, on a real kernel: both variants, both families.

Knows: iptables. Must not know: Services.
"""

from __future__ import annotations

import fcntl
import re
import socket
from contextlib import ExitStack
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import pytest

import ipvskit as ik
from ipvskit import kube
from ipvskit.kube import iptables_tool
from ipvskit.kube.iptables import document
from ipvskit.kube.iptables_tool import Iptables, IptablesFailed, IptablesNotAvailable
from ipvskit.kube.names import define, set_name
from ipvskit.testing.namespaces import TestNetNS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ipvskit.kube.config import Variant

#: Those that are tried on each kernel; the others depend on the tools, which are the same everywhere, and take long in a guest.
on_each_kernel = pytest.mark.ipset

V4, V6 = ik.Family.IPV4, ik.Family.IPV6
VARIANTS: list[tuple[ik.Family, Variant]] = [(V4, "nft"), (V4, "legacy"), (V6, "nft"), (V6, "legacy")]
ALL = frozenset(kube.Role)
TABLES = ("nat", "filter")
#: What a node has besides: chains of others', with jumps before and behind.
OTHERS = """*nat
:CNI-X - [0:0]
-A PREROUTING -m comment --comment "see -j KUBE-SERVICES" -j CNI-X
-A CNI-X -s {net} -j RETURN
COMMIT
*filter
:CNI-X - [0:0]
:KUBE-FIREWALL - [0:0]
-A INPUT -j KUBE-FIREWALL
-A INPUT -i lo -j ACCEPT
-A FORWARD -j CNI-X
-A KUBE-FIREWALL -s {net} -j DROP
COMMIT
"""
NETWORKS = {V4: "198.51.100.0/24", V6: "2001:db8:9::/48"}


class Node(NamedTuple):
    """A fresh namespace with all the family's sets, and the tool in it."""

    tool: Iptables
    namespace: TestNetNS
    kernel: ik.Kernel
    family: ik.Family

    def rules(self, filled: frozenset[kube.Role] = ALL, **given: object) -> kube.Rules:
        return kube.Rules(family=self.family, filled=filled, **given)  # type: ignore[arg-type]

    def saved(self) -> list[str]:
        """All that both tables have, without counters and remarks."""
        lines = [line for table in TABLES for line in self.tool.save(table).splitlines()]
        return [re.sub(r" \[\d+:\d+\]$", "", line) for line in lines if not line.startswith("#")]

    def chain(self, name: str) -> list[str]:
        """What follows "-A NAME", without comments."""
        found = (line.removeprefix(f"-A {name} ") for line in self.saved() if line.startswith(f"-A {name} "))
        return [re.sub(r'-m comment --comment "[^"]*" ', "", line) for line in found]

    def add_others(self) -> None:
        self.tool.load(OTHERS.format(net=NETWORKS[self.family]))


#: What the tools say where a kernel has no part for them. Some have nf_tables, but without the families that iptables-nft needs.
_LACKING = r"(?i)table does not exist|can't initialize|cannot initialize|unable to initialize|(?:TABLE|CHAIN)_ADD failed \(Operation not supported\)"


@cache
def lacking(program: str) -> str:
    """Why a tool is of no use here, "" where it is."""
    family = V6 if program.startswith("ip6") else V4
    variant: Variant = "nft" if program.endswith("nft") else "legacy"
    with TestNetNS() as namespace, Iptables(family, namespace, variant=variant) as tool:
        try:
            for table in TABLES:
                # Some make tables and chains that nothing leads to, and then not the chains that packets come through.
                tool.load(f"*{table}\n:PROBE - [0:0]\n-A OUTPUT -j PROBE\nCOMMIT\n")
        except IptablesNotAvailable as error:
            return str(error)
        except IptablesFailed as error:
            if re.search(_LACKING, error.text):
                return f"this kernel has no tables for {program}: {error.text[:100]}"
            raise
    return ""


@pytest.fixture(scope="module", autouse=True)
def _ipv6() -> None:
    """Where IPv6 is a module, a socket loads it; the variant nft does not."""
    socket.socket(socket.AF_INET6).close()


@pytest.fixture(params=VARIANTS, ids=[f"{family.value}-{variant}" for family, variant in VARIANTS])
def node(request: pytest.FixtureRequest, namespace: TestNetNS) -> Iterator[Node]:
    family, variant = request.param
    with Iptables(family, namespace, variant=variant) as tool, ik.Kernel(namespace) as kernel:
        if reason := lacking(tool.program):
            pytest.skip(reason)
        try:
            for role in kube.Role:
                kernel.ipset.create(define(role, family, None))
        except (ik.IpsetNotAvailable, ik.SetTypeNotAvailable) as error:
            pytest.skip(f"this kernel has no such set: {error}")
        yield Node(tool, namespace, kernel, family)


# --- loading -----------------------------------------------------------------------------------------------------------------------------------


@on_each_kernel
@pytest.mark.parametrize("filled", [frozenset(), ALL], ids=["empty", "full"])
def test_loading_twice_changes_nothing(node: Node, filled: frozenset[kube.Role]) -> None:
    rules = node.rules(filled)
    assert node.tool.missing(rules) == document(rules)
    node.tool.ensure(rules)
    assert node.tool.missing(rules) == ""
    once = node.saved()
    node.tool.ensure(rules)
    assert node.saved() == once
    written = [line for line in document(rules).splitlines() if line.startswith(("-A", "-I"))]
    assert len([line for line in once if line.startswith("-A")]) == len(written)
    assert node.chain("KUBE-NODE-PORT")[-1:] == [
        f"-m set --match-set {set_name(kube.Role.HEALTH_CHECK_NODE_PORT, node.family)} dst -j ACCEPT"
    ]


def test_every_kind_of_detector_loads(node: Node) -> None:
    network = NETWORKS[node.family]
    for mode, value, text in (
        ("NodeCIDR", network, f"! -s {network}"),
        ("BridgeInterface", "br0", "! -i br0"),
        ("InterfaceNamePrefix", "veth", "! -i veth+"),
        ("InterfaceNamePrefix", "a" * 15, "! -i " + "a" * 15),
    ):
        rules = node.rules(local_detector=kube.LocalDetector(mode, value), masquerade_bit=31)
        node.tool.ensure(rules)
        (found,) = [rule for rule in node.chain("KUBE-SERVICES") if rule.startswith("!")]
        assert found.startswith(text + " ")
        assert node.tool.missing(rules) == ""
    assert node.chain("KUBE-MARK-MASQ") == ["-j MARK --set-xmark 0x80000000/0x80000000"]


def test_what_the_sets_need_comes_and_goes(node: Node) -> None:
    node.tool.ensure(node.rules())
    full = node.saved()
    node.tool.ensure(node.rules(frozenset()))
    assert len(node.chain("KUBE-SERVICES")) == 2
    node.tool.load(document(node.rules(), with_jumps=False))
    assert node.saved() == full


def test_rules_of_others_stay_as_they_are(node: Node) -> None:
    node.add_others()
    before = node.saved()
    node.tool.ensure(node.rules())
    theirs = [line for line in node.saved() if line in before]
    assert theirs == before
    assert node.chain("PREROUTING") == ["-j KUBE-SERVICES", "-j CNI-X"]
    assert node.chain("INPUT") == [
        "-j KUBE-IPVS-FILTER",
        "-j KUBE-PROXY-FIREWALL",
        "-j KUBE-NODE-PORT",
        "-j KUBE-FIREWALL",
        "-i lo -j ACCEPT",
    ]


def test_who_came_first_stays_first(node: Node) -> None:
    node.tool.ensure(node.rules())
    node.tool.load("*nat\n:CNI-Y - [0:0]\n-I PREROUTING -j CNI-Y\nCOMMIT\n")
    node.tool.ensure(node.rules())
    assert node.chain("PREROUTING") == ["-j CNI-Y", "-j KUBE-SERVICES"]


def test_jumps_are_put_right(node: Node) -> None:
    node.tool.ensure(node.rules())
    right = node.saved()
    node.tool.load(
        "*nat\n-A PREROUTING -j KUBE-SERVICES\n"
        '-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES\n'
        '-D OUTPUT -m comment --comment "kubernetes service portals" -j KUBE-SERVICES\nCOMMIT\n'
    )
    assert node.saved() != right
    assert "-D PREROUTING" in node.tool.missing(node.rules())
    node.tool.ensure(node.rules())
    assert node.saved() == right


def test_somebody_takes_out_a_jump_meanwhile(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    twice = "*nat\n-A PREROUTING -j KUBE-SERVICES\nCOMMIT\n"
    node.tool.ensure(node.rules())
    right = node.saved()
    node.tool.load(twice)
    stale = [node.tool._present()]
    node.tool.load(twice.replace("-A", "-D"))
    monkeypatch.setattr(node.tool, "_present", lambda: stale.pop() if stale else Iptables._present(node.tool))
    node.tool.ensure(node.rules())
    assert node.saved() == right


# --- taking it out --------------------------------------------------------------------------------------------------------------------------------


@on_each_kernel
def test_what_is_left_is_what_was_before(node: Node) -> None:
    assert node.tool.remove().document == ""
    node.add_others()
    before = node.saved()
    node.tool.ensure(node.rules())
    node.tool.load("*filter\n-A KUBE-FORWARD -j CNI-X\nCOMMIT\n")
    assert node.tool.remove().kept == ()
    assert node.saved() == before


def test_chains_that_others_use_stay_empty(node: Node) -> None:
    node.add_others()
    before = node.saved()
    node.tool.ensure(node.rules())
    theirs = f"-A CNI-X -s {NETWORKS[node.family]} -j KUBE-MARK-MASQ"
    node.tool.load(f"*nat\n{theirs}\nCOMMIT\n")
    assert node.tool.remove().kept == (("nat", "KUBE-MARK-MASQ", "CNI-X"),)
    assert sorted(node.saved()) == sorted([*before, ":KUBE-MARK-MASQ -", theirs])
    node.tool.load(f"*nat\n{theirs.replace('-A', '-D', 1)}\nCOMMIT\n")
    assert node.tool.remove().kept == ()
    assert node.saved() == before


# --- what goes wrong ------------------------------------------------------------------------------------------------------------------------------


def test_a_wrong_document_names_its_line_and_leaves_the_table(node: Node) -> None:
    node.tool.ensure(node.rules())
    before = node.saved()
    missing = "-A KUBE-SERVICES -m set --match-set no-such-set dst -j RETURN"
    with pytest.raises(IptablesFailed, match="no-such-set") as caught:
        node.tool.load(f"*nat\n:KUBE-SERVICES - [0:0]\n{missing}\nCOMMIT\n")
    error = caught.value
    assert (error.line, error.rule, error.status) == (3, missing, 2)
    assert error.program == f"{node.tool.program}-restore"
    assert node.saved() == before


def test_a_jump_that_is_not_there_fails_the_document(node: Node) -> None:
    node.tool.ensure(node.rules())
    before = node.saved()
    with pytest.raises(IptablesFailed) as caught:
        node.tool.load("*nat\n:KUBE-SERVICES - [0:0]\n-D INPUT -j KUBE-SERVICES\nCOMMIT\n")
    assert (caught.value.line, caught.value.rule) == (3, "-D INPUT -j KUBE-SERVICES")
    assert node.saved() == before


def test_what_the_kernel_refuses(node: Node) -> None:
    """The tool takes it, the kernel does not: nft names the rule, legacy the end of the table."""
    before = node.saved()
    with pytest.raises(IptablesFailed) as caught:
        node.tool.load("*filter\n:KUBE-X - [0:0]\n-A KUBE-X -j MASQUERADE\n-A KUBE-X -j RETURN\nCOMMIT\n")
    assert caught.value.rule == ("-A KUBE-X -j MASQUERADE" if node.tool.program.endswith("nft") else "COMMIT")
    assert node.saved() == before


def test_without_the_sets_there_are_no_rules(node: Node) -> None:
    node.kernel.ipset.destroy(set_name(kube.Role.IPVS_IPS, node.family))
    with pytest.raises(IptablesFailed, match="IPVS-IPS"):
        node.tool.ensure(node.rules(frozenset()))


def test_the_lock_is_waited_for(node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if node.tool.program.endswith("nft"):
        pytest.skip("the variant nft has no lock: the kernel serialises")
    path = tmp_path / "lock"
    monkeypatch.setenv("XTABLES_LOCKFILE", str(path))
    with Iptables(node.family, node.namespace, variant="legacy", lock_wait=1) as hasty, path.open("w") as held:
        hasty.ensure(node.rules())
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(IptablesFailed, match="lock") as caught:
            hasty.ensure(node.rules())
        assert caught.value.status == 4
        fcntl.flock(held, fcntl.LOCK_UN)
        hasty.ensure(node.rules())


# --- which variant ------------------------------------------------------------------------------------------------------------------------------


def test_auto_takes_the_variant_that_is_in_use(node: Node) -> None:
    default = iptables_tool._PROGRAMS[node.family]
    with Iptables(node.family, node.namespace) as tool:
        # Where this kernel has no part for the system's default, it is the other one from the start.
        assert tool.program in {default, node.tool.program}
    node.tool.ensure(node.rules(frozenset()))
    with Iptables(node.family, node.namespace) as tool:
        assert tool.program == node.tool.program
        assert tool.version == node.tool.version
        tool.remove()
    assert not [line for line in node.saved() if "KUBE" in line]


# --- what the rules do ------------------------------------------------------------------------------------------------------------------------------

PORTS = (8080, 8081, 8082, 8083)


def outcome(node: Node, host: str, port: int) -> str:
    with node.namespace.socket(socket_family(node), socket.SOCK_STREAM) as client:
        # A refusal that arrives by the loopback device while the socket is being connected counts with the second try, which is after a second.
        client.settimeout(3)
        try:
            client.connect((host, port))
        except ConnectionRefusedError:
            return "refused"
        except TimeoutError:
            return "dropped"
        return "connected"


def socket_family(node: Node) -> socket.AddressFamily:
    return socket.AF_INET if node.family is V4 else socket.AF_INET6


@on_each_kernel
def test_ports_of_the_host_are_not_reached_through_service_addresses(node: Node) -> None:
    vip, other = ("192.0.2.9", "192.0.2.8") if node.family is V4 else ("2001:db8::9", "2001:db8::8")
    node.namespace.ip(f"addr add {vip} dev lo", f"addr add {other} dev lo")
    entries = {
        kube.Role.IPVS_IPS: [vip],
        kube.Role.CLUSTER_IP: [f"{vip},tcp:{PORTS[1]}"],
        kube.Role.LOAD_BALANCER: [f"{vip},tcp:{PORTS[2]}", f"{vip},tcp:{PORTS[3]}"],
        kube.Role.LOAD_BALANCER_FW: [f"{vip},tcp:{PORTS[2]}", f"{vip},tcp:{PORTS[3]}"],
        kube.Role.LOAD_BALANCER_SOURCE_CIDR: [f"{vip},tcp:{PORTS[2]},{NETWORKS[node.family]}"],
        kube.Role.LOAD_BALANCER_SOURCE_IP: [f"{vip},tcp:{PORTS[3]},{vip}"],
    }
    for role, texts in entries.items():
        node.kernel.ipset.add_entries(set_name(role, node.family), texts).raise_for_failures()
    with ExitStack() as listening:
        for port in PORTS:
            server = listening.enter_context(node.namespace.socket(socket_family(node), socket.SOCK_STREAM))
            server.bind(("", port))
            server.listen()
        assert [outcome(node, vip, port) for port in PORTS] == ["connected"] * 4
        node.tool.ensure(node.rules(frozenset(entries)))
        assert [outcome(node, vip, port) for port in PORTS] == ["refused", "connected", "dropped", "connected"]
        assert [outcome(node, other, port) for port in PORTS] == ["connected"] * 4
        node.tool.remove()
        assert [outcome(node, vip, port) for port in PORTS] == ["connected"] * 4


@pytest.mark.ipvs
def test_what_the_node_may_not_use_itself(node: Node) -> None:
    address = "203.0.113.1" if node.family is V4 else "2001:db8::1"
    rules = node.rules(out_filters=(kube.OutFilter(address, 80, "tcp"), kube.OutFilter(address, 53, "udp")))
    node.tool.ensure(rules)
    # The tools write the options of this match in another order than they are given in.
    assert [sorted(rule.split()) for rule in node.chain("KUBE-IPVS-OUT-FILTER")] == [
        sorted(f"-s {address}/{32 if node.family is V4 else 128} -m ipvs --vaddr {address} {options} -j DROP".split())
        for options in ("--vproto 17 --vport 53", "--vproto 6 --vport 80")
    ]
    assert node.tool.missing(rules) == ""
    once = node.saved()
    node.tool.ensure(rules)
    assert node.saved() == once
    assert node.tool.remove().kept == ()
