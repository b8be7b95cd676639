"""The table of set types against what the kernel and its tool say.

Knows: the table, `ipset help`. Must not know: how sets are made.
"""

from __future__ import annotations

import pickle
import shutil
import subprocess

import pytest

import ipvskit as ik
from ipvskit.model.address import Family
from ipvskit.model.settype import SET_TYPES, Part, SetType, type_table

#: The newest revisions of Linux 6.2 and later (`IPSET_CMD_TYPE`).
NEWEST = {
    "bitmap:ip": 3,
    "bitmap:ip,mac": 3,
    "bitmap:port": 3,
    "hash:ip": 6,
    "hash:mac": 1,
    "hash:ip,mac": 1,
    "hash:ip,mark": 3,
    "hash:ip,port": 7,
    "hash:ip,port,ip": 6,
    "hash:ip,port,net": 8,
    "hash:net": 7,
    "hash:net,net": 4,
    "hash:net,port": 8,
    "hash:net,port,net": 3,
    "hash:net,iface": 8,
    "list:set": 3,
}


def test_every_type_is_there_with_its_newest_feature() -> None:
    assert {name: max(kind.revisions.values()) for name, kind in SET_TYPES.items()} == NEWEST


@pytest.mark.parametrize("kind", SET_TYPES.values(), ids=str)
def test_each_revision_brought_something(kind: SetType) -> None:
    assert set(kind.revisions.values()) == set(range(1, NEWEST[kind.name] + 1))
    options = {*kind.create_options, *kind.entry_options, "sctp", "ranges", "zero prefix"}
    assert kind.revisions.keys() <= options
    assert kind.lowest == (1 if "sctp" in kind.revisions else 0)


@pytest.mark.parametrize("kind", SET_TYPES.values(), ids=str)
def test_rows_agree_with_themselves(kind: SetType) -> None:
    parts = kind.name.partition(":")[2].split(",")
    meant = {
        "ip": Part.ADDRESS,
        "net": Part.NET,
        "port": Part.NUMBER if kind.name == "bitmap:port" else Part.PORT,
        "mark": Part.MARK,
        "mac": Part.MAC,
        "iface": Part.INTERFACE,
        "set": Part.SET,
    }
    assert kind.parts == tuple(meant[part] for part in parts)
    assert bool(kind.families) == (not {Part.ADDRESS, Part.NET}.isdisjoint(kind.parts))
    assert ("nomatch" in kind.entry_options) == (Part.NET in kind.parts)
    assert ("range" in kind.create_options) == kind.name.startswith("bitmap")
    assert ("hashsize" in kind.create_options) == kind.name.startswith("hash")
    assert ("family" in kind.create_options) == (len(kind.families) == 2)
    assert SetType.of(kind.name) is kind
    assert [SetType.of(alias) for alias in kind.aliases] == [kind]
    assert pickle.loads(pickle.dumps(kind)) is kind


@pytest.mark.skipif(shutil.which("ipset") is None, reason="needs the program ipset")
@pytest.mark.parametrize("kind", SET_TYPES.values(), ids=str)
def test_the_tool_lists_the_same_options_in_the_same_order(kind: SetType) -> None:
    said = subprocess.run(["ipset", "help", kind.name], check=True, capture_output=True, text=True).stdout
    own = said.partition("type specific options:")[2]
    create, _, rest = own.partition("\nadd ")
    entry = rest.partition("\ndel ")[0]
    # An option is a word behind a bracket; those that must be given stand there without one.
    words = [word.strip("[]") for line in create.splitlines() for word in line.split() if word.strip("[]")]
    named = [word for number, word in enumerate(words) if word in kind.create_options and words[number - 1] != word]
    assert tuple(dict.fromkeys(named)) == kind.create_options
    lines = [line.strip().strip("[]").split()[0] for line in entry.splitlines()[1:] if line.strip().startswith("[")]
    told = [name for line in lines for name in line.split("|")]
    assert tuple(dict.fromkeys(told)) == kind.entry_options


def test_unknown_types_are_refused_with_all_known_ones() -> None:
    with pytest.raises(ik.InvalidConfig) as caught:
        SetType.of("hash:host")
    assert caught.value.field == "type"
    assert all(name in caught.value.expected for name in SET_TYPES)
    with pytest.raises(ik.InvalidConfig):
        SetType.of(None)  # type: ignore[arg-type]


def test_properties_of_single_types() -> None:
    assert [kind.name for kind in SET_TYPES.values() if kind.zero_prefix] == ["hash:net,port,net", "hash:net,iface"]
    assert [kind.name for kind in SET_TYPES.values() if kind.no_null] == ["hash:ip"]
    assert [kind.name for kind in SET_TYPES.values() if kind.mac_is_value] == ["bitmap:ip,mac"]
    assert SET_TYPES["bitmap:ip"].families == (Family.IPV4,)
    assert SET_TYPES["hash:net,iface"].syntax_revision == 2
    assert SET_TYPES["hash:ip,port,net"].syntax_revision == 3
    assert SET_TYPES["hash:ip"].syntax_revision == 0


def test_markdown_table() -> None:
    head, dashes, *rows = type_table().splitlines()
    assert head.count("|") == dashes.count("|") == 8
    assert len(rows) == 16
    assert all(row.count("|") == 8 and row.startswith("| `") for row in rows)
    assert "5 bucketsize, 6 bitmask" in rows[3]
    assert "(`iphash`)" in rows[3]
