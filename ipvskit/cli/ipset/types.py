"""The types of sets as ipset 7.17 knows them: which words each takes, and since which of its revisions.

Knows: names, words and revisions. Must not know: what words mean (`values`), the kernel.
"""

from __future__ import annotations

__all__ = ["KEYWORDS", "TYPES", "Keyword", "Kind", "find", "names"]

INET, INET6, BOTH, NEUTRAL = 2, 10, 255, 0


class Keyword:
    """A word behind an element or a type: the option that it gives, how its value is read, and its line in the help.

    `value` is False for a word that stands alone. `shown`: whether listings have it.
    """

    __slots__ = ("about", "name", "option", "parser", "shown", "value")

    def __init__(
        self, name: str, option: str, parser: str, *, value: bool = True, shown: bool = True, about: str = ""
    ) -> None:
        self.name = name
        self.option = option
        self.parser = parser
        self.value = value
        self.shown = shown
        self.about = about


#: By a name of our own, where two have the same word.
KEYWORDS = {
    "family": Keyword("family", "family", "family", about="[family inet|inet6]|[-4|-6]"),
    "-4": Keyword("-4", "family", "family", value=False, shown=False),
    "-6": Keyword("-6", "family", "family", value=False, shown=False),
    "hashsize": Keyword("hashsize", "hashsize", "uint32", about="[hashsize VALUE]"),
    "maxelem": Keyword("maxelem", "maxelem", "uint32", about="[maxelem VALUE]"),
    "probes": Keyword("probes", "probes", "ignored", shown=False),
    "resize": Keyword("resize", "resize", "ignored", shown=False),
    "gc": Keyword("gc", "gc", "ignored", shown=False),
    "ignored from": Keyword("from", "ip", "ignored", shown=False),
    "ignored to": Keyword("to", "ip_to", "ignored", shown=False),
    "ignored network": Keyword("network", "ip", "ignored", shown=False),
    "size": Keyword("size", "size", "uint32", about="[size VALUE]"),
    "range": Keyword("range", "ip", "netrange"),
    "netmask": Keyword("netmask", "netmask", "netmask", about="[netmask CIDR]"),
    "port range": Keyword("range", "port", "tcp_udp_port"),
    "before": Keyword("before", "nameref", "before", shown=False, about="[before|after NAME]"),
    "after": Keyword("after", "nameref", "after", shown=False),
    "from": Keyword("from", "ip", "single_ip", shown=False),
    "to": Keyword("to", "ip_to", "single_ip", shown=False),
    "network": Keyword("network", "ip", "net", shown=False),
    "port from": Keyword("from", "port", "single_tcp_port", shown=False),
    "port to": Keyword("to", "port_to", "single_tcp_port", shown=False),
    "forceadd": Keyword("forceadd", "forceadd", "flag", value=False, shown=False, about="[forceadd]"),
    "markmask": Keyword("markmask", "markmask", "uint32", about="markmask VALUE"),
    "nomatch": Keyword("nomatch", "nomatch", "flag", value=False, about="[nomatch]"),
    "wildcard": Keyword("wildcard", "wildcard", "flag", value=False, about="[wildcard]"),
    "timeout": Keyword("timeout", "timeout", "timeout", about="[timeout VALUE]"),
    "counters": Keyword("counters", "counters", "flag", value=False, about="[counters]"),
    "packets": Keyword("packets", "packets", "uint64", about="[packets VALUE]"),
    "bytes": Keyword("bytes", "bytes", "uint64", about="[bytes VALUE]"),
    "with comment": Keyword("comment", "with_comment", "flag", value=False, about="[comment]"),
    "comment": Keyword("comment", "comment", "comment", about='[comment "string"]'),
    "skbinfo": Keyword("skbinfo", "skbinfo", "flag", value=False, about="[skbinfo]"),
    "skbmark": Keyword("skbmark", "skbmark", "skbmark", about="[skbmark VALUE]"),
    "skbprio": Keyword("skbprio", "skbprio", "skbprio", about="[skbprio VALUE]"),
    "skbqueue": Keyword("skbqueue", "skbqueue", "uint16", about="[skbqueue VALUE]"),
    "bucketsize": Keyword("bucketsize", "bucketsize", "uint8", about="[bucketsize VALUE]"),
    "initval": Keyword("initval", "initval", "uint32", about="[initval VALUE]"),
    "bitmask": Keyword("bitmask", "bitmask", "bitmask", about="[bitmask bitmask]"),
}

#: Keywords with the revision that brought each.
Words = tuple[tuple[str, int], ...]


def _words(*words: str, **since: int) -> Words:
    """Keywords in their order, with the revision that brought each; what is not named was there from the first."""
    return tuple((word, since.get(word.replace(" ", "_").replace("-", "_"), 0)) for word in words)


class Row:
    """A type in all its revisions, the first and the last of which are `revisions`.

    `parts` are the parsers of its elements' parts. What a command may say of an element (`element`, by command) is by options; that the parts of the
    element were given is checked by those of `needed`. In revisions below `ranged` networks are no ranges; from `nomatch` on (99: never) tests may
    have that word.
    """

    def __init__(
        self,
        name: str,
        alias: str,
        family: int,
        parts: tuple[str, ...],
        revisions: tuple[int, int],
        create: Words,
        add: Words,
        nomatch: int,
        needed: tuple[str, ...],
        element: dict[str, tuple[str, ...]],
        *,
        last_optional: bool = False,
        ranged: int = 0,
    ) -> None:
        self.name = name
        self.alias = alias
        self.family = family
        self.parts = parts
        self.revisions = revisions
        self.create = create
        self.add = add
        self.nomatch = nomatch
        self.needed = needed
        self.element = element
        self.last_optional = last_optional
        self.ranged = ranged


_FAMILY = ("family", "-4", "-6")
_IGNORED = ("probes", "resize")
_IGNORED_RANGE = (*_IGNORED, "ignored from", "ignored to", "ignored network")
_EXTENSIONS = ("timeout", "counters", "with comment", "forceadd", "skbinfo", "bucketsize", "initval")
_ENTRY = ("packets", "bytes", "comment", "skbmark", "skbprio", "skbqueue")


def _hash(first: tuple[str, ...], last: tuple[str, ...], masks: tuple[str, ...], **since: int) -> Words:
    return _words(*first, "hashsize", "maxelem", *masks, *_EXTENSIONS, *last, **since)


def _since(counters: int, comment: int, forceadd: int, skbinfo: int, bucketsize: int, **others: int) -> dict[str, int]:
    """Of the words behind a type and of those behind an element."""
    return others | {
        "counters": counters,
        "packets": counters,
        "bytes": counters,
        "with_comment": comment,
        "comment": comment,
        "forceadd": forceadd,
        "skbinfo": skbinfo,
        "skbmark": skbinfo,
        "skbprio": skbinfo,
        "skbqueue": skbinfo,
        "bucketsize": bucketsize,
        "initval": bucketsize,
    }


def _entry(*own: str, **since: int) -> Words:
    return _words("timeout", *own, *_ENTRY, **since)


def _element(add: str, test: str, delete: str = "") -> dict[str, tuple[str, ...]]:
    return {"add": tuple(add.split()), "del": tuple((delete or add).split()), "test": tuple(test.split())}


def _bitmap(*own: str, old: tuple[str, ...]) -> Words:
    return _words(*own, "timeout", "counters", "with comment", "skbinfo", *old, counters=1, with_comment=2, skbinfo=3)


_BITMAP_ENTRY = _entry(**_since(1, 2, 0, 3, 0))
_NET = _since(3, 4, 5, 6, 7)
_NET_PORT = _since(4, 5, 6, 7, 8, nomatch=3)
_IP_PORT = _since(2, 3, 4, 5, 6)
_PAIRS = _since(0, 0, 1, 2, 3)
_OLD_RANGE = ("from", "to", "network")

#: In the order in which the help has them.
TYPES = (
    Row(
        "list:set",
        "setlist",
        NEUTRAL,
        ("setname",),
        (0, 3),
        _words("size", "timeout", "counters", "with comment", "skbinfo", counters=1, with_comment=2, skbinfo=3),
        _words("timeout", "before", "after", *_ENTRY, packets=1, bytes=1, comment=2, skbmark=3, skbprio=3, skbqueue=3),
        99,
        ("name",),
        _element("name before", "name before"),
    ),
    Row(
        "hash:mac",
        "machash",
        NEUTRAL,
        ("ether",),
        (0, 1),
        _hash((), (), (), bucketsize=1, initval=1),
        _entry(),
        99,
        ("ether",),
        _element("ether", "ether"),
    ),
    Row(
        "hash:ip,mac",
        "ipmachash",
        BOTH,
        ("ip4_single6", "ether"),
        (0, 1),
        _hash(_FAMILY, (), (), bucketsize=1, initval=1),
        _entry(),
        99,
        ("ip", "ether"),
        _element("ip ether", "ip ether"),
    ),
    Row(
        "hash:net,iface",
        "netifacehash",
        BOTH,
        ("ip4_net6", "iface"),
        (0, 8),
        _hash(_FAMILY, (), (), **_since(3, 4, 5, 6, 8)),
        _entry("nomatch", "wildcard", **_since(3, 4, 5, 6, 8, nomatch=1, wildcard=7)),
        1,
        ("ip", "iface"),
        _element("ip ip_to cidr iface physdev", "ip cidr iface physdev"),
    ),
    Row(
        "hash:net,port",
        "netporthash",
        BOTH,
        ("ip4_net6", "proto_port"),
        (1, 8),
        _hash(_FAMILY, (), (), **_NET_PORT),
        _entry("nomatch", **_NET_PORT),
        3,
        ("ip", "port", "proto"),
        _element("ip ip_to cidr port port_to proto", "ip cidr port proto"),
        ranged=2,
    ),
    Row(
        "hash:net,port,net",
        "netportnethash",
        BOTH,
        ("ip4_net6", "proto_port", "ip4_net6"),
        (0, 3),
        _hash(_FAMILY, (), (), **_PAIRS),
        _entry("nomatch", **_PAIRS),
        0,
        ("ip", "port", "ip2", "proto"),
        _element("ip ip_to cidr port port_to ip2 cidr2 ip2_to proto", "ip cidr port ip2 cidr2 proto"),
    ),
    Row(
        "hash:net,net",
        "netnethash",
        BOTH,
        ("ip4_net6", "ip4_net6"),
        (0, 4),
        _hash(_FAMILY, ("bitmask", "netmask"), (), **_PAIRS, bitmask=4, netmask=4),
        _entry("nomatch", **_PAIRS),
        0,
        ("ip", "ip2"),
        _element("ip ip_to cidr ip2 cidr2 ip2_to", "ip cidr ip2 cidr2"),
    ),
    Row(
        "hash:net",
        "nethash",
        BOTH,
        ("ip4_net6",),
        (0, 7),
        _hash(_FAMILY, _IGNORED, (), **_NET),
        _entry("nomatch", **_NET, nomatch=2),
        2,
        ("ip",),
        _element("ip ip_to cidr", "ip cidr"),
        ranged=1,
    ),
    Row(
        "hash:ip,port,net",
        "ipportnethash",
        BOTH,
        ("ip4_single6", "proto_port", "ip4_net6"),
        (1, 8),
        _hash(_FAMILY, _IGNORED_RANGE, (), **_NET_PORT),
        _entry("nomatch", **_NET_PORT),
        3,
        ("ip", "port", "ip2", "proto"),
        _element("ip ip_to port port_to ip2 cidr2 ip2_to proto", "ip port ip2 cidr2 proto"),
        ranged=2,
    ),
    Row(
        "hash:ip,port,ip",
        "ipportiphash",
        BOTH,
        ("ip4_single6", "proto_port", "single_ip"),
        (1, 6),
        _hash(_FAMILY, _IGNORED_RANGE, (), **_IP_PORT),
        _entry(**_IP_PORT),
        99,
        ("ip", "port", "ip2", "proto"),
        _element("ip ip_to port port_to ip2 proto", "ip port ip2 proto"),
    ),
    Row(
        "hash:ip,mark",
        "ipmarkhash",
        BOTH,
        ("ip4_single6", "mark"),
        (0, 3),
        _hash((*_FAMILY, "markmask"), _IGNORED_RANGE, (), **_PAIRS),
        _entry(**_PAIRS),
        99,
        ("ip", "mark"),
        _element("ip ip_to mark", "ip ip_to mark"),
    ),
    Row(
        "hash:ip,port",
        "ipporthash",
        BOTH,
        ("ip4_single6", "proto_port"),
        (1, 7),
        _hash(_FAMILY, ("netmask", "bitmask", *_IGNORED_RANGE), (), **_IP_PORT, netmask=7, bitmask=7),
        _entry(**_IP_PORT),
        99,
        ("ip", "port", "proto"),
        _element("ip ip_to port port_to proto", "ip port proto"),
    ),
    Row(
        "hash:ip",
        "iphash",
        BOTH,
        ("ip4_single6",),
        (0, 6),
        _hash(_FAMILY, (*_IGNORED, "gc"), ("netmask", "bitmask"), **_since(1, 2, 3, 4, 5, bitmask=6)),
        _entry(**_since(1, 2, 3, 4, 5)),
        99,
        ("ip",),
        _element("ip ip_to", "ip ip_to"),
    ),
    Row(
        "bitmap:port",
        "portmap",
        NEUTRAL,
        ("tcp_udp_port",),
        (0, 3),
        _bitmap("port range", old=("port from", "port to")),
        _BITMAP_ENTRY,
        99,
        ("port",),
        _element("port port_to", "port"),
    ),
    Row(
        "bitmap:ip,mac",
        "macipmap",
        INET,
        ("single_ip", "ether"),
        (0, 3),
        _bitmap("range", old=_OLD_RANGE),
        _BITMAP_ENTRY,
        99,
        ("ip",),
        _element("ip ether", "ip ether"),
        last_optional=True,
    ),
    Row(
        "bitmap:ip",
        "ipmap",
        INET,
        ("ip",),
        (0, 3),
        _bitmap("range", "netmask", old=_OLD_RANGE),
        _BITMAP_ENTRY,
        99,
        ("ip",),
        _element("ip ip_to", "ip"),
    ),
)


class Kind:
    """A type in one of its revisions."""

    __slots__ = ("_row", "family", "name", "revision")

    def __init__(self, row: Row, revision: int) -> None:
        self._row = row
        self.name = row.name
        self.family = row.family
        self.revision = revision

    @property
    def parts(self) -> tuple[str, ...]:
        """The parsers of an element's parts."""
        if self.revision >= self._row.ranged:
            return self._row.parts
        return tuple("ipnet" if part == "ip4_net6" else part for part in self._row.parts)

    @property
    def last_optional(self) -> bool:
        """Whether the last part of an element may be missing."""
        return self._row.last_optional

    @property
    def needed(self) -> tuple[str, ...]:
        """What an element must have."""
        return self._row.needed

    @property
    def needed_to_create(self) -> tuple[str, ...]:
        """What a set must be created with."""
        if not self.name.startswith("bitmap:"):
            return ()
        return ("port", "port_to") if self.name == "bitmap:port" else ("ip", "ip_to")

    def newer_revision_with(self, command: str, word: str) -> int | None:
        """The next revision, of those that the program knows, whose elements or sets have such a word."""
        for revision in range(self.revision + 1, self._row.revisions[1] + 1):
            if any(each.name == word for each in Kind(self._row, revision).keywords(command)):
                return revision
        return None

    def keywords(self, command: str) -> tuple[Keyword, ...]:
        """What may stand behind the element, or the type, in the order in which listings have it."""
        if command == "test" and self._row.nomatch <= self.revision:
            return (KEYWORDS["nomatch"],)
        if command in {"del", "test"}:
            return (KEYWORDS["before"], KEYWORDS["after"]) if self.name == "list:set" else ()
        words = self._row.create if command == "create" else self._row.add
        return tuple(KEYWORDS[word] for word, since in words if since <= self.revision)

    def element_options(self, command: str) -> tuple[str, ...]:
        """What an element itself may give in this command."""
        found = self._row.element[command]
        if self.revision >= self._row.ranged or command == "test":
            return found
        last = "ip2_to" if "ip2_to" in found else "ip_to"
        return tuple(option for option in found if option != last)

    def matches(self, family: int) -> bool:
        """Whether there are sets of it in this family; 0 is any."""
        return family == NEUTRAL or self.family in {family, BOTH}


def find(name: str) -> Row | None:
    """By its name or its old name."""
    return next((row for row in TYPES if name in {row.name, row.alias}), None)


def names() -> tuple[str, ...]:
    """All there are."""
    return tuple(row.name for row in TYPES)
