"""ipset's netlink messages in plain Python, written from the kernel's interface and not from our C.

Knows: headers, attributes, byte orders of ipset (uapi linux/netfilter/ipset/ip_set.h). Must not know: ipvskit.
It is the oracle that the C core and the fake kernel are compared with: `build` makes the bytes of every command, `read` takes every reply apart.

    build("ADD", setname="s", adt=[{"ip": "10.0.0.1", "lineno": 1}], lineno=0)
    read(reply)[0]["adt"][0]["ip"]

Addresses are text, MACs and comments bytes, everything else numbers; `Raw` stands for any attribute as exact bytes.
"""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass
from typing import Any

NLM_F_REQUEST, NLM_F_MULTI, NLM_F_ACK, NLM_F_EXCL, NLM_F_CREATE, NLM_F_DUMP = 0x1, 0x2, 0x4, 0x200, 0x400, 0x300
NLMSG_ERROR, NLMSG_DONE = 2, 3
NLA_F_NESTED, NLA_F_NET_BYTEORDER = 0x8000, 0x4000
SUBSYSTEM = 6
MESSAGE, ATTRIBUTE, GENERIC = struct.Struct("=IHHII"), struct.Struct("=HH"), struct.Struct("=BBH")

COMMANDS = (
    *("NONE", "PROTOCOL", "CREATE", "DESTROY", "FLUSH", "RENAME", "SWAP", "LIST", "SAVE", "ADD", "DEL", "TEST"),
    *("HEADER", "TYPE", "GET_BYNAME", "GET_BYINDEX"),
)

#: Name to number and kind. "be.." are flagged as in network order, "host32" is not, "text" ends with a NUL.
Table = dict[str, tuple[int, str]]

COMMAND: Table = {
    "protocol": (1, "u8"),
    "setname": (2, "text"),
    "typename": (3, "text"),
    "setname2": (3, "text"),
    "revision": (4, "u8"),
    "family": (5, "u8"),
    "flags": (6, "be32"),
    "data": (7, "nest"),
    "adt": (8, "nests"),
    "lineno": (9, "host32"),
    "revision_min": (10, "u8"),
    "protocol_min": (10, "u8"),
    "index": (11, "be16"),
}
SHARED: Table = {
    "ip": (1, "ip"),
    "ip_to": (2, "ip"),
    "cidr": (3, "u8"),
    "port": (4, "be16"),
    "port_to": (5, "be16"),
    "timeout": (6, "be32"),
    "proto": (7, "u8"),
    "cadt_flags": (8, "be32"),
    "lineno": (9, "host32"),
    "mark": (10, "be32"),
    "markmask": (11, "be32"),
    "bitmask": (12, "ip"),
}
CREATE: Table = SHARED | {
    "initval": (17, "be32"),
    "hashsize": (18, "be32"),
    "maxelem": (19, "be32"),
    "netmask": (20, "u8"),
    "bucketsize": (21, "u8"),
    "resize": (22, "u8"),
    "size": (23, "be32"),
    "elements": (24, "be32"),
    "references": (25, "be32"),
    "memsize": (26, "be32"),
}
ELEMENT: Table = SHARED | {
    "ether": (17, "bytes"),
    "name": (18, "text"),
    "nameref": (19, "text"),
    "ip2": (20, "ip"),
    "cidr2": (21, "u8"),
    "ip2_to": (22, "ip"),
    "iface": (23, "text"),
    "bytes": (24, "be64"),
    "packets": (25, "be64"),
    "comment": (26, "string"),
    "skbmark": (27, "be64"),
    "skbprio": (28, "be32"),
    "skbqueue": (29, "be16"),
}
_SIZES = {"be16": 2, "be32": 4, "be64": 8}

Fields = dict[str, Any]


class Untidy(ValueError):
    """What was read is not what a kernel writes."""


@dataclass(frozen=True)
class Raw:
    """An attribute as it is to be sent, whatever the table says."""

    kind: int
    payload: bytes

    def pack(self) -> bytes:
        """With its padding."""
        return attribute(self.kind, self.payload)


def attribute(kind: int, payload: bytes) -> bytes:
    """A packed attribute; `kind` is its number with the flags."""
    length = ATTRIBUTE.size + len(payload)
    return ATTRIBUTE.pack(length, kind) + payload + bytes(-length % 4)


def ip(text: str) -> bytes:
    """The inside of an address's nest."""
    if ":" in text:
        return attribute(2 | NLA_F_NET_BYTEORDER, socket.inet_pton(socket.AF_INET6, text))
    return attribute(1 | NLA_F_NET_BYTEORDER, socket.inet_pton(socket.AF_INET, text))


def pack_value(number: int, kind: str, value: Any, inner: Table) -> bytes:
    """One attribute of a kind."""
    if isinstance(value, Raw):
        return value.pack()
    if kind == "u8":
        return attribute(number, bytes([value]))
    if kind in _SIZES:
        return attribute(number | NLA_F_NET_BYTEORDER, value.to_bytes(_SIZES[kind], "big"))
    if kind == "host32":
        return attribute(number, struct.pack("=I", value))
    if kind in {"text", "string"}:
        return attribute(number, (value.encode() if isinstance(value, str) else value) + b"\0")
    if kind == "ip":
        return attribute(number | NLA_F_NESTED, ip(value))
    if kind == "nest":
        return attribute(number | NLA_F_NESTED, pack_fields(inner, value))
    if kind == "nests":
        packed = [attribute(7 | NLA_F_NESTED, pack_fields(inner, one)) for one in value]
        return attribute(number | NLA_F_NESTED, b"".join(packed))
    return attribute(number, value)


def pack_fields(table: Table, fields: Fields, inner: Table | None = None) -> bytes:
    """Fields in their own order. One that no table has must be `Raw`."""
    known = {name: table.get(name, (0, "raw")) for name in fields}
    return b"".join(pack_value(*known[name], value, inner or {}) for name, value in fields.items())


def build(
    command: str, *, header: int | None = None, sequence: int = 0, exist: bool = False, ack: bool = False, **fields: Any
) -> bytes:
    """The bytes of a command. `protocol` is put in front unless given (None leaves it out)."""
    if header is None:
        header = NLM_F_REQUEST | (0 if exist else NLM_F_EXCL) | (NLM_F_ACK if ack else 0)
        header |= NLM_F_CREATE if command == "CREATE" else 0
        if command in {"LIST", "SAVE"}:
            header = NLM_F_REQUEST | NLM_F_DUMP | (NLM_F_ACK if ack else 0)
    given = {"protocol": 7} | fields
    body = pack_fields(
        COMMAND,
        {name: value for name, value in given.items() if value is not None},
        CREATE if command == "CREATE" else ELEMENT,
    )
    return message(COMMANDS.index(command), header, body, sequence)


def message(command: int, flags: int, body: bytes, sequence: int = 0) -> bytes:
    """A packed message of ipset with any attributes."""
    length = MESSAGE.size + GENERIC.size + len(body)
    header = MESSAGE.pack(length, SUBSYSTEM << 8 | command, flags, sequence, 0)
    return header + GENERIC.pack(socket.AF_INET, 0, 0) + body + bytes(-length % 4)


# --- what the kernel answers --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Message:
    """One netlink message."""

    type: int
    flags: int
    sequence: int
    payload: bytes


def read_messages(data: bytes) -> list[Message]:
    """Every message of a buffer. Raises Untidy."""
    found = []
    while data:
        if len(data) < MESSAGE.size:
            raise Untidy("a message's header is cut off")
        length, kind, flags, sequence, _ = MESSAGE.unpack_from(data)
        if not MESSAGE.size <= length <= len(data):
            raise Untidy(f"a message of {length} bytes in {len(data)}")
        found.append(Message(kind, flags, sequence, data[MESSAGE.size : length]))
        data = data[length + -length % 4 :]
    return found


def read_attributes(data: bytes) -> list[tuple[int, bytes]]:
    """Every attribute of a payload, its number with the flags. Raises Untidy."""
    found = []
    while data:
        if len(data) < ATTRIBUTE.size:
            raise Untidy("an attribute's header is cut off")
        length, kind = ATTRIBUTE.unpack_from(data)
        if not ATTRIBUTE.size <= length <= len(data):
            raise Untidy(f"an attribute of {length} bytes in {len(data)}")
        found.append((kind, data[ATTRIBUTE.size : length]))
        data = data[length + -length % 4 :]
    return found


def _read_value(kind: str, flags: int, payload: bytes, inner: Table) -> Any:
    if kind in {"nest", "nests", "ip"} and not flags & NLA_F_NESTED:
        raise Untidy("a nest without its flag")
    if kind == "ip":
        ((_, packed),) = read_attributes(payload)
        return socket.inet_ntop(socket.AF_INET if len(packed) == 4 else socket.AF_INET6, packed)
    if kind == "nest":
        return read_fields(inner, payload)
    if kind == "nests":
        return [read_fields(inner, one) for _, one in read_attributes(payload)]
    if kind in {"text", "string"}:
        if payload[-1:] != b"\0" or b"\0" in payload[:-1]:
            raise Untidy(f"no text: {payload!r}")
        return payload[:-1].decode() if kind == "text" else payload[:-1]
    if kind == "bytes":
        return payload
    if len(payload) != {"u8": 1, "host32": 4, **_SIZES}[kind]:
        raise Untidy(f"a number of {len(payload)} bytes")
    if flags & NLA_F_NET_BYTEORDER or kind == "u8":
        return int.from_bytes(payload, "big")
    return int(struct.unpack("=I", payload)[0])


def read_fields(table: Table, data: bytes, inner: Table | None = None) -> Fields:
    """Attributes by name. Raises Untidy for one that is unknown or there twice."""
    names = {number: (name, kind) for name, (number, kind) in reversed(table.items())}
    found: Fields = {}
    for kind, payload in read_attributes(data):
        number = kind & 0x3FFF
        if number == 30 and not payload:
            continue  # padding before 64-bit values
        if number not in names:
            raise Untidy(f"unknown attribute {number}")
        name, form = names[number]
        if name in found:
            raise Untidy(f"{name} twice")
        found[name] = _read_value(form, kind, payload, inner or {})
    return found


def read(data: bytes) -> list[Fields]:
    """Every message as a dict: `command` and its attributes; for errors `error` and `request` (the copy); `done` for the end of a dump."""
    found: list[Fields] = []
    for one in read_messages(data):
        head: Fields = {"sequence": one.sequence, "flags_": one.flags}
        if one.type == NLMSG_ERROR:
            (number,) = struct.unpack_from("=i", one.payload)
            found.append(head | {"command": "ERROR", "error": -number, "request": one.payload[4:]})
        elif one.type == NLMSG_DONE:
            found.append(head | {"command": "DONE"})
        else:
            if one.type >> 8 != SUBSYSTEM or GENERIC.unpack_from(one.payload) != (socket.AF_INET, 0, 0):
                raise Untidy("not a message of ipset")
            command = COMMANDS[one.type & 0xFF]
            body = one.payload[GENERIC.size :]
            loose = b""
            fields: Fields = {}
            for kind, payload in read_attributes(body):
                if kind & 0x3FFF == COMMAND["data"][0]:
                    fields["data"] = read_fields(CREATE, payload)
                elif kind & 0x3FFF == COMMAND["adt"][0]:
                    fields["adt"] = [read_fields(ELEMENT, inner) for _, inner in read_attributes(payload)]
                else:
                    loose += attribute(kind, payload)
            fields = read_fields(COMMAND, loose) | fields
            found.append(head | {"command": command} | fields)
    return found


def error_line(request: bytes) -> int:
    """The command's LINENO in the copy of a request that came back with an error."""
    body = request[MESSAGE.size + GENERIC.size :]
    return int(struct.unpack("=I", dict(read_attributes(body))[9])[0])


def merge(messages: list[Fields]) -> dict[str, Fields]:
    """The sets of a listing by name, with the elements of all messages together."""
    sets: dict[str, Fields] = {}
    for one in messages:
        if one["command"] == "LIST":
            held = sets.setdefault(one["setname"], {})
            held.update({name: value for name, value in one.items() if name not in {"adt", "sequence", "flags_"}})
            held.setdefault("adt", []).extend(one.get("adt", []))
    return sets
