"""What the engine is measured with: desired states, the messages that a C program would send for them, and a handle that counts messages.

Knows: sizes of states, what of them changes. Must not know: what is measured, how states are compared.
"""

from __future__ import annotations

from ipaddress import IPv4Address
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

from ipvskit import Kernel, RealServer, Scope, State, VirtualService, diff
from ipvskit.ipvs import records
from ipvskit.ipvs.operations import AddReal, AddService, DeleteReal, request_of
from ipvskit.ipvs.records import NLM_F_DUMP, Command
from tests.bench import workload

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from ipvskit import ApplyReport, Plan, ServiceKey
    from ipvskit.ipvs.backend import Backend, Execution, Rows
    from ipvskit.ipvs.operations import Operation

__all__ = [
    "ALL",
    "CHANGED",
    "REALS",
    "SERVICES",
    "Counting",
    "additions",
    "changed",
    "cluster",
    "converge",
    "load",
    "questions",
    "replaced",
    "replacing",
    "stored",
    "verify",
]

ALL = Scope.everything()

#: A large cluster: so many services, so many real servers, every hundredth service with other ones.
SERVICES, REALS = 44_000, 250_000
CHANGED = 100
#: As the services of clusters are: most have few real servers, some have many. Adds up to 125 for 22 services.
_SIZES = (1, 3, 2, 5, 1, 8, 2, 26, 3, 4, 2, 12, 3, 6, 3, 10, 2, 4, 16, 3, 5, 4)
_PORTS = ("80/tcp", "443/tcp", "53/udp", "53/tcp", "8080/tcp", "9153/tcp")
_VIPS, _PODS = int(IPv4Address("10.96.0.1")), int(IPv4Address("10.128.0.1"))
#: How far away the addresses of a generation of real servers are from those of the one before.
_GENERATION = 1 << 19


def _pods(start: int, count: int, generation: int) -> list[RealServer]:
    first = _PODS + generation * _GENERATION + start
    return [RealServer(IPv4Address(first + one), 8080, weight=1) for one in range(count)]


def _service(at: int, start: int, count: int, generation: int = 0) -> VirtualService:
    # Services with several ports share an address.
    vip = IPv4Address(_VIPS + at // 3)
    return VirtualService(f"{vip}:{_PORTS[at % 6]}", scheduler="rr", reals=_pods(start, count, generation))


def _spans(services: int) -> Iterable[tuple[int, tuple[int, int]]]:
    return enumerate(pairwise(accumulate((_SIZES[at % len(_SIZES)] for at in range(services)), initial=0)))


def cluster(services: int = SERVICES) -> list[VirtualService]:
    """The services of a cluster."""
    return [_service(at, start, end - start) for at, (start, end) in _spans(services)]


def changed(services: Sequence[VirtualService], every: int, generation: int) -> list[VirtualService]:
    """Of a cluster's services one in so many, with other real servers."""
    spans = dict(_spans(len(services)))
    return [
        _service(at, spans[at][0], spans[at][1] - spans[at][0], generation) for at in range(0, len(services), every)
    ]


def replaced(services: Iterable[VirtualService], generation: int = 1) -> list[VirtualService]:
    """The same services, every one with other real servers, the same number of them."""
    return [
        one.with_reals(
            tuple(real.replace(address=IPv4Address(int(real.address) + generation * _GENERATION)) for real in one.reals)
        )
        for one in services
    ]


def additions(services: Iterable[VirtualService]) -> list[bytes]:
    """The requests that make these, in the engine's order."""
    found = list(services)
    bare: list[Operation] = [AddService(one.replace(reals=())) for one in found]
    return list(map(request_of, bare + [AddReal(one.key, real) for one in found for real in one.reals]))


def replacing(before: Iterable[VirtualService], after: Iterable[VirtualService]) -> list[list[Operation]]:
    """For each service, the operations that give it the other real servers: additions, then deletions."""
    found: list[list[Operation]] = []
    for old, new in zip(before, after, strict=True):
        added: list[Operation] = [AddReal(new.key, real) for real in new.reals]
        found.append(added + [DeleteReal(old.key, real.address, real.port) for real in old.reals])
    return found


def stored(name: str, requests: Iterable[bytes]) -> Path:
    """Requests as a file of messages for the floor."""
    return workload.store(f"engine-{name}", b"".join(requests))


def questions(keys: Iterable[ServiceKey]) -> list[bytes]:
    """The requests for everything that there is: all services, then the real servers of each."""
    reals = [records.key_request(Command.GET_DEST, key, NLM_F_DUMP) for key in keys]
    return [records.plain_request(Command.GET_SERVICE, NLM_F_DUMP), *reals]


def converge(kernel: Kernel, state: State) -> tuple[Plan, ApplyReport]:
    """What a controller does."""
    plan = diff(kernel.snapshot(), state, scope=ALL)
    return plan, kernel.apply(plan)


def load(kernel: Kernel, services: Iterable[VirtualService]) -> None:
    """Fill an empty namespace."""
    kernel.ipvs.add_services(services).raise_for_failures()


def verify(kernel: Kernel, state: State) -> None:
    """Raises unless the kernel is as wanted."""
    plan = diff(kernel.snapshot(), state, scope=ALL)
    if plan:
        raise ValueError(f"not as wanted: {plan.summary()}")


class Counting(Kernel):
    """A handle that counts the messages of IPVS that are sent."""

    messages = 0

    def _open_backend(self) -> Backend:
        return _CountingBackend(super()._open_backend(), self)


class _CountingBackend:
    def __init__(self, inner: Backend, kernel: Counting) -> None:
        self._inner, self._kernel = inner, kernel
        self.open, self.read_all, self.module, self.close = inner.open, inner.read_all, inner.module, inner.close

    def execute(self, requests: bytes, count: int) -> Execution:
        self._kernel.messages += count
        return self._inner.execute(requests, count)

    def get(self, kind: int, requests: bytes, count: int) -> Rows:
        self._kernel.messages += count
        return self._inner.get(kind, requests, count)

    def dump(self, kind: int, requests: bytes, count: int) -> Rows:
        self._kernel.messages += count
        return self._inner.dump(kind, requests, count)
