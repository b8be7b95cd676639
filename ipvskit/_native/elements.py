"""Element tables.

Knows: the C functions of ik_elements.h, and which locks they need. Must not know: what shapes and options mean, policy.

A table may be shared by threads: its calls follow one another.
"""

from __future__ import annotations

import errno
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ipvskit._native import checked, ffi, lib

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "APPEND",
    "DIFFERENT",
    "EVERY_LINE",
    "FAULT_NOT_OPTION",
    "FAULT_NULL",
    "FAULT_OUTSIDE",
    "IN_BOTH",
    "ONLY_HERE",
    "PUT",
    "REMOVE",
    "ROW_SIZE",
    "STOP",
    "Fault",
    "Intake",
    "Table",
]

PUT: int = lib.IK_PUT
APPEND: int = lib.IK_APPEND
REMOVE: int = lib.IK_REMOVE
EVERY_LINE: int = lib.IK_EVERY_LINE
STOP: int = lib.IK_STOP

FAULT_NULL: int = lib.IK_FAULT_NULL
FAULT_OUTSIDE: int = lib.IK_FAULT_OUTSIDE
FAULT_NOT_OPTION: int = lib.IK_FAULT_NOT_OPTION

ONLY_HERE: int = lib.IK_ONLY_HERE
IN_BOTH: int = lib.IK_IN_BOTH
DIFFERENT: int = lib.IK_DIFFERENT

ROW_SIZE: int = ffi.sizeof("struct ik_element_row")
_COMMENTS = 255
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a text: the code, and the piece of which line it is about."""

    code: int
    line: int
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class Intake:
    """What became of a text: lines in it, elements that were added or removed, and the first of its faults."""

    lines: int
    changed: int
    faults: list[Fault]
    fault_count: int


class Table:
    """A table of elements. `shape` is a packed struct ik_shape."""

    def __init__(self, shape: bytes, table: Any = None) -> None:
        self.shape = shape
        if table is None:
            table = lib.ik_elements_new(ffi.cast("struct ik_shape *", ffi.from_buffer(shape)))
            if table == ffi.NULL:
                raise ValueError("no elements have this shape")
        self._table: Any = ffi.gc(table, lib.ik_elements_free)
        self._lock = threading.Lock()

    @contextmanager
    def handle(self) -> Iterator[Any]:
        """The C table, for as long as nobody else may use it."""
        with self._lock:
            yield self._table

    def __len__(self) -> int:
        with self._lock:
            return int(lib.ik_elements_count(self._table))

    @property
    def memory(self) -> int:
        """Bytes held."""
        with self._lock:
            return int(lib.ik_elements_memory(self._table))

    @property
    def options(self) -> int:
        """The options that any element may have."""
        with self._lock:
            return int(lib.ik_elements_options(self._table))

    def reserve(self, count: int) -> None:
        """Make room for so many."""
        with self._lock:
            checked(lib.ik_elements_reserve(self._table, count))

    def clear(self) -> None:
        """Remove all."""
        with self._lock:
            lib.ik_elements_clear(self._table)

    def reshape(self, shape: bytes) -> None:
        """Give it another shape of the same parts, for what comes from now on."""
        with self._lock:
            checked(lib.ik_elements_reshape(self._table, ffi.cast("struct ik_shape *", ffi.from_buffer(shape))))
        self.shape = shape

    def sort(self) -> None:
        """By key."""
        with self._lock:
            checked(lib.ik_elements_sort(self._table))

    def parse(self, intake: int, most: int, text: bytes, room: int = 64) -> Intake:
        """Take a line for each element; at most `room` faults are told."""
        faults = ffi.new("struct ik_fault[]", room)
        result = ffi.new("struct ik_text_result *")
        with self._lock:
            data = ffi.from_buffer(text)
            checked(lib.ik_elements_parse(self._table, intake, most, data, len(text), faults, room, result))
        found = [_fault(faults[i]) for i in range(min(result.faults, room))]
        return Intake(result.lines, result.changed, found, result.faults)

    def expand(self, most: int, text: bytes, start: int, room: int, limit: int) -> tuple[list[int], list[Fault], int]:
        """Append the lines from byte `start` on as the kernel would list them, each by itself, until there are `limit` elements.

        For each line the number of elements so far, the faults, and where the rest begins.
        """
        ends = ffi.new("uint32_t[]", room)
        faults = ffi.new("struct ik_fault[]", room)
        taken = ffi.new("size_t *")
        with self._lock:
            data = ffi.from_buffer(text) + start
            length = len(text) - start
            lines = checked(lib.ik_elements_expand(self._table, most, data, length, ends, faults, room, limit, taken))
        return list(ends[0:lines]), [_fault(faults[i]) for i in range(lines) if faults[i].code], start + taken[0]

    def contains(self, text: bytes) -> bool | Fault:
        """Whether everything that this text stands for is there."""
        fault = ffi.new("struct ik_fault *")
        with self._lock:
            found = lib.ik_elements_contains(self._table, ffi.from_buffer(text), len(text), fault)
        if found == -errno.EINVAL:
            return _fault(fault)
        return bool(checked(found))

    def texts(self, prefix: bytes) -> Iterator[str]:
        """Lines of the prefix and the element, some at a time."""
        return (str(piece, "utf-8", "surrogateescape") for piece in self._pieces(prefix))

    def chunks(self, prefix: bytes) -> Iterator[bytes]:
        """The same as bytes."""
        return map(bytes, self._pieces(prefix))

    def _pieces(self, prefix: bytes) -> Iterator[Any]:
        """The same in one buffer, which the next piece overwrites."""
        room = _CHUNK + 2 * len(prefix)
        out = ffi.new("char[]", room)
        used = ffi.new("size_t *")
        start = 0
        while True:
            with self._lock:
                done = lib.ik_elements_format(self._table, start, ffi.from_buffer(prefix), len(prefix), out, room, used)
            if not done:
                return
            yield ffi.buffer(out, used[0])
            start += done

    def rows(self, start: int, count: int) -> tuple[bytes, bytes]:
        """At most so many packed rows, and their comments one after the other."""
        out = ffi.new("struct ik_element_row[]", count)
        comments = ffi.new("char[]", count * _COMMENTS)
        used = ffi.new("size_t *")
        with self._lock:
            done = lib.ik_elements_rows(self._table, start, count, out, comments, count * _COMMENTS, used)
        return bytes(ffi.buffer(out, done * ROW_SIZE)), bytes(ffi.buffer(comments, used[0]))

    # --- two tables -----------------------------------------------------------------------------------------------------------------

    def select(self, other: Table, which: int, options: int) -> Table:
        """Those that are so in respect of the other table."""
        out = Table(self.shape)
        with _both(self, other):
            checked(lib.ik_elements_select(self._table, other._table, which, options, out._table))
        return out

    def diff(self, other: Table, options: int) -> tuple[Table, Table, Table]:
        """What only this one has, what only the other one has, and what of this one has other options there."""
        added, removed, changed = Table(self.shape), Table(other.shape), Table(self.shape)
        with _both(self, other):
            checked(
                lib.ik_elements_diff(
                    self._table,
                    other._table,
                    options,
                    added._table,
                    removed._table,
                    changed._table,
                )
            )
        return added, removed, changed

    def expiring(self, other: Table, below: int) -> Table:
        """Those whose timeouts in the other table are to be set anew: less than so many seconds are left, or only one of both lasts for ever."""
        out = Table(self.shape)
        with _both(self, other):
            checked(lib.ik_elements_expiring(self._table, other._table, below, out._table))
        return out

    def adopt(self, other: Table, intake: int, most: int) -> int | Fault:
        """Take all of the other table, normalised anew; how many were added or removed."""
        fault = ffi.new("struct ik_fault *")
        result = ffi.new("struct ik_text_result *")
        with _both(self, other):
            outcome = lib.ik_elements_adopt(self._table, other._table, intake, most, fault, result)
        if outcome == -errno.EINVAL and fault.code:
            return _fault(fault)
        checked(outcome)
        return int(result.changed)

    def merge(self, other: Table) -> None:
        """Put all of the other table."""
        with _both(self, other):
            checked(lib.ik_elements_merge(self._table, other._table))

    def copy(self, options: int = 0xFFFFFFFF, shape: bytes | None = None) -> Table:
        """Another table with the same elements, with only these options."""
        out = Table(shape or self.shape)
        with self._lock:
            checked(lib.ik_elements_copy(self._table, options, out._table))
        return out

    def equal(self, other: Table, options: int) -> bool:
        """Whether both have the same elements with the same options."""
        with _both(self, other):
            return bool(checked(lib.ik_elements_equal(self._table, other._table, options)))


@contextmanager
def _both(one: Table, two: Table) -> Iterator[None]:
    if one is two:
        with one._lock:  # noqa: SLF001
            yield
        return
    # Always in the same order, or two threads wait for each other.
    first, second = (one, two) if id(one) < id(two) else (two, one)
    with first._lock, second._lock:  # noqa: SLF001
        yield


def _fault(fault: Any) -> Fault:
    return Fault(fault.code, fault.line, fault.offset, fault.length)


def protocol_name(number: int) -> str:
    """The name of an IP protocol in /etc/protocols as Debian has it, "" for none."""
    return _text(lib.ik_protocol_name(number))


def icmp_name(number: int, *, v6: bool) -> str:
    """The name of an ICMP type and code (`type << 8 | code`), "" for none."""
    return _text(lib.ik_icmp_name(v6, number))


def _text(found: Any) -> str:
    return "" if found == ffi.NULL else str(ffi.string(found).decode())


def element_layout(name: str) -> tuple[int, dict[str, int]]:
    """Size and field offsets of a C record, to check the struct formats against."""
    layout = ffi.typeof(f"struct {name}")
    return int(ffi.sizeof(layout)), {field: int(ffi.offsetof(layout, field)) for field, _ in layout.fields}
