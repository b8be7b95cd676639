"""Services and slices as the API serves them, for tests.

Knows: the API's fields. Must not know: what becomes of them.
"""

from __future__ import annotations

from typing import Any

from ipvskit import Family, ServiceKey, State, kube

NODE = kube.Node(
    "n1",
    addresses={"lo": ["127.0.0.1/8", "::1/128"], "eth0": ["172.18.0.2/16", "fc00::2/64", "fe80::2/64"]},
    labels={"topology.kubernetes.io/zone": "a"},
    pod_cidrs=["10.10.1.0/24", "fd10::/64"],
    kernel="6.1.0-13-amd64",
)
V4, V6 = Family.IPV4, Family.IPV6
CLUSTER_IP = "10.96.0.10"
AGE = "2026-01-01T00:00:00Z"


def port(number: int = 80, name: str = "http", protocol: str = "TCP", **more: Any) -> dict[str, Any]:
    return {"name": name, "protocol": protocol, "port": number, "targetPort": "anything", **more}


def service(
    name: str = "web",
    ips: tuple[str, ...] = (CLUSTER_IP,),
    *,
    ports: list[dict[str, Any]] | None = None,
    ingress: list[Any] | tuple[Any, ...] = (),
    labels: dict[str, str] | None = None,
    annotations: dict[str, str] | None = None,
    created: str = AGE,
    namespace: str = "default",
    **spec: Any,
) -> dict[str, Any]:
    families = ["IPv6" if ":" in ip else "IPv4" for ip in ips]
    defaults = {"type": "ClusterIP", "clusterIP": ips[0], "clusterIPs": list(ips), "ipFamilies": families}
    statuses = [{"ip": each} if isinstance(each, str) else each for each in ingress]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "creationTimestamp": created,
            "labels": labels or {},
            "annotations": annotations or {},
        },
        "spec": defaults | {"ports": [port()] if ports is None else ports} | spec,
        "status": {"loadBalancer": {"ingress": statuses} if statuses else {}},
    }


def endpoint(address: str, node: str | None = "n2", **more: Any) -> dict[str, Any]:
    """`ready`, `serving`, `terminating` are conditions; `zones` and `nodes` hints."""
    conditions = {name: more.pop(name) for name in ("ready", "serving", "terminating") if name in more}
    hints = {
        field: [{"name": each} for each in more.pop(name)]
        for name, field in (("zones", "forZones"), ("nodes", "forNodes"))
        if name in more
    }
    found = {"addresses": [address], "conditions": conditions, **({"hints": hints} if hints else {}), **more}
    return found | ({"nodeName": node} if node is not None else {})


def slice_of(
    service_name: str = "web",
    *endpoints: dict[str, Any],
    name: str | None = None,
    ports: list[Any] | None = None,
    family: str = "IPv4",
    namespace: str = "default",
    labels: dict[str, str] | None = None,
    annotations: dict[str, str] | None = None,
) -> dict[str, Any]:
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": name or f"{service_name}-abc",
            "namespace": namespace,
            "labels": {"kubernetes.io/service-name": service_name} | (labels or {}),
            "annotations": annotations or {},
        },
        "addressType": family,
        "ports": [{"name": "http", "protocol": "TCP", "port": 8080}] if ports is None else ports,
        "endpoints": list(endpoints),
    }


#: One endpoint on this node and one elsewhere.
BOTH = slice_of("web", endpoint("10.0.0.1", "n1"), endpoint("10.0.0.2"))


def v4(*objects: Any, node: kube.Node = NODE, **settings: Any) -> kube.FamilyState:
    return kube.translate(objects, node, kube.Config(**settings))[V4]


def v6(*objects: Any, node: kube.Node = NODE, **settings: Any) -> kube.FamilyState:
    return kube.translate(objects, node, kube.Config(**settings))[V6]


def reals(found: kube.FamilyState, key: str) -> list[str]:
    return [real.endpoint for real in found.state.services[ServiceKey.parse(key)].reals]


def keys(found: kube.FamilyState) -> list[str]:
    return sorted(map(str, found.state.services))


def entries(found: kube.FamilyState | State, name: str) -> list[str]:
    state = found if isinstance(found, State) else found.state
    return sorted(map(str, state.sets[name].entries))


def filled(found: kube.FamilyState) -> dict[str, list[str]]:
    """Sets that have entries, without their prefix."""
    names = (kube.set_name(role, found.family) for role in kube.Role)
    prefix = "KUBE-" if found.family is V4 else "KUBE-6-"
    return {name.removeprefix(prefix): entries(found, name) for name in names if found.state.sets[name].entries}


def bound(found: kube.FamilyState) -> list[str]:
    return [str(address.ip) for address in found.state.devices["kube-ipvs0"].addresses]


def codes(found: kube.FamilyState) -> list[str]:
    return [told.code for told in found.diagnostics]
