"""What is on a screen as a picture (SVG).

Knows: characters and their attributes. Must not know: where they come from.
"""

from __future__ import annotations

from html import escape
from itertools import groupby
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyte
    from pyte.screens import Char

__all__ = ["drawn"]

_CELL, _LINE, _EDGE, _SIZE = 8.0, 18.0, 12.0, 13.3
_PAPER, _INK = "#17191f", "#d7dae0"
_COLOURS = {
    "black": "#3a3f4b", "red": "#e06c75", "green": "#98c379", "brown": "#e5c07b",
    "blue": "#61afef", "magenta": "#c678dd", "cyan": "#56b6c2", "white": "#d7dae0",
}  # fmt: skip


def drawn(screen: pyte.Screen, title: str) -> str:
    """The screen without the empty lines at its end. `title` is for those who do not see it."""
    rows = [[screen.buffer[y][x] for x in range(screen.columns)] for y in range(screen.lines)]
    while rows and not "".join(char.data for char in rows[-1]).strip():
        rows.pop()
    width, height = screen.columns * _CELL + 2 * _EDGE, len(rows) * _LINE + 2 * _EDGE
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" role="img">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{width:g}" height="{height:g}" rx="6" fill="{_PAPER}"/>',
        f'<g font-family="DejaVu Sans Mono, Menlo, Consolas, monospace" font-size="{_SIZE}" xml:space="preserve">',
    ]
    for number, row in enumerate(rows):
        parts += _row(row, _EDGE + number * _LINE)
    return "\n".join([*parts, "</g>", "</svg>"]) + "\n"


def _row(row: list[Char], top: float) -> list[str]:
    parts = []
    column = 0
    for looks, run in groupby(row, key=lambda char: char._replace(data="")):
        text = "".join(char.data for char in run)
        left, width = _EDGE + column * _CELL, len(text) * _CELL
        column += len(text)
        ink, paper = _COLOURS.get(looks.fg, _INK), _COLOURS.get(looks.bg, _PAPER)
        if looks.reverse:
            ink, paper = paper, ink
        if paper != _PAPER:
            parts.append(f'<rect x="{left:g}" y="{top:g}" width="{width:g}" height="{_LINE:g}" fill="{paper}"/>')
        if looks.underscore:
            under = top + _LINE - 2.5
            parts.append(f'<path d="M{left:g} {under:g}h{width:g}" stroke="{ink}" stroke-width="1"/>')
        parts += _words(text, left, top + _LINE - 5, f'fill="{ink}"' + (' font-weight="bold"' if looks.bold else ""))
    return parts


def _words(text: str, left: float, base: float, looks: str) -> list[str]:
    """Words at their places: a blank is as wide as the reader's font has it."""
    parts = []
    at = 0
    for blank, run in groupby(text, key=str.isspace):
        word = "".join(run)
        if not blank:
            place = f'x="{left + at * _CELL:g}" y="{base:g}" textLength="{len(word) * _CELL:g}"'
            parts.append(f"<text {place} {looks}>{escape(word)}</text>")
        at += len(word)
    return parts
