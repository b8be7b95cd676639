"""Whether this kernel has IPVS; and if not, or if it refuses to be asked, why.

Knows: which module and which capability IPVS wants. Must not know: requests.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from ipvskit.errors import IPVSNotAvailable, PermissionDenied
from ipvskit.modules import module_state, read, why_missing

if TYPE_CHECKING:
    from ipvskit.errors import KernelError

__all__ = ["ipvs_not_available", "load_ipvs", "permission_denied"]

CAP_NET_ADMIN = 12
_LOADER = "/proc/sys/kernel/modprobe"
_LOADER_TIMEOUT = 30.0  # seconds
_USER_NAMESPACE = "/proc/self/uid_map"
_STATUS = "/proc/self/status"


def load_ipvs() -> bool:
    """Load the module where the kernel cannot do it by itself: up to Linux 5.10 it does not know that the family IPVS is in ip_vs."""
    if module_state("ip_vs") != "present":
        return False
    import subprocess

    program = read(_LOADER).strip() or "/sbin/modprobe"
    try:
        subprocess.run([program, "-q", "ip_vs"], check=True, capture_output=True, timeout=_LOADER_TIMEOUT)  # noqa: S603 - the kernel's own choice
    except (OSError, subprocess.SubprocessError):
        return False
    return True


def ipvs_not_available(error: KernelError) -> IPVSNotAvailable:
    """The kernel does not know the family IPVS: say whether the module is missing or was not loaded."""
    reason = why_missing("ip_vs", "CONFIG_IP_VS", module_state("ip_vs"))
    return IPVSNotAvailable(error.errno or errno.ENOENT, f"IPVS is not available: {reason}", operation="find IPVS")


def permission_denied(error: int, operation: str, key: object) -> PermissionDenied:
    """EPERM: say which capability is missing, or that it is held in the wrong user namespace."""
    effective = next((line.split()[1] for line in read(_STATUS).splitlines() if line.startswith("CapEff:")), "0")
    capable = bool(int(effective, 16) >> CAP_NET_ADMIN & 1)
    initial = read(_USER_NAMESPACE).split() == ["0", "0", "4294967295"]
    reason = "IPVS needs CAP_NET_ADMIN in the initial user namespace"
    if capable and not initial:
        reason += "; this process has it in another user namespace only (a rootless container)"
    elif not capable:
        reason += "; this process does not have it"
    return PermissionDenied(error, reason, operation=operation, key=key)
