"""What a controller may delete.

Knows: networks, ports, marks, patterns of names. Must not know: what is wanted.
"""

from __future__ import annotations

import ipaddress
from fnmatch import fnmatchcase
from ipaddress import IPv4Network, IPv6Network
from typing import TYPE_CHECKING, Any, NamedTuple

from ipvskit.engine.keys import (
    AddressKey,
    DaemonKey,
    DeviceKey,
    Key,
    RealKey,
    SetKey,
    SysctlKey,
    TimeoutsKey,
    parse_key,
)
from ipvskit.errors import InvalidConfig
from ipvskit.model.address import is_number, parse_number
from ipvskit.model.key import PROTOCOLS, ServiceKey

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ipvskit.model.address import IPAddress

__all__ = ["Scope"]


class _Ports(NamedTuple):
    first: int
    last: int
    protocol: str | None


class Scope:
    """What is a controller's own: only that is ever deleted, and nothing else is touched.

    `vips` are networks or addresses of virtual services, `ports` numbers, ranges and protocols ("80", "53/udp", "8000-8100/tcp"); where both are
    given a service has to fit both. `fwmarks` are numbers, ranges as text ("100-199") or pairs. `sets` and `devices` are patterns of names as in a
    shell ("web-*"): a device comes with its addresses. `keys` name single objects, as keys or in their text forms. `daemons` says whether sync
    daemons may be stopped. Settings have no owner: those that a state names are set, and none is ever undone. Raises InvalidConfig.
    """

    __slots__ = ("_all", "_nets", "daemons", "devices", "fwmarks", "keys", "ports", "sets", "vips")

    def __init__(
        self,
        *,
        vips: Iterable[str | IPv4Network | IPv6Network | Any] | None = None,
        ports: Iterable[int | str] | None = None,
        fwmarks: Iterable[int | str | tuple[int, int]] = (),
        sets: Iterable[str] = (),
        devices: Iterable[str] = (),
        keys: Iterable[Key | str] = (),
        daemons: bool = False,
    ) -> None:
        given = {"vips": vips, "ports": ports, "fwmarks": fwmarks, "sets": sets, "devices": devices, "keys": keys}
        for name, value in given.items():
            if isinstance(value, str | int):
                raise InvalidConfig(name, value, "a list, even of one")
        self._all = False
        self.vips = None if vips is None else tuple(map(_network, vips))
        # Numbers are compared ten times as fast as networks are.
        self._nets = tuple((net.version, int(net.netmask), int(net.network_address)) for net in self.vips or ())
        self.ports = None if ports is None else tuple(map(_ports, ports))
        self.fwmarks = tuple(map(_marks, fwmarks))
        self.sets = tuple(map(_pattern("sets"), sets))
        self.devices = tuple(map(_pattern("devices"), devices))
        self.keys = frozenset(map(parse_key, keys))
        self.daemons = bool(daemons)

    @classmethod
    def everything(cls) -> Scope:
        """All that there is in the namespace. Spelled out, because it lets everything be deleted that is not wanted."""
        made = cls()
        made._all = True
        return made

    def __contains__(self, key: object) -> bool:
        if self._all or key in self.keys:
            return True
        match key:
            case ServiceKey():
                return self._has_service(key)
            case RealKey(service):
                return service in self
            case SetKey(name):
                return any(fnmatchcase(name, pattern) for pattern in self.sets)
            case DeviceKey(name):
                return any(fnmatchcase(name, pattern) for pattern in self.devices)
            case AddressKey(device):
                return DeviceKey(device) in self
            case DaemonKey():
                return self.daemons
        return False

    def _has_service(self, key: ServiceKey) -> bool:
        if key.address is None:
            return any(first <= key.fwmark <= last for first, last in self.fwmarks)
        if self.vips is None and self.ports is None:
            return False
        if self.vips is not None and not self.has_address(key.address):
            return False
        return self.ports is None or any(
            ports.first <= key.port <= ports.last and ports.protocol in {None, key.protocol} for ports in self.ports
        )

    def has_address(self, address: IPAddress) -> bool:
        """Whether the address is in one of the `vips`."""
        version, number = address.version, int(address)
        return any(version == each and number & mask == start for each, mask, start in self._nets)

    @property
    def has_services(self) -> bool:
        """Whether any virtual service can be in it."""
        services = any(isinstance(key, ServiceKey | RealKey) for key in self.keys)
        return self._all or services or bool(self.fwmarks) or self.vips is not None or self.ports is not None

    @property
    def has_settings(self) -> bool:
        """Whether it names settings, timeouts or sync daemons."""
        named = any(isinstance(key, SysctlKey | TimeoutsKey | DaemonKey) for key in self.keys)
        return self._all or self.daemons or named

    @property
    def has_sets(self) -> bool:
        """Whether any set can be in it."""
        return self._all or bool(self.sets) or any(isinstance(key, SetKey) for key in self.keys)

    @property
    def has_devices(self) -> bool:
        """Whether any device can be in it."""
        return self._all or bool(self.devices) or any(isinstance(key, DeviceKey | AddressKey) for key in self.keys)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Scope):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self.__slots__ if name != "_nets")

    def __hash__(self) -> int:
        return hash((self._all, self.vips, self.ports, self.fwmarks, self.sets, self.devices, self.keys, self.daemons))

    def __repr__(self) -> str:
        if self._all:
            return "Scope.everything()"
        parts = {
            "vips": self.vips and [str(one) for one in self.vips],
            "ports": self.ports and [_ports_text(one) for one in self.ports],
            "fwmarks": [f"{first}-{last}" for first, last in self.fwmarks],
            "sets": list(self.sets),
            "devices": list(self.devices),
            "keys": sorted(map(str, self.keys)),
            "daemons": self.daemons,
        }
        return "Scope(" + ", ".join(f"{name}={value!r}" for name, value in parts.items() if value) + ")"


def _network(value: object) -> IPv4Network | IPv6Network:
    try:
        return ipaddress.ip_network(value)  # type: ignore[arg-type] # what it does not take it raises for
    except ValueError:
        expected = 'a network or an address, as in "192.0.2.0/24", without bits behind its prefix'
        raise InvalidConfig("vips", value if isinstance(value, str) else repr(value), expected) from None


def _ports(value: int | str) -> _Ports:
    if isinstance(value, int):
        number = parse_number("ports", value, 0, 65535)
        return _Ports(number, number, None)
    expected = 'a number, a range or either with a protocol, as in "80", "8000-8100", "53/udp"'
    if not isinstance(value, str):
        raise InvalidConfig("ports", value, expected)
    numbers, slash, protocol = value.partition("/")
    first, dash, last = numbers.partition("-")
    last = last if dash else first
    if (slash and protocol not in PROTOCOLS) or not is_number(first) or not is_number(last):
        raise InvalidConfig("ports", value, expected)
    low, high = (parse_number("ports", int(number), 0, 65535) for number in (first, last))
    if low > high:
        raise InvalidConfig("ports", value, "a range that begins with its lower end")
    return _Ports(low, high, protocol or None)


def _ports_text(ports: _Ports) -> str:
    numbers = str(ports.first) if ports.first == ports.last else f"{ports.first}-{ports.last}"
    return numbers + (f"/{ports.protocol}" if ports.protocol else "")


def _marks(value: int | str | tuple[int, int]) -> tuple[int, int]:
    pair: tuple[Any, Any]
    if isinstance(value, str):
        first, dash, last = value.partition("-")
        if not is_number(first) or (dash and not is_number(last)):
            raise InvalidConfig("fwmarks", value, 'a number, or a range as in "100-199"')
        pair = int(first), int(last or first)
    elif isinstance(value, tuple) and len(value) == 2:
        pair = value
    else:
        pair = value, value
    low, high = (parse_number("fwmarks", number, 1, 2**32 - 1) for number in pair)
    if low > high:
        raise InvalidConfig("fwmarks", value, "a range that begins with its lower end")
    return low, high


def _pattern(field: str) -> Any:  # noqa: ANN401 - a function
    def check(value: object) -> str:
        if not isinstance(value, str) or not value:
            raise InvalidConfig(field, value, 'names or patterns of them, as in "web-*"')
        return value

    return check
