"""A program on a terminal, and what one sees there.

Knows: escape sequences (by pyte). Must not know: programs, pictures.
"""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING, Self

import pyte

from tests.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Screen"]


class Screen(Terminal):
    """`with Screen(command, width, height) as shown:` runs it; `shown.picture` is what is to be seen."""

    def __init__(self, command: Sequence[str], width: int, height: int) -> None:
        self.picture = pyte.Screen(width, height)
        self._stream = pyte.ByteStream(self.picture)
        super().__init__(command, width, height)

    def pull(self, width: int, height: int) -> None:
        """Give the terminal another size while the program runs."""
        self.picture.resize(height, width)
        self.resize(width, height)
        self.process.send_signal(signal.SIGWINCH)

    def watch(self, seconds: float) -> None:
        """Look at it for so long, or until it ends."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            data = self.read(left)
            if data is None:
                return
            self._stream.feed(data)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
