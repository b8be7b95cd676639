"""Making changes of settings, timeouts and sync daemons.

Knows: the calls, and how a failure is told from a race that came out right. Must not know: plans, order.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ipvskit.engine.diff_settings import same_daemon
from ipvskit.engine.keys import DaemonKey, SysctlKey
from ipvskit.engine.plan import Action
from ipvskit.errors import DaemonExists, DaemonNotFound, IpvskitError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ipvskit.engine.handle import Handle
    from ipvskit.engine.plan import Change
    from ipvskit.engine.verdicts import Verdicts, Work

__all__ = ["apply_settings"]


def apply_settings(kernel: Handle, work: Sequence[Work], verdicts: Verdicts) -> None:
    """Set what can be set, start and stop daemons, one after the other."""
    for place, change in work:
        if verdicts.stopped:
            return
        try:
            _make(kernel, change)
        except IpvskitError as error:
            now = _now(kernel, change)
            if _is_so(change, error, now):
                verdicts.already(place)
            else:
                verdicts.failed(place, error, now)
        else:
            verdicts.done([place])


def _make(kernel: Handle, change: Change) -> None:
    key = change.key
    if isinstance(key, SysctlKey):
        kernel.ipvs.sysctls[key.name] = change.after
    elif isinstance(key, DaemonKey):
        _daemon(kernel, change)
    else:
        after = change.after
        kernel.ipvs.set_timeouts(tcp=after.tcp, tcp_fin=after.tcp_fin, udp=after.udp)


def _daemon(kernel: Handle, change: Change) -> None:
    if change.before is not None:
        with suppress(DaemonNotFound):
            kernel.ipvs.stop_daemon(change.before.role)
    if change.action is Action.DELETE:
        return
    try:
        kernel.ipvs.start_daemon(change.after)
    except IpvskitError:
        if change.before is not None:
            # Better the old one than none.
            with suppress(IpvskitError):
                kernel.ipvs.start_daemon(change.before)
        raise


def _now(kernel: Handle, change: Change) -> Any:  # noqa: ANN401 - any value of the model
    try:
        if isinstance(change.key, SysctlKey):
            return kernel.ipvs.sysctls.get(change.key.name)
        if isinstance(change.key, DaemonKey):
            role = change.key.role
            return next((daemon for daemon in kernel.ipvs.daemons() if daemon.role is role), None)
        return kernel.ipvs.timeouts()
    except IpvskitError:
        return None


def _is_so(change: Change, error: IpvskitError, now: Any) -> bool:  # noqa: ANN401 - any value of the model
    return isinstance(error, DaemonExists) and now is not None and same_daemon(change.after, now)
