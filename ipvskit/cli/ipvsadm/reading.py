"""Reading services, real servers and everything else that is listed.

Knows: which questions there are, and which answers are to be trusted. Must not know: how anything is shown.

The kernel's dumps are no snapshots: between two pieces of one, entries may be repeated or left out. What comes in one piece is taken as it is;
more is read until two readings agree, a bounded number of times.
"""

from __future__ import annotations

from ipvskit.cli.ipvsadm import requests, rows
from ipvskit.errors import KernelError
from ipvskit.ipvs import layout
from ipvskit.ipvs.backend import RowKind
from ipvskit.ipvs.layout import CONFIG, DAEMON, INFO, REAL, REAL_ROW, real_questions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from ipvskit.cli.ipvsadm.entry import Entry
    from ipvskit.ipvs.backend import Backend, Rows

__all__ = ["Daemon", "all_services", "daemons", "info", "one_service", "timeouts"]

ATTEMPTS = 8
#: Services whose real servers are asked for at once.
PORTION = 256


def info(backend: Backend) -> tuple[int, int]:
    """Version and size of the connection table. Raises KernelError."""
    _, _, version, size = INFO.unpack_from(_answered(backend.get(RowKind.INFO, requests.info(), 1)))
    return version, size


def timeouts(backend: Backend) -> tuple[int, int, int]:
    """Of TCP, TCP after FIN, and UDP, in seconds. Raises KernelError."""
    _, _, tcp, tcp_fin, udp = CONFIG.unpack_from(_answered(backend.get(RowKind.CONFIG, requests.timeouts(), 1)))
    return tcp, tcp_fin, udp


def one_service(backend: Backend, entry: Entry) -> rows.Service:
    """The service that the entry names. Raises KernelError."""
    data = _answered(backend.get(RowKind.SERVICES, requests.one_service(layout.GET_SERVICE, entry), 1))
    service = rows.services(data)[0]
    _add_reals(backend, [service], rows.identities(data)[:1])
    return service


def all_services(backend: Backend) -> list[rows.Service]:
    """All services in the kernel's order. Raises KernelError."""
    data = _settled(backend, RowKind.SERVICES, requests.all_services())
    found, names = rows.services(data), rows.identities(data)
    for start in range(0, len(found), PORTION):
        _add_reals(backend, found[start : start + PORTION], names[start : start + PORTION])
    return found


def _add_reals(backend: Backend, services: Sequence[rows.Service], identities: Sequence[bytes]) -> None:
    questions = real_questions(identities)
    answer = backend.dump(RowKind.REALS, b"".join(questions), len(questions))
    _answered(answer)
    for index, real in rows.reals(answer.data):
        services[index].reals.append(real)
    for index, chunks in enumerate(answer.chunks):
        if chunks > 1:
            data = _settled(backend, RowKind.REALS, questions[index])
            services[index].reals = [real for _, real in rows.reals(data)]


def _answered(answer: Rows) -> bytearray:
    for refused in answer.refused:
        raise KernelError(refused.error, operation="read", text=refused.text)
    return answer.data


def _settled(backend: Backend, kind: int, question: bytes) -> bytearray:
    """The rows that two readings agree on; those of the last one where there are none such."""
    before: list[bytes] | None = None
    data = bytearray()
    for _ in range(ATTEMPTS):
        answer = backend.dump(kind, question, 1)
        data = _answered(answer)
        if answer.chunks[0] <= 1:
            break
        names = rows.identities(data) if kind == RowKind.SERVICES else _places(data)
        if names == before:
            break
        before = names
    return data


def _places(data: bytes | bytearray) -> list[bytes]:
    """What identifies the real server in every row: family, port and address among the rest of its configuration."""
    return [bytes(data[at + 8 : at + REAL.size - 12]) for at in range(0, len(data), REAL_ROW.size)]


class Daemon:
    """A sync daemon that is running."""

    __slots__ = ("family", "group", "interface", "max_length", "port", "state", "sync_id", "ttl")

    def __init__(self, row: tuple[Any, ...]) -> None:
        self.state: int
        self.sync_id: int
        self.max_length: int
        self.port: int
        self.ttl: int
        _, present, self.state, self.sync_id, self.max_length, self.port, self.ttl, group, group6, interface = row
        self.family, self.group = 0, b""
        if present & layout.ATTR_GROUP:
            self.family, self.group = layout.AF_INET, group
        elif present & layout.ATTR_GROUP6:
            self.family, self.group = layout.AF_INET6, group6
        self.interface: str = interface.partition(b"\0")[0].decode("latin-1")


def daemons(backend: Backend) -> list[Daemon]:
    """The sync daemons, in the kernel's order. Raises KernelError."""
    data = _answered(backend.dump(RowKind.DAEMONS, requests.daemons(), 1))
    return [Daemon(row) for row in DAEMON.iter_unpack(data)]
