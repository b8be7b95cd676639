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
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextlib.contextmanager
def claimed(locks: Path) -> Iterator[int]:
    """Claim a CPU nobody else has; with all of them taken, any."""
    allowed = sorted(os.sched_getaffinity(0))
    with contextlib.ExitStack() as stack:
        yield next((cpu for cpu in allowed if _lock(locks, cpu, stack)), random.choice(allowed))


def _lock(locks: Path, cpu: int, stack: contextlib.ExitStack) -> bool:
    """Try to claim one CPU until the stack is left; a folder that cannot be used has no locks."""
    with contextlib.suppress(OSError):
        locks.mkdir(parents=True, exist_ok=True)
        # Read-only, so that users who share the folder can share its locks.
        flags = os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC
        file = os.open(locks / f"cpu{cpu}.lock", flags, 0o644)
        stack.callback(os.close, file)
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


@contextlib.contextmanager
def children_on(cpu: int) -> Iterator[None]:
    """Bind the processes this thread starts inside to ``cpu``; leave other threads alone."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {cpu})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
