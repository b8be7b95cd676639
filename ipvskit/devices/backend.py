"""What executes packed requests about devices: the kernel, or a fake one.

Knows: packed records go in, packed rows and refusals come out. Must not know: what they mean.
"""

from __future__ import annotations

import errno
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from ipvskit import _native
from ipvskit._native import rtnl
from ipvskit.devices.records import ADDRESS, LINK, Command
from ipvskit.errors import ProtocolError
from ipvskit.netlink import NETLINK_ROUTE, Connection

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ipvskit._native import Answer
    from ipvskit.netns import NetNS

__all__ = ["DevicesBackend", "Execution", "KernelDevicesBackend", "Rows"]

#: Bytes in one send. An address is worked off in time that grows with their number, and nothing interrupts a send: not too many at once.
_SEND = 128 * 1024


@dataclass(slots=True)
class Execution:
    """What became of the first `done` records: the refusals by place; what is not among them succeeded, unless answers were `lost`."""

    done: int = 0
    refused: dict[int, Answer] = field(default_factory=dict)
    lost: bool = False


@dataclass(slots=True)
class Rows:
    """Packed rows. `interrupted` says that something changed while they were read, so some may be missing and others be there twice."""

    data: bytes = b""
    interrupted: bool = False
    refused: Answer | None = None


class DevicesBackend(Protocol):
    """Executes packed requests (`ipvskit.devices.records`). Every method may raise KernelError, ProtocolError, TimedOut."""

    def execute(self, command: Command, records: bytes) -> Execution:
        """Work off, in one send, as many of the records as fit, at least one; one that is refused does not stop the others."""

    def link(self, record: bytes) -> Rows:
        """One device, by number or name."""

    def links(self) -> Rows:
        """All devices."""

    def addresses(self, index: int = 0) -> Rows:
        """All addresses of one device, of all devices if the number is 0."""

    def close(self) -> None:
        """Let go of everything."""


class KernelDevicesBackend:
    """The kernel, through a netlink connection in the namespace."""

    def __init__(self, netns: NetNS, *, timeout: float = 5.0, receive_buffer: int | None = None) -> None:
        sizes = {} if receive_buffer is None else {"receive_buffer": receive_buffer}
        self._connection = Connection(NETLINK_ROUTE, netns, timeout=timeout, send_buffer=_SEND, **sizes)
        try:
            room = self._connection.room()
        except BaseException:
            self._connection.close()
            raise
        self._send = min(_SEND, room.send)
        #: Records in one send, so that the refusals of all of them fit.
        self.most = max(1, room.messages - 1)

    def execute(self, command: Command, records: bytes) -> Execution:
        """See `DevicesBackend`."""
        encode, size = _RECORDS[command]
        buffer = bytearray(self._send)
        done, used = encode(command, records[: self.most * size], buffer)
        data, flags = self._connection.exchange_bytes(memoryview(buffer)[:used], done)
        lost = bool(flags & (_native.REPLY_LOST | _native.REPLY_STOPPED))
        return Execution(done, _refusals(data), lost)

    def link(self, record: bytes) -> Rows:
        """See `DevicesBackend`."""
        buffer = bytearray(1024)
        _, used = rtnl.encode_links(Command.GET_LINK, record, buffer)
        data, _ = self._connection.exchange_bytes(memoryview(buffer)[:used], 1)
        with _trusted():
            return Rows(rtnl.parse_links(data), refused=_refusals(data).get(0))

    def links(self) -> Rows:
        """See `DevicesBackend`."""
        data, interrupted, refused = self._dump(links=True)
        with _trusted():
            return Rows(rtnl.parse_links(data), interrupted, refused)

    def addresses(self, index: int = 0) -> Rows:
        """See `DevicesBackend`."""
        data, interrupted, refused = self._dump(links=False)
        with _trusted():
            return Rows(rtnl.parse_addresses(data, index), interrupted, refused)

    def _dump(self, *, links: bool) -> tuple[bytes, bool, Answer | None]:
        data, interrupted = b"", False
        refused: Answer | None = None

        def encode(sock: _native.Socket, start: int, most: int, sequence: int) -> tuple[int, int]:
            del start, most  # it is the only one
            return 1, sock.load(rtnl.encode_dump(links=links, sequence=sequence))

        def take(sock: _native.Socket, _start: int, _done: int, first: int, _datagrams: list[int]) -> None:
            nonlocal data, interrupted, refused
            data = sock.reply_bytes()
            # Lost pieces and changes have the same remedy.
            interrupted = bool(sock.reply_flags & (_native.REPLY_INTERRUPTED | _native.REPLY_LOST))
            refused = next((answer for answer in sock.answers(first) if answer.error), None)

        self._connection.dump(encode, 1, take)
        return data, interrupted, refused

    def close(self) -> None:
        """See `DevicesBackend`."""
        self._connection.close()


_RECORDS = {
    Command.NEW_ADDRESS: (rtnl.encode_addresses, ADDRESS.size),
    Command.DELETE_ADDRESS: (rtnl.encode_addresses, ADDRESS.size),
    Command.NEW_LINK: (rtnl.encode_links, LINK.size),
    Command.CHANGE_LINK: (rtnl.encode_links, LINK.size),
    Command.DELETE_LINK: (rtnl.encode_links, LINK.size),
}


def _refusals(data: bytes) -> dict[int, Answer]:
    if not data:
        return {}
    with _trusted():
        return {answer.index: answer for answer in _native.parse_answers(data) if answer.error}


@contextmanager
def _trusted() -> Iterator[None]:
    """Reading answers within. Raises ProtocolError for bytes that are none."""
    try:
        yield
    except OSError as error:
        if error.errno != errno.EBADMSG:
            raise
        raise ProtocolError("the kernel's answer is not what rtnetlink's protocol allows") from None
