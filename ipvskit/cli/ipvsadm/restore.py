"""`-R`: commands from standard input, many of them in one go.

Knows: how the tool reads lines, and in which order things happen. Must not know: what options mean, how requests are packed.

What is there to be read is executed as soon as it was read. All lines that arrived together are sent together, up to one that has to be
looked at by itself: a list, a line that cannot be read. So what is done, what is said and the order of it are as with the tool, which executes
line by line; only that it takes a socket and several system calls for each.
"""

from __future__ import annotations

import sys

from ipvskit.cli.ipvsadm import popt, requests
from ipvskit.cli.ipvsadm.forms import Form
from ipvskit.cli.ipvsadm.outcome import REFUSED, Finished, Refused
from ipvskit.cli.ipvsadm.parse import PROGRAM, parse
from ipvskit.cli.ipvsadm.sending import Batch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from ipvskit.cli.ipvsadm.program import Session

__all__ = ["Restore", "words_of"]

#: Bytes that are read at once.
_PIECE = 1 << 18
#: Lines without any of these are what they look like: some Python takes for blanks and the tool does not, one ends a word, two stand for others.
_UNUSUAL = ("\v", "\f", "\x1c", "\x1d", "\x1e", "\x1f", "\0", PROGRAM, popt.NEXT_WORD)
_BLANKS = " \t\r"


def _pieces() -> Iterator[str]:
    """Whole lines of standard input, those together that arrived together. What comes behind the last line break is a line as well.

    Not so when it ends with two blanks or more: the tool overlooks it then.
    """
    stream: Any = sys.stdin.buffer if sys.stdin is not None else None
    rest = ""
    while stream is not None and (piece := stream.read1(_PIECE)):
        whole, end, rest = (rest + piece.decode("latin-1")).rpartition("\n")
        if end:
            yield whole
    if rest.strip(_BLANKS) and not (rest[-1] in _BLANKS and rest[-2] in _BLANKS):
        yield rest


def words_of(line: str) -> list[str]:
    """The words of any line, the program's name left out."""
    for blank in _BLANKS:
        line = line.replace(blank, " ")
    words = [word.partition("\0")[0] for word in line.split(" ") if word]
    return [word for word in words if word != PROGRAM]


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
            for piece in _pieces():
                self._piece(piece)
                self._send()
        except Finished:
            self._send()
            raise
        return self._status

    def _send(self) -> None:
        if len(self._batch):
            self._status = self._batch.send()

    def _piece(self, text: str) -> None:
        if not text.isascii() or any(one in text for one in _UNUSUAL):
            for line in text.split("\n"):
                words = words_of(line)
                if words:
                    self._special(words)
            return
        known = self._forms.get
        numbers: list[int] = []
        packed: list[bytes] = []
        try:
            for line in text.split("\n"):
                words = line.split()
                if not words:
                    continue
                form = known(tuple([word if word[0] == "-" else "" for word in words])) or self._form(words)
                if form is not None:
                    packed.append(form.request(words))
                    numbers.append(form.number)
                    continue
                self._batch.extend(numbers, packed)
                numbers, packed = [], []
                self._special(words)
        finally:
            self._batch.extend(numbers, packed)

    def _form(self, words: list[str]) -> Form | None:
        key = tuple([word if word[0] == "-" else "" for word in words])
        if key not in self._forms:
            self._forms[key] = Form.of(words)
        return self._forms[key]

    def _special(self, words: list[str]) -> None:
        try:
            entry, given = parse(words)
        except Refused as error:
            self._send()
            self._session.output.err(str(error))
            self._status = REFUSED
            return
        number = requests.CHANGES.get(entry.command)
        if number is not None:
            self._batch.add(number, requests.request(entry), entry)
            return
        self._send()
        self._status = self._session.execute(entry, given)
