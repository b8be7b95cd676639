"""What differs between kernel releases.

Knows: since when a kernel behaves how (tried on 5.10.46, 6.1.176, 6.12.101 and 7.2.7). Must not know: tables, requests.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

#: A release as numbers.
Version = tuple[int, ...]

_LOWEST_ADDRESS_UNICAST = (5, 14)
_GROWING_TABLE = (7,)
_BOUNDED_THRESHOLDS = (7,)
#: Stable series that got a later change from this patch level on.
_BOUNDED_THRESHOLDS_BACKPORTS = {(6, 12): 107}


@dataclass(frozen=True, slots=True)
class Release:
    """A kernel release such as "7.2" or "6.1.176"."""

    version: Version

    @classmethod
    def parse(cls, text: str) -> Release:
        """From `uname -r`; what follows the numbers is passed over. Raises ValueError."""
        found = re.match(r"\d+\.\d+(\.\d+)?", text)
        if found is None:
            raise ValueError(f"a kernel release such as 7.2 or 6.1.176, not {text!r}")
        return cls(tuple(int(number) for number in found.group().split(".")))

    def since(self, version: Version) -> bool:
        """Whether this is that release or a later one."""
        return self.version >= version

    @property
    def lowest_address_is_unicast(self) -> bool:
        """Whether the network's own address (10.0.0.0 of 10.0.0.0/24) is like any other, and not a second broadcast address."""
        return self.since(_LOWEST_ADDRESS_UNICAST)

    @property
    def growing_connection_table(self) -> bool:
        """Whether the connection table begins with nothing and grows."""
        return self.since(_GROWING_TABLE)

    @property
    def bounded_thresholds(self) -> bool:
        """Whether an upper threshold above INT_MAX is refused."""
        backport = _BOUNDED_THRESHOLDS_BACKPORTS.get((self.version[0], self.version[1]))
        return self.since(_BOUNDED_THRESHOLDS) or (backport is not None and self.version[2:] >= (backport,))
