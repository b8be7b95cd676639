"""What the C core is told about the elements of a set.

Knows: struct ik_shape of csrc/ik_shape.h. Must not know: netlink, tables.
"""

from __future__ import annotations

import struct
from functools import cache
from typing import TYPE_CHECKING

from ipvskit.errors import InvalidConfig
from ipvskit.model.address import Family
from ipvskit.model.settype import SET_TYPES, Part, SetType
from ipvskit.sets.definition import Set
from ipvskit.sets.parts import NumberRange

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = [
    "DATA_BITS",
    "OPTIONS",
    "RANGE_BITS",
    "SHAPE",
    "family_number",
    "listing_types",
    "option_bits",
    "shape_of_set",
    "shape_of_type",
]

SHAPE = struct.Struct("=B3s4xIIII16s16s16s")

_FAMILIES = {None: 0, Family.IPV4: 2, Family.IPV6: 10}

_RANGES, _MAC_IS_VALUE, _ZERO_PREFIX, _NO_NULL = (1 << bit for bit in range(4))
_BOUNDED, _MASKED, _STRICT, _TIMEOUT, _COUNTERS = (1 << bit for bit in range(4, 9))

#: Options of entries, and their bits (enum ik_present).
OPTIONS = {
    "mac": 8,
    "timeout": 16,
    "packets": 32,
    "bytes": 64,
    "comment": 128,
    "skbmark": 256,
    "skbprio": 512,
    "skbqueue": 1024,
    "nomatch": 2048,
    "wildcard": 4096,
    "before": 8192,
    "after": 16384,
}
#: Bits of the ends of ranges.
RANGE_BITS = 1 | 2 | 4

#: Which option of entries needs which option of the set.
_NEEDS: dict[str, Callable[[Set], bool]] = {
    "timeout": lambda of: of.timeout is not None,
    "packets": lambda of: of.counters,
    "bytes": lambda of: of.counters,
    "comment": lambda of: of.comment,
    "skbmark": lambda of: of.skbinfo,
    "skbprio": lambda of: of.skbinfo,
    "skbqueue": lambda of: of.skbinfo,
}


def option_bits(names: Iterable[str]) -> int:
    """The bits of these options. Raises InvalidConfig."""
    bits = 0
    for name in names:
        if name not in OPTIONS:
            raise InvalidConfig("options", name, "one of " + ", ".join(OPTIONS))
        bits |= OPTIONS[name]
    return bits


#: Bits of the options that go with an element and are no part of what it is.
DATA_BITS = option_bits(_NEEDS)


def family_number(family: Family | None) -> int:
    """AF_INET, AF_INET6, or 0."""
    return _FAMILIES[family]


def _flags(kind: SetType) -> int:
    return (
        (_RANGES if kind.ranges else 0)
        | (_MAC_IS_VALUE if kind.mac_is_value else 0)
        | (_ZERO_PREFIX if kind.zero_prefix else 0)
        | (_NO_NULL if kind.no_null else 0)
    )


def _pack(
    kind: SetType,
    family: Family | None,
    options: int,
    flags: int = 0,
    markmask: int = 0,
    timeout: int = 0,
    bounds: tuple[bytes, bytes] = (b"", b""),
    mask: bytes = b"",
) -> bytes:
    if Part.MAC in kind.parts and kind.mac_is_value:
        options |= OPTIONS["mac"]
    parts = bytes(kind.parts).ljust(3, b"\0")
    flags |= _flags(kind)
    return SHAPE.pack(_FAMILIES[family], parts, flags, options | RANGE_BITS, markmask, timeout, *bounds, mask)


@cache
def shape_of_type(kind: SetType, family: Family | None) -> bytes:
    """For elements of any set of this type and family."""
    return _pack(kind, family, option_bits(kind.entry_options))


def shape_of_set(of: Set, *, filled: bool = True, checked: bool = True) -> bytes:
    """For elements of this set, with its bounds and masks. `filled`: elements that say nothing get the set's timeout, and counters at 0.

    `checked`: they have no other options than the set.
    """
    kind = of.set_type
    options = option_bits(name for name in kind.entry_options if not checked or name not in _NEEDS or _NEEDS[name](of))
    flags = _STRICT
    if filled:
        flags |= (_TIMEOUT if of.timeout is not None else 0) | (_COUNTERS if of.counters else 0)
    bounds = (b"", b"")
    if isinstance(of.range, NumberRange):
        flags |= _BOUNDED
        bounds = of.range.first.to_bytes(2, "big"), of.range.last.to_bytes(2, "big")
    elif of.range is not None:
        flags |= _BOUNDED
        bounds = of.range.first.packed, of.range.last.packed
    mask = _mask(of)
    flags |= _MASKED if mask else 0
    return _pack(kind, of.family, options, flags, of.markmask or 0, of.timeout or 0, bounds, mask)


def _mask(of: Set) -> bytes:
    if of.bitmask is not None:
        return of.bitmask.packed
    if of.netmask is None:
        return b""
    width = 128 if of.family is Family.IPV6 else 32
    return ((1 << width) - (1 << (width - of.netmask))).to_bytes(width // 8, "big")


@cache
def listing_types() -> tuple[tuple[str, bytes], ...]:
    """Every type and family there is, by name, with its shape."""
    found = []
    for name, kind in SET_TYPES.items():
        found += [(name, shape_of_type(kind, family)) for family in kind.families or (None,)]
    return tuple(found)
