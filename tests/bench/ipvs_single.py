"""Everyday calls on a filled table, for information: one at a time, and many changes of weight.

Knows: a few calls and the messages that a C program would send for them. Must not know: how they are done.
"""

from __future__ import annotations

from itertools import cycle, islice
from struct import pack_into
from typing import TYPE_CHECKING

from ipvskit.ipvs import records
from ipvskit.ipvs.operations import ReplaceReal, UpdateReal, request_of
from ipvskit.ipvs.records import NLM_F_ACK, NLM_F_DUMP, Command
from tests.bench import workload
from tests.bench.cases import Result, case
from tests.bench.floor import floor
from tests.bench.measure import take_turns, timed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ipvskit import Kernel, NetNS, RealServer, ServiceKey

_CALLS = 100
_PORTION = 256 << 10

#: (service, real server) to change: the first of each of so many services.
_PAIRS = [(service.key, service.reals[0]) for service in workload.services()[:_CALLS]]
_WEIGHTS = cycle((1, 2, 3, 4, 5, 6, 7, 8))


def _acknowledged(request: bytes) -> bytes:
    asked = bytearray(request)
    pack_into("=I", asked, 4, NLM_F_ACK)
    return bytes(asked)


def _replacing(key: ServiceKey, real: RealServer) -> bytes:
    return _acknowledged(request_of(ReplaceReal(key, real)))


def _reading(key: ServiceKey) -> bytes:
    return records.key_request(Command.GET_DEST, key, NLM_F_DUMP)


def _compare(ours: Callable[[Kernel], object], base: Callable[[NetNS], float], unit: float) -> Result:
    with workload.filled() as (namespace, kernel):
        found = take_turns({"ours": lambda: timed(lambda: ours(kernel)), "floor": lambda: base(namespace)})
    return Result(found["ours"].best * unit, found["floor"].best * unit, worst=found["ours"].worst * unit)


def _one_by_one(questions: Path) -> Callable[[NetNS], float]:
    return lambda namespace: floor("IPVS").dump(namespace, questions, 1 << 15).seconds


@case("ipvs.replace_real", "replace_real(), one call", unit="us", where="lab")
def replace_real() -> Result:
    def ours(kernel: Kernel) -> None:
        for key, real in _PAIRS:
            kernel.ipvs.replace_real(key, real)

    questions = workload.store("replace", b"".join(_replacing(*pair) for pair in _PAIRS))
    return _compare(ours, _one_by_one(questions), 1e6 / _CALLS)


@case("ipvs.update_real", "update_real(weight=), one call", unit="us", where="lab")
def update_real() -> Result:
    def ours(kernel: Kernel) -> None:
        for (key, real), weight in zip(_PAIRS, _WEIGHTS, strict=False):
            kernel.ipvs.update_real(key, real, weight=weight)

    questions = workload.store("update", b"".join(_reading(key) + _replacing(key, real) for key, real in _PAIRS))
    return _compare(ours, _one_by_one(questions), 1e6 / _CALLS)


@case("ipvs.service", "service(), one call", unit="us", where="lab")
def service() -> Result:
    def ours(kernel: Kernel) -> None:
        for key, _ in _PAIRS:
            kernel.ipvs.service(key)

    asking = (_acknowledged(records.key_request(Command.GET_SERVICE, key)) + _reading(key) for key, _ in _PAIRS)
    return _compare(ours, _one_by_one(workload.store("service", b"".join(asking))), 1e6 / _CALLS)


@case("ipvs.update_reals", "bulk(10,000 x UpdateReal(weight))", unit="ms", where="lab")
def update_reals() -> Result:
    pairs = [(one.key, real) for one in workload.services() for real in one.reals]

    def ours(kernel: Kernel) -> None:
        weights = islice(_WEIGHTS, len(pairs))
        changes = (
            UpdateReal(key, real.address, real.port, {"weight": weight})
            for (key, real), weight in zip(pairs, weights, strict=True)
        )
        kernel.ipvs.bulk(changes).raise_for_failures()

    writing = workload.store("updates", b"".join(request_of(ReplaceReal(*pair)) for pair in pairs))
    questions = workload.dumps()

    def base(namespace: NetNS) -> float:
        read = floor("IPVS").dump(namespace, questions, 1 << 15).seconds
        return read + floor("IPVS").send(namespace, writing, _PORTION).seconds

    return _compare(ours, base, 1e3)


@case("ipvs.flush", "flush() of 1,000 x 10", unit="ms", where="lab")
def flush() -> Result:
    flushing = workload.store("flush", records.plain_request(Command.FLUSH))

    def ours() -> float:
        with workload.filled() as (_, kernel):
            return timed(kernel.ipvs.flush)

    def base() -> float:
        with workload.filled() as (namespace, _):
            return floor("IPVS").send(namespace, flushing, _PORTION).seconds

    found = take_turns({"ours": ours, "floor": base}, 5)
    return Result(found["ours"].best * 1e3, found["floor"].best * 1e3, worst=found["ours"].worst * 1e3)
