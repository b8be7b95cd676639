"""What is told of a command: errors and warnings, put together as libipset does.

Knows: how texts join. Must not know: where they go.
"""

from __future__ import annotations

__all__ = [
    "DONE",
    "ERROR",
    "NOTHING",
    "NOTICE",
    "OTHER",
    "PARAMETER",
    "SESSION",
    "WARNING",
    "Exit",
    "Failed",
    "Report",
    "Told",
]

NOTHING, WARNING, NOTICE, ERROR = range(4)
#: What kind of problem ends the program, which is its exit status; the session's own is told without an end of line, and ends it with 1.
DONE, OTHER, PARAMETER, SESSION = 0, 1, 2, 4
_ROOM = 1024


class Exit(Exception):
    """The program is over."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Failed(Exception):
    """The command cannot be done, and the report says why."""


class Told(Exception):
    """The command cannot be done, and that has been told; only an interactive program goes on."""


class Report:
    """Texts of errors, or else of warnings. In a file of commands (`line` is not 0) only the last error counts."""

    __slots__ = ("kind", "line", "text")

    def __init__(self) -> None:
        self.kind = NOTHING
        self.text = ""
        self.line = 0

    def reset(self) -> None:
        """Forget everything."""
        self.kind = NOTHING
        self.text = ""

    def add(self, kind: int, text: str) -> None:
        """Another one; what is less important goes."""
        if NOTHING < self.kind < kind:
            self.text = ""
        before = f"Error in line {self.line}: " if self.line and kind == ERROR else self.text
        raw = (before + text).encode("utf-8", "surrogateescape")[: _ROOM - 2]
        self.text = raw.decode("utf-8", "surrogateescape") + "\n"
        self.kind = kind
