"""KEEP: the mark of what another controller owns.

Knows: that a field can be left to somebody else. Must not know: which fields there are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from ipvskit.errors import InvalidConfig

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

__all__ = ["KEEP", "NOTHING", "WORD", "Keep", "keep_names", "kept", "settle"]

T = TypeVar("T")


class Keep:
    """The type of KEEP, which is its only value."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "KEEP"

    def __reduce__(self) -> str:
        return "KEEP"


#: In a desired state: this field is another controller's (a health checker's weight). It gets its default when the object is made, and stays as it
#: is afterwards.
KEEP = Keep()

#: Its text.
WORD = "keep"

#: No field is kept.
NOTHING: frozenset[str] = frozenset()


def settle(given: Mapping[str, object]) -> frozenset[str]:
    """The names of the fields that are given as KEEP."""
    return frozenset([name for name, value in given.items() if isinstance(value, Keep)]) or NOTHING


def keep_names(what: str, names: Iterable[str], known: Sequence[str]) -> frozenset[str]:
    """The names of fields to be kept, as one writes them out. Raises InvalidConfig."""
    found = frozenset([names] if isinstance(names, str) else names)
    if found - set(known):
        raise InvalidConfig(f"{what} keep", sorted(found - set(known)), "names of fields: " + ", ".join(known))
    return found


def kept(name: str, value: T | Keep, default: object, names: Collection[str]) -> T | Keep:
    """KEEP for a field that is named, which then cannot have another value than its default. Raises InvalidConfig."""
    if name not in names:
        return value
    if value is not KEEP and value != default and value:
        raise InvalidConfig(name, value, f"left out, because {name} is kept")
    return KEEP
