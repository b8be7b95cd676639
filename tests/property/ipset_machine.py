"""A Hypothesis state machine over everything that is done with sets: the same rules for the fake kernel and for real ones.

Knows: how a call is made, and that the client says what the model says. Must not know: which kernel it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import ipvskit as ik
from ipvskit.ipset.client import Ipset
from ipvskit.ipset.report import EntriesReport
from ipvskit.ipset.waiting import Patience
from ipvskit.sets.elements import COMPARED, Elements
from tests.property.ipset_held import Held, Outcome, RefusedError, Written, distinct, table
from tests.property.ipset_model import TEMPORARY, Model
from tests.property.ipset_pools import MISSING, NAMES, definitions, hosts, plain, written

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ipvskit.sets.definition import SetStatus

#: Seconds that a guest on a busy machine may take for an example.
SLACK = 100

names = st.sampled_from(NAMES)


class IpsetMachine(RuleBasedStateMachine):
    """One fresh namespace per run; `open_kernel` makes it."""

    kernel: ik.Kernel
    #: Whether all of a call goes out in one message: else what follows a refused element is sent behind the next messages.
    one_message = True

    def open_kernel(self) -> ik.Kernel:
        raise NotImplementedError

    def open_ipset(self) -> Ipset:
        """A client that does not wait long for references that stay."""
        self.kernel.ipset.names()
        assert self.kernel._transport is not None
        return Ipset(self.kernel._transport, self.kernel._own, Patience(0.5, 0.0))

    @initialize(data=st.data())
    def begin(self, data: st.DataObject) -> None:
        self.kernel = self.open_kernel()
        self.ipset = self.open_ipset()
        self.model = Model({name: newest for name, (_, newest) in self.ipset.types().items()})
        # From nothing, most runs would come to nothing worth looking at.
        for name in NAMES[:3]:
            self._create(data, name, exist=False)
        if data.draw(st.booleans()):
            self._make_list(NAMES[3])

    def _make_list(self, name: str) -> None:
        of = ik.Set(name, "list:set")
        self.model.create(of, "compatible", None, exist=False)
        self.ipset.create(of)
        members = [Written(each, ((each,),)) for each in self.model.sets if self.model.sets[each].of.type != "list:set"]
        self.model.change("add", name, members)
        self.ipset.add_entries(name, [each.text for each in members])

    def _name(self, data: st.DataObject) -> str:
        """Nearly always of a set that is there."""
        there = [name for name in NAMES if name in self.model.sets]
        return data.draw(st.sampled_from(there * 8 + list(NAMES)))

    def teardown(self) -> None:
        if hasattr(self, "kernel"):
            self.kernel.close()

    # --- sets -----------------------------------------------------------------------------------------------------------------------

    @rule(data=st.data(), exist=st.booleans())
    def create(self, data: st.DataObject, exist: bool) -> None:
        missing = [name for name in NAMES if name not in self.model.sets]
        self._create(data, data.draw(st.sampled_from(missing * 8 + list(NAMES))), exist=exist)

    def _create(self, data: st.DataObject, name: str, *, exist: bool) -> None:
        again = self.model.sets.get(name)
        # Often what is there already, or nearly.
        of = data.draw(
            definitions(name, self.model.types)
            if again is None
            else definitions(name, self.model.types) | st.just(again.of)
        )
        wish: Any = data.draw(st.sampled_from(["compatible", "compatible", "latest", 2, 9]))
        some = (
            data.draw(st.none() | st.lists(written(Held(of, 0), table=True), max_size=4))
            if of.type != "list:set"
            else None
        )
        try:
            wanted = self._with(of, some)
        except ik.InvalidEntry:
            self._expect(lambda: self.model.create(of, wish, some, exist=exist), ik.InvalidEntry)
            return
        self._call(
            lambda: self.model.create(of, wish, some, exist=exist),
            lambda: self.ipset.create(wanted, revision=wish, exist=exist),
        )

    @staticmethod
    def _with(of: ik.Set, some: Sequence[Written] | None) -> ik.Set:
        values = {name: getattr(of, name) for name in ik.Set.__slots__ if name not in {"name", "entries"}}
        return ik.Set(of.name, **values, entries=None if some is None else [plain(each) for each in some])

    @rule(name=names, exist=st.booleans())
    def destroy(self, name: str, exist: bool) -> None:
        def expected() -> None:
            if not exist or name in self.model.sets:
                self.model.destroy(name)

        self._call(expected, lambda: self.ipset.destroy(name, exist=exist))

    # Rare: what one run builds up is what makes the others interesting.
    @precondition(lambda self: len(self.model.sets) > 3)
    @rule()
    def destroy_all(self) -> None:
        self._call(self.model.destroy_all, self.ipset.destroy_all)

    @rule(name=names, new=names)
    def rename(self, name: str, new: str) -> None:
        self._call(lambda: self.model.rename(name, new), lambda: self.ipset.rename(name, new))

    @rule(one=names, two=names)
    def swap(self, one: str, two: str) -> None:
        self._call(lambda: self.model.swap(one, two), lambda: self.ipset.swap(one, two))

    @rule(data=st.data())
    def flush(self, data: st.DataObject) -> None:
        name = self._name(data)
        self._call(lambda: self.model.held(name).flush(), lambda: self.ipset.flush(name))

    @precondition(lambda self: len(self.model.sets) > 2)
    @rule()
    def flush_all(self) -> None:
        self._call(self.model.flush_all, self.ipset.flush_all)

    # --- entries, one by one --------------------------------------------------------------------------------------------------------

    @rule(data=st.data(), exist=st.booleans())
    def add(self, data: st.DataObject, exist: bool) -> None:
        self._one(data, "add", self._name(data), exist)

    @rule(data=st.data(), exist=st.booleans())
    def delete(self, data: st.DataObject, exist: bool) -> None:
        self._one(data, "delete", self._name(data), exist)

    def _one(self, data: st.DataObject, command: str, name: str, exist: bool) -> None:
        entry = data.draw(self._written(name))
        given = data.draw(self._form(entry))

        def expected() -> None:
            outcome = self.model.change(command, name, [entry], exist=exist)
            for _, kind in outcome.failures:
                raise RefusedError(kind)
            if outcome.already and not exist:
                raise RefusedError(ik.EntryExists if command == "add" else ik.EntryNotFound)

        self._call(expected, lambda: getattr(self.ipset, command)(name, given, exist=exist))

    @rule(data=st.data())
    def test(self, data: st.DataObject) -> None:
        name = self._name(data)
        entry = data.draw(self._hosts(name))

        def expected() -> bool:
            held = self.model.held(name)
            if entry.wrong:
                raise RefusedError(entry.wrong)
            return held.matches(entry)

        self._call(expected, lambda: self.ipset.test(name, plain(entry)))

    # --- entries, in bulk -----------------------------------------------------------------------------------------------------------

    @rule(
        data=st.data(),
        exist=st.booleans(),
        stop=st.booleans(),
        form=st.sampled_from(["list", "iterator", "table"]),
    )
    def add_entries(self, data: st.DataObject, exist: bool, stop: bool, form: str) -> None:
        self._many(data, "add", self._name(data), exist, stop, form)

    @rule(data=st.data(), stop=st.booleans(), form=st.sampled_from(["list", "iterator", "table"]))
    def delete_entries(self, data: st.DataObject, stop: bool, form: str) -> None:
        self._many(data, "delete", self._name(data), False, stop, form)

    def _many(self, data: st.DataObject, command: str, name: str, exist: bool, stop: bool, form: str) -> None:
        some = data.draw(st.lists(self._written(name, table=form == "table"), max_size=6))
        if not self.one_message and name in self.model.sets and not exist:
            some = distinct(self.model.sets[name], some)
        given: Any = [plain(each) for each in some]
        if form == "table" and name in self.model.sets:
            of = self.model.sets[name].of
            some = [each for each in some if not each.wrong]
            given = Elements(of.type, [plain(each) for each in some], family=of.family)
            some = as_table(self.model.sets[name], some)
        keywords: dict[str, Any] = {"on_error": "stop" if stop else "continue"} | ({"exist": True} if exist else {})
        self._call(
            lambda: self.model.change(command, name, some, exist=exist, stop=stop),
            lambda: getattr(self.ipset, f"{command}_entries")(
                name, iter(given) if form == "iterator" else given, **keywords
            ),
        )

    @rule(data=st.data())
    def test_entries(self, data: st.DataObject) -> None:
        name = self._name(data)
        some = data.draw(st.lists(self._hosts(name), max_size=6))

        def expected() -> list[bool] | Outcome:
            held = self.model.held(name)
            matches = [held.matches(each) for each in some if not each.wrong]
            if len(matches) == len(some):
                return matches
            failures = [(at, each.wrong) for at, each in enumerate(some) if each.wrong]
            return Outcome(sum(matches), [at for at, found in enumerate(matches) if not found], failures)

        self._call(expected, lambda: self.ipset.test_entries(name, [plain(each) for each in some]))

    @rule(data=st.data(), grow=st.booleans())
    def replace(self, data: st.DataObject, grow: bool) -> None:
        name = self._name(data)
        some = data.draw(st.lists(self._written(name, table=True), max_size=6))
        self._call(
            lambda: self.model.replace(name, some, grow=grow),
            lambda: self.ipset.replace(name, [plain(each) for each in some], grow=grow),
        )

    @rule(name=names)
    def crash(self, name: str) -> None:
        """What a replacement that died leaves behind."""
        left = TEMPORARY + f"{NAMES.index(name):08x}"
        if left not in self.model.sets:
            of = ik.Set(left, "hash:ip")
            self.model.create(of, "compatible", None, exist=False)
            self.ipset.create(of)

    @rule()
    def clean(self) -> None:
        assert sorted(self.ipset.clean()) == sorted(self.model.clean())

    # --- questions ------------------------------------------------------------------------------------------------------------------

    @rule(name=names)
    def one_set(self, name: str) -> None:
        questions = (self.ipset.get, self.ipset.entries, self.ipset.set_status, self.ipset.index, self.ipset.save)
        if name not in self.model.sets:
            assert not self.ipset.exists(name)
            for question in questions:
                self._expect(lambda question=question: question(name), ik.SetNotFound)  # type: ignore[misc]
            return
        assert self.ipset.exists(name)
        self._same_set(self.ipset.get(name), self.model.sets[name])
        assert self.ipset.get(name, entries=False).entries is None
        index = self.ipset.index(name)
        assert self.model.names[index] == name == self.ipset.name_of(index)
        assert self.ipset.set_status(name).index == index

    @invariant()
    def same(self) -> None:
        if not hasattr(self, "model"):
            return
        wanted = list(self.model.in_order())
        listed = self.ipset.sets()
        assert [each.name for each in listed] == [held.of.name for _, held in wanted] == self.ipset.names()
        for have, (_, held) in zip(listed, wanted, strict=True):
            self._same_set(have, held)
        for status, (index, held) in zip(self.ipset.status(), wanted, strict=True):
            self._same_status(status, index, held)
        self._saved(listed, self.ipset.save())

    def _same_status(self, status: SetStatus, index: int, held: Held) -> None:
        assert (status.index, status.revision, status.entries) == (index, held.revision, len(held.kept))
        assert status.references == self.model.references(held.of.name)
        assert status.memory > 0
        self._same_options(status.set, held)

    def _same_options(self, have: ik.Set, held: Held) -> None:
        shown = held.revision == self.model.types[held.of.type] and "bucketsize" in held.kind.create_options
        shown = shown and held.kind.revision_of("bucketsize") <= held.revision
        for name in ik.Set.__slots__:
            value, want = getattr(have, name), getattr(held.of, name)
            if name == "hashsize" and want is not None:
                assert value >= want  # it grows when buckets are full
            elif name == "bucketsize":
                assert value == ((want or 12) if shown else None)
            elif name == "initval":
                assert (value is not None) == shown
                assert want in {None, value} or not shown
            elif name != "entries":
                assert value == want, name

    def _same_set(self, have: ik.Set, held: Held) -> None:
        self._same_options(have, held)
        listed = {self._key(entry, held): entry for entry in have.entries}
        assert len(listed) == len(have.entries)
        assert listed.keys() == held.kept.keys()
        if held.of.type == "list:set":
            assert list(listed) == list(held.kept)
        for key, kept in held.kept.items():
            entry = listed[key]
            for name in ("packets", "bytes", "comment", "skbmark", "skbprio", "skbqueue", "nomatch", "wildcard"):
                assert getattr(entry, name) == getattr(kept, name), (key, name)
            assert (entry.timeout is None) == (kept.timeout is None)
            if kept.timeout:
                assert kept.timeout - SLACK <= (entry.timeout or 0) <= kept.timeout
            else:
                assert entry.timeout == kept.timeout
            if held.kind.mac_is_value:
                assert [str(part) for part in entry.parts[1:]] == ([kept.mac] if kept.mac else [])

    @staticmethod
    def _key(entry: ik.Entry, held: Held) -> tuple[str, ...]:
        pieces = str(ik.Entry(*entry.parts)).split(",")
        return tuple(pieces[:1] if held.kind.mac_is_value else pieces)

    @staticmethod
    def _saved(listed: Sequence[ik.Set], text: str) -> None:
        """What `save` writes is what is there."""
        lines = iter(text.splitlines())
        for of in listed:
            assert ik.Set.parse(next(lines)) == IpsetMachine._with(of, None)
            added = []
            for _ in range(len(of.entries)):
                head, name, entry = next(lines).split(" ", 2)
                assert (head, name) == ("add", of.name)
                added.append(entry)
            assert Elements(of, added).same_as(of.entries, (*COMPARED, "packets", "bytes"))
        assert next(lines, None) is None

    # --- how they are compared ------------------------------------------------------------------------------------------------------

    def _written(self, name: str, *, table: bool = False) -> st.SearchStrategy[Written]:
        held = self.model.sets.get(name)
        return st.just(MISSING) if held is None else written(held, table=table)

    def _hosts(self, name: str) -> st.SearchStrategy[Written]:
        held = self.model.sets.get(name)
        return st.just(MISSING) if held is None else hosts(held)

    @staticmethod
    def _form(entry: Written) -> st.SearchStrategy[Any]:
        whole = plain(entry)
        return st.sampled_from([whole, str(whole)])

    @staticmethod
    def _expect(call: Callable[[], object], kind: type[Exception]) -> None:
        with pytest.raises((kind, RefusedError)) as caught:
            call()
        raised = caught.value.kind if isinstance(caught.value, RefusedError) else caught.type
        assert raised is kind

    def _call(self, expected: Callable[[], Any], call: Callable[[], Any]) -> None:
        """Both end in the same way: with the same answer, report, or exception."""
        try:
            want = expected()
        except RefusedError as refused:
            self._expect(call, refused.kind)
            return
        if not isinstance(want, Outcome):
            have = call()
            assert want is None or not isinstance(want, bool | list) or have is None or have == want
            return
        try:
            report = call()
        except ik.BulkFailed as failed:
            report = failed.report
            assert want.failures
        if not isinstance(report, EntriesReport):  # create says nothing of entries
            assert not want.failures
            return
        found = [(failure.index, type(failure.error)) for failure in report.failures]
        assert found == want.failures
        assert (report.done, report.already, report.stopped) == (want.done, len(want.already), want.stopped)


def as_table(held: Held, some: Sequence[Written]) -> list[Written]:
    """The elements of a table made of them for any set of the type."""
    return table(held if held.kind.mac_is_value else None, some)
