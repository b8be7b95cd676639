"""`ipvskit kube`: a node's IPVS state from Services and EndpointSlices.

    ipvskit kube state -f manifests/ --node node.json
    ipvskit kube plan  -f - --node node.json --config kube-proxy.yaml
    ipvskit kube apply -f manifests/ --node node.json
    ipvskit kube cleanup

Knows: options, what is printed. Must not know: how anything is translated or applied.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ipvskit.cli.common import netns_of
from ipvskit.cli.main import DONE, ERROR, PENDING
from ipvskit.cli.progress import Progress

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable

    from ipvskit.kube.assembling import NodeState
    from ipvskit.kube.config import Config
    from ipvskit.kube.diagnostics import Diagnostic
    from ipvskit.kube.node import Node
    from ipvskit.kube.proxy import Proxy

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, (what, _) in _ACTIONS.items():
        one = actions.add_parser(name, help=what, description=what[:1].upper() + what[1:] + ".", allow_abbrev=False)
        if name != "cleanup":
            one.add_argument(
                "-f", "--file", action="append", required=True, metavar="FILE",
                help="objects in JSON or YAML, as `kubectl get svc,endpointslices -A -o json` writes them: a file, a folder, or - (may be repeated)",
            )  # fmt: skip
            one.add_argument(
                "--node", required=True, metavar="NODE.json",
                help="the node: as the API serves it, or with name, addresses by interface, labels",
            )  # fmt: skip
        one.add_argument(
            "--config", metavar="CONFIG.yaml", help="a KubeProxyConfiguration (default: kube-proxy's defaults)"
        )
        if name != "cleanup":
            one.add_argument("--family", choices=["ipv4", "ipv6"], help="one family only (default: both)")
        if name in {"plan", "apply"}:
            one.add_argument(
                "--max-deletes", type=_share, default=1.0, metavar="N", help="refuse to delete more: a number of objects, or a share such as 0.25"
            )  # fmt: skip
        if name != "state":
            one.add_argument("--json", action="store_true", help="for machines")
        if name == "apply":
            one.add_argument(
                "--ledger", metavar="FILE", help="remembers since when real servers drain, beyond this run"
            )


def run(options: argparse.Namespace) -> int:
    """Do it; returns the exit status: with `plan` 2 when there is something to do."""
    return _ACTIONS[options.action][1](options)


def _share(text: str) -> float | int:
    return float(text) if "." in text else int(text)


# --- what all have in common --------------------------------------------------------------------------------------------------------


def _config(options: argparse.Namespace) -> Config:
    from ipvskit.kube.config import Config
    from ipvskit.kube.files import read_config
    from ipvskit.model.address import Family

    config = read_config(options.config) if options.config else Config()
    family = getattr(options, "family", None)
    return replace(config, families=(Family(family),)) if family else config


def _given(options: argparse.Namespace) -> tuple[list[Any], Node]:
    from ipvskit.kube.files import read_node, read_objects

    with Progress("reading"):
        return read_objects(options.file), read_node(options.node)


def _print(text: str) -> None:
    sys.stdout.write(text + "\n")


def _tell(found: Iterable[Diagnostic]) -> None:
    for each in found:
        print(f"ipvskit: {each}", file=sys.stderr)  # noqa: T201 - findings go beside the output


# --- actions ------------------------------------------------------------------------------------------------------------------------


def _state(options: argparse.Namespace) -> int:
    from ipvskit.formats import write_json_pieces
    from ipvskit.kube.translation import translate

    objects, node = _given(options)
    with Progress("translating"):
        found = translate(objects, node, _config(options))
    for piece in write_json_pieces(found.state.contents(), beside(found)):
        sys.stdout.write(piece)
    return DONE


_CHECK = ("namespace", "name", "port", "local_endpoints")


def beside(found: NodeState) -> dict[str, Any]:
    """What stands beside the state in the document."""
    from ipvskit.formats.writing import Block, Lines

    checks = [
        {"family": str(family)} | {name: getattr(check, name) for name in _CHECK} | {"addresses": list(check.addresses)}
        for family, one in found.items()
        for check in one.health_checks
    ]
    return {
        "iptables": Block({str(family): one.iptables for family, one in found.items()}),
        "health_checks": Lines(checks),
        "drain_seconds": Block({str(key): seconds for key, seconds in found.drains.items()}),
        "diagnostics": Lines(
            {"code": str(one.code), "object": one.about, "subject": one.subject, "message": one.message}
            for one in found.diagnostics
        ),
    }


def _proxy(options: argparse.Namespace, use: Callable[[Proxy], int]) -> int:
    from ipvskit.engine.ledger import Ledger
    from ipvskit.kernel import Kernel
    from ipvskit.kube.proxy import Proxy

    objects, node = _given(options)
    ledger = Ledger(options.ledger) if getattr(options, "ledger", None) else None
    with (
        Kernel(netns_of(options)) as kernel,
        Proxy(kernel, node, _config(options), ledger=ledger, health_checks=False) as proxy,
    ):
        with Progress("translating"):
            proxy.tracker.resync(objects)
        status = use(proxy)
        _tell(proxy.tracker.states().diagnostics)
    return status


def _plan(options: argparse.Namespace) -> int:
    def use(proxy: Proxy) -> int:
        with Progress("reading"):
            plan = proxy.plan().guard(options.max_deletes)
        _print(json.dumps(plan.to_dict(), indent=2) if options.json else str(plan))
        return PENDING if plan else DONE

    return _proxy(options, use)


def _apply(options: argparse.Namespace) -> int:
    def use(proxy: Proxy) -> int:
        with Progress("applying"):
            report = proxy.sync(max_deletes=options.max_deletes)
        _print(json.dumps(report.to_dict(), indent=2) if options.json else str(report))
        for one in report.draining if not options.json else ():
            _print(f"draining: {one}")
        return DONE if report.ok else ERROR

    return _proxy(options, use)


def _cleanup(options: argparse.Namespace) -> int:
    from ipvskit.kernel import Kernel
    from ipvskit.kube.removing import cleanup

    with Kernel(netns_of(options)) as kernel:
        report = cleanup(kernel, _config(options))
    _print(json.dumps(report.to_dict(), indent=2) if options.json else str(report))
    return DONE if report.ok else ERROR


_ACTIONS: dict[str, tuple[str, Callable[[argparse.Namespace], int]]] = {
    "state": (
        "print the state that the objects come to, as JSON, with rules, health checks and findings beside it",
        _state,
    ),
    "plan": ("print what would be changed on this node", _plan),
    "apply": ("change it", _apply),
    "cleanup": ("take away all that was made, and nothing else", _cleanup),
}
