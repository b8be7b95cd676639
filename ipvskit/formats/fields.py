"""Kinds of values in a document, each with how it is read and its JSON Schema.

Knows: texts, numbers, lists and objects. Must not know: what they are for (`ipvskit.formats.tables`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from ipvskit.errors import InvalidConfig
from ipvskit.formats.problems import nearest, shown
from ipvskit.model.keep import KEEP, WORD

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ipvskit.formats.problems import Path, Problems

__all__ = [
    "BAD",
    "Anything",
    "Choice",
    "Either",
    "Field",
    "Flag",
    "Kind",
    "ListOf",
    "Nullable",
    "Number",
    "Table",
    "Text",
    "Texts",
]

#: What a value that cannot be read is read as.
BAD: Any = type("Bad", (), {"__repr__": lambda _: "BAD"})()


class Kind(Protocol):
    """What a value may be."""

    def read(self, value: object, path: Path, problems: Problems) -> Any:  # noqa: ANN401 - the kind says what comes out
        """The value, or BAD after saying why."""

    def schema(self) -> dict[str, Any]:
        """Its JSON Schema."""


@dataclass(frozen=True, slots=True)
class Text:
    """A text. `pattern` is all of it, `parse` refuses what is no good (InvalidConfig); `expected` says what would be."""

    expected: str
    pattern: str = ""
    parse: Callable[[str], object] | None = None

    def read(self, value: object, path: Path, problems: Problems) -> Any:  # noqa: ANN401 - what parse makes
        """Read one."""
        if not isinstance(value, str):
            problems.add(path, f"{shown(value)} is not usable: a text, {self.expected}", quoted=True)
            return BAD
        try:
            if self.pattern and not re.fullmatch(self.pattern, value):
                raise InvalidConfig("", value, self.expected)
            return value if self.parse is None else self.parse(value)
        except InvalidConfig as error:
            problems.add(path, f"{shown(value)} is not usable: {error.expected}")
        except UnicodeError:
            problems.add(path, f"{shown(value)} is not usable: characters that there are in UTF-8")
        return BAD

    def schema(self) -> dict[str, Any]:
        """Its JSON Schema."""
        return {"type": "string"} | ({"pattern": f"^(?:{self.pattern})$"} if self.pattern else {})


@dataclass(frozen=True, slots=True)
class Number:
    """A whole number."""

    low: int
    high: int
    unit: str = ""

    def read(self, value: object, path: Path, problems: Problems) -> Any:  # noqa: ANN401 - or BAD
        """Read one."""
        if isinstance(value, int) and not isinstance(value, bool) and self.low <= value <= self.high:
            return value
        unit = f" {self.unit}" if self.unit else ""
        problems.add(path, f"{shown(value)} is not usable: a whole number from {self.low} to {self.high}{unit}")
        return BAD

    def schema(self) -> dict[str, Any]:
        """Its JSON Schema."""
        return {"type": "integer", "minimum": self.low, "maximum": self.high}


@dataclass(frozen=True, slots=True)
class Anything:
    """What is passed over."""

    def read(self, value: object, _path: Path, _problems: Problems) -> Any:  # noqa: ANN401 - as it is
        """Read one."""
        return value

    def schema(self) -> dict[str, Any]:
        """Its JSON Schema."""
        return {}


@dataclass(frozen=True, slots=True)
class Flag:
    """True or false."""

    def read(self, value: object, path: Path, problems: Problems) -> Any:  # noqa: ANN401 - or BAD
        """Read one."""
        if isinstance(value, bool):
            return value
        problems.add(path, f"{shown(value)} is not usable: true or false")
        return BAD

    def schema(self) -> dict[str, Any]:
        """Its JSON Schema."""
        return {"type": "boolean"}


@dataclass(frozen=True, slots=True)
class Choice:
    """One of these texts."""

    names: tuple[str, ...]

    def read(self, value: object, path: Path, problems: Problems) -> Any:  # noqa: ANN401 - or BAD
        """Read one."""
        if isinstance(value, str) and value in self.names:
            return value
        hint = nearest(value, self.names) if isinstance(value, str) else ""
        told = "one of " + ", ".join(self.names) + (f" ({hint})" if hint.endswith("?") else "")
        problems.add(path, f"{shown(value)} is not usable: {told}", quoted=not isinstance(value, str))
        return BAD

    def schema(self) -> dict[str, Any]:
        """Its JSON Schema."""
        return {"enum": list(self.names)}


@dataclass(frozen=True, slots=True)
class Nullable:
    """A value, or null, which has a meaning of its own."""

    kind: Kind

    def read(self, value: object, path: Path, problems: Problems) -> Any:  # noqa: ANN401 - the kind says what comes out
        """Read one."""
        return None if value is None else self.kind.read(value, path, problems)

    def schema(self) -> dict[str, Any]:
        """Its JSON Schema."""
        return {"anyOf": [self.kind.schema(), {"type": "null"}]}


@dataclass(frozen=True, slots=True)
class Either:
    """A text, or something else."""

    text: Text
    other: Kind

    def read(self, value: object, path: Path, problems: Problems) -> Any:  # noqa: ANN401 - the kind says what comes out
        """Read one."""
        return (self.text if isinstance(value, str) else self.other).read(value, path, problems)

    def schema(self) -> dict[str, Any]:
        """Its JSON Schema."""
        return {"anyOf": [self.other.schema(), self.text.schema()]}


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list; `length` is how many it must have, None any. With `partial` what is bad in it stays as BAD, so that all keep their places."""

    kind: Kind
    length: int | None = None
    partial: bool = False

    def read(self, value: object, path: Path, problems: Problems) -> Any:  # noqa: ANN401 - or BAD
        """Read one."""
        if not isinstance(value, list | tuple) or (self.length is not None and len(value) != self.length):
            several = "a list" if self.length is None else f"a list of {self.length}"
            problems.add(path, f"{shown(value)} is not usable: {several}")
            return BAD
        read = [self.kind.read(each, (*path, place), problems) for place, each in enumerate(value)]
        return read if self.partial or not any(each is BAD for each in read) else BAD

    def schema(self) -> dict[str, Any]:
        """Its JSON Schema."""
        bounds = {} if self.length is None else {"minItems": self.length, "maxItems": self.length}
        return {"type": "array", "items": self.kind.schema()} | bounds


@dataclass(frozen=True, slots=True)
class Texts:
    """A list of texts, perhaps of a million, which whoever makes something of it has to look at."""

    expected: str

    def read(self, value: object, path: Path, problems: Problems) -> Any:  # noqa: ANN401 - or BAD
        """Read one."""
        if isinstance(value, list | tuple):
            return value
        problems.add(path, f"{shown(value)} is not usable: a list of texts, each {self.expected}")
        return BAD

    def schema(self) -> dict[str, Any]:
        """Its JSON Schema."""
        return {"type": "array", "items": {"type": "string"}}


@dataclass(frozen=True, slots=True)
class Field:
    """A key of an object. `keep`: "keep" may stand in place of its value."""

    kind: Kind
    meaning: str
    needed: bool = False
    keep: bool = False

    def schema(self) -> dict[str, Any]:
        """Its JSON Schema."""
        own = self.kind.schema()
        if self.keep:
            own = {"anyOf": [own, {"const": WORD}]}
        return {"description": self.meaning} | own


class Make(Protocol):
    """Makes a value of what was read."""

    def __call__(self, found: dict[str, Any], whole: bool, path: Path, problems: Problems, /) -> Any:  # noqa: ANN401
        """The value, or BAD after saying why. `found` has what is good; `whole` says that nothing was bad."""


def _as_it_is(found: dict[str, Any], whole: bool, _path: Path, _problems: Problems, /) -> Any:  # noqa: ANN401
    return found if whole else BAD


@dataclass(frozen=True, slots=True)
class Table:
    """An object: its keys in the order in which they are written, and what makes a value of it."""

    what: str
    fields: Mapping[str, Field]
    make: Make = _as_it_is

    def read(self, value: object, path: Path, problems: Problems) -> Any:  # noqa: ANN401 - what make makes
        """Read one."""
        if not isinstance(value, dict):
            problems.add(path, f"{shown(value)} is not usable: {self.what}, which is an object")
            return BAD
        found: dict[str, Any] = {}
        before = len(problems.found)
        for key, given in value.items():
            field = self.fields.get(key) if isinstance(key, str) else None
            if field is None:
                self._refuse(key, path, problems)
            elif field.keep and given == WORD:
                found[key] = KEEP
            else:
                read = field.kind.read(given, (*path, key), problems)
                if read is not BAD:
                    found[key] = read
        for key, field in self.fields.items():
            if field.needed and key not in value:
                problems.add(path, f"{self.what} needs {key}: {field.meaning}")
        return self.make(found, len(problems.found) == before, path, problems)

    def _refuse(self, key: object, path: Path, problems: Problems) -> None:
        if isinstance(key, str):
            problems.add((*path, key), f"there is no such key in {self.what}: {nearest(key, self.fields)}")
        else:
            problems.add((*path, shown(key)), f"a key is a text, not {shown(key)}", quoted=True)

    def schema(self) -> dict[str, Any]:
        """Its JSON Schema."""
        needed = [key for key, field in self.fields.items() if field.needed]
        return {
            "type": "object",
            "additionalProperties": False,
            "properties": {key: field.schema() for key, field in self.fields.items()},
        } | ({"required": needed} if needed else {})
