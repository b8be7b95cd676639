"""Every refusal of the kernel as the exception that it is, with what that carries.

Knows: how to provoke each. Must not know: error numbers, bytes.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

import ipvskit as ik
from ipvskit.model.settype import SET_TYPES
from tests.kernel.ipset_support import HeldDump, impatient, run_python

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ipvskit.testing.namespaces import TestNetNS

pytestmark = pytest.mark.ipset


@pytest.fixture
def kernel(namespace: TestNetNS) -> Iterator[ik.Kernel]:
    with ik.Kernel(namespace) as handle:
        yield handle


# --- what is not there, what is there already -----------------------------------------------------------------------------------------


def test_set_not_found(kernel: ik.Kernel) -> None:
    ipset = kernel.ipset
    ipset.create("there hash:ip")
    calls: list[Callable[[], object]] = [
        lambda: ipset.get("missing"),
        lambda: ipset.get("missing", entries=False),
        lambda: ipset.entries("missing"),
        lambda: ipset.set_status("missing"),
        lambda: ipset.save("missing"),
        lambda: ipset.index("missing"),
        lambda: ipset.destroy("missing"),
        lambda: ipset.flush("missing"),
        lambda: ipset.rename("missing", "other"),
        lambda: ipset.swap("missing", "there"),
        lambda: ipset.add("missing", "10.0.0.1"),
        lambda: ipset.add("missing", "10.0.0.1", exist=True),
        lambda: ipset.delete("missing", "10.0.0.1"),
        lambda: ipset.test("missing", "10.0.0.1"),
        lambda: ipset.test_entries("missing", []),
        lambda: ipset.add_entries("missing", []),
        lambda: ipset.delete_entries("missing", ["10.0.0.1"]),
        lambda: ipset.replace("missing", []),
    ]
    for number, call in enumerate(calls):
        with pytest.raises(ik.SetNotFound, match="missing") as caught:
            call()
        assert "missing" in str(caught.value.key), number
        assert caught.value.operation, number
    with pytest.raises(ik.SetNotFound, match="second") as caught:
        ipset.swap("there", "gone")
    assert caught.value.key == "gone"
    assert ipset.names() == ["there"]


def test_a_set_vanishes_between_naming_and_adding(kernel: ik.Kernel) -> None:
    # With the set itself nobody is asked for its type: the kernel's own answer is met.
    of = ik.Set("gone", "hash:ip")
    with pytest.raises(ik.SetNotFound):
        kernel.ipset.add(of, "10.0.0.1")
    report = kernel.ipset.add_entries(of, [f"10.0.0.{number}" for number in range(1, 200)])
    assert (report.done, report.already, len(report.failures)) == (0, 0, 199)
    assert {type(failure.error) for failure in report.failures} == {ik.SetNotFound}


DIFFERENT: list[tuple[str, str, str]] = [
    ("hash:ip", "hash:net", "type"),
    ("hash:ip", "hash:ip family inet6", "family"),
    ("hash:ip hashsize 64", "hash:ip hashsize 4096", "hashsize"),
    ("hash:ip", "hash:ip maxelem 100", "maxelem"),
    ("hash:ip netmask 24", "hash:ip netmask 25", "netmask"),
    ("hash:ip", "hash:ip timeout 5", "timeout"),
    ("hash:ip timeout 4", "hash:ip timeout 5", "timeout"),
    ("hash:ip", "hash:ip counters", "counters"),
    ("hash:ip comment", "hash:ip", "comment"),
    ("hash:ip", "hash:ip skbinfo", "skbinfo"),
    ("hash:ip", "hash:ip forceadd", "forceadd"),
    ("bitmap:port range 0-9", "bitmap:port range 0-8", "range"),
    ("bitmap:ip range 10.0.0.0/24", "bitmap:ip range 10.0.0.0/25", "range"),
    ("bitmap:ip range 10.0.0.0/16", "bitmap:ip range 10.0.0.0/16 netmask 24", "netmask"),
    ("list:set size 8", "list:set size 9", "size"),
]


@pytest.mark.parametrize(("held", "wanted", "field"), DIFFERENT)
def test_set_exists_says_in_what_it_differs(kernel: ik.Kernel, held: str, wanted: str, field: str) -> None:
    first, second = ik.Set.parse(f"s {held}"), ik.Set.parse(f"s {wanted}")
    kernel.ipset.create(first)
    before = kernel.ipset.get("s")
    for exist in (False, True):
        with pytest.raises(ik.SetExists, match=f"{field} is") as caught:
            kernel.ipset.create(second, exist=exist)
        assert [name for name, _, _ in caught.value.differences] == [field]
        assert caught.value.differences[0][1] == getattr(second, field)
        assert caught.value.key == "s"
    with pytest.raises(ik.SetExists) as caught:
        kernel.ipset.create(first)
    assert caught.value.differences == ()
    kernel.ipset.create(first, exist=True)
    assert str(kernel.ipset.get("s")) == str(before)


def test_rename_to_a_name_that_is_taken(kernel: ik.Kernel) -> None:
    kernel.ipset.create("a hash:ip")
    kernel.ipset.create("b hash:ip")
    for new in ("b", "a"):
        with pytest.raises(ik.SetExists):
            kernel.ipset.rename("a", new)
    assert sorted(kernel.ipset.names()) == ["a", "b"]


def test_entry_exists_and_entry_not_found(kernel: ik.Kernel) -> None:
    ipset = kernel.ipset
    ipset.create("s hash:ip,port")
    ipset.add("s", "10.0.0.1,tcp:80")
    with pytest.raises(ik.EntryExists, match=r"add to s: 10\.0\.0\.1,tcp:80") as caught:
        ipset.add("s", "10.0.0.1,tcp:80")
    assert isinstance(caught.value, ik.AlreadyExists)
    with pytest.raises(ik.EntryNotFound, match=r"delete from s: 10\.0\.0\.1,udp:80") as missing:
        ipset.delete("s", "10.0.0.1,udp:80")
    assert isinstance(missing.value, ik.NotFound)
    assert missing.value.key == "s: 10.0.0.1,udp:80"


# --- limits ---------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["hash:ip", "hash:net", "hash:net,iface"])
def test_set_full_tells_the_limit(kernel: ik.Kernel, kind: str) -> None:
    ending = ",eth0" if kind == "hash:net,iface" else ""
    kernel.ipset.create("s", kind, maxelem=5)
    for number in range(1, 6):
        kernel.ipset.add("s", f"10.0.0.{number}{ending}")
    with pytest.raises(ik.SetFull, match=r"\b5\b") as caught:
        kernel.ipset.add("s", f"10.0.0.6{ending}")
    assert caught.value.limit == 5
    assert caught.value.key == f"s: 10.0.0.6{ending}"
    with pytest.raises(ik.SetFull) as full:
        kernel.ipset.replace("s", [f"10.0.1.{number}{ending}" for number in range(1, 7)])
    assert full.value.limit == 5
    assert kernel.ipset.set_status("s").entries == 5


def test_a_network_has_room_for_64_interfaces(kernel: ik.Kernel) -> None:
    kernel.ipset.create("s hash:net,iface")
    report = kernel.ipset.add_entries("s", [f"10.0.0.0/8,eth{number}" for number in range(66)])
    assert report.done == 64
    assert [failure.index for failure in report.failures] == [64, 65]
    # Before 5.11 the kernel doubles the hash until it has no memory for it.
    grows = kernel.ipset.types()["hash:net,iface"][1] < SET_TYPES["hash:net,iface"].revision_of("bucketsize")
    assert {type(failure.error) for failure in report.failures} == {ik.KernelError if grows else ik.SetFull}


# --- entries that a set cannot hold ---------------------------------------------------------------------------------------------------

REFUSED: list[tuple[str, str]] = [
    ("bitmap:ip range 10.0.0.0/24", "10.0.1.0"),
    ("bitmap:ip range 10.0.0.0/24", "10.0.0.200-10.0.1.0"),
    ("bitmap:port range 10-20", "21"),
    ("bitmap:ip,mac range 10.0.0.0/24", "10.0.1.1,02:00:00:00:00:01"),
    ("hash:ip", "0.0.0.0"),
    ("hash:ip family inet6", "::"),
    ("hash:net", "0.0.0.0-255.255.255.255"),
]


@pytest.mark.parametrize(("definition", "entry"), REFUSED)
def test_entry_refused(kernel: ik.Kernel, definition: str, entry: str) -> None:
    kernel.ipset.create(f"s {definition}")
    for call in (kernel.ipset.add, kernel.ipset.delete):
        with pytest.raises((ik.EntryRefused, ik.InvalidEntry), match=entry.partition("-")[0]) as caught:
            call("s", entry)
        if isinstance(caught.value, ik.EntryRefused):
            assert caught.value.key == f"s: {entry}"
    if "-" not in entry:
        # Whatever it does not take, the kernel says of it that it is not there.
        assert not kernel.ipset.test("s", entry)


@pytest.mark.parametrize("option", ["timeout 5", "packets 1", "bytes 1", 'comment "x"', "skbmark 0x1", "skbprio 1:1", "skbqueue 1"])  # fmt: skip
@pytest.mark.parametrize("definition", ["hash:ip", "bitmap:ip range 10.0.0.0/24"])
def test_option_not_enabled(kernel: ik.Kernel, definition: str, option: str) -> None:
    kernel.ipset.create(f"s {definition}")
    with pytest.raises(ik.OptionNotEnabled, match=option.split()[0]) as caught:
        kernel.ipset.add("s", f"10.0.0.1 {option}")
    assert caught.value.key == f"s: 10.0.0.1 {option}"
    assert len(kernel.ipset.entries("s")) == 0


@pytest.mark.parametrize(
    ("definition", "entry"),
    [
        ("hash:ip", "2001:db8::1"),
        ("hash:ip family inet6", "10.0.0.1"),
        ("hash:ip", "10.0.0.1,tcp:80"),
        ("hash:ip", "host.example"),
        ("hash:ip", "10.0.0.1 nomatch"),
        ("hash:net", "10.0.0.0/33"),
        ("hash:net", "0.0.0.0/0"),
        ("hash:ip,port", "10.0.0.1,ip:0"),
        ("hash:ip family inet6", "2001:db8::1-2001:db8::2"),
        ("list:set", "x" * 32),
    ],
)
def test_what_no_kernel_takes_is_not_sent(kernel: ik.Kernel, definition: str, entry: str) -> None:
    kernel.ipset.create(f"s {definition}")
    for call in (kernel.ipset.add, kernel.ipset.delete):
        with pytest.raises(ik.InvalidEntry) as caught:
            call("s", entry)
        assert caught.value.line == 0


def test_members_of_lists(kernel: ik.Kernel) -> None:
    ipset = kernel.ipset
    ipset.create("a hash:ip")
    ipset.create("b hash:ip")
    ipset.create("list list:set")
    ipset.create("other list:set")
    with pytest.raises(ik.SetNotFound, match="to be a member"):
        ipset.add("list", "missing")
    with pytest.raises(ik.EntryRefused, match="a list cannot be a member of a list"):
        ipset.add("list", "other")
    with pytest.raises(ik.SetNotFound, match="before or after"):
        ipset.add("list", "a before missing")
    with pytest.raises(ik.EntryNotFound, match="not in the list"):
        ipset.add("list", "a after b")
    assert len(ipset.entries("list")) == 0


# --- references and other programs ----------------------------------------------------------------------------------------------------


def test_set_referenced_by_lists(kernel: ik.Kernel) -> None:
    ipset = kernel.ipset
    ipset.create("a hash:ip")
    ipset.create(ik.Set("one", "list:set", entries=["a"]))
    with pytest.raises(ik.SetReferenced, match=r"\b1\b") as caught:
        ipset.destroy("a")
    assert caught.value.references == 1
    ipset.create(ik.Set("two", "list:set", entries=["a"]))
    calls: list[Callable[[], object]] = [lambda: ipset.destroy("a", exist=True), lambda: ipset.rename("a", "b")]
    for call in calls:
        with pytest.raises(ik.SetReferenced) as caught:
            call()
        assert caught.value.references == 2
        assert caught.value.key == "a"
    ipset.destroy("one")
    ipset.flush("two")
    ipset.destroy("a")


def iptables(namespace: TestNetNS) -> str:
    """A binary of iptables that can refer to a set in this kernel."""
    refusals = []
    for program in ("iptables-legacy", "iptables"):
        if shutil.which(program) is None:
            refusals.append(f"no {program}")
            continue
        rule = [program, "-w", "-A", "OUTPUT", "-m", "set", "--match-set", "a", "dst", "-j", "DROP"]
        done = namespace.run(rule, check=False)
        if done.returncode == 0:
            return program
        refusals.append(done.stderr.strip().splitlines()[0] if done.stderr.strip() else f"{program} failed")
    pytest.skip("no iptables rule can refer to a set here: " + "; ".join(refusals))


def test_set_referenced_by_a_rule_and_let_go(kernel: ik.Kernel, namespace: TestNetNS) -> None:
    ipset = kernel.ipset
    ipset.create(ik.Set("a", "hash:ip", entries=["10.0.0.1"]))
    program = iptables(namespace)
    assert ipset.set_status("a").references == 1
    with pytest.raises(ik.SetReferenced, match=r"\b1\b") as caught:
        ipset.destroy("a")
    assert caught.value.references == 1
    with pytest.raises(ik.SetReferenced):
        ipset.destroy_all()
    # The rule follows the name, whatever is replaced behind it.
    ipset.replace("a", ["127.0.0.1", "127.0.0.2"])
    assert ipset.set_status("a").references == 1
    assert is_dropped(namespace, "127.0.0.2")
    ipset.replace("a", ["127.0.0.1"])
    assert not is_dropped(namespace, "127.0.0.2")
    namespace.run([program, "-w", "-F", "OUTPUT"])
    ipset.destroy("a")


_CONNECT = """
import socket, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
    try:
        sock.sendto(b"x", (sys.argv[1], 9))
    except PermissionError:
        sys.exit(7)
"""


def is_dropped(namespace: TestNetNS, address: str) -> bool:
    """Whether a rule drops what is sent there."""
    status = run_python(namespace, _CONNECT, address, check=False).returncode
    assert status in {0, 7}
    return status == 7


def test_set_busy(kernel: ik.Kernel, namespace: TestNetNS) -> None:
    kernel.ipset.create(ik.Set("a", "hash:ip", entries=["10.0.0.0/20"]))
    kernel.ipset.create("b hash:ip")
    ipset = impatient(kernel)
    calls: list[Callable[[], object]] = [
        lambda: ipset.destroy("a"),
        lambda: ipset.rename("a", "c"),
        lambda: ipset.swap("a", "b"),
        lambda: ipset.swap("b", "a"),
    ]
    with HeldDump(namespace, "a"):
        for number, call in enumerate(calls):
            with pytest.raises(ik.SetBusy) as caught:
                call()
            assert isinstance(caught.value, ik.Busy), number
        with pytest.raises(ik.Busy):
            ipset.destroy_all()
        # Everything else goes on.
        ipset.add("a", "192.0.2.1")
        ipset.flush("b")
        assert ipset.set_status("a").entries == 4097
        ipset.destroy("b")
    ipset.destroy("a")


def test_set_type_mismatch(kernel: ik.Kernel) -> None:
    ipset = kernel.ipset
    for name, text in (("a", "hash:ip"), ("b", "hash:ip family inet6"), ("c", "hash:net"), ("d", "list:set")):
        ipset.create(f"{name} {text}")
    for other in "bcd":
        with pytest.raises(ik.SetTypeMismatch) as caught:
            ipset.swap("a", other)
        assert caught.value.key == f"a and {other}"
    ipset.create("e bitmap:ip range 10.0.0.0/24")
    ipset.swap("a", "e")
    assert ipset.get("a").type == "bitmap:ip"
