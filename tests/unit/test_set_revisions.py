"""Which revision a set is created with, and what tells a wanted set from a held one.

Knows: `choose`, `differences`. Must not know: the kernel.
"""

from __future__ import annotations

import errno
from typing import Any

import pytest

import ipvskit as ik
from ipvskit.errors import SetFeatureNotAvailable
from ipvskit.model.settype import SET_TYPES, SetType
from ipvskit.sets.definition import Set
from ipvskit.sets.differences import differences
from ipvskit.sets.revisions import choose, features_of

#: (text, newest revision of the kernel, what is chosen)
CHOSEN = [
    ("s hash:ip", 6, 0),
    ("s hash:ip netmask 24 timeout 0", 6, 0),
    ("s hash:ip counters", 6, 1),
    ("s hash:ip comment counters", 6, 2),
    ("s hash:ip forceadd", 6, 3),
    ("s hash:ip skbinfo", 6, 4),
    ("s hash:ip initval 0x1", 6, 5),
    ("s hash:ip bucketsize 8", 5, 5),
    ("s hash:ip bitmask 255.0.0.0", 6, 6),
    ("s hash:net", 7, 2),
    ("s hash:net counters", 7, 3),
    ("s hash:ip,port", 7, 1),
    ("s hash:ip,port netmask 24", 7, 7),
    ("s hash:ip,port,net", 8, 3),
    ("s hash:net,iface", 8, 2),
    ("s hash:net,net comment", 4, 0),
    ("s hash:net,net netmask 24", 4, 4),
    ("s hash:mac skbinfo forceadd", 1, 0),
    ("s list:set", 3, 0),
    ("s bitmap:port range 0-9 skbinfo", 3, 3),
]


@pytest.mark.parametrize(("text", "newest", "revision"), CHOSEN)
def test_the_lowest_that_is_enough(text: str, newest: int, revision: int) -> None:
    wanted = Set.parse(text)
    assert choose(wanted.set_type, wanted, (0, newest)) == revision
    assert choose(wanted.set_type, wanted, (0, newest), "latest") == newest
    assert choose(wanted.set_type, wanted, (min(newest, revision + 1), newest)) == min(newest, revision + 1)


def test_wildcards_of_entries_count() -> None:
    wanted = Set("s", "hash:net,iface")
    assert choose(wanted.set_type, wanted, (0, 8), entry_features=frozenset({"wildcard"})) == 7
    with pytest.raises(SetFeatureNotAvailable, match=r"wildcard needs revision 7 of hash:net,iface.* newest is 6"):
        choose(wanted.set_type, wanted, (0, 6), entry_features=frozenset({"wildcard"}))


def test_a_number_is_taken_as_it_is() -> None:
    wanted = Set("s", "hash:ip", comment=True)
    kind = wanted.set_type
    assert [choose(kind, wanted, (0, 6), number) for number in range(7)] == list(range(7))
    with pytest.raises(SetFeatureNotAvailable, match="revision 7 of hash:ip was asked for, and this kernel has 0 to 6"):
        choose(kind, wanted, (0, 6), 7)
    for wish in (True, -1, "newest", None, 1.0):
        with pytest.raises(ik.InvalidConfig, match="revision"):
            choose(kind, wanted, (0, 6), wish)  # type: ignore[arg-type]


@pytest.mark.parametrize("wish", ["compatible", "latest", 3])
def test_what_a_kernel_lacks_is_named(wish: Any) -> None:
    wanted = Set("mine", "hash:ip", bitmask="255.0.255.0", comment=True)
    with pytest.raises(SetFeatureNotAvailable) as caught:
        choose(wanted.set_type, wanted, (0, 5), wish)
    assert caught.value.errno == errno.EOPNOTSUPP
    assert caught.value.key == "mine"
    assert caught.value.operation == "create"
    assert "bitmask needs revision 6 of hash:ip, and this kernel's newest is 5" in str(caught.value)


@pytest.mark.parametrize("kind", SET_TYPES.values(), ids=str)
def test_every_feature_is_known_to_the_table(kind: SetType) -> None:
    range_ = {"bitmap:port": "0-9"}.get(kind.name, "10.0.0.0/24") if "range" in kind.create_options else None
    given: dict[str, Any] = dict.fromkeys(("counters", "comment", "skbinfo"), True)
    if "hashsize" in kind.create_options:
        given |= {"forceadd": True, "initval": 1}
    wanted = Set("s", kind, range=range_, **given)
    newest = max(kind.revision_of(feature) for feature in features_of(wanted))
    assert choose(kind, wanted, (0, 9)) == max(newest, kind.syntax_revision, kind.lowest)


#: (wanted, held, fields that differ)
PAIRS = [
    ("s hash:ip", "t hash:ip hashsize 1024 maxelem 65536 bucketsize 12 initval 0x5", []),
    ("s hash:ip", "s hash:ip hashsize 4096", []),
    ("s hash:ip hashsize 1000", "s hash:ip hashsize 4096", []),
    ("s hash:ip hashsize 5000", "s hash:ip hashsize 4096", ["hashsize"]),
    ("s hash:ip hashsize 5000", "s hash:ip", []),
    ("s hash:ip", "s hash:ip maxelem 5", ["maxelem"]),
    ("s hash:ip bucketsize 7", "s hash:ip bucketsize 8", []),
    ("s hash:ip bucketsize 7", "s hash:ip bucketsize 12", ["bucketsize"]),
    ("s hash:ip bucketsize 7 initval 1", "s hash:ip", []),
    ("s hash:ip initval 1", "s hash:ip initval 2", ["initval"]),
    ("s hash:ip netmask 32", "s hash:ip", []),
    ("s hash:ip bitmask 255.255.255.255", "s hash:ip", []),
    ("s hash:ip bitmask 255.255.255.0", "s hash:ip netmask 24", []),
    ("s hash:ip bitmask 255.0.255.0", "s hash:ip netmask 24", ["bitmask"]),
    ("s hash:ip netmask 25", "s hash:ip netmask 24", ["netmask"]),
    ("s hash:ip", "s hash:ip netmask 24", ["netmask"]),
    ("s hash:ip family inet6 netmask 128", "s hash:ip family inet6", []),
    ("s hash:ip family inet6", "s hash:ip", ["family"]),
    ("s hash:ip", "s hash:net", ["type"]),
    ("s hash:ip timeout 0", "s hash:ip", ["timeout"]),
    ("s hash:ip", "s hash:ip timeout 5", ["timeout"]),
    ("s hash:ip counters comment skbinfo forceadd", "s hash:ip", ["counters", "comment", "skbinfo", "forceadd"]),
    ("s hash:ip,mark", "s hash:ip,mark markmask 0xffffffff", []),
    ("s hash:ip,mark markmask 1", "s hash:ip,mark", ["markmask"]),
    ("s list:set", "s list:set size 8", []),
    ("s list:set size 2", "s list:set size 4", []),
    ("s list:set", "s list:set size 4", ["size"]),
    ("s bitmap:ip range 10.0.0.0/24", "s bitmap:ip range 10.0.0.0-10.0.0.255", []),
    ("s bitmap:ip range 10.0.0.0/24", "s bitmap:ip range 10.0.0.0-10.0.0.254", ["range"]),
    ("s bitmap:port range 9-0", "s bitmap:port range 0-9", []),
]


@pytest.mark.parametrize(("wanted", "held", "fields"), PAIRS)
def test_differences(wanted: str, held: str, fields: list[str]) -> None:
    found = differences(Set.parse(wanted), Set.parse(held), 3)
    assert [field for field, _, _ in found] == fields
    assert all(one != other for _, one, other in found)


def test_revisions_are_compared_if_one_is_wanted() -> None:
    same = Set("s", "hash:ip")
    assert differences(same, same, 3, 3) == []
    assert differences(same, same, 6, 3) == [("revision", 3, 6)]
