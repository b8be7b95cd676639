"""The client of devices, met with lost answers, refusals and rivals, as only a fake kernel can time them.

Knows: the client's promises, the fake's lies. Must not know: messages, how the client keeps its promises.
"""

from __future__ import annotations

import errno
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, ip_interface
from typing import TYPE_CHECKING, Any

import pytest

import ipvskit as ik
from ipvskit.testing.fake import FakeKernel
from ipvskit.testing.fake.devices import Command

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ipvskit.devices.client import Devices


@pytest.fixture
def kernel() -> Iterator[FakeKernel]:
    with FakeKernel() as fake:
        fake.devices.create("vip0 up=no")
        yield fake


def many(count: int, start: int = 0) -> list[str]:
    return [f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}/32" for number in range(start, start + count)]


def held(kernel: FakeKernel, name: str = "vip0") -> list[str]:
    return [str(address) for address in kernel.links.rival.addresses(name)]


def counts(report: ik.AddressReport) -> tuple[int, int, int]:
    return report.done, report.already, len(report.failures)


# --- devices ------------------------------------------------------------------------------------------------------------------------


def test_what_there_is(kernel: FakeKernel) -> None:
    devices = kernel.devices
    assert devices.names() == ["lo", "eth0", "vip0"]
    assert devices.exists("vip0")
    assert not devices.exists("vip1")
    assert devices.get("vip0") == ik.Device("vip0", up=False)
    assert devices.all() == [
        ik.Device("lo", kind="", addresses=["127.0.0.1/8", "::1"]),
        ik.Device("eth0", kind="", addresses=["192.0.2.1/24", "fe80::1/64"]),
        ik.Device("vip0", up=False),
    ]
    assert [device.addresses for device in devices.all(addresses=False)] == [()] * 3


@pytest.mark.parametrize("up", [True, False, None])
def test_create(kernel: FakeKernel, up: bool | None) -> None:
    wanted = ik.Device("vip1", up=up, addresses=["192.0.2.10", "2001:db8::1"])
    kernel.devices.create(wanted)
    found = kernel.devices.get("vip1")
    assert found.up is bool(up)
    assert set(wanted.addresses) == {address for address in found.addresses if not address.is_link_local}
    assert len(found.addresses) == 2 + bool(up)
    with pytest.raises(ik.DeviceExists, match="create device vip1: there is a device of this name"):
        kernel.devices.create(wanted)
    kernel.devices.delete("vip1")
    assert not kernel.devices.exists("vip1")


def test_create_refuses_what_it_cannot_make(kernel: FakeKernel) -> None:
    for kind in (None, "", "veth"):
        with pytest.raises(ik.InvalidConfig, match="kind"):
            kernel.devices.create(ik.Device("vip1", kind=kind))
    with (
        FakeKernel(device_kinds=()) as without,
        pytest.raises(ik.DeviceKindNotAvailable, match="no devices of this kind"),
    ):
        without.devices.create("vip1")


def test_a_device_that_did_not_get_all_its_addresses_is_there_and_up(kernel: FakeKernel) -> None:
    kernel.links.refuse(errno.ENOMEM, command=Command.NEW_ADDRESS, nth=2)
    with pytest.raises(ik.BulkFailed) as caught:
        kernel.devices.create(ik.Device("vip1", addresses=many(3)))
    assert [str(failure.address) for failure in caught.value.report.failures] == many(1, 1)
    assert kernel.devices.get("vip1").up
    assert len(held(kernel, "vip1")) == 3


def test_only_dummy_devices_are_deleted(kernel: FakeKernel) -> None:
    kernel.links.add_device("veth0", kind="veth")
    for name in ("lo", "veth0"):
        with pytest.raises(ik.InvalidConfig, match='a device of kind "dummy"'):
            kernel.devices.delete(name)
    assert kernel.devices.names() == ["lo", "eth0", "vip0", "veth0"]


@pytest.mark.parametrize(
    "act",
    [
        lambda devices: devices.get("vip1"),
        lambda devices: devices.delete("vip1"),
        lambda devices: devices.set_up("vip1", True),
        lambda devices: devices.addresses("vip1"),
        lambda devices: devices.add_addresses("vip1", ["192.0.2.1"]),
        lambda devices: devices.delete_addresses("vip1", ["192.0.2.1"]),
    ],
)
def test_a_device_that_is_not_there(kernel: FakeKernel, act: Callable[[Devices], object]) -> None:
    with pytest.raises(ik.InterfaceNotFound, match="vip1"):
        act(kernel.devices)


@pytest.mark.parametrize(
    ("field", "act"),
    [
        ("name", lambda devices: devices.exists("a/b")),
        ("name", lambda devices: devices.get("")),
        ("name", lambda devices: devices.add_addresses("%d", [])),
        ("addresses", lambda devices: devices.add_addresses("vip0", ["192.0.2.1", "224.0.0.1"])),
        ("addresses", lambda devices: devices.delete_addresses("vip0", "192.0.2.1")),
        ("addresses", lambda devices: devices.owners("192.0.2.1")),
        ("addresses", lambda devices: devices.owners(["192.0.2.1/24"])),
        ("on_error", lambda devices: devices.add_addresses("vip0", [], on_error="ignore")),
        ("up", lambda devices: devices.set_up("vip0", 1)),
    ],
)
def test_bad_input_is_refused_before_anything_is_sent(
    kernel: FakeKernel, field: str, act: Callable[[Devices], object]
) -> None:
    before = dict(kernel.links.counts)
    with pytest.raises(ik.InvalidConfig) as caught:
        act(kernel.devices)
    assert caught.value.field == field
    assert kernel.links.counts == before


def test_switched_off_a_device_loses_its_ipv6_addresses(kernel: FakeKernel) -> None:
    kernel.devices.add_addresses("vip0", ["192.0.2.10", "2001:db8::1"]).raise_for_failures()
    kernel.devices.set_up("vip0", True)
    assert len(held(kernel)) == 3
    kernel.devices.set_up("vip0", False)
    assert held(kernel) == ["192.0.2.10/32"]


def test_a_lost_answer_about_a_device_is_said(kernel: FakeKernel) -> None:
    kernel.links.lose_answers(command=Command.CHANGE_LINK)
    with pytest.raises(ik.AnswerLost, match="change device vip0"):
        kernel.devices.set_up("vip0", True)


def test_a_closed_handle_says_so(kernel: FakeKernel) -> None:
    devices = kernel.devices
    kernel.close()
    with pytest.raises(ik.ClosedError):
        devices.names()
    with pytest.raises(ik.ClosedError):
        _ = kernel.devices


def test_ipvs_sees_the_same_network(kernel: FakeKernel) -> None:
    # A real server that is the namespace's own broadcast address is refused; it is no broadcast address any more.
    with pytest.raises(ik.AddressNotUsable):
        kernel.ipvs.add_service("192.0.2.10:80/tcp\n-> 192.0.2.255:80")
    kernel.devices.delete_addresses("eth0", ["192.0.2.1/24"])
    kernel.ipvs.add_service("192.0.2.11:80/tcp\n-> 192.0.2.255:80")


def test_handles_on_the_same_kernel_share_devices(kernel: FakeKernel) -> None:
    with FakeKernel(same_as=kernel) as other:
        other.devices.delete("vip0")
    assert not kernel.devices.exists("vip0")


# --- addresses ----------------------------------------------------------------------------------------------------------------------


def test_add_and_delete(kernel: FakeKernel) -> None:
    given = ["192.0.2.10", "192.0.2.11/24", "2001:db8::1/64", "192.0.2.10/32"]
    report = kernel.devices.add_addresses("vip0", given)
    assert (report.device, report.ok, report.stopped) == ("vip0", True, False)
    assert counts(report) == (3, 1, 0)
    assert str(report) == "vip0: 3 done, 1 already so, 0 failed"
    assert counts(kernel.devices.add_addresses("vip0", given)) == (0, 4, 0)
    assert held(kernel) == ["192.0.2.10/32", "192.0.2.11/24", "2001:db8::1/64"]
    assert counts(kernel.devices.delete_addresses("vip0", [*given, "192.0.2.99"])) == (3, 2, 0)
    assert held(kernel) == []
    assert counts(kernel.devices.add_addresses("vip0", [])) == (0, 0, 0)


def test_one_address_of_many_costs_one_request(kernel: FakeKernel) -> None:
    kernel.devices.add_addresses("vip0", many(5000))
    before = sum(kernel.links.counts.values())
    kernel.links.interrupt()  # nothing is listed
    kernel.devices.add_addresses("vip0", many(1, 5000)).raise_for_failures()
    kernel.devices.delete_addresses("vip0", many(1)).raise_for_failures()
    assert sum(kernel.links.counts.values()) == before + 2


def test_owners(kernel: FakeKernel) -> None:
    kernel.devices.add_addresses("vip0", ["192.0.2.1", "198.51.100.1/24", "2001:db8::1"])
    wanted: list[Any] = ["192.0.2.1", IPv4Address("198.51.100.1"), "2001:db8::1", "::1", "203.0.113.1"]
    assert kernel.devices.owners(wanted) == {
        IPv4Address("192.0.2.1"): "eth0",
        IPv4Address("198.51.100.1"): "vip0",
        IPv6Address("2001:db8::1"): "vip0",
        IPv6Address("::1"): "lo",
    }
    assert kernel.devices.owners([]) == {}


def test_an_ipv6_address_with_another_prefix_length_is_not_what_was_wanted(kernel: FakeKernel) -> None:
    kernel.devices.add_addresses("vip0", ["2001:db8::1/64"])
    report = kernel.devices.add_addresses("vip0", ["2001:db8::1/128", "2001:db8::1/64", "2001:db8::2"])
    assert counts(report) == (1, 1, 1)
    (failure,) = report.failures
    assert failure.address == ip_interface("2001:db8::1/128")
    assert type(failure.error) is ik.AlreadyExists
    assert "with another prefix length" in str(failure.error)
    assert counts(kernel.devices.delete_addresses("vip0", ["2001:db8::1/128"])) == (0, 1, 0)


NETWORK = [
    "198.51.100.1/24",
    "198.51.100.2/24",
    "198.51.100.3/24",
    "203.0.113.1/24",
    "198.51.100.1/32",
    "198.51.100.200/25",
]


def test_deleting_the_first_of_a_network_leaves_the_others(kernel: FakeKernel) -> None:
    kernel.devices.add_addresses("vip0", NETWORK)
    assert counts(kernel.devices.delete_addresses("vip0", NETWORK[:1])) == (1, 0, 0)
    assert sorted(held(kernel)) == sorted(NETWORK[1:])
    assert kernel.links.counts[Command.NEW_ADDRESS] == len(NETWORK) + 2


def test_nothing_is_added_again_where_the_kernel_promotes(kernel: FakeKernel) -> None:
    kernel.links.promote_secondaries = True
    kernel.devices.add_addresses("vip0", NETWORK)
    kernel.devices.delete_addresses("vip0", NETWORK[:1]).raise_for_failures()
    assert sorted(held(kernel)) == sorted(NETWORK[1:])
    assert kernel.links.counts[Command.NEW_ADDRESS] == len(NETWORK)


def test_what_went_with_another_counts_as_deleted(kernel: FakeKernel) -> None:
    kernel.devices.add_addresses("vip0", NETWORK)
    wanted = [NETWORK[0], NETWORK[2], "198.51.100.77/24"]
    assert counts(kernel.devices.delete_addresses("vip0", wanted)) == (2, 1, 0)
    assert sorted(held(kernel)) == sorted(set(NETWORK) - set(wanted))


def test_what_cannot_be_added_again_is_said(kernel: FakeKernel) -> None:
    kernel.devices.add_addresses("vip0", NETWORK)
    kernel.links.refuse(errno.ENOMEM, command=Command.NEW_ADDRESS, nth=1)
    report = kernel.devices.delete_addresses("vip0", NETWORK[:1])
    assert counts(report) == (1, 0, 1)
    assert report.failures[0].address == IPv4Interface(NETWORK[1])
    assert report.failures[0].error.operation == "add address"  # type: ignore[attr-defined]


def test_what_a_rival_deletes_meanwhile_is_not_added_again(kernel: FakeKernel) -> None:
    kernel.devices.add_addresses("vip0", NETWORK)
    kernel.links.before(lambda rival: rival.delete_addresses("vip0", NETWORK[3:4]), command=Command.DELETE_ADDRESS)
    kernel.devices.delete_addresses("vip0", NETWORK[:1]).raise_for_failures()
    assert sorted(held(kernel)) == sorted(set(NETWORK) - {NETWORK[0], NETWORK[3]})


def test_stop(kernel: FakeKernel) -> None:
    kernel.links.refuse(errno.ENOMEM, command=Command.NEW_ADDRESS, nth=3)
    report = kernel.devices.add_addresses("vip0", many(5), on_error="stop")
    assert (counts(report), report.stopped) == ((2, 0, 1), True)
    assert held(kernel) == many(2)
    report = kernel.devices.add_addresses("vip0", many(5), on_error="stop")
    assert (counts(report), report.stopped) == ((3, 2, 0), False)
    kernel.links.refuse(errno.ENOMEM, command=Command.DELETE_ADDRESS, nth=2)
    report = kernel.devices.delete_addresses("vip0", many(5), on_error="stop")
    assert (counts(report), report.stopped) == ((1, 0, 1), True)
    assert held(kernel) == many(4, 1)


def test_refusals_are_matched(kernel: FakeKernel) -> None:
    for nth in (2, 1500):
        kernel.links.refuse(errno.ENOMEM, command=Command.NEW_ADDRESS, nth=nth)
    report = kernel.devices.add_addresses("vip0", many(3000))
    assert counts(report) == (2998, 0, 2)
    assert [str(failure.address) for failure in report.failures] == [many(1, 1)[0], many(1, 1499)[0]]
    with pytest.raises(ik.BulkFailed, match="2 failed"):
        report.raise_for_failures()


def test_without_the_right(kernel: FakeKernel) -> None:
    kernel.links.refuse(errno.EPERM)
    for act in (kernel.devices.add_addresses, kernel.devices.delete_addresses):
        kernel.links.tell_the_truth()
        kernel.links.refuse(errno.EPERM, command=Command.NEW_ADDRESS)
        kernel.links.refuse(errno.EPERM, command=Command.DELETE_ADDRESS)
        with pytest.raises(ik.PermissionDenied, match="CAP_NET_ADMIN"):
            act("vip0", ["192.0.2.1"])


def test_a_device_that_goes_meanwhile(kernel: FakeKernel) -> None:
    kernel.links.before(lambda rival: rival.delete("vip0"), command=Command.NEW_ADDRESS)
    report = kernel.devices.add_addresses("vip0", many(2))
    assert {type(failure.error) for failure in report.failures} == {ik.InterfaceNotFound}
    assert counts(report) == (0, 0, 2)


# --- lost answers, disturbed listings -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [errno.ENOBUFS, errno.ETIMEDOUT])
@pytest.mark.parametrize("on_error", ["continue", "stop"])
def test_what_was_done_is_known_when_answers_are_lost(kernel: FakeKernel, error: int, on_error: Any) -> None:
    kernel.devices.add_addresses("vip0", many(20))
    kernel.links.lose_answers(nth=1, error=error)
    report = kernel.devices.add_addresses("vip0", many(60), on_error=on_error)
    assert report.ok
    assert report.done + report.already == 60
    assert report.done >= 40
    assert held(kernel) == many(60)
    kernel.links.lose_answers(nth=1, error=error)
    report = kernel.devices.delete_addresses("vip0", many(80), on_error=on_error)
    assert report.ok
    assert report.done + report.already == 80
    assert held(kernel) == []


@pytest.mark.parametrize("error", [errno.ENOBUFS, errno.ETIMEDOUT])
def test_refusals_that_got_lost_are_asked_for_again(kernel: FakeKernel, error: int) -> None:
    for nth in (*range(1, 6), *range(21, 26)):
        kernel.links.refuse(errno.ENOMEM, command=Command.NEW_ADDRESS, nth=nth)
    kernel.links.lose_answers(nth=1, error=error)
    report = kernel.devices.add_addresses("vip0", many(20))
    assert report.done + len(report.failures) == 20
    assert {failure.error.errno for failure in report.failures} == {errno.ENOMEM}  # type: ignore[attr-defined]
    assert len(held(kernel)) == report.done


def test_answers_that_get_lost_again_and_again(kernel: FakeKernel) -> None:
    kernel.links.lose_answers(error=errno.ETIMEDOUT)
    for nth in range(1, 100):
        kernel.links.refuse(errno.ENOMEM, command=Command.NEW_ADDRESS, nth=nth)
    report = kernel.devices.add_addresses("vip0", many(5))
    assert counts(report) == (0, 0, 5)
    assert {type(failure.error) for failure in report.failures} == {ik.AnswerLost}
    kernel.links.tell_the_truth()
    kernel.links.lose_answers()
    assert counts(kernel.devices.add_addresses("vip0", many(5))) == (5, 0, 0)


def test_a_disturbed_listing_is_repeated(kernel: FakeKernel) -> None:
    for nth in (1, 2, 3):
        kernel.links.interrupt(nth=nth)
    assert len(kernel.devices.all()) == 3
    kernel.links.interrupt()
    with pytest.raises(ik.InconsistentDump, match="devices: changed during each of 8 attempts") as caught:
        kernel.devices.names()
    assert len(caught.value.partial) == 3
    with pytest.raises(ik.InconsistentDump, match="addresses"):
        kernel.devices.addresses("lo")


def test_devices_and_addresses_go_together(kernel: FakeKernel) -> None:
    """A device that came between the two listings has no name yet: both are made again."""
    kernel.links.before(lambda rival: rival.create("vip1\n192.0.2.77"), command=Command.GET_LINK, nth=2)
    assert "vip1" in {device.name for device in kernel.devices.all()}
