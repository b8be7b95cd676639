"""The engine's values: kept fields, keys, states, scopes; what is wrong with them is said before anything is done.

Knows: what each of them has to say. Must not know: kernels, but the fake one.
"""

from __future__ import annotations

import dataclasses
import pickle
from typing import TYPE_CHECKING, Any

import pytest

import ipvskit as ik
from ipvskit.engine.keys import parse_key
from ipvskit.testing.fake import FakeKernel

if TYPE_CHECKING:
    from pathlib import Path

ALL = ik.Scope.everything()
VIP = "192.0.2.1:80/tcp"


# --- KEEP -----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["weight", "forwarding", "upper_threshold", "lower_threshold", "tunnel"])
def test_a_kept_field_of_a_real_server(name: str) -> None:
    given: dict[str, Any] = {name: ik.KEEP}
    kept = ik.RealServer("10.0.0.1:80", **given)
    assert name in kept.keep
    assert getattr(kept, name) == getattr(ik.RealServer("10.0.0.1:80"), name)
    assert kept != ik.RealServer("10.0.0.1:80")
    assert ik.RealServer.parse(str(kept)) == kept
    assert dataclasses.replace(kept) == kept == kept.replace()
    assert ik.RealServer("10.0.0.1:80", keep=[name]).keep >= {name}
    held = ik.RealServer(
        "10.0.0.1:80", weight=7, forwarding="tunnel", upper_threshold=9, lower_threshold=8, tunnel="gre"
    )
    if name == "tunnel":
        # It goes with the forwarding method.
        assert kept.filled(held).tunnel is None
        kept = kept.replace(forwarding="tunnel", tunnel=ik.KEEP)
    elif name == "lower_threshold":
        # It goes no higher than the upper one.
        assert kept.filled(held).lower_threshold == 0
        kept = kept.replace(upper_threshold=8)
    assert getattr(kept.filled(held), name) == getattr(held, name)
    assert not kept.filled(held).keep


@pytest.mark.parametrize(
    "name",
    [
        "scheduler",
        "scheduler_flags",
        "persistence_timeout",
        "persistence_netmask",
        "persistence_engine",
        "one_packet",
        "reals",
    ],
)
def test_a_kept_field_of_a_service(name: str) -> None:
    given: dict[str, Any] = {name: ik.KEEP}
    kept = ik.VirtualService("192.0.2.1:53/udp", **given)
    assert name in kept.keep
    assert getattr(kept, name) == getattr(ik.VirtualService("192.0.2.1:53/udp"), name)
    assert ik.VirtualService.parse(str(kept)) == kept
    assert dataclasses.replace(kept) == kept == kept.replace()


def test_kept_fields_have_no_value() -> None:
    with pytest.raises(ik.InvalidConfig, match="weight"):
        ik.RealServer("10.0.0.1:80", weight=5, keep=["weight"])
    with pytest.raises(ik.InvalidConfig, match="keep"):
        ik.RealServer("10.0.0.1:80", keep=["wait"])
    assert pickle.loads(pickle.dumps(ik.KEEP)) is ik.KEEP
    assert repr(ik.KEEP) == "KEEP"


# --- keys, states ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        VIP,
        "[2001:db8::1]:53/udp",
        "fwmark:7/v6",
        "set:web-allow",
        "device:vips",
        "sysctl:conntrack",
        "daemon:master",
        "timeouts",
    ],
)
def test_keys_have_texts(text: str) -> None:
    assert str(parse_key(text)) == text
    assert parse_key(parse_key(text)) == parse_key(text)


@pytest.mark.parametrize(
    "text", ["", "set:", "sysctl:nope", "daemon:boss", "192.0.2.1", 7, "10.0.0.1:80 of 192.0.2.1:80/tcp"]
)
def test_bad_keys(text: Any) -> None:
    with pytest.raises(ik.InvalidConfig):
        parse_key(text)


@pytest.mark.parametrize(
    ("arguments", "both"),
    [
        ({"services": [f"{VIP} scheduler=rr", f"{VIP} scheduler=wlc"]}, ("scheduler=rr", "scheduler=wlc")),
        ({"sets": ["web hash:ip", "web hash:net"]}, ("web hash:ip", "web hash:net")),
        ({"devices": ["vips", "vips up=no"]}, ("vips", "vips up=no")),
        ({"daemons": ["master eth0", "master eth1"]}, ("master eth0", "master eth1")),
    ],
)
def test_two_things_with_one_key_are_both_named(arguments: dict[str, Any], both: tuple[str, str]) -> None:
    with pytest.raises(ik.InvalidConfig) as caught:
        ik.State(**arguments)
    assert all(text in str(caught.value) for text in both)


@pytest.mark.parametrize("arguments", [{"sysctls": {"nope": 1}}, {"sysctls": {"conntrack": 5}}, {"timeouts": 900}])
def test_bad_states(arguments: dict[str, Any]) -> None:
    with pytest.raises(ik.InvalidConfig):
        ik.State(**arguments)


def test_a_state_is_updated_into_another_one() -> None:
    state = ik.State(
        [VIP], sets=["web hash:ip"], devices=["vips"], sysctls={"conntrack": True}, timeouts=ik.Timeouts(1, 2, 3)
    )
    other = state.updated(
        [f"{VIP} scheduler=rr", "192.0.2.2:80/tcp"], remove=["set:web", "sysctl:conntrack", "timeouts"]
    )
    assert list(map(str, other.keys())) == [VIP, "192.0.2.2:80/tcp", "device:vips"]
    assert other.services[ik.ServiceKey.parse(VIP)].scheduler == "rr"
    assert list(map(str, state.keys())) == [VIP, "set:web", "device:vips", "sysctl:conntrack", "timeouts"]
    assert state != other
    assert state == ik.State(
        [VIP], sets=["web hash:ip"], devices=["vips"], sysctls={"conntrack": True}, timeouts=ik.Timeouts(1, 2, 3)
    )
    assert not ik.State()
    with pytest.raises(TypeError):
        state.services[ik.ServiceKey.parse(VIP)] = None  # type: ignore[index]


def test_a_state_goes_to_a_file_and_back(tmp_path: Path) -> None:
    state = ik.State(
        [f"{VIP} scheduler=sh\n-> 10.0.0.1:80 weight=keep"], sets=[ik.Set("web", "hash:ip", entries=["10.0.0.1"])]
    )
    for name in ("state.json", "state.yaml"):
        path = tmp_path / name
        state.dump(path)
        assert ik.State.load(path) == state == ik.State.load(path.read_bytes())
        assert [each.name for each in tmp_path.iterdir()] == [name]
        path.unlink()
    with pytest.warns(UserWarning, match="ipvsadm has none|kept") as told:
        text = state.dump(format="ipvsadm")
    assert len(told) == 2
    with pytest.raises(ik.InvalidConfig, match="format"):
        state.dump(format="xml")
    assert text.startswith("-A -t 192.0.2.1:80 -s sh")


# --- scopes ---------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scope", "inside", "outside"),
    [
        (ik.Scope(vips=["192.0.2.0/24"]), [VIP], ["198.51.100.1:80/tcp", "fwmark:7", "set:web", "device:vips"]),
        (ik.Scope(vips=["2001:db8::/32"]), ["[2001:db8::1]:80/tcp"], [VIP, "[2001:db9::1]:80/tcp"]),
        (ik.Scope(ports=[80]), [VIP, "192.0.2.1:80/udp"], ["192.0.2.1:81/tcp"]),
        (
            ik.Scope(ports=["80/tcp", "8000-8100"]),
            [VIP, "192.0.2.1:8050/udp"],
            ["192.0.2.1:80/udp", "192.0.2.1:7999/tcp"],
        ),
        (ik.Scope(vips=["192.0.2.1"], ports=[80]), [VIP], ["192.0.2.2:80/tcp", "192.0.2.1:81/tcp"]),
        (
            ik.Scope(fwmarks=["5-9", 20, (30, 31)]),
            ["fwmark:7", "fwmark:20/v6", "fwmark:31"],
            ["fwmark:10", "fwmark:32", VIP],
        ),
        (ik.Scope(sets=["web-*", "a?"]), ["set:web-1", "set:ab"], ["set:web", "set:abc", "set:Web-1"]),
        (ik.Scope(devices=["vip*"]), ["device:vips"], ["device:eth0"]),
        (ik.Scope(keys=[VIP, "set:one"]), [VIP, "set:one"], ["set:two", "192.0.2.1:81/tcp"]),
        (ik.Scope(daemons=True), ["daemon:master"], [VIP]),
        (ik.Scope(), [], [VIP, "set:one", "device:eth0", "daemon:backup", "fwmark:7"]),
        (ALL, [VIP, "set:one", "device:eth0", "daemon:backup", "fwmark:7", "sysctl:conntrack"], []),
    ],
)
def test_scopes(scope: ik.Scope, inside: list[str], outside: list[str]) -> None:
    assert all(parse_key(text) in scope for text in inside)
    assert not any(parse_key(text) in scope for text in outside)
    assert scope == scope
    assert hash(scope) == hash(scope)
    assert repr(scope).startswith("Scope")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("vips", ["192.0.2.1/24"]),
        ("vips", ["web"]),
        ("vips", "192.0.2.0/24"),
        ("ports", ["http"]),
        ("ports", ["80/icmp"]),
        ("ports", [70000]),
        ("ports", ["90-80"]),
        ("ports", [None]),
        ("fwmarks", [0]),
        ("fwmarks", ["9-5"]),
        ("fwmarks", ["x"]),
        ("sets", "web-*"),
        ("sets", [""]),
        ("devices", [7]),
    ],
)
def test_bad_scopes(field: str, value: Any) -> None:
    with pytest.raises(ik.InvalidConfig) as caught:
        ik.Scope(**{field: value})
    assert caught.value.field == field


def test_addresses_of_others_devices_are_left_alone() -> None:
    with FakeKernel() as kernel:
        kernel.devices.add_addresses("eth0", ["203.0.113.7/32", "192.0.2.9/32"])
        state = ik.State(devices=["eth0 kind=any up=any"])
        assert not ik.diff(kernel.snapshot(), state, scope=ALL)
        plan = ik.diff(kernel.snapshot(), state, scope=ik.Scope(vips=["203.0.113.0/24"], devices=["eth0"]))
        assert [str(change.key) for change in plan] == ["203.0.113.7/32 on eth0"]
