"""The text of ipvsadm and of ipset: what is taken, what is written, what is lost, and every refusal with its line.

Knows: ipvsadm(8) 1.31 and ipset(8). Must not know: how texts are read. What the tools themselves do is in tests/kernel/test_formats_witness.py.
"""

from __future__ import annotations

from typing import Any

import pytest

import ipvskit as ik
from ipvskit import formats
from ipvskit.formats.contents import Contents
from ipvskit.model.device import Device
from ipvskit.model.keep import KEEP


def faults_of(parse: Any, text: str) -> list[tuple[int, str]]:
    with pytest.raises(ik.InvalidState) as caught:
        parse(text)
    assert all(fault.path == "" for fault in caught.value.faults)
    return [(fault.line, fault.message) for fault in caught.value.faults]


# --- ipvsadm ------------------------------------------------------------------------------------------------------------------------

A = "10.0.0.1:80/tcp"

#: Lines that mean this one service.
SERVICES: list[tuple[str, ik.VirtualService]] = [
    ("-A -t 10.0.0.1:80", ik.VirtualService(A)),
    ("ipvsadm -A -t 10.0.0.1:80 -s rr\r", ik.VirtualService(A, scheduler="rr")),
    ("-A -s rr -t 10.0.0.1:80", ik.VirtualService(A, scheduler="rr")),
    ("  --add-service   --tcp-service=10.0.0.1:80 --scheduler\trr ", ik.VirtualService(A, scheduler="rr")),
    ("-At 10.0.0.1:80 -srr", ik.VirtualService(A, scheduler="rr")),
    ("-A -t10.0.0.1:080", ik.VirtualService(A)),
    ("-A -t 10.0.0.1:80 -p", ik.VirtualService(A, persistence_timeout=360)),
    ("-A -p -t 10.0.0.1:80", ik.VirtualService(A, persistence_timeout=360)),
    ("-A -t 10.0.0.1:80 -p5", ik.VirtualService(A, persistence_timeout=5)),
    ("-A -t 10.0.0.1:80 -p=5", ik.VirtualService(A, persistence_timeout=5)),
    ("-A -t 10.0.0.1:80 --persistent 5", ik.VirtualService(A, persistence_timeout=5)),
    ("-A -t 10.0.0.1:80 -p 010 -M 255.0.255.0", ik.VirtualService(A, persistence_timeout=10, persistence_netmask="255.0.255.0")),
    ("-A -M 0.0.0.0 -t 10.0.0.1:80 -p -s rr", ik.VirtualService(A, scheduler="rr", persistence_timeout=360, persistence_netmask=0)),
    ("-A -t 10.0.0.1 -p 5", ik.VirtualService("10.0.0.1:0/tcp", persistence_timeout=5)),
    ("-A -u 10.0.0.1:53 -o --pe sip", ik.VirtualService("10.0.0.1:53/udp", one_packet=True, persistence_engine="sip")),
    ("-A -u 10.0.0.1:53 -O", ik.VirtualService("10.0.0.1:53/udp", one_packet=True)),
    ("-A -u 10.0.0.1:53 --ops", ik.VirtualService("10.0.0.1:53/udp", one_packet=True)),
    ("-A --sctp-service [2001:db8::1]:80 -p 5 -M 64", ik.VirtualService("[2001:db8::1]:80/sctp", persistence_timeout=5, persistence_netmask=64)),
    ("-A -t [::10.0.0.1]:80", ik.VirtualService("[::a00:1]:80/tcp")),
    ("-A -t 10.0.0.1:80 -s mh -b mh-port,mh-fallback", ik.VirtualService(A, scheduler="mh", scheduler_flags=["mh-port", "mh-fallback"])),
    ("-A -t 10.0.0.1:80 -b flag-3", ik.VirtualService(A, scheduler_flags=["flag-3"])),
    ("-A -t 10.0.0.1:80 -s none", ik.VirtualService(A, scheduler="none")),
    ("-A -f 7", ik.VirtualService("fwmark:7/v4")),
    ("-A -6 -f 4294967295", ik.VirtualService("fwmark:4294967295/v6")),
]  # fmt: skip


@pytest.mark.parametrize(("line", "service"), SERVICES, ids=[each[0] for each in SERVICES])
def test_services_of_ipvsadm(line: str, service: ik.VirtualService) -> None:
    contents, warnings = formats.parse_ipvsadm(f"# rules\n\n{line}\n")
    assert contents == Contents(services=[service])
    assert warnings == ()


#: What stands behind `-a -t 10.0.0.1:80`, and the real server that it means.
REALS = [
    ("-r 10.9.0.1", "10.9.0.1:80 forwarding=direct-route"),
    ("-r 10.9.0.1:0 -g", "10.9.0.1:80 forwarding=direct-route"),
    ("-r 10.9.0.1 -m", "10.9.0.1:80"),
    ("-m -r 10.9.0.1:0 -w 0", "10.9.0.1:0 weight=0"),
    ("-r 10.9.0.1:8080 -m -w 5 -x 10 -y 3", "10.9.0.1:8080 weight=5 upper_threshold=10 lower_threshold=3"),
    (
        "--real-server=10.9.0.1:80 --masquerading --weight=4 --u-threshold 5 --l-threshold=3",
        "10.9.0.1:80 weight=4 upper_threshold=5 lower_threshold=3",
    ),
    ("-r [2001:db8::1]:80 -i", "[2001:db8::1]:80 forwarding=tunnel"),
    ("-r 10.9.0.1 -i --tun-type ipip", "10.9.0.1:80 forwarding=tunnel"),
    ("-r 10.9.0.1 -i --tun-type gue --tun-port 6080", "10.9.0.1:80 forwarding=tunnel tunnel=gue:6080"),
    (
        "-r 10.9.0.1 --tun-csum -i --tun-type gue --tun-port 6080",
        "10.9.0.1:80 forwarding=tunnel tunnel=gue:6080+csum",
    ),
    (
        "-r 10.9.0.1 -i --tun-type gue --tun-port 6080 --tun-remcsum",
        "10.9.0.1:80 forwarding=tunnel tunnel=gue:6080+remcsum",
    ),
    ("-r 10.9.0.1 -i --tun-type gre --tun-nocsum", "10.9.0.1:80 forwarding=tunnel tunnel=gre"),
]


@pytest.mark.parametrize(("words", "real"), REALS, ids=[each[0] for each in REALS])
def test_real_servers_of_ipvsadm(words: str, real: str) -> None:
    contents, warnings = formats.parse_ipvsadm(f"-A -t 10.0.0.1:80\n-a -t 10.0.0.1:80 {words}")
    assert contents.services == [ik.VirtualService(A, reals=[real])]
    assert warnings == ()


def test_lines_are_executed_in_order() -> None:
    contents, warnings = formats.parse_ipvsadm(
        "-A -t 10.0.0.9:80\n-C\n-A -t 10.0.0.1:80 -s rr\n-a -t 10.0.0.1:80 -r 10.9.0.1 -m\n-a -t 10.0.0.1:80 -r 10.9.0.2 -m\n"
        "-E -t 10.0.0.1:80 -s sh\n-e -t 10.0.0.1:80 -r 10.9.0.1 -m -w 9\n-d -t 10.0.0.1:80 -r 10.9.0.2\n"
        "-A -f 7\n-D -f 7\n--set 5 0 7\n--set 0 6 0\n--start-daemon master --mcast-interface lo --syncid 3\n"
        "--start-daemon backup --mcast-group 224.0.0.9 --mcast-port 9 --mcast-ttl 2 --sync-maxlen 1000\n--stop-daemon master\n"
    )
    assert contents == Contents(
        services=[ik.VirtualService(A, scheduler="sh", reals=["10.9.0.1:80 weight=9"])],
        timeouts=ik.Timeouts(5, 6, 7),
        daemons=[ik.SyncDaemon("backup", "eth0", group="224.0.0.9", port=9, ttl=2, max_length=1000)],
    )
    assert warnings == ()


def test_warnings_of_what_is_read() -> None:
    contents, warnings = formats.parse_ipvsadm(
        "-A -f -1 -6\n-A -t 10.0.0.1:80 -M 255.0.0.0\n-a -t 10.0.0.1:80 -r 10.9.0.1:8080 -g\n-Z\n-a -f -1 -6 -r [2001:db8::1]:80 -g"
    )
    first, second = contents.services
    assert str(first.key) == "fwmark:4294967295/v6"
    assert (first.reals[0].port, second.reals[0].port) == (0, 80)
    assert [warning.partition(":")[0] for warning in warnings] == [f"line {n}" for n in (1, 2, 3, 4, 5, 5)]
    assert "which ipvsadm writes so and does not read" in warnings[0]
    assert "-p" in warnings[1]
    assert "the port 8080 is left out" in warnings[2]


#: (text, line, what the message must say)
BAD_RULES = [
    ("-A -t 10.0.0.1:http", 1, "names of services are not looked up"),
    ("-A -t localhost:80", 1, "names are not looked up"),
    ("-A -t 10.0.0.1:70000", 1, "0 to 65535"),
    ("-A -t 10.0.0.1", 1, "must be persistent"),
    ("\n-A", 2, "-t, -u, --sctp-service or -f"),
    ("-A -t 10.0.0.1:80 -u 10.0.0.1:80", 1, "because --tcp-service is there"),
    ("-A -t 10.0.0.1:80 -t 10.0.0.1:80", 1, "given once"),
    ("-A -t 10.0.0.1:80 -6", 1, "goes with -f only"),
    ("-A -t 10.0.0.1:80 -s", 1, "with a value behind it"),
    ("-A -t 10.0.0.1:80 -q", 1, "an option of ipvsadm(8)"),
    ("-A -t 10.0.0.1:80 --sched rr", 1, 'did you mean "scheduler"?'),
    ("-A -t 10.0.0.1:80 --ops=1 ", 1, "without a value"),
    ("-A -t 10.0.0.1:80 -w 5", 1, "add-service does not have it"),
    ("-A -t 10.0.0.1:80 # x", 1, "a comment has a line of its own"),
    ("-A -t 10.0.0.1:80 -p 0", 1, "1 to 4294967"),
    ("-A -t 10.0.0.1:80 -p 5 -M 24", 1, "a mask such as 255.255.255.0"),
    ("-A -t [::1]:80 -p 5 -M 129", 1, "1 to 128"),
    ("-A -t 10.0.0.1:80 -o", 1, "only udp and fwmark"),
    ("-A -t 10.0.0.1:80 -b mh-port", 1, "with scheduler"),
    ("-A -f 0", 1, "1 to 4294967295"),
    ("-A -f -2147483649", 1, "1 to 4294967295"),
    ("-A -f 0x7", 1, "1 to 4294967295"),
    ("-A -t 10.0.0.1:80\n-A -t 10.0.0.1:80", 2, "added once"),
    ("-E -t 10.0.0.1:80", 1, "before it is edited"),
    ("-D -t 10.0.0.1:80", 1, "before it is deleted"),
    ("-a -t 10.0.0.1:80 -r 10.9.0.1", 1, "before its real servers"),
    ("-A -t 10.0.0.1:80\n-a -t 10.0.0.1:80", 2, "add-server needs it"),
    ("-A -t 10.0.0.1:80\n-a -t 10.0.0.1:80 -r 10.9.0.1 -g -i", 2, "because --gatewaying is there"),
    ("-A -t 10.0.0.1:80\n-a -t 10.0.0.1:80 -r 10.9.0.1 -w x", 2, "0 to 2147483647"),
    ("-A -t 10.0.0.1:80\n-a -t 10.0.0.1:80 -r 10.9.0.1 -y 5", 2, "at most the upper_threshold"),
    ("-A -t 10.0.0.1:80\n-a -t 10.0.0.1:80 -r [::2]:80 -m", 2, "is not an ipv4 address"),
    ("-A -t 10.0.0.1:80\n-a -t 10.0.0.1:80 -r 10.9.0.1 -m --tun-type gre", 2, "forwarding method is masquerade"),
    ("-A -t 10.0.0.1:80\n-a -t 10.0.0.1:80 -r 10.9.0.1 -i --tun-type gue", 2, "gue needs the UDP port"),
    ("-A -t 10.0.0.1:80\n-a -t 10.0.0.1:80 -r 10.9.0.1 -i --tun-csum --tun-remcsum", 2, "because --tun-csum is there"),
    ("-A -t 10.0.0.1:80\n-a -t 10.0.0.1:80 -r 10.9.0.1\n-a -t 10.0.0.1:80 -r 10.9.0.1", 3, "added once to"),
    ("-A -t 10.0.0.1:80\n-e -t 10.0.0.1:80 -r 10.9.0.1", 2, "before it is edited"),
    ("-A -t 10.0.0.1:80\n-d -t 10.0.0.1:80 -r 10.9.0.1", 2, "before it is deleted"),
    ("-S", 1, "an option of ipvsadm(8)"),
    ("foo", 1, "a command that changes the table"),
    ("-A -C", 1, "add-service is there already"),
    ("--set 1 2", 1, "3 beside the options of set"),
    ("--set 1 2 x", 1, "0 to 21474836"),
    ("--start-daemon x", 1, "master"),
    ("--start-daemon master\n--start-daemon master", 2, "started once"),
    ("--start-daemon master --syncid 256", 1, "0 to 255"),
    ("--stop-daemon master", 1, "started before"),
]


@pytest.mark.parametrize(("text", "line", "says"), BAD_RULES, ids=[each[0] for each in BAD_RULES])
def test_bad_rules(text: str, line: int, says: str) -> None:
    ((found, message),) = faults_of(formats.parse_ipvsadm, text)
    assert found == line
    assert says in message


def test_a_bad_service_does_not_blame_its_real_servers() -> None:
    text = "-A -t 10.0.0.1:80 -w 5\n-a -t 10.0.0.1:80 -r 10.9.0.1\n-a -t 10.0.0.1:80 -r 10.9.0.x\n-E -t 10.0.0.1:80 -s rr\n"
    assert [line for line, _ in faults_of(formats.parse_ipvsadm, text)] == [1, 3]


WRITTEN = """\
-A -t 192.0.2.9:443 -s sh -p 300 -M 255.255.255.0 --pe sip -b sh-fallback,sh-port
-a -t 192.0.2.9:443 -r 10.0.0.1:8443 -m -w 100
-a -t 192.0.2.9:443 -r 10.0.0.2:443 -g -w 1
-a -t 192.0.2.9:443 -r 10.0.0.2:444 -m -w 1
-a -t 192.0.2.9:443 -r 10.0.0.10:443 -i -w 1 --tun-type ipip
-a -t 192.0.2.9:443 -r [2001:db8::1]:443 -i -w 1 --tun-type gue --tun-port 6080 --tun-nocsum
-A -t 192.0.2.10:443 -s wlc
-A -u 192.0.2.9:53 -s rr -o
-A --sctp-service 192.0.2.9:1 -s none
-A -t [::10.0.0.1]:80 -s wlc -p 5 -M 64
-a -t [::10.0.0.1]:80 -r [2001:db8::1]:80 -i -w 1 --tun-type gre --tun-csum
-a -t [::10.0.0.1]:80 -r [2001:db8::2]:80 -i -w 1 --tun-type gue --tun-port 1 --tun-remcsum
-A -f 1 -s wlc
-A -f 1 -6 -s wlc -p 360
"""


def test_what_is_written_is_sorted_as_the_tool_does() -> None:
    contents, _ = formats.parse_ipvsadm(WRITTEN)
    contents.services = [one.replace(reals=one.reals[::-1]) for one in reversed(contents.services)]
    assert formats.write_ipvsadm(contents) == (WRITTEN, ())


def test_what_ipvsadm_loses() -> None:
    reals: list[ik.RealServer | str] = [
        ik.RealServer("10.9.0.1:80", weight=KEEP, upper_threshold=5),
        "10.9.0.2:80 forwarding=local",
        "10.9.0.3:80 forwarding=bypass",
        "10.9.0.4:0 forwarding=tunnel tunnel=gue:1+csum+remcsum",
    ]
    service = ik.VirtualService(A, scheduler=KEEP, persistence_timeout=3_000_000, reals=reals)
    text, warnings = formats.write_ipvsadm(
        Contents([service], [ik.Set("a", "hash:ip")], [Device("d")], {"conntrack": True}, ik.Timeouts(0, 0, 0), [])
    )
    assert text == (
        "-A -t 10.0.0.1:80 -s wlc -p 3000000\n"
        "-a -t 10.0.0.1:80 -r 10.9.0.1:80 -m -w 1\n"
        "-a -t 10.0.0.1:80 -r 10.9.0.2:80 -g -w 1\n"
        "-a -t 10.0.0.1:80 -r 10.9.0.4:0 -i -w 1 --tun-type gue --tun-port 1 --tun-csum\n"
    )
    assert warnings == (
        f"{A}: scheduler, scheduler_flags kept for another controller, written with defaults",
        f"{A}: persistence_timeout 3000000: ipvsadm --restore takes at most 2678400 seconds",
        f"{A} 10.9.0.1:80: weight kept for another controller, written with defaults",
        f"{A} 10.9.0.1:80: thresholds are not saved by ipvsadm",
        f"{A} 10.9.0.2:80: forwarding local is written as direct-route, as which it is added",
        f"{A} 10.9.0.3:80: left out: ipvsadm has no forwarding method bypass",
        f"{A} 10.9.0.4:0: port 0 is read as 80, the service's",
        f"{A} 10.9.0.4:0: tunnel: of both checksums ipvsadm takes one; remote_checksum is left out",
        "sets: ipvsadm has none",
        "devices: ipvsadm has none",
        "sysctls: ipvsadm has none",
        "timeouts: not saved by ipvsadm (they are set with --set)",
        "daemons: not saved by ipvsadm (they are started with --start-daemon)",
    )


# --- ipset --------------------------------------------------------------------------------------------------------------------------


def sets_of(text: str) -> dict[str, list[str]]:
    contents, _ = formats.parse_ipset(text)
    return {one.name: [str(entry) for entry in one.entries] for one in contents.sets}


def test_sets_of_ipset() -> None:
    contents, warnings = formats.parse_ipset(
        "# saved\ncreate local hash:net family inet hashsize 1024 maxelem 65536 comment timeout 0\n"
        'add local 10.0.0.0/8\nadd local 10.9.0.0/16 nomatch timeout 5 comment "a "b" add local -exist"\n'
        "-N old iphash --hashsize 64\n-A old 10.0.0.1\n  add  old\t10.0.0.2 -exist\n-exist add old 10.0.0.2\n"
        "create all list:set size 8\nadd all local\nadd all old before local\nCOMMIT\n"
    )
    local = ik.Set("local", "hash:net", hashsize=1024, maxelem=65536, comment=True, timeout=0)
    entries = ["10.0.0.0/8", '10.9.0.0/16 nomatch timeout 5 comment "a "b" add local -exist"']
    assert contents == Contents(
        sets=[
            local.replace(entries=entries),
            ik.Set("old", "hash:ip", hashsize=64, entries=["10.0.0.1", "10.0.0.2"]),
            ik.Set("all", "list:set", size=8, entries=["old", "local"]),
        ]
    )
    assert warnings == ()


def test_commands_of_ipset_in_order() -> None:
    head = "create a hash:ip\ncreate b hash:ip\nadd a 10.0.0.1\nadd b 10.0.0.2\n"
    assert sets_of(head) == {"a": ["10.0.0.1"], "b": ["10.0.0.2"]}
    assert sets_of(head + "swap a b") == {"a": ["10.0.0.2"], "b": ["10.0.0.1"]}
    assert sets_of(head + "swap a b\nadd a 10.0.0.3\nadd b 10.0.0.4") == {
        "a": ["10.0.0.2", "10.0.0.3"],
        "b": ["10.0.0.1", "10.0.0.4"],
    }
    assert sets_of(head + "rename a c\nadd c 10.0.0.3") == {"c": ["10.0.0.1", "10.0.0.3"], "b": ["10.0.0.2"]}
    assert sets_of(head + "flush a") == {"a": [], "b": ["10.0.0.2"]}
    assert sets_of(head + "flush") == {"a": [], "b": []}
    assert sets_of(head + "destroy a") == {"b": ["10.0.0.2"]}
    assert sets_of(head + "destroy\ncreate a hash:net") == {"a": []}
    assert sets_of(head + "destroy c -exist\ncreate -exist a hash:ip") == {"a": ["10.0.0.1"], "b": ["10.0.0.2"]}
    assert sets_of(head + "del a 10.0.0.1\ndel a 10.0.0.9") == {"a": [], "b": ["10.0.0.2"]}


def test_many_lines_are_as_few() -> None:
    count = 20_000
    lines = [f"add a 10.{i >> 16}.{i >> 8 & 255}.{i & 255}\n" for i in range(count)]
    text = f"create a hash:ip maxelem {count}\nadd a 192.0.2.1\n" + "".join(lines)
    (one,) = formats.parse_ipset(text)[0].sets
    assert len(one.entries) == count + 1
    lines[7777] = "add a 10.0.0.x\n"
    lines[8888] = "add a \n"
    text = f"create a hash:ip\nadd a 192.0.2.1\ncreate b hash:ip\nadd b x\n{''.join(lines)}add b y"
    assert [line for line, _ in faults_of(formats.parse_ipset, text)] == [4, 7777 + 5, 8888 + 5, count + 5]


#: (text, line, what the message must say)
BAD_SETS = [
    ("creat a hash:ip", 1, 'did you mean "create"?'),
    ("create a hash:foo\nadd a 10.0.0.1\nflush a\nrename a b\nadd b 10.0.0.1", 1, '"hash:foo" is not usable'),
    ("create a", 1, "a name, a type"),
    ("create a hash:ip netmask 33", 1, "1 to 32"),
    ("create a hash:ip\ncreate a hash:ip", 2, "that of one set"),
    ("create a hash:ip\ncreate a hash:net -exist", 2, "that of one set"),
    ("add a 10.0.0.1\nadd a 10.0.0.2\n", 1, "create it before"),
    ("create a hash:ip\n\nadd a 10.0.0.1\nadd a http", 4, "names are not looked up"),
    ("create a hash:ip\nadd a", 2, "an entry"),
    ("add", 1, "add, the name of a set, and an entry"),
    ("create a hash:ip\nadd a 10.0.0.1 timeout 5", 2, "created with them"),
    ("create a hash:ip\ndel a x", 2, "not looked up"),
    ("test a 10.0.0.1", 1, "a command that changes sets"),
    ("swap a b", 1, "created before"),
    ("create a hash:ip\nswap a", 2, "2 names of sets"),
    ("create a hash:ip\ncreate b hash:net\nswap a b", 3, "a hash:ip of the same family"),
    ("create a hash:ip\ncreate b hash:ip\nrename a b", 3, "a name that no set has"),
    ("rename a b", 1, "created before"),
    ("create a hash:ip\ncreate l list:set\nadd l a\nrename a b", 4, "in no list; l has it"),
    ("create a hash:ip\ncreate l list:set\nadd l a\ndestroy a", 4, "in no list; l has it"),
    ("create a hash:ip\nrename a b-c-d-e-f-g-h-i-j-k-l-m-n-o-p-q-r", 2, "1 to 31 bytes"),
    ("flush a", 1, "created before"),
    ("destroy a", 1, "created before"),
]


@pytest.mark.parametrize(("text", "line", "says"), BAD_SETS, ids=[each[0] for each in BAD_SETS])
def test_bad_sets(text: str, line: int, says: str) -> None:
    ((found, message),) = faults_of(formats.parse_ipset, text)
    assert found == line
    assert says in message


def test_members_that_are_not_there() -> None:
    _, warnings = formats.parse_ipset("create l list:set\nadd l a\n")
    assert warnings == ("l: its members are no sets of this text: a",)


def test_what_ipset_is_written() -> None:
    sets = [
        ik.Set("l", "list:set", entries=["a"]),
        ik.Set("a", "hash:ip", comment=True, entries=['10.0.0.1 comment "x "y""']),
        ik.Set("b", "hash:net"),
    ]
    pieces, warnings = formats.write_ipset(
        Contents([ik.VirtualService(A)], sets, [Device("d")], {"conntrack": True}, ik.Timeouts(0, 0, 0), [])
    )
    assert "".join(pieces) == (
        "create a hash:ip family inet comment\n"
        'add a 10.0.0.1 comment "x "y""\n'
        "create b hash:net family inet\n"
        "create l list:set\n"
        "add l a\n"
    )
    assert warnings == (
        "services: ipset has none",
        "devices: ipset has none",
        "sysctls: ipset has none",
        "timeouts: ipset has none",
        "daemons: ipset has none",
        'a: ipset does not read comments with a " in them',
        "b: its contents are not stated, and it is written without any",
    )
