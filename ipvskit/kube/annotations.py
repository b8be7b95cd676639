"""What a Service or an EndpointSlice asks for by annotations of ours.

Knows: their names and values. Must not know: what comes of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from ipvskit.errors import InvalidConfig
from ipvskit.kube.diagnostics import Code, Diagnostic
from ipvskit.model.address import parse_digits
from ipvskit.model.real import INT_MAX, ForwardingMethod
from ipvskit.model.service import VirtualService, flag_bits

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

__all__ = [
    "DRAIN",
    "FLAGS",
    "FORWARDING",
    "NO_WISHES",
    "PREFIX",
    "SCHEDULER",
    "WEIGHT",
    "Wishes",
    "read_weight",
    "read_wishes",
]

T = TypeVar("T")

PREFIX = "ipvskit/"
SCHEDULER = PREFIX + "scheduler"
FLAGS = PREFIX + "sched-flags"
WEIGHT = PREFIX + "weight"
DRAIN = PREFIX + "drain-seconds"
FORWARDING = PREFIX + "forwarding"
_NAMES = {SCHEDULER, FLAGS, WEIGHT, DRAIN, FORWARDING}

#: A day: what drains longer is stuck (seconds).
MAX_DRAIN = 86400
_METHODS = (ForwardingMethod.MASQUERADE, ForwardingMethod.TUNNEL, ForwardingMethod.DIRECT_ROUTE)


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a Service asks for; None where it leaves that to the configuration. `drain` is in seconds."""

    scheduler: str | None = None
    flags: tuple[str, ...] | None = None
    weight: int | None = None
    drain: int | None = None
    forwarding: ForwardingMethod = ForwardingMethod.MASQUERADE


NO_WISHES = Wishes()


def read_wishes(annotations: Mapping[str, Any], about: str, default_scheduler: str) -> tuple[Wishes, list[Diagnostic]]:
    """From a Service's annotations; what cannot be is told and left at its default."""
    if not any(name.startswith(PREFIX) for name in annotations):
        return NO_WISHES, []
    faults: list[Diagnostic] = []
    scheduler = _one(annotations, SCHEDULER, _scheduler, about, faults)
    flags = _one(annotations, FLAGS, lambda text: _flags(scheduler or default_scheduler, text), about, faults)
    weight = _one(annotations, WEIGHT, _weight, about, faults)
    drain = _one(annotations, DRAIN, lambda text: parse_digits(DRAIN, text, 0, MAX_DRAIN), about, faults)
    forwarding = _one(annotations, FORWARDING, _method, about, faults) or ForwardingMethod.MASQUERADE
    strange = sorted(name for name in annotations if name.startswith(PREFIX) and name not in _NAMES)
    faults += [Diagnostic(Code.BAD_ANNOTATION, about, name, "there is no such annotation") for name in strange]
    return Wishes(scheduler, flags, weight, drain, forwarding), faults


def read_weight(annotations: Mapping[str, Any], about: str) -> tuple[int | None, list[Diagnostic]]:
    """The weight that a slice gives its endpoints."""
    faults: list[Diagnostic] = []
    return _one(annotations, WEIGHT, _weight, about, faults), faults


def _one(
    annotations: Mapping[str, Any], name: str, read: Callable[[str], T], about: str, faults: list[Diagnostic]
) -> T | None:
    text = annotations.get(name)
    if text is None:
        return None
    try:
        if not isinstance(text, str):
            raise InvalidConfig(name, text, "text")
        return read(text.strip())
    except InvalidConfig as error:
        faults.append(Diagnostic(Code.BAD_ANNOTATION, about, name, f"{error}; the default is used"))
        return None


def _scheduler(text: str) -> str:
    return VirtualService("192.0.2.1:80/tcp", scheduler=text).scheduler


def _flags(scheduler: str, text: str) -> tuple[str, ...]:
    names = tuple(word.strip() for word in text.split(",") if word.strip())
    flag_bits(scheduler, names)
    return names


def _weight(text: str) -> int:
    return parse_digits(WEIGHT, text, 0, INT_MAX)


def _method(text: str) -> ForwardingMethod:
    if text not in _METHODS:
        raise InvalidConfig(FORWARDING, text, "one of " + ", ".join(_METHODS))
    return ForwardingMethod(text)
