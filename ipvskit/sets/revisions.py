"""Which revision of its type a set is created with.

Knows: that a newer one than needed locks older ipset binaries out. Must not know: how the kernel is asked.

The kernel takes every feature with every revision (it gates none by the number). What the number decides is which ipset binaries can still list the
set, and with it every other set of the namespace: hence the lowest that is honest. Below the revision that has all entry syntax of 2012 there is
nothing to be gained, so that is the least.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Literal

from ipvskit.errors import InvalidConfig, SetFeatureNotAvailable
from ipvskit.sets.create_text import FLAGS

if TYPE_CHECKING:
    from ipvskit.model.settype import SetType
    from ipvskit.sets.definition import Set

__all__ = ["Wish", "choose", "features_of"]

Wish = Literal["compatible", "latest"] | int

#: Options by what they came with, where that has another name.
_CAME_WITH = {"bucketsize": "bucketsize", "initval": "bucketsize", "netmask": "netmask", "bitmask": "bitmask"}


def features_of(wanted: Set) -> frozenset[str]:
    """What the set asks for, by the names in `SetType.revisions`."""
    found = {flag for flag in FLAGS if getattr(wanted, flag)}
    found |= {feature for option, feature in _CAME_WITH.items() if getattr(wanted, option) is not None}
    return frozenset(found)


def choose(
    settype: SetType,
    wanted: Set,
    kernel_range: tuple[int, int],
    wish: Wish = "compatible",
    entry_features: frozenset[str] = frozenset(),
) -> int:
    """The revision to create the set with, of those that the kernel takes (`kernel_range`, both ends included).

    `wish` is "compatible": the lowest that has what is asked for, entries' own features (`Entry.features`) included; "latest"; or a number, which is
    taken as it is. Raises SetFeatureNotAvailable if this kernel lacks a feature, or the revision; InvalidConfig.
    """
    lowest, newest = kernel_range
    asked = {feature: settype.revision_of(feature) for feature in features_of(wanted) | entry_features}
    feature, needed = max(asked.items(), key=lambda item: (item[1], item[0]), default=("", 0))
    if needed > newest:
        reason = f"{feature} needs revision {needed} of {settype}, and this kernel's newest is {newest}"
        raise SetFeatureNotAvailable(errno.EOPNOTSUPP, reason, operation="create", key=wanted.name)
    if wish == "latest":
        return newest
    if wish == "compatible":
        base = min(newest, max(settype.lowest, settype.syntax_revision))
        return max(lowest, base, needed)
    if isinstance(wish, bool) or not isinstance(wish, int) or wish < 0:
        raise InvalidConfig("revision", wish, '"compatible", "latest" or a number')
    if not lowest <= wish <= newest:
        reason = f"revision {wish} of {settype} was asked for, and this kernel has {lowest} to {newest}"
        raise SetFeatureNotAvailable(errno.EOPNOTSUPP, reason, operation="create", key=wanted.name)
    return wish
