"""Sets as values: what they accept, what they refuse, how they are written.

Knows: `Set`, `ipset save`. Must not know: netlink.
"""

from __future__ import annotations

import copy
import dataclasses
import pickle
import re
import shutil
from datetime import timedelta
from ipaddress import IPv4Address, IPv4Network, IPv6Address
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import ipvskit as ik
from ipvskit.model.address import Family
from ipvskit.model.settype import SET_TYPES, SetType
from ipvskit.sets.definition import Set, SetStatus, stored_set
from ipvskit.sets.parts import AddressRange, NumberRange

if TYPE_CHECKING:
    from ipvskit.testing.namespaces import TestNetNS

#: (what is taken, what is written)
TEXTS = [
    ("create a hash:ip", "a hash:ip family inet"),
    ("-exist create a iphash -6 -quiet", "a hash:ip family inet6"),
    ("-N a nethash --hashsize 100 --maxelem 0x10", "a hash:net family inet hashsize 128 maxelem 16"),
    ("a hash:ip hashsize 010 probes 3 --resize 5 gc 7", "a hash:ip family inet hashsize 64"),
    (
        "a hash:ip skbinfo forceadd comment counters timeout 5",
        "a hash:ip family inet timeout 5 counters comment forceadd skbinfo",
    ),
    ("a hash:ip netmask 24 initval 12", "a hash:ip family inet netmask 24 initval 0x0000000c"),
    ("a hash:ip,port netmask 24 initval 12", "a hash:ip,port family inet initval 0x0000000c netmask 24"),
    ("a hash:net,net bitmask 255.0.0.0 bucketsize 7", "a hash:net,net family inet bucketsize 8 bitmask 255.0.0.0"),
    ("a hash:ip family ipv6 bitmask FFFF::", "a hash:ip family inet6 bitmask ffff::"),
    ("a ipporthash --from 10.0.0.0 --to 10.0.0.1", "a hash:ip,port family inet"),
    ("a hash:ip,mark markmask 0xff00 hashsize 64", "a hash:ip,mark family inet markmask 0x0000ff00 hashsize 64"),
    ("a ipmap --from 10.0.0.9 --to 10.0.0.0", "a bitmap:ip range 10.0.0.0-10.0.0.9"),
    ("a ipmap --network 10.0.0.7/24 --netmask 28", "a bitmap:ip range 10.0.0.0-10.0.0.255 netmask 28"),
    ("a bitmap:ip range 10.0.0.1-10.0.0.200 netmask 28", "a bitmap:ip range 10.0.0.0-10.0.0.207 netmask 28"),
    ("a bitmap:ip range 0.0.0.0/0 netmask 16", "a bitmap:ip range 0.0.0.0-255.255.255.255 netmask 16"),
    ("a bitmap:ip range 10.0.0.5/32", "a bitmap:ip range 10.0.0.5-10.0.0.5"),
    ("a portmap range tcp:10-5", "a bitmap:port range 5-10"),
    ("a setlist size 2", "a list:set size 4"),
    ("create hash:ip", "create hash:ip family inet"),
    ("create create hash:ip", "create hash:ip family inet"),
    ("n n hash:mac", "n hash:mac"),
]


@pytest.mark.parametrize(("text", "canonical"), TEXTS)
def test_texts(text: str, canonical: str) -> None:
    parsed = Set.parse(text)
    assert str(parsed) == canonical
    assert Set.parse(canonical) == parsed
    assert Set.parse(parsed) is parsed


#: (what is built, field, what the message must say)
REFUSED: list[tuple[Any, str, str]] = [
    (lambda: Set("", "hash:ip"), "name", "1 to 31 bytes"),
    (lambda: Set("a" * 32, "hash:ip"), "name", "1 to 31 bytes"),
    (lambda: Set("ä" * 16, "hash:ip"), "name", "1 to 31 bytes"),
    (lambda: Set("a b", "hash:ip"), "name", "white space"),
    (lambda: Set("a\0", "hash:ip"), "name", "control"),
    (lambda: Set("a\x1b", "hash:ip"), "name", "control"),
    (lambda: Set('a"', "hash:ip"), "name", "quotes"),
    (lambda: Set("-exist", "hash:ip"), "name", "no option"),
    (lambda: Set(7, "hash:ip"), "name", "bytes"),  # type: ignore[arg-type]
    (lambda: Set("a", "hash:foo"), "type", "hash:net,iface"),
    (lambda: Set("a", "hash:ip", family="v6"), "family", "inet or inet6"),
    (lambda: Set("a", "hash:mac", family="inet"), "family", "None, because hash:mac has none"),
    (lambda: Set("a", "bitmap:ip", family="inet6", range="::/120"), "family", "inet, because bitmap:ip has no other"),
    (lambda: Set("a", "hash:ip", hashsize=2**27 + 1), "hashsize", "0 to 134217728"),
    (lambda: Set("a", "hash:ip", maxelem=0), "maxelem", "1 to 4294967295"),
    (lambda: Set("a", "hash:ip", maxelem=2**32), "maxelem", "1 to 4294967295"),
    (lambda: Set("a", "hash:ip", bucketsize=1), "bucketsize", "2 to 12"),
    (lambda: Set("a", "hash:ip", bucketsize=13), "bucketsize", "2 to 12"),
    (lambda: Set("a", "hash:ip", initval=-1), "initval", "0 to 4294967295"),
    (lambda: Set("a", "hash:ip", netmask=0), "netmask", "1 to 32"),
    (lambda: Set("a", "hash:ip", netmask=33), "netmask", "1 to 32"),
    (lambda: Set("a", "hash:ip", family="inet6", netmask=129), "netmask", "1 to 128"),
    (lambda: Set("a", "hash:ip", netmask=24, bitmask="255.0.0.0"), "bitmask", "None beside netmask"),
    (lambda: Set("a", "hash:ip", bitmask="0.0.0.0"), "bitmask", "any bit"),
    (lambda: Set("a", "hash:ip", bitmask="ffff::"), "bitmask", "of family ipv4"),
    (lambda: Set("a", "hash:ip", family="inet6", bitmask="255.0.0.0"), "bitmask", "of family ipv6"),
    (lambda: Set("a", "hash:ip", bitmask="fe80::%eth0"), "bitmask", "without a zone"),
    (lambda: Set("a", "hash:net", netmask=24), "netmask", "hash:net has no such option"),
    (lambda: Set("a", "hash:net", range="10.0.0.0/24"), "range", "hash:net has no such option"),
    (lambda: Set("a", "list:set", forceadd=True), "forceadd", "list:set has no such option"),
    (lambda: Set("a", "hash:ip", size=8), "size", "hash:ip has no such option"),
    (lambda: Set("a", "hash:ip,mark", markmask=0), "markmask", "1 to 4294967295"),
    (lambda: Set("a", "bitmap:ip"), "range", "without which there is no bitmap:ip"),
    (lambda: Set("a", "bitmap:ip", range="10.0.0.0/15"), "range", "at most 65536 elements, not 131072"),
    (lambda: Set("a", "bitmap:ip", range="0.0.0.0/0", netmask=17), "range", "65536 elements of /17, not 131072"),
    (lambda: Set("a", "bitmap:ip", range="10.0.0.0/24", netmask=24), "range", "at least two blocks of /24"),
    (lambda: Set("a", "bitmap:ip", range="10.0.0.16-10.0.0.47", netmask=28), "range", "beginning of a network"),
    (lambda: Set("a", "bitmap:ip", range="10.0.0.1"), "range", "10.0.0.1-10.0.0.9"),
    (lambda: Set("a", "bitmap:ip", range="10.0.0.0/33"), "range", "at most 32"),
    (lambda: Set("a", "bitmap:ip", range="10.0.0.1-::1"), "range", "same family"),
    (lambda: Set("a", "bitmap:ip", range="::/120"), "range", "IPv4"),
    (lambda: Set("a", "bitmap:ip", range=5), "range", "10.0.0.0/24"),  # type: ignore[arg-type]
    (lambda: Set("a", "bitmap:port", range="http-https"), "range", "not looked up"),
    (lambda: Set("a", "bitmap:port", range="0-65536"), "range", "0 to 65535"),
    (lambda: Set("a", "bitmap:port", range=(5, True)), "range", "0 to 65535"),
    (lambda: Set("a", "hash:ip", timeout=2147484), "timeout", "0 to 2147483"),
    (lambda: Set("a", "hash:ip", timeout=-1), "timeout", "0 to 2147483"),
    (lambda: Set("a", "hash:ip", timeout=True), "timeout", "whole seconds"),
    (lambda: Set("a", "hash:ip", timeout=1.5), "timeout", "whole seconds"),
    (lambda: Set("a", "hash:ip", timeout=float("inf")), "timeout", "whole seconds"),
    (lambda: Set("a", "hash:ip", timeout=timedelta(milliseconds=1)), "timeout", "timedelta"),
    (lambda: Set("a", "hash:ip", timeout="5"), "timeout", "whole seconds"),  # type: ignore[arg-type]
    (lambda: Set("a", "hash:ip", counters=1), "counters", "True or False"),  # type: ignore[arg-type]
    (lambda: Set.parse(""), "create", "a name, a type"),
    (lambda: Set.parse("a"), "create", "a name, a type"),
    (lambda: Set.parse("a hash:ip size 5"), "create", "an option of hash:ip: family, hashsize"),
    (lambda: Set.parse("a hash:ip hashsize"), "create", "a value behind it"),
    (lambda: Set.parse("a hash:ip hashsize 09"), "hashsize", "octal"),
    (lambda: Set.parse("a hash:ip hashsize 1_0"), "hashsize", "whole number"),
    (lambda: Set.parse("a hash:ip hashsize -1"), "hashsize", "whole number"),
    (lambda: Set.parse("a hash:ip hashsize " + "9" * 5000), "hashsize", "whole number"),
    (lambda: Set.parse("a hash:ip timeout 5 timeout 6"), "timeout", "once"),
    (lambda: Set.parse("a hash:ip -4 -6"), "family", "once"),
    (lambda: Set.parse("a hash:ip family unspec"), "family", "inet or inet6"),
    (lambda: Set.parse("a hash:ip netmask 24 bitmask 255.0.0.0"), "bitmask", "beside netmask"),
    (lambda: Set.parse("a ipmap from 10.0.0.1"), "range", "both"),
    (lambda: Set.parse("a ipmap from 10.0.0.1 to 10.0.0.2 range 10.0.0.0/24"), "range", "alone"),
]


@pytest.mark.parametrize(("build", "field", "message"), REFUSED)
def test_refused(build: Any, field: str, message: str) -> None:
    with pytest.raises(ik.InvalidConfig) as caught:
        build()
    assert caught.value.field == field
    assert message in str(caught.value)


def test_values_of_a_set_are_normalised() -> None:
    made = Set("a", "nethash", family=Family.IPV6, hashsize=1025, bucketsize=11, timeout=timedelta(minutes=2))
    assert (made.type, made.family, made.hashsize, made.bucketsize, made.timeout) == (
        "hash:net",
        Family.IPV6,
        2048,
        12,
        120,
    )
    assert made.set_type is SET_TYPES["hash:net"]
    assert made == Set("a", SetType.of("hash:net"), family="inet6", hashsize=2048, bucketsize=12, timeout=120.0)
    bitmap = Set("a", "bitmap:ip", range=IPv4Network("10.0.0.0/30"))
    assert bitmap == Set("a", "bitmap:ip", family="inet", range=("10.0.0.3", "10.0.0.0"))
    assert bitmap.range == AddressRange("10.0.0.0", "10.0.0.3")
    assert Set("a", "bitmap:port", range=(9, 0)).range == NumberRange(0, 9)
    assert [Set("a", "hash:ip", hashsize=size).hashsize for size in (0, 1, 64, 65, 2**27)] == [64, 64, 64, 128, 2**27]


def test_sets_are_frozen_values() -> None:
    made = Set("a", "bitmap:ip", range="10.0.0.0/24", counters=True)
    assert {made: 1}[Set.parse(str(made))] == 1
    assert pickle.loads(pickle.dumps(made)) == made == copy.deepcopy(made)
    assert dataclasses.replace(made, name="b", counters=False) == Set("b", "bitmap:ip", range="10.0.0.0/24")
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.name = "b"  # type: ignore[misc]
    with pytest.raises(ik.InvalidConfig):
        dataclasses.replace(made, netmask=24)


def test_contents_count_in_equality_and_not_in_the_hash() -> None:
    one, other = (stored_set(name="a", type="hash:ip", family=Family.IPV4, entries=entries) for entries in ([1], [2]))
    assert one != other
    assert hash(one) == hash(other) == hash(Set("a", "hash:ip"))


def test_what_the_kernel_has_is_not_checked() -> None:
    odd = stored_set(name="", type="hash:ip", family=Family.IPV4, maxelem=0)
    status = SetStatus(odd, revision=6, index=None, entries=0, references=0, memory=208)
    assert (status.set.name, status.set.maxelem, status.set.counters, status.set.entries) == ("", 0, False, None)


def words(limit: int) -> st.SearchStrategy[str]:
    return st.text("abcXYZ019-_.:;'@/", min_size=1, max_size=limit).filter(
        lambda word: word not in {"-exist", "--exist", "-!", "-quiet", "--quiet", "-q"}
    )


def bitmap_options(draw: st.DrawFn, kind: SetType) -> dict[str, Any]:
    if kind.name == "bitmap:port":
        return {"range": draw(st.tuples(st.integers(0, 65535), st.integers(0, 65535)))}
    first = draw(st.integers(0, 2**32 - 65536))
    if "netmask" in kind.create_options and draw(st.booleans()):
        prefix = draw(st.integers(0, 31))
        netmask = draw(st.integers(prefix + 1, min(32, prefix + 16)))
        block = first >> (32 - prefix) << (32 - prefix)
        return {
            "range": IPv4Network((block, max(prefix, 16 if netmask == 32 else 0)), strict=False),
            "netmask": netmask,
        }
    return {"range": (IPv4Address(first), IPv4Address(first + draw(st.integers(0, 65535))))}


def option_values(bits: int) -> dict[str, st.SearchStrategy[Any]]:
    word = st.integers(1, 2**32 - 1)
    return {
        "hashsize": st.integers(0, 2**27),
        "maxelem": word,
        "bucketsize": st.integers(2, 12),
        "initval": st.just(0) | word,
        "netmask": st.integers(1, bits),
        "bitmask": st.integers(1, 2**bits - 1).map(IPv4Address if bits == 32 else IPv6Address),
        "markmask": word,
        "size": st.integers(0, 2**32 - 1),
        "timeout": st.integers(0, 2147483),
        "counters": st.booleans(),
        "comment": st.booleans(),
        "skbinfo": st.booleans(),
        "forceadd": st.booleans(),
    }


@st.composite
def sets(draw: st.DrawFn) -> Set:
    kind = draw(st.sampled_from(list(SET_TYPES.values())))
    options: dict[str, Any] = bitmap_options(draw, kind) if "range" in kind.create_options else {}
    if kind.families:
        options["family"] = draw(st.sampled_from(kind.families))
    values = option_values(128 if options.get("family") is Family.IPV6 else 32)
    free = [name for name in kind.create_options if name in values and name not in options]
    if "range" in options:
        free = [name for name in free if name != "netmask"]
    chosen = draw(st.sets(st.sampled_from(free)))
    if "netmask" in chosen:
        chosen.discard("bitmask")
    return Set(draw(words(31)), kind, **options, **{name: draw(values[name]) for name in sorted(chosen)})


@given(sets())
def test_sets_survive_their_text(made: Set) -> None:
    assert Set.parse(str(made)) == made
    assert Set.parse(f"create {made} -exist") == made
    assert str(Set.parse(str(made))) == str(made)


@given(
    st.text()
    | st.lists(st.sampled_from([*SET_TYPES, *TEXTS[6][0].split(), "-4", "range", "0-9", "1.2.3.4/24"])).map(" ".join)
)
def test_any_text_is_a_set_or_refused(text: str) -> None:
    try:
        made = Set.parse(text)
    except ik.InvalidConfig:
        return
    assert Set.parse(str(made)) == made


EXTENSIONS = "timeout 300 counters comment skbinfo"
HASH = f"hashsize 128 maxelem 500 {EXTENSIONS} bucketsize 8 initval 0x00000005"
SAVED = [
    *(f"{kind.name} family inet6 {HASH}" for kind in SET_TYPES.values() if "family" in kind.create_options and kind.name != "hash:ip,mark"),
    f"hash:ip family inet {HASH}",
    f"hash:ip family inet netmask 24 {HASH}",
    f"hash:ip family inet bitmask 255.0.255.0 {HASH}",
    f"hash:ip family inet6 bitmask ffff:: {HASH}",
    f"hash:ip,port family inet {HASH} netmask 24",
    f"hash:ip,port family inet {HASH} bitmask 255.0.255.0",
    f"hash:net,net family inet {HASH} netmask 24",
    f"hash:net,net family inet {HASH} bitmask 255.0.255.0",
    f"hash:mac {HASH}",
    f"hash:ip,mark family inet markmask 0x0000ff00 {HASH}",
    f"bitmap:ip range 10.0.0.1-10.0.0.200 netmask 28 {EXTENSIONS}",
    f"bitmap:ip range 10.0.0.0/16 {EXTENSIONS}",
    f"bitmap:ip,mac range 10.0.0.9-10.0.0.1 {EXTENSIONS}",
    f"bitmap:port range 1023-0 {EXTENSIONS}",
    f"list:set size 2 {EXTENSIONS}",
    f"list:set size 8 {EXTENSIONS}",
]  # fmt: skip


@pytest.mark.skipif(shutil.which("ipset") is None, reason="needs the program ipset")
@pytest.mark.parametrize("text", SAVED)
def test_the_tool_saves_the_same_text(namespace: TestNetNS, text: str) -> None:
    made = Set.parse(f"a {text}")
    done = namespace.run(["ipset", "create", *f"a {text}".split()], check=False)
    if re.search("type not supported|Cannot open session|Your kernel is behind", done.stderr):
        pytest.skip(f"not on this kernel: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    saved = namespace.run(["ipset", "save"]).stdout.strip()
    if "bitmask" in text and "bitmask" not in saved:
        pytest.skip("a kernel before 6.2")
    if "bucketsize" in text and "bucketsize" not in saved:  # a kernel or a revision that does not show them
        made = dataclasses.replace(made, bucketsize=None, initval=None)
    assert saved == f"create {made}"
    # The other way round: the tool takes what we write.
    namespace.run(["ipset", "destroy"])
    namespace.run(["ipset", "restore"], input=f"create {made}\n")
    again = re.sub(" bucketsize .*0x[0-9a-f]{8}", "", namespace.run(["ipset", "save"]).stdout.strip())
    assert again == re.sub(" bucketsize .*0x[0-9a-f]{8}", "", saved)
