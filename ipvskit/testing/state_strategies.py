"""Hypothesis strategies for desired states, and what goes with them: scopes, drains.

    @given(states())                               services, sets, devices, settings; few keys, so that two states meet
    @given(states(keep=True))                      with fields that are left to others (KEEP)
    @given(states().flatmap(edited))               a state and another one that differs from it in some places
    @given(scopes(), states())                     `within(state, scope)` is what of it a controller with this scope may name

Knows: what is valid, and what belongs together in a kernel. Must not know: any kernel, how states are compared or applied. Needs Hypothesis. Must not
be imported by the library.

A kernel that has IPVS, all set types and the interface lo takes each of these states: lists hold only sets of the state, and next to sync daemons
there are no real servers of the other family.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from ipvskit.engine.drain import Drain
from ipvskit.engine.keys import DaemonKey, DeviceKey, SetKey
from ipvskit.engine.scope import Scope
from ipvskit.engine.state import State
from ipvskit.errors import InvalidConfig
from ipvskit.model.address import Family
from ipvskit.model.daemon import DaemonRole, SyncDaemon, Timeouts
from ipvskit.model.device import Device
from ipvskit.model.keep import KEEP
from ipvskit.model.key import ServiceKey
from ipvskit.model.real import RealServer
from ipvskit.model.service import VirtualService
from ipvskit.sets.definition import Set
from ipvskit.testing import strategies

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ipvskit.model.sysctl import Value

__all__ = [
    "DEVICES",
    "SERVICES",
    "SETS",
    "devices",
    "drains",
    "edited",
    "scopes",
    "services",
    "sets_with_entries",
    "states",
    "within",
]

#: The services of all states.
SERVICES = tuple(
    map(
        ServiceKey.parse,
        (
            "192.0.2.10:80/tcp",
            "192.0.2.10:80/udp",
            "192.0.2.11:443/tcp",
            "192.0.2.11:0/tcp",
            "198.51.100.1:80/sctp",
            "[2001:db8::10]:80/tcp",
            "fwmark:7/v4",
            "fwmark:7/v6",
        ),
    )
)
#: Real servers: few, so that most states have the same ones in another form.
REAL_ADDRESSES = {
    Family.IPV4: tuple(map(ip_address, ("10.0.0.1", "10.0.0.2", "10.0.0.3"))),
    Family.IPV6: tuple(map(ip_address, ("2001:db8:1::1", "2001:db8:1::2"))),
}
PORTS = (0, 80, 8080)
#: The sets of all states, the last one being a list of others.
SETS = ("web-allow", "web-deny", "other", "web-list")
DEVICES = ("vip0", "vip1", "dummy-x")
_ADDRESSES = ("192.0.2.10/32", "192.0.2.11/32", "198.51.100.1/24", "198.51.100.2/24", "2001:db8::10/128")

#: Types of sets with entries that they take.
ENTRIES: dict[str, Sequence[str]] = {
    "hash:ip": ("10.0.0.1", "10.0.0.2", "10.0.0.4-10.0.0.6", "192.0.2.1", "255.255.255.255"),
    "hash:net": ("10.0.0.0/8", "10.0.0.0/9", "192.0.2.0/24", "0.0.0.1-0.0.0.9", "203.0.113.7"),
    "hash:ip,port": ("10.0.0.1,tcp:80", "10.0.0.1,udp:80", "10.0.0.2,tcp:80-82", "10.0.0.3,icmp:8/0"),
    "hash:net,iface": ("10.0.0.0/8,lo", "10.0.0.0/8,physdev:lo", "192.0.2.0/24,eth0"),
    "hash:mac": ("02:00:00:00:00:01", "02:00:00:00:00:02"),
    "bitmap:ip": ("10.0.0.0", "10.0.0.7", "10.0.0.9-10.0.0.12"),
    "bitmap:port": ("0", "80", "443", "1000-1010"),
    "bitmap:ip,mac": ("10.0.0.1,02:00:00:00:00:01", "10.0.0.1", "10.0.0.2,02:00:00:00:00:02"),
}
_RANGES = {"bitmap:ip": "10.0.0.0/24", "bitmap:port": "0-1023", "bitmap:ip,mac": "10.0.0.0/24"}
_SYSCTLS: dict[str, st.SearchStrategy[Value]] = {
    "conntrack": st.booleans(),
    "drop_entry": st.integers(0, 3),
    "est_cpulist": st.sampled_from(("0-1", "0,1", "1", "1,0")),
    "sync_threshold": st.sampled_from(((3, 50), (0, 0), (2, 9))),
}


# --- services -----------------------------------------------------------------------------------------------------------------------


def _with_kept(value: Any, names: Iterable[str]) -> Any:  # noqa: ANN401 - a service or a real server
    """The value, with those of the fields kept that may be."""
    for name in names:
        try:
            value = value.replace(**{name: KEEP})
        except InvalidConfig:
            # What does not go without it has to be stated.
            continue
    return value


_KEPT_OF_REALS = ("weight", "upper_threshold", "lower_threshold", "forwarding", "tunnel")
_KEPT_OF_SERVICES = (
    "scheduler",
    "scheduler_flags",
    "persistence_timeout",
    "persistence_netmask",
    "persistence_engine",
    "one_packet",
    "reals",
)


@st.composite
def services(
    draw: st.DrawFn,
    keys: st.SearchStrategy[ServiceKey] | None = None,
    *,
    keep: bool = False,
    mixed: bool = False,
    max_reals: int = 4,
) -> VirtualService:
    """Services with real servers; `keep` leaves some of their fields to others, `mixed` allows real servers of the other family."""
    key = draw(keys if keys is not None else st.sampled_from(SERVICES))
    pool = REAL_ADDRESSES[key.family]
    if mixed:
        pool = (*REAL_ADDRESSES[Family.IPV4], *REAL_ADDRESSES[Family.IPV6])
    service = draw(
        strategies.virtual_services(
            st.just(key), max_reals=max_reals, addresses=st.sampled_from(pool), ports=st.sampled_from(PORTS)
        )
    )
    if not keep:
        return service
    service = service.replace(reals=[_with_kept(real, draw(_some(_KEPT_OF_REALS))) for real in service.reals])
    kept: VirtualService = _with_kept(service, draw(_some(_KEPT_OF_SERVICES)))
    return kept


def _some(names: Sequence[str]) -> st.SearchStrategy[list[str]]:
    return st.just([]) | st.lists(st.sampled_from(names), unique=True, max_size=3)


# --- sets ---------------------------------------------------------------------------------------------------------------------------


@st.composite
def sets_with_entries(draw: st.DrawFn, name: str, *, types: Sequence[str] = tuple(ENTRIES)) -> Set:
    """A set of one of a few types, with options, mostly with entries."""
    kind = draw(st.sampled_from(types))
    options: dict[str, Any] = {"range": _RANGES[kind]} if kind in _RANGES else {}
    for flag in ("counters", "comment", "skbinfo"):
        if draw(st.integers(0, 4)) == 0:
            options[flag] = True
    if draw(st.integers(0, 3)) == 0:
        options["timeout"] = draw(st.sampled_from((0, 3600, 86400)))
    if kind.startswith("hash") and draw(st.integers(0, 4)) == 0:
        options["maxelem"] = draw(st.sampled_from((16, 100)))
    some = draw(st.lists(st.sampled_from(ENTRIES[kind]), unique=True, max_size=len(ENTRIES[kind])))
    entries = [entry + draw(_entry_options(kind, options)) for entry in some]
    return Set(name, kind, **options, entries=draw(st.just(entries) | st.just(entries) | st.none()))


@st.composite
def _entry_options(draw: st.DrawFn, kind: str, options: dict[str, Any]) -> str:
    words = ""
    if "timeout" in options and draw(st.booleans()):
        words += f" timeout {draw(st.sampled_from((0, 600, 7200)))}"
    if options.get("counters") and draw(st.booleans()):
        words += f" packets {draw(st.integers(0, 9))} bytes {draw(st.integers(0, 9))}"
    if options.get("comment") and draw(st.booleans()):
        words += f' comment "{draw(st.sampled_from(("", "one", "two words")))}"'
    if options.get("skbinfo") and draw(st.booleans()):
        words += f" skbmark {draw(st.sampled_from(('0x1', '0x2/0xff')))}"
    if kind.startswith("hash:net") and draw(st.integers(0, 5)) == 0:
        words += " nomatch"
    return words


@st.composite
def _lists(draw: st.DrawFn, members: Sequence[str]) -> Set:
    some = draw(st.lists(st.sampled_from(members), unique=True)) if members else []
    return Set(SETS[-1], "list:set", size=draw(st.sampled_from((None, 4, 8))), entries=some)


@st.composite
def _all_sets(draw: st.DrawFn) -> list[Set]:
    found = [draw(sets_with_entries(name)) for name in SETS[:-1] if draw(st.booleans())]
    if draw(st.booleans()):
        found.append(draw(_lists([each.name for each in found])))
    return found


# --- everything else ----------------------------------------------------------------------------------------------------------------


@st.composite
def devices(draw: st.DrawFn, name: str) -> Device:
    """A device of kind "dummy" with some addresses."""
    some = draw(st.lists(st.sampled_from(_ADDRESSES), unique=True, max_size=4))
    return Device(name, up=draw(st.sampled_from((True, True, False, None))), addresses=some)


@st.composite
def _daemons(draw: st.DrawFn) -> list[SyncDaemon]:
    return [
        SyncDaemon(
            role,
            "lo",
            sync_id=draw(st.integers(0, 2)),
            max_length=draw(st.sampled_from((0, 1, 1400, 65487))),
            group=draw(st.sampled_from((None, "224.0.0.81", "239.0.0.1"))),
            port=draw(st.sampled_from((0, 8848, 9000))),
            ttl=draw(st.sampled_from((0, 1, 5))),
        )
        for role in DaemonRole
        if draw(st.booleans())
    ]


def _timeouts() -> st.SearchStrategy[Timeouts | None]:
    seconds = st.sampled_from((0, 60, 900))
    return st.none() | st.builds(Timeouts, seconds, seconds, seconds)


@st.composite
def states(
    draw: st.DrawFn,
    *,
    keep: bool = False,
    mixed: bool = False,
    sets: bool = True,
    devices: bool = True,
    settings: bool = True,
) -> State:
    """States over the keys of this module. `sets`, `devices` and `settings` say whether such are in it, `keep` and `mixed` are as in `services`."""
    daemons = draw(st.none() | _daemons()) if settings and not mixed else None
    chosen = draw(st.lists(st.sampled_from(SERVICES), unique=True, max_size=5))
    some = [draw(services(st.just(key), keep=keep, mixed=mixed)) for key in chosen]
    sysctls = draw(st.fixed_dictionaries({}, optional=_SYSCTLS)) if settings else {}
    make = globals()["devices"]
    return State(
        some,
        sets=draw(_all_sets()) if sets else (),
        devices=[draw(make(name)) for name in DEVICES if draw(st.booleans())] if devices else (),
        sysctls=sysctls,
        timeouts=draw(_timeouts()) if settings else None,
        daemons=daemons,
    )


@st.composite
def edited(draw: st.DrawFn, state: State) -> tuple[State, State]:
    """The state, and another that differs from it in few places: real servers and services added, changed and left out, sets likewise."""
    other = draw(states(settings=False))
    keys = [*other.services, *map(SetKey, other.sets), *map(DeviceKey, other.devices)]
    some = set(draw(st.lists(st.sampled_from(keys), unique=True, max_size=2)) if keys else [])
    gone = draw(st.lists(st.sampled_from(list(state.services)), unique=True, max_size=1)) if state.services else []
    changed = state.updated(
        [_edited_reals(draw, service) for service in state.services.values()],
        remove=[key for key in gone if key not in some],
    )
    members = {name for name in other.sets if SetKey(name) in some}
    return state, changed.updated(
        [service for key, service in other.services.items() if key in some],
        sets=[each for name, each in other.sets.items() if name in members and each.type != "list:set"],
        devices=[each for name, each in other.devices.items() if DeviceKey(name) in some],
    )


def _edited_reals(draw: st.DrawFn, service: VirtualService) -> VirtualService:
    if not service.reals or draw(st.booleans()):
        return service
    at = draw(st.integers(0, len(service.reals) - 1))
    real: RealServer = service.reals[at].replace(weight=draw(st.integers(0, 9)))
    keep_it = draw(st.booleans())
    return service.replace(reals=[*service.reals[:at], *([real] if keep_it else []), *service.reals[at + 1 :]])


@st.composite
def scopes(draw: st.DrawFn) -> Scope:
    """Scopes of every kind: that of everything too, but not often."""
    if draw(st.integers(0, 5)) == 0:
        return Scope.everything()
    keys: list[Any] = [*SERVICES, *map(SetKey, SETS), *map(DeviceKey, DEVICES), *map(DaemonKey, DaemonRole)]
    networks = ("192.0.2.0/24", "192.0.2.10", "198.51.100.0/24", "2001:db8::/32")
    ports: tuple[int | str, ...] = (80, "0-443/tcp", "1-65535/udp")
    return Scope(
        vips=draw(st.none() | st.lists(st.sampled_from(networks), unique=True, max_size=2)),
        ports=draw(st.none() | st.lists(st.sampled_from(ports), unique=True, max_size=2)),
        fwmarks=draw(st.lists(st.sampled_from((7, "1-100", (8, 9))), unique=True, max_size=1)),
        sets=draw(st.lists(st.sampled_from(("web-*", "other", "?eb-allow")), unique=True, max_size=2)),
        devices=draw(st.lists(st.sampled_from(("vip*", "dummy-?")), unique=True, max_size=1)),
        keys=draw(st.lists(st.sampled_from(keys), unique=True, max_size=3)),
        daemons=draw(st.booleans()),
    )


def drains() -> st.SearchStrategy[Drain]:
    """Drains with every policy."""
    policy = st.sampled_from(("wait", "delete"))
    return st.builds(
        Drain,
        deadline=st.none() | st.sampled_from((0, 30, 600)),
        tcp=policy,
        udp=policy,
        sctp=policy,
        fwmark=policy,
        inactive=st.booleans(),
        persistent=st.booleans(),
        services=st.booleans(),
    )


def within(state: State, scope: Scope) -> State:
    """What of a state is in a scope."""
    names = {name for name in state.sets if SetKey(name) in scope}
    kept = [each for each in state.sets.values() if each.name in names]
    daemons = None
    if state.daemons is not None:
        daemons = [daemon for role, daemon in state.daemons.items() if DaemonKey(role) in scope] or None
    return State(
        [service for key, service in state.services.items() if key in scope],
        sets=[_of_members(each, names) if each.type == "list:set" else each for each in kept],
        devices=[device for name, device in state.devices.items() if DeviceKey(name) in scope],
        sysctls=state.sysctls,
        timeouts=state.timeouts,
        daemons=daemons,
    )


def _of_members(of: Set, names: set[str]) -> Set:
    members = [str(entry) for entry in of.entries or () if str(entry) in names]
    return of.replace(entries=members)
