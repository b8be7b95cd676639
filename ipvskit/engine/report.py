"""What became of a plan.

Knows: one outcome for every change. Must not know: how it came to that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, overload

from ipvskit.report import Report

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ipvskit.engine.drain import Draining
    from ipvskit.engine.plan import Change
    from ipvskit.errors import IpvskitError

__all__ = ["ApplyReport", "Outcome", "Outcomes", "Status", "Verdict"]


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


Verdict = tuple[Status, "IpvskitError | None", str, Any]


class Outcomes(Sequence[Outcome]):
    """One outcome for every change, made when somebody looks."""

    __slots__ = ("_changes", "_verdicts")

    def __init__(self, changes: Sequence[Change] = (), verdicts: Sequence[Verdict] = ()) -> None:
        self._changes, self._verdicts = changes, verdicts

    def status(self, place: int) -> Status:
        """What became of the change at a place of the plan."""
        return self._verdicts[place][0]

    def of(self, *statuses: Status) -> Iterator[Outcome]:
        """Those with one of these statuses."""
        wanted = set(statuses)
        return (self[place] for place, verdict in enumerate(self._verdicts) if verdict[0] in wanted)

    def counts(self) -> Counter[Status]:
        """How many there are of each status."""
        return Counter(verdict[0] for verdict in self._verdicts)

    def __len__(self) -> int:
        return len(self._verdicts)

    def __iter__(self) -> Iterator[Outcome]:
        return (Outcome(change, *verdict) for change, verdict in zip(self._changes, self._verdicts, strict=True))

    @overload
    def __getitem__(self, index: int) -> Outcome: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Outcome, ...]: ...
    def __getitem__(self, index: int | slice) -> Outcome | tuple[Outcome, ...]:
        if isinstance(index, slice):
            return tuple(self)[index]
        return Outcome(self._changes[index], *self._verdicts[index])

    def __eq__(self, other: object) -> bool:
        return tuple(self) == tuple(other) if isinstance(other, Outcomes | tuple) else NotImplemented

    __hash__ = None  # type: ignore[assignment] # sets' entries can be changed

    def __repr__(self) -> str:
        return f"<{len(self)} outcomes>"


@dataclass(frozen=True, slots=True)
class ApplyReport(Report):
    """What `apply` did: an outcome for every change of the plan, in its order.

    `draining` are real servers that still have connections; `requeue_after` says in how many seconds to plan and apply again for them (None: there is
    nothing to come back for). `stopped` says that a failure ended the call (`on_error="stop"`).
    """

    outcomes: Outcomes = field(default_factory=Outcomes)
    draining: tuple[Draining, ...] = ()
    requeue_after: float | None = None
    stopped: bool = False

    @property
    def failures(self) -> tuple[Outcome, ...]:  # type: ignore[override] # a base without slots only names it
        """The outcomes of changes that failed."""
        return tuple(self.outcomes.of(Status.FAILED))

    @property
    def converged(self) -> bool:
        """Whether everything is as it was to be: nothing failed, nothing was left out, nothing drains."""
        return not self.outcomes.counts().keys() - {Status.DONE, Status.ALREADY}

    def counts(self) -> dict[str, int]:
        """How many outcomes there are of each status."""
        found = self.outcomes.counts()
        return {str(status): found[status] for status in Status}

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
