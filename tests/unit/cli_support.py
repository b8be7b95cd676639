"""The command line on a fake kernel: what it says, and how it ends.

Knows: the entry point, standard streams. Must not know: any command.
"""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING, NamedTuple

import pytest

from ipvskit.cli.main import main
from ipvskit.testing.fake import FakeKernel

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Said", "Terminal", "runner"]


class Said(NamedTuple):
    """What a command came to."""

    status: int
    out: str
    err: str


class Terminal(io.StringIO):
    """Text that somebody types or reads."""

    def isatty(self) -> bool:
        return True


Runner = "Callable[..., Said]"


def runner(
    fake: FakeKernel, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Said]:
    """`run(*words, text=..., terminal=...)`: the command on this kernel; `text` comes from standard input."""
    namespaces: list[object] = []

    def opened(netns: object = None) -> FakeKernel:
        namespaces.append(netns)
        return FakeKernel(same_as=fake)

    monkeypatch.setattr("ipvskit.kernel.Kernel", opened)

    def run(*words: str, text: str = "", terminal: bool = False) -> Said:
        monkeypatch.setattr(sys, "stdin", Terminal(text) if terminal else io.StringIO(text))
        monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal, raising=False)
        capsys.readouterr()
        try:
            status = main(words)
        except SystemExit as ended:
            status = ended.code if isinstance(ended.code, int) else 1
        return Said(status, *capsys.readouterr())

    run.namespaces = namespaces  # type: ignore[attr-defined] # for the test that asks
    return run
