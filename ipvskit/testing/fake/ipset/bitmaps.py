"""Sets of the bitmap types.

Knows: their ranges, and what becomes of elements whose MAC is not known yet. Must not know: how requests arrive.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ipvskit.testing.fake.ipset import attributes
from ipvskit.testing.fake.ipset.attributes import Attributes, Refused
from ipvskit.testing.fake.ipset.elements import mask
from ipvskit.testing.fake.ipset.names import INET, UNSPEC, BitmapError, Command, Data, Elem, Error, Make
from ipvskit.testing.fake.ipset.sets import Entry, Extensions, HeldSet, in_net_order, read_address

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_MOST = 65536


@dataclass(slots=True)
class Slot(Entry):
    """An element. Without a MAC (of bitmap:ip,mac) its timeout does not run yet and is kept as `stored`."""

    mac: bytes = b""
    stored: int | None = None


class BitmapSet(HeldSet):
    """A set of a bitmap type. Numbers of elements are addresses or ports."""

    def create(self, given: Attributes) -> None:
        """See `HeldSet`."""
        in_net_order(given, Data.TIMEOUT, Data.CADT_FLAGS, Data.PORT, Data.PORT_TO)
        self.held: dict[int, Slot] = {}
        #: The kernel clears the bit of an element only: counters are there again when it is added again, even after a flush.
        self.counters: dict[int, tuple[int, int]] = {}
        self.netmask, self.step = 32, 1
        if self.kind.name == "bitmap:port":
            self.family = UNSPEC
            if Data.PORT not in given or Data.PORT_TO not in given:
                raise Refused(Error.PROTOCOL)
            self.low, self.high = sorted((given[Data.PORT].be(), given[Data.PORT_TO].be()))
        else:
            self.family = INET
            self._create_addresses(given)
        self.take_options(given)

    def _create_addresses(self, given: Attributes) -> None:
        if Data.IP not in given:
            raise Refused(Error.PROTOCOL)
        self.low = self.high = read_address(given[Data.IP], INET)
        if Data.IP_TO in given:
            self.low, self.high = sorted((self.low, read_address(given[Data.IP_TO], INET)))
        elif Data.CIDR in given:
            cidr = given[Data.CIDR].u8()
            if cidr >= 32:
                raise Refused(Error.INVALID_CIDR)
            self.low &= mask(cidr, 32)
            self.high |= ~mask(cidr, 32) & 0xFFFFFFFF
        else:
            raise Refused(Error.PROTOCOL)
        elements = self.high - self.low + 1
        if Make.NETMASK in given:
            self.netmask = given[Make.NETMASK].u8()
            if self.netmask > 32:
                raise Refused(Error.INVALID_NETMASK)
            self.low &= mask(self.netmask, 32)
            self.high |= ~mask(self.netmask, 32) & 0xFFFFFFFF
            elements = self.high - self.low + 1
        if self.netmask != 32:
            bits = _common_bits(self.low, self.high)
            if bits is None or self.netmask <= bits:
                raise Refused(BitmapError.RANGE)
            self.step = 1 << (32 - self.netmask)
            elements = 1 << (self.netmask - bits)
        if elements > _MOST:
            raise Refused(BitmapError.RANGE_SIZE)

    def own(self) -> tuple[object, ...]:
        """See `HeldSet`."""
        return (self.low, self.high, self.netmask)

    # --- elements -------------------------------------------------------------------------------------------------------------------

    def _read(self, given: Attributes, *, testing: bool) -> tuple[range, Extensions, bytes]:
        if self.kind.name == "bitmap:port":
            return self._read_ports(given, testing=testing)
        if Data.IP not in given:
            raise Refused(Error.PROTOCOL)
        low = high = read_address(given[Data.IP], INET)
        mac = b""
        if self.kind.name == "bitmap:ip":
            extensions = self.read_extensions(given)
            self._within(low)
            if not testing and Data.IP_TO in given:
                low, high = sorted((low, read_address(given[Data.IP_TO], INET)))
            elif not testing and Data.CIDR in given:
                cidr = given[Data.CIDR].u8()
                if not 0 < cidr <= 32:
                    raise Refused(Error.INVALID_CIDR)
                low &= mask(cidr, 32)
                high = low | ~mask(cidr, 32) & 0xFFFFFFFF
        else:
            extensions = self.read_extensions(given)
        self._within(low)
        self._within(high)
        if Elem.ETHER in given:
            mac = given[Elem.ETHER].data
            if len(mac) != 6:
                raise Refused(Error.PROTOCOL)
        return range(low, high + 1, self.step), extensions, mac

    def _read_ports(self, given: Attributes, *, testing: bool) -> tuple[range, Extensions, bytes]:
        if Data.PORT not in given:
            raise Refused(Error.PROTOCOL)
        in_net_order(given, Data.PORT, Data.PORT_TO)
        low = high = given[Data.PORT].be()
        self._within(low)
        extensions = self.read_extensions(given)
        if not testing and Data.PORT_TO in given:
            low, high = sorted((low, given[Data.PORT_TO].be()))
        self._within(low)
        self._within(high)
        return range(low, high + 1), extensions, b""

    def _within(self, number: int) -> None:
        if not self.low <= number <= self.high:
            raise Refused(BitmapError.RANGE)

    def _start(self, number: int) -> int:
        # The kernel walks in steps from the first address that was given, and not from the start of its network.
        return number & mask(self.netmask, 32)

    def change(self, command: Command, given: Attributes, *, exist: bool) -> None:
        """See `HeldSet`."""
        numbers, extensions, mac = self._read(given, testing=False)
        self.drop_expired()
        for one in numbers:
            number = self._start(one)
            if command is Command.ADD:
                self._add(number, mac, extensions, exist=exist)
                continue
            # Of an element whose time is over, or whose timeout does not run yet and is taken for a time long past, the kernel says
            # that it was not there, and deletes it.
            gone = self._drop(number) if number in self.held else None
            if (gone is None or gone.stored or self.expired(gone)) and not exist:
                raise Refused(Error.EXIST)

    def _drop(self, number: int) -> Slot:
        slot = self.held.pop(number)
        self.counters[number] = slot.octets, slot.packets
        return slot

    def _add(self, number: int, mac: bytes, extensions: Extensions, *, exist: bool) -> None:
        slot = self.held.get(number)
        if slot is None:
            slot = self.held[number] = Slot(mac=mac)
            slot.octets, slot.packets = self.counters.get(number, (0, 0))
        elif slot.mac or not mac:
            if not exist and not slot.stored and not self.expired(slot):
                raise Refused(Error.EXIST)
            if exist and slot.mac:
                slot.mac = mac or slot.mac
        else:
            slot.mac = mac
            if extensions.timeout == self.timeout and slot.stored is not None:
                extensions.timeout = slot.stored
        self.extend(slot, extensions)
        slot.stored = None
        if self.kind.name == "bitmap:ip,mac" and not mac and self.timeout is not None:
            self._store(slot, extensions.timeout)

    def _store(self, slot: Slot, timeout: int) -> None:
        # Without a MAC the kernel keeps the timeout as it is, even if the element has a MAC already: then it is a time long past.
        if not slot.mac:
            slot.stored, slot.expires = timeout, None
        elif timeout:
            slot.expires = self.around.clock()

    def _forget_expired(self) -> Iterable[Entry]:
        now = self.around.clock() - max(1, min(180, (self.timeout or 0) // 3))
        for number in [
            number for number, slot in self.held.items() if slot.expires is not None and slot.expires <= now
        ]:
            self._drop(number)
        return self.held.values()

    def flush(self) -> None:
        """See `HeldSet`."""
        for number in list(self.held):
            self._drop(number)

    def test(self, given: Attributes) -> bool:
        """See `HeldSet`."""
        numbers, extensions, mac = self._read(given, testing=True)
        self.drop_expired()
        slot = self.held.get(self._start(numbers[0]))
        if slot is None or (mac and slot.mac and (slot.mac != mac or self.expired(slot))):
            return False
        if self.kind.name == "bitmap:ip,mac" and not (mac and slot.mac):
            return True  # as far as the kernel knows: it would now look for the MAC, and neither counts nor asks for the time
        if self.expired(slot):
            return False
        self.count_test(slot, extensions)
        return True

    # --- listing --------------------------------------------------------------------------------------------------------------------

    def head(self) -> bytes:
        """See `HeldSet`."""
        if self.kind.name == "bitmap:port":
            return attributes.net(Data.PORT, self.low, 2) + attributes.net(Data.PORT_TO, self.high, 2)
        packed = attributes.address(Data.IP, self.low, INET) + attributes.address(Data.IP_TO, self.high, INET)
        return packed + (attributes.u8(Make.NETMASK, self.netmask) if self.netmask != 32 else b"")

    def count(self) -> tuple[int, int]:
        """See `HeldSet`."""
        self.drop_expired()
        return len(self.held), 64 + (self.high - self.low + 1) // self.step // 8

    def elements(self) -> Iterator[bytes]:
        """See `HeldSet`."""
        for number, slot in sorted(self.held.items()):
            if self.expired(slot):
                continue
            ports = self.kind.name == "bitmap:port"
            packed = attributes.net(Data.PORT, number, 2) if ports else attributes.address(Data.IP, number, INET)
            if slot.mac:
                packed += attributes.pack(Elem.ETHER, slot.mac)
            yield packed + self.listed_extensions(slot, slot.stored)


def _common_bits(low: int, high: int) -> int | None:
    """The prefix length if the range is a network, as the kernel looks for it; None if it is none."""
    for bits in range(31, -1, -1):
        if low == high & mask(bits, 32):
            whole = low | ~mask(bits, 32) & 0xFFFFFFFF
            return bits if bits or (low == 0 and whole == high) else None
    return None
