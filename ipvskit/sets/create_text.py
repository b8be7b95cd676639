"""The text behind `create `, as `ipset save` writes it and as ipset(8) takes it.

Knows: names, order and forms of creation options. Must not know: which values are good (`ipvskit.sets.definition` checks), netlink.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ipvskit.errors import InvalidConfig
from ipvskit.model.address import Family
from ipvskit.model.settype import SET_TYPES, SetType
from ipvskit.sets.parts import address_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipvskit.sets.definition import Set

__all__ = ["FAMILIES", "FLAGS", "IGNORED_WORDS", "format_create", "parse_create"]

#: ipset's names of families; the first of each is the one that it writes.
FAMILIES = {"inet": Family.IPV4, "inet6": Family.IPV6, "ipv4": Family.IPV4, "ipv6": Family.IPV6}
_FAMILY_TEXT = {Family.IPV4: "inet", Family.IPV6: "inet6"}

#: Options that are there or not.
FLAGS = ("counters", "comment", "skbinfo", "forceadd")

_COMMANDS = {"create", "n", "new", "-N", "--create"}
#: They say what to do with a set that exists, or how much to print, and are nothing of the set; they may stand anywhere.
IGNORED_WORDS = {"-exist", "--exist", "-!", "-quiet", "--quiet", "-q"}
#: ipset takes these and their value, and does nothing.
_IGNORED = {"probes", "resize", "gc"}
_IGNORED_OF_PORTS = {"from", "to", "network"}
_WITH_OLD_RANGE = {"hash:ip,port", "hash:ip,port,ip", "hash:ip,port,net"}
_NUMBERS = {"hashsize", "maxelem", "bucketsize", "initval", "netmask", "markmask", "size", "timeout"}
_MAX_DIGITS = 22
#: Every option there is, each once.
_OPTIONS = tuple(dict.fromkeys(option for kind in SET_TYPES.values() for option in kind.create_options))


def _hexadecimal(value: int) -> str:
    return f"0x{value:08x}"


_FORMS: dict[str, Callable[[Any], str]] = {
    "family": _FAMILY_TEXT.__getitem__,
    "markmask": _hexadecimal,
    "initval": _hexadecimal,
    "bitmask": address_text,
}


def format_create(wanted: Set) -> str:
    """Name, type and the options that are stated, in the order of `ipset save`."""
    words = [wanted.name, wanted.type]
    # A set that another program made may be of a type that is not in the table.
    kind = SET_TYPES.get(wanted.type)
    for option in kind.create_options if kind is not None else _OPTIONS:
        value = getattr(wanted, option)
        if value is None or value is False:
            continue
        words.append(option)
        if value is not True:
            words.append(_FORMS.get(option, str)(value))
    return " ".join(words)


def parse_create(text: str) -> dict[str, Any]:
    """Arguments for `Set` from what stands in a restore file or behind `ipset`. Raises InvalidConfig."""
    words = [word for word in text.split() if word not in IGNORED_WORDS]
    # Behind name and type comes the name of an option, which is never that of a type: so a set may have the name of a command.
    if len(words) > 2 and words[0] in _COMMANDS and words[2] in _type_names():
        del words[0]
    if len(words) < 2:
        raise InvalidConfig("create", text, "a name, a type and its options")
    kind = SetType.of(words[1])
    found: dict[str, Any] = {}
    rest = iter(words[2:])
    for word in rest:
        option, value = _option(kind, word, rest)
        if option in found:
            raise InvalidConfig(option, value, "each option once")
        if option:
            found[option] = value
    return {"name": words[0], "type": kind.name} | _range(found)


def _type_names() -> set[str]:
    return {name for kind in SET_TYPES.values() for name in (kind.name, *kind.aliases)}


def _option(kind: SetType, word: str, rest: Any) -> tuple[str, Any]:  # noqa: ANN401 - an iterator that is read on
    """Name and value of the option that begins with `word`; no name where it means nothing."""
    if word in {"-4", "-6"}:
        return "family", Family.IPV4 if word == "-4" else Family.IPV6
    name = word.removeprefix("--")
    if name in FLAGS:
        return name, True
    ranged = "range" in kind.create_options
    ignored = name in _IGNORED or (name in _IGNORED_OF_PORTS and kind.name in _WITH_OLD_RANGE)
    if not ignored and name not in kind.create_options and not (ranged and name in _IGNORED_OF_PORTS):
        raise InvalidConfig("create", word, f"an option of {kind}: " + ", ".join(kind.create_options))
    value = next(rest, None)
    if value is None:
        raise InvalidConfig("create", word, "a value behind it")
    if ignored:
        return "", None
    return ("range" if name == "network" else name), _value(name, value)


def _value(name: str, text: str) -> Any:  # noqa: ANN401 - the option's name says what comes out
    if name == "family":
        if text not in FAMILIES:
            raise InvalidConfig("family", text, "inet or inet6")
        return FAMILIES[text]
    return _number(name, text) if name in _NUMBERS else text


def _number(name: str, text: str) -> int:
    # As strtoull(3) with base 0, which ipset uses: 0x10 is 16 and 010 is 8.
    base = 8 if text.startswith("0") and text.isdigit() else 0
    try:
        if not text.isascii() or not text[:1].isdigit() or not text.isalnum() or len(text) > _MAX_DIGITS:
            raise ValueError
        return int(text, base)
    except ValueError:
        raise InvalidConfig(name, text, "a whole number, decimal, 0x or octal with a leading 0") from None


def _range(found: dict[str, Any]) -> dict[str, Any]:
    """`from` and `to`, the old names, made a range."""
    first, last = found.pop("from", None), found.pop("to", None)
    if first is None and last is None:
        return found
    if first is None or last is None or "range" in found:
        raise InvalidConfig("range", first or last, "from and to, both and alone")
    return found | {"range": f"{first}-{last}"}
