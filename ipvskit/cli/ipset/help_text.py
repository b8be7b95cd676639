"""What `ipset help` says.

Knows: the sentences of ipset 7.17. Must not know: what a command does.
"""

from __future__ import annotations

from ipvskit.cli.ipset.names import ICMP, ICMP6
from ipvskit.cli.ipset.types import BOTH, NEUTRAL, TYPES, Kind, find
from ipvskit.cli.ipset.words import COMMANDS, OPTIONS

__all__ = ["general", "kinds", "of_type"]


class About:
    """How the elements of a type are written (for add, del and test), what it is created with, and what its words mean.

    `news` are what each revision brought, from the first one that the program knows.
    """

    __slots__ = ("add", "create", "delete", "meaning", "news", "test")

    def __init__(
        self, add: str, delete: str, test: str, create: str, meaning: tuple[str, ...], news: tuple[str, ...]
    ) -> None:
        self.add = add
        self.delete = delete
        self.test = test
        self.create = create
        self.meaning = meaning
        self.news = news


_FAMILY = "where depending on the INET family"
_ONE = "      IP is a valid IPv4 or IPv6 address (or hostname)"
_AN = "      IP is an IPv4 or IPv6 address (or hostname),"
_ALL = "      IP are valid IPv4 or IPv6 addresses (or hostnames),"
_CIDR = "      CIDR is a valid IPv4 or IPv6 CIDR prefix."
_OLD = "where IP, FROM and TO are IPv4 addresses (or hostnames),"
_OLD_CIDR = "      CIDR is a valid IPv4 CIDR prefix."
_MANY = "      Adding/deleting multiple elements in IP/CIDR or FROM-TO form"
_FOR_INET = "      is supported for IPv4."
_FIRST_PART = "      in the first IP component is supported for IPv4."
_MANY_PORTS = (
    "      Adding/deleting multiple elements with TCP/SCTP/UDP/UDPLITE",
    "      port range is supported both for IPv4 and IPv6.",
)
_BITMAP = ("Initial revision", "counters support", "comment support", "skbinfo support")
_SIZES = "bucketsize, initval support"
_PORTS = "SCTP and UDPLITE support"
_RANGES = "Add/del range support"
_NOMATCH = "nomatch flag support"
_EXTENSIONS = ("counters support", "comment support", "forceadd support", "skbinfo support", _SIZES)
_PAIRS = ("initial revision", "forceadd support", "skbinfo support", _SIZES)
_MASKS = "netmask and bitmask support"


def _about(forms: str, meaning: tuple[str, ...], news: tuple[str, ...], create: str = "") -> About:
    add, delete, test = forms.split(" ; ") if " ; " in forms else (forms,) * 3
    return About(add, delete, test, create, meaning, news)


_TYPES = {
    "list:set": _about("NAME [before|after NAME]", ("where NAME are existing set names.",), _BITMAP),
    "hash:mac": _about("MAC", (), ("Initial revision", _SIZES)),
    "hash:ip,mac": _about("IP,MAC", (_FAMILY, f"{_ONE},", "      MAC is a MAC address."), ("Initial revision", _SIZES)),
    "hash:net,iface": _about(
        "IP[/CIDR]|FROM-TO,[physdev:]IFACE ; IP[/CIDR]|FROM-TO,[physdev:]IFACE ; IP[/CIDR],[physdev:]IFACE",
        (_FAMILY, f"{_ONE},", _CIDR, "      Adding/deleting multiple elements with IPv4 is supported."),
        (
            "Initial revision",
            _NOMATCH,
            "/0 network support",
            *_EXTENSIONS[:4],
            "skbinfo and wildcard support",
            _SIZES,
        ),
    ),
    "hash:net,port": _about(
        "IP[/CIDR]|FROM-TO,[PROTO:]PORT ; IP[/CIDR]|FROM-TO,[PROTO:]PORT ; IP[/CIDR],[PROTO:]PORT",
        (_FAMILY, f"{_ONE},", _CIDR, *_MANY_PORTS),
        (_PORTS, _RANGES, _NOMATCH, *_EXTENSIONS),
    ),
    "hash:net,port,net": _about(
        "IP[/CIDR],[PROTO:]PORT,IP[/CIDR]",
        (_FAMILY, _ALL, _CIDR, _MANY, "      in both IP components are supported for IPv4.", *_MANY_PORTS),
        _PAIRS,
    ),
    "hash:net,net": _about(
        "IP[/CIDR]|FROM-TO,IP[/CIDR]|FROM-TO ; IP[/CIDR]|FROM-TO,IP[/CIDR]|FROM-TO ; IP[/CIDR],IP[/CIDR]",
        (_FAMILY, _AN, _CIDR, "      IP range is not supported with IPv6."),
        (*_PAIRS, _MASKS),
    ),
    "hash:net": _about("IP[/CIDR]", (_FAMILY, _AN, _CIDR), ("Initial revision", _RANGES, _NOMATCH, *_EXTENSIONS)),
    "hash:ip,port,net": _about(
        "IP,[PROTO:]PORT,IP[/CIDR]",
        (_FAMILY, _ALL, _CIDR, _MANY, _FIRST_PART, *_MANY_PORTS),
        (_PORTS, _RANGES, _NOMATCH, *_EXTENSIONS),
    ),
    "hash:ip,port,ip": _about(
        "IP,[PROTO:]PORT,IP", (_FAMILY, f"{_ONE}.", _MANY, _FIRST_PART, *_MANY_PORTS), (_PORTS, *_EXTENSIONS)
    ),
    "hash:ip,mark": _about(
        "IP,MARK",
        (
            _FAMILY,
            f"{_ONE}.",
            _MANY,
            _FOR_INET,
            "      Adding/deleting single mark element",
            "      is supported both for IPv4 and IPv6.",
        ),
        _PAIRS,
    ),
    "hash:ip,port": _about(
        "IP,[PROTO:]PORT", (_FAMILY, f"{_ONE}.", _MANY, _FOR_INET, *_MANY_PORTS), (_PORTS, *_EXTENSIONS, _MASKS)
    ),
    "hash:ip": _about(
        "IP",
        (_FAMILY, f"{_ONE},", _CIDR, _MANY, _FOR_INET),
        ("Initial revision", *_EXTENSIONS, "bitmask support"),
    ),
    "bitmap:port": _about(
        "[PROTO:]PORT|FROM-TO ; [PROTO:]PORT|FROM-TO ; [PROTO:]PORT",
        (
            "where PORT, FROM and TO are port numbers or port names from /etc/services.",
            "      PROTO is only needed if a service name is used and it does not exist",
            "      as a TCP service; just the resolved service numer is stored in the set.",
        ),
        _BITMAP,
        "range [PROTO:]FROM-TO",
    ),
    "bitmap:ip,mac": _about(
        "IP[,MAC]", (_OLD, _OLD_CIDR, "      MAC is a valid MAC address."), _BITMAP, "range IP/CIDR|FROM-TO"
    ),
    "bitmap:ip": _about(
        "IP|IP/CIDR|FROM-TO ; IP|IP/CIDR|FROM-TO ; IP", (_OLD, _OLD_CIDR), _BITMAP, "range IP/CIDR|FROM-TO"
    ),
}
_PORT_PATTERNS = (
    "      [PROTO:]PORT is a valid pattern of the following:",
    "           PORTNAME         TCP port name from /etc/services",
    "           PORTNUMBER       TCP port number identifier",
    "           tcp|sctp|udp|udplite:PORTNAME|PORTNUMBER",
    "           icmp:CODENAME    supported ICMP codename",
    "           icmp:TYPE/CODE   ICMP type/code value",
    "           icmpv6:CODENAME  supported ICMPv6 codename",
    "           icmpv6:TYPE/CODE ICMPv6 type/code value",
    "           PROTO:0          all other protocols",
    "",
    "           Supported ICMP codenames:",
    *(f"               {name}" for name, *_ in ICMP),
    "           Supported ICMPv6 codenames:",
    *(f"               {name}" for name, *_ in ICMP6),
)


def general() -> str:
    """Commands and options."""
    lines = ["ipset v7.17", "", "Usage: ipset [options] COMMAND", "", "Commands:"]
    lines += [f"{command.name} {command.about}" for command in COMMANDS]
    lines += ["", "Options:", *(f"{option.name} {option.about}" for option in OPTIONS)]
    return "\n".join(lines) + "\n"


def kinds() -> str:
    """All types in all revisions, the newest first."""
    lines = ["", "Supported set types:"]
    for row in TYPES:
        gap = "\t\t" if len(row.name) < 12 else "\t"
        first, last = row.revisions
        news = _TYPES[row.name].news
        lines += [f"    {row.name}{gap}{each}\t{news[each - first]}" for each in range(last, first - 1, -1)]
    return "\n".join(lines) + "\n"


def of_type(name: str) -> str | None:
    """One type; None if there is none of the name."""
    row = find(name)
    if row is None:
        return None
    about, kind = _TYPES[row.name], Kind(row, row.revisions[1])
    lines = ["", f"{row.name} type specific options:", ""]
    forms = (("create", about.create), ("add", about.add), ("del", about.delete), ("test", about.test))
    for command, form in forms:
        lines.append(f"{command:6} SETNAME {row.name} {form}")
        lines += [f"               {keyword.about}" for keyword in kind.keywords(command) if keyword.about]
    lines += ["", "\n".join(about.meaning)]
    if "proto_port" in row.parts:
        lines += _PORT_PATTERNS
    families = {BOTH: "supports inet and inet6", NEUTRAL: "is family neutral"}
    lines += ["", f"Type {row.name} {families.get(row.family, 'supports family inet only')}."]
    return "\n".join(lines) + "\n"
