"""The fake ipset kernel beside the real one: the same random requests, valid and malformed, must get the same answers.

Knows: how to make requests that are wrong in every way, how to compare. Must not know: how the fake does it. Needs root; it runs on
whatever kernel there is, against a fake of that release. As a program it goes on for longer:

    python -m tests.unit.test_fake_ipset_differential ROUNDS [SEED [TYPE]]
"""

from __future__ import annotations

import os
import random
import select
import socket
import struct
import sys
from typing import TYPE_CHECKING, Any

import pytest

from ipvskit import _native
from ipvskit.testing.fake.ipset import TYPES, FakeIpset
from ipvskit.testing.namespaces import TestNetNS
from tests.unit import ipset_wire as wire
from tests.unit.test_fake_ipset_requests import Requests, requests_of_round

if TYPE_CHECKING:
    from collections.abc import Iterator

Fields = dict[str, Any]

_SOL_NETLINK, _CAP_ACK, _NETFILTER = 270, 10, 12
_BARRIER = 0x7FFFFFFF


class Real:
    """A socket to the real kernel in a fresh namespace."""

    def __init__(self) -> None:
        self.namespace = TestNetNS()
        descriptor = _native.netns_socket(self.namespace.fileno(), socket.AF_NETLINK, socket.SOCK_RAW, _NETFILTER)
        self.socket = socket.socket(fileno=descriptor)
        self.socket.setsockopt(_SOL_NETLINK, _CAP_ACK, 1)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self.socket.settimeout(3)

    def exchange(self, data: bytes) -> bytes:
        """Send messages; everything that is answered until the answer to one more."""
        self.socket.send(data + wire.build("PROTOCOL", sequence=_BARRIER, header=1))
        found = b""
        while True:
            for one in self._receive():
                if one.sequence == _BARRIER:
                    return found
                found += _packed(one)

    def dump(self, message: bytes) -> bytes:
        """A listing up to its end."""
        self.socket.send(message)
        found = b""
        while True:
            for one in self._receive():
                found += _packed(one)
                if one.type in {wire.NLMSG_ERROR, wire.NLMSG_DONE}:
                    while select.select([self.socket], [], [], 0)[0]:
                        found += b"".join(map(_packed, self._receive()))
                    return found

    def _receive(self) -> list[wire.Message]:
        return wire.read_messages(self.socket.recv(1 << 17))

    def close(self) -> None:
        self.socket.close()
        self.namespace.close()


def _packed(one: wire.Message) -> bytes:
    length = wire.MESSAGE.size + len(one.payload)
    return wire.MESSAGE.pack(length, one.type, one.flags, one.sequence, 0) + one.payload + bytes(-length % 4)


# --- comparing ----------------------------------------------------------------------------------------------------------------------


def _settled(fields: Fields) -> Fields:
    # What depends on the seed of the hash, on the allocator, or on when the clock ticks.
    found = {name: value for name, value in fields.items() if name not in {"memsize", "initval", "hashsize"}}
    if found.get("timeout", 0) > 1:
        found["timeout"] = "longest" if found["timeout"] > 2147000 else (found["timeout"] + 50) // 100
    return found


def _listed(data: bytes) -> object:
    messages = wire.read(data)
    sets = wire.merge(messages)
    for held in sets.values():
        held["data"] = _settled(held.get("data", {}))
        elements = [repr(_settled(one)) for one in held["adt"]]
        held["adt"] = elements if held.get("typename") == "list:set" else sorted(elements)
    other = [(one["command"], one.get("error")) for one in messages if one["command"] != "LIST"]
    return list(sets.items()), other


class Pair:
    """Both kernels."""

    def __init__(self) -> None:
        self.real = Real()
        self.release = os.uname().release
        self.restart()

    def restart(self) -> None:
        """Begin with nothing."""
        self.real.close()
        self.real = Real()
        self.fake = FakeIpset(self.release)
        self.transport = self.fake.transport(lies=False)

    def both(self, data: bytes) -> tuple[object, object]:
        """The answers to a request, in a form that can be compared."""
        command = data[4]
        if command in {7, 8}:
            return _listed(self.real.dump(data)), _listed(b"".join(self.transport.dump(data)))
        answers = self.real.exchange(data), self.transport.exchange(data, 1).data
        first, second = [[(one.type, one.flags, one.payload) for one in wire.read_messages(each)] for each in answers]
        return first, second

    def close(self) -> None:
        """Both."""
        self.real.close()
        self.transport.close()


def types_here(real: Real) -> list[str]:
    """The types that the kernel has."""
    questions = {name: wire.build("TYPE", typename=name, family=kind.family) for name, kind in TYPES.items()}
    return [name for name, one in questions.items() if wire.read(real.exchange(one))[0]["command"] == "TYPE"]


def differences(pair: Pair, types: list[str], seed: int, kind: str | None = None) -> str:
    """One round; what was answered differently first, if anything was."""
    requests = Requests(random.Random(seed), types)
    pair.restart()
    for number, data in enumerate(requests_of_round(requests, kind)):
        try:
            real, fake = pair.both(data)
        except TimeoutError:
            real, fake = "no answer", ""
        if real != fake:
            told = f"round {seed}, request {number}: {describe(data)}\nsets {requests.families}\n"
            return f"{told}real {_beyond(real, fake)}\nfake {_beyond(fake, real)}"
    return ""


def _beyond(one: Any, other: Any) -> object:
    # Of two listings, what the other does not have.
    if not isinstance(one, tuple) or not isinstance(other, tuple):
        return one
    others = dict(other[0])
    found = [
        item for name, held in one[0] for item in _items(name, held) if item not in _items(name, others.get(name, {}))
    ]
    return found[:5], one[1]


def _items(name: str, held: Fields) -> list[object]:
    return [(name, element) for element in held.get("adt", [])] + [(name, {**held, "adt": 0})]


def describe(data: bytes) -> str:
    """A request as text, whatever is wrong with it."""
    command = wire.COMMANDS[data[4]]
    (message,) = wire.read_messages(data)
    body = message.payload[wire.GENERIC.size :]
    try:
        inner = wire.CREATE if command == "CREATE" else wire.ELEMENT
        fields: object = wire.read_fields(wire.COMMAND, body, inner)
    except (ValueError, KeyError, IndexError, struct.error):
        fields = [(hex(kind), payload.hex(" ", -4)) for kind, payload in wire.read_attributes(body)]
    return f"{command} {message.flags:#x} {fields}"


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    """Both kernels, for all tests of this file."""
    if os.geteuid() != 0:
        pytest.fail("comparing with the real kernel needs root")
    both = Pair()
    yield both
    both.close()


@pytest.mark.parametrize("kind", TYPES)
def test_the_fake_answers_as_the_kernel(pair: Pair, kind: str) -> None:
    types = types_here(pair.real)
    if kind not in types:
        pytest.skip(f"this kernel has no {kind}")
    for seed in range(12):
        assert differences(pair, types, seed, kind) == ""


def test_the_fake_answers_as_the_kernel_when_sets_are_mixed(pair: Pair) -> None:
    types = types_here(pair.real)
    for seed in range(60):
        assert differences(pair, types, seed) == ""


def main(arguments: list[str]) -> int:
    """Many rounds."""
    rounds, seed = int(arguments[0]), int(arguments[1]) if len(arguments) > 1 else 0
    pair = Pair()
    types = types_here(pair.real)
    wrong = 0
    for number in range(seed, seed + rounds):
        kind = arguments[2] if len(arguments) > 2 else types[number % len(types)] if number % 3 else None
        found = differences(pair, types, number, kind)
        if found:
            wrong += 1
            print(found, "\n", flush=True)
            if wrong == 8:
                break
    print(f"{os.uname().release}: {len(types)} types, {number - seed + 1} rounds, {wrong} with differences")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
