"""The outcome of calls about many flows.

Knows: what was done, what was so already, what failed. Must not know: how it came to that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ipvskit.report import Report

if TYPE_CHECKING:
    from ipvskit.errors import IpvskitError
    from ipvskit.model.flow import Flow

__all__ = ["FlowFailure", "FlowReport"]


@dataclass(frozen=True, slots=True)
class FlowFailure:
    """One flow that was not deleted."""

    flow: Flow
    error: IpvskitError


@dataclass(frozen=True, slots=True)
class FlowReport(Report):
    """What became of the flows.

    `done` were deleted. `already` were gone, or another flow was in their place, which was left alone. `failures` were refused. `stopped` is never
    True: flows are deleted whatever becomes of others.
    """

    done: int = 0
    already: int = 0
    failures: tuple[FlowFailure, ...] = ()
    stopped: bool = False

    def __str__(self) -> str:
        counts = f"flows: {self.done} done, {self.already} already gone, {len(self.failures)} failed"
        return self._text(counts, (failure.error for failure in self.failures))
