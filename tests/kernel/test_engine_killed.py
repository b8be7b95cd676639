"""A controller with a ledger that is killed at any moment: the next one finds its way, and knows what is its own.

Knows: what a ledger has to be good for. Must not know: how it is kept.
"""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Any

import pytest

import ipvskit as ik
from ipvskit.ipset.replacing import TEMPORARY
from tests.kernel import engine_support as support
from tests.kernel.engine_child import Child
from tests.kernel.engine_support import foreign, plant_foreign
from tests.kernel.ipset_support import IN_A_GUEST, THOROUGH
from tests.lab import site as lab

if TYPE_CHECKING:
    from pathlib import Path

    from ipvskit.testing.namespaces import TestNetNS

pytestmark = pytest.mark.thorough

WHOLE = [pytest.param(False, id="sets", marks=pytest.mark.ipset), pytest.param(True, id="all", marks=pytest.mark.ipvs)]
#: All of it differs from one to the next: added, edited, swapped, made anew and deleted.
SETS: list[list[ik.Set]] = [
    [
        ik.Set("web-1", "hash:ip", entries=[f"10.1.0.{number}" for number in range(1, 200)]),
        ik.Set("web-2", "hash:net", entries=["10.0.0.0/8"]),
        ik.Set("web-list", "list:set", entries=["web-1", "web-2"]),
    ],
    [
        ik.Set("web-1", "bitmap:ip", range="10.1.0.0/24", entries=["10.1.0.7"]),
        ik.Set("web-2", "hash:net", maxelem=100, comment=True, entries=['10.0.0.0/9 comment "one"']),
        ik.Set("web-3", "hash:ip,port", entries=["10.1.0.1,tcp:80"]),
        ik.Set("web-list", "list:set", entries=["web-2", "web-3", "web-1"]),
    ],
    [ik.Set("web-2", "hash:ip", timeout=600, entries=[]), ik.Set("web-3", "hash:ip,port")],
]


def states(*, ipvs: bool) -> list[ik.State]:
    if not ipvs:
        return [ik.State(sets=sets) for sets in SETS]
    services = [
        [
            "192.0.2.1:80/tcp scheduler=rr\n-> 10.0.0.1:80\n-> 10.0.0.2:80",
            "192.0.2.2:80/tcp\n-> 10.0.0.1:80",
            "fwmark:7/v4",
        ],
        [
            "192.0.2.1:80/tcp scheduler=wlc\n-> 10.0.0.2:80 weight=7\n-> 10.0.0.3:80",
            "[2001:db8::1]:80/tcp\n-> [2001:db8:1::1]:80",
        ],
        ["192.0.2.2:80/tcp\n-> 10.0.0.1:80 weight=3", "192.0.2.1:80/udp scheduler=mh\n-> 10.0.0.1:80"],
    ]
    devices = [["vip0\n192.0.2.1\n192.0.2.2"], ["vip0 up=no\n192.0.2.1\n2001:db8::1", "vip1\n192.0.2.9"], []]
    return [
        ik.State(some, sets=sets, devices=own, sysctls={"sloppy_tcp": bool(number % 2)}, timeouts=ik.Timeouts(100 + number, 20, 20))
        for number, (some, sets, own) in enumerate(zip(services, SETS, devices, strict=True))
    ]  # fmt: skip


def ours(kernel: ik.Kernel) -> set[Any]:
    """The keys of everything but what `plant_foreign` made, and what a namespace has from the beginning."""
    snapshot = kernel.snapshot()
    found: set[Any] = {key for key in snapshot.services if not str(key).startswith(("203.0.113.", "fwmark:4294967295"))}
    found |= {ik.SetKey(name) for name in snapshot.sets if not name.startswith("theirs")}
    return found | {ik.DeviceKey(name) for name in snapshot.devices if name.startswith("vip")}


def check_ledger(kernel: ik.Kernel, ledger: ik.Ledger, state: ik.State) -> None:
    """It names all that is the controller's, and nothing that others may make."""
    objects = {key for key in ledger.keys if not isinstance(key, ik.SysctlKey | ik.TimeoutsKey)}
    assert objects == ours(kernel)
    assert objects == {key for key in state.keys() if not isinstance(key, ik.SysctlKey | ik.TimeoutsKey)}  # noqa: SIM118 - a state is no dict
    assert not ledger.draining


def check_after_kill(kernel: ik.Kernel, child: Child, state: ik.State) -> None:
    """What is true right after the kill, and after the next pass."""
    assert ours(kernel) <= ik.Ledger(child.ledger).keys
    ledger = ik.Ledger(child.ledger)
    done = ik.reconcile(kernel, state, ledger=ledger, max_deletes=1.0)
    assert done.ok, (str(done.report), str(done.left))
    assert not [name for name in kernel.ipset.names() if name.startswith(TEMPORARY)]
    for book in (ledger, ik.Ledger(child.ledger)):
        check_ledger(kernel, book, state)


@pytest.mark.parametrize("ipvs", WHOLE)
@pytest.mark.parametrize("atomic", [False, True], ids=["edited", "atomic"])
def test_before_every_send(namespace: TestNetNS, ipvs: bool, atomic: bool, tmp_path: Path) -> None:
    support.load_ipv6()
    all_states = states(ipvs=ipvs)
    # In a guest each takes several times as long, and the host has tried those about sets already.
    step = 1 if THOROUGH or not IN_A_GUEST else 4 if ipvs and not atomic else 10
    kills = 0
    with Child(namespace, tmp_path / "ledger") as child, ik.Kernel(namespace) as kernel:
        plant_foreign(kernel, namespace, ipvs=ipvs)
        theirs = foreign(kernel, ipvs=ipvs)
        for before, after in ((0, 1), (1, 2), (2, 0)):
            for send in range(after % step, 200, step):
                base, wanted = all_states[before], all_states[after]
                assert ik.reconcile(kernel, base, ledger=ik.Ledger(child.ledger), max_deletes=1.0).ok
                killed = child.reconcile(wanted, send=send, atomic=atomic)
                kills += killed
                # The next controller wants the same, what was there before, or something else.
                check_after_kill(kernel, child, all_states[(after + send) % 3])
                assert foreign(kernel, ipvs=ipvs) == theirs
                if not killed:
                    break
            else:
                raise AssertionError("it never came to its end")
        done = ik.reconcile(kernel, ik.State(), ledger=ik.Ledger(child.ledger), max_deletes=1.0)
        assert done.ok
        assert not ours(kernel)
        assert foreign(kernel, ipvs=ipvs) == theirs
    assert kills > 40 // step


@pytest.mark.parametrize("ipvs", WHOLE)
def test_at_any_moment(namespace: TestNetNS, ipvs: bool, tmp_path: Path) -> None:
    support.load_ipv6()
    all_states = states(ipvs=ipvs)
    chance = random.Random(7)
    with Child(namespace, tmp_path / "ledger") as child, ik.Kernel(namespace) as kernel:
        plant_foreign(kernel, namespace, ipvs=ipvs)
        theirs = foreign(kernel, ipvs=ipvs)
        for _ in range(100 if THOROUGH else 12 if IN_A_GUEST else 30):
            state = chance.choice(all_states)
            assert child.reconcile(state, after=chance.uniform(0.01, 0.2), atomic=chance.random() < 0.5)
            check_after_kill(kernel, child, chance.choice(all_states))
            assert foreign(kernel, ipvs=ipvs) == theirs


@pytest.mark.ipvs
def test_while_real_servers_drain(tmp_path: Path) -> None:
    """What was taken for draining is given back, and the deadline counts from the first time, whoever goes on with it."""
    with lab.opened(2) as site, Child(site.topology.director.netns, tmp_path / "ledger") as child:
        kills = 0
        for send in range(30):
            key = site.key()
            kept = [site.real(name, key, weight=ik.KEEP) for name in ("r1", "r2")]
            both = ik.State([ik.VirtualService(key, scheduler="rr", reals=kept)])
            one = ik.State([ik.VirtualService(key, scheduler="rr", reals=kept[1:])])
            ledger = ik.Ledger(child.ledger)
            assert ik.reconcile(site.kernel, both, ledger=ledger, max_deletes=1.0).ok
            site.ipvs.update_real(key, site.real("r1", key), weight=5)
            with site.client.held(key, 2) as lines:
                names = [line.ask() for line in lines]
                assert set(names) == {"r1", "r2"}
                began = time.time()
                killed = child.reconcile(one, send=send, drain=600)
                kills += killed
                with ik.Kernel(site.topology.director.netns) as next_one:
                    time.sleep(0.02)
                    done = ik.reconcile(next_one, one, ledger=ik.Ledger(child.ledger), drain=ik.Drain(deadline=600), max_deletes=1.0)  # fmt: skip
                    assert done.ok
                    (waiting,) = done.report.draining
                    assert waiting.left is not None
                    assert waiting.left <= 600
                    if not killed:
                        assert waiting.left <= 600 - 0.02
                    assert began < time.time() - (600 - waiting.left) + 1
                    assert [line.ask() for line in lines] == names
                with ik.Kernel(site.topology.director.netns) as last_one:
                    again = ik.reconcile(last_one, both, ledger=ik.Ledger(child.ledger), max_deletes=1.0)
                    assert again.ok
                    weights = {real.endpoint: real.weight for real in last_one.ipvs.reals(key)}
                    assert weights[kept[0].endpoint] == 5, f"killed before send {send}"
                    assert not ik.Ledger(child.ledger).draining
                assert [line.ask() for line in lines] == names
            if not killed:
                break
        assert kills > 3
