"""`ipvskit plan` and `ipvskit apply` on a fake kernel.

Knows: files, options, what is said. Must not know: how plans come about.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

import ipvskit as ik
from ipvskit.cli import progress
from ipvskit.testing.fake import Command, FakeKernel, Refuse
from tests.unit.cli_support import Said, runner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

VIP, OTHER = "192.0.2.10:80/tcp", "198.51.100.1:80/tcp"
WANTED = {
    "ipvskit": 1,
    "services": [
        {"key": VIP, "scheduler": "rr", "reals": [{"address": "10.0.0.1:8080"}, {"address": "10.0.0.2:8080"}]}
    ],
    "sets": [{"name": "web-allow", "type": "hash:net", "entries": ["198.51.100.0/24"]}],
}


@pytest.fixture
def fake() -> Iterator[FakeKernel]:
    with FakeKernel() as kernel:
        yield kernel


@pytest.fixture
def run(fake: FakeKernel, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    return runner(fake, monkeypatch, capsys)


@pytest.fixture
def file(tmp_path: Path) -> str:
    (tmp_path / "state.json").write_text(json.dumps(WANTED))
    return str(tmp_path / "state.json")


@pytest.fixture
def others(fake: FakeKernel) -> None:
    """What is there and not in the file: a service with a real server, a real server of the file's service, a set."""
    fake.ipvs.add_service(f"{VIP} scheduler=rr\n -> 10.0.0.9:8080 weight=5")
    fake.ipvs.add_service(f"{OTHER} scheduler=rr\n -> 10.0.0.1:80")
    fake.ipset.create(ik.Set("web-old", "hash:ip"))
    fake.ipset.create(ik.Set("foreign", "hash:ip"))


def services(fake: FakeKernel) -> dict[str, list[str]]:
    return {str(one.key): [real.endpoint for real in one.reals] for one in fake.ipvs.services()}


# --- plan ---------------------------------------------------------------------------------------------------------------------------


def test_a_plan_is_printed_and_nothing_is_done(fake: FakeKernel, run: Callable[..., Said], file: str) -> None:
    found = run("plan", file)
    assert (found.status, found.err) == (2, "")
    assert found.out.splitlines()[:-1] == [
        "+ set web-allow hash:net family inet, 1 entries (198.51.100.0/24)",
        f"+ service {VIP} scheduler=rr",
        "    -> 10.0.0.1:8080 weight=1",
        "    -> 10.0.0.2:8080 weight=1",
        "2 to add, 0 to edit, 0 to delete",
    ]
    assert found.out.splitlines()[-1].startswith("left alone: ")
    assert not services(fake)


def test_a_plan_for_machines(run: Callable[..., Said], file: str) -> None:
    found = run("plan", file, "--json")
    assert found.status == 2
    changes = json.loads(found.out)["changes"]
    assert [(each["action"], each["key"]) for each in changes] == [("add", "set:web-allow"), ("add", VIP)]


def test_nothing_to_do(run: Callable[..., Said], file: str) -> None:
    assert run("apply", file).status == 0
    found = run("plan", file)
    assert (found.status, found.out.splitlines()[0]) == (0, "nothing to do")
    again = run("apply", file)
    assert (again.status, again.out) == (0, "nothing to do\n")


@pytest.mark.parametrize(
    ("scope", "deleted"),
    [
        (["--vip", "192.0.2.0/24"], [f"- real server 10.0.0.9:8080 of {VIP}"]),
        (["--vip", "192.0.2.0/24", "--vip", "198.51.100.0/24"], [f"- real server 10.0.0.9:8080 of {VIP}", f"- service {OTHER} with 1 real servers"]),
        (["--port", "80/tcp"], [f"- real server 10.0.0.9:8080 of {VIP}", f"- service {OTHER} with 1 real servers"]),
        (["--everything"], ["- set foreign", f"- real server 10.0.0.9:8080 of {VIP}", f"- service {OTHER} with 1 real servers", "- set web-old"]),
        (["--set", "web-*", "--port", "81"], None),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("others")
def test_what_is_yours_may_be_deleted(
    run: Callable[..., Said], file: str, tmp_path: Path, scope: list[str], deleted: list[str] | None
) -> None:
    if "--everything" not in scope and deleted is not None:
        scope = [*scope, "--set", "web-allow"]
    found = run("plan", file, *scope, "--prune-scope")
    if deleted is None:
        assert found.status == 1
        assert f"'{VIP}' is not usable: nothing outside the scope" in found.err
        return
    assert found.status == 2
    assert sorted(line for line in found.out.splitlines() if line[0] == "-") == sorted(deleted)
    without = run("plan", file, *scope)
    assert not [line for line in without.out.splitlines() if line[0] == "-"]
    assert "--prune-scope deletes them" in without.err
    assert "real server" in without.err


@pytest.mark.usefixtures("others")
def test_firewall_marks_and_devices_are_yours_too(fake: FakeKernel, run: Callable[..., Said], tmp_path: Path) -> None:
    fake.ipvs.add_service("fwmark:7/v4")
    fake.ipvs.add_service("fwmark:8/v4")
    fake.devices.create("vips")
    (tmp_path / "empty.json").write_text('{"ipvskit": 1, "services": []}')
    found = run("plan", str(tmp_path / "empty.json"), "--fwmark", "1-7", "--device", "v*", "--prune-scope")
    assert [line for line in found.out.splitlines() if line[0] == "-"] == [
        "- service fwmark:7/v4",
        "- device vips with 1 addresses",
    ]


@pytest.mark.usefixtures("others")
def test_drain_and_atomic_are_in_the_plan(fake: FakeKernel, run: Callable[..., Said], file: str) -> None:
    fake.ipset.create(ik.Set("web-allow", "hash:net", entries=["203.0.113.0/24"]))
    found = run("plan", file, "--everything", "--prune-scope", "--drain", "30", "--atomic").out
    assert f"- real server 10.0.0.9:8080 of {VIP} (drain: weight 0, and deleted when it has no connections)" in found
    assert "all at once by swap" in found


def test_every_form_is_taken(run: Callable[..., Said], tmp_path: Path) -> None:
    texts = {
        "rules": "-A -t 192.0.2.10:80 -s rr\n-a -t 192.0.2.10:80 -r 10.0.0.1:8080 -m -w 1\n",
        "sets": "create web-allow hash:net\nadd web-allow 198.51.100.0/24\n",
        "json": json.dumps(WANTED),
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
        assert run("plan", str(tmp_path / name)).status == 2, name
        assert run("plan", "-", text=text).status == 2, name
    pytest.importorskip("yaml")
    assert run("plan", "-", text=f"ipvskit: 1\nservices:\n  - key: {VIP}\n").out.startswith(f"+ service {VIP}")


def test_what_a_text_does_not_say_is_told(run: Callable[..., Said]) -> None:
    found = run("plan", "-", text="create all list:set\nadd all web\n")
    assert found.err == "ipvskit: standard input: all: its members are no sets of this text: web\n"


# --- errors -------------------------------------------------------------------------------------------------------------------------


def test_all_that_is_wrong_with_a_file_is_told(run: Callable[..., Said], tmp_path: Path) -> None:
    path = tmp_path / "bad.json"
    path.write_text('{"ipvskit": 1, "services": [{"key": "192.0.2.10:80/tcp",\n "scheduler": 7}]}')
    found = run("plan", str(path))
    assert (found.status, found.err.count("\n")) == (1, 1)
    assert found.err.startswith(f"ipvskit: {path}: line 2, services[0].scheduler: ")
    bad = [{"key": f"192.0.2.10:{port}/tcp", "wieght": 1} for port in range(1, 15)]
    path.write_text(json.dumps({"ipvskit": 1, "services": bad}, indent=1))
    lines = run("apply", str(path)).err.splitlines()
    assert lines[0] == f"ipvskit: {path}: 14 things are wrong"
    assert lines[1].startswith("  line 6, services[0].wieght: ")
    assert (len(lines), lines[-1]) == (12, "  and 4 more")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["plan", "FILE", "--prune-scope"], "--prune-scope goes with what is yours"),
        (["plan", "FILE", "--everything", "--vip", "10.0.0.0/8"], "--everything goes alone"),
        (["plan", "FILE", "--drain", "5"], "--drain goes with --prune-scope"),
        (["apply", "FILE", "--wait"], "--wait goes with --drain"),
        (["plan", "FILE", "--vip", "10.0.0.1/8"], "vips: '10.0.0.1/8' is not usable"),
        (["plan", "FILE", "--port", "x"], "ports: 'x' is not usable"),
        (["plan", "FILE", "--fwmark", "0"], "fwmarks"),
        (["plan", "FILE", "--vip", "203.0.113.0/24"], "nothing outside the scope"),
        (["plan", "FILE", "--everything", "--prune-scope", "--max-deletes", "-1"], "max_deletes"),
        (["plan", "nowhere.json"], "nowhere.json: No such file or directory"),
        (["plan", "FILE", "--ledger", "FILE"], "a file that Ledger wrote"),
        (["plan", "/"], "/: Is a directory"),
    ],
)
@pytest.mark.usefixtures("others")
def test_what_does_not_go_together(run: Callable[..., Said], file: str, words: list[str], says: str) -> None:
    found = run(*(file if word == "FILE" else word for word in words))
    assert found.status == 1
    assert found.err.startswith("ipvskit: ")
    assert says in found.err
    assert found.err.count("\n") == 1


@pytest.mark.parametrize(
    "words", [["plan"], ["plan", "x", "--drain", "-1"], ["apply", "x", "--max-deletes", "y"], ["fly"]]
)
def test_wrong_use(run: Callable[..., Said], words: list[str]) -> None:
    found = run(*words)
    assert found.status == 2
    assert "usage: ipvskit" in found.err


# --- apply --------------------------------------------------------------------------------------------------------------------------


def test_apply(fake: FakeKernel, run: Callable[..., Said], file: str) -> None:
    found = run("apply", file)
    assert found == (0, "2 done\n", "")
    assert services(fake) == {VIP: ["10.0.0.1:8080", "10.0.0.2:8080"]}
    assert [str(entry) for entry in fake.ipset.entries("web-allow")] == ["198.51.100.0/24"]


@pytest.mark.usefixtures("others")
def test_nothing_is_deleted_without_being_asked(fake: FakeKernel, run: Callable[..., Said], file: str) -> None:
    found = run("apply", file, "--everything", "--prune-scope")
    assert (found.status, found.out) == (1, "")
    assert found.err == (
        "ipvskit: the plan deletes 1 service, 2 real servers, 2 sets: look at it with `ipvskit plan`, then say --yes\n"
    )
    assert OTHER in services(fake)
    assert run("apply", file, "--everything", "--prune-scope", "--yes").status == 0
    assert services(fake) == {VIP: ["10.0.0.1:8080", "10.0.0.2:8080"]}
    assert fake.ipset.names() == ["web-allow"]


@pytest.mark.parametrize(("answer", "status"), [("y\n", 0), ("YES\n", 0), ("n\n", 1), ("\n", 1), ("", 1)])
@pytest.mark.usefixtures("others")
def test_on_a_terminal_it_asks(fake: FakeKernel, run: Callable[..., Said], file: str, answer: str, status: int) -> None:
    words = ("apply", file, "--vip", "0.0.0.0/0", "--set", "web-*", "--prune-scope")
    found = run(*words, text=answer, terminal=True)
    assert found.status == status
    assert f"- service {OTHER} with 1 real servers" in found.out
    assert "delete 1 service, 2 real servers, 1 set? [y/N] " in found.err
    assert ("nothing was done" in found.err) is (status == 1)
    assert (OTHER in services(fake)) is (status == 1)
    assert "foreign" in fake.ipset.names()


def test_what_deletes_nothing_is_not_asked_about(run: Callable[..., Said], file: str) -> None:
    assert run("apply", file, terminal=True) == (0, "2 done\n", "")


@pytest.mark.usefixtures("others")
def test_not_more_than_allowed(fake: FakeKernel, run: Callable[..., Said], file: str) -> None:
    words = ("apply", file, "--everything", "--prune-scope", "--yes", "--max-deletes")
    for most, says in (
        ("0.25", "1 of 2 services, and --max-deletes lets 25% of them go"),
        ("1", "2 of 2 real servers, and --max-deletes lets 1 go"),
    ):
        found = run(*words, most)
        assert (found.status, found.out) == (1, "")
        assert says in found.err
    planned = run("plan", file, "--everything", "--prune-scope", "--max-deletes", "0")
    assert planned.status == 1
    assert "to delete" in planned.out
    assert len(services(fake)) == 2
    assert run(*words, "2").status == 0


@pytest.mark.usefixtures("others")
def test_an_empty_state_is_a_question(fake: FakeKernel, run: Callable[..., Said]) -> None:
    words = ("apply", "-", "--vip", "198.51.100.0/24", "--prune-scope", "--yes")
    found = run(*words, text='{"ipvskit": 1}')
    assert found.status == 1
    assert (
        "standard input is an empty state, and the plan deletes 1 service, 1 real server: --max-deletes 1.0"
        in found.err
    )
    assert OTHER in services(fake)
    assert run(*words, "--max-deletes", "1.0", text='{"ipvskit": 1}').status == 0
    assert list(services(fake)) == [VIP]


def test_what_was_answered_may_empty_it(fake: FakeKernel, run: Callable[..., Said], tmp_path: Path) -> None:
    fake.ipvs.add_service(OTHER)
    (tmp_path / "empty.json").write_text('{"ipvskit": 1}')
    found = run("apply", str(tmp_path / "empty.json"), "--everything", "--prune-scope", text="y\n", terminal=True)
    assert found.status == 0
    assert not services(fake)


def test_a_ledger_knows_what_was_made(fake: FakeKernel, run: Callable[..., Said], file: str, tmp_path: Path) -> None:
    fake.ipvs.add_service(f"{OTHER}\n -> 10.0.0.1:80")
    ledger = str(tmp_path / "ledger.json")
    assert run("apply", file, "--ledger", ledger).status == 0
    (tmp_path / "less.json").write_text(json.dumps({"ipvskit": 1, "sets": WANTED["sets"]}))
    less = str(tmp_path / "less.json")
    planned = run("plan", less, "--ledger", ledger)
    assert planned.status == 0
    assert "yours and not in" in planned.err
    assert run("apply", less, "--ledger", ledger, "--prune-scope", "--yes").status == 0
    assert list(services(fake)) == [OTHER]


def test_what_fails_is_told(fake: FakeKernel, run: Callable[..., Said], file: str) -> None:
    fake.lie(Refuse(12), command=Command.NEW_SERVICE)
    found = run("apply", file)
    assert found.status == 1
    lines = found.out.splitlines()
    assert lines[0].startswith(f"failed: add {VIP}: ")
    assert lines[-1] == "1 done, 1 failed"
    assert fake.ipset.names() == ["web-allow"]


def test_what_failed_is_brought_back(fake: FakeKernel, run: Callable[..., Said], file: str) -> None:
    fake.lie(Refuse(12), command=Command.NEW_SERVICE)
    found = run("apply", file, "--rollback-on-failure")
    assert found.status == 1
    assert found.out.splitlines()[-2:] == ["1 done, 1 failed", "brought back: 1 done"]
    assert fake.ipset.names() == []
    as_json = json.loads(run("apply", file, "--rollback-on-failure", "--json").out)
    assert [each["status"] for each in as_json["outcomes"]] == ["done", "failed"]
    assert as_json["brought_back"]["outcomes"][0]["status"] == "done"


def test_outcomes_for_machines(run: Callable[..., Said], file: str) -> None:
    found = run("apply", file, "--json")
    assert (found.status, found.err) == (0, "")
    assert [each["status"] for each in json.loads(found.out)["outcomes"]] == ["done", "done"]


@pytest.mark.usefixtures("others")
def test_what_drains_is_told_and_waited_for(
    fake: FakeKernel, run: Callable[..., Said], file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.set_connections(VIP, "10.0.0.9:8080", active=3)
    words = ("apply", file, "--vip", "192.0.2.0/24", "--set", "web-allow", "--prune-scope", "--drain", "60", "--yes")
    found = run(*words)
    assert found.status == 0
    lines = found.out.splitlines()
    assert lines[0] == f"draining: 10.0.0.9:8080 of {VIP}: 3 active, 0 inactive, 0 persistent, at most 60 s more"
    assert lines[1] == "3 done, 1 draining"
    assert found.err == "ipvskit: apply again in 2 s to delete what drains, or let --wait do it\n"
    assert fake.ipvs.real(VIP, "10.0.0.9:8080").weight == 0

    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        fake.set_connections(VIP, "10.0.0.9:8080", active=3 - len(slept))

    monkeypatch.setattr(time, "sleep", sleep)
    waited = run(*words, "--wait")
    assert (waited.status, waited.err) == (0, "")
    assert slept == [2.0, 2.0, 2.0]
    assert waited.out.splitlines()[-1] == "1 done"
    assert services(fake)[VIP] == ["10.0.0.1:8080", "10.0.0.2:8080"]


@pytest.mark.usefixtures("others")
def test_atomic_contents(fake: FakeKernel, run: Callable[..., Said], file: str) -> None:
    fake.ipset.create(ik.Set("web-allow", "hash:net", entries=["203.0.113.0/24"]))
    words = ("apply", file, "--set", "web-allow", "--vip", "192.0.2.10", "--prune-scope", "--atomic", "--yes")
    assert run(*words).status == 0
    assert [str(entry) for entry in fake.ipset.entries("web-allow")] == ["198.51.100.0/24"]


def test_progress_has_a_percentage(file: str, run: Callable[..., Said], monkeypatch: pytest.MonkeyPatch) -> None:
    class Watched(progress.Progress):
        def reached(self, done: int, total: int) -> None:
            super().reached(done, total)
            parts.append(self.part)

    parts: list[float | None] = []
    monkeypatch.setattr("ipvskit.cli.apply.Progress", Watched)
    assert run("apply", file).status == 0
    assert parts[0] == 0
    assert parts[-1] == 1
    assert len(parts) > 2
