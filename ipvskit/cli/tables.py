"""Tables of what the kernel has: values in, text out.

Knows: what of each value is shown, how columns stand. Must not know: where values come from, where the text goes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ipvskit.model.address import Family, endpoint_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from ipvskit.model.connection import Connection
    from ipvskit.model.daemon import SyncDaemon, Timeouts
    from ipvskit.model.device import Device
    from ipvskit.model.real import RealServer
    from ipvskit.model.service import VirtualService
    from ipvskit.model.status import RealServerStatus, ServiceStatus, Stats
    from ipvskit.sets.definition import SetStatus

__all__ = [
    "Numbers",
    "connections_table",
    "daemons_table",
    "devices_table",
    "reals_table",
    "scaled",
    "service_options",
    "services_table",
    "sets_table",
    "settings_table",
    "table",
    "timeouts_line",
]


class Numbers(NamedTuple):
    """Which numbers are shown, and whether to the last digit."""

    stats: bool = False
    rate: bool = False
    exact: bool = False


#: Columns with numbers stand to the right.
_RIGHT = {"WEIGHT", "ACTIVE", "INACTIVE", "PERSISTENT", "ENTRIES", "REFERENCES", "MEMORY", "EXPIRES"}
_STATS = {
    "CONNS": "connections",
    "PKTS IN": "in_packets",
    "PKTS OUT": "out_packets",
    "BYTES IN": "in_bytes",
    "BYTES OUT": "out_bytes",
}
_RATES = {
    "CONNS/S": "connection_rate",
    "PKTS/S IN": "in_packet_rate",
    "PKTS/S OUT": "out_packet_rate",
    "BYTES/S IN": "in_byte_rate",
    "BYTES/S OUT": "out_byte_rate",
}
_RIGHT |= _STATS.keys() | _RATES.keys()


def table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Columns as wide as the widest of their cells, with two blanks between them; lines end with a line break."""
    lines = [headers, *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    places = list(zip(headers, widths, strict=True))
    return "".join(_line(line, places) for line in lines)


def _line(cells: Sequence[str], places: Sequence[tuple[str, int]]) -> str:
    padded = [
        cell.rjust(width) if name in _RIGHT else cell.ljust(width)
        for cell, (name, width) in zip(cells, places, strict=True)
    ]
    return "  ".join(padded).rstrip() + "\n"


_STEPS = "KMGTPE"


def scaled(number: int, exact: bool = False) -> str:
    """`1234`, `12.3K`, `4.56M`: three digits that count, in steps of 1000."""
    if exact or number < 10_000:
        return str(number)
    value = float(number)
    for step in _STEPS:
        value /= 1000
        if value < 999.5 or step == _STEPS[-1]:
            break
    digits = 2 if value < 9.995 else 1 if value < 99.95 else 0
    return f"{value:.{digits}f}{step}"


# --- virtual services and real servers ----------------------------------------------------------------------------------------------

_COUNTS = ("ACTIVE", "INACTIVE", "PERSISTENT")


def services_table(found: Iterable[ServiceStatus], numbers: Numbers = Numbers()) -> str:  # noqa: B008 - a constant
    """Every service, with its real servers below it. Connections of a service are those of its real servers."""
    shown = _numbers(numbers)
    if shown:
        headers = ["SERVICE / REAL SERVER", *shown]
        rows = [row for one in found for row in _numbered(one, shown, numbers.exact)]
    else:
        headers = ["SERVICE / REAL SERVER", "SCHEDULER / METHOD", "WEIGHT", *_COUNTS, "OPTIONS"]
        rows = [row for one in found for row in _configured(one)]
    return table(headers, rows)


def reals_table(found: Iterable[ServiceStatus], numbers: Numbers = Numbers()) -> str:  # noqa: B008 - a constant
    """A line for every real server."""
    shown = _numbers(numbers)
    pairs = [(one, real) for one in found for real in one.reals]
    if shown:
        headers = ["REAL SERVER", "SERVICE", *shown]
        return table(
            headers,
            [[r.real.endpoint, str(one.key), *_values(r.stats, shown, numbers.exact)] for one, r in pairs],
        )
    return table(
        ["REAL SERVER", "SERVICE", "METHOD", "WEIGHT", *_COUNTS, "OPTIONS"],
        [[r.real.endpoint, str(one.key), *_real(r)] for one, r in pairs],
    )


def _numbers(numbers: Numbers) -> dict[str, str]:
    return (_STATS if numbers.stats else {}) | (_RATES if numbers.rate else {})


def _values(stats: Stats, shown: Mapping[str, str], exact: bool) -> list[str]:
    return [scaled(getattr(stats, name), exact) for name in shown.values()]


def _numbered(one: ServiceStatus, shown: Mapping[str, str], exact: bool) -> list[list[str]]:
    reals = [[f"  -> {each.real.endpoint}", *_values(each.stats, shown, exact)] for each in one.reals]
    return [[str(one.key), *_values(one.stats, shown, exact)], *reals]


def _configured(one: ServiceStatus) -> list[list[str]]:
    sums = [sum(getattr(each, name.lower()) for each in one.reals) for name in _COUNTS]
    first = [str(one.key), one.service.scheduler, "", *map(str, sums), service_options(one.service)]
    return [first, *([f"  -> {each.real.endpoint}", *_real(each)] for each in one.reals)]


def _real(each: RealServerStatus) -> list[str]:
    counts = [str(getattr(each, name.lower())) for name in _COUNTS]
    return [_method(each.real), str(each.real.weight), *counts, _thresholds(each.real)]


def service_options(service: VirtualService) -> str:
    """Flags, persistence and the like, in words: `mh-port, persistent 300 s per /24`."""
    words = sorted(service.scheduler_flags)
    if service.persistence_timeout is not None:
        mask = service.persistence_netmask
        full = mask == (32 if service.key.family is Family.IPV4 else 128)
        per = "" if full or mask is None else f" per /{mask}" if isinstance(mask, int) else f" per {mask}"
        words.append(f"persistent {service.persistence_timeout} s{per}")
    if service.persistence_engine is not None:
        words.append(f"engine {service.persistence_engine}")
    if service.one_packet:
        words.append("one packet")
    return ", ".join(words)


def _method(real: RealServer) -> str:
    return f"{real.forwarding} {real.tunnel}" if real.tunnel is not None else str(real.forwarding)


def _thresholds(real: RealServer) -> str:
    words = [("upper", real.upper_threshold), ("lower", real.lower_threshold)]
    return ", ".join(f"{name} {value}" for name, value in words if value)


def connections_table(found: Iterable[Connection]) -> str:
    """A line for every connection or persistence template."""
    rows = [
        [
            each.protocol,
            "template" if each.is_template else each.state,
            endpoint_text(each.client, each.client_port),
            endpoint_text(each.virtual, each.virtual_port),
            endpoint_text(each.destination, each.destination_port),
            f"{each.expires} s",
        ]
        for each in found
    ]
    return table(["PROTOCOL", "STATE", "CLIENT", "VIRTUAL", "REAL SERVER", "EXPIRES"], rows)


# --- sets, devices, settings --------------------------------------------------------------------------------------------------------


def sets_table(found: Iterable[SetStatus], exact: bool = False) -> str:
    """A line for every set; memory is in bytes."""
    rows = [
        [
            each.set.name,
            each.set.type,
            str(each.entries),
            str(each.references),
            scaled(each.memory, exact),
            " ".join(str(each.set).split(" ")[2:]),
        ]
        for each in found
    ]
    return table(["SET", "TYPE", "ENTRIES", "REFERENCES", "MEMORY", "OPTIONS"], rows)


def devices_table(found: Iterable[Device]) -> str:
    """Every device, a line for each of its addresses."""
    rows: list[list[str]] = []
    for each in found:
        first, *more = map(str, each.addresses or ("",))
        rows.append([each.name, each.kind or "", "up" if each.up else "down", first])
        rows += [["", "", "", address] for address in more]
    return table(["DEVICE", "KIND", "STATE", "ADDRESSES"], rows)


def settings_table(found: Mapping[str, object], meaning: Callable[[str], str]) -> str:
    """Settings that this kernel has (those that it lacks are None), and what they mean."""
    rows = [[name, _setting(value), meaning(name)] for name, value in found.items() if value is not None]
    return table(["SETTING", "VALUE", "MEANING"], rows)


def _setting(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def timeouts_line(timeouts: Timeouts) -> str:
    """`timeouts: tcp 900 s, tcp after fin 120 s, udp 300 s`, with a line break."""
    return f"timeouts: tcp {timeouts.tcp} s, tcp after fin {timeouts.tcp_fin} s, udp {timeouts.udp} s\n"


def daemons_table(found: Iterable[SyncDaemon]) -> str:
    """A line for every sync daemon."""
    rows = [[str(each.role), each.interface, " ".join(str(each).split(" ")[2:])] for each in found]
    return table(["SYNC DAEMON", "INTERFACE", "OPTIONS"], rows)
