"""Answers: what the oracle in `tests.unit.wire` writes as a kernel would, read by the C core and decoded to values.

Knows: how kernels old and new answer, and what no kernel sends. Must not know: sockets.
"""

from __future__ import annotations

import errno
import struct
from ipaddress import IPv4Address, IPv6Address

import pytest

from ipvskit import _native
from ipvskit.errors import ProtocolError
from ipvskit.ipvs import decode, namespace_records
from ipvskit.model.daemon import DaemonRole, Info, Timeouts
from ipvskit.model.real import RealServer
from ipvskit.model.service import VirtualService
from ipvskit.model.status import Stats
from tests.unit import wire

FAMILY = 0x1234

SERVICE: wire.Fields = {
    "af": 2,
    "protocol": 6,
    "addr": wire.ip("192.0.2.10") + bytes(12),
    "port": 443,
    "sched_name": "wlc",
    "flags": (0x2, 0xFFFFFFFF),
    "timeout": 0,
    "netmask": b"\xff\xff\xff\xff",
}
DEST: wire.Fields = {
    "addr": wire.ip("10.0.0.2") + bytes(12),
    "port": 8080,
    "fwd_method": 0,
    "weight": 5,
    "u_thresh": 0,
    "l_thresh": 0,
    "active_conns": 3,
    "inact_conns": 2,
    "persist_conns": 1,
    "addr_family": 2,
    "tun_type": 0,
    "tun_port": 0,
    "tun_flags": 0,
}
DAEMON: wire.Fields = {"state": 1, "mcast_ifn": "eth0", "sync_id": 7}
CONFIG: wire.Fields = {"timeout_tcp": 900, "timeout_tcp_fin": 120, "timeout_udp": 300}
INFO: wire.Fields = {"version": 0x010201, "conn_tab_size": 4096}

#: kind, what makes an answer of it, its fields, and those that every kernel sends.
KINDS = {
    "services": (_native.IPVS_SERVICES, wire.service_answer, SERVICE, set(SERVICE)),
    "reals": (
        _native.IPVS_REALS,
        wire.dest_answer,
        DEST,
        {"addr", "port", "fwd_method", "weight", "u_thresh", "l_thresh"},
    ),
    "daemons": (_native.IPVS_DAEMONS, wire.daemon_answer, DAEMON, set(DAEMON)),
    "config": (_native.IPVS_CONFIG, wire.config_answer, CONFIG, set()),
    "info": (_native.IPVS_INFO, wire.info_answer, INFO, set(INFO)),
}
WIDE = [1 << 33 | number for number in range(10)]
NARROW = [100 + number for number in range(10)]


def refused(kind: int, data: bytes, family: int = FAMILY) -> None:
    with pytest.raises(OSError, match="Bad message") as caught:
        _native.parse_ipvs(kind, data, family)
    assert caught.value.errno == errno.EBADMSG


def service_of(data: bytes) -> tuple[VirtualService, Stats]:
    ((_, service, stats),) = decode.services(
        _native.parse_ipvs(_native.IPVS_SERVICES, data, FAMILY), decode.Addresses()
    )
    return service, stats


def real_of(data: bytes, family: int = 2) -> RealServer:
    rows = _native.parse_ipvs(_native.IPVS_REALS, data, FAMILY)
    ((_, real),) = decode.reals(rows, [family], decode.Addresses())
    return real


def numbers_of(data: bytes) -> tuple[int, int, int, Stats]:
    (numbers,) = decode.real_numbers(_native.parse_ipvs(_native.IPVS_REALS, data, FAMILY))
    return numbers


def without(fields: wire.Fields, *names: str) -> wire.Fields:
    return {name: value for name, value in fields.items() if name not in names}


# --- values -------------------------------------------------------------------------------------------------------------------------


def test_service() -> None:
    assert service_of(wire.service_answer(FAMILY, SERVICE)) == (VirtualService("192.0.2.10:443/tcp"), Stats())


def test_service_with_everything() -> None:
    fields = without(SERVICE, "protocol", "addr", "port") | {
        "af": 10,
        "fwmark": 0xFFFFFFFF,
        "sched_name": "mh",
        "flags": (0x1 | 0x2 | 0x4 | 0x10, 0xFFFFFFFF),
        "timeout": 360,
        "netmask": struct.pack("=I", 64),
        "pe_name": "sip",
    }
    expected = VirtualService(
        "fwmark:4294967295/v6",
        scheduler="mh",
        scheduler_flags=["mh-port"],
        persistence_timeout=360,
        persistence_netmask=64,
        persistence_engine="sip",
        one_packet=True,
    )
    assert service_of(wire.service_answer(FAMILY, fields))[0] == expected


def test_netmask_is_turned_whatever_the_order_of_the_attributes() -> None:
    fields = SERVICE | {"flags": (0x1, 0xFFFFFFFF), "netmask": b"\xff\xff\xf0\x00"}
    backwards = dict(reversed(fields.items()))
    service, _ = service_of(wire.service_answer(FAMILY, backwards))
    assert service.persistence_netmask == 20


def test_netmask_with_holes() -> None:
    fields = SERVICE | {"flags": (0x1, 0xFFFFFFFF), "netmask": b"\xff\x00\xff\x00"}
    assert service_of(wire.service_answer(FAMILY, fields))[0].persistence_netmask == IPv4Address("255.0.255.0")


def test_service_address_of_four_bytes() -> None:
    fields = SERVICE | {"addr": wire.ip("192.0.2.10")}
    assert service_of(wire.service_answer(FAMILY, fields))[0] == VirtualService("192.0.2.10:443/tcp")


def test_real() -> None:
    data = wire.dest_answer(FAMILY, DEST)
    assert real_of(data) == RealServer("10.0.0.2:8080", weight=5)
    assert numbers_of(data) == (3, 2, 1, Stats())


def test_real_with_everything() -> None:
    fields = DEST | {
        "addr": wire.ip("2001:db8::2"),
        "addr_family": 10,
        "fwd_method": 2,
        "weight": 2**31 - 1,
        "u_thresh": 9,
        "l_thresh": 8,
        "tun_type": 1,
        "tun_port": 258,
        "tun_flags": 3,
    }
    expected = RealServer(
        "[2001:db8::2]:8080",
        forwarding="tunnel",
        weight=2**31 - 1,
        upper_threshold=9,
        lower_threshold=8,
        tunnel="gue:258+csum+remcsum",
    )
    assert real_of(wire.dest_answer(FAMILY, fields)) == expected


@pytest.mark.parametrize(
    ("fields", "role", "group"),
    [
        ({}, DaemonRole.MASTER, None),
        ({"state": 2, "mcast_group": wire.ip("224.0.0.81")}, DaemonRole.BACKUP, IPv4Address("224.0.0.81")),
        ({"mcast_group6": wire.ip("ff02::81")}, DaemonRole.MASTER, IPv6Address("ff02::81")),
    ],
)
def test_daemon(fields: wire.Fields, role: DaemonRole, group: IPv4Address | IPv6Address | None) -> None:
    more: wire.Fields = {"sync_maxlen": 1400, "mcast_port": 258, "mcast_ttl": 9}
    data = wire.daemon_answer(FAMILY, DAEMON | more | fields)
    (daemon,) = namespace_records.daemons(_native.parse_ipvs(_native.IPVS_DAEMONS, data, FAMILY))
    assert (daemon.role, daemon.interface, daemon.sync_id, daemon.group) == (role, "eth0", 7, group)
    assert (daemon.max_length, daemon.port, daemon.ttl) == (1400, 258, 9)


def test_config_and_info() -> None:
    config = _native.parse_ipvs(_native.IPVS_CONFIG, wire.config_answer(FAMILY, CONFIG), FAMILY)
    assert namespace_records.timeouts(config) == Timeouts(900, 120, 300)
    # Attribute 1 of this answer is the version; of every other it is the service.
    info = _native.parse_ipvs(_native.IPVS_INFO, wire.info_answer(FAMILY, INFO), FAMILY)
    assert namespace_records.info(info) == Info((1, 2, 1), 4096)


def test_no_answer_is_a_protocol_error() -> None:
    for read in (namespace_records.timeouts, namespace_records.info):
        with pytest.raises(ProtocolError):
            read(_native.parse_ipvs(_native.IPVS_INFO, b"", FAMILY))


# --- kernels old and new ------------------------------------------------------------------------------------------------------------


def test_real_of_a_kernel_without_families_has_the_services() -> None:
    old = without(DEST, "addr_family", "tun_type", "tun_port", "tun_flags") | {"addr": wire.ip("2001:db8::2")}
    assert real_of(wire.dest_answer(FAMILY, old), family=10).address == IPv6Address("2001:db8::2")
    assert real_of(wire.dest_answer(FAMILY, old), family=2).address == IPv4Address("32.1.13.184")


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize(
    ("order", "expected"),
    [([10], NARROW), ([12], WIDE), ([10, 12], WIDE), ([12, 10], WIDE)],
    ids=["old kernel", "64 bits only", "32 bits first", "64 bits first"],
)
@pytest.mark.parametrize("kind", ["services", "reals"])
def test_stats(kind: str, order: list[int], expected: list[int], padded: bool) -> None:
    nests = {
        10: wire.stats(10, wire.STATS32, NARROW, padded=padded),
        12: wire.stats(12, wire.STATS64, WIDE, padded=padded),
    }
    number, answer, fields, _ = KINDS[kind]
    rows = _native.parse_ipvs(number, answer(FAMILY, fields, more=b"".join(nests[one] for one in order)), FAMILY)
    if kind == "services":
        ((_, _, found),) = decode.services(rows, decode.Addresses())
    else:
        ((*_, found),) = decode.real_numbers(rows)
    assert found == Stats(*expected)


@pytest.mark.parametrize("kind", KINDS)
def test_unknown_attributes_change_nothing(kind: str) -> None:
    number, answer, fields, _ = KINDS[kind]
    strange = b"".join(wire.attribute(one, bytes(one % 7)) for one in (0, 17, 31, 32, 33, 63, 64, 1000, 0x3FFF))
    strange += wire.nest(99, b"this is no attribute") + wire.attribute(wire.PAD + 20, b"")
    known = _native.parse_ipvs(number, answer(FAMILY, fields), FAMILY)
    assert len(known) > 0
    assert _native.parse_ipvs(number, answer(FAMILY, fields, more=strange), FAMILY) == known
    (message,) = wire.read_messages(answer(FAMILY, fields))
    head, rest = message.payload[: wire.GENL.size], message.payload[wire.GENL.size :]
    strange = wire.attribute(77, b"abc") + wire.attribute(0x3FFF, b"")
    around = wire.Message(FAMILY, 0, 0, head + strange + rest + strange).pack()
    assert _native.parse_ipvs(number, around, FAMILY) == known


def test_unknown_attributes_in_stats_change_nothing() -> None:
    (nested,) = wire.read_attributes(wire.stats(12, wire.STATS64, WIDE))
    more = wire.nest(12, wire.attribute(60, b"?") + nested.payload + wire.attribute(12, bytes(8)))
    assert service_of(wire.service_answer(FAMILY, SERVICE, more=more))[1] == Stats(*WIDE)


@pytest.mark.parametrize("kind", KINDS)
def test_nests_without_their_flag(kind: str) -> None:
    number, answer, fields, _ = KINDS[kind]
    (message,) = wire.read_messages(answer(FAMILY, fields))
    plain = b"".join(
        wire.attribute(one.number, one.payload) for one in wire.read_attributes(message.payload[wire.GENL.size :])
    )
    bare = wire.genl(FAMILY, message.payload[0], plain)
    assert _native.parse_ipvs(number, bare, FAMILY) == _native.parse_ipvs(number, answer(FAMILY, fields), FAMILY) != b""


# --- many messages ------------------------------------------------------------------------------------------------------------------


def test_rows_know_their_request() -> None:
    numbers = [0xFFFFFFFE, 0xFFFFFFFF, 0, 5]
    data = b"".join(wire.service_answer(FAMILY, SERVICE | {"port": one & 0xFF}, sequence=one) for one in numbers)
    rows = _native.parse_ipvs(_native.IPVS_SERVICES, data, FAMILY, 0xFFFFFFFE)
    found = [(index, service.key.port) for index, service, _ in decode.services(rows, decode.Addresses())]
    assert found == [(0, 0xFE), (1, 0xFF), (2, 0), (7, 5)]


def test_rows_between_verdicts() -> None:
    request = wire.genl(FAMILY, 4, b"", sequence=2, flags=wire.NLM_F_REQUEST)
    data = wire.error(2, errno.ESRCH, request=request) + wire.service_answer(FAMILY, SERVICE, sequence=3) + wire.done(4)
    rows = _native.parse_ipvs(_native.IPVS_SERVICES, data, FAMILY, 2)
    assert [index for index, _, _ in decode.services(rows, decode.Addresses())] == [1]
    assert [(one.index, one.error) for one in _native.parse_answers(data, 2)] == [(0, errno.ESRCH), (2, 0)]


def test_the_last_padding_may_be_missing() -> None:
    data = wire.service_answer(FAMILY, without(SERVICE, "sched_name") | {"sched_name": "rr"})
    (message,) = wire.read_messages(data)
    inner = message.payload[wire.GENL.size :]
    assert inner[-1] == 0
    cut = inner[:-1]  # the byte of padding behind "rr\0"
    nested = wire.ATTRIBUTE.pack(len(cut), wire.SERVICE_NEST) + cut[wire.ATTRIBUTE.size :]
    raw = wire.Message(FAMILY, 0, 0, message.payload[: wire.GENL.size] + nested).pack()[: len(data) - 1]
    assert service_of(raw)[0].scheduler == "rr"


# --- what no kernel sends -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_another_family_is_refused(kind: str) -> None:
    number, answer, fields, _ = KINDS[kind]
    refused(number, answer(FAMILY + 1, fields))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("other", KINDS)
def test_an_answer_of_another_kind_is_refused(kind: str, other: str) -> None:
    _, answer, fields, _ = KINDS[other]
    number = KINDS[kind][0]
    if kind == other:
        assert len(_native.parse_ipvs(number, answer(FAMILY, fields), FAMILY)) > 0
    else:
        refused(number, answer(FAMILY, fields))


@pytest.mark.parametrize("kind", KINDS)
def test_what_every_kernel_sends_is_required(kind: str) -> None:
    number, answer, fields, required = KINDS[kind]
    for name in fields:
        data = answer(FAMILY, without(fields, name))
        if name in required:
            refused(number, data)
        else:
            assert len(_native.parse_ipvs(number, data, FAMILY)) > 0


WRONG_LENGTHS = {
    "u8": (0, 2),
    "u16": (0, 1, 3, 4),
    "u32": (0, 3, 5, 8),
    "s32": (0, 2, 8),
    "be16": (0, 1, 4),
    "flags": (0, 4, 9, 16),
}


@pytest.mark.parametrize("kind", KINDS)
def test_wrong_lengths_are_refused(kind: str) -> None:
    number, answer, fields, _ = KINDS[kind]
    tables = {
        "services": wire.SERVICE,
        "reals": wire.DEST,
        "daemons": wire.DAEMON,
        "config": wire.CONFIG,
        "info": wire.INFO,
    }
    nested = kind in {"services", "reals", "daemons"}
    for name, (attribute, form) in tables[kind].items():
        for length in WRONG_LENGTHS.get(form, (17, 100)):
            # Behind the right ones, so that nothing else is missing.
            more = wire.attribute(attribute, bytes(length))
            if form == "text":
                more = wire.attribute(attribute, b"x" * (length + 8) + b"\0")
            (message,) = wire.read_messages(answer(FAMILY, fields, more=more))
            assert nested or message.payload.endswith(more), name
            refused(number, answer(FAMILY, fields, more=more))


@pytest.mark.parametrize("text", [b"", b"wlc", b"x" * 16])
def test_text_without_its_end_is_refused(text: bytes) -> None:
    refused(_native.IPVS_SERVICES, wire.service_answer(FAMILY, SERVICE, more=wire.attribute(6, text)))


@pytest.mark.parametrize("family", [0, 1, 17, 0xFFFF])
def test_unknown_address_families_are_a_protocol_error(family: int) -> None:
    with pytest.raises(ProtocolError):
        service_of(wire.service_answer(FAMILY, SERVICE | {"af": family}))
    with pytest.raises(ProtocolError):
        real_of(wire.dest_answer(FAMILY, DEST | {"addr_family": family}))


def test_unknown_daemon_state_is_a_protocol_error() -> None:
    data = wire.daemon_answer(FAMILY, DAEMON | {"state": 3})
    with pytest.raises(ProtocolError):
        namespace_records.daemons(_native.parse_ipvs(_native.IPVS_DAEMONS, data, FAMILY))


def test_a_kind_that_does_not_exist() -> None:
    for kind in (-1, _native.IPVS_INFO + 1, 1000):
        with pytest.raises(OSError, match="Invalid argument"):
            _native.parse_ipvs(kind, b"", FAMILY)
