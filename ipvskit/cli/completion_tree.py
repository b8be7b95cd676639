"""The words of the command line, as its parsers have them: what completion offers where.

Knows: argparse's parsers. Must not know: any shell.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Kind", "Node", "Option", "Value", "tree"]


class Kind(Enum):
    """What a value is."""

    #: Nothing that could be offered.
    TEXT = "text"
    WORDS = "words"
    FILE = "file"
    NETNS = "netns"


@dataclass(frozen=True, slots=True)
class Value:
    """What stands behind an option, or by itself: `name` is what help calls it."""

    name: str
    kind: Kind
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Option:
    """An option: its names, what it does, the value behind it (None: there is none), whether it may be repeated."""

    names: tuple[str, ...]
    help: str
    value: Value | None
    repeated: bool


@dataclass(frozen=True, slots=True)
class Node:
    """A command, by the words that lead to it: its options, its values, the commands below it. `foreign` has words of its own."""

    path: tuple[str, ...]
    help: str
    options: tuple[Option, ...]
    values: tuple[tuple[Value, bool], ...]
    nodes: tuple[Node, ...]
    foreign: bool = False

    def all(self) -> Iterator[Node]:
        """It, and everything below."""
        yield self
        for node in self.nodes:
            yield from node.all()


def tree(parser: argparse.ArgumentParser, path: tuple[str, ...] = (), help: str = "") -> Node:  # noqa: A002 - its own name
    """A parser and those of its commands. A command without options, not even --help, has words of its own."""
    options: list[Option] = []
    values: list[tuple[Value, bool]] = []
    nodes: list[Node] = []
    actions = parser._actions  # noqa: SLF001 - argparse has no other way to ask
    for action in actions:
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 - the same
            nodes += [tree(one, (*path, name), one.description or "") for name, one in action.choices.items()]
        elif action.option_strings:
            value = None if action.nargs == 0 else _value(action)
            repeated = isinstance(action, argparse._AppendAction)  # noqa: SLF001 - the same
            options.append(Option(tuple(action.option_strings), action.help or "", value, repeated))
        else:
            values.append((_value(action), action.nargs in {"*", "+"}))
    return Node(path, help, tuple(options), tuple(values), tuple(nodes), not options)


def _value(action: argparse.Action) -> Value:
    name = str(action.metavar or action.dest)
    if action.choices is not None:
        return Value(name, Kind.WORDS, tuple(map(str, action.choices)))
    if name == "NETNS":
        return Value(name, Kind.NETNS)
    return Value(name, Kind.FILE if name.startswith("FILE") or "." in name else Kind.TEXT)
