"""What the kernel does with each command (net/netfilter/ipvs/ip_vs_ctl.c; tried, see docs/kernel-notes.md).

Knows: the checks in the kernel's order, and what follows. Must not know: how answers travel, lies.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from ipvskit.ipvs.records import AF_INET, AF_INET6, FLAG_HASHED, Command
from ipvskit.model.status import Stats
from ipvskit.testing.fake.network import master_refusal, of_bytes, usable
from ipvskit.testing.fake.requests import DaemonFields, RealFields, Refused, Request, padded, refuse_if, sent, text
from ipvskit.testing.fake.tables import HeldDaemon, HeldReal, HeldService, Place, Settings, Tables

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipvskit.testing.fake.network import Interface

INT_MAX = 2**31 - 1
METHOD_BITS, METHOD_TUNNEL = 7, 2
TUNNEL_GUE = 1
STATE_MASTER, STATE_BACKUP = 1, 2
DEFAULT_GROUP, DEFAULT_PORT, DEFAULT_TTL = b"\xe0\x00\x00\x51", 8848, 1
MASTER_MTU, MAX_DATAGRAM = 1500, 65535
HEADERS = {4: 28, 16: 48}  # IPv4 or IPv6, and UDP
SHORTEST = {STATE_MASTER: 1, STATE_BACKUP: 1024}

#: What the numbers of a real server must not be.
_REAL_RULES: tuple[tuple[int, Callable[[Tables, Settings], bool]], ...] = (
    (errno.ERANGE, lambda _, real: real.weight < 0),
    (errno.ERANGE, lambda _, real: real.lower > real.upper),
    (errno.EINVAL, lambda tables, real: real.upper > INT_MAX and tables.release.bounded_thresholds),
    (errno.EINVAL, lambda _, real: real.tunnel_type == TUNNEL_GUE and real.tunnel_port == 0),
)


# --- services -----------------------------------------------------------------------------------------------------------------------


def _existing(tables: Tables, request: Request) -> HeldService:
    service = tables.services.get(request.identity())
    if service is None:
        raise Refused(errno.ESRCH)
    return service


def _check_options(tables: Tables, request: Request) -> None:
    """Scheduler, then persistence engine, then netmask."""
    fields = request.service
    scheduler, engine = text(fields.scheduler).decode(errors="replace"), text(fields.engine).decode(errors="replace")
    refuse_if(scheduler not in tables.schedulers | {"none"}, errno.ENOENT)
    tables.loaded.add(scheduler)
    refuse_if(sent(fields, 11) and engine and engine not in tables.engines, errno.ENOENT)
    refuse_if(fields.family == AF_INET6 and not 1 <= fields.netmask <= 128, errno.EINVAL)


def _give_options(tables: Tables, service: HeldService, request: Request) -> None:
    fields = request.service
    service.flags = (service.flags & ~fields.mask) | (fields.flags & fields.mask) | FLAG_HASHED
    # Kept in ticks, in 32 bits: a long timeout wraps.
    service.timeout = (fields.timeout * tables.ticks & 0xFFFFFFFF) // tables.ticks
    service.netmask = fields.netmask
    service.scheduler = text(fields.scheduler)
    service.engine = text(fields.engine) if sent(fields, 11) else b""


def _need_options(request: Request) -> None:
    refuse_if(not sent(request.service, 6, 7, 8, 9), errno.EINVAL)


def new_service(tables: Tables, request: Request) -> None:
    """IPVS_CMD_NEW_SERVICE."""
    identity = request.identity()
    _need_options(request)
    refuse_if(identity in tables.services, errno.EEXIST)
    _check_options(tables, request)
    service = HeldService(identity, 0, 0, 0, b"", b"")
    _give_options(tables, service, request)
    tables.add_service(service)


def set_service(tables: Tables, request: Request) -> None:
    """IPVS_CMD_SET_SERVICE. What is refused changes nothing."""
    request.identity()
    _need_options(request)
    service = _existing(tables, request)
    _check_options(tables, request)
    _give_options(tables, service, request)


def del_service(tables: Tables, request: Request) -> None:
    """IPVS_CMD_DEL_SERVICE."""
    tables.delete_service(_existing(tables, request))


def flush(tables: Tables, _: Request) -> None:
    """IPVS_CMD_FLUSH. Timeouts and daemons stay."""
    for service in list(tables.services.values()):
        tables.delete_service(service)


def zero(tables: Tables, request: Request) -> None:
    """IPVS_CMD_ZERO. Without a service it is about everything."""
    everything = not request.service.present
    services = list(tables.services.values()) if everything else [_existing(tables, request)]
    for service in services:
        service.stats = Stats()
        for real in service.reals.values():
            real.stats = Stats()
    if everything:
        tables.totals = Stats()


# --- real servers -------------------------------------------------------------------------------------------------------------------


def _place(service: HeldService, fields: RealFields, full: bool) -> Place:
    refuse_if(not sent(fields, 1, 2) or (full and not sent(fields, 3, 4, 5, 6)), errno.EINVAL)
    family = (fields.family if sent(fields, 11) else 0) or service.identity.family
    refuse_if(family not in {AF_INET, AF_INET6}, errno.EAFNOSUPPORT)
    return Place(family, padded(family, fields.address), fields.port)


def _settings(fields: RealFields) -> Settings:
    return Settings(
        fields.forwarding & METHOD_BITS,
        fields.weight,
        fields.upper,
        fields.lower,
        fields.tunnel_type if sent(fields, 13) else 0,
        fields.tunnel_port if sent(fields, 14) else 0,
        fields.tunnel_flags if sent(fields, 15) else 0,
    )


def _wanted(tables: Tables, request: Request) -> tuple[HeldService, Place, Settings]:
    service = _existing(tables, request)
    place, settings = _place(service, request.real, full=True), _settings(request.real)
    if place.family != service.identity.family:
        refuse_if(tables.daemons, errno.EINVAL)
        refuse_if(settings.forwarding != METHOD_TUNNEL, errno.EINVAL)
    for error, broken in _REAL_RULES:
        refuse_if(broken(tables, settings), error)
    return service, place, settings


def new_real(tables: Tables, request: Request) -> None:
    """IPVS_CMD_NEW_DEST."""
    service, place, settings = _wanted(tables, request)
    refuse_if(place in service.reals, errno.EEXIST)
    if (service.identity, place) not in tables.trash:
        address = of_bytes(place.family, place.address)
        refuse_if(not usable(address, tables.interfaces.values(), tables.release), errno.EINVAL)
    tables.add_real(service, place, settings)


def _held(service: HeldService, place: Place) -> HeldReal:
    refuse_if(place not in service.reals, errno.ENOENT)
    return service.reals[place]


def set_real(tables: Tables, request: Request) -> None:
    """IPVS_CMD_SET_DEST: everything anew, the tunnel as well; numbers and connections stay."""
    service, place, settings = _wanted(tables, request)
    _held(service, place).settings = settings


def del_real(tables: Tables, request: Request) -> None:
    """IPVS_CMD_DEL_DEST."""
    service = _existing(tables, request)
    place = _place(service, request.real, full=False)
    tables.delete_real(service, _held(service, place))


# --- daemons and timeouts -----------------------------------------------------------------------------------------------------------


def _group(fields: DaemonFields) -> bytes:
    if sent(fields, 5):
        refuse_if(fields.group[0] >> 4 != 0xE, errno.EINVAL)
        return fields.group
    if sent(fields, 6):
        refuse_if(fields.group6[0] != 0xFF, errno.EINVAL)
        return fields.group6
    return DEFAULT_GROUP


def _length(fields: DaemonFields, interface: Interface, group: bytes) -> int:
    headers = HEADERS[len(group)]
    if sent(fields, 4) and fields.max_length:
        return max(SHORTEST[fields.state], min(fields.max_length, MAX_DATAGRAM - headers))
    mtu = interface.mtu if fields.state == STATE_BACKUP else MASTER_MTU
    return max(MASTER_MTU, min(mtu, MAX_DATAGRAM)) - headers


def new_daemon(tables: Tables, request: Request) -> None:
    """IPVS_CMD_NEW_DAEMON."""
    fields = request.daemon
    refuse_if(not sent(fields, 1, 2, 3), errno.EINVAL)
    group = _group(fields)
    refuse_if(tables.mixed, errno.EINVAL)
    interface = tables.interfaces.get(text(fields.interface).decode(errors="replace"))
    if interface is None:
        raise Refused(errno.ENODEV)
    refuse_if(fields.state not in SHORTEST, errno.EINVAL)
    refuse_if(fields.state in tables.daemons, errno.EEXIST)
    refusal = master_refusal(interface, len(group) == 16) if fields.state == STATE_MASTER else 0
    refuse_if(refusal, refusal)
    tables.daemons[fields.state] = HeldDaemon(
        fields.state,
        text(fields.interface),
        fields.sync_id,
        _length(fields, interface, group),
        group,
        (fields.port if sent(fields, 7) else 0) or DEFAULT_PORT,
        (fields.ttl if sent(fields, 8) else 0) or DEFAULT_TTL,
    )


def del_daemon(tables: Tables, request: Request) -> None:
    """IPVS_CMD_DEL_DAEMON."""
    fields = request.daemon
    refuse_if(not sent(fields, 1) or fields.state not in SHORTEST, errno.EINVAL)
    refuse_if(fields.state not in tables.daemons, errno.ESRCH)
    del tables.daemons[fields.state]


def set_config(tables: Tables, request: Request) -> None:
    """IPVS_CMD_SET_CONFIG: what is absent or 0 stays as it is."""
    fields = request.config
    given = [value if sent(fields, 4 + at) else 0 for at, value in enumerate(fields[2:])]
    refuse_if(any(value > INT_MAX // tables.ticks for value in given), errno.EINVAL)
    tcp, tcp_fin, udp = (value or held for value, held in zip(given, tables.timeouts, strict=True))
    tables.timeouts = (tcp, tcp_fin, udp)


# --- questions ----------------------------------------------------------------------------------------------------------------------


def get_service(tables: Tables, request: Request) -> list[bytes]:
    """IPVS_CMD_GET_SERVICE about one."""
    return [_existing(tables, request).row(request.index)]


def get_config(tables: Tables, request: Request) -> list[bytes]:
    """IPVS_CMD_GET_CONFIG."""
    return [tables.config_row(request.index)]


def get_info(tables: Tables, request: Request) -> list[bytes]:
    """IPVS_CMD_GET_INFO."""
    return [tables.info_row(request.index)]


def dump_services(tables: Tables, request: Request) -> list[bytes]:
    """IPVS_CMD_GET_SERVICE about all."""
    return [service.row(request.index) for service in tables.in_order()]


def dump_reals(tables: Tables, request: Request) -> list[bytes]:
    """IPVS_CMD_GET_DEST. Of a service that does not exist, or was not named, there are none, and that is no error."""
    try:
        service = _existing(tables, request)
    except Refused:
        return []
    return [real.row(request.index) for real in reversed(service.reals.values())]


def dump_daemons(tables: Tables, request: Request) -> list[bytes]:
    """IPVS_CMD_GET_DAEMON."""
    return [tables.daemons[state].row(request.index) for state in sorted(tables.daemons)]


CHANGES: dict[Command, Callable[[Tables, Request], None]] = {
    Command.NEW_SERVICE: new_service,
    Command.SET_SERVICE: set_service,
    Command.DEL_SERVICE: del_service,
    Command.NEW_DEST: new_real,
    Command.SET_DEST: set_real,
    Command.DEL_DEST: del_real,
    Command.NEW_DAEMON: new_daemon,
    Command.DEL_DAEMON: del_daemon,
    Command.SET_CONFIG: set_config,
    Command.ZERO: zero,
    Command.FLUSH: flush,
}
QUESTIONS: dict[Command, Callable[[Tables, Request], list[bytes]]] = {
    Command.GET_SERVICE: get_service,
    Command.GET_CONFIG: get_config,
    Command.GET_INFO: get_info,
}
DUMPS: dict[Command, Callable[[Tables, Request], list[bytes]]] = {
    Command.GET_SERVICE: dump_services,
    Command.GET_DEST: dump_reals,
    Command.GET_DAEMON: dump_daemons,
}


def run(tables: Tables, request: Request) -> list[bytes]:
    """Do what a request says; what it is answered with. Raises Refused."""
    if not request.dump and request.command in CHANGES:
        CHANGES[request.command](tables, request)
        return []
    question = (DUMPS if request.dump else QUESTIONS).get(request.command)
    if question is None:
        raise Refused(errno.EOPNOTSUPP)
    return question(tables, request)
