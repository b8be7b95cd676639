"""A node and its configuration, as one family sees them.

Knows: which addresses are the node's, which serve node ports, what is local traffic. Must not know: Services.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from ipvskit.kube.addresses import Address, read_network
from ipvskit.kube.config import PRIMARY, LocalMode
from ipvskit.model.address import Family

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ipvskit.kube.addresses import Network
    from ipvskit.kube.config import Config
    from ipvskit.kube.node import Node

__all__ = ["Site"]


@dataclass(frozen=True)
class Site:
    """A node with its configuration, for one family."""

    node: Node
    config: Config
    family: Family

    @cached_property
    def own(self) -> dict[str, str]:
        """The node's addresses, loopback and IPv6 link-local ones left out, each with its interface."""
        return {
            address.text: device
            for device, address in self._each()
            if not address.value.is_loopback and not (self.family is Family.IPV6 and address.value.is_link_local)
        }

    @cached_property
    def primary(self) -> Address | None:
        """The address by which the cluster knows the node."""
        return self.node.primary.get(self.family)

    @cached_property
    def node_port_addresses(self) -> tuple[Address, ...]:
        """Where node ports are served."""
        asked = self.config.node_port_addresses
        if asked == (PRIMARY,):
            return () if self.primary is None else (self.primary,)
        networks = [network for network in map(read_network, asked) if network is not None and self._is_mine(network)]
        each = dict.fromkeys(address for _, address in self._each())
        if not networks or any(network.prefixlen == 0 for network in networks):
            return tuple(address for address in each if address.text in self.own)
        inside = (address for address in each if any(address.value in network for network in networks))
        return tuple(address for address in inside if not address.value.is_loopback)

    @cached_property
    def not_local(self) -> tuple[str, ...] | None:
        """The arguments of iptables that match what does not come from the node's own pods, None where that cannot be told."""
        mode, name = self.config.local_mode, self.config.local_interface
        if mode is LocalMode.BRIDGE_INTERFACE:
            return ("!", "-i", name)
        if mode is LocalMode.INTERFACE_NAME_PREFIX:
            return ("!", "-i", f"{name}+")
        networks = self.node.pod_cidrs
        if mode is LocalMode.CLUSTER_CIDR:
            networks = tuple(network for network in map(read_network, self.config.cluster_cidr) if network is not None)
        found = next((network for network in networks if self._is_mine(network)), None)
        return None if found is None else ("!", "-s", str(found))

    def _is_mine(self, network: Network) -> bool:
        return (network.version == 4) == (self.family is Family.IPV4)

    def _each(self) -> Iterator[tuple[str, Address]]:
        for device, interfaces in self.node.addresses.items():
            for interface in interfaces:
                address = Address(str(interface.ip), interface.ip)
                if address.family is self.family:
                    yield device, address
