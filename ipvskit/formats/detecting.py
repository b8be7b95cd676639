"""Which form a text has.

Knows: how each of them begins. Must not know: what they say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from ipvskit.formats.document import decoded, parse_json
from ipvskit.formats.ipset_text import COMMANDS, EXIST, parse_ipset
from ipvskit.formats.ipvsadm import parse_ipvsadm
from ipvskit.formats.yaml_text import parse_yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ipvskit.formats.contents import Contents

    Form = Literal["json", "yaml", "ipvsadm", "ipset"]

__all__ = ["detect", "parse"]


def detect(text: str | bytes) -> Form:
    """The form of a text, by the first line that says something; "json" for an empty one, which then is an error. Raises InvalidState."""
    for line in _lines(decoded(text)):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        return _form(words)
    return "json"


def parse(text: str | bytes) -> tuple[Contents, tuple[str, ...]]:
    """The state in a text of any form, and warnings of what its form cannot say or does not mean. Raises InvalidState."""
    text = decoded(text)
    form = detect(text)
    if form == "ipvsadm":
        return parse_ipvsadm(text)
    if form == "ipset":
        return parse_ipset(text)
    return (parse_json(text) if form == "json" else parse_yaml(text)), ()


def _lines(text: str) -> Iterator[str]:
    start = 0
    while start < len(text):
        end = text.find("\n", start)
        end = len(text) if end < 0 else end
        yield text[start:end]
        start = end + 1


def _form(words: list[str]) -> Form:
    first = words[0]
    if first[0] in "{[":
        return "json"
    if first == "ipvsadm":
        return "ipvsadm"
    # Commands of both programs have the same letters; behind ipset's stands the name of a set.
    named = len(words) < 2 or not words[1].startswith("-") or words[1] in EXIST
    if first in EXIST or first == "COMMIT" or (first in COMMANDS and named):
        return "ipset"
    return "ipvsadm" if len(first) > 1 and first[0] == "-" and first not in {"---", "-"} else "yaml"
