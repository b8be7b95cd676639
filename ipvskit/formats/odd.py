"""What can stand in a text and is no value of a state.

Knows: that it has to be shown. Must not know: what it is.
"""

from __future__ import annotations

__all__ = ["MOST_DIGITS", "Odd"]

#: Longer numbers are no values of anything, and Python refuses to read the longest.
MOST_DIGITS = 30


class Odd:
    """NaN, a number of very many digits, a date that there is not."""

    def __init__(self, text: str) -> None:
        self._text = text if len(text) <= MOST_DIGITS else f"a value of {len(text)} characters"

    def __str__(self) -> str:
        return self._text
