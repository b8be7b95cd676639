"""Kubernetes objects of a large cluster to a node's state: all of them, and their memory.

Knows: what is measured. Must not know: how objects are translated.
"""

from __future__ import annotations

import subprocess
import sys

from ipvskit import kube
from tests.bench.cases import Result, below, case
from tests.bench.kube_workload import CONFIG, NODE, SERVICES, cluster
from tests.bench.measure import timed

__all__: list[str] = []

_HALF = SERVICES // 2


@case(
    "kube.translate",
    "44,000 Services, 250,000 endpoints: from parsed objects to a State",
    unit="ms",
    where="host",
    targets=(below(8000),),
)
def translate() -> Result:
    objects = cluster()
    took = [timed(lambda: kube.translate(objects, NODE, CONFIG).state) for _ in range(3)]
    half = objects[: 2 * _HALF]
    part = min(timed(lambda: kube.translate(half, NODE, CONFIG).state) for _ in range(3))
    ratio = min(took) / part
    return Result(min(took) * 1e3, worst=max(took) * 1e3, notes=(f"{ratio:.2f} times as long as half of them take",))


@case(
    "kube.memory",
    "the same: memory at most, the parsed objects included",
    unit="MB",
    where="host",
    targets=(below(1200),),
)
def memory() -> Result:
    return Result(_peak("translated"), notes=(f"{_peak('parsed'):.0f} MB of it are the parsed objects",))


def _peak(what: str) -> float:
    command = [sys.executable, "-m", "tests.bench.kube_holding", what]
    return float(subprocess.run(command, capture_output=True, text=True, check=True, timeout=900).stdout) / 1e6
