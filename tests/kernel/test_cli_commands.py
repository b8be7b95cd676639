"""The command line on a real kernel: what it applied is what ipvsadm and ipset show, and what these saved it applies.

Knows: the commands of ipvsadm(8), ipset(8) and `ipvskit`. Must not know: how anything is sent.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ipvskit.cli.main import main
from ipvskit.testing.namespaces import TestNetNS
from tests.unit.cli_support import Said

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipvskit import Kernel

    Run = Callable[..., Said]

pytestmark = pytest.mark.ipvs

STATE = {
    "ipvskit": 1,
    "services": [
        {
            "key": "192.0.2.10:443/tcp",
            "scheduler": "mh",
            "scheduler_flags": ["mh-port"],
            "persistence_timeout": 300,
            "persistence_netmask": 24,
            "reals": [
                {"address": "10.0.0.1:8443", "weight": 100},
                {"address": "10.0.0.2:443", "forwarding": "tunnel", "tunnel": "gue:6080"},
            ],
        },
        {"key": "[2001:db8::10]:53/udp", "scheduler": "rr", "one_packet": True, "reals": ["[2001:db8::1]:53"]},
        {"key": "fwmark:7/v4", "scheduler": "sh", "reals": [{"address": "10.0.0.9:0", "weight": 5}]},
    ],
    "sets": [
        {"name": "web-allow", "type": "hash:net", "entries": ["198.51.100.0/24", "203.0.113.7"]},
        {"name": "web-ports", "type": "bitmap:port", "range": "0-1023", "entries": ["80", "443"]},
    ],
    "devices": [{"name": "vips", "addresses": ["192.0.2.10", "2001:db8::10"]}],
}
RULES = """\
-A -t 192.0.2.10:443 -s mh -p 300 -M 255.255.255.0 -b mh-port
-a -t 192.0.2.10:443 -r 10.0.0.1:8443 -m -w 100
-a -t 192.0.2.10:443 -r 10.0.0.2:443 -i -w 1 --tun-type gue --tun-port 6080 --tun-nocsum
-A -u [2001:db8::10]:53 -s rr -o
-a -u [2001:db8::10]:53 -r [2001:db8::1]:53 -m -w 1
-A -f 7 -s sh
-a -f 7 -r 10.0.0.9:0 -m -w 5
"""


@pytest.fixture
def run(namespace: TestNetNS, kernel: Kernel, capsys: pytest.CaptureFixture[str]) -> Run:
    """The command line in the namespace of the test."""

    def run(*words: str) -> Said:
        capsys.readouterr()
        return Said(main(["--netns", namespace.path, *words]), *capsys.readouterr())

    return run


@pytest.fixture
def file(tmp_path: Path) -> str:
    (tmp_path / "state.json").write_text(json.dumps(STATE))
    return str(tmp_path / "state.json")


def rules(namespace: TestNetNS) -> list[str]:
    """What ipvsadm saves, sorted: its own order is that of the kernel's hash table."""
    return sorted(namespace.run(["ipvsadm", "--save", "-n"], capture_output=True, text=True).stdout.splitlines())


def held_sets(namespace: TestNetNS) -> dict[str, list[str]]:
    """What ipset has in its sets."""
    found: dict[str, list[str]] = {}
    for line in namespace.run(["ipset", "save"], capture_output=True, text=True).stdout.splitlines():
        command, name, *rest = line.split()
        found.setdefault(name, []).extend(rest[:1] if command == "add" else [])
    return {name: sorted(entries) for name, entries in found.items()}


def test_a_file_that_was_applied_is_what_the_tools_show(namespace: TestNetNS, run: Run, file: str) -> None:
    assert run("plan", file).status == 2
    assert run("apply", file) == (0, "6 done\n", "")
    assert rules(namespace) == sorted(RULES.splitlines())
    assert held_sets(namespace) == {"web-allow": ["198.51.100.0/24", "203.0.113.7"], "web-ports": ["443", "80"]}
    addresses = namespace.run(["ip", "-o", "address", "show", "dev", "vips"], capture_output=True, text=True).stdout
    assert "192.0.2.10/32" in addresses
    assert "2001:db8::10/128" in addresses
    assert run("plan", file).status == 0


def test_what_the_tools_saved_is_applied(namespace: TestNetNS, run: Run, tmp_path: Path) -> None:
    namespace.run(["ipvsadm", "--restore"], input=RULES, text=True)
    namespace.run(["ipset", "restore"], input="create web hash:net\nadd web 198.51.100.0/24\n", text=True)
    before = rules(namespace)
    saved = run("save", "--format", "ipvsadm")
    assert (saved.status, saved.err) == (0, "")
    assert sorted(saved.out.splitlines()) == before
    (tmp_path / "rules").write_text(saved.out)
    (tmp_path / "sets").write_text(namespace.run(["ipset", "save"], capture_output=True, text=True).stdout)
    assert run("plan", str(tmp_path / "rules")).status == 0
    assert run("plan", str(tmp_path / "sets")).status == 0
    namespace.run(["ipvsadm", "--clear"])
    namespace.run(["ipset", "destroy"])
    assert run("apply", str(tmp_path / "rules")).status == 0
    assert run("apply", str(tmp_path / "sets")).status == 0
    assert rules(namespace) == before
    assert held_sets(namespace) == {"web": ["198.51.100.0/24"]}


def test_only_what_is_yours_is_deleted(namespace: TestNetNS, run: Run, file: str) -> None:
    namespace.run(["ipvsadm", "-A", "-t", "192.0.2.20:80"])
    namespace.run(["ipvsadm", "-A", "-t", "198.51.100.1:80"])
    namespace.run(["ipset", "create", "web-old", "hash:ip"])
    namespace.run(["ipset", "create", "other", "hash:ip"])
    scope = ["--vip", "192.0.2.0/24", "--vip", "2001:db8::/32", "--fwmark", "7", "--set", "web-*", "--device", "vips"]
    refused = run("apply", file, *scope, "--prune-scope")
    assert refused.status == 1
    assert "the plan deletes 1 service, 1 set" in refused.err
    assert run("apply", file, *scope, "--prune-scope", "--yes").status == 0
    services = [line.split()[2] for line in rules(namespace) if line.startswith("-A")]
    assert sorted(services) == ["192.0.2.10:443", "198.51.100.1:80", "7", "[2001:db8::10]:53"]
    assert sorted(held_sets(namespace)) == ["other", "web-allow", "web-ports"]


def test_what_fails_is_brought_back(namespace: TestNetNS, run: Run, tmp_path: Path) -> None:
    namespace.run(["ipvsadm", "--restore"], input=RULES, text=True)
    before = rules(namespace)
    path = tmp_path / "bad.json"
    services = [
        {"key": "192.0.2.10:443/tcp", "scheduler": "rr"},
        {"key": "192.0.2.30:80/tcp", "scheduler": "nosuch"},
    ]
    path.write_text(json.dumps({"ipvskit": 1, "services": services, "sets": STATE["sets"]}))
    found = run("apply", str(path), "--rollback-on-failure")
    assert found.status == 1
    assert "failed: add 192.0.2.30:80/tcp: " in found.out
    assert "brought back: " in found.out
    assert rules(namespace) == before
    assert held_sets(namespace) == {}


def test_draining(namespace: TestNetNS, run: Run, file: str, tmp_path: Path) -> None:
    assert run("apply", file).status == 0
    ledger = str(tmp_path / "ledger.json")
    found = run("drain", "10.0.0.1", "--ledger", ledger)
    assert found.out == "10.0.0.1:8443 of 192.0.2.10:443/tcp: weight 100 -> 0, 0 active, 0 inactive, 0 persistent\n"
    assert any(line.endswith("-r 10.0.0.1:8443 -m -w 0") for line in rules(namespace))
    assert run("drain", "10.0.0.1", "--undo", "--ledger", ledger).status == 0
    assert any(line.endswith("-r 10.0.0.1:8443 -m -w 100") for line in rules(namespace))
    assert run("drain", "10.0.0.1:8443", "--delete").out.endswith(": deleted\n")
    assert not any("-r 10.0.0.1:8443" in line for line in rules(namespace))


def test_what_is_shown(run: Run, file: str) -> None:
    assert run("apply", file).status == 0
    assert [line.split()[:2] for line in run("show", "services").out.splitlines()[1:]] == [
        ["192.0.2.10:443/tcp", "mh"],
        ["->", "10.0.0.1:8443"],
        ["->", "10.0.0.2:443"],
        ["[2001:db8::10]:53/udp", "rr"],
        ["->", "[2001:db8::1]:53"],
        ["fwmark:7/v4", "sh"],
        ["->", "10.0.0.9:0"],
    ]
    assert run("show", "sets", "web-ports").out.endswith("\nweb-ports:\n  80\n  443\n")
    assert run("show", "services", "192.0.2.99:1/tcp").status == 1
    everything = json.loads(run("show", "--json").out)
    assert len(everything["services"]) == 3
    assert {each["name"]: each["count"] for each in everything["sets"]} == {"web-allow": 2, "web-ports": 2}


def test_as_a_program(namespace: TestNetNS, file: str) -> None:
    command = [sys.executable, "-m", "ipvskit", "apply", file]
    found = namespace.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert (found.stdout, found.stderr) == ("6 done\n", "")
    piped = subprocess.run(
        [*command[:3], "--netns", namespace.path, "plan", "-"],
        input=RULES, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert (piped.returncode, piped.stdout.splitlines()[0], piped.stderr) == (0, "nothing to do", "")
