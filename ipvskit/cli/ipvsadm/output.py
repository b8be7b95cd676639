"""Standard output and standard error, a character for every byte.

Knows: streams. Must not know: what is written.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO

__all__ = ["Output", "characters"]


def characters(text: str) -> str:
    """What the system gave us as text, with a character for every byte."""
    return text if text.isascii() else text.encode(errors="surrogateescape").decode("latin-1")


class Output:
    """Where a program writes: what it prints goes out when there is enough of it, at its end, or at once on a terminal; messages go out at once."""

    def out(self, text: str) -> None:
        """Print. Raises BrokenPipeError."""
        _write(sys.stdout, text)

    def err(self, line: str) -> None:
        """Say a line on standard error."""
        _write(sys.stderr, line + "\n", at_once=True)

    def flush(self) -> None:
        """Let everything out. Raises BrokenPipeError."""
        _write(sys.stdout, "", at_once=True)


def _write(stream: TextIO | None, text: str, *, at_once: bool = False) -> None:
    if stream is None:
        return
    raw = getattr(stream, "buffer", None)
    if raw is None:
        stream.write(text)
        return
    try:
        stream.flush()
        raw.write(text.encode("latin-1"))
        if at_once or stream.isatty():
            raw.flush()
    except BrokenPipeError:
        raise
    except OSError:
        # The tool does not notice that its output goes nowhere (a full disk); the interpreter would, at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
