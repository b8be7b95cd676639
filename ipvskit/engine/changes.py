"""The changes of a plan: a sequence, parts of which are made only when somebody looks.

Knows: segments. Must not know: what changes are about.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate, chain
from typing import TYPE_CHECKING, overload

from ipvskit.engine.real_segment import RealSegment
from ipvskit.engine.service_segment import ServiceSegment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ipvskit.engine.plan import Change

    Segment = tuple[Change, ...] | RealSegment | ServiceSegment

__all__ = ["LAZY", "Changes", "segments_of"]

#: Segments that make their changes when somebody looks.
LAZY = (RealSegment, ServiceSegment)


class Changes(Sequence["Change"]):
    """Changes in order. Those of real servers, of which there may be hundreds of thousands, are rows until somebody looks."""

    __slots__ = ("_starts", "segments")

    def __init__(self, segments: Sequence[Segment]) -> None:
        self.segments = tuple(segment for segment in segments if len(segment))
        self._starts = [0, *accumulate(map(len, self.segments))]

    def placed(self) -> Iterator[tuple[int, Segment]]:
        """The segments, each with the place of its first change."""
        return zip(self._starts, self.segments, strict=False)

    def __len__(self) -> int:
        return self._starts[-1]

    def __iter__(self) -> Iterator[Change]:
        return chain.from_iterable(self.segments)

    @overload
    def __getitem__(self, index: int) -> Change: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Change, ...]: ...
    def __getitem__(self, index: int | slice) -> Change | tuple[Change, ...]:
        if isinstance(index, slice):
            return tuple(self)[index]
        place = index + len(self) if index < 0 else index
        if not 0 <= place < len(self):
            raise IndexError(index)
        number = bisect_right(self._starts, place) - 1
        return self.segments[number][place - self._starts[number]]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Changes | tuple):
            return NotImplemented
        return len(self) == len(other) and all(one == two for one, two in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment] # sets' entries can be changed

    def __repr__(self) -> str:
        return f"<{len(self)} changes>"


def segments_of(changes: Sequence[Change]) -> list[tuple[int, Segment]]:
    """The segments of any sequence of changes, each with the place of its first one."""
    return list(changes.placed()) if isinstance(changes, Changes) else [(0, tuple(changes))]
