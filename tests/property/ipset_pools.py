"""Few names, sets and entries, so that calls meet what others made; each entry with what it stands for.

Knows: how entries are written, and in which order the kernel goes through ranges. Must not know: the client, what a set holds.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

import ipvskit as ik
from ipvskit.model.address import Family
from ipvskit.model.settype import SET_TYPES, Part
from tests.property.ipset_held import Held, Written

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["MISSING", "NAMES", "definitions", "hosts", "plain", "written"]

NAMES = ("a", "b", "c", "web-allow", "x" * 31)
#: For a set that is not there.
MISSING = Written("10.0.0.1", (("10.0.0.1",),))

_Pool = dict[str, tuple[str, ...]]
_ADDRESSES: dict[Family, _Pool] = {
    Family.IPV4: {
        "10.0.0.1": ("10.0.0.1",),
        "10.0.0.2": ("10.0.0.2",),
        "10.0.0.9": ("10.0.0.9",),
        "10.0.0.1-10.0.0.3": ("10.0.0.1", "10.0.0.2", "10.0.0.3"),
        "10.0.0.8/30": ("10.0.0.8", "10.0.0.9", "10.0.0.10", "10.0.0.11"),
        "10.0.0.3/31": ("10.0.0.2", "10.0.0.3"),
    },
    Family.IPV6: {text: (text,) for text in ("2001:db8::1", "2001:db8::2", "::ffff:10.0.0.1")},
}
_NETS: dict[Family, _Pool] = {
    Family.IPV4: {
        "10.0.0.1": ("10.0.0.1",),
        "10.0.0.0/24": ("10.0.0.0/24",),
        "10.0.0.77/25": ("10.0.0.0/25",),
        "10.0.0.2/31": ("10.0.0.2/31",),
        "10.0.0.0-10.0.0.2": ("10.0.0.0/31", "10.0.0.2"),
    },
    Family.IPV6: {
        "2001:db8::1": ("2001:db8::1",),
        "2001:db8::/32": ("2001:db8::/32",),
        "2001:db8::5/64": ("2001:db8::/64",),
    },
}
_PORTS: dict[Family, _Pool] = {
    Family.IPV4: {
        "tcp:80": ("tcp:80",),
        "80": ("tcp:80",),
        "udp:53-54": ("udp:53", "udp:54"),
        "icmp:8/0": ("icmp:echo-request",),
        "gre:0": ("gre:0",),
    },
    Family.IPV6: {
        "tcp:80": ("tcp:80",),
        "sctp:0": ("sctp:0",),
        "udp:53-54": ("udp:53", "udp:54"),
        "icmpv6:128/0": ("ipv6-icmp:echo-request",),
    },
}
_OTHERS: dict[Part, _Pool] = {
    Part.NUMBER: {"80": ("80",), "tcp:81": ("81",), "80-82": ("80", "81", "82"), "89-88": ("88", "89")},
    Part.MARK: {"1": ("0x00000001",), "0x11": ("0x00000011",)},
    Part.MAC: {text.lower(): (text,) for text in ("02:00:00:00:00:0A", "02:00:00:00:00:0B")},
    Part.INTERFACE: {text: (text,) for text in ("eth0", "physdev:eth0", "br")},
    Part.SET: {text: (text,) for text in (*NAMES, "nosuch")},
}
_MANY = frozenset({Part.ADDRESS, Part.NET, Part.PORT})
_VALUES: dict[str, Sequence[Any]] = {
    "timeout": (0, 1000, 3000),
    "packets": (0, 7),
    "bytes": (0, 2**64 - 2),
    "comment": ("one", 'say "two"', ""),
    "skbmark": ((1, 255), (7, 2**32 - 1)),
    "skbprio": ((1, 16),),
    "skbqueue": (5,),
    "nomatch": (True,),
}


def _pool(of: ik.Set, part: Part) -> _Pool:
    family = of.family or Family.IPV4
    if part is Part.NET and of.set_type.zero_prefix:
        zero = "::/0" if family is Family.IPV6 else "0.0.0.0/0"
        return _NETS[family] | {zero: (zero,)}
    by_family = {Part.ADDRESS: _ADDRESSES, Part.NET: _NETS, Part.PORT: _PORTS}
    return by_family[part][family] if part in by_family else _OTHERS[part]


def _one_address(of: ik.Set, place: int, part: Part) -> bool:
    """Whether a range cannot stand here."""
    kind = of.set_type
    masked = of.bitmask is not None or (part is Part.NET and of.netmask is not None)
    return (part is Part.ADDRESS and (place > 0 or not kind.ranges)) or (masked and part is not Part.PORT)


@st.composite
def _parts(draw: st.DrawFn, of: ik.Set, *, single: bool = False) -> tuple[str, tuple[tuple[str, ...], ...]]:
    texts, values = [], []
    lone = draw(st.integers(0, 3)) == 0
    for place, part in enumerate(of.set_type.parts):
        pool = _pool(of, part)
        if part in _MANY | {Part.NUMBER} and (single or _one_address(of, place, part)):
            pool = {text: found for text, found in pool.items() if len(found) == 1}
        if part is Part.NET and single and not lone:
            # What packets have: it is to be found in networks.
            pool = {text: found for text, found in pool.items() if "/" not in text}
        text = draw(st.sampled_from(sorted(pool)))
        texts.append(text)
        values.append(pool[text])
    if of.set_type.mac_is_value and draw(st.booleans()):
        texts.pop()
        values.pop()
    keys = tuple(itertools.product(*values))
    if len(keys) > 1 and "0.0.0.0/0" in texts:
        return draw(_parts(of, single=single))  # everything and a range in one entry are refused
    return ",".join(texts), keys


def _outside(of: ik.Set) -> Written | None:
    """What a bitmap has no place for."""
    if of.range is None:
        return None
    text = "10.0.1.1" if of.set_type.families else "8080"
    return Written(text, ((text,),))


_WRONG = ("10.0.0.300 with what", "10.0.0.1 timeout 9999999", "x" * 40, "")


@st.composite
def written(draw: st.DrawFn, held: Held, *, table: bool = False) -> Written:
    """Entries of the set: nearly all are good. With `table`, those that can be in a table."""
    of = held.of
    chance = draw(st.integers(0, 19))
    if chance == 0:
        return Written(draw(st.sampled_from(_WRONG)), wrong=ik.InvalidEntry)
    outside = _outside(of)
    if chance == 1 and outside is not None:
        return outside
    text, keys = draw(_parts(of))
    usable = [name for name in of.set_type.entry_options if name in _VALUES and not held.refuses({name: 0})]
    if chance == 2 and not table and not held.masked:
        usable = [name for name in of.set_type.entry_options if held.refuses({name: 0})][:1] or usable
    options = {name: draw(st.sampled_from(_VALUES[name])) for name in usable if draw(st.integers(0, 2)) == 0}
    if text.endswith(",br"):
        options["wildcard"] = True
    if of.type == "list:set" and not table and draw(st.integers(0, 2)) == 0:
        near = draw(st.sampled_from([name for name in NAMES if name != text]))
        options[draw(st.sampled_from(["before", "after"]))] = near
    return Written(text, keys, options)


@st.composite
def hosts(draw: st.DrawFn, held: Held) -> Written:
    """Entries to test for."""
    if draw(st.integers(0, 19)) == 0:
        return Written(draw(st.sampled_from(_WRONG)), wrong=ik.InvalidEntry)
    text, keys = draw(_parts(held.of, single=True))
    if text.endswith(",br"):
        text, keys = text + "7", ((keys[0][0], "br7"),)
    nomatch = "nomatch" in held.kind.entry_options and draw(st.integers(0, 5)) == 0
    return Written(text, keys, {"nomatch": True} if nomatch else {})


def plain(entry: Written) -> Any:
    """As a user gives it."""
    return entry.text if entry.wrong else ik.Entry(entry.text, **entry.options)


_CREATE: dict[str, Sequence[Any]] = {
    "hashsize": (64, 100),
    "maxelem": (2, 3, 4),
    "bucketsize": (4, 12),
    "initval": (5,),
    "markmask": (0xF, 0xFFFFFFFF),
    "size": (4,),
    "timeout": (0, 600, 2000),
    "counters": (True,),
    "comment": (True,),
    "skbinfo": (True,),
    "forceadd": (True,),
}


@st.composite
def definitions(draw: st.DrawFn, name: str, types: Mapping[str, int]) -> ik.Set:
    """Sets of the types that the kernel has, now and then with something that it lacks."""
    kind = SET_TYPES[draw(st.sampled_from(sorted(types)))]
    family = draw(st.sampled_from(kind.families)) if kind.families else None
    options: dict[str, Any] = {
        option: draw(st.sampled_from(_CREATE[option]))
        for option in kind.create_options
        if option in _CREATE and draw(st.integers(0, 2)) == 0
    }
    if "netmask" in kind.create_options and draw(st.integers(0, 2)) == 0:
        options["netmask"] = 126 if family is Family.IPV6 else draw(st.sampled_from((30, 31, 32)))
    elif "bitmask" in kind.create_options and draw(st.integers(0, 5)) == 0:
        options["bitmask"] = "ffff::ffff:ffff:ffff" if family is Family.IPV6 else "255.0.0.3"
    if "range" in kind.create_options:
        options["range"] = "10.0.0.0-10.0.0.31" if kind.families else "80-90"
    if options.get("forceadd"):
        options.pop("maxelem", None)  # which element has to go is the kernel's secret
    if kind.mac_is_value:
        options.pop(
            "timeout", None
        )  # without a MAC it does not run, and what then happens is told by the differential tests
    return ik.Set(name, kind, family=family, **options)
