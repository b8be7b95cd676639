"""What tells a wanted set from one that is held.

Knows: the kernel's defaults, and what it makes of creation options. Must not know: entries, netlink.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ipvskit.model.address import Family

if TYPE_CHECKING:
    from ipvskit.sets.definition import Set

__all__ = ["Difference", "differences"]

#: Field, what is wanted, what is held.
Difference = tuple[str, Any, Any]

_DEFAULTS = {"maxelem": 65536, "markmask": 2**32 - 1, "size": 8}
_ALWAYS = ("timeout", "counters", "comment", "skbinfo", "forceadd")


def differences(
    wanted: Set, held: Set, held_revision: int | None = None, wanted_revision: int | None = None
) -> list[Difference]:
    """The creation options of `wanted` that are not so in `held`; names and entries are not compared.

    Extensions (timeout, counters, comment, skbinfo, forceadd), maxelem, size and masks that are not stated mean the kernel's default, and are
    compared. `hashsize`: a larger one held is none, since sets grow. `bucketsize` and `initval` are compared if stated, and held ones known: kernels
    show them at their newest revision only. The revision is compared if one is wanted. Of another type, only type and family are told.
    """
    found: list[Difference] = []
    for field in ("type", "family"):
        _compare(found, field, getattr(wanted, field), getattr(held, field))
    if wanted_revision is not None:
        _compare(found, "revision", wanted_revision, held_revision)
    if wanted.type != held.type:
        return found
    options = wanted.set_type.create_options
    if wanted.hashsize is not None and held.hashsize is not None and held.hashsize < wanted.hashsize:
        found.append(("hashsize", wanted.hashsize, held.hashsize))
    for field in ("bucketsize", "initval"):
        if getattr(wanted, field) is not None and getattr(held, field) is not None:
            _compare(found, field, getattr(wanted, field), getattr(held, field))
    for field, default in _DEFAULTS.items():
        if field in options:
            _compare(found, field, _stated(wanted, field, default), _stated(held, field, default))
    if _mask(wanted) != _mask(held):
        field = "netmask" if wanted.bitmask is None and held.bitmask is None else "bitmask"
        found.append((field, wanted.bitmask or wanted.netmask, held.bitmask or held.netmask))
    _compare(found, "range", wanted.range, held.range)
    for field in _ALWAYS:
        _compare(found, field, getattr(wanted, field), getattr(held, field))
    return found


def _compare(found: list[Difference], field: str, wanted: object, held: object) -> None:
    if wanted != held:
        found.append((field, wanted, held))


def _stated(of: Set, field: str, default: int) -> int:
    value: int | None = getattr(of, field)
    return default if value is None else value


def _mask(of: Set) -> int | None:
    """The bits that addresses are cut with; None: all of them stay."""
    width = 128 if of.family is Family.IPV6 else 32
    full = (1 << width) - 1
    mask = full if of.netmask is None else full >> (width - of.netmask) << (width - of.netmask)
    if of.bitmask is not None:
        mask = int(of.bitmask)
    return None if mask == full else mask
