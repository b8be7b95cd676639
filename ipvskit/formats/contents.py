"""What a text of a state holds.

Knows: which values there are. Must not know: any form of text, what is done with it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ipvskit.model.daemon import SyncDaemon, Timeouts
    from ipvskit.model.device import Device
    from ipvskit.model.service import VirtualService
    from ipvskit.model.sysctl import Value
    from ipvskit.sets.definition import Set

__all__ = ["Contents"]


@dataclass(slots=True)
class Contents:
    """Everything that a text states, in its order.

    `sysctls` are by name, without the folder. A timeout of 0 (seconds) in `timeouts` leaves that one as it is. `timeouts` and `daemons` are None
    where the text says nothing of them; no daemons at all is an empty list. Each service, set, device, and daemon's role is there once.
    """

    services: list[VirtualService] = field(default_factory=list)
    sets: list[Set] = field(default_factory=list)
    devices: list[Device] = field(default_factory=list)
    sysctls: dict[str, Value] = field(default_factory=dict)
    timeouts: Timeouts | None = None
    daemons: list[SyncDaemon] | None = None
