"""One entry of a set, as a value.

Knows: parts and options of entries, the C core's flat rows of them. Must not know: which type of set takes which (the C core does), netlink.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, fields
from functools import cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import TYPE_CHECKING, Any

from ipvskit.errors import InvalidConfig
from ipvskit.model.address import Family, parse_number
from ipvskit.model.settype import Part
from ipvskit.model.slots import setter
from ipvskit.sets.parts import (
    MAC,
    MAX_NAME,
    PROTOCOL_NAMES,
    AddressRange,
    Interface,
    Mark,
    NumberRange,
    Port,
    Value,
    check_word,
    parse_seconds,
    part_text,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import timedelta

    from ipvskit.model.address import IPAddress
    from ipvskit.sets.parts import IPNetwork

    Row = tuple[Any, ...]
    Reader = Callable[[Row], Value | None]

__all__ = ["ROW", "Entry", "entries_of_rows"]

MAX_COMMENT = 255
MAX_COUNTER = 2**64 - 2  # where ipset stops
_WORD = 2**32 - 1

#: struct ik_element_row of csrc/ik_elements.h: 192 bytes, with 4 unused ones before `packets`. Addresses and ports stay in network order.
ROW = struct.Struct("=II16s16s16s16sBBBB2s2sI6sH4xQQIIII32s32s")

# Bits of `present` (enum ik_present).
_LAST, _LAST2, _LAST_PORT, _HAS_MAC, _TIMEOUT, _PACKETS, _BYTES, _COMMENT = (1 << bit for bit in range(8))
_SKBMARK, _SKBPRIO, _SKBQUEUE, _NOMATCH, _WILDCARD, _BEFORE, _AFTER = (1 << bit for bit in range(8, 15))
_OPTIONS = ((1 << 15) - 1) & ~(_LAST | _LAST2 | _LAST_PORT | _HAS_MAC)


@dataclass(frozen=True, slots=True, init=False)
class Entry:
    """An entry: its parts and its options.

    `Entry("10.0.0.1,tcp:80", timeout=30)` keeps the text, in ipset's own grammar, until it meets a set; `Entry(IPv4Address("10.0.0.1"), Port(80))`
    has the parts as values. A network stands as itself, a host among networks as a network of full length. Entries that the library hands out have
    values. `timeout` is in seconds, or a timedelta: 0 is for ever, None leaves it to the set. `packets` and `bytes` are what counters begin with,
    None leaves them at 0. `comment` has up to 255 bytes. `skbmark` is a mark, or a mark and a mask; `skbprio` is (major, minor). `nomatch` makes
    an exception of a network. With `wildcard` the interface is the beginning of names. `before` and `after` name another member of a list.
    Which types have which: ipset(8), `ipvskit.SetType`. Raises InvalidConfig.
    """

    parts: tuple[Value, ...]
    timeout: int | None
    packets: int | None
    bytes: int | None
    comment: str | None
    skbmark: tuple[int, int] | None
    skbprio: tuple[int, int] | None
    skbqueue: int | None
    nomatch: bool
    wildcard: bool
    before: str | None
    after: str | None

    def __init__(
        self,
        *parts: Value,
        timeout: float | timedelta | None = None,
        packets: int | None = None,
        bytes: int | None = None,  # noqa: A002 - the field's own name
        comment: str | None = None,
        skbmark: int | tuple[int, int] | None = None,
        skbprio: tuple[int, int] | None = None,
        skbqueue: int | None = None,
        nomatch: bool = False,
        wildcard: bool = False,
        before: str | None = None,
        after: str | None = None,
    ) -> None:
        if before is not None and after is not None:
            raise InvalidConfig("after", after, "None beside before")
        _set_parts(self, tuple(map(_check_part, parts)) or _no_parts())
        _set_timeout(self, parse_seconds("timeout", timeout))
        _set_packets(self, _optional("packets", packets, MAX_COUNTER))
        _set_bytes(self, _optional("bytes", bytes, MAX_COUNTER))
        _set_comment(self, _check_comment(comment))
        _set_skbmark(self, None if skbmark is None else _pair("skbmark", skbmark, _WORD))
        _set_skbprio(self, None if skbprio is None else _pair("skbprio", skbprio, 0xFFFF))
        _set_skbqueue(self, _optional("skbqueue", skbqueue, 0xFFFF))
        _set_nomatch(self, bool(nomatch))
        _set_wildcard(self, bool(wildcard))
        _set_before(self, None if before is None else check_word("before", before, MAX_NAME))
        _set_after(self, None if after is None else check_word("after", after, MAX_NAME))

    @staticmethod
    def of_row(kinds: tuple[Part, ...], family: Family | None, row: Row, comment: str | None = None) -> Entry:
        """From a row of the C core (`ROW.unpack`) of a set whose elements are made of `kinds`; not checked again."""
        entry = object.__new__(Entry)
        parts = tuple([reader(row) for reader in _readers(kinds, family)])
        _set_parts(entry, parts if None not in parts else tuple([part for part in parts if part is not None]))
        present = row[0]
        if not present & _OPTIONS:
            for write, value in _DEFAULTS:
                write(entry, value)
            return entry
        _set_timeout(entry, row[1] if present & _TIMEOUT else None)
        _set_packets(entry, row[15] if present & _PACKETS else None)
        _set_bytes(entry, row[16] if present & _BYTES else None)
        _set_comment(entry, comment if present & _COMMENT else None)
        _set_skbmark(entry, (row[17], row[18]) if present & _SKBMARK else None)
        _set_skbprio(entry, (row[19] >> 16, row[19] & 0xFFFF) if present & _SKBPRIO else None)
        _set_skbqueue(entry, row[14] if present & _SKBQUEUE else None)
        _set_nomatch(entry, bool(present & _NOMATCH))
        _set_wildcard(entry, bool(present & _WILDCARD))
        _set_before(entry, _name(row[22]) if present & _BEFORE else None)
        _set_after(entry, _name(row[22]) if present & _AFTER else None)
        return entry

    def replace(self, **changes: Any) -> Entry:
        """The same with some attributes changed, and checked again. Raises InvalidConfig."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        unknown = changes.keys() - values.keys()
        if unknown:
            raise InvalidConfig("entry", sorted(unknown), "attributes named " + ", ".join(values))
        values |= changes
        return Entry(*values.pop("parts"), **values)

    @property
    def address(self) -> IPAddress | AddressRange:
        """The first address, or range of addresses. AttributeError if there is none."""
        return self._first("address", IPv4Address, IPv6Address, AddressRange)  # type: ignore[no-any-return]

    @property
    def network(self) -> IPNetwork | AddressRange:
        """The first network, or range of addresses. AttributeError if there is none."""
        return self._first("network", IPv4Network, IPv6Network, AddressRange)  # type: ignore[no-any-return]

    @property
    def port(self) -> Port | NumberRange | int:
        """The port: of bitmap:port a number. AttributeError if there is none."""
        return self._first("port", Port, NumberRange, int)  # type: ignore[no-any-return]

    @property
    def mark(self) -> Mark:
        """The packet mark. AttributeError if there is none."""
        return self._first("mark", Mark)  # type: ignore[no-any-return]

    @property
    def mac(self) -> MAC:
        """The MAC address. AttributeError if there is none."""
        return self._first("mac", MAC)  # type: ignore[no-any-return]

    @property
    def interface(self) -> Interface:
        """The network interface. AttributeError if there is none."""
        return self._first("interface", Interface)  # type: ignore[no-any-return]

    @property
    def set_name(self) -> str:
        """The member of a list of sets. AttributeError if there is none."""
        return self._first("set_name", str)  # type: ignore[no-any-return]

    def _first(self, name: str, *kinds: type) -> Any:  # noqa: ANN401 - the kinds say what comes out
        for part in self.parts:
            if type(part) in kinds:
                return part
        text = any(isinstance(part, str) for part in self.parts)
        why = "it is a text that no set has taken apart yet" if text else "its parts are of other kinds"
        raise AttributeError(f"the entry {self} has no {name}: {why}", name=name, obj=self)

    @property
    def features(self) -> frozenset[str]:
        """What revisions of types are told apart by (see `ipvskit.sets.revisions`)."""
        return frozenset({"wildcard"}) if self.wildcard else frozenset()

    def __str__(self) -> str:
        # The order in which `ipset save` writes them; before and after, which it never lists, first as in the C core.
        words = [",".join(map(part_text, self.parts))]
        for name, write in _WRITERS:
            value = getattr(self, name)
            if value is not None and value is not False:
                words.append(write(value))
        return " ".join(words)


def _skbmark_text(value: tuple[int, int]) -> str:
    mark, mask = value
    return f"skbmark 0x{mark:x}" + ("" if mask == _WORD else f"/0x{mask:x}")


_WRITERS: tuple[tuple[str, Callable[[Any], str]], ...] = (
    ("before", "before {}".format),
    ("after", "after {}".format),
    ("timeout", "timeout {}".format),
    ("nomatch", lambda _: "nomatch"),
    ("wildcard", lambda _: "wildcard"),
    ("packets", "packets {}".format),
    ("bytes", "bytes {}".format),
    ("comment", 'comment "{}"'.format),
    ("skbmark", _skbmark_text),
    ("skbprio", lambda value: f"skbprio {value[0]:x}:{value[1]:x}"),
    ("skbqueue", "skbqueue {}".format),
)

_set_parts = setter(Entry, "parts")
_set_timeout = setter(Entry, "timeout")
_set_packets = setter(Entry, "packets")
_set_bytes = setter(Entry, "bytes")
_set_comment = setter(Entry, "comment")
_set_skbmark = setter(Entry, "skbmark")
_set_skbprio = setter(Entry, "skbprio")
_set_skbqueue = setter(Entry, "skbqueue")
_set_nomatch = setter(Entry, "nomatch")
_set_wildcard = setter(Entry, "wildcard")
_set_before = setter(Entry, "before")
_set_after = setter(Entry, "after")
_DEFAULTS = tuple((setter(Entry, name), False if name in {"nomatch", "wildcard"} else None) for name, _ in _WRITERS)


def _no_parts() -> tuple[Value, ...]:
    raise InvalidConfig("entry", (), "at least one part, or a text")


def _check_part(part: Value) -> Value:
    if isinstance(part, str):
        if not part.strip() or any(character in part for character in "\0\n"):
            raise InvalidConfig("entry", part, "one entry in the form that ipset(8) has for the type of the set")
        return part.strip()
    if isinstance(part, int):
        return parse_number("port", part, 0, 65535)
    if isinstance(part, IPv6Address) and part.scope_id is not None:
        raise InvalidConfig("address", str(part), "an address without a zone: sets have none")
    if not isinstance(part, Value):
        expected = (
            "addresses and networks of ipaddress, AddressRange, Port, NumberRange, Mark, MAC, Interface, numbers, text"
        )
        raise InvalidConfig("entry", part, expected)
    return part


def _optional(field: str, value: int | None, limit: int) -> int | None:
    return None if value is None else parse_number(field, value, 0, limit)


def _pair(field: str, value: int | tuple[int, int], limit: int) -> tuple[int, int]:
    if isinstance(value, int) and field == "skbmark":
        value = (value, limit)
    if not isinstance(value, tuple | list) or len(value) != 2:
        raise InvalidConfig(field, value, "a mark, or (mark, mask)" if field == "skbmark" else "(major, minor)")
    return parse_number(field, value[0], 0, limit), parse_number(field, value[1], 0, limit)


def _check_comment(comment: str | None) -> str | None:
    if comment is None:
        return None
    # surrogateescape: what another program put into the kernel need not be UTF-8, and can be copied.
    if not isinstance(comment, str) or len(comment.encode(errors="surrogateescape")) > MAX_COMMENT:
        raise InvalidConfig("comment", comment, f"a text of at most {MAX_COMMENT} bytes in UTF-8")
    # Double quotes are fine here: the last one of a text ends the comment. The ipset tool refuses them.
    if "\0" in comment or "\n" in comment:
        raise InvalidConfig("comment", comment, "a text in one line, without NUL")
    return comment


def entries_of_rows(
    kinds: tuple[Part, ...], family: Family | None, rows: bytes | memoryview, comments: bytes | memoryview = b""
) -> Iterator[Entry]:
    """Entries from the C core's rows and from the comments, which stand one after the other."""
    start = 0
    make = Entry.of_row
    for row in ROW.iter_unpack(rows):
        if row[0] & _COMMENT:
            end = start + row[20]
            yield make(kinds, family, row, str(comments[start:end], "utf-8", "surrogateescape"))
            start = end
        else:
            yield make(kinds, family, row)


def _name(raw: bytes) -> str:
    return raw.partition(b"\0")[0].decode(errors="surrogateescape")


def _stored(kind: type, values: Iterable[tuple[str, object]]) -> Any:  # noqa: ANN401 - the kind says what comes out
    part: Any = object.__new__(kind)
    for name, value in values:
        object.__setattr__(part, name, value)
    return part


@cache
def _readers(kinds: tuple[Part, ...], family: Family | None) -> tuple[Reader, ...]:
    """What makes each part out of a row; the second address or network of an element has the second place there."""
    readers = []
    place = 0
    for kind in kinds:
        readers.append(_MAKERS[kind](place, family is Family.IPV6))
        place += kind in {Part.ADDRESS, Part.NET}
    return tuple(readers)


def _address_reader(place: int, v6: bool) -> Reader:
    kind, size = (IPv6Address, 16) if v6 else (IPv4Address, 4)
    bit, at, to = (_LAST, _LAST2)[place], 2 + place, 4 + place

    def read(row: Row) -> Value:
        first = kind(row[at][:size])
        return AddressRange(first, kind(row[to][:size])) if row[0] & bit else first

    return read


def _network_reader(place: int, v6: bool) -> Reader:
    kind, size = (IPv6Network, 16) if v6 else (IPv4Network, 4)
    address = _address_reader(place, v6)
    bit, at, prefix = (_LAST, _LAST2)[place], 2 + place, 6 + place

    def read(row: Row) -> Value | None:
        return address(row) if row[0] & bit else kind((row[at][:size], row[prefix]), strict=False)

    return read


def _read_port(row: Row) -> Value:
    last = int.from_bytes(row[11], "big") if row[0] & _LAST_PORT else None
    protocol = PROTOCOL_NAMES.get(row[8], row[8])
    return _stored(Port, (("number", int.from_bytes(row[10], "big")), ("protocol", protocol), ("last", last)))  # type: ignore[no-any-return]


def _read_number(row: Row) -> Value:
    first = int.from_bytes(row[10], "big")
    return NumberRange(first, int.from_bytes(row[11], "big")) if row[0] & _LAST_PORT else first


def _read_mac(row: Row) -> Value | None:
    # As a key it is never all zeros, as a value it may be missing.
    return _stored(MAC, (("octets", row[13]),)) if row[0] & _HAS_MAC or any(row[13]) else None


def _read_interface(row: Row) -> Value:
    return _stored(Interface, (("name", _name(row[21])), ("physdev", bool(row[9]))))  # type: ignore[no-any-return]


_MAKERS: dict[Part, Callable[[int, bool], Reader]] = {
    Part.ADDRESS: _address_reader,
    Part.NET: _network_reader,
    Part.PORT: lambda _place, _v6: _read_port,
    Part.NUMBER: lambda _place, _v6: _read_number,
    Part.MARK: lambda _place, _v6: lambda row: Mark(row[12]),
    Part.MAC: lambda _place, _v6: _read_mac,
    Part.INTERFACE: lambda _place, _v6: _read_interface,
    Part.SET: lambda _place, _v6: lambda row: _name(row[21]),
}
