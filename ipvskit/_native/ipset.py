"""The commands of ipset as bytes.

Knows: the C functions of ik_ipset.h. Must not know: what commands mean, policy.
"""

from __future__ import annotations

from ipvskit._native import checked, ffi, lib

# Programs that live for a moment import this: no `typing`. Type checkers know the name.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from ipvskit._native.elements import Table

__all__ = [
    "COMMAND_SIZE",
    "MESSAGE_MAX",
    "SET_SIZE",
    "Failure",
    "Listing",
    "encode_commands",
    "encode_elements",
    "failures",
    "parse_sets",
    "split_failures",
]

COMMAND_SIZE: int = ffi.sizeof("struct ik_ipset_command")
SET_SIZE: int = ffi.sizeof("struct ik_ipset_set")
#: Bytes that a message may have, so that the answer that has a copy of it fits into one datagram.
MESSAGE_MAX = 65024


class Failure:
    """A refusal: of which request, why, and of which element in it (from 1; 0 where the kernel does not say). Not to be changed."""

    __slots__ = ("error", "index", "line")

    def __init__(self, index: int, error: int, line: int) -> None:
        self.index = index
        self.error = error
        self.line = line

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Failure) and self._all() == other._all()

    def __hash__(self) -> int:
        return hash(self._all())

    def __repr__(self) -> str:
        return f"Failure{self._all()!r}"

    def _all(self) -> tuple[int, int, int]:
        return self.index, self.error, self.line


def _exact(data: bytes) -> Any:
    """A copy in a buffer of exactly this size, so that a sanitizer sees a read beyond it."""
    copy = ffi.new("uint8_t[]", max(len(data), 1))
    ffi.memmove(copy, data, len(data))
    return copy


def encode_commands(commands: bytes, out: bytearray) -> tuple[int, int]:
    """As many packed commands as fit, numbered from 0: (how many, bytes)."""
    used = ffi.new("size_t *")
    records = ffi.cast("struct ik_ipset_command *", ffi.from_buffer(commands))
    done = checked(lib.ik_ipset_encode(records, len(commands) // COMMAND_SIZE, 0, ffi.from_buffer(out), len(out), used))
    return done, used[0]


def encode_elements(
    command: int,
    flags: int,
    name: bytes,
    table: Table,
    start: int,
    count: int,
    out: bytearray,
    *,
    single: bool = False,
    message: int = MESSAGE_MAX,
    most: int = 1024,
    options: int = 0xFFFFFFFF,
    libipset: bool = False,
    line: int = 0,
) -> tuple[int, int, list[int]]:
    """As many elements as fit, in messages numbered from 0: (how many, bytes, the number of each message's first element).

    `libipset`: with the prefixes and in the portions in which libipset sends them, whose messages have 4096 bytes. Elements of a message are numbered
    from `line` + 1.
    """
    batch = ffi.new(
        "struct ik_ipset_batch *",
        {
            "command": command,
            "flags": flags,
            "single": single,
            "message": message,
            "options": options,
            "libipset": libipset,
            "line": line,
            "name": name,
        },
    )
    used, messages = ffi.new("size_t *"), ffi.new("size_t *")
    firsts = ffi.new("uint32_t[]", most)
    with table.handle() as handle:
        done = checked(
            lib.ik_ipset_encode_elements(
                batch, handle, start, count, 0, ffi.from_buffer(out), len(out), used, firsts, most, messages
            )
        )
    return done, used[0], list(firsts[0 : messages[0]])


def failures(reply: bytes) -> list[Failure]:
    """The refusals in an answer to messages numbered from 0."""
    data = ffi.from_buffer(reply)
    found = checked(lib.ik_ipset_failures(data, len(reply), 0, ffi.NULL, 0))
    if not found:
        return []
    out = ffi.new("struct ik_ipset_failure[]", found)
    checked(lib.ik_ipset_failures(data, len(reply), 0, out, found))
    return [Failure(one.index, one.error, one.line) for one in out]


def split_failures(reply: bytes, error: int, most: int) -> tuple[list[int], list[Failure]]:
    """Of at most so many messages of single elements: the numbers of those refused with this error, and all other refusals."""
    places = ffi.new("uint32_t[]", most)
    others = ffi.new("struct ik_ipset_failure[]", most)
    count = ffi.new("size_t *")
    found = checked(lib.ik_ipset_split(ffi.from_buffer(reply), len(reply), error, places, most, others, most, count))
    return (
        list(places[0 : min(found, most)]),
        [Failure(one.index, one.error, one.line) for one in others[0 : min(count[0], most)]] if count[0] else [],
    )


def parse_sets(reply: bytes) -> bytes:
    """What answered HEADER, TYPE and the like, as packed struct ik_ipset_set."""
    data = ffi.from_buffer(reply)
    found = checked(lib.ik_ipset_parse(data, len(reply), 0, ffi.NULL, 0))
    out = ffi.new("struct ik_ipset_set[]", max(found, 1))
    checked(lib.ik_ipset_parse(data, len(reply), 0, out, found))
    return bytes(ffi.buffer(out, found * SET_SIZE))


class Listing:
    """What a dump brings. `types` are names of set types with packed shapes."""

    def __init__(self, types: Sequence[tuple[str, bytes]]) -> None:
        array = ffi.new("struct ik_ipset_type[]", max(len(types), 1))
        for entry, (name, shape) in zip(array, types, strict=False):
            entry.name = name.encode()
            ffi.memmove(ffi.addressof(entry.shape), shape, len(shape))
        self._shapes = {(name, shape[0]): shape for name, shape in types}
        listing = lib.ik_ipset_listing_new(array, len(types))
        if listing == ffi.NULL:
            raise MemoryError
        self._listing: Any = ffi.gc(listing, lib.ik_ipset_listing_free)

    def feed(self, messages: bytes) -> None:
        """Take whole messages. Raises OSError with EBADMSG."""
        checked(lib.ik_ipset_listing_feed(self._listing, _exact(messages), len(messages)))

    def receive(self, reply: Any) -> None:
        """Take what this reply receives, as it arrives."""
        lib.ik_ipset_listing_receive(self._listing, reply)

    @property
    def error(self) -> int:
        """The refusal of the dump, 0 for none."""
        return int(lib.ik_ipset_listing_error(self._listing))

    def sets(self) -> list[tuple[bytes, Table | None]]:
        """Every set as a packed struct ik_ipset_set, with its elements; once."""
        found: list[tuple[bytes, Table | None]] = []
        row = ffi.new("struct ik_ipset_set *")
        for number in range(lib.ik_ipset_listing_count(self._listing)):
            lib.ik_ipset_listing_set(self._listing, number, row)
            table = lib.ik_ipset_listing_take(self._listing, number)
            name = ffi.string(row.name2).decode(errors="replace")
            shape = self._shapes.get((name, row.family)) or self._shapes.get((name, 0), b"")
            found.append((bytes(ffi.buffer(row, SET_SIZE)), None if table == ffi.NULL else _table(shape, table)))
        return found


def _table(shape: bytes, table: Any) -> Table:
    # Listings of names and headers have none, and need not wait for the import.
    from ipvskit._native.elements import Table

    return Table(shape, table)
