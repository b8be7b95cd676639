"""Restoring as ipset does it: line by line, elements in batches, up to the first error.

Knows: which lines can be taken many at a time. Must not know: what other lines say, what to tell of errors.

What is plain, and all is that `ipset save` writes of most types, goes through the C core in portions. Everything else goes the long way, a line in
which something is wrong too: so it is told as ever.
"""

from __future__ import annotations

import re
import struct
from contextlib import suppress
from itertools import pairwise

from ipvskit._native import elements as native
from ipvskit._native.ipset import encode_elements
from ipvskit.cli.ipset.report import Failed, Told
from ipvskit.cli.ipset.session import Batch
from ipvskit.ipset import written
from ipvskit.model.address import Family
from ipvskit.model.settype import SetType
from ipvskit.sets.shape import shape_of_type

# This is loaded for every command: no `typing`. Type checkers know the name.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from ipvskit.cli.ipset.lines import Lines
    from ipvskit.cli.ipset.program import Program
    from ipvskit.cli.ipset.types import Kind

__all__ = ["restore"]

_IPV4 = rb"[0-9]{1,3}(?:\.[0-9]{1,3}){3}"
_IPV6 = rb"[0-9a-f:]{2,39}"
#: Not as long as the address: ipset sends those that are written.
_PREFIX4 = rb"(?:/(?:[12]?[0-9]|3[01]))?+"
_PREFIX6 = rb"(?:/(?:[1-9]?[0-9]|1[01][0-9]|12[0-7]))?+"
_NUMBER = rb"(?:[1-9][0-9]*+|0)"
_PORTS = rb"(?:(?:tcp|udp|sctp|udplite):)?+" + _NUMBER
#: What words behind an element have behind them.
_VALUES = {
    "timeout": rb" " + _NUMBER,
    "packets": rb" " + _NUMBER,
    "bytes": rb" " + _NUMBER,
    "comment": rb' "[^"\n\r\0]{1,255}"',
    "skbmark": rb" 0x[0-9a-f]{1,8}(?:/0x[0-9a-f]{1,8})?+",
    "skbprio": rb" [0-9a-f]{1,4}:[0-9a-f]{1,4}",
    "skbqueue": rb" " + _NUMBER,
    "nomatch": rb"",
}
_PARTS = {
    2: {
        "ip": _IPV4,
        "single_ip": _IPV4,
        "ip4_single6": _IPV4,
        "ip4_net6": _IPV4 + _PREFIX4,
        "proto_port": rb"(?:" + _PORTS + rb"|icmp:[A-Za-z0-9/-]+)",
        "ether": rb"[0-9A-F]{2}(?::[0-9A-F]{2}){5}",
        "mark": rb"0x[0-9a-f]{8}",
    },
    10: {
        "single_ip": _IPV6,
        "ip4_single6": _IPV6,
        "ip4_net6": _IPV6 + _PREFIX6,
        "proto_port": rb"(?:" + _PORTS + rb"|(?:ipv6-icmp|icmpv6):[A-Za-z0-9/-]+)",
        "ether": rb"[0-9A-F]{2}(?::[0-9A-F]{2}){5}",
        "mark": rb"0x[0-9a-f]{8}",
    },
    0: {"tcp_udp_port": _NUMBER, "ether": rb"[0-9A-F]{2}(?::[0-9A-F]{2}){5}"},
}
_LINE = re.compile(rb'(add|del|-A|-D) ([^\s"#-][^\s"]{0,30}) [^\n]*\n')
_COMMANDS = {b"add": "add", b"-A": "add", b"del": "del", b"-D": "del"}
_NUMBERS = {"add": written.ADD, "del": written.DEL}
_FAMILIES = {2: Family.IPV4, 10: Family.IPV6}
#: Bytes that are looked at together: at first and behind a line that is not plain, and at most.
_LEAST, _MOST = 1 << 13, 1 << 20
_BUFFER = 1 << 19
_LENGTH = struct.Struct("=I")


def restore(program: Program, lines: Lines) -> int:
    """All lines. Raises Exit."""
    runs = _Runs(program, lines)
    while True:
        try:
            if runs.take():
                continue
            line = lines.next()
            if line is None:
                break
            program.session.line = lines.number
            program.restore_line(line)
        except Told:
            continue
    with suppress(Told):
        program.commit()
    return 0


class _Runs:
    """Lines that stand together and do the same with the same set."""

    def __init__(self, program: Program, lines: Lines) -> None:
        self._program = program
        self._session = program.session
        self._lines = lines
        self._portion = _LEAST
        self._buffer = bytearray()

    def take(self) -> bool:
        """Take plain lines, if there are some here."""
        if self._session.interactive:
            return False
        data, start = self._lines.rest()
        found = _LINE.match(data, start)
        if found is None:
            return False
        command, name = _COMMANDS[found[1]], found[2].decode("utf-8", "surrogateescape")
        prefix = data[start : found.end(2) + 1]
        if not data.startswith(prefix, found.end()):
            return False
        run = self._plain(command, name, prefix, data, start)
        if run is None:
            self._portion = _LEAST
            return False
        kind, family, end = run
        return self._take(Batch(command, name, 0, kind, family), prefix, data[start:end])

    def _plain(self, command: str, name: str, prefix: bytes, data: bytes, start: int) -> tuple[Kind, int, int] | None:
        """The type of the set and its family, and where its plain lines end. None where there are not two."""
        session = self._session
        session.line = session.report.line = self._lines.number + 1
        session.data["setname"] = name
        try:
            kind = session.kind_of_set()
            family = session.data["family"]
        except Failed:
            # It will be found out again, and told.
            return None
        finally:
            session.report.reset()
            session.forget()
        element = _pattern(kind, family, command)
        if element is None:
            return None
        pattern = re.compile(rb"(?:" + re.escape(prefix) + element + rb"\n)*+")
        found = pattern.match(data, start, min(len(data), start + self._portion))
        end = start if found is None else found.end()
        self._portion = min(2 * self._portion, _MOST)
        return (kind, family, end) if data.find(b"\n", start) + 1 < end else None

    def _take(self, batch: Batch, prefix: bytes, text: bytes) -> bool:
        """Lines of one set. False if the first one is not as it seemed."""
        table = native.Table(shape_of_type(SetType.of(batch.kind.name), _FAMILIES.get(batch.family)))
        bare = (b"\n" + text).replace(b"\n" + prefix, b"\n")[1:-1]
        taken = table.parse(native.APPEND | native.EVERY_LINE | native.STOP, 1, bare, 1)
        good = taken.faults[0].line if taken.faults else taken.lines
        if taken.faults:
            self._portion = _LEAST
        if not good:
            return False
        first = self._lines.number + 1
        self._lines.take(_length(text, good) if taken.faults else len(text), good)
        self._send(batch, table, first)
        return True

    def _send(self, like: Batch, table: native.Table, first: int) -> None:
        """Put the elements of lines from number `first` on into messages, and send those that are full. Raises Exit."""
        session, start = self._session, 0
        session.line = first
        if session.batch is not None and not session.continues(session.batch, like.command, like.name):
            self._program.commit()
        while start < len(table):
            if session.batch is None:
                flags = session.flags(like.command)
                session.batch = Batch(like.command, like.name, flags, like.kind, like.family)
            put = self._fill if session.batch.lines else self._whole
            start = put(session.batch, table, start, first)

    def _fill(self, batch: Batch, table: native.Table, start: int, first: int) -> int:
        """Put as many elements into the message as there is room for; when there is none, it goes."""
        used, starts, done = self._encode(batch, table, start, written.MESSAGE - len(batch.body), 1)
        if starts:
            batch.body += self._buffer[written.empty(batch.name) : used]
            batch.lines += range(first + start, first + start + done)
        if start + done < len(table):
            self._program.commit()
        return start + done

    def _whole(self, batch: Batch, table: native.Table, start: int, first: int) -> int:
        """Send whole messages; the last one, which may have room, is the batch."""
        used, starts, done = self._encode(batch, table, start, written.MESSAGE, _BUFFER // written.MESSAGE)
        place = 0
        view = memoryview(self._buffer)
        for one, following in pairwise(starts):
            end = place + _LENGTH.unpack_from(self._buffer, place)[0]
            self._program.send_lines(batch, view[place:end], range(first + one, first + following))
            place = end
        batch.body += self._buffer[place + written.empty(batch.name) : used]
        batch.lines += range(first + starts[-1], first + start + done)
        return start + done

    def _encode(
        self, batch: Batch, table: native.Table, start: int, size: int, most: int
    ) -> tuple[int, list[int], int]:
        """Bytes used, the numbers of the messages' first elements, and how many elements went in."""
        if not self._buffer:
            self._buffer = bytearray(_BUFFER)
        try:
            done, used, starts = encode_elements(
                _NUMBERS[batch.command],
                batch.flags,
                batch.name.encode("utf-8", "surrogateescape"),
                table,
                start,
                len(table) - start,
                self._buffer,
                message=size,
                most=most,
                libipset=True,
                line=len(batch.lines),
            )
        except OSError:
            # There is no room for a single one.
            return 0, [], 0
        return used, starts, done


def _length(text: bytes, lines: int) -> int:
    """Of so many lines."""
    place = 0
    for _ in range(lines):
        place = text.index(b"\n", place) + 1
    return place


def _pattern(kind: Kind, family: int, command: str) -> bytes | None:
    """What a plain line has behind the name of the set; None where no lines are plain."""
    known = _PARTS[family]
    if any(part not in known for part in kind.parts):
        return None
    parts = [known[part] for part in kind.parts]
    if kind.last_optional:
        parts[-1] = rb"(?:," + parts[-1] + rb")?+"
        element = b",".join(parts[:-1]) + parts[-1]
    else:
        element = b",".join(parts)
    words = [each.name for each in kind.keywords(command) if each.name in _VALUES]
    options = b"|".join(rb" " + word.encode() + _VALUES[word] for word in words)
    return element + (rb"(?:" + options + rb")*+" if words else b"")
