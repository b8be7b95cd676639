"""A node and its configuration, as one family sees them.

Knows: which addresses are the node's, which serve node ports, what is local traffic. Must not know: Services.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from ipvskit.kube.addresses import Address, read_network
from ipvskit.kube.config import PRIMARY, LocalMode
from ipvskit.kube.iptables import LocalDetector, OutFilter, Rules
from ipvskit.model.address import Family

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ipvskit.kube.addresses import Network
    from ipvskit.kube.config import Config
    from ipvskit.kube.names import Role
    from ipvskit.kube.node import Node
    from ipvskit.kube.virtual import Drop

__all__ = ["Site"]

_EVERYWHERE = {Family.IPV4: "0.0.0.0", Family.IPV6: "::"}  # noqa: S104 - load balancers are anywhere


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
        each = tuple(dict.fromkeys(address for _, address in self._each() if address.text in self.own))
        if not networks or any(network.prefixlen == 0 for network in networks):
            return each
        return tuple(address for address in each if any(address.value in network for network in networks))

    @cached_property
    def health_check_addresses(self) -> tuple[str, ...]:
        """Where health checks of load balancers are answered: everywhere by this family, or where node ports are served if that is somewhere."""
        if not self.config.node_port_addresses:
            return (_EVERYWHERE[self.family],)
        return tuple(address.text for address in self.node_port_addresses) or (_EVERYWHERE[self.family],)

    @cached_property
    def local_detector(self) -> LocalDetector | None:
        """How traffic of the node's own pods is told, None where it cannot be."""
        mode = self.config.local_mode
        if mode in {LocalMode.BRIDGE_INTERFACE, LocalMode.INTERFACE_NAME_PREFIX}:
            return LocalDetector(mode.value, self.config.local_interface)
        networks = map(str, self.node.pod_cidrs) if mode is LocalMode.NODE_CIDR else self.config.cluster_cidr
        return LocalDetector.by_network(mode.value, networks, self.family)

    def rules(self, filled: Iterable[Role], drops: Iterable[Drop]) -> Rules:
        """What the family's rules depend on, with the sets that have entries and what the node may not use."""
        return Rules(
            family=self.family,
            filled=frozenset(filled),
            out_filters=tuple(OutFilter(each.address, each.port, each.protocol) for each in drops),
            masquerade_all=self.config.masquerade_all,
            masquerade_bit=self.config.masquerade_bit,
            local_detector=self.local_detector,
            random_fully=self.config.random_fully,
        )

    def _is_mine(self, network: Network) -> bool:
        return (network.version == 4) == (self.family is Family.IPV4)

    def _each(self) -> Iterator[tuple[str, Address]]:
        for device, interfaces in self.node.addresses.items():
            for interface in interfaces:
                address = Address(str(interface.ip), interface.ip)
                if address.family is self.family:
                    yield device, address
