"""A program on a terminal, and what one sees there.

Knows: pseudo terminals, escape sequences (by pyte). Must not know: programs, pictures.
"""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from typing import TYPE_CHECKING, Self

import pyte

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Terminal"]


class Terminal:
    """`with Terminal(command) as shown:` runs it on a terminal of this size."""

    def __init__(self, command: Sequence[str], width: int, height: int) -> None:
        self.screen = pyte.Screen(width, height)
        self._stream = pyte.ByteStream(self.screen)
        self._descriptor, side = pty.openpty()
        self._size()
        environment = os.environ | {"TERM": "xterm-256color", "LC_ALL": "C.UTF-8"}
        environment.pop("NO_COLOR", None)
        self._process = subprocess.Popen(
            command, stdin=side, stdout=side, stderr=side, env=environment, start_new_session=True
        )
        os.close(side)

    def _size(self) -> None:
        size = struct.pack("HHHH", self.screen.lines, self.screen.columns, 0, 0)
        fcntl.ioctl(self._descriptor, termios.TIOCSWINSZ, size)

    def resize(self, width: int, height: int) -> None:
        """Pull at the window's corner."""
        self.screen.resize(height, width)
        self._size()
        self._process.send_signal(signal.SIGWINCH)

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self._descriptor, keys.encode())

    def watch(self, seconds: float) -> None:
        """Look at it for so long, or until it ends."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if not select.select([self._descriptor], [], [], left)[0]:
                return
            try:
                data = os.read(self._descriptor, 1 << 16)
            except OSError:  # the other side is closed
                return
            self._stream.feed(data)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._process.terminate()
        self._process.wait(10)
        os.close(self._descriptor)
