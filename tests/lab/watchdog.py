"""Ends a guest whose host process has died without being able to (SIGKILL, a crash).

Knows: a process group to kill, a folder to remove. Must not know: what runs in the group.

A small shell reads from a pipe whose other end only this process holds, so the pipe closes
whatever way this process ends. PR_SET_PDEATHSIG would not do: it reaches the guest's main process
only, whose helpers then live on (tried); it follows the thread that started the guest, not the
process; and it needs code run between fork and exec.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

_SCRIPT = """
read -r group && read -r released && exit 0
if [ -n "$group" ]; then kill -9 "-$group"; fi
rm -rf -- "$1"
"""


class Watchdog:
    """Watches over one guest; leaving the context releases it, dying does not."""

    def __init__(self, folder: Path) -> None:
        self._process = subprocess.Popen(
            ["/bin/sh", "-c", _SCRIPT, "ipvskit-lab-watchdog", str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            # Signals for this process's terminal or group must not reach the watchdog.
            start_new_session=True,
        )
        assert self._process.stdin is not None
        self._pipe = self._process.stdin.fileno()

    def guard(self, group: int) -> None:
        self._tell(f"{group}\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # Two lines whether or not a group was named: the second one is the release.
        self._tell("\n\n")
        self._process.communicate()

    def _tell(self, text: str) -> None:
        # A watchdog somebody killed must not turn a good run into a failure.
        with contextlib.suppress(BrokenPipeError):
            os.write(self._pipe, text.encode())
