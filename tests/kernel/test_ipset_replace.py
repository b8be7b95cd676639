"""All contents at one go, on a real kernel: who looks meanwhile, who dies meanwhile, who is in the way.

Knows: that a temporary set takes the other's place. Must not know: how it is filled.
"""

from __future__ import annotations

import random
import signal
import subprocess
import threading
import time
from typing import TYPE_CHECKING

import pytest

import ipvskit as ik
from ipvskit.ipset.replacing import TEMPORARY
from ipvskit.model.settype import SET_TYPES
from tests.kernel.ipset_strategies import CASES, named, option_names
from tests.kernel.ipset_support import HeldDump, impatient, need_type, start_python

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ipvskit.model.address import Family
    from ipvskit.testing.namespaces import TestNetNS

pytestmark = pytest.mark.ipset

OLD = [f"10.0.{number >> 8}.{number & 255}" for number in range(1, 3001)]
NEW = [f"10.1.{number >> 8}.{number & 255}" for number in range(1, 5001)]
BOTH = "192.0.2.1"


@pytest.fixture
def kernel(namespace: TestNetNS) -> Iterator[ik.Kernel]:
    with ik.Kernel(namespace) as handle:
        yield handle


def make(kernel: ik.Kernel) -> None:
    kernel.ipset.create(ik.Set("s", "hash:ip", entries=[*OLD, BOTH]))


def texts(kernel: ik.Kernel, name: str = "s") -> set[str]:
    return set(kernel.ipset.entries(name).to_text().splitlines())


def temporary(kernel: ik.Kernel) -> list[str]:
    return [name for name in kernel.ipset.names() if name.startswith(TEMPORARY)]


# --- atomic ---------------------------------------------------------------------------------------------------------------------------


def test_who_looks_meanwhile_sees_all_of_the_old_or_all_of_the_new(kernel: ik.Kernel, namespace: TestNetNS) -> None:
    make(kernel)
    done = threading.Event()
    missing: list[str] = []
    sizes: set[int] = set()
    looks = 0

    def look() -> None:
        nonlocal looks
        with ik.Kernel(namespace) as other:
            while not done.is_set():
                looks += 1
                if not other.ipset.test("s", BOTH):
                    missing.append(f"look {looks}")
                sizes.add(other.ipset.set_status("s").entries)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        for number in range(20):
            report = kernel.ipset.replace("s", [BOTH, *(OLD if number % 2 else NEW)])
            assert (report.set_name, report.done, report.ok) == ("s", 3001 if number % 2 else 5001, True)
    finally:
        done.set()
        thread.join()
    assert not missing
    assert looks > 20
    assert sizes <= {3001, 5001}
    assert temporary(kernel) == []


@pytest.mark.parametrize("case", CASES, ids=named)
def test_all_options_of_the_set_are_kept(kernel: ik.Kernel, case: tuple[str, Family | None]) -> None:
    need_type(kernel, case[0])
    kind = SET_TYPES[case[0]]
    newest = kernel.ipset.types()[case[0]][1]
    wanted = {"hashsize": 1 << 17, "maxelem": 70000, "bucketsize": 4, "initval": 77, "netmask": 24, "markmask": 255, "size": 20,
              "timeout": 3600, "counters": True, "comment": True, "skbinfo": True, "forceadd": True}  # fmt: skip
    options: dict[str, object] = {name: wanted[name] for name in option_names(kind, newest) if name in wanted}
    if "range" in kind.create_options:
        options["range"] = "0-1000" if case[0] == "bitmap:port" else "10.0.0.0/16"
    kernel.ipset.create(ik.Set("s", kind, family=case[1], **options), revision="latest")  # type: ignore[arg-type]
    before, revision = kernel.ipset.get("s", entries=False), kernel.ipset.set_status("s").revision
    index = kernel.ipset.index("s")
    kernel.ipset.replace("s", [])
    assert kernel.ipset.get("s", entries=False) == before
    assert kernel.ipset.set_status("s").revision == revision
    assert kernel.ipset.index("s") == index
    assert kernel.ipset.names() == ["s"]


def test_a_bitmask_is_kept(kernel: ik.Kernel) -> None:
    if kernel.ipset.types()["hash:ip"][1] < SET_TYPES["hash:ip"].revision_of("bitmask"):
        pytest.skip("this kernel has no bitmask")
    kernel.ipset.create("s hash:ip bitmask 255.0.255.0")
    kernel.ipset.replace("s", ["10.1.2.3", "10.9.2.9"])
    assert texts(kernel) == {"10.0.2.0"}
    assert str(kernel.ipset.get("s").bitmask) == "255.0.255.0"


def test_references_stay(kernel: ik.Kernel) -> None:
    make(kernel)
    kernel.ipset.create(ik.Set("list", "list:set", entries=["s"]))
    kernel.ipset.replace("s", NEW)
    assert kernel.ipset.set_status("s").references == 1
    assert kernel.ipset.test("list", "s")
    assert texts(kernel) == set(NEW)
    kernel.ipset.create("t hash:ip")
    kernel.ipset.replace("list", ["t", "s"])
    assert [entry.set_name for entry in kernel.ipset.entries("list")] == ["t", "s"]
    assert {each.set.name: each.references for each in kernel.ipset.status()} == {"s": 1, "t": 1, "list": 0}


def test_a_set_that_is_too_small_grows_when_asked(kernel: ik.Kernel) -> None:
    kernel.ipset.create(ik.Set("s", "hash:ip", maxelem=100, timeout=60, entries=["10.0.0.1"]))
    with pytest.raises(ik.SetFull) as caught:
        kernel.ipset.replace("s", NEW)
    assert caught.value.limit == 100
    assert len(kernel.ipset.entries("s")) == 1
    assert kernel.ipset.replace("s", NEW, grow=True).done == 5000
    assert kernel.ipset.set_status("s").entries == 5000
    found = kernel.ipset.get("s", entries=False)
    assert (found.timeout, (found.maxelem or 0) >= 5000) == (60, True)
    # At its very limit it needs no growing.
    kernel.ipset.create(ik.Set("full", "hash:ip", maxelem=200, entries=OLD[:200]))
    kernel.ipset.replace("full", NEW[:200])
    assert (texts(kernel, "full"), kernel.ipset.get("full").maxelem) == (set(NEW[:200]), 200)


def test_entries_from_anywhere(kernel: ik.Kernel) -> None:
    make(kernel)
    for entries in (["10.0.0.1"], ik.Elements("hash:ip", ["10.0.0.1"]), (each for each in ["10.0.0.1", "10.0.0.1"])):
        assert kernel.ipset.replace("s", entries).done == 1
        assert texts(kernel) == {"10.0.0.1"}
    kernel.ipset.replace("s", kernel.ipset.entries("s"))
    assert texts(kernel) == {"10.0.0.1"}


# --- failures -------------------------------------------------------------------------------------------------------------------------


def test_a_failure_leaves_everything_as_it_was(kernel: ik.Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    make(kernel)
    kernel.ipset.create("list list:set")

    def broken() -> Iterator[str]:
        yield from NEW
        raise RuntimeError("enough")

    failing: list[tuple[type[Exception], Callable[[], object]]] = [
        (ik.InvalidEntry, lambda: kernel.ipset.replace("s", [*NEW, "nonsense"])),
        (ik.InvalidEntry, lambda: kernel.ipset.replace("s", [*NEW, "10.0.0.1 timeout 5"])),
        (ik.InvalidConfig, lambda: kernel.ipset.replace("s", ik.Elements("hash:net", ["10.0.0.1"]))),
        (RuntimeError, lambda: kernel.ipset.replace("s", broken())),
        (ik.SetNotFound, lambda: kernel.ipset.replace("missing", NEW)),
        (ik.BulkFailed, lambda: kernel.ipset.replace("list", ["s", "missing"])),
    ]
    for error, call in failing:
        with pytest.raises(error):
            call()
        assert texts(kernel) == {*OLD, BOTH}
        assert kernel.ipset.names() == ["s", "list"]

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(type(kernel.ipset), "swap", interrupted)
    with pytest.raises(KeyboardInterrupt):
        kernel.ipset.replace("s", NEW)
    assert texts(kernel) == {*OLD, BOTH}
    assert kernel.ipset.names() == ["s", "list"]


# --- crashes --------------------------------------------------------------------------------------------------------------------------

#: Replaces; at the chosen point it dies, or says so and sleeps.
_REPLACER = """
import os, signal, sys, time
import ipvskit as ik
from ipvskit.ipset.client import Ipset
from ipvskit.ipset.sending import Sender
point, then = sys.argv[1:]
def stop(*_, **__):
    print("here", flush=True)
    if then == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(100)
portions = [0]
inner = Sender._portion
def portion(*arguments):
    portions[0] += 1
    if portions[0] == 2:
        stop()
    return inner(*arguments)
if point == "filling":
    Sender._portion = portion
elif point != "anywhere":
    setattr(Ipset, point, stop)
with ik.Kernel() as kernel:
    while True:
        kernel.ipset.replace("s", ["192.0.2.1", "10.128.0.0-10.129.134.160"], grow=True)
        if point == "anywhere":
            print("here", flush=True)
"""
LARGE = 100002
#: Where the process stops: before the temporary set is filled, while it is, before it is swapped, before the old contents are removed.
POINTS = {"add_entries": (3001, 0), "filling": (3001, None), "swap": (3001, LARGE), "destroy": (LARGE, 3001)}


@pytest.mark.parametrize("point", POINTS)
def test_a_crash_leaves_a_temporary_set_that_is_cleaned_up(kernel: ik.Kernel, namespace: TestNetNS, point: str) -> None:
    make(kernel)
    contents, left = POINTS[point]
    for way in ("clean", "replace"):
        with start_python(namespace, _REPLACER, point, "die") as child:
            assert child.wait(60) == -signal.SIGKILL
        (name,) = temporary(kernel)
        assert len(kernel.ipset.entries("s")) == contents
        assert kernel.ipset.test("s", BOTH)
        if left is not None:
            assert len(kernel.ipset.entries(name)) == left
        if way == "clean":
            assert kernel.ipset.clean() == [name]
        assert kernel.ipset.replace("s", [*OLD, BOTH]).done == 3001
        assert temporary(kernel) == []


@pytest.mark.parametrize("point", POINTS)
def test_the_temporary_set_of_a_living_process_is_left_alone(
    kernel: ik.Kernel, namespace: TestNetNS, point: str
) -> None:
    make(kernel)
    with start_python(namespace, _REPLACER, point, "sleep") as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "here\n"
        (name,) = temporary(kernel)
        assert kernel.ipset.clean() == []
        kernel.ipset.replace("s", [BOTH])
        assert temporary(kernel) == [name]
        child.kill()
        child.wait(60)
    assert kernel.ipset.clean() == [name]
    assert kernel.ipset.names() == ["s"]
    assert kernel.ipset.clean() == []


def test_killed_at_any_moment(kernel: ik.Kernel, namespace: TestNetNS) -> None:
    make(kernel)
    chance = random.Random(5)
    for _ in range(5):
        with start_python(namespace, _REPLACER, "anywhere", "die") as child:
            assert child.stdout is not None
            assert child.stdout.readline() == "here\n"
            time.sleep(chance.uniform(0, 0.2))
            child.kill()
            child.wait(60)
        assert len(temporary(kernel)) <= 1
        assert kernel.ipset.set_status("s").entries == LARGE
        assert kernel.ipset.test("s", BOTH)
        kernel.ipset.replace("s", kernel.ipset.entries("s"))
        assert temporary(kernel) == []


def test_sets_of_others_with_similar_names_stay(kernel: ik.Kernel) -> None:
    others = ["ipvskit", "ipvskit-tmp", "my-ipvskit-tmp-00000000"]
    for name in others:
        kernel.ipset.create(name, "hash:ip")
    kernel.ipset.create(f"{TEMPORARY}01234567", "hash:ip")
    assert kernel.ipset.clean() == [f"{TEMPORARY}01234567"]
    assert kernel.ipset.names() == others


# --- another program that lists -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("held", ["s", None])
def test_a_listing_that_does_not_end_is_waited_for_and_then_told(
    kernel: ik.Kernel, namespace: TestNetNS, held: str | None
) -> None:
    make(kernel)
    with HeldDump(namespace, held):
        start = time.monotonic()
        with pytest.raises(ik.SetBusy):
            kernel.ipset.replace("s", NEW)
        assert 1.5 < time.monotonic() - start < 10
        assert texts(kernel) == {*OLD, BOTH}
        assert kernel.ipset.names() == ["s"]
    assert kernel.ipset.replace("s", NEW).done == 5000


def test_a_listing_that_ends_in_time_is_waited_for(kernel: ik.Kernel, namespace: TestNetNS) -> None:
    make(kernel)
    kernel.ipset.create("t hash:ip")
    calls: list[Callable[[], object]] = [
        lambda: kernel.ipset.replace("s", [*OLD, BOTH]),
        lambda: kernel.ipset.swap("s", "t"),
        lambda: kernel.ipset.swap("s", "t"),
        lambda: kernel.ipset.rename("s", "r"),
        lambda: kernel.ipset.rename("r", "s"),
        lambda: kernel.ipset.destroy("s"),
    ]
    names = ["s", "s", "t", "s", "r", "s"]
    for name, call in zip(names, calls, strict=True):
        with HeldDump(namespace, name) as dump:
            thread = dump.drain_after(0.25)
            start = time.monotonic()
            call()
            took = time.monotonic() - start
            thread.join()
        assert took > 0.2
    assert kernel.ipset.names() == ["t"]
    kernel.ipset.create(ik.Set("s", "hash:ip", entries=OLD))
    with HeldDump(namespace, "s") as dump:
        thread = dump.drain_after(0.25)
        kernel.ipset.destroy_all()
        thread.join()
    assert kernel.ipset.names() == []


def test_the_time_spent_waiting_is_bounded(kernel: ik.Kernel, namespace: TestNetNS) -> None:
    make(kernel)
    ipset = impatient(kernel, listed=0.3)
    with HeldDump(namespace, "s"):
        for call in (lambda: ipset.destroy("s"), lambda: ipset.rename("s", "t"), lambda: ipset.replace("s", NEW)):
            start = time.monotonic()
            with pytest.raises(ik.SetBusy):
                call()
            assert 0.29 < time.monotonic() - start < 3


def test_the_ipset_tool_lists_beside_replacements(kernel: ik.Kernel, namespace: TestNetNS) -> None:
    make(kernel)
    outcomes: list[int] = []

    def lists() -> None:
        for _ in range(10):
            done = namespace.run(["ipset", "list", "s"], check=False, stdout=subprocess.PIPE, capture_output=False)
            outcomes.append(sum(line.startswith(("10.", "192.")) for line in done.stdout.splitlines()))

    thread = threading.Thread(target=lists)
    thread.start()
    replaced = 0
    while thread.is_alive() or replaced < 2:
        kernel.ipset.replace("s", [*(NEW if replaced % 2 else OLD), BOTH])
        replaced += 1
    thread.join()
    assert len(outcomes) == 10
    assert set(outcomes) <= {3001, 5001}
