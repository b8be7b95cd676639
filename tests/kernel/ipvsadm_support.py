"""ipvsadm(8) and ours side by side: the same command lines in two namespaces, or both in one.

Knows: how either is run and what it leaves behind. Must not know: any particular command line.
"""

from __future__ import annotations

import contextlib
import io
import shlex
import shutil
import sys
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

import ipvskit as ik
from ipvskit.cli.ipvsadm import main
from ipvskit.testing.namespaces import TestNetNS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["TOOL", "Ended", "Pair", "fresh_pair", "our", "their", "words_of"]

LISTING = ("-L", "-l", "-S", "--list", "--save")
ATTEMPTS = 5
TOOL = shutil.which("ipvsadm", path="/usr/sbin:/sbin")


class Ended(NamedTuple):
    """How a command ended. Texts are bytes: nothing is taken for equal that is not."""

    status: int
    out: bytes
    err: bytes


def words_of(line: str) -> list[str]:
    """A command line as a shell takes it apart."""
    return shlex.split(line)


def their(namespace: TestNetNS, words: Sequence[str], text: bytes = b"") -> Ended:
    """The tool."""
    if TOOL is None:
        pytest.fail("the Debian package ipvsadm is missing; make test installs it")
    options = {"executable": TOOL, "input": text, "text": False}
    done: Any = namespace.run(["ipvsadm", *words], check=False, **options)
    return Ended(done.returncode, done.stdout, done.stderr)


def our(namespace: TestNetNS, words: Sequence[str], text: bytes = b"") -> Ended:
    """Ours, in this process: starting another costs half a second in a guest."""
    streams = [io.TextIOWrapper(io.BytesIO(data), encoding="utf-8") for data in (text, b"", b"")]
    stdin, stdout, stderr = streams

    def run() -> int:
        before = sys.stdin
        sys.stdin = stdin
        try:
            with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
                return main(list(words)) & 0xFF
        finally:
            sys.stdin = before

    status = namespace._inside(run)
    stdout.flush()
    stderr.flush()
    return Ended(status, *(one.buffer.getvalue() for one in (stdout, stderr)))


class Pair:
    """Two namespaces: in one of them the tool works, in the other ours."""

    def __init__(self, theirs: TestNetNS, ours: TestNetNS) -> None:
        self.theirs, self.ours = theirs, ours
        self.compared = 0
        self._kernels = ik.Kernel(theirs), ik.Kernel(ours)

    def close(self) -> None:
        for kernel in self._kernels:
            kernel.close()

    def both(self, line: str | Sequence[str], text: str | bytes = b"") -> Ended:
        """The same command with each; they must end alike.

        Lists are both made in one namespace: the tool sorts by differences that turn around, so the order may depend on that of the kernel.
        """
        words = words_of(line) if isinstance(line, str) else list(line)
        if words and words[0].startswith(LISTING):
            return self.same(words)
        data = text if isinstance(text, bytes) else text.encode()
        theirs, ours = their(self.theirs, words, data), our(self.ours, words, data)
        assert ours == theirs, f"{words}\ntheirs: {theirs}\nours:   {ours}"
        self.compared += 1
        return ours

    def same(self, line: str | Sequence[str]) -> Ended:
        """A command that changes nothing with each, in the same namespace; they must end alike.

        Kernels with a table of services that grows in the background list it in another order then; so it must be the same before and after.
        """
        words = words_of(line) if isinstance(line, str) else list(line)
        for _ in range(ATTEMPTS):
            order = self._order()
            theirs, ours = their(self.theirs, words), our(self.theirs, words)
            if order == self._order():
                break
        assert ours == theirs, f"{words}\ntheirs: {theirs}\nours:   {ours}"
        self.compared += 1
        return ours

    def check(self) -> None:
        """What is in the kernel is the same in both."""
        one, other = (self._state(kernel) for kernel in self._kernels)
        assert one == other

    def _order(self) -> list[ik.ServiceKey]:
        return [service.key for service in self._kernels[0].ipvs.services(reals=False)]

    @staticmethod
    def _state(kernel: ik.Kernel) -> tuple[object, ...]:
        ipvs = kernel.ipvs
        services = {service.key: service for service in ipvs.services()}
        return services, ipvs.timeouts(), {daemon.role: str(daemon) for daemon in ipvs.daemons()}


@contextlib.contextmanager
def fresh_pair() -> Iterator[Pair]:
    """A pair of fresh namespaces; at the end what they hold is compared."""
    with TestNetNS() as theirs, TestNetNS() as ours:
        pair = Pair(theirs, ours)
        try:
            yield pair
            pair.check()
        finally:
            pair.close()


def settle() -> None:
    """Wait until a sync daemon that was started has run: the kernel swallows the answer to whoever stops it before, and the tool waits for ever."""
    time.sleep(0.3)
