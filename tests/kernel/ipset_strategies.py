"""Hypothesis strategies for sets and their entries, in every form that ipset(8) has.

Knows: what each type is made of and which values are worth trying. Must not know: any kernel, what becomes of an entry.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

import ipvskit as ik
from ipvskit.model.address import Family
from ipvskit.model.settype import SET_TYPES, Part, SetType
from ipvskit.sets.definition import Set
from ipvskit.sets.entry import Entry
from ipvskit.sets.parts import AddressRange, NumberRange, address_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Text = st.SearchStrategy[str]

__all__ = ["CASES", "entries", "entry_options", "named", "option_names", "sets", "wrong_entries"]

#: Every type with every family that it has.
CASES: list[tuple[str, Family | None]] = [
    (name, family) for name, kind in SET_TYPES.items() for family in kind.families or (None,)
]

_WORD = 2**32 - 1
_COUNTER = 2**64 - 2
_TIMEOUT = 2147483
_BITS = {Family.IPV4: 32, Family.IPV6: 128, None: 32}
_CAME_WITH = {"initval": "bucketsize"}

#: Few enough that entries meet again, and where kernels are known to be particular.
_LIKELY: dict[Family | None, Sequence[str]] = {
    Family.IPV4: ("10.0.0.0", "10.0.0.1", "10.0.0.255", "10.1.2.3", "192.0.2.129", "127.255.255.255", "128.0.0.0", "255.255.255.255", "0.0.0.1"),
    Family.IPV6: ("2001:db8::", "2001:db8::1", "2001:db8:ffff::1", "::1", "::ffff:10.0.0.1", "fe80::1", "8000::", "ffff" + ":ffff" * 7),
}  # fmt: skip
_INTERFACES = ("lo", "eth0", "eth", "a", "wlan0.100@x", "fifteen-bytes-x")
_ICMP = ("0/0", "8/0", "3/1", "255/255", "0/1", "echo-request", "host-unreachable", "ping")
_ICMP6 = ("0/0", "128/0", "1/4", "255/255", "0/1", "echo-request", "no-route", "ping")
_PORTLESS = ("gre", "esp", "ah", "ospf", "47", "255", "igmp", "2")
_WITH_PORTS = ("tcp", "udp", "sctp", "udplite", "6", "132")


def named(case: tuple[str, Family | None]) -> str:
    """A case as pytest shows it."""
    return f"{case[0]}{'' if case[1] is None else '-v4' if case[1] is Family.IPV4 else '-v6'}"


def option_names(kind: SetType, newest: int | None = None) -> list[str]:
    """The creation options that a kernel has whose newest revision of the type this is; None: all there are."""
    return [
        name for name in kind.create_options if newest is None or kind.revision_of(_CAME_WITH.get(name, name)) <= newest
    ]


# --- sets ---------------------------------------------------------------------------------------------------------------------------


def _address(family: Family | None) -> st.SearchStrategy[IPv4Address | IPv6Address]:
    kind: Any = IPv6Address if family is Family.IPV6 else IPv4Address
    likely = st.sampled_from(_LIKELY[family or Family.IPV4]).map(kind)
    return likely | st.integers(1, 2 ** _BITS[family] - 1).map(kind)


def _masks(family: Family | None) -> st.SearchStrategy[int]:
    bits = _BITS[family]
    return st.sampled_from((bits - 8, bits - 1, bits, bits // 2)) | st.integers(1, bits)


@st.composite
def _ranges(draw: st.DrawFn, kind: SetType, netmask: int | None) -> AddressRange | NumberRange:
    """The range of a bitmap, now and then of a single element, or of as many as it holds."""
    size = draw(st.sampled_from((1, 2, 7, 256, 65536)) | st.integers(1, 65536))
    if not kind.families:
        first = draw(st.integers(0, 65535))
        return NumberRange(first, min(65535, first + size - 1))
    base = int(draw(_address(Family.IPV4)))
    if netmask is None or netmask == 32:
        return AddressRange(IPv4Address(base), IPv4Address(min(_WORD, base + size - 1)))
    bits = draw(st.integers(max(0, netmask - 16), netmask - 1))
    host = (1 << (32 - bits)) - 1
    return AddressRange(IPv4Address(base & ~host), IPv4Address(base | host))


_VALUES: dict[str, Callable[[Family | None], st.SearchStrategy[Any]]] = {
    "hashsize": lambda _: st.sampled_from((0, 64, 100, 1024, 4096)),
    "maxelem": lambda _: st.sampled_from((65536, 200000, _WORD)),
    "bucketsize": lambda _: st.integers(2, 12),
    "initval": lambda _: st.integers(0, _WORD),
    "netmask": _masks,
    "bitmask": _address,
    "markmask": lambda _: st.sampled_from((1, 0xFF, 0xFF00FF00, _WORD)) | st.integers(1, _WORD),
    "size": lambda _: st.sampled_from((0, 4, 8, 1000)),
    "timeout": lambda _: st.sampled_from((0, 60, 3600, _TIMEOUT)) | st.integers(30, _TIMEOUT),
    "counters": lambda _: st.just(True),
    "comment": lambda _: st.just(True),
    "skbinfo": lambda _: st.just(True),
    "forceadd": lambda _: st.just(True),
}


@st.composite
def sets(
    draw: st.DrawFn,
    case: tuple[str, Family | None] | None = None,
    *,
    name: str = "s",
    kernel: Mapping[str, tuple[int, int]] | None = None,
) -> Set:
    """Sets of a type and family, or of any, with any creation options. `kernel` (`kernel.ipset.types()`) leaves out what one lacks."""
    cases = CASES if case is None else [case]
    chosen, family = draw(st.sampled_from([each for each in cases if kernel is None or each[0] in kernel]))
    kind = SET_TYPES[chosen]
    possible = option_names(kind, None if kernel is None else kernel[chosen][1])
    values = {
        option: draw(_VALUES[option](family))
        for option in possible
        if option in _VALUES and draw(st.integers(0, 2)) == 0
    }
    if "netmask" in values:
        values.pop("bitmask", None)
    if "netmask" in values and "range" in possible:
        values["netmask"] = draw(st.integers(8, 32))
    if "range" in possible:
        values["range"] = draw(_ranges(kind, values.get("netmask")))
    return Set(name, kind, family=family, **values)


# --- entries ------------------------------------------------------------------------------------------------------------------------


def _addresses(of: Set) -> st.SearchStrategy[IPv4Address | IPv6Address]:
    if not isinstance(of.range, AddressRange):
        return _address(of.family)
    first, last = int(of.range.first), int(of.range.last)
    return st.sampled_from((first, last)).map(IPv4Address) | st.integers(first, last).map(IPv4Address)


@st.composite
def _single(draw: st.DrawFn, of: Set) -> str:
    return address_text(draw(_addresses(of)))


@st.composite
def _many(draw: st.DrawFn, of: Set) -> str:
    """Some addresses: a range in either order, or a block with its host bits set."""
    first = int(draw(_addresses(of)))
    block = 1 if of.netmask is None else 1 << (32 - of.netmask)
    if draw(st.booleans()):
        bits = max(0, min(32, (of.netmask or 32) - draw(st.integers(0, 5))))
        return f"{IPv4Address(first)}/{max(1, bits)}"
    limit = int(of.range.last) if isinstance(of.range, AddressRange) else _WORD
    last = min(limit, first + draw(st.integers(0, 40)) * block)
    ends = [str(IPv4Address(first)), str(IPv4Address(last))]
    return "-".join(draw(st.permutations(ends)))


@st.composite
def _network(draw: st.DrawFn, of: Set) -> str:
    bits = _BITS[of.family]
    address = draw(_single(of))
    least = 0 if of.set_type.zero_prefix else 1
    form = draw(st.integers(0, 3))
    if form == 0:
        return address
    prefix = st.sampled_from((least, 1, 8, 24, bits - 1, bits)) | st.integers(least, bits)
    return f"{address}/{draw(prefix)}"


@st.composite
def _network_range(draw: st.DrawFn, of: Set) -> str:
    first, last = draw(_addresses(of)), draw(_addresses(of))
    if draw(st.booleans()):
        last = IPv4Address(min(_WORD, int(first) + draw(st.integers(0, 300))))
    return f"{first}-{last}"


@st.composite
def _port(draw: Any, of: Set) -> Any:
    port = st.sampled_from((0, 1, 80, 443, 65535)) | st.integers(0, 65535)
    form = draw(st.integers(0, 7))
    if form == 0:
        return str(draw(port))
    if form == 1:
        return "icmp:" + draw(st.sampled_from(_ICMP if of.family is Family.IPV4 else _ICMP[:5]))
    if form == 2:
        return draw(st.sampled_from(("icmpv6:", "ipv6-icmp:"))) + draw(
            st.sampled_from(_ICMP6 if of.family is Family.IPV6 else _ICMP6[:5])
        )
    if form == 3:
        return draw(st.sampled_from(_PORTLESS)) + ":0"
    protocol = draw(st.sampled_from(_WITH_PORTS))
    first = draw(port)
    if form < 6:
        return f"{protocol}:{first}"
    last = min(65535, first + draw(st.integers(0, 6)))
    return f"{protocol}:" + "-".join(map(str, draw(st.permutations([first, last]))))


@st.composite
def _number(draw: st.DrawFn, of: Set) -> str:
    low, high = (of.range.first, of.range.last) if isinstance(of.range, NumberRange) else (0, 65535)
    first = draw(st.sampled_from((low, high)) | st.integers(low, high))
    if draw(st.booleans()):
        return draw(st.sampled_from(("", "tcp:", "udp:"))) + str(first)
    return "-".join(map(str, draw(st.permutations([first, min(high, first + draw(st.integers(0, 50)))]))))


def _mark() -> Text:
    return (st.sampled_from((0, 1, 0xFF, _WORD)) | st.integers(0, _WORD)).flatmap(
        lambda mark: st.sampled_from((str(mark), hex(mark), f"0x{mark:08x}"))
    )


def _mac() -> Text:
    octets = st.sampled_from((b"\2\0\0\0\0\1", b"\xff" * 6, b"\0\0\0\0\0\1")) | st.binary(min_size=6, max_size=6)
    return octets.filter(any).flatmap(lambda raw: st.sampled_from((raw.hex(":"), raw.hex(":").upper())))


def _interface() -> Text:
    return st.tuples(st.sampled_from(("", "", "physdev:")), st.sampled_from(_INTERFACES)).map("".join) | st.just(
        "physdev:"
    )


def _part(of: Set, place: int, part: Part, ranged: list[bool]) -> Text:
    kind = of.set_type
    may_range = kind.ranges and of.family is not Family.IPV6
    if part is Part.ADDRESS:
        many = may_range and place == 0
        return _single(of) | _many(of) if many else _single(of)
    if part is Part.NET:
        # One range of networks in an entry is enough: two of them with ports are thousands of elements.
        return _network(of) | _network_range(of) if may_range and ranged[place] else _network(of)
    if part is Part.PORT:
        return _port(of)
    if part is Part.NUMBER:
        return _number(of)
    return {Part.MARK: _mark, Part.MAC: _mac, Part.INTERFACE: _interface}[part]()


@st.composite
def _texts(draw: st.DrawFn, of: Set, members: Sequence[str]) -> str:
    parts = of.set_type.parts
    if parts == (Part.SET,):
        return draw(st.sampled_from(list(members)))
    chosen = draw(st.integers(0, len(parts) - 1))
    ranged = [place == chosen for place in range(len(parts))]
    pieces = [draw(_part(of, place, part, ranged)) for place, part in enumerate(parts)]
    if of.set_type.mac_is_value and draw(st.integers(0, 2)) == 0:
        pieces.pop()
    return ",".join(pieces)


_COMMENTS = st.text(st.characters(exclude_characters='"\n\r\0', exclude_categories=["Cs"]), max_size=60) | st.sampled_from(
    ("", " ", "x" * 255, "ä" * 127, "a \\ b", "tab\there", "timeout 5", "#no")
)  # fmt: skip
_OPTION_VALUES: dict[str, st.SearchStrategy[Any]] = {
    "timeout": st.sampled_from((0, 60, 3600, _TIMEOUT)) | st.integers(30, _TIMEOUT),
    "packets": st.sampled_from((0, 1, _COUNTER)) | st.integers(0, _COUNTER),
    "bytes": st.sampled_from((0, 1, _COUNTER)) | st.integers(0, _COUNTER),
    "comment": _COMMENTS.filter(lambda text: len(text.encode()) <= 255),
    "skbmark": st.tuples(st.integers(0, _WORD), st.sampled_from((0, 0xFF, _WORD))) | st.just((0, 0)),
    "skbprio": st.tuples(st.sampled_from((0, 1, 0xFFFF)), st.integers(0, 0xFFFF)),
    "skbqueue": st.sampled_from((0, 1, 65535)),
    "nomatch": st.just(True),
    "wildcard": st.just(True),
}
_NEEDS: dict[str, Callable[[Set], bool]] = {
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
    """Any of the options that entries of the set have, but for before and after."""
    usable = [name for name in of.set_type.entry_options if name in _OPTION_VALUES]
    found = {}
    for name in usable:
        enabled = _NEEDS[name](of) if name in _NEEDS else True
        if (wildcard or name != "wildcard") and enabled and draw(st.integers(0, 2)) == 0:
            found[name] = draw(_OPTION_VALUES[name])
    return found


@st.composite
def entries(draw: st.DrawFn, of: Set, *, members: Sequence[str] = ("m1", "m2", "m3"), wildcard: bool = True) -> Entry:
    """Entries of the set, nearly all of which it takes: host bits set, ranges in either order, ports of every kind, options.

    `members` are the sets that a list may have.
    """
    return Entry(draw(_texts(of, members)), **draw(entry_options(of, wildcard=wildcard)))


_WRONG_TEXTS: dict[Part, Sequence[str]] = {
    Part.ADDRESS: ("0.0.0.0", "::", "10.0.0.0-10.0.0.9", "10.0.0.0/30", "255.255.255.255", "2001:db8::1", "2001:db8::/126", "0.0.0.0-0.0.0.3"),
    Part.NET: ("0.0.0.0/0", "::/0", "0.0.0.0-255.255.255.255", "10.0.0.0/33", "2001:db8::1/64", "10.0.0.0-10.0.0.255", "2001:db8::1-2001:db8::9"),
    Part.PORT: ("0:0", "ip:0", "tcp:1-70000", "icmp:1-5", "gre:5", "tcp", "256:1"),
    Part.NUMBER: ("70000", "0-65535", "0", "65535", "-1"),
    Part.MARK: ("4294967296", "-1", "x"),
    Part.MAC: ("00:00:00:00:00:00", "02:00:00:00:00"),
    Part.INTERFACE: ("sixteen-bytes-xx", "physdev:sixteen-bytes-xx", ""),
    Part.SET: ("nosuchset", "s", "x" * 32),
}  # fmt: skip


@st.composite
def wrong_entries(draw: st.DrawFn, of: Set, *, members: Sequence[str] = ("m1", "m2", "m3")) -> Entry:
    """Entries that something is often wrong with: a part, too many or too few of them, an option that the set does not have."""
    pieces = draw(_texts(of, members)).split(",")
    parts = of.set_type.parts
    form = draw(st.integers(0, 4))
    if form <= 2:
        place = draw(st.integers(0, len(pieces) - 1))
        pieces[place] = draw(st.sampled_from(list(_WRONG_TEXTS[parts[place]])))
    elif form == 3:
        pieces = [*pieces, "10.0.0.9"] if draw(st.booleans()) else pieces[:-1] or ["x"]
    options = draw(entry_options(of))
    if form == 4:
        name = draw(st.sampled_from(sorted(_OPTION_VALUES)))
        options[name] = draw(_OPTION_VALUES[name])
    return Entry(",".join(pieces), **options)


def refused(of: Set, entry: Entry) -> ik.InvalidEntry | None:
    """Why no set like this can hold the entry, as far as can be told without asking a kernel."""
    from ipvskit.sets.elements import Elements

    try:
        Elements(of, [entry])
    except ik.InvalidEntry as error:
        return error
    return None
