"""Where in a JSON text things are.

Knows: the tokens of JSON. Must not know: values, documents. It is only asked when something is wrong with the text.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from ipvskit.formats.problems import Path

__all__ = ["DEEPEST", "deep_line", "locate"]

#: No document goes deeper than six.
DEEPEST = 100

_PIECE = re.compile(r'\n|"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\],:]|[^\s{}\[\],:"]+', re.DOTALL)


@dataclass(slots=True)
class _Frame:
    """An object or list that the scanner is in."""

    path: Path
    keys: set[str] | None  # None: a list
    step: str | int = 0
    expects_key: bool = True


@dataclass(slots=True)
class Places:
    """Lines of what was asked for, and keys that came twice in one object, with the line of the second."""

    lines: dict[Path, int] = field(default_factory=dict)
    repeated: list[tuple[Path, int]] = field(default_factory=list)


def _pieces(text: str) -> Iterator[tuple[str, int]]:
    line = 1
    for match in _PIECE.finditer(text):
        piece = match[0]
        if piece == "\n":
            line += 1
        else:
            yield piece, line
            if piece[0] == '"':
                line += piece.count("\n")


def deep_line(text: str) -> int:
    """The line where the text is nested more deeply than any document, 0 if it is not."""
    depth = 0
    for piece, line in _pieces(text):
        depth += (piece in {"{", "["}) - (piece in {"}", "]"})
        if depth > DEEPEST:
            return line
    return 0


def locate(text: str, wanted: Collection[Path]) -> Places:
    """Where these are; of keys the line of the key. The text is known to be JSON."""
    places = Places()
    chosen = set(wanted)
    stack: list[_Frame] = []
    for piece, line in _pieces(text):
        frame = stack[-1] if stack else None
        if piece == ":":
            continue
        if piece == "," and frame is not None:
            _next(frame)
        elif piece in {"}", "]"} and stack:
            stack.pop()
        elif frame is not None and frame.keys is not None and frame.expects_key:
            _key(frame, piece, line, places, chosen)
        else:
            path = () if frame is None else (*frame.path, frame.step)
            if path in chosen and (frame is None or frame.keys is None):
                places.lines[path] = line
            if piece in {"{", "["}:
                stack.append(_Frame(path, set() if piece == "{" else None))
    return places


def _next(frame: _Frame) -> None:
    if isinstance(frame.step, int) and frame.keys is None:
        frame.step += 1
    frame.expects_key = True


def _key(frame: _Frame, piece: str, line: int, places: Places, chosen: Collection[Path]) -> None:
    name = json.loads(piece, strict=False)
    frame.step, frame.expects_key = name, False
    path = (*frame.path, name)
    if frame.keys is not None:
        if name in frame.keys:
            places.repeated.append((path, line))
        frame.keys.add(name)
    if path in chosen:
        places.lines[path] = line
