"""A table of elements to the kernel, in few system calls, and a verdict on each.

Knows: what the kernel does with a message after a refusal. Must not know: texts, what error numbers mean.

The kernel works off the elements of a message in order, and drops those behind one that it refuses; the answer says which that was. So what came
before is done, and what comes behind is sent again. Where many are refused, each gets a message of its own, which costs twice as much and is answered
each by itself. Answers that got lost are asked for again in the same way: what then is as it should be counts as done.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from ipvskit._native.ipset import encode_elements
from ipvskit.errors import AnswerLost, ProtocolError, TimedOut
from ipvskit.ipset.answers import failures, split_failures
from ipvskit.ipset.commands import NLM_F_EXCL, Command
from ipvskit.ipset.refusals import ALREADY
from ipvskit.ipset.transport import Reply
from ipvskit.sets.shape import DATA_BITS

if TYPE_CHECKING:
    from ipvskit._native.elements import Table
    from ipvskit.ipset.transport import Transport

__all__ = ["Outcome", "Sender"]

_ALL = 0xFFFFFFFF

#: Parts of a portion that may be refused before the next one goes out in single messages.
_MANY = 4


@dataclass(slots=True)
class Outcome:
    """What became of elements: how many were done, the numbers of those that were so already, and the refusals by number."""

    done: int = 0
    already: list[int] = field(default_factory=list)
    refused: list[tuple[int, int]] = field(default_factory=list)
    stopped: bool = False


class Sender:
    """Sends tables to one set: `command` is ADD, DEL or TEST; with `exist` what is so already counts as done, and gets its options anew."""

    def __init__(self, transport: Transport, command: Command, name: bytes, *, exist: bool, stop: bool) -> None:
        self._transport = transport
        #: Where messages are made; to be given before the first one is.
        self.buffer = bytearray()
        self._command = command
        self._name = name
        self._flags = 0 if exist else NLM_F_EXCL
        self._stop = stop
        # Of elements that come twice the later one's options are to stay.
        self._ordered = exist and command is Command.ADD
        # To delete or test with counters changes them, and to do it with other options is refused where the set has no such option.
        self._options = _ALL if command is Command.ADD else _ALL & ~DATA_BITS
        self._single = command is Command.TEST

    def send(self, table: Table, start: int = 0, end: int | None = None) -> Outcome:
        """All elements of the table, or those from `start` up to `end`."""
        outcome = Outcome()
        end = len(table) if end is None else end
        while start < end and not outcome.stopped:
            start = self._portion(table, start, end, outcome)
        return outcome

    def _encode(self, table: Table, start: int, end: int, single: bool) -> tuple[int, int, list[int]]:
        limits = self._transport.limits
        # To stop at the first refusal, nothing may be on its way behind it.
        most = 1 if self._stop else limits.singles if single else 1024
        return encode_elements(
            self._command,
            self._flags,
            self._name,
            table,
            start,
            end - start,
            self.buffer,
            single=single,
            message=limits.message,
            most=most,
            options=self._options,
        )

    def _exchange(self, used: int, count: int) -> Reply:
        """The answers; those that did not come, or cannot be trusted, are lost."""
        try:
            reply = self._transport.exchange(memoryview(self.buffer)[:used], count)
            failures(reply.data)
        except (ProtocolError, TimedOut):
            return Reply(lost=True)
        return reply

    def _portion(self, table: Table, start: int, end: int, outcome: Outcome) -> int:
        """One send; returns the number of the first element that is still to be sent."""
        if self._single:
            return self._singles(table, start, end, outcome, fresh=True)
        done, used, firsts = self._encode(table, start, end, single=False)
        reply = self._exchange(used, len(firsts))
        refused = {one.index: (one.error, one.line) for one in failures(reply.data)}
        if not refused and not reply.lost:
            outcome.done += done
            return start + done
        return self._take_messages(table, [*firsts, start + done], refused, reply.lost, outcome)

    def _singles(self, table: Table, start: int, end: int, outcome: Outcome, *, fresh: bool) -> int:
        """One send of messages of their own. Unless they are `fresh`, they may have been executed before: what is so already then counts as done."""
        done, used, firsts = self._encode(table, start, end, single=True)
        reply = self._exchange(used, len(firsts))
        if reply.lost:
            self._lost(table, start, start + done, outcome)
            return start + done
        already, refused = split_failures(reply.data, ALREADY, done)
        if fresh or self._command is Command.TEST:
            outcome.already += [start + at for at in already] if start else already
            outcome.done += done - len(already) - len(refused)
        else:
            outcome.done += done - len(refused)
        for one in refused:
            self._note(start + one.index, one.error, outcome)
        # Where few are refused, they go faster together.
        self._single = self._command is Command.TEST or (len(already) + len(refused)) * _MANY >= done
        return start + done

    def _lost(self, table: Table, start: int, end: int, outcome: Outcome) -> None:
        if end - start == 1:
            raise AnswerLost(errno.ENOBUFS, "the kernel's answers got lost again and again", operation="send entries")
        # In halves, so that the answers have more room.
        middle = start + (end - start) // 2
        self._again(table, start, middle, outcome)
        self._again(table, middle, end, outcome)

    def _take_messages(
        self, table: Table, bounds: list[int], refused: dict[int, tuple[int, int]], lost: bool, outcome: Outcome
    ) -> int:
        """What became of messages, each of which has the elements from its bound up to the next."""
        again = 0
        for number, (first, last) in enumerate(pairwise(bounds)):
            error, line = refused.get(number, (0, 0))
            if not error:
                if lost:
                    self._again(table, first, bounds[-1] if self._ordered else last, outcome)
                    if self._ordered:
                        break
                else:
                    outcome.done += last - first
                continue
            if not line:
                # Not about an element: all of the message was refused, as when there is no such set.
                self._note_all(first, last, error, outcome)
                continue
            at = first + line - 1
            outcome.done += line - 1
            self._note(at, error, outcome)
            if self._stop:
                return at + 1
            again += 1
            if self._ordered:
                # Messages behind this one are through already: to have the last word again they follow once more.
                self._again(table, at + 1, bounds[-1], outcome, fresh=True)
                break
            self._again(table, at + 1, last, outcome, fresh=True)
        self._single = again * _MANY >= len(bounds) - 1
        return bounds[-1]

    def _note_all(self, first: int, last: int, error: int, outcome: Outcome) -> None:
        for at in range(first, last):
            self._note(at, error, outcome)
            if outcome.stopped:
                return

    def _note(self, at: int, error: int, outcome: Outcome) -> None:
        if error == ALREADY:
            outcome.already.append(at)
        else:
            outcome.refused.append((at, error))
            outcome.stopped = self._stop

    def _again(self, table: Table, first: int, last: int, outcome: Outcome, *, fresh: bool = False) -> None:
        while first < last and not outcome.stopped:
            first = self._singles(table, first, last, outcome, fresh=fresh)
