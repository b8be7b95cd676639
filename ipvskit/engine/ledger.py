"""What a controller made, remembered beyond its life.

Knows: keys, in a file. Must not know: what they stand for.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ipvskit.engine.changes import LAZY, segments_of
from ipvskit.engine.drain import Drained
from ipvskit.engine.files import write_whole
from ipvskit.engine.keys import DaemonKey, DeviceKey, Key, RealKey, ServiceKey, SetKey, owner, parse_key
from ipvskit.engine.plan import Action
from ipvskit.engine.report import Status
from ipvskit.engine.scope import Scope
from ipvskit.errors import InvalidConfig
from ipvskit.model.address import parse_endpoint

if TYPE_CHECKING:
    from collections.abc import Mapping
    from os import PathLike

    from ipvskit.engine.plan import Plan
    from ipvskit.engine.report import ApplyReport
    from ipvskit.engine.snapshot import Snapshot

__all__ = ["Ledger"]

_VERSION = 1


class Ledger:
    """The keys of what a controller made, in a file that survives it, and since when its real servers drain.

    `scope()` is the scope of just those: what the controller made once and no longer wants is deleted, and nothing that others made. Given to
    `kernel.apply`, it is written before anything is changed and again afterwards, each time whole: a controller that is killed in between
    still knows what may be its own. A file that is not there is an empty ledger. Raises InvalidConfig for a file that is none; OSError.
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        self.path = Path(path)
        self.keys: frozenset[Key] = frozenset()
        self.draining: dict[RealKey, Drained] = {}
        try:
            text = self.path.read_bytes()
        except FileNotFoundError:
            return
        self._read(text)

    def scope(self) -> Scope:
        """What the controller made, as a scope."""
        return Scope(keys=self.keys)

    def begin(self, plan: Plan, draining: Mapping[RealKey, Drained]) -> None:
        """Note what a plan is about to make, and of which real servers it is about to take the weight."""
        made: set[Key] = set()
        for _, segment in segments_of(plan.changes):
            if isinstance(segment, LAZY):
                made |= set() if segment.deletes else set(segment.service_keys())
            else:
                made |= {owner(one.key) for one in segment if one.after is not None and one.refused is None}
        self.draining = dict(draining)
        self._write((self.keys - self._absent(plan.basis)) | made)

    def _absent(self, basis: Snapshot | None) -> set[Key]:
        """What is noted and was not there: a process that was killed was about to make it. Whoever makes it from now on is somebody else."""
        if basis is None:
            return set()
        noted = self.keys & basis.only if isinstance(basis.only, frozenset) else self.keys
        objects = ServiceKey | SetKey | DeviceKey | DaemonKey
        return {key for key in noted if isinstance(key, objects) and basis.covers(key) and key not in basis}

    def finish(self, plan: Plan, report: ApplyReport, draining: Mapping[RealKey, Drained]) -> None:
        """Note what a plan made and deleted."""
        gone: set[Key] = set()
        untried: set[Key] = set()
        for start, segment in segments_of(plan.changes):
            if isinstance(segment, LAZY):
                continue
            for place, change in enumerate(segment, start):
                status = report.outcomes.status(place)
                if change.after is None and status in {Status.DONE, Status.ALREADY}:
                    gone.add(change.key)
                # What failed may be there all the same, so it stays noted; what was not tried is not.
                elif change.action is Action.ADD and status is Status.SKIPPED:
                    untried.add(change.key)
        self.draining = dict(draining)
        self._write(self.keys - gone - untried)

    def recall(self, draining: dict[RealKey, Drained]) -> None:
        """Tell a kernel handle what is noted of real servers that drain; what it knows itself is newer."""
        for key, drained in self.draining.items():
            draining.setdefault(key, drained)

    def remember(self, draining: Mapping[RealKey, Drained]) -> None:
        """Note which real servers drain, and nothing else: what was made and what was not is not known."""
        self.draining = dict(draining)
        self._write(self.keys)

    def claim(self, *keys: Key | str) -> None:
        """Note that these are the controller's own, whoever made them. Raises InvalidConfig."""
        self._write(self.keys | {owner(parse_key(key)) for key in keys})

    def release(self, *keys: Key | str) -> None:
        """Forget these: they are left alone from now on. Raises InvalidConfig."""
        self._write(self.keys - {owner(parse_key(key)) for key in keys})

    def _write(self, keys: frozenset[Key] | set[Key]) -> None:
        self.keys = frozenset(keys)
        content = {
            "ipvskit-ledger": _VERSION,
            "written": time.time(),
            "keys": sorted(map(str, self.keys)),
            "draining": [
                {
                    "service": str(key.service),
                    "real": str(key).partition(" ")[0],
                    "since": one.since,
                    "weight": one.weight,
                }
                for key, one in sorted(self.draining.items(), key=str)
            ],
        }
        write_whole(self.path, json.dumps(content, indent=1) + "\n")

    def _read(self, text: bytes) -> None:
        try:
            content: Any = json.loads(text)
            if content["ipvskit-ledger"] != _VERSION:
                raise InvalidConfig("ledger", content["ipvskit-ledger"], f"version {_VERSION}")
            self.keys = frozenset(parse_key(key) for key in content["keys"])
            for one in content["draining"]:
                address, port = parse_endpoint("real", one["real"])
                key = RealKey(ServiceKey.parse(one["service"]), address, port or 0)
                self.draining[key] = Drained(float(one["since"]), int(one["weight"]))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InvalidConfig("ledger", str(self.path), f"a file that Ledger wrote ({error})") from None
