"""Every call of `kernel.ipset` about single sets and entries, on a real kernel.

Knows: what the kernel makes of requests. Must not know: bytes. Refusals have a file of their own (test_ipset_refusals.py).
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Network
from typing import TYPE_CHECKING, Any

import pytest

import ipvskit as ik
from ipvskit.model.address import Family
from ipvskit.model.settype import SET_TYPES
from ipvskit.testing.namespaces import TestNetNS
from tests.kernel.ipset_strategies import CASES, named, option_names
from tests.kernel.ipset_support import need_type

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.ipset

LONGEST = "n" * 31


@pytest.fixture
def kernel(namespace: TestNetNS) -> Iterator[ik.Kernel]:
    with ik.Kernel(namespace) as handle:
        yield handle


def plain(case: tuple[str, Family | None], name: str = "s", **options: Any) -> ik.Set:
    """A set of the type with no more options than it needs."""
    if "range" in SET_TYPES[case[0]].create_options:
        options.setdefault("range", "0-100" if case[0] == "bitmap:port" else "10.0.0.0/24")
    return ik.Set(name, case[0], family=case[1], **options)


# --- sets ---------------------------------------------------------------------------------------------------------------------------


def test_the_kernel_says_what_it_has(kernel: ik.Kernel) -> None:
    least, newest = kernel.ipset.protocol()
    assert least <= 6
    assert newest >= 7
    types = kernel.ipset.types()
    assert "hash:ip" in types
    assert types.keys() <= SET_TYPES.keys()
    for name, revisions in types.items():
        assert kernel.ipset.revisions(name) == revisions
        assert kernel.ipset.revisions(SET_TYPES[name].aliases[0]) == revisions
        assert revisions[0] == 0


@pytest.mark.parametrize("case", CASES, ids=named)
def test_a_set_of_each_type_is_made_read_and_removed(kernel: ik.Kernel, case: tuple[str, Family | None]) -> None:
    need_type(kernel, case[0])
    wanted = plain(case)
    kernel.ipset.create(wanted)
    assert kernel.ipset.names() == ["s"]
    assert kernel.ipset.exists("s")
    found = kernel.ipset.get("s")
    assert (found.name, found.type, found.family, found.range) == ("s", *case, wanted.range)
    assert len(found.entries) == 0
    assert kernel.ipset.get("s", entries=False).entries is None
    assert [str(each) for each in kernel.ipset.sets()] == [str(found)]
    assert [each.entries for each in kernel.ipset.sets(entries=False)] == [None]
    kernel.ipset.create(wanted, exist=True)
    kernel.ipset.create(found, exist=True)
    kernel.ipset.destroy("s")
    assert not kernel.ipset.exists("s")
    assert kernel.ipset.names() == []


OPTIONS: dict[str, Any] = {
    "hashsize": 4096,
    "maxelem": 70000,
    "bucketsize": 4,
    "initval": 0xDEADBEEF,
    "netmask": 24,
    "markmask": 0xFF00,
    "size": 100,
    "timeout": 2147483,
    "counters": True,
    "comment": True,
    "skbinfo": True,
    "forceadd": True,
}


def options_of(case: tuple[str, Family | None], newest: int) -> dict[str, Any]:
    found = {name: OPTIONS[name] for name in option_names(SET_TYPES[case[0]], newest) if name in OPTIONS}
    if case[0] == "bitmap:ip":
        found["range"] = "10.0.0.0/16"
    return found


@pytest.mark.parametrize("case", CASES, ids=named)
def test_every_creation_option_reads_back(kernel: ik.Kernel, case: tuple[str, Family | None]) -> None:
    need_type(kernel, case[0])
    newest = kernel.ipset.types()[case[0]][1]
    options = options_of(case, newest)
    wanted = plain(case, **options)
    # Only at the newest revision does a kernel show bucketsize and initval.
    kernel.ipset.create(wanted, revision="latest")
    found = kernel.ipset.get("s", entries=False)
    assert {name: getattr(found, name) for name in options} == {name: getattr(wanted, name) for name in options}
    assert kernel.ipset.set_status("s").revision == newest


@pytest.mark.parametrize("case", [case for case in CASES if "bitmask" in SET_TYPES[case[0]].create_options], ids=named)
def test_a_bitmask_reads_back(kernel: ik.Kernel, case: tuple[str, Family | None]) -> None:
    need_type(kernel, case[0])
    newest = kernel.ipset.types()[case[0]][1]
    mask = "255.0.255.0" if case[1] is Family.IPV4 else "ffff::ffff"
    wanted = plain(case, bitmask=mask)
    if newest < SET_TYPES[case[0]].revision_of("bitmask"):
        with pytest.raises(ik.SetFeatureNotAvailable, match=f"bitmask needs revision .* newest is {newest}"):
            kernel.ipset.create(wanted)
        assert kernel.ipset.names() == []
        return
    kernel.ipset.create(wanted)
    assert kernel.ipset.get("s").bitmask == wanted.bitmask
    assert kernel.ipset.set_status("s").revision == SET_TYPES[case[0]].revision_of("bitmask")


def test_three_ways_to_name_a_set_and_its_options(kernel: ik.Kernel) -> None:
    kernel.ipset.create(ik.Set("a", "hash:ip", timeout=300))
    kernel.ipset.create("b", "hash:ip", timeout=300)
    kernel.ipset.create("c hash:ip timeout 300")
    one, two, three = kernel.ipset.sets(entries=False)
    assert str(one)[1:] == str(two)[1:] == str(three)[1:]


@pytest.mark.parametrize("case", CASES, ids=named)
def test_a_set_gets_the_lowest_revision_that_has_what_is_asked_for(
    kernel: ik.Kernel, case: tuple[str, Family | None]
) -> None:
    need_type(kernel, case[0])
    kind = SET_TYPES[case[0]]
    least, newest = kernel.ipset.revisions(*case)
    kernel.ipset.create(plain(case, "bare"))
    kernel.ipset.create(plain(case, "commented", comment=True))
    kernel.ipset.create(plain(case, "latest"), revision="latest")
    kernel.ipset.create(plain(case, "numbered"), revision=least)
    found = {each.set.name: each.revision for each in kernel.ipset.status()}
    basic = max(kind.lowest, kind.syntax_revision)
    assert found == {
        "bare": basic,
        "commented": max(basic, kind.revision_of("comment")),
        "latest": newest,
        "numbered": least,
    }
    if newest > least:
        with pytest.raises(ik.SetExists) as caught:
            kernel.ipset.create(plain(case, "numbered"), revision=newest, exist=True)
        assert caught.value.differences == (("revision", newest, least),)
    with pytest.raises(ik.SetFeatureNotAvailable, match=f"revision {newest + 1} of {kind}"):
        kernel.ipset.create(plain(case, "never"), revision=newest + 1)


def test_names_of_31_bytes(kernel: ik.Kernel) -> None:
    accented = "ä" * 15 + "n"
    for name in (LONGEST, accented, "with.dots-and_more", "create", "-x"):
        kernel.ipset.create(ik.Set(name, "hash:ip", entries=["10.0.0.1"]))
        assert kernel.ipset.test(name, "10.0.0.1")
        assert kernel.ipset.name_of(kernel.ipset.index(name)) == name
    assert kernel.ipset.names() == [LONGEST, accented, "with.dots-and_more", "create", "-x"]
    for name in ("n" * 32, "ä" * 16, "", "a b", 'a"b', "a\nb", "a\0b"):
        for call in (kernel.ipset.exists, kernel.ipset.get, kernel.ipset.destroy, kernel.ipset.flush):
            with pytest.raises(ik.InvalidConfig):
                call(name)
        with pytest.raises(ik.InvalidConfig):
            kernel.ipset.create(name, "hash:ip")
        with pytest.raises(ik.InvalidConfig):
            kernel.ipset.rename(LONGEST, name)
    assert len(kernel.ipset.names()) == 5


def test_rename_swap_flush(kernel: ik.Kernel) -> None:
    ipset = kernel.ipset
    ipset.create(ik.Set("a", "hash:ip", timeout=60, entries=["10.0.0.1 timeout 0"]))
    ipset.create(ik.Set("b", "hash:ip", maxelem=7, entries=["10.0.0.2", "10.0.0.3"]))
    indices = ipset.index("a"), ipset.index("b")
    ipset.swap("a", "b")
    assert (ipset.get("a").maxelem, ipset.get("b").timeout) == (7, 60)
    assert [str(each) for each in ipset.entries("b")] == ["10.0.0.1 timeout 0"]
    assert (ipset.index("a"), ipset.index("b")) == indices
    ipset.rename("a", "c")
    assert sorted(ipset.names()) == ["b", "c"]
    assert ipset.name_of(indices[0]) == "c"
    ipset.flush("c")
    assert (len(ipset.entries("c")), len(ipset.entries("b"))) == (0, 1)
    ipset.flush_all()
    assert len(ipset.entries("b")) == 0
    ipset.swap("b", "b")


def test_destroy_and_destroy_all(kernel: ik.Kernel) -> None:
    ipset = kernel.ipset
    ipset.destroy("missing", exist=True)
    for number in range(5):
        ipset.create(ik.Set(f"a{number}", "hash:ip"))
    ipset.create(ik.Set("list1", "list:set", entries=["a0", "a1"]))
    ipset.create(ik.Set("list2", "list:set", entries=["a4", "a3", "a0"]))
    ipset.create(ik.Set("empty", "list:set"))
    ipset.destroy_all()
    assert ipset.names() == []
    ipset.destroy_all()


def test_numbers_of_the_status(kernel: ik.Kernel) -> None:
    ipset = kernel.ipset
    ipset.create(ik.Set("a", "hash:ip", timeout=60, entries=["10.0.0.0/26"]))
    ipset.create(ik.Set("b", "bitmap:port", range="0-1000", entries=["1-10"]))
    ipset.create(ik.Set("list", "list:set", entries=["a", "b"]))
    ipset.create(ik.Set("other", "list:set", entries=["a"]))
    found = {each.set.name: each for each in ipset.status()}
    assert [each.set.name for each in ipset.status()] == ["a", "b", "list", "other"]
    assert {name: each.entries for name, each in found.items()} == {"a": 64, "b": 10, "list": 2, "other": 1}
    assert {name: each.references for name, each in found.items()} == {"a": 2, "b": 1, "list": 0, "other": 0}
    assert all(each.memory > 0 for each in found.values())
    assert {name: each.index for name, each in found.items()} == {name: ipset.index(name) for name in found}
    assert ipset.set_status("a") == found["a"]
    assert found["a"].set.entries is None


def test_a_set_comes_with_its_entries_and_room_for_them(kernel: ik.Kernel) -> None:
    ipset = kernel.ipset
    entries = [f"10.{number >> 8}.{number & 255}.1" for number in range(3000)]
    ipset.create(ik.Set("a", "hash:ip", entries=entries))
    assert len(ipset.entries("a")) == 3000
    ipset.create(ik.Set("a", "hash:ip", entries=[*entries, "192.0.2.1"]), exist=True)
    assert len(ipset.entries("a")) == 3001
    many = ik.Elements("hash:ip", ["10.0.0.0/15"])
    ipset.create(ik.Set("large", "hash:ip", entries=many))
    assert ipset.set_status("large").entries == 131072
    assert (ipset.get("large", entries=False).maxelem or 0) >= 131072
    with pytest.raises(ik.BulkFailed) as caught:
        ipset.create(ik.Set("small", "hash:ip", maxelem=3, entries=entries[:5]))
    assert len(caught.value.report.failures) == 2
    assert not ipset.exists("small")


# --- entries ------------------------------------------------------------------------------------------------------------------------


def test_add_test_and_delete_with_and_without_exist(kernel: ik.Kernel) -> None:
    ipset = kernel.ipset
    ipset.create("s hash:ip timeout 300 comment counters skbinfo")
    ipset.add("s", 'a.b.c.d comment "x"'.replace("a.b.c.d", "10.0.0.1"))
    with pytest.raises(ik.EntryExists):
        ipset.add("s", "10.0.0.1 timeout 5")
    (entry,) = ipset.entries("s")
    assert (entry.comment, entry.timeout in {299, 300}) == ("x", True)
    ipset.add("s", ik.Entry(IPv4Address("10.0.0.1"), timeout=60, skbqueue=3), exist=True)
    (entry,) = ipset.entries("s")
    # All options are replaced, also by their absence.
    assert (entry.comment, entry.timeout in {59, 60}, entry.skbqueue) == (None, True, 3)
    assert ipset.test("s", IPv4Address("10.0.0.1"))
    assert not ipset.test("s", "10.0.0.2")
    ipset.delete("s", "10.0.0.1")
    with pytest.raises(ik.EntryNotFound):
        ipset.delete("s", "10.0.0.1")
    ipset.delete("s", "10.0.0.1", exist=True)
    assert not ipset.test("s", "10.0.0.1")


def test_entries_by_the_set_itself_and_by_its_name(kernel: ik.Kernel) -> None:
    of = ik.Set("s", "hash:net", family="inet6")
    kernel.ipset.create(of)
    kernel.ipset.add(of, "2001:db8::/32")
    kernel.ipset.add("s", IPv6Network("2001:db9::/33"))
    kernel.ipset.add(of, ik.Entry("2001:db8:5::/48", nomatch=True))
    assert kernel.ipset.test(of, "2001:db8:1::1")
    assert not kernel.ipset.test("s", "2001:db8:5::1")
    assert kernel.ipset.test("s", "2001:db8:5::/48 nomatch")
    assert kernel.ipset.test_entries(of, ["2001:db8::1", "2001:db7::1", "2001:db9::1", "2001:db9:8000::1"]) == [
        True, False, True, False,
    ]  # fmt: skip


def test_the_order_of_a_list(kernel: ik.Kernel) -> None:
    ipset = kernel.ipset
    for name in "abcd":
        ipset.create(ik.Set(name, "hash:ip"))
    ipset.create(ik.Set("list", "list:set"))
    ipset.add("list", "a")
    ipset.add("list", ik.Entry("b", before="a"))
    ipset.add("list", "c after b")
    ipset.add("list", ik.Entry("d"))
    assert [each.set_name for each in ipset.entries("list")] == ["b", "c", "a", "d"]
    assert ipset.test("list", "b before c")
    assert not ipset.test("list", "b before a")
    ipset.rename("list", "other")
    ipset.delete("other", "c")
    assert ipset.get("other").entries.to_text() == "b\na\nd\n"
    # A member's name follows a rename only because members cannot be renamed.
    with pytest.raises(ik.SetReferenced):
        ipset.rename("a", "x")


def test_the_text_of_save(kernel: ik.Kernel) -> None:
    ipset = kernel.ipset
    ipset.create("list list:set size 8")
    ipset.create("s hash:ip,port timeout 0 comment")
    ipset.add("s", '10.0.0.1,udp:53 comment "a b"')
    ipset.add("list", "s")
    hashed = "create s hash:ip,port family inet hashsize 1024 maxelem 65536 timeout 0 comment\n"
    entry = 'add s 10.0.0.1,udp:53 timeout 0 comment "a b"\n'
    listed = "create list list:set size 8\nadd list s\n"
    assert ipset.save() == hashed + entry + listed
    assert ipset.save("list") == listed
    assert ipset.save("s", "list") == hashed + entry + listed
    assert list(ipset.save_lines("s")) == [hashed, entry]
    with pytest.raises(ik.SetNotFound):
        ipset.save("s", "missing")


def test_indices_stay_with_names(kernel: ik.Kernel) -> None:
    kernel.ipset.create("a hash:ip")
    kernel.ipset.create("b hash:ip")
    index = kernel.ipset.index("b")
    assert index != kernel.ipset.index("a")
    kernel.ipset.destroy("a")
    assert kernel.ipset.index("b") == index
    with pytest.raises(ik.SetNotFound):
        kernel.ipset.name_of(index + 100)
    with pytest.raises(ik.InvalidConfig):
        kernel.ipset.name_of(65536)
    with pytest.raises(ik.SetNotFound):
        kernel.ipset.index("a")


def test_namespaces_have_sets_of_their_own(kernel: ik.Kernel) -> None:
    kernel.ipset.create("s hash:ip")
    with TestNetNS() as other, ik.Kernel(other) as there:
        assert there.ipset.names() == []
        there.ipset.create("s hash:net")
        assert kernel.ipset.get("s").type == "hash:ip"
