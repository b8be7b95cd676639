"""The settings of the kernel that this way of forwarding needs.

Knows: which ones, and which kernels take them. Must not know: files.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ipvskit.kube.diagnostics import Code, Diagnostic
from ipvskit.model.daemon import Timeouts

if TYPE_CHECKING:
    from ipvskit.kube.config import Config
    from ipvskit.kube.node import Node
    from ipvskit.model.sysctl import Value

__all__ = ["kernel_version", "sysctls_of", "timeouts_of"]

#: Between these, with the setting at 1, a client that uses a port again waits a second. Below it cannot be set; from the second on it is mended.
_REUSE_FIRST = (4, 1)
_REUSE_FIXED = (5, 9)


def kernel_version(release: str | None) -> tuple[int, int] | None:
    """The first two numbers of a kernel's release ("6.1.0-13-amd64"), None where there are none."""
    matched = re.match(r"(\d+)\.(\d+)", release or "")
    return (int(matched[1]), int(matched[2])) if matched else None


def sysctls_of(node: Node, config: Config) -> tuple[dict[str, Value], tuple[Diagnostic, ...]]:
    """Settings in the order in which they are to be written, and what was left out. Nothing is ever set back when it is no longer asked for."""
    found: dict[str, Value] = {"conntrack": True}
    version = kernel_version(node.kernel)
    told: tuple[Diagnostic, ...] = ()
    if version is not None and version < _REUSE_FIRST:
        message = "connection reuse can be set from Linux 4.1 on; clients that use a port again may be refused"
        told = (Diagnostic(Code.KERNEL_TOO_OLD, f"Node {node.name}", "conn_reuse_mode", message),)
    elif version is not None and version < _REUSE_FIXED:
        found["conn_reuse_mode"] = 0
    found |= {"expire_nodest_conn": True, "expire_quiescent_template": True, "ip_forward": True}
    if config.strict_arp:
        found |= {"arp_ignore": 1, "arp_announce": 2}
    return found, told


def timeouts_of(config: Config) -> Timeouts | None:
    """All three when any of them is given."""
    given = (config.tcp_timeout, config.tcp_fin_timeout, config.udp_timeout)
    return Timeouts(*given) if any(given) else None
