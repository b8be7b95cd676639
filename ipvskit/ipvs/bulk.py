"""Very many operations in few system calls, and a verdict on each.

Knows: order, portions, what depends on what. Must not know: netlink, what errors mean.

Operations are executed in the order given. Real servers of services to be added wait until it is known which services could be added: one that
exists already must not get the other's real servers. Updates first read what they change. Where answers got lost, reading tells what was executed.
"""

from __future__ import annotations

import errno
from bisect import bisect_right
from itertools import accumulate, islice, repeat
from typing import TYPE_CHECKING, Literal, TypeVar

from ipvskit.errors import AnswerLost, InvalidConfig, IpvskitError, ProtocolError, RealServerNotFound, TimedOut
from ipvskit.ipvs import records
from ipvskit.ipvs.backend import Execution
from ipvskit.ipvs.operations import (
    AddReal,
    AddService,
    Operation,
    ReplaceReal,
    ReplaceService,
    UpdateReal,
    UpdateService,
    describe,
    merge_real,
    merge_service,
    request_of,
)
from ipvskit.ipvs.reading import Reader
from ipvskit.ipvs.records import Command
from ipvskit.ipvs.refusals import refusal
from ipvskit.ipvs.report import BulkReport, Failure
from ipvskit.ipvs.verify import landed
from ipvskit.ipvs.wanted import by_size, packed_members, packed_services
from ipvskit.model.service import VirtualService, check_pair

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from ipvskit.ipvs.backend import Backend
    from ipvskit.ipvs.wanted import Packed
    from ipvskit.model.key import ServiceKey
    from ipvskit.model.real import RealServer

__all__ = ["OnError", "run"]

OnError = Literal["continue", "stop"]
Item = TypeVar("Item")
Packable = TypeVar("Packable", bound=Operation)

#: Requests that are packed before they are sent: so few that the next ones find their memory still warm, so many that the calls into the kernel
#: do not count. How many go into one send is the backend's matter.
PORTION = 512
#: Updates that are read for together: every portion reads each of its services once.
UPDATES = 4096


def run(backend: Backend, operations: Iterable[Operation], on_error: OnError = "continue") -> BulkReport:
    """Execute operations; see `Ipvs.bulk`."""
    call = _Run(backend, on_error)
    return call.all(operations, call.take)


def add_services(backend: Backend, services: Iterable[VirtualService | str], on_error: OnError) -> BulkReport:
    """The same for services to be added only: no operation is made for one that does not fail."""
    call = _Run(backend, on_error)
    remaining = iter(services)
    portions = iter(lambda: list(islice(remaining, call.portion)), [])
    return call.all(portions, call.add_all)


def run_packed(
    backend: Backend, count: int, requests: Callable[[int, int], bytes], operation: Callable[[int], Operation]
) -> BulkReport:
    """The same for requests that are packed already, some at a time; `operation` says what a single one is, and is asked only where that matters."""
    call = _Run(backend, "continue")
    for start in range(0, count, PORTION):
        call.packed(requests(start, min(start + PORTION, count)), start, operation)
    return call.report()


def add_packed(backend: Backend, services: Sequence[Packed]) -> BulkReport:
    """The same as `add_services` for services that are packed already."""
    call = _Run(backend, "continue")
    for start in range(0, len(services), PORTION):
        call.add_packed(services[start : start + PORTION], start)
    return call.report()


class _Run:
    """One bulk call."""

    def __init__(self, backend: Backend, on_error: OnError) -> None:
        if on_error not in {"continue", "stop"}:
            raise InvalidConfig("on_error", on_error, '"continue" or "stop"')
        self._backend = backend
        self._stop = stop = on_error == "stop"
        self.portion, self._most_updates = (1, 1) if stop else (PORTION, UPDATES)
        self._added = 0
        self._done = 0
        self._failures: list[Failure] = []
        self._skipped: list[Operation] = []
        self._subjects: list[tuple[int, Operation | VirtualService]] = []
        self._requests: list[bytes] = []
        self._parents: list[tuple[int, VirtualService]] = []
        self._updates: dict[object, tuple[int, UpdateService | UpdateReal]] = {}
        self._prefix: tuple[ServiceKey | None, bytes] = (None, b"")

    def all(self, items: Iterable[Item], take: Callable[[int, Item], None]) -> BulkReport:
        """Execute them, each handed to `take` with its index."""
        stopped = False
        try:
            for index, item in enumerate(items):
                take(index, item)
                if self._stop and self._failures:
                    stopped = True
                    break
            self._flush()
        except Exception as error:
            # Of the caller's iterable, or a handle closed meanwhile: what was done until then must not stay unsaid.
            error.add_note(f"of the bulk call until then: {self._report(stopped=True)}")
            raise
        return self._report(stopped)

    def packed(self, requests: bytes, start: int, operation: Callable[[int], Operation]) -> None:
        """Execute packed requests, numbered from `start`."""
        self._execute_all(
            requests, len(requests) // records.REQUEST_SIZE, lambda at: (start + at, operation(start + at))
        )

    def add_packed(self, services: Sequence[Packed], start: int) -> None:
        """Add a portion of packed services, numbered from `start`, and then their real servers."""

        def subject(at: int) -> tuple[int, Operation]:
            return start + at, AddService(services[at].service)

        failed = self._execute_all(packed_services(services), len(services), subject)
        for at in sorted(failed):
            self._skipped += [AddReal(services[at].service.key, real) for real in services[at].service.reals]
        members = [at for at, one in enumerate(services) if one.total and at not in failed]
        for some in by_size(members, services, PORTION):
            self._add_members(some, services, start)

    def _add_members(self, some: Sequence[int], services: Sequence[Packed], start: int) -> None:
        chosen = [services[at] for at in some]
        ends = list(accumulate(one.total for one in chosen))

        def subject(at: int) -> tuple[int, Operation]:
            number = bisect_right(ends, at)
            service = chosen[number].service
            real = service.reals[at - (ends[number - 1] if number else 0)]
            return start + some[number], AddReal(service.key, real)

        self._execute_all(packed_members(chosen), ends[-1], subject)

    def report(self) -> BulkReport:
        """What became of it all."""
        return self._report(False)

    def _report(self, stopped: bool) -> BulkReport:
        return BulkReport(self._done, tuple(self._failures), tuple(self._skipped), stopped)

    # --- gathering ------------------------------------------------------------------------------------------------------------------

    def add_all(self, _: int, services: Sequence[VirtualService | str]) -> None:
        """Take a portion of services to be added, and nothing else in this call."""
        whole = [VirtualService.parse(one) if isinstance(one, str) else one for one in services]
        request, command = records.service_request, Command.NEW_SERVICE
        self._requests = [request(command, one) for one in whole]
        self._subjects = list(enumerate(whole, self._added))
        self._parents = [(at, one) for at, one in enumerate(whole) if one.reals]
        self._added += len(whole)
        self._flush()

    def _add(self, index: int, service: VirtualService) -> None:
        if self._updates:
            self._flush()
        if service.reals:
            self._parents.append((len(self._subjects), service))
        self._requests.append(records.service_request(Command.NEW_SERVICE, service))
        self._subjects.append((index, service))
        if len(self._requests) >= self.portion:
            self._flush()

    def take(self, index: int, operation: Operation) -> None:
        """Take an operation."""
        if isinstance(operation, AddReal):
            if self._updates or self._parents:
                self._flush()
            self._queue(index, operation, self._real_request)
        elif isinstance(operation, AddService):
            self._add(index, operation.service)
        elif isinstance(operation, UpdateService | UpdateReal):
            self._take_update(index, operation)
        else:
            self._flush_if(bool(self._updates or self._parents))
            self._queue(index, operation, request_of)

    def _take_update(self, index: int, operation: UpdateService | UpdateReal) -> None:
        target: tuple[object, ...] = (operation.key,)
        if isinstance(operation, UpdateReal):
            target = (operation.key, operation.address, operation.port)
        self._flush_if(bool(self._subjects) or target in self._updates)
        self._updates[target] = (index, operation)
        self._flush_if(len(self._updates) >= self._most_updates)

    def _queue(self, index: int, operation: Packable, pack: Callable[[Packable], bytes]) -> None:
        try:
            request = pack(operation)
        except InvalidConfig as error:
            self._failures.append(Failure(index, operation, error))
            return
        self._requests.append(request)
        self._subjects.append((index, operation))
        if len(self._requests) >= self.portion:
            self._flush()

    def _real_request(self, operation: AddReal) -> bytes:
        # Real servers of one service mostly follow one another.
        if self._prefix[0] is not operation.key:
            self._prefix = operation.key, records.real_prefix(Command.NEW_DEST, operation.key)
        check_pair(operation.key, operation.real)
        return self._prefix[1] + records.real_record(operation.real)

    def _flush_if(self, needed: bool) -> None:
        if needed:
            self._flush()

    # --- executing ------------------------------------------------------------------------------------------------------------------

    def _flush(self) -> None:
        if self._updates:
            updates, self._updates = list(self._updates.values()), {}
            self._merge(updates)
        if not self._requests:
            return
        subjects, requests, parents = self._subjects, self._requests, self._parents
        self._subjects, self._requests, self._parents = [], [], []

        def subject(at: int) -> tuple[int, Operation]:
            index, one = subjects[at]
            return index, AddService(one) if isinstance(one, VirtualService) else one

        failed = self._execute(requests, subject)
        if parents:
            self._add_reals([(subjects[at][0], parent, at in failed) for at, parent in parents])

    def _add_reals(self, parents: Iterable[tuple[int, VirtualService, bool]]) -> None:
        requests: list[bytes] = []
        subjects: list[tuple[int, ServiceKey, RealServer]] = []
        record = records.real_record
        for index, parent, failed in parents:
            key, reals = parent.key, parent.reals
            if failed or (self._stop and self._failures):
                self._skipped.extend(AddReal(key, real) for real in reals)
                continue
            prefix = records.real_prefix(Command.NEW_DEST, key)
            for start in range(0, len(reals), self.portion):
                some = reals[start : start + self.portion]
                requests += [prefix + record(real) for real in some]
                subjects += zip(repeat(index), repeat(key), some, strict=False)
                if len(requests) >= self.portion:
                    self._execute_reals(requests, subjects)
                    requests, subjects = [], []
                    if self._stop and self._failures:
                        self._skipped.extend(AddReal(key, rest) for rest in reals[start + self.portion :])
                        break
        self._execute_reals(requests, subjects)

    def _execute_reals(self, requests: list[bytes], subjects: list[tuple[int, ServiceKey, RealServer]]) -> None:
        def subject(at: int) -> tuple[int, Operation]:
            index, key, real = subjects[at]
            return index, AddReal(key, real)

        self._execute(requests, subject)

    def _execute(self, requests: list[bytes], subject: Callable[[int], tuple[int, Operation]]) -> set[int]:
        """Send; note what became of each; returns which failed."""
        return self._execute_all(b"".join(requests), len(requests), subject) if requests else set()

    def _execute_all(self, packed: bytes, count: int, subject: Callable[[int], tuple[int, Operation]]) -> set[int]:
        try:
            execution = self._backend.execute(packed, count)
        except (TimedOut, ProtocolError):
            execution = Execution(lost=[range(count)])
        failed: dict[int, IpvskitError] = {}
        answered = {answer.index for answer in execution.answers}
        for answer in execution.answers:
            if answer.error:
                operation = subject(answer.index)[1]
                failed[answer.index] = refusal(operation, answer.error, answer.text, self._backend.module)
        unknown = [at for lost in execution.lost for at in lost if at not in answered]
        flags = packed[records.FLAGS_OFFSET :: records.REQUEST_SIZE]
        if any(flags):
            unknown += [at for at, bits in enumerate(flags) if bits & records.NLM_F_ACK and at not in answered]
        for at in dict.fromkeys(unknown):
            error = self._unknown(subject(at)[1])
            if error is not None:
                failed[at] = error
        for at in sorted(failed):
            index, operation = subject(at)
            self._failures.append(Failure(index, operation, failed[at]))
        self._done += count - len(failed)
        return set(failed)

    def _unknown(self, operation: Operation) -> IpvskitError | None:
        """None when reading shows that an unanswered operation was executed."""
        described = describe(operation)
        reason = "the kernel's answer was lost, and the object is not as it would be after success"
        try:
            if landed(Reader(self._backend), self._backend, operation):
                return None
        except IpvskitError as error:
            reason = f"the kernel's answer was lost, and reading the object again failed: {error}"
        return AnswerLost(errno.ENOBUFS, reason, operation=described.name, key=described.key)

    # --- updates --------------------------------------------------------------------------------------------------------------------

    def _merge(self, updates: Sequence[tuple[int, UpdateService | UpdateReal]]) -> None:
        """Read what the updates are about, and queue the replacements."""
        services = [(index, one) for index, one in updates if isinstance(one, UpdateService)]
        reals = [(index, one) for index, one in updates if isinstance(one, UpdateReal)]
        requests: list[bytes] = []
        subjects: list[tuple[int, Operation]] = []
        for index, update, request in [*self._merged_services(services), *self._merged_reals(reals)]:
            if isinstance(request, IpvskitError):
                self._failures.append(Failure(index, update, request))
            else:
                requests.append(request)
                subjects.append((index, update))
        self._execute(requests, subjects.__getitem__)

    def _merged_services(
        self, updates: Sequence[tuple[int, UpdateService]]
    ) -> Iterable[tuple[int, Operation, bytes | IpvskitError]]:
        found = Reader(self._backend).get([update.key for _, update in updates]) if updates else []
        for (index, update), current in zip(updates, found, strict=True):
            try:
                if isinstance(current, Exception):
                    raise current
                yield index, update, request_of(ReplaceService(merge_service(current[0], update.changes)))
            except IpvskitError as error:
                yield index, update, error

    def _merged_reals(
        self, updates: Sequence[tuple[int, UpdateReal]]
    ) -> Iterable[tuple[int, Operation, bytes | IpvskitError]]:
        keys = list(dict.fromkeys(update.key for _, update in updates))
        reader = Reader(self._backend)
        current = {
            (key, real.address, real.port): real
            for key, (found, _) in zip(keys, reader.reals(keys) if keys else [], strict=True)
            for real in found
        }
        for index, update in updates:
            real = current.get((update.key, update.address, update.port))
            try:
                if real is None:
                    raise self._missing(reader, update)
                yield index, update, request_of(ReplaceReal(update.key, merge_real(update.key, real, update.changes)))
            except IpvskitError as error:
                yield index, update, error

    @staticmethod
    def _missing(reader: Reader, update: UpdateReal) -> IpvskitError:
        """The kernel lists no real servers of a service that does not exist, and gives no error: ask for the service."""
        service = reader.get([update.key])[0]
        if isinstance(service, IpvskitError):
            return service
        described = describe(update)
        reason = "the service has no such real server"
        return RealServerNotFound(errno.ENOENT, reason, operation=described.name, key=described.key)
