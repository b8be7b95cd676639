"""How large a set is made for its contents.

Knows: the kernel's default sizes, and what growing costs. Must not know: how sets are made.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ipvskit.sets.definition import with_options

if TYPE_CHECKING:
    from ipvskit.sets.definition import Set

__all__ = ["fitting", "sized"]

_DEFAULT_HASHSIZE = 1024
_DEFAULT_MAXELEM = 65536
_MOST_BUCKETS = 1 << 27


def _power_above(number: int) -> int:
    return 1 << max(0, number - 1).bit_length()


def sized(wanted: Set, count: int) -> Set:
    """The same set, with the sizes that were left open made for so many entries.

    Growing costs the kernel up to three times as much as adding, so a hash begins with a bucket for every element: it holds up to twelve,
    but with half as many buckets adding takes a tenth longer.
    """
    changes: dict[str, Any] = {}
    if "maxelem" in wanted.set_type.create_options and wanted.maxelem is None and count > _DEFAULT_MAXELEM:
        changes["maxelem"] = _power_above(count + count // 4)
    if "hashsize" in wanted.set_type.create_options and wanted.hashsize is None:
        buckets = min(_power_above(count), _MOST_BUCKETS)
        if buckets > _DEFAULT_HASHSIZE:
            changes["hashsize"] = buckets
    if "size" in wanted.set_type.create_options and wanted.size is None and count > 8:
        changes["size"] = count
    return replace(wanted, **changes) if changes else wanted


def fitting(wanted: Set, there: Set, count: int) -> Set:
    """The same set; where it leaves its size to its contents, with that of the one there, which was perhaps made for them."""
    sizes = {
        name: getattr(there, name)
        for name in ("maxelem", "size")
        if getattr(wanted, name) is None and (getattr(there, name) or 0) >= count
    }
    return with_options(wanted, **sizes) if sizes else wanted
