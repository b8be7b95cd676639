"""`ipvskit ipvsadm`: what ipvsadm(8) 1.31 of Debian does, with its options, its output, its messages and its exit statuses.

    ipvskit-ipvsadm -A -t 192.0.2.10:80 -s rr
    ipvskit-ipvsadm -Ln --stats
    ipvskit-ipvsadm -R < /etc/ipvsadm.rules

Text inside of this package has a character for every byte that came in or goes out (`ipvskit.cli.ipvsadm.output`): options, names and columns are
bytes to the tool. No module of it imports `typing`, `enum`, `dataclasses` or the library's values, because one short command is over sooner than
those are loaded: it makes packed requests and reads packed rows (`ipvskit.ipvs.layout`).

Knows: where the program begins. Must not know: what it does.
"""

from __future__ import annotations

# Type checkers know the name.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the words ask for (those of the command line unless given), in the calling thread's network namespace; returns the exit status."""
    from ipvskit.cli.ipvsadm.program import start

    return start(arguments)
