"""Sets of the hash types.

Knows: their options, adding, deleting, testing by prefix lengths, how elements are listed. Must not know: how requests are read.
"""

from __future__ import annotations

import sys
from collections import Counter
from typing import TYPE_CHECKING

from ipvskit.testing.fake.ipset import attributes
from ipvskit.testing.fake.ipset.attributes import Attributes, Refused
from ipvskit.testing.fake.ipset.elements import Element, Reader, mask
from ipvskit.testing.fake.ipset.names import INET, INET6, UNSPEC, Command, Data, Elem, Error, Flag, HashError, Make
from ipvskit.testing.fake.ipset.sets import Entry, Extensions, HeldSet, in_net_order, no_memory, read_address
from ipvskit.testing.fake.ipset.types import BITMASK, BUCKETSIZE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_LEAST_HASHSIZE, _HASHSIZE, _MAXELEM = 64, 1024, 65536
_LEAST_BUCKET, _BUCKET, _LARGEST_BUCKET = 2, 12, 64


class HashSet(HeldSet):
    """A set of a hash type.

    The kernel's hash function is not imitated: which elements share a bucket, when the table grows, what forceadd evicts, in which order elements
    are listed and MEMSIZE differ from a real kernel, where they depend on a random seed.
    """

    def create(self, given: Attributes) -> None:
        """See `HeldSet`."""
        if self.kind.name == "hash:mac":
            if self.family != UNSPEC:
                raise Refused(Error.INVALID_FAMILY)
        elif self.family not in {INET, INET6}:
            raise Refused(Error.INVALID_FAMILY)
        in_net_order(given, Make.HASHSIZE, Make.MAXELEM, Data.TIMEOUT, Data.CADT_FLAGS, Data.MARKMASK)
        self.held: dict[Element, Entry] = {}
        #: Of hash:net,iface, the elements of each network in the order in which they were added.
        self.networks: dict[Element, list[Element]] = {}
        self.lengths: tuple[Counter[int], Counter[int]] = (Counter(), Counter())
        self.markmask = given[Data.MARKMASK].be() if Data.MARKMASK in given else 0xFFFFFFFF
        if not self.markmask:
            raise Refused(Error.INVALID_MARKMASK)
        self._create_masks(given)
        wanted = max(_LEAST_HASHSIZE, given[Make.HASHSIZE].be()) if Make.HASHSIZE in given else _HASHSIZE
        no_memory(unless=wanted <= 1 << 27)
        self.hashsize = 1 << (wanted - 1).bit_length()
        self.maxelem = given[Make.MAXELEM].be() if Make.MAXELEM in given else _MAXELEM
        self.bucketsize = _BUCKET
        if Make.BUCKETSIZE in given and self.around.release.since(BUCKETSIZE):
            size = given[Make.BUCKETSIZE].u8()
            self.bucketsize = min(_BUCKET, max(_LEAST_BUCKET, size + size % 2))
        self.initval = given[Make.INITVAL].be() if Make.INITVAL in given else self.around.seed()
        self.take_options(given)

    def _create_masks(self, given: Attributes) -> None:
        bits = 128 if self.family == INET6 else 32
        self.netmask = bits
        self.bitmask = mask(bits, bits)
        if Make.NETMASK in given:
            self.netmask = given[Make.NETMASK].u8()
            if not 0 < self.netmask <= bits:
                raise Refused(Error.INVALID_NETMASK)
            self.bitmask = mask(self.netmask, bits)
        if Data.BITMASK in given:
            if Make.NETMASK in given:
                raise Refused(Error.BITMASK_NETMASK_EXCL)
            try:
                self.bitmask = read_address(given[Data.BITMASK], self.family)
            except Refused:
                self.bitmask = 0
            if not self.bitmask:
                raise Refused(Error.INVALID_NETMASK)
        #: How far apart the addresses of a range are that are added.
        self.step = 1 << (bits - self.netmask) if self.kind.name == "hash:ip" else 1

    @property
    def bitmask_of_ports(self) -> bool:
        """Whether this is hash:ip,port on a kernel that cuts its addresses down, and refuses 0 since."""
        return self.kind.name == "hash:ip,port" and self.around.release.since(BITMASK)

    def own(self) -> tuple[object, ...]:
        """See `HeldSet`. Families are told apart by their netmasks only, and that only until masks could have any bits."""
        masks: tuple[object, ...] = ()
        if self.kind.netmask(self.around.release):
            bits = 128 if self.family == INET6 else 32
            full = self.bitmask == mask(bits, bits)
            masks = (mask(128, 128) if full else (self.family, self.bitmask),)
            if not self.kind.bitmask(self.around.release):
                masks = (self.netmask,)
        return (self.maxelem, self.markmask, *masks)

    # --- elements -------------------------------------------------------------------------------------------------------------------

    def change(self, command: Command, given: Attributes, *, exist: bool) -> None:
        """See `HeldSet`. Of a range, what came before the first error stays done."""
        wanted = Reader(self, given, testing=False).read()
        template = Entry(nomatch=wanted.nomatch, wildcard=wanted.wildcard)
        self.drop_expired()
        for element in wanted.elements:
            if command is Command.DEL:
                self._delete(element, exist=exist)
            else:
                self._add(element, template, wanted.extensions, exist=exist)

    def _add(self, element: Element, template: Entry, extensions: Extensions, *, exist: bool) -> None:
        found = self.find(element)
        if found is not None and not exist:
            raise Refused(Error.EXIST)
        if found is None:
            if len(self.held) >= self.maxelem:
                self._evict(element)
            self._make_room(element)
            found = element
            self.held[element] = Entry(wildcard=template.wildcard)
            self._count(element, 1)
            if "iface" in self.kind.parts:
                self.networks.setdefault(element._replace(iface=b""), []).append(element)
        entry = self.held[found]
        entry.nomatch = template.nomatch
        self.extend(entry, extensions)

    def _delete(self, element: Element, *, exist: bool) -> None:
        found = self.find(element)
        if found is not None:
            self._drop(found)
        elif not exist:
            raise Refused(Error.EXIST)

    def _drop(self, element: Element) -> None:
        del self.held[element]
        self._count(element, -1)
        if "iface" in self.kind.parts:
            self._neighbours(element).remove(element)

    def _count(self, element: Element, change: int) -> None:
        for lengths, cidr in zip(self.lengths, (element.cidr, element.cidr2), strict=True):
            lengths[cidr] += change
            if not lengths[cidr]:
                del lengths[cidr]

    def find(self, element: Element) -> Element | None:
        """The element of the set that counts as this one. Names of interfaces match by their beginning where a wildcard is set."""
        if "iface" not in self.kind.parts:
            return element if element in self.held else None
        for other in self._neighbours(element):
            if other.iface == element.iface or (self.held[other].wildcard and element.iface.startswith(other.iface)):
                return other
        return None

    def _neighbours(self, element: Element) -> list[Element]:
        return self.networks.get(element._replace(iface=b""), [])

    def _bucket(self, element: Element) -> int:
        return hash((element, self.initval)) % self.hashsize

    def _evict(self, element: Element) -> None:
        if self.flags & Flag.FORCEADD:
            bucket = self._bucket(element)
            for other in self.held:
                if self._bucket(other) == bucket:
                    self._drop(other)
                    return
        raise Refused(HashError.FULL)

    def _make_room(self, element: Element) -> None:
        if "iface" in self.kind.parts:
            neighbours = len(self._neighbours(element))
            if neighbours and not neighbours % _LEAST_BUCKET:
                if self.bucketsize >= _LARGEST_BUCKET:
                    raise Refused(HashError.FULL)
                if self.bucketsize <= neighbours:
                    self.bucketsize += _LEAST_BUCKET
        elif len(self.held) >= self.hashsize * self.bucketsize // 3:
            self.hashsize *= 2

    def _forget_expired(self) -> Iterable[Entry]:
        for element in [element for element, entry in self.held.items() if self.expired(entry)]:
            self._drop(element)
        return self.held.values()

    def flush(self) -> None:
        """See `HeldSet`."""
        self.held.clear()
        self.networks.clear()
        self.lengths[0].clear()
        self.lengths[1].clear()

    def test(self, given: Attributes) -> bool:
        """See `HeldSet`. With nomatch given, whether the most specific network that has it is a nomatch one."""
        wanted = Reader(self, given, testing=True).read()
        self.drop_expired()
        (element,) = wanted.elements
        found = self._most_specific(element) if self._is_host(element) else self.find(element)
        if found is None:
            return False
        self.count_test(self.held[found], wanted.extensions)
        return self.held[found].nomatch == wanted.nomatch

    def _is_host(self, element: Element) -> bool:
        bits = 128 if self.family == INET6 else 32
        return bool(self.kind.nets) and all((element.cidr, element.cidr2)[number] == bits for number in self.kind.nets)

    def _most_specific(self, element: Element) -> Element | None:
        bits = 128 if self.family == INET6 else 32
        first = sorted(self.lengths[0], reverse=True) if self.kind.first == "net" else [element.cidr]
        second = sorted(self.lengths[1], reverse=True) if self.kind.second == "net" else [element.cidr2]
        for cidr in first:
            ip = element.ip & mask(cidr, bits) if self.kind.first == "net" else element.ip
            for cidr2 in second:
                ip2 = element.ip2 & mask(cidr2, bits) if self.kind.second == "net" else element.ip2
                network = element._replace(ip=ip, cidr=cidr, ip2=ip2, cidr2=cidr2)
                found = self.find(network)
                if found is not None:
                    return found
                if "iface" in self.kind.parts and self._neighbours(network):
                    # The kernel looks no further once a network matched, even if its interface did not.
                    return None
        return None

    # --- listing --------------------------------------------------------------------------------------------------------------------

    def head(self) -> bytes:
        """See `HeldSet`."""
        parts = [attributes.net(Make.HASHSIZE, self.hashsize), attributes.net(Make.MAXELEM, self.maxelem)]
        bits = 128 if self.family == INET6 else 32
        if self.netmask != bits:
            parts.append(attributes.u8(Make.NETMASK, self.netmask))
        elif self.bitmask != mask(bits, bits):
            parts.append(attributes.address(Data.BITMASK, self.bitmask, self.family))
        if "mark" in self.kind.parts:
            parts.append(attributes.pack(Data.MARKMASK, self.markmask.to_bytes(4, sys.byteorder)))
        newest = self.revision == self.kind.last_revision(self.around.release)
        if newest and self.around.release.since(BUCKETSIZE):
            parts += [attributes.u8(Make.BUCKETSIZE, self.bucketsize), attributes.net(Make.INITVAL, self.initval)]
        return b"".join(parts)

    def count(self) -> tuple[int, int]:
        """See `HeldSet`."""
        self.drop_expired()
        return len(self.held), 200 + 8 * self.hashsize // 64 + 48 * len(self.held)

    def elements(self) -> Iterator[bytes]:
        """See `HeldSet`. In an order that a program cannot guess."""
        for element in sorted(self.held, key=self._bucket):
            entry = self.held[element]
            if not self.expired(entry):
                yield self._listed(element, entry)

    def _listed(self, element: Element, entry: Entry) -> bytes:
        kind, parts = self.kind, []
        if kind.first:
            parts.append(attributes.address(Data.IP, element.ip, self.family))
        if kind.second:
            parts.append(attributes.address(Elem.IP2, element.ip2, self.family))
        if "mac" in kind.parts:
            parts.append(attributes.pack(Elem.ETHER, element.mac))
        if "mark" in kind.parts:
            parts.append(attributes.net(Data.MARK, element.mark))
        if "port" in kind.parts:
            parts.append(attributes.net(Data.PORT, element.port, 2))
        if kind.first == "net":
            parts.append(attributes.u8(Data.CIDR, element.cidr))
        if kind.second == "net":
            parts.append(attributes.u8(Elem.CIDR2, element.cidr2))
        if "port" in kind.parts:
            parts.append(attributes.u8(Data.PROTO, element.proto))
        if "iface" in kind.parts:
            parts.append(attributes.string(Elem.IFACE, element.iface))
        flags = Flag.NOMATCH * entry.nomatch | Flag.PHYSDEV * element.physdev | Flag.WILDCARD * entry.wildcard
        if flags:
            parts.append(attributes.net(Data.CADT_FLAGS, flags))
        return b"".join(parts) + self.listed_extensions(entry)
