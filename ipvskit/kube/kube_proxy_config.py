"""The settings of kube-proxy's own configuration file.

Knows: the fields of a KubeProxyConfiguration that matter here, their defaults and rules. Must not know: what the settings do.

Source: the reference of kubeproxy.config.k8s.io/v1alpha1.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ipvskit.errors import InvalidConfig
from ipvskit.kube.config import LocalMode

__all__ = ["parse_duration", "settings_of"]

API_VERSION = "kubeproxy.config.k8s.io/v1alpha1"
KIND = "KubeProxyConfiguration"
MODE = "ipvs"
DEFAULT_PERIOD = 30.0

_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)")
_FIELDS = (
    "syncPeriod",
    "minSyncPeriod",
    "scheduler",
    "excludeCIDRs",
    "strictARP",
    "tcpTimeout",
    "tcpFinTimeout",
    "udpTimeout",
)


def settings_of(found: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of `Config`. Raises InvalidConfig."""
    if not isinstance(found, Mapping):
        raise InvalidConfig("configuration", type(found).__name__, f"a {KIND} as a mapping")
    for name, expected in (("apiVersion", API_VERSION), ("kind", KIND)):
        if found.get(name, expected) != expected:
            raise InvalidConfig(name, found[name], expected)
    settings = _shared(found)
    if (found.get("mode") or MODE) == MODE:
        settings |= _ipvs(_block(found, "ipvs"))
    return settings


def _shared(found: Mapping[str, Any]) -> dict[str, Any]:
    iptables, local = _block(found, "iptables"), _block(found, "detectLocal")
    mode = found.get("detectLocalMode") or LocalMode.CLUSTER_CIDR
    interface = {LocalMode.BRIDGE_INTERFACE: "bridgeInterface", LocalMode.INTERFACE_NAME_PREFIX: "interfaceNamePrefix"}
    field = interface.get(mode) if isinstance(mode, str) else None  # type: ignore[call-overload] # a text is as good
    return {
        "masquerade_all": _given(iptables, "masqueradeAll", False),
        "masquerade_bit": _given(iptables, "masqueradeBit", 14),
        "node_port_addresses": _given(found, "nodePortAddresses", ()),
        "cluster_cidr": _given(found, "clusterCIDR", ""),
        "local_mode": mode,
        "local_interface": _given(local, field, "") if field else "",
    }


def _ipvs(block: Mapping[str, Any]) -> dict[str, Any]:
    unknown = sorted(set(block) - set(_FIELDS))
    if unknown:
        raise InvalidConfig("ipvs", unknown, "fields named " + ", ".join(_FIELDS))
    return {
        "sync_period": parse_duration("ipvs.syncPeriod", block.get("syncPeriod")) or DEFAULT_PERIOD,
        "min_sync_period": parse_duration("ipvs.minSyncPeriod", block.get("minSyncPeriod")),
        "scheduler": _given(block, "scheduler", ""),
        "exclude_cidrs": _given(block, "excludeCIDRs", ()),
        "strict_arp": _given(block, "strictARP", False),
        "tcp_timeout": _seconds(block, "tcpTimeout"),
        "tcp_fin_timeout": _seconds(block, "tcpFinTimeout"),
        "udp_timeout": _seconds(block, "udpTimeout"),
    }


def parse_duration(field: str, value: object) -> float:
    """Seconds of a duration as Go writes it ("1h30m", "250ms"); 0 where there is none. Raises InvalidConfig."""
    if value is None or value in (0, "", "0"):
        return 0.0
    text = value if isinstance(value, str) else ""
    sign, digits = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    parts = _PART.findall(digits)
    if not parts or "".join(map("".join, parts)) != digits:
        raise InvalidConfig(field, value, 'a duration such as "30s" or "1h30m"')
    return float(sign * sum(float(number) * _UNITS[unit] for number, unit in parts))


def _seconds(block: Mapping[str, Any], name: str) -> int:
    seconds = parse_duration(f"ipvs.{name}", block.get(name))
    if seconds < 0:
        raise InvalidConfig(f"ipvs.{name}", block[name], "0 or more")
    return int(seconds)


def _block(found: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    block = found.get(name)
    if block is None:
        return {}
    if not isinstance(block, Mapping):
        raise InvalidConfig(name, block, "a mapping")
    return block


def _given(found: Mapping[str, Any], name: str, default: Any) -> Any:  # noqa: ANN401 - `Config` looks at it
    value = found.get(name)
    return default if value is None else value
