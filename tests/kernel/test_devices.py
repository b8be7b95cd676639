"""Every call of `kernel.devices` on a real kernel.

What needs a device of kind "dummy" is marked `ipvs`, because it runs where that does; the rest makes do with lo.

Knows: what the kernel makes of requests, the programs `ip` and pyroute2 as witnesses. Must not know: bytes.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import threading
import time
from contextlib import closing
from ipaddress import IPv4Address, IPv6Address, ip_interface
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import ipvskit as ik
from ipvskit import _native
from ipvskit.devices.backend import KernelDevicesBackend
from ipvskit.devices.client import Devices
from ipvskit.devices.records import Command, link_record
from ipvskit.testing.fake import LOOPBACK, FakeKernel
from ipvskit.testing.namespaces import TestNetNS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ipvskit.model.device import DeviceAddress

OWN = ["127.0.0.1/8", "::1/128"]
needs_dummy = pytest.mark.ipvs


@pytest.fixture(scope="module", autouse=True)
def _ipv6() -> None:
    """Where IPv6 is a module, a socket loads it."""
    socket.socket(socket.AF_INET6).close()


@pytest.fixture
def kernel(namespace: TestNetNS) -> Iterator[ik.Kernel]:
    with ik.Kernel(namespace) as handle:
        yield handle


def texts(addresses: Any) -> list[str]:
    return [str(address) for address in addresses]


def counts(report: ik.AddressReport) -> tuple[int, int, int]:
    return report.done, report.already, len(report.failures)


def many(count: int) -> list[str]:
    return [f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}/32" for number in range(count)]


def by_ip(namespace: TestNetNS, name: str) -> set[str]:
    """What the program `ip` reads."""
    (device,) = json.loads(namespace.run(["ip", "-j", "addr", "show", "dev", name]).stdout)
    return {f"{one['local']}/{one['prefixlen']}" for one in device["addr_info"]}


# --- on any device ------------------------------------------------------------------------------------------------------------------


def test_what_a_fresh_namespace_has(kernel: ik.Kernel) -> None:
    lo = ik.Device("lo", kind="", addresses=OWN)
    assert lo in kernel.devices.all()
    assert kernel.devices.get("lo") == lo
    assert "lo" in kernel.devices.names()
    assert texts(kernel.devices.addresses("lo")) == OWN
    assert kernel.devices.exists("lo")
    assert not kernel.devices.exists("vip0")
    with pytest.raises(ik.InterfaceNotFound, match="get device vip0: there is no such device"):
        kernel.devices.get("vip0")


def test_add_and_delete(kernel: ik.Kernel, namespace: TestNetNS) -> None:
    wanted = [
        "192.0.2.10",
        "192.0.2.11/24",
        "2001:db8::1/64",
        "2001:db8::2",
        "192.0.2.10/24",
        "127.0.0.9/32",
        "192.0.2.10",
    ]
    assert counts(kernel.devices.add_addresses("lo", wanted)) == (6, 1, 0)
    assert by_ip(namespace, "lo") == {str(ip_interface(one)) for one in wanted} | set(OWN)
    assert set(texts(kernel.devices.addresses("lo"))) == by_ip(namespace, "lo")
    assert counts(kernel.devices.add_addresses("lo", wanted)) == (0, 7, 0)
    assert counts(kernel.devices.delete_addresses("lo", [*wanted[:3], "192.0.2.99", "2001:db8::99"])) == (3, 2, 0)
    assert by_ip(namespace, "lo") == {"2001:db8::2/128", "192.0.2.10/24", "127.0.0.9/32", *OWN}


def test_ipv6_addresses_are_usable_at_once(kernel: ik.Kernel, namespace: TestNetNS) -> None:
    namespace.ip("link add left type veth peer name right", "link set left up", "link set right up")
    kernel.devices.add_addresses("left", ["2001:db8::1/64"]).raise_for_failures()
    (device,) = json.loads(namespace.run(["ip", "-j", "addr", "show", "dev", "left"]).stdout)
    flags = next(one for one in device["addr_info"] if one["local"] == "2001:db8::1")
    assert flags.get("nodad")
    assert not flags.get("tentative")
    with pytest.raises(ik.InvalidConfig, match="kind 'veth'"):
        kernel.devices.delete("left")
    assert kernel.devices.get("left").kind == "veth"


def test_owners(kernel: ik.Kernel) -> None:
    kernel.devices.add_addresses("lo", ["192.0.2.10/24", "2001:db8::1"]).raise_for_failures()
    found = kernel.devices.owners(["192.0.2.10", "2001:db8::1", "192.0.2.1", "127.0.0.1"])
    assert found == {
        IPv4Address("192.0.2.10"): "lo",
        IPv6Address("2001:db8::1"): "lo",
        IPv4Address("127.0.0.1"): "lo",
    }


def test_an_ipv6_address_with_another_prefix_length(kernel: ik.Kernel) -> None:
    kernel.devices.add_addresses("lo", ["2001:db8::1/64"])
    report = kernel.devices.add_addresses("lo", ["2001:db8::1/128", "2001:db8::1/64"])
    assert counts(report) == (0, 1, 1)
    assert type(report.failures[0].error) is ik.AlreadyExists
    assert counts(kernel.devices.delete_addresses("lo", ["2001:db8::1/128"])) == (0, 1, 0)


NETWORK = [
    "198.51.100.1/24",
    "198.51.100.2/24",
    "198.51.100.3/24",
    "203.0.113.1/24",
    "198.51.100.1/32",
    "198.51.100.200/25",
]


@pytest.mark.parametrize("promote", [0, 1])
def test_deleting_the_first_of_a_network_leaves_the_others(
    kernel: ik.Kernel, namespace: TestNetNS, promote: int
) -> None:
    namespace.sysctl("net.ipv4.conf.all.promote_secondaries", promote)
    namespace.sysctl("net.ipv4.conf.lo.promote_secondaries", promote)
    kernel.devices.add_addresses("lo", NETWORK).raise_for_failures()
    assert counts(kernel.devices.delete_addresses("lo", ["198.51.100.1/24", "198.51.100.3/24"])) == (2, 0, 0)
    wanted = {"198.51.100.2/24", "203.0.113.1/24", "198.51.100.1/32", "198.51.100.200/25"}
    assert by_ip(namespace, "lo") == wanted | set(OWN)


def test_what_is_added_again_is_as_it_was(kernel: ik.Kernel, namespace: TestNetNS) -> None:
    namespace.sysctl("net.ipv4.conf.lo.promote_secondaries", 0)
    namespace.sysctl("net.ipv4.conf.all.promote_secondaries", 0)
    namespace.ip(
        "addr add 198.51.100.1/24 dev lo",
        "addr add 198.51.100.2/24 brd 198.51.100.255 dev lo label lo:web metric 7",
        "addr add 198.51.100.3/24 dev lo noprefixroute valid_lft 1000 preferred_lft 900",
    )

    def described() -> dict[str, Any]:
        (device,) = json.loads(namespace.run(["ip", "-j", "addr", "show", "dev", "lo"]).stdout)
        found = {one["local"]: one for one in device["addr_info"]}
        for one in found.values():
            one.pop("secondary", None)
        return found

    before = described()
    kernel.devices.delete_addresses("lo", ["198.51.100.1/24"]).raise_for_failures()
    after = described()
    del before["198.51.100.1"]
    left = [found.pop("198.51.100.3") for found in (before, after)]
    assert after == before
    assert left[1].pop("valid_life_time") >= left[0].pop("valid_life_time") - 5
    assert left[1].pop("preferred_life_time") >= left[0].pop("preferred_life_time") - 5
    assert left[1] == left[0]


def test_an_address_with_a_peer(kernel: ik.Kernel, namespace: TestNetNS) -> None:
    namespace.ip("addr add 192.0.2.1 peer 192.0.2.2/32 dev lo", "addr add 2001:db8::1 peer 2001:db8::2/128 dev lo")
    assert {"192.0.2.1/32", "2001:db8::1/128"} <= set(texts(kernel.devices.addresses("lo")))
    assert counts(kernel.devices.delete_addresses("lo", ["192.0.2.1", "2001:db8::1", "192.0.2.9"])) == (2, 1, 0)
    assert by_ip(namespace, "lo") == set(OWN)


def test_addresses_of_one_network_in_different_scopes(kernel: ik.Kernel, namespace: TestNetNS) -> None:
    namespace.ip("addr add 198.51.100.1/24 dev lo scope link")
    report = kernel.devices.add_addresses("lo", ["198.51.100.2/24", "198.51.100.1/32"])
    assert counts(report) == (1, 0, 1)
    assert "in another scope" in str(report.failures[0].error)


def test_ipv6_that_is_switched_off(kernel: ik.Kernel, namespace: TestNetNS) -> None:
    namespace.sysctl("net.ipv6.conf.lo.disable_ipv6", 1)
    report = kernel.devices.add_addresses("lo", ["2001:db8::1", "192.0.2.1"])
    assert counts(report) == (1, 0, 1)
    assert type(report.failures[0].error) is ik.NotSupported
    assert "disable_ipv6" in str(report.failures[0].error)
    assert counts(kernel.devices.delete_addresses("lo", ["2001:db8::1"])) == (0, 1, 0)


def test_lo_cannot_be_deleted(namespace: TestNetNS) -> None:
    with closing(KernelDevicesBackend(namespace)) as backend:
        refused = backend.execute(Command.DELETE_LINK, link_record("lo")).refused
        assert refused[0].error == errno.EOPNOTSUPP
        refused = backend.execute(Command.DELETE_LINK, link_record(index=4711)).refused
        assert refused[0].error == errno.ENODEV


def test_a_device_of_another_namespace_is_none(kernel: ik.Kernel) -> None:
    with TestNetNS() as other, ik.Kernel(other) as there:
        there.devices.add_addresses("lo", ["192.0.2.10"])
        assert kernel.devices.owners(["192.0.2.10"]) == {}


def test_switching(kernel: ik.Kernel) -> None:
    kernel.devices.set_up("lo", False)
    assert kernel.devices.get("lo") == ik.Device("lo", kind="", up=False, addresses=OWN[:1])
    kernel.devices.set_up("lo", True)
    assert kernel.devices.get("lo") == ik.Device("lo", kind="", addresses=OWN)
    with pytest.raises(ik.InterfaceNotFound):
        kernel.devices.set_up("vip0", True)


def test_names_of_any_bytes(kernel: ik.Kernel, namespace: TestNetNS) -> None:
    name = b"v\xff\xfe".decode(errors="surrogateescape")
    namespace.run(["ip", "link", "add", os.fsencode("first"), "type", "veth", "peer", "name", name])  # type: ignore[list-item]
    assert name in kernel.devices.names()
    kernel.devices.add_addresses(name, ["192.0.2.1"]).raise_for_failures()
    assert texts(kernel.devices.addresses(name)) == ["192.0.2.1/32"]


def test_without_the_right(namespace: TestNetNS) -> None:
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        said = "nothing"
        try:
            os.setresgid(65534, 65534, 65534)
            os.setresuid(65534, 65534, 65534)
            with closing(KernelDevicesBackend(ik.NetNS.of(None))) as backend:
                devices = Devices(backend)
                assert devices.exists("lo")
                try:
                    devices.add_addresses("lo", ["192.0.2.1"])
                except ik.PermissionDenied as error:
                    said = str(error)
        except BaseException as error:
            said = repr(error)
        finally:
            os.write(writer, said.encode())
            os._exit(0)
    os.close(writer)
    with open(reader, encoding="utf-8") as file:
        said = file.read()
    os.waitpid(child, 0)
    assert "CAP_NET_ADMIN in the user namespace that owns the network namespace" in said


def test_lost_answers(namespace: TestNetNS) -> None:
    backend = KernelDevicesBackend(namespace, receive_buffer=8192)
    backend.most = 100_000
    with closing(backend):
        devices = Devices(backend)
        assert counts(devices.add_addresses("lo", many(200))) == (200, 0, 0)
        # Refusals of all of them do not fit.
        report = devices.add_addresses("lo", many(400))
        assert report.ok
        assert report.done + report.already == 400
        assert report.done > 200
        report = devices.add_addresses("lo", [*(f"2001:db8::{n:x}/64" for n in range(1, 100))])
        report = devices.add_addresses("lo", [*(f"2001:db8::{n:x}/128" for n in range(1, 201))])
        assert counts(report) == (101, 0, 99)
        assert {type(failure.error) for failure in report.failures} == {ik.AlreadyExists}
        report = devices.delete_addresses("lo", many(800))
        assert report.ok
        assert report.done + report.already == 800
        assert not set(texts(devices.addresses("lo"))) & set(many(800))


def test_a_listing_that_is_disturbed_is_repeated(namespace: TestNetNS) -> None:
    with ik.Kernel(namespace) as kernel, ik.Kernel(namespace) as rival:
        wanted = many(1500)
        kernel.devices.add_addresses("lo", wanted).raise_for_failures()
        stop = threading.Event()

        def disturb() -> None:
            while not stop.wait(0.005):
                rival.devices.add_addresses("lo", ["192.0.2.1"])
                rival.devices.delete_addresses("lo", ["192.0.2.1"])

        thread = threading.Thread(target=disturb)
        thread.start()
        try:
            deadline = time.monotonic() + 2
            while time.monotonic() < deadline:
                try:
                    found = texts(kernel.devices.addresses("lo"))
                except ik.InconsistentDump:
                    continue
                assert set(found) - {"192.0.2.1/32"} == {*wanted, *OWN}
                assert len(found) == len(set(found))
        finally:
            stop.set()
            thread.join()


def test_threads_share_a_handle(kernel: ik.Kernel) -> None:
    done: list[int] = []

    def work(number: int) -> None:
        wanted = [f"10.9.{number}.{last}" for last in range(100)]
        for _ in range(3):
            done.append(kernel.devices.add_addresses("lo", wanted).done)
            done.append(-kernel.devices.delete_addresses("lo", wanted).done)
            assert kernel.devices.exists("lo")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == [-100] * 12 + [100] * 12


# --- the fake kernel does the same --------------------------------------------------------------------------------------------------

POOL = [
    *(
        "198.51.100.1/24",
        "198.51.100.2/24",
        "198.51.100.3/24",
        "198.51.100.1/32",
        "198.51.100.1/25",
        "198.51.100.129/25",
    ),
    *("127.0.0.2/8", "127.0.0.2/32", "127.0.0.1/8", "10.0.0.0/31", "10.0.0.1/31", "240.0.0.1/4"),
    *("2001:db8::1/64", "2001:db8::1/128", "2001:db8::2/64", "fe80::1/64", "fe80::1/128", "::1/128", "fd00::1/8"),
]
CHANGES = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["add", "delete"]), st.lists(st.sampled_from(POOL), max_size=6)),
        st.tuples(st.just("up"), st.booleans()),
    ),
    max_size=12,
)


def perform(devices: Devices, name: str, change: tuple[str, Any]) -> object:
    what, given = change
    if what == "up":
        devices.set_up(name, given)
        return None
    report = (devices.add_addresses if what == "add" else devices.delete_addresses)(name, given)
    return (*counts(report), [(str(one.address), type(one.error)) for one in report.failures])


def comparable(addresses: list[DeviceAddress], name: str) -> list[str]:
    """Link-local addresses that the kernel makes are as random as the MAC address."""
    return [str(one) for one in addresses if name == "lo" or not one.is_link_local or str(one).startswith("fe80::1/")]


def compare(real: Devices, fake: Devices, name: str, changes: list[tuple[str, Any]]) -> None:
    for change in changes:
        assert perform(real, name, change) == perform(fake, name, change), change
        assert comparable(real.addresses(name), name) == comparable(fake.addresses(name), name), change


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(changes=CHANGES)
def test_the_fake_does_the_same_with_lo(changes: list[tuple[str, Any]]) -> None:
    with TestNetNS() as namespace, ik.Kernel(namespace) as kernel, FakeKernel(interfaces=[LOOPBACK]) as fake:
        for setting in ("all", "lo"):
            namespace.sysctl(f"net.ipv4.conf.{setting}.promote_secondaries", 0)
        compare(kernel.devices, fake.devices, "lo", changes)


@needs_dummy
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(changes=CHANGES, promote=st.booleans())
def test_the_fake_does_the_same_with_a_dummy(changes: list[tuple[str, Any]], promote: bool) -> None:
    with TestNetNS() as namespace, ik.Kernel(namespace) as kernel, FakeKernel(interfaces=[LOOPBACK]) as fake:
        fake.links.promote_secondaries = promote
        for devices in (kernel.devices, fake.devices):
            devices.create("vip0 up=no")
        for setting in ("all", "vip0"):
            namespace.sysctl(f"net.ipv4.conf.{setting}.promote_secondaries", int(promote))
        compare(kernel.devices, fake.devices, "vip0", changes)


# --- devices of kind dummy ----------------------------------------------------------------------------------------------------------


def test_a_kernel_without_dummy_devices_says_so(kernel: ik.Kernel) -> None:
    try:
        kernel.devices.create("vip0")
    except ik.DeviceKindNotAvailable as error:
        said = str(error)
    else:
        said = "create device vip0" if kernel.devices.exists("vip0") else ""
    assert said.startswith("create device vip0")


@needs_dummy
@pytest.mark.parametrize("up", [True, False, None])
def test_create_and_delete(kernel: ik.Kernel, namespace: TestNetNS, up: bool | None) -> None:
    wanted = ik.Device("vip0", up=up, addresses=["192.0.2.10", "198.51.100.1/24", "2001:db8::1"])
    kernel.devices.create(wanted)
    found = kernel.devices.get("vip0")
    assert (found.name, found.kind, found.up) == ("vip0", "dummy", bool(up))
    assert set(wanted.addresses) == {address for address in found.addresses if not address.is_link_local}
    assert set(texts(found.addresses)) == by_ip(namespace, "vip0")
    assert found in kernel.devices.all()
    with pytest.raises(ik.DeviceExists):
        kernel.devices.create("vip0")
    kernel.devices.set_up("vip0", not up)
    assert kernel.devices.get("vip0").up is not bool(up)
    kernel.devices.delete("vip0")
    assert not kernel.devices.exists("vip0")
    with pytest.raises(ik.InterfaceNotFound):
        kernel.devices.delete("vip0")


@needs_dummy
def test_the_name_of_any_device_is_taken(kernel: ik.Kernel) -> None:
    with pytest.raises(ik.DeviceExists):
        kernel.devices.create("lo")
    with pytest.raises(ik.InvalidConfig):
        kernel.devices.delete("lo")


@needs_dummy
def test_pyroute2_reads_what_was_made(kernel: ik.Kernel, namespace: TestNetNS) -> None:
    pyroute2 = pytest.importorskip("pyroute2")
    kernel.devices.create("vip0 up=no\n192.0.2.10\n198.51.100.1/24\n2001:db8::1/64")

    found: dict[str, Any] = {}

    def read() -> None:
        _native.netns_enter(namespace.fileno())
        with pyroute2.IPRoute() as route:
            (link,) = route.get_links(ifname="vip0")
            found["kind"] = link.get(("linkinfo", "kind"))
            found["up"] = link["state"]
            found["addresses"] = {
                f"{one.get('local') or one.get('address')}/{one['prefixlen']}"
                for one in route.get_addr(index=link["index"])
            }

    thread = threading.Thread(target=read)
    thread.start()
    thread.join()
    assert found == {"kind": "dummy", "up": "down", "addresses": set(texts(kernel.devices.addresses("vip0")))}


@needs_dummy
def test_addresses_of_a_device_that_is_down_are_the_hosts_own(kernel: ik.Kernel, namespace: TestNetNS) -> None:
    kernel.devices.create("vip0 up=no\n192.0.2.10\n2001:db8::1")
    for address in ("192.0.2.10", "2001:db8::1"):
        assert namespace.run(["ip", "route", "get", address]).stdout.startswith(f"local {address}")


@needs_dummy
@pytest.mark.thorough
def test_as_many_addresses_as_a_big_cluster_has_services(kernel: ik.Kernel, namespace: TestNetNS) -> None:
    wanted = [*many(43_000), *(f"2001:db8::{number:x}/128" for number in range(1, 1001))]
    kernel.devices.create(ik.Device("vip0", up=False))
    report = kernel.devices.add_addresses("vip0", wanted)
    assert counts(report) == (44_000, 0, 0)
    assert set(texts(kernel.devices.addresses("vip0"))) == set(wanted)
    assert by_ip(namespace, "vip0") == set(wanted)
    assert len(kernel.devices.owners(one.partition("/")[0] for one in wanted)) == 44_000
    assert counts(kernel.devices.add_addresses("vip0", wanted)) == (0, 44_000, 0)
    kernel.devices.set_up("vip0", True)
    assert counts(kernel.devices.delete_addresses("vip0", wanted[:1000])) == (1000, 0, 0)
    assert len(kernel.devices.addresses("vip0")) == 43_001
    kernel.devices.delete("vip0")
