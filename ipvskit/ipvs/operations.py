"""What can be done to IPVS, as values: for bulk calls, and as what failures are reported with.

Knows: the operations and the requests they become. Must not know: how requests travel, what errors mean.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from ipvskit.errors import InvalidConfig
from ipvskit.ipvs import namespace_records, records
from ipvskit.ipvs.records import Command
from ipvskit.model.address import IPAddress, endpoint_text, parse_number
from ipvskit.model.daemon import MAX_TIMEOUT, DaemonRole, SyncDaemon
from ipvskit.model.key import ServiceKey
from ipvskit.model.real import RealServer
from ipvskit.model.service import VirtualService, check_pair

__all__ = [
    "AddReal",
    "AddService",
    "DeleteReal",
    "DeleteService",
    "Flush",
    "Operation",
    "ReplaceReal",
    "ReplaceService",
    "SetTimeouts",
    "StartDaemon",
    "StopDaemon",
    "UpdateReal",
    "UpdateService",
    "Zero",
]


@dataclass(frozen=True, slots=True)
class _WithService:
    service: VirtualService

    @classmethod
    def of(cls, service: VirtualService | str) -> Self:
        """From a value or its text form. Raises InvalidConfig."""
        return cls(VirtualService.parse(service))


class AddService(_WithService):
    """Add a virtual service, and its real servers if it has any."""

    __slots__ = ()


class ReplaceService(_WithService):
    """Give an existing virtual service this configuration; its real servers stay as they are."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class UpdateService:
    """Change some attributes of an existing virtual service, and leave the others as they are in the kernel."""

    key: ServiceKey
    changes: Mapping[str, Any]

    @classmethod
    def of(cls, key: ServiceKey | str, **changes: Any) -> Self:
        """From a value or its text form, and attributes named as in VirtualService. Raises InvalidConfig."""
        return cls(ServiceKey.parse(key), changes)


@dataclass(frozen=True, slots=True)
class DeleteService:
    """Delete a virtual service with its real servers."""

    key: ServiceKey

    @classmethod
    def of(cls, key: ServiceKey | str) -> Self:
        """From a value or its text form. Raises InvalidConfig."""
        return cls(ServiceKey.parse(key))


@dataclass(frozen=True, slots=True)
class _WithReal:
    key: ServiceKey
    real: RealServer

    @classmethod
    def of(cls, key: ServiceKey | str, real: RealServer | str) -> Self:
        """From values or their text forms. Raises InvalidConfig."""
        return cls(ServiceKey.parse(key), RealServer.parse(real))


class AddReal(_WithReal):
    """Add a real server to a virtual service."""

    __slots__ = ()


class ReplaceReal(_WithReal):
    """Give an existing real server this configuration."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class UpdateReal:
    """Change some attributes of an existing real server, and leave the others as they are in the kernel."""

    key: ServiceKey
    address: IPAddress
    port: int
    changes: Mapping[str, Any]

    @classmethod
    def of(cls, key: ServiceKey | str, real: RealServer | str, **changes: Any) -> Self:
        """From values or their text forms (of `real` only the place counts), and attributes named as in RealServer. Raises InvalidConfig."""
        place = RealServer.parse(real)
        return cls(ServiceKey.parse(key), place.address, place.port, changes)


@dataclass(frozen=True, slots=True)
class DeleteReal:
    """Delete a real server from a virtual service. Its connections are cut or hang, see sysctl expire_nodest_conn; drain it first."""

    key: ServiceKey
    address: IPAddress
    port: int

    @classmethod
    def of(cls, key: ServiceKey | str, real: RealServer | str) -> Self:
        """From values or their text forms; of `real` only the place counts. Raises InvalidConfig."""
        place = RealServer.parse(real)
        return cls(ServiceKey.parse(key), place.address, place.port)


@dataclass(frozen=True, slots=True)
class Zero:
    """Set the counters of a virtual service and its real servers to zero, or with None all of the namespace."""

    key: ServiceKey | None = None

    @classmethod
    def of(cls, key: ServiceKey | str | None = None) -> Self:
        """From a value or its text form. Raises InvalidConfig."""
        return cls(None if key is None else ServiceKey.parse(key))


@dataclass(frozen=True, slots=True)
class Flush:
    """Delete all virtual services of the namespace."""


@dataclass(frozen=True, slots=True)
class SetTimeouts:
    """Set idle times in seconds; 0 leaves one as it is."""

    tcp: int = 0
    tcp_fin: int = 0
    udp: int = 0

    def __post_init__(self) -> None:
        for name in ("tcp", "tcp_fin", "udp"):
            parse_number(f"timeout {name}", getattr(self, name), 0, MAX_TIMEOUT, "seconds (0: leave it as it is)")


@dataclass(frozen=True, slots=True)
class StartDaemon:
    """Start a sync daemon."""

    daemon: SyncDaemon

    @classmethod
    def of(cls, daemon: SyncDaemon | str) -> Self:
        """From a value or its text form. Raises InvalidConfig."""
        return cls(SyncDaemon.parse(daemon))


@dataclass(frozen=True, slots=True)
class StopDaemon:
    """Stop the sync daemon of this role."""

    role: DaemonRole

    @classmethod
    def of(cls, role: DaemonRole | str) -> Self:
        """From a role or its name. Raises InvalidConfig."""
        if role not in tuple(DaemonRole):
            raise InvalidConfig("role", role, '"master" or "backup"')
        return cls(DaemonRole(role))


Operation = (
    AddService
    | ReplaceService
    | UpdateService
    | DeleteService
    | AddReal
    | ReplaceReal
    | UpdateReal
    | DeleteReal
    | Zero
    | Flush
    | SetTimeouts
    | StartDaemon
    | StopDaemon
)


@dataclass(frozen=True, slots=True)
class Description:
    """How an operation is named in messages, which command it is, and which object it is about."""

    name: str
    command: Command
    key: object = field(default=None)


_NAMES: dict[type, tuple[str, Command]] = {
    AddService: ("add service", Command.NEW_SERVICE),
    ReplaceService: ("replace service", Command.SET_SERVICE),
    UpdateService: ("update service", Command.SET_SERVICE),
    DeleteService: ("delete service", Command.DEL_SERVICE),
    AddReal: ("add real server", Command.NEW_DEST),
    ReplaceReal: ("replace real server", Command.SET_DEST),
    UpdateReal: ("update real server", Command.SET_DEST),
    DeleteReal: ("delete real server", Command.DEL_DEST),
    Zero: ("zero counters", Command.ZERO),
    Flush: ("flush", Command.FLUSH),
    SetTimeouts: ("set timeouts", Command.SET_CONFIG),
    StartDaemon: ("start sync daemon", Command.NEW_DAEMON),
    StopDaemon: ("stop sync daemon", Command.DEL_DAEMON),
}


def describe(operation: Operation) -> Description:
    """Name, command and object of an operation."""
    name, command = _NAMES[type(operation)]
    match operation:
        case AddService(service) | ReplaceService(service):
            return Description(name, command, service.key)
        case AddReal(key, real) | ReplaceReal(key, real):
            return Description(name, command, f"{real.endpoint} of {key}")
        case UpdateReal(key, address, port, _) | DeleteReal(key, address, port):
            return Description(name, command, f"{endpoint_text(address, port)} of {key}")
        case StartDaemon(daemon):
            return Description(name, command, f"{daemon.role} on {daemon.interface}")
        case StopDaemon(role):
            return Description(name, command, role)
        case UpdateService(key) | DeleteService(key):
            return Description(name, command, key)
        case Zero(key):
            return Description(name, command, key)
        case _:
            return Description(name, command)


def request_of(operation: Operation) -> bytes:
    """The packed request. Raises InvalidConfig; not for updates, which need what the kernel has (`merge_service`, `merge_real`)."""
    match operation:
        case AddService(service):
            return records.service_request(Command.NEW_SERVICE, service)
        case ReplaceService(service):
            return records.service_request(Command.SET_SERVICE, service)
        case AddReal(key, real):
            check_pair(key, real)
            return records.real_prefix(Command.NEW_DEST, key) + records.real_record(real)
        case ReplaceReal(key, real):
            check_pair(key, real)
            return records.real_prefix(Command.SET_DEST, key) + records.real_record(real)
        case DeleteService(ServiceKey() as key):
            return records.key_request(Command.DEL_SERVICE, key)
        case DeleteReal(key, address, port):
            return records.real_prefix(Command.DEL_DEST, key) + records.real_key_record(address, port)
        case Zero(key):
            return records.plain_request(Command.ZERO) if key is None else records.key_request(Command.ZERO, key)
        case Flush():
            return records.plain_request(Command.FLUSH)
        case SetTimeouts(tcp, tcp_fin, udp):
            return namespace_records.timeouts_request(tcp, tcp_fin, udp)
        case StartDaemon(daemon):
            return namespace_records.daemon_request(Command.NEW_DAEMON, daemon)
        case StopDaemon(role):
            return namespace_records.daemon_role_request(Command.DEL_DAEMON, role)
    raise InvalidConfig("operation", operation, "one of ipvskit.operations")


def merge_service(current: VirtualService, changes: Mapping[str, Any]) -> VirtualService:
    """What the kernel has, with some attributes changed. Raises InvalidConfig."""
    if "key" in changes or "reals" in changes:
        raise InvalidConfig("changes", sorted(changes), "attributes other than key and reals")
    return current.replace(**changes)


def merge_real(key: ServiceKey, current: RealServer, changes: Mapping[str, Any]) -> RealServer:
    """What the kernel has, with some attributes changed. Raises InvalidConfig."""
    if "address" in changes or "port" in changes:
        raise InvalidConfig("changes", sorted(changes), "attributes other than address and port")
    merged = current.replace(**changes)
    check_pair(key, merged)
    return merged
