"""The outcome of bulk calls.

Knows: what was done, what failed, what was left out. Must not know: how it came to that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ipvskit.report import Report

if TYPE_CHECKING:
    from ipvskit.errors import IpvskitError
    from ipvskit.ipvs.operations import Operation

__all__ = ["BulkReport", "Failure"]


@dataclass(frozen=True, slots=True)
class Failure:
    """One operation that was not executed. `index` is its place in the iterable, or that of the AddService it is a part of."""

    index: int
    operation: Operation
    error: IpvskitError


@dataclass(frozen=True, slots=True)
class BulkReport(Report):
    """What a bulk call did.

    `done` counts the operations that were executed; every real server of an added service counts as an operation of its own. `failures` were
    refused, by the kernel or before being sent. `skipped` were not tried because their service could not be added. `stopped` says that the rest
    of the iterable was not looked at (`on_error="stop"`).
    """

    done: int
    failures: tuple[Failure, ...] = ()
    skipped: tuple[Operation, ...] = ()
    stopped: bool = False

    @property
    def ok(self) -> bool:
        """Whether everything was done."""
        return not self.failures and not self.skipped

    def __str__(self) -> str:
        counts = f"{self.done} done, {len(self.failures)} failed, {len(self.skipped)} skipped"
        return self._text(counts, (failure.error for failure in self.failures))
