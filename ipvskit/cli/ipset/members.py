"""Lines of members: in order, with names for addresses, in XML.

Knows: how lines are built. Must not know: sets.
"""

from __future__ import annotations

import re
from functools import cmp_to_key

from ipvskit.cli.ipset.names import resolved as name_of
from ipvskit.cli.ipset.numbers import hexadecimal

# This is loaded for every command: no `typing`. Type checkers know the name.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["BEFORE_ELEMENT", "in_order", "with_names", "xml"]

_ADDRESSES = {"ip", "single_ip", "ipnet", "ip4_single6", "ip4_net6"}
#: Characters of XML before an element.
BEFORE_ELEMENT = len("<member><elem>")
_OPTION = re.compile(
    r" (?:(nomatch|wildcard)|(timeout|packets|bytes|skbmark|skbprio|skbqueue) (\S+)"
    r'|(comment) (".*"(?=$| skbmark | skbprio | skbqueue )))',
    re.DOTALL,
)
_PLAIN = re.compile(r"(\d+)\.(\d+)\.(\d+)\.(\d+)(?:/(\d+))?(?=[ <\n])", re.ASCII)


def xml(line: str) -> str:
    """As an element of XML; nothing in it is escaped."""
    element, blank, _ = line.partition(" ")
    found = [f"<member><elem>{element}</elem>"]
    for word, name, value, comment, text in _OPTION.findall(line, len(element)) if blank else ():
        found.append(f"<{word}/>" if word else f"<{name or comment}>{value or text}</{name or comment}>")
    return "".join(found) + "</member>\n"


def with_names(line: str, parts: Sequence[str]) -> str:
    """With the names of hosts in place of their addresses."""
    element, blank, rest = line.partition(" ")
    pieces = element.split(",")
    for place, part in enumerate(parts[: len(pieces)]):
        if part in _ADDRESSES:
            address, slash, prefix = pieces[place].partition("/")
            pieces[place] = name_of(address) + slash + prefix
    return ",".join(pieces) + blank + rest


def in_order(lines: list[str], start: int, parts: Sequence[str], *, resolved: bool = False) -> list[str]:
    """Sorted as ipset sorts, by what each line has from `start` on: numbers as hexadecimal numbers, longer prefixes first."""
    if resolved:
        return sorted(lines, key=lambda line: line.encode("utf-8", "surrogateescape"))
    if len(parts) == 1 and parts[0] in _ADDRESSES:
        keys = [_plain_key(line, start) for line in lines]
        if all(keys):
            return [line for _, line in sorted(zip(keys, lines, strict=True), key=lambda pair: pair[0] or ())]

    def compare(one: str, two: str) -> int:
        return _compare(one[start:], two[start:])

    return sorted(lines, key=cmp_to_key(compare))


def _plain_key(line: str, start: int) -> tuple[int, ...] | None:
    """Of a line that begins with an IPv4 address, which no other one has."""
    found = _PLAIN.match(line, start)
    if found is None:
        return None
    a, b, c, d, prefix = found.groups()
    octets = int(a), int(b), int(c), int(d)
    return (*octets, 0, 0) if prefix is None else (*octets, 1, -int(prefix))


def _compare(one: str, two: str) -> int:
    """Less than 0 where `one` comes first."""
    first = second = 0
    sign = 1
    while first < len(one) and second < len(two):
        value, end = hexadecimal(one[first : first + 64])
        other, other_end = hexadecimal(two[second : second + 64])
        if not end or not other_end:
            length, other_length = _word(one, first), _word(two, second)
            if not length and not other_length:
                return _difference(one[first:], two[second:])
            if length != other_length:
                return -1 if length < other_length else 1
            found = _difference(one[first : first + length], two[second : second + length])
            if found:
                return found
            first += length + 1
            second += length + 1
            sign = 1
            continue
        if value != other:
            return _int(sign * (_long(value) - _long(other)))
        first, second = first + end, second + other_end
        found, sign = _separators(one[first : first + 1], two[second : second + 1], sign)
        if found:
            return found
        first, second = first + 1, second + 1
        if one[first : first + 1] == ":" or two[second : second + 1] == ":":
            if one[first : first + 1] != two[second : second + 1]:
                return -1 if one[first : first + 1] == ":" else 1
            first, second = first + 1, second + 1
    return 1 if first < len(one) else -1 if second < len(two) else 0


def _long(value: int) -> int:
    """As much of a number as strtol(3) gives."""
    return max(-(2**63), min(2**63 - 1, value))


def _int(value: int) -> int:
    """Sic: the difference is cut to an int, whatever its sign is then."""
    return (value + 2**31) % 2**32 - 2**31


def _separators(one: str, two: str, sign: int) -> tuple[int, int]:
    """What the signs behind two equal numbers decide, and how the next numbers count."""
    if "/" not in {one, two}:
        return 0, sign
    if one == two:
        return 0, -1
    return (1 if one == "/" else -1), sign


def _word(text: str, start: int) -> int:
    """How far it is to the next colon or comma."""
    end = start
    while end < len(text) and text[end] not in ":,":
        end += 1
    return end - start


def _difference(one: str, two: str) -> int:
    return (one > two) - (one < two)
