"""What can be wrong with the lab itself, as opposed to the command it runs.

Knows: the texts, one clear line first. Must not know: apt, guests, the command line.
"""

from __future__ import annotations

CONSOLE_LINES = 20


class LabError(Exception):
    """The lab is in trouble; the first line of ``str()`` says what is missing or went wrong."""

    @property
    def summary(self) -> str:
        return str(self).split("\n", 1)[0]


class KernelUnavailable(LabError):
    """A packaged kernel could not be had; the others may well be."""

    def __init__(self, name: str, suite: str, why: str) -> None:
        super().__init__(f"kernel {name} (Debian {suite}) could not be had: {why}")
        self.name = name
        self.suite = suite
        self.why = why


class GuestError(LabError):
    """A guest did not boot, died, or ran out of time."""

    def __init__(self, kernel: str, what: str, console: str = "", output: bytes = b"") -> None:
        tail = last_lines(console)
        super().__init__(f"guest {kernel} {what}" + (f"\n{tail}" if tail else ""))
        self.what = what
        self.console = console
        self.output = output


class GuestNotBooted(GuestError):
    """The guest's init was never reached."""


class GuestTimeout(GuestError):
    """The time limit ran out; ``output`` is what the command had written by then."""


def last_lines(console: str, count: int = CONSOLE_LINES) -> str:
    """The console's last lines, fit for an error text: no control characters, no empty lines."""
    lines = (clean_line(line) for line in console.replace("\r", "\n").split("\n"))
    return "\n".join(f"  | {line}" for line in [line for line in lines if line][-count:])


def clean_line(line: str) -> str:
    return "".join(char if char.isprintable() else " " for char in line).strip()
