"""The fake kernel: that it answers as real ones do where releases differ or traffic counts. Its lies are in test_fake_lies.py.

What it does with each operation is held against real kernels in tests/kernel/test_machine.py.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import pytest

import ipvskit as ik
from ipvskit.ipvs import records
from ipvskit.testing.fake import Command, FakeKernel, Interface

if TYPE_CHECKING:
    from collections.abc import Iterator

WEB = "192.0.2.10:80/tcp"
DNS = "192.0.2.10:53/udp"
UPPER = 10  # place of the upper threshold in a packed real server
ONE, TWO = "10.0.0.1:80", "10.0.0.2:80"


@pytest.fixture
def fake() -> Iterator[FakeKernel]:
    with FakeKernel() as kernel:
        kernel.ipvs.add_service(ik.VirtualService(WEB, reals=[ONE, TWO]))
        yield kernel


def keys(kernel: ik.Kernel) -> list[str]:
    return sorted(str(service.key) for service in kernel.ipvs.services())


# --- releases -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("release", "name", "there"),
    [
        ("5.10.46", "run_estimation", False),
        ("6.1", "run_estimation", True),
        ("6.1.176", "est_nice", False),
        ("6.12", "est_nice", True),
        ("6.12.101-amd64", "conn_max", False),
        ("7.2", "conn_max", True),
    ],
)
def test_settings_are_there_since_their_release(release: str, name: str, there: bool) -> None:
    with FakeKernel(release=release) as kernel:
        assert (kernel.ipvs.sysctls.get(name) is not None) is there
        if not there:
            with pytest.raises(ik.SysctlNotAvailable):
                kernel.ipvs.sysctls[name] = 1


@pytest.mark.parametrize(
    ("release", "upper", "lowest"),
    [
        ("5.10.46", True, False),
        ("6.1.176", True, True),
        ("6.12.101", True, True),
        ("6.12.107", False, True),
        ("7.2", False, True),
    ],
)
def test_addresses_and_thresholds_differ_between_releases(release: str, upper: bool, lowest: bool) -> None:
    with FakeKernel(release=release) as kernel:
        kernel.ipvs.add_service(WEB)
        backend = kernel.backend()
        fields = list(records.REAL.unpack(records.real_record(ik.RealServer(ONE))))
        fields[UPPER] = 2**31
        prefix = records.real_prefix(Command.NEW_DEST, ik.ServiceKey.parse(WEB))
        answers = backend.execute(prefix + records.REAL.pack(*fields), 1).answers
        assert [answer.error for answer in answers] == ([] if upper else [errno.EINVAL])
        if lowest:
            kernel.ipvs.add_real(WEB, "192.0.2.0:80")
        else:
            with pytest.raises(ik.AddressNotUsable):
                kernel.ipvs.add_real(WEB, "192.0.2.0:80")
        with pytest.raises(ik.AddressNotUsable):
            kernel.ipvs.add_real(WEB, "192.0.2.255:80")


def test_the_connection_table_grows_from_linux_7_on() -> None:
    with FakeKernel(release="6.12") as old, FakeKernel(release="7.2") as new:
        assert old.ipvs.info().connection_table_size == 4096
        assert new.ipvs.info().connection_table_size == 0
        new.ipvs.add_service(WEB)
        assert new.ipvs.info().connection_table_size == 256


def test_a_release_is_numbers() -> None:
    with pytest.raises(ValueError, match="release"):
        FakeKernel(release="newest")


# --- settings and files -------------------------------------------------------------------------------------------------------------


def test_every_known_setting_is_there_with_a_default_that_can_be_written(fake: FakeKernel) -> None:
    fake.ipvs.add_service("192.0.2.1:1/tcp scheduler=lblc")
    fake.ipvs.add_service("192.0.2.1:2/tcp scheduler=lblcr")
    held = fake.ipvs.sysctls.all()
    assert None not in held.values()
    assert (held["run_estimation"], held["sync_threshold"], held["est_cpulist"]) == (True, (3, 50), "0-3")
    fake.ipvs.sysctls.set({name: value for name, value in held.items() if value is not None and name != "debug_level"})
    assert fake.ipvs.sysctls.all() == held


def test_settings_hold_what_is_written(fake: FakeKernel) -> None:
    settings = fake.ipvs.sysctls
    settings.set({"expire_nodest_conn": True, "sync_threshold": (1, 0), "est_cpulist": "0,2-3,3", "sync_ports": 4})
    assert settings["expire_nodest_conn"] is True
    assert settings["sync_threshold"] == (1, 0)
    assert settings["est_cpulist"] == "0,2-3"
    settings["est_cpulist"] = ""
    assert (settings["est_cpulist"], fake.ipvs.totals().stale) == ("", True)
    settings["drop_entry"] = 2
    assert settings["drop_entry"] == 1, "with memory to spare, the automatic mode switches itself off"


@pytest.mark.parametrize(
    ("name", "text", "error"),
    [
        ("sync_version", "2", errno.EINVAL),
        ("sync_ports", "3", errno.EINVAL),
        ("sync_threshold", "50 3", errno.EINVAL),
        ("sync_threshold", "63", errno.EINVAL),
        ("conn_lfactor", "9", errno.EINVAL),
        ("backup_only", "abc", errno.EINVAL),
        ("backup_only", "2147483648", errno.EINVAL),
        ("est_cpulist", "4", errno.ERANGE),
        ("est_cpulist", "-1", errno.EINVAL),
        ("est_cpulist", "3-1", errno.EINVAL),
        ("debug_level", "1", errno.EACCES),
        ("lblc_expiration", "1", errno.ENOENT),
        ("timeout_close", "1", errno.ENOENT),
    ],
)
def test_settings_refuse_what_real_ones_refuse(fake: FakeKernel, name: str, text: str, error: int) -> None:
    with (
        pytest.raises(OSError, match=name) as caught,
        fake.backend().open(f"/proc/sys/net/ipv4/vs/{name}", "w") as file,
    ):
        file.write(text)
    assert caught.value.errno == error


def test_settings_can_be_given_and_taken_away() -> None:
    with FakeKernel(sysctls={"conntrack": "1", "conn_reuse_mode": None}) as kernel:
        assert kernel.ipvs.sysctls["conntrack"] is True
        assert kernel.ipvs.sysctls.get("conn_reuse_mode") is None
    with pytest.raises(ValueError, match="tcp_timeout"):
        FakeKernel(sysctls={"tcp_timeout": "1"})


@pytest.mark.parametrize(
    ("path", "mode", "error"), [("/etc/passwd", "r", errno.ENOENT), ("/proc/net/ip_vs_conn", "w", errno.EACCES)]
)
def test_other_files_are_not_there(fake: FakeKernel, path: str, mode: str, error: int) -> None:
    with pytest.raises(OSError, match=r"ip_vs_conn|passwd") as caught:
        fake.backend().open(path, mode)
    assert caught.value.errno == error


def test_totals_are_what_was_set(fake: FakeKernel) -> None:
    stats = ik.Stats(1, 2, 3, 2**40, 5, 6, 7, 8, 9, 10)
    fake.set_totals(stats)
    assert fake.ipvs.totals() == ik.Totals(stats, stale=False)
    fake.ipvs.zero()
    assert fake.ipvs.totals().stats == ik.Stats()


# --- traffic ------------------------------------------------------------------------------------------------------------------------


def counts(kernel: ik.Kernel, key: str = WEB) -> list[tuple[int, int, int]]:
    return [(one.active, one.inactive, one.persistent) for one in kernel.ipvs.service_status(key).reals]


def test_connections_are_listed_and_counted(fake: FakeKernel) -> None:
    fake.ipvs.add_service(ik.VirtualService("[2001:db8::1]:80/tcp", reals=["[2001:db8::2]:80"]))
    web = fake.connect(WEB, ONE)
    closing = fake.connect(WEB, TWO, "198.51.100.2:40001", state="FIN_WAIT", expires=60)
    template = fake.connect(WEB, TWO, "198.51.100.0:0", state="ASSURED")
    wide = fake.connect("[2001:db8::1]:80/tcp", "[2001:db8::2]:80", "[2001:db8::3]:1234")
    assert list(fake.ipvs.connections()) == [web, closing, template, wide]
    assert list(fake.ipvs.templates()) == [template]
    assert counts(fake) == [(1, 0, 0), (0, 1, 1)]
    for connection in (web, closing, template):
        fake.disconnect(connection)
    assert counts(fake) == [(0, 0, 0), (0, 0, 0)]
    with pytest.raises(KeyError):
        fake.disconnect(web)


def test_rows_of_persistence_engines_and_synchronised_ones_are_listed(fake: FakeKernel) -> None:
    one, two = (ik.RealServer(text).address for text in ("198.51.100.1", "10.0.0.1"))
    foreign = ik.Connection("udp", one, 0, one, 5060, two, 5060, "UDP", 30, "sip", "call@example.org")
    fake.add_connection(foreign)
    assert list(fake.ipvs.connections()) == [foreign]


def test_numbers_can_be_set(fake: FakeKernel) -> None:
    stats = ik.Stats(connections=5, in_bytes=2**63)
    fake.set_stats(WEB, stats)
    fake.set_stats(WEB, stats, ONE)
    fake.set_connections(WEB, TWO, active=3, inactive=2, persistent=1)
    status = fake.ipvs.service_status(WEB)
    assert (status.stats, status.reals[0].stats, status.reals[1].stats) == (stats, stats, ik.Stats())
    assert counts(fake) == [(0, 0, 0), (3, 2, 1)]
    fake.ipvs.zero(WEB)
    assert fake.ipvs.service_status(WEB).stats == fake.ipvs.service_status(WEB).reals[0].stats == ik.Stats()
    assert counts(fake)[1] == (3, 2, 1), "connection counts are never set to zero"
    for missing in ("192.0.2.99:80/tcp", DNS):
        with pytest.raises(KeyError):
            fake.set_stats(missing, stats)
    with pytest.raises(KeyError):
        fake.set_connections(WEB, "10.0.0.9:80")


def test_a_deleted_real_server_comes_back_with_its_past(fake: FakeKernel) -> None:
    fake.connect(WEB, ONE)
    fake.set_stats(WEB, ik.Stats(connections=7), ONE)
    fake.ipvs.delete_real(WEB, ONE)
    assert len(list(fake.ipvs.connections())) == 1, "with expire_nodest_conn 0 they stay, and hang"
    fake.ipvs.add_real(WEB, ik.RealServer(ONE, weight=5))
    back = fake.ipvs.service_status(WEB).reals[1]
    assert (back.real.weight, back.active, back.stats.connections) == (5, 1, 7)


def test_a_new_service_gets_connections_but_no_counters_of_the_old_one(fake: FakeKernel) -> None:
    fake.connect(WEB, ONE)
    fake.set_stats(WEB, ik.Stats(connections=7), ONE)
    fake.ipvs.delete_service(WEB)
    fake.ipvs.add_service(ik.VirtualService(WEB, reals=[ONE]))
    back = fake.ipvs.service_status(WEB).reals[0]
    assert (back.active, back.stats.connections) == (1, 0)


def test_connections_end_with_their_real_server_if_so_set(fake: FakeKernel) -> None:
    fake.ipvs.sysctls["expire_nodest_conn"] = True
    fake.connect(WEB, ONE)
    kept = fake.connect(WEB, TWO)
    fake.ipvs.delete_real(WEB, ONE)
    assert list(fake.ipvs.connections()) == [kept]
    fake.ipvs.add_real(WEB, ONE)
    assert counts(fake) == [(1, 0, 0), (0, 0, 0)]


# --- what it has --------------------------------------------------------------------------------------------------------------------


def test_schedulers_and_engines_are_those_it_was_given() -> None:
    with FakeKernel(schedulers=["rr"], engines=[]) as kernel:
        kernel.ipvs.add_service(f"{WEB} scheduler=rr")
        kernel.ipvs.add_service(f"{DNS} scheduler=none")
        with pytest.raises(ik.SchedulerNotAvailable, match="ip_vs_wlc is not installed"):
            kernel.ipvs.replace_service(WEB)
        with pytest.raises(ik.PersistenceEngineNotAvailable, match="ip_vs_pe_sip is not installed"):
            kernel.ipvs.replace_service(f"{WEB} scheduler=rr persistence_engine=sip")
        assert str(kernel.ipvs.service(WEB)) == f"{WEB} scheduler=rr"


@pytest.mark.parametrize(
    ("daemon", "error"),
    [
        ("master wide0", None),
        ("master wide0 group=ff02::1", None),
        ("master narrow0 group=ff02::1", ik.AddressNotUsable),
        ("master down0", ik.AddressNotUsable),
        ("backup down0", None),
        ("master eth0", ik.InterfaceNotFound),
    ],
)
def test_daemons_need_a_fitting_interface(daemon: str, error: type[Exception] | None) -> None:
    wide = Interface("wide0", ("10.7.0.1/24", "fe80::7/64"), mtu=9000)
    narrow, down = Interface("narrow0", ("10.8.0.1/24",)), Interface("down0", ("10.9.0.1/24",), up=False)
    with FakeKernel(interfaces=[wide, narrow, down]) as kernel:
        if error is None:
            kernel.ipvs.start_daemon(daemon)
            assert len(kernel.ipvs.daemons()) == 1
        else:
            with pytest.raises(error):
                kernel.ipvs.start_daemon(daemon)


def test_a_receiving_daemon_takes_what_its_interface_takes() -> None:
    with FakeKernel(interfaces=[Interface("eth9", mtu=9000)]) as kernel:
        kernel.ipvs.start_daemon("backup eth9")
        assert kernel.ipvs.daemons()[0].max_length == 8972


def test_a_second_handle_sees_the_same_tables(fake: FakeKernel) -> None:
    with FakeKernel(same_as=fake) as restarted:
        assert keys(restarted) == [WEB]
        restarted.ipvs.flush()
    assert keys(fake) == []
    assert "0 services" in repr(fake)


def test_a_closed_handle_raises_and_its_tables_stay(fake: FakeKernel) -> None:
    ipvs = fake.ipvs
    fake.close()
    with pytest.raises(ik.ClosedError):
        ipvs.services()
    with pytest.raises(ik.ClosedError):
        _ = fake.ipvs
    assert len(fake.rival.services()) == 1


def test_services_are_not_listed_in_the_order_of_their_coming() -> None:
    with FakeKernel() as kernel:
        added = [f"192.0.2.1:{port}/tcp" for port in range(1, 40)]
        kernel.ipvs.add_services(added)
        listed = [str(service.key) for service in kernel.ipvs.services()]
        assert sorted(listed) == sorted(added)
        assert listed != added
