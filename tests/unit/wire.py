"""Netlink, generic netlink and IPVS messages in plain Python, written from the kernel's documented interface and not from our C.

Knows: headers, attributes, nests, numbers, types and byte orders of IPVS (uapi linux/netlink.h, linux/genetlink.h, linux/ip_vs.h).
Must not know: ipvskit. It is the oracle that the C core is compared with, so it is strict where the C is tolerant: what it reads must be
exactly what a tidy sender writes.
"""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass
from typing import Any

NLMSG_NOOP, NLMSG_ERROR, NLMSG_DONE, NLMSG_MIN_TYPE = 1, 2, 3, 16
NLM_F_REQUEST, NLM_F_MULTI, NLM_F_ACK = 0x1, 0x2, 0x4
NLM_F_ROOT, NLM_F_MATCH = 0x100, 0x200
NLM_F_CAPPED, NLM_F_ACK_TLVS = 0x100, 0x200
NLA_F_NESTED, NLA_F_NET_BYTEORDER = 0x8000, 0x4000
NLMSGERR_ATTR_MSG, NLMSGERR_ATTR_OFFS = 1, 2
GENL_ID_CTRL, CTRL_CMD_NEWFAMILY, CTRL_CMD_GETFAMILY = 16, 1, 3
CTRL_ATTR_FAMILY_ID, CTRL_ATTR_FAMILY_NAME = 1, 2

MESSAGE = struct.Struct("=IHHII")
ATTRIBUTE = struct.Struct("=HH")
GENL = struct.Struct("=BBH")


class Untidy(ValueError):
    """What was read is not what a tidy sender writes."""


def _expect(truth: bool, complaint: str) -> None:
    if not truth:
        raise Untidy(complaint)


# --- netlink ------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Message:
    """One netlink message."""

    type: int
    flags: int
    sequence: int
    payload: bytes
    port: int = 0

    def pack(self) -> bytes:
        """The message with its padding."""
        length = MESSAGE.size + len(self.payload)
        header = MESSAGE.pack(length, self.type, self.flags, self.sequence, self.port)
        return header + self.payload + bytes(-length % 4)


@dataclass(frozen=True)
class Attribute:
    """One attribute; `nested` is the flag on the wire, whatever the payload holds."""

    number: int
    payload: bytes
    nested: bool = False

    def pack(self) -> bytes:
        """The attribute with its padding."""
        length = ATTRIBUTE.size + len(self.payload)
        kind = self.number | (NLA_F_NESTED if self.nested else 0)
        return ATTRIBUTE.pack(length, kind) + self.payload + bytes(-length % 4)


def nest(number: int, *inner: bytes) -> bytes:
    """A nest of packed attributes."""
    return Attribute(number, b"".join(inner), nested=True).pack()


def attribute(number: int, payload: bytes) -> bytes:
    """A packed attribute."""
    return Attribute(number, payload).pack()


def read_messages(data: bytes) -> list[Message]:
    """Every message of a buffer. Raises Untidy."""
    found = []
    while data:
        _expect(len(data) >= MESSAGE.size, "a message's header is cut off")
        length, kind, flags, sequence, port = MESSAGE.unpack_from(data)
        padded = length + -length % 4
        _expect(MESSAGE.size <= length and padded <= len(data), f"a message of {length} bytes in {len(data)}")
        _expect(not any(data[length:padded]), "padding behind a message is not zero")
        found.append(Message(kind, flags, sequence, data[MESSAGE.size : length], port))
        data = data[padded:]
    return found


def read_attributes(data: bytes) -> list[Attribute]:
    """Every attribute of a payload. Raises Untidy."""
    found = []
    while data:
        _expect(len(data) >= ATTRIBUTE.size, "an attribute's header is cut off")
        length, kind = ATTRIBUTE.unpack_from(data)
        padded = length + -length % 4
        _expect(ATTRIBUTE.size <= length and padded <= len(data), f"an attribute of {length} bytes in {len(data)}")
        _expect(not any(data[length:padded]), "padding behind an attribute is not zero")
        _expect(not kind & NLA_F_NET_BYTEORDER, "a byte-order flag, which IPVS does not use")
        found.append(Attribute(kind & 0x3FFF, data[ATTRIBUTE.size : length], bool(kind & NLA_F_NESTED)))
        data = data[padded:]
    return found


def error(sequence: int, number: int, *, request: bytes, flags: int = 0, tlvs: bytes = b"") -> bytes:
    """An NLMSG_ERROR: the refusal (or with 0 the acknowledgement) of a packed request, of which NLM_F_CAPPED leaves the header only."""
    copied = request[: MESSAGE.size] if flags & NLM_F_CAPPED else request
    return Message(NLMSG_ERROR, flags, sequence, struct.pack("=i", -number) + copied + tlvs).pack()


def done(sequence: int, number: int = 0, *, flags: int = NLM_F_MULTI, tlvs: bytes = b"") -> bytes:
    """An NLMSG_DONE, the end of a dump."""
    return Message(NLMSG_DONE, flags, sequence, struct.pack("=i", -number) + tlvs).pack()


# --- generic netlink ----------------------------------------------------------------------------------------------------------------


def genl(family: int, command: int, attributes: bytes, *, sequence: int = 0, flags: int = NLM_F_MULTI) -> bytes:
    """A packed message of a generic-netlink family."""
    return Message(family, flags, sequence, GENL.pack(command, 1, 0) + attributes).pack()


def family_answer(name: str, number: int, *, sequence: int = 0) -> bytes:
    """What the controller answers to the question for a family."""
    inner = [
        attribute(CTRL_ATTR_FAMILY_NAME, name.encode() + b"\0"),
        attribute(CTRL_ATTR_FAMILY_ID, struct.pack("=H", number)),
        attribute(3, struct.pack("=I", 1)),
    ]
    return genl(GENL_ID_CTRL, CTRL_CMD_NEWFAMILY, b"".join(inner), sequence=sequence, flags=0)


# --- IPVS ---------------------------------------------------------------------------------------------------------------------------

COMMANDS = (
    "",
    "NEW_SERVICE",
    "SET_SERVICE",
    "DEL_SERVICE",
    "GET_SERVICE",
    "NEW_DEST",
    "SET_DEST",
    "DEL_DEST",
    "GET_DEST",
    "NEW_DAEMON",
    "DEL_DAEMON",
    "GET_DAEMON",
    "SET_CONFIG",
    "GET_CONFIG",
    "SET_INFO",
    "GET_INFO",
    "ZERO",
    "FLUSH",
)

NEW_SERVICE, NEW_DEST, NEW_DAEMON, SET_CONFIG, SET_INFO = 1, 5, 9, 12, 14
SERVICE_NEST, DEST_NEST, DAEMON_NEST = 1, 2, 3
PAD = 11

#: Attribute name to number and kind. "be16" is in network order, "text" ends with a NUL, "flags" is a pair of u32.
Table = dict[str, tuple[int, str]]

SERVICE: Table = {
    "af": (1, "u16"),
    "protocol": (2, "u16"),
    "addr": (3, "bytes"),
    "port": (4, "be16"),
    "fwmark": (5, "u32"),
    "sched_name": (6, "text"),
    "flags": (7, "flags"),
    "timeout": (8, "u32"),
    "netmask": (9, "netmask"),
    "pe_name": (11, "text"),
}
DEST: Table = {
    "addr": (1, "bytes"),
    "port": (2, "be16"),
    "fwd_method": (3, "u32"),
    "weight": (4, "s32"),
    "u_thresh": (5, "u32"),
    "l_thresh": (6, "u32"),
    "active_conns": (7, "u32"),
    "inact_conns": (8, "u32"),
    "persist_conns": (9, "u32"),
    "addr_family": (11, "u16"),
    "tun_type": (13, "u8"),
    "tun_port": (14, "be16"),
    "tun_flags": (15, "u16"),
}
DAEMON: Table = {
    "state": (1, "u32"),
    "mcast_ifn": (2, "text"),
    "sync_id": (3, "u32"),
    "sync_maxlen": (4, "u16"),
    "mcast_group": (5, "bytes"),
    "mcast_group6": (6, "bytes"),
    "mcast_port": (7, "u16"),
    "mcast_ttl": (8, "u8"),
}
CONFIG: Table = {"timeout_tcp": (4, "u32"), "timeout_tcp_fin": (5, "u32"), "timeout_udp": (6, "u32")}
INFO: Table = {"version": (1, "u32"), "conn_tab_size": (2, "u32")}
STATS64: Table = {
    name: (number, "u64")
    for number, name in enumerate(
        ("conns", "inpkts", "outpkts", "inbytes", "outbytes", "cps", "inpps", "outpps", "inbps", "outbps"), 1
    )
}
#: Bytes were 64 bits wide from the beginning.
STATS32: Table = {name: (number, "u64" if number in {4, 5} else "u32") for name, (number, _) in STATS64.items()}

_NUMBERS = {"u8": "=B", "u16": "=H", "u32": "=I", "s32": "=i", "u64": "=Q", "be16": ">H"}
Fields = dict[str, Any]


def pack_value(kind: str, value: Any) -> bytes:
    """An attribute's payload."""
    if kind == "text":
        return bytes(value.encode() + b"\0")
    if kind == "flags":
        return struct.pack("=II", *value)
    if kind in _NUMBERS:
        return struct.pack(_NUMBERS[kind], value)
    return bytes(value)


def read_value(kind: str, payload: bytes) -> Any:
    """The value in an attribute's payload. Raises Untidy."""
    if kind == "text":
        _expect(payload.endswith(b"\0") and payload.count(b"\0") == 1, f"{payload!r} is not a text with one NUL")
        return payload[:-1].decode()
    if kind in _NUMBERS or kind == "flags":
        form = _NUMBERS.get(kind, "=II")
        _expect(len(payload) == struct.calcsize(form), f"{kind} of {len(payload)} bytes")
        values = struct.unpack(form, payload)
        return values if kind == "flags" else values[0]
    return payload


def pack_fields(table: Table, fields: Fields) -> bytes:
    """Packed attributes, in the order given."""
    return b"".join(attribute(table[name][0], pack_value(table[name][1], value)) for name, value in fields.items())


def read_fields(table: Table, payload: bytes) -> Fields:
    """Attributes by name. Raises Untidy for unknown ones, repeated ones and nests."""
    names = {number: (name, kind) for name, (number, kind) in table.items()}
    found: Fields = {}
    for one in read_attributes(payload):
        _expect(one.number in names and not one.nested, f"attribute {one.number} is not one of {table}")
        name, kind = names[one.number]
        _expect(name not in found, f"{name} twice")
        found[name] = read_value(kind, one.payload)
    return found


@dataclass(frozen=True)
class Request:
    """An IPVS request: its parts are None where it has none, `config` holds what stands outside of any nest."""

    command: str
    flags: int
    sequence: int
    family: int
    service: Fields | None = None
    dest: Fields | None = None
    daemon: Fields | None = None
    config: Fields | None = None


def read_request(message: Message) -> Request:
    """An IPVS request. Raises Untidy."""
    command, version, reserved = GENL.unpack_from(message.payload)
    _expect((version, reserved) == (1, 0), "version 1, nothing reserved")
    parts: dict[str, Fields] = {}
    loose = b""
    nests = {SERVICE_NEST: ("service", SERVICE), DEST_NEST: ("dest", DEST), DAEMON_NEST: ("daemon", DAEMON)}
    for one in read_attributes(message.payload[GENL.size :]):
        _expect(one.nested == (one.number in nests), "nests carry the flag, other attributes do not")
        if not one.nested:
            loose += one.pack()
            continue
        name, table = nests[one.number]
        _expect(name not in parts, f"{name} twice")
        parts[name] = read_fields(table, one.payload)
    if loose:
        parts["config"] = read_fields(CONFIG, loose)
    return Request(COMMANDS[command], message.flags, message.sequence, message.type, **parts)


def read_requests(data: bytes) -> list[Request]:
    """Every IPVS request of a buffer. Raises Untidy."""
    return [read_request(message) for message in read_messages(data)]


# --- what the kernel answers --------------------------------------------------------------------------------------------------------


def service_answer(family: int, fields: Fields, *, sequence: int = 0, more: bytes = b"") -> bytes:
    """One service of a dump; `more` are packed attributes behind its own (statistics, unknown ones)."""
    return genl(family, NEW_SERVICE, nest(SERVICE_NEST, pack_fields(SERVICE, fields), more), sequence=sequence)


def dest_answer(family: int, fields: Fields, *, sequence: int = 0, more: bytes = b"") -> bytes:
    """One real server of a dump."""
    return genl(family, NEW_DEST, nest(DEST_NEST, pack_fields(DEST, fields), more), sequence=sequence)


def daemon_answer(family: int, fields: Fields, *, sequence: int = 0, more: bytes = b"") -> bytes:
    """One daemon of a dump."""
    return genl(family, NEW_DAEMON, nest(DAEMON_NEST, pack_fields(DAEMON, fields), more), sequence=sequence)


def config_answer(family: int, fields: Fields, *, sequence: int = 0, more: bytes = b"") -> bytes:
    """The timeouts."""
    return genl(family, SET_CONFIG, pack_fields(CONFIG, fields) + more, sequence=sequence, flags=0)


def info_answer(family: int, fields: Fields, *, sequence: int = 0, more: bytes = b"") -> bytes:
    """Version and table size, under numbers that mean nests elsewhere."""
    return genl(family, SET_INFO, pack_fields(INFO, fields) + more, sequence=sequence, flags=0)


def stats(number: int, table: Table, values: list[int], *, padded: bool = False) -> bytes:
    """Counters in a nest, with the empty attributes that some architectures put before 64-bit values."""
    inner = []
    for (attribute_number, kind), value in zip(table.values(), values, strict=True):
        if padded and kind == "u64":
            inner.append(attribute(PAD, b""))
        inner.append(attribute(attribute_number, pack_value(kind, value)))
    return nest(number, *inner)


def stored_service(request: Fields) -> Fields:
    """What the kernel lists after it was given this service: an address of 16 bytes, the mask full, the hashed flag set."""
    stored = dict(request)
    if "addr" in stored:
        stored["addr"] = stored["addr"].ljust(16, b"\0")
    flags, mask = stored["flags"]
    stored["flags"] = (flags & mask | 0x2, 0xFFFFFFFF)
    return stored


def stored_dest(request: Fields, *, active: int = 0, inactive: int = 0, persistent: int = 0) -> Fields:
    """The same of a real server."""
    counts = {"active_conns": active, "inact_conns": inactive, "persist_conns": persistent}
    tunnel = {"tun_type": 0, "tun_port": 0, "tun_flags": 0}
    return tunnel | request | counts | {"addr": request["addr"].ljust(16, b"\0")}


def ip(text: str) -> bytes:
    """An address as it is on the wire."""
    return socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)
