"""Very many entries at once, on a real kernel: what each came to is told exactly.

Knows: what a set holds and what its limits are. Must not know: messages, how many of them there are.
"""

from __future__ import annotations

import json
import random
import re
import subprocess
from itertools import islice
from typing import TYPE_CHECKING, Any

import pytest

import ipvskit as ik
from tests.kernel.ipset_support import need_type, run_python

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ipvskit.ipset.report import EntriesReport
    from ipvskit.testing.namespaces import TestNetNS

pytestmark = pytest.mark.ipset


@pytest.fixture
def kernel(namespace: TestNetNS) -> Iterator[ik.Kernel]:
    with ik.Kernel(namespace) as handle:
        yield handle


def addresses(count: int, start: int = 10 << 24) -> list[str]:
    return [".".join(map(str, (start + number).to_bytes(4, "big"))) for number in range(1, count + 1)]


def counts(report: EntriesReport) -> tuple[int, int, int]:
    return report.done, report.already, len(report.failures)


def held(kernel: ik.Kernel, name: str = "s") -> list[str]:
    return sorted(kernel.ipset.entries(name).to_text().splitlines())


# --- exact verdicts -------------------------------------------------------------------------------------------------------------------


class Model:
    """What a hash:ip with at most so many entries makes of each entry."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.entries: set[str] = set()

    def add(self, entry: str) -> type[Exception] | str:
        address, _, option = entry.partition(" ")
        if not address.startswith("10."):
            return ik.InvalidEntry
        if option:
            return ik.OptionNotEnabled
        if address in self.entries:
            return "already"
        if len(self.entries) >= self.limit:
            return ik.SetFull
        self.entries.add(address)
        return "done"

    def delete(self, entry: str) -> type[Exception] | str:
        if not entry.startswith("10."):
            return ik.InvalidEntry
        if entry.partition(" ")[0] not in self.entries:
            return "already"
        self.entries.remove(entry.partition(" ")[0])
        return "done"


def mixture(chance: random.Random, count: int, bad: float) -> list[str]:
    """Addresses, some of them more than once, with faults strewn in."""
    entries = []
    for _ in range(count):
        kind = chance.random()
        address = f"10.0.{chance.randrange(60)}.{chance.randrange(256)}"
        if kind < bad / 2:
            entries.append(chance.choice(["10", "x", "", "192.168.0.0.1", "2001:db8::1"]).replace("10", "nonsense"))
        elif kind < bad:
            entries.append(f"{address} {chance.choice(['timeout 5', 'packets 1', 'comment x', 'skbqueue 1'])}")
        else:
            entries.append(address)
    return entries


def verdicts(report: EntriesReport) -> dict[int, type[Exception]]:
    return {failure.index: type(failure.error) for failure in report.failures}


@pytest.mark.parametrize("seed", range(6))
def test_done_already_and_failures_as_a_model_says(kernel: ik.Kernel, seed: int) -> None:
    chance = random.Random(seed)
    kernel.ipset.create("s", "hash:ip")
    model = Model(65536)
    for _ in range(3):
        entries = mixture(chance, chance.choice([10, 3000, 20000]), chance.choice([0.0, 0.001, 0.3]))
        said = [model.add(entry) for entry in entries]
        report = kernel.ipset.add_entries("s", entries)
        assert verdicts(report) == {at: found for at, found in enumerate(said) if isinstance(found, type)}
        assert (report.done, report.already) == (said.count("done"), said.count("already"))
        assert all(failure.entry == entries[failure.index] for failure in report.failures)
        assert [failure.index for failure in report.failures] == sorted(failure.index for failure in report.failures)
        assert not report.stopped
        assert set(held(kernel)) == model.entries
        entries = [entry.partition(" ")[0] for entry in mixture(chance, 3000, 0.1)]
        assert kernel.ipset.test_entries("s", [e for e in entries if e.startswith("10.")]) == [
            entry in model.entries for entry in entries if entry.startswith("10.")
        ]
        said = [model.delete(entry) for entry in entries]
        report = kernel.ipset.delete_entries("s", entries)
        assert verdicts(report) == {at: found for at, found in enumerate(said) if isinstance(found, type)}
        assert (report.done, report.already) == (said.count("done"), said.count("already"))
        assert set(held(kernel)) == model.entries


@pytest.mark.parametrize("seed", range(4))
def test_a_set_that_runs_full_among_other_faults(kernel: ik.Kernel, seed: int) -> None:
    # Behind a refusal the rest of a message goes out again, when the next ones are through: so which entries find room is not a matter of order.
    chance = random.Random(seed)
    kernel.ipset.create("s", "hash:ip", maxelem=500)
    entries = mixture(chance, chance.choice([3000, 20000]), chance.choice([0.0, 0.001, 0.3]))
    report = kernel.ipset.add_entries("s", entries)
    found = verdicts(report)
    taken = set(held(kernel))
    assert (report.done, len(taken)) == (500, 500)
    for at, entry in enumerate(entries):
        alone = Model(1).add(entry)
        if isinstance(alone, type):
            assert found[at] is alone
        else:
            assert (found.get(at) is ik.SetFull) == (entry not in taken)
    assert report.done + report.already + len(report.failures) == len(entries)
    assert {failure.error.limit for failure in report.failures if isinstance(failure.error, ik.SetFull)} == {500}


@pytest.mark.parametrize("seed", range(4))
def test_tables_get_the_same_verdicts(kernel: ik.Kernel, seed: int) -> None:
    chance = random.Random(seed)
    kernel.ipset.create("s", "hash:ip", maxelem=4000)
    entries: set[str] = set()
    for _ in range(3):
        table = ik.Elements("hash:ip", {f"10.0.{chance.randrange(40)}.{chance.randrange(1, 256)}" for _ in range(3000)})
        texts = table.to_text().splitlines()
        before, entries = entries, set()
        report = kernel.ipset.add_entries("s", table)
        entries = set(held(kernel))
        there = sum(text in before for text in texts)
        assert counts(report) == (len(entries) - len(before), there, len(texts) - there - (len(entries) - len(before)))
        assert set(verdicts(report).values()) <= {ik.SetFull}
        # Kernels count by regions of the hash, so a set of 4000 is full a little sooner or later.
        assert report.ok or 3800 <= len(entries) <= 4200
        assert entries == before | {text for at, text in enumerate(texts) if at not in verdicts(report)}
        assert all(failure.entry == texts[failure.index] for failure in report.failures)
        assert all(getattr(failure.error, "limit", None) == 4000 for failure in report.failures)
    with pytest.raises(ik.InvalidConfig, match="hash:ip"):
        kernel.ipset.add_entries("s", ik.Elements("hash:net"))
    with pytest.raises(ik.InvalidConfig, match="hash:ip"):
        kernel.ipset.add_entries("s", ik.Elements("hash:ip", family="inet6"))


@pytest.mark.parametrize("at", [0, 1, 1000, 4095, 4096, 7000, 16383, 16384, 19900])
@pytest.mark.parametrize("fault", ["twice", "malformed", "option"])
def test_stop_executes_what_stands_before_the_first_failure_and_nothing_else(
    kernel: ik.Kernel, at: int, fault: str
) -> None:
    entries = addresses(20000)
    kernel.ipset.create("s", "hash:ip")
    already = 0
    if fault == "twice":
        # There already is no failure: it goes on.
        kernel.ipset.add("s", entries[at])
        already, at = 1, at + 50
        entries[at] = "nonsense"
    elif fault == "malformed":
        entries[at] = "nonsense"
    else:
        entries[at] += " timeout 5"
    report = kernel.ipset.add_entries("s", entries, on_error="stop")
    assert report.stopped
    assert counts(report) == (at - already, already, 1)
    assert report.failures[0].index == at
    assert held(kernel) == sorted(entries[:at])


def test_a_full_set_stops_where_it_is_full(kernel: ik.Kernel) -> None:
    kernel.ipset.create("s", "hash:ip", maxelem=777)
    entries: list[Any] = [addresses(2000), ik.Elements("hash:ip", addresses(2000))]
    for each in entries:
        report = kernel.ipset.add_entries("s", each, on_error="stop")
        assert counts(report) == (777, 0, 1)
        failure = report.failures[0]
        assert (failure.index, type(failure.error)) == (777, ik.SetFull)
        with pytest.raises(ik.BulkFailed) as caught:
            report.raise_for_failures()
        assert caught.value.report is report
        kernel.ipset.flush("s")


# --- exist ----------------------------------------------------------------------------------------------------------------------------


def test_exist_gives_all_options_anew(kernel: ik.Kernel) -> None:
    kernel.ipset.create("s hash:ip comment skbinfo timeout 0")
    names = addresses(5000)
    kernel.ipset.add_entries(
        "s", [f'{name} timeout 1000 comment "old" skbqueue 7' for name in names]
    ).raise_for_failures()
    assert counts(kernel.ipset.add_entries("s", [f'{name} comment "new"' for name in names[:2500]])) == (0, 2500, 0)
    assert all(each.comment == "old" for each in kernel.ipset.entries("s"))
    report = kernel.ipset.add_entries("s", [f'{name} comment "new"' for name in names[:2500]], exist=True)
    assert counts(report) == (2500, 0, 0)
    found = {str(each.address): (each.comment, each.skbqueue, bool(each.timeout)) for each in kernel.ipset.entries("s")}
    assert [found[name] for name in names] == [("new", None, False)] * 2500 + [("old", 7, True)] * 2500


def test_exist_keeps_the_order_behind_a_refusal(kernel: ik.Kernel) -> None:
    # The first message is refused at its beginning, and the one that has the last word is behind it.
    kernel.ipset.create("s hash:ip comment")
    names = addresses(6000)
    entries = ["10.9.9.9 timeout 5", *(f'{name} comment "first"' for name in names)]
    entries += [f'{name} comment "last"' for name in names]
    report = kernel.ipset.add_entries("s", entries, exist=True)
    assert counts(report) == (12000, 0, 1)
    assert {each.comment for each in kernel.ipset.entries("s")} == {"last"}


def test_every_option_in_bulk(kernel: ik.Kernel) -> None:
    of = ik.Set("s", "hash:net", timeout=0, counters=True, comment=True, skbinfo=True)
    kernel.ipset.create(of)
    chance = random.Random(1)
    entries = [
        ik.Entry(
            name,
            timeout=chance.choice([None, 0, 2147483]),
            packets=chance.choice([None, 0, 5, 2**64 - 2]),
            bytes=chance.choice([None, 2**63]),
            comment=chance.choice([None, "", "x" * 255, "ä" * 127, "a \\ b # ; `"]),
            skbmark=chance.choice([None, (1, 2), (2**32 - 1, 2**32 - 1)]),
            skbprio=chance.choice([None, (1, 0xFFFF)]),
            skbqueue=chance.choice([None, 65535]),
            nomatch=chance.random() < 0.3,
        )
        for name in addresses(4000)
    ]
    wanted = ik.Elements(of, entries)
    assert kernel.ipset.add_entries("s", entries).done == 4000
    options = ("comment", "skbmark", "skbprio", "skbqueue", "nomatch", "packets", "bytes")
    assert kernel.ipset.entries("s").same_as(wanted, options)
    kernel.ipset.flush("s")
    assert kernel.ipset.add_entries("s", wanted).done == 4000
    assert kernel.ipset.entries("s").same_as(wanted, options)
    assert counts(kernel.ipset.delete_entries("s", wanted)) == (4000, 0, 0)


def test_comments_of_255_bytes_fill_messages(kernel: ik.Kernel) -> None:
    kernel.ipset.create("s hash:ip comment")
    entries = [f'{name} comment "{"ü" * 127}{number % 10}"' for number, name in enumerate(addresses(3000))]
    report = kernel.ipset.add_entries("s", [*entries, f'10.9.9.9 comment "{"x" * 256}"', *entries])
    assert counts(report) == (3000, 3000, 1)
    assert held(kernel) == sorted(entries)


# --- iterables ------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 10, 20000, 40000])
def test_an_iterable_that_raises_keeps_what_was_done(kernel: ik.Kernel, count: int) -> None:
    kernel.ipset.create("s", "hash:ip")

    def broken() -> Iterable[str]:
        yield from islice(addresses(65000), count)
        raise RuntimeError("the file ends here")

    with pytest.raises(RuntimeError, match="the file ends here") as caught:
        kernel.ipset.add_entries("s", broken())
    (note,) = caught.value.__notes__
    said = re.search(r"s: (\d+) done", note)
    assert said is not None, note
    assert len(kernel.ipset.entries("s")) == int(said[1])
    assert set(held(kernel)) == set(addresses(int(said[1])))
    assert int(said[1]) <= count < int(said[1]) + (1 << 14)


def test_what_is_no_iterable_of_entries(kernel: ik.Kernel) -> None:
    kernel.ipset.create("s", "hash:ip")
    for nonsense in ("10.0.0.1", b"10.0.0.1"):
        with pytest.raises(ik.InvalidConfig):
            kernel.ipset.add_entries("s", nonsense)
    with pytest.raises(ik.InvalidConfig):
        kernel.ipset.add_entries("s", [], on_error="ignore")  # type: ignore[arg-type]
    assert counts(kernel.ipset.add_entries("s", [])) == (0, 0, 0)
    assert counts(kernel.ipset.add_entries("s", ik.Elements("hash:ip"))) == (0, 0, 0)
    report = kernel.ipset.add_entries("s", ["10.0.0.1", 5, ik.Entry("10.0.0.2"), None, "a\nb", b"10.0.0.3"])
    assert [failure.index for failure in report.failures] == [1, 3, 4, 5]
    assert held(kernel) == ["10.0.0.1", "10.0.0.2"]


# --- much and little room -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["hash:ip", "hash:ip,port", "hash:net", "hash:ip,mark", "hash:mac", "hash:net,iface"])
def test_200000_entries_go_in_and_out(kernel: ik.Kernel, kind: str) -> None:
    need_type(kernel, kind)
    count = 200_000 if kind in {"hash:ip", "hash:ip,port"} else 30_000
    ending = {"hash:ip,port": ",tcp:80", "hash:ip,mark": ",0x5", "hash:net,iface": ",eth0"}.get(kind, "")
    names = addresses(count)
    if kind == "hash:mac":
        names = ["02:00:" + (1 + n).to_bytes(4, "big").hex(":").upper() for n in range(count)]
    entries = [name + ending for name in names]
    kernel.ipset.create("s", kind, maxelem=1 << 20)
    assert counts(kernel.ipset.add_entries("s", entries)) == (count, 0, 0)
    assert kernel.ipset.set_status("s").entries == count
    found = kernel.ipset.entries("s")
    assert len(found) == count
    assert found.same_as(ik.Elements(kind, entries))
    assert counts(kernel.ipset.add_entries("s", found)) == (0, count, 0)
    assert counts(kernel.ipset.delete_entries("s", found)) == (count, 0, 0)
    assert counts(kernel.ipset.delete_entries("s", entries[: count // 10])) == (0, count // 10, 0)
    assert kernel.ipset.set_status("s").entries == 0


_CROWDED = """
import json, random, sys
import ipvskit as ik
from ipvskit.ipset.transport import Limits
from ipvskit.netlink import Connection
Connection.__init__.__kwdefaults__["receive_buffer"] = 65536
chance = random.Random(3)
entries = [f"10.{chance.randrange(2)}.{chance.randrange(256)}.{chance.randrange(1, 256)}" for _ in range(int(sys.argv[2]))]
entries += [entry for entry in entries]
for at in range(0, len(entries), 97):
    entries[at] += " timeout 5"
good = {entry for entry in entries if "timeout" not in entry}
with ik.Kernel() as kernel:
    kernel.ipset.create("s", "hash:ip", maxelem=1 << 20)
    room = kernel.ipset._asking.transport.limits.singles
    if sys.argv[1] == "unknown":
        kernel.ipset._asking.transport.limits = Limits()
    report = kernel.ipset.add_entries("s", entries)
    table = kernel.ipset.entries("s")
    again = kernel.ipset.add_entries("s", table)
    there = kernel.ipset.test_entries("s", ["192.0.2.1", *list(good)[:5000], *["192.0.2.2"] * 5000])
    gone = kernel.ipset.delete_entries("s", [*table, *table])
print(json.dumps([
    room, report.done == len(good), report.already == sum("timeout" not in e for e in entries) - len(good),
    [f.index for f in report.failures] == [n for n, e in enumerate(entries) if "timeout" in e],
    len(table) == len(good), (again.done, again.already) == (0, len(good)), sum(there) == min(5000, len(good)),
    (gone.done, gone.already) == (len(good), len(good)),
    all(r.done + r.already + len(r.failures) == n for r, n in ((report, len(entries)), (again, len(good)), (gone, 2 * len(good)))),
]))
"""


@pytest.mark.parametrize("room", ["known", "unknown"])
def test_a_small_receive_buffer_loses_no_verdict(namespace: TestNetNS, room: str) -> None:
    # As an ordinary user: no more than net.core.rmem_max. If the library does not know how little room there is, answers get lost.
    try:
        done = run_python(
            namespace, _CROWDED, room, "100000" if room == "known" else "10000", before=["unshare", "-Urn"], timeout=200
        )
    except subprocess.CalledProcessError as error:
        if "unshare" in (error.stderr or ""):
            pytest.skip(f"this machine has no user namespaces: {error.stderr.strip()}")
        raise
    messages, *right = json.loads(done.stdout)
    assert messages < 500  # else the buffer is not small and nothing is proved
    if room == "unknown":
        # What was asked for a second time and is as it should be counts as done: the kernel cannot say any more who did it.
        right[0] = right[1] = right[4] = right[6] = True
    assert right == [True] * 8
