"""`top` on a terminal.

Knows: curses. Must not know: what is shown (`top_layout`), what keys do (`top_model`).
"""

from __future__ import annotations

import contextlib
import curses
import locale
import os
import signal
import time
from typing import TYPE_CHECKING, NoReturn

from ipvskit.cli.top_layout import ASCII, UNICODE, Style, layout

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipvskit.cli.top_layout import Line
    from ipvskit.cli.top_model import Top

__all__ = ["show", "usable"]

_ESCAPE_DELAY = 25  # milliseconds until an escape is no longer the beginning of another key
_FRAME = 6  # lines that are no rows
_NAMES = {
    curses.KEY_UP: "up",
    curses.KEY_DOWN: "down",
    curses.KEY_LEFT: "left",
    curses.KEY_RIGHT: "right",
    curses.KEY_PPAGE: "pageup",
    curses.KEY_NPAGE: "pagedown",
    curses.KEY_HOME: "home",
    curses.KEY_END: "end",
    curses.KEY_ENTER: "enter",
    curses.KEY_BACKSPACE: "backspace",
}
_CHARACTERS = {"\n": "enter", "\r": "enter", "\x1b": "escape", "\x7f": "backspace", "\b": "backspace"}


def usable() -> bool:
    """Whether the terminal can be written to anywhere: one that is not known, or a dumb one, cannot."""
    try:
        curses.setupterm()
    except curses.error:
        return False
    return curses.tigetstr("cup") is not None


def show(top: Top, look: Callable[[], None], count: int | None = None) -> None:
    """Show it until the user has enough, or after `count` looks (None: without end). `look` gives it new numbers."""
    locale.setlocale(locale.LC_ALL, "")
    os.environ.setdefault("ESCDELAY", str(_ESCAPE_DELAY))
    before = signal.signal(signal.SIGTERM, _stop)
    try:
        curses.wrapper(_Screen(top, look, count).run)
    finally:
        signal.signal(signal.SIGTERM, before)


def _stop(*_: object) -> NoReturn:
    """The terminal has to be put in order first."""
    raise KeyboardInterrupt


class _Screen:
    def __init__(self, top: Top, look: Callable[[], None], count: int | None) -> None:
        self._top = top
        self._look = look
        self._left = count
        self._styles: dict[Style, int] = {}
        self._glyphs = UNICODE if "utf" in locale.nl_langinfo(locale.CODESET).lower() else ASCII

    def run(self, window: curses.window) -> None:
        self._styles = _styles()
        due = time.monotonic()
        while True:
            now = time.monotonic()
            if now >= due:
                if self._left == 0:
                    return
                due = now + self._top.interval
                if not self._top.paused:
                    self._look()
                    self._left = None if self._left is None else self._left - 1
            self._draw(window)
            window.timeout(max(1, round((due - time.monotonic()) * 1000)))
            key = _pressed(window)
            if key is not None and not self._top.press(key, max(1, window.getmaxyx()[0] - _FRAME)):
                return

    def _draw(self, window: curses.window) -> None:
        height, width = window.getmaxyx()
        window.erase()
        for row, line in enumerate(layout(self._top.view(), width, height, self._glyphs)):
            self._write(window, row, line)
        window.refresh()

    def _write(self, window: curses.window, row: int, line: Line) -> None:
        column = 0
        for span in line:
            try:
                window.addstr(row, column, span.text, self._styles[span.style])
            except curses.error:
                # The last cell of the screen: it is written, but the cursor has nowhere to go. Or the terminal has become smaller just now.
                return
            column += len(span.text)


def _styles() -> dict[Style, int]:
    """Attributes that every terminal has some of; colours where there are any."""
    styles = {
        Style.PLAIN: curses.A_NORMAL,
        Style.TITLE: curses.A_BOLD,
        Style.HEADER: curses.A_UNDERLINE,
        Style.SORTED: curses.A_UNDERLINE | curses.A_BOLD,
        Style.FAINT: curses.A_DIM,
        Style.CURSOR: curses.A_REVERSE,
        Style.ALERT: curses.A_BOLD,
    }
    with contextlib.suppress(curses.error):  # a terminal that always shows it
        curses.curs_set(0)
    if curses.has_colors() and not os.environ.get("NO_COLOR"):
        curses.use_default_colors()
        curses.init_pair(1, curses.COLOR_YELLOW, -1)
        styles[Style.ALERT] |= curses.color_pair(1)
    return styles


def _pressed(window: curses.window) -> str | None:
    """The key's name; None when there was none, or when the terminal has another size now."""
    try:
        key = window.get_wch()
    except curses.error:
        return None
    if key == curses.KEY_RESIZE:
        curses.update_lines_cols()
        return None
    if isinstance(key, str):
        return _CHARACTERS.get(key, key)
    return _NAMES.get(key)
