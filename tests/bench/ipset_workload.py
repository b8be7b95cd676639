"""What is put into sets and read: a million entries as text, as strings and as prebuilt messages, and namespaces with a set in them.

Knows: the wire form of two types, ipset's text. Must not know: what is measured, how ipvskit does any of it.
"""

from __future__ import annotations

import contextlib
import functools
import socket
import struct
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench import workload
from tests.bench.floor import FOLDER, floor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ipvskit import NetNS

__all__ = [
    "HASHSIZE",
    "IP",
    "IP_PORT",
    "MAXELEM",
    "NAME",
    "TOTAL",
    "Kind",
    "adds",
    "dump_once",
    "empty",
    "filled",
    "restore",
]

TOTAL, HASHSIZE, MAXELEM = 1_000_000, 1 << 20, 2_000_000
NAME = "bench"

_CREATE, _LIST, _ADD = 2, 7, 9
_REQUEST, _ACK, _EXCL, _CREATE_FLAG, _DUMP = 0x1, 0x4, 0x200, 0x400, 0x300
_PROTOCOL, _SETNAME, _TYPENAME, _REVISION, _FAMILY, _DATA, _ADT, _LINENO = 1, 2, 3, 4, 5, 7, 8, 9
_IP, _PORT, _PROTO, _HASHSIZE, _MAXELEM = 1, 4, 7, 18, 19
_NESTED, _NETWORK = 0x8000, 0x4000
#: Bytes of elements in a message. From 4 KiB on the kernel takes the same time; larger ones save system calls.
_FULL = 60 << 10


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def _message(command: int, flags: int, sequence: int, *attributes: bytes) -> bytes:
    body = struct.pack("=BBH", socket.AF_INET, 0, 0) + _attribute(_PROTOCOL, b"\7") + b"".join(attributes)
    return struct.pack("=IHHII", 16 + len(body), 6 << 8 | command, _REQUEST | flags, sequence, 0) + body


def _named() -> bytes:
    return _attribute(_SETNAME, NAME.encode() + b"\0")


@dataclass(frozen=True, slots=True)
class Kind:
    """A type of set, and its entries by number: no two alike, their addresses scattered."""

    type: str
    #: For names of cases and files.
    label: str
    text: Callable[[int], str]
    #: The entry's DATA without the LINENO at its end, for which its length has room.
    element: Callable[[int], bytes]

    def strings(self, numbers: range = range(TOTAL)) -> list[str]:
        """The entries with these numbers as ipset writes them."""
        return list(map(self.text, numbers))

    def lines(self, numbers: range = range(TOTAL)) -> str:
        """The same, one a line."""
        return "\n".join(self.strings(numbers)) + "\n"


def _address(number: int) -> int:
    return 10 << 24 | number * 0x9E3779 & 0xFFFFFF


def _port(number: int) -> int:
    return 1024 + number % 60_000


def _ip_text(number: int) -> str:
    return str(IPv4Address(_address(number)))


def _ip_port_text(number: int) -> str:
    return f"{_ip_text(number)},{'tcp' if number & 1 else 'udp'}:{_port(number)}"


def _template(size: int) -> bytes:
    head = struct.pack("=HH", size, _DATA | _NESTED)
    return head + struct.pack("=HHHH", 12, _IP | _NESTED, 8, 1 | _NETWORK)


_IP_HEAD, _IP_PORT_HEAD = _template(24), _template(40)
_PORT_HEAD, _PROTO_HEAD = struct.pack("=HH", 6, _PORT | _NETWORK), struct.pack("=HH", 5, _PROTO)
_IP_ELEMENT, _IP_PORT_ELEMENT = struct.Struct(">12sI"), struct.Struct(">12sI4sHxx4sBxxx")


def _ip_element(number: int) -> bytes:
    return _IP_ELEMENT.pack(_IP_HEAD, _address(number))


def _ip_port_element(number: int) -> bytes:
    protocol = socket.IPPROTO_TCP if number & 1 else socket.IPPROTO_UDP
    return _IP_PORT_ELEMENT.pack(_IP_PORT_HEAD, _address(number), _PORT_HEAD, _port(number), _PROTO_HEAD, protocol)


IP = Kind("hash:ip", "ip", _ip_text, _ip_element)
IP_PORT = Kind("hash:ip,port", "ip_port", _ip_port_text, _ip_port_element)


def _adds(kind: Kind, count: int) -> Iterator[bytes]:
    line = struct.pack("=HH", 8, _LINENO)
    numbers = [line + struct.pack("=I", number) for number in range(1, _FULL // 24 + 1)]
    portion = _FULL // (len(kind.element(0)) + 8)
    for sequence, start in enumerate(range(0, count, portion)):
        elements = map(kind.element, range(start, min(start + portion, count)))
        content = b"".join(part for pair in zip(elements, numbers, strict=False) for part in pair)
        yield _message(_ADD, _EXCL, sequence, _named(), numbers[0], _attribute(_ADT | _NESTED, content))


def _create(kind: Kind, hashsize: int | None) -> bytes:
    # Revision 1 is the lowest that the program ipset lists; the features are the same.
    sizes = _attribute(_MAXELEM | _NETWORK, MAXELEM.to_bytes(4, "big"))
    if hashsize is not None:
        sizes += _attribute(_HASHSIZE | _NETWORK, hashsize.to_bytes(4, "big"))
    about = (
        _attribute(_TYPENAME, kind.type.encode() + b"\0") + _attribute(_REVISION, b"\1") + _attribute(_FAMILY, b"\2")
    )
    return _message(_CREATE, _CREATE_FLAG | _EXCL, 1, _named(), about, _attribute(_DATA | _NESTED, sizes))


def _restore(kind: Kind, hashsize: int | None, numeric: bool) -> Iterator[bytes]:
    size = "" if hashsize is None else f" hashsize {hashsize}"
    yield f"create {NAME} {kind.type} maxelem {MAXELEM}{size}\n".encode()
    text = "".join(f"add {NAME} {entry}\n" for entry in kind.strings())
    yield (text.replace("tcp", "6").replace("udp", "17") if numeric else text).encode()


def _kept(name: str, content: Iterable[bytes]) -> Path:
    """The file of this name in the folder for such things, written unless it is there and newer than this module."""
    path = FOLDER / f"ipset-{name}"
    if not path.exists() or path.stat().st_mtime < Path(__file__).stat().st_mtime:
        FOLDER.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as output:
            output.writelines(content)
    return path


@functools.cache
def adds(kind: Kind, count: int = TOTAL) -> Path:
    """Messages that add so many entries."""
    return _kept(f"{kind.label}-add-{count}.messages", _adds(kind, count))


@functools.cache
def restore(kind: Kind, hashsize: int | None = HASHSIZE, numeric: bool = False) -> Path:
    """A file for `ipset restore`: protocols by name, as `ipset save` writes them, or by number."""
    form = "numeric" if numeric else "plain"
    return _kept(f"{kind.label}-{hashsize}-{form}.restore", _restore(kind, hashsize, numeric))


@contextlib.contextmanager
def empty(kind: Kind, hashsize: int | None = HASHSIZE) -> Iterator[NetNS]:
    """A fresh namespace with the set in it, empty."""
    creating = _kept(f"{kind.label}-create-{hashsize}.messages", [_create(kind, hashsize)])
    with workload.fresh() as namespace:
        floor("netfilter").send(namespace, creating, _FULL)
        yield namespace


@contextlib.contextmanager
def filled(kind: Kind, count: int = TOTAL) -> Iterator[NetNS]:
    """The same with so many entries."""
    with empty(kind) as namespace:
        floor("netfilter").send(namespace, adds(kind, count), _FULL)
        yield namespace


def dump_once(namespace: NetNS, room: int) -> float:
    """Seconds of the floor for listing the set, received into so many bytes."""
    listing = _kept("list.messages", [_message(_LIST, _ACK | _DUMP, 1, _named())])
    return floor("netfilter").dump(namespace, listing, room).seconds
