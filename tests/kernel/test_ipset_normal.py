"""The property that all comparing rests on: what `Elements` makes of an entry is what the kernel lists after it was added.

Knows: how to ask both, where kernels differ from one another. Must not know: how either does it.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Literal

import pytest
from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st

import ipvskit as ik
from ipvskit._native import elements as native
from ipvskit.ipset.commands import Command
from ipvskit.ipset.sending import Sender
from ipvskit.model.settype import SET_TYPES, Part
from ipvskit.sets.elements import COMPARED, Elements
from ipvskit.sets.shape import shape_of_type
from ipvskit.testing.namespaces import TestNetNS
from tests.kernel.ipset_strategies import CASES, entries, named, refused, sets, wrong_entries
from tests.kernel.ipset_support import examples, without_zero

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ipvskit.model.address import Family
    from ipvskit.sets.definition import Set
    from ipvskit.sets.entry import Entry

    Case = tuple[str, Family | None]

pytestmark = pytest.mark.ipset

#: A million elements of one entry prove no more than some thousands.
MOST = 5000
#: Seconds that a guest on a busy machine may take from adding to listing.
SLACK = 5
MEMBERS = ("m1", "m2", "m3")
ALL_BUT_TIMEOUT = (*COMPARED, "packets", "bytes")
COMMON = settings(
    deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)


@pytest.fixture(scope="module")
def kernel() -> Iterator[ik.Kernel]:
    """One namespace for all examples: each cleans up behind itself."""
    with TestNetNS() as fresh, ik.Kernel(fresh) as handle:
        for member in MEMBERS:
            handle.ipset.create(member, "hash:ip")
        yield handle


def case_of(kernel: ik.Kernel, case: Case) -> dict[str, tuple[int, int]]:
    types = kernel.ipset.types()
    if case[0] not in types:
        pytest.skip(f"this kernel has no {case[0]}")
    return types


def expected(of: Set, wanted: list[Entry]) -> Elements:
    found = Elements(of, wanted)
    assume(len(found) <= MOST)
    return found


def fill(kernel: ik.Kernel, of: Set, wanted: list[Entry]) -> Elements:
    """What the kernel lists after these were added one after the other."""
    with_wildcard = any(entry.wildcard for entry in wanted)
    revision: Literal["latest", "compatible"] = "latest" if with_wildcard else "compatible"
    kernel.ipset.destroy(of.name, exist=True)
    kernel.ipset.create(of, revision=revision)
    for entry in wanted:
        kernel.ipset.add(of.name, entry, exist=True)
    return kernel.ipset.entries(of.name)


def add_unexpanded(kernel: ik.Kernel, of: Set, entry: Entry) -> list[int]:
    """Send the entry as it is: a range is left to the kernel. Returns refusals."""
    transport = kernel.ipset._asking.transport
    table = native.Table(shape_of_type(of.set_type, of.family))
    table.parse(native.APPEND | native.EVERY_LINE, 0, str(entry).encode(), 1)
    sender = Sender(transport, Command.ADD, of.name.encode(), exist=True, stop=False)
    sender.buffer = bytearray(transport.limits.send)
    return [error for _, error in sender.send(table).refused]


def assert_same(listed: Elements, wanted: Elements) -> None:
    assert listed.same_as(wanted, ALL_BUT_TIMEOUT), f"listed {listed.to_text()!r}, wanted {wanted.to_text()!r}"
    assert listed.has_option("timeout") == wanted.has_option("timeout")
    if listed.has_option("timeout"):
        lasting = {str(each.replace(timeout=None)): each.timeout for each in wanted}
        for each in listed:
            want, have = lasting[str(each.replace(timeout=None))], each.timeout
            assert want is not None
            assert have is not None
            assert (have == 0) if want == 0 else (0 < want - SLACK <= have <= want), f"{each}, wanted {want}"


@pytest.mark.parametrize("case", CASES, ids=named)
def test_an_entry_is_listed_as_it_was_normalised(kernel: ik.Kernel, case: Case) -> None:
    types = case_of(kernel, case)

    @settings(COMMON, max_examples=examples(120))
    @given(data=st.data())
    def holds(data: st.DataObject) -> None:
        of = data.draw(sets(case, kernel=types))
        wildcard = types[case[0]][1] >= SET_TYPES[case[0]].revision_of("wildcard")
        entry = data.draw(entries(of, members=MEMBERS, wildcard=wildcard))
        assume(refused(of, entry) is None)
        wanted = expected(of, [entry])
        if not without_zero(of, wanted):
            assume(False)
        event(f"elements: {min(len(wanted), 3)}")
        assert_same(fill(kernel, of, [entry]), wanted)

    holds()


@pytest.mark.parametrize("case", CASES, ids=named)
def test_kernels_split_ranges_as_we_do(kernel: ik.Kernel, case: Case) -> None:
    types = case_of(kernel, case)

    @settings(COMMON, max_examples=examples(60))
    @given(data=st.data())
    def holds(data: st.DataObject) -> None:
        of = data.draw(sets(case, kernel=types))
        wildcard = types[case[0]][1] >= SET_TYPES[case[0]].revision_of("wildcard")
        entry = data.draw(entries(of, members=MEMBERS, wildcard=wildcard))
        assume(refused(of, entry) is None)
        wanted = expected(of, [entry])
        assume(without_zero(of, wanted))
        # Of a range the kernel masks the first address only, and steps on in its own ways.
        assume(not of.netmask and not of.bitmask)
        fill(kernel, of, [])
        assert add_unexpanded(kernel, of, entry) == []
        listed = kernel.ipset.entries(of.name)
        assert listed.same_as(wanted, COMPARED), f"listed {listed.to_text()!r}, wanted {wanted.to_text()!r}"

    holds()


def readded(of: Set, wanted: list[Entry]) -> Elements:
    """What is held after adding one after the other with `exist`: the last one's options, but the kernel keeps what it cannot overwrite.

    Those are counters that are not given again, the first MAC of an address in a bitmap if the next has none, and the first `wildcard`.
    """
    held: dict[str, Entry] = {}
    for entry in wanted:
        for each in Elements(of, [entry]):
            parts = each.parts[:1] if of.set_type.mac_is_value else each.parts
            key = ",".join(map(str, parts))
            old = held.get(key)
            if old is not None:
                kept = {name: getattr(old, name) for name in ("packets", "bytes") if getattr(entry, name) is None}
                has_mac = len(each.parts) == len(of.set_type.parts)
                if of.set_type.mac_is_value and not has_mac:
                    kept["parts"] = old.parts
                each = each.replace(**kept, wildcard=old.wildcard)
            held[key] = each
    return Elements(of, held.values())


@pytest.mark.parametrize("case", CASES, ids=named)
def test_entries_that_overlap_end_as_the_last_one_says(kernel: ik.Kernel, case: Case) -> None:
    types = case_of(kernel, case)

    @settings(COMMON, max_examples=examples(40))
    @given(data=st.data())
    def holds(data: st.DataObject) -> None:
        of = data.draw(sets(case, kernel=types))
        wildcard = types[case[0]][1] >= SET_TYPES[case[0]].revision_of("wildcard")
        wanted = data.draw(st.lists(entries(of, members=MEMBERS, wildcard=wildcard), min_size=2, max_size=6))
        good = [entry for entry in wanted if refused(of, entry) is None]
        if of.set_type.mac_is_value and of.timeout is not None:
            # Without a MAC the kernel takes the timeout for one that is not running yet, and an element that had a MAC is gone.
            good = [entry for entry in good if "," in str(entry.parts[0])]
        assume(len(good) >= 2)
        assume(without_zero(of, expected(of, good)))
        assert_same(fill(kernel, of, good), readded(of, good))
        for entry in good:
            kernel.ipset.delete(of.name, entry, exist=True)
        assert len(kernel.ipset.entries(of.name)) == 0

    holds()


def kernel_takes_it_all_the_same(of: Set, error: ik.InvalidEntry) -> bool:
    """What `Elements` refuses on purpose though kernels take it: elements that no packet can match, and more of them than anybody wants."""
    masked = of.bitmask is not None or (of.netmask is not None and Part.NET in of.set_type.parts)
    return (masked and error.field == "address") or "fewer elements" in error.expected


@pytest.mark.parametrize("case", CASES, ids=named)
def test_what_is_refused_here_is_refused_by_the_kernel(kernel: ik.Kernel, case: Case) -> None:
    types = case_of(kernel, case)

    @settings(COMMON, max_examples=examples(120))
    @given(data=st.data())
    def holds(data: st.DataObject) -> None:
        of = data.draw(sets(case, kernel=types))
        entry = data.draw(wrong_entries(of, members=MEMBERS))
        error = refused(of, entry)
        assume(error is not None and not kernel_takes_it_all_the_same(of, error))
        kernel.ipset.destroy(of.name, exist=True)
        kernel.ipset.create(of)
        with pytest.raises((ik.InvalidEntry, ik.EntryRefused, ik.OptionNotEnabled)) as caught:
            kernel.ipset.add(of.name, entry)
        event(type(caught.value).__name__)
        assert len(kernel.ipset.entries(of.name)) == 0

    holds()


def test_hash_ip_port_takes_zero_on_some_kernels_only(kernel: ik.Kernel) -> None:
    # Known to `Elements` as good, because whether it is depends on the kernel.
    of = ik.Set("s", "hash:ip,port")
    kernel.ipset.destroy("s", exist=True)
    kernel.ipset.create(of)
    refuses = kernel.ipset.types()["hash:ip,port"][1] >= 7  # the revision that came with the change
    if refuses:
        with pytest.raises(ik.EntryRefused) as caught:
            kernel.ipset.add("s", "0.0.0.0,tcp:80")
        assert caught.value.errno == errno.EINVAL
    else:
        kernel.ipset.add("s", "0.0.0.0,tcp:80")
    assert len(kernel.ipset.entries("s")) == (0 if refuses else 1)


def test_new_elements_of_a_table_begin_at_zero_whatever_was_there(kernel: ik.Kernel) -> None:
    # Kernels put a new element where a deleted one was and leave its counters standing, unless others are given.
    for definition, old, new in (
        ("hash:ip hashsize 64 counters", "10.0.0.0/23", "10.1.0.0/23"),
        ("bitmap:ip range 10.0.0.0/22 counters", "10.0.0.0/22", "10.0.0.0/22"),
    ):
        of = ik.Set.parse("s " + definition)
        kernel.ipset.destroy("s", exist=True)
        kernel.ipset.create(of)
        kernel.ipset.add("s", f"{old} packets 7 bytes 9")
        kernel.ipset.delete_entries("s", list(ik.Elements(of, [old]))[::2])
        kernel.ipset.add_entries("s", Elements(of, [new]))
        counted = {str(each.address): (each.packets, each.bytes) for each in kernel.ipset.entries("s")}
        expected_zero = [str(each.address) for each in ik.Elements(of, [new])]
        if old == new:
            expected_zero = expected_zero[::2]
        assert {counted[address] for address in expected_zero} == {(0, 0)}
