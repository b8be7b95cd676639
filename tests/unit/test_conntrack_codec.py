"""Tracked flows as bytes, both ways, next to the bytes as linux/netfilter/nfnetlink_conntrack.h has them.

Knows: the layout of ctnetlink's messages. Must not know: the client.
"""

from __future__ import annotations

import errno
import struct
from typing import Any

import pytest

import ipvskit as ik
from ipvskit._native import conntrack
from ipvskit.conntrack import records
from ipvskit.conntrack.records import AF_INET, AF_INET6, CHOICE, FLOW
from ipvskit.model.flow import Endpoint, parse_flow_endpoint
from tests.record_corpus import CORPUS, FLOWS
from tests.unit import conntrack_wire, wire
from tests.unit.conntrack_wire import Planted

TRANSLATED = Planted("udp", ("10.0.0.9", 4000), ("192.0.2.10", 53), ("10.1.1.1", 5353), ("10.0.0.1", 61000), mark=7)
PLAIN6 = Planted("udp", ("2001:db8::9", 4001), ("2001:db8::10", 53))
TCP = Planted("tcp", ("10.0.0.9", 4000), ("192.0.2.10", 80))


def value(flow: Planted, **options: Any) -> ik.Flow:
    settings = {"mark": flow.mark, "id": 1, "status": 0xE} | options
    return ik.Flow(flow.protocol, flow.source, flow.destination, *flow.answer, **settings)


def parsed(data: bytes, family: int = 0, protocol: int = 0) -> list[ik.Flow]:
    listing = conntrack.Listing(family, protocol)
    listing.feed(data)
    rows = listing.rows()
    by_family: dict[int, bytes] = {AF_INET: b"", AF_INET6: b""}
    for row in FLOW.iter_unpack(rows):
        by_family[row[5]] += FLOW.pack(*row)
    return [flow for one, packed in by_family.items() for flow in records.flows_of(one, packed)]


def all_fields(flow: ik.Flow) -> list[object]:
    """Also what does not count when flows are compared."""
    return [flow, flow.mark, flow.status]


# --- layout -------------------------------------------------------------------------------------------------------------------------


def test_the_struct_format_is_the_layout_in_c() -> None:
    size, offsets = conntrack.conntrack_layout("ik_conntrack_flow")
    inner_size, inner = conntrack.conntrack_layout("ik_conntrack_tuple")
    assert size == FLOW.size == CHOICE.size == conntrack.FLOW_SIZE
    flow = value(TRANSLATED, id=1, mark=2, status=3, zone=4, reply_zone=5)
    packed = records.flow_record(flow)
    for number, (name, width) in enumerate(
        [("id", 4), ("mark", 4), ("status", 4), ("zone", 2), ("reply_zone", 2)], start=1
    ):
        assert packed[offsets[name] :][:width] == struct.pack("=I" if width == 4 else "=H", number)
    assert (packed[offsets["family"]], packed[offsets["protocol"]]) == (AF_INET, 17)
    for name, (source, destination) in {
        "original": (flow.source, flow.destination),
        "reply": (flow.reply_source, flow.reply_destination),
    }.items():
        part = packed[offsets[name] :][:inner_size]
        for end, (address, port) in {"source": source, "destination": destination}.items():
            assert part[inner[end] :][:16] == address.packed.ljust(16, b"\0")
            assert part[inner[f"{end}_port"] :][:2] == struct.pack("=H", port)
    assert CHOICE.unpack(packed) == (records.destination_key(flow.destination), records.source_key(flow.reply_source))
    assert records.destination_key(flow.destination) == records.port_key(53) + records.address_key(flow.destination[0])


# --- requests -----------------------------------------------------------------------------------------------------------------------


def test_questions() -> None:
    (both,) = conntrack_wire.read(bytes(conntrack.encode_dump(0, 17)))
    assert both == {"type": conntrack_wire.GET, "flags": 0x301, "sequence": 0, "family": 0}
    (one,) = conntrack_wire.read(bytes(conntrack.encode_dump(AF_INET6, 17)))
    assert one["family"] == AF_INET6
    assert one["original"] == {"protocol": 17}
    assert one["filter"] == {conntrack_wire.FILTER_ORIG_FLAGS: conntrack_wire.FILTER_PROTO_NUM}
    (every,) = conntrack_wire.read(bytes(conntrack.encode_dump(AF_INET, 0)))
    assert "filter" not in every
    with pytest.raises(OSError) as caught:
        conntrack.encode_dump(7, 17)
    assert caught.value.errno == errno.EINVAL


def encoded(*flows: ik.Flow, room: int = 4096) -> list[dict[str, Any]]:
    out = bytearray(room)
    done, used = conntrack.encode_deletes(b"".join(map(records.flow_record, flows)), out)
    assert done == len(flows)
    found = conntrack_wire.read(bytes(out[:used]))
    assert [one["sequence"] for one in found] == list(range(done))
    return found


def test_deletes() -> None:
    four, six, zoned = encoded(
        value(TRANSLATED, id=0xDEADBEEF), value(PLAIN6, id=0), value(TCP, zone=3, reply_zone=9, id=2)
    )
    assert (four["type"], four["flags"], four["family"], four["id"]) == (conntrack_wire.DELETE, 1, AF_INET, 0xDEADBEEF)
    # By the answers' direction: the number would also fit a flow with the same original one.
    assert four["reply"] == {
        "source": "10.1.1.1",
        "source_port": 5353,
        "destination": "10.0.0.1",
        "destination_port": 61000,
        "protocol": 17,
    }
    assert not {"original", "zone"} & four.keys()
    assert six["reply"]["source"] == "2001:db8::10"
    assert not {"id", "zone"} & six.keys()
    assert (zoned["zone"], zoned["reply"]["protocol"]) == (9, 6)


def test_as_many_as_fit() -> None:
    one = records.flow_record(value(TRANSLATED))
    size = conntrack.encode_deletes(one, bytearray(500))[1]
    assert conntrack.encode_deletes(one * 5, bytearray(2 * size + size - 1)) == (2, 2 * size)
    with pytest.raises(OSError) as caught:
        conntrack.encode_deletes(one, bytearray(size - 1))
    assert caught.value.errno == errno.ENOSPC
    assert conntrack.encode_deletes(b"", bytearray(1)) == (0, 0)
    with pytest.raises(OSError) as caught:
        conntrack.encode_deletes(bytes(FLOW.size), bytearray(500))
    assert caught.value.errno == errno.EINVAL


# --- listings -----------------------------------------------------------------------------------------------------------------------


def test_flows() -> None:
    data = b"".join(conntrack_wire.listed(flow) for flow in (TRANSLATED, PLAIN6, TCP))
    assert [all_fields(flow) for flow in parsed(data)] == [
        all_fields(value(flow)) for flow in (TRANSLATED, TCP, PLAIN6)
    ]
    assert parsed(data, AF_INET) == [value(TRANSLATED), value(TCP)]
    assert parsed(data, AF_INET, 17) == [value(TRANSLATED)]
    assert parsed(data, protocol=17) == [value(TRANSLATED), value(PLAIN6)]


@pytest.mark.parametrize(("zone_of", "zones"), [("", (7, 7)), ("orig", (7, 0)), ("reply", (0, 7))])
def test_zones(zone_of: str, zones: tuple[int, int]) -> None:
    planted = Planted("udp", ("10.0.0.9", 1), ("192.0.2.1", 2), zone=7, zone_of=zone_of)
    (flow,) = parsed(conntrack_wire.listed(planted))
    assert (flow.zone, flow.reply_zone) == zones


def test_what_a_listing_has_twice_is_there_once() -> None:
    first, last = conntrack_wire.listed(TRANSLATED, status=2), conntrack_wire.listed(TRANSLATED, status=0xE)
    other = conntrack_wire.listed(TCP)
    assert [flow.status for flow in parsed(first + other + last)] == [0xE, 0xE]
    assert len(parsed(first + other)) == 2


def test_unknown_messages_and_attributes_are_skipped() -> None:
    known = conntrack_wire.listed(TRANSLATED)
    longer = wire.read_messages(known)[0]
    more = wire.attribute(77, b"tomorrow") + wire.nest(11, b"")
    data = wire.Message(0x102, 0, 1, b"gone").pack() + wire.Message(longer.type, 2, 1, longer.payload + more).pack()
    assert parsed(data + conntrack_wire.message(conntrack_wire.NEW, 7, b"")) == [value(TRANSLATED)]


def test_the_end_of_a_refused_listing() -> None:
    listing = conntrack.Listing()
    listing.feed(conntrack_wire.listed(TCP) + wire.done(1))
    assert (listing.error, listing.text) == (0, "")
    text = wire.attribute(wire.NLMSGERR_ATTR_MSG, b"no\0")
    listing.feed(wire.done(1, errno.EINVAL, flags=wire.NLM_F_ACK_TLVS, tlvs=text))
    assert (listing.error, listing.text) == (errno.EINVAL, "no")
    listing.feed(wire.error(1, errno.EPERM, request=bytes(16)))
    assert listing.error == errno.EINVAL


def tuples(original: bytes, reply: bytes, *more: bytes, family: int = AF_INET) -> bytes:
    return conntrack_wire.message(conntrack_wire.NEW, family, original + reply + b"".join(more))


def way(number: int, protocol: int = 17, family: int = AF_INET, more: bytes = b"") -> bytes:
    address = "10.0.0.1" if family == AF_INET else "2001:db8::1"
    return conntrack_wire.direction(number, protocol, (address, 1), (address, 2), more=more)


ORIGINAL, REPLY = way(1), way(2)
NO_PORTS = wire.nest(2, wire.attribute(1, b"\x11"))
ADDRESSES = wire.nest(1, wire.attribute(1, b"\x0a\0\0\1"), wire.attribute(2, b"\x0a\0\0\2"))


def test_protocols_without_ports() -> None:
    icmp = [wire.nest(number, ADDRESSES, wire.nest(2, wire.attribute(1, b"\x01"))) for number in (1, 2)]
    listing = conntrack.Listing()
    listing.feed(tuples(*icmp))
    assert FLOW.unpack(listing.rows())[6:11] == (
        1,
        b"\x0a\0\0\1".ljust(16, b"\0"),
        0,
        0,
        b"\x0a\0\0\2".ljust(16, b"\0"),
    )
    only_udp = conntrack.Listing(AF_INET, 17)
    only_udp.feed(tuples(*icmp))
    assert only_udp.rows() == b""


@pytest.mark.parametrize(
    "data",
    [
        tuples(ORIGINAL, b""),
        tuples(b"", REPLY),
        tuples(ORIGINAL, REPLY, family=AF_INET6),
        tuples(way(1, family=AF_INET6), way(2, family=AF_INET6)),
        tuples(ORIGINAL, way(2, protocol=6)),
        tuples(wire.nest(1, ADDRESSES, NO_PORTS), REPLY),
        tuples(wire.nest(1, ADDRESSES), REPLY),
        tuples(wire.nest(1, NO_PORTS), REPLY),
        tuples(way(1, more=wire.attribute(3, b"123")), REPLY),
        tuples(way(1, more=wire.nest(1, wire.attribute(1, b"12345"))), REPLY),
        tuples(way(1, more=wire.nest(2, wire.attribute(2, b"1"))), REPLY),
        tuples(way(1, more=wire.nest(2, wire.attribute(1, b"12"))), REPLY),
        tuples(ORIGINAL, REPLY, wire.attribute(12, b"123")),
        tuples(ORIGINAL, REPLY, wire.attribute(8, b"12345")),
        tuples(ORIGINAL, REPLY, wire.attribute(3, b"")),
        tuples(ORIGINAL, REPLY, wire.attribute(18, b"1234")),
        tuples(ORIGINAL, REPLY, b"\3\0\0\0"),
        tuples(ORIGINAL, REPLY, b"\xff\xff\1\0"),
        wire.Message(conntrack_wire.NEW, 0, 1, b"\2\0\0").pack(),
    ],
)
def test_flows_that_are_none(data: bytes) -> None:
    listing = conntrack.Listing()
    with pytest.raises(OSError) as caught:
        listing.feed(data)
    assert caught.value.errno == errno.EBADMSG
    assert listing.rows() == b""


@pytest.mark.parametrize("release", ["5.10", "6.1", "6.12", "7.2"])
def test_what_real_kernels_sent(release: str) -> None:
    def recorded(name: str, *filters: int) -> list[ik.Flow]:
        return parsed((CORPUS / "conntrack_rows" / f"{release}-{name}").read_bytes(), *filters)

    def of(flow: ik.Flow) -> object:
        places = (flow.source, flow.destination, flow.reply_source, flow.reply_destination)
        return (flow.protocol, *places, flow.mark)

    def planted(flow: Planted) -> object:
        places: list[Endpoint] = [parse_flow_endpoint("", one) for one in (flow.source, flow.destination, *flow.answer)]
        return (flow.protocol, *places, flow.mark)

    found = recorded("flows")
    assert {of(flow) for flow in found} == {planted(flow) for flow in FLOWS}
    assert all(flow.id and flow.status & 8 for flow in found)
    udp4 = [flow for flow in FLOWS if flow.protocol == "udp" and flow.family == AF_INET]
    # The kernel has filtered.
    assert {of(flow) for flow in recorded("udp4")} == {planted(flow) for flow in udp4}
    assert {of(flow) for flow in recorded("flows", AF_INET, 17)} == {planted(flow) for flow in udp4}
    assert [flow.family for flow in recorded("udp6")] == [ik.Family.IPV6]
    refused = conntrack.Listing()
    refused.feed((CORPUS / "conntrack_rows" / f"{release}-refused").read_bytes())
    assert refused.error == errno.EOPNOTSUPP
