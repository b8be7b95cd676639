"""The program: words become commands, errors become messages and exit statuses.

Knows: the order in which ipset looks at words, its messages and exit statuses. Must not know: values, messages to the kernel.
"""

from __future__ import annotations

import sys
from io import TextIOWrapper

from ipvskit.cli.ipset.numbers import SPACES
from ipvskit.cli.ipset.parsing import Parsing
from ipvskit.cli.ipset.report import (
    DONE,
    ERROR,
    NOTHING,
    NOTICE,
    OTHER,
    PARAMETER,
    SESSION,
    WARNING,
    Exit,
    Failed,
    Told,
)
from ipvskit.cli.ipset.session import Session
from ipvskit.cli.ipset.words import OPTIONS, SplitError, find_command, split_line

# This is loaded for every command: no `typing`. Type checkers know the name.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ipvskit.cli.ipset.lines import Lines
    from ipvskit.cli.ipset.session import Batch
    from ipvskit.cli.ipset.types import Kind
    from ipvskit.cli.ipset.words import CommandWord

__all__ = ["Program", "run"]

_NAME = "ipset"
_VERSION = "7.17"
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
        kind = Parsing(session, self._problem).parse(command.name, given, rest)
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
