"""A cluster's objects as they come and go, and what changes with them.

Knows: events, and that only the Services that they are about are computed anew. Must not know: how a Service is translated.
"""

from __future__ import annotations

from ipaddress import ip_interface
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ipvskit.errors import InvalidConfig
from ipvskit.kube.assembling import FamilyState, NodeState, assemble, device_of, fresh_state, joined_device
from ipvskit.kube.changes import Changes, NodeChanges, SetChange
from ipvskit.kube.collector import paused
from ipvskit.kube.config import Config
from ipvskit.kube.contribution import NOTHING, Contribution, contribute
from ipvskit.kube.diagnostics import Code, Diagnostic
from ipvskit.kube.iptables import document
from ipvskit.kube.merging import Log, Merged
from ipvskit.kube.names import DEVICE, Role, define, set_name
from ipvskit.kube.node import Node
from ipvskit.kube.site import Site
from ipvskit.kube.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ipvskit.engine.state import State
    from ipvskit.kube.health import HealthCheck
    from ipvskit.kube.iptables import Rules
    from ipvskit.kube.objects import Service, Slice
    from ipvskit.kube.virtual import Drop
    from ipvskit.model.address import Family
    from ipvskit.model.device import Device
    from ipvskit.model.key import ServiceKey
    from ipvskit.model.service import VirtualService
    from ipvskit.sets.definition import Set

__all__ = ["Tracker"]

Owner = tuple[str, str]


class Tracker:
    """Takes objects as they change; `states` is always what `translate` makes of all of them, and `take` what changed since it was last asked.

    Services that changed are computed when one of the two is asked for, each once however many events there were. Not to be shared by threads.
    """

    def __init__(self, node: Node, config: Config | None = None) -> None:
        if not isinstance(node, Node):
            raise InvalidConfig("node", node, "a kube.Node")
        if config is not None and not isinstance(config, Config):
            raise InvalidConfig("config", config, "a kube.Config")
        config = config or Config()
        self.config = config
        self._store = Store(config.scheduler)
        self._taken = False
        #: Whether there was a full listing: until then what is missing is not known to be absent.
        self.listed = False
        self._settle_in(node)

    def _settle_in(self, node: Node) -> None:
        self._node = node
        self._families = {family: _Family(Site(node, self.config, family)) for family in self.config.families}
        self._store.touched.update(dict.fromkeys(self._store.services))

    @property
    def node(self) -> Node:
        """The node that all is made for. Another one has everything computed anew, and `take` tells everything as new."""
        return self._node

    @node.setter
    def node(self, node: Node) -> None:
        if node != self._node:
            self._settle_in(node)
            self._taken = False

    def add(self, found: Any) -> None:  # noqa: ANN401 - one object or many, in any form
        """An object that is new or has changed; a List counts as its items."""
        self._store.put(found)

    update = add

    def delete(self, found: Any) -> None:  # noqa: ANN401 - the same
        """An object that is gone; kind, namespace and name are enough."""
        self._store.remove(found)

    def resync(self, objects: Any) -> None:  # noqa: ANN401 - the same
        """All objects that there are; what is not among them is gone."""
        with paused():
            self._store.replace(objects)
        self.listed = True

    def event(self, found: Mapping[str, Any]) -> None:
        """An event of a watch (`type` and `object`). Bookmarks count for nothing. Raises InvalidConfig for an error, upon which one lists anew."""
        match found.get("type"):
            case "ADDED" | "MODIFIED":
                self.add(found.get("object"))
            case "DELETED":
                self.delete(found.get("object"))
            case "BOOKMARK":
                pass
            case other:
                raise InvalidConfig(
                    "event", other, "ADDED, MODIFIED, DELETED or BOOKMARK; after ERROR list anew and resync"
                )

    def take(self) -> NodeChanges:
        """What changed since the last time; the first time that is everything but the settings. Its cost is that of what changed."""
        device = None
        with paused():
            self._refresh()
            found = {name: family.take() for name, family in self._families.items()}
        if not self._taken or any(each.added or each.removed for each in found.values()):
            device = joined_device(family.device for family in self._families.values())
        self._taken = True
        return NodeChanges(found, device)

    def wanted(self, keys: Iterable[ServiceKey]) -> dict[ServiceKey, VirtualService]:
        """Of these, the virtual services that are wanted now."""
        with paused():
            self._refresh()
        found = [
            (key, self._families[key.family].merged.claims.get(key)) for key in keys if key.family in self._families
        ]
        return {key: claim.service for key, claim in found if claim is not None}

    def drains(self, keys: Iterable[ServiceKey]) -> dict[ServiceKey, int]:
        """Of these, those whose Services say how long (seconds) their real servers may keep connections."""
        found = [
            (key, self._families[key.family].merged.claims.get(key)) for key in keys if key.family in self._families
        ]
        return {key: claim.drain for key, claim in found if claim is not None and claim.drain is not None}

    def rules(self) -> dict[Family, Rules]:
        """What the iptables rules of each family depend on."""
        with paused():
            self._refresh()
        return {name: family.rules() for name, family in self._families.items()}

    def states(self) -> NodeState:
        """What the node needs now."""
        with paused():
            self._refresh()
            told = set(self._store.diagnostics())
            return NodeState({name: family.assembled(told) for name, family in self._families.items()})

    def _refresh(self) -> None:
        touched, self._store.touched = self._store.touched, {}
        for owner in touched:
            service, slices = self._store.services.get(owner), self._store.slices(owner)
            for family in self._families.values():
                found = NOTHING if service is None else self._contribution(service, slices, family.site)
                family.merged.put(owner, found)

    def _contribution(self, service: Service, slices: Iterable[Slice], site: Site) -> Contribution:
        try:
            return contribute(service, slices, site)
        except InvalidConfig as error:
            # No reader lets such a value through; if one does, it must not stop the others.
            told = Diagnostic(Code.INVALID_OBJECT, str(service.identity), error.field, str(error))
            return Contribution(diagnostics=(told,))


class _Family:
    """One family: its contributions, and the values that were made of them."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.merged = Merged()
        self.device: Device = device_of(self.merged)
        self._state: State | None = None
        self._sets: dict[Role, Set] = {}
        self._unbuilt = Log()
        #: None where nobody took anything yet: then it is everything.
        self._untaken: Log | None = None
        self._rules: tuple[frozenset[Role], frozenset[Drop]] | None = None
        self._health: tuple[HealthCheck, ...] | None = None

    def assembled(self, told: Iterable[Diagnostic]) -> FamilyState:
        """The whole state. It is made anew only in what changed."""
        self._settle()
        if self._state is not None and self._unbuilt:
            log, self._unbuilt = self._unbuilt, Log()
            claims = self.merged.claims
            self._state = self._state.updated(
                [claims[key].service for key in log.services if key in claims],
                sets=[self._sets[role] for role in {role for role, _ in log.entries}],
                devices=[self.device] if log.addresses else [],
                remove=[key for key in log.services if key not in claims],
            )
        assert self._state is not None  # noqa: S101 - for the type checker
        return assemble(self.site, self.merged, self._state, told)

    def take(self) -> Changes:
        """What changed since the last time."""
        self._settle()
        log = self.merged.everything() if self._untaken is None else self._untaken
        self._untaken = Log()
        claims, there = self.merged.claims, self.merged.bound
        now = {key: claims[key].service if key in claims else None for key in log.services}
        moved = [(address, before) for address, before in log.addresses.items() if (address in there) != before]
        return Changes(
            family=self.site.family,
            services=MappingProxyType({key: now[key] for key, before in log.services.items() if now[key] != before}),
            sets=MappingProxyType(self._set_changes(log)),
            added=tuple(self.merged.interface(address) for address, before in moved if not before),
            removed=tuple(ip_interface(address) for address, before in moved if before),
            iptables=self._changed_rules(),
            health_checks=self._changed_health(),
        )

    def _settle(self) -> None:
        """Bring sets and device up to date with what was touched."""
        log = self.merged.log
        if log is None:
            self._state = fresh_state(self.site, self.merged)
            sets = self._state.sets
            self._sets = {role: sets[set_name(role, self.site.family)] for role in Role}
            self.device = self._state.devices[DEVICE]
            self.merged.log = Log()
        elif log:
            self.merged.log = Log()
            for role, change in self._moved(log).items():
                # Somebody may hold the set that there was.
                entries = self._sets[role].entries.copy()
                entries.difference_update(change[1])
                entries.update(change[0])
                self._sets[role] = define(role, self.site.family, self.site.config.maxelem, entries)
            if any((address in self.merged.bound) != before for address, before in log.addresses.items()):
                self.device = device_of(self.merged)
            self._unbuilt.absorb(log)
            if self._untaken is not None:
                self._untaken.absorb(log)

    def _moved(self, log: Log) -> dict[Role, tuple[list[str], list[str]]]:
        """The entries that came and went, by set."""
        found: dict[Role, tuple[list[str], list[str]]] = {}
        for (role, text), before in log.entries.items():
            if (text in self.merged.entries[role]) != before:
                found.setdefault(role, ([], []))[before].append(text)
        return found

    def _set_changes(self, log: Log) -> dict[str, SetChange]:
        moved = self._moved(log)
        if self._rules is None:
            # The first time those without entries are new as well.
            moved = {role: moved.get(role, ([], [])) for role in Role}
        return {
            set_name(role, self.site.family): SetChange(self._sets[role], tuple(added), tuple(removed))
            for role, (added, removed) in sorted(moved.items())
        }

    def rules(self) -> Rules:
        """What the iptables rules depend on now."""
        filled = (role for role in Role if self.merged.entries[role])
        return self.site.rules(filled, self.merged.drops)

    def _changed_rules(self) -> str | None:
        rules = frozenset(role for role in Role if self.merged.entries[role]), frozenset(self.merged.drops)
        if rules == self._rules:
            return None
        self._rules = rules
        return document(self.site.rules(*rules), with_jumps=False)

    def _changed_health(self) -> tuple[HealthCheck, ...] | None:
        found = self.merged.health_checks()
        if found == self._health:
            return None
        self._health = found
        return found
