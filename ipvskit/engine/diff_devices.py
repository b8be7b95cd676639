"""Devices and their addresses: what is to be changed.

Knows: which addresses are a controller's. Must not know: how changes are made.
"""

from __future__ import annotations

import errno
from ipaddress import IPv6Interface
from typing import TYPE_CHECKING

from ipvskit.engine.keys import AddressKey, DeviceKey
from ipvskit.engine.part import Part, check_scope, owned
from ipvskit.engine.plan import Action, Change
from ipvskit.errors import InterfaceNotFound, NotSupported
from ipvskit.model.device import DUMMY

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ipvskit.engine.scope import Scope
    from ipvskit.engine.snapshot import Snapshot
    from ipvskit.engine.state import State
    from ipvskit.model.device import Device, DeviceAddress

__all__ = ["address_identity", "diff_devices"]


def address_identity(address: DeviceAddress) -> tuple[int, int, int]:
    """What tells addresses of a device apart. Interfaces of the module ipaddress are compared much more slowly."""
    return address.version, int(address), address.network.prefixlen


def diff_devices(snapshot: Snapshot, state: State, scope: Scope | None) -> Part:
    """The changes of devices and their addresses."""
    return _Devices(snapshot, state, scope).run()


class _Devices:
    def __init__(self, snapshot: Snapshot, state: State, scope: Scope | None) -> None:
        self._snapshot, self._state, self._scope = snapshot, state, scope
        self._part = Part([], [], {})

    def run(self) -> Part:
        for name in self._wanted_names():
            key, wanted = DeviceKey(name), self._state.devices[name]
            check_scope(key, self._scope, self._snapshot)
            held = self._snapshot.devices.get(name)
            if held is None:
                self._missing(key, wanted)
            else:
                self._both(key, held, wanted)
        self._unwanted()
        self._count()
        return self._part

    def _wanted_names(self) -> Iterable[str]:
        only = self._snapshot.only
        if isinstance(only, frozenset):
            names = (key.name for key in only if isinstance(key, DeviceKey))
            return sorted(name for name in names if name in self._state.devices)
        return self._state.devices

    def _missing(self, key: DeviceKey, wanted: Device) -> None:
        refused = None
        if wanted.kind != DUMMY:
            reason = f"there is no such device, and only those of kind {DUMMY!r} are made"
            refused = InterfaceNotFound(errno.ENODEV, reason, operation="create device", key=wanted.name)
        self._part.changes.append(Change(Action.ADD, key, None, wanted, refused=refused))

    def _both(self, key: DeviceKey, held: Device, wanted: Device) -> None:
        if wanted.kind not in {None, held.kind}:
            reason = f"it is of kind {held.kind or 'none'!r}, not {wanted.kind!r}"
            error = NotSupported(errno.EOPNOTSUPP, reason, operation="change device", key=key.name)
            self._part.changes.append(Change(Action.REPLACE, key, held, wanted, reason, None, error))
            return
        if wanted.up not in {None, held.up}:
            after = held.replace(up=wanted.up)
            self._part.changes.append(Change(Action.EDIT, key, held, after))
        there: dict[tuple[int, ...], DeviceAddress] = {address_identity(one): one for one in held.addresses}
        missing = [address for address in wanted.addresses if there.pop(address_identity(address), None) is None]
        # The kernel has an IPv6 address with one prefix length only.
        others = {int(address): identity for identity, address in there.items() if address.version == 6}
        for address in missing:
            added = AddressKey(key.name, address)
            other = there.get(others.get(int(address), ())) if address.version == 6 else None
            if other is not None and self._mine(held, AddressKey(key.name, other)):
                del there[address_identity(other)]
                self._part.changes.append(Change(Action.REPLACE, added, other, address, "another prefix length"))
            else:
                self._part.changes.append(Change(Action.ADD, added, None, address))
        for address in there.values():
            self._extra(held, address)

    def _extra(self, held: Device, address: DeviceAddress) -> None:
        key = AddressKey(held.name, address)
        if isinstance(address, IPv6Interface) and address.is_link_local:
            # The kernel's own.
            return
        if self._mine(held, key):
            self._part.changes.append(Change(Action.DELETE, key, address))
        else:
            self._part.foreign.append(key)

    def _mine(self, held: Device, key: AddressKey) -> bool:
        """Whether it may go. On devices that others made, only addresses that the scope names: the host may be reached by the rest."""
        scope = self._scope
        if scope is None or key not in scope:
            return False
        return held.kind == DUMMY or key in scope.keys or scope.has_address(key.address.ip)

    def _unwanted(self) -> None:
        for name in sorted(self._snapshot.devices.keys() - self._state.devices.keys()):
            key, held = DeviceKey(name), self._snapshot.devices[name]
            if held.kind == DUMMY and owned(key, self._scope):
                self._part.changes.append(Change(Action.DELETE, key, held))
            else:
                self._part.foreign.append(key)

    def _count(self) -> None:
        mine = [held for name, held in self._snapshot.devices.items() if owned(DeviceKey(name), self._scope)]
        self._part.held["devices"] = sum(held.kind == DUMMY for held in mine)
        self._part.held["addresses"] = sum(len(held.addresses) for held in mine)
