"""What the engine needs of a kernel handle.

Knows: names of parts. Must not know: how any of them works.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ipvskit.devices.client import Devices
    from ipvskit.engine.drain import Drained
    from ipvskit.engine.keys import RealKey
    from ipvskit.ipset.client import Ipset
    from ipvskit.ipvs.client import Ipvs

__all__ = ["Handle"]


class Handle(Protocol):
    """A kernel handle. `draining` is what it remembers of real servers that it drains."""

    draining: dict[RealKey, Drained]

    @property
    def ipvs(self) -> Ipvs:
        """IPVS."""

    @property
    def ipset(self) -> Ipset:
        """Sets."""

    @property
    def devices(self) -> Devices:
        """Devices and their addresses."""
