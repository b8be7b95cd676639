"""What one wants.

Knows: that two things with one identity contradict each other. Must not know: what there is.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Self

from ipvskit.engine.keys import DaemonKey, DeviceKey, Key, SetKey, SysctlKey, TimeoutsKey
from ipvskit.errors import InvalidConfig
from ipvskit.ipvs.wanted import Wanted, pack
from ipvskit.model.daemon import DaemonRole, SyncDaemon, Timeouts
from ipvskit.model.device import Device
from ipvskit.model.key import ServiceKey
from ipvskit.model.service import VirtualService
from ipvskit.model.sysctl import SYSCTLS
from ipvskit.sets.definition import Set

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from os import PathLike

    from ipvskit.engine.scope import Scope
    from ipvskit.ipvs.wanted import Packed
    from ipvskit.model.sysctl import Value

__all__ = ["State"]

#: Packed services that may be held beyond those that are named, before they are thrown out.
_SPARE = 1024


class State:
    """A desired state: virtual services with their real servers, sets with their entries, devices with their addresses, settings.

    `services` and `sets` are values or their text forms; of a set without entries the contents are left alone. `devices` likewise. `sysctls` are
    settings by name (`ipvskit.SYSCTLS`), `timeouts` idle times in seconds of which 0 leaves one alone. `daemons` None leaves sync daemons alone.
    What a state does not name is not touched, unless a `Scope` says that it may be deleted. Nothing of it changes: `updated` makes another one.

    Raises InvalidConfig for two things with one identity, naming both.
    """

    __slots__ = ("_fit", "_packed", "_wanted", "daemons", "devices", "services", "sets", "sysctls", "timeouts")

    services: Mapping[ServiceKey, VirtualService]
    sets: Mapping[str, Set]
    devices: Mapping[str, Device]
    sysctls: Mapping[str, Value]
    timeouts: Timeouts | None
    daemons: Mapping[DaemonRole, SyncDaemon] | None

    def __init__(
        self,
        services: Iterable[VirtualService | str] = (),
        *,
        sets: Iterable[Set | str] = (),
        devices: Iterable[Device | str] = (),
        sysctls: Mapping[str, Value] | None = None,
        timeouts: Timeouts | None = None,
        daemons: Iterable[SyncDaemon | str] | None = None,
    ) -> None:
        self._packed: dict[ServiceKey, tuple[VirtualService, Packed]] = {}
        self._wanted: Wanted | None = None
        self._fit: tuple[Scope | None, object] | None = None
        self.services = MappingProxyType(_unique("services", map(VirtualService.parse, services), _service_key))
        self.sets = MappingProxyType(_unique("sets", map(_set, sets), _name))
        self.devices = MappingProxyType(_unique("devices", map(Device.parse, devices), _name))
        self.sysctls = MappingProxyType(_checked(sysctls or {}))
        if timeouts is not None and not isinstance(timeouts, Timeouts):
            raise InvalidConfig("timeouts", timeouts, "Timeouts(tcp, tcp_fin, udp) in seconds")
        self.timeouts = timeouts
        self.daemons = None
        if daemons is not None:
            self.daemons = MappingProxyType(_unique("daemons", map(SyncDaemon.parse, daemons), _role))

    def updated(
        self,
        services: Iterable[VirtualService | str] = (),
        *,
        sets: Iterable[Set | str] = (),
        devices: Iterable[Device | str] = (),
        remove: Iterable[Key | str] = (),
    ) -> State:
        """Another state with these in place of those with the same identity, or added, and without those to `remove` (keys, or their text forms)."""
        from ipvskit.engine.keys import parse_key

        made = object.__new__(State)
        held: dict[str, dict[Any, Any]] = {
            "services": _copy(self.services),
            "sets": _copy(self.sets),
            "devices": _copy(self.devices),
            "sysctls": _copy(self.sysctls),
        }
        made.timeouts, made.daemons, made._packed = self.timeouts, self.daemons, self._packed
        made._wanted = made._fit = None
        for key in map(parse_key, remove):
            match key:
                case ServiceKey():
                    held["services"].pop(key, None)
                case SetKey(name):
                    held["sets"].pop(name, None)
                case DeviceKey(name):
                    held["devices"].pop(name, None)
                case SysctlKey(name):
                    held["sysctls"].pop(name, None)
                case TimeoutsKey():
                    made.timeouts = None
                case DaemonKey(role) if made.daemons is not None:
                    left = {each: daemon for each, daemon in made.daemons.items() if each is not role}
                    made.daemons = MappingProxyType(left)
        held["services"] |= _unique("services", map(VirtualService.parse, services), _service_key)
        held["sets"] |= _unique("sets", map(_set, sets), _name)
        held["devices"] |= _unique("devices", map(Device.parse, devices), _name)
        for name, values in held.items():
            setattr(made, name, MappingProxyType(values))
        if len(made._packed) > 2 * len(made.services) + _SPARE:
            made._packed = {key: one for key, one in made._packed.items() if key in made.services}
        return made

    def keys(self) -> Iterator[Key]:
        """The key of everything that is named."""
        yield from self.services
        yield from map(SetKey, self.sets)
        yield from map(DeviceKey, self.devices)
        yield from map(SysctlKey, self.sysctls)
        if self.timeouts is not None:
            yield TimeoutsKey()
        yield from map(DaemonKey, self.daemons or ())

    def packed(self, key: ServiceKey) -> Packed | None:
        """A service in the form in which it is compared; made once for as long as the value lives on in this state or those made from it."""
        service = self.services.get(key)
        if service is None:
            return None
        known = self._packed.get(key)
        if known is None or known[0] is not service:
            known = self._packed[key] = service, pack(service)
        return known[1]

    @property
    def wanted(self) -> Wanted:
        """All services in the form in which they are compared."""
        if self._wanted is None:
            known = self._packed.get
            for key, service in self.services.items():
                there = known(key)
                if there is None or there[0] is not service:
                    self._packed[key] = service, pack(service)
            self._wanted = Wanted([self._packed[key][1] for key in self.services])
        return self._wanted

    def fits(self, scope: Scope | None, only: object) -> bool:
        """Whether its services were found to be within the scope before."""
        return self._fit is not None and self._fit[0] is scope and self._fit[1] is only

    def note_fit(self, scope: Scope | None, only: object) -> None:
        """They were found to be within the scope, and within what was looked for: neither of them changes."""
        if not isinstance(only, frozenset):
            self._fit = scope, only

    @classmethod
    def load(cls, source: str | bytes | PathLike[str]) -> Self:
        """From a file, or from the text itself (anything with a line break or a brace in it).

        Taken are, by what is in it: the native JSON, YAML (needs the extra `yaml`), what `ipvsadm --save` and what `ipset save` writes. What a text
        has that is no state is told by a UserWarning. Raises InvalidState, which has every fault with its path and line; OSError.
        """
        from ipvskit.formats import parse

        found, lost = parse(_text_of(source))
        _warn(lost)
        return cls.of(found)

    @classmethod
    def of(cls, contents: Any) -> Self:  # noqa: ANN401 - formats.Contents, which is not imported with this module
        """From what `ipvskit.formats` found in a text."""
        return cls(
            contents.services,
            sets=contents.sets,
            devices=contents.devices,
            sysctls=contents.sysctls,
            timeouts=contents.timeouts,
            daemons=contents.daemons,
        )

    def contents(self) -> Any:  # noqa: ANN401 - the same
        """As `ipvskit.formats` writes it."""
        from ipvskit.formats.contents import Contents

        return Contents(
            services=list(self.services.values()),
            sets=list(self.sets.values()),
            devices=list(self.devices.values()),
            sysctls=dict(self.sysctls),
            timeouts=self.timeouts,
            daemons=None if self.daemons is None else list(self.daemons.values()),
        )

    def dump(self, path: str | PathLike[str] | None = None, *, format: str | None = None) -> str:  # noqa: A002 - its own name
        """As text, and with `path` written to that file, which is replaced at once and whole.

        `format` is "json" (the native one), "yaml", "ipvsadm" or "ipset"; None goes by the end of the path's name (.yaml and .yml, otherwise JSON).
        What a format cannot express is left out, and told by a UserWarning. Raises OSError, InvalidConfig.
        """
        if format is None:
            format = "yaml" if path is not None and str(path).endswith((".yaml", ".yml")) else "json"  # noqa: A001
        if format not in _WRITERS:
            raise InvalidConfig("format", format, "one of " + ", ".join(_WRITERS))
        text, lost = _WRITERS[format](self.contents())
        _warn(lost)
        if path is not None:
            from ipvskit.engine.files import write_whole

            write_whole(path, text)
        return text

    def __bool__(self) -> bool:
        return any((self.services, self.sets, self.devices, self.sysctls, self.timeouts, self.daemons))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, State):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self.__slots__ if not name.startswith("_"))

    __hash__ = None  # type: ignore[assignment] # sets' entries can be changed

    def __repr__(self) -> str:
        counts = {name: len(getattr(self, name)) for name in ("services", "sets", "devices", "sysctls")}
        return "<State: " + ", ".join(f"{count} {name}" for name, count in counts.items()) + ">"


def _service_key(service: VirtualService) -> ServiceKey:
    return service.key


def _set(value: Set | str) -> Set:
    from ipvskit.ipset.replacing import TEMPORARY

    found = Set.parse(value)
    if found.name.startswith(TEMPORARY):
        raise InvalidConfig("sets", found.name, f"names that do not begin with {TEMPORARY}: such sets are temporary")
    return found


def _name(value: Set | Device) -> str:
    return value.name


def _role(daemon: SyncDaemon) -> DaemonRole:
    return daemon.role


def _unique(field: str, values: Iterable[Any], key: Callable[[Any], Any]) -> dict[Any, Any]:
    found: dict[Any, Any] = {}
    for number, value in enumerate(values):
        identity = key(value)
        # Keys hash in Python, which takes long: once for each.
        found.setdefault(identity, value)
        if len(found) == number:
            expected = f"each once, but {identity} is there as {_short(found[identity])} too"
            raise InvalidConfig(field, _short(value), expected)
    return found


def _copy(held: Mapping[Any, Any]) -> dict[Any, Any]:
    """As `dict` does, which hashes every key anew when it is given a proxy: a large state would be slow to update."""
    found: dict[Any, Any] = held.copy() if isinstance(held, MappingProxyType) else dict(held)
    return found


def _short(value: object) -> str:
    return str(value).partition("\n")[0]


def _checked(sysctls: Mapping[str, Value]) -> dict[str, Value]:
    for name, value in sysctls.items():
        if name not in SYSCTLS:
            raise InvalidConfig("sysctls", name, "one of " + ", ".join(SYSCTLS))
        SYSCTLS[name].write(value)
    return dict(sysctls)


def _text_of(source: str | bytes | PathLike[str]) -> str | bytes:
    if isinstance(source, bytes) or (isinstance(source, str) and any(mark in source for mark in "\n{")):
        return source
    from pathlib import Path

    return Path(source).read_bytes()


def _warn(lost: Iterable[str]) -> None:
    import warnings

    for each in lost:
        warnings.warn(each, UserWarning, stacklevel=3)


def _json(contents: Any) -> tuple[str, tuple[str, ...]]:  # noqa: ANN401 - formats.Contents
    from ipvskit.formats import write_json

    return write_json(contents), ()


def _yaml(contents: Any) -> tuple[str, tuple[str, ...]]:  # noqa: ANN401 - formats.Contents
    from ipvskit.formats import write_yaml

    return write_yaml(contents), ()


def _ipvsadm(contents: Any) -> tuple[str, tuple[str, ...]]:  # noqa: ANN401 - formats.Contents
    from ipvskit.formats import write_ipvsadm

    return write_ipvsadm(contents)


def _ipset(contents: Any) -> tuple[str, tuple[str, ...]]:  # noqa: ANN401 - formats.Contents
    from ipvskit.formats import write_ipset

    pieces, lost = write_ipset(contents)
    return "".join(pieces), lost


_WRITERS: dict[str, Callable[[Any], tuple[str, tuple[str, ...]]]] = {
    "json": _json,
    "yaml": _yaml,
    "ipvsadm": _ipvsadm,
    "ipset": _ipset,
}
