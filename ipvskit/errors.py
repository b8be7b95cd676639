"""Every exception that ipvskit raises on purpose, but for `ipvskit.kube.IptablesFailed`, which stands with what it is about.

Knows: what can go wrong, in the user's words. Must not know: which errno of which command means what (`ipvskit.ipvs.refusals`).

    IpvskitError
    ├── InvalidConfig (ValueError)          your value is wrong; nothing was sent
    │   ├── InvalidEntry
    │   └── InvalidState                    of a whole state: all that is wrong with it, each with its place
    ├── KernelError (OSError)               the kernel refused
    │   ├── NotFound                        ServiceNotFound, RealServerNotFound, DaemonNotFound, InterfaceNotFound, NamespaceNotFound,
    │   │                                   SetNotFound, EntryNotFound
    │   ├── AlreadyExists                   ServiceExists, RealServerExists, DaemonExists, SetExists, EntryExists, DeviceExists
    │   ├── NotSupported                    IPVSNotAvailable, SchedulerNotAvailable, PersistenceEngineNotAvailable, SysctlNotAvailable,
    │   │                                   IpsetNotAvailable, SetTypeNotAvailable, SetFeatureNotAvailable, DeviceKindNotAvailable,
    │   │                                   ConntrackNotAvailable
    │   ├── Busy                            SetReferenced, SetBusy
    │   ├── SetFull, SetLimitReached, SetTypeMismatch, EntryRefused, OptionNotEnabled
    │   ├── AddressNotUsable
    │   ├── MixedFamilyRefused
    │   ├── PermissionDenied
    │   ├── TimedOut                        no answer before the deadline
    │   └── AnswerLost                      executed or not: the kernel's answer did not arrive and could not be inferred
    ├── BulkFailed                          carries the report of a bulk call, or of a plan that was applied
    ├── GuardRefused                        a plan deletes more than allowed; nothing was sent
    ├── StalePlan                           what a plan is about is no longer as it was; nothing was sent
    ├── InconsistentDump                    the table changed during every attempt to read it; carries what was read
    ├── ProtocolError                       bytes that cannot be trusted
    └── ClosedError (ValueError)            used after close()
"""

from __future__ import annotations

import os

# Programs that live for a moment import this, and `typing` takes longer than all of it. Type checkers know the name.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from ipvskit.report import Report

__all__ = [
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
    "Fault",
    "IPVSNotAvailable",
    "InconsistentDump",
    "InterfaceNotFound",
    "InvalidConfig",
    "InvalidEntry",
    "InvalidState",
    "IpsetNotAvailable",
    "IpvskitError",
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
]


class IpvskitError(Exception):
    """The root of all exceptions of this library."""


class InvalidConfig(IpvskitError, ValueError):
    """A value that the kernel would refuse, or accept wrongly. Nothing was sent.

    `field` names it, `value` is what was given, `expected` says what would be right.
    """

    def __init__(self, field: str, value: object, expected: str) -> None:
        super().__init__(field, value, expected)
        self.field = field
        self.value = value
        self.expected = expected

    def __str__(self) -> str:
        return f"{self.field}: {self.value!r} is not usable: {self.expected}"


class InvalidEntry(InvalidConfig):
    """An entry that no set of its type can hold. `line` is its place (from 0) in the text or the iterable that it came with."""

    def __init__(self, field: str, value: object, expected: str, line: int = 0) -> None:
        super().__init__(field, value, expected)
        self.line = line

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.field, self.value, self.expected, self.line)

    def __str__(self) -> str:
        return f"entry {self.line}: {super().__str__()}" if self.line else super().__str__()


class Fault:
    """One thing that is wrong with a state: where, and what would be right.

    `path` is as in `services[3].reals[0].weight`, "" for the text as a whole. `line` counts from 1 in the text, and is 0 where there is no text.
    """

    __slots__ = ("line", "message", "path")

    def __init__(self, path: str, line: int, message: str) -> None:
        self.path = path
        self.line = line
        self.message = message

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Fault) and self._all() == other._all()

    def __hash__(self) -> int:
        return hash(self._all())

    def __repr__(self) -> str:
        return f"Fault{self._all()!r}"

    def _all(self) -> tuple[str, int, str]:
        return self.path, self.line, self.message

    def __str__(self) -> str:
        place = ", ".join(part for part in (f"line {self.line}" if self.line else "", self.path) if part)
        return f"{place}: {self.message}" if place else self.message


class InvalidState(InvalidConfig):
    """A state, or the text of one, that cannot be. `faults` are all the things that are wrong with it, in the order of the text."""

    SHOWN = 10

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        first = self.faults[0] if self.faults else Fault("", 0, "something is wrong")
        super().__init__(first.path or "state", None, first.message)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.faults,)

    def __str__(self) -> str:
        shown = [str(fault) for fault in self.faults[: self.SHOWN]]
        more = len(self.faults) - len(shown)
        return "\n".join([*shown, f"and {more} more"] if more else shown)


_LAST_ERRNO = 4095


class KernelError(IpvskitError, OSError):
    """The kernel refused an operation.

    `operation` says what was tried ("add real server"), `key` on which object, `errno` and `text` are the kernel's own words (the text is
    empty where the kernel gives none), `reason` is what that means.
    """

    def __init__(
        self, error: int, reason: str = "", *, operation: str = "", key: object = None, text: str = ""
    ) -> None:
        super().__init__(error, reason or os.strerror(error))
        self.reason = reason or os.strerror(error)
        self.operation = operation
        self.key = key
        self.text = text

    def __reduce__(self) -> tuple[Any, ...]:
        # The last one is for what subclasses add.
        return _rebuild, (type(self), self.errno, self.reason, self.operation, self.key, self.text), self.__dict__

    def __str__(self) -> str:
        what = " ".join(str(part) for part in (self.operation, self.key) if part is not None and part != "")
        # The numbers of ipset have no names but those in the text, and mean nothing without them.
        own = self.text if self.text and (self.errno or 0) > _LAST_ERRNO else ""
        kernel = own or errno_name(self.errno) + (f": {self.text}" if self.text else "")
        return f"{what}: {self.reason} [{kernel}]" if what else f"{self.reason} [{kernel}]"


def _rebuild(kind: type[KernelError], error: int, reason: str, operation: str, key: object, text: str) -> KernelError:
    return kind(error, reason, operation=operation, key=key, text=text)


def errno_name(error: int | None) -> str:
    """`EEXIST` for 17."""
    import errno

    return errno.errorcode.get(error or 0, f"errno {error}")


class NotFound(KernelError):
    """The object that the operation is about does not exist."""


class ServiceNotFound(NotFound):
    """No such virtual service."""


class RealServerNotFound(NotFound):
    """The virtual service has no such real server."""


class DaemonNotFound(NotFound):
    """No sync daemon of this role is running."""


class InterfaceNotFound(NotFound):
    """No such network interface in this namespace."""


class NamespaceNotFound(NotFound):
    """No such network namespace."""


class AlreadyExists(KernelError):
    """An object with this key exists."""


class ServiceExists(AlreadyExists):
    """A virtual service with this key exists, perhaps with other options."""


class RealServerExists(AlreadyExists):
    """The virtual service has a real server with this key, perhaps with other options."""


class DaemonExists(AlreadyExists):
    """A sync daemon of this role is running."""


class SetNotFound(NotFound):
    """No such set."""


class EntryNotFound(NotFound):
    """The set has no such entry."""


class SetExists(AlreadyExists):
    """A set of this name exists. `differences` says in what it is not as asked for: (field, wanted, held) each."""

    differences: tuple[tuple[str, object, object], ...] = ()


class DeviceExists(AlreadyExists):
    """A network device of this name exists in this namespace, perhaps of another kind."""


class EntryExists(AlreadyExists):
    """The set has this entry, perhaps with other options."""


class Busy(KernelError):
    """The object is in use; later it may not be."""


class SetReferenced(Busy):
    """A firewall rule or a list:set refers to the set. `references` counts them, None where that is not known."""

    references: int | None = None


class SetBusy(Busy):
    """Another program is listing the set, and went on doing so during every attempt."""


class SetFull(KernelError):
    """The set holds as many entries as it may; `limit` is that number, None where it is not known."""

    limit: int | None = None


class SetLimitReached(KernelError):
    """The kernel holds as many sets as it can."""


class SetTypeMismatch(KernelError):
    """Two sets that cannot be swapped: their types hold different things, or their families differ."""


class EntryRefused(KernelError):
    """The set cannot hold this entry: outside its range, of the other family, or of a form that its type refuses. `limit` says what it holds."""

    limit: object = None


class OptionNotEnabled(KernelError):
    """The entry has an option (timeout, counters, comment, skbinfo) that the set was created without."""


class NotSupported(KernelError):
    """This kernel cannot do that."""


class IPVSNotAvailable(NotSupported):
    """This kernel has no IPVS, or its module could not be loaded."""


class IpsetNotAvailable(NotSupported):
    """This kernel has no ipset, or its module could not be loaded."""


class SetTypeNotAvailable(NotSupported):
    """The type of set is not known to the kernel and its module could not be loaded."""


class SetFeatureNotAvailable(NotSupported):
    """This kernel's revision of the set's type lacks a feature that was asked for."""


class DeviceKindNotAvailable(NotSupported):
    """The kernel makes no network devices of this kind, and its module could not be loaded."""


class ConntrackNotAvailable(NotSupported):
    """This kernel does not list the flows that it tracks, or its module for that could not be loaded."""


class SchedulerNotAvailable(NotSupported):
    """The scheduler is not known to the kernel and its module could not be loaded."""


class PersistenceEngineNotAvailable(NotSupported):
    """The persistence engine is not known to the kernel and its module could not be loaded."""


class SysctlNotAvailable(NotSupported):
    """This kernel does not have the setting, or does not show it in this namespace."""


class AddressNotUsable(KernelError):
    """The director's routing table does not lead to this address as unicast."""


class MixedFamilyRefused(KernelError):
    """A real server of the other address family is refused while a sync daemon runs, and a sync daemon while there is one."""


class PermissionDenied(KernelError):
    """The process lacks a capability; `reason` names it and says where it must be held."""


class TimedOut(KernelError):
    """The kernel did not answer before the deadline."""


class AnswerLost(KernelError):
    """The kernel's answer did not arrive, and reading the object again does not show whether the operation was executed."""


class BulkFailed(IpvskitError):
    """Some operations of a bulk call failed; `report` has all of them."""

    def __init__(self, report: Report) -> None:
        super().__init__(report)
        self.report = report

    def __str__(self) -> str:
        return str(self.report)


class GuardRefused(IpvskitError):
    """A plan deletes `count` of the `held` objects of a `kind`, which is more than allowed. Nothing was sent."""

    def __init__(self, kind: str, count: int, held: int, allowed: float) -> None:
        super().__init__(kind, count, held, allowed)
        self.kind = kind
        self.count = count
        self.held = held
        self.allowed = allowed

    def __str__(self) -> str:
        limit = f"{self.allowed:.0%} of them" if isinstance(self.allowed, float) else f"{self.allowed}"
        return f"the plan deletes {self.count} of {self.held} {self.kind}, and at most {limit} may go (guard(max_deletes=...) says how many)"


class StalePlan(IpvskitError):
    """Somebody changed what a plan is about since the snapshot: `keys` are neither as before nor as they are to be. Nothing was sent."""

    def __init__(self, keys: Sequence[object]) -> None:
        super().__init__(keys)
        self.keys = tuple(keys)

    def __str__(self) -> str:
        shown = ", ".join(map(str, self.keys[:_STALE_SHOWN]))
        more = f" and {len(self.keys) - _STALE_SHOWN} more" if len(self.keys) > _STALE_SHOWN else ""
        return f"changed since the snapshot: {shown}{more}; take another one and plan anew"


_STALE_SHOWN = 5


class InconsistentDump(IpvskitError):
    """The table changed during every attempt to read it; `partial` is what the last attempt read, without its duplicates."""

    def __init__(self, what: str, attempts: int, partial: Sequence[object]) -> None:
        super().__init__(what, attempts, partial)
        self.what = what
        self.attempts = attempts
        self.partial = partial

    def __str__(self) -> str:
        return f"{self.what}: changed during each of {self.attempts} attempts to read it; {len(self.partial)} entries were read"


class ProtocolError(IpvskitError):
    """The kernel's answer is not what its protocol allows."""


class ClosedError(IpvskitError, ValueError):
    """The handle was closed."""
