"""Objects in the forms in which programs have them: dicts as the API serves them, Lists, and models of the official client.

Knows: what kind each is of. Must not know: what is in a Service.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

__all__ = ["Raw", "each_object"]

#: Lists of lists of lists are nobody's.
_MAX_DEPTH = 8
_MODEL = re.compile(r"V\d+(?:(?:alpha|beta)\d+)?(?P<kind>[A-Z]\w*)")


#: What most objects are.
_FREQUENT = ("EndpointSlice", "Service")


class Raw(NamedTuple):
    """An object as a mapping of the API's own field names, and its kind ("" where it does not say); None where it is no object at all."""

    kind: str
    fields: Mapping[str, Any] | None


def each_object(objects: Iterable[Any], depth: int = 0) -> Iterator[Raw]:
    """Every object, Lists taken apart. A single object is taken like a list of one."""
    if isinstance(objects, Mapping) or hasattr(objects, "attribute_map"):
        objects = [objects]
    for found in objects:
        if type(found) is dict and (kind := found.get("kind")) in _FREQUENT:
            yield Raw(kind, found)
        else:
            yield from _taken_apart(found, "", depth)


def _taken_apart(found: Any, kind: str, depth: int) -> Iterator[Raw]:  # noqa: ANN401 - anything may come
    fields = found if isinstance(found, Mapping) else _plain(found) if _is_model(found) else None
    if fields is None:
        yield Raw("", None)
        return
    stated = fields.get("kind")
    kind = stated if isinstance(stated, str) and stated else kind or _kind_of_model(found)
    items = fields.get("items")
    if not kind.endswith("List") or not isinstance(items, list | tuple):
        yield Raw(kind, fields)
    elif depth < _MAX_DEPTH:
        for item in items:
            yield from _taken_apart(item, kind.removesuffix("List"), depth + 1)


def _is_model(found: object) -> bool:
    return isinstance(getattr(found, "attribute_map", None), Mapping)


def _kind_of_model(found: object) -> str:
    matched = _MODEL.fullmatch(type(found).__name__)
    return matched["kind"] if matched and not isinstance(found, Mapping) else ""


def _plain(value: Any) -> Any:  # noqa: ANN401 - what a field holds
    """A model as a dict of the API's own field names; fields that are None are left out, times become text."""
    if _is_model(value):
        fields = ((name, getattr(value, attribute, None)) for attribute, name in value.attribute_map.items())
        return {name: _plain(held) for name, held in fields if held is not None}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {name: _plain(held) for name, held in value.items()}
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return value
