"""Many entries into a set, out of it, or asked for.

Knows: portions, which entry an element came from. Must not know: messages (`sending`), what error numbers mean (`refusals`).
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from contextlib import suppress
from itertools import islice, pairwise
from typing import TYPE_CHECKING, Any, Literal

from ipvskit._native import elements as native
from ipvskit.errors import EntryRefused, InvalidConfig, InvalidEntry, IpvskitError, SetFull
from ipvskit.ipset.commands import Command, set_name
from ipvskit.ipset.refusals import NOT_ENABLED, NULL, OUTSIDE, refusal
from ipvskit.ipset.report import EntriesReport, EntryFailure
from ipvskit.ipset.sending import Outcome, Sender
from ipvskit.sets.elements import MOST, Elements, entry_text, joined
from ipvskit.sets.faults import invalid_entry
from ipvskit.sets.shape import DATA_BITS, RANGE_BITS, shape_of_set, shape_of_type

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from ipvskit.ipset.asking import Asking
    from ipvskit.model.address import Family
    from ipvskit.model.settype import SetType
    from ipvskit.sets.definition import Set

__all__ = ["Bulk", "OnError"]

OnError = Literal["continue", "stop"]

#: Entries that are made into elements before they are sent: so few that the next ones find their memory still warm.
PORTION = 1 << 14
#: Elements that ranges may become before they are sent.
_EXPANDED = 1 << 20


class Bulk:
    """One call about many entries of one set."""

    def __init__(
        self,
        asking: Asking,
        command: Command,
        name: str,
        kind: SetType,
        family: Family | None,
        *,
        exist: bool = False,
        on_error: OnError = "continue",
        held: Callable[[], Set],
    ) -> None:
        if on_error not in {"continue", "stop"}:
            raise InvalidConfig("on_error", on_error, '"continue" or "stop"')
        self._stop = on_error == "stop"
        self._asking = asking
        self._sender = Sender(asking.transport, command, set_name(name), exist=exist, stop=self._stop)
        self._command = command
        self._name = name
        self._kind = kind
        self._family = family
        self._ask_held = held
        self._asked: Set | None = None
        self._done = 0
        self._failures: list[EntryFailure] = []
        self._stopped = False
        #: Places of those that were so already.
        self.already: list[int] = []

    def run(self, entries: Iterable[Any]) -> EntriesReport:
        """Send them all."""
        try:
            if isinstance(entries, str | bytes):
                raise InvalidConfig(
                    "entries", entries, "an iterable of entries (Elements.parse takes a text with many)"
                )
            with self._asking.buffer() as self._sender.buffer:
                if isinstance(entries, Elements):
                    self._table(entries)
                else:
                    self._items(entries)
        except Exception as error:
            # Of the caller's iterable, or a handle closed meanwhile: what was done until then must not stay unsaid.
            error.add_note(f"of the bulk call until then: {self._report(stopped=True)}")
            raise
        return self._report(self._stopped)

    def _report(self, stopped: bool) -> EntriesReport:
        return EntriesReport(self._name, self._done, len(self.already), tuple(self._failures), stopped)

    def _table(self, entries: Elements) -> None:
        if entries.type != self._kind.name or entries.family != self._family:
            given = f"{entries.type} {entries.family or ''}".strip()
            expected = f"elements of {self._kind} {self._family or ''}".strip() + f", as {self._name} is"
            raise InvalidConfig("entries", given, expected)
        table = entries.table
        if self._is_swallowed(table):
            self._items(entries)
            return
        self._take(self._sender.send(table), 0, lambda at: at, lambda at: self._text(table, at))

    def _text(self, table: native.Table, at: int) -> str:
        return str(Elements.of_table(self._kind, self._family, table).at(at))

    def _items(self, entries: Iterable[Any]) -> None:
        table = native.Table(shape_of_type(self._kind, self._family))
        start = 0
        remaining = iter(entries)
        while not self._stopped and (portion := list(islice(remaining, PORTION))):
            self._portion(table, portion, start)
            start += len(portion)

    def _portion(self, table: native.Table, items: Sequence[Any], start: int) -> None:
        bad = self._fill(table, items, start)
        # Elements have the numbers of those items that are no faults.
        places: Sequence[int] = range(len(items))
        if bad:
            places = [at for at in range(len(items)) if at not in bad]
        if self._stop and bad:
            # What stands before the bad one is still wanted.
            self._send(table, items, places, start, end=min(bad))
            if not self._stopped:
                self._failures.append(bad[min(bad)])
                self._stopped = True
            return
        before = len(self._failures)
        self._send(table, items, places, start)
        if bad:
            self._failures += bad.values()
            self._failures[before:] = sorted(self._failures[before:], key=lambda failure: failure.index)

    def _fill(self, table: native.Table, items: Sequence[Any], start: int) -> dict[int, EntryFailure]:
        """Make elements of them; returns what is wrong with those that cannot be."""
        table.clear()
        bad: dict[int, EntryFailure] = {}
        try:
            data = joined(items)
        except InvalidConfig:
            data = self._one_by_one(items, start, bad)
        found = table.parse(native.APPEND | native.EVERY_LINE, 0, data, len(items))
        for fault in found.faults:
            if fault.line not in bad:
                text = entry_text(items[fault.line])
                bad[fault.line] = EntryFailure(
                    start + fault.line, text, invalid_entry(fault, self._kind, text, start + fault.line)
                )
        return bad

    def _one_by_one(self, items: Sequence[Any], start: int, bad: dict[int, EntryFailure]) -> bytes:
        lines = []
        for at, item in enumerate(items):
            try:
                lines.append(joined([item]))
            except InvalidConfig as error:
                text = item if isinstance(item, str) else repr(item)
                bad[at] = EntryFailure(
                    start + at, text, InvalidEntry(error.field, error.value, error.expected, start + at)
                )
                lines.append(b"")
        return b"\n".join(lines)

    def _send(
        self, table: native.Table, items: Sequence[Any], places: Sequence[int], start: int, end: int | None = None
    ) -> None:
        chosen = places if end is None else places[:end]
        if not chosen:
            return
        if table.options & RANGE_BITS or self._is_swallowed(table):
            self._send_expanded(items, chosen, start)
            return
        outcome = self._sender.send(table, 0, end)
        self._take(outcome, start, chosen.__getitem__, lambda at: entry_text(items[chosen[at]]))

    def _send_expanded(self, items: Sequence[Any], places: Sequence[int], start: int) -> None:
        """As the elements that each item stands for.

        The kernel itself ends a range at the first element that is so already, and says no more than that. An item is done if any of its elements
        was, failed if any of them did, and else it was so already.
        """
        # Of a range that ends outside of a bitmap nothing is to be added.
        strict = self._kind.name.startswith(("hash:ip,mac", "bitmap:")) or self._is_masked()
        shape = shape_of_type(self._kind, self._family)
        if strict:
            shape = shape_of_set(self._held, filled=False, checked=self._command is Command.ADD)
        table = native.Table(shape)
        data = joined([items[place] for place in places])
        begin = line = 0
        while line < len(places) and not self._stopped:
            table.clear()
            ends, faults, begin = table.expand(MOST, data, begin, len(places) - line, _EXPANDED)
            # None: a range where a single element is wanted.
            wrong: dict[int, native.Fault | None] = {fault.line: fault for fault in faults}
            if self._command is Command.TEST:
                wrong |= {at: None for at, (low, high) in enumerate(pairwise([0, *ends])) if high - low > 1}
            self._send_items(table, items, places[line : line + len(ends)], start, ends, wrong)
            line += len(ends)

    def _send_items(
        self,
        table: native.Table,
        items: Sequence[Any],
        places: Sequence[int],
        start: int,
        ends: Sequence[int],
        wrong: Mapping[int, native.Fault | None],
    ) -> None:
        end = ends[min(wrong)] if self._stop and wrong else None
        outcome = self._sender.send(table, 0, end)
        refused: dict[int, int] = {}
        for at, error in outcome.refused:
            refused.setdefault(bisect_right(ends, at), error)
        so_already = Counter(bisect_right(ends, at) for at in outcome.already)
        self._stopped = outcome.stopped
        last = min([*refused, *wrong], default=len(places)) if self._stop else len(places)
        for at, (low, high) in enumerate(pairwise([0, *ends])):
            if at > last:
                break
            text = entry_text(items[places[at]])
            place = start + places[at]
            if at in wrong:
                self._failures.append(EntryFailure(place, text, self._fault(wrong[at], text, place)))
                self._stopped = self._stop
            elif at in refused:
                self._failures.append(EntryFailure(place, text, self._refusal(refused[at], text)))
            elif so_already[at] == high - low:
                self.already.append(place)
            else:
                self._done += 1

    def _fault(self, fault: native.Fault | None, text: str, place: int) -> IpvskitError:
        if fault is None:
            return InvalidEntry("entry", text, "a single element: the kernel looks for one at a time", place)
        # What a set of this type could hold and this one cannot is told in the same way as when the kernel finds it out.
        if fault.code == native.FAULT_OUTSIDE:
            return self._refusal(OUTSIDE, text)
        if fault.code == native.FAULT_NULL:
            return self._refusal(NULL, text)
        if fault.code == native.FAULT_NOT_OPTION:
            option = text[fault.offset : fault.offset + fault.length]
            return self._refusal(NOT_ENABLED.get(option.split(" ")[0], NOT_ENABLED["skbmark"]), text)
        return invalid_entry(fault, self._kind, text, place)

    @property
    def _held(self) -> Set:
        """The set as the kernel has it, asked for once."""
        if self._asked is None:
            self._asked = self._ask_held()
        return self._asked

    def _is_swallowed(self, table: native.Table) -> bool:
        """Whether the kernel would skip elements with options that the set lacks, without a word: it takes its own check for an error number."""
        return self._kind.name == "hash:ip,mac" and self._command is Command.ADD and bool(table.options & DATA_BITS)

    def _is_masked(self) -> bool:
        # The kernel cuts the first address of a range only, and so would store elements that no packet matches.
        return "netmask" in self._kind.create_options and (
            self._held.netmask is not None or self._held.bitmask is not None
        )

    def _take(self, outcome: Outcome, start: int, place: Callable[[int], int], text: Callable[[int], str]) -> None:
        self._done += outcome.done
        self._stopped = outcome.stopped
        self.already += [start + place(at) for at in outcome.already]
        for at, error in sorted(outcome.refused):
            entry = text(at)
            self._failures.append(EntryFailure(start + place(at), entry, self._refusal(error, entry)))

    def _refusal(self, error: int, entry: str) -> IpvskitError:
        made = refusal(self._command, error, f"{self._name}: {entry}", kind=self._kind.name)
        # A rival may have destroyed the set meanwhile; what it held at most is then not to be learnt.
        with suppress(IpvskitError):
            if isinstance(made, EntryRefused) and error == OUTSIDE and self._kind.name.startswith("bitmap"):
                made.limit = self._held.range
                made.reason += f": it holds {made.limit}"
            if isinstance(made, SetFull):
                made.limit = self._held.maxelem
                if made.limit is not None:
                    made.reason += f": maxelem is {made.limit}"
        return made
