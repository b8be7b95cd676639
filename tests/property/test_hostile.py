"""Hostile bytes: whatever comes in is parsed or refused, and nothing else ever happens.

Knows: the invariant and how valid messages are spoilt. Must not know: the C's insides. Over-reads are seen when this runs under `tests/asan.sh`.

The invariant: `_native` returns whole rows or verdicts, or raises OSError with EBADMSG (ENOENT where a family is asked for and not there); decoding
rows to values returns them or raises ProtocolError.
"""

from __future__ import annotations

import errno
import struct
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ipvskit import _native
from ipvskit.errors import ProtocolError
from ipvskit.ipvs import decode, namespace_records, records
from tests.unit import wire
from tests.unit.test_codec_rows import CONFIG, DAEMON, DEST, FAMILY, INFO, KINDS, SERVICE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

ROW_SIZES = {
    _native.IPVS_SERVICES: records.SERVICE_ROW.size,
    _native.IPVS_REALS: records.REAL_ROW.size,
    _native.IPVS_DAEMONS: records.DAEMON.size,
    _native.IPVS_CONFIG: records.CONFIG.size,
    _native.IPVS_INFO: records.INFO.size,
}


def values_of(kind: int, rows: bytes) -> list[object]:
    addresses = decode.Addresses()
    families = [records.AF_INET] * 256
    if kind == _native.IPVS_SERVICES:
        return list(decode.services(rows, addresses))
    if kind == _native.IPVS_REALS:
        return [*decode.reals(rows, families, addresses), *decode.real_numbers(rows)]
    if kind == _native.IPVS_DAEMONS:
        return list(namespace_records.daemons(rows))
    whole: Callable[[bytes], object] = (
        namespace_records.timeouts if kind == _native.IPVS_CONFIG else namespace_records.info
    )
    return [whole(rows)] if rows else []


def check_rows(kind: int, data: bytes, family: int = FAMILY) -> int:
    """The invariant; returns how many rows there were, -1 where the bytes were refused."""
    try:
        rows = _native.parse_ipvs(kind, data, family)
    except OSError as error:
        if error.errno != errno.EBADMSG:
            raise
        return -1
    count, rest = divmod(len(rows), ROW_SIZES[kind])
    assert rest == 0
    assert count <= len(data) // wire.MESSAGE.size
    indexes = [struct.unpack_from("=I", rows, at * ROW_SIZES[kind])[0] for at in range(count)]
    if all(index < 256 for index in indexes):
        try:
            values_of(kind, rows)
        except ProtocolError:
            return -1
    return count


def check_answers(data: bytes) -> int:
    try:
        answers = _native.parse_answers(data)
    except OSError as error:
        if error.errno != errno.EBADMSG:
            raise
        return -1
    for answer in answers:
        assert 0 <= answer.error < 2**31
        assert 0 <= answer.index < 2**32
        assert len(answer.text) < 116
    return len(answers)


def check_resolve(data: bytes) -> int:
    try:
        number = _native.parse_resolve(data)
    except OSError as error:
        if error.errno not in {errno.EBADMSG, errno.ENOENT}:
            raise
        return -1
    assert 0 <= number <= 0xFFFF
    return number


# --- bytes at random ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ROW_SIZES)
@given(data=st.binary(max_size=400))
def test_random_rows(kind: int, data: bytes) -> None:
    check_rows(kind, data)
    if len(data) >= 6:  # the type of the first message, so that its inside is looked at
        check_rows(kind, data, struct.unpack_from("=H", data, 4)[0])


@pytest.mark.parametrize("kind", list(KINDS))
@given(attributes=st.binary(max_size=300), inside=st.booleans())
def test_random_attributes(kind: str, attributes: bytes, inside: bool) -> None:
    number, answer, fields, _ = KINDS[kind]
    if inside:
        check_rows(number, answer(FAMILY, fields, more=attributes))
    else:
        (message,) = wire.read_messages(answer(FAMILY, fields))
        check_rows(number, wire.genl(FAMILY, message.payload[0], attributes))


@given(st.binary(max_size=400))
def test_random_verdicts(data: bytes) -> None:
    check_answers(data)


@given(st.sampled_from([wire.NLMSG_ERROR, wire.NLMSG_DONE]), st.integers(0, 0xFFFF), st.binary(max_size=300))
@example(wire.NLMSG_ERROR, wire.NLM_F_ACK_TLVS, bytes(4) + b"\xff" * 16)
@example(wire.NLMSG_ERROR, wire.NLM_F_ACK_TLVS, bytes(4) + b"\xfd\xff\xff\xff" + bytes(12))
def test_random_verdict_payloads(kind: int, flags: int, payload: bytes) -> None:
    check_answers(wire.Message(kind, flags, 1, payload).pack())


@given(st.binary(max_size=200))
def test_random_families(data: bytes) -> None:
    check_resolve(data)
    check_resolve(wire.genl(wire.GENL_ID_CTRL, 1, data))


# --- valid messages, spoilt ---------------------------------------------------------------------------------------------------------

STATS = wire.stats(10, wire.STATS32, [1] * 10, padded=True) + wire.stats(12, wire.STATS64, [2] * 10, padded=True)
REQUEST = wire.genl(FAMILY, 4, b"", flags=wire.NLM_F_REQUEST)
TLVS = wire.attribute(1, b"a text\0") + wire.attribute(2, struct.pack("=I", 20))
VALID: dict[str, tuple[Callable[[bytes], int], bytes]] = {
    "services": (
        lambda data: check_rows(_native.IPVS_SERVICES, data),
        wire.service_answer(FAMILY, SERVICE | {"pe_name": "sip"}, more=STATS),
    ),
    "reals": (lambda data: check_rows(_native.IPVS_REALS, data), wire.dest_answer(FAMILY, DEST, more=STATS)),
    "daemons": (
        lambda data: check_rows(_native.IPVS_DAEMONS, data),
        wire.daemon_answer(
            FAMILY, DAEMON | {"sync_maxlen": 1400, "mcast_group": wire.ip("224.0.0.81"), "mcast_ttl": 1}
        ),
    ),
    "config": (lambda data: check_rows(_native.IPVS_CONFIG, data), wire.config_answer(FAMILY, CONFIG)),
    "info": (lambda data: check_rows(_native.IPVS_INFO, data), wire.info_answer(FAMILY, INFO)),
    "verdict": (
        check_answers,
        wire.error(0, 22, request=REQUEST, flags=wire.NLM_F_CAPPED | wire.NLM_F_ACK_TLVS, tlvs=TLVS),
    ),
    "long verdict": (check_answers, wire.error(0, 22, request=REQUEST * 2, flags=wire.NLM_F_ACK_TLVS, tlvs=TLVS)),
    "end": (check_answers, wire.done(0, 22, flags=wire.NLM_F_ACK_TLVS, tlvs=TLVS)),
    "family": (check_resolve, wire.family_answer("IPVS", 99)),
}


def length_fields(data: bytes) -> Iterable[tuple[int, int]]:
    """(offset, width) of the message's length and of everything that may be an attribute's."""
    yield 0, 4
    for offset in range(wire.MESSAGE.size, len(data) - 1, 4):
        yield offset, 2


@pytest.mark.parametrize("name", VALID)
def test_valid_ones_are_taken(name: str) -> None:
    check, data = VALID[name]
    assert check(data) >= 1


@pytest.mark.parametrize("name", VALID)
def test_cut_at_every_length(name: str) -> None:
    check, data = VALID[name]
    for length in range(1, len(data)):
        # The message's own length says more than there is.
        assert check(data[:length]) == -1
        # It says the truth, and the attributes do not.
        if length >= wire.MESSAGE.size:
            check(struct.pack("=I", length) + data[4:length])


@pytest.mark.parametrize("name", VALID)
def test_every_length_field_with_every_kind_of_lie(name: str) -> None:
    check, data = VALID[name]
    for offset, width in length_fields(data):
        (true,) = struct.unpack_from("=I" if width == 4 else "=H", data, offset)
        most = (1 << 8 * width) - 1
        lies = {
            0,
            1,
            3,
            4,
            5,
            15,
            16,
            17,
            true - 4,
            true - 1,
            true + 1,
            true + 4,
            len(data) + 1,
            most - 3,
            most - 1,
            most,
        }
        for lie in lies:
            if 0 <= lie <= most:
                check(data[:offset] + lie.to_bytes(width, sys.byteorder) + data[offset + width :])


@pytest.mark.parametrize("name", VALID)
@pytest.mark.parametrize("length", [0, 1, 15, 2**31 - 1, 2**31, 2**32 - 3, 2**32 - 1])
def test_impossible_message_lengths_are_refused(name: str, length: int) -> None:
    check, data = VALID[name]
    assert check(struct.pack("=I", length) + data[4:]) == -1


@pytest.mark.parametrize("kind", ["services", "reals", "daemons"])
@pytest.mark.parametrize("length", [0, 3, 0xFFFF])
def test_impossible_nest_lengths_are_refused(kind: str, length: int) -> None:
    check, data = VALID[kind]
    at = wire.MESSAGE.size + wire.GENL.size
    assert check(data[:at] + struct.pack("=H", length) + data[at + 2 :]) == -1


@pytest.mark.parametrize("kind", ["services", "reals"])
@pytest.mark.parametrize("length", [0, 3, 0xFFFF])
def test_stats_beyond_their_parent_are_refused(kind: str, length: int) -> None:
    number, answer, fields, _ = KINDS[kind]
    nested = wire.stats(12, wire.STATS64, [1] * 10)
    assert check_rows(number, answer(FAMILY, fields, more=struct.pack("=H", length) + nested[2:])) == -1
    inside = nested[:4] + struct.pack("=H", length) + nested[6:]
    assert check_rows(number, answer(FAMILY, fields, more=inside)) == -1


@pytest.mark.parametrize("name", VALID)
@given(changes=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), max_size=6), cut=st.integers(0, 40))
def test_changed_bytes(name: str, changes: list[tuple[int, int]], cut: int) -> None:
    check, data = VALID[name]
    spoilt = bytearray(data)
    for place, value in changes:
        spoilt[place % len(spoilt)] = value
    check(bytes(spoilt[: len(spoilt) - cut]))
    check(data + bytes(spoilt[: len(spoilt) - cut]))
