"""How many messages and system calls it takes, and several threads with one client.

Knows: what calls may cost. Must not know: what is in the messages.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from ipvskit.ipset.client import Ipset
from ipvskit.ipset.transport import Limits, Reply
from ipvskit.sets.elements import Elements
from ipvskit.testing.fake import FakeKernel
from ipvskit.testing.fake.ipset import Command
from ipvskit.testing.fake.ipset.adapter import Adapter
from tests.unit.test_ipset_client_fake import SMALL, addresses, client, contents

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ipvskit._native.ipset import Listing


class Counting(Adapter):
    """Counts what would be system calls."""

    calls = 0

    def exchange(self, messages: memoryview, count: int) -> Reply:
        self.calls += 1
        return super().exchange(messages, count)

    def dump(self, message: bytearray, listing: Listing) -> None:
        self.calls += 1
        super().dump(message, listing)


@pytest.fixture
def kernel() -> Iterator[FakeKernel]:
    with FakeKernel() as fake:
        fake.ipset.create("s", "hash:ip")
        fake.ipset.add_entries("s", addresses(0, 10))
        yield fake


def cost(kernel: FakeKernel, call: Callable[[Ipset], object]) -> tuple[int, int]:
    """Messages and sends of the call, by a client that has not asked for anything yet."""
    transport = Counting(kernel.sets)
    ipset = Ipset(transport, kernel._own)
    kernel.sets.requests.clear()
    call(ipset)
    return len(kernel.sets.requests), transport.calls


ENTRIES = addresses(10, 10_010)
COSTS: dict[str, tuple[Callable[[Ipset], object], int, int]] = {
    "add": (lambda ipset: ipset.add("s", "10.0.0.1"), 2, 2),
    "add, of a known set": (lambda ipset: ipset.add(ipset.get("s", entries=False), "10.0.0.1"), 2, 2),
    "delete": (lambda ipset: ipset.delete("s", "10.1.0.1"), 2, 2),
    "test": (lambda ipset: ipset.test("s", "10.1.0.1"), 2, 2),
    "exists": (lambda ipset: ipset.exists("s"), 1, 1),
    "get": (lambda ipset: ipset.get("s"), 1, 1),
    "sets": (lambda ipset: ipset.sets(), 1, 1),
    "create": (lambda ipset: ipset.create("new", "hash:ip"), 2, 2),
    "destroy": (lambda ipset: ipset.destroy("s"), 1, 1),
    "flush": (lambda ipset: ipset.flush("s"), 1, 1),
    "types": (lambda ipset: ipset.types(), 16, 1),
}


@pytest.mark.parametrize("call", COSTS)
def test_single_calls_cost_what_they_must(kernel: FakeKernel, call: str) -> None:
    act, messages, sends = COSTS[call]
    assert cost(kernel, act) == (messages, sends)


def test_a_bulk_call_is_a_handful_of_messages(kernel: FakeKernel) -> None:
    messages, sends = cost(kernel, lambda ipset: ipset.add_entries("s", ENTRIES))
    assert messages <= 12
    assert sends <= 3
    messages, sends = cost(kernel, lambda ipset: ipset.delete_entries("s", Elements("hash:ip", ENTRIES)))
    assert messages <= 12
    assert sends <= 3


def test_a_bulk_test_is_few_sends(kernel: FakeKernel) -> None:
    messages, sends = cost(kernel, lambda ipset: ipset.test_entries("s", ENTRIES))
    assert messages == 1 + len(ENTRIES)
    assert sends <= 2 + len(ENTRIES) // Limits().singles


def test_entries_that_are_there_already_cost_no_send_each(kernel: FakeKernel) -> None:
    client(kernel).add_entries("s", ENTRIES[::2])
    messages, sends = cost(kernel, lambda ipset: ipset.add_entries("s", ENTRIES))
    assert sends <= 40
    assert messages <= 2 * len(ENTRIES)


def test_a_replacement_is_a_handful_of_sends(kernel: FakeKernel) -> None:
    messages, sends = cost(kernel, lambda ipset: ipset.replace("s", ENTRIES))
    assert messages <= 24
    assert sends <= 12
    assert len(client(kernel).entries("s")) == len(ENTRIES)


def test_an_entry_that_no_kernel_takes_is_not_sent(kernel: FakeKernel) -> None:
    messages, _ = cost(kernel, lambda ipset: ipset.add_entries("s", ["10.0.0.300", "x", ""]))
    assert messages == 1
    assert [request.command for request in kernel.sets.requests] == [Command.HEADER]


# --- threads ------------------------------------------------------------------------------------------------------------------------


def test_two_threads_with_one_client_do_not_get_in_each_others_way(kernel: FakeKernel) -> None:
    ipset = client(kernel, SMALL)
    ipset.create("t", "hash:ip,port")
    both = threading.Barrier(3)
    parts = {"s": addresses(100, 700), "t": [f"{text},tcp:80" for text in addresses(100, 700)]}

    def fill(name: str) -> int:
        both.wait()
        done = 0
        for start in range(0, 600, 60):
            done += ipset.add_entries(name, parts[name][start : start + 60]).done
            done += ipset.add_entries(name, parts[name][start : start + 60]).done
        return done

    def read() -> list[int]:
        both.wait()
        return [len(ipset.entries("s")) for _ in range(60)]

    with ThreadPoolExecutor(3) as pool:
        filled = [pool.submit(fill, name) for name in parts]
        seen = pool.submit(read).result()
        assert [each.result() for each in filled] == [600, 600]
    assert seen == sorted(seen)
    assert contents(ipset) == set(addresses(0, 10)) | set(parts["s"])
    assert contents(ipset, "t") == set(parts["t"])


def test_two_threads_that_add_the_same_entries_share_them_out(kernel: FakeKernel) -> None:
    ipset = client(kernel, SMALL)
    both = threading.Barrier(2)
    wanted = addresses(100, 900)

    def fill() -> tuple[int, int, int]:
        both.wait()
        report = ipset.add_entries("s", wanted)
        return report.done, report.already, len(report.failures)

    with ThreadPoolExecutor(2) as pool:
        reports = [each.result() for each in [pool.submit(fill), pool.submit(fill)]]
    assert sum(done for done, _, _ in reports) == len(wanted)
    assert [done + already for done, already, _ in reports] == [len(wanted)] * 2
    assert contents(ipset) == set(addresses(0, 10)) | set(wanted)


def test_two_threads_that_replace_the_same_set_leave_one_of_both(kernel: FakeKernel) -> None:
    ipset = client(kernel, SMALL)
    both = threading.Barrier(2)
    wanted = [set(addresses(0, 100)), set(addresses(50, 200))]

    def put(number: int) -> None:
        both.wait()
        for _ in range(5):
            ipset.replace("s", sorted(wanted[number]))

    with ThreadPoolExecutor(2) as pool:
        for each in [pool.submit(put, 0), pool.submit(put, 1)]:
            each.result()
    assert contents(ipset) in wanted
    assert ipset.names() == ["s"]
