"""What the kernel has, as JSON: values as in state files, numbers beside them.

Knows: the shape of the document. Must not know: where values come from.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ipvskit.formats import Contents, to_dict
from ipvskit.model.address import endpoint_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ipvskit.model.connection import Connection
    from ipvskit.model.device import Device
    from ipvskit.model.status import RealServerStatus, ServiceStatus
    from ipvskit.sets.definition import Set, SetStatus

__all__ = ["document"]

VERSION = 1


def document(parts: Iterable[tuple[str, Any]]) -> str:
    """`{"version": 1, "services": [...], ...}`, one key for each part."""
    found: dict[str, Any] = {"version": VERSION}
    for part, value in parts:
        found |= _PARTS[part](value)
    return json.dumps(found, indent=2)


def _services(value: list[ServiceStatus]) -> dict[str, Any]:
    trees = to_dict(Contents(services=[one.service for one in value])).get("services", [])
    return {"services": [_service(tree, one) for tree, one in zip(trees, value, strict=True)]}


def _service(tree: dict[str, Any], one: ServiceStatus) -> dict[str, Any]:
    values = {real["address"]: real for real in tree.pop("reals", [])}
    reals = [values[status.real.endpoint] | _counts(status) for status in one.reals]
    return tree | {"stats": asdict(one.stats), "stale": one.stale, "reals": reals}


def _counts(status: RealServerStatus) -> dict[str, Any]:
    return {
        "active": status.active,
        "inactive": status.inactive,
        "persistent": status.persistent,
        "stats": asdict(status.stats),
    }


def _reals(value: list[ServiceStatus]) -> dict[str, Any]:
    services = _services(value)["services"]
    return {"reals": [{"service": one["key"]} | real for one in services for real in one["reals"]]}


def _sets(value: list[tuple[Set, SetStatus]]) -> dict[str, Any]:
    trees = to_dict(Contents(sets=[each for each, _ in value])).get("sets", [])
    return {"sets": [_numbered(tree, status) for tree, (_, status) in zip(trees, value, strict=True)]}


def _numbered(tree: dict[str, Any], status: SetStatus) -> dict[str, Any]:
    names = ("revision", "index", "references", "memory")
    return {"count": status.entries} | {name: getattr(status, name) for name in names} | tree


def _devices(value: list[Device]) -> dict[str, Any]:
    return {"devices": to_dict(Contents(devices=value)).get("devices", [])}


def _connections(value: Iterable[Connection]) -> dict[str, Any]:
    return {"connections": [_connection(each) for each in value]}


def _connection(each: Connection) -> dict[str, Any]:
    found = {
        "protocol": each.protocol,
        "state": each.state,
        "client": endpoint_text(each.client, each.client_port),
        "virtual": endpoint_text(each.virtual, each.virtual_port),
        "real": endpoint_text(each.destination, each.destination_port),
        "template": each.is_template,
        "expires": each.expires,
    }
    return found | ({"engine": each.engine, "engine_data": each.engine_data} if each.engine else {})


def _settings(value: dict[str, Any]) -> dict[str, Any]:
    return {"settings": value}


def _daemons(value: Any) -> dict[str, Any]:  # noqa: ANN401 - timeouts and a list
    timeouts, daemons = value
    return {"timeouts": asdict(timeouts), "daemons": to_dict(Contents(daemons=daemons)).get("daemons", [])}


_PARTS: dict[str, Callable[[Any], dict[str, Any]]] = {
    "services": _services,
    "reals": _reals,
    "connections": _connections,
    "sets": _sets,
    "devices": _devices,
    "settings": _settings,
    "daemons": _daemons,
}
