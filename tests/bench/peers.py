"""The same work by other programs and libraries. One that is not installed is left out, and the reason is said.

Knows: ipvsadm's and pyroute2's interfaces, each used at its best. Must not know: how results are compared.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import os
import shutil
import socket
import subprocess
import time
from typing import TYPE_CHECKING, Any

from ipvskit.testing.namespaces import TestNetNS
from tests.bench import workload

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ipvskit import NetNS, VirtualService

__all__ = ["IPVSADM", "PYROUTE2", "Missing", "adding", "reading"]

IPVSADM = "ipvsadm -R"
IPVSADM_SAVE = "ipvsadm -Sn"
IPVSADM_EACH = "ipvsadm per command (from 50)"
PYROUTE2 = "pyroute2 (from 1,100)"
PYROUTE2_READ = "pyroute2 (from 100 services)"


class Missing(Exception):
    """The peer is not here; says why."""


@contextlib.contextmanager
def _fresh() -> Iterator[TestNetNS]:
    with workload.fresh() as namespace, TestNetNS(os.dup(namespace.fileno())) as usable:
        yield usable


def _need_program(name: str) -> None:
    if shutil.which(name) is None:
        raise Missing(f"{name} is not installed")


def ipvsadm_restore() -> float:
    """Seconds of one `ipvsadm -R` for the whole workload."""
    _need_program("ipvsadm")
    rules = workload.text()
    with _fresh() as namespace:
        start = time.perf_counter()
        namespace.run(["ipvsadm", "-R"], input=rules, timeout=300)
        return time.perf_counter() - start


def ipvsadm_each(count: int = 50) -> float:
    """Seconds of a process for every command, from so many of them."""
    _need_program("ipvsadm")
    lines = workload.text().splitlines()[:count]
    with _fresh() as namespace:
        start = time.perf_counter()
        for line in lines:
            namespace.run(["ipvsadm", *line.split()])
        return (time.perf_counter() - start) * workload.TOTAL / count


def ipvsadm_save(namespace: TestNetNS) -> float:
    """Seconds of one `ipvsadm -Sn` of everything in the namespace."""
    _need_program("ipvsadm")
    start = time.perf_counter()
    namespace.run(["ipvsadm", "-Sn"], stdout=subprocess.DEVNULL, capture_output=False, timeout=None)
    return time.perf_counter() - start


def _pyroute2() -> tuple[Any, Any, Any]:
    if importlib.util.find_spec("pyroute2") is None:
        raise Missing("pyroute2 is not installed")
    from pyroute2.ipvs import IPVS, IPVSDest, IPVSService

    return IPVS, IPVSDest, IPVSService


def _pyroute2_service(service: VirtualService, make: Any) -> Any:
    key = service.key
    return make(addr=str(key.address), port=key.port, protocol=socket.IPPROTO_TCP, sched_name=service.scheduler)


def pyroute2_add(count: int = 100) -> float:
    """Seconds of pyroute2 for the whole workload, from so many services with their real servers. Its objects are made before."""
    sockets, real_class, service_class = _pyroute2()
    with _fresh() as namespace:
        made = [
            (
                _pyroute2_service(one, service_class),
                [
                    real_class(addr=str(real.address), port=real.port, weight=real.weight, fwd_method=0)
                    for real in one.reals
                ],
            )
            for one in workload.services()[:count]
        ]
        with sockets(netns=namespace.path) as ipvs:
            start = time.perf_counter()
            for service, reals in made:
                ipvs.service("add", service=service)
                for real in reals:
                    ipvs.dest("add", service=service, dest=real)
            return (time.perf_counter() - start) * workload.SERVICES / count


def pyroute2_read(namespace: TestNetNS, count: int = 100) -> float:
    """Seconds of pyroute2 for reading everything: one dump of services, and those of real servers from so many."""
    sockets, _, service_class = _pyroute2()
    with sockets(netns=namespace.path) as ipvs:
        start = time.perf_counter()
        list(ipvs.service("dump"))
        found = time.perf_counter()
        for service in workload.services()[:count]:
            list(ipvs.dest("dump", service=_pyroute2_service(service, service_class)))
        return found - start + (time.perf_counter() - found) * workload.SERVICES / count


def _collect(peers: dict[str, Callable[[], float]]) -> tuple[dict[str, float], tuple[str, ...]]:
    seconds, notes = {}, []
    for name, run in peers.items():
        try:
            seconds[name] = min(run() for _ in range(2))
        except Missing as missing:
            notes.append(f"{name}: {missing}")
    return seconds, tuple(notes)


@functools.cache
def adding() -> tuple[dict[str, float], tuple[str, ...]]:
    """Seconds of every peer for adding the workload (once a run), and what to say of those that are missing."""
    return _collect({IPVSADM: ipvsadm_restore, PYROUTE2: pyroute2_add, IPVSADM_EACH: ipvsadm_each})


def reading(filled: NetNS) -> tuple[dict[str, float], tuple[str, ...]]:
    """The same for reading it."""
    with TestNetNS(os.dup(filled.fileno())) as namespace:
        return _collect(
            {IPVSADM_SAVE: lambda: ipvsadm_save(namespace), PYROUTE2_READ: lambda: pyroute2_read(namespace)}
        )
