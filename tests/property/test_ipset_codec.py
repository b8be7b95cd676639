"""Elements as messages and back: random entries of every type are encoded byte for byte as the oracle writes them, and read as it lists them.

Knows: which attributes an entry has. Must not know: how tables are kept, sockets.
"""

from __future__ import annotations

import errno
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipvskit._native.ipset import MESSAGE_MAX, Listing, encode_elements
from ipvskit.ipset.commands import Command, decode_headers
from ipvskit.sets.elements import Elements
from ipvskit.sets.parts import MAC, Interface, Mark, Port, address_text
from ipvskit.sets.shape import family_number, listing_types
from tests.examples import examples
from tests.property.ipset_entries import KINDS, Kind, entries
from tests.unit import ipset_wire
from tests.unit.ipset_wire import Fields, Raw

if TYPE_CHECKING:
    from ipvskit._native.elements import Table
    from ipvskit.sets.entry import Entry

NOMATCH, PHYSDEV, WILDCARD = 4, 2, 128
HEADER = 16 + 4
COMMENT_ROOM = 260  # so much room an element with a comment asks for, however long that is


def part_fields(part: Any, second: bool) -> Fields:
    if isinstance(part, IPv4Address | IPv6Address):
        return {"ip2" if second else "ip": address_text(part)}
    if isinstance(part, IPv4Network | IPv6Network):
        fields = part_fields(part.network_address, second)
        return fields | {"cidr2" if second else "cidr": part.prefixlen}
    if isinstance(part, Port):
        return {"proto": part.protocol_number, "port": part.number}
    if isinstance(part, int):
        return {"port": part}
    if isinstance(part, Mark):
        return {"mark": part.value}
    if isinstance(part, MAC):
        return {"ether": part.octets}
    # Of full length, with zeros behind.
    if isinstance(part, Interface):
        return {"iface": Raw(23, part.name.encode().ljust(16, b"\0"))}
    return {"name": Raw(18, part.encode().ljust(32, b"\0"))}


def element_fields(entry: Entry) -> Fields:
    """The attributes of an entry, as they are sent; without its place."""
    fields: Fields = {}
    for number, part in enumerate(entry.parts):
        fields |= part_fields(part, number > 0)
    for name in ("timeout", "packets", "bytes"):
        if getattr(entry, name) is not None:
            fields[name] = getattr(entry, name)
    if entry.skbmark is not None:
        fields["skbmark"] = entry.skbmark[0] << 32 | entry.skbmark[1]
    if entry.skbprio is not None:
        fields["skbprio"] = entry.skbprio[0] << 16 | entry.skbprio[1]
    if entry.skbqueue is not None:
        fields["skbqueue"] = entry.skbqueue
    flags = NOMATCH * entry.nomatch | WILDCARD * entry.wildcard
    flags |= PHYSDEV * any(isinstance(part, Interface) and part.physdev for part in entry.parts)
    return fields | ({"cadt_flags": flags} if flags else {})


def sent(entry: Entry, line: int | None) -> Fields:
    comment = {} if entry.comment is None else {"comment": entry.comment}
    return element_fields(entry) | ({} if line is None else {"lineno": line}) | comment


def expected_message(command: str, name: str, items: list[Entry], sequence: int, *, single: bool, exist: bool) -> bytes:
    if single:
        fields: Fields = {"setname": name, "data": sent(items[0], None)}
    else:
        adt = [sent(item, number) for number, item in enumerate(items, 1)]
        fields = {"setname": name, "lineno": 0, "adt": adt}
    return ipset_wire.build(command, sequence=sequence, exist=exist, **fields)


def encode(table: Table, start: int, count: int, room: int, **options: Any) -> tuple[int, bytes, list[int]]:
    out = bytearray(room)
    done, used, firsts = encode_elements(Command.ADD, 0x200, b"s", table, start, count, out, **options)
    return done, bytes(out[:used]), firsts


def fitted(items: list[Entry], message: int) -> int:
    """How many elements fit into a message of so many bytes."""
    used = len(ipset_wire.build("ADD", setname="s", lineno=0, adt=[]))
    for number, item in enumerate(items):
        element = len(ipset_wire.build("ADD", setname="s", lineno=0, adt=[sent(item, 1)])) - len(
            ipset_wire.build("ADD", setname="s", lineno=0, adt=[])
        )
        bare = len(ipset_wire.attribute(26, (item.comment or "").encode() + b"\0")) if item.comment is not None else 0
        needed = element - bare + (COMMENT_ROOM if bare else 0)
        if used + needed > message:
            return number
        used += element
    return len(items)


@pytest.mark.parametrize("kind", KINDS, ids=str)
@settings(max_examples=examples(30), deadline=None)
@given(
    data=st.data(), single=st.booleans(), message=st.integers(200, 1200) | st.just(MESSAGE_MAX), most=st.integers(1, 40)
)
def test_elements_as_messages(kind: Kind, data: st.DataObject, single: bool, message: int, most: int) -> None:
    items = list(Elements(kind.type, data.draw(st.lists(entries(kind), min_size=1, max_size=25)), family=kind.family))
    table = Elements(kind.type, items, family=kind.family).table
    start = 0
    while start < len(items):
        done, found, firsts = encode_or_none(table, start, len(items) - start, single, message, most)
        if not done:
            # The smallest message that the first one needs is larger.
            assert single or fitted(items[start:], message) == 0
            start += 1
            continue
        bounds = [*firsts, start + done]
        assert firsts[0] == start
        assert len(firsts) <= most
        expected = b""
        for number, (first, last) in enumerate(pairwise(bounds)):
            chosen = items[first:last]
            assert last == (first + 1 if single else first + fitted(items[first:], message))
            expected += expected_message("ADD", "s", chosen, number, single=single, exist=False)
        assert found == expected
        assert all(len(one.payload) + 16 <= message for one in ipset_wire.read_messages(found))
        start += done


def encode_or_none(
    table: Table, start: int, count: int, single: bool, message: int, most: int
) -> tuple[int, bytes, list[int]]:
    try:
        return encode(table, start, count, 1 << 16, single=single, message=message, most=most)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        return 0, b"", []


def listed(entry: Entry) -> Fields:
    """The attributes of an entry, as the kernel lists them: texts end at their NUL."""
    fields = element_fields(entry)
    for name in ("iface", "name"):
        if name in fields:
            fields[name] = fields[name].payload.rstrip(b"\0")
    return fields | ({} if entry.comment is None else {"comment": entry.comment})


@pytest.mark.parametrize("kind", KINDS, ids=str)
@settings(max_examples=examples(30), deadline=None)
@given(data=st.data(), portion=st.integers(1, 9), padded=st.booleans())
def test_listings(kind: Kind, data: st.DataObject, portion: int, padded: bool) -> None:
    items = list(Elements(kind.type, data.draw(st.lists(entries(kind), max_size=20)), family=kind.family))
    known = data.draw(st.booleans())
    head: Fields = {"typename": kind.type.name, "revision": 1, "family": family_number(kind.family), "index": 7}
    made = Raw(7 | 0x8000, ipset_wire.pack_fields(ipset_wire.CREATE, {"elements": len(items)}))
    messages = [ipset_wire.build("LIST", header=2, setname="s", **head, data=made, adt=[])]
    for start in range(0, len(items), portion):
        adt = [listed(item) for item in items[start : start + portion]]
        for one in adt if padded else []:
            one["pad"] = Raw(30, b"")
            one["unknown"] = Raw(77 | 0x4000, b"whatever")
        messages.append(ipset_wire.build("LIST", header=2, setname="s", adt=adt))
    types = listing_types() if known else [one for one in listing_types() if one[0] != kind.type.name]
    listing = Listing(types)
    for message in messages:
        listing.feed(message)
    ((row, table),) = listing.sets()
    (header,) = decode_headers(row)
    assert (header.set_name, header.type_name, header.revision, header.set_index) == ("s", kind.type.name, 1, 7)
    assert (header.inet, header.elements) == (kind.family, len(items))
    if not known:
        assert table is None
        return
    assert table is not None
    assert list(Elements.of_table(kind.type, kind.family, table)) == items
    assert listing.sets()[0][1] is None
