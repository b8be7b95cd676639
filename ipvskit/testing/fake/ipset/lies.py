"""What a fake ipset kernel can be told to do wrong, as real ones do.

Knows: the ways in which commands and answers go astray, and when. Must not know: tables, how a command is executed.

    fake.lie(Refuse(errno.ENOMEM), command=Command.ADD, nth=3)        the third ADD message
    fake.lie(Dumped(times=2), command=Command.SWAP)                   another program is listing, twice
    fake.lie(Before(rival.act), command=Command.SWAP, nth=1)          what a rival does just before
    fake.lie(Fail(lambda: TimedOut(...)), nth=2)                      the second exchange fails before anything is executed
"""

from __future__ import annotations

import errno
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ipvskit.testing.fake.ipset.names import Command, Error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ipvskit.testing.fake.ipset.messages import Recorded


class Lie:
    """Something that goes wrong."""


class CommandLie(Lie):
    """Goes wrong with a single message. Override what is different."""

    def instead(self, command: Command | None, told: int) -> int:
        """An errno with which it is refused; 0: it is executed. `told` counts from 1."""
        return 0

    def before(self) -> None:
        """Do something before it is executed."""


class ExchangeLie(Lie):
    """Goes wrong with all that is sent at once. Override what is different."""

    def before(self) -> None:
        """Do something before anything is executed."""

    def after(self) -> None:
        """Do something when everything was executed."""

    def loses(self) -> bool:
        """Whether the answers are lost."""
        return False


class DumpLie(Lie):
    """Goes wrong with the elements of each set in a listing."""

    def spoil(self, elements: list[bytes]) -> list[bytes]:
        """What is listed instead."""
        return elements


@dataclass(frozen=True)
class Refuse(CommandLie):
    """The command is not executed but refused with this errno."""

    error: int

    def instead(self, command: Command | None, told: int) -> int:
        """See `CommandLie`."""
        return self.error


@dataclass(frozen=True)
class Dumped(CommandLie):
    """Another program lists the set, the first `times` times: swap, rename and destroy are refused as they are then."""

    times: int = 1

    def instead(self, command: Command | None, told: int) -> int:
        """See `CommandLie`."""
        busy = {Command.SWAP: errno.EBUSY, Command.RENAME: Error.REFERENCED, Command.DESTROY: Error.BUSY}
        return busy.get(command, 0) if command is not None and told <= self.times else 0


@dataclass(frozen=True)
class Before(CommandLie):
    """`act` is called just before: a rival writes, or an exception stands for the end of the program."""

    act: Callable[[], object]

    def before(self) -> None:
        """See `CommandLie`."""
        self.act()


@dataclass(frozen=True)
class LoseAnswers(ExchangeLie):
    """All is executed, but the answers are lost (the receive buffer was too small)."""

    def loses(self) -> bool:
        """See `ExchangeLie`."""
        return True


@dataclass(frozen=True)
class Fail(ExchangeLie):
    """The exchange (or listing) raises what `error()` makes, such as TimedOut or ProtocolError, after everything was executed or before."""

    error: Callable[[], BaseException]
    executed: bool = False

    def before(self) -> None:
        """See `ExchangeLie`."""
        if not self.executed:
            raise self.error()

    def after(self) -> None:
        """See `ExchangeLie`."""
        if self.executed:
            raise self.error()


@dataclass(frozen=True)
class Duplicate(DumpLie):
    """The first elements of each listed set are there once more."""

    elements: int = 1

    def spoil(self, elements: list[bytes]) -> list[bytes]:
        """See `DumpLie`."""
        return elements + elements[: self.elements]


@dataclass(frozen=True)
class Omit(DumpLie):
    """The last elements of each listed set are missing: they were deleted while it was read."""

    elements: int = 1

    def spoil(self, elements: list[bytes]) -> list[bytes]:
        """See `DumpLie`."""
        return elements[: -self.elements]


@dataclass(slots=True, eq=False)
class Told:
    """A lie and when it is told: with this command, about the set of this name, the n-th time or every time.

    CommandLies count messages, the others count exchanges or listings that have such a message.
    """

    lie: Lie
    command: Command | None = None
    name: str | None = None
    nth: int | None = None
    seen: int = 0
    told: int = 0

    def tells(self, requests: Sequence[Recorded]) -> bool:
        """Whether it is to be told now."""
        if not any(self._fits(request) for request in requests):
            return False
        self.seen += 1
        now = self.nth in {None, self.seen}
        self.told += now
        return now

    def _fits(self, request: Recorded) -> bool:
        if self.command not in {None, request.command}:
            return False
        return self.name is None or self.name in {request.name, request.name2}


class Lies:
    """All that is told."""

    def __init__(self) -> None:
        self.told: list[Told] = []

    def about_command(self, request: Recorded) -> Iterator[tuple[CommandLie, int]]:
        """What goes wrong with a message, and how often it did already."""
        for told in list(self.told):
            if isinstance(told.lie, CommandLie) and told.tells([request]):
                yield told.lie, told.told

    def about_exchange(self, requests: Sequence[Recorded]) -> list[ExchangeLie]:
        """What goes wrong with everything that is sent at once."""
        now = [told for told in list(self.told) if isinstance(told.lie, ExchangeLie) and told.tells(requests)]
        return [told.lie for told in now if isinstance(told.lie, ExchangeLie)]

    def about_dump(self, request: Recorded) -> list[DumpLie]:
        """What goes wrong with a listing."""
        now = [told for told in list(self.told) if isinstance(told.lie, DumpLie) and told.tells([request])]
        return [told.lie for told in now if isinstance(told.lie, DumpLie)]
