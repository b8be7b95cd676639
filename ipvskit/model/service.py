"""The virtual service.

Knows: what a service is, and which real servers it can have. Must not know: the kernel.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Any

from ipvskit.errors import InvalidConfig
from ipvskit.model.address import Family, is_number, parse_number
from ipvskit.model.keep import KEEP, NOTHING, Keep, keep_names, kept, settle
from ipvskit.model.key import ServiceKey
from ipvskit.model.options import read_options, write_options
from ipvskit.model.real import ForwardingMethod, RealServer
from ipvskit.model.slots import draft_of, setter

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["VirtualService", "check_pair"]

#: Persistence timeouts are kept in ticks of 32 bits; with 1000 ticks a second a longer one wraps (seconds).
MAX_PERSISTENCE_TIMEOUT = (2**32 - 1) // 1000
MAX_SCHEDULER = 15
MAX_ENGINE = 16

#: Scheduler flags by their names in ipvsadm(8), as the kernel's bits. Those of "sh" and "mh" have names of their own.
GENERIC_FLAGS = {"flag-1": 0x8, "flag-2": 0x10, "flag-3": 0x20}
OWN_FLAGS = {
    "sh": {"sh-fallback": 0x8, "sh-port": 0x10},
    "mh": {"mh-fallback": 0x8, "mh-port": 0x10},
}


def flag_names(scheduler: str) -> dict[str, int]:
    """Every flag name that goes with the scheduler, its own names first."""
    return OWN_FLAGS.get(scheduler, {}) | GENERIC_FLAGS


def flag_bits(scheduler: str, names: Iterable[str]) -> int:
    """The kernel's bits for flag names. Raises InvalidConfig."""
    known = flag_names(scheduler)
    bits = 0
    for name in names:
        if name not in known:
            expected = f"with scheduler {scheduler!r} one of " + ", ".join(known)
            raise InvalidConfig("scheduler_flags", name, expected)
        bits |= known[name]
    return bits


def flags_of_bits(scheduler: str, bits: int) -> frozenset[str]:
    """The names of the bits, the scheduler's own where it has one."""
    found: dict[int, str] = {}
    for name, bit in flag_names(scheduler).items():
        if bits & bit:
            found.setdefault(bit, name)
    return frozenset(found.values())


@dataclass(frozen=True, slots=True, init=False)
class VirtualService:
    """A virtual service and its real servers. `key` identifies it; its text form is taken as well (`"192.0.2.10:443/tcp"`).

    `scheduler` is a kernel module's name without `ip_vs_` ("rr", "wlc", "mh", ...), or "none". `scheduler_flags` are named as in ipvsadm(8).
    With `persistence_timeout` (seconds) connections of one client network go to the same real server; `persistence_netmask` is that network's
    prefix length (all bits unless given; an IPv4 mask with holes stays an address). `one_packet` schedules every packet of a UDP service by
    itself. `persistence_engine` is a kernel module's name without `ip_vs_pe_` ("sip", which drops packets that have no Call-ID). A persistent
    firewall-mark service keeps the packet's port, whatever the real server's is. `reals` are in the order in which they were added.
    In a desired state anything but the key may be KEEP; then it has its default here (no real servers), and its name is in `keep`.
    Raises InvalidConfig.
    """

    key: ServiceKey
    scheduler: str
    scheduler_flags: frozenset[str]
    persistence_timeout: int | None
    persistence_netmask: int | IPv4Address | None
    persistence_engine: str | None
    one_packet: bool
    reals: tuple[RealServer, ...]
    keep: frozenset[str]

    def __init__(
        self,
        key: ServiceKey | str,
        *,
        scheduler: str | Keep = "wlc",
        scheduler_flags: Iterable[str] | Keep = (),
        persistence_timeout: int | Keep | None = None,
        persistence_netmask: int | str | IPv4Address | Keep | None = None,
        persistence_engine: str | Keep | None = None,
        one_packet: bool | Keep = False,
        reals: Iterable[RealServer | str] | Keep = (),
        keep: Iterable[str] = (),
    ) -> None:
        key = ServiceKey.parse(key)
        if keep:
            named = keep_names("virtual service", keep, _FIELDS[1:])
            scheduler = kept("scheduler", scheduler, "wlc", named)
            scheduler_flags = kept("scheduler_flags", scheduler_flags, (), named)
            persistence_timeout = kept("persistence_timeout", persistence_timeout, None, named)
            persistence_netmask = kept("persistence_netmask", persistence_netmask, None, named)
            persistence_engine = kept("persistence_engine", persistence_engine, None, named)
            one_packet = kept("one_packet", one_packet, False, named)
            reals = kept("reals", reals, (), named)
        names = settle(
            {
                "scheduler": scheduler,
                "scheduler_flags": KEEP if scheduler is KEEP else scheduler_flags,
                "persistence_timeout": persistence_timeout,
                "persistence_netmask": KEEP if persistence_timeout is KEEP else persistence_netmask,
                "persistence_engine": persistence_engine,
                "one_packet": one_packet,
                "reals": reals,
            }
        )
        scheduler = "wlc" if isinstance(scheduler, Keep) else scheduler
        scheduler_flags = () if isinstance(scheduler_flags, Keep) or "scheduler_flags" in names else scheduler_flags
        persistence_timeout = None if isinstance(persistence_timeout, Keep) else persistence_timeout
        if isinstance(persistence_netmask, Keep) or "persistence_netmask" in names:
            persistence_netmask = None
        persistence_engine = None if isinstance(persistence_engine, Keep) else persistence_engine
        one_packet = False if isinstance(one_packet, Keep) else one_packet
        reals = () if isinstance(reals, Keep) else reals
        _check_name("scheduler", scheduler, MAX_SCHEDULER)
        if isinstance(scheduler_flags, str):
            raise InvalidConfig("scheduler_flags", scheduler_flags, "several names, not one text")
        bits = flag_bits(scheduler, scheduler_flags)
        if persistence_timeout is not None:
            parse_number("persistence_timeout", persistence_timeout, 1, MAX_PERSISTENCE_TIMEOUT, "seconds")
        elif key.address is not None and key.port == 0:
            raise InvalidConfig(
                "persistence_timeout", None, "seconds, because a service for every port (0) must be persistent"
            )
        if persistence_engine is not None:
            _check_name("persistence_engine", persistence_engine, MAX_ENGINE)
        if one_packet and key.protocol not in {"udp", None}:
            raise InvalidConfig(
                "one_packet", one_packet, f"False: only udp and fwmark services have it, not {key.protocol}"
            )
        _fill(
            self,
            key,
            scheduler,
            flags_of_bits(scheduler, bits),
            persistence_timeout,
            _netmask(key.family, persistence_netmask, persistence_timeout is not None),
            persistence_engine,
            bool(one_packet),
            _check_reals(key, reals),
            names,
        )

    @classmethod
    def parse(cls, text: str | VirtualService) -> VirtualService:
        """From its text form: `KEY [OPTION=VALUE ...]`, then a line `-> REAL SERVER` for each of those. Raises InvalidConfig."""
        if isinstance(text, VirtualService):
            return text
        first, *lines = text.strip().split("\n")
        key, *words = first.split() or [""]
        given: dict[str, Any] = read_options("virtual service", words, _OPTIONS)
        mask = given.get("persistence_netmask")
        if isinstance(mask, str) and is_number(mask):
            given["persistence_netmask"] = int(mask)
        kept = given.pop("reals", None)
        if kept not in {None, KEEP} or (kept and lines):
            raise InvalidConfig("reals", kept, "keep, and no real servers then (they stand on lines of their own)")
        reals = []
        for line in lines:
            arrow, _, real = line.strip().partition(" ")
            if arrow != "->":
                raise InvalidConfig("virtual service", line, 'a line that begins with "->" and has a real server')
            reals.append(RealServer.parse(real))
        return cls(key, reals=kept or reals, **given)

    def replace(self, **changes: Any) -> VirtualService:
        """The same with some attributes changed, and checked again. Raises InvalidConfig."""
        values: dict[str, Any] = {name: KEEP if name in self.keep else getattr(self, name) for name in _FIELDS}
        values |= changes
        unknown = changes.keys() - set(_FIELDS)
        if unknown:
            raise InvalidConfig("virtual service", sorted(unknown), "attributes named " + ", ".join(_FIELDS))
        if "scheduler" in changes and "scheduler_flags" not in changes and changes["scheduler"] != self.scheduler:
            values["scheduler_flags"] = ()
        if values["persistence_timeout"] is None and not {"persistence_netmask"} & (changes.keys() | self.keep):
            values["persistence_netmask"] = None
        return VirtualService(values.pop("key"), **values)

    def filled(self, held: VirtualService) -> VirtualService:
        """The same with the fields that are kept as `held` has them; its real servers are those given here, unless they are kept."""
        if not self.keep:
            return self
        values: dict[str, Any] = {name: getattr(held if name in self.keep else self, name) for name in _FIELDS}
        if "scheduler_flags" in self.keep and values["scheduler"] != held.scheduler:
            # The same bits have other names with another scheduler.
            bits = flag_bits(held.scheduler, held.scheduler_flags)
            values["scheduler_flags"] = flags_of_bits(values["scheduler"], bits)
        timeout = values["persistence_timeout"]
        if (values["persistence_netmask"] is None) is not (timeout is None):
            # One goes with the other.
            values["persistence_netmask"] = _full_netmask(self.key.family, timeout)
        made = object.__new__(VirtualService)
        _fill(made, *[*values.values(), NOTHING])
        return made

    def with_reals(self, reals: tuple[RealServer, ...]) -> VirtualService:
        """The same with these real servers, not checked."""
        values: dict[str, Any] = {name: getattr(self, name) for name in _FIELDS} | {"reals": reals}
        made = object.__new__(VirtualService)
        _fill(made, *[*values.values(), self.keep - {"reals"} if self.keep else NOTHING])
        return made

    def __str__(self) -> str:
        defaults = _DEFAULTS | {"persistence_netmask": _full_netmask(self.key.family, self.persistence_timeout)}
        words = write_options(self, _OPTIONS, defaults | {"reals": self.reals})
        head = " ".join([str(self.key), *words])
        return "\n".join([head, *(f"  -> {real}" for real in self.reals)])


_FIELDS = (
    "key",
    "scheduler",
    "scheduler_flags",
    "persistence_timeout",
    "persistence_netmask",
    "persistence_engine",
    "one_packet",
    "reals",
)
_OPTIONS = {
    "scheduler": str,
    "scheduler_flags": list,
    "persistence_timeout": int,
    "persistence_netmask": str,
    "persistence_engine": str,
    "one_packet": bool,
    "reals": str,
}
_DEFAULTS: dict[str, object] = {
    "scheduler": None,
    "scheduler_flags": frozenset(),
    "persistence_timeout": None,
    "persistence_engine": None,
    "one_packet": False,
}


def _full_netmask(family: Family, persistence_timeout: int | None) -> int | None:
    if persistence_timeout is None:
        return None
    return 32 if family is Family.IPV4 else 128


def _check_name(field: str, name: object, limit: int) -> None:
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9_.-]+", name) or len(name) > limit:
        raise InvalidConfig(field, name, f"1 to {limit} letters, digits, dots, dashes or underscores")


def _netmask(family: Family, value: int | str | IPv4Address | None, persistent: bool) -> int | IPv4Address | None:
    if value is None:
        return _full_netmask(family, 1 if persistent else None)
    if not persistent:
        raise InvalidConfig("persistence_netmask", value, "None as long as there is no persistence_timeout")
    if family is Family.IPV6:
        return parse_number("persistence_netmask", value, 1, 128, "bits")
    if isinstance(value, str):
        try:
            value = IPv4Address(value)
        except ValueError:
            raise InvalidConfig("persistence_netmask", value, "0 to 32 bits or a mask such as 255.255.255.0") from None
    if isinstance(value, IPv4Address):
        return mask_bits(int(value))
    return parse_number("persistence_netmask", value, 0, 32, "bits")


def mask_bits(mask: int) -> int | IPv4Address:
    """The prefix length of an IPv4 mask; a mask with holes stays what it is."""
    bits = mask.bit_count()
    return bits if mask == (0xFFFFFFFF << (32 - bits)) & 0xFFFFFFFF else IPv4Address(mask)


def _check_reals(key: ServiceKey, given: Iterable[RealServer | str]) -> tuple[RealServer, ...]:
    reals = tuple(RealServer.parse(real) for real in given)
    seen = set()
    for real in reals:
        check_pair(key, real)
        place = (real.address, real.port)
        if place in seen:
            raise InvalidConfig("reals", real.endpoint, f"each address and port once in {key}")
        seen.add(place)
    return reals


# A member of an enumeration is looked up anew at every use, and this is asked of every real server.
_TUNNEL, _MASQUERADE = ForwardingMethod.TUNNEL, ForwardingMethod.MASQUERADE
_VERSIONS = {Family.IPV4: 4, Family.IPV6: 6}


def check_pair(key: ServiceKey, real: RealServer) -> None:
    """Whether the service can have this real server. Raises InvalidConfig."""
    method = real.forwarding
    if real.address.version != _VERSIONS[key.family] and method is not _TUNNEL:
        expected = f"tunnel, because {real.endpoint} is not an {key.family} address as {key} is"
        raise InvalidConfig("forwarding", str(method), expected)
    if method is not _MASQUERADE and real.port not in {0, key.port}:
        expected = (
            f"{'0 or ' if key.port else ''}{key.port}, because {method} does not change the port of a packet to {key}"
        )
        raise InvalidConfig("real server port", real.port, expected)


_set_key = setter(VirtualService, "key")
_set_scheduler = setter(VirtualService, "scheduler")
_set_flags = setter(VirtualService, "scheduler_flags")
_set_timeout = setter(VirtualService, "persistence_timeout")
_set_netmask = setter(VirtualService, "persistence_netmask")
_set_engine = setter(VirtualService, "persistence_engine")
_set_one_packet = setter(VirtualService, "one_packet")
_set_reals = setter(VirtualService, "reals")
_set_keep = setter(VirtualService, "keep")


def _fill(
    service: VirtualService,
    key: ServiceKey,
    scheduler: str,
    flags: frozenset[str],
    timeout: int | None,
    netmask: int | IPv4Address | None,
    engine: str | None,
    one_packet: bool,
    reals: tuple[RealServer, ...],
    keep: frozenset[str],
) -> None:
    _set_key(service, key)
    _set_scheduler(service, scheduler)
    _set_flags(service, flags)
    _set_timeout(service, timeout)
    _set_netmask(service, netmask)
    _set_engine(service, engine)
    _set_one_packet(service, one_packet)
    _set_reals(service, reals)
    _set_keep(service, keep)


_Draft = draft_of(VirtualService)


def _stored(
    key: ServiceKey,
    scheduler: str,
    flags: frozenset[str],
    timeout: int | None,
    netmask: int | IPv4Address | None,
    engine: str | None,
    one_packet: bool,
    reals: tuple[RealServer, ...],
) -> VirtualService:
    made = _Draft()
    made.key = key
    made.scheduler = scheduler
    made.scheduler_flags = flags
    made.persistence_timeout = timeout
    made.persistence_netmask = netmask
    made.persistence_engine = engine
    made.one_packet = one_packet
    made.reals = reals
    made.keep = NOTHING
    made.__class__ = VirtualService
    done: VirtualService = made
    return done


def stored_service(
    key: ServiceKey,
    scheduler: str,
    flags: frozenset[str],
    timeout: int | None,
    reals: tuple[RealServer, ...],
) -> VirtualService:
    """One without engine and the like, not checked: its parts were."""
    return _stored(key, scheduler, flags, timeout, _full_netmask(key.family, timeout), None, False, reals)


def stored_services(
    keys: Sequence[ServiceKey],
    schedulers: Iterable[str],
    flags: Iterable[frozenset[str]],
    timeouts: Iterable[int | None],
    netmasks: Iterable[int | IPv4Address | None],
    engines: Iterable[str | None],
    one_packet: Iterable[bool],
    reals: Iterable[tuple[RealServer, ...]],
) -> list[VirtualService]:
    """Services as the kernel has them, not checked: another program may have made what we would refuse."""
    rows = zip(keys, schedulers, flags, timeouts, netmasks, engines, one_packet, reals, strict=False)
    return [
        _stored(key, scheduler, names, timeout, netmask, engine, single, some)
        for key, scheduler, names, timeout, netmask, engine, single, some in rows
    ]
