"""One netlink connection to the kernel: locking, sequence numbers, namespaces, forks, reopening.

Knows: transactions as opaque messages. Must not know: any family's commands (a codec encodes and decodes them), desired state.
"""

from __future__ import annotations

import errno
import os
import warnings

# Programs that live for a moment import this: the lock is that of `threading`, without the rest of it, and there is no `typing`.
from _thread import allocate_lock

from ipvskit import _native
from ipvskit.errors import ClosedError, KernelError, PermissionDenied, ProtocolError, TimedOut

# Type checkers know the name.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from _thread import LockType
    from collections.abc import Callable
    from types import TracebackType
    from typing import Protocol

    from ipvskit.netns import NetNS

    class Encoder(Protocol):
        """Puts messages into the socket's send buffer."""

        def __call__(self, sock: _native.Socket, start: int, most: int, sequence: int) -> tuple[int, int]:
            """At most `most` messages from request `start` on, numbered from `sequence`: (how many, bytes)."""


__all__ = ["NETLINK_GENERIC", "NETLINK_NETFILTER", "NETLINK_ROUTE", "Connection", "Room"]

NETLINK_ROUTE = 0
NETLINK_NETFILTER = 12
NETLINK_GENERIC = 16

#: What one send may hold, and room for the refusals of all of it (bytes).
SEND_BUFFER = 512 * 1024
RECEIVE_BUFFER = 8 * 1024 * 1024


class Room:
    """What fits in flight: bytes in one send, bytes of answers, messages of which each may be refused."""

    __slots__ = ("messages", "receive", "send")

    def __init__(self, send: int, receive: int, messages: int) -> None:
        self.send = send
        self.receive = receive
        self.messages = messages


class Connection:
    """A netlink socket in a network namespace, shared by threads: transactions follow one another.

    `timeout` (seconds) bounds the wait for an answer; the kernel answers while it is being asked, so running out of it means trouble. After
    trouble the socket is opened anew. A forked child gets a socket of its own.
    """

    def __init__(
        self,
        protocol: int,
        netns: NetNS,
        *,
        timeout: float = 5.0,
        send_buffer: int = SEND_BUFFER,
        receive_buffer: int = RECEIVE_BUFFER,
        datagram: int = 0,
    ) -> None:
        self._protocol = protocol
        self._netns = netns
        self._timeout_ms = max(1, int(timeout * 1000))
        self._buffers = (send_buffer, receive_buffer, datagram)
        self._socket: _native.Socket | None = None
        self._closed = False
        self._sequence = 0
        self._owner = os.getpid()
        self._lock = allocate_lock()
        #: Number of the socket in use; it changes when the socket is opened anew.
        self.generation = 0
        try:
            with self._transaction():
                pass
        except BaseException:
            self._closed = True
            raise

    def close(self) -> None:
        """Close the socket. Using the connection afterwards raises ClosedError."""
        if not self._closed:
            self._closed = True
            with self._own_lock():
                self._drop()

    def __del__(self) -> None:
        if not getattr(self, "_closed", True):
            warnings.warn(f"{self!r} was not closed", ResourceWarning, source=self, stacklevel=2)
            self._closed = True

    def _drop(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _own_lock(self) -> LockType:
        # A forked child must neither wait for a lock that a thread of its parent held, nor read its parent's answers.
        if self._owner != os.getpid():
            self._owner = os.getpid()
            self._lock = allocate_lock()
            self._socket = None
        return self._lock

    def _transaction(self) -> _Transaction:
        return _Transaction(self._own_lock(), self._ready, self._drop)

    def _ready(self) -> _native.Socket:
        if self._closed:
            raise ClosedError("this connection is closed")
        if self._socket is None:
            self._socket = self._open()
        return self._socket

    def _open(self) -> _native.Socket:
        send_buffer, receive_buffer, datagram = self._buffers
        self.generation += 1
        try:
            return _native.Socket(
                self._protocol,
                self._netns.fileno(),
                send_buffer=send_buffer,
                receive_buffer=receive_buffer,
                datagram=datagram,
            )
        except OSError as error:
            raise _meaning(error) from None

    def _take_sequence(self, count: int) -> int:
        # One more than `count` is for the barrier; numbers are 32 bits wide and 0 is left out.
        if self._sequence + count + 1 >= 2**32:
            self._sequence = 0
        first = self._sequence + 1
        self._sequence += count + 1
        return first

    def resolve(self, name: str) -> int:
        """The number of a generic-netlink family. Raises KernelError, with ENOENT when the kernel has none of this name."""
        with self._transaction() as sock:
            first = self._take_sequence(1)
            sock.exchange(sock.encode_resolve(name, first), first, 1, self._timeout_ms)
            refused = [answer for answer in sock.answers(first) if answer.error]
            number = 0 if refused else sock.resolved()
        for answer in refused:
            raise KernelError(answer.error, operation="find family", key=name, text=answer.text)
        return number

    def room(self) -> Room:
        """How much fits in flight."""
        with self._transaction() as sock:
            return Room(sock.send_limit, sock.receive_limit, sock.message_limit)

    def exchange_bytes(self, messages: memoryview, count: int) -> tuple[bytes, int]:
        """Execute messages that are numbered from 0, in a buffer that is written to: the answers, numbered likewise, and the reply's flags."""
        with self._transaction() as sock:
            first = self._take_sequence(count)
            sock.exchange_from(messages, len(messages), first, count, self._timeout_ms)
            return sock.renumbered_reply(first), sock.reply_flags

    def dump_into(self, receiver: _native.Receiver, message: bytearray) -> int:
        """Ask for a dump with a message numbered 0; the receiver gets the answer as it arrives. Returns the reply's flags."""
        with self._transaction() as sock:
            sock.dump_into(receiver, message, self._take_sequence(1), self._timeout_ms)
            return sock.reply_flags

    def exchange(
        self, encode: Encoder, count: int, take: Callable[[_native.Socket, int, int, int], None], portion: int = 0
    ) -> None:
        """Execute `count` requests, as many at a time as fit; `take(sock, start, done, first)` sees each portion's reply.

        `start` is the portion's first request, `done` how many it has, `first` their first sequence number. `portion` bounds it further.
        """
        start = 0
        while start < count:
            with self._transaction() as sock:
                most = min(count - start, sock.message_limit - 1, portion or count)
                first = self._take_sequence(most)
                done, length = encode(sock, start, most, first)
                sock.exchange(length, first, done, self._timeout_ms)
                take(sock, start, done, first)
            start += done

    def dump(
        self, encode: Encoder, count: int, take: Callable[[_native.Socket, int, int, int, list[int]], None]
    ) -> None:
        """The same for dumps; `take` also gets, for each, the number of datagrams that brought rows."""
        start = 0
        while start < count:
            with self._transaction() as sock:
                # Bounded, so that the replies of very many dumps are never in memory at once.
                most = min(count - start, 512)
                first = self._take_sequence(most)
                done, length = encode(sock, start, most, first)
                datagrams = sock.dump(length, first, done, self._timeout_ms)
                take(sock, start, done, first, datagrams)
            start += done


class _Transaction:
    """The connection's socket for one transaction; the next one waits."""

    __slots__ = ("_drop", "_lock", "_ready")

    def __init__(self, lock: LockType, ready: Callable[[], _native.Socket], drop: Callable[[], None]) -> None:
        self._lock = lock
        self._ready = ready
        self._drop = drop

    def __enter__(self) -> _native.Socket:
        self._lock.acquire()
        try:
            return self._ready()
        except BaseException:
            self._lock.release()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is not None:
                # Answers of this transaction may still be on their way: nobody else may meet them.
                self._drop()
            if isinstance(error, OSError):
                raise _meaning(error) from None
        finally:
            self._lock.release()


def _meaning(error: OSError) -> Exception:
    if isinstance(error, KernelError):
        return error
    number = error.errno or 0
    if number == errno.EBADMSG:
        return ProtocolError("the kernel's answer is not a well-formed netlink message of the expected kind")
    if number == errno.EOVERFLOW:
        return ProtocolError("the kernel's answer is longer than the receive buffer, so a part of it is missing")
    if number == errno.ETIMEDOUT:
        return TimedOut(number, "the kernel did not answer in time", operation="netlink")
    if number in {errno.EPERM, errno.EACCES}:
        return PermissionDenied(number, "needs CAP_SYS_ADMIN to enter the network namespace", operation="open socket")
    if number == errno.EINVAL:
        return KernelError(number, "the descriptor is not that of a network namespace", operation="open socket")
    return KernelError(number, operation="netlink")
