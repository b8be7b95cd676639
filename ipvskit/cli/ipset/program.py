"""The program: words become commands, errors become messages and exit statuses.

Knows: the order in which ipset looks at words, its messages and exit statuses. Must not know: values, messages to the kernel.
"""

from __future__ import annotations

import sys
from io import TextIOWrapper

from ipvskit.cli.ipset.numbers import SPACES
from ipvskit.cli.ipset.report import ERROR, NOTHING, NOTICE, WARNING, Exit, Failed, Told
from ipvskit.cli.ipset.session import Session
from ipvskit.cli.ipset.values import PARSERS, old_reference, parse_name, separator
from ipvskit.cli.ipset.words import OPTIONS, SplitError, find_command, split_line

# This is loaded for every command: no `typing`. Type checkers know the name.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ipvskit.cli.ipset.lines import Lines
    from ipvskit.cli.ipset.session import Batch
    from ipvskit.cli.ipset.types import Keyword, Kind
    from ipvskit.cli.ipset.words import CommandWord

__all__ = ["Program", "run"]

_NAME = "ipset"
_VERSION = "7.17"
#: What kind of problem ends the program, which is its exit status; the session's own is told without an end of line, and ends it with 1.
DONE, OTHER, PARAMETER, SESSION = 0, 1, 2, 4
_PROMPT = f"{_NAME}> "
_UNSEEN = 255


def run(words: list[str]) -> int:
    """Run one command line; returns the exit status."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="surrogateescape")
    program = Program()
    try:
        return program.run(words)
    except Exit as over:
        return over.status
    finally:
        program.session.close()
        sys.stdout.flush()
        sys.stderr.flush()


class Program:
    """One run."""

    def __init__(self) -> None:
        self.session = Session()
        self._stdin: Lines | None = None
        #: Of a strict restoration, which goes on behind problems: the exit status for the first of them. None in all else.
        self.status: int | None = None

    def run(self, words: list[str]) -> int:
        """The command line. Raises Exit."""
        if "--strict" in words:
            words = [word for word in words if word != "--strict"]
            self.session.strict = True
        return self._execute(words)

    # --- telling --------------------------------------------------------------------------------------------------------------------

    def _problem(self, status: int, text: str = "") -> None:
        """Tell what is wrong. Raises Exit, or Told where the program goes on."""
        session = self.session
        if status and (session.interactive or not session.options.quiet):
            end = "" if status == SESSION else "\n"
            hint = f"Try `{_NAME} help' for more information.\n" if status == PARAMETER else ""
            where = f"Error in line {session.line}: " if self.status is not None and status != SESSION else ""
            sys.stderr.write(f"{_NAME} v{_VERSION}: {where}{text}{end}{hint}")
        ends = OTHER if status == SESSION else status
        if status and (session.interactive or self.status is not None):
            session.report.reset()
            if self.status is not None:
                self.status = self.status or ends
            raise Told
        raise Exit(ends)

    def _tell_report(self) -> None:
        """Tell what was noted. Raises Exit, or Told where the program goes on."""
        report, session = self.session.report, self.session
        kind = report.kind
        if kind in {WARNING, NOTICE} and not session.options.quiet:
            sys.stderr.write(f"{'Warning: ' if kind == WARNING else ''}{report.text}")
        if kind == ERROR:
            self._problem(SESSION, report.text)
        if self.status is not None and kind != WARNING:
            self.status = self.status or OTHER
        elif not session.interactive and self.status is None:
            raise Exit(DONE if kind == WARNING else OTHER)
        report.reset()
        raise Told

    # --- words ----------------------------------------------------------------------------------------------------------------------

    def _execute(self, words: Sequence[str]) -> int:
        """One command. Raises Exit, and Told where the program goes on."""
        session = self.session
        session.report.line = session.line
        try:
            rest = self._take_options(list(words))
            command = find_command(rest[0]) if rest else None
            if command is None:
                return self._no_command(rest)
            return self._command(command, rest)
        except Failed:
            self._tell_report()
            return OTHER

    def _take_options(self, words: list[str]) -> list[str]:
        """Set the options among the words; returns the others."""
        for option in OPTIONS:
            names = {option.name, option.long, f"-{option.name}", f"-{option.long}"}
            place = 0
            while place < len(words):
                if words[place] not in names:
                    place += 1
                    continue
                del words[place]
                if not option.value:
                    setattr(self.session.options, option.field, True)
                elif place >= len(words):
                    self._problem(PARAMETER, f"Missing mandatory argument to option {option.name}")
                else:
                    self._set_option(option.field, words.pop(place))
        return words

    def _set_option(self, field: str, value: str) -> None:
        options = self.session.options
        if field == "mode" and value not in {"plain", "save", "xml"}:
            self.session.error(f"Syntax error: unknown output mode '{value}'")
            raise Failed
        if field == "file" and options.file is not None:
            try:
                self._problem(PARAMETER, "-file option cannot be used when full io is activated")
            except Told:
                raise Failed from None
        setattr(options, field, value)

    def _no_command(self, words: list[str]) -> int:
        if self.session.interactive:
            sys.stdout.write("No command specified\n")
            return DONE
        if words and words[0] == "-":
            return self._interact()
        if words:
            self._problem(PARAMETER, f"No command specified: unknown argument {words[0]}")
        self._problem(PARAMETER, "No command specified.")
        return PARAMETER

    def _command(self, command: CommandWord, words: list[str]) -> int:
        session = self.session
        if session.line and command.name in {"restore", "version", "help"}:
            self._problem(PARAMETER, f"Command `{command.name}' is invalid in restore mode.")
        if session.interactive and command.name == "restore":
            sys.stdout.write("Restore command is not supported in interactive mode\n")
            return DONE
        given = words[1 : 1 + (command.needs or command.optional)]
        rest = words[1 + len(given) :]
        if len(given) < command.needs:
            which = "second mandatory" if given else "mandatory"
            self._problem(PARAMETER, f"Missing {which} argument to command {command.name}")
        if command.name in {"help", "version", "quit"}:
            return self._about(command.name, given)
        if command.name == "restore":
            if rest:
                self._problem(PARAMETER, f"Unknown argument {rest[0]}")
            return self._restore()
        kind = self._parse(command.name, given, rest)
        if rest and command.name not in {"create", "add", "del", "test"}:
            self._problem(PARAMETER, f"Unknown argument {rest[0]}")
        self._do(command.name, kind)
        return DONE

    def _about(self, name: str, given: list[str]) -> int:
        session = self.session
        if name == "version":
            sys.stdout.write(f"{_NAME} v{_VERSION}, protocol version: 7\n")
        elif name == "help":
            from ipvskit.cli.ipset.help_text import general, kinds, of_type

            sys.stdout.write(general())
            if session.interactive or not session.options.quiet:
                text = of_type(given[0]) if given else kinds()
                if text is None:
                    self._problem(PARAMETER, f"Unknown settype: `{given[0]}'")
                sys.stdout.write(text or "")
        if session.interactive and name != "quit":
            return DONE
        raise Exit(DONE)

    # --- commands -------------------------------------------------------------------------------------------------------------------

    def _parse(self, name: str, given: list[str], rest: list[str]) -> Kind | None:
        """Take what the words give. Raises Failed."""
        session = self.session
        if name in {"list", "save"} and session.options.file is not None and not session.line:
            session.open_output(session.options.file)
        if given:
            parse_name(session, "setname", given[0])
        if name == "create":
            self._parse_type_name(given[1])
            kind = session.kind_to_create()
            self._parse_keywords(kind, name, rest, family=True)
            self._parse_keywords(kind, name, rest, family=False)
        elif name in {"add", "del", "test"}:
            kind = session.kind_of_set()
            session.data["kind"] = kind
            self._parse_element(kind, given[1])
            self._parse_keywords(kind, name, rest, family=False)
        else:
            if name in {"rename", "swap"}:
                parse_name(session, "setname2", given[1])
            return None
        self._check_needed(kind, name)
        self._check_allowed(kind, name)
        return kind

    def _parse_type_name(self, text: str) -> None:
        from ipvskit.cli.ipset.types import find

        if len(text.encode("utf-8", "surrogateescape")) > 31:
            self.session.error(f"Syntax error: typename '{text}' is longer than 31 characters")
            raise Failed
        row = find(text)
        if row is None:
            self.session.error(f"Syntax error: typename '{text}' is unknown")
            raise Failed
        self.session.data["typename"] = row.name

    def _parse_element(self, kind: Kind, text: str) -> None:
        """The parts of an element. Raises Failed."""
        count = len(kind.parts)
        pieces: list[str] = []
        rest = text
        while len(pieces) < 3 and (place := separator(rest, ",")) >= 0:
            pieces.append(rest[:place])
            rest = rest[place + 1 :]
        pieces.append(rest)
        if count == 1 and len(pieces) > 1 and kind.name == "list:set":
            old_reference(self.session, text)
            return
        self._check_pieces(kind, pieces, text)
        options = ["ip", "ip2"]
        for parser, piece in zip(kind.parts, pieces, strict=False):
            option = _PART_OPTIONS.get(parser) or options.pop(0)
            PARSERS[parser](self.session, option, piece)

    def _check_pieces(self, kind: Kind, pieces: list[str], text: str) -> None:
        count, found = len(kind.parts), len(pieces)
        ordinals = ("", "Elem separator", "Two elem separators", "Three elem separators")
        problem = ""
        if count > 1 and found == 1 and not kind.last_optional:
            problem = f"Second element is missing from {text}."
        elif count == 1 and found > 1:
            problem = f"{ordinals[1]} in {text}, but settype {kind.name} supports none."
        elif count > 2 and found == 2 and not kind.last_optional:
            problem = f"Third element is missing from {text}."
        elif count == 2 and found > 2:
            problem = f"{ordinals[2]} in {text}, but settype {kind.name} supports one."
        elif found > 3:
            problem = f"{ordinals[3]} in {text}, but settype {kind.name} supports two."
        if problem:
            self.session.error(f"Syntax error: {problem}")
            raise Failed

    def _parse_keywords(self, kind: Kind, command: str, words: list[str], *, family: bool) -> None:
        """What stands behind: the family first, in a turn of its own. Raises Failed."""
        known = kind.keywords(command)
        place = 0
        while place < len(words):
            word = words[place]
            name = word.removeprefix("--")
            keyword = next((each for each in known if each.name == name), None)
            if keyword is None:
                self._unknown(kind, command, word)
                raise Failed
            place += 1
            value = word
            if keyword.value:
                if place >= len(words):
                    self._failed(PARAMETER, f"Missing mandatory argument of option `{keyword.name}'")
                value = words[place]
                place += 1
            if family == (keyword.option == "family"):
                self._parse_keyword(keyword, value)

    def _failed(self, status: int, text: str) -> None:
        """Tell a problem with the words of a type; where the program goes on, the command does not."""
        try:
            self._problem(status, text)
        except Told:
            raise Failed from None

    def _unknown(self, kind: Kind, command: str, word: str) -> None:
        newer = kind.newer_revision_with(command, word.removeprefix("--"))
        if newer is not None:
            self._failed(
                PARAMETER,
                f"Argument `{word}' is supported in the kernel module of the set type {kind.name} starting from the "
                f"revision {newer} and you have installed revision {kind.revision} only. "
                "Your kernel is behind your ipset utility.",
            )
        self._failed(PARAMETER, f"Unknown argument: `{word}'")

    def _parse_keyword(self, keyword: Keyword, value: str) -> None:
        session, option = self.session, keyword.option
        if option in session.data and not (option == "family" and session.family_is_default):
            session.error(f"Syntax error: {keyword.name} already specified")
            raise Failed
        if keyword.parser != "ignored":
            PARSERS[keyword.parser](session, option, value)
        elif option not in session.ignored:
            session.ignored.add(option)
            name = {"ip": "from", "ip_to": "to"}.get(option, option)
            session.report.add(WARNING, f"Option '--{name} {value}' is ignored. Please upgrade your syntax.")

    def _check_needed(self, kind: Kind, command: str) -> None:
        data = self.session.data
        needed = kind.needed if command != "create" else kind.needed_to_create
        missing = [each for each in needed if each not in data and not (each == "ip_to" and "cidr" in data)]
        if not missing:
            return
        keywords = kind.keywords(command)
        if not keywords:
            self._told(
                OTHER,
                "There are missing mandatory flags but can't check them. It's a bug, please report the problem.",
            )
            return
        for keyword in keywords:
            if keyword.option in missing:
                self._told(PARAMETER, f"Mandatory option `{keyword.name}' is missing")
                return

    def _told(self, status: int, text: str) -> None:
        """Tell a problem; where the program goes on, so does the command."""
        try:
            self._problem(status, text)
        except Told:
            return

    def _check_allowed(self, kind: Kind, command: str) -> None:
        if command == "create":
            return
        allowed = set(kind.element_options(command))
        if "ip_to" in allowed:
            allowed.add("cidr")
        keywords = kind.keywords(command)
        allowed |= {keyword.option for keyword in keywords}
        for option, number in _ELEMENT_OPTIONS.items():
            if option not in self.session.data or option in allowed:
                continue
            family = {2: "inet", 10: "inet6"}.get(self.session.data.get("family", 0), "unspec")
            behind = f"is not allowed in command {command} with set type {kind.name} and family {family}"
            if option in _RANGES:
                self._told(OTHER, f"{_RANGES[option]} {behind}")
            else:
                why = "can't resolve them" if keywords else "option list is empty"
                self._told(
                    OTHER,
                    f"There are not allowed options ({number}) but {why}. It's a bug, please report the problem.",
                )
            return

    def _do(self, name: str, kind: Kind | None) -> None:
        """Execute what was given. Raises Failed, Exit, Told."""
        session = self.session
        try:
            if name in {"list", "save"}:
                from ipvskit.cli.ipset.listing import show

                show(session, name)
            else:
                session.execute(name, kind)
        except Failed:
            self._tell_report()
        if session.report.kind != NOTHING:
            self._tell_report()

    # --- many lines -----------------------------------------------------------------------------------------------------------------

    def _lines(self) -> Lines:
        from ipvskit.cli.ipset.lines import Lines

        if self._stdin is None:
            self._stdin = Lines(0)
        return self._stdin

    def _interact(self) -> int:
        """Commands from standard input, each behind a prompt, until it ends. Raises Exit."""
        self.session.interactive = True
        sys.stdout.write(_PROMPT)
        sys.stdout.flush()
        lines = self._lines()
        while (line := lines.next()) is not None:
            stripped = line.lstrip(SPACES)
            if not stripped or stripped[0] == "#":
                sys.stdout.write(_PROMPT)
            else:
                self._interactive_line(stripped)
            sys.stdout.write(_PROMPT)
            sys.stdout.flush()
        raise Exit(DONE)

    def _interactive_line(self, line: str) -> None:
        try:
            self._execute(self._split(line))
        except Told:
            return

    def _split(self, line: str) -> list[str]:
        try:
            return split_line(line)
        except SplitError as error:
            self._problem(PARAMETER, str(error))
            raise

    def _restore(self) -> int:
        """Commands from a file or standard input. Raises Exit."""
        if self.session.options.file is None:
            lines = self._lines()
        else:
            from ipvskit.cli.ipset.lines import Lines

            opened = self.session.open_input(self.session.options.file)
            if opened is None:
                return _UNSEEN
            lines = Lines(opened)
        from ipvskit.cli.ipset.restore import restore

        if self.session.strict:
            self.status = DONE
            self.session.tell = self._tell_refusal
        status = restore(self, lines)
        return self.status or status

    def _tell_refusal(self) -> None:
        try:
            self._tell_report()
        except Told:
            return

    def restore_line(self, line: str) -> None:
        """One line of a file of commands. Raises Exit; Told where the program goes on."""
        exist = self.session.options.exist
        try:
            self._restore_line(line)
        finally:
            if self.status is not None:
                # What a line says is for that line.
                self.session.options.exist = exist

    def _restore_line(self, line: str) -> None:
        stripped = line.lstrip(SPACES)
        if not stripped or stripped[0] == "#":
            return
        if stripped in {"COMMIT\n", "COMMIT\r\n"}:
            self.commit()
            return
        self._execute(self._split(stripped))

    def send_lines(self, batch: Batch, message: memoryview, lines: Sequence[int]) -> None:
        """Send a message with the elements of these lines. Raises Exit, Told."""
        try:
            self.session.send_lines(batch.command, message, batch.name, lines, batch.kind)
        except Failed:
            self._tell_report()

    def commit(self) -> None:
        """Send what is put off. Raises Exit, Told."""
        try:
            self.session.commit()
        except Failed:
            self._tell_report()


#: The option of a part, where the part is not an address.
_PART_OPTIONS = {
    "setname": "name",
    "ether": "ether",
    "iface": "iface",
    "proto_port": "port",
    "tcp_udp_port": "port",
    "mark": "mark",
}
_RANGES = {
    "cidr": "IP/CIDR range",
    "ip_to": "FROM-TO IP range",
    "port_to": "FROM-TO port range",
}
#: What elements have besides what keywords give, with the numbers of enum ipset_opt of libipset, in that order.
_ELEMENT_OPTIONS = {
    "ip": 4,
    "ip_to": 5,
    "cidr": 6,
    "mark": 7,
    "port": 8,
    "port_to": 9,
    "ether": 24,
    "name": 25,
    "nameref": 26,
    "ip2": 27,
    "cidr2": 28,
    "proto": 30,
    "iface": 31,
}
