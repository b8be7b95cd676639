"""Every operation and option of the client against a real kernel, and every refusal.

Knows: what the kernel makes of requests. Must not know: bytes.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

import ipvskit as ik
from ipvskit import operations as op
from ipvskit.testing.namespaces import TestNetNS

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.ipvs

KEY = "10.0.0.1:80/tcp"

SERVICES = [
    ik.VirtualService("10.0.0.1:80/tcp"),
    ik.VirtualService("10.0.0.1:80/udp", scheduler="rr", one_packet=True),
    ik.VirtualService("10.0.0.1:80/sctp", scheduler="none"),
    ik.VirtualService("[2001:db8::1]:80/tcp", scheduler="wrr"),
    ik.VirtualService("[2001:db8::1]:53/udp", scheduler="lc", persistence_timeout=17, persistence_netmask=64),
    ik.VirtualService("fwmark:1/v4", scheduler="lblc"),
    ik.VirtualService("fwmark:1/v6", scheduler="dh"),
    ik.VirtualService("fwmark:4294967295/v4", scheduler="lblcr", one_packet=True),
    ik.VirtualService("10.0.0.2:0/tcp", scheduler="sed", persistence_timeout=360),
    ik.VirtualService("10.0.0.3:80/tcp", scheduler="nq", persistence_timeout=1, persistence_netmask=0),
    ik.VirtualService(
        "10.0.0.4:80/tcp", scheduler="wlc", persistence_timeout=4294967, persistence_netmask="255.0.255.0"
    ),
    ik.VirtualService("10.0.0.5:80/tcp", scheduler="sh", scheduler_flags=["sh-fallback", "sh-port"]),
    ik.VirtualService("10.0.0.6:80/tcp", scheduler="mh", scheduler_flags=["mh-fallback"]),
    ik.VirtualService("10.0.0.7:80/tcp", scheduler="mh", scheduler_flags=["mh-port", "flag-3"]),
    ik.VirtualService("10.0.0.8:80/tcp", scheduler="rr", scheduler_flags=["flag-1", "flag-2", "flag-3"]),
    ik.VirtualService("10.0.0.9:5060/udp", scheduler="rr", persistence_timeout=60, persistence_engine="sip"),
    ik.VirtualService("10.0.0.10:80/tcp", scheduler="fo"),
    ik.VirtualService("10.0.0.11:80/tcp", scheduler="ovf"),
]

REALS = [
    ik.RealServer("10.1.0.1:8080"),
    ik.RealServer("10.1.0.2:8080", weight=0),
    ik.RealServer("10.1.0.3", weight=2**31 - 1, upper_threshold=2**31 - 1, lower_threshold=2**31 - 1),
    ik.RealServer("10.1.0.4:80", forwarding="direct-route", upper_threshold=10, lower_threshold=5),
    ik.RealServer("10.1.0.5:80", forwarding="tunnel"),
    ik.RealServer("10.1.0.6:80", forwarding="tunnel", tunnel="gue:6080"),
    ik.RealServer("10.1.0.7:80", forwarding="tunnel", tunnel="gue:65535+csum"),
    ik.RealServer("10.1.0.8:80", forwarding="tunnel", tunnel="gue:1+remcsum"),
    ik.RealServer("10.1.0.9:80", forwarding="tunnel", tunnel="gre"),
    ik.RealServer("10.1.0.10:80", forwarding="tunnel", tunnel="gre+csum"),
    ik.RealServer("10.1.0.11:80", forwarding="local"),
    ik.RealServer("10.1.0.12:80", forwarding="bypass"),
    ik.RealServer("[2001:db8::5]:80", forwarding="tunnel"),
    ik.RealServer("[2001:db8::6]", forwarding="tunnel", tunnel="gue:6080+csum+remcsum"),
]


@pytest.mark.parametrize("service", SERVICES, ids=str)
def test_a_service_reads_back_as_it_was_added(kernel: ik.Kernel, service: ik.VirtualService) -> None:
    kernel.ipvs.add_service(service)
    assert kernel.ipvs.services() == [service]
    assert kernel.ipvs.service(service.key) == service
    kernel.ipvs.delete_service(service.key)
    assert kernel.ipvs.services() == []


def test_all_services_beside_one_another(kernel: ik.Kernel) -> None:
    assert kernel.ipvs.add_services(SERVICES).ok
    assert sorted(map(str, kernel.ipvs.services())) == sorted(map(str, SERVICES))
    assert sorted(map(str, kernel.ipvs.services(reals=False))) == sorted(map(str, SERVICES))
    assert kernel.ipvs.get_services(one.key for one in SERVICES) == SERVICES
    kernel.ipvs.flush()
    assert kernel.ipvs.services() == []


@pytest.mark.parametrize("real", REALS, ids=str)
def test_a_real_server_reads_back_as_it_was_added(kernel: ik.Kernel, real: ik.RealServer) -> None:
    kernel.ipvs.add_service(KEY)
    kernel.ipvs.add_real(KEY, real)
    assert kernel.ipvs.reals(KEY) == [real]
    assert kernel.ipvs.real(KEY, real.endpoint) == real
    kernel.ipvs.replace_real(KEY, ik.RealServer(real.address, real.port, weight=3, forwarding=real.forwarding))
    assert kernel.ipvs.real(KEY, real.endpoint).weight == 3
    kernel.ipvs.delete_real(KEY, real)
    assert kernel.ipvs.reals(KEY) == []


def test_a_service_comes_with_its_real_servers_in_their_order(kernel: ik.Kernel) -> None:
    service = ik.VirtualService(KEY, reals=REALS)
    kernel.ipvs.add_service(service)
    assert kernel.ipvs.service(KEY) == service
    assert [one.real for one in kernel.ipvs.service_status(KEY).reals] == REALS


def test_ipv6_service_with_ipv4_real_server_through_a_tunnel(kernel: ik.Kernel) -> None:
    service = ik.VirtualService("[2001:db8::1]:80/tcp", reals=["10.1.0.1:80 forwarding=tunnel", "[2001:db8::2]:8080"])
    kernel.ipvs.add_service(service)
    assert kernel.ipvs.services() == [service]


def test_update_keeps_what_is_not_named(kernel: ik.Kernel) -> None:
    real = ik.RealServer(
        "10.1.0.1:80", forwarding="tunnel", tunnel="gue:6080+csum", upper_threshold=9, lower_threshold=3
    )
    service = ik.VirtualService(
        "10.0.0.1:80/udp", scheduler="sh", scheduler_flags=["sh-port"], persistence_timeout=60, persistence_netmask=24,
        persistence_engine="sip", one_packet=True, reals=[real],
    )  # fmt: skip
    ipvs = kernel.ipvs
    ipvs.add_service(service)
    ipvs.update_real(service.key, "10.1.0.1:80", weight=7)
    assert ipvs.service(service.key) == service.replace(reals=[real.replace(weight=7)])
    ipvs.update_service(service.key, persistence_timeout=61)
    expected = service.replace(persistence_timeout=61, reals=[real.replace(weight=7)])
    assert ipvs.service(service.key) == expected
    ipvs.update_service(service.key, scheduler="rr", persistence_engine=None, one_packet=False)
    assert ipvs.service(service.key) == expected.replace(scheduler="rr", persistence_engine=None, one_packet=False)
    ipvs.update_service(service.key, persistence_timeout=None)
    assert ipvs.service(service.key).persistence_timeout is None


def test_replace_service_leaves_real_servers_alone(kernel: ik.Kernel) -> None:
    kernel.ipvs.add_service(ik.VirtualService(KEY, reals=REALS))
    kernel.ipvs.replace_service(ik.VirtualService(KEY, scheduler="rr"))
    assert kernel.ipvs.service(KEY) == ik.VirtualService(KEY, scheduler="rr", reals=REALS)


def test_refusals_have_one_exception_per_meaning(kernel: ik.Kernel) -> None:
    ipvs = kernel.ipvs
    ipvs.add_service(ik.VirtualService(KEY, reals=["10.1.0.1:80"]))
    missing = "10.9.9.9:80/tcp"
    with pytest.raises(ik.ServiceExists, match=r"add service 10\.0\.0\.1:80/tcp: .*EEXIST"):
        ipvs.add_service(KEY)
    calls: list[Callable[[], object]] = [
        lambda: ipvs.delete_service(missing),
        lambda: ipvs.replace_service(missing),
        lambda: ipvs.update_service(missing, scheduler="rr"),
        lambda: ipvs.service(missing),
        lambda: ipvs.service_status(missing),
        lambda: ipvs.reals(missing),
        lambda: ipvs.zero(missing),
        lambda: ipvs.add_real(missing, "10.1.0.1"),
        lambda: ipvs.replace_real(missing, "10.1.0.1"),
        lambda: ipvs.update_real(missing, "10.1.0.1", weight=1),
        lambda: ipvs.delete_real(missing, "10.1.0.1"),
    ]
    for call in calls:
        with pytest.raises(ik.ServiceNotFound, match=r"10\.9\.9\.9:80/tcp"):
            call()
    with pytest.raises(ik.RealServerExists):
        ipvs.add_real(KEY, "10.1.0.1:80")
    calls = [
        lambda: ipvs.replace_real(KEY, "10.1.0.1:81"),
        lambda: ipvs.update_real(KEY, "10.1.0.1:81", weight=1),
        lambda: ipvs.delete_real(KEY, "10.1.0.1:81"),
        lambda: ipvs.real(KEY, "10.1.0.1:81"),
    ]
    for call in calls:
        with pytest.raises(ik.RealServerNotFound, match=r"10\.1\.0\.1:81 of 10\.0\.0\.1:80/tcp"):
            call()
    with pytest.raises(ik.AddressNotUsable):
        ipvs.add_real(KEY, "127.255.255.255:80")
    assert ipvs.reals(KEY) == [ik.RealServer("10.1.0.1:80")]


def test_a_namespace_whose_interfaces_were_never_up_takes_no_real_server() -> None:
    with ik.NetNS.create() as bare, ik.Kernel(bare) as kernel:
        kernel.ipvs.add_service(KEY)
        with pytest.raises(ik.AddressNotUsable, match="not even lo"):
            kernel.ipvs.add_real(KEY, "10.1.0.1:80")
        with open(f"/proc/self/fd/{bare.fileno()}") as same, TestNetNS(os.dup(same.fileno())):  # brings lo up
            kernel.ipvs.add_real(KEY, "10.1.0.1:80")


def test_missing_modules_are_named(kernel: ik.Kernel) -> None:
    with pytest.raises(ik.SchedulerNotAvailable, match="ip_vs_nope"):
        kernel.ipvs.add_service(ik.VirtualService(KEY, scheduler="nope"))
    with pytest.raises(ik.PersistenceEngineNotAvailable, match="ip_vs_pe_nope"):
        kernel.ipvs.add_service(
            ik.VirtualService(KEY, scheduler="rr", persistence_timeout=1, persistence_engine="nope")
        )
    assert kernel.ipvs.services() == []


def test_an_existing_service_does_not_get_the_others_real_servers(kernel: ik.Kernel) -> None:
    kernel.ipvs.add_service(ik.VirtualService(KEY, reals=["10.1.0.1:80"]))
    rival = ik.VirtualService(KEY, reals=["10.1.0.2:80", "10.1.0.3:80"])
    with pytest.raises(ik.ServiceExists):
        kernel.ipvs.add_service(rival)
    report = kernel.ipvs.add_services([rival])
    assert isinstance(report.failures[0].error, ik.ServiceExists)
    assert report.skipped == tuple(op.AddReal(rival.key, real) for real in rival.reals)
    with pytest.raises(ik.BulkFailed, match="0 done, 1 failed, 2 skipped"):
        report.raise_for_failures()
    assert kernel.ipvs.reals(KEY) == [ik.RealServer("10.1.0.1:80")]


def test_bulk_reports_every_failure_with_its_operation(kernel: ik.Kernel) -> None:
    key = ik.ServiceKey.parse(KEY)
    real = ik.RealServer("10.1.0.1:80")
    other = ik.RealServer("10.1.0.2:80")
    wanted: list[op.Operation] = [
        op.AddService(ik.VirtualService(KEY)),
        op.AddReal(key, real),
        op.AddReal(key, real),
        op.UpdateReal(key, real.address, 80, {"weight": 9}),
        op.UpdateReal(key, real.address, 80, {"upper_threshold": 4}),
        op.UpdateReal(key, real.address, 81, {"weight": 9}),
        op.UpdateReal(key, real.address, 80, {"weight": -1}),
        op.AddReal(key, other),
        op.DeleteReal(key, other.address, 80),
        op.AddReal(key, ik.RealServer("10.1.0.3:81", forwarding="direct-route")),
        op.UpdateService(key, {"scheduler": "rr"}),
        op.Zero(key),
        op.SetTimeouts(tcp=901),
    ]
    report = kernel.ipvs.bulk(wanted)
    kinds = [(failure.index, type(failure.error)) for failure in report.failures]
    assert kinds == [
        (2, ik.RealServerExists),
        (5, ik.RealServerNotFound),
        (6, ik.InvalidConfig),
        (9, ik.InvalidConfig),
    ]
    assert [failure.operation for failure in report.failures] == [wanted[index] for index, _ in kinds]
    assert report.done == len(wanted) - 4
    assert kernel.ipvs.service(KEY) == ik.VirtualService(
        KEY, scheduler="rr", reals=[real.replace(weight=9, upper_threshold=4)]
    )
    assert kernel.ipvs.timeouts().tcp == 901


def test_bulk_can_stop_at_the_first_failure(kernel: ik.Kernel) -> None:
    services = [ik.VirtualService(f"10.0.0.1:{port}/tcp", reals=["10.1.0.1", "10.1.0.2"]) for port in (1, 2, 2, 3)]
    report = kernel.ipvs.add_services(services, on_error="stop")
    assert report.stopped
    assert [failure.index for failure in report.failures] == [2]
    assert sorted(map(str, kernel.ipvs.services())) == sorted(map(str, services[:2]))
    assert len(report.skipped) == 2


def test_timeouts(kernel: ik.Kernel) -> None:
    assert kernel.ipvs.timeouts() == ik.Timeouts(900, 120, 300)
    kernel.ipvs.set_timeouts(tcp=1000, udp=2678400)
    assert kernel.ipvs.timeouts() == ik.Timeouts(1000, 120, 2678400)
    kernel.ipvs.set_timeouts()
    assert kernel.ipvs.timeouts() == ik.Timeouts(1000, 120, 2678400)


def test_info_and_totals(kernel: ik.Kernel) -> None:
    kernel.ipvs.add_service(KEY)
    info = kernel.ipvs.info()
    assert info.version == (1, 2, 1)
    assert info.connection_table_size >= 256
    assert kernel.ipvs.totals() == ik.Totals(ik.Stats(), stale=False)
    kernel.ipvs.zero()
    kernel.ipvs.zero(KEY)


DAEMONS = [
    ("master wire", "max_length"),
    ("backup wire", "max_length"),
    ("master wire sync_id=255 max_length=1400 group=239.1.2.3 port=9000 ttl=7", ""),
    ("backup wire sync_id=3 max_length=65487 group=ff05::51 port=1 ttl=255", ""),
]


@pytest.mark.parametrize(("text", "filled_in"), DAEMONS)
def test_sync_daemons(kernel: ik.Kernel, namespace: TestNetNS, text: str, filled_in: str) -> None:
    namespace.ip("link add wire type dummy", "link set wire up multicast on", "addr add 10.0.0.9/24 dev wire")
    namespace.ip("addr add 2001:db8::9/64 dev wire nodad", "route add 224.0.0.0/4 dev wire")
    wanted = ik.SyncDaemon.parse(text)
    kernel.ipvs.start_daemon(wanted)
    (running,) = kernel.ipvs.daemons()
    for field in ("role", "interface", "sync_id"):
        assert getattr(running, field) == getattr(wanted, field)
    if filled_in:
        assert running.max_length >= 1024
        assert (str(running.group), running.port, running.ttl) == ("224.0.0.81", 8848, 1)
    else:
        assert running == wanted
    with pytest.raises(ik.DaemonExists):
        kernel.ipvs.start_daemon(wanted)
    kernel.ipvs.stop_daemon(wanted.role)
    assert kernel.ipvs.daemons() == []
    with pytest.raises(ik.DaemonNotFound):
        kernel.ipvs.stop_daemon(wanted.role)


def test_both_daemons_at_once_and_their_refusals(kernel: ik.Kernel) -> None:
    with pytest.raises(ik.InterfaceNotFound):
        kernel.ipvs.start_daemon("master nope0")
    kernel.ipvs.start_daemon("master lo")
    kernel.ipvs.start_daemon("backup lo")
    assert {daemon.role for daemon in kernel.ipvs.daemons()} == set(ik.DaemonRole)
    kernel.ipvs.add_service(KEY)
    with pytest.raises(ik.MixedFamilyRefused):
        kernel.ipvs.add_real(KEY, "[2001:db8::1] forwarding=tunnel")
    kernel.ipvs.stop_daemon("master")
    kernel.ipvs.stop_daemon("backup")
    kernel.ipvs.add_real(KEY, "[2001:db8::1] forwarding=tunnel")
    with pytest.raises(ik.MixedFamilyRefused):
        kernel.ipvs.start_daemon("master lo")


def test_sysctls_are_known_or_absent(kernel: ik.Kernel, namespace: TestNetNS) -> None:
    found = kernel.ipvs.sysctls.all()
    assert found.keys() == ik.SYSCTLS.keys()
    own = {name for name, one in ik.SYSCTLS.items() if one.is_ipvs}
    listed = set(namespace.run(["ls", "/proc/sys/net/ipv4/vs"]).stdout.split())
    assert listed - own == set()
    assert {name for name, value in found.items() if value is not None} == listed | (ik.SYSCTLS.keys() - own)
    for name in own - listed:
        with pytest.raises(ik.SysctlNotAvailable, match=name):
            kernel.ipvs.sysctls[name]


def test_sysctls_take_what_their_table_says(kernel: ik.Kernel, namespace: TestNetNS) -> None:
    sysctls = kernel.ipvs.sysctls
    before = sysctls.all()
    for name, sysctl in ik.SYSCTLS.items():
        value = before[name]
        if value is None or name == "debug_level":  # the same for all namespaces: not ours to change
            continue
        if sysctl.kind is bool:
            other: bool | int | str | tuple[int, int] = not value
        elif sysctl.kind is int:
            assert isinstance(value, int)
            other = value * 2 if name == "sync_ports" else value + 1 if value < sysctl.high else value - 1
        else:
            other = (4, 51) if sysctl.kind is tuple else "0"
        sysctls[name] = other
        assert sysctls[name] == other, name
        with namespace.open(f"/proc/sys/net/ipv4/{sysctl.path}") as file:
            assert sysctl.parse(file.read()) == other, name
        sysctls[name] = value
        assert sysctls[name] == value, name


def test_sysctls_belong_to_the_namespace(kernel: ik.Kernel) -> None:
    with TestNetNS() as other, ik.Kernel(other) as neighbour:
        kernel.ipvs.sysctls["expire_nodest_conn"] = True
        assert neighbour.ipvs.sysctls["expire_nodest_conn"] is False
        with pytest.raises(ik.InvalidConfig, match="expire_nodest_conn"):
            kernel.ipvs.sysctls.set({"conntrack": True, "expire_nodest_conn": 2})
        assert kernel.ipvs.sysctls["conntrack"] is False


def test_namespaces_are_apart(kernel: ik.Kernel) -> None:
    kernel.ipvs.add_service(KEY)
    with TestNetNS() as other, ik.Kernel(other) as neighbour:
        assert neighbour.ipvs.services() == []
        neighbour.ipvs.add_service(KEY)
    assert len(kernel.ipvs.services()) == 1


def test_without_the_capability_it_is_named(namespace: TestNetNS) -> None:
    script = (
        "import ipvskit as ik\n"
        "try:\n    ik.Kernel().ipvs.services()\nexcept ik.PermissionDenied as error:\n    print(error)"
    )
    user = namespace.run(["setpriv", "--bounding-set=-net_admin", sys.executable, "-c", script]).stdout
    assert "CAP_NET_ADMIN in the initial user namespace; this process does not have it" in user
    rootless = namespace.run(["unshare", "-Urn", sys.executable, "-c", script]).stdout
    assert "in another user namespace only" in rootless
