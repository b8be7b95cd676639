"""What tests of the engine on real kernels share: random states, what they come to, children that are killed.

Knows: which values any of the kernels takes. Must not know: what the engine does with them.
"""

from __future__ import annotations

import socket
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

import ipvskit as ik
from ipvskit.engine.order import LATE_SETTINGS
from ipvskit.sets.definition import with_options
from ipvskit.testing import set_strategies, strategies
from tests.kernel.ipset_support import without_zero

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ipvskit.testing.namespaces import TestNetNS

__all__ = ["COMMON", "as_listed", "converge", "frozen", "plant_foreign", "references", "states"]

COMMON = settings(
    deadline=None,
    suppress_health_check=list(HealthCheck),
    print_blob=True,
    report_multiple_bugs=False,
    database=None,
)

Types = dict[str, tuple[int, int]]

#: Few of each, so that states meet what others made.
KEYS = [
    ik.ServiceKey.parse(text)
    for text in ("192.0.2.1:80/tcp", "192.0.2.1:80/udp", "192.0.2.2:0/tcp", "[2001:db8::1]:80/tcp", "fwmark:7/v4", "fwmark:7/v6")
]  # fmt: skip
REALS = [ip_address(text) for text in ("10.0.0.1", "10.0.0.2", "10.0.0.3", "2001:db8:1::1", "2001:db8:1::2")]
PORTS = [0, 80, 8080]
NAMES = ["web-1", "web-2", "web-3"]
LIST = "web-list"
ADDRESSES = [
    "192.0.2.1/32",
    "192.0.2.1/24",
    "192.0.2.2/24",
    "192.0.2.3/25",
    "2001:db8::1/128",
    "2001:db8::2/64",
    "198.51.100.7/32",
]
#: What may be deleted; the foreign objects are outside of it.
SCOPE = ik.Scope(
    vips=["192.0.2.0/24", "2001:db8::/64"], fwmarks=["1-99"], sets=["web-*"], devices=["vip*"], daemons=True
)

services = strategies.virtual_services(
    st.sampled_from(KEYS), addresses=st.sampled_from(REALS), ports=st.sampled_from(PORTS)
)


@st.composite
def filled_sets(draw: st.DrawFn, name: str, types: Types) -> ik.Set:
    """A set of any type that the kernel has but a list, with a few entries or with contents left open."""
    made = draw(set_strategies.sets(st.just(name), types=[each for each in types if each != "list:set"], kernel=types))
    if draw(st.integers(0, 4)) == 0:
        return made
    wildcard = made.set_type.revision_of("wildcard") <= types[made.type][1]
    some = draw(st.lists(set_strategies.entries(made, wildcard=wildcard), max_size=6))
    contents = ik.Elements(made)
    for entry in some:
        try:
            added = ik.Elements(made, [entry])
        except ik.InvalidEntry:
            continue
        if without_zero(made, added) and len(added) < 5000:
            contents |= added
    return with_options(made, entries=contents)


@st.composite
def set_lists(draw: st.DrawFn, types: Types) -> list[ik.Set]:
    """Sets, and now and then a list of some of them."""
    names = draw(st.lists(st.sampled_from(NAMES), unique=True))
    found = [draw(filled_sets(name, types)) for name in names]
    if names and "list:set" in types and draw(st.booleans()):
        members = draw(st.lists(st.sampled_from(names), unique=True))
        found.append(ik.Set(LIST, "list:set", entries=members))
    return found


#: That any of the kernels has, and that do not depend on memory or CPUs.
SYSCTLS: dict[str, st.SearchStrategy[Any]] = {
    "expire_nodest_conn": st.booleans(),
    "sloppy_tcp": st.booleans(),
    "sync_retries": st.integers(0, 3),
    "sync_threshold": st.sampled_from([(3, 50), (0, 0), (1, 2)]),
    "conntrack": st.booleans(),
}


@st.composite
def states(draw: st.DrawFn, types: Types, *, ipvs: bool) -> ik.State:
    """Desired states: sets only, or all of it."""
    sets = draw(set_lists(types))
    if not ipvs:
        return ik.State(sets=sets)
    devices = []
    for name in draw(st.lists(st.sampled_from(["vip0", "vip1"]), unique=True)):
        # An IPv6 address is there once, whatever its prefix length.
        addresses = draw(st.lists(st.sampled_from(ADDRESSES), unique=True, max_size=5))
        devices.append(ik.Device(name, up=draw(st.sampled_from([True, False, None])), addresses=addresses))
    timeouts = st.builds(ik.Timeouts, st.integers(1, 900), st.integers(1, 900), st.integers(1, 900))
    return ik.State(
        draw(st.lists(services, unique_by=lambda one: ik.VirtualService.parse(one).key, max_size=4)),
        sets=sets,
        devices=devices,
        sysctls={name: draw(value) for name, value in SYSCTLS.items() if draw(st.booleans())},
        timeouts=draw(st.none() | timeouts),
    )


# --- what is compared ---------------------------------------------------------------------------------------------------------------


def as_listed(of: ik.Set, held: ik.Set) -> ik.Set:
    """`normalise`d, with what it leaves open as it is held: random, or told by a kernel's newest revision only."""
    normal = ik.normalise(of)
    told = {
        name: getattr(held, name)
        for name in ("bucketsize", "initval")
        if getattr(normal, name) is None or getattr(held, name) is None
    }
    return with_options(normal, **told, entries=held.entries if of.entries is None else of.entries)


def references(snapshot: ik.Snapshot) -> dict[str, int]:
    """How many rules and lists refer to each set."""
    return {name: status.references for name, status in snapshot.set_status.items()}


def frozen(snapshot: ik.Snapshot, *, without: Sequence[str] = ()) -> dict[str, Any]:
    """All of a snapshot as values that can be compared: real servers, entries and addresses in any order.

    Link-local addresses are left out, and what sets tell of their hash, which depends on their revision.
    """
    services = {
        key: (one.with_reals(()), frozenset(one.reals)) for key, one in snapshot.services.items() if key is not None
    }
    sets = {
        name: (
            with_options(one, entries=None, hashsize=None, bucketsize=None, initval=None),
            frozenset(map(str, one.entries.copy(_KEPT) if one.entries is not None else ())),
        )
        for name, one in snapshot.sets.items()
    }
    devices = {
        name: (one.kind, one.up, frozenset(each for each in one.addresses if not each.is_link_local))
        for name, one in snapshot.devices.items()
    }
    found = {
        "services": services,
        "sets": sets,
        "devices": devices,
        # Some settings come with the scheduler's module, which stays.
        "sysctls": {name: value for name, value in snapshot.sysctls.items() if name not in LATE_SETTINGS},
        "timeouts": snapshot.timeouts,
        "daemons": dict(snapshot.daemons),
    }
    return {name: value for name, value in found.items() if name not in without}


_KEPT = ("mac", "comment", "skbmark", "skbprio", "skbqueue", "nomatch", "wildcard")


# --- what belongs to others ---------------------------------------------------------------------------------------------------------

FOREIGN_SET = "theirs hash:ip timeout 600 counters comment"


def plant_foreign(kernel: ik.Kernel, namespace: TestNetNS, *, ipvs: bool) -> None:
    """Objects of every kind outside of `SCOPE`."""
    kernel.ipset.create(FOREIGN_SET)
    kernel.ipset.add("theirs", '203.0.113.7 timeout 0 packets 5 bytes 6 comment "mine"')
    kernel.ipset.create(ik.Set("theirs-list", "list:set", entries=["theirs"]))
    kernel.devices.add_addresses("lo", ["127.0.0.9/32", "198.51.100.99/24"]).raise_for_failures()
    if not ipvs:
        return
    kernel.devices.create("dummy9 up=no\n203.0.113.9")
    kernel.ipvs.add_service(ik.VirtualService("203.0.113.1:80/tcp", reals=["10.9.0.1:80", "10.9.0.2:80 weight=0"]))
    kernel.ipvs.add_service(ik.VirtualService("fwmark:4294967295/v4", scheduler="mh", persistence_timeout=60))


def foreign(kernel: ik.Kernel, *, ipvs: bool) -> dict[str, Any]:
    """What `plant_foreign` made, as it is now."""
    found: dict[str, Any] = {
        "sets": [kernel.ipset.save(name) for name in ("theirs", "theirs-list")],
        "lo": kernel.devices.get("lo"),
    }
    if ipvs:
        found["dummy9"] = kernel.devices.get("dummy9")
        found["services"] = [kernel.ipvs.service(key) for key in ("203.0.113.1:80/tcp", "fwmark:4294967295/v4")]
    return found


def converge(kernel: ik.Kernel, state: ik.State, **options: Any) -> ik.Plan:
    """Apply what is different, see that nothing is left to do, and that nothing is done where there is nothing to do."""
    plan = ik.diff(kernel.snapshot(), state, scope=SCOPE, **options).guard(1.0)
    report = kernel.apply(plan)
    refused = [change for change in plan if change.refused is not None]
    if refused:
        # Contents that are to stay and cannot, and sets that a list holds and goes on holding: that is for the user to say.
        assert all("do not fit" in change.reason or "refer to it" in change.reason for change in refused)
        assert len(report.failures) == len(refused)
        other = [
            change.after.replace(entries=[]) if "do not fit" in change.reason else change.before for change in refused
        ]
        return converge(kernel, state.updated(sets=other), **options)
    report.raise_for_failures()
    assert report.converged, str(report)
    left = ik.diff(kernel.snapshot(), state, scope=SCOPE, **options)
    assert not left, f"left of\n{plan}\nis\n{left}"
    return plan


def load_ipv6() -> None:
    """Where IPv6 is a module, a socket loads it."""
    socket.socket(socket.AF_INET6).close()


def check_normal(state: ik.State, snapshot: ik.Snapshot, before: Mapping[str, Any]) -> None:
    """`normalise(x)` is what the kernel lists after x was added, for what was not there before."""
    for key, service in state.services.items():
        if key not in before["services"]:
            held = snapshot.services[key]
            assert ik.normalise(service) == held
            assert [ik.normalise(real) for real in service.reals] == list(held.reals)
    for name, made in state.sets.items():
        if name not in before["sets"]:
            held_set = snapshot.sets[name]
            wanted = as_listed(made, held_set)
            wants, has = with_options(wanted, entries=None), with_options(held_set, entries=None)
            assert wants == has, f"{wants!r}, but it is {has!r}"
            assert wanted.entries.same_as(held_set.entries)
    for name, device in state.devices.items():
        if name not in before["devices"]:
            found = snapshot.devices[name]
            wanted_device = ik.normalise(device)
            assert (wanted_device.kind, wanted_device.up) == (found.kind, found.up)
            assert set(wanted_device.addresses) == {one for one in found.addresses if not one.is_link_local}
