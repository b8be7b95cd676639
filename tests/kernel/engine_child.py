"""A process that applies plans and is killed: before its n-th send, or after some time.

    python -m tests.kernel.engine_child NETNS LEDGER

A line of standard input is an order: {"state": TEXT, "send": N}, N counted in the first plan, or {"state": TEXT, "after": SECONDS}, "drain" having
seconds of patience, "atomic" with contents by swap. For each a process is forked, which reconciles and dies; its exit status is answered. Forking
costs a tenth of starting one.

Knows: where something is sent. Must not know: what becomes of it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import ipvskit as ik
from ipvskit.netlink import Connection

if TYPE_CHECKING:
    from ipvskit.testing.namespaces import TestNetNS

__all__ = ["Child"]


class Child:
    """Such a process, to give orders to."""

    def __init__(self, namespace: TestNetNS, ledger: Path) -> None:
        self.ledger = ledger
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.kernel.engine_child", str(namespace.fileno()), str(ledger)],
            pass_fds=[namespace.fileno()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def reconcile(self, state: ik.State, **order: Any) -> bool:
        """Have it done; returns whether it was killed. Anything but death is a failure."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"state": state.dump(), **order}) + "\n")
        self._process.stdin.flush()
        status = self._process.stdout.readline().strip()
        assert status in {"0", str(-signal.SIGKILL)}, f"the child ended with {status!r}"
        return status != "0"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=60)


def _count_down(sends: int) -> None:
    """Die before the send of this number, counted from when the first plan is noted in the ledger until that is done with; notes count too."""
    left, counting = sends, False

    def counted(of: type, name: str, *, starts: bool = False, ends: bool = False) -> None:
        call = getattr(of, name)

        def method(self: Any, *arguments: Any, **options: Any) -> Any:
            nonlocal left, counting
            counting = counting or starts
            if counting:
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                left -= 1
            result = call(self, *arguments, **options)
            counting = counting and not ends
            return result

        setattr(of, name, method)

    for name in ("exchange", "exchange_bytes", "dump", "dump_into"):
        counted(Connection, name)
    counted(ik.Ledger, "begin", starts=True)
    counted(ik.Ledger, "finish", ends=True)


def _reconcile(order: dict[str, Any], netns: int, ledger: str) -> None:
    if "send" in order:
        _count_down(order["send"])
    drain = ik.Drain(deadline=order["drain"]) if "drain" in order else None
    with ik.Kernel(os.fdopen(netns, "rb", closefd=False)) as kernel:
        while True:
            book = ik.Ledger(ledger)
            state = ik.State.load(order["state"])
            ik.reconcile(kernel, state, ledger=book, drain=drain, atomic=order.get("atomic", False), max_deletes=1.0)
            if "after" not in order:
                return
            # Until it is killed, there and back.
            ik.reconcile(kernel, ik.State(), ledger=book, drain=drain, max_deletes=1.0)


def _forked(order: dict[str, Any], netns: int, ledger: str) -> int:
    process = os.fork()
    if process == 0:
        try:
            _reconcile(order, netns, ledger)
        except BaseException as error:
            print(repr(error), *getattr(error, "__notes__", ()), file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    if "after" in order:
        time.sleep(order["after"])
        os.kill(process, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def _warm_up(netns: int) -> None:
    """Import what is imported with its first use: a forked process would do it again and again."""
    with ik.Kernel(os.fdopen(netns, "rb", closefd=False)) as kernel:
        ik.reconcile(kernel, ik.State.load(ik.State().dump()), drain=ik.Drain())
        wanted = ik.State(sets=[ik.Set("warm", "list:set", entries=[])])
        for state in (wanted, ik.State()):
            ik.reconcile(kernel, state, scope=ik.Scope(sets=["warm"]), atomic=True, max_deletes=1.0)


if __name__ == "__main__":
    _warm_up(int(sys.argv[1]))
    for line in sys.stdin:
        print(_forked(json.loads(line), int(sys.argv[1]), sys.argv[2]), flush=True)
