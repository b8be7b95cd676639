"""Plans, guards, ledgers, and what becomes of sets: what they say, and what is wrong with them is said before anything is done.

Knows: what each of them has to say. Must not know: kernels, but the fake one.
"""

from __future__ import annotations

import json
import pickle
from array import array
from typing import TYPE_CHECKING, Any

import pytest

import ipvskit as ik
from ipvskit._native import compare as native
from ipvskit.engine.snapshot import Snapshot
from ipvskit.ipvs.holding import HeldServices
from ipvskit.ipvs.wanted import REALS_DIFFER, SERVICE_DIFFERS, compare, pack
from ipvskit.testing.fake import FakeKernel

if TYPE_CHECKING:
    from pathlib import Path

ALL = ik.Scope.everything()
VIP = "192.0.2.1:80/tcp"


# --- plans ----------------------------------------------------------------------------------------------------------------------------

BEFORE = ik.State(
    [f"{VIP} scheduler=wlc\n-> 10.0.0.1:80 weight=5\n-> 10.0.0.2:80", "192.0.2.2:80/tcp\n-> 10.0.0.1:80"],
    sets=[
        ik.Set("deny", "hash:ip", entries=[f"10.0.0.{number}" for number in range(1, 9)]),
        ik.Set("old", "hash:ip", entries=["10.1.1.1"]),
    ],
    devices=[ik.Device("vips", addresses=["192.0.2.1", "192.0.2.2"], up=False)],
    timeouts=ik.Timeouts(900, 120, 300),
)
AFTER = ik.State(
    [f"{VIP} scheduler=sh scheduler_flags=sh-port persistence_timeout=60\n-> 10.0.0.1:80 weight=9\n-> 10.0.0.3:80"],
    sets=[
        ik.Set("deny", "hash:ip", entries=[f"10.0.0.{number}" for number in range(2, 9)]),
        ik.Set("new", "hash:net", maxelem=9, entries=[]),
    ],
    devices=[ik.Device("vips", addresses=["192.0.2.1", "192.0.2.3"], up=True)],
    timeouts=ik.Timeouts(0, 60, 0),
    daemons=["backup eth0 sync_id=3"],
)
TEXT = """\
~ timeouts: tcp_fin 120 -> 60
~ set deny: 1 entries removed (10.0.0.1)
+ set new hash:net family inet maxelem 9, 0 entries
~ device vips: up no -> yes
+ address 192.0.2.3/32 on vips
~ service 192.0.2.1:80/tcp: scheduler wlc -> sh, scheduler_flags none -> sh-port, persistence_timeout none -> 60, persistence_netmask none -> 32
+ real server 10.0.0.3:80 of 192.0.2.1:80/tcp weight=1
~ real server 10.0.0.1:80 of 192.0.2.1:80/tcp: weight 5 -> 9
- real server 10.0.0.2:80 of 192.0.2.1:80/tcp
- service 192.0.2.2:80/tcp with 1 real servers
- address 192.0.2.2/32 on vips
- set old with 1 entries
+ sync daemon backup eth0 sync_id=3
4 to add, 5 to edit, 4 to delete
left alone: device:eth0, device:lo"""


def filled(state: ik.State) -> FakeKernel:
    kernel = FakeKernel()
    kernel.apply(ik.diff(kernel.snapshot(), state)).raise_for_failures()
    return kernel


def test_a_plan_is_printed() -> None:
    with filled(BEFORE) as kernel:
        plan = ik.diff(kernel.snapshot(), AFTER, scope=ALL)
        assert str(plan) == TEXT
        assert json.loads(json.dumps(plan.to_dict()))["changes"][1]["entries"]["removed"] == {
            "count": 1,
            "entries": ["10.0.0.1"],
        }
        assert plan.deletions() == {
            "services": 1,
            "real servers": 2,
            "sets": 1,
            "entries": 2,
            "addresses": 1,
            "devices": 0,
            "daemons": 0,
        }
        assert bool(plan)
        assert len(plan) == 13
        assert plan.changes[-1].action == "add"
        assert plan.changes[-1] == list(plan)[-1]
        assert plan.changes[:2] == tuple(plan)[:2]
        with pytest.raises(IndexError):
            plan.changes[13]
        kernel.apply(plan.guard(1.0)).raise_for_failures()
        assert str(ik.diff(kernel.snapshot(), AFTER, scope=ALL)).startswith("nothing to do")


def test_what_is_not_possible_is_told_and_fails_without_a_request() -> None:
    wanted = ik.State(
        sets=[ik.Set("deny", "hash:ip,port", entries=[])],
        devices=[ik.Device("eth0", kind="dummy"), ik.Device("none", kind=None)],
        sysctls={"lblc_expiration": 5},
    )
    with filled(BEFORE.updated(sets=[ik.Set("all", "list:set", entries=["deny"])])) as kernel:
        plan = ik.diff(kernel.snapshot(), wanted, scope=ik.Scope(sets=["deny"], devices=["eth0", "none"]))
        lines = str(plan).splitlines()
        assert {line.partition(": not possible")[0] for line in lines[:4]} == {
            "! set deny",
            "! device eth0",
            "! device none",
            "! sysctl lblc_expiration",
        }
        was = kernel.ipset.save()
        report = kernel.apply(plan)
        assert len(report.failures) == len(plan) == 4
        assert kernel.ipset.save() == was
        assert {type(outcome.error) for outcome in report.failures} == {
            ik.SetTypeMismatch,
            ik.NotSupported,
            ik.InterfaceNotFound,
            ik.SysctlNotAvailable,
        }


@pytest.mark.parametrize(
    ("allowed", "passes"), [(1.0, True), (0.5, True), (0.49, False), (1, False), (2, False), (4, True), (0, False)]
)
def test_guards(allowed: float, passes: bool) -> None:
    reals = [f"-> 10.0.0.{number}:80" for number in range(1, 9)]
    with filled(ik.State(["\n".join([VIP, *reals])])) as kernel:
        plan = ik.diff(kernel.snapshot(), ik.State(["\n".join([VIP, *reals[:4]])]), scope=ALL)
        if passes:
            assert plan.guard(allowed).guarded
            return
        with pytest.raises(ik.GuardRefused, match="4 of 8 real servers") as caught:
            plan.guard(allowed)
        assert pickle.loads(pickle.dumps(caught.value)).kind == "real servers"


@pytest.mark.parametrize("allowed", [-1, 1.5, True, "all", float("nan")])
def test_bad_guards(allowed: Any) -> None:
    with pytest.raises(ik.InvalidConfig, match="max_deletes"):
        ik.Plan().guard(allowed)


@pytest.mark.parametrize(
    ("name", "value"),
    [("snapshot", 1), ("state", []), ("scope", "all"), ("entry_timeouts", "often"), ("entry_timeouts", -1)],
)
def test_bad_arguments_of_diff(name: str, value: Any) -> None:
    arguments: dict[str, Any] = {"snapshot": Snapshot(), "state": ik.State()} | {name: value}
    with pytest.raises(ik.InvalidConfig, match=name):
        ik.diff(**arguments)


def test_bad_arguments_of_apply() -> None:
    with FakeKernel() as kernel:
        with pytest.raises(ik.InvalidConfig, match="plan"):
            kernel.apply([])  # type: ignore[arg-type]
        with pytest.raises(ik.InvalidConfig, match="on_error"):
            kernel.apply(ik.Plan(), on_error="retry")  # type: ignore[arg-type]


def test_stale_plans_name_a_few() -> None:
    error = ik.StalePlan([f"set:{number}" for number in range(7)])
    assert "set:4 and 2 more" in str(error)
    assert pickle.loads(pickle.dumps(error)).keys == error.keys


# --- ledgers --------------------------------------------------------------------------------------------------------------------------


def test_a_ledger_has_what_was_made_and_not_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "ledger.json"
    with filled(ik.State([VIP])) as kernel:
        ledger = ik.Ledger(path)
        mine = ik.State(["192.0.2.2:80/tcp"], sets=["web hash:ip"], devices=["vips\n192.0.2.2"])
        kernel.apply(ik.diff(kernel.snapshot(), mine), ledger=ledger)
        again = ik.Ledger(path)
        assert {str(key) for key in again.keys} == {"192.0.2.2:80/tcp", "set:web", "device:vips"}
        done = ik.reconcile(kernel, ik.State(), ledger=again, max_deletes=1.0)
        assert done.ok
        assert [str(service.key) for service in kernel.ipvs.services()] == [VIP]
        assert not ik.Ledger(path).keys
        again.claim(VIP)
        assert ik.ServiceKey.parse(VIP) in ik.Ledger(path).scope()
        again.release(VIP)
        assert not ik.Ledger(path).keys
    assert [each.name for each in tmp_path.iterdir()] == ["ledger.json"]


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"ipvskit-ledger": 2}', '{"ipvskit-ledger": 1, "keys": ["?"], "draining": []}']
)
def test_files_that_are_no_ledgers(tmp_path: Path, text: str) -> None:
    path = tmp_path / "ledger.json"
    path.write_text(text)
    with pytest.raises(ik.InvalidConfig, match="ledger"):
        ik.Ledger(path)
    assert path.read_text() == text


# --- sets -----------------------------------------------------------------------------------------------------------------------------


def planned(before: ik.Set, after: ik.Set, **options: Any) -> ik.Plan:
    with filled(ik.State(sets=[before])) as kernel:
        return ik.diff(kernel.snapshot(), ik.State(sets=[after]), scope=ALL, **options)


def entries(count: int, start: int = 0) -> list[str]:
    return [f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}" for number in range(start, start + count)]


@pytest.mark.parametrize(
    ("before", "after", "options", "swap"),
    [
        (entries(1000), entries(1000, 10), {}, False),
        (entries(1000), entries(1000, 10), {"atomic": True}, True),
        (entries(1000), entries(10), {}, True),
        (entries(100), entries(1000), {}, False),
    ],
)
def test_contents_change_the_cheaper_way(
    before: list[str], after: list[str], options: dict[str, Any], swap: bool
) -> None:
    plan = planned(ik.Set("web", "hash:ip", entries=before), ik.Set("web", "hash:ip", entries=after), **options)
    assert plan.changes[0].entries is not None
    assert plan.changes[0].entries.swap is swap


def test_where_both_do_not_fit_contents_are_swapped() -> None:
    small: dict[str, Any] = {"maxelem": 100}
    plan = planned(
        ik.Set("web", "hash:ip", entries=entries(90), **small),
        ik.Set("web", "hash:ip", entries=entries(90, 20), **small),
    )
    assert plan.changes[0].entries is not None
    assert plan.changes[0].entries.swap


def test_a_set_grows_with_its_contents_unless_its_size_is_stated() -> None:
    plan = planned(ik.Set("web", "hash:ip", entries=entries(5)), ik.Set("web", "hash:ip", entries=entries(70000)))
    assert plan.changes[0].action == "replace"
    assert plan.changes[0].after.maxelem >= 70000


@pytest.mark.parametrize(
    ("wanted", "left", "policy", "changes"),
    [
        (600, 500, "ignore", 0),
        (600, 500, "exact", 1),
        (600, 500, 100, 0),
        (600, 50, 100, 1),
        (0, 500, 100, 1),
        (600, 0, 100, 1),
        (0, 0, 100, 0),
        (0, 500, "ignore", 0),
    ],
)
def test_timeouts_of_entries(wanted: int, left: int, policy: Any, changes: int) -> None:
    before = ik.Set("web", "hash:ip", timeout=600, entries=[f"10.0.0.1 timeout {left}"])
    after = ik.Set("web", "hash:ip", timeout=600, entries=[f"10.0.0.1 timeout {wanted}"])
    plan = planned(before, after, entry_timeouts=policy)
    assert len(plan) == changes


def test_counters_survive_a_changed_comment() -> None:
    before = ik.Set("web", "hash:ip", counters=True, comment=True, entries=['10.0.0.1 packets 5 bytes 6 comment "a"'])
    after = ik.Set("web", "hash:ip", counters=True, comment=True, entries=['10.0.0.1 comment "b"'])
    with filled(ik.State(sets=[before])) as kernel:
        kernel.apply(ik.diff(kernel.snapshot(), ik.State(sets=[after]))).raise_for_failures()
        assert kernel.ipset.save("web").splitlines()[1] == 'add web 10.0.0.1 packets 5 bytes 6 comment "b"'


def test_a_wildcard_changes_by_swap() -> None:
    before = ik.Set("web", "hash:net,iface", entries=["10.0.0.0/8,eth0"])
    after = ik.Set("web", "hash:net,iface", entries=["10.0.0.0/8,eth0 wildcard"])
    with filled(ik.State(sets=[before])) as kernel:
        assert ik.reconcile(kernel, ik.State(sets=[after]), scope=ALL, max_deletes=1.0).ok


# --- comparing in C -------------------------------------------------------------------------------------------------------------------

SERVICE = ik.VirtualService(
    VIP,
    scheduler="sh",
    scheduler_flags=["sh-port"],
    persistence_timeout=60,
    persistence_netmask=24,
    reals=[
        "10.0.0.1:80 weight=2",
        "[2001:db8::1]:80 forwarding=tunnel tunnel=gue:6080",
        "10.0.0.3:80 upper_threshold=9 lower_threshold=3",
    ],
)


def bits(held: ik.VirtualService, wanted: ik.VirtualService) -> int:
    return dict(compare(HeldServices.of([held]), [pack(wanted)]).differing).get(0, 0)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, 0),
        ({"scheduler": "wlc"}, SERVICE_DIFFERS),
        ({"scheduler_flags": []}, SERVICE_DIFFERS),
        ({"persistence_timeout": 61}, SERVICE_DIFFERS),
        ({"persistence_timeout": None}, SERVICE_DIFFERS),
        ({"persistence_netmask": 25}, SERVICE_DIFFERS),
        ({"persistence_engine": "sip"}, SERVICE_DIFFERS),
        ({"reals": SERVICE.reals[::-1]}, 0),
        ({"reals": SERVICE.reals[:2]}, REALS_DIFFER),
        ({"reals": [SERVICE.reals[0].replace(weight=3), *SERVICE.reals[1:]]}, REALS_DIFFER),
        ({"reals": [SERVICE.reals[0].replace(port=81), *SERVICE.reals[1:]]}, REALS_DIFFER),
        ({"reals": [SERVICE.reals[0], SERVICE.reals[1].replace(tunnel="gue:6081"), SERVICE.reals[2]]}, REALS_DIFFER),
        (
            {"reals": [SERVICE.reals[0], SERVICE.reals[1].replace(tunnel="gue:6080+csum"), SERVICE.reals[2]]},
            REALS_DIFFER,
        ),
        ({"reals": [SERVICE.reals[0], SERVICE.reals[1].replace(tunnel="gre"), SERVICE.reals[2]]}, REALS_DIFFER),
        ({"reals": [*SERVICE.reals[:2], SERVICE.reals[2].replace(upper_threshold=10)]}, REALS_DIFFER),
        ({"reals": [*SERVICE.reals[:2], SERVICE.reals[2].replace(lower_threshold=4)]}, REALS_DIFFER),
        ({"scheduler": ik.KEEP}, 0),
        ({"reals": ik.KEEP}, 0),
    ],
)
def test_every_field_counts(changes: dict[str, Any], expected: int) -> None:
    wanted = SERVICE.replace(**changes)
    assert bits(SERVICE, wanted) == expected
    if not wanted.keep:
        assert bits(wanted, SERVICE) == expected


@pytest.mark.parametrize("count", [1, 2, 8, 9, 500])
def test_a_real_server_that_is_there_twice_is_noticed(count: int) -> None:
    reals = [f"10.0.{number >> 8}.{number & 255}:80" for number in range(1, count + 1)]
    rows = HeldServices.of([ik.VirtualService(VIP, reals=reals)]).real_rows
    assert native.blocks(bytearray(rows), 1) == (array("I", [count]), bytearray([0]))
    assert native.blocks(bytearray(rows + rows[-64:]), 1) == (array("I", [count + 1]), bytearray([1]))
    with pytest.raises(OSError, match="message"):
        native.blocks(bytearray(rows), 0)
