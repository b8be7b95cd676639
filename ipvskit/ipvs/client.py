"""Everything that can be asked of IPVS and done to it.

Knows: the operations in the user's terms. Must not know: netlink, desired state.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any

from ipvskit.errors import BulkFailed, KernelError, RealServerNotFound
from ipvskit.ipvs import bulk, decode, namespace_records, operations, records
from ipvskit.ipvs.backend import RowKind
from ipvskit.ipvs.operations import Operation
from ipvskit.ipvs.proc import parse_connections, parse_totals
from ipvskit.ipvs.reading import Reader
from ipvskit.ipvs.records import NLM_F_DUMP, Command
from ipvskit.ipvs.refusals import read_refusal
from ipvskit.ipvs.sysctls import Sysctls
from ipvskit.model.daemon import DaemonRole, Info, SyncDaemon, Timeouts
from ipvskit.model.key import ServiceKey
from ipvskit.model.real import RealServer
from ipvskit.model.service import VirtualService
from ipvskit.model.status import RealServerStatus, ServiceStatus, Totals

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator, Sequence

    from ipvskit.ipvs.backend import Backend
    from ipvskit.ipvs.holding import HeldServices
    from ipvskit.ipvs.report import BulkReport
    from ipvskit.ipvs.wanted import Packed
    from ipvskit.model.connection import Connection

__all__ = ["Ipvs"]

Key = ServiceKey | str
Real = RealServer | str


class Ipvs:
    """IPVS in one network namespace, as `Kernel.ipvs`. All calls may come from any thread.

    Services and real servers are given as values or in their text forms. Every method may raise PermissionDenied; methods that read may raise
    InconsistentDump; methods that change raise InvalidConfig before anything is sent, or the refusal that they name.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        #: The settings under net.ipv4.vs, and a few others (`ipvskit.SYSCTLS`).
        self.sysctls = Sysctls(backend)

    # --- reading --------------------------------------------------------------------------------------------------------------------

    def services(self, *, reals: bool = True) -> list[VirtualService]:
        """All virtual services, with their real servers unless `reals` is False (which is much cheaper)."""
        reader = Reader(self._backend)
        if not reals:
            return reader.services()
        return [found.service for found in reader.everything()]

    def service(self, key: Key) -> VirtualService:
        """One virtual service with its real servers. Raises ServiceNotFound."""
        return self.get_services([key])[0]

    def get_services(self, keys: Iterable[Key], *, reals: bool = True) -> list[VirtualService]:
        """Several virtual services, in the order asked for. Raises ServiceNotFound for the first that is missing."""
        parsed = [ServiceKey.parse(key) for key in keys]
        reader = Reader(self._backend)
        found = []
        for entry in reader.get(parsed):
            if isinstance(entry, Exception):
                raise entry
            found.append(entry[0])
        if not reals:
            return found
        members = reader.reals(parsed)
        return [decode.with_reals(service, entry[0]) for service, entry in zip(found, members, strict=True)]

    def reals(self, key: Key) -> list[RealServer]:
        """The real servers of a service, in the order in which they were added. Raises ServiceNotFound."""
        return list(self.service(key).reals)

    def real(self, key: Key, real: Real) -> RealServer:
        """One real server of a service, by address and port. Raises ServiceNotFound, RealServerNotFound."""
        parsed, wanted = ServiceKey.parse(key), RealServer.parse(real)
        for held in self.reals(parsed):
            if held.address == wanted.address and held.port == wanted.port:
                return held
        where = f"{wanted.endpoint} of {parsed}"
        raise RealServerNotFound(
            errno.ENOENT, "the service has no such real server", operation="get real server", key=where
        )

    def held(
        self,
        wanted: Callable[[ServiceKey], bool] | None = None,
        *,
        only: Container[bytes] | None = None,
        reals: bool = True,
    ) -> HeldServices:
        """All virtual services by key, or those whose keys are `wanted`: as rows, of which values are made only when somebody looks.

        `only` are identities as rows have them (`HeldServices.identities`).
        """
        return Reader(self._backend).held(wanted, only, bare=not reals)

    def held_of(self, keys: Iterable[Key], *, reals: bool = True) -> HeldServices:
        """The same of these virtual services, as far as there are any; what is read is theirs only."""
        return Reader(self._backend).held_of([ServiceKey.parse(key) for key in keys], bare=not reals)

    def reals_status(self, keys: Iterable[Key]) -> dict[ServiceKey, list[RealServerStatus]]:
        """The real servers of these services with their connection counts and rates; none for a service that does not exist."""
        parsed = [ServiceKey.parse(key) for key in keys]
        found = Reader(self._backend).reals(parsed, numbers=True)
        return {
            key: [RealServerStatus(real, *entry) for real, entry in zip(*both, strict=True)]
            for key, both in zip(parsed, found, strict=True)
        }

    def status(self) -> list[ServiceStatus]:
        """All virtual services and real servers with their counters, rates and connection counts."""
        stale = self._stale()
        return [found.status(stale) for found in Reader(self._backend).everything(numbers=True)]

    def service_status(self, key: Key) -> ServiceStatus:
        """The same of one virtual service. Raises ServiceNotFound."""
        parsed = ServiceKey.parse(key)
        stale = self._stale()
        reader = Reader(self._backend)
        found = reader.get([parsed])[0]
        if isinstance(found, Exception):
            raise found
        members, numbers = reader.reals([parsed], numbers=True)[0]
        numbered = (RealServerStatus(real, *entry) for real, entry in zip(members, numbers, strict=True))
        return ServiceStatus(decode.with_reals(found[0], members), found[1], tuple(numbered), stale)

    def totals(self) -> Totals:
        """Counters and rates of the whole namespace (/proc/net/ip_vs_stats)."""
        with self._open("ip_vs_stats") as file:
            return Totals(parse_totals(file.read()), self._stale())

    def connections(self, *, templates: bool = True) -> Iterator[Connection]:
        """Connections and, unless switched off, persistence templates, as they are read from /proc/net/ip_vs_conn.

        Reading does not stop the traffic: a connection that comes or goes meanwhile may be missing, or be there twice. Raises KernelError.
        """
        with self._open("ip_vs_conn") as file:
            for connection in parse_connections(file):
                if templates or not connection.is_template:
                    yield connection

    def templates(self) -> Iterator[Connection]:
        """Persistence templates: which client network sticks to which real server."""
        return (connection for connection in self.connections() if connection.is_template)

    def info(self) -> Info:
        """Version of IPVS and size of its connection table."""
        return namespace_records.info(self._ask("get info", RowKind.INFO, Command.GET_INFO))

    def timeouts(self) -> Timeouts:
        """Idle times of connections, in seconds."""
        return namespace_records.timeouts(self._ask("get timeouts", RowKind.CONFIG, Command.GET_CONFIG))

    def daemons(self) -> list[SyncDaemon]:
        """The sync daemons that are running: none, one, or one of each role."""
        rows = self._backend.dump(RowKind.DAEMONS, records.plain_request(Command.GET_DAEMON, NLM_F_DUMP), 1)
        for answer in rows.refused:
            raise read_refusal("list sync daemons", Command.GET_DAEMON, None, answer.error, answer.text)
        return namespace_records.daemons(rows.data)

    def _ask(self, name: str, kind: int, command: Command) -> bytearray:
        rows = self._backend.get(kind, records.plain_request(command), 1)
        for answer in rows.refused:
            raise read_refusal(name, command, None, answer.error, answer.text)
        return rows.data

    def _open(self, name: str) -> Any:  # noqa: ANN401 - a text file
        try:
            return self._backend.open(f"/proc/thread-self/net/{name}")
        except OSError as error:
            raise KernelError(error.errno or errno.EIO, operation="read", key=f"/proc/net/{name}") from None

    def _stale(self) -> bool:
        return self.sysctls.get("run_estimation") is False or self.sysctls.get("est_cpulist") == ""

    # --- virtual services -----------------------------------------------------------------------------------------------------------

    def add_service(self, service: VirtualService | str) -> None:
        """Add a virtual service, then its real servers.

        Raises ServiceExists (nothing was changed), SchedulerNotAvailable, PersistenceEngineNotAvailable; for a single real server that was refused
        its own exception, and for several BulkFailed: the others were added.
        """
        self._do(operations.AddService.of(service))

    def replace_service(self, service: VirtualService | str) -> None:
        """Give an existing virtual service this configuration. Its real servers stay as they are, whatever `service.reals` says.

        Raises ServiceNotFound, SchedulerNotAvailable (then the service may be left without a scheduler), PersistenceEngineNotAvailable.
        """
        self._do(operations.ReplaceService.of(service))

    def update_service(self, key: Key, **changes: Any) -> None:
        """Change some attributes of a virtual service, named as in VirtualService; the others stay as the kernel has them.

        Reads, then writes: a change that another program makes in between to the same service is lost. Raises as `replace_service`.
        """
        self._do(operations.UpdateService.of(key, **changes))

    def delete_service(self, key: Key) -> None:
        """Delete a virtual service and its real servers. Raises ServiceNotFound."""
        self._do(operations.DeleteService.of(key))

    def add_services(
        self, services: Iterable[VirtualService | str], *, on_error: bulk.OnError = "continue"
    ) -> BulkReport:
        """Add many virtual services with their real servers; see `bulk`."""
        return bulk.add_services(self._backend, services, on_error)

    # --- real servers ---------------------------------------------------------------------------------------------------------------

    def add_real(self, key: Key, real: Real) -> None:
        """Add a real server. Raises ServiceNotFound, RealServerExists, AddressNotUsable, MixedFamilyRefused."""
        self._do(operations.AddReal.of(key, real))

    def replace_real(self, key: Key, real: Real) -> None:
        """Give an existing real server this configuration; its connections stay. Raises ServiceNotFound, RealServerNotFound."""
        self._do(operations.ReplaceReal.of(key, real))

    def update_real(self, key: Key, real: Real, **changes: Any) -> None:
        """Change some attributes of a real server, named as in RealServer; the others (tunnel, thresholds) stay as the kernel has them.

        Only address and port of `real` count. Reads, then writes: a change that another program makes in between to the same real server is lost.
        Raises ServiceNotFound, RealServerNotFound.
        """
        self._do(operations.UpdateReal.of(key, real, **changes))

    def delete_real(self, key: Key, real: Real) -> None:
        """Delete a real server; only address and port of `real` count. Raises ServiceNotFound, RealServerNotFound."""
        self._do(operations.DeleteReal.of(key, real))

    # --- everything else ------------------------------------------------------------------------------------------------------------

    def flush(self) -> None:
        """Delete all virtual services of the namespace. Timeouts, settings and sync daemons stay."""
        self._do(operations.Flush())

    def zero(self, key: Key | None = None) -> None:
        """Set counters to zero: of one virtual service and its real servers, or of all and the totals. Raises ServiceNotFound.

        The kernel counts anew from its last refresh, so up to 2 seconds of earlier traffic come back.
        """
        self._do(operations.Zero.of(key))

    def set_timeouts(self, *, tcp: int = 0, tcp_fin: int = 0, udp: int = 0) -> None:
        """Set idle times of connections in seconds; 0 leaves one as it is."""
        self._do(operations.SetTimeouts(tcp, tcp_fin, udp))

    def start_daemon(self, daemon: SyncDaemon | str) -> None:
        """Start a sync daemon. Raises DaemonExists, InterfaceNotFound, AddressNotUsable, MixedFamilyRefused."""
        self._do(operations.StartDaemon.of(daemon))

    def stop_daemon(self, role: DaemonRole | str) -> None:
        """Stop a sync daemon. Raises DaemonNotFound."""
        self._do(operations.StopDaemon.of(role))

    def bulk(self, wanted: Iterable[Operation], *, on_error: bulk.OnError = "continue") -> BulkReport:
        """Execute many operations in the order given, in few system calls; a hundred thousand are no trouble.

        Never raises for an operation's failure: the report has every one with its operation (`raise_for_failures()`). With
        `on_error="stop"` the first failure ends the call; operations then go out one by one, which is much slower.
        """
        return bulk.run(self._backend, wanted, on_error)

    def bulk_packed(
        self, count: int, requests: Callable[[int, int], bytes], operation: Callable[[int], Operation]
    ) -> BulkReport:
        """The same for requests that are packed already: `requests(start, stop)` gives some of them, `operation` says what a single one is."""
        return bulk.run_packed(self._backend, count, requests, operation)

    def add_packed(self, services: Sequence[Packed]) -> BulkReport:
        """The same as `add_services` for services that are packed already (`ipvskit.ipvs.wanted`)."""
        return bulk.add_packed(self._backend, services)

    def _do(self, operation: Operation) -> None:
        report = bulk.run(self._backend, [operation])
        if len(report.failures) == 1:
            raise report.failures[0].error
        if not report.ok:
            raise BulkFailed(report)
