"""One set as it must be, in plain Python.

Knows: what the kernel's source says of elements, their options and tests. Must not know: the client, netlink, other sets, how texts are parsed
(entries come with what they stand for).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Any

import ipvskit as ik
from ipvskit.model.address import Family
from ipvskit.model.settype import Part, SetType

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["Held", "Kept", "Key", "Outcome", "RefusedError", "Written", "defaults", "distinct", "options_of", "table"]

#: What tells elements apart: a text for each part, but for a MAC that is only a value.
Key = tuple[str, ...]


class RefusedError(Exception):
    """The call must raise exactly this kind."""

    def __init__(self, kind: type[Exception]) -> None:
        super().__init__(kind)
        self.kind = kind


@dataclass(frozen=True)
class Written:
    """An entry as it is written: its parts, the elements that they stand for (in the kernel's order), and its options.

    `wrong` is what the call raises for it whatever the set holds; `missing` says that it names a set that is not there.
    """

    text: str
    keys: tuple[Key, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    wrong: type[Exception] | None = None

    @property
    def several(self) -> bool:
        """Whether it is written as a range or a block."""
        return len(self.keys) > 1


@dataclass
class Kept:
    """What a set keeps with an element."""

    mac: str = ""
    timeout: int | None = None
    packets: int | None = None
    bytes: int | None = None
    comment: str | None = None
    skbmark: tuple[int, int] | None = None
    skbprio: tuple[int, int] | None = None
    skbqueue: int | None = None
    nomatch: bool = False
    wildcard: bool = False


@dataclass
class Outcome:
    """What a bulk call must report."""

    done: int = 0
    already: list[int] = field(default_factory=list)
    failures: list[tuple[int, type[Exception]]] = field(default_factory=list)
    stopped: bool = False


@dataclass
class Held:
    """A set: its contents travel with it when it is swapped, its index does not."""

    of: ik.Set
    revision: int
    kept: dict[Key, Kept] = field(default_factory=dict)
    #: Bitmaps do not forget the counters of elements that are gone.
    ghosts: dict[Key, tuple[int | None, int | None]] = field(default_factory=dict)

    @property
    def kind(self) -> SetType:
        return self.of.set_type

    @property
    def features(self) -> tuple[object, ...]:
        """What must agree for a swap."""
        alike = {Part.NET: Part.ADDRESS, Part.NUMBER: Part.PORT}
        parts = sorted(alike.get(part, part) for part in self.kind.parts)
        return (*parts, Part.NET in self.kind.parts, self.of.family)

    @property
    def masked(self) -> bool:
        return self.of.netmask is not None or self.of.bitmask is not None

    # --- elements -------------------------------------------------------------------------------------------------------------------

    def keys(self, written: Written) -> list[Key]:
        """What the entry stands for in this set."""
        return list(dict.fromkeys(self._cut(key) for key in written.keys))

    def _cut(self, key: Key) -> Key:
        pieces = list(key[:1] if self.kind.mac_is_value else key)
        for place, part in enumerate(self.kind.parts[: len(pieces)]):
            if part is Part.ADDRESS and place == 0 and self.masked:
                pieces[place] = self._cut_address(pieces[place])
            elif part is Part.NET and self.masked:
                network = ip_network(pieces[place])
                base = type(network.network_address)(int(network.network_address) & self._mask())
                cut = ip_network((base, network.prefixlen), strict=False)
                pieces[place] = str(base) if network.prefixlen == network.max_prefixlen else str(cut)
            elif part is Part.MARK and self.of.markmask is not None:
                pieces[place] = f"0x{int(pieces[place], 16) & self.of.markmask:08x}"
        return tuple(pieces)

    def _cut_address(self, text: str) -> str:
        address = ip_address(text)
        cut = type(address)(int(address) & self._mask())
        mapped = getattr(cut, "ipv4_mapped", None)
        return f"::ffff:{mapped}" if mapped else str(cut)

    def _mask(self) -> int:
        if self.of.bitmask is not None:
            return int(self.of.bitmask)
        width = 128 if self.of.family is Family.IPV6 else 32
        return (1 << width) - (1 << (width - (self.of.netmask or 0)))

    def find(self, key: Key) -> Key | None:
        """The element that counts as this one: where a name of interfaces is a wildcard, it stands for all that begin with it."""
        if key in self.kept or Part.INTERFACE not in self.kind.parts:
            return key if key in self.kept else None
        for other, kept in self.kept.items():
            if other[0] == key[0] and kept.wildcard and key[1].startswith(other[1]):
                return other
        return None

    def refuses(self, options: Mapping[str, Any]) -> bool:
        """Whether the set was created without what these options need."""
        lacks = {"timeout": self.of.timeout is None, "packets": not self.of.counters, "bytes": not self.of.counters}
        lacks |= {"comment": not self.of.comment}
        lacks |= dict.fromkeys(("skbmark", "skbprio", "skbqueue"), not self.of.skbinfo)
        return any(lacks.get(name, False) for name in options)

    def outside(self, key: Key) -> bool:
        """Whether a bitmap has no place for it."""
        if self.of.range is None:
            return False
        return (ip_address(key[0]) if self.kind.families else int(key[0])) not in self.of.range  # type: ignore[operator]

    def put(self, key: Key, written: Written, mac: str = "", *, exist: bool) -> bool:
        """Add one element; False if it is there already. Raises RefusedError."""
        found = self.find(key)
        if found is None:
            if self.of.maxelem is not None and len(self.kept) >= self.of.maxelem:
                raise RefusedError(ik.SetFull)
            kept = self.kept[key] = Kept(mac=mac, wildcard=bool(written.options.get("wildcard")))
            kept.packets, kept.bytes = self.ghosts.get(key, (0, 0)) if self.of.counters else (None, None)
        else:
            kept = self.kept[found]
            # To an element whose MAC is not known one can be given at any time.
            if not exist and (kept.mac or not mac):
                return False
            kept.mac = mac or kept.mac
        self._extend(kept, written.options)
        return True

    def _extend(self, kept: Kept, options: Mapping[str, Any]) -> None:
        """All that is not given is gone or the default again, but for counters."""
        kept.timeout = options.get("timeout", self.of.timeout)
        if self.of.counters:
            kept.packets, kept.bytes = options.get("packets", kept.packets), options.get("bytes", kept.bytes)
        kept.comment = options.get("comment") or None
        kept.skbmark = options.get("skbmark")
        kept.skbprio = options.get("skbprio")
        kept.skbqueue = options.get("skbqueue")
        kept.nomatch = bool(options.get("nomatch"))

    def drop(self, key: Key) -> bool:
        """Delete one element; False if it is not there."""
        found = self.find(key)
        if found is None:
            return False
        kept = self.kept.pop(found)
        if self.of.range is not None and self.of.counters:
            self.ghosts[found] = kept.packets, kept.bytes
        return True

    def move_last(self, place: int) -> None:
        """The last member of a list gets another place."""
        found = list(self.kept.items())
        found.insert(place, found.pop())
        self.kept = dict(found)

    def flush(self) -> None:
        for key in list(self.kept):
            self.drop(key)

    def matches(self, written: Written) -> bool:
        """What a test says: a host is looked for in every network, the smallest first, and exceptions match as such only."""
        key = self.keys(written)[0]
        found = self._holding(key)
        if found is None:
            return False
        kept = self.kept[found]
        mac = self.mac_of(written)
        if mac and kept.mac and mac != kept.mac:
            return False
        return kept.nomatch == bool(written.options.get("nomatch"))

    def _holding(self, key: Key) -> Key | None:
        nets = [place for place, part in enumerate(self.kind.parts) if part is Part.NET]
        if not nets or any("/" in key[place] for place in nets):
            return self.find(key)
        iface = Part.INTERFACE in self.kind.parts
        candidates = [
            other
            for other in self.kept
            if all(ip_address(key[place]) in ip_network(other[place]) for place in nets)
            and all(key[place] == other[place] for place in range(len(key)) if place not in nets and not iface)
            # Once a network has a port of a bridge, or one that is none, the kernel looks no further, even if it is another one.
            and (not iface or key[1].startswith("physdev:") == other[1].startswith("physdev:"))
        ]
        sizes = {other: [ip_network(other[place]).prefixlen for place in nets] for other in candidates}
        best = max(candidates, key=sizes.__getitem__, default=None)
        return self.find((best[0], key[1])) if best is not None and iface else best

    def mac_of(self, written: Written) -> str:
        """The MAC that an entry gives to its elements."""
        key = written.keys[0]
        return key[1] if self.kind.mac_is_value and len(key) > 1 else ""

    def copy(self) -> Held:
        return replace(self, kept={key: replace(kept) for key, kept in self.kept.items()}, ghosts=dict(self.ghosts))


def defaults(of: ik.Set) -> ik.Set:
    """With the sizes that the kernel takes where none are stated, as it lists them."""
    values = options_of(of)
    for name, value in (("hashsize", 1024), ("maxelem", 65536), ("size", 8)):
        if name in of.set_type.create_options and values[name] is None:
            values[name] = value
    if "markmask" in of.set_type.create_options and values["markmask"] is None:
        values["markmask"] = 0xFFFFFFFF
    if values["netmask"] == (128 if of.family is Family.IPV6 else 32):
        values["netmask"] = None
    return ik.Set(of.name, **values)


def options_of(of: ik.Set) -> dict[str, Any]:
    return {name: getattr(of, name) for name in ik.Set.__slots__ if name not in {"name", "entries"}}


def table(held: Held | None, entries: Iterable[Written]) -> list[Written]:
    """As a table has them: each element once, in the order of arrival, with the options that came last."""
    found: dict[Key, Written] = {}
    for written in entries:
        for key in held.keys(written) if held is not None else written.keys:
            identity = key[:1] if held is not None and held.kind.mac_is_value else key
            whole = (*identity, *written.keys[0][1:]) if held is not None and held.kind.mac_is_value else key
            found[identity] = replace(written, keys=(whole,))
    return list(found.values())


def distinct(held: Held, some: Sequence[Written]) -> list[Written]:
    """Entries of which none has an element of another, and none if only some of them may fit."""
    seen: set[tuple[str, ...]] = set()
    found = []
    for each in some if (held.of.maxelem or 65536) == 65536 else ():
        keys = set(held.keys(each))
        if not keys & seen:
            found.append(each)
            seen |= keys
    return found
