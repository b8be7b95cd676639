"""Wanted services in the form in which held ones arrive, to be compared without making values of them.

Knows: packed records, and the bits of fields that are kept. Must not know: what is done about a difference.
"""

from __future__ import annotations

from array import array
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple

from ipvskit._native import compare as native
from ipvskit._native.pairs import member_requests
from ipvskit.ipvs import records
from ipvskit.ipvs.records import HEAD, IDENTITY_SIZE, REAL, SERVICE, Command

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from ipvskit.ipvs.holding import HeldServices
    from ipvskit.model.key import ServiceKey
    from ipvskit.model.service import VirtualService

__all__ = [
    "REALS_DIFFER",
    "SERVICE_DIFFERS",
    "Arrangement",
    "Comparison",
    "Packed",
    "Wanted",
    "compare",
    "identity_of",
    "pack",
]

SERVICE_DIFFERS, REALS_DIFFER = native.SERVICE_DIFFERS, native.REALS_DIFFER

_INDEX = Struct("=I")
_NO_INDEX = bytes(_INDEX.size)
_NOTHING = bytes(SERVICE.size)
_IDENTITY = slice(8, 8 + IDENTITY_SIZE)
_REQUESTED = slice(HEAD.size, HEAD.size + SERVICE.size)


class Packed(NamedTuple):
    """A wanted service: what identifies it, its configuration, and its real servers one behind the other. `keeps`: fields of those are kept."""

    identity: bytes
    config: bytes
    reals: bytes
    total: int
    keeps: bool
    service: VirtualService


class Comparison(NamedTuple):
    """`differing` has (place among those held, bits of the difference); `missing` are identities, `unwanted` places."""

    differing: list[tuple[int, int]]
    missing: list[bytes]
    unwanted: list[int]
    arrangement: Arrangement


class Arrangement(NamedTuple):
    """Wanted services side by side with held ones."""

    identities: list[bytes]
    configs: bytes
    reals: bytes
    counts: array[int]
    missing: list[bytes]
    unwanted: list[int]


class Wanted:
    """Wanted services by their identities, and how they were arranged last: mostly the kernel has the same as before, in the same order."""

    def __init__(self, services: Iterable[Packed]) -> None:
        self._packed = {packed.identity: packed for packed in services}
        self._last: Arrangement | None = None

    def compare(self, held: HeldServices) -> Comparison:
        """How what is held differs from what is wanted."""
        last = self._last
        if last is None or last.identities != held.identities:
            last = self._last = self._arranged(held.identities)
        bits = native.differing(held.rows, held.real_rows, held.counts, last.configs, last.reals, last.counts)
        differing = [(place, what) for place, what in enumerate(bits) if what] if any(bits) else []
        return Comparison(differing, last.missing, last.unwanted, last)

    def __getitem__(self, identity: bytes) -> Packed:
        return self._packed[identity]

    def _arranged(self, identities: list[bytes]) -> Arrangement:
        configs: list[bytes] = []
        reals: list[bytes] = []
        counts, unwanted = array("I"), []
        get, no = self._packed.get, native.NOT_WANTED
        for place, identity in enumerate(identities):
            packed = get(identity)
            if packed is None:
                configs.append(_NOTHING)
                counts.append(no)
                unwanted.append(place)
            else:
                configs.append(packed.config)
                reals.append(packed.reals)
                counts.append(packed.total)
        missing: list[bytes] = []
        if len(self._packed) != len(identities) - len(unwanted):
            known = set(identities)
            missing = [identity for identity in self._packed if identity not in known]
        return Arrangement(identities, b"".join(configs), b"".join(reals), counts, missing, unwanted)


def identity_of(key: ServiceKey) -> bytes:
    """What identifies a service in its rows."""
    return records.key_request(Command.GET_SERVICE, key)[HEAD.size :][_IDENTITY]


def pack(service: VirtualService) -> Packed:
    """A service to be compared."""
    config = records.service_request(Command.NEW_SERVICE, service)[_REQUESTED]
    identity = config[_IDENTITY]
    if service.keep:
        config = _with_kept(config, service.keep)
    record = records.real_record
    keeps = [real.keep for real in service.reals if real.keep]
    reals = [record(real) for real in service.reals]
    if keeps:
        reals = [_with_kept(one, real.keep) for one, real in zip(reals, service.reals, strict=True)]
    return Packed(identity, config, b"".join(reals), len(reals), bool(keeps or "reals" in service.keep), service)


def _with_kept(record: bytes, keep: Iterable[str]) -> bytes:
    return _INDEX.pack(sum(native.KEEP[name] for name in keep)) + record[_INDEX.size :]


def compare(held: HeldServices, services: Iterable[Packed]) -> Comparison:
    """How what is held differs from what is wanted."""
    return Wanted(services).compare(held)


def packed_services(services: Iterable[Packed]) -> bytes:
    """Packed requests that add these services."""
    head, rest = HEAD.pack(Command.NEW_SERVICE, 0) + _NO_INDEX, bytes(REAL.size)
    return b"".join([part for one in services for part in (head, one.config[_INDEX.size :], rest)])


def packed_members(services: Sequence[Packed]) -> bytes:
    """Packed requests that add the real servers of these services."""
    configs, reals = b"".join([one.config for one in services]), b"".join([one.reals for one in services])
    return member_requests(Command.NEW_DEST, configs, reals, array("I", [one.total for one in services]))


def by_size(places: Iterable[int], services: Sequence[Packed], most: int) -> Iterator[list[int]]:
    """The places of services in portions of so many real servers, or one service that has more."""
    found: list[int] = []
    total = 0
    for place in places:
        if found and total + services[place].total > most:
            yield found
            found, total = [], 0
        found.append(place)
        total += services[place].total
    if found:
        yield found
