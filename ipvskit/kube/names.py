"""The names of what a node has: kube-proxy's own, so that tools and rules that know them go on working.

Knows: the 17 sets of a family, their types and options, the device. Must not know: what is in them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ipvskit.model.address import Family
from ipvskit.sets.definition import Set

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["DEVICE", "SETS", "SetRole", "definition", "set_name", "set_names"]

#: The dummy device that carries the service addresses.
DEVICE = "kube-ipvs0"
HASHSIZE = 1024
PORTS = "0-65535"

_PREFIX = "KUBE-"
_IPV6_PREFIX = "KUBE-6-"
#: What the kernel takes of a set's name (bytes).
_LONGEST = 31


@dataclass(frozen=True, slots=True)
class SetRole:
    """One of the sets: its IPv4 name, its type, and what its entries stand for."""

    name: str
    type: str
    meaning: str

    @property
    def is_bitmap(self) -> bool:
        """Whether it is a bitmap of ports, which has no family and no sizes."""
        return self.type == "bitmap:port"


LOOP_BACK = "KUBE-LOOP-BACK"
CLUSTER_IP = "KUBE-CLUSTER-IP"
EXTERNAL_IP = "KUBE-EXTERNAL-IP"
EXTERNAL_IP_LOCAL = "KUBE-EXTERNAL-IP-LOCAL"
LOAD_BALANCER = "KUBE-LOAD-BALANCER"
LOAD_BALANCER_FW = "KUBE-LOAD-BALANCER-FW"
LOAD_BALANCER_LOCAL = "KUBE-LOAD-BALANCER-LOCAL"
LOAD_BALANCER_SOURCE_IP = "KUBE-LOAD-BALANCER-SOURCE-IP"
LOAD_BALANCER_SOURCE_CIDR = "KUBE-LOAD-BALANCER-SOURCE-CIDR"
NODE_PORT_TCP = "KUBE-NODE-PORT-TCP"
NODE_PORT_LOCAL_TCP = "KUBE-NODE-PORT-LOCAL-TCP"
NODE_PORT_UDP = "KUBE-NODE-PORT-UDP"
NODE_PORT_LOCAL_UDP = "KUBE-NODE-PORT-LOCAL-UDP"
NODE_PORT_SCTP = "KUBE-NODE-PORT-SCTP-HASH"
NODE_PORT_LOCAL_SCTP = "KUBE-NODE-PORT-LOCAL-SCTP-HASH"
HEALTH_CHECK_NODE_PORT = "KUBE-HEALTH-CHECK-NODE-PORT"
IPVS_IPS = "KUBE-IPVS-IPS"

SETS: dict[str, SetRole] = {
    one.name: one
    for one in (
        SetRole(
            LOOP_BACK, "hash:ip,port,ip", "endpoints on this node, twice: a pod that reaches itself through a service"
        ),
        SetRole(CLUSTER_IP, "hash:ip,port", "cluster IP and port"),
        SetRole(EXTERNAL_IP, "hash:ip,port", "external IP and port, traffic policy Cluster"),
        SetRole(EXTERNAL_IP_LOCAL, "hash:ip,port", "external IP and port, traffic policy Local"),
        SetRole(LOAD_BALANCER, "hash:ip,port", "load balancer IP and port"),
        SetRole(LOAD_BALANCER_FW, "hash:ip,port", "the same, where source ranges are given"),
        SetRole(LOAD_BALANCER_LOCAL, "hash:ip,port", "the same, traffic policy Local"),
        SetRole(LOAD_BALANCER_SOURCE_IP, "hash:ip,port,ip", "load balancer IP, port and itself: the node may use it"),
        SetRole(LOAD_BALANCER_SOURCE_CIDR, "hash:ip,port,net", "load balancer IP, port and a range that may use it"),
        SetRole(NODE_PORT_TCP, "bitmap:port", "node port"),
        SetRole(NODE_PORT_LOCAL_TCP, "bitmap:port", "node port, traffic policy Local"),
        SetRole(NODE_PORT_UDP, "bitmap:port", "node port"),
        SetRole(NODE_PORT_LOCAL_UDP, "bitmap:port", "node port, traffic policy Local"),
        SetRole(NODE_PORT_SCTP, "hash:ip,port", "node address and port"),
        SetRole(NODE_PORT_LOCAL_SCTP, "hash:ip,port", "node address and port, traffic policy Local"),
        SetRole(HEALTH_CHECK_NODE_PORT, "bitmap:port", "port of a health check"),
        SetRole(IPVS_IPS, "hash:ip", "every address on the device"),
    )
}


def set_name(name: str, family: Family | str) -> str:
    """The set's name for a family: those of IPv6 have a prefix of their own, and are cut to what the kernel takes."""
    if family == Family.IPV4:
        return name
    return (_IPV6_PREFIX + name.removeprefix(_PREFIX))[:_LONGEST]


def set_names(families: Iterable[Family] = tuple(Family)) -> list[str]:
    """The names of all sets of these families."""
    return [set_name(name, family) for family in families for name in SETS]


def definition(role: SetRole, family: Family, maxelem: int, *, grown: bool = False) -> Set:
    """The set as it is made, without entries; `grown` leaves its sizes to its contents, because they are more than `maxelem`."""
    name = set_name(role.name, family)
    if role.is_bitmap:
        return Set(name, role.type, range=PORTS)
    sizes: dict[str, Any] = {} if grown else {"hashsize": HASHSIZE, "maxelem": maxelem}
    return Set(name, role.type, family="inet" if family is Family.IPV4 else "inet6", **sizes)
