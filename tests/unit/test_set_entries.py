"""Entries as values: what they accept, what they refuse, how they are written and read from the C core's rows.

Knows: `Entry`, the parts of entries. Must not know: sets, netlink.
"""

from __future__ import annotations

import copy
import pickle
import socket
from datetime import timedelta
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import ipvskit as ik
from ipvskit.model.address import Family
from ipvskit.model.settype import SET_TYPES, Part
from ipvskit.sets.entry import ROW, Entry, entries_of_rows
from ipvskit.sets.parts import MAC, AddressRange, Interface, Mark, NumberRange, Port, address_text, part_text

#: (what is built, field, what the message must say)
REFUSED: list[tuple[Any, str, str]] = [
    (lambda: Entry(), "entry", "at least one"),
    (lambda: Entry(" "), "entry", "one entry"),
    (lambda: Entry("10.0.0.1\n10.0.0.2"), "entry", "one entry"),
    (lambda: Entry(65536), "port", "0 to 65535"),
    (lambda: Entry(True), "port", "0 to 65535"),
    (lambda: Entry(1.5), "entry", "addresses and networks"),  # type: ignore[arg-type]
    (lambda: Entry(IPv6Address("fe80::1%eth0")), "address", "without a zone"),
    (lambda: Entry("a", timeout=2147484), "timeout", "2147483"),
    (lambda: Entry("a", packets=2**64 - 1), "packets", "18446744073709551614"),
    (lambda: Entry("a", bytes=-1), "bytes", "18446744073709551614"),
    (lambda: Entry("a", comment="x" * 256), "comment", "255 bytes"),
    (lambda: Entry("a", comment="ä" * 128), "comment", "255 bytes"),
    (lambda: Entry("a", comment="x\ny"), "comment", "one line"),
    (lambda: Entry("a", comment="x\0"), "comment", "NUL"),
    (lambda: Entry("a", skbmark=2**32), "skbmark", "4294967295"),
    (lambda: Entry("a", skbmark=(1, 2, 3)), "skbmark", "(mark, mask)"),  # type: ignore[arg-type]
    (lambda: Entry("a", skbprio=5), "skbprio", "(major, minor)"),  # type: ignore[arg-type]
    (lambda: Entry("a", skbprio=(1, 65536)), "skbprio", "65535"),
    (lambda: Entry("a", skbqueue=65536), "skbqueue", "65535"),
    (lambda: Entry("a", before="b", after="c"), "after", "None beside before"),
    (lambda: Entry("a", before=""), "before", "1 to 31"),
    (lambda: Entry("a").replace(nonsense=1), "entry", "nomatch"),
    (lambda: Port(65536), "port", "65535"),
    (lambda: Port(0, 0), "protocol", "1 to 255"),
    (lambda: Port(0, 256), "protocol", "1 to 255"),
    (lambda: Port(0, "ip"), "protocol", "/etc/protocols"),
    (lambda: Port(1, "gre"), "port", "gre has no ports"),
    (lambda: Port(1, "icmp", 5), "port", "no ranges"),
    (lambda: Port.icmp(256), "icmp type", "255"),
    (lambda: Mark(2**32), "mark", "4294967295"),
    (lambda: MAC("00:00:00:00:00:00"), "mac", "other than"),
    (lambda: MAC("02:00:00:00:00"), "mac", "02:00:00:00:00:01"),
    (lambda: MAC("02-00-00-00-00-01"), "mac", "02:00:00:00:00:01"),
    (lambda: MAC(b"12345"), "mac", "02:00:00:00:00:01"),
    (lambda: Interface(""), "interface", "1 to 15"),
    (lambda: Interface(None, physdev=True), "interface", "1 to 15"),  # type: ignore[arg-type]
    (lambda: Interface("a" * 16, physdev=True), "interface", "1 to 15"),
    (lambda: Interface("a" * 16), "interface", "1 to 15"),
    (lambda: Interface("a,b"), "interface", "comma"),
    (lambda: Interface("physdev:a"), "interface", "physdev=True"),
]


@pytest.mark.parametrize(("build", "field", "message"), REFUSED)
def test_refused(build: Any, field: str, message: str) -> None:
    with pytest.raises(ik.InvalidConfig) as caught:
        build()
    assert caught.value.field == field
    assert message in str(caught.value)


ENTRIES = [
    (Entry("10.0.0.1,tcp:80", timeout=30), "10.0.0.1,tcp:80 timeout 30"),
    (Entry(IPv4Address("10.0.0.1"), Port(80, "udp"), comment="a b"), '10.0.0.1,udp:80 comment "a b"'),
    (Entry(IPv4Network("10.0.0.0/8"), nomatch=True, timeout=0), "10.0.0.0/8 timeout 0 nomatch"),
    (
        Entry(IPv4Network("10.0.0.1/32"), Interface("eth0", physdev=True), wildcard=True),
        "10.0.0.1,physdev:eth0 wildcard",
    ),
    (Entry(IPv4Network("10.0.0.0/8"), Interface("", physdev=True)), "10.0.0.0/8,physdev:"),
    (Entry(IPv6Network("::1/128")), "::1"),
    (Entry(IPv6Address("::ffff:1.2.3.4"), Port(5, 132, 9)), "::ffff:1.2.3.4,sctp:5-9"),
    (Entry(IPv6Address("::1"), Port.icmp(128, v6=True)), "::1,ipv6-icmp:echo-request"),
    (Entry(IPv4Address("10.0.0.1"), Port.icmp(3, 1)), "10.0.0.1,icmp:host-unreachable"),
    (Entry(IPv4Address("10.0.0.1"), Port(0, 200)), "10.0.0.1,200:0"),
    (Entry(IPv4Address("10.0.0.1"), Port(0, "47")), "10.0.0.1,gre:0"),
    (Entry(AddressRange("10.0.0.9", "10.0.0.1"), Mark(77)), "10.0.0.1-10.0.0.9,0x0000004d"),
    (Entry(MAC("02:00:00:00:00:aF")), "02:00:00:00:00:AF"),
    (Entry(NumberRange(9, 1)), "1-9"),
    (Entry(80, packets=1, bytes=2), "80 packets 1 bytes 2"),
    (Entry("web", before="mail", timeout=timedelta(seconds=5)), "web before mail timeout 5"),
    (Entry("web", skbmark=5, skbprio=(1, 0xFFFF), skbqueue=3), "web skbmark 0x5 skbprio 1:ffff skbqueue 3"),
    (Entry("web", comment='a "b"', skbqueue=1), 'web comment "a "b"" skbqueue 1'),
    (Entry("web", skbmark=(1, 0xFF), comment=""), 'web comment "" skbmark 0x1/0xff'),
]


@pytest.mark.parametrize(("entry", "text"), ENTRIES)
def test_entry_texts(entry: Entry, text: str) -> None:
    assert str(entry) == text
    assert pickle.loads(pickle.dumps(entry)) == entry
    assert hash(copy.copy(entry)) == hash(entry)
    assert entry.replace() == entry
    assert entry.replace(comment="other") != entry


def test_parts_of_an_entry_by_name() -> None:
    entry = Entry(IPv4Network("10.0.0.0/8"), Port(80), IPv4Address("10.0.0.1"))
    assert entry.network == IPv4Network("10.0.0.0/8")
    assert entry.port == Port(80, 6)
    assert entry.address == IPv4Address("10.0.0.1")
    assert Entry(MAC(b"\2\0\0\0\0\1")).mac == MAC("02:00:00:00:00:01")
    assert Entry(Mark(1)).mark == Mark(1)
    assert Entry(Interface("lo")).interface == Interface("lo")
    assert Entry(7).port == 7
    assert Entry("web").set_name == "web"
    assert Entry("a", wildcard=True).features == {"wildcard"}
    with pytest.raises(AttributeError, match="has no mac: its parts are of other kinds"):
        _ = entry.mac
    with pytest.raises(AttributeError, match="has no address: it is a text"):
        _ = Entry("10.0.0.1").address


@given(st.ip_addresses(v=6) | st.integers(0, 2**49).map(IPv6Address))
def test_addresses_are_written_as_by_the_c_library(address: IPv6Address) -> None:
    assert address_text(address) == part_text(address) == socket.inet_ntop(socket.AF_INET6, address.packed)


def test_the_row_has_the_layout_of_the_c_structure() -> None:
    assert ROW.size == 192
    row = bytearray(192)
    row[84:90] = b"\2\0\0\0\0\1"  # mac
    row[90:92] = (7).to_bytes(2, "little")
    row[96:104] = (2**63).to_bytes(8, "little")
    row[128:130] = b"lo"
    found = ROW.unpack(row)
    assert (found[13], found[14], found[15], found[21]) == (b"\2\0\0\0\0\1", 7, 2**63, b"lo".ljust(32, b"\0"))


def row(present: int = 0, **values: Any) -> bytes:
    fields: dict[str, Any] = {
        "timeout": 0, "a0": b"", "a1": b"", "l0": b"", "l1": b"", "p0": 0, "p1": 0, "protocol": 0, "physdev": 0, "port": b"", "last_port": b"",
        "mark": 0, "mac": b"", "skbqueue": 0, "packets": 0, "bytes": 0, "skbmark": 0, "skbmask": 0, "skbprio": 0, "comment": 0, "name": b"",
        "reference": b"",
    }  # fmt: skip
    return ROW.pack(present, *(fields | values).values())


V4, V6 = IPv4Address("10.0.0.1"), IPv6Address("2001:db8::1")
ROWS: list[tuple[str, Family | None, bytes, Entry]] = [
    ("hash:ip", Family.IPV4, row(a0=V4.packed), Entry(V4)),
    ("hash:ip", Family.IPV6, row(a0=V6.packed), Entry(V6)),
    ("hash:ip", Family.IPV4, row(1, a0=V4.packed, l0=bytes([10, 0, 0, 9])), Entry(AddressRange("10.0.0.1", "10.0.0.9"))),
    ("hash:net", Family.IPV4, row(2048 | 16, a0=bytes([10]), p0=8), Entry(IPv4Network("10.0.0.0/8"), nomatch=True, timeout=0)),
    ("hash:net", Family.IPV6, row(a0=V6.packed, p0=128), Entry(IPv6Network("2001:db8::1/128"))),
    ("hash:ip,port", Family.IPV4, row(4, a0=V4.packed, protocol=6, port=b"\0\x50", last_port=b"\0\x51"), Entry(V4, Port(80, "tcp", 81))),
    ("hash:ip,port,ip", Family.IPV4, row(a0=V4.packed, a1=bytes(4), protocol=47), Entry(V4, Port(0, 47), IPv4Address(0))),
    ("hash:ip,port,net", Family.IPV4, row(2, a0=V4.packed, a1=bytes(4), l1=V4.packed, protocol=17),
     Entry(V4, Port(0, "udp"), AddressRange("0.0.0.0", "10.0.0.1"))),
    ("hash:net,net", Family.IPV4, row(a0=bytes([10]), p0=8, a1=bytes([11]), p1=9), Entry(IPv4Network("10.0.0.0/8"), IPv4Network("11.0.0.0/9"))),
    ("hash:net,iface", Family.IPV4, row(4096, a0=bytes(4), physdev=1, name=b"eth0"),
     Entry(IPv4Network("0.0.0.0/0"), Interface("eth0", physdev=True), wildcard=True)),
    ("hash:ip,mark", Family.IPV4, row(a0=V4.packed, mark=5), Entry(V4, Mark(5))),
    ("hash:mac", None, row(mac=b"\2\0\0\0\0\1"), Entry(MAC("02:00:00:00:00:01"))),
    ("bitmap:ip,mac", Family.IPV4, row(8, a0=V4.packed, mac=b"\2\0\0\0\0\1"), Entry(V4, MAC("02:00:00:00:00:01"))),
    ("bitmap:ip,mac", Family.IPV4, row(a0=V4.packed), Entry(V4)),
    ("bitmap:port", None, row(port=b"\1\0"), Entry(256)),
    ("bitmap:port", None, row(4, port=b"\0\1", last_port=b"\0\5"), Entry(NumberRange(1, 5))),
    ("list:set", None, row(8192, name=b"web", reference=b"mail"), Entry("web", before="mail")),
    ("list:set", None, row(16384, name=b"web", reference=b"mail"), Entry("web", after="mail")),
    ("list:set", None, row(16 | 32 | 64 | 256 | 512 | 1024, name=b"a", timeout=9, packets=1, bytes=2, skbmark=3, skbmask=4,
                           skbprio=5 << 16 | 6, skbqueue=7),
     Entry("a", timeout=9, packets=1, bytes=2, skbmark=(3, 4), skbprio=(5, 6), skbqueue=7)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "family", "raw", "entry"), ROWS)
def test_rows_of_the_core(name: str, family: Family | None, raw: bytes, entry: Entry) -> None:
    assert Entry.of_row(SET_TYPES[name].parts, family, ROW.unpack(raw)) == entry
    assert all(int(kind) == number for number, kind in enumerate(Part, start=1))


def test_comments_of_rows_follow_each_other() -> None:
    raw = (
        row(128, a0=V4.packed, comment=2)
        + row(a0=V4.packed)
        + row(128, a0=V4.packed)
        + row(128, a0=V4.packed, comment=3)
    )
    found = list(entries_of_rows((Part.ADDRESS,), Family.IPV4, raw, b"ab\xc3\xa4\xff"))
    assert [entry.comment for entry in found] == ["ab", None, "", "ä\udcff"]
    assert found[3].replace() == found[3]
