"""A process that holds the objects of a large cluster, or a node's state besides, and prints its peak memory in bytes.

Knows: how a process says what it took at most. Must not know: what is measured with it.
"""

from __future__ import annotations

import resource
import sys

from ipvskit import kube
from tests.bench.kube_workload import CONFIG, NODE, cluster

if __name__ == "__main__":
    objects = cluster()
    found = kube.translate(objects, NODE, CONFIG).state if sys.argv[1] == "translated" else None
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
