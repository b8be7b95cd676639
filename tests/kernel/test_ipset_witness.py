"""Outside witnesses: what we wrote is what the ipset tool and pyroute2 read, and the other way round.

Knows: the language of ipset(8), what the tool's version leaves out, pyroute2's classes. Must not know: how we do it.

ipset 7.17 never prints `forceadd`. It shows `bucketsize` and `initval`, as the kernel does, at the newest revision only.
"""

from __future__ import annotations

import re
import shutil
import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import ipvskit as ik
from ipvskit import _native
from ipvskit.model.address import Family
from ipvskit.model.settype import SET_TYPES
from ipvskit.sets.elements import COMPARED
from ipvskit.testing.namespaces import TestNetNS
from tests.kernel.ipset_strategies import CASES, entries, named, option_names, refused, sets
from tests.kernel.ipset_support import examples, need_type, without_zero

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ipvskit.sets.definition import Set
    from ipvskit.sets.entry import Entry

    Case = tuple[str, Family | None]

pytestmark = pytest.mark.ipset

MEMBERS = ("m1", "m2", "m3")
MOST = 1000
SLACK = 5
ALL_BUT_TIMEOUT = (*COMPARED, "packets", "bytes")
COMMON = settings(
    deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)
WANTED: dict[str, Any] = {
    "hashsize": 2048,
    "maxelem": 70000,
    "bucketsize": 4,
    "initval": 0x1234ABCD,
    "netmask": 24,
    "bitmask": None,
    "markmask": 0xFF00,
    "size": 20,
    "timeout": 2147483,
    "counters": True,
    "comment": True,
    "skbinfo": True,
    "forceadd": True,
}


class Pair:
    """A namespace for us and one for the witness."""

    def __init__(self) -> None:
        if shutil.which("ipset") is None:
            pytest.fail("the Debian package ipset is missing; make test installs it")
        self.ours, self.theirs = TestNetNS(), TestNetNS()
        self.kernel, self.reader = ik.Kernel(self.ours), ik.Kernel(self.theirs)

    def clear(self) -> None:
        for handle in (self.kernel, self.reader):
            handle.ipset.destroy_all()

    def close(self) -> None:
        for each in (self.kernel, self.reader, self.ours, self.theirs):
            each.close()

    def tool(self, *words: str, text: str | None = None) -> str:
        """Run ipset beside the witness."""
        return self.theirs.run(["ipset", *words], input=text).stdout

    def saved(self) -> str:
        """What ipset says of ours."""
        return self.ours.run(["ipset", "save"]).stdout


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    both = Pair()
    yield both
    both.close()


def types_with(pair: Pair, case: Case) -> dict[str, tuple[int, int]]:
    need_type(pair.kernel, case[0])
    return pair.kernel.ipset.types()


def settled(text: str) -> list[str]:
    """Lines in no order, without what runs by itself or is not printed."""
    found = []
    for line in text.splitlines():
        if line.startswith("add"):
            found.append(re.sub(r" timeout [1-9]\d*", " timeout T", line, count=1))
        else:
            found.append(line.replace(" forceadd", ""))
    return sorted(found)


def base(case: Case, **options: Any) -> Set:
    if "range" in SET_TYPES[case[0]].create_options:
        options["range"] = "0-1000" if case[0] == "bitmap:port" else "10.0.0.0/16"
    return ik.Set("s", case[0], family=case[1], **options)


def fill(pair: Pair, of: Set, wanted: list[Entry], revision: str) -> None:
    pair.clear()
    if of.type == "list:set":
        for handle in (pair.kernel, pair.reader):
            for member in MEMBERS:
                handle.ipset.create(member, "hash:ip")
    pair.kernel.ipset.create(of, revision=revision)  # type: ignore[arg-type]
    for entry in wanted:
        pair.kernel.ipset.add("s", entry, exist=True)


def assert_witnessed(pair: Pair, of: Set) -> None:
    """The tool prints what we do, can restore that, and then we read it as our own."""
    text = pair.kernel.ipset.save()
    assert settled(pair.saved()) == settled(text)
    given = pair.kernel.ipset.get("s")
    lines = [line for line in text.splitlines() if not re.match("(create|add) m[123]", line)]
    pair.tool("restore", text="\n".join(lines) + "\n")
    found = pair.reader.ipset.get("s")
    for option in of.set_type.create_options:
        if option not in {"bucketsize", "initval"} or getattr(given, option) is not None:
            assert getattr(found, option) == getattr(given, option), option
    assert found.entries.same_as(given.entries, ALL_BUT_TIMEOUT)
    lasting = {str(each.replace(timeout=None)): each.timeout for each in given.entries}
    for each in found.entries:
        want, have = lasting[str(each.replace(timeout=None))], each.timeout
        assert (want, have) == (None, None) or abs((want or 0) - (have or 0)) <= SLACK
    assert settled(pair.tool("save", "s")) == settled(pair.reader.ipset.save("s"))


# --- the ipset tool -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("revision", ["compatible", "latest"])
@pytest.mark.parametrize("case", CASES, ids=named)
def test_each_creation_option_alone_and_all_together(pair: Pair, case: Case, revision: str) -> None:
    newest = types_with(pair, case)[case[0]][1]
    kind = SET_TYPES[case[0]]
    possible = {name: WANTED[name] for name in option_names(kind, newest) if name in WANTED}
    if "bitmask" in possible:
        possible["bitmask"] = "255.255.0.255" if case[1] is Family.IPV4 else "ffff:ffff::ffff"
    several: list[dict[str, Any]] = [{}, *({name: value} for name, value in possible.items())]
    several.append({name: value for name, value in possible.items() if name != "bitmask"})
    for options in several:
        fill(pair, base(case, **options), [], revision)
        assert_witnessed(pair, base(case, **options))


@pytest.mark.parametrize("case", CASES, ids=named)
def test_entries_with_every_option(pair: Pair, case: Case) -> None:
    types = types_with(pair, case)

    @settings(COMMON, max_examples=examples(12))
    @given(data=st.data())
    def holds(data: st.DataObject) -> None:
        of = data.draw(sets(case, kernel=types))
        wildcard = types[case[0]][1] >= SET_TYPES[case[0]].revision_of("wildcard")
        drawn = data.draw(st.lists(entries(of, members=MEMBERS, wildcard=wildcard), min_size=1, max_size=8))
        good = [entry for entry in drawn if refused(of, entry) is None and sound(of, entry)]
        assume(good)
        has_wildcard = any(entry.wildcard for entry in good)
        fill(pair, of, good, data.draw(st.sampled_from(["latest"] if has_wildcard else ["latest", "compatible"])))
        assert_witnessed(pair, of)

    holds()


def sound(of: Set, entry: Entry) -> bool:
    """Few elements, and nothing that the tool prints and then cannot read, nor kernels take only sometimes."""
    comment = entry.comment or ""
    contents = ik.Elements(of, [entry])
    if len(contents) > MOST or not without_zero(of, contents):
        return False
    first = str(entry).split(" ")[0]
    if (of.netmask or of.bitmask) and ("-" in first or "/" in first):
        return False  # the kernel masks none but the first address of a range, and steps on in its own ways; we do not send ranges
    if entry.skbmark == (0, 0):
        return False
    # In bitmaps the kernel takes a timeout beside no MAC for one that has not begun.
    if of.set_type.mac_is_value and "," not in str(entry):
        return of.timeout is None
    foreign = {Family.IPV4: (",icmpv6", ",ipv6-icmp"), Family.IPV6: (",icmp:",)}.get(of.family, ()) if of.family else ()
    if any(word in str(entry) for word in foreign):
        return False  # ICMP of the other family: the tool prints what it cannot read
    return entry.comment != "" and comment.isprintable() and not comment.startswith(" ")


@pytest.mark.parametrize("case", CASES, ids=named)
def test_the_tool_makes_of_an_entry_what_we_make_of_it(pair: Pair, case: Case) -> None:
    types = types_with(pair, case)

    @settings(COMMON, max_examples=examples(12))
    @given(data=st.data())
    def holds(data: st.DataObject) -> None:
        of = data.draw(sets(case, kernel=types))
        wildcard = types[case[0]][1] >= SET_TYPES[case[0]].revision_of("wildcard")
        entry = data.draw(entries(of, members=MEMBERS, wildcard=wildcard))
        assume(refused(of, entry) is None and sound(of, entry))
        fill(pair, of, [entry], "latest")
        pair.tool("restore", text=f"create {of}\nadd s {entry}\n")
        there, here = pair.reader.ipset.entries("s"), pair.kernel.ipset.entries("s")
        assert there.same_as(here, ALL_BUT_TIMEOUT), f"the tool {there.to_text()!r}, we {here.to_text()!r}"

    holds()


def test_the_tool_adds_tests_and_deletes_in_our_sets(pair: Pair) -> None:
    pair.clear()
    ours = pair.kernel.ipset
    ours.create("s hash:net,port comment")
    ours.add("s", '10.0.0.0/8,udp:53 comment "a b"')
    run = pair.ours.run
    assert run(["ipset", "test", "s", "10.1.2.3,udp:53"], check=False).returncode == 0
    assert run(["ipset", "test", "s", "10.1.2.3,tcp:53"], check=False).returncode == 1
    run(["ipset", "add", "s", "192.0.2.0/24,80-82"])
    assert ours.test_entries("s", [f"192.0.2.7,tcp:{port}" for port in (79, 80, 82, 83)]) == [False, True, True, False]
    run(["ipset", "del", "s", "10.0.0.0/8,udp:53"])
    run(["ipset", "rename", "s", "t"])
    assert ours.names() == ["t"]
    run(["ipset", "destroy"])
    assert ours.names() == []


def test_the_tool_says_the_numbers_that_we_say(pair: Pair) -> None:
    pair.clear()
    pair.kernel.ipset.create(ik.Set("s", "hash:ip", entries=["10.0.0.0/24"]))
    pair.kernel.ipset.create(ik.Set("list", "list:set", entries=["s"]))
    text = pair.ours.run(["ipset", "list", "-t", "s"]).stdout
    status = pair.kernel.ipset.set_status("s")
    for line in (
        f"Revision: {status.revision}",
        f"References: {status.references}",
        f"Number of entries: {status.entries}",
        f"Size in memory: {status.memory}",
    ):
        assert line in text.splitlines()


# --- pyroute2 -------------------------------------------------------------------------------------------------------------------------


def inside(namespace: TestNetNS, work: Callable[[Any], Any]) -> Any:
    """Run `work(IPSet())` in a thread of its own in the namespace."""
    result: list[Any] = []

    def run() -> None:
        from pyroute2 import IPSet

        _native.netns_enter(namespace.fileno())
        with IPSet() as ipset:
            result.append(work(ipset))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert result, "pyroute2 failed, see above"
    return result[0]


#: Type, family, pyroute2's word for its parts, an entry as it takes it, the same as text.
PYROUTE2 = [
    ("hash:ip", socket.AF_INET, "ip", "192.0.2.1", "192.0.2.1"),
    ("hash:ip", socket.AF_INET6, "ip", "2001:db8::1", "2001:db8::1"),
    ("hash:net", socket.AF_INET, "net", "192.0.2.0/24", "192.0.2.0/24"),
    ("hash:net", socket.AF_INET6, "net", "2001:db8::/32", "2001:db8::/32"),
    ("hash:net,iface", socket.AF_INET, "net,iface", ("192.0.2.0/24", "eth0"), "192.0.2.0/24,eth0"),
    ("hash:net,net", socket.AF_INET, "net,net", ("192.0.2.0/24", "10.0.0.0/8"), "192.0.2.0/24,10.0.0.0/8"),
    ("hash:ip,mark", socket.AF_INET, "ip,mark", ("192.0.2.1", 5), "192.0.2.1,0x00000005"),
    ("hash:mac", socket.AF_UNSPEC, "mac", "02:00:00:00:00:01", "02:00:00:00:00:01"),
]


@pytest.mark.parametrize(("kind", "family", "parts", "entry", "text"), PYROUTE2, ids=lambda value: str(value))
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_we_read_what_pyroute2_wrote(pair: Pair, kind: str, family: int, parts: str, entry: Any, text: str) -> None:
    need_type(pair.kernel, kind)
    pair.clear()

    def write(ipset: Any) -> bool:
        ipset.create("s", stype=kind, family=family, comment=True, counters=True, timeout=600, maxelem=7, hashsize=64)
        ipset.add("s", entry, family=family, etype=parts, comment="by pyroute2", packets=5, bytes=2**40)
        return True

    assert inside(pair.ours, write)
    found = pair.kernel.ipset.get("s")
    assert (found.maxelem, found.hashsize, found.timeout, found.comment, found.counters) == (7, 64, 600, True, True)
    (only,) = found.entries
    assert ",".join(str(only).split(" ")[:1]) == text
    assert (only.comment, only.packets, only.bytes) == ("by pyroute2", 5, 2**40)
    pair.kernel.ipset.delete("s", text)


@pytest.mark.parametrize(("kind", "family", "parts", "entry", "text"), PYROUTE2, ids=lambda value: str(value))
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_pyroute2_reads_what_we_wrote(pair: Pair, kind: str, family: int, parts: str, entry: Any, text: str) -> None:
    need_type(pair.kernel, kind)
    pair.clear()
    name = "inet" if family == socket.AF_INET else "inet6" if family == socket.AF_INET6 else None
    of = ik.Set("s", kind, family=name, maxelem=9, timeout=500, comment=True, skbinfo=True)
    pair.kernel.ipset.create(of)
    pair.kernel.ipset.add("s", f'{text} comment "by us" skbqueue 7')

    def read(ipset: Any) -> Any:
        (message,) = ipset.list("s")
        (element,) = message.get_attr("IPSET_ATTR_ADT").get_attrs("IPSET_ATTR_DATA")
        data = message.get_attr("IPSET_ATTR_DATA")
        return {
            "type": message.get_attr("IPSET_ATTR_TYPENAME"),
            "family": message.get_attr("IPSET_ATTR_FAMILY"),
            "maxelem": data.get_attr("IPSET_ATTR_MAXELEM"),
            "timeout": data.get_attr("IPSET_ATTR_TIMEOUT"),
            "comment": element.get_attr("IPSET_ATTR_COMMENT"),
            "queue": element.get_attr("IPSET_ATTR_SKBQUEUE"),
            "in": ipset.test("s", entry, family=family, etype=parts),
        }

    assert inside(pair.ours, read) == {
        "type": kind,
        "family": family,
        "maxelem": 9,
        "timeout": 500,
        "comment": "by us",
        "queue": 7,
        "in": True,
    }
