"""What can be wrong with the lab itself, as opposed to the command it runs.

Knows: the texts, one clear line first. Must not know: apt, guests, the command line.
"""

from __future__ import annotations

CONSOLE_LINES = 24
# The kernel's first word on what killed it; what follows is the trace.
_FATAL = ("Kernel panic", "BUG:", "Oops")
_BOOTED = " as init process"


class LabError(Exception):
    """The lab is in trouble; the first line of ``str()`` says what is missing or went wrong."""

    @property
    def summary(self) -> str:
        """The first line."""
        return str(self).split("\n", 1)[0]


class KernelUnavailableError(LabError):
    """A packaged kernel could not be had; the others may well be."""

    def __init__(self, name: str, suite: str, why: str) -> None:
        super().__init__(f"kernel {name} (Debian {suite}) could not be had: {why}")
        self.name = name
        self.suite = suite
        self.why = why


class GuestError(LabError):
    """A guest did not boot, died, or ran out of time; ``output`` is what there was by then."""

    def __init__(self, kernel: str, what: str, console: str = "") -> None:
        tail = telling_lines(console)
        super().__init__(f"guest {kernel} {what}" + (f"\n{tail}" if tail else ""))
        self.what = what
        self.console = console
        self.output = b""


class NotBootedError(GuestError):
    """The guest's init was never reached."""


class GuestTimeoutError(GuestError):
    """The time limit ran out."""


def telling_lines(console: str, count: int = CONSOLE_LINES) -> str:
    """Pick the console's lines that may say what happened, fit for an error text.

    The last ones, but only what came after the boot, and from a panic on the first ones.
    """
    lines = [_clean(line) for line in console.replace("\r", "\n").split("\n")]
    lines = [line for line in lines if line]
    for at, line in enumerate(lines):
        if any(word in line for word in _FATAL):
            return _indented(lines[at : at + count])
    booted = [at for at, line in enumerate(lines) if line.endswith(_BOOTED)]
    return _indented(lines[booted[-1] + 1 :][-count:] if booted else lines[-count:])


def _clean(line: str) -> str:
    return "".join(char if char.isprintable() else " " for char in line).strip()


def _indented(lines: list[str]) -> str:
    return "\n".join(f"  | {line}" for line in lines)
