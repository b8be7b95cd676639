"""The rules that use the sets, as a document for `iptables-restore --noflush`.

Knows: tables, chains, their rules and their order. Must not know: how the document is loaded, what is in the sets.

The chains of its own are emptied and filled at once; nothing else is touched, so the document can be loaded again and again, except for the jumps
from the kernel's chains: each of them is inserted first in its chain, so only those that are missing belong into it (`iptables -t TABLE -C CHAIN
...` finds that out). The number of rules does not grow with that of Services, except in KUBE-IPVS-OUT-FILTER, which has one for each address and
port of a load balancer whose source ranges shut out the node.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ipvskit.kube.names import NODE_PORTS, Role, set_name
from ipvskit.model.address import Family

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ipvskit.kube.site import Site
    from ipvskit.kube.virtual import Drop

__all__ = ["CHAINS", "JUMPS", "Jump", "cleanup", "document"]

#: The chains of each table that belong to this module.
CHAINS = {
    "nat": ("KUBE-SERVICES", "KUBE-POSTROUTING", "KUBE-NODE-PORT", "KUBE-LOAD-BALANCER", "KUBE-MARK-MASQ"),
    "filter": (
        "KUBE-FORWARD",
        "KUBE-NODE-PORT",
        "KUBE-PROXY-FIREWALL",
        "KUBE-SOURCE-RANGES-FIREWALL",
        "KUBE-IPVS-FILTER",
        "KUBE-IPVS-OUT-FILTER",
    ),
}


class Jump(NamedTuple):
    """A rule of one of the kernel's chains that leads to one of ours. `arguments` are those behind the chain's name."""

    table: str
    chain: str
    target: str
    comment: str

    @property
    def arguments(self) -> tuple[str, ...]:
        """As a command takes them, without quotes."""
        return ("-m", "comment", "--comment", self.comment, "-j", self.target)

    def __str__(self) -> str:
        return f"{self.chain} {_comment(self.comment)} -j {self.target}"


#: In the order in which they are inserted: of one chain the last one comes to stand first.
JUMPS = (
    Jump("nat", "OUTPUT", "KUBE-SERVICES", "service addresses, from this host"),
    Jump("nat", "PREROUTING", "KUBE-SERVICES", "service addresses"),
    Jump("nat", "POSTROUTING", "KUBE-POSTROUTING", "source addresses of service traffic"),
    Jump("filter", "FORWARD", "KUBE-FORWARD", "forwarded service traffic"),
    Jump("filter", "INPUT", "KUBE-NODE-PORT", "health checks of node ports"),
    Jump("filter", "INPUT", "KUBE-PROXY-FIREWALL", "source ranges of load balancers"),
    Jump("filter", "FORWARD", "KUBE-PROXY-FIREWALL", "source ranges of load balancers"),
    Jump("filter", "INPUT", "KUBE-IPVS-FILTER", "ports of this host are not reached by service addresses"),
    Jump("filter", "OUTPUT", "KUBE-IPVS-OUT-FILTER", "source ranges of load balancers, from this host"),
)

#: Loopback sources by family.
_LOOPBACK = {Family.IPV4: "127.0.0.0/8", Family.IPV6: "::1/128"}
_BOTH, _FIRST, _THREE, _SOURCE = "dst,dst", "dst", "dst,dst,src", "src,dst"


def document(site: Site, filled: frozenset[Role], drops: Iterable[Drop], jumps: Sequence[Jump] = JUMPS) -> str:
    """The whole document: `filled` are the sets that have entries, `jumps` those that are missing."""
    rules = _Rules(site, filled)
    tables = {"nat": rules.nat(), "filter": rules.filter(drops)}
    lines = []
    for table, found in tables.items():
        lines.append(f"*{table}")
        lines += [f":{chain} - [0:0]" for chain in CHAINS[table]]
        lines += [f"-I {jump}" for jump in jumps if jump.table == table]
        lines += [f"-A {rule}" for rule in found]
        lines.append("COMMIT")
    return "\n".join(lines) + "\n"


def cleanup(jumps: Sequence[Jump] = JUMPS) -> str:
    """A document that removes every chain; `jumps` are those that are there."""
    lines = []
    for table, chains in CHAINS.items():
        lines.append(f"*{table}")
        lines += [f":{chain} - [0:0]" for chain in chains]
        lines += [f"-D {jump}" for jump in jumps if jump.table == table]
        lines += [f"-X {chain}" for chain in chains]
        lines.append("COMMIT")
    return "\n".join(lines) + "\n"


def _comment(text: str) -> str:
    return f'-m comment --comment "{text}"'


class _Rules:
    """The rules of one family."""

    def __init__(self, site: Site, filled: frozenset[Role]) -> None:
        self._site, self._filled = site, filled
        mark = 1 << site.config.masquerade_bit
        self._mark = f"{mark:#x}"
        self._marked = f"{mark:#x}/{mark:#x}"

    def nat(self) -> list[str]:
        """Which service traffic gets the node's source address."""
        return [*self._services(), *self._postrouting(), *self._node_port(), *self._load_balancer(), self._mark_masq()]

    def filter(self, drops: Iterable[Drop]) -> list[str]:
        """Which traffic to service addresses is let in."""
        return [*self._forward(), *self._health_check(), *self._firewall(), *self._ipvs(), *_out(drops)]

    def _match(self, role: Role, directions: str) -> str:
        return f"-m set --match-set {set_name(role, self._site.family)} {directions}"

    def _rule(self, chain: str, role: Role, directions: str, tail: str, comment: str) -> list[str]:
        """One rule, if the set has entries."""
        if role not in self._filled:
            return []
        return [f"{chain} {_comment(comment)} {self._match(role, directions)} {tail}"]

    # --- nat ----------------------------------------------------------------------------------------------------------------------

    def _services(self) -> list[str]:
        chain = "KUBE-SERVICES"
        jump = self._rule(
            chain, Role.LOAD_BALANCER, _BOTH, "-j KUBE-LOAD-BALANCER", "addresses and ports of load balancers"
        )
        external, local = Role.EXTERNAL_IP, Role.EXTERNAL_IP_LOCAL
        mark = self._rule(chain, external, _BOTH, "-j KUBE-MARK-MASQ", "external addresses and ports")
        return [
            f"{chain} -s {_LOOPBACK[self._site.family]} -j RETURN",
            *jump,
            *self._cluster_ip(chain),
            *mark,
            *self._accepted(chain, external, "external addresses and ports"),
            *self._accepted(chain, local, "external addresses and ports of local endpoints"),
            f"{chain} -m addrtype --dst-type LOCAL -j KUBE-NODE-PORT",
            *self._rule(chain, Role.CLUSTER_IP, _BOTH, "-j ACCEPT", "cluster addresses and ports"),
            *self._rule(chain, Role.LOAD_BALANCER, _BOTH, "-j ACCEPT", "addresses and ports of load balancers"),
        ]

    def _cluster_ip(self, chain: str) -> list[str]:
        comment, target = "cluster addresses and ports", "-j KUBE-MARK-MASQ"
        outside = self._site.not_local
        if self._site.config.masquerade_all:
            return self._rule(chain, Role.CLUSTER_IP, _BOTH, target, comment)
        if outside is not None:
            return self._rule(chain, Role.CLUSTER_IP, _BOTH, f"{' '.join(outside)} {target}", comment)
        # The node's own: the kernel took the virtual address for their source.
        return self._rule(chain, Role.CLUSTER_IP, _SOURCE, target, comment)

    def _accepted(self, chain: str, role: Role, comment: str) -> list[str]:
        tails = (
            "-m physdev ! --physdev-is-in -m addrtype ! --src-type LOCAL -j ACCEPT",
            "-m addrtype --dst-type LOCAL -j ACCEPT",
        )
        return [rule for tail in tails for rule in self._rule(chain, role, _BOTH, tail, comment)]

    def _postrouting(self) -> list[str]:
        chain = "KUBE-POSTROUTING"
        randomly = " --random-fully" if self._site.config.random_fully else ""
        hairpin = "a local endpoint that reaches itself by a service address"
        return [
            *self._rule(chain, Role.LOOP_BACK, _THREE, "-j MASQUERADE", hairpin),
            f"{chain} -m mark ! --mark {self._marked} -j RETURN",
            f"{chain} -j MARK --xor-mark {self._mark}",
            f"{chain} {_comment('service traffic that needs the source address of this host')} -j MASQUERADE{randomly}",
        ]

    def _node_port(self) -> list[str]:
        chain, rules = "KUBE-NODE-PORT", []
        for protocol, (everything, local) in NODE_PORTS.items():
            directions = _BOTH if protocol == "sctp" else _FIRST
            rows = (
                (local, "-j RETURN", f"{protocol} node ports of local endpoints"),
                (everything, "-j KUBE-MARK-MASQ", f"{protocol} node ports"),
            )
            for role, target, comment in rows:
                rules += self._rule(f"{chain} -p {protocol}", role, directions, target, comment)
        return rules

    def _load_balancer(self) -> list[str]:
        chain, comment = "KUBE-LOAD-BALANCER", "addresses and ports of load balancers with local endpoints"
        kept = self._rule(chain, Role.LOAD_BALANCER_LOCAL, _BOTH, "-j RETURN", comment)
        return [*kept, f"{chain} -j KUBE-MARK-MASQ"]

    def _mark_masq(self) -> str:
        return f"KUBE-MARK-MASQ -j MARK --or-mark {self._mark}"

    # --- filter -------------------------------------------------------------------------------------------------------------------

    def _forward(self) -> list[str]:
        chain = "KUBE-FORWARD"
        return [
            f"{chain} {_comment('marked service traffic')} -m mark --mark {self._marked} -j ACCEPT",
            f"{chain} {_comment('what belongs to it')} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
        ]

    def _health_check(self) -> list[str]:
        match = self._match(Role.HEALTH_CHECK_NODE_PORT, _FIRST)
        return [f"KUBE-NODE-PORT {_comment('health checks')} {match} -j ACCEPT"]

    def _firewall(self) -> list[str]:
        ranges = "KUBE-SOURCE-RANGES-FIREWALL"
        guarded = "addresses and ports of load balancers with source ranges"
        return [
            *self._rule("KUBE-PROXY-FIREWALL", Role.LOAD_BALANCER_FW, _BOTH, f"-j {ranges}", guarded),
            *self._rule(ranges, Role.LOAD_BALANCER_SOURCE_CIDR, _THREE, "-j RETURN", "source ranges"),
            *self._rule(ranges, Role.LOAD_BALANCER_SOURCE_IP, _THREE, "-j RETURN", "this host, if it is in them"),
            f"{ranges} -j DROP",
        ]

    def _ipvs(self) -> list[str]:
        chain = "KUBE-IPVS-FILTER"
        pairs = (Role.LOAD_BALANCER, Role.CLUSTER_IP, Role.EXTERNAL_IP, Role.EXTERNAL_IP_LOCAL)
        return [
            *(f"{chain} {self._match(role, _BOTH)} -j RETURN" for role in pairs),
            f"{chain} {self._match(Role.HEALTH_CHECK_NODE_PORT, _FIRST)} -j RETURN",
            f"{chain} -m conntrack --ctstate NEW {self._match(Role.IPVS_IPS, _FIRST)} -j REJECT",
        ]


def _out(drops: Iterable[Drop]) -> list[str]:
    chain = "KUBE-IPVS-OUT-FILTER"
    return [
        f"{chain} -s {address} -m ipvs --vaddr {address} --vproto {protocol} --vport {port} -j DROP"
        for address, protocol, port in sorted(drops)
    ]
