"""What values accept, what they refuse, and how they are written.

Knows: the public classes. Must not know: the kernel.
"""

from __future__ import annotations

import dataclasses
import pickle
from ipaddress import IPv4Address, IPv6Address
from typing import Any

import pytest

import ipvskit as ik
from ipvskit import operations as op
from ipvskit.model.real import stored_real, stored_tunnel

TEXTS = [
    ("10.0.0.1:80/tcp", "10.0.0.1:80/tcp"),
    ("[2001:DB8::1]:53/udp", "[2001:db8::1]:53/udp"),
    ("[::ffff:10.0.0.1]:53/sctp", "[::ffff:a00:1]:53/sctp"),
    ("10.0.0.1:0/tcp", "10.0.0.1:0/tcp"),
    ("fwmark:7", "fwmark:7/v4"),
    ("fwmark:7/v6", "fwmark:7/v6"),
    ("fwmark:4294967295/v4", "fwmark:4294967295/v4"),
]


@pytest.mark.parametrize(("text", "canonical"), TEXTS)
def test_key_texts(text: str, canonical: str) -> None:
    key = ik.ServiceKey.parse(text)
    assert str(key) == canonical
    assert ik.ServiceKey.parse(canonical) == key
    assert hash(ik.ServiceKey.parse(canonical)) == hash(key)


#: (what is built, field, what the message must say)
REFUSED: list[tuple[Any, str, str]] = [
    (lambda: ik.ServiceKey.parse("10.0.0.1:80"), "service", "ADDRESS:PORT/PROTOCOL"),
    (lambda: ik.ServiceKey.parse("10.0.0.1/tcp"), "service", "ADDRESS:PORT/PROTOCOL"),
    (lambda: ik.ServiceKey.parse(""), "service", "ADDRESS:PORT/PROTOCOL"),
    (lambda: ik.ServiceKey.parse(7), "service", "ADDRESS:PORT/PROTOCOL"),  # type: ignore[arg-type]
    (lambda: ik.ServiceKey.parse("host:80/tcp"), "service", "names are not looked up"),
    (lambda: ik.ServiceKey.parse("[10.0.0.1]:80/tcp"), "service", "brackets are for IPv6"),
    (lambda: ik.ServiceKey.parse("[2001:db8::1:80/tcp"), "service", "brackets"),
    (lambda: ik.ServiceKey.parse("[fe80::1%eth0]:80/tcp"), "service", "without a zone"),
    (lambda: ik.ServiceKey.parse("10.0.0.1:80/icmp"), "protocol", "one of tcp, udp, sctp"),
    (lambda: ik.ServiceKey.parse("10.0.0.1:65536/tcp"), "service port", "0 to 65535"),
    (lambda: ik.ServiceKey.parse("10.0.0.1:+1/tcp"), "service port", "0 to 65535"),
    (lambda: ik.ServiceKey.parse("fwmark:0"), "fwmark", "1 to 4294967295"),
    (lambda: ik.ServiceKey.parse("fwmark:4294967296"), "fwmark", "1 to 4294967295"),
    (lambda: ik.ServiceKey.parse("fwmark:1/ipv4"), "service", "fwmark:7/v4"),
    (lambda: ik.ServiceKey("ipv6", "tcp", "10.0.0.1", 80), "family", "ipv4"),
    (lambda: ik.ServiceKey("inet", fwmark=1), "family", "ipv4"),
    (lambda: ik.ServiceKey("ipv4", "tcp", fwmark=1), "fwmark", "without address"),
    (lambda: ik.ServiceKey(None, "tcp", "10.0.0.1", 80, fwmark=1), "fwmark", "either"),
    (lambda: ik.VirtualService("10.0.0.1:0/tcp"), "persistence_timeout", "every port"),
    (lambda: ik.VirtualService("10.0.0.1:80/tcp", scheduler=""), "scheduler", "1 to 15"),
    (lambda: ik.VirtualService("10.0.0.1:80/tcp", scheduler="a" * 16), "scheduler", "1 to 15"),
    (lambda: ik.VirtualService("10.0.0.1:80/tcp", scheduler="r r"), "scheduler", "letters"),
    (lambda: ik.VirtualService("10.0.0.1:80/tcp", scheduler_flags=["sh-port"]), "scheduler_flags", "flag-1"),
    (lambda: ik.VirtualService("10.0.0.1:80/tcp", scheduler="sh", scheduler_flags=["mh-port"]), "scheduler_flags", "sh-port"),
    (lambda: ik.VirtualService("10.0.0.1:80/tcp", scheduler_flags="flag-1"), "scheduler_flags", "not one text"),
    (lambda: ik.VirtualService("10.0.0.1:80/tcp", persistence_timeout=0), "persistence_timeout", "1 to 4294967 seconds"),
    (lambda: ik.VirtualService("10.0.0.1:80/tcp", persistence_timeout=4294968), "persistence_timeout", "seconds"),
    (lambda: ik.VirtualService("10.0.0.1:80/tcp", persistence_timeout=True), "persistence_timeout", "seconds"),
    (lambda: ik.VirtualService("10.0.0.1:80/tcp", persistence_netmask=24), "persistence_netmask", "no persistence_timeout"),
    (lambda: ik.VirtualService("10.0.0.1:80/tcp", persistence_timeout=1, persistence_netmask=33), "persistence_netmask", "0 to 32"),
    (lambda: ik.VirtualService("10.0.0.1:80/tcp", persistence_timeout=1, persistence_netmask="x"), "persistence_netmask", "255.255.255.0"),
    (lambda: ik.VirtualService("[::1]:80/tcp", persistence_timeout=1, persistence_netmask=0), "persistence_netmask", "1 to 128"),
    (lambda: ik.VirtualService("10.0.0.1:80/tcp", persistence_engine="a" * 17), "persistence_engine", "1 to 16"),
    (lambda: ik.VirtualService("10.0.0.1:80/tcp", one_packet=True), "one_packet", "only udp and fwmark"),
    (lambda: ik.VirtualService("10.0.0.1:80/tcp", reals=["10.1.0.1:80", "10.1.0.1:80"]), "reals", "once in 10.0.0.1:80/tcp"),
    (lambda: ik.VirtualService("10.0.0.1:80/tcp", reals=["[2001:db8::1]:80"]), "forwarding", "tunnel, because"),
    (lambda: ik.VirtualService("[2001:db8::1]:80/tcp", reals=["10.0.0.1:80 forwarding=direct-route"]), "forwarding", "tunnel, because"),
    (lambda: ik.VirtualService("10.0.0.1:80/tcp", reals=["10.1.0.1:81 forwarding=direct-route"]), "real server port", "0 or 80"),
    (lambda: ik.VirtualService("fwmark:1", reals=["10.1.0.1:81 forwarding=tunnel"]), "real server port", "0, because"),
    (lambda: ik.VirtualService.parse("10.0.0.1:80/tcp nonsense=1"), "virtual service", "scheduler"),
    (lambda: ik.VirtualService.parse("10.0.0.1:80/tcp one_packet=maybe"), "one_packet", "yes"),
    (lambda: ik.VirtualService.parse("10.0.0.1:80/tcp\n10.1.0.1:80"), "virtual service", "->"),
    (lambda: ik.VirtualService("10.0.0.1:80/tcp").replace(nonsense=1), "virtual service", "scheduler"),
    (lambda: ik.RealServer("10.0.0.1:80", weight=-1), "weight", "0 to 2147483647"),
    (lambda: ik.RealServer("10.0.0.1:80", weight=2**31), "weight", "0 to 2147483647"),
    (lambda: ik.RealServer("10.0.0.1:80", weight=1.5), "weight", "whole number"),  # type: ignore[arg-type]
    (lambda: ik.RealServer("10.0.0.1:80", lower_threshold=1), "lower_threshold", "at most the upper_threshold, 0"),
    (lambda: ik.RealServer("10.0.0.1:80", upper_threshold=2**31), "upper_threshold", "connections"),
    (lambda: ik.RealServer("10.0.0.1:80", forwarding="nat"), "forwarding", "masquerade"),
    (lambda: ik.RealServer("10.0.0.1:80", forwarding="unknown-5"), "forwarding", "masquerade"),
    (lambda: ik.RealServer("10.0.0.1:80", tunnel="ipip"), "tunnel", "None, because"),
    (lambda: ik.RealServer("10.0.0.1:80", forwarding="tunnel", tunnel="gue"), "tunnel port", "gue needs"),
    (lambda: ik.RealServer("10.0.0.1:80", forwarding="tunnel", tunnel="gre:1"), "tunnel port", "gre has no port"),
    (lambda: ik.RealServer("10.0.0.1:80", forwarding="tunnel", tunnel="ipip+csum"), "tunnel checksum", "ipip"),
    (lambda: ik.RealServer("10.0.0.1:80", forwarding="tunnel", tunnel="gre+remcsum"), "tunnel remote_checksum", "only gue"),
    (lambda: ik.RealServer("10.0.0.1:80", forwarding="tunnel", tunnel="l2tp"), "tunnel type", "gre"),
    (lambda: ik.RealServer("10.0.0.1:80", forwarding="tunnel", tunnel="gue:6080+x"), "tunnel", "+csum"),
    (lambda: ik.RealServer("224.0.0.1:80"), "real server", "unicast"),
    (lambda: ik.RealServer("255.255.255.255:80"), "real server", "unicast"),
    (lambda: ik.RealServer("0.0.0.0:80"), "real server", "unicast"),
    (lambda: ik.RealServer("[::]:80"), "real server", "unicast"),
    (lambda: ik.RealServer("[ff02::1]:80"), "real server", "unicast"),
    (lambda: ik.RealServer("[fe80::1]:80"), "real server", "unicast"),
    (lambda: ik.RealServer("example.org:80"), "real server", "names are not looked up"),
    (lambda: ik.RealServer("10.0.0.1:99999"), "real server port", "0 to 65535"),
    (lambda: ik.RealServer("10.0.0.1", 70000), "real server port", "0 to 65535"),
    (lambda: ik.RealServer.parse("10.0.0.1:80 weight=x"), "weight", "whole number"),
    (lambda: ik.RealServer.parse("10.0.0.1:80 weight=1 weight=2"), "real server", "at most once"),
    (lambda: ik.RealServer("10.0.0.1:80").replace(nonsense=1), "real server", "weight"),
    (lambda: ik.SyncDaemon("slave", "eth0"), "role", "master"),
    (lambda: ik.SyncDaemon("master", ""), "interface", "1 to 15"),
    (lambda: ik.SyncDaemon("master", "a" * 16), "interface", "1 to 15"),
    (lambda: ik.SyncDaemon("master", "eth0", sync_id=256), "sync_id", "0 to 255"),
    (lambda: ik.SyncDaemon("master", "eth0", group="10.0.0.1"), "group", "multicast"),
    (lambda: ik.SyncDaemon("master", "eth0", max_length=65508), "max_length", "0 to 65507 bytes"),
    (lambda: ik.SyncDaemon("master", "eth0", max_length=65488, group="ff05::1"), "max_length", "0 to 65487 bytes"),
    (lambda: ik.SyncDaemon("master", "eth0", ttl=256), "ttl", "0 to 255"),
    (lambda: ik.SyncDaemon.parse("master"), "interface", "1 to 15"),
    (lambda: op.StopDaemon.of("slave"), "role", "master"),
    (lambda: op.DeleteReal.of("10.0.0.1:80/tcp", "nowhere"), "real server", "IPv4 or IPv6"),
    (lambda: op.SetTimeouts(tcp=-1), "timeout tcp", "seconds"),
    (lambda: op.SetTimeouts(udp=2**31), "timeout udp", "seconds"),
    (lambda: ik.SYSCTLS["sync_ports"].write(3), "sync_ports", "power of two"),
    (lambda: ik.SYSCTLS["drop_entry"].write(4), "drop_entry", "0 to 3"),
    (lambda: ik.SYSCTLS["conntrack"].write("yes"), "conntrack", "True or False"),
    (lambda: ik.SYSCTLS["conntrack"].parse("maybe"), "conntrack", "bool"),
    (lambda: ik.SYSCTLS["sync_threshold"].write((1,)), "sync_threshold", "two numbers"),  # type: ignore[arg-type]
    (lambda: ik.SYSCTLS["est_cpulist"].write("all"), "est_cpulist", "CPUs"),
    (lambda: ik.NetNS.of("a" * 0), "netns", "ip netns"),
    (lambda: ik.NetNS.of(0), "netns", "process id"),
    (lambda: ik.NetNS.of(True), "netns", "a name, a path"),
]  # fmt: skip


@pytest.mark.parametrize(("build", "field", "words"), REFUSED, ids=[f"{n}-{one[1]}" for n, one in enumerate(REFUSED)])
def test_bad_values_are_refused_with_field_and_remedy(build: Any, field: str, words: str) -> None:
    with pytest.raises(ik.InvalidConfig) as caught:
        build()
    assert caught.value.field == field
    assert words in caught.value.expected
    assert field in str(caught.value)
    assert isinstance(caught.value, ValueError)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_service_text_is_whole_and_read_back() -> None:
    service = ik.VirtualService(
        "[2001:db8::1]:53/udp",
        scheduler="sh",
        scheduler_flags=["flag-1", "sh-port"],
        persistence_timeout=60,
        persistence_netmask=64,
        persistence_engine="sip",
        one_packet=True,
        reals=[
            "10.1.0.1 weight=3 forwarding=tunnel tunnel=gue:6080+csum+remcsum upper_threshold=9",
            "[2001:db8::2]:53",
        ],
    )
    assert str(service) == (
        "[2001:db8::1]:53/udp scheduler=sh scheduler_flags=sh-fallback,sh-port persistence_timeout=60"
        " persistence_netmask=64 persistence_engine=sip one_packet=yes\n"
        "  -> 10.1.0.1:0 weight=3 forwarding=tunnel upper_threshold=9 tunnel=gue:6080+csum+remcsum\n"
        "  -> [2001:db8::2]:53 weight=1"
    )
    assert ik.VirtualService.parse(str(service)) == service
    assert ik.VirtualService.parse(service) is service


def test_masks_of_persistence() -> None:
    def mask(given: Any) -> Any:
        return ik.VirtualService(
            "10.0.0.1:80/tcp", persistence_timeout=1, persistence_netmask=given
        ).persistence_netmask

    assert mask(None) == 32
    assert mask("255.255.255.0") == mask(IPv4Address("255.255.255.0")) == mask(24) == 24
    assert mask("0.0.0.0") == 0
    assert mask("255.0.255.0") == IPv4Address("255.0.255.0")
    service = ik.VirtualService("10.0.0.1:80/tcp", persistence_timeout=1, persistence_netmask="255.0.255.0")
    assert ik.VirtualService.parse(str(service)) == service


def test_replace_keeps_the_rest_and_drops_what_no_longer_fits() -> None:
    service = ik.VirtualService("10.0.0.1:80/tcp", scheduler="sh", scheduler_flags=["sh-port"], persistence_timeout=9)
    assert service.replace(scheduler="rr").scheduler_flags == frozenset()
    assert service.replace(scheduler="sh").scheduler_flags == {"sh-port"}
    assert service.replace(persistence_timeout=None).persistence_netmask is None
    real = ik.RealServer("10.0.0.1:80", forwarding="tunnel", tunnel="gue:6080")
    assert real.replace(weight=4).tunnel == ik.Tunnel("gue", 6080)
    assert real.replace(forwarding="masquerade").tunnel is None
    assert dataclasses.replace(real, weight=4) == real.replace(weight=4)
    with pytest.raises(dataclasses.FrozenInstanceError):
        real.weight = 4  # type: ignore[misc]


def test_real_server_forms() -> None:
    assert ik.RealServer("10.0.0.1") == ik.RealServer("10.0.0.1:0") == ik.RealServer(IPv4Address("10.0.0.1"), 0)
    assert ik.RealServer("2001:db8::1", 80) == ik.RealServer("[2001:db8::1]:80")
    assert ik.RealServer(IPv6Address("2001:db8::1"), 80).family is ik.Family.IPV6
    assert ik.RealServer("10.0.0.1", forwarding="tunnel").tunnel == ik.Tunnel()


def test_what_the_kernel_may_hold_beyond_our_rules_can_be_shown() -> None:
    odd = stored_tunnel(9, 0, False, False)
    real = stored_real(IPv4Address("10.0.0.1"), 80, 1, ik.ForwardingMethod.UNKNOWN_5, 0, 0, odd)
    assert str(real) == "10.0.0.1:80 weight=1 forwarding=unknown-5 tunnel=9"


def test_values_survive_pickling() -> None:
    service = ik.VirtualService("10.0.0.1:80/tcp", reals=["10.1.0.1:80"])
    for value in (service, ik.SyncDaemon.parse("master eth0 group=224.0.0.9"), op.AddService(service)):
        assert pickle.loads(pickle.dumps(value)) == value


def test_operations_take_text_forms() -> None:
    key, real = ik.ServiceKey.parse("10.0.0.1:80/tcp"), ik.RealServer("10.1.0.1:80", weight=3)
    text = "10.1.0.1:80 weight=3"
    assert op.AddService.of(str(key)) == op.AddService(ik.VirtualService(key))
    assert op.ReplaceService.of(str(key)) == op.ReplaceService(ik.VirtualService(key))
    assert op.UpdateService.of(str(key), scheduler="rr") == op.UpdateService(key, {"scheduler": "rr"})
    assert op.DeleteService.of(str(key)) == op.DeleteService(key)
    assert op.AddReal.of(str(key), text) == op.AddReal(key, real)
    assert op.ReplaceReal.of(str(key), text) == op.ReplaceReal(key, real)
    assert op.UpdateReal.of(str(key), text, weight=0) == op.UpdateReal(key, real.address, 80, {"weight": 0})
    assert op.DeleteReal.of(str(key), text) == op.DeleteReal(key, real.address, 80)
    assert (op.Zero.of(), op.Zero.of(str(key))) == (op.Zero(), op.Zero(key))
    assert op.StartDaemon.of("master eth0") == op.StartDaemon(ik.SyncDaemon("master", "eth0"))
    assert op.StopDaemon.of("backup") == op.StopDaemon(ik.DaemonRole.BACKUP)


def test_sync_daemon_text() -> None:
    daemon = ik.SyncDaemon("backup", "eth0", sync_id=7, max_length=1400, group="ff05::51", port=9000, ttl=3)
    assert str(daemon) == "backup eth0 sync_id=7 max_length=1400 group=ff05::51 port=9000 ttl=3"
    assert ik.SyncDaemon.parse(str(daemon)) == daemon
    assert str(ik.SyncDaemon.parse("master eth0")) == "master eth0"


def test_kernel_errors_carry_everything_and_survive_pickling() -> None:
    error = ik.ServiceExists(17, "there is one", operation="add service", key="10.0.0.1:80/tcp", text="kernel text")
    assert str(error) == "add service 10.0.0.1:80/tcp: there is one [EEXIST: kernel text]"
    copy = pickle.loads(pickle.dumps(error))
    assert (str(copy), copy.errno, type(copy)) == (str(error), 17, ik.ServiceExists)
    assert isinstance(error, OSError)
    assert str(ik.KernelError(12)) == "Cannot allocate memory [ENOMEM]"
