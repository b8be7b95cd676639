"""Repeating and comparing: everything that is compared takes turns in the same run, and the best of each counts.

Knows: repetitions. Must not know: what is measured.
"""

from __future__ import annotations

import functools
import gc
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["Sample", "best_of", "take_turns", "timed"]

REPETITIONS = 7


@dataclass(frozen=True, slots=True)
class Sample:
    """Seconds of several repetitions."""

    best: float
    worst: float


def timed(work: Callable[[], object]) -> float:
    """Seconds that it takes, with the collector as a user has it, but nothing left over from before."""
    gc.collect()
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


@functools.cache
def _age_heap() -> list[tuple[int, int]]:
    """Leave the interpreter with free memory, as in a process that has run for a while: one object in each piece of it keeps it from going back.

    In a guest the first touch of a page costs a hundred times what it does elsewhere, and would be most of what is measured.
    """
    return [(number, number) for number in range(400_000)][::2000]


def take_turns(contestants: Mapping[str, Callable[[], float]], repetitions: int = REPETITIONS) -> dict[str, Sample]:
    """Let each run in turn, another one first every time; each measures itself. One round more warms up."""
    _age_heap()
    names = list(contestants)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(repetitions + 1):
        at = turn % len(names)
        for name in names[at:] + names[:at]:
            took = contestants[name]()
            if turn:
                seconds[name].append(took)
    return {name: Sample(min(found), max(found)) for name, found in seconds.items()}


def best_of(choices: Sequence[int], run: Callable[[int], float], repetitions: int = 3) -> int:
    """The choice with which it runs fastest."""
    rounds = [{choice: run(choice) for choice in choices} for _ in range(repetitions)]
    return min(choices, key=lambda choice: min(found[choice] for found in rounds))
