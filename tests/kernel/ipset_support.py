"""What tests of ipset on a kernel share: another program's listing that does not end, programs run inside, what a kernel lacks.

Knows: how to be in the way. Must not know: what the library does about it.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pytest

import ipvskit as ik
from ipvskit import _native
from ipvskit._native.ipset import encode_commands
from ipvskit.ipset import commands
from ipvskit.ipset.client import Ipset
from ipvskit.ipset.commands import Command
from ipvskit.ipset.waiting import Patience

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ipvskit import Elements, Entry, Set
    from ipvskit.testing.namespaces import TestNetNS

__all__ = ["HeldDump", "impatient", "need_type", "run_python", "start_python"]

_NETLINK_NETFILTER = 12


class HeldDump:
    """Another program that began to list a set and does not read on: the set is held until it does, or goes away."""

    def __init__(self, namespace: TestNetNS, name: str | None) -> None:
        packed = commands.command(Command.LIST, name, flags=commands.NLM_F_DUMP)
        message = bytearray(4096)
        _, used = encode_commands(packed, message)
        descriptor = _native.netns_socket(namespace.fileno(), socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER)
        self._socket = socket.socket(fileno=descriptor)
        self._socket.settimeout(5)
        self._socket.send(message[:used])
        first = self._socket.recv(4096)
        if not first or self._ends(first):
            raise AssertionError("the set is too small for its listing to be held")

    @staticmethod
    def _ends(datagram: bytes) -> bool:
        return datagram[4:6] in {b"\2\0", b"\3\0"}  # NLMSG_ERROR, NLMSG_DONE

    def drain(self) -> None:
        """Read to the end: the set is let go."""
        while not self._ends(self._socket.recv(1 << 16)):
            pass

    def drain_after(self, seconds: float) -> threading.Thread:
        """Read to the end, but later, in a thread."""

        def run() -> None:
            time.sleep(seconds)
            self.drain()

        thread = threading.Thread(target=run)
        thread.start()
        return thread

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()


IN_A_GUEST = "User Mode Linux" in Path("/proc/cpuinfo").read_text()
THOROUGH = bool(os.environ.get("IPVSKIT_THOROUGH"))


def examples(count: int) -> int:
    """How many examples a property is tried with: fewer in a guest, where each takes several times as long; all with IPVSKIT_THOROUGH set."""
    return max(5, count // 4) if IN_A_GUEST and not THOROUGH else count


def impatient(kernel: ik.Kernel, listed: float = 0.2, released: float = 0.1) -> Ipset:
    """The same client, less patient."""
    return Ipset(kernel.ipset._asking.transport, kernel._own, Patience(listed, released))


def need_type(kernel: ik.Kernel, name: str) -> None:
    """Skip the test where the kernel has no such type."""
    if name not in kernel.ipset.types():
        pytest.skip(f"this kernel has no {name}")


def run_python(
    namespace: TestNetNS, program: str, *arguments: str, before: Sequence[str] = (), **options: Any
) -> subprocess.CompletedProcess[str]:
    """A Python program inside the namespace, started through `before`."""
    return namespace.run([*before, sys.executable, "-c", program, *arguments], **options)


def start_python(namespace: TestNetNS, program: str, *arguments: str) -> subprocess.Popen[str]:
    """The same, running beside the test, with its output in a pipe."""
    return namespace.popen([sys.executable, "-c", program, *arguments], stdout=subprocess.PIPE)


def is_null(entry: Entry) -> bool:
    """An element that some kernels refuse as standing for nothing: hash:ip,port since 6.2, hash:ip,mark and the first network of hash:net,net too."""
    first, *others = entry.parts
    if isinstance(first, IPv4Network | IPv6Network):
        return int(first.network_address) == 0 and first.prefixlen == first.max_prefixlen
    marks = [int(other) for other in others if isinstance(other, ik.Mark)]
    return isinstance(first, IPv4Address | IPv6Address) and int(first) == 0 and not any(marks)


def without_zero(of: Set, elements: Elements) -> bool:
    return of.type not in {"hash:ip,port", "hash:ip,mark", "hash:net,net"} or not any(map(is_null, elements))
