"""A node kept by `kube.Proxy` on a real kernel, with the real iptables: random clusters, what others made, clean-up.

Knows: what has to be true of a node. Must not know: how objects are translated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import ipvskit as ik
from ipvskit import kube
from ipvskit.testing.kube_strategies import clusters
from ipvskit.testing.namespaces import TestNetNS
from tests.kernel.engine_support import COMMON, load_ipv6
from tests.unit.kube_cluster import BOTH, endpoint, port, service, slice_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ipvskit.testing.kube_strategies import Cluster

pytestmark = pytest.mark.ipvs

V4, V6 = ik.Family.IPV4, ik.Family.IPV6
VIP = "10.96.0.10:80/tcp"
FOREIGN = ["198.51.100.1:80/tcp", "172.18.0.2:8443/tcp", "fwmark:7/v4"]
#: A rule of somebody else in a chain of the kernel's, and a chain of theirs.
THEIRS = "*filter\n:THEIRS - [0:0]\n-A INPUT -s 198.51.100.7/32 -j THEIRS\n-A THEIRS -j RETURN\nCOMMIT\n"


@pytest.fixture
def node(namespace: TestNetNS) -> Iterator[tuple[TestNetNS, ik.Kernel]]:
    load_ipv6()
    namespace.ip(
        "link add eth0 type dummy",
        "addr add 172.18.0.2/16 dev eth0",
        "addr add fc00::2/64 dev eth0 nodad",
        "link set eth0 up",
    )
    with ik.Kernel(namespace) as kernel:
        yield namespace, kernel


def proxy_of(kernel: ik.Kernel, **config: Any) -> kube.Proxy:
    return kube.Proxy(kernel, kube.Node("n1"), kube.Config(**config))


def plant(namespace: TestNetNS, kernel: ik.Kernel) -> None:
    for key in FOREIGN:
        kernel.ipvs.add_service(ik.VirtualService(key, reals=["10.9.0.1:80"]))
    kernel.ipset.create("theirs hash:ip")
    kernel.devices.create("vip0 up=no\n198.51.100.1")
    for variant in variants(namespace):
        namespace.run([f"iptables-{variant}-restore", "--noflush"], input=THEIRS)


def variants(namespace: TestNetNS) -> list[str]:
    """The variants of iptables that this kernel has a part for."""
    found = []
    for variant in ("legacy", "nft"):
        # Listing works even where the kernel has no part for it.
        made = namespace.run([f"iptables-{variant}", "-N", "PROBE"], check=False).returncode == 0
        if made:
            namespace.run([f"iptables-{variant}", "-X", "PROBE"])
            found.append(variant)
    return found


def foreign(namespace: TestNetNS, kernel: ik.Kernel) -> dict[str, Any]:
    """What `plant` made, as it is now."""
    rules = [namespace.run([f"iptables-{variant}-save"]).stdout for variant in variants(namespace)]
    return {
        "services": [kernel.ipvs.service(key) for key in FOREIGN],
        "set": kernel.ipset.save("theirs"),
        "device": kernel.devices.get("vip0"),
        "rules": [[line for line in text.splitlines() if "THEIRS" in line] for text in rules],
    }


def ours(namespace: TestNetNS) -> list[str]:
    """Every line about a chain of ours, in any table of any variant."""
    tools = [f"{tool}-{variant}-save" for tool in ("iptables", "ip6tables") for variant in variants(namespace)]
    return [line for tool in tools for line in namespace.run([tool]).stdout.splitlines() if "KUBE-" in line]


NODE_PORT = service(
    "np",
    ("10.96.0.20", "fd96::20"),
    type="LoadBalancer",
    ports=[port(nodePort=30080)],
    ingress=["203.0.113.1", "2001:db8::1"],
    loadBalancerSourceRanges=["198.51.100.0/24", "2001:db8:1::/64"],
)


@pytest.mark.parametrize("variant", ["legacy", "nft"])
def test_a_node_from_nothing_and_back(node: tuple[TestNetNS, ik.Kernel], variant: str) -> None:
    namespace, kernel = node
    if variant not in variants(namespace):
        pytest.skip(f"this kernel has no tables for iptables-{variant}")
    plant(namespace, kernel)
    before = foreign(namespace, kernel)
    with proxy_of(kernel, iptables=variant) as proxy:
        proxy.tracker.resync([service(), BOTH, NODE_PORT])
        proxy.sync().raise_for_failures()
        plan = proxy.plan()
        assert not plan, str(plan)
        assert [real.endpoint for real in kernel.ipvs.reals(VIP)] == ["10.0.0.1:8080", "10.0.0.2:8080"]
        assert str(kernel.devices.get("kube-ipvs0")).splitlines()[0] == "kube-ipvs0 up=no"
        references = {found.set.name: found.references for found in kernel.ipset.status()}
        assert references["KUBE-CLUSTER-IP"] == 3
        rules = ours(namespace)
        proxy.sync(full=True).raise_for_failures()
        assert ours(namespace) == rules
        assert foreign(namespace, kernel) == before
    kube.cleanup(kernel).raise_for_failures()
    assert foreign(namespace, kernel) == before
    assert ours(namespace) == []
    assert sorted(str(key) for key in kernel.snapshot().services) == sorted(FOREIGN)
    assert kernel.ipset.names() == ["theirs"]
    assert not kernel.devices.exists("kube-ipvs0")


def test_changes_reach_the_kernel(node: tuple[TestNetNS, ik.Kernel]) -> None:
    _, kernel = node
    with proxy_of(kernel) as proxy:
        proxy.tracker.resync([service(), BOTH])
        proxy.sync().raise_for_failures()
        proxy.tracker.update(slice_of("web", endpoint("10.0.0.2"), endpoint("10.0.0.3", "n1")))
        proxy.tracker.add(NODE_PORT)
        report = proxy.sync()
        report.raise_for_failures()
        assert not report.full
        assert not proxy.plan(), str(proxy.plan())
        proxy.tracker.delete(NODE_PORT)
        proxy.sync().raise_for_failures()
        assert not proxy.plan(), str(proxy.plan())
        assert list(map(str, kernel.snapshot().services)) == [VIP]


def test_rules_that_somebody_changed_are_mended(node: tuple[TestNetNS, ik.Kernel]) -> None:
    namespace, kernel = node
    with proxy_of(kernel) as proxy:
        proxy.tracker.resync([service(), BOTH])
        proxy.sync().raise_for_failures()
        rules = ours(namespace)
        tool = proxy.tools(V4).program
        namespace.run([tool, "-t", "nat", "-D", "KUBE-SERVICES", "1"])
        namespace.run([tool, "-t", "nat", "-D", "PREROUTING", "1"])
        assert list(proxy.plan().rules) == [V4]
        assert proxy.sync(full=True).loaded == (V4,)
        assert ours(namespace) == rules


#: Each example takes seconds in a guest, so a failing one is shown as it was found.
PHASES = [phase for phase in Phase if phase is not Phase.shrink]


@settings(COMMON, max_examples=6, phases=PHASES)
@given(first=clusters(), second=clusters(), data=st.data())
def test_random_clusters(first: Cluster, second: Cluster, data: st.DataObject) -> None:
    load_ipv6()
    with TestNetNS() as namespace, ik.Kernel(namespace) as kernel:
        namespace.ip("link add eth0 type dummy", "link set eth0 up")
        own = [one for device, some in first.node.addresses.items() if device != "lo" for one in some]
        kernel.devices.add_addresses("eth0", [str(one) for one in own])
        plant(namespace, kernel)
        before = foreign(namespace, kernel)
        with kube.Proxy(kernel, first.node, first.config) as proxy:
            for objects in (first.objects, second.objects):
                proxy.tracker.resync(objects)
                proxy.sync().raise_for_failures()
                plan = proxy.plan()
                assert not plan, str(plan)
                bound = {str(one.ip) for one in kernel.devices.get("kube-ipvs0").addresses}
                listed = {
                    str(entry)
                    for family in (V4, V6)
                    for entry in kernel.ipset.entries(kube.set_name(kube.Role.IPVS_IPS, family))
                }
                assert bound == listed
                assert foreign(namespace, kernel) == before
        kube.cleanup(kernel).raise_for_failures()
        assert ours(namespace) == []
        assert foreign(namespace, kernel) == before
        assert len(kernel.snapshot().services) == len(FOREIGN)
        assert kernel.ipset.names() == ["theirs"]
