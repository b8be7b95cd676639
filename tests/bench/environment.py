"""What the figures were measured on.

Knows: where a machine and its programs say what they are. Must not know: cases.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import subprocess
from pathlib import Path

__all__ = ["describe", "kernel"]


def kernel() -> str:
    """The release of the kernel that runs this process."""
    return platform.release()


def describe() -> dict[str, str]:
    """Everything, by what it is."""
    return {
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "load": " ".join(f"{one:.2f}" for one in os.getloadavg()),
        "kernel": kernel(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "compiler": _first_line("cc", "--version"),
        "ipvsadm": _first_line("ipvsadm", "--version"),
        "ipset": _first_line("ipset", "--version"),
        "pyroute2": _distribution("pyroute2"),
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()


def _first_line(*command: str) -> str:
    if shutil.which(command[0]) is None:
        return "not installed"
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = [line for line in run.stdout.splitlines() if line]
    return lines[0] if lines else "says no version here"


def _distribution(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
