"""The page about the command line: its sessions run, and come to what stands there; the options that it names are there.

Knows: Markdown's fences, `$` before a command. Must not know: what the commands do.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from ipvskit.cli.completion_tree import tree
from ipvskit.cli.main import COMMANDS, main, parser_of
from ipvskit.testing.fake import FakeKernel

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "command-line.md").read_text()
#: A command and what it prints.
SESSION = re.compile(r"^\$ (?P<command>ipvskit .*)\n(?P<output>(?:(?!\$ ).*\n)*)", re.MULTILINE)


def fences(kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL)


def test_sessions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("yaml")
    fake = FakeKernel()
    monkeypatch.setattr("ipvskit.kernel.Kernel", lambda _: FakeKernel(same_as=fake))
    monkeypatch.chdir(tmp_path)
    Path("state.yaml").write_text(fences("yaml")[0])
    sessions = [found for text in fences("console") for found in SESSION.finditer(text)]
    assert len(sessions) >= 10
    for session in sessions:
        main(shlex.split(session["command"])[1:])
        assert capsys.readouterr().out == session["output"], session["command"]
    fake.close()


def test_options_that_are_named_are_there() -> None:
    known = {name for node in tree(parser_of(*COMMANDS)).all() for option in node.options for name in option.names}
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", PAGE)) - {"--save"}
    assert len(named) >= 25
    assert named <= known


def test_every_option_of_the_commands_is_on_the_page() -> None:
    commands = {"show", "plan", "apply", "drain", "save", "convert"}
    nodes = [node for node in tree(parser_of(*COMMANDS)).nodes if node.path[0] in commands]
    names = {option.names[-1] for node in nodes for option in node.options}
    assert {name for name in names if name not in PAGE} <= {"--output"}
