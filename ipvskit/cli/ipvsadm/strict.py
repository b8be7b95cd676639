"""`--strict -R`: nothing is done unless every line can be read, and every line counts.

Knows: what is safer than what the tool does. Must not know: how requests travel.
"""

from __future__ import annotations

import sys

from ipvskit.cli.ipvsadm import requests
from ipvskit.cli.ipvsadm.outcome import REFUSED, WRONG, Finished, Refused
from ipvskit.cli.ipvsadm.parse import parse
from ipvskit.cli.ipvsadm.restore import words_of
from ipvskit.cli.ipvsadm.sending import Batch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ipvskit.cli.ipvsadm.entry import Entry
    from ipvskit.cli.ipvsadm.program import Session

__all__ = ["restore"]

_MARK = ("-f", "--fwmark-service")


def restore(session: Session) -> int:
    """Read all lines, then execute them all; returns the exit status: that of the worst line."""
    entries: list[tuple[int, Entry]] = []
    wrong = 0
    text = sys.stdin.buffer.read().decode("latin-1") if sys.stdin is not None else ""
    for number, line in enumerate(text.split("\n"), 1):
        words = _with_marks(words_of(line))
        if not words or words[0].startswith("#"):
            continue
        try:
            entries.append((number, _change(words)))
        except (Finished, Refused) as error:
            wrong += 1
            message = error.message if isinstance(error, Finished) else str(error)
            session.output.err(f"line {number}: {message.rstrip()}")
    if wrong:
        session.output.err(f"nothing was changed: of {len(entries) + wrong} lines {wrong} cannot be read")
        return WRONG
    return _send(session, entries)


def _send(session: Session, entries: list[tuple[int, Entry]]) -> int:
    refused = []

    def say(at: int, message: str) -> None:
        refused.append(at)
        session.output.err(f"line {entries[at][0]}: {message}")

    batch = Batch(session.backend, session.output, say)
    for _, entry in entries:
        batch.add(requests.CHANGES[entry.command], requests.request(entry), entry)
    batch.send()
    return REFUSED if refused else 0


def _change(words: list[str]) -> Entry:
    entry, _ = parse(words)
    if entry.command not in requests.CHANGES:
        raise Refused(f"{words[0]}: only commands that change something can be restored")
    return entry


def _with_marks(words: list[str]) -> list[str]:
    """Negative firewall marks are what the tool itself saves of those from 2^31 on."""
    for at, word in enumerate(words[1:], 1):
        if words[at - 1] in _MARK and word.startswith("-") and word[1:].isdecimal():
            words[at] = str(int(word) % (1 << 32))
    return words
