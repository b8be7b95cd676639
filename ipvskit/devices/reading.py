"""Reading devices and addresses that may change meanwhile.

Knows: how the kernel says that a listing cannot be trusted. Must not know: how to change anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipvskit.devices.records import Command, address_indexes, address_keys, address_rows, link_record, link_rows
from ipvskit.devices.refusals import refusal
from ipvskit.errors import InconsistentDump, InterfaceNotFound, ProtocolError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ipvskit.devices.backend import DevicesBackend, Rows
    from ipvskit.devices.records import AddressKey, AddressRow, LinkRow

__all__ = ["Reader"]

ATTEMPTS = 8


class Reader:
    """Lists devices and addresses."""

    def __init__(self, backend: DevicesBackend) -> None:
        self._backend = backend

    def link(self, name: str) -> LinkRow:
        """One device. Raises InterfaceNotFound."""
        rows = self._backend.link(link_record(name))
        if rows.refused is not None:
            raise refusal(Command.GET_LINK, rows.refused.error, name, rows.refused.text)
        found = link_rows(rows.data)
        if len(found) != 1:
            raise ProtocolError(f"asked for one device, {name}, the kernel answered with {len(found)}")
        return found[0]

    def find(self, name: str) -> LinkRow | None:
        """One device, None where there is none of this name."""
        try:
            return self.link(name)
        except InterfaceNotFound:
            return None

    def links(self) -> list[LinkRow]:
        """All devices. Raises InconsistentDump."""
        return link_rows(self._consistent("devices", self._backend.links, link_rows))

    def addresses(self, index: int) -> list[AddressRow]:
        """All addresses of one device. Raises InconsistentDump."""
        return address_rows(self._address_data(index))

    def keys(self, index: int) -> list[AddressKey]:
        """The same, as no more than what tells them apart."""
        return address_keys(self._address_data(index))

    def everything(self) -> tuple[list[LinkRow], list[int], list[AddressKey]]:
        """All devices; and of all addresses the numbers of their devices, and the keys. Raises InconsistentDump."""
        for _ in range(ATTEMPTS):
            links, data = self.links(), self._address_data(0)
            indexes = address_indexes(data)
            if set(indexes) <= {link.number for link in links}:
                return links, indexes, address_keys(data)
        raise InconsistentDump("devices and their addresses", ATTEMPTS, links)

    def _address_data(self, index: int) -> bytes:
        return self._consistent("addresses", lambda: self._backend.addresses(index), address_keys)

    @staticmethod
    def _consistent(what: str, ask: Callable[[], Rows], read: Callable[[bytes], Sequence[object]]) -> bytes:
        data = b""
        for _ in range(ATTEMPTS):
            rows = ask()
            if rows.refused is not None:
                raise refusal(Command.GET_LINK, rows.refused.error, f"all {what}", rows.refused.text)
            data = rows.data
            if not rows.interrupted:
                return data
        raise InconsistentDump(what, ATTEMPTS, list(dict.fromkeys(read(data))))
