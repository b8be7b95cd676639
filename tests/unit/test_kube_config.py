"""Configuration, sysctls and timeouts (sections 3.1 and 3.2 of the specification), and the node.

Knows: KubeProxyConfiguration. Must not know: Services.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

import ipvskit as ik
from ipvskit import kube
from ipvskit.kube import Code, Config
from ipvskit.kube.kube_proxy_config import parse_duration
from tests.unit.kube_cluster import NODE, V4, V6

DOCUMENT: dict[str, Any] = {
    "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
    "kind": "KubeProxyConfiguration",
    "mode": "ipvs",
}

#: (field of the ipvs block, its value, the setting, what it becomes); None is the default
FIELDS: list[tuple[str, Any, str, Any]] = [
    ("syncPeriod", None, "sync_period", 30.0),
    ("syncPeriod", "0s", "sync_period", 30.0),
    ("syncPeriod", "1m30s", "sync_period", 90.0),
    ("minSyncPeriod", None, "min_sync_period", 0.0),
    ("minSyncPeriod", "2s", "min_sync_period", 2.0),
    ("scheduler", None, "scheduler", "rr"),
    ("scheduler", "", "scheduler", "rr"),
    ("scheduler", "mh", "scheduler", "mh"),
    ("excludeCIDRs", None, "exclude_cidrs", ()),
    ("excludeCIDRs", ["10.0.0.7/8", "fd00::/8"], "exclude_cidrs", ("10.0.0.0/8", "fd00::/8")),
    ("strictARP", None, "strict_arp", False),
    ("strictARP", True, "strict_arp", True),
    ("tcpTimeout", None, "tcp_timeout", 0),
    ("tcpTimeout", "15m", "tcp_timeout", 900),
    ("tcpFinTimeout", "2m", "tcp_fin_timeout", 120),
    ("udpTimeout", "300s", "udp_timeout", 300),
    ("udpTimeout", "900ms", "udp_timeout", 0),
]


@pytest.mark.parametrize(("field", "value", "setting", "expected"), FIELDS)
def test_fields_of_the_ipvs_block(field: str, value: Any, setting: str, expected: Any) -> None:
    block = {} if value is None else {field: value}
    assert getattr(Config.from_kube_proxy(DOCUMENT | {"ipvs": block}), setting) == expected
    assert getattr(Config.from_kube_proxy({"ipvs": {field: value}}), setting) == expected


#: (the ipvs block, what the error names)
BROKEN: list[tuple[dict[str, Any], str]] = [
    ({"syncPeriod": "-1s"}, "sync_period"),
    ({"syncPeriod": "soon"}, "ipvs.syncPeriod"),
    ({"syncPeriod": 30}, "ipvs.syncPeriod"),
    ({"syncPeriod": []}, "ipvs.syncPeriod"),
    ({"minSyncPeriod": "-1s"}, "min_sync_period"),
    ({"minSyncPeriod": "31s"}, "min_sync_period"),
    ({"scheduler": "no such/thing"}, "scheduler"),
    ({"scheduler": 7}, "scheduler"),
    ({"excludeCIDRs": ["10.0.0.1"]}, "exclude_cidrs"),
    ({"excludeCIDRs": "10.0.0.0/8"}, "exclude_cidrs"),
    ({"excludeCIDRs": ["x/8"]}, "exclude_cidrs"),
    ({"strictARP": "yes"}, "strict_arp"),
    ({"tcpTimeout": "-1s"}, "ipvs.tcpTimeout"),
    ({"tcpFinTimeout": "-1s"}, "ipvs.tcpFinTimeout"),
    ({"udpTimeout": "-1s"}, "ipvs.udpTimeout"),
    ({"udpTimeout": "1x"}, "ipvs.udpTimeout"),
    ({"schedular": "rr"}, "ipvs"),
]


@pytest.mark.parametrize(("block", "field"), BROKEN)
def test_what_the_ipvs_block_must_not_have(block: dict[str, Any], field: str) -> None:
    with pytest.raises(ik.InvalidConfig) as caught:
        Config.from_kube_proxy(DOCUMENT | {"ipvs": block})
    assert caught.value.field == field


@pytest.mark.parametrize("mode", ["iptables", "nftables"])
def test_the_block_is_looked_at_in_mode_ipvs_only(mode: str) -> None:
    found = Config.from_kube_proxy({"mode": mode, "ipvs": {"syncPeriod": "-1s", "scheduler": "wlc", "odd": 1}})
    assert (found.scheduler, found.sync_period) == ("rr", 30.0)


#: (what the document has, the setting, what it becomes)
SHARED: list[tuple[dict[str, Any], str, Any]] = [
    ({}, "masquerade_all", False),
    ({"iptables": {"masqueradeAll": True}}, "masquerade_all", True),
    ({}, "masquerade_bit", 14),
    ({"iptables": {"masqueradeBit": 0}}, "masquerade_bit", 0),
    ({"iptables": {"masqueradeBit": None}}, "masquerade_bit", 14),
    ({}, "node_port_addresses", ()),
    ({"nodePortAddresses": ["172.18.0.0/16"]}, "node_port_addresses", ("172.18.0.0/16",)),
    ({"nodePortAddresses": ["primary"]}, "node_port_addresses", ("primary",)),
    ({}, "cluster_cidr", ()),
    ({"clusterCIDR": "10.10.0.0/16, fd10::/64"}, "cluster_cidr", ("10.10.0.0/16", "fd10::/64")),
    ({}, "local_mode", "ClusterCIDR"),
    ({"detectLocalMode": "NodeCIDR"}, "local_mode", "NodeCIDR"),
    ({"detectLocalMode": "BridgeInterface", "detectLocal": {"bridgeInterface": "br0"}}, "local_interface", "br0"),
    (
        {"detectLocalMode": "InterfaceNamePrefix", "detectLocal": {"interfaceNamePrefix": "veth"}},
        "local_interface",
        "veth",
    ),
    ({}, "owned_vips", ()),
    ({"conntrack": {"maxPerCore": 1}, "unheardOf": 1}, "scheduler", "rr"),
]


@pytest.mark.parametrize(("given", "setting", "expected"), SHARED)
def test_fields_beside_the_block(given: dict[str, Any], setting: str, expected: Any) -> None:
    assert getattr(Config.from_kube_proxy(DOCUMENT | given), setting) == expected


@pytest.mark.parametrize(
    "given",
    [
        {"apiVersion": "kubeproxy.config.k8s.io/v1alpha2"},
        {"kind": "KubeletConfiguration"},
        {"ipvs": []},
        {"iptables": {"masqueradeBit": 32}},
        {"iptables": {"masqueradeAll": 1}},
        {"nodePortAddresses": ["primary", "10.0.0.0/8"]},
        {"nodePortAddresses": ["eth0"]},
        {"clusterCIDR": "10.10.0.0"},
        {"clusterCIDR": 7},
        {"detectLocalMode": "Guess"},
        {"detectLocalMode": ["NodeCIDR"]},
        {"detectLocalMode": "BridgeInterface"},
        {"detectLocalMode": "InterfaceNamePrefix", "detectLocal": {"interfaceNamePrefix": "a/b"}},
    ],
)
def test_what_a_configuration_must_not_have(given: dict[str, Any]) -> None:
    with pytest.raises(ik.InvalidConfig):
        Config.from_kube_proxy(DOCUMENT | given)


def test_others_go_on_top() -> None:
    assert Config.from_kube_proxy(DOCUMENT, scheduler="wlc", owned_vips=["::/0"]).owned_vips == ("::/0",)
    with pytest.raises(ik.InvalidConfig):
        Config.from_kube_proxy([])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1h30m", 5400),
        ("1.5h", 5400),
        ("250ms", 0.25),
        ("0", 0),
        ("", 0),
        (None, 0),
        (0, 0),
        ("+5s", 5),
        ("-1m", -60),
        ("1us", 1e-6),
    ],
)
def test_durations(text: Any, seconds: float) -> None:
    assert parse_duration("x", text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "given",
    [
        {"families": ["ipv5"]},
        {"families": "ipv4"},
        {"maxelem": 0},
        {"tcp_timeout": 1.5},
        {"sync_period": "30s"},
        {"scheduler_flags": "mh-port"},
        {"scheduler_flags": ["mh-port"]},
        {"owned_vips": ["10.0.0.1"]},
        {"internal_fallback": None},
    ],
)
def test_settings_are_checked(given: dict[str, Any]) -> None:
    with pytest.raises(ik.InvalidConfig):
        Config(**given)


def test_a_configuration_is_a_value() -> None:
    assert Config(cluster_cidr="10.0.0.0/8") == Config(cluster_cidr=("10.0.0.0/8",))  # type: ignore[arg-type]
    assert hash(Config()) == hash(Config())
    assert Config(scheduler="mh", scheduler_flags=()).scheduler_flags == ()
    with pytest.raises(dataclasses.FrozenInstanceError):
        Config().scheduler = "wlc"  # type: ignore[misc]


# --- 3.2 --------------------------------------------------------------------------------------------------------------------------------

#: (kernel, conn_reuse_mode or None where it is left alone, whether that is told)
KERNELS: list[tuple[str | None, int | None, bool]] = [
    ("3.10.0-1160.el7", None, True),
    ("4.0.9", None, True),
    ("4.1.0", 0, False),
    ("4.19.0-27-amd64", 0, False),
    ("5.8.18", 0, False),
    ("5.9.0", None, False),
    ("5.10.0-30-amd64", None, False),
    ("6.12.1", None, False),
    ("odd", None, False),
    (None, None, False),
]


@pytest.mark.parametrize(("release", "mode", "told"), KERNELS)
def test_sysctls_by_kernel(release: str | None, mode: int | None, told: bool) -> None:
    for family in (V4, V6):
        found = kube.translate([], kube.Node("n1", kernel=release))[family]
        expected: dict[str, Any] = {"conntrack": True} | ({} if mode is None else {"conn_reuse_mode": mode})
        expected |= {"expire_nodest_conn": True, "expire_quiescent_template": True, "ip_forward": True}
        assert list(found.state.sysctls.items()) == list(expected.items())
        assert [each.code for each in found.diagnostics] == ([Code.KERNEL_TOO_OLD] if told else [])


@pytest.mark.parametrize("strict", [False, True])
def test_strict_arp(strict: bool) -> None:
    found = kube.translate([], NODE, Config(strict_arp=strict))
    for state in (found.state, found[V4].state, found[V6].state):
        names = ("arp_ignore", "arp_announce")
        assert [state.sysctls.get(name) for name in names] == ([1, 2] if strict else [None, None])


@pytest.mark.parametrize(
    ("given", "expected"),
    [({}, None), ({"tcp_timeout": 900}, (900, 0, 0)), ({"udp_timeout": 5, "tcp_fin_timeout": 7}, (0, 7, 5))],
)
def test_timeouts_go_together(given: dict[str, int], expected: tuple[int, int, int] | None) -> None:
    found = kube.translate([], NODE, Config(**given)).state.timeouts  # type: ignore[arg-type]
    assert found == (None if expected is None else ik.Timeouts(*expected))


# --- the node -----------------------------------------------------------------------------------------------------------------------------


def test_a_node_from_the_api() -> None:
    made = kube.Node.from_api(
        {
            "kind": "Node",
            "metadata": {"name": "n1", "labels": {"topology.kubernetes.io/zone": "a"}},
            "spec": {"podCIDR": "10.10.1.0/24", "podCIDRs": ["10.10.1.0/24", "fd10::/64"]},
            "status": {
                "addresses": [
                    {"type": "Hostname", "address": "n1"},
                    {"type": "InternalIP", "address": "172.18.0.2"},
                    {"type": "InternalIP", "address": "FC00::2"},
                ],
                "nodeInfo": {"kernelVersion": "6.1.0"},
            },
        },
        {"eth9": ["192.168.0.1/24"]},
    )
    assert (made.name, made.zone, made.kernel) == ("n1", "a", "6.1.0")
    assert {family: address.text for family, address in made.primary.items()} == {V4: "172.18.0.2", V6: "fc00::2"}
    assert list(map(str, made.pod_cidrs)) == ["10.10.1.0/24", "fd10::/64"]
    for broken in (None, 7, {"metadata": {"name": "n1"}, "spec": {"podCIDRs": "x"}}, {}):
        with pytest.raises(ik.InvalidConfig):
            kube.Node.from_api(broken)


def test_primary_addresses_are_found() -> None:
    made = kube.Node(
        "n1",
        addresses={
            "lo": ["127.0.0.1/8"],
            "eth0": ["fe80::1%eth0/64", "10.0.0.1/8", "10.0.0.2/8"],
            "kube-ipvs0": ["fd00::1"],
        },
    )
    assert {family: address.text for family, address in made.primary.items()} == {V4: "10.0.0.1"}


@pytest.mark.parametrize(
    "given",
    [
        {"name": ""},
        {"addresses": {"eth0": "10.0.0.1"}},
        {"addresses": {"eth0": ["x"]}},
        {"addresses": {"eth0": [7]}},
        {"primary": ["x"]},
        {"primary": "10.0.0.1"},
        {"pod_cidrs": ["10.0.0.1"]},
        {"kernel": 6},
    ],
)
def test_nodes_are_checked(given: dict[str, Any]) -> None:
    with pytest.raises(ik.InvalidConfig):
        kube.Node(**{"name": "n1"} | given)
