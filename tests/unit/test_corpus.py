"""Bytes that real kernels sent, parsed by the core: what was set up when they were recorded must come out.

Knows: what `tests/record_corpus.py` set up. Must not know: sockets. Runs without any kernel's help.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import pytest

from ipvskit import _native
from ipvskit.ipvs import decode, namespace_records, records
from ipvskit.model.address import Family
from tests.record_corpus import BUSY, CORPUS, DAEMONS, MISSING, PACKETS, SERVICES, TIMEOUTS
from tests.unit import wire

if TYPE_CHECKING:
    from ipvskit.model.status import Stats

KERNELS = ("5.10", "6.1", "6.12", "7.2")
KEYS = [one.key for one in (*SERVICES, BUSY)]
RESERVED = 16  # generic netlink's numbers begin behind the controller's

pytestmark = pytest.mark.parametrize("release", KERNELS)


def recorded(harness: str, release: str, name: str) -> bytes:
    return (CORPUS / harness / f"{release}-{name}").read_bytes()


def rows(kind: int, release: str, name: str) -> bytes:
    family = _native.parse_resolve(recorded("resolve", release, "family"))
    assert family > RESERVED
    return _native.parse_ipvs(kind, recorded("ipvs_rows", release, name), family, 1)


def busy(stats: Stats) -> None:
    # 100 bytes, 28 of headers; the ICMP message has 28 more before a copy of that.
    assert (stats.connections, stats.in_packets, stats.in_bytes) == (1, PACKETS, PACKETS * 128)
    assert (stats.out_packets, stats.out_bytes) == (PACKETS, PACKETS * 156)
    assert 0 <= stats.connection_rate <= stats.in_packet_rate == stats.out_packet_rate < PACKETS
    assert PACKETS < stats.in_byte_rate < stats.out_byte_rate < PACKETS * 156


def test_services(release: str) -> None:
    found = list(decode.services(rows(_native.IPVS_SERVICES, release, "services"), decode.Addresses()))
    assert {index for index, _, _ in found} == {0}
    expected = {one.key: decode.with_reals(one, ()) for one in (*SERVICES, BUSY)}
    assert {one.key: one for _, one, _ in found} == expected
    assert len(found) == len(expected)
    busy(next(stats for _, one, stats in found if one.key == BUSY.key))
    assert {stats.connections for _, one, stats in found if one.key != BUSY.key} == {0}


def test_reals(release: str) -> None:
    families = [records.AF_INET if key.family is Family.IPV4 else records.AF_INET6 for key in KEYS]
    packed = rows(_native.IPVS_REALS, release, "reals")
    found = list(decode.reals(packed, families, decode.Addresses()))
    for number, service in enumerate((*SERVICES, BUSY)):
        # The kernel lists the newest first.
        assert tuple(real for index, real in reversed(found) if index == number) == service.reals, service.key
    assert len(found) == sum(len(one.reals) for one in (*SERVICES, BUSY))
    active, inactive, persistent, stats = list(decode.real_numbers(packed))[-1]
    assert (active, inactive, persistent) == (0, 1, 0)
    busy(stats)


def test_single_services_between_refusals(release: str) -> None:
    found = decode.services(rows(_native.IPVS_SERVICES, release, "single"), decode.Addresses())
    assert [(index, one.key) for index, one, _ in found] == [(0, KEYS[0]), (1, KEYS[1])]
    refused = [one for one in _native.parse_answers(recorded("ipvs_rows", release, "single"), 1) if one.error]
    assert [(one.index, one.error) for one in refused] == [(2, errno.ESRCH)]
    assert MISSING not in KEYS


def test_daemons(release: str) -> None:
    found = namespace_records.daemons(rows(_native.IPVS_DAEMONS, release, "daemons"))
    assert sorted(found, key=str) == sorted(DAEMONS, key=str)


def test_timeouts_and_info(release: str) -> None:
    assert namespace_records.timeouts(rows(_native.IPVS_CONFIG, release, "config")) == TIMEOUTS
    info = namespace_records.info(rows(_native.IPVS_INFO, release, "info"))
    assert info.version == (1, 2, 1)
    assert info.connection_table_size.bit_count() == 1


@pytest.mark.parametrize("name", ["refusals", "long-refusals"])
def test_refusals(release: str, name: str) -> None:
    data = recorded("messages", release, name)
    expected = [(0, errno.EEXIST), (1, errno.ESRCH), (2, errno.ENOENT), (3, errno.EOPNOTSUPP)]
    found = [(one.index, one.error) for one in _native.parse_answers(data, 1)]
    assert [one for one in found if one[1]] == expected
    assert found[-1] == (5, 0)  # the barrier
    copies = {len(one.payload) - 4 for one in wire.read_messages(data) if one.type == wire.NLMSG_ERROR}
    assert (copies == {wire.MESSAGE.size}) == (name == "refusals")


@pytest.mark.parametrize("long", ["", "long-"])
def test_the_kernels_own_words(release: str, long: str) -> None:
    (refusal,) = _native.parse_answers(recorded("messages", release, f"{long}text"), 1)
    assert (refusal.error, refusal.text) == (errno.EOPNOTSUPP, "Unknown device type")
    (refusal,) = _native.parse_answers(recorded("messages", release, f"{long}offset"), 1)
    assert refusal.text == "Attribute failed policy validation"
    assert refusal.offset == wire.MESSAGE.size + 16
