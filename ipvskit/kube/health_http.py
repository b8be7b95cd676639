"""Listeners that answer HTTP requests, all of a listener's alike.

Knows: HTTP, threads, how long a client may take. Must not know: what is answered, where listeners come from.

One thread waits for connections to all listeners, and each connection has a thread for as long as it takes to answer it: a client that says nothing
holds up nobody, and is let go soon.
"""

from __future__ import annotations

import json
import selectors
import socket
import threading
import time
from collections.abc import Callable, Hashable
from contextlib import suppress
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler
from io import BytesIO
from typing import Generic, TypeVar

__all__ = ["Answer", "Listening"]

#: Seconds that a client has to say what it wants, and then to take the answer.
PATIENCE = 5.0
#: Connections at a time; what comes beyond them is turned away.
MOST = 64
_LARGEST = 16384

Place = TypeVar("Place", bound=Hashable)
#: Status, headers and the value that the body has as JSON; None to hang up.
Answer = tuple[int, dict[str, str], dict[str, object]] | None


class Listening(Generic[Place]):
    """Listeners by their places. A request that comes in at one is answered with what `answer` says of its place. Any thread may call."""

    def __init__(self, answer: Callable[[Place], Answer]) -> None:
        self._answer = answer
        self._listeners: dict[Place, socket.socket] = {}
        self._selector = selectors.DefaultSelector()
        self._room = threading.BoundedSemaphore(MOST)
        self._lock = threading.Lock()
        self._waking, self._woken = socket.socketpair()
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._wait, name="ipvskit-health", daemon=True)
        self._thread.start()

    def places(self) -> set[Place]:
        """Of all listeners."""
        with self._lock:
            return set(self._listeners)

    def add(self, place: Place, listener: socket.socket) -> None:
        """Take over a socket that listens."""
        listener.setblocking(False)
        with self._lock:
            self._listeners[place] = listener
            self._selector.register(listener, selectors.EVENT_READ, place)

    def remove(self, place: Place) -> None:
        """Close the listener; requests that are being answered are answered."""
        with self._lock:
            listener = self._listeners.pop(place)
            self._selector.unregister(listener)
            listener.close()

    def close(self) -> None:
        """Close all listeners."""
        for place in self.places():
            self.remove(place)
        self._waking.send(b"x")
        self._thread.join(PATIENCE)
        self._selector.close()
        self._waking.close()
        self._woken.close()

    def _wait(self) -> None:
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._woken:
                    return
                self._accept(key.data)

    def _accept(self, place: Place) -> None:
        with self._lock:
            listener = self._listeners.get(place)
            if listener is None:
                return
            try:
                connection, _ = listener.accept()
            except BlockingIOError:
                return
            except OSError:
                # Of connections that were given up, or there are no descriptors left: it is still there to be taken then.
                time.sleep(_PAUSE)
                return
        if not self._room.acquire(blocking=False):
            connection.close()
            return
        try:
            threading.Thread(target=self._serve, args=(connection, place), name="ipvskit-health", daemon=True).start()
        except RuntimeError:
            # The process may have no more threads.
            connection.close()
            self._room.release()

    def _serve(self, connection: socket.socket, place: Place) -> None:
        try:
            with connection, suppress(OSError):
                _Request(connection, self._answer(place))
        finally:
            self._room.release()


_PAUSE = 0.05


class _Request(BaseHTTPRequestHandler):
    """One request and its answer."""

    protocol_version = "HTTP/1.1"
    timeout = PATIENCE

    def __init__(self, connection: socket.socket, answer: Answer) -> None:
        self._given = answer
        if answer is not None:
            super().__init__(connection, ("", 0), None)  # type: ignore[arg-type] # there is no server behind it

    def setup(self) -> None:
        """Read the whole head, which takes as long as it may and no longer, however slowly it comes."""
        super().setup()
        self.rfile.close()
        self.rfile = BytesIO(_head(self.connection))
        self.connection.settimeout(PATIENCE)

    def do_GET(self) -> None:
        """Answer."""
        assert self._given is not None  # noqa: S101 - for the type checker
        status, headers, value = self._given
        body = json.dumps(value).encode()
        self.send_response_only(status)
        fields = {"Content-Type": "application/json", "X-Content-Type-Options": "nosniff", "Connection": "close"}
        for name, text in (
            fields | headers | {"Content-Length": str(len(body)), "Date": formatdate(usegmt=True)}
        ).items():
            self.send_header(name, text)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815 - the same

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
        """Nothing: load balancers ask every few seconds."""


def _head(connection: socket.socket) -> bytes:
    """What comes up to the empty line that ends a request's head. Raises OSError when it takes too long."""
    deadline = time.monotonic() + PATIENCE
    head = b""
    while b"\r\n\r\n" not in head and b"\n\n" not in head and len(head) < _LARGEST:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        connection.settimeout(left)
        more = connection.recv(4096)
        if not more:
            break
        head += more
    return head
