"""The seam between the IPVS client and whatever executes its requests: the kernel, or the fake one in `ipvskit.testing`.

Knows: packed requests go in, verdicts and packed rows come out. Must not know: what an errno means, which object a request is about.
"""

from __future__ import annotations

import errno

from ipvskit import _native
from ipvskit.errors import AnswerLost, KernelError
from ipvskit.netlink import NETLINK_GENERIC, Connection

# Programs that live for a moment import this: no `typing`, no `dataclasses`. Type checkers know the name.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import IO, Protocol

    from ipvskit._native import Answer
    from ipvskit.netns import NetNS

    class Backend(Protocol):
        """Executes packed requests (`ipvskit.ipvs.records`)."""

        def execute(self, requests: bytes, count: int) -> Execution:
            """Work off the requests in order; one that fails does not stop the others."""

        def get(self, kind: int, requests: bytes, count: int) -> Rows:
            """Answer questions about single objects."""

        def dump(self, kind: int, requests: bytes, count: int) -> Rows:
            """Answer questions about whole tables; `chunks` says in how many pieces each was read."""

        def open(self, path: str, mode: str = "r") -> IO[str]:
            """A file as it looks from inside the namespace. Raises OSError."""

        def read_all(self, folder: str, names: Iterable[str]) -> dict[str, str | OSError]:
            """The texts of files in a folder as they look from inside the namespace, or why one could not be read. Raises OSError for the folder."""

        def module(self, name: str) -> str:
            """What is known of a kernel module; see `ipvskit.modules.module_state`."""

        def close(self) -> None:
            """Let go of everything."""


__all__ = ["Execution", "KernelBackend", "RowKind", "Rows"]


class RowKind:
    """Which rows a question is answered with. REAL_CONFIGS are those of REALS without the stats."""

    SERVICES = _native.IPVS_SERVICES
    REALS = _native.IPVS_REALS
    REAL_CONFIGS = _native.IPVS_REAL_CONFIGS
    DAEMONS = _native.IPVS_DAEMONS
    CONFIG = _native.IPVS_CONFIG
    INFO = _native.IPVS_INFO


class Execution:
    """What became of a list of requests: what is neither in `answers` nor in `lost` succeeded silently."""

    __slots__ = ("answers", "lost")

    def __init__(self, answers: list[Answer] | None = None, lost: list[range] | None = None) -> None:
        self.answers: list[Answer] = [] if answers is None else answers
        self.lost: list[range] = [] if lost is None else lost


class Rows:
    """Packed rows, and what is known about their reading."""

    __slots__ = ("chunks", "data", "interrupted", "refused")

    def __init__(
        self,
        data: bytearray | None = None,
        refused: list[Answer] | None = None,
        chunks: list[int] | None = None,
        interrupted: bool = False,
    ) -> None:
        self.data: bytearray = bytearray() if data is None else data
        self.refused: list[Answer] = [] if refused is None else refused
        self.chunks: list[int] = [] if chunks is None else chunks
        self.interrupted = interrupted


class KernelBackend:
    """The kernel, through a netlink connection. Raises IPVSNotAvailable when it has no IPVS."""

    def __init__(
        self,
        netns: NetNS,
        *,
        timeout: float = 5.0,
        send_buffer: int | None = None,
        receive_buffer: int | None = None,
        datagram: int = 0,
    ) -> None:
        sizes: dict[str, int] = {"datagram": datagram}
        if send_buffer is not None:
            sizes["send_buffer"] = send_buffer
        if receive_buffer is not None:
            sizes["receive_buffer"] = receive_buffer
        self._netns = netns
        self._connection = Connection(NETLINK_GENERIC, netns, timeout=timeout, **sizes)
        try:
            self._family = self._find_family()
        except BaseException:
            self._connection.close()
            raise

    def _find_family(self) -> int:
        try:
            return self._connection.resolve("IPVS")
        except KernelError as error:
            if error.errno != errno.ENOENT:
                raise
            from ipvskit.ipvs.availability import ipvs_not_available, load_ipvs

            if load_ipvs():
                return self._connection.resolve("IPVS")
            raise ipvs_not_available(error) from None

    def execute(self, requests: bytes, count: int) -> Execution:
        """See `Backend`."""
        result = Execution()

        def encode(sock: _native.Socket, start: int, most: int, sequence: int) -> tuple[int, int]:
            return sock.encode_ipvs(requests, start, most, self._family, sequence)

        def take(sock: _native.Socket, start: int, done: int, first: int) -> None:
            if sock.reply_flags & _native.REPLY_LOST:
                result.lost.append(range(start, start + done))
            result.answers += sock.answers(first - start)

        self._connection.exchange(encode, count, take)
        return result

    def get(self, kind: int, requests: bytes, count: int) -> Rows:
        """See `Backend`. Questions whose answers got lost are asked again, fewer at a time. Raises AnswerLost."""
        portion = 0
        while True:
            rows, lost = self._get(kind, requests, count, portion)
            if not lost:
                return rows
            if portion == 1:
                raise AnswerLost(errno.ENOBUFS, "the receive buffer is too small for one answer", operation="read")
            portion = max(1, (portion or count) // 4)

    def _get(self, kind: int, requests: bytes, count: int, portion: int) -> tuple[Rows, bool]:
        rows = Rows()
        lost = False

        def encode(sock: _native.Socket, start: int, most: int, sequence: int) -> tuple[int, int]:
            return sock.encode_ipvs(requests, start, most, self._family, sequence)

        def take(sock: _native.Socket, start: int, done: int, first: int) -> None:
            nonlocal lost
            lost = lost or bool(sock.reply_flags & _native.REPLY_LOST)
            self._collect(rows, kind, sock, start, first)

        self._connection.exchange(encode, count, take, portion)
        return rows, lost

    def dump(self, kind: int, requests: bytes, count: int) -> Rows:
        """See `Backend`."""
        rows = Rows()

        def encode(sock: _native.Socket, start: int, most: int, sequence: int) -> tuple[int, int]:
            return sock.encode_ipvs(requests, start, most, self._family, sequence)

        def take(sock: _native.Socket, start: int, done: int, first: int, datagrams: list[int]) -> None:
            rows.chunks.extend(datagrams)
            rows.interrupted = rows.interrupted or bool(sock.reply_flags & _native.REPLY_INTERRUPTED)
            self._collect(rows, kind, sock, start, first)

        self._connection.dump(encode, count, take)
        return rows

    def _collect(self, rows: Rows, kind: int, sock: _native.Socket, start: int, first: int) -> None:
        # Subtracting the portion's start from the sequence number makes the index that of the whole list.
        found = sock.ipvs_rows(kind, self._family, first - start)
        rows.data = rows.data + found if rows.data else found
        rows.refused += [answer for answer in sock.answers(first - start) if answer.error]

    def open(self, path: str, mode: str = "r") -> IO[str]:
        """See `Backend`."""
        return self._netns.open(path, mode)

    def read_all(self, folder: str, names: Iterable[str]) -> dict[str, str | OSError]:
        """See `Backend`."""
        return self._netns.read_all(folder, names)

    def module(self, name: str) -> str:
        """See `Backend`."""
        from ipvskit.modules import module_state

        return module_state(name)

    def close(self) -> None:
        """See `Backend`."""
        self._connection.close()
