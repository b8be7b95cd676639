"""`ipvskit completion`: what a shell needs to complete words of this command line.

    source <(ipvskit completion bash)
    ipvskit completion zsh > ~/.zfunc/_ipvskit

Knows: which shells there are. Must not know: which commands there are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipvskit.cli.common import write_pieces
from ipvskit.cli.main import COMMANDS, DONE, parser_of

if TYPE_CHECKING:
    import argparse

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("shell", choices=("bash", "zsh"), help="the shell that is to complete")


def run(options: argparse.Namespace) -> int:
    """Print the script; returns the exit status."""
    from ipvskit.cli.completion_bash import bash_script
    from ipvskit.cli.completion_tree import tree
    from ipvskit.cli.completion_zsh import zsh_script

    root = tree(parser_of(*COMMANDS))
    write_pieces([bash_script(root) if options.shell == "bash" else zsh_script(root)], None)
    return DONE
