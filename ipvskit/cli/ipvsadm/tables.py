"""The tables that ipvsadm prints: services and real servers with counts, statistics, rates, thresholds, persistent connections or tunnels.

    print(tables.table(info, kernel.ipvs.status()))

Knows: headings, columns, and how large numbers are shortened. Must not know: where values come from.
"""

from __future__ import annotations

from ipvskit.cli.ipvsadm import rows
from ipvskit.cli.ipvsadm.entry import OWN_FLAGS, TUNNELS
from ipvskit.cli.ipvsadm.lookup import Names, address_text
from ipvskit.ipvs.layout import AF_INET, AF_INET6, FLAG_ONE_PACKET, FLAG_PERSISTENT, FLAG_SCHEDULER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from ipvskit import Info, ServiceStatus

__all__ = ["Table", "flags_text", "heading", "rates", "signed", "statistics", "table"]

_PROTOCOLS = {6: "TCP", 17: "UDP", 132: "SCTP"}
_METHODS = ("Masq", "Local", "Tunnel", "Route")
TUNNEL = 2
_NO_NAME = "(null)"  # what the C library prints for a text that is not there
_CHECKSUMS = ("-c", "+c", "r+c")
_FULL_NETMASK, _FULL_PREFIX = 0xFFFFFFFF, 128
#: Longer names of IPv4 services and real servers, and descriptions of tunnels, are cut (characters).
_SERVICE_WIDTH, _REAL_WIDTH, _TUNNEL_WIDTH = 33, 28, 15
#: From which number on which unit is shown.
_UNITS = ((10**14, "T", 10**12), (10**11, "G", 10**9), (10**9, "M", 10**6), (10**8, "K", 10**3))
_COUNTERS, _RATES = slice(0, 5), slice(5, 10)

_PLAIN = "Prot LocalAddress:Port Scheduler Flags\n"
_REMOTE = "  -> RemoteAddress:Port"
_LOCAL = f"{'Prot LocalAddress:Port':<33}"
_TITLES = {
    "stats": f"{_LOCAL} {'Conns':>8} {'InPkts':>8} {'OutPkts':>8} {'InBytes':>8} {'OutBytes':>8}\n{_REMOTE}\n",
    "rate": f"{_LOCAL} {'CPS':>8} {'InPPS':>8} {'OutPPS':>8} {'InBPS':>8} {'OutBPS':>8}\n{_REMOTE}\n",
    "thresholds": f"{_LOCAL} {'Uthreshold':<10} {'Lthreshold':<10} {'ActiveConn':<10} {'InActConn':<10}\n{_REMOTE}\n",
    "persistent-conn": f"{_LOCAL} {'Weight':<9} {'PersistConn':<11} {'ActiveConn':<10} {'InActConn':<10}\n{_REMOTE}\n",
    "tun-info": f"{_PLAIN}{_REMOTE}           Forward TunnelInfo    Weight ActiveConn InActConn\n",
    "": f"{_PLAIN}{_REMOTE}           Forward Weight ActiveConn InActConn\n",
}


class Table:
    """One of the tables, by the options given (in their long spelling). With `exact` no number loses its upper half, as those of real servers do."""

    def __init__(self, options: Collection[str], *, lossless: bool = False) -> None:
        #: Which table it is: of several the first counts.
        self.kind = next((kind for kind in _TITLES if kind in options), "")
        self.title = _TITLES[self.kind]
        self._names = Names("numeric" in options)
        self._exact = "exact" in options
        self._sort = "nosort" not in options
        self._lossless = lossless

    def services(self, found: Sequence[rows.Service]) -> str:
        """The lines of services and their real servers."""
        ordered = rows.sorted_services(found) if self._sort else found
        return "".join([self.service(one) for one in ordered])

    def service(self, service: rows.Service) -> str:
        """The lines of a service and its real servers."""
        reals = rows.sorted_reals(service.reals) if self._sort else service.reals
        return "".join([self._service(service), *(self._real(service, real) for real in reals)])

    def _service(self, service: rows.Service) -> str:
        name = self._service_name(service)
        if self.kind == "stats":
            return f"{name:<33}{self._numbers(service.stats[_COUNTERS])}\n"
        if self.kind == "rate":
            return f"{name:<33}{self._numbers(service.stats[_RATES])}\n"
        words = [name, service.scheduler]
        if service.flags & FLAG_SCHEDULER:
            words.append(f"({flags_text(service)})")
        if service.flags & FLAG_PERSISTENT:
            words.append(f"persistent {service.timeout}")
            mask = netmask_text(service)
            if mask:
                words.append(f"mask {mask}")
            if service.engine:
                words.append(f"pe {service.engine}")
        if service.flags & FLAG_ONE_PACKET:
            words.append("ops")
        return " ".join(words) + "\n"

    def _service_name(self, service: rows.Service) -> str:
        if service.fwmark:
            return f"FWM  {signed(service.fwmark)}{' IPv6' if service.family == AF_INET6 else ''}"
        place = self._names.of(service.family, service.address, service.port, service.protocol)
        name = f"{_PROTOCOLS.get(service.protocol, '?'):<4} {place}"
        return name if service.family == AF_INET6 else name[:_SERVICE_WIDTH]

    def _real(self, service: rows.Service, real: rows.Real) -> str:
        name = self._names.of(real.family, real.address, real.port, service.protocol)
        if real.family != AF_INET6:
            name = name[:_REAL_WIDTH]
        head = f"  -> {name:<28}"
        if self.kind == "stats":
            return f"{head}{self._numbers(self._of_real(real.stats)[_COUNTERS])}\n"
        if self.kind == "rate":
            connections, packets_in, packets_out, *byte_rates = self._of_real(real.stats)[_RATES]
            return f"{head} {connections:>8} {packets_in:>8} {packets_out:>8}{self._numbers(byte_rates)}\n"
        counts = f"{real.active:<10} {real.inactive:<10}\n"
        if self.kind == "thresholds":
            return f"{head} {real.upper:<10} {real.lower:<10} {counts}"
        if self.kind == "persistent-conn":
            return f"{head} {real.weight:<9} {real.persistent:<11} {counts}"
        method = _METHODS[real.method] if real.method < len(_METHODS) else _NO_NAME
        tunnel = f"{tunnel_text(real):<13} " if self.kind == "tun-info" else ""
        return f"{head} {method:<7} {tunnel}{real.weight:<6} {counts}"

    def _of_real(self, stats: Sequence[int]) -> Sequence[int]:
        """The tool reads all numbers of real servers but the bytes as if they had 32 bits."""
        if self._lossless:
            return stats
        return [one if at in _BYTES else one & 0xFFFFFFFF for at, one in enumerate(stats)]

    def _numbers(self, numbers: Iterable[int]) -> str:
        if self._exact:
            return "".join([f" {number:>8}" for number in numbers])
        return "".join([f"{_short(number):>9}" for number in numbers])


_BYTES = (3, 4)


def _short(number: int) -> str:
    for limit, unit, size in _UNITS:
        if number >= limit:
            return f"{number // size}{unit}"
    return str(number)


def signed(number: int) -> int:
    """32 bits as the tool prints them: from 2^31 on they are negative."""
    return (number + (1 << 31)) % (1 << 32) - (1 << 31)


def flags_text(service: rows.Service) -> str:
    """The names of a scheduler's flags; those of sh and mh have no third one."""
    names = OWN_FLAGS.get(service.scheduler, OWN_FLAGS[None])
    return ",".join([name for bit, name in names.items() if service.flags & bit])


def netmask_text(service: rows.Service) -> str:
    """The network that persistence goes by, "" for a single client."""
    if service.family == AF_INET6:
        return "" if service.netmask == _FULL_PREFIX else str(signed(service.netmask))
    return "" if service.netmask == _FULL_NETMASK else address_text(AF_INET, service.netmask.to_bytes(4, "big"))


def tunnel_text(real: rows.Real) -> str:
    """How packets to a real server are encapsulated."""
    if real.method != TUNNEL or real.tunnel_type >= len(TUNNELS):
        return "n/a"
    kind = TUNNELS[real.tunnel_type]
    if kind == "ipip":
        return kind
    checksum = _CHECKSUMS[real.tunnel_flags] if real.tunnel_flags < len(_CHECKSUMS) else _NO_NAME
    port = f":{real.tunnel_port}" if kind == "gue" else ""
    return f"{kind}{port}:{checksum}"[:_TUNNEL_WIDTH]


def heading(version: int, size: int) -> str:
    """The first line of a list of all services."""
    return (
        f"IP Virtual Server version {version >> 16 & 255}.{version >> 8 & 255}.{version & 255} (size={signed(size)})\n"
    )


# --- from values --------------------------------------------------------------------------------------------------------------------


def table(info: Info, services: Iterable[ServiceStatus], options: Iterable[str] = ()) -> str:
    """As `ipvsadm -Ln`, or with these options ("stats", "rate", "thresholds", "persistent-conn", "tun-info", "exact", "nosort") as well."""
    major, minor, patch = info.version
    shown = Table({"numeric", *options})
    found = list(_rows(services))
    return heading(major << 16 | minor << 8 | patch, info.connection_table_size) + shown.title + shown.services(found)


def statistics(info: Info, services: Iterable[ServiceStatus]) -> str:
    """As `ipvsadm -Ln --stats`."""
    return table(info, services, ["stats"])


def rates(info: Info, services: Iterable[ServiceStatus]) -> str:
    """As `ipvsadm -Ln --rate`."""
    return table(info, services, ["rate"])


def _rows(services: Iterable[ServiceStatus]) -> Iterator[rows.Service]:
    from ipvskit.cli.ipvsadm.values import service_row

    return map(service_row, services)
