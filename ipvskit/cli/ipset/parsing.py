"""What stands behind a command: names, elements and keywords become values by option.

Knows: in which order ipset looks at what, and what each type takes. Must not know: values, what is done.
"""

from __future__ import annotations

from ipvskit.cli.ipset.report import OTHER, PARAMETER, WARNING, Failed, Told
from ipvskit.cli.ipset.values import PARSERS, old_reference, parse_name, separator

# This is loaded for every command: no `typing`. Type checkers know the name.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ipvskit.cli.ipset.session import Session
    from ipvskit.cli.ipset.types import Keyword, Kind

__all__ = ["Parsing"]


class Parsing:
    """Takes words into the session's data. `problem` tells one, by its kind and text; it raises Exit, or Told where the program goes on."""

    def __init__(self, session: Session, problem: Callable[[int, str], None]) -> None:
        self.session = session
        self._problem = problem

    def parse(self, name: str, given: list[str], rest: list[str]) -> Kind | None:
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
