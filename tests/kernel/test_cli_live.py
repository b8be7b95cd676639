"""doctor, metrics and top beside traffic on a real kernel.

Knows: what packets do, what /proc/net/ip_vs says. Must not know: how findings, metrics and lines are made.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Any

import pytest

import ipvskit as ik
from ipvskit.cli.main import main
from tests.lab import site as lab

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.lab.site import Site

pytestmark = pytest.mark.ipvs


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with lab.opened() as opened:
        yield opened


@pytest.fixture(autouse=True)
def nothing_left(site: Site) -> Iterator[None]:
    yield
    site.ipvs.flush()


@pytest.fixture
def run(site: Site, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Runs `ipvskit` on the site's director; answers status and output."""
    return running(site, capsys)


def running(site: Site, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    director = f"/proc/{os.getpid()}/fd/{site.kernel.netns.fileno()}"

    def run(*words: str) -> tuple[int, str]:
        capsys.readouterr()
        status = main(["-n", director, *words])
        return status, capsys.readouterr().out

    return run


# --- doctor -------------------------------------------------------------------------------------------------------------------------


def findings(run: Callable[..., tuple[int, str]]) -> tuple[int, dict[str, dict[str, Any]]]:
    """The exit status, and what is not in order, by codes."""
    status, out = run("doctor", "--json")
    return status, {one["code"]: one for one in json.loads(out)["findings"] if one["severity"] != "ok"}


def do(fix: str) -> None:
    """Type in what the doctor says."""
    words = [
        word
        for part in shlex.split(fix)
        for word in ([sys.executable, "-m", "ipvskit"] if part == "ipvskit" else [part])
    ]
    for program in ("nsenter", "sysctl", "ip"):
        if program in words and shutil.which(program) is None:
            pytest.skip(f"the program {program} is missing")
    subprocess.run(words, check=True, timeout=60, capture_output=True)


def test_forwarding_that_is_off_hurts_and_the_fix_helps(site: Site, run: Callable[..., tuple[int, str]]) -> None:
    key = site.add("rr")
    assert site.client.count(key, 3) == {"r1": 1, "r2": 1, "r3": 1}
    site.ipvs.sysctls["ip_forward"] = False
    with pytest.raises(OSError, match="timed out"):
        site.client.open(key, timeout=1.0)
    status, found = findings(run)
    assert status == 1
    assert found["forwarding-ipv4"]["severity"] == "problem"
    assert found["forwarding-ipv4"]["about"] == [str(key)]
    do(found["forwarding-ipv4"]["fix"])
    assert site.client.count(key, 3) == {"r1": 1, "r2": 1, "r3": 1}
    assert "forwarding-ipv4" not in findings(run)[1]


def test_forwarding_of_ipv6_that_is_off_hurts_and_the_fix_helps(
    site: Site, run: Callable[..., tuple[int, str]]
) -> None:
    key = site.add("rr", key=site.key(6))
    site.topology.director.netns.sysctl("net.ipv6.conf.all.forwarding", 0)
    with pytest.raises(OSError, match="timed out"):
        site.client.open(key, timeout=1.0)
    found = findings(run)[1]
    assert found["forwarding-ipv6"]["about"] == [str(key)]
    do(found["forwarding-ipv6"]["fix"])
    assert "forwarding-ipv6" not in findings(run)[1]


@pytest.mark.parametrize("method", [ik.ForwardingMethod.DIRECT_ROUTE, ik.ForwardingMethod.TUNNEL])
def test_direct_routing_and_tunnels_need_no_forwarding(
    method: ik.ForwardingMethod, capsys: pytest.CaptureFixture[str]
) -> None:
    with lab.opened(2, forwarding=method) as direct:
        key = direct.add("rr", weights=(1, 1))
        direct.ipvs.sysctls["ip_forward"] = False
        assert direct.client.count(key, 4) == {"r1": 2, "r2": 2}
        found = findings(running(direct, capsys))[1]
        assert "forwarding-ipv4" not in found
        # The topology has the addresses of services on a dummy.
        assert {code: found[code]["severity"] for code in ("arp-ignore", "arp-announce", "sloppy-tcp")} == {
            "arp-ignore": "note",
            "arp-announce": "note",
            "sloppy-tcp": "note",
        }


def test_a_service_whose_address_no_device_has(site: Site, run: Callable[..., tuple[int, str]]) -> None:
    site.add("rr")
    lost = ik.ServiceKey(None, "tcp", "203.0.113.77", 80)
    site.add("rr", key=lost)
    found = findings(run)[1]
    assert found["service-address"]["about"] == ["203.0.113.77"]
    do(found["service-address"]["fix"])
    assert "service-address" not in findings(run)[1]
    do(found["service-address"]["fix"].replace(" add ", " del "))
    # Where a route says so the address is the host's own, though no device has it.
    director = site.topology.director.netns
    assert director.run(["ip", "route", "add", "local", "203.0.113.77", "dev", "lo"]).returncode == 0
    assert "service-address" not in findings(run)[1]
    director.run(["ip", "route", "del", "local", "203.0.113.77", "dev", "lo"])


def test_when_all_fixes_were_typed_in_there_is_nothing_left(site: Site, run: Callable[..., tuple[int, str]]) -> None:
    bad = {"expire_nodest_conn": False, "expire_quiescent_template": False, "conn_reuse_mode": 0, "conntrack": False}
    with site.settings(**bad):
        site.add("rr", weights=(1, 1, 0), persistence_timeout=60)
        status, before = findings(run)
        assert status == 1
        hurting = [one for one in before.values() if one["severity"] in {"warning", "problem"}]
        assert {one["code"] for one in hurting} >= {"expire-nodest-conn", "expire-quiescent-template", "not-drained"}
        assert "conn-reuse-mode" in before
        for one in hurting:
            do(one["fix"])
        status, after = findings(run)
        assert (status, [code for code, one in after.items() if one["severity"] != "note"]) == (0, [])


# --- metrics ------------------------------------------------------------------------------------------------------------------------

_SAMPLE = re.compile(r"(?P<name>\w+)(?:\{(?P<labels>.*)\})? (?P<value>\S+)")


def samples(page: str, name: str) -> list[tuple[dict[str, str], float]]:
    found = [match for line in page.splitlines() if (match := _SAMPLE.fullmatch(line)) and match["name"] == name]
    return [(dict(re.findall(r'(\w+)="([^"]*)"', match["labels"] or "")), float(match["value"])) for match in found]


def proc_rows(text: str) -> set[tuple[str, ...]]:
    """Rows of /proc/net/ip_vs for IPv4: protocol, mark, local address and port, remote ones, weight, active, inactive."""
    found, service = set(), ("", "", "", "")

    def place(hexadecimal: str) -> tuple[str, str]:
        address, port = hexadecimal.split(":")
        return str(IPv4Address(int(address, 16))), str(int(port, 16))

    for line in text.splitlines()[3:]:
        words = line.split()
        if words[0] == "->":
            found.add((*service, *place(words[1]), *words[3:6]))
        elif words[0] == "FWM":
            service = ("FWM", words[1], "", "0")
        else:
            service = (words[0], "", *place(words[1]))
    return found


def test_real_servers_are_as_node_exporter_reads_them(site: Site, run: Callable[..., tuple[int, str]]) -> None:
    tcp, udp = site.add("rr", weights=(3, 2, 1)), site.add("rr", key=site.key(4, "udp"))
    site.add("rr", key=ik.ServiceKey("ipv4", fwmark=0xABC))
    with site.client.held(tcp, 4), site.client.held(udp, 2):
        page = run("metrics", "--once")[1]
        with site.kernel.netns.open("/proc/thread-self/net/ip_vs") as file:
            expected = proc_rows(file.read())
    numbers = [
        {tuple(labels.items()): f"{value:g}" for labels, value in samples(page, f"node_ipvs_backend_{name}")}
        for name in ("weight", "connections_active", "connections_inactive")
    ]
    order = ("proto", "local_mark", "local_address", "local_port", "remote_address", "remote_port")
    found = {(*(dict(labels)[name] for name in order), *(each[labels] for each in numbers)) for labels in numbers[0]}
    assert found == expected
    assert len(found) == 9
    assert sum(int(row[-2]) for row in found if row[0] == "TCP") == 4


def test_counters_count_what_the_client_did(site: Site, run: Callable[..., tuple[int, str]]) -> None:
    key = site.add("rr")
    site.client.count(key, 6)

    def counted() -> tuple[float, list[float]]:
        page = run("metrics", "--once", "--counters")[1]
        [(labels, of_service)] = samples(page, "ipvskit_service_connections_total")
        assert labels["local_port"] == str(key.port)
        return of_service, [value for _, value in samples(page, "ipvskit_backend_connections_total")]

    lab.eventually(counted, (6.0, [2.0, 2.0, 2.0]))


def test_counters_of_the_namespace_are_those_of_proc(site: Site, run: Callable[..., tuple[int, str]]) -> None:
    site.client.count(site.add("rr"), 6)

    def differs() -> bool:
        page = run("metrics", "--once")[1]
        with site.kernel.netns.open("/proc/thread-self/net/ip_vs_stats") as file:
            words = file.read().splitlines()[2].split()
        names = ("connections", "incoming_packets", "outgoing_packets", "incoming_bytes", "outgoing_bytes")
        values = [samples(page, f"node_ipvs_{name}_total")[0][1] for name in names]
        return values != [int(word, 16) for word in words]

    lab.eventually(lambda: site.ipvs.totals().stats.connections >= 6, True)
    # A refresh may come between the two looks.
    lab.eventually(differs, False)


# --- top ----------------------------------------------------------------------------------------------------------------------------


def test_top_shows_connections_and_rates(site: Site, run: Callable[..., tuple[int, str]]) -> None:
    quiet, busy = site.add("rr"), site.add("rr")
    with site.client.held(busy, 6):
        lab.eventually(lambda: lines(run)[str(busy)]["CONN/S"] > 0, True)
        rates = lines(run)
    assert next(iter(rates)) == str(busy)
    assert rates[str(quiet)]["ACTIVE"] == rates[str(quiet)]["CONN/S"] == 0
    assert rates[str(busy)]["ACTIVE"] == 6
    assert [rates[f"{site.real(name, busy).endpoint} of {busy}"]["ACTIVE"] for name in ("r1", "r2", "r3")] == [2, 2, 2]


def lines(run: Callable[..., tuple[int, str]]) -> dict[str, dict[str, int]]:
    """The rows of `top` by service, and by real server and service."""
    status, out = run("top", "--count", "1", "--expand")
    assert status == 0
    _, _, *rows = out.strip("\n").splitlines()
    found: dict[str, dict[str, int]] = {}
    service = ""
    for row in rows:
        if row.startswith("    "):
            name, _, _, active, inactive, rate, *_ = row.split()
            name = f"{name} of {service}"
        else:
            _, service, _, active, inactive, rate, *_ = row.split()
            name = service
        found[name] = {"ACTIVE": int(active), "INACT": int(inactive), "CONN/S": int(rate)}
    return found
