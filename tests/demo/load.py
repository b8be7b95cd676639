"""Requests made one after the other, for as long as something else happens.

Knows: who answered, in which phase, and what failed. Must not know: what happens meanwhile.

Clients reset their connections when they have their answer: IPVS knows of closed ones for two minutes, which is how long draining would take, and of
those that were reset for ten seconds.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Self

from tests.lab.web import Answer

if TYPE_CHECKING:
    from tests.lab.web import Visitor

__all__ = ["Load", "request"]

LIMIT = 50_000
SECONDS = 50.0


def request(client: Visitor, target: str) -> Answer:
    """Who answers one request, and whom it takes for its client. Raises OSError."""
    with client.open(target) as line:
        name = line.ask()
        line.close(reset=True)
        return Answer(name, line.source)


class Load:
    """A thread that makes requests from `with` to its end. Each counts for the phase in which it began."""

    def __init__(self, client: Visitor, target: str, phase: str) -> None:
        self._client = client
        self._target = target
        self._phase = phase
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="load", daemon=True)
        self.answers: dict[str, Counter[str]] = {phase: Counter()}
        self.failures: list[str] = []

    @property
    def total(self) -> int:
        """Requests answered so far."""
        return sum(answers.total() for answers in self.answers.values())

    def phase(self, name: str) -> None:
        """What begins from now on counts for this phase."""
        self.answers[name] = Counter()
        self._phase = name

    def reach(self, number: int) -> None:
        """Wait until the phase has had that many answers, or anything failed. Raises TimeoutError after 10 seconds."""
        end = time.monotonic() + 10
        while self.answers[self._phase].total() < number and not self.failures:
            if time.monotonic() > end:
                raise TimeoutError(f"fewer than {number} requests in 10 s")
            time.sleep(0.01)

    def _run(self) -> None:
        end = time.monotonic() + SECONDS
        for _ in range(LIMIT):
            if self._stop.is_set() or time.monotonic() > end:
                return
            phase = self._phase
            try:
                self.answers[phase][request(self._client, self._target).name] += 1
            except (OSError, AssertionError) as error:
                self.failures.append(f"{phase}: {error!r}")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop.set()
        self._thread.join(10)
