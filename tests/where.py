"""Runs a command where there is IPVS: on this kernel if it has it, else in a guest of the lab.

Knows: how to find out. Must not know: what the command does.
"""

from __future__ import annotations

import os
import subprocess
import sys


def missing_here() -> str:
    """What this machine lacks to run the command directly; empty when nothing."""
    from ipvskit import IpvskitError, Kernel, NetNS

    try:
        with NetNS.create() as fresh, Kernel(fresh) as kernel:
            kernel.ipvs.info()
    except IpvskitError as error:
        return str(error)
    return ""


def main(command: list[str]) -> int:
    """Run it and hand back its exit status."""
    reason = missing_here()
    if not reason:
        os.execvp(command[0], command)
    print(f"Not on this kernel ({reason}); in a guest instead.", flush=True)
    return subprocess.run([sys.executable, "-m", "tests.lab", "run", "--kernel", "auto", "--", *command]).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
