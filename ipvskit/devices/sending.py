"""Many addresses to the kernel, in few system calls, and a verdict on each.

Knows: what to make of answers that got lost. Must not know: values, what error numbers mean.

Refusals are answered, success is silent; so where answers got lost, what was not answered may be done or refused. What the device has then tells
which, and what is not as wanted is sent once more, a little at a time, to be told why.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ipvskit._native import Answer
from ipvskit.devices.records import ADDRESS, Command
from ipvskit.devices.refusals import ALREADY
from ipvskit.errors import ProtocolError, TimedOut

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ipvskit.devices.backend import DevicesBackend
    from ipvskit.devices.records import AddressKey

__all__ = ["LOST", "Outcome", "Sender"]

#: In the place of an error number: it is not as wanted, and nobody said why.
LOST = Answer(0, -1, 0, "")

#: Records of a second try in one send: their refusals fit into any receive buffer.
_FEW = 4


@dataclass(slots=True)
class Outcome:
    """What became of the first `tried` records: places of those that were so `already`, the `refused` ones with the answer. The others are done."""

    tried: int = 0
    already: list[int] = field(default_factory=list)
    refused: dict[int, Answer] = field(default_factory=dict)
    stopped: bool = False
    #: No answer could be had from the connection at least once.
    broken: bool = False


class Sender:
    """Adds addresses to one device or deletes them there.

    `held` reads the keys of what the device has; `is_so` says whether what the kernel calls so already is as wanted.
    """

    def __init__(
        self,
        backend: DevicesBackend,
        command: Command,
        held: Callable[[], set[AddressKey]],
        is_so: Callable[[AddressKey], bool],
        *,
        stop: bool = False,
    ) -> None:
        self._backend = backend
        self._command = command
        self._held = held
        self._is_so = is_so
        self._stop = stop
        self._keys: Sequence[AddressKey] = ()

    def send(self, records: Sequence[bytes], keys: Sequence[AddressKey]) -> Outcome:
        """Send them all; `keys` are theirs."""
        outcome = Outcome()
        unknown: list[int] = []
        self._keys = keys
        packed = b"".join(records)
        while outcome.tried < len(records) and not outcome.stopped:
            start = outcome.tried
            # To stop at the first refusal, nothing may be on its way behind it.
            end = start + 1 if self._stop else len(records)
            done, missing = self._portion(packed, range(start, end), outcome)
            outcome.tried += done
            unknown += missing
            if self._stop and missing:
                self._make_up(packed, unknown, outcome)
                unknown = []
        if unknown:
            self._make_up(packed, unknown, outcome)
        return outcome

    def _portion(self, packed: bytes, places: Sequence[int], outcome: Outcome) -> tuple[int, Sequence[int]]:
        """Send of these places as many as fit: how many that were, and those of which nothing is known."""
        if isinstance(places, range):
            records = packed[places.start * ADDRESS.size : places.stop * ADDRESS.size]
        else:
            records = b"".join(packed[at * ADDRESS.size : (at + 1) * ADDRESS.size] for at in places)
        try:
            execution = self._backend.execute(self._command, records)
        except (ProtocolError, TimedOut):
            outcome.broken = True
            return len(places), places
        for at, answer in execution.refused.items():
            if at >= execution.done:
                raise ProtocolError("the kernel answered a request that was not sent")
            self._note(places[at], answer, outcome)
        if execution.lost:
            return execution.done, [places[at] for at in range(execution.done) if at not in execution.refused]
        return execution.done, ()

    def _note(self, place: int, answer: Answer, outcome: Outcome) -> None:
        if answer.error in ALREADY[self._command] and self._is_so(self._keys[place]):
            outcome.already.append(place)
        else:
            outcome.refused[place] = answer
            outcome.stopped = self._stop

    def _make_up(self, packed: bytes, unknown: list[int], outcome: Outcome) -> None:
        """Send once more what is not as wanted, and then what is still not answered, a few at a time."""
        for most in (len(unknown), _FEW):
            left = self._not_as_wanted(unknown)
            unknown = []
            while left:
                # What is so now may be the first try's work, nobody can tell any more: it counts as done.
                part = Outcome()
                done, missing = self._portion(packed, left[:most], part)
                for place, answer in part.refused.items():
                    self._note(place, answer, outcome)
                unknown += missing
                left = left[done:]
                if part.broken and most == _FEW:
                    # Every further try would cost the time limit again.
                    unknown += left
                    break
            if not unknown:
                return
        for place in self._not_as_wanted(unknown):
            self._note(place, LOST, outcome)

    def _not_as_wanted(self, places: Sequence[int]) -> list[int]:
        held = self._held()
        wanted = self._command is Command.NEW_ADDRESS
        return [at for at in places if (self._keys[at] in held) is not wanted]
