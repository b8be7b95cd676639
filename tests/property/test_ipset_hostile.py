"""Hostile bytes and texts: whatever comes in becomes whole values or is refused, and nothing else ever happens.

Knows: the invariant, and how valid dumps and entries are spoilt. Must not know: the C's insides. Over-reads are seen under `tests/asan.sh`.

The invariant: `_native.ipset` returns whole values, or raises OSError with EBADMSG; texts become elements, or raise InvalidEntry that names a field.
"""

from __future__ import annotations

import errno
import struct
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ipvskit._native.ipset import Listing, failures, parse_sets, split_failures
from ipvskit.errors import InvalidEntry
from ipvskit.ipset.commands import decode_headers, held
from ipvskit.model.settype import SET_TYPES
from ipvskit.sets.elements import Elements
from ipvskit.sets.faults import FAULTS
from ipvskit.sets.shape import family_number, listing_types
from tests.examples import examples
from tests.property.ipset_entries import KINDS, Kind, entries
from tests.property.test_ipset_codec import listed
from tests.unit import ipset_wire
from tests.unit.ipset_wire import NLA_F_NESTED, Raw

if TYPE_CHECKING:
    from ipvskit.sets.entry import Entry

FIELDS = {field for field, _ in FAULTS}


def check_listing(data: bytes) -> int:
    """The invariant; returns how many elements there were, -1 where the bytes were refused."""
    listing = Listing(listing_types())
    refused = False
    try:
        listing.feed(data)
    except OSError as error:
        if error.errno != errno.EBADMSG:
            raise
        refused = True
    assert 0 <= listing.error < 2**31
    count = 0
    for row, table in listing.sets():
        (header,) = decode_headers(row)
        status = held(header)
        assert len(status.set.name) <= 31
        if header.type_name in SET_TYPES:
            assert str(status.set).split()[1:2] == [header.type_name] or " " in status.set.name
        if table is None:
            continue
        kind = SET_TYPES[header.type_name]
        found = Elements.of_table(kind, header.inet, table)
        values = list(found)
        assert len(values) == len(found)
        # One that lacks its only attribute has no text: kernels send none such.
        assert len([str(value) for value in values]) == len(found)
        assert found.to_text().count("\n") >= len(found)
        count += len(found)
    return -1 if refused else count


def check_answers(data: bytes) -> None:
    for parse in (failures, parse_sets, lambda some: split_failures(some, 4103, 4)):
        try:
            parse(data)
        except OSError as error:
            if error.errno != errno.EBADMSG:
                raise
    try:
        rows = parse_sets(data)
    except OSError:
        return
    for header in decode_headers(rows):
        assert len(header.set_name.encode("utf-8", "surrogateescape")) <= 31


# --- bytes at random ----------------------------------------------------------------------------------------------------------------


@given(data=st.binary(max_size=400))
@example(b"\xff" * 16)
@example(ipset_wire.MESSAGE.pack(16, 6 << 8 | 7, 0, 0, 0))
def test_random_bytes(data: bytes) -> None:
    check_listing(data)
    check_answers(data)


@given(command=st.integers(0, 255), body=st.binary(max_size=300))
def test_random_attributes(command: int, body: bytes) -> None:
    message = ipset_wire.message(command, 2, body)
    check_listing(message)
    check_answers(message)


@given(st.sampled_from([2, 3]), st.integers(0, 0xFFFF), st.binary(max_size=200))
@example(2, 0, struct.pack("=i", -4103) + struct.pack("=IHHII", 2**32 - 1, 0, 0, 0, 0))
@example(2, 0, struct.pack("=i", -4103) + struct.pack("=IHHII", 18, 0, 0, 0, 0) + b"\0\0")
def test_random_verdicts(kind: int, flags: int, payload: bytes) -> None:
    message = ipset_wire.MESSAGE.pack(16 + len(payload), kind, flags, 0, 0) + payload
    check_listing(message)
    check_answers(message)


@pytest.mark.parametrize("kind", KINDS, ids=str)
@settings(max_examples=examples(40))
@given(
    data=st.data(), inside=st.lists(st.tuples(st.integers(0, 31), st.booleans(), st.binary(max_size=20)), max_size=4)
)
def test_random_elements(kind: Kind, data: st.DataObject, inside: list[tuple[int, bool, bytes]]) -> None:
    adt = []
    for _ in range(3):
        fields = listed(data.draw(entries(kind)))
        order = data.draw(st.permutations(sorted(fields)))
        fields = {name: fields[name] for name in order}
        chosen = data.draw(st.lists(st.sampled_from(inside), max_size=2)) if inside else []
        for number, (attribute, network, payload) in enumerate(chosen):
            fields[str(number)] = Raw(attribute | (0x4000 if network else 0), payload)
        adt.append(fields)
    check_listing(dump(kind, adt))


# --- valid dumps, spoilt ------------------------------------------------------------------------------------------------------------


def dump(kind: Kind, adt: list[ipset_wire.Fields]) -> bytes:
    head: ipset_wire.Fields = {"typename": kind.type.name, "revision": 1, "family": family_number(kind.family)}
    made = ipset_wire.pack_fields(
        ipset_wire.CREATE, {"elements": 1, "timeout": 5, "cadt_flags": 0x58, "bitmask": "255.0.0.0"}
    )
    return ipset_wire.build("LIST", header=2, setname="s", **head, data=Raw(7 | NLA_F_NESTED, made), adt=adt)


@pytest.mark.parametrize("kind", KINDS, ids=str)
@settings(max_examples=1, deadline=None)
@given(data=st.data())
def test_every_bit_turned(kind: Kind, data: st.DataObject) -> None:
    whole = dump(kind, [listed(data.draw(entries(kind)))])
    assert check_listing(whole) == 1
    spoilt = bytearray(whole)
    refused = 0
    for bit in range(8 * len(whole)):
        spoilt[bit // 8] ^= 1 << bit % 8
        refused += check_listing(bytes(spoilt)) < 0
        spoilt[bit // 8] ^= 1 << bit % 8
    assert refused


@pytest.mark.parametrize("kind", KINDS, ids=str)
@settings(max_examples=2, deadline=None)
@given(data=st.data())
def test_every_length(kind: Kind, data: st.DataObject) -> None:
    whole = dump(kind, [listed(data.draw(entries(kind)))])
    for length in range(4, len(whole)):
        assert check_listing(whole[:length]) == -1
        # The message says that it is so long, so the last attribute is cut, or there are fewer of them.
        check_listing(struct.pack("=I", max(length, 16)) + whole[4 : max(length, 16)])


@given(data=st.data())
@settings(max_examples=examples(50))
def test_refusals_spoilt(data: st.DataObject) -> None:
    request = ipset_wire.build("ADD", setname="s", lineno=7, adt=[{"ip": "10.0.0.1", "lineno": 7}])
    payload = struct.pack("=i", -4103) + request
    whole = ipset_wire.MESSAGE.pack(16 + len(payload), 2, 0, 3, 0) + payload
    assert [(one.index, one.error, one.line) for one in failures(whole)] == [(3, 4103, 7)]
    spoilt = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 4))):
        spoilt[data.draw(st.integers(0, len(whole) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    check_answers(bytes(spoilt))
    check_answers(bytes(spoilt[: data.draw(st.integers(0, len(whole)))]))


# --- texts --------------------------------------------------------------------------------------------------------------------------


def check_fault(error: InvalidEntry, text: str, line: int | None) -> None:
    assert error.field in FIELDS
    assert isinstance(error.value, str)
    assert error.expected
    assert not any(name in error.expected and name not in text for name in ("{kind}", "{syntax}", "{options}"))
    assert line is None or error.line == line
    assert error.value == text or error.value in text or not text.isascii()


def check_text(kind: Kind, text: str) -> None:
    """One entry; what is taken comes back from its own text."""
    table = Elements(kind.type, family=kind.family)
    try:
        added = table.add(text)
    except InvalidEntry as error:
        check_fault(error, text, 0)
        assert len(table) == 0
        assert text not in table
        return
    assert added == len(table) > 0
    assert text in table
    written = table.to_text()
    # A line that begins so is a comment, also where it is the name of a set.
    if not written.startswith("#"):
        assert Elements.parse(kind.type, written, family=kind.family) == table
    assert table.discard(text) == added


#: Not larger ones: a range may become as many elements as it has.
_PIECES = [
    *("10.0.0.1", "10.0.0.0/24", "10.0.0.1-10.0.0.9", "10.0.0.9-10.0.0.1", "::", "2001:db8::1/64", "0.0.0.0", "0.0.0.0/0", "256.1.1.1"),
    *("tcp:80", "udp:1-5", "icmp:8/0", "icmp:echo-request", "gre:0", "300:1", "80", "http", "1-70000", "0x10", "[http]", "-", "!", ","),
    *("01:02:03:04:05:06", "1:2", "eth0", "physdev:", "physdev:eth0", "a" * 16, "a" * 32, " ", "\t", "\r", "/", "#", '"', "\0", "é", "\udcff"),
    *("timeout 5", "timeout", "comment", 'comment "x"', 'comment "', "nomatch", "before x", "after y", "packets 1", "bytes -1", "skbmark 0x1/0x2"),
    *("skbprio 1:2", "skbqueue 5", "wildcard", "timeout 4294967296", "\ud800", "10.0.0.0/8-", "1.1.1.1/33", "\n"),
]  # fmt: skip
#: Those that make no range of one address, which may be millions of elements.
_HARMLESS = [piece for piece in _PIECES if not set(piece) & set("/-")] + [""] * 8
TEXTS = st.one_of(
    st.text(max_size=40),
    st.lists(st.sampled_from(_PIECES), max_size=6).map("".join),
    st.lists(st.sampled_from(_PIECES), max_size=6).map(" ".join),
    st.lists(st.sampled_from(_PIECES), max_size=6).map(",".join),
)


@pytest.mark.parametrize("kind", KINDS, ids=str)
@settings(max_examples=examples(150), deadline=None)
@given(text=TEXTS)
@example("")
@example("#")
def test_random_texts(kind: Kind, text: str) -> None:
    check_text(kind, text)


@pytest.mark.parametrize("kind", KINDS, ids=str)
@settings(max_examples=examples(60), deadline=None)
@given(data=st.data())
def test_spoilt_texts(kind: Kind, data: st.DataObject) -> None:
    item: Entry = data.draw(entries(kind))
    text = str(item)
    at = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(at, min(len(text), at + 3)))
    spoilt = text[:at] + data.draw(st.sampled_from(_HARMLESS)) + text[end:]
    check_text(kind, spoilt)


@settings(max_examples=examples(100), deadline=None)
@given(lines=st.lists(TEXTS.filter(lambda text: "\n" not in text), max_size=8), kind=st.sampled_from(KINDS))
def test_many_lines(lines: list[str], kind: Kind) -> None:
    text = "\n".join(lines)
    found: list[InvalidEntry] = []
    try:
        table = Elements.parse(kind.type, text, family=kind.family, on_error=found.append)
    except InvalidEntry as error:
        assert "\ud800" in text
        check_fault(error, text.split("\n")[error.line], None)
        return
    expected = Elements(kind.type, family=kind.family)
    bad = []
    for number, line in enumerate(lines):
        if not line.strip(" \t\r") or line.strip(" \t").startswith("#"):
            continue
        try:
            expected.add(line)
        except InvalidEntry:
            bad.append(number)
    assert [each.line for each in found] == bad
    assert table == expected
    for each in found:
        check_fault(each, lines[each.line], each.line)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("hash:ip", "0.0.0.0-255.255.255.255"),
        ("hash:ip", "1.0.0.0/7"),
        ("hash:ip,port", "10.0.0.0/16,tcp:0-65535"),
        ("hash:ip,port,ip", "10.0.0.0/16,tcp:0-65535,10.0.0.1"),
        ("hash:net,net", "0.0.0.1-255.255.255.254,0.0.0.1-255.255.255.254 comment " + "x" * 255),
    ],
)
def test_ranges_of_too_many(kind: str, text: str) -> None:
    table = Elements(kind)
    try:
        table.add(text)
    except InvalidEntry as error:
        check_fault(error, text, 0)
    assert len(table) < 100_000
    assert (text in table) == bool(table)


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_an_empty_entry_is_one_too_few_wherever_it_stands(kind: Kind) -> None:
    for empty in ("", " ", "#"):
        for lines in ([empty], [empty] * 3):
            with pytest.raises(InvalidEntry) as caught:
                Elements(kind.type, lines, family=kind.family)
            assert caught.value.line == 0 or kind.type.name == "list:set"
            break
        if kind.type.name == "list:set":
            break


def test_an_empty_entry_at_the_end() -> None:
    for lines, line in ((["10.0.0.1", ""], 1), (["", "10.0.0.1"], 0), (["10.0.0.1", "", "10.0.0.2"], 1)):
        with pytest.raises(InvalidEntry) as caught:
            Elements("hash:ip", lines)
        assert caught.value.line == line
