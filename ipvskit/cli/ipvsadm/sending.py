"""Requests on their way to the kernel, as many as there are at once, and what is said of those that it refuses.

Knows: their order, and which line each belongs to. Must not know: words, how requests are packed.
"""

from __future__ import annotations

import errno

from ipvskit.cli.ipvsadm import texts
from ipvskit.cli.ipvsadm.outcome import REFUSED
from ipvskit.ipvs import layout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ipvskit.cli.ipvsadm.entry import Entry
    from ipvskit.cli.ipvsadm.output import Output
    from ipvskit.ipvs.backend import Backend

__all__ = ["Batch"]

_DAEMONS = (layout.NEW_DAEMON, layout.DEL_DAEMON)


class Batch:
    """Requests that wait to be sent. `say` gets the place of each refused one among all that were added, and what is wrong with it."""

    def __init__(self, backend: Backend, output: Output, say: Callable[[int, str], None] | None = None) -> None:
        self._backend = backend
        self._say = say or (lambda _, message: output.err(message))
        self._numbers: list[int] = []
        self._requests: list[bytes] = []
        self._daemons: dict[int, Entry] = {}
        self._sent = 0

    def add(self, number: int, request: bytes, entry: Entry | None = None) -> None:
        """Add a request of this command; those of daemons come with their entry."""
        if number in _DAEMONS and entry is not None:
            self._daemons[len(self._numbers)] = entry
        self._numbers.append(number)
        self._requests.append(request)

    def extend(self, numbers: list[int], requests: list[bytes]) -> None:
        """Add requests of these commands, none of them about daemons."""
        self._numbers += numbers
        self._requests += requests

    def __len__(self) -> int:
        return len(self._numbers)

    def send(self) -> int:
        """Send everything; returns the exit status that the last one alone would have."""
        numbers, packed, daemons = self._numbers, self._requests, self._daemons
        if not numbers:
            return 0
        self._numbers, self._requests, self._daemons = [], [], {}
        refused = self._execute(packed, daemons)
        for at in sorted(refused):
            self._say(self._sent + at, texts.refusal(numbers[at], refused[at]))
        self._sent += len(numbers)
        return REFUSED if len(numbers) - 1 in refused else 0

    def _execute(self, packed: list[bytes], daemons: dict[int, Entry]) -> dict[int, int]:
        """Which were refused, with the kernel's error numbers."""
        execution = self._backend.execute(b"".join(packed), len(packed))
        answers = {answer.index: answer.error for answer in execution.answers}
        refused = {at: error for at, error in answers.items() if error}
        refused |= {at: errno.ENOBUFS for lost in execution.lost for at in lost if at not in answers}
        for at, entry in daemons.items():
            # The kernel may swallow this answer. Where the daemon is not as asked for, the command was not executed.
            if at not in answers:
                refused.pop(at, None)
                if not self._landed(entry):
                    refused[at] = errno.EINTR
        return refused

    def _landed(self, entry: Entry) -> bool:
        from ipvskit.cli.ipvsadm.reading import daemons

        running = any(one.state == entry.state for one in daemons(self._backend))
        return running == (entry.command == "start-daemon")
