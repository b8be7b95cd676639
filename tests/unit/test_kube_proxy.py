"""A node on the fake kernel: stages, what is tried again, clean-up, whose virtual services are whose.

Knows: what has to be true of a node. Must not know: how stages are made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import ipvskit as ik
from ipvskit import kube
from ipvskit.testing.fake import FakeKernel
from ipvskit.testing.fake.iptables import FakeIptables
from tests.unit.kube_cluster import BOTH, endpoint, port, service, slice_of

if TYPE_CHECKING:
    from collections.abc import Iterator

VIP = ik.ServiceKey.parse("10.96.0.10:80/tcp")
DNS = ik.ServiceKey.parse("10.96.0.53:53/udp")
NODE = kube.Node("n1")
FAR = slice_of("web", endpoint("10.0.0.2"))


class Rig:
    """A fake node with a proxy."""

    def __init__(self, **config: Any) -> None:
        self.kernel = FakeKernel()
        self.kernel.devices.add_addresses("eth0", ["172.18.0.2/16", "fc00::2/64"]).raise_for_failures()
        self.tools = {family: FakeIptables(family) for family in ik.Family}
        self.config = kube.Config(**config)
        self.proxy = self.restarted()

    def restarted(self) -> kube.Proxy:
        self.proxy = kube.Proxy(self.kernel, NODE, self.config, iptables=self.tools.__getitem__, health_checks=False)
        return self.proxy

    def start(self, *objects: Any) -> kube.SyncReport:
        self.proxy.tracker.resync(objects)
        return self.proxy.sync()

    def reals(self, key: ik.ServiceKey = VIP) -> dict[str, int]:
        return {real.endpoint: real.weight for real in self.kernel.ipvs.reals(key)}

    def bound(self) -> list[str]:
        return [str(one.ip) for one in self.kernel.devices.get("kube-ipvs0").addresses]

    def entries(self, name: str) -> list[str]:
        return sorted(map(str, self.kernel.ipset.entries(name)))


@pytest.fixture
def rig() -> Iterator[Rig]:
    made = Rig()
    yield made
    made.proxy.close()
    made.kernel.close()


def dns(*endpoints: str) -> list[Any]:
    made = service("dns", ("10.96.0.53",), ports=[port(53, "dns", "UDP")])
    ports = [{"name": "dns", "protocol": "UDP", "port": 5353}]
    return [made, slice_of("dns", *map(endpoint, endpoints), ports=ports)]


# --- a node from nothing ----------------------------------------------------------------------------------------------------------------


def test_a_node_from_nothing(rig: Rig) -> None:
    report = rig.start(service(), BOTH)
    assert report.full
    report.raise_for_failures()
    assert rig.reals() == {"10.0.0.1:8080": 1, "10.0.0.2:8080": 1}
    assert rig.bound() == ["10.96.0.10"]
    assert rig.entries("KUBE-CLUSTER-IP") == ["10.96.0.10,tcp:80"]
    assert rig.entries("KUBE-LOOP-BACK") == ["10.0.0.1,tcp:8080,10.0.0.1"]
    assert len(rig.kernel.ipset.names()) == 34
    assert rig.kernel.ipvs.sysctls["conntrack"] is True
    assert rig.kernel.ipvs.sysctls["ip_forward"] is True
    assert set(report.loaded) == set(ik.Family)
    assert any("KUBE-CLUSTER-IP" in rule for rule in rig.tools[ik.Family.IPV4].tables["nat"]["KUBE-SERVICES"])
    assert not rig.proxy.plan()
    assert str(rig.proxy.plan()) == "0 to add, 0 to edit, 0 to delete"


def test_before_the_first_listing_nothing_is_done(rig: Rig) -> None:
    rig.proxy.tracker.add(service())
    with pytest.raises(ik.InvalidConfig, match="full listing"):
        rig.proxy.sync()
    with pytest.raises(ik.InvalidConfig, match="full listing"):
        rig.proxy.plan()
    assert rig.kernel.ipset.names() == []


def test_a_second_full_pass_has_nothing_to_do(rig: Rig) -> None:
    rig.start(service(), BOTH)
    report = rig.proxy.sync(full=True)
    assert report.full
    assert not report.loaded
    assert sum(report.counts().values()) == 0
    assert str(report) == "nothing to do"


def test_a_restart_finds_everything_as_it_was(rig: Rig) -> None:
    rig.start(service(), BOTH)
    rig.restarted()
    report = rig.start(service(), BOTH)
    assert sum(report.counts().values()) == 0


# --- changes ----------------------------------------------------------------------------------------------------------------------------


def test_one_endpoint_more(rig: Rig) -> None:
    rig.start(service(), FAR, *dns("10.0.0.9"))
    rig.proxy.tracker.update(slice_of("web", endpoint("10.0.0.2"), endpoint("10.0.0.3")))
    report = rig.proxy.sync()
    assert not report.full
    assert not report.loaded
    assert [str(outcome.change.key) for outcome in report.live.outcomes] == ["10.0.0.3:8080 of 10.96.0.10:80/tcp"]
    assert not len(report.first.outcomes)
    assert rig.reals() == {"10.0.0.2:8080": 1, "10.0.0.3:8080": 1}


def test_nothing_changed_nothing_is_done(rig: Rig) -> None:
    rig.start(service(), BOTH)
    rig.proxy.tracker.update(service())
    assert str(rig.proxy.sync()) == "nothing to do"


def test_a_service_comes_and_goes(rig: Rig) -> None:
    rig.start(service(), BOTH)
    other = service("other", ("10.96.0.11",))
    rig.proxy.tracker.add(other)
    assert rig.proxy.sync().ok
    assert rig.bound() == ["10.96.0.10", "10.96.0.11"]
    assert rig.entries("KUBE-IPVS-IPS") == ["10.96.0.10", "10.96.0.11"]
    rig.proxy.tracker.delete(other)
    report = rig.proxy.sync()
    assert report.ok
    assert not report.full
    assert [str(key) for key in rig.kernel.snapshot().services] == [str(VIP)]
    assert rig.bound() == ["10.96.0.10"]
    assert rig.entries("KUBE-CLUSTER-IP") == ["10.96.0.10,tcp:80"]
    assert rig.entries("KUBE-IPVS-IPS") == ["10.96.0.10"]
    assert not rig.proxy.plan()


def test_rules_follow_what_sets_have_entries(rig: Rig) -> None:
    rig.start(service(), BOTH)
    before = rig.tools[ik.Family.IPV4].loads
    rig.proxy.tracker.add(service("ext", ("10.96.0.12",), externalIPs=["203.0.113.1"]))
    report = rig.proxy.sync()
    assert report.loaded == (ik.Family.IPV4,)
    assert rig.tools[ik.Family.IPV4].loads == before + 1
    assert any("KUBE-EXTERNAL-IP " in rule for rule in rig.tools[ik.Family.IPV4].tables["nat"]["KUBE-SERVICES"])


# --- order: guards before services, memory behind them ------------------------------------------------------------------------------------


def test_without_rules_no_new_service_goes_live(rig: Rig) -> None:
    rig.start(service(), FAR)
    rig.tools[ik.Family.IPV4].broken = "no"
    rig.proxy.tracker.add(service("ext", ("10.96.0.12",), externalIPs=["203.0.113.1"]))
    rig.proxy.tracker.update(slice_of("web", endpoint("10.0.0.3")))
    report = rig.proxy.sync()
    assert not report.ok
    assert report.held_back == 4
    assert isinstance(report.rule_errors[ik.Family.IPV4], kube.IptablesFailed)
    assert [str(key) for key in rig.kernel.snapshot().services] == [str(VIP)]
    # What is there goes on being kept up to date.
    assert rig.reals() == {"10.0.0.3:8080": 1}
    rig.tools[ik.Family.IPV4].broken = ""
    report = rig.proxy.sync()
    assert report.full
    assert report.ok
    assert len(rig.kernel.snapshot().services) == 3


def test_sets_are_filled_before_services_and_emptied_after_them(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.start(service(), FAR, service("old", ("10.96.0.66",)))
    seen: list[tuple[list[str], list[str], bool]] = []
    tool = rig.tools[ik.Family.IPV4]
    load = tool.load

    def look(text: str) -> None:
        services = sorted(str(key) for key in rig.kernel.snapshot().services)
        seen.append((services, rig.entries("KUBE-CLUSTER-IP"), "10.96.0.66" in rig.bound()))
        load(text)

    monkeypatch.setattr(tool, "load", look)
    rig.proxy.tracker.delete(service("old"))
    rig.proxy.tracker.add(service("new", ("10.96.0.77",), externalIPs=["203.0.113.1"]))
    rig.proxy.sync().raise_for_failures()
    entries = ["10.96.0.10,tcp:80", "10.96.0.66,tcp:80", "10.96.0.77,tcp:80"]
    assert seen == [(["10.96.0.10:80/tcp", "10.96.0.66:80/tcp"], entries, True)]
    assert rig.entries("KUBE-CLUSTER-IP") == ["10.96.0.10,tcp:80", "10.96.0.77,tcp:80"]


# --- what belongs to whom ---------------------------------------------------------------------------------------------------------------


FOREIGN = ("198.51.100.1:80/tcp", "172.18.0.2:8443/tcp", "fwmark:7/v4")


def plant(kernel: FakeKernel) -> None:
    for key in FOREIGN:
        kernel.ipvs.add_service(ik.VirtualService(key, reals=["10.9.0.1:80"]))
    kernel.ipset.create("theirs hash:ip")
    kernel.devices.create("vip0 up=no\n198.51.100.1")


def foreign_is_there(kernel: FakeKernel) -> bool:
    services = {str(key) for key in kernel.snapshot().services} >= set(FOREIGN)
    return services and "theirs" in kernel.ipset.names() and len(kernel.devices.addresses("vip0")) == 1


def test_what_was_left_behind_goes_and_what_is_others_stays(rig: Rig) -> None:
    plant(rig.kernel)
    node_port = service("np", ("10.96.0.20",), type="NodePort", ports=[port(nodePort=30080)])
    external = service("ext", ("10.96.0.21",), externalIPs=["172.18.0.2"])
    rig.start(service(), BOTH, node_port, external)
    assert foreign_is_there(rig.kernel)
    assert "172.18.0.2:30080/tcp" in {str(key) for key in rig.kernel.snapshot().services}
    rig.restarted()
    rig.start(service(), BOTH).raise_for_failures()
    assert foreign_is_there(rig.kernel)
    assert {str(key) for key in rig.kernel.snapshot().services} == {str(VIP), *FOREIGN}
    assert rig.bound() == ["10.96.0.10"]


def test_excluded_networks_are_left_alone() -> None:
    rig = Rig(exclude_cidrs=["10.96.0.66/32"])
    rig.start(service("old", ("10.96.0.66",)))
    rig.restarted()
    rig.start(service())
    assert sorted(map(str, rig.kernel.snapshot().services)) == ["10.96.0.10:80/tcp", "10.96.0.66:80/tcp"]


def test_everything_may_be_owned() -> None:
    rig = Rig(owned_vips=["0.0.0.0/0"])
    plant(rig.kernel)
    rig.start(service())
    assert sorted(map(str, rig.kernel.snapshot().services)) == ["10.96.0.10:80/tcp", "fwmark:7/v4"]


def test_clean_up_takes_all_of_it_and_nothing_else(rig: Rig) -> None:
    plant(rig.kernel)
    node_port = service("np", ("10.96.0.20", "fd96::20"), type="NodePort", ports=[port(nodePort=30080)])
    rig.start(service(), BOTH, node_port)
    tools = rig.tools
    report = kube.cleanup(rig.kernel, iptables=lambda family, variant: tools[family])
    report.raise_for_failures()
    assert foreign_is_there(rig.kernel)
    assert len(rig.kernel.snapshot().services) == len(FOREIGN)
    assert rig.kernel.ipset.names() == ["theirs"]
    assert not rig.kernel.devices.exists("kube-ipvs0")
    for tool in tools.values():
        assert not any(chain.startswith("KUBE") for table in tool.tables.values() for chain in table)
        assert not any(rules for table in tool.tables.values() for rules in table.values())
    again = kube.cleanup(rig.kernel, iptables=lambda family, variant: tools[family])
    assert again.ok
    assert not again.rules


def test_one_family_leaves_the_other_alone() -> None:
    rig = Rig()
    both = service(ips=("10.96.0.10", "fd96::10"))
    rig.start(both)
    rig.config = kube.Config(families=(ik.Family.IPV4,))
    rig.restarted()
    rig.start(service("web", ("10.96.0.11",))).raise_for_failures()
    assert rig.bound() == ["10.96.0.11", "fd96::10"]
    assert sorted(map(str, rig.kernel.snapshot().services)) == ["10.96.0.11:80/tcp", "[fd96::10]:80/tcp"]
    rig.proxy.tracker.update(service("web", ("10.96.0.12",)))
    rig.proxy.sync().raise_for_failures()
    assert rig.bound() == ["10.96.0.12", "fd96::10"]


def test_addresses_that_another_device_has_are_never_bound(rig: Rig) -> None:
    rig.start(service("ext", ("10.96.0.12",), externalIPs=["203.0.113.1"]))
    assert rig.bound() == ["10.96.0.12", "203.0.113.1"]
    rig.kernel.devices.add_addresses("eth0", ["203.0.113.1/24"]).raise_for_failures()
    rig.proxy.sync(full=True).raise_for_failures()
    assert rig.bound() == ["10.96.0.12"]
    assert rig.entries("KUBE-IPVS-IPS") == ["10.96.0.12"]
    assert "203.0.113.1:80/tcp" in {str(key) for key in rig.kernel.snapshot().services}


# --- draining ---------------------------------------------------------------------------------------------------------------------------


def test_endpoints_that_go_keep_their_connections_until_the_deadline(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr("time.time", lambda: now[0])
    rig.start(service(), BOTH)
    rig.kernel.connect(VIP, "10.0.0.1:8080")
    rig.proxy.tracker.update(FAR)
    rig.proxy.tracker.delete(BOTH)
    rig.proxy.tracker.update(FAR)
    report = rig.proxy.sync()
    assert report.ok
    assert rig.reals() == {"10.0.0.1:8080": 0, "10.0.0.2:8080": 1}
    assert report.requeue_after == 5
    assert len(report.draining) == 1
    now[0] += 899
    assert rig.proxy.sync().draining
    now[0] += 2
    assert not rig.proxy.sync().draining
    assert rig.reals() == {"10.0.0.2:8080": 1}
    assert str(rig.proxy.sync()) == "nothing to do"


def test_an_endpoint_that_comes_back_gets_its_weight_back(rig: Rig) -> None:
    rig.start(service(), BOTH)
    rig.kernel.connect(VIP, "10.0.0.1:8080")
    rig.proxy.tracker.update(slice_of("web", endpoint("10.0.0.2")))
    rig.proxy.sync()
    assert rig.reals()["10.0.0.1:8080"] == 0
    rig.restarted()
    rig.start(service(), BOTH).raise_for_failures()
    assert rig.reals() == {"10.0.0.1:8080": 1, "10.0.0.2:8080": 1}


def test_a_service_says_how_long(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr("time.time", lambda: now[0])
    made = service(annotations={"ipvskit/drain-seconds": "7"})
    rig.start(made, BOTH)
    rig.kernel.connect(VIP, "10.0.0.1:8080")
    rig.proxy.tracker.update(slice_of("web", endpoint("10.0.0.2")))
    assert [one.left for one in rig.proxy.sync().draining] == [7]
    now[0] += 8
    assert not rig.proxy.sync().draining


def test_whole_services_go_at_once(rig: Rig) -> None:
    rig.start(service(), BOTH)
    rig.kernel.connect(VIP, "10.0.0.1:8080")
    rig.proxy.tracker.delete(service())
    assert not rig.proxy.sync().draining
    assert not rig.kernel.snapshot().services


# --- what fails -------------------------------------------------------------------------------------------------------------------------


def test_what_fails_is_tried_again(rig: Rig) -> None:
    bad = service(annotations={"ipvskit/scheduler": "nosuch"})
    report = rig.start(bad, FAR, service("good", ("10.96.0.11",)))
    assert [type(outcome.error) for outcome in report.failures] == [ik.SchedulerNotAvailable]
    assert [str(key) for key in rig.kernel.snapshot().services] == ["10.96.0.11:80/tcp"]
    report = rig.proxy.sync()
    assert not report.full
    assert not report.ok
    rig.proxy.tracker.update(service())
    assert rig.proxy.sync().ok
    assert rig.proxy.sync().ok
    assert rig.reals() == {"10.0.0.2:8080": 1}


def test_a_plan_that_deletes_too_much_is_refused(rig: Rig) -> None:
    rig.start(service(), BOTH, service("two", ("10.96.0.11",)))
    rig.restarted()
    rig.proxy.tracker.resync([])
    with pytest.raises(ik.GuardRefused):
        rig.proxy.sync(max_deletes=0.5)
    assert len(rig.kernel.snapshot().services) == 2
    assert rig.proxy.sync().ok
    assert not rig.kernel.snapshot().services
