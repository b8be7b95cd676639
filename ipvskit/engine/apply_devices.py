"""Making changes of devices and addresses.

Knows: the calls, and how a failure is told from a race that came out right. Must not know: plans, order.
"""

from __future__ import annotations

from ipaddress import IPv6Interface
from itertools import groupby
from typing import TYPE_CHECKING

from ipvskit.engine.diff_devices import address_identity
from ipvskit.engine.plan import Action
from ipvskit.errors import AlreadyExists, InterfaceNotFound, IpvskitError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ipvskit.engine.handle import Handle
    from ipvskit.engine.plan import Change
    from ipvskit.engine.verdicts import Verdicts, Work
    from ipvskit.model.device import Device

__all__ = ["apply_addresses", "apply_devices"]


def apply_devices(kernel: Handle, work: Sequence[Work], verdicts: Verdicts) -> None:
    """Make, change or delete devices."""
    for place, change in work:
        if verdicts.stopped:
            return
        try:
            _device(kernel, change)
        except IpvskitError as error:
            name: str = change.key.name  # type: ignore[union-attr] # keys of devices
            now = _now(kernel, name)
            if _is_so(change, error, now):
                verdicts.already(place)
            else:
                verdicts.failed(place, error, now)
        else:
            verdicts.done([place])


def _device(kernel: Handle, change: Change) -> None:
    name: str = change.key.name  # type: ignore[union-attr] # keys of devices
    if change.action is Action.ADD:
        kernel.devices.create(change.after)
    elif change.action is Action.DELETE:
        kernel.devices.delete(name)
    else:
        kernel.devices.set_up(name, bool(change.after.up))
        lost = [address for address in change.before.addresses if isinstance(address, IPv6Interface)]
        if not change.after.up and lost:
            # A device that goes down loses its IPv6 addresses; what is to go goes later.
            kernel.devices.add_addresses(name, [one for one in lost if not one.is_link_local]).raise_for_failures()


def _is_so(change: Change, error: IpvskitError, now: Device | None) -> bool:
    if change.action is Action.DELETE:
        return isinstance(error, InterfaceNotFound)
    if change.action is not Action.ADD or not isinstance(error, AlreadyExists) or now is None:
        return False
    there = set(map(address_identity, now.addresses))
    wanted: Device = change.after
    return now.kind == wanted.kind and there >= set(map(address_identity, wanted.addresses))


def apply_addresses(kernel: Handle, work: Sequence[Work], verdicts: Verdicts) -> None:
    """Add or delete addresses, those of each device together."""

    def device(one: Work) -> str:
        name: str = one[1].key.device  # type: ignore[union-attr] # keys of addresses
        return name

    for name, group in groupby(sorted(work, key=device), key=device):
        some = list(group)
        if verdicts.stopped:
            return
        try:
            replaced = [change.before for _, change in some if change.action is Action.REPLACE]
            if replaced:
                kernel.devices.delete_addresses(name, replaced).raise_for_failures()
            _addresses(kernel, name, some, verdicts)
        except InterfaceNotFound as error:
            for place, change in verdicts.open(some):
                if change.action is Action.DELETE:
                    verdicts.already(place)
                else:
                    verdicts.failed(place, error)


def _addresses(kernel: Handle, name: str, work: Sequence[Work], verdicts: Verdicts) -> None:
    call = kernel.devices.delete_addresses if work[0][1].action is Action.DELETE else kernel.devices.add_addresses
    addresses = [change.before if change.after is None else change.after for _, change in work]
    report = call(name, addresses, on_error="stop" if verdicts.stop else "continue")
    places = {address_identity(address): place for address, (place, _) in zip(addresses, work, strict=True)}
    last = len(work)
    for failure in report.failures:
        place = places.get(address_identity(failure.address), work[0][0])
        verdicts.failed(place, failure.error)
        if report.stopped:
            last = next(at for at, (each, _) in enumerate(work) if each == place)
    verdicts.done(place for place, _ in verdicts.open(work[:last]))


def _now(kernel: Handle, name: str) -> Device | None:
    try:
        return kernel.devices.get(name)
    except IpvskitError:
        return None
