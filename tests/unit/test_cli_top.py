"""`top`: what is shown of which numbers, what keys do, how it fits into any terminal; and the program on a terminal of its own.

Knows: views and lines. Must not know: the kernel.
"""

from __future__ import annotations

import signal
import sys
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

import ipvskit as ik
from ipvskit.cli import main as program
from ipvskit.cli.top_layout import ASCII, UNICODE, Line, Style, layout, plain, sparkline
from ipvskit.cli.top_model import SORTS, Top
from ipvskit.model.status import RealServerStatus, ServiceStatus, Stats, Totals
from ipvskit.testing.fake import Command, FakeKernel, Refuse
from tests.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Iterator

WEB, DNS, MARK = "192.0.2.10:80/tcp", "192.0.2.9:53/udp", "fwmark:7/v4"


def real(place: str, rate: int, weight: int = 1) -> RealServerStatus:
    stats = Stats(0, 0, 0, 0, 0, rate, 2 * rate, 3 * rate, 100 * rate, 200 * rate)
    return RealServerStatus(ik.RealServer(place, weight=weight), rate, 2 * rate, 0, stats)


def service(key: str, rate: int, *reals: RealServerStatus) -> ServiceStatus:
    stats = Stats(0, 0, 0, 0, 0, rate, 2 * rate, 3 * rate, 100 * rate, 200 * rate)
    made = ik.VirtualService(key, scheduler="wlc", reals=[one.real for one in reals])
    return ServiceStatus(made, stats, reals, False)


def numbers(times: int = 1) -> list[ServiceStatus]:
    return [
        service(
            WEB, 30 * times, real("10.0.0.1:80", 10 * times), real("10.0.0.2:80", 20 * times), real("10.0.0.3:80", 0, 0)
        ),
        service(DNS, 50, real("10.0.1.1:53", 50)),
        service(MARK, 0, real("10.0.2.1:0", 0)),
    ]


def top(*times: int, **options: object) -> Top:
    made = Top(2.0, **options)  # type: ignore[arg-type]
    for each in times or (1,):
        made.take(numbers(each), Totals(Stats(0, 0, 0, 0, 0, 80, 160, 240, 8000, 16000), False), "12:00:00")
    return made


def names(shown: Top) -> list[str]:
    return [row.name for row in shown.view().rows]


def text(line: Line) -> str:
    return "".join(span.text for span in line)


def screen(shown: Top, width: int = 110, height: int = 20) -> list[str]:
    return [text(line).rstrip() for line in layout(shown.view(), width, height)]


# --- what is shown ------------------------------------------------------------------------------------------------------------------


def test_the_most_connections_come_first() -> None:
    assert names(top()) == [DNS, WEB, MARK]
    assert names(top(2)) == [WEB, DNS, MARK]


def test_the_order_by_name_is_that_of_addresses() -> None:
    shown = top(sort="name")
    assert names(shown) == [MARK, DNS, WEB]
    shown.press("r")
    assert names(shown) == [WEB, DNS, MARK]


@pytest.mark.parametrize("column", SORTS[1:])
def test_every_column_sorts_both_ways(column: str) -> None:
    shown = top(sort=column, expand=True)
    falling = [getattr(row.numbers, column) for row in shown.view().rows if not row.is_real]
    assert falling == sorted(falling, reverse=True)
    shown.press("r")
    rising = [getattr(row.numbers, column) for row in shown.view().rows if not row.is_real]
    assert rising == falling[::-1]


def test_connections_of_a_service_are_those_of_its_real_servers() -> None:
    [web] = [row for row in top().view().rows if row.name == WEB]
    assert (web.numbers.active, web.numbers.inactive, web.numbers.connections) == (30, 60, 30)
    assert top().view().totals[:3] == (80, 160, 80)


def test_history_is_that_of_the_column_and_a_minute_long() -> None:
    shown = top(*range(1, 41), sort="in_bytes", filter="192.0.2.10")
    [web] = shown.view().rows
    assert [one.in_bytes for one in web.history] == [3000 * times for times in range(11, 41)]
    # The cells at the end are the latest looks.
    assert screen(shown, 140)[4].endswith("▇▇▇▇▇▇██████")


def test_what_is_gone_is_forgotten() -> None:
    shown = top(1, 2, 3)
    shown.take(numbers()[1:], Totals(Stats(), False), "12:00:02")
    assert names(shown) == [DNS, MARK]
    shown.take(numbers(9), Totals(Stats(), False), "12:00:04")
    [web] = [row for row in shown.view().rows if row.name == WEB]
    assert [one.connections for one in web.history] == [270]


def test_a_filter_shows_matching_services_and_real_servers() -> None:
    assert names(top(filter="192.0.2.9")) == [DNS]
    assert names(top(filter="10.0.0.2")) == [WEB, "10.0.0.2:80"]
    assert names(top(filter="WLC")) == [DNS, WEB, MARK]
    assert screen(top(filter="nonsense"))[4] == "nothing has 'nonsense' in it; escape forgets the filter"
    assert screen(Top(1.0))[4] == "no virtual services"


# --- keys ---------------------------------------------------------------------------------------------------------------------------


def press(shown: Top, *keys: str) -> None:
    for key in keys:
        assert shown.press(key)


def test_enter_opens_and_closes_the_service_below_the_cursor() -> None:
    shown = top()
    press(shown, "down", "enter")
    assert names(shown) == [DNS, WEB, "10.0.0.2:80", "10.0.0.1:80", "10.0.0.3:80", MARK]
    press(shown, "down", "down", "enter")
    assert names(shown) == [DNS, WEB, MARK]
    assert shown.view().cursor == 1


def test_the_cursor_stays_with_its_row() -> None:
    shown = top()
    press(shown, "down")
    assert shown.view().cursor == 1
    shown.take(numbers(2), Totals(Stats(), False), "12:00:02")
    assert names(shown)[shown.view().cursor] == WEB
    assert shown.view().cursor == 0


def test_all_open() -> None:
    shown = top()
    press(shown, "a")
    assert len(names(shown)) == 8
    press(shown, "enter")
    assert len(names(shown)) == 7
    press(shown, "a")
    assert len(names(shown)) == 3


def test_moving_stops_at_the_ends() -> None:
    shown = top(expand=True)
    for keys, place in ((["up"], 0), (["end"], 7), (["j"], 7), (["home"], 0), (["pagedown"], 5), (["pageup", "k"], 0)):
        for key in keys:
            shown.press(key, page=5)
        assert shown.view().cursor == place, keys


def test_typing_a_filter_takes_every_character() -> None:
    shown = top()
    press(shown, "/", *"q.9x", "backspace", "up")
    assert shown.view().typing
    assert shown.filter == "q.9"
    press(shown, "enter")
    assert (shown.filter, shown.view().typing) == ("q.9", False)
    press(shown, "escape")
    assert shown.filter == ""
    press(shown, "/", *"abc", "escape")
    assert (shown.filter, shown.view().typing) == ("", False)


def test_sorting_goes_around() -> None:
    shown = top(sort="name")
    press(shown, *["s"] * len(SORTS))
    assert shown.sort == "name"
    press(shown, "S")
    assert shown.sort == SORTS[-1]


def test_help_and_the_end() -> None:
    shown = top()
    press(shown, "h")
    assert any("choose a row" in line for line in screen(shown))
    press(shown, "x", "p")
    assert shown.paused
    assert screen(shown)[0].endswith("PAUSED")
    assert not shown.press("q")


# --- lines --------------------------------------------------------------------------------------------------------------------------


def test_a_wide_terminal_has_all_columns() -> None:
    lines = screen(top(1, 2, 2, sort="connections", filter="192.0.2.10", expand=True), 140, 12)
    assert lines == [
        "ipvskit top  12:00:00  every 2 s  3 services, 5 real servers",
        "110 active, 220 inactive, 80 connections/s, packets/s 160 in, 240 out, bytes/s 8000 in, 16.0K out",
        "filter: 192.0.2.10  (escape forgets it)",
        "SERVICE / REAL SERVER  HOW           WEIGHT  ACTIVE   INACT ↓CONN/S  PKT/S IN  PKT/S OUT  B/S IN  B/S OUT"
        + "LAST MINUTE".rjust(35),
        "▾ 192.0.2.10:80/tcp    wlc                       60     120      60       120        180    6000    12.0K" + "▅██".rjust(35),
        "    10.0.0.2:80        masquerade         1      40      80      40        80        120    4000     8000" + "▅██".rjust(35),
        "    10.0.0.1:80        masquerade         1      20      40      20        40         60    2000     4000" + "▅██".rjust(35),
        "    10.0.0.3:80        masquerade         0       0       0       0         0          0       0        0" + "▁▁▁".rjust(35),
        "",
        "",
        "",
        "q quit  h help  p pause  / filter  s sort  r reverse  enter open  a open all",
    ]  # fmt: skip


@pytest.mark.parametrize("column", SORTS[1:])
@pytest.mark.parametrize("width", [40, 60, 80])
def test_a_narrow_terminal_keeps_names_and_the_sorted_column(width: int, column: str) -> None:
    shown = top(sort=column, expand=True)
    lines = layout(shown.view(), width, 20)
    assert all(len(text(line)) <= width for line in lines)
    assert [span.style for span in lines[3]].count(Style.SORTED) == 1
    assert "192.0.2.10:80" in text(lines[5]) or "192.0.2.10:80" in text(lines[4]) or "10.0.1.1" in text(lines[5])


def test_styles_say_what_stands_out() -> None:
    lines = layout(top(expand=True).view(), 100, 20)
    styles = {text(line).split()[0]: line[0].style for line in lines[4:12]}
    assert styles["10.0.0.3:80"] is Style.ALERT
    assert styles["10.0.2.1:0"] is Style.FAINT
    assert styles["10.0.0.1:80"] is Style.PLAIN
    assert lines[4][0].style is Style.CURSOR


def test_the_cursor_is_on_the_screen_however_long_the_list() -> None:
    shown = Top(2.0, sort="name")
    many = [service(f"192.0.2.1:{port}/tcp", 1) for port in range(1, 301)]
    shown.take(many, Totals(Stats(), False), "12:00:00")
    for moves in (0, 1, 150, 298, 500):
        press(shown, "home", *["down"] * moves)
        lines = layout(shown.view(), 80, 24)
        chosen = [text(line) for line in lines if any(span.style is Style.CURSOR for span in line)]
        assert len(chosen) == 1
        assert f"192.0.2.1:{min(moves, 299) + 1}/tcp" in chosen[0]


def test_what_is_wrong_is_told() -> None:
    shown = top()
    shown.error = "the kernel said no"
    assert screen(shown)[2] == "the kernel said no"
    assert "the kernel said no" in screen(shown, 80, 5)
    shown.take(numbers(), Totals(Stats(), True), "12:00:02")
    assert "run_estimation" in screen(shown)[2]


@given(
    width=st.integers(0, 250),
    height=st.integers(0, 60),
    sort=st.sampled_from(SORTS),
    keys=st.lists(st.sampled_from([*"qhp/srSa ?kj\x00é", "up", "down", "end", "pagedown", "enter", "escape", "backspace"]), max_size=12),
    glyphs=st.sampled_from([ASCII, UNICODE]),
)  # fmt: skip
def test_any_size_after_any_keys(width: int, height: int, sort: str, keys: list[str], glyphs: object) -> None:
    shown = top(1, 3, 2, sort=sort)
    for key in keys:
        shown.press(key)
    lines = layout(shown.view(), width, height, glyphs)  # type: ignore[arg-type]
    assert len(lines) <= height
    assert all(len(text(line)) <= width for line in lines)
    if height >= 8 and width >= 8:
        assert len(lines) == height
        assert text(lines[0]).startswith("ipvskit")


def test_sparklines() -> None:
    assert sparkline([0, 1, 4, 7], 6) == "  ▁▂▅█"
    assert sparkline([0, 0], 2) == "▁▁"
    assert sparkline([1, 1000], 2) == "▂█"
    assert sparkline([5, 1, 2, 3], 2, ASCII) == "+#"
    assert sparkline([1, 2], 0) == ""
    assert sparkline([], 3) == "   "


def test_plain_lines_have_everything_but_sparklines() -> None:
    lines = list(plain(top(expand=True).view()))
    assert lines[0].startswith("12:00:00  3 services, 5 real servers  80 active")
    assert lines[1].split()[:5] == ["SERVICE", "/", "REAL", "SERVER", "HOW"]
    assert "    10.0.0.3:80        masquerade         0       0       0" in "\n".join(lines)
    assert len(lines) == 10
    assert all(line.isascii() for line in lines)


# --- the command --------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeKernel]:
    with FakeKernel() as fake:
        fake.ipvs.add_service(ik.VirtualService(WEB, scheduler="wlc", reals=["10.0.0.1:80", "10.0.0.2:80"]))
        fake.set_stats(WEB, Stats(1, 1, 1, 1, 1, 17, 18, 19, 20, 21))
        monkeypatch.setattr("ipvskit.kernel.Kernel", lambda *_: fake)
        yield fake


def test_lines_where_the_output_is_no_terminal(kernel: FakeKernel, capsys: pytest.CaptureFixture[str]) -> None:
    begun = time.monotonic()
    assert program.main(["top", "--count", "2", "--interval", "0.1", "--expand"]) == 0
    assert time.monotonic() - begun >= 0.1
    blocks = capsys.readouterr().out.strip().split("\n\n")
    assert len(blocks) == 2
    for block in blocks:
        assert block.count("\n") == 4
        assert "192.0.2.10:80/tcp" in block
        assert " 17 " in block


def test_an_error_at_the_first_look_ends_it_and_a_later_one_does_not(
    kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    status, looks = kernel.ipvs.status, iter(range(3))

    def refused_once() -> list[ServiceStatus]:
        if next(looks) == 1:
            kernel.lie(Refuse(1), command=Command.GET_SERVICE, nth=1)
        return status()

    monkeypatch.setattr(kernel.ipvs, "status", refused_once)
    assert program.main(["top", "--count", "3", "--interval", "0.1"]) == 0
    said = capsys.readouterr()
    assert said.out.count("SERVICE / REAL SERVER") == 2
    assert "CAP_NET_ADMIN" in said.err


def test_no_right_to_look(kernel: FakeKernel, capsys: pytest.CaptureFixture[str]) -> None:
    kernel.lie(Refuse(1), command=Command.GET_SERVICE)
    assert program.main(["top", "--count", "3"]) == 1
    assert "CAP_NET_ADMIN" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--interval", "0"], ["--interval", "x"], ["--count", "0"], ["--sort", "color"]])
def test_options_that_make_no_sense(words: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        program.main(["top", *words])
    assert ended.value.code == program.USAGE


# --- a terminal ---------------------------------------------------------------------------------------------------------------------

_PROGRAM = """
import sys
from ipvskit import Stats, kernel
from ipvskit.cli.main import main
from ipvskit.testing.fake import FakeKernel

fake = FakeKernel()
fake.ipvs.add_service("192.0.2.10:80/tcp scheduler=wlc\\n-> 10.0.0.1:80\\n-> 10.0.0.2:80 weight=0")
fake.set_stats("192.0.2.10:80/tcp", Stats(1, 1, 1, 1, 1, 17, 18, 19, 20, 21))
kernel.Kernel = lambda *_: fake
sys.exit(main(["top", "--interval", "0.1", *sys.argv[1:]]))
"""


class Shown(Terminal):
    """The program on a terminal, and what it has written."""

    def __init__(self, kind: str, *words: str, width: int = 100, height: int = 20) -> None:
        super().__init__([sys.executable, "-c", _PROGRAM, *words], width, height, kind=kind)
        self.written = ""

    def until(self, wanted: str, within: float = 15.0) -> None:
        """Read until this was written."""
        end = time.monotonic() + within
        while wanted not in self.written:
            data = self.read(0.1)
            if data is None:
                break
            self.written += data.decode()
            assert time.monotonic() < end, f"no {wanted!r} in {self.written!r}"
        assert wanted in self.written
        self.written = self.written.partition(wanted)[2]

    def ended(self) -> int:
        return self.process.wait(20)


@pytest.fixture
def opened() -> Iterator[list[Shown]]:
    terminals: list[Shown] = []
    yield terminals
    for one in terminals:
        one.close()


def test_on_a_terminal(opened: list[Shown]) -> None:
    opened.append(shown := Shown("xterm"))
    shown.until("192.0.2.10:80/tcp")
    shown.type("\n")
    shown.until("10.0.0.2:80")
    shown.resize(50, 9)
    shown.process.send_signal(signal.SIGWINCH)
    shown.until("B/S OUT")  # everything is written anew
    shown.type("h")
    shown.until("choose a row")
    shown.type("x/10.0.0.9\n")
    shown.until("nothing has")
    shown.type("\x1b")
    shown.until("192.0.2.10:80/tcp")
    shown.type("q")
    shown.until("\x1b[?1049l")  # the screen from before is back
    assert shown.ended() == 0


@pytest.mark.parametrize("kind", ["vt100", "linux", "xterm-256color"])
def test_kinds_of_terminals(opened: list[Shown], kind: str) -> None:
    opened.append(shown := Shown(kind, "--expand", "--count", "2"))
    shown.until("192.0.2.10:80/tcp")
    shown.until("10.0.0.1:80")
    assert shown.ended() == 0


@pytest.mark.parametrize("kind", ["dumb", "no-such-terminal"])
def test_a_terminal_that_cannot_be_written_to_anywhere_gets_lines(opened: list[Shown], kind: str) -> None:
    opened.append(shown := Shown(kind, "--count", "2"))
    shown.until("1 services, 2 real servers  0 active")
    shown.until("1 services, 2 real servers  0 active")
    assert shown.ended() == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_leave_the_terminal_in_order(opened: list[Shown], number: int) -> None:
    opened.append(shown := Shown("xterm"))
    shown.until("192.0.2.10:80/tcp")
    shown.process.send_signal(number)
    shown.until("\x1b[?1049l")
    assert shown.ended() == 0
