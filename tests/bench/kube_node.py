"""A node of a large cluster on a kernel: from nothing, one slice changed, one Service more.

Knows: what is measured. Must not know: how a node is kept. The rules are a few dozen whatever the size of the cluster: `kube.rules` loads them with
the real tool, and the others leave them to a tool in memory, since not every kernel of the lab has a part for them.
"""

from __future__ import annotations

import functools
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import ipvskit as ik
from ipvskit import kube
from ipvskit.testing.fake.iptables import FakeIptables
from ipvskit.testing.namespaces import TestNetNS
from tests.bench.cases import Result, below, case
from tests.bench.kube_workload import CONFIG, NODE, SERVICES, cluster, slice_of
from tests.bench.measure import timed

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__: list[str] = []

_MEMORY = 1000


@contextmanager
def _node(services: int) -> Iterator[kube.Proxy]:
    """A node that has listed its cluster, and nothing more."""
    with TestNetNS() as namespace, ik.Kernel(namespace) as kernel:
        namespace.ip("link add eth0 type dummy", "link set eth0 up", "addr add 172.18.0.7/16 dev eth0")
        with kube.Proxy(kernel, NODE, CONFIG, iptables=FakeIptables) as proxy:
            proxy.tracker.resync(_objects()[: 2 * services])
            proxy.tracker.states()
            yield proxy


@functools.cache
def _objects() -> list[dict[str, Any]]:
    return cluster()


def _from_nothing(services: int) -> dict[str, float]:
    """Seconds of each step."""
    found = {}
    with _node(services) as proxy:
        kernel = proxy._kernel
        whole = proxy.tracker.states().state
        found["all"] = timed(lambda: proxy.sync().raise_for_failures())
        found["again"] = timed(lambda: proxy.sync(full=True).raise_for_failures())
    with TestNetNS() as namespace, ik.Kernel(namespace) as kernel:
        device = whole.devices["kube-ipvs0"]
        found["addresses"] = timed(lambda: kernel.devices.create(device))
    return found


@case(
    "kube.node", "a node of 44,000 Services: from nothing, addresses included", unit="ms", where="lab", memory=_MEMORY
)
def node() -> Result:
    whole, half = _from_nothing(SERVICES), _from_nothing(SERVICES // 2)
    notes = [f"{name}: {whole[name]:.1f} s, {whole[name] / half[name]:.2f} times half of them" for name in whole]
    return Result(whole["all"] * 1e3, notes=tuple(notes))


@case(
    "kube.slice",
    "the same, one slice changed: from the event to a plan",
    unit="ms",
    where="lab",
    targets=(below(3),),
    memory=_MEMORY,
)
def one_slice() -> Result:
    planned, applied = [], []
    with _node(SERVICES) as proxy:
        proxy.sync().raise_for_failures()
        number = SERVICES // 2 + 1
        first = sum(len(each["endpoints"]) for each in _objects()[1 : 2 * number : 2])
        for generation in range(1, 40):
            changed = slice_of(number, first, generation=generation)
            start = time.perf_counter()
            proxy.tracker.event({"type": "MODIFIED", "object": changed})
            plan = proxy._plan_some(proxy.tracker.take(), set())
            planned.append(time.perf_counter() - start)
            if len(list(plan)) != 2:
                raise ValueError(str(plan))
            proxy.tracker.event({"type": "MODIFIED", "object": slice_of(number, first)})
            proxy.tracker.take()
            proxy.tracker.event({"type": "MODIFIED", "object": changed})
            start = time.perf_counter()
            proxy.sync().raise_for_failures()
            applied.append(time.perf_counter() - start)
            proxy.tracker.event({"type": "MODIFIED", "object": slice_of(number, first)})
            proxy.sync().raise_for_failures()
    notes = (f"from the event to the kernel: {min(applied) * 1e3:.1f} ms",)
    return Result(min(planned) * 1e3, worst=max(planned) * 1e3, notes=notes)


@case(
    "kube.service",
    "the same, one Service more: from the event to the kernel",
    unit="ms",
    where="lab",
    memory=_MEMORY,
)
def one_service() -> Result:
    took = []
    with _node(SERVICES - 8) as proxy:
        proxy.sync().raise_for_failures()
        rest = _objects()[2 * (SERVICES - 8) :]
        for service, endpoints in zip(rest[::2], rest[1::2], strict=True):
            start = time.perf_counter()
            proxy.tracker.add([service, endpoints])
            proxy.sync().raise_for_failures()
            took.append(time.perf_counter() - start)
    return Result(min(took) * 1e3, worst=max(took) * 1e3)


@case("kube.rules", "the rules of both families, with the real tool", unit="ms", where="host")
def rules() -> Result:
    with TestNetNS() as namespace, ik.Kernel(namespace) as kernel:
        whole = kube.translate(_objects()[:2000], NODE, CONFIG)
        for one in whole.state.sets.values():
            kernel.ipset.create(one)
        took = []
        for _ in range(5):
            start = time.perf_counter()
            for family, found in whole.items():
                with kube.Iptables(family, namespace) as tool:
                    tool.ensure(found.rules)
            took.append(time.perf_counter() - start)
        count = sum(found.iptables.count("\n-A ") for found in whole.values())
    return Result(min(took) * 1e3, worst=max(took) * 1e3, notes=(f"{count} rules",))
