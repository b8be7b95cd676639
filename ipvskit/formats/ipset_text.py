"""What `ipset save` writes and `ipset restore` reads.

Knows: the commands of such text, and what they do with sets as values. Must not know: the text of entries and of creation options, files.

Lines of one set that stand together are taken together, so a million of them cost little more than the entries do.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ipvskit.errors import Fault, InvalidConfig, InvalidState
from ipvskit.formats.contents import Contents
from ipvskit.formats.document import decoded
from ipvskit.formats.making import entries_of
from ipvskit.formats.problems import Problems, nearest, shown
from ipvskit.sets.definition import Set
from ipvskit.sets.differences import differences
from ipvskit.sets.elements import Elements

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["COMMANDS", "parse_ipset", "write_ipset"]

#: Every name that ipset(8) has for a command, and the one that is used here.
COMMANDS = {
    name: names[0]
    for names in (
        ("create", "new", "n", "-N", "--create"),
        ("add", "a", "-A", "--add"),
        ("del", "d", "-D", "--del"),
        ("destroy", "x", "-X", "--destroy"),
        ("flush", "f", "-F", "--flush"),
        ("rename", "e", "-E", "--rename"),
        ("swap", "w", "-W", "--swap"),
    )
    for name in names
}
EXIST = ("-exist", "-!", "--exist")
_MANY = 1 << 16
#: Lines that count for nothing in a text of entries, and are wrong behind `add`.
_PARTICULAR = re.compile(r"\n\s*(?:\n|#|\Z)")


def parse_ipset(text: str | bytes) -> tuple[Contents, tuple[str, ...]]:
    """The sets that `ipset restore` makes of this text where there are none, and warnings, each with its line.

    Lines are executed in order: `del`, `flush`, `destroy`, `rename` and `swap` on what is there by then. An entry that is added again, or deleted
    and not there, is no error, as with -exist. Names of services and hosts are not looked up. Raises InvalidState with everything that is wrong.
    """
    reader = _Reader(decoded(text))
    reader.run()
    return reader.contents(), tuple(reader.warnings)


class _Held:
    """A set, and what it holds by now."""

    def __init__(self, definition: Set) -> None:
        self.definition = definition
        self.elements = Elements(definition)


class _Reader:
    """The sets as they are after some lines."""

    def __init__(self, text: str) -> None:
        self.warnings: list[str] = []
        self._faults: list[Fault] = []
        self._text = text
        self._number = 1
        self._sets: dict[str, _Held] = {}
        self._bad: set[str] = set()
        self._commands: dict[str, Callable[[list[str], bool], None]] = {
            "destroy": self._destroy,
            "flush": self._flush,
            "rename": self._rename,
            "swap": self._swap,
        }

    def run(self) -> None:
        """Work off all lines."""
        text, start = self._text, 0
        while start < len(text):
            end = text.find("\n", start)
            end = len(text) if end < 0 else end
            line = text[start:end]
            words = _bare(line, 2)[0]
            command = COMMANDS.get(words[0]) if words else None
            if command in {"add", "del"} and len(words) > 1:
                prefix = f"{words[0]} {words[1]} "
                end = self._run_of(prefix, end)
                self._take_entries(command, words[1], prefix, text[start:end])
                self._number += text.count("\n", start, end)
            elif words:
                self._take(line, words[0], command)
            start = end + 1
            self._number += 1

    def contents(self) -> Contents:
        """What came of it. Raises InvalidState."""
        for name, held in self._sets.items():
            members = (str(entry.parts[0]) for entry in held.elements) if held.definition.type == "list:set" else ()
            missing = sorted({member for member in members if member not in self._sets and member not in self._bad})
            if missing:
                self.warnings.append(f"{name}: its members are no sets of this text: {', '.join(missing)}")
        if self._faults:
            raise InvalidState(self._faults)
        return Contents(sets=[held.definition.replace(entries=held.elements) for held in self._sets.values()])

    def _fault(self, message: str, number: int | None = None) -> None:
        self._faults.append(Fault("", self._number if number is None else number, message))

    # --- entries --------------------------------------------------------------------------------------------------------------------

    def _run_of(self, prefix: str, end: int) -> int:
        """Where the lines end that do the same with the same set, behind a line that ends at `end`."""
        following = end + 1
        if not self._text.startswith(prefix, following):
            return end
        # Possessive: it never goes back, and remembers nothing of a million lines.
        found = re.compile(rf"(?:{re.escape(prefix)}[^\n]*(?:\n|\Z))*+").match(self._text, following)
        last = found.end() if found else end
        return last - 1 if self._text[last - 1] == "\n" else last

    def _take_entries(self, command: str, name: str, prefix: str, lines: str) -> None:
        held = self._sets.get(name)
        if held is None:
            if name not in self._bad:
                # For this set once is enough.
                self._bad.add(name)
                self._fault(f"there is no set {shown(name)} here: create it before")
            return
        if command == "add" and self._take_all(held, prefix, lines):
            return
        entries = _entries(prefix, lines)
        try:
            if command == "add":
                held.elements.update(entries)
            else:
                held.elements.difference_update(entries)
        except InvalidConfig as error:
            problems = Problems()
            entries_of(held.definition, entries, (), problems)
            for problem in problems.found:
                self._fault(problem.message, self._number + int(problem.path[0]))
            if not problems.found:
                self._fault(f"{error.field}: {shown(error.value)} is not usable: {error.expected}")

    @staticmethod
    def _take_all(held: _Held, prefix: str, lines: str) -> bool:
        """Take the lines as one text, if they are many and there is nothing particular about any."""
        if len(lines) < _MANY or held.definition.type == "list:set" or any(word in lines for word in EXIST):
            return False
        text = f"\n{lines}".replace(f"\n{prefix}", "\n")
        if _PARTICULAR.search(text):
            return False
        try:
            taken = Elements.parse(held.definition, text[1:])
        except InvalidConfig:
            return False
        if held.elements:
            held.elements.update(taken)
        else:
            held.elements = taken
        return True

    # --- sets -----------------------------------------------------------------------------------------------------------------------

    def _take(self, line: str, word: str, command: str | None) -> None:
        words, exist = _bare(line)
        try:
            if command is None:
                told = nearest(word, ["create", "add", "del", "destroy", "flush", "rename", "swap"])
                raise InvalidConfig("command", word, f"a command that changes sets; {told}")
            if command == "create":
                self._create(words, exist)
            elif command in self._commands:
                self._commands[command](words[1:], exist)
            else:
                raise InvalidConfig("line", line.strip(), f"{command}, the name of a set, and an entry")
        except InvalidConfig as error:
            self._fault(f"{error.field}: {shown(error.value)} is not usable: {error.expected}")

    def _create(self, words: list[str], exist: bool) -> None:
        try:
            made = Set.parse(" ".join(words[1:]))
        except InvalidConfig:
            # Its entries would all be wrong as well otherwise.
            self._bad.update(words[1:2])
            raise
        held = self._sets.get(made.name)
        if held is not None and not (exist and not differences(made, held.definition)):
            raise InvalidConfig("name", made.name, "that of one set, or of a second one that is the same, with -exist")
        if held is None:
            self._sets[made.name] = _Held(made)

    def _named(self, names: list[str], count: int, exist: bool = False) -> list[str]:
        """The names, all of which are those of sets. With `exist` they need not be."""
        if len(names) != count:
            raise InvalidConfig("line", " ".join(names), f"{count} name{'s' if count > 1 else ''} of sets")
        for name in names:
            if name not in self._sets and name not in self._bad and not exist:
                raise InvalidConfig("name", name, "that of a set that is created before")
        return names

    def _check_unused(self, name: str) -> None:
        """The kernel destroys and renames no set that is in a list."""
        lists = [held.definition.name for held in self._sets.values() if held.definition.type == "list:set"]
        user = next((one for one in lists if name in self._sets[one].elements), None)
        if user is not None:
            raise InvalidConfig("name", name, f"that of a set that is in no list; {user} has it")

    def _destroy(self, names: list[str], exist: bool) -> None:
        if names:
            self._check_unused(self._named(names, 1, exist)[0])
        for name in names or list(self._sets):
            self._sets.pop(name, None)
            self._bad.discard(name)

    def _flush(self, names: list[str], _exist: bool) -> None:
        for name in self._named(names, 1) if names else list(self._sets):
            if name in self._sets:
                self._sets[name].elements.clear()

    def _rename(self, names: list[str], _exist: bool) -> None:
        old = self._named(names[:1], 1)[0]
        if len(names) != 2 or names[1] in self._sets:
            raise InvalidConfig("name", " ".join(names[1:]), "a name that no set has")
        if old in self._bad:
            self._bad.add(names[1])
            return
        self._check_unused(old)
        renamed = self._sets[old].definition.replace(name=names[1])
        self._sets = {names[1] if name == old else name: held for name, held in self._sets.items()}
        self._sets[names[1]].definition = renamed

    def _swap(self, names: list[str], _exist: bool) -> None:
        one, two = self._named(names, 2)
        if one in self._bad or two in self._bad:
            self._bad.update(names)
            return
        first, second = self._sets[one], self._sets[two]
        kinds = [(held.definition.type, held.definition.family) for held in (first, second)]
        if kinds[0] != kinds[1]:
            raise InvalidConfig("name", two, f"that of a {kinds[0][0]} of the same family as {one} is")
        self._sets[one], self._sets[two] = second, first
        for name in names:
            self._sets[name].definition = self._sets[name].definition.replace(name=name)


def _bare(line: str, most: int = -1) -> tuple[list[str], bool]:
    """The line's words without -exist, nothing of a comment, and whether -exist was there; of a line that begins with it at most some words."""
    stripped = line.lstrip()
    if stripped.startswith("#") or stripped.rstrip() == "COMMIT":
        return [], False
    words = stripped.split(None, most + 3 if most >= 0 else -1)
    kept = [word for word in words if word not in EXIST]
    return kept, len(kept) != len(words)


def _entries(prefix: str, lines: str) -> list[str]:
    """What stands behind the name of the set on each line."""
    if any(word in lines for word in EXIST) or not lines.startswith(prefix):
        return [_without_exist(line) for line in lines.split("\n")]
    return f"\n{lines}".split(f"\n{prefix}")[1:]


def _without_exist(line: str) -> str:
    """The entry of a line on which -exist may stand anywhere but in a comment, and white space may be of any kind."""
    head, quote, comment = line.partition('"')
    comment, end, tail = comment.rpartition('"')
    words = [word for word in head.split() if word not in EXIST][2:]
    rest = [word for word in tail.split() if word not in EXIST]
    return " ".join([*words, *([f"{quote}{comment}{end}"] if quote else []), *rest])


# --- writing ------------------------------------------------------------------------------------------------------------------------

_OTHERS = ("services", "devices", "sysctls")


def write_ipset(contents: Contents) -> tuple[Iterator[str], tuple[str, ...]]:
    """What `ipset save` writes of the sets, in pieces of at most about a megabyte, and warnings for what the text does not say.

    Lists come behind all other sets, because their members have to be there.
    """
    warnings = [f"{name}: ipset has none" for name in _OTHERS if getattr(contents, name)]
    warnings += [f"{name}: ipset has none" for name in ("timeouts", "daemons") if getattr(contents, name) is not None]
    for one in contents.sets:
        if one.entries is None:
            warnings.append(f"{one.name}: its contents are not stated, and it is written without any")
        elif one.comment and any(line.count('"') > 2 for piece in one.entries.texts() for line in piece.split("\n")):
            warnings.append(f'{one.name}: ipset does not read comments with a " in them')
    return _pieces(contents), tuple(warnings)


def _pieces(contents: Contents) -> Iterator[str]:
    for one in sorted(contents.sets, key=lambda one: one.type == "list:set"):
        yield f"create {one}\n"
        if one.entries is not None:
            yield from one.entries.texts(f"add {one.name} ")
