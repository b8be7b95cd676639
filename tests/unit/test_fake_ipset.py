"""The fake ipset kernel: batches, time, references, listings and lies. What requests mean is compared with a real kernel elsewhere.

Knows: the fake's public names. Must not know: its insides.
"""

from __future__ import annotations

import errno
from typing import Any

import pytest

from ipvskit.errors import ClosedError, TimedOut
from ipvskit.testing.fake.ipset import (
    Before,
    Command,
    Dumped,
    Duplicate,
    Fail,
    FakeIpset,
    FakeTransport,
    LoseAnswers,
    Omit,
    Refuse,
)
from tests.unit import ipset_wire as wire

EXIST, BUSY, REFERENCED = 4103, 4100, 4108


class Clock:
    """A clock that stands still."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def ask(transport: FakeTransport, command: str, **fields: Any) -> list[int]:
    """The errors of one command."""
    reply = transport.exchange(wire.build(command, **fields), 1)
    return [one["error"] for one in wire.read(reply.data) if one["command"] == "ERROR"]


def listed(transport: FakeTransport, **fields: Any) -> dict[str, wire.Fields]:
    """The sets of a listing."""
    return wire.merge(wire.read(b"".join(transport.dump(wire.build("LIST", **fields)))))


def make(transport: FakeTransport, name: str, kind: str = "hash:ip", family: int = 2, **data: Any) -> None:
    """A set."""
    assert ask(transport, "CREATE", setname=name, typename=kind, revision=1, family=family, data=data) == []


def add(transport: FakeTransport, name: str, *addresses: str) -> list[int]:
    """Elements, in one message."""
    elements = [{"ip": address, "lineno": number} for number, address in enumerate(addresses, 1)]
    return ask(transport, "ADD", setname=name, lineno=0, adt=elements)


@pytest.fixture
def fake() -> FakeIpset:
    return FakeIpset(clock=Clock())


@pytest.fixture
def transport(fake: FakeIpset) -> FakeTransport:
    return fake.transport()


def test_a_batch_ends_at_its_first_error_and_names_the_line(transport: FakeTransport) -> None:
    make(transport, "s")
    assert add(transport, "s", "10.0.0.1") == []
    elements = [{"ip": f"10.0.0.{number}", "lineno": number} for number in (3, 2, 1, 4)]
    message = wire.build("ADD", setname="s", lineno=77, adt=elements)
    (answer,) = wire.read(transport.exchange(message, 1).data)
    assert (answer["error"], wire.error_line(answer["request"])) == (EXIST, 1)
    assert answer["request"][: wire.MESSAGE.size] == message[: wire.MESSAGE.size]
    assert {one["ip"] for one in listed(transport)["s"]["adt"]} == {"10.0.0.1", "10.0.0.2", "10.0.0.3"}


def test_an_error_does_not_stop_the_messages_behind_it(transport: FakeTransport) -> None:
    make(transport, "s")
    messages = [
        wire.build("ADD", sequence=0, setname="s", data={"ip": "10.0.0.1"}),
        wire.build("ADD", sequence=1, setname="missing", data={"ip": "10.0.0.1"}),
        wire.build("ADD", sequence=2, setname="s", ack=True, data={"ip": "10.0.0.2"}),
    ]
    answers = wire.read(transport.exchange(b"".join(messages), 3).data)
    assert [(one["sequence"], one["error"]) for one in answers] == [(1, errno.ENOENT), (2, 0)]
    with pytest.raises(ValueError, match="announced"):
        transport.exchange(b"".join(messages), 4)


def test_a_large_set_comes_in_several_datagrams(transport: FakeTransport) -> None:
    make(transport, "s")
    assert ask(transport, "ADD", setname="s", data={"ip": "10.0.0.0", "cidr": 19}) == []
    datagrams = transport.dump(wire.build("LIST"))
    bodies = [wire.read(one)[0] for one in datagrams]
    assert [len(one) < limit for one, limit in zip(datagrams, [3777, *[32441] * 9], strict=False)] == [True] * len(
        bodies
    )
    assert "typename" in bodies[0]
    assert all("typename" not in one for one in bodies[1:])
    assert bodies[-1]["command"] == "DONE"
    assert len(listed(transport)["s"]["adt"]) == 8192
    assert len(transport.dump(wire.build("LIST"))[0]) > 4096


def test_time_passes(fake: FakeIpset, transport: FakeTransport) -> None:
    clock = fake.tables.clock
    assert isinstance(clock, Clock)
    make(transport, "s", timeout=10)
    add(transport, "s", "10.0.0.1")
    ask(transport, "ADD", setname="s", data={"ip": "10.0.0.2", "timeout": 0})
    for seconds, left in ((3.5, 6), (6.2, 1), (0.3, None)):
        clock.now += seconds
        times = {one["ip"]: one["timeout"] for one in listed(transport)["s"]["adt"]}
        assert times == {"10.0.0.2": 0} | ({} if left is None else {"10.0.0.1": left})
    assert ask(transport, "TEST", setname="s", data={"ip": "10.0.0.1"}) == [EXIST]
    assert listed(transport)["s"]["data"]["elements"] == 1
    assert add(transport, "s", "10.0.0.1") == []


def test_lists_refer_to_their_members(fake: FakeIpset, transport: FakeTransport) -> None:
    make(transport, "a")
    make(transport, "b")
    make(transport, "l", "list:set", 0)
    make(transport, "z")
    assert ask(transport, "ADD", setname="l", data={"name": "a"}) == []
    assert ask(transport, "ADD", setname="l", data={"name": "b", "nameref": "a", "cadt_flags": 1}) == []
    assert [one["name"] for one in listed(transport)["l"]["adt"]] == ["b", "a"]
    assert ask(transport, "DESTROY", setname="a") == [BUSY]
    assert ask(transport, "RENAME", setname="a", setname2="c") == [REFERENCED]
    assert ask(transport, "SWAP", setname="a", setname2="z") == []
    assert ask(transport, "DESTROY", setname="a") == [BUSY]
    assert ask(transport, "DESTROY", setname="z") == []
    assert ask(transport, "DESTROY", setname="l") == []
    assert ask(transport, "DESTROY") == []
    assert fake.names() == []


def test_sixty_four_interfaces_for_a_network(transport: FakeTransport) -> None:
    make(transport, "s", "hash:net,iface")
    errors = []
    for number in range(66):
        errors += ask(transport, "ADD", setname="s", data={"ip": "10.0.0.0", "cidr": 8, "iface": f"eth{number}"})
    assert errors == [4352, 4352]


def test_forceadd_evicts_or_refuses(transport: FakeTransport) -> None:
    make(transport, "s", maxelem=40, hashsize=64, cadt_flags=32)
    errors = [add(transport, "s", f"10.0.0.{number}") for number in range(100)]
    assert [4352] in errors[40:]
    assert [] in errors[40:]
    assert len(listed(transport)["s"]["adt"]) == 40


def test_who_lists_and_who_refers(fake: FakeIpset, transport: FakeTransport) -> None:
    make(transport, "a")
    make(transport, "b")
    with fake.listing("a"):
        assert ask(transport, "SWAP", setname="a", setname2="b") == [errno.EBUSY]
        assert ask(transport, "RENAME", setname="a", setname2="c") == [REFERENCED]
        assert ask(transport, "DESTROY", setname="a") == [BUSY]
    fake.refer("a")
    assert listed(transport, setname="a")["a"]["data"]["references"] == 1
    assert ask(transport, "DESTROY", setname="a") == [BUSY]
    fake.refer("a", -1)
    assert ask(transport, "DESTROY", setname="a") == []
    with pytest.raises(KeyError):
        fake.refer("a")


@pytest.mark.parametrize(
    ("release", "revisions"),
    [("5.10", [4, 0, 5, 3]), ("6.1", [5, 1, 6, 3]), ("6.18", [6, 1, 7, 4]), ("7.2.7", [6, 1, 7, 4])],
)
def test_revisions_by_release(release: str, revisions: list[int]) -> None:
    transport = FakeIpset(release).transport()
    found = []
    for name, family in (("hash:ip", 2), ("hash:mac", 0), ("hash:ip,port", 10), ("hash:net,net", 2)):
        reply = transport.exchange(wire.build("TYPE", typename=name, family=family), 1)
        found.append(wire.read(reply.data)[0]["revision"])
    expected = revisions if release != "5.10" else [4, 0, 5, 2]
    assert found == expected


# --- lies ---------------------------------------------------------------------------------------------------------------------------


def test_refuse_the_second_addition_of_one_set(fake: FakeIpset, transport: FakeTransport) -> None:
    make(transport, "a")
    make(transport, "b")
    told = fake.lie(Refuse(errno.ENOMEM), command=Command.ADD, name="a", nth=2)
    sent = [add(transport, name, "10.0.0.1") for name in ("a", "b")] + [add(transport, "a", "10.0.0.2")]
    assert sent == [[], [], [errno.ENOMEM]]
    assert add(fake.transport(lies=False), "a", "10.0.0.2") == []
    assert (told.seen, told.told) == (2, 1)
    assert add(transport, "a", "10.0.0.3") == []


def test_a_foreign_listing_ends_after_a_while(fake: FakeIpset, transport: FakeTransport) -> None:
    make(transport, "a")
    make(transport, "b")
    fake.lie(Dumped(times=2), command=Command.SWAP)
    assert [ask(transport, "SWAP", setname="a", setname2="b") for _ in range(3)] == [[errno.EBUSY]] * 2 + [[]]


def test_lost_answers_and_failures(fake: FakeIpset, transport: FakeTransport) -> None:
    make(transport, "a")
    fake.lie(LoseAnswers(), nth=1)
    reply = transport.exchange(wire.build("ADD", setname="a", ack=True, data={"ip": "10.0.0.1"}), 1)
    assert (reply.data, reply.lost) == (b"", True)
    fake.tell_the_truth()

    def late() -> TimedOut:
        return TimedOut(errno.ETIMEDOUT, "late")

    fake.lie(Fail(late), nth=1)
    fake.lie(Fail(late, executed=True), nth=2)
    for address in ("10.0.0.2", "10.0.0.3"):
        with pytest.raises(TimedOut):
            add(transport, "a", address)
    assert {one["ip"] for one in listed(transport)["a"]["adt"]} == {"10.0.0.1", "10.0.0.3"}


def test_a_rival_and_a_crash(fake: FakeIpset, transport: FakeTransport) -> None:
    make(transport, "a")
    rival = fake.transport(lies=False)
    fake.lie(Before(lambda: add(rival, "a", "10.0.0.1")), command=Command.ADD, nth=1)
    assert add(transport, "a", "10.0.0.1") == [EXIST]

    def crash() -> None:
        raise KeyboardInterrupt

    fake.lie(Before(crash), command=Command.FLUSH)
    messages = wire.build("ADD", setname="a", data={"ip": "10.0.0.2"}) + wire.build("FLUSH", setname="a")
    with pytest.raises(KeyboardInterrupt):
        transport.exchange(messages, 2)
    assert len(listed(transport)["a"]["adt"]) == 2


def test_listings_with_too_much_and_too_little(fake: FakeIpset, transport: FakeTransport) -> None:
    make(transport, "a")
    add(transport, "a", "10.0.0.1", "10.0.0.2", "10.0.0.3")
    fake.lie(Duplicate(2), nth=1)
    fake.lie(Omit(), nth=2)
    assert [len(listed(transport)["a"]["adt"]) for _ in range(3)] == [5, 2, 3]


def test_requests_are_recorded(fake: FakeIpset, transport: FakeTransport) -> None:
    make(transport, "a")
    add(transport, "a", "10.0.0.1", "10.0.0.2")
    ask(transport, "RENAME", setname="a", setname2="b", exist=True)
    ask(fake.transport(lies=False), "FLUSH")
    found = [(one.command, one.name, one.name2, one.exist, one.elements) for one in fake.requests]
    assert found == [
        (Command.CREATE, "a", "hash:ip", False, 0),
        (Command.ADD, "a", "", False, 2),
        (Command.RENAME, "a", "b", True, 0),
    ]


def test_a_closed_transport(transport: FakeTransport) -> None:
    transport.close()
    with pytest.raises(ClosedError):
        transport.exchange(b"", 0)
    with pytest.raises(ClosedError):
        transport.dump(wire.build("LIST"))
