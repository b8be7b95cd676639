"""Numbers as the C library reads them.

Knows: strtoull(3), strtol(3) and the %x of sscanf(3). Must not know: what the numbers are for.
"""

from __future__ import annotations

__all__ = ["SPACES", "hexadecimal", "unsigned"]

SPACES = " \t\n\v\f\r"
_DIGITS = "0123456789abcdef"
_MOST = 2**64


def _digits(text: str, start: int, base: int) -> int:
    """Where the digits that begin at `start` end."""
    end = start
    while end < len(text) and text[end].lower() in _DIGITS[:base]:
        end += 1
    return end


def _sign(text: str) -> tuple[int, bool]:
    """Where the number begins behind blanks and a sign, and whether that is a minus."""
    start = len(text) - len(text.lstrip(SPACES))
    if text[start : start + 1] in {"+", "-"}:
        return start + 1, text[start] == "-"
    return start, False


def unsigned(text: str) -> tuple[int, int, bool]:
    """As strtoull(text, &end, 0): the number, where its text ends (0: there is none), and whether it was too large."""
    start, negative = _sign(text)
    base = 10
    if text[start : start + 1] == "0":
        base = 8
        if text[start + 1 : start + 2] in {"x", "X"} and _digits(text, start + 2, 16) > start + 2:
            base, start = 16, start + 2
    end = _digits(text, start, base)
    if end == start:
        return 0, 0, False
    value = int(text[start:end], base)
    if value >= _MOST:
        return _MOST - 1, end, True
    return (-value % _MOST if negative else value), end, False


def hexadecimal(text: str) -> tuple[int, int]:
    """As strtol(text, &end, 16): the number, and where its text ends (0: there is none)."""
    start, negative = _sign(text)
    if text[start : start + 2].lower() == "0x" and _digits(text, start + 2, 16) > start + 2:
        start += 2
    end = _digits(text, start, 16)
    if end == start:
        return 0, 0
    value = int(text[start:end], 16)
    return (-value if negative else value), end
