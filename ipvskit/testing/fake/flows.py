"""The tracked flows of a fake kernel, and what it can be told to do wrong with them.

    flow = fake.flows.plant("udp", "10.0.0.9:4000", "192.0.2.10:53", "10.1.1.1:5353")   what packets would do
    fake.flows.refuse(errno.ENOMEM, operation=DELETE, nth=3)                 the third flow to be deleted
    fake.flows.lose_answers(nth=1)                                           of the next call that deletes
    fake.flows.before(lambda flows: flows.plant(...), operation=DELETE)      what happens before the next deletion
    fake.flows.interrupt(nth=1)                                              the next listing says that it was disturbed

Knows: requests in the order in which the kernel works them off. Must not know: who asks.
"""

from __future__ import annotations

import errno
import threading
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ipvskit._native import Answer
from ipvskit.conntrack.backend import Execution, Rows
from ipvskit.conntrack.records import FLOW, flow_record, flows_of
from ipvskit.conntrack.refusals import DELETE, LIST, permission_denied
from ipvskit.errors import ClosedError, TimedOut
from ipvskit.model.flow import Flow

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipvskit.model.flow import EndpointLike

__all__ = ["DELETE", "LIST", "FakeConntrackBackend", "FakeFlows"]

#: Records that go out at once.
PORTION = 1024

#: IPS_SEEN_REPLY, IPS_ASSURED, IPS_CONFIRMED.
_STATUS = 0xE

#: What tells one direction of a flow from all others: family, protocol, zone, and the direction itself.
_Direction = tuple[int, int, int, bytes]


@dataclass(slots=True)
class _Told:
    """A lie: about every occurrence, or about the `nth` one from now on."""

    operations: frozenset[str]
    nth: int | None
    error: int = 0
    act: Callable[[FakeFlows], object] | None = None
    seen: int = 0

    def holds(self, operation: str) -> bool:
        if operation not in self.operations:
            return False
        self.seen += 1
        return self.nth is None or self.seen == self.nth


class FakeFlows:
    """The tracked flows of one network namespace. `counts` says how many requests of each kind came."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.counts = {LIST: 0, DELETE: 0}
        #: Packed flows, and which of them has a direction: no two flows share one.
        self._held: dict[int, bytes] = {}
        self._places: dict[_Direction, int] = {}
        self._next = 0
        self._refusals: list[_Told] = []
        self._losses: list[_Told] = []
        self._interruptions: list[_Told] = []
        self._rivals: list[_Told] = []

    # --- traffic --------------------------------------------------------------------------------------------------------------------

    def plant(
        self,
        protocol: str,
        source: EndpointLike,
        destination: EndpointLike,
        reply_source: EndpointLike | None = None,
        reply_destination: EndpointLike | None = None,
        **options: Any,
    ) -> Flow:
        """Let there be a flow, with the arguments of `Flow`. Raises KeyError where there is one of either direction, and InvalidConfig.

        Its number, where none is given, is the same as that of earlier flows with the same original direction, as it mostly is in real kernels.
        """
        settings = {"status": _STATUS} | options
        flow = Flow(protocol, source, destination, reply_source, reply_destination, **settings)
        record = flow_record(flow)
        original, reply = _directions(record)
        if not flow.id:
            record = FLOW.pack(zlib.crc32(repr(original).encode()) or 1, *FLOW.unpack(record)[1:])
        with self.lock:
            if original in self._places or reply in self._places:
                raise KeyError(f"there is a flow with a direction of {flow}")
            self._held[self._next] = record
            self._places[original] = self._places[reply] = self._next
            self._next += 1
        (planted,) = flows_of(original[0], record)
        return planted

    def all(self) -> list[Flow]:
        """All flows, in the order in which they were planted."""
        with self.lock:
            return [flows_of(FLOW.unpack(record)[5], record)[0] for record in self._held.values()]

    # --- lies -----------------------------------------------------------------------------------------------------------------------

    def refuse(self, error: int, *, operation: str | None = None, nth: int | None = None) -> None:
        """Refuse each request of this kind (LIST, DELETE), or only the `nth` from now on (from 1), with this errno."""
        self._refusals.append(_Told(_kinds(operation), nth, error))

    def lose_answers(self, *, nth: int | None = None, error: int = errno.ENOBUFS) -> None:
        """Lose the answers of each call that deletes, or of the `nth`: it is executed. With errno ETIMEDOUT it raises TimedOut."""
        self._losses.append(_Told(_kinds(DELETE), nth, error))

    def interrupt(self, *, nth: int | None = None) -> None:
        """Let each listing, or the `nth`, say that something changed while it was made."""
        self._interruptions.append(_Told(_kinds(LIST), nth))

    def before(self, act: Callable[[FakeFlows], object], *, operation: str | None = None, nth: int | None = 1) -> None:
        """Let something happen before the `nth` call of this kind, or before each."""
        self._rivals.append(_Told(_kinds(operation), nth, act=act))

    def tell_the_truth(self) -> None:
        """Forget all lies."""
        for lies in (self._refusals, self._losses, self._interruptions, self._rivals):
            lies.clear()

    def call_begins(self, operation: str) -> None:
        """Let happen what is to happen first."""
        for told in self._rivals:
            if told.holds(operation) and told.act is not None:
                told.act(self)

    def lost(self) -> int:
        """The errno by which the answers of this call get lost, 0 where they do not."""
        return next((told.error for told in self._losses if told.holds(DELETE)), 0)

    def interrupted(self) -> bool:
        """Whether this listing says that it was disturbed."""
        # Each counts, whatever the others say.
        return sum(told.holds(LIST) for told in self._interruptions) > 0

    def refused(self, operation: str) -> int:
        """The errno with which this request is refused whatever it says, 0 for none."""
        errors = [told.error for told in self._refusals if told.holds(operation)]
        return errors[0] if errors else 0

    # --- requests -------------------------------------------------------------------------------------------------------------------

    def listed(self, family: int, protocol: int) -> bytes:
        """The flows of a family and a protocol as packed rows."""
        self.counts[LIST] += 1
        wanted = (family, protocol)
        return b"".join(record for record in self._held.values() if FLOW.unpack(record)[5:7] == wanted)

    def delete(self, record: bytes) -> int:
        """Delete one flow: why not (errno), or 0."""
        self.counts[DELETE] += 1
        error = self.refused(DELETE)
        if error:
            return error
        place = self._places.get(_directions(record)[1])
        if place is None or FLOW.unpack(record)[0] not in {0, FLOW.unpack(self._held[place])[0]}:
            return errno.ENOENT
        for direction in set(_directions(self._held.pop(place))):
            del self._places[direction]
        return 0


class FakeConntrackBackend:
    """The `ConntrackBackend` of a fake kernel."""

    def __init__(self, flows: FakeFlows) -> None:
        self._flows = flows
        self._closed = False

    def _begin(self, operation: str) -> None:
        if self._closed:
            raise ClosedError("this connection is closed")
        self._flows.call_begins(operation)

    def flows(self, family: int, protocol: int) -> Rows:
        """See `ConntrackBackend`."""
        with self._flows.lock:
            self._begin(LIST)
            error = self._flows.refused(LIST)
            if error:
                return Rows(refused=Answer(0, error, 0, ""))
            return Rows(self._flows.listed(family, protocol), self._flows.interrupted())

    def delete(self, records: memoryview) -> Execution:
        """See `ConntrackBackend`."""
        result = Execution(min(PORTION, len(records) // FLOW.size))
        with self._flows.lock:
            self._begin(DELETE)
            for at in range(result.done):
                error = self._flows.delete(bytes(records[at * FLOW.size : (at + 1) * FLOW.size]))
                if error == errno.EPERM:
                    # The kernel looks at the right once for all that was sent.
                    raise permission_denied(DELETE)
                if error:
                    result.refused[at] = Answer(at, error, 0, "")
            lost = self._flows.lost()
        if lost == errno.ETIMEDOUT:
            raise TimedOut(lost, "the kernel did not answer in time", operation="netlink")
        if lost:
            # The receive buffer holds the first answers.
            result.refused = dict(list(result.refused.items())[: len(result.refused) // 2])
            result.lost = True
        return result

    def close(self) -> None:
        """See `ConntrackBackend`. The flows stay."""
        self._closed = True


def _kinds(operation: str | None) -> frozenset[str]:
    return frozenset({LIST, DELETE} if operation is None else {operation})


def _directions(record: bytes) -> tuple[_Direction, _Direction]:
    """Of a packed record: the original direction and that of the answers."""
    _, _, _, zone, reply_zone, family, protocol, *_ = FLOW.unpack(record)
    half = (FLOW.size - _HEAD) // 2
    original, reply = record[_HEAD : _HEAD + half], record[_HEAD + half :]
    return (family, protocol, zone, original), (family, protocol, reply_zone, reply)


#: Bytes of a record before its directions.
_HEAD = 20
