"""The options of ipvsadm: their spellings, which go together, and what is said of those that do not.

Knows: names. Must not know: what options do.
"""

from __future__ import annotations

from ipvskit.cli.ipvsadm.outcome import Failed
from ipvskit.cli.ipvsadm.popt import NEEDED, NONE, OPTIONAL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

__all__ = ["COMMANDS", "FULL_NAMES", "LONG", "SHORT", "check_command", "check_tunnel"]

#: Commands by their long spelling, and as they are called in messages.
COMMANDS = {
    "add-service": "add-service",
    "edit-service": "edit-service",
    "delete-service": "delete-service",
    "clear": "flush",
    "list": "list",
    "add-server": "add-server",
    "delete-server": "delete-server",
    "edit-server": "edit-server",
    "set": "set",
    "start-daemon": "start-daemon",
    "stop-daemon": "stop-daemon",
    "restore": "restore",
    "save": "save",
    "zero": "zero",
    "help": "",
    "version": "",
}

#: Long spelling, letters, and whether there is an argument.
_SPELLINGS = (
    ("add-service", "A", NONE),
    ("edit-service", "E", NONE),
    ("delete-service", "D", NONE),
    ("clear", "C", NONE),
    ("list", "Ll", NONE),
    ("zero", "Z", NONE),
    ("add-server", "a", NONE),
    ("edit-server", "e", NONE),
    ("delete-server", "d", NONE),
    ("set", "", NONE),
    ("help", "h", NONE),
    ("version", "v", NONE),
    ("restore", "R", NONE),
    ("save", "S", NONE),
    ("start-daemon", "", NEEDED),
    ("stop-daemon", "", NEEDED),
    ("tcp-service", "t", NEEDED),
    ("udp-service", "u", NEEDED),
    ("sctp-service", "", NEEDED),
    ("fwmark-service", "f", NEEDED),
    ("scheduler", "s", NEEDED),
    ("persistent", "p", OPTIONAL),
    ("netmask", "M", NEEDED),
    ("real-server", "r", NEEDED),
    ("masquerading", "m", NONE),
    ("ipip", "i", NONE),
    ("gatewaying", "g", NONE),
    ("weight", "w", NEEDED),
    ("u-threshold", "x", NEEDED),
    ("l-threshold", "y", NEEDED),
    ("numeric", "n", NONE),
    ("connection", "c", NONE),
    ("mcast-interface", "", NEEDED),
    ("syncid", "", NEEDED),
    ("timeout", "", NONE),
    ("daemon", "", NONE),
    ("stats", "", NONE),
    ("rate", "", NONE),
    ("thresholds", "", NONE),
    ("persistent-conn", "", NONE),
    ("nosort", "", NONE),
    ("sort", "", NONE),
    ("exact", "X", NONE),
    ("ipv6", "6", NONE),
    ("ops", "o", NONE),
    ("pe", "", NEEDED),
    ("sched-flags", "b", NEEDED),
    ("mcast-group", "", NEEDED),
    ("mcast-port", "", NEEDED),
    ("mcast-ttl", "", NEEDED),
    ("sync-maxlen", "", NEEDED),
    ("tun-info", "", NONE),
    ("tun-type", "", NEEDED),
    ("tun-port", "", NEEDED),
    ("tun-nocsum", "", NONE),
    ("tun-csum", "", NONE),
    ("tun-remcsum", "", NONE),
)
LONG = {name: (name, kind) for name, _, kind in _SPELLINGS}
SHORT = {letter: (name, kind) for name, letters, kind in _SPELLINGS for letter in letters}

#: What options are called in messages, in the order in which they are looked at; of each there is one at most.
_COLUMNS = (
    "numeric",
    "connection",
    "service-address",
    "scheduler",
    "persistent",
    "netmask",
    "real-server",
    "forwarding-method",
    "weight",
    "u-threshold",
    "l-threshold",
    "mcast-interface",
    "timeout",
    "daemon",
    "stats",
    "rate",
    "thresholds",
    "persistent-conn",
    "nosort",
    "syncid",
    "exact",
    "ops",
    "pe",
    "sched-flags",
    "mcast-group",
    "mcast-port",
    "mcast-ttl",
    "sync-maxlen",
    "tun-info",
    "tun-type",
    "tun-port",
    "tun-nocsum",
    "tun-csum",
    "tun-remcsum",
)
_TUNNEL_COLUMNS = _COLUMNS[-4:]
#: By the long spelling. "sort" and "ipv6" are counted by nobody.
FULL_NAMES = {name: name for name in _COLUMNS} | {
    "tcp-service": "service-address",
    "udp-service": "service-address",
    "sctp-service": "service-address",
    "fwmark-service": "service-address",
    "masquerading": "forwarding-method",
    "ipip": "forwarding-method",
    "gatewaying": "forwarding-method",
}

_MUST, _MAY, _ONE = "must", "may", "one of these"


def _rule(must: str = "", may: str = "", one: str = "") -> dict[str, str]:
    words = [(must, _MUST), (may, _MAY), (one, _ONE)]
    return {name: what for names, what in words for name in names.split()}


_ON_SERVICE = _rule("service-address", "scheduler persistent netmask ops pe sched-flags")
_ON_SERVER = _rule(
    "service-address real-server",
    "forwarding-method weight u-threshold l-threshold tun-type tun-port tun-nocsum tun-csum tun-remcsum",
)
_LIST = _rule(
    may="numeric stats rate thresholds persistent-conn nosort syncid exact tun-info",
    one="connection service-address timeout daemon",
)
#: Which options go with a command; all others do not.
_RULES = {
    "add-service": _ON_SERVICE,
    "edit-service": _ON_SERVICE,
    "delete-service": _rule("service-address"),
    "clear": {},
    "list": _LIST,
    "add-server": _ON_SERVER,
    "delete-server": _rule("service-address real-server"),
    "edit-server": _ON_SERVER,
    "set": {},
    "start-daemon": _rule(may="mcast-interface syncid mcast-group mcast-port mcast-ttl sync-maxlen"),
    "stop-daemon": _rule(may="syncid"),
    "restore": {},
    "save": _rule(may="numeric"),
    "zero": _rule(may="service-address"),
}
_TUNNEL_RULES = {
    "ipip": {},
    "gue": _rule("tun-port", one="tun-nocsum tun-csum tun-remcsum"),
    "gre": _rule(one="tun-nocsum tun-csum"),
}


def check_command(command: str, given: Collection[str]) -> None:
    """Whether these options (by their full names) go with the command. Raises Failed."""
    _check(_RULES[command], _COLUMNS, given, f"the '{COMMANDS[command]}' command")


def check_tunnel(kind: str, given: Collection[str]) -> None:
    """Whether these options go with this type of tunnel. Raises Failed."""
    _check(_TUNNEL_RULES[kind], _TUNNEL_COLUMNS, given, f"the '{kind}' tunnel type")


def _check(rule: Mapping[str, str], columns: Collection[str], given: Collection[str], what: str) -> None:
    first = ""
    for name in columns:
        if name not in given:
            if rule.get(name) == _MUST:
                raise Failed(f"You need to supply the '{name}' option for {what}")
        elif name not in rule:
            raise Failed(f"Illegal '{name}' option with {what}")
        elif rule[name] == _ONE:
            if first:
                raise Failed(f"The option '{name}' conflicts with the '{first}' option in {what}")
            first = name
