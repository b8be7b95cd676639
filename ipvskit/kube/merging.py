"""All Services' contributions together, for one family.

Knows: who has an address and port that several want, and how many want an entry. Must not know: API objects, states.
"""

from __future__ import annotations

from bisect import insort
from ipaddress import IPv4Interface, IPv6Interface
from typing import TYPE_CHECKING, Any

from ipvskit.kube.contribution import NOTHING
from ipvskit.kube.diagnostics import Code, Diagnostic
from ipvskit.kube.names import Role

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ipvskit.kube.addresses import Address
    from ipvskit.kube.contribution import Contribution
    from ipvskit.kube.health import HealthCheck
    from ipvskit.kube.virtual import Claim, Drop
    from ipvskit.model.address import IPAddress
    from ipvskit.model.device import DeviceAddress
    from ipvskit.model.key import ServiceKey
    from ipvskit.model.service import VirtualService

__all__ = ["Log", "Merged"]

Owner = tuple[str, str]

#: The set of bound addresses: how many claims bind one is the count of its entry.
_BOUND = Role.IPVS_IPS


class Log:
    """What was touched since somebody looked, each with what there was before: a virtual service or None, whether an entry or address was there."""

    __slots__ = ("addresses", "entries", "services")

    def __init__(self) -> None:
        self.services: dict[ServiceKey, VirtualService | None] = {}
        self.entries: dict[tuple[Role, str], bool] = {}
        self.addresses: dict[str, bool] = {}

    def __bool__(self) -> bool:
        return bool(self.services or self.entries or self.addresses)

    def absorb(self, later: Log) -> None:
        """Go on with what was touched after it."""
        _older_first(self.services, later.services)
        _older_first(self.entries, later.entries)
        _older_first(self.addresses, later.addresses)


class Merged:
    """The contributions of all Services by namespace and name; they come and go one by one, and the result does not depend on the order."""

    def __init__(self) -> None:
        self.claims: dict[ServiceKey, Claim] = {}
        self.entries: dict[Role, dict[str, int]] = {role: {} for role in Role}
        self.bound: dict[str, IPAddress] = {}
        self.drops: dict[Drop, int] = {}
        self.log: Log | None = None
        self._interfaces: dict[str, DeviceAddress] = {}
        self._contested: dict[ServiceKey, list[Claim]] = {}
        self._contributions: dict[Owner, Contribution] = {}
        self._health: dict[Owner, HealthCheck] = {}
        self._told: dict[Owner, tuple[Diagnostic, ...]] = {}

    def put(self, owner: Owner, contribution: Contribution) -> None:
        """In place of what the owner brought before."""
        before = self._contributions.pop(owner, NOTHING)
        if contribution is not NOTHING:
            self._contributions[owner] = contribution
        if before is not NOTHING:
            self._replace(before, contribution)
        elif contribution is not NOTHING:
            for claim in contribution.claims:
                self._claim(claim)
            self._count(contribution.entries, 1)
        else:
            return
        _keep(self._health, owner, contribution.health)
        _keep(self._told, owner, contribution.diagnostics)

    def _replace(self, before: Contribution, contribution: Contribution) -> None:
        held = {(claim.key, claim.rank.position): claim for claim in before.claims}
        wanted = {(claim.key, claim.rank.position): claim for claim in contribution.claims}
        # What goes comes first: a claim that changed must not meet its former self.
        for place, claim in held.items():
            after = wanted.get(place)
            if after is None or after.beside != claim.beside:
                self._disclaim(claim)
            elif after != claim:
                self._exchange(after)
        for place, claim in wanted.items():
            former = held.get(place)
            if former is None or former.beside != claim.beside:
                self._claim(claim)
        self._count(contribution.entries, 1)
        self._count(before.entries, -1)

    def everything(self) -> Log:
        """A log as if nothing had been there before."""
        made = Log()
        made.services = dict.fromkeys(self.claims)
        made.entries = {(role, text): False for role, entries in self.entries.items() for text in entries}
        made.addresses = dict.fromkeys(self.bound, False)
        return made

    def interface(self, text: str) -> DeviceAddress:
        """A bound address as one of the device. It is made when it is first asked for, which takes long."""
        made = self._interfaces.get(text)
        if made is None:
            number, version = int(self.bound[text]), self.bound[text].version
            made = self._interfaces[text] = IPv4Interface(number) if version == 4 else IPv6Interface(number)
        return made

    def interfaces(self) -> list[DeviceAddress]:
        """All of them, in the order of their numbers."""
        for text in self.bound.keys() - self._interfaces.keys():
            self.interface(text)
        return sorted(self._interfaces.values(), key=int)

    def health_checks(self) -> tuple[HealthCheck, ...]:
        """By namespace and name."""
        return tuple(sorted(self._health.values()))

    def diagnostics(self) -> Iterator[Diagnostic]:
        """Of all Services, conflicts among them included, in no order."""
        for told in self._told.values():
            yield from told
        for key, claims in self._contested.items():
            first = claims[0].rank
            for claim in claims[1:]:
                about = f"Service {claim.rank.namespace}/{claim.rank.name}"
                message = f"Service {first.namespace}/{first.name} has it, which goes before by age, then by name"
                yield Diagnostic(Code.CONFLICT, about, str(key), message)

    # --- who has what -------------------------------------------------------------------------------------------------------------

    def _claim(self, claim: Claim) -> None:
        key = claim.key
        first = self.claims.setdefault(key, claim)
        if first is claim:
            self._realise(claim)
            return
        everybody = self._contested.setdefault(key, [first])
        insort(everybody, claim, key=_rank)
        if everybody[0] is claim:
            self._withdraw(first)
            self.claims[key] = claim
            self._realise(claim)

    def _disclaim(self, claim: Claim) -> None:
        key = claim.key
        first = self.claims[key]
        everybody = self._contested.get(key)
        if everybody is None:
            self._withdraw(first)
            return
        everybody[:] = [each for each in everybody if each.rank != claim.rank]
        if len(everybody) == 1:
            del self._contested[key]
        if first.rank == claim.rank:
            self._withdraw(first)
            self.claims[key] = everybody[0]
            self._realise(everybody[0])

    def _exchange(self, after: Claim) -> None:
        """Only the virtual service itself is another one: the most frequent change, because endpoints come and go."""
        key = after.key
        first = self.claims[key]
        everybody = self._contested.get(key)
        if everybody is not None:
            everybody[:] = [after if each.rank == after.rank else each for each in everybody]
        if first.rank == after.rank:
            if self.log is not None:
                self.log.services.setdefault(key, first.service)
            self.claims[key] = after

    def _realise(self, claim: Claim) -> None:
        """What goes with one that is now among the claims."""
        if self.log is not None:
            self.log.services.setdefault(claim.key, None)
        self._count(claim.entries, 1)
        if claim.bound is not None:
            self._bind(claim.bound)
        if claim.drop is not None:
            self.drops[claim.drop] = self.drops.get(claim.drop, 0) + 1

    def _withdraw(self, claim: Claim) -> None:
        if self.log is not None:
            self.log.services.setdefault(claim.key, claim.service)
        del self.claims[claim.key]
        self._count(claim.entries, -1)
        if claim.bound is not None:
            self._unbind(claim.bound)
        if claim.drop is not None:
            self.drops[claim.drop] -= 1
            if not self.drops[claim.drop]:
                del self.drops[claim.drop]

    def _count(self, entries: Iterable[tuple[Role, str]], step: int) -> None:
        for entry in entries:
            role, text = entry
            counts = self.entries[role]
            before = counts.get(text, 0)
            if before + step:
                counts[text] = before + step
            else:
                del counts[text]
            if self.log is not None and (not before or not before + step):
                self.log.entries.setdefault(entry, before > 0)

    def _bind(self, address: Address) -> None:
        text = address.text
        if text not in self.bound:
            if self.log is not None:
                self.log.addresses.setdefault(text, False)
            self.bound[text] = address.value
        self._count(((_BOUND, text),), 1)

    def _unbind(self, address: Address) -> None:
        text = address.text
        self._count(((_BOUND, text),), -1)
        if text not in self.entries[_BOUND]:
            if self.log is not None:
                self.log.addresses.setdefault(text, True)
            del self.bound[text]
            self._interfaces.pop(text, None)


def _older_first(mine: dict[Any, Any], later: dict[Any, Any]) -> None:
    for key, before in later.items():
        mine.setdefault(key, before)


def _rank(claim: Claim) -> tuple[Any, ...]:
    return claim.rank


def _keep(held: dict[Owner, Any], owner: Owner, value: object) -> None:
    if value:
        held[owner] = value
    else:
        held.pop(owner, None)
