"""Elements of hash types: what a request's attributes mean, expanded into single elements.

Knows: which attributes each hash type wants, in which order the kernel checks them, ranges. Must not know: what a set holds.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from ipvskit.testing.fake.ipset.attributes import Refused
from ipvskit.testing.fake.ipset.names import INET, Data, Elem, Error, Flag, HashError
from ipvskit.testing.fake.ipset.sets import EXTENSION_NUMBERS, Extensions, in_net_order, read_address
from ipvskit.testing.fake.ipset.types import RANGE_FROM_LOWEST

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ipvskit.testing.fake.ipset.attributes import Attributes
    from ipvskit.testing.fake.ipset.hashes import HashSet

_WITH_PORTS = frozenset({6, 17, 132, 136})
_ICMP, _ICMPV6 = 1, 58


class Element(NamedTuple):
    """What tells an element of a hash type from others."""

    ip: int = 0
    cidr: int = 0
    ip2: int = 0
    cidr2: int = 0
    port: int = 0
    proto: int = 0
    mark: int = 0
    mac: bytes = b""
    iface: bytes = b""
    physdev: bool = False


@dataclass(slots=True)
class Wanted:
    """What a request means: the elements, one by one, and what goes with each of them."""

    extensions: Extensions
    elements: Iterable[Element] = ()
    nomatch: bool = False
    wildcard: bool = False


@dataclass(slots=True)
class Reader:
    """Reads the attributes of one element. The order of its checks is the kernel's, so that the first error is the same."""

    held: HashSet
    given: Attributes
    testing: bool
    extensions: Extensions = field(default_factory=Extensions)
    ip: int = 0
    ip2: int = 0
    cidr: int = 0
    cidr2: int = 0

    @property
    def bits(self) -> int:
        """The width of an address."""
        return 32 if self.held.family == INET else 128

    def read(self) -> Wanted:
        """All of it. Raises Refused."""
        given, kind = self.given, self.held.kind
        self._presence()
        if self.bits == 128 and kind.first:
            self._no_ranges()
        self.cidr = self.cidr2 = self.bits
        try:
            self._addresses()
        except Refused:
            if kind.name == "hash:ip,mac":
                # The kernel joins two results by `||` here, and returns what is then no errno but 1.
                raise Refused(-1) from None
            raise
        if self.held.bitmask_of_ports and not self._masked(self.ip):
            raise Refused(errno.EINVAL)
        wanted = Wanted(self.extensions)
        part = Element(mac=self._mac(), mark=self._mark())
        self._networks()
        if "iface" in kind.parts:
            part = part._replace(iface=given[Elem.IFACE].text())
        ports, proto = self._ports()
        if kind.nets and Data.CADT_FLAGS in given:
            flags = given[Data.CADT_FLAGS].be()
            wanted.nomatch = bool(flags & Flag.NOMATCH)
            if "iface" in kind.parts:
                wanted.wildcard = bool(flags & Flag.WILDCARD)
                part = part._replace(physdev=bool(flags & Flag.PHYSDEV))
        if kind.name == "hash:ip" and not self._masked(self.ip):
            raise Refused(HashError.ELEM)
        whole = kind.name == "hash:net,net" and self.bits == 128 == self.cidr and kind.bitmask(self.held.around.release)
        if whole and not self._masked(self.ip):
            raise Refused(HashError.ELEM)
        if kind.name == "hash:ip,mark" and self.bits == 32 and not (part.mark or self.ip):
            raise Refused(HashError.ELEM)
        first, second = self._first(), self._second()
        wanted.elements = (
            part._replace(ip=ip, cidr=cidr, ip2=ip2, cidr2=cidr2, port=port, proto=proto)
            for ip, cidr in first
            for port in ports
            for ip2, cidr2 in second
        )
        if self.testing or len(first) == len(ports) == len(second) == 1:
            wanted.elements = [next(iter(wanted.elements))]
        return wanted

    def _presence(self) -> None:
        kind, given = self.held.kind, self.given
        needed: list[int] = [Data.IP] if kind.first else []
        needed += [Elem.IP2] if kind.second else []
        needed += [Data.PORT] if "port" in kind.parts else []
        needed += [Data.MARK] if "mark" in kind.parts else []
        needed += [Elem.IFACE] if "iface" in kind.parts else []
        if any(number not in given for number in needed):
            raise Refused(Error.PROTOCOL)
        in_net_order(given, Data.PORT, Data.PORT_TO, Data.MARK, Data.CADT_FLAGS)
        if "mac" in kind.parts and (Elem.ETHER not in given or len(given[Elem.ETHER].data) != 6):
            raise Refused(Error.PROTOCOL)
        if kind.name == "hash:ip,mac":
            in_net_order(given, *EXTENSION_NUMBERS)

    def _no_ranges(self) -> None:
        if Data.IP_TO in self.given:
            raise Refused(HashError.RANGE_UNSUPPORTED)
        if self.held.kind.first == "ip" and Data.CIDR in self.given and self.given[Data.CIDR].u8() != 128:
            raise Refused(Error.INVALID_CIDR)
        if Elem.IP2_TO in self.given and self.held.kind.name != "hash:ip,port,net":
            raise Refused(HashError.RANGE_UNSUPPORTED)

    def _addresses(self) -> None:
        held, given = self.held, self.given
        late = held.kind.name in {"hash:net,net", "hash:net,port,net"}
        if held.kind.first:
            self.ip = read_address(given[Data.IP], held.family)
        if late:
            self.ip2 = read_address(given[Elem.IP2], held.family)
        self.extensions = held.read_extensions(given)
        if held.kind.second and not late:
            self.ip2 = read_address(given[Elem.IP2], held.family)

    def _mac(self) -> bytes:
        if "mac" not in self.held.kind.parts:
            return b""
        mac = self.given[Elem.ETHER].data
        if not any(mac):
            raise Refused(HashError.ELEM)
        return mac

    def _mark(self) -> int:
        if "mark" not in self.held.kind.parts:
            return 0
        return self.given[Data.MARK].be() & self.held.markmask

    def _networks(self) -> None:
        kind = self.held.kind
        if kind.first == "net" and Data.CIDR in self.given:
            self.cidr = self._cidr(Data.CIDR)
        if kind.second == "net" and Elem.CIDR2 in self.given:
            self.cidr2 = self._cidr(Elem.CIDR2)

    def _cidr(self, number: int, *, zero: bool | None = None) -> int:
        cidr = self.given[number].u8()
        zero = self.held.kind.zero_cidr if zero is None else zero
        if cidr > self.bits or (not cidr and not zero):
            raise Refused(Error.INVALID_CIDR)
        return cidr

    def _ports(self) -> tuple[range, int]:
        if "port" not in self.held.kind.parts:
            return range(1), 0
        given = self.given
        if Data.PROTO not in given:
            raise Refused(HashError.MISSING_PROTO)
        proto = given[Data.PROTO].u8()
        if not proto:
            raise Refused(HashError.INVALID_PROTO)
        with_ports = proto in _WITH_PORTS
        icmp = _ICMP if self.bits == 32 else _ICMPV6
        port = given[Data.PORT].be() if with_ports or proto == icmp else 0
        if self.testing or Data.PORT_TO not in given or not (with_ports or self._any_range()):
            return range(port, port + 1), proto
        low, high = sorted((port, given[Data.PORT_TO].be()))
        return range(low, high + 1), proto

    def _any_range(self) -> bool:
        # Types with networks look at PORT_TO of any protocol, once something else makes them expand a range.
        kind = self.held.kind
        if self.bits == 128 or not kind.nets:
            return False
        by_cidr = kind.first == "ip" and Data.CIDR in self.given
        return Data.IP_TO in self.given or by_cidr or Elem.IP2_TO in self.given

    def _masked(self, ip: int) -> int:
        return ip & self.held.bitmask

    def _first(self) -> list[tuple[int, int]] | Networks | Addresses:
        kind, given, ip = self.held.kind, self.given, self.ip
        if not kind.first:
            return [(0, 0)]
        if kind.first == "net":
            return self._nets(ip, self.cidr, Data.IP_TO)
        ip = self._masked(ip)
        if self.testing or self.bits == 128 or not (Data.IP_TO in given or Data.CIDR in given):
            return [(ip, 0)]
        if Data.IP_TO in given:
            to = read_address(given[Data.IP_TO], INET)
            if ip > to and not to and (kind.name == "hash:ip" or (kind.name == "hash:ip,mark" and not self._mark())):
                raise Refused(HashError.ELEM)
            low, high = sorted((ip, to))
        else:
            cidr = self._cidr(Data.CIDR, zero=False)
            low = ip & mask(cidr, 32)
            high = low | ~mask(cidr, 32) & 0xFFFFFFFF
        # Older kernels begin with the address as it was given, in place of the lowest.
        begin = ip if kind.name == "hash:ip" and not self.held.around.release.since(RANGE_FROM_LOWEST) else low
        return Addresses(low, high, self.held.step, begin)

    def _second(self) -> list[tuple[int, int]] | Networks:
        kind = self.held.kind
        if kind.second == "net":
            return self._nets(self.ip2, self.cidr2, Elem.IP2_TO)
        return [(self.ip2, 0)]

    def _nets(self, ip: int, cidr: int, to_number: int) -> list[tuple[int, int]] | Networks:
        if self.testing or self.bits == 128 or to_number not in self.given:
            # hash:net,net cuts its addresses down by its own mask only as long as neither is a range.
            if self.testing or not (Data.IP_TO in self.given or Elem.IP2_TO in self.given):
                ip = self._masked(ip)
            return [(ip & mask(cidr, self.bits), cidr)]
        low, high = sorted((ip, read_address(self.given[to_number], INET)))
        if high - low == 0xFFFFFFFF:
            raise Refused(HashError.RANGE)
        return Networks(low, high)


def mask(cidr: int, bits: int) -> int:
    """A prefix length as a mask."""
    return (1 << bits) - (1 << (bits - cidr))


@dataclass(slots=True)
class Addresses:
    """A range of addresses, in steps."""

    low: int
    high: int
    step: int
    begin: int

    def __len__(self) -> int:
        return max(1, min(2, self.high - self.low + 1))

    def __iter__(self) -> Iterator[tuple[int, int]]:
        for ip in range(self.low, self.high + 1, self.step):
            yield (self.begin if ip == self.low else ip), 0


@dataclass(slots=True)
class Networks:
    """A range of IPv4 addresses as the fewest networks (if it spans less than half of all addresses)."""

    low: int
    high: int

    def __len__(self) -> int:
        return 2

    def __iter__(self) -> Iterator[tuple[int, int]]:
        ip = self.low
        while ip <= self.high:
            cidr = next((bits for bits in range(1, 32) if self._fits(ip, bits)), 32)
            yield ip, cidr
            ip += 1 << (32 - cidr)

    def _fits(self, ip: int, bits: int) -> bool:
        # The kernel compares as if these were sequence numbers, so that it finds no network when the end is far away.
        last = ip | ~mask(bits, 32) & 0xFFFFFFFF
        return ip == ip & mask(bits, 32) and not (self.high - last) & 0x80000000
