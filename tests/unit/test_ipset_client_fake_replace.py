"""`replace`, stopped at every point where it can be stopped.

Knows: what `replace` promises of the set and of temporary ones, the fake's lies. Must not know: in which steps it is done.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import pytest

import ipvskit as ik
from ipvskit.ipset.replacing import TEMPORARY
from ipvskit.testing.fake import FakeKernel
from ipvskit.testing.fake.ipset import Before, Command, Dumped, Fail, LoseAnswers, Refuse
from tests.unit.test_ipset_client_fake import SMALL, addresses, client, contents, rival, timed_out

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ipvskit.ipset.client import Ipset

OLD, NEW = set(addresses(0, 30)), set(addresses(20, 90))


class Crash(BaseException):
    """The end of the process."""


class Dying:
    """The process dies before its n-th message, and sends none afterwards."""

    def __init__(self, nth: int) -> None:
        self.nth = nth
        self.sent = 0

    def __call__(self) -> None:
        self.sent += 1
        if self.sent >= self.nth:
            raise Crash


@pytest.fixture
def kernel() -> Iterator[FakeKernel]:
    with FakeKernel() as fake:
        fake.ipset.create("s", "hash:ip", maxelem=100, timeout=0, entries=sorted(OLD))
        fake.ipset.create("list", "list:set", entries=["s"])
        yield fake


def held(ipset: Ipset) -> set[str]:
    return {str(entry.address) for entry in ipset.entries("s")}


def temporary(ipset: Ipset) -> list[str]:
    return [name for name in ipset.names() if name.startswith(TEMPORARY)]


def messages_of_a_replacement() -> int:
    with FakeKernel() as fake:
        fake.ipset.create("s", "hash:ip", maxelem=100, timeout=0, entries=sorted(OLD))
        fake.sets.requests.clear()
        client(fake, SMALL).replace("s", sorted(NEW))
        return len(fake.sets.requests)


MESSAGES = messages_of_a_replacement()


@pytest.mark.parametrize("nth", range(1, MESSAGES + 2))
def test_after_a_crash_at_any_point_the_next_replacement_converges(kernel: FakeKernel, nth: int) -> None:
    told = kernel.sets.lie(Before(Dying(nth)))
    ipset = client(kernel, SMALL)
    if nth > MESSAGES:
        ipset.replace("s", sorted(NEW))
    else:
        with pytest.raises(Crash):
            ipset.replace("s", sorted(NEW))
    assert told.told >= min(nth, MESSAGES)
    kernel.sets.tell_the_truth()
    kernel.names.die()

    again = client(kernel)
    assert held(again) in (OLD, NEW)
    assert again.replace("s", sorted(NEW)).done == len(NEW)
    assert held(again) == NEW
    assert again.names() == ["s", "list"]
    assert again.set_status("s").references == 1
    assert again.get("s", entries=False).timeout == 0
    assert again.clean() == []


def test_a_crash_does_leave_a_temporary_set(kernel: FakeKernel) -> None:
    # Without this the test above could not fail.
    left = 0
    for nth in range(1, MESSAGES + 1):
        kernel.sets.lie(Before(Dying(nth)))
        with pytest.raises(Crash):
            client(kernel, SMALL).replace("s", sorted(NEW))
        kernel.sets.tell_the_truth()
        found = temporary(client(kernel))
        assert client(kernel).clean() == found
        left += len(found)
    assert left > 3


@pytest.mark.parametrize("nth", range(1, MESSAGES + 1))
def test_the_temporary_set_of_a_living_replacement_is_let_alone(kernel: FakeKernel, nth: int) -> None:
    ipset, other = client(kernel, SMALL), rival(kernel)
    seen: list[set[str]] = []
    cleaned: list[str] = []

    def look() -> None:
        seen.append(held(other))
        cleaned.extend(other.clean())

    kernel.sets.lie(Before(look), nth=nth)
    ipset.replace("s", sorted(NEW))
    assert cleaned == []
    assert seen in ([OLD], [NEW])
    assert held(ipset) == NEW
    assert temporary(ipset) == []


@pytest.mark.parametrize(
    ("command", "nth"),
    [(Command.CREATE, 1), (Command.ADD, 1), (Command.ADD, 2), (Command.ADD, 3), (Command.SWAP, 1)],
)
def test_a_refusal_in_the_middle_changes_nothing(kernel: FakeKernel, command: Command, nth: int) -> None:
    ipset = client(kernel, SMALL)
    before = ipset.save()
    told = kernel.sets.lie(Refuse(errno.ENOMEM), command=command, nth=nth)
    with pytest.raises((ik.KernelError, ik.BulkFailed)):
        ipset.replace("s", sorted(NEW))
    assert told.told == 1
    assert ipset.save() == before


@pytest.mark.parametrize("executed", [False, True])
@pytest.mark.parametrize("command", [Command.CREATE, Command.ADD, Command.SWAP, Command.DESTROY])
def test_no_answer_in_the_middle_leaves_all_or_nothing(kernel: FakeKernel, command: Command, executed: bool) -> None:
    ipset = client(kernel, SMALL)
    kernel.sets.lie(Fail(timed_out, executed=executed), command=command, nth=1)
    try:
        ipset.replace("s", sorted(NEW))
    except ik.TimedOut:
        assert command is not Command.ADD  # entries are sent again
    kernel.sets.tell_the_truth()
    assert held(ipset) in (OLD, NEW)
    assert ipset.replace("s", sorted(NEW)).done == len(NEW)
    assert held(ipset) == NEW
    assert temporary(ipset) == []


def test_answers_lost_while_filling_are_asked_for_again(kernel: FakeKernel) -> None:
    kernel.sets.lie(LoseAnswers(), command=Command.ADD, nth=1)
    ipset = client(kernel, SMALL)
    assert ipset.replace("s", sorted(NEW)).done == len(NEW)
    assert held(ipset) == NEW


def test_another_programs_listing_is_waited_for(kernel: FakeKernel) -> None:
    swapping = kernel.sets.lie(Dumped(times=2), command=Command.SWAP)
    destroying = kernel.sets.lie(Dumped(times=2), command=Command.DESTROY)
    ipset = client(kernel)
    ipset.replace("s", sorted(NEW))
    assert (swapping.told, destroying.told) == (3, 3)
    assert held(ipset) == NEW


def test_old_contents_that_somebody_lists_on_and_on_are_destroyed_later(kernel: FakeKernel) -> None:
    ipset = client(kernel)
    kernel.sets.lie(Dumped(times=10_000), command=Command.DESTROY)
    assert ipset.replace("s", sorted(NEW)).done == len(NEW)
    assert held(ipset) == NEW
    left = temporary(ipset)
    assert len(left) == 1
    assert ipset.replace("s", sorted(OLD)).done == len(OLD)
    kernel.sets.tell_the_truth()
    assert set(left) < set(ipset.clean())
    assert ipset.names() == ["s", "list"]


def test_a_listing_that_does_not_end_changes_nothing(kernel: FakeKernel) -> None:
    ipset = client(kernel)
    before = ipset.save()
    with kernel.sets.listing("s"), pytest.raises(ik.SetBusy):
        ipset.replace("s", sorted(NEW))
    assert ipset.save() == before


def test_a_rival_that_destroys_the_set_meanwhile(kernel: FakeKernel) -> None:
    ipset = client(kernel)
    ipset.destroy("list")
    kernel.sets.lie(Before(lambda: rival(kernel).destroy("s")), command=Command.SWAP, nth=1)
    with pytest.raises(ik.SetNotFound):
        ipset.replace("s", sorted(NEW))
    assert ipset.names() == []


def test_a_rival_that_makes_another_set_of_it_meanwhile(kernel: FakeKernel) -> None:
    ipset = client(kernel)
    ipset.destroy("list")

    def act() -> None:
        other = rival(kernel)
        other.destroy("s")
        other.create("s", "hash:net", entries=["10.0.0.0/8"])

    kernel.sets.lie(Before(act), command=Command.SWAP, nth=1)
    with pytest.raises(ik.SetTypeMismatch):
        ipset.replace("s", sorted(NEW))
    assert ipset.names() == ["s"]
    assert contents(ipset) == {"10.0.0.0/8"}


def test_a_rival_that_swaps_the_set_meanwhile_loses_its_contents_only(kernel: FakeKernel) -> None:
    ipset = client(kernel)
    ipset.create("theirs", "hash:ip", entries=["192.0.2.1"])
    kernel.sets.lie(Before(lambda: rival(kernel).swap("s", "theirs")), command=Command.SWAP, nth=1)
    ipset.replace("s", sorted(NEW))
    assert held(ipset) == NEW
    assert {str(entry.address) for entry in ipset.entries("theirs")} == OLD
    assert temporary(ipset) == []


def test_a_member_that_a_rival_destroys_meanwhile_changes_nothing(kernel: FakeKernel) -> None:
    ipset = client(kernel)
    ipset.create("m", "hash:ip")
    kernel.sets.lie(Before(lambda: rival(kernel).destroy("m")), command=Command.ADD, nth=1)
    with pytest.raises(ik.BulkFailed) as caught:
        ipset.replace("list", ["s", "m"])
    assert [type(failure.error) for failure in caught.value.report.failures] == [ik.SetNotFound]
    assert contents(ipset, "list") == {"s"}
    assert ipset.names() == ["s", "list"]
    assert ipset.set_status("s").references == 1


def test_an_iterable_that_raises_changes_nothing(kernel: FakeKernel) -> None:
    ipset = client(kernel)
    before = ipset.save()

    def entries() -> Iterator[str]:
        yield "10.0.0.1"
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        ipset.replace("s", entries())
    assert ipset.save() == before


def test_what_does_not_fit_changes_nothing_unless_the_set_may_grow(kernel: FakeKernel) -> None:
    ipset = client(kernel)
    before = ipset.save()
    kernel.sets.requests.clear()
    with pytest.raises(ik.SetFull) as caught:
        ipset.replace("s", addresses(0, 101))
    assert caught.value.limit == 100
    assert {request.command for request in kernel.sets.requests} == {Command.LIST}
    assert ipset.save() == before
    assert ipset.replace("s", addresses(0, 101), grow=True).done == 101
    assert held(ipset) == set(addresses(0, 101))
    assert ipset.set_status("s").references == 1
