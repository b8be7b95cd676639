"""The C floor as a program that stays: built, started, asked.

Knows: floor.c's commands, the compiler. Must not know: what the messages mean.
"""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ipvskit import NetNS

__all__ = ["FOLDER", "UNRESOLVED", "Floor", "FloorError", "build", "floor"]

FOLDER = Path("build/bench")
SOURCE = Path(__file__).with_name("floor.c")
PROGRAM = FOLDER / "floor"

#: The message type that stands for the family until the floor has asked the kernel for its number.
UNRESOLVED = 0xFFFF


class FloorError(Exception):
    """The floor could not be built, or had trouble."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one command came to."""

    seconds: float
    refused: int
    received: int


def build() -> None:
    """Compile it unless that is done. On the host, before the guest starts: compiling there is slow."""
    if PROGRAM.exists() and PROGRAM.stat().st_mtime > SOURCE.stat().st_mtime:
        return
    compiler = os.environ.get("CC") or shutil.which("cc")
    if compiler is None:
        raise FloorError("no C compiler: install one, or set CC")
    FOLDER.mkdir(parents=True, exist_ok=True)
    command = [*compiler.split(), "-std=c11", "-D_GNU_SOURCE", "-O2", str(SOURCE), "-o", str(PROGRAM)]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    if built.returncode != 0:
        raise FloorError(f"floor.c does not compile:\n{built.stderr}")


class Floor:
    """The floor for one generic-netlink family, or for "netfilter"."""

    def __init__(self, family: str) -> None:
        build()
        self._process = subprocess.Popen(
            [str(PROGRAM), family], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        atexit.register(self.close)

    def send(self, namespace: NetNS, messages: Path, portion: int) -> Outcome:
        """Send the file's messages in portions of so many bytes, without acknowledgement, and a barrier."""
        return self._ask("send", namespace, messages, portion)

    def dump(self, namespace: NetNS, messages: Path, room: int) -> Outcome:
        """Send the file's dump requests one by one, and throw away the answers, received into so many bytes."""
        return self._ask("dump", namespace, messages, room)

    def close(self) -> None:
        """End it."""
        self._process.communicate()

    def _ask(self, what: str, namespace: NetNS, messages: Path, size: int) -> Outcome:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{what} /proc/{os.getpid()}/fd/{namespace.fileno()} {messages} {size}\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline().split()
        if not answer or answer[0] == "error":
            raise FloorError("floor: " + (" ".join(answer[1:]) or "ended"))
        nanoseconds, refused, received = map(int, answer)
        if refused:
            raise FloorError(f"floor: the kernel refused {refused} messages of {messages}")
        return Outcome(nanoseconds / 1e9, refused, received)


@functools.cache
def floor(family: str) -> Floor:
    """The one of this run."""
    return Floor(family)
