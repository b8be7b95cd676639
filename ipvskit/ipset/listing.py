"""Sets as they are listed, made values.

Knows: listings. Must not know: what is asked for and why.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ipvskit.errors import SetNotFound
from ipvskit.ipset import commands
from ipvskit.ipset.asking import Asking, known_type
from ipvskit.ipset.commands import held
from ipvskit.ipset.replacing import TEMPORARY
from ipvskit.sets.definition import with_options
from ipvskit.sets.elements import Elements

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ipvskit.sets.definition import Set, SetStatus

__all__ = ["listed", "set_of"]


def set_of(header: commands.Header, table: Any) -> Set:  # noqa: ANN401 - the C table
    """A set, with its entries where a table is given."""
    found = held(header).set
    if table is None:
        return found
    contents = Elements.of_table(known_type(header), header.inet, table, found)
    return with_options(found, entries=contents)


def listed(
    asking: Asking, wanted: Callable[[str], bool] | None, names: Iterable[str] | None
) -> list[tuple[Set, SetStatus]]:
    """See `Ipset.held`."""
    if wanted is None and names is None:
        found = asking.listing()
    else:
        if names is None:
            headers = asking.listing(None, commands.LIST_NAMES)
            names = [header.set_name for header, _ in headers if wanted is not None and wanted(header.set_name)]
        found = list(_one_by_one(asking, names))
    kept = [(header, table) for header, table in found if not header.set_name.startswith(TEMPORARY)]
    return [(set_of(header, table), held(header)) for header, table in kept]


def _one_by_one(asking: Asking, names: Iterable[str]) -> Iterator[tuple[commands.Header, Any]]:
    for name in names:
        try:
            yield asking.listing(name)[0]
        except SetNotFound:
            continue
