"""The contents of a set, as many as they may be: a table of elements held in C.

Knows: what Python programs expect of something like a set. Must not know: netlink, how elements are packed.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from ipvskit._native import elements as native
from ipvskit.errors import InvalidConfig, InvalidEntry
from ipvskit.model.settype import SetType
from ipvskit.sets.definition import Set, family_for
from ipvskit.sets.entry import ROW, Entry, entries_of_rows
from ipvskit.sets.faults import invalid_entry
from ipvskit.sets.shape import OPTIONS, option_bits, shape_of_set, shape_of_type

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from ipvskit.model.address import Family

    OnError = Callable[[InvalidEntry], None]

__all__ = ["COMPARED", "MOST", "Difference", "Elements", "entry_text", "joined"]

#: Options that make an element another one for `diff`: not those that run by themselves, timeout and counters.
COMPARED = ("mac", "comment", "skbmark", "skbprio", "skbqueue", "nomatch", "wildcard")

#: One entry may stand for so many elements: a range, or a block of addresses.
MOST = 1 << 24
_PORTION = 1 << 15
_BYTES = 1 << 22
_ROWS = 512
_ALL = sum(OPTIONS.values())


class Difference(NamedTuple):
    """What only the first table has, what only the second one has, and what of the first one has other options there."""

    added: Elements
    removed: Elements
    changed: Elements


class Elements:
    """What a set holds, in the form in which the kernel lists it.

    Entries are text as ipset(8) takes it ("10.0.0.1,tcp:80 timeout 30"), `Entry` values, addresses and networks. Each is normalised when it comes in:
    networks are cut to their prefix, ranges become what the kernel makes of them, so a range of addresses in a hash:ip is as many elements, at
    most 16,777,216. `of` is a `Set`, whose netmask, range, default timeout and the like then count, or a type; `family` goes with a type.

    It works as a Python set does, for millions of elements: `in`, `len`, iteration (which makes `Entry` values as it goes), `|`, `&`, `-`, `==`. An
    element that comes again brings its options with it. Order is that of arrival, until something is removed. Raises InvalidEntry for what no set
    of this type can hold, InvalidConfig for a bad `of`. Threads may share it.
    """

    __slots__ = ("_definition", "_family", "_kind", "_table")
    __hash__ = None  # type: ignore[assignment] # it can be changed

    def __init__(
        self, of: Set | SetType | str, entries: Iterable[Any] = (), *, family: str | Family | None = None
    ) -> None:
        self._definition: Set | None = None
        if isinstance(of, Set):
            if family is not None:
                raise InvalidConfig("family", family, "None: the set says it")
            self._definition = of
            self._kind, self._family = of.set_type, of.family
            shape = shape_of_set(of)
        else:
            self._kind, self._family = SetType.of(of), family_for(SetType.of(of), family)
            shape = shape_of_type(self._kind, self._family)
        self._table = native.Table(shape)
        if isinstance(entries, Elements) and self._definition is None:
            self._check_kind(entries)
            self._table = entries.table.copy(shape=shape)
        else:
            self.update(entries)

    @classmethod
    def of_table(
        cls, kind: SetType, family: Family | None, table: native.Table, definition: Set | None = None
    ) -> Elements:
        """Those of a C table; the table then belongs to them."""
        made = object.__new__(cls)
        made._kind, made._family, made._table, made._definition = kind, family, table, definition
        if definition is not None:
            table.reshape(shape_of_set(definition))
        return made

    @classmethod
    def parse(
        cls,
        of: Set | SetType | str,
        text: str | bytes,
        *,
        family: str | Family | None = None,
        on_error: OnError | None = None,
    ) -> Elements:
        """From text with an entry on each line; empty lines and those that begin with # count for nothing.

        Raises InvalidEntry for the first bad line; with `on_error` it is called with each of them instead, and they are left out.
        """
        made = cls(of, family=family)
        if not isinstance(text, str | bytes | bytearray | memoryview):
            raise InvalidConfig("text", text, "text or bytes")
        data = encoded(text) if isinstance(text, str) else bytes(text)
        start = line = 0
        while start < len(data):
            end = len(data) if start + _BYTES >= len(data) else data.rfind(b"\n", start, start + _BYTES) + 1
            if end <= start:
                end = data.find(b"\n", start) + 1 or len(data)
            portion = data[start:end] if (start, end) != (0, len(data)) else data
            line += made._take(portion, native.PUT, line, on_error).lines
            start = end
        return made

    # --- what it is -----------------------------------------------------------------------------------------------------------------

    @property
    def type(self) -> str:
        """The type of set that holds these."""
        return self._kind.name

    @property
    def family(self) -> Family | None:
        """The family of the addresses, None where there are none."""
        return self._family

    @property
    def definition(self) -> Set | None:
        """The set that these were normalised for, None when only its type was given."""
        return self._definition

    @property
    def memory(self) -> int:
        """Bytes held."""
        return self._table.memory

    @property
    def table(self) -> native.Table:
        """The C table, for those who talk to the kernel."""
        return self._table

    def __len__(self) -> int:
        return len(self._table)

    def __bool__(self) -> bool:
        return len(self._table) > 0

    def __iter__(self) -> Iterator[Entry]:
        start = 0
        while True:
            rows, comments = self._table.rows(start, _ROWS)
            if not rows:
                return
            yield from entries_of_rows(self._kind.parts, self._family, rows, comments)
            start += len(rows) // ROW.size

    def has_option(self, name: str) -> bool:
        """Whether any element may have this option ("timeout", "comment", "wildcard", ...)."""
        return bool(self._table.options & option_bits([name]))

    def at(self, number: int) -> Entry:
        """The element of this number, in the order of iteration. Raises IndexError."""
        rows, comments = self._table.rows(number, 1) if 0 <= number < len(self) else (b"", b"")
        if not rows:
            raise IndexError(number)
        return next(iter(entries_of_rows(self._kind.parts, self._family, rows, comments)))

    def __contains__(self, entry: object) -> bool:
        try:
            text = encoded(entry_text(entry))
        except InvalidConfig:
            return False
        found = self._table.contains(text)
        return found if isinstance(found, bool) else False

    def __copy__(self) -> Elements:
        return self.copy()

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (
            self._definition or self._kind.name,
            None if self._definition else self._family,
            self.to_text(),
        )

    def __repr__(self) -> str:
        shown = ", ".join(repr(str(entry)) for entry in islice(self, 3))
        more = ", ..." if len(self) > 3 else ""
        return f"<Elements of {self.type}, {len(self)}: {shown}{more}>"

    # --- changing -------------------------------------------------------------------------------------------------------------------

    def add(self, entry: Any) -> int:  # noqa: ANN401 - many forms are taken
        """Put one entry in; returns how many elements came anew. Raises InvalidEntry."""
        return self._take_items([entry], native.PUT, 0)

    def update(self, entries: Iterable[Any]) -> int:
        """Put entries in; returns how many elements came anew. Raises InvalidEntry for the first bad one; those before it are in."""
        return self._each(entries, native.PUT)

    def discard(self, entry: Any) -> int:  # noqa: ANN401 - many forms are taken
        """Take one entry out, all that it stands for; returns how many elements went. Raises InvalidEntry."""
        return self._take_items([entry], native.REMOVE, 0)

    def difference_update(self, entries: Iterable[Any]) -> int:
        """Take entries out; returns how many elements went. Raises InvalidEntry for the first bad one; those before it are out."""
        return self._each(entries, native.REMOVE)

    def clear(self) -> None:
        """Take all of them out."""
        self._table.clear()

    def copy(self, options: Iterable[str] | None = None) -> Elements:
        """Another table with the same elements; with `options`, with only these of their options ("timeout", "comment", ...)."""
        bits = _ALL if options is None else option_bits(options)
        return self._like(self._table.copy(bits))

    def sorted(self) -> Elements:
        """Another table with the same elements by number, as `ipset -sorted` lists them."""
        made = self.copy()
        made.table.sort()
        return made

    # --- two tables -----------------------------------------------------------------------------------------------------------------

    def diff(self, other: Elements, options: Iterable[str] = COMPARED) -> Difference:
        """How this one differs from the other: to make the other one equal, add `added`, remove `removed`, and add `changed` again.

        Adding again changes everything but a wildcard, and takes no MAC away from a bitmap:ip,mac: such elements have to be removed first.
        `options` are those that count; timeout and counters do not unless they are named, because they run by themselves.
        """
        self._check_kind(other)
        added, removed, changed = self._table.diff(other._table, option_bits(options) | OPTIONS["mac"])
        return Difference(self._like(added), other._like(removed), self._like(changed))

    def expiring(self, other: Elements, below: float) -> Elements:
        """Those that have less than so many seconds left in the other table, and those that last for ever in one of both only."""
        self._check_kind(other)
        return self._like(self._table.expiring(other._table, min(int(below), 2**32 - 1)))

    def __sub__(self, other: Elements) -> Elements:
        return self._selected(other, native.ONLY_HERE)

    def __and__(self, other: Elements) -> Elements:
        return self._selected(other, native.IN_BOTH)

    def __or__(self, other: Elements) -> Elements:
        if not isinstance(other, Elements):
            return NotImplemented
        made = self.copy()
        made.update(other)
        return made

    def __xor__(self, other: Elements) -> Elements:
        if not isinstance(other, Elements):
            return NotImplemented
        return (self - other) | (other - self)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Elements):
            return NotImplemented
        return self.same_as(other, OPTIONS)

    def same_as(self, other: Elements, options: Iterable[str] = COMPARED) -> bool:
        """Whether both have the same elements; `options` are those that count, as in `diff`. `==` counts all."""
        if self._kind is not other._kind or self._family != other._family:
            return False
        return self._table.equal(other._table, option_bits(options) | OPTIONS["mac"])

    def isdisjoint(self, other: Elements) -> bool:
        """Whether they have nothing in common."""
        return not self & other

    def __le__(self, other: Elements) -> bool:
        return not self - other

    def __lt__(self, other: Elements) -> bool:
        return len(self) < len(other) and self <= other

    def __gt__(self, other: Elements) -> bool:
        return other < self

    def __ge__(self, other: Elements) -> bool:
        return not other - self

    # --- text -----------------------------------------------------------------------------------------------------------------------

    def to_text(self, prefix: str = "") -> str:
        """A line for each, as `ipset save` writes it; `prefix` ("add NAME ") stands before each."""
        return "".join(self.texts(prefix))

    def texts(self, prefix: str = "") -> Iterator[str]:
        """The same, about a megabyte at a time."""
        return self._table.texts(prefix.encode("utf-8", "surrogateescape"))

    def chunks(self, prefix: str = "") -> Iterator[bytes]:
        """The same as bytes."""
        return self._table.chunks(prefix.encode("utf-8", "surrogateescape"))

    # --- inside ---------------------------------------------------------------------------------------------------------------------

    def _like(self, table: native.Table) -> Elements:
        return Elements.of_table(self._kind, self._family, table, self._definition)

    def _check_kind(self, other: Elements) -> None:
        if not isinstance(other, Elements):
            raise InvalidConfig("elements", other, "a table of elements (Elements)")
        if self._kind is not other._kind or self._family != other._family:
            mine = f"{self._kind} {self._family or ''}".strip()
            raise InvalidConfig("elements", f"{other._kind} {other._family or ''}".strip(), f"elements of {mine}")

    def _selected(self, other: Elements, which: int) -> Elements:
        if not isinstance(other, Elements):
            return NotImplemented
        self._check_kind(other)
        return self._like(self._table.select(other._table, which, _ALL))

    def _each(self, entries: Iterable[Any], intake: int) -> int:
        if isinstance(entries, Elements):
            return self._adopt(entries, intake)
        if isinstance(entries, str | bytes):
            raise InvalidConfig("entries", entries, "an iterable of entries (Elements.parse takes a text with many)")
        changed = start = 0
        remaining = iter(entries)
        while portion := list(islice(remaining, _PORTION)):
            changed += self._take_items(portion, intake, start)
            start += len(portion)
        return changed

    def _adopt(self, entries: Elements, intake: int) -> int:
        self._check_kind(entries)
        if entries is self:
            return 0 if intake == native.PUT else self._adopt(entries.copy(), intake)
        before = len(self)
        if intake == native.PUT and self._definition in {None, entries.definition}:
            self._table.merge(entries.table)
            return len(self) - before
        # What was normalised for another set may be something else in this one.
        changed = self._table.adopt(entries.table, intake, MOST)
        if isinstance(changed, native.Fault):
            raise invalid_entry(changed, self._kind, str(entries.at(changed.line)), changed.line)
        return changed

    def _take_items(self, items: Sequence[Any], intake: int, start: int) -> int:
        return self._take(joined(items, start), intake | native.EVERY_LINE, start, None).changed

    def _take(self, data: bytes, intake: int, start: int, on_error: OnError | None) -> native.Intake:
        room = data.count(b"\n") + 1 if on_error is not None else 1
        found = self._table.parse(intake if on_error is not None else intake | native.STOP, MOST, data, room)
        if found.faults:
            lines = data.split(b"\n")
            for fault in found.faults:
                text = lines[fault.line].decode("utf-8", "surrogateescape")
                error = invalid_entry(fault, self._kind, text, start + fault.line)
                if on_error is None:
                    raise error
                on_error(error)
        return found


def _rebuild(of: Set | str, family: Family | None, text: str) -> Elements:
    return Elements.parse(of, text, family=family)


def joined(items: Sequence[Any], start: int = 0) -> bytes:
    """Entries as text, a line for each; the first one's place is `start`. Raises InvalidConfig."""
    try:
        text = "\n".join(items)
    except TypeError:
        text = "\n".join(map(entry_text, items))
    if text.count("\n") != len(items) - 1:
        place, broken = next((at, item) for at, item in enumerate(items, start) if "\n" in entry_text(item))
        raise InvalidEntry("entry", entry_text(broken), "an entry without line breaks", place)
    return encoded(text, start)


def encoded(text: str, start: int = 0) -> bytes:
    """In UTF-8, in which bytes that were none come back. Raises InvalidEntry."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        line = text.count("\n", 0, error.start)
        raise InvalidEntry(
            "entry", text.split("\n")[line], "characters that there are in UTF-8", start + line
        ) from None


def entry_text(entry: Any) -> str:  # noqa: ANN401 - many forms are taken
    """The text of an entry in any of its forms. Raises InvalidConfig."""
    if isinstance(entry, str):
        return entry
    if isinstance(entry, Entry):
        return str(entry)
    if isinstance(entry, tuple):
        return str(Entry(*entry))
    return str(Entry(entry))
