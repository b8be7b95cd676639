"""Whether an operation was executed, told by reading, for when the kernel's answer was lost.

Knows: how each operation shows in the tables. Must not know: why the answer is missing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipvskit.errors import ServiceNotFound
from ipvskit.ipvs import namespace_records, records
from ipvskit.ipvs.backend import RowKind
from ipvskit.ipvs.operations import (
    AddReal,
    AddService,
    DeleteReal,
    DeleteService,
    Flush,
    Operation,
    ReplaceReal,
    ReplaceService,
    SetTimeouts,
    StartDaemon,
    StopDaemon,
    UpdateReal,
    UpdateService,
    merge_real,
    merge_service,
)
from ipvskit.ipvs.records import NLM_F_DUMP, Command

if TYPE_CHECKING:
    from ipvskit.ipvs.backend import Backend
    from ipvskit.ipvs.reading import Reader
    from ipvskit.model.address import IPAddress
    from ipvskit.model.daemon import DaemonRole, SyncDaemon
    from ipvskit.model.key import ServiceKey
    from ipvskit.model.real import RealServer
    from ipvskit.model.service import VirtualService

__all__ = ["landed"]


def landed(reader: Reader, backend: Backend, operation: Operation) -> bool:
    """Whether the tables are as the operation leaves them. Counters do not tell, so for Zero the answer is no."""
    match operation:
        case AddService(service) | ReplaceService(service):
            return _service(reader, service.key) == service.replace(reals=())
        case UpdateService(key, changes):
            held = _service(reader, key)
            return held is not None and merge_service(held, changes) == held
        case DeleteService(key):
            return _service(reader, key) is None
        case AddReal(key, real) | ReplaceReal(key, real):
            return _real(reader, key, real.address, real.port) == real
        case UpdateReal(key, address, port, changes):
            found = _real(reader, key, address, port)
            return found is not None and merge_real(key, found, changes) == found
        case DeleteReal(key, address, port):
            return _real(reader, key, address, port) is None
        case Flush():
            return not reader.services()
        case SetTimeouts():
            return _timeouts(backend, operation)
        case StartDaemon(daemon):
            running = _daemon(backend, daemon.role)
            return running is not None and running.interface == daemon.interface
        case StopDaemon(role):
            return _daemon(backend, role) is None
        case _:
            return False


def _service(reader: Reader, key: ServiceKey) -> VirtualService | None:
    found = reader.get([key])[0]
    if isinstance(found, ServiceNotFound):
        return None
    if isinstance(found, Exception):
        raise found
    return found[0]


def _real(reader: Reader, key: ServiceKey, address: IPAddress, port: int) -> RealServer | None:
    members, _ = reader.reals([key])[0]
    return next((real for real in members if real.address == address and real.port == port), None)


def _timeouts(backend: Backend, wanted: SetTimeouts) -> bool:
    rows = backend.get(RowKind.CONFIG, records.plain_request(Command.GET_CONFIG), 1)
    held = namespace_records.timeouts(rows.data)
    return all(getattr(wanted, name) in {0, getattr(held, name)} for name in ("tcp", "tcp_fin", "udp"))


def _daemon(backend: Backend, role: DaemonRole) -> SyncDaemon | None:
    rows = backend.dump(RowKind.DAEMONS, records.plain_request(Command.GET_DAEMON, NLM_F_DUMP), 1)
    return next((daemon for daemon in namespace_records.daemons(rows.data) if daemon.role is role), None)
