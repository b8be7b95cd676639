"""The real server and its tunnel.

Knows: what one backend of a virtual service is. Must not know: which service it belongs to (`ipvskit.model.service` checks the pair), the kernel.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Any

from ipvskit.errors import InvalidConfig
from ipvskit.model.address import (
    Family,
    IPAddress,
    endpoint_text,
    family_of,
    is_number,
    parse_address,
    parse_endpoint,
    parse_number,
)
from ipvskit.model.keep import KEEP, NOTHING, Keep, keep_names, kept
from ipvskit.model.options import read_options, write_options
from ipvskit.model.slots import draft_of, setter

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["ForwardingMethod", "RealServer", "Tunnel", "TunnelType"]

#: The kernel's limit for weights and thresholds.
INT_MAX = 2**31 - 1


class ForwardingMethod(StrEnum):
    """How packets reach the real server (`IP_VS_CONN_F_FWD_MASK` in linux/ip_vs.h).

    The kernel has three bits for it; the last three values can only be met when reading, and packets go nowhere with them.
    """

    MASQUERADE = "masquerade"
    LOCAL = "local"
    TUNNEL = "tunnel"
    DIRECT_ROUTE = "direct-route"
    BYPASS = "bypass"
    UNKNOWN_5 = "unknown-5"
    UNKNOWN_6 = "unknown-6"
    UNKNOWN_7 = "unknown-7"


METHODS = tuple(ForwardingMethod)
USABLE_METHODS = METHODS[:5]


class TunnelType(StrEnum):
    """Encapsulation (`IP_VS_CONN_F_TUNNEL_TYPE_*` in linux/ip_vs.h)."""

    IPIP = "ipip"
    GUE = "gue"
    GRE = "gre"


@dataclass(frozen=True, slots=True, init=False)
class Tunnel:
    """How packets to a real server are encapsulated.

    `port` is the UDP port of GUE (1..65535) and 0 otherwise. `checksum` asks for checksums in GUE and GRE headers, `remote_checksum` for remote
    checksum offload in GUE. A type that this library does not know is read as its number.
    """

    type: TunnelType | int
    port: int
    checksum: bool
    remote_checksum: bool

    def __init__(
        self,
        type: TunnelType | str = "ipip",  # noqa: A002 - the field's own name
        port: int = 0,
        checksum: bool = False,
        remote_checksum: bool = False,
    ) -> None:
        try:
            kind = TunnelType(type)
        except ValueError:
            raise InvalidConfig("tunnel type", type, "one of ipip, gue, gre") from None
        parse_number("tunnel port", port, 0, 65535)
        if kind is TunnelType.GUE and port == 0:
            raise InvalidConfig("tunnel port", port, "gue needs the UDP port of the receiver, 1 to 65535")
        if kind is not TunnelType.GUE and port != 0:
            raise InvalidConfig("tunnel port", port, f"0, because {kind} has no port")
        if checksum and kind is TunnelType.IPIP:
            raise InvalidConfig("tunnel checksum", checksum, "False, because ipip has no checksum")
        if remote_checksum and kind is not TunnelType.GUE:
            raise InvalidConfig("tunnel remote_checksum", remote_checksum, "False: only gue has it")
        _fill_tunnel(self, kind, port, bool(checksum), bool(remote_checksum))

    @classmethod
    def parse(cls, text: str | Tunnel) -> Tunnel:
        """From its text form (`ipip`, `gue:6080`, `gue:6080+csum+remcsum`, `gre+csum`). Raises InvalidConfig."""
        if isinstance(text, Tunnel):
            return text
        head, *flags = text.split("+")
        kind, colon, port = head.partition(":")
        unknown = set(flags) - {"csum", "remcsum"}
        if unknown or (colon and not is_number(port)):
            raise InvalidConfig("tunnel", text, "ipip, gue:PORT or gre, each with +csum or +remcsum where it has them")
        return cls(kind, int(port) if colon else 0, "csum" in flags, "remcsum" in flags)

    def __str__(self) -> str:
        port = f":{self.port}" if self.port else ""
        return f"{self.type}{port}{'+csum' if self.checksum else ''}{'+remcsum' if self.remote_checksum else ''}"


def _fill_tunnel(tunnel: Tunnel, kind: TunnelType | int, port: int, checksum: bool, remote_checksum: bool) -> Tunnel:
    put = object.__setattr__
    put(tunnel, "type", kind)
    put(tunnel, "port", port)
    put(tunnel, "checksum", checksum)
    put(tunnel, "remote_checksum", remote_checksum)
    return tunnel


def stored_tunnel(kind: TunnelType | int, port: int, checksum: bool, remote_checksum: bool) -> Tunnel:
    """A tunnel as the kernel has it, not checked."""
    return _fill_tunnel(Tunnel.__new__(Tunnel), kind, port, checksum, remote_checksum)


IPIP = Tunnel()


@dataclass(frozen=True, slots=True, init=False)
class RealServer:
    """One real server of a virtual service. Address and port identify it within the service.

    `address` may carry the port (`"10.0.0.1:8080"`). Port 0 is the port that the packet came for. `weight` is its share under weighted
    schedulers, 0 to 2147483647; with 0 it keeps its connections and gets no new ones. At `upper_threshold` connections (0: no limit) it gets no
    new ones until it is below `lower_threshold` (0: three quarters of the upper). `tunnel` goes with forwarding "tunnel", ipip unless given.
    In a desired state any of these may be KEEP; then it has its default here, and its name is in `keep`. Raises InvalidConfig.
    """

    address: IPAddress
    port: int
    weight: int
    forwarding: ForwardingMethod
    upper_threshold: int
    lower_threshold: int
    tunnel: Tunnel | None
    keep: frozenset[str]

    def __init__(
        self,
        address: str | IPAddress,
        port: int | None = None,
        *,
        weight: int | Keep = 1,
        forwarding: ForwardingMethod | str | Keep = ForwardingMethod.MASQUERADE,
        upper_threshold: int | Keep = 0,
        lower_threshold: int | Keep = 0,
        tunnel: Tunnel | str | Keep | None = None,
        keep: Iterable[str] = (),
    ) -> None:
        parsed, real_port = _place(address, port)
        if keep:
            names = keep_names("real server", keep, _FIELDS[2:])
            weight = kept("weight", weight, 1, names)
            forwarding = kept("forwarding", forwarding, "masquerade", names)
            upper_threshold = kept("upper_threshold", upper_threshold, 0, names)
            lower_threshold = kept("lower_threshold", lower_threshold, 0, names)
            tunnel = kept("tunnel", tunnel, None, names)
        found = []
        if isinstance(weight, Keep):
            weight = 1
            found.append("weight")
        if isinstance(upper_threshold, Keep):
            upper_threshold = 0
            found.append("upper_threshold")
        if isinstance(lower_threshold, Keep):
            lower_threshold = 0
            found.append("lower_threshold")
        if isinstance(forwarding, Keep):
            forwarding, tunnel = ForwardingMethod.MASQUERADE, None
            found += "forwarding", "tunnel"
        elif isinstance(tunnel, Keep):
            tunnel = None
            found.append("tunnel")
        _check_unicast(parsed)
        parse_number("weight", weight, 0, INT_MAX)
        parse_number("upper_threshold", upper_threshold, 0, INT_MAX, "connections")
        parse_number("lower_threshold", lower_threshold, 0, INT_MAX, "connections")
        if lower_threshold > upper_threshold:
            raise InvalidConfig("lower_threshold", lower_threshold, f"at most the upper_threshold, {upper_threshold}")
        method = _method(forwarding)
        if method is ForwardingMethod.TUNNEL:
            tunnel = Tunnel.parse(tunnel) if tunnel is not None else IPIP
        elif tunnel is not None:
            raise InvalidConfig("tunnel", str(tunnel), f"None, because the forwarding method is {method}")
        names = frozenset(found) if found else NOTHING
        _fill(self, parsed, real_port, weight, method, upper_threshold, lower_threshold, tunnel, names)

    @classmethod
    def parse(cls, text: str | RealServer) -> RealServer:
        """From its text form, `ADDRESS:PORT [OPTION=VALUE ...]` with the attributes' names. Raises InvalidConfig."""
        if isinstance(text, RealServer):
            return text
        place, *words = text.split() or [""]
        given: dict[str, Any] = read_options("real server", words, _OPTIONS)
        return cls(place, **given)

    def replace(self, **changes: Any) -> RealServer:
        """The same with some attributes changed, and checked again. Raises InvalidConfig."""
        values: dict[str, Any] = {name: KEEP if name in self.keep else getattr(self, name) for name in _FIELDS}
        values |= changes
        if "forwarding" in changes and "tunnel" not in changes and changes["forwarding"] != "tunnel":
            values["tunnel"] = None
        unknown = changes.keys() - set(_FIELDS)
        if unknown:
            raise InvalidConfig("real server", sorted(unknown), "attributes named " + ", ".join(_FIELDS))
        return RealServer(values.pop("address"), values.pop("port"), **values)

    def filled(self, held: RealServer) -> RealServer:
        """The same with the fields that are kept as `held` has them."""
        if not self.keep:
            return self
        values: dict[str, Any] = {name: getattr(held if name in self.keep else self, name) for name in _FIELDS}
        if (values["tunnel"] is None) is (values["forwarding"] is ForwardingMethod.TUNNEL):
            # One goes with the other.
            values["tunnel"] = IPIP if values["tunnel"] is None else None
        # The kernel takes no lower threshold above the upper one, whosever it is.
        values["lower_threshold"] = min(values["lower_threshold"], values["upper_threshold"])
        made = object.__new__(RealServer)
        _fill(made, *[*values.values(), NOTHING])
        return made

    @property
    def family(self) -> Family:
        """The address's family."""
        return family_of(self.address)

    @property
    def endpoint(self) -> str:
        """`10.0.0.1:8080`, `[2001:db8::1]:8080`."""
        return endpoint_text(self.address, self.port)

    def __str__(self) -> str:
        return " ".join([self.endpoint, *write_options(self, _OPTIONS, _DEFAULTS)])


_FIELDS = ("address", "port", "weight", "forwarding", "upper_threshold", "lower_threshold", "tunnel")
_OPTIONS = {"weight": int, "forwarding": str, "upper_threshold": int, "lower_threshold": int, "tunnel": str}
_DEFAULTS = {"weight": None, "forwarding": "masquerade", "upper_threshold": 0, "lower_threshold": 0, "tunnel": None}


def _place(address: str | IPAddress, port: int | None) -> tuple[IPAddress, int]:
    if isinstance(address, str) and port is None:
        parsed, found = parse_endpoint("real server", address)
        return parsed, found or 0
    return parse_address("real server", address), parse_number("real server port", port or 0, 0, 65535)


def _check_unicast(address: IPAddress) -> None:
    if isinstance(address, IPv4Address):
        first = address.packed[0]
        refused = 224 <= first < 240 or address.packed in {b"\0\0\0\0", b"\xff\xff\xff\xff"}
    else:
        refused = address.is_multicast or address.is_unspecified or address.is_link_local
        refused = refused or address.ipv4_mapped is not None
    if refused:
        raise InvalidConfig("real server", str(address), "a unicast address that a router may forward to")


def _method(value: ForwardingMethod | str) -> ForwardingMethod:
    if value not in USABLE_METHODS:
        raise InvalidConfig("forwarding", value, "one of " + ", ".join(USABLE_METHODS))
    return ForwardingMethod(value)


_set_address = setter(RealServer, "address")
_set_port = setter(RealServer, "port")
_set_weight = setter(RealServer, "weight")
_set_forwarding = setter(RealServer, "forwarding")
_set_upper = setter(RealServer, "upper_threshold")
_set_lower = setter(RealServer, "lower_threshold")
_set_tunnel = setter(RealServer, "tunnel")
_set_keep = setter(RealServer, "keep")


def _fill(
    real: RealServer,
    address: IPAddress,
    port: int,
    weight: int,
    forwarding: ForwardingMethod,
    upper: int,
    lower: int,
    tunnel: Tunnel | None,
    keep: frozenset[str],
) -> None:
    _set_address(real, address)
    _set_port(real, port)
    _set_weight(real, weight)
    _set_forwarding(real, forwarding)
    _set_upper(real, upper)
    _set_lower(real, lower)
    _set_tunnel(real, tunnel)
    _set_keep(real, keep)


_Draft = draft_of(RealServer)


def stored_real(
    address: IPAddress,
    port: int,
    weight: int,
    forwarding: ForwardingMethod,
    upper: int,
    lower: int,
    tunnel: Tunnel | None,
) -> RealServer:
    """A real server as the kernel has it, not checked: another program may have made what we would refuse."""
    made = _Draft()
    made.address = address
    made.port = port
    made.weight = weight
    made.forwarding = forwarding
    made.upper_threshold = upper
    made.lower_threshold = lower
    made.tunnel = tunnel
    made.keep = NOTHING
    made.__class__ = RealServer
    done: RealServer = made
    return done


def stored_reals(
    addresses: Sequence[IPAddress],
    ports: Iterable[int],
    weights: Iterable[int],
    methods: Iterable[ForwardingMethod],
    uppers: Iterable[int],
    lowers: Iterable[int],
    tunnels: Iterable[Tunnel | None],
) -> list[RealServer]:
    """Many of them, from columns as long as that of addresses, or longer."""
    rows = zip(addresses, ports, weights, methods, uppers, lowers, tunnels, strict=False)
    return [
        stored_real(address, port, weight, method, upper, lower, tunnel)
        for address, port, weight, method, upper, lower, tunnel in rows
    ]
