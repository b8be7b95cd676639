"""The tables of `ipvsadm -Ln`, written from ipvskit's values.

Knows: the columns that users of ipvsadm are used to. Must not know: where values come from.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ipvskit import Info, ServiceStatus, Stats

__all__ = ["rates", "statistics", "table"]

_FORWARD = {"masquerade": "Masq", "local": "Local", "tunnel": "Tunnel", "direct-route": "Route", "bypass": "Bypass"}
#: From which number on ipvsadm shortens, to which unit.
_UNITS = ((10**14, "T", 10**12), (10**11, "G", 10**9), (10**9, "M", 10**6), (10**8, "K", 10**3))


def table(info: Info, services: Iterable[ServiceStatus]) -> str:
    """As `ipvsadm -Ln`."""
    lines = [
        *_head(info),
        "Prot LocalAddress:Port Scheduler Flags",
        f"  -> {'RemoteAddress:Port':<28} Forward Weight ActiveConn InActConn",
    ]
    for status in services:
        lines.append(f"{_name(status)} {status.service.scheduler}")
        for one in status.reals:
            real = one.real
            forward = _FORWARD[real.forwarding]
            lines.append(f"  -> {real.endpoint:<28} {forward:<7} {real.weight:<6} {one.active:<10} {one.inactive}")
    return "\n".join(lines)


def statistics(info: Info, services: Iterable[ServiceStatus]) -> str:
    """As `ipvsadm -Ln --stats`."""
    lines = [*_head(info), f"{'Prot LocalAddress:Port':<33}    Conns   InPkts  OutPkts  InBytes OutBytes"]
    return "\n".join([*lines, "  -> RemoteAddress:Port", *_numbers(services, _counters)])


def rates(info: Info, services: Iterable[ServiceStatus]) -> str:
    """As `ipvsadm -Ln --rate`."""
    lines = [*_head(info), f"{'Prot LocalAddress:Port':<33}      CPS    InPPS   OutPPS    InBPS   OutBPS"]
    return "\n".join([*lines, "  -> RemoteAddress:Port", *_numbers(services, _per_second)])


def _head(info: Info) -> list[str]:
    version = ".".join(map(str, info.version))
    return [f"IP Virtual Server version {version} (size={info.connection_table_size})"]


def _name(status: ServiceStatus) -> str:
    place, _, protocol = str(status.key).rpartition("/")
    return f"{protocol.upper():<4} {place}"


def _counters(stats: Stats) -> tuple[int, ...]:
    return stats.connections, stats.in_packets, stats.out_packets, stats.in_bytes, stats.out_bytes


def _per_second(stats: Stats) -> tuple[int, ...]:
    packets = (stats.in_packet_rate, stats.out_packet_rate)
    return stats.connection_rate, *packets, stats.in_byte_rate, stats.out_byte_rate


def _numbers(services: Iterable[ServiceStatus], pick: Callable[[Stats], tuple[int, ...]]) -> list[str]:
    lines = []
    for status in services:
        lines.append(_row(_name(status), pick(status.stats)))
        lines += [_row(f"  -> {one.real.endpoint}", pick(one.stats)) for one in status.reals]
    return lines


def _row(name: str, numbers: Iterable[int]) -> str:
    return f"{name:<33}" + "".join(f" {_short(number):>8}" for number in numbers)


def _short(number: int) -> str:
    for limit, unit, size in _UNITS:
        if number >= limit:
            return f"{number // size}{unit}"
    return str(number)
