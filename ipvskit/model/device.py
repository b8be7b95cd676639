"""A network device and its addresses.

Knows: what a device is called and what it may carry. Must not know: the kernel.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface, ip_interface
from typing import TYPE_CHECKING, Any

from ipvskit.errors import InvalidConfig
from ipvskit.model.options import read_options
from ipvskit.model.slots import setter

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ipvskit.model.address import IPAddress

__all__ = [
    "DUMMY",
    "Device",
    "DeviceAddress",
    "check_device_name",
    "parse_device_address",
    "parse_device_addresses",
    "stored_device",
]

DeviceAddress = IPv4Interface | IPv6Interface

#: The kind of devices that the library makes and removes.
DUMMY = "dummy"
MAX_NAME = 15
MAX_KIND = 63

#: What the kernel takes for white space, and what separates names in paths, aliases and templates.
_NOT_IN_NAMES = frozenset(b"\0\t\n\v\f\r \xa0/:%")
_ANY = "any"
_NONE = "none"


def check_device_name(field: str, name: object) -> str:
    """A name that a network device can have. Raises InvalidConfig."""
    try:
        raw = name.encode(errors="surrogateescape") if isinstance(name, str) else b""
    except UnicodeEncodeError:
        raw = b""
    if not isinstance(name, str) or not 1 <= len(raw) <= MAX_NAME or name in {".", ".."} or _NOT_IN_NAMES & set(raw):
        raise InvalidConfig(
            field, name, f'a device\'s name: 1 to {MAX_NAME} bytes, without white space, "/", ":" and "%"'
        )
    return name


def parse_device_address(field: str, value: str | IPAddress | DeviceAddress) -> DeviceAddress:
    """An address with its prefix length, all bits where none is given. Raises InvalidConfig."""
    expected = 'an IPv4 or IPv6 address, with a prefix length ("192.0.2.10/24") or without'
    if isinstance(value, IPv4Interface | IPv6Interface):
        address = value
    elif isinstance(value, str | IPv4Address | IPv6Address):
        try:
            address = ip_interface(value)
        except ValueError:
            raise InvalidConfig(field, value, expected) from None
    else:
        raise InvalidConfig(field, value, expected)
    if isinstance(address, IPv6Interface) and address.scope_id is not None:
        raise InvalidConfig(field, str(value), "an address without a zone: the device is the zone")
    if address.is_multicast or int(address) == 0:
        raise InvalidConfig(field, str(value), "the address of a host, neither multicast nor unspecified")
    return address


def parse_device_addresses(field: str, values: Iterable[str | IPAddress | DeviceAddress]) -> list[DeviceAddress]:
    """Several. Raises InvalidConfig."""
    if isinstance(values, str | bytes):
        raise InvalidConfig(field, values, "several addresses, not one text")
    return [parse_device_address(field, value) for value in values]


@dataclass(frozen=True, slots=True, init=False)
class Device:
    """A network device and its addresses. `name` (1 to 15 bytes) identifies it within its namespace.

    `kind` "dummy" is made where it is missing; with None it may be of any kind and must be there already; what the kernel lists has its own kind
    ("veth", "bridge"), or "" for devices that have none, such as lo. `up` is None where it does not matter. `addresses` have prefix lengths; text is
    taken, and without a prefix length it has all bits ("192.0.2.10" is 192.0.2.10/32). Each address and prefix length is there once; their order
    counts when devices are compared. Raises InvalidConfig.
    """

    name: str
    kind: str | None
    up: bool | None
    addresses: tuple[DeviceAddress, ...]

    def __init__(
        self,
        name: str,
        *,
        kind: str | None = DUMMY,
        up: bool | None = True,
        addresses: Iterable[str | IPAddress | DeviceAddress] = (),
    ) -> None:
        check_device_name("name", name)
        _check_kind(kind)
        if not isinstance(up, bool) and up is not None:
            raise InvalidConfig("up", up, "True, False or None (as it is)")
        _fill(self, name, kind, up, _each_once(parse_device_addresses("addresses", addresses)))

    @classmethod
    def parse(cls, text: str | Device) -> Device:
        """From its text form: `NAME [kind=KIND|any|none] [up=yes|no|any]`, then a line `ADDRESS[/PREFIX]` for each address. Raises InvalidConfig."""
        if isinstance(text, Device):
            return text
        if not isinstance(text, str):
            raise InvalidConfig("device", text, "a Device or its text form")
        # Names may have what str.split() takes for white space.
        first, *lines = text.strip(" \t\n").split("\n")
        name, *words = [word for word in first.split(" ") if word] or [""]
        given: dict[str, Any] = read_options("device", words, {"kind": str, "up": str})
        if "kind" in given:
            given["kind"] = {_ANY: None, _NONE: ""}.get(given["kind"], given["kind"])
        if "up" in given:
            if given["up"] not in _UP:
                raise InvalidConfig("up", given["up"], "one of " + ", ".join(_UP))
            given["up"] = _UP[given["up"]]
        return cls(name, addresses=[line.strip(" \t") for line in lines], **given)

    def replace(self, **changes: Any) -> Device:
        """The same with some attributes changed, and checked again. Raises InvalidConfig."""
        unknown = changes.keys() - set(_FIELDS)
        if unknown:
            raise InvalidConfig("device", sorted(unknown), "attributes named " + ", ".join(_FIELDS))
        values = {name: getattr(self, name) for name in _FIELDS} | changes
        return Device(values.pop("name"), **values)

    def __str__(self) -> str:
        words = [self.name]
        if self.kind != DUMMY:
            words.append(f"kind={_ANY if self.kind is None else self.kind or _NONE}")
        if self.up is not True:
            words.append("up=" + next(word for word, up in _UP.items() if up is self.up))
        return "\n".join([" ".join(words), *(f"  {address}" for address in self.addresses)])


_FIELDS = ("name", "kind", "up", "addresses")
_UP = {"yes": True, "no": False, _ANY: None}


def _check_kind(kind: object) -> None:
    if kind is None or kind == "":
        return
    if (
        not isinstance(kind, str)
        or kind in {_ANY, _NONE}
        or not 1 <= len(kind) <= MAX_KIND
        or not (kind.isascii() and kind.isprintable() and " " not in kind)
    ):
        expected = f'None for any kind, "" for none, or a kind of 1 to {MAX_KIND} letters, such as "dummy"'
        raise InvalidConfig("kind", kind, expected)


def _each_once(addresses: list[DeviceAddress]) -> tuple[DeviceAddress, ...]:
    # Comparing interfaces compares their networks as well, which is slow.
    seen: set[tuple[int, int, int]] = set()
    for address in addresses:
        key = (address.version, int(address), address.network.prefixlen)
        if key in seen:
            raise InvalidConfig("addresses", str(address), "each address and prefix length once")
        seen.add(key)
    return tuple(addresses)


_set_name = setter(Device, "name")
_set_kind = setter(Device, "kind")
_set_up = setter(Device, "up")
_set_addresses = setter(Device, "addresses")


def _fill(device: Device, name: str, kind: str | None, up: bool | None, addresses: tuple[DeviceAddress, ...]) -> None:
    _set_name(device, name)
    _set_kind(device, kind)
    _set_up(device, up)
    _set_addresses(device, addresses)


def stored_device(name: str, kind: str, up: bool, addresses: Iterable[DeviceAddress]) -> Device:
    """A device as the kernel lists it, not checked: what others made may be what we would refuse."""
    device: Device = object.__new__(Device)
    _fill(device, name, kind, up, tuple(addresses))
    return device
