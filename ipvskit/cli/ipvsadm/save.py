"""What `ipvsadm --save` writes, and with `--strict` what it leaves out.

Knows: the lines. Must not know: where services come from, how lines are read.
"""

from __future__ import annotations

from ipvskit.cli.ipvsadm import rows
from ipvskit.cli.ipvsadm.entry import DAEMON_STATES, TUNNELS
from ipvskit.cli.ipvsadm.lookup import Names, address_text
from ipvskit.cli.ipvsadm.tables import TUNNEL, flags_text, netmask_text, signed
from ipvskit.ipvs.layout import AF_INET6, FLAG_ONE_PACKET, FLAG_PERSISTENT, FLAG_SCHEDULER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ipvskit.cli.ipvsadm.reading import Daemon

__all__ = ["daemon_line", "rules", "timeouts_line", "unsayable"]

_OPTIONS = {6: "-t", 17: "-u", 132: "--sctp-service"}
_METHODS = ("-m", "-g", "-i", "-g")
_CHECKSUMS = ("--tun-nocsum", "--tun-csum", "--tun-remcsum")


def rules(found: Sequence[rows.Service], *, numeric: bool, strict: bool) -> str:
    """Lines that `-R` makes these services of. With `strict` thresholds are among them, and firewall marks are never negative."""
    names = Names(numeric)
    lines = []
    for service in rows.sorted_services(found):
        place = _service_words(service, names, strict)
        lines.append(_service_line(service, place))
        lines += [_real_line(service, place, real, names, strict) for real in rows.sorted_reals(service.reals)]
    return "".join(lines)


def _service_words(service: rows.Service, names: Names, strict: bool) -> str:
    if service.fwmark:
        mark = service.fwmark if strict else signed(service.fwmark)
        return f"-f {mark}{' -6' if service.family == AF_INET6 else ''}"
    option = _OPTIONS.get(service.protocol, "--xxx-service")
    return f"{option} {names.of(service.family, service.address, service.port, service.protocol)}"


def _service_line(service: rows.Service, place: str) -> str:
    words = [f"-A {place} -s {service.scheduler}"]
    if service.flags & FLAG_PERSISTENT:
        words.append(f"-p {service.timeout}")
        mask = netmask_text(service)
        if mask:
            words.append(f"-M {mask}")
    if service.engine:
        words.append(f"--pe {service.engine}")
    if service.flags & FLAG_ONE_PACKET:
        words.append("-o")
    if service.flags & FLAG_SCHEDULER:
        words.append(f"-b {flags_text(service)}")
    return " ".join(words) + "\n"


def _real_line(service: rows.Service, place: str, real: rows.Real, names: Names, strict: bool) -> str:
    method = _METHODS[real.method] if real.method < len(_METHODS) else "(null)"
    name = names.of(real.family, real.address, real.port, service.protocol)
    words = [f"-a {place} -r {name} {method} -w {real.weight}"]
    if strict and (real.upper or real.lower):
        words.append(f"-x {real.upper} -y {real.lower}")
    if real.method == TUNNEL and real.tunnel_type < len(TUNNELS):
        kind = TUNNELS[real.tunnel_type]
        words.append(f"--tun-type {kind}")
        if kind == "gue":
            words.append(f"--tun-port {real.tunnel_port}")
        if kind != "ipip":
            # Of both checksums the tool has no name for, and dies.
            words.append(_CHECKSUMS[real.tunnel_flags] if real.tunnel_flags < len(_CHECKSUMS) else _CHECKSUMS[1])
    return " ".join(words) + "\n"


# --- what the tool leaves out -------------------------------------------------------------------------------------------------------


def timeouts_line(timeouts: tuple[int, int, int]) -> str:
    """The line that sets the timeouts."""
    return f"--set {timeouts[0]} {timeouts[1]} {timeouts[2]}\n"


def daemon_line(daemon: Daemon) -> str:
    """The line that starts the daemon."""
    state = next(name for name, number in DAEMON_STATES.items() if number == daemon.state)
    words = [f"--start-daemon {state} --mcast-interface {daemon.interface} --syncid {daemon.sync_id}"]
    if daemon.max_length:
        words.append(f"--sync-maxlen {daemon.max_length}")
    if daemon.family:
        words.append(f"--mcast-group {address_text(daemon.family, daemon.group)}")
    if daemon.port:
        words.append(f"--mcast-port {daemon.port}")
    if daemon.ttl:
        words.append(f"--mcast-ttl {daemon.ttl}")
    return " ".join(words) + "\n"


def unsayable(found: Sequence[rows.Service]) -> list[str]:
    """What no line of the tool can say, with its place."""
    names, told = Names(True), []
    for service in rows.sorted_services(found):
        where = _service_words(service, names, True)
        if service.protocol not in _OPTIONS and not service.fwmark:
            told.append(f"{where}: protocol {service.protocol}")
        if service.flags & FLAG_SCHEDULER and not flags_text(service):
            told.append(f"{where}: a flag that scheduler {service.scheduler} has no name for")
        for real in rows.sorted_reals(service.reals):
            place = f"{where} -r {names.of(real.family, real.address, real.port, service.protocol)}"
            if real.method >= len(_METHODS):
                told.append(f"{place}: forwarding method {real.method}")
            if real.method == TUNNEL and real.tunnel_type >= len(TUNNELS):
                told.append(f"{place}: tunnel type {real.tunnel_type}")
            elif real.method == TUNNEL and real.tunnel_flags >= len(_CHECKSUMS):
                told.append(f"{place}: both checksums of a tunnel")
    return told
