"""The client of tracked flows, met with lost answers, refusals and rivals, as only a fake kernel can time them.

Knows: the client's promises, the fake's lies. Must not know: messages, how the client keeps its promises.
"""

from __future__ import annotations

import errno
import pickle
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Any

import pytest

import ipvskit as ik
from ipvskit.conntrack import refusals
from ipvskit.conntrack.records import flow_record
from ipvskit.testing.fake import FakeKernel
from ipvskit.testing.fake.flows import DELETE, LIST, FakeFlows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ipvskit.conntrack.client import Conntrack

SERVICE, OLD, NEW = ("192.0.2.10", 53), ("10.1.1.1", 5353), ("10.1.1.2", 5353)


@pytest.fixture
def kernel() -> Iterator[FakeKernel]:
    with FakeKernel() as fake:
        yield fake


def plant(kernel: FakeKernel, count: int, reply: tuple[str, int] = OLD) -> list[ik.Flow]:
    return [kernel.flows.plant("udp", ("10.0.0.9", 1000 + number), SERVICE, reply) for number in range(count)]


def counts(report: ik.FlowReport) -> tuple[int, int, int]:
    return report.done, report.already, len(report.failures)


# --- values -------------------------------------------------------------------------------------------------------------------------


def test_a_flow() -> None:
    flow = ik.Flow("udp", "10.0.0.9:4000", (IPv4Address("192.0.2.10"), 53), "10.1.1.1:5353", zone=7)
    assert flow.reply_destination == flow.source == (IPv4Address("10.0.0.9"), 4000)
    assert (flow.family, flow.zone, flow.reply_zone) == (ik.Family.IPV4, 7, 7)
    assert str(flow) == "udp 10.0.0.9:4000 -> 192.0.2.10:53, answers 10.1.1.1:5353 -> 10.0.0.9:4000, zone 7"
    plain = ik.Flow("tcp", "[2001:db8::9]:4000", "[2001:db8::10]:80")
    assert plain.reply_source == plain.destination
    assert str(plain) == "tcp [2001:db8::9]:4000 -> [2001:db8::10]:80, answers [2001:db8::10]:80 -> [2001:db8::9]:4000"
    assert pickle.loads(pickle.dumps(flow)) == flow


def test_what_changes_with_every_packet_does_not_count_when_flows_are_compared() -> None:
    one, other = (ik.Flow("udp", "10.0.0.9:1", "10.0.0.8:2", id=3, status=status, mark=status) for status in (0, 14))
    assert one == other
    assert one != ik.Flow("udp", "10.0.0.9:1", "10.0.0.8:2", id=4)


@pytest.mark.parametrize(
    ("field", "given"),
    [
        ("protocol", {"protocol": "icmp"}),
        ("source", {"source": "10.0.0.9"}),
        ("source", {"source": ("10.0.0.9", 1, 2)}),
        ("source", {"source": ["10.0.0.9", 1]}),
        ("source", {"source": ("localhost", 1)}),
        ("source port", {"source": ("10.0.0.9", 65536)}),
        ("source port", {"source": ("10.0.0.9", "53")}),
        ("destination", {"destination": ("2001:db8::1", 53)}),
        ("reply_source", {"reply_source": ("2001:db8::1", 53)}),
        ("zone", {"zone": 65536}),
        ("id", {"id": -1}),
        ("mark", {"mark": 2**32}),
    ],
)
def test_flows_that_cannot_be(field: str, given: dict[str, Any]) -> None:
    with pytest.raises(ik.InvalidConfig) as caught:
        ik.Flow(**{"protocol": "udp", "source": ("10.0.0.9", 1), "destination": ("10.0.0.8", 2)} | given)
    assert caught.value.field == field


# --- listing ------------------------------------------------------------------------------------------------------------------------


def test_flows(kernel: FakeKernel) -> None:
    first = kernel.flows.plant("udp", "10.0.0.9:4000", "192.0.2.10:53", "10.1.1.1:5353", "10.0.0.1:61000", mark=7)
    second = kernel.flows.plant("udp", "[2001:db8::9]:4000", "[2001:db8::10]:53")
    third = kernel.flows.plant("tcp", "10.0.0.9:4000", "192.0.2.10:80")
    assert kernel.conntrack.flows() == [first, second]
    assert kernel.conntrack.flows(family="ipv6") == [second]
    assert kernel.conntrack.flows("tcp", ik.Family.IPV4) == [third]
    assert kernel.conntrack.flows("sctp") == []
    assert (kernel.conntrack.flows()[0].mark, first.status) == (7, 14)
    with pytest.raises(KeyError, match="there is a flow"):
        kernel.flows.plant("udp", "10.0.0.9:4000", "192.0.2.10:53", "10.1.1.2:5353")


def test_a_listing_that_is_disturbed_is_repeated(kernel: FakeKernel) -> None:
    plant(kernel, 2)
    kernel.flows.interrupt(nth=1)
    assert len(kernel.conntrack.flows(family="ipv4")) == 2
    assert kernel.flows.counts[LIST] == 2
    kernel.flows.interrupt()
    with pytest.raises(ik.InconsistentDump, match="flows: changed during each of 8 attempts to read it; 2 entries"):
        kernel.conntrack.flows()
    with pytest.raises(ik.InconsistentDump):
        kernel.conntrack.delete_stale({SERVICE: []})
    assert len(kernel.flows.all()) == 2


def test_refused_listings(kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch) -> None:
    asks: list[Callable[[], object]] = [kernel.conntrack.flows, lambda: kernel.conntrack.delete_stale({SERVICE: []})]
    for ask in asks:
        kernel.flows.tell_the_truth()
        kernel.flows.refuse(errno.EPERM)
        with pytest.raises(ik.PermissionDenied, match="CAP_NET_ADMIN"):
            ask()
        kernel.flows.tell_the_truth()
        kernel.flows.refuse(errno.EINVAL)
        monkeypatch.setattr(refusals, "module_state", lambda _: "missing")
        with pytest.raises(
            ik.ConntrackNotAvailable, match=r"list flows: the kernel tracks no flows: .*CONFIG_NF_CT_NETLINK"
        ):
            ask()
        monkeypatch.setattr(refusals, "module_state", lambda _: "loaded")
        with pytest.raises(ik.KernelError, match="Invalid argument") as caught:
            ask()
        assert type(caught.value) is ik.KernelError


# --- deleting -----------------------------------------------------------------------------------------------------------------------


def test_delete(kernel: FakeKernel) -> None:
    planted = plant(kernel, 3)
    report = kernel.conntrack.delete(planted[:2])
    assert (counts(report), report.ok, report.stopped) == ((2, 0, 0), True, False)
    assert str(kernel.conntrack.delete(planted)) == "flows: 1 done, 2 already gone, 0 failed"
    assert counts(kernel.conntrack.delete([])) == (0, 0, 0)
    assert kernel.flows.all() == []


def test_a_flow_that_took_the_place_of_another_is_left_alone(kernel: FakeKernel) -> None:
    (old,) = plant(kernel, 1)

    def replace(flows: FakeFlows) -> None:
        flows.delete(flow_record(old))
        flows.plant("udp", old.source, old.destination, NEW)

    kernel.flows.before(replace, operation=DELETE)
    assert counts(kernel.conntrack.delete([old])) == (0, 1, 0)
    (held,) = kernel.flows.all()
    assert (held.id, held.reply_source) == (old.id, (IPv4Address(NEW[0]), NEW[1]))


def test_a_flow_without_a_number_is_any_with_its_answers(kernel: FakeKernel) -> None:
    (planted,) = plant(kernel, 1)
    places = (planted.source, planted.destination, planted.reply_source)
    assert counts(kernel.conntrack.delete([ik.Flow("udp", *places, id=planted.id ^ 1)])) == (0, 1, 0)
    assert counts(kernel.conntrack.delete([ik.Flow("udp", *places, zone=3)])) == (0, 1, 0)
    assert counts(kernel.conntrack.delete([ik.Flow("udp", *places)])) == (1, 0, 0)


def test_refusals_are_matched(kernel: FakeKernel) -> None:
    planted = plant(kernel, 3000)
    for nth in (2, 1500):
        kernel.flows.refuse(errno.ENOMEM, operation=DELETE, nth=nth)
    report = kernel.conntrack.delete(planted)
    assert counts(report) == (2998, 0, 2)
    assert [failure.flow for failure in report.failures] == [planted[1], planted[1499]]
    assert str(report.failures[0].error) == f"delete flow {planted[1]}: Cannot allocate memory [ENOMEM]"
    with pytest.raises(ik.BulkFailed, match="2 failed"):
        report.raise_for_failures()


def test_without_the_right(kernel: FakeKernel) -> None:
    kernel.flows.refuse(errno.EPERM, operation=DELETE)
    with pytest.raises(ik.PermissionDenied, match=r"delete flow.*CAP_NET_ADMIN"):
        kernel.conntrack.delete(plant(kernel, 2))


@pytest.mark.parametrize("error", [errno.ENOBUFS, errno.ETIMEDOUT])
def test_what_was_done_is_known_when_answers_are_lost(kernel: FakeKernel, error: int) -> None:
    planted = plant(kernel, 50)
    kernel.conntrack.delete(planted[:10])
    kernel.flows.lose_answers(nth=1, error=error)
    report = kernel.conntrack.delete(planted)
    assert report.ok
    assert report.done + report.already == 50
    assert report.done >= 40
    assert kernel.flows.all() == []


@pytest.mark.parametrize(("error", "lost"), [(errno.ENOBUFS, 3), (errno.ETIMEDOUT, 5)])
def test_refusals_that_got_lost_are_asked_for_again(kernel: FakeKernel, error: int, lost: int) -> None:
    planted = plant(kernel, 20)
    for nth in (*range(1, 6), *range(21, 21 + lost)):
        kernel.flows.refuse(errno.ENOMEM, operation=DELETE, nth=nth)
    kernel.flows.lose_answers(nth=1, error=error)
    report = kernel.conntrack.delete(planted)
    assert report.done + len(report.failures) == 20
    assert {failure.error.errno for failure in report.failures} == {errno.ENOMEM}  # type: ignore[attr-defined]
    assert [failure.flow for failure in report.failures] == kernel.flows.all()


def test_answers_that_get_lost_again_and_again(kernel: FakeKernel) -> None:
    planted = plant(kernel, 10)
    kernel.flows.lose_answers(error=errno.ETIMEDOUT)
    report = kernel.conntrack.delete(planted)
    assert [failure.flow for failure in report.failures] == planted
    assert {type(failure.error) for failure in report.failures} == {ik.AnswerLost}
    # It gives up soon.
    assert kernel.flows.counts[DELETE] == 14


# --- stale flows --------------------------------------------------------------------------------------------------------------------


def test_stale_flows_go(kernel: FakeKernel) -> None:
    stale = plant(kernel, 2)
    fresh = kernel.flows.plant("udp", "10.0.0.9:2000", SERVICE, NEW)
    others = [
        kernel.flows.plant("tcp", "10.0.0.9:2000", SERVICE, OLD),
        kernel.flows.plant("udp", "10.0.0.9:3000", ("192.0.2.10", 54), OLD),
        kernel.flows.plant("udp", "10.0.0.9:3000", ("192.0.2.11", 53), NEW),
        kernel.flows.plant("udp", "10.0.0.9:3001", OLD),
    ]
    endpoints: list[Any] = ["10.1.1.2:5353", (IPv4Address("10.1.1.3"), 5353)]
    report = kernel.conntrack.delete_stale({(IPv4Address(SERVICE[0]), 53): endpoints})
    assert counts(report) == (len(stale), 0, 0)
    assert kernel.flows.all() == [fresh, *others]
    assert counts(kernel.conntrack.delete_stale({"192.0.2.10:53": []})) == (1, 0, 0)
    assert kernel.flows.all() == others


def test_node_ports(kernel: FakeKernel) -> None:
    nodes = ["192.0.2.1", "192.0.2.2", "2001:db8::1"]
    planted = {node: kernel.flows.plant("udp", (node, 4000), (node, 30053), (node, 53)) for node in nodes}
    ports: dict[int, list[Any]] = {30053: [("192.0.2.2", 53), ("2001:db8::2", 53)]}
    assert counts(kernel.conntrack.delete_stale({}, ports, node_addresses=["192.0.2.9"])) == (0, 0, 0)
    assert counts(kernel.conntrack.delete_stale({}, ports, node_addresses=["2001:db8::1", "192.0.2.2"])) == (1, 0, 0)
    assert kernel.flows.all() == [planted["192.0.2.1"], planted["192.0.2.2"]]
    # What has a rule of its own is not judged by its port.
    assert counts(kernel.conntrack.delete_stale({"192.0.2.1:30053": ["192.0.2.1:53"]}, ports)) == (0, 0, 0)
    assert counts(kernel.conntrack.delete_stale({}, ports)) == (1, 0, 0)
    assert kernel.flows.all() == [planted["192.0.2.2"]]


def test_a_destination_that_is_given_twice_has_the_endpoints_of_both(kernel: FakeKernel) -> None:
    plant(kernel, 1)
    plant_new = kernel.flows.plant("udp", "10.0.0.9:1", SERVICE, NEW)
    given: dict[Any, list[Any]] = {SERVICE: [OLD], "192.0.2.10:53": [NEW]}
    assert counts(kernel.conntrack.delete_stale(given)) == (0, 0, 0)
    assert plant_new in kernel.flows.all()


def test_only_families_that_can_have_stale_flows_are_listed(kernel: FakeKernel) -> None:
    kernel.conntrack.delete_stale({})
    kernel.conntrack.delete_stale({}, {30053: []}, node_addresses=[])
    kernel.conntrack.delete_stale({SERVICE: []}, family="ipv6")
    assert kernel.flows.counts[LIST] == 0
    kernel.conntrack.delete_stale({SERVICE: []})
    kernel.conntrack.delete_stale({}, {30053: []}, node_addresses=["2001:db8::1"])
    assert kernel.flows.counts[LIST] == 2


@pytest.mark.parametrize(
    ("field", "act"),
    [
        ("protocol", lambda conntrack: conntrack.flows("icmp")),
        ("protocol", lambda conntrack: conntrack.delete_stale({}, protocol="UDP")),
        ("family", lambda conntrack: conntrack.flows(family="ipv5")),
        ("family", lambda conntrack: conntrack.delete_stale({}, family=4)),
        ("flows", lambda conntrack: conntrack.delete(ik.Flow("udp", "10.0.0.1:1", "10.0.0.2:2"))),
        ("flows", lambda conntrack: conntrack.delete(["udp"])),
        ("destinations", lambda conntrack: conntrack.delete_stale({"192.0.2.10": []})),
        ("destinations", lambda conntrack: conntrack.delete_stale({SERVICE: "10.0.0.1:53"})),
        ("destinations", lambda conntrack: conntrack.delete_stale({SERVICE: ["10.0.0.1"]})),
        ("destinations port", lambda conntrack: conntrack.delete_stale({("192.0.2.1", 70000): []})),
        ("ports", lambda conntrack: conntrack.delete_stale({}, {0: []})),
        ("ports", lambda conntrack: conntrack.delete_stale({}, {"53": []})),
        ("node_addresses", lambda conntrack: conntrack.delete_stale({}, node_addresses="192.0.2.1")),
        ("node_addresses", lambda conntrack: conntrack.delete_stale({}, node_addresses=["192.0.2.0/24"])),
    ],
)
def test_bad_input_is_refused_before_anything_is_sent(
    kernel: FakeKernel, field: str, act: Callable[[Conntrack], object]
) -> None:
    with pytest.raises(ik.InvalidConfig) as caught:
        act(kernel.conntrack)
    assert caught.value.field == field
    assert set(kernel.flows.counts.values()) == {0}


def test_a_closed_handle_says_so(kernel: FakeKernel) -> None:
    conntrack = kernel.conntrack
    kernel.close()
    with pytest.raises(ik.ClosedError):
        conntrack.flows()
    with pytest.raises(ik.ClosedError):
        _ = kernel.conntrack


def test_handles_on_the_same_kernel_share_flows(kernel: FakeKernel) -> None:
    planted = plant(kernel, 2)
    with FakeKernel(same_as=kernel) as other:
        other.conntrack.delete(planted[:1])
    assert kernel.conntrack.flows() == planted[1:]
