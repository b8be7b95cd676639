"""What the kernel's refusals mean: the one place where error numbers of ctnetlink become exceptions.

Knows: what the kernel means (net/netfilter/nfnetlink.c, net/netfilter/nf_conntrack_netlink.c; tried, see docs/kernel-notes.md). Must not know: how
requests travel.
"""

from __future__ import annotations

import errno

from ipvskit.errors import ConntrackNotAvailable, KernelError, PermissionDenied
from ipvskit.modules import module_state, why_missing

__all__ = ["DELETE", "GONE", "LIST", "permission_denied", "refusal"]

LIST, DELETE = "list flows", "delete flow"

#: The flow is not there, or another one is in its place.
GONE = errno.ENOENT

_MODULE, _OPTION = "nf_conntrack_netlink", "CONFIG_NF_CT_NETLINK"


def permission_denied(operation: str) -> PermissionDenied:
    """The process lacks the right."""
    reason = "tracked flows need CAP_NET_ADMIN in the user namespace that owns the network namespace"
    return PermissionDenied(errno.EPERM, reason, operation=operation)


def refusal(operation: str, error: int, key: object, text: str = "") -> KernelError:
    """What the refusal of a request about `key` means."""
    if error == errno.EPERM:
        return permission_denied(operation)
    if error == errno.EINVAL:
        # Netfilter's answer to requests for a part of it that it has not, after it tried to load the module.
        state = module_state(_MODULE)
        if state not in {"loaded", "built in"}:
            reason = "the kernel tracks no flows: " + why_missing(_MODULE, _OPTION, state)
            return ConntrackNotAvailable(error, reason, operation=operation, key=key, text=text)
    return KernelError(error, operation=operation, key=key, text=text)
