"""IPVS and ipset as Python values, straight to the kernel.

    import ipvskit as ik

    with ik.Kernel() as kernel:
        kernel.ipvs.add_service(ik.VirtualService("192.0.2.10:443/tcp", scheduler="wlc", reals=[ik.RealServer("10.0.0.1:8443")]))

Knows: the public names. Must not know: how anything is done.
"""

from typing import TYPE_CHECKING as _TYPE_CHECKING

from ipvskit.errors import (
    AddressNotUsable,
    AlreadyExists,
    AnswerLost,
    BulkFailed,
    ClosedError,
    DaemonExists,
    DaemonNotFound,
    InconsistentDump,
    InterfaceNotFound,
    InvalidConfig,
    IpvskitError,
    IPVSNotAvailable,
    KernelError,
    MixedFamilyRefused,
    NamespaceNotFound,
    NotFound,
    NotSupported,
    PermissionDenied,
    PersistenceEngineNotAvailable,
    ProtocolError,
    RealServerExists,
    RealServerNotFound,
    SchedulerNotAvailable,
    ServiceExists,
    ServiceNotFound,
    SysctlNotAvailable,
    TimedOut,
)
from ipvskit.kernel import Kernel
from ipvskit.model.address import Family
from ipvskit.model.key import ServiceKey
from ipvskit.model.real import ForwardingMethod, RealServer, Tunnel, TunnelType
from ipvskit.model.service import VirtualService
from ipvskit.netns import NetNS

if _TYPE_CHECKING:
    from ipvskit import operations
    from ipvskit.ipvs.client import Ipvs
    from ipvskit.ipvs.report import BulkReport, Failure
    from ipvskit.model.connection import Connection
    from ipvskit.model.daemon import DaemonRole, Info, SyncDaemon, Timeouts
    from ipvskit.model.status import RealServerStatus, ServiceStatus, Stats, Totals
    from ipvskit.model.sysctl import SYSCTLS, Sysctl

#: Imported when they are first asked for: making classes is most of what importing costs.
_LATE = {
    "operations": ("operations",),
    "ipvs.client": ("Ipvs",),
    "ipvs.report": ("BulkReport", "Failure"),
    "model.connection": ("Connection",),
    "model.daemon": ("DaemonRole", "Info", "SyncDaemon", "Timeouts"),
    "model.status": ("RealServerStatus", "ServiceStatus", "Stats", "Totals"),
    "model.sysctl": ("SYSCTLS", "Sysctl"),
}


def __getattr__(name: str) -> object:
    for path, names in _LATE.items():
        if name in names:
            from importlib import import_module

            module = import_module(f"{__name__}.{path}")
            found = globals()[name] = module if name == path else getattr(module, name)
            return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "SYSCTLS",
    "AddressNotUsable",
    "AlreadyExists",
    "AnswerLost",
    "BulkFailed",
    "BulkReport",
    "ClosedError",
    "Connection",
    "DaemonExists",
    "DaemonNotFound",
    "DaemonRole",
    "Failure",
    "Family",
    "ForwardingMethod",
    "IPVSNotAvailable",
    "InconsistentDump",
    "Info",
    "InterfaceNotFound",
    "InvalidConfig",
    "Ipvs",
    "IpvskitError",
    "Kernel",
    "KernelError",
    "MixedFamilyRefused",
    "NamespaceNotFound",
    "NetNS",
    "NotFound",
    "NotSupported",
    "PermissionDenied",
    "PersistenceEngineNotAvailable",
    "ProtocolError",
    "RealServer",
    "RealServerExists",
    "RealServerNotFound",
    "RealServerStatus",
    "SchedulerNotAvailable",
    "ServiceExists",
    "ServiceKey",
    "ServiceNotFound",
    "ServiceStatus",
    "Stats",
    "SyncDaemon",
    "Sysctl",
    "SysctlNotAvailable",
    "TimedOut",
    "Timeouts",
    "Totals",
    "Tunnel",
    "TunnelType",
    "VirtualService",
    "operations",
]
