"""Devices as values: what they take, what they refuse, and their text form.

Knows: the promises of `Device`. Must not know: the kernel.
"""

from __future__ import annotations

import copy
import pickle
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface
from typing import Any

import pytest

import ipvskit as ik
from ipvskit.model.device import stored_device


def test_defaults() -> None:
    device = ik.Device("vip0")
    assert (device.name, device.kind, device.up, device.addresses) == ("vip0", "dummy", True, ())


def test_addresses_are_taken_in_every_form() -> None:
    given: list[Any] = [
        "192.0.2.10",
        "192.0.2.11/24",
        IPv4Address("192.0.2.12"),
        IPv6Address("2001:db8::1"),
        "2001:db8::2/64",
    ]
    device = ik.Device("vip0", addresses=[*given, IPv4Interface("192.0.2.10/24")])
    assert device.addresses == (
        IPv4Interface("192.0.2.10/32"),
        IPv4Interface("192.0.2.11/24"),
        IPv4Interface("192.0.2.12/32"),
        IPv6Interface("2001:db8::1/128"),
        IPv6Interface("2001:db8::2/64"),
        IPv4Interface("192.0.2.10/24"),
    )


@pytest.mark.parametrize("name", ["lo", "kube-ipvs0", "a" * 15, "eth0.100", "ä", "br@1"])
def test_names(name: str) -> None:
    assert ik.Device.parse(str(ik.Device(name))).name == name


@pytest.mark.parametrize(
    "name",
    ["", "a" * 16, "ä" * 8, "a b", "a\tb", "a/b", "a:b", "dummy%d", ".", "..", "a\0", "à", "\ud800", None, 5, b"lo"],
)
def test_names_that_no_device_has(name: Any) -> None:
    with pytest.raises(ik.InvalidConfig, match="name") as caught:
        ik.Device(name)
    assert (caught.value.field, caught.value.value) == ("name", name)


@pytest.mark.parametrize(
    "address",
    [
        "224.0.0.1",
        "ff02::1",
        "0.0.0.0",
        "::/0",
        "0.0.0.0/0",
        "fe80::1%eth0",
        "10.0.0.0/33",
        "nonsense",
        "",
        None,
        5,
        b"1234",
    ],
)
def test_addresses_that_no_device_has(address: Any) -> None:
    with pytest.raises(ik.InvalidConfig) as caught:
        ik.Device("vip0", addresses=["192.0.2.1", address])
    assert caught.value.field == "addresses"
    assert caught.value.value == address


def test_one_text_is_not_several_addresses() -> None:
    with pytest.raises(ik.InvalidConfig, match="several addresses"):
        ik.Device("vip0", addresses="192.0.2.1")


def test_each_address_and_prefix_length_once() -> None:
    ik.Device("vip0", addresses=["192.0.2.1", "192.0.2.1/24", "192.0.2.2/24"])
    with pytest.raises(ik.InvalidConfig, match=r"192\.0\.2\.1/32"):
        ik.Device("vip0", addresses=["192.0.2.1", "192.0.2.1/24", "192.0.2.1/32"])


@pytest.mark.parametrize("kind", ["any", "none", "a b", "k" * 64, "k\n", 5])
def test_kinds_that_there_are_not(kind: Any) -> None:
    with pytest.raises(ik.InvalidConfig) as caught:
        ik.Device("vip0", kind=kind)
    assert caught.value.field == "kind"


@pytest.mark.parametrize("up", [1, "yes"])
def test_up_is_a_truth_or_none(up: Any) -> None:
    with pytest.raises(ik.InvalidConfig, match="up"):
        ik.Device("vip0", up=up)


@pytest.mark.parametrize("up", [True, False, None])
@pytest.mark.parametrize("kind", ["dummy", None, "", "veth"])
def test_text_and_back(kind: str | None, up: bool | None) -> None:
    device = ik.Device("vip0", kind=kind, up=up, addresses=["192.0.2.1/24", "2001:db8::1"])
    assert ik.Device.parse(str(device)) == device
    assert ik.Device.parse(device) is device


def test_text_form() -> None:
    assert str(ik.Device("vip0", addresses=["192.0.2.1"])) == "vip0\n  192.0.2.1/32"
    assert str(ik.Device("eth0", kind=None, up=False)) == "eth0 kind=any up=no"
    assert ik.Device.parse("lo kind=none up=any\n127.0.0.1/8") == ik.Device(
        "lo", kind="", up=None, addresses=["127.0.0.1/8"]
    )


@pytest.mark.parametrize(
    "text",
    ["", "vip0 up", "vip0 up=maybe", "vip0 mtu=5", "vip0 kind=a kind=b", "vip0\n", "vip0\n  nonsense", "vip0 kind="],
)
def test_texts_that_are_refused(text: str) -> None:
    if text == "vip0\n":
        assert ik.Device.parse(text) == ik.Device("vip0")
    elif text == "vip0 kind=":
        assert ik.Device.parse(text).kind == ""
    else:
        with pytest.raises(ik.InvalidConfig):
            ik.Device.parse(text)


def test_what_is_no_text_is_refused() -> None:
    with pytest.raises(ik.InvalidConfig, match="device"):
        ik.Device.parse(5)  # type: ignore[arg-type]


def test_replace() -> None:
    device = ik.Device("vip0", addresses=["192.0.2.1"])
    assert device.replace(up=False) == ik.Device("vip0", up=False, addresses=["192.0.2.1"])
    with pytest.raises(ik.InvalidConfig, match="mtu"):
        device.replace(mtu=1500)
    with pytest.raises(ik.InvalidConfig, match="addresses"):
        device.replace(addresses=["224.0.0.1"])


def test_what_the_kernel_lists_is_not_checked() -> None:
    held = stored_device("a:b", "veth", True, [IPv4Interface("224.0.0.1/32")])
    assert (held.name, held.kind, held.up) == ("a:b", "veth", True)


def test_values_behave_as_values() -> None:
    device = ik.Device("vip0", addresses=["192.0.2.1"])
    assert hash(device) == hash(ik.Device("vip0", addresses=["192.0.2.1"]))
    assert copy.deepcopy(device) == pickle.loads(pickle.dumps(device)) == device
    with pytest.raises(AttributeError):
        device.up = False  # type: ignore[misc]
