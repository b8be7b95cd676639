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
    Busy,
    ClosedError,
    DaemonExists,
    DaemonNotFound,
    EntryExists,
    EntryNotFound,
    EntryRefused,
    InconsistentDump,
    InterfaceNotFound,
    InvalidConfig,
    InvalidEntry,
    IpsetNotAvailable,
    IpvskitError,
    IPVSNotAvailable,
    KernelError,
    MixedFamilyRefused,
    NamespaceNotFound,
    NotFound,
    NotSupported,
    OptionNotEnabled,
    PermissionDenied,
    PersistenceEngineNotAvailable,
    ProtocolError,
    RealServerExists,
    RealServerNotFound,
    SchedulerNotAvailable,
    ServiceExists,
    ServiceNotFound,
    SetBusy,
    SetExists,
    SetFeatureNotAvailable,
    SetFull,
    SetLimitReached,
    SetNotFound,
    SetReferenced,
    SetTypeMismatch,
    SetTypeNotAvailable,
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
    from ipvskit.ipset.client import Ipset
    from ipvskit.ipset.report import EntriesReport, EntryFailure, LineFailure, RestoreReport
    from ipvskit.ipvs.client import Ipvs
    from ipvskit.ipvs.report import BulkReport, Failure
    from ipvskit.model.connection import Connection
    from ipvskit.model.daemon import DaemonRole, Info, SyncDaemon, Timeouts
    from ipvskit.model.settype import SET_TYPES, SetType
    from ipvskit.model.status import RealServerStatus, ServiceStatus, Stats, Totals
    from ipvskit.model.sysctl import SYSCTLS, Sysctl
    from ipvskit.sets.definition import Set, SetStatus
    from ipvskit.sets.elements import Difference, Elements
    from ipvskit.sets.entry import Entry
    from ipvskit.sets.parts import MAC, AddressRange, Interface, Mark, NumberRange, Port

#: Imported when they are first asked for: making classes is most of what importing costs.
_LATE = {
    "operations": ("operations",),
    "ipset.client": ("Ipset",),
    "ipset.report": ("EntriesReport", "EntryFailure", "LineFailure", "RestoreReport"),
    "ipvs.client": ("Ipvs",),
    "ipvs.report": ("BulkReport", "Failure"),
    "model.connection": ("Connection",),
    "model.daemon": ("DaemonRole", "Info", "SyncDaemon", "Timeouts"),
    "model.settype": ("SET_TYPES", "SetType"),
    "model.status": ("RealServerStatus", "ServiceStatus", "Stats", "Totals"),
    "model.sysctl": ("SYSCTLS", "Sysctl"),
    "sets.definition": ("Set", "SetStatus"),
    "sets.elements": ("Difference", "Elements"),
    "sets.entry": ("Entry",),
    "sets.parts": ("MAC", "AddressRange", "Interface", "Mark", "NumberRange", "Port"),
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
    "MAC",
    "SET_TYPES",
    "SYSCTLS",
    "AddressNotUsable",
    "AddressRange",
    "AlreadyExists",
    "AnswerLost",
    "BulkFailed",
    "BulkReport",
    "Busy",
    "ClosedError",
    "Connection",
    "DaemonExists",
    "DaemonNotFound",
    "DaemonRole",
    "Difference",
    "Elements",
    "EntriesReport",
    "Entry",
    "EntryExists",
    "EntryFailure",
    "EntryNotFound",
    "EntryRefused",
    "Failure",
    "Family",
    "ForwardingMethod",
    "IPVSNotAvailable",
    "InconsistentDump",
    "Info",
    "Interface",
    "InterfaceNotFound",
    "InvalidConfig",
    "InvalidEntry",
    "Ipset",
    "IpsetNotAvailable",
    "Ipvs",
    "IpvskitError",
    "Kernel",
    "KernelError",
    "LineFailure",
    "Mark",
    "MixedFamilyRefused",
    "NamespaceNotFound",
    "NetNS",
    "NotFound",
    "NotSupported",
    "NumberRange",
    "OptionNotEnabled",
    "PermissionDenied",
    "PersistenceEngineNotAvailable",
    "Port",
    "ProtocolError",
    "RealServer",
    "RealServerExists",
    "RealServerNotFound",
    "RealServerStatus",
    "RestoreReport",
    "SchedulerNotAvailable",
    "ServiceExists",
    "ServiceKey",
    "ServiceNotFound",
    "ServiceStatus",
    "Set",
    "SetBusy",
    "SetExists",
    "SetFeatureNotAvailable",
    "SetFull",
    "SetLimitReached",
    "SetNotFound",
    "SetReferenced",
    "SetStatus",
    "SetType",
    "SetTypeMismatch",
    "SetTypeNotAvailable",
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
