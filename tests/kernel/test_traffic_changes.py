"""Changes to services and real servers while connections are open.

Knows: what becomes of connections. Must not know: schedulers, bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.lab import site as lab

if TYPE_CHECKING:
    from collections.abc import Iterator

    import ipvskit as ik
    from tests.lab.site import Site

pytestmark = pytest.mark.ipvs


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with lab.opened() as opened:
        yield opened


@pytest.mark.parametrize(
    "changes",
    [
        {"weight": 100},
        {"weight": 0},
        {"upper_threshold": 50, "lower_threshold": 10},
        {"upper_threshold": 1},
        {"weight": 3, "upper_threshold": 0},
    ],
    ids=str,
)
def test_a_changed_real_server_keeps_its_connections(site: Site, changes: dict[str, Any]) -> None:
    key = site.add("wrr")
    with site.client.held(key, 6) as lines:
        before = [line.ask() for line in lines]
        site.ipvs.update_real(key, site.real("r1", key), **changes)
        assert [line.ask() for line in lines] == before
        assert site.numbers(key)["r1"].active == 2


@pytest.mark.parametrize(
    "changes", [{"scheduler": "wlc"}, {"scheduler": "mh"}, {"persistence_timeout": 60}, {"scheduler": "none"}], ids=str
)
def test_a_changed_service_keeps_its_connections(site: Site, changes: dict[str, Any]) -> None:
    key = site.add("rr")
    with site.client.held(key, 6) as lines:
        before = [line.ask() for line in lines]
        site.ipvs.update_service(key, **changes)
        assert [line.ask() for line in lines] == before
    if changes == {"scheduler": "none"}:
        with pytest.raises(ConnectionRefusedError):
            site.client.ask(key)


def test_more_real_servers_leave_connections_where_they_are(site: Site) -> None:
    key = site.add("sh", weights=(1,))
    with site.client.held(key, 4) as lines:
        for name in ("r2", "r3"):
            site.ipvs.add_real(key, site.real(name, key))
        assert {line.ask() for line in lines} == {"r1"}


def test_deleted_with_expiry_off_a_connection_hangs_and_comes_back(site: Site) -> None:
    key = site.add("rr", weights=(1, 1))
    real = site.real("r1", key)
    with site.settings(expire_nodest_conn=False), site.client.held(key, 2) as lines:
        # The real server's counters must have been refreshed before they go to the kernel's trash.
        lab.eventually(lambda: site.numbers(key)["r1"].stats.connections, 1)
        line = next(line for line in lines if line.ask() == "r1")
        site.ipvs.delete_real(key, real)
        line.patience(0.5)
        line.say()
        with pytest.raises(TimeoutError):
            line.hear()
        assert [one.state for one in _to(site, key, real)] == ["ESTABLISHED"]
        site.ipvs.add_real(key, real)
        line.patience(10)
        assert line.hear() == "r1"
        assert line.ask() == "r1"
        revived = site.numbers(key)["r1"]
        assert (revived.active, revived.stats.connections) == (1, 1)


def test_deleted_with_expiry_on_a_connection_is_reset(site: Site) -> None:
    key = site.add("rr", weights=(1, 1))
    real = site.real("r1", key)
    with site.settings(expire_nodest_conn=True), site.client.held(key, 2) as lines:
        by_name = {line.ask(): line for line in lines}
        site.ipvs.delete_real(key, real)
        lab.eventually(lambda: len(_to(site, key, real)), 0)
        with pytest.raises(ConnectionResetError):
            by_name["r1"].ask()
        assert by_name["r2"].ask() == "r2"
        assert site.client.count(key, 3) == {"r2": 3}


def test_deleted_with_expiry_on_packets_of_udp_go_elsewhere(site: Site) -> None:
    key = site.add("rr", key=site.key(protocol="udp"), weights=(1, 1))
    real = site.real("r1", key)
    with site.settings(expire_nodest_conn=True), site.client.held(key, 2) as lines:
        site.ipvs.delete_real(key, real)
        lab.eventually(lambda: len(_to(site, key, real)), 0)
        assert {line.ask() for line in lines} == {"r2"}


def test_drained_a_real_server_goes_without_loss(site: Site) -> None:
    key = site.add("rr")
    real = site.real("r2", key)
    with site.client.held(key, 3) as lines:
        site.ipvs.update_real(key, real, weight=0)
        drained = next(line for line in lines if line.ask() == "r2")
        assert site.client.count(key, 8) == {"r1": 4, "r3": 4}
        drained.close()
        lab.eventually(lambda: site.numbers(key)["r2"].active, 0)
        site.ipvs.delete_real(key, real)
        assert sorted(line.ask() for line in lines if line is not drained) == ["r1", "r3"]
        assert site.client.count(key, 8) == {"r1": 4, "r3": 4}


def _to(site: Site, key: ik.ServiceKey, real: ik.RealServer) -> list[ik.Connection]:
    found = site.ipvs.connections()
    return [one for one in found if one.virtual_port == key.port and one.destination == real.address]
