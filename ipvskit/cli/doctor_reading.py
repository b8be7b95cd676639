"""Gathering the facts about a host and one of its network namespaces.

Knows: where they are to be had. Must not know: what follows from them.

What cannot be read is left at what `Facts` says of things unknown; only the namespace itself must be there.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ipvskit.cli.doctor_facts import Facts
from ipvskit.errors import IpvskitError, NotSupported, PermissionDenied
from ipvskit.ipvs.availability import CAP_NET_ADMIN
from ipvskit.model.device import DUMMY
from ipvskit.modules import module_state, read

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ipvskit.engine.keys import RealKey
    from ipvskit.kernel import Kernel
    from ipvskit.model.address import IPAddress
    from ipvskit.model.device import Device
    from ipvskit.model.status import ServiceStatus

__all__ = ["read_facts"]

#: Modules whose presence says what can be used; those of schedulers and set types come by themselves.
MODULES = ("ip_vs", "ip_set", "nf_conntrack", "xt_set", "xt_ipvs", "dummy")
_IPTABLES = ("iptables", "iptables-nft", "iptables-legacy")
#: Where administrators' programs are, which the PATH of a service may leave out.
_SBIN = ("/usr/local/sbin", "/usr/sbin", "/sbin")
_PATIENCE = 5.0  # seconds for a program to tell its version
_CONF = "/proc/sys/net/ipv4/conf"


def read_facts(kernel: Kernel, draining: Iterable[RealKey] = ()) -> Facts:
    """Everything that there is to know. Asking for IPVS and for the types of sets makes the kernel load their modules. Raises IpvskitError."""
    values: dict[str, Any] = {"release": os.uname().release, "draining": frozenset(draining)}
    values |= _rights() | _ipvs(kernel) | _ipset(kernel) | _devices(kernel)
    values["modules"] = {name: module_state(name) for name in MODULES}
    values["iptables"] = _iptables()
    values |= _network(kernel, values["devices"], values.get("services", ()))
    return Facts(**values)


def _rights() -> dict[str, Any]:
    status = read(Path("/proc/self/status"))
    effective = next((line.split()[1] for line in status.splitlines() if line.startswith("CapEff:")), "0")
    initial = read(Path("/proc/self/uid_map")).split() == ["0", "0", "4294967295"]
    return {"capable": bool(int(effective, 16) >> CAP_NET_ADMIN & 1), "initial_user_namespace": initial}


def _ipvs(kernel: Kernel) -> dict[str, Any]:
    found: dict[str, Any] = {}
    try:
        ipvs = kernel.ipvs
        found["sysctls"] = ipvs.sysctls.all()
        found["ipvs"] = ipvs.info()
        found |= {"services": tuple(ipvs.status()), "daemons": tuple(ipvs.daemons())}
    except (NotSupported, PermissionDenied) as error:
        found["ipvs_missing"] = str(error)
    return found


def _ipset(kernel: Kernel) -> dict[str, Any]:
    try:
        return {"set_types": kernel.ipset.types()}
    except (NotSupported, PermissionDenied) as error:
        return {"ipset_missing": str(error)}


def _devices(kernel: Kernel) -> dict[str, Any]:
    return {"devices": tuple(kernel.devices.all())}


def _iptables() -> dict[str, str]:
    import shutil

    path = os.pathsep.join([os.environ.get("PATH", ""), *_SBIN])
    return {name: _version(place) for name in _IPTABLES if (place := shutil.which(name, path=path)) is not None}


def _version(program: str) -> str:
    import subprocess

    try:
        said = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=_PATIENCE, check=False)  # noqa: S603
    except (OSError, subprocess.SubprocessError) as error:
        return f"does not run: {error}"
    return said.stdout.strip() or f"does not run: {said.stderr.strip()}"


# --- the network namespace ----------------------------------------------------------------------------------------------------------


def _network(kernel: Kernel, devices: Iterable[Device], services: Iterable[ServiceStatus]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    tracked = _numbers(kernel, "/proc/sys/net/netfilter", ("nf_conntrack_count", "nf_conntrack_max"))
    if len(tracked) == 2:
        found["tracked"] = tuple(tracked.values())
    forwarding = _numbers(kernel, "/proc/sys/net/ipv6/conf/all", ("forwarding",))
    if forwarding:
        found["ipv6_forwarding"] = bool(forwarding["forwarding"])
    # Dummies and lo neither ask nor answer.
    links = [one.name for one in devices if one.up and one.kind != DUMMY and one.name != "lo"]
    for name in ("arp_ignore", "arp_announce"):
        each = _numbers(kernel, _CONF, [f"{link}/{name}" for link in ("all", *links)])
        least = each.pop(f"all/{name}", 0)
        found[name] = {place.rpartition("/")[0]: max(least, value) for place, value in each.items()}
    found["routed"] = _routed(kernel, devices, services)
    return found


def _numbers(kernel: Kernel, folder: str, names: Iterable[str]) -> dict[str, int]:
    """The numbers in files, as far as they can be read."""
    try:
        texts = kernel.netns.read_all(folder, names)
    except OSError:
        return {}
    return {name: int(text) for name, text in texts.items() if isinstance(text, str) and text.strip().isdigit()}


def _routed(kernel: Kernel, devices: Iterable[Device], services: Iterable[ServiceStatus]) -> frozenset[IPAddress]:
    """Addresses of services that are local by a route only: a socket can be bound to them."""
    if _numbers(kernel, "/proc/sys/net/ipv4", ("ip_nonlocal_bind",)).get("ip_nonlocal_bind", 1):
        # Then it can be bound to any address.
        return frozenset()
    held = {address.ip for device in devices for address in device.addresses}
    wanted = {one.key.address for one in services if one.key.address is not None} - held
    return frozenset(address for address in wanted if _bindable(kernel, address))


def _bindable(kernel: Kernel, address: IPAddress) -> bool:
    import socket

    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with kernel.netns.socket(family, socket.SOCK_DGRAM) as sock:
            sock.bind((str(address), 0))
    except (OSError, IpvskitError):
        return False
    return True
