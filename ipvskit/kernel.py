"""The handle on a kernel: one network namespace, opened once.

Knows: what a handle owns and when it is let go. Must not know: requests, desired state.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Self

from ipvskit.errors import ClosedError
from ipvskit.netns import NetNS, NetNSLike

if TYPE_CHECKING:
    from types import TracebackType

    from ipvskit.ipvs.backend import Backend
    from ipvskit.ipvs.client import Ipvs

__all__ = ["Kernel"]


class Kernel:
    """The kernel's load balancer in one network namespace.

    `netns` is None (the caller's own), a name as `ip netns` shows it, a path, a process id, or anything with a descriptor. `timeout` (seconds) bounds
    the wait for an answer. Sockets are opened when they are first needed. Use it with `with`, or call `close()`.
    """

    def __init__(self, netns: NetNSLike = None, *, timeout: float = 5.0) -> None:
        self._netns = self._open_netns(netns)
        self._timeout = timeout
        self._ipvs: Ipvs | None = None
        self._backend: Backend | None = None
        self._closed = False
        self._lock = threading.Lock()

    def _open_netns(self, netns: NetNSLike) -> NetNS:
        return NetNS.of(netns)

    def _open_backend(self) -> Backend:
        from ipvskit.ipvs.backend import KernelBackend

        return KernelBackend(self._netns, timeout=self._timeout)

    @property
    def ipvs(self) -> Ipvs:
        """IPVS. Raises IPVSNotAvailable where the kernel has none."""
        if self._closed:
            raise ClosedError("this kernel handle is closed")
        if self._ipvs is None:
            # Imported with its first use: a program that only handles values does not pay for it.
            from ipvskit.ipvs.client import Ipvs

            with self._lock:
                if self._ipvs is None:
                    self._backend = self._open_backend()
                    self._ipvs = Ipvs(self._backend)
        return self._ipvs

    def close(self) -> None:
        """Close sockets and let go of the namespace. Closing twice does nothing."""
        if not self._closed:
            self._closed = True
            if self._backend is not None:
                self._backend.close()
            self._netns.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Kernel(netns={self._netns.name!r}{', closed' if self._closed else ''})"
