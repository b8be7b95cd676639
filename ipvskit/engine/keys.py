"""What identifies each thing that a state can name.

Knows: identities and their text forms. Must not know: configurations.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Interface
from typing import TYPE_CHECKING

from ipvskit.errors import InvalidConfig
from ipvskit.model.address import endpoint_text
from ipvskit.model.daemon import DaemonRole
from ipvskit.model.key import ServiceKey
from ipvskit.model.sysctl import SYSCTLS

if TYPE_CHECKING:
    from ipvskit.model.address import IPAddress

__all__ = [
    "AddressKey",
    "DaemonKey",
    "DeviceKey",
    "Key",
    "RealKey",
    "ServiceKey",
    "SetKey",
    "SysctlKey",
    "TimeoutsKey",
    "owner",
    "parse_key",
    "sort_key",
]

_SHAPES = '"192.0.2.10:80/tcp", "set:NAME", "device:NAME", "sysctl:NAME", "daemon:ROLE" or "timeouts"'


@dataclass(frozen=True, slots=True)
class RealKey:
    """A real server of a virtual service."""

    service: ServiceKey
    address: IPAddress
    port: int

    def __str__(self) -> str:
        return f"{endpoint_text(self.address, self.port)} of {self.service}"


@dataclass(frozen=True, slots=True)
class SetKey:
    """A set, with its entries."""

    name: str

    def __str__(self) -> str:
        return f"set:{self.name}"


@dataclass(frozen=True, slots=True)
class DeviceKey:
    """A network device, with its addresses."""

    name: str

    def __str__(self) -> str:
        return f"device:{self.name}"


@dataclass(frozen=True, slots=True)
class AddressKey:
    """An address of a network device."""

    device: str
    address: IPv4Interface | IPv6Interface

    def __str__(self) -> str:
        return f"{self.address} on {self.device}"


@dataclass(frozen=True, slots=True)
class SysctlKey:
    """A setting of the kernel."""

    name: str

    def __str__(self) -> str:
        return f"sysctl:{self.name}"


@dataclass(frozen=True, slots=True)
class DaemonKey:
    """A sync daemon."""

    role: DaemonRole

    def __str__(self) -> str:
        return f"daemon:{self.role}"


@dataclass(frozen=True, slots=True)
class TimeoutsKey:
    """The timeouts of connections."""

    def __str__(self) -> str:
        return "timeouts"


Key = ServiceKey | RealKey | SetKey | DeviceKey | AddressKey | SysctlKey | DaemonKey | TimeoutsKey


def parse_key(text: object) -> Key:
    """A key from its text form: that of a service, "set:NAME", "device:NAME", "sysctl:NAME", "daemon:ROLE", "timeouts". Raises InvalidConfig."""
    if isinstance(text, Key):
        return text
    if not isinstance(text, str):
        raise InvalidConfig("key", text, _SHAPES)
    kind, _, name = text.partition(":")
    if text == "timeouts":
        return TimeoutsKey()
    if not name or kind not in {"set", "device", "sysctl", "daemon"}:
        return ServiceKey.parse(text)
    if kind == "sysctl" and name not in SYSCTLS:
        raise InvalidConfig("key", text, "sysctl: and one of " + ", ".join(SYSCTLS))
    if kind == "daemon":
        if name not in tuple(DaemonRole):
            raise InvalidConfig("key", text, '"daemon:master" or "daemon:backup"')
        return DaemonKey(DaemonRole(name))
    return SetKey(name) if kind == "set" else DeviceKey(name) if kind == "device" else SysctlKey(name)


def owner(key: Key) -> Key:
    """What the object belongs to: real servers to their service, addresses to their device, everything else to itself."""
    if isinstance(key, RealKey):
        return key.service
    return DeviceKey(key.device) if isinstance(key, AddressKey) else key


_ORDER = {
    kind: number
    for number, kind in enumerate(
        (SysctlKey, TimeoutsKey, SetKey, DeviceKey, AddressKey, ServiceKey, RealKey, DaemonKey)
    )
}


def sort_key(key: Key) -> tuple[object, ...]:
    """By kind, then by what a person would sort by: texts are equal between runs, and so are plans."""
    rank = _ORDER[type(key)]
    match key:
        case ServiceKey():
            return rank, *service_order(key)
        case RealKey(service, address, port):
            return rank, *service_order(service), address.version, int(address), port
        case AddressKey(device, address):
            return rank, device, address.version, int(address.ip), address.network.prefixlen
        case _:
            return rank, str(key)


def service_order(key: ServiceKey) -> tuple[object, ...]:
    """Firewall marks last, addresses by number."""
    if key.address is None:
        return 1, str(key.family), "", key.fwmark, 0
    return 0, str(key.family), "", int(key.address), key.port, key.protocol
