"""What an administrator decides for all Services.

Knows: the settings, their defaults and what they may be. Must not know: how kube-proxy writes them down (`kube_proxy_config`), Services.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

from ipvskit.errors import InvalidConfig
from ipvskit.kube.addresses import read_network
from ipvskit.model.address import Family, parse_number
from ipvskit.model.daemon import MAX_TIMEOUT
from ipvskit.model.device import check_device_name
from ipvskit.model.service import VirtualService

__all__ = ["PRIMARY", "Config", "LocalMode", "Variant"]

#: In `node_port_addresses`: the node's own primary addresses.
PRIMARY = "primary"
#: Variants of the iptables tools; auto takes the one whose rules are there already, else the system's default.
Variant = Literal["auto", "legacy", "nft"]
_VARIANTS = ("auto", "legacy", "nft")
_WORD = 2**32 - 1


class LocalMode(StrEnum):
    """How traffic of the node's own pods is told from other traffic; the names are the API's."""

    CLUSTER_CIDR = "ClusterCIDR"
    NODE_CIDR = "NodeCIDR"
    BRIDGE_INTERFACE = "BridgeInterface"
    INTERFACE_NAME_PREFIX = "InterfaceNamePrefix"


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Settings for all Services; `from_kube_proxy` takes them from a KubeProxyConfiguration.

    `families` are those that a state is made for. `scheduler` is for Services that name none; `scheduler_flags` None is "mh-port" for mh, none
    for others. `node_port_addresses` are networks, or "primary" alone; empty is every address of the node. `local_mode` with `cluster_cidr` (a list,
    or text with commas) and `local_interface` (a bridge, or the beginning of names) tells local traffic apart; without anything to tell by, only
    the node's own is. `masquerade_bit` (0 to 31) marks packets. `random_fully` needs iptables 1.6.2. Timeouts are in seconds, 0 leaves one alone; the
    periods (seconds) are for the controller's loop. `maxelem` (entries, None: 65536) is what sets have room for
    before they grow.

    Ownership: what is deleted when it is no longer wanted are virtual services that this node's own sets and addresses name (`ipvskit.kube.owning`),
    and any in the networks `owned_vips`, but none in `exclude_cidrs`. kube-proxy's way is `owned_vips=("0.0.0.0/0", "::/0")`.

    `drain_deadline` (seconds, None: for ever) is how long a real server that is taken out may keep its connections, where its Service does not say
    so itself (kube-proxy: for ever); `drain_interval` (seconds) is how often that is looked at; without `drain_inactive` only established connections
    are waited for, not those that are closed and in TIME_WAIT, which IPVS keeps for two minutes. `iptables` is the variant of the tool.

    Where kube-proxy does otherwise, and somebody may rely on it:
    `capture_node_addresses` makes a virtual service for an external IP that is an address of the node itself, as kube-proxy does; what listens there
    on the same port is cut off. `internal_fallback` and `external_fallback` say whether a local policy without local endpoints uses the others
    (kube-proxy: yes, yes), or leaves the virtual service without real servers. `source_ranges_fail_closed` shuts a load balancer's address when it
    has source ranges, but none of them can be used for this family (kube-proxy: it is open then).

    Raises InvalidConfig.
    """

    families: tuple[Family, ...] = (Family.IPV4, Family.IPV6)
    scheduler: str = "rr"
    scheduler_flags: tuple[str, ...] | None = None
    node_port_addresses: tuple[str, ...] = ()
    masquerade_all: bool = False
    masquerade_bit: int = 14
    random_fully: bool = True
    local_mode: LocalMode = LocalMode.CLUSTER_CIDR
    cluster_cidr: tuple[str, ...] = ()
    local_interface: str = ""
    strict_arp: bool = False
    tcp_timeout: int = 0
    tcp_fin_timeout: int = 0
    udp_timeout: int = 0
    sync_period: float = 30.0
    min_sync_period: float = 0.0
    maxelem: int | None = None
    owned_vips: tuple[str, ...] = ()
    exclude_cidrs: tuple[str, ...] = ()
    drain_deadline: float | None = 900.0
    drain_interval: float = 5.0
    drain_inactive: bool = True
    iptables: Variant = "auto"
    capture_node_addresses: bool = True
    internal_fallback: bool = False
    external_fallback: bool = True
    source_ranges_fail_closed: bool = True

    def __post_init__(self) -> None:
        put = object.__setattr__
        for name in _FLAGS:
            if not isinstance(getattr(self, name), bool):
                raise InvalidConfig(name, getattr(self, name), "True or False")
        put(self, "families", tuple(dict.fromkeys(map(_family, _several("families", self.families)))))
        put(self, "local_mode", _mode(self.local_mode))
        put(self, "scheduler", self.scheduler or "rr")
        if self.scheduler_flags is not None:
            put(self, "scheduler_flags", tuple(_several("scheduler_flags", self.scheduler_flags)))
        VirtualService("192.0.2.1:80/tcp", scheduler=self.scheduler, scheduler_flags=self.scheduler_flags or ())
        if isinstance(self.cluster_cidr, str):
            put(self, "cluster_cidr", tuple(text.strip() for text in self.cluster_cidr.split(",") if text.strip()))
        for name in ("cluster_cidr", "owned_vips", "exclude_cidrs"):
            put(self, name, tuple(_networks(name, getattr(self, name))))
        put(self, "node_port_addresses", _node_ports(_several("node_port_addresses", self.node_port_addresses)))
        _check_interface(self.local_mode, self.local_interface)
        parse_number("masquerade_bit", self.masquerade_bit, 0, 31)
        for name in ("tcp_timeout", "tcp_fin_timeout", "udp_timeout"):
            parse_number(name, getattr(self, name), 0, MAX_TIMEOUT, "seconds")
        if self.maxelem is not None:
            parse_number("maxelem", self.maxelem, 1, _WORD, "entries")
        _check_periods(self.sync_period, self.min_sync_period)
        if self.drain_deadline is not None:
            _seconds("drain_deadline", self.drain_deadline)
        if not _seconds("drain_interval", self.drain_interval):
            raise InvalidConfig("drain_interval", self.drain_interval, "seconds above 0")
        if self.iptables not in _VARIANTS:
            raise InvalidConfig("iptables", self.iptables, "one of " + ", ".join(_VARIANTS))

    @classmethod
    def from_kube_proxy(cls, found: Mapping[str, Any], **others: Any) -> Config:
        """From a KubeProxyConfiguration (kubeproxy.config.k8s.io/v1alpha1), with `others` on top of it.

        Its `ipvs` block counts when the mode is "ipvs" or not stated. Raises InvalidConfig for what kube-proxy refuses, and for fields of the block
        that there are not.
        """
        from ipvskit.kube.kube_proxy_config import settings_of

        return cls(**settings_of(found) | others)


_FLAGS = (
    "masquerade_all",
    "random_fully",
    "strict_arp",
    "drain_inactive",
    "capture_node_addresses",
    "internal_fallback",
    "external_fallback",
    "source_ranges_fail_closed",
)


def _several(name: str, values: Any) -> Iterable[Any]:  # noqa: ANN401 - it is what is to be found out
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        raise InvalidConfig(name, values, "a list, even of one")
    return values


def _family(value: object) -> Family:
    if value not in tuple(Family):
        raise InvalidConfig("families", value, '"ipv4" or "ipv6"')
    return Family(str(value))


def _mode(value: object) -> LocalMode:
    if value not in tuple(LocalMode):
        raise InvalidConfig("local_mode", value, "one of " + ", ".join(LocalMode))
    return LocalMode(str(value))


def _networks(name: str, texts: Any) -> Iterable[str]:  # noqa: ANN401 - it is what is to be found out
    for text in _several(name, texts):
        network = read_network(text)
        if network is None:
            raise InvalidConfig(name, text, 'a network such as "10.0.0.0/8"')
        yield str(network)


def _node_ports(texts: Iterable[Any]) -> tuple[str, ...]:
    given = tuple(texts)
    if PRIMARY in given:
        if set(given) != {PRIMARY}:
            raise InvalidConfig("node_port_addresses", list(given), f'networks, or "{PRIMARY}" and nothing else')
        return (PRIMARY,)
    return tuple(_networks("node_port_addresses", given))


def _check_interface(mode: LocalMode, name: object) -> None:
    needed = mode in {LocalMode.BRIDGE_INTERFACE, LocalMode.INTERFACE_NAME_PREFIX}
    if name != "" or needed:
        check_device_name("local_interface", name)


def _seconds(name: str, value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < float("inf"):
        raise InvalidConfig(name, value, "0 or more seconds")
    return value


def _check_periods(sync: object, least: object) -> None:
    for name, value in (("sync_period", sync), ("min_sync_period", least)):
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise InvalidConfig(name, value, "seconds")
        if value < 0 or (value == 0 and name == "sync_period"):
            raise InvalidConfig(name, value, "seconds above 0" if name == "sync_period" else "0 or more seconds")
        if name == "min_sync_period" and isinstance(sync, int | float) and value > sync:
            raise InvalidConfig(name, value, f"at most the sync_period, {sync} seconds")
