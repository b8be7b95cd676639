"""The command line of ipvsadm(8), taken apart.

Knows: commands, options and their spellings. Must not know: what they mean for a table of services (`ipvskit.formats.ipvsadm`).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ipvskit.errors import InvalidConfig
from ipvskit.formats.problems import nearest

__all__ = ["Line", "check", "take_apart"]

#: Commands by their long names: the letter, and how many arguments there are.
_COMMANDS = {
    "add-service": ("A", 0),
    "edit-service": ("E", 0),
    "delete-service": ("D", 0),
    "clear": ("C", 0),
    "add-server": ("a", 0),
    "edit-server": ("e", 0),
    "delete-server": ("d", 0),
    "zero": ("Z", 0),
    "set": ("", 3),
    "start-daemon": ("", 1),
    "stop-daemon": ("", 1),
}
_ON_SERVICES = ("add-service", "edit-service")
_ON_REALS = ("add-server", "edit-server")
_ON_ANY = (*_ON_SERVICES, "delete-service", *_ON_REALS, "delete-server", "zero")
_ON_DAEMONS = ("start-daemon", "stop-daemon")

#: Options by their long names: letters, whether there is a value ("no", "perhaps", "yes"), and the commands that they go with.
_OPTIONS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "tcp-service": ("t", "yes", _ON_ANY),
    "udp-service": ("u", "yes", _ON_ANY),
    "sctp-service": ("", "yes", _ON_ANY),
    "fwmark-service": ("f", "yes", _ON_ANY),
    "ipv6": ("6", "no", _ON_ANY),
    "scheduler": ("s", "yes", _ON_SERVICES),
    "persistent": ("p", "perhaps", _ON_SERVICES),
    "netmask": ("M", "yes", _ON_SERVICES),
    "pe": ("", "yes", _ON_SERVICES),
    "ops": ("oO", "no", _ON_SERVICES),
    "sched-flags": ("b", "yes", _ON_SERVICES),
    "real-server": ("r", "yes", (*_ON_REALS, "delete-server")),
    "gatewaying": ("g", "no", _ON_REALS),
    "ipip": ("i", "no", _ON_REALS),
    "masquerading": ("m", "no", _ON_REALS),
    "weight": ("w", "yes", _ON_REALS),
    "u-threshold": ("x", "yes", _ON_REALS),
    "l-threshold": ("y", "yes", _ON_REALS),
    "tun-type": ("", "yes", _ON_REALS),
    "tun-port": ("", "yes", _ON_REALS),
    "tun-nocsum": ("", "no", _ON_REALS),
    "tun-csum": ("", "no", _ON_REALS),
    "tun-remcsum": ("", "no", _ON_REALS),
    "syncid": ("", "yes", _ON_DAEMONS),
    "sync-maxlen": ("", "yes", _ON_DAEMONS),
    "mcast-interface": ("", "yes", _ON_DAEMONS),
    "mcast-group": ("", "yes", _ON_DAEMONS),
    "mcast-port": ("", "yes", _ON_DAEMONS),
    "mcast-ttl": ("", "yes", _ON_DAEMONS),
}
_SHORT = {name: row[0] for name, row in _COMMANDS.items()} | {name: row[0] for name, row in _OPTIONS.items()}
_LETTERS = {letter: name for name, letters in _SHORT.items() for letter in letters}
#: Of each of these at most one.
_ALTERNATIVES = (
    ("tcp-service", "udp-service", "sctp-service", "fwmark-service"),
    ("gatewaying", "ipip", "masquerading"),
    ("tun-nocsum", "tun-csum", "tun-remcsum"),
)


@dataclass(slots=True)
class Line:
    """A command with its options, all by their long names; options without a value have ""."""

    command: str = ""
    options: dict[str, str] = field(default_factory=dict)
    arguments: list[str] = field(default_factory=list)


def take_apart(text: str) -> Line:
    """The command, options and arguments of a line, in whatever order they stand. Raises InvalidConfig."""
    words = text.split()[::-1]
    if words[-1:] == ["ipvsadm"]:
        words.pop()
    line = Line()
    while words:
        word = words.pop()
        if word.startswith("--"):
            name, equals, value = word[2:].partition("=")
            _take(line, word, name, value if equals else None, words)
        elif word.startswith("-") and len(word) > 1:
            _take_letters(line, word, words)
        else:
            line.arguments.append(word)
    return line


def _take_letters(line: Line, word: str, words: list[str]) -> None:
    """`-A`, several letters in one word, and a value right behind its letter."""
    rest = word[1:]
    while rest:
        letter, rest = rest[0], rest[1:]
        name = _LETTERS.get(letter)
        if name is None:
            raise InvalidConfig(
                "option", f"-{letter}", "an option of ipvsadm(8): " + " ".join(f"-{one}" for one in _LETTERS)
            )
        if name in _OPTIONS and _OPTIONS[name][1] != "no":
            _take(line, f"-{letter}", name, rest.removeprefix("=") or None, words)
            return
        _take(line, f"-{letter}", name, None, words)


def _take(line: Line, word: str, name: str, value: str | None, words: list[str]) -> None:
    if name in _COMMANDS:
        if line.command:
            raise InvalidConfig("command", word, f"left out: {line.command} is there already")
        line.command = name
        return
    if name not in _OPTIONS:
        raise InvalidConfig("option", f"--{name}", "an option of ipvsadm(8); " + nearest(name, [*_COMMANDS, *_OPTIONS]))
    kind = _OPTIONS[name][1]
    if name in line.options or (kind == "no" and value is not None):
        raise InvalidConfig("option", word, "given once" if value is None or kind != "no" else "without a value")
    if value is None and (kind == "yes" or (kind == "perhaps" and words and not words[-1].startswith("-"))):
        if not words:
            raise InvalidConfig("option", word, "with a value behind it")
        value = words.pop()
    line.options[name] = value or ""


def check(line: Line) -> None:
    """Whether all of that goes together. Raises InvalidConfig."""
    if not line.command:
        expected = "a command that changes the table: " + ", ".join(f"--{name}" for name in _COMMANDS)
        raise InvalidConfig("command", " ".join(line.arguments), expected)
    count = _COMMANDS[line.command][1]
    if len(line.arguments) != count:
        expected = f"{count or 'nothing'} beside the options of {line.command} (a comment has a line of its own)"
        raise InvalidConfig("arguments", " ".join(line.arguments), expected)
    for name in line.options:
        if line.command not in _OPTIONS[name][2]:
            raise InvalidConfig("option", f"--{name}", f"left out: {line.command} does not have it")
    for names in _ALTERNATIVES:
        stated = [name for name in names if name in line.options]
        if len(stated) > 1:
            raise InvalidConfig("option", f"--{stated[1]}", f"left out, because --{stated[0]} is there")
