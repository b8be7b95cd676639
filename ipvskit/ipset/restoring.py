"""Text as `ipset save` writes it and `ipset restore` takes it.

Knows: the commands of such text, and which lines can go out together. Must not know: entries' text, messages.

Unlike the tool: a bad line loses no other line, what a line says of -exist is for that line only, and each failure is told with its line.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ipvskit.errors import InvalidConfig, InvalidEntry, IpvskitError
from ipvskit.ipset.report import LineFailure, RestoreReport
from ipvskit.sets.definition import Set

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ipvskit.ipset.bulk import OnError
    from ipvskit.ipset.client import Ipset

__all__ = ["Restoring"]

#: Every name that ipset(8) has for a command, and the one that we use.
_NAMES = {
    name: names[0]
    for names in (
        ("create", "new", "n", "-N", "--create"),
        ("add", "a", "-A", "--add"),
        ("del", "d", "-D", "--del"),
        ("destroy", "x", "-X", "--destroy"),
        ("flush", "f", "-F", "--flush"),
        ("rename", "e", "-E", "--rename"),
        ("swap", "w", "-W", "--swap"),
    )
    for name in names
}
_EXIST = ("-exist", "-!", "--exist")
_GROUPED = ("add", "del")
#: Lines that go out together.
_MOST = 1 << 16


@dataclass(slots=True)
class _Group:
    """Lines that do the same with the same set, one behind the other."""

    command: str
    name: str
    exist: bool
    prefix: str
    plain: bool  # the same line without -exist would mean the same
    lines: list[int]
    entries: list[str]


class Restoring:
    """One restoration."""

    def __init__(self, client: Ipset, *, exist: bool, on_error: OnError) -> None:
        if on_error not in {"continue", "stop"}:
            raise InvalidConfig("on_error", on_error, '"continue" or "stop"')
        self._client = client
        self._exist = exist
        self._on_error: OnError = on_error
        self._group: _Group | None = None
        self._done = self._already = self._count = 0
        self._failures: list[LineFailure] = []
        self._stopped = False

    def run(self, lines: Iterable[str]) -> RestoreReport:
        """Work them off in order."""
        try:
            for number, line in enumerate(lines, 1):
                self._count = number
                group = self._group
                if group is not None and group.plain and line.startswith(group.prefix) and "-" not in line:
                    group.lines.append(number)
                    group.entries.append(line[len(group.prefix) :])
                    if len(group.lines) >= _MOST:
                        self._flush()
                else:
                    self._take(number, line.strip())
                if self._stopped:
                    break
            self._flush()
        except Exception as error:
            error.add_note(f"of the restoration until then: {self._report()}")
            raise
        return self._report()

    def _report(self) -> RestoreReport:
        return RestoreReport(self._count, self._done, self._already, tuple(self._failures), self._stopped)

    def _take(self, number: int, line: str) -> None:
        if not line or line.startswith("#") or line == "COMMIT":
            return
        word, _, rest = line.partition(" ")
        command = _NAMES.get(word)
        if command is None:
            self._flush()
            expected = "create, add, del, destroy, flush, rename or swap"
            self._fail(number, line, InvalidConfig("command", word, expected))
        elif command in _GROUPED:
            self._gather(number, line, command, rest.lstrip())
        else:
            self._flush()
            if not self._stopped:
                self._execute(number, line, command, rest)

    def _gather(self, number: int, line: str, command: str, rest: str) -> None:
        bare, stated = _without_exist(rest) if "-" in rest or "!" in rest else (rest, False)
        name, _, entry = bare.partition(" ")
        exist = self._exist or stated
        group = self._group
        if group is None or (group.command, group.name, group.exist) != (command, name, exist):
            self._flush()
            prefix = f"{line.partition(' ')[0]} {name} "
            group = self._group = _Group(command, name, exist, prefix, exist == self._exist, [], [])
        group.lines.append(number)
        group.entries.append(entry)

    def _flush(self) -> None:
        """Send what has gathered."""
        group, self._group = self._group, None
        if group is None or self._stopped:
            return
        try:
            if group.command == "add":
                report = self._client.add_entries(group.name, group.entries, exist=group.exist, on_error=self._on_error)
            else:
                report = self._client.delete_entries(group.name, group.entries, on_error=self._on_error)
        except IpvskitError as error:
            # Of the set itself: none of the lines was executed.
            for number, entry in zip(group.lines, group.entries, strict=True):
                self._fail(number, f"{group.prefix}{entry}", error)
                if self._stopped:
                    return
            return
        self._done += report.done
        self._already += report.already
        for failure in report.failures:
            place = failure.index
            if isinstance(failure.error, InvalidEntry):
                # Its place among those that went out together means nothing here.
                failure.error.line = 0
            self._fail(group.lines[place], f"{group.prefix}{group.entries[place]}", failure.error)

    def _execute(self, number: int, line: str, command: str, rest: str) -> None:
        rest, stated = _without_exist(rest)
        names, exist = rest.split(), self._exist or stated
        try:
            if command == "create":
                self._client.create(Set.parse(rest), exist=exist)
            elif command in {"destroy", "flush"} and len(names) <= 1:
                self._one_or_all(command, names, exist)
            elif command in {"rename", "swap"} and len(names) == 2:
                (self._client.rename if command == "rename" else self._client.swap)(*names)
            else:
                raise InvalidConfig("line", line, f"{command}, and the names that go with it")
        except IpvskitError as error:
            self._fail(number, line, error)
        else:
            self._done += 1

    def _one_or_all(self, command: str, names: list[str], exist: bool) -> None:
        if command == "flush" and names:
            self._client.flush(names[0])
        elif command == "flush":
            self._client.flush_all()
        elif names:
            self._client.destroy(names[0], exist=exist)
        else:
            self._client.destroy_all()

    def _fail(self, number: int, line: str, error: IpvskitError) -> None:
        self._failures.append(LineFailure(number, line, error))
        self._stopped = self._on_error == "stop"


def _without_exist(text: str) -> tuple[str, bool]:
    """The text without -exist, which may stand anywhere in it but in a comment, and whether it was there."""
    if not any(word in text for word in _EXIST):
        return text, False
    head, quote, comment = text.partition('"')
    comment, end, tail = comment.rpartition('"')
    words = head.split(), tail.split()
    stated = any(word in _EXIST for part in words for word in part)
    kept = [" ".join(word for word in part if word not in _EXIST) for part in words]
    return f"{kept[0]} {quote}{comment}{end} {kept[1]}".strip() if quote else kept[0], stated
