"""The text files of IPVS under /proc/net.

Knows: how their lines look (net/netfilter/ipvs/ip_vs_conn.c, ip_vs_ctl.c). Must not know: where they come from.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING

from ipvskit.errors import ProtocolError
from ipvskit.model.connection import Connection
from ipvskit.model.status import Stats

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ipvskit.model.address import IPAddress

__all__ = ["parse_connections", "parse_totals"]

#: The last column is free text of a persistence engine, such as a SIP call id, so only the first ten are split.
_COLUMNS = 10


def parse_connections(lines: Iterable[str]) -> Iterator[Connection]:
    """The rows of ip_vs_conn; the line of headings is passed over. Raises ProtocolError."""
    for line in lines:
        if not line.startswith("Pro "):
            yield _connection(line)


def _connection(line: str) -> Connection:
    fields = line.rstrip("\n").split(None, _COLUMNS - 1)
    try:
        protocol, client, client_port, virtual, virtual_port, destination, destination_port, state, expires = fields[:9]
        engine, _, data = fields[9].partition(" ") if len(fields) == _COLUMNS else ("", "", "")
        return Connection(
            protocol.lower(),
            _address(client),
            int(client_port, 16),
            _address(virtual),
            int(virtual_port, 16),
            _address(destination),
            int(destination_port, 16),
            state,
            int(expires),
            engine or None,
            data.rstrip(" ") or None,
        )
    except ValueError:
        raise ProtocolError(f"a line of ip_vs_conn that is none: {line.rstrip()!r}") from None


def _address(text: str) -> IPAddress:
    if len(text) == 8 and ":" not in text:
        return IPv4Address(int(text, 16))
    return IPv6Address(text.strip("[]"))


def parse_totals(text: str) -> Stats:
    """The numbers of ip_vs_stats: two lines of hexadecimal numbers among headings. Raises ProtocolError."""
    numbers = []
    for line in text.splitlines():
        words = line.split()
        if len(words) != 5:
            continue
        try:
            numbers.append([int(word, 16) for word in words])
        except ValueError:
            continue  # headings
    if len(numbers) != 2:
        raise ProtocolError(f"ip_vs_stats has {len(numbers)} lines of five numbers, where 2 were expected")
    return Stats(*numbers[0], *numbers[1])
