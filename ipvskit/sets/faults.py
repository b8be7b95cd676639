"""What is wrong with an entry, in words.

Knows: the codes of enum ik_fault_code (csrc/ik_element.h). Must not know: how they are found.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipvskit.errors import InvalidEntry

if TYPE_CHECKING:
    from ipvskit._native.elements import Fault
    from ipvskit.model.settype import SetType

__all__ = ["FAULTS", "invalid_entry"]

_ADDRESS = "an IPv4 or IPv6 address (names are not looked up)"

#: In the order of the enum: field, and what would be right. `{kind}` is the type, `{syntax}` how its entries are written.
FAULTS: tuple[tuple[str, str], ...] = (
    ("entry", "an entry"),
    ("address", _ADDRESS),
    ("address", "an address of the set's family"),
    ("prefix", "a prefix length: 1 to 32 for IPv4, 1 to 128 for IPv6 (0 in hash:net,port,net and hash:net,iface only)"),
    (
        "address",
        "a single address here: ranges and blocks are for IPv4, and not for second addresses or beside a MAC address",
    ),
    ("address", "less than all addresses there are"),
    ("entry", "not zero: 0.0.0.0, :: and 00:00:00:00:00:00 stand for nothing in a {kind}"),
    ("entry", "within the range of the set"),
    ("port", "a port (0 to 65535), a range of them, a service name, or an ICMP type"),
    ("protocol", "a protocol's name, or its number from 1 to 255"),
    ("mark", "a number of 32 bits, as in 0x1f"),
    ("mac", "a MAC address, as in 02:00:5e:10:00:01"),
    ("interface", "the name of an interface, 1 to 15 bytes"),
    ("set", "the name of a set, 1 to 31 bytes"),
    ("entry", "all parts: {syntax}"),
    ("entry", "no more parts than {syntax}"),
    ("option", "an option of entries: {options}"),
    (
        "option",
        "an option that entries of this set have: a {kind} has {options}, and some of them only if the set was created with them",
    ),
    ("timeout", "whole seconds from 0 (for ever) to 2147483"),
    ("counters", "a whole number from 0 to 18446744073709551615"),
    ("comment", 'at most 255 bytes, in double quotes: comment "text"'),
    ("skbmark", "a mark, or a mark and a mask, of 32 bits each: 0x10/0xff"),
    ("skbprio", "a class of traffic control, in hexadecimal: 1:10"),
    ("skbqueue", "a number from 0 to 65535"),
    ("before", "the name of another set in the list"),
    ("entry", "fewer elements: this one stands for more than can be taken"),
    ("option", "given once"),
)


def invalid_entry(fault: Fault, kind: SetType, text: str, line: int) -> InvalidEntry:
    """The error for a fault in this text, which was the given line of many."""
    field, expected = FAULTS[fault.code] if 0 < fault.code < len(FAULTS) else FAULTS[0]
    raw = text.encode("utf-8", "surrogateescape")
    piece = raw[fault.offset : fault.offset + fault.length].decode("utf-8", "surrogateescape")
    value = text if not piece or piece == text else piece
    words = expected.format(kind=kind, syntax=kind.syntax, options=", ".join(kind.entry_options))
    if value != text:
        words += f" (in {text!r})"
    return InvalidEntry(field, value, words, line)
