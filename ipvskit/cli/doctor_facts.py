"""What the doctor knows of a host, and what it finds: values.

Knows: which facts there are. Must not know: where facts come from (`doctor_reading`), what follows from them (`doctor_checks`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ipvskit.engine.keys import RealKey
    from ipvskit.model.address import IPAddress
    from ipvskit.model.daemon import Info, SyncDaemon
    from ipvskit.model.device import Device
    from ipvskit.model.status import ServiceStatus
    from ipvskit.model.sysctl import Value

__all__ = ["Facts", "Finding", "Severity"]


class Severity(StrEnum):
    """How bad it is: nothing at all, good to know, will hurt one day, hurts."""

    OK = "ok"
    NOTE = "note"
    WARNING = "warning"
    PROBLEM = "problem"

    @property
    def rank(self) -> int:
        """For sorting: the worse the greater."""
        return tuple(Severity).index(self)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    `what` is how it is, `why` what it does to traffic, `fix` the command that changes it ("" where there is none), `about` the objects that it is
    about, all of them.
    """

    severity: Severity
    code: str
    what: str
    why: str = ""
    fix: str = ""
    about: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "severity": str(self.severity),
            "code": self.code,
            "what": self.what,
            "why": self.why,
            "fix": self.fix,
            "about": list(self.about),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """A host and one of its network namespaces.

    `ipvs` is None where `ipvs_missing` says why, `set_types` (least and newest revision of each) where `ipset_missing` does. `tracked` is how many
    flows are tracked and how many may be, None where none are. `sysctls` are None where the kernel does not have them, `ipv6_forwarding` where there
    is no IPv6. `routed` are addresses of services that no device has, and that are the host's own all the same (a local route). `arp_ignore` and
    `arp_announce` are what counts on each device that asks and answers for addresses. `draining` are real servers that a ledger remembers.
    """

    release: str
    modules: Mapping[str, str] = field(default_factory=dict)
    capable: bool = True
    initial_user_namespace: bool = True
    ipvs: Info | None = None
    ipvs_missing: str = ""
    set_types: Mapping[str, tuple[int, int]] | None = None
    ipset_missing: str = ""
    tracked: tuple[int, int] | None = None
    iptables: Mapping[str, str] = field(default_factory=dict)
    sysctls: Mapping[str, Value | None] = field(default_factory=dict)
    ipv6_forwarding: bool | None = None
    services: tuple[ServiceStatus, ...] = ()
    daemons: tuple[SyncDaemon, ...] = ()
    devices: tuple[Device, ...] = ()
    routed: frozenset[IPAddress] = frozenset()
    arp_ignore: Mapping[str, int] = field(default_factory=dict)
    arp_announce: Mapping[str, int] = field(default_factory=dict)
    draining: frozenset[RealKey] = frozenset()

    @property
    def owners(self) -> dict[IPAddress, Device]:
        """The device of each of the host's addresses."""
        return {address.ip: device for device in self.devices for address in device.addresses}

    @property
    def vips(self) -> list[IPAddress]:
        """The addresses of services, each once."""
        return list(dict.fromkeys(one.key.address for one in self.services if one.key.address is not None))
