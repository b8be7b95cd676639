"""What the comparisons of all parts have in common.

Knows: scopes and what a snapshot looked for. Must not know: any kind of object.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ipvskit.engine.scope import Scope
from ipvskit.errors import InvalidConfig

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ipvskit.engine.keys import Key
    from ipvskit.engine.plan import Change
    from ipvskit.engine.real_segment import RealSegment
    from ipvskit.engine.service_segment import ServiceSegment
    from ipvskit.engine.snapshot import Snapshot

__all__ = ["Part", "check_scope", "owned"]


class Part(NamedTuple):
    """What the comparison of one kind of objects brings: changes, keys that were left alone, and how many there are in the scope by kind."""

    changes: list[Change]
    foreign: list[Key]
    held: dict[str, int]
    #: Changes as rows, each with whether it lowers weights.
    segments: Sequence[tuple[RealSegment | ServiceSegment, bool]] = ()


def check_scope(key: Key, scope: Scope | None, snapshot: Snapshot) -> None:
    """Whether a state may name this. Raises InvalidConfig."""
    if scope is not None and key not in scope:
        raise InvalidConfig("state", str(key), f"nothing outside the scope, {scope!r}")
    if isinstance(snapshot.only, Scope) and not snapshot.covers(key):
        raise InvalidConfig("state", str(key), f"nothing that the snapshot did not look for, {snapshot.only!r}")


def owned(key: Key, scope: Scope | None) -> bool:
    """Whether this may be deleted."""
    return scope is not None and key in scope
