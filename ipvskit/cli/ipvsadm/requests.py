"""What a command line asks for, as a packed request.

Knows: which attributes each command sends; some that the tool sends the kernel does not look at, and they are left out. Must not know: words,
answers.
"""

from __future__ import annotations

from ipvskit.ipvs import layout
from ipvskit.ipvs.layout import (
    AF_INET,
    CONFIG,
    DAEMON,
    HEAD,
    KEY_ADDRESS,
    KEY_FWMARK,
    NLM_F_ACK,
    NLM_F_DUMP,
    NOTHING_REAL,
    NOTHING_SERVICE,
    REAL,
    REAL_FULL,
    REAL_TUNNEL,
    REQUEST_SIZE,
    SERVICE,
    SERVICE_FULL,
    bits,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ipvskit.cli.ipvsadm.entry import Entry

__all__ = [
    "CHANGES",
    "REAL_PRESENT",
    "all_services",
    "daemons",
    "info",
    "one_service",
    "request",
    "service_part",
    "timeouts",
]

#: Commands that change something, by their long spelling.
CHANGES = {
    "add-service": layout.NEW_SERVICE,
    "edit-service": layout.SET_SERVICE,
    "delete-service": layout.DEL_SERVICE,
    "add-server": layout.NEW_DEST,
    "edit-server": layout.SET_DEST,
    "delete-server": layout.DEL_DEST,
    "clear": layout.FLUSH,
    "zero": layout.ZERO,
    "set": layout.SET_CONFIG,
    "start-daemon": layout.NEW_DAEMON,
    "stop-daemon": layout.DEL_DAEMON,
}
_WITH_CONFIG = (layout.NEW_SERVICE, layout.SET_SERVICE)
_WITH_REAL = (layout.NEW_DEST, layout.SET_DEST, layout.DEL_DEST)
_ALL_FLAGS = 0xFFFFFFFF
#: What every real server is sent with.
REAL_PRESENT = REAL_FULL | REAL_TUNNEL
_ENGINE = bits(11)


def request(entry: Entry) -> bytes:
    """The request of a command that changes something."""
    number = CHANGES[entry.command]
    if number in _WITH_CONFIG:
        return HEAD.pack(number, 0) + _service(entry) + NOTHING_REAL
    if number in _WITH_REAL:
        return service_part(number, entry) + _real(entry)
    if number == layout.DEL_SERVICE:
        return one_service(number, entry)
    if number == layout.ZERO and (entry.fwmark or entry.port or any(entry.address)):
        # The tool takes 0.0.0.0:0 for no service at all.
        return one_service(number, entry)
    if number == layout.SET_CONFIG:
        return _padded(HEAD.pack(number, 0), CONFIG.pack(0, bits(4, 5, 6), *entry.timeouts))
    if number in (layout.NEW_DAEMON, layout.DEL_DAEMON):
        # Acknowledged, because the answer can get lost.
        return _padded(HEAD.pack(number, NLM_F_ACK), _daemon(entry))
    return HEAD.pack(number, 0) + NOTHING_SERVICE + NOTHING_REAL


def one_service(number: int, entry: Entry, flags: int = 0) -> bytes:
    """A request about a service as a whole."""
    return HEAD.pack(number, flags) + _key(entry) + NOTHING_REAL


def service_part(number: int, entry: Entry) -> bytes:
    """The first part of a request about a real server: which service it is about."""
    return HEAD.pack(number, 0) + _key(entry)


def all_services() -> bytes:
    """The question for all services."""
    return HEAD.pack(layout.GET_SERVICE, NLM_F_DUMP) + NOTHING_SERVICE + NOTHING_REAL


def info() -> bytes:
    """The question for the version."""
    return HEAD.pack(layout.GET_INFO, 0) + NOTHING_SERVICE + NOTHING_REAL


def timeouts() -> bytes:
    """The question for the timeouts."""
    return HEAD.pack(layout.GET_CONFIG, 0) + NOTHING_SERVICE + NOTHING_REAL


def daemons() -> bytes:
    """The question for the sync daemons."""
    return HEAD.pack(layout.GET_DAEMON, NLM_F_DUMP) + NOTHING_SERVICE + NOTHING_REAL


def _padded(head: bytes, record: bytes) -> bytes:
    return (head + NOTHING_SERVICE + record).ljust(REQUEST_SIZE, b"\0")


def _key(entry: Entry) -> bytes:
    mark = entry.fwmark
    if mark:
        return SERVICE.pack(0, KEY_FWMARK, entry.family, 0, 0, 0, mark, b"", 0, 0, 0, 0, b"", b"")
    return SERVICE.pack(
        0, KEY_ADDRESS, entry.family, entry.protocol, entry.port, 0, 0, entry.address, 0, 0, 0, 0, b"", b""
    )


def _service(entry: Entry) -> bytes:
    present = (KEY_FWMARK if entry.fwmark else KEY_ADDRESS) | SERVICE_FULL
    if not entry.engine:
        present &= ~_ENGINE
    return SERVICE.pack(
        0,
        present,
        entry.family,
        0 if entry.fwmark else entry.protocol,
        0 if entry.fwmark else entry.port,
        0,
        entry.fwmark,
        entry.address,
        entry.flags,
        _ALL_FLAGS,
        entry.timeout,
        entry.netmask,
        entry.scheduler.encode("latin-1"),
        entry.engine.encode("latin-1"),
    )


def _real(entry: Entry) -> bytes:
    return REAL.pack(
        0,
        REAL_PRESENT,
        entry.real_family,
        entry.real_port,
        entry.tunnel_port,
        entry.tunnel_flags,
        entry.tunnel_type,
        entry.real_address,
        entry.method,
        entry.weight,
        entry.upper,
        entry.lower,
        0,
        0,
        0,
    )


def _daemon(entry: Entry) -> bytes:
    ipv4 = entry.group_family == AF_INET
    optional = ((entry.max_length, 4), (entry.group_port, 7), (entry.ttl, 8), (entry.group_family, 5 if ipv4 else 6))
    present = bits(1, 2, 3, *(number for value, number in optional if value))
    return DAEMON.pack(
        0,
        present,
        entry.state,
        entry.sync_id,
        entry.max_length,
        entry.group_port,
        entry.ttl,
        entry.group if ipv4 else b"",
        b"" if ipv4 else entry.group,
        entry.interface.encode("latin-1"),
    )
