"""Many flows to the kernel to be deleted, in few system calls, and a verdict on each.

Knows: what to make of answers that got lost. Must not know: values, which flows are to go.

Refusals are answered, success is silent; so where answers got lost, what was not answered is deleted or was refused. It is sent once more, a little
at a time: a flow that is gone by then counts as deleted, nobody can tell any more.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ipvskit._native import Answer
from ipvskit.conntrack.records import FLOW
from ipvskit.conntrack.refusals import GONE
from ipvskit.errors import ProtocolError, TimedOut

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ipvskit.conntrack.backend import ConntrackBackend

__all__ = ["LOST", "Outcome", "delete"]

#: In the place of an error number: nobody knows whether it was deleted.
LOST = Answer(0, -1, 0, "")

#: Flows of a second try in one send: their refusals fit into any receive buffer.
_FEW = 4


@dataclass(slots=True)
class Outcome:
    """What became of all records: how many were gone `already`, and by place the `refused` ones with the answer. The others are deleted."""

    already: int = 0
    refused: dict[int, Answer] = field(default_factory=dict)


def delete(backend: ConntrackBackend, records: bytes) -> Outcome:
    """Delete the flows of packed records. Raises PermissionDenied."""
    outcome = Outcome()
    unknown: list[int] = []
    packed = memoryview(records)
    start, count = 0, len(records) // FLOW.size
    while start < count:
        done, refused, lost = _send(backend, packed[start * FLOW.size :], count - start)
        places = {start + at: answer for at, answer in refused.items()}
        gone = [at for at, answer in places.items() if answer.error == GONE]
        outcome.already += len(gone)
        outcome.refused |= {at: answer for at, answer in places.items() if answer.error != GONE}
        if lost:
            unknown += [at for at in range(start, start + done) if at not in places]
        start += done
    _make_up(backend, packed, unknown, outcome)
    return outcome


def _make_up(backend: ConntrackBackend, packed: memoryview, unknown: Sequence[int], outcome: Outcome) -> None:
    while unknown:
        part = unknown[:_FEW]
        records = b"".join(packed[at * FLOW.size : (at + 1) * FLOW.size] for at in part)
        done, refused, lost = _send(backend, memoryview(records), len(part))
        outcome.refused |= {part[at]: answer for at, answer in refused.items() if answer.error != GONE}
        if lost:
            # Every further try would cost the time limit again.
            outcome.refused |= {at: LOST for at in unknown if at not in outcome.refused}
            return
        unknown = unknown[done:]


def _send(backend: ConntrackBackend, records: memoryview, count: int) -> tuple[int, dict[int, Answer], bool]:
    """How many went out, the refusals by place, and whether answers are missing."""
    try:
        execution = backend.delete(records)
    except (ProtocolError, TimedOut):
        return count, {}, True
    if any(at >= execution.done for at in execution.refused):
        raise ProtocolError("the kernel answered a request that was not sent")
    return execution.done, execution.refused, execution.lost
