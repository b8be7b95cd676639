"""Filling frozen dataclasses with slots quickly, for values that come from the kernel by the hundred thousand.

Knows: slot descriptors. Must not know: any particular class.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["setter"]


def setter(owner: type, name: str) -> Callable[[Any, Any], None]:
    """What writes the slot, past the frozen class's own refusal."""
    write: Callable[[Any, Any], None] = owner.__dict__[name].__set__
    return write
