"""The same sets by the program ipset and by pyroute2. One that is not installed is left out, and the reason is said.

    python -m tests.bench.peers_ipset add|list TYPE COUNT

is pyroute2's share, run inside of a namespace that has the set: it works in the namespace of its process only. Prints seconds.

Knows: ipset's and pyroute2's interfaces, each used at its best. Must not know: how results are compared.
"""

from __future__ import annotations

import asyncio
import functools
import importlib.util
import os
import socket
import subprocess
import sys
import time
from typing import Any

from ipvskit.testing.namespaces import TestNetNS
from tests.bench import ipset_workload as sets
from tests.bench import workload
from tests.bench.peers import Missing, _collect, _need_program

__all__ = ["PYROUTE2", "RESTORE", "SAVE", "adding", "growing", "listing"]

_ADDED, _LISTED = 20_000, 100_000

RESTORE = "ipset restore"
RESTORE_NUMERIC = "ipset restore (protocols as numbers)"
SAVE = "ipset save"
PYROUTE2 = f"pyroute2, one by one (from {_ADDED:,})"
PYROUTE2_LIST = f"pyroute2 (from {_LISTED:,})"

Peers = tuple[dict[str, float], tuple[str, ...]]


def ipset_restore(kind: sets.Kind, hashsize: int | None, numeric: bool = False) -> float:
    """Seconds of one `ipset restore` that creates the set and adds everything."""
    _need_program("ipset")
    file = str(sets.restore(kind, hashsize, numeric))
    with workload.fresh() as namespace, TestNetNS(os.dup(namespace.fileno())) as usable:
        start = time.perf_counter()
        usable.run(["ipset", "restore", "-file", file], timeout=300)
        return time.perf_counter() - start


def ipset_save(namespace: TestNetNS) -> float:
    """Seconds of one `ipset save` of the set in the namespace, to nowhere."""
    _need_program("ipset")
    start = time.perf_counter()
    namespace.run(["ipset", "save", sets.NAME], stdout=subprocess.DEVNULL, capture_output=False, timeout=None)
    return time.perf_counter() - start


def _pyroute2(namespace: TestNetNS, what: str, kind: sets.Kind, count: int) -> float:
    if importlib.util.find_spec("pyroute2") is None:
        raise Missing("pyroute2 is not installed")
    command = [sys.executable, "-m", "tests.bench.peers_ipset", what, kind.type, str(count)]
    return float(namespace.run(command, timeout=300).stdout) * sets.TOTAL / count


def pyroute2_add(kind: sets.Kind) -> float:
    """Seconds of pyroute2 for everything, from so many; it has nothing to add several entries with."""
    with sets.empty(kind) as namespace, TestNetNS(os.dup(namespace.fileno())) as usable:
        return _pyroute2(usable, "add", kind, _ADDED)


def pyroute2_list(kind: sets.Kind) -> float:
    """Seconds of pyroute2 for reading everything, from so many."""
    with sets.filled(kind, _LISTED) as namespace, TestNetNS(os.dup(namespace.fileno())) as usable:
        return _pyroute2(usable, "list", kind, _LISTED)


@functools.cache
def adding(kind: sets.Kind) -> Peers:
    """Seconds of every peer for creating a set that is large enough and adding everything (once a run), and what to say of those missing."""
    peers = {RESTORE: lambda: ipset_restore(kind, sets.HASHSIZE), PYROUTE2: lambda: pyroute2_add(kind)}
    if kind is sets.IP_PORT:
        peers[RESTORE_NUMERIC] = lambda: ipset_restore(kind, sets.HASHSIZE, numeric=True)
    return _collect(peers)


def growing(kind: sets.Kind) -> Peers:
    """The same for a set that grows from its usual size."""
    return _collect({RESTORE: lambda: ipset_restore(kind, None)})


@functools.cache
def listing(kind: sets.Kind) -> Peers:
    """The same for reading everything."""
    with sets.filled(kind) as namespace, TestNetNS(os.dup(namespace.fileno())) as usable:
        return _collect({SAVE: lambda: ipset_save(usable), PYROUTE2_LIST: lambda: pyroute2_list(kind)})


def _entry(text: str, port_entry: Any) -> Any:
    address, _, rest = text.partition(",")
    if not rest:
        return (address,)
    protocol, _, port = rest.partition(":")
    return address, port_entry(int(port), socket.getprotobyname(protocol))


async def _add_each(kind: sets.Kind, count: int) -> float:
    from pyroute2.ipset import AsyncIPSet, PortEntry

    entries = [_entry(text, PortEntry) for text in kind.strings(range(count))]
    etype = kind.type.partition(":")[2]
    # A fifth faster than IPSet, which starts the event loop anew for every call; several at a time are slower than one.
    async with AsyncIPSet() as ipset:
        start = time.perf_counter()
        for entry in entries:
            await ipset.add(sets.NAME, entry, etype=etype)
        return time.perf_counter() - start


def _list_all(kind: sets.Kind, count: int) -> float:
    from pyroute2.ipset import IPSet

    with_port = kind is sets.IP_PORT
    found: list[object] = []
    with IPSet() as ipset:
        start = time.perf_counter()
        for message in ipset.list(sets.NAME):
            # Everything is decoded when it is asked for; this is the quickest way to ask.
            for _, data in message.get_attr("IPSET_ATTR_ADT")["attrs"]:
                values = dict(data["attrs"])
                address = values["IPSET_ATTR_IP_FROM"]["attrs"][0][1]
                if with_port:
                    found.append((address, values["IPSET_ATTR_PROTO"], values["IPSET_ATTR_PORT_FROM"]))
                else:
                    found.append(address)
        seconds = time.perf_counter() - start
    if len(set(found)) != count:
        raise SystemExit(f"{len(set(found))} entries were read, not {count}")
    return seconds


def main() -> None:
    what, name, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    kind = {kind.type: kind for kind in (sets.IP, sets.IP_PORT)}[name]
    print(asyncio.run(_add_each(kind, count)) if what == "add" else _list_all(kind, count))


if __name__ == "__main__":
    main()
