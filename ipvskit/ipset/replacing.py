"""All of a set's contents at one go.

Knows: the temporary set, who owns it, and how it takes the place of the other. Must not know: messages, entries' text.

The new contents are filled into a temporary set, the two are swapped, and the temporary one is destroyed: who looks in the set meanwhile sees all of
the old or all of the new. A temporary set left by a crash is destroyed by the next replacement in the namespace: as long as its maker lives it holds
an abstract socket of the same name there, which the kernel closes when it dies.
"""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from ipvskit.errors import Busy, IpvskitError, KernelError, SetFull, SetNotFound
from ipvskit.ipset import commands
from ipvskit.ipset.making import make
from ipvskit.sets.definition import with_options
from ipvskit.sets.sizes import sized

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ipvskit.ipset.asking import Asking
    from ipvskit.ipset.report import EntriesReport
    from ipvskit.sets.definition import Set, SetStatus
    from ipvskit.sets.elements import Elements
    from ipvskit.sets.revisions import Wish

    Own = Callable[[str], "Owner | None"]

__all__ = ["TEMPORARY", "Owner", "Replacing", "grown"]

#: What the names of temporary sets begin with; eight hexadecimal digits follow.
TEMPORARY = "ipvskit-tmp-"


class Owner(Protocol):
    """Something that is held as long as its process lives."""

    def close(self) -> None:
        """Let it go."""


class Replacing:
    """Replaces contents. `own` takes the ownership of a name in the namespace, and gives None where it is held by somebody alive."""

    def __init__(
        self,
        asking: Asking,
        own: Own,
        swap: Callable[[str, str], None],
        destroy: Callable[[str], None],
        rename: Callable[[str, str], None],
        fill: Callable[[str, Elements], EntriesReport],
    ) -> None:
        self._asking = asking
        self._own = own
        self._swap = swap
        self._destroy = destroy
        self._rename = rename
        self._fill = fill

    def run(
        self,
        old: SetStatus,
        wanted: Set,
        entries: Elements,
        wish: Wish | None = None,
        features: frozenset[str] = frozenset(),
        *,
        swap: bool = True,
    ) -> EntriesReport:
        """Make `old` hold these entries, with the creation options of `wanted`. Raises what filling raises; then nothing has changed.

        `wish` is the revision, that of the old one where there is none. Without `swap` the old one is destroyed and the new one given its name.
        """
        # What cannot be cleaned up now (somebody lists it) is no reason not to replace.
        with suppress(Busy):
            self.clean()
        with self._temporary() as name:
            if not make(self._asking, with_options(wanted, name=name, entries=None), wish or old.revision, features):
                raise KernelError(errno.EEXIST, "a set with a random name exists", operation="create set", key=name)
            try:
                report = self._fill(name, entries)
                report.raise_for_failures()
                if swap:
                    self._swap(name, old.set.name)
                else:
                    self._destroy(old.set.name)
                    self._rename(name, old.set.name)
            except BaseException:
                with suppress(IpvskitError):
                    self._destroy(name)
                raise
            # The set has its new contents. Old ones that somebody still lists are for the next replacement to destroy.
            with suppress(Busy, SetNotFound):
                self._destroy(name)
        return replace(report, set_name=old.set.name)

    @contextmanager
    def _temporary(self) -> Iterator[str]:
        while True:
            name = TEMPORARY + os.urandom(4).hex()
            owner = self._own(name)
            if owner is not None:
                break
        try:
            yield name
        finally:
            owner.close()

    def clean(self) -> list[str]:
        """Destroy temporary sets whose makers died; returns their names."""
        gone = []
        for name, owner in self._abandoned():
            try:
                with suppress(SetNotFound):
                    self._destroy(name)
                    gone.append(name)
            finally:
                owner.close()
        return gone

    def leftovers(self) -> list[str]:
        """The names of temporary sets whose makers died."""
        found = []
        for name, owner in self._abandoned():
            owner.close()
            found.append(name)
        return found

    def _abandoned(self) -> Iterator[tuple[str, Owner]]:
        """Temporary sets that nobody alive owns; their ownership is the caller's to let go."""
        for header, _ in self._asking.listing(None, commands.LIST_NAMES):
            if header.set_name.startswith(TEMPORARY):
                owner = self._own(header.set_name)
                if owner is not None:
                    yield header.set_name, owner


def grown(old: Set, count: int, *, grow: bool) -> Set:
    """What the replacement of a set with so many entries is created with. Raises SetFull unless it has room or may grow."""
    wanted = old
    if old.maxelem is not None and count > old.maxelem:
        if not grow:
            reason = f"{count} entries are more than the {old.maxelem} it holds at most (grow=True makes room)"
            error = SetFull(errno.ENOSPC, reason, operation="replace the entries of", key=old.name)
            error.limit = old.maxelem
            raise error
        wanted = with_options(old, maxelem=None)
    size = sized(with_options(wanted, hashsize=None), count)
    # As large as it was made, or as these need it from the start.
    return with_options(size, hashsize=max(size.hashsize or 0, old.hashsize)) if old.hashsize is not None else size
