"""What the engine's property tests have in common.

Knows: how to look at all of a fake kernel. Must not know: what is expected of the engine.
"""

from __future__ import annotations

from typing import Any

import ipvskit as ik
from ipvskit.sets.definition import with_options
from tests.property.watched import Watched

__all__ = ["ALL", "COMPARED", "everything", "filled", "reals_alive"]

ALL = ik.Scope.everything()
COMPARED = ("mac", "comment", "skbmark", "skbprio", "skbqueue", "nomatch", "wildcard")


def filled(state: ik.State, **options: Any) -> Watched:
    """A kernel that is in this state."""
    kernel = Watched(**{"patience": 0.01} | options)
    plan = ik.diff(kernel.snapshot(), state, scope=ALL)
    kernel.apply(plan.guard(1.0)).raise_for_failures()
    kernel.forget()
    return kernel


def everything(kernel: ik.Kernel) -> dict[ik.ServiceKey | str, Any]:
    """All there is, by what a scope goes by; what runs by itself, or grows, is left out."""
    snapshot = kernel.snapshot()
    found: dict[Any, Any] = {
        key: (service.with_reals(()), frozenset(service.reals)) for key, service in snapshot.services.items()
    }
    for name, each in snapshot.sets.items():
        entries = frozenset(map(str, each.entries.copy(COMPARED))) if each.entries is not None else None
        found[ik.SetKey(name)] = with_options(each, entries=None, hashsize=None, initval=None), entries
    for name, device in snapshot.devices.items():
        found[ik.DeviceKey(name)] = (
            device.kind,
            device.up,
            frozenset(one for one in device.addresses if not one.is_link_local),
        )
    found["settings"] = tuple(snapshot.sysctls.items()), snapshot.timeouts
    for role, daemon in snapshot.daemons.items():
        found[ik.DaemonKey(role)] = daemon
    return found


def reals_alive(kernel: Watched) -> dict[ik.ServiceKey, int]:
    """How many real servers of each service take connections."""
    return {service.key: sum(real.weight > 0 for real in service.reals) for service in kernel.rival.services()}
