"""Records what a real kernel answers, as the corpus of the fuzzers and as data for `tests/unit/test_corpus.py` and `test_ipset_codec_corpus.py`.

Runs as root on a kernel with IPVS and ipset, in a namespace of its own; for every kernel of the lab:

    .venv/bin/python -m tests.lab each -- .venv/bin/python -m tests.record_corpus

With an argument, `ipvs`, `ipset`, `devices` or `conntrack`, only that part.

Knows: what to set up so that every attribute occurs. Must not know: how the C reads it (only its request encoder is used).
"""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from ipvskit import Kernel, NetNS, RealServer, Set, SyncDaemon, Timeouts, VirtualService, _native
from ipvskit._native import conntrack, rtnl
from ipvskit.devices.backend import KernelDevicesBackend
from ipvskit.devices.records import Command as DeviceCommand
from ipvskit.errors import KernelError
from ipvskit.ipvs import namespace_records, records
from ipvskit.ipvs.records import NLM_F_DUMP, REQUEST_SIZE, Command
from ipvskit.model.key import ServiceKey
from ipvskit.testing.namespaces import TestNetNS
from tests.unit import conntrack_wire, ipset_wire, wire
from tests.unit.conntrack_wire import Planted

CORPUS = Path(__file__).parents[1] / "csrc" / "fuzz" / "corpus"

TIMEOUTS = Timeouts(1000, 121, 301)
DAEMONS = (
    SyncDaemon("master", "lo", sync_id=7, max_length=1400, group="224.0.0.99", port=258, ttl=3),
    SyncDaemon("backup", "lo", sync_id=255, max_length=1100, group="224.0.0.98", port=8849, ttl=1),
)
SERVICES = (
    VirtualService(
        "192.0.2.10:443/tcp",
        scheduler="wrr",
        reals=[
            RealServer("10.0.0.1:8443", weight=100, upper_threshold=1000, lower_threshold=10),
            RealServer("10.0.0.2:8444", weight=0),
            RealServer("10.0.0.3:443", weight=2**31 - 1, forwarding="direct-route"),
            RealServer("10.0.0.4:443", forwarding="local"),
            RealServer("10.0.0.5:443", forwarding="bypass"),
        ],
    ),
    VirtualService("192.0.2.10:53/udp", scheduler="sh", scheduler_flags=["sh-port", "sh-fallback"], one_packet=True),
    VirtualService("192.0.2.11:0/tcp", persistence_timeout=300, persistence_netmask=20),
    VirtualService("192.0.2.12:5060/udp", persistence_timeout=60, persistence_engine="sip"),
    VirtualService("192.0.2.13:80/sctp", scheduler="none"),
    VirtualService(
        "192.0.2.14:6080/udp",
        reals=[
            RealServer("10.0.1.1:6080", forwarding="tunnel"),
            RealServer("10.0.1.2:6080", forwarding="tunnel", tunnel="gue:258+csum+remcsum"),
            RealServer("10.0.1.3:6080", forwarding="tunnel", tunnel="gre+csum"),
            RealServer("[2001:db8::1:4]:6080", forwarding="tunnel"),
        ],
    ),
    VirtualService(
        "[2001:db8::10]:443/tcp",
        persistence_timeout=4,
        persistence_netmask=64,
        reals=[RealServer("[2001:db8::2:1]:443", forwarding="direct-route"), RealServer("[2001:db8::2:2]:8443")],
    ),
    VirtualService("fwmark:7/v4", scheduler="mh", scheduler_flags=["mh-port"], reals=[RealServer("10.0.2.1:0")]),
    VirtualService("fwmark:4294967295/v6", scheduler="rr"),
)
#: Gets packets, so that its counters are not zero: nobody listens, so each is answered by an ICMP message.
BUSY = VirtualService("127.0.0.1:5300/udp", scheduler="rr", reals=[RealServer("127.0.0.1:5301")])
PACKETS = 9
MISSING = ServiceKey.parse("192.0.2.99:80/tcp")

ALL = "timeout 0 counters comment skbinfo"
OPTIONS = 'timeout 2147483 packets 3 bytes 18446744073709551614 comment "a \\"b\\" c" skbmark 0x10/0xff0000ff skbprio 1:ffff skbqueue 65535'
#: How each is created, and its elements. Sets that a kernel lacks are left out there.
SETS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (f"bip bitmap:ip range 10.0.0.0/24 {ALL}", ("10.0.0.0", f"10.0.0.7 {OPTIONS}", "10.0.0.255 skbqueue 1")),
    (f"bmac bitmap:ip,mac range 10.0.0.0/24 {ALL}", ("10.0.0.1", f"10.0.0.2,02:00:00:00:00:01 {OPTIONS}")),
    (f"bport bitmap:port range 0-1023 {ALL}", ("0", "80 timeout 0", f"443 {OPTIONS}")),
    ("bucket hash:ip initval 0x12345678 bucketsize 4", ("10.0.0.1",)),
    (f"hip hash:ip {ALL}", ("10.0.0.1", "10.0.0.2 packets 1", f"10.0.0.3 {OPTIONS}")),
    ("hip6 hash:ip family inet6 netmask 64 hashsize 64", ("2001:db8::", "2001:db8:0:1::")),
    ("hipbit hash:ip bitmask 255.0.255.0", ("10.0.7.0",)),
    (f"hmac hash:mac {ALL}", ("02:00:00:00:00:01", f"FE:FF:FF:FF:FF:FF {OPTIONS}")),
    (f"hipmac hash:ip,mac {ALL}", ("10.0.0.1,02:00:00:00:00:01", f"10.0.0.1,02:00:00:00:00:02 {OPTIONS}")),
    (f"hmark hash:ip,mark markmask 0xffff00 {ALL}", ("10.0.0.1,0x00123400", f"10.0.0.2,0x00ff0000 {OPTIONS}")),
    (
        f"hport hash:ip,port {ALL}",
        ("10.0.0.1,tcp:80", "10.0.0.1,icmp:8/0", "10.0.0.1,gre:0", f"10.0.0.1,sctp:9 {OPTIONS}"),
    ),
    ("hport6 hash:ip,port family inet6", ("2001:db8::1,tcp:80", "2001:db8::1,ipv6-icmp:128/0")),
    (f"hpip hash:ip,port,ip {ALL}", ("10.0.0.1,udp:53,10.0.0.2", f"10.0.0.1,udp:53,10.0.0.3 {OPTIONS}")),
    (f"hpnet hash:ip,port,net {ALL}", ("10.0.0.1,tcp:1,10.0.0.0/8", f"10.0.0.1,tcp:1,10.0.0.0/9 {OPTIONS} nomatch")),
    (f"hnet hash:net {ALL}", ("10.0.0.0/8", f"10.0.0.0/9 {OPTIONS} nomatch", "10.0.0.1")),
    ("hnet6 hash:net family inet6", ("2001:db8::/32", "2001:db8::1", "8000::/1")),
    (f"hnn hash:net,net {ALL}", ("10.0.0.0/8,10.0.0.0/9", f"10.0.0.1,192.0.2.0/24 {OPTIONS} nomatch")),
    (f"hnp hash:net,port {ALL}", ("10.0.0.0/8,tcp:65535", f"10.0.0.0/8,udplite:7 {OPTIONS} nomatch")),
    (f"hnpn hash:net,port,net {ALL}", ("10.0.0.0/8,tcp:1,0.0.0.0/0", f"10.0.0.1,200:0,10.0.0.2 {OPTIONS} nomatch")),
    (
        f"hiface hash:net,iface {ALL}",
        ("0.0.0.0/0,eth0", "10.0.0.0/8,physdev:eth0", f"10.0.0.0/9,abcdefghijklmno {OPTIONS} nomatch"),
    ),
    ("hwild hash:net,iface family inet6", ("::/0,eth0", "2001:db8::/32,veth wildcard")),
    ("empty hash:ip maxelem 4 forceadd", ()),
    (f"list list:set size 4 {ALL}", ("hip", f"hnet {OPTIONS}", "empty")),
)
MANY = 400  # elements of the set that comes in two messages

RTM_NEWLINK, IFLA_MTU, IFLA_LINKINFO = 16, 4, 18


class Recorder:
    """A netlink socket that keeps what it receives, datagram by datagram. Requests are numbered from 1."""

    def __init__(self, netns: NetNS, protocol: int = 16, *, capped: bool = True) -> None:
        descriptor = _native.netns_socket(netns.fileno(), socket.AF_NETLINK, socket.SOCK_RAW, protocol)
        self._socket = socket.socket(fileno=descriptor)
        self._socket.settimeout(5)
        for option, value in ((11, 1), (10, int(capped))):  # NETLINK_EXT_ACK, NETLINK_CAP_ACK
            self._socket.setsockopt(270, option, value)  # SOL_NETLINK

    def send(self, request: bytes, last: int) -> list[bytes]:
        """The datagrams up to the end of the answer to request number `last`."""
        self._socket.send(request)
        datagrams = []
        while True:
            datagrams.append(self._socket.recv(1 << 16))
            for message in wire.read_messages(datagrams[-1]):
                if message.sequence == last and message.type in {wire.NLMSG_ERROR, wire.NLMSG_DONE}:
                    return datagrams

    def ask(self, requests: bytes, family: int) -> list[bytes]:
        """Answers to packed requests, with the barrier's behind them."""
        count = len(requests) // REQUEST_SIZE
        _, data = _native.encode_ipvs(requests, family, 1)
        flags = wire.NLM_F_REQUEST | wire.NLM_F_ACK
        return self.send(data + wire.Message(wire.NLMSG_NOOP, flags, count + 1, b"").pack(), count + 1)

    def dump(self, requests: bytes, family: int) -> list[bytes]:
        """Answers to packed dump requests, which are sent one by one."""
        found = []
        for start in range(0, len(requests), REQUEST_SIZE):
            number = 1 + start // REQUEST_SIZE
            _, data = _native.encode_ipvs(requests[start : start + REQUEST_SIZE], family, number)
            found += self.send(data, number)
        return found


def write(harness: str, name: str, data: bytes) -> None:
    """One file of a harness's corpus."""
    folder = CORPUS / harness
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)
    print(f"{harness}/{name}: {len(data)} bytes")


def frames(dump: bool, count: int, datagrams: list[bytes]) -> bytes:
    """The same datagrams as input of csrc/fuzz/exchange.c, which says what the bytes mean."""
    return bytes([dump | count - 1 << 1]) + b"".join(struct.pack("<BH", 0, len(one)) + one for one in datagrams)


def resolve(recorder: Recorder, release: str) -> int:
    name = wire.attribute(wire.CTRL_ATTR_FAMILY_NAME, b"IPVS\0")
    flags = wire.NLM_F_REQUEST | wire.NLM_F_ACK
    request = wire.genl(wire.GENL_ID_CTRL, wire.CTRL_CMD_GETFAMILY, name, sequence=1, flags=flags)
    answer = b"".join(recorder.send(request, 1))
    write("resolve", f"{release}-family", answer)
    return _native.parse_resolve(answer)


def record_rows(recorder: Recorder, family: int, release: str, keys: list[ServiceKey]) -> None:
    everything = records.plain_request(Command.GET_SERVICE, NLM_F_DUMP)
    members = b"".join(records.key_request(Command.GET_DEST, key, NLM_F_DUMP) for key in keys)
    single = b"".join(records.key_request(Command.GET_SERVICE, key) for key in [*keys[:2], MISSING])
    dumps = {"services": (everything, 1), "reals": (members, len(keys))}
    for name, (requests, count) in dumps.items():
        datagrams = recorder.dump(requests, family)
        write("ipvs_rows", f"{release}-{name}", b"".join(datagrams))
        write("exchange", f"{release}-{name}", frames(True, count, datagrams))
    plain = [("config", Command.GET_CONFIG), ("info", Command.GET_INFO)]
    asked = {name: (records.plain_request(command), 1) for name, command in plain} | {"single": (single, 3)}
    for name, (requests, count) in asked.items():
        datagrams = recorder.ask(requests, family)
        write("ipvs_rows", f"{release}-{name}", b"".join(datagrams))
        write("exchange", f"{release}-{name}", frames(False, count, datagrams))


def record_refusals(netns: NetNS, family: int, release: str) -> None:
    wanted = b"".join(
        [
            records.service_request(Command.NEW_SERVICE, SERVICES[0]),
            records.key_request(Command.DEL_SERVICE, MISSING),
            records.service_request(Command.NEW_SERVICE, VirtualService("192.0.2.50:1/tcp", scheduler="nosuch")),
            records.plain_request(Command.SET_INFO),
            records.plain_request(Command.GET_DEST, NLM_F_DUMP | records.NLM_F_ACK),
        ]
    )
    for name, capped in (("refusals", True), ("long-refusals", False)):
        datagrams = Recorder(netns, capped=capped).ask(wanted, family)
        write("messages", f"{release}-{name}", b"".join(datagrams))
        write("exchange", f"{release}-{name}", frames(False, 5, datagrams))


def record_texts(netns: NetNS, release: str) -> None:
    """Refusals with the kernel's own words, which IPVS does not have: rtnetlink's."""
    kind = wire.nest(IFLA_LINKINFO, wire.attribute(1, b"nosuch\0"))
    short = wire.attribute(IFLA_MTU, b"\x01")
    for name, attributes in (("text", kind), ("offset", short)):
        flags = wire.NLM_F_REQUEST | wire.NLM_F_ACK | 0x600  # NLM_F_CREATE, NLM_F_EXCL
        request = wire.Message(RTM_NEWLINK, flags, 1, bytes(16) + attributes).pack()
        for capped in (True, False):
            answer = b"".join(Recorder(netns, 0, capped=capped).send(request, 1))
            write("messages", f"{release}-{'' if capped else 'long-'}{name}", answer)


def record_daemons(kernel: Kernel, recorder: Recorder, family: int, release: str) -> None:
    # Before there are real servers of the other family, which the kernel refuses beside a daemon.
    for daemon in DAEMONS:
        kernel.ipvs.start_daemon(daemon)
    datagrams = recorder.dump(records.plain_request(Command.GET_DAEMON, NLM_F_DUMP), family)
    write("ipvs_rows", f"{release}-daemons", b"".join(datagrams))
    write("exchange", f"{release}-daemons", frames(True, 1, datagrams))
    time.sleep(0.1)  # a daemon that is stopped before its thread has run is stopped without an answer
    for daemon in DAEMONS:
        kernel.ipvs.stop_daemon(daemon.role)


def send_packets(netns: NetNS) -> None:
    with socket.socket(fileno=_native.netns_socket(netns.fileno(), socket.AF_INET, socket.SOCK_DGRAM, 0)) as client:
        for _ in range(PACKETS):
            client.sendto(b"x" * 100, ("127.0.0.1", 5300))
    time.sleep(4.5)  # counters are gathered every 2 s


def record_requests() -> None:
    """The encoder's input: room, then request records (csrc/fuzz/ipvs_requests.c)."""
    reals = [
        records.real_prefix(Command.NEW_DEST, one.key) + records.real_record(real)
        for one in SERVICES
        for real in one.reals
    ]
    requests = {
        "services": [records.service_request(Command.NEW_SERVICE, one) for one in SERVICES],
        "reals": reals,
        "daemons": [namespace_records.daemon_request(Command.NEW_DAEMON, one) for one in DAEMONS],
        "others": [namespace_records.timeouts_request(1, 2, 3), records.plain_request(Command.FLUSH)],
    }
    for name, packed in requests.items():
        for room in (0xFFFF, 300):
            write("ipvs_requests", f"{name}-{room}", struct.pack("<H", room) + b"".join(packed))


def cut(message: bytes, payload: int) -> bytes:
    """The same message with only so many bytes of payload, and no padding."""
    return struct.pack("=I", wire.MESSAGE.size + payload) + message[4 : wire.MESSAGE.size + payload]


def make_rare() -> None:
    """What kernels do not send, or seldom, and what a fuzzer takes long to come by: limits reached exactly."""
    request = wire.genl(99, 1, b"", flags=wire.NLM_F_REQUEST)
    for length in (115, 116, 300):
        text = wire.attribute(wire.NLMSGERR_ATTR_MSG, b"x" * (length - 1) + b"\0")
        flags = wire.NLM_F_CAPPED | wire.NLM_F_ACK_TLVS
        write("messages", f"made-text-{length}", wire.error(1, 22, request=request, flags=flags, tlvs=text))
    ends = wire.done(1, 22, flags=wire.NLM_F_ACK_TLVS, tlvs=wire.attribute(wire.NLMSGERR_ATTR_MSG, b"text\0"))
    write("messages", "made-end", ends)
    for length in range(4):
        refusal = cut(wire.error(2, 22, request=request), length)
        write("messages", f"made-short-{length}", refusal)
        write("exchange", f"made-short-{length}", frames(False, 1, [refusal]))
        write("exchange", f"made-short-dump-{length}", frames(True, 2, [wire.done(1), refusal]))
    number = wire.genl(16, 1, wire.attribute(wire.CTRL_ATTR_FAMILY_ID, b"\x01"))
    write("resolve", "made-short", cut(number[:20] + b"\x05" + number[21:], 4 + wire.ATTRIBUTE.size + 1))
    names = {"sched_name": "s" * 15, "pe_name": "e" * 19}
    key = {"af": 10, "fwmark": 1, "flags": (0, 0), "timeout": 0, "netmask": struct.pack("=I", 128)}
    stats = [wire.stats(10, wire.STATS32, [1] * 10, padded=True), wire.stats(12, wire.STATS64, [2] * 10, padded=True)]
    write("ipvs_rows", "made-service", wire.service_answer(99, key | names, sequence=1, more=stats[1] + stats[0]))
    write("ipvs_rows", "made-daemon", wire.daemon_answer(99, {"state": 1, "sync_id": 1, "mcast_ifn": "i" * 15}))
    acknowledged = wire.error(2, 0, request=request)
    events = b"".join(struct.pack("<BH", event, len(acknowledged)) + acknowledged for event in (1, 2, 3, 4, 5, 6, 0))
    write("exchange", "made-events", b"\0" + events)
    # Nothing but a verdict may answer the barrier, which has the number behind the last request's.
    write("exchange", "made-barrier", frames(False, 1, [wire.genl(99, 1, b"", sequence=2), acknowledged]))


def make_sets(kernel: Kernel) -> None:
    for text, lines in SETS:
        wanted = Set.parse(text)
        try:
            kernel.ipset.create(wanted)
        except KernelError as error:
            print(f"without {wanted.name}: {error}")
            continue
        kernel.ipset.add_entries(wanted.name, lines).raise_for_failures()


def sets_seed(data: bytes) -> bytes:
    """Input of csrc/fuzz/ipset_listing.c: how to encode, then the messages."""
    return b"\0\x10\xff" + data


def record_sets(netns: NetNS, kernel: Kernel, release: str) -> None:
    recorder = Recorder(netns, 12)  # NETLINK_NETFILTER
    make_sets(kernel)
    requests: dict[str, dict[str, Any]] = {
        "list": {},
        "names": {"flags": 2},
        "headers": {"flags": 4},
        "old": {"protocol": 6},
        "one": {"setname": "hip"},
    }
    for name, fields in requests.items():
        answer = b"".join(recorder.send(ipset_wire.build("LIST", sequence=1, **fields), 1))
        write("ipset_listing", f"{release}-{name}", sets_seed(answer))
    kernel.ipset.create(Set("many", "hash:ip"))
    kernel.ipset.add_entries(
        "many", [f"10.1.{number >> 8}.{number & 255}" for number in range(MANY)]
    ).raise_for_failures()
    # The first datagram of a socket is a small one.
    answer = b"".join(Recorder(netns, 12).send(ipset_wire.build("LIST", sequence=1, setname="many"), 1))
    write("ipset_listing", f"{release}-many", sets_seed(answer))
    single = {"ip": "10.0.0.1", "lineno": 1}
    asked = {
        "missing-list": ipset_wire.build("LIST", sequence=1, setname="nosuch"),
        "protocol": ipset_wire.build("PROTOCOL", sequence=1, ack=True),
        "header": ipset_wire.build("HEADER", sequence=1, ack=True, setname="hip"),
        "type": ipset_wire.build("TYPE", sequence=1, ack=True, typename="hash:ip", family=2),
        "index": ipset_wire.build("GET_BYNAME", sequence=1, ack=True, setname="hip"),
        "name": ipset_wire.build("GET_BYINDEX", sequence=1, ack=True, index=3),
        "line": ipset_wire.build(
            "ADD",
            sequence=1,
            ack=True,
            setname="hip",
            lineno=0,
            adt=[{"ip": "10.9.9.9", "lineno": 1}, single | {"lineno": 2}],
        ),
        "exists": ipset_wire.build("ADD", sequence=1, ack=True, setname="hip", data=single),
        "no-set": ipset_wire.build("ADD", sequence=1, ack=True, setname="nosuch", data=single),
    }
    for name, request in asked.items():
        write("ipset_listing", f"{release}-{name}", sets_seed(b"".join(recorder.send(request, 1))))


def record_ipvs(netns: TestNetNS, kernel: Kernel, release: str) -> None:
    record_requests()
    make_rare()
    # Linux 5.10 does not load it when its family is asked for.
    subprocess.run(["modprobe", "ip_vs"], check=True)
    recorder = Recorder(netns)
    family = resolve(recorder, release)
    record_daemons(kernel, recorder, family, release)
    kernel.ipvs.set_timeouts(tcp=TIMEOUTS.tcp, tcp_fin=TIMEOUTS.tcp_fin, udp=TIMEOUTS.udp)
    kernel.ipvs.add_services([*SERVICES, BUSY]).raise_for_failures()
    send_packets(netns)
    record_rows(recorder, family, release, [one.key for one in (*SERVICES, BUSY)])
    record_refusals(netns, family, release)
    record_texts(netns, release)


DEVICES = (
    "link add vip0 type dummy",
    "link add left type veth peer name right",
    "link set left up",
    "link set right up",
    "addr add 198.51.100.1/24 dev vip0",
    "addr add 198.51.100.2/24 brd 198.51.100.255 dev vip0 label vip0:web metric 7",
    "addr add 198.51.100.3/24 dev vip0 noprefixroute valid_lft 1000 preferred_lft 900",
    "addr add 192.0.2.1 peer 192.0.2.2/32 dev left",
    "addr add 2001:db8::1/64 dev left nodad",
    "addr add 2001:db8::3 peer 2001:db8::4/128 dev left",
)


def record_devices(netns: TestNetNS, kernel: Kernel, release: str) -> None:
    """Listings of links and addresses, and single links. `kernel` is not needed."""
    socket.socket(socket.AF_INET6).close()  # loads IPv6 where it is a module
    netns.ip(*DEVICES)
    backend = kernel.devices._backend
    assert isinstance(backend, KernelDevicesBackend)
    links, _, _ = backend._dump(links=True)
    addresses, _, _ = backend._dump(links=False)
    write("rtnl_rows", f"{release}-links", links)
    write("rtnl_rows", f"{release}-addresses", addresses)
    for command in DeviceCommand:
        address = command in {DeviceCommand.NEW_ADDRESS, DeviceCommand.DELETE_ADDRESS}
        rows = rtnl.parse_addresses(addresses) if address else rtnl.parse_links(links)
        write("rtnl_requests", command.name.lower(), bytes([command + 1, 0, 4]) + rows)


FLOWS = (
    Planted("udp", ("10.0.0.9", 4000), ("192.0.2.10", 53), ("10.1.1.1", 5353)),
    Planted("udp", ("10.0.0.9", 4001), ("192.0.2.10", 53), ("10.1.1.2", 5353), ("10.0.0.1", 61000), mark=0x12345678),
    Planted("udp", ("2001:db8::9", 4000), ("2001:db8::10", 53), ("2001:db8:1::1", 5353)),
    Planted("tcp", ("10.0.0.9", 4000), ("192.0.2.10", 80)),
    Planted("sctp", ("10.0.0.9", 4000), ("192.0.2.10", 80)),
)


def record_flows(netns: TestNetNS, kernel: Kernel, release: str) -> None:
    """Listings of tracked flows, whole and filtered, and refusals. `kernel` is not needed."""
    del kernel
    recorder = Recorder(netns, 12)
    for flow in FLOWS:
        recorder.send(conntrack_wire.new(flow), 1)
    dumps = {"flows": (0, 0), "udp4": (2, 17), "udp6": (10, 17)}
    for name, (family, protocol) in dumps.items():
        question = conntrack.encode_dump(family, protocol)
        question[8:12] = struct.pack("=I", 1)
        write("conntrack_rows", f"{release}-{name}", b"".join(recorder.send(bytes(question), 1)))
    # A filter without a family.
    refused = conntrack_wire.message(conntrack_wire.GET, 0, bytes(question)[20:], flags=0x301)
    write("conntrack_rows", f"{release}-refused", b"".join(recorder.send(refused, 1)))
    listing = conntrack.Listing()
    listing.feed((CORPUS / "conntrack_rows" / f"{release}-flows").read_bytes())
    write("conntrack_requests", "flows", b"\x02\x11\x00\x04" + listing.rows())


def main() -> None:
    release = ".".join(os.uname().release.split(".")[:2])
    parts = {"ipvs": record_ipvs, "ipset": record_sets, "devices": record_devices, "conntrack": record_flows}
    for name in sys.argv[1:] or parts:
        with TestNetNS() as netns, Kernel(netns) as kernel:
            parts[name](netns, kernel, release)


if __name__ == "__main__":
    main()
