"""Programs inside of a namespace.

Knows: namespaces. Must not know: which programs the library runs.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest

import ipvskit as ik
from ipvskit.netns import NetNS

INODE = ["stat", "-L", "-c", "%i", "/proc/self/ns/net"]


def inode(netns: NetNS) -> str:
    return f"{os.fstat(netns.fileno()).st_ino}\n"


def test_a_program_runs_inside_and_the_caller_stays_where_it_is() -> None:
    with NetNS.current() as here, NetNS.create() as there:
        assert there.run(INODE).stdout == inode(there) != inode(here)
        assert f"{os.stat('/proc/thread-self/ns/net').st_ino}\n" == inode(here)
        assert here.run(INODE).stdout == inode(here)


def test_input_output_and_status() -> None:
    with NetNS.create() as there:
        done = there.run(["sh", "-c", "cat; echo no >&2; exit 7"], input="some text")
        assert (done.returncode, done.stdout, done.stderr) == (7, "some text", "no\n")
        with pytest.raises(subprocess.CalledProcessError):
            there.run(["false"], check=True)


def test_a_program_that_does_not_end_is_killed() -> None:
    with NetNS.create() as there, pytest.raises(subprocess.TimeoutExpired):
        there.run(["sleep", "60"], timeout=0.2)


def test_what_cannot_be() -> None:
    with NetNS.create() as there:
        with pytest.raises(FileNotFoundError):
            there.run(["no-such-program-anywhere"])
        there.close()
        with pytest.raises(ik.NamespaceNotFound):
            there.run(["true"])
    with open("/dev/null", "rb") as file:
        nonsense = NetNS.from_fd(file.fileno())
    with nonsense, pytest.raises(ik.KernelError, match="enter network namespace"):
        nonsense.run(["true"])


def test_many_threads_each_in_its_own() -> None:
    found: dict[int, bool] = {}

    def one(number: int) -> None:
        with NetNS.create() as there:
            found[number] = there.run(INODE).stdout == inode(there)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert found == dict.fromkeys(range(8), True)


def test_without_privileges_the_own_namespace_will_do() -> None:
    script = """
from ipvskit import KernelError
from ipvskit.netns import NetNS
with NetNS.current() as here, NetNS.from_pid(PARENT) as there:
    print(here.run(["echo", "fine"]).stdout, end="")
    try:
        there.run(["true"])
    except KernelError as error:
        print(type(error).__name__)
"""
    with NetNS.create() as other:
        waiting = other._inside(lambda: subprocess.Popen(["sleep", "60"]))
        try:
            command = ["setpriv", "--bounding-set=-net_admin,-sys_admin", sys.executable, "-c"]
            text = script.replace("PARENT", str(waiting.pid))
            done = subprocess.run([*command, text], capture_output=True, text=True, timeout=60, check=False)
        finally:
            waiting.kill()
            waiting.wait()
    assert done.stdout == "fine\nPermissionDenied\n", done.stderr
