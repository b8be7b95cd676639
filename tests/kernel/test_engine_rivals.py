"""Others who change the same tables, and processes that are killed: nothing foreign is touched, and the next pass converges.

Knows: what may be met while plans are applied. Must not know: how the engine copes.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import textwrap
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Self

import pytest

import ipvskit as ik
from tests.kernel.ipset_support import IN_A_GUEST, THOROUGH

if TYPE_CHECKING:
    from pathlib import Path

    from ipvskit.testing.namespaces import TestNetNS

ROUNDS = 100 if THOROUGH or not IN_A_GUEST else 30
OURS = ik.Scope(vips=["192.0.2.0/24"], sets=["web-*"])
THEIRS = "198.51.100.1:80/tcp"


def random_state(chance: random.Random, *, ipvs: bool) -> ik.State:
    services = []
    for number in range(1, 5) if ipvs else ():
        reals = [
            f"10.0.0.{real}:80 weight={chance.randint(0, 5)}"
            for real in chance.sample(range(1, 9), chance.randint(0, 6))
        ]
        services.append(
            ik.VirtualService(f"192.0.2.{number}:80/tcp", scheduler=chance.choice(("rr", "wlc")), reals=reals)
        )
    entries = [f"10.1.0.{one}" for one in chance.sample(range(1, 200), chance.randint(0, 100))]
    sets = [
        ik.Set("web-1", "hash:ip", entries=entries),
        ik.Set("web-2", "hash:net", maxelem=chance.choice((64, 1000)), entries=["10.0.0.0/8"]),
    ]
    return ik.State(chance.sample(services, chance.randint(0, len(services))), sets=sets)


class Rival(threading.Thread):
    """Changes what is ours, and what is its own, as fast as it can."""

    def __init__(self, namespace: TestNetNS, *, ipvs: bool) -> None:
        super().__init__()
        self._namespace, self._ipvs = namespace, ipvs
        self._end = threading.Event()
        self.trouble: list[BaseException] = []

    def run(self) -> None:
        chance = random.Random(1)
        with ik.Kernel(self._namespace) as kernel:
            while not self._end.is_set():
                with suppress(ik.KernelError, ik.BulkFailed):
                    self._change(kernel, chance)

    def _change(self, kernel: ik.Kernel, chance: random.Random) -> None:
        kernel.ipset.add("theirs", f"10.7.0.{chance.randint(1, 250)}", exist=True)
        kernel.ipset.add("web-1", f"10.1.0.{chance.randint(1, 200)}", exist=True)
        kernel.ipset.delete("web-1", f"10.1.0.{chance.randint(1, 200)}", exist=True)
        if not self._ipvs:
            return
        key = f"192.0.2.{chance.randint(1, 4)}:80/tcp"
        kernel.ipvs.update_real(THEIRS, "10.9.0.1:80", weight=chance.randint(1, 9))
        chance.choice(
            (
                lambda: kernel.ipvs.add_real(key, f"10.0.0.{chance.randint(1, 9)}:80"),
                lambda: kernel.ipvs.delete_real(key, f"10.0.0.{chance.randint(1, 9)}:80"),
                lambda: kernel.ipvs.delete_service(key),
                lambda: kernel.ipvs.add_service(ik.VirtualService(key)),
            )
        )()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self.join(30)


@pytest.mark.parametrize(
    "ipvs", [pytest.param(False, marks=pytest.mark.ipset), pytest.param(True, marks=pytest.mark.ipvs)]
)
def test_a_rival_thread(namespace: TestNetNS, ipvs: bool) -> None:
    chance = random.Random(2)
    with ik.Kernel(namespace) as kernel:
        kernel.ipset.create("theirs hash:ip")
        kernel.ipset.create("web-1 hash:ip")
        if ipvs:
            kernel.ipvs.add_service(ik.VirtualService(THEIRS, reals=["10.9.0.1:80", "10.9.0.2:80 weight=0"]))
        overtaken = 0
        with Rival(namespace, ipvs=ipvs):
            for _ in range(ROUNDS):
                try:
                    ik.reconcile(kernel, random_state(chance, ipvs=ipvs), scope=OURS, max_deletes=1.0, attempts=2)
                except (ik.StalePlan, ik.InconsistentDump):
                    overtaken += 1
        state = random_state(chance, ipvs=ipvs)
        done = ik.reconcile(kernel, state, scope=OURS, max_deletes=1.0)
        assert done.ok, (str(done.report), str(done.left), overtaken)
        assert kernel.ipset.entries("theirs")
        if ipvs:
            assert [real.endpoint for real in kernel.ipvs.reals(THEIRS)] == ["10.9.0.1:80", "10.9.0.2:80"]


@pytest.mark.ipvs
def test_rival_tools(namespace: TestNetNS) -> None:
    chance = random.Random(3)
    with ik.Kernel(namespace) as kernel:
        kernel.ipvs.info()
        for _ in range(6):
            plan = ik.diff(kernel.snapshot(OURS), random_state(chance, ipvs=True), scope=OURS).guard(1.0)
            namespace.run(["ipvsadm", "-A", "-t", "198.51.100.1:80"], check=False)
            namespace.run(["ipvsadm", "-a", "-t", "192.0.2.1:80", "-r", "10.0.0.77:80", "-m"], check=False)
            namespace.run(["ipset", "-exist", "create", "theirs", "hash:ip"], check=False)
            namespace.run(["ipset", "-exist", "add", "web-1", "10.1.9.9"], check=False)
            with suppress(ik.StalePlan):
                kernel.apply(plan)
        state = random_state(chance, ipvs=True)
        assert ik.reconcile(kernel, state, scope=OURS, max_deletes=1.0).ok
        assert "theirs" in kernel.ipset.names()
        assert kernel.ipvs.service("198.51.100.1:80/tcp")


CHILD = textwrap.dedent(
    """
    import json, os, random, signal, sys
    import ipvskit as ik
    from ipvskit.netlink import Connection
    from tests.kernel.test_engine_rivals import OURS, random_state

    descriptor, ipvs, number, seed, ledger = int(sys.argv[1]), sys.argv[2] == "ipvs", int(sys.argv[3]), int(sys.argv[4]), sys.argv[5]
    kernel = ik.Kernel(os.fdopen(descriptor, "rb", closefd=False))
    book = ik.Ledger(ledger)
    plan = ik.diff(kernel.snapshot(), random_state(random.Random(seed), ipvs=ipvs), scope=OURS, atomic=True).guard(1.0)
    left = number
    for name in ("exchange", "exchange_bytes"):
        def counted(self, *arguments, _call=getattr(Connection, name), **options):
            global left
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return _call(self, *arguments, **options)
        setattr(Connection, name, counted)
    kernel.apply(plan, ledger=book)
    """
)


@pytest.mark.parametrize(
    "ipvs", [pytest.param(False, marks=pytest.mark.ipset), pytest.param(True, marks=pytest.mark.ipvs)]
)
def test_killed_between_two_sends(namespace: TestNetNS, ipvs: bool, tmp_path: Path) -> None:
    """A process that is killed before its n-th send, for every n until it comes to its end."""
    ledger = tmp_path / "ledger.json"
    with ik.Kernel(namespace) as kernel:
        ik.reconcile(kernel, random_state(random.Random(10), ipvs=ipvs), scope=OURS)
        killed = 0
        for number in range(200):
            seed = 11 + number
            child = subprocess.run(
                [
                    sys.executable,
                    "-c",
                    CHILD,
                    str(namespace.fileno()),
                    "ipvs" if ipvs else "sets",
                    str(number),
                    str(seed),
                    str(ledger),
                ],
                pass_fds=[namespace.fileno()],
                check=False,
                capture_output=True,
                text=True,
                timeout=60,
            )
            assert child.returncode in {0, -signal.SIGKILL}, child.stderr
            killed += child.returncode != 0
            if ledger.exists():
                json.loads(ledger.read_text())
            done = ik.reconcile(
                kernel,
                random_state(random.Random(seed), ipvs=ipvs),
                scope=OURS,
                max_deletes=1.0,
                ledger=ik.Ledger(ledger),
            )
            assert done.ok, (number, str(done.report), str(done.left))
            assert not [name for name in kernel.ipset.names() if name.startswith("ipvskit-tmp-")]
            if child.returncode == 0:
                break
        assert killed > 5
        assert not [each for each in os.listdir(tmp_path) if each.startswith(".ledger") and each.endswith(".json.")]
