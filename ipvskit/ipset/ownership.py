"""Names that are held as long as a process lives.

Knows: abstract sockets. Must not know: what is owned.

An abstract Unix socket belongs to a network namespace, as sets do, and goes with its process: so whoever can bind one of a name knows that nobody
alive owns that name there, in whatever container either of them is.
"""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING

from ipvskit import _native

if TYPE_CHECKING:
    from ipvskit.netns import NetNS

__all__ = ["own"]


def own(netns: NetNS, name: str) -> socket.socket | None:
    """Take the name; None when somebody alive has it. Closing gives it back. Raises OSError."""
    held = socket.socket(fileno=_native.netns_socket(netns.fileno(), socket.AF_UNIX, socket.SOCK_STREAM, 0))
    try:
        held.bind(b"\0" + name.encode())
    except OSError as error:
        held.close()
        if error.errno == errno.EADDRINUSE:
            return None
        raise
    return held
