"""New services as they are packed.

Knows: that each is one change. Must not know: order, what became of a change.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, overload

if TYPE_CHECKING:
    from ipvskit.engine.plan import Action, Change
    from ipvskit.ipvs.wanted import Packed
    from ipvskit.model.key import ServiceKey
    from ipvskit.model.service import VirtualService

__all__ = ["ServiceSegment", "scheduler_last"]

#: From so many real servers on, a service whose scheduler makes its table anew for each of them gets the scheduler last: that costs the kernel
#: a grace period (about 15 ms), each table 0.1 to 0.6 ms.
_MANY_REALS = 64
_COSTLY_SCHEDULERS = frozenset({"mh"})


def scheduler_last(service: VirtualService) -> bool:
    """Whether a new service is made without its scheduler first."""
    return service.scheduler in _COSTLY_SCHEDULERS and len(service.reals) >= _MANY_REALS


class ServiceSegment(Sequence["Change"]):
    """Services to be added, with their real servers."""

    __slots__ = ("action", "packed")

    deletes = False

    def __init__(self, action: Action, packed: Sequence[Packed]) -> None:
        self.action, self.packed = action, packed

    def service_keys(self) -> list[ServiceKey]:
        """The keys of the services."""
        return [one.service.key for one in self.packed]

    def __len__(self) -> int:
        return len(self.packed)

    @overload
    def __getitem__(self, index: int) -> Change: ...
    @overload
    def __getitem__(self, index: slice) -> list[Change]: ...
    def __getitem__(self, index: int | slice) -> Change | list[Change]:
        from ipvskit.engine.plan import Change

        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        service = self.packed[index].service
        return Change(self.action, service.key, None, service)
