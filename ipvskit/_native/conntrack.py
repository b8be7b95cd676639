"""Tracked flows as bytes of ctnetlink.

Knows: the C functions of ik_conntrack.h. Must not know: which flows anybody wants, policy.
"""

from __future__ import annotations

from typing import Any

from ipvskit._native import checked, ffi, lib

__all__ = ["FLOW_SIZE", "Listing", "conntrack_layout", "encode_deletes", "encode_dump"]

FLOW_SIZE: int = ffi.sizeof("struct ik_conntrack_flow")

#: More than any question takes.
_ROOM = 128


def _exact(data: bytes) -> Any:
    """A copy in a buffer of exactly this size, so that a sanitizer sees a read beyond it."""
    copy = ffi.new("uint8_t[]", max(len(data), 1))
    ffi.memmove(copy, data, len(data))
    return copy


def encode_dump(family: int, protocol: int) -> bytearray:
    """The question for the flows of a family (0: both) and a protocol (0: all), numbered 0. Raises OSError with EINVAL."""
    out = bytearray(_ROOM)
    length = checked(lib.ik_conntrack_encode_dump(family, protocol, 0, ffi.from_buffer(out), len(out)))
    return out[:length]


def encode_deletes(flows: bytes | memoryview, out: bytearray) -> tuple[int, int]:
    """As many packed struct ik_conntrack_flow as fit, as messages numbered from 0: (how many, bytes)."""
    used = ffi.new("size_t *")
    array = ffi.cast("struct ik_conntrack_flow *", ffi.from_buffer(flows))
    count = len(flows) // FLOW_SIZE
    done = checked(lib.ik_conntrack_encode_deletes(array, count, 0, ffi.from_buffer(out), len(out), used))
    return done, used[0]


class Listing:
    """What a dump brings of a family (0: both) and a protocol (0: all)."""

    def __init__(self, family: int = 0, protocol: int = 0) -> None:
        listing = lib.ik_conntrack_listing_new(family, protocol)
        if listing == ffi.NULL:
            raise MemoryError
        self._listing: Any = ffi.gc(listing, lib.ik_conntrack_listing_free)

    def feed(self, messages: bytes) -> None:
        """Take whole messages. Raises OSError with EBADMSG."""
        checked(lib.ik_conntrack_listing_feed(self._listing, _exact(messages), len(messages)))

    def receive(self, reply: Any) -> None:
        """Take what this reply receives, as it arrives."""
        lib.ik_conntrack_listing_receive(self._listing, reply)

    @property
    def error(self) -> int:
        """The refusal of the dump, 0 for none."""
        return int(lib.ik_conntrack_listing_error(self._listing))

    @property
    def text(self) -> str:
        """The kernel's words with it, "" where it has none."""
        return str(ffi.string(lib.ik_conntrack_listing_text(self._listing)).decode(errors="replace"))

    def rows(self) -> bytes:
        """The flows as packed struct ik_conntrack_flow."""
        count = lib.ik_conntrack_listing_count(self._listing)
        return bytes(ffi.buffer(lib.ik_conntrack_listing_flows(self._listing), count * FLOW_SIZE)) if count else b""


def conntrack_layout(name: str) -> tuple[int, dict[str, int]]:
    """Size and field offsets of a C record, to check the struct formats against."""
    layout = ffi.typeof(f"struct {name}")
    return int(ffi.sizeof(layout)), {field: int(ffi.offsetof(layout, field)) for field, _ in layout.fields}
