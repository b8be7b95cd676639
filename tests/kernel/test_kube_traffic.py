"""Who reaches which kind of Service, with which source address, and who is turned away: packets through a node on a real kernel.

Knows: what Kubernetes promises of each kind. Must not know: which rules and sets bring it about.

Without rules, where a kernel has no tables for iptables, there are only virtual services: what they do by themselves is tried there too.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

import ipvskit as ik
from ipvskit import kube
from tests.lab import rules
from tests.lab.kube_site import HOST_PORT, SERVING, KubeSite, Lacking, Served, opened
from tests.lab.node import CLIENTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ipvskit.kube.config import Variant

    Sites = Callable[[Variant | None], KubeSite]

pytestmark = pytest.mark.ipvs

OTHER_CLIENT = {4: str(CLIENTS[1].ip), 6: str(CLIENTS[3].ip)}
#: Seconds. A refusal that arrives while the socket is still being connected counts with the second try, which is after a second.
REFUSAL = 4.0
FAMILY = {4: ik.Family.IPV4, 6: ik.Family.IPV6}
BOTH = pytest.mark.parametrize("version", [4, 6])
PROTOCOLS = pytest.mark.parametrize("protocol", ["tcp", "udp", "sctp"])


@pytest.fixture(scope="module")
def sites() -> Iterator[Sites]:
    """Sites by variants; each is made once."""
    made: dict[Variant | None, KubeSite | Lacking] = {}
    with contextlib.ExitStack() as stack:

        def site_of(variant: Variant | None) -> KubeSite:
            if variant not in made:
                try:
                    made[variant] = stack.enter_context(opened(variant))
                except Lacking as lack:
                    made[variant] = lack
            found = made[variant]
            if isinstance(found, Lacking):
                raise found
            return found

        yield site_of


@pytest.fixture
def site(sites: Sites) -> KubeSite:
    """A site with rules where the kernel can have any, else without."""
    for variant in rules.VARIANTS:
        with contextlib.suppress(Lacking):
            return sites(variant)
    return sites(None)


@pytest.fixture
def ruled(site: KubeSite) -> KubeSite:
    """A site with rules."""
    if site.variant is None:
        pytest.skip("this kernel has no tables for iptables, of neither variant")
    return site


@pytest.fixture(params=rules.VARIANTS)
def each(request: pytest.FixtureRequest, sites: Sites) -> KubeSite:
    """A site with rules of each variant."""
    try:
        return sites(request.param)
    except Lacking as lack:
        pytest.skip(str(lack))


def needs(site: KubeSite, protocol: str) -> None:
    if protocol not in site.protocols:
        pytest.skip("the kernel has no SCTP sockets: the module sctp is missing")


# --- cluster IPs ------------------------------------------------------------------------------------------------------------------------------------


@BOTH
@PROTOCOLS
def test_a_pod_keeps_its_address_on_the_way_to_a_cluster_ip(site: KubeSite, version: int, protocol: str) -> None:
    needs(site, protocol)
    served = site.add(*SERVING, version=version, protocol=protocol)
    assert site.outcomes("asker", served.cluster_ip) == site.kept(*SERVING, source=site.address("asker", version))


@BOTH
@PROTOCOLS
def test_the_node_and_clients_outside_are_masqueraded(ruled: KubeSite, version: int, protocol: str) -> None:
    needs(ruled, protocol)
    served = ruled.add(*SERVING, version=version, protocol=protocol)
    for who in ("node", "client"):
        assert ruled.outcomes(who, served.cluster_ip) == ruled.masqueraded(*SERVING, version=version), who


@BOTH
def test_a_pod_that_reaches_itself_sees_the_node(each: KubeSite, version: int) -> None:
    served = each.add("near", version=version)
    assert each.outcomes("near", served.cluster_ip) == each.masqueraded("near", version=version)
    assert each.outcomes("asker", served.cluster_ip) == each.kept("near", source=each.address("asker", version))


@BOTH
def test_ports_of_the_host_are_not_reached_through_service_addresses(each: KubeSite, version: int) -> None:
    served = each.add(*SERVING, version=version, external=True)
    own, cluster_ip = (served.at(place, HOST_PORT) for place in (each.address("node", version), served.cluster_address))
    for who in ("asker", "node", "client"):
        assert each.outcome(who, own).startswith("host saw "), who
        assert each.outcome(who, cluster_ip, patience=REFUSAL) == "refused", who
    external_ip = served.at(served.external_address, HOST_PORT)
    assert each.outcome("client", external_ip, patience=REFUSAL) == "refused"


def test_internal_traffic_stays_on_the_node_where_it_is_to(site: KubeSite) -> None:
    served = site.add(*SERVING, internalTrafficPolicy="Local")
    assert site.outcomes("asker", served.cluster_ip, 4) == site.kept("near", source=site.address("asker"))
    site.change(served, "far")
    assert site.outcome("asker", served.cluster_ip, patience=REFUSAL) == "refused"


# --- external IPs -----------------------------------------------------------------------------------------------------------------------------------


@BOTH
def test_an_external_ip_has_the_source_changed(each: KubeSite, version: int) -> None:
    served = each.add(*SERVING, version=version, external=True)
    for who in ("client", "asker", "node"):
        assert each.outcomes(who, served.external_ip) == each.masqueraded(*SERVING, version=version), who


@BOTH
def test_with_local_policy_an_external_ip_keeps_the_source(ruled: KubeSite, version: int) -> None:
    served = ruled.add(*SERVING, version=version, external=True, externalTrafficPolicy="Local")
    for who in ("client", "asker"):
        assert ruled.outcomes(who, served.external_ip, 4) == ruled.kept("near", source=ruled.address(who, version))
    # The node takes the address that it talks to for its own, as it is.
    own = ruled.kept("near", source=served.external_address)
    assert ruled.outcomes("node", served.external_ip, 4) == own
    assert ruled.outcomes("client", served.cluster_ip) == ruled.masqueraded(*SERVING, version=version)


# --- load balancers ---------------------------------------------------------------------------------------------------------------------------------


@BOTH
def test_a_load_balancer_has_the_source_changed(ruled: KubeSite, version: int) -> None:
    served = ruled.add(*SERVING, version=version, balanced=True)
    for who in ("client", "asker", "node"):
        assert ruled.outcomes(who, served.load_balancer) == ruled.masqueraded(*SERVING, version=version), who


@BOTH
def test_with_local_policy_a_load_balancer_keeps_the_source(each: KubeSite, version: int) -> None:
    served = each.add(*SERVING, version=version, balanced=True, externalTrafficPolicy="Local")
    for who in ("client", "asker"):
        assert each.outcomes(who, served.load_balancer, 4) == each.kept("near", source=each.address(who, version))
    assert each.outcomes("node", served.load_balancer, 4) == each.kept("near", source=served.balanced_address)


@BOTH
def test_source_ranges_let_in_who_is_in_them(each: KubeSite, version: int) -> None:
    prefix = 32 if version == 4 else 128
    ranges = [f"{each.address('client', version)}/{prefix}"]
    served = each.add(*SERVING, version=version, balanced=True, loadBalancerSourceRanges=ranges)
    assert each.outcomes("client", served.load_balancer) == each.masqueraded(*SERVING, version=version)
    assert each.outcome("client", served.load_balancer, source=OTHER_CLIENT[version]) == "dropped"
    assert each.outcome("asker", served.load_balancer) == "dropped"
    # The node's address is in no range.
    assert each.outcome("node", served.load_balancer) == "dropped"
    assert each.outcomes("client", served.cluster_ip, source=OTHER_CLIENT[version]) == each.masqueraded(
        *SERVING, version=version
    )


@BOTH
def test_source_ranges_with_the_node_let_the_node_in(ruled: KubeSite, version: int) -> None:
    prefix = 16 if version == 4 else 64
    ranges = [f"{ruled.address('node', version)}/{prefix}"]
    served = ruled.add(*SERVING, version=version, balanced=True, loadBalancerSourceRanges=ranges)
    everybody = ruled.masqueraded(*SERVING, version=version)
    assert ruled.outcomes("node", served.load_balancer) == everybody
    assert ruled.outcomes("client", served.load_balancer, source=OTHER_CLIENT[version]) == everybody
    assert ruled.outcome("asker", served.load_balancer) == "dropped"


def test_source_ranges_and_local_policy_go_together(ruled: KubeSite) -> None:
    served = ruled.add(
        *SERVING,
        balanced=True,
        externalTrafficPolicy="Local",
        loadBalancerSourceRanges=[f"{ruled.address('client')}/32"],
    )
    assert ruled.outcomes("client", served.load_balancer) == ruled.kept("near", source=ruled.address("client"))
    assert ruled.outcome("client", served.load_balancer, source=OTHER_CLIENT[4]) == "dropped"


# --- node ports -------------------------------------------------------------------------------------------------------------------------------------


@BOTH
@PROTOCOLS
def test_a_node_port_has_the_source_changed(ruled: KubeSite, version: int, protocol: str) -> None:
    needs(ruled, protocol)
    served = ruled.add(*SERVING, version=version, protocol=protocol, node_port=True)
    target = served.at(ruled.address("node", version), served.node_port)
    for who in ("client", "asker", "node"):
        assert ruled.outcomes(who, target) == ruled.masqueraded(*SERVING, version=version), who


@BOTH
@PROTOCOLS
def test_with_local_policy_a_node_port_keeps_the_source(ruled: KubeSite, version: int, protocol: str) -> None:
    needs(ruled, protocol)
    served = ruled.add(*SERVING, version=version, protocol=protocol, node_port=True, externalTrafficPolicy="Local")
    target = served.at(ruled.address("node", version), served.node_port)
    for who in ("client", "asker", "node"):
        assert ruled.outcomes(who, target, 4) == ruled.kept("near", source=ruled.address(who, version)), who


@BOTH
def test_a_node_port_is_not_on_service_addresses(ruled: KubeSite, version: int) -> None:
    served = ruled.add(*SERVING, version=version, node_port=True)
    target = served.at(served.cluster_address, served.node_port)
    assert ruled.outcome("client", target, patience=REFUSAL) == "refused"


@BOTH
def test_health_checks_are_answered_on_the_node(each: KubeSite, version: int) -> None:
    number = 32000 + version
    served = each.add("near", version=version, balanced=True, externalTrafficPolicy="Local", healthCheckNodePort=number)
    target = served.at(each.address("node", version), number)
    with others_rules(each, version, f"*filter\n{{do}} INPUT -p tcp --dport {number} -j DROP\nCOMMIT\n"):
        assert "200 OK" in page(each, target)
        each.change(served, "far")
        assert "503 Service Unavailable" in page(each, target)


def page(site: KubeSite, target: str) -> str:
    key = ik.ServiceKey.parse(target)
    with site.visitor("client").open(target) as line:
        line.send(f"GET /healthz HTTP/1.1\r\nHost: {key.address}\r\nConnection: close\r\n\r\n".encode())
        return line.rest().decode()


# --- beside rules of others -------------------------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def others_rules(site: KubeSite, version: int, document: str) -> Iterator[None]:
    """Rules behind ours as long as the block runs: "{do}" stands for putting them in and taking them out."""
    tool = site.proxy.tools(FAMILY[version])
    tool.load(document.format(do="-A", policy="DROP"))
    try:
        yield
    finally:
        tool.load(document.format(do="-D", policy="ACCEPT"))


@BOTH
def test_answers_come_back_where_forwarding_is_refused_unless_asked_for(ruled: KubeSite, version: int) -> None:
    served = ruled.add(*SERVING, version=version, external=True, externalTrafficPolicy="Local")
    with others_rules(ruled, version, "*filter\n:FORWARD {policy} [0:0]\nCOMMIT\n"):
        kept = ruled.kept(*SERVING, source=ruled.address("asker", version))
        assert ruled.outcomes("asker", served.cluster_ip) == kept
        assert ruled.outcomes("client", served.cluster_ip) == ruled.masqueraded(*SERVING, version=version)
        kept = ruled.kept("near", source=ruled.address("client", version))
        assert ruled.outcomes("client", served.external_ip) == kept


@BOTH
def test_rules_of_others_behind_ours_do_not_get_the_traffic(each: KubeSite, version: int) -> None:
    place = each.address("node", version)
    own = f"[{place}]:{HOST_PORT}" if version == 6 else f"{place}:{HOST_PORT}"
    # As for a pod that has the Services' port of every address of the host.
    rule = f"-p tcp --dport 80 -j DNAT --to-destination {own}"
    document = f"*nat\n{{do}} PREROUTING {rule}\n{{do}} OUTPUT {rule}\nCOMMIT\n"
    served = each.add(*SERVING, version=version, external=True, balanced=True)
    local = each.add("near", version=version, external=True, externalTrafficPolicy="Local")
    with others_rules(each, version, document):
        assert each.outcome("client", served.at(place)).startswith("host saw ")
        for who in ("client", "node"):
            for target in (served.cluster_ip, served.external_ip, served.load_balancer):
                assert each.outcomes(who, target) == each.masqueraded(*SERVING, version=version), (who, target)
        assert each.outcomes("asker", served.cluster_ip) == each.kept(*SERVING, source=each.address("asker", version))
        for who in ("client", "asker"):
            assert each.outcomes(who, local.external_ip) == each.kept("near", source=each.address(who, version))
        assert each.outcomes("node", local.external_ip) == each.kept("near", source=local.external_address)


# --- who stays where --------------------------------------------------------------------------------------------------------------------------------


def test_with_affinity_a_client_stays(site: KubeSite) -> None:
    timeout = {"clientIP": {"timeoutSeconds": 60}}
    served = site.add(*SERVING, sessionAffinity="ClientIP", sessionAffinityConfig=timeout)
    (first,) = site.outcomes("asker", served.cluster_ip, 6)
    assert first.endswith(f" saw {site.address('asker')}")
    if site.variant is not None:
        chosen = [site.outcomes("client", served.cluster_ip, 4, source=each) for each in (None, OTHER_CLIENT[4])]
        assert [len(each) for each in chosen] == [1, 1]
        assert chosen[0] != chosen[1]


def test_with_affinity_a_client_leaves_a_pod_that_goes(site: KubeSite) -> None:
    served = site.add(*SERVING, sessionAffinity="ClientIP")
    (first,) = site.outcomes("asker", served.cluster_ip, 3)
    gone = first.split()[0]
    site.change(served, *(pod for pod in SERVING if pod != gone))
    (second,) = site.outcomes("asker", served.cluster_ip, 3)
    assert second.split()[0] != gone


@BOTH
@pytest.mark.parametrize("who", ["asker", "client"])
def test_udp_clients_of_a_pod_that_is_gone_are_answered_at_once(site: KubeSite, version: int, who: str) -> None:
    if who == "client" and site.variant is None:
        pytest.skip("this kernel has no tables for iptables: nothing is masqueraded")
    served = site.add(*SERVING, version=version, protocol="udp")
    with site.visitor(who).held(served.cluster_ip, 2) as lines:
        assert sorted(line.ask() for line in lines) == ["far", "near"]
        # Without rules nothing is tracked.
        assert tracked(site, served) == (set() if site.variant is None else {"far", "near"})
        report = site.change(served, "far")
        assert report.flows is not None
        assert "near" not in tracked(site, served)
        for line in lines:
            line.patience(REFUSAL)
        assert [line.ask() for line in lines] == ["far", "far"]


def tracked(site: KubeSite, served: Served) -> set[str]:
    """The pods that answer the tracked flows to the Service's cluster IP."""
    names = {site.address(pod, served.version): pod for pod in SERVING}
    flows = site.kernel.conntrack.flows("udp")
    return {names[str(one.reply_source[0])] for one in flows if str(one.destination[0]) == served.cluster_address}


@BOTH
def test_a_pod_that_goes_keeps_its_connections_and_gets_no_new_ones(site: KubeSite, version: int) -> None:
    served = site.add(*SERVING, version=version)
    with site.visitor("asker").held(served.cluster_ip, 2) as lines:
        homes = [line.ask() for line in lines]
        assert sorted(homes) == ["far", "near"]
        report = site.change(served, *SERVING, leaving=("near",))
        key = ik.ServiceKey.parse(served.cluster_ip)
        assert [each.status.active for each in report.draining if each.service == key] == [1]
        assert report.requeue_after == site.config.drain_interval
        kept = site.kept("far", source=site.address("asker", version))
        assert site.outcomes("asker", served.cluster_ip, 4) == kept
        assert [line.ask() for line in lines] == homes


# --- the end ----------------------------------------------------------------------------------------------------------------------------------------

OTHERS = "*filter\n:OTHERS - [0:0]\n-A FORWARD -j OTHERS\n-A OTHERS -d 198.51.100.0/24 -j DROP\nCOMMIT\n"


def test_after_cleanup_nothing_works_and_others_things_are_as_before(each: KubeSite) -> None:
    served = each.add(*SERVING, external=True, balanced=True, node_port=True)
    targets = [served.cluster_ip, served.external_ip, served.load_balancer]
    targets.append(served.at(each.address("node"), served.node_port))
    everybody = each.masqueraded(*SERVING)
    foreign = ik.VirtualService(
        f"{each.address('node')}:99/tcp", scheduler="rr", reals=[ik.RealServer(each.address("near"), 8080)]
    )
    each.kernel.ipvs.add_service(foreign)
    each.kernel.ipset.create(ik.Set("others", "hash:ip", entries=["198.51.100.1"]))
    with kube.Iptables("ipv4", each.kernel.netns, variant=each.variant or "auto") as tool:
        tool.load(OTHERS)
        assert [each.outcomes("client", target) for target in targets] == [everybody] * 4
        kube.cleanup(each.kernel, each.config).raise_for_failures()
        assert each.kernel.ipvs.services() == [foreign]
        assert each.kernel.ipset.names() == ["others"]
        assert not each.kernel.devices.exists(kube.DEVICE)
        left = [line for line in tool.save().splitlines() if line.startswith(("-A", ":KUBE", ":OTHERS"))]
        assert left == [":OTHERS - [0:0]", "-A FORWARD -j OTHERS", "-A OTHERS -d 198.51.100.0/24 -j DROP"]
    for target in targets:
        assert each.outcome("client", target) in {"refused", "unreachable"}
    # Answers of others' services come back through the node, whose pod it is.
    assert each.outcome("client", f"{each.address('node')}:99/tcp") == f"near saw {each.address('client')}"
    each.sync(full=True)
    assert [each.outcomes("client", target) for target in targets] == [everybody] * 4
    assert each.kernel.ipvs.service(foreign.key) == foreign
