"""Kubernetes Services and EndpointSlices in, a node's whole IPVS state out: what kube-proxy does in its IPVS mode, without a cluster or a kernel.

    from ipvskit import kube

    node = kube.Node("node-1", addresses={"eth0": ["172.18.0.2/16"]}, labels={"topology.kubernetes.io/zone": "a"})
    found = kube.translate(objects, node, kube.Config(scheduler="wlc"))
    plan = ik.diff(kernel.snapshot(), found.state, scope=found.scope)

Where it does otherwise than kube-proxy, with the switch of `Config` that brings the old way back where somebody may rely on it:

- Two service ports that want the same address, port and protocol: the oldest Service has it, then the first by namespace and name, and the others
  are told; their entries and addresses for it are left out too. There the last one won, another one in each pass.
- An external IP that is the node's own address is refused: there it took the port from what listens on the node. `capture_node_addresses`
- External IPs, load balancers' and cluster addresses that are unspecified, loopback, multicast, link-local, broadcast or mapped are refused.
- Node ports are never served on addresses of kube-ipvs0, nor on IPv6 link-local ones, also where `node_port_addresses` cover them.
- A Service whose node ports are served nowhere keeps the rule for its health check.
- Source ranges that are all of the other family, or none of which can be read, leave an address open, as there, and are told.
  `source_ranges_fail_closed` shuts it. A range of all addresses means no filter, as in its later releases.
- A local policy without local endpoints uses the others, as there, and is told. `internal_fallback` and `external_fallback` turn that off.
- One address and port in several slices: that on this node, then the usable one, then the first slice by name; there it was left to chance.
- `excludeCIDRs` protects virtual services as there; what is owned can be narrowed (`owned_vips`). Firewall marks are never owned.
- Sets grow (`maxelem` None), or have the size that is configured.
- Sets, chains and the device of both families can be cleaned up: names are exact, those of IPv6 included.
- The comments of rules are its own.
- One bad object, port, endpoint or annotation never stops the others: it is left out and told.

Beyond it, by annotations of the Service: `ipvskit/scheduler`; `ipvskit/sched-flags` (names as in ipvsadm(8), with commas); `ipvskit/weight` (of the
EndpointSlice too, which goes first for its endpoints); `ipvskit/drain-seconds` (0 to 86400); `ipvskit/forwarding` (masquerade, tunnel,
direct-route) for external IPs and load balancers' addresses, which then keep the client's address; where an endpoint has another port than
the Service they masquerade, as cluster IPs and node ports always do.

Knows: the public names. Must not know: how anything is done.
"""

from typing import TYPE_CHECKING as _TYPE_CHECKING

if _TYPE_CHECKING:
    from ipvskit.kube.applying import SyncReport
    from ipvskit.kube.assembling import FamilyState, NodeState
    from ipvskit.kube.changes import Changes, NodeChanges, SetChange
    from ipvskit.kube.config import Config, LocalMode
    from ipvskit.kube.diagnostics import Code, Diagnostic
    from ipvskit.kube.health import HealthCheck, HealthServers, Unserved
    from ipvskit.kube.iptables import CHAINS, JUMPS, Jump, LocalDetector, OutFilter, Removal, Rules, removal
    from ipvskit.kube.iptables_tool import Iptables, IptablesFailed, IptablesNotAvailable
    from ipvskit.kube.names import DEVICE, Role, set_name, set_names
    from ipvskit.kube.node import Node
    from ipvskit.kube.planning import NodePlan
    from ipvskit.kube.proxy import Proxy
    from ipvskit.kube.removing import CleanupReport, cleanup
    from ipvskit.kube.tracker import Tracker
    from ipvskit.kube.translation import translate

#: Imported when they are first asked for.
_LATE = {
    "applying": ("SyncReport",),
    "assembling": ("FamilyState", "NodeState"),
    "changes": ("Changes", "NodeChanges", "SetChange"),
    "config": ("Config", "LocalMode"),
    "diagnostics": ("Code", "Diagnostic"),
    "health": ("HealthCheck", "HealthServers", "Unserved"),
    "iptables": ("CHAINS", "JUMPS", "Jump", "LocalDetector", "OutFilter", "Removal", "Rules", "removal"),
    "names": ("DEVICE", "Role", "set_name", "set_names"),
    "iptables_tool": ("Iptables", "IptablesFailed", "IptablesNotAvailable"),
    "node": ("Node",),
    "planning": ("NodePlan",),
    "proxy": ("Proxy",),
    "removing": ("CleanupReport", "cleanup"),
    "tracker": ("Tracker",),
    "translation": ("translate",),
}


def __getattr__(name: str) -> object:
    for path, names in _LATE.items():
        if name in names:
            from importlib import import_module

            found = globals()[name] = getattr(import_module(f"{__name__}.{path}"), name)
            return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "CHAINS",
    "DEVICE",
    "JUMPS",
    "Changes",
    "CleanupReport",
    "Code",
    "Config",
    "Diagnostic",
    "FamilyState",
    "HealthCheck",
    "HealthServers",
    "Iptables",
    "IptablesFailed",
    "IptablesNotAvailable",
    "Jump",
    "LocalDetector",
    "LocalMode",
    "Node",
    "NodeChanges",
    "NodePlan",
    "NodeState",
    "OutFilter",
    "Proxy",
    "Removal",
    "Role",
    "Rules",
    "SetChange",
    "SyncReport",
    "Tracker",
    "Unserved",
    "cleanup",
    "removal",
    "set_name",
    "set_names",
    "translate",
]
