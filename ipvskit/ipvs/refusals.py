"""The one place where (command, errno) becomes an exception.

Knows: what the kernel means (net/netfilter/ipvs/ip_vs_ctl.c; tried, see docs/kernel-notes.md). Must not know: how requests travel.

ESRCH always means that the service (or daemon) is missing. ENOENT means the real server on real-server commands, and the scheduler or
persistence engine on service commands. EINVAL has about ten meanings, of which the checks before sending leave a few.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from ipvskit.errors import (
    AddressNotUsable,
    DaemonExists,
    DaemonNotFound,
    InterfaceNotFound,
    KernelError,
    MixedFamilyRefused,
    NotSupported,
    PersistenceEngineNotAvailable,
    RealServerExists,
    RealServerNotFound,
    SchedulerNotAvailable,
    ServiceExists,
    ServiceNotFound,
)
from ipvskit.ipvs.availability import permission_denied
from ipvskit.ipvs.operations import AddReal, AddService, Operation, ReplaceReal, ReplaceService, StartDaemon, describe
from ipvskit.ipvs.records import Command
from ipvskit.model.address import Family, family_of
from ipvskit.modules import module_state

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipvskit.model.key import ServiceKey
    from ipvskit.model.service import VirtualService

__all__ = ["read_refusal", "refusal"]

_NO_SERVICE = "there is no such virtual service"
_SERVICE_COMMANDS = {
    Command.SET_SERVICE,
    Command.DEL_SERVICE,
    Command.GET_SERVICE,
    Command.NEW_DEST,
    Command.SET_DEST,
    Command.DEL_DEST,
    Command.GET_DEST,
    Command.ZERO,
}
_BY_ERRNO: dict[tuple[Command, int], tuple[type[KernelError], str]] = {
    **{(command, errno.ESRCH): (ServiceNotFound, _NO_SERVICE) for command in _SERVICE_COMMANDS},
    (Command.NEW_SERVICE, errno.EEXIST): (ServiceExists, "there is a virtual service with this key already"),
    (Command.NEW_DEST, errno.EEXIST): (RealServerExists, "the service has this real server already"),
    (Command.SET_DEST, errno.ENOENT): (RealServerNotFound, "the service has no such real server"),
    (Command.DEL_DEST, errno.ENOENT): (RealServerNotFound, "the service has no such real server"),
    (Command.NEW_DAEMON, errno.EEXIST): (DaemonExists, "a sync daemon of this role is running already"),
    (Command.NEW_DAEMON, errno.ENODEV): (InterfaceNotFound, "there is no such interface in this namespace"),
    (Command.NEW_DAEMON, errno.ENETUNREACH): (
        AddressNotUsable,
        "there is no route to the multicast group (is the interface up, and has it an address of the group's family?)",
    ),
    (Command.NEW_DAEMON, errno.EADDRNOTAVAIL): (
        AddressNotUsable,
        "the interface has no address to send from",
    ),
    (Command.DEL_DAEMON, errno.ESRCH): (DaemonNotFound, "no sync daemon of this role is running"),
    (Command.SET_CONFIG, errno.EINVAL): (
        KernelError,
        "a timeout is too long for this kernel: the limit is 2147483647 divided by its ticks per second (CONFIG_HZ)",
    ),
}


def refusal(
    operation: Operation, error: int, text: str = "", module: Callable[[str], str] = module_state
) -> KernelError:
    """What the kernel's refusal of an operation means. `module` says what is known of a kernel module (`module_state`)."""
    described = describe(operation)
    name, key = described.name, described.key
    if error == errno.EPERM:
        return permission_denied(error, name, key)
    found = _BY_ERRNO.get((described.command, error))
    if found is not None:
        kind, reason = found
        return kind(error, reason, operation=name, key=key, text=text)
    match operation:
        case AddService(service) | ReplaceService(service) if error == errno.ENOENT:
            return _module_missing(service, name, text, module)
        case AddReal(_, real) | ReplaceReal(_, real) if error in {errno.EINVAL, errno.EAFNOSUPPORT}:
            return _address_refused(operation.key, family_of(real.address), name, key, error, text)
        case StartDaemon() if error == errno.EINVAL:
            reason = (
                "refused; the kernel starts no daemon while a service has a real server of the other address family"
            )
            return MixedFamilyRefused(error, reason, operation=name, key=key, text=text)
    if error == errno.EAFNOSUPPORT:
        return NotSupported(error, "this kernel has no IPv6, or it is switched off", operation=name, key=key, text=text)
    if error == errno.EOPNOTSUPP:
        return NotSupported(error, "this kernel does not know the command", operation=name, key=key, text=text)
    return KernelError(error, operation=name, key=key, text=text)


def read_refusal(name: str, command: Command, key: object, error: int, text: str = "") -> KernelError:
    """What the kernel's refusal to answer a question means."""
    if error == errno.EPERM:
        return permission_denied(error, name, key)
    kind, reason = _BY_ERRNO.get((command, error), (KernelError, ""))
    return kind(error, reason, operation=name, key=key, text=text)


def _module_missing(service: VirtualService, name: str, text: str, state_of: Callable[[str], str]) -> KernelError:
    """ENOENT on a service does not say whether the scheduler or the persistence engine is missing: what is loaded tells."""
    scheduler, engine = service.scheduler, service.persistence_engine
    state = state_of(f"ip_vs_{scheduler}")
    kind: type[KernelError]
    if engine is not None and (scheduler == "none" or state in {"loaded", "built in", "present"}):
        module, kind = f"ip_vs_pe_{engine}", PersistenceEngineNotAvailable
        reason = f"there is no persistence engine {engine!r}"
    else:
        module, kind = f"ip_vs_{scheduler}", SchedulerNotAvailable
        reason = f"there is no scheduler {scheduler!r}"
        if engine is not None:
            reason += f" (or no persistence engine {engine!r})"
    reason += f": its module {module} is {_MODULE_WORDS[state_of(module)]}"
    return kind(errno.ENOENT, reason, operation=name, key=service.key, text=text)


_MODULE_WORDS = {
    "loaded": "loaded, so something else is wrong with it",
    "built in": "built in, so something else is wrong with it",
    "present": "installed but could not be loaded",
    "missing": "not installed for this kernel",
    "unknown": "not loaded, and not known to be installed for this kernel",
}


def _address_refused(service: ServiceKey, family: Family, name: str, key: object, error: int, text: str) -> KernelError:
    if family is not service.family:
        reason = "a real server of the other address family is not possible while a sync daemon runs"
        return MixedFamilyRefused(error, reason, operation=name, key=key, text=text)
    if error == errno.EAFNOSUPPORT:
        return NotSupported(error, f"this kernel has no {family}", operation=name, key=key, text=text)
    reason = (
        "the address is not unicast by this namespace's routing table: it is a broadcast address, or no interface"
        " of the namespace has ever been up, not even lo"
    )
    return AddressNotUsable(error, reason, operation=name, key=key, text=text)
