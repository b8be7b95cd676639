"""States as trees of plain objects, and these as JSON.

Knows: which values are defaults, the layout of JSON. Must not know: how texts are read.

Real servers, entries and everything else of which there may be many stand on lines of their own, so that files compare well.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from ipvskit.formats.tables import DAEMON, SERVICE, SET, SYSCTL, VERSION
from ipvskit.model.address import Family
from ipvskit.model.device import DUMMY
from ipvskit.model.keep import WORD
from ipvskit.model.real import IPIP
from ipvskit.sets.elements import Elements
from ipvskit.sets.parts import address_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from ipvskit.formats.contents import Contents
    from ipvskit.model.daemon import Timeouts
    from ipvskit.model.device import Device
    from ipvskit.model.real import RealServer
    from ipvskit.model.service import VirtualService
    from ipvskit.sets.definition import Set

__all__ = ["Block", "Lines", "json_pieces", "json_text", "layout_of", "tree_of"]


class Block(dict[str, Any]):
    """An object of which each key stands on a line of its own."""


class Lines(list[Any]):
    """A list of which each item does."""


# --- the tree -----------------------------------------------------------------------------------------------------------------------

_FAMILIES = {Family.IPV4: "inet", Family.IPV6: "inet6"}
_REAL: dict[str, Any] = {
    "weight": 1,
    "forwarding": "masquerade",
    "upper_threshold": 0,
    "lower_threshold": 0,
    "tunnel": IPIP,
}
_SERVICE: dict[str, Any] = {"scheduler": "wlc", "scheduler_flags": frozenset(), "one_packet": False}
_DAEMON: dict[str, Any] = {"sync_id": 0, "max_length": 0, "port": 0, "ttl": 0}
_FORMS: dict[str, Callable[[Any], Any]] = {
    "key": str,
    "scheduler_flags": sorted,
    "persistence_netmask": lambda mask: mask if isinstance(mask, int) else str(mask),
    "forwarding": str,
    "tunnel": str,
    "family": _FAMILIES.__getitem__,
    "range": str,
    "bitmask": address_text,
    "role": str,
    "group": str,
}


def _stated(value: object, names: Iterable[str], defaults: dict[str, Any]) -> dict[str, Any]:
    """What of these is not at its default, in their order; None and False never are stated."""
    kept: frozenset[str] = getattr(value, "keep", frozenset())
    found: dict[str, Any] = {}
    for name in names:
        if name in kept:
            found[name] = WORD
            continue
        held = getattr(value, name, None)
        if held is not None and held is not False and (name not in defaults or held != defaults[name]):
            found[name] = _FORMS[name](held) if name in _FORMS else held
    return found


def _real(real: RealServer) -> dict[str, Any]:
    return {"address": real.endpoint} | _stated(real, _REAL, _REAL)


def _service(service: VirtualService) -> Block:
    full = 32 if service.key.family is Family.IPV4 else 128
    stated = _stated(service, SERVICE.fields, _SERVICE | {"persistence_netmask": full, "reals": ()})
    if "reals" in stated and stated["reals"] != WORD:
        stated["reals"] = Lines(map(_real, service.reals))
    return Block(stated)


def _set(wanted: Set) -> Block:
    return Block(_stated(wanted, SET.fields, {"family": Family.IPV4}))


def _device(device: Device) -> Block:
    stated = Block(name=device.name)
    if device.kind != DUMMY:
        stated["kind"] = device.kind
    if device.up is not True:
        stated["up"] = device.up
    if device.addresses:
        stated["addresses"] = Lines(map(str, device.addresses))
    return stated


def _timeouts(timeouts: Timeouts) -> dict[str, int]:
    values = {"tcp": timeouts.tcp, "tcp_fin": timeouts.tcp_fin, "udp": timeouts.udp}
    return {name: value for name, value in values.items() if value}


def layout_of(contents: Contents) -> Block:
    """The tree with marks for the layout, and with tables of elements in place of lists of their texts."""
    tree = Block(ipvskit=VERSION)
    if contents.services:
        tree["services"] = Lines(map(_service, contents.services))
    if contents.sets:
        tree["sets"] = Lines(map(_set, contents.sets))
    if contents.devices:
        tree["devices"] = Lines(map(_device, contents.devices))
    if contents.sysctls:
        values = {name: contents.sysctls[name] for name in SYSCTL.fields if name in contents.sysctls}
        tree["sysctls"] = Block({name: list(one) if isinstance(one, tuple) else one for name, one in values.items()})
    if contents.timeouts is not None:
        tree["timeouts"] = _timeouts(contents.timeouts)
    if contents.daemons is not None:
        tree["daemons"] = Lines(_stated(daemon, DAEMON.fields, _DAEMON) for daemon in contents.daemons)
    return tree


def tree_of(contents: Contents) -> dict[str, Any]:
    """The tree of plain objects."""
    plain: dict[str, Any] = _plain(layout_of(contents))
    return plain


def _plain(value: Any) -> Any:  # noqa: ANN401 - any tree
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, Elements):
        return value.to_text().split("\n")[:-1]
    return [_plain(each) for each in value] if isinstance(value, list) else value


# --- JSON ---------------------------------------------------------------------------------------------------------------------------

#: What stands for itself between the quotes of JSON and of YAML; line breaks are between entries.
_SIMPLE = re.compile(r"[ !#-\[\]-~\n]*")


def json_text(value: object) -> str:
    """On one line. What cannot be written in UTF-8 is escaped."""
    text = json.dumps(value, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(value)
    return text


def entry_lines(elements: Elements, pad: str, quote: Callable[[str], str]) -> Iterator[str]:
    """Every entry in quotes, with `pad` (a line break and what is before the entry) between them."""
    first = True
    for piece in elements.texts():
        body = piece[:-1]
        simple = _SIMPLE.fullmatch(body)
        text = '"' + body.replace("\n", f'"{pad}"') + '"' if simple else pad.join(map(quote, body.split("\n")))
        yield text if first else pad + text
        first = False


def json_pieces(contents: Contents, beside: Mapping[str, Any] | None = None) -> Iterator[str]:
    """As JSON, in pieces; `beside` are further keys of the document."""
    yield from _emit(Block({**layout_of(contents), **(beside or {})}), "\n")
    yield "\n"


def _emit(value: object, pad: str) -> Iterator[str]:
    inner = pad + "  "
    if isinstance(value, Elements) and value:
        yield "[" + inner
        yield from entry_lines(value, "," + inner, json_text)
        yield pad + "]"
    elif isinstance(value, Lines | Block) and value:
        yield "[" if isinstance(value, Lines) else "{"
        comma = ""
        for each in value:
            yield comma + inner
            if isinstance(value, Block):
                yield f"{json_text(each)}: "
            yield from _emit(value[each] if isinstance(value, Block) else each, inner)
            comma = ","
        yield pad + ("]" if isinstance(value, Lines) else "}")
    else:
        yield json_text([] if isinstance(value, Elements) else value)
