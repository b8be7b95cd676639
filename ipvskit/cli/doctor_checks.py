"""What follows from facts about a kernel and its settings.

Knows: which settings bite, on which kernels, and what helps. Must not know: where facts come from, how findings are shown.

Each check is a function from facts to findings; `CHECKS` has all of them. A check that does not apply finds nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipvskit.cli.doctor_facts import Finding, Severity
from ipvskit.cli.doctor_services import SERVICE_CHECKS, forwarded
from ipvskit.kube.sysctls import kernel_version
from ipvskit.model.real import ForwardingMethod
from ipvskit.model.sysctl import SYSCTLS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ipvskit.cli.doctor_facts import Facts

__all__ = ["CHECKS", "examine"]

_OK, _NOTE, _WARNING, _PROBLEM = Severity.OK, Severity.NOTE, Severity.WARNING, Severity.PROBLEM
_DIRECT = (ForwardingMethod.DIRECT_ROUTE, ForwardingMethod.TUNNEL)
#: From here on a client that uses a port again is rescheduled without a lost packet.
_REUSE_FIXED = (5, 9)
#: From here on the connection table grows by itself.
_TABLE_GROWS = (7, 0)
#: Connections in each bucket of the table from which on looking one up takes time.
_CROWDED = 8
#: The share of tracked flows from which on it is called nearly full.
_NEARLY = 0.9


def examine(facts: Facts) -> list[Finding]:
    """All findings, the worst first."""
    found = [one for check in CHECKS for one in check(facts)]
    return sorted(found, key=lambda one: -one.severity.rank)


def setting(name: str, value: object) -> str:
    """The command that sets one."""
    return f"sysctl -w {SYSCTLS[name].full_name}={value}"


def _is(facts: Facts, name: str) -> str:
    value = facts.sysctls[name]
    return f"{SYSCTLS[name].full_name} is {int(value) if isinstance(value, bool) else value}"


# --- the kernel and the right to use it ---------------------------------------------------------------------------------------------


def _capability(facts: Facts) -> Iterator[Finding]:
    why = "IPVS answers only who has CAP_NET_ADMIN in the initial user namespace, even when it is only asked."
    if not facts.capable:
        what = "this process does not have CAP_NET_ADMIN"
        yield Finding(_PROBLEM, "capability", what, why, "sudo ipvskit doctor")
    elif not facts.initial_user_namespace:
        what = "this process has CAP_NET_ADMIN only in a user namespace of its own (a rootless container)"
        yield Finding(_PROBLEM, "capability", what, why + " Run it as root of the host.")
    else:
        yield Finding(_OK, "capability", "this process has CAP_NET_ADMIN in the initial user namespace")


def _ipvs(facts: Facts) -> Iterator[Finding]:
    if facts.ipvs is not None:
        version = ".".join(map(str, facts.ipvs.version))
        yield Finding(_OK, "ipvs", f"the kernel has IPVS {version}")
    elif facts.ipvs_missing:
        why = "There is no load balancer that could be used here."
        fix = _loading(facts, "ip_vs")
        yield Finding(_PROBLEM, "ipvs", facts.ipvs_missing, why, fix)


def _loading(facts: Facts, module: str) -> str:
    """What loads a module that is there; where a right is missing that would not help."""
    return f"modprobe {module}" if facts.capable and facts.modules.get(module) == "present" else ""


def _ipset(facts: Facts) -> Iterator[Finding]:
    if facts.set_types is not None:
        yield Finding(_OK, "ipset", f"the kernel has ipset with {len(facts.set_types)} types of sets")
    elif facts.ipset_missing:
        why = "Block and allow lists cannot be kept here."
        yield Finding(_NOTE, "ipset", facts.ipset_missing, why, _loading(facts, "ip_set"))


def _tracked(facts: Facts) -> Iterator[Finding]:
    if facts.tracked is None:
        return
    now, most = facts.tracked
    if most and now >= most * _NEARLY:
        why = "When the table is full, packets of new flows are dropped, those to services included."
        fix = f"sysctl -w net.netfilter.nf_conntrack_max={2 * most}"
        yield Finding(_WARNING, "tracked-flows", f"{now} of at most {most} flows are tracked", why, fix)
    else:
        yield Finding(_OK, "tracked-flows", f"{now} of at most {most} flows are tracked")


def _table_size(facts: Facts) -> Iterator[Finding]:
    version = kernel_version(facts.release)
    if facts.ipvs is None or version is None or version >= _TABLE_GROWS:
        return
    size = facts.ipvs.connection_table_size
    held = sum(real.active + real.inactive for one in facts.services for real in one.reals)
    if size and held > size * _CROWDED:
        bits = min(20, max(13, held.bit_length()))
        what = f"{held} connections share {size} buckets"
        why = "Every packet walks along the list of its bucket. The size is set when the module is loaded."
        fix = f"echo options ip_vs conn_tab_bits={bits} > /etc/modprobe.d/ip_vs.conf"
        yield Finding(_WARNING, "connection-table", what, why, fix)
    else:
        yield Finding(_OK, "connection-table", f"{held} connections in {size} buckets")


# --- settings -----------------------------------------------------------------------------------------------------------------------


def _conntrack(facts: Facts) -> Iterator[Finding]:
    value = facts.sysctls.get("conntrack")
    if value is False and forwarded(facts, (ForwardingMethod.MASQUERADE,)):
        why = (
            "Connections through IPVS are not tracked: firewall rules that look at states do not know them, and SNAT or MASQUERADE"
            " rules do not change them. Needed where either is used; it costs memory for each connection."
        )
        yield Finding(_NOTE, "conntrack", _is(facts, "conntrack"), why, setting("conntrack", 1))
    elif value is not None:
        yield Finding(_OK, "conntrack", _is(facts, "conntrack"))


def _reuse(facts: Facts) -> Iterator[Finding]:
    mode, version = facts.sysctls.get("conn_reuse_mode"), kernel_version(facts.release)
    if mode is None or version is None:
        return
    loses = version < _REUSE_FIXED and facts.sysctls.get("conntrack") is True
    if loses and mode:
        why = (
            "On kernels before 5.9 with conntrack=1, a client that uses a port again has its first packet dropped and waits a second."
            " With 0 it goes where the port's last connection went, even to a real server with weight 0."
        )
        yield Finding(_WARNING, "conn-reuse-mode", _is(facts, "conn_reuse_mode"), why, setting("conn_reuse_mode", 0))
    elif not mode and not loses:
        why = (
            "A client that uses a port again goes where the port's last connection went: to a real server with weight 0, which then never"
            " drains, or to none."
        )
        yield Finding(_WARNING, "conn-reuse-mode", _is(facts, "conn_reuse_mode"), why, setting("conn_reuse_mode", 1))
    else:
        yield Finding(_OK, "conn-reuse-mode", _is(facts, "conn_reuse_mode"))


def _no_destination(facts: Facts) -> Iterator[Finding]:
    value = facts.sysctls.get("expire_nodest_conn")
    if value is False and facts.services:
        why = (
            "Packets of connections whose real server was deleted are dropped without a word, until the client gives up. With 1 TCP clients get"
            " a reset and UDP goes to another real server; a real server that is deleted and added again then loses its connections."
        )
        yield Finding(
            _WARNING, "expire-nodest-conn", _is(facts, "expire_nodest_conn"), why, setting("expire_nodest_conn", 1)
        )
    elif value is not None:
        yield Finding(_OK, "expire-nodest-conn", _is(facts, "expire_nodest_conn"))


def _templates(facts: Facts) -> Iterator[Finding]:
    name = "expire_quiescent_template"
    persistent = [str(one.key) for one in facts.services if one.service.persistence_timeout]
    if facts.sysctls.get(name) is False and persistent:
        why = (
            "Services with persistence send clients that they know to their real server even when it has weight 0, and that keeps the"
            " assignment alive: it never drains."
        )
        yield Finding(_WARNING, "expire-quiescent-template", _is(facts, name), why, setting(name, 1), tuple(persistent))
    elif facts.sysctls.get(name) is not None:
        yield Finding(_OK, "expire-quiescent-template", _is(facts, name))


def _estimation(facts: Facts) -> Iterator[Finding]:
    why = "Counters and rates of services and real servers stand still: top, metrics and schedulers of your own see nothing."
    if facts.sysctls.get("run_estimation") is False:
        yield Finding(_WARNING, "estimation", _is(facts, "run_estimation"), why, setting("run_estimation", 1))
    elif facts.sysctls.get("est_cpulist") == "":
        what = f"{SYSCTLS['est_cpulist'].full_name} names no CPU"
        yield Finding(_WARNING, "estimation", what, why, f'sysctl -w {SYSCTLS["est_cpulist"].full_name}="0"')
    elif facts.ipvs is not None:
        yield Finding(_OK, "estimation", "counters and rates are kept up to date")


def _sloppy(facts: Facts) -> Iterator[Finding]:
    value = facts.sysctls.get("sloppy_tcp")
    direct = forwarded(facts, _DIRECT, protocol="tcp")
    if value is False and direct and not facts.daemons:
        why = (
            "A director that takes over resets the TCP connections that it has not seen begin. With 1 it schedules them anew, which keeps them"
            " where the scheduler chooses by the client (sh, mh); a sync daemon keeps them with every scheduler."
        )
        yield Finding(_NOTE, "sloppy-tcp", _is(facts, "sloppy_tcp"), why, setting("sloppy_tcp", 1), direct)
    elif value is True and forwarded(facts, (ForwardingMethod.MASQUERADE,), protocol="tcp"):
        why = "Any stray TCP packet makes a connection, those of port scans and of connections that are over included."
        yield Finding(_NOTE, "sloppy-tcp", _is(facts, "sloppy_tcp"), why, setting("sloppy_tcp", 0))
    elif value is not None:
        yield Finding(_OK, "sloppy-tcp", _is(facts, "sloppy_tcp"))


#: Every check.
CHECKS: tuple[Callable[[Facts], Iterator[Finding]], ...] = (
    _capability,
    _ipvs,
    _ipset,
    _tracked,
    _table_size,
    _conntrack,
    _reuse,
    _no_destination,
    _templates,
    _estimation,
    _sloppy,
    *SERVICE_CHECKS,
)
