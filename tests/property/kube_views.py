"""What `kube.translate` found, as the plain data of an expectation.

Knows: the public names of `ipvskit.kube`. Must not know: what should be in there.
"""

from __future__ import annotations

from ipvskit import Family, State, VirtualService, kube
from tests.property.kube_expected import SETS, Expected, Pass, Real, Virtual, set_names

__all__ = ["VERSIONS", "VERSION_OF", "compared", "differences", "view"]

VERSIONS = {4: Family.IPV4, 6: Family.IPV6}
VERSION_OF = {family: version for version, family in VERSIONS.items()}
_TYPES = {name: kind for row in SETS for name, kind in ((row[0], row[2]), (row[1], row[2]))}


def view(found: kube.NodeState) -> Expected:
    """Everything of it that an expectation has."""
    passes = {VERSION_OF[family]: _pass(each) for family, each in found.items()}
    health: dict[tuple[str, str], tuple[int, int]] = {}
    losers, refused = set(), set()
    for each in found.values():
        for check in each.health_checks:
            before = health.get((check.namespace, check.name), (0, 0))[1]
            health[check.namespace, check.name] = check.port, before + check.local_endpoints
        for told in each.diagnostics:
            about = told.about.removeprefix("Service ")
            if told.code == kube.Code.CONFLICT:
                losers.add(about)
            if told.code in {kube.Code.REFUSED_EXTERNAL_IP, kube.Code.REFUSED_INGRESS_IP}:
                refused.add(about)
    return Expected(passes, health, losers, refused)


def _pass(found: kube.FamilyState) -> Pass:
    version = VERSION_OF[found.family]
    state = found.state
    services = {str(key): _virtual(each) for key, each in state.services.items()}
    for key, seconds in found.drains.items():
        services[str(key)].drain = seconds
    bound = [address.ip for address in state.devices["kube-ipvs0"].addresses]
    return Pass(
        services,
        {name: entries(state, name) for name in set_names(version).values()},
        {str(ip) for ip in bound if ip.version == version},
        {f"{drop.address},{drop.protocol}:{drop.port}" for drop in found.drops},
    )


def _virtual(one: VirtualService) -> Virtual:
    reals = {real.endpoint: Real(real.weight, str(real.forwarding)) for real in one.reals}
    return Virtual(one.scheduler, set(one.scheduler_flags), one.persistence_timeout, None, reals)


def entries(state: State, name: str) -> set[str]:
    """The entries of a set as they are written; networks always have their length."""
    found = {str(entry) for entry in state.sets[name].entries}
    if _TYPES[name] != "hash:ip,port,net":
        return found
    bits = "/128" if name.startswith("KUBE-6-") else "/32"
    return {entry if "/" in entry else entry + bits for entry in found}


def compared(one: Expected) -> dict[str, object]:
    """Everything by its name, for comparisons whose failures can be read."""
    rows: dict[str, object] = {"health checks": one.health, "losers": one.losers}
    for version, family in one.passes.items():
        rows |= {f"IPv{version} service {key}": each for key, each in family.services.items()}
        rows |= {f"set {name}": held for name, held in family.sets.items()}
        rows |= {f"IPv{version} addresses": family.bound, f"IPv{version} drops": family.drops}
    return rows


def differences(found: Expected, wanted: Expected) -> dict[str, tuple[object, object]]:
    """What is found and what is wanted, where it is not the same."""
    have, want = compared(found), compared(wanted)
    return {name: (have.get(name), want.get(name)) for name in have | want if have.get(name) != want.get(name)}
