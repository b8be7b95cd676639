"""Random clusters: what holds of every state, and that tracking comes to the same as translating everything.

Knows: the rules that any state keeps. Must not know: how it is computed.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

import ipvskit as ik
from ipvskit import kube
from ipvskit.kube.iptables import document
from tests.property.kube_clusters import OBJECTS, clusters, identity
from tests.unit.kube_cluster import NODE, entries

CONFIGS = st.builds(
    kube.Config,
    scheduler=st.sampled_from(["rr", "mh"]),
    node_port_addresses=st.sampled_from([(), ("primary",), ("10.0.0.0/8", "fe80::/10")]),
    internal_fallback=st.booleans(),
    external_fallback=st.booleans(),
    capture_node_addresses=st.booleans(),
    source_ranges_fail_closed=st.booleans(),
    maxelem=st.sampled_from([None, 1]),
)
PLAIN = (
    kube.Role.CLUSTER_IP,
    kube.Role.EXTERNAL_IP,
    kube.Role.EXTERNAL_IP_LOCAL,
    kube.Role.LOAD_BALANCER,
    kube.Role.LOAD_BALANCER_FW,
    kube.Role.LOAD_BALANCER_LOCAL,
    kube.Role.NODE_PORT_SCTP_HASH,
    kube.Role.NODE_PORT_LOCAL_SCTP_HASH,
)
SOURCES = (kube.Role.LOAD_BALANCER_SOURCE_IP, kube.Role.LOAD_BALANCER_SOURCE_CIDR)
NODE_PORTS = {
    "tcp": (kube.Role.NODE_PORT_TCP, kube.Role.NODE_PORT_LOCAL_TCP),
    "udp": (kube.Role.NODE_PORT_UDP, kube.Role.NODE_PORT_LOCAL_UDP),
}


def in_set(found: kube.FamilyState, role: kube.Role) -> set[str]:
    return set(entries(found, kube.set_name(role, found.family)))


def as_entry(key: ik.ServiceKey) -> str:
    return f"{key.address},{key.protocol}:{key.port}"


def usable(objects: list[dict[str, Any]]) -> tuple[set[str], set[str]]:
    """All endpoints that any slice says can be used, and all that are on this node."""
    good, here = set(), set()
    for each in objects:
        for one in each.get("endpoints", ()):
            conditions = one["conditions"]
            ready, serving = conditions["ready"] is not False, conditions["serving"] is not False
            for port in each["ports"]:
                address = one["addresses"][0]
                place = f"[{address}]:{port['port']}" if ":" in address else f"{address}:{port['port']}"
                if ready or (serving and conditions["terminating"]):
                    good.add(place)
                if one.get("nodeName") == "n1":
                    here.add(f"{address},{port['protocol'].lower()}:{port['port']},{address}")
    return good, here


@given(clusters(), CONFIGS)
@settings(max_examples=300, deadline=None)
def test_what_holds_of_every_state(objects: list[dict[str, Any]], config: kube.Config) -> None:
    good, here = usable(objects)
    for found in kube.translate(objects, NODE, config).values():
        services = found.state.services
        known = {as_entry(key) for key in services}
        for one in services.values():
            assert {real.endpoint for real in one.reals} <= good
        bound = {str(address.ip) for address in found.state.devices["kube-ipvs0"].addresses}
        assert bound == in_set(found, kube.Role.IPVS_IPS)
        assert bound <= {str(key.address) for key in services}
        assert not bound & {str(address.ip) for address in NODE.addresses["eth0"]}
        plain = {role: in_set(found, role) for role in PLAIN}
        for role, held in plain.items():
            assert held <= known, role
        for role in SOURCES:
            assert {entry.rpartition(",")[0] for entry in in_set(found, role)} <= plain[kube.Role.LOAD_BALANCER_FW]
        assert (
            plain[kube.Role.LOAD_BALANCER_FW] | plain[kube.Role.LOAD_BALANCER_LOCAL] <= plain[kube.Role.LOAD_BALANCER]
        )
        assert {f"{drop.address},{drop.protocol}:{drop.port}" for drop in found.drops} <= plain[
            kube.Role.LOAD_BALANCER_FW
        ]
        assert in_set(found, kube.Role.LOOP_BACK) <= here
        every = set().union(*plain.values())
        for protocol, (everything, local) in NODE_PORTS.items():
            node_ports = in_set(found, everything)
            assert in_set(found, local) <= node_ports
            assert node_ports <= {str(key.port) for key in services if key.protocol == protocol}
            every |= {as_entry(key) for key in services if key.protocol == protocol and str(key.port) in node_ports}
        assert known <= every
        assert set(found.drains) <= set(services)
        assert ik.State(services.values(), sets=found.state.sets.values()).services == services
        for key in services:
            assert key in found.scope


@given(clusters(), st.randoms(use_true_random=False), CONFIGS)
@settings(max_examples=150, deadline=None)
def test_the_order_of_objects_does_not_matter(objects: list[dict[str, Any]], random: Any, config: kube.Config) -> None:
    first = kube.translate(objects, NODE, config)
    shuffled = objects[:]
    random.shuffle(shuffled)
    again = kube.translate([{"kind": "List", "items": shuffled}], NODE, config)
    assert first == again
    assert first.state == again.state
    assert first.diagnostics == again.diagnostics
    for family, found in first.items():
        assert found.iptables == again[family].iptables


class Mirror:
    """What somebody has who only ever saw what changed."""

    def __init__(self) -> None:
        self.services: dict[ik.ServiceKey, Any] = {}
        self.entries: dict[str, set[str]] = defaultdict(set)
        self.addresses: set[str] = set()
        self.iptables: dict[ik.Family, str] = {}
        self.health: dict[ik.Family, Any] = {}

    def follow(self, changes: kube.NodeChanges) -> None:
        for family, each in changes.items():
            for key, one in each.services.items():
                assert self.services.get(key) != one
                if one is None:
                    del self.services[key]
                else:
                    self.services[key] = one
            for name, change in each.sets.items():
                assert not self.entries[name] & set(change.added)
                assert self.entries[name] >= set(change.removed)
                self.entries[name] = self.entries[name] - set(change.removed) | set(change.added)
                assert len(change.after.entries) == len(self.entries[name])
            self.addresses -= set(map(str, each.removed))
            self.addresses |= set(map(str, each.added))
            if each.iptables is not None:
                self.iptables[family] = each.iptables
            if each.health_checks is not None:
                self.health[family] = each.health_checks

    def check(self, whole: kube.NodeState) -> None:
        assert self.services == dict(whole.state.services)
        for name, held in whole.state.sets.items():
            # Networks of a single address are listed without their length.
            assert len(self.entries[name]) == len(held.entries)
            assert all(entry in held.entries for entry in self.entries[name])
        assert self.addresses == {str(address) for address in whole.state.devices["kube-ipvs0"].addresses}
        for family, found in whole.items():
            assert self.iptables[family] == document(found.rules, with_jumps=False)
            assert self.health[family] == found.health_checks


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), OBJECTS),
        st.tuples(st.just("put"), OBJECTS),
        st.tuples(st.just("delete"), st.integers(0, 20)),
        st.tuples(st.just("resync"), clusters(3)),
        st.tuples(st.just("take"), st.none()),
        st.tuples(st.just("states"), st.none()),
    ),
    max_size=25,
)


@given(clusters(3), STEPS, CONFIGS)
@settings(max_examples=250, deadline=None)
def test_tracking_comes_to_the_same(start: list[dict[str, Any]], steps: list[Any], config: kube.Config) -> None:
    tracker, mirror = kube.Tracker(NODE, config), Mirror()
    tracker.resync(start)
    there = {identity(each): each for each in start}
    for step, value in steps:
        if step == "put":
            there[identity(value)] = value
            tracker.event({"type": "MODIFIED", "object": value})
        elif step == "delete" and there:
            gone = there.pop(sorted(there, key=str)[value % len(there)])
            tracker.delete(gone)
        elif step == "resync":
            there = {identity(each): each for each in value}
            tracker.resync(value)
        elif step == "take":
            mirror.follow(tracker.take())
        elif step == "states":
            assert tracker.states() == kube.translate(there.values(), NODE, config)
    mirror.follow(tracker.take())
    whole = tracker.states()
    expected = kube.translate(there.values(), NODE, config)
    assert whole == expected
    assert whole.state == expected.state
    mirror.check(whole)
    assert not tracker.take()
