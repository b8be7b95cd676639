"""The native form of a state as YAML: the same keys as in JSON.

Knows: YAML's events, and what it takes for something else than a text. Must not know: which keys there are. PyYAML is an extra (`ipvskit[yaml]`), and
is imported when a text is read; writing needs it not.

Values are put together here from the parser's events, one after the other, because the composer of libyaml goes down with the process when a
text is nested deeply. Only plain values are made: no tag can ask for another.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ipvskit.errors import Fault, InvalidConfig, InvalidState
from ipvskit.formats.document import decoded
from ipvskit.formats.odd import Odd
from ipvskit.formats.positions import DEEPEST
from ipvskit.formats.problems import Path, Problem, Problems, line_of, path_text, shown
from ipvskit.formats.tables import DOCUMENT
from ipvskit.formats.writing import Block, Lines, entry_lines, json_text, layout_of
from ipvskit.sets.elements import Elements

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from ipvskit.formats.contents import Contents

__all__ = ["parse_yaml", "write_yaml", "write_yaml_pieces"]

_TAG = "tag:yaml.org,2002:"
_STR, _MERGE = _TAG + "str", _TAG + "merge"
_READ_AS = {"int": "a number", "float": "a number", "bool": "true or false", "null": "nothing", "timestamp": "a date"}
#: Aliases may stand for so many values in all.
MOST_ALIASED = 1_000_000


# --- reading ------------------------------------------------------------------------------------------------------------------------


def parse_yaml(text: str | bytes) -> Contents:
    """A state from YAML, version 1. Raises InvalidState with all that is wrong with it, and ImportError without PyYAML."""
    text = decoded(text)
    first = _Builder(())
    tree = first.build(text)
    problems = Problems(list(first.problems))
    contents: Contents = DOCUMENT.read(tree, (), problems)
    if not problems.found:
        return contents
    # Only now is it worth knowing where everything is.
    again = _Builder({each.path[:length] for each in problems.found for length in range(len(each.path) + 1)})
    again.build(text)
    faults = [_fault(each, again) for each in problems.found]
    raise InvalidState(sorted(faults, key=lambda fault: fault.line))


def _fault(problem: Problem, built: _Builder) -> Fault:
    line = built.repeated.get(problem.path) or line_of(problem.path, built.lines)
    message = problem.message
    if problem.quoted and problem.path in built.plain:
        text, tag = built.plain[problem.path]
        message += f" (YAML takes {text} for {_READ_AS[tag]}: put it in quotes)"
    return Fault(path_text(problem.path), line, message)


@dataclass(slots=True)
class _Frame:
    """A list or an object that is being put together."""

    value: list[Any] | dict[Any, Any]
    path: Path
    anchor: str | None
    key: Any = None
    has_key: bool = False
    merged: dict[Any, Any] = field(default_factory=dict)
    size: int = 1

    def step(self) -> str | int:
        """Where what comes next is in it."""
        if isinstance(self.value, list):
            return len(self.value)
        return self.key if isinstance(self.key, str) else shown(self.key)


class _Builder:
    """Makes objects of a text, and notes where the wanted ones are."""

    def __init__(self, wanted: Collection[Path]) -> None:
        self.problems: list[Problem] = []
        self.lines: dict[Path, int] = {}
        self.repeated: dict[Path, int] = {}
        self.plain: dict[Path, tuple[str, str]] = {}
        self._wanted = wanted
        self._stack: list[_Frame] = []
        self._anchors: dict[str, tuple[Any, int] | None] = {}
        self._documents = 0
        self._aliased = 0
        self._root: Any = None

    def build(self, text: str) -> object:
        """The objects. Raises InvalidState for what is no YAML, or none that can be made values of."""
        yaml = _yaml()
        self._resolver, self._constructor = yaml.resolver.Resolver(), yaml.constructor.SafeConstructor()
        self._scalar_node = yaml.ScalarNode
        take = {
            yaml.ScalarEvent: self._take_scalar,
            yaml.SequenceStartEvent: self._open_list,
            yaml.MappingStartEvent: self._open_object,
            yaml.SequenceEndEvent: self._close,
            yaml.MappingEndEvent: self._close,
            yaml.AliasEvent: self._take_alias,
            yaml.DocumentStartEvent: self._begin,
        }
        try:
            for event in yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
                if type(event) in take:
                    take[type(event)](event)
        except yaml.YAMLError as error:
            raise InvalidState([_syntax(error, text)]) from None
        except UnicodeError:
            raise InvalidState([Fault("", 0, "has characters that there are not in UTF-8")]) from None
        return self._root

    def _begin(self, event: Any) -> None:  # noqa: ANN401 - PyYAML's events have no common class for their fields
        self._documents += 1
        if self._documents > 1:
            self._stop(event, "a second document begins: a state is one")

    def _stop(self, event: Any, message: str) -> None:  # noqa: ANN401
        path = self._stack[-1].path if self._stack else ()
        raise InvalidState([Fault(path_text(path), event.start_mark.line + 1, message)])

    # Values are attached when they are complete.

    def _open_list(self, event: Any) -> None:  # noqa: ANN401
        self._open(event, [])

    def _open_object(self, event: Any) -> None:  # noqa: ANN401
        self._open(event, {})

    def _open(self, event: Any, value: list[Any] | dict[Any, Any]) -> None:  # noqa: ANN401
        if len(self._stack) >= DEEPEST:
            self._stop(event, "nested too deeply")
        if event.tag not in {None, "!", _TAG + ("seq" if isinstance(value, list) else "map")}:
            self._stop(event, f"the tag {event.tag} means nothing here")
        if self._stack and self._wants_key():
            self._stop(event, f"a key is a text, not {shown(value)}")
        path = self._here(event)
        if event.anchor is not None:
            self._anchors[event.anchor] = None
        self._stack.append(_Frame(value, path, event.anchor))

    def _close(self, _event: Any) -> None:  # noqa: ANN401
        frame = self._stack.pop()
        value = frame.value
        if frame.merged and isinstance(value, dict):
            value = frame.merged | value
        if frame.anchor is not None:
            self._anchors[frame.anchor] = (value, frame.size)
        self._put(value, frame.size)

    def _take_alias(self, event: Any) -> None:  # noqa: ANN401
        if event.anchor not in self._anchors:
            self._stop(event, f"the alias *{event.anchor} has no anchor before it")
        held = self._anchors[event.anchor]
        if held is None:
            self._stop(event, f"the alias *{event.anchor} is inside of what it stands for")
            return
        self._aliased += held[1]
        if self._aliased > MOST_ALIASED:
            self._stop(event, f"aliases stand for more than {MOST_ALIASED} values")
        if self._stack and self._wants_key():
            self._take_key(event, held[0])
            return
        self._here(event)
        self._put(*held)

    def _take_scalar(self, event: Any) -> None:  # noqa: ANN401
        value, tag = self._value(event)
        if event.anchor is not None:
            self._anchors[event.anchor] = (value, 1)
        if self._stack and self._wants_key():
            self._take_key(event, _MERGING if tag == "merge" else value, tag)
            return
        path = self._here(event)
        if tag in _READ_AS and path in self._wanted and path not in self.plain:
            self.plain[path] = (event.value, tag)
        self._put(event.value if tag == "merge" else value, 1)

    def _wants_key(self) -> bool:
        frame = self._stack[-1]
        return isinstance(frame.value, dict) and not frame.has_key

    def _here(self, event: Any) -> Path:  # noqa: ANN401
        """The path of what begins, whose line is noted unless its key's is known."""
        path = (*self._stack[-1].path, self._stack[-1].step()) if self._stack else ()
        if path in self._wanted and not (self._stack and self._stack[-1].has_key):
            self.lines[path] = event.start_mark.line + 1
        return path

    def _take_key(self, event: Any, key: Any, tag: str = "str") -> None:  # noqa: ANN401
        frame = self._stack[-1]
        if isinstance(key, list | dict):
            self._stop(event, f"a key is a text, not {shown(key)}")
        frame.key, frame.has_key = key, True
        if key is _MERGING:
            return
        path, line = (*frame.path, frame.step()), event.start_mark.line + 1
        if key in frame.value:
            self.problems.append(Problem(path, "this key is here for the second time"))
            self.repeated[path] = line
        if path in self._wanted:
            self.lines[path] = line
            if tag in _READ_AS:
                self.plain[path] = (event.value, tag)

    def _put(self, value: Any, size: int) -> None:  # noqa: ANN401
        if not self._stack:
            self._root = value
            return
        frame = self._stack[-1]
        frame.size += size
        if isinstance(frame.value, list):
            frame.value.append(value)
            return
        frame.has_key = False
        if frame.key is not _MERGING:
            frame.value[frame.key] = value
            return
        for each in reversed(value if isinstance(value, list) else [value]):
            if not isinstance(each, dict):
                raise InvalidState([Fault(path_text(frame.path), 0, f"<< takes objects, not {shown(each)}")])
            frame.merged |= each

    def _value(self, event: Any) -> tuple[Any, str]:  # noqa: ANN401
        """What a scalar means, and the end of its tag."""
        tag = event.tag
        if tag in {None, "!"}:
            if not event.implicit[0] or tag == "!":
                return event.value, "str"
            tag = self._resolver.resolve(self._scalar_node, event.value, (True, False))
        if tag in {_STR, _MERGE, _TAG + "value"}:
            return event.value, "merge" if tag == _MERGE else "str"
        short = tag.removeprefix(_TAG)
        if short not in _READ_AS:
            self._stop(event, f"the tag {tag} means nothing here")
        try:
            return self._constructor.construct_object(self._scalar_node(tag, event.value)), short
        except Exception:  # dates that there are not, numbers of thousands of digits, texts tagged as numbers
            return Odd(event.value), short


_MERGING: Any = object()


def _yaml() -> Any:  # noqa: ANN401 - a module
    try:
        import yaml
    except ImportError:
        raise ImportError("YAML needs PyYAML: install ipvskit[yaml]") from None
    return yaml


def _syntax(error: Any, text: str) -> Fault:  # noqa: ANN401
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    told = getattr(error, "problem", None) or getattr(error, "reason", None) or "no YAML"
    if mark is not None:
        if "nesting" in told:
            # Since 6.0.4 PyYAML gives up by itself, at more levels than are of use here.
            told = f"nested too deeply: {told}"
        return Fault("", mark.line + 1, f"not YAML: {told} (column {mark.column + 1})")
    position = getattr(error, "position", None)
    line = text.count("\n", 0, position) + 1 if isinstance(position, int) else 0
    return Fault("", line, f"not YAML: {told}")


# --- writing ------------------------------------------------------------------------------------------------------------------------

_PLAIN = re.compile(r"[a-z][a-z0-9-]*")
_NOT_PLAIN = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}
_ESCAPED = re.compile(
    "[^\\x20\\x21\\x23-\\x5b\\x5d-\\x7e\\xa0-\\u2027\\u202a-\\ud7ff\\ue000-\\ufefe\\uff00-\\ufffd\U00010000-\U0010ffff]"
)


def write_yaml(contents: Contents) -> str:
    """The state as YAML. Texts stand in quotes wherever YAML might take them for something else. Raises InvalidConfig for what it cannot express."""
    return "".join(write_yaml_pieces(contents))


def write_yaml_pieces(contents: Contents) -> Iterator[str]:
    """The same in pieces, of at most about a megabyte where sets are large."""
    yield from _block(layout_of(contents), "\n")
    yield "\n"


def _block(tree: Block, pad: str) -> Iterator[str]:
    before = ""
    for key, value in tree.items():
        yield f"{before}{key}:"
        yield from _after_key(value, pad)
        before = pad


def _after_key(value: object, pad: str) -> Iterator[str]:
    inner = pad + "  "
    if isinstance(value, Block) and value:
        yield inner
        yield from _block(value, inner)
    elif isinstance(value, Lines) and value:
        for each in value:
            yield inner + "- "
            if isinstance(each, Block):
                yield from _block(each, inner + "  ")
            else:
                yield _flow(each)
    elif isinstance(value, Elements) and value:
        yield inner + "- "
        yield from entry_lines(value, inner + "- ", _quoted)
    else:
        yield " " + _flow([] if isinstance(value, Elements) else value)


def _flow(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flow(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    if isinstance(value, str):
        return value if _PLAIN.fullmatch(value) and value not in _NOT_PLAIN else _quoted(value)
    return json_text(value)


def _quoted(text: str) -> str:
    return f'"{_ESCAPED.sub(_escape, text)}"'


def _escape(match: re.Match[str]) -> str:
    number = ord(match[0])
    if 0xD800 <= number < 0xE000:
        raise InvalidConfig("text", match.string, "characters that there are in UTF-8, for there are no others in YAML")
    if match[0] in '"\\':
        return "\\" + match[0]
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
