"""The set types: what each is made of, and its revisions by kernel release.

Knows: dimensions, features, policies, revisions. Must not know: sets, requests.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from ipvskit.testing.fake.ipset.attributes import NEST, U8, U16, U32, U64, Kind, Rule
from ipvskit.testing.fake.ipset.names import INET, UNSPEC, Data, Elem, Make

if TYPE_CHECKING:
    from ipvskit.testing.fake.releases import Release

#: Since when hash types can be told the size of their buckets, and the masks that 6.2 brought.
BUCKETSIZE, BITMASK = (5, 11), (6, 2)
#: 5.10.46 does not do these yet, 6.1.176 does; in which release between they came was not tried.
DESTROY_MISSING, RANGE_FROM_LOWEST = (5, 11), (5, 15)

_COMMON: dict[int, Rule] = {
    Data.TIMEOUT: U32,
    Data.LINENO: U32,
    Elem.BYTES: U64,
    Elem.PACKETS: U64,
    Elem.COMMENT: Rule(Kind.NUL_STRING, 255),
    Elem.SKBMARK: U64,
    Elem.SKBPRIO: U32,
    Elem.SKBQUEUE: U16,
}
_IP: dict[int, Rule] = {Data.IP: NEST}
_IP_RANGE: dict[int, Rule] = {Data.IP: NEST, Data.IP_TO: NEST, Data.CIDR: U8}
_IP2_RANGE: dict[int, Rule] = {Elem.IP2: NEST, Elem.IP2_TO: NEST, Elem.CIDR2: U8}
_PORT: dict[int, Rule] = {Data.PORT: U16, Data.PORT_TO: U16}
_PROTO: dict[int, Rule] = {Data.PROTO: U8}
_ETHER: dict[int, Rule] = {Elem.ETHER: Rule(Kind.BINARY, 6)}
_FLAGS: dict[int, Rule] = {Data.CADT_FLAGS: U32}
_MEMBER: dict[int, Rule] = {Elem.NAME: Rule(Kind.STRING, 32), Elem.NAMEREF: Rule(Kind.STRING, 32)}

#: Bits that must agree for a swap.
F_IP, F_PORT, F_MAC, F_IP2, F_NAME, F_IFACE, F_MARK, F_NOMATCH, F_LAST = (1 << bit for bit in range(9))


@dataclass(frozen=True)
class SetType:
    """One type. `revisions` are its highest on 6.2 and later, `older` on what came before 6.2."""

    name: str
    revisions: int
    older: int
    features: int
    family: int = UNSPEC

    @cached_property
    def method(self) -> str:
        """`hash`, `bitmap` or `list`."""
        return self.name.split(":")[0]

    @cached_property
    def parts(self) -> tuple[str, ...]:
        """The dimensions."""
        return tuple(self.name.split(":")[1].split(","))

    @cached_property
    def first(self) -> str:
        """`ip` or `net`, or nothing where the first dimension is no address."""
        return self.parts[0] if self.parts[0] in {"ip", "net"} else ""

    @cached_property
    def second(self) -> str:
        """The same of the second address."""
        return self.parts[-1] if len(self.parts) > 1 and self.parts[-1] in {"ip", "net"} else ""

    @cached_property
    def nets(self) -> tuple[int, ...]:
        """Which addresses are networks: 0 is the first, 1 the second."""
        return tuple(number for number, part in enumerate((self.first, self.second)) if part == "net")

    @cached_property
    def zero_cidr(self) -> bool:
        """Whether networks may be the whole address space."""
        return self.name in {"hash:net,port,net", "hash:net,iface"}

    @cached_property
    def masked(self) -> bool:
        """Whether addresses can be cut down by NETMASK or BITMASK, on the newest kernels."""
        return self.name in {"hash:ip", "hash:ip,port", "hash:net,net"}

    def bitmask(self, release: Release) -> bool:
        """Whether BITMASK is known."""
        return self.masked and release.since(BITMASK)

    def netmask(self, release: Release) -> bool:
        """Whether NETMASK is known."""
        return self.name == "hash:ip" or self.bitmask(release)

    def last_revision(self, release: Release) -> int:
        """The highest revision."""
        if release.since(BITMASK):
            return self.revisions
        bucketsize = release.since(BUCKETSIZE) or self.method != "hash"
        return self.older if bucketsize else self.older - 1

    def create_policy(self, release: Release) -> dict[int, Rule]:
        """What DATA of a creation may hold."""
        policy: dict[int, Rule] = {Data.TIMEOUT: U32} | _FLAGS
        if self.method == "list":
            return policy | {Make.SIZE: U32}
        if self.method == "bitmap":
            own = _PORT if self.name == "bitmap:port" else _IP_RANGE
            return policy | own | ({Make.NETMASK: U8} if self.name == "bitmap:ip" else {})
        policy |= {Make.HASHSIZE: U32, Make.MAXELEM: U32, Make.BUCKETSIZE: U8, Make.RESIZE: U8}
        if release.since(BUCKETSIZE):
            policy[Make.INITVAL] = U32
        if self.name in {"hash:ip,port", "hash:net,port", "hash:net,iface"}:
            policy[Data.PROTO] = U8
        if "mark" in self.parts:
            policy[Data.MARKMASK] = U32
        if self.netmask(release):
            policy[Make.NETMASK] = U8
        if self.bitmask(release):
            policy[Data.BITMASK] = NEST
        return policy

    @cached_property
    def element_policy(self) -> dict[int, Rule]:
        """What DATA of an element may hold."""
        if self.method == "list":
            return _COMMON | _MEMBER | _FLAGS
        policy = _COMMON | (_ETHER if "mac" in self.parts else {})
        if self.name == "hash:ip,mac":
            policy = policy | {Elem.COMMENT: Rule(Kind.NUL_STRING, 0xFFFF)}  # longer ones are cut off
        if "port" in self.parts:
            policy = policy | _PORT | (_PROTO if self.method == "hash" else {})
        if self.first:
            policy = policy | (_IP if "mac" in self.parts else _IP_RANGE)
        if self.second:
            policy = policy | (_IP2_RANGE if self.second == "net" else {Elem.IP2: NEST})
        if "mark" in self.parts:
            policy = policy | {Data.MARK: U32}
        if "iface" in self.parts:
            policy = policy | {Elem.IFACE: Rule(Kind.NUL_STRING, 15)}
        return policy | (_FLAGS if self.nets else {})


TYPES = {
    one.name: one
    for one in (
        SetType("bitmap:ip", 3, 3, F_IP, INET),
        SetType("bitmap:ip,mac", 3, 3, F_IP | F_MAC, INET),
        SetType("bitmap:port", 3, 3, F_PORT),
        SetType("hash:ip", 6, 5, F_IP),
        SetType("hash:mac", 1, 1, F_MAC),
        SetType("hash:ip,mac", 1, 1, F_IP | F_MAC),
        SetType("hash:ip,mark", 3, 3, F_IP | F_MARK),
        SetType("hash:ip,port", 7, 6, F_IP | F_PORT),
        SetType("hash:ip,port,ip", 6, 6, F_IP | F_PORT | F_IP2),
        SetType("hash:ip,port,net", 8, 8, F_IP | F_PORT | F_IP2 | F_NOMATCH),
        SetType("hash:net", 7, 7, F_IP | F_NOMATCH),
        SetType("hash:net,net", 4, 3, F_IP | F_IP2 | F_NOMATCH),
        SetType("hash:net,port", 8, 8, F_IP | F_PORT | F_NOMATCH),
        SetType("hash:net,port,net", 3, 3, F_IP | F_PORT | F_IP2 | F_NOMATCH),
        SetType("hash:net,iface", 8, 8, F_IP | F_IFACE | F_NOMATCH),
        SetType("list:set", 3, 3, F_NAME | F_LAST),
    )
}
