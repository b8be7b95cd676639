"""Outside witnesses of the text forms: what the tools save is what we write, and what we write they restore.

Knows: the commands of ipvsadm(8) and ipset(8). Must not know: how texts are read and written.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import ipvskit as ik
from ipvskit import formats
from ipvskit.formats.contents import Contents
from ipvskit.sets.differences import differences
from ipvskit.testing.namespaces import TestNetNS
from ipvskit.testing.strategies import virtual_services
from tests.kernel.ipset_support import examples

if TYPE_CHECKING:
    from collections.abc import Iterator

COMMON = settings(deadline=None, print_blob=True, suppress_health_check=list(HealthCheck))


def run(namespace: TestNetNS, *words: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
    """A tool inside, whatever its exit status."""
    process = namespace.popen(list(words), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    output, _ = process.communicate(text)
    return subprocess.CompletedProcess(words, process.returncode, output)


def need(tool: str) -> None:
    if shutil.which(tool) is None:
        pytest.fail(f"the Debian package {tool} is missing; make test installs it")


# --- ipvsadm ------------------------------------------------------------------------------------------------------------------------

SERVICES = [
    ik.VirtualService(
        "192.0.2.9:443/tcp",
        scheduler="sh",
        scheduler_flags=["sh-port", "sh-fallback"],
        persistence_timeout=300,
        persistence_netmask=24,
        reals=[
            "10.0.0.10:443 forwarding=tunnel",
            "10.0.0.2:443 weight=2147483647",
            "10.0.0.2:80 forwarding=masquerade weight=0",
            "10.0.0.3:443 forwarding=direct-route",
            "[2001:db8::1]:443 forwarding=tunnel tunnel=gue:6080",
            "10.0.0.4:443 forwarding=tunnel tunnel=gue:6080+csum",
            "10.0.0.5:443 forwarding=tunnel tunnel=gue:6080+remcsum",
            "10.0.0.6:443 forwarding=tunnel tunnel=gre",
            "10.0.0.7:443 forwarding=tunnel tunnel=gre+csum",
        ],
    ),
    ik.VirtualService("192.0.2.10:443/tcp", scheduler="mh", scheduler_flags=["mh-port"], reals=["10.0.0.1:80"]),
    ik.VirtualService("192.0.2.10:53/udp", scheduler="rr", scheduler_flags=["flag-1", "flag-2"], one_packet=True),
    ik.VirtualService("192.0.2.10:0/tcp", persistence_timeout=360),
    ik.VirtualService("192.0.2.11:0/tcp", persistence_timeout=360, persistence_netmask=0),
    ik.VirtualService("192.0.2.12:80/tcp", persistence_timeout=2678400, persistence_netmask="255.0.255.0"),
    ik.VirtualService("192.0.2.13:80/sctp", scheduler="none"),
    ik.VirtualService("192.0.2.13:5060/udp", persistence_timeout=5, persistence_engine="sip"),
    ik.VirtualService(
        "[2001:db8::10]:80/tcp", persistence_timeout=7, persistence_netmask=64, reals=["[2001:db8::2]:0"]
    ),
    ik.VirtualService("[::10.0.0.1]:81/udp"),
    ik.VirtualService("[::ffff:10.0.0.1]:81/udp", persistence_timeout=1),
    ik.VirtualService("fwmark:7/v6", persistence_timeout=360),
    ik.VirtualService("fwmark:7/v4", reals=["10.0.0.1:0", "10.0.0.1:80"]),
    ik.VirtualService("fwmark:2147483647/v4", one_packet=True),
]


def by_key(services: list[ik.VirtualService]) -> dict[str, ik.VirtualService]:
    return {str(one.key): one.replace(reals=sorted(one.reals, key=str)) for one in services}


@pytest.mark.ipvs
def test_ipvsadm_saves_what_we_write(kernel: ik.Kernel, namespace: TestNetNS) -> None:
    need("ipvsadm")
    kernel.ipvs.add_services(SERVICES).raise_for_failures()
    text, warnings = formats.write_ipvsadm(Contents(services=SERVICES))
    assert run(namespace, "ipvsadm", "--save", "-n").stdout == text
    assert warnings == ()
    contents, notes = formats.parse_ipvsadm(text)
    assert by_key(contents.services) == by_key(SERVICES)
    assert notes == ()


@pytest.mark.ipvs
def test_ipvsadm_restores_what_we_write(kernel: ik.Kernel, namespace: TestNetNS) -> None:
    need("ipvsadm")
    text, _ = formats.write_ipvsadm(Contents(services=SERVICES))
    done = run(namespace, "ipvsadm", "--restore", text=text)
    assert (done.returncode, done.stdout) == (0, "")
    assert by_key(kernel.ipvs.services()) == by_key(SERVICES)


def told_by_the_tool(service: ik.VirtualService) -> bool:
    """Whether ipvsadm can say all of it."""
    named = "flag-3" not in service.scheduler_flags or service.scheduler not in {"sh", "mh"}
    reals = [real for real in service.reals if real.forwarding in {"masquerade", "direct-route", "tunnel"}]
    whole = len(reals) == len(service.reals)
    both = any(real.tunnel and real.tunnel.checksum and real.tunnel.remote_checksum for real in reals)
    return named and whole and not both and service.key.fwmark < 2**31


@pytest.mark.ipvs
def test_any_table_is_saved_as_we_write_it(kernel: ik.Kernel, namespace: TestNetNS) -> None:
    need("ipvsadm")

    @given(st.lists(virtual_services().filter(told_by_the_tool), unique_by=lambda one: one.key, max_size=4))
    @settings(COMMON, max_examples=examples(60))
    def check(services: list[ik.VirtualService]) -> None:
        kernel.ipvs.flush()
        kernel.ipvs.add_services(services).raise_for_failures()
        saved = run(namespace, "ipvsadm", "--save", "-n").stdout
        ours = formats.write_ipvsadm(Contents(services=services))[0]
        # Differences of addresses overflow when the tool sorts, and then its order depends on the kernel's.
        assert sorted(saved.splitlines()) == sorted(ours.splitlines())

    check()


@pytest.mark.ipvs
def test_what_the_tool_breaks(kernel: ik.Kernel, namespace: TestNetNS) -> None:
    need("ipvsadm")
    kernel.ipvs.add_service(ik.VirtualService("fwmark:4294967295/v6"))
    saved = run(namespace, "ipvsadm", "--save", "-n").stdout
    assert saved == "-A -f -1 -6 -s wlc\n"
    assert "invalid fwmark" in run(namespace, "ipvsadm", "--restore", text=saved).stdout
    contents, (warning,) = formats.parse_ipvsadm(saved)
    assert contents.services == kernel.ipvs.services()
    assert "does not read" in warning
    ours = formats.write_ipvsadm(contents)[0]
    kernel.ipvs.flush()
    assert run(namespace, "ipvsadm", "--restore", text=ours).returncode == 0
    assert kernel.ipvs.services() == contents.services
    kernel.ipvs.flush()
    both = ik.VirtualService("10.0.0.1:80/tcp", reals=["10.0.0.2:80 forwarding=tunnel tunnel=gue:6080+csum+remcsum"])
    kernel.ipvs.add_service(both)
    assert run(namespace, "ipvsadm", "--save", "-n").returncode == -signal.SIGSEGV
    ours, (warning,) = formats.write_ipvsadm(Contents(services=[both]))
    assert "of both checksums" in warning
    kernel.ipvs.flush()
    assert run(namespace, "ipvsadm", "--restore", text=ours).returncode == 0


@pytest.mark.ipvs
@pytest.mark.parametrize("scheduler", ["sh", "mh"])
def test_a_flag_without_a_name(kernel: ik.Kernel, namespace: TestNetNS, scheduler: str) -> None:
    need("ipvsadm")
    service = ik.VirtualService("10.0.0.1:80/tcp", scheduler=scheduler, scheduler_flags=["flag-3"])
    kernel.ipvs.add_service(service)
    assert run(namespace, "ipvsadm", "--save", "-n").stdout == f"-A -t 10.0.0.1:80 -s {scheduler} -b \n"
    kernel.ipvs.flush()
    text, warnings = formats.write_ipvsadm(Contents(services=[service]))
    assert run(namespace, "ipvsadm", "--restore", text=text).returncode == 0
    assert kernel.ipvs.services() == [service]
    assert warnings == ()


#: Lines that the tool takes, beside those of `--save`.
RULES = """\
-A -t 10.0.0.1:80
ipvsadm -A -u 10.0.0.1:53 -p --ops
-A -M 255.255.0.0 -t 10.0.0.2 -p=5 -s rr
--add-service --tcp-service=10.0.0.3:080 --scheduler sh -b sh-port
-At 10.0.0.4:80 -p5
-A -f 010 -6
-a -t 10.0.0.1:80 -r 10.9.0.1:8080
-a -t 10.0.0.1:80 -r 10.9.0.2:8080 -m -x 9 -y 3
-a -t 10.0.0.1:80 -r 10.9.0.3 -m
-a -t 10.0.0.1:80 -r 10.9.0.4:0 -m --weight=7
--add-server -f 10 -6 --real-server [2001:db8::1]:0 --masquerading
-E -t 10.0.0.4:80 -s lc
-e -t 10.0.0.1:80 -r 10.9.0.3 -m -w 5
-d -t 10.0.0.1:80 -r 10.9.0.4:0
-D -t 10.0.0.3:80
--set 5 6 7
--start-daemon master --mcast-interface lo --syncid 3
"""


@pytest.mark.ipvs
def test_we_read_rules_as_the_tool_does(kernel: ik.Kernel, namespace: TestNetNS) -> None:
    need("ipvsadm")
    done = run(namespace, "ipvsadm", "--restore", text=RULES)
    assert (done.returncode, done.stdout) == (0, "")
    contents, _ = formats.parse_ipvsadm(RULES)
    assert by_key(contents.services) == by_key(kernel.ipvs.services())
    assert contents.timeouts == kernel.ipvs.timeouts()
    assert [(one.role, one.interface, one.sync_id) for one in contents.daemons or ()] == [
        (one.role, one.interface, one.sync_id) for one in kernel.ipvs.daemons()
    ]


# --- ipset --------------------------------------------------------------------------------------------------------------------------

#: Creation options, and entries.
SETS: dict[str, tuple[str, list[str]]] = {
    "bitmap:ip": ("range 10.0.0.0/24 timeout 0 counters", ["10.0.0.1 timeout 0 packets 5 bytes 6", "10.0.0.9"]),
    "bitmap:ip,mac": ("range 10.0.0.0/24", ["10.0.0.1,02:00:5e:10:00:01", "10.0.0.2"]),
    "bitmap:port": ("range 0-1023 comment", ['80 comment "a b"', "443"]),
    "hash:ip": ("family inet6 netmask 64 comment", ['2001:db8::1 comment "timeout 5"']),
    "hash:mac": ("skbinfo", ["02:00:5e:10:00:01 skbmark 0x10/0xff skbprio 1:10 skbqueue 5"]),
    "hash:ip,mac": ("maxelem 100", ["10.0.0.1,02:00:5e:10:00:01"]),
    "hash:ip,mark": ("markmask 0xff", ["10.0.0.1,0x10"]),
    "hash:ip,port": ("hashsize 64", ["10.0.0.1,tcp:80", "10.0.0.1,icmp:8/0", "10.0.0.1,gre:0"]),
    "hash:ip,port,ip": ("", ["10.0.0.1,udp:53,10.0.0.2"]),
    "hash:ip,port,net": ("", ["10.0.0.1,udp:53,10.0.0.0/8"]),
    "hash:net": ("forceadd counters", ["10.0.0.0/8", "10.9.0.0/16 nomatch", "10.9.9.9"]),
    "hash:net,net": ("", ["10.0.0.0/8,192.0.2.0/24"]),
    "hash:net,port": ("family inet6", ["2001:db8::/32,tcp:80"]),
    "hash:net,port,net": ("", ["10.0.0.0/8,tcp:80,0.0.0.0/0"]),
    "hash:net,iface": ("", ["10.0.0.0/8,physdev:eth0", "0.0.0.0/0,lo"]),
    "list:set": ("size 8", ["hash:net", "hash:ip before hash:net"]),
}


@pytest.fixture
def ipset_namespace() -> Iterator[tuple[ik.Kernel, TestNetNS]]:
    need("ipset")
    with TestNetNS() as namespace, ik.Kernel(namespace) as kernel:
        yield kernel, namespace


def rules_of_sets(kernel: ik.Kernel) -> str:
    """Everything that this kernel can hold; each set is called as its type."""
    lines = []
    for kind, (options, entries) in SETS.items():
        if kind in kernel.ipset.types():
            lines += [f"create {kind} {kind} {options}", *(f"add {kind} {entry}" for entry in entries)]
    return "\n".join(lines) + "\n"


@pytest.mark.ipset
def test_ipset_restores_what_we_write_and_we_read_what_it_saves(ipset_namespace: Any) -> None:
    kernel, namespace = ipset_namespace
    wanted, warnings = formats.parse_ipset(rules_of_sets(kernel))
    assert warnings == ()
    text = "".join(formats.write_ipset(wanted)[0])
    done = run(namespace, "ipset", "restore", text=text)
    assert (done.returncode, done.stdout) == (0, "")
    saved = run(namespace, "ipset", "save").stdout
    held, warnings = formats.parse_ipset(saved)
    assert warnings == ()
    theirs = {one.name: one for one in held.sets}
    assert len(theirs) == len(wanted.sets) > 5
    for one in wanted.sets:
        # The tool does not print it.
        other = theirs[one.name].replace(forceadd=one.forceadd)
        assert differences(one, other) == []
        assert one.entries == other.entries
    assert "".join(formats.write_ipset(held)[0]) == saved


@pytest.mark.ipset
def test_we_read_rules_as_ipset_does(ipset_namespace: Any) -> None:
    kernel, namespace = ipset_namespace
    rules = (
        "create a hash:ip\ncreate b hash:ip\ncreate n hash:net\ncreate l list:set\nadd a 10.0.0.1-10.0.0.3\n"
        "add b 10.1.0.0/30\nadd n 10.0.0.5/8\nadd l a\nadd l b\ndel a 10.0.0.2\nswap a b\nadd a 10.2.0.1\nrename n m\n"
        "create x hash:ip\nadd x 10.0.0.1\nflush x\ncreate y hash:ip\ndestroy y\n"
    )
    done = run(namespace, "ipset", "restore", text=rules)
    assert (done.returncode, done.stdout) == (0, "")
    for line in ("rename b c", "destroy b"):
        assert "in use" in run(namespace, "ipset", "restore", text=f"{line}\n").stdout
        with pytest.raises(ik.InvalidState, match="l has it"):
            formats.parse_ipset(f"{rules}{line}\n")
    ours = {one.name: one.entries for one in formats.parse_ipset(rules)[0].sets}
    assert ours == {name: kernel.ipset.entries(name) for name in kernel.ipset.names()}
