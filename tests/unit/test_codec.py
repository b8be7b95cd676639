"""Requests: what the C core writes, read by the oracle in `tests.unit.wire`.

Knows: which attributes each request must have, to the byte. Must not know: how the C writes them, sockets.
"""

from __future__ import annotations

import errno
import struct
from ipaddress import IPv4Address, IPv6Address
from struct import Struct

import pytest

from ipvskit import _native
from ipvskit.ipvs import namespace_records, records
from ipvskit.ipvs.records import NLM_F_ACK, NLM_F_DUMP, Command
from ipvskit.model.daemon import DaemonRole, SyncDaemon
from ipvskit.model.key import ServiceKey, stored_key
from ipvskit.model.real import RealServer
from ipvskit.model.service import VirtualService
from tests.unit import wire

FAMILY = 0x1234


def encode(*requests: bytes, sequence: int = 77) -> list[wire.Request]:
    count, data = _native.encode_ipvs(b"".join(requests), FAMILY, sequence)
    assert count == len(requests)
    return wire.read_requests(data)


def service_of(service: VirtualService) -> wire.Fields:
    (request,) = encode(records.service_request(Command.NEW_SERVICE, service))
    assert (request.command, request.dest, request.daemon, request.config) == ("NEW_SERVICE", None, None, None)
    assert request.service is not None
    return request.service


def real_of(real: RealServer) -> wire.Fields:
    key = ServiceKey.parse("10.0.0.1:80/tcp")
    (request,) = encode(records.real_prefix(Command.NEW_DEST, key) + records.real_record(real))
    assert (request.command, request.daemon, request.config) == ("NEW_DEST", None, None)
    assert request.service == {"af": 2, "protocol": 6, "addr": wire.ip("10.0.0.1").ljust(16, b"\0"), "port": 80}
    assert request.dest is not None
    return request.dest


def daemon_of(request: bytes) -> wire.Request:
    (found,) = encode(request)
    assert (found.service, found.dest, found.config) == (None, None, None)
    assert found.flags == wire.NLM_F_REQUEST | wire.NLM_F_ACK
    return found


# --- layout -------------------------------------------------------------------------------------------------------------------------

LAYOUTS = {
    "ik_ipvs_service": records.SERVICE,
    "ik_ipvs_real": records.REAL,
    "ik_ipvs_daemon": records.DAEMON,
    "ik_ipvs_config": records.CONFIG,
    "ik_ipvs_info": records.INFO,
    "ik_ipvs_stats": records.STATS,
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_struct_formats_are_the_layout_in_c(name: str) -> None:
    form: Struct = LAYOUTS[name]
    size, offsets = _native.ipvs_layout(name)
    assert form.size == size
    # A service's reserved field is one of the format; the others are its padding.
    fields = [field for field in offsets if field != "reserved" or name == "ik_ipvs_service"]
    nothing = form.unpack(bytes(size))
    assert len(fields) == len(nothing)
    ends = [*sorted(offsets.values())[1:], size]
    width = dict(
        zip(
            sorted(offsets, key=offsets.__getitem__),
            (b - a for a, b in zip([0, *ends], ends, strict=False)),
            strict=True,
        )
    )
    for place, field in enumerate(fields):
        marked = bytearray(size)
        marked[offsets[field] : offsets[field] + width[field]] = b"\x01" * width[field]
        values = form.unpack(marked)
        found = values[place]
        expected = b"\x01" * width[field] if isinstance(found, bytes) else int.from_bytes(b"\x01" * width[field], "big")
        assert found == expected, field
        assert values[:place] + values[place + 1 :] == nothing[:place] + nothing[place + 1 :], field


def test_rows_and_requests_are_made_of_those() -> None:
    assert _native.ipvs_layout("ik_ipvs_service_row") == (
        records.SERVICE_ROW.size,
        {"service": 0, "stats": records.SERVICE.size},
    )
    assert _native.ipvs_layout("ik_ipvs_real_row") == (records.REAL_ROW.size, {"real": 0, "stats": records.REAL.size})
    size, offsets = _native.ipvs_layout("ik_ipvs_request")
    assert size == records.REQUEST_SIZE == _native.IPVS_REQUEST_SIZE
    assert offsets == {"command": 0, "flags": 4, "service": records.HEAD.size}


# --- messages -----------------------------------------------------------------------------------------------------------------------


def test_messages_are_numbered_and_addressed() -> None:
    key = ServiceKey.parse("10.0.0.1:80/tcp")
    requests = [records.key_request(Command.DEL_SERVICE, key, flags) for flags in (0, NLM_F_ACK, NLM_F_DUMP)]
    found = encode(*requests, sequence=0xFFFFFFFF)
    assert [one.sequence for one in found] == [0xFFFFFFFF, 0, 1]
    assert [one.family for one in found] == [FAMILY] * 3
    request, ack, dump = wire.NLM_F_REQUEST, wire.NLM_F_ACK, wire.NLM_F_ROOT | wire.NLM_F_MATCH
    assert [one.flags for one in found] == [request, request | ack, request | dump]


@pytest.mark.parametrize(
    "command", [Command.FLUSH, Command.ZERO, Command.GET_INFO, Command.GET_CONFIG, Command.GET_DAEMON]
)
def test_plain_request_has_no_attributes(command: Command) -> None:
    (found,) = encode(records.plain_request(command))
    assert found == wire.Request(command.name, wire.NLM_F_REQUEST, 77, FAMILY)


@pytest.mark.parametrize("command", list(Command))
def test_commands_have_the_kernels_numbers(command: Command) -> None:
    (found,) = encode(records.plain_request(command))
    assert found.command == command.name


@pytest.mark.parametrize("command", [0, 18, 2**32 - 1])
def test_unknown_command_is_not_sent(command: int) -> None:
    request = records.HEAD.pack(command, 0).ljust(records.REQUEST_SIZE, b"\0")
    with pytest.raises(OSError, match="Invalid argument") as caught:
        _native.encode_ipvs(request, FAMILY, 1)
    assert caught.value.errno == errno.EINVAL


def test_flags_that_are_not_ours_are_not_sent() -> None:
    (found,) = encode(records.plain_request(Command.FLUSH, 0xFFFFFFFF))
    assert found.flags == wire.NLM_F_REQUEST | NLM_F_ACK | NLM_F_DUMP


def test_as_many_messages_as_fit_and_each_whole() -> None:
    key = ServiceKey.parse("10.0.0.1:80/tcp")
    requests = records.key_request(Command.DEL_SERVICE, key) * 3
    _, whole = _native.encode_ipvs(requests, FAMILY, 1)
    one = len(whole) // 3
    for room in range(one, len(whole) + 8):
        count, data = _native.encode_ipvs(requests, FAMILY, 1, room)
        assert count == min(room // one, 3)
        assert data == whole[: count * one]


def test_room_for_not_even_one_message_is_an_error() -> None:
    request = records.key_request(Command.DEL_SERVICE, ServiceKey.parse("10.0.0.1:80/tcp"))
    _, whole = _native.encode_ipvs(request, FAMILY, 1)
    for room in range(len(whole)):
        with pytest.raises(OSError, match="No space") as caught:
            _native.encode_ipvs(request, FAMILY, 1, room)
        assert caught.value.errno == errno.ENOSPC
    assert _native.encode_ipvs(b"", FAMILY, 1, 0) == (0, b"")


# --- services -----------------------------------------------------------------------------------------------------------------------

KEYS: dict[str, wire.Fields] = {
    "192.0.2.10:443/tcp": {"af": 2, "protocol": 6, "addr": wire.ip("192.0.2.10") + bytes(12), "port": 443},
    "192.0.2.10:0/udp": {"af": 2, "protocol": 17, "addr": wire.ip("192.0.2.10") + bytes(12), "port": 0},
    "[2001:db8::7]:258/sctp": {"af": 10, "protocol": 132, "addr": wire.ip("2001:db8::7"), "port": 258},
    "fwmark:4294967295/v4": {"af": 2, "fwmark": 0xFFFFFFFF},
    "fwmark:1/v6": {"af": 10, "fwmark": 1},
}


@pytest.mark.parametrize("text", KEYS)
def test_key(text: str) -> None:
    (found,) = encode(records.key_request(Command.GET_SERVICE, ServiceKey.parse(text)))
    assert (found.command, found.service, found.dest) == ("GET_SERVICE", KEYS[text], None)


def test_key_with_a_protocol_that_has_no_name() -> None:
    key = stored_key(ServiceKey.parse("10.0.0.1:1/tcp").family, "47", IPv4Address("10.0.0.1"), 1, 0)
    (found,) = encode(records.key_request(Command.DEL_SERVICE, key))
    assert found.service is not None
    assert found.service["protocol"] == 47


FULL_V4 = b"\xff\xff\xff\xff"
OWN = 0x1 | 0x4 | 0x38


def test_service_with_defaults() -> None:
    assert service_of(VirtualService("192.0.2.10:443/tcp")) == KEYS["192.0.2.10:443/tcp"] | {
        "sched_name": "wlc",
        "flags": (0, OWN),
        "timeout": 0,
        "netmask": FULL_V4,
        "pe_name": "",
    }


def test_service_with_everything() -> None:
    service = VirtualService(
        "192.0.2.10:0/udp",
        scheduler="sh",
        scheduler_flags=["sh-fallback", "sh-port"],
        persistence_timeout=300,
        persistence_netmask=20,
        persistence_engine="sip",
        one_packet=True,
    )
    assert service_of(service) == KEYS["192.0.2.10:0/udp"] | {
        "sched_name": "sh",
        "flags": (0x1 | 0x4 | 0x8 | 0x10, OWN),
        "timeout": 300,
        "netmask": b"\xff\xff\xf0\x00",
        "pe_name": "sip",
    }


@pytest.mark.parametrize(
    ("key", "netmask", "expected"),
    [
        ("10.0.0.1:80/tcp", None, FULL_V4),
        ("10.0.0.1:80/tcp", 24, b"\xff\xff\xff\x00"),
        ("10.0.0.1:80/tcp", 0, bytes(4)),
        ("10.0.0.1:80/tcp", "255.0.255.0", b"\xff\x00\xff\x00"),
        ("fwmark:3/v4", 8, b"\xff\x00\x00\x00"),
        ("[::1]:80/tcp", None, struct.pack("=I", 128)),
        ("[::1]:80/tcp", 64, struct.pack("=I", 64)),
        ("fwmark:3/v6", 48, struct.pack("=I", 48)),
    ],
)
def test_netmask(key: str, netmask: int | str | None, expected: bytes) -> None:
    service = VirtualService(key, persistence_timeout=60, persistence_netmask=netmask)
    assert service_of(service)["netmask"] == expected


@pytest.mark.parametrize("key", ["[::1]:80/tcp", "fwmark:3/v6"])
def test_netmask_of_ipv6_without_persistence_is_never_zero(key: str) -> None:
    assert service_of(VirtualService(key))["netmask"] == struct.pack("=I", 128)


def test_longest_names() -> None:
    found = service_of(VirtualService("10.0.0.1:80/tcp", scheduler="s" * 15, persistence_engine="e" * 16))
    assert (found["sched_name"], found["pe_name"]) == ("s" * 15, "e" * 16)


# --- real servers -------------------------------------------------------------------------------------------------------------------


def test_real_with_defaults() -> None:
    assert real_of(RealServer("10.0.0.2:8080")) == {
        "addr": wire.ip("10.0.0.2") + bytes(12),
        "port": 8080,
        "fwd_method": 0,
        "weight": 1,
        "u_thresh": 0,
        "l_thresh": 0,
        "addr_family": 2,
    }


def test_real_with_everything() -> None:
    real = RealServer(
        "[2001:db8::2]:80",
        weight=2**31 - 1,
        forwarding="tunnel",
        upper_threshold=0x01020304,
        lower_threshold=7,
        tunnel="gue:258+csum+remcsum",
    )
    assert real_of(real) == {
        "addr": wire.ip("2001:db8::2"),
        "port": 80,
        "fwd_method": 2,
        "weight": 2**31 - 1,
        "u_thresh": 0x01020304,
        "l_thresh": 7,
        "addr_family": 10,
        "tun_type": 1,
        "tun_port": 258,
        "tun_flags": 3,
    }


@pytest.mark.parametrize(
    ("forwarding", "number"), [("masquerade", 0), ("local", 1), ("tunnel", 2), ("direct-route", 3), ("bypass", 4)]
)
def test_forwarding(forwarding: str, number: int) -> None:
    assert real_of(RealServer("10.0.0.2:80", forwarding=forwarding))["fwd_method"] == number


@pytest.mark.parametrize(
    ("tunnel", "expected"),
    [("ipip", (0, 0, 0)), ("gue:6080", (1, 6080, 0)), ("gre", (2, 0, 0)), ("gre+csum", (2, 0, 1))],
)
def test_tunnel(tunnel: str, expected: tuple[int, int, int]) -> None:
    found = real_of(RealServer("10.0.0.2:80", forwarding="tunnel", tunnel=tunnel))
    assert (found["tun_type"], found["tun_port"], found["tun_flags"]) == expected


@pytest.mark.parametrize("address", [IPv4Address("10.0.0.2"), IPv6Address("2001:db8::2")])
def test_real_key(address: IPv4Address | IPv6Address) -> None:
    prefix = records.real_prefix(Command.DEL_DEST, ServiceKey.parse("fwmark:9/v4"))
    (found,) = encode(prefix + records.real_key_record(address, 80))
    assert found.service == {"af": 2, "fwmark": 9}
    family = 2 if address.version == 4 else 10
    assert found.dest == {"addr": address.packed.ljust(16, b"\0"), "port": 80, "addr_family": family}


# --- daemons, timeouts --------------------------------------------------------------------------------------------------------------


def test_daemon_with_defaults() -> None:
    found = daemon_of(namespace_records.daemon_request(Command.NEW_DAEMON, SyncDaemon("backup", "eth0")))
    assert (found.command, found.daemon) == ("NEW_DAEMON", {"state": 2, "mcast_ifn": "eth0", "sync_id": 0})


@pytest.mark.parametrize("group", ["224.0.0.99", "ff02::99"])
def test_daemon_with_everything(group: str) -> None:
    daemon = SyncDaemon("master", "i" * 15, sync_id=255, max_length=1400, group=group, port=258, ttl=9)
    found = daemon_of(namespace_records.daemon_request(Command.NEW_DAEMON, daemon))
    assert found.daemon == {
        "state": 1,
        "mcast_ifn": "i" * 15,
        "sync_id": 255,
        "sync_maxlen": 1400,
        "mcast_group6" if ":" in group else "mcast_group": wire.ip(group),
        "mcast_port": 258,
        "mcast_ttl": 9,
    }


def test_daemon_port_is_in_host_order() -> None:
    request = namespace_records.daemon_request(Command.NEW_DAEMON, SyncDaemon("master", "eth0", port=258))
    _, data = _native.encode_ipvs(request, FAMILY, 1)
    (nested,) = wire.read_attributes(wire.read_messages(data)[0].payload[wire.GENL.size :])
    raw = {one.number: one.payload for one in wire.read_attributes(nested.payload)}
    assert raw[7] == struct.pack("=H", 258)


@pytest.mark.parametrize(("role", "state"), [(DaemonRole.MASTER, 1), (DaemonRole.BACKUP, 2)])
def test_stop_daemon(role: DaemonRole, state: int) -> None:
    found = daemon_of(namespace_records.daemon_role_request(Command.DEL_DAEMON, role))
    assert (found.command, found.daemon) == ("DEL_DAEMON", {"state": state})


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((1, 2, 3), {"timeout_tcp": 1, "timeout_tcp_fin": 2, "timeout_udp": 3}),
        ((0, 0x01020304, 0), {"timeout_tcp_fin": 0x01020304}),
        ((0, 0, 0), None),
    ],
)
def test_timeouts(values: tuple[int, int, int], expected: wire.Fields | None) -> None:
    (found,) = encode(namespace_records.timeouts_request(*values))
    assert found == wire.Request("SET_CONFIG", wire.NLM_F_REQUEST, 77, FAMILY, config=expected)
