"""`ipvskit top`: live rates and connections of services and real servers.

    ipvskit top
    ipvskit top --sort in_bytes --filter 192.0.2.10
    ipvskit top --count 3 > lines

Knows: options, when to look. Must not know: what is shown how.
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import TYPE_CHECKING

from ipvskit.cli.common import kernel_of, say, tell
from ipvskit.cli.main import DONE
from ipvskit.errors import ClosedError, IpvskitError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipvskit.cli.top_model import Top
    from ipvskit.kernel import Kernel

__all__ = ["configure", "run"]

_SHORTEST = 0.1


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    from ipvskit.cli.top_model import SORTS

    parser.add_argument(
        "--interval", type=_seconds, default=2.0, metavar="SECONDS", help="how often to look (default: 2, as often as the kernel counts)"
    )  # fmt: skip
    parser.add_argument("--count", type=_count, metavar="N", help="end after so many looks (default: never)")
    parser.add_argument("--sort", choices=SORTS, default="connections", help="begin with this column")
    parser.add_argument("--reverse", action="store_true", help="the least first")
    parser.add_argument(
        "--filter", default="", metavar="TEXT", help="services and real servers that have this in their names"
    )
    parser.add_argument("--expand", action="store_true", help="begin with the real servers of all services")
    parser.add_argument(
        "--lines", action="store_true", help="print lines, as when the output is no terminal, and no picture"
    )


def _seconds(text: str) -> float:
    value = float(text)
    if not _SHORTEST <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a number of seconds from {_SHORTEST} on")
    return value


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a number from 1 on")
    return value


def run(options: argparse.Namespace) -> int:
    """Show it until interrupted; returns the exit status."""
    from ipvskit.cli.top_model import Top

    top = Top(options.interval, sort=options.sort, filter=options.filter, expand=options.expand)
    top.reverse = options.reverse
    with kernel_of(options) as kernel:
        look = _looking(kernel, top)
        try:
            if options.lines or not _has_screen():
                _print(top, look, options.count)
            else:
                from ipvskit.cli.top_screen import show

                show(top, look, options.count)
        except KeyboardInterrupt:
            pass  # the way to end it
    return DONE


def _has_screen() -> bool:
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return False
    from ipvskit.cli.top_screen import usable

    return usable()


def _looking(kernel: Kernel, top: Top) -> Callable[[], None]:
    """Gives it new numbers. What goes wrong at the first look is raised; later it is told, and looking goes on."""
    seen = False

    def look() -> None:
        nonlocal seen
        try:
            top.take(kernel.ipvs.status(), kernel.ipvs.totals(), time.strftime("%H:%M:%S"))
        except ClosedError:
            raise
        except IpvskitError as error:
            if not seen:
                raise
            top.error = str(error)
        seen = True

    return look


def _print(top: Top, look: Callable[[], None], count: int | None) -> None:
    from ipvskit.cli.top_layout import plain

    left = count
    due = time.monotonic()
    while True:
        look()
        if top.error:
            tell([top.error])
        else:
            say("\n".join([*plain(top.view()), ""]))
            sys.stdout.flush()
        left = None if left is None else left - 1
        if left == 0:
            return
        due += top.interval
        time.sleep(max(0.0, due - time.monotonic()))
