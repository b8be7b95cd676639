"""What executes ipset's messages: the kernel, or a fake one.

Knows: whole messages, how many of them go out at once. Must not know: what they mean.
"""

from __future__ import annotations

import errno

from ipvskit import _native
from ipvskit._native.ipset import MESSAGE_MAX
from ipvskit.errors import PermissionDenied
from ipvskit.netlink import NETLINK_NETFILTER, SEND_BUFFER, Connection

# Programs that live for a moment import this: no `typing`. Type checkers know the name.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from ipvskit._native.ipset import Listing
    from ipvskit.netns import NetNS

    class Transport(Protocol):
        """Executes messages that are numbered from 0."""

        limits: Limits

        def exchange(self, messages: memoryview, count: int) -> Reply:
            """Work off the messages in order; one that is refused does not stop the others. Raises KernelError, ProtocolError, TimedOut."""

        def dump(self, message: bytearray, listing: Listing) -> None:
            """Ask for a dump and let `listing` have it. Raises KernelError, ProtocolError, TimedOut."""

        def close(self) -> None:
            """Let go of everything."""


__all__ = ["KernelTransport", "Limits", "Reply"]


class Limits:
    """How much goes out at once: bytes in one send, bytes in one message, and messages in one send of which each may be refused."""

    __slots__ = ("message", "send", "singles")

    def __init__(self, send: int = SEND_BUFFER, message: int = MESSAGE_MAX, singles: int = 4096) -> None:
        self.send = send
        self.message = message
        self.singles = singles


class Reply:
    """The answers, numbered as the messages are; `lost` says that there were more than the receive buffer could hold."""

    __slots__ = ("data", "lost")

    def __init__(self, data: bytes = b"", lost: bool = False) -> None:
        self.data = data
        self.lost = lost


class KernelTransport:
    """The kernel, through a netlink connection in the namespace."""

    def __init__(self, netns: NetNS, *, timeout: float = 5.0, send_buffer: int = SEND_BUFFER) -> None:
        self._connection = Connection(NETLINK_NETFILTER, netns, timeout=timeout, send_buffer=send_buffer)
        self.limits = self._limits(send_buffer)

    def _limits(self, send_buffer: int) -> Limits:
        sock = self._connection.room()
        # A refusal brings back a copy of the message, in a buffer of up to twice its size: those of a whole send must fit.
        send = min(send_buffer, sock.send, sock.receive // 3)
        return Limits(send, min(MESSAGE_MAX, send), max(1, sock.messages - 1))

    def exchange(self, messages: memoryview, count: int) -> Reply:
        """See `Transport`."""
        data, flags = self._connection.exchange_bytes(messages, count)
        if flags & _native.REPLY_STOPPED:
            raise PermissionDenied(
                errno.EPERM, "ipset needs CAP_NET_ADMIN in the user namespace that owns the network namespace"
            )
        return Reply(data, bool(flags & _native.REPLY_LOST))

    def dump(self, message: bytearray, listing: Listing) -> None:
        """See `Transport`."""
        self._connection.dump_into(listing, message)

    def close(self) -> None:
        """See `Transport`."""
        self._connection.close()
