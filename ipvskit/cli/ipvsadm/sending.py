"""Requests on their way to the kernel, as many as there are at once, and what is said of those that it refuses.

Knows: their order, and which line each belongs to. Must not know: words, how requests are packed.
"""

from __future__ import annotations

import errno

from ipvskit.cli.ipvsadm import requests, texts
from ipvskit.cli.ipvsadm.outcome import REFUSED
from ipvskit.ipvs import layout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ipvskit.cli.ipvsadm.entry import Entry
    from ipvskit.cli.ipvsadm.output import Output
    from ipvskit.ipvs.backend import Backend

__all__ = ["Batch"]

_ACKNOWLEDGED = (layout.NEW_DAEMON, layout.DEL_DAEMON)


class Batch:
    """Requests that wait to be sent. `say` gets the place of each refused one among all that were added, and what is wrong with it."""

    def __init__(self, backend: Backend, output: Output, say: Callable[[int, str], None] | None = None) -> None:
        self._backend = backend
        self._say = say or (lambda _, message: output.err(message))
        self._entries: list[Entry] = []
        self._requests: list[bytes] = []
        self._sent = 0

    def add(self, entry: Entry, request: bytes) -> None:
        """Add the request of an entry."""
        self._entries.append(entry)
        self._requests.append(request)

    def __len__(self) -> int:
        return len(self._entries)

    def send(self) -> int:
        """Send everything; returns the exit status that the last one alone would have."""
        entries, packed = self._entries, self._requests
        if not entries:
            return 0
        self._entries, self._requests = [], []
        refused = self._execute(entries, packed)
        for at in sorted(refused):
            self._say(self._sent + at, texts.refusal(requests.CHANGES[entries[at].command], refused[at]))
        self._sent += len(entries)
        return REFUSED if len(entries) - 1 in refused else 0

    def _execute(self, entries: list[Entry], packed: list[bytes]) -> dict[int, int]:
        """Which were refused, with the kernel's error numbers."""
        execution = self._backend.execute(b"".join(packed), len(packed))
        answers = {answer.index: answer.error for answer in execution.answers}
        refused = {at: error for at, error in answers.items() if error}
        refused |= {at: errno.ENOBUFS for lost in execution.lost for at in lost if at not in answers}
        for at, entry in enumerate(entries):
            if requests.CHANGES[entry.command] in _ACKNOWLEDGED and at not in answers:
                # The kernel may swallow this answer. Where the daemon is not as asked for, it was not executed.
                if self._landed(entry):
                    refused.pop(at, None)
                else:
                    refused[at] = errno.EINTR
        return refused

    def _landed(self, entry: Entry) -> bool:
        from ipvskit.cli.ipvsadm.reading import daemons

        running = any(one.state == entry.state for one in daemons(self._backend))
        return running == (entry.command == "start-daemon")
