"""Trying again while somebody else holds a set.

Knows: that a listing in progress and a rule just deleted hold a set for a moment. Must not know: what is tried.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Container

__all__ = ["Patience"]

_FIRST = 0.001  # seconds
_LONGEST = 0.05


class Patience:
    """How long, in seconds, to go on trying: `listed` while another program lists a set, `released` while a reference may be on its way out."""

    def __init__(self, listed: float = 2.0, released: float | None = None) -> None:
        self.listed = listed
        self.released = listed / 6 if released is None else released

    def until(self, attempt: Callable[[], int], busy: Container[int], referenced: Callable[[], bool]) -> int:
        """What the last attempt came to: 0, or the error that was left."""
        start = time.monotonic()
        pause = _FIRST
        while True:
            error = attempt()
            if error not in busy:
                return error
            longest = self.released if referenced() else self.listed
            left = start + longest - time.monotonic()
            if left <= 0:
                return error
            time.sleep(min(pause, left))
            pause = min(pause * 2, _LONGEST)
