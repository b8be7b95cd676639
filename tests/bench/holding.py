"""A process that reads very many services, holds them as values and prints the most memory that it ever had, in bytes.

    python -m tests.bench.holding nothing|rows|kernel SERVICES REALS

"rows" decodes rows as the kernel would send them, without a kernel; "kernel" fills a namespace from another process and reads it.

Knows: the size of rows. Must not know: what the figure is compared with.
"""

from __future__ import annotations

import subprocess
import sys
from ipaddress import IPv4Address
from typing import IO, TYPE_CHECKING

import ipvskit
from ipvskit.ipvs import records
from ipvskit.ipvs.backend import Execution, RowKind, Rows
from ipvskit.ipvs.client import Ipvs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_VIPS, _REALS = int(IPv4Address("10.0.0.1")), int(IPv4Address("172.16.0.1"))
_NO_STATS = bytes(records.STATS.size)
_REQUEST = records.REQUEST_SIZE


def _share(at: int, services: int, reals: int) -> range:
    """Which real servers belong to this service: as evenly as it goes, each with an address of its own."""
    return range(at * reals // services, (at + 1) * reals // services)


class RowsBackend:
    """Answers dumps with rows made up on the spot; see `ipvskit.ipvs.backend.Backend`."""

    def __init__(self, services: int, reals: int) -> None:
        self._services, self._reals = services, reals

    def execute(self, requests: bytes, count: int) -> Execution:
        raise NotImplementedError

    def get(self, kind: int, requests: bytes, count: int) -> Rows:
        raise NotImplementedError

    def dump(self, kind: int, requests: bytes, count: int) -> Rows:
        if kind == RowKind.SERVICES:
            return Rows(bytearray().join(map(self._service, range(self._services))), [], [1])
        data, stats = bytearray(), _NO_STATS if kind == RowKind.REALS else b""
        for index in range(count):
            key = records.SERVICE.unpack_from(requests, index * _REQUEST + records.HEAD.size)
            at = int.from_bytes(key[7][:4], "big") - _VIPS
            data += b"".join(self._real(index, one) + stats for one in _share(at, self._services, self._reals))
        return Rows(data, [], [1] * count)

    def open(self, path: str, mode: str = "r") -> IO[str]:
        raise NotImplementedError

    def read_all(self, folder: str, names: Iterable[str]) -> dict[str, str | OSError]:
        raise NotImplementedError

    def module(self, name: str) -> str:
        raise NotImplementedError

    def close(self) -> None:
        pass

    @staticmethod
    def _service(at: int) -> bytes:
        address = (_VIPS + at).to_bytes(4, "big")
        present = records.KEY_ADDRESS | records.SERVICE_FULL
        row = records.SERVICE.pack(0, present, 2, 6, 80, 0, 0, address, 2, 0xFFFFFFFF, 0, 0xFFFFFFFF, b"wlc", b"")
        return row + _NO_STATS

    @staticmethod
    def _real(index: int, one: int) -> bytes:
        address = (_REALS + one).to_bytes(4, "big")
        return records.REAL.pack(index, records.REAL_FULL, 2, 8080, 0, 0, 0, address, 0, 100, 0, 0, 0, 0, 0)


def _values(services: int, reals: int) -> Iterator[ipvskit.VirtualService]:
    for at in range(services):
        members = [ipvskit.RealServer(IPv4Address(_REALS + one), 8080) for one in _share(at, services, reals)]
        yield ipvskit.VirtualService(f"{IPv4Address(_VIPS + at)}:80/tcp", reals=members)


def _fill(namespace: str, services: int, reals: int) -> None:
    with ipvskit.Kernel(namespace, timeout=60) as kernel:
        kernel.ipvs.add_services(_values(services, reals)).raise_for_failures()


def _read_kernel(services: int, reals: int) -> list[ipvskit.VirtualService]:
    from ipvskit.testing.namespaces import TestNetNS

    with TestNetNS() as namespace:
        filler = [sys.executable, "-m", "tests.bench.holding", namespace.path, str(services), str(reals)]
        subprocess.run(filler, check=True)
        with ipvskit.Kernel(namespace, timeout=60) as kernel:
            return kernel.ipvs.services()


def _peak() -> int:
    # Not ru_maxrss, in which a parent's memory counts as well if it was larger when it started us.
    with open("/proc/self/status") as status:
        (line,) = (line for line in status if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def main() -> None:
    source, services, reals = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    if "/" in source:
        _fill(source, services, reals)
        return
    held: list[ipvskit.VirtualService] = []
    if source == "rows":
        held = Ipvs(RowsBackend(services, reals)).services()
    elif source == "kernel":
        held = _read_kernel(services, reals)
    peak = _peak()
    if source != "nothing" and (len(held), sum(len(one.reals) for one in held)) != (services, reals):
        raise SystemExit("not everything was read")
    print(peak)


if __name__ == "__main__":
    main()
