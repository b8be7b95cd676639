"""Executing requests.

Knows: what each command needs and answers. Must not know: lies, transports, what is in a set.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from ipvskit.testing.fake.ipset import attributes, messages
from ipvskit.testing.fake.ipset.attributes import Attribute, Attributes, Refused
from ipvskit.testing.fake.ipset.messages import DUMP_POLICY, PREAMBLE, Message
from ipvskit.testing.fake.ipset.names import (
    LIST_HEADERS,
    LIST_NAMES,
    REVISION_MIN,
    SETNAME2,
    Attr,
    Command,
    Data,
    Error,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from ipvskit.testing.fake.ipset.sets import HeldSet
    from ipvskit.testing.fake.ipset.tables import Tables

    Spoiler = Callable[[list[bytes]], list[bytes]]

#: What a kernel puts into one datagram: at first it does not know how much the reader takes.
FIRST_DATAGRAM, DATAGRAM = 3776, 32440


class Executor:
    """Executes messages on the tables of one namespace."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def execute(self, message: Message) -> bytes:
        """The answer to a message: nothing, an acknowledgement, a refusal, or what was asked for (with the acknowledgement behind it)."""
        answer = b""
        error = 0
        if not message.answerless:
            try:
                given = message.attributes()
                if message.command in {Command.LIST, Command.SAVE}:
                    return b"".join(self.dump(message))
                answer = self._command(message, given)
            except _Answered as answered:
                return answered.answer
            except Refused as refused:
                error = refused.error
        if error or message.flags & messages.ACK:
            answer += messages.refusal(message, error)
        return answer

    def _command(self, message: Message, given: Attributes) -> bytes:
        command = message.command
        if command in {None, Command.NONE}:
            raise Refused(errno.EINVAL if command is None else errno.EOPNOTSUPP)
        if command in {Command.ADD, Command.DEL}:
            self._change(message, given)
        elif command is Command.TEST:
            self._test(given)
        elif command in {Command.PROTOCOL, Command.HEADER, Command.TYPE, Command.GET_BYNAME, Command.GET_BYINDEX}:
            return messages.answer(command, message.sequence, self._query(command, given))
        else:
            self._manage(message, given)
        return b""

    def _manage(self, message: Message, given: Attributes) -> None:
        tables = self._tables
        messages.protocol(given)
        name = given[Attr.SETNAME].text() if Attr.SETNAME in given else None
        if message.command is Command.CREATE:
            self._create(message, given)
        elif message.command is Command.DESTROY:
            tables.destroy(name, exist=message.exist)
        elif message.command is Command.FLUSH:
            tables.flush(name)
        elif name is None or SETNAME2 not in given:
            raise Refused(Error.PROTOCOL)
        elif message.command is Command.RENAME:
            tables.rename(name, given[SETNAME2].text())
        else:
            tables.swap(name, given[SETNAME2].text())

    def _create(self, message: Message, given: Attributes) -> None:
        _need(given, Attr.SETNAME, Attr.TYPENAME, Attr.REVISION, Attr.FAMILY)
        if Attr.DATA in given and not given[Attr.DATA].nested:
            raise Refused(Error.PROTOCOL)
        family, revision = given[Attr.FAMILY].u8(), given[Attr.REVISION].u8()
        kind = self._tables.find_type(given[Attr.TYPENAME].text(), family, revision)
        made = self._tables.make(kind, given[Attr.SETNAME].text(), family, revision)
        options: Attributes = {}
        if Attr.DATA in given:
            options = _parse(given[Attr.DATA], kind.create_policy(self._tables.release))
        self._tables.create(made, options, exist=message.exist)

    # --- elements -------------------------------------------------------------------------------------------------------------------

    def _change(self, message: Message, given: Attributes) -> None:
        messages.protocol(given)
        _need(given, Attr.SETNAME)
        single, several = given.get(Attr.DATA), given.get(Attr.ADT)
        if (single is None) == (several is None):
            raise Refused(Error.PROTOCOL)
        if several is not None and (not several.nested or Attr.LINENO not in given):
            raise Refused(Error.PROTOCOL)
        if single is not None and not single.nested:
            raise Refused(Error.PROTOCOL)
        _, held = self._tables.find(given[Attr.SETNAME].text())
        elements: Iterable[Attribute] = [single] if single is not None else []
        if several is not None:
            elements = attributes.walk(several.data)
        last: Refused | None = None
        for one in elements:
            if one.number != Attr.DATA or not one.nested:
                raise Refused(Error.PROTOCOL)
            last = None
            try:
                self._change_one(message, given, held, _parse(one, held.kind.element_policy))
            except Refused as refused:
                if refused.error > 0:
                    raise
                last = refused  # only negative results end the kernel's loop
        if last is not None:
            raise last

    def _change_one(self, message: Message, given: Attributes, held: HeldSet, element: Attributes) -> None:
        assert message.command is not None  # noqa: S101 - for mypy
        try:
            held.change(message.command, element, exist=message.exist)
        except Refused as refused:
            line = element[Data.LINENO].host() if Data.LINENO in element else 0
            if not line or Attr.LINENO not in given:
                raise
            raise _Answered(messages.refusal_with_line(message, refused.error, line)) from None

    def _test(self, given: Attributes) -> None:
        messages.protocol(given)
        _need(given, Attr.SETNAME, Attr.DATA)
        if not given[Attr.DATA].nested:
            raise Refused(Error.PROTOCOL)
        _, held = self._tables.find(given[Attr.SETNAME].text())
        element = _parse(given[Attr.DATA], held.kind.element_policy)
        try:
            found = held.test(element)
        except Refused as refused:
            found = refused.error < 0  # everything above 0 counts as found
        if not found:
            raise Refused(Error.EXIST)

    # --- questions ------------------------------------------------------------------------------------------------------------------

    def _query(self, command: Command, given: Attributes) -> bytes:
        tables = self._tables
        if command is Command.PROTOCOL:
            _need(given, Attr.PROTOCOL)
            return attributes.u8(Attr.PROTOCOL, 7) + attributes.u8(Attr.PROTOCOL_MIN, 6)
        spoken = messages.protocol(given, exact=command in {Command.GET_BYNAME, Command.GET_BYINDEX})
        head = attributes.u8(Attr.PROTOCOL, spoken)
        if command is Command.GET_BYINDEX:
            _need(given, Attr.INDEX)
            found = tables.sets.get(int.from_bytes(given[Attr.INDEX].data[:2], "big"))
            if found is None:
                raise Refused(errno.ENOENT)
            return head + attributes.string(Attr.SETNAME, found.name)
        if command is Command.TYPE:
            _need(given, Attr.TYPENAME, Attr.FAMILY)
            name, family = given[Attr.TYPENAME].text(), given[Attr.FAMILY].u8()
            last = tables.find_type(name, family).last_revision(tables.release)
            body = attributes.string(Attr.TYPENAME, name) + attributes.u8(Attr.FAMILY, family)
            return head + body + attributes.u8(Attr.REVISION, last) + attributes.u8(REVISION_MIN, 0)
        _need(given, Attr.SETNAME)
        index, held = tables.find(given[Attr.SETNAME].text())
        if command is Command.GET_BYNAME:
            return head + attributes.u8(Attr.FAMILY, held.family) + attributes.net(Attr.INDEX, index, 2)
        return head + attributes.string(Attr.SETNAME, held.name) + _core_header(held)

    # --- listings -------------------------------------------------------------------------------------------------------------------

    def dump(self, message: Message, room: int = FIRST_DATAGRAM, spoil: Sequence[Spoiler] = ()) -> list[bytes]:
        """The datagrams of a listing; `room` is the size of the first, `spoil` changes the elements of each set."""
        try:
            spoken = messages.protocol(message.attributes())
        except Refused as refused:
            return [messages.refusal(message, refused.error)]
        try:
            given = attributes.parse_strict(message.raw[PREAMBLE:], DUMP_POLICY)
            chosen = self._tables.in_order()
            if Attr.SETNAME in given:
                chosen = [self._tables.find(given[Attr.SETNAME].text())]
        except Refused as refused:
            # ipset and netlink both answer.
            twice = 2 if message.flags & messages.ACK else 1
            return [messages.refusal(message, refused.error)] * twice
        flags = given[Attr.FLAGS].be() if Attr.FLAGS in given else 0
        datagrams: list[bytes] = []
        for index, held in chosen:
            elements = list(held.elements()) if not flags & (LIST_NAMES | LIST_HEADERS) else []
            for change in spoil:
                elements = change(elements)
            start = _start(index, held, flags, spoken)
            for body in _portions(held, flags, spoken, start, elements, room if not datagrams else DATAGRAM):
                packed = messages.answer(Command.LIST, message.sequence, body, flags=messages.MULTI)
                datagrams.append(packed + bytes(-len(packed) % 4))
        return [*datagrams, messages.done(message.sequence)]


def _name(held: HeldSet, spoken: int) -> bytes:
    return attributes.u8(Attr.PROTOCOL, spoken) + attributes.string(Attr.SETNAME, held.name)


def _start(index: int, held: HeldSet, flags: int, spoken: int) -> bytes:
    if flags & LIST_NAMES:
        return _name(held, spoken)
    number = attributes.net(Attr.INDEX, index, 2) if spoken > 6 else b""
    return _name(held, spoken) + _core_header(held) + number + held.header()


def _portions(held: HeldSet, flags: int, spoken: int, start: bytes, elements: list[bytes], room: int) -> list[bytes]:
    if flags & (LIST_NAMES | LIST_HEADERS):
        return [start]
    bodies: list[bytes] = []
    portion: list[bytes] = []
    length = len(start)
    for element in elements:
        packed = attributes.nest(Attr.DATA, element)
        if length + len(packed) + PREAMBLE + attributes.HEADER.size > room:
            bodies.append(start + attributes.nest(Attr.ADT, b"".join(portion)))
            portion, start, room = [], _name(held, spoken), DATAGRAM
            length = len(start)
        portion.append(packed)
        length += len(packed)
    return [*bodies, start + attributes.nest(Attr.ADT, b"".join(portion))]


class _Answered(Exception):
    """The command failed, and the answer is made already."""

    def __init__(self, answer: bytes) -> None:
        super().__init__(answer)
        self.answer = answer


def _need(given: Attributes, *numbers: int) -> None:
    if any(number not in given for number in numbers):
        raise Refused(Error.PROTOCOL)


def _parse(one: Attribute, policy: dict[int, attributes.Rule]) -> Attributes:
    try:
        return attributes.parse_strict(one.data, policy)
    except Refused:
        raise Refused(Error.PROTOCOL) from None


def _core_header(held: HeldSet) -> bytes:
    name = attributes.string(Attr.TYPENAME, held.kind.name.encode())
    return name + attributes.u8(Attr.FAMILY, held.family) + attributes.u8(Attr.REVISION, held.revision)
