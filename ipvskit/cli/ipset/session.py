"""One run of the program: what was given so far, the sets it knows, the batch that is not sent yet, and the kernel.

Knows: what ipset sends when. Must not know: words, what is printed of a listing.
"""

from __future__ import annotations

import errno
import os
import sys

from ipvskit.cli.ipset.refusals import refusal_text
from ipvskit.cli.ipset.report import ERROR, NOTICE, WARNING, Failed, Report
from ipvskit.cli.ipset.types import BOTH, NEUTRAL, Kind, find
from ipvskit.ipset import written
from ipvskit.ipset.records import NLM_F_CREATE, NLM_F_EXCL, Header, decode_headers

# This is loaded for every command: no `typing`. Type checkers know the name.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, TextIO

    from ipvskit.ipset.transport import KernelTransport

__all__ = ["Batch", "Options", "Session"]

_ALREADY = 4103
_ENTRY_COMMANDS = {"add": written.ADD, "del": written.DEL, "test": written.TEST}
_COMMANDS = {
    "create": written.CREATE,
    "destroy": written.DESTROY,
    "flush": written.FLUSH,
    "rename": written.RENAME,
    "swap": written.SWAP,
} | _ENTRY_COMMANDS
_FLAGS = {"create": NLM_F_CREATE | NLM_F_EXCL, "destroy": NLM_F_EXCL, "add": NLM_F_EXCL, "del": NLM_F_EXCL}


class Options:
    """Options of the program, which stay set."""

    __slots__ = ("exist", "file", "mode", "names", "quiet", "resolve", "sorted", "terse")

    def __init__(self) -> None:
        self.exist = self.quiet = self.resolve = self.sorted = self.names = self.terse = False
        self.mode = ""
        self.file: str | None = None


class Batch:
    """Elements of lines that stand together, for one set, on their way to the kernel."""

    __slots__ = ("body", "command", "family", "flags", "kind", "lines", "name")

    def __init__(self, command: str, name: str, flags: int, kind: Kind, family: int) -> None:
        self.command = command
        self.name = name
        self.flags = flags
        self.kind = kind
        self.family = family
        self.body = bytearray()
        self.lines: list[int] = []

    def room(self) -> int:
        """Bytes that are free in the message."""
        return written.MESSAGE - written.empty(self.name) - len(self.body)

    def message(self) -> bytearray:
        """All of it."""
        return written.many(_COMMANDS[self.command], self.flags, self.name, self.body)


class Session:
    """See above. `data` are values by options, `line` is the number of the line in a file of commands, 0 outside of one."""

    def __init__(self) -> None:
        self.options = Options()
        self.report = Report()
        self.data: dict[str, Any] = {}
        self.family_is_default = False
        self.interactive = False
        #: Whether what ipset leaves open is looked at.
        self.strict = False
        self.line = 0
        self.batch: Batch | None = None
        #: Type and family by the name of a set, once it was seen.
        self.cache: dict[str, tuple[Kind, int]] = {}
        self._kinds: dict[str, Kind] = {}
        self._transport: KernelTransport | None = None
        #: Where set, refusals of elements are told by it, and do not end anything.
        self.tell: Callable[[], None] | None = None
        #: Options that have been told to mean nothing.
        self.ignored: set[str] = set()
        #: Written for a listing that did not come.
        self.held_back = ""
        self._output: TextIO | None = None

    @property
    def transport(self) -> KernelTransport:
        """The connection to the kernel."""
        if self._transport is None:
            from ipvskit.ipset.transport import KernelTransport
            from ipvskit.netns import NetNS

            with NetNS.current() as netns:
                self._transport = KernelTransport(netns)
        return self._transport

    def write(self, data: str | bytes) -> None:
        """Into the listing."""
        output = sys.stdout if self._output is None else self._output
        if isinstance(data, str):
            output.write(data)
            return
        output.flush()
        output.buffer.write(data)

    def flush(self) -> None:
        """See that the listing is out."""
        (sys.stdout if self._output is None else self._output).flush()

    def open_output(self, path: str) -> None:
        """Have listings go into a file. Raises Failed."""
        if self._output is not None:
            self._output.close()
            self._output = None
        try:
            self._output = open(path, "w", encoding="utf-8", errors="surrogateescape", newline="\n")  # noqa: SIM115
        except OSError as error:
            self.error(f"Cannot open {path} for writing: {error.strerror}")
            raise Failed from None

    def open_input(self, path: str) -> int | None:
        """A file's descriptor; None where it cannot be read, of which ipset says nothing. Raises Failed where nothing is passed over."""
        try:
            return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            if self.strict:
                self.error(f"Cannot open {path} for reading: {error.strerror}")
                raise Failed from None
            return None

    def close(self) -> None:
        """Let go of the kernel and of the file."""
        if self._output is not None:
            self._output.close()
            self._output = None
        if self._transport is not None:
            self._transport.close()
            self._transport = None

    # --- reports --------------------------------------------------------------------------------------------------------------------

    def error(self, text: str) -> None:
        """Note an error. What was given is forgotten."""
        self.report.add(ERROR, text)
        self.forget()

    def forget(self) -> None:
        """Nothing was given."""
        self.data.clear()
        self.ignored.clear()
        self.family_is_default = False

    def warn(self) -> None:
        """Tell a warning at once."""
        if not self.options.quiet:
            sys.stderr.write(f"Warning: {self.report.text}")
        self.report.reset()

    def family_or_inet(self) -> int:
        """The family that was given, or else inet from now on."""
        family: int = self.data.get("family", 0)
        if not family:
            family = self.data["family"] = 2
            self.family_is_default = False
        return family

    # --- asking ---------------------------------------------------------------------------------------------------------------------

    def _exchange(self, message: bytearray | memoryview) -> tuple[int, int, bytes]:
        """The kernel's refusal (0: none), the place in the message that it is about (0: not told), and its answer."""
        from ipvskit._native.ipset import failures
        from ipvskit.errors import KernelError, ProtocolError

        try:
            reply = self.transport.exchange(memoryview(message), 1)
        except KernelError as error:
            return error.errno or 0, 0, b""
        except ProtocolError:
            self.error("Internal protocol error")
            raise Failed from None
        for failure in failures(reply.data):
            return failure.error, failure.line, b""
        return 0, 0, reply.data

    def _ask(self, what: str, message: bytearray) -> Header:
        from ipvskit._native.ipset import parse_sets

        error, _, data = self._exchange(message)
        if error:
            self.refused(what, error)
        return decode_headers(parse_sets(data))[0]

    def refused(self, command: str, error: int, kind: Kind | None = None) -> None:
        """Note the kernel's refusal. Raises Failed."""
        self.error(refusal_text(command, error, kind.name if kind is not None else ""))
        raise Failed

    def kind_to_create(self) -> Kind:
        """The newest revision that kernel and program have of the type that was named. Raises Failed."""
        row = find(self.data["typename"])
        if row is None:
            self.error(f"Syntax error: unknown settype {self.data['typename']}")
            raise Failed
        if "family" not in self.data and row.family != NEUTRAL:
            self.data["family"] = 2 if row.family == BOTH else row.family
            self.family_is_default = True
        found = self._kinds.get(row.name)
        if found is None:
            answer = self._ask("type", written.kind(written.TYPE, row.name, self.data.get("family", 0)))
            found = self._kinds[row.name] = self._common(row.name, row.revisions, answer)
        return found

    def _common(self, name: str, own: tuple[int, int], kernel: Header) -> Kind:
        least, newest = own
        if max(least, kernel.least) > min(newest, kernel.revision):
            family = {2: "INET", 10: "INET6"}.get(self.data.get("family", 0), "UNSPEC")
            if kernel.least > newest:
                self.error(
                    f"Kernel supports {name} type, family {family} with minimal revision {kernel.least} "
                    f"while ipset program with maximal revision {newest}.\n"
                    "You need to upgrade your ipset program."
                )
            else:
                self.error(
                    f"Kernel supports {name} type, family {family} with maximal revision {kernel.revision} "
                    f"while ipset program with minimal revision {least}.\nYou need to upgrade your kernel."
                )
            raise Failed
        row = find(name)
        assert row is not None  # noqa: S101 - it was found before
        return Kind(row, min(newest, kernel.revision))

    def kind_of_set(self) -> Kind:
        """The type of the set that was named. Raises Failed."""
        name = self.data["setname"]
        known = self.cache.get(name)
        if known is None and self.batch is not None and self.batch.name == name:
            known = self.batch.kind, self.batch.family
        if known is None:
            answer = self._ask("header", written.single(written.HEADER, 0, name))
            row = find(answer.type_name)
            if row is None or not row.revisions[0] <= answer.revision <= row.revisions[1]:
                family = {2: "inet", 10: "inet6"}.get(answer.family, "unspec")
                self.error(
                    f"Kernel-library incompatibility: set {name} in kernel has got settype {answer.type_name} "
                    f"with family {family} and revision {answer.revision} while ipset library does not support the "
                    "settype with that family and revision."
                )
                raise Failed
            kind = Kind(row, answer.revision)
            known = kind, answer.family or (0 if row.family == NEUTRAL else 2)
        kind, self.data["family"] = known
        return kind

    # --- doing ----------------------------------------------------------------------------------------------------------------------

    def commit(self) -> None:
        """Send the batch. Raises Failed."""
        batch, self.batch = self.batch, None
        if batch is not None:
            given = dict(self.data)
            self.send_lines(batch.command, batch.message(), batch.name, batch.lines, batch.kind)
            # Telling a refusal forgets what was given, and that is of another line.
            self.data.update(given)

    def send_lines(
        self, command: str, message: bytearray | memoryview, name: str, lines: Sequence[int], kind: Kind
    ) -> None:
        """Send a message with the elements of these lines. Raises Failed; not where refusals are told, and what stands behind them sent again."""
        passed = 0
        while True:
            error, place, _ = self._exchange(message)
            if not error:
                return
            self.report.line = lines[place - 1 if 0 < place <= len(lines) else 0]
            try:
                self.refused(command, error, kind)
            except Failed:
                if self.tell is None:
                    raise
                self.tell()
            rest = written.behind(message, name, place - passed) if place else b""
            if not rest:
                return
            passed = place
            message = written.many(_COMMANDS[command], self._flags_of(message), name, rest)

    @staticmethod
    def _flags_of(message: bytearray | memoryview) -> int:
        return int.from_bytes(message[6:8], sys.byteorder) & NLM_F_EXCL

    def execute(self, command: str, kind: Kind | None = None) -> None:
        """Do what was given; in a file of commands, elements are put off. Raises Failed."""
        if self.line and kind is not None and command in {"add", "del"}:
            self._put_off(command, kind)
            return
        self.commit()
        self.report.line = self.line
        try:
            self._do(command, kind)
        finally:
            self.forget()

    def _put_off(self, command: str, kind: Kind) -> None:
        name = self.data.get("setname")
        if self.batch is not None and not self.continues(self.batch, command, name):
            self.commit()
        self.report.line = self.line
        if name is None:
            self.error(f"Invalid {command} command: missing setname")
            raise Failed
        values = dict(self.data)
        self.forget()
        if not self._fits(command, name, kind, values):
            self.commit()
            self.report.line = self.line
            self._fits(command, name, kind, values)

    def continues(self, batch: Batch, command: str, name: str | None) -> bool:
        """Whether an element goes with those of the batch; what -exist says counts for all of a batch, unless no line is to be misunderstood."""
        same = (batch.command, batch.name) == (command, name)
        return same and (self.tell is None or batch.flags == self.flags(command))

    def _fits(self, command: str, name: str, kind: Kind, values: dict[str, Any]) -> bool:
        """Put an element into the batch, if there is room for it."""
        if self.batch is None:
            self.batch = Batch(command, name, self.flags(command), kind, values.get("family", 0))
        part, wanted = written.element(values, len(self.batch.lines) + 1)
        if wanted > self.batch.room():
            return False
        self.batch.body += part
        self.batch.lines.append(self.line)
        return True

    def flags(self, command: str) -> int:
        """Of a request."""
        flags = _FLAGS.get(command, 0)
        return flags & ~NLM_F_EXCL if self.options.exist else flags

    def _do(self, command: str, kind: Kind | None) -> None:
        error, _, _ = self._exchange(self._request(command, kind))
        if command == "test" and error in {0, _ALREADY}:
            self._tested(not error)
        elif error:
            self.refused(command, error, kind)
        elif self.strict and command == "create" and self.options.exist and not self._is_as_asked(kind):
            self.refused(command, errno.EEXIST, kind)
        else:
            self._remember(command, kind)

    def _is_as_asked(self, kind: Kind | None) -> bool:
        """Whether the set is of the type and family that was asked for: of a set that exists the kernel does not look at the family."""
        answer = self._ask("header", written.single(written.HEADER, 0, self.data["setname"]))
        return kind is not None and (answer.type_name, answer.family) == (kind.name, self.data.get("family", 0))

    def _request(self, command: str, kind: Kind | None) -> bytearray:
        number, flags, data = _COMMANDS[command], self.flags(command), self.data
        name = data.get("setname")
        if command == "create":
            assert kind is not None  # noqa: S101 - nothing is created without
            family = data.get("family", 0)
            return written.create(number, flags, data["setname"], kind.name, kind.revision, family, data)
        if command not in _ENTRY_COMMANDS:
            return written.single(number, flags, name, data.get("setname2"))
        if name is None:
            self.error(f"Invalid {command} command: missing setname")
            raise Failed
        part, _ = written.element(data, None if command == "test" else 0)
        return written.message(number, flags, written.text(2, name), part)

    def _tested(self, found: bool) -> None:
        if not self.options.quiet:
            from ipvskit.cli.ipset.elements import element_text

            kind = self.data["kind"]
            text = element_text(self.data, kind.parts, last_optional=kind.last_optional)
            where = f"in set {self.data['setname']}."
            self.report.add(WARNING if found else NOTICE, f"{text} is {'' if found else 'NOT '}{where}")
        elif not found:
            # libipset has nothing to say, and does not expect that.
            self.error("Internal protocol error")
        if not found:
            raise Failed

    def _remember(self, command: str, kind: Kind | None) -> None:
        name, cache = self.data.get("setname"), self.cache
        if command == "create" and kind is not None and name not in cache:
            cache[self.data["setname"]] = kind, self.data.get("family", 0)
        elif command == "destroy" and name is None:
            cache.clear()
        elif command == "destroy":
            cache.pop(str(name), None)
        elif command == "rename" and name in cache:
            cache[self.data["setname2"]] = cache.pop(str(name))
        elif command == "swap" and name in cache and self.data["setname2"] in cache:
            other = self.data["setname2"]
            cache[str(name)], cache[other] = cache[other], cache[str(name)]
