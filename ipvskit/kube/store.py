"""The objects of a cluster, as far as they count here.

Knows: which object is which, which slices belong to a Service, what could not be read. Must not know: the node, what becomes of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ipvskit.kube.client_objects import Raw, each_object
from ipvskit.kube.diagnostics import Code, Diagnostic, Unusable
from ipvskit.kube.objects import Identity, Service, Slice, identity
from ipvskit.kube.read_service import read_service
from ipvskit.kube.read_slice import read_slice

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = ["Store"]

Owner = tuple[str, str]

SERVICE, SLICE = "Service", "EndpointSlice"


class Store:
    """Services and slices by identity. `touched` collects the Services (namespace and name) for which something changed, in order."""

    def __init__(self, default_scheduler: str) -> None:
        self.services: dict[Owner, Service] = {}
        self.touched: dict[Owner, None] = {}
        self._scheduler = default_scheduler
        self._slices: dict[Identity, Slice] = {}
        self._by_service: dict[Owner, tuple[Slice, ...]] = {}
        self._told: dict[Identity, tuple[Diagnostic, ...]] = {}

    def slices(self, owner: Owner) -> Iterable[Slice]:
        """Those of a Service, in no order."""
        return self._by_service.get(owner, ())

    def diagnostics(self) -> Iterator[Diagnostic]:
        """What could not be read, in no order. Findings about readable Services are with them."""
        for told in self._told.values():
            yield from told

    def put(self, objects: Any) -> None:  # noqa: ANN401 - one object or many, in any form
        """Each in place of the one with its identity. What is of another kind is passed over."""
        for raw in each_object(objects):
            self._put(raw)

    def remove(self, objects: Any) -> None:  # noqa: ANN401 - the same
        """Those that are gone."""
        for kind, fields in each_object(objects):
            if fields is not None and kind in {SERVICE, SLICE}:
                self._forget(_name(kind, fields)[0])

    def replace(self, objects: Any) -> None:  # noqa: ANN401 - the same
        """These are all that there are."""
        mine = {Identity(SERVICE, *owner) for owner in self.services} | self._slices.keys() | self._told.keys()
        if mine:
            there = {self._put(raw) for raw in each_object(objects)}
            for named in mine - there:
                self._forget(named)
        else:
            self.put(objects)

    def _put(self, raw: Raw) -> Identity | None:
        kind, fields = raw
        if fields is None:
            named = Identity("object", "", "?")
            self._told[named] = (Diagnostic(Code.INVALID_OBJECT, "object", "?", "it is no object of the API"),)
            return named
        if kind not in {SERVICE, SLICE}:
            return None
        named, error = _name(kind, fields)
        found: Service | Slice | None = None
        if error is None:
            try:
                found = read_service(fields, named, self._scheduler) if kind == SERVICE else read_slice(fields, named)
            except Unusable as unusable:
                error = unusable
        self._hold(named, found)
        told: tuple[Diagnostic, ...] = found.faults if type(found) is Slice else ()
        if error is not None:
            told = (Diagnostic(Code.INVALID_OBJECT, str(named), error.subject, error.message),)
        if told:
            self._told[named] = told
        elif self._told:
            self._told.pop(named, None)
        return named

    def _hold(self, named: Identity, found: Service | Slice | None) -> None:
        if type(found) is Service:
            owner = named[1:]
            before = self.services.get(owner)
            if before is None or before != found:
                self.services[owner] = found
                self.touched[owner] = None
        elif named.kind == SERVICE:
            if self.services.pop(named[1:], None) is not None:
                self.touched[named[1:]] = None
        else:
            former = self._slices.get(named)
            if former is not None and former != found:
                self._drop_slice(former)
            if type(found) is Slice and former != found:
                self._hold_slice(found)

    def _hold_slice(self, found: Slice) -> None:
        owner = found.key
        self._slices[found.identity] = found
        self._by_service[owner] = (*self._by_service.get(owner, ()), found)
        self.touched[owner] = None

    def _drop_slice(self, former: Slice) -> None:
        owner = former.key
        del self._slices[former.identity]
        left = tuple(each for each in self._by_service[owner] if each is not former)
        if left:
            self._by_service[owner] = left
        else:
            del self._by_service[owner]
        self.touched[owner] = None

    def _forget(self, named: Identity) -> None:
        self._hold(named, None)
        self._told.pop(named, None)


def _name(kind: str, fields: Mapping[str, Any]) -> tuple[Identity, Unusable | None]:
    try:
        return identity(kind, fields), None
    except Unusable as error:
        return Identity(kind, "", "?"), error
