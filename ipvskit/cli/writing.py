"""States written in any form: what `ipvskit save` and `ipvskit convert` have in common.

Knows: forms and their names. Must not know: where a state comes from.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipvskit.cli.common import tell, write_pieces

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

    from ipvskit.formats import Contents

__all__ = ["FORMATS", "configure_writing", "format_of", "write_contents"]

FORMATS = ("json", "yaml", "ipvsadm", "ipset")


def configure_writing(parser: argparse.ArgumentParser) -> None:
    """Declare where to write, and how."""
    parser.add_argument(
        "--format", choices=FORMATS, help="the form of the text (default: by the end of the output's name, otherwise json)"
    )  # fmt: skip
    parser.add_argument(
        "-o", "--output", metavar="FILE", help="a file, replaced at once and whole (default: standard output)"
    )


def format_of(options: argparse.Namespace) -> str:
    """The form that is meant."""
    if options.format is not None:
        return str(options.format)
    return "yaml" if str(options.output or "").endswith((".yaml", ".yml")) else "json"


def write_contents(contents: Contents, options: argparse.Namespace) -> None:
    """Write it; what the form cannot say is told. Raises OSError."""
    from ipvskit import formats

    lost: Iterable[str] = ()
    pieces: Iterable[str]
    match format_of(options):
        case "yaml":
            pieces = formats.write_yaml_pieces(contents)
        case "ipvsadm":
            text, lost = formats.write_ipvsadm(contents)
            pieces = (text,)
        case "ipset":
            pieces, lost = formats.write_ipset(contents)
        case _:
            pieces = formats.write_json_pieces(contents)
    write_pieces(pieces, options.output)
    tell(lost)
