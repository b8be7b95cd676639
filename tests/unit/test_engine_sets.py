"""Contents of sets: what counts as the same, what a swap keeps, what a rival must not lose, temporary sets.

Knows: situations. Must not know: the engine's insides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import ipvskit as ik
from ipvskit.sets.definition import stored_set
from tests.property.engine_support import ALL, filled
from tests.property.watched import Watched

if TYPE_CHECKING:
    from collections.abc import Iterable

LEFTOVER = "ipvskit-tmp-0badbad0"
HOSTS = tuple(f"10.0.0.{number}" for number in range(1, 9))


def state(*entries: str, **options: Any) -> ik.State:
    return ik.State(sets=[ik.Set("a", options.pop("type", "hash:ip"), **options, entries=entries)])


def planned(kernel: ik.Kernel, wanted: ik.State, **options: Any) -> ik.Plan:
    return ik.diff(kernel.snapshot(), wanted, **({"scope": ALL} | options)).guard(1.0)


def texts(kernel: ik.Kernel, name: str = "a") -> list[str]:
    return sorted(map(str, kernel.ipset.entries(name)))


# --- temporary sets -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scope", [None, ALL, ik.Scope(sets=["a"])])
def test_what_a_killed_replacement_left_is_cleared_up_without_leave(scope: ik.Scope | None) -> None:
    with filled(state("10.0.0.1")) as kernel:
        kernel.ipset.create(LEFTOVER, "hash:ip", entries=["10.0.0.1"])
        plan = ik.diff(kernel.snapshot(), state("10.0.0.1"), scope=scope)
        assert str(plan).startswith(f"- set {LEFTOVER} (a temporary set whose process died)")
        assert not any(plan.deletions().values())
        assert ik.reconcile(kernel, state("10.0.0.1"), scope=scope).ok
        assert kernel.ipset.names() == ["a"]


def test_what_a_killed_replacement_left_is_no_question_of_an_empty_state() -> None:
    with Watched() as kernel:
        kernel.ipset.create(LEFTOVER, "hash:ip")
        assert kernel.apply(ik.diff(kernel.snapshot(), ik.State())).ok
        assert not kernel.ipset.names()


def test_the_temporary_set_of_somebody_alive_is_left_alone() -> None:
    with Watched() as kernel:
        kernel.ipset.create(LEFTOVER, "hash:ip")
        owner = kernel.names.own(LEFTOVER)
        assert owner is not None
        assert not planned(kernel, ik.State())
        owner.close()
        assert planned(kernel, ik.State())


def test_no_state_has_temporary_sets() -> None:
    temporary = ik.Set(LEFTOVER, "hash:ip")
    with pytest.raises(ik.InvalidConfig, match="temporary"):
        ik.State(sets=[temporary])
    with pytest.raises(ik.InvalidConfig, match="temporary"):
        ik.State().updated(sets=[temporary])


# --- what is the same -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "options", "given"),
    [
        ("hash:ip", {"netmask": 24}, ["10.0.0.1", "10.0.1.1"]),
        ("hash:ip", {"timeout": 60}, ["10.0.0.1"]),
        ("hash:ip,mark", {"markmask": 0xFF}, ["10.0.0.1,0x1ff"]),
        ("hash:net", {}, ["10.0.0.1/8"]),
        ("bitmap:ip", {"range": "10.0.0.0/24"}, ["10.0.0.7"]),
    ],
)
def test_promise_2_entries_that_were_made_for_no_set_in_particular(
    kind: str, options: dict[str, Any], given: Iterable[str]
) -> None:
    wanted = ik.State(sets=[ik.Set("a", kind, **options, entries=ik.Elements(kind, given))])
    with Watched() as kernel:
        for policy in ("ignore", "exact"):
            plan = planned(kernel, wanted, entry_timeouts=policy)
            assert kernel.apply(plan).ok
            assert not planned(kernel, wanted)
        normal = ik.normalise(wanted.sets["a"]).entries
        assert normal.same_as(kernel.ipset.entries("a"))


def test_promise_2_entries_of_another_set_are_cut_as_this_one_cuts_them() -> None:
    finer = ik.Elements(ik.Set("b", "hash:ip", netmask=28), ["10.0.0.1", "10.0.0.17"])
    wanted = ik.State(sets=[ik.Set("a", "hash:ip", netmask=24, entries=finer)])
    with Watched() as kernel:
        assert ik.reconcile(kernel, wanted).ok
        assert texts(kernel) == ["10.0.0.0"]


def test_promise_2_a_set_whose_contents_are_left_alone_keeps_its_size() -> None:
    wanted = ik.State(sets=[ik.Set("a", "hash:ip")])
    with filled(state("10.0.0.0-10.1.20.0", maxelem=200_000)) as kernel:
        assert not planned(kernel, wanted)
        other = ik.State(sets=[ik.Set("a", "hash:ip", comment=True)])
        assert kernel.apply(planned(kernel, other)).ok
        assert not planned(kernel, other)
        assert kernel.ipset.get("a").maxelem == 200_000


def test_promise_2_a_stated_size_counts_all_the_same() -> None:
    with filled(state(*HOSTS, maxelem=200)) as kernel:
        wanted = ik.State(sets=[ik.Set("a", "hash:ip", maxelem=300)])
        assert kernel.apply(planned(kernel, wanted)).ok
        assert kernel.ipset.get("a").maxelem == 300
        assert texts(kernel) == sorted(HOSTS)


def test_promise_2_another_type_does_not_inherit_sizes() -> None:
    wanted = ik.State(sets=[ik.Set("a", "bitmap:port", range="0-100")])
    with filled(state(*HOSTS, maxelem=200)) as kernel:
        assert kernel.apply(planned(kernel, wanted)).ok
        assert not planned(kernel, wanted)


def test_promise_2_foreign_entries_do_not_bring_old_options_back() -> None:
    with filled(state('10.0.0.1 comment "old"', "10.0.0.2", comment=True)) as kernel:
        wanted = state('10.0.0.1 comment "new"', comment=True, counters=True)
        assert kernel.apply(planned(kernel, wanted, scope=None)).ok
        assert not planned(kernel, wanted, scope=None)
        assert texts(kernel) == ['10.0.0.1 packets 0 bytes 0 comment "new"', "10.0.0.2 packets 0 bytes 0"]


def test_a_set_of_a_type_that_is_not_known_is_refused() -> None:
    held = stored_set(name="a", type="hash:future", entries=None)
    for wanted in (ik.Set("a", "hash:ip"), ik.Set("a", "hash:ip", entries=["10.0.0.1"])):
        (change,) = ik.diff(ik.Snapshot(sets={"a": held}), ik.State(sets=[wanted]), scope=ALL)
        assert isinstance(change.refused, ik.SetTypeMismatch)


# --- what a swap keeps ----------------------------------------------------------------------------------------------------------------


def test_promise_3_a_swap_does_to_the_others_what_changing_one_by_one_does() -> None:
    options: dict[str, Any] = {"counters": True, "timeout": 500}
    for atomic in (False, True):
        with filled(state("10.0.0.1 timeout 100 packets 5 bytes 50", "10.0.0.2", **options)) as kernel:
            plan = planned(kernel, state("10.0.0.1", "10.0.0.3", **options), atomic=atomic)
            assert plan.changes[0].entries is not None
            assert plan.changes[0].entries.swap == atomic
            assert kernel.apply(plan).ok
            kept, added = sorted(kernel.ipset.entries("a"), key=str)
            assert (kept.packets, kept.bytes) == (5, 50)
            assert 90 <= (kept.timeout or 0) <= 100
            assert (added.packets, added.bytes) == (0, 0)


@pytest.mark.parametrize("scope", [None, ALL])
def test_promise_8_a_swap_loses_nothing_that_came_meanwhile(scope: ik.Scope | None) -> None:
    with filled(state(*HOSTS)) as kernel:
        plan = planned(kernel, state(*HOSTS, "10.0.1.1"), atomic=True, scope=scope)
        # As many as before, but not the same.
        kernel.ipset.delete("a", HOSTS[0])
        kernel.ipset.add("a", "10.9.9.9")
        kernel.forget()
        with pytest.raises(ik.StalePlan):
            kernel.apply(plan)
        assert not kernel.writes
        assert "10.9.9.9" in kernel.ipset.entries("a")


def test_promise_8_a_swap_may_find_that_some_have_expired() -> None:
    now = [0.0]
    with filled(state("10.0.0.1 timeout 10", "10.0.0.2", timeout=100), clock=lambda: now[0]) as kernel:
        plan = planned(kernel, state("10.0.0.2", "10.0.0.3", timeout=100), atomic=True)
        now[0] = 11.0
        assert kernel.apply(plan).ok
        plan = planned(kernel, state("10.0.0.2", timeout=100), atomic=True)
        kernel.ipset.add("a", "10.0.0.9")
        with pytest.raises(ik.StalePlan):
            kernel.apply(plan)


@pytest.mark.parametrize("atomic", [False, True])
def test_promise_8_what_a_rival_made_as_wanted_fits(atomic: bool) -> None:
    for wanted in (
        state("10.0.0.2", "10.0.0.3"),
        state("10.0.0.1", comment=True),
        state("10.0.0.0/8", type="hash:net"),
    ):
        with filled(state("10.0.0.1", "10.0.0.2")) as kernel:
            plan = planned(kernel, wanted, atomic=atomic)
            with Watched(same_as=kernel) as rival:
                assert rival.apply(planned(rival, wanted)).ok
            assert kernel.apply(plan).ok
            assert not planned(kernel, wanted)


def test_promise_7_a_set_that_cannot_be_read_is_not_called_stale() -> None:
    from ipvskit.testing.fake.ipset.lies import Refuse
    from ipvskit.testing.fake.ipset.names import Command

    with filled(state(*HOSTS)) as kernel:
        plan = planned(kernel, state("10.0.0.1"), atomic=True)
        kernel.sets.lie(Refuse(12), command=Command.LIST, nth=2)
        with pytest.raises(ik.KernelError):
            kernel.apply(plan)
        assert not kernel.writes
