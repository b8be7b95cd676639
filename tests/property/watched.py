"""A fake kernel that shows every request before it is executed, one by one.

Knows: where requests pass on their way to the tables. Must not know: the engine.
"""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Any, NamedTuple

from ipvskit._native import Answer
from ipvskit.devices.records import ADDRESS, LINK
from ipvskit.devices.records import Command as DeviceCommand
from ipvskit.ipvs import records
from ipvskit.ipvs.backend import Execution, Rows
from ipvskit.ipvs.records import Command
from ipvskit.testing.fake import FakeKernel
from ipvskit.testing.fake.ipset.lies import Before
from ipvskit.testing.fake.ipset.names import Command as SetCommand
from ipvskit.testing.fake.requests import Refused, split

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ipvskit.devices.backend import DevicesBackend
    from ipvskit.ipvs.backend import Backend
    from ipvskit.testing.fake.requests import Request as Parsed

__all__ = ["Request", "Watched"]

_SET_WRITES = frozenset(
    {
        SetCommand.CREATE,
        SetCommand.DESTROY,
        SetCommand.FLUSH,
        SetCommand.RENAME,
        SetCommand.SWAP,
        SetCommand.ADD,
        SetCommand.DEL,
    }
)


class Request(NamedTuple):
    """One request: which part of the kernel it went to, what it wants, about what, and whether it changes anything."""

    part: str
    command: str
    about: str
    write: bool


class Watched(FakeKernel):
    """`requests` has all that was sent; `hook`, if there is one, is called before each is executed, and may raise."""

    def __init__(self, **options: Any) -> None:
        self.requests: list[Request] = []
        self.hook: Callable[[Request], object] | None = None
        super().__init__(**options)
        self.sets.lies.told.clear()
        self.sets.lie(Before(self._set_request))

    @property
    def writes(self) -> list[Request]:
        """Those that change anything."""
        return [request for request in self.requests if request.write]

    def note(self, request: Request) -> None:
        """A request is about to be executed."""
        self.requests.append(request)
        if self.hook is not None:
            self.hook(request)

    def forget(self) -> None:
        """Begin to count anew."""
        self.requests.clear()
        self.hook = None

    def _set_request(self) -> None:
        sent = self.sets.requests[-1]
        command = sent.command
        if command is not None and not self._closed:
            self.note(Request("ipset", command.name, sent.name or "", command in _SET_WRITES))

    def _open_backend(self) -> Backend:
        return _Backend(super()._open_backend(), self)

    def _open_devices(self) -> DevicesBackend:
        return _Devices(super()._open_devices(), self)


class _Backend:
    def __init__(self, inner: Backend, kernel: Watched) -> None:
        self._inner, self._kernel = inner, kernel

    def _note(self, request: Parsed, *, write: bool) -> None:
        self._kernel.note(Request("ipvs", request.command.name, _about(request), write))

    def execute(self, requests: bytes, count: int) -> Execution:
        result = Execution()
        size = records.REQUEST_SIZE
        for at, parsed in enumerate(split(requests, count)):
            self._note(parsed, write=True)
            found = self._inner.execute(requests[at * size : (at + 1) * size], 1)
            result.answers += [Answer(at, one.error, one.offset, one.text) for one in found.answers]
            result.lost += [range(at, at + 1) for _ in found.lost]
        return result

    def get(self, kind: int, requests: bytes, count: int) -> Rows:
        for parsed in split(requests, count):
            self._note(parsed, write=False)
        return self._inner.get(kind, requests, count)

    def dump(self, kind: int, requests: bytes, count: int) -> Rows:
        for parsed in split(requests, count):
            self._note(parsed, write=False)
        return self._inner.dump(kind, requests, count)

    def open(self, path: str, mode: str = "r") -> IO[str]:
        write = "w" in mode
        self._kernel.note(Request("sysctl", "WRITE" if write else "READ", path.rpartition("/")[2], write))
        return self._inner.open(path, mode)

    def read_all(self, folder: str, names: Iterable[str]) -> dict[str, str | OSError]:
        self._kernel.note(Request("sysctl", "READ", folder, False))
        return self._inner.read_all(folder, names)

    def module(self, name: str) -> str:
        return self._inner.module(name)

    def close(self) -> None:
        self._inner.close()


_ABOUT_REALS = {Command.NEW_DEST, Command.SET_DEST, Command.DEL_DEST}


def _about(request: Parsed) -> str:
    try:
        identity = request.identity()
    except Refused:
        return ""
    key = f"{identity.family} {identity.protocol} {identity.address.hex()} {identity.port} {identity.fwmark}"
    return f"{key} {request.real.address.hex()} {request.real.port}" if request.command in _ABOUT_REALS else key


class _Devices:
    def __init__(self, inner: DevicesBackend, kernel: Watched) -> None:
        self._inner, self._kernel = inner, kernel

    def execute(self, command: DeviceCommand, packed: bytes) -> Any:
        # One record at a time: the sender goes on behind what was done.
        form = ADDRESS if command in {DeviceCommand.NEW_ADDRESS, DeviceCommand.DELETE_ADDRESS} else LINK
        self._kernel.note(Request("devices", command.name, packed[: form.size].hex(), True))
        return self._inner.execute(command, packed[: form.size])

    def link(self, record: bytes) -> Any:
        self._kernel.note(Request("devices", "GET", "link", False))
        return self._inner.link(record)

    def links(self) -> Any:
        self._kernel.note(Request("devices", "GET", "links", False))
        return self._inner.links()

    def addresses(self, index: int = 0) -> Any:
        self._kernel.note(Request("devices", "GET", "addresses", False))
        return self._inner.addresses(index)

    def close(self) -> None:
        self._inner.close()
