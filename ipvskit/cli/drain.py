"""`ipvskit drain`: take a real server out without cutting its connections.

    ipvskit drain 10.0.0.1:8443
    ipvskit drain 10.0.0.1 --wait --deadline 300 --delete
    ipvskit drain 10.0.0.1:8443 --undo --weight 100

Knows: which real servers are meant, how long is waited. Must not know: how anything is sent.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from ipvskit.cli.common import Refused, kernel_of, say, seconds, tell
from ipvskit.cli.main import DONE, ERROR
from ipvskit.cli.progress import Progress

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from ipvskit.engine.drain import Drain
    from ipvskit.engine.keys import RealKey
    from ipvskit.engine.ledger import Ledger
    from ipvskit.ipvs.operations import Operation
    from ipvskit.kernel import Kernel
    from ipvskit.model.key import ServiceKey
    from ipvskit.model.status import RealServerStatus

__all__ = ["configure", "run"]

#: Seconds between two looks.
INTERVAL = 1.0


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "real",
        metavar="REAL",
        help="a real server: 10.0.0.1:8443, [2001:db8::1]:80, or an address for all of its ports",
    )
    parser.add_argument(
        "--service",
        action="append",
        metavar="KEY",
        help="in this service only: 192.0.2.10:443/tcp (may be repeated; default: in all)",
    )
    parser.add_argument("--wait", action="store_true", help="come back when its connections are gone")
    parser.add_argument("--deadline", type=seconds, metavar="SECONDS", help="wait no longer than this")
    parser.add_argument(
        "--delete",
        action="store_true",
        help="wait, then delete it; when the deadline has passed, whatever it still has",
    )
    parser.add_argument(
        "--established", action="store_true", help="do not wait for inactive connections (closing ones, UDP)"
    )
    parser.add_argument(
        "--persistent", action="store_true", help="wait for persistence templates too, through which clients come back"
    )
    parser.add_argument(
        "--undo", action="store_true", help="give the weight back: that of --weight, or the one in the ledger"
    )
    parser.add_argument("--weight", type=int, metavar="N", help="with --undo: the weight that it gets")
    parser.add_argument(
        "--ledger", metavar="FILE", help="remembers the weight for --undo; the same file as that of `apply`"
    )


class _Found(NamedTuple):
    """A real server of a service."""

    service: ServiceKey
    status: RealServerStatus

    @property
    def key(self) -> RealKey:
        """What identifies it."""
        from ipvskit.engine.keys import RealKey

        return RealKey(self.service, self.status.real.address, self.status.real.port)

    @property
    def counts(self) -> str:
        """Its connections."""
        return f"{self.status.active} active, {self.status.inactive} inactive, {self.status.persistent} persistent"


def run(options: argparse.Namespace) -> int:
    """Do it; returns the exit status, 1 when something failed or connections are left."""
    _check(options)
    from ipvskit.engine.ledger import Ledger

    ledger = Ledger(options.ledger) if options.ledger else None
    with kernel_of(options) as kernel:
        found = _find(kernel, options)
        if options.undo:
            return _undo(kernel, found, options.weight, ledger)
        if not _quiesce(kernel, found, ledger):
            return ERROR
        return _wait(kernel, found, options, ledger) if options.wait or options.delete else DONE


def _check(options: argparse.Namespace) -> None:
    if options.undo and (options.wait or options.delete):
        raise Refused("--undo goes without --wait and --delete")
    if options.weight is not None and not options.undo:
        raise Refused("--weight goes with --undo: what is drained has weight 0")
    if options.deadline is not None and not (options.wait or options.delete):
        raise Refused("--deadline goes with --wait or --delete")


def _find(kernel: Kernel, options: argparse.Namespace) -> list[_Found]:
    """All that are meant. Raises Refused if there is none."""
    from ipvskit.model.address import parse_endpoint
    from ipvskit.model.key import ServiceKey

    address, port = parse_endpoint("real server", options.real)
    ipvs = kernel.ipvs
    keys = dict.fromkeys(map(ServiceKey.parse, options.service or ()))
    services = [ipvs.service_status(key) for key in keys] if keys else ipvs.status()
    found = [
        _Found(one.key, each)
        for one in services
        for each in one.reals
        if each.real.address == address and port in {None, each.real.port}
    ]
    if not found:
        where = " and ".join(options.service) if options.service else "no service"
        raise Refused(f"{where} has{' no' if options.service else ' a'} real server {options.real}")
    return found


def _do(kernel: Kernel, wanted: Sequence[Operation]) -> set[int]:
    """The places of what could not be done, which is told. What is gone already is no trouble where it is to be deleted."""
    from ipvskit.errors import RealServerNotFound
    from ipvskit.ipvs.operations import DeleteReal

    failures = [
        failure
        for failure in kernel.ipvs.bulk(wanted).failures
        if not (isinstance(failure.operation, DeleteReal) and isinstance(failure.error, RealServerNotFound))
    ]
    tell(str(failure.error) for failure in failures)
    return {failure.index for failure in failures}


# --- the weight ---------------------------------------------------------------------------------------------------------------------


def _quiesce(kernel: Kernel, found: Sequence[_Found], ledger: Ledger | None) -> bool:
    from ipvskit.engine.drain import Drained
    from ipvskit.ipvs.operations import UpdateReal

    weighty = [one for one in found if one.status.real.weight]
    if ledger is not None:
        # First: afterwards nobody else knows the weight.
        now = time.time()
        ledger.remember(ledger.draining | {one.key: Drained(now, one.status.real.weight) for one in weighty})
    failed = {
        weighty[place].key
        for place in _do(kernel, [UpdateReal.of(one.service, one.status.real, weight=0) for one in weighty])
    }
    for one in found:
        weight = one.status.real.weight
        if one.key not in failed:
            say(f"{one.key}: {f'weight {weight} -> 0' if weight else 'has weight 0 already'}, {one.counts}")
    return not failed


def _undo(kernel: Kernel, found: Sequence[_Found], weight: int | None, ledger: Ledger | None) -> int:
    from ipvskit.ipvs.operations import UpdateReal

    known = ledger.draining if ledger is not None else {}
    drained = [one for one in found if not one.status.real.weight]
    for one in drained:
        if weight is None and one.key not in known:
            where = f"{ledger.path} does not know" if ledger is not None else "nobody remembers"
            raise Refused(f"{where} which weight {one.key} had: --weight N says which it gets")
    weights = {one.key: known[one.key].weight if weight is None else weight for one in drained}
    failed = _do(kernel, [UpdateReal.of(one.service, one.status.real, weight=weights[one.key]) for one in drained])
    back = {one.key for place, one in enumerate(drained) if place not in failed}
    if ledger is not None:
        ledger.remember({key: one for key, one in known.items() if key not in back})
    for one in found:
        if one.status.real.weight:
            say(f"{one.key}: has weight {one.status.real.weight}")
        elif one.key in back:
            say(f"{one.key}: weight 0 -> {weights[one.key]}")
    return ERROR if failed else DONE


# --- connections --------------------------------------------------------------------------------------------------------------------


def _wait(kernel: Kernel, found: Sequence[_Found], options: argparse.Namespace, ledger: Ledger | None) -> int:
    from ipvskit.engine.drain import Drain
    from ipvskit.ipvs.operations import DeleteReal

    policy = Drain(deadline=options.deadline, inactive=not options.established, persistent=options.persistent)
    left = _until_idle(kernel, found, policy)
    if left and not options.delete:
        for one in left:
            tell([f"{one.key}: still {one.counts}, and the deadline has passed"])
        return ERROR
    if options.delete and _do(kernel, [DeleteReal.of(one.service, one.status.real) for one in found]):
        return ERROR
    if options.delete and ledger is not None:
        gone = {one.key for one in found}
        ledger.remember({key: one for key, one in ledger.draining.items() if key not in gone})
    cut = {one.key: one for one in left}
    for one in found:
        what = "deleted" if options.delete else "has no connections any more"
        say(
            f"{one.key}: {what}"
            + (f" with {cut[one.key].counts}, because the deadline has passed" if one.key in cut else "")
        )
    return DONE


def _until_idle(kernel: Kernel, found: Sequence[_Found], policy: Drain) -> list[_Found]:
    """What still has connections when the deadline has passed: nothing, if they are gone before. Raises Refused if the weight comes back."""
    began, keys = time.monotonic(), {one.key for one in found}
    services = list(dict.fromkeys(one.service for one in found))
    most = 0
    with Progress("draining") as shown:
        while True:
            rows = kernel.ipvs.reals_status(services)
            now = [
                one
                for service, some in rows.items()
                for one in (_Found(service, each) for each in some)
                if one.key in keys
            ]
            for one in now:
                if one.status.real.weight:
                    raise Refused(f"{one.key}: somebody gave it weight {one.status.real.weight} again")
            left = [one for one in now if not policy.idle(one.status)]
            rest = None if policy.deadline is None else began + policy.deadline - time.monotonic()
            if not left or (rest is not None and rest <= 0):
                return left
            count = sum(one.status.active + one.status.inactive + one.status.persistent for one in left)
            most = max(most, count)
            shown.text, shown.part = f"draining, {count} connections", 1 - count / most
            time.sleep(INTERVAL if rest is None else min(INTERVAL, rest))
