"""Random command lines of ipset, and random texts for it to restore.

Knows: words that go together, and some that do not. Must not know: what comes of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as st

from tests.kernel.cli_ipset import Command

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn, SearchStrategy

__all__ = ["restorations", "sequences"]

NAMES = ("a", "b", "c")
#: What this machine's kernel has, with options that sets of the type may have.
KINDS = (
    "hash:ip",
    "hash:net",
    "hash:ip,port",
    "hash:net,port",
    "hash:ip,port,ip",
    "hash:ip,port,net",
    "bitmap:ip",
    "bitmap:port",
    "bitmap:ip,mac",
    "list:set",
)
ADDRESSES = (
    "1.1.1.1",
    "1.1.1.2",
    "1.1.1.3",
    "10.0.0.1",
    "1.1.1.0/30",
    "1.1.1.1-1.1.1.3",
    "10.0.0.0/8",
    "1.1.1.1/32",
    "0.0.0.0",
    "1.1.1",
    "x.invalid",
)
ADDRESSES6 = ("::1", "2001:db8::1", "2001:db8::/64", "::1/128", "::")
PORTS = (
    "80",
    "tcp:80",
    "udp:53",
    "tcp:80-82",
    "icmp:echo-request",
    "icmp:8/0",
    "gre:0",
    "http",
    "tcp:99999",
    "foo:1",
    "6:81",
    "icmpv6:1",
)
MACS = ("00:11:22:33:44:55", "0:1:2:3:4:5", "00:00:00:00:00:00")
NUMBERS = ("5", "6", "7-9", "tcp:8", "udp:domain", "99", "x")


def _parts(kind: str) -> list[SearchStrategy[str]]:
    made = {
        "ip": st.sampled_from(ADDRESSES),
        "net": st.sampled_from(ADDRESSES),
        "port": st.sampled_from(NUMBERS if kind == "bitmap:port" else PORTS),
        "mac": st.sampled_from(MACS),
        "set": st.sampled_from((*NAMES, "nope")),
    }
    return [made[part] for part in kind.partition(":")[2].split(",")]


@st.composite
def elements(draw: DrawFn, kind: str) -> str:
    """One of a type, or nearly."""
    found = ",".join(draw(part) for part in _parts(kind))
    if draw(st.integers(0, 9)) == 0:
        found = draw(st.sampled_from([found + ",1", found.partition(",")[0], *ADDRESSES6, "", "-", ","]))
    return found


def _options(command: str) -> SearchStrategy[list[str]]:
    words = {
        "add": ["timeout 5000", "timeout 0", "packets 5", "bytes 6", 'comment "a b"', "comment x", "skbmark 0x5", "skbprio 1:2", "skbqueue 3",
                "nomatch", "before a", "after b", "timeout x", "foo", "-exist"],
        "del": ["nomatch", "before a", "timeout 5", "-exist"],
        "test": ["nomatch", "before a", "-q"],
    }  # fmt: skip
    return st.lists(st.sampled_from(words[command]), max_size=2) | st.just([])


_CREATE = (
    "timeout 0",
    "timeout 5000",
    "counters",
    "comment",
    "skbinfo",
    "forceadd",
    "maxelem 2",
    "hashsize 64",
    "netmask 24",
    "family inet6",
    "-4",
)


@st.composite
def creations(draw: DrawFn) -> tuple[str, str]:
    """The type, and a line that creates a set of it."""
    kind = draw(st.sampled_from(KINDS))
    name = draw(st.sampled_from(NAMES))
    options = draw(st.lists(st.sampled_from(_CREATE), max_size=3, unique=True))
    ranges = {"bitmap:port": ["range 5-10"], "bitmap:ip": ["range 1.1.1.0/24"], "bitmap:ip,mac": ["range 1.1.1.0/24"]}
    if kind.startswith("hash:"):
        options.append("initval 1")
    else:
        options = [each for each in options if each.partition(" ")[0] in {"timeout", "counters", "comment", "skbinfo"}]
    words = ranges.get(kind, []) + options
    if draw(st.integers(0, 9)) == 0:
        words.append(draw(st.sampled_from(["foo", "timeout", "probes 4", "range 1-2", "size 3", "bucketsize 4"])))
    return kind, " ".join(["create", name, kind, *words])


@st.composite
def lines(draw: DrawFn, kinds: list[str], *, listing: bool = True) -> str:
    """A line of any kind."""
    what = draw(st.integers(0, 19))
    if what < 4 or not kinds:
        kind, line = draw(creations())
        kinds.append(kind)
        return line
    name, other = draw(st.sampled_from(NAMES)), draw(st.sampled_from(NAMES))
    if what < 15:
        command = draw(st.sampled_from(["add", "add", "add", "del", "test"]))
        element = draw(elements(draw(st.sampled_from(kinds))))
        return " ".join([command, name, element, *draw(_options(command))])
    others = [
        "flush",
        f"flush {name}",
        f"swap {name} {other}",
        f"rename {name} {other}",
        f"destroy {name}",
        "",
        "# comment",
    ]
    if listing:
        others += [
            "list -s",
            "save -s",
            "list -t",
            "list -n",
            "-o xml list -s",
            f"list {name}",
            "-o save list -s",
            f"save {name}",
        ]
    return draw(st.sampled_from(others))


def _split(line: str) -> tuple[str, ...]:
    """As a shell would, with empty words where an element is empty."""
    head, quote, rest = line.partition('"')
    words = head.split(" ")
    if not quote:
        return tuple(words)
    text, _, behind = rest.partition('"')
    return (*words[:-1], text, *behind.split())


@st.composite
def sequences(draw: DrawFn) -> list[Command]:
    """Some command lines."""
    kinds: list[str] = []
    found = [draw(lines(kinds)) for _ in range(draw(st.integers(3, 14)))]
    return [Command(_split(line)) for line in found if line and not line.startswith("#")]


@st.composite
def restorations(draw: DrawFn) -> Command:
    """A text to restore, mostly of many plain lines with something among them."""
    kinds: list[str] = []
    found: list[str] = []
    for _ in range(draw(st.integers(1, 12))):
        found.append(draw(lines(kinds, listing=False)))
        if draw(st.integers(0, 3)) == 0:
            name, count = draw(st.sampled_from(NAMES)), draw(st.integers(1, 400))
            command = draw(st.sampled_from(["add", "add", "del"]))
            form = draw(
                st.sampled_from(
                    ["20.0.{}.{}", "20.0.{}.{},tcp:80", "20.0.{}.{} timeout 5000", "20.{}.{}.0/24", "20.0.{}.{} -exist"]
                )
            )
            found += [f"{command} {name} {form.format(number // 256, number % 256)}" for number in range(count)]
    words = draw(st.sampled_from([("restore",), ("restore",), ("-exist", "restore"), ("-q", "restore")]))
    return Command(words, ("\n".join(found) + draw(st.sampled_from(["\n", ""]))).encode())
