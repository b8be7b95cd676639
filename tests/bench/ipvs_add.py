"""Adding services and real servers: through the public API, and from packed records.

Knows: what is compared with what. Must not know: how portions are sent.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from ipvskit.ipvs.backend import KernelBackend
from tests.bench import peers, workload
from tests.bench.cases import Result, at_most, case, faster
from tests.bench.floor import floor
from tests.bench.measure import Sample, best_of, take_turns, timed
from tests.bench.workload import EACH, SERVICES, TOTAL

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipvskit import BulkReport, Kernel

MANY = 40_000
_PORTIONS = tuple(size << 10 for size in (16, 32, 64, 128, 256, 512, 1024, 4096))
_TARGETS = (at_most(3), faster(60, peers.IPVSADM), faster(200, peers.PYROUTE2))


def _floor_once(count: int, each: int, portion: int) -> float:
    file = workload.messages(count, each)
    with workload.fresh() as namespace:
        return floor("IPVS").send(namespace, file, portion).seconds


@functools.cache
def _portion(count: int, each: int) -> int:
    """The portion with which the floor is at its best."""
    return best_of(_PORTIONS, lambda portion: _floor_once(count, each, portion), 2)


def _through(call: Callable[[Kernel], BulkReport], total: int) -> float:
    with workload.fresh() as namespace, workload.kernel_in(namespace) as kernel:
        reports: list[BulkReport] = []
        seconds = timed(lambda: reports.append(call(kernel)))
    reports[0].raise_for_failures()
    if reports[0].done != total:
        raise ValueError(f"{reports[0].done} operations were done, not {total}")
    return seconds


def _packed_once(count: int, each: int) -> float:
    requests, total = workload.packed(count, each), count * (1 + each)
    with workload.fresh() as namespace:
        backend = KernelBackend(namespace)
        try:
            seconds = timed(lambda: backend.execute(requests, total))
            if backend.execute(b"", 0).answers:
                raise ValueError("the kernel refused something")
        finally:
            backend.close()
    return seconds


def _compare(ours: Callable[[], float], count: int, each: int, repetitions: int) -> tuple[Sample, Sample, str]:
    portion = _portion(count, each)
    found = take_turns({"ours": ours, "floor": lambda: _floor_once(count, each, portion)}, repetitions)
    return found["ours"], found["floor"], f"floor: {portion >> 10} KiB a send"


def _milliseconds(ours: Callable[[], float], with_peers: bool) -> Result:
    sample, base, note = _compare(ours, SERVICES, EACH, 31)
    others, missing = peers.adding() if with_peers else ({}, ())
    return Result(
        sample.best * 1e3,
        base.best * 1e3,
        {name: seconds * 1e3 for name, seconds in others.items()},
        sample.worst * 1e3,
        (note, *missing),
    )


def _per_operation(ours: Callable[[], float]) -> Result:
    sample, base, note = _compare(ours, MANY, 0, 15)
    return Result(sample.best / MANY * 1e6, base.best / MANY * 1e6, worst=sample.worst / MANY * 1e6, notes=(note,))


@case("ipvs.add_services", "add_services(1,000 services x 10)", unit="ms", where="lab", targets=_TARGETS)
def add_services() -> Result:
    values = workload.services()
    return _milliseconds(lambda: _through(lambda kernel: kernel.ipvs.add_services(values), TOTAL), True)


@case("ipvs.bulk", "bulk(11,000 x AddService, AddReal)", unit="ms", where="lab", targets=_TARGETS)
def bulk() -> Result:
    values = workload.operations()
    return _milliseconds(lambda: _through(lambda kernel: kernel.ipvs.bulk(values), TOTAL), True)


@case("ipvs.packed", "the same 11,000 from packed records", unit="ms", where="lab", targets=(at_most(1.2),))
def packed() -> Result:
    return _milliseconds(lambda: _packed_once(SERVICES, EACH), False)


@case("ipvs.many", "add_services(40,000), each", unit="us", where="lab", targets=(at_most(1.5),))
def many() -> Result:
    values = workload.services(MANY, 0)
    return _per_operation(lambda: _through(lambda kernel: kernel.ipvs.add_services(values), MANY))


@case("ipvs.many_packed", "40,000 services from packed records, each", unit="us", where="lab", targets=(at_most(1.2),))
def many_packed() -> Result:
    return _per_operation(lambda: _packed_once(MANY, 0))
