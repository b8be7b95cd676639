"""A program on a terminal.

Knows: pseudo-terminals. Must not know: programs, what they write.
"""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Terminal"]


class Terminal:
    """Runs a command on a terminal of this kind and size; `close()` ends it."""

    def __init__(self, command: Sequence[str], width: int, height: int, *, kind: str = "xterm-256color") -> None:
        self.descriptor, side = pty.openpty()
        self.resize(width, height)
        environment = os.environ | {"TERM": kind, "LC_ALL": "C.UTF-8"}
        for name in ("LINES", "COLUMNS"):
            environment.pop(name, None)
        self.process = subprocess.Popen(command, stdin=side, stdout=side, stderr=side, env=environment)
        os.close(side)

    def resize(self, width: int, height: int) -> None:
        """Pull at the window's corner; who has a group of processes on the terminal is told by a signal."""
        fcntl.ioctl(self.descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self.descriptor, keys.encode())

    def read(self, within: float) -> bytes | None:
        """What comes next within so many seconds, nothing if it was quiet, None when the program has ended."""
        if not select.select([self.descriptor], [], [], within)[0]:
            return b""
        try:
            return os.read(self.descriptor, 1 << 16)
        except OSError:
            return None

    def close(self) -> None:
        """End the program."""
        self.process.kill()
        self.process.wait()
        os.close(self.descriptor)
