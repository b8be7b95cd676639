"""What is added and read: the same services as values, packed requests, prebuilt messages and ipvsadm's text.

Knows: sizes and forms of the workload. Must not know: what is measured.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import socket
import struct
import time
from ipaddress import IPv4Address
from typing import TYPE_CHECKING

from ipvskit import Kernel, NetNS, RealServer, VirtualService, _native
from ipvskit.ipvs import records
from ipvskit.ipvs.operations import AddReal, AddService, Operation, request_of
from ipvskit.ipvs.records import NLM_F_DUMP, Command
from tests.bench.floor import FOLDER, UNRESOLVED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

__all__ = [
    "EACH",
    "SERVICES",
    "TOTAL",
    "dump_requests",
    "dumps",
    "filled",
    "fresh",
    "kernel_in",
    "messages",
    "operations",
    "packed",
    "rules",
    "services",
    "store",
    "text",
]

#: The usual size: so many services with so many real servers each, and what that makes in operations.
SERVICES, EACH = 1000, 10
TOTAL = SERVICES * (1 + EACH)

_VIPS, _REALS = int(IPv4Address("10.0.0.1")), int(IPv4Address("172.16.0.1"))
#: The kernel tears a namespace down behind our back and on our only processor; nothing says when it is done.
_SETTLE_SECONDS = 0.15

_SIOCSIFFLAGS, _IFF_UP = 0x8914, 0x1


@functools.cache
def services(count: int = SERVICES, each: int = EACH) -> list[VirtualService]:
    """So many services with so many real servers each, no two of which share an address."""
    return [
        VirtualService(
            f"{IPv4Address(_VIPS + at)}:80/tcp",
            scheduler="wlc",
            reals=[RealServer(f"{IPv4Address(_REALS + at * each + one)}:8080", weight=100) for one in range(each)],
        )
        for at in range(count)
    ]


@functools.cache
def operations(count: int = SERVICES, each: int = EACH) -> list[Operation]:
    """The same as single operations: all services, then all real servers."""
    found = services(count, each)
    bare: list[Operation] = [AddService(service.replace(reals=())) for service in found]
    return bare + [AddReal(service.key, real) for service in found for real in service.reals]


@functools.cache
def packed(count: int = SERVICES, each: int = EACH) -> bytes:
    """The same as the C core's request records."""
    return b"".join(request_of(operation) for operation in operations(count, each))


def store(name: str, requests: bytes) -> Path:
    """Packed requests as a file of netlink messages for the floor."""
    count, data = _native.encode_ipvs(requests, UNRESOLVED, 1, room=2 * len(requests) + 4096)
    if count * records.REQUEST_SIZE != len(requests):
        raise ValueError("not all requests were encoded")
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / f"{name}.messages"
    path.write_bytes(data)
    return path


@functools.cache
def messages(count: int = SERVICES, each: int = EACH) -> Path:
    """The same as a file of netlink messages."""
    return store(f"add-{count}-{each}", packed(count, each))


@functools.cache
def dump_requests(count: int = SERVICES, each: int = EACH) -> tuple[bytes, bytes]:
    """The questions for all services, and for the real servers of each."""
    reals = (records.key_request(Command.GET_DEST, one.key, NLM_F_DUMP) for one in services(count, each))
    return records.plain_request(Command.GET_SERVICE, NLM_F_DUMP), b"".join(reals)


@functools.cache
def dumps(count: int = SERVICES, each: int = EACH) -> Path:
    """All of these questions as a file of netlink messages."""
    return store(f"dump-{count}-{each}", b"".join(dump_requests(count, each)))


@functools.cache
def text(count: int = SERVICES, each: int = EACH) -> str:
    """The same as ipvsadm's rules."""
    return rules(services(count, each))


def rules(wanted: Iterable[VirtualService]) -> str:
    """Services as ipvsadm's rules."""
    lines = []
    for service in wanted:
        place = f"{service.key.address}:{service.key.port}"
        lines.append(f"-A -t {place} -s {service.scheduler}")
        lines += [f"-a -t {place} -r {real.endpoint} -m -w {real.weight}" for real in service.reals]
    return "\n".join(lines) + "\n"


@contextlib.contextmanager
def fresh() -> Iterator[NetNS]:
    """A namespace in which nothing was ever deleted: what is, makes later additions slow for a minute or more.

    No process is started for it: after a fork every page that is written to costs a page fault, which is not what is measured.
    """
    with NetNS.create() as namespace:
        with namespace.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
            fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", _IFF_UP))
        yield namespace
    time.sleep(_SETTLE_SECONDS)


@contextlib.contextmanager
def kernel_in(namespace: NetNS) -> Iterator[Kernel]:
    """A handle whose socket is open."""
    with Kernel(namespace, timeout=60) as kernel:
        kernel.ipvs.info()
        yield kernel


@contextlib.contextmanager
def filled(count: int = SERVICES, each: int = EACH) -> Iterator[tuple[NetNS, Kernel]]:
    """A fresh namespace with the workload in it."""
    with fresh() as namespace, kernel_in(namespace) as kernel:
        kernel.ipvs.add_services(services(count, each)).raise_for_failures()
        yield namespace, kernel
