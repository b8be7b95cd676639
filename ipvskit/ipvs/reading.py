"""Reading tables that may change while they are read.

Knows: how to tell a dump that can be trusted from one that cannot. Must not know: how requests travel, how to change anything.

The kernel's dumps of IPVS are no snapshots: between two pieces of one, entries may be repeated or left out, and it never says so. What comes in one
piece is taken as it is, provided that no entry is in it twice; anything longer is read until two readings agree. The services are read again after
their real servers, and what came or went in between is corrected. All of this is bounded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipvskit.errors import InconsistentDump
from ipvskit.ipvs import records
from ipvskit.ipvs.backend import RowKind
from ipvskit.ipvs.records import NLM_F_DUMP, REAL_ROW, Command
from ipvskit.ipvs.refusals import read_refusal
from ipvskit.model.address import Family
from ipvskit.model.status import RealServerStatus, ServiceStatus, Stats

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ipvskit.ipvs.backend import Backend
    from ipvskit.model.key import ServiceKey
    from ipvskit.model.real import RealServer
    from ipvskit.model.service import VirtualService

__all__ = ["Found", "Numbers", "Reader"]

#: Active, inactive and persistent connections of a real server, and its stats.
Numbers = tuple[int, int, int, Stats]

ATTEMPTS = 8
#: Services whose real servers are decoded together: bounds what is held twice.
PORTION = 256


class Reader:
    """Reads services and real servers. Made for one call: it remembers the addresses that it met."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._addresses = records.Addresses()

    def services(self) -> dict[ServiceKey, tuple[VirtualService, Stats]]:
        """All services without their real servers. Raises InconsistentDump."""
        request = records.plain_request(Command.GET_SERVICE, NLM_F_DUMP)
        before: set[bytes] | None = None
        found: dict[ServiceKey, tuple[VirtualService, Stats]] = {}
        for _ in range(ATTEMPTS):
            rows = self._backend.dump(RowKind.SERVICES, request, 1)
            for answer in rows.refused:
                raise read_refusal("list services", Command.GET_SERVICE, None, answer.error, answer.text)
            found = {
                service.key: (service, stats) for _, service, stats in records.services(rows.data, self._addresses)
            }
            clean = not rows.interrupted and len(found) * records.SERVICE_ROW.size == len(rows.data)
            if clean and rows.chunks[0] <= 1:
                return found
            configs = records.service_configs(rows.data) if clean else None
            if configs is not None and configs == before:
                return found
            before = configs
        raise InconsistentDump("virtual services", ATTEMPTS, [service for service, _ in found.values()])

    def get(self, keys: Sequence[ServiceKey]) -> list[tuple[VirtualService, Stats] | Exception]:
        """Single services without their real servers, in the order asked for; what cannot be read is told by its exception."""
        found: list[tuple[VirtualService, Stats] | Exception | None] = [None] * len(keys)
        requests = b"".join(records.key_request(Command.GET_SERVICE, key) for key in keys)
        rows = self._backend.get(RowKind.SERVICES, requests, len(keys))
        for index, service, stats in records.services(rows.data, self._addresses):
            found[index] = (service, stats)
        for answer in rows.refused:
            found[answer.index] = read_refusal(
                "get service", Command.GET_SERVICE, keys[answer.index], answer.error, answer.text
            )
        return [
            one or read_refusal("get service", Command.GET_SERVICE, key, 61)  # ENODATA
            for one, key in zip(found, keys, strict=True)
        ]

    def reals(self, keys: Sequence[ServiceKey], numbers: bool = False) -> list[tuple[list[RealServer], list[Numbers]]]:
        """The real servers of each service in the order in which they were added, and on request their numbers.

        For a service that does not exist the list is empty: the kernel gives no error. Raises InconsistentDump.
        """
        found: list[tuple[list[RealServer], list[Numbers]]] = []
        for start in range(0, len(keys), PORTION):
            found += self._reals(keys[start : start + PORTION], numbers)
        return found

    def _reals(self, keys: Sequence[ServiceKey], numbers: bool) -> list[tuple[list[RealServer], list[Numbers]]]:
        families = [records.AF_INET if key.family is Family.IPV4 else records.AF_INET6 for key in keys]
        requests = [records.key_request(Command.GET_DEST, key, NLM_F_DUMP) for key in keys]
        rows = self._backend.dump(RowKind.REALS, b"".join(requests), len(keys))
        for answer in rows.refused:
            raise read_refusal("list real servers", Command.GET_DEST, keys[answer.index], answer.error, answer.text)
        found: list[tuple[list[RealServer], list[Numbers]]] = [([], []) for _ in keys]
        for index, real in records.reals(rows.data, families, self._addresses):
            found[index][0].append(real)
        if numbers:
            indexes = (row[0] for row in REAL_ROW.iter_unpack(rows.data))
            for index, entry in zip(indexes, records.real_numbers(rows.data), strict=True):
                found[index][1].append(entry)
        for index, (reals, _) in enumerate(found):
            if rows.chunks[index] > 1 or rows.interrupted or _repeats(reals):
                found[index] = self._reals_again(keys[index], families[index], requests[index], numbers)
            else:
                _oldest_first(found[index])
        return found

    def _reals_again(
        self, key: ServiceKey, family: int, request: bytes, numbers: bool
    ) -> tuple[list[RealServer], list[Numbers]]:
        before: set[bytes] | None = None
        reals: list[RealServer] = []
        for _ in range(ATTEMPTS):
            rows = self._backend.dump(RowKind.REALS, request, 1)
            reals = [real for _, real in records.reals(rows.data, [family], self._addresses)]
            configs = None if rows.interrupted or _repeats(reals) else records.real_configs(rows.data)
            if configs is not None and (configs == before or rows.chunks[0] <= 1):
                both = (reals, list(records.real_numbers(rows.data)) if numbers else [])
                _oldest_first(both)
                return both
            before = configs
        raise InconsistentDump(f"real servers of {key}", ATTEMPTS, list(dict.fromkeys(reals)))

    def everything(self, numbers: bool = False) -> list[Found]:
        """All services with their real servers. Raises InconsistentDump."""
        services = self.services()
        reals: dict[ServiceKey, tuple[list[RealServer], list[Numbers]]] = {}
        for _ in range(ATTEMPTS):
            new = [key for key in services if key not in reals]
            reals |= dict(zip(new, self.reals(new, numbers), strict=True))
            if not services:
                return []
            again = self.services()
            if again.keys() == services.keys():
                return [Found(*again[key], *reals[key]) for key in again]
            services = again
        partial = [Found(*entry, *reals.get(key, ([], []))).service for key, entry in services.items()]
        raise InconsistentDump("virtual services with their real servers", ATTEMPTS, partial)


class Found:
    """One service as it was read."""

    __slots__ = ("_numbers", "_reals", "_service", "_stats")

    def __init__(self, service: VirtualService, stats: Stats, reals: list[RealServer], numbers: list[Numbers]) -> None:
        self._service, self._stats, self._reals, self._numbers = service, stats, reals, numbers

    @property
    def service(self) -> VirtualService:
        """The service with its real servers."""
        return records.with_reals(self._service, self._reals)

    def status(self, stale: bool) -> ServiceStatus:
        """The same with its numbers."""
        numbered = tuple(RealServerStatus(real, *entry) for real, entry in zip(self._reals, self._numbers, strict=True))
        return ServiceStatus(self.service, self._stats, numbered, stale)


def _repeats(reals: list[RealServer]) -> bool:
    # One reader makes each address once, so identity is equality here.
    return len({(id(real.address), real.port) for real in reals}) != len(reals)


def _oldest_first(found: tuple[list[RealServer], list[Numbers]]) -> None:
    """The kernel lists the newest first."""
    found[0].reverse()
    found[1].reverse()
