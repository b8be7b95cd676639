"""Taking real servers out without cutting their connections.

Knows: when a real server may go. Must not know: how it is taken out.

The kernel's row is the memory: a real server with weight 0 that is not wanted is draining, whoever began it. What the row does not say, since when
and with which weight before, is remembered by the kernel handle, and by a ledger beyond its life.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from ipvskit.errors import InvalidConfig
from ipvskit.model.key import ServiceKey
from ipvskit.model.real import stored_real

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ipvskit.model.real import RealServer
    from ipvskit.model.status import RealServerStatus

__all__ = ["Drain", "Drained", "Draining", "with_weight"]

Policy = Literal["wait", "delete"]
_POLICIES = ("wait", "delete")


@dataclass(frozen=True, slots=True, kw_only=True)
class Drain:
    """How real servers are taken out: weight 0, wait until their connections are gone or the `deadline` (seconds; None: for ever) has passed, delete.

    `tcp`, `udp`, `sctp` and `fwmark` say for the services of each kind whether to "wait" or to "delete" at once; UDP knows no end of a connection,
    so its default is to delete. `inactive` says whether inactive connections (TCP closing, all of UDP) are waited for, `persistent` whether
    persistence templates are: as long as there is one its clients still get to the real server. `services` says whether a service that is taken out
    has its real servers drained first. `deadlines` (seconds) are those of single services, which then wait whatever their protocol. `interval`
    (seconds) is how often to look. Raises InvalidConfig.
    """

    deadline: float | None = None
    tcp: Policy = "wait"
    udp: Policy = "delete"
    sctp: Policy = "wait"
    fwmark: Policy = "wait"
    inactive: bool = True
    persistent: bool = False
    services: bool = True
    interval: float = 2.0
    deadlines: Mapping[ServiceKey, float] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        for name in ("tcp", "udp", "sctp", "fwmark"):
            if getattr(self, name) not in _POLICIES:
                raise InvalidConfig(name, getattr(self, name), '"wait" or "delete"')
        if self.deadline is not None and not _seconds(self.deadline, 0):
            raise InvalidConfig("deadline", self.deadline, "seconds, 0 or more, or None")
        for key, seconds in self.deadlines.items():
            if not isinstance(key, ServiceKey) or not _seconds(seconds, 0):
                raise InvalidConfig("deadlines", f"{key}: {seconds}", "seconds, 0 or more, by ServiceKey")
        if not _seconds(self.interval, 0.001):
            raise InvalidConfig("interval", self.interval, "seconds, more than 0")

    def waits(self, key: ServiceKey, *, one_packet: bool = False) -> bool:
        """Whether real servers of this service are waited for. Services that schedule packet by packet have no connections."""
        policy: Policy = "wait" if key in self.deadlines else getattr(self, key.protocol or "fwmark", "wait")
        return policy == "wait" and not one_packet

    def idle(self, status: RealServerStatus) -> bool:
        """Whether nothing is left to wait for."""
        waiting = status.active
        waiting += status.inactive if self.inactive else 0
        waiting += status.persistent if self.persistent else 0
        return waiting == 0

    def left(self, key: ServiceKey, since: float, now: float) -> float | None:
        """Seconds until the deadline of the service's real servers, None where there is none."""
        deadline = self.deadlines.get(key, self.deadline)
        return None if deadline is None else max(0.0, since + deadline - now)


def _seconds(value: object, low: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and low <= value < float("inf")


def with_weight(held: RealServer, weight: int) -> RealServer:
    """A real server with another weight, not checked: what others made may be what we would refuse."""
    return stored_real(
        held.address,
        held.port,
        weight,
        held.forwarding,
        held.upper_threshold,
        held.lower_threshold,
        held.tunnel,
    )


@dataclass(frozen=True, slots=True)
class Drained:
    """What is remembered of a real server that drains: since when (seconds since the epoch), and its weight before."""

    since: float
    weight: int


@dataclass(frozen=True, slots=True)
class Draining:
    """A real server that still has connections, and the seconds that are `left` before it goes anyway (None: it may stay)."""

    service: ServiceKey
    status: RealServerStatus
    left: float | None

    def __str__(self) -> str:
        status = self.status
        until = "" if self.left is None else f", at most {self.left:.0f} s more"
        counts = f"{status.active} active, {status.inactive} inactive, {status.persistent} persistent"
        return f"{status.real.endpoint} of {self.service}: {counts}{until}"
