"""The cluster that the manifests describe, with servers in its pods, and a proxy on its first node.

Knows: which pods the manifests name, and where. Must not know: what is shown.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ipvskit as ik
from ipvskit import kube
from ipvskit.kube.files import read_objects
from tests.lab import rules
from tests.lab.node import POD_NETWORKS, cluster
from tests.lab.web import Visitor, WebServers

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ipvskit.kube.config import Variant
    from tests.lab.node import Cluster

__all__ = ["Setting", "manifests", "opened"]

NET_POD = "net-pod"
_FOLDER = Path(__file__).parent / "manifests"


@dataclass(slots=True)
class Setting:
    """What there is to show. `variant` is that of iptables, None where the kernel has no tables for it: then `lacks` says so."""

    cluster: Cluster
    kernel: ik.Kernel
    config: kube.Config
    proxy: kube.Proxy
    variant: Variant | None
    lacks: str
    #: In the net-pod, and outside of the cluster.
    pod: Visitor
    outside: Visitor

    def saved(self) -> str:
        """What iptables-save says of the node."""
        if self.variant is None:
            return ""
        with kube.Iptables("ipv4", self.kernel.netns, variant=self.variant) as tool:
            return tool.save()


def manifests(*names: str) -> list[dict[str, Any]]:
    """The objects in these files of the folder, all without any."""
    return read_objects([str(_FOLDER / f"{name}.yaml") for name in names] or [str(_FOLDER)])


@contextlib.contextmanager
def opened() -> Iterator[Setting]:
    """Build it, and take it away whatever happens."""
    with contextlib.ExitStack() as stack:
        built = stack.enter_context(cluster({NET_POD: "node-1"} | _pods(manifests())))
        netns = built.node.netns
        missing: dict[Variant, str] = {}
        for each in rules.VARIANTS:
            missing[each] = rules.lacking(netns, each, [ik.Family.IPV4])
        variant = next((each for each, lack in missing.items() if not lack), None)
        servers = WebServers()
        stack.callback(servers.close)
        _listen(servers, built, manifests())
        stack.enter_context(servers)
        kernel = stack.enter_context(ik.Kernel(netns))
        config = _config(variant)
        without = None if variant else lambda family: rules.NoRules(family, netns)
        # The node's addresses are looked up.
        proxy = stack.enter_context(kube.Proxy(kernel, kube.Node("node-1"), config, iptables=without))
        lacks = "" if variant else "; ".join(missing.values())
        visitors = (Visitor(host.netns) for host in (built.host(NET_POD), built.client))
        yield Setting(built, kernel, config, proxy, variant, lacks, *visitors)


def _config(variant: Variant | None) -> kube.Config:
    return kube.Config(
        families=(ik.Family.IPV4,),
        # Clients in the pods' network keep their addresses.
        cluster_cidr=(str(POD_NETWORKS[0]),),
        iptables=variant or "auto",
        drain_interval=1,
    )


def _endpoints(objects: Iterable[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    for found in objects:
        if found["kind"] == "EndpointSlice":
            yield from ((found, each) for each in found["endpoints"])


def _pods(objects: Iterable[dict[str, Any]]) -> dict[str, str]:
    """The pods that slices name, with their nodes, in the order of their addresses: so they are given the same ones."""
    named = [each for _, each in _endpoints(objects) if "targetRef" in each]
    ordered = sorted(named, key=lambda each: ip_address(each["addresses"][0]))
    return {each["targetRef"]["name"]: each["nodeName"] for each in ordered}


def _listen(servers: WebServers, built: Cluster, objects: Iterable[dict[str, Any]]) -> None:
    """Every endpoint answers on its ports."""
    at = {host.address(4): host for host in (*built.nodes, *built.pods)}
    for slice_, endpoint in _endpoints(objects):
        host = at[ip_address(endpoint["addresses"][0])]
        if endpoint.get("targetRef", {"name": host.name})["name"] != host.name:
            raise AssertionError(f"{host.name} has the address of {endpoint['targetRef']['name']}")
        for port in slice_["ports"]:
            servers.add(host.name, host.netns, host.address(4), port["port"], port["protocol"].lower())
