"""What one Service brings to a family's state.

Knows: which virtual services, entries and addresses follow from a Service and its slices. Must not know: other Services.

It is a pure function of the Service, its slices and the site, so a tracker can compute one anew and take back the one before. What two Services
could both want is a `Claim`, which is decided on where all of them are known; what cannot clash is counted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ipvskit.kube.diagnostics import Code, Diagnostic
from ipvskit.kube.endpoints import NOBODY, merge
from ipvskit.kube.health import HealthCheck
from ipvskit.kube.names import Role
from ipvskit.kube.virtual import PortClaims, inside_claim, is_reached_inside

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ipvskit.kube.endpoints import Backends
    from ipvskit.kube.objects import Service, Slice
    from ipvskit.kube.site import Site
    from ipvskit.kube.virtual import Claim

__all__ = ["NOTHING", "Contribution", "contribute"]


class Contribution(NamedTuple):
    """What a Service brings. `entries` are those that belong to no virtual service."""

    claims: tuple[Claim, ...] = ()
    entries: tuple[tuple[Role, str], ...] = ()
    health: HealthCheck | None = None
    diagnostics: tuple[Diagnostic, ...] = ()


NOTHING = Contribution()


def contribute(service: Service, slices: Iterable[Slice], site: Site) -> Contribution:
    """For the site's family; slices of the other one do not count. A Service without a cluster IP of the family brings what it has to tell."""
    family = site.family
    if family not in service.cluster_ips:
        return Contribution(diagnostics=service.faults) if service.faults else NOTHING
    backends = merge([each for each in slices if each.family is family], site.node.name)
    claims: list[Claim] = []
    entries: dict[tuple[Role, str], None] = {}
    told = dict.fromkeys(service.faults)
    for position, port in enumerate(service.ports):
        mine = backends.get((port.name, port.protocol), NOBODY)
        if is_reached_inside(service, port):
            claims.append(inside_claim(service, position, mine, site))
        else:
            made = PortClaims(service, position, mine, site)
            claims += made.claims()
            told |= dict.fromkeys(made.told)
        for address, number in mine.here:
            entries[Role.LOOP_BACK, f"{address},{port.protocol}:{number},{address}"] = None
    health = _health(service, backends, site)
    if health is not None and service.ports:
        entries[Role.HEALTH_CHECK_NODE_PORT, str(health.port)] = None
    if any(port.node_port for port in service.ports) and not site.node_port_addresses:
        message = f"no address of the node serves node ports of {family}"
        told[Diagnostic(Code.NO_NODE_ADDRESS, str(service.identity), "nodePort", message)] = None
    return Contribution(tuple(claims), tuple(entries), health, tuple(told))


def _health(service: Service, backends: Mapping[tuple[str, str], Backends], site: Site) -> HealthCheck | None:
    if not service.health_check_port:
        return None
    here = {address for known in backends.values() for address in known.ready_here}
    return HealthCheck(*service.key, service.health_check_port, len(here), site.health_check_addresses)
