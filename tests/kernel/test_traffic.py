"""Who gets the connections: schedulers, weights, persistence, thresholds, firewall marks, on a real kernel with traffic.

Knows: what schedulers promise. Must not know: bytes.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

import ipvskit as ik
from tests.lab import site as lab
from tests.lab.topology import CROWD, VIPS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.lab.site import Site
    from tests.lab.topology import Topology

pytestmark = pytest.mark.ipvs

MARKED = "10.200.0.2"
MARK = 7
NFT = f"""
table ip lab {{
    chain marks {{
        type filter hook prerouting priority mangle
        ip daddr {MARKED} meta mark set {MARK}
    }}
}}
"""
TC = f"""
qdisc add dev br0 ingress
filter add dev br0 parent ffff: protocol ip u32 match ip dst {MARKED}/32 action skbedit mark {MARK}
"""

#: What prevented packets to MARKED from being marked: one line for each way that was tried and did not work.
no_marks: list[str] = []


def mark(topology: Topology) -> None:
    no_marks.clear()
    for command, text in ((["nft", "-f", "-"], NFT), (["tc", "-batch", "-"], TC)):
        try:
            done = topology.director.netns.run(command, input=text, check=False)
        except FileNotFoundError:
            no_marks.append(f"the program {command[0]} is not installed")
            continue
        if done.returncode == 0:
            no_marks.clear()
            return
        no_marks.append(f"{command[0]} with this kernel: {done.stderr.strip().splitlines()[0]}")


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with lab.opened(vips=(*VIPS, MARKED), prepare=mark) as opened:
        yield opened


def sources(number: int, *, third: int = 0, version: int = 4) -> list[str]:
    network = CROWD[0] if version == 4 else CROWD[1]
    start = int(network.network_address) + third * (256 if version == 4 else 65536)
    return [str(type(network.network_address)(start + one)) for one in range(1, number + 1)]


# --- schedulers that share out ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("protocol", ["tcp", "udp", "sctp"])
def test_round_robin_is_even(site: Site, version: int, protocol: str) -> None:
    if protocol not in site.protocols:
        pytest.skip("the kernel has no SCTP sockets: the module sctp is missing")
    key = site.add("rr", key=site.key(version, protocol))
    assert site.client.count(key, 30) == {"r1": 10, "r2": 10, "r3": 10}


@pytest.mark.parametrize("version", [4, 6])
def test_weighted_round_robin_goes_by_weight(site: Site, version: int) -> None:
    key = site.add("wrr", key=site.key(version), weights=(1, 2, 3))
    assert site.client.count(key, 60) == {"r1": 10, "r2": 20, "r3": 30}


@pytest.mark.parametrize(
    ("scheduler", "weights", "expected"),
    [
        ("lc", (1, 1, 4), {"r1": 6, "r2": 6, "r3": 6}),
        ("wlc", (1, 2, 3), {"r1": 3, "r2": 6, "r3": 9}),
        ("sed", (1, 2, 3), {"r1": 3, "r2": 6, "r3": 9}),
        ("nq", (1, 2, 3), {"r1": 3, "r2": 6, "r3": 9}),
        ("fo", (1, 3, 2), {"r2": 18}),
        ("ovf", (1, 30, 5), {"r2": 18}),
        # It goes on to the next weight when a server has more than its weight, so each gets one more.
        ("ovf", (8, 10, 2), {"r2": 11, "r1": 7}),
    ],
)
def test_connections_that_stay_open_are_shared_out(
    site: Site, scheduler: str, weights: Sequence[int], expected: dict[str, int]
) -> None:
    key = site.add(scheduler, weights=weights)
    with site.client.held(key, 18) as lines:
        assert Counter(line.ask() for line in lines) == expected
        assert {name: number.active for name, number in site.numbers(key).items() if number.active} == expected


# --- schedulers that go by the source -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("scheduler", ["sh", "mh"])
def test_the_same_source_gets_the_same_server(site: Site, scheduler: str, version: int) -> None:
    key = site.add(scheduler, key=site.key(version))
    clients = sources(24, version=version)
    first = {client: site.client.ask(key, source=client) for client in clients}
    assert set(first.values()) == {"r1", "r2", "r3"}
    for _ in range(2):
        assert {client: site.client.ask(key, source=client) for client in clients} == first


@pytest.mark.parametrize("scheduler", ["sh", "mh"])
def test_with_the_port_flag_the_source_port_counts_as_well(site: Site, scheduler: str) -> None:
    source = sources(1)[0]
    plain, by_port = site.add(scheduler), site.add(scheduler, scheduler_flags=[f"{scheduler}-port"])
    assert len(site.client.count(plain, 24, source=source)) == 1
    assert len(site.client.count(by_port, 24, source=source)) == 3
    ports = range(20000, 20006)
    chosen = [site.client.ask(by_port, source=source, port=port) for port in ports]
    again = [site.client.ask(by_port, source=source, port=port) for port in ports]
    assert chosen == again


def test_source_hashing_falls_back_only_if_told_to(site: Site) -> None:
    source = sources(1)[0]
    strict, lenient = site.add("sh"), site.add("sh", scheduler_flags=["sh-fallback"])
    chosen = site.client.ask(strict, source=source)
    assert site.client.ask(lenient, source=source) == chosen
    for key in (strict, lenient):
        site.ipvs.update_real(key, site.real(chosen, key), weight=0)
    with pytest.raises(ConnectionRefusedError):
        site.client.ask(strict, source=source)
    assert site.client.ask(lenient, source=source) != chosen


def test_maglev_moves_few_sources_when_a_server_goes(site: Site) -> None:
    key = site.add("mh")
    clients = sources(30)
    before = {client: site.client.ask(key, source=client) for client in clients}
    site.ipvs.delete_real(key, site.real("r1", key))
    after = {client: site.client.ask(key, source=client) for client in clients}
    moved = {client for client in clients if before[client] != after[client]}
    orphans = {client for client in clients if before[client] == "r1"}
    assert orphans
    assert orphans <= moved
    assert len(moved - orphans) <= 3


# --- weight 0 -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [4, 6])
def test_weight_zero_gets_nothing_new_and_keeps_what_it_has(site: Site, version: int) -> None:
    key = site.add("rr", key=site.key(version))
    with site.client.held(key, 6) as lines:
        before = [line.ask() for line in lines]
        site.ipvs.update_real(key, site.real("r2", key), weight=0)
        assert site.client.count(key, 10) == {"r1": 5, "r3": 5}
        assert [line.ask() for line in lines] == before
        assert site.numbers(key)["r2"].active == 2


def test_all_weights_zero_refuses(site: Site) -> None:
    key = site.add("wrr", weights=(0, 0))
    with pytest.raises(ConnectionRefusedError):
        site.client.ask(key)
    site.ipvs.update_real(key, site.real("r1", key), weight=1)
    assert site.client.ask(key) == "r1"


# --- persistence --------------------------------------------------------------------------------------------------------------------


def test_a_persistent_client_sticks(site: Site) -> None:
    key = site.add("rr", persistence_timeout=60)
    clients = sources(3)
    chosen = [site.client.count(key, 5, source=client) for client in clients]
    assert [list(answers.values()) for answers in chosen] == [[5], [5], [5]]
    assert {name for answers in chosen for name in answers} == {"r1", "r2", "r3"}
    assert {name: number.persistent for name, number in site.numbers(key).items()} == {"r1": 1, "r2": 1, "r3": 1}


@pytest.mark.parametrize(("version", "netmask"), [(4, 24), (6, 112)])
def test_the_netmask_groups_clients(site: Site, version: int, netmask: int) -> None:
    key = site.add("rr", key=site.key(version), persistence_timeout=60, persistence_netmask=netmask)
    chosen = {}
    for third in (5, 6):
        answers = site.client.count_from(key, sources(6, third=third, version=version))
        assert len(answers) == 1
        chosen[third] = next(iter(answers))
    assert chosen[5] != chosen[6]
    templates = [one for one in site.ipvs.templates() if (one.virtual, one.virtual_port) == (key.address, key.port)]
    names = {one.ip: host.name for host in site.topology.reals for one in host.interfaces}
    network = CROWD[0] if version == 4 else CROWD[1]
    step = 256 if version == 4 else 65536
    expected = {network.network_address + third * step: name for third, name in chosen.items()}
    assert {one.client: names[one.destination] for one in templates} == expected
    assert all(one.is_template and 0 < one.expires <= 60 and one.protocol == "tcp" for one in templates)


def test_a_persistent_client_leaves_weight_zero_only_if_templates_expire(site: Site) -> None:
    key = site.add("rr", persistence_timeout=60)
    source = sources(1)[0]
    chosen = site.client.ask(key, source=source)
    site.ipvs.update_real(key, site.real(chosen, key), weight=0)
    assert site.client.ask(key, source=source) == chosen
    with site.settings(expire_quiescent_template=True):
        assert site.client.ask(key, source=source) != chosen


# --- firewall marks -----------------------------------------------------------------------------------------------------------------


def test_a_firewall_mark_takes_every_port_of_tcp_and_udp(site: Site) -> None:
    if no_marks:
        pytest.skip("packets cannot be marked: " + "; ".join(no_marks))
    key = ik.ServiceKey("ipv4", fwmark=MARK)
    port = site.real("r1", site.key()).port
    reals = [ik.RealServer(host.address(4), port) for host in site.topology.reals]
    site.ipvs.add_service(ik.VirtualService(key, scheduler="rr", reals=reals))
    for target in (f"{MARKED}:1/tcp", f"{MARKED}:65535/tcp", f"{MARKED}:80/udp"):
        assert site.client.count(target, 6) == {"r1": 2, "r2": 2, "r3": 2}
    site.ipvs.update_service(key, persistence_timeout=60)
    # With persistence the kernel keeps the packet's port and takes no notice of the real server's.
    with pytest.raises(ConnectionRefusedError):
        site.client.ask(f"{MARKED}:1/tcp")
    chosen = {site.client.ask(f"{MARKED}:{port}/{protocol}") for protocol in ("tcp", "udp", "tcp")}
    assert len(chosen) == 1
    found = [one for one in site.ipvs.templates() if one.protocol == "ip"]
    assert [(str(one.virtual), one.client_port) for one in found] == [(f"0.0.0.{MARK}", 0)]


# --- thresholds ---------------------------------------------------------------------------------------------------------------------


def test_at_the_upper_threshold_others_get_the_connections(site: Site) -> None:
    key = site.key()
    first = site.real("r1", key, upper_threshold=2, weight=100)
    site.ipvs.add_service(ik.VirtualService(key, scheduler="wlc", reals=[first]))
    with site.client.held(key, 2):
        with pytest.raises(ConnectionRefusedError):
            site.client.ask(key)
        site.ipvs.add_real(key, site.real("r2", key))
        with site.client.held(key, 3) as lines:
            assert {line.ask() for line in lines} == {"r2"}
            site.ipvs.update_real(key, first, upper_threshold=0)
            assert site.client.ask(key) == "r1"


def test_below_the_lower_threshold_it_goes_on(site: Site) -> None:
    key = site.key(protocol="udp")
    real = site.real("r1", key, upper_threshold=2, lower_threshold=1)
    site.ipvs.add_service(ik.VirtualService(key, scheduler="rr", reals=[real]))
    before = site.ipvs.timeouts()
    site.ipvs.set_timeouts(udp=1)
    try:
        assert site.client.count(key, 2) == {"r1": 2}
        with pytest.raises(ConnectionRefusedError):
            site.client.ask(key)
        lab.eventually(lambda: site.numbers(key)["r1"].inactive, 0)
        assert site.client.ask(key) == "r1"
    finally:
        site.ipvs.set_timeouts(udp=before.udp)
