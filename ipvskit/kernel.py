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

    from ipvskit.ipset.client import Ipset
    from ipvskit.ipset.replacing import Owner
    from ipvskit.ipset.transport import Transport
    from ipvskit.ipvs.backend import Backend
    from ipvskit.ipvs.client import Ipvs

__all__ = ["Kernel"]


class Kernel:
    """The kernel's load balancer and its sets in one network namespace.

    `netns` is None (the caller's own), a name as `ip netns` shows it, a path, a process id, or anything with a descriptor. `timeout` (seconds) bounds
    the wait for an answer, `patience` (seconds) how long to try again while another program holds a set.
    Sockets are opened when they are first needed. Use it with `with`, or call `close()`.
    """

    def __init__(self, netns: NetNSLike = None, *, timeout: float = 5.0, patience: float = 2.0) -> None:
        self._netns = self._open_netns(netns)
        self._timeout = timeout
        self._patience = patience
        self._ipvs: Ipvs | None = None
        self._backend: Backend | None = None
        self._ipset: Ipset | None = None
        self._transport: Transport | None = None
        self._closed = False
        self._lock = threading.Lock()

    def _open_netns(self, netns: NetNSLike) -> NetNS:
        return NetNS.of(netns)

    def _open_backend(self) -> Backend:
        from ipvskit.ipvs.backend import KernelBackend

        return KernelBackend(self._netns, timeout=self._timeout)

    def _open_transport(self) -> Transport:
        from ipvskit.ipset.transport import KernelTransport

        return KernelTransport(self._netns, timeout=self._timeout)

    def _own(self, name: str) -> Owner | None:
        from ipvskit.ipset.ownership import own

        return own(self._netns, name)

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

    @property
    def ipset(self) -> Ipset:
        """The sets. Where the kernel has none, its calls raise IpsetNotAvailable."""
        if self._closed:
            raise ClosedError("this kernel handle is closed")
        if self._ipset is None:
            from ipvskit.ipset.client import Ipset
            from ipvskit.ipset.waiting import Patience

            with self._lock:
                if self._ipset is None:
                    self._transport = self._open_transport()
                    self._ipset = Ipset(self._transport, self._own, Patience(self._patience))
        return self._ipset

    def close(self) -> None:
        """Close sockets and let go of the namespace. Closing twice does nothing."""
        if not self._closed:
            self._closed = True
            for opened in (self._backend, self._transport):
                if opened is not None:
                    opened.close()
            self._netns.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Kernel(netns={self._netns.name!r}{', closed' if self._closed else ''})"
