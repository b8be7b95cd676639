"""Lines of members: in order, with names for addresses, in XML.

Knows: how lines are built. Must not know: sets.
"""

from __future__ import annotations

import re

from ipvskit.cli.ipset.names import resolved as name_of
from ipvskit.cli.ipset.numbers import hexadecimal

# This is loaded for every command: no `typing`. Type checkers know the name.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["in_order", "with_names", "xml"]

_ADDRESSES = {"ip", "single_ip", "ipnet", "ip4_single6", "ip4_net6"}
_OPTION = re.compile(
    r" (?:(nomatch|wildcard)|(timeout|packets|bytes|skbmark|skbprio|skbqueue) (\S+)"
    r'|(comment) (".*"(?=$| skbmark | skbprio | skbqueue )))',
    re.DOTALL,
)
_PLAIN = re.compile(r"(\d+)\.(\d+)\.(\d+)\.(\d+)(?:/(\d+))?(?= |$)", re.ASCII)


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


def in_order(lines: list[str], parts: Sequence[str], *, resolved: bool = False) -> list[str]:
    """Sorted as ipset sorts: numbers as hexadecimal numbers, longer prefixes first."""
    if resolved:
        return sorted(lines, key=lambda line: (line + "\n").encode("utf-8", "surrogateescape"))
    if parts and len(parts) == 1 and parts[0] in _ADDRESSES:
        keys = [_plain_key(line) for line in lines]
        if all(keys):
            return [line for _, line in sorted(zip(keys, lines, strict=True), key=lambda pair: pair[0] or ())]
    return _merge_sorted(lines)


def _merge_sorted(lines: list[str]) -> list[str]:
    """By runs of 1, 2, 4, ... lines: `_compare` can go in circles, and then the way of sorting shows."""
    runs: list[list[str]] = []
    for line in lines:
        run = [line]
        for level, before in enumerate(runs):
            if not before:
                runs[level] = run
                break
            run, runs[level] = _merged(before, run), []
        else:
            runs.append(run)
    found: list[str] = []
    for run in runs:
        found = _merged(run, found) if run else found
    return found


def _merged(one: list[str], two: list[str]) -> list[str]:
    found = []
    first = second = 0
    while first < len(one) and second < len(two):
        if _compare(one[first], two[second]) <= 0:
            found.append(one[first])
            first += 1
        else:
            found.append(two[second])
            second += 1
    return found + one[first:] + two[second:]


def _plain_key(line: str) -> tuple[int, ...] | None:
    """Of a line that begins with an IPv4 address, which no other one has."""
    found = _PLAIN.match(line)
    if found is None:
        return None
    a, b, c, d, prefix = found.groups()
    octets = int(a), int(b), int(c), int(d)
    return (*octets, 0, 0) if prefix is None else (*octets, 1, -int(prefix))


def _compare(one: str, two: str) -> int:
    """Less than 0 where `one` comes first."""
    one, two = one + "\n", two + "\n"
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
