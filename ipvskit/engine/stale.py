"""Whether a plan still fits what there is.

Knows: how each kind of change shows that somebody else was there. Must not know: how changes are made.

What a plan touches is read again. Each object has to be as the plan saw it, or already as the plan wants it; otherwise nothing of the plan is done.
Entries of sets and addresses of devices are not read again, where adding and removing them one by one comes out right whoever was there before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipvskit.engine.apply_services import same_services
from ipvskit.engine.apply_sets import same_sets
from ipvskit.engine.changes import segments_of
from ipvskit.engine.diff_devices import address_identity
from ipvskit.engine.diff_settings import same_daemon
from ipvskit.engine.drain import with_weight
from ipvskit.engine.keys import DaemonKey, DeviceKey, RealKey, ServiceKey, SetKey, SysctlKey, TimeoutsKey, owner
from ipvskit.engine.plan import Action
from ipvskit.engine.real_segment import RealSegment
from ipvskit.engine.service_segment import ServiceSegment
from ipvskit.errors import InterfaceNotFound, StalePlan
from ipvskit.ipvs.wanted import identity_of
from ipvskit.model.daemon import SyncDaemon
from ipvskit.model.sysctl import SYSCTLS
from ipvskit.sets.differences import differences

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ipvskit.engine.handle import Handle
    from ipvskit.engine.keys import Key
    from ipvskit.engine.plan import Change, Plan
    from ipvskit.ipvs.holding import HeldServices
    from ipvskit.model.real import RealServer
    from ipvskit.model.service import VirtualService
    from ipvskit.sets.definition import Set, SetStatus

__all__ = ["check_stale"]

#: So many services are asked for one by one; for more, the table is read.
_FEW = 256


def check_stale(kernel: Handle, plan: Plan) -> None:
    """Raises StalePlan for what is neither as the plan saw it nor as it wants it."""
    by_kind: dict[type, list[Change]] = {}
    segments: list[RealSegment] = []
    added: list[ServiceSegment] = []
    for _, segment in segments_of(plan.changes):
        if isinstance(segment, RealSegment):
            segments.append(segment)
            continue
        if isinstance(segment, ServiceSegment):
            added.append(segment)
            continue
        for change in segment:
            if change.refused is None:
                by_kind.setdefault(type(change.key), []).append(change)
    stale: list[Key] = []
    services = by_kind.get(ServiceKey, []) + by_kind.get(RealKey, [])
    if services or segments or added:
        stale += _Services(kernel, plan, services, segments, added).stale()
    stale += _sets(kernel, by_kind.get(SetKey, []))
    stale += _devices(kernel, by_kind.get(DeviceKey, []))
    stale += _settings(kernel, by_kind)
    if stale:
        raise StalePlan(stale)


# --- services and real servers -------------------------------------------------------------------------------------------------------


class _Services:
    def __init__(
        self,
        kernel: Handle,
        plan: Plan,
        changes: list[Change],
        segments: list[RealSegment],
        added: list[ServiceSegment],
    ) -> None:
        self._kernel, self._segments, self._added = kernel, segments, added
        self._basis = plan.basis.services if plan.basis is not None else None
        self._by_service: dict[ServiceKey, list[Change]] = {}
        for change in changes:
            self._by_service.setdefault(owner(change.key), []).append(change)  # type: ignore[arg-type] # a service
        for segment in segments:
            for key in segment.service_keys():
                self._by_service.setdefault(key, [])

    def stale(self) -> Iterable[Key]:
        fresh = {
            key: some
            for key, some in self._by_service.items()
            if some and some[0].action is Action.ADD and some[0].key == key
        }
        there = self._there(list(fresh))
        others = [key for key in self._by_service if key not in fresh] if fresh else list(self._by_service)
        if not others and not there:
            return []
        now = self._read(others + there)
        basis = self._basis
        if basis is not None and not there and now.same_as(basis):
            return []
        doubtful = [key for key in others + there if basis is None or not _same_bytes(basis, now, key)]
        return [change.key for key in doubtful for change in self._changes(key) if not _fits(change, now.get(key))]

    def _there(self, fresh: list[ServiceKey]) -> list[ServiceKey]:
        """Of the services that are to be added, those that there are."""
        packed = {one.identity: (segment, at) for segment in self._added for at, one in enumerate(segment.packed)}
        if not fresh and not packed:
            return []
        if len(fresh) + len(packed) <= _FEW:
            keys = [*fresh, *(segment.packed[at].service.key for segment, at in packed.values())]
            found = self._kernel.ipvs.held_of(keys, reals=False)
        else:
            found = self._kernel.ipvs.held(only={*packed, *map(identity_of, fresh)}, reals=False)
        for identity, key in zip(found.identities, found.keys_in_order, strict=True):
            if identity in packed:
                segment, at = packed[identity]
                self._by_service[key] = [segment[at]]
        return found.keys_in_order

    def _changes(self, key: ServiceKey) -> list[Change]:
        found = list(self._by_service[key])
        for segment in self._segments:
            found += segment.changes_of(key)
        return found

    def _read(self, keys: list[ServiceKey]) -> HeldServices:
        if len(keys) <= _FEW:
            return self._kernel.ipvs.held_of(keys)
        return self._kernel.ipvs.held(only={identity_of(key) for key in keys})


def _same_bytes(basis: HeldServices, now: HeldServices, key: ServiceKey) -> bool:
    before, after = basis.place(key), now.place(key)
    if before is None or after is None:
        return before is after
    return basis.raw(before) == now.raw(after)


def _fits(change: Change, held: VirtualService | None) -> bool:
    if isinstance(change.key, RealKey):
        return _real_fits(change, held)
    if held is None:
        return change.before is None or change.after is None
    if change.action is Action.EDIT:
        bare = held.with_reals(())
        return bare in (change.before, change.after)
    if change.action is Action.ADD:
        return same_services(held, change.after)
    return same_services(_without_weights(held), _without_weights(change.before))


def _real_fits(change: Change, held: VirtualService | None) -> bool:
    key: RealKey = change.key  # type: ignore[assignment] # the caller looked
    if held is None:
        # With its service, a real server that was to go is gone.
        return change.after is None
    place = key.address, key.port
    real = next((real for real in held.reals if (real.address, real.port) == place), None)
    if real is None:
        return change.before is None or change.after is None
    if change.action is Action.DRAIN:
        return change.before is not None and real in (change.before, _weightless(change.before))
    # Of what is added, fields that are kept may be anything.
    return real in (change.before, None if change.after is None else change.after.filled(real))


def _weightless(real: RealServer) -> RealServer:
    return with_weight(real, 0)


def _without_weights(service: VirtualService) -> VirtualService:
    """Somebody may have begun to drain it."""
    return service.with_reals(tuple(_weightless(real) for real in service.reals))


# --- everything else -----------------------------------------------------------------------------------------------------------------


def _sets(kernel: Handle, changes: list[Change]) -> Iterable[Key]:
    changes = [change for change in changes if not change.leftover]
    if not changes:
        return
    status = {found.set.name: found for found in kernel.ipset.status()}
    for change in changes:
        key: SetKey = change.key  # type: ignore[assignment] # the caller looked
        found = status.get(key.name)
        if found is None:
            fits = change.before is None or change.after is None
        elif change.before is None:
            held = _set_now(kernel, key.name)
            fits = held is None or same_sets(held, change.after)
        elif change.entries is not None and change.entries.swap:
            # All of the contents is replaced: nothing that came meanwhile may get lost.
            held = _set_now(kernel, key.name)
            fits = held is not None and (_as_before(change.before, held) or same_sets(held, change.after))
        else:
            fits = _counts_as_before(change, found)
        if not fits:
            yield key


def _set_now(kernel: Handle, name: str) -> Set | None:
    return next((held for held, _ in kernel.ipset.held(names=[name])), None)


def _as_before(before: Set, held: Set) -> bool:
    if differences(before, held) or before.entries is None or held.entries is None:
        return not differences(before, held)
    if before.timeout is None:
        return bool(before.entries.same_as(held.entries))
    # Some may have expired.
    added, _, changed = held.entries.diff(before.entries)
    return not added and not changed


def _counts_as_before(change: Change, found: SetStatus) -> bool:
    before: Set = change.before
    if differences(before, found.set):
        return False
    if not change.deletes or before.entries is None or before.timeout is not None:
        return True
    return found.entries == len(before.entries)


def _devices(kernel: Handle, changes: list[Change]) -> Iterable[Key]:
    for change in changes:
        key: DeviceKey = change.key  # type: ignore[assignment] # the caller looked
        try:
            held = kernel.devices.get(key.name)
        except InterfaceNotFound:
            if change.action is Action.EDIT:
                yield key
            continue
        if change.action is Action.ADD:
            there = set(map(address_identity, held.addresses))
            fits = held.kind == change.after.kind and change.after.up in {None, held.up}
            fits = fits and there >= set(map(address_identity, change.after.addresses))
        elif change.action is Action.DELETE:
            known = set(map(address_identity, change.before.addresses))
            own = (address for address in held.addresses if not (address.version == 6 and address.is_link_local))
            fits = held.kind == change.before.kind and known >= set(map(address_identity, own))
        else:
            fits = True
        if not fits:
            yield key


def _settings(kernel: Handle, by_kind: dict[type, list[Change]]) -> Iterable[Key]:
    for change in by_kind.get(SysctlKey, []):
        setting = SYSCTLS[change.key.name]  # type: ignore[union-attr] # keys of settings
        now = kernel.ipvs.sysctls.get(setting.name)
        known = [None if one is None else setting.normal(one) for one in (change.before, change.after)]
        if (None if now is None else setting.normal(now)) not in known:
            yield change.key
    for change in by_kind.get(TimeoutsKey, []):
        if kernel.ipvs.timeouts() not in (change.before, change.after):
            yield change.key
    daemons = by_kind.get(DaemonKey, [])
    running = {daemon.role: daemon for daemon in kernel.ipvs.daemons()} if daemons else {}
    for change in daemons:
        held = running.get(change.key.role)  # type: ignore[union-attr] # keys of daemons
        if not any(_same(one, held) for one in (change.before, change.after)):
            yield change.key


def _same(one: SyncDaemon | None, held: SyncDaemon | None) -> bool:
    if one is None or held is None:
        return one is held
    return same_daemon(one, held)
