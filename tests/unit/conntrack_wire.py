"""Messages about tracked flows in plain Python, written from the kernel's interface and not from our C.

Knows: headers, attributes, byte orders of ctnetlink (uapi linux/netfilter/nfnetlink_conntrack.h). Must not know: ipvskit.
It is the oracle that the C core is compared with, and plants flows in real kernels:

    new(Planted("udp", ("10.0.0.9", 4000), ("192.0.2.1", 53), ("10.1.1.1", 5353)))
    read(reply)[0]["reply"]["source"]
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from tests.unit import wire

NEW, GET, DELETE = 0x100, 0x101, 0x102
NLM_F_EXCL, NLM_F_CREATE, NLM_F_DUMP = 0x200, 0x400, 0x300
GENERIC = struct.Struct("=BBH")
AF_INET, AF_INET6 = 2, 10
PROTOCOLS = {"tcp": 6, "udp": 17, "sctp": 132}
TUPLE_ORIG, TUPLE_REPLY, STATUS, TIMEOUT, MARK, ID, ZONE, FILTER = 1, 2, 3, 7, 8, 12, 18, 25
TUPLE_IP, TUPLE_PROTO, TUPLE_ZONE = 1, 2, 3
V4_SRC, V4_DST, V6_SRC, V6_DST = 1, 2, 3, 4
NUMBER, SRC_PORT, DST_PORT = 1, 2, 3
FILTER_ORIG_FLAGS = 1
FILTER_PROTO_NUM = 1 << 3

Endpoint = tuple[str, int]


@dataclass(frozen=True)
class Planted:
    """A flow as a kernel can be told to have it. Without `reply_destination` answers go to the source, as they do without masquerading."""

    protocol: str
    source: Endpoint
    destination: Endpoint
    reply_source: Endpoint | None = None
    reply_destination: Endpoint | None = None
    zone: int = 0
    mark: int = 0
    timeout: int = 600
    #: Which direction has the zone: "" for both, "orig", "reply".
    zone_of: str = ""

    @property
    def family(self) -> int:
        """AF_INET, AF_INET6."""
        return AF_INET6 if ":" in self.source[0] else AF_INET

    @property
    def answer(self) -> tuple[Endpoint, Endpoint]:
        """Source and destination of what comes back."""
        return self.reply_source or self.destination, self.reply_destination or self.source


def be16(number: int, value: int) -> bytes:
    """A packed attribute of two bytes."""
    return wire.attribute(number, struct.pack(">H", value))


def be32(number: int, value: int) -> bytes:
    """A packed attribute of four bytes."""
    return wire.attribute(number, struct.pack(">I", value))


def direction(
    number: int, protocol: int, source: Endpoint, destination: Endpoint, *, zone: int = 0, more: bytes = b""
) -> bytes:
    """One direction of a flow: CTA_TUPLE_ORIG or CTA_TUPLE_REPLY."""
    packed = [ip_address(address).packed for address, _ in (source, destination)]
    numbers = (V4_SRC, V4_DST) if len(packed[0]) == 4 else (V6_SRC, V6_DST)
    inner = wire.nest(TUPLE_IP, *(wire.attribute(at, raw) for at, raw in zip(numbers, packed, strict=True)))
    ports = be16(SRC_PORT, source[1]) + be16(DST_PORT, destination[1])
    inner += wire.nest(TUPLE_PROTO, wire.attribute(NUMBER, bytes([protocol])), ports)
    if zone:
        inner += be16(TUPLE_ZONE, zone)
    return wire.nest(number, inner + more)


def message(kind: int, family: int, attributes: bytes, *, flags: int = 0, sequence: int = 1) -> bytes:
    """A whole message."""
    return wire.Message(kind, flags, sequence, GENERIC.pack(family, 0, 0) + attributes).pack()


def _attributes(flow: Planted) -> bytes:
    protocol = PROTOCOLS[flow.protocol]
    zones = {name: flow.zone if flow.zone_of == name else 0 for name in ("", "orig", "reply")}
    found = direction(TUPLE_ORIG, protocol, flow.source, flow.destination, zone=zones["orig"])
    found += direction(TUPLE_REPLY, protocol, *flow.answer, zone=zones["reply"])
    return found + (be16(ZONE, zones[""]) if zones[""] else b"")


def new(flow: Planted, sequence: int = 1) -> bytes:
    """What plants it: refused with EEXIST where there is one."""
    attributes = _attributes(flow) + be32(TIMEOUT, flow.timeout) + be32(MARK, flow.mark)
    flags = wire.NLM_F_REQUEST | wire.NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL
    return message(NEW, flow.family, attributes, flags=flags, sequence=sequence)


def listed(flow: Planted, number: int = 1, status: int = 0xE) -> bytes:
    """How a kernel lists it."""
    attributes = _attributes(flow) + be32(STATUS, status) + be32(TIMEOUT, flow.timeout) + be32(ID, number)
    if flow.mark:
        attributes += be32(MARK, flow.mark)
    return message(NEW, flow.family, attributes, flags=wire.NLM_F_MULTI)


def tuple_of(payload: bytes) -> dict[str, Any]:
    """One direction, taken apart."""
    found: dict[str, Any] = {}
    for part in wire.read_attributes(payload):
        if part.number == TUPLE_ZONE:
            found["zone"] = int.from_bytes(part.payload)
            continue
        inner = {one.number: one.payload for one in wire.read_attributes(part.payload)}
        if part.number == TUPLE_IP:
            found["source"], found["destination"] = (
                str(ip_address(inner[at])) for at in ((V4_SRC, V4_DST) if V4_SRC in inner else (V6_SRC, V6_DST))
            )
        else:
            found["protocol"] = inner[NUMBER][0]
            found |= {
                name: int.from_bytes(inner[at])
                for name, at in (("source_port", SRC_PORT), ("destination_port", DST_PORT))
                if at in inner
            }
    return found


_NUMBERS = {STATUS: "status", TIMEOUT: "timeout", MARK: "mark", ID: "id", ZONE: "zone"}


def read(data: bytes) -> list[dict[str, Any]]:
    """Messages, taken apart."""
    found = []
    for one in wire.read_messages(data):
        fields: dict[str, Any] = {
            "type": one.type,
            "flags": one.flags,
            "sequence": one.sequence,
            "family": one.payload[0],
        }
        for part in wire.read_attributes(one.payload[GENERIC.size :]):
            if part.number in {TUPLE_ORIG, TUPLE_REPLY}:
                fields["original" if part.number == TUPLE_ORIG else "reply"] = tuple_of(part.payload)
            elif part.number == FILTER:
                fields["filter"] = {
                    at.number: struct.unpack("=I", at.payload)[0] for at in wire.read_attributes(part.payload)
                }
            elif part.number in _NUMBERS:
                fields[_NUMBERS[part.number]] = int.from_bytes(part.payload)
        found.append(fields)
    return found
