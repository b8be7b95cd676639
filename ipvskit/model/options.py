"""`name=value` words: the text form of a value's options.

Knows: how options are written behind an identity. Must not know: which values there are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ipvskit.errors import InvalidConfig
from ipvskit.model.address import is_number
from ipvskit.model.keep import KEEP, NOTHING, WORD

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["read_options", "write_options"]


def read_options(what: str, words: Iterable[str], kinds: Mapping[str, type]) -> dict[str, Any]:
    """The options by name, each converted to its kind: int, str, bool or list (comma-separated), or KEEP. Raises InvalidConfig."""
    found: dict[str, Any] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if name not in kinds or not equals or name in found:
            raise InvalidConfig(what, word, "each at most once and with =VALUE: " + ", ".join(kinds))
        found[name] = _convert(name, value, kinds[name])
    return found


def _convert(name: str, value: str, kind: type) -> Any:  # noqa: ANN401 - the kind says what comes out
    if value == WORD:
        return KEEP
    if kind is int:
        if not is_number(value):
            raise InvalidConfig(name, value, "a whole number")
        return int(value)
    if kind is bool:
        if value not in {"yes", "no"}:
            raise InvalidConfig(name, value, '"yes" or "no"')
        return value == "yes"
    return value.split(",") if kind is list else value


def write_options(value: object, kinds: Mapping[str, type], defaults: Mapping[str, object]) -> list[str]:
    """`name=value` for every option that is not at its default."""
    words = []
    kept: frozenset[str] = getattr(value, "keep", NOTHING)
    for name, kind in kinds.items():
        if name in kept:
            words.append(f"{name}={WORD}")
            continue
        held = getattr(value, name)
        if held == defaults[name]:
            continue
        if kind is bool:
            held = "yes" if held else "no"
        elif kind is list:
            held = ",".join(sorted(held))
        words.append(f"{name}={held}")
    return words
