"""How packets reach the real servers: direct routing, tunnels, one packet at a time, on a real kernel with traffic.

Knows: what each forwarding method does to packets. Must not know: schedulers, bytes.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

import ipvskit as ik
from tests.lab import site as lab

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.lab.site import Site

pytestmark = pytest.mark.ipvs

METHODS = [ik.ForwardingMethod.DIRECT_ROUTE, ik.ForwardingMethod.TUNNEL]


@pytest.fixture(scope="module", params=METHODS)
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    with lab.opened(forwarding=request.param) as opened:
        yield opened


@pytest.fixture(scope="module")
def tunnels() -> Iterator[Site]:
    with lab.opened(forwarding=ik.ForwardingMethod.TUNNEL) as opened:
        yield opened


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("protocol", ["tcp", "udp", "sctp"])
def test_packets_arrive_unchanged_and_answers_go_past_the_director(site: Site, version: int, protocol: str) -> None:
    if protocol not in site.protocols:
        pytest.skip("the kernel has no SCTP sockets: the module sctp is missing")
    key = site.add("rr", key=site.key(version, protocol))
    # The servers listen on the virtual address only: an answer proves that it was left as it was.
    assert site.client.count(key, 9) == {"r1": 3, "r2": 3, "r3": 3}


def test_the_director_counts_one_way_only(site: Site) -> None:
    keys = [site.add("rr", key=site.key(version)) for version in (4, 6)]
    for key in keys:
        site.client.count(key, 3)
    lab.eventually(lambda: [site.ipvs.service_status(key).stats.connections for key in keys], [3, 3])
    for key in keys:
        numbers = site.ipvs.service_status(key)
        # SYN, ACK, question, ACK, FIN of each, give or take what the client's stack merges.
        assert numbers.stats.in_packets >= 9
        assert numbers.stats.out_packets == numbers.stats.out_bytes == 0
        assert {one.real.forwarding for one in numbers.reals} == {site.topology.forwarding}


def test_a_connection_shows_where_it_goes(site: Site) -> None:
    key = site.add("rr", weights=(1,))
    with site.client.held(key, 1) as (line,):
        found = [
            one for one in site.ipvs.connections() if one.client_port == line.port and one.virtual_port == key.port
        ]
        assert [one.state for one in found] == ["ESTABLISHED"]
        assert found[0].destination == site.topology.reals[0].address(4)
        assert found[0].destination_port == key.port


@pytest.mark.parametrize("version", [4, 6])
def test_one_packet_scheduling_takes_each_packet_by_itself(site: Site, version: int) -> None:
    single = site.add("rr", key=site.key(version, "udp"), one_packet=True)
    usual = site.add("rr", key=site.key(version, "udp"))
    with site.client.open(single) as line:
        assert Counter(line.ask() for _ in range(9)) == {"r1": 3, "r2": 3, "r3": 3}
    with site.client.open(usual) as line:
        assert len({line.ask() for _ in range(9)}) == 1
    assert {one.virtual_port for one in site.ipvs.connections()} & {single.port, usual.port} == {usual.port}


@pytest.mark.parametrize(("outer", "inner"), [(6, 4), (4, 6)])
@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_a_tunnel_carries_the_other_family(tunnels: Site, outer: int, inner: int, protocol: str) -> None:
    key = tunnels.key(inner, protocol)
    reals = [tunnels.real(name, key, version=outer) for name in ("r1", "r2")]
    tunnels.ipvs.add_service(ik.VirtualService(key, scheduler="rr", reals=reals))
    assert tunnels.client.count(key, 6) == {"r1": 3, "r2": 3}
    found = [one for one in tunnels.ipvs.connections() if one.virtual_port == key.port]
    assert Counter(one.destination for one in found) == {real.address: 3 for real in reals}
    assert {(one.client.version, one.virtual.version, one.destination.version) for one in found} == {
        (inner, inner, outer)
    }
    # Only with its own family is a real server found again.
    tunnels.ipvs.update_real(key, reals[0], weight=0)
    assert tunnels.client.count(key, 4) == {"r2": 4}
    tunnels.ipvs.delete_real(key, reals[0])
    assert [real.address for real in tunnels.ipvs.reals(key)] == [reals[1].address]


def test_one_service_may_mix_families(tunnels: Site) -> None:
    key = tunnels.key()
    reals = [tunnels.real("r1", key), tunnels.real("r2", key, version=6)]
    tunnels.ipvs.add_service(ik.VirtualService(key, scheduler="wrr", reals=reals))
    assert tunnels.client.count(key, 6) == {"r1": 3, "r2": 3}
