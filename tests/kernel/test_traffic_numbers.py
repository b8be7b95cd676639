"""What the kernel counts and lists while there is traffic.

Knows: counters and when they are refreshed, connection states. Must not know: schedulers, bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import ipvskit as ik
from tests.lab import site as lab
from tests.lab.topology import CLIENT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.lab.site import Site

pytestmark = pytest.mark.ipvs


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with lab.opened() as opened:
        yield opened


def connections(site: Site, key: ik.ServiceKey) -> list[ik.Connection]:
    return [one for one in site.ipvs.connections(templates=False) if one.virtual_port == key.port]


def counted(site: Site, key: ik.ServiceKey) -> int:
    return site.ipvs.service_status(key).stats.connections


# --- counters -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [4, 6])
def test_counters_count(site: Site, version: int) -> None:
    before = site.ipvs.totals().stats
    key = site.add("wrr", key=site.key(version, "udp"), weights=(1, 2))
    with site.client.open(key) as one, site.client.open(key) as two, site.client.open(key) as three:
        names = [line.ask() for line in (one, two, three) for _ in range(4)]
    assert (names.count("r1"), names.count("r2")) == (4, 8)
    lab.eventually(lambda: [n.stats.out_packets for n in site.numbers(key).values()], [4, 8])
    lab.eventually(lambda: site.ipvs.service_status(key).stats.out_packets, 12)
    status = site.ipvs.service_status(key)
    assert (status.stats.connections, status.stats.in_packets, status.stats.out_packets) == (3, 12, 12)
    assert status.stats.in_byte_rate > 0
    assert status.stats.out_bytes - status.stats.in_bytes == 12 * len("r1 ")
    assert [real.stats.connections for real in status.reals] == [1, 2]
    assert sum(real.stats.in_bytes for real in status.reals) == status.stats.in_bytes
    assert not status.stale
    assert next(one for one in site.ipvs.status() if one.key == key).stats.in_bytes == status.stats.in_bytes
    lab.eventually(lambda: site.ipvs.totals().stats.connections - before.connections, 3)
    after = site.ipvs.totals()
    assert (after.stats.in_packets - before.in_packets, after.stats.out_packets - before.out_packets) == (12, 12)
    assert after.stats.out_bytes - before.out_bytes == status.stats.out_bytes


def test_zero_counts_anew_from_the_last_refresh(site: Site) -> None:
    key, other = site.add("rr"), site.add("rr")
    site.client.count(other, 2)
    site.client.count(key, 1)
    lab.eventually(lambda: counted(site, key), 1)
    # The refresh has just been: these are counted at the next one, two seconds from now.
    site.client.count(key, 5)
    site.ipvs.zero(key)
    assert counted(site, key) == 0
    lab.eventually(lambda: counted(site, key), 5)
    lab.eventually(lambda: counted(site, other), 2)
    # Real servers have refreshes of their own: the very first connection comes back as well if theirs was yet to come.
    lab.eventually(lambda: sum(one.stats.connections for one in site.numbers(key).values()) in {5, 6}, True)
    site.ipvs.zero(key)
    assert counted(site, key) == 0
    assert [real.stats.connections for real in site.ipvs.service_status(key).reals] == [0, 0, 0]
    assert site.ipvs.totals().stats.connections > 0
    site.ipvs.zero()
    assert (counted(site, other), site.ipvs.totals().stats.connections) == (0, 0)
    assert sum(number.inactive for number in site.numbers(key).values()) == 6, "connections are not counted anew"


def test_without_estimation_numbers_are_stale(site: Site) -> None:
    if site.ipvs.sysctls.get("run_estimation") is None:
        pytest.skip("the kernel has no sysctl net.ipv4.vs.run_estimation")
    key = site.add("rr")
    site.client.count(key, 3)
    lab.eventually(lambda: counted(site, key), 3)
    with site.settings(run_estimation=False):
        status, totals = site.ipvs.service_status(key), site.ipvs.totals()
        assert status.stale
        assert totals.stale
        assert all(one.stale for one in site.ipvs.status())
        site.client.count(key, 3)
        with pytest.raises(AssertionError, match="still 3"):
            lab.eventually(lambda: counted(site, key), 6, within=3)
    lab.eventually(lambda: counted(site, key), 6)
    assert not site.ipvs.service_status(key).stale


# --- connections --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [4, 6])
def test_open_connections_are_active_and_listed(site: Site, version: int) -> None:
    key = site.add("rr", key=site.key(version))
    client = next(one.ip for one in CLIENT if one.version == version)
    with site.client.held(key, 6) as lines:
        assert {name: (n.active, n.inactive) for name, n in site.numbers(key).items()} == dict.fromkeys(
            ("r1", "r2", "r3"), (2, 0)
        )
        by_port = {one.client_port: one for one in connections(site, key)}
        for line in lines:
            found = by_port.pop(line.port)
            real = site.topology.real(line.ask())
            assert (found.protocol, found.state, found.client) == ("tcp", "ESTABLISHED", client)
            assert (found.virtual, found.destination) == (key.address, real.address(version))
            assert found.destination_port == site.real(real.name, key).port
            assert 880 <= found.expires <= 900
            assert (found.engine, found.engine_data, found.is_template) == (None, None, False)
        assert by_port == {}
    lab.eventually(lambda: sum(n.active for n in site.numbers(key).values()), 0)
    assert sum(n.inactive for n in site.numbers(key).values()) == 6
    # Inactive begins with the client's FIN (CLOSE_WAIT); the server's may still be on its way.
    lab.eventually(lambda: {one.state for one in connections(site, key)}, {"TIME_WAIT"})


def test_a_reset_ends_a_connection(site: Site) -> None:
    key = site.add("rr")
    line = site.client.open(key)
    line.ask()
    line.close(reset=True)
    lab.eventually(lambda: [one.state for one in connections(site, key)], ["CLOSE"])
    assert connections(site, key)[0].expires <= 10


@pytest.mark.parametrize(("protocol", "state"), [("udp", "UDP"), ("sctp", "ESTABLISHED")])
def test_other_protocols_are_listed(site: Site, protocol: str, state: str) -> None:
    if protocol not in site.protocols:
        pytest.skip("the kernel has no SCTP sockets: the module sctp is missing")
    key = site.add("rr", key=site.key(protocol=protocol), weights=(1,))
    with site.client.held(key, 2) as lines:
        found = connections(site, key)
        assert {(one.protocol, one.state, one.client_port) for one in found} == {
            (protocol, state, line.port) for line in lines
        }


def test_more_connections_than_one_read_takes_are_all_listed(site: Site) -> None:
    key = site.add("rr", key=site.key(protocol="udp"))
    with site.client.held(key, 600) as lines:
        found = [one.client_port for one in connections(site, key)]
        assert sorted(found) == sorted(line.port for line in lines)
        assert [number.inactive for number in site.numbers(key).values()] == [200, 200, 200]


# --- persistence engine -------------------------------------------------------------------------------------------------------------


def invitation(call: str) -> str:
    return f"INVITE sip:b@example SIP/2.0\r\nCall-ID: {call}\r\nContent-Length: 2\r\n\r\n"


@pytest.mark.parametrize("version", [4, 6])
def test_calls_stick_by_their_call_id(site: Site, version: int) -> None:
    key = site.key(version, "udp")
    calls = ["a84b4c76e66710@example", "b", "x" * 200]
    site.add("rr", key=key, persistence_timeout=60, persistence_engine="sip")
    chosen = {}
    for call in calls:
        answers = set()
        for _ in range(3):
            with site.client.open(key) as line:
                answers.add(line.ask(invitation(call)))
        assert len(answers) == 1
        chosen[call] = answers.pop()
    assert sorted(chosen.values()) == ["r1", "r2", "r3"]
    found = {one.engine_data: one for one in site.ipvs.templates() if one.virtual_port == key.port}
    assert {data: one.engine for data, one in found.items()} == dict.fromkeys(calls, "sip")
    for call, name in chosen.items():
        assert found[call].destination == site.topology.real(name).address(version)
    assert all(one.engine_data is None for one in connections(site, key))


@pytest.mark.parametrize("text", [invitation("two words"), "no header at all"])
def test_what_the_engine_cannot_read_is_dropped(site: Site, text: str) -> None:
    key = site.key(protocol="udp")
    site.add("rr", key=key, persistence_timeout=60, persistence_engine="sip")
    with site.client.open(key, timeout=0.3) as line, pytest.raises(TimeoutError):
        line.ask(text)
    assert connections(site, key) == []
