"""What changed in a family's state between two looks.

Knows: keys, entries, addresses. Must not know: events, what caused it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from ipvskit.engine.keys import DeviceKey, Key, SetKey
from ipvskit.engine.scope import Scope
from ipvskit.engine.state import State
from ipvskit.kube.names import DEVICE
from ipvskit.model.address import Family

if TYPE_CHECKING:
    from ipvskit.kube.health import HealthCheck
    from ipvskit.model.device import Device, DeviceAddress
    from ipvskit.model.key import ServiceKey
    from ipvskit.model.service import VirtualService
    from ipvskit.sets.definition import Set

__all__ = ["Changes", "NodeChanges", "SetChange"]


class SetChange(NamedTuple):
    """The set as it is wanted now, and the entries that came and went, as text."""

    after: Set
    added: tuple[str, ...]
    removed: tuple[str, ...]


@dataclass(frozen=True)
class Changes:
    """What changed in one family: false when nothing did.

    `services` by key are as they are wanted now, None where they no longer are. `sets` by name. `added` and `removed` are addresses of kube-ipvs0.
    `iptables` is the document without jumps from the kernel's chains, `health_checks` are all that there are; both are None where nothing changed.
    """

    family: Family
    services: Mapping[ServiceKey, VirtualService | None]
    sets: Mapping[str, SetChange]
    added: tuple[DeviceAddress, ...]
    removed: tuple[DeviceAddress, ...]
    iptables: str | None
    health_checks: tuple[HealthCheck, ...] | None

    def __bool__(self) -> bool:
        documents = self.iptables is not None or self.health_checks is not None
        return bool(self.services or self.sets or self.added or self.removed or documents)


class NodeChanges(Mapping[Family, Changes]):
    """What changed, by family. `device` is kube-ipvs0 with all its addresses, None where none came or went. Its truth is whether anything changed.

    What changed in the kernel's tables is planned with
    `ik.diff(kernel.snapshot(only=changes.touched), changes.state, scope=changes.scope)`; settings never change.
    """

    def __init__(self, families: Mapping[Family, Changes], device: Device | None) -> None:
        self._families = MappingProxyType(dict(families))
        self.device = device

    def __getitem__(self, family: Family | str) -> Changes:
        return self._families[Family(family)]

    def __iter__(self) -> Iterator[Family]:
        return iter(self._families)

    def __len__(self) -> int:
        return len(self._families)

    def __bool__(self) -> bool:
        return self.device is not None or any(self._families.values())

    @cached_property
    def touched(self) -> frozenset[Key]:
        """The keys of all that changed in the kernel's tables."""
        found: set[Key] = set() if self.device is None else {DeviceKey(DEVICE)}
        for each in self._families.values():
            found |= {*each.services, *map(SetKey, each.sets)}
        return frozenset(found)

    @cached_property
    def state(self) -> State:
        """A state that names what changed and nothing else."""
        families = self._families.values()
        return State(
            (service for each in families for service in each.services.values() if service is not None),
            sets=(change.after for each in families for change in each.sets.values()),
            devices=() if self.device is None else [self.device],
        )

    @cached_property
    def scope(self) -> Scope:
        """What changed, to be edited and deleted."""
        return Scope(keys=self.touched)
