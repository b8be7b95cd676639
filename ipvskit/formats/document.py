"""The native form of a state: JSON.

Knows: JSON, and how its texts go wrong. Must not know: which keys there are (`ipvskit.formats.tables`), files.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ipvskit.errors import Fault, InvalidConfig, InvalidState
from ipvskit.formats.odd import MOST_DIGITS, Odd
from ipvskit.formats.positions import deep_line, locate
from ipvskit.formats.problems import Problems, path_text
from ipvskit.formats.tables import DOCUMENT
from ipvskit.formats.writing import json_pieces, tree_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ipvskit.formats.contents import Contents

__all__ = ["decoded", "from_dict", "parse_json", "to_dict", "write_json", "write_json_pieces"]


def from_dict(tree: object) -> Contents:
    """A state from the objects of its native form, as `json.load` gives them. Raises InvalidState, whose faults have no lines."""
    problems = Problems()
    contents = _read(tree, problems)
    if problems.found:
        raise problems.error({})
    return contents


def to_dict(contents: Contents) -> dict[str, Any]:
    """The native form as objects for `json.dump` or another writer. Defaults are left out."""
    return tree_of(contents)


def parse_json(text: str | bytes) -> Contents:
    """A state from JSON, version 1. Raises InvalidState with all that is wrong with it."""
    text = decoded(text)
    tree, repeated = _load(text)
    problems = Problems()
    contents = _read(tree, problems)
    if not problems.found and not repeated:
        return contents
    places = locate(text, {each.path[:length] for each in problems.found for length in range(len(each.path) + 1)})
    faults = [Fault(path_text(path), line, "this key is here for the second time") for path, line in places.repeated]
    found = problems.error(places.lines).faults if problems.found else ()
    raise InvalidState(sorted((*faults, *found), key=lambda fault: fault.line))


def write_json(contents: Contents) -> str:
    """The state as JSON, ending with a line break. Order is that of the contents; entries and real servers stand on lines of their own."""
    return "".join(json_pieces(contents))


def write_json_pieces(contents: Contents, beside: Mapping[str, Any] | None = None) -> Iterator[str]:
    """The same in pieces, of at most about a megabyte where sets are large; `beside` are further keys (`ipvskit.formats.tables.BESIDE`)."""
    return json_pieces(contents, beside)


def decoded(text: str | bytes) -> str:
    """The text, if it is one. Raises InvalidState for bytes that are not UTF-8 and for a byte order mark."""
    if isinstance(text, bytes | bytearray | memoryview):
        raw = bytes(text)
        try:
            text = raw.decode()
        except UnicodeDecodeError as error:
            line = raw.count(b"\n", 0, error.start) + 1
            message = f"not UTF-8: the byte 0x{raw[error.start]:02x} at {error.start} makes no character"
            raise InvalidState([Fault("", line, message)]) from None
    if not isinstance(text, str):
        raise InvalidConfig("text", text, "text or bytes")
    if text.startswith("\ufeff"):
        raise InvalidState([Fault("", 1, "begins with a byte order mark: save it as UTF-8 without one")])
    return text


def _number(text: str) -> int | Odd:
    return int(text) if len(text) <= MOST_DIGITS else Odd(text)


def _load(text: str) -> tuple[object, bool]:
    """The objects, and whether a key came twice."""
    repeated = False

    def take(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal repeated
        taken = dict(pairs)
        repeated = repeated or len(taken) != len(pairs)
        return taken

    try:
        try:
            return json.loads(text, object_pairs_hook=take, parse_constant=Odd), repeated
        except json.JSONDecodeError:
            raise
        except ValueError:
            # A number that is too long for Python: rare enough to begin anew for.
            return json.loads(text, object_pairs_hook=take, parse_constant=Odd, parse_int=_number), repeated
    except json.JSONDecodeError as error:
        message = f"not JSON: {error.msg[:1].lower()}{error.msg[1:]} (column {error.colno})"
        raise InvalidState([Fault("", error.lineno, message)]) from None
    except RecursionError:
        raise InvalidState([Fault("", deep_line(text), "nested too deeply")]) from None


def _read(tree: object, problems: Problems) -> Contents:
    contents: Contents = DOCUMENT.read(tree, (), problems)
    return contents
