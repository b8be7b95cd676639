"""Other processes that change the same tables while plans are applied: one with ipvskit, and the tools ipvsadm and ipset.

Knows: what they leave behind is theirs, to the last entry. Must not know: how the engine notices them.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import textwrap
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

import ipvskit as ik
from tests.kernel.ipset_support import IN_A_GUEST, THOROUGH
from tests.kernel.test_engine_rivals import OURS, random_state

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ipvskit.testing.namespaces import TestNetNS

WHOLE = [pytest.param(False, id="sets", marks=pytest.mark.ipset), pytest.param(True, id="all", marks=pytest.mark.ipvs)]
ROUNDS = 200 if THOROUGH else 40 if IN_A_GUEST else 100
THEIRS = "198.51.100.1:80/tcp"

#: Works on what is ours, and on its own; when told to stop it says what it left of its own.
_PROCESS = textwrap.dedent(
    """
    import json, os, random, select, sys
    import ipvskit as ik
    ipvs = sys.argv[1] == "ipvs"
    chance = random.Random(5)
    def beside(kernel):
        name = chance.choice(["web-1", "web-2", "web-3"])
        key = f"192.0.2.{chance.randint(1, 4)}:80/tcp"
        def swap():
            kernel.ipset.create("rival hash:ip", exist=True)
            kernel.ipset.swap(name, "rival")
        sets = [
            lambda: kernel.ipset.replace(name, [f"10.1.0.{one}" for one in range(1, chance.randint(2, 99))], grow=True),
            lambda: kernel.ipset.flush(name),
            lambda: kernel.ipset.destroy(name),
            lambda: kernel.ipset.create(f"{name} hash:ip,port"),
            lambda: kernel.ipset.add("theirs-list", name),
            lambda: kernel.ipset.delete("theirs-list", name),
            swap,
        ]
        services = [
            lambda: kernel.ipvs.add_real(key, f"10.0.0.{chance.randint(1, 9)}:80"),
            lambda: kernel.ipvs.update_real(key, f"10.0.0.{chance.randint(1, 9)}:80", weight=chance.randint(0, 9)),
            lambda: kernel.ipvs.update_service(key, scheduler=chance.choice(["rr", "sed", "mh"])),
            lambda: kernel.ipvs.delete_service(key),
            lambda: kernel.ipvs.add_service(ik.VirtualService(key, reals=["10.0.0.8:80"])),
        ]
        chance.choice(sets + services if ipvs else sets)()
    with ik.Kernel() as kernel:
        kernel.ipset.create("theirs hash:ip counters comment")
        kernel.ipset.create("theirs-list list:set")
        if ipvs:
            kernel.ipvs.add_service(ik.VirtualService("198.51.100.1:80/tcp", reals=["10.9.0.1:80"]))
        print("ready", flush=True)
        rounds = 0
        while not select.select([0], [], [], 0)[0]:
            rounds += 1
            kernel.ipset.replace("theirs", [f'10.7.0.{one} comment "{rounds}"' for one in range(1, chance.randint(2, 60))])
            if ipvs:
                kernel.ipvs.update_real("198.51.100.1:80/tcp", "10.9.0.1:80", weight=rounds % 100)
            try:
                beside(kernel)
            except ik.IpvskitError:
                pass
        kernel.ipset.flush("theirs-list")
        kernel.ipset.destroy("rival", exist=True)
        service = kernel.ipvs.service("198.51.100.1:80/tcp") if ipvs else ""
        print(json.dumps({"rounds": rounds, "set": kernel.ipset.save("theirs"), "service": str(service)}), flush=True)
    """
)

#: The same with the installed tools: what it leaves of its own follows from how often it went round.
_TOOLS = textwrap.dedent(
    """
    n=0
    ipset create theirs hash:ip
    [ "$1" = ipvs ] && ipvsadm -A -t 198.51.100.1:80 && ipvsadm -a -t 198.51.100.1:80 -r 10.9.0.1:80 -m
    echo ready
    while [ ! -e "$2" ]; do
        n=$((n + 1))
        ipset add theirs 10.7.$((n / 250)).$((n % 250 + 1))
        ipset -exist add web-1 10.1.9.9
        [ $((n % 3)) = 0 ] && ipset flush web-2
        [ $((n % 7)) = 0 ] && ipset destroy web-3
        ipset -exist create web-3 hash:net
        if [ "$1" = ipvs ]; then
            ipvsadm -e -t 198.51.100.1:80 -r 10.9.0.1:80 -m -w $n
            ipvsadm -a -t 192.0.2.1:80 -r 10.0.0.77:80 -m
            ipvsadm -d -t 192.0.2.2:80 -r 10.0.0.1:80
            [ $((n % 5)) = 0 ] && ipvsadm -D -t 192.0.2.3:80
            [ $((n % 5)) = 1 ] && ipvsadm -A -t 192.0.2.3:80 -s wlc
        fi
    done 2>/dev/null
    echo "{\\"rounds\\": $n}"
    """
)


@contextmanager
def running(namespace: TestNetNS, command: list[str]) -> Iterator[subprocess.Popen[str]]:
    """The rival, from when it says that it is ready."""
    process = namespace.popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.kill()
        process.communicate(timeout=60)


def apply_against(kernel: ik.Kernel, *, ipvs: bool) -> tuple[int, int]:
    """Plans in a loop; returns how many were overtaken, and how many changes failed. Nothing is raised but what is documented."""
    chance = random.Random(2)
    overtaken = failed = 0
    for _ in range(ROUNDS):
        state = random_state(chance, ipvs=ipvs).updated(sets=["web-3 hash:net comment"])
        try:
            atomic = chance.random() < 0.5
            done = ik.reconcile(kernel, state, scope=OURS, atomic=atomic, max_deletes=1.0, attempts=2)
        except (ik.StalePlan, ik.InconsistentDump):
            overtaken += 1
            continue
        for failure in done.report.failures:
            assert isinstance(failure.error, ik.KernelError | ik.BulkFailed), str(failure)
        failed += len(done.report.failures)
    return overtaken, failed


def check_afterwards(kernel: ik.Kernel, *, ipvs: bool) -> None:
    """Once the rival has stopped, one pass is enough."""
    state = random_state(random.Random(9), ipvs=ipvs).updated(sets=["web-3 hash:net comment"])
    done = ik.reconcile(kernel, state, scope=OURS, max_deletes=1.0, attempts=1)
    assert done.ok, (str(done.report), str(done.left))
    assert not ik.diff(kernel.snapshot(), state, scope=OURS)
    assert not [name for name in kernel.ipset.names() if name.startswith("ipvskit-tmp-")]


@pytest.mark.parametrize("ipvs", WHOLE)
def test_a_process_with_ipvskit(namespace: TestNetNS, ipvs: bool) -> None:
    with ik.Kernel(namespace) as kernel:
        with running(namespace, [sys.executable, "-c", _PROCESS, "ipvs" if ipvs else "sets"]) as process:
            overtaken, _ = apply_against(kernel, ipvs=ipvs)
            assert overtaken < ROUNDS
            said, _ = process.communicate("stop\n", timeout=60)
        left: dict[str, Any] = json.loads(said)
        assert left["rounds"] > 10
        check_afterwards(kernel, ipvs=ipvs)
        assert kernel.ipset.save("theirs") == left["set"]
        assert ("" if not ipvs else str(kernel.ipvs.service(THEIRS))) == left["service"]


@pytest.mark.parametrize("ipvs", WHOLE)
def test_the_tools(namespace: TestNetNS, ipvs: bool, tmp_path: Path) -> None:
    stop = tmp_path / "stop"
    with ik.Kernel(namespace) as kernel:
        with running(namespace, ["sh", "-c", _TOOLS, "sh", "ipvs" if ipvs else "sets", str(stop)]) as process:
            overtaken, _ = apply_against(kernel, ipvs=ipvs)
            assert overtaken < ROUNDS
            stop.touch()
            said, _ = process.communicate(timeout=60)
        rounds = json.loads(said)["rounds"]
        assert rounds > 3
        check_afterwards(kernel, ipvs=ipvs)
        numbers = range(1, rounds + 1)
        assert set(kernel.ipset.entries("theirs").to_text().split()) == {f"10.7.{one // 250}.{one % 250 + 1}" for one in numbers}  # fmt: skip
        if ipvs:
            assert [(real.endpoint, real.weight) for real in kernel.ipvs.reals(THEIRS)] == [("10.9.0.1:80", rounds)]
