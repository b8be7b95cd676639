"""Acknowledgements, refusals with and without the kernel's text, and the answers of the generic-netlink controller.

Knows: every form of NLMSG_ERROR and NLMSG_DONE that kernels send. Must not know: sockets, which errno means what.
"""

from __future__ import annotations

import errno
import struct

import pytest

from ipvskit import _native
from ipvskit._native import Answer
from tests.unit import wire
from tests.unit.wire import NLM_F_ACK_TLVS, NLM_F_CAPPED, NLMSGERR_ATTR_MSG, NLMSGERR_ATTR_OFFS

#: 13 bytes of payload, so that a copy of it needs padding.
REQUEST = wire.Message(0x1234, wire.NLM_F_REQUEST, 7, b"thirteen byte").pack()
UNPADDED = REQUEST[: wire.MESSAGE.size + 13]
TEXT = wire.attribute(NLMSGERR_ATTR_MSG, b"Interface not found\0")
OFFSET = wire.attribute(NLMSGERR_ATTR_OFFS, struct.pack("=I", 36))
TEXT_ROOM = 115


def refused(data: bytes) -> None:
    with pytest.raises(OSError, match="Bad message") as caught:
        _native.parse_answers(data)
    assert caught.value.errno == errno.EBADMSG


def only(data: bytes, first: int = 7) -> Answer:
    (answer,) = _native.parse_answers(data, first)
    return answer


@pytest.mark.parametrize("capped", [0, NLM_F_CAPPED])
def test_acknowledgement(capped: int) -> None:
    assert only(wire.error(7, 0, request=REQUEST, flags=capped)) == Answer(0, 0, 0, "")


@pytest.mark.parametrize("capped", [0, NLM_F_CAPPED])
def test_refusal_without_text(capped: int) -> None:
    assert only(wire.error(9, errno.EEXIST, request=REQUEST, flags=capped)) == Answer(2, errno.EEXIST, 0, "")


@pytest.mark.parametrize("capped", [0, NLM_F_CAPPED])
@pytest.mark.parametrize(
    ("tlvs", "offset", "text"),
    [
        (b"", 0, ""),
        (TEXT, 0, "Interface not found"),
        (OFFSET, 36, ""),
        (TEXT + OFFSET, 36, "Interface not found"),
        (OFFSET + TEXT, 36, "Interface not found"),
        (wire.attribute(3, b"cookie") + wire.nest(4, b"policy..") + TEXT, 0, "Interface not found"),
    ],
    ids=["no attribute", "text", "offset", "text, offset", "offset, text", "unknown ones before"],
)
def test_refusal_with_extended_acknowledgement(capped: int, tlvs: bytes, offset: int, text: str) -> None:
    data = wire.error(7, errno.ENODEV, request=REQUEST, flags=capped | NLM_F_ACK_TLVS, tlvs=tlvs)
    assert only(data) == Answer(0, errno.ENODEV, offset, text)


def test_attributes_without_their_flag_are_part_of_the_request() -> None:
    assert only(wire.error(7, errno.ENODEV, request=REQUEST, tlvs=TEXT)) == Answer(0, errno.ENODEV, 0, "")


def test_copy_of_a_request_that_was_not_padded() -> None:
    # The kernel copies the padded message, whose own length is without the padding.
    assert struct.unpack_from("=I", REQUEST)[0] == len(UNPADDED) < len(REQUEST)
    data = wire.error(7, errno.EINVAL, request=REQUEST, flags=NLM_F_ACK_TLVS, tlvs=TEXT)
    assert only(data).text == "Interface not found"


@pytest.mark.parametrize("length", [TEXT_ROOM - 1, TEXT_ROOM, TEXT_ROOM + 1, 4000])
def test_long_text_is_cut(length: int) -> None:
    tlvs = wire.attribute(NLMSGERR_ATTR_MSG, b"x" * length + b"\0") + OFFSET
    data = wire.error(7, errno.EINVAL, request=REQUEST, flags=NLM_F_CAPPED | NLM_F_ACK_TLVS, tlvs=tlvs)
    assert only(data) == Answer(0, errno.EINVAL, 36, "x" * min(length, TEXT_ROOM))


@pytest.mark.parametrize(
    ("raw", "text"), [(b"", ""), (b"\0", ""), (b"no end", "no end"), (b"a\0b\0", "a"), (b"\xff\xfe\0", "��")]
)
def test_odd_texts(raw: bytes, text: str) -> None:
    tlvs = wire.attribute(NLMSGERR_ATTR_MSG, raw)
    data = wire.error(7, errno.EINVAL, request=REQUEST, flags=NLM_F_CAPPED | NLM_F_ACK_TLVS, tlvs=tlvs)
    assert only(data).text == text


def test_the_last_of_two_texts_counts() -> None:
    tlvs = TEXT + wire.attribute(NLMSGERR_ATTR_MSG, b"No\0")
    data = wire.error(7, errno.EINVAL, request=REQUEST, flags=NLM_F_CAPPED | NLM_F_ACK_TLVS, tlvs=tlvs)
    assert only(data).text == "No"


def test_offset_of_a_wrong_length_is_left_out() -> None:
    tlvs = wire.attribute(NLMSGERR_ATTR_OFFS, b"\x01\x02") + TEXT
    data = wire.error(7, errno.EINVAL, request=REQUEST, flags=NLM_F_CAPPED | NLM_F_ACK_TLVS, tlvs=tlvs)
    assert only(data) == Answer(0, errno.EINVAL, 0, "Interface not found")


def test_end_of_a_dump() -> None:
    assert only(wire.done(7)) == Answer(0, 0, 0, "")
    assert only(wire.done(8, errno.ENOENT)) == Answer(1, errno.ENOENT, 0, "")
    # No copy of the request stands before the text here.
    data = wire.done(7, errno.EINVAL, flags=wire.NLM_F_MULTI | NLM_F_ACK_TLVS, tlvs=TEXT)
    assert only(data) == Answer(0, errno.EINVAL, 0, "Interface not found")


def test_numbers_wrap() -> None:
    data = b"".join(wire.error(one, errno.EPERM, request=REQUEST) for one in (0xFFFFFFFF, 0, 1))
    assert [one.index for one in _native.parse_answers(data, 0xFFFFFFFF)] == [0, 1, 2]
    assert [one.index for one in _native.parse_answers(data, -1)] == [0, 1, 2]


def test_other_messages_are_no_verdicts() -> None:
    data = wire.genl(0x1234, 1, b"") + wire.error(8, errno.EBUSY, request=REQUEST) + wire.Message(1, 0, 7, b"").pack()
    assert _native.parse_answers(data, 7) == [Answer(1, errno.EBUSY, 0, "")]
    assert _native.parse_answers(b"") == []


@pytest.mark.parametrize("number", [-1, -(2**31 - 1), 2**31])
def test_numbers_that_are_no_errno_are_refused(number: int) -> None:
    refused(wire.error(7, number, request=REQUEST))
    refused(wire.done(7, number))


def test_every_cut_of_a_refusal_is_refused_or_says_less() -> None:
    flags = NLM_F_CAPPED | NLM_F_ACK_TLVS
    (whole,) = wire.read_messages(wire.error(7, errno.ENODEV, request=REQUEST, flags=flags, tlvs=OFFSET))
    for length in range(len(whole.payload)):
        cut = wire.Message(whole.type, flags, 7, whole.payload[:length]).pack()
        if length == 4 + wire.MESSAGE.size:
            assert only(cut) == Answer(0, errno.ENODEV, 0, "")
        else:
            refused(cut)


def test_request_longer_than_its_copy_is_refused() -> None:
    (whole,) = wire.read_messages(wire.error(7, errno.ENODEV, request=REQUEST, flags=NLM_F_ACK_TLVS))
    for length in (len(REQUEST) + 1, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFD):
        payload = whole.payload[:4] + struct.pack("=I", length) + whole.payload[8:]
        refused(wire.Message(whole.type, NLM_F_ACK_TLVS, 7, payload).pack())


# --- framing ------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [0, 1, 15, 41, 0x7FFFFFFF, 0xFFFFFFFF])
def test_message_of_a_wrong_length_is_refused(length: int) -> None:
    data = wire.error(7, 0, request=REQUEST, flags=NLM_F_CAPPED)
    assert len(data) == 36
    refused(struct.pack("=I", length) + data[4:])


def test_cut_message_is_refused() -> None:
    data = wire.error(7, 0, request=REQUEST, flags=NLM_F_CAPPED)
    for length in range(1, len(data)):
        refused(data[:length])
        refused(data + data[:length])


# --- the controller -----------------------------------------------------------------------------------------------------------------


def test_family() -> None:
    answer = wire.family_answer("IPVS", 0x1F2E)
    assert _native.parse_resolve(answer) == 0x1F2E
    assert _native.parse_resolve(wire.error(1, 0, request=REQUEST) + answer + wire.family_answer("other", 5)) == 0x1F2E


@pytest.mark.parametrize(
    "data",
    [
        b"",
        wire.error(1, errno.ENOENT, request=REQUEST),
        wire.genl(wire.GENL_ID_CTRL, 1, wire.attribute(wire.CTRL_ATTR_FAMILY_NAME, b"IPVS\0")),
        wire.genl(wire.GENL_ID_CTRL, 1, wire.attribute(wire.CTRL_ATTR_FAMILY_ID, b"\x01")),
        wire.genl(wire.GENL_ID_CTRL, 1, wire.attribute(wire.CTRL_ATTR_FAMILY_ID, bytes(4))),
    ],
    ids=["nothing", "refusal", "no number", "short number", "long number"],
)
def test_no_family(data: bytes) -> None:
    with pytest.raises(OSError, match="No such file") as caught:
        _native.parse_resolve(data)
    assert caught.value.errno == errno.ENOENT


def test_bad_family_answers_are_refused() -> None:
    short = wire.Message(wire.GENL_ID_CTRL, 0, 0, b"\x01\x01").pack()
    broken = wire.Message(wire.GENL_ID_CTRL, 0, 0, wire.GENL.pack(1, 1, 0) + b"\x03\x00\x01\x00").pack()
    for data in (short, broken, b"\x00" * 16):
        with pytest.raises(OSError, match="Bad message") as caught:
            _native.parse_resolve(data)
        assert caught.value.errno == errno.EBADMSG
