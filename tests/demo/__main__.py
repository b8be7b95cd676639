"""The walk-through of kube-proxy's IPVS mode, by ipvskit: from manifests to traffic.

    python -m tests.demo          (root, on a kernel with IPVS)

Ends with status 0 if all of it held, 1 if something was not so, 2 where there is no IPVS to show. Where a kernel has no tables for iptables, what
needs rules is left out, and said.
Knows: the story and what must be true of it. Must not know: how traffic is made, how tables look.
"""

from __future__ import annotations

import copy
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import ipvskit as ik
from ipvskit import kube
from ipvskit.cli.ipvsadm import tables
from tests.demo import setting, views
from tests.demo.load import Load, request
from tests.demo.views import indented
from tests.lab.site import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.demo.setting import Setting

VIP = "10.200.1.245:9000/tcp"
PODS = ("clusterip-1", "clusterip-2", "clusterip-3")
REQUESTS = 300
EXTERNAL = ("192.168.10.101:9000/tcp", "192.168.10.102:9000/tcp")
SET = "KUBE-CLUSTER-IP"
MEMBERS = {
    "10.200.1.1,tcp:443",
    "10.200.1.10,tcp:53",
    "10.200.1.10,udp:53",
    "10.200.1.10,tcp:9153",
    "10.200.1.245,tcp:9000",
}
DRAINED = "clusterip-2"
HELD = 6
SECONDS = 240


class Failed(Exception):
    """Something is not as it must be."""


def main() -> int:
    signal.signal(signal.SIGALRM, _too_long)
    signal.alarm(SECONDS)
    started = time.monotonic()
    try:
        with ik.NetNS.create() as fresh, ik.Kernel(fresh) as probe:
            probe.ipvs.info()
        with setting.opened() as given:
            _tell(given)
            lacks = given.lacks
    except (ik.IPVSNotAvailable, ik.PermissionDenied) as error:
        print(
            f"demo: {error}\nIn a guest: python -m tests.lab run --kernel iptables -- python -m tests.demo",
            file=sys.stderr,
        )
        return 2
    except (Failed, AssertionError, OSError, ik.IpvskitError, subprocess.SubprocessError) as error:
        print("\n".join([f"demo: FAILED: {error}", *getattr(error, "__notes__", [])]), file=sys.stderr)
        return 1
    finally:
        signal.alarm(0)
    seconds = f"{time.monotonic() - started:.1f} s on Linux {os.uname().release}"
    if lacks:
        print(f"\nAll that could be shown held, in {seconds}. What needs rules could not: {lacks}.")
    else:
        print(f"\nAll of it held, in {seconds}.")
    return 0


def _too_long(*_: object) -> None:
    raise Failed(f"not done after {SECONDS} s")


def _must(true: bool, otherwise: str) -> None:
    if not true:
        raise Failed(otherwise)


def _chapter(title: str, text: str = "") -> None:
    print(f"\n--- {title}\n" + (f"\n{indented(text)}" if text else ""), flush=True)


def _tell(given: Setting) -> None:
    print(
        "Three nodes in 172.18.0.0/16 with pods in 10.10.0.0/16, Services in 10.200.1.0/24, and a client outside, 172.18.0.100: network namespaces,"
        "\ngone afterwards. ipvskit looks after node-1, on which the net-pod is as well."
    )
    if given.lacks:
        print(f"What needs rules is left out: {given.lacks}.")
    before = _state(given.kernel)
    _apply_manifests(given)
    _show_device(given)
    _show_table(given, "The virtual services", tables.table, ["ipvsadm", "-Ln"])
    _show_set(given)
    _show_rules(given)
    _share_out(given)
    _external(given)
    made = REQUESTS + _drain(given)
    # The kernel refreshes its counters every two seconds.
    eventually(lambda: given.kernel.ipvs.service_status(VIP).stats.connections, made)
    _show_table(given, "What was counted", tables.statistics, ["ipvsadm", "-Ln", "--stats"])
    _clean_up(given, before)


# --- from manifests to the kernel -------------------------------------------------------------------------------------------------------------------


def _apply_manifests(given: Setting) -> None:
    objects = setting.manifests("kubernetes", "kube-dns", "svc-clusterip")
    _chapter("Services, from manifests", views.service_list(objects))
    given.proxy.tracker.resync(objects)
    report = given.proxy.sync()
    report.raise_for_failures()
    print(f"\nThe first sync: {report}.")
    told = given.proxy.tracker.states().diagnostics
    _must(not told, f"nothing should have been told: {told}")
    plan = given.proxy.plan()
    _must(not plan, f"nothing should be left to do:\n{plan}")


def _show_device(given: Setting) -> None:
    device = given.kernel.devices.get(kube.DEVICE)
    text = views.addresses(device)
    _chapter(f"{kube.DEVICE}: a dummy device that stays down, its addresses make the node take packets for them", text)
    wanted = ["10.200.1.1/32", "10.200.1.10/32", "10.200.1.245/32"]
    _must(sorted(map(str, device.addresses)) == wanted, f"{kube.DEVICE} should have {wanted}")
    _must((device.kind, device.up) == ("dummy", False), f"{kube.DEVICE} should be a dummy device that is down")
    _compare(given, ["ip", "addr", "show", kube.DEVICE], lambda: text, skip=2)


def _show_table(
    given: Setting, title: str, view: Callable[[ik.Info, list[ik.ServiceStatus]], str], command: Sequence[str]
) -> None:
    ipvs = given.kernel.ipvs

    def text() -> str:
        return view(ipvs.info(), ipvs.status())

    _chapter(title, text())
    _compare(given, command, text)


def _compare(given: Setting, command: Sequence[str], text: Callable[[], str], skip: int = 0) -> None:
    """With what the tool prints, from its line `skip` on, where it is installed."""
    if shutil.which(command[0]) is None:
        return
    for _ in range(10):
        ours = _lines(text())
        theirs = _lines(given.kernel.netns.run(command).stdout)[skip:]
        if ours == theirs:
            print(f"    (the same as `{' '.join(command)}`)")
            return
        # Counters are refreshed every two seconds, and closed connections end.
    _must(False, f"`{' '.join(command)}` differs:\n" + "\n".join(theirs))


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.splitlines()]


def _show_set(given: Setting) -> None:
    text = views.set_listing(given.kernel, SET)
    _chapter("The set of cluster IPs", text)
    held = given.kernel.ipset.get(SET)
    _must(set(map(str, held.entries)) == MEMBERS, f"{SET} should have exactly {' '.join(sorted(MEMBERS))}")
    if shutil.which("ipset") is not None:
        head, members = given.kernel.netns.run(["ipset", "list", SET]).stdout.split("Members:\n")
        theirs = "\n".join([*head.splitlines(), "Members:", *sorted(members.split())])
        _must(text == theirs, f"`ipset list {SET}` differs:\n{theirs}")
        print(f"    (the same as `ipset list {SET}`, which does not sort members)")


def _show_rules(given: Setting) -> None:
    if given.variant is None:
        return
    saved = given.saved()
    ours = views.rules_with(saved, "KUBE-")
    _chapter("The rules, as iptables-save has them", "\n".join(ours))
    using = views.rules_with(saved, f"--match-set {SET} ")
    references = given.kernel.ipset.set_status(SET).references
    print(f"\n{len(ours)} rules, however many Services there are; {len(using)} of them use {SET}.")
    _must(len(using) == references > 0, f"the kernel counts {references} references to {SET}")


# --- traffic ----------------------------------------------------------------------------------------------------------------------------------------


def _share_out(given: Setting) -> None:
    _chapter(f"The net-pod makes {REQUESTS} requests to {VIP}")
    heard = [request(given.pod, VIP) for _ in range(REQUESTS)]
    answers = dict(sorted(Counter(one.name for one in heard).items()))
    print("".join(f"    {name}: {count}\n" for name, count in answers.items()), end="")
    _must(answers == dict.fromkeys(PODS, REQUESTS // len(PODS)), "round robin should have given each pod 100")
    source = str(given.cluster.host(setting.NET_POD).address(4))
    seen = {one.source for one in heard}
    print(f"The pods see {', '.join(seen)}: pods keep their addresses.")
    _must(seen == {source}, f"they should have seen {source}")
    asked = {given.pod.ask("10.200.1.10:53/udp") for _ in range(2)}
    print(f"kube-dns by UDP: {', '.join(sorted(asked))}.")
    _must(asked == {"coredns-1", "coredns-2"}, "both should have answered")


def _external(given: Setting) -> None:
    objects = setting.manifests("svc-externalip")
    _chapter("A Service with external IPs is added", views.service_list(objects))
    for found in objects:
        given.proxy.tracker.event({"type": "ADDED", "object": found})
    report = given.proxy.sync()
    report.raise_for_failures()
    print(f"\nThe sync: {report}.")
    bound = {str(one.ip) for one in given.kernel.devices.get(kube.DEVICE).addresses}
    _must({"192.168.10.101", "192.168.10.102"} < bound, f"{kube.DEVICE} should have the external IPs")
    if given.variant is None:
        return
    for target in EXTERNAL:
        answers = sorted({given.outside.visit(target) for _ in range(2)})
        print(f"    172.18.0.100 asks {target}: " + ", ".join(map(str, answers)))
        wanted = [(name, str(given.cluster.masqueraded(name))) for name in ("externalip-1", "externalip-2")]
        _must(answers == wanted, f"the pods should have seen the node: {wanted}")
    print("They see node-1, by its address on the link that leads to them: the way back is the way that it came.")


def _drain(given: Setting) -> int:
    """Take a pod away under load; returns how many connections were made."""
    _chapter(f"{DRAINED} is to go while clients hold {HELD} connections and keep making requests")
    with given.pod.held(VIP, HELD) as lines, Load(given.pod, VIP, "before") as load:
        homes = {line: line.ask() for line in lines}
        _must(sorted(homes.values()) == sorted([*PODS, *PODS]), f"held connections are at {sorted(homes.values())}")
        load.reach(50)
        report = _slice_event(given, ready=False)
        load.phase("draining")
        for each in report.draining:
            print(f"  terminating: weight 0; {each}")
        _must(_weights(given)[DRAINED] == 0, f"{DRAINED} should have weight 0")
        _must(report.requeue_after is not None, "the report should say when to look again")
        load.reach(50)
        _must(all(line.ask() == home for line, home in homes.items()), "a held connection moved")
        eventually(lambda: given.kernel.ipvs.service_status(VIP).stats.connection_rate > 0, True)
        print(f"\nRates meanwhile:\n\n{indented(tables.rates(given.kernel.ipvs.info(), given.kernel.ipvs.status()))}\n")
        for line in [line for line, home in homes.items() if home == DRAINED]:
            line.close(reset=True)
            del homes[line]
        since = time.monotonic()
        while report.requeue_after is not None:
            _must(time.monotonic() - since < 30, f"{DRAINED} should be gone: {report.draining}")
            time.sleep(report.requeue_after)
            report = given.proxy.sync()
            report.raise_for_failures()
        load.phase("deleted")
        print(
            f"  its clients hang up, {time.monotonic() - since:.0f} s later the last connection is forgotten: deleted"
        )
        _must(sorted(_weights(given)) == ["clusterip-1", "clusterip-3"], f"{DRAINED} should be gone")
        _must(_slice_event(given, ready=None).counts().get("done", 0) == 0, "nothing should have been left to do")
        load.reach(50)
        _must(all(line.ask() == home for line, home in homes.items()), "a held connection moved")
    _judge(load)
    return HELD + load.total


def _slice_event(given: Setting, *, ready: bool | None) -> kube.SyncReport:
    """As the slice changes when the pod is deleted: first it is terminating, then it is not in the slice any more."""
    (found,) = (each for each in setting.manifests("svc-clusterip") if each["kind"] == "EndpointSlice")
    changed: dict[str, Any] = copy.deepcopy(found)
    (endpoint,) = (each for each in changed["endpoints"] if each["targetRef"]["name"] == DRAINED)
    if ready is None:
        changed["endpoints"].remove(endpoint)
    else:
        endpoint["conditions"] = {"ready": ready, "serving": True, "terminating": True}
    given.proxy.tracker.event({"type": "MODIFIED", "object": changed})
    report = given.proxy.sync()
    report.raise_for_failures()
    return report


def _weights(given: Setting) -> dict[str, int]:
    """The weights of real servers, by the names of their pods."""
    names = {pod.address(4): pod.name for pod in given.cluster.pods}
    return {names[real.address]: real.weight for real in given.kernel.ipvs.reals(VIP)}


def _judge(load: Load) -> None:
    for phase, answers in load.answers.items():
        print(f"  requests {phase}: " + ", ".join(f"{name} {answers[name]}" for name in PODS))
    print(f"  {load.total} requests under way, failed: {len(load.failures)}")
    _must(load.failures == [], f"{len(load.failures)} requests failed, first: {load.failures[:1]}")
    for phase in ("draining", "deleted"):
        _must(load.answers[phase][DRAINED] == 0, f"{DRAINED} got new connections while {phase}")
    _must(load.answers["before"][DRAINED] > 0, f"{DRAINED} got none even before")


# --- the end ----------------------------------------------------------------------------------------------------------------------------------------


def _state(kernel: ik.Kernel) -> tuple[object, ...]:
    """What is on the node of services, sets and devices."""
    return kernel.ipvs.services(), kernel.ipset.names(), kernel.devices.all()


def _clean_up(given: Setting, before: tuple[object, ...]) -> None:
    _chapter("kube.cleanup")
    report = kube.cleanup(given.kernel, given.config)
    report.raise_for_failures()
    print(indented(str(report)))
    _must(_state(given.kernel) == before, f"the node should be as before: {_state(given.kernel)}")
    left = [line for line in given.saved().splitlines() if "KUBE-" in line]
    _must(left == [], f"rules and chains are left: {left}")
    _must(given.pod.outcome(VIP) in {"refused", "dropped", "unreachable"}, f"{VIP} should not answer any more")
    print("\nNo virtual service, no set, no device, no rule is left; nobody answers at the cluster IP.")


if __name__ == "__main__":
    sys.exit(main())
