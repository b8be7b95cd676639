"""Tracked flows: bytes and back, hostile bytes, and which of them are stale.

Knows: the invariants. Must not know: the kernel. Over-reads are seen when this runs under `tests/asan.sh`.
"""

from __future__ import annotations

import errno
import struct
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

import ipvskit as ik
from ipvskit._native import conntrack
from ipvskit.conntrack import records
from ipvskit.conntrack.records import FLOW
from ipvskit.testing.fake import FakeKernel
from tests.unit import conntrack_wire, wire
from tests.unit.conntrack_wire import Planted

if TYPE_CHECKING:
    from ipvskit.model.flow import Endpoint

PORTS = st.integers(0, 65535)
PROTOCOLS = st.sampled_from(["udp", "tcp", "sctp"])
NUMBERS = st.integers(0, 2**32 - 1)


@st.composite
def flows(draw: st.DrawFn) -> ik.Flow:
    kinds: list[tuple[Any, int]] = [(IPv4Address, 32), (IPv6Address, 128)]
    kind, bits = draw(st.sampled_from(kinds))
    places: list[Any] = [(kind(draw(st.integers(0, 2**bits - 1))), draw(PORTS)) for _ in range(4)]
    numbers: dict[str, Any] = {name: draw(NUMBERS) for name in ("id", "mark", "status")}
    return ik.Flow(draw(PROTOCOLS), *places, zone=draw(st.integers(0, 65535)), **numbers)


def text(endpoint: Endpoint) -> tuple[str, int]:
    return str(endpoint[0]), endpoint[1]


@given(flows())
def test_a_record_and_back(flow: ik.Flow) -> None:
    record = records.flow_record(flow)
    (found,) = records.flows_of(record[16], record)
    assert found == flow
    assert (found.mark, found.status) == (flow.mark, flow.status)
    assert hash(found) == hash(flow)
    assert str(found) == str(flow)


@given(flows())
def test_a_listing_and_a_deletion(flow: ik.Flow) -> None:
    there, back = (text(flow.source), text(flow.destination)), (text(flow.reply_source), text(flow.reply_destination))
    planted = Planted(flow.protocol, *there, *back, zone=flow.zone, mark=flow.mark)
    listing = conntrack.Listing()
    listing.feed(conntrack_wire.listed(planted, flow.id, flow.status))
    assert listing.rows() == records.flow_record(flow)
    out = bytearray(256)
    _, used = conntrack.encode_deletes(listing.rows(), out)
    (request,) = conntrack_wire.read(bytes(out[:used]))
    reply = request["reply"]
    assert (reply["source"], reply["source_port"]) == back[0]
    assert (reply["destination"], reply["destination_port"]) == back[1]
    assert (request.get("id", 0), request.get("zone", 0)) == (flow.id, flow.zone)


# --- hostile bytes ------------------------------------------------------------------------------------------------------------------


def check(data: bytes) -> int:
    """Whole rows, or EBADMSG."""
    count = 0
    for family, protocol in ((0, 0), (2, 17)):
        listing = conntrack.Listing(family, protocol)
        try:
            listing.feed(data)
        except OSError as error:
            if error.errno != errno.EBADMSG:
                raise
            return -1
        rows = listing.rows()
        assert len(rows) % FLOW.size == 0
        assert listing.error >= 0
        assert len(listing.text) < 116
        count = max(count, len(rows) // FLOW.size)
    assert len(records.flows_of(2, rows)) <= count
    return count


@given(st.binary(max_size=400))
def test_random_bytes(data: bytes) -> None:
    check(data)


@given(st.sampled_from([2, 10, 7]), st.binary(max_size=300))
def test_random_attributes(family: int, attributes: bytes) -> None:
    check(conntrack_wire.message(conntrack_wire.NEW, family, attributes))


@given(st.sampled_from([wire.NLMSG_ERROR, wire.NLMSG_DONE]), st.integers(0, 0xFFFF), st.binary(max_size=100))
def test_random_ends(kind: int, flags: int, payload: bytes) -> None:
    check(wire.Message(kind, flags, 1, payload).pack())


VALID = conntrack_wire.listed(
    Planted("udp", ("10.0.0.9", 4000), ("192.0.2.10", 53), ("10.1.1.1", 5353), zone=7, mark=1)
)
ATTRIBUTE = st.builds(wire.attribute, st.integers(0, 30), st.binary(max_size=20))


@given(st.lists(ATTRIBUTE, max_size=6), st.integers(0, 40), st.data())
def test_valid_ones_spoilt(attributes: list[bytes], cut: int, data: st.DataObject) -> None:
    (message,) = wire.read_messages(VALID)
    longer = wire.Message(message.type, 2, 1, message.payload + b"".join(attributes)).pack()
    check(longer)
    check((VALID + longer)[: len(VALID + longer) - cut])
    spoilt = bytearray(VALID + longer)
    for _ in range(data.draw(st.integers(1, 4))):
        spoilt[data.draw(st.integers(0, len(spoilt) - 1))] = data.draw(st.integers(0, 255))
    check(bytes(spoilt))


def test_cut_at_every_length() -> None:
    assert check(VALID) == 1
    for length in range(1, len(VALID)):
        assert check(VALID[:length]) == -1
        if length >= wire.MESSAGE.size:
            taken = check(struct.pack("=I", length) + VALID[4:length])
            # All that counts is at the beginning.
            assert taken == -1 or length > 100


# --- which are stale ----------------------------------------------------------------------------------------------------------------

ADDRESSES = st.sampled_from(["192.0.2.1", "192.0.2.2", "10.0.0.1", "10.0.0.2"])
ADDRESSES6 = st.sampled_from(["2001:db8::1", "2001:db8::2", "a00:1::", "c000:201::"])
FEW_PORTS = st.sampled_from([53, 5353, 30053])
ENDPOINT4, ENDPOINT6 = st.tuples(ADDRESSES, FEW_PORTS), st.tuples(ADDRESSES6, FEW_PORTS)
ENDPOINT = st.one_of(ENDPOINT4, ENDPOINT6)
FLOW4, FLOW6 = (st.tuples(one, one, one) for one in (ENDPOINT4, ENDPOINT6))
ENDPOINTS = st.lists(ENDPOINT, max_size=3)


@given(
    planted=st.lists(st.tuples(st.sampled_from(["udp", "tcp"]), st.one_of(FLOW4, FLOW6)), max_size=8),
    destinations=st.dictionaries(ENDPOINT, ENDPOINTS, max_size=3),
    ports=st.dictionaries(FEW_PORTS, ENDPOINTS, max_size=2),
    nodes=st.one_of(st.none(), st.lists(st.one_of(ADDRESSES, ADDRESSES6), max_size=3)),
    family=st.sampled_from([None, "ipv4", "ipv6"]),
)
def test_what_is_stale_goes_and_nothing_else(
    planted: list[tuple[str, tuple[tuple[str, int], tuple[str, int], tuple[str, int]]]],
    destinations: dict[tuple[str, int], list[tuple[str, int]]],
    ports: dict[int, list[tuple[str, int]]],
    nodes: list[str] | None,
    family: str | None,
) -> None:
    def is_stale(flow: ik.Flow) -> bool:
        if flow.protocol != "udp" or family not in {None, flow.family}:
            return False
        (address, port), answers = text(flow.destination), text(flow.reply_source)
        if (address, port) in destinations:
            return answers not in destinations[address, port]
        if port in ports and (nodes is None or address in nodes):
            return answers not in ports[port]
        return False

    with FakeKernel() as kernel:
        for number, (protocol, (source, destination, reply)) in enumerate(planted):
            # No two flows share a direction.
            kernel.flows.plant(protocol, (source[0], number), destination, reply)
        before = kernel.flows.all()
        report = kernel.conntrack.delete_stale(destinations, ports, family=family, node_addresses=nodes)
        assert kernel.flows.all() == [flow for flow in before if not is_stale(flow)]
        assert (report.done, report.already, report.failures) == (sum(map(is_stale, before)), 0, ())
