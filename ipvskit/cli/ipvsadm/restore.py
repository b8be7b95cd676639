"""`-R`: commands from standard input, many of them in one go.

Knows: how the tool reads lines, and in which order things happen. Must not know: what options mean, how requests are packed.

What is there to be read is executed as soon as it was read. All lines that arrived together are sent together, up to one that has to be
looked at by itself: a list, a line that cannot be read. So what is done, what is said and the order of it are as with the tool, which executes
line by line; only that it takes a socket and several system calls for each.

Most lines of a file look like others: the same options in the same places, with other values. What holds for all lines of a form is found out once.
"""

from __future__ import annotations

import sys

from ipvskit.cli.ipvsadm import popt, requests
from ipvskit.cli.ipvsadm.entry import VALUES, Entry
from ipvskit.cli.ipvsadm.options import COMMANDS, FULL_NAMES, LONG, SHORT, check_command
from ipvskit.cli.ipvsadm.outcome import REFUSED, Failed, Finished, Refused
from ipvskit.cli.ipvsadm.parse import PROGRAM, parse
from ipvskit.cli.ipvsadm.sending import Batch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any

    from ipvskit.cli.ipvsadm.program import Session

__all__ = ["Restore", "lines", "words_of"]

#: Bytes that are read at once.
_PIECE = 1 << 18
#: Characters that Python takes for blanks and the tool does not, and others that make lines special.
_UNUSUAL = "\v\f\x1c\x1d\x1e\x1f\x00"
_BLANKS = " \t\r"


def lines() -> Iterator[list[str]]:
    """Lines of standard input, those together that arrived together. What comes behind the last line break is a line as well.

    Not so when it ends with two blanks or more: the tool overlooks it then, and nobody has noticed.
    """
    stream: Any = sys.stdin.buffer if sys.stdin is not None else None
    rest = ""
    while stream is not None and (piece := stream.read1(_PIECE)):
        *whole, rest = (rest + piece.decode("latin-1")).split("\n")
        if whole:
            yield whole
    if rest.strip(_BLANKS) and not (rest[-1] in _BLANKS and rest[-2] in _BLANKS):
        yield [rest]


def words_of(line: str) -> list[str]:
    """The words of a line, the program's name left out."""
    if line.isascii() and not any(one in line for one in _UNUSUAL):
        words = line.split()
    else:
        for blank in _BLANKS:
            line = line.replace(blank, " ")
        words = [word.partition("\0")[0] for word in line.split(" ") if word]
    return [word for word in words if word != PROGRAM] if PROGRAM in words else words


class Form:
    """What all lines with the same options in the same places have in common: whom to give which word. `given` are the options' full names."""

    __slots__ = ("command", "given", "steps")

    def __init__(
        self, command: str, given: set[str], steps: list[tuple[Callable[[Entry, Any], None], int, str | None]]
    ) -> None:
        self.command = command
        self.given = given
        self.steps = steps

    @classmethod
    def of(cls, words: Sequence[str]) -> Form | None:
        """The form of a line; None when something is wrong with it whatever its values are, or it is not a simple change."""
        reader = popt.Words(words, LONG, SHORT)
        given: set[str] = set()
        steps = []
        try:
            first = reader.option()
            if first is None or first[0] not in requests.CHANGES or first[1] is not None:
                return None
            while (found := reader.option()) is not None:
                name, value = found
                full = FULL_NAMES.get(name, "")
                if name in COMMANDS or full in given:
                    return None
                given |= {full} - {""}
                steps.append((VALUES[name], reader.place, value))
            check_command(first[0], given)
        except (popt.BadWord, Failed):
            return None
        return None if reader.arguments or first[0] == "set" else cls(first[0], given, steps)

    def entry(self, words: Sequence[str]) -> Entry:
        """What a line of this form asks for. Raises Failed."""
        entry = Entry()
        entry.command = self.command
        for take, place, value in self.steps:
            take(entry, words[place] if place >= 0 else value)
        entry.read_flags()
        entry.settle(self.given)
        return entry


class Restore:
    """One run of `-R`."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._batch = Batch(session.backend, session.output)
        self._forms: dict[tuple[str, ...], Form | None] = {}
        self._status = 0

    def run(self) -> int:
        """Execute all lines; returns the exit status of the last one. Raises Finished: the program ends with that line."""
        try:
            for some in lines():
                for line in some:
                    words = words_of(line)
                    if words:
                        self._line(words)
                self._send()
        except Finished:
            self._send()
            raise
        return self._status

    def _send(self) -> None:
        if len(self._batch):
            self._status = self._batch.send()

    def _line(self, words: list[str]) -> None:
        key = tuple([word if word[:1] == "-" else "" for word in words])
        form = self._forms.get(key)
        if form is None and key not in self._forms:
            form = self._forms[key] = Form.of(words)
        if form is None or any(popt.NEXT_WORD in word for word in words):
            self._special(words)
            return
        entry = form.entry(words)
        self._batch.add(entry, requests.request(entry))

    def _special(self, words: list[str]) -> None:
        try:
            entry, given = parse(words)
        except Refused as error:
            self._send()
            self._session.output.err(str(error))
            self._status = REFUSED
            return
        self._send()
        self._status = self._session.execute(entry, given)
