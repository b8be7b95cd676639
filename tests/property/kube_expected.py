"""What a node should have, as plain data.

Knows: the sets of a family, and the shape of an expectation. Must not know: ipvskit, how an expectation comes about.
"""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["SETS", "Expected", "Pass", "Real", "Virtual", "set_names"]

#: IPv4 name, IPv6 name, type.
SETS = (
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
)


def set_names(version: int) -> dict[str, str]:
    """The names of a family's sets by their IPv4 names."""
    return {each[0]: each[0 if version == 4 else 1] for each in SETS}


@dataclass(frozen=True)
class Real:
    """A real server's weight and how it is reached."""

    weight: int = 1
    forwarding: str = "masquerade"


@dataclass
class Virtual:
    """A virtual service; `timeout` (seconds) is None without session affinity, `drain` (seconds) where nothing is said about it."""

    scheduler: str = "rr"
    flags: set[str] = field(default_factory=set)
    timeout: int | None = None
    drain: float | None = None
    reals: dict[str, Real] = field(default_factory=dict)


@dataclass
class Pass:
    """One family: virtual services by their keys, the entries of the sets by their names, the addresses on the device.

    `drops` are load balancer addresses and ports that the node itself may not use, as "IP,proto:port".
    """

    services: dict[str, Virtual] = field(default_factory=dict)
    sets: dict[str, set[str]] = field(default_factory=dict)
    bound: set[str] = field(default_factory=set)
    drops: set[str] = field(default_factory=set)


@dataclass
class Expected:
    """Both families (4 and 6), the health checks by namespace and name (port, local ready endpoints), and who lost an address to whom."""

    passes: dict[int, Pass]
    health: dict[tuple[str, str], tuple[int, int]]
    #: "namespace/name" of Services that did not get an address and port, because an older one has it.
    losers: set[str] = field(default_factory=set)
    #: "namespace/name" of Services with external or load balancer addresses that are refused.
    refused: set[str] = field(default_factory=set)
