"""Servers that say who they are, and a client that asks and counts.

Knows: sockets that belong to other namespaces, TCP, UDP and SCTP. Must not know: IPVS.

A client sends a few bytes and gets back the server's name, a space and the same bytes. All servers run in one thread
of this process: starting a program costs up to half a second in a guest.
"""

from __future__ import annotations

import contextlib
import itertools
import selectors
import socket
import threading
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from ipvskit import ServiceKey

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ipvskit import NetNS
    from ipvskit.model.address import IPAddress

__all__ = ["Client", "Line", "Servers", "Trouble"]

_KINDS = {
    "tcp": (socket.SOCK_STREAM, socket.IPPROTO_TCP),
    "udp": (socket.SOCK_DGRAM, socket.IPPROTO_UDP),
    "sctp": (socket.SOCK_STREAM, 132),
}
_LARGEST = 2048


class Trouble(AssertionError):
    """An answer that is not what was asked for."""


def _socket(netns: NetNS, address: IPAddress, protocol: str) -> socket.socket:
    kind, number = _KINDS[protocol]
    return netns.socket(socket.AF_INET if address.version == 4 else socket.AF_INET6, kind, number)


@dataclass(slots=True)
class _Served:
    name: str
    socket: socket.socket
    role: str


class Servers:
    """Every server, in one thread from `with` to its end. Add them before."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._thread = threading.Thread(target=self._run, name="servers", daemon=True)
        self._stop, self._stopped = socket.socketpair()
        self._failure: Exception | None = None
        self._selector.register(self._stopped, selectors.EVENT_READ, None)

    def add(self, name: str, netns: NetNS, address: IPAddress, port: int, protocol: str) -> None:
        """Listen in a namespace. Raises OSError, such as EPROTONOSUPPORT where the kernel has no SCTP."""
        own = _socket(netns, address, protocol)
        try:
            own.setblocking(False)
            own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if address.version == 6:
                # Everywhere means everywhere by its own family.
                own.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            own.bind((str(address), port))
            if protocol != "udp":
                own.listen(512)
        except OSError:
            own.close()
            raise
        self._serve(_Served(name, own, "packets" if protocol == "udp" else "door"))

    def reply(self, name: str, data: bytes, source: str) -> bytes:
        """What the server of this name answers to a question from this address."""
        return name.encode() + b" " + data

    def _serve(self, served: _Served) -> None:
        self._selector.register(served.socket, selectors.EVENT_READ, served)

    def _run(self) -> None:
        try:
            while True:
                for key, _ in self._selector.select():
                    if key.data is None:
                        return
                    self._step(key.data)
        except Exception as error:
            self._failure = error

    def _step(self, served: _Served) -> None:
        if served.role == "door":
            with contextlib.suppress(BlockingIOError, ConnectionError):
                taken, _ = served.socket.accept()
                taken.setblocking(False)
                self._serve(_Served(served.name, taken, "line"))
        elif served.role == "packets":
            with contextlib.suppress(BlockingIOError, ConnectionError):
                data, sender = served.socket.recvfrom(_LARGEST)
                served.socket.sendto(self.reply(served.name, data, sender[0]), sender)
        else:
            self._answer(served)

    def _answer(self, served: _Served) -> None:
        try:
            data = served.socket.recv(_LARGEST)
            if data:
                served.socket.sendall(self.reply(served.name, data, served.socket.getpeername()[0]))
                return
        except BlockingIOError:
            return
        except ConnectionError:
            pass
        self._selector.unregister(served.socket)
        served.socket.close()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
        if self._failure is not None:
            raise self._failure

    def close(self) -> None:
        """End the thread and close everything that listens or talks."""
        if self._selector.get_map() is None:
            return
        if self._thread.is_alive():
            self._stop.send(b"x")
            self._thread.join(5)
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]
        self._stop.close()
        self._selector.close()


class Line:
    """A client's open conversation. `source` is the client's address as the last answer has it, where servers tell it."""

    _numbers = itertools.count()

    def __init__(self, own: socket.socket) -> None:
        self._socket = own
        self._question = ""
        self.source = ""
        self.address: str = own.getsockname()[0]
        self.port: int = own.getsockname()[1]

    def ask(self, text: str = "") -> str:
        """Who answers now. Raises TimeoutError, ConnectionError, Trouble."""
        self.say(text)
        return self.hear()

    def say(self, text: str = "") -> None:
        """Put a question: the text and a number."""
        self._question = f"{text}{next(self._numbers)}"
        self._socket.sendall(self.request(self._question))

    def hear(self) -> str:
        """Who answers the question that was put last."""
        got = self._socket.recv(_LARGEST).decode()
        if not got:
            raise ConnectionResetError("the server closed the connection")
        return self.understand(got, self._question)

    def request(self, question: str) -> bytes:
        """What is sent for a question."""
        return question.encode()

    def understand(self, got: str, question: str) -> str:
        """The server's name in an answer. Raises Trouble when it is the answer to something else."""
        name, _, back = got.partition(" ")
        if back != question:
            raise Trouble(f"asked {question!r}, got {got!r}")
        return name

    def send(self, data: bytes) -> None:
        """Say something else than a question."""
        self._socket.sendall(data)

    def rest(self) -> bytes:
        """All that is said until the other side hangs up."""
        return b"".join(iter(lambda: self._socket.recv(_LARGEST), b""))

    def patience(self, seconds: float) -> None:
        """How long to wait from now on."""
        self._socket.settimeout(seconds)

    def close(self, *, reset: bool = False) -> None:
        """Hang up, with a RST instead of a FIN if asked to."""
        if reset:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class Client:
    """Makes connections from a namespace; each step of each takes at most `timeout` seconds.

    A target is written as a service's key ("10.200.0.1:80/tcp"). A source is an address, or address and port.
    """

    #: What its conversations are.
    line: type[Line] = Line

    def __init__(self, netns: NetNS, *, timeout: float = 5.0) -> None:
        self._netns = netns
        self._timeout = timeout

    def open(
        self, target: ServiceKey | str, *, source: str | None = None, port: int = 0, timeout: float | None = None
    ) -> Line:
        """A conversation that stays open. Raises OSError."""
        key = ServiceKey.parse(target)
        if key.address is None or key.protocol is None:
            raise ValueError(f"{key} has no address to connect to")
        own = _socket(self._netns, key.address, key.protocol)
        try:
            own.settimeout(self._timeout if timeout is None else timeout)
            if source is not None or port:
                own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                own.bind((source or ("0.0.0.0" if key.address.version == 4 else "::"), port))
            own.connect((str(key.address), key.port))
        except BaseException:
            own.close()
            raise
        return self.line(own)

    def ask(self, target: ServiceKey | str, **how: Any) -> str:
        """Who answers one new connection. Raises OSError."""
        with self.open(target, **how) as line:
            return line.ask()

    def count(self, target: ServiceKey | str, number: int, *, source: str | None = None) -> Counter[str]:
        """Who answers that many new connections, one after the other. Raises OSError, Trouble after a minute."""
        return self.count_from(target, itertools.repeat(source, number))

    def count_from(self, target: ServiceKey | str, sources: Iterable[str | None]) -> Counter[str]:
        """The same with a source for each."""
        answers: Counter[str] = Counter()
        end = time.monotonic() + 60
        for source in sources:
            if time.monotonic() > end:
                raise Trouble(f"a minute is over after {answers.total()} connections to {target}")
            answers[self.ask(target, source=source)] += 1
        return answers

    @contextlib.contextmanager
    def held(self, target: ServiceKey | str, number: int, *, source: str | None = None) -> Iterator[list[Line]]:
        """That many conversations, each of which was answered once, open for as long as the block runs."""
        with contextlib.ExitStack() as stack:
            lines = []
            for _ in range(number):
                line = stack.enter_context(self.open(target, source=source))
                line.ask()
                lines.append(line)
            yield lines
