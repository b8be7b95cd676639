"""Reading tables that may change while they are read.

Knows: how to tell a dump that can be trusted from one that cannot. Must not know: how requests travel, how to change anything.

The kernel's dumps of IPVS are no snapshots: between two pieces of one, entries may be repeated or left out, and it never says so. What comes in one
piece is taken as it is, provided that no entry is in it twice; anything longer is read until two readings agree. The services are read again after
their real servers, and what came or went in between is corrected. All of this is bounded.
"""

from __future__ import annotations

import errno
from array import array
from collections import Counter
from contextlib import contextmanager
from itertools import repeat
from operator import attrgetter
from typing import TYPE_CHECKING

from ipvskit._native.compare import blocks
from ipvskit.errors import InconsistentDump, ProtocolError
from ipvskit.ipvs import decode, records
from ipvskit.ipvs.backend import RowKind
from ipvskit.ipvs.holding import HeldServices
from ipvskit.ipvs.records import NLM_F_DUMP, REAL, SERVICE_ROW, Command
from ipvskit.ipvs.refusals import read_refusal
from ipvskit.model.address import Family
from ipvskit.model.status import RealServerStatus, ServiceStatus, Stats

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator, Sequence

    from ipvskit.ipvs.backend import Backend, Rows
    from ipvskit.model.key import ServiceKey
    from ipvskit.model.real import RealServer
    from ipvskit.model.service import VirtualService

__all__ = ["Found", "Numbers", "Reader"]

#: Active, inactive and persistent connections of a real server, and its stats.
Numbers = tuple[int, int, int, Stats]
#: Rows of the real servers of several services, and how many each of those has.
_Portion = tuple[bytes | bytearray, "array[int]"]
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
        """The rows of all services: in one piece, or as two readings agree on. Raises InconsistentDump."""
        before: set[bytes] | None = None
        data = bytearray()
        for _ in range(ATTEMPTS):
            data, clean, whole = self._service_reading()
            if clean and whole:
                return data
            configs = set(decode.service_configs(data)) if clean else None
            if configs is not None and configs == before:
                return data
            before = configs
        raise InconsistentDump("virtual services", ATTEMPTS, self._distinct(data))

    def _service_reading(self) -> tuple[bytearray, bool, bool]:
        """One reading of all services: whether nothing is in it twice, and whether it came in one piece."""
        rows = self._backend.dump(RowKind.SERVICES, records.plain_request(Command.GET_SERVICE, NLM_F_DUMP), 1)
        for answer in rows.refused:
            raise read_refusal("list services", Command.GET_SERVICE, None, answer.error, answer.text)
        found = decode.service_identities(rows.data)
        clean = not rows.interrupted and len(set(found)) == len(found)
        return rows.data, clean, rows.chunks[0] <= 1

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

    # --- rows as they are ------------------------------------------------------------------------------------------------------------

    def held(
        self,
        wanted: Callable[[ServiceKey], bool] | None = None,
        only: Container[bytes] | None = None,
        *,
        bare: bool = False,
    ) -> HeldServices:
        """All services, or those whose keys are `wanted`, or only those with these identities, as rows; with their real servers unless `bare`.

        Raises InconsistentDump.
        """
        if bare:
            rows = self._chosen(self._service_rows(), wanted, only)
            return HeldServices(rows, bytearray(), array("I", bytes(len(rows) // SERVICE_ROW.size * 4)), bare=True)
        first, clean, _ = self._service_reading()
        rows = self._chosen(first, wanted, only)
        identities = decode.service_identities(rows)
        portions = self._raw_portions(identities)
        again, too, _ = self._service_reading()
        if clean and too and decode.service_configs(first) == decode.service_configs(again):
            # Two readings that agree, and between them those of the real servers.
            return _joined(rows, portions)
        again = self._chosen(self._service_rows(), wanted, only)
        same = decode.service_identities(again)
        members = dict(zip(identities, _split(portions), strict=True))
        for _ in range(ATTEMPTS):
            new = [identity for identity in same if identity not in members]
            members.update(zip(new, _split(self._raw_portions(new)), strict=True))
            again, identities = self._chosen(self._service_rows(), wanted, only), same
            same = decode.service_identities(again)
            if set(same) == set(identities):
                return _arranged(again, [members[identity] for identity in same])
        raise InconsistentDump("virtual services with their real servers", ATTEMPTS, self._distinct(again))

    def _chosen(
        self, rows: bytearray, wanted: Callable[[ServiceKey], bool] | None, only: Container[bytes] | None
    ) -> bytearray:
        if wanted is not None:
            keys = decode.service_keys(rows, self._addresses)
            places = [place for place, key in enumerate(keys) if wanted(key)]
        elif only is not None:
            places = [place for place, one in enumerate(decode.service_identities(rows)) if one in only]
        else:
            return rows
        size = SERVICE_ROW.size
        return bytearray().join([rows[place * size : (place + 1) * size] for place in places])

    def held_of(self, keys: Sequence[ServiceKey], *, bare: bool = False) -> HeldServices:
        """The services with these keys that there are, as rows. Raises InconsistentDump, and what refusals to be read mean."""
        requests = b"".join([records.key_request(Command.GET_SERVICE, key) for key in keys])
        rows = self._backend.get(RowKind.SERVICES, requests, len(keys)) if keys else None
        for answer in rows.refused if rows is not None else ():
            if answer.error != errno.ESRCH:
                raise read_refusal("get service", Command.GET_SERVICE, keys[answer.index], answer.error, answer.text)
        data = rows.data if rows is not None else bytearray()
        identities = decode.service_identities(data)
        if bare:
            return HeldServices(data, bytearray(), array("I", bytes(4 * len(identities))), bare=True)
        return _joined(data, self._raw_portions(identities))

    def _raw_portions(self, identities: Sequence[bytes]) -> list[_Portion]:
        return [self._raw_portion(identities[start : start + PORTION]) for start in range(0, len(identities), PORTION)]

    def _raw_portion(self, identities: Sequence[bytes]) -> _Portion:
        requests = records.real_questions(identities)
        rows = self._backend.dump(RowKind.REAL_CONFIGS, b"".join(requests), len(requests))
        self._check_answers(rows)
        if not decode.complete(rows.data):
            decode.fill_families(rows.data, [records.HALF.unpack_from(one)[0] for one in identities])
        with trusted():
            counts, repeated = blocks(rows.data, len(requests))
        doubtful = any(repeated) or max(rows.chunks, default=0) > 1
        if not doubtful and not rows.interrupted:
            return rows.data, counts
        found = list(_split([(rows.data, counts)]))
        for index, identity in enumerate(identities):
            if rows.interrupted or repeated[index] or rows.chunks[index] > 1:
                found[index] = self._raw_again(identity, requests[index])
        return b"".join([data for data, _ in found]), array("I", [count for _, count in found])

    def _raw_again(self, identity: bytes, request: bytes) -> tuple[bytes, int]:
        before: set[bytes] | None = None
        data = bytearray()
        for _ in range(ATTEMPTS):
            rows = self._backend.dump(RowKind.REAL_CONFIGS, request, 1)
            self._check_answers(rows)
            data = rows.data
            if not decode.complete(data):
                decode.fill_families(data, [records.HALF.unpack_from(identity)[0]])
            with trusted():
                (count,), (repeated,) = blocks(data, 1)
            clean = not rows.interrupted and not repeated
            configs = decode.real_configs(data, False) if clean else None
            if configs is not None and (configs == before or rows.chunks[0] <= 1):
                return bytes(data), count
            before = configs
        reals = decode.real_columns(data, [], self._addresses, False)[1]
        raise InconsistentDump("real servers of a service", ATTEMPTS, list(dict.fromkeys(reals)))

    @staticmethod
    def _check_answers(rows: Rows) -> None:
        for answer in rows.refused:
            raise read_refusal("list real servers", Command.GET_DEST, None, answer.error, answer.text)


def _joined(rows: bytearray, portions: Sequence[_Portion]) -> HeldServices:
    counts = array("I")
    for _, some in portions:
        counts += some
    return HeldServices(rows, bytearray().join([data for data, _ in portions]), counts)


def _split(portions: Iterable[_Portion]) -> Iterator[tuple[bytes, int]]:
    """The rows of each service, and how many they are."""
    size = REAL.size
    for data, counts in portions:
        view, start = memoryview(data), 0
        for count in counts:
            end = start + count * size
            yield bytes(view[start:end]), count
            start = end


def _arranged(rows: bytearray, members: Sequence[tuple[bytes, int]]) -> HeldServices:
    reals = bytearray().join([data for data, _ in members])
    return HeldServices(rows, reals, array("I", [count for _, count in members]))


@contextmanager
def trusted() -> Iterator[None]:
    """Looking at rows within. Raises ProtocolError for those that are no answers to what was asked."""
    try:
        yield
    except OSError as error:
        if error.errno != errno.EBADMSG:
            raise
        raise ProtocolError("the kernel's answer is not what IPVS's protocol allows") from None


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
