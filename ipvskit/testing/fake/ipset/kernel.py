"""The fake ipset kernel as tests hold it, and its transport.

Knows: what tests want to arrange, when lies are told. Must not know: how commands are executed.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ipvskit.errors import ClosedError
from ipvskit.testing.fake.ipset.commands import DATAGRAM, FIRST_DATAGRAM, Executor
from ipvskit.testing.fake.ipset.lies import Lie, Lies, Told
from ipvskit.testing.fake.ipset.messages import Message, Recorded, read_messages, record, refusal
from ipvskit.testing.fake.ipset.tables import Tables
from ipvskit.testing.fake.ipset.types import TYPES
from ipvskit.testing.fake.releases import Release

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ipvskit.testing.fake.ipset.names import Command
    from ipvskit.testing.fake.ipset.sets import HeldSet


@dataclass(slots=True)
class Reply:
    """What an exchange was answered with: whole messages one after the other, and whether any were lost."""

    data: bytes
    lost: bool = False


class FakeIpset:
    """The sets of one network namespace, in memory. It needs no privileges, and answers as a real kernel does.

    `release` is the kernel release that it behaves like, `types` are the set types that it has, `clock` tells seconds for timeouts (give an own
    one to let time pass in a test). `requests` has every request that came over a transport, for tests that count.
    """

    def __init__(
        self, release: str = "6.18", *, types: Iterable[str] = tuple(TYPES), clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.tables = Tables(Release.parse(release), clock, frozenset(types))
        self.lies = Lies()
        self.requests: list[Recorded] = []

    def transport(self, *, lies: bool = True) -> FakeTransport:
        """What carries messages. One without lies is a rival program's, whose requests are not recorded."""
        return FakeTransport(self, lies=lies)

    # --- lies -----------------------------------------------------------------------------------------------------------------------

    def lie(self, lie: Lie, *, command: Command | None = None, name: str | None = None, nth: int | None = None) -> Told:
        """Let something go wrong from now on (see `ipvskit.testing.fake.ipset.lies`).

        It does with messages of `command` and about the set `name` where these are given, and of those with the `nth` only (from 1), or with
        every one. The answer counts how often it did.
        """
        told = Told(lie, command, name, nth)
        self.lies.told.append(told)
        return told

    def tell_the_truth(self) -> None:
        """Forget all lies."""
        self.lies.told.clear()

    # --- what others do -------------------------------------------------------------------------------------------------------------

    @contextmanager
    def listing(self, name: str) -> Iterator[None]:
        """While somebody lists a set, which keeps it from being swapped, renamed and destroyed. Raises KeyError."""
        held = self._held(name)
        held.dumps += 1
        try:
            yield
        finally:
            held.dumps -= 1

    def refer(self, name: str, count: int = 1) -> None:
        """Let `count` more rules of a packet filter refer to a set (fewer when negative). Raises KeyError."""
        self._held(name).references += count

    def names(self) -> list[str]:
        """The names of all sets, in the order of a listing."""
        with self.tables.lock:
            return [held.name.decode("utf-8", "replace") for _, held in self.tables.in_order()]

    def _held(self, name: str) -> HeldSet:
        with self.tables.lock:
            found = self.tables.refer(name.encode())
        if found is None:
            raise KeyError(name)
        return found[1]

    def __repr__(self) -> str:
        return f"FakeIpset({len(self.tables.sets)} sets)"


class FakeTransport:
    """Carries netlink messages to a `FakeIpset`, and its answers back."""

    def __init__(self, fake: FakeIpset, *, lies: bool = True) -> None:
        self._fake = fake
        self._lies = fake.lies if lies else Lies()
        self._honest = not lies
        self._executor = Executor(fake.tables)
        self._room = FIRST_DATAGRAM
        self._closed = False

    def exchange(self, messages: bytearray | bytes | memoryview, count: int) -> Reply:
        """Execute `count` messages. Raises ClosedError, ValueError for fewer messages, and what lies want."""
        self._open()
        found = list(read_messages(bytes(messages)))[:count]
        if len(found) != count:
            raise ValueError(f"{count} messages were announced, {len(found)} are whole")
        requests = [record(message) for message in found]
        with self._fake.tables.lock:
            wrong = self._lies.about_exchange(requests)
            for lie in wrong:
                lie.before()
            data = b"".join(map(self._execute, found, requests))
            for lie in wrong:
                lie.after()
        lost = any(lie.loses() for lie in wrong)
        return Reply(b"" if lost else data, lost)

    def _execute(self, message: Message, request: Recorded) -> bytes:
        self._note(request)
        for lie, told in self._lies.about_command(request):
            lie.before()
            error = lie.instead(request.command, told)
            if error:
                return refusal(message, error)
        return self._executor.execute(message)

    def dump(self, message: bytes) -> list[bytes]:
        """The datagrams that answer a LIST or SAVE, up to and with the one that ends it. Raises ClosedError, ValueError, and what lies want."""
        self._open()
        found = list(read_messages(bytes(message)))
        if len(found) != 1:
            raise ValueError(f"one message asks for a listing, not {len(found)}")
        request = record(found[0])
        with self._fake.tables.lock:
            wrong = self._lies.about_exchange([request])
            for lie in wrong:
                lie.before()
            self._note(request)
            for command_lie, told in self._lies.about_command(request):
                command_lie.before()
                error = command_lie.instead(request.command, told)
                if error:
                    return [refusal(found[0], error)]
            spoilers = self._lies.about_dump(request)
            datagrams = self._executor.dump(found[0], self._room, [lie.spoil for lie in spoilers])
            self._room = DATAGRAM
            for lie in wrong:
                lie.after()
        return datagrams

    def close(self) -> None:
        """Close it. Using it afterwards raises ClosedError."""
        self._closed = True

    def _open(self) -> None:
        if self._closed:
            raise ClosedError("this transport is closed")

    def _note(self, request: Recorded) -> None:
        if not self._honest:
            self._fake.requests.append(request)
