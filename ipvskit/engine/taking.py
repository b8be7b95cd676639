"""Taking a snapshot.

Knows: which calls read what, and what need not be read. Must not know: what is wanted.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from ipvskit.engine.keys import (
    AddressKey,
    DaemonKey,
    DeviceKey,
    Key,
    RealKey,
    ServiceKey,
    SetKey,
    SysctlKey,
    TimeoutsKey,
    parse_key,
)
from ipvskit.engine.scope import Scope
from ipvskit.engine.snapshot import Snapshot
from ipvskit.errors import InterfaceNotFound, IpsetNotAvailable, IPVSNotAvailable, KernelError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ipvskit.engine.handle import Handle
    from ipvskit.engine.ledger import Ledger
    from ipvskit.model.device import Device
    from ipvskit.sets.definition import Set, SetStatus

__all__ = ["take"]


def take(kernel: Handle, only: Iterable[Key | str] | Scope | None, ledger: Ledger | None = None) -> Snapshot:
    """See `Kernel.snapshot`."""
    began = time.time()
    if ledger is not None:
        ledger.recall(kernel.draining)
    asked = only if only is None or isinstance(only, Scope) else frozenset(_object(parse_key(key)) for key in only)
    reading = _Reading(kernel, asked)
    found: dict[str, Any] = {}
    for part, read in (("ipvs", reading.ipvs), ("ipset", reading.sets), ("devices", reading.devices)):
        try:
            found |= read()
        except (IPVSNotAvailable, IpsetNotAvailable) as error:
            reading.missing[part] = error
    return Snapshot(**found, only=asked, missing=reading.missing, draining=dict(kernel.draining), time=began)


def _object(key: Key) -> Key:
    """Real servers are read with their service, addresses with their device."""
    if isinstance(key, RealKey):
        return key.service
    return DeviceKey(key.device) if isinstance(key, AddressKey) else key


class _Reading:
    def __init__(self, kernel: Handle, only: frozenset[Key] | Scope | None) -> None:
        self._kernel, self._only = kernel, only
        self.missing: dict[str, KernelError] = {}

    def _keys(self, kind: type) -> list[Any]:
        """Those of one kind that were asked for."""
        return [key for key in self._only if isinstance(key, kind)] if isinstance(self._only, frozenset) else []

    def _whole(self, kind: type) -> bool:
        return not isinstance(self._only, frozenset) or bool(self._keys(kind))

    # --- IPVS ------------------------------------------------------------------------------------------------------------------------

    def ipvs(self) -> dict[str, Any]:
        """Services, settings, timeouts, daemons."""
        only = self._only
        if isinstance(only, Scope) and not only.has_services and not only.has_settings:
            return {}
        found: dict[str, Any] = {}
        if isinstance(only, frozenset):
            keys = self._keys(ServiceKey)
            if keys:
                found["services"] = self._kernel.ipvs.held_of(keys)
        elif isinstance(only, Scope) and only != Scope.everything():
            found["services"] = self._kernel.ipvs.held(only.__contains__)
        else:
            found["services"] = self._kernel.ipvs.held()
        if isinstance(only, frozenset):
            names = [key.name for key in self._keys(SysctlKey)]
            if names:
                found["sysctls"] = self._kernel.ipvs.sysctls.several(names)
        else:
            found["sysctls"] = self._kernel.ipvs.sysctls.all()
        if self._whole(TimeoutsKey):
            found["timeouts"] = self._kernel.ipvs.timeouts()
        if self._whole(DaemonKey):
            found["daemons"] = {daemon.role: daemon for daemon in self._kernel.ipvs.daemons()}
        return found

    # --- sets ------------------------------------------------------------------------------------------------------------------------

    def sets(self) -> dict[str, Any]:
        """Sets with their entries."""
        only = self._only
        wanted: Callable[[str], bool] | None = None
        names: list[str] | None = None
        if isinstance(only, frozenset):
            names = sorted(key.name for key in self._keys(SetKey))
            if not names:
                return {}
        elif isinstance(only, Scope):
            if not only.has_sets:
                return {}
            if only != Scope.everything():
                wanted = lambda name: SetKey(name) in only  # noqa: E731
        held: list[tuple[Set, SetStatus]] = self._kernel.ipset.held(wanted, names=names)
        leftovers = self._kernel.ipset.leftovers() if names is None else ()
        return {
            "sets": {each.name: each for each, _ in held},
            "set_status": {each.name: status for each, status in held},
            "leftovers": tuple(leftovers),
        }

    # --- devices ---------------------------------------------------------------------------------------------------------------------

    def devices(self) -> dict[str, Any]:
        """Devices with their addresses."""
        only = self._only
        if isinstance(only, frozenset):
            names = [key.name for key in self._keys(DeviceKey)]
            found = [held for held in map(self._device, names) if held is not None]
        elif isinstance(only, Scope) and not only.has_devices:
            return {}
        else:
            found = self._kernel.devices.all()
        return {
            "devices": {
                each.name: each for each in found if not isinstance(only, Scope) or DeviceKey(each.name) in only
            }
        }

    def _device(self, name: str) -> Device | None:
        try:
            return self._kernel.devices.get(name)
        except InterfaceNotFound:
            return None
