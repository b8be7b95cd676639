"""A command line to what it asks for.

Knows: what is looked at first, and what ends where. Must not know: what options mean.
"""

from __future__ import annotations

from ipvskit.cli.ipvsadm import popt
from ipvskit.cli.ipvsadm.entry import VALUES, Entry, timeout
from ipvskit.cli.ipvsadm.options import COMMANDS, FULL_NAMES, LONG, SHORT, check_command
from ipvskit.cli.ipvsadm.outcome import Failed, Refused, TryHelp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["PROGRAM", "parse"]

#: What the program calls itself.
PROGRAM = "ipvsadm"


def parse(words: Sequence[str]) -> tuple[Entry, set[str]]:
    """What the words behind the program's name ask for, and the full names of the options given. Raises Finished, Refused."""
    reader = popt.Words(words, LONG, SHORT)
    entry, given = Entry(), set[str]()
    _take_command(reader, entry)
    if entry.command in ("help", "version"):
        return entry, given
    try:
        while (found := reader.option()) is not None:
            _take(entry, given, reader.bad, *found)
    except popt.BadWord as error:
        raise Refused(f"{error.word}: {error.reason}") from None
    _take_arguments(entry, reader.arguments)
    entry.read_flags()
    check_command(entry.command, given)
    entry.settle(given)
    return entry, given


def _take_command(reader: popt.Words, entry: Entry) -> None:
    """The command comes first."""
    try:
        found = reader.option()
    except popt.BadWord:
        found = None
    if found is None or found[0] not in COMMANDS:
        raise TryHelp(PROGRAM)
    entry.command, value = found
    if value is not None:
        VALUES[entry.command](entry, value)


def _take(entry: Entry, given: set[str], word: str, name: str, value: str | None) -> None:
    if name in COMMANDS:
        raise Failed(f"invalid option `{word}'")
    full = FULL_NAMES.get(name)
    if full is not None:
        if full in given:
            raise Failed(f"multiple '{full}' options specified")
        given.add(full)
    VALUES[name](entry, value)


def _take_arguments(entry: Entry, arguments: Sequence[str]) -> None:
    """The words that are no options: none, but for `--set`."""
    if entry.command == "set":
        if len(arguments) < len(entry.timeouts):
            raise Failed("--set option requires 3 timeout values")
        tcp, tcp_fin, udp, *arguments = arguments
        entry.timeouts = timeout(tcp, 0), timeout(tcp_fin, 0), timeout(udp, 0)
    if arguments:
        raise Failed(f"unexpected argument {arguments[0]}")
