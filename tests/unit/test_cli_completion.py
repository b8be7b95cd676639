"""`ipvskit completion`: the scripts in their shells.

Knows: how a shell asks for words. Must not know: how the scripts are made.
"""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from ipvskit.cli.completion_tree import Kind, tree
from ipvskit.cli.main import COMMANDS, PROGRAMS, main, parser_of

if TYPE_CHECKING:
    from pathlib import Path

#: Asks the function as bash does when Tab is pressed behind the last word.
_ASK = """
source "$1"; shift
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_ipvskit
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(params=["bash", "zsh"])
def shell(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    if shutil.which(name) is None:
        pytest.skip(f"the Debian package {name} is missing")
    return name


def written(shell: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """The script, in a file."""
    assert main(["completion", shell]) == 0
    path = folder / f"{shell}.sh"
    path.write_text(capsys.readouterr().out)
    return str(path)


def test_the_tree_has_what_the_parsers_have() -> None:
    root = tree(parser_of(*COMMANDS))
    assert [node.path for node in root.nodes] == [(name,) for name in (*COMMANDS, *PROGRAMS)]
    nodes = {" ".join(node.path): node for node in root.all()}
    assert nodes["ipset"].foreign
    assert not nodes["show"].foreign
    plan = {name: option for option in nodes["plan"].options for name in option.names}
    assert plan["--vip"].repeated
    assert plan["--json"].value is None
    values = {name: option.value.kind for name, option in plan.items() if option.value is not None}
    assert (values["--ledger"], values["--netns"], values["--port"]) == (Kind.FILE, Kind.NETNS, Kind.TEXT)
    assert nodes["show"].values[0][0].words[:2] == ("all", "services")
    assert nodes["plan"].values[0][0].kind is Kind.FILE
    assert "kube apply" in nodes


def test_the_shell_reads_it(shell: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(shell, tmp_path, capsys)
    found = subprocess.run([shell, "-n", path], capture_output=True, text=True, check=False)
    assert (found.returncode, found.stderr) == (0, "")


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["sh"], ["show"]),
        (["-n", "show", "co"], ["convert", "completion"]),
        (["--netns", "=", "blue", "sa"], ["save"]),
        (["show", "se"], ["services", "sets", "settings"]),
        (["show", "sets", "--j"], ["--json"]),
        (["save", "--format", ""], ["json", "yaml", "ipvsadm", "ipset"]),
        (["save", "--format", "="], ["json", "yaml", "ipvsadm", "ipset"]),
        (["save", "--format", "=", "ip"], ["ipvsadm", "ipset"]),
        (["save", "--format", "json", "--o"], ["--output"]),
        (["plan", "st"], ["state.json", "state two.json"]),
        (["apply", "state.json", "--ro"], ["--rollback-on-failure"]),
        (["plan", "--ledger", "state.json", "state"], ["state.json", "state two.json"]),
        (["plan", "--vip", ""], []),
        (["kube", "a"], ["apply"]),
        (["kube", "apply", "--family", "ipv"], ["ipv4", "ipv6"]),
        (["kube", "apply", "--f"], ["--file", "--family"]),
        (["ipset", "-f", "sta"], ["state.json", "state two.json"]),
        (["nothing", "sh"], ["show"]),
    ],
)
def test_bash_offers(tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], offered: list[str]) -> None:
    script = written("bash", tmp_path, capsys)
    for name in ("state.json", "state two.json"):
        (tmp_path / name).touch()
    command = ["bash", "-c", _ASK, "ask", script, "ipvskit", *words]
    found = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert found.stderr == ""
    assert sorted(found.stdout.split("\n")[:-1]) == sorted(offered or [""])


def test_namespaces_are_offered_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script = written("bash", tmp_path, capsys)
    ask = "command() { echo blue; echo brown; }\n" + _ASK
    found = subprocess.run(
        ["bash", "-c", ask, "ask", script, "ipvskit", "-n", "bl"], capture_output=True, text=True, check=True
    )
    assert found.stdout == "blue\n"


# --- zsh ----------------------------------------------------------------------------------------------------------------------------


#: Ctrl-X writes what stands on the line into a file, and clears the line.
_ZSHRC = """
PS1='> '
autoload -U compinit
compinit -D -u
source {script}
show-line() {{ print -r -- "$BUFFER" > line.new; command mv line.new line; BUFFER= }}
zle -N show-line
bindkey '^X' show-line
zle-line-init() {{ : > ready }}
zle -N zle-line-init
"""


class _Zsh:
    """A zsh at a terminal of its own, with the script loaded."""

    def __init__(self, folder: Path, script: str) -> None:
        self._folder = folder
        (folder / ".zshrc").write_text(_ZSHRC.format(script=script))
        pid, self._terminal = pty.fork()
        if pid == 0:
            os.chdir(folder)
            os.environ.update(TERM="dumb", ZDOTDIR=str(folder), HOME=str(folder))
            os.execvp("zsh", ["zsh", "-d", "-i"])
        self._pid = pid
        self._appears("ready")

    def complete(self, typed: str) -> str:
        """The line after Tab was pressed behind what was typed."""
        os.write(self._terminal, f"{typed}\t\x18".encode())
        path = self._appears("line")
        text = path.read_text()
        path.unlink()
        return text.removesuffix("\n")

    def _appears(self, name: str, deadline: float = 15.0) -> Path:
        end, shown = time.monotonic() + deadline, ""
        while not (self._folder / name).exists():
            assert time.monotonic() < end, f"no file {name}: {shown!r}"
            if select.select([self._terminal], [], [], 0.02)[0]:
                shown += os.read(self._terminal, 4096).decode(errors="replace")
        return self._folder / name

    def close(self) -> None:
        os.close(self._terminal)
        os.waitpid(self._pid, 0)


@pytest.mark.skipif(shutil.which("zsh") is None, reason="the Debian package zsh is missing")
def test_zsh_completes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "state.json").touch()
    zsh = _Zsh(tmp_path, written("zsh", tmp_path, capsys))
    try:
        for typed, completed in (
            ("ipvskit sh", "ipvskit show "),
            ("ipvskit -n blue comp", "ipvskit -n blue completion "),
            ("ipvskit show serv", "ipvskit show services "),
            ("ipvskit show sets --js", "ipvskit show sets --json "),
            ("ipvskit show sets web-allow --js", "ipvskit show sets web-allow --json "),
            ("ipvskit drain --undo --we", "ipvskit drain --undo --weight "),
            ("ipvskit save --format y", "ipvskit save --format yaml "),
            ("ipvskit plan sta", "ipvskit plan state.json "),
            ("ipvskit kube app", "ipvskit kube apply "),
            ("ipvskit kube apply --config sta", "ipvskit kube apply --config state.json "),
        ):
            assert zsh.complete(typed) == completed, typed
    finally:
        zsh.close()


def test_wrong_use(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["completion", "fish"])
    assert ended.value.code == 2
    assert "usage: ipvskit completion" in capsys.readouterr().err
