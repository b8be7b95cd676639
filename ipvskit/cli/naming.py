"""Which of many things are meant by the names on a command line.

Knows: names, patterns, the texts by which a thing is known. Must not know: what the things are.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, TypeVar

from ipvskit.cli.common import Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

__all__ = ["choose", "is_pattern", "matches"]

T = TypeVar("T")


def is_pattern(name: str) -> bool:
    """Whether a name stands for several."""
    return "*" in name or "?" in name


def matches(name: str, texts: Iterable[str]) -> bool:
    """Whether one of the texts is meant: `*` stands for anything, `?` for one character; brackets, which IPv6 addresses have, for themselves."""
    if not is_pattern(name):
        return name in texts
    pattern = name.replace("[", "[[]")
    return any(fnmatchcase(text, pattern) for text in texts)


def choose(things: Iterable[T], names: Sequence[str], texts: Callable[[T], Iterable[str]], what: str) -> list[T]:
    """Those that a name means, in their own order; all where there are no names. Raises Refused for a name that means none."""
    if not names:
        return list(things)
    known = [(thing, tuple(texts(thing))) for thing in things]
    for name in names:
        if not any(matches(name, each) for _, each in known):
            raise Refused(f"there is no {what} {name}")
    return [thing for thing, each in known if any(matches(name, each) for name in names)]
