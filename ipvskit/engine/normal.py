"""What the kernel makes of what it is given: one table for each kind of object.

Knows: the form in which things are listed after they were added. Must not know: how they are compared or added.

Most values are normal as they are made: schedulers' flags and masks, networks cut to their prefixes, ranges expanded, sizes rounded. What is left is
what the kernel fills in where nothing was said.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from ipvskit.errors import InvalidConfig
from ipvskit.model.address import Family
from ipvskit.model.daemon import DaemonRole, SyncDaemon
from ipvskit.model.device import Device
from ipvskit.model.real import RealServer
from ipvskit.model.service import VirtualService
from ipvskit.sets.definition import Set, with_options

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["normalise", "own_entries"]

T = TypeVar("T", VirtualService, RealServer, Set, SyncDaemon, Device)

#: What a set of a type has where nothing was said (ip_set_hash_gen.h, ip_set_list_set.c). Those that kernels tell at their newest revision only, or
#: that are random, stay open.
SET_DEFAULTS: dict[str, Any] = {"hashsize": 1024, "maxelem": 65536, "markmask": 0xFFFFFFFF, "size": 8}
#: What a sync daemon has (ip_vs_sync.c); the largest payload follows from the interface, and stays open. A backup takes no less than this (bytes).
MIN_BACKUP = 1024
#: Options by which a set makes something else of its entries.
_SHAPING = ("netmask", "bitmask", "markmask", "range", "timeout")
DAEMON_DEFAULTS: dict[str, Any] = {"group": "224.0.0.81", "port": 8848, "ttl": 1}


def normalise(value: T) -> T:
    """The value as the kernel lists it after it was added, fields that are kept at their defaults. Raises InvalidConfig for what is no such value."""
    rule: Callable[[T], T] | None = _RULES.get(type(value))
    if rule is None:
        raise InvalidConfig("value", value, "a VirtualService, RealServer, Set, SyncDaemon or Device")
    return rule(value)


def own_entries(value: Set) -> Set:
    """The set with entries as it has them, where they were made for no set in particular, or for another one. Raises InvalidEntry."""
    if value.entries is None or not any(getattr(value, name) is not None for name in _SHAPING):
        return value
    bare = with_options(value, entries=None)
    if value.entries.definition == bare:
        return value
    from ipvskit.sets.elements import Elements

    return with_options(value, entries=Elements(bare, value.entries))


def _service(value: VirtualService) -> VirtualService:
    if not value.keep and not any(real.keep for real in value.reals):
        return value
    return value.filled(value).with_reals(tuple(map(_real, value.reals)))


def _real(value: RealServer) -> RealServer:
    return value.filled(value)


def _set(value: Set) -> Set:
    value = own_entries(value)
    options = value.set_type.create_options
    defaults = {name: held for name, held in SET_DEFAULTS.items() if name in options and getattr(value, name) is None}
    # A set that is made with its contents gets sizes for them (`Ipset.create`).
    if value.entries is not None:
        from ipvskit.sets.sizes import sized

        fitted = sized(value, len(value.entries))
        defaults |= {name: getattr(fitted, name) for name in defaults if getattr(fitted, name) is not None}
    width = 128 if value.family is Family.IPV6 else 32
    full = (1 << width) - 1
    # A mask that leaves every bit is none.
    masks = {"netmask": value.netmask != width, "bitmask": value.bitmask is not None and int(value.bitmask) != full}
    return with_options(
        value, **defaults, **{name: getattr(value, name) if cuts else None for name, cuts in masks.items()}
    )


def _daemon(value: SyncDaemon) -> SyncDaemon:
    filled = {name: getattr(value, name) or held for name, held in DAEMON_DEFAULTS.items()}
    length = (
        max(MIN_BACKUP, value.max_length) if value.role is DaemonRole.BACKUP and value.max_length else value.max_length
    )
    return SyncDaemon(value.role, value.interface, sync_id=value.sync_id, max_length=length, **filled)


def _device(value: Device) -> Device:
    # One that is made is down unless it is to be up.
    return value.replace(up=bool(value.up))


_RULES: dict[type, Callable[[Any], Any]] = {
    VirtualService: _service,
    RealServer: _real,
    Set: _set,
    SyncDaemon: _daemon,
    Device: _device,
}
