"""Settings, timeouts and sync daemons: what is to be changed.

Knows: what the kernel makes of what is left open. Must not know: how changes are made.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING

from ipvskit.engine.keys import DaemonKey, SysctlKey, TimeoutsKey
from ipvskit.engine.normal import normalise
from ipvskit.engine.order import LATE_SETTINGS
from ipvskit.engine.part import Part, check_scope, owned
from ipvskit.engine.plan import Action, Change
from ipvskit.errors import SysctlNotAvailable
from ipvskit.model.daemon import SyncDaemon, Timeouts
from ipvskit.model.sysctl import SYSCTLS

if TYPE_CHECKING:
    from ipvskit.engine.scope import Scope
    from ipvskit.engine.snapshot import Snapshot
    from ipvskit.engine.state import State

__all__ = ["diff_settings", "same_daemon"]


def diff_settings(snapshot: Snapshot, state: State, scope: Scope | None) -> Part:
    """The changes of settings, timeouts and sync daemons."""
    part = Part([], [], {})
    _sysctls(part, snapshot, state)
    _timeouts(part, snapshot, state)
    _daemons(part, snapshot, state, scope)
    return part


def _sysctls(part: Part, snapshot: Snapshot, state: State) -> None:
    for name, wanted in state.sysctls.items():
        key = SysctlKey(name)
        check_scope(key, None, snapshot)
        if not snapshot.covers(key):
            continue
        held = snapshot.sysctls.get(name)
        if held is not None and SYSCTLS[name].normal(held) == SYSCTLS[name].normal(wanted):
            continue
        refused = None
        if held is None and not _comes_with_services(name, state):
            reason = "this kernel does not have it, or does not show it in this namespace"
            refused = SysctlNotAvailable(2, reason, operation="set sysctl", key=SYSCTLS[name].full_name)
        part.changes.append(Change(Action.EDIT, key, held, wanted, refused=refused))


def _comes_with_services(name: str, state: State) -> bool:
    scheduler = LATE_SETTINGS.get(name)
    return scheduler is not None and any(service.scheduler == scheduler for service in state.services.values())


def _timeouts(part: Part, snapshot: Snapshot, state: State) -> None:
    wanted, held = state.timeouts, snapshot.timeouts
    if wanted is None:
        return
    check_scope(TimeoutsKey(), None, snapshot)
    if not snapshot.covers(TimeoutsKey()):
        return
    names = [field.name for field in fields(Timeouts)]
    after = Timeouts(*(getattr(wanted, name) or (getattr(held, name) if held else 0) for name in names))
    if after != held:
        part.changes.append(Change(Action.EDIT, TimeoutsKey(), held, after))


def _daemons(part: Part, snapshot: Snapshot, state: State, scope: Scope | None) -> None:
    if state.daemons is None:
        part.foreign.extend(DaemonKey(role) for role in snapshot.daemons if not owned(DaemonKey(role), scope))
    for role, wanted in (state.daemons or {}).items():
        key = DaemonKey(role)
        check_scope(key, scope, snapshot)
        if not snapshot.covers(key):
            continue
        held = snapshot.daemons.get(role)
        if held is None:
            part.changes.append(Change(Action.ADD, key, None, wanted))
        elif not same_daemon(wanted, held):
            part.changes.append(Change(Action.REPLACE, key, held, wanted, "a running daemon cannot be changed"))
    if state.daemons is None:
        return
    for role, held in snapshot.daemons.items():
        key = DaemonKey(role)
        if role in state.daemons or not snapshot.covers(key):
            continue
        if owned(key, scope):
            part.changes.append(Change(Action.DELETE, key, held))
        else:
            part.foreign.append(key)
    part.held["daemons"] = len(snapshot.daemons)


def same_daemon(wanted: SyncDaemon, held: SyncDaemon) -> bool:
    """Whether a running daemon is as wanted, what was left open taken as the kernel takes it."""
    if not wanted.max_length or not held.max_length:
        wanted, held = (_without_length(one) for one in (wanted, held))
    return normalise(wanted) == normalise(held)


def _without_length(daemon: SyncDaemon) -> SyncDaemon:
    # The interface says how long, and that is not asked.
    return replace(daemon, max_length=0)
