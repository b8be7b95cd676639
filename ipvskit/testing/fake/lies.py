"""What the fake kernel can be told to do wrong, as real ones do.

Knows: the ways in which answers go astray, and when. Must not know: tables, how a request is executed.

    fake.lie(Refuse(errno.ENOMEM), command=Command.NEW_DEST, nth=3)        the third real server to be added
    fake.lie(SwallowAnswer(), command=Command.DEL_DAEMON)                  every time
    fake.lie(Before(lambda ipvs: ipvs.flush()), command=Command.GET_DEST)  what a rival does between two calls
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ipvskit.testing.fake.requests import Identity, Refused, Request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ipvskit.ipvs.backend import Execution
    from ipvskit.ipvs.client import Ipvs
    from ipvskit.ipvs.records import Command

__all__ = [
    "Before",
    "CallLie",
    "Chunks",
    "Duplicate",
    "Fail",
    "Interrupt",
    "Lie",
    "LoseAnswers",
    "Omit",
    "Refuse",
    "RequestLie",
    "SwallowAnswer",
    "Told",
]

EXECUTE, GET, DUMP = "execute", "get", "dump"
_EVERY = frozenset({EXECUTE, GET, DUMP})


@dataclass(slots=True)
class Reply:
    """What one request is answered with. `chunks` says in how many pieces the rows of a dump come."""

    error: int = 0
    answered: bool = True
    rows: list[bytes] = field(default_factory=list)
    chunks: int = 0
    interrupted: bool = False


class Lie:
    """Something that goes wrong. `of` says with which kinds of calls."""

    of: frozenset[str] = _EVERY


class RequestLie(Lie):
    """Goes wrong with a single request. Override what is different."""

    def instead(self) -> int:
        """An errno with which the request is refused; 0: it is executed."""
        return 0

    def spoil(self, reply: Reply) -> None:
        """Change what it is answered with."""


class CallLie(Lie):
    """Goes wrong with all that a call sends. Override what is different."""

    def before(self, rival: Ipvs) -> None:
        """Do something before anything is executed; `rival` is another program's client, to which nobody lies."""

    def after(self, execution: Execution | None, count: int) -> None:
        """Do something when everything was executed; questions have no Execution."""


@dataclass(frozen=True)
class Refuse(RequestLie):
    """The request is not executed but refused with this errno."""

    error: int

    def instead(self) -> int:
        """See `RequestLie`."""
        return self.error


@dataclass(frozen=True)
class SwallowAnswer(RequestLie):
    """The request is executed, and there is no answer: what happens to a sync daemon that is stopped before it ever ran."""

    of = frozenset({EXECUTE})

    def spoil(self, reply: Reply) -> None:
        """See `RequestLie`."""
        reply.answered = False


@dataclass(frozen=True)
class Duplicate(RequestLie):
    """The first rows of a dump are there once more: something was added while it was read."""

    of = frozenset({DUMP})
    rows: int = 1

    def spoil(self, reply: Reply) -> None:
        """See `RequestLie`."""
        reply.rows += reply.rows[: self.rows]
        reply.chunks = max(reply.chunks, 2)


@dataclass(frozen=True)
class Omit(RequestLie):
    """The last rows of a dump are missing: something was deleted while it was read. Told every time, nobody could notice."""

    of = frozenset({DUMP})
    rows: int = 1

    def spoil(self, reply: Reply) -> None:
        """See `RequestLie`."""
        del reply.rows[-self.rows :]
        reply.chunks = max(reply.chunks, 2)


@dataclass(frozen=True)
class Interrupt(RequestLie):
    """The dump says that it was interrupted, which IPVS itself never does."""

    of = frozenset({DUMP})

    def spoil(self, reply: Reply) -> None:
        """See `RequestLie`."""
        reply.interrupted = True


@dataclass(frozen=True)
class Chunks(RequestLie):
    """The rows of a dump come in this many pieces."""

    of = frozenset({DUMP})
    count: int = 2

    def spoil(self, reply: Reply) -> None:
        """See `RequestLie`."""
        reply.chunks = self.count


@dataclass(frozen=True)
class LoseAnswers(CallLie):
    """All is executed, but the answers to requests `start` to `stop` are lost (the receive buffer was too small)."""

    of = frozenset({EXECUTE})
    start: int = 0
    stop: int | None = None

    def after(self, execution: Execution | None, count: int) -> None:
        """See `CallLie`."""
        if execution is not None:
            lost = range(self.start, count if self.stop is None else min(self.stop, count))
            execution.answers = [answer for answer in execution.answers if answer.index not in lost]
            execution.lost.append(lost)


@dataclass(frozen=True)
class Before(CallLie):
    """A rival is faster: `act` gets its client, and may use `kernel.ipvs` in any way."""

    act: Callable[[Ipvs], object]

    def before(self, rival: Ipvs) -> None:
        """See `CallLie`."""
        self.act(rival)


@dataclass(frozen=True)
class Fail(CallLie):
    """The call raises what `error()` makes, such as TimedOut or ProtocolError.

    `executed` says whether it does so after everything was executed, or before anything is.
    """

    error: Callable[[], Exception]
    executed: bool = False

    def before(self, rival: Ipvs) -> None:
        """See `CallLie`."""
        if not self.executed:
            raise self.error()

    def after(self, execution: Execution | None, count: int) -> None:
        """See `CallLie`."""
        if self.executed:
            raise self.error()


@dataclass(slots=True, eq=False)
class Told:
    """A lie and when it is told: with requests of this command, about this service, the n-th time or every time.

    A CallLie counts calls that have such a request. `seen` counts what fitted so far, `told` how often it was told.
    """

    lie: Lie
    command: Command | None = None
    about: Identity | None = None
    nth: int | None = None
    seen: int = 0
    told: int = 0

    def tells(self, kind: str, requests: Sequence[Request]) -> bool:
        """Whether it is to be told now."""
        if kind not in self.lie.of or not any(self._fits(request) for request in requests):
            return False
        self.seen += 1
        now = self.nth in {None, self.seen}
        self.told += now
        return now

    def _fits(self, request: Request) -> bool:
        if self.command not in {None, request.command}:
            return False
        return self.about is None or self.about == _subject(request)


def _subject(request: Request) -> Identity | None:
    try:
        return request.identity()
    except Refused:
        return None


class Lies:
    """All that is told."""

    def __init__(self) -> None:
        self.told: list[Told] = []

    def about_call(self, kind: str, requests: Sequence[Request]) -> list[CallLie]:
        """What goes wrong with a call."""
        return [lie for lie in self._now(kind, requests, CallLie) if isinstance(lie, CallLie)]

    def about_request(self, kind: str, request: Request) -> list[RequestLie]:
        """What goes wrong with a request."""
        return [lie for lie in self._now(kind, [request], RequestLie) if isinstance(lie, RequestLie)]

    def _now(self, kind: str, requests: Sequence[Request], lies: type[Lie]) -> Iterator[Lie]:
        for told in list(self.told):
            if isinstance(told.lie, lies) and told.tells(kind, requests):
                yield told.lie
