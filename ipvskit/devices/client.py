"""Everything that can be asked of network devices and done to them.

Knows: the operations in the user's terms. Must not know: netlink, desired state.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Literal

from ipvskit.devices.changing import Change
from ipvskit.devices.reading import Reader
from ipvskit.devices.records import Command, Interfaces, LinkRow, link_record, packed_address
from ipvskit.devices.refusals import refusal
from ipvskit.errors import AnswerLost, InvalidConfig
from ipvskit.model.address import parse_address
from ipvskit.model.device import DUMMY, Device, check_device_name, parse_device_addresses, stored_device

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ipvskit.devices.backend import DevicesBackend
    from ipvskit.devices.report import AddressReport
    from ipvskit.model.address import IPAddress
    from ipvskit.model.device import DeviceAddress

__all__ = ["Devices"]

OnError = Literal["continue", "stop"]


class Devices:
    """The network devices of one network namespace and their addresses, as `Kernel.devices`. All calls may come from any thread.

    Addresses are given as values or text, with a prefix length ("192.0.2.10/24") or without, which means all bits. Methods that read may raise
    InconsistentDump; methods that change raise InvalidConfig before anything is sent, PermissionDenied, or the refusal that they name.
    """

    def __init__(self, backend: DevicesBackend) -> None:
        self._backend = backend
        self._reader = Reader(backend)
        self._interfaces = Interfaces()

    # --- reading --------------------------------------------------------------------------------------------------------------------

    def all(self, addresses: bool = True) -> list[Device]:
        """All devices as the kernel lists them, with their addresses unless `addresses` is False."""
        if not addresses:
            return [stored_device(link.name, link.kind, link.up, ()) for link in self._reader.links()]
        links, indexes, keys = self._reader.everything()
        held: dict[int, list[DeviceAddress]] = {link.number: [] for link in links}
        for index, value in zip(indexes, self._interfaces.all(keys), strict=True):
            held[index].append(value)
        return [stored_device(link.name, link.kind, link.up, held[link.number]) for link in links]

    def names(self) -> list[str]:
        """The names of all devices."""
        return [link.name for link in self._reader.links()]

    def exists(self, name: str) -> bool:
        """Whether there is a device of this name."""
        return self._reader.find(check_device_name("name", name)) is not None

    def get(self, name: str) -> Device:
        """One device with its addresses. Raises InterfaceNotFound."""
        link = self._link(name)
        return stored_device(link.name, link.kind, link.up, self._addresses(link))

    def addresses(self, name: str) -> list[DeviceAddress]:
        """The addresses of a device, with their prefix lengths, as the kernel lists them. Raises InterfaceNotFound."""
        return self._addresses(self._link(name))

    def owners(self, addresses: Iterable[str | IPAddress]) -> dict[IPAddress, str]:
        """Which device has each of these addresses, whatever its prefix length; those that none has are left out.

        Of several devices it is the one that the kernel lists first.
        """
        if isinstance(addresses, str | bytes):
            raise InvalidConfig("addresses", addresses, "several addresses, not one text")
        wanted = {packed_address(parsed): parsed for parsed in (parse_address("addresses", one) for one in addresses)}
        if not wanted:
            return {}
        links, indexes, keys = self._reader.everything()
        names = {link.number: link.name for link in links}
        found: dict[IPAddress, str] = {}
        for index, (family, _, packed) in zip(indexes, keys, strict=True):
            address = wanted.get((family, packed))
            if address is not None:
                found.setdefault(address, names[index])
        return found

    def _link(self, name: str) -> LinkRow:
        return self._reader.link(check_device_name("name", name))

    def _addresses(self, link: LinkRow) -> list[DeviceAddress]:
        return self._interfaces.all(self._reader.keys(link.number))

    # --- devices --------------------------------------------------------------------------------------------------------------------

    def create(self, device: Device | str) -> None:
        """Make a device of kind "dummy" with its addresses; it is down unless `up` is True.

        Raises DeviceExists, DeviceKindNotAvailable, and BulkFailed where the device was made and did not get all of its addresses.
        """
        parsed = Device.parse(device)
        if parsed.kind != DUMMY:
            raise InvalidConfig("kind", parsed.kind, '"dummy": devices of other kinds are not made')
        # To add an address to a device that is up takes the kernel several times as long.
        at_once = parsed.up is True and not parsed.addresses
        self._do(Command.NEW_LINK, link_record(parsed.name, kind=DUMMY, up=at_once), parsed.name)
        if at_once:
            return
        report = self.add_addresses(parsed.name, parsed.addresses)
        if parsed.up:
            self.set_up(parsed.name, True)
        report.raise_for_failures()

    def delete(self, name: str) -> None:
        """Remove a device of kind "dummy" with its addresses. Raises InterfaceNotFound, InvalidConfig for other kinds."""
        link = self._link(name)
        if link.kind != DUMMY:
            kind = f"of kind {link.kind!r}" if link.kind else "of no kind"
            raise InvalidConfig("name", name, f'a device of kind "dummy"; this one is {kind}, and is not removed')
        self._do(Command.DELETE_LINK, link_record(index=link.number), name)

    def set_up(self, name: str, up: bool) -> None:
        """Switch a device on or off. Switched off, it loses its IPv6 addresses, as the kernel has it. Raises InterfaceNotFound."""
        check_device_name("name", name)
        if not isinstance(up, bool):
            raise InvalidConfig("up", up, "True or False")
        self._do(Command.CHANGE_LINK, link_record(name, up=up), name)

    def _do(self, command: Command, record: bytes, name: str) -> None:
        execution = self._backend.execute(command, record)
        answer = execution.refused.get(0)
        if answer is not None:
            raise refusal(command, answer.error, name, answer.text)
        if execution.lost:
            lost = refusal(command, 0, name)
            raise AnswerLost(errno.ENOBUFS, "the kernel's answer did not arrive", operation=lost.operation, key=name)

    # --- addresses ------------------------------------------------------------------------------------------------------------------

    def add_addresses(
        self, name: str, addresses: Iterable[str | IPAddress | DeviceAddress], *, on_error: OnError = "continue"
    ) -> AddressReport:
        """Add addresses to a device, in few system calls; what it has already is as it was.

        IPv6 addresses are not kept from use by duplicate address detection. With `on_error` "stop", nothing is tried behind the first failure,
        and each address costs a system call. Raises InterfaceNotFound.
        """
        parsed, change = self._change(name, addresses, on_error)
        return change.add(parsed)

    def delete_addresses(
        self, name: str, addresses: Iterable[str | IPAddress | DeviceAddress], *, on_error: OnError = "continue"
    ) -> AddressReport:
        """Delete addresses of a device, in few system calls, and no others. Raises InterfaceNotFound.

        Where the kernel deletes further addresses of the same IPv4 network, they are added again, and are missing for a moment.
        """
        parsed, change = self._change(name, addresses, on_error)
        return change.delete(parsed)

    def _change(
        self, name: str, addresses: Iterable[str | IPAddress | DeviceAddress], on_error: OnError
    ) -> tuple[list[DeviceAddress], Change]:
        if on_error not in {"continue", "stop"}:
            raise InvalidConfig("on_error", on_error, '"continue" or "stop"')
        check_device_name("name", name)
        parsed = parse_device_addresses("addresses", addresses)
        return parsed, Change(self._backend, self._reader, self._link(name), stop=on_error == "stop")
