"""Follows a file another process appends to.

Knows: bytes and file descriptors. Must not know: guests.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

_CHUNK = 1 << 16


class Follower:
    """Hands each new byte of a growing file to a file descriptor, or keeps it."""

    def __init__(self, path: Path, target: int | None) -> None:
        self._source = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._target = target
        self._kept = bytearray()

    def pump(self) -> None:
        """Take all there is now; never waits for more."""
        while chunk := os.read(self._source, _CHUNK):
            if self._target is None:
                self._kept += chunk
            else:
                write_all(self._target, chunk)

    @property
    def captured(self) -> bytes:
        return bytes(self._kept)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._source)


def write_all(target: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(target, view) :]
