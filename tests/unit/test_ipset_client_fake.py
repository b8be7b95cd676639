"""The client of sets, met with lost answers, refusals and rivals, as only a fake kernel can time them.

Knows: the client's promises, the fake's lies. Must not know: messages, how the client keeps its promises.
"""

from __future__ import annotations

import errno
import time
from typing import TYPE_CHECKING

import pytest

import ipvskit as ik
from ipvskit.ipset.client import Ipset
from ipvskit.ipset.transport import Limits
from ipvskit.ipset.waiting import Patience
from ipvskit.testing.fake import FakeKernel
from ipvskit.testing.fake.ipset import Before, Command, Dumped, Fail, LoseAnswers, Refuse
from ipvskit.testing.fake.ipset.adapter import Adapter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SMALL = Limits(send=2048, message=512, singles=16)


def client(kernel: FakeKernel, limits: Limits | None = None, patience: Patience | None = None) -> Ipset:
    """With a short patience, so that what stays busy is said soon."""
    return Ipset(Adapter(kernel.sets, limits), kernel._own, patience or Patience(0.05, 0.02))


def rival(kernel: FakeKernel) -> Ipset:
    """Another program, to which nobody lies."""
    adapter = Adapter(kernel.sets)
    adapter._transport = kernel.sets.transport(lies=False)
    return Ipset(adapter, kernel._own, Patience(0.05, 0.02))


def addresses(start: int, stop: int) -> list[str]:
    return [f"10.1.{number >> 8}.{number & 255}" for number in range(start, stop)]


def contents(ipset: Ipset, name: str = "s") -> set[str]:
    return {str(entry) for entry in ipset.entries(name)}


@pytest.fixture
def kernel() -> Iterator[FakeKernel]:
    with FakeKernel() as fake:
        fake.ipset.create("s", "hash:ip")
        yield fake


def timed_out() -> ik.TimedOut:
    return ik.TimedOut(errno.ETIMEDOUT, "no answer", operation="ipset")


def garbled() -> ik.ProtocolError:
    return ik.ProtocolError("garbled")


LOST = {
    "lost": LoseAnswers(),
    "timed out before": Fail(timed_out),
    "timed out behind": Fail(timed_out, executed=True),
    "garbled before": Fail(garbled),
    "garbled behind": Fail(garbled, executed=True),
}


@pytest.mark.parametrize("nth", [1, 2, 5])
@pytest.mark.parametrize("how", LOST)
@pytest.mark.parametrize("limits", [Limits(), SMALL], ids=["large", "small"])
def test_what_was_added_is_known_when_answers_are_lost(kernel: FakeKernel, how: str, nth: int, limits: Limits) -> None:
    ipset = client(kernel, limits)
    ipset.add_entries("s", addresses(0, 50))
    kernel.sets.lie(LOST[how], command=Command.ADD, nth=nth)
    report = ipset.add_entries("s", addresses(0, 400))
    assert (report.done + report.already, report.ok) == (400, True)
    # Of the 50 some may count as done: nobody can tell whether they were there before the lost answer.
    assert 350 <= report.done <= 400
    assert contents(ipset) == set(addresses(0, 400))


@pytest.mark.parametrize("how", LOST)
@pytest.mark.parametrize("limits", [Limits(), SMALL], ids=["large", "small"])
def test_what_was_deleted_is_known_when_answers_are_lost(kernel: FakeKernel, how: str, limits: Limits) -> None:
    ipset = client(kernel, limits)
    ipset.add_entries("s", addresses(0, 300))
    kernel.sets.lie(LOST[how], command=Command.DEL, nth=2 if limits is SMALL else 1)
    report = ipset.delete_entries("s", addresses(100, 400))
    assert (report.done + report.already, report.ok) == (300, True)
    assert report.done >= 200
    assert contents(ipset) == set(addresses(0, 100))


@pytest.mark.parametrize("how", LOST)
@pytest.mark.parametrize("nth", [1, 2])
def test_tests_are_asked_again_when_answers_are_lost(kernel: FakeKernel, how: str, nth: int) -> None:
    ipset = client(kernel, SMALL)
    ipset.add_entries("s", addresses(0, 40))
    kernel.sets.lie(LOST[how], command=Command.TEST, nth=nth)
    assert ipset.test_entries("s", addresses(20, 60)) == [True] * 20 + [False] * 20


def test_refusals_are_told_even_if_their_answers_were_lost_at_first(kernel: FakeKernel) -> None:
    ipset = client(kernel)
    ipset.create("few", "hash:ip", maxelem=10)
    kernel.sets.lie(LoseAnswers(), command=Command.ADD, nth=1)
    report = ipset.add_entries("few", addresses(0, 14))
    assert (report.done, [failure.index for failure in report.failures]) == (10, [10, 11, 12, 13])
    assert all(isinstance(failure.error, ik.SetFull) for failure in report.failures)
    assert contents(ipset, "few") == set(addresses(0, 10))


def test_the_last_options_stay_when_answers_are_lost(kernel: FakeKernel) -> None:
    ipset = client(kernel, SMALL)
    ipset.create("c", "hash:ip", comment=True)
    kernel.sets.lie(LoseAnswers(), command=Command.ADD, nth=1)
    entries = [ik.Entry(text, comment=f"{turn}") for turn in range(3) for text in addresses(0, 60)]
    report = ipset.add_entries("c", entries, exist=True)
    assert report.done == 180
    assert {entry.comment for entry in ipset.entries("c")} == {"2"}


def test_a_single_call_whose_answer_is_lost_has_done_what_it_should(kernel: FakeKernel) -> None:
    ipset = client(kernel)
    told = kernel.sets.lie(LoseAnswers(), command=Command.ADD, nth=1)
    ipset.add("s", "10.0.0.1")
    assert (contents(ipset), told.told) == ({"10.0.0.1"}, 1)
    kernel.sets.lie(LoseAnswers(), command=Command.DEL, nth=1)
    ipset.delete("s", "10.0.0.1")
    assert contents(ipset) == set()


def test_answers_that_are_lost_again_and_again_end_in_an_error(kernel: FakeKernel) -> None:
    ipset = client(kernel)
    kernel.sets.lie(LoseAnswers(), command=Command.ADD)
    with pytest.raises(ik.AnswerLost) as caught:
        ipset.add_entries("s", addresses(0, 8))
    assert "until then" in caught.value.__notes__[0]


CHANGES: dict[str, Callable[[Ipset], object]] = {
    "create": lambda ipset: ipset.create("new", "hash:ip"),
    "destroy": lambda ipset: ipset.destroy("s"),
    "rename": lambda ipset: ipset.rename("s", "other"),
    "swap": lambda ipset: ipset.swap("s", "t"),
    "flush": lambda ipset: ipset.flush("s"),
}


@pytest.mark.parametrize("how", LOST)
@pytest.mark.parametrize("change", CHANGES)
def test_a_command_whose_answer_is_lost_says_so(kernel: FakeKernel, change: str, how: str) -> None:
    ipset = client(kernel)
    ipset.create("t", "hash:ip")
    kernel.sets.lie(LOST[how], command=Command[change.upper()])
    with pytest.raises((ik.AnswerLost, ik.TimedOut, ik.ProtocolError)):
        CHANGES[change](ipset)
    kernel.sets.tell_the_truth()
    # Nothing was left half done, and the client still works.
    assert {"s", "t", "other", "new"} >= set(ipset.names())
    assert len(ipset.names()) in {1, 2, 3}


# --- busy sets ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", ["destroy", "rename", "swap"])
def test_another_programs_listing_is_waited_for(kernel: FakeKernel, change: str) -> None:
    ipset = client(kernel, patience=Patience(5.0, 0.0))
    ipset.create("t", "hash:ip")
    told = kernel.sets.lie(Dumped(times=4), command=Command[change.upper()])
    CHANGES[change](ipset)
    assert told.told == 5


@pytest.mark.parametrize("change", ["destroy", "rename", "swap"])
def test_a_listing_that_does_not_end_is_an_error(kernel: FakeKernel, change: str) -> None:
    ipset = client(kernel, patience=Patience(0.05, 0.02))
    ipset.create("t", "hash:ip")
    before = ipset.save()
    start = time.monotonic()
    with kernel.sets.listing("s"), pytest.raises(ik.SetBusy) as caught:
        CHANGES[change](ipset)
    assert 0.05 <= time.monotonic() - start < 2
    assert "s" in str(caught.value)
    assert ipset.save() == before


@pytest.mark.parametrize("change", ["destroy", "rename"])
def test_a_reference_is_waited_for_a_little_and_then_counted(kernel: FakeKernel, change: str) -> None:
    ipset = client(kernel, patience=Patience(60.0, 0.02))
    ipset.create("t", "hash:ip")
    kernel.sets.refer("s", 3)
    start = time.monotonic()
    with pytest.raises(ik.SetReferenced) as caught:
        CHANGES[change](ipset)
    assert caught.value.references == 3
    assert time.monotonic() - start < 30
    # It is let go while the next call waits.
    waiting = client(kernel, patience=Patience(60.0, 60.0))
    kernel.sets.lie(Before(lambda: kernel.sets.refer("s", -3)), command=Command[change.upper()], nth=3)
    CHANGES[change](waiting)
    assert "s" not in ipset.names()


def test_destroy_all_waits_and_removes_nothing_where_it_cannot(kernel: FakeKernel) -> None:
    ipset = client(kernel)
    ipset.create("t", "hash:ip", entries=["10.0.0.1"])
    before = ipset.save()
    kernel.sets.refer("s")
    with pytest.raises(ik.SetReferenced):
        ipset.destroy_all()
    assert ipset.save() == before
    kernel.sets.refer("s", -1)
    ipset.destroy_all()
    assert ipset.names() == []


# --- refusals in between ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("command", "nth"), [(Command.CREATE, 1), (Command.ADD, 1), (Command.ADD, 3)])
def test_a_set_that_cannot_be_filled_is_not_left_behind(kernel: FakeKernel, command: Command, nth: int) -> None:
    ipset = client(kernel, SMALL)
    kernel.sets.lie(Refuse(errno.ENOMEM), command=command, nth=nth)
    with pytest.raises((ik.KernelError, ik.BulkFailed)):
        ipset.create("new", "hash:ip", entries=addresses(0, 300))
    assert ipset.names() == ["s"]


def test_a_set_whose_filling_timed_out_is_not_left_behind(kernel: FakeKernel) -> None:
    ipset = client(kernel)
    kernel.sets.lie(Fail(timed_out), command=Command.ADD)
    with pytest.raises((ik.AnswerLost, ik.TimedOut)):
        ipset.create("new", "hash:ip", entries=addresses(0, 4))
    kernel.sets.tell_the_truth()
    assert ipset.names() == ["s"]


@pytest.mark.parametrize("on_error", ["continue", "stop"])
def test_an_entry_without_memory_is_told(kernel: FakeKernel, on_error: str) -> None:
    ipset = client(kernel)
    kernel.sets.lie(Refuse(errno.ENOMEM), command=Command.ADD, nth=1)
    report = ipset.add_entries("s", addresses(0, 3), on_error=on_error)  # type: ignore[arg-type]
    assert {failure.error.errno for failure in report.failures if isinstance(failure.error, ik.KernelError)} == {
        errno.ENOMEM
    }
    assert report.done + report.already + len(report.failures) == (3 if on_error == "continue" else 1)
    assert len(contents(ipset)) == report.done


def test_a_set_that_vanishes_in_the_middle_is_told_for_every_entry(kernel: FakeKernel) -> None:
    ipset = client(kernel, SMALL)
    kernel.sets.lie(Before(lambda: rival(kernel).destroy("s")), command=Command.ADD, nth=3)
    report = ipset.add_entries("s", addresses(0, 300))
    assert report.failures
    assert all(isinstance(failure.error, ik.SetNotFound) for failure in report.failures)
    assert report.done + len(report.failures) == 300


def test_a_rival_that_creates_the_set_first_is_met_as_any_other_set(kernel: FakeKernel) -> None:
    ipset = client(kernel)

    def act() -> None:
        rival(kernel).create("new", "hash:ip", entries=["10.0.0.9"])

    told = kernel.sets.lie(Before(act), command=Command.CREATE, nth=1)
    ipset.create("new", "hash:ip", entries=["10.0.0.1"], exist=True)
    assert (told.told, contents(ipset, "new")) == (1, {"10.0.0.1", "10.0.0.9"})


def test_a_rival_that_destroys_the_set_in_between_is_said_plainly(kernel: FakeKernel) -> None:
    ipset = client(kernel)
    ipset.create("few", "hash:ip", maxelem=1, entries=["10.0.0.1"])
    kernel.sets.lie(Before(lambda: rival(kernel).destroy("few")), command=Command.LIST, name="few", nth=1)
    # The refusal is looked at more closely, and then there is nothing any more.
    report = ipset.add_entries("few", ["10.0.0.2"])
    assert [type(failure.error) for failure in report.failures] == [ik.SetFull]


# --- what the state machine found (tests/property/ipset_machine.py) ----------------------------------------------------------------


@pytest.mark.parametrize("command", ["add_entries", "delete_entries"])
def test_a_bad_entry_before_a_range_stops_the_call(kernel: FakeKernel, command: str) -> None:
    # With nothing in front of the bad one there was nothing to expand, which raised StopIteration.
    report = getattr(client(kernel), command)("s", ["10.0.0.300", "10.0.0.1-10.0.0.3"], on_error="stop")
    assert [(failure.index, type(failure.error)) for failure in report.failures] == [(0, ik.InvalidEntry)]
    assert (report.done, report.already, report.stopped) == (0, 0, True)
    assert contents(client(kernel)) == set()


def test_lists_keep_their_members_when_a_rule_keeps_a_set(kernel: FakeKernel) -> None:
    ipset = client(kernel)
    ipset.create("list", "list:set", entries=["s"])
    kernel.sets.refer("s")
    with pytest.raises(ik.SetReferenced):
        ipset.destroy_all()
    assert contents(ipset, "list") == {"s"}
    kernel.sets.refer("s", -1)
    ipset.destroy_all()
    assert ipset.names() == []


def test_a_range_that_is_there_in_part_is_done_to_its_end(kernel: FakeKernel) -> None:
    ipset = client(kernel)
    ipset.add("s", "10.0.0.2")
    assert ipset.add_entries("s", ["10.0.0.1-10.0.0.3"]).done == 1
    assert contents(ipset) == {"10.0.0.1", "10.0.0.2", "10.0.0.3"}
    ipset.delete("s", "10.0.0.1")
    assert ipset.delete_entries("s", ["10.0.0.0/30"]).done == 1
    assert contents(ipset) == set()


def test_a_test_for_what_no_set_can_hold_says_why(kernel: FakeKernel) -> None:
    with pytest.raises(ik.InvalidEntry):
        client(kernel).test("s", "10.0.0.300")


# --- iterables ----------------------------------------------------------------------------------------------------------------------


def test_an_iterable_that_raises_leaves_a_note(kernel: FakeKernel) -> None:
    ipset = client(kernel)

    def entries() -> Iterator[str]:
        yield from addresses(0, 1 << 14)
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more") as caught:
        ipset.add_entries("s", entries())
    assert "16384 done" in caught.value.__notes__[0]
    assert ipset.set_status("s").entries == 1 << 14
    # The buffer that the call had is used again.
    assert ipset.add_entries("s", ["10.0.0.1"]).done == 1
