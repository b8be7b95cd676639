"""The outcomes of a plan while it is applied.

Knows: which change has which outcome so far. Must not know: how changes are made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ipvskit.engine.report import ApplyReport, Outcomes, Status, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ipvskit.engine.drain import Draining
    from ipvskit.engine.plan import Change, Plan
    from ipvskit.errors import IpvskitError

__all__ = ["Verdicts", "Work"]

#: A change and its place in the plan.
Work = tuple[int, "Change"]


class Verdicts:
    """One outcome for every change; `stop` says whether the first failure ends the call."""

    def __init__(self, plan: Plan, *, stop: bool) -> None:
        self._plan = plan
        self._found: list[Verdict | None] = [None] * len(plan.changes)
        self._stop = stop
        self.stopped = False
        self.draining: list[Draining] = []
        self.requeue_after: float | None = None

    @property
    def stop(self) -> bool:
        """Whether the first failure ends the call."""
        return self._stop

    def done(self, places: Iterable[int]) -> None:
        """These were made."""
        verdict: Verdict = (Status.DONE, None, "", None)
        if isinstance(places, range) and self._found[places.start : places.stop].count(None) == len(places):
            self._found[places.start : places.stop] = [verdict] * len(places)
            return
        for place in places:
            if self._found[place] is None:
                self._found[place] = verdict

    def already(self, place: int) -> None:
        """This was so already."""
        self._found[place] = (Status.ALREADY, None, "", None)

    def failed(self, place: int, error: IpvskitError, now: Any = None) -> None:  # noqa: ANN401 - any value of the model
        """This failed."""
        self._found[place] = (Status.FAILED, error, "", now)
        self.stopped = self.stopped or self._stop

    def waits(self, place: int, reason: str) -> None:
        """This is under way."""
        self._found[place] = (Status.DRAINING, None, reason, None)

    def skipped(self, place: int, reason: str) -> None:
        """This was left out."""
        self._found[place] = (Status.SKIPPED, None, reason, None)

    def open(self, work: Sequence[Work]) -> list[Work]:
        """Of these, those without an outcome."""
        return [(place, change) for place, change in work if self._found[place] is None]

    def status(self, place: int) -> Status | None:
        """The outcome of a change so far."""
        found = self._found[place]
        return None if found is None else found[0]

    def report(self) -> ApplyReport:
        """All of it; what has no outcome was not tried."""
        left: Verdict = (Status.SKIPPED, None, "not tried, because of an earlier failure", None)
        outcomes = Outcomes(self._plan.changes, [found or left for found in self._found])
        return ApplyReport(outcomes, tuple(self.draining), self.requeue_after, self.stopped)
