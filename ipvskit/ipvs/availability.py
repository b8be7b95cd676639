"""Whether this kernel has IPVS; and if not, or if it refuses to be asked, why.

Knows: where kernels keep their modules, and which capability IPVS wants. Must not know: requests.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING

from ipvskit.errors import IPVSNotAvailable, PermissionDenied

if TYPE_CHECKING:
    from ipvskit.errors import KernelError

__all__ = ["ipvs_not_available", "load_ipvs", "module_state", "permission_denied"]

CAP_NET_ADMIN = 12
_MODULES = Path("/lib/modules")
_DISABLED = Path("/proc/sys/kernel/modules_disabled")
_LOADER = Path("/proc/sys/kernel/modprobe")
_LOADER_TIMEOUT = 30.0  # seconds
_USER_NAMESPACE = Path("/proc/self/uid_map")
_STATUS = Path("/proc/self/status")


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def module_state(name: str) -> str:
    """What is known of a kernel module: "loaded", "built in", "present", "missing" or "unknown" (the module index cannot be read)."""
    if Path("/sys/module", name).exists():
        return "loaded"
    folder = _MODULES / os.uname().release
    index, built_in = _read(folder / "modules.dep"), _read(folder / "modules.builtin")
    if f"/{name}.ko" in built_in:
        return "built in"
    if f"/{name}.ko" in index:
        return "present"
    return "missing" if index else "unknown"


def load_ipvs() -> bool:
    """Load the module where the kernel cannot do it by itself: up to Linux 5.10 it does not know that the family IPVS is in ip_vs."""
    if module_state("ip_vs") != "present":
        return False
    import subprocess

    program = _read(_LOADER).strip() or "/sbin/modprobe"
    try:
        subprocess.run([program, "-q", "ip_vs"], check=True, capture_output=True, timeout=_LOADER_TIMEOUT)  # noqa: S603 - the kernel's own choice
    except (OSError, subprocess.SubprocessError):
        return False
    return True


def ipvs_not_available(error: KernelError) -> IPVSNotAvailable:
    """The kernel does not know the family IPVS: say whether the module is missing or was not loaded."""
    release = os.uname().release
    state = module_state("ip_vs")
    if state == "present" and _read(_DISABLED).strip() == "1":
        reason = "its module ip_vs is there, but loading modules is switched off (sysctl kernel.modules_disabled)"
    elif state == "present":
        reason = "its module ip_vs is there but could not be loaded; `modprobe ip_vs` as root on the host says why"
    elif state == "missing":
        reason = f"kernel {release} has no module ip_vs and was built without it (CONFIG_IP_VS)"
    else:
        reason = (
            f"kernel {release} was built without it (CONFIG_IP_VS), or its module ip_vs is not installed"
            f" (there is no module index in /lib/modules/{release})"
        )
    return IPVSNotAvailable(error.errno or errno.ENOENT, f"IPVS is not available: {reason}", operation="find IPVS")


def permission_denied(error: int, operation: str, key: object) -> PermissionDenied:
    """EPERM: say which capability is missing, or that it is held in the wrong user namespace."""
    effective = next((line.split()[1] for line in _read(_STATUS).splitlines() if line.startswith("CapEff:")), "0")
    capable = bool(int(effective, 16) >> CAP_NET_ADMIN & 1)
    initial = _read(_USER_NAMESPACE).split() == ["0", "0", "4294967295"]
    reason = "IPVS needs CAP_NET_ADMIN in the initial user namespace"
    if capable and not initial:
        reason += "; this process has it in another user namespace only (a rootless container)"
    elif not capable:
        reason += "; this process does not have it"
    return PermissionDenied(error, reason, operation=operation, key=key)
