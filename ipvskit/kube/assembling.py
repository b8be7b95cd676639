"""Merged contributions as a family's state.

Knows: `State` and what stands beside it. Must not know: API objects, events.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_network
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ipvskit.engine.keys import DeviceKey
from ipvskit.engine.scope import Scope
from ipvskit.engine.state import State
from ipvskit.kube.diagnostics import Diagnostic
from ipvskit.kube.iptables import document
from ipvskit.kube.names import DEVICE, Role, define, set_name, set_names
from ipvskit.kube.sysctls import sysctls_of, timeouts_of
from ipvskit.model.address import Family
from ipvskit.model.device import Device, stored_device

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ipvskit.kube.health import HealthCheck
    from ipvskit.kube.iptables import Rules
    from ipvskit.kube.merging import Merged
    from ipvskit.kube.site import Site
    from ipvskit.kube.virtual import Drop
    from ipvskit.model.key import ServiceKey

__all__ = ["FamilyState", "NodeState", "assemble", "device_of", "fresh_state", "joined_device"]


@dataclass(frozen=True)
class FamilyState:
    """What a node needs for one family.

    `state` has the virtual services with their real servers, the seventeen sets, the addresses of kube-ipvs0, settings and timeouts.
    `health_checks` are the node ports that answer health checks of load balancers, `drains` the seconds that Services give their real servers to
    finish, by virtual service. Of `diagnostics`, those that are no Service's own or concern both families are in both. kube-ipvs0 carries the
    addresses of both families.
    """

    site: Site
    state: State
    health_checks: tuple[HealthCheck, ...]
    diagnostics: tuple[Diagnostic, ...]
    drains: Mapping[ServiceKey, int]
    drops: frozenset[Drop] = field(repr=False)

    @property
    def family(self) -> Family:
        """Of which family."""
        return self.site.family

    @cached_property
    def rules(self) -> Rules:
        """What the family's iptables rules depend on."""
        sets = self.state.sets
        return self.site.rules((role for role in Role if len(sets[set_name(role, self.family)].entries)), self.drops)

    @cached_property
    def iptables(self) -> str:
        """The whole document for `iptables-restore --noflush`, for a node that has none of it yet."""
        return document(self.rules)

    def iptables_document(self, present: str | None = None) -> str:
        """The same for a node where iptables-save says `present` of the tables nat and filter."""
        return document(self.rules, present)

    @cached_property
    def scope(self) -> Scope:
        """What the controller owns: the sets by name, kube-ipvs0 with all its addresses, and virtual services.

        Of these it owns all in the configuration's `owned_vips`, without `exclude_cidrs`, and beyond that those that the state names, one by one.
        What was made before and is wanted no more is not among them: the kernel's own sets tell (`ipvskit.kube.owning`). `Changes.scope` has what
        went since the last time.
        """
        vips = owned_networks(self.site)
        keys: list[Any] = [DeviceKey(DEVICE)]
        by_vips = Scope(vips=vips)
        keys += [key for key in self.state.services if key not in by_vips]
        return Scope(vips=vips, sets=set_names(self.family), keys=keys)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, FamilyState):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in _COMPARED)

    __hash__ = None  # type: ignore[assignment] # states have none


_COMPARED = ("family", "state", "health_checks", "diagnostics", "drains", "drops")


class NodeState(Mapping[Family, FamilyState]):
    """What a node needs, by family; `state` and `scope` are of all families together, which is what is to be applied."""

    def __init__(self, families: Mapping[Family, FamilyState]) -> None:
        self._families = MappingProxyType(dict(families))

    def __getitem__(self, family: Family | str) -> FamilyState:
        return self._families[Family(family)]

    def __iter__(self) -> Iterator[Family]:
        return iter(self._families)

    def __len__(self) -> int:
        return len(self._families)

    @cached_property
    def state(self) -> State:
        """Of all families, with one device."""
        states = [each.state for each in self.values()]
        first = states[0] if states else State()
        return first.updated(
            (service for state in states[1:] for service in state.services.values()),
            sets=(each for state in states[1:] for each in state.sets.values()),
            devices=[joined_device([state.devices[DEVICE] for state in states])],
        )

    @cached_property
    def scope(self) -> Scope:
        """Of all families."""
        scopes = [each.scope for each in self.values()]
        return Scope(
            vips=[network for scope in scopes for network in scope.vips or ()],
            sets=[name for scope in scopes for name in scope.sets],
            keys=frozenset(key for scope in scopes for key in scope.keys),
        )

    @cached_property
    def drains(self) -> Mapping[ServiceKey, int]:
        """Of all families."""
        return MappingProxyType({key: seconds for each in self.values() for key, seconds in each.drains.items()})

    @cached_property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """Of all families, each once."""
        return tuple(sorted({told for each in self.values() for told in each.diagnostics}))


def owned_networks(site: Site) -> list[IPv4Network | IPv6Network]:
    """The networks whose virtual services are the controller's, without those that are excluded."""
    kind = IPv4Network if site.family is Family.IPV4 else IPv6Network
    found = [network for network in map(ip_network, site.config.owned_vips) if isinstance(network, kind)]
    for excluded in map(ip_network, site.config.exclude_cidrs):
        if isinstance(excluded, kind):
            found = [part for network in found for part in _without(network, excluded)]
    return list(collapse_addresses(found))  # type: ignore[type-var] # all are of one family


def _without(network: Any, excluded: Any) -> list[Any]:  # noqa: ANN401 - both of one family
    if not network.overlaps(excluded):
        return [network]
    return list(network.address_exclude(excluded)) if excluded.subnet_of(network) and excluded != network else []


def assemble(site: Site, merged: Merged, state: State, told: Iterable[Diagnostic]) -> FamilyState:
    """A family's state with what stands beside it; `told` are the findings about no Service that was readable."""
    found = {*merged.diagnostics(), *told, *sysctls_of(site.node, site.config)[1]}
    return FamilyState(
        site=site,
        state=state,
        health_checks=merged.health_checks(),
        diagnostics=tuple(sorted(found)),
        drains=MappingProxyType(dict(_drains(merged))),
        drops=frozenset(merged.drops),
    )


def _drains(merged: Merged) -> Iterator[tuple[ServiceKey, int]]:
    return ((key, claim.drain) for key, claim in merged.claims.items() if claim.drain is not None)


def fresh_state(site: Site, merged: Merged) -> State:
    """The state from nothing."""
    maxelem = site.config.maxelem
    return State(
        (claim.service for claim in merged.claims.values()),
        sets=[define(role, site.family, maxelem, merged.entries[role]) for role in Role],
        devices=[device_of(merged)],
        sysctls=sysctls_of(site.node, site.config)[0],
        timeouts=timeouts_of(site.config),
    )


def joined_device(devices: Iterable[Device]) -> Device:
    """kube-ipvs0 with the addresses of all families."""
    return stored_device(DEVICE, "dummy", False, [address for device in devices for address in device.addresses])


def device_of(merged: Merged) -> Device:
    """kube-ipvs0 with its addresses, which are in the order of their numbers. It is never up: its addresses are the host's all the same."""
    return stored_device(DEVICE, "dummy", False, merged.interfaces())
