"""The lab's pure parts; its parts that need processes but no guest.

Knows: the modules below ``tests.lab`` but the guest's start. Must not know: a network, a kernel.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.lab import __main__ as command_line
from tests.lab import archive, cpu, each, errors, exchange, guest, host, kernels
from tests.lab.errors import GuestError, KernelUnavailableError, LabError
from tests.lab.follow import Follower
from tests.lab.guest import Result
from tests.lab.kernels import Kernel

ROOT = Path(__file__).parents[2]
SID = Kernel("sid", "7.2.7", Path("/c/linux.uml"), Path("/c/my modules/7.2.7"), seccomp=True)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(kernels.CACHE_VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


def fill_cache(home: Path) -> None:
    home.mkdir(parents=True)
    (home / "linux.uml").touch()
    record = {"layout": 1, "home": str(home), "version": "6.1.176", "package": "6.1um4+b13"}
    (home / "kernel.json").write_text(json.dumps(record))


# Kernels and the cache


@pytest.mark.parametrize(
    ("name", "suite"),
    [("5.10", "bullseye"), ("6.1", "bookworm"), ("6.12", "trixie"), ("7.2", "sid"), ("sid", "sid")],
)
def test_a_kernel_is_found_by_series_or_suite(name: str, suite: str) -> None:
    assert kernels.find(name).suite == suite


def test_an_unknown_kernel_names_the_known_ones() -> None:
    with pytest.raises(LabError, match=r"called '4\.4'; there are 5\.10 \(bullseye\), .*, auto and iptables"):
        kernels.find("4.4")


@pytest.mark.parametrize(
    ("version", "has"),
    [("5.10.46", False), ("6.9", False), ("6.16", True), ("6.16.1-rc2", True), ("7.2.7", True)],
)
def test_seccomp_came_with_6_16(version: str, has: bool) -> None:
    assert kernels.has_seccomp(version) is has


def test_a_cached_kernel_is_used_without_the_archive(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "unpack_kernel", None)
    fill_cache(cache / "bookworm")
    kernel = kernels.fetch("bookworm")
    assert (kernel.version, kernel.package, kernel.seccomp) == ("6.1.176", "6.1um4+b13", False)
    assert kernel.modules == cache / "bookworm/modules/6.1.176"


def test_a_cache_that_was_moved_or_is_not_complete_does_not_count(cache: Path) -> None:
    assert kernels.cached("bookworm") is None
    fill_cache(cache / "bookworm")
    (cache / "bookworm").rename(cache / "trixie")
    assert kernels.cached("trixie") is None
    (cache / "trixie" / "kernel.json").write_text("{")
    assert kernels.cached("trixie") is None


def test_a_failed_fetch_says_which_suite_and_why_and_leaves_nothing(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(suite: str, into: Path, final: Path, *, aged: bool) -> None:
        (into / "half").touch()
        raise LabError("apt-get failed: E: no route")

    monkeypatch.setattr(archive, "unpack_kernel", fail)
    with pytest.raises(KernelUnavailableError) as caught:
        kernels.fetch("6.12")
    expected = "kernel 6.12 (Debian trixie) could not be had: apt-get failed: E: no route"
    assert str(caught.value) == expected
    assert [path.name for path in cache.iterdir()] == ["trixie.lock"]


def test_a_fetched_kernel_replaces_the_old_one_in_one_step(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unpack(suite: str, into: Path, final: Path, *, aged: bool) -> archive.Unpacked:
        (into / "linux.uml").touch()
        return archive.Unpacked("6.1.200", "6.1um9")

    fill_cache(cache / "bookworm")
    monkeypatch.setattr(archive, "unpack_kernel", unpack)
    assert kernels.fetch("6.1").version == "6.1.176"
    assert kernels.fetch("6.1", refresh=True).version == "6.1.200"
    assert {path.name for path in cache.iterdir()} == {"bookworm", "bookworm.lock"}


# The archive


def test_the_main_archive_is_chosen() -> None:
    lines = [
        "Packages|Debian-Security|bookworm-security|http://a/debian-security/",
        "Packages|Docker CE|bookworm|http://b/linux/debian/",
        "DEP-11|Debian|bookworm|http://c/debian/",
        "Packages|Debian|bookworm-updates|http://d/debian/",
        "",
        "Packages|Debian|bookworm|http://e/debian/",
    ]
    assert archive.choose_mirror(lines) == "http://e/debian/"
    assert archive.choose_mirror(lines[:-1]) is None


def test_a_missing_program_names_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "_SYSTEM_FOLDERS", ())
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(LabError, match="'modprobe' is missing: install the Debian package kmod"):
        host.check()


# What the guest gets


@pytest.mark.parametrize(
    "words",
    [
        ["a b", "", "'", '"', "$HOME", "`x`", "\\", "\n", "*", "-n"],
        ["\udcff\udc80 not UTF-8", "ä€"],
    ],
)
def test_the_job_hands_over_words_and_environment_unchanged(words: list[str], tmp_path: Path) -> None:
    show = "import os, sys; print(ascii((sys.argv[1:], os.environ['V'], os.getcwd())))"
    env = {"V": words[0], "odd.name": "x"}
    directory = tmp_path / "it's a folder"
    directory.mkdir()
    command = [sys.executable, "-c", show, *words]
    (tmp_path / "job").write_bytes(exchange.job_script(command, str(directory), env))
    done = subprocess.run(["sh", tmp_path / "job"], capture_output=True, check=True)
    assert done.stdout.decode().strip() == ascii((words, words[0], str(directory)))


def test_the_modules_are_bound_at_the_version_and_spaces_survive() -> None:
    lines = exchange.fstab(SID).splitlines()
    bound = "/c/my\\040modules/7.2.7 /lib/modules/7.2.7 none bind,X-mount.mkdir 0 0"
    assert lines.index(bound) > lines.index("tmpfs /lib/modules tmpfs mode=755 0 0")


@pytest.mark.parametrize("seccomp", [None, "auto", "off"])
def test_seccomp_is_named_only_to_kernels_that_know_it(seccomp: str | None) -> None:
    arguments = guest.kernel_arguments(Path("/x"), "1G", seccomp)
    assert "mem=1G" in arguments
    wanted = [] if seccomp is None else [f"seccomp={seccomp}"]
    assert [word for word in arguments if word.startswith("seccomp")] == wanted


@pytest.mark.parametrize("memory", ["", "2", "2g", "0G", "1.5G", "2GB", "-1M"])
def test_a_memory_size_the_kernel_would_misread_is_refused(memory: str) -> None:
    with pytest.raises(LabError, match="number with M or G"):
        host.check_memory(memory)


@pytest.mark.parametrize("command", [[], ["A=b"], ["sh", "a\0b"]])
def test_a_command_that_cannot_be_handed_over_is_refused(command: list[str]) -> None:
    with pytest.raises(LabError):
        exchange.check_command(command)


# Error texts


def test_the_console_is_shown_from_a_panic_on() -> None:
    console = "noise\r\nRun /x/init.sh as init process\n\nKernel panic - \x1b[0mnow\nStack:\n"
    error = GuestError("7.2.7 (sid)", "died", console)
    assert error.summary == "guest 7.2.7 (sid) died"
    assert str(error).splitlines()[1:] == ["  | Kernel panic -  [0mnow", "  | Stack:"]


def test_the_console_is_shown_after_the_boot_or_its_end_without_one() -> None:
    booted = "one\nRun /x/init.sh as init process\nIPVS: loaded\n"
    assert errors.telling_lines(booted) == "  | IPVS: loaded"
    assert errors.telling_lines("one\ntwo\nthree", count=2) == "  | two\n  | three"
    assert errors.telling_lines("") == ""


# The command line


def test_all_after_the_first_dashes_is_the_command() -> None:
    words = ["run", "--kernel", "sid", "--", "sh", "--", "-c"]
    assert command_line.split_command(words) == (words[:3], ["sh", "--", "-c"])
    assert command_line.split_command(["list"]) == (["list"], [])


def test_the_environment_is_the_hosts_but_for_its_places() -> None:
    found = command_line.environment({"TMPDIR": "/x", "A": "1", "PATH": "/bin"}, ["B=2=3", "A="])
    path = "/bin:/usr/local/sbin:/usr/sbin:/sbin"
    assert found == {"A": "", "B": "2=3", "PATH": path}
    with pytest.raises(LabError, match="NAME=VALUE, not 'B'"):
        command_line.environment({}, ["B"])


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["run"], "lab: no command was given: put it after '--'"),
        (["run", "--kernel", "9", "--", "true"], "lab: no kernel is called '9'; there are"),
        (["run", "--memory", "x", "--", "true"], "lab: memory is a number"),
        (["run", "--env", "x", "--", "true"], "lab: --env takes NAME=VALUE"),
    ],
)
def test_the_labs_own_trouble_is_one_line_and_125(words: list[str], line: str) -> None:
    done = subprocess.run([sys.executable, "-m", "tests.lab", *words], cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == 125
    assert done.stderr.decode().startswith(line)
    assert done.stderr.count(b"\n") == 1


# Each


def outcome(status: int) -> each.Outcome:
    return each.Outcome("7.2", result=Result(status, b"", "7.2.7", 1.25, ""))


LOST = each.Outcome("5.10", trouble=KernelUnavailableError("5.10", "bullseye", "gone"))
DIED = each.Outcome("6.1", trouble=GuestError("6.1", "died"))


@pytest.mark.parametrize(
    ("outcomes", "strict", "status"),
    [
        ([outcome(0)], False, 0),
        ([outcome(0), LOST], False, 0),
        ([outcome(0), LOST], True, 125),
        ([LOST], False, 125),
        ([outcome(0), DIED], False, 125),
        ([outcome(7), DIED], False, 1),
        ([outcome(7), LOST], True, 1),
    ],
)
def test_what_the_whole_counts_as(outcomes: list[each.Outcome], strict: bool, status: int) -> None:
    assert each.exit_status(outcomes, strict=strict) == status


def test_the_closing_table_has_a_line_for_each() -> None:
    assert each.table([outcome(7), DIED, LOST]).splitlines() == [
        "kernel  release  status  seconds",
        "7.2     7.2.7    7       1.2",
        "6.1     -        died    -",
        "kernel 5.10 (Debian bullseye) could not be had: gone",
    ]


# Files, CPUs, processes


def test_a_follower_keeps_or_passes_on_what_is_appended(tmp_path: Path) -> None:
    path = tmp_path / "growing"
    path.touch()
    copy = os.open(tmp_path / "copy", os.O_WRONLY | os.O_CREAT)
    with Follower(path, None) as keeping, Follower(path, copy) as passing, path.open("ab", 0) as to:
        for part in (b"\0\xff", b"\r\n", b"x" * 200_000):
            to.write(part)
            keeping.pump()
            passing.pump()
        assert keeping.captured == path.read_bytes()
        assert passing.captured == b""
    os.close(copy)
    assert (tmp_path / "copy").read_bytes() == path.read_bytes()


def test_guests_get_different_cpus_and_the_caller_keeps_its_own(tmp_path: Path) -> None:
    before = os.sched_getaffinity(0)
    with cpu.claimed(tmp_path) as one, cpu.claimed(tmp_path) as other:
        assert {one, other} <= before
        assert one != other or len(before) == 1
        with cpu.children_on(one):
            assert os.sched_getaffinity(0) == {one}
    assert os.sched_getaffinity(0) == before


DOOMED = """
import os, signal, subprocess, sys
from pathlib import Path
from tests.lab.watchdog import Watchdog
sleeper = subprocess.Popen(["sleep", "100"], start_new_session=True)
with Watchdog(Path(sys.argv[1])) as watchdog:
    watchdog.guard(sleeper.pid)
    print(sleeper.pid, flush=True)
    if sys.argv[2] == "die":
        os.kill(os.getpid(), signal.SIGKILL)
sleeper.kill()
sleeper.wait()
"""


@pytest.mark.parametrize("how", ["die", "leave"])
def test_the_watchdog_bites_only_if_its_process_dies(tmp_path: Path, how: str) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    command = [sys.executable, "-c", DOOMED, str(folder), how]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == (-signal.SIGKILL if how == "die" else 0)
    deadline = time.monotonic() + 10
    while how == "die" and folder.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert folder.exists() is (how == "leave")
    assert not (Path("/proc") / done.stdout.decode().strip() / "exe").exists()
