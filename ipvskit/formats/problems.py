"""Collecting what is wrong, so that all of it is told at once.

Knows: paths into a document. Must not know: which documents there are, lines (whoever has the text adds them).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from ipvskit.errors import Fault, InvalidConfig, InvalidState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

__all__ = ["Path", "Problem", "Problems", "attempt", "line_of", "nearest", "path_text", "reason", "shown"]

T = TypeVar("T")

#: Keys and places in lists, from the document's top.
Path = tuple[str | int, ...]

_LONGEST = 60
_DIGITS = 30
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong. `quoted`: a text was expected where something else stands, and quotes would make it one."""

    path: Path
    message: str
    quoted: bool = False


@dataclass(slots=True)
class Problems:
    """What has been found to be wrong until now."""

    found: list[Problem] = field(default_factory=list)

    def add(self, path: Path, message: str, *, quoted: bool = False) -> None:
        """One more."""
        self.found.append(Problem(path, message, quoted))

    def error(self, lines: Mapping[Path, int]) -> InvalidState:
        """All of them, with the lines that are known, in the order of these."""
        faults = [Fault(path_text(each.path), line_of(each.path, lines), each.message) for each in self.found]
        return InvalidState(sorted(faults, key=lambda fault: fault.line))


def line_of(path: Path, lines: Mapping[Path, int]) -> int:
    """The line of what the path leads to, or else of what it is in; 0 where there are none."""
    for length in range(len(path), -1, -1):
        if path[:length] in lines:
            return lines[path[:length]]
    return 0


def path_text(path: Path) -> str:
    """`services[3].reals[0].weight`; keys that are no names stand in brackets and quotes."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif _NAME.fullmatch(step):
            text += f".{step}" if text else step
        else:
            text += f"[{shown(step)}]"
    return text


def shown(value: object) -> str:
    """What was given, as a file has it, and short."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list | tuple | set):
        return "a list"
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, int):
        # Numbers of thousands of digits have no text in Python.
        return str(value) if abs(value) < 10**_DIGITS else f"a number of {value.bit_length()} bits"
    if isinstance(value, str):
        text = json.dumps(value[:_LONGEST], ensure_ascii=not value.isprintable())
        return text if len(value) <= _LONGEST else f"{text}..."
    return str(value)[:_LONGEST]


def reason(error: InvalidConfig, path: Path) -> str:
    """The error in words, without the name of the field that the path ends with."""
    told = f"{shown(error.value)} is not usable: {error.expected}"
    return told if path and path[-1] == error.field else f"{error.field}: {told}"


def attempt(make: Callable[[], T], problems: Problems, place: Callable[[str], Path]) -> T | None:
    """What `make` makes; None where that cannot be, with the problem at the place of the field that is wrong."""
    try:
        return make()
    except InvalidConfig as error:
        path = place(error.field)
        problems.add(path, reason(error, path))
    except UnicodeError:
        problems.add(place(""), "has characters that there are not in UTF-8")
    return None


def nearest(word: str, known: Iterable[str]) -> str:
    """`did you mean "weight"?`, or all that is known where nothing is near."""
    from difflib import get_close_matches

    names = list(known)
    found = get_close_matches(word[:_LONGEST], names, n=1, cutoff=0.6)
    return f'did you mean "{found[0]}"?' if found else "known are " + ", ".join(names)
