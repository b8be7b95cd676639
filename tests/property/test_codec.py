"""Round trips: a value becomes a request, the oracle turns the request into what a kernel would list, and that becomes the same value.

Knows: which values there are. Must not know: sockets, the C's insides.
"""

from __future__ import annotations

import errno
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipvskit import _native
from ipvskit.ipvs import decode, namespace_records, records
from ipvskit.ipvs.records import Command
from ipvskit.model.daemon import SyncDaemon, Timeouts
from ipvskit.model.key import ServiceKey
from ipvskit.model.real import INT_MAX, RealServer, Tunnel
from ipvskit.model.service import MAX_PERSISTENCE_TIMEOUT, VirtualService, flag_names, flags_of_bits
from ipvskit.model.status import Stats
from ipvskit.testing.strategies import sync_daemons
from tests.unit import wire

FAMILY = 0x1234

ports = st.integers(0, 65535)
sequences = st.integers(0, 2**32 - 1)
names = st.text("abcdefghijklmnopqrstuvwxyz0123456789_-.", min_size=1, max_size=15)
addresses = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6))
unicast = addresses.filter(
    lambda one: (
        not (
            one.is_multicast
            or one.is_unspecified
            or one.is_link_local
            or one == IPv4Address(2**32 - 1)
            or (isinstance(one, IPv6Address) and one.ipv4_mapped is not None)
        )
    )
)
counters = st.lists(st.integers(0, 2**64 - 1), min_size=10, max_size=10)
places = st.builds(ServiceKey, st.none(), st.sampled_from(["tcp", "udp", "sctp"]), addresses, ports)
marks = st.builds(ServiceKey, st.sampled_from(["ipv4", "ipv6"]), fwmark=st.integers(1, 2**32 - 1))
keys = st.one_of(places, marks)


@st.composite
def services(draw: st.DrawFn) -> VirtualService:
    key = draw(keys)
    scheduler = draw(st.one_of(st.sampled_from(["wlc", "sh", "mh", "none"]), names))
    narrow = st.one_of(st.integers(0, 32), st.integers(0, 2**32 - 1).map(IPv4Address))
    masks: st.SearchStrategy[int | IPv4Address] = narrow if key.family == "ipv4" else st.integers(1, 128)
    timeout = draw(st.integers(1, MAX_PERSISTENCE_TIMEOUT))
    persistent = (key.address is not None and key.port == 0) or draw(st.booleans())
    return VirtualService(
        key,
        scheduler=scheduler,
        scheduler_flags=draw(st.sets(st.sampled_from(sorted(flag_names(scheduler))))),
        persistence_timeout=timeout if persistent else None,
        persistence_netmask=draw(st.none() | masks) if persistent else None,
        persistence_engine=draw(st.one_of(st.none(), st.just("sip"))) if persistent else None,
        one_packet=key.protocol in {"udp", None} and draw(st.booleans()),
    )


tunnels = st.one_of(
    st.just(Tunnel()),
    st.builds(Tunnel, st.just("gue"), st.integers(1, 65535), st.booleans(), st.booleans()),
    st.builds(Tunnel, st.just("gre"), checksum=st.booleans()),
)


@st.composite
def reals(draw: st.DrawFn) -> RealServer:
    method = draw(st.sampled_from(["masquerade", "local", "tunnel", "direct-route", "bypass"]))
    upper = draw(st.integers(0, INT_MAX))
    return RealServer(
        draw(unicast),
        draw(ports),
        weight=draw(st.integers(0, INT_MAX)),
        forwarding=method,
        upper_threshold=upper,
        lower_threshold=draw(st.integers(0, upper)),
        tunnel=draw(tunnels) if method == "tunnel" else None,
    )


def same_flags(found: VirtualService, sent: VirtualService) -> bool:
    """Flags have two names with some schedulers; the kernel's bits decide."""
    return records.service_flags(found) == records.service_flags(sent)


def normal(service: VirtualService) -> VirtualService:
    """The same with the names that reading gives to its flags."""
    return service.replace(scheduler_flags=flags_of_bits(service.scheduler, records.service_flags(service)))


def request(packed: bytes, sequence: int) -> wire.Request:
    count, data = _native.encode_ipvs(packed, FAMILY, sequence)
    assert count == 1
    (found,) = wire.read_requests(data)
    assert found.sequence == sequence
    return found


@given(services(), sequences, counters)
def test_service(service: VirtualService, sequence: int, numbers: list[int]) -> None:
    sent = request(records.service_request(Command.NEW_SERVICE, service), sequence)
    assert sent.service is not None
    more = wire.stats(12, wire.STATS64, numbers)
    answer = wire.service_answer(FAMILY, wire.stored_service(sent.service), sequence=sequence, more=more)
    rows = _native.parse_ipvs(_native.IPVS_SERVICES, answer, FAMILY, sequence)
    ((index, found, stats),) = decode.services(rows, decode.Addresses())
    assert (index, found, stats) == (0, normal(service), Stats(*numbers))
    assert same_flags(found, service)


@given(keys, sequences)
def test_key(key: ServiceKey, sequence: int) -> None:
    sent = request(records.key_request(Command.GET_SERVICE, key), sequence)
    assert sent.service is not None
    configuration = {"sched_name": "rr", "flags": (0, 0), "timeout": 0, "netmask": bytes(4)}
    answer = wire.service_answer(FAMILY, wire.stored_service(sent.service | configuration))
    rows = _native.parse_ipvs(_native.IPVS_SERVICES, answer, FAMILY)
    ((_, found, _),) = decode.services(rows, decode.Addresses())
    assert found.key == key


@given(keys, reals(), counters, st.tuples(*[st.integers(0, 2**32 - 1)] * 3))
def test_real(key: ServiceKey, real: RealServer, numbers: list[int], connections: tuple[int, int, int]) -> None:
    sent = request(records.real_prefix(Command.NEW_DEST, key) + records.real_record(real), 1)
    assert sent.dest is not None
    active, inactive, persistent = connections
    fields = wire.stored_dest(sent.dest, active=active, inactive=inactive, persistent=persistent)
    answer = wire.dest_answer(FAMILY, fields, sequence=1, more=wire.stats(12, wire.STATS64, numbers))
    rows = _native.parse_ipvs(_native.IPVS_REALS, answer, FAMILY, 1)
    ((index, found),) = decode.reals(rows, [], decode.Addresses())
    assert (index, found) == (0, real)
    assert list(decode.real_numbers(rows)) == [(*connections, Stats(*numbers))]


@given(keys, reals())
def test_real_key_is_the_beginning_of_a_whole_one(key: ServiceKey, real: RealServer) -> None:
    whole = request(records.real_prefix(Command.NEW_DEST, key) + records.real_record(real), 1)
    part = request(records.real_prefix(Command.DEL_DEST, key) + records.real_key_record(real.address, real.port), 1)
    assert whole.dest is not None
    assert part.service == whole.service
    assert part.dest == {name: whole.dest[name] for name in ("addr", "port", "addr_family")}


@given(sync_daemons())
def test_daemon(daemon: SyncDaemon) -> None:
    sent = request(namespace_records.daemon_request(Command.NEW_DAEMON, daemon), 1)
    assert sent.daemon is not None
    rows = _native.parse_ipvs(_native.IPVS_DAEMONS, wire.daemon_answer(FAMILY, sent.daemon), FAMILY)
    assert namespace_records.daemons(rows) == [daemon]


@given(*[st.integers(1, 2**32 - 1)] * 3)
def test_timeouts(tcp: int, tcp_fin: int, udp: int) -> None:
    sent = request(namespace_records.timeouts_request(tcp, tcp_fin, udp), 1)
    assert sent.config is not None
    rows = _native.parse_ipvs(_native.IPVS_CONFIG, wire.config_answer(FAMILY, sent.config), FAMILY)
    assert namespace_records.timeouts(rows) == Timeouts(tcp, tcp_fin, udp)


@given(st.lists(services(), max_size=20), sequences)
def test_many_in_one_buffer(wanted: list[VirtualService], sequence: int) -> None:
    packed = b"".join(records.service_request(Command.NEW_SERVICE, one) for one in wanted)
    count, data = _native.encode_ipvs(packed, FAMILY, sequence)
    assert count == len(wanted)
    # What adds a service is also what lists one, so the core must read its own writing.
    rows = _native.parse_ipvs(_native.IPVS_SERVICES, data, FAMILY, sequence)
    found = list(decode.services(rows, decode.Addresses()))
    assert [(index, service) for index, service, _ in found] == list(enumerate(map(normal, wanted)))


@given(st.lists(services(), min_size=1, max_size=5), st.integers(0, 1200))
def test_small_rooms(wanted: list[VirtualService], room: int) -> None:
    packed = b"".join(records.service_request(Command.NEW_SERVICE, one) for one in wanted)
    _, whole = _native.encode_ipvs(packed, FAMILY, 1)
    sizes = [len(message.pack()) for message in wire.read_messages(whole)]
    fitting = max(count for count in range(len(sizes) + 1) if sum(sizes[:count]) <= room)
    if fitting == 0:
        with pytest.raises(OSError, match="No space") as caught:
            _native.encode_ipvs(packed, FAMILY, 1, room)
        assert caught.value.errno == errno.ENOSPC
    else:
        assert _native.encode_ipvs(packed, FAMILY, 1, room) == (fitting, whole[: sum(sizes[:fitting])])
