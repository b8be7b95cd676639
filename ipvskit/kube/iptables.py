"""The rules that go with the sets, as one document for `iptables-restore --noflush`.

Knows: the tables, chains and rules, their order, and the jumps from the kernel's own chains. Must not know: who loads it, Services.

A document declares every chain of ours, which empties just that chain, and fills it: what it had before is gone with the same commit. Rules are rows
of a table. Most are written only while their set has entries; how many there are does not depend on how many Services there are, except in
KUBE-IPVS-OUT-FILTER. Each table is committed by itself, `filter` first: what is to be refused is refused before anything is let in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from ipvskit.errors import InvalidConfig
from ipvskit.kube.addresses import read_network
from ipvskit.kube.iptables_text import saved_table
from ipvskit.kube.names import Role, set_name
from ipvskit.model.address import Family, parse_address, parse_number
from ipvskit.model.device import MAX_NAME, check_device_name
from ipvskit.model.key import PROTOCOLS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ipvskit.kube.iptables_text import SavedTable
    from ipvskit.model.address import IPAddress

__all__ = ["CHAINS", "JUMPS", "Jump", "LocalDetector", "OutFilter", "Removal", "Rules", "document", "jumps", "removal"]

#: The chains that are ours, by table, in the order in which tables are committed.
CHAINS: dict[str, tuple[str, ...]] = {
    "filter": (
        "KUBE-FORWARD",
        "KUBE-NODE-PORT",
        "KUBE-PROXY-FIREWALL",
        "KUBE-SOURCE-RANGES-FIREWALL",
        "KUBE-IPVS-FILTER",
        "KUBE-IPVS-OUT-FILTER",
    ),
    "nat": ("KUBE-SERVICES", "KUBE-POSTROUTING", "KUBE-NODE-PORT", "KUBE-LOAD-BALANCER", "KUBE-MARK-MASQ"),
}


class Jump(NamedTuple):
    """A rule in a chain of the kernel's that leads to one of ours, without conditions."""

    table: str
    chain: str
    target: str
    comment: str

    def __str__(self) -> str:
        return f'{self.chain} -m comment --comment "{self.comment}" -j {self.target}'


#: In the order in which they are put first, so that of one chain the last one comes to stand first. Where kube-proxy runs or ran, they have its
#: comments, and are the same rules.
JUMPS = (
    Jump("nat", "OUTPUT", "KUBE-SERVICES", "kubernetes service portals"),
    Jump("nat", "PREROUTING", "KUBE-SERVICES", "kubernetes service portals"),
    Jump("nat", "POSTROUTING", "KUBE-POSTROUTING", "kubernetes postrouting rules"),
    Jump("filter", "FORWARD", "KUBE-FORWARD", "kubernetes forwarding rules"),
    Jump("filter", "INPUT", "KUBE-NODE-PORT", "kubernetes health check rules"),
    Jump("filter", "INPUT", "KUBE-PROXY-FIREWALL", "kube-proxy firewall rules"),
    Jump("filter", "FORWARD", "KUBE-PROXY-FIREWALL", "kube-proxy firewall rules"),
    Jump("filter", "INPUT", "KUBE-IPVS-FILTER", "kubernetes ipvs access filter"),
    Jump("filter", "OUTPUT", "KUBE-IPVS-OUT-FILTER", "kubernetes ipvs access filter"),
)


# --- what the document depends on ------------------------------------------------------------------------------------------------------


class OutFilter(NamedTuple):
    """A load balancer's address and port that this node may not use itself, because the source ranges do not cover the node's address."""

    address: IPAddress | str
    port: int
    protocol: str


#: How the node's own pods are told from others, by the names of the API: the condition for traffic that is not theirs.
_NOT_LOCAL = {
    "ClusterCIDR": "! -s {}",
    "NodeCIDR": "! -s {}",
    "BridgeInterface": "! -i {}",
    "InterfaceNamePrefix": "! -i {}",
}
_BY_NETWORK = {"ClusterCIDR", "NodeCIDR"}


@dataclass(frozen=True, slots=True)
class LocalDetector:
    """How traffic of pods is told from other traffic: `mode` is "ClusterCIDR" or "NodeCIDR" with a network for `value`, "BridgeInterface" with
    the bridge that pods are on, or "InterfaceNamePrefix" with what the names of their interfaces begin with. Raises InvalidConfig.
    """  # noqa: D205 - it is one sentence

    mode: str
    value: str

    def __post_init__(self) -> None:
        if self.mode not in _NOT_LOCAL:
            raise InvalidConfig("local_detector", self.mode, "one of " + ", ".join(_NOT_LOCAL))
        if self.mode in _BY_NETWORK:
            network = read_network(self.value)
            if network is None:
                raise InvalidConfig("local_detector", self.value, 'a network such as "10.0.0.0/8"')
            object.__setattr__(self, "value", str(network))
        else:
            check_device_name("local_detector", self.value)

    @classmethod
    def by_network(cls, mode: str, networks: Iterable[str], family: Family) -> LocalDetector | None:
        """By the first network of the family, as kube-proxy does it; None where there is none. Raises InvalidConfig."""
        found = (cls(mode, network) for network in networks)
        return next((each for each in found if each.family is family), None)

    @property
    def family(self) -> Family | None:
        """Of the network; None for interfaces, which have both."""
        if self.mode not in _BY_NETWORK:
            return None
        return Family.IPV6 if ":" in self.value else Family.IPV4

    @property
    def not_local(self) -> str:
        """The condition for traffic of others, as arguments of iptables."""
        # A prefix as long as a name can be leaves no room for a + and needs none.
        value = f"{self.value}+"[:MAX_NAME] if self.mode == "InterfaceNamePrefix" else self.value
        return _NOT_LOCAL[self.mode].format(_word(value))


def _word(text: str) -> str:
    """As one word of a document: names of interfaces may have quotes."""
    if set(text).isdisjoint("\"'\\"):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """All that the rules of one family depend on.

    `filled` are the sets that have entries. `masquerade_bit` (0 to 31) is the bit that marks
    packets which get this node's source address; `masquerade_all` does that to everything that goes to a cluster IP, and otherwise it is what
    `local_detector` does not know for a pod's, or what the node itself sends where there is no detector. `random_fully` (iptables 1.6.2) has the
    kernel choose source ports at random. Raises InvalidConfig.
    """

    family: Family
    filled: frozenset[Role] = frozenset()
    out_filters: tuple[OutFilter, ...] = ()
    masquerade_all: bool = False
    masquerade_bit: int = 14
    local_detector: LocalDetector | None = None
    random_fully: bool = True

    def __post_init__(self) -> None:
        parse_number("masquerade_bit", self.masquerade_bit, 0, 31)
        if self.local_detector is not None and self.local_detector.family not in {None, self.family}:
            raise InvalidConfig("local_detector", self.local_detector.value, f"a network of {self.family.value}")
        object.__setattr__(self, "out_filters", tuple(sorted({self._checked(each) for each in self.out_filters})))

    def _checked(self, given: OutFilter) -> OutFilter:
        address = parse_address("out_filters", given.address)
        if (address.version == 6) != (self.family is Family.IPV6):
            raise InvalidConfig("out_filters", str(address), f"an address of {self.family.value}")
        if given.protocol not in PROTOCOLS:
            raise InvalidConfig("out_filters", given.protocol, "one of " + ", ".join(PROTOCOLS))
        parse_number("out_filters", given.port, 1, 65535)
        return OutFilter(address, given.port, given.protocol)


# --- the rules -----------------------------------------------------------------------------------------------------------------------------


class _Row(NamedTuple):
    """A rule: in which chain, while which set has entries (None for always), the comment, and the rule itself with gaps (see `_gaps`)."""

    chain: str
    needs: Role | None
    comment: str
    rule: str


_EXTERNAL = "external IPs, where both kinds of endpoints serve"
_EXTERNAL_LOCAL = "external IPs, where only local endpoints serve"
#: From elsewhere by way of this node, and not from a port of a bridge; or to an address that this node has.
_FROM_OUTSIDE = "-m physdev ! --physdev-is-in -m addrtype ! --src-type LOCAL -j ACCEPT"
_TO_HOST = "-m addrtype --dst-type LOCAL -j ACCEPT"

_NAT = (
    _Row("KUBE-SERVICES", None, "a program that talks to this host by loopback", "-s {loopback} -j RETURN"),
    _Row("KUBE-SERVICES", Role.LOAD_BALANCER, "load balancers", "{set} dst,dst -j KUBE-LOAD-BALANCER"),
    _Row("KUBE-SERVICES", Role.CLUSTER_IP, "cluster IPs, source changed", "{set} {outside} -j KUBE-MARK-MASQ"),
    _Row("KUBE-SERVICES", Role.EXTERNAL_IP, "external IPs, source changed", "{set} dst,dst -j KUBE-MARK-MASQ"),
    _Row("KUBE-SERVICES", Role.EXTERNAL_IP, "external IPs, from outside", f"{{set}} dst,dst {_FROM_OUTSIDE}"),
    _Row("KUBE-SERVICES", Role.EXTERNAL_IP, "external IPs of this host", f"{{set}} dst,dst {_TO_HOST}"),
    _Row("KUBE-SERVICES", Role.EXTERNAL_IP_LOCAL, "external IPs, from outside", f"{{set}} dst,dst {_FROM_OUTSIDE}"),
    _Row("KUBE-SERVICES", Role.EXTERNAL_IP_LOCAL, "external IPs of this host", f"{{set}} dst,dst {_TO_HOST}"),
    _Row("KUBE-SERVICES", None, "node ports", "-m addrtype --dst-type LOCAL -j KUBE-NODE-PORT"),
    _Row("KUBE-SERVICES", Role.CLUSTER_IP, "cluster IPs", "{set} dst,dst -j ACCEPT"),
    _Row("KUBE-SERVICES", Role.LOAD_BALANCER, "load balancers", "{set} dst,dst -j ACCEPT"),
    _Row("KUBE-POSTROUTING", Role.LOOP_BACK, "a pod that reaches itself", "{set} dst,dst,src -j MASQUERADE"),
    _Row("KUBE-POSTROUTING", None, "not marked", "-m mark ! --mark {mark}/{mark} -j RETURN"),
    _Row("KUBE-POSTROUTING", None, "the mark has done its duty", "-j MARK --xor-mark {mark}"),
    _Row("KUBE-POSTROUTING", None, "marked: gets the source address of this host", "-j MASQUERADE{random}"),
    _Row("KUBE-NODE-PORT", Role.NODE_PORT_LOCAL_TCP, "TCP, source kept", "-p tcp {set} dst -j RETURN"),
    _Row("KUBE-NODE-PORT", Role.NODE_PORT_TCP, "TCP, source changed", "-p tcp {set} dst -j KUBE-MARK-MASQ"),
    _Row("KUBE-NODE-PORT", Role.NODE_PORT_LOCAL_UDP, "UDP, source kept", "-p udp {set} dst -j RETURN"),
    _Row("KUBE-NODE-PORT", Role.NODE_PORT_UDP, "UDP, source changed", "-p udp {set} dst -j KUBE-MARK-MASQ"),
    _Row("KUBE-NODE-PORT", Role.NODE_PORT_LOCAL_SCTP_HASH, "SCTP, source kept", "-p sctp {set} dst,dst -j RETURN"),
    _Row("KUBE-NODE-PORT", Role.NODE_PORT_SCTP_HASH, "SCTP, source changed", "-p sctp {set} dst,dst -j KUBE-MARK-MASQ"),
    _Row("KUBE-LOAD-BALANCER", Role.LOAD_BALANCER_LOCAL, "source kept", "{set} dst,dst -j RETURN"),
    _Row("KUBE-LOAD-BALANCER", None, "source changed", "-j KUBE-MARK-MASQ"),
    _Row("KUBE-MARK-MASQ", None, "gets the source address of this host", "-j MARK --or-mark {mark}"),
)

_FILTER = (
    _Row("KUBE-FORWARD", None, "marked on the way in", "-m mark --mark {mark}/{mark} -j ACCEPT"),
    _Row("KUBE-FORWARD", None, "what follows", "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"),
    _Row("KUBE-NODE-PORT", None, "health checks", "{HEALTH_CHECK_NODE_PORT} dst -j ACCEPT"),
    _Row(
        "KUBE-PROXY-FIREWALL",
        Role.LOAD_BALANCER_FW,
        "load balancers with source ranges",
        "{set} dst,dst -j KUBE-SOURCE-RANGES-FIREWALL",
    ),
    _Row(
        "KUBE-SOURCE-RANGES-FIREWALL",
        Role.LOAD_BALANCER_SOURCE_CIDR,
        "from a source range",
        "{set} dst,dst,src -j RETURN",
    ),
    _Row(
        "KUBE-SOURCE-RANGES-FIREWALL",
        Role.LOAD_BALANCER_SOURCE_IP,
        "from this host, which is in a source range",
        "{set} dst,dst,src -j RETURN",
    ),
    _Row("KUBE-SOURCE-RANGES-FIREWALL", None, "from anywhere else", "-j DROP"),
    _Row("KUBE-IPVS-FILTER", None, "load balancers", "{LOAD_BALANCER} dst,dst -j RETURN"),
    _Row("KUBE-IPVS-FILTER", None, "cluster IPs", "{CLUSTER_IP} dst,dst -j RETURN"),
    _Row("KUBE-IPVS-FILTER", None, _EXTERNAL, "{EXTERNAL_IP} dst,dst -j RETURN"),
    _Row("KUBE-IPVS-FILTER", None, _EXTERNAL_LOCAL, "{EXTERNAL_IP_LOCAL} dst,dst -j RETURN"),
    _Row("KUBE-IPVS-FILTER", None, "health checks", "{HEALTH_CHECK_NODE_PORT} dst -j RETURN"),
    _Row(
        "KUBE-IPVS-FILTER",
        None,
        "no service: ports of this host are not reached by service IPs",
        "-m conntrack --ctstate NEW {IPVS_IPS} dst -j REJECT",
    ),
)
_ROWS = {"filter": _FILTER, "nat": _NAT}
_LOOPBACK = {Family.IPV4: "127.0.0.0/8", Family.IPV6: "::1/128"}


def document(rules: Rules, present: str | None = None, *, with_jumps: bool = True) -> str:
    """The whole document. `present` is what iptables-save says of both tables now; without it they are taken for tables that have no jump of ours.

    Loaded again with the text of iptables-save in between it leaves every rule as it is. Without that, jumps would be there twice: `with_jumps` False
    is for a change of rules where the jumps are known to be there.
    """
    gaps = _gaps(rules)
    lines: list[str] = []
    for table, chains in CHAINS.items():
        lines += [f"*{table}", *(f":{chain} - [0:0]" for chain in chains)]
        lines += [_line(row, gaps) for row in _ROWS[table] if row.needs is None or row.needs in rules.filled]
        lines += _out(rules.out_filters) if table == "filter" else []
        lines += [*(jumps(table, present) if with_jumps else ()), "COMMIT"]
    return "\n".join(lines) + "\n"


def _gaps(rules: Rules) -> dict[str, str]:
    """What the gaps of the rows are filled with: "{IPVS_IPS}" with the match of that set, and so on."""
    gaps = {role.name: _match(role, rules.family) for role in Role}
    gaps["loopback"] = _LOOPBACK[rules.family]
    gaps["mark"] = f"{1 << rules.masquerade_bit:#x}"
    gaps["random"] = " --random-fully" if rules.random_fully else ""
    if rules.masquerade_all:
        gaps["outside"] = "dst,dst"
    elif rules.local_detector is not None:
        gaps["outside"] = f"dst,dst {rules.local_detector.not_local}"
    else:
        # The node itself: the kernel chose the service's address for the source of what goes there.
        gaps["outside"] = "src,dst"
    return gaps


def _match(role: Role, family: Family) -> str:
    return f"-m set --match-set {set_name(role, family)}"


def _line(row: _Row, gaps: dict[str, str]) -> str:
    # "{set}" is the one that the row needs.
    rule = row.rule.format_map(gaps if row.needs is None else gaps | {"set": gaps[row.needs.name]})
    return f'-A {row.chain} -m comment --comment "{row.comment}" {rule}'


def _out(filters: Iterable[OutFilter]) -> Iterator[str]:
    for address, port, protocol in filters:
        match = f"-s {address} -m ipvs --vaddr {address} --vproto {protocol} --vport {port}"
        yield f'-A KUBE-IPVS-OUT-FILTER -m comment --comment "this host is in no source range" {match} -j DROP'


# --- jumps from the kernel's chains, and the end of it all ------------------------------------------------------------------------------------


def jumps(table: str, present: str | None = None) -> list[str]:
    """The lines that bring about that each jump of the table is there once.

    Missing ones are put first in their chain. One that is there stays where it is, whatever stands before it; several all go, and one is put first.
    """
    saved = saved_table(present or "", table, CHAINS[table])
    gone: list[str] = []
    put: list[str] = []
    for jump in (each for each in JUMPS if each.table == table):
        there = _of(jump, saved)
        if len(there) != 1:
            gone += [f"-D {text}" for text in there]
            put.append(f"-I {jump}")
    return gone + put


def _of(jump: Jump, saved: SavedTable) -> list[str]:
    """The jump as it is there, with whatever comment."""
    return [rule.text for rule in saved.rules if rule.plain and rule[:2] == (jump.chain, jump.target)]


@dataclass(frozen=True, slots=True)
class Removal:
    """A document that takes out what is ours, "" where there is nothing.

    `kept` are the chains, as (table, chain, the chain that leads there), that others' rules lead to: the kernel does not let them go, so they stay,
    empty.
    """

    document: str
    kept: tuple[tuple[str, str, str], ...] = ()

    def __str__(self) -> str:
        return self.document


def removal(present_nat: str, present_filter: str) -> Removal:
    """Take out the jumps, then the chains with all that is in them, and nothing else. The texts are those of iptables-save, one of each table."""
    present = {"nat": present_nat, "filter": present_filter}
    lines: list[str] = []
    kept: list[tuple[str, str, str]] = []
    for table, chains in CHAINS.items():
        saved = saved_table(present[table], table, chains)
        ours = [f"-D {text}" for jump in JUMPS if jump.table == table for text in _of(jump, saved)]
        held = [
            (table, rule.target, rule.chain)
            for rule in saved.rules
            if rule.chain not in saved.chains and f"-D {rule.text}" not in ours
        ]
        kept += dict.fromkeys(held)
        if saved.chains:
            there = [chain for chain in chains if chain in saved.chains]
            stay = {chain for _, chain, _ in held}
            lines += [f"*{table}", *(f":{chain} - [0:0]" for chain in there), *ours]
            lines += [*(f"-X {chain}" for chain in there if chain not in stay), "COMMIT"]
    return Removal("".join(f"{line}\n" for line in lines), tuple(kept))
