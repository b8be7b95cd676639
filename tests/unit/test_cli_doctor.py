"""What the doctor finds: facts in, findings out; and what is printed.

Knows: which facts hurt. Must not know: where facts come from, but for one look at the fake kernel.
"""

from __future__ import annotations

import errno
import json
from dataclasses import replace
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

import pytest

import ipvskit as ik
from ipvskit.cli import main as program
from ipvskit.cli.doctor import command, document, prefix, report
from ipvskit.cli.doctor_checks import examine
from ipvskit.cli.doctor_facts import Facts, Finding, Severity
from ipvskit.cli.doctor_reading import read_facts
from ipvskit.model.status import RealServerStatus, ServiceStatus, Stats
from ipvskit.testing.fake import ETHERNET, LOOPBACK, FakeKernel, Interface, Refuse

if TYPE_CHECKING:
    from pathlib import Path

OK, NOTE, WARNING, PROBLEM = Severity
HEALTHY: dict[str, Any] = {
    "conntrack": True,
    "conn_reuse_mode": 1,
    "expire_nodest_conn": True,
    "expire_quiescent_template": True,
    "run_estimation": True,
    "est_cpulist": "0-3",
    "sloppy_tcp": False,
    "ip_forward": True,
    "arp_ignore": 1,
    "arp_announce": 2,
}
VIPS = ik.Device("vips", addresses=["192.0.2.10", "2001:db8::10"])
ETH0 = ik.Device("eth0", kind="", addresses=["10.0.0.254/24"])


def service(text: str = "192.0.2.10:80/tcp", *reals: str, numbers: tuple[int, int, int] = (0, 0, 0)) -> ServiceStatus:
    made = ik.VirtualService.parse("\n-> ".join([text, *(reals or ("10.0.0.1:80",))]))
    return ServiceStatus(made, Stats(), tuple(RealServerStatus(one, *numbers, Stats()) for one in made.reals), False)


def facts(*services: ServiceStatus, sysctls: dict[str, Any] | None = None, **changes: Any) -> Facts:
    """A host on which all is well, but for this."""
    values: dict[str, Any] = {
        "release": "6.12.101",
        "ipvs": ik.Info((1, 2, 1), 4096),
        "set_types": {"hash:ip": (0, 6)},
        "tracked": (10, 1000),
        "ipv6_forwarding": True,
        "services": services or (service(),),
        "devices": (VIPS, ETH0),
        "arp_ignore": {"eth0": 1},
        "arp_announce": {"eth0": 2},
    }
    return Facts(**values | changes, sysctls=HEALTHY | (sysctls or {}))


def found(given: Facts, code: str) -> Finding:
    """The one finding of this code."""
    [one] = [one for one in examine(given) if one.code == code]
    return one


def told(given: Facts, code: str) -> tuple[Severity, str]:
    one = found(given, code)
    return one.severity, one.fix


def test_a_host_on_which_all_is_well() -> None:
    findings = examine(facts())
    assert {one.severity for one in findings} == {OK}
    assert len(findings) >= 13
    assert all(not one.fix and not one.why for one in findings)


def test_whatever_is_not_in_order_says_why_and_all_codes_are_words() -> None:
    bad = facts(
        service(),
        service("192.0.2.99:80/tcp", "10.0.0.1:80 weight=0"),
        sysctls={"conntrack": False, "conn_reuse_mode": 0, "expire_nodest_conn": False, "ip_forward": False},
        capable=False,
    )
    findings = [one for one in examine(bad) if one.severity is not OK]
    assert len(findings) >= 7
    assert all(one.why for one in findings)
    assert [one.code for one in findings if not one.fix] == ["no-weight"]
    assert [one.severity.rank for one in findings] == sorted((one.severity.rank for one in findings), reverse=True)


# --- the kernel and the right to use it ---------------------------------------------------------------------------------------------


def test_capabilities() -> None:
    assert told(facts(capable=False), "capability") == (PROBLEM, "sudo ipvskit doctor")
    assert "rootless" in found(facts(initial_user_namespace=False), "capability").what


def test_a_kernel_without_ipvs_or_ipset() -> None:
    without = facts(
        ipvs=None, ipvs_missing="no IPVS", set_types=None, ipset_missing="no sets", modules={"ip_vs": "present"}
    )
    assert told(without, "ipvs") == (PROBLEM, "modprobe ip_vs")
    assert told(without, "ipset") == (NOTE, "")
    assert found(replace(without, capable=False), "ipvs").fix == ""


def test_a_full_table_of_flows() -> None:
    assert told(facts(tracked=(899, 1000)), "tracked-flows")[0] is OK
    assert told(facts(tracked=(900, 1000)), "tracked-flows") == (
        WARNING,
        "sysctl -w net.netfilter.nf_conntrack_max=2000",
    )
    assert not [one for one in examine(facts(tracked=None)) if one.code == "tracked-flows"]


def test_a_crowded_table_of_connections_where_it_does_not_grow() -> None:
    crowded = service(numbers=(40_000, 5_000, 0))
    assert told(facts(crowded), "connection-table") == (
        WARNING,
        "echo options ip_vs conn_tab_bits=16 > /etc/modprobe.d/ip_vs.conf",
    )
    assert told(facts(service(numbers=(30_000, 0, 0))), "connection-table")[0] is OK
    assert not [one for one in examine(facts(crowded, release="7.2.7")) if one.code == "connection-table"]


# --- settings -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("release", "conntrack", "mode", "severity", "fix"),
    [
        ("6.12.101", True, 1, OK, ""),
        ("6.12.101", False, 3, OK, ""),
        ("6.12.101", True, 0, WARNING, "sysctl -w net.ipv4.vs.conn_reuse_mode=1"),
        ("5.9.0", True, 0, WARNING, "sysctl -w net.ipv4.vs.conn_reuse_mode=1"),
        ("5.8.18", True, 1, WARNING, "sysctl -w net.ipv4.vs.conn_reuse_mode=0"),
        ("5.8.18", True, 0, OK, ""),
        ("4.19.0", False, 0, WARNING, "sysctl -w net.ipv4.vs.conn_reuse_mode=1"),
        ("4.19.0", False, 1, OK, ""),
    ],
)
def test_reuse_of_ports_depends_on_the_kernel(
    release: str, conntrack: bool, mode: int, severity: Severity, fix: str
) -> None:
    given = facts(release=release, sysctls={"conntrack": conntrack, "conn_reuse_mode": mode})
    assert told(given, "conn-reuse-mode") == (severity, fix)


def test_conntrack_matters_with_masquerading() -> None:
    off = {"conntrack": False}
    assert told(facts(sysctls=off), "conntrack") == (NOTE, "sysctl -w net.ipv4.vs.conntrack=1")
    direct = service("192.0.2.10:80/tcp", "10.0.0.1:80 forwarding=direct-route")
    assert told(facts(direct, sysctls=off), "conntrack")[0] is OK


def test_connections_of_deleted_real_servers() -> None:
    off = {"expire_nodest_conn": False}
    assert told(facts(sysctls=off), "expire-nodest-conn") == (WARNING, "sysctl -w net.ipv4.vs.expire_nodest_conn=1")
    assert told(facts(sysctls=off, services=()), "expire-nodest-conn")[0] is OK


def test_templates_matter_with_persistence() -> None:
    off = {"expire_quiescent_template": False}
    assert told(facts(sysctls=off), "expire-quiescent-template")[0] is OK
    sticky = service("192.0.2.10:443/tcp persistence_timeout=300")
    assert told(facts(service(), sticky, sysctls=off), "expire-quiescent-template")[0] is WARNING
    assert found(facts(service(), sticky, sysctls=off), "expire-quiescent-template").about == ("192.0.2.10:443/tcp",)


@pytest.mark.parametrize("off", [{"run_estimation": False}, {"est_cpulist": ""}])
def test_estimation(off: dict[str, Any]) -> None:
    assert told(facts(sysctls=off), "estimation")[0] is WARNING


def test_a_kernel_without_the_settings_of_estimation() -> None:
    assert told(facts(sysctls={"run_estimation": None, "est_cpulist": None}), "estimation")[0] is OK


def test_connections_begun_elsewhere() -> None:
    direct = service("192.0.2.10:80/tcp", "10.0.0.1:80 forwarding=direct-route")
    assert told(facts(direct), "sloppy-tcp") == (NOTE, "sysctl -w net.ipv4.vs.sloppy_tcp=1")
    assert told(facts(direct, daemons=(ik.SyncDaemon("master", "eth0"),)), "sloppy-tcp")[0] is OK
    assert told(facts(sysctls={"sloppy_tcp": True}), "sloppy-tcp") == (NOTE, "sysctl -w net.ipv4.vs.sloppy_tcp=0")
    assert told(facts(direct, sysctls={"sloppy_tcp": True}), "sloppy-tcp")[0] is OK
    udp = service("192.0.2.10:53/udp", "10.0.0.1:53 forwarding=direct-route")
    assert told(facts(udp), "sloppy-tcp")[0] is OK


# --- services -----------------------------------------------------------------------------------------------------------------------


def test_forwarding_is_for_answers_that_come_back() -> None:
    off = {"ip_forward": False}
    assert told(facts(sysctls=off), "forwarding-ipv4") == (PROBLEM, "sysctl -w net.ipv4.ip_forward=1")
    for real in ("10.0.0.1:80 forwarding=direct-route", "10.0.0.1:80 forwarding=tunnel", "10.0.0.254:80"):
        assert told(facts(service("192.0.2.10:80/tcp", real), sysctls=off), "forwarding-ipv4")[0] is OK, real


def test_forwarding_of_ipv6() -> None:
    six = service("[2001:db8::10]:80/tcp", "[2001:db8:1::1]:80")
    assert told(facts(six, ipv6_forwarding=False), "forwarding-ipv6") == (
        PROBLEM,
        "sysctl -w net.ipv6.conf.all.forwarding=1",
    )
    assert told(facts(ipv6_forwarding=False), "forwarding-ipv6")[0] is OK
    assert not [one for one in examine(facts(ipv6_forwarding=None)) if one.code == "forwarding-ipv6"]


def test_addresses_that_no_device_has() -> None:
    lost = service("192.0.2.99:80/tcp"), service("192.0.2.99:443/tcp"), service("fwmark:7/v4")
    one = found(facts(service(), *lost), "service-address")
    assert (one.severity, one.about, one.fix) == (WARNING, ("192.0.2.99",), "ip address add 192.0.2.99/32 dev lo")
    assert told(facts(*lost, routed=frozenset({ip_address("192.0.2.99")})), "service-address")[0] is OK
    assert found(facts(service("[2001:db8::99]:80/tcp", "[2001:db8:1::1]:80")), "service-address").fix.endswith(
        "/128 dev lo"
    )


def test_many_are_not_all_named_but_all_are_there() -> None:
    one = found(facts(*(service(f"192.0.2.{last}:80/tcp") for last in range(100, 150))), "service-address")
    assert one.what == (
        "the host does not have 50 addresses of services: 192.0.2.100, 192.0.2.101, 192.0.2.102 and 47 more"
    )
    assert len(one.about) == 50


def test_arp_matters_with_direct_routing_and_addresses_on_real_devices() -> None:
    direct = service("192.0.2.10:80/tcp", "10.0.0.1:80 forwarding=direct-route")
    loud = {"arp_ignore": {"eth0": 0}, "arp_announce": {"eth0": 1}}
    on_lo = (ik.Device("lo", kind="", addresses=["192.0.2.10"]), ETH0)
    given = facts(direct, devices=on_lo, **loud)
    assert told(given, "arp-ignore") == (WARNING, "sysctl -w net.ipv4.conf.all.arp_ignore=1")
    assert told(given, "arp-announce") == (WARNING, "sysctl -w net.ipv4.conf.all.arp_announce=2")
    assert told(facts(direct, **loud), "arp-ignore")[0] is NOTE  # on a dummy
    assert told(facts(direct, devices=on_lo), "arp")[0] is OK
    assert not [one for one in examine(facts(devices=on_lo, **loud)) if one.code.startswith("arp")]


def test_services_that_nobody_answers() -> None:
    bare = ServiceStatus(ik.VirtualService("192.0.2.10:81/tcp"), Stats(), (), False)
    shut = service("192.0.2.10:82/tcp", "10.0.0.1:80 weight=0", "10.0.0.2:80 weight=0")
    given = facts(service(), bare, shut)
    assert found(given, "no-real-servers").about == ("192.0.2.10:81/tcp",)
    assert told(given, "no-real-servers") == (WARNING, "ipvskit ipvsadm -D -t 192.0.2.10:81")
    assert found(given, "no-weight").about == ("192.0.2.10:82/tcp",)
    half = service("192.0.2.10:82/tcp", "10.0.0.1:80 weight=0", "10.0.0.2:80")
    assert told(facts(half), "real-servers")[0] is OK


@pytest.mark.parametrize(
    ("text", "fix"),
    [
        ("192.0.2.10:80/tcp", "ipvskit ipvsadm -d -t 192.0.2.10:80 -r 10.0.0.1:80"),
        ("[2001:db8::10]:53/udp", "ipvskit ipvsadm -d -u [2001:db8::10]:53 -r [2001:db8:1::1]:80"),
        ("fwmark:7/v6", "ipvskit ipvsadm -d -f 7 -6 -r [2001:db8:1::1]:80"),
    ],
)
def test_real_servers_that_nobody_drains(text: str, fix: str) -> None:
    real = ik.RealServer("[2001:db8:1::1]:80" if "6" in text.split(":")[1] or "[" in text else "10.0.0.1:80", weight=0)
    status = RealServerStatus(real, 0, 0, 0, Stats())
    idle = ServiceStatus(ik.VirtualService(text, reals=[real]), Stats(), (status,), False)
    assert told(facts(idle), "not-drained") == (WARNING, fix)
    key = ik.RealKey(idle.key, real.address, real.port)
    assert not [one for one in examine(facts(idle, draining=frozenset({key}))) if one.code == "not-drained"]


def test_real_servers_that_drain_still() -> None:
    busy = service("192.0.2.10:80/tcp", "10.0.0.1:80 weight=0", numbers=(3, 4, 0))
    one = found(facts(busy), "draining")
    assert (one.severity, one.fix) == (NOTE, "ipvskit drain 10.0.0.1:80 --wait")
    assert "7 connections" in one.what
    assert found(facts(service("192.0.2.10:80/tcp", "10.0.0.1:80 weight=0", numbers=(0, 0, 1))), "draining")


# --- the fake kernel, and what is printed -------------------------------------------------------------------------------------------


def test_facts_of_a_fake_kernel() -> None:
    with FakeKernel(sysctls={"ip_forward": "1"}) as kernel:
        kernel.ipvs.add_service(ik.VirtualService("192.0.2.1:80/tcp", reals=["10.0.0.1:80"]))
        found = read_facts(kernel)
    assert found.sysctls["ip_forward"] is True
    assert found.ipvs is not None
    assert [str(one.key) for one in found.services] == ["192.0.2.1:80/tcp"]
    assert {one.name for one in found.devices} == {"lo", "eth0"}
    assert (found.set_types or {})["hash:ip"][1] >= 4
    assert found.routed == frozenset()


def test_without_the_right_to_ask_settings_are_known_all_the_same() -> None:
    with FakeKernel(sysctls={"expire_nodest_conn": "1"}) as kernel:
        kernel.lie(Refuse(errno.EPERM))
        found = read_facts(kernel)
    assert found.sysctls["expire_nodest_conn"] is True
    assert found.ipvs is None
    assert "CAP_NET_ADMIN" in found.ipvs_missing
    assert {one.code for one in examine(found) if one.severity is PROBLEM} >= {"ipvs"}


@pytest.fixture
def healthy(monkeypatch: pytest.MonkeyPatch) -> FakeKernel:
    settings = {"ip_forward": "1", "expire_nodest_conn": "1", "conntrack": "1"}
    vips = Interface("vips", ("192.0.2.10/32",))
    fake = FakeKernel(sysctls=settings, interfaces=(LOOPBACK, ETHERNET, vips))
    fake.ipvs.add_service(ik.VirtualService("192.0.2.10:80/tcp", reals=["10.0.0.1:80"]))
    monkeypatch.setattr("ipvskit.kernel.Kernel", lambda *_: FakeKernel(same_as=fake))
    monkeypatch.setattr("ipvskit.cli.doctor_reading._rights", lambda: {"capable": True, "initial_user_namespace": True})
    return fake


def test_the_exit_status_says_whether_something_bites(healthy: FakeKernel, capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main(["doctor", "--quiet"]) == 0
    assert "warning" not in capsys.readouterr().out


def test_a_warning_makes_the_status_1(healthy: FakeKernel, capsys: pytest.CaptureFixture[str]) -> None:
    healthy.ipvs.sysctls["expire_nodest_conn"] = False
    assert program.main(["doctor"]) == 1
    out = capsys.readouterr().out
    assert "warning  net.ipv4.vs.expire_nodest_conn is 0\n" in out
    assert "$ sysctl -w net.ipv4.vs.expire_nodest_conn=1\n" in out
    assert "IPVS     1.2.1" in out
    assert "1 warning" in out


def test_for_machines(healthy: FakeKernel, capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main(["doctor", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["kernel"]["ipvs"]["version"] == [1, 2, 1]
    assert told["sysctls"]["conn_reuse_mode"] == 1
    assert {one["severity"] for one in told["findings"]} <= {"ok", "note"}
    assert {"code", "what", "why", "fix", "about", "severity"} == set(told["findings"][0])


def test_a_ledger_knows_what_drains(healthy: FakeKernel, tmp_path: Path) -> None:
    healthy.ipvs.add_real("192.0.2.10:80/tcp", "10.0.0.2:80")
    healthy.connect("192.0.2.10:80/tcp", "10.0.0.2:80")
    ledger = ik.Ledger(tmp_path / "ledger.json")
    state = ik.State(services=[ik.VirtualService("192.0.2.10:80/tcp", reals=["10.0.0.1:80"])])
    scope = ik.Scope(vips=["192.0.2.0/24"])
    healthy.apply(ik.diff(healthy.snapshot(), state, scope=scope, drain=ik.Drain(deadline=600)), ledger=ledger)
    assert [str(key) for key in ledger.draining] == ["10.0.0.2:80 of 192.0.2.10:80/tcp"]
    healthy.set_connections("192.0.2.10:80/tcp", "10.0.0.2:80")
    assert program.main(["doctor"]) == 1
    assert program.main(["doctor", "--ledger", str(ledger.path)]) == 0


def test_lines_are_as_wide_as_the_terminal_and_commands_are_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    given = facts(sysctls={"expire_nodest_conn": False, "ip_forward": False})
    lines = report(given, examine(given))
    assert max(len(line) for line in lines if "$ " not in line) <= 60
    assert lines[-1] == "1 problem, 1 warning"


def test_commands_are_for_the_namespace_that_was_looked_at() -> None:
    assert command("sysctl -w a=1", prefix("blue")) == "ip netns exec blue sysctl -w a=1"
    assert command("sysctl -w a=1", prefix(4711)) == "nsenter --net --target 4711 sysctl -w a=1"
    assert command("ip address add", prefix("/proc/1/ns/net")) == "nsenter --net=/proc/1/ns/net ip address add"
    assert command("modprobe ip_vs", prefix("blue")) == "modprobe ip_vs"
    assert command("sysctl -w a=1", prefix(None)) == "sysctl -w a=1"
    given = facts(sysctls={"ip_forward": False})
    fixes = [one["fix"] for one in document(given, examine(given), prefix("blue"))["findings"] if one["fix"]]
    assert fixes == ["ip netns exec blue sysctl -w net.ipv4.ip_forward=1"]
