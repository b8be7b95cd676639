"""What the kernel's refusals mean: the one place where error numbers of rtnetlink become exceptions.

Knows: what the kernel means (net/core/rtnetlink.c, net/ipv4/devinet.c, net/ipv6/addrconf.c; tried, see docs/kernel-notes.md). Must not know:
how requests travel.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from ipvskit.devices.records import Command
from ipvskit.errors import (
    AlreadyExists,
    DeviceExists,
    DeviceKindNotAvailable,
    InterfaceNotFound,
    KernelError,
    NotFound,
    NotSupported,
    PermissionDenied,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ALREADY", "refusal"]

_Meaning = tuple[type[KernelError], str]

#: Error numbers that say: it is so already.
ALREADY: Mapping[Command, frozenset[int]] = {
    Command.NEW_ADDRESS: frozenset({errno.EEXIST}),
    # ENXIO: the device has no IPv6 at all.
    Command.DELETE_ADDRESS: frozenset({errno.EADDRNOTAVAIL, errno.ENXIO}),
}

_NAMES = {
    Command.NEW_ADDRESS: "add address",
    Command.DELETE_ADDRESS: "delete address",
    Command.NEW_LINK: "create device",
    Command.CHANGE_LINK: "change device",
    Command.DELETE_LINK: "delete device",
    Command.GET_LINK: "get device",
}
_NO_DEVICE = (InterfaceNotFound, "there is no such device in this namespace")
_ANYWHERE: Mapping[int, _Meaning] = {
    errno.EPERM: (
        PermissionDenied,
        "changing devices needs CAP_NET_ADMIN in the user namespace that owns the network namespace",
    ),
    errno.ENODEV: _NO_DEVICE,
}
_BY_COMMAND: Mapping[Command, Mapping[int, _Meaning]] = {
    Command.NEW_ADDRESS: {
        errno.EEXIST: (AlreadyExists, "the device has this address already, with another prefix length"),
        errno.EACCES: (NotSupported, "IPv6 is switched off on this device (net.ipv6.conf.*.disable_ipv6)"),
        errno.EOPNOTSUPP: (NotSupported, "this kernel does not have the address family, or has not loaded it (ipv6)"),
        errno.EINVAL: (
            KernelError,
            "the device cannot have this address, or has others of its network in another scope",
        ),
    },
    Command.DELETE_ADDRESS: {
        errno.EADDRNOTAVAIL: (NotFound, "the device does not have this address"),
        errno.EOPNOTSUPP: (NotSupported, "this kernel does not have the address family, or has not loaded it (ipv6)"),
    },
    Command.NEW_LINK: {
        errno.EEXIST: (DeviceExists, "there is a device of this name"),
        errno.EOPNOTSUPP: (
            DeviceKindNotAvailable,
            "the kernel has no devices of this kind, and could not load a module that makes them",
        ),
    },
    Command.DELETE_LINK: {errno.EOPNOTSUPP: (NotSupported, "devices of this kind cannot be deleted")},
}


def refusal(command: Command, error: int, key: object, text: str = "") -> KernelError:
    """What the refusal of a request about `key` means."""
    kind, reason = _BY_COMMAND.get(command, {}).get(error) or _ANYWHERE.get(error, (KernelError, ""))
    return kind(error, reason, operation=_NAMES[command], key=key, text=text)
