"""What a node should have, said a second time: slow and obvious, straight from the specification, by nothing but the standard library.

    expected(objects, {"name": "node-1", "addresses": {...}}, {"scheduler": "mh"})     the node and the settings as keyword arguments

Knows: kube-proxy's rules for Services and EndpointSlices, and where ipvskit does otherwise. Must not know: ipvskit.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_interface, ip_network
from typing import Any

from tests.property.kube_endpoints import (
    FAMILIES,
    IP,
    Endpoint,
    Object,
    annotation,
    cluster_list,
    labels,
    local_list,
    merge,
    metadata,
    name_of,
    place,
    read_ip,
    refused,
    weight_of,
)
from tests.property.kube_expected import Expected, Pass, Real, Virtual, set_names

__all__ = ["expected"]

SKIP_LABELS = ("service.kubernetes.io/service-proxy-name", "service.kubernetes.io/headless")
FLAGS = {
    "sh": {"sh-fallback": 0x8, "sh-port": 0x10},
    "mh": {"mh-fallback": 0x8, "mh-port": 0x10},
}
ANY_FLAGS = {"flag-1": 0x8, "flag-2": 0x10, "flag-3": 0x20}


@dataclass
class Claim:
    """A service port that wants a virtual service; `owner` is its Service and which of the ports it is.

    `rank` is 0 to 3 for cluster IP, external IP, load balancer and node port.
    """

    key: tuple[str, int, str]
    owner: tuple[str, str, int]
    rank: int
    virtual: Virtual
    bind: bool
    entries: list[tuple[str, str]]
    drop: bool = False


def expected(objects: Iterable[Object], node: Object, config: Object) -> Expected:
    """What the node should have."""
    every = list(objects)
    found = Expected({}, {})
    for version in FAMILIES:
        found.passes[version] = _Family(version, every, node, config, found).run()
    return found


def _arrives(thing: Object, kind: str) -> bool:
    """2.1: the label selector of the informers."""
    return thing["kind"] == kind and not any(label in labels(thing) for label in SKIP_LABELS)


# --- one family ---------------------------------------------------------------------------------------------------------------------


class _Family:
    def __init__(self, version: int, objects: Sequence[Object], node: Object, config: Object, whole: Expected) -> None:
        self.version, self.node, self.config, self.whole = version, node, config, whole
        self.services = [each for each in objects if _arrives(each, "Service")]
        self.slices = sorted((each for each in objects if _arrives(each, "EndpointSlice")), key=name_of)
        self.names = set_names(version)
        self.found = Pass(sets={name: set() for name in self.names.values()})
        self.claims: list[Claim] = []
        #: All addresses of the family with their interfaces.
        self.held = [
            (interface, ip_interface(text).ip)
            for interface, texts in node.get("addresses", {}).items()
            for text in texts
            if ip_interface(text).version == version
        ]

    def run(self) -> Pass:
        for service in self.services:
            self.one_service(service)
        self.settle()
        self.add("KUBE-IPVS-IPS", *self.found.bound)
        return self.found

    def setting(self, name: str, default: bool) -> bool:
        return bool(self.config.get(name, default))

    def add(self, name: str, *entries: str) -> None:
        self.found.sets[self.names[name]].update(entries)

    # 2.6, 2.7: the node's addresses

    def own_addresses(self) -> set[IP]:
        """2.7: those that are on other interfaces than ours."""
        return {
            ip
            for interface, ip in self.held
            if interface != "kube-ipvs0" and not ip.is_loopback and not (self.version == 6 and ip.is_link_local)
        }

    def primary(self) -> IP | None:
        for text in self.node.get("primary", ()):
            if ip_address(text).version == self.version:
                return ip_address(text)
        return next((ip for interface, ip in self.held if interface != "kube-ipvs0" and not refused(ip)), None)

    def node_ips(self) -> set[IP]:
        given = self.config.get("node_port_addresses", ())
        if "primary" in given:
            primary = self.primary()
            return set() if primary is None else {primary}
        networks = [ip_network(text) for text in given if ip_network(text).version == self.version]
        if not networks or any(network.prefixlen == 0 for network in networks):
            return self.own_addresses()
        return {ip for ip in self.own_addresses() if any(ip in network for network in networks)}

    # 2.1: which Services count

    def cluster_ip(self, spec: Object) -> IP | None:
        if spec.get("type") == "ExternalName" or spec.get("clusterIP") in {None, "", "None"}:
            return None
        families, texts = spec.get("ipFamilies") or [], spec.get("clusterIPs") or []
        if not families:
            ip = read_ip(spec["clusterIP"])
            return ip if ip is not None and ip.version == self.version else None
        for position, family in enumerate(families):
            if family == FAMILIES[self.version] and position < len(texts):
                return read_ip(texts[position])
        return None

    # 2.2, 2.4, 2.5: what becomes of a Service

    def merged(self, service: Object, port: Object) -> tuple[list[Endpoint], dict[str, int]]:
        return merge(self.slices, service, port, self.version, self.node["name"])

    def one_service(self, service: Object) -> None:
        spec = service.get("spec") or {}
        cluster_ip = self.cluster_ip(spec)
        if cluster_ip is None:
            return
        external = self.usable(service, spec.get("externalIPs") or [])
        if not self.setting("capture_node_addresses", True):
            external = [ip for ip in external if ip not in self.own_addresses()]
        ingress = (service.get("status") or {}).get("loadBalancer", {}).get("ingress") or []
        balancers = self.usable(
            service, [each["ip"] for each in ingress if each.get("ip") and each.get("ipMode") in {None, "VIP"}]
        )
        kind = spec.get("type", "ClusterIP")
        may_be_local = kind in {"LoadBalancer", "NodePort"} or (kind == "ClusterIP" and bool(spec.get("externalIPs")))
        external_local = may_be_local and spec.get("externalTrafficPolicy") == "Local"
        for port in spec.get("ports") or []:
            _Port(self, service, port, cluster_ip, external, balancers, external_local).claim()
        if kind == "LoadBalancer" and external_local and spec.get("healthCheckNodePort"):
            before = self.whole.health.get(name_of(service), (0, 0))[1]
            self.whole.health[name_of(service)] = spec["healthCheckNodePort"], before + self.ready_here(service)

    def ready_here(self, service: Object) -> int:
        """2.8: how many addresses have a ready endpoint on this node, whatever the port is called."""
        ports = [port for each in self.slices for port in each.get("ports") or []]
        every = [each for port in ports for each in self.merged(service, port)[0]]
        return len({each.ip for each in every if each.local and each.ready})

    def usable(self, service: Object, texts: Iterable[str]) -> list[IP]:
        found = []
        for text in texts:
            ip = read_ip(text)
            if ip is None or (ip.version == self.version and refused(ip)):
                self.whole.refused.add("/".join(name_of(service)))
            elif ip.version == self.version:
                found.append(ip)
        return list(dict.fromkeys(found))

    # 2.9: who gets an address and port

    def settle(self) -> None:
        ages = {name_of(each): metadata(each).get("creationTimestamp") or "~" for each in self.services}

        def precedence(claim: Claim) -> tuple[Any, ...]:
            namespace, name, port = claim.owner
            return ages[namespace, name], f"{namespace}/{name}", port, claim.rank

        by_key: dict[tuple[str, int, str], list[Claim]] = defaultdict(list)
        for claim in self.claims:
            by_key[claim.key].append(claim)
        for (ip, port, protocol), claims in by_key.items():
            first = min(claims, key=precedence)
            where = f"[{ip}]:{port}" if self.version == 6 else f"{ip}:{port}"
            self.found.services[f"{where}/{protocol}"] = first.virtual
            for claim in claims:
                if claim.owner != first.owner:
                    self.whole.losers.add("/".join(claim.owner[:2]))
                    continue
                if claim.bind:
                    self.found.bound.add(ip)
                if claim.drop:
                    self.found.drops.add(f"{ip},{protocol}:{port}")
                for name, entry in claim.entries:
                    self.add(name, entry)


# --- one port of a Service ----------------------------------------------------------------------------------------------------------


class _Port:
    def __init__(
        self,
        family: _Family,
        service: Object,
        port: Object,
        cluster_ip: IP,
        external: list[IP],
        balancers: list[IP],
        external_local: bool,
    ) -> None:
        self.family, self.service, self.port = family, service, port
        self.spec: Object = service["spec"]
        self.cluster_ip, self.external, self.balancers = cluster_ip, external, balancers
        self.external_local = external_local
        self.protocol = (port.get("protocol") or "TCP").lower()
        self.node_port = port.get("nodePort") or 0
        self.every, self.weights = family.merged(service, port)

    def claim(self) -> None:
        for each in self.every:
            if each.local:
                self.family.add("KUBE-LOOP-BACK", f"{each.ip},{self.protocol}:{each.port},{each.ip}")
        own = self.family.own_addresses()
        entry = self.entry(self.cluster_ip)
        self.want(0, self.cluster_ip, self.internal(), bind=True, entries=[("KUBE-CLUSTER-IP", entry)])
        name = "KUBE-EXTERNAL-IP-LOCAL" if self.keeps_source() else "KUBE-EXTERNAL-IP"
        for ip in self.external:
            self.want(1, ip, self.outside(), bind=ip not in own, entries=[(name, self.entry(ip))])
        for ip in self.balancers:
            entries, drop = self.balancer_entries(ip)
            self.want(2, ip, self.outside(), bind=ip not in own, entries=entries, drop=drop)
        if self.node_port:
            for ip in self.family.node_ips():
                self.want(3, ip, self.outside(), bind=False, entries=self.node_port_entries(ip), port=self.node_port)
        if self.spec.get("type") == "LoadBalancer" and self.external_local and self.spec.get("healthCheckNodePort"):
            self.family.add("KUBE-HEALTH-CHECK-NODE-PORT", str(self.spec["healthCheckNodePort"]))

    def entry(self, ip: IP, port: int = 0) -> str:
        return f"{ip},{self.protocol}:{port or self.port['port']}"

    # which endpoints (2.3)

    def accessible(self) -> bool:
        return bool(self.node_port or self.balancers or self.external)

    def cluster_endpoints(self) -> list[Endpoint]:
        internal_local = self.spec.get("internalTrafficPolicy") == "Local"
        if internal_local and not self.accessible():
            return []
        node = self.family.node
        return cluster_list(self.every, node["name"], node.get("labels", {}).get("topology.kubernetes.io/zone"))

    def internal(self) -> list[Endpoint]:
        if self.spec.get("internalTrafficPolicy") != "Local":
            return self.cluster_endpoints()
        here = local_list(self.every)
        return here or (self.cluster_endpoints() if self.family.setting("internal_fallback", False) else [])

    def outside(self) -> list[Endpoint]:
        if not self.external_local:
            return self.cluster_endpoints()
        here = local_list(self.every)
        return here or (self.cluster_endpoints() if self.family.setting("external_fallback", True) else [])

    # which entries (1.2)

    def ranges(self) -> list[Any] | None:
        """The networks that may use load balancer addresses; None for all of them."""
        texts = self.spec.get("loadBalancerSourceRanges") or []
        mine = []
        for text in texts:
            try:
                network = ip_network(text.strip(), strict=False)
            except ValueError:
                continue
            if network.version == self.family.version:
                mine.append(network)
        if not texts or any(network.prefixlen == 0 for network in mine):
            return None
        closed = self.family.setting("source_ranges_fail_closed", True)
        return mine if mine or closed else None

    def method(self) -> str:
        """How external and load balancer addresses are forwarded: packets that are not rewritten keep their port."""
        asked = annotation(self.service, "forwarding")
        fits = all(each.port == self.port["port"] for each in self.outside())
        return asked if asked in {"direct-route", "tunnel"} and fits else "masquerade"

    def keeps_source(self) -> bool:
        """Whether clients' addresses are left alone: they have to be where answers do not come back through the node."""
        return self.external_local or self.method() != "masquerade"

    def balancer_entries(self, ip: IP) -> tuple[list[tuple[str, str]], bool]:
        entry = self.entry(ip)
        found = [("KUBE-LOAD-BALANCER", entry)]
        if self.keeps_source():
            found.append(("KUBE-LOAD-BALANCER-LOCAL", entry))
        ranges = self.ranges()
        if ranges is None:
            return found, False
        found.append(("KUBE-LOAD-BALANCER-FW", entry))
        found += [("KUBE-LOAD-BALANCER-SOURCE-CIDR", f"{entry},{network}") for network in ranges]
        primary = self.family.primary()
        node_may = primary is not None and any(primary in network for network in ranges)
        if node_may:
            found.append(("KUBE-LOAD-BALANCER-SOURCE-IP", f"{entry},{ip}"))
        return found, not node_may

    def node_port_entries(self, ip: IP) -> list[tuple[str, str]]:
        name, entry = self.protocol.upper(), str(self.node_port)
        if self.protocol == "sctp":
            name, entry = "SCTP-HASH", self.entry(ip, self.node_port)
        found = [(f"KUBE-NODE-PORT-{name}", entry)]
        return [*found, (f"KUBE-NODE-PORT-LOCAL-{name}", entry)] if self.external_local else found

    # the virtual service (2.4)

    def want(
        self,
        rank: int,
        ip: IP,
        endpoints: list[Endpoint],
        *,
        bind: bool,
        entries: list[tuple[str, str]],
        port: int = 0,
        drop: bool = False,
    ) -> None:
        """Claims an address with the Service's port, or another one."""
        key = str(ip), port or self.port["port"], self.protocol
        virtual = self.virtual()
        for each in endpoints:
            where = place(each.ip, each.port)
            weight = self.weights.get(where, weight_of(self.service))
            virtual.reals[where] = Real(1 if weight is None else weight)
        if rank in {1, 2}:
            virtual.reals = {where: Real(real.weight, self.method()) for where, real in virtual.reals.items()}
        owner = (*name_of(self.service), self.spec["ports"].index(self.port))
        self.family.claims.append(Claim(key, owner, rank, virtual, bind, entries, drop))

    def virtual(self) -> Virtual:
        scheduler = self.family.config.get("scheduler") or "rr"
        asked = annotation(self.service, "scheduler")
        if asked is not None and re.fullmatch("[A-Za-z0-9_.-]{1,15}", asked):
            scheduler = asked
        return Virtual(scheduler, self.flags(scheduler), self.timeout(), self.drain())

    def flags(self, scheduler: str) -> set[str]:
        text = annotation(self.service, "sched-flags")
        names = None if text is None else [name for name in text.split(",") if name]
        known = FLAGS.get(scheduler, {}) | ANY_FLAGS
        if names is not None and all(name in known for name in names):
            bits = {known[name] for name in names}
            return {next(name for name, bit in known.items() if bit == each) for each in bits}
        return {"mh-port"} if scheduler == "mh" else set()

    def timeout(self) -> int | None:
        if self.spec.get("sessionAffinity") != "ClientIP":
            return None
        client = (self.spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}
        return client.get("timeoutSeconds") or 10800

    def drain(self) -> float | None:
        text = annotation(self.service, "drain-seconds")
        if text is None or not re.fullmatch("[0-9]{1,5}", text) or int(text) > 86400:
            return None
        return int(text)
