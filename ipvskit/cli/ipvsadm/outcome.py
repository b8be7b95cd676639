"""How a command ends before its time.

Knows: exit statuses and messages. Must not know: what led to them.
"""

from __future__ import annotations

__all__ = ["REFUSED", "WRONG", "Failed", "Finished", "Refused", "TryHelp"]

#: Exit statuses: what was asked for is wrong; the kernel refused it, or words that cannot be read.
WRONG, REFUSED = 2, 255


class Finished(Exception):
    """The program ends here, with this status. The message, if any, goes to standard error."""

    def __init__(self, status: int, message: str = "") -> None:
        super().__init__(status, message)
        self.status = status
        self.message = message


class Failed(Finished):
    """What was asked for is wrong."""

    def __init__(self, message: str, status: int = WRONG) -> None:
        super().__init__(status, message)


class TryHelp(Finished):
    """There is no command among the words."""

    def __init__(self, program: str) -> None:
        super().__init__(REFUSED, f"Try `{program} -h' or '{program} --help' for more information.")


class Refused(Exception):
    """This command failed with a message; when restoring, the next line follows."""
