"""Comparing packed IPVS rows with wanted ones.

Knows: the functions of csrc/ik_ipvs_compare.h. Must not know: what is done about a difference.
"""

from __future__ import annotations

from array import array

from ipvskit._native import checked, ffi, lib

__all__ = ["KEEP", "NOT_WANTED", "REALS_DIFFER", "SERVICE_DIFFERS", "blocks", "differing"]

SERVICE_DIFFERS: int = lib.IK_SERVICE_DIFFERS
REALS_DIFFER: int = lib.IK_REALS_DIFFER
NOT_WANTED: int = lib.IK_NOT_WANTED

#: Bits of the fields that are not compared, by their names in VirtualService and RealServer.
KEEP: dict[str, int] = {
    "scheduler": lib.IK_KEEP_SCHEDULER,
    "scheduler_flags": lib.IK_KEEP_FLAGS,
    "persistence_timeout": lib.IK_KEEP_TIMEOUT,
    "persistence_netmask": lib.IK_KEEP_NETMASK,
    "persistence_engine": lib.IK_KEEP_ENGINE,
    "one_packet": lib.IK_KEEP_ONE_PACKET,
    "reals": lib.IK_KEEP_REALS,
    "weight": lib.IK_KEEP_WEIGHT,
    "forwarding": lib.IK_KEEP_FORWARDING,
    "upper_threshold": lib.IK_KEEP_UPPER,
    "lower_threshold": lib.IK_KEEP_LOWER,
    "tunnel": lib.IK_KEEP_TUNNEL,
}

_REAL_SIZE: int = ffi.sizeof("struct ik_ipvs_real")


def blocks(rows: bytearray, services: int) -> tuple[array[int], bytearray]:
    """Of the rows that answer so many requests: how many answer each, and whether a real server is among those twice. Raises OSError (EBADMSG).

    What is no configuration is set to 0 in the rows, so that two readings of the same are the same bytes.
    """
    counts = array("I", bytes(4 * services))
    repeated = bytearray(services)
    data = ffi.cast("struct ik_ipvs_real *", ffi.from_buffer(rows))
    out = ffi.cast("uint32_t *", ffi.from_buffer(counts))
    checked(lib.ik_ipvs_blocks(data, len(rows) // _REAL_SIZE, services, out, ffi.from_buffer(repeated)))
    return counts, repeated


def differing(
    held: bytes | bytearray,
    reals: bytes | bytearray,
    counts: array[int],
    wanted: bytes,
    wanted_reals: bytes,
    wanted_counts: array[int],
) -> bytearray:
    """For every service, held and wanted side by side, in what they differ: SERVICE_DIFFERS, REALS_DIFFER."""
    out = bytearray(len(counts))
    checked(
        lib.ik_ipvs_differing(
            ffi.cast("struct ik_ipvs_service_row *", ffi.from_buffer(held)),
            len(counts),
            ffi.cast("struct ik_ipvs_real *", ffi.from_buffer(reals)),
            ffi.cast("uint32_t *", ffi.from_buffer(counts)),
            ffi.cast("struct ik_ipvs_service *", ffi.from_buffer(wanted)),
            ffi.cast("struct ik_ipvs_real *", ffi.from_buffer(wanted_reals)),
            ffi.cast("uint32_t *", ffi.from_buffer(wanted_counts)),
            ffi.from_buffer(out),
        )
    )
    return out
