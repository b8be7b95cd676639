"""Single commands and dumps, with their refusals as exceptions.

Knows: which command asks what. Must not know: entries, retries, what a caller wants.
"""

from __future__ import annotations

import errno
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ipvskit._native.ipset import Listing, encode_commands
from ipvskit.errors import AnswerLost, NotSupported, ProtocolError, SetNotFound
from ipvskit.ipset import commands
from ipvskit.ipset.answers import failures, parse_sets, trusted
from ipvskit.ipset.commands import Command, Header, decode_headers
from ipvskit.ipset.refusals import refusal
from ipvskit.model.settype import SET_TYPES, SetType
from ipvskit.sets.shape import listing_types

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ipvskit._native.elements import Table
    from ipvskit.ipset.transport import Transport
    from ipvskit.model.address import Family

__all__ = ["Asking", "known_type"]


class Asking:
    """Commands, one after the other or several in one send."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self._buffers: list[bytearray] = []
        self._revisions: dict[tuple[str, Family | None], tuple[int, int]] = {}

    @contextmanager
    def buffer(self) -> Iterator[bytearray]:
        """A send buffer that nobody else uses meanwhile: threads may share a client."""
        try:
            # list.pop and list.append are atomic.
            found = self._buffers.pop()
        except IndexError:
            found = bytearray(self.transport.limits.send)
        try:
            yield found
        finally:
            self._buffers.append(found)

    def execute(self, packed: Sequence[bytes]) -> tuple[dict[int, int], list[Header]]:
        """Refusals (error numbers) by the command's place, and what was answered. The commands go out in as few sends as they fit into."""
        refused: dict[int, int] = {}
        answers: list[Header] = []
        start = 0
        while start < len(packed):
            portion = packed[start : start + self.transport.limits.singles]
            with self.buffer() as buffer:
                done, used = encode_commands(b"".join(portion), buffer)
                reply = self.transport.exchange(memoryview(buffer)[:used], done)
            if reply.lost:
                raise AnswerLost(errno.ENOBUFS, "the receive buffer is too small for the answers", operation="ipset")
            refused |= {start + one.index: one.error for one in failures(reply.data)}
            for header in decode_headers(parse_sets(reply.data)):
                header.index += start
                answers.append(header)
            start += done
        return refused, answers

    def attempt(self, packed: bytes) -> int:
        """Execute a single command: its refusal, 0 for none."""
        return self.execute([packed])[0].get(0, 0)

    def do(self, what: Command, packed: bytes, key: object) -> None:
        """Execute a single command. Raises what its refusal means."""
        error = self.attempt(packed)
        if error:
            raise refusal(what, error, key)

    def ask(self, what: Command, packed: bytes, key: object) -> Header:
        """Ask a single question. Raises what its refusal means, ProtocolError where there is no answer."""
        refused, answers = self.execute([packed])
        if refused:
            raise refusal(what, refused[0], key)
        if not answers:
            raise ProtocolError(f"the kernel did not answer a question: {what.name.lower()} {key}")
        return answers[0]

    def header(self, name: str) -> Header:
        """Type, family and revision of a set. Raises SetNotFound."""
        return self.ask(Command.HEADER, commands.command(Command.HEADER, name), name)

    def type_of(self, name: str) -> tuple[SetType, Family | None]:
        """Type and family of a set. Raises SetNotFound, NotSupported for a type that we do not know."""
        header = self.header(name)
        return known_type(header), header.inet

    def revisions(self, kind: SetType, family: Family | None) -> tuple[int, int]:
        """The least and the newest revision of a type that the kernel takes. Raises SetTypeNotAvailable."""
        found = self._revisions.get((kind.name, family))
        if found is None:
            key = f"{kind.name} {family or ''}".strip()
            answer = self.ask(Command.TYPE, commands.query_type(kind.name, family), key)
            found = self._revisions[kind.name, family] = (answer.least, answer.revision)
        return found

    def listing(self, name: str | None = None, what: int = 0) -> list[tuple[Header, Table | None]]:
        """One set or all of them; `what` is 0 for everything, or LIST_HEADERS, or LIST_NAMES. Raises SetNotFound."""
        packed = commands.command(Command.LIST, name, flags=commands.NLM_F_DUMP, listing=what)
        message = bytearray(4096)
        _, used = encode_commands(packed, message)
        listing = Listing(listing_types())
        with trusted():
            self.transport.dump(message[:used], listing)
        if listing.error:
            raise refusal(Command.LIST, listing.error, name or "all")
        found = [(decode_headers(raw)[0], table) for raw, table in listing.sets()]
        if name is not None and not found:
            raise SetNotFound(errno.ENOENT, "there is no such set", operation="list set", key=name)
        return found

    def references(self, name: str) -> int | None:
        """How many rules and lists refer to a set; None when it is gone."""
        try:
            return self.listing(name, commands.LIST_HEADERS)[0][0].references
        except SetNotFound:
            return None


def known_type(header: Header) -> SetType:
    """The type of a set. Raises NotSupported."""
    kind = SET_TYPES.get(header.type_name)
    if kind is None:
        reason = f"sets of type {header.type_name} are not known to this version of ipvskit"
        raise NotSupported(errno.EOPNOTSUPP, reason, operation="read", key=header.set_name)
    return kind
