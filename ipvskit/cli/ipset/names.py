"""Names of hosts, services, protocols and types of ICMP: what the machine's files and resolver know.

Knows: the C library's look-ups, and the types of ICMP that ipset has names for. Must not know: elements.
"""

from __future__ import annotations

# This is loaded for every command: no `typing`. Type checkers know the name.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

__all__ = ["ICMP", "ICMP6", "host", "icmp_name", "icmp_number", "protocol", "protocol_name", "resolved", "service"]

#: Names by type and code; the first name of a number is the one that is shown.
ICMP = (
    ("echo-reply", 0, 0),
    ("pong", 0, 0),
    ("network-unreachable", 3, 0),
    ("host-unreachable", 3, 1),
    ("protocol-unreachable", 3, 2),
    ("port-unreachable", 3, 3),
    ("fragmentation-needed", 3, 4),
    ("source-route-failed", 3, 5),
    ("network-unknown", 3, 6),
    ("host-unknown", 3, 7),
    ("network-prohibited", 3, 9),
    ("host-prohibited", 3, 10),
    ("TOS-network-unreachable", 3, 11),
    ("TOS-host-unreachable", 3, 12),
    ("communication-prohibited", 3, 13),
    ("host-precedence-violation", 3, 14),
    ("precedence-cutoff", 3, 15),
    ("source-quench", 4, 0),
    ("network-redirect", 5, 0),
    ("host-redirect", 5, 1),
    ("TOS-network-redirect", 5, 2),
    ("TOS-host-redirect", 5, 3),
    ("echo-request", 8, 0),
    ("ping", 8, 0),
    ("router-advertisement", 9, 0),
    ("router-solicitation", 10, 0),
    ("ttl-zero-during-transit", 11, 0),
    ("ttl-zero-during-reassembly", 11, 1),
    ("ip-header-bad", 12, 0),
    ("required-option-missing", 12, 1),
    ("timestamp-request", 13, 0),
    ("timestamp-reply", 14, 0),
    ("address-mask-request", 17, 0),
    ("address-mask-reply", 18, 0),
)
ICMP6 = (
    ("no-route", 1, 0),
    ("communication-prohibited", 1, 1),
    ("address-unreachable", 1, 3),
    ("port-unreachable", 1, 4),
    ("packet-too-big", 2, 0),
    ("ttl-zero-during-transit", 3, 0),
    ("ttl-zero-during-reassembly", 3, 1),
    ("bad-header", 4, 0),
    ("unknown-header-type", 4, 1),
    ("unknown-option", 4, 2),
    ("echo-request", 128, 0),
    ("ping", 128, 0),
    ("echo-reply", 129, 0),
    ("pong", 129, 0),
    ("router-solicitation", 133, 0),
    ("router-advertisement", 134, 0),
    ("neighbour-solicitation", 135, 0),
    ("neigbour-solicitation", 135, 0),
    ("neighbour-advertisement", 136, 0),
    ("neigbour-advertisement", 136, 0),
    ("redirect", 137, 0),
)
_Names = tuple[tuple[str, int, int], ...]


def icmp_number(names: _Names, text: str) -> int | None:
    """Type and code as one number, of the first name that begins so, in capitals or not."""
    for name, kind, code in names:
        if name.lower().startswith(text.lower()):
            return kind << 8 | code
    return None


def icmp_name(names: _Names, number: int) -> str:
    """The name of a type and code, or the two numbers."""
    kind, code = number >> 8, number & 255
    return next((name for name, *numbers in names if numbers == [kind, code]), f"{kind}/{code}")


def service(name: str, proto: str) -> int | None:
    """The port of a service, as getservbyname(3)."""
    import _socket as socket

    try:
        return socket.getservbyname(name, proto)
    except (OSError, UnicodeError, ValueError):
        return None


def protocol(name: str) -> int | None:
    """The number of a protocol, as getprotobyname(3)."""
    import _socket as socket

    try:
        return socket.getprotobyname(name)
    except (OSError, UnicodeError, ValueError):
        return None


def protocol_name(number: int) -> str | None:
    """The name of a protocol, as getprotobynumber(3)."""
    from ctypes import POINTER, Structure, c_char_p, c_int, c_void_p

    class Entry(Structure):
        """struct protoent."""

        _fields_ = (("name", c_char_p), ("aliases", c_void_p), ("number", c_int))

    look_up = _libc().getprotobynumber
    look_up.restype = POINTER(Entry)
    found = look_up(number)
    return found.contents.name.decode("utf-8", "surrogateescape") if found else None


def host(name: str, family: int) -> Sequence[bytes]:
    """The addresses of a host, as gethostbyname2(3)."""
    import _socket as socket

    plain = _plain(name, family)
    if plain is not None:
        return [plain]
    from ctypes import POINTER, Structure, c_char_p, c_int, c_void_p, string_at

    class Entry(Structure):
        """struct hostent."""

        _fields_ = (
            ("name", c_char_p),
            ("aliases", c_void_p),
            ("family", c_int),
            ("length", c_int),
            ("addresses", POINTER(c_void_p)),
        )

    look_up = _libc().gethostbyname2
    look_up.restype = POINTER(Entry)
    raw = name.encode("utf-8", "surrogateescape")
    found = look_up(raw, socket.AF_INET if family == 2 else socket.AF_INET6)
    if not found:
        return []
    addresses = []
    for pointer in found.contents.addresses:
        if pointer is None:
            break
        addresses.append(string_at(pointer, found.contents.length))
    return addresses


def _plain(name: str, family: int) -> bytes | None:
    """An address written as usual, which nobody need be asked for."""
    if family != 2 and ":" in name:
        import _socket as socket

        try:
            return socket.inet_pton(socket.AF_INET6, name)
        except (OSError, ValueError):
            return None
    if family != 2:
        return None
    parts = name.split(".")
    if len(parts) != 4 or not all(part.isascii() and part.isdigit() and part == str(int(part)) for part in parts):
        return None
    numbers = [int(part) for part in parts]
    return bytes(numbers) if max(numbers) < 256 else None


def resolved(address: str) -> str:
    """The name of an address, or the address itself, as getnameinfo(3)."""
    import _socket as socket

    try:
        return socket.getnameinfo((address, 0), 0)[0]
    except OSError:
        return address


def _libc() -> Any:  # noqa: ANN401 - ctypes makes its functions as they are asked for
    from ctypes import CDLL

    return CDLL(None)
