"""What the host machine must have for a guest, and where it has room for one.

Knows: programs, folders, free memory. Must not know: how a guest is started.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sys
from pathlib import Path

from tests.lab.errors import LabError

_SYSTEM_FOLDERS = ("/usr/sbin", "/sbin", "/usr/bin", "/bin")


def tool(name: str, package: str) -> str:
    """Find a program; administrators' folders are often not in PATH."""
    beside = str(Path(sys.executable).parent)
    path = os.pathsep.join([beside, os.environ.get("PATH", ""), *_SYSTEM_FOLDERS])
    found = shutil.which(name, path=path)
    if found is None:
        raise LabError(f"the program '{name}' is missing: install {package}")
    return found


def check() -> None:
    """Name what the machine lacks before a guest fails for want of it."""
    tool("modprobe", "the Debian package kmod")
    tool("ip", "the Debian package iproute2")
    try:
        # The guest mounts its modules there, and its root is the host's tree.
        Path("/lib/modules").mkdir(exist_ok=True)
    except OSError as error:
        raise LabError("there is no folder /lib/modules: make an empty one as root") from error


def check_memory(memory: str) -> None:
    """Refuse a size the guest's kernel would not understand."""
    if re.fullmatch(r"[1-9]\d*[MG]", memory) is None:
        raise LabError(f"memory is a number with M or G, such as 2G, not {memory!r}")


def memory_folder(memory: str) -> str | None:
    """Find a tmpfs for the guest's memory file: large enough, and allowed to hold code.

    On a disk every page of the guest would be written back now and then, which is far slower.
    """
    size = int(memory[:-1]) << {"M": 20, "G": 30}[memory[-1]]
    named = [os.environ.get(name) for name in ("TMPDIR", "XDG_RUNTIME_DIR")]
    for folder in ("/dev/shm", *filter(None, named), "/run/shm"):
        with contextlib.suppress(OSError):
            about = os.statvfs(folder)
            usable = os.access(folder, os.W_OK) and not about.f_flag & os.ST_NOEXEC
            if usable and about.f_bavail * about.f_frsize >= size and _is_tmpfs(folder):
                return folder
    return None


def _is_tmpfs(folder: str) -> bool:
    with open("/proc/self/mounts") as mounts:
        types = {fields[1]: fields[2] for fields in (line.split() for line in mounts)}
    return types.get(os.path.realpath(folder)) == "tmpfs"
