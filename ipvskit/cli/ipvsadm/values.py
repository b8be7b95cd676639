"""The library's values as rows of tables.

Knows: both. Must not know: how tables look.
"""

from __future__ import annotations

from dataclasses import astuple
from typing import TYPE_CHECKING

from ipvskit.cli.ipvsadm.rows import Real, Service
from ipvskit.ipvs.records import (
    AF_INET,
    AF_INET6,
    TUNNEL_CSUM,
    TUNNEL_REMCSUM,
    TUNNEL_TYPES,
    service_flags,
    service_netmask,
)
from ipvskit.model.address import Family
from ipvskit.model.key import PROTOCOLS
from ipvskit.model.real import METHODS, Tunnel, TunnelType

if TYPE_CHECKING:
    from ipvskit.model.status import RealServerStatus, ServiceStatus

__all__ = ["service_row"]

_ROOM = 16


def service_row(status: ServiceStatus) -> Service:
    """A service with its real servers and their numbers."""
    service, key = status.service, status.service.key
    return Service(
        AF_INET if key.family is Family.IPV4 else AF_INET6,
        0 if key.protocol is None else PROTOCOLS.get(key.protocol) or int(key.protocol),
        (b"" if key.address is None else key.address.packed).ljust(_ROOM, b"\0"),
        key.port,
        key.fwmark,
        scheduler=service.scheduler,
        engine=service.persistence_engine or "",
        flags=service_flags(service),
        timeout=service.persistence_timeout or 0,
        netmask=service_netmask(service),
        stats=astuple(status.stats),
        reals=[_real_row(one) for one in reversed(status.reals)],
    )


def _real_row(status: RealServerStatus) -> Real:
    real = status.real
    return Real(
        AF_INET if real.address.version == 4 else AF_INET6,
        real.address.packed.ljust(_ROOM, b"\0"),
        real.port,
        method=METHODS.index(real.forwarding),
        weight=real.weight,
        limits=(real.upper_threshold, real.lower_threshold),
        tunnel=(0, 0, 0) if real.tunnel is None else _tunnel(real.tunnel),
        counts=(status.active, status.inactive, status.persistent),
        stats=astuple(status.stats),
    )


def _tunnel(tunnel: Tunnel) -> tuple[int, int, int]:
    kind = TUNNEL_TYPES.index(tunnel.type) if isinstance(tunnel.type, TunnelType) else tunnel.type
    flags = (TUNNEL_CSUM if tunnel.checksum else 0) | (TUNNEL_REMCSUM if tunnel.remote_checksum else 0)
    return kind, tunnel.port, flags
