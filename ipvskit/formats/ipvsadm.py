"""What `ipvsadm --save` writes and `ipvsadm --restore` reads.

Knows: what the commands of ipvsadm(8) 1.31 do with a table of services, and what the tool writes of one. Must not know: the spelling of options
(`ipvskit.formats.ipvsadm_options`), files.

Unlike the tool: nothing is looked up, comments may stand anywhere on a line of their own, and all that is wrong is told at once.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ipvskit.errors import Fault, InvalidConfig, InvalidState
from ipvskit.formats.contents import Contents
from ipvskit.formats.document import decoded
from ipvskit.formats.ipvsadm_options import Line, check, take_apart
from ipvskit.formats.problems import shown
from ipvskit.model.address import Family, parse_address, parse_digits, split_endpoint
from ipvskit.model.daemon import MAX_TIMEOUT, SyncDaemon, Timeouts
from ipvskit.model.key import ServiceKey
from ipvskit.model.real import INT_MAX, RealServer, Tunnel
from ipvskit.model.service import MAX_PERSISTENCE_TIMEOUT, VirtualService, check_pair

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipvskit.model.address import IPAddress

__all__ = ["parse_ipvsadm"]

#: What `-p` without a value means (seconds); the manual page says 300.
DEFAULT_PERSISTENCE = 360
_PROTOCOLS = {"tcp-service": "tcp", "udp-service": "udp", "sctp-service": "sctp"}
_METHODS = {"gatewaying": "direct-route", "ipip": "tunnel", "masquerading": "masquerade"}
_WORD = 2**32

Place = tuple[object, int]


def parse_ipvsadm(text: str | bytes) -> tuple[Contents, tuple[str, ...]]:
    """The state that `ipvsadm --restore` makes of an empty table with this text, and warnings, each with its line.

    Lines are executed in order: `-E`, `-e`, `-D`, `-d` and `-C` on what is there by then; `--set`, `--start-daemon` and `--stop-daemon` make
    timeouts and daemons stated. Host and service names are not looked up, and are errors. Raises InvalidState with everything that is wrong.
    """
    reader = _Reader()
    for number, line in enumerate(decoded(text).split("\n"), 1):
        if line.strip() and not line.lstrip().startswith("#"):
            reader.take(number, line)
    return reader.contents(), tuple(reader.warnings)


class _Reader:
    """The table as it is after some lines."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self.warnings: list[str] = []
        self._services: dict[ServiceKey, VirtualService] = {}
        self._reals: dict[ServiceKey, dict[Place, RealServer]] = {}
        self._timeouts: Timeouts | None = None
        self._daemons: dict[str, SyncDaemon] | None = None
        self._number = 0
        self._bad: set[ServiceKey] = set()
        self._commands: dict[str, Callable[[Line], None]] = {
            "add-service": self._put_service,
            "edit-service": self._put_service,
            "delete-service": self._delete_service,
            "clear": self._clear,
            "add-server": self._put_real,
            "edit-server": self._put_real,
            "delete-server": self._delete_real,
            "zero": lambda _: self._warn("zeroing counters changes no state, and is left out"),
            "set": self._set_timeouts,
            "start-daemon": self._start,
            "stop-daemon": self._stop,
        }

    def take(self, number: int, text: str) -> None:
        """Execute a line."""
        self._number = number
        line = Line()
        try:
            line = take_apart(text)
            check(line)
            self._commands[line.command](line)
        except InvalidConfig as error:
            self._fault(error)
            if line.command == "add-service":
                # Its real servers would all be wrong as well otherwise.
                with suppress(InvalidConfig):
                    key = self._key(line)
                    if key not in self._services:
                        self._bad.add(key)

    def contents(self) -> Contents:
        """What came of it. Raises InvalidState."""
        if self.faults:
            raise InvalidState(self.faults)
        services = [service.with_reals(tuple(self._reals[key].values())) for key, service in self._services.items()]
        daemons = None if self._daemons is None else list(self._daemons.values())
        return Contents(services=services, timeouts=self._timeouts, daemons=daemons)

    def _fault(self, error: InvalidConfig) -> None:
        told = f"{error.field}: {shown(error.value)} is not usable: {error.expected}"
        self.faults.append(Fault("", self._number, told))

    def _warn(self, message: str) -> None:
        self.warnings.append(f"line {self._number}: {message}")

    # --- services -------------------------------------------------------------------------------------------------------------------

    def _put_service(self, line: Line) -> None:
        key = self._key(line)
        new = line.command == "add-service"
        if new and (key in self._services or key in self._bad):
            raise InvalidConfig("service", str(key), "added once")
        if not new and key not in self._services and key not in self._bad:
            raise InvalidConfig("service", str(key), "added before it is edited")
        self._services[key] = VirtualService(key, **self._service_options(key, line))
        self._reals.setdefault(key, {})
        self._bad.discard(key)

    def _delete_service(self, line: Line) -> None:
        key = self._key(line)
        if key not in self._services and key not in self._bad:
            raise InvalidConfig("service", str(key), "added before it is deleted")
        self._services.pop(key, None)
        self._reals.pop(key, None)
        self._bad.discard(key)

    def _clear(self, _line: Line) -> None:
        self._services.clear()
        self._reals.clear()
        self._bad.clear()

    def _key(self, line: Line) -> ServiceKey:
        options = line.options
        if "fwmark-service" in options:
            family = Family.IPV6 if "ipv6" in options else Family.IPV4
            return ServiceKey(family, fwmark=self._mark(options["fwmark-service"]))
        name = next((name for name in _PROTOCOLS if name in options), None)
        if name is None:
            raise InvalidConfig("service", None, "a service: -t, -u, --sctp-service or -f")
        if "ipv6" in options:
            raise InvalidConfig("option", "-6", "left out: it goes with -f only")
        address, port = _place("service", options[name])
        return ServiceKey(None, _PROTOCOLS[name], address, port or 0)

    def _mark(self, text: str) -> int:
        digits = text.removeprefix("-")
        if text != digits and digits.isdigit() and 1 <= parse_digits("fwmark", digits, 0, _WORD) <= _WORD // 2:
            mark = _WORD - int(digits)
            self._warn(f"the firewall mark {text} is taken for {mark}, which ipvsadm writes so and does not read")
            return mark
        return parse_digits("fwmark", text, 1, _WORD - 1)

    def _service_options(self, key: ServiceKey, line: Line) -> dict[str, Any]:
        options = line.options
        given: dict[str, Any] = {"scheduler": options.get("scheduler", "wlc"), "one_packet": "ops" in options}
        if "sched-flags" in options:
            given["scheduler_flags"] = options["sched-flags"].split(",")
        if "pe" in options:
            given["persistence_engine"] = options["pe"]
        if "persistent" in options:
            text = options["persistent"] or str(DEFAULT_PERSISTENCE)
            given["persistence_timeout"] = parse_digits("persistent", text, 1, MAX_PERSISTENCE_TIMEOUT)
        if "netmask" in options and "persistent" not in options:
            self._warn("a netmask without -p means nothing, and is left out")
        elif "netmask" in options:
            given["persistence_netmask"] = _netmask(key, options["netmask"])
        return given

    # --- real servers ---------------------------------------------------------------------------------------------------------------

    def _put_real(self, line: Line) -> None:
        key = self._known_key(line)
        if key is None:
            _real(None, line)  # whatever is wrong with it is told as well
            return
        real = _real(key, line)
        stated = _place("real server", line.options["real-server"])[1]
        if stated and stated != real.port:
            self._warn(
                f"the port {stated} is left out: {real.forwarding} does not change the port of a packet to {key}"
            )
        check_pair(key, real)
        held = self._reals[key]
        place = (real.address, real.port)
        if line.command == "add-server" and place in held:
            raise InvalidConfig("real server", real.endpoint, f"added once to {key}")
        if line.command == "edit-server" and place not in held:
            raise InvalidConfig("real server", real.endpoint, f"added to {key} before it is edited")
        held[place] = real

    def _delete_real(self, line: Line) -> None:
        key = self._known_key(line)
        address, port = _place("real server", _needed(line, "real-server", "-r"))
        if key is None:
            return
        place = (address, key.port if port is None else port)
        if place not in self._reals[key]:
            raise InvalidConfig("real server", str(address), f"added to {key} before it is deleted")
        del self._reals[key][place]

    def _known_key(self, line: Line) -> ServiceKey | None:
        """The key of a service that is there; None if it would be, were its line right."""
        key = self._key(line)
        if key in self._services:
            return key
        if key in self._bad:
            return None
        raise InvalidConfig("service", str(key), "added before its real servers")

    # --- the rest -------------------------------------------------------------------------------------------------------------------

    def _set_timeouts(self, line: Line) -> None:
        names = ("tcp", "tcp_fin", "udp")
        values = [parse_digits(name, text, 0, MAX_TIMEOUT) for name, text in zip(names, line.arguments, strict=True)]
        held = self._timeouts or Timeouts(0, 0, 0)
        self._timeouts = Timeouts(
            *(new or old for new, old in zip(values, (held.tcp, held.tcp_fin, held.udp), strict=True))
        )

    def _start(self, line: Line) -> None:
        options, given = line.options, {}
        for name, field in (
            ("syncid", "sync_id"),
            ("sync-maxlen", "max_length"),
            ("mcast-port", "port"),
            ("mcast-ttl", "ttl"),
        ):
            if name in options:
                given[field] = parse_digits(field, options[name], 0, 65535)
        interface, group = options.get("mcast-interface", "eth0"), options.get("mcast-group")
        daemon = SyncDaemon(line.arguments[0], interface, group=group, **given)
        held = self._daemons = self._daemons or {}
        if daemon.role in held:
            raise InvalidConfig("role", str(daemon.role), "started once")
        held[daemon.role] = daemon

    def _stop(self, line: Line) -> None:
        held = self._daemons = self._daemons or {}
        role = line.arguments[0]
        if role not in held:
            raise InvalidConfig("role", role, "that of a daemon that was started before")
        del held[role]


def _place(field: str, text: str) -> tuple[IPAddress, int | None]:
    """Address and port. Raises InvalidConfig."""
    host, port = split_endpoint(field, text)
    if port is not None and not port.isdigit():
        raise InvalidConfig(f"{field} port", port, "a number from 0 to 65535: names of services are not looked up")
    return parse_address(field, host), None if port is None else parse_digits(f"{field} port", port, 0, 65535)


def _needed(line: Line, name: str, letter: str) -> str:
    if name not in line.options:
        raise InvalidConfig("option", letter, f"there: {line.command} needs it")
    return line.options[name]


def _netmask(key: ServiceKey, text: str) -> int | str:
    if key.family is Family.IPV6:
        return parse_digits("netmask", text, 1, 128)
    if "." not in text:
        raise InvalidConfig("netmask", text, f"a mask such as 255.255.255.0; ipvsadm takes {text} for an address")
    return text


def _real(key: ServiceKey | None, line: Line) -> RealServer:
    """The real server; the tool gives it the service's port where packets keep theirs, and where none is stated."""
    options = line.options
    address, port = _place("real server", _needed(line, "real-server", "-r"))
    method = next((method for name, method in _METHODS.items() if name in options), "direct-route")
    if key is not None and (port is None or method != "masquerade"):
        port = key.port
    numbers = {"weight": "weight", "u-threshold": "upper_threshold", "l-threshold": "lower_threshold"}
    given: dict[str, Any] = {
        field: parse_digits(field, options[name], 0, INT_MAX) for name, field in numbers.items() if name in options
    }
    tunnel = _tunnel(options)
    if tunnel is not None:
        given["tunnel"] = tunnel
    return RealServer(str(address), port or 0, forwarding=method, **given)


def _tunnel(options: dict[str, str]) -> Tunnel | None:
    if not any(name.startswith("tun-") for name in options):
        return None
    port = parse_digits("tun-port", options["tun-port"], 1, 65535) if "tun-port" in options else 0
    return Tunnel(options.get("tun-type", "ipip"), port, "tun-csum" in options, "tun-remcsum" in options)
