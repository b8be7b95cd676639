"""What Prometheus may know of a kernel: metrics as tables of numbers, as text, and as a collector to register.

    from prometheus_client import REGISTRY

    REGISTRY.register(ipvskit.metrics.Collector(kernel))

Knows: names of metrics and labels, the text format. Must not know: sockets, who asks.

Names that begin with node_ipvs, and their labels, are those of node_exporter's collector `ipvs`, with the same values, so that its dashboards
and alerts go on working; those of this library begin with ipvskit. `prometheus_client` is imported by `Collector` only, when it is first asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ipvskit.errors import NotSupported

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
    from prometheus_client.registry import Collector as Registrable

    from ipvskit.kernel import Kernel
    from ipvskit.model.key import ServiceKey
    from ipvskit.model.status import RealServerStatus, ServiceStatus, Stats
    from ipvskit.sets.definition import SetStatus
else:
    Registrable = object

__all__ = ["CONTENT_TYPE", "Collector", "Metric", "Table", "gather", "text"]

#: Of what `text` writes.
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric: its name, whether it is a counter (or a gauge), and what it means."""

    name: str
    help: str
    is_counter: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """Metrics that have labels in common. Each row has the labels' values and a number for each metric, None where there is none."""

    labels: tuple[str, ...]
    metrics: tuple[Metric, ...]
    rows: list[tuple[tuple[str, ...], tuple[int | None, ...]]]


# --- what there is ------------------------------------------------------------------------------------------------------------------

_LOCAL = ("local_address", "local_port")
_KIND = ("proto", "local_mark")
_SERVICE = (*_LOCAL, *_KIND)
_BACKEND = (*_LOCAL, "remote_address", "remote_port", *_KIND)


def _counters(prefix: str) -> tuple[Metric, ...]:
    return (
        Metric(f"{prefix}_connections_total", "The total number of connections made.", True),
        Metric(f"{prefix}_incoming_packets_total", "The total number of incoming packets.", True),
        Metric(f"{prefix}_outgoing_packets_total", "The total number of outgoing packets.", True),
        Metric(f"{prefix}_incoming_bytes_total", "The total amount of incoming data.", True),
        Metric(f"{prefix}_outgoing_bytes_total", "The total amount of outgoing data.", True),
    )


def _rates(prefix: str) -> tuple[Metric, ...]:
    mean = "averaged by the kernel over 8 seconds."
    return (
        Metric(f"{prefix}_connections_per_second", f"New connections per second, {mean}"),
        Metric(f"{prefix}_incoming_packets_per_second", f"Incoming packets per second, {mean}"),
        Metric(f"{prefix}_outgoing_packets_per_second", f"Outgoing packets per second, {mean}"),
        Metric(f"{prefix}_incoming_bytes_per_second", f"Incoming bytes per second, {mean}"),
        Metric(f"{prefix}_outgoing_bytes_per_second", f"Outgoing bytes per second, {mean}"),
    )


_AVAILABLE = (Metric("ipvskit_available", "Whether the kernel has this part: ipvs, ipset."),)
_GENERAL = (
    Metric("ipvskit_counters_stale", "Whether counters and rates stand still (run_estimation or est_cpulist is off)."),
    Metric("ipvskit_services", "Virtual services."),
    Metric("ipvskit_connection_table_size", "Buckets of the connection table."),
)
_NODE_BACKENDS = (
    Metric("node_ipvs_backend_connections_active", "The current active connections by local and remote address."),
    Metric("node_ipvs_backend_connections_inactive", "The current inactive connections by local and remote address."),
    Metric("node_ipvs_backend_weight", "The current backend weight by local and remote address."),
)
_SERVICES = (
    Metric("ipvskit_service_real_servers", "Real servers of the service."),
    Metric("ipvskit_service_draining_real_servers", "Real servers with weight 0, which get no new connections."),
    Metric("ipvskit_service_draining_connections", "Connections, active or not, on real servers with weight 0."),
    Metric("ipvskit_service_persistence_templates", "Persistence templates of all real servers."),
    *_rates("ipvskit_service"),
    *_counters("ipvskit_service"),
)
_SETS = (
    Metric("ipvskit_set_entries", "Entries of the set."),
    Metric("ipvskit_set_references", "Rules and lists that use the set."),
    Metric("ipvskit_set_memory_bytes", "Memory that the set takes in the kernel."),
    Metric("ipvskit_set_max_entries", "Entries that the set has room for (maxelem)."),
)


def gather(kernel: Kernel, *, per_service: bool = False, counters: bool = False) -> list[Table]:
    """Read everything once. Raises PermissionDenied, InconsistentDump; a part that this kernel does not have is told by `ipvskit_available`.

    With `per_service` connections and weights of real servers are summed up by service, and have no labels of real servers. With `counters` each real
    server has its counters as well (`ipvskit_backend_...`): five more samples for each.
    """
    available: list[tuple[tuple[str, ...], tuple[int | None, ...]]] = []
    tables: list[Table] = []
    parts: dict[str, Callable[[], list[Table]]] = {
        "ipvs": lambda: _ipvs(kernel, per_service, counters),
        "ipset": lambda: [_sets(kernel.ipset.status())],
    }
    for part, read in parts.items():
        try:
            tables += read()
            available.append(((part,), (1,)))
        except NotSupported:
            available.append(((part,), (0,)))
    return [Table(("part",), _AVAILABLE, available), *tables]


def _ipvs(kernel: Kernel, per_service: bool, counters: bool) -> list[Table]:
    found, totals, info = kernel.ipvs.status(), kernel.ipvs.totals(), kernel.ipvs.info()
    tables = [
        Table((), _counters("node_ipvs"), [((), _counted(totals.stats))]),
        Table((), _GENERAL, [((), (int(totals.stale), len(found), info.connection_table_size))]),
        _backends(found, _NODE_BACKENDS, _connections, per_service),
        Table((*_SERVICE, "family"), _SERVICES, [_service(one) for one in found]),
    ]
    if counters:
        tables.append(_backends(found, _counters("ipvskit_backend"), _real_counted, per_service))
    return tables


def _counted(stats: Stats) -> tuple[int, ...]:
    return (stats.connections, stats.in_packets, stats.out_packets, stats.in_bytes, stats.out_bytes)


def _real_counted(real: RealServerStatus) -> tuple[int, ...]:
    return _counted(real.stats)


def _connections(real: RealServerStatus) -> tuple[int, ...]:
    return (real.active, real.inactive, real.real.weight)


def _places(key: ServiceKey) -> tuple[tuple[str, str], tuple[str, str]]:
    """The labels of a service, those in front of the real server's and those behind, as node_exporter reads them in /proc/net/ip_vs."""
    if key.address is None:
        return ("", "0"), ("FWM", f"{key.fwmark:08X}")
    return (str(key.address), str(key.port)), ((key.protocol or "").upper(), "")


def _backends(
    found: Iterable[ServiceStatus],
    metrics: tuple[Metric, ...],
    numbers: Callable[[RealServerStatus], tuple[int, ...]],
    per_service: bool,
) -> Table:
    # Two services may have the same labels: a firewall mark can have one of each family, and their real servers may be the same.
    summed: dict[tuple[str, ...], tuple[int | None, ...]] = {}
    for service in found:
        local, kind = _places(service.key)
        for real in service.reals:
            remote = () if per_service else (str(real.real.address), str(real.real.port))
            labels, values = (*local, *remote, *kind), numbers(real)
            before = summed.get(labels)
            summed[labels] = (
                values if before is None else tuple(a + b for a, b in zip(before, values, strict=True) if a is not None)
            )
    return Table(_SERVICE if per_service else _BACKEND, metrics, list(summed.items()))


def _service(found: ServiceStatus) -> tuple[tuple[str, ...], tuple[int | None, ...]]:
    local, kind = _places(found.key)
    stats = found.stats
    draining = [real for real in found.reals if real.real.weight == 0]
    rates = (
        stats.connection_rate,
        stats.in_packet_rate,
        stats.out_packet_rate,
        stats.in_byte_rate,
        stats.out_byte_rate,
    )
    own = (
        len(found.reals),
        len(draining),
        sum(real.active + real.inactive for real in draining),
        sum(real.persistent for real in found.reals),
    )
    return (*local, *kind, str(found.key.family)), (*own, *rates, *_counted(stats))


def _sets(found: Iterable[SetStatus]) -> Table:
    rows = [
        ((_readable(one.set.name), str(one.set.type)), (one.entries, one.references, one.memory, one.set.maxelem))
        for one in found
    ]
    return Table(("set", "type"), _SETS, list(rows))


def _readable(name: str) -> str:
    """A set's name may have bytes that are no text."""
    return name.encode(errors="surrogateescape").decode(errors="backslashreplace")


# --- as text ------------------------------------------------------------------------------------------------------------------------


def text(tables: Iterable[Table]) -> str:
    """The tables in Prometheus' text format."""
    return "".join(piece for table in tables for piece in _pieces(table))


def _pieces(table: Table) -> Iterator[str]:
    heads = [_labels(table.labels, values) for values, _ in table.rows]
    for place, metric in enumerate(table.metrics):
        numbers = [row[1][place] for row in table.rows]
        samples = [
            f"{metric.name}{head} {number}\n" for head, number in zip(heads, numbers, strict=True) if number is not None
        ]
        if samples:
            yield f"# HELP {metric.name} {metric.help}\n# TYPE {metric.name} {'counter' if metric.is_counter else 'gauge'}\n"
            yield from samples


def _labels(names: tuple[str, ...], values: tuple[str, ...]) -> str:
    if not names:
        return ""
    inside = ",".join([f'{name}="{value.translate(_ESCAPES)}"' for name, value in zip(names, values, strict=True)])
    return f"{{{inside}}}"


# --- as a collector -----------------------------------------------------------------------------------------------------------------


class Collector(Registrable):
    """Collects the metrics of a kernel for a registry of prometheus_client (the extra `metrics`); options as for `gather`.

    Every scrape reads the kernel anew. The handle stays the caller's: it may be shared with other threads, and must be open as long as this is
    registered. What a scrape raises, `gather` says.
    """

    def __init__(self, kernel: Kernel, *, per_service: bool = False, counters: bool = False) -> None:
        self._kernel = kernel
        self._per_service = per_service
        self._counters = counters

    def describe(self) -> list[CounterMetricFamily | GaugeMetricFamily]:
        """All metrics without samples, so that registering does not ask the kernel."""
        backends = _counters("ipvskit_backend") if self._counters else ()
        general = (*_AVAILABLE, *_counters("node_ipvs"), *_GENERAL)
        return [_family(one, ()) for one in (*general, *_NODE_BACKENDS, *_SERVICES, *backends, *_SETS)]

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        """All metrics."""
        for table in gather(self._kernel, per_service=self._per_service, counters=self._counters):
            for place, metric in enumerate(table.metrics):
                family = _family(metric, table.labels)
                for labels, numbers in table.rows:
                    number = numbers[place]
                    if number is not None:
                        family.add_metric(labels, number)
                if family.samples:
                    yield family


def _family(metric: Metric, labels: tuple[str, ...]) -> CounterMetricFamily | GaugeMetricFamily:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    kind = CounterMetricFamily if metric.is_counter else GaugeMetricFamily
    return kind(metric.name, metric.help, labels=labels)
