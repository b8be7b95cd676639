"""The types of sets: one table.

Knows: what each type is made of, which options it has, and which kernel revision brought what. Must not know: sets, elements, netlink.

Sources: ipset(8), `IPSET_TYPE_REV_*` in net/netfilter/ipset of the kernel, and the tool itself (`ipset help TYPE`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType
from typing import TYPE_CHECKING

from ipvskit.errors import InvalidConfig
from ipvskit.model.address import Family

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

__all__ = ["SET_TYPES", "SYNTAX_FEATURES", "Part", "SetType", "type_table"]


class Part(IntEnum):
    """What an element is made of; the numbers are those of `enum ik_part` in csrc/ik_shape.h."""

    ADDRESS = 1
    NET = 2
    PORT = 3
    NUMBER = 4
    MARK = 5
    MAC = 6
    INTERFACE = 7
    SET = 8


#: What revisions added to the syntax of entries, all of it of 2012 or earlier: there is no tool left that lacks it.
SYNTAX_FEATURES = ("sctp", "ranges", "nomatch", "zero prefix")

_BOTH = (Family.IPV4, Family.IPV6)
_MASKS = ("netmask", "bitmask")
_ENTRY = ("timeout", "packets", "bytes", "comment", "skbmark", "skbprio", "skbqueue")


_FEATURES = {
    Part.ADDRESS: "address",
    Part.NET: "address",
    Part.PORT: "port",
    Part.NUMBER: "port",
    Part.MARK: "mark",
    Part.MAC: "mac",
    Part.INTERFACE: "interface",
    Part.SET: "set",
}


@dataclass(frozen=True, slots=True, eq=False)
class SetType:
    """A type of sets, as linux/netfilter/ipset/ip_set.h and ipset(8) have it.

    `parts` are what an element is made of. `families` is empty where there are no addresses. `create_options` and `entry_options` are in the
    order of `ipset save`. `revisions` says since which revision of the kernel's type a feature is there; what it does not name was there from the
    beginning. `lowest` is the first revision that the ipset tool knows. `ranges`: the IPv4 addresses of an entry may be a range or a block.
    `zero_prefix`: networks may be /0. `no_null`: 0.0.0.0 and :: are refused. `mac_is_value`: the MAC may be missing and tells no entries apart.
    """

    name: str
    aliases: tuple[str, ...]
    parts: tuple[Part, ...]
    families: tuple[Family, ...]
    create_options: tuple[str, ...]
    entry_options: tuple[str, ...]
    revisions: Mapping[str, int]
    syntax: str
    meaning: str
    lowest: int = 0
    ranges: bool = False
    zero_prefix: bool = False
    no_null: bool = False
    mac_is_value: bool = False

    @staticmethod
    def of(name: str | SetType) -> SetType:
        """The type of this name or alias ("iphash"). Raises InvalidConfig."""
        if isinstance(name, SetType):
            return name
        found = _BY_NAME.get(name) if isinstance(name, str) else None
        if found is None:
            raise InvalidConfig("type", name, "one of " + ", ".join(SET_TYPES))
        return found

    def revision_of(self, feature: str) -> int:
        """The revision that brought the feature."""
        return self.revisions.get(feature, 0)

    @property
    def syntax_revision(self) -> int:
        """The revision that has all of the entry syntax (`SYNTAX_FEATURES`)."""
        return max(map(self.revision_of, SYNTAX_FEATURES))

    @property
    def features(self) -> frozenset[str]:
        """What the kernel compares before it swaps two sets (`IPSET_TYPE_*` in linux/netfilter/ipset/ip_set.h)."""
        found = {"nomatch"} & set(self.entry_options)
        for part in self.parts:
            name = _FEATURES[part]
            found.add(f"{name} 2" if name in found else name)
        return frozenset(found)

    def swaps_with(self, other: SetType, *, same_family: bool = True) -> bool:
        """Whether sets of these types can be swapped: they need not be of one type."""
        return same_family and self.features == other.features

    def __str__(self) -> str:
        return self.name

    def __reduce__(self) -> tuple[Callable[[str], SetType], tuple[str]]:
        return SetType.of, (self.name,)


def _hash_options(before: Iterable[str] = (), masks: Iterable[str] = (), last: Iterable[str] = ()) -> tuple[str, ...]:
    extensions = ("timeout", "counters", "comment", "forceadd", "skbinfo", "bucketsize", "initval")
    return (*before, "hashsize", "maxelem", *masks, *extensions, *last)


def _other_options(*before: str) -> tuple[str, ...]:
    return (*before, "timeout", "counters", "comment", "skbinfo")


def _entry_options(*own: str) -> tuple[str, ...]:
    return (_ENTRY[0], *own, *_ENTRY[1:])


def _since(first: int, *features: str, **others: int) -> Mapping[str, int]:
    """Features that came one after the other, a revision each, and `others`."""
    return MappingProxyType(others | {feature: first + number for number, feature in enumerate(features)})


_EXTENSIONS = ("counters", "comment", "skbinfo")
_LATER = ("counters", "comment", "forceadd", "skbinfo", "bucketsize")
_IFACE_SYNTAX = {"nomatch": 1, "zero prefix": 2}

_TYPES = (
    SetType(
        "bitmap:ip",
        ("ipmap",),
        (Part.ADDRESS,),
        (Family.IPV4,),
        _other_options("range", "netmask"),
        _entry_options(),
        _since(1, *_EXTENSIONS),
        "ip",
        "IPv4 addresses, or networks of one size, out of a range",
        ranges=True,
    ),
    SetType(
        "bitmap:ip,mac",
        ("macipmap",),
        (Part.ADDRESS, Part.MAC),
        (Family.IPV4,),
        _other_options("range"),
        _entry_options(),
        _since(1, *_EXTENSIONS),
        "ip[,mac]",
        "IPv4 addresses out of a range, each with a MAC address or with any",
        mac_is_value=True,
    ),
    SetType(
        "bitmap:port",
        ("portmap",),
        (Part.NUMBER,),
        (),
        _other_options("range"),
        _entry_options(),
        _since(1, *_EXTENSIONS),
        "port[-port]",
        "port numbers out of a range, of every protocol",
    ),
    SetType(
        "hash:ip",
        ("iphash",),
        (Part.ADDRESS,),
        _BOTH,
        _hash_options(["family"], masks=_MASKS),
        _entry_options(),
        _since(1, *_LATER, "bitmask"),
        "ip",
        "addresses, or networks of one size",
        ranges=True,
        no_null=True,
    ),
    SetType(
        "hash:mac",
        ("machash",),
        (Part.MAC,),
        (),
        _hash_options(),
        _entry_options(),
        _since(1, "bucketsize"),
        "mac",
        "MAC addresses",
    ),
    SetType(
        "hash:ip,mac",
        ("ipmachash",),
        (Part.ADDRESS, Part.MAC),
        _BOTH,
        _hash_options(["family"]),
        _entry_options(),
        _since(1, "bucketsize"),
        "ip,mac",
        "pairs of an address and a MAC address",
    ),
    SetType(
        "hash:ip,mark",
        ("ipmarkhash",),
        (Part.ADDRESS, Part.MARK),
        _BOTH,
        _hash_options(["family", "markmask"]),
        _entry_options(),
        _since(1, "forceadd", "skbinfo", "bucketsize"),
        "ip,mark",
        "pairs of an address and a packet mark",
        ranges=True,
    ),
    SetType(
        "hash:ip,port",
        ("ipporthash",),
        (Part.ADDRESS, Part.PORT),
        _BOTH,
        _hash_options(["family"], last=_MASKS),
        _entry_options(),
        _since(1, "sctp", *_LATER, "bitmask", netmask=7),
        "ip,[proto:]port",
        "pairs of an address, or a network of one size, and a port",
        lowest=1,
        ranges=True,
    ),
    SetType(
        "hash:ip,port,ip",
        ("ipportiphash",),
        (Part.ADDRESS, Part.PORT, Part.ADDRESS),
        _BOTH,
        _hash_options(["family"]),
        _entry_options(),
        _since(1, "sctp", *_LATER),
        "ip,[proto:]port,ip",
        "an address, a port and another address",
        lowest=1,
        ranges=True,
    ),
    SetType(
        "hash:ip,port,net",
        ("ipportnethash",),
        (Part.ADDRESS, Part.PORT, Part.NET),
        _BOTH,
        _hash_options(["family"]),
        _entry_options("nomatch"),
        _since(1, "sctp", "ranges", "nomatch", *_LATER),
        "ip,[proto:]port,ip[/cidr]",
        "an address, a port and a network",
        lowest=1,
        ranges=True,
    ),
    SetType(
        "hash:net",
        ("nethash",),
        (Part.NET,),
        _BOTH,
        _hash_options(["family"]),
        _entry_options("nomatch"),
        _since(1, "ranges", "nomatch", *_LATER),
        "ip[/cidr]",
        "networks of all sizes",
        ranges=True,
    ),
    SetType(
        "hash:net,net",
        ("netnethash",),
        (Part.NET, Part.NET),
        _BOTH,
        _hash_options(["family"], last=reversed(_MASKS)),
        _entry_options("nomatch"),
        _since(1, "forceadd", "skbinfo", "bucketsize", "bitmask", netmask=4),
        "ip[/cidr],ip[/cidr]",
        "pairs of networks",
        ranges=True,
    ),
    SetType(
        "hash:net,port",
        ("netporthash",),
        (Part.NET, Part.PORT),
        _BOTH,
        _hash_options(["family"]),
        _entry_options("nomatch"),
        _since(1, "sctp", "ranges", "nomatch", *_LATER),
        "ip[/cidr],[proto:]port",
        "pairs of a network and a port",
        lowest=1,
        ranges=True,
    ),
    SetType(
        "hash:net,port,net",
        ("netportnethash",),
        (Part.NET, Part.PORT, Part.NET),
        _BOTH,
        _hash_options(["family"]),
        _entry_options("nomatch"),
        _since(1, "forceadd", "skbinfo", "bucketsize"),
        "ip[/cidr],[proto:]port,ip[/cidr]",
        "a network, a port and another network",
        ranges=True,
        zero_prefix=True,
    ),
    SetType(
        "hash:net,iface",
        ("netifacehash",),
        (Part.NET, Part.INTERFACE),
        _BOTH,
        _hash_options(["family"]),
        _entry_options("nomatch", "wildcard"),
        _since(3, "counters", "comment", "forceadd", "skbinfo", "wildcard", "bucketsize", **_IFACE_SYNTAX),
        "ip[/cidr],[physdev:]iface",
        "pairs of a network and a network interface",
        ranges=True,
        zero_prefix=True,
    ),
    SetType(
        "list:set",
        ("setlist",),
        (Part.SET,),
        (),
        _other_options("size"),
        _entry_options("before", "after"),
        _since(1, *_EXTENSIONS),
        "set",
        "other sets, in order",
    ),
)

#: Every type by its name.
SET_TYPES: Mapping[str, SetType] = {each.name: each for each in _TYPES}
_BY_NAME = {name: each for each in _TYPES for name in (each.name, *each.aliases)}

_INET = {Family.IPV4: "inet", Family.IPV6: "inet6"}


def type_table() -> str:
    """The table of all types as Markdown, for the documentation."""
    columns = ("type", "entries", "parts", "families", "create options", "entry options", "revision that brought it")
    lines = [columns, ("---",) * len(columns), *map(_cells, _TYPES)]
    return "".join("| " + " | ".join(cells) + " |\n" for cells in lines)


def _cells(kind: SetType) -> tuple[str, ...]:
    aliases = f" ({', '.join(f'`{alias}`' for alias in kind.aliases)})"
    revisions = sorted(kind.revisions.items(), key=lambda item: item[1])
    return (
        f"`{kind.name}`{aliases}",
        f"`{kind.syntax}`: {kind.meaning}",
        ", ".join(part.name.lower() for part in kind.parts),
        ", ".join(_INET[family] for family in kind.families) or "none",
        ", ".join(kind.create_options),
        ", ".join(kind.entry_options),
        ", ".join(f"{number} {feature}" for feature, number in revisions),
    )
