"""Filling frozen dataclasses with slots quickly, for values that come from the kernel by the hundred thousand.

Knows: slot descriptors. Must not know: any particular class.
"""

from __future__ import annotations

from collections import deque
from itertools import repeat
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

__all__ = ["make_all", "setter"]

T = TypeVar("T")


def setter(owner: type, name: str) -> Callable[[Any, Any], None]:
    """What writes the slot, past the frozen class's own refusal."""
    write: Callable[[Any, Any], None] = owner.__dict__[name].__set__
    return write


def make_all(
    owner: type[T], count: int, columns: Sequence[tuple[Callable[[Any, Any], None], Iterable[Any]]]
) -> list[T]:
    """So many values at once, from each field's setter and column: no step of it runs Python code for a single value."""
    made = list(map(object.__new__, repeat(owner, count)))
    for write, column in columns:
        deque(map(write, made, column), maxlen=0)
    return made
