"""Commands of ipset: what the C core writes, byte for byte as the oracle writes it; and where fields of records stand.

Knows: which attributes each command must have. Must not know: how the C writes them, sockets.
"""

from __future__ import annotations

import errno
from itertools import pairwise
from struct import Struct
from typing import Any

import pytest

from ipvskit._native.elements import ROW_SIZE, element_layout
from ipvskit._native.ipset import COMMAND_SIZE, SET_SIZE, encode_commands
from ipvskit.errors import InvalidConfig
from ipvskit.ipset import commands, records
from ipvskit.ipset.commands import Command, Header
from ipvskit.model.address import Family
from ipvskit.sets.definition import Set
from ipvskit.sets.entry import ROW
from ipvskit.sets.shape import SHAPE
from tests.unit import ipset_wire
from tests.unit.ipset_wire import Fields

REQUEST = ipset_wire.NLM_F_REQUEST


def encode(*packed: bytes, room: int = 4096) -> bytes:
    out = bytearray(room)
    done, used = encode_commands(b"".join(packed), out)
    assert done == len(packed)
    return bytes(out[:used])


# --- layout -------------------------------------------------------------------------------------------------------------------------

LAYOUTS = {
    "ik_shape": (SHAPE, 9),
    "ik_element_row": (ROW, 23),
    "ik_ipset_set": (records.SET, 27),
    "ik_ipset_command": (Struct("=IIII" + records.SET.format.removeprefix("=")), 31),
}


def places(form: str) -> list[int]:
    """Where each value of a format stands."""
    kinds, found, repeat = form.removeprefix("="), [], ""
    before = "="
    for letter in kinds:
        if letter.isdigit():
            repeat += letter
            continue
        count = int(repeat or 1)
        for _ in range(count if letter not in "sx" else 1):
            if letter != "x":
                found.append(Struct(before).size)
            before += f"{repeat}{letter}" if letter in "sx" else letter
        repeat = ""
    return found


@pytest.mark.parametrize("name", LAYOUTS)
def test_formats_are_the_records(name: str) -> None:
    form, count = LAYOUTS[name]
    size, fields = element_layout(name)
    assert form.size == size
    unused = {"reserved", "reserved2"} if name != "ik_ipset_command" else set()
    offsets: list[int] = []
    for field, offset in fields.items():
        if name == "ik_ipset_command" and field == "set":
            offsets += [offset + each for each in places(records.SET.format)]
        elif field not in unused:
            offsets.append(offset)
    # Arrays are several values, but for bytes of one number, which are one.
    found = places(form.format)
    assert len(found) == count
    assert set(offsets) <= set(found)
    extra = set(found) - set(offsets)
    ends = [*sorted(offsets)[1:], size]
    arrays = {"ik_shape": 0, "ik_element_row": 3}.get(name, 0)  # the second ones of address, last and prefix
    assert len(extra) == arrays
    assert all(any(low < each < high for low, high in zip(sorted(offsets), ends, strict=True)) for each in extra)


def test_sizes() -> None:
    assert (ROW.size, records.SET.size, records.SET.size + 16) == (ROW_SIZE, SET_SIZE, COMMAND_SIZE)
    assert Header.__slots__[:4] == ("index", "present", "name", "name2")


def test_a_header_survives_packing() -> None:
    values: dict[str, Any] = {name: number for number, name in enumerate(Header.__slots__, 1)}
    for name in ("name", "name2"):
        values[name] = name.encode().ljust(32, b"\0")
    for name in ("first", "last", "bitmask"):
        values[name] = name.encode().ljust(16, b"\0")
    header = Header(**values)
    assert commands.decode_headers(header.pack()) == [header]
    assert len({value for value in values.values() if isinstance(value, int)}) == len(Header.__slots__) - 5


# --- commands -----------------------------------------------------------------------------------------------------------------------

COMMANDS: dict[str, tuple[bytes, str, int, Fields]] = {
    "protocol": (commands.command(Command.PROTOCOL), "PROTOCOL", REQUEST, {}),
    "destroy": (commands.command(Command.DESTROY, "a", flags=0x200), "DESTROY", REQUEST | 0x200, {"setname": "a"}),
    "destroy all": (commands.command(Command.DESTROY), "DESTROY", REQUEST, {}),
    "flush": (commands.command(Command.FLUSH, "a" * 31), "FLUSH", REQUEST, {"setname": "a" * 31}),
    "rename": (commands.command(Command.RENAME, "a", "bcd"), "RENAME", REQUEST, {"setname": "a", "setname2": "bcd"}),
    "swap": (commands.command(Command.SWAP, "ä", "b"), "SWAP", REQUEST, {"setname": "ä", "setname2": "b"}),
    "list": (commands.command(Command.LIST, flags=commands.NLM_F_DUMP), "LIST", REQUEST | 0x300, {}),
    "list names": (
        commands.command(Command.LIST, flags=commands.NLM_F_DUMP, listing=commands.LIST_NAMES),
        "LIST",
        REQUEST | 0x300,
        {"flags": 2},
    ),
    "list one, its header": (
        commands.command(Command.LIST, "a", flags=commands.NLM_F_DUMP, listing=commands.LIST_HEADERS),
        "LIST",
        REQUEST | 0x300,
        {"setname": "a", "flags": 4},
    ),
    "header": (commands.command(Command.HEADER, "a"), "HEADER", REQUEST, {"setname": "a"}),
    "index": (commands.command(Command.GET_BYNAME, "a"), "GET_BYNAME", REQUEST, {"setname": "a"}),
    "name": (commands.command(Command.GET_BYINDEX, index=0x1234), "GET_BYINDEX", REQUEST, {"index": 0x1234}),
    "type": (commands.query_type("hash:ip", Family.IPV6), "TYPE", REQUEST, {"typename": "hash:ip", "family": 10}),
    "type of none": (commands.query_type("list:set", None), "TYPE", REQUEST, {"typename": "list:set", "family": 0}),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_commands(name: str) -> None:
    packed, command, flags, fields = COMMANDS[name]
    assert encode(packed) == ipset_wire.build(command, header=flags, **fields)


def test_commands_are_numbered_and_stop_where_room_ends() -> None:
    packed = [entry[0] for entry in COMMANDS.values()]
    wanted = [
        ipset_wire.build(command, header=flags, sequence=number, **fields)
        for number, (_, command, flags, fields) in enumerate(COMMANDS.values())
    ]
    assert encode(*packed) == b"".join(wanted)
    ends = [0]
    for one in wanted:
        ends.append(ends[-1] + len(one))
    for number, (last, end) in enumerate(pairwise(ends), 1):
        assert encode_commands(b"".join(packed), bytearray(end)) == (number, end)
        if last:
            assert encode_commands(b"".join(packed), bytearray(end - 1)) == (number - 1, last)
    with pytest.raises(OSError) as caught:
        encode_commands(packed[0], bytearray(ends[1] - 1))
    assert caught.value.errno == errno.ENOSPC
    assert encode_commands(b"", bytearray(1)) == (0, 0)


@pytest.mark.parametrize("number", [0, 16, 2**32 - 1])
def test_no_such_command(number: int) -> None:
    with pytest.raises(OSError) as caught:
        encode(Struct("=IIII").pack(number, 0, 0, 0) + Header().pack())
    assert caught.value.errno == errno.EINVAL


@pytest.mark.parametrize("name", ["", "a" * 32, "a b", 'a"', "a\n", "ä" * 16, 7, None])
def test_bad_names(name: Any) -> None:
    with pytest.raises(InvalidConfig):
        commands.set_name(name)


@pytest.mark.parametrize("index", [-1, 65536])
def test_bad_indexes(index: int) -> None:
    with pytest.raises(InvalidConfig):
        commands.command(Command.GET_BYINDEX, index=index)


# --- create -------------------------------------------------------------------------------------------------------------------------

V4, V6, NONE = 2, 10, 0

CREATES: dict[str, tuple[int, Fields]] = {
    "s hash:ip": (V4, {}),
    "s hash:ip family inet6": (V6, {}),
    "s hash:mac": (NONE, {}),
    "s hash:ip hashsize 128": (V4, {"hashsize": 128}),
    "s hash:ip hashsize 134217728": (V4, {"hashsize": 2**27}),
    "s hash:net maxelem 4294967295": (V4, {"maxelem": 2**32 - 1}),
    "s hash:ip bucketsize 4": (V4, {"bucketsize": 4}),
    "s hash:ip initval 0x12345678": (V4, {"initval": 0x12345678}),
    "s hash:ip netmask 24": (V4, {"netmask": 24}),
    "s hash:ip family inet6 netmask 64": (V6, {"netmask": 64}),
    "s hash:ip bitmask 255.0.255.0": (V4, {"bitmask": "255.0.255.0"}),
    "s hash:ip family inet6 bitmask ffff::ff00": (V6, {"bitmask": "ffff::ff00"}),
    "s hash:ip,mark markmask 0xff00": (V4, {"markmask": 0xFF00}),
    "s bitmap:ip range 10.0.0.0/24": (V4, {"ip": "10.0.0.0", "ip_to": "10.0.0.255"}),
    "s bitmap:ip range 10.0.0.0/8 netmask 24": (V4, {"ip": "10.0.0.0", "ip_to": "10.255.255.255", "netmask": 24}),
    "s bitmap:ip,mac range 10.0.0.1-10.0.0.9": (V4, {"ip": "10.0.0.1", "ip_to": "10.0.0.9"}),
    "s bitmap:port range 0-1023": (NONE, {"port": 0, "port_to": 1023}),
    "s list:set size 16": (NONE, {"size": 16}),
    "s hash:ip timeout 0": (V4, {"timeout": 0}),
    "s hash:ip timeout 2147483": (V4, {"timeout": 2147483}),
    "s hash:ip counters": (V4, {"cadt_flags": 8}),
    "s hash:ip comment": (V4, {"cadt_flags": 16}),
    "s hash:ip forceadd": (V4, {"cadt_flags": 32}),
    "s hash:ip skbinfo": (V4, {"cadt_flags": 64}),
    "s bitmap:port range 5-5 timeout 7 counters comment skbinfo": (
        NONE,
        {"port": 5, "port_to": 5, "timeout": 7, "cadt_flags": 8 | 16 | 64},
    ),
    "s hash:ip,mark family inet6 hashsize 64 maxelem 5 timeout 1 counters comment forceadd skbinfo bucketsize 2 initval 0x1 markmask 0x1": (
        V6,
        {"timeout": 1, "cadt_flags": 8 | 16 | 32 | 64, "markmask": 1}
        | {"initval": 1, "hashsize": 64, "maxelem": 5, "bucketsize": 2},
    ),
}  # fmt: skip


@pytest.mark.parametrize("text", CREATES)
@pytest.mark.parametrize("revision", [0, 255])
def test_create(text: str, revision: int) -> None:
    family, data = CREATES[text]
    wanted = Set.parse(text)
    expected = ipset_wire.build(
        "CREATE", setname="s", typename=wanted.type, revision=revision, family=family, data=data
    )
    assert encode(commands.create(wanted, revision)) == expected


def test_every_create_option_is_tried() -> None:
    tried = {name for _, data in CREATES.values() for name in data}
    only_of_kernels = {"elements", "references", "memsize", "resize", "cidr", "proto", "lineno", "mark"}
    assert tried == set(ipset_wire.CREATE) - only_of_kernels
