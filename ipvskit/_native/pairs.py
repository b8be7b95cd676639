"""Pairing held real servers with wanted ones, and the requests for what differs.

Knows: the functions of csrc/ik_ipvs_pairs.h. Must not know: what the requests are for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipvskit._native import IPVS_REQUEST_SIZE, checked, ffi, lib

if TYPE_CHECKING:
    from array import array

__all__ = ["NO_ROW", "PAIR_SIZE", "member_requests", "pairs", "requests"]

NO_ROW: int = lib.IK_NO_ROW
PAIR_SIZE: int = ffi.sizeof("struct ik_ipvs_pair")
_REAL_SIZE: int = ffi.sizeof("struct ik_ipvs_real")
_KINDS: int = lib.IK_PAIR_KINDS


def pairs(
    reals: bytes | bytearray, counts: array[int], wanted: bytes, wanted_counts: array[int], order: array[int]
) -> tuple[bytes, bytes, bytes, bytes]:
    """Of the services with these numbers, in this order: packed pairs of the real servers to be added, changed, lowered in weight, and removed."""
    found = ffi.new("uint32_t[]", _KINDS)
    views = [ffi.from_buffer(one) for one in (reals, counts, wanted, wanted_counts, order)]
    kinds = ("struct ik_ipvs_real *", "uint32_t *", "struct ik_ipvs_real *", "uint32_t *", "uint32_t *")
    *fields, chosen = [ffi.cast(kind, view) for kind, view in zip(kinds, views, strict=True)]
    sides = ffi.new("struct ik_ipvs_sides *", [*fields, len(counts)])
    given = (sides, chosen, len(order))
    checked(lib.ik_ipvs_pairs(*given, ffi.NULL, found))
    out = ffi.new("struct ik_ipvs_pair[]", max(1, sum(found)))
    checked(lib.ik_ipvs_pairs(*given, out, found))
    data = bytes(ffi.buffer(out, sum(found) * PAIR_SIZE))
    ends = [sum(found[0 : kind + 1]) * PAIR_SIZE for kind in range(_KINDS)]
    starts = [0, *ends[:-1]]
    add, raised, lowered, removed = (data[start:end] for start, end in zip(starts, ends, strict=True))
    return add, raised, lowered, removed


def requests(
    command: int,
    services: bytes | bytearray,
    rows: bytes | bytearray,
    some: bytes,
    *,
    identity_only: bool,
) -> bytes:
    """A packed request for each of these pairs, with what is wanted, or the identity of what is held."""
    count = len(some) // PAIR_SIZE
    out = bytearray(count * IPVS_REQUEST_SIZE)
    lib.ik_ipvs_pair_requests(
        command,
        ffi.cast("struct ik_ipvs_service_row *", ffi.from_buffer(services)),
        ffi.cast("struct ik_ipvs_real *", ffi.from_buffer(rows)),
        identity_only,
        ffi.cast("struct ik_ipvs_pair *", ffi.from_buffer(some)),
        count,
        ffi.cast("struct ik_ipvs_request *", ffi.from_buffer(out)),
    )
    return bytes(out)


def member_requests(command: int, services: bytes, reals: bytes, counts: array[int]) -> bytes:
    """A packed request for each real server of services that stand one behind the other; `counts` says how many each of them has."""
    out = bytearray(len(reals) // _REAL_SIZE * IPVS_REQUEST_SIZE)
    lib.ik_ipvs_member_requests(
        command,
        ffi.cast("struct ik_ipvs_service *", ffi.from_buffer(services)),
        ffi.cast("struct ik_ipvs_real *", ffi.from_buffer(reals)),
        ffi.cast("uint32_t *", ffi.from_buffer(counts)),
        len(counts),
        ffi.cast("struct ik_ipvs_request *", ffi.from_buffer(out)),
    )
    return bytes(out)
