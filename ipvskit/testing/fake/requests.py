"""Packed requests, taken apart.

Knows: where a field is, and which object a request is about. Must not know: what is done with it.
"""

from __future__ import annotations

import errno
from typing import NamedTuple

from ipvskit.ipvs import records
from ipvskit.ipvs.records import AF_INET, AF_INET6, NLM_F_ACK, NLM_F_DUMP, Command

IPPROTO_TCP = 6
MAX_ENGINE = 16
_PART = records.HEAD.size + records.SERVICE.size


class Refused(Exception):
    """The kernel's answer is this errno."""

    def __init__(self, error: int) -> None:
        super().__init__(errno.errorcode[error])
        self.error = error


def refuse_if(condition: object, error: int) -> None:
    """One check of the kernel's."""
    if condition:
        raise Refused(error)


def sent(fields: ServiceFields | RealFields | DaemonFields | ConfigFields, *attributes: int) -> bool:
    """Whether all these attributes were sent."""
    return all(fields.present >> attribute & 1 for attribute in attributes)


class Identity(NamedTuple):
    """What tells one service from another. An address is 16 bytes, and all zero with a firewall mark."""

    family: int
    protocol: int
    address: bytes
    port: int
    fwmark: int


class ServiceFields(NamedTuple):
    """`records.SERVICE`."""

    number: int
    present: int
    family: int
    protocol: int
    port: int
    reserved: int
    fwmark: int
    address: bytes
    flags: int
    mask: int
    timeout: int
    netmask: int
    scheduler: bytes
    engine: bytes


class RealFields(NamedTuple):
    """`records.REAL`."""

    number: int
    present: int
    family: int
    port: int
    tunnel_port: int
    tunnel_flags: int
    tunnel_type: int
    address: bytes
    forwarding: int
    weight: int
    upper: int
    lower: int
    active: int
    inactive: int
    persistent: int


class DaemonFields(NamedTuple):
    """`records.DAEMON`."""

    number: int
    present: int
    state: int
    sync_id: int
    max_length: int
    port: int
    ttl: int
    group: bytes
    group6: bytes
    interface: bytes


class ConfigFields(NamedTuple):
    """`records.CONFIG`."""

    number: int
    present: int
    tcp: int
    tcp_fin: int
    udp: int


class Request:
    """One packed request. What is in the part behind the service depends on the command."""

    __slots__ = ("_raw", "command", "flags", "index", "service")

    def __init__(self, index: int, raw: bytes) -> None:
        self.index = index
        self._raw = raw
        command, flags = records.HEAD.unpack_from(raw)
        self.command = Command(command)
        self.flags: int = flags
        self.service = ServiceFields._make(records.SERVICE.unpack_from(raw, records.HEAD.size))

    @property
    def acknowledged(self) -> bool:
        """Whether success is to be answered as well."""
        return bool(self.flags & NLM_F_ACK)

    @property
    def dump(self) -> bool:
        """Whether it asks for a whole table."""
        return bool(self.flags & NLM_F_DUMP == NLM_F_DUMP)

    @property
    def real(self) -> RealFields:
        """The real server."""
        return RealFields._make(records.REAL.unpack_from(self._raw, _PART))

    @property
    def daemon(self) -> DaemonFields:
        """The sync daemon."""
        return DaemonFields._make(records.DAEMON.unpack_from(self._raw, _PART))

    @property
    def config(self) -> ConfigFields:
        """The timeouts."""
        return ConfigFields._make(records.CONFIG.unpack_from(self._raw, _PART))

    def identity(self) -> Identity:
        """Which service it is about. Raises Refused when it does not say so properly."""
        service = self.service
        refuse_if(sent(service, 11) and len(text(service.engine)) > MAX_ENGINE, errno.EINVAL)
        refuse_if(not sent(service, 1) or not (sent(service, 5) or sent(service, 2, 3, 4)), errno.EINVAL)
        refuse_if(service.family not in {AF_INET, AF_INET6}, errno.EAFNOSUPPORT)
        if sent(service, 5):  # a mark of 0 is none: what is left is TCP, all addresses, all ports
            return Identity(service.family, IPPROTO_TCP, bytes(16), 0, service.fwmark)
        return Identity(service.family, service.protocol, padded(service.family, service.address), service.port, 0)


def split(requests: bytes, count: int) -> list[Request]:
    """The requests of a call."""
    size = records.REQUEST_SIZE
    return [Request(at, requests[at * size : (at + 1) * size]) for at in range(count)]


def text(raw: bytes) -> bytes:
    """A name in a field of fixed size; the codec sends one byte less than the field has."""
    return raw[: len(raw) - 1].partition(b"\0")[0]


def padded(family: int, address: bytes) -> bytes:
    """Sixteen bytes of which an IPv4 address uses four."""
    return (address[:4] if family == AF_INET else address).ljust(16, b"\0")
