"""What the kernel's refusals mean: the one place where error numbers of ipset become exceptions.

Knows: enum ipset_errno of linux/netfilter/ipset/ip_set.h and of the types' headers. Must not know: netlink, retries.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from ipvskit.errors import (
    EntryExists,
    EntryNotFound,
    EntryRefused,
    IpsetNotAvailable,
    KernelError,
    NotSupported,
    OptionNotEnabled,
    PermissionDenied,
    SetBusy,
    SetExists,
    SetFull,
    SetLimitReached,
    SetNotFound,
    SetReferenced,
    SetTypeMismatch,
    SetTypeNotAvailable,
)
from ipvskit.ipset.commands import Command
from ipvskit.modules import module_state, why_missing

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ALREADY", "BUSY", "EXIST_SETNAME2", "NOT_ENABLED", "NULL", "OUTSIDE", "REFERENCED", "refusal"]

_PRIVATE = 4096
_OF_TYPE = 4352

PROTOCOL, FIND_TYPE, MAX_SETS, BUSY, EXIST_SETNAME2, TYPE_MISMATCH, ALREADY = range(_PRIVATE + 1, _PRIVATE + 8)
REFERENCED = _PRIVATE + 12
OUTSIDE = _OF_TYPE  # of bitmaps
NULL = _OF_TYPE + 1  # of hashes

#: By the option of an entry that the set was created without.
NOT_ENABLED = {
    "timeout": _PRIVATE + 11,
    "packets": _PRIVATE + 15,
    "bytes": _PRIVATE + 15,
    "comment": _PRIVATE + 16,
    "skbmark": _PRIVATE + 18,
    "skbprio": _PRIVATE + 18,
    "skbqueue": _PRIVATE + 18,
}

_NAMES = (
    "PROTOCOL",
    "FIND_TYPE",
    "MAX_SETS",
    "BUSY",
    "EXIST_SETNAME2",
    "TYPE_MISMATCH",
    "EXIST",
    "INVALID_CIDR",
    "INVALID_NETMASK",
    "INVALID_FAMILY",
    "TIMEOUT",
    "REFERENCED",
    "IPADDR_IPV4",
    "IPADDR_IPV6",
    "COUNTER",
    "COMMENT",
    "INVALID_MARKMASK",
    "SKBINFO",
    "BITMASK_NETMASK_EXCL",
)
_TYPE_NAMES = {
    "bitmap": ("BITMAP_RANGE", "BITMAP_RANGE_SIZE"),
    "hash": (
        "HASH_FULL",
        "HASH_ELEM",
        "INVALID_PROTO",
        "MISSING_PROTO",
        "HASH_RANGE_UNSUPPORTED",
        "HASH_RANGE",
    ),
    "list": ("NAME", "LOOP", "BEFORE", "NAMEREF", "LIST_FULL", "REF_EXIST"),
}

_Meaning = tuple[type[KernelError], str]
_ENTRY_COMMANDS = (Command.ADD, Command.DEL, Command.TEST)

_NO_SET = (SetNotFound, "there is no such set")
_ANYWHERE: Mapping[int, _Meaning] = {
    errno.EPERM: (
        PermissionDenied,
        "ipset needs CAP_NET_ADMIN in the user namespace that owns the network namespace",
    ),
    errno.ENOMEM: (KernelError, "the kernel has no memory for it"),
    errno.ENOENT: _NO_SET,
    PROTOCOL: (KernelError, "the kernel does not understand the request"),
}

_BY_COMMAND: Mapping[Command, Mapping[int, _Meaning]] = {
    Command.CREATE: {
        errno.EEXIST: (SetExists, "a set of this name exists"),
        errno.EINVAL: (KernelError, "the kernel does not take one of the options"),
        FIND_TYPE: (SetTypeNotAvailable, "the kernel does not know the type, or not of this family or revision"),
        MAX_SETS: (SetLimitReached, "the kernel holds as many sets as it can"),
        _PRIVATE + 9: (KernelError, "netmask: not a prefix length that this type takes"),
        _PRIVATE + 10: (KernelError, "family: not one that this type takes"),
        _PRIVATE + 17: (KernelError, "markmask: must not be 0"),
        _PRIVATE + 19: (KernelError, "netmask and bitmask exclude each other"),
        PROTOCOL: (NotSupported, "the kernel does not know one of the options"),
    },
    Command.DESTROY: {BUSY: (SetReferenced, "a rule or a list refers to it, or another program is listing it")},
    Command.RENAME: {
        EXIST_SETNAME2: (SetExists, "a set of the new name exists"),
        REFERENCED: (SetReferenced, "a rule or a list refers to it, or another program is listing it"),
    },
    Command.SWAP: {
        EXIST_SETNAME2: (SetNotFound, "there is no such second set"),
        TYPE_MISMATCH: (SetTypeMismatch, "their types hold different things, or their families differ"),
        errno.EBUSY: (SetBusy, "another program is listing one of the two"),
    },
    Command.TYPE: {FIND_TYPE: (SetTypeNotAvailable, "the kernel does not know the type, or not of this family")},
}

_ENTRY: Mapping[int, _Meaning] = {
    errno.EINVAL: (EntryRefused, "the kernel does not take this entry"),
    errno.EPROTO: (EntryRefused, "the kernel refuses the entry and does not say why"),
    errno.ERANGE: (EntryRefused, "the range is larger than this kernel takes at once"),
    PROTOCOL: (
        EntryRefused,
        "the kernel does not understand the entry: the set is of the other family, or its type lacks an option",
    ),
    _PRIVATE + 8: (EntryRefused, "not a prefix length that this type takes"),
    _PRIVATE + 11: (OptionNotEnabled, "timeout: the set was created without timeout"),
    _PRIVATE + 13: (EntryRefused, "an IPv4 address is expected"),
    _PRIVATE + 14: (EntryRefused, "an IPv6 address is expected"),
    _PRIVATE + 15: (OptionNotEnabled, "packets, bytes: the set was created without counters"),
    _PRIVATE + 16: (OptionNotEnabled, "comment: the set was created without comment"),
    _PRIVATE + 18: (OptionNotEnabled, "skbmark, skbprio, skbqueue: the set was created without skbinfo"),
}

#: Numbers from 4352 on mean something else in each family of types.
_ENTRY_BY_TYPE: Mapping[str, Mapping[int, _Meaning]] = {
    "bitmap": {
        0: (EntryRefused, "outside the range of the set"),
        1: (KernelError, "range: a bitmap holds at most 65536 elements"),
    },
    "hash": {
        0: (SetFull, "the set is full"),
        1: (EntryRefused, "a zero address stands for nothing in this type"),
        2: (EntryRefused, "not a protocol that this type takes"),
        3: (EntryRefused, "a protocol is missing"),
        4: (EntryRefused, "ranges are for IPv4 only"),
        5: (EntryRefused, "a range of all addresses there are"),
    },
    "list": {
        0: (SetNotFound, "there is no set of this name to be a member"),
        1: (EntryRefused, "a list cannot be a member of a list"),
        2: (EntryRefused, "before or after needs the name of a member"),
        3: (SetNotFound, "there is no set of the name given with before or after"),
        4: (SetFull, "the list is full"),
        5: (EntryNotFound, "the set given with before or after is not in the list, or stands elsewhere"),
    },
}


def _meaning(command: Command, kind: str, error: int) -> _Meaning | None:
    found = _BY_COMMAND.get(command, {}).get(error)
    if found is None and command in _ENTRY_COMMANDS:
        if error == ALREADY:
            return (EntryExists, "it is there") if command is Command.ADD else (EntryNotFound, "it is not there")
        found = _ENTRY.get(error)
    if found is None and error >= _OF_TYPE:
        found = _ENTRY_BY_TYPE.get(kind.partition(":")[0], {}).get(error - _OF_TYPE)
    return found or _ANYWHERE.get(error)


def _kernel_name(kind: str, error: int) -> str:
    """IPSET_ERR_EXIST for 4103; the numbers from 4352 on depend on the type."""
    names: tuple[str, ...] = ()
    place = -1
    if _PRIVATE < error <= _PRIVATE + len(_NAMES):
        names, place = _NAMES, error - _PRIVATE - 1
    elif error >= _OF_TYPE:
        names, place = _TYPE_NAMES.get(kind.partition(":")[0], ()), error - _OF_TYPE
    return f"IPSET_ERR_{names[place]}" if 0 <= place < len(names) else ""


#: Netfilter knows no subsystem of this number; these commands are not refused with EINVAL for anything else.
_NEVER_INVALID = frozenset(
    {
        Command.PROTOCOL,
        Command.DESTROY,
        Command.FLUSH,
        Command.RENAME,
        Command.SWAP,
        Command.LIST,
        Command.HEADER,
        Command.TYPE,
    }
)


def refusal(command: Command, error: int, key: object, *, kind: str = "") -> KernelError:
    """The exception for a refusal. `kind` is the type of the set, as far as it is known."""
    found = _meaning(command, kind, error)
    operation = _OPERATIONS.get(command, command.name.lower())
    if error in {errno.EINVAL, errno.EOPNOTSUPP} and command in _NEVER_INVALID:
        reason = why_missing("ip_set", "CONFIG_IP_SET", module_state("ip_set"))
        return IpsetNotAvailable(error, f"ipset is not available: {reason}", operation=operation, key=key)
    text = _kernel_name(kind, error)
    if found is None:
        return KernelError(error, "" if error < _PRIVATE else "refused", operation=operation, key=key, text=text)
    meaning, reason = found
    return meaning(error, reason, operation=operation, key=key, text=text)


_OPERATIONS = {
    Command.CREATE: "create set",
    Command.DESTROY: "destroy set",
    Command.FLUSH: "flush set",
    Command.RENAME: "rename set",
    Command.SWAP: "swap sets",
    Command.LIST: "list set",
    Command.ADD: "add to",
    Command.DEL: "delete from",
    Command.TEST: "test in",
    Command.HEADER: "look at set",
    Command.TYPE: "find set type",
    Command.PROTOCOL: "find ipset",
    Command.GET_BYNAME: "find set",
    Command.GET_BYINDEX: "find set with index",
}
