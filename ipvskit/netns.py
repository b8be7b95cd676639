"""Network namespaces: by name, path, process or descriptor.

Knows: where namespaces are found, how to open things and run programs inside of one. Must not know: netlink, which programs.

The calling thread never changes its namespace: a thread made for the purpose does, in C, and ends.
"""

from __future__ import annotations

import errno
import os

from ipvskit.errors import InvalidConfig, KernelError, NamespaceNotFound, PermissionDenied

# Programs that live for a moment import this: no `typing`. Type checkers know the name.
TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    import subprocess
    from collections.abc import Callable, Iterable, Sequence
    from types import ModuleType, TracebackType
    from typing import IO, Any, Protocol, Self, TypeVar

    class HasFileno(Protocol):
        """Anything with a descriptor."""

        def fileno(self) -> int:
            """The descriptor."""

    #: None: the caller's own; str: a name as `ip netns` shows it, or a path when it has a slash; int: a process id; or something open.
    NetNSLike = str | os.PathLike[str] | int | HasFileno | None

    T = TypeVar("T")

__all__ = ["NetNS"]

NAMED = "/run/netns"
_OWN = "/proc/thread-self/ns/net"
_LARGEST = 1 << 16


class NetNS:
    """A network namespace, held open by a descriptor of its own until `close()`.

    A socket or file opened through it belongs to the namespace, whatever thread uses it and wherever that thread is.
    """

    def __init__(self, descriptor: int, name: str) -> None:
        self._descriptor = descriptor
        self.name = name

    @classmethod
    def current(cls) -> NetNS:
        """The calling thread's own."""
        return cls(_core().netns_current(), "current")

    @classmethod
    def create(cls) -> NetNS:
        """A new one without a name; it vanishes when the last descriptor or process is gone. Needs CAP_SYS_ADMIN."""
        try:
            return cls(_core().netns_create(), "new")
        except OSError as error:
            raise _meaning(error, "create network namespace", None) from None

    @classmethod
    def from_path(cls, path: str | os.PathLike[str]) -> NetNS:
        """By a path such as /run/netns/blue or /proc/4711/ns/net. Raises NamespaceNotFound."""
        try:
            return cls(os.open(path, os.O_RDONLY | os.O_CLOEXEC), os.fspath(path))
        except OSError as error:
            raise _meaning(error, "open network namespace", os.fspath(path)) from None

    @classmethod
    def from_name(cls, name: str) -> NetNS:
        """By the name that `ip netns` shows. Raises NamespaceNotFound."""
        if not name or "/" in name or name in {".", ".."}:
            raise InvalidConfig("netns", name, "a name as `ip netns` shows it, or a path with a slash in it")
        return cls.from_path(f"{NAMED}/{name}")

    @classmethod
    def from_pid(cls, pid: int) -> NetNS:
        """The one that this process is in. Raises NamespaceNotFound."""
        if pid <= 0:
            raise InvalidConfig("netns", pid, "a process id is greater than 0")
        return cls.from_path(f"/proc/{pid}/ns/net")

    @classmethod
    def from_fd(cls, descriptor: int) -> NetNS:
        """By an open descriptor, which stays the caller's (it is duplicated)."""
        try:
            return cls(os.dup(descriptor), f"descriptor {descriptor}")
        except OSError as error:
            raise _meaning(error, "use network namespace", f"descriptor {descriptor}") from None

    @classmethod
    def of(cls, where: NetNSLike) -> NetNS:
        """Whatever a caller gives as `netns=`."""
        if where is None:
            return cls.current()
        if isinstance(where, bool):
            raise InvalidConfig("netns", where, "a name, a path, a process id or something open")
        if isinstance(where, int):
            return cls.from_pid(where)
        if isinstance(where, str):
            return cls.from_path(where) if "/" in where else cls.from_name(where)
        if isinstance(where, os.PathLike):
            return cls.from_path(where)
        return cls.from_fd(where.fileno())

    def fileno(self) -> int:
        """The descriptor; it stays this object's."""
        return self._descriptor

    def close(self) -> None:
        """Let go of the namespace."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def open(self, path: str, mode: str = "r") -> IO[str]:
        """Open a text file as it looks from inside (`/proc/thread-self/net/...`, `/proc/sys/net/...`). Raises OSError."""
        flags = {"r": os.O_RDONLY, "w": os.O_WRONLY}[mode]
        return os.fdopen(_core().netns_open(self._descriptor, path, flags), mode, errors="surrogateescape")

    def read_all(self, folder: str, names: Iterable[str]) -> dict[str, str | OSError]:
        """The texts of files in a folder as they look from inside the namespace, or why one could not be read. Raises OSError for the folder.

        The folder is opened inside, and what is in it through that: a thread for every file would cost ten times as much.
        """
        found: dict[str, str | OSError] = {}
        inside = _core().netns_open(self._descriptor, folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for name in names:
                try:
                    file = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=inside)
                except OSError as error:
                    found[name] = error
                    continue
                found[name] = _text_of(file)
        finally:
            os.close(inside)
        return found

    def socket(self, family: int, kind: int, protocol: int = 0) -> socket.socket:
        """A socket that belongs to the namespace. Raises OSError."""
        import socket

        return socket.socket(fileno=_core().netns_socket(self._descriptor, family, kind, protocol))

    def run(self, command: Sequence[str], **options: Any) -> subprocess.CompletedProcess[str]:
        """Run a program inside and wait for its end; its exit status is not looked at.

        Options are those of subprocess.run; unless they say otherwise, input and output are text, the output is kept, and the program is killed
        after 60 seconds (`timeout`). Files are those of the caller: only the network is another. Raises PermissionDenied, OSError where there is no
        such program, and subprocess.TimeoutExpired.
        """
        import subprocess

        settings: dict[str, Any] = {"text": True, "capture_output": True, "timeout": 60, "check": False} | options
        return self._inside(lambda: subprocess.run(command, **settings))  # noqa: S603 - it is the caller's command

    def _inside(self, act: Callable[[], T]) -> T:
        """Call something that starts a program: a child is in the namespace of the thread that starts it."""
        if self._is_own():
            # Entering takes a privilege; the caller is where it is without one.
            return act()
        # A `preexec_fn` would do as well, but it is unsafe beside other threads, and with it Python copies the whole process first.
        from concurrent.futures import ThreadPoolExecutor

        def entered() -> T:
            try:
                _core().netns_enter(self._descriptor)
            except OSError as error:
                raise _meaning(error, "enter network namespace", self.name) from None
            return act()

        with ThreadPoolExecutor(1, "ipvskit-netns") as pool:
            return pool.submit(entered).result()

    def _is_own(self) -> bool:
        return self._descriptor >= 0 and os.path.samestat(os.fstat(self._descriptor), os.stat(_OWN))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"NetNS({self.name!r})"


def _meaning(error: OSError, operation: str, key: object) -> KernelError:
    number = error.errno or 0
    if number in {errno.ENOENT, errno.EBADF, errno.ESRCH}:
        return NamespaceNotFound(number, "there is no such network namespace", operation=operation, key=key)
    if number in {errno.EPERM, errno.EACCES}:
        reason = "needs CAP_SYS_ADMIN in the user namespaces of the process and of the network namespace"
        return PermissionDenied(number, reason, operation=operation, key=key)
    return KernelError(number, operation=operation, key=key)


def _text_of(file: int) -> str | OSError:
    """The text of an open file of the kernel, which has it in one piece; the file is closed."""
    try:
        return os.read(file, _LARGEST).decode(errors="surrogateescape")
    except OSError as error:
        return error
    finally:
        os.close(file)


def _core() -> ModuleType:
    # Loaded with its first use: a program that only handles values does not pay for it.
    from ipvskit import _native

    return _native
