"""The sets: their names and types.

Knows: that there are seventeen for each family, and how the names of IPv6 are made. Must not know: when an entry is in one.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

from ipvskit.model.address import Family
from ipvskit.sets.definition import Set

if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import Any

__all__ = ["DEVICE", "Role", "define", "set_name", "set_names"]

#: The device that carries the virtual addresses of both families.
DEVICE = "kube-ipvs0"

_MAX_NAME = 31


class Role(IntEnum):
    """What a set is for; the number is its place in the list."""

    LOOP_BACK = 0
    CLUSTER_IP = 1
    EXTERNAL_IP = 2
    EXTERNAL_IP_LOCAL = 3
    LOAD_BALANCER = 4
    LOAD_BALANCER_FW = 5
    LOAD_BALANCER_LOCAL = 6
    LOAD_BALANCER_SOURCE_IP = 7
    LOAD_BALANCER_SOURCE_CIDR = 8
    NODE_PORT_TCP = 9
    NODE_PORT_LOCAL_TCP = 10
    NODE_PORT_UDP = 11
    NODE_PORT_LOCAL_UDP = 12
    NODE_PORT_SCTP_HASH = 13
    NODE_PORT_LOCAL_SCTP_HASH = 14
    HEALTH_CHECK_NODE_PORT = 15
    IPVS_IPS = 16


_IP_PORT, _IP_PORT_IP, _PORT = "hash:ip,port", "hash:ip,port,ip", "bitmap:port"
_TYPES = {
    Role.LOOP_BACK: _IP_PORT_IP,
    Role.LOAD_BALANCER_SOURCE_IP: _IP_PORT_IP,
    Role.LOAD_BALANCER_SOURCE_CIDR: "hash:ip,port,net",
    Role.NODE_PORT_TCP: _PORT,
    Role.NODE_PORT_LOCAL_TCP: _PORT,
    Role.NODE_PORT_UDP: _PORT,
    Role.NODE_PORT_LOCAL_UDP: _PORT,
    Role.HEALTH_CHECK_NODE_PORT: _PORT,
    Role.IPVS_IPS: "hash:ip",
}

#: Sets of node ports by protocol: all of them, and those whose client address is kept.
NODE_PORTS = {
    "tcp": (Role.NODE_PORT_TCP, Role.NODE_PORT_LOCAL_TCP),
    "udp": (Role.NODE_PORT_UDP, Role.NODE_PORT_LOCAL_UDP),
    "sctp": (Role.NODE_PORT_SCTP_HASH, Role.NODE_PORT_LOCAL_SCTP_HASH),
}


def set_name(role: Role, family: Family) -> str:
    """The set's exact name. Those of IPv6 are cut to what the kernel takes, which two of them need."""
    name = role.name.replace("_", "-")
    return f"KUBE-{name}" if family is Family.IPV4 else f"KUBE-6-{name}"[:_MAX_NAME]


def set_names(family: Family) -> tuple[str, ...]:
    """The names of all the family's sets, in order."""
    return tuple(set_name(role, family) for role in Role)


def define(role: Role, family: Family, maxelem: int | None, entries: Collection[Any] = ()) -> Set:
    """The set with its entries. It has room for `maxelem` (None: the kernel's 65536), and for more where that does not do."""
    if maxelem is not None and len(entries) > maxelem:
        maxelem = None
    kind = _TYPES.get(role, _IP_PORT)
    name = set_name(role, family)
    if kind == _PORT:
        return Set(name, kind, range="0-65535", entries=entries)
    inet = "inet" if family is Family.IPV4 else "inet6"
    return Set(name, kind, family=inet, maxelem=maxelem, entries=entries)
