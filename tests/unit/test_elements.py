"""Element tables: sizes at which something happens inside, what they take of memory, two sets of different options, threads.

Knows: where tables grow. Must not know: how. What any sequence of operations does is in `tests/property/test_elements.py`.
"""

from __future__ import annotations

import threading
from ipaddress import IPv4Address
from typing import TYPE_CHECKING

import pytest

from ipvskit import _native
from ipvskit.errors import InvalidConfig, InvalidEntry
from ipvskit.sets.definition import Set
from ipvskit.sets.elements import Elements
from ipvskit.sets.entry import Entry

if TYPE_CHECKING:
    from collections.abc import Callable

MILLION = 1_000_000
ABSENT = "192.0.2.1"


def addresses(count: int, start: int = 0x0A000001) -> str:
    return "".join(f"{IPv4Address(start + number)}\n" for number in range(count))


def numbers(table: Elements) -> list[int]:
    return [int(entry.address) for entry in table]  # type: ignore[arg-type]


# --- growing ------------------------------------------------------------------------------------------------------------------------


def _parsed(count: int) -> Elements:
    return Elements.parse("hash:ip", addresses(count))


def _updated(count: int) -> Elements:
    return Elements("hash:ip", addresses(count).split())


def _copied(count: int) -> Elements:
    return _parsed(count).copy()


def _selected(count: int) -> Elements:
    return _parsed(count) & _parsed(count + 1)


def _diffed(count: int) -> Elements:
    return _parsed(count).diff(Elements("hash:ip")).added


def _bare(count: int) -> Elements:
    made = Elements("hash:ip", [f"{line} timeout 1" for line in addresses(count).split()])
    return made.copy([])


WAYS = [_parsed, _updated, _copied, _selected, _diffed, _bare]


@pytest.mark.parametrize("way", WAYS)
def test_any_number_can_be_searched_and_added_to(way: Callable[[int], Elements]) -> None:
    # An index without a free slot would be searched for ever; a table that does not grow writes beyond its end.
    for count in [*range(34), *range(60, 70), *range(94, 99), 127, 128, 129, 143, 144, 145, 1023, 1024, 1025]:
        table = way(count)
        assert len(table) == count
        assert ABSENT not in table
        first = int(IPv4Address("10.0.0.1"))
        assert numbers(table) == list(range(first, first + count))
        more = addresses(100, first + count).split()
        assert table.update(more) == 100
        assert [table.add(line) for line in more[:3]] == [0, 0, 0]
        assert numbers(table) == list(range(first, first + count + 100))


@pytest.mark.parametrize("step", [1, 7, 64])
def test_removing_leaves_the_others_findable(step: int) -> None:
    table = _parsed(3000)
    gone = addresses(3000).split()[::step]
    assert table.difference_update(gone) == len(gone)
    assert len(table) == 3000 - len(gone)
    left = set(addresses(3000).split()) - set(gone)
    assert all(line in table for line in left)
    assert not any(line in table for line in gone)
    assert table.update(gone) == len(gone)
    assert table == _parsed(3000)


def test_what_comes_again_brings_its_options() -> None:
    lines = [f"10.0.0.{number % 3} timeout {number}" for number in range(1, 200)]
    once = Elements("hash:ip", lines)
    one_by_one = Elements("hash:ip")
    assert [one_by_one.add(line) for line in lines] == [1] * 3 + [0] * 196
    assert list(once) == list(one_by_one)
    assert [str(entry) for entry in once] == ["10.0.0.1 timeout 199", "10.0.0.2 timeout 197", "10.0.0.0 timeout 198"]


def test_options_wider_than_the_first() -> None:
    table = Elements("hash:net,iface", ["10.0.0.0/8,eth0"])
    words = [
        "timeout 5",
        "nomatch",
        "packets 7",
        'comment "a b"',
        "skbmark 0x1/0xff",
        "bytes 9",
        "skbqueue 3",
        "wildcard",
    ]
    for number, word in enumerate(words):
        assert table.add(f"10.{number}.0.0/16,eth0 {word}") == 1
    table.add(f"10.99.0.0/16,eth0 {' '.join(sorted(words, key=lambda word: word.startswith('comment')))}")
    assert [str(entry) for entry in table][1 : 1 + len(words)] == [
        f"10.{number}.0.0/16,eth0 {word}" for number, word in enumerate(words)
    ]
    assert table.at(0) == Entry(table.at(0).network, table.at(0).interface)
    assert table.at(9).timeout == 5
    assert table.at(9).comment == "a b"


def test_lists_keep_their_order() -> None:
    table = Elements("list:set", [f"s{number}" for number in range(100)])
    assert table.difference_update(["s0", "s50", "s99", "nosuch"]) == 3
    expected = [f"s{number}" for number in range(100) if number not in {0, 50, 99}]
    assert [entry.set_name for entry in table] == expected
    assert all(name in table for name in expected)
    table.add("s50")
    assert [entry.set_name for entry in table] == [*expected, "s50"]


# --- memory -------------------------------------------------------------------------------------------------------------------------


def test_a_million_addresses_are_small() -> None:
    table = Elements.parse("hash:ip", addresses(MILLION))
    assert len(table) == MILLION
    assert table.memory < 20_000_000
    assert ABSENT not in table
    assert table.memory < 20_000_000


def test_a_hundred_thousand_of_everything() -> None:
    lines = [f"{line},udp:{number % 65536}" for number, line in enumerate(addresses(100_000).split())]
    table = Elements("hash:ip,port", lines)
    other = Elements("hash:ip,port", lines[1000:])
    assert len(table - other) == 1000
    assert len(table.diff(other).added) == 1000
    assert other <= table
    assert table.sorted().to_text() == table.to_text()
    assert table.to_text().split() == lines
    assert (table ^ other) == (table - other)


def test_replaced_comments_are_forgotten() -> None:
    table = Elements("hash:ip", [f'10.0.0.{number} comment "{"x" * 200}"' for number in range(200)])
    before = table.memory
    for round_ in range(50):
        table.update([f'10.0.0.{number} comment "{round_:0200}"' for number in range(200)])
    assert table.memory <= 3 * before
    assert [entry.comment for entry in table] == [f"{49:0200}"] * 200
    table.difference_update([f"10.0.0.{number}" for number in range(1, 200)])
    for number in range(1000):
        table.add(f'10.0.0.0 comment "{number:0200}"')
    assert table.to_text() == f'10.0.0.0 comment "{999:0200}"\n'
    assert table.memory <= 3 * before


def test_a_table_can_be_used_after_clear() -> None:
    table = Elements("hash:ip", ['10.0.0.1 timeout 3 comment "x"'])
    table.clear()
    assert (len(table), list(table), table.to_text()) == (0, [], "")
    assert table.add('10.0.0.2 comment "y"') == 1
    assert list(table) == [Entry(IPv4Address("10.0.0.2"), comment="y")]


# --- sets of different options ------------------------------------------------------------------------------------------------------


def test_what_goes_into_a_set_is_made_to_fit() -> None:
    plain = Elements("hash:ip", ["10.0.0.1", "10.0.0.2", "10.0.1.1"])
    masked = Set("s", "hash:ip", netmask=24)
    table = Elements(masked, plain)
    assert [str(entry) for entry in table] == ["10.0.0.0", "10.0.1.0"]
    assert "10.0.0.77" in table
    assert table.difference_update(Elements("hash:ip", ["10.0.0.200"])) == 1
    assert [str(entry) for entry in table] == ["10.0.1.0"]
    other = Elements(Set("t", "hash:ip", netmask=16), ["10.0.0.0"])
    assert other.update(plain) == 0


def test_a_union_is_made_to_fit() -> None:
    table = Elements(Set("s", "hash:ip", netmask=24), ["10.0.0.1"]) | Elements("hash:ip", ["10.0.0.9", "10.0.1.9"])
    assert [str(entry) for entry in table] == ["10.0.0.0", "10.0.1.0"]
    with pytest.raises(InvalidEntry):
        _ = Elements(Set("b", "bitmap:port", range="0-9")) | Elements("bitmap:port", [10])


def test_what_does_not_fit_is_refused_with_its_place() -> None:
    small = Set("s", "bitmap:ip", range="10.0.0.0/24")
    plain = Elements("bitmap:ip", ["10.0.0.1", "10.0.1.1"])
    with pytest.raises(InvalidEntry) as caught:
        Elements(small, plain)
    assert (caught.value.line, str(caught.value.value)) == (1, "10.0.1.1")
    with pytest.raises(InvalidConfig):
        Elements("hash:ip").update(Elements("hash:net"))
    with pytest.raises(InvalidConfig):
        Elements("hash:ip").update(Elements("hash:ip", family="inet6"))


def test_a_default_timeout_is_given() -> None:
    table = Elements(Set("s", "hash:ip", timeout=60), Elements("hash:ip", ["10.0.0.1", "10.0.0.2 timeout 5"]))
    assert [entry.timeout for entry in table] == [60, 5]


def test_a_table_put_into_itself() -> None:
    table = Elements("hash:ip", ["10.0.0.1", "10.0.0.2"])
    assert table.update(table) == 0
    assert list(table.diff(table)) == [Elements("hash:ip")] * 3
    assert (table | table) == table == (table & table)
    assert table.difference_update(table) == 2
    assert not table


# --- threads ------------------------------------------------------------------------------------------------------------------------


def together(*tasks: Callable[[], object]) -> None:
    """Run all at the same time; fails when one fails, or when they wait for each other."""
    failures: list[BaseException] = []

    def run(task: Callable[[], object]) -> None:
        try:
            task()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(task,), daemon=True) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    assert failures == []


def test_two_threads_with_the_same_two_tables() -> None:
    one, two = _parsed(5000), Elements.parse("hash:ip", addresses(5000, 0x0A000001 + 2500))

    def subtract(left: Elements, right: Elements) -> None:
        for _ in range(50):
            assert len(left - right) == 2500
            assert len(left & right) == 2500
            assert left != right

    together(lambda: subtract(one, two), lambda: subtract(two, one), lambda: subtract(one, two))


def test_reading_while_another_adds() -> None:
    table = _parsed(1000)
    more = addresses(20_000, 0x0B000000).split()

    def add() -> None:
        for at in range(0, len(more), 100):
            table.update(more[at : at + 100])

    def read() -> None:
        for _ in range(20):
            first = 0x0A000001
            assert numbers(table)[:1000] == list(range(first, first + 1000))
            assert table.to_text().count("\n") >= 1000
            assert "10.0.0.1" in table
            assert len(table.copy()) >= 1000

    together(add, read, read)
    assert len(table) == 21_000


def test_many_threads_add_the_same() -> None:
    table = Elements("hash:ip")
    lines = addresses(3000).split()
    added: list[int] = []
    together(*[lambda: added.append(sum(map(table.add, lines)))] * 4)
    assert sum(added) == 3000
    assert table == _parsed(3000)


def test_no_shape() -> None:
    from ipvskit._native.elements import Table

    assert _native.lib.IK_PUT == 0
    with pytest.raises(ValueError, match="no elements have this shape"):
        Table(bytes(80))
