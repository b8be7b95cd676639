"""Hypothesis strategies for sets and their entries, in every form that ipset(8) has.

    @given(sets())                                 a set of any type and family, with any options
    @given(sets(kernel=kernel.ipset.types()))      one that this kernel can make
    @given(sets().flatmap(entries))                an entry that the set takes, as an `Entry`
    @given(sets().flatmap(texts))                  the same as text, without options

Knows: what each type is made of and which values are worth trying. Must not know: any kernel, what becomes of an entry. Needs Hypothesis. Must not be
imported by the library.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from ipvskit.model.address import Family
from ipvskit.model.settype import SET_TYPES, Part, SetType
from ipvskit.sets.definition import Set
from ipvskit.sets.entry import Entry
from ipvskit.sets.parts import AddressRange, NumberRange, address_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from ipvskit.model.address import IPAddress

__all__ = ["create_options", "entries", "entry_options", "sets", "texts"]

_WORD = 2**32 - 1
_COUNTER = 2**64 - 2
_LONGEST = 2147483
_BITS = {Family.IPV4: 32, Family.IPV6: 128, None: 32}
_MEMBERS = ("member-1", "member-2", "member-3")

#: Few enough that entries meet again, and where kernels are known to be particular.
_LIKELY: Mapping[Family, Sequence[str]] = {
    Family.IPV4: ("10.0.0.0", "10.0.0.1", "10.0.0.255", "192.0.2.129", "127.255.255.255", "128.0.0.0", "255.255.255.255"),
    Family.IPV6: ("2001:db8::", "2001:db8::1", "::1", "::ffff:10.0.0.1", "fe80::1", "8000::", "ffff:ffff:ffff::ffff"),
}  # fmt: skip
_INTERFACES = ("lo", "eth0", "eth", "wlan0.100@x", "fifteen-bytes-x")
_WITH_PORTS = ("tcp", "udp", "sctp", "udplite")
_WITHOUT_PORTS = ("gre", "esp", "ah", "ospf", "255")


# --- sets ---------------------------------------------------------------------------------------------------------------------------


def _address(family: Family | None) -> st.SearchStrategy[IPAddress]:
    kind: Any = IPv6Address if family is Family.IPV6 else IPv4Address
    likely = st.sampled_from(_LIKELY[family or Family.IPV4]).map(kind)
    return likely | st.integers(1, 2 ** _BITS[family] - 1).map(kind)


def _flag(_family: Family | None) -> st.SearchStrategy[bool]:
    return st.just(True)


_CREATE: Mapping[str, Callable[[Family | None], st.SearchStrategy[Any]]] = {
    "hashsize": lambda _: st.sampled_from((64, 100, 1024, 4096)),
    "maxelem": lambda _: st.sampled_from((65536, 200000, _WORD)),
    "bucketsize": lambda _: st.integers(2, 12),
    "initval": lambda _: st.integers(0, _WORD),
    "netmask": lambda family: st.integers(1, _BITS[family]),
    "bitmask": _address,
    "markmask": lambda _: st.sampled_from((1, 0xFF, _WORD)) | st.integers(1, _WORD),
    "size": lambda _: st.sampled_from((4, 8, 1000)),
    "timeout": lambda _: st.sampled_from((0, 60, 3600, _LONGEST)) | st.integers(30, _LONGEST),
    "counters": _flag,
    "comment": _flag,
    "skbinfo": _flag,
    "forceadd": _flag,
}
_CAME_WITH = {"initval": "bucketsize"}


def create_options(kind: SetType, newest: int | None = None) -> list[str]:
    """The creation options that a kernel has whose newest revision of the type this is; None: all there are."""
    return [
        name for name in kind.create_options if newest is None or kind.revision_of(_CAME_WITH.get(name, name)) <= newest
    ]


@st.composite
def _range(draw: st.DrawFn, kind: SetType, netmask: int | None) -> AddressRange | NumberRange:
    """Of a bitmap: now and then of a single element, or of as many as it holds."""
    size = draw(st.sampled_from((1, 2, 7, 256, 65536)) | st.integers(1, 65536))
    if not kind.families:
        low = draw(st.integers(0, 65535))
        return NumberRange(low, min(65535, low + size - 1))
    base = int(draw(_address(Family.IPV4)))
    if netmask is None or netmask == 32:
        return AddressRange(IPv4Address(base), IPv4Address(min(_WORD, base + size - 1)))
    bits = draw(st.integers(max(0, netmask - 16), netmask - 1))
    host = (1 << (32 - bits)) - 1
    return AddressRange(IPv4Address(base & ~host & _WORD), IPv4Address(base | host))


@st.composite
def sets(
    draw: st.DrawFn,
    names: st.SearchStrategy[str] | None = None,
    *,
    types: Iterable[str] = tuple(SET_TYPES),
    kernel: Mapping[str, tuple[int, int]] | None = None,
) -> Set:
    """Sets without entries, of these types, with any of their options.

    `kernel` is what `kernel.ipset.types()` says: types and options that it lacks are left out.
    """
    kind = SET_TYPES[draw(st.sampled_from([name for name in types if kernel is None or name in kernel]))]
    family = draw(st.sampled_from(kind.families)) if kind.families else None
    possible = create_options(kind, None if kernel is None else kernel[kind.name][1])
    chosen = [name for name in possible if name in _CREATE and draw(st.integers(0, 2)) == 0]
    if "netmask" in chosen and "bitmask" in chosen:
        chosen.remove("bitmask")
    values = {name: draw(_CREATE[name](family)) for name in chosen}
    if "range" in possible:
        # A bitmap needs two blocks at least.
        if "netmask" in values:
            values["netmask"] = draw(st.integers(8, 32))
        values["range"] = draw(_range(kind, values.get("netmask")))
    return Set("a-set" if names is None else draw(names), kind, family=family, **values)


# --- entries ------------------------------------------------------------------------------------------------------------------------


def _addresses(of: Set) -> st.SearchStrategy[IPAddress]:
    if not isinstance(of.range, AddressRange):
        return _address(of.family)
    low, high = int(of.range.first), int(of.range.last)
    return (st.sampled_from((low, high)) | st.integers(low, high)).map(IPv4Address)


def _masked(of: Set) -> bool:
    return of.netmask is not None or of.bitmask is not None


@st.composite
def _single(draw: st.DrawFn, of: Set) -> str:
    """An address that does not become zero, which some types refuse."""
    address = int(draw(_addresses(of)))
    bits = _BITS[of.family]
    if of.range is None and of.netmask is not None:
        address |= 1 << (bits - of.netmask)
    if of.bitmask is not None:
        address |= int(of.bitmask)
    return address_text(IPv6Address(address) if of.family is Family.IPV6 else IPv4Address(address))


@st.composite
def _several(draw: st.DrawFn, of: Set) -> str:
    """Some addresses: a range in either order."""
    first = int(IPv4Address(draw(_single(of))))
    limit = int(of.range.last) if isinstance(of.range, AddressRange) else _WORD
    block = 1 << (32 - (of.netmask or 32))
    last = min(limit, first + draw(st.integers(0, 40)) * block)
    return "-".join(draw(st.permutations([str(IPv4Address(first)), str(IPv4Address(last))])))


@st.composite
def _network(draw: st.DrawFn, of: Set) -> str:
    bits = _BITS[of.family]
    # Everything beside a range of ports is refused.
    least = 0 if of.set_type.zero_prefix and Part.PORT not in of.set_type.parts else 1
    address = draw(_single(of))
    prefix = draw(st.none() | st.sampled_from((least, 8, 24, bits - 1, bits)) | st.integers(least, bits))
    return address if prefix is None else f"{address}/{prefix}"


@st.composite
def _network_range(draw: st.DrawFn, of: Set) -> str:
    first = int(draw(_addresses(of)))
    return f"{IPv4Address(first)}-{IPv4Address(min(_WORD, first + draw(st.integers(0, 300))))}"


@st.composite
def _port(draw: st.DrawFn, of: Set) -> str:
    port = st.sampled_from((0, 80, 443, 65535)) | st.integers(0, 65535)
    form = draw(st.integers(0, 6))
    if form == 0:
        return str(draw(port))
    if form == 1:
        name = "icmpv6" if of.family is Family.IPV6 else "icmp"
        return f"{name}:{draw(st.integers(0, 255))}/{draw(st.integers(0, 255))}"
    if form == 2:
        return draw(st.sampled_from(_WITHOUT_PORTS)) + ":0"
    protocol, first = draw(st.sampled_from(_WITH_PORTS)), draw(port)
    last = min(65535, first + draw(st.integers(0, 6)))
    return f"{protocol}:{first}" if form < 6 else f"{protocol}:{first}-{last}"


@st.composite
def _number(draw: st.DrawFn, of: Set) -> str:
    low, high = (of.range.first, of.range.last) if isinstance(of.range, NumberRange) else (0, 65535)
    first = draw(st.sampled_from((low, high)) | st.integers(low, high))
    last = min(high, first + draw(st.integers(0, 50)))
    return draw(st.sampled_from((str(first), f"tcp:{first}", f"{first}-{last}", f"{last}-{first}")))


def _mac() -> st.SearchStrategy[str]:
    return (st.just(b"\2\0\0\0\0\1") | st.binary(min_size=6, max_size=6).filter(any)).map(lambda raw: raw.hex(":"))


def _part(of: Set, place: int, part: Part, ranged: int) -> st.SearchStrategy[str]:
    kind = of.set_type
    may_range = kind.ranges and of.family is not Family.IPV6 and place == ranged and of.bitmask is None
    if part is Part.ADDRESS:
        return _single(of) | _several(of) if may_range and place == 0 else _single(of)
    if part is Part.NET:
        # One range of networks in an entry is enough, and beside it no network of everything, which together are refused.
        return (
            _network(of) | _network_range(of)
            if may_range and not _masked(of) and not kind.zero_prefix
            else _network(of)
        )
    simple: Mapping[Part, Callable[[], st.SearchStrategy[str]]] = {
        Part.PORT: lambda: _port(of),
        Part.NUMBER: lambda: _number(of),
        Part.MARK: lambda: st.integers(1, _WORD).flatmap(lambda mark: st.sampled_from((str(mark), hex(mark)))),
        Part.MAC: _mac,
        Part.INTERFACE: lambda: st.tuples(st.sampled_from(("", "physdev:")), st.sampled_from(_INTERFACES)).map("".join),
    }
    return simple[part]()


@st.composite
def texts(draw: st.DrawFn, of: Set, *, members: Sequence[str] = _MEMBERS) -> str:
    """Entries of the set as text without options: host bits set, ranges in either order, ports of every kind.

    `members` are the sets that a list may have.
    """
    parts = of.set_type.parts
    if parts == (Part.SET,):
        return draw(st.sampled_from(list(members)))
    ranged = draw(st.integers(0, len(parts) - 1))
    pieces = [draw(_part(of, place, part, ranged)) for place, part in enumerate(parts)]
    if of.set_type.mac_is_value and draw(st.integers(0, 2)) == 0:
        pieces.pop()
    return ",".join(pieces)


_OPTIONS: Mapping[str, st.SearchStrategy[Any]] = {
    "timeout": st.sampled_from((0, 60, 3600, _LONGEST)) | st.integers(30, _LONGEST),
    "packets": st.sampled_from((0, 1, _COUNTER)) | st.integers(0, _COUNTER),
    "bytes": st.sampled_from((0, 1, _COUNTER)) | st.integers(0, _COUNTER),
    "comment": st.text(st.characters(codec="utf-8", exclude_characters='"\n\r\0'), max_size=60)
    | st.sampled_from(("", " ", "x" * 255, "a \\ b", "timeout 5", "#no")),
    "skbmark": st.tuples(st.integers(0, _WORD), st.sampled_from((0, 0xFF, _WORD))),
    "skbprio": st.tuples(st.integers(0, 0xFFFF), st.integers(0, 0xFFFF)),
    "skbqueue": st.integers(0, 0xFFFF),
    "nomatch": st.just(True),
    "wildcard": st.just(True),
}
_NEEDS: Mapping[str, Callable[[Set], bool]] = {
    "timeout": lambda of: of.timeout is not None,
    "packets": lambda of: of.counters,
    "bytes": lambda of: of.counters,
    "comment": lambda of: of.comment,
    "skbmark": lambda of: of.skbinfo,
    "skbprio": lambda of: of.skbinfo,
    "skbqueue": lambda of: of.skbinfo,
}


@st.composite
def entry_options(draw: st.DrawFn, of: Set, *, wildcard: bool = True) -> dict[str, Any]:
    """Options of entries that the set was created for, but for before and after; `wildcard=False` for kernels that lack it."""
    return {
        name: draw(_OPTIONS[name])
        for name in of.set_type.entry_options
        if name in _OPTIONS
        and (wildcard or name != "wildcard")
        and (name not in _NEEDS or _NEEDS[name](of))
        and draw(st.integers(0, 2)) == 0
    }


@st.composite
def entries(draw: st.DrawFn, of: Set, *, members: Sequence[str] = _MEMBERS, wildcard: bool = True) -> Entry:
    """Entries of the set, with options."""
    return Entry(draw(texts(of, members=members)), **draw(entry_options(of, wildcard=wildcard)))
