"""Builds the compiled module `ipvskit._core` from ipvskit.cdef and the C files beside it.

Knows: file names and compiler options. Must not know: what the C does.
"""

import os
import sysconfig
from pathlib import Path

from cffi import FFI

HERE = Path(__file__).resolve().parent
HEADERS = (
    "ik_netns.h",
    "ik_socket.h",
    "ik_genl.h",
    "ik_ipvs.h",
    "ik_ipvs_compare.h",
    "ik_ipvs_pairs.h",
    "ik_elements.h",
    "ik_ipset.h",
    "ik_rtnl.h",
    "ik_conntrack.h",
)
# Free-threaded builds of CPython have no limited API.
LIMITED_API = not sysconfig.get_config_var("Py_GIL_DISABLED")

ffibuilder = FFI()
ffibuilder.cdef((HERE / "ipvskit.cdef").read_text())
ffibuilder.set_source(
    "ipvskit._core",
    "\n".join(f'#include "{name}"' for name in HEADERS),
    sources=sorted(f"csrc/{path.name}" for path in HERE.glob("ik_*.c")),
    depends=sorted(f"csrc/{path.name}" for path in HERE.glob("*.h")),
    include_dirs=["csrc"],
    define_macros=[("_GNU_SOURCE", None)],
    extra_compile_args=["-std=c11", "-fvisibility=hidden", "-pthread", *os.environ.get("IPVSKIT_CFLAGS", "").split()],
    extra_link_args=["-pthread", *os.environ.get("IPVSKIT_LDFLAGS", "").split()],
    py_limited_api=LIMITED_API,
)
