"""What there is.

Knows: what was read, and what was not. Must not know: how it was read, what is wanted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ipvskit.engine.keys import (
    DaemonKey,
    DeviceKey,
    Key,
    RealKey,
    ServiceKey,
    SetKey,
    SysctlKey,
    TimeoutsKey,
    owner,
)
from ipvskit.engine.scope import Scope
from ipvskit.engine.state import State
from ipvskit.ipvs.holding import HeldServices
from ipvskit.model.sysctl import SYSCTLS

if TYPE_CHECKING:
    from ipvskit.engine.drain import Drained
    from ipvskit.errors import KernelError
    from ipvskit.model.daemon import DaemonRole, SyncDaemon, Timeouts
    from ipvskit.model.device import Device
    from ipvskit.model.sysctl import Value
    from ipvskit.sets.definition import Set, SetStatus

__all__ = ["Snapshot"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What a network namespace had at a moment: the same values as in a `State`, by the same keys.

    `services` makes its values when somebody looks at them. `set_status` has what the kernel counts, beside the values. `only` says what was asked
    for: keys, a Scope, or None for everything; what is not in it is not known to be absent. `missing` says for a part ("ipvs", "ipset", "devices")
    why this kernel has none. `leftovers` are temporary sets of processes that died. `draining` is what the kernel handle remembers of real servers
    that it drains, and `time` (seconds since the epoch) is when reading began.
    """

    services: HeldServices = field(default_factory=lambda: HeldServices.of(()))
    sets: Mapping[str, Set] = field(default_factory=dict)
    set_status: Mapping[str, SetStatus] = field(default_factory=dict)
    devices: Mapping[str, Device] = field(default_factory=dict)
    sysctls: Mapping[str, Value | None] = field(default_factory=dict)
    timeouts: Timeouts | None = None
    daemons: Mapping[DaemonRole, SyncDaemon] = field(default_factory=dict)
    only: frozenset[Key] | Scope | None = None
    missing: Mapping[str, KernelError] = field(default_factory=dict)
    leftovers: tuple[str, ...] = ()
    draining: Mapping[RealKey, Drained] = field(default_factory=dict)
    time: float = 0.0

    def covers(self, key: Key) -> bool:
        """Whether it was looked for: only then is it known whether there is one."""
        if self.only is None:
            return True
        if isinstance(self.only, Scope) and isinstance(key, SysctlKey | TimeoutsKey | DaemonKey):
            # They are read with the services.
            return self.only.has_services or self.only.has_settings
        return key in self.only or owner(key) in self.only

    def to_state(self) -> State:
        """The same as a desired state: to go back to it, or to write it to a file.

        Settings that this kernel lacks are not in it, nor those that are not IPVS's own.
        """
        return State(
            self.services.values(),
            sets=self.sets.values(),
            devices=self.devices.values(),
            sysctls={
                name: value for name, value in self.sysctls.items() if value is not None and SYSCTLS[name].is_ipvs
            },
            timeouts=self.timeouts,
            daemons=self.daemons.values(),
        )

    def __contains__(self, key: object) -> bool:
        match key:
            case ServiceKey():
                return key in self.services
            case RealKey(service, address, port):
                held = self.services.get(service)
                return held is not None and any(real.address == address and real.port == port for real in held.reals)
            case SetKey(name):
                return name in self.sets
            case DeviceKey(name):
                return name in self.devices
            case DaemonKey(role):
                return role in self.daemons
            case SysctlKey(name):
                return self.sysctls.get(name) is not None
        return isinstance(key, TimeoutsKey) and self.timeouts is not None

    def __repr__(self) -> str:
        real = self.services.real_count
        counts = (
            f"{len(self.services)} services, {real} real servers, {len(self.sets)} sets, {len(self.devices)} devices"
        )
        return f"<Snapshot: {counts}>"
