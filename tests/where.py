"""Runs a command where there is IPVS: on this kernel if it has it, else in a guest of the lab.

    python -m tests.where [--iptables] COMMAND...     with --iptables it has to have that too

Knows: how to find out. Must not know: what the command does.
"""

from __future__ import annotations

import os
import subprocess
import sys


def missing_here(*, iptables: bool) -> str:
    """What this machine lacks to run the command directly; empty when nothing."""
    from ipvskit import Family, IpvskitError, Kernel, NetNS
    from ipvskit.kube import Iptables

    try:
        with NetNS.create() as fresh, Kernel(fresh) as kernel:
            kernel.ipvs.info()
            if iptables:
                with Iptables(Family.IPV4, fresh) as tool:
                    # What the rules of a node need besides tables.
                    tool.load("*filter\n:PROBE - [0:0]\n-A PROBE -m ipvs --vport 80 -j DROP\nCOMMIT\n")
    except IpvskitError as error:
        return str(error)
    return ""


def main(words: list[str]) -> int:
    """Run it and hand back its exit status."""
    iptables = words[:1] == ["--iptables"]
    command = words[iptables:]
    reason = missing_here(iptables=iptables)
    if not reason:
        os.execvp(command[0], command)
    print(f"Not on this kernel ({reason}); in a guest instead.", flush=True)
    guest = [
        sys.executable,
        "-m",
        "tests.lab",
        "run",
        "--kernel",
        "iptables" if iptables else "auto",
        "--timeout",
        "2400",
    ]
    return subprocess.run([*guest, "--", *command]).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
