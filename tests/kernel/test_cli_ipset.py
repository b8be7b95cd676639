"""`ipvskit ipset` beside ipset 7.17 on this kernel: the same command lines in two namespaces come to the same output, status and sets.

Knows: both programs. Must not know: how either works. What one is asked is in `cli_ipset_cases` and, by chance, in `cli_ipset_strategies`.
"""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings

from tests.examples import examples
from tests.kernel.cli_ipset import Command, Sides, command, crashed, has_initval, settled_text
from tests.kernel.cli_ipset_cases import CASES, FILES, SESSIONS, SETS
from tests.kernel.cli_ipset_strategies import restorations, sequences
from tests.kernel.ipset_support import examples as guest_examples

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

VERSION = "7.17"


def _version() -> str:
    found = shutil.which("ipset")
    if found is None:
        return ""
    return subprocess.run([found, "version"], capture_output=True, text=True, check=False).stdout


pytestmark = [
    pytest.mark.ipset,
    pytest.mark.skipif(f"v{VERSION}," not in _version(), reason=f"there is no ipset {VERSION} to compare with"),
]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that commands name without a folder are made where nobody minds."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def sides() -> Iterator[Sides]:
    """Both programs, each in a namespace of its own."""
    with Sides() as both:
        both.ordered = has_initval(both)
        yield both


@pytest.fixture(autouse=True)
def fresh(sides: Sides) -> None:
    """No sets from the test before."""
    sides.clean()


def compare(sides: Sides, what: Command) -> None:
    """Both do it, and the same comes of it. Where ipset dies of a signal there is nothing to compare, and its sets are as they were."""
    theirs = sides.theirs(what)
    if crashed(theirs):
        return
    assert sides.ours(what).settled(ordered=sides.ordered) == theirs.settled(ordered=sides.ordered), str(what)
    theirs_now, ours_now = sides.states()
    assert ours_now == theirs_now, f"sets after {what}"


@pytest.mark.parametrize("about", CASES)
def test_commands(sides: Sides, about: str) -> None:
    for line in CASES[about].strip().split("\n"):
        compare(sides, command(line))


def _with_sets(sides: Sides) -> None:
    compare(sides, command("restore", SETS))


@pytest.mark.parametrize("text", FILES, ids=lambda text: repr(text)[:60])
@pytest.mark.parametrize("how", ["restore", "-exist restore", "-q restore"])
def test_restore(sides: Sides, text: str | bytes, how: str) -> None:
    _with_sets(sides)
    compare(sides, command(how, text))


def test_restore_from_a_file(sides: Sides, tmp_path: Path) -> None:
    path = tmp_path / "sets"
    path.write_text(SETS + "add s 9.9.9.9\nadd s 9.9.9.9\n")
    compare(sides, Command(("restore", "-f", str(path))))
    compare(sides, Command(("-file", str(tmp_path / "nothing"), "restore")))


def test_listing_into_a_file(sides: Sides, tmp_path: Path) -> None:
    _with_sets(sides)
    paths = [tmp_path / "theirs", tmp_path / "ours"]
    for words in (["list"], ["save"], ["list", "-t"], ["-o", "xml", "save"], ["list", "nope"]):
        assert sides.theirs(Command((*words, "-f", str(paths[0])))).settled(ordered=True) == sides.ours(
            Command((*words, "-f", str(paths[1])))
        ).settled(ordered=True)
        texts = [path.read_text() if path.exists() else None for path in paths]
        assert [settled_text(text or "") for text in texts[:1]] == [settled_text(text or "") for text in texts[1:]]
    compare(sides, Command(("list", "-f", str(tmp_path / "no" / "folder"))))
    compare(sides, Command(("list", "-f", "x", "-f", "y")))


@pytest.mark.parametrize("text", SESSIONS, ids=lambda text: repr(text)[:60])
def test_interactive(sides: Sides, text: str) -> None:
    _with_sets(sides)
    compare(sides, command("-", text))


def test_as_a_process(sides: Sides) -> None:
    for line, text in (
        ("create s hash:ip initval 1", ""),
        ("add s 1.1.1.1", ""),
        ("add s 1.1.1.1", ""),
        ("test s 1.1.1.2", ""),
        ("list", ""),
        ("save", ""),
        ("restore", "add s 2.2.2.2\nadd s x\n"),
        ("-", "list -n\nquit\n"),
        ("foo", ""),
    ):
        what = command(line, text)
        assert sides.ours_alone(what).settled(ordered=True) == sides.theirs(what).settled(ordered=True), line


@settings(max_examples=guest_examples(examples(40)), suppress_health_check=list(HealthCheck))
@given(sequences())
def test_random_commands(sides: Sides, steps: list[Command]) -> None:
    sides.clean()
    for what in steps:
        compare(sides, what)


@settings(max_examples=guest_examples(examples(120)), suppress_health_check=list(HealthCheck))
@given(restorations())
def test_random_restorations(sides: Sides, what: Command) -> None:
    sides.clean()
    compare(sides, what)


@pytest.mark.parametrize("count", [1, 166, 167, 168, 334, 5000])
@pytest.mark.parametrize("kind", ["hash:ip", "hash:net", "hash:ip,port", "bitmap:port"])
@pytest.mark.parametrize("end", ["", "add s nonsense\n", "again", "list -n\nadd s nonsense\n"])
def test_many_lines(sides: Sides, kind: str, count: int, end: str) -> None:
    """Where a message ends shows: what was not sent before a line that is wrong is lost."""
    options = {"bitmap:port": "range 0-65535"}.get(kind, "initval 1 hashsize 8192")
    lines = [f"create s {kind} timeout 0 {options}"]
    forms = {
        "hash:ip": "10.{}.{}.1",
        "hash:net": "10.{}.{}.0/24",
        "hash:ip,port": "10.{}.{}.1,udp:53",
    }
    for number in range(count):
        element = forms[kind].format(number // 256, number % 256) if kind in forms else str(number)
        lines.append(f"add s {element}" + (" timeout 5000" if number % 5 == 0 else ""))
    text = "\n".join(lines) + "\n"
    compare(sides, command("restore", text + (lines[-1] + "\n" if end == "again" else end)))


@pytest.mark.parametrize("length", [1, 100, 254, 255])
def test_many_comments(sides: Sides, length: int) -> None:
    lines = ["create s hash:ip comment skbinfo initval 1"]
    for number in range(200):
        behind = f' comment "{"x" * (length - number % min(length, 7))}"' if number % 3 else ""
        mark = " skbmark 0x5" if number % 4 == 0 else ""
        lines.append(f"add s 10.0.0.{number + 1}{behind}{mark}")
    compare(sides, command("restore", "\n".join([*lines, "add s nonsense", ""])))
