"""The difference between what there is and what is wanted.

Knows: which parts there are, and that it is computed without asking anybody anything. Must not know: how changes are made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipvskit.engine.diff_devices import diff_devices
from ipvskit.engine.diff_services import diff_services
from ipvskit.engine.diff_sets import diff_sets
from ipvskit.engine.diff_settings import diff_settings
from ipvskit.engine.order import in_order
from ipvskit.engine.plan import Change, Plan
from ipvskit.engine.scope import Scope
from ipvskit.engine.snapshot import Snapshot
from ipvskit.engine.state import State
from ipvskit.errors import InvalidConfig

if TYPE_CHECKING:
    from ipvskit.engine.diff_sets import EntryTimeouts
    from ipvskit.engine.drain import Drain
    from ipvskit.engine.keys import Key

__all__ = ["diff"]


def diff(
    snapshot: Snapshot,
    state: State,
    *,
    scope: Scope | None = None,
    drain: Drain | None = None,
    atomic: bool = False,
    entry_timeouts: EntryTimeouts = "ignore",
) -> Plan:
    """What has to be changed to get from the snapshot to the state. It only computes: nothing is read or written, and no clock is looked at.

    Without a `scope` nothing is deleted: no service, no real server, no entry. With one, what is in it and not in the state is deleted, and the
    state may name nothing outside of it. `drain` takes real servers out without cutting their connections. `atomic` replaces contents of sets by
    swap always, not only where that is cheaper. `entry_timeouts` says when entries are added again for their timeouts: "ignore" never, a number of
    seconds when less than that is left (and where only one of both lasts for ever), "exact" whenever they differ. A snapshot of some keys only is
    compared with those only.

    Raises InvalidConfig for a state that names what is outside the scope, or what the snapshot did not look for; and what says why this kernel has
    no IPVS or no ipset, if the state needs it.
    """
    for name, value, kind in (("snapshot", snapshot, Snapshot), ("state", state, State)):
        if not isinstance(value, kind):
            raise InvalidConfig(name, value, f"a {kind.__name__}")
    if scope is not None and not isinstance(scope, Scope):
        raise InvalidConfig("scope", scope, "a Scope, or None: nothing is deleted then")
    _check_timeouts(entry_timeouts)
    _check_missing(snapshot, state)
    parts = (
        diff_settings(snapshot, state, scope),
        diff_sets(snapshot, state, scope, atomic=atomic, entry_timeouts=entry_timeouts),
        diff_devices(snapshot, state, scope),
        diff_services(snapshot, state, scope, drain),
    )
    changes: list[Change] = []
    foreign: list[Key] = []
    held: dict[str, int] = {}
    for part in parts:
        changes += part.changes
        foreign += part.foreign
        held |= part.held
    ordered = in_order(changes, parts[-1].segments)
    return Plan(ordered, tuple(foreign), held, not state, False, drain, snapshot)


def _check_timeouts(value: object) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool) and value >= 0
    if value not in {"ignore", "exact"} and not number:
        raise InvalidConfig("entry_timeouts", value, '"ignore", "exact" or a number of seconds')


def _check_missing(snapshot: Snapshot, state: State) -> None:
    needs_ipvs = state.services or state.sysctls or state.timeouts or state.daemons
    for part, needed in (("ipvs", needs_ipvs), ("ipset", state.sets), ("devices", state.devices)):
        error = snapshot.missing.get(part)
        if needed and error is not None:
            raise error
