"""What became of a plan.

Knows: one outcome for every change. Must not know: how it came to that.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from ipvskit.report import Report

if TYPE_CHECKING:
    from ipvskit.engine.drain import Draining
    from ipvskit.engine.plan import Change
    from ipvskit.errors import IpvskitError

__all__ = ["ApplyReport", "Outcome", "Status"]


class Status(StrEnum):
    """What became of a change."""

    DONE = "done"
    #: It was so already, or somebody else was faster.
    ALREADY = "already"
    #: It is under way: the next apply goes on with it.
    DRAINING = "draining"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one change. `error` says why it failed, `reason` why it was left out or waits.

    Of a change that failed, `now` is the object as it is afterwards, read again (None: there is none, or it could not be read).
    """

    change: Change
    status: Status
    error: IpvskitError | None = None
    reason: str = ""
    now: Any = None

    def __str__(self) -> str:
        why = f": {self.error}" if self.error is not None else f": {self.reason}" if self.reason else ""
        return f"{self.status}: {self.change.action} {self.change.key}{why}"


@dataclass(frozen=True, slots=True)
class ApplyReport(Report):
    """What `apply` did: an outcome for every change of the plan, in its order.

    `draining` are real servers that still have connections; `requeue_after` says in how many seconds to plan and apply again for them (None: there is
    nothing to come back for). `stopped` says that a failure ended the call (`on_error="stop"`).
    """

    outcomes: tuple[Outcome, ...] = ()
    draining: tuple[Draining, ...] = ()
    requeue_after: float | None = None
    stopped: bool = False

    @property
    def failures(self) -> tuple[Outcome, ...]:  # type: ignore[override] # a base without slots only names it
        """The outcomes of changes that failed."""
        return tuple(outcome for outcome in self.outcomes if outcome.status is Status.FAILED)

    @property
    def converged(self) -> bool:
        """Whether everything is as it was to be: nothing failed, nothing was left out, nothing drains."""
        return all(outcome.status in {Status.DONE, Status.ALREADY} for outcome in self.outcomes)

    def counts(self) -> dict[str, int]:
        """How many outcomes there are of each status."""
        found = dict.fromkeys((str(status) for status in Status), 0)
        for outcome in self.outcomes:
            found[outcome.status] += 1
        return found

    def to_dict(self) -> dict[str, Any]:
        """For machines: {"version": 1, "outcomes": [{"action", "key", "status", "error", "reason"}], "draining": [...], "requeue_after": seconds}."""
        outcomes = [
            {
                "action": str(outcome.change.action),
                "key": str(outcome.change.key),
                "status": str(outcome.status),
                "error": None if outcome.error is None else str(outcome.error),
                "reason": outcome.reason,
            }
            for outcome in self.outcomes
        ]
        draining = [
            {"service": str(one.service), "real": one.status.real.endpoint, "left": one.left} for one in self.draining
        ]
        return {
            "version": 1,
            "outcomes": outcomes,
            "draining": draining,
            "requeue_after": self.requeue_after,
            "stopped": self.stopped,
        }

    def __str__(self) -> str:
        counts = ", ".join(f"{count} {status}" for status, count in self.counts().items() if count)
        return self._text(counts or "nothing to do", (outcome.error for outcome in self.failures))
