"""`ipvskit ipset --strict restore` on this kernel: nothing is lost, every failure is told with its line.

Knows: what is promised in docs/ipset-command.md. Must not know: how ipset does.
"""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from ipvskit import Kernel
from tests.kernel.cli_ipset import Command, Sides, command

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ipvskit.testing.namespaces import TestNetNS

pytestmark = pytest.mark.ipset

MADE = "create s hash:ip timeout 0 hashsize 1024 initval 1\n"


@pytest.fixture
def sides() -> Iterator[Sides]:
    """Only ours is used."""
    with Sides() as both:
        yield both


def strict(sides: Sides, text: str, *before: str) -> tuple[int, list[str]]:
    """Exit status and what was told, without the program's name."""
    found = sides.ours(Command(("--strict", *before, "restore"), text.encode()))
    return found.status, found.stderr.decode().replace("ipset v7.17: ", "").splitlines()


def members(sides: Sides, name: str = "s") -> set[str]:
    lines = sides.ours(command(f"save {name}")).stdout.decode().splitlines()
    return {line.split()[2] for line in lines if line.startswith("add ")}


def test_a_line_that_is_wrong_loses_no_other(sides: Sides) -> None:
    lines = [f"add s 10.0.0.{number}" for number in range(1, 51)]
    lines[20] = "add s nonsense.invalid"
    lines[30] = "add s 10.0.0.200 foo"
    status, told = strict(sides, MADE + "\n".join(lines) + "\n")
    assert status == 1
    assert "Error in line 22: Syntax error: cannot parse nonsense.invalid" in told[0]
    assert told[1] == "Error in line 32: Unknown argument: `foo'"
    assert members(sides) == {f"10.0.0.{number}" for number in range(1, 51) if number not in {21, 31}}


def test_elements_behind_a_refused_one_are_there(sides: Sides) -> None:
    lines = [f"add s 10.0.{number // 256}.{number % 256}" for number in range(1, 1001)]
    again = [f"{line} timeout 5000" for line in (lines[4], lines[4], lines[500], lines[998])]
    text = (
        MADE
        + "\n".join([*lines[:5], *again[:2], *lines[5:501], again[2], *lines[501:999], again[3], *lines[999:]])
        + "\n"
    )
    status, told = strict(sides, text)
    assert status == 1
    assert [line.split(":")[0] for line in told] == [f"Error in line {number}" for number in (7, 8, 505, 1004)]
    assert len(members(sides)) == 1000


def test_exist_is_for_its_line(sides: Sides) -> None:
    text = (
        MADE + "add s 1.1.1.1\nadd s 1.1.1.1 timeout 5000 -exist\nadd s 1.1.1.1\nadd s 1.1.1.2\nadd s 1.1.1.2 -exist\n"
    )
    status, told = strict(sides, text)
    assert (status, [line.split(":")[0] for line in told]) == (1, ["Error in line 4"])
    assert members(sides) == {"1.1.1.1", "1.1.1.2"}


def test_exist_before_the_command_is_for_all_lines(sides: Sides) -> None:
    assert strict(sides, MADE + "add s 1.1.1.1\nadd s 1.1.1.1\ndel s 9.9.9.9\ndestroy nope\n", "-exist") == (0, [])


def test_tests_and_warnings_do_not_end_it(sides: Sides) -> None:
    text = MADE + "add s 1.1.1.1\ntest s 1.1.1.1\ncreate t hash:ip probes 4\nadd t 1.1.1.1\n"
    status, told = strict(sides, text)
    assert (status, told) == (
        0,
        ["Warning: 1.1.1.1 is in set s.", "Warning: Option '--probes 4' is ignored. Please upgrade your syntax."],
    )
    assert members(sides, "t") == {"1.1.1.1"}
    assert strict(sides, "test s 9.9.9.9\nadd s 9.9.9.8\n")[0] == 1
    assert members(sides) == {"1.1.1.1", "9.9.9.8"}


def test_a_file_that_is_not_there_is_told(sides: Sides, tmp_path: Path) -> None:
    found = sides.ours(Command(("--strict", "restore", "-f", str(tmp_path / "none"))))
    assert (found.status, b"Cannot open" in found.stderr) == (1, True)


def test_a_set_of_the_other_family_is_not_as_asked(sides: Sides) -> None:
    sides.ours(command("create s hash:net"))
    assert sides.ours(command("--strict -exist create s hash:net")).status == 0
    refused = sides.ours(command("--strict -exist create s hash:net family inet6"))
    assert (refused.status, refused.stderr) == (
        1,
        b"ipset v7.17: Set cannot be created: set with the same name already exists\n",
    )


@pytest.mark.parametrize("text", ["", "\n# nothing\n", MADE])
def test_nothing_to_tell(sides: Sides, text: str) -> None:
    assert strict(sides, text) == (0, [])


def test_a_namespace_by_name(namespace: TestNetNS) -> None:
    """`ipvskit --netns X ipset ...`, which the program itself does not have."""
    with Kernel(namespace) as kernel:
        kernel.ipset.create("inside hash:ip")
    found = subprocess.run(
        [sys.executable, "-m", "ipvskit", f"--netns={namespace.path}", "ipset", "list", "-n"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert found.stdout == "inside\n"
