"""Hypothesis strategies for every value of the library.

Knows: what is valid. Must not know: the kernel, fake or real. Needs Hypothesis. Must not be imported by the library.

Whether a director's kernel takes a real server's address depends on its routing table; the default ones, of 10.0.0.0/8 and 2001:db8::/32, are taken
wherever these are not broadcast addresses of its own networks.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from ipvskit.ipvs import operations as ops
from ipvskit.model.address import Family, IPAddress
from ipvskit.model.daemon import MAX_INTERFACE, MAX_PAYLOAD_IPV4, MAX_PAYLOAD_IPV6, MAX_TIMEOUT, DaemonRole, SyncDaemon
from ipvskit.model.key import PROTOCOLS, ServiceKey
from ipvskit.model.real import INT_MAX, USABLE_METHODS, ForwardingMethod, RealServer, Tunnel, TunnelType
from ipvskit.model.service import MAX_PERSISTENCE_TIMEOUT, VirtualService, flag_names

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = [
    "operations",
    "real_servers",
    "service_keys",
    "sync_daemons",
    "tunnels",
    "virtual_services",
]

REAL_NETWORKS = (IPv4Network("10.0.0.0/8"), IPv6Network("2001:db8::/32"))
#: Schedulers that distributions build, and none.
SCHEDULERS = ("none", "rr", "wrr", "lc", "wlc", "fo", "ovf", "lblc", "lblcr", "dh", "sh", "mh", "sed", "nq")

Addresses = st.SearchStrategy[IPAddress]


def _ports(low: int = 0) -> st.SearchStrategy[int]:
    return st.integers(low, 65535)


def _upto(limit: int, low: int = 0) -> st.SearchStrategy[int]:
    """Small numbers rather more often than large ones."""
    return st.integers(low, min(limit, 100)) | st.integers(low, limit) | st.just(limit)


def real_addresses() -> Addresses:
    """Addresses of `REAL_NETWORKS`."""
    return st.one_of(*(st.ip_addresses(network=network) for network in REAL_NETWORKS))


@st.composite
def service_keys(draw: st.DrawFn, addresses: Addresses | None = None) -> ServiceKey:
    """Keys of both families, with every protocol and port, and with firewall marks."""
    if draw(st.integers(0, 3)) == 0:
        return ServiceKey(draw(st.sampled_from(Family)), fwmark=draw(_upto(2**32 - 1, low=1)))
    address = draw(st.ip_addresses() if addresses is None else addresses)
    return ServiceKey(None, draw(st.sampled_from(tuple(PROTOCOLS))), address, draw(_ports()))


@st.composite
def tunnels(draw: st.DrawFn) -> Tunnel:
    """Tunnels of every type with every option that it has."""
    kind = draw(st.sampled_from(TunnelType))
    gue = kind is TunnelType.GUE
    return Tunnel(
        kind,
        draw(_ports(1)) if gue else 0,
        checksum=kind is not TunnelType.IPIP and draw(st.booleans()),
        remote_checksum=gue and draw(st.booleans()),
    )


def _methods(key: ServiceKey | None, address: IPAddress) -> Sequence[ForwardingMethod]:
    mixed = key is not None and key.family is not (Family.IPV4 if address.version == 4 else Family.IPV6)
    return [ForwardingMethod.TUNNEL] if mixed else USABLE_METHODS


@st.composite
def real_servers(
    draw: st.DrawFn,
    key: ServiceKey | None = None,
    *,
    addresses: Addresses | None = None,
    ports: st.SearchStrategy[int] | None = None,
) -> RealServer:
    """Real servers with every option; those that service `key` can have where it is given."""
    address = draw(real_addresses() if addresses is None else addresses)
    method = draw(st.sampled_from(_methods(key, address)))
    if key is not None and method is not ForwardingMethod.MASQUERADE:
        ports = st.sampled_from([0, key.port])
    upper = draw(st.just(0) | _upto(INT_MAX))
    return RealServer(
        address,
        draw(_ports() if ports is None else ports),
        weight=draw(_upto(INT_MAX)),
        forwarding=method,
        upper_threshold=upper,
        lower_threshold=draw(st.just(0) | _upto(upper)),
        tunnel=draw(tunnels()) if method is ForwardingMethod.TUNNEL else None,
    )


def _netmasks(family: Family) -> st.SearchStrategy[int | IPv4Address | None]:
    if family is Family.IPV6:
        return st.none() | st.integers(1, 128)
    return st.none() | st.integers(0, 32) | st.integers(0, 2**32 - 1).map(IPv4Address)


@st.composite
def virtual_services(
    draw: st.DrawFn,
    keys: st.SearchStrategy[ServiceKey] | None = None,
    *,
    max_reals: int = 3,
    schedulers: Sequence[str] = SCHEDULERS,
    engines: Sequence[str] = ("sip",),
    addresses: Addresses | None = None,
    ports: st.SearchStrategy[int] | None = None,
) -> VirtualService:
    """Virtual services with every option, and up to `max_reals` real servers with `addresses` and `ports`."""
    key = draw(service_keys() if keys is None else keys)
    scheduler = draw(st.sampled_from(schedulers))
    persistent = (key.address is not None and key.port == 0) or draw(st.booleans())
    reals = st.lists(
        real_servers(key, addresses=addresses, ports=ports),
        max_size=max_reals,
        unique_by=lambda real: (real.address, real.port),
    )
    return VirtualService(
        key,
        scheduler=scheduler,
        scheduler_flags=draw(st.frozensets(st.sampled_from(sorted(flag_names(scheduler))))),
        persistence_timeout=draw(_upto(MAX_PERSISTENCE_TIMEOUT, low=1)) if persistent else None,
        persistence_netmask=draw(_netmasks(key.family)) if persistent else None,
        persistence_engine=draw(st.none() | st.sampled_from(engines)) if engines else None,
        one_packet=key.protocol in {"udp", None} and draw(st.booleans()),
        reals=draw(reals),
    )


def _groups() -> st.SearchStrategy[IPv4Address | IPv6Address | None]:
    wide = st.integers(0, 2**120 - 1).map(lambda number: IPv6Address(0xFF << 120 | number))
    return st.none() | st.ip_addresses(v=4, network="224.0.0.0/4") | wide


@st.composite
def sync_daemons(draw: st.DrawFn, interfaces: Sequence[str] | None = None) -> SyncDaemon:
    """Sync daemons of both roles with every option, on one of `interfaces` where given."""
    group = draw(_groups())
    names = st.text("abcdefghijklmnopqrstuvwxyz0123456789.-_", min_size=1, max_size=MAX_INTERFACE)
    return SyncDaemon(
        draw(st.sampled_from(DaemonRole)),
        draw(names if interfaces is None else st.sampled_from(interfaces)),
        sync_id=draw(st.integers(0, 255)),
        max_length=draw(_upto(MAX_PAYLOAD_IPV6 if isinstance(group, IPv6Address) else MAX_PAYLOAD_IPV4)),
        group=group,
        port=draw(_ports()),
        ttl=draw(st.integers(0, 255)),
    )


_SERVICE_CHANGES = ("scheduler", "persistence_timeout", "persistence_netmask", "persistence_engine", "one_packet")
_REAL_CHANGES = ("weight", "upper_threshold", "lower_threshold")


def _some(draw: st.DrawFn, value: object, names: Sequence[str]) -> dict[str, Any]:
    chosen = draw(st.sets(st.sampled_from(names)))
    return {name: getattr(value, name) for name in names if name in chosen}


def _update_service(draw: st.DrawFn, service: VirtualService) -> ops.UpdateService:
    return ops.UpdateService(service.key, _some(draw, service, _SERVICE_CHANGES))


def _update_real(draw: st.DrawFn, key: ServiceKey, real: RealServer) -> ops.UpdateReal:
    return ops.UpdateReal(key, real.address, real.port, _some(draw, real, _REAL_CHANGES))


@st.composite
def operations(
    draw: st.DrawFn,
    keys: st.SearchStrategy[ServiceKey] | None = None,
    *,
    addresses: Addresses | None = None,
    ports: st.SearchStrategy[int] | None = None,
    schedulers: Sequence[str] = SCHEDULERS,
    interfaces: Sequence[str] | None = None,
) -> ops.Operation:
    """Operations of every kind.

    Where `keys`, `addresses` and `ports` have few values, many operations meet what others made. A change that an update makes need not go with
    what the kernel has then.
    """
    service = virtual_services(keys, schedulers=schedulers, addresses=addresses, ports=ports)
    key = service_keys() if keys is None else keys
    kind = draw(st.sampled_from(_KINDS))
    if kind in _ABOUT_SERVICE:
        return _ABOUT_SERVICE[kind](draw, draw(service))
    if kind in _ABOUT_REAL:
        chosen = draw(key)
        return _ABOUT_REAL[kind](draw, chosen, draw(real_servers(chosen, addresses=addresses, ports=ports)))
    if kind is ops.StartDaemon:
        return ops.StartDaemon(draw(sync_daemons(interfaces)))
    if kind is ops.StopDaemon:
        return ops.StopDaemon(draw(st.sampled_from(DaemonRole)))
    if kind is ops.SetTimeouts:
        return ops.SetTimeouts(*draw(st.tuples(*[_upto(MAX_TIMEOUT)] * 3)))
    return ops.Flush() if kind is ops.Flush else ops.Zero(draw(st.none() | key))


_ABOUT_SERVICE: dict[type[ops.Operation], Callable[[st.DrawFn, VirtualService], ops.Operation]] = {
    ops.AddService: lambda _, service: ops.AddService(service),
    ops.ReplaceService: lambda _, service: ops.ReplaceService(service),
    ops.UpdateService: _update_service,
    ops.DeleteService: lambda _, service: ops.DeleteService(service.key),
}
_ABOUT_REAL: dict[type[ops.Operation], Callable[[st.DrawFn, ServiceKey, RealServer], ops.Operation]] = {
    ops.AddReal: lambda _, key, real: ops.AddReal(key, real),
    ops.ReplaceReal: lambda _, key, real: ops.ReplaceReal(key, real),
    ops.UpdateReal: _update_real,
    ops.DeleteReal: lambda _, key, real: ops.DeleteReal(key, real.address, real.port),
}
#: The common ones more often than the others.
_KINDS: tuple[type[ops.Operation], ...] = (
    *_ABOUT_SERVICE,
    ops.AddService,
    *_ABOUT_REAL,
    ops.AddReal,
    ops.AddReal,
    ops.Zero,
    ops.Flush,
    ops.SetTimeouts,
    ops.StartDaemon,
    ops.StopDaemon,
)
