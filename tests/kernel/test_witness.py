"""Outside witnesses: what we wrote is what ipvsadm and pyroute2 read, and the other way round.

Knows: the options of ipvsadm(8) and pyroute2's classes. Must not know: how we do it.
"""

from __future__ import annotations

import shutil
import socket
import threading
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Any

import pytest

import ipvskit as ik
from ipvskit import _native
from ipvskit.model.key import PROTOCOLS
from ipvskit.testing.namespaces import TestNetNS
from tests.kernel.test_client import REALS, SERVICES

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.ipvs

METHODS = {"masquerade": "-m", "direct-route": "-g", "tunnel": "-i"}
DAYS_31 = 31 * 24 * 3600


# --- ipvsadm ------------------------------------------------------------------------------------------------------------------------


def place(key: ik.ServiceKey) -> list[str]:
    if key.address is None:
        return ["-f", str(key.fwmark), *(["-6"] if key.family is ik.Family.IPV6 else [])]
    option = {"tcp": "-t", "udp": "-u", "sctp": "--sctp-service"}[key.protocol or ""]
    return [option, str(key).partition("/")[0]]


def mask(service: ik.VirtualService) -> str:
    bits = service.persistence_netmask
    if service.key.family is ik.Family.IPV6:
        return str(bits)
    return str(bits if isinstance(bits, IPv4Address) else IPv4Address((0xFFFFFFFF << (32 - (bits or 0))) & 0xFFFFFFFF))


def service_words(service: ik.VirtualService) -> list[str]:
    words = [*place(service.key), "-s", service.scheduler]
    if service.persistence_timeout is not None:
        words += ["-p", str(service.persistence_timeout), "-M", mask(service)]
    if service.persistence_engine:
        words += ["--pe", service.persistence_engine]
    if service.one_packet:
        words += ["-o"]
    if service.scheduler_flags:
        words += ["-b", ",".join(sorted(service.scheduler_flags))]
    return words


def real_words(key: ik.ServiceKey, real: ik.RealServer) -> list[str]:
    words = [*place(key), "-r", real.endpoint, METHODS[real.forwarding], "-w", str(real.weight)]
    words += ["-x", str(real.upper_threshold), "-y", str(real.lower_threshold)]
    tunnel = real.tunnel
    if tunnel is not None and tunnel.type != "ipip":
        words += ["--tun-type", str(tunnel.type)]
        words += ["--tun-port", str(tunnel.port)] if tunnel.port else []
        words += ["--tun-csum"] if tunnel.checksum else []
        words += ["--tun-remcsum"] if tunnel.remote_checksum else []
    return words


#: ipvsadm knows no local or bypass forwarding, no mask 0, and no persistence above 31 days; it reads both kinds of GUE checksums as one.
KNOWN_SERVICES = [one for one in SERVICES if (one.persistence_timeout or 0) <= DAYS_31 and one.persistence_netmask != 0]
KNOWN_REALS = [
    one
    for one in REALS
    if one.forwarding in METHODS and not (one.tunnel and one.tunnel.checksum and one.tunnel.remote_checksum)
]
VIEWS = (
    ["-Sn"],
    ["-Ln"],
    ["-Ln", "--thresholds"],
    ["-Ln", "--persistent-conn"],
    ["-Ln", "--tun-info"],
    ["-Ln", "--stats"],
)


@pytest.fixture
def pair(kernel: ik.Kernel, namespace: TestNetNS) -> Any:
    """A namespace for us and one for ipvsadm."""
    if shutil.which("ipvsadm") is None:
        pytest.fail("the Debian package ipvsadm is missing; make test installs it")
    with TestNetNS() as theirs:
        yield kernel, namespace, theirs


def adm(namespace: TestNetNS, *words: str) -> str:
    return namespace.run(["ipvsadm", *words]).stdout


def views(namespace: TestNetNS) -> list[list[str]]:
    # The order of services is the kernel's, by a hash that may differ between namespaces.
    return [_blocks(adm(namespace, *view)) for view in VIEWS]


def _blocks(text: str) -> list[str]:
    blocks: list[str] = []
    for line in text.splitlines():
        if line.startswith("  ->") and blocks:
            blocks[-1] += "\n" + line
        elif "(size=" not in line:
            blocks.append(line)
    return sorted(blocks)


@pytest.mark.parametrize("service", KNOWN_SERVICES, ids=str)
def test_ipvsadm_sees_our_services_as_its_own(pair: Any, service: ik.VirtualService) -> None:
    kernel, ours, theirs = pair
    kernel.ipvs.add_service(service)
    adm(theirs, "-A", *service_words(service))
    assert views(ours) == views(theirs)
    with ik.Kernel(theirs) as reader:
        assert reader.ipvs.services() == [service]
    adm(theirs, "-D", *place(service.key))
    with ik.Kernel(theirs) as reader:
        assert reader.ipvs.services() == []


@pytest.mark.parametrize("real", KNOWN_REALS, ids=str)
def test_ipvsadm_sees_our_real_servers_as_its_own(pair: Any, real: ik.RealServer) -> None:
    kernel, ours, theirs = pair
    service = ik.VirtualService("10.0.0.1:80/tcp", scheduler="rr", reals=[real])
    if real.port == 0 and real.forwarding != "masquerade":
        service = ik.VirtualService("fwmark:3/v4", scheduler="rr", reals=[real])
    kernel.ipvs.add_service(service)
    adm(theirs, "-A", *service_words(service))
    adm(theirs, "-a", *real_words(service.key, real))
    assert views(ours) == views(theirs)
    with ik.Kernel(theirs) as reader:
        assert reader.ipvs.services() == [service]
    adm(theirs, "-e", *real_words(service.key, real.replace(weight=77)))
    with ik.Kernel(theirs) as reader:
        assert reader.ipvs.real(service.key, real.endpoint) == real.replace(weight=77)


def test_ipvsadm_restores_what_it_saved_of_ours(pair: Any) -> None:
    kernel, ours, theirs = pair
    # Of a scheduler's flags ipvsadm saves its own names and forgets the generic ones beside them.
    savable = [one for one in KNOWN_SERVICES if one.scheduler_flags != {"mh-port", "flag-3"}]
    kernel.ipvs.add_services(savable).raise_for_failures()
    saved = adm(ours, "-Sn")
    # ipvsadm prints marks from 2^31 up as negative numbers and then cannot read them.
    theirs.run(["ipvsadm", "-R"], input=saved.replace("-f -1 ", "-f 4294967295 "))
    with ik.Kernel(theirs) as reader:
        assert sorted(map(str, reader.ipvs.services())) == sorted(map(str, savable))


def test_ipvsadm_timeouts_daemons_zero_and_flush(pair: Any) -> None:
    kernel, ours, theirs = pair
    for namespace in (ours, theirs):
        namespace.ip("link add wire type dummy", "link set wire up multicast on", "addr add 10.0.0.9/24 dev wire")
    kernel.ipvs.set_timeouts(tcp=1, tcp_fin=2, udp=3)
    kernel.ipvs.start_daemon("master wire sync_id=9 max_length=1400 group=224.0.0.99 port=9000 ttl=3")
    kernel.ipvs.start_daemon("backup wire sync_id=9 max_length=1400 group=224.0.0.99 port=9000 ttl=3")
    adm(theirs, "--set", "1", "2", "3")
    multicast = (
        "--mcast-interface wire --syncid 9 --sync-maxlen 1400 --mcast-group 224.0.0.99 --mcast-port 9000 --mcast-ttl 3"
    )
    for role in ("master", "backup"):
        adm(theirs, "--start-daemon", role, *multicast.split())
    for view in ("--timeout", "--daemon"):
        assert adm(ours, "-Ln", view) == adm(theirs, "-Ln", view)
    with ik.Kernel(theirs) as reader:
        assert reader.ipvs.timeouts() == ik.Timeouts(1, 2, 3)
        assert sorted(map(str, reader.ipvs.daemons())) == sorted(map(str, kernel.ipvs.daemons()))
        reader.ipvs.add_service("fwmark:1")
        adm(theirs, "--stop-daemon", "backup")
        assert [daemon.role for daemon in reader.ipvs.daemons()] == ["master"]
        adm(theirs, "-C")
        assert reader.ipvs.services() == []
    kernel.ipvs.stop_daemon("backup")
    kernel.ipvs.stop_daemon("master")
    assert adm(ours, "-Ln", "--daemon") == ""


# --- pyroute2 -----------------------------------------------------------------------------------------------------------------------


def inside(namespace: TestNetNS, work: Callable[[Any], Any]) -> Any:
    """Run `work(IPVS())` in a thread of its own in the namespace."""
    result: list[Any] = []

    def run() -> None:
        from pyroute2 import IPVS

        _native.netns_enter(namespace.fileno())
        with IPVS() as ipvs:
            result.append(work(ipvs))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert result, "pyroute2 failed, see above"
    return result[0]


def attributes(message: Any, nest: str) -> dict[str, Any]:
    return {name.split("_ATTR_")[1]: value for name, value in message.get_attr(nest)["attrs"]}


def flags_of(service: ik.VirtualService) -> int:
    from ipvskit.ipvs.records import FLAG_HASHED, service_flags

    return service_flags(service) | FLAG_HASHED


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_pyroute2_reads_our_services(kernel: ik.Kernel, namespace: TestNetNS) -> None:
    kernel.ipvs.add_services(SERVICES).raise_for_failures()
    found = [
        attributes(one, "IPVS_CMD_ATTR_SERVICE") for one in inside(namespace, lambda ipvs: list(ipvs.service("dump")))
    ]
    assert len(found) == len(SERVICES)
    for service in SERVICES:
        key = service.key
        af = socket.AF_INET if key.family is ik.Family.IPV4 else socket.AF_INET6
        wanted: dict[str, Any] = {"AF": af, "FWMARK": key.fwmark}
        if key.address is not None:
            wanted = {"AF": af, "PROTOCOL": PROTOCOLS[key.protocol or ""], "ADDR": str(key.address), "PORT": key.port}
        (match,) = (one for one in found if wanted.items() <= one.items())
        assert match["SCHED_NAME"] == service.scheduler
        assert match["FLAGS"]["flags"] == flags_of(service)
        assert match["TIMEOUT"] == (service.persistence_timeout or 0)
        assert match.get("PE_NAME") == service.persistence_engine
        if af == socket.AF_INET:  # it takes the prefix length of IPv6 for an IPv4 address
            assert match["NETMASK"] == (mask(service) if service.persistence_timeout else "255.255.255.255")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_pyroute2_reads_our_real_servers(kernel: ik.Kernel, namespace: TestNetNS) -> None:
    from pyroute2 import IPVSService

    kernel.ipvs.add_service(ik.VirtualService("10.0.0.1:80/tcp", reals=REALS))
    service = IPVSService(addr="10.0.0.1", port=80, protocol=6)
    found = inside(namespace, lambda ipvs: list(ipvs.dest("dump", service=service)))
    methods = list(ik.ForwardingMethod)
    for real, message in zip(REALS, reversed(found), strict=True):
        one = attributes(message, "IPVS_CMD_ATTR_DEST")
        assert (one["ADDR"], one["PORT"]) == (str(real.address), real.port)
        assert (one["WEIGHT"], one["FWD_METHOD"]) == (real.weight, methods.index(real.forwarding))
        assert (one["U_THRESH"], one["L_THRESH"]) == (real.upper_threshold, real.lower_threshold)
        if real.tunnel is not None:
            assert one["TUN_TYPE"] == ["ipip", "gue", "gre"].index(str(real.tunnel.type))
            assert socket.ntohs(one["TUN_PORT"]) == real.tunnel.port  # it takes the port for host order
            assert one["TUN_FLAGS"] == real.tunnel.checksum + 2 * real.tunnel.remote_checksum


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_we_read_what_pyroute2_wrote(kernel: ik.Kernel, namespace: TestNetNS) -> None:
    from pyroute2 import IPVSDest, IPVSService

    def write(ipvs: Any) -> bool:
        service = IPVSService(addr="10.0.0.1", port=80, protocol=6, sched_name="sh", flags={"flags": 0x11, "mask": 0xFFFF},
                              timeout=99, netmask="255.255.255.0")  # fmt: skip
        ipvs.service("add", service=service)
        dest = IPVSDest(addr="10.1.0.1", port=80, fwd_method=2, weight=7, u_thresh=9, l_thresh=3, tun_type=1,
                        tun_port=socket.htons(6080), tun_flags=1)  # fmt: skip
        ipvs.dest("add", service=service, dest=dest)
        ipvs.dest("add", service=service, dest=IPVSDest(addr="10.1.0.2", port=8080, fwd_method=0))
        ipvs.service("add", service=IPVSService(addr="2001:db8::1", af=10, port=53, protocol=17, netmask="128.0.0.0"))
        ipvs.service("add", service=IPVSService(af=2, fwmark=7, netmask="255.255.255.255"))
        return True

    assert inside(namespace, write)
    expected = [
        ik.VirtualService(
            "10.0.0.1:80/tcp",
            scheduler="sh",
            scheduler_flags=["sh-port"],
            persistence_timeout=99,
            persistence_netmask=24,
            reals=[
                "10.1.0.1:80 weight=7 forwarding=tunnel upper_threshold=9 lower_threshold=3 tunnel=gue:6080+csum",
                "10.1.0.2:8080",
            ],
        ),
        ik.VirtualService("[2001:db8::1]:53/udp"),
        ik.VirtualService("fwmark:7/v4"),
    ]
    assert sorted(map(str, kernel.ipvs.services())) == sorted(map(str, expected))
