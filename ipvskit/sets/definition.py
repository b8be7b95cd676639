"""A set as one wants it, and as it is held.

Knows: creation options and their limits. Must not know: netlink, what an element looks like.

Sources: ipset(8), linux/netfilter/ipset/ip_set.h, and the `_create` functions of the kernel's types.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from dataclasses import fields as fields_of
from typing import TYPE_CHECKING, Any

from ipvskit.errors import InvalidConfig
from ipvskit.model.address import Family, parse_number
from ipvskit.model.settype import SetType
from ipvskit.sets.create_text import FAMILIES, FLAGS, IGNORED_WORDS, format_create, parse_create
from ipvskit.sets.parts import (
    MAX_NAME,
    AddressRange,
    IPNetwork,
    NumberRange,
    check_word,
    parse_plain_address,
    parse_seconds,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import timedelta

    from ipvskit.model.address import IPAddress

__all__ = ["Set", "SetStatus", "family_for", "stored_set", "with_options"]

#: More buckets than this do not go into the kernel's table of pointers.
MAX_HASHSIZE = 2**27
MIN_HASHSIZE = 64
MAX_ELEMENTS = 65536
MIN_LIST = 4
_WORD = 2**32 - 1
_BITS = {Family.IPV4: 32, Family.IPV6: 128}


@dataclass(frozen=True, slots=True, init=False)
class Set:
    """A set: its name, its type and what it is created with; `entries` are its contents, None where they are not stated.

    Only stated options are sent and written; the kernel's defaults are hashsize 1024, maxelem 65536, bucketsize 12, a random initval, size 8.
    `family` is "inet" (the default) or "inet6", None for types without addresses. `hashsize` (buckets, rounded up to a power of two, at least 64) is
    where a set begins: it grows. `bucketsize` is 2 to 12 elements, made even. `netmask` (bits) and `bitmask` (an address) cut every address, and
    exclude each other. `range`, for bitmaps only, is text ("10.0.0.0/24", "10.0.0.1-10.0.0.9", "0-1023"), a network or a pair; a bitmap holds at most
    65536 elements. `timeout` (seconds, or a timedelta; up to 2147483) makes elements expire; 0 means that they may, but do not by default.
    `forceadd` lets a full set throw out elements. Of two sets with the same options and other entries the hash is the same.
    Text form: `Set.parse`, and `str`, which writes what `ipset save` writes behind `create `. Raises InvalidConfig.
    """

    name: str
    type: str
    family: Family | None
    hashsize: int | None
    maxelem: int | None
    bucketsize: int | None
    initval: int | None
    netmask: int | None
    bitmask: IPAddress | None
    markmask: int | None
    range: AddressRange | NumberRange | None
    size: int | None
    timeout: int | None
    counters: bool
    comment: bool
    skbinfo: bool
    forceadd: bool
    entries: Any = field(hash=False)

    def __init__(
        self,
        name: str,
        type: str | SetType,  # noqa: A002 - the field's own name
        *,
        family: str | Family | None = None,
        hashsize: int | None = None,
        maxelem: int | None = None,
        bucketsize: int | None = None,
        initval: int | None = None,
        netmask: int | None = None,
        bitmask: str | IPAddress | None = None,
        markmask: int | None = None,
        range: str | AddressRange | NumberRange | IPNetwork | tuple[Any, Any] | None = None,  # noqa: A002
        size: int | None = None,
        timeout: float | timedelta | None = None,
        counters: bool = False,
        comment: bool = False,
        skbinfo: bool = False,
        forceadd: bool = False,
        entries: Iterable[Any] | None = None,
    ) -> None:
        kind = SetType.of(type)
        chosen = family_for(kind, family)
        values: dict[str, Any] = {
            "hashsize": _rounded(_optional("hashsize", hashsize, 0, MAX_HASHSIZE)),
            "maxelem": _optional("maxelem", maxelem, 1, _WORD),
            "bucketsize": _even(_optional("bucketsize", bucketsize, 2, 12)),
            "initval": _optional("initval", initval, 0, _WORD),
            "netmask": _optional("netmask", netmask, 1, _BITS.get(chosen or Family.IPV4, 32)),
            "bitmask": _bitmask(chosen, bitmask, netmask),
            "markmask": _optional("markmask", markmask, 1, _WORD),
            "range": None if range is None else _range(kind, range),
            "size": None if size is None else max(MIN_LIST, parse_number("size", size, 0, _WORD)),
            "timeout": parse_seconds("timeout", timeout),
        }
        for flag, given in zip(FLAGS, (counters, comment, skbinfo, forceadd), strict=True):
            if not isinstance(given, bool):
                raise InvalidConfig(flag, given, "True or False")
            values[flag] = given
        _check_options(kind, values)
        if "range" in kind.create_options:
            values["range"] = _checked_range(kind, values["range"], netmask)
        _fill(self, values | {"name": _name(name), "type": kind.name, "family": chosen, "entries": None})
        if entries is not None:
            object.__setattr__(self, "entries", _elements(self, entries))

    @classmethod
    def parse(cls, text: str | Set) -> Set:
        """From its text form, with `create` before it or not: everything that ipset(8) takes, old names and aliases included.

        Options that ipset ignores (probes, resize, gc, -exist) are ignored here; names of services and hosts are not looked up. Raises InvalidConfig.
        """
        return text if isinstance(text, Set) else cls(**parse_create(text))

    def replace(self, **changes: Any) -> Set:
        """A changed copy. Raises InvalidConfig."""
        values = {name: getattr(self, name) for name in _FIELDS} | changes
        return Set(values.pop("name"), values.pop("type"), **values)

    @property
    def set_type(self) -> SetType:
        """The row of the table of types."""
        return SetType.of(self.type)

    def __str__(self) -> str:
        return format_create(self)


@dataclass(frozen=True, slots=True)
class SetStatus:
    """A set as the kernel holds it.

    `set` is without entries. `revision` is that of its type, `index` the number that iptables rules refer to (None where the kernel does not tell),
    `entries` the number of elements, those that have expired and were not collected yet included in bitmaps and lists; `references` counts rules
    and lists; `memory` is in bytes.
    """

    set: Set
    revision: int
    index: int | None
    entries: int
    references: int
    memory: int


_FIELDS = tuple(each.name for each in fields_of(Set))
_UNSTATED: dict[str, Any] = dict.fromkeys(_FIELDS) | dict.fromkeys(FLAGS, False)


def _fill(made: Set, values: dict[str, Any]) -> None:
    for name in _FIELDS:
        object.__setattr__(made, name, values[name])


def stored_set(**values: Any) -> Set:
    """A set as the kernel has it, not checked: another program may have made what we would refuse. What is not given is None or False."""
    made = object.__new__(Set)
    _fill(made, _UNSTATED | values)
    return made


def with_options(of: Set, **changes: Any) -> Set:
    """The same set with other options, not checked."""
    return stored_set(**{name: getattr(of, name) for name in _FIELDS} | changes)


def _elements(made: Set, entries: Any) -> Any:  # noqa: ANN401 - for another layer
    from ipvskit.sets.elements import Elements  # here, because values need no C core

    if isinstance(entries, Elements):
        return entries
    bare = stored_set(**{name: getattr(made, name) for name in _FIELDS if name != "entries"})
    return Elements(bare, entries)


def _name(name: object) -> str:
    word = check_word("name", name, MAX_NAME)
    if word in IGNORED_WORDS:
        raise InvalidConfig("name", name, "a name that is no option of ipset")
    return word


def family_for(kind: SetType, family: str | Family | None) -> Family | None:
    """The family that is meant, inet where none is named and the type has some. Raises InvalidConfig."""
    if family is None:
        return kind.families[0] if kind.families else None
    found = FAMILIES.get(family) if isinstance(family, str) else None
    if found is None:
        raise InvalidConfig("family", family, "inet or inet6")
    if found not in kind.families:
        names = " or ".join(
            text for text, each in FAMILIES.items() if text.startswith("inet") and each in kind.families
        )
        raise InvalidConfig(
            "family", family, f"{names or 'None'}, because {kind} has {'no other' if names else 'none'}"
        )
    return found


def _optional(name: str, value: int | None, low: int, high: int) -> int | None:
    return None if value is None else parse_number(name, value, low, high)


def _rounded(hashsize: int | None) -> int | None:
    return None if hashsize is None else max(MIN_HASHSIZE, 1 << (hashsize - 1).bit_length())


def _even(bucketsize: int | None) -> int | None:
    return None if bucketsize is None else bucketsize + bucketsize % 2


def _bitmask(family: Family | None, bitmask: str | IPAddress | None, netmask: int | None) -> IPAddress | None:
    if bitmask is None:
        return None
    if netmask is not None:
        raise InvalidConfig("bitmask", str(bitmask), "None beside netmask")
    mask = parse_plain_address("bitmask", bitmask)
    if _BITS.get(family or Family.IPV4) != mask.max_prefixlen:
        raise InvalidConfig("bitmask", str(mask), f"an address of family {family}")
    if not int(mask):
        raise InvalidConfig("bitmask", str(mask), "an address with any bit set")
    return mask


def _check_options(kind: SetType, values: dict[str, Any]) -> None:
    for name, value in values.items():
        if name not in kind.create_options and value is not None and value is not False:
            expected = f"not to be given: {kind} has no such option, but " + ", ".join(kind.create_options)
            raise InvalidConfig(name, str(value) if name in {"range", "bitmask"} else value, expected)


def _range(kind: SetType, given: Any) -> AddressRange | NumberRange:  # noqa: ANN401 - many forms are taken
    numbers = not kind.families
    form = NumberRange if numbers else AddressRange
    if isinstance(given, form):
        return given
    if isinstance(given, str):
        return form.parse(given)
    if isinstance(given, IPNetwork) and not numbers:
        return AddressRange.of_network(given)
    if isinstance(given, tuple | list) and len(given) == 2:
        return form(*given)
    raise InvalidConfig(
        "range", given, "ports as in 0-1023" if numbers else "addresses as in 10.0.0.0/24 or 10.0.0.1-10.0.0.9"
    )


def _checked_range(
    kind: SetType, found: AddressRange | NumberRange | None, netmask: int | None
) -> AddressRange | NumberRange:
    """As the kernel keeps it: of whole blocks where there is a netmask."""
    if found is None:
        raise InvalidConfig("range", None, f"addresses or ports, without which there is no {kind}")
    size = found.size
    if isinstance(found, AddressRange):
        if found.first.version != 4:
            raise InvalidConfig("range", str(found), f"IPv4 addresses: {kind} has no others")
        if netmask is not None and netmask < 32:
            found, size = _blocks(found, netmask)
    if size > MAX_ELEMENTS:
        blocks = f" of /{netmask}" if netmask else ""
        raise InvalidConfig("range", str(found), f"at most {MAX_ELEMENTS} elements{blocks}, not {size}")
    return found


def _blocks(found: AddressRange, netmask: int) -> tuple[AddressRange, int]:
    """The range cut to whole blocks, and the elements that the kernel makes room for: those of the smallest network that begins where it begins."""
    host = (1 << (32 - netmask)) - 1
    first, last = int(found.first) & ~host, int(found.last) | host
    bits = next((bits for bits in (*range(31, 0, -1), 0) if last >> (32 - bits) << (32 - bits) == first), None)
    if bits is None or (bits == 0 and last != _WORD) or netmask <= bits:
        expected = f"at least two blocks of /{netmask}, from the beginning of a network that holds them all"
        raise InvalidConfig("range", str(found), expected)
    kind = type(found.first)
    return AddressRange(kind(first), kind(last)), 1 << (netmask - bits)
