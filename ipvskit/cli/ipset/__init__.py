"""`ipvskit ipset`, also `ipvskit-ipset`: what the ipset program takes and prints, on this library.

Knows: where the program is. Must not know: anything that takes time to import.
"""

from __future__ import annotations

# This is loaded for every command: no `typing`. Type checkers know the name.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command of ipset; the words of the process by default. Returns the exit status."""
    import sys

    from ipvskit.cli.ipset.program import run

    try:
        return run(list(sys.argv[1:] if arguments is None else arguments))
    except BrokenPipeError:
        # Nobody reads on: ipset ends by the signal.
        import os
        import signal

        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGPIPE)
        raise
