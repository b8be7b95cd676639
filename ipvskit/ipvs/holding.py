"""Services as they were read: packed rows, of which values are made when somebody looks.

Knows: rows and their places. Must not know: how they are read, what is wanted.
"""

from __future__ import annotations

from array import array
from collections.abc import ItemsView, Mapping, ValuesView
from itertools import accumulate
from typing import TYPE_CHECKING

from ipvskit.ipvs import decode, records
from ipvskit.ipvs.records import HEAD, REAL, SERVICE, SERVICE_ROW, STATS, Command
from ipvskit.ipvs.wanted import identity_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from ipvskit.model.key import ServiceKey
    from ipvskit.model.real import RealServer
    from ipvskit.model.service import VirtualService

__all__ = ["HeldServices"]

_SIZE, _REAL = SERVICE_ROW.size, REAL.size
_REQUESTED = slice(HEAD.size, HEAD.size + SERVICE.size)
_NO_STATS = bytes(STATS.size)
#: Services of which values are made at once.
_PORTION = 512


class HeldServices(Mapping["ServiceKey", "VirtualService"]):
    """Services with their real servers by key. It does not change; values are made anew at every look.

    `rows` are the services' rows, `real_rows` those of their real servers, one service behind the other and the newest first, `counts` says how many
    each has. `bare` says that the real servers were not read.
    """

    def __init__(self, rows: bytearray, real_rows: bytearray, counts: array[int], *, bare: bool = False) -> None:
        self.rows, self.real_rows, self.counts, self.bare = rows, real_rows, counts, bare
        self.identities = decode.service_identities(rows)
        self._places: dict[bytes, int] | None = None
        self._ends: list[int] | None = None
        self._keys: list[ServiceKey] | None = None
        self._addresses = decode.Addresses()

    @classmethod
    def of(cls, services: Iterable[VirtualService]) -> HeldServices:
        """From values, as if they had been read."""
        rows, reals, counts = bytearray(), bytearray(), array("I")
        for service in services:
            rows += records.service_request(Command.NEW_SERVICE, service)[_REQUESTED] + _NO_STATS
            reals += b"".join([records.real_record(real) for real in reversed(service.reals)])
            counts.append(len(service.reals))
        return cls(rows, reals, counts)

    @property
    def keys_in_order(self) -> list[ServiceKey]:
        """The keys, by place."""
        if self._keys is None:
            self._keys = decode.service_keys(self.rows, self._addresses)
        return self._keys

    @property
    def real_count(self) -> int:
        """How many real servers there are in all."""
        return len(self.real_rows) // _REAL

    def place(self, key: ServiceKey) -> int | None:
        """The place of a service."""
        if self._places is None:
            self._places = {identity: place for place, identity in enumerate(self.identities)}
        return self._places.get(identity_of(key))

    def raw(self, place: int) -> tuple[bytes, bytes]:
        """The configuration of a service, and of its real servers in the kernel's order, as opaque bytes, to be compared with another reading."""
        at = place * _SIZE
        return bytes(self.rows[at + 8 : at + SERVICE.size]), bytes(self.real_rows[slice(*self._span(place))])

    def same_as(self, other: HeldServices) -> bool:
        """Whether another reading found the same services in the same order, each with the same configuration and the same real servers."""
        return (
            self.identities == other.identities
            and self.counts == other.counts
            and self.real_rows == other.real_rows
            and decode.service_configs(self.rows) == decode.service_configs(other.rows)
        )

    def _span(self, place: int) -> tuple[int, int]:
        if self._ends is None:
            self._ends = [end * _REAL for end in accumulate(self.counts)]
        return (self._ends[place - 1] if place else 0), self._ends[place]

    def at(self, place: int) -> VirtualService:
        """The service at a place."""
        return self.values_at([place])[0]

    def values_at(self, places: Sequence[int]) -> list[VirtualService]:
        """The services at these places."""
        chosen = self.select(places)
        keys = decode.service_keys(chosen.rows, self._addresses)
        return decode.whole_services(chosen.rows, keys, self._reals(chosen))

    def _reals(self, chosen: HeldServices) -> Iterator[tuple[RealServer, ...]]:
        # Whoever reads them sees to it that every row has its family.
        found = decode.real_columns(chosen.real_rows, [], self._addresses, stats=False)[1]
        start = 0
        for count in chosen.counts:
            # The kernel lists the newest first.
            yield tuple(found[start : start + count][::-1])
            start += count

    def reals_at(self, rows: Sequence[int]) -> list[RealServer]:
        """The real servers in these rows."""
        some = b"".join([self.real_rows[row * _REAL : (row + 1) * _REAL] for row in rows])
        return decode.real_columns(some, [], self._addresses, stats=False)[1]

    def select(self, places: Sequence[int]) -> HeldServices:
        """Only those at these places."""
        if len(places) == len(self.identities) and all(at == place for at, place in enumerate(places)):
            return self
        rows, reals, counts = bytearray(), bytearray(), array("I")
        for place in places:
            rows += self.rows[place * _SIZE : (place + 1) * _SIZE]
            start, end = self._span(place)
            reals += self.real_rows[start:end]
            counts.append(self.counts[place])
        return HeldServices(rows, reals, counts, bare=self.bare)

    def __getitem__(self, key: ServiceKey) -> VirtualService:
        place = self.place(key)
        if place is None:
            raise KeyError(key)
        return self.at(place)

    def __contains__(self, key: object) -> bool:
        return hasattr(key, "fwmark") and self.place(key) is not None  # type: ignore[arg-type] # only keys have one

    def __iter__(self) -> Iterator[ServiceKey]:
        return iter(self.keys_in_order)

    def __len__(self) -> int:
        return len(self.identities)

    def values(self) -> ValuesView[VirtualService]:
        """The services, made some at a time as one goes through them."""
        return _Values(self)

    def items(self) -> ItemsView[ServiceKey, VirtualService]:
        """The same with their keys."""
        return _Items(self)

    def portions(self) -> Iterator[VirtualService]:
        """All services in order."""
        for start in range(0, len(self), _PORTION):
            yield from self.values_at(range(start, min(start + _PORTION, len(self))))


class _Values(ValuesView["VirtualService"]):
    _mapping: HeldServices

    def __iter__(self) -> Iterator[VirtualService]:
        return self._mapping.portions()


class _Items(ItemsView["ServiceKey", "VirtualService"]):
    _mapping: HeldServices

    def __iter__(self) -> Iterator[tuple[ServiceKey, VirtualService]]:
        return ((service.key, service) for service in self._mapping.portions())
