"""IPVS and ipset as Python values, straight to the kernel.

    import ipvskit as ik

    with ik.Kernel() as kernel:
        kernel.ipvs.add_service(ik.VirtualService("192.0.2.10:443/tcp", scheduler="wlc", reals=[ik.RealServer("10.0.0.1:8443")]))

Knows: the public names. Must not know: how anything is done.
"""

# Nothing is imported before it is asked for: programs that live for a moment pay for what they use. Type checkers know the name.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from ipvskit import operations
    from ipvskit.conntrack.client import Conntrack
    from ipvskit.conntrack.report import FlowFailure, FlowReport
    from ipvskit.devices.client import Devices
    from ipvskit.devices.report import AddressFailure, AddressReport
    from ipvskit.engine.diff import diff
    from ipvskit.engine.drain import Drain, Drained, Draining
    from ipvskit.engine.keys import AddressKey, DaemonKey, DeviceKey, RealKey, SetKey, SysctlKey, TimeoutsKey
    from ipvskit.engine.ledger import Ledger
    from ipvskit.engine.normal import normalise
    from ipvskit.engine.plan import Action, Change, EntryChange, Plan
    from ipvskit.engine.reconcile import Reconciled, reconcile
    from ipvskit.engine.report import ApplyReport, Outcome, Status
    from ipvskit.engine.scope import Scope
    from ipvskit.engine.snapshot import Snapshot
    from ipvskit.engine.state import State
    from ipvskit.errors import (
        AddressNotUsable,
        AlreadyExists,
        AnswerLost,
        BulkFailed,
        Busy,
        ClosedError,
        ConntrackNotAvailable,
        DaemonExists,
        DaemonNotFound,
        DeviceExists,
        DeviceKindNotAvailable,
        EntryExists,
        EntryNotFound,
        EntryRefused,
        GuardRefused,
        InconsistentDump,
        InterfaceNotFound,
        InvalidConfig,
        InvalidEntry,
        InvalidState,
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
        StalePlan,
        SysctlNotAvailable,
        TimedOut,
    )
    from ipvskit.ipset.client import Ipset
    from ipvskit.ipset.report import EntriesReport, EntryFailure, LineFailure, RestoreReport
    from ipvskit.ipvs.client import Ipvs
    from ipvskit.ipvs.report import BulkReport, Failure
    from ipvskit.kernel import Kernel
    from ipvskit.model.address import Family
    from ipvskit.model.connection import Connection
    from ipvskit.model.daemon import DaemonRole, Info, SyncDaemon, Timeouts
    from ipvskit.model.device import Device
    from ipvskit.model.flow import Flow
    from ipvskit.model.keep import KEEP
    from ipvskit.model.key import ServiceKey
    from ipvskit.model.real import ForwardingMethod, RealServer, Tunnel, TunnelType
    from ipvskit.model.service import VirtualService
    from ipvskit.model.settype import SET_TYPES, SetType
    from ipvskit.model.status import RealServerStatus, ServiceStatus, Stats, Totals
    from ipvskit.model.sysctl import SYSCTLS, Sysctl
    from ipvskit.netns import NetNS
    from ipvskit.sets.definition import Set, SetStatus
    from ipvskit.sets.elements import Difference, Elements
    from ipvskit.sets.entry import Entry
    from ipvskit.sets.parts import MAC, AddressRange, Interface, Mark, NumberRange, Port

#: Where the public names are.
_LATE = {
    "operations": ("operations",),
    "conntrack.client": ("Conntrack",),
    "conntrack.report": ("FlowFailure", "FlowReport"),
    "devices.client": ("Devices",),
    "devices.report": ("AddressFailure", "AddressReport"),
    "engine.diff": ("diff",),
    "engine.drain": ("Drain", "Drained", "Draining"),
    "engine.keys": ("AddressKey", "DaemonKey", "DeviceKey", "RealKey", "SetKey", "SysctlKey", "TimeoutsKey"),
    "engine.ledger": ("Ledger",),
    "engine.normal": ("normalise",),
    "engine.plan": ("Action", "Change", "EntryChange", "Plan"),
    "engine.reconcile": ("Reconciled", "reconcile"),
    "engine.report": ("ApplyReport", "Outcome", "Status"),
    "engine.scope": ("Scope",),
    "engine.snapshot": ("Snapshot",),
    "engine.state": ("State",),
    "errors": (
        "AddressNotUsable",
        "AlreadyExists",
        "AnswerLost",
        "BulkFailed",
        "Busy",
        "ClosedError",
        "ConntrackNotAvailable",
        "DaemonExists",
        "DaemonNotFound",
        "DeviceExists",
        "DeviceKindNotAvailable",
        "EntryExists",
        "EntryNotFound",
        "EntryRefused",
        "GuardRefused",
        "InconsistentDump",
        "InterfaceNotFound",
        "InvalidConfig",
        "InvalidEntry",
        "InvalidState",
        "IpsetNotAvailable",
        "IpvskitError",
        "IPVSNotAvailable",
        "KernelError",
        "MixedFamilyRefused",
        "NamespaceNotFound",
        "NotFound",
        "NotSupported",
        "OptionNotEnabled",
        "PermissionDenied",
        "PersistenceEngineNotAvailable",
        "ProtocolError",
        "RealServerExists",
        "RealServerNotFound",
        "SchedulerNotAvailable",
        "ServiceExists",
        "ServiceNotFound",
        "SetBusy",
        "SetExists",
        "SetFeatureNotAvailable",
        "SetFull",
        "SetLimitReached",
        "SetNotFound",
        "SetReferenced",
        "SetTypeMismatch",
        "SetTypeNotAvailable",
        "StalePlan",
        "SysctlNotAvailable",
        "TimedOut",
    ),
    "ipset.client": ("Ipset",),
    "ipset.report": ("EntriesReport", "EntryFailure", "LineFailure", "RestoreReport"),
    "ipvs.client": ("Ipvs",),
    "ipvs.report": ("BulkReport", "Failure"),
    "kernel": ("Kernel",),
    "model.address": ("Family",),
    "model.connection": ("Connection",),
    "model.daemon": ("DaemonRole", "Info", "SyncDaemon", "Timeouts"),
    "model.device": ("Device",),
    "model.flow": ("Flow",),
    "model.keep": ("KEEP",),
    "model.key": ("ServiceKey",),
    "model.real": ("ForwardingMethod", "RealServer", "Tunnel", "TunnelType"),
    "model.service": ("VirtualService",),
    "model.settype": ("SET_TYPES", "SetType"),
    "model.status": ("RealServerStatus", "ServiceStatus", "Stats", "Totals"),
    "model.sysctl": ("SYSCTLS", "Sysctl"),
    "netns": ("NetNS",),
    "sets.definition": ("Set", "SetStatus"),
    "sets.elements": ("Difference", "Elements"),
    "sets.entry": ("Entry",),
    "sets.parts": ("MAC", "AddressRange", "Interface", "Mark", "NumberRange", "Port"),
}


def __getattr__(name: str) -> object:
    for path, names in _LATE.items():
        if name in names or name == path:
            from importlib import import_module

            module = import_module(f"{__name__}.{path}")
            found = globals()[name] = module if name == path else getattr(module, name)
            return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "KEEP",
    "MAC",
    "SET_TYPES",
    "SYSCTLS",
    "Action",
    "AddressFailure",
    "AddressKey",
    "AddressNotUsable",
    "AddressRange",
    "AddressReport",
    "AlreadyExists",
    "AnswerLost",
    "ApplyReport",
    "BulkFailed",
    "BulkReport",
    "Busy",
    "Change",
    "ClosedError",
    "Connection",
    "Conntrack",
    "ConntrackNotAvailable",
    "DaemonExists",
    "DaemonKey",
    "DaemonNotFound",
    "DaemonRole",
    "Device",
    "DeviceExists",
    "DeviceKey",
    "DeviceKindNotAvailable",
    "Devices",
    "Difference",
    "Drain",
    "Drained",
    "Draining",
    "Elements",
    "EntriesReport",
    "Entry",
    "EntryChange",
    "EntryExists",
    "EntryFailure",
    "EntryNotFound",
    "EntryRefused",
    "Failure",
    "Family",
    "Flow",
    "FlowFailure",
    "FlowReport",
    "ForwardingMethod",
    "GuardRefused",
    "IPVSNotAvailable",
    "InconsistentDump",
    "Info",
    "Interface",
    "InterfaceNotFound",
    "InvalidConfig",
    "InvalidEntry",
    "InvalidState",
    "Ipset",
    "IpsetNotAvailable",
    "Ipvs",
    "IpvskitError",
    "Kernel",
    "KernelError",
    "Ledger",
    "LineFailure",
    "Mark",
    "MixedFamilyRefused",
    "NamespaceNotFound",
    "NetNS",
    "NotFound",
    "NotSupported",
    "NumberRange",
    "OptionNotEnabled",
    "Outcome",
    "PermissionDenied",
    "PersistenceEngineNotAvailable",
    "Plan",
    "Port",
    "ProtocolError",
    "RealKey",
    "RealServer",
    "RealServerExists",
    "RealServerNotFound",
    "RealServerStatus",
    "Reconciled",
    "RestoreReport",
    "SchedulerNotAvailable",
    "Scope",
    "ServiceExists",
    "ServiceKey",
    "ServiceNotFound",
    "ServiceStatus",
    "Set",
    "SetBusy",
    "SetExists",
    "SetFeatureNotAvailable",
    "SetFull",
    "SetKey",
    "SetLimitReached",
    "SetNotFound",
    "SetReferenced",
    "SetStatus",
    "SetType",
    "SetTypeMismatch",
    "SetTypeNotAvailable",
    "Snapshot",
    "StalePlan",
    "State",
    "Stats",
    "Status",
    "SyncDaemon",
    "Sysctl",
    "SysctlKey",
    "SysctlNotAvailable",
    "TimedOut",
    "Timeouts",
    "TimeoutsKey",
    "Totals",
    "Tunnel",
    "TunnelType",
    "VirtualService",
    "diff",
    "normalise",
    "operations",
    "reconcile",
]
