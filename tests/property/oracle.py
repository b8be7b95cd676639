"""What a kernel does with the operations of the client, as plain dictionaries.

Knows: the outcome of each operation, and what is there afterwards. Must not know: requests, errno, the fake kernel.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Any

import ipvskit as ik
from ipvskit import operations as ops

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipvskit.model.address import IPAddress

Place = tuple["IPAddress", int]

INT_MAX = 2**31 - 1
#: Of interface lo: the largest payloads by the group's address family, and without being asked for one.
LONGEST = {4: 65507, 6: 65487}
MASTER_LONGEST = {4: 1472, 6: 1452}
DEFAULT_GROUP = IPv4Address("224.0.0.81")


class RefusedError(Exception):
    """The operation fails with this exception."""

    def __init__(self, kind: type[Exception]) -> None:
        super().__init__(kind.__name__)
        self.kind = kind


def refuse_if(condition: object, kind: type[Exception]) -> None:
    if condition:
        raise RefusedError(kind)


@dataclass
class Outcome:
    """Of a bulk call: what was done, which failed (by index) and how, and how many were skipped."""

    done: int = 0
    failures: list[tuple[int, type[Exception]]] = field(default_factory=list)
    skipped: int = 0


@dataclass
class Model:
    """One namespace in which only lo is up, of a kernel with so many ticks per second."""

    ticks: int
    services: dict[ik.ServiceKey, ik.VirtualService] = field(default_factory=dict)
    reals: dict[ik.ServiceKey, dict[Place, ik.RealServer]] = field(default_factory=dict)
    daemons: dict[ik.DaemonRole, ik.SyncDaemon] = field(default_factory=dict)
    timeouts: tuple[int, ...] = (900, 120, 300)

    def listed(self) -> dict[ik.ServiceKey, ik.VirtualService]:
        return {key: held.replace(reals=self.reals[key].values()) for key, held in self.services.items()}

    def bulk(self, operations: list[ops.Operation], stop: bool = False) -> Outcome:
        outcome = Outcome()
        for index, operation in enumerate(operations):
            self._one(index, operation, stop, outcome)
            if stop and outcome.failures:
                break
        return outcome

    def _one(self, index: int, operation: ops.Operation, stop: bool, outcome: Outcome) -> None:
        reals = operation.service.reals if isinstance(operation, ops.AddService) else ()
        added = self._try(index, operation, outcome)
        for at, real in enumerate(reals):
            if not added or (stop and outcome.failures):
                outcome.skipped += len(reals) - at
                break
            self._try(index, ops.AddReal(operation.service.key, real), outcome)  # type: ignore[union-attr]

    def _try(self, index: int, operation: ops.Operation, outcome: Outcome) -> bool:
        try:
            _EFFECTS[type(operation)](self, operation)
        except RefusedError as refused:
            outcome.failures.append((index, refused.kind))
            return False
        outcome.done += 1
        return True

    # --- the effects ----------------------------------------------------------------------------------------------------------------

    def existing(self, key: ik.ServiceKey) -> ik.VirtualService:
        refuse_if(key not in self.services, ik.ServiceNotFound)
        return self.services[key]

    def add_service(self, operation: ops.AddService) -> None:
        service = operation.service
        refuse_if(service.key in self.services, ik.ServiceExists)
        self.check_modules(service)
        self.services[service.key] = service.replace(reals=())
        self.reals[service.key] = {}

    @staticmethod
    def check_modules(service: ik.VirtualService) -> None:
        refuse_if(service.scheduler.startswith("missing"), ik.SchedulerNotAvailable)
        missing = (service.persistence_engine or "").startswith("missing")
        refuse_if(missing, ik.PersistenceEngineNotAvailable)

    def replace_service(self, operation: ops.ReplaceService) -> None:
        service = operation.service
        self.existing(service.key)
        self.check_modules(service)
        self.services[service.key] = service.replace(reals=())

    def update_service(self, operation: ops.UpdateService) -> None:
        try:
            self.services[operation.key] = self.existing(operation.key).replace(**operation.changes)
        except ik.InvalidConfig:
            raise RefusedError(ik.InvalidConfig) from None

    def delete_service(self, operation: ops.DeleteService) -> None:
        self.existing(operation.key)
        del self.services[operation.key], self.reals[operation.key]

    def check_real(self, key: ik.ServiceKey, real: ik.RealServer) -> None:
        self.existing(key)
        refuse_if(self.daemons and real.family is not key.family, ik.MixedFamilyRefused)

    def add_real(self, operation: ops.AddReal) -> None:
        key, real = operation.key, operation.real
        self.check_real(key, real)
        place = (real.address, real.port)
        refuse_if(place in self.reals[key], ik.RealServerExists)
        self.reals[key][place] = real

    def replace_real(self, operation: ops.ReplaceReal) -> None:
        key, real = operation.key, operation.real
        self.check_real(key, real)
        place = (real.address, real.port)
        refuse_if(place not in self.reals[key], ik.RealServerNotFound)
        self.reals[key][place] = real

    def update_real(self, operation: ops.UpdateReal) -> None:
        place = self.held(operation.key, operation.address, operation.port)
        try:
            changed = self.reals[operation.key][place].replace(**operation.changes)
        except ik.InvalidConfig:
            raise RefusedError(ik.InvalidConfig) from None
        self.reals[operation.key][place] = changed

    def delete_real(self, operation: ops.DeleteReal) -> None:
        place = self.held(operation.key, operation.address, operation.port)
        del self.reals[operation.key][place]

    def held(self, key: ik.ServiceKey, address: IPAddress, port: int) -> Place:
        self.existing(key)
        refuse_if((address, port) not in self.reals[key], ik.RealServerNotFound)
        return address, port

    def zero(self, operation: ops.Zero) -> None:
        if operation.key is not None:
            self.existing(operation.key)

    def flush(self, _: ops.Flush) -> None:
        self.services.clear()
        self.reals.clear()

    def set_timeouts(self, operation: ops.SetTimeouts) -> None:
        wanted = (operation.tcp, operation.tcp_fin, operation.udp)
        refuse_if(max(wanted) > INT_MAX // self.ticks, ik.KernelError)
        self.timeouts = tuple(new or held for new, held in zip(wanted, self.timeouts, strict=True))

    def start_daemon(self, operation: ops.StartDaemon) -> None:
        daemon = operation.daemon
        mixed = any(real.family is not key.family for key, reals in self.reals.items() for real in reals.values())
        refuse_if(mixed, ik.MixedFamilyRefused)
        refuse_if(daemon.interface != "lo", ik.InterfaceNotFound)
        refuse_if(daemon.role in self.daemons, ik.DaemonExists)
        version = 4 if daemon.group is None else daemon.group.version
        master = daemon.role is ik.DaemonRole.MASTER
        refuse_if(master and version == 6, ik.AddressNotUsable)
        length = daemon.max_length or (MASTER_LONGEST if master else LONGEST)[version]
        self.daemons[daemon.role] = ik.SyncDaemon(
            daemon.role,
            "lo",
            sync_id=daemon.sync_id,
            max_length=max(length, 1 if master else 1024),
            group=daemon.group or DEFAULT_GROUP,
            port=daemon.port or 8848,
            ttl=daemon.ttl or 1,
        )

    def stop_daemon(self, operation: ops.StopDaemon) -> None:
        refuse_if(operation.role not in self.daemons, ik.DaemonNotFound)
        del self.daemons[operation.role]


_EFFECTS: dict[type[ops.Operation], Callable[[Model, Any], None]] = {
    ops.AddService: Model.add_service,
    ops.ReplaceService: Model.replace_service,
    ops.UpdateService: Model.update_service,
    ops.DeleteService: Model.delete_service,
    ops.AddReal: Model.add_real,
    ops.ReplaceReal: Model.replace_real,
    ops.UpdateReal: Model.update_real,
    ops.DeleteReal: Model.delete_real,
    ops.Zero: Model.zero,
    ops.Flush: Model.flush,
    ops.SetTimeouts: Model.set_timeouts,
    ops.StartDaemon: Model.start_daemon,
    ops.StopDaemon: Model.stop_daemon,
}
