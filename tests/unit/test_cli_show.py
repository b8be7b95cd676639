"""`ipvskit show` on a fake kernel, and the tables that it prints.

Knows: what is printed. Must not know: how it is read.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import ipvskit as ik
from ipvskit.cli.main import main
from ipvskit.cli.tables import scaled, table
from ipvskit.testing.fake import FakeKernel
from tests.unit.cli_support import Said, runner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SERVICES = [
    "192.0.2.10:443/tcp scheduler=mh scheduler_flags=mh-port persistence_timeout=300 persistence_netmask=24\n"
    " -> 10.0.0.1:8443 weight=100 upper_threshold=200 lower_threshold=150\n -> 10.0.0.2:8443 weight=0",
    "[2001:db8::10]:53/udp scheduler=rr one_packet=yes\n -> [2001:db8::1]:53 forwarding=tunnel tunnel=gue:6080+csum",
    "fwmark:7/v4 scheduler=sh\n -> 10.0.0.9:0",
]


@pytest.fixture
def fake() -> Iterator[FakeKernel]:
    with FakeKernel() as kernel:
        for each in SERVICES:
            kernel.ipvs.add_service(each)
        kernel.set_connections("192.0.2.10:443/tcp", "10.0.0.1:8443", active=5, inactive=2, persistent=1)
        kernel.set_stats("192.0.2.10:443/tcp", ik.Stats(connections=1_234_567, in_bytes=999, connection_rate=17))
        kernel.set_stats("192.0.2.10:443/tcp", ik.Stats(connections=12_345, connection_rate=9), "10.0.0.1:8443")
        kernel.ipset.create(ik.Set("web-allow", "hash:net", comment=True, entries=["198.51.100.0/24", "203.0.113.7"]))
        kernel.ipset.create("web-ports bitmap:port range 0-1023")
        kernel.devices.create("vips")
        kernel.devices.add_addresses("vips", ["192.0.2.10", "2001:db8::10"])
        yield kernel


@pytest.fixture
def run(fake: FakeKernel, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    return runner(fake, monkeypatch, capsys)


def test_services(run: Callable[..., Said]) -> None:
    found = run("show", "services")
    assert found.status == 0
    assert not found.err
    assert found.out == (
        "SERVICE / REAL SERVER  SCHEDULER / METHOD    WEIGHT  ACTIVE  INACTIVE  PERSISTENT  OPTIONS\n"
        "192.0.2.10:443/tcp     mh                                 5         2           1  mh-port, persistent 300 s per /24\n"
        "  -> 10.0.0.1:8443     masquerade               100       5         2           1  upper 200, lower 150\n"
        "  -> 10.0.0.2:8443     masquerade                 0       0         0           0\n"
        "[2001:db8::10]:53/udp  rr                                 0         0           0  one packet\n"
        "  -> [2001:db8::1]:53  tunnel gue:6080+csum       1       0         0           0\n"
        "fwmark:7/v4            sh                                 0         0           0\n"
        "  -> 10.0.0.9:0        masquerade                 1       0         0           0\n"
    )


def test_real_servers_line_by_line(run: Callable[..., Said]) -> None:
    lines = run("show", "reals").out.splitlines()
    assert lines[0].split() == [
        "REAL",
        "SERVER",
        "SERVICE",
        "METHOD",
        "WEIGHT",
        "ACTIVE",
        "INACTIVE",
        "PERSISTENT",
        "OPTIONS",
    ]
    assert lines[1].split() == [
        "10.0.0.1:8443",
        "192.0.2.10:443/tcp",
        "masquerade",
        "100",
        "5",
        "2",
        "1",
        "upper",
        "200,",
        "lower",
        "150",
    ]
    assert len(lines) == 5


def test_numbers(run: Callable[..., Said]) -> None:
    stats = run("show", "services", "192.0.2.10:443/tcp", "--stats").out.splitlines()
    assert stats[0].split() == [
        "SERVICE",
        "/",
        "REAL",
        "SERVER",
        "CONNS",
        "PKTS",
        "IN",
        "PKTS",
        "OUT",
        "BYTES",
        "IN",
        "BYTES",
        "OUT",
    ]
    assert stats[1].split() == ["192.0.2.10:443/tcp", "1.23M", "0", "0", "999", "0"]
    assert stats[2].split() == ["->", "10.0.0.1:8443", "12.3K", "0", "0", "0", "0"]
    exact = run("show", "reals", "10.0.0.1", "--stats", "--rate", "--exact").out.splitlines()
    assert exact[1].split() == ["10.0.0.1:8443", "192.0.2.10:443/tcp", "12345", *"0000", "9", *"0000"]
    assert len(exact) == 2


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (9_999, "9999"),
        (10_000, "10.0K"),
        (99_940, "99.9K"),
        (99_960, "100K"),
        (999_499, "999K"),
        (999_500, "1.00M"),
        (2**64 - 1, "18.4E"),
    ],
)
def test_numbers_are_scaled(number: int, text: str) -> None:
    assert scaled(number) == text
    assert scaled(number, exact=True) == str(number)


def test_columns_are_as_wide_as_their_cells() -> None:
    assert table(["NAME", "WEIGHT"], [["a", "1"], ["longer", "12345678"]]) == (
        "NAME      WEIGHT\na              1\nlonger  12345678\n"
    )
    assert table(["NAME"], []) == "NAME\n"


def test_old_numbers_are_told(fake: FakeKernel, run: Callable[..., Said]) -> None:
    fake.ipvs.sysctls["run_estimation"] = False
    assert "stand still" in run("show", "services", "--stats").err
    assert not run("show", "services").err


def test_everything(run: Callable[..., Said]) -> None:
    out = run("show").out
    heads = [part.split("  ")[0].split("\n")[0] for part in out.split("\n\n")]
    assert heads == ["SERVICE / REAL SERVER", "SET", "DEVICE", "timeouts: tcp 900 s, tcp after fin 120 s, udp 300 s"]
    assert "vips    dummy  up     192.0.2.10/32\n                      2001:db8::10/128\n" in out


def test_sets(run: Callable[..., Said]) -> None:
    lines = run("show", "sets").out.splitlines()
    assert lines[1].split()[:4] == ["web-allow", "hash:net", "2", "0"]
    assert lines[1].endswith("family inet hashsize 1024 maxelem 65536 comment")
    assert len(lines) == 3
    named = run("show", "sets", "web-a*").out
    assert named.endswith("\n\nweb-allow:\n  198.51.100.0/24\n  203.0.113.7\n")
    assert "web-ports" not in named


def test_settings_and_daemons(fake: FakeKernel, run: Callable[..., Said]) -> None:
    fake.ipvs.start_daemon("master eth0 sync_id=7")
    settings = run("show", "settings", "conn*").out.splitlines()
    assert [line.split()[0] for line in settings] == [
        "SETTING", "conn_lfactor", "conn_max", "conn_reuse_mode", "conntrack",
    ]  # fmt: skip
    daemons = run("show", "daemons").out.splitlines()
    assert daemons[0].startswith("timeouts: tcp 900 s")
    assert daemons[2].split()[:3] == ["master", "eth0", "sync_id=7"]


def test_connections(fake: FakeKernel, run: Callable[..., Said]) -> None:
    fake.connect("192.0.2.10:443/tcp", "10.0.0.1:8443", "198.51.100.7:1234")
    fake.connect("192.0.2.10:443/tcp", "10.0.0.1:8443", "198.51.100.0:0")
    fake.connect("fwmark:7/v4", "10.0.0.9:0", "198.51.100.8:1")
    both = run("show", "services", "192.0.2.10", "--connections").out.split("\n\n")[1].splitlines()
    assert [line.split()[:5] for line in both[1:]] == [
        ["tcp", "ESTABLISHED", "198.51.100.7:1234", "192.0.2.10:443", "10.0.0.1:8443"],
        ["tcp", "template", "198.51.100.0:0", "192.0.2.10:443", "10.0.0.1:8443"],
    ]
    assert run("show", "services", "fwmark:7", "--connections").out.count("198.51.100.8:1 ") == 1
    assert run("show", "connections").out.count("\n") == 4
    assert run("show", "connections", "198.51.100.8").out.count("\n") == 2


def test_as_json(fake: FakeKernel, run: Callable[..., Said]) -> None:
    found = json.loads(run("show", "--json").out)
    assert list(found) == ["version", "services", "sets", "devices", "timeouts", "daemons"]
    first = found["services"][0]
    assert first["key"] == "192.0.2.10:443/tcp"
    assert first["stats"]["connections"] == 1_234_567
    assert first["reals"][0]["address"] == "10.0.0.1:8443"
    assert (first["reals"][0]["active"], first["reals"][0]["stats"]["connections"]) == (5, 12_345)
    assert first["reals"][1]["weight"] == 0
    assert (found["sets"][0]["name"], found["sets"][0]["count"]) == ("web-allow", 2)
    assert "entries" not in found["sets"][0]
    named = json.loads(run("show", "sets", "web-allow", "--json").out)
    assert named["sets"][0]["entries"] == ["198.51.100.0/24", "203.0.113.7"]
    reals = json.loads(run("show", "reals", "10.0.0.2", "--json").out)["reals"]
    assert [(each["service"], each["address"]) for each in reals] == [("192.0.2.10:443/tcp", "10.0.0.2:8443")]
    fake.connect("192.0.2.10:443/tcp", "10.0.0.1:8443", "198.51.100.7:1234")
    connections = json.loads(run("show", "connections", "--json").out)["connections"]
    assert connections[0]["client"] == "198.51.100.7:1234"
    assert "conntrack" in json.loads(run("show", "settings", "--json").out)["settings"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["services", "192.0.2.10:444/tcp"], "no such virtual service"),
        (["services", "192.0.2.11"], "there is no virtual service 192.0.2.11"),
        (["reals", "10.0.0.7"], "there is no real server 10.0.0.7"),
        (["sets", "nope"], "there is no such set"),
        (["sets", "nope-*"], "there is no set nope-*"),
        (["devices", "eth7"], "there is no device eth7"),
        (["settings", "nope"], "there is no setting nope"),
        (["all", "x"], "names go with one kind of things"),
        (["sets", "--stats"], "go with services"),
    ],
)
def test_errors_are_told_in_a_line(run: Callable[..., Said], words: list[str], says: str) -> None:
    found = run("show", *words)
    assert (found.status, found.out) == (1, "")
    assert found.err.startswith("ipvskit: ")
    assert says in found.err
    assert found.err.count("\n") == 1


def test_an_ipv6_service_is_found_by_its_key_however_it_is_written(run: Callable[..., Said]) -> None:
    for name in ("[2001:db8::10]:53/udp", "[2001:DB8:0::10]:53/udp", "2001:db8::10", "[2001:db8::*]:53/udp"):
        assert run("show", "services", name).out.splitlines()[1].startswith("[2001:db8::10]:53/udp"), name


def test_a_kernel_without_ipvs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with FakeKernel() as fake:

        def refuse(self: FakeKernel) -> object:
            raise ik.IPVSNotAvailable(2, "this kernel has no IPVS")

        run = runner(fake, monkeypatch, capsys)
        monkeypatch.setattr(FakeKernel, "ipvs", property(refuse))
        found = run("show")
        assert found.status == 0
        assert found.err == "ipvskit: this kernel has no IPVS [ENOENT]\n"
        assert found.out.startswith("SET ")
        assert run("show", "services").status == 1


def test_the_namespace_stands_before_or_behind_the_command(run: Callable[..., Said]) -> None:
    run("-n", "show", "show", "services")
    run("show", "services", "--netns", "/run/netns/blue")
    run("-n", "4711", "show", "services")
    run("show", "services")
    assert run.namespaces == ["show", "/run/netns/blue", 4711, None]  # type: ignore[attr-defined] # of the runner


def test_nothing_heavy_is_imported() -> None:
    program = (
        "import sys; from ipvskit.testing.fake import FakeKernel\n"
        "import ipvskit.kernel, ipvskit.cli.main\n"
        "before = set(sys.modules); ipvskit.kernel.Kernel = lambda netns: FakeKernel()\n"
        "ipvskit.cli.main.main(['show', 'services'])\n"
        "print(*sorted(set(sys.modules) - before))"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = found.stdout.splitlines()[-1].split()
    assert "ipvskit.cli.tables" in loaded
    heavy = ("ipvskit.formats", "ipvskit.engine.diff", "ipvskit.engine.plan", "json", "yaml", "asyncio")
    assert not [name for name in loaded if name.startswith(heavy)]


def test_a_namespace_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "-n", "no-such-namespace"]) == 1
    assert capsys.readouterr().err == (
        "ipvskit: open network namespace /run/netns/no-such-namespace: there is no such network namespace [ENOENT]\n"
    )


@pytest.mark.parametrize("words", [["completion", "bash"], ["convert", "-"]])
def test_output_that_nobody_takes(words: list[str]) -> None:
    with open("/dev/full", "w") as full:
        found = subprocess.run(
            [sys.executable, "-m", "ipvskit", *words],
            input='{"ipvskit": 1}', stdout=full, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert (found.returncode, found.stderr) == (1, "ipvskit: No space left on device\n")
