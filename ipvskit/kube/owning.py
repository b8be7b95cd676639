"""Which virtual services on a node are ours, after a restart too.

Knows: that what we made is written down in the kernel itself, in the sets. Must not know: what is wanted now.

kube-proxy took the whole table for its own, but for `excludeCIDRs`. Here a virtual service is ours if a set of ours names it: cluster IPs, external
IPs and load balancers with address, protocol and port, node ports where the address is the node's own. That its address is on kube-ipvs0 does not
count: others may serve other ports of it. Entries go into sets before the virtual services that they name are made, and are taken out after those
are gone, so a process that is killed leaves nothing that is nobody's. The same holds of what kube-proxy left behind, which has the same sets.
"""

from __future__ import annotations

from ipaddress import ip_network
from typing import TYPE_CHECKING

from ipvskit.kube.names import DEVICE, NODE_PORTS, Role, set_name
from ipvskit.model.address import Family

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from ipvskit.engine.snapshot import Snapshot
    from ipvskit.kube.config import Config
    from ipvskit.model.key import ServiceKey
    from ipvskit.sets.elements import Elements

__all__ = ["owned_services"]

#: Sets whose entries name a virtual service by address, protocol and port.
_EXACT = (
    Role.CLUSTER_IP,
    Role.EXTERNAL_IP,
    Role.EXTERNAL_IP_LOCAL,
    Role.LOAD_BALANCER,
    Role.NODE_PORT_SCTP_HASH,
)
#: (version, network, mask): comparing numbers takes a tenth of what the module ipaddress takes.
_Net = tuple[int, int, int]


def owned_services(snapshot: Snapshot, config: Config) -> list[ServiceKey]:
    """Of the virtual services that there are, ours: those may be deleted. The snapshot has sets and all devices."""
    known = _Known(snapshot, config)
    return [key for key in snapshot.services.keys_in_order if key.family in config.families and known.owns(key)]


class _Known:
    def __init__(self, snapshot: Snapshot, config: Config) -> None:
        self._excluded = _numbers(config.exclude_cidrs)
        self._owned = _numbers(config.owned_vips)
        self._own = {
            (one.version, int(one.ip))
            for name, device in snapshot.devices.items()
            if name != DEVICE
            for one in device.addresses
        }
        self._exact = {family: _entries(snapshot, family, _EXACT) for family in Family}
        self._ports = {
            (family, protocol): _entries(snapshot, family, roles[:1])
            for family in Family
            for protocol, roles in NODE_PORTS.items()
            if protocol != "sctp"
        }

    def owns(self, key: ServiceKey) -> bool:
        address = key.address
        if address is None:
            return False
        version, number = place = address.version, int(address)
        if _within(self._excluded, version, number):
            return False
        if _within(self._owned, version, number):
            return True
        entry = f"{address},{key.protocol}:{key.port}"
        if any(entry in entries for entries in self._exact[key.family]):
            return True
        ports = self._ports.get((key.family, key.protocol or ""), ())
        return place in self._own and any(str(key.port) in entries for entries in ports)


def _entries(snapshot: Snapshot, family: Family, roles: Iterable[Role]) -> list[Elements]:
    held = (snapshot.sets.get(set_name(role, family)) for role in roles)
    return [each.entries for each in held if each is not None and each.entries]


def _numbers(texts: Iterable[str]) -> list[_Net]:
    networks = map(ip_network, texts)
    return [(each.version, int(each.network_address), int(each.netmask)) for each in networks]


def _within(networks: Collection[_Net], version: int, number: int) -> bool:
    return any(version == each and number & mask == start for each, start, mask in networks)
