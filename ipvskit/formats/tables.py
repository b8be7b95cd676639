"""The keys of a document: the one table that reading, writing and the JSON Schema share.

Knows: names, kinds and limits of all keys. Must not know: how values are made of them (`ipvskit.formats.reading`).

Limits are those of the kernel and of the values' own classes.
"""

from __future__ import annotations

from ipvskit.formats.fields import (
    Anything,
    Choice,
    Either,
    Field,
    Flag,
    Kind,
    ListOf,
    Nullable,
    Number,
    Table,
    Text,
    Texts,
)
from ipvskit.formats.making import (
    make_contents,
    make_daemon,
    make_device,
    make_real,
    make_service,
    make_set,
    make_sysctls,
    make_timeouts,
)
from ipvskit.model.address import parse_address
from ipvskit.model.daemon import MAX_PAYLOAD_IPV4, MAX_TIMEOUT, DaemonRole
from ipvskit.model.device import check_device_name, parse_device_address
from ipvskit.model.key import ServiceKey
from ipvskit.model.real import INT_MAX, USABLE_METHODS, RealServer, Tunnel
from ipvskit.model.service import (
    GENERIC_FLAGS,
    MAX_ENGINE,
    MAX_PERSISTENCE_TIMEOUT,
    MAX_SCHEDULER,
    OWN_FLAGS,
    VirtualService,
)
from ipvskit.model.settype import SET_TYPES
from ipvskit.model.sysctl import SYSCTLS, Sysctl
from ipvskit.sets.create_text import FAMILIES
from ipvskit.sets.definition import MAX_HASHSIZE
from ipvskit.sets.parts import MAX_NAME, check_word
from ipvskit.sets.parts import MAX_TIMEOUT as MAX_SET_TIMEOUT

__all__ = ["DAEMON", "DEVICE", "DOCUMENT", "REAL", "SERVICE", "SET", "SYSCTL", "TIMEOUTS", "VERSION"]

#: That of the form of documents.
VERSION = 1

_WORD = 2**32 - 1


def _module_name(longest: int) -> Text:
    return Text(f"1 to {longest} letters, digits, dots, dashes or underscores", rf"[A-Za-z0-9_.-]{{1,{longest}}}")


REAL = Table(
    "a real server",
    {
        "address": Field(
            Text('an address and a port, as in "10.0.0.1:8080"'),
            "address and port, by which it is known; without a port it is the service's own, 0",
            needed=True,
        ),
        "weight": Field(Number(0, INT_MAX), "its share of new connections; 0 gets none. Default 1", keep=True),
        "forwarding": Field(Choice(tuple(USABLE_METHODS)), "how packets reach it. Default masquerade", keep=True),
        "upper_threshold": Field(
            Number(0, INT_MAX, "connections"), "with so many connections it gets no new ones; 0: no limit", keep=True
        ),
        "lower_threshold": Field(
            Number(0, INT_MAX, "connections"), "below so many it gets new ones again; 0: three quarters", keep=True
        ),
        "tunnel": Field(
            Text("ipip, gue:PORT or gre, with +csum or +remcsum", parse=Tunnel.parse),
            'encapsulation with forwarding tunnel: "ipip" (default), "gue:6080+csum", "gre"',
            keep=True,
        ),
    },
    make_real,
)

SERVICE = Table(
    "a service",
    {
        "key": Field(
            Text('ADDRESS:PORT/PROTOCOL such as "192.0.2.10:80/tcp"', parse=ServiceKey.parse),
            'ADDRESS:PORT/tcp, udp or sctp, or "fwmark:7/v4" or "fwmark:7/v6"',
            needed=True,
        ),
        "scheduler": Field(_module_name(MAX_SCHEDULER), "the kernel's scheduler. Default wlc", keep=True),
        "scheduler_flags": Field(
            ListOf(Choice(tuple(dict.fromkeys([*GENERIC_FLAGS, *OWN_FLAGS["sh"], *OWN_FLAGS["mh"]])))),
            "flags of the scheduler, named as in ipvsadm(8)",
            keep=True,
        ),
        "persistence_timeout": Field(
            Number(1, MAX_PERSISTENCE_TIMEOUT, "seconds"),
            "for so many seconds a client network stays with its real server",
            keep=True,
        ),
        "persistence_netmask": Field(
            Either(Text("a mask such as 255.0.255.0", r"[0-9.]{7,15}"), Number(0, 128, "bits")),
            "the client network's prefix length, or an IPv4 mask with holes. Default all bits",
            keep=True,
        ),
        "persistence_engine": Field(
            _module_name(MAX_ENGINE), "the kernel's persistence engine, such as sip", keep=True
        ),
        "one_packet": Field(Flag(), "whether each packet is scheduled by itself (udp, fwmark)", keep=True),
        "reals": Field(
            ListOf(Either(Text("a real server's text form", parse=RealServer.parse), REAL), partial=True),
            "its real servers",
            keep=True,
        ),
    },
    make_service,
)


def _set_name(text: str) -> str:
    return check_word("name", text, MAX_NAME)


SET = Table(
    "a set",
    {
        "name": Field(Text(f"a name of 1 to {MAX_NAME} bytes", parse=_set_name), "its name", needed=True),
        "type": Field(
            Choice(tuple(name for kind in SET_TYPES.values() for name in (kind.name, *kind.aliases))),
            "its type, such as hash:net",
            needed=True,
        ),
        "family": Field(Choice(tuple(FAMILIES)), "inet (default) or inet6, where its entries have addresses"),
        "range": Field(Text("addresses or ports, as in 10.0.0.0/24 or 0-1023"), "what a bitmap can hold"),
        "hashsize": Field(Number(0, MAX_HASHSIZE), "buckets in the beginning"),
        "maxelem": Field(Number(1, _WORD), "most entries. Default 65536"),
        "bucketsize": Field(Number(2, 12), "most entries in a bucket"),
        "initval": Field(Number(0, _WORD), "what the hash begins with. Default random"),
        "netmask": Field(Number(1, 128, "bits"), "bits that addresses are cut to"),
        "bitmask": Field(Text("an address, as in 255.0.255.0"), "the mask that addresses are cut with"),
        "markmask": Field(Number(1, _WORD), "the mask that marks are cut with"),
        "size": Field(Number(0, _WORD), "most members of a list. Default 8"),
        "timeout": Field(Number(0, MAX_SET_TIMEOUT, "seconds"), "seconds after which entries go; 0: none by default"),
        "counters": Field(Flag(), "whether entries count packets and bytes"),
        "comment": Field(Flag(), "whether entries have comments"),
        "skbinfo": Field(Flag(), "whether entries have marks, priorities and queues"),
        "forceadd": Field(Flag(), "whether a full set throws out an entry for a new one"),
        "entries": Field(
            Texts('an entry as ipset(8) writes it, such as "10.0.0.1 timeout 30"'),
            "its contents as ipset(8) writes them; left out: not stated",
        ),
    },
    make_set,
)

DEVICE = Table(
    "a device",
    {
        "name": Field(
            Text("a device's name", parse=lambda text: check_device_name("name", text)), "its name", needed=True
        ),
        "kind": Field(
            Nullable(Text("a kind of device such as dummy")), "its kind; null: any. Default dummy, which is made"
        ),
        "up": Field(Nullable(Flag()), "whether it is up; null: as it is. Default true"),
        "addresses": Field(
            ListOf(
                Text("an address such as 192.0.2.10/32", parse=lambda text: parse_device_address("addresses", text))
            ),
            "its addresses with their prefix lengths",
        ),
    },
    make_device,
)

DAEMON = Table(
    "a sync daemon",
    {
        "role": Field(Choice(tuple(DaemonRole)), "master or backup", needed=True),
        "interface": Field(Text("an interface's name"), "the interface that it uses", needed=True),
        "sync_id": Field(Number(0, 255), "tells pairs of directors apart. Default 0"),
        "max_length": Field(Number(0, MAX_PAYLOAD_IPV4, "bytes"), "the largest payload; 0: from the interface's MTU"),
        "group": Field(
            Text("a multicast address", parse=lambda text: parse_address("group", text)),
            "the multicast group. Default 224.0.0.81",
        ),
        "port": Field(Number(0, 65535), "the UDP port; 0: 8848"),
        "ttl": Field(Number(0, 255), "the TTL of what it sends; 0: 1"),
    },
    make_daemon,
)

_SECONDS = Number(0, MAX_TIMEOUT, "seconds")
TIMEOUTS = Table(
    "timeouts",
    {
        "tcp": Field(_SECONDS, "seconds for established TCP; 0, the default: as it is"),
        "tcp_fin": Field(_SECONDS, "seconds for TCP after FIN; 0, the default: as it is"),
        "udp": Field(_SECONDS, "seconds for UDP; 0, the default: as it is"),
    },
    make_timeouts,
)


def _sysctl_kind(setting: Sysctl) -> Kind:
    number = Number(setting.low, setting.high)
    kinds: dict[type, Kind] = {bool: Flag(), int: number, tuple: ListOf(number, 2)}
    return kinds.get(setting.kind, Text('a list of CPUs such as "0,2-3"', "[0-9,-]*"))


SYSCTL = Table("sysctls", {name: Field(_sysctl_kind(one), one.meaning) for name, one in SYSCTLS.items()}, make_sysctls)

#: What stands beside a state where `ipvskit kube state` wrote it: no part of it.
BESIDE = {
    "iptables": "documents for iptables-restore, by family; passed over",
    "health_checks": "node ports that answer health checks; passed over",
    "drain_seconds": "how long real servers of a service may keep connections; passed over",
    "diagnostics": "what was found in Kubernetes objects; passed over",
}

DOCUMENT = Table(
    "a state",
    {
        "ipvskit": Field(Number(VERSION, VERSION), "the version of this form", needed=True),
        "services": Field(
            ListOf(Either(Text("a service's text form", parse=VirtualService.parse), SERVICE), partial=True),
            "virtual services",
        ),
        "sets": Field(ListOf(SET, partial=True), "sets"),
        "devices": Field(ListOf(DEVICE, partial=True), "network devices"),
        "sysctls": Field(SYSCTL, "settings, by name without net.ipv4 and the folder"),
        "timeouts": Field(TIMEOUTS, "idle times of connections; left out: not stated"),
        "daemons": Field(ListOf(DAEMON, partial=True), "sync daemons; left out: not stated"),
        **{name: Field(Anything(), what) for name, what in BESIDE.items()},
    },
    make_contents,
)
