"""Virtual services and real servers: what is to be changed.

Knows: services as rows, so that what does not differ costs next to nothing. Must not know: how changes are made.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

from ipvskit._native.pairs import pairs
from ipvskit.engine.drain import with_weight
from ipvskit.engine.keys import Key, RealKey, ServiceKey, service_order
from ipvskit.engine.part import Part, check_scope, owned
from ipvskit.engine.plan import Action, Change
from ipvskit.engine.real_segment import RealSegment
from ipvskit.engine.service_segment import ServiceSegment, scheduler_last
from ipvskit.ipvs.wanted import REALS_DIFFER, SERVICE_DIFFERS, Wanted

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ipvskit.engine.drain import Drain
    from ipvskit.engine.scope import Scope
    from ipvskit.engine.snapshot import Snapshot
    from ipvskit.engine.state import State
    from ipvskit.ipvs.wanted import Comparison, Packed
    from ipvskit.model.real import RealServer
    from ipvskit.model.service import VirtualService

__all__ = ["diff_services"]

_ACTIONS = (Action.ADD, Action.EDIT, Action.EDIT, Action.DELETE)


def diff_services(snapshot: Snapshot, state: State, scope: Scope | None, drain: Drain | None) -> Part:
    """The changes of services and their real servers."""
    return _Services(snapshot, state, scope, drain).run()


class _Services:
    def __init__(self, snapshot: Snapshot, state: State, scope: Scope | None, drain: Drain | None) -> None:
        self._snapshot, self._state, self._scope, self._drain = snapshot, state, scope, drain
        self._segments: list[tuple[RealSegment | ServiceSegment, bool]] = []
        self._part = Part([], [], {}, self._segments)

    def run(self) -> Part:
        state, only = self._state, self._snapshot.only
        keys = list(self._wanted_keys())
        some = isinstance(only, frozenset)
        wanted = Wanted(packed for key in keys if (packed := state.packed(key))) if some else state.wanted
        if not state.fits(self._scope, only):
            for key in keys:
                check_scope(key, self._scope, self._snapshot)
            state.note_fit(self._scope, only)
        found = wanted.compare(self._snapshot.services)
        self._missing([wanted[identity] for identity in found.missing])
        self._differing(self._as_rows(found, wanted))
        self._unwanted(found.unwanted)
        self._count()
        return self._part

    def _missing(self, packed: list[Packed]) -> None:
        costly = [one for one in packed if scheduler_last(one.service)]
        self._part.changes.extend(Change(Action.ADD, one.service.key, None, one.service) for one in costly)
        plain = [one for one in packed if not scheduler_last(one.service)] if costly else packed
        if plain:
            self._segments.append((ServiceSegment(Action.ADD, plain), False))

    def _wanted_keys(self) -> Iterable[ServiceKey]:
        only = self._snapshot.only
        if isinstance(only, frozenset):
            # The state may name very many more than were looked for.
            return [key for key in only if isinstance(key, ServiceKey) and key in self._state.services]
        return self._state.services

    def _count(self) -> None:
        held = self._snapshot.services
        scope = self._scope
        deletes = any(change.deletes for change in self._part.changes)
        if scope is None or not (deletes or any(segment.deletes for segment, _ in self._segments)):
            # Only guards ask, and only where something is deleted.
            return
        mine = [place for place, key in enumerate(held.keys_in_order) if key in scope]
        self._part.held["services"] = len(mine)
        self._part.held["real servers"] = sum(held.counts[place] for place in mine)

    # --- services that are not as wanted ---------------------------------------------------------------------------------------------

    def _as_rows(self, found: Comparison, wanted: Wanted) -> list[tuple[int, int]]:
        """Of real servers that differ, make rows where that will do; returns what has to be looked at as values."""
        held = self._snapshot.services
        chosen: list[int] = []
        rest: list[tuple[int, int]] = []
        for place, bits in self._with_drained(found.differing):
            if (
                bits & REALS_DIFFER
                and not wanted[held.identities[place]].keeps
                and self._plainly(held.keys_in_order[place])
            ):
                chosen.append(place)
                bits &= ~REALS_DIFFER
            if bits:
                rest.append((place, bits))
        if not chosen:
            return rest
        arranged, keys = found.arrangement, held.keys_in_order
        order = array("I", sorted(chosen, key=lambda place: service_order(keys[place])))
        packed = pairs(held.real_rows, held.counts, arranged.reals, arranged.counts, order)
        for action, some, lowers in zip(_ACTIONS, packed, (False, False, True, False), strict=True):
            if some:
                segment = RealSegment(action, some, held, arranged, self._state.services)
                self._segments.append((segment, lowers))
        return rest

    def _with_drained(self, differing: list[tuple[int, int]]) -> list[tuple[int, int]]:
        """And the services whose real servers drain: a weight that is kept does not differ, and has to be given back all the same."""
        held = self._snapshot.services
        known = dict(differing)
        for key in dict.fromkeys(real.service for real in self._snapshot.draining):
            place = held.place(key)
            if place is not None and key in self._state.services and self._snapshot.covers(key):
                known[place] = known.get(place, 0) | REALS_DIFFER
        return list(known.items()) if self._snapshot.draining else differing

    def _plainly(self, key: ServiceKey) -> bool:
        """Whether what is not wanted of this service's real servers is deleted, without further ado."""
        return owned(key, self._scope) and (self._drain is None or not self._drain.waits(key))

    def _differing(self, places: Sequence[tuple[int, int]]) -> None:
        services = self._snapshot.services.values_at([place for place, _ in places])
        pairs = zip(services, [bits for _, bits in places], strict=True)
        for held, bits in sorted(pairs, key=lambda pair: service_order(pair[0].key)):
            wanted = self._state.services[held.key]
            if bits & SERVICE_DIFFERS:
                self._edited(held, wanted)
            if bits & REALS_DIFFER and "reals" not in wanted.keep:
                self._reals(held, wanted)

    def _edited(self, held: VirtualService, wanted: VirtualService) -> None:
        before, after = held.with_reals(()), wanted.filled(held).with_reals(())
        if before != after:
            self._part.changes.append(Change(Action.EDIT, held.key, before, after))

    def _reals(self, held: VirtualService, wanted: VirtualService) -> None:
        key, changes = held.key, self._part.changes
        there = {(real.address, real.port): real for real in held.reals}
        for real in wanted.reals:
            before = there.pop((real.address, real.port), None)
            if before is None:
                changes.append(Change(Action.ADD, RealKey(key, real.address, real.port), None, real))
                continue
            after = self._filled(key, real, before) if real.keep else real
            if before != after:
                changes.append(Change(Action.EDIT, RealKey(key, real.address, real.port), before, after))
        if not there:
            return
        waits = self._drain is not None and self._drain.waits(key, one_packet=held.one_packet)
        mine = owned(key, self._scope)
        for real in there.values():
            identity = RealKey(key, real.address, real.port)
            if mine or owned(identity, self._scope):
                changes.append(Change(Action.DRAIN if waits else Action.DELETE, identity, real))
            else:
                self._part.foreign.append(identity)

    def _filled(self, key: ServiceKey, wanted: RealServer, held: RealServer) -> RealServer:
        after = wanted.filled(held)
        drained = self._snapshot.draining.get(RealKey(key, held.address, held.port))
        if "weight" in wanted.keep and held.weight == 0 and drained is not None:
            # It was we who took its weight.
            after = with_weight(after, drained.weight)
        return after

    # --- services that nobody wants --------------------------------------------------------------------------------------------------

    def _unwanted(self, places: Sequence[int]) -> None:
        if not places:
            # The keys of everything that is held are not made for nothing.
            return
        keys = self._snapshot.services.keys_in_order
        mine: list[int] = []
        foreign: list[Key] = []
        for place in places:
            if owned(keys[place], self._scope):
                mine.append(place)
            else:
                foreign.append(keys[place])
        self._part.foreign.extend(foreign)
        drain = self._drain
        for service in sorted(self._snapshot.services.values_at(mine), key=lambda each: service_order(each.key)):
            key = service.key
            waits = drain is not None and drain.services and bool(service.reals)
            waits = waits and drain is not None and drain.waits(key, one_packet=service.one_packet)
            self._part.changes.append(Change(Action.DRAIN if waits else Action.DELETE, key, service))
