"""Devices: text and back, bytes and back, and hostile bytes.

Knows: the invariants. Must not know: the kernel. Over-reads are seen when this runs under `tests/asan.sh`.
"""

from __future__ import annotations

import errno
import struct
from ipaddress import IPv4Interface, IPv6Interface

from hypothesis import given
from hypothesis import strategies as st

import ipvskit as ik
from ipvskit._native import rtnl
from ipvskit.devices import records
from ipvskit.devices.records import ADDRESS, LINK, AddressRow, Command, Interfaces
from ipvskit.model.device import check_device_name, stored_device
from tests.unit import wire
from tests.unit.test_rtnl_codec import IFADDRMSG, IFINFOMSG, RTM_NEWADDR, RTM_NEWLINK, address_answer, link_answer


def _usable(name: str) -> bool:
    try:
        check_device_name("name", name)
    except ik.InvalidConfig:
        return False
    return True


NAMES = st.text(min_size=1, max_size=15).filter(_usable)
IPV4 = st.builds(lambda number, prefix: IPv4Interface((number, prefix)), st.integers(1, 2**32 - 1), st.integers(0, 32))
IPV6 = st.builds(
    lambda number, prefix: IPv6Interface((number, prefix)), st.integers(1, 2**128 - 1), st.integers(0, 128)
)
ADDRESSES = st.one_of(IPV4, IPV6).filter(lambda address: not address.is_multicast)
KINDS = st.sampled_from(["dummy", None, "", "veth", "bridge"])


@st.composite
def devices(draw: st.DrawFn) -> ik.Device:
    given = draw(st.lists(ADDRESSES, max_size=5, unique_by=lambda one: (one.version, int(one), one.network.prefixlen)))
    return ik.Device(draw(NAMES), kind=draw(KINDS), up=draw(st.sampled_from([True, False, None])), addresses=given)


@given(devices())
def test_text_and_back(device: ik.Device) -> None:
    assert ik.Device.parse(str(device)) == device
    assert device.replace() == device


@given(st.text(max_size=60))
def test_any_text_is_a_device_or_refused(text: str) -> None:
    try:
        device = ik.Device.parse(text)
    except ik.InvalidConfig:
        return
    assert ik.Device.parse(str(device)) == device


@given(st.integers(1, 2**32 - 1), ADDRESSES)
def test_an_address_and_back(index: int, address: IPv4Interface | IPv6Interface) -> None:
    out = bytearray(256)
    record = records.address_record(index, records.key_of(address))
    assert rtnl.encode_addresses(Command.NEW_ADDRESS, record, out)[0] == 1
    _, used = rtnl.encode_addresses(Command.NEW_ADDRESS, record, out)
    rows = rtnl.parse_addresses(bytes(out[:used]), index)
    (row,) = records.address_rows(rows)
    assert (row.device, row.key) == (index, records.key_of(address))
    assert Interfaces().all(records.address_keys(rows)) == [address]


ROWS = st.builds(
    AddressRow,
    st.integers(1, 2**32 - 1),
    st.integers(0, 2**32 - 1),
    st.just(2),
    st.integers(0, 32),
    *[st.integers(0, 255)] * 2,
    *[st.integers(0, 2**32 - 1)] * 2,
    st.just(0),
    *[st.binary(min_size=4, max_size=4).map(lambda raw: raw.ljust(16, b"\0"))] * 2,
    st.binary(min_size=4, max_size=4),
    st.binary(max_size=15).map(lambda raw: raw.replace(b"\0", b"x").ljust(16, b"\0")),
)


@given(ROWS)
def test_an_address_is_made_again_as_it_was(row: AddressRow) -> None:
    out = bytearray(256)
    _, used = rtnl.encode_addresses(Command.NEW_ADDRESS, row.record(), out)
    (found,) = records.address_rows(rtnl.parse_addresses(bytes(out[:used])))
    assert found == row._replace(flags=row.flags & rtnl.NO_PREFIX_ROUTE)


@given(NAMES, st.sampled_from(["dummy", "k" * 63]), st.booleans())
def test_a_link_and_back(name: str, kind: str, up: bool) -> None:
    out = bytearray(256)
    _, used = rtnl.encode_links(Command.NEW_LINK, records.link_record(name, kind=kind, up=up), out)
    number = struct.pack("=i", 7)
    (found,) = records.link_rows(rtnl.parse_links(bytes(out[:20]) + number + bytes(out[24:used])))
    assert (found.number, found.name, found.kind, found.up) == (7, name, kind, up)
    assert str(stored_device(found.name, found.kind, found.up, ())).startswith(name)


# --- hostile bytes ------------------------------------------------------------------------------------------------------------------


def check(data: bytes, index: int = 0) -> int:
    """Whole rows, or EBADMSG."""
    count = 0
    for parse, size in ((lambda data: rtnl.parse_addresses(data, index), ADDRESS.size), (rtnl.parse_links, LINK.size)):
        try:
            rows = parse(data)
        except OSError as error:
            if error.errno != errno.EBADMSG:
                raise
            return -1
        assert len(rows) % size == 0
        count += len(rows) // size
        if size == ADDRESS.size:
            assert len(Interfaces().all(records.address_keys(rows))) == len(records.address_rows(rows))
        else:
            assert all(link.number for link in records.link_rows(rows))
    return count


@given(st.binary(max_size=400))
def test_random_bytes(data: bytes) -> None:
    check(data)


@given(st.sampled_from([RTM_NEWADDR, RTM_NEWLINK]), st.binary(max_size=300), st.integers(0, 3))
def test_random_payloads(kind: int, payload: bytes, index: int) -> None:
    check(wire.Message(kind, 0, 1, payload).pack(), index)


@given(st.sampled_from([2, 10, 7]), st.integers(0, 255), st.binary(max_size=300))
def test_random_attributes(family: int, prefix: int, attributes: bytes) -> None:
    check(address_answer(1, family, prefix, attributes))
    check(link_answer(1, 0, attributes))


ATTRIBUTE = st.builds(wire.attribute, st.integers(0, 20), st.binary(max_size=20))
VALID = (
    wire.attribute(1, bytes(4)) + wire.attribute(2, b"\1" * 4),
    wire.attribute(3, b"vip0\0") + wire.attribute(18, wire.attribute(1, b"dummy\0")),
)


@given(st.lists(ATTRIBUTE, max_size=6), st.integers(0, 40), st.data())
def test_valid_ones_spoilt(attributes: list[bytes], cut: int, data: st.DataObject) -> None:
    whole = address_answer(1, 2, 8, VALID[0] + b"".join(attributes)) + link_answer(1, 1, VALID[1])
    check(whole)
    check(whole[: len(whole) - cut])
    spoilt = bytearray(whole)
    spoilt[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    check(bytes(spoilt))


def test_cut_at_every_length() -> None:
    for whole, least in (
        (address_answer(1, 2, 8, VALID[0]), wire.MESSAGE.size + IFADDRMSG.size),
        (link_answer(1, 1, VALID[1]), wire.MESSAGE.size + IFINFOMSG.size),
    ):
        assert check(whole) == 1
        for length in range(1, len(whole)):
            assert check(whole[:length]) == -1
            if length >= wire.MESSAGE.size:
                taken = check(struct.pack("=I", length) + whole[4:length])
                assert taken == -1 or length > least
