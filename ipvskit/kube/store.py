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
    """Services and slices by identity. `touched` collects the Services (namespace and name) for which something changed."""

    def __init__(self, default_scheduler: str) -> None:
        self.services: dict[Owner, Service] = {}
        self.touched: set[Owner] = set()
        self._scheduler = default_scheduler
        self._slices: dict[Identity, Slice] = {}
        self._by_service: dict[Owner, dict[Identity, Slice]] = {}
        self._told: dict[Identity, tuple[Diagnostic, ...]] = {}

    def slices(self, owner: Owner) -> Iterable[Slice]:
        """Those of a Service, in no order."""
        return self._by_service.get(owner, {}).values()

    def diagnostics(self) -> Iterator[Diagnostic]:
        """What could not be read, in no order. Findings about readable Services are with them."""
        for told in self._told.values():
            yield from told

    def put(self, objects: Any) -> set[Identity]:  # noqa: ANN401 - one object or many, in any form
        """Each in place of the one with its identity; which ones there were. What is of another kind is passed over."""
        return {named for named in map(self._put, each_object(objects)) if named is not None}

    def remove(self, objects: Any) -> None:  # noqa: ANN401 - the same
        """Those that are gone."""
        for kind, fields in each_object(objects):
            if fields is not None and kind in {SERVICE, SLICE}:
                self._forget(_name(kind, fields)[0])

    def replace(self, objects: Any) -> None:  # noqa: ANN401 - the same
        """These are all that there are."""
        mine = {Identity(SERVICE, *owner) for owner in self.services} | self._slices.keys() | self._told.keys()
        for named in mine - self.put(objects):
            self._forget(named)

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
            owner = found.key
            if self.services.get(owner) != found:
                self.services[owner] = found
                self.touched.add(owner)
        elif named.kind == SERVICE:
            if self.services.pop(named[1:], None) is not None:
                self.touched.add(named[1:])
        elif self._slices.get(named) != found:
            self._drop_slice(named)
            if type(found) is Slice:
                self._hold_slice(named, found)

    def _hold_slice(self, named: Identity, found: Slice) -> None:
        owner = found.key
        self._slices[named] = found
        of_service = self._by_service.get(owner)
        if of_service is None:
            self._by_service[owner] = {named: found}
        else:
            of_service[named] = found
        self.touched.add(owner)

    def _drop_slice(self, named: Identity) -> None:
        before = self._slices.pop(named, None)
        if before is None:
            return
        of_service = self._by_service[before.key]
        del of_service[named]
        if not of_service:
            del self._by_service[before.key]
        self.touched.add(before.key)

    def _forget(self, named: Identity) -> None:
        self._hold(named, None)
        self._told.pop(named, None)


def _name(kind: str, fields: Mapping[str, Any]) -> tuple[Identity, Unusable | None]:
    try:
        return identity(kind, fields), None
    except Unusable as error:
        return Identity(kind, "", "?"), error
