"""Events in, changed keys out.

Knows: the tracker. Must not know: how it keeps what it knows.
"""

from __future__ import annotations

from typing import Any

import pytest

import ipvskit as ik
from ipvskit import kube
from tests.unit.kube_cluster import BOTH, NODE, V4, V6, endpoint, port, service, slice_of

VIP = ik.ServiceKey.parse("10.96.0.10:80/tcp")
FAR = slice_of("web", endpoint("10.0.0.2"))


def tracker(*objects: Any) -> kube.Tracker:
    made = kube.Tracker(NODE)
    made.add(objects)
    made.take()
    return made


def names(changes: kube.NodeChanges) -> list[str]:
    return sorted(map(str, changes.touched))


def test_the_first_time_everything_is_new() -> None:
    made = kube.Tracker(NODE)
    made.add([service(), BOTH])
    changes = made.take()
    whole = made.states()
    assert changes.state.services == whole.state.services
    assert changes.state.sets == whole.state.sets
    assert changes.state.devices == whole.state.devices
    assert changes[V4].sets["KUBE-CLUSTER-IP"].added == ("10.96.0.10,tcp:80",)
    assert changes[V6].iptables is not None
    assert not made.take()
    assert kube.Tracker(NODE).take().device == ik.Device("kube-ipvs0", up=False)


def test_a_slice_changes_one_virtual_service() -> None:
    made = tracker(service(), service("other", ("10.96.0.11",)), FAR)
    made.update(slice_of("web", endpoint("10.0.0.2"), endpoint("10.0.0.3")))
    changes = made.take()
    assert names(changes) == ["10.96.0.10:80/tcp"]
    assert [real.endpoint for real in changes.state.services[VIP].reals] == ["10.0.0.2:8080", "10.0.0.3:8080"]
    assert (changes.device, changes[V4].iptables, changes[V4].health_checks) == (None, None, None)
    assert bool(changes)
    assert not changes[V6]


def test_a_local_endpoint_changes_a_set_too() -> None:
    made = tracker(service(), FAR)
    made.update(BOTH)
    changes = made.take()
    assert names(changes) == ["10.96.0.10:80/tcp", "set:KUBE-LOOP-BACK"]
    assert changes[V4].sets["KUBE-LOOP-BACK"].added == ("10.0.0.1,tcp:8080,10.0.0.1",)
    assert "KUBE-LOOP-BACK" in (changes[V4].iptables or "")
    made.update(FAR)
    changes = made.take()
    assert changes[V4].sets["KUBE-LOOP-BACK"].removed == ("10.0.0.1,tcp:8080,10.0.0.1",)
    assert not changes[V4].sets["KUBE-LOOP-BACK"].after.entries
    assert "KUBE-LOOP-BACK" not in (changes[V4].iptables or "KUBE-LOOP-BACK")


def test_a_service_comes_and_goes() -> None:
    made = tracker(service("other", ("10.96.0.11",)))
    made.event({"type": "ADDED", "object": service()})
    changes = made.take()
    assert names(changes) == ["10.96.0.10:80/tcp", "device:kube-ipvs0", "set:KUBE-CLUSTER-IP", "set:KUBE-IPVS-IPS"]
    assert [str(address) for address in changes[V4].added] == ["10.96.0.10/32"]
    assert changes.device is not None
    assert len(changes.device.addresses) == 2
    made.event({"type": "DELETED", "object": service()})
    changes = made.take()
    assert changes[V4].services == {VIP: None}
    assert [str(address) for address in changes[V4].removed] == ["10.96.0.10/32"]
    assert VIP in changes.scope
    assert not changes.state.services


def test_what_comes_back_before_anybody_looks_is_no_change() -> None:
    made = tracker(service(), BOTH)
    made.delete([service(), BOTH])
    assert not made.states().state.services
    made.add([service(), BOTH])
    assert not made.take()


def test_an_update_without_a_difference_is_no_change() -> None:
    made = tracker(service(), BOTH)
    made.update([service(labels={"app": "x"}), BOTH])
    assert not made.take()


def test_states_and_changes_do_not_disturb_each_other() -> None:
    made = tracker(service(), FAR)
    before = made.states()
    made.update(BOTH)
    after = made.states()
    assert made.take()[V4].services[VIP] == after.state.services[VIP] != before.state.services[VIP]
    assert len(before[V4].state.sets["KUBE-LOOP-BACK"].entries) == 0
    assert after == made.states() == kube.translate([service(), BOTH], NODE)


def test_a_label_takes_an_object_away() -> None:
    made = tracker(service(), BOTH)
    made.update(service(labels={"service.kubernetes.io/service-proxy-name": "x"}))
    assert made.take()[V4].services == {VIP: None}


def test_a_slice_moves_to_another_service() -> None:
    made = tracker(service(), service("other", ("10.96.0.11",)), FAR)
    made.update(slice_of("other", endpoint("10.0.0.2"), name="web-abc"))
    changes = made.take()[V4].services
    assert {str(key): len(one.reals) for key, one in changes.items() if one} == {
        "10.96.0.10:80/tcp": 0,
        "10.96.0.11:80/tcp": 1,
    }


def test_slices_that_come_before_their_service() -> None:
    made = tracker(BOTH)
    made.add(service())
    (found,) = made.take().state.services.values()
    assert len(found.reals) == 2


def test_resync_takes_away_what_is_not_listed() -> None:
    made = tracker(
        service(), service("other", ("10.96.0.11",)), BOTH, {"kind": "Service", "metadata": {"name": "bad"}, "spec": 7}
    )
    made.resync([service()])
    assert made.states() == kube.translate([service()], NODE)
    assert made.take()[V4].services[VIP] is not None


def test_health_checks_are_told_when_their_count_changes() -> None:
    given = service(type="LoadBalancer", healthCheckNodePort=32000, externalTrafficPolicy="Local")
    made = tracker(given, FAR)
    made.update(BOTH)
    assert made.take()[V4].health_checks == (kube.HealthCheck("default", "web", 32000, 1, ("0.0.0.0",)),)


def test_a_conflict_is_settled_anew_when_an_age_changes() -> None:
    shared: dict[str, Any] = {"externalIPs": ["203.0.113.1"]}
    made = tracker(service("a", **shared), service("b", ("10.96.0.11",), **shared), slice_of("b", endpoint("10.0.0.2")))
    key = ik.ServiceKey.parse("203.0.113.1:80/tcp")
    assert made.states().state.services[key].reals == ()
    made.update(service("b", ("10.96.0.11",), created="2020-01-01T00:00:00Z", **shared))
    assert list(made.take()[V4].services) == [key]
    assert len(made.states().state.services[key].reals) == 1


def test_the_loser_changes_and_nothing_happens() -> None:
    shared: dict[str, Any] = {"externalIPs": ["203.0.113.1"]}
    made = tracker(service("a", **shared), service("b", ("10.96.0.11",), **shared))
    made.add(slice_of("b", endpoint("10.0.0.2")))
    assert names(made.take()) == ["10.96.0.11:80/tcp"]
    made.delete(service("a"))
    found = made.take().state.services[ik.ServiceKey.parse("203.0.113.1:80/tcp")]
    assert [real.endpoint for real in found.reals] == ["10.0.0.2:8080"]


def test_two_ports_that_change_places() -> None:
    """A node port and an external IP with its port: the first port of the Service has it, whichever that is."""
    one, two = port(30080, "a"), port(80, "b", nodePort=30080)
    given: dict[str, Any] = {"externalIPs": ["172.18.0.2"]}
    config = kube.Config(capture_node_addresses=True)
    made = kube.Tracker(NODE, config)
    for ports in ([one, two], [two, one], [two], [one], [one, two]):
        made.update(service(ports=ports, **given))
        assert made.states() == kube.translate([service(ports=ports, **given)], NODE, config)


@pytest.mark.parametrize("kind", ["ERROR", None, 7])
def test_events_that_are_none(kind: Any) -> None:
    made = tracker()
    made.event({"type": "BOOKMARK", "object": {"kind": "Service", "metadata": {"resourceVersion": "7"}}})
    assert not made.take()
    with pytest.raises(ik.InvalidConfig):
        made.event({"type": kind, "object": {}})


def test_wrong_arguments() -> None:
    with pytest.raises(ik.InvalidConfig):
        kube.Tracker("n1")  # type: ignore[arg-type]
    with pytest.raises(ik.InvalidConfig):
        kube.translate([], NODE, {})  # type: ignore[arg-type]
    with pytest.raises(AttributeError):
        kube.nothing  # noqa: B018


def test_a_plan_of_what_changed() -> None:
    """As a controller does it: only what changed is looked at."""
    from ipvskit.testing.fake.kernel import FakeKernel

    made = kube.Tracker(NODE)
    made.resync([service(), BOTH])
    with FakeKernel() as kernel:
        whole = made.states()
        kernel.apply(ik.diff(kernel.snapshot(), whole.state, scope=whole.scope)).raise_for_failures()
        made.take()
        made.update(FAR)
        changes = made.take()
        plan = ik.diff(kernel.snapshot(only=changes.touched), changes.state, scope=changes.scope)
        assert len(plan) == 2
        kernel.apply(plan).raise_for_failures()
        whole = made.states()
        assert not ik.diff(kernel.snapshot(), whole.state, scope=whole.scope)
