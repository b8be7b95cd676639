"""Random plans applied under load: no connection of a service that stays fails, and none to a drained real server is lost.

Knows: what clients may never notice. Must not know: how plans are made or applied.
"""

from __future__ import annotations

import random
import threading
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Self

import pytest

import ipvskit as ik
from tests.kernel.ipset_support import THOROUGH
from tests.lab import site as lab

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.lab.site import Site
    from tests.lab.traffic import Line

pytestmark = pytest.mark.ipvs

PLANS = 1000 if THOROUGH else 250
#: Not "sh": it refuses clients that it has given to a real server of weight 0, unless it is told to fall back (docs/kernel-notes.md).
SCHEDULERS = ("rr", "wrr", "lc", "wlc", "sed")
REALS = ("r1", "r2", "r3", "r4")


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with lab.opened(len(REALS)) as opened:
        # What gets lost never comes; what is late because the machine is busy does.
        opened.client._timeout = 60.0
        yield opened


class Load(threading.Thread):
    """Short connections, one after the other, to each of some services."""

    def __init__(self, site: Site, keys: list[ik.ServiceKey]) -> None:
        super().__init__()
        self._site, self._keys = site, keys
        self._end = threading.Event()
        self.asked = 0
        self.failed: list[str] = []

    def run(self) -> None:
        while not self._end.is_set():
            for key in self._keys:
                try:
                    self._site.client.ask(key)
                except (OSError, AssertionError) as error:
                    self.failed.append(f"{key}: {error!r}")
                self.asked += 1
            time.sleep(0.001)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self.join(30)


def random_state(site: Site, keys: list[ik.ServiceKey], chance: random.Random, number: int) -> ik.State:
    """Every service with some of the real servers, at least one of which has a weight; other things come and go beside them."""
    services = []
    for key in keys:
        some = chance.sample(REALS, chance.randint(1, len(REALS)))
        weights = [chance.choice((1, 1, 5, 50)), *(chance.choice((0, 1, 5)) for _ in some[1:])]
        reals = [site.real(name, key, weight=weight) for name, weight in zip(some, weights, strict=True)]
        persistent = 60 if key is keys[-1] else None
        services.append(
            ik.VirtualService(key, scheduler=chance.choice(SCHEDULERS), persistence_timeout=persistent, reals=reals)
        )
    beside = [
        ik.VirtualService(f"10.9.{chance.randint(0, 1)}.{chance.randint(1, 3)}:80/tcp", reals=["10.9.9.9:80"])
        for _ in range(chance.randint(0, 1))
    ]
    addresses = chance.sample(["10.9.0.1", "10.9.0.2", "10.9.1.1"], chance.randint(0, 3))
    return ik.State(
        services + beside,
        sets=[ik.Set("load", "hash:ip", entries=[f"10.8.0.{one}" for one in range(1, 2 + number % 7)])],
        devices=[ik.Device("beside", up=False, addresses=addresses)],
    )


def test_plans_under_load(site: Site) -> None:
    keys = [site.key(), site.key(protocol="udp"), site.key()]
    chance = random.Random(20)
    scope = ik.Scope(vips=["10.9.0.0/16", str(keys[0].address)], sets=["load"], devices=["beside"])
    drain = ik.Drain(udp="wait")
    first = ik.State([ik.VirtualService(key, reals=[site.real(name, key) for name in REALS]) for key in keys[:2]])
    ik.reconcile(
        site.kernel,
        first.updated([ik.VirtualService(keys[2], persistence_timeout=60, reals=[site.real("r1", keys[2])])]),
        scope=scope,
    )
    changes, draining = 0, 0
    with ExitStack() as stack:
        lines: list[Line] = []
        for key in (keys[0], keys[2]):
            lines += stack.enter_context(site.client.held(key, 6))
        names = [line.ask() for line in lines]
        load = stack.enter_context(Load(site, keys))
        for number in range(PLANS):
            state = random_state(site, keys, chance, number)
            plan = ik.diff(site.kernel.snapshot(scope), state, scope=scope, drain=drain)
            report = site.kernel.apply(plan.guard(1.0))
            report.raise_for_failures()
            changes += len(plan)
            draining += len(report.draining)
            if number % 5 == 0:
                assert [line.ask() for line in lines] == names, f"after plan {number}:\n{plan}"
    assert not load.failed, load.failed[:5]
    assert load.asked > PLANS // 10
    assert changes > PLANS
    assert draining > 0
    print(f"{PLANS} plans with {changes} changes, {load.asked} connections, {draining} times draining")


def test_a_deadline_cuts_and_an_empty_real_server_goes_at_once(site: Site) -> None:
    key = site.key()
    both = ik.State([ik.VirtualService(key, scheduler="rr", reals=[site.real("r1", key), site.real("r2", key)])])
    one = ik.State([ik.VirtualService(key, scheduler="rr", reals=[site.real("r1", key)])])
    scope = ik.Scope(keys=[key])
    ik.reconcile(site.kernel, both, scope=scope)
    with site.client.held(key, 2) as lines:
        names = [line.ask() for line in lines]
        drain = ik.Drain(deadline=1.0, interval=0.2)
        done = ik.reconcile(site.kernel, one, only=[key], scope=scope, drain=drain, max_deletes=1.0)
        assert done.ok
        assert done.requeue_after is not None
        assert [line.ask() for line in lines] == names
        assert site.client.count(key, 4) == {"r1": 4}
        lab.eventually(
            lambda: (
                ik.reconcile(site.kernel, one, only=[key], scope=scope, drain=drain, max_deletes=1.0).report.converged
            ),
            True,
        )
        assert [real.endpoint for real in site.ipvs.reals(key)] == [site.real("r1", key).endpoint]
        assert lines[names.index("r1")].ask() == "r1"
