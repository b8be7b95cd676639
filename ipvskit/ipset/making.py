"""Making sets: the revision, the sizes, and what to say of one that exists.

Knows: what a new set needs, and how it is compared with an old one. Must not know: entries' text, netlink.
"""

from __future__ import annotations

import errno
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ipvskit.errors import SetExists
from ipvskit.ipset import commands
from ipvskit.ipset.commands import Command, held
from ipvskit.ipset.refusals import refusal
from ipvskit.sets.definition import with_options
from ipvskit.sets.differences import differences
from ipvskit.sets.revisions import choose

if TYPE_CHECKING:
    from ipvskit.ipset.asking import Asking
    from ipvskit.sets.definition import Set
    from ipvskit.sets.revisions import Wish

__all__ = ["check_existing", "make", "sized"]

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


def make(asking: Asking, wanted: Set, wish: Wish, features: frozenset[str] = frozenset()) -> bool:
    """Create the set; False when one of the name exists. Raises SetTypeNotAvailable, SetFeatureNotAvailable, KernelError."""
    revision = choose(wanted.set_type, wanted, asking.revisions(wanted.set_type, wanted.family), wish, features)
    error = asking.attempt(commands.create(wanted, revision))
    if error == errno.EEXIST:
        return False
    if error:
        raise refusal(Command.CREATE, error, wanted.name, kind=wanted.type)
    return True


def check_existing(asking: Asking, wanted: Set, wish: Wish, *, exist: bool) -> None:
    """There is a set of this name. Raises SetExists unless `exist` and it is as wanted."""
    header = asking.listing(wanted.name, commands.LIST_HEADERS)[0][0]
    there = held(header)
    if wanted.entries is not None:
        wanted = _fitting(wanted, there.set, len(wanted.entries))
    found = differences(wanted, there.set, there.revision, wish if isinstance(wish, int) else None)
    if exist and not found:
        return
    reason = "a set of this name exists"
    if found:
        reason += ", but " + ", ".join(f"{field} is {has}, not {wants}" for field, wants, has in found)
    error = SetExists(errno.EEXIST, reason, operation="create set", key=wanted.name)
    error.differences = tuple(found)
    raise error


def _fitting(wanted: Set, there: Set, count: int) -> Set:
    """The same set; where it leaves its size to its contents, with that of the one there, which was perhaps made for them."""
    sizes = {
        name: getattr(there, name)
        for name in ("maxelem", "size")
        if getattr(wanted, name) is None and (getattr(there, name) or 0) >= count
    }
    return with_options(wanted, **sizes) if sizes else wanted
