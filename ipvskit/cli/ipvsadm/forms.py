"""Lines of one form: the same options in the same places, with other values. What holds for all of them is found out once.

Knows: what depends on values and what does not. Must not know: lines, how requests travel.

A file of many thousand lines has a handful of forms. Most of its lines add real servers with an address and a weight: such a request is made of
the service's part, which many lines have in common, and of the rest without an entry in between.
"""

from __future__ import annotations

from struct import Struct

from ipvskit.cli.ipvsadm import popt, requests
from ipvskit.cli.ipvsadm.digits import number
from ipvskit.cli.ipvsadm.entry import DIRECT_ROUTE, INT_MAX, MASQUERADE, METHODS, TUNNEL, VALUES, Entry
from ipvskit.cli.ipvsadm.lookup import SCTP, TCP, UDP, place
from ipvskit.cli.ipvsadm.options import COMMANDS, FULL_NAMES, LONG, SHORT, check_command
from ipvskit.cli.ipvsadm.outcome import Failed
from ipvskit.ipvs.layout import REAL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    #: An option by its long spelling, the place of the word that is its value (or -1), and its value in the line that was looked at.
    Option = tuple[str, int, str | None]

__all__ = ["Form"]

_ON_REALS = ("add-server", "edit-server")
_SERVICES = {"tcp-service": TCP, "udp-service": UDP, "sctp-service": SCTP}
_ACKNOWLEDGED = ("start-daemon", "stop-daemon")
#: The part of a real server's record up to its weight.
_QUICK = Struct("=IIHHHHB3x16sIi")
_REST = bytes(REAL.size - _QUICK.size)
#: What IPv4 addresses and ports are written with; in brackets, those of IPv6.
_NUMERIC = frozenset("0123456789.:")


class Form:
    """Lines that have the same options in the same places. `number` is the kernel's command."""

    __slots__ = ("_command", "_given", "_steps", "number")

    def __init__(self, command: str, given: set[str], options: Sequence[Option]) -> None:
        self._command = command
        self._given = given
        self._steps = [(VALUES[name], at, value) for name, at, value in options]
        self.number = requests.CHANGES[command]

    @classmethod
    def of(cls, words: Sequence[str]) -> Form | None:
        """The form of a line; None when something is wrong with it whatever its values are, or it is no simple change."""
        reader = popt.Words(words, LONG, SHORT)
        options: list[Option] = []
        try:
            first = reader.option()
            if first is None or first[0] not in requests.CHANGES or first[0] in _ACKNOWLEDGED:
                return None
            while (found := reader.option()) is not None:
                options.append((found[0], reader.place, found[1]))
            given = [FULL_NAMES[name] for name, _, _ in options if name in FULL_NAMES]
            check_command(first[0], given)
        except (popt.BadWord, Failed):
            return None
        if reader.arguments or len(set(given)) < len(given) or any(name in COMMANDS for name, _, _ in options):
            return None
        kind = QuickForm if _is_quick(first[0], options) else cls
        return kind(first[0], set(given), options)

    def entry(self, words: Sequence[str]) -> Entry:
        """What a line of this form asks for. Raises Failed."""
        entry = Entry()
        entry.command = self._command
        for take, at, value in self._steps:
            take(entry, words[at] if at >= 0 else value)
        entry.read_flags()
        entry.settle(self._given)
        return entry

    def request(self, words: Sequence[str]) -> bytes:
        """The request of a line of this form. Raises Failed."""
        return requests.request(self.entry(words))


def _is_quick(command: str, options: Sequence[Option]) -> bool:
    """Whether lines of this form add or edit real servers by address, with a forwarding method and a weight at most, behind the service."""
    names = [name for name, _, _ in options]
    if command not in _ON_REALS or names[0] not in _SERVICES or "real-server" not in names[1:]:
        return False
    if not {*names[1:]} <= {"real-server", "weight", *METHODS}:
        return False
    return all(at >= 0 for name, at, _ in options if name not in METHODS)


class QuickForm(Form):
    """Lines that add or edit real servers by address. What is odd about one is left to the long way."""

    __slots__ = ("_method", "_protocol", "_real", "_service", "_services", "_weight", "_weights")

    def __init__(self, command: str, given: set[str], options: Sequence[Option]) -> None:
        super().__init__(command, given, options)
        places = {name: at for name, at, _ in options}
        self._protocol = _SERVICES[options[0][0]]
        self._service, self._real, self._weight = options[0][1], places["real-server"], places.get("weight", -1)
        self._method = next((METHODS[name] for name in places if name in METHODS), DIRECT_ROUTE)
        #: Services by their words: the first part of requests about them, family and port.
        self._services: dict[str, tuple[bytes, int, int]] = {}
        #: Weights by their words; None for what is none.
        self._weights: dict[str, int | None] = {}

    def request(self, words: Sequence[str]) -> bytes:
        """The request of a line of this form. Raises Failed."""
        service = self._services.get(words[self._service]) or self._learned(words[self._service])
        found = place(words[self._real], self._protocol)
        weight = self._weights.get(words[self._weight]) if self._weight >= 0 else 1
        if weight is None:
            weight = self._weights[words[self._weight]] = number(words[self._weight], 0, INT_MAX)
        if service is None or found is None or weight is None:
            return super().request(words)
        begin, family, service_port = service
        real_family, packed, port = found
        if real_family != family and self._method != TUNNEL:
            return super().request(words)
        if port is None or self._method != MASQUERADE:
            port = service_port
        # The first of all these numbers is nobody's, and there is no tunnel.
        real = _QUICK.pack(0, requests.REAL_PRESENT, real_family, port, 0, 0, 0, packed, self._method, weight)
        return begin + real + _REST

    def _learned(self, text: str) -> tuple[bytes, int, int] | None:
        """A service by address. One by name is looked up again for every line, as names may mean several addresses."""
        found = place(text, self._protocol) if _NUMERIC.issuperset(text) else None
        if found is None:
            return None
        entry = Entry()
        entry.family, entry.address, port = found
        entry.protocol, entry.port = self._protocol, port or 0
        learned = self._services[text] = requests.service_part(self.number, entry), entry.family, entry.port
        return learned
