"""Addresses and ports, and names for them: numbers where they are numbers, and what the C library's resolver finds otherwise.

Knows: how a host with its port is written, inet_aton(3), gethostbyname(3), getservbyname(3) and the way back. Must not know: options.
"""

from __future__ import annotations

# The module beneath `socket`, which takes longer to import than all of this.
import _socket

from ipvskit.cli.ipvsadm.digits import number
from ipvskit.cli.ipvsadm.output import characters
from ipvskit.ipvs.layout import AF_INET, AF_INET6

__all__ = ["Names", "address_text", "ipv4", "ipv6", "place", "with_port"]

TCP, UDP, SCTP = 6, 17, 132
#: What the protocols are called in /etc/services.
_SERVICES = {TCP: "tcp", UDP: "udp", SCTP: "sctp"}
#: Addresses have this much room in packed records (bytes); so much of a place is ever shown (characters).
_ROOM, _SHOWN = 16, 59
_FULL_PORT = 65535
#: More digits than a port has.
_DIGITS = 6


def ipv4(text: str) -> bytes | None:
    """The four bytes of an IPv4 address in any of the forms of inet_aton(3), or of the host that has this name."""
    if not text.isascii() or not text:
        return None
    try:
        return _socket.inet_aton(text)
    except OSError:
        return _host(text)


def _host(name: str) -> bytes | None:
    try:
        return _socket.inet_aton(_socket.gethostbyname_ex(name)[2][0])
    except (OSError, ValueError, IndexError):
        return None


def ipv6(text: str) -> bytes | None:
    """The sixteen bytes of an IPv6 address."""
    if ":" not in text or not text.isascii():
        return None
    try:
        return _socket.inet_pton(AF_INET6, text)
    except OSError:
        return None


def place(text: str, protocol: int) -> tuple[int, bytes, int | None] | None:
    """Family, address and port (None where there is none) of `host[:port]`; None for what is none. Behind a bracket there must be a port."""
    host, _, port = text.rpartition(":")
    if port.isdecimal() and host.replace(".", "").isdecimal() and text.isascii() and len(port) < _DIGITS:
        # As most are. The same comes of the long way.
        try:
            packed, found = _socket.inet_aton(host), int(port)
        except OSError:
            return None
        return (AF_INET, packed, found) if found <= _FULL_PORT else None
    if not text or (text.isascii() and text.isdigit()):
        return None
    return _anything(text, protocol)


def _anything(text: str, protocol: int) -> tuple[int, bytes, int | None] | None:
    host: str = text
    port: str | None = None
    if text[0] == "[":
        host, bracket, rest = text[1:].partition("]")
        if not bracket or rest[:1] != ":":
            return None
        port = rest[1:]
    family, packed = AF_INET6, ipv6(host)
    if packed is None:
        before, colon, behind = host.rpartition(":")
        host, port = (before, behind) if colon else (host, None)
        family, packed = AF_INET, ipv4(host)
    if packed is None:
        return None
    if port is None:
        return family, packed, None
    found = _port(port, protocol)
    return None if found is None else (family, packed, found)


def _port(text: str, protocol: int) -> int | None:
    found = number(text, 0, _FULL_PORT)
    if found is not None or protocol not in _SERVICES:
        return found
    try:
        return _socket.getservbyname(text, _SERVICES[protocol])
    except (OSError, ValueError):
        return None


def address_text(family: int, packed: bytes) -> str:
    """An address as inet_ntop(3) writes it."""
    return _socket.inet_ntop(AF_INET, packed[:4]) if family == AF_INET else _socket.inet_ntop(AF_INET6, packed[:_ROOM])


def with_port(family: int, host: str, port: str) -> str:
    """`host:port`, in brackets unless it is IPv4, and not longer than the tool has room for."""
    return f"{host}:{port}"[:_SHOWN] if family == AF_INET else f"[{host}]:{port}"[:_SHOWN]


class Names:
    """What addresses and ports are called: by name where there is one, each looked up once, or with `numeric` never."""

    def __init__(self, numeric: bool) -> None:
        self._numeric = numeric
        self._hosts: dict[tuple[int, bytes], str] = {}
        self._ports: dict[tuple[int, int], str] = {}

    def of(self, family: int, packed: bytes, port: int, protocol: int) -> str:
        """`host:port`; the protocol is that of the virtual service."""
        if self._numeric:
            return with_port(family, address_text(family, packed), str(port))
        return with_port(family, self._host(family, packed), self._port(port, protocol))

    def _host(self, family: int, packed: bytes) -> str:
        known = self._hosts.get((family, packed))
        if known is None:
            known = self._hosts[family, packed] = _host_name(address_text(family, packed))
        return known

    def _port(self, port: int, protocol: int) -> str:
        known = self._ports.get((port, protocol))
        if known is None:
            known = self._ports[port, protocol] = _port_name(port, protocol)
        return known


def _host_name(address: str) -> str:
    try:
        return characters(_socket.gethostbyaddr(address)[0])
    except (OSError, ValueError):
        return address


def _port_name(port: int, protocol: int) -> str:
    if protocol in _SERVICES:
        try:
            return characters(_socket.getservbyport(port, _SERVICES[protocol]))
        except OSError:
            return str(port)
    return str(port)
