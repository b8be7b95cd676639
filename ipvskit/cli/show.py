"""`ipvskit show`: what the kernel has.

    ipvskit show
    ipvskit show services 192.0.2.10:80/tcp --stats
    ipvskit show sets 'web-*'

Knows: what is read for which word. Must not know: how tables look (`ipvskit.cli.tables`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ipvskit.cli.common import Refused, kernel_of, say, tell, write_pieces
from ipvskit.cli.main import DONE
from ipvskit.cli.naming import choose, is_pattern, matches

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from ipvskit.cli.tables import Numbers
    from ipvskit.kernel import Kernel
    from ipvskit.model.connection import Connection
    from ipvskit.model.device import Device
    from ipvskit.model.key import ServiceKey
    from ipvskit.model.status import ServiceStatus
    from ipvskit.sets.definition import Set, SetStatus

__all__ = ["configure", "run"]

PARTS = ("services", "reals", "sets", "devices", "connections", "settings", "daemons")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "what", nargs="?", choices=("all", *PARTS), default="all",
        help="services with their real servers, reals line by line, sets, devices, connections, settings, daemons (default: all but long lists)",
    )  # fmt: skip
    parser.add_argument(
        "names", nargs="*", metavar="NAME",
        help="only these: keys or addresses of services, real servers, sets (with their entries then), devices, settings; * and ? may stand in them",
    )  # fmt: skip
    parser.add_argument("--stats", action="store_true", help="counters of connections, packets and bytes")
    parser.add_argument("--rate", action="store_true", help="the same per second, as the kernel estimates them")
    parser.add_argument(
        "--connections", action="store_true", help="the connections of the services that are shown, too"
    )
    parser.add_argument("--exact", action="store_true", help="numbers to the last digit, not as 12.3K")
    parser.add_argument(
        "--json", action="store_true", help="for machines: values as in state files, numbers beside them"
    )


def run(options: argparse.Namespace) -> int:
    """Show it; returns the exit status."""
    if options.what == "all" and options.names:
        raise Refused("names go with one kind of things: services, reals, sets, devices, connections or settings")
    numbered = options.stats or options.rate or options.connections
    if numbered and options.what not in {"all", "services", "reals"}:
        raise Refused("--stats, --rate and --connections go with services and real servers")
    with kernel_of(options) as kernel:
        if options.json:
            from ipvskit.cli.show_json import document

            say(document(_Found(kernel, options).parts()))
            return DONE
        first = True
        for pieces in _texts(_Found(kernel, options)):
            write_pieces(pieces if first else ("\n", *pieces), None)
            first = False
    return DONE


class _Found:
    """What was asked for, read when it is looked at."""

    def __init__(self, kernel: Kernel, options: argparse.Namespace) -> None:
        self._kernel, self.options = kernel, options
        self.names: Sequence[str] = options.names

    def parts(self) -> Iterator[tuple[str, Any]]:
        """By the words for them; with "all", what this kernel has no part for is told and left out."""
        from ipvskit.errors import NotSupported

        whole = self.options.what == "all"
        readers = {
            "services": self.services,
            "reals": self.services,
            "sets": self.sets,
            "devices": self.devices,
            "connections": self.connections,
            "settings": self.settings,
            "daemons": self.daemons,
        }
        for part in ("services", "sets", "devices", "daemons") if whole else (self.options.what,):
            try:
                found = readers[part]()
            except NotSupported as error:
                if not whole:
                    raise
                if part != "daemons":
                    tell([str(error)])
                continue
            yield part, found
            if part in {"services", "reals"} and self.options.connections:
                yield "connections", self._connections_of(found)

    def services(self) -> list[ServiceStatus]:
        """Services with their numbers; of real servers that were named, with those only."""
        ipvs, names = self._kernel.ipvs, self.names
        keys = [_key(name) for name in names]
        if keys and all(keys):
            # Cost follows what is asked for.
            found = [ipvs.service_status(key) for key in dict.fromkeys(keys) if key is not None]
        else:
            found = self._chosen(ipvs.status(), [str(key or name) for key, name in zip(keys, names, strict=True)])
        if any(one.stale for one in found) and (self.options.stats or self.options.rate):
            tell(
                ["the kernel's estimation is off (sysctl run_estimation, est_cpulist): counters and rates stand still"]
            )
        from ipvskit.engine.keys import service_order

        return sorted(found, key=lambda one: service_order(one.key))

    def _chosen(self, found: list[ServiceStatus], names: Sequence[str]) -> list[ServiceStatus]:
        if self.options.what != "reals":
            return choose(found, names, _service_texts, "virtual service")
        from dataclasses import replace

        pairs = [(one, real) for one in found for real in one.reals]
        chosen = choose(
            pairs,
            names,
            lambda pair: (pair[1].real.endpoint, str(pair[1].real.address), str(pair[0].key)),
            "real server",
        )
        return [replace(one, reals=(real,)) for one, real in chosen]

    def _connections_of(self, services: Sequence[ServiceStatus]) -> list[Connection]:
        """Those of these services. Of firewall marks the table says nothing: theirs are told by the real server."""
        from ipvskit.model.address import endpoint_text

        keys = {str(one.key) for one in services if one.key.address is not None}
        marked = [real.real for one in services if one.key.address is None for real in one.reals]
        places = {(real.address, real.port) for real in marked} | {
            (real.address, None) for real in marked if not real.port
        }
        return [
            each
            for each in self._kernel.ipvs.connections()
            if f"{endpoint_text(each.virtual, each.virtual_port)}/{each.protocol}" in keys
            or (each.destination, each.destination_port) in places
            or (each.destination, None) in places
        ]

    def connections(self) -> Iterable[Connection]:
        """The connections, those that are named by any of their ends."""
        found = self._kernel.ipvs.connections()
        names = [str(_key(name) or name) for name in self.names]
        return (
            (each for each in found if any(matches(name, _connection_texts(each)) for name in names))
            if names
            else found
        )

    def sets(self) -> list[tuple[Set, SetStatus]]:
        """Sets; with entries where they are named."""
        from ipvskit.errors import SetNotFound

        ipset = self._kernel.ipset
        if not self.names:
            return [(each.set, each) for each in ipset.status()]
        names = self.names
        if any(map(is_pattern, names)):
            names = choose(ipset.names(), names, lambda name: (name,), "set")
        found = ipset.held(names=dict.fromkeys(names))
        missing = [name for name in names if name not in {each.name for each, _ in found}]
        if missing:
            import errno

            raise SetNotFound(errno.ENOENT, "there is no such set", operation="list", key=missing[0])
        return found

    def devices(self) -> list[Device]:
        """Devices with their addresses."""
        return choose(self._kernel.devices.all(), self.names, lambda device: (device.name,), "device")

    def settings(self) -> dict[str, Any]:
        """Settings of IPVS that this kernel has, by name."""
        found = {name: value for name, value in self._kernel.ipvs.sysctls.all().items() if value is not None}
        return {name: found[name] for name in choose(found, self.names, lambda name: (name,), "setting")}

    def daemons(self) -> Any:  # noqa: ANN401 - timeouts and a list
        """Timeouts and sync daemons."""
        return self._kernel.ipvs.timeouts(), self._kernel.ipvs.daemons()


def _key(name: str) -> ServiceKey | None:
    from ipvskit.errors import InvalidConfig
    from ipvskit.model.key import ServiceKey

    try:
        return ServiceKey.parse(name)
    except InvalidConfig:
        return None


def _service_texts(one: ServiceStatus) -> tuple[str, ...]:
    key = one.key
    return (str(key), str(key.address)) if key.address is not None else (str(key), f"fwmark:{key.fwmark}")


def _connection_texts(each: Connection) -> tuple[str, ...]:
    from ipvskit.model.address import endpoint_text

    virtual = endpoint_text(each.virtual, each.virtual_port)
    addresses = map(str, (each.client, each.virtual, each.destination))
    return f"{virtual}/{each.protocol}", virtual, endpoint_text(each.destination, each.destination_port), *addresses


# --- as text ------------------------------------------------------------------------------------------------------------------------


def _texts(found: _Found) -> Iterator[Iterable[str]]:
    from ipvskit.cli import tables

    numbers = tables.Numbers(found.options.stats, found.options.rate, found.options.exact)
    for part, value in found.parts():
        yield _TEXTS[part](value, numbers)


def _services_text(value: Any, numbers: Numbers) -> Iterable[str]:  # noqa: ANN401 - what the part has
    from ipvskit.cli.tables import services_table

    return (services_table(value, numbers),)


def _reals_text(value: Any, numbers: Numbers) -> Iterable[str]:  # noqa: ANN401
    from ipvskit.cli.tables import reals_table

    return (reals_table(value, numbers),)


def _connections_text(value: Any, _: Numbers) -> Iterable[str]:  # noqa: ANN401
    from ipvskit.cli.tables import connections_table

    return (connections_table(value),)


def _sets_text(value: list[tuple[Set, SetStatus]], numbers: Numbers) -> Iterator[str]:
    from ipvskit.cli.tables import sets_table

    yield sets_table((status for _, status in value), numbers.exact)
    for each, _ in value:
        if each.entries is not None:
            yield f"\n{each.name}:\n"
            for piece in each.entries.texts():
                yield "".join(f"  {line}\n" for line in piece.split("\n")[:-1])


def _devices_text(value: list[Device], _: Numbers) -> Iterable[str]:
    from ipvskit.cli.tables import devices_table

    return (devices_table(value),)


def _settings_text(value: dict[str, Any], _: Numbers) -> Iterable[str]:
    from ipvskit.cli.tables import settings_table
    from ipvskit.model.sysctl import SYSCTLS

    return (settings_table(value, lambda name: SYSCTLS[name].meaning),)


def _daemons_text(value: Any, _: Numbers) -> Iterable[str]:  # noqa: ANN401
    from ipvskit.cli.tables import daemons_table, timeouts_line

    timeouts, daemons = value
    return (timeouts_line(timeouts), *([daemons_table(daemons)] if daemons else []))


_TEXTS: dict[str, Callable[[Any, Numbers], Iterable[str]]] = {
    "services": _services_text,
    "reals": _reals_text,
    "connections": _connections_text,
    "sets": _sets_text,
    "devices": _devices_text,
    "settings": _settings_text,
    "daemons": _daemons_text,
}
