"""What the reports of bulk calls have in common.

Knows: that some things were done and others failed. Must not know: what was to be done.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ipvskit.errors import BulkFailed

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Report"]

_SHOWN = 5


class Report:
    """The base of all reports: `failures` were refused, by the kernel or before being sent; `stopped` says that what came behind was not tried."""

    __slots__ = ()

    failures: tuple[Any, ...]
    stopped: bool

    @property
    def ok(self) -> bool:
        """Whether nothing failed."""
        return not self.failures

    def raise_for_failures(self) -> None:
        """Raise BulkFailed if anything failed."""
        if not self.ok:
            raise BulkFailed(self)

    def _text(self, counts: str, failures: Iterable[object]) -> str:
        lines = [counts + (", stopped there" if self.stopped else "")]
        shown = [f"  {failure}" for failure in failures]
        lines += shown[:_SHOWN]
        if len(shown) > _SHOWN:
            lines.append(f"  and {len(shown) - _SHOWN} more")
        return "\n".join(lines)
