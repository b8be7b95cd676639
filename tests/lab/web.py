"""Servers that answer HTTP with their name and the address that the client has for them, and a visitor that asks.

Knows: as much of HTTP as that takes. Must not know: services, addresses of the lab.

The body is the server's name, as of a pod that shows its host name; the header `X-Client` is where the request came from. UDP and SCTP carry the same
text, a message each.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.lab.traffic import Client, Line, Servers, Trouble

if TYPE_CHECKING:
    from ipvskit import ServiceKey

__all__ = ["Answer", "Visit", "Visitor", "WebServers"]


class Answer(NamedTuple):
    """Who answered, and which source address it saw."""

    name: str
    source: str

    def __str__(self) -> str:
        return f"{self.name} saw {self.source}"


class WebServers(Servers):
    """Every web server of the lab, in one thread."""

    def reply(self, name: str, data: bytes, source: str) -> bytes:
        """The page. What was asked for comes back in a header."""
        _, path, *_ = [*data.decode(errors="replace").split(" "), ""]
        body = f"{name}\n"
        head = [
            "HTTP/1.1 200 OK",
            "Content-Type: text/plain",
            f"Content-Length: {len(body)}",
            f"X-Client: {source}",
            f"X-Path: {path}",
        ]
        return "\r\n".join([*head, "", body]).encode()


class Visit(Line):
    """An open conversation with a web server."""

    def request(self, question: str) -> bytes:
        """A request for a page of this name."""
        return f"GET /{question} HTTP/1.1\r\nHost: lab\r\n\r\n".encode()

    def understand(self, got: str, question: str) -> str:
        """The server's name. Raises Trouble when it is the answer to something else."""
        head, _, body = got.partition("\r\n\r\n")
        status, *lines = head.split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines)
        if status != "HTTP/1.1 200 OK" or headers["X-Path"] != f"/{question}":
            raise Trouble(f"asked for /{question}, got {got!r}")
        self.source = headers["X-Client"]
        return body.strip()


class Visitor(Client):
    """A client of web servers."""

    line = Visit

    def visit(self, target: ServiceKey | str, **how: Any) -> Answer:
        """Who answers one new connection, and whom it takes for its client. Raises OSError."""
        with self.open(target, **how) as line:
            name = line.ask()
            return Answer(name, line.source)

    def outcome(self, target: ServiceKey | str, *, patience: float = 1.5, **how: Any) -> str:
        """The same in words: "web-1 saw 10.0.0.1", "refused", "unreachable", or "dropped" when nothing was heard for so long (seconds)."""
        try:
            return str(self.visit(target, timeout=patience, **how))
        except ConnectionRefusedError:
            return "refused"
        except TimeoutError:
            return "dropped"
        except OSError as error:
            if error.errno in {errno.EHOSTUNREACH, errno.ENETUNREACH}:
                return "unreachable"
            raise
