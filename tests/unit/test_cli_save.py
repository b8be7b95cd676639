"""`ipvskit save` and `ipvskit convert` on a fake kernel, and what is drawn while one waits.

Knows: forms, and what they lose. Must not know: how they are written.
"""

from __future__ import annotations

import io
import json
import sys
import time
from typing import TYPE_CHECKING

import pytest

import ipvskit as ik
from ipvskit.cli import progress
from ipvskit.cli.common import write_pieces
from ipvskit.cli.progress import Progress, bar
from ipvskit.testing.fake import FakeKernel
from tests.unit.cli_support import Said, Terminal, runner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

WEB = "192.0.2.10:80/tcp scheduler=rr\n  -> 10.0.0.1:8080 weight=3 upper_threshold=9"
RULES = "-A -t 192.0.2.10:80 -s rr\n-a -t 192.0.2.10:80 -r 10.0.0.1:8080 -m -w 3\n"


@pytest.fixture
def fake() -> Iterator[FakeKernel]:
    with FakeKernel() as kernel:
        kernel.ipvs.add_service(WEB)
        kernel.ipset.create(ik.Set("web", "hash:net", entries=["198.51.100.0/24"]))
        kernel.devices.create("vips")
        kernel.devices.add_addresses("vips", ["192.0.2.10"])
        yield kernel


@pytest.fixture
def run(fake: FakeKernel, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    return runner(fake, monkeypatch, capsys)


def test_what_is_saved_is_what_there_is(run: Callable[..., Said]) -> None:
    saved = run("save")
    assert (saved.status, saved.err) == (0, "")
    found = json.loads(saved.out)
    assert list(found) == ["ipvskit", "services", "sets", "devices", "sysctls", "timeouts", "daemons"]
    assert found["devices"] == [{"name": "vips", "addresses": ["192.0.2.10/32"]}]
    assert found["sets"][0]["entries"] == ["198.51.100.0/24"]
    assert "ip_forward" not in found["sysctls"]
    planned = run("plan", "-", text=saved.out)
    assert (planned.status, planned.out.splitlines()[0]) == (0, "nothing to do")


def test_only_some_parts(run: Callable[..., Said]) -> None:
    assert list(json.loads(run("save", "sets", "services").out)) == ["ipvskit", "services", "sets"]
    assert list(json.loads(run("save", "settings").out)) == ["ipvskit", "sysctls", "timeouts"]
    devices = json.loads(run("save", "devices").out)["devices"]
    assert {each["name"] for each in devices} == {"lo", "eth0", "vips"}
    found = run("save", "nothing")
    assert (found.status, found.err) == (
        1,
        "ipvskit: there is nothing named nothing, but services, sets, devices, settings, daemons\n",
    )


def test_the_tools_forms(run: Callable[..., Said]) -> None:
    rules = run("save", "--format", "ipvsadm")
    assert rules.out == RULES
    assert rules.err == "ipvskit: 192.0.2.10:80/tcp 10.0.0.1:8080: thresholds are not saved by ipvsadm\n"
    sets = run("save", "--format", "ipset")
    assert sets.out.splitlines()[1] == "add web 198.51.100.0/24"
    assert not sets.err
    both = run("save", "services", "sets", "--format", "ipset")
    assert both.err == "ipvskit: services: ipset has none\n"


def test_into_a_file(run: Callable[..., Said], tmp_path: Path) -> None:
    assert run("save", "services", "-o", str(tmp_path / "state.json")) == (0, "", "")
    assert json.loads((tmp_path / "state.json").read_text())["services"][0]["key"] == "192.0.2.10:80/tcp"
    pytest.importorskip("yaml")
    assert run("save", "services", "-o", str(tmp_path / "state.yml")).status == 0
    assert (tmp_path / "state.yml").read_text().startswith("ipvskit: 1\n")
    nowhere = run("save", "-o", str(tmp_path / "none" / "x.json"))
    assert nowhere.status == 1
    assert "No such file or directory" in nowhere.err


def test_a_kernel_that_lacks_something(
    fake: FakeKernel, run: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: FakeKernel) -> object:
        raise ik.IPVSNotAvailable(2, "this kernel has no IPVS")

    monkeypatch.setattr(FakeKernel, "ipvs", property(refuse))
    found = run("save")
    assert (found.status, list(json.loads(found.out))) == (0, ["ipvskit", "sets", "devices"])
    assert found.err == "ipvskit: this kernel has no IPVS [ENOENT]\n"
    assert run("save", "--format", "ipvsadm").status == 1


# --- convert ------------------------------------------------------------------------------------------------------------------------


def test_between_all_forms(run: Callable[..., Said], tmp_path: Path) -> None:
    pytest.importorskip("yaml")
    state = run("save", "services").out
    for form in ("yaml", "json"):
        (tmp_path / "state").write_text(run("convert", "-", "--format", form, text=state).out)
        assert run("convert", str(tmp_path / "state")).out == state, form
    rules = run("convert", "-", "--format", "ipvsadm", text=state)
    assert rules.out == RULES
    assert "thresholds" in rules.err
    assert run("convert", "-", "--format", "ipvsadm", text=RULES) == (0, RULES, "")
    sets = "create web hash:net family inet\nadd web 198.51.100.0/24\n"
    assert run("convert", "-", "--format", "ipset", text=sets) == (0, sets, "")
    lost = run("convert", "-", "--format", "ipset", text=RULES)
    assert lost == (0, "", "ipvskit: services: ipset has none\n")


def test_comments_that_are_no_text_go_out_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="utf-8"))
    write_pieces(["first\n", 'add web 10.0.0.1 comment "caf\udce9"\n', "last\n"], None)
    sys.stdout.flush()
    assert written.getvalue() == b'first\nadd web 10.0.0.1 comment "caf\xe9"\nlast\n'


def test_what_is_no_state_is_told(run: Callable[..., Said], tmp_path: Path) -> None:
    found = run("convert", "-", text="-A -t 192.0.2.10:80 -s rr\n-a -t 192.0.2.10:80 -r 10.0.0.1:0 -m -w x\n")
    assert found.status == 1
    assert found.err.startswith("ipvskit: standard input: line 2")
    assert run("convert", "-", "--format", "xml").status == 2
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    assert "not UTF-8" in run("convert", str(tmp_path / "bytes")).err


# --- while one waits ----------------------------------------------------------------------------------------------------------------


def test_a_bar() -> None:
    assert bar("draining", 0.5, 12.3, 80) == "draining [############------------] 50% 12 s"
    assert bar("draining", 1.5, 1, 80) == "draining [########################] 100% 1 s"
    assert bar("reading", None, 0.0, 80) == "reading [######------------------] 0 s"
    assert bar("reading", None, 0.6, 80) == "reading [---######---------------] 1 s"
    turned = [bar("x", None, seconds / 5, 80).index("#") for seconds in (17, 18, 19, 36)]
    assert turned == [turned[0], turned[0] + 1, turned[0], turned[0] - 17]
    assert len(bar("a long text", None, 1, 20)) == 19


def test_it_is_drawn_on_a_terminal_and_taken_away(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setattr(progress, "PATIENCE", 0.01)
    with Progress("applying") as shown:
        shown.part = 0.25
        until = time.monotonic() + 5
        while "applying" not in screen.getvalue() and time.monotonic() < until:
            time.sleep(0.01)
    assert "applying [######------------------] 25%" in screen.getvalue()
    assert screen.getvalue().endswith("\r\033[K")


def test_nothing_is_drawn_for_what_is_quick_or_not_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    with Progress("applying"):
        pass
    assert not screen.getvalue()
    monkeypatch.undo()
    monkeypatch.setattr(progress, "PATIENCE", 0.0)
    with Progress("applying"):
        time.sleep(0.05)
    assert capsys.readouterr().err == ""
