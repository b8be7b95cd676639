"""Packed records: the C core's view of tracked flows, to values and back.

Knows: the layout of struct ik_conntrack_flow in csrc/ik_conntrack.h. Must not know: sockets, errors, policy.
"""

from __future__ import annotations

from functools import partial
from ipaddress import IPv4Address, IPv6Address
from struct import Struct
from typing import TYPE_CHECKING

from ipvskit.model.flow import Flow, stored_flows
from ipvskit.model.key import PROTOCOLS

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipvskit.model.address import IPAddress
    from ipvskit.model.flow import Endpoint

__all__ = [
    "AF_INET",
    "AF_INET6",
    "CHOICE",
    "FLOW",
    "address_key",
    "destination_key",
    "flow_record",
    "flows_of",
    "port_key",
    "source_key",
]

AF_INET, AF_INET6 = 2, 10

#: struct ik_conntrack_flow: number, mark, status, zones, family, protocol; source and its port, destination's port and destination, twice.
FLOW = Struct("=IIIHHBB2x" + "16sHH16s" * 2)
#: Of the same, the original destination and the reply's source, each with its port, as the keys below.
CHOICE = Struct("=20x18x18s18s18x")
_SOURCE = Struct("=16sH")
_DESTINATION = Struct("=H16s")
_PORT = Struct("=H")

_NAMES = {number: name for name, number in PROTOCOLS.items()}


def source_key(endpoint: Endpoint) -> bytes:
    """An endpoint as the source that records have."""
    address, port = endpoint
    return _SOURCE.pack(address.packed, port)


def destination_key(endpoint: Endpoint) -> bytes:
    """An endpoint as the destination that records have: `port_key` of its port, then the address."""
    address, port = endpoint
    return _DESTINATION.pack(port, address.packed)


def address_key(address: IPAddress) -> bytes:
    """What destinations with this address end with."""
    return address.packed.ljust(16, b"\0")


def port_key(port: int) -> bytes:
    """What destinations with this port begin with."""
    return _PORT.pack(port)


def flow_record(flow: Flow) -> bytes:
    """To delete it, or to list it."""
    family = AF_INET if flow.source[0].version == 4 else AF_INET6
    (source, source_port), (destination, port) = flow.source, flow.destination
    (reply, reply_port), (back, back_port) = flow.reply_source, flow.reply_destination
    return FLOW.pack(
        *(flow.id, flow.mark, flow.status, flow.zone, flow.reply_zone, family, PROTOCOLS[flow.protocol]),
        *(source.packed, source_port, port, destination.packed),
        *(reply.packed, reply_port, back_port, back.packed),
    )


def flows_of(family: int, data: bytes) -> list[Flow]:
    """Packed records of one family as values; of what a listing has twice, the last."""
    rows = list(FLOW.iter_unpack(data))
    if len({row[0] for row in rows}) < len(rows):
        # Its mark and status may have changed in between.
        rows = list({(row[0], *row[3:]): row for row in rows}.values())
    if not rows:
        return []
    ids, marks, status, zones, reply_zones, _, protocols, *places = zip(*rows, strict=True)
    make = partial(_address, family)
    known: dict[bytes, IPAddress] = {}
    source, source_port, port, destination, reply, reply_port, back_port, back = places
    endpoints = [
        list(zip(_each_once(known, make, addresses), ports, strict=True))
        for addresses, ports in ((source, source_port), (destination, port), (reply, reply_port), (back, back_port))
    ]
    names = [_NAMES[number] for number in protocols]
    return stored_flows(len(rows), [names, *endpoints, zones, reply_zones, ids, marks, status])


def _each_once(
    known: dict[bytes, IPAddress], make: Callable[[bytes], IPAddress], raw: tuple[bytes, ...]
) -> list[IPAddress]:
    known |= {one: make(one) for one in set(raw).difference(known)}
    return [known[one] for one in raw]


def _address(family: int, raw: bytes) -> IPAddress:
    return IPv4Address(raw[:4]) if family == AF_INET else IPv6Address(raw)
