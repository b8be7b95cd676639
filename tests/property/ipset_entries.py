"""Random entries for every type of set, in the form in which the kernel lists them.

Knows: which parts and options a type has, what the kernel leaves of them. Must not know: the C core, text forms.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import TYPE_CHECKING, Any, NamedTuple

from hypothesis import strategies as st

from ipvskit.model.address import Family
from ipvskit.model.settype import SET_TYPES, Part, SetType
from ipvskit.sets.entry import Entry
from ipvskit.sets.parts import MAC, PROTOCOL_NAMES, Interface, Mark, Port

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ipvskit.sets.parts import Value

Key = tuple["Value", ...]


class Kind(NamedTuple):
    """A type of set with a family."""

    type: SetType
    family: Family | None

    def __str__(self) -> str:
        return f"{self.type}-{self.family}" if self.family else str(self.type)


KINDS = [Kind(kind, family) for kind in SET_TYPES.values() for family in kind.families or (None,)]
NAMES = "abcxyz0189.-_:@"
NUMBERS = st.one_of(st.integers(0, 20), st.integers(0, 2**32 - 1))


def _address(family: Family | None, number: int) -> IPv4Address | IPv6Address:
    return IPv6Address(0x20010DB8 << 96 | number) if family is Family.IPV6 else IPv4Address(number or 1)


def _network(family: Family | None, number: int, prefix: int) -> IPv4Network | IPv6Network:
    if family is Family.IPV6:
        return IPv6Network((int(_address(family, number)), 1 + prefix % 128), strict=False)
    return IPv4Network((number or 1, 1 + prefix % 32), strict=False)


@st.composite
def ports(draw: st.DrawFn, family: Family | None) -> Port:
    number = draw(st.one_of(st.integers(0, 9), st.integers(0, 65535)))
    choices: list[str | int] = ["tcp", "udp", "sctp", "udplite", "icmp", "gre", 200, *PROTOCOL_NAMES]
    protocol = draw(st.sampled_from(choices))
    if protocol in {"icmp", 1, 58, "ipv6-icmp"}:
        return Port(number, "ipv6-icmp" if family is Family.IPV6 else "icmp")
    name = PROTOCOL_NAMES.get(protocol, protocol) if isinstance(protocol, int) else protocol
    return Port(number if name in {"tcp", "udp", "sctp", "udplite"} else 0, protocol)


_MAKERS: dict[Part, Callable[[Family | None], st.SearchStrategy[Any]]] = {
    Part.ADDRESS: lambda family: st.builds(_address, st.just(family), NUMBERS),
    Part.NET: lambda family: st.builds(_network, st.just(family), NUMBERS, st.integers(0, 127)),
    Part.PORT: ports,
    Part.NUMBER: lambda _: st.one_of(st.integers(0, 9), st.integers(0, 65535)),
    Part.MARK: lambda _: st.builds(Mark, NUMBERS),
    Part.MAC: lambda _: st.builds(lambda number: MAC((number + 1).to_bytes(6, "big")), NUMBERS),
    Part.INTERFACE: lambda _: st.builds(
        Interface,
        st.text(NAMES, min_size=1, max_size=15).filter(lambda name: not name.startswith("physdev:")),
        st.booleans(),
    ),
    Part.SET: lambda _: st.text(NAMES + ",", min_size=1, max_size=31),
}

_COMMENTS = st.text(st.characters(exclude_characters="\0\n", codec="utf-8"), min_size=1, max_size=60)
_WORD = 2**32 - 1
_COUNTERS = st.one_of(st.integers(0, 3), st.integers(0, 2**64 - 2))

#: Zeros are not listed, so the kernel has none of them.
OPTIONS: dict[str, st.SearchStrategy[Any]] = {
    "timeout": st.integers(0, 2147483),
    "packets": _COUNTERS,
    "bytes": _COUNTERS,
    "comment": _COMMENTS,
    "skbmark": st.tuples(st.integers(0, _WORD), st.integers(0, _WORD)).filter(any),
    "skbprio": st.tuples(st.integers(0, 65535), st.integers(0, 65535)).filter(any),
    "skbqueue": st.integers(1, 65535),
    "nomatch": st.just(True),
    "wildcard": st.just(True),
}


@st.composite
def entries(draw: st.DrawFn, kind: Kind, *, options: bool = True) -> Entry:
    """An entry as the kernel lists it."""
    parts = [draw(_MAKERS[part](kind.family)) for part in kind.type.parts]
    if kind.type.mac_is_value and draw(st.booleans()):
        parts.pop()
    names = [name for name in kind.type.entry_options if name in OPTIONS]
    chosen = draw(st.lists(st.sampled_from(names), unique=True, max_size=4)) if options else []
    return Entry(*parts, **{name: draw(OPTIONS[name]) for name in chosen})


def key_of(kind: Kind, entry: Entry) -> Key:
    """What tells this entry from others."""
    return entry.parts[:1] if kind.type.mac_is_value else entry.parts


def with_options(entry: Entry, options: Sequence[str]) -> Entry:
    """The same with only these options."""
    parts = entry.parts
    if "mac" not in options and len(parts) == 2 and isinstance(parts[1], MAC):
        raise AssertionError("a MAC that is a value cannot be told from one that is a key here")
    return Entry(*parts, **{name: getattr(entry, name) for name in options if name != "mac"})


def order_of(part: Value) -> tuple[Any, ...]:
    """By what parts are sorted: as numbers, names as bytes."""
    if isinstance(part, IPv4Network | IPv6Network):
        return int(part.network_address), part.prefixlen
    if isinstance(part, Port):
        return part.protocol_number, part.number
    if isinstance(part, Interface):
        return part.physdev, part.name.encode()
    if isinstance(part, MAC):
        return (part.octets,)
    return (part.encode() if isinstance(part, str) else int(part),)  # type: ignore[arg-type]
