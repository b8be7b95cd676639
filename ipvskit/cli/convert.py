"""`ipvskit convert`: a state file in another form.

    ipvskit convert /etc/ipvsadm.rules --format yaml -o services.yaml

Knows: one file in, one text out. Must not know: the kernel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipvskit.cli.common import read_state
from ipvskit.cli.main import DONE
from ipvskit.cli.progress import Progress
from ipvskit.cli.writing import configure_writing, write_contents

if TYPE_CHECKING:
    import argparse

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "file", metavar="FILE", help="JSON, YAML, or what `ipvsadm --save` or `ipset save` write; - is standard input"
    )
    configure_writing(parser)


def run(options: argparse.Namespace) -> int:
    """Write it; returns the exit status."""
    with Progress("reading"):
        contents = read_state(options.file).contents()
    write_contents(contents, options)
    return DONE
