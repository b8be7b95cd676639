"""Answers that cannot be trusted, or that mean that there is no ipset.

Knows: what the client promises of its errors. Must not know: how answers are read.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import pytest

import ipvskit as ik
from ipvskit.ipset.client import Ipset
from ipvskit.ipset.transport import Reply
from ipvskit.testing.fake import FakeKernel
from ipvskit.testing.fake.ipset import Refuse
from ipvskit.testing.fake.ipset.adapter import Adapter
from tests.unit import ipset_wire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ipvskit._native.ipset import Listing

#: A message that says that it is longer than it is.
GARBAGE = b"\xff\xff\xff\x7f" + bytes(28)
ENTRIES = [f"192.0.2.{number}" for number in range(1, 101)]


class Garbling(Adapter):
    """Executes, and answers with garbage so many times; what is listed is `dumped` if that is given."""

    def __init__(self, kernel: FakeKernel, times: int = 0, dumped: bytes = b"") -> None:
        super().__init__(kernel.sets)
        self.times = times
        self.dumped = dumped

    def exchange(self, messages: memoryview, count: int) -> Reply:
        reply = super().exchange(messages, count)
        self.times -= 1
        return Reply(GARBAGE) if self.times >= 0 else reply

    def dump(self, message: bytearray, listing: Listing) -> None:
        if self.dumped:
            listing.feed(self.dumped)
        else:
            super().dump(message, listing)


@pytest.fixture
def kernel() -> Iterator[FakeKernel]:
    with FakeKernel() as fake:
        fake.ipset.create("s", "hash:ip")
        yield fake


CALLS: dict[str, Callable[[Ipset], object]] = {
    "exists": lambda ipset: ipset.exists("s"),
    "protocol": lambda ipset: ipset.protocol(),
    "types": lambda ipset: ipset.types(),
    "index": lambda ipset: ipset.index("s"),
    "name_of": lambda ipset: ipset.name_of(0),
    "revisions": lambda ipset: ipset.revisions("hash:ip"),
    "flush": lambda ipset: ipset.flush("s"),
    "create": lambda ipset: ipset.create("t", "hash:ip"),
    "destroy": lambda ipset: ipset.destroy("s"),
    "add": lambda ipset: ipset.add("s", "192.0.2.1"),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_garbage_is_a_protocol_error(kernel: FakeKernel, call: Callable[[Ipset], object]) -> None:
    with pytest.raises(ik.ProtocolError):
        call(Ipset(Garbling(kernel, 1), kernel._own))


@pytest.mark.parametrize("call", [Ipset.names, Ipset.sets, Ipset.status, Ipset.save, lambda ipset: ipset.entries("s")])
def test_a_listing_of_garbage_is_a_protocol_error(kernel: FakeKernel, call: Callable[[Ipset], object]) -> None:
    with pytest.raises(ik.ProtocolError):
        call(Ipset(Garbling(kernel, dumped=GARBAGE), kernel._own))


@pytest.mark.parametrize("times", [1, 2, 3])
def test_entries_behind_garbage_are_asked_for_again(kernel: FakeKernel, times: int) -> None:
    of = kernel.ipset.get("s", entries=False)
    report = Ipset(Garbling(kernel, times), kernel._own).add_entries(of, ENTRIES)
    assert (report.done, report.already, report.failures) == (100, 0, ())
    assert {str(entry) for entry in kernel.ipset.entries("s")} == set(ENTRIES)


def test_entries_behind_endless_garbage_are_lost(kernel: FakeKernel) -> None:
    of = kernel.ipset.get("s", entries=False)
    with pytest.raises(ik.AnswerLost):
        Ipset(Garbling(kernel, 1000), kernel._own).add_entries(of, ENTRIES)


@pytest.mark.parametrize(
    "call",
    [
        Ipset.types,
        Ipset.protocol,
        Ipset.names,
        lambda ipset: ipset.create("t hash:ip"),
        lambda ipset: ipset.exists("t"),
    ],
)
def test_without_ipset_every_question_says_so(call: Callable[[Ipset], object]) -> None:
    with FakeKernel() as kernel:
        kernel.sets.lie(Refuse(errno.EINVAL))
        with pytest.raises(ik.IpsetNotAvailable, match="ip_set"):
            call(kernel.ipset)


def test_types_that_the_kernel_lacks_are_left_out() -> None:
    with FakeKernel(set_types=["hash:ip", "list:set"]) as kernel:
        assert set(kernel.ipset.types()) == {"hash:ip", "list:set"}


def test_a_set_that_is_listed_is_busy_by_the_name_of_what_was_tried(kernel: FakeKernel) -> None:
    tries: dict[str, Callable[[Ipset], None]] = {
        "destroy set": lambda ipset: ipset.destroy("s"),
        "rename set": lambda ipset: ipset.rename("s", "t"),
    }
    for operation, call in tries.items():
        with FakeKernel(same_as=kernel, patience=0.05) as impatient, kernel.sets.listing("s"):
            with pytest.raises(ik.SetBusy) as caught:
                call(impatient.ipset)
            assert (caught.value.operation, caught.value.key) == (operation, "s")


def test_protocol_version_6_is_read(kernel: FakeKernel) -> None:
    """Version 7 added the index to what is listed; a kernel of version 6 leaves it out."""
    listed = ipset_wire.build(
        "LIST", header=2, sequence=0, protocol=6, setname="s", typename="hash:ip", family=2, revision=4
    )
    (status,) = Ipset(Garbling(kernel, dumped=listed), kernel._own).status()
    assert (status.set.name, status.set.type, status.revision, status.index) == ("s", "hash:ip", 4, None)
