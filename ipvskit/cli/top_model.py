"""What `top` knows: numbers of the last minute, what is sorted how, filtered, expanded; and what keys do.

Knows: services and real servers with their numbers, keys by name. Must not know: terminals, the kernel, clocks.

Rates are the kernel's own (averages over 8 seconds, refreshed every 2): differences of counters between two looks would be nothing or twice too much,
because the counters move every 2 seconds as well.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ipvskit.model.key import ServiceKey
    from ipvskit.model.status import RealServerStatus, ServiceStatus, Stats, Totals

__all__ = ["SORTS", "SPAN", "Numbers", "Row", "Top", "View"]

#: What sparklines go back (seconds).
SPAN = 60.0


class Numbers(NamedTuple):
    """Connections, and rates per second."""

    active: int = 0
    inactive: int = 0
    connections: int = 0
    in_packets: int = 0
    out_packets: int = 0
    in_bytes: int = 0
    out_bytes: int = 0


#: What rows can be sorted by.
SORTS = ("name", *Numbers._fields)

#: A service, or a real server of it by its endpoint.
RowKey = tuple["ServiceKey", str]


@dataclass(frozen=True, slots=True)
class Row:
    """A line: a service, or a real server below it (`is_real`). `history` is the last minute, oldest first; services have no `weight`."""

    key: RowKey
    name: str
    detail: str
    weight: int | None
    numbers: Numbers
    history: tuple[Numbers, ...]
    is_real: bool = False
    is_open: bool = False


@dataclass(frozen=True, slots=True)
class View:
    """What there is to be seen at a moment. `cursor` is the place of the chosen row; `filter` is being typed while `typing`."""

    rows: tuple[Row, ...]
    cursor: int
    sort: str
    reverse: bool
    filter: str
    typing: bool
    paused: bool
    help: bool
    services: int
    reals: int
    totals: Numbers
    stale: bool
    clock: str
    interval: float
    error: str


def _of_stats(active: int, inactive: int, stats: Stats) -> Numbers:
    rates = (stats.in_packet_rate, stats.out_packet_rate, stats.in_byte_rate, stats.out_byte_rate)
    return Numbers(active, inactive, stats.connection_rate, *rates)


def _of_real(real: RealServerStatus) -> Numbers:
    return _of_stats(real.active, real.inactive, real.stats)


def _of_service(service: ServiceStatus) -> Numbers:
    active, inactive = (sum(getattr(real, name) for real in service.reals) for name in ("active", "inactive"))
    return _of_stats(active, inactive, service.stats)


def _order(key: ServiceKey) -> tuple[object, ...]:
    """Services by name: firewall marks first, addresses by their numbers."""
    address = key.address
    return (0 if address is None else address.version, int(address or 0), key.fwmark, key.port, key.protocol or "")


class Top:
    """All that changes while it runs. `interval` (seconds) is how often there are new numbers."""

    def __init__(self, interval: float, *, sort: str = "connections", filter: str = "", expand: bool = False) -> None:  # noqa: A002
        self.interval = interval
        self.sort = sort
        self.reverse = False
        self.filter = filter
        self.expand = expand
        self.paused = False
        self.error = ""
        self._flipped: set[ServiceKey] = set()
        self._typing = False
        self._help = False
        self._found: Sequence[ServiceStatus] = ()
        self._totals = Numbers()
        self._stale = False
        self._clock = ""
        self._chosen: RowKey | None = None
        self._cursor = 0
        self._length = max(2, round(SPAN / interval))
        self._history: dict[RowKey, deque[Numbers]] = {}

    # --- numbers --------------------------------------------------------------------------------------------------------------------

    def take(self, found: Sequence[ServiceStatus], totals: Totals, clock: str) -> None:
        """New numbers, as of a time of day."""
        before, self._history = self._history, {}
        for service in found:
            self._note(before, (service.key, ""), _of_service(service))
            for real in service.reals:
                self._note(before, (service.key, real.real.endpoint), _of_real(real))
        everybody = [self._history[service.key, ""][-1] for service in found]
        active, inactive = sum(one.active for one in everybody), sum(one.inactive for one in everybody)
        self._totals = _of_stats(active, inactive, totals.stats)
        self._found, self._stale, self._clock, self.error = found, totals.stale, clock, ""

    def _note(self, before: dict[RowKey, deque[Numbers]], key: RowKey, now: Numbers) -> None:
        held = before.get(key)
        if held is None:
            held = deque(maxlen=self._length)
        # What stays the same is one object, however long: most real servers of many are idle.
        held.append(held[-1] if held and held[-1] == now else now)
        self._history[key] = held

    # --- what is to be seen ---------------------------------------------------------------------------------------------------------

    def view(self) -> View:
        """The present view."""
        rows = tuple(self._rows())
        keys = [row.key for row in rows]
        if self._chosen in keys:
            self._cursor = keys.index(self._chosen)
        self._cursor = max(0, min(self._cursor, len(rows) - 1))
        self._chosen = keys[self._cursor] if rows else None
        return View(
            rows, self._cursor, self.sort, self.reverse, self.filter, self._typing, self.paused, self._help,
            len(self._found), sum(len(one.reals) for one in self._found), self._totals, self._stale, self._clock,
            self.interval, self.error,
        )  # fmt: skip

    def _rows(self) -> Iterable[Row]:
        """Services that match, each with its real servers when it is open: those that match where the service itself does not."""
        wanted = self.filter.lower()
        for service in self._sorted(self._found):
            matches = wanted in f"{service.key} {service.service.scheduler or ''}".lower()
            reals = [real for real in service.reals if matches or wanted in real.real.endpoint.lower()]
            if not matches and not reals:
                continue
            is_open = not matches or self._is_open(service.key)
            yield self._row((service.key, ""), str(service.key), service.service.scheduler or "none", None, is_open)
            for real in self._sorted_reals(service.key, reals) if is_open else ():
                server = real.real
                key = (service.key, server.endpoint)
                yield self._row(key, server.endpoint, str(server.forwarding), server.weight, False)

    def _row(self, key: RowKey, name: str, detail: str, weight: int | None, is_open: bool) -> Row:
        held = self._history[key]
        return Row(key, name, detail, weight, held[-1], tuple(held), weight is not None, is_open)

    def _is_open(self, key: ServiceKey) -> bool:
        return self.expand is not (key in self._flipped)

    def _sorted(self, found: Iterable[ServiceStatus]) -> list[ServiceStatus]:
        by_name = sorted(found, key=lambda one: _order(one.key), reverse=self.reverse and self.sort == "name")
        if self.sort == "name":
            return by_name
        return sorted(by_name, key=lambda one: self._value((one.key, "")))

    def _sorted_reals(self, service: ServiceKey, found: Iterable[RealServerStatus]) -> list[RealServerStatus]:
        def name(one: RealServerStatus) -> tuple[int, int, int]:
            return one.real.address.version, int(one.real.address), one.real.port

        by_name = sorted(found, key=name, reverse=self.reverse and self.sort == "name")
        if self.sort == "name":
            return by_name
        return sorted(by_name, key=lambda one: self._value((service, one.real.endpoint)))

    def _value(self, key: RowKey) -> int:
        """The most comes first, unless it is the other way round."""
        value: int = getattr(self._history[key][-1], self.sort)
        return value if self.reverse else -value

    # --- keys -----------------------------------------------------------------------------------------------------------------------

    def press(self, key: str, page: int = 10) -> bool:
        """Do what a key stands for: a character, or "up", "enter" and the like. `page` is how many rows there are on the screen. False: the end."""
        if self._typing:
            self._type(key)
        elif self._help:
            self._help = False
            return key != "q"
        elif key == "q":
            return False
        elif key in _MOVES:
            self._move(*_MOVES[key], page)
        else:
            self._do(key)
        return True

    def _type(self, key: str) -> None:
        if key == "escape":
            self.filter = ""
        if key in {"escape", "enter"}:
            self._typing = False
        elif key == "backspace":
            self.filter = self.filter[:-1]
        elif len(key) == 1 and key.isprintable():
            self.filter += key

    def _move(self, rows: int, pages: int, page: int) -> None:
        last = len(self.view().rows) - 1
        self._cursor = max(0, min(self._cursor + rows + pages * page, last))
        self._chosen = None

    def _do(self, key: str) -> None:
        if key in {"s", ">", "right"}:
            self.sort = SORTS[(SORTS.index(self.sort) + 1) % len(SORTS)]
        elif key in {"S", "<", "left"}:
            self.sort = SORTS[SORTS.index(self.sort) - 1]
        elif key == "r":
            self.reverse = not self.reverse
        elif key == "p":
            self.paused = not self.paused
        elif key in {"h", "?"}:
            self._help = True
        elif key == "/":
            self._typing = True
        elif key == "escape":
            self.filter = ""
        elif key == "a":
            self.expand, self._flipped = not self.expand, set()
        elif key in {"enter", " "}:
            self._flip()

    def _flip(self) -> None:
        """Open or close the service in which the cursor is, which then is on it."""
        self.view()
        if self._chosen is not None:
            self._flipped ^= {self._chosen[0]}
            self._chosen = (self._chosen[0], "")


_FAR = 1 << 30
#: How many rows, and how many pages.
_MOVES = {
    "up": (-1, 0),
    "k": (-1, 0),
    "down": (1, 0),
    "j": (1, 0),
    "pageup": (0, -1),
    "pagedown": (0, 1),
    "home": (-_FAR, 0),
    "end": (_FAR, 0),
}
