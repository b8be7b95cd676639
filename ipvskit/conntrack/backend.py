"""What executes packed requests about tracked flows: the kernel, or a fake one.

Knows: packed records go in, packed rows and refusals come out. Must not know: what they mean.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from ipvskit import _native
from ipvskit._native import Answer, conntrack
from ipvskit.conntrack.records import FLOW
from ipvskit.conntrack.refusals import DELETE, permission_denied
from ipvskit.errors import ProtocolError
from ipvskit.netlink import NETLINK_NETFILTER, Connection

if TYPE_CHECKING:
    from ipvskit.netns import NetNS

__all__ = ["ConntrackBackend", "Execution", "KernelConntrackBackend", "Rows"]

#: Bytes in one send: some three thousand flows, which a kernel deletes in a few milliseconds.
_SEND = 256 * 1024


@dataclass(slots=True)
class Execution:
    """What became of the first `done` records: the refusals by place; what is not among them succeeded, unless answers were `lost`."""

    done: int = 0
    refused: dict[int, Answer] = field(default_factory=dict)
    lost: bool = False


@dataclass(slots=True)
class Rows:
    """Packed rows. `interrupted` says that some may be missing, and others be there twice."""

    data: bytes = b""
    interrupted: bool = False
    refused: Answer | None = None


class ConntrackBackend(Protocol):
    """Executes packed requests (`ipvskit.conntrack.records`). Every method may raise KernelError, ProtocolError, TimedOut."""

    def flows(self, family: int, protocol: int) -> Rows:
        """The flows of a family and a protocol, and no others."""

    def delete(self, records: memoryview) -> Execution:
        """Delete, in one send, as many of the flows as fit, at least one; one that is refused does not stop the others. Raises PermissionDenied."""

    def close(self) -> None:
        """Let go of everything."""


class KernelConntrackBackend:
    """The kernel, through a netlink connection in the namespace."""

    def __init__(self, netns: NetNS, *, timeout: float = 5.0, receive_buffer: int | None = None) -> None:
        sizes = {} if receive_buffer is None else {"receive_buffer": receive_buffer}
        self._connection = Connection(NETLINK_NETFILTER, netns, timeout=timeout, send_buffer=_SEND, **sizes)
        try:
            room = self._connection.room()
        except BaseException:
            self._connection.close()
            raise
        self._send = min(_SEND, room.send)
        #: Flows in one send, so that the refusals of all of them fit.
        self.most = max(1, room.messages - 1)

    def flows(self, family: int, protocol: int) -> Rows:
        """See `ConntrackBackend`."""
        listing = conntrack.Listing(family, protocol)
        flags = self._connection.dump_into(listing, conntrack.encode_dump(family, protocol))
        refused = Answer(0, listing.error, 0, listing.text) if listing.error else None
        # Lost pieces and changes have the same remedy.
        interrupted = bool(flags & (_native.REPLY_INTERRUPTED | _native.REPLY_LOST))
        return Rows(listing.rows(), interrupted, refused)

    def delete(self, records: memoryview) -> Execution:
        """See `ConntrackBackend`."""
        buffer = bytearray(self._send)
        done, used = conntrack.encode_deletes(records[: self.most * FLOW.size], buffer)
        data, flags = self._connection.exchange_bytes(memoryview(buffer)[:used], done)
        if flags & _native.REPLY_STOPPED:
            raise permission_denied(DELETE)
        return Execution(done, _refusals(data), bool(flags & _native.REPLY_LOST))

    def close(self) -> None:
        """See `ConntrackBackend`."""
        self._connection.close()


def _refusals(data: bytes) -> dict[int, Answer]:
    if not data:
        return {}
    try:
        return {answer.index: answer for answer in _native.parse_answers(data) if answer.error}
    except OSError as error:
        if error.errno != errno.EBADMSG:
            raise
        raise ProtocolError("the kernel's answer is not what ctnetlink's protocol allows") from None
