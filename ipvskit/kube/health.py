"""Node ports that answer health checks of load balancers, which ask whether this node has endpoints of a Service.

Knows: who is asked where, listeners. Must not know: HTTP (`health_http`), how endpoints are counted.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Self

from ipvskit.errors import ClosedError
from ipvskit.model.address import endpoint_text, parse_address, parse_number
from ipvskit.netns import NetNS

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterable, Iterator
    from types import TracebackType

    from ipvskit.kube.health_http import Listening
    from ipvskit.netns import NetNSLike

__all__ = ["HealthCheck", "HealthServers", "Unserved"]

_EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 - a node port is for everybody who reaches the node
#: What a kernel without IPv6, or with IPv6 switched off, says.
_NO_IPV6 = {errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL}


@dataclass(frozen=True, slots=True, order=True)
class HealthCheck:
    """A Service that load balancers ask about at `port` of the node: how many endpoints of it this node has.

    `addresses` are where that is answered, () for everywhere; "0.0.0.0" and "::" stand for everywhere by one family. Raises InvalidConfig.
    """

    namespace: str
    name: str
    port: int
    local_endpoints: int
    addresses: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        parse_number("port", self.port, 1, 65535)
        parse_number("local_endpoints", self.local_endpoints, 0, 2**31 - 1)
        object.__setattr__(
            self, "addresses", tuple(str(parse_address("addresses", address)) for address in self.addresses)
        )


@dataclass(frozen=True, slots=True)
class Unserved:
    """A health check that is not answered at `place` ("192.0.2.1:30100"), and why."""

    check: HealthCheck
    place: str
    reason: str

    def __str__(self) -> str:
        return f"health check of {self.check.namespace}/{self.check.name} at {self.place}: {self.reason}"


class _Place(NamedTuple):
    address: str
    port: int

    def __str__(self) -> str:
        return endpoint_text(parse_address("address", self.address), self.port)


class HealthServers:
    """Answers health checks in a network namespace (None: the caller's own). Use it with `with`, or call `close()`. Any thread may call.

    The answer is 200 while this node has endpoints of the Service and `healthy` is set, else 503; its body is JSON, and the header
    X-Load-Balancing-Endpoint-Weight counts the endpoints. Any path will do. `healthy` says whether the rules of the node are up to date enough.
    """

    def __init__(self, netns: NetNSLike = None) -> None:
        self.healthy = True
        self._netns = NetNS.of(netns)
        self._wanted: dict[_Place, HealthCheck] = {}
        self._listening: Listening[_Place] | None = None
        self._closed = False

    def update(self, checks: Iterable[HealthCheck]) -> tuple[Unserved, ...]:
        """Answer these checks and no others; what could not be had is reported, and tried again with the next call. Raises ClosedError."""
        if self._closed:
            raise ClosedError("these health servers are closed")
        wanted: dict[_Place, HealthCheck] = {}
        unserved: list[Unserved] = []
        for check, place in _places(checks):
            first = wanted.setdefault(place, check)
            if first is not check and (first.namespace, first.name) != (check.namespace, check.name):
                reason = f"{first.namespace}/{first.name} has that port"
                unserved.append(Unserved(check, str(place), reason))
        self._wanted = wanted
        if wanted and self._listening is None:
            from ipvskit.kube.health_http import Listening

            self._listening = Listening(self._answer)
        if self._listening is not None:
            unserved += self._listen(self._listening, wanted)
        return tuple(unserved)

    def _listen(self, listening: Listening[_Place], wanted: dict[_Place, HealthCheck]) -> Iterator[Unserved]:
        # First those that go: an address may make room for one that means everywhere.
        for place in listening.places() - wanted.keys():
            listening.remove(place)
        for place in sorted(wanted.keys() - listening.places()):
            check = wanted[place]
            try:
                listening.add(place, self._socket(place))
            except OSError as error:
                if not (place.address == "::" and not check.addresses and error.errno in _NO_IPV6):
                    yield Unserved(check, str(place), error.strerror or str(error))

    def _socket(self, place: _Place) -> socket.socket:
        import socket

        six = ":" in place.address
        listener = self._netns.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if six:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listener.bind((place.address, place.port))
            listener.listen()
        except OSError:
            listener.close()
            raise
        return listener

    def _answer(self, place: _Place) -> tuple[int, dict[str, str], dict[str, object]] | None:
        """Status, headers and body; None for a place that is not answered any more."""
        check = self._wanted.get(place)
        if check is None:
            return None
        healthy = self.healthy
        body = {
            "service": {"namespace": check.namespace, "name": check.name},
            "localEndpoints": check.local_endpoints,
            "serviceProxyHealthy": healthy,
        }
        weight = {"X-Load-Balancing-Endpoint-Weight": str(check.local_endpoints)}
        return (200 if healthy and check.local_endpoints else 503), weight, body

    @property
    def places(self) -> list[str]:
        """Where checks are answered now, such as "0.0.0.0:30100"."""
        return [] if self._listening is None else [str(place) for place in sorted(self._listening.places())]

    def close(self) -> None:
        """Answer nobody any more."""
        self._closed = True
        self._wanted = {}
        if self._listening is not None:
            self._listening.close()
            self._listening = None
        self._netns.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _places(checks: Iterable[HealthCheck]) -> Iterator[tuple[HealthCheck, _Place]]:
    # In an order of their own, so that of two that want the same it is always the same one that has it.
    for check in sorted(checks):
        for address in check.addresses or _EVERYWHERE:
            yield check, _Place(address, check.port)
