"""`ipvskit metrics`: numbers for Prometheus, once or over HTTP.

    ipvskit metrics --once
    ipvskit metrics --listen 127.0.0.1:9437

Knows: options, as much of HTTP as an exporter needs. Must not know: which metrics there are (`ipvskit.metrics`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipvskit.cli.common import kernel_of, tell, write_pieces
from ipvskit.cli.main import DONE, UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable
    from http.server import ThreadingHTTPServer

__all__ = ["configure", "run", "server"]

_PATIENCE = 10.0  # seconds for a request to come
_INDEX = '<html><head><title>ipvskit</title></head><body><a href="/metrics">metrics</a></body></html>\n'


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    how = parser.add_mutually_exclusive_group(required=True)
    how.add_argument("--once", action="store_true", help="print them and end")
    how.add_argument(
        "--listen", metavar="ADDRESS:PORT", help='serve them under /metrics, on "127.0.0.1:9437" or "[::]:9437"'
    )
    parser.add_argument(
        "--per-service", action="store_true", help="sum real servers up by service: for many thousands of them"
    )
    parser.add_argument("--counters", action="store_true", help="also the counters of each real server")


def run(options: argparse.Namespace) -> int:
    """Do it; returns the exit status."""
    from ipvskit.metrics import gather, text

    with kernel_of(options) as kernel:

        def page() -> str:
            return text(gather(kernel, per_service=options.per_service, counters=options.counters))

        if options.once:
            write_pieces([page()], None)
            return DONE
        with server(options.listen, page) as serving:
            serving.serve_forever()
    return DONE


def server(where: str, page: Callable[[], str]) -> ThreadingHTTPServer:
    """A server that is listening already; `serve_forever()` answers, with one page at a time. Raises UsageError, OSError."""
    import socket
    import threading
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    address, port = _place(where)
    one_at_a_time = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        timeout = _PATIENCE

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if path == "/":
                self._answer(200, "text/html; charset=utf-8", _INDEX)
            elif path == "/metrics":
                with one_at_a_time:
                    status, kind, body = _told(page)
                self._answer(status, kind, body)
            else:
                self._answer(404, "text/plain; charset=utf-8", "there is only /metrics\n")

        def _answer(self, status: int, kind: str, body: str) -> None:
            data = body.encode()
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's own name
            """Scrapes are nothing to tell."""

    class Server(ThreadingHTTPServer):
        address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
        daemon_threads = True

    return Server((address, port), Handler)


def _told(page: Callable[[], str]) -> tuple[int, str, str]:
    from ipvskit.errors import IpvskitError
    from ipvskit.metrics import CONTENT_TYPE

    try:
        return 200, CONTENT_TYPE, page()
    except (IpvskitError, OSError) as error:
        # Prometheus takes the target for down, and shows that there was an error; the log says which.
        tell([str(error)])
        return 500, "text/plain; charset=utf-8", f"{error}\n"


def _place(where: str) -> tuple[str, int]:
    from ipvskit.errors import InvalidConfig
    from ipvskit.model.address import parse_endpoint

    try:
        address, port = parse_endpoint("--listen", where)
    except InvalidConfig as error:
        raise UsageError(str(error)) from None
    if port is None:
        raise UsageError(f'--listen {where}: the port is missing, as in "127.0.0.1:9437" or "[::]:9437"')
    return str(address), port
