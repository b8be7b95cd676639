"""Numbers as the C library reads them.

Knows: strtol(3), atoi(3). Must not know: what numbers are for.
"""

from __future__ import annotations

__all__ = ["leading_number", "number"]

_BLANK = " \t\n\v\f\r"
#: More digits than any number of 64 bits has.
_LONG = 19


def number(text: str, low: int, high: int) -> int | None:
    """The number that the whole text is, if it is within these limits: blanks in front of it and a sign are allowed."""
    if text.isascii() and text.isdigit() and len(text) < _LONG:
        found = int(text)
    else:
        body = text.lstrip(_BLANK)
        digits = body[1:] if body[:1] in ("+", "-") else body
        if not (digits.isascii() and digits.isdigit()) or len(digits.lstrip("0")) >= _LONG:
            return None
        found = -int(digits[-_LONG:]) if body[0] == "-" else int(digits[-_LONG:])
    return found if low <= found <= high else None


def leading_number(text: str) -> int:
    """The number that the text begins with, 0 where there is none: as a long, of which 32 bits are taken."""
    body = text.lstrip(_BLANK)
    digits = body[1:] if body[:1] in ("+", "-") else body
    end = next((at for at, one in enumerate(digits) if one not in "0123456789"), len(digits))
    size = int(digits[:end].lstrip("0")[: _LONG + 1] or "0")
    found = max(-size, -1 << 63) if body[:1] == "-" else min(size, (1 << 63) - 1)
    return (found + (1 << 31)) % (1 << 32) - (1 << 31)
