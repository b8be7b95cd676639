"""Every call of `kernel.conntrack` on a real kernel, with flows that were planted and with flows that packets made.

Knows: what the kernel makes of requests, iptables as what translates addresses. Must not know: the client's insides.
"""

from __future__ import annotations

import os
import shutil
import socket
import struct
import threading
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import ipvskit as ik
from ipvskit import _native
from ipvskit.conntrack.backend import KernelConntrackBackend
from ipvskit.conntrack.client import Conntrack
from ipvskit.testing.fake import FakeKernel
from ipvskit.testing.namespaces import TestNetNS
from tests.unit import conntrack_wire, wire
from tests.unit.conntrack_wire import Endpoint, Planted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

pytestmark = pytest.mark.conntrack

SERVICE, OLD, NEW = ("192.0.2.10", 53), ("10.1.1.1", 5353), ("10.1.1.2", 5353)
SERVICE6, OLD6 = ("2001:db8::10", 53), ("2001:db8:1::1", 5353)
EOPNOTSUPP, EEXIST = 95, 17
LOCALHOST = "127.0.0.1"


@pytest.fixture(scope="module", autouse=True)
def _tracked() -> None:
    """Without ctnetlink there is nothing to test."""
    with TestNetNS() as namespace, ik.Kernel(namespace) as handle:
        try:
            handle.conntrack.flows()
        except ik.ConntrackNotAvailable as error:
            pytest.skip(str(error))


@pytest.fixture
def kernel(namespace: TestNetNS) -> Iterator[ik.Kernel]:
    with ik.Kernel(namespace) as handle:
        yield handle


class Planter:
    """Tells the kernel to have flows."""

    def __init__(self, namespace: TestNetNS) -> None:
        descriptor = _native.netns_socket(namespace.fileno(), socket.AF_NETLINK, socket.SOCK_RAW, 12)
        self._socket = socket.socket(fileno=descriptor)
        self._socket.settimeout(5)

    def plant(self, *flows: Planted) -> list[int]:
        """Why not (errno), or 0, for each."""
        return [self._ask(conntrack_wire.new(flow)) for flow in flows]

    def _ask(self, request: bytes) -> int:
        self._socket.send(request)
        (answer,) = wire.read_messages(self._socket.recv(1 << 16))
        assert answer.type == wire.NLMSG_ERROR
        return -int(struct.unpack_from("=i", answer.payload)[0])

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def planter(namespace: TestNetNS) -> Iterator[Planter]:
    with closing(Planter(namespace)) as opened:
        yield opened


def many(count: int, reply: Endpoint = OLD, port: int = 1000) -> list[Planted]:
    return [Planted("udp", ("10.0.0.9", port + number), SERVICE, reply) for number in range(count)]


def counts(report: ik.FlowReport) -> tuple[int, int, int]:
    return report.done, report.already, len(report.failures)


def places(flows: Iterable[ik.Flow]) -> set[tuple[object, ...]]:
    ends = [(flow.source, flow.destination, flow.reply_source, flow.reply_destination) for flow in flows]
    return {tuple((str(address), port) for address, port in one) for one in ends}


def planted_places(flows: Iterable[Planted]) -> set[tuple[object, ...]]:
    return {(flow.source, flow.destination, *flow.answer) for flow in flows}


# --- planted flows ------------------------------------------------------------------------------------------------------------------


def test_a_fresh_namespace_has_none(kernel: ik.Kernel) -> None:
    assert kernel.conntrack.flows() == []
    assert counts(kernel.conntrack.delete_stale({SERVICE: []}, {30053: []})) == (0, 0, 0)


def test_flows(kernel: ik.Kernel, planter: Planter) -> None:
    udp = [
        Planted("udp", ("10.0.0.9", 4000), SERVICE, OLD, ("10.0.0.1", 61000), mark=0x12345678),
        Planted("udp", ("10.0.0.9", 4001), SERVICE),
    ]
    udp6 = Planted("udp", ("2001:db8::9", 4000), SERVICE6, OLD6)
    tcp = Planted("tcp", ("10.0.0.9", 4000), SERVICE, OLD)
    assert planter.plant(*udp, udp6, tcp) == [0, 0, 0, 0]
    found = kernel.conntrack.flows()
    assert places(found) == planted_places([*udp, udp6])
    assert {flow.mark for flow in found} == {0, 0x12345678}
    assert all(flow.id and flow.protocol == "udp" for flow in found)
    assert places(kernel.conntrack.flows(family="ipv4")) == planted_places(udp)
    assert places(kernel.conntrack.flows(family="ipv6")) == planted_places([udp6])
    assert places(kernel.conntrack.flows("tcp")) == planted_places([tcp])
    assert set(found) == set(kernel.conntrack.flows())


def test_delete(kernel: ik.Kernel, planter: Planter) -> None:
    planter.plant(*many(10), Planted("udp", ("2001:db8::9", 1), SERVICE6, OLD6))
    found = kernel.conntrack.flows()
    gone, left = found[:4], set(found[4:])
    assert counts(kernel.conntrack.delete(gone)) == (4, 0, 0)
    assert set(kernel.conntrack.flows()) == left
    assert counts(kernel.conntrack.delete([*gone, *left])) == (7, 4, 0)
    assert kernel.conntrack.flows() == []


def test_a_flow_that_took_the_place_of_another_is_left_alone(kernel: ik.Kernel, planter: Planter) -> None:
    (flow,) = many(1)
    for _ in range(5):
        planter.plant(flow)
        (old,) = kernel.conntrack.flows()
        assert counts(kernel.conntrack.delete([old])) == (1, 0, 0)
        # The kernel may give it the same number.
        planter.plant(replace(flow, reply_source=NEW))
        assert counts(kernel.conntrack.delete([old])) == (0, 1, 0)
        (held,) = kernel.conntrack.flows()
        assert held.reply_source != old.reply_source
        assert counts(kernel.conntrack.delete([replace_id(held, held.id ^ 1)])) == (0, 1, 0)
        assert counts(kernel.conntrack.delete([replace_id(held, 0)])) == (1, 0, 0)


def replace_id(flow: ik.Flow, number: int) -> ik.Flow:
    ends = (flow.source, flow.destination, flow.reply_source, flow.reply_destination)
    return ik.Flow(flow.protocol, *ends, zone=flow.zone, reply_zone=flow.reply_zone, id=number)


@pytest.mark.parametrize("zone_of", ["", "orig", "reply"])
def test_zones(kernel: ik.Kernel, planter: Planter, zone_of: str) -> None:
    (plain,) = many(1)
    zoned = replace(plain, zone=7, zone_of=zone_of)
    if planter.plant(zoned) == [EOPNOTSUPP]:
        pytest.skip("the kernel has no zones (CONFIG_NF_CONNTRACK_ZONES)")
    in_both = planter.plant(plain) == [0]
    assert in_both is (zone_of == "")
    (flow,) = [flow for flow in kernel.conntrack.flows() if flow.zone or flow.reply_zone]
    assert (flow.zone, flow.reply_zone) == {"": (7, 7), "orig": (7, 0), "reply": (0, 7)}[zone_of]
    assert counts(kernel.conntrack.delete([flow])) == (1, 0, 0)
    assert len(kernel.conntrack.flows()) == in_both


def test_many(kernel: ik.Kernel, planter: Planter) -> None:
    assert set(planter.plant(*many(3000), *many(1000, NEW, 5000))) == {0}
    rules: dict[Any, list[Any]] = {SERVICE: [NEW], SERVICE6: []}
    assert counts(kernel.conntrack.delete_stale(rules)) == (3000, 0, 0)
    assert places(kernel.conntrack.flows()) == planted_places(many(1000, NEW, 5000))
    assert counts(kernel.conntrack.delete_stale(rules)) == (0, 0, 0)


def test_lost_answers(namespace: TestNetNS, planter: Planter) -> None:
    backend = KernelConntrackBackend(namespace, receive_buffer=8192)
    backend.most = 100_000
    with closing(backend):
        conntrack = Conntrack(backend)
        planter.plant(*many(400))
        flows = conntrack.flows()
        assert len(flows) == 400
        assert counts(conntrack.delete(flows[:200])) == (200, 0, 0)
        # Refusals of all of them do not fit.
        report = conntrack.delete(flows)
        assert report.ok
        assert report.done + report.already == 400
        assert report.done >= 200
        assert conntrack.flows() == []


def test_flows_of_another_namespace_are_none(kernel: ik.Kernel, planter: Planter) -> None:
    planter.plant(*many(2))
    flows = kernel.conntrack.flows()
    with TestNetNS() as other, ik.Kernel(other) as there:
        assert there.conntrack.flows() == []
        assert counts(there.conntrack.delete(flows)) == (0, 2, 0)
    assert len(kernel.conntrack.flows()) == 2


def test_without_the_right(namespace: TestNetNS) -> None:
    flow = ik.Flow("udp", ("10.0.0.9", 1), SERVICE)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        said = []
        try:
            os.setresgid(65534, 65534, 65534)
            os.setresuid(65534, 65534, 65534)
            with closing(KernelConntrackBackend(ik.NetNS.of(None))) as backend:
                conntrack = Conntrack(backend)
                for act in (conntrack.flows, lambda: conntrack.delete([flow, flow])):
                    try:
                        act()
                    except ik.PermissionDenied as error:
                        said.append(error.operation)
        except BaseException as error:
            said.append(repr(error))
        finally:
            os.write(writer, ", ".join(said).encode())
            os._exit(0)
    os.close(writer)
    with open(reader, encoding="utf-8") as file:
        said_there = file.read()
    os.waitpid(child, 0)
    assert said_there == "list flows, delete flow"


def test_threads_share_a_handle(kernel: ik.Kernel, planter: Planter) -> None:
    planter.plant(*many(400))
    flows = kernel.conntrack.flows()
    done: list[int] = []

    def work() -> None:
        for start in range(0, len(flows), 50):
            done.append(kernel.conntrack.delete(flows[start : start + 50]).done)
            kernel.conntrack.flows()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(done) == 400


# --- the fake kernel does the same --------------------------------------------------------------------------------------------------

ADDRESSES, ADDRESSES6 = st.sampled_from(["10.0.0.1", "10.0.0.2"]), st.sampled_from(["2001:db8::1", "2001:db8::2"])
FLOWS = st.one_of(
    *(
        st.builds(
            Planted,
            st.sampled_from(["udp", "tcp"]),
            *(st.tuples(addresses, st.sampled_from([53, 54])) for _ in range(4)),
        )
        for addresses in (ADDRESSES, ADDRESSES6)
    )
)


def fake_plant(fake: FakeKernel, flow: Planted) -> int:
    try:
        fake.flows.plant(flow.protocol, flow.source, flow.destination, *flow.answer)
    except KeyError:
        return EEXIST
    return 0


def everything(kernel: ik.Kernel) -> list[ik.Flow]:
    return [flow for protocol in ("udp", "tcp") for flow in kernel.conntrack.flows(protocol)]


def delete_some(kernel: ik.Kernel, known: bool) -> list[tuple[int, int, int]]:
    """Every other flow, twice, and then those that some rules make stale."""
    listed = sorted(kernel.conntrack.flows(), key=str)[::2]
    gone = listed if known else [replace_id(flow, 0) for flow in listed]
    rules = {(address, 53): [("10.0.0.1", 54)] for address in ("10.0.0.1", "2001:db8::1")}
    reports = [kernel.conntrack.delete(gone) for _ in range(2)]
    return [counts(one) for one in (*reports, kernel.conntrack.delete_stale(rules, {54: [("2001:db8::2", 53)]}))]


def test_the_fake_does_the_same(kernel: ik.Kernel, planter: Planter) -> None:
    @settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
    @given(flows=st.lists(FLOWS, max_size=8), again=st.lists(FLOWS, max_size=4), known=st.booleans())
    def check(flows: list[Planted], again: list[Planted], known: bool) -> None:
        kernel.conntrack.delete(everything(kernel)).raise_for_failures()
        with FakeKernel() as fake:
            assert planter.plant(*flows) == [fake_plant(fake, flow) for flow in flows]
            assert places(everything(kernel)) == places(everything(fake))
            assert delete_some(kernel, known) == delete_some(fake, known)
            assert planter.plant(*again) == [fake_plant(fake, flow) for flow in again]
            assert places(everything(kernel)) == places(everything(fake))

    check()


# --- flows that packets made --------------------------------------------------------------------------------------------------------


def nat(namespace: TestNetNS, *rule: str) -> None:
    """Have iptables translate addresses."""
    refusals = []
    for program in ("iptables-legacy", "iptables"):
        if shutil.which(program) is None:
            refusals.append(f"no {program}")
            continue
        done = namespace.run([program, "-w", "-t", "nat", *rule], check=False)
        if done.returncode == 0:
            return
        refusals.append(done.stderr.strip().splitlines()[0] if done.stderr.strip() else f"{program} failed")
    pytest.skip("no iptables rule can translate addresses here: " + "; ".join(refusals))


@contextmanager
def udp(namespace: TestNetNS, port: int = 0) -> Iterator[socket.socket]:
    """A bound socket in the namespace."""
    descriptor = _native.netns_socket(namespace.fileno(), socket.AF_INET, socket.SOCK_DGRAM, 0)
    with socket.socket(fileno=descriptor) as opened:
        opened.settimeout(5)
        opened.bind((LOCALHOST, port))
        yield opened


def got(server: socket.socket, text: bytes) -> bool:
    """Whether this arrives: on the loopback it is there already, or never will be."""
    server.settimeout(0.2)
    try:
        return server.recv(100) == text
    except TimeoutError:
        return False


def test_a_client_gets_to_the_endpoint_of_today(kernel: ik.Kernel, namespace: TestNetNS) -> None:
    namespace.ip("addr add 192.0.2.10/32 dev lo")
    match = ["-d", "192.0.2.10", "-p", "udp", "--dport", "53", "-j", "DNAT", "--to-destination"]
    nat(namespace, "-A", "OUTPUT", *match, f"{LOCALHOST}:5301")
    with udp(namespace, 5301) as old, udp(namespace, 5302) as new, udp(namespace) as client:
        client.sendto(b"first", SERVICE)
        assert got(old, b"first")
        nat(namespace, "-R", "OUTPUT", "1", *match, f"{LOCALHOST}:5302")
        client.sendto(b"second", SERVICE)
        assert got(old, b"second"), "the flow goes where it went"
        (flow,) = kernel.conntrack.flows()
        assert (str(flow.reply_source[0]), flow.reply_source[1]) == (LOCALHOST, 5301)
        assert flow.source[1] == client.getsockname()[1]
        assert counts(kernel.conntrack.delete_stale({SERVICE: [(LOCALHOST, 5301)]})) == (0, 0, 0)
        assert counts(kernel.conntrack.delete_stale({SERVICE: [(LOCALHOST, 5302)]})) == (1, 0, 0)
        client.sendto(b"third", SERVICE)
        assert got(new, b"third")
        assert counts(kernel.conntrack.delete_stale({SERVICE: [(LOCALHOST, 5302)]})) == (0, 0, 0)


@pytest.mark.ipvs
def test_flows_of_a_virtual_service(kernel: ik.Kernel, namespace: TestNetNS) -> None:
    namespace.ip("addr add 192.0.2.10/32 dev lo")
    kernel.ipvs.sysctls.set({"conntrack": True})
    kernel.ipvs.add_service(f"192.0.2.10:53/udp scheduler=rr\n-> {LOCALHOST}:5301")
    # Flows are only made where something asks for them: a rule, or a masquerading service for FTP.
    kernel.ipvs.add_service(f"192.0.2.10:21/tcp scheduler=rr\n-> {LOCALHOST}:21")
    with udp(namespace, 5301) as old, udp(namespace) as client:
        client.sendto(b"first", SERVICE)
        assert got(old, b"first")
        (flow,) = [flow for flow in kernel.conntrack.flows() if flow.destination[1] == 53]
        assert (str(flow.reply_source[0]), flow.reply_source[1]) == (LOCALHOST, 5301)
        assert counts(kernel.conntrack.delete_stale({SERVICE: [(LOCALHOST, 5301)]})) == (0, 0, 0)
        assert counts(kernel.conntrack.delete_stale({SERVICE: [(LOCALHOST, 5302)]})) == (1, 0, 0)
        assert kernel.conntrack.flows() == []
