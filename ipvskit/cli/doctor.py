"""`ipvskit doctor`: what this kernel has, and what will bite.

    ipvskit doctor
    ipvskit -n director doctor --json

Knows: how findings are shown. Must not know: what is looked at (`doctor_checks`), how (`doctor_reading`).
"""

from __future__ import annotations

import json
import shutil
import textwrap
from collections import Counter
from typing import TYPE_CHECKING, Any

from ipvskit.cli.common import kernel_of, netns_of, say
from ipvskit.cli.main import DONE, ERROR

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator, Sequence

    from ipvskit.cli.doctor_facts import Facts, Finding

__all__ = ["configure", "run"]

_INDENT = 9
_WIDEST = 110


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--json", action="store_true", help="for machines: the kernel, and all findings")
    parser.add_argument("-q", "--quiet", action="store_true", help="only what is not in order")
    parser.add_argument("--ledger", metavar="FILE", help="a controller's ledger: what it drains is no finding")


def run(options: argparse.Namespace) -> int:
    """Look; returns 1 where there is a warning or a problem, 0 otherwise."""
    from ipvskit.cli.doctor_checks import examine
    from ipvskit.cli.doctor_facts import Severity
    from ipvskit.cli.doctor_reading import read_facts
    from ipvskit.engine.ledger import Ledger

    draining = Ledger(options.ledger).draining if options.ledger else ()
    with kernel_of(options) as kernel:
        facts = read_facts(kernel, draining)
    findings = examine(facts)
    inside = prefix(netns_of(options))
    if options.json:
        say(json.dumps(document(facts, findings, inside), indent=2))
    else:
        shown = [one for one in findings if not options.quiet or one.severity.rank > 0]
        say("\n".join(report(facts, shown, inside, options.quiet)))
    return ERROR if any(one.severity.rank >= Severity.WARNING.rank for one in findings) else DONE


def prefix(netns: str | int | None) -> tuple[str, ...]:
    """What goes in front of a command so that it runs in a network namespace."""
    if netns is None:
        return ()
    if isinstance(netns, int):
        return ("nsenter", "--net", "--target", str(netns))
    return ("nsenter", f"--net={netns}") if "/" in netns else ("ip", "netns", "exec", netns)


def command(fix: str, inside: Sequence[str]) -> str:
    """A finding's command as it is to be typed: settings and addresses are those of a namespace, modules are the host's."""
    if fix.startswith(("sysctl ", "ip ", "ipvskit ")):
        return " ".join([*inside, fix])
    return fix


# --- for machines -------------------------------------------------------------------------------------------------------------------


def document(facts: Facts, findings: Iterable[Finding], inside: Sequence[str] = ()) -> dict[str, Any]:
    """What `--json` prints."""
    info = facts.ipvs
    return {
        "kernel": {
            "release": facts.release,
            "ipvs": info and {"version": list(info.version), "connection_table_size": info.connection_table_size},
            "set_types": facts.set_types and {name: list(revisions) for name, revisions in facts.set_types.items()},
            "tracked_flows": facts.tracked and {"now": facts.tracked[0], "most": facts.tracked[1]},
            "iptables": dict(facts.iptables),
            "modules": dict(facts.modules),
        },
        "rights": {"net_admin": facts.capable, "initial_user_namespace": facts.initial_user_namespace},
        "sysctls": dict(facts.sysctls) | {"ipv6_forwarding": facts.ipv6_forwarding},
        "findings": [one.to_dict() | {"fix": command(one.fix, inside)} for one in findings],
    }


# --- for people ---------------------------------------------------------------------------------------------------------------------


def report(facts: Facts, findings: Sequence[Finding], inside: Sequence[str] = (), quiet: bool = False) -> list[str]:
    """The lines that are printed."""
    width = min(_WIDEST, max(40, shutil.get_terminal_size().columns))
    lines = [] if quiet else [*_kernel(facts, width), ""]
    for one in findings:
        lines += _finding(one, inside, width)
    counts = Counter(str(one.severity) for one in findings)
    told = [
        f"{counts[name]} {name}{'s' if counts[name] > 1 else ''}"
        for name in ("problem", "warning", "note")
        if counts[name]
    ]
    return [*lines, *(() if quiet and not findings else ("",)), ", ".join(told) or "nothing to worry about"]


def _kernel(facts: Facts, width: int) -> Iterator[str]:
    info = facts.ipvs
    size = f", connection table of {info.connection_table_size} buckets" if info else ""
    types = facts.set_types or {}
    parts = {
        "kernel": facts.release,
        "IPVS": ".".join(map(str, info.version)) + size if info else "none",
        "sets": ", ".join(f"{name} {low}-{high}" for name, (low, high) in sorted(types.items())) or "none",
        "flows": "{} tracked, at most {}".format(*facts.tracked) if facts.tracked else "not tracked",
        "iptables": ", ".join(f"{name} ({said})" for name, said in facts.iptables.items()) or "none",
        "modules": ", ".join(f"{name} {state}" for name, state in facts.modules.items()),
    }
    for name, text in parts.items():
        yield from _wrapped(f"{name:{_INDENT}}", text, width)


def _finding(one: Finding, inside: Sequence[str], width: int) -> Iterator[str]:
    yield from _wrapped(f"{one.severity!s:{_INDENT}}", one.what, width)
    if one.why:
        yield from _wrapped(" " * _INDENT, one.why, width)
    if one.fix:
        # Not wrapped: it is to be copied.
        yield f"{' ' * _INDENT}$ {command(one.fix, inside)}"


def _wrapped(head: str, text: str, width: int) -> list[str]:
    return textwrap.wrap(
        text,
        width,
        initial_indent=head,
        subsequent_indent=" " * _INDENT,
        break_long_words=False,
        break_on_hyphens=False,
    )
