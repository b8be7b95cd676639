"""How popt(3) reads a command line: which word is an option, and which its argument.

Knows: the library's rules. Must not know: any program's options.

Long options are spelled out and have their argument behind "=" or as the next word. Letters may share a word; behind one that takes an argument
the rest of the word is it (a leading "=" left out), or the next word. An argument that may be missing is not taken from a word that begins with
"-". Everything behind "--" is no option, and neither is "-". "!#:+" in an argument stands for the next word that is no option.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["NEEDED", "NONE", "OPTIONAL", "BadWord", "Words"]

#: Whether an option has an argument.
NONE, NEEDED, OPTIONAL = 0, 1, 2

UNKNOWN = "unknown option"
MISSING = "missing argument"
UNWANTED = "option does not take an argument"
NEXT_WORD = "!#:+"


class BadWord(Exception):
    """A word that cannot be read, and why, as popt(3) says it."""

    def __init__(self, word: str, reason: str) -> None:
        super().__init__(word, reason)
        self.word = word
        self.reason = reason


class Words:
    """The words behind a program's name. `long` and `short` have the options: a name for each, and whether it has an argument."""

    def __init__(
        self, words: Sequence[str], long: Mapping[str, tuple[str, int]], short: Mapping[str, tuple[str, int]]
    ) -> None:
        self._words = words
        self._long, self._short = long, short
        self._next = 0
        self._letters = ""
        self._arguments_only = False
        self._used: set[int] = set()
        #: Words that belong to no option.
        self.arguments: list[str] = []
        #: Which word the last option's argument is; -1 where there is none, or a part of a word only.
        self.place = -1

    @property
    def bad(self) -> str:
        """The word that was read last."""
        return self._words[self._next - 1]

    def option(self) -> tuple[str, str | None] | None:
        """The next option and its argument; None when there is none left. Raises BadWord."""
        while True:
            if self._letters:
                letter, self._letters = self._letters[0], self._letters[1:]
                return self._with_argument(self._short.get(letter), None)
            if self._next >= len(self._words):
                return None
            word = self._words[self._next]
            self._next += 1
            if self._next - 1 in self._used:
                continue
            if self._arguments_only or word[:1] != "-" or word == "-":
                self.arguments.append(word)
            elif word == "--":
                self._arguments_only = True
            elif word.startswith("--"):
                name, equals, attached = word[2:].partition("=")
                return self._with_argument(self._long.get(name), attached if equals else None)
            else:
                self._letters = word[1:]

    def _with_argument(self, found: tuple[str, int] | None, attached: str | None) -> tuple[str, str | None]:
        if found is None:
            raise BadWord(self.bad, UNKNOWN)
        self.place = -1
        name, kind = found
        if kind == NONE:
            if attached is not None:
                raise BadWord(self.bad, UNWANTED)
            return name, None
        if attached is None and self._letters:
            attached, self._letters = self._letters.removeprefix("="), ""
        if attached is not None:
            return name, self._expanded(attached)
        if self._next >= len(self._words):
            if kind == NEEDED:
                raise BadWord(self.bad, MISSING)
            return name, None
        value = self._words[self._next]
        if kind == OPTIONAL and value[:1] == "-":
            return name, None
        self.place = self._next
        self._next += 1
        return name, self._expanded(value)

    def _expanded(self, value: str) -> str:
        if NEXT_WORD not in value:
            return value
        for place in range(self._next, len(self._words)):
            if place not in self._used and self._words[place][:1] != "-":
                self._used.add(place)
                self.place = -1
                return value.replace(NEXT_WORD, self._words[place])
        return value
