"""Kernel modules: which are there, and why one that is there was not loaded.

Knows: where kernels keep their modules. Must not know: what any module is for.
"""

from __future__ import annotations

import os

__all__ = ["loading_is_off", "module_state", "read", "why_missing"]

_MODULES = "/lib/modules"
_DISABLED = "/proc/sys/kernel/modules_disabled"


def read(path: str | os.PathLike[str]) -> str:
    """What a file says, "" when it cannot be read."""
    # Not by pathlib: to import it takes longer than everything that is read here.
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return ""


def module_state(name: str) -> str:
    """What is known of a kernel module: "loaded", "built in", "present", "missing" or "unknown" (the module index cannot be read)."""
    if os.path.exists(f"/sys/module/{name}"):
        return "loaded"
    folder = os.path.join(_MODULES, os.uname().release)
    index, built_in = read(f"{folder}/modules.dep"), read(f"{folder}/modules.builtin")
    if f"/{name}.ko" in built_in:
        return "built in"
    if f"/{name}.ko" in index:
        return "present"
    return "missing" if index else "unknown"


def loading_is_off() -> bool:
    """Whether the administrator has switched off the loading of modules."""
    return read(_DISABLED).strip() == "1"


def why_missing(module: str, option: str, state: str) -> str:
    """Why the kernel does not have what this module brings; `option` is what builds it, `state` what `module_state` says."""
    release = os.uname().release
    if state == "present" and loading_is_off():
        return f"its module {module} is there, but loading modules is switched off (sysctl kernel.modules_disabled)"
    if state == "present":
        return f"its module {module} is there but could not be loaded; `modprobe {module}` as root on the host says why"
    if state == "missing":
        return f"kernel {release} has no module {module} and was built without it ({option})"
    return (
        f"kernel {release} was built without it ({option}), or its module {module} is not installed"
        f" (there is no module index in /lib/modules/{release})"
    )
