"""What words behind a command say: values by the names of options.

Knows: the text forms of all options, and what is said of a wrong one. Must not know: which type takes what, the kernel.
"""

from __future__ import annotations

from ipvskit.cli.ipset import names
from ipvskit.cli.ipset.numbers import hexadecimal, unsigned
from ipvskit.cli.ipset.report import ERROR, WARNING, Failed

# This is loaded for every command: no `typing`. Type checkers know the name.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ipvskit.cli.ipset.session import Session

__all__ = ["PARSERS", "parse_family", "parse_name", "separator"]

INET, INET6 = 2, 10
_WIDTHS = {INET: 32, INET6: 128}
_MAX_NAME, _MAX_INTERFACE, _MAX_COMMENT = 31, 15, 255
_MAX_TIMEOUT = 2147483
_BEFORE, _PHYSDEV, _NOMATCH, _WILDCARD = 1, 2, 4, 128
_CREATE_FLAGS = {"counters": 8, "with_comment": 16, "forceadd": 32, "skbinfo": 64}
_FLAGS = {"nomatch": _NOMATCH, "wildcard": _WILDCARD} | _CREATE_FLAGS
TCP, UDP, ICMP, ICMP6, SCTP, UDPLITE = 6, 17, 1, 58, 132, 136
_WITH_PORTS = {TCP, UDP, SCTP, UDPLITE}


def separator(text: str, sign: str) -> int:
    """Where the sign is, if it is neither at the beginning nor at the end; or -1."""
    place = text.find(sign)
    return -1 if place < 0 or text[0] == sign or text[-1] == sign else place


def _syntax(session: Session, text: str) -> Failed:
    session.error(f"Syntax error: {text}")
    return Failed()


# --- numbers ------------------------------------------------------------------------------------------------------------------------


def _number_or_fault(text: str, least: int, most: int) -> int | str:
    """The number, or what is wrong with it."""
    value, end, large = unsigned(text)
    whole = bool(end) and end == len(text)
    if whole and not large and least <= value <= most:
        return value
    return f"'{text}' is out of range {least}-{most}" if large or whole else f"'{text}' is invalid as number"


def _number(session: Session, text: str, least: int, most: int) -> int:
    found = _number_or_fault(text, least, most)
    if isinstance(found, str):
        raise _syntax(session, found)
    return found


def _prefix(session: Session, text: str, least: int, most: int) -> int:
    value = _number(session, text, 0, 255)
    if not least <= value <= most:
        raise _syntax(session, f"'{text}' is out of range {least}-{most}")
    return value


def _numeric(most: int) -> Callable[[Session, str, str], None]:
    def parse(session: Session, option: str, text: str) -> None:
        session.data[option] = _number(session, text, 0, most)

    return parse


def _netmask(session: Session, option: str, text: str) -> None:
    family = session.family_or_inet()
    if "bitmask" in session.data:
        raise _syntax(session, "bitmask and netmask are mutually exclusive, provide only one")
    try:
        session.data[option] = _prefix(session, text, 1, _WIDTHS.get(family, 128))
    except Failed:
        raise _syntax(session, f"netmask is out of the inclusive range of 1-{_WIDTHS.get(family, 128)}") from None


def _flag(session: Session, option: str, _text: str) -> None:
    # Only the flag is noted: libipset does not mind it twice.
    session.data["cadt_flags"] = session.data.get("cadt_flags", 0) | _FLAGS[option]


def _comment(session: Session, option: str, text: str) -> None:
    if '"' in text:
        raise _syntax(session, '" character is not permitted in comments')
    if len(text.encode("utf-8", "surrogateescape")) > _MAX_COMMENT:
        raise _syntax(session, f"Comment is longer than the maximum allowed {_MAX_COMMENT} characters")
    session.data[option] = text


def _skbmark(session: Session, option: str, text: str) -> None:
    mark = _scan(text, "0x")
    if mark is None:
        raise _syntax(session, "Invalid skbmark format, it should be:  MARK/MASK or MARK (see manpage)")
    mask = _scan(text[mark[1] :], "/0x")
    low = 0xFFFFFFFF if mask is None else mask[0] & 0xFFFFFFFF
    session.data[option] = (mark[0] << 32 | low) & (2**64 - 1)


def _scan(text: str, before: str) -> tuple[int, int] | None:
    """As sscanf(3) with this and %lx behind it: the number, and where its text ends."""
    if not text.startswith(before):
        return None
    value, end = hexadecimal(text[len(before) :])
    return (value, len(before) + end) if end else None


def _skbprio(session: Session, option: str, text: str) -> None:
    major = _scan(text, "")
    minor = None if major is None else _scan(text[major[1] :], ":")
    if major is None or minor is None:
        raise _syntax(session, "Invalid skbprio format, it should be:MAJOR:MINOR (see manpage)")
    session.data[option] = (major[0] & 0xFFFF) << 16 | minor[0] & 0xFFFF


# --- addresses ----------------------------------------------------------------------------------------------------------------------


def parse_family(session: Session, option: str, text: str) -> None:
    """A family, inet or inet6."""
    families = {
        "inet": INET,
        "ipv4": INET,
        "-4": INET,
        "inet6": INET6,
        "ipv6": INET6,
        "-6": INET6,
        "any": 0,
        "unspec": 0,
    }
    if text not in families:
        raise _syntax(session, f"unknown inet family {text}")
    session.data[option] = families[text]
    session.family_is_default = False


def _host(session: Session, option: str, text: str, family: int) -> None:
    found = names.host(text, family)
    if not found:
        raise _syntax(
            session, f"cannot parse {text}: resolving to {'IPv4' if family == INET else 'IPv6'} address failed"
        )
    if len(found) > 1:
        session.report.add(
            WARNING,
            f"{text} resolves to multiple addresses: using only the first one returned by the resolver.",
        )
        session.warn()
    session.data[option] = bytes(found[0])


def _range_place(session: Session, text: str) -> int:
    """Where the dash of a range is, not within [ ]; or -1."""
    if not text.startswith("["):
        return separator(text, "-")
    end = text.find("]")
    if end < 0:
        raise _syntax(session, f"cannot find closing escape character ']' in {text}")
    if end == len(text) - 1:
        return -1
    if text[end + 1] != "-":
        raise _syntax(session, f"range separator expected after '{text[: end + 1]}'")
    return end + 1


def _has_range(text: str) -> bool:
    if text.startswith("["):
        end = text.find("]")
        return end >= 0 and separator(text[end:], "-") >= 0
    return separator(text, "-") >= 0


def _unescaped(session: Session, text: str) -> str:
    if not text.startswith("["):
        return text
    if not text.endswith("]"):
        raise _syntax(session, f"cannot find closing escape character ']' in {text}")
    return text[1:-1]


def _address(session: Session, option: str, text: str) -> None:
    """An address, a network or a range of addresses."""
    family = session.family_or_inet()
    prefix, last = ("cidr", "ip_to") if option == "ip" else ("cidr2", "ip2_to")
    rest = None
    slash = separator(text, "/")
    if slash >= 0:
        session.data[prefix] = _prefix(session, text[slash + 1 :], 0, _WIDTHS.get(family, 128))
        text = text[:slash]
    else:
        dash = _range_place(session, text)
        if dash >= 0:
            text, rest = text[:dash], text[dash + 1 :]
    _host(session, option, _unescaped(session, text), family)
    if rest is not None:
        _host(session, last, _unescaped(session, rest), family)


def _single(session: Session, option: str, text: str) -> None:
    family = session.family_or_inet()
    slash = separator(text, "/")
    if _has_range(text) or (slash >= 0 and text[slash:] != f"/{_WIDTHS.get(family, 128)}"):
        raise _syntax(session, f"plain IP address must be supplied: {text}")
    _address(session, option, text)


def _net(session: Session, option: str, text: str) -> None:
    session.family_or_inet()
    if separator(text, "/") < 0 or _has_range(text):
        raise _syntax(session, f"IP/netblock must be supplied: {text}")
    _address(session, option, text)


def _netrange(session: Session, option: str, text: str) -> None:
    if not _has_range(text) and separator(text, "/") < 0:
        raise _syntax(session, f"IP/cidr or IP-IP range must be specified: {text}")
    _address(session, option, text)


def _ipnet(session: Session, option: str, text: str) -> None:
    if _has_range(text):
        raise _syntax(session, f"IP address or IP/cidr must be specified: {text}")
    _address(session, option, text)


def _ip4_single6(session: Session, option: str, text: str) -> None:
    (_address if session.family_or_inet() == INET else _single)(session, option, text)


def _ip4_net6(session: Session, option: str, text: str) -> None:
    (_address if session.family_or_inet() == INET else _ipnet)(session, option, text)


def _bitmask(session: Session, option: str, text: str) -> None:
    if "netmask" in session.data:
        raise _syntax(session, "bitmask and netmask are mutually exclusive, provide only one")
    family = session.family_or_inet()
    try:
        _address(session, option, text)
    except Failed:
        raise _syntax(session, f"bitmask is not valid for family = {'inet' if family == INET else 'inet6'}") from None


# --- ports --------------------------------------------------------------------------------------------------------------------------


def _port(session: Session, option: str, text: str, proto: str) -> None:
    found = _number_or_fault(text, 0, 65535)
    if isinstance(found, str):
        # As long as it may be a name, these are warnings.
        session.report.add(WARNING, f"Syntax error: {found}")
        found = _service(session, text, proto)
    session.data[option] = found
    session.report.reset()


def _service(session: Session, text: str, proto: str) -> int:
    try:
        name = _unescaped(session, text)
        found = names.service(name, proto)
        if found is not None:
            return found
        number = _number_or_fault(proto, 0, 255)
        if isinstance(number, str):
            session.report.add(WARNING, f"Syntax error: {number}")
        else:
            known = names.protocol_name(number)
            found = None if known is None else names.service(name, known)
            if found is not None:
                return found
    except Failed:
        pass
    session.report.add(WARNING, f"cannot parse '{text}' as a {proto} port")
    session.report.kind = ERROR
    session.forget()
    raise Failed


def _ports(session: Session, option: str, text: str, proto: str) -> None:
    dash = _range_place(session, text)
    if dash >= 0:
        _port(session, "port_to", text[dash + 1 :], proto)
        text = text[:dash]
    _port(session, option, text, proto)


def _protocol(session: Session, text: str) -> int:
    found = names.protocol("ipv6-icmp" if text.lower() == "icmpv6" else text)
    if found is None:
        value, end, large = unsigned(text)
        if not end or end != len(text) or large or value > 255:
            raise _syntax(session, f"cannot parse '{text}' as a protocol")
        return value
    if not found:
        raise _syntax(session, f"Unsupported protocol '{text}'")
    return found


def _icmp(session: Session, option: str, text: str, known: Any, label: str) -> None:  # noqa: ANN401 - a table
    found = names.icmp_number(known, text)
    if found is None:
        slash = separator(text, "/")
        if slash < 0:
            session.error(f"Cannot parse {text} as an {label} type/code.")
            raise Failed
        found = _number(session, text[:slash], 0, 255) << 8 | _number(session, text[slash + 1 :], 0, 255)
    session.data[option] = found


def _proto_port(session: Session, option: str, text: str) -> None:
    colon = separator(text, ":")
    if colon < 0:
        session.data["proto"] = TCP
        _ports(session, option, text, "tcp")
        return
    name, rest = text[:colon], text[colon + 1 :]
    family = session.data.get("family", 0)
    number = session.data["proto"] = _protocol(session, name)
    if number in _WITH_PORTS:
        _ports(session, option, rest, name)
    elif number == ICMP:
        if family != INET:
            # The error is told later: nothing is given any more, and the command fails for that.
            session.error("Syntax error: Protocol ICMP can be used with family inet only")
            return
        _icmp(session, option, rest, names.ICMP, "ICMP")
    elif number == ICMP6:
        if family != INET6:
            session.error("Syntax error: Protocol ICMPv6 can be used with family inet6 only")
            return
        _icmp(session, option, rest, names.ICMP6, "ICMPv6")
    elif rest != "0":
        raise _syntax(session, f"Protocol {name} can be used with pseudo port value 0 only.")
    else:
        session.data[option] = 0


def _tcp_udp_port(session: Session, option: str, text: str) -> None:
    _proto_port(session, option, text)
    if session.data.get("proto") not in {TCP, UDP}:
        raise _syntax(session, "Only protocols TCP and UDP are valid")
    del session.data["proto"]


def _single_tcp_port(session: Session, option: str, text: str) -> None:
    _port(session, option, text, "tcp")


# --- the rest -----------------------------------------------------------------------------------------------------------------------


def _ether(session: Session, option: str, text: str) -> None:
    octets, rest = [], text if len(text) <= 17 else ""
    for number in range(6):
        value, end = hexadecimal(rest)
        behind = rest[end : end + 1]
        if behind != (":" if number < 5 else "") or not 0 <= value <= 255:
            raise _syntax(session, f"cannot parse '{text}' as ethernet address")
        octets.append(value)
        rest = rest[end + 1 :]
    session.data[option] = bytes(octets)


def _interface(session: Session, option: str, text: str) -> None:
    if text.startswith("physdev:"):
        text = text.removeprefix("physdev:")
        session.data["cadt_flags"] = session.data.get("cadt_flags", 0) | _PHYSDEV
    if len(text.encode("utf-8", "surrogateescape")) > _MAX_INTERFACE:
        raise _syntax(session, f"interface name '{text}' is longer than {_MAX_INTERFACE} characters")
    session.data[option] = text


def parse_name(session: Session, option: str, text: str) -> None:
    """The name of a set."""
    if len(text.encode("utf-8", "surrogateescape")) > _MAX_NAME:
        raise _syntax(session, f"setname '{text}' is longer than {_MAX_NAME} characters")
    session.data[option] = text


def _before(session: Session, option: str, text: str) -> None:
    parse_name(session, option, text)
    session.data["cadt_flags"] = session.data.get("cadt_flags", 0) | _BEFORE


def old_reference(session: Session, text: str) -> None:
    """`name,before,other` and `name,after,other`, the old way to say where in a list a set stands."""
    first = separator(text, ",")
    rest = text[first + 1 :]
    second = separator(rest, ",")
    word = rest[:second]
    if second < 0 or word not in {"before", "after"}:
        session.error("you must specify elements as setname,[before|after],setname")
        raise Failed
    parse_name(session, "name", text[:first])
    (_before if word == "before" else parse_name)(session, "nameref", rest[second + 1 :])


#: By the names that `types` has for them.
PARSERS: dict[str, Callable[[Session, str, str], None]] = {
    "family": parse_family,
    "uint8": _numeric(2**8 - 1),
    "uint16": _numeric(2**16 - 1),
    "uint32": _numeric(2**32 - 1),
    "uint64": _numeric(2**64 - 2),
    "mark": _numeric(2**32 - 1),
    "timeout": _numeric(_MAX_TIMEOUT),
    "netmask": _netmask,
    "bitmask": _bitmask,
    "flag": _flag,
    "comment": _comment,
    "skbmark": _skbmark,
    "skbprio": _skbprio,
    "ip": _address,
    "single_ip": _single,
    "net": _net,
    "netrange": _netrange,
    "ipnet": _ipnet,
    "ip4_single6": _ip4_single6,
    "ip4_net6": _ip4_net6,
    "proto_port": _proto_port,
    "tcp_udp_port": _tcp_udp_port,
    "single_tcp_port": _single_tcp_port,
    "ether": _ether,
    "iface": _interface,
    "setname": parse_name,
    "before": _before,
    "after": parse_name,
}
