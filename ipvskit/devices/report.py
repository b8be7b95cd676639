"""The outcome of calls about many addresses.

Knows: what was done, what was so already, what failed. Must not know: how it came to that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ipvskit.report import Report

if TYPE_CHECKING:
    from ipvskit.errors import IpvskitError
    from ipvskit.model.device import DeviceAddress

__all__ = ["AddressFailure", "AddressReport"]


@dataclass(frozen=True, slots=True)
class AddressFailure:
    """One address that was not added (deleted)."""

    address: DeviceAddress
    error: IpvskitError


@dataclass(frozen=True, slots=True)
class AddressReport(Report):
    """What became of the addresses.

    `done` were added (deleted), `already` were there already (were not there), or were given more than once. `failures` were refused; among those
    of a deletion may be addresses that the kernel took away with others, and that could not be added again. `stopped` says that what came after the
    failure was not tried (`on_error="stop"`).
    """

    device: str
    done: int = 0
    already: int = 0
    failures: tuple[AddressFailure, ...] = ()
    stopped: bool = False

    def __str__(self) -> str:
        counts = f"{self.device}: {self.done} done, {self.already} already so, {len(self.failures)} failed"
        return self._text(counts, (failure.error for failure in self.failures))
