"""How far `Kernel.apply` says it is.

Knows: objects, plans. Must not know: how changes are made.
"""

from __future__ import annotations

import pytest

import ipvskit as ik
from ipvskit.engine import progress
from ipvskit.testing.fake import FakeKernel

SERVICES = [
    ik.VirtualService(f"10.0.{n // 250}.{n % 250 + 1}:80/tcp", reals=[f"192.168.0.{at + 1}:80" for at in range(n % 4)])
    for n in range(40)
]
STATE = ik.State(
    services=SERVICES,
    sets=[
        ik.Set("allow", "hash:ip", entries=[f"192.0.2.{n}" for n in range(1, 100)]),
        ik.Set("deny", "hash:net", entries=["198.51.100.0/24"]),
    ],
    devices=[ik.Device("vips", kind="dummy", addresses=[f"10.0.0.{n}/32" for n in range(1, 30)])],
    sysctls={"conntrack": True},
)
OBJECTS = len(SERVICES) + sum(len(one.reals) for one in SERVICES) + (1 + 99) + (1 + 1) + (1 + 29) + 1


class Told(list[tuple[int, int]]):
    def __call__(self, done: int, total: int) -> None:
        self.append((done, total))

    def check(self, total: int) -> None:
        """It begins with nothing, ends with everything, and never goes back."""
        assert self[0] == (0, total)
        assert self[-1] == (total, total)
        assert sorted(self) == self
        assert {of for _, of in self} == {total}


@pytest.fixture
def kernel() -> FakeKernel:
    return FakeKernel()


@pytest.fixture(params=[7, 4096])
def portion(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Few together, so that portions end within services and sets; and as it is."""
    from ipvskit.engine import apply

    monkeypatch.setattr(progress, "PORTION", request.param)
    monkeypatch.setattr(progress, "_ADDRESSES", request.param)
    monkeypatch.setattr(apply, "PORTION", request.param)
    return int(request.param)


def changed(kernel: FakeKernel, state: ik.State, scope: ik.Scope | None = None) -> Told:
    told = Told()
    plan = ik.diff(kernel.snapshot(), state, scope=scope)
    kernel.apply(plan.guard(1.0), progress=told).raise_for_failures()
    assert not ik.diff(kernel.snapshot(), state, scope=scope)
    return told


def test_everything_from_nothing(kernel: FakeKernel, portion: int) -> None:
    told = changed(kernel, STATE)
    told.check(OBJECTS)
    assert len(told) > 8 if portion == 7 else len(told) > 3


def test_real_servers_entries_and_addresses_come_and_go(kernel: FakeKernel, portion: int) -> None:
    changed(kernel, STATE)
    keys = [one.key for one in SERVICES]
    moved = [one.replace(reals=[f"192.168.1.{at + 1}:80" for at in range(3)]) for one in SERVICES]
    reals = 3 * len(SERVICES) + sum(len(one.reals) for one in SERVICES)
    scope = ik.Scope(keys=keys, sets=["allow"])
    entries = [f"192.0.2.{n}" for n in range(1, 98)] + ["192.0.2.200"]
    state = ik.State(services=moved, sets=[ik.Set("allow", "hash:ip", entries=entries)])
    changed(kernel, state, scope).check(reals + 1 + 3)
    changed(kernel, ik.State(), ik.Scope(keys=keys)).check(len(SERVICES))


def test_what_cannot_be_done_is_done_with_as_well(kernel: FakeKernel, portion: int) -> None:
    state = ik.State(
        services=[*SERVICES[:3], ik.VirtualService("10.9.9.9:80/tcp", scheduler="nosuch", reals=["192.168.0.1:80"])],
        devices=[ik.Device("nosuch0", kind=None, addresses=["10.0.0.1/32"])],
    )
    told = Told()
    report = kernel.apply(ik.diff(kernel.snapshot(), state), progress=told)
    assert len(report.failures) == 2
    told.check(3 + 0 + 1 + 2 + 2 + 2)


def test_who_listens_may_give_up(kernel: FakeKernel) -> None:
    def enough(done: int, total: int) -> None:
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        kernel.apply(ik.diff(kernel.snapshot(), STATE), progress=enough)
    assert "of the plan until then" in str(caught.value.__notes__)
    left = ik.diff(kernel.snapshot(), STATE)
    kernel.apply(left).raise_for_failures()
    assert not ik.diff(kernel.snapshot(), STATE)
