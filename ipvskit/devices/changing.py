"""One call that adds addresses to a device, or deletes them there.

Knows: which of the kernel's verdicts are not what they seem. Must not know: messages, how answers get lost.

An IPv6 address that the device has with another prefix length is refused just as one that it has as wanted. An address with a peer is another one
than that without, so deleting it needs the peer. And with the first IPv4 address of a network the kernel deletes the others of that network, unless
the setting promote_secondaries is 1: what was not to be deleted is added again.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from ipvskit.devices.records import AF_INET, AF_INET6, Command, Interfaces, address_record, key_of
from ipvskit.devices.refusals import refusal
from ipvskit.devices.report import AddressFailure, AddressReport
from ipvskit.devices.sending import LOST, Outcome, Sender
from ipvskit.errors import AnswerLost

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from ipvskit._native import Answer
    from ipvskit.devices.backend import DevicesBackend
    from ipvskit.devices.reading import Reader
    from ipvskit.devices.records import AddressKey, AddressRow, LinkRow
    from ipvskit.model.device import DeviceAddress

__all__ = ["Change"]

_ALL_BITS = 32


class Change:
    """A call about the addresses of one device. With `stop` nothing is tried behind the first failure."""

    def __init__(self, backend: DevicesBackend, reader: Reader, device: LinkRow, *, stop: bool) -> None:
        self._backend = backend
        self._reader = reader
        self._device = device
        self._stop = stop
        self._held: set[AddressKey] | None = None

    # --- adding ---------------------------------------------------------------------------------------------------------------------

    def add(self, given: Iterable[DeviceAddress]) -> AddressReport:
        """Add them. Raises PermissionDenied."""
        wanted, repeated = _each_once(given)
        keys = list(wanted)
        outcome = self._send(Command.NEW_ADDRESS, self._records(keys), keys, self._has_it_so, stop=self._stop)
        return self._report(Command.NEW_ADDRESS, wanted, outcome, repeated)

    def _has_it_so(self, key: AddressKey) -> bool:
        """Whether what the kernel says is there already has this prefix length."""
        if key[0] != AF_INET6:
            return True
        if self._held is None or not any((AF_INET6, prefix, key[2]) in self._held for prefix in (key[1], *range(129))):
            self._held = self._keys()
        return key in self._held

    # --- deleting -------------------------------------------------------------------------------------------------------------------

    def delete(self, given: Iterable[DeviceAddress]) -> AddressReport:
        """Delete them, and nothing else. Raises PermissionDenied."""
        wanted, repeated = _each_once(given)
        keys = list(wanted)
        shares_network = any(family == AF_INET and prefix < _ALL_BITS for family, prefix, _ in keys)
        before = self._rows() if shares_network else []
        outcome = self._send(Command.DELETE_ADDRESS, self._records(keys), keys, stop=self._stop)
        went_along = {row.key for row in before if row.is_secondary}
        gone = {keys[at]: at for at in outcome.already if keys[at] not in went_along}
        outcome.already = list(gone.values())
        failures: list[AddressFailure] = []
        if shares_network or gone:
            after = self._rows()
            self._delete_with_peers([row for row in after if row.key in gone], gone, outcome)
            failures = self._add_again(_vanished(before, after, set(keys[: outcome.tried])))
        return self._report(Command.DELETE_ADDRESS, wanted, outcome, repeated, failures)

    def _delete_with_peers(self, rows: list[AddressRow], gone: dict[AddressKey, int], outcome: Outcome) -> None:
        if not rows:
            return
        second = self._send(Command.DELETE_ADDRESS, [row.record() for row in rows], [row.key for row in rows])
        still_gone = {rows[at].key for at in second.already}
        refused = {rows[at].key: answer for at, answer in second.refused.items()}
        outcome.refused |= {gone[key]: answer for key, answer in refused.items()}
        deleted = {row.key for row in rows} - still_gone
        outcome.already = [at for key, at in gone.items() if key not in deleted]

    def _add_again(self, rows: list[AddressRow]) -> list[AddressFailure]:
        if not rows:
            return []
        keys = [row.key for row in rows]
        outcome = self._send(Command.NEW_ADDRESS, [row.record() for row in rows], keys)
        addresses = Interfaces().all(keys)
        return [self._failure(Command.NEW_ADDRESS, addresses[at], answer) for at, answer in outcome.refused.items()]

    # --- both -----------------------------------------------------------------------------------------------------------------------

    def _rows(self) -> list[AddressRow]:
        return self._reader.addresses(self._device.number)

    def _keys(self) -> set[AddressKey]:
        return set(self._reader.keys(self._device.number))

    def _records(self, keys: Iterable[AddressKey]) -> list[bytes]:
        return [address_record(self._device.number, key) for key in keys]

    def _send(
        self,
        command: Command,
        records: Sequence[bytes],
        keys: Sequence[AddressKey],
        is_so: Callable[[AddressKey], bool] = lambda _: True,
        *,
        stop: bool = False,
    ) -> Outcome:
        return Sender(self._backend, command, self._keys, is_so, stop=stop).send(records, keys)

    def _failure(self, command: Command, address: DeviceAddress, answer: Answer) -> AddressFailure:
        key = f"{address} on {self._device.name}"
        if answer is LOST:
            reason = "the kernel's answer did not arrive, and reading again does not show that it was executed"
            operation = refusal(command, 0, key).operation
            return AddressFailure(address, AnswerLost(errno.ENOBUFS, reason, operation=operation, key=key))
        return AddressFailure(address, refusal(command, answer.error, key, answer.text))

    def _report(
        self,
        command: Command,
        wanted: dict[AddressKey, DeviceAddress],
        outcome: Outcome,
        repeated: int,
        more: Sequence[AddressFailure] = (),
    ) -> AddressReport:
        for answer in outcome.refused.values():
            if answer.error == errno.EPERM:
                raise refusal(command, answer.error, self._device.name, answer.text)
        addresses = list(wanted.values())
        failures = [self._failure(command, addresses[at], answer) for at, answer in sorted(outcome.refused.items())]
        done = outcome.tried - len(outcome.already) - len(failures)
        already = len(outcome.already) + (0 if outcome.stopped else repeated)
        return AddressReport(self._device.name, done, already, (*failures, *more), outcome.stopped)


def _each_once(given: Iterable[DeviceAddress]) -> tuple[dict[AddressKey, DeviceAddress], int]:
    """The addresses by key, and how many were given more than once."""
    found: dict[AddressKey, DeviceAddress] = {}
    count = 0
    for address in given:
        found.setdefault(key_of(address), address)
        count += 1
    return found, count - len(found)


def _vanished(before: list[AddressRow], after: list[AddressRow], deleted: set[AddressKey]) -> list[AddressRow]:
    """What went with the addresses that were deleted, in the order in which it was listed."""
    networks = {_network(key) for key in deleted if key[0] == AF_INET}
    left = {row.key for row in after} | deleted
    return [row for row in before if row.is_secondary and row.key not in left and _network(row.key) in networks]


def _network(key: AddressKey) -> tuple[int, int]:
    _, prefix, packed = key
    return prefix, int.from_bytes(packed[:4]) >> (_ALL_BITS - prefix)
