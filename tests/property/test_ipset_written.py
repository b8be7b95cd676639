"""Elements attribute by attribute, in Python and in C: as long, and in the same messages, whichever writes them.

Knows: libipset's portions. Must not know: the command line, kernels (`tests/kernel/test_cli_ipset.py` compares with libipset itself).
"""

from __future__ import annotations

import struct
from ipaddress import IPv4Address, IPv6Address
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipvskit._native import elements as native
from ipvskit._native.ipset import encode_elements
from ipvskit.ipset import written
from ipvskit.model.address import Family
from ipvskit.model.settype import SetType
from ipvskit.sets.shape import shape_of_type
from tests.examples import examples

EXCL = 0x200
Line = tuple[str, dict[str, Any]]


@st.composite
def lines(draw: st.DrawFn, kind: str, family: Family) -> Line:
    """The text of an element, and the same as values."""
    values: dict[str, Any] = {}
    make = IPv4Address if family is Family.IPV4 else IPv6Address
    address = make(draw(st.integers(1, 2**32 - 1)))
    values["ip"] = address.packed
    text = str(address)
    if kind == "hash:net":
        prefix = draw(st.none() | st.integers(1, 31))
        if prefix is not None:
            text, values["cidr"] = f"{text}/{prefix}", prefix
    if kind == "hash:ip,port":
        values["proto"], values["port"] = 17, draw(st.integers(0, 65535))
        text += f",udp:{values['port']}"
    for option, value in draw(st.dictionaries(st.sampled_from(sorted(OPTIONS)), st.integers(0, 2**15))).items():
        text += OPTIONS[option](values, value)
    return text, values


def _number(name: str) -> Any:
    def add(values: dict[str, Any], value: int) -> str:
        values[name] = value
        return f" {name} {value}"

    return add


def _comment(values: dict[str, Any], value: int) -> str:
    values["comment"] = "x" * (1 + value % 255)
    return f' comment "{values["comment"]}"'


def _mark(values: dict[str, Any], value: int) -> str:
    values["skbmark"] = value << 32 | 0xFFFFFFFF
    return f" skbmark 0x{value:x}"


OPTIONS = {
    "timeout": _number("timeout"),
    "packets": _number("packets"),
    "bytes": _number("bytes"),
    "skbqueue": _number("skbqueue"),
    "comment": _comment,
    "skbmark": _mark,
}


def in_python(name: str, found: list[Line]) -> list[tuple[int, int]]:
    """How many elements each message has, and its length."""
    messages, body, count = [], bytearray(), 0
    for _, values in found:
        part, wanted = written.element(values, count + 1)
        if wanted > written.MESSAGE - written.empty(name) - len(body):
            messages.append((count, len(written.many(written.ADD, EXCL, name, body))))
            body, count = bytearray(), 0
            part, _ = written.element(values, 1)
        body += part
        count += 1
    return [*messages, (count, len(written.many(written.ADD, EXCL, name, body)))]


def in_c(kind: str, family: Family, name: str, found: list[Line]) -> list[tuple[int, int]]:
    table = native.Table(shape_of_type(SetType.of(kind), family))
    taken = table.parse(native.APPEND, 1, "\n".join(text for text, _ in found).encode())
    assert not taken.faults
    out = bytearray(1 << 20)
    done, used, firsts = encode_elements(
        written.ADD, EXCL, name.encode(), table, 0, len(table), out, message=written.MESSAGE, libipset=True
    )
    lengths, place = [], 0
    while place < used:
        lengths.append(struct.unpack_from("=I", out, place)[0])
        place += lengths[-1]
    counts = [after - before for before, after in zip(firsts, [*firsts[1:], done], strict=True)]
    return list(zip(counts, lengths, strict=True))


@pytest.mark.parametrize("kind", ["hash:ip", "hash:net", "hash:ip,port"])
@pytest.mark.parametrize("family", list(Family))
@settings(max_examples=examples(25))
@given(data=st.data())
def test_both_fill_messages_alike(kind: str, family: Family, data: st.DataObject) -> None:
    found = data.draw(st.lists(lines(kind, family), min_size=1, max_size=8))
    many = (found * 60)[: data.draw(st.integers(1, 400))]
    name = data.draw(st.text("abc", min_size=1, max_size=31))
    assert in_c(kind, family, name, many) == in_python(name, many)


@given(st.lists(lines("hash:net", Family.IPV4), min_size=1, max_size=9), st.integers(0, 9))
def test_behind_the_first_ones(found: list[Line], count: int) -> None:
    parts = [written.element(values, place)[0] for place, (_, values) in enumerate(found, 1)]
    message = written.many(written.DEL, 0, "a", b"".join(parts))
    count = min(count, len(parts))
    assert written.behind(message, "a", count) == b"".join(parts[count:])
    assert written.empty("a") == len(written.many(written.DEL, 0, "a", b""))


def test_numbers_of_elements_go_on() -> None:
    table = native.Table(shape_of_type(SetType.of("hash:ip"), Family.IPV4))
    table.parse(native.APPEND, 1, b"10.0.0.1\n10.0.0.2")
    out = bytearray(4096)
    _, used, _ = encode_elements(written.ADD, 0, b"s", table, 0, 2, out, libipset=True, line=5)
    body = bytes(out[written.empty("s") : used])
    assert [struct.unpack_from("=I", body, end - 4)[0] for end in (len(body) // 2, len(body))] == [6, 7]
