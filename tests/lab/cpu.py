"""Gives each guest one CPU of its own.

Knows: CPU affinity, lock files. Must not know: guests.

A guest's kernel and its processes hand control to and fro at each system call and page fault. On
one CPU that is a plain switch, across two it wakes up a sleeping CPU: measured, three to six times
slower. The lock files keep guests of different runs apart while there are CPUs enough.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def claimed(locks: Path) -> Iterator[int]:
    """A CPU nobody else has claimed; with all of them taken, any."""
    allowed = sorted(os.sched_getaffinity(0))
    locks.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        for cpu in allowed:
            file = stack.enter_context(open(locks / f"cpu{cpu}.lock", "w"))
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
        else:
            cpu = random.choice(allowed)
        yield cpu


@contextlib.contextmanager
def children_on(cpu: int) -> Iterator[None]:
    """Processes this thread starts inside run on ``cpu``; other threads are not affected."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {cpu})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
