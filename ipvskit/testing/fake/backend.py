"""Executes packed requests in memory.

Knows: the order of things, and when a lie is told. Must not know: what a command does (`commands`), what a lie is (`lies`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import IO, TYPE_CHECKING

from ipvskit._native import Answer
from ipvskit.errors import ClosedError
from ipvskit.ipvs import records
from ipvskit.ipvs.backend import Execution, RowKind, Rows
from ipvskit.ipvs.client import Ipvs
from ipvskit.testing.fake.commands import run
from ipvskit.testing.fake.files import open_file
from ipvskit.testing.fake.lies import DUMP, EXECUTE, GET, Lies, Reply
from ipvskit.testing.fake.requests import Refused, Request, split

if TYPE_CHECKING:
    from ipvskit.testing.fake.settings import Settings
    from ipvskit.testing.fake.tables import Tables

__all__ = ["FakeBackend"]

#: Rows that the kernel puts into one piece of a dump.
CHUNK = 80


class FakeBackend:
    """The `Backend` of a fake kernel. `lies` may be shared by several; without it the truth is told."""

    def __init__(self, tables: Tables, settings: Settings, lies: Lies | None = None) -> None:
        self._tables = tables
        self._settings = settings
        self._lies = lies or Lies()
        self._closed = False

    def execute(self, requests: bytes, count: int) -> Execution:
        """See `Backend`."""
        result = Execution()

        def take(request: Request, reply: Reply) -> None:
            if reply.answered and (reply.error or request.acknowledged):
                result.answers.append(Answer(request.index, reply.error, 0, ""))

        self._call(EXECUTE, requests, count, take, result)
        return result

    def get(self, kind: int, requests: bytes, count: int) -> Rows:
        """See `Backend`."""
        return self._ask(GET, kind, requests, count)

    def dump(self, kind: int, requests: bytes, count: int) -> Rows:
        """See `Backend`."""
        return self._ask(DUMP, kind, requests, count)

    def _ask(self, call: str, kind: int, requests: bytes, count: int) -> Rows:
        result = Rows()
        form = _FORMS.get(kind, bytes)

        def take(request: Request, reply: Reply) -> None:
            result.data += b"".join(form(row) for row in reply.rows)
            result.interrupted = result.interrupted or reply.interrupted
            if call == DUMP:
                result.chunks.append(reply.chunks)
            if reply.error:
                result.refused.append(Answer(request.index, reply.error, 0, ""))

        self._call(call, requests, count, take)
        return result

    def _call(
        self,
        kind: str,
        requests: bytes,
        count: int,
        take: Callable[[Request, Reply], None],
        execution: Execution | None = None,
    ) -> None:
        if self._closed:
            raise ClosedError("this connection is closed")
        parsed = split(requests, count)
        with self._tables.lock:
            lies = self._lies.about_call(kind, parsed)
            for lie in lies:
                lie.before(self.rival())
            for request in parsed:
                take(request, self._reply(kind, request))
            for lie in lies:
                lie.after(execution, count)

    def _reply(self, kind: str, request: Request) -> Reply:
        reply = Reply()
        lies = self._lies.about_request(kind, request)
        reply.error = next((error for error in (lie.instead() for lie in lies) if error), 0)
        if not reply.error:
            try:
                reply.rows = run(self._tables, request)
            except Refused as refused:
                reply.error = refused.error
        reply.chunks = -(-len(reply.rows) // CHUNK)
        for lie in lies:
            lie.spoil(reply)
        return reply

    def rival(self) -> Ipvs:
        """Another program's client on the same tables; nobody lies to it."""
        return Ipvs(FakeBackend(self._tables, self._settings))

    def open(self, path: str, mode: str = "r") -> IO[str]:
        """See `Backend`."""
        with self._tables.lock:
            return open_file(self._tables, self._settings, path, mode)

    def read_all(self, folder: str, names: Iterable[str]) -> dict[str, str | OSError]:
        """See `Backend`."""
        found: dict[str, str | OSError] = {}
        for name in names:
            try:
                with self.open(f"{folder}/{name}") as file:
                    found[name] = file.read()
            except OSError as error:
                found[name] = error
        return found

    def module(self, name: str) -> str:
        """See `Backend`."""
        known = {f"ip_vs_{scheduler}" for scheduler in self._tables.schedulers}
        known |= {f"ip_vs_pe_{engine}" for engine in self._tables.engines}
        return "loaded" if name in known else "missing"

    def close(self) -> None:
        """See `Backend`. The tables stay."""
        self._closed = True


def _without_stats(row: bytes) -> bytes:
    index, present, *fields = records.REAL.unpack_from(row)
    return records.REAL.pack(index, present & ~records.SERVICE_STATS, *fields)


#: Rows that are asked for in another form than that of the tables.
_FORMS: dict[int, Callable[[bytes], bytes]] = {RowKind.REAL_CONFIGS: _without_stats}
