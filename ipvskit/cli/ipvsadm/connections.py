"""The list of connections.

Knows: lines of /proc/net/ip_vs_conn, and columns. Must not know: options.

The tool reads into a buffer of 256 bytes, and takes the rest of a longer line (long data of a persistence engine) for a line of its own; here
lines are read as a whole.
"""

from __future__ import annotations

import _socket

from ipvskit.cli.ipvsadm.lookup import ipv6
from ipvskit.ipvs.layout import AF_INET, AF_INET6

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ipvskit.cli.ipvsadm.lookup import Names

__all__ = ["connections"]

_PROTOCOLS = {"TCP": 6, "UDP": 17, "SCTP": 132}
#: Columns of a line, and of one with a persistence engine and its data.
_COLUMNS, _WITH_ENGINE = 9, 11


def connections(lines: Iterable[str], names: Names, *, engines: bool) -> Iterator[str]:
    """The lines to print, of those behind the line of headings; with `engines` what persistence engines remember is among them."""
    yield "IPVS connection entries\n"
    head = f"pro expire {'state':<11} {'source':<18} {'virtual':<18} "
    yield head + (f"{'destination':<18} {'pe name':<16} pe_data\n" if engines else "destination\n")
    for line in lines:
        fields = line.split(None, _WITH_ENGINE)
        if len(fields) >= _COLUMNS:
            yield _line(fields, names, engines)


def _line(fields: list[str], names: Names, engines: bool) -> str:
    protocol, source, source_port, virtual, virtual_port, destination, destination_port, state, seconds = fields[
        :_COLUMNS
    ]
    number = _PROTOCOLS.get(protocol, 0)
    minutes, rest = divmod(int(seconds), 60)
    pairs = ((source, source_port), (virtual, virtual_port), (destination, destination_port))
    one, two, three = (names.of(*_address(address), int(port, 16), number) for address, port in pairs)
    head = f"{protocol:<3} {f'{minutes:02}:{rest:02}':<6} {state:<11} {one:<18} {two:<18} "
    if engines and len(fields) >= _WITH_ENGINE:
        return f"{head}{three:<16} {fields[9]:<18} {fields[10]}\n"
    return f"{head}{three}\n"


def _address(text: str) -> tuple[int, bytes]:
    packed = ipv6(text)
    if packed is not None:
        return AF_INET6, packed
    if "." in text:
        return AF_INET, _socket.inet_aton(text)
    return AF_INET, int(text, 16).to_bytes(4, "big")
