"""What follows from the services themselves: whether packets get to them, from them to real servers, and back.

Knows: which ways packets take. Must not know: where facts come from, how findings are shown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipvskit.cli.doctor_facts import Finding, Severity
from ipvskit.engine.keys import RealKey
from ipvskit.model.address import Family, endpoint_text
from ipvskit.model.device import DUMMY
from ipvskit.model.real import ForwardingMethod

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ipvskit.cli.doctor_facts import Facts
    from ipvskit.model.key import ServiceKey
    from ipvskit.model.status import RealServerStatus

__all__ = ["SERVICE_CHECKS", "forwarded"]

_OK, _NOTE, _WARNING, _PROBLEM = Severity.OK, Severity.NOTE, Severity.WARNING, Severity.PROBLEM
_DIRECT = (ForwardingMethod.DIRECT_ROUTE, ForwardingMethod.TUNNEL)
_SHOWN = 3
_FLAGS = {"tcp": "-t", "udp": "-u", "sctp": "--sctp-service"}


def forwarded(
    facts: Facts, methods: Sequence[ForwardingMethod], *, version: int | None = None, protocol: str | None = None
) -> tuple[str, ...]:
    """The services with real servers on other hosts, reached by one of these methods, whose addresses are of this IP version."""
    own = facts.owners
    return tuple(
        str(one.key)
        for one in facts.services
        if protocol in {None, one.key.protocol}
        and any(
            real.real.forwarding in methods
            and real.real.address not in own
            and version in {None, real.real.address.version}
            for real in one.reals
        )
    )


def _some(names: Sequence[str]) -> str:
    """The first few of many."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _are(names: Sequence[str], single: str, several: str) -> str:
    """`1 service has`, `3 services have`."""
    return f"{len(names)} {single if len(names) == 1 else several}"


# --- whether packets pass -----------------------------------------------------------------------------------------------------------


def _forwarding(facts: Facts) -> Iterator[Finding]:
    why = (
        "Answers of real servers with masquerading come back through this host, and it drops what it does not forward."
    )
    values = (
        (4, facts.sysctls.get("ip_forward"), "net.ipv4.ip_forward"),
        (6, facts.ipv6_forwarding, "net.ipv6.conf.all.forwarding"),
    )
    for version, value, name in values:
        hurt = forwarded(facts, (ForwardingMethod.MASQUERADE,), version=version)
        if value is False and hurt:
            yield Finding(_PROBLEM, f"forwarding-ipv{version}", f"{name} is 0", why, f"sysctl -w {name}=1", hurt)
        elif value is not None:
            yield Finding(_OK, f"forwarding-ipv{version}", f"{name} is {int(bool(value))}")


def _homeless(facts: Facts) -> Iterator[Finding]:
    known = facts.owners
    if not facts.vips:
        return
    missing = [str(address) for address in facts.vips if address not in known and address not in facts.routed]
    if not missing:
        yield Finding(_OK, "service-address", "the host has the address of every service")
        return
    what = f"the host does not have {_are(missing, 'address', 'addresses')} of services: {_some(missing)}"
    why = "Packets for an address that is not the host's own never come to IPVS; they are forwarded or dropped."
    bits = 128 if ":" in missing[0] else 32
    yield Finding(_WARNING, "service-address", what, why, f"ip address add {missing[0]}/{bits} dev lo", tuple(missing))


def _arp(facts: Facts) -> Iterator[Finding]:
    """Addresses that are on several hosts at once, as with direct routing and tunnels, are a matter of who answers for them."""
    if not forwarded(facts, _DIRECT, version=4):
        return
    owners = facts.owners
    vips = [one for one in facts.vips if one.version == 4 and one in owners]
    loud = [name for name, value in facts.arp_ignore.items() if value == 0]
    quiet_enough = [name for name, value in facts.arp_announce.items() if value < 2]
    elsewhere = [str(one) for one in vips if owners[one].kind != DUMMY]
    severity = _WARNING if elsewhere else _NOTE
    about = tuple(elsewhere or map(str, vips))
    if vips and loud:
        why = (
            "The host answers ARP on each of its devices for addresses of all its devices. Real servers of direct routing and tunnels have the"
            " same addresses: where they or other directors are on one link, whoever answers first gets the traffic."
        )
        what = f"net.ipv4.conf.*.arp_ignore is 0 on {_some(loud)}"
        yield Finding(severity, "arp-ignore", what, why, "sysctl -w net.ipv4.conf.all.arp_ignore=1", about)
    if vips and quiet_enough:
        why = "ARP requests may carry a service's address as their source, and others then send its traffic to whoever asked last."
        what = f"net.ipv4.conf.*.arp_announce is below 2 on {_some(quiet_enough)}"
        yield Finding(severity, "arp-announce", what, why, "sysctl -w net.ipv4.conf.all.arp_announce=2", about)
    if not (vips and (loud or quiet_enough)):
        yield Finding(_OK, "arp", "ARP tells and answers for addresses only where they are")


# --- whether there is somebody to answer --------------------------------------------------------------------------------------------


def _empty(facts: Facts) -> Iterator[Finding]:
    if not facts.services:
        return
    bare = tuple(one.key for one in facts.services if not one.reals)
    shut = tuple(
        str(one.key) for one in facts.services if one.reals and not any(real.real.weight for real in one.reals)
    )
    if bare:
        names = tuple(map(str, bare))
        what = f"{_are(names, 'service has', 'services have')} no real servers: {_some(names)}"
        why = "Clients are refused. Add real servers, or delete the service."
        yield Finding(_WARNING, "no-real-servers", what, why, f"ipvskit ipvsadm -D {_words(bare[0])}", names)
    if shut:
        what = f"{_are(shut, 'service has', 'services have')} only real servers with weight 0: {_some(shut)}"
        yield Finding(_WARNING, "no-weight", what, "New clients are refused until one has a weight again.", "", shut)
    if not bare and not shut:
        yield Finding(_OK, "real-servers", "every service has real servers that take new connections")


def _weightless(facts: Facts) -> Iterator[Finding]:
    waiting = [
        (one.key, real)
        for one in facts.services
        for real in one.reals
        if real.real.weight == 0 and RealKey(one.key, real.real.address, real.real.port) not in facts.draining
    ]
    idle = [(key, real) for key, real in waiting if not (real.active or real.inactive or real.persistent)]
    busy = [(key, real) for key, real in waiting if real.active or real.inactive or real.persistent]
    if idle:
        names = _named(idle)
        what = f"{_are(names, 'real server has', 'real servers have')} weight 0 and no connections: {_some(names)}"
        why = (
            "There is nothing left to wait for: a drain that nobody ends, or a health check that has failed for long. Delete what does not come"
            " back, or give it its weight."
        )
        yield Finding(_WARNING, "not-drained", what, why, _deletion(*idle[0]), names)
    if busy:
        names = _named(busy)
        left = sum(real.active + real.inactive for _, real in busy)
        what = f"{_are(names, 'real server has', 'real servers have')} weight 0 and {left} connections: {_some(names)}"
        why = "They get no new connections and keep those that they have. Is somebody draining them?"
        yield Finding(_NOTE, "draining", what, why, f"ipvskit drain {busy[0][1].real.endpoint} --wait", names)


def _named(found: Sequence[tuple[ServiceKey, RealServerStatus]]) -> tuple[str, ...]:
    return tuple(f"{real.real.endpoint} of {key}" for key, real in found)


def _deletion(key: ServiceKey, real: RealServerStatus) -> str:
    return f"ipvskit ipvsadm -d {_words(key)} -r {real.real.endpoint}"


def _words(key: ServiceKey) -> str:
    """A service as ipvsadm has it on its command line."""
    if key.address is None:
        return f"-f {key.fwmark}{' -6' if key.family is Family.IPV6 else ''}"
    return f"{_FLAGS.get(key.protocol or '', '-t')} {endpoint_text(key.address, key.port)}"


#: Every check of services.
SERVICE_CHECKS: tuple[Callable[[Facts], Iterator[Finding]], ...] = (
    _forwarding,
    _homeless,
    _arp,
    _empty,
    _weightless,
)
