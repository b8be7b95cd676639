"""The only importer of the compiled module: `Any` stops here.

Knows: the C functions and who owns which buffer. Must not know: what requests mean, policy.

C errors come out as OSError with the C function's errno; callers give them a meaning.
"""

from __future__ import annotations

import errno
import os
from importlib import import_module

# Programs that live for a moment import this: no `typing`, no `dataclasses`. Type checkers know the name.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol

    class Receiver(Protocol):
        """Takes a dump."""

        def receive(self, reply: Any) -> None:
            """Have this reply's messages delivered here."""


_core: Any = import_module("ipvskit._core")
ffi: Any = _core.ffi
lib: Any = _core.lib

REPLY_LOST: int = lib.IK_REPLY_LOST
REPLY_INTERRUPTED: int = lib.IK_REPLY_INTERRUPTED
REPLY_STOPPED: int = lib.IK_REPLY_STOPPED

IPVS_SERVICES: int = lib.IK_IPVS_SERVICES
IPVS_REALS: int = lib.IK_IPVS_REALS
IPVS_REAL_CONFIGS: int = lib.IK_IPVS_REAL_CONFIGS
IPVS_DAEMONS: int = lib.IK_IPVS_DAEMONS
IPVS_CONFIG: int = lib.IK_IPVS_CONFIG
IPVS_INFO: int = lib.IK_IPVS_INFO

IPVS_REQUEST_SIZE: int = ffi.sizeof("struct ik_ipvs_request")


class Answer:
    """The kernel's verdict on one request: `error` is an errno, 0 for an acknowledgement. Not to be changed."""

    __slots__ = ("error", "index", "offset", "text")

    def __init__(self, index: int, error: int, offset: int, text: str) -> None:
        self.index = index
        self.error = error
        self.offset = offset
        self.text = text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Answer) and self._all() == other._all()

    def __hash__(self) -> int:
        return hash(self._all())

    def __repr__(self) -> str:
        return f"Answer{self._all()!r}"

    def _all(self) -> tuple[int, int, int, str]:
        return self.index, self.error, self.offset, self.text


def checked(result: int) -> int:
    """The result of a C function, unless it is a negative errno. Raises OSError."""
    if result < 0:
        raise OSError(-result, os.strerror(-result))
    return result


def netns_current() -> int:
    """A new descriptor of the calling thread's network namespace."""
    return checked(lib.ik_netns_current())


def netns_create() -> int:
    """A descriptor of a new network namespace, which lives as long as the descriptor."""
    return checked(lib.ik_netns_create())


def netns_enter(netns: int) -> None:
    """Move the calling thread for good; for a child process before exec."""
    checked(lib.ik_netns_enter(netns))


def netns_open(netns: int, path: str, flags: int) -> int:
    """A descriptor of a file as it looks from inside the namespace."""
    return checked(lib.ik_netns_open(netns, os.fsencode(path), flags))


def netns_socket(netns: int, family: int, kind: int, protocol: int) -> int:
    """A descriptor of a socket that belongs to the namespace."""
    return checked(lib.ik_netns_socket(netns, family, kind, protocol))


class Socket:
    """One netlink socket with its send buffer and its reply. Not for two threads at once."""

    def __init__(self, protocol: int, netns: int, *, send_buffer: int, receive_buffer: int, datagram: int = 0) -> None:
        options = ffi.new(
            "struct ik_socket_options *",
            {
                "netns": netns,
                "protocol": protocol,
                "send_buffer": send_buffer,
                "receive_buffer": receive_buffer,
                "datagram": datagram,
            },
        )
        out = ffi.new("struct ik_socket **")
        checked(lib.ik_socket_open(options, out))
        self._socket: Any = ffi.gc(out[0], lib.ik_socket_close)
        reply = lib.ik_reply_new()
        if reply == ffi.NULL:
            raise MemoryError
        self._reply: Any = ffi.gc(reply, lib.ik_reply_free)
        self.send_limit: int = lib.ik_socket_send_limit(self._socket)
        self.message_limit: int = lib.ik_socket_message_limit(self._socket)
        self.receive_limit: int = lib.ik_socket_receive_limit(self._socket)
        self._requests: Any = ffi.new("uint8_t[]", min(self.send_limit, send_buffer or self.send_limit))
        self._room: int = len(self._requests)
        self._used: Any = ffi.new("size_t *")

    def close(self) -> None:
        """Free everything; the object must not be used again."""
        ffi.release(self._socket)
        ffi.release(self._reply)

    def exchange(self, length: int, first: int, count: int, timeout_ms: int) -> None:
        """Send what was encoded and collect the answers."""
        lib.ik_reply_reset(self._reply)
        checked(lib.ik_exchange(self._socket, self._requests, length, first, count, self._reply, timeout_ms))

    def exchange_from(self, messages: memoryview, length: int, first: int, count: int, timeout_ms: int) -> None:
        """The same for messages in the caller's buffer, numbered from 0; they are numbered anew."""
        data = ffi.from_buffer(messages)
        lib.ik_renumber(data, length, first)
        lib.ik_reply_reset(self._reply)
        checked(lib.ik_exchange(self._socket, data, length, first, count, self._reply, timeout_ms))

    def dump_into(self, receiver: Receiver, message: bytearray, first: int, timeout_ms: int) -> None:
        """Send one dump request, numbered 0, and let the receiver have the answer as it arrives."""
        data = ffi.from_buffer(message)
        lib.ik_renumber(data, len(message), first)
        lib.ik_reply_reset(self._reply)
        receiver.receive(self._reply)
        try:
            checked(lib.ik_dump(self._socket, data, len(message), first, 1, self._reply, ffi.NULL, timeout_ms))
        finally:
            lib.ik_reply_into(self._reply, ffi.NULL, ffi.NULL)

    def dump(self, length: int, first: int, count: int, timeout_ms: int) -> list[int]:
        """The same for dumps; returns in how many datagrams each was answered."""
        datagrams = ffi.new("uint32_t[]", count)
        lib.ik_reply_reset(self._reply)
        checked(lib.ik_dump(self._socket, self._requests, length, first, count, self._reply, datagrams, timeout_ms))
        return list(datagrams)

    @property
    def reply_flags(self) -> int:
        """`REPLY_LOST`, `REPLY_INTERRUPTED`."""
        return int(lib.ik_reply_flags(self._reply))

    def renumbered_reply(self, first: int) -> bytes:
        """The raw messages of the last reply, numbered from 0 again."""
        length = lib.ik_reply_length(self._reply)
        if not length:
            return b""
        copy = bytearray(ffi.buffer(lib.ik_reply_data(self._reply), length))
        lib.ik_renumber(ffi.from_buffer(copy), length, _number(-first))
        return bytes(copy)

    def reply_bytes(self) -> bytes:
        """The raw messages of the last reply."""
        length = lib.ik_reply_length(self._reply)
        return bytes(ffi.buffer(lib.ik_reply_data(self._reply), length)) if length else b""

    def answers(self, first: int) -> list[Answer]:
        """The verdicts in the last reply; requests are numbered from the sequence number `first`."""
        if not lib.ik_reply_messages(self._reply):
            return []
        return _answers(
            lib.ik_reply_data(self._reply),
            lib.ik_reply_length(self._reply),
            first,
            lib.ik_reply_messages(self._reply),
        )

    def load(self, messages: bytes) -> int:
        """Put ready messages into the send buffer; returns their length. Raises OSError with EMSGSIZE."""
        if len(messages) > self._room:
            raise OSError(errno.EMSGSIZE, os.strerror(errno.EMSGSIZE))
        ffi.memmove(self._requests, messages, len(messages))
        return len(messages)

    def encode_resolve(self, name: str, sequence: int) -> int:
        """Put the request for a generic-netlink family's number into the send buffer; returns its length."""
        return checked(lib.ik_genl_encode_resolve(name.encode(), sequence, self._requests, self._room))

    def resolved(self) -> int:
        """The family's number from the last reply."""
        return checked(lib.ik_genl_parse_resolve(lib.ik_reply_data(self._reply), lib.ik_reply_length(self._reply)))

    def encode_ipvs(self, requests: Any, start: int, count: int, family: int, sequence: int) -> tuple[int, int]:
        """Messages for as many of `count` packed request records as fit: (how many, bytes)."""
        records = ffi.cast("struct ik_ipvs_request *", ffi.from_buffer(requests)) + start
        done = checked(lib.ik_ipvs_encode(records, count, family, sequence, self._requests, self._room, self._used))
        return done, self._used[0]

    def ipvs_rows(self, kind: int, family: int, first: int) -> bytearray:
        """The last reply's rows of this kind, as packed records."""
        return _ipvs_rows(
            kind,
            lib.ik_reply_data(self._reply),
            lib.ik_reply_length(self._reply),
            family,
            first,
            lib.ik_reply_messages(self._reply),
        )


def _number(sequence: int) -> int:
    """Sequence numbers are 32 bits wide and wrap."""
    return sequence & 0xFFFFFFFF


def _answers(data: Any, length: int, first: int, room: int) -> list[Answer]:
    # Mostly there are none: nobody needs room for them then.
    if checked(lib.ik_parse_answers(data, length, _number(first), ffi.NULL, 0)) == 0:
        return []
    out = ffi.new("struct ik_answer[]", room)
    found = checked(lib.ik_parse_answers(data, length, _number(first), out, room))
    return [
        Answer(one.index, one.error, one.offset, ffi.string(one.text).decode(errors="replace"))
        for one in (out[i] for i in range(min(found, room)))
    ]


def _ipvs_rows(kind: int, data: Any, length: int, family: int, first: int, room: int) -> bytearray:
    size = lib.ik_ipvs_row_size(kind)
    out = bytearray(room * size)
    found = checked(lib.ik_ipvs_parse(kind, data, length, family, _number(first), ffi.from_buffer(out), room))
    del out[min(found, room) * size :]
    return out


def _exact(data: bytes) -> Any:
    """A copy in a buffer of exactly this size, so that a sanitizer sees a read beyond it."""
    copy = ffi.new("uint8_t[]", max(len(data), 1))
    ffi.memmove(copy, data, len(data))
    return copy


def encode_ipvs(requests: bytes, family: int, sequence: int, room: int = 1 << 16) -> tuple[int, bytes]:
    """Packed request records as messages: (how many fitted, the messages)."""
    out = ffi.new("uint8_t[]", max(room, 1))
    used = ffi.new("size_t *")
    records = ffi.cast("struct ik_ipvs_request *", ffi.from_buffer(requests))
    count = len(requests) // IPVS_REQUEST_SIZE
    done = checked(lib.ik_ipvs_encode(records, count, family, sequence, out, room, used))
    return done, bytes(ffi.buffer(out, used[0]))


def parse_ipvs(kind: int, data: bytes, family: int, first: int = 0) -> bytes:
    """Rows of this kind in raw messages, as packed records."""
    return bytes(_ipvs_rows(kind, _exact(data), len(data), family, first, len(data) // 16 + 1))


def parse_answers(data: bytes, first: int = 0) -> list[Answer]:
    """The verdicts in raw messages."""
    return _answers(_exact(data), len(data), first, len(data) // 16 + 1)


def parse_resolve(data: bytes) -> int:
    """A generic-netlink family's number in raw messages."""
    return checked(lib.ik_genl_parse_resolve(_exact(data), len(data)))


def ipvs_layout(name: str) -> tuple[int, dict[str, int]]:
    """Size and field offsets of a C record, to check the struct formats against."""
    layout = ffi.typeof(f"struct {name}")
    return int(ffi.sizeof(layout)), {field: int(ffi.offsetof(layout, field)) for field, _ in layout.fields}
