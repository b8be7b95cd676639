"""Changes of real servers as rows.

Knows: what is held and what is wanted, side by side. Must not know: order, what became of a change.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from struct import Struct
from typing import TYPE_CHECKING, overload

from ipvskit._native import pairs as native
from ipvskit.ipvs.operations import AddReal, DeleteReal, ReplaceReal
from ipvskit.ipvs.records import Command

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ipvskit.engine.plan import Action, Change
    from ipvskit.ipvs.holding import HeldServices
    from ipvskit.ipvs.operations import Operation
    from ipvskit.ipvs.wanted import Arrangement
    from ipvskit.model.key import ServiceKey
    from ipvskit.model.real import RealServer
    from ipvskit.model.service import VirtualService

__all__ = ["RealSegment"]

_PAIR = Struct("=III")
_PORTION = 512


class RealSegment(Sequence["Change"]):
    """Changes of one kind. `pairs` say which services and rows they are about."""

    __slots__ = ("_arrangement", "_held", "_made", "_pairs", "_starts", "_wanted", "action")

    def __init__(
        self,
        action: Action,
        pairs: bytes,
        held: HeldServices,
        arrangement: Arrangement,
        wanted: Mapping[ServiceKey, VirtualService],
    ) -> None:
        self.action = action
        self._pairs, self._held, self._arrangement, self._wanted = pairs, held, arrangement, wanted
        self._starts: list[int] | None = None
        self._made: tuple[int, list[Change]] = (0, [])

    def __len__(self) -> int:
        return len(self._pairs) // _PAIR.size

    @property
    def deletes(self) -> bool:
        """Whether the real servers are gone afterwards."""
        return self.action == "delete"

    def service_keys(self) -> list[ServiceKey]:
        """The services, each once, in order."""
        keys = self._held.keys_in_order
        return [keys[place] for place in dict.fromkeys(self._column(0))]

    def service_identities(self) -> list[bytes]:
        """What identifies the same services in their rows."""
        identities = self._held.identities
        return [identities[place] for place in dict.fromkeys(self._column(0))]

    def _column(self, number: int) -> list[int]:
        return memoryview(self._pairs).cast("I")[number :: _PAIR.size // 4].tolist()

    # --- as values -------------------------------------------------------------------------------------------------------------------

    @overload
    def __getitem__(self, index: int) -> Change: ...
    @overload
    def __getitem__(self, index: slice) -> list[Change]: ...
    def __getitem__(self, index: int | slice) -> Change | list[Change]:
        if isinstance(index, slice):
            return list(self)[index]
        place = index + len(self) if index < 0 else index
        if not 0 <= place < len(self):
            raise IndexError(index)
        start, made = self._made
        if not start <= place < start + len(made):
            start = place - place % _PORTION
            made = self._changes(start)
            self._made = start, made
        return made[place - start]

    def __iter__(self) -> Iterator[Change]:
        for start in range(0, len(self), _PORTION):
            yield from self._changes(start)

    def changes_of(self, key: ServiceKey) -> list[Change]:
        """Those about one service."""
        place = self._held.place(key)
        return [self[number] for number, each in enumerate(self._column(0)) if each == place]

    def _changes(self, start: int) -> list[Change]:
        from ipvskit.engine.keys import RealKey
        from ipvskit.engine.plan import Change

        pairs = list(_PAIR.iter_unpack(self._pairs[start * _PAIR.size : (start + _PORTION) * _PAIR.size]))
        keys = self._held.keys_in_order
        before: list[RealServer | None] = [None] * len(pairs)
        after: list[RealServer | None] = [None] * len(pairs)
        if self.action != "add":
            before = list(self._held.reals_at([held for _, held, _ in pairs]))
        if not self.deletes:
            after = [self._wanted_real(place, wanted) for place, _, wanted in pairs]
        made = []
        for (place, _, _), was, becomes in zip(pairs, before, after, strict=True):
            real = becomes or was
            if real is not None:
                made.append(Change(self.action, RealKey(keys[place], real.address, real.port), was, becomes))
        return made

    def _wanted_real(self, place: int, row: int) -> RealServer:
        if self._starts is None:
            counts = (0 if count == native.NO_ROW else count for count in self._arrangement.counts)
            self._starts = [0, *accumulate(counts)]
        return self._wanted[self._held.keys_in_order[place]].reals[row - self._starts[place]]

    # --- as requests -----------------------------------------------------------------------------------------------------------------

    def requests(self, start: int, stop: int) -> bytes:
        """Packed requests for some of them."""
        some = self._pairs[start * _PAIR.size : stop * _PAIR.size]
        command, rows = _COMMANDS[self.action], self._held.real_rows if self.deletes else self._arrangement.reals
        return native.requests(command, self._held.rows, rows, some, identity_only=self.deletes)

    def operation(self, number: int) -> Operation:
        """One of them as the operation that it is."""
        change = self[number]
        key = change.key
        if self.action == "add":
            return AddReal(key.service, change.after)  # type: ignore[union-attr] # keys of real servers
        if self.action == "edit":
            return ReplaceReal(key.service, change.after)  # type: ignore[union-attr]
        return DeleteReal(key.service, key.address, key.port)  # type: ignore[union-attr, arg-type]


_COMMANDS = {"add": Command.NEW_DEST, "edit": Command.SET_DEST, "delete": Command.DEL_DEST}
