"""`kernel.ipset`: sets and their entries.

Knows: the calls that users make, and how they come together from commands. Must not know: messages, error numbers' meaning.
"""

from __future__ import annotations

import errno
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ipvskit.errors import (
    IpvskitError,
    ProtocolError,
    SetBusy,
    SetNotFound,
    SetReferenced,
    SetTypeNotAvailable,
)
from ipvskit.ipset import commands, making, replacing
from ipvskit.ipset.asking import Asking, known_type
from ipvskit.ipset.commands import Command, held
from ipvskit.ipset.listing import listed, set_of
from ipvskit.ipset.refusals import ALREADY, BUSY, EXIST_SETNAME2, REFERENCED, refusal
from ipvskit.ipset.waiting import Patience
from ipvskit.model.settype import SET_TYPES, SetType
from ipvskit.sets import sizes
from ipvskit.sets.definition import Set, family_for
from ipvskit.sets.elements import Elements, entry_text

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator

    from ipvskit.ipset import bulk
    from ipvskit.ipset.replacing import Own
    from ipvskit.ipset.report import EntriesReport, RestoreReport
    from ipvskit.ipset.transport import Transport
    from ipvskit.model.address import Family
    from ipvskit.sets.definition import SetStatus
    from ipvskit.sets.entry import Entry
    from ipvskit.sets.revisions import Wish

    AnyEntry = str | Entry | Any

__all__ = ["Ipset"]


class Ipset:
    """The sets of one network namespace. Made by `Kernel`.

    Entries are text as ipset(8) takes it ("10.0.0.1,tcp:80 timeout 30"), `Entry` values, addresses or networks. `exist=True` means what
    `ipset -exist` means: that the state which a call is to bring about is there already is no failure.

    Every call may raise SetNotFound for a set that is not there, PermissionDenied without CAP_NET_ADMIN in the user namespace that owns the network
    namespace, InvalidConfig (InvalidEntry) for values that no kernel takes, before anything is sent. Where another program is listing a set, or a
    reference to it is just being let go, calls wait a little before they raise SetBusy or SetReferenced: as long as the kernel handle's `patience`,
    and a sixth of that.
    """

    def __init__(self, transport: Transport, own: Own, patience: Patience | None = None) -> None:
        self._asking = Asking(transport)
        self._own = own
        self._patience = patience or Patience()

    # --- reading --------------------------------------------------------------------------------------------------------------------

    def names(self) -> list[str]:
        """The names of all sets, in the order of their indices, lists last."""
        return [header.set_name for header, _ in self._asking.listing(None, commands.LIST_NAMES)]

    def exists(self, name: str) -> bool:
        """Whether there is a set of this name."""
        error = self._asking.attempt(commands.command(Command.HEADER, name))
        if error not in {0, errno.ENOENT}:
            raise refusal(Command.HEADER, error, name)
        return not error

    def sets(self, *, entries: bool = True) -> list[Set]:
        """All sets, with their entries or without.

        Each is read in one piece, but one after the other: what changes meanwhile may be seen or not. A set whose type this version of ipvskit does
        not know is there without entries.
        """
        found = self._asking.listing(None, 0 if entries else commands.LIST_HEADERS)
        return [set_of(header, table if entries else None) for header, table in found]

    def get(self, name: str, *, entries: bool = True) -> Set:
        """One set."""
        header, table = self._asking.listing(name, 0 if entries else commands.LIST_HEADERS)[0]
        return set_of(header, table if entries else None)

    def held(
        self, wanted: Callable[[str], bool] | None = None, *, names: Iterable[str] | None = None
    ) -> list[tuple[Set, SetStatus]]:
        """All sets with their entries and with what the kernel counts; or those whose names are `wanted`, or those of these `names` that there are.

        Temporary sets of replacements are left out.
        """
        return listed(self._asking, wanted, names)

    def entries(self, name: str) -> Elements:
        """The contents of one set. Raises NotSupported for a type that is not known."""
        header, table = self._asking.listing(name)[0]
        kind = known_type(header)
        if table is None:
            raise ProtocolError(f"{kind} of a family that it cannot have")
        return Elements.of_table(kind, header.inet, table, held(header).set)

    def status(self) -> list[SetStatus]:
        """All sets without entries, with the numbers of their elements and references, and their memory."""
        return [held(header) for header, _ in self._asking.listing(None, commands.LIST_HEADERS)]

    def set_status(self, name: str) -> SetStatus:
        """The same for one set."""
        return held(self._asking.listing(name, commands.LIST_HEADERS)[0][0])

    def save(self, *names: str) -> str:
        """These sets, or all of them, as `ipset save` writes them; lists of sets last."""
        return "".join(self.save_lines(*names))

    def save_lines(self, *names: str) -> Iterator[str]:
        """The same, a piece at a time: the `create` line of a set, then some `add` lines."""
        found = [self.get(name) for name in names] if names else self.sets()
        for each in found:
            yield f"create {each}\n"
            if each.entries is not None:
                yield from each.entries.texts(f"add {each.name} ")

    def index(self, name: str) -> int:
        """The number of a set, by which iptables rules refer to it: it stays with the name when sets are swapped."""
        return self._asking.ask(Command.GET_BYNAME, commands.command(Command.GET_BYNAME, name), name).set_index

    def name_of(self, index: int) -> str:
        """The name of the set with this number."""
        packed = commands.command(Command.GET_BYINDEX, index=index)
        return self._asking.ask(Command.GET_BYINDEX, packed, index).set_name

    def protocol(self) -> tuple[int, int]:
        """The least and the newest version of the protocol that the kernel speaks. Raises IpsetNotAvailable."""
        answer = self._asking.ask(Command.PROTOCOL, commands.command(Command.PROTOCOL), "")
        return answer.least, answer.protocol

    def revisions(self, type: str, family: str | Family | None = None) -> tuple[int, int]:  # noqa: A002 - its own name
        """The least and the newest revision of a type that the kernel has. Raises SetTypeNotAvailable."""
        kind = SetType.of(type)
        return self._asking.revisions(kind, family_for(kind, family))

    def types(self) -> dict[str, tuple[int, int]]:
        """The types that the kernel has, each with its revisions; asking loads their modules. Raises IpsetNotAvailable."""
        asked = [commands.query_type(kind.name, family_for(kind, None)) for kind in SET_TYPES.values()]
        refused, answers = self._asking.execute(asked)
        names = tuple(SET_TYPES)
        for place, error in refused.items():
            made = refusal(Command.TYPE, error, names[place])
            if not isinstance(made, SetTypeNotAvailable):
                raise made
        return {names[answer.index]: (answer.least, answer.revision) for answer in answers}

    # --- sets -----------------------------------------------------------------------------------------------------------------------

    def create(
        self,
        wanted: Set | str,
        type: str | None = None,  # noqa: A002 - the field's own name
        *,
        revision: Wish = "compatible",
        exist: bool = False,
        **options: Any,
    ) -> bool:
        """Make a set: `create(Set(...))`, `create("name", "hash:ip", timeout=300)` or `create("name hash:ip timeout 300")`.

        Its revision is the lowest that has what is asked for, so that older ipset binaries can list it; or "latest", or a number. If it has
        entries they are added, and sizes that were left open are made for them; when one of them is refused the set is destroyed again and
        BulkFailed raised. With `exist` an existing set that is as asked for is left as it is (and gets the entries); the kernel's own check of that
        ignores family and sizes, so it is made here. Returns whether the set is new.

        Raises SetExists, whose `differences` say in what the existing one is not as asked for; SetTypeNotAvailable, SetFeatureNotAvailable,
        SetLimitReached.
        """
        made = making.definition_of(wanted, type, options)
        contents = made.entries
        features = self._features(made)
        sized = sizes.sized(made, len(contents)) if contents is not None else made
        new = making.make(self._asking, sized, revision, features)
        if not new:
            making.check_existing(self._asking, made, revision, exist=exist)
        if contents is None:
            return new
        try:
            report = self.add_entries(made, contents, exist=not new)
            report.raise_for_failures()
        except BaseException:
            if new:
                # Half filled it would be taken for what was asked for.
                with suppress(IpvskitError):
                    self.destroy(made.name, exist=True)
            raise
        return new

    @staticmethod
    def _features(wanted: Set) -> frozenset[str]:
        if wanted.entries is not None and wanted.entries.has_option("wildcard"):
            return frozenset({"wildcard"})
        return frozenset()

    def destroy(self, name: str, *, exist: bool = False) -> None:
        """Remove a set. With `exist`, that there is none is no failure. Raises SetReferenced while a rule or a list refers to it, SetBusy."""
        packed = commands.command(Command.DESTROY, name, flags=commands.NLM_F_EXCL)
        error = self._patiently(packed, {BUSY}, name)
        if error == errno.ENOENT and exist:
            return
        self._raise(Command.DESTROY, error, name)

    def destroy_all(self) -> None:
        """Remove all sets of the namespace. Raises SetReferenced, and then nothing was removed; SetBusy.

        Lists of sets are flushed first: while one has members the kernel refuses.
        """
        packed = commands.command(Command.DESTROY, flags=commands.NLM_F_EXCL)

        def attempt() -> int:
            error = self._asking.attempt(packed)
            if error == BUSY and not self._referenced_by_rules():
                lists = [found.set.name for found in self.status() if found.set.type == "list:set" and found.entries]
                self._asking.execute([commands.command(Command.FLUSH, name) for name in lists])
                error = self._asking.attempt(packed)
            return error

        self._raise(Command.DESTROY, self._patience.until(attempt, {BUSY}, self._referenced_by_rules), None)

    def _referenced_by_rules(self) -> bool:
        """Whether sets have more references than lists have members."""
        found = self.status()
        members = sum(each.entries for each in found if each.set.type == "list:set")
        return sum(each.references for each in found) > members

    def flush(self, name: str) -> None:
        """Remove all entries of a set."""
        self._asking.do(Command.FLUSH, commands.command(Command.FLUSH, name), name)

    def flush_all(self) -> None:
        """Remove all entries of all sets of the namespace."""
        self._asking.do(Command.FLUSH, commands.command(Command.FLUSH), "")

    def rename(self, name: str, new: str) -> None:
        """Give a set another name. Raises SetExists, SetReferenced while a rule or a list refers to it, SetBusy."""
        packed = commands.command(Command.RENAME, name, new)
        error = self._patiently(packed, {REFERENCED}, name)
        self._raise(Command.RENAME, error, name)

    def swap(self, one: str, two: str) -> None:
        """Exchange the contents and options of two sets; rules and lists follow the name. Raises SetTypeMismatch, SetBusy."""
        packed = commands.command(Command.SWAP, one, two)
        error = self._patience.until(lambda: self._asking.attempt(packed), {errno.EBUSY}, lambda: False)
        missing = {errno.ENOENT: one, EXIST_SETNAME2: two}
        if error:
            raise refusal(Command.SWAP, error, missing.get(error, f"{one} and {two}"))

    def _patiently(self, packed: bytes, busy: Container[int], name: str) -> int:
        return self._patience.until(
            lambda: self._asking.attempt(packed), busy, lambda: bool(self._asking.references(name))
        )

    def _raise(self, command: Command, error: int, name: str | None) -> None:
        if not error:
            return
        made = refusal(command, error, name)
        if isinstance(made, SetReferenced) and name is None:
            made.reason = "rules or lists refer to some of the sets, or another program is listing one"
        elif isinstance(made, SetReferenced) and name is not None:
            made.references = self._asking.references(name)
            if not made.references:
                # Nothing refers to it, so it is being listed.
                raise SetBusy(
                    error, "another program is listing it", operation=made.operation, key=name, text=made.text
                )
            made.reason = f"references to it from rules and lists: {made.references}"
        raise made

    # --- entries --------------------------------------------------------------------------------------------------------------------

    def add(self, name: str | Set, entry: AnyEntry, *, exist: bool = False) -> None:
        """Put an entry into a set. With `exist`, one that is there gets these options instead of its own; it only keeps counters that are not given.

        Raises EntryExists, SetFull, EntryRefused, OptionNotEnabled.
        """
        self._single(Command.ADD, name, entry, exist)

    def delete(self, name: str | Set, entry: AnyEntry, *, exist: bool = False) -> None:
        """Take an entry out of a set. With `exist`, that it is not there is no failure. Raises EntryNotFound, EntryRefused."""
        self._single(Command.DEL, name, entry, exist)

    def test(self, name: str | Set, entry: AnyEntry) -> bool:
        """Whether the set matches: an address is looked for in every network that holds it, exceptions (nomatch) respected. Raises InvalidEntry."""
        return not self._single(Command.TEST, name, entry, True)

    def _single(self, command: Command, name: str | Set, entry: AnyEntry, exist: bool) -> int:
        run = self._bulk(command, name, exist=exist)
        report = run.run([entry])
        for failure in report.failures:
            raise failure.error
        if report.already and not exist:
            raise refusal(command, ALREADY, f"{report.set_name}: {entry_text(entry)}")
        return report.already

    def add_entries(
        self, name: str | Set, entries: Iterable[AnyEntry], *, exist: bool = False, on_error: bulk.OnError = "continue"
    ) -> EntriesReport:
        """Put very many entries into a set, from an iterable or a table (`Elements`).

        Those that are there already stay as they are and are counted; with `exist` they get the options given here, and count as done. Never
        raises for an entry: the report has every one that failed (`raise_for_failures()`). With `on_error="stop"` the first failure ends the
        call, and nothing behind it is tried.
        """
        return self._bulk(Command.ADD, name, exist=exist, on_error=on_error).run(entries)

    def delete_entries(
        self, name: str | Set, entries: Iterable[AnyEntry], *, on_error: bulk.OnError = "continue"
    ) -> EntriesReport:
        """Take very many entries out of a set; those that are not there are counted. Otherwise as `add_entries`."""
        return self._bulk(Command.DEL, name, on_error=on_error).run(entries)

    def test_entries(self, name: str | Set, entries: Iterable[AnyEntry]) -> list[bool]:
        """Whether the set matches each of them, as `test` says it. Raises BulkFailed if any could not be looked for."""
        run = self._bulk(Command.TEST, name)
        report = run.run(entries)
        report.raise_for_failures()
        found = [True] * (report.done + report.already)
        for place in run.already:
            found[place] = False
        return found

    def replace(self, name: str, entries: Iterable[AnyEntry], *, grow: bool = False) -> EntriesReport:
        """Make a set hold these entries and no others, atomically: whoever looks in it sees all of the old or all of the new.

        The contents go into a temporary set ("ipvskit-tmp-..."), which is swapped with the set; its options are kept. When anything fails the set is
        as it was. With `grow` a set that is too small gets a larger maxelem. Temporary sets of crashed replacements are destroyed.

        Raises InvalidEntry, SetFull, BulkFailed for entries that the kernel refuses, SetBusy.
        """
        old = self.set_status(name)
        contents = Elements(old.set)
        contents.update(entries)
        wanted = replacing.grown(old.set, len(contents), grow=grow)
        return self._replacing().run(old, wanted, contents)

    def remake(self, wanted: Set) -> EntriesReport:
        """Give a set that is there the type, the options and the entries of `wanted` (none where they are not stated), all at once by swap.

        Where the kernel swaps no sets of the two types, the old one is destroyed before the new one gets its name; that is refused while rules or
        lists refer to it. When anything fails the set is as it was. Raises as `create` and `replace`, and SetReferenced.
        """
        old = self.set_status(wanted.name)
        contents = wanted.entries if wanted.entries is not None else Elements(wanted)
        swap = old.set.set_type.swaps_with(wanted.set_type, same_family=old.set.family == wanted.family)
        if not swap and old.references:
            self._raise(Command.DESTROY, BUSY, wanted.name)
        made = sizes.sized(wanted, len(contents))
        return self._replacing().run(old, made, contents, "compatible", self._features(wanted), swap=swap)

    def restore(
        self, text: str | bytes | Iterable[str], *, exist: bool = False, on_error: bulk.OnError = "continue"
    ) -> RestoreReport:
        """Execute the commands of a text as `ipset save` writes it, or of its lines: create, add, del, destroy, flush, rename and swap.

        `exist` is -exist for every line. Entries that are there already are counted, and stay as they are unless `exist` or their line's -exist says
        otherwise. A bad line loses no other: the report has every one that failed (`raise_for_failures()`). With `on_error="stop"` nothing behind
        the first failure is executed.
        """
        from ipvskit.ipset.restoring import Restoring

        if isinstance(text, bytes):
            text = text.decode("utf-8", "surrogateescape")
        lines = text.removesuffix("\n").split("\n") if isinstance(text, str) else text
        return Restoring(self, exist=exist, on_error=on_error).run(lines)

    def clean(self) -> list[str]:
        """Destroy the temporary sets of replacements whose process died; returns their names. `replace` does so by itself."""
        return self._replacing().clean()

    def leftovers(self) -> list[str]:
        """The temporary sets of replacements whose process died."""
        return self._replacing().leftovers()

    def _replacing(self) -> replacing.Replacing:
        return replacing.Replacing(self._asking, self._own, self.swap, self.destroy, self.rename, self.add_entries)

    def _bulk(
        self, command: Command, name: str | Set, *, exist: bool = False, on_error: bulk.OnError = "continue"
    ) -> bulk.Bulk:
        if isinstance(name, Set):
            kind, family, name = name.set_type, name.family, name.name
        else:
            try:
                kind, family = self._asking.type_of(name)
            except SetNotFound:
                raise refusal(command, errno.ENOENT, name) from None

        def as_held() -> Set:
            return self.set_status(name).set

        # A command that only looks at sets does not pay for it.
        from ipvskit.ipset.bulk import Bulk

        return Bulk(self._asking, command, name, kind, family, exist=exist, on_error=on_error, held=as_held)
