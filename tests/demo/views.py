"""What is on the node, in the layouts of the tools that people look with.

Knows: the layouts of `ip addr`, `ipset list` and `kubectl get services`; ipvsadm's are the package's own. Must not know: what ought to be there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ipvskit import Device, Kernel

__all__ = ["addresses", "indented", "rules_with", "service_list", "set_listing"]


def indented(text: str) -> str:
    """Four columns to the right, as output stands in a text."""
    return "\n".join("    " + line for line in text.splitlines())


def addresses(device: Device) -> str:
    """The addresses of a device as `ip addr show` lists them, without what stands above them."""
    lines = []
    for one in device.addresses:
        kind = "inet" if one.version == 4 else "inet6"
        own = f" {device.name}" if one.version == 4 else " "
        lines += [
            f"    {kind} {one} scope global{own}",
            "       valid_lft forever preferred_lft forever",
        ]
    return "\n".join(lines)


def set_listing(kernel: Kernel, name: str) -> str:
    """A set as `ipset list` shows it, its members in order."""
    held, status = kernel.ipset.get(name), kernel.ipset.set_status(name)
    kind, *options = str(status.set).split("\n")[0].removeprefix(f"{name} ").split(" ")
    lines = [
        f"Name: {name}",
        f"Type: {kind}",
        f"Revision: {status.revision}",
        f"Header: {' '.join(options)}",
        f"Size in memory: {status.memory}",
        f"References: {status.references}",
        f"Number of entries: {status.entries}",
        "Members:",
        *sorted(map(str, held.entries)),
    ]
    return "\n".join(lines)


def rules_with(saved: str, word: str) -> list[str]:
    """The rules of a text of iptables-save that have this word in them."""
    return [line for line in saved.splitlines() if line.startswith("-A ") and word in line]


def service_list(objects: Iterable[Any]) -> str:
    """Services as `kubectl get services -A` lists them, without their ages."""
    rows = [("NAMESPACE", "NAME", "TYPE", "CLUSTER-IP", "EXTERNAL-IP", "PORT(S)")]
    for found in objects:
        if found["kind"] == "Service":
            spec, metadata = found["spec"], found["metadata"]
            ports = ",".join(f"{port['port']}/{port['protocol']}" for port in spec["ports"])
            external = ",".join(spec.get("externalIPs", [])) or "<none>"
            rows.append((metadata["namespace"], metadata["name"], spec["type"], spec["clusterIP"], external, ports))
    widths = [max(map(len, column)) + 3 for column in zip(*rows, strict=True)]
    return "\n".join("".join(map(str.ljust, row, widths)).rstrip() for row in rows)
