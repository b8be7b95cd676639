"""Wanted services in the form in which held ones arrive, to be compared without making values of them.

Knows: packed records, and the bits of fields that are kept. Must not know: what is done about a difference.
"""

from __future__ import annotations

from array import array
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple

from ipvskit._native import compare as native
from ipvskit.ipvs import records
from ipvskit.ipvs.records import HEAD, IDENTITY_SIZE, SERVICE, Command

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ipvskit.ipvs.holding import HeldServices
    from ipvskit.model.key import ServiceKey
    from ipvskit.model.real import RealServer
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

    def keeps(self, identity: bytes) -> bool:
        """Whether fields of this service's real servers are kept."""
        return self._packed[identity].keeps

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
    reals = [_with_kept(record(real), real.keep) if real.keep else record(real) for real in service.reals]
    keeps = "reals" in service.keep or any(real.keep for real in service.reals)
    return Packed(identity, config, b"".join(reals), len(reals), keeps)


def real_changed(one: RealServer, other: RealServer) -> bool:
    """Whether two real servers at the same place are configured differently."""
    return records.real_record(one) != records.real_record(other)


def _with_kept(record: bytes, keep: Iterable[str]) -> bytes:
    return _INDEX.pack(sum(native.KEEP[name] for name in keep)) + record[_INDEX.size :]


def compare(held: HeldServices, services: Iterable[Packed]) -> Comparison:
    """How what is held differs from what is wanted."""
    return Wanted(services).compare(held)
