"""A process that reads a set, holds it as a table and prints the most memory that it ever had, in bytes.

    python -m tests.bench.ipset_holding NAMESPACE SET COUNT

With a COUNT of 0 it opens the handle and reads nothing.

Knows: how a process says what it took at most. Must not know: what the figure is compared with.
"""

from __future__ import annotations

import sys

import ipvskit
from tests.bench.holding import _peak


def main() -> None:
    namespace, name, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    with ipvskit.Kernel(namespace, timeout=60) as kernel:
        held = kernel.ipset.entries(name) if count else ()
        peak = _peak()
    if len(held) != count:
        raise SystemExit(f"{len(held)} entries were read, not {count}")
    print(peak)


if __name__ == "__main__":
    main()
