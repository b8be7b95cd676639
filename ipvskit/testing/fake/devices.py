"""The network devices of a fake kernel, and what it can be told to do wrong with them.

    fake.links.refuse(errno.ENOMEM, command=Command.NEW_ADDRESS, nth=3)      the third address to be added
    fake.links.lose_answers(nth=1)                                           of the next call that changes something
    fake.links.before(lambda devices: devices.delete("vip0"))                what a rival does before the next call
    fake.links.interrupt(nth=1)                                              the next listing says that it was disturbed

Knows: requests in the order in which the kernel works them off. Must not know: how a device takes addresses (`links`).
"""

from __future__ import annotations

import errno
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ipvskit._native import Answer, rtnl
from ipvskit.devices.backend import Execution, Rows
from ipvskit.devices.client import Devices
from ipvskit.devices.records import ADDRESS, AF_INET, AF_INET6, LINK, AddressRow, Command
from ipvskit.errors import ClosedError, TimedOut
from ipvskit.testing.fake.links import HeldDevice, LiveInterface

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from ipvskit.testing.fake.network import Interface

__all__ = ["Command", "FakeDevices", "FakeDevicesBackend"]

#: Records that go out at once.
PORTION = 1024
_CHANGES = frozenset(Command) - {Command.GET_LINK}


@dataclass(slots=True)
class _Told:
    """A lie: about every occurrence, or about the `nth` one from now on."""

    commands: frozenset[Command]
    nth: int | None
    error: int = 0
    act: Callable[[Devices], object] | None = None
    seen: int = 0

    def holds(self, command: Command) -> bool:
        if command not in self.commands:
            return False
        self.seen += 1
        return self.nth is None or self.seen == self.nth


class FakeDevices:
    """The devices of one network namespace. `kinds` are those that can be made, `promote_secondaries` is the kernel's setting of this name."""

    def __init__(self, interfaces: Iterable[Interface], kinds: Iterable[str] = ("dummy",)) -> None:
        self.lock = threading.RLock()
        self.kinds = frozenset(kinds)
        self.promote_secondaries = False
        #: How many requests of each kind were executed or refused.
        self.counts = dict.fromkeys(Command, 0)
        self._held: dict[int, HeldDevice] = {}
        self._network: dict[str, Interface] = {}
        self._next = 1
        self._refusals: list[_Told] = []
        self._losses: list[_Told] = []
        self._interruptions: list[_Told] = []
        self._rivals: list[_Told] = []
        for interface in interfaces:
            self._adopt(interface)

    def _adopt(self, interface: Interface) -> None:
        held = self.add_device(interface.name, kind="")
        held.mtu, held.up = interface.mtu, interface.up
        for address in interface.networks:
            held.add_own(address)

    @property
    def network(self) -> Mapping[str, Interface]:
        """The devices by name, as IPVS sees them: always as they are now."""
        return self._network

    def add_device(self, name: str, *, kind: str) -> HeldDevice:
        """A device of any kind ("veth"), as others make it."""
        with self.lock:
            held = self._held[self._next] = HeldDevice(self._next, name, kind)
            self._network[name] = LiveInterface(held)
            self._next += 1
        return held

    # --- lies -----------------------------------------------------------------------------------------------------------------------

    def refuse(self, error: int, *, command: Command | None = None, nth: int | None = None) -> None:
        """Refuse each request of this kind, or only the `nth` from now on (from 1), with this errno."""
        self._refusals.append(_Told(frozenset({command} if command is not None else Command), nth, error))

    def lose_answers(
        self, *, command: Command | None = None, nth: int | None = None, error: int = errno.ENOBUFS
    ) -> None:
        """Lose the answers of each call that changes something, or of the `nth`: it is executed. With errno ETIMEDOUT it raises TimedOut."""
        self._losses.append(_Told(frozenset({command} if command is not None else _CHANGES), nth, error))

    def interrupt(self, *, nth: int | None = None) -> None:
        """Let each listing, or the `nth`, say that something changed while it was made."""
        self._interruptions.append(_Told(frozenset({Command.GET_LINK}), nth))

    def before(self, act: Callable[[Devices], object], *, command: Command | None = None, nth: int | None = 1) -> None:
        """Let a rival act before the `nth` call of this kind, or before each; questions are GET_LINK. It is given a client that is not lied to."""
        self._rivals.append(_Told(frozenset({command} if command is not None else Command), nth, act=act))

    def tell_the_truth(self) -> None:
        """Forget all lies."""
        for lies in (self._refusals, self._losses, self._interruptions, self._rivals):
            lies.clear()

    @property
    def rival(self) -> Devices:
        """Another program's client on the same devices. It is never lied to."""
        return Devices(FakeDevicesBackend(self, lies=False))

    def call_begins(self, command: Command) -> None:
        """Let rivals act."""
        for told in self._rivals:
            if told.holds(command) and told.act is not None:
                told.act(self.rival)

    def lost(self, command: Command) -> int:
        """The errno by which the answers of this call get lost, 0 where they do not."""
        return next((told.error for told in self._losses if told.holds(command)), 0)

    def interrupted(self) -> bool:
        """Whether this listing says that it was disturbed."""
        # Each counts, whatever the others say.
        return sum(told.holds(Command.GET_LINK) for told in self._interruptions) > 0

    def refused(self, command: Command) -> int:
        """The errno with which this request is refused whatever it says, 0 for none."""
        errors = [told.error for told in self._refusals if told.holds(command)]
        return errors[0] if errors else 0

    # --- requests -------------------------------------------------------------------------------------------------------------------

    def find(self, number: int, name: bytes) -> HeldDevice | None:
        """A device by number or, where that is 0, by name."""
        if number:
            return self._held.get(number)
        wanted = name.rstrip(b"\0").decode(errors="surrogateescape")
        return next((held for held in self._held.values() if held.name == wanted), None)

    def links(self) -> bytes:
        """All devices as packed rows."""
        return b"".join(held.link() for held in self._held.values())

    def addresses(self, number: int) -> bytes:
        """The addresses of one device, or of all, as packed rows."""
        held = [self._held[number]] if number in self._held else [] if number else list(self._held.values())
        rows = [row for one in held for row in one.ipv4_rows()] + [row for one in held for row in one.ipv6_rows()]
        return b"".join(ADDRESS.pack(*row) for row in rows)

    def run(self, command: Command, record: tuple[object, ...], *, lies: bool) -> tuple[int, str]:
        """Execute one request: why not (errno and the kernel's text), or 0."""
        self.counts[command] += 1
        error = self.refused(command) if lies else 0
        if error:
            return error, ""
        if command in {Command.NEW_ADDRESS, Command.DELETE_ADDRESS}:
            return self._address(command, AddressRow._make(record)), ""
        return self._link(command, *record)  # type: ignore[arg-type]

    def _address(self, command: Command, row: AddressRow) -> int:
        if row.family not in {AF_INET, AF_INET6} or row.prefix > (32 if row.family == AF_INET else 128):
            return errno.EINVAL
        held = self._held.get(row.device)
        if held is None:
            return errno.ENODEV
        if command is Command.NEW_ADDRESS:
            return held.add(row)
        return held.delete(row, promote=self.promote_secondaries)

    def _link(
        self, command: Command, number: int, flags: int, change: int, _mtu: int, name: bytes, kind: bytes
    ) -> tuple[int, str]:
        held = self.find(number, name)
        if command is Command.NEW_LINK:
            wanted = kind.rstrip(b"\0").decode()
            if held is not None:
                return errno.EEXIST, ""
            if wanted not in self.kinds:
                return errno.EOPNOTSUPP, "Unknown device type"
            held = self.add_device(name.rstrip(b"\0").decode(errors="surrogateescape"), kind=wanted)
        elif held is None:
            return errno.ENODEV, ""
        elif command is Command.DELETE_LINK:
            if not held.kind:
                return errno.EOPNOTSUPP, ""
            del self._held[held.number], self._network[held.name]
        if change & rtnl.LINK_UP:
            held.switch(bool(flags & rtnl.LINK_UP))
        return 0, ""


class FakeDevicesBackend:
    """The `DevicesBackend` of a fake kernel."""

    def __init__(self, devices: FakeDevices, *, lies: bool = True) -> None:
        self._devices = devices
        self._lies = lies
        self._closed = False

    def _begin(self, command: Command) -> None:
        if self._closed:
            raise ClosedError("this connection is closed")
        if self._lies:
            self._devices.call_begins(command)

    def execute(self, command: Command, records: bytes) -> Execution:
        """See `DevicesBackend`."""
        form = ADDRESS if command in {Command.NEW_ADDRESS, Command.DELETE_ADDRESS} else LINK
        result = Execution(min(PORTION, len(records) // form.size))
        with self._devices.lock:
            self._begin(command)
            for at, record in enumerate(form.iter_unpack(records[: result.done * form.size])):
                error, text = self._devices.run(command, record, lies=self._lies)
                if error:
                    result.refused[at] = Answer(at, error, 0, text)
            lost = self._devices.lost(command) if self._lies else 0
        if lost == errno.ETIMEDOUT:
            raise TimedOut(lost, "the kernel did not answer in time", operation="netlink")
        if lost:
            # The receive buffer holds the first answers.
            result.refused = dict(list(result.refused.items())[: len(result.refused) // 2])
            result.lost = True
        return result

    def link(self, record: bytes) -> Rows:
        """See `DevicesBackend`."""
        number, *_, name, _ = LINK.unpack(record)
        with self._devices.lock:
            self._begin(Command.GET_LINK)
            error = self._devices.refused(Command.GET_LINK) if self._lies else 0
            held = self._devices.find(number, name)
            if held is None or error:
                return Rows(refused=Answer(0, error or errno.ENODEV, 0, ""))
            return Rows(held.link())

    def links(self) -> Rows:
        """See `DevicesBackend`."""
        with self._devices.lock:
            self._begin(Command.GET_LINK)
            return Rows(self._devices.links(), self._lies and self._devices.interrupted())

    def addresses(self, index: int = 0) -> Rows:
        """See `DevicesBackend`."""
        with self._devices.lock:
            self._begin(Command.GET_LINK)
            return Rows(self._devices.addresses(index), self._lies and self._devices.interrupted())

    def close(self) -> None:
        """See `DevicesBackend`. The devices stay."""
        self._closed = True
