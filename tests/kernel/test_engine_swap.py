"""Sets that become others while rules or lists refer to them, on real kernels.

Knows: which types the kernel swaps is the kernel's own affair, and is asked. Must not know: how a set is replaced.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

import ipvskit as ik
from ipvskit.ipset.replacing import TEMPORARY
from ipvskit.model.address import Family
from ipvskit.model.settype import SET_TYPES
from tests.kernel.engine_support import SCOPE, converge
from tests.kernel.ipset_support import need_type

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ipvskit.testing.namespaces import TestNetNS

pytestmark = pytest.mark.ipset

RANGES = {"bitmap:ip": "10.0.0.0/24", "bitmap:ip,mac": "10.0.0.0/24", "bitmap:port": "0-1023"}
#: Pairs of types that differ, of which the kernel is known to swap the sets.
EQUAL = [("hash:ip", "bitmap:ip"), ("hash:ip,mac", "bitmap:ip,mac"), ("hash:ip,port,net", "hash:net,port,net")]
ENTRY = {"ip": "10.0.0.1", "net": "10.0.0.0/25", "port": "tcp:80", "mac": "02:00:00:00:00:01"}


@pytest.fixture
def kernel(namespace: TestNetNS) -> Iterator[ik.Kernel]:
    with ik.Kernel(namespace) as handle:
        yield handle


def made(name: str, kind: str, family: Family | None = None, **options: object) -> ik.Set:
    return ik.Set(name, kind, family=family, range=RANGES.get(kind), **options)  # type: ignore[arg-type]


def filled(kind: str) -> ik.Set:
    entry = ",".join(ENTRY[part] for part in kind.partition(":")[2].split(","))
    return made("web-1", kind, entries=[entry])


def test_the_table_of_what_can_be_swapped_is_the_kernels(kernel: ik.Kernel) -> None:
    kinds = [
        (name, family)
        for name, kind in SET_TYPES.items()
        if name in kernel.ipset.types()
        for family in kind.families or (None,)
    ]
    for number, (name, family) in enumerate(kinds):
        for copy in ("a", "b"):
            kernel.ipset.create(made(f"{copy}{number}", name, family))
    wrong, swapped = [], set()
    for one, other in itertools.product(range(len(kinds)), repeat=2):
        try:
            kernel.ipset.swap(f"a{one}", f"b{other}")
        except ik.SetTypeMismatch:
            done = False
        else:
            done = True
            kernel.ipset.swap(f"a{one}", f"b{other}")
        (name, family), (to, into) = kinds[one], kinds[other]
        if SET_TYPES[name].swaps_with(SET_TYPES[to], same_family=family == into) is not done:
            wrong.append((kinds[one], kinds[other], done))
        if done and name != to:
            swapped.add((name, to))
    assert not wrong
    types = kernel.ipset.types()
    assert {frozenset(pair) for pair in swapped} == {frozenset(pair) for pair in EQUAL if types.keys() >= set(pair)}


def refer(kernel: ik.Kernel, namespace: TestNetNS, by: str) -> None:
    """Have the set be referred to."""
    if by == "list":
        kernel.ipset.create(ik.Set("theirs", "list:set", entries=["web-1"]))
        return
    rule = ["INPUT", "-m", "set", "--match-set", "web-1", "src", "-j", "DROP"]
    said = []
    for program in ("iptables", "iptables-legacy"):
        if namespace.run([program, "-S"], check=False).returncode == 0:
            done = namespace.run([program, "-A", *rule], check=False)
            if done.returncode == 0:
                return
            said.append(done.stderr.strip())
    # Without iptables, the traffic control's match for sets holds on to them as well.
    commands = ["qdisc add dev lo ingress", "filter add dev lo parent ffff: basic match 'ipset(web-1 src)' action drop"]
    done = namespace.run(["tc", "-batch", "-"], input="\n".join(commands) + "\n", check=False)
    if done.returncode:
        pytest.skip(f"no rule can refer to a set: {said}, tc: {done.stderr.strip()}")


@pytest.mark.parametrize("by", ["list", "rule"])
@pytest.mark.parametrize("pair", [*EQUAL, *(pair[::-1] for pair in EQUAL)], ids=" to ".join)
def test_another_type_while_it_is_referred_to(
    kernel: ik.Kernel, namespace: TestNetNS, pair: tuple[str, str], by: str
) -> None:
    for name in pair:
        need_type(kernel, name)
    first, second = pair
    kernel.ipset.create(filled(first))
    refer(kernel, namespace, by)
    assert kernel.ipset.set_status("web-1").references == 1
    index = kernel.ipset.index("web-1")
    plan = converge(kernel, ik.State(sets=[filled(second)]))
    assert [(change.action, change.refused) for change in plan] == [(ik.Action.REPLACE, None)]
    held = kernel.ipset.get("web-1")
    assert (held.type, len(held.entries)) == (second, 1)
    assert kernel.ipset.set_status("web-1").references == 1
    assert kernel.ipset.index("web-1") == index
    assert not [name for name in kernel.ipset.names() if name.startswith(TEMPORARY)]


@pytest.mark.parametrize("by", ["list", "rule"])
def test_what_cannot_be_swapped_is_refused_while_it_is_referred_to(
    kernel: ik.Kernel, namespace: TestNetNS, by: str
) -> None:
    kernel.ipset.create(filled("hash:ip"))
    refer(kernel, namespace, by)
    # A hash:net has exceptions (nomatch), a hash:ip has none: that is enough for the kernel to refuse.
    for wanted in (
        filled("hash:ip,port"),
        filled("hash:net"),
        ik.Set("web-1", "hash:ip", family="inet6", entries=["2001:db8::1"]),
    ):
        others = ik.Set("web-2", "hash:ip", entries=["10.0.0.7"])
        plan = ik.diff(kernel.snapshot(), ik.State(sets=[wanted, others]), scope=SCOPE)
        report = kernel.apply(plan)
        (failed,) = report.failures
        assert isinstance(failed.error, ik.SetTypeMismatch)
        assert "refer to it (1)" in str(failed.error)
        assert str(failed.now) == str(kernel.ipset.get("web-1"))
        assert [str(entry) for entry in kernel.ipset.entries("web-1")] == ["10.0.0.1"]
        # The rest of the plan was done.
        assert kernel.ipset.exists("web-2")
        kernel.ipset.destroy("web-2")


def test_what_cannot_be_swapped_is_made_anew_where_nobody_refers_to_it(kernel: ik.Kernel) -> None:
    kernel.ipset.create(filled("hash:ip"))
    for kind in ("hash:ip,port", "bitmap:port", "hash:net", "list:set", "hash:ip"):
        need_type(kernel, kind)
        wanted = ik.Set("web-1", kind, entries=[]) if kind == "list:set" else filled(kind)
        converge(kernel, ik.State(sets=[wanted]))
        assert kernel.ipset.names() == ["web-1"]


def test_referred_to_only_after_the_plan_was_made(kernel: ik.Kernel) -> None:
    kernel.ipset.create(filled("hash:ip"))
    plan = ik.diff(kernel.snapshot(), ik.State(sets=[filled("hash:ip,port")]), scope=SCOPE)
    kernel.ipset.create(ik.Set("theirs", "list:set", entries=["web-1"]))
    (failed,) = kernel.apply(plan).failures
    assert isinstance(failed.error, ik.SetReferenced)
    assert [str(entry) for entry in kernel.ipset.entries("web-1")] == ["10.0.0.1"]
    assert kernel.ipset.names() == ["web-1", "theirs"]
    kernel.ipset.delete("theirs", "web-1")
    converge(kernel, ik.State(sets=[filled("hash:ip,port")]))


def test_new_options_while_it_is_referred_to(kernel: ik.Kernel, namespace: TestNetNS) -> None:
    kernel.ipset.create(ik.Set("web-1", "hash:ip", entries=["10.0.0.1", "10.0.0.2"]))
    refer(kernel, namespace, "list")
    options: list[dict[str, object]] = [{"timeout": 600}, {"timeout": 600, "comment": True}, {"maxelem": 100}, {}]
    for given in options:
        wanted = ik.Set("web-1", "hash:ip", entries=["10.0.0.1", "10.0.0.3"], **given)  # type: ignore[arg-type]
        converge(kernel, ik.State(sets=[wanted]))
        assert kernel.ipset.set_status("web-1").references == 1
        # Without entries in the state, those that are there go along.
        opened = ik.Set("web-1", "hash:ip", counters=True, **given)  # type: ignore[arg-type]
        converge(kernel, ik.State(sets=[opened]))
        assert {str(entry).split()[0] for entry in kernel.ipset.entries("web-1")} == {"10.0.0.1", "10.0.0.3"}
