"""Netlink messages of ipset: reading requests, writing answers.

Knows: headers, acknowledgements, refusals with the line of an element, what every command's policy lets through.
Must not know: sets.
"""

from __future__ import annotations

import errno
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ipvskit.testing.fake.ipset import attributes
from ipvskit.testing.fake.ipset.attributes import NAME, NEST, U8, U16, U32, Attributes, Refused, Rule
from ipvskit.testing.fake.ipset.names import COMMAND_ATTRIBUTES, INET, SETNAME2, Attr, Command, Error

if TYPE_CHECKING:
    from collections.abc import Iterator

REQUEST, MULTI, ACK, CAPPED, EXCL = 0x1, 0x2, 0x4, 0x100, 0x200
NLMSG_ERROR, NLMSG_DONE, _FIRST_TYPE = 2, 3, 16
SUBSYSTEM = 6
MESSAGE = struct.Struct("=IHHII")
_GENERIC = struct.Struct("=BBH")
PREAMBLE = MESSAGE.size + _GENERIC.size

_ONE: dict[int, Rule] = {Attr.PROTOCOL: U8, Attr.SETNAME: NAME}
_TWO = _ONE | {SETNAME2: NAME}
_ADT = _ONE | {Attr.LINENO: U32, Attr.DATA: NEST, Attr.ADT: NEST}
#: Looked at by ipset itself when a listing starts.
DUMP_POLICY = _ONE | {Attr.FLAGS: U32}
POLICIES: dict[Command, dict[int, Rule]] = {
    Command.NONE: {},
    Command.PROTOCOL: {Attr.PROTOCOL: U8},
    Command.CREATE: _TWO | {Attr.REVISION: U8, Attr.FAMILY: U8, Attr.DATA: NEST},
    Command.DESTROY: _ONE,
    Command.FLUSH: _ONE,
    Command.RENAME: _TWO,
    Command.SWAP: _TWO,
    Command.LIST: DUMP_POLICY,
    Command.SAVE: _ONE,
    Command.ADD: _ADT,
    Command.DEL: _ADT,
    Command.TEST: _ADT,
    Command.HEADER: _ONE,
    Command.TYPE: {Attr.PROTOCOL: U8, Attr.TYPENAME: NAME, Attr.FAMILY: U8},
    Command.GET_BYNAME: _ONE,
    Command.GET_BYINDEX: {Attr.PROTOCOL: U8, Attr.INDEX: U16},
}


@dataclass(slots=True)
class Message:
    """One request as it came."""

    raw: bytes
    type: int
    flags: int
    sequence: int

    @property
    def command(self) -> Command | None:
        """What it wants, if it is for ipset and not too short."""
        known = self.type >> 8 == SUBSYSTEM and self.type & 0xFF in POLICIES and len(self.raw) >= PREAMBLE
        return Command(self.type & 0xFF) if known and self.flags & REQUEST else None

    @property
    def answerless(self) -> bool:
        """Whether the kernel passes it over."""
        return not self.flags & REQUEST or self.type < _FIRST_TYPE or len(self.raw) < PREAMBLE

    @property
    def exist(self) -> bool:
        """Whether what is there already, or is not there, is no error."""
        return not self.flags & EXCL

    def attributes(self) -> Attributes:
        """Its attributes. Raises Refused."""
        if self.command is None:
            raise Refused(errno.EINVAL)
        return attributes.parse_liberal(self.raw[PREAMBLE:], POLICIES[self.command], COMMAND_ATTRIBUTES)


def read_messages(data: bytes) -> Iterator[Message]:
    """The messages of a buffer, as far as they are whole."""
    start = 0
    while len(data) - start >= MESSAGE.size:
        length, kind, flags, sequence, _ = MESSAGE.unpack_from(data, start)
        if not MESSAGE.size <= length <= len(data) - start:
            return
        yield Message(data[start : start + length], kind, flags, sequence)
        start += length + -length % 4


@dataclass(slots=True)
class Recorded:
    """A request that came, for tests that count: names, flags of the message, and how many elements (without expanding ranges)."""

    command: Command | None
    name: str = ""
    name2: str = ""
    flags: int = 0
    elements: int = 0
    given: Attributes = field(default_factory=dict, repr=False)

    @property
    def exist(self) -> bool:
        """Whether it was sent without NLM_F_EXCL."""
        return not self.flags & EXCL


def record(message: Message) -> Recorded:
    """What a test may want to know of a request."""
    command = message.command
    if command is None:
        return Recorded(None, flags=message.flags)
    try:
        given = message.attributes()
    except Refused:
        return Recorded(command, flags=message.flags)
    names = [given[number].text().decode("utf-8", "replace") if number in given else "" for number in (2, 3)]
    elements = 0
    if command in {Command.ADD, Command.DEL, Command.TEST}:
        several = attributes.walk(given[Attr.ADT].data) if Attr.ADT in given else ()
        elements = sum(1 for _ in several) or int(Attr.DATA in given)
    return Recorded(command, names[0], names[1], message.flags, elements, given)


def refusal(message: Message, error: int) -> bytes:
    """NLMSG_ERROR with the header of the request; with errno 0, an acknowledgement."""
    body = struct.pack("=i", -error) + message.raw[: MESSAGE.size]
    return MESSAGE.pack(MESSAGE.size + len(body), NLMSG_ERROR, CAPPED, message.sequence, 0) + body


def refusal_with_line(message: Message, error: int, line: int) -> bytes:
    """What ipset itself answers when an element with a line number is refused: the whole request, with that number in it. Raises Refused."""
    found = attributes.parse_strict(message.raw[PREAMBLE:], _ADT)
    copy = bytearray(message.raw)
    struct.pack_into("=I", copy, PREAMBLE + found[Attr.LINENO].offset + attributes.HEADER.size, line)
    body = struct.pack("=i", -error) + bytes(copy)
    packed = MESSAGE.pack(MESSAGE.size + len(body), NLMSG_ERROR, 0, message.sequence, 0) + body
    return packed + bytes(-len(packed) % 4)


def answer(command: Command, sequence: int, body: bytes, *, flags: int = 0) -> bytes:
    """A message of ipset."""
    length = PREAMBLE + len(body)
    header = MESSAGE.pack(length, SUBSYSTEM << 8 | command, flags, sequence, 0)
    return header + _GENERIC.pack(INET, 0, 0) + body


def done(sequence: int) -> bytes:
    """The end of a listing."""
    return MESSAGE.pack(MESSAGE.size + 4, NLMSG_DONE, MULTI, sequence, 0) + bytes(4)


def protocol(given: Attributes, *, exact: bool = False, least: int = 6, newest: int = 7) -> int:
    """The protocol that a request speaks. Raises Refused."""
    found = given[Attr.PROTOCOL].u8() if Attr.PROTOCOL in given else 0
    if found < least or (exact and found != newest):
        raise Refused(Error.PROTOCOL)
    return found
