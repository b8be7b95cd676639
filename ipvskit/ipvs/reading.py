"""Reading tables that may change while they are read.

Knows: how to tell a dump that can be trusted from one that cannot. Must not know: how requests travel, how to change anything.

The kernel's dumps of IPVS are no snapshots: between two pieces of one, entries may be repeated or left out, and it never says so. What comes in one
piece is taken as it is, provided that no entry is in it twice; anything longer is read until two readings agree. The services are read again after
their real servers, and what came or went in between is corrected. All of this is bounded.
"""

from __future__ import annotations

import errno
from collections import Counter
from itertools import repeat
from operator import attrgetter
from typing import TYPE_CHECKING

from ipvskit.errors import InconsistentDump
from ipvskit.ipvs import decode, records
from ipvskit.ipvs.backend import RowKind
from ipvskit.ipvs.records import NLM_F_DUMP, Command
from ipvskit.ipvs.refusals import read_refusal
from ipvskit.model.address import Family
from ipvskit.model.status import RealServerStatus, ServiceStatus, Stats

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ipvskit.ipvs.backend import Backend
    from ipvskit.model.key import ServiceKey
    from ipvskit.model.real import RealServer
    from ipvskit.model.service import VirtualService

__all__ = ["Found", "Numbers", "Reader"]

#: Active, inactive and persistent connections of a real server, and its stats.
Numbers = tuple[int, int, int, Stats]
_Members = dict[bytes, tuple["ServiceKey", list["RealServer"], list[Numbers]]]

ATTEMPTS = 8
#: Services whose real servers are decoded together: bounds what is held twice, and the next ones find their memory still warm.
PORTION = 64

_NO_STATS = Stats()
# A member of an enumeration is looked up anew at every use.
_IPV4 = Family.IPV4


class Reader:
    """Reads services and real servers. Made for one call: it remembers the addresses that it met."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._addresses = decode.Addresses()

    def services(self) -> list[VirtualService]:
        """All services without their real servers. Raises InconsistentDump."""
        return [service for _, service, _ in decode.services(self._service_rows(), self._addresses)]

    def _service_rows(self) -> bytearray:
        request = records.plain_request(Command.GET_SERVICE, NLM_F_DUMP)
        before: set[bytes] | None = None
        data = bytearray()
        for _ in range(ATTEMPTS):
            rows = self._backend.dump(RowKind.SERVICES, request, 1)
            for answer in rows.refused:
                raise read_refusal("list services", Command.GET_SERVICE, None, answer.error, answer.text)
            data = rows.data
            found = decode.service_identities(data)
            clean = not rows.interrupted and len(set(found)) == len(found)
            if clean and rows.chunks[0] <= 1:
                return data
            configs = decode.service_configs(data) if clean else None
            if configs is not None and configs == before:
                return data
            before = configs
        raise InconsistentDump("virtual services", ATTEMPTS, self._distinct(data))

    def _distinct(self, rows: bytearray) -> list[VirtualService]:
        return list({service.key: service for _, service, _ in decode.services(rows, self._addresses)}.values())

    def get(self, keys: Sequence[ServiceKey]) -> list[tuple[VirtualService, Stats] | Exception]:
        """Single services without their real servers, in the order asked for; what cannot be read is told by its exception."""
        found: list[tuple[VirtualService, Stats] | Exception | None] = [None] * len(keys)
        requests = b"".join(records.key_request(Command.GET_SERVICE, key) for key in keys)
        rows = self._backend.get(RowKind.SERVICES, requests, len(keys))
        for index, service, stats in decode.services(rows.data, self._addresses):
            found[index] = (service, stats)
        for answer in rows.refused:
            found[answer.index] = read_refusal(
                "get service", Command.GET_SERVICE, keys[answer.index], answer.error, answer.text
            )
        return [
            one or read_refusal("get service", Command.GET_SERVICE, key, errno.ENODATA)
            for one, key in zip(found, keys, strict=True)
        ]

    def reals(self, keys: Sequence[ServiceKey], numbers: bool = False) -> list[tuple[list[RealServer], list[Numbers]]]:
        """The real servers of each service in the order in which they were added, and on request their numbers.

        For a service that does not exist the list is empty: the kernel gives no error. Raises InconsistentDump.
        """
        return self._all_reals(keys, [records.key_request(Command.GET_DEST, key, NLM_F_DUMP) for key in keys], numbers)

    def _all_reals(
        self, keys: Sequence[ServiceKey], requests: Sequence[bytes], numbers: bool
    ) -> list[tuple[list[RealServer], list[Numbers]]]:
        found: list[tuple[list[RealServer], list[Numbers]]] = []
        for start in range(0, len(keys), PORTION):
            found += self._reals(keys[start : start + PORTION], requests[start : start + PORTION], numbers)
        return found

    def _reals(
        self, keys: Sequence[ServiceKey], requests: Sequence[bytes], numbers: bool
    ) -> list[tuple[list[RealServer], list[Numbers]]]:
        families = [records.AF_INET if key.family is _IPV4 else records.AF_INET6 for key in keys]
        rows = self._backend.dump(_kind(numbers), b"".join(requests), len(keys))
        for answer in rows.refused:
            raise read_refusal("list real servers", Command.GET_DEST, keys[answer.index], answer.error, answer.text)
        indexes, reals = decode.real_columns(rows.data, families, self._addresses, numbers)
        told = list(decode.real_numbers(rows.data)) if numbers else []
        doubtful = set(range(len(keys))) if rows.interrupted else _repeated(indexes, reals)
        # The kernel lists the newest first; turned around, the last service's rows come first, oldest first.
        reals.reverse()
        told.reverse()
        found: list[tuple[list[RealServer], list[Numbers]]] = []
        counts, end = Counter(indexes), len(reals)
        for index, key in enumerate(keys):
            start, end = end, end - counts[index]
            if rows.chunks[index] > 1 or index in doubtful:
                found.append(self._reals_again(key, families[index], requests[index], numbers))
            else:
                found.append((reals[end:start], told[end:start]))
        return found

    def _reals_again(
        self, key: ServiceKey, family: int, request: bytes, numbers: bool
    ) -> tuple[list[RealServer], list[Numbers]]:
        before: set[bytes] | None = None
        reals: list[RealServer] = []
        for _ in range(ATTEMPTS):
            rows = self._backend.dump(_kind(numbers), request, 1)
            indexes, reals = decode.real_columns(rows.data, [family], self._addresses, numbers)
            clean = not rows.interrupted and not _repeated(indexes, reals)
            configs = decode.real_configs(rows.data, numbers) if clean else None
            if configs is not None and (configs == before or rows.chunks[0] <= 1):
                told = list(decode.real_numbers(rows.data)) if numbers else []
                return reals[::-1], told[::-1]
            before = configs
        raise InconsistentDump(f"real servers of {key}", ATTEMPTS, list(dict.fromkeys(reals)))

    def everything(self, numbers: bool = False) -> list[Found]:
        """All services with their real servers. Raises InconsistentDump."""
        rows = self._service_rows()
        members: _Members = {}
        for _ in range(ATTEMPTS):
            identities = decode.service_identities(rows)
            keys = zip(identities, decode.service_keys(rows, self._addresses), strict=True)
            new = {identity: key for identity, key in keys if identity not in members}
            found = self._all_reals(list(new.values()), records.real_questions(new), numbers)
            members |= {identity: (new[identity], *both) for identity, both in zip(new, found, strict=True)}
            again = self._service_rows() if rows else rows
            if set(decode.service_identities(again)) == set(identities):
                return self._found(again, members, numbers)
            rows = again
        partial = [found.service for found in self._found(rows, members, False)]
        raise InconsistentDump("virtual services with their real servers", ATTEMPTS, partial)

    def _found(self, rows: bytearray, members: _Members, numbers: bool) -> list[Found]:
        identities = decode.service_identities(rows)
        if new := [identity for identity in identities if identity not in members]:
            keys = dict(zip(identities, decode.service_keys(rows, self._addresses), strict=True))
            members = members | {identity: (keys[identity], [], []) for identity in new}
        held = [members[identity] for identity in identities]
        reals = [tuple(reals) for _, reals, _ in held]
        services = decode.whole_services(rows, [key for key, _, _ in held], reals)
        stats = decode.service_stats(rows) if numbers else repeat(_NO_STATS)
        return [Found(service, one, told) for service, one, (_, _, told) in zip(services, stats, held, strict=False)]


class Found:
    """One service as it was read, with its real servers."""

    __slots__ = ("_numbers", "_stats", "service")

    def __init__(self, service: VirtualService, stats: Stats, numbers: list[Numbers]) -> None:
        self.service, self._stats, self._numbers = service, stats, numbers

    def status(self, stale: bool) -> ServiceStatus:
        """The same with its numbers."""
        reals = self.service.reals
        numbered = tuple(RealServerStatus(real, *entry) for real, entry in zip(reals, self._numbers, strict=True))
        return ServiceStatus(self.service, self._stats, numbered, stale)


def _kind(numbers: bool) -> int:
    return RowKind.REALS if numbers else RowKind.REAL_CONFIGS


def _repeated(indexes: Sequence[int], reals: list[RealServer]) -> set[int]:
    """Which requests were answered with some real server twice."""
    # The quick way first: no address is there twice, in whatever service.
    if len(set(map(id, map(_address, reals)))) == len(reals) or len(set(_places(indexes, reals))) == len(reals):
        return set()
    return {index for (index, _, _), times in Counter(_places(indexes, reals)).items() if times > 1}


def _places(indexes: Sequence[int], reals: list[RealServer]) -> Iterator[tuple[int, int, int]]:
    # One reader makes each address once, so identity is equality here.
    return zip(indexes, map(id, map(_address, reals)), map(_port, reals), strict=True)


_address, _port = attrgetter("address"), attrgetter("port")
