"""What the kernel counts: beside the configured values, never inside them.

Knows: counters, rates, connection counts. Must not know: the kernel.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from ipvskit.model.slots import make_all, setter

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ipvskit.model.key import ServiceKey
    from ipvskit.model.real import RealServer
    from ipvskit.model.service import VirtualService

__all__ = ["RealServerStatus", "ServiceStatus", "Stats", "Totals"]


@dataclass(frozen=True, slots=True)
class Stats:
    """Counters since the last `zero()`, and rates per second: averages over 8 seconds, refreshed by the kernel every 2.

    64 bits wide, except on kernels before 4.1, which have 32.
    """

    connections: int = 0
    in_packets: int = 0
    out_packets: int = 0
    in_bytes: int = 0
    out_bytes: int = 0
    connection_rate: int = 0
    in_packet_rate: int = 0
    out_packet_rate: int = 0
    in_byte_rate: int = 0
    out_byte_rate: int = 0


_SETTERS = tuple(setter(Stats, field.name) for field in fields(Stats))


def stored_stats(count: int, columns: Iterable[Iterable[int]]) -> list[Stats]:
    """So many Stats at once, from one column for each of their fields."""
    return make_all(Stats, count, tuple(zip(_SETTERS, columns, strict=True)))


@dataclass(frozen=True, slots=True)
class RealServerStatus:
    """A real server with its numbers: connections by state, counters and rates."""

    real: RealServer
    active: int
    inactive: int
    persistent: int
    stats: Stats


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """A virtual service with its numbers and those of its real servers.

    `stale` says that the kernel's estimation is off (sysctl `run_estimation`): then counters stand still as well, not only rates.
    """

    service: VirtualService
    stats: Stats
    reals: tuple[RealServerStatus, ...]
    stale: bool

    @property
    def key(self) -> ServiceKey:
        """The service's key."""
        return self.service.key


@dataclass(frozen=True, slots=True)
class Totals:
    """The numbers of the whole namespace, and whether they stand still (`ServiceStatus.stale`)."""

    stats: Stats
    stale: bool
