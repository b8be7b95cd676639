"""ipset and `ipvskit ipset` side by side: the same command lines, each in a namespace of its own.

Knows: how to run both, and what may differ between any two runs of one program. Must not know: what commands do.
"""

from __future__ import annotations

import io
import os
import re
import shlex
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from ipvskit import _native
from ipvskit.cli.ipset import main
from ipvskit.testing.namespaces import TestNetNS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

__all__ = ["Command", "Outcome", "Sides", "command", "crashed", "has_initval", "settled_text"]

#: Random unless it was given.
_INITVAL = re.compile(r"(?<=initval )0x[0-9a-f]{8}|(?<=<initval>)0x[0-9a-f]{8}")
#: Seconds pass between the two, in a guest some.
_LATE = re.compile(r"(?<=timeout[ >])(49\d\d|21474[78]\d|[78]\d)\b")
_ON_TIME = {4: "5000", 7: "2147483", 2: "90"}


@dataclass(frozen=True, slots=True)
class Command:
    """Words of a command line, and what comes from standard input."""

    words: tuple[str, ...]
    stdin: bytes = b""

    def __str__(self) -> str:
        return shlex.join(self.words) + (f" <<< {self.stdin!r}" if self.stdin else "")


def command(text: str, stdin: str | bytes = "") -> Command:
    """From the text of a command line."""
    return Command(tuple(shlex.split(text)), stdin.encode() if isinstance(stdin, str) else stdin)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a command."""

    status: int
    stdout: bytes
    stderr: bytes

    def settled(self, *, ordered: bool) -> tuple[int, str, str]:
        """Without what differs between any two runs; members of hashes come in any order, where the kernel takes no initval."""
        texts = [settled_text(raw.decode("utf-8", "surrogateescape")) for raw in (self.stdout, self.stderr)]
        if not ordered:
            texts[0] = "\n".join(sorted(texts[0].split("\n")))
        return self.status, texts[0], texts[1]


def settled_text(text: str) -> str:
    """See `Outcome.settled`."""
    return _LATE.sub(lambda found: _ON_TIME[len(found[0])], _INITVAL.sub("*", text))


def crashed(outcome: Outcome) -> bool:
    """Whether the program died of a signal."""
    return outcome.status < 0


class _Side:
    """A namespace with a thread in it."""

    def __init__(self) -> None:
        self.namespace = TestNetNS()
        self._pool = ThreadPoolExecutor(1)
        self.call(lambda: _native.netns_enter(self.namespace.fileno()))

    def call(self, act: Callable[[], Any]) -> Any:
        """Do it inside."""
        return self._pool.submit(act).result(60)

    def program(self, words: Sequence[str], stdin: bytes = b"") -> Outcome:
        """Run a program inside."""
        found = self.call(
            lambda: subprocess.run(list(words), input=stdin, capture_output=True, check=False, timeout=60)
        )
        return Outcome(found.returncode, found.stdout, found.stderr)

    def close(self) -> None:
        self._pool.shutdown()
        self.namespace.close()


class Sides:
    """Both programs."""

    def __init__(self) -> None:
        self._theirs, self._ours = _Side(), _Side()
        #: Whether elements of hashes come in the same order in both.
        self.ordered = True

    def theirs(self, what: Command) -> Outcome:
        """The answer of ipset."""
        return self._theirs.program(["ipset", *what.words], what.stdin)

    def ours(self, what: Command) -> Outcome:
        """Ours, within this process."""
        return self._ours.call(lambda: _within(what))  # type: ignore[no-any-return]

    def ours_alone(self, what: Command) -> Outcome:
        """Ours, as a process of its own."""
        program = "import sys; from ipvskit.cli.ipset import main; sys.exit(main())"
        return self._ours.program([sys.executable, "-c", program, *what.words], what.stdin)

    def states(self, *, ordered: bool = False) -> tuple[tuple[int, str, str], tuple[int, str, str]]:
        """What ipset sees in both."""
        save = ["ipset", "save"]
        return (
            self._theirs.program(save).settled(ordered=ordered),
            self._ours.program(save).settled(ordered=ordered),
        )

    def clean(self) -> None:
        """No sets in either."""
        for side in (self._theirs, self._ours):
            side.program(["ipset", "flush"])
            side.program(["ipset", "destroy"])

    def close(self) -> None:
        self._theirs.close()
        self._ours.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _within(what: Command) -> Outcome:
    """The program's output is caught where Python has it, its input comes from a file in place of descriptor 0."""
    outputs = [io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2)]
    before = sys.stdout, sys.stderr
    with tempfile.TemporaryFile() as stdin:
        stdin.write(what.stdin)
        stdin.seek(0)
        saved = os.dup(0)
        os.dup2(stdin.fileno(), 0)
        sys.stdout, sys.stderr = outputs
        try:
            status = main(what.words)
        finally:
            sys.stdout, sys.stderr = before
            os.dup2(saved, 0)
            os.close(saved)
    raw = [output.buffer.getvalue() for output in outputs]
    return Outcome(status, raw[0], raw[1])


def has_initval(sides: Sides) -> bool:
    """Whether the kernel takes initval, so that hashes are the same in both."""
    sides.theirs(command("create probe hash:ip initval 1"))
    found = b"initval" in sides.theirs(command("save probe")).stdout
    sides.clean()
    return found
