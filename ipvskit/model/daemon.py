"""Sync daemons, timeouts and general facts about IPVS.

Knows: what they are. Must not know: the kernel.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address

from ipvskit.errors import InvalidConfig
from ipvskit.model.address import parse_address, parse_number
from ipvskit.model.options import read_options, write_options

__all__ = ["DaemonRole", "Info", "SyncDaemon", "Timeouts"]

#: The kernel multiplies timeouts by its ticks per second and refuses what is above INT_MAX; 100 is the lowest rate (seconds).
MAX_TIMEOUT = (2**31 - 1) // 100
MAX_INTERFACE = 15
#: The largest UDP payloads (bytes); the kernel silently takes less than it is asked for.
MAX_PAYLOAD_IPV4 = 65507
MAX_PAYLOAD_IPV6 = 65487


class DaemonRole(StrEnum):
    """Which side of the connection synchronisation."""

    MASTER = "master"
    BACKUP = "backup"


@dataclass(frozen=True, slots=True, init=False)
class SyncDaemon:
    """A connection synchronisation daemon in the kernel. `role` identifies it: one of each may run.

    It sends (master) or receives (backup) on `interface`, to and from `group`, a multicast address, at UDP `port`. `sync_id` (0..255) keeps several
    pairs on one network apart; a backup with 0 takes all. `max_length` is the largest payload in bytes (0: from the interface's MTU). `group` None
    is 224.0.0.81, `port` 0 is 8848, `ttl` 0 is 1. See ipvsadm(8). Raises InvalidConfig.
    """

    role: DaemonRole
    interface: str
    sync_id: int
    max_length: int
    group: IPv4Address | IPv6Address | None
    port: int
    ttl: int

    def __init__(
        self,
        role: DaemonRole | str,
        interface: str,
        *,
        sync_id: int = 0,
        max_length: int = 0,
        group: str | IPv4Address | IPv6Address | None = None,
        port: int = 0,
        ttl: int = 0,
    ) -> None:
        if role not in tuple(DaemonRole):
            raise InvalidConfig("role", role, '"master" or "backup"')
        if not isinstance(interface, str) or not 1 <= len(interface.encode()) <= MAX_INTERFACE or "\0" in interface:
            raise InvalidConfig("interface", interface, f"an interface's name of 1 to {MAX_INTERFACE} bytes")
        parse_number("sync_id", sync_id, 0, 255)
        parse_number("port", port, 0, 65535)
        parse_number("ttl", ttl, 0, 255)
        if group is not None:
            group = parse_address("group", group)
            if not group.is_multicast:
                raise InvalidConfig("group", str(group), "a multicast address")
        longest = MAX_PAYLOAD_IPV6 if isinstance(group, IPv6Address) else MAX_PAYLOAD_IPV4
        parse_number("max_length", max_length, 0, longest, "bytes")
        stored_daemon(self, DaemonRole(role), interface, sync_id, max_length, group, port, ttl)

    @classmethod
    def parse(cls, text: str | SyncDaemon) -> SyncDaemon:
        """From its text form, `ROLE INTERFACE [OPTION=VALUE ...]`. Raises InvalidConfig."""
        if isinstance(text, SyncDaemon):
            return text
        role, interface, *words = [*text.split(), "", ""][: max(2, len(text.split()))]
        return cls(role, interface, **read_options("sync daemon", words, _OPTIONS))

    def __str__(self) -> str:
        return " ".join([self.role, self.interface, *write_options(self, _OPTIONS, _DEFAULTS)])


_OPTIONS = {"sync_id": int, "max_length": int, "group": str, "port": int, "ttl": int}
_DEFAULTS = {"sync_id": 0, "max_length": 0, "group": None, "port": 0, "ttl": 0}


def stored_daemon(
    daemon: SyncDaemon,
    role: DaemonRole,
    interface: str,
    sync_id: int,
    max_length: int,
    group: IPv4Address | IPv6Address | None,
    port: int,
    ttl: int,
) -> SyncDaemon:
    """Fill a daemon without checks."""
    put = object.__setattr__
    put(daemon, "role", role)
    put(daemon, "interface", interface)
    put(daemon, "sync_id", sync_id)
    put(daemon, "max_length", max_length)
    put(daemon, "group", group)
    put(daemon, "port", port)
    put(daemon, "ttl", ttl)
    return daemon


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Idle times in seconds after which a connection is forgotten: established TCP, TCP after FIN, and UDP."""

    tcp: int
    tcp_fin: int
    udp: int


@dataclass(frozen=True, slots=True)
class Info:
    """The version of IPVS in the kernel, and the size of the connection table in buckets.

    From Linux 7 on the table grows, and its size is that of the moment (0 before the first service): it cannot be compared between hosts.
    """

    version: tuple[int, int, int]
    connection_table_size: int
