"""What ipset says when the kernel refuses.

Knows: the numbers of linux/netfilter/ipset/ip_set.h and the sentences of ipset 7.17. Must not know: anything else.
"""

from __future__ import annotations

import errno
import os

__all__ = ["refusal_text"]

_PRIVATE, _OF_TYPE = 4096, 4352

#: By number, and by command where not every one has it.
_TEXTS: dict[tuple[int, str], str] = {
    (errno.ENOENT, ""): "The set with the given name does not exist",
    (errno.EMSGSIZE, ""): "Kernel error received: message could not be created",
    (errno.ERANGE, ""): "The specified range is too large, split it up into smaller ranges",
    (errno.EEXIST, "create"): "Set cannot be created: set with the same name already exists",
    (errno.EEXIST, "type"): "Kernel error received: set type does not supported",
    (_PRIVATE + 1, ""): "Kernel error received: ipset protocol error",
    (_PRIVATE + 2, ""): "Kernel error received: set type not supported",
    (_PRIVATE + 3, ""): "Kernel error received: maximal number of sets reached, cannot create more.",
    (_PRIVATE + 4, "destroy"): "Set cannot be destroyed: it is in use by a kernel component",
    (_PRIVATE + 5, "rename"): "Set cannot be renamed: a set with the new name already exists",
    (_PRIVATE + 5, "swap"): "Sets cannot be swapped: the second set does not exist",
    (_PRIVATE + 6, "swap"): "The sets cannot be swapped: their type does not match",
    (_PRIVATE + 7, "add"): "Element cannot be added to the set: it's already added",
    (_PRIVATE + 7, "del"): "Element cannot be deleted from the set: it's not added",
    (_PRIVATE + 8, ""): "The value of the CIDR parameter of the IP address is invalid",
    (_PRIVATE + 9, ""): "The value of the netmask parameter is invalid",
    (_PRIVATE + 10, ""): "Protocol family not supported by the set type",
    (_PRIVATE + 11, ""): "Timeout cannot be used: set was created without timeout support",
    (_PRIVATE + 12, "rename"): "Set cannot be renamed: it is in use by another system",
    (_PRIVATE + 13, ""): "An IPv4 address is expected, but not received",
    (_PRIVATE + 14, ""): "An IPv6 address is expected, but not received",
    (_PRIVATE + 15, ""): "Packet/byte counters cannot be used: set was created without counter support",
    (_PRIVATE + 16, ""): "Comment cannot be used: set was created without comment support",
    (_PRIVATE + 17, ""): "The value of the markmask parameter is invalid",
    (_PRIVATE + 18, ""): "Skbinfo mapping cannot be used: set was created without skbinfo support",
    (_PRIVATE + 19, ""): "netmask and bitmask options are mutually exclusive, provide only one",
}
#: From 4352 on, by the method of the type.
_TYPE_TEXTS = {
    "bitmap": {
        0: "Element is out of the range of the set",
        1: "The range you specified exceeds the size limit of the set type",
    },
    "hash": {
        0: "Hash is full, cannot add more elements",
        1: "Null-valued element, cannot be stored in a hash type of set",
        2: "Invalid protocol specified",
        3: "Protocol missing, but must be specified",
        4: 'Range is not supported in the "net" component of the element',
        5: "Invalid range, covers the whole address space",
    },
    "list": {
        0: "Set to be added/deleted/tested as element does not exist.",
        1: "Sets with list:set type cannot be added to the set.",
        2: "No reference set specified.",
        3: "The set to which you referred with 'before' or 'after' does not exist.",
        4: "The set is full, more elements cannot be added.",
        5: "The set to which you referred with 'before' or 'after' is not added to the set.",
    },
}


def refusal_text(command: str, error: int, kind: str) -> str:
    """The sentence for an error number. `kind` is the type of the set, "" where it is not known."""
    if error >= _OF_TYPE:
        found = _TYPE_TEXTS.get(kind.partition(":")[0], {}).get(error - _OF_TYPE)
        if found is not None:
            return found
    found = _TEXTS.get((error, command)) or _TEXTS.get((error, ""))
    if found is not None:
        return found
    if error < _PRIVATE:
        # Some types answer with a number that is none; the library takes those for EPROTO.
        return f"Kernel error received: {'Unknown error -1' if error == errno.EPROTO else os.strerror(error)}"
    return f"Undecoded error {error} received from kernel"
