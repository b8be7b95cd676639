"""The outcome of calls about many entries or lines.

Knows: what was done, what was so already, what failed. Must not know: how it came to that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ipvskit.report import Report

if TYPE_CHECKING:
    from ipvskit.errors import IpvskitError

__all__ = ["EntriesReport", "EntryFailure", "LineFailure", "RestoreReport"]


@dataclass(frozen=True, slots=True)
class EntryFailure:
    """One entry that was not taken. `index` is its place in the iterable, or the element's in the table."""

    index: int
    entry: str
    error: IpvskitError


@dataclass(frozen=True, slots=True)
class EntriesReport(Report):
    """What became of the entries.

    `done` were added (deleted), `already` were there already (were not there) and are as they were. An entry that stands for several elements
    (a range) counts as one. `failures` were refused, by the kernel or before being sent. `stopped` says that what came after the failure was not
    tried (`on_error="stop"`).
    """

    set_name: str
    done: int = 0
    already: int = 0
    failures: tuple[EntryFailure, ...] = ()
    stopped: bool = False

    def __str__(self) -> str:
        counts = f"{self.set_name}: {self.done} done, {self.already} already so, {len(self.failures)} failed"
        return self._text(counts, (failure.error for failure in self.failures))


@dataclass(frozen=True, slots=True)
class LineFailure:
    """One line of a restoration that was not executed. `line` is its number, from 1."""

    line: int
    text: str
    error: IpvskitError

    def __str__(self) -> str:
        return f"line {self.line}: {self.error}"


@dataclass(frozen=True, slots=True)
class RestoreReport(Report):
    """What became of a restoration.

    `lines` were looked at. `done` commands were executed, `already` entries were so already. `failures` were refused, by the kernel or before being
    sent. `stopped` says that what came after the failure was not tried (`on_error="stop"`).
    """

    lines: int
    done: int = 0
    already: int = 0
    failures: tuple[LineFailure, ...] = ()
    stopped: bool = False

    def __str__(self) -> str:
        return self._text(
            f"{self.lines} lines: {self.done} done, {self.already} already so, {len(self.failures)} failed",
            self.failures,
        )
