"""Restoring text, on the kernel and on the fake.

Knows: what each line ought to do. Must not know: how lines go out together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import ipvskit as ik
from ipvskit.testing.fake import FakeKernel
from ipvskit.testing.namespaces import TestNetNS

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.ipset


@pytest.fixture(params=["kernel", "fake"])
def ipset(request: pytest.FixtureRequest) -> Iterator[ik.Ipset]:
    with TestNetNS() as namespace, ik.Kernel(namespace) if request.param == "kernel" else FakeKernel() as kernel:
        yield kernel.ipset


TEXT = """
# two sets and a list
create a hash:ip comment
create b hash:net maxelem 5
create l list:set
add a 192.0.2.1 comment "with -exist in it"
add a 192.0.2.1
add a 192.0.2.2
add b 10.0.0.0/8
-A b 10.1.0.0/16 nomatch
add l a
del a 192.0.2.2
COMMIT
"""


def test_text_becomes_sets(ipset: ik.Ipset) -> None:
    report = ipset.restore(TEXT)
    assert (report.lines, report.done, report.already, report.failures) == (13, 9, 1, ())
    assert ipset.names() == ["a", "b", "l"]
    assert [str(entry) for entry in ipset.entries("a")] == ['192.0.2.1 comment "with -exist in it"']
    assert {str(entry) for entry in ipset.entries("b")} == {"10.0.0.0/8", "10.1.0.0/16 nomatch"}
    assert [str(entry) for entry in ipset.entries("l")] == ["a"]


def test_saving_and_restoring_gives_the_same(ipset: ik.Ipset) -> None:
    ipset.restore(TEXT).raise_for_failures()
    before = {one.name: one for one in ipset.sets()}
    text = ipset.save()
    ipset.destroy_all()
    ipset.restore(text).raise_for_failures()
    assert {one.name: one for one in ipset.sets()} == before


BAD = """create a hash:ip
add a 192.0.2.1
add a nonsense
add missing 192.0.2.1
frobnicate a
add a 192.0.2.2
create a hash:net
swap a nowhere
add a 192.0.2.3
"""


def test_a_bad_line_loses_no_other(ipset: ik.Ipset) -> None:
    report = ipset.restore(BAD)
    assert [failure.line for failure in report.failures] == [3, 4, 5, 7, 8]
    kinds = [type(failure.error) for failure in report.failures]
    assert kinds == [ik.InvalidEntry, ik.SetNotFound, ik.InvalidConfig, ik.SetExists, ik.SetNotFound]
    assert {str(entry) for entry in ipset.entries("a")} == {"192.0.2.1", "192.0.2.2", "192.0.2.3"}
    with pytest.raises(ik.BulkFailed, match="line 3: address: 'nonsense'"):
        report.raise_for_failures()


def test_stop_at_the_first_failure(ipset: ik.Ipset) -> None:
    report = ipset.restore(BAD, on_error="stop")
    assert report.stopped
    assert [failure.line for failure in report.failures] == [3]
    assert [str(entry) for entry in ipset.entries("a")] == ["192.0.2.1"]


def test_exist_of_a_line_is_for_that_line(ipset: ik.Ipset) -> None:
    ipset.restore("create a hash:ip timeout 100\nadd a 192.0.2.1 timeout 50\nadd a 192.0.2.2 timeout 50")
    report = ipset.restore(
        "create a hash:ip timeout 100 -exist\nadd -exist a 192.0.2.9\nadd a 192.0.2.1 timeout 90 -exist\nadd a 192.0.2.2 timeout 90"
    )
    assert (report.done, report.already, report.failures) == (3, 1, ())
    left = {str(entry.address): entry.timeout or 0 for entry in ipset.entries("a")}
    assert 50 < left["192.0.2.1"] <= 90
    assert left["192.0.2.2"] <= 50


def test_all_sets_at_once(ipset: ik.Ipset) -> None:
    ipset.restore(TEXT)
    assert ipset.restore("flush").ok
    assert [one.entries for one in ipset.status()] == [0, 0, 0]
    assert ipset.restore("destroy l\nrename a z\ndestroy z\nx").done == 4
    assert ipset.names() == []


def test_many_lines(ipset: ik.Ipset) -> None:
    lines = [f"add a 10.{i >> 8}.{i & 255}.1" for i in range(5000)]
    report = ipset.restore(["create a hash:ip", *lines, *lines[:10]])
    assert (report.lines, report.done, report.already) == (5011, 5001, 10)
    assert len(ipset.entries("a")) == 5000


def test_what_the_tool_saves() -> None:
    with TestNetNS() as namespace, ik.Kernel(namespace) as kernel:
        kernel.ipset.restore(TEXT).raise_for_failures()
        saved = namespace.run(["ipset", "save"], check=True, capture_output=True, text=True).stdout
        kernel.ipset.destroy_all()
        kernel.ipset.restore(saved).raise_for_failures()
        again = namespace.run(["ipset", "save"], check=True, capture_output=True, text=True).stdout
        assert sorted(again.splitlines()) == sorted(saved.splitlines())
