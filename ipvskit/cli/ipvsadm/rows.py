"""Virtual services and real servers as the tables have them, from packed rows.

Knows: which field is where, and how the tool sorts. Must not know: how rows are read, how tables look.
"""

from __future__ import annotations

from struct import Struct

from ipvskit.ipvs.layout import AF_INET6, ATTR_FWMARK, IDENTITY_SIZE, REAL, REAL_ROW, SERVICE, SERVICE_ROW

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import TypeVar

    Item = TypeVar("Item")

__all__ = ["Real", "Service", "identities", "reals", "services", "sorted_reals", "sorted_services"]

_SERVICE = Struct(f"=4xIHHH2xI16sI4xII16s20s{SERVICE_ROW.size - SERVICE.size - 80}x10Q")
_REAL = Struct(f"=I4xHHHHB3x16sIiIIIII{REAL_ROW.size - REAL.size - 80}x10Q")
_IDENTITY = Struct(f"=8x{IDENTITY_SIZE}s{SERVICE_ROW.size - 8 - IDENTITY_SIZE}x")
_WORDS = Struct(">4I")
_FORWARDING = 7  # the bits of the forwarding method
_WRAP, _HALF = 1 << 32, 1 << 31


class Service:
    """A virtual service. `netmask` is a mask for IPv4 and a prefix length for IPv6; `stats` are five counters and five rates."""

    __slots__ = (
        "address",
        "engine",
        "family",
        "flags",
        "fwmark",
        "netmask",
        "port",
        "protocol",
        "reals",
        "scheduler",
        "stats",
        "timeout",
    )

    def __init__(
        self,
        family: int,
        protocol: int,
        address: bytes,
        port: int,
        fwmark: int,
        *,
        scheduler: str = "",
        engine: str = "",
        flags: int = 0,
        timeout: int = 0,
        netmask: int = 0,
        stats: Sequence[int] = (0,) * 10,
        reals: Iterable[Real] = (),
    ) -> None:
        self.family, self.protocol, self.address, self.port, self.fwmark = family, protocol, address, port, fwmark
        self.scheduler, self.engine = scheduler, engine
        self.flags, self.timeout, self.netmask = flags, timeout, netmask
        self.stats = stats
        #: In the order of the kernel's list: the newest first.
        self.reals = list(reals)


class Real:
    """A real server of a virtual service. `method` and the tunnel's fields are the kernel's numbers; `stats` as those of the service."""

    __slots__ = (
        "active",
        "address",
        "family",
        "inactive",
        "lower",
        "method",
        "persistent",
        "port",
        "stats",
        "tunnel_flags",
        "tunnel_port",
        "tunnel_type",
        "upper",
        "weight",
    )

    def __init__(
        self,
        family: int,
        address: bytes,
        port: int,
        *,
        method: int = 0,
        weight: int = 0,
        limits: tuple[int, int] = (0, 0),
        tunnel: tuple[int, int, int] = (0, 0, 0),
        counts: tuple[int, int, int] = (0, 0, 0),
        stats: Sequence[int] = (0,) * 10,
    ) -> None:
        self.family, self.address, self.port = family, address, port
        self.method, self.weight = method & _FORWARDING, weight
        self.upper, self.lower = limits
        self.tunnel_type, self.tunnel_port, self.tunnel_flags = tunnel
        self.active, self.inactive, self.persistent = counts
        self.stats = stats


def identities(rows: bytes | bytearray) -> list[bytes]:
    """What identifies the service in every row."""
    return [identity for (identity,) in _IDENTITY.iter_unpack(rows)]


def services(rows: bytes | bytearray) -> list[Service]:
    """The services of rows, without their real servers."""
    found = []
    for (
        present,
        family,
        protocol,
        port,
        mark,
        address,
        flags,
        seconds,
        mask,
        name,
        engine,
        *stats,
    ) in _SERVICE.iter_unpack(rows):
        by_mark = present & ATTR_FWMARK
        place = (0, bytes(16), 0, mark) if by_mark else (protocol, address, port, 0)
        service = Service(family, *place, flags=flags, timeout=seconds, netmask=mask, stats=stats)
        service.scheduler, service.engine = _text(name), _text(engine)
        found.append(service)
    return found


def reals(rows: bytes | bytearray) -> list[tuple[int, Real]]:
    """(number of the request, real server) of rows."""
    return [
        (
            index,
            Real(
                family,
                address,
                port,
                method=method,
                weight=weight,
                limits=(upper, lower),
                tunnel=(kind, tunnel_port, tunnel_flags),
                counts=(active, inactive, persistent),
                stats=stats,
            ),
        )
        for (
            index,
            family,
            port,
            tunnel_port,
            tunnel_flags,
            kind,
            address,
            method,
            weight,
            upper,
            lower,
            active,
            inactive,
            persistent,
            *stats,
        ) in _REAL.iter_unpack(rows)
    ]


def _text(raw: bytes) -> str:
    return raw.partition(b"\0")[0].decode("latin-1")


# --- order --------------------------------------------------------------------------------------------------------------------------


def sorted_services(found: Sequence[Service]) -> list[Service]:
    """By firewall mark, family, protocol, address and port, as the tool compares those."""
    keys = [(one.fwmark, one.family, one.protocol, *_words(one.family, one.address), one.port) for one in found]
    return _sorted(found, keys, _difference)


def sorted_reals(found: Sequence[Real]) -> list[Real]:
    """By address and port, as the tool compares those."""
    keys = [(one.family, *_words(one.family, one.address), one.port) for one in found]
    return _sorted(found, keys, _real_difference)


def _words(family: int, address: bytes) -> tuple[int, ...]:
    words = _WORDS.unpack(address)
    return words if family == AF_INET6 else (words[0], 0, 0, 0)


def _difference(one: Sequence[int], other: Sequence[int]) -> int:
    """The first difference, as 32 bits with a sign: beyond 2^31 it turns around."""
    for left, right in zip(one, other, strict=True):
        if left != right:
            return (left - right + _HALF) % _WRAP - _HALF
    return 0


def _real_difference(one: Sequence[int], other: Sequence[int]) -> int:
    # The family does not count, but for how much of the other's address is looked at.
    return _difference(one[1:], other[1:]) if one[0] == AF_INET6 else _difference(one[1::4], other[1::4])


def _sorted(
    items: Sequence[Item], keys: Sequence[Sequence[int]], difference: Callable[[Sequence[int], Sequence[int]], int]
) -> list[Item]:
    if _plain(keys) and len({one[0] for one in keys if difference is _real_difference}) <= 1:
        return [items[at] for at in sorted(range(len(items)), key=lambda at: tuple(keys[at]))]
    return [items[at] for at in _merged(list(range(len(items))), keys, difference)]


def _plain(keys: Sequence[Sequence[int]]) -> bool:
    """Whether no difference turns around."""
    return all(max(column) - min(column) < _HALF for column in zip(*keys, strict=True))


def _merged(
    places: list[int], keys: Sequence[Sequence[int]], difference: Callable[[Sequence[int], Sequence[int]], int]
) -> list[int]:
    """A merge sort as that of the C library: where differences turn around, the order depends on which are compared."""
    if len(places) < 2:
        return places
    middle = len(places) // 2
    left, right = _merged(places[:middle], keys, difference), _merged(places[middle:], keys, difference)
    merged: list[int] = []
    at = to = 0
    while at < len(left) and to < len(right):
        if difference(keys[left[at]], keys[right[to]]) <= 0:
            merged.append(left[at])
            at += 1
        else:
            merged.append(right[to])
            to += 1
    return merged + left[at:] + right[to:]
