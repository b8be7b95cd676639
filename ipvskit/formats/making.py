"""Values out of what has been read of a document.

Knows: the classes of values, and what they refuse of fields that do not go together. Must not know: keys and kinds (`ipvskit.formats.tables`), texts.

Of values that state several bad things each key is told by itself; of keys that are good but do not go together the first is.
"""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

from ipvskit.errors import InvalidConfig, InvalidEntry
from ipvskit.formats.contents import Contents
from ipvskit.formats.fields import BAD
from ipvskit.formats.problems import attempt, shown
from ipvskit.model.daemon import SyncDaemon, Timeouts
from ipvskit.model.device import Device
from ipvskit.model.keep import KEEP
from ipvskit.model.real import RealServer
from ipvskit.model.service import VirtualService, check_pair
from ipvskit.model.settype import SetType
from ipvskit.model.sysctl import SYSCTLS
from ipvskit.sets.definition import Set
from ipvskit.sets.elements import Elements

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from ipvskit.formats.problems import Path, Problems
    from ipvskit.model.key import ServiceKey

__all__ = [
    "entries_of",
    "make_contents",
    "make_daemon",
    "make_device",
    "make_real",
    "make_service",
    "make_set",
    "make_sysctls",
    "make_timeouts",
]

#: What errors of values call what a document has in another key.
_KEYS = {"service": "key", "protocol": "key", "port": "key", "fwmark": "key"}
_PLACES = {"real": "address", "tunnel": "tunnel"}


def _place(path: Path, found: dict[str, Any]) -> Callable[[str], Path]:
    """Where the field of an error is."""

    def place(field: str) -> Path:
        first = field.partition(" ")[0]
        for name in (field, _KEYS.get(field, ""), _PLACES.get(first, "")):
            if name in found:
                return (*path, name)
        return path

    return place


def make_real(found: dict[str, Any], whole: bool, path: Path, problems: Problems) -> Any:  # noqa: ANN401 - or BAD
    """A real server."""
    if not whole:
        return BAD
    return attempt(lambda: RealServer(**found), problems, _place(path, found)) or BAD


def make_service(found: dict[str, Any], whole: bool, path: Path, problems: Problems) -> Any:  # noqa: ANN401 - or BAD
    """A service and its real servers, each of which is checked by itself."""
    reals = found.get("reals", ())
    if reals is not KEEP:
        if "key" in found:
            _check_reals(found["key"], reals, (*path, "reals"), problems)
        found = {name: value for name, value in found.items() if name != "reals"}
    service = attempt(lambda: VirtualService(**found), problems, _place(path, found)) if whole else None
    if service is None:
        return BAD
    return service if reals is KEEP or not reals else service.with_reals(tuple(reals))


def _check_reals(key: ServiceKey, reals: Sequence[Any], path: Path, problems: Problems) -> None:
    seen: dict[object, int] = {}
    for place, real in enumerate(reals):
        if real is BAD:
            continue
        try:
            check_pair(key, real)
        except InvalidConfig as error:
            problems.add((*path, place), f"{error.field} {shown(error.value)} is not usable: {error.expected}")
        first = seen.setdefault((real.address, real.port), place)
        if first != place:
            problems.add((*path, place), f"{real.endpoint} is there already: it is reals[{first}] as well")


def make_set(found: dict[str, Any], whole: bool, path: Path, problems: Problems) -> Any:  # noqa: ANN401 - or BAD
    """A set, and what it holds."""
    if "type" in found:
        kind = SetType.of(found["type"])
        known = {"name", "type", "entries", *kind.create_options} | ({"family"} if kind.families else set())
        for name in found.keys() - known:
            options = ", ".join(dict.fromkeys(["family"] * bool(kind.families) + [*kind.create_options]))
            problems.add((*path, name), f"not usable: {kind} has no such option, but {options}")
            whole = False
    entries = found.pop("entries", None)
    if not whole:
        _check_texts(entries or (), (*path, "entries"), problems)
        return BAD
    bare = attempt(lambda: Set(**found), problems, _place(path, found))
    if bare is None or entries is None:
        return bare or BAD
    held = entries_of(bare, entries, (*path, "entries"), problems)
    return BAD if held is None else bare.replace(entries=held)


def entries_of(bare: Set, entries: Sequence[str], path: Path, problems: Problems) -> Elements | None:
    """What the set holds then; None where an entry is bad, and all that are have been told."""
    if set(map(type, entries)) <= {str}:
        try:
            return Elements(bare, entries)
        except InvalidConfig:
            pass
    before = len(problems.found)
    _check_texts(entries, path, problems)
    # Of those that are told already nothing is left but a comment.
    text = "\n".join("#" if _not_one(each) else each for each in entries)

    def tell(error: InvalidEntry) -> None:
        at = (*path, error.line)
        problems.add(at, f"{error.field} {shown(error.value)} is not usable: {error.expected}")

    Elements.parse(bare, text, on_error=tell)
    problems.found[before:] = sorted(problems.found[before:], key=lambda problem: problem.path[-1])
    return None


def _check_texts(entries: Iterable[object], path: Path, problems: Problems) -> None:
    for place, each in enumerate(entries):
        fault = _not_one(each)
        if fault:
            problems.add((*path, place), f"{shown(each)} is not usable: {fault}", quoted=not isinstance(each, str))


def _not_one(text: object) -> str:
    """Why something is no single entry, "" if it may be one."""
    if not isinstance(text, str):
        return 'a text, an entry as ipset(8) writes it, such as "10.0.0.1 timeout 30"'
    if "\n" in text:
        return "an entry without line breaks"
    if not text.strip() or text.lstrip().startswith("#"):
        return "an entry, neither empty nor a comment"
    try:
        text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return "characters that there are in UTF-8"
    return ""


def make_device(found: dict[str, Any], whole: bool, path: Path, problems: Problems) -> Any:  # noqa: ANN401 - or BAD
    """A device."""
    return (attempt(lambda: Device(**found), problems, _place(path, found)) if whole else None) or BAD


def make_daemon(found: dict[str, Any], whole: bool, path: Path, problems: Problems) -> Any:  # noqa: ANN401 - or BAD
    """A sync daemon."""
    return (attempt(lambda: SyncDaemon(**found), problems, _place(path, found)) if whole else None) or BAD


def make_timeouts(found: dict[str, Any], whole: bool, _path: Path, _problems: Problems) -> Any:  # noqa: ANN401 - or BAD
    """Timeouts; 0 where nothing is said."""
    return Timeouts(**({"tcp": 0, "tcp_fin": 0, "udp": 0} | found)) if whole else BAD


def make_sysctls(found: dict[str, Any], _whole: bool, path: Path, problems: Problems) -> Any:  # noqa: ANN401 - as all
    """Settings by name."""
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in found.items()}
    for name, value in values.items():
        try:
            SYSCTLS[name].write(value)
        except InvalidConfig as error:
            problems.add((*path, name), f"{shown(value)} is not usable: {error.expected}")
    return values


_CONTENTS = {field.name for field in fields(Contents)}


def make_contents(found: dict[str, Any], _whole: bool, path: Path, problems: Problems) -> Any:  # noqa: ANN401 - as all
    """All of it; of two with the same name the second is told."""
    identities: dict[str, tuple[str, Callable[[Any], object]]] = {
        "services": ("key", lambda service: service.key),
        "sets": ("name", lambda one: one.name),
        "devices": ("name", lambda device: device.name),
        "daemons": ("role", lambda daemon: daemon.role),
    }
    for section, (key, identity) in identities.items():
        _check_unique(found.get(section) or (), identity, key, (*path, section), problems)
    return Contents(**{name: value for name, value in found.items() if name in _CONTENTS})


def _check_unique(
    values: Iterable[Any], identity: Callable[[Any], object], key: str, path: Path, problems: Problems
) -> None:
    seen: dict[object, int] = {}
    for place, value in enumerate(values):
        if value is BAD:
            continue
        first = seen.setdefault(identity(value), place)
        if first != place:
            told = f"{shown(str(identity(value)))} is there already: it is that of {path[-1]}[{first}]"
            problems.add((*path, place, key), told)
