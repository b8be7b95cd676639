"""Listings: plain, as commands, and in XML.

Knows: how ipset writes sets. Must not know: how elements are written, which the C core does.
"""

from __future__ import annotations

from ipvskit.cli.ipset.report import Failed
from ipvskit.cli.ipset.types import Kind, find
from ipvskit.ipset import written
from ipvskit.ipset.records import LIST_HEADERS, LIST_NAMES, NLM_F_DUMP, Bit, decode_headers

# This is loaded for every command: no `typing`. Type checkers know the name.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from ipvskit._native.elements import Table
    from ipvskit.cli.ipset.session import Session
    from ipvskit.cli.ipset.types import Keyword
    from ipvskit.ipset.records import Header

__all__ = ["show"]

_FLAGS = {"counters": 8, "with_comment": 16, "skbinfo": 64}


def show(session: Session, command: str) -> None:
    """Write sets. Raises Failed."""
    session.commit()
    session.report.line = session.line
    options = session.options
    options.mode = options.mode or ("plain" if command == "list" else "save")
    begin = session.held_back + ("<ipsets>\n" if options.mode == "xml" else "")
    session.held_back = begin
    try:
        found = _found(session, command)
    finally:
        session.forget()
    session.held_back = ""
    session.write(begin)
    shown = Shown(session)
    for header, table in found:
        shown.show(header, table)
    if options.mode == "xml":
        session.write("</ipsets>\n")
    session.flush()


def _found(session: Session, command: str) -> list[tuple[Header, Table | None]]:
    from ipvskit._native.ipset import Listing
    from ipvskit.errors import KernelError, ProtocolError

    options, what = session.options, 0
    if command == "list" and options.mode != "save":
        what = (LIST_NAMES if options.names else 0) | (LIST_HEADERS if options.terse else 0)
    listing = Listing(() if what else _types())
    try:
        session.transport.dump(
            written.single(written.LIST, NLM_F_DUMP, session.data.get("setname"), listing=what), listing
        )
    except KernelError as error:
        session.refused(command, error.errno or 0)
    except ProtocolError:
        session.error("Internal protocol error")
        raise Failed from None
    if listing.error:
        session.refused(command, listing.error)
    return [(decode_headers(raw)[0], table) for raw, table in listing.sets()]


def _types() -> Any:  # noqa: ANN401 - for the C core
    from ipvskit.sets.shape import listing_types

    return listing_types()


class Shown:
    """Sets, one behind the other."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._options = session.options
        self._count = 0

    def show(self, header: Header, table: Table | None) -> None:
        """Write a set. Raises Failed for one that ipset 7.17 does not know."""
        mode = self._options.mode
        if self._options.names and mode != "save":
            name = header.set_name
            self._session.write(f'<ipset name="{name}"/>\n' if mode == "xml" else f"{name}\n")
            return
        kind = self._kind(header)
        heads: dict[str, Callable[[Header, Kind], str]]
        heads = {"plain": self._plain_head, "save": self._saved_head, "xml": self._xml_head}
        self._session.write(heads[mode](header, kind))
        if table is not None:
            for piece in self._members(header, kind, _shown_options(table, kind)):
                self._session.write(piece)
        if mode == "xml":
            self._session.write("</ipset>\n" if self._options.terse else "</members>\n</ipset>\n")
        self._count += 1

    def _kind(self, header: Header) -> Kind:
        row = find(header.type_name)
        if row is None or not row.revisions[0] <= header.revision <= row.revisions[1]:
            self._session.error(
                f"Kernel and userspace incompatible: settype {header.type_name} with revision {header.revision} "
                "not supported by userspace."
            )
            raise Failed
        return Kind(row, header.revision)

    # --- heads ----------------------------------------------------------------------------------------------------------------------

    def _values(self, header: Header, kind: Kind) -> Iterator[tuple[str, str | None]]:
        """Names of options, and what they are; None where a name says it all."""
        for keyword in kind.keywords("create"):
            if not keyword.shown or (keyword.option == "family" and kind.family == header.family):
                continue
            value = self._value(header, keyword)
            if value is not None:
                yield keyword.name, value or None

    def _value(self, header: Header, keyword: Keyword) -> str | None:
        """None where it is not there, "" where it is just there."""
        option = keyword.option
        if option in _FLAGS:
            return "" if header.flags & _FLAGS[option] else None
        if option == "family":
            return {2: "inet", 10: "inet6"}.get(header.family, "any")
        if option in {"ip", "bitmask"}:
            return self._addresses(header, option)
        if option == "port":
            if not header.has(Bit.LOW_PORT):
                return None
            return f"{header.low_port}-{header.high_port}" if header.has(Bit.HIGH_PORT) else str(header.low_port)
        if not header.has(getattr(Bit, option.upper())):
            return None
        number: int = getattr(header, option)
        return f"0x{number:08x}" if option in {"markmask", "initval"} else str(number)

    def _addresses(self, header: Header, option: str) -> str | None:
        from ipvskit.cli.ipset.elements import address_text
        from ipvskit.cli.ipset.names import resolved

        width = 16 if header.family == 10 else 4
        if option == "bitmask":
            found = [header.bitmask] if header.has(Bit.BITMASK) else []
        else:
            found = [header.first] if header.has(Bit.FROM) else []
            found += [header.last] if found and header.has(Bit.TO) else []
        texts = [address_text(each[:width]) for each in found]
        return "-".join(resolved(each) if self._options.resolve else each for each in texts) or None

    def _plain_head(self, header: Header, kind: Kind) -> str:
        options = "".join(
            f" {name}" if value is None else f" {name} {value}" for name, value in self._values(header, kind)
        )
        entries = f"\nNumber of entries: {header.elements}" if header.has(Bit.ELEMENTS) else ""
        return (
            f"{chr(10) if self._count else ''}Name: {header.set_name}\nType: {kind.name}\nRevision: {kind.revision}\n"
            f"Header:{options}\nSize in memory: {header.memory}\nReferences: {header.references}{entries}"
            f"{chr(10) if self._options.terse else chr(10) + 'Members:' + chr(10)}"
        )

    def _saved_head(self, header: Header, kind: Kind) -> str:
        options = "".join(
            f" {name}" if value is None else f" {name} {value}" for name, value in self._values(header, kind)
        )
        return f"create {header.set_name} {kind.name}{options}\n"

    def _xml_head(self, header: Header, kind: Kind) -> str:
        options = "".join(
            f"<{name}/>" if value is None else f"<{name}>{value}</{name}>" for name, value in self._values(header, kind)
        )
        entries = f"<numentries>{header.elements}</numentries>\n" if header.has(Bit.ELEMENTS) else ""
        return (
            f'<ipset name="{header.set_name}">\n<type>{kind.name}</type>\n<revision>{kind.revision}</revision>\n'
            f"<header>{options}\n<memsize>{header.memory}</memsize>\n<references>{header.references}</references>\n"
            f"{entries}</header>\n{'' if self._options.terse else '<members>' + chr(10)}"
        )

    # --- members --------------------------------------------------------------------------------------------------------------------

    def _members(self, header: Header, kind: Kind, table: Table) -> Iterator[str | bytes]:
        options = self._options
        before = f"add {header.set_name} " if options.mode == "save" else ""
        sort = options.sorted and kind.name.startswith("hash:")
        if not sort and not options.resolve and options.mode != "xml":
            return table.chunks(before.encode("utf-8", "surrogateescape"))
        lines = (line for piece in table.texts(b"") for line in piece.split("\n")[:-1])
        return iter(self._changed(lines, kind, before, sort=sort))

    def _changed(self, lines: Iterator[str], kind: Kind, before: str, *, sort: bool) -> list[str]:
        """Lines with names for addresses, in XML, in order."""
        from ipvskit.cli.ipset import members

        found = list(lines)
        if self._options.resolve:
            found = [members.with_names(line, kind.parts) for line in found]
        as_xml = self._options.mode == "xml"
        found = [members.xml(line) if as_xml else f"{before}{line}\n" for line in found]
        if not sort:
            return found
        start = members.BEFORE_ELEMENT if as_xml else len(before)
        return members.in_order(found, start, kind.parts, resolved=self._options.resolve)


def _shown_options(table: Table, kind: Kind) -> Table:
    """Without what this revision of the type has no words for."""
    from ipvskit.sets.shape import OPTIONS, option_bits

    hidden = set(OPTIONS) - {keyword.option for keyword in kind.keywords("add")} - {"mac", "before", "after"}
    bits = option_bits(hidden)
    return table.copy(~bits & 0xFFFFFFFF) if table.options & bits else table
