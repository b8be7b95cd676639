"""Signs of life on a terminal, for what takes longer than a second.

Knows: standard error, the terminal's width. Must not know: what takes so long.
"""

from __future__ import annotations

import sys
import threading
import time
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["Progress", "bar"]

#: Seconds before anything is drawn, and between two drawings.
PATIENCE = 1.0
_PAUSE = 0.2
_BAR = 24
_BLOCK = 6


def bar(text: str, part: float | None, seconds: float, width: int) -> str:
    """`draining [######------] 50% 12 s`; where nobody knows how much is done (`part` None), a block that goes to and fro."""
    if part is None:
        way = _BAR - _BLOCK
        place = round(seconds / _PAUSE) % (2 * way)
        place = place if place <= way else 2 * way - place
        inside = ("-" * place + "#" * _BLOCK).ljust(_BAR, "-")
        tail = f"{seconds:.0f} s"
    else:
        done = min(1.0, max(0.0, part))
        inside = ("#" * int(done * _BAR)).ljust(_BAR, "-")
        tail = f"{done:.0%} {seconds:.0f} s"
    return f"{text} [{inside}] {tail}"[: max(0, width - 1)]


class Progress:
    """`with Progress("applying") as shown:` draws a line on standard error if that is a terminal, and takes it away at the end.

    `shown.text` and `shown.part` (0.0 to 1.0, None where that is not known) may be set at any time.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.part: float | None = None
        self._began = time.monotonic()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def reached(self, done: int, total: int) -> None:
        """So many are done, of so many."""
        self.part = done / total if total else None

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            self._thread = threading.Thread(target=self._draw, daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        if self._thread is not None:
            self._thread.join()

    def _draw(self) -> None:
        if self._ended.wait(PATIENCE):
            return
        import shutil

        while True:
            # Asked every time: a terminal may be made wider.
            width = shutil.get_terminal_size().columns
            self._write("\r\033[K" + bar(self.text, self.part, time.monotonic() - self._began, width))
            if self._ended.wait(_PAUSE):
                break
        self._write("\r\033[K")

    def _write(self, text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()
