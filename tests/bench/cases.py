"""What a benchmark case is: what is measured, where it runs, and what it ought to reach.

Knows: the registry, targets as ratios in one run. Must not know: how anything is measured, how results are shown.

A group of cases is one module of this package, named in GROUPS; each of its cases is a function that measures and returns a Result.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from importlib import import_module
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Case", "Result", "Target", "at_most", "below", "case", "chosen", "faster"]

#: Modules of this package with cases, in the order of the table.
GROUPS = (
    "ipvs_add",
    "ipvs_read",
    "ipvs_single",
    "ipset_add",
    "ipset_read",
    "ipset_tables",
    "engine_services",
    "engine_sets",
    "engine_cluster",
    "kube_translate",
    "kube_node",
    "command_ipvsadm",
    "command_ipset",
    "memory",
    "imports",
)

Where = Literal["host", "lab"]


@dataclass(frozen=True, slots=True)
class Result:
    """What a case measured, all in its unit. `worst` is the slowest repetition of ours: how noisy the run was."""

    ours: float
    floor: float | None = None
    peers: Mapping[str, float] = field(default_factory=dict)
    worst: float | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Target:
    """What a result ought to reach: at most `factor` times the floor, at least `factor` times faster than a peer, or below a limit."""

    kind: Literal["floor", "peer", "limit"]
    factor: float
    peer: str = ""

    def reached(self, result: Result) -> tuple[float, bool] | None:
        """The ratio that was reached, and whether it is good enough; None when the other side was not measured."""
        if self.kind == "limit":
            return result.ours, result.ours < self.factor
        other = result.floor if self.kind == "floor" else result.peers.get(self.peer)
        if other is None:
            return None
        ratio = result.ours / other if self.kind == "floor" else other / result.ours
        return ratio, ratio <= self.factor if self.kind == "floor" else ratio >= self.factor

    def text(self, result: Result, unit: str) -> str:
        """One line for people."""
        reached = self.reached(result)
        goal = {
            "floor": f"at most {self.factor:g}x the floor",
            "peer": f"at least {self.factor:g}x faster than {self.peer}",
            "limit": f"below {self.factor:g} {unit}",
        }[self.kind]
        if reached is None:
            return f"{goal}: not measured"
        value = f"{reached[0]:.0f} {unit}" if self.kind == "limit" else f"{reached[0]:.2f}x"
        return f"{goal}: {value}, {'met' if reached[1] else 'MISSED'}"


def at_most(factor: float) -> Target:
    """At most this many times the floor."""
    return Target("floor", factor)


def faster(factor: float, peer: str) -> Target:
    """At least this many times faster than the peer."""
    return Target("peer", factor, peer)


def below(limit: float) -> Target:
    """Less than this, in the case's unit."""
    return Target("limit", limit)


@dataclass(frozen=True, slots=True)
class Case:
    """One line of the table. Without targets it is for information."""

    name: str
    title: str
    unit: str
    where: Where
    targets: tuple[Target, ...]
    measure: Callable[[], Result]
    #: Megabytes that its process takes, where that is more than guests have everywhere.
    memory: int = 0


_REGISTRY: dict[str, Case] = {}


def case(
    name: str, title: str, *, unit: str, where: Where, targets: tuple[Target, ...] = (), memory: int = 0
) -> Callable[[Callable[[], Result]], Callable[[], Result]]:
    """Register the function below as a case."""

    def register(measure: Callable[[], Result]) -> Callable[[], Result]:
        if name in _REGISTRY:
            raise ValueError(f"two cases are called {name}")
        _REGISTRY[name] = Case(name, title, unit, where, targets, measure, memory)
        return measure

    return register


def chosen(pattern: str = "") -> list[Case]:
    """The cases whose name contains the text or fits the pattern with * and ?; all of them without one."""
    for group in GROUPS:
        import_module(f"tests.bench.{group}")
    return [one for name, one in _REGISTRY.items() if not pattern or pattern in name or fnmatchcase(name, pattern)]
