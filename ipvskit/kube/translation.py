"""A cluster's objects as the state of a node, all at once.

Knows: that it is tracking with everything new. Must not know: how a Service is translated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ipvskit.kube.collector import paused
from ipvskit.kube.tracker import Tracker

if TYPE_CHECKING:
    from ipvskit.kube.assembling import NodeState
    from ipvskit.kube.config import Config
    from ipvskit.kube.node import Node

__all__ = ["translate"]


def translate(objects: Any, node: Node, config: Config | None = None) -> NodeState:  # noqa: ANN401 - one object or many, in any form
    """What a node needs, from all Services and EndpointSlices of the cluster.

    `objects` are dicts as the API serves them, models of the official client, Lists of either; other kinds are passed over. Of two objects with one
    identity the later one counts. Their order does not matter otherwise. Nothing is raised for an object: see `diagnostics`.
    """
    with paused():
        # What is not needed any longer goes before the collector of cycles takes a look.
        return _translated(objects, Tracker(node, config))


def _translated(objects: Any, tracker: Tracker) -> NodeState:  # noqa: ANN401 - the same
    tracker.resync(objects)
    return tracker.states()
