"""The text of an element that was given, as ipset repeats it.

Knows: how each part is written. Must not know: listings, which the C core writes.
"""

from __future__ import annotations

import _socket as socket  # `socket` itself takes longer to load than a command takes

from ipvskit.cli.ipset import names

# This is loaded for every command: no `typing`. Type checkers know the name.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    Values = Mapping[str, Any]

__all__ = ["element_text"]

_ICMP, _ICMP6 = 1, 58


def element_text(data: Values, parts: Sequence[str], *, last_optional: bool = False) -> str:
    """The parts of an element, as they were given."""
    texts = []
    options = {"first": "ip", "second": "ip2"}
    seen = 0
    for part in parts:
        if part in _ADDRESSES:
            texts.append(_address(data, options["second" if seen else "first"]))
            seen += 1
        elif part == "ether" and last_optional and "ether" not in data:
            break
        else:
            texts.append(_WRITERS[part](data))
    return ",".join(texts)


def address_text(packed: bytes) -> str:
    """An address."""
    return socket.inet_ntop(socket.AF_INET if len(packed) == 4 else socket.AF_INET6, packed)


def _address(data: Values, option: str) -> str:
    width = 8 * len(data[option])
    prefix = data.get("cidr" if option == "ip" else "cidr2", width)
    behind = "" if prefix == width else f"/{prefix}"
    text = address_text(data[option]) + behind
    # Sic: the end of the first range is shown behind the second address as well.
    last = data.get("ip_to")
    return text if last is None else f"{text}-{address_text(last)}{behind}"


def _ports(data: Values) -> str:
    last = data.get("port_to")
    return f"{data['port']}" if last is None else f"{data['port']}-{last}"


def _proto_port(data: Values) -> str:
    number = data["proto"]
    before = f"{names.protocol_name(number) or number}:"
    if number == _ICMP:
        return before + names.icmp_name(names.ICMP, data["port"])
    if number == _ICMP6:
        return before + names.icmp_name(names.ICMP6, data["port"])
    return before + _ports(data)


def _ether(data: Values) -> str:
    return ":".join(f"{octet:02X}" for octet in data["ether"])


def _mark(data: Values) -> str:
    return f"0x{data['mark']:08x}"


def _interface(data: Values) -> str:
    # Sic: without "physdev:".
    return str(data["iface"])


def _name(data: Values) -> str:
    # Sic: whatever was said, it is shown as "after".
    return f"{data['name']} after {data['nameref']}" if "nameref" in data else str(data["name"])


_ADDRESSES = {"ip", "single_ip", "ipnet", "ip4_single6", "ip4_net6"}
_WRITERS: dict[str, Callable[[Values], str]] = {
    "proto_port": _proto_port,
    "tcp_udp_port": _ports,
    "ether": _ether,
    "mark": _mark,
    "iface": _interface,
    "setname": _name,
}
