"""The handle on a kernel: one network namespace, opened once.

Knows: what a handle owns and when it is let go. Must not know: requests, how a state is compared or applied.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Self

from ipvskit.errors import ClosedError
from ipvskit.netns import NetNS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType

    from ipvskit.conntrack.backend import ConntrackBackend
    from ipvskit.conntrack.client import Conntrack
    from ipvskit.devices.backend import DevicesBackend
    from ipvskit.devices.client import Devices
    from ipvskit.engine.apply import OnError
    from ipvskit.engine.drain import Drained
    from ipvskit.engine.keys import Key, RealKey
    from ipvskit.engine.ledger import Ledger
    from ipvskit.engine.plan import Plan
    from ipvskit.engine.report import ApplyReport
    from ipvskit.engine.scope import Scope
    from ipvskit.engine.snapshot import Snapshot
    from ipvskit.ipset.client import Ipset
    from ipvskit.ipset.replacing import Owner
    from ipvskit.ipset.transport import Transport
    from ipvskit.ipvs.backend import Backend
    from ipvskit.ipvs.client import Ipvs
    from ipvskit.netns import NetNSLike

__all__ = ["Kernel"]


class Kernel:
    """The kernel's load balancer, its sets, its network devices and the flows that it tracks, in one network namespace.

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
        self._devices: Devices | None = None
        self._devices_backend: DevicesBackend | None = None
        self._conntrack: Conntrack | None = None
        self._conntrack_backend: ConntrackBackend | None = None
        self._closed = False
        self._lock = threading.Lock()
        #: Real servers that this handle drains, since when, and with which weight before.
        self.draining: dict[RealKey, Drained] = {}

    def _open_netns(self, netns: NetNSLike) -> NetNS:
        return NetNS.of(netns)

    @property
    def netns(self) -> NetNS:
        """The network namespace; it is the handle's, and closed with it."""
        if self._closed:
            raise ClosedError("this kernel handle is closed")
        return self._netns

    def _open_backend(self) -> Backend:
        from ipvskit.ipvs.backend import KernelBackend

        return KernelBackend(self._netns, timeout=self._timeout)

    def _open_transport(self) -> Transport:
        from ipvskit.ipset.transport import KernelTransport

        return KernelTransport(self._netns, timeout=self._timeout)

    def _open_devices(self) -> DevicesBackend:
        from ipvskit.devices.backend import KernelDevicesBackend

        return KernelDevicesBackend(self._netns, timeout=self._timeout)

    def _open_conntrack(self) -> ConntrackBackend:
        from ipvskit.conntrack.backend import KernelConntrackBackend

        return KernelConntrackBackend(self._netns, timeout=self._timeout)

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

    @property
    def devices(self) -> Devices:
        """The network devices and their addresses."""
        if self._closed:
            raise ClosedError("this kernel handle is closed")
        if self._devices is None:
            from ipvskit.devices.client import Devices

            with self._lock:
                if self._devices is None:
                    self._devices_backend = self._open_devices()
                    self._devices = Devices(self._devices_backend)
        return self._devices

    @property
    def conntrack(self) -> Conntrack:
        """The tracked flows. Where the kernel has none, its calls raise ConntrackNotAvailable."""
        if self._closed:
            raise ClosedError("this kernel handle is closed")
        if self._conntrack is None:
            from ipvskit.conntrack.client import Conntrack

            with self._lock:
                if self._conntrack is None:
                    self._conntrack_backend = self._open_conntrack()
                    self._conntrack = Conntrack(self._conntrack_backend)
        return self._conntrack

    def snapshot(self, only: Iterable[Key | str] | Scope | None = None, *, ledger: Ledger | None = None) -> Snapshot:
        """What there is: virtual services with real servers, sets with entries, devices with addresses, settings, timeouts, sync daemons.

        `only` restricts it to some keys (or their text forms: "192.0.2.10:80/tcp", "set:web-allow", "device:vips"), or to a Scope; then only those
        are read, and the rest is not known. What this kernel has no part for is empty, and its reason is in `missing`. With a `ledger`, what it
        remembers of real servers that drain is remembered by this handle as well. Raises PermissionDenied, InconsistentDump.
        """
        from ipvskit.engine.taking import take

        return take(self, only, ledger)

    def apply(
        self,
        plan: Plan,
        *,
        on_error: OnError = "continue",
        ledger: Ledger | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> ApplyReport:
        """Make the changes of a plan, in its order; it is the only thing of the engine that changes anything.

        First, what the plan touches is read again: StalePlan is raised, and nothing done, if anything is neither as the plan saw it nor as the plan
        wants it. Then nothing is raised for a change that fails: the report has one outcome for each (`raise_for_failures()`). With `on_error`
        "stop" nothing is tried behind the first failure, and every change costs a system call of its own. It never waits for connections: the report
        says what drains, and when to come back. A `ledger` notes what the plan makes and deletes. `progress` is called now and then with the number
        of objects that are done with, and that of all. Raises GuardRefused for a plan from an empty state that no guard has passed.
        """
        from ipvskit.engine.apply import apply

        return apply(self, plan, on_error=on_error, ledger=ledger, progress=progress)

    def close(self) -> None:
        """Close sockets and let go of the namespace. Closing twice does nothing."""
        if not self._closed:
            self._closed = True
            for opened in (self._backend, self._transport, self._devices_backend, self._conntrack_backend):
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
