"""What the kernel answers, as the oracle writes it, becomes sets, elements and refusals.

Knows: what a dump looks like, the kernel's inconsistencies included. Must not know: sockets. Random entries: `tests/property/test_ipset_codec.py`.
"""

from __future__ import annotations

import errno
import struct
from ipaddress import IPv4Address
from typing import Any

import pytest

from ipvskit._native.elements import Table
from ipvskit._native.ipset import Failure, Listing, failures, parse_sets, split_failures
from ipvskit.ipset.commands import Header, decode_headers, held
from ipvskit.model.address import Family
from ipvskit.model.settype import SetType
from ipvskit.sets.definition import Set
from ipvskit.sets.elements import Elements
from ipvskit.sets.entry import Entry
from ipvskit.sets.shape import listing_types, shape_of_type
from tests.unit import ipset_wire
from tests.unit.ipset_wire import NLA_F_NESTED, Fields, Raw

EXISTS = 4103


def listed(
    name: str, kind: str = "", data: Fields | None = None, *elements: Fields, family: int = 2, **more: Any
) -> bytes:
    """A message of a dump: without a type it goes on with the set before."""
    head: Fields = {"typename": kind, "revision": 3, "family": family, "index": 7} if kind else {}
    made: Fields = (
        {"data": Raw(7 | NLA_F_NESTED, ipset_wire.pack_fields(ipset_wire.CREATE, data or {}))} if kind else {}
    )
    return ipset_wire.build("LIST", header=2, setname=name, **head, **more, **made, adt=list(elements))


def sets_of(*messages: bytes, types: Any = None) -> list[tuple[Header, Table | None]]:
    listing = Listing(listing_types() if types is None else types)
    for message in messages:
        listing.feed(message)
    assert listing.error == 0
    return [(decode_headers(row)[0], table) for row, table in listing.sets()]


def lines(table: Table | None) -> list[str]:
    assert table is not None
    return b"".join(table.chunks(b"")).decode("utf-8", "surrogateescape").splitlines()


def kernel_error(number: int, sequence: int = 0, *, copy: bytes = b"", flags: int = 0) -> bytes:
    payload = struct.pack("=i", -number) + (copy or ipset_wire.build("ADD", sequence=sequence, setname="s"))
    header = ipset_wire.MESSAGE.pack(16 + len(payload), ipset_wire.NLMSG_ERROR, flags, sequence, 0)
    return header + payload + bytes(-len(payload) % 4)


def refused_at(number: int, sequence: int, line: int) -> bytes:
    copy = ipset_wire.build("ADD", sequence=sequence, setname="s", lineno=line, adt=[{"ip": "10.0.0.1", "lineno": 9}])
    return kernel_error(number, sequence, copy=copy)


# --- dumps --------------------------------------------------------------------------------------------------------------------------


def test_a_header() -> None:
    data = {"ip": "10.0.0.0", "ip_to": "10.0.0.255", "netmask": 28, "timeout": 60, "cadt_flags": 8 | 16 | 64}
    message = listed("s", "bitmap:ip", data | {"references": 2, "memsize": 4096, "elements": 5})
    ((header, table),) = sets_of(message)
    assert table is not None
    status = held(header)
    wanted = Set(
        "s", "bitmap:ip", range="10.0.0.0/24", netmask=28, timeout=60, counters=True, comment=True, skbinfo=True
    )
    assert str(status.set) == str(wanted)
    assert (status.revision, status.index, status.entries, status.references, status.memory) == (3, 7, 5, 2, 4096)


def test_every_option_of_a_header() -> None:
    data = {"hashsize": 1, "maxelem": 2, "bucketsize": 3, "initval": 4, "netmask": 5, "timeout": 6, "cadt_flags": 0x78}
    ((header, _),) = sets_of(
        listed("s", "hash:ip", data | {"bitmask": "255.0.255.0", "size": 7, "markmask": 8, "cidr": 9})
    )
    found = (header.hashsize, header.maxelem, header.bucketsize, header.initval, header.netmask, header.timeout)
    assert (*found, header.flags, header.size, header.markmask, header.prefix) == (1, 2, 3, 4, 5, 6, 0x78, 7, 8, 9)
    assert header.bitmask == IPv4Address("255.0.255.0").packed.ljust(16, b"\0")
    ((header, _),) = sets_of(listed("s", "bitmap:port", {"port": 1, "port_to": 65535}, family=0))
    assert (header.low_port, header.high_port, header.inet) == (1, 65535, None)


def test_numbers_are_read_by_their_flag() -> None:
    # The kernel sends a markmask in the order of the host.
    for raw in (Raw(11, struct.pack("=I", 0xFF00)), Raw(11 | 0x4000, struct.pack(">I", 0xFF00))):
        ((header, _),) = sets_of(
            listed("s", "hash:ip,mark", {"markmask": raw, "maxelem": Raw(19, struct.pack("=I", 5))})
        )
        assert (header.markmask, header.maxelem) == (0xFF00, 5)
    element = {
        "ip": Raw(
            1 | NLA_F_NESTED, ipset_wire.attribute(1, bytes([10, 0, 0, 1]))
        ),  # without the flag inside, as kernels do
        "mark": Raw(10, struct.pack("=I", 0x12345678)),
        "timeout": Raw(6, struct.pack("=I", 300)),
        "packets": Raw(25, struct.pack("=Q", 1 << 40)),
        "skbmark": Raw(27, struct.pack("=Q", 1 << 32 | 0xFFFF)),
        "skbprio": Raw(28, struct.pack("=I", 0x10002)),
        "skbqueue": Raw(29, struct.pack("=H", 258)),
        "bytes": Raw(24 | 0x4000, struct.pack(">Q", 7)),
    }
    ((_, table),) = sets_of(listed("s", "hash:ip,mark", {}, element, element, {"ip": "10.0.0.1", "mark": 0x12345678}))
    options = "timeout 300 packets 1099511627776 bytes 7 skbmark 0x1/0xffff skbprio 1:2 skbqueue 258"
    assert lines(table) == [f"10.0.0.1,0x12345678 {options}"] * 2 + ["10.0.0.1,0x12345678"]


def test_sets_in_several_messages() -> None:
    messages = [
        listed("a", "hash:ip", {}, {"ip": "10.0.0.1"}),
        listed("a", "", None, {"ip": "10.0.0.2"}, {"ip": "10.0.0.3", "timeout": 5}),
        listed("a"),
        listed("b", "hash:net", {}, {"ip": "10.0.0.0", "cidr": 8}),
        listed("a", "hash:ip", {}, {"ip": "10.0.0.9"}),
    ]
    for fed in (messages, [b"".join(messages)]):
        found = sets_of(*fed)
        assert [(header.set_name, lines(table)) for header, table in found] == [
            ("a", ["10.0.0.1", "10.0.0.2", "10.0.0.3 timeout 5"]),
            ("b", ["10.0.0.0/8"]),
            ("a", ["10.0.0.9"]),
        ]


def test_names_only() -> None:
    message = b"".join(ipset_wire.build("LIST", header=2, setname=name) for name in ("a", "b", "c" * 31))
    assert [(header.set_name, table) for header, table in sets_of(message)] == [
        ("a", None),
        ("b", None),
        ("c" * 31, None),
    ]


def test_headers_only() -> None:
    message = ipset_wire.build(
        "LIST", header=2, setname="s", typename="hash:ip", revision=6, family=10,
        data=Raw(7 | NLA_F_NESTED, ipset_wire.pack_fields(ipset_wire.CREATE, {"hashsize": 1024})),
    )  # fmt: skip
    ((header, table),) = sets_of(message)
    assert (header.type_name, header.inet, header.hashsize, lines(table)) == ("hash:ip", Family.IPV6, 1024, [])


def test_an_unknown_type_is_listed_without_elements() -> None:
    ((header, table), (_, other)) = sets_of(
        listed("s", "hash:new", {"hashsize": 64}, {"ip": "10.0.0.1"}),
        listed("s", "", None, {"ip": "10.0.0.2"}),
        listed("t", "hash:ip", {}, {"ip": "10.0.0.3"}),
    )
    assert (header.type_name, header.hashsize, table) == ("hash:new", 64, None)
    assert lines(other) == ["10.0.0.3"]


@pytest.mark.parametrize("family", [0, 2, 10])
@pytest.mark.parametrize(
    ("kind", "element"),
    [("list:set", {"name": "a"}), ("hash:mac", {"ether": b"\0\0\0\0\0\1"}), ("bitmap:port", {"port": 80})],
)
def test_types_without_addresses_have_any_family(kind: str, element: Fields, family: int) -> None:
    ((header, table),) = sets_of(listed("s", kind, {}, element, family=family))
    assert header.inet is None
    assert table is not None
    assert table.shape == shape_of_type(SetType.of(kind), None)
    assert len(table) == 1


def test_a_family_that_the_type_has_not() -> None:
    ((header, table),) = sets_of(listed("s", "hash:ip", {}, {"ip": "10.0.0.1"}, family=7))
    assert (header.inet, table) == (None, None)


def test_what_is_unknown_is_skipped() -> None:
    pad, unknown = Raw(30, b""), Raw(99 | 0x4000, bytes(9))
    element = {"ip": "10.0.0.1", "pad": pad, "packets": 7, "new": unknown, "comment": b'"\xff"', "lineno": 3}
    message = listed("s", "hash:ip", {"new": unknown, "hashsize": 64}, element, new=unknown)
    ((header, table),) = sets_of(message)
    assert (header.hashsize, lines(table)) == (64, ['10.0.0.1 packets 7 comment ""\udcff""'])


def test_elements_look_like_the_one_before_or_not() -> None:
    elements: list[Fields] = [
        {"ip": "10.0.0.1", "timeout": 1},
        {"ip": "10.0.0.2", "timeout": 2},
        {"timeout": 3, "ip": "10.0.0.3"},
        {"timeout": 4, "ip": "10.0.0.4"},
        {"ip": "10.0.0.5", "packets": 5},
        {"ip": "10.0.0.6", "packets": 6},
        {"ip": "10.0.0.7", "timeout": 7},
        {"ip": "10.0.0.8", "comment": "a"},
        {"ip": "10.0.0.9", "comment": "b"},
        {"ip": "10.0.0.10", "timeout": Raw(6, struct.pack("=I", 10))},
        {"ip": "10.0.0.11", "timeout": Raw(6 | 0x4000, struct.pack(">I", 11))},
        {"ip": "10.0.0.12", "skbqueue": 12},
        {"ip": "10.0.0.13", "mark": 13, "timeout": 1},
        {"ip": "10.0.0.14", "mark": 13, "timeout": 2},
    ]
    ((_, table),) = sets_of(listed("s", "hash:ip", {}, *elements))
    expected = [
        *("10.0.0.1 timeout 1", "10.0.0.2 timeout 2", "10.0.0.3 timeout 3", "10.0.0.4 timeout 4", "10.0.0.5 packets 5"),
        *("10.0.0.6 packets 6", "10.0.0.7 timeout 7", '10.0.0.8 comment "a"', '10.0.0.9 comment "b"'),
        *(
            "10.0.0.10 timeout 10",
            "10.0.0.11 timeout 11",
            "10.0.0.12 skbqueue 12",
            "10.0.0.13 timeout 1",
            "10.0.0.14 timeout 2",
        ),
    ]
    assert lines(table) == expected


def test_flags() -> None:
    base: Fields = {"ip": "10.0.0.0", "cidr": 8, "iface": "eth0"}
    wanted = [base | {"cadt_flags": flags} for flags in (0, 2, 4, 128, 2 | 4 | 128, 0xFFFFFF79)]
    ((_, table),) = sets_of(listed("s", "hash:net,iface", {}, *wanted))
    assert lines(table) == [
        "10.0.0.0/8,eth0",
        "10.0.0.0/8,physdev:eth0",
        "10.0.0.0/8,eth0 nomatch",
        "10.0.0.0/8,eth0 wildcard",
        "10.0.0.0/8,physdev:eth0 nomatch wildcard",
        "10.0.0.0/8,eth0",
    ]


def test_a_port_of_a_bridge_without_a_name() -> None:
    flagged: Fields = {"ip": "10.0.0.0", "cidr": 8, "iface": "", "cadt_flags": 2}
    ((_, table),) = sets_of(listed("s", "hash:net,iface", {}, flagged))
    assert lines(table) == ["10.0.0.0/8,physdev:"]


def test_an_element_count_that_is_not_true() -> None:
    for count in (0, 1, 3, 100_000, 2**32 - 1):
        ((_, table),) = sets_of(listed("s", "hash:ip", {"elements": count}, {"ip": "10.0.0.1"}, {"ip": "10.0.0.2"}))
        assert table is not None
        assert lines(table) == ["10.0.0.1", "10.0.0.2"]
        found = Elements.of_table(SetType.of("hash:ip"), Family.IPV4, table)
        assert found.add("10.0.0.3") == 1
        assert list(found)[-1] == Entry(IPv4Address("10.0.0.3"))


def test_the_end_of_a_dump() -> None:
    for message, number in (
        (kernel_error(2), 2),
        (kernel_error(0), 0),
        (struct.pack("=IHHIIi", 20, 3, 2, 0, 0, 0), 0),
        (kernel_error(16), 16),
    ):
        listing = Listing(listing_types())
        listing.feed(listed("s", "hash:ip") + message)
        listing.feed(kernel_error(99) if number else b"")
        assert listing.error == number
        assert len(listing.sets()) == 1


BAD: dict[str, bytes] = {
    "a cut header": listed("s")[:-1],
    "no name": ipset_wire.build("LIST", header=2, typename="hash:ip"),
    "another subsystem": ipset_wire.MESSAGE.pack(16, 5 << 8 | 7, 0, 0, 0),
    "no nfgenmsg": ipset_wire.MESSAGE.pack(16, 6 << 8 | 7, 0, 0, 0),
    "an end without a number": ipset_wire.MESSAGE.pack(16, 3, 0, 0, 0),
    "a positive number": ipset_wire.MESSAGE.pack(20, 3, 0, 0, 0) + struct.pack("=i", 5),
    "a name without end": ipset_wire.build("LIST", header=2, setname=Raw(2, b"s")),
    "a name too long": ipset_wire.build("LIST", header=2, setname="s" * 32),
    "a short number": listed("s", "hash:ip", {}, {"ip": "10.0.0.1", "timeout": Raw(6, b"\0\0")}),
    "a long number": listed("s", "hash:ip", {}, {"ip": "10.0.0.1", "packets": Raw(25, bytes(9))}),
    "a short address": listed("s", "hash:ip", {}, {"ip": Raw(1 | NLA_F_NESTED, ipset_wire.attribute(1, b"\1\2\3"))}),
    "an empty address": listed("s", "hash:ip", {}, {"ip": Raw(1 | NLA_F_NESTED, b"")}),
    "a long comment": listed("s", "hash:ip", {}, {"ip": "10.0.0.1", "comment": "x" * 256}),
    "a long interface": listed("s", "hash:net,iface", {}, {"ip": "10.0.0.1", "cidr": 8, "iface": "x" * 16}),
    "a long member": listed("s", "list:set", {}, {"name": "x" * 32}, family=0),
    "an empty member": listed("s", "list:set", {}, {"name": "a"}, {"name": ""}, family=0),
    "no member": listed("s", "list:set", {}, {"timeout": 5}, family=0),
    "no interface": listed("s", "hash:net,iface", {}, {"ip": "10.0.0.1", "cidr": 8}),
    "a prefix too long": listed("s", "hash:net", {}, {"ip": "10.0.0.1", "cidr": 33}),
    "a later prefix too long": listed(
        "s", "hash:net,net", {}, *[{"ip": "10.0.0.1", "cidr": 8, "ip2": "10.0.0.0", "cidr2": each} for each in (32, 33)]
    ),
    "an IPv6 prefix too long": listed("s", "hash:net", {}, {"ip": "::1", "cidr": 129}, family=10),
    "a name where an interface should be": listed("s", "hash:net,iface", {}, {"ip": "10.0.0.1", "cidr": 8, "name": "x" * 20}),
    "a hash size of two bytes": listed("s", "hash:ip", {"hashsize": Raw(18, b"\0\0")}),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD)
def test_bad_dumps(what: str) -> None:
    with pytest.raises(OSError) as caught:
        sets_of(BAD[what])
    assert caught.value.errno == errno.EBADMSG


# --- refusals and single answers ----------------------------------------------------------------------------------------------------


def test_refusals() -> None:
    reply = b"".join(
        [
            kernel_error(0, 0),
            kernel_error(2, 1),
            refused_at(EXISTS, 2, 17),
            refused_at(4352, 70000, 2**32 - 1),
            kernel_error(EXISTS, 4, copy=refused_at(0, 0, 5)[20:36], flags=0x100),  # NLM_F_CAPPED
            ipset_wire.build("HEADER", header=0, sequence=5, setname="s"),
        ]
    )
    assert failures(reply) == [
        Failure(1, 2, 0),
        Failure(2, EXISTS, 17),
        Failure(70000, 4352, 2**32 - 1),
        Failure(4, EXISTS, 0),
    ]
    assert failures(b"") == []


def test_refusals_of_single_elements() -> None:
    reply = b"".join(
        [kernel_error(EXISTS, number) for number in range(0, 20, 2)] + [kernel_error(4352, 3), kernel_error(0, 20)]
    )
    assert split_failures(reply, EXISTS, 20) == (list(range(0, 20, 2)), [Failure(3, 4352, 0)])
    assert split_failures(reply, 4352, 20) == ([3], [Failure(number, EXISTS, 0) for number in range(0, 20, 2)])
    assert split_failures(reply, EXISTS, 3) == ([0, 2, 4], [Failure(3, 4352, 0)])
    assert split_failures(b"", EXISTS, 3) == ([], [])


def test_a_refusal_that_says_one() -> None:
    # Types that mistake their own check for an error number answer with 1 and not -1.
    assert failures(kernel_error(-1, 3)) == [Failure(3, errno.EPROTO, 0)]


@pytest.mark.parametrize("payload", [b"", b"\0\0\0", bytes(19), b"\0\0\0\x80" + bytes(16)])
def test_bad_refusals(payload: bytes) -> None:
    reply = ipset_wire.MESSAGE.pack(16 + len(payload), ipset_wire.NLMSG_ERROR, 0, 0, 0) + payload
    for parse in (failures, lambda data: split_failures(data, 1, 1)):
        with pytest.raises(OSError) as caught:
            parse(reply)
        assert caught.value.errno == errno.EBADMSG


def test_single_answers() -> None:
    answers = [
        ipset_wire.build("PROTOCOL", header=0, sequence=0, protocol=7, protocol_min=6),
        ipset_wire.build("HEADER", header=0, sequence=1, setname="s", typename="hash:ip", family=10, revision=5),
        kernel_error(0, 1),
        ipset_wire.build("TYPE", header=0, sequence=2, typename="hash:ip", family=2, revision=6, revision_min=1),
        ipset_wire.build("GET_BYNAME", header=0, sequence=3, index=0x1234),
    ]
    protocol, header, kind, index = decode_headers(parse_sets(b"".join(answers)))
    assert (protocol.index, protocol.protocol, protocol.least) == (0, 7, 6)
    assert (header.index, header.set_name, header.type_name, header.inet, header.revision) == (
        1,
        "s",
        "hash:ip",
        Family.IPV6,
        5,
    )
    assert (kind.index, kind.type_name, kind.family, kind.revision, kind.least) == (2, "hash:ip", 2, 6, 1)
    assert (index.index, index.set_index) == (3, 0x1234)
    assert parse_sets(b"") == b""
