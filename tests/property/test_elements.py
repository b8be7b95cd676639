"""Element tables against Python's own containers: whatever is done to both, they hold the same and answer the same.

Knows: what a set with values does, and that what is removed leaves its place to the last one. Must not know: how tables are kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from ipvskit.sets.elements import COMPARED, Elements
from ipvskit.sets.entry import Entry
from tests.examples import examples
from tests.property.ipset_entries import KINDS, OPTIONS, Key, Kind, entries, key_of, order_of, with_options

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

ALL = tuple(OPTIONS)
_BY_KIND = {kind: (entries(kind), entries(kind, options=False)) for kind in KINDS}


class Model:
    """The same in Python."""

    def __init__(self, kind: Kind, items: Iterable[Entry] = ()) -> None:
        self.kind = kind
        self.keys: list[Key] = []
        self.items: dict[Key, Entry] = {}
        self.update(items)

    def __iter__(self) -> Any:
        return (self.items[key] for key in self.keys)

    def update(self, items: Iterable[Entry]) -> int:
        before = len(self.keys)
        for item in items:
            key = key_of(self.kind, item)
            if key not in self.items:
                self.keys.append(key)
            self.items[key] = item
        return len(self.keys) - before

    def discard(self, items: Iterable[Entry]) -> int:
        before = len(self.keys)
        for item in items:
            key = key_of(self.kind, item)
            if self.items.pop(key, None) is None:
                continue
            at = self.keys.index(key)
            if self.kind.type.name == "list:set":
                del self.keys[at]
            else:
                self.keys[at] = self.keys[-1]
                self.keys.pop()
        return before - len(self.keys)

    def sorted(self) -> list[Entry]:
        return [self.items[key] for key in sorted(self.keys, key=lambda key: [order_of(part) for part in key])]


def differs(one: Entry, two: Entry, options: Sequence[str]) -> bool:
    return one.parts != two.parts or any(getattr(one, name) != getattr(two, name) for name in options)


class Tables(RuleBasedStateMachine):
    """Two tables of one kind."""

    KIND = KINDS[0]

    @initialize()
    def make(self) -> None:
        self.tables = [Elements(self.KIND.type, family=self.KIND.family) for _ in range(2)]
        self.models = [Model(self.KIND) for _ in range(2)]
        self.seen: list[Entry] = []

    def some(self, data: st.DataObject, most: int = 1) -> list[Entry]:
        """New ones, and some that came before with other options."""
        full, bare = _BY_KIND[self.KIND]
        found: list[Entry] = data.draw(st.lists(st.one_of(bare, full), min_size=1, max_size=most))
        again = data.draw(st.booleans())
        if self.seen and again:
            old: Entry = data.draw(st.sampled_from(self.seen))
            found.append(Entry(*old.parts, timeout=found[0].timeout, comment=found[0].comment))
        self.seen += found
        return found

    @rule(data=st.data(), which=st.integers(0, 1), single=st.booleans())
    def put(self, data: st.DataObject, which: int, single: bool) -> None:
        items = self.some(data, 1 if single else 12)
        expected = self.models[which].update(items)
        found = sum(map(self.tables[which].add, items)) if single else self.tables[which].update(items)
        assert found == expected

    @rule(data=st.data(), which=st.integers(0, 1), single=st.booleans())
    def remove(self, data: st.DataObject, which: int, single: bool) -> None:
        items = data.draw(st.lists(st.sampled_from(self.seen), max_size=8)) if self.seen else []
        items += self.some(data)
        expected = self.models[which].discard(items)
        table = self.tables[which]
        assert (sum(map(table.discard, items)) if single else table.difference_update(items)) == expected

    @rule(which=st.integers(0, 1))
    def put_other(self, which: int) -> None:
        expected = self.models[which].update(list(self.models[not which]))
        assert self.tables[which].update(self.tables[not which]) == expected

    @rule(which=st.integers(0, 1))
    def remove_other(self, which: int) -> None:
        expected = self.models[which].discard(list(self.models[not which]))
        assert self.tables[which].difference_update(self.tables[not which]) == expected

    @rule(which=st.integers(0, 1))
    def clear(self, which: int) -> None:
        self.tables[which].clear()
        self.models[which] = Model(self.KIND)

    @rule(which=st.integers(0, 1), options=st.lists(st.sampled_from(ALL), unique=True))
    def copy(self, which: int, options: list[str]) -> None:
        self.tables[which] = self.tables[which].copy(["mac", *options])
        self.models[which] = Model(self.KIND, [with_options(one, ["mac", *options]) for one in self.models[which]])

    @rule(which=st.integers(0, 1))
    def through_text(self, which: int) -> None:
        table = self.tables[which]
        again = Elements.parse(self.KIND.type, table.to_text(), family=self.KIND.family)
        assert again == table
        self.tables[which] = again

    @rule(which=st.integers(0, 1))
    def sort(self, which: int) -> None:
        self.tables[which] = self.tables[which].sorted()
        self.models[which] = Model(self.KIND, self.models[which].sorted())

    @rule(which=st.integers(0, 1))
    def algebra(self, which: int) -> None:
        one, two = self.tables[which], self.tables[not which]
        left, right = self.models[which], self.models[not which]
        common = [item for item in left if key_of(self.KIND, item) in right.items]
        mine = [item for item in left if key_of(self.KIND, item) not in right.items]
        theirs = [item for item in right if key_of(self.KIND, item) not in left.items]
        assert list(one - two) == mine
        assert list(one & two) == common
        assert list(one | two) == list(Model(self.KIND, [*left, *right]))
        assert list(one ^ two) == mine + theirs
        assert one.isdisjoint(two) == (not common)
        assert (one <= two) == (not mine)
        assert (one >= two) == (not theirs)
        assert not one - one
        assert one & one == one

    @rule(which=st.integers(0, 1), options=st.lists(st.sampled_from(ALL), unique=True))
    def compare(self, which: int, options: list[str]) -> None:
        one, two = self.tables[which], self.tables[not which]
        left, right = self.models[which].items, self.models[not which].items
        for chosen in (options, COMPARED):
            names = [name for name in chosen if name != "mac"]
            found = one.diff(two, chosen)
            assert list(found.added) == [item for item in self.models[which] if key_of(self.KIND, item) not in right]
            assert list(found.removed) == [
                item for item in self.models[not which] if key_of(self.KIND, item) not in left
            ]
            assert list(found.changed) == [
                left[key] for key in self.models[which].keys if key in right and differs(left[key], right[key], names)
            ]
            assert one.same_as(two, chosen) == (not any(map(len, found)))
        assert (one == two) == (left == right)
        assert (one != two) == (left != right)

    @rule(which=st.integers(0, 1), data=st.data())
    def ask(self, which: int, data: st.DataObject) -> None:
        for item in (*self.some(data), *self.seen[-8:]):
            assert (item in self.tables[which]) == (key_of(self.KIND, item) in self.models[which].items)

    @invariant()
    def same(self) -> None:
        for table, model in zip(self.tables, self.models, strict=True):
            assert list(table) == list(model)
            assert len(table) == len(model.keys)
            assert bool(table) == bool(model.keys)
            if model.keys:
                assert table.at(len(model.keys) - 1) == model.items[model.keys[-1]]
            with pytest.raises(IndexError):
                table.at(len(model.keys))


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_tables(kind: Kind) -> None:
    machine = type(f"Tables of {kind}", (Tables,), {"KIND": kind})
    run_state_machine_as_test(
        machine, settings=settings(max_examples=examples(8), stateful_step_count=25, deadline=None)
    )


# --- round trips --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS, ids=str)
@settings(max_examples=examples(25), deadline=None)
@given(data=st.data())
def test_text(kind: Kind, data: st.DataObject) -> None:
    items = data.draw(st.lists(entries(kind), max_size=10))
    table = Elements(kind.type, items, family=kind.family)
    assert list(table) == list(Model(kind, items))
    text = table.to_text()
    assert text.count("\n") == len(table)
    assert Elements.parse(kind.type, text, family=kind.family) == table
    assert Elements(kind.type, text.split("\n")[:-1] if text.isascii() else [*table], family=kind.family) == table
    assert Elements.parse(kind.type, "".join(f"{entry}\n" for entry in table), family=kind.family) == table
    assert table.to_text("add s ").split("\n")[:-1][:1] == [f"add s {line}" for line in text.split("\n")[:-1][:1]]
    assert all(Entry(str(entry)) in table for entry in table)


@pytest.mark.parametrize("kind", KINDS, ids=str)
@settings(max_examples=examples(25), deadline=None)
@given(data=st.data())
def test_options_in_any_order(kind: Kind, data: st.DataObject) -> None:
    item = data.draw(entries(kind))
    parts, *options = str(item).split(" ")
    if item.comment is None:
        words = [" ".join(options[at : at + 2]) for at in range(0, len(options), 2)]
        if {"nomatch", "wildcard"} & set(options):
            return
        options = data.draw(st.permutations(words))
    table = Elements(kind.type, [" ".join([parts, *options])], family=kind.family)
    assert list(table) == [item]
