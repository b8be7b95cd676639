"""Real servers that are drained and go, under every kind of load: nobody who talks, asks or comes back notices.

Knows: what clients do, and what they may never notice. Must not know: how plans are made or applied.

Beside test_engine_traffic, drains come to their end here: connections that were closed are not waited for.
"""

from __future__ import annotations

import random
import re
import threading
import time
from collections import Counter
from contextlib import ExitStack
from typing import TYPE_CHECKING, Self

import pytest

import ipvskit as ik
from tests.kernel.ipset_support import THOROUGH
from tests.lab import site as lab
from tests.lab.topology import CLIENT, CROWD, VIPS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.lab.site import Site
    from tests.lab.topology import Topology
    from tests.lab.traffic import Line

pytestmark = [pytest.mark.ipvs, pytest.mark.thorough]

SECONDS, PLANS = (120.0, 10_000) if THOROUGH else (40.0, 300)
REALS = ("r1", "r2", "r3", "r4")
#: Those that pass over real servers of weight 0.
SCHEDULERS = ("rr", "wrr", "lc", "wlc", "sed", "nq")
SET = "load-allow"
SENDERS = [str(CLIENT[0].network), str(CROWD[0]), "10.0.1.0/24"]

#: Why no rule refers to the set; nothing where one does.
no_rule: list[str] = []


def guard(topology: Topology) -> None:
    """Drop what does not come from an address in the set."""
    no_rule.clear()
    run = topology.director.netns.run
    run(["ipset", "create", SET, "hash:net"])
    for network in SENDERS:
        run(["ipset", "add", SET, network])
    rule = ["INPUT", "-i", "br0", "-m", "set", "!", "--match-set", SET, "src", "-j", "DROP"]
    done = run(["iptables-legacy", "-A", *rule], check=False)
    if done.returncode == 0:
        return
    no_rule.append(done.stderr.strip().splitlines()[-1])
    match = f"protocol ip basic match 'not ipset({SET} src)' action drop"
    done = run(["tc", "-batch", "-"], input=f"qdisc add dev br0 ingress\nfilter add dev br0 parent ffff: {match}\n", check=False)  # fmt: skip
    if done.returncode == 0:
        no_rule.clear()
    else:
        no_rule.append(done.stderr.strip())


def dropped(topology: Topology) -> int:
    """How many packets were dropped because their sender was not in the set."""
    run = topology.director.netns.run
    listed = run(["iptables-legacy", "-nvxL", "INPUT"], check=False).stdout
    found = re.search(r"^ *(\d+) .*DROP", listed, re.MULTILINE)
    if found is None:
        found = re.search(r"dropped (\d+)", run(["tc", "-s", "filter", "show", "dev", "br0", "parent", "ffff:"]).stdout)
    assert found is not None
    return int(found[1])


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with lab.opened(len(REALS), prepare=guard) as opened:
        yield opened


class Load(threading.Thread):
    """Clients of some services until the end: `short` ones that ask once, from many addresses, and `long` ones that go on talking for a while."""

    def __init__(self, site: Site, keys: list[ik.ServiceKey]) -> None:
        super().__init__(name="load")
        self._site, self._keys = site, keys
        self._chance = random.Random(4)
        self._end = threading.Event()
        self._lines: list[tuple[ik.ServiceKey, Line]] = []
        self.done: Counter[str] = Counter()
        self.failed: list[str] = []

    def run(self) -> None:
        while not self._end.is_set():
            for key in self._keys:
                self._try("short", key, lambda key=key: self._site.client.ask(key, source=self._source(key)))
            for _ in range(4):
                self._talk()
            time.sleep(0.001)
        for _, line in self._lines:
            line.close()

    def _source(self, key: ik.ServiceKey) -> str:
        network = CROWD[0] if key.family is ik.Family.IPV4 else CROWD[1]
        return str(network.network_address + self._chance.randint(1, 200))

    def _talk(self) -> None:
        chance = self._chance
        if len(self._lines) < 16:
            key = chance.choice([key for key in self._keys if key.protocol == "tcp"])
            self._try("long", key, lambda: self._lines.append((key, self._site.client.open(key, source=self._source(key)))))  # fmt: skip
            return
        at = chance.randrange(len(self._lines))
        key, line = self._lines[at]
        self._try("questions", key, line.ask)
        if chance.random() < 0.1:
            self._lines.pop(at)
            line.close(reset=chance.random() < 0.3)

    def _try(self, what: str, key: ik.ServiceKey, act: object) -> None:
        try:
            act()  # type: ignore[operator]
        except (OSError, AssertionError) as error:
            self.failed.append(f"{what}, {key}: {error!r}")
        self.done[what] += 1

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self.join(30)


def random_state(site: Site, keys: list[ik.ServiceKey], chance: random.Random) -> ik.State:
    """Every service with some real servers, one of them with a weight at least; other services, addresses and a firewall's set beside them."""
    services = []
    for key in keys:
        some = chance.sample(REALS, chance.randint(1, len(REALS)))
        weights = [chance.choice((1, 5)), *(chance.choice((0, 1, 5)) for _ in some[1:])]
        reals = [site.real(name, key, weight=weight) for name, weight in zip(some, weights, strict=True)]
        persistent = 60 if key is keys[-1] else None
        services.append(ik.VirtualService(key, scheduler=chance.choice(SCHEDULERS), persistence_timeout=persistent, reals=reals))  # fmt: skip
    beside = [f"10.9.0.{number}" for number in chance.sample(range(1, 9), chance.randint(0, 4))]
    services += [ik.VirtualService(f"{address}:80/tcp", reals=["10.0.1.11:8001"]) for address in beside]
    others = [f"203.0.113.{number}" for number in range(1, chance.choice((2, 9, 200)))]
    return ik.State(
        services,
        sets=[ik.Set(SET, "hash:net", entries=[*SENDERS, *others], comment=chance.random() < 0.3, maxelem=chance.choice((1000, 2000)))],
        devices=[ik.Device("vip0", addresses=[*VIPS, *beside])],
        sysctls={"expire_quiescent_template": True},
    )  # fmt: skip


def test_nobody_notices(site: Site) -> None:
    keys = [site.key(), site.key(), site.key(6), site.key(protocol="udp"), site.key(6, "udp"), site.key()]
    scope = ik.Scope(vips=["10.9.0.0/24", *VIPS], sets=["load-*"], devices=["vip0"])
    chance = random.Random(21)
    # An UDP answer is there before anybody looks; where a connection is closing, all was said.
    drain = ik.Drain(inactive=False)
    assert ik.reconcile(site.kernel, random_state(site, keys, chance), scope=scope, max_deletes=1.0).ok
    outcomes: Counter[str] = Counter()
    plans = changes = 0
    with ExitStack() as stack:
        held = [line for key in (keys[0], keys[2]) for line in stack.enter_context(site.client.held(key, 4))]
        names = [line.ask() for line in held]
        load = stack.enter_context(Load(site, keys))
        end = time.monotonic() + SECONDS
        while plans < PLANS and time.monotonic() < end:
            state = random_state(site, keys, chance)
            for _ in range(2):
                plan = ik.diff(site.kernel.snapshot(scope), state, scope=scope, drain=drain, atomic=plans % 3 == 0)
                report = site.kernel.apply(plan.guard(1.0))
                report.raise_for_failures()
                plans, changes = plans + 1, changes + len(plan)
                outcomes.update(f"{one.change.action} {one.status}" for one in report.outcomes)
                assert not load.failed, f"{load.failed[:5]} after\n{plan}"
            assert [line.ask() for line in held] == names
    print(f"{plans} plans, {changes} changes, {dict(load.done)}, failed: {len(load.failed)}, {dict(outcomes)}")
    assert not load.failed, load.failed[:5]
    assert plans > 50
    assert load.done["short"] > plans
    assert load.done["long"] > 20
    # Drains came to their end, and some had to wait.
    assert outcomes["drain done"] > plans // 2
    assert outcomes["drain draining"] > 10


def test_the_firewall_let_everybody_through(site: Site) -> None:
    if no_rule:
        pytest.skip("no rule can refer to a set: " + "; ".join(no_rule))
    # It does drop those that are not in the set.
    before = dropped(site.topology)
    key = site.add("rr")
    assert before == 0
    site.kernel.ipset.replace(SET, ["203.0.113.1"])
    with pytest.raises(TimeoutError):
        site.client.ask(key, timeout=0.5)
    assert dropped(site.topology) > 0
