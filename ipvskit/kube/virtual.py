"""The virtual services of one service port, with the entries that go with each.

Knows: cluster IPs, external IPs, load balancers' addresses and node ports. Must not know: other service ports, who wins.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network
from typing import TYPE_CHECKING, NamedTuple

from ipvskit.kube.addresses import endpoint_place
from ipvskit.kube.diagnostics import Code, Diagnostic
from ipvskit.kube.endpoints import NO_TARGETS
from ipvskit.kube.names import NODE_PORTS, Role
from ipvskit.model.address import Family
from ipvskit.model.keep import NOTHING
from ipvskit.model.key import stored_key
from ipvskit.model.real import IPIP, ForwardingMethod, stored_real
from ipvskit.model.service import flag_bits, flags_of_bits, stored_service

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ipvskit.kube.addresses import Address, Network
    from ipvskit.kube.endpoints import Backends, Targets
    from ipvskit.kube.objects import Service, ServicePort
    from ipvskit.kube.site import Site
    from ipvskit.model.key import ServiceKey
    from ipvskit.model.real import RealServer
    from ipvskit.model.service import VirtualService

__all__ = ["Claim", "Drop", "PortClaims", "Rank", "inside_claim", "is_reached_inside"]


class Rank(NamedTuple):
    """Who goes first where two want the same: the oldest, then by namespace and name; within a Service the first port."""

    created: str
    namespace: str
    name: str
    position: int


class Drop(NamedTuple):
    """The node itself may not use a load balancer's address: answers from it are dropped."""

    address: str
    protocol: str
    port: int


class Claim(NamedTuple):
    """A virtual service that somebody wants, and what goes with it: entries, its address on the device, a rule. `drain` is in seconds."""

    rank: Rank
    key: ServiceKey
    service: VirtualService
    entries: tuple[tuple[Role, str], ...]
    bound: Address | None
    drop: Drop | None
    drain: int | None

    @property
    def beside(self) -> tuple[object, ...]:
        """All but the virtual service itself and how it drains."""
        return self.rank, self.entries, self.bound, self.drop


_MASQUERADE, _CLUSTER_IP = ForwardingMethod.MASQUERADE, Role.CLUSTER_IP


@lru_cache(maxsize=1024)
def _scheduling(
    wanted: str | None, wanted_flags: tuple[str, ...] | None, usual: str, usual_flags: tuple[str, ...] | None
) -> tuple[str, frozenset[str]]:
    """Scheduler and flags from what a Service asks for and what the configuration says."""
    scheduler, flags = wanted or usual, wanted_flags
    if flags is None and scheduler == usual:
        flags = usual_flags
    # Without the port, mh sends all connections of a client to the same real server.
    flags = flags if flags is not None else ("mh-port",) if scheduler == "mh" else ()
    return scheduler, flags_of_bits(scheduler, flag_bits(scheduler, flags)) if flags else NOTHING


def _made_reals(targets: Targets, method: ForwardingMethod, weight: int | None) -> tuple[RealServer, ...]:
    """With the weight that the Service asks for, where a slice says none. What slices can have was looked at when they were read."""
    own = 1 if weight is None else weight
    tunnel = IPIP if method is ForwardingMethod.TUNNEL else None
    columns = zip(targets.addresses, targets.ports, targets.weights, strict=True)
    return tuple(
        [
            stored_real(address, port, own if weight is None else weight, method, 0, 0, tunnel)
            for address, port, weight in columns
        ]
    )


def is_reached_inside(service: Service, port: ServicePort) -> bool:
    """Whether the port is there for the cluster alone, with the cluster's policy: that is most of them, and `inside_claim` makes what it needs."""
    return not (port.node_port or service.external_ips or service.ingress or service.internal_local)


def inside_claim(service: Service, position: int, backends: Backends, site: Site) -> Claim:
    """The only claim of such a port, which has no findings: that of the cluster IP."""
    port, wishes, config, node = service.ports[position], service.wishes, site.config, site.node
    address = service.cluster_ips[site.family]
    scheduler, flags = _scheduling(wishes.scheduler, wishes.flags, config.scheduler, config.scheduler_flags)
    key = stored_key(site.family, port.protocol, address.value, port.port, 0)
    reals = _made_reals(backends.cluster(node.name, node.zone), _MASQUERADE, wishes.weight)
    virtual = stored_service(key, scheduler, flags, service.affinity, reals)
    rank = Rank(service.created, *service.key, position)
    entries = ((_CLUSTER_IP, f"{address.text},{port.protocol}:{port.port}"),)
    return Claim(rank, key, virtual, entries, address, None, wishes.drain)


class PortClaims:
    """Makes the claims of a service port. `told` has the findings, once `claims` was called."""

    def __init__(self, service: Service, position: int, backends: Backends, site: Site) -> None:
        self._service, self._port, self._site = service, service.ports[position], site
        self._wishes = service.wishes
        self._rank = Rank(service.created, *service.key, position)
        self._found: dict[tuple[str, int], Claim] = {}
        self._reals: list[tuple[Targets, ForwardingMethod, tuple[RealServer, ...]]] = []
        self.told: list[Diagnostic] = []
        self._external_ips = [each for each in service.external_ips if self._accepts(each)]
        self._ingress = [each for each in service.ingress if each.family is site.family]
        wishes, config = service.wishes, site.config
        self._scheduler, self._flags = _scheduling(
            wishes.scheduler, wishes.flags, config.scheduler, config.scheduler_flags
        )
        self._select(backends)

    def claims(self) -> Iterable[Claim]:
        """One for each address and port, in the order of kinds; of one that is there twice the first kind's, with the entries of both."""
        self._cluster_ip()
        for address in self._external_ips:
            self._external_ip(address)
        for address in self._ingress:
            self._load_balancer(address)
        if self._port.node_port:
            for address in self._site.node_port_addresses:
                self._node_port(address)
        return self._found.values()

    # --- what all of them have in common --------------------------------------------------------------------------------------------

    def _accepts(self, address: Address) -> bool:
        """Whether the external IP can be served. An address of the node would cut off what listens on it."""
        if address.family is not self._site.family:
            return False
        device = self._site.own.get(address.text)
        if device is None:
            return True
        if self._site.config.capture_node_addresses:
            place = f"{self._port.port}/{self._port.protocol}"
            self._tell(
                Code.NODE_ADDRESS,
                address.text,
                f"it is the node's own, on {device}: the Service has port {place} of it",
            )
            return True
        message = f"it is the node's own, on {device}, and nothing is made for it"
        self._tell(Code.REFUSED_EXTERNAL_IP, address.text, message)
        return False

    def _select(self, backends: Backends) -> None:
        service, node, config = self._service, self._site.node, self._site.config
        accessible = bool(self._port.node_port or self._ingress or self._external_ips)
        cluster = backends.cluster(node.name, node.zone) if accessible or not service.internal_local else NO_TARGETS
        self._internal = self._external = cluster
        outside = service.external_local and accessible
        if not (service.internal_local or outside):
            return
        local = backends.local()
        missing = backends.usable and not local
        if service.internal_local:
            self._internal = local or (cluster if config.internal_fallback else NO_TARGETS)
            self._tell_fallback(missing, "internalTrafficPolicy", self._internal)
        if outside:
            self._external = local or (cluster if config.external_fallback else NO_TARGETS)
            self._tell_fallback(missing, "externalTrafficPolicy", self._external)

    def _tell_fallback(self, missing: bool, subject: str, used: Targets) -> None:
        if missing:
            instead = "those of the cluster are used" if used else "the virtual service has no real servers"
            self._tell(Code.NO_LOCAL_ENDPOINTS, subject, f"Local, and no endpoint is on this node: {instead}")

    def _tell(self, code: Code, subject: str, message: str) -> None:
        self.told.append(Diagnostic(code, str(self._service.identity), subject, message))

    def _claim(
        self,
        address: Address,
        port: int,
        targets: Targets,
        entries: Iterable[tuple[Role, str]],
        *,
        bound: bool,
        method: ForwardingMethod = _MASQUERADE,
        drop: Drop | None = None,
    ) -> None:
        place = address.text, port
        known = self._found.get(place)
        if known is not None:
            together = tuple(dict.fromkeys((*known.entries, *entries)))
            carried = known.bound or (address if bound else None)
            self._found[place] = known._replace(entries=together, bound=carried, drop=known.drop or drop)
            return
        # All of its parts were looked at where they were read.
        key = stored_key(self._site.family, self._port.protocol, address.value, port, 0)
        reals = self._real_servers(targets, method)
        virtual = stored_service(key, self._scheduler, self._flags, self._service.affinity, reals)
        carried = address if bound else None
        self._found[place] = Claim(self._rank, key, virtual, tuple(entries), carried, drop, self._wishes.drain)

    def _real_servers(self, targets: Targets, method: ForwardingMethod) -> tuple[RealServer, ...]:
        for known, how, reals in self._reals:
            if known is targets and how is method:
                return reals
        made = _made_reals(targets, method, self._wishes.weight)
        self._reals.append((targets, method, made))
        return made

    # --- kinds --------------------------------------------------------------------------------------------------------------------

    def _cluster_ip(self) -> None:
        address = self._service.cluster_ips[self._site.family]
        entries = [(_CLUSTER_IP, self._entry(address, self._port.port))]
        self._claim(address, self._port.port, self._internal, entries, bound=True)

    def _external_ip(self, address: Address) -> None:
        method = self._method(address)
        # Answers that do not come back this way must not be masqueraded on their way in.
        keeps_source = self._service.external_local or method is not _MASQUERADE
        role = Role.EXTERNAL_IP_LOCAL if keeps_source else Role.EXTERNAL_IP
        entries = [(role, self._entry(address, self._port.port))]
        bound = address.text not in self._site.own
        self._claim(address, self._port.port, self._external, entries, bound=bound, method=method)

    def _load_balancer(self, address: Address) -> None:
        method = self._method(address)
        text = self._entry(address, self._port.port)
        entries = [(Role.LOAD_BALANCER, text)]
        if self._service.external_local or method is not _MASQUERADE:
            entries.append((Role.LOAD_BALANCER_LOCAL, text))
        drop = self._firewall(address, text, entries)
        bound = address.text not in self._site.own
        self._claim(address, self._port.port, self._external, entries, bound=bound, method=method, drop=drop)

    def _firewall(self, address: Address, text: str, entries: list[tuple[Role, str]]) -> Drop | None:
        """The entries of source ranges. Only traffic to the load balancer's address is filtered, that to the node port is not."""
        ranges = self._ranges()
        if ranges is None:
            return None
        entries.append((Role.LOAD_BALANCER_FW, text))
        entries += [(Role.LOAD_BALANCER_SOURCE_CIDR, f"{text},{network}") for network in ranges]
        primary = self._site.primary
        if primary is not None and any(primary.value in network for network in ranges):
            # What the node sends to the address has that address for its source too.
            entries.append((Role.LOAD_BALANCER_SOURCE_IP, f"{text},{address.text}"))
            return None
        return Drop(address.text, self._port.protocol, self._port.port)

    def _ranges(self) -> list[Network] | None:
        """The source ranges of the family, None where nothing is to be filtered."""
        service, family = self._service, self._site.family
        if not service.stated_ranges:
            return None
        kind = IPv4Network if family is Family.IPV4 else IPv6Network
        mine: list[Network] = [network for network in service.source_ranges if isinstance(network, kind)]
        if any(network.prefixlen == 0 for network in mine):
            self._tell(Code.OPEN_SOURCE_RANGES, "loadBalancerSourceRanges", f"all of {family} is in them: no filter")
            return None
        if mine:
            return mine
        closed = self._site.config.source_ranges_fail_closed
        outcome = "nobody is let in" if closed else "everybody is let in"
        message = f"none of them is a network of {family}: {outcome}"
        self._tell(Code.NO_SOURCE_RANGES_OF_FAMILY, "loadBalancerSourceRanges", message)
        return [] if closed else None

    def _node_port(self, address: Address) -> None:
        port, protocol = self._port.node_port, self._port.protocol
        text = self._entry(address, port) if protocol == "sctp" else str(port)
        everything, local = NODE_PORTS[protocol]
        entries = [(everything, text)]
        if self._service.external_local:
            entries.append((local, text))
        self._claim(address, port, self._external, entries, bound=False)

    def _entry(self, address: Address, port: int) -> str:
        return f"{address.text},{self._port.protocol}:{port}"

    def _method(self, address: Address) -> ForwardingMethod:
        """How packets from outside are sent on. Only masquerading can change their port."""
        method = self._wishes.forwarding
        if method is _MASQUERADE:
            return method
        port = self._port.port
        targets = self._external
        other = next((number for number, each in enumerate(targets.ports) if each != port), None)
        if other is None:
            return method
        place = endpoint_place(targets.texts[other], targets.ports[other], self._site.family)
        message = f"{method} cannot change port {port} to that of {place}: masquerade is used"
        self._tell(Code.FORWARDING_IMPOSSIBLE, f"{address.text}:{port}", message)
        return _MASQUERADE
