"""Making sets: the revision, and what to say of one that exists.

Knows: what a new set needs, and how it is compared with an old one. Must not know: entries' text, netlink.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any

from ipvskit.errors import InvalidConfig, SetExists
from ipvskit.ipset import commands
from ipvskit.ipset.commands import Command, held
from ipvskit.ipset.refusals import refusal
from ipvskit.sets.definition import Set
from ipvskit.sets.differences import differences
from ipvskit.sets.revisions import choose
from ipvskit.sets.sizes import fitting

if TYPE_CHECKING:
    from ipvskit.ipset.asking import Asking
    from ipvskit.sets.revisions import Wish

__all__ = ["check_existing", "definition_of", "make"]


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
        wanted = fitting(wanted, there.set, len(wanted.entries))
    found = differences(wanted, there.set, there.revision, wish if isinstance(wish, int) else None)
    if exist and not found:
        return
    reason = "a set of this name exists"
    if found:
        reason += ", but " + ", ".join(f"{field} is {has}, not {wants}" for field, wants, has in found)
    error = SetExists(errno.EEXIST, reason, operation="create set", key=wanted.name)
    error.differences = tuple(found)
    raise error


def definition_of(wanted: Set | str, type: str | None, options: dict[str, Any]) -> Set:  # noqa: A002 - the field's own name
    """A set from a value, from its text form, or from name, type and options. Raises InvalidConfig."""
    if isinstance(wanted, str) and type is not None:
        return Set(wanted, type, **options)
    if options or type is not None:
        name = next(iter(options), "type")
        raise InvalidConfig(
            name, options.get(name, type), "given with a name and a type only: the set has its options itself"
        )
    return Set.parse(wanted)
