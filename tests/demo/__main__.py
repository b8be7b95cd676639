"""The ClusterIP case: 300 connections to three pods, then one pod drained under load.

    python -m tests.demo          (root, on a kernel with IPVS)

Ends with status 0 if the shares were equal and no connection failed, 1 if not, 2 where there is no IPVS to show.
Knows: the story and what must be true of it. Must not know: how traffic is made, how tables look.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from ipaddress import IPv4Interface
from typing import TYPE_CHECKING

import ipvskit as ik
from tests.demo import tables
from tests.demo.load import Load
from tests.lab.site import eventually
from tests.lab.topology import joined
from tests.lab.traffic import Client, Servers

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.lab.topology import Topology

VIP, PORT, POD_PORT = "10.200.1.216", 9000, 80
PODS = {f"pod-{number}": (IPv4Interface(f"10.10.{number}.2/24"),) for number in (1, 2, 3)}
CONNECTIONS = 300
DEVICE = "kube-ipvs0"
KEY = ik.ServiceKey.parse(f"{VIP}:{PORT}/tcp")
DRAINED = "pod-2"
SECONDS = 60


class Failed(Exception):
    """Something is not as it must be."""


def main() -> int:
    signal.signal(signal.SIGALRM, _too_long)
    signal.alarm(SECONDS)
    started = time.monotonic()
    try:
        with contextlib.ExitStack() as stack:
            with ik.NetNS.create() as fresh, ik.Kernel(fresh) as probe:
                probe.ipvs.info()
            topology, kernel = _prepare(stack)
            client = Client(topology.client.netns)
            _share_out(kernel.ipvs, client)
            _show(kernel.ipvs, topology)
            _drain(kernel.ipvs, client)
    except (ik.IPVSNotAvailable, ik.PermissionDenied) as error:
        print(
            f"demo: {error}\nIn a guest: python -m tests.lab run --env LAB_MODPROBE=ip_vs -- python -m tests.demo",
            file=sys.stderr,
        )
        return 2
    except (Failed, AssertionError, OSError, ik.IpvskitError, subprocess.SubprocessError) as error:
        print("\n".join([f"demo: FAILED: {error}", *getattr(error, "__notes__", [])]), file=sys.stderr)
        return 1
    finally:
        signal.alarm(0)
    print(f"\nAll of it held, in {time.monotonic() - started:.1f} s on Linux {os.uname().release}.")
    return 0


def _too_long(*_: object) -> None:
    raise Failed(f"not done after {SECONDS} s")


def _must(true: bool, otherwise: str) -> None:
    if not true:
        raise Failed(otherwise)


def _prepare(stack: contextlib.ExitStack) -> tuple[Topology, ik.Kernel]:
    print(f"Three pods in three subnets, a client, a director with {VIP}/32 on {DEVICE}: namespaces, gone afterwards.")
    topology = stack.enter_context(joined(PODS, vips=[VIP], device=DEVICE))
    servers = Servers()
    stack.callback(servers.close)
    for pod in topology.reals:
        servers.add(pod.name, pod.netns, pod.address(4), POD_PORT, "tcp")
    stack.enter_context(servers)
    kernel = stack.enter_context(ik.Kernel(topology.director.netns))
    reals = [_real(name) for name in PODS]
    service = ik.VirtualService(KEY, scheduler="rr", reals=reals)
    kernel.ipvs.add_service(service)
    print(f"The service, with one call of ipvskit:\n{_indented(str(service))}")
    return topology, kernel


def _real(name: str) -> ik.RealServer:
    return ik.RealServer(PODS[name][0].ip, POD_PORT)


def _indented(text: str) -> str:
    return "\n".join("    " + line for line in text.splitlines())


def _share_out(ipvs: ik.Ipvs, client: Client) -> None:
    answers = client.count(KEY, CONNECTIONS)
    shares = ", ".join(f"{name} {answers[name]}" for name in PODS)
    print(f"\n{CONNECTIONS} connections to {KEY}. Who answered: {shares}.")
    _must(answers == dict.fromkeys(PODS, CONNECTIONS // len(PODS)), "round robin should have given each pod 100")
    # The kernel refreshes its counters every 2 seconds.
    eventually(lambda: ipvs.service_status(KEY).stats.connections, CONNECTIONS)
    eventually(lambda: [one.stats.connections for one in ipvs.service_status(KEY).reals], [100, 100, 100])


def _show(ipvs: ik.Ipvs, topology: Topology) -> None:
    views: list[tuple[Callable[[ik.Info, list[ik.ServiceStatus]], str], list[str], str]] = [
        (tables.table, ["ipvsadm", "-Ln"], "table"),
        (tables.statistics, ["ipvsadm", "-Ln", "--stats"], "statistics"),
        (tables.rates, ["ipvsadm", "-Ln", "--rate"], "rates"),
    ]
    installed = shutil.which("ipvsadm") is not None
    for view, command, name in views:
        text = view(ipvs.info(), ipvs.status())
        print(f"\n{name.capitalize()}:\n{_indented(text)}")
        # Rates move on between two looks.
        if installed and name != "rates":
            theirs = topology.director.netns.run(command).stdout
            ours = [line.rstrip() for line in text.splitlines()]
            _must(ours == [line.rstrip() for line in theirs.splitlines()], f"`{' '.join(command)}` differs:\n{theirs}")
            print(f"    (the same as `{' '.join(command)}`, character by character)")


def _drain(ipvs: ik.Ipvs, client: Client) -> None:
    real = _real(DRAINED)
    print(f"\n{DRAINED} is to go while clients hold 6 connections and keep making new ones.")
    with client.held(KEY, 6) as lines, Load(client, KEY, "before") as load:
        homes = {line: line.ask() for line in lines}
        _must(sorted(homes.values()) == sorted([*PODS, *PODS]), f"held connections are at {homes.values()}")
        load.reach(50)
        ipvs.update_real(KEY, real, weight=0)
        load.phase("draining")
        load.reach(50)
        staying = _active(ipvs, real)
        print(f"  weight 0: new connections go elsewhere, {DRAINED} keeps the {staying} it has")
        _must(staying == 2, f"{DRAINED} should have 2 active connections, not {staying}")
        _must(all(line.ask() == home for line, home in homes.items()), "a held connection moved")
        for line in [line for line, home in homes.items() if home == DRAINED]:
            line.close()
            del homes[line]
        eventually(lambda: _active(ipvs, real), 0)
        ipvs.delete_real(KEY, real)
        load.phase("deleted")
        print("  its clients hang up, ActiveConn is 0 (closed ones in TIME_WAIT need no waiting for): deleted")
        load.reach(50)
        _must(all(line.ask() == home for line, home in homes.items()), "a held connection moved")
    _report(load)
    _must(load.failures == [], f"{len(load.failures)} connections failed, first: {load.failures[:1]}")
    for phase in ("draining", "deleted"):
        _must(load.answers[phase][DRAINED] == 0, f"{DRAINED} got new connections while {phase}")
    _must(load.answers["before"][DRAINED] > 0, f"{DRAINED} got none even before")
    print(f"\nAfterwards:\n{_indented(tables.table(ipvs.info(), ipvs.status()))}")


def _report(load: Load) -> None:
    for phase, answers in load.answers.items():
        shares = ", ".join(f"{name} {answers[name]}" for name in PODS)
        print(f"  new connections {phase}: {shares}")
    print(f"  {load.total} connections under way, failed: {len(load.failures)}")


def _active(ipvs: ik.Ipvs, real: ik.RealServer) -> int:
    found = ipvs.service_status(KEY).reals
    return next(one.active for one in found if one.real.endpoint == real.endpoint)


if __name__ == "__main__":
    sys.exit(main())
