"""`ipvskit ipset`, also `ipvskit-ipset`: what the ipset program takes and prints, on this library.

Knows: where the program is. Must not know: anything that takes time to import.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command of ipset; the words of the process by default. Returns the exit status."""
    import signal
    import sys
    from contextlib import suppress

    from ipvskit.cli.ipset.program import run

    with suppress(ValueError):
        # As ipset ends when nobody reads on. Only a main thread may say so, and there is none else in a program.
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    return run(list(sys.argv[1:] if arguments is None else arguments))
