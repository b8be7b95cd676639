"""The files of the fake kernel: settings, connections, totals.

Knows: how they are opened, and what is in them. Must not know: where the numbers come from.
"""

from __future__ import annotations

import errno
import io
import os
from typing import TYPE_CHECKING

from ipvskit.ipvs.sysctls import FOLDER
from ipvskit.model.sysctl import SYSCTLS
from ipvskit.testing.fake.requests import Refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipvskit.model.address import IPAddress
    from ipvskit.model.connection import Connection
    from ipvskit.model.status import Stats
    from ipvskit.testing.fake.settings import Settings
    from ipvskit.testing.fake.tables import Tables

_SETTINGS = {one.path: name for name, one in SYSCTLS.items()}
_PROC_NET = ("/proc/thread-self/net/", "/proc/self/net/", "/proc/net/")


class _Written(io.StringIO):
    """Hands over what was written when it is closed, as a file's buffer does: refusals come then."""

    def __init__(self, take: Callable[[str], None]) -> None:
        super().__init__()
        self._take = take

    def close(self) -> None:
        if not self.closed:
            text = self.getvalue()
            super().close()
            if text:
                self._take(text)


def open_file(tables: Tables, settings: Settings, path: str, mode: str) -> io.StringIO:
    """A file of the fake kernel. Raises OSError."""
    try:
        if path.startswith(FOLDER + "/"):
            name = _SETTINGS.get(path.removeprefix(FOLDER + "/"), "")
            return _open_setting(tables, settings, name, path, mode)
        name = next((path.removeprefix(start) for start in _PROC_NET if path.startswith(start)), "")
        if name not in _TEXTS:
            raise Refused(errno.ENOENT)
        if mode != "r":
            raise Refused(errno.EACCES)
        return io.StringIO(_TEXTS[name](tables))
    except Refused as refused:
        raise _os_error(refused, path) from None


def _open_setting(tables: Tables, settings: Settings, name: str, path: str, mode: str) -> io.StringIO:
    if mode == "r":
        return io.StringIO(settings.read(name))
    settings.check_writable(name)

    def take(text: str) -> None:
        try:
            with tables.lock:
                settings.write(name, text)
                tables.expire_nodest_conn = settings.on("expire_nodest_conn")
        except Refused as refused:
            raise _os_error(refused, path) from None

    return _Written(take)


def _os_error(refused: Refused, path: str) -> OSError:
    return OSError(refused.error, os.strerror(refused.error), path)


def _address(address: IPAddress) -> str:
    return f"{int(address):08X}" if address.version == 4 else address.exploded


def _connection(one: Connection) -> str:
    places = (
        (one.client, one.client_port),
        (one.virtual, one.virtual_port),
        (one.destination, one.destination_port),
    )
    words = " ".join(f"{_address(address)} {port:04X}" for address, port in places)
    engine = f" {one.engine} {one.engine_data or ''}" if one.engine else ""
    return f"{one.protocol.upper():3} {words} {one.state:11} {one.expires:7}{engine}\n"


def _connections(tables: Tables) -> str:
    head = "Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData\n"
    return head + "".join(_connection(held.connection) for held in tables.connections)


def _totals(tables: Tables) -> str:
    widths = (8, 8, 8, 16, 16)
    counters, rates = _numbers(tables.totals)

    def line(words: tuple[object, ...]) -> str:
        return " ".join(f"{word:>{width}}" for word, width in zip(words, widths, strict=True)) + "\n"

    return (
        line(("Total", "Incoming", "Outgoing", "Incoming", "Outgoing"))
        + line(("Conns", "Packets", "Packets", "Bytes", "Bytes"))
        + line(counters)
        + "\n"
        + line(("Conns/s", "Pkts/s", "Pkts/s", "Bytes/s", "Bytes/s"))
        + line(rates)
    )


def _numbers(stats: Stats) -> tuple[tuple[str, ...], tuple[str, ...]]:
    counters = (stats.connections, stats.in_packets, stats.out_packets, stats.in_bytes, stats.out_bytes)
    packet_rates = (stats.connection_rate, stats.in_packet_rate, stats.out_packet_rate)
    rates = (*packet_rates, stats.in_byte_rate, stats.out_byte_rate)
    return tuple(f"{number:X}" for number in counters), tuple(f"{number:X}" for number in rates)


_TEXTS: dict[str, Callable[[Tables], str]] = {"ip_vs_conn": _connections, "ip_vs_stats": _totals}
