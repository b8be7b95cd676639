"""What a command line asks for: the values of its options, each checked as it is met.

Knows: what options mean, their defaults, and the order in which they count. Must not know: how words are taken apart, the kernel.

Options count in the order in which they stand: a real server gets the port of the service in front of it, a netmask is a prefix length only behind
an IPv6 service, and `-6` needs the firewall mark in front of it.
"""

from __future__ import annotations

import _socket

from ipvskit.cli.ipvsadm import lookup
from ipvskit.cli.ipvsadm.digits import leading_number, number
from ipvskit.cli.ipvsadm.options import check_tunnel
from ipvskit.cli.ipvsadm.outcome import Failed
from ipvskit.ipvs.layout import AF_INET, AF_INET6, FLAG_ONE_PACKET, FLAG_PERSISTENT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from typing import Any

__all__ = ["DAEMON_STATES", "METHODS", "OWN_FLAGS", "TUNNELS", "VALUES", "Entry", "timeout"]

#: Forwarding methods as the kernel numbers them, and the options that stand for them.
MASQUERADE, TUNNEL, DIRECT_ROUTE = 0, 2, 3
METHODS = {"masquerading": MASQUERADE, "ipip": TUNNEL, "gatewaying": DIRECT_ROUTE}
#: Tunnel types in the kernel's order.
TUNNELS = ("ipip", "gue", "gre")
DAEMON_STATES = {"master": 1, "backup": 2}
#: Flags of schedulers: the bit, and the scheduler whose name for it this is.
_SCHEDULER_FLAGS = {
    "flag-1": (0x8, None),
    "flag-2": (0x10, None),
    "flag-3": (0x20, None),
    "sh-fallback": (0x8, "sh"),
    "sh-port": (0x10, "sh"),
    "mh-fallback": (0x8, "mh"),
    "mh-port": (0x10, "mh"),
}
OWN_FLAGS = {
    who: {bit: name for name, (bit, own) in _SCHEDULER_FLAGS.items() if own == who} for who in (None, "sh", "mh")
}
DEFAULT_SCHEDULER = "wlc"
DEFAULT_INTERFACE = "eth0"
DEFAULT_PERSISTENCE = 360  # seconds
MAX_TIMEOUT = 31 * 24 * 3600  # seconds
INT_MAX = 2**31 - 1
_FULL_NETMASK, _FULL_PREFIX = 0xFFFFFFFF, 128
#: What the tool has room for (bytes).
_SCHEDULER_ROOM, _ENGINE_ROOM, _INTERFACE_ROOM, _FLAGS_ROOM = 15, 16, 15, 127
_WITHOUT_PORT_CHANGE = (TUNNEL, DIRECT_ROUTE)
_TUNNEL_OPTIONS = {"tun-type", "tun-port", "tun-nocsum", "tun-csum", "tun-remcsum"}
#: The first byte of IPv4 multicast addresses, of which four bits count.
_MULTICAST = 0xE0


class Entry:
    """The defaults are the class's own attributes, so that an entry costs as much as what it has."""

    command = ""
    # The virtual service.
    family = 0
    protocol = 0
    address = b""
    port = 0
    fwmark = 0
    scheduler = ""
    engine = ""
    flags = 0
    scheduler_flags = ""
    timeout = 0
    netmask = _FULL_NETMASK
    # The real server.
    real_family = 0
    real_address = b""
    real_port = 0
    method = DIRECT_ROUTE
    weight = 1
    upper = 0
    lower = 0
    tunnel_type = 0
    tunnel_port = 0
    tunnel_flags = 0
    # The namespace.
    timeouts = (0, 0, 0)
    state = 0
    interface = ""
    sync_id = 0
    max_length = 0
    group_family = 0
    group = b""
    group_port = 0
    ttl = 0

    def read_flags(self) -> None:
        """The scheduler's flags, when the scheduler is known. Raises Failed."""
        if self.scheduler_flags:
            self.flags |= _flags(self.scheduler or DEFAULT_SCHEDULER, self.scheduler_flags)

    def settle(self, given: Collection[str]) -> None:
        """Check what only all options together tell, and fill in what depends on others; `given` are their full names. Raises Failed."""
        command = self.command
        if command == "add-server" or command == "edit-server":
            self._settle_real(given)
        elif command == "add-service" or command == "edit-service":
            self._settle_service()
        elif command == "start-daemon":
            self.interface = self.interface or DEFAULT_INTERFACE

    def _settle_service(self) -> None:
        if not self.fwmark and not self.port and not self.flags & FLAG_PERSISTENT:
            raise Failed("Zero port specified for non-persistent service")
        if self.flags & FLAG_ONE_PACKET and not self.fwmark and self.protocol != lookup.UDP:
            raise Failed("One-Packet Scheduling is only for UDP virtual services")
        self.scheduler = self.scheduler or DEFAULT_SCHEDULER

    def _settle_real(self, given: Collection[str]) -> None:
        if not self.fwmark and self.method in _WITHOUT_PORT_CHANGE:
            self.real_port = self.port
        if self.method != TUNNEL and self.real_family != self.family:
            raise Failed("Different address family is allowed only for tunneling servers")
        if not _TUNNEL_OPTIONS.isdisjoint(given):
            if self.method != TUNNEL:
                raise Failed("Tunnel options conflict with forward method")
            check_tunnel(TUNNELS[self.tunnel_type], given)


def _flags(scheduler: str, text: str) -> int:
    bits = 0
    for name in filter(None, text.split(",")):
        if name not in _SCHEDULER_FLAGS:
            raise Failed(f"invalid scheduler flag `{name}'")
        bit, own = _SCHEDULER_FLAGS[name]
        if own not in (None, scheduler):
            raise Failed(f"incompatible scheduler flag `{name}'")
        bits |= bit
    return bits


# --- values of options --------------------------------------------------------------------------------------------------------------


def timeout(text: str | None, low: int) -> int:
    """Seconds, as persistence and `--set` have them. Raises Failed."""
    if text is None:
        return DEFAULT_PERSISTENCE
    found = number(text, low, MAX_TIMEOUT)
    if found is None:
        raise Failed(f"invalid timeout value `{text}' specified")
    return found


def _service(protocol: int) -> Callable[[Entry, str], None]:
    def take(entry: Entry, text: str) -> None:
        entry.protocol = protocol
        found = lookup.place(text, protocol)
        if found is None:
            raise Failed("illegal virtual server address[:port] specified")
        entry.family, entry.address, port = found
        if entry.family == AF_INET6:
            entry.netmask = _FULL_PREFIX
        if port is not None:
            entry.port = port

    return take


def _fwmark(entry: Entry, text: str) -> None:
    found = number(text, 1, 0xFFFFFFFF)
    if found is None:
        raise Failed(f"invalid fwmark value `{text}' specified")
    entry.family, entry.protocol, entry.fwmark = AF_INET, lookup.TCP, found


def _ipv6(entry: Entry, _: str | None) -> None:
    if not entry.fwmark:
        raise Failed("-6 used before -f\n")
    entry.family, entry.netmask = AF_INET6, _FULL_PREFIX


def _persistent(entry: Entry, text: str | None) -> None:
    entry.flags |= FLAG_PERSISTENT
    entry.timeout = timeout(text, 1)


def _netmask(entry: Entry, text: str) -> None:
    if entry.family == AF_INET6:
        entry.netmask = leading_number(text)
        if not 1 <= entry.netmask <= _FULL_PREFIX:
            raise Failed("illegal ipv6 netmask specified")
        return
    mask = lookup.ipv4(text)
    if mask is None:
        raise Failed("illegal virtual server persistent mask specified")
    entry.netmask = int.from_bytes(mask, "big")


def _real(entry: Entry, text: str) -> None:
    found = lookup.place(text, entry.protocol)
    if found is None:
        raise Failed("illegal real server address[:port] specified")
    entry.real_family, entry.real_address, port = found
    entry.real_port = entry.port if port is None else port


def _method(method: int) -> Callable[[Entry, str | None], None]:
    def take(entry: Entry, _: str | None) -> None:
        entry.method = method

    return take


def _number(field: str, called: str, low: int, high: int) -> Callable[[Entry, str], None]:
    def take(entry: Entry, text: str) -> None:
        found = number(text, low, high)
        if found is None:
            raise Failed(f"illegal {called} specified")
        setattr(entry, field, found)

    return take


def _text(field: str, room: int) -> Callable[[Entry, str], None]:
    def take(entry: Entry, text: str) -> None:
        setattr(entry, field, text[:room])

    return take


def _one_packet(entry: Entry, _: str | None) -> None:
    entry.flags |= FLAG_ONE_PACKET


def _tunnel_type(entry: Entry, text: str) -> None:
    if text not in TUNNELS:
        raise Failed("illegal tunnel type specified")
    entry.tunnel_type = TUNNELS.index(text)


def _tunnel_flag(bit: int) -> Callable[[Entry, str | None], None]:
    def take(entry: Entry, _: str | None) -> None:
        entry.tunnel_flags |= bit

    return take


def _state(message: str) -> Callable[[Entry, str], None]:
    def take(entry: Entry, text: str) -> None:
        if text not in DAEMON_STATES:
            raise Failed(message)
        entry.state = DAEMON_STATES[text]

    return take


def _group(entry: Entry, text: str) -> None:
    if ":" in text:
        found = lookup.ipv6(text)
        if found is None or found[0] != 0xFF:
            raise Failed(f"invalid IPv6 mcast-group `{text}'")
        entry.group_family, entry.group = AF_INET6, found
        return
    try:
        found = _socket.inet_pton(AF_INET, text)
    except (OSError, ValueError):
        found = b"\0"
    if found[0] & 0xF0 != _MULTICAST:
        raise Failed(f"invalid IPv4 mcast-group `{text}'")
    entry.group_family, entry.group = AF_INET, found


def _nothing(_: Entry, __: str | None) -> None:
    """For options that only how a list looks depends on."""


#: By the option's long spelling.
VALUES: Mapping[str, Callable[[Entry, Any], None]] = {
    "tcp-service": _service(lookup.TCP),
    "udp-service": _service(lookup.UDP),
    "sctp-service": _service(lookup.SCTP),
    "fwmark-service": _fwmark,
    "ipv6": _ipv6,
    "scheduler": _text("scheduler", _SCHEDULER_ROOM),
    "persistent": _persistent,
    "netmask": _netmask,
    "pe": _text("engine", _ENGINE_ROOM),
    "ops": _one_packet,
    "sched-flags": _text("scheduler_flags", _FLAGS_ROOM),
    "real-server": _real,
    **{name: _method(method) for name, method in METHODS.items()},
    "weight": _number("weight", "weight", 0, INT_MAX),
    "u-threshold": _number("upper", "u_threshold", 0, INT_MAX),
    "l-threshold": _number("lower", "l_threshold", 0, INT_MAX),
    "tun-type": _tunnel_type,
    "tun-port": _number("tunnel_port", "tunnel port", 1, 65535),
    "tun-nocsum": _tunnel_flag(0),
    "tun-csum": _tunnel_flag(1),
    "tun-remcsum": _tunnel_flag(2),
    "start-daemon": _state("illegal start-daemon parameter specified"),
    "stop-daemon": _state("illegal start_daemon specified"),
    "mcast-interface": _text("interface", _INTERFACE_ROOM),
    "syncid": _number("sync_id", "syncid", 0, 255),
    "mcast-group": _group,
    "mcast-port": _number("group_port", "mcast-port", 1, 65535),
    "mcast-ttl": _number("ttl", "mcast-ttl", 1, 255),
    "sync-maxlen": _number("max_length", "sync-maxlen", 1, 65535 - 20 - 8),
    "numeric": _nothing,
    "connection": _nothing,
    "timeout": _nothing,
    "daemon": _nothing,
    "stats": _nothing,
    "rate": _nothing,
    "thresholds": _nothing,
    "persistent-conn": _nothing,
    "nosort": _nothing,
    "sort": _nothing,
    "exact": _nothing,
    "tun-info": _nothing,
}
