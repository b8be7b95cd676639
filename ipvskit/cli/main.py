"""Where the command line begins.

Knows: which commands there are, exit statuses, how an error is told. Must not know: what any command does.

Exit statuses: 0 nothing to do or done, 1 an error, 2 changes pending (`plan`) or a wrong use of the command line.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from importlib import import_module
from typing import TYPE_CHECKING, NoReturn, Protocol, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["DONE", "ERROR", "PENDING", "USAGE", "UsageError", "main", "parser_of"]

DONE, ERROR, PENDING, USAGE = 0, 1, 2, 2


class Command(Protocol):
    """What a command's module has."""

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Declare its options."""

    def run(self, options: argparse.Namespace) -> int:
        """Do it; returns the exit status."""


class UsageError(Exception):
    """The command line itself is wrong."""


#: Commands by name: module, and what they do.
COMMANDS = {
    "show": ("ipvskit.cli.show", "what the kernel has: services, real servers, sets, devices"),
    "plan": ("ipvskit.cli.plan", "what would be changed to match a file"),
    "apply": ("ipvskit.cli.apply", "make the kernel match a file"),
    "drain": ("ipvskit.cli.drain", "take a real server out without cutting its connections"),
    "save": ("ipvskit.cli.save", "the present state, as a file that apply takes"),
    "convert": ("ipvskit.cli.convert", "a state file in another form"),
    "kube": ("ipvskit.cli.kube", "Kubernetes Services and EndpointSlices as a node's IPVS state"),
    "top": ("ipvskit.cli.top", "live rates and connections of services and real servers"),
    "doctor": ("ipvskit.cli.doctor", "what this kernel has, and what will bite"),
    "metrics": ("ipvskit.cli.metrics", "numbers for Prometheus, once or over HTTP"),
    "completion": ("ipvskit.cli.completion", "a script for bash or zsh that completes words of this command line"),
}

#: Programs with a command line of their own, which gets all words behind the name.
PROGRAMS: dict[str, tuple[str, str]] = {
    "ipset": ("ipvskit.cli.ipset", "sets of addresses, as the program ipset has it"),
    "ipvsadm": ("ipvskit.cli.ipvsadm", "virtual services, as the program ipvsadm has it"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that the words name; returns the exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    netns, rest = _netns_before(words)
    if rest and rest[0] in PROGRAMS:
        program: Callable[[Sequence[str]], int] = import_module(PROGRAMS[rest[0]][0]).main
        return told(lambda: _inside(netns, lambda: program(rest[1:])))
    if arguments is None:
        # The process is ours: whoever stops reading ends it quietly.
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    parser = parser_of(*_command(words))
    options = parser.parse_args(words)
    if options.command is None:
        parser.print_help()
        return USAGE
    return told(lambda: cast("Command", import_module(COMMANDS[options.command][0])).run(options))


def _command(words: Sequence[str]) -> list[str]:
    """The first word that is no option of ours, if it names a command: only its module is imported."""
    rest = iter(words)
    for word in rest:
        if word in _NETNS:
            next(rest, None)
        elif not word.startswith("-"):
            return [word] if word in COMMANDS else []
    return []


_NETNS = ("-n", "--netns")


def _netns_before(words: Sequence[str]) -> tuple[str | None, Sequence[str]]:
    """The network namespace that is named before anything else, and the words behind it."""
    if len(words) > 1 and words[0] in _NETNS:
        return words[1], words[2:]
    if words and words[0].startswith("--netns="):
        return words[0].partition("=")[2], words[1:]
    return None, words


def _inside(netns: str | None, run: Callable[[], int]) -> int:
    """In this network namespace: the programs' own way is that of the process."""
    if netns is not None:
        from ipvskit import _native
        from ipvskit.netns import NetNS

        with NetNS.of(int(netns) if netns.isdigit() else netns) as opened:
            _native.netns_enter(opened.fileno())
    return run()


def parser_of(*configured: str) -> argparse.ArgumentParser:
    """The parser with all commands, of which these have their options."""
    parser = argparse.ArgumentParser(
        prog="ipvskit", description="IPVS and ipset: see, plan, apply.", allow_abbrev=False
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version")
    _add_netns(parser, None)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for each, (module, what) in COMMANDS.items():
        one = commands.add_parser(each, help=what, description=what[:1].upper() + what[1:] + ".", allow_abbrev=False)
        # Where it is not given, what stands before the command stays.
        _add_netns(one, argparse.SUPPRESS)
        if each in configured:
            cast("Command", import_module(module)).configure(one)
    for each, (_, what) in PROGRAMS.items():
        commands.add_parser(each, help=what, add_help=False)
    return parser


def _add_netns(parser: argparse.ArgumentParser, default: str | None) -> None:
    what = "network namespace: a name, a path or a process id (default: its own)"
    parser.add_argument(*_NETNS, metavar="NETNS", default=default, help=what)


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        from importlib.metadata import version

        print(f"ipvskit {version('ipvskit')}")  # noqa: T201 - what it is for
        parser.exit()


def told(run: Callable[[], int]) -> int:
    """Its exit status; what it raises becomes a line on standard error. `IPVSKIT_TRACEBACK=1` shows where it came from."""
    from ipvskit.errors import IpvskitError

    try:
        status = run()
        # Here, where it can be told: what is left in the buffer at the end of the program fails with a traceback.
        sys.stdout.flush()
    except KeyboardInterrupt as interrupt:
        # What was done until then, if anybody has said so.
        print(*getattr(interrupt, "__notes__", ()), sep="\n", end="\n", file=sys.stderr)  # noqa: T201
        return 128 + signal.SIGINT
    except (IpvskitError, UsageError, OSError, UnicodeError, ImportError) as error:
        if os.environ.get("IPVSKIT_TRACEBACK"):
            raise
        print("\n".join([f"ipvskit: {_words(error)}", *getattr(error, "__notes__", ())]), file=sys.stderr)  # noqa: T201
        _settle_output()
        return USAGE if isinstance(error, UsageError) else ERROR
    return status


def _settle_output() -> None:
    """What nobody takes goes nowhere."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _words(error: Exception) -> str:
    from ipvskit.errors import KernelError

    if isinstance(error, OSError) and not isinstance(error, KernelError) and error.strerror:
        # Of the system's own errors the number says nothing to a reader.
        return error.strerror if error.filename is None else f"{error.filename}: {error.strerror}"
    return str(error)
