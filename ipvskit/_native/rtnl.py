"""Links and addresses as bytes of rtnetlink.

Knows: the C functions of ik_rtnl.h. Must not know: what commands mean, policy.
"""

from __future__ import annotations

from typing import Any

from ipvskit._native import checked, ffi, lib

__all__ = [
    "ADDRESS_SIZE",
    "CHANGE_LINK",
    "DELETE_ADDRESS",
    "DELETE_LINK",
    "GET_LINK",
    "LINK_SIZE",
    "LINK_UP",
    "NEW_ADDRESS",
    "NEW_LINK",
    "NO_DAD",
    "NO_PREFIX_ROUTE",
    "SECONDARY",
    "encode_addresses",
    "encode_dump",
    "encode_links",
    "parse_addresses",
    "parse_links",
    "rtnl_layout",
]

NEW_ADDRESS: int = lib.IK_RTNL_NEW_ADDRESS
DELETE_ADDRESS: int = lib.IK_RTNL_DELETE_ADDRESS
NEW_LINK: int = lib.IK_RTNL_NEW_LINK
CHANGE_LINK: int = lib.IK_RTNL_CHANGE_LINK
DELETE_LINK: int = lib.IK_RTNL_DELETE_LINK
GET_LINK: int = lib.IK_RTNL_GET_LINK

LINK_UP: int = lib.IK_RTNL_UP
SECONDARY: int = lib.IK_RTNL_SECONDARY
NO_DAD: int = lib.IK_RTNL_NO_DAD
NO_PREFIX_ROUTE: int = lib.IK_RTNL_NO_PREFIX_ROUTE

ADDRESS_SIZE: int = ffi.sizeof("struct ik_rtnl_address")
LINK_SIZE: int = ffi.sizeof("struct ik_rtnl_link")


def _exact(data: bytes) -> Any:
    """A copy in a buffer of exactly this size, so that a sanitizer sees a read beyond it."""
    copy = ffi.new("uint8_t[]", max(len(data), 1))
    ffi.memmove(copy, data, len(data))
    return copy


def encode_addresses(command: int, records: bytes, out: bytearray) -> tuple[int, int]:
    """As many packed struct ik_rtnl_address as fit, as messages numbered from 0: (how many, bytes)."""
    used = ffi.new("size_t *")
    array = ffi.cast("struct ik_rtnl_address *", ffi.from_buffer(records))
    count = len(records) // ADDRESS_SIZE
    done = checked(lib.ik_rtnl_encode_addresses(command, array, count, 0, ffi.from_buffer(out), len(out), used))
    return done, used[0]


def encode_links(command: int, records: bytes, out: bytearray) -> tuple[int, int]:
    """The same for packed struct ik_rtnl_link."""
    used = ffi.new("size_t *")
    array = ffi.cast("struct ik_rtnl_link *", ffi.from_buffer(records))
    count = len(records) // LINK_SIZE
    done = checked(lib.ik_rtnl_encode_links(command, array, count, 0, ffi.from_buffer(out), len(out), used))
    return done, used[0]


def encode_dump(*, links: bool, sequence: int) -> bytes:
    """The question for all links, or for all addresses."""
    out = ffi.new("uint8_t[]", 64)
    length = checked(lib.ik_rtnl_encode_dump(links, sequence, out, 64))
    return bytes(ffi.buffer(out, length))


def parse_addresses(reply: bytes, index: int = 0) -> bytes:
    """The addresses in raw messages, those of one device or (0) of all, as packed struct ik_rtnl_address. Raises OSError with EBADMSG."""
    data = _exact(reply)
    found = checked(lib.ik_rtnl_parse_addresses(data, len(reply), index, ffi.NULL, 0))
    out = ffi.new("struct ik_rtnl_address[]", max(found, 1))
    checked(lib.ik_rtnl_parse_addresses(data, len(reply), index, out, found))
    return bytes(ffi.buffer(out, found * ADDRESS_SIZE))


def parse_links(reply: bytes) -> bytes:
    """The links in raw messages as packed struct ik_rtnl_link. Raises OSError with EBADMSG."""
    data = _exact(reply)
    found = checked(lib.ik_rtnl_parse_links(data, len(reply), ffi.NULL, 0))
    out = ffi.new("struct ik_rtnl_link[]", max(found, 1))
    checked(lib.ik_rtnl_parse_links(data, len(reply), out, found))
    return bytes(ffi.buffer(out, found * LINK_SIZE))


def rtnl_layout(name: str) -> tuple[int, dict[str, int]]:
    """Size and field offsets of a C record, to check the struct formats against."""
    layout = ffi.typeof(f"struct {name}")
    return int(ffi.sizeof(layout)), {field: int(ffi.offsetof(layout, field)) for field, _ in layout.fields}
