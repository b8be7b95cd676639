"""Links and addresses as bytes, both ways, next to the bytes as linux/rtnetlink.h has them.

Knows: the layout of rtnetlink's messages. Must not know: the client.
"""

from __future__ import annotations

import errno
import struct
from ipaddress import ip_address, ip_interface

import pytest

from ipvskit._native import rtnl
from ipvskit.devices import records
from ipvskit.devices.records import ADDRESS, LINK, AddressRow, Command
from tests.record_corpus import CORPUS
from tests.unit import wire

RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK, RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR = 16, 17, 18, 20, 21, 22
IFA_ADDRESS, IFA_LOCAL, IFA_LABEL, IFA_BROADCAST, IFA_CACHEINFO, IFA_FLAGS, IFA_RT_PRIORITY, IFA_PROTO = (
    1,
    2,
    3,
    4,
    6,
    8,
    9,
    11,
)
IFLA_IFNAME, IFLA_MTU, IFLA_LINKINFO, IFLA_INFO_KIND = 3, 4, 18, 1
IFADDRMSG, IFINFOMSG = struct.Struct("=BBBBI"), struct.Struct("=BxHiII")
CREATE, REQUEST, DUMP = 0x600, 0x1, 0x300


def address_answer(index: int, family: int, prefix: int, attributes: bytes, scope: int = 0, flags: int = 0) -> bytes:
    payload = IFADDRMSG.pack(family, prefix, flags, scope, index) + attributes
    return wire.Message(RTM_NEWADDR, 2, 1, payload).pack()


def link_answer(index: int, flags: int, attributes: bytes) -> bytes:
    return wire.Message(RTM_NEWLINK, 0, 1, IFINFOMSG.pack(0, 1, index, flags, 0) + attributes).pack()


def attributes_of(payload: bytes) -> dict[int, bytes]:
    found = {}
    while payload:
        length, kind = struct.unpack_from("=HH", payload)
        found[kind & 0x3FFF] = payload[4:length]
        payload = payload[(length + 3) & ~3 :]
    return found


@pytest.mark.parametrize(("name", "form"), [("ik_rtnl_address", ADDRESS), ("ik_rtnl_link", LINK)])
def test_struct_formats_are_the_layout_in_c(name: str, form: struct.Struct) -> None:
    assert rtnl.rtnl_layout(name)[0] == form.size


def test_fields_are_where_the_formats_have_them() -> None:
    _, offsets = rtnl.rtnl_layout("ik_rtnl_address")
    names = list(offsets)
    assert names == ["index", *AddressRow._fields[1:]]
    numbers = [1, 2, 3, 4, 5, 6, 7, 8, 9]
    packed = ADDRESS.pack(*numbers, b"l" * 16, b"p" * 16, b"b" * 4, b"n" * 16)
    for number, field in zip(numbers, names, strict=False):
        width = 1 if field in {"family", "prefix", "scope", "protocol"} else 4
        assert int.from_bytes(packed[offsets[field] :][:width], "little" if packed[:1] == b"\1" else "big") == number
    assert packed[offsets["local"] :].startswith(b"l" * 16 + b"p")
    assert records.address_keys(packed) == [(3, 4, b"l" * 16)]
    assert records.address_indexes(packed * 2) == [1, 1]


def encoded(command: Command, *found: bytes, room: int = 4096) -> list[wire.Message]:
    encode = rtnl.encode_addresses if command <= Command.DELETE_ADDRESS else rtnl.encode_links
    out = bytearray(room)
    done, used = encode(command, b"".join(found), out)
    assert done == len(found)
    messages = wire.read_messages(bytes(out[:used]))
    assert [message.sequence for message in messages] == list(range(done))
    return messages


def record(index: int, text: str) -> bytes:
    return records.address_record(index, records.key_of(ip_interface(text)))


def test_a_new_address() -> None:
    four, six, local = encoded(
        Command.NEW_ADDRESS, record(7, "192.0.2.1/24"), record(8, "2001:db8::1"), record(1, "127.0.0.2/8")
    )
    assert (four.type, four.flags) == (RTM_NEWADDR, REQUEST | CREATE)
    assert IFADDRMSG.unpack_from(four.payload) == (2, 24, 0, 0, 7)
    packed = ip_address("192.0.2.1").packed
    assert attributes_of(four.payload[8:]) == {IFA_LOCAL: packed, IFA_ADDRESS: packed}
    assert IFADDRMSG.unpack_from(six.payload) == (10, 128, 0, 0, 8)
    packed = ip_address("2001:db8::1").packed
    assert attributes_of(six.payload[8:]) == {
        IFA_LOCAL: packed,
        IFA_ADDRESS: packed,
        IFA_FLAGS: struct.pack("=I", rtnl.NO_DAD),
    }
    assert IFADDRMSG.unpack_from(local.payload) == (2, 8, 0, 254, 1)


def test_a_deleted_address_has_no_options() -> None:
    (message,) = encoded(Command.DELETE_ADDRESS, record(7, "2001:db8::1/64"))
    assert (message.type, message.flags) == (RTM_DELADDR, REQUEST)
    assert attributes_of(message.payload[8:]).keys() == {IFA_LOCAL, IFA_ADDRESS}


def test_an_address_is_made_again_as_it_was() -> None:
    given = (
        wire.attribute(IFA_ADDRESS, bytes([10, 0, 0, 2]))
        + wire.attribute(IFA_LOCAL, bytes([10, 0, 0, 1]))
        + wire.attribute(IFA_BROADCAST, bytes([10, 0, 0, 255]))
        + wire.attribute(IFA_LABEL, b"eth0:1\0")
        + wire.attribute(IFA_FLAGS, struct.pack("=I", 0x281))
        + wire.attribute(IFA_CACHEINFO, struct.pack("=IIII", 50, 100, 7, 8))
        + wire.attribute(IFA_RT_PRIORITY, struct.pack("=I", 77))
        + wire.attribute(IFA_PROTO, b"\3")
    )
    (row,) = records.address_rows(rtnl.parse_addresses(address_answer(3, 2, 32, given, scope=253, flags=0x80)))
    assert (row.device, row.key, row.is_secondary) == (3, (2, 32, bytes([10, 0, 0, 1]).ljust(16, b"\0")), True)
    (message,) = encoded(Command.NEW_ADDRESS, row.record())
    assert IFADDRMSG.unpack_from(message.payload) == (2, 32, 0, 253, 3)
    wanted = attributes_of(given) | {
        IFA_FLAGS: struct.pack("=I", 0x200),
        IFA_CACHEINFO: struct.pack("=IIII", 50, 100, 0, 0),
    }
    assert attributes_of(message.payload[8:]) == wanted


def test_links() -> None:
    made, switched, gone, asked = (
        encoded(command, records.link_record(**given))[0]  # type: ignore[arg-type]
        for command, given in [
            (Command.NEW_LINK, {"name": "vip0", "kind": "dummy", "up": True}),
            (Command.CHANGE_LINK, {"name": "vip0", "up": False}),
            (Command.DELETE_LINK, {"index": 9}),
            (Command.GET_LINK, {"name": "vip0"}),
        ]
    )
    assert (made.type, made.flags) == (RTM_NEWLINK, REQUEST | CREATE)
    assert IFINFOMSG.unpack_from(made.payload) == (0, 0, 0, 1, 1)
    assert attributes_of(made.payload[16:]) == {
        IFLA_IFNAME: b"vip0\0",
        IFLA_LINKINFO: wire.attribute(IFLA_INFO_KIND, b"dummy\0"),
    }
    assert (switched.type, switched.flags) == (RTM_NEWLINK, REQUEST)
    assert IFINFOMSG.unpack_from(switched.payload) == (0, 0, 0, 0, 1)
    assert gone.type == RTM_DELLINK
    assert gone.payload == IFINFOMSG.pack(0, 0, 9, 0, 0)
    assert (asked.type, asked.flags) == (RTM_GETLINK, REQUEST)


def test_as_many_as_fit() -> None:
    one = record(1, "192.0.2.1")
    out = bytearray(100)
    assert rtnl.encode_addresses(Command.NEW_ADDRESS, one * 5, out) == (2, 80)
    with pytest.raises(OSError) as caught:
        rtnl.encode_addresses(Command.NEW_ADDRESS, one, bytearray(39))
    assert caught.value.errno == errno.ENOSPC
    assert rtnl.encode_addresses(Command.NEW_ADDRESS, b"", bytearray(1)) == (0, 0)


def test_what_is_no_request_is_refused() -> None:
    strange = ADDRESS.pack(1, 0, 7, 0, 0, 0, 0, 0, 0, b"", b"", b"", b"")
    for command, given in [(Command.NEW_ADDRESS, strange), (Command.NEW_LINK, record(1, "::1"))]:
        with pytest.raises(OSError) as caught:
            rtnl.encode_addresses(command, given, bytearray(1000))
        assert caught.value.errno == errno.EINVAL
    for command, given in [
        (Command.NEW_ADDRESS, LINK.pack(0, 0, 0, 0, b"", b"")),
        (Command.GET_LINK, b"\xff" * LINK.size),
    ]:
        with pytest.raises(OSError) as caught:
            rtnl.encode_links(command, given, bytearray(1000))
        assert caught.value.errno == errno.EINVAL


def test_dumps() -> None:
    for links, kind, length in [(True, RTM_GETLINK, 16), (False, RTM_GETADDR, 8)]:
        (message,) = wire.read_messages(rtnl.encode_dump(links=links, sequence=5))
        assert (message.type, message.flags, message.sequence) == (kind, REQUEST | DUMP, 5)
        assert message.payload == bytes(length)


LOCAL = wire.attribute(IFA_LOCAL, bytes([10, 0, 0, 1]))
SIX = wire.attribute(IFA_ADDRESS, bytes(15) + b"\1")
NAME = wire.attribute(IFLA_IFNAME, b"vip0\0")


def test_rows_of_one_device_or_all() -> None:
    data = address_answer(1, 2, 8, LOCAL) + address_answer(2, 10, 128, SIX) + address_answer(2, 7, 0, b"")
    data += link_answer(1, 0, NAME)
    assert [row.device for row in records.address_rows(rtnl.parse_addresses(data))] == [1, 2]
    (row,) = records.address_rows(rtnl.parse_addresses(data, 2))
    assert row.local == row.peer == bytes(15) + b"\1"
    assert [link.number for link in records.link_rows(rtnl.parse_links(data))] == [1]


@pytest.mark.parametrize(
    "data",
    [
        address_answer(0, 2, 8, LOCAL),
        address_answer(1, 2, 33, LOCAL),
        address_answer(1, 10, 129, SIX),
        address_answer(1, 2, 8, b""),
        address_answer(1, 10, 8, LOCAL),
        address_answer(1, 2, 8, SIX),
        address_answer(1, 2, 8, LOCAL + wire.attribute(IFA_LABEL, b"x" * 16)),
        address_answer(1, 2, 8, LOCAL + wire.attribute(IFA_LABEL, b"x" * 17 + b"\0")),
        address_answer(1, 2, 8, LOCAL + wire.attribute(IFA_FLAGS, b"123")),
        address_answer(1, 2, 8, LOCAL + wire.attribute(IFA_CACHEINFO, b"1" * 12)),
        address_answer(1, 2, 8, LOCAL + b"\3\0\0\0"),
        wire.Message(RTM_NEWADDR, 0, 1, b"\2\0\0\0").pack(),
    ],
)
def test_addresses_that_are_none(data: bytes) -> None:
    with pytest.raises(OSError) as caught:
        rtnl.parse_addresses(data)
    assert caught.value.errno == errno.EBADMSG


@pytest.mark.parametrize(
    "data",
    [
        link_answer(0, 0, NAME),
        link_answer(-1, 0, NAME),
        link_answer(1, 0, b""),
        link_answer(1, 0, wire.attribute(IFLA_IFNAME, b"\0")),
        link_answer(1, 0, wire.attribute(IFLA_IFNAME, b"n" * 16)),
        link_answer(1, 0, NAME + wire.attribute(IFLA_MTU, b"12")),
        link_answer(1, 0, NAME + wire.attribute(IFLA_LINKINFO, wire.attribute(IFLA_INFO_KIND, b"k" * 64))),
        link_answer(1, 0, NAME + wire.attribute(IFLA_LINKINFO, b"\xff\xff\0\0")),
        wire.Message(RTM_NEWLINK, 0, 1, bytes(15)).pack(),
    ],
)
def test_links_that_are_none(data: bytes) -> None:
    with pytest.raises(OSError) as caught:
        rtnl.parse_links(data)
    assert caught.value.errno == errno.EBADMSG


@pytest.mark.parametrize("release", ["5.10", "6.1", "6.12", "7.2"])
def test_what_real_kernels_sent(release: str) -> None:
    data = (CORPUS / "rtnl_rows" / f"{release}-links").read_bytes()
    links = {link.name: link for link in records.link_rows(rtnl.parse_links(data))}
    kinds = {name: (link.kind, link.up) for name, link in links.items()}
    assert {name: kinds[name] for name in ("lo", "vip0", "left", "right")} == {
        "lo": ("", True),
        "vip0": ("dummy", False),
        "left": ("veth", True),
        "right": ("veth", True),
    }
    data = (CORPUS / "rtnl_rows" / f"{release}-addresses").read_bytes()
    vip0 = records.address_rows(rtnl.parse_addresses(data, links["vip0"].number))
    assert [str(one) for one in records.Interfaces().all(row.key for row in vip0)] == [
        "198.51.100.1/24",
        "198.51.100.2/24",
        "198.51.100.3/24",
    ]
    assert [row.is_secondary for row in vip0] == [False, True, True]
    assert (vip0[1].label.rstrip(b"\0"), vip0[1].broadcast, vip0[1].metric) == (
        b"vip0:web",
        bytes([198, 51, 100, 255]),
        7,
    )
    assert vip0[2].flags & rtnl.NO_PREFIX_ROUTE
    assert 990 <= vip0[2].valid <= 1000
    left = records.address_rows(rtnl.parse_addresses(data, links["left"].number))
    assert {str(one) for one in records.Interfaces().all(row.key for row in left)} >= {
        "192.0.2.1/32",
        "2001:db8::1/64",
        "2001:db8::3/128",
    }
    peers = {row.local: row.peer for row in left}
    assert peers[ip_address("192.0.2.1").packed.ljust(16, b"\0")][:4] == ip_address("192.0.2.2").packed
    assert peers[ip_address("2001:db8::3").packed] == ip_address("2001:db8::4").packed
