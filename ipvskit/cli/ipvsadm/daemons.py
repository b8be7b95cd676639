"""A sync daemon in a line of the list.

Knows: how it looks. Must not know: where it comes from.
"""

from __future__ import annotations

from ipvskit.cli.ipvsadm.lookup import address_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ipvskit.cli.ipvsadm.reading import Daemon

__all__ = ["daemon_text"]

_MASTER, _BACKUP = 1, 2


def daemon_text(daemon: Daemon) -> str:
    """The daemon's line."""
    role = "master" if daemon.state & _MASTER else "backup" if daemon.state & _BACKUP else ""
    if not role:
        return ""
    words = [f"{role} sync daemon (mcast={daemon.interface}", f"syncid={daemon.sync_id}"]
    if daemon.max_length:
        words.append(f"maxlen={daemon.max_length}")
    if daemon.family:
        words.append(f"group={address_text(daemon.family, daemon.group)}")
    if daemon.port:
        words.append(f"port={daemon.port}")
    if daemon.ttl:
        words.append(f"ttl={daemon.ttl}")
    return ", ".join(words) + ")\n"
