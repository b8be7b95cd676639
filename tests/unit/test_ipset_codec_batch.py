"""Tables of elements as messages: limits that are met exactly, many different options, ranges, references, flags.

Knows: what a message with elements looks like. Must not know: templates, sockets. Random entries: `tests/property/test_ipset_codec.py`.
"""

from __future__ import annotations

import errno
from itertools import chain, combinations
from typing import Any

import pytest

from ipvskit._native import elements as native
from ipvskit._native.ipset import MESSAGE_MAX, encode_elements
from ipvskit.ipset.commands import Command
from ipvskit.model.address import Family
from ipvskit.model.settype import SetType
from ipvskit.sets.shape import option_bits, shape_of_type
from tests.unit import ipset_wire
from tests.unit.ipset_wire import Fields, Raw

EXCL = 0x200


def raw_table(kind: str, lines: list[str], family: Family | None = Family.IPV4) -> native.Table:
    """As a table that goes to the kernel may be: not normalised."""
    of = SetType.of(kind)
    table = native.Table(shape_of_type(of, family if of.families else None))
    found = table.parse(native.APPEND, 1, "\n".join(lines).encode())
    assert not found.faults
    return table


def encode(table: native.Table, room: int = 1 << 16, name: bytes = b"s", **options: Any) -> tuple[bytes, list[int]]:
    out = bytearray(room)
    done, used, firsts = encode_elements(Command.ADD, EXCL, name, table, 0, len(table), out, **options)
    assert done == len(table)
    return bytes(out[:used]), firsts


def many(*elements: Fields, name: str = "s", command: str = "ADD", exist: bool = False) -> bytes:
    """A message with the elements; their place goes before a comment."""
    adt = []
    for line, fields in enumerate(elements, 1):
        comment = {key: value for key, value in fields.items() if key == "comment"}
        adt.append({key: value for key, value in fields.items() if key != "comment"} | {"lineno": line} | comment)
    return ipset_wire.build(command, setname=name, lineno=0, adt=adt, exist=exist)


def text(number: int, value: str, room: int) -> Raw:
    return Raw(number, value.encode().ljust(room, b"\0"))


#: (type, family, entry, what is sent of it)
ELEMENTS: list[tuple[str, str, str, Fields]] = [
    ("hash:ip", "inet", "10.0.0.1-10.0.0.9", {"ip": "10.0.0.1", "ip_to": "10.0.0.9"}),
    ("hash:net", "inet", "10.0.0.1-10.0.0.9 nomatch", {"ip": "10.0.0.1", "ip_to": "10.0.0.9", "cadt_flags": 4}),
    ("hash:net", "inet", "10.0.0.0/8", {"ip": "10.0.0.0", "cidr": 8}),
    ("hash:net", "inet6", "2001:db8::/32", {"ip": "2001:db8::", "cidr": 32}),
    (
        "hash:net,net",
        "inet",
        "10.0.0.1-10.0.0.3,10.1.0.1-10.1.0.3",
        {"ip": "10.0.0.1", "ip_to": "10.0.0.3", "ip2": "10.1.0.1", "ip2_to": "10.1.0.3"},
    ),
    (
        "hash:net,net",
        "inet",
        "10.0.0.1-10.0.0.3,10.1.0.0/16",
        {"ip": "10.0.0.1", "ip_to": "10.0.0.3", "ip2": "10.1.0.0", "cidr2": 16},
    ),
    ("hash:ip,port", "inet", "10.0.0.1,udp:5-9", {"ip": "10.0.0.1", "proto": 17, "port": 5, "port_to": 9}),
    ("bitmap:port", "", "5-9", {"port": 5, "port_to": 9}),
    ("bitmap:ip,mac", "inet", "10.0.0.1", {"ip": "10.0.0.1"}),
    ("bitmap:ip,mac", "inet", "10.0.0.1,1:2:3:4:5:ff", {"ip": "10.0.0.1", "ether": b"\1\2\3\4\5\xff"}),
    ("hash:mac", "", "1:2:3:4:5:ff", {"ether": b"\1\2\3\4\5\xff"}),
    ("hash:ip,mark", "inet", "10.0.0.1,0x12345678", {"ip": "10.0.0.1", "mark": 0x12345678}),
    (
        "hash:net,iface",
        "inet",
        "10.0.0.0/8,physdev:eth0 nomatch wildcard",
        {"ip": "10.0.0.0", "cidr": 8, "iface": text(23, "eth0", 16), "cadt_flags": 2 | 4 | 128},
    ),
    ("hash:net,iface", "inet", "0.0.0.0/0,abcdefghijklmno", {"ip": "0.0.0.0", "cidr": 0, "iface": text(23, "abcdefghijklmno", 16)}),
    ("list:set", "", "a" * 31, {"name": text(18, "a" * 31, 32)}),
    ("list:set", "", "a before b", {"name": text(18, "a", 32), "nameref": text(19, "b", 32), "cadt_flags": 1}),
    ("list:set", "", "a after b", {"name": text(18, "a", 32), "nameref": text(19, "b", 32)}),
    (
        "hash:ip",
        "inet",
        "10.0.0.1 timeout 2147483 packets 18446744073709551614 bytes 1 skbmark 0x12345678/0x9abcdef0 skbprio 1:ffff skbqueue 258",
        {
            "ip": "10.0.0.1",
            "timeout": 2147483,
            "packets": 2**64 - 2,
            "bytes": 1,
            "skbmark": 0x123456789ABCDEF0,
            "skbprio": 0x1FFFF,
            "skbqueue": 258,
        },
    ),
    ("hash:ip", "inet", f'10.0.0.1 comment "{"c" * 255}"', {"ip": "10.0.0.1", "comment": "c" * 255}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "family", "line", "fields"), ELEMENTS, ids=lambda value: value if isinstance(value, str) else ""
)
@pytest.mark.parametrize("single", [False, True])
def test_elements(kind: str, family: str, line: str, fields: Fields, single: bool) -> None:
    table = raw_table(kind, [line], {"inet": Family.IPV4, "inet6": Family.IPV6, "": None}[family])
    found, firsts = encode(table, single=single)
    expected = ipset_wire.build("ADD", setname="s", data=fields) if single else many(fields)
    assert (found, firsts) == (expected, [0])


@pytest.mark.parametrize(("command", "name"), [(Command.ADD, "ADD"), (Command.DEL, "DEL"), (Command.TEST, "TEST")])
@pytest.mark.parametrize("exist", [False, True])
def test_commands(command: Command, name: str, exist: bool) -> None:
    table = raw_table("hash:ip", ["10.0.0.1", "10.0.0.2"])
    out = bytearray(1000)
    done, used, firsts = encode_elements(command, 0 if exist else EXCL, b"a" * 31, table, 0, 2, out)
    expected = many({"ip": "10.0.0.1"}, {"ip": "10.0.0.2"}, name="a" * 31, command=name, exist=exist)
    assert (done, bytes(out[:used]), firsts) == (2, expected, [0])


OPTIONS: dict[str, tuple[str, Fields]] = {
    "timeout": ("timeout 5", {"timeout": 5}),
    "packets": ("packets 6", {"packets": 6}),
    "skbmark": ("skbmark 0x7", {"skbmark": 7 << 32 | 0xFFFFFFFF}),
    "skbqueue": ("skbqueue 8", {"skbqueue": 8}),
    "comment": ('comment "nine"', {"comment": "nine"}),
}


def test_more_different_options_than_are_remembered() -> None:
    # All 32 combinations, forwards, backwards and interleaved.
    subsets = list(chain.from_iterable(combinations(OPTIONS, size) for size in range(len(OPTIONS) + 1)))
    order = [*subsets, *reversed(subsets), *chain.from_iterable(zip(subsets, reversed(subsets), strict=True))]
    lines, expected = [], []
    for number, names in enumerate(order):
        # A comment must come last in a line.
        words = [OPTIONS[name][0] for name in names]
        lines.append(" ".join([f"10.0.0.{number}", *words]))
        fields: Fields = {"ip": f"10.0.0.{number}"}
        for name in names:
            fields |= OPTIONS[name][1]
        expected.append(fields)
    assert encode(raw_table("hash:ip", lines))[0] == many(*expected)
    messages, firsts = encode(raw_table("hash:ip", lines), single=True, most=len(lines))
    assert firsts == list(range(len(lines)))
    wanted = [ipset_wire.build("ADD", setname="s", sequence=at, data=one) for at, one in enumerate(expected)]
    assert messages == b"".join(wanted)


def test_only_some_options_are_sent() -> None:
    table = raw_table("hash:net", ['10.0.0.0/8 timeout 5 packets 6 nomatch comment "x"'])
    bare = {"ip": "10.0.0.0", "cidr": 8}
    assert encode(table, options=0)[0] == many(bare)
    assert encode(table, options=option_bits(["nomatch", "comment"]))[0] == many(
        bare | {"cadt_flags": 4, "comment": "x"}
    )


# --- limits -------------------------------------------------------------------------------------------------------------------------

HEAD = len(many())
ELEMENT = len(many({"ip": "10.0.0.1"})) - HEAD


@pytest.mark.parametrize("fitting", [1, 2, 10])
def test_a_message_is_filled_to_the_last_byte(fitting: int) -> None:
    table = raw_table("hash:ip", [f"10.0.0.{number}" for number in range(30)])
    exact = HEAD + fitting * ELEMENT
    for limit, expected in ((exact, fitting), (exact + ELEMENT - 1, fitting), (exact - 1, fitting - 1)):
        if not expected:
            continue
        found, firsts = encode(table, message=limit)
        assert firsts == list(range(0, 30, expected))
        lengths = [16 + len(one.payload) for one in ipset_wire.read_messages(found)]
        assert lengths[0] == HEAD + expected * ELEMENT
        assert max(lengths) <= limit
        assert [one.sequence for one in ipset_wire.read_messages(found)] == list(range(len(firsts)))
        first = ipset_wire.read(found)[0]
        assert [each["lineno"] for each in first["adt"]] == list(range(1, expected + 1))


def test_the_largest_message() -> None:
    table = raw_table("hash:ip", [f"10.0.{number >> 8}.{number & 255}" for number in range(5000)])
    found, firsts = encode(table, room=1 << 18)
    assert firsts == [0, (MESSAGE_MAX - HEAD) // ELEMENT]
    assert all(len(one.payload) + 16 <= MESSAGE_MAX for one in ipset_wire.read_messages(found))


@pytest.mark.parametrize("single", [False, True])
def test_a_buffer_is_filled_to_the_last_byte(single: bool) -> None:
    table = raw_table("hash:ip", [f"10.0.0.{number}" for number in range(3)])
    one = len(ipset_wire.build("ADD", setname="s", data={"ip": "10.0.0.1"}))
    sizes = {1: one, 2: 2 * one} if single else {1: HEAD + ELEMENT, 2: HEAD + 2 * ELEMENT}
    for count, size in sizes.items():
        out = bytearray(size)
        assert encode_elements(Command.ADD, 0, b"s", table, 0, 3, out, single=single)[:2] == (count, size)
        if count > 1:
            assert encode_elements(Command.ADD, 0, b"s", table, 0, 3, bytearray(size - 1), single=single)[0] == 1
    with pytest.raises(OSError) as caught:
        encode_elements(Command.ADD, 0, b"s", table, 0, 3, bytearray(sizes[1] - 1), single=single)
    assert caught.value.errno == errno.ENOSPC


def test_how_many_messages_at_most() -> None:
    table = raw_table("hash:ip", [f"10.0.0.{number}" for number in range(9)])
    out = bytearray(4096)
    assert encode_elements(Command.ADD, 0, b"s", table, 2, 7, out, single=True, most=3)[::2] == (3, [2, 3, 4])
    assert encode_elements(Command.ADD, 0, b"s", table, 2, 7, out, message=HEAD + 2 * ELEMENT, most=2)[::2] == (
        4,
        [2, 4],
    )
    assert encode_elements(Command.ADD, 0, b"s", table, 9, 0, out) == (0, 0, [])


@pytest.mark.parametrize(
    ("command", "start", "count", "message"),
    [(Command.LIST, 0, 1, 100), (12, 0, 1, 100), (Command.ADD, 0, 3, 100), (Command.ADD, 3, 1, 100), (Command.ADD, 0, 1, MESSAGE_MAX + 1)],
)  # fmt: skip
def test_what_makes_no_sense(command: int, start: int, count: int, message: int) -> None:
    table = raw_table("hash:ip", ["10.0.0.1", "10.0.0.2"])
    with pytest.raises(OSError) as caught:
        encode_elements(command, 0, b"s", table, start, count, bytearray(1000), message=message)
    assert caught.value.errno == errno.EINVAL


def test_a_place_in_the_middle_of_the_index() -> None:
    # start + count must not wrap around.
    table = raw_table("hash:ip", ["10.0.0.1", "10.0.0.2"])
    with pytest.raises(OSError) as caught:
        encode_elements(Command.ADD, 0, b"s", table, 2**64 - 1, 2, bytearray(1000))
    assert caught.value.errno == errno.EINVAL
