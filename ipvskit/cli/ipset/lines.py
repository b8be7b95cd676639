"""Standard input, or a file, line by line as fgets(3) with a buffer of 1024 bytes gives them.

Knows: files as descriptors. Must not know: what lines say.
"""

from __future__ import annotations

import os

__all__ = ["Lines"]

_LONGEST = 1023
_PORTION = 1 << 20


class Lines:
    """Lines of a descriptor as they come. `number` is that of the last one that was taken."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._data = b""
        self._place = 0
        self._ended = False
        self.number = 0

    def _more(self) -> bool:
        """Read on; False at the end."""
        if not self._ended:
            try:
                portion = os.read(self._descriptor, _PORTION)
            except OSError:
                portion = b""
            self._ended = not portion
            self._data = self._data[self._place :] + portion
            self._place = 0
        return not self._ended

    def next(self) -> str | None:
        """The next line, with its end; one that is too long comes in pieces. None at the end."""
        while True:
            end = self._data.find(b"\n", self._place)
            if end >= 0 or len(self._data) - self._place >= _LONGEST or not self._more():
                break
        end = len(self._data) if end < 0 else end + 1
        end = min(end, self._place + _LONGEST)
        if end == self._place:
            return None
        line = self._data[self._place : end]
        self._place = end
        self.number += 1
        return line.split(b"\0", 1)[0].decode("utf-8", "surrogateescape")

    def rest(self) -> tuple[bytes, int]:
        """What has been read, and where what was not taken of it begins."""
        if self._data.find(b"\n", self._place) < 0:
            self._more()
        return self._data, self._place

    def take(self, length: int, lines: int) -> None:
        """So many bytes, so many lines, are taken."""
        self._place += length
        self.number += lines
