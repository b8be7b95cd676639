"""Requests attribute by attribute: what a text says as it says it, neither normalised nor completed.

Knows: the attributes of sets and elements, in libipset's order, and what room libipset asks for. Must not know: text, sockets.

Where libipset ends a message shows: of one that is refused, or never sent, everything behind an element is lost. So it is counted here as it counts.
"""

from __future__ import annotations

import struct

# This is loaded for every command: no `typing`. Type checkers know the name.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    Values = Mapping[str, Any]

__all__ = ["MESSAGE", "begin", "behind", "create", "element", "empty", "kind", "many", "message", "single", "text"]

CREATE, DESTROY, FLUSH, RENAME, SWAP, LIST = range(2, 8)
ADD, DEL, TEST, HEADER, TYPE = range(9, 14)

#: Bytes in a message of libipset, and those of it that it leaves free.
MESSAGE = 4096
_MARGIN = 20

_SUBSYSTEM = 6 << 8
_REQUEST = 1
_PROTOCOL = 7
_INET = 2
_NESTED, _NETWORK_ORDER = 0x8000, 0x4000

_PROTOCOL_ATTR, _SETNAME, _TYPENAME, _REVISION, _FAMILY, _FLAGS, _DATA, _ADT, _LINENO = range(1, 10)
_ADDRESS, _TEXT, _BYTES = "address", "text", "bytes"

#: Number, kind and (texts: longest) length by name, in the order in which they are written.
_ELEMENT: dict[str, tuple[int, str, int]] = {
    "ip": (1, _ADDRESS, 0),
    "ip_to": (2, _ADDRESS, 0),
    "cidr": (3, "B", 1),
    "port": (4, "H", 2),
    "port_to": (5, "H", 2),
    "timeout": (6, "I", 4),
    "proto": (7, "B", 1),
    "cadt_flags": (8, "I", 4),
    "mark": (10, "I", 4),
    "ether": (17, _BYTES, 6),
    "name": (18, _TEXT, 32),
    "nameref": (19, _TEXT, 32),
    "ip2": (20, _ADDRESS, 0),
    "cidr2": (21, "B", 1),
    "ip2_to": (22, _ADDRESS, 0),
    "iface": (23, _TEXT, 16),
    "bytes": (24, "Q", 8),
    "packets": (25, "Q", 8),
    "comment": (26, _TEXT, 256),
    "skbmark": (27, "Q", 8),
    "skbprio": (28, "I", 4),
    "skbqueue": (29, "H", 2),
}
_CREATE: dict[str, tuple[int, str, int]] = {
    "ip": (1, _ADDRESS, 0),
    "ip_to": (2, _ADDRESS, 0),
    "cidr": (3, "B", 1),
    "port": (4, "H", 2),
    "port_to": (5, "H", 2),
    "timeout": (6, "I", 4),
    "cadt_flags": (8, "I", 4),
    "markmask": (11, "I", 4),
    "bitmask": (12, _ADDRESS, 0),
    "initval": (17, "I", 4),
    "hashsize": (18, "I", 4),
    "maxelem": (19, "I", 4),
    "netmask": (20, "B", 1),
    "bucketsize": (21, "B", 1),
    "size": (23, "I", 4),
}


def _attribute(number: int, payload: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(payload), number) + payload + bytes(-len(payload) % 4)


def text(number: int, value: str) -> bytes:
    """A text, ended by a 0."""
    return _attribute(number, value.encode("utf-8", "surrogateescape") + b"\0")


def _value(number: int, kind: str, value: Any) -> bytes:  # noqa: ANN401 - the kind says what it is
    if kind == _ADDRESS:
        inner = _attribute((1 if len(value) == 4 else 2) | _NETWORK_ORDER, value)
        return _attribute(number | _NESTED, inner)
    if kind == _TEXT:
        return text(number, value)
    if kind == _BYTES:
        return _attribute(number, value)
    return _attribute(number if kind == "B" else number | _NETWORK_ORDER, struct.pack(f">{kind}", value))


def message(command: int, flags: int, *parts: bytes) -> bytearray:
    """A request, numbered 0, with the protocol's version before these parts."""
    body = b"".join((struct.pack("=BBH", _INET, 0, 0), _attribute(_PROTOCOL_ATTR, bytes([_PROTOCOL])), *parts))
    return bytearray(struct.pack("=IHHII", 16 + len(body), _SUBSYSTEM | command, _REQUEST | flags, 0, 0) + body)


def single(command: int, flags: int, name: str | None = None, other: str | None = None, listing: int = 0) -> bytearray:
    """A request about no set, one (`name`) or two (`other`). `listing` are flags of LIST, 2 for names and 4 for headers alone."""
    parts = []
    if name is not None:
        parts.append(text(_SETNAME, name))
    if other is not None:
        parts.append(text(_TYPENAME, other))
    if listing:
        parts.append(_value(_FLAGS, "I", listing))
    return message(command, flags, *parts)


def kind(command: int, typename: str, family: int) -> bytearray:
    """Asks for the revisions of a type."""
    return message(command, 0, text(_TYPENAME, typename), _attribute(_FAMILY, bytes([family])))


def create(command: int, flags: int, name: str, typename: str, revision: int, family: int, values: Values) -> bytearray:
    """Makes a set. Values by the names of options; addresses are bytes in network order."""
    data = b"".join(_value(*_CREATE[each][:2], values[each]) for each in _CREATE if values.get(each) is not None)
    return message(
        command,
        flags,
        text(_SETNAME, name),
        text(_TYPENAME, typename),
        _attribute(_REVISION, bytes([revision])),
        _attribute(_FAMILY, bytes([family])),
        _attribute(_DATA | _NESTED, data),
    )


def begin(name: str) -> bytes:
    """What stands before the elements of a message with many: the set, and room for the place of the one that is refused."""
    return text(_SETNAME, name) + _attribute(_LINENO, bytes(4))


def many(command: int, flags: int, name: str, elements: bytes | bytearray) -> bytearray:
    """A message with many elements."""
    return message(command, flags, begin(name), _attribute(_ADT | _NESTED, bytes(elements)))


def empty(name: str) -> int:
    """The length of a message with many elements, as long as it has none."""
    return 32 + len(begin(name))


def behind(packed: bytes | bytearray | memoryview, name: str, count: int) -> bytes:
    """Of a message with many elements about this set, those behind the first ones; they keep their numbers."""
    start = empty(name)
    for _ in range(count):
        length: int = struct.unpack_from("=H", packed, start)[0]
        start += length + -length % 4
    return bytes(packed[start:])


def element(values: Values, line: int | None = None) -> tuple[bytes, int]:
    """An element, with its place in the message if it has one; and how many bytes libipset wants to be free before it begins to write it."""
    parts = []
    length, wanted = 4, 0
    for name, (number, kind, size) in _ELEMENT.items():
        value = values.get(name)
        if value is None:
            continue
        part = _value(number, kind, value)
        room = 4 + size + -size % 4 if kind == _TEXT else len(part)
        wanted = max(wanted, length + room + _MARGIN)
        parts.append(part)
        length += len(part)
    if line is not None:
        parts.append(_attribute(_LINENO, struct.pack("=I", line)))
        wanted = max(wanted, length + 8 + _MARGIN)
    return _attribute(_DATA | _NESTED, b"".join(parts)), wanted
