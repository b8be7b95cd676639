"""What would be changed on a node, in the order in which it may be changed.

Knows: the stages, and what goes into which. Must not know: how anything is made.

First settings are set, and sets get the entries that they lack; then the rules that use the sets are loaded; only then addresses and virtual services
go live, so that no service is there before what guards it. Last, entries of what is gone are taken out: until then they say whose a virtual
service is (`ipvskit.kube.owning`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ipvskit.engine.diff import diff
from ipvskit.engine.drain import Drain
from ipvskit.engine.keys import DeviceKey, ServiceKey
from ipvskit.engine.plan import Plan
from ipvskit.engine.scope import Scope
from ipvskit.engine.state import State
from ipvskit.ipvs.holding import HeldServices
from ipvskit.kube.names import DEVICE, Role, set_name, set_names
from ipvskit.kube.owning import owned_services
from ipvskit.model.address import Family
from ipvskit.model.device import stored_device
from ipvskit.sets.definition import with_options

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ipvskit.engine.plan import Change
    from ipvskit.engine.snapshot import Snapshot
    from ipvskit.kube.config import Config
    from ipvskit.model.address import IPAddress
    from ipvskit.model.device import Device, DeviceAddress
    from ipvskit.sets.definition import Set

__all__ = ["NodePlan", "drain_of", "grown", "looked_at", "plan_sets", "plan_stages", "with_others"]

#: Where addresses are, as one whose services may be anywhere has to look.
_ANYWHERE = ("0.0.0.0/0", "::/0")


def looked_at(families: Iterable[Family]) -> Scope:
    """What a snapshot has to have of a node."""
    return Scope(vips=_ANYWHERE, sets=[name for family in families for name in set_names(family)], devices=["*"])


@dataclass(frozen=True, slots=True)
class NodePlan:
    """The changes of a node, by stages: true when there is something to do.

    `first` are settings and what sets gain; then `rules` are loaded, documents for iptables-restore by family, without those that are loaded already;
    `live` are addresses, virtual services and real servers; `last` is what sets lose. `blocked` are addresses that another device has, and which
    therefore are not put on kube-ipvs0.
    """

    first: Plan
    rules: Mapping[Family, str]
    live: Plan
    last: Plan
    blocked: tuple[IPAddress, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.first or self.rules or self.live or self.last)

    def __iter__(self) -> Iterator[Change]:
        for plan in self.plans:
            yield from plan

    @property
    def plans(self) -> tuple[Plan, Plan, Plan]:
        """Those that a kernel handle applies, in their order."""
        return self.first, self.live, self.last

    def guard(self, max_deletes: float = 1.0) -> NodePlan:
        """The same, unless it deletes more than allowed, as with `Plan.guard`. Raises GuardRefused, InvalidConfig."""
        first, live, last = (plan.guard(max_deletes) for plan in self.plans)
        return replace(self, first=first, live=live, last=last)

    def __str__(self) -> str:
        from ipvskit.kube.plan_text import plan_text

        return plan_text(self)

    def to_dict(self) -> dict[str, Any]:
        """For machines: the changes of all stages as those of `Plan.to_dict`, and the documents of rules by family."""
        from ipvskit.kube.plan_text import plan_dict

        return plan_dict(self)


def plan_stages(
    snapshot: Snapshot, state: State, config: Config, drain: Drain, rules: Mapping[Family, str]
) -> NodePlan:
    """From what there is (`looked_at`) to the state, which is that of all families of the configuration."""
    state, blocked = _without_blocked(snapshot, state, config)
    first, last = plan_sets(snapshot, state, list(state.sets))
    live = _plan_live(snapshot, state, config, drain)
    return NodePlan(first, rules, live, last, blocked)


def drain_of(config: Config, deadlines: Mapping[ServiceKey, float]) -> Drain:
    """How real servers go: with weight 0 until they have no connections. Services go at once, as in kube-proxy; so do real servers of UDP."""
    return Drain(
        deadline=config.drain_deadline,
        interval=config.drain_interval,
        inactive=config.drain_inactive,
        sctp="delete",
        services=False,
        deadlines=deadlines,
    )


def plan_sets(snapshot: Snapshot, state: State, names: Iterable[str]) -> tuple[Plan, Plan]:
    """Settings and what these sets gain, and what they lose."""
    scope = Scope(sets=names)
    held = {name: one for name, one in snapshot.sets.items() if name in state.sets}
    full = {name: grown(wanted, held.get(name)) for name, wanted in state.sets.items()}
    rest = replace(snapshot, services=HeldServices.of(()), devices={})
    wanted = State(sets=full.values(), sysctls=state.sysctls, timeouts=state.timeouts)
    first = diff(rest, wanted, scope=scope)
    shrinking = {name: one for name, one in state.sets.items() if full[name] is not one}
    if not shrinking:
        return first, Plan()
    then = replace(rest, sets={name: full[name] for name in shrinking}, leftovers=(), sysctls={}, timeouts=None)
    return first, diff(then, State(sets=shrinking.values()), scope=scope)


def grown(wanted: Set, held: Set | None) -> Set:
    """The set with what it has and is to lose later; the wanted one itself where that is nothing, or where there is no room for both."""
    if held is None or not held.entries or held.type != wanted.type or held.family != wanted.family:
        return wanted
    gone = held.entries.copy(()) - wanted.entries
    if not gone or (wanted.maxelem is not None and len(wanted.entries) + len(gone) > wanted.maxelem):
        return wanted
    return with_options(wanted, entries=wanted.entries | gone)


def _plan_live(snapshot: Snapshot, state: State, config: Config, drain: Drain) -> Plan:
    mine = {key: one for key, one in snapshot.devices.items() if key == DEVICE}
    there = replace(snapshot, sets={}, set_status={}, leftovers=(), devices=mine)
    owned = owned_services(snapshot, config)
    scope = Scope(keys=[DeviceKey(DEVICE), *owned, *state.services])
    return diff(there, State(state.services.values(), devices=state.devices.values()), scope=scope, drain=drain)


def _without_blocked(snapshot: Snapshot, state: State, config: Config) -> tuple[State, tuple[IPAddress, ...]]:
    """The state without addresses that another device has by now, and with those that kube-ipvs0 has of families that are not looked after."""
    taken = {one.ip for name, device in snapshot.devices.items() if name != DEVICE for one in device.addresses}
    wanted: Device = state.devices[DEVICE]
    blocked = tuple(one.ip for one in wanted.addresses if one.ip in taken) if taken else ()
    others = _of_others(snapshot, config)
    if not blocked and not others:
        return state, ()
    kept = [one for one in wanted.addresses if one.ip not in taken]
    device = stored_device(DEVICE, wanted.kind or "", bool(wanted.up), [*kept, *others])
    sets = []
    for family in config.families:
        name = set_name(Role.IPVS_IPS, family)
        entries = state.sets[name].entries.copy()
        entries.difference_update([str(one) for one in blocked if (one.version == 6) == (family is Family.IPV6)])
        sets.append(with_options(state.sets[name], entries=entries))
    return state.updated(sets=sets if blocked else (), devices=[device]), blocked


def with_others(device: Device, snapshot: Snapshot, config: Config) -> Device:
    """The device with the addresses that it has of families that are not looked after."""
    others = _of_others(snapshot, config)
    return device.replace(addresses=[*device.addresses, *others]) if others else device


def _of_others(snapshot: Snapshot, config: Config) -> list[DeviceAddress]:
    versions = {6 if family is Family.IPV6 else 4 for family in config.families}
    held = snapshot.devices.get(DEVICE)
    # All families are looked after, mostly, and there may be tens of thousands of addresses.
    addresses = () if held is None or len(versions) == len(Family) else held.addresses
    link_local = (one for one in addresses if not (one.version == 6 and one.is_link_local))
    return [one for one in link_local if one.version not in versions]
