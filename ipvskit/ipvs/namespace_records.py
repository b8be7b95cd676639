"""Packed records of what a namespace has beside services: sync daemons, timeouts, the version; to values and back.

Knows: the layout of the structs in csrc/ik_ipvs.h and the numbers of linux/ip_vs.h. Must not know: sockets, errors, policy.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

from ipvskit.errors import ProtocolError
from ipvskit.ipvs.decode import text
from ipvskit.ipvs.records import (
    ATTR_GROUP,
    ATTR_GROUP6,
    CONFIG,
    DAEMON,
    HEAD,
    INFO,
    NLM_F_ACK,
    NOTHING_SERVICE,
    REQUEST_SIZE,
    Command,
    bits,
)
from ipvskit.model.daemon import DaemonRole, Info, SyncDaemon, Timeouts, stored_daemon


def daemon_request(command: Command, daemon: SyncDaemon) -> bytes:
    """A request to start a daemon; acknowledged, because its answer can get lost."""
    present = bits(1, 2, 3)
    group, group6 = b"", b""
    if daemon.max_length:
        present |= bits(4)
    if isinstance(daemon.group, IPv4Address):
        present, group = present | ATTR_GROUP, daemon.group.packed
    elif daemon.group is not None:
        present, group6 = present | ATTR_GROUP6, daemon.group.packed
    if daemon.port:
        present |= bits(7)
    if daemon.ttl:
        present |= bits(8)
    state = 1 if daemon.role is DaemonRole.MASTER else 2
    record = DAEMON.pack(
        0,
        present,
        state,
        daemon.sync_id,
        daemon.max_length,
        daemon.port,
        daemon.ttl,
        group,
        group6,
        daemon.interface.encode(),
    )
    return (HEAD.pack(command, NLM_F_ACK) + NOTHING_SERVICE + record).ljust(REQUEST_SIZE, b"\0")


def daemon_role_request(command: Command, role: DaemonRole) -> bytes:
    """A request to stop a daemon; acknowledged, because its answer can get lost."""
    state = 1 if role is DaemonRole.MASTER else 2
    record = DAEMON.pack(0, bits(1), state, 0, 0, 0, 0, b"", b"", b"")
    return (HEAD.pack(command, NLM_F_ACK) + NOTHING_SERVICE + record).ljust(REQUEST_SIZE, b"\0")


def timeouts_request(tcp: int, tcp_fin: int, udp: int) -> bytes:
    """A request to set timeouts; 0 leaves one as it is."""
    present = sum(1 << number for number, value in ((4, tcp), (5, tcp_fin), (6, udp)) if value)
    record = CONFIG.pack(0, present, tcp, tcp_fin, udp)
    return (HEAD.pack(Command.SET_CONFIG, 0) + NOTHING_SERVICE + record).ljust(REQUEST_SIZE, b"\0")


def daemons(rows: bytes | bytearray) -> list[SyncDaemon]:
    """Running daemons, as the kernel has them."""
    found = []
    for row in DAEMON.iter_unpack(rows):
        _, present, state, sync_id, max_length, port, ttl, group, group6, interface = row
        address: IPv4Address | IPv6Address | None = None
        if present & ATTR_GROUP6:
            address = IPv6Address(group6)
        elif present & ATTR_GROUP:
            address = IPv4Address(group)
        role = {1: DaemonRole.MASTER, 2: DaemonRole.BACKUP}.get(state)
        if role is None:
            raise ProtocolError(f"sync daemon state {state}, where 1 or 2 was expected")
        daemon = SyncDaemon.__new__(SyncDaemon)
        found.append(stored_daemon(daemon, role, text(interface), sync_id, max_length, address, port, ttl))
    return found


def timeouts(rows: bytes | bytearray) -> Timeouts:
    """The configured timeouts."""
    for row in CONFIG.iter_unpack(rows):
        return Timeouts(*row[2:])
    raise ProtocolError("no answer to the question for the timeouts")


def info(rows: bytes | bytearray) -> Info:
    """Version and table size."""
    for _, _, version, size in INFO.iter_unpack(rows):
        return Info((version >> 16 & 0xFF, version >> 8 & 0xFF, version & 0xFF), size)
    raise ProtocolError("no answer to the question for the version")
