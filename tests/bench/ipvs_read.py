"""Reading everything: to packed records, to values, with counters.

Knows: what is compared with what. Must not know: how dumps are made consistent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipvskit.ipvs import records
from ipvskit.ipvs.backend import KernelBackend, RowKind
from ipvskit.ipvs.reading import PORTION
from tests.bench import peers, workload
from tests.bench.cases import Result, at_most, case
from tests.bench.floor import floor
from tests.bench.measure import best_of, take_turns, timed
from tests.bench.workload import EACH, SERVICES

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipvskit import Kernel, NetNS

_ROOMS = tuple(size << 10 for size in (4, 8, 16, 32))


def _compare(ours: Callable[[NetNS, Kernel], float], with_peers: bool) -> Result:
    questions = workload.dumps()
    with workload.filled() as (namespace, kernel):

        def base(room: int) -> float:
            return floor("IPVS").dump(namespace, questions, room).seconds

        room = best_of(_ROOMS, base)
        found = take_turns({"ours": lambda: ours(namespace, kernel), "floor": lambda: base(room)}, 15)
        others, missing = peers.reading(namespace) if with_peers else ({}, ())
    return Result(
        found["ours"].best * 1e3,
        found["floor"].best * 1e3,
        {name: seconds * 1e3 for name, seconds in others.items()},
        found["ours"].worst * 1e3,
        (f"floor: {room >> 10} KiB to receive", *missing),
    )


@case("ipvs.read_records", "dumps of 1,000 x 10 to records", unit="ms", where="lab", targets=(at_most(1.3),))
def read_records() -> Result:
    of_services, of_reals = workload.dump_requests()
    size = PORTION * records.REQUEST_SIZE
    portions = [of_reals[at : at + size] for at in range(0, len(of_reals), size)]
    backends: dict[NetNS, KernelBackend] = {}

    def once(namespace: NetNS, _: Kernel) -> float:
        if namespace not in backends:
            backends[namespace] = KernelBackend(namespace)
        backend = backends[namespace]
        rows = []

        def everything() -> None:
            rows.append(backend.dump(RowKind.SERVICES, of_services, 1))
            rows.extend(backend.dump(RowKind.REALS, one, len(one) // records.REQUEST_SIZE) for one in portions)

        seconds = timed(everything)
        expected = SERVICES * records.SERVICE_ROW.size + SERVICES * EACH * records.REAL_ROW.size
        if sum(len(one.data) for one in rows) != expected:
            raise ValueError("not everything was read")
        return seconds

    try:
        return _compare(once, False)
    finally:
        for backend in backends.values():
            backend.close()


@case("ipvs.services", "services() of 1,000 x 10 to values", unit="ms", where="lab", targets=(at_most(2),))
def services() -> Result:
    return _compare(lambda _, kernel: timed(kernel.ipvs.services), True)


@case("ipvs.status", "status() of 1,000 x 10 to values and counters", unit="ms", where="lab")
def status() -> Result:
    return _compare(lambda _, kernel: timed(kernel.ipvs.status), False)
