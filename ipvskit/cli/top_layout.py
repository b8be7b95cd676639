"""How `top` looks: a view and the size of a terminal in, lines out.

Knows: columns, what is left out where there is no room, sparklines. Must not know: curses, keys, the kernel.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING, NamedTuple

from ipvskit.cli.tables import scaled

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ipvskit.cli.top_model import Numbers, Row, View

__all__ = ["ASCII", "UNICODE", "Glyphs", "Line", "Span", "Style", "layout", "plain", "sparkline"]


class Style(Enum):
    """What a piece of text is; how that looks is the terminal's."""

    PLAIN = auto()
    TITLE = auto()
    HEADER = auto()
    SORTED = auto()
    FAINT = auto()
    CURSOR = auto()
    ALERT = auto()


class Span(NamedTuple):
    """A piece of a line."""

    text: str
    style: Style = Style.PLAIN


Line = tuple[Span, ...]


class Glyphs(NamedTuple):
    """Characters that not every terminal has: heights of which the first is for 0, a cut, closed and open, highest or lowest first."""

    heights: str
    cut: str
    closed: str
    open: str
    highest: str
    lowest: str


UNICODE = Glyphs("▁▂▃▄▅▆▇█", "…", "▸", "▾", "↓", "↑")
ASCII = Glyphs("_.:-=+*#", "~", "+", "-", "v", "^")


class _Column(NamedTuple):
    title: str
    width: int


_COLUMNS = {
    "detail": _Column("HOW", 12),
    "weight": _Column("WEIGHT", 6),
    "active": _Column("ACTIVE", 6),
    "inactive": _Column("INACT", 6),
    "connections": _Column("CONN/S", 6),
    "in_packets": _Column("PKT/S IN", 8),
    "out_packets": _Column("PKT/S OUT", 9),
    "in_bytes": _Column("B/S IN", 6),
    "out_bytes": _Column("B/S OUT", 7),
}
#: What comes first where there is not room for all, behind the column that is sorted by.
_WORTH = (
    "active",
    "connections",
    "out_bytes",
    "history",
    "in_bytes",
    "weight",
    "in_packets",
    "inactive",
    "out_packets",
    "detail",
)
_NAME_TITLE = "SERVICE / REAL SERVER"
_NAME = 26
_LONGEST_NAME = 50
_HISTORY = 10
_LONGEST_HISTORY = 60
_GAP = 2
#: Rows from which on there is room for more than the table.
_ROOMY = 8

_KEYS = "q quit  h help  p pause  / filter  s sort  r reverse  enter open  a open all"
_HELP = (
    "up down, j k      choose a row; pages with page up, page down, home, end",
    "enter, blank      show or hide the real servers of the service",
    "a                 show or hide those of all",
    "s or right        sort by the next column; S or left: by the one before",
    "r                 the other way round",
    "/                 show what has this text only; enter ends it, escape forgets it",
    "p                 pause",
    "q                 quit",
    "",
    "Rates are the kernel's, averaged over 8 seconds. Lines on the right are the last minute of",
    "the column that is sorted by. Real servers that stand out have weight 0.",
)


def sparkline(values: Sequence[int], width: int, glyphs: Glyphs = UNICODE) -> str:
    """The last values as heights, the highest of them as the full height; what is not 0 is never as low as 0."""
    shown = values[-width:] if width > 0 else ()
    top, steps = max(shown, default=0), len(glyphs.heights) - 1
    heights = (-(-value * steps // top) if value > 0 else 0 for value in shown)
    return "".join(glyphs.heights[height] for height in heights).rjust(max(0, width))


# --- columns ------------------------------------------------------------------------------------------------------------------------


class _Plan(NamedTuple):
    """Which columns there is room for, and the widths of those that give and take."""

    name: int
    columns: tuple[str, ...]
    history: int


def _plan(view: View, width: int) -> _Plan:
    longest = max((len(_named(row, ASCII)) for row in view.rows), default=0)
    wanted = min(_LONGEST_NAME, max(longest, len(_NAME_TITLE)))
    name = min(wanted, _NAME)
    left, columns = width - name, set()
    for column in (view.sort, *_WORTH):
        needed = 0 if column == "name" else _GAP + (_HISTORY if column == "history" else _COLUMNS[column].width)
        if column not in columns and (needed <= left or column == view.sort):
            columns.add(column)
            left -= needed
    # What is left over goes to names first, and where there is too little they give.
    more = min(left, wanted - name)
    history = min(_LONGEST_HISTORY, _HISTORY + left - more) if "history" in columns else 0
    return _Plan(max(1, name + more), tuple(each for each in _COLUMNS if each in columns), history)


def _named(row: Row, glyphs: Glyphs) -> str:
    return f"    {row.name}" if row.is_real else f"{glyphs.open if row.is_open else glyphs.closed} {row.name}"


def _fit(text: str, width: int, glyphs: Glyphs) -> str:
    return text.ljust(width) if len(text) <= width else text[: width - 1] + glyphs.cut


def _cell(row: Row, column: str) -> str:
    width = _COLUMNS[column].width
    if column == "detail":
        return row.detail[:width].ljust(width)
    if column == "weight":
        return ("" if row.weight is None else scaled(row.weight)).rjust(width)
    return scaled(getattr(row.numbers, column)).rjust(width)


def _header(view: View, plan: _Plan, glyphs: Glyphs) -> Line:
    mark = glyphs.lowest if view.reverse is not (view.sort == "name") else glyphs.highest
    name = _fit(_NAME_TITLE + (f" {mark}" if view.sort == "name" else ""), plan.name, glyphs)
    spans = [Span(name, Style.SORTED if view.sort == "name" else Style.HEADER)]
    for column in plan.columns:
        title, width = _COLUMNS[column]
        is_sorted = column == view.sort
        text = title.ljust(width) if column == "detail" else title.rjust(width)
        # The mark stands in the gap.
        lead = " " * (_GAP + width - len(text.lstrip()) - 1) + mark + text.lstrip() if is_sorted else " " * _GAP + text
        spans.append(Span(lead, Style.SORTED if is_sorted else Style.HEADER))
    if plan.history:
        spans.append(Span(" " * _GAP + "LAST MINUTE"[: plan.history].rjust(plan.history), Style.HEADER))
    return tuple(spans)


def _line(row: Row, plan: _Plan, glyphs: Glyphs, chosen: bool, column: str = "") -> Line:
    """A row; `column` is the one whose last minute is shown."""
    cells = [_fit(_named(row, glyphs), plan.name, glyphs), *(_cell(row, column) for column in plan.columns)]
    text = (" " * _GAP).join(cells)
    style = Style.PLAIN
    if chosen:
        style = Style.CURSOR
    elif row.weight == 0:
        style = Style.ALERT
    elif row.is_real and not any(row.numbers):
        style = Style.FAINT
    spans = [Span(text, style)]
    if plan.history:
        values = [getattr(one, column) for one in row.history[-plan.history :]]
        line = " " * _GAP + sparkline(values, plan.history, glyphs)
        spans.append(Span(line, Style.CURSOR if chosen else Style.PLAIN))
    return tuple(spans)


# --- the whole ----------------------------------------------------------------------------------------------------------------------


def layout(view: View, width: int, height: int, glyphs: Glyphs = UNICODE) -> list[Line]:
    """At most `height` lines of at most `width` characters."""
    roomy = height >= _ROOMY
    head: list[Line] = [_title(view)]
    if roomy:
        head += [_totals(view.totals), _state(view)]
    elif view.typing or view.error:
        head = [_state(view)]
    foot: list[Line] = [(Span(_KEYS, Style.FAINT),)] if roomy else []
    if view.help:
        body: list[Line] = [(Span(text),) for text in _HELP]
    else:
        plan = _plan(view, width)
        head.append(_header(view, plan, glyphs))
        space = max(0, height - len(head) - len(foot))
        column = "connections" if view.sort == "name" else view.sort
        first = max(0, min(view.cursor - space // 2, len(view.rows) - space))
        body = [
            _line(row, plan, glyphs, first + place == view.cursor, column)
            for place, row in enumerate(view.rows[first : first + space])
        ]
        if not view.rows and space:
            body = [(Span(_nothing(view), Style.FAINT),)]
    space = max(0, height - len(head) - len(foot))
    body = body[:space]
    empty: list[Line] = [()] * (space - len(body)) if foot else []
    return [_cut(line, width) for line in [*head, *body, *empty, *foot][: max(0, height)]]


def _cut(line: Line, width: int) -> Line:
    spans, left = [], max(0, width)
    for span in line:
        if left <= 0:
            break
        spans.append(Span(span.text[:left], span.style))
        left -= len(span.text)
    return tuple(spans)


def _title(view: View) -> Line:
    shown = f"ipvskit top  {view.clock}  every {view.interval:g} s  {view.services} services, {view.reals} real servers"
    paused = (Span("  PAUSED", Style.ALERT),) if view.paused else ()
    return (Span(shown, Style.TITLE), *paused)


def _totals(numbers: Numbers) -> Line:
    shown = [scaled(number) for number in numbers]
    text = "{} active, {} inactive, {} connections/s, packets/s {} in, {} out, bytes/s {} in, {} out"
    return (Span(text.format(*shown)),)


def _state(view: View) -> Line:
    if view.typing:
        return (Span(f"filter: {view.filter}"), Span(" ", Style.CURSOR))
    if view.error:
        return (Span(view.error, Style.ALERT),)
    if view.stale:
        return (Span("counters stand still: estimation is off (sysctl net.ipv4.vs.run_estimation)", Style.ALERT),)
    return (Span(f"filter: {view.filter}  (escape forgets it)" if view.filter else ""),)


def _nothing(view: View) -> str:
    if view.services:
        return f"nothing has {view.filter!r} in it; escape forgets the filter"
    return "no virtual services"


def plain(view: View) -> Iterable[str]:
    """Lines for what is no terminal: a time, a header, the rows with all columns but the history."""
    plan = _plan(view, 1 << 16)._replace(history=0)
    totals = "".join(span.text for span in _totals(view.totals))
    yield f"{view.clock}  {view.services} services, {view.reals} real servers  {totals}"
    for line in [_header(view, plan, ASCII), *(_line(row, plan, ASCII, False) for row in view.rows)]:
        yield "".join(span.text for span in line).rstrip()
