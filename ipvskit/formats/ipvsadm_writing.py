"""What `ipvsadm --save -n` writes.

Knows: the lines of ipvsadm 1.31, their order, and what they cannot say. Must not know: how they are read.

The tool itself ends by a signal when a real server has both checksums of GUE, writes `(null)` for forwarding bypass, and nothing behind `-b`
when a flag of sh or mh has no name; its own `--restore` takes none of that, nor the negative numbers that it writes for firewall marks from 2^31.
"""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import TYPE_CHECKING

from ipvskit.model.address import Family, IPAddress
from ipvskit.model.key import PROTOCOLS
from ipvskit.model.real import ForwardingMethod, TunnelType
from ipvskit.sets.parts import address_text

if TYPE_CHECKING:
    from ipvskit.formats.contents import Contents
    from ipvskit.model.key import ServiceKey
    from ipvskit.model.real import RealServer
    from ipvskit.model.service import VirtualService

__all__ = ["write_ipvsadm"]

#: Longer persistence the tool's `--restore` refuses (seconds).
LONGEST_PERSISTENCE = 31 * 24 * 3600
_OPTIONS = {"tcp": "-t", "udp": "-u", "sctp": "--sctp-service"}
_METHODS = {
    ForwardingMethod.MASQUERADE: "-m",
    ForwardingMethod.DIRECT_ROUTE: "-g",
    ForwardingMethod.TUNNEL: "-i",
    ForwardingMethod.LOCAL: "-g",
}
_OTHERS = ("sets", "devices", "sysctls")


def write_ipvsadm(contents: Contents) -> tuple[str, tuple[str, ...]]:
    """The services as `ipvsadm --save -n` writes them, in its order (family, protocol, address, port; then firewall marks), and warnings.

    There is a warning for everything that the text does not say, or that `ipvsadm --restore` does not take.
    """
    writer = _Writer()
    for service in sorted(contents.services, key=_service_order):
        writer.service(service)
    for name in _OTHERS:
        if getattr(contents, name):
            writer.warnings.append(f"{name}: ipvsadm has none")
    if contents.timeouts is not None:
        writer.warnings.append("timeouts: not saved by ipvsadm (they are set with --set)")
    if contents.daemons is not None:
        writer.warnings.append("daemons: not saved by ipvsadm (they are started with --start-daemon)")
    return "".join(f"{line}\n" for line in writer.lines), tuple(writer.warnings)


def _service_order(service: VirtualService) -> tuple[int, bool, int, int, int]:
    key = service.key
    return (
        key.fwmark,
        key.family is Family.IPV6,
        PROTOCOLS.get(key.protocol or "", 0),
        0 if key.address is None else int(key.address),
        key.port,
    )


def _real_order(real: RealServer) -> tuple[int, int, int]:
    return (real.address.version, int(real.address), real.port)


def _endpoint(address: IPAddress, port: int) -> str:
    return f"[{address_text(address)}]:{port}" if address.version == 6 else f"{address}:{port}"


def _service_words(key: ServiceKey) -> str:
    if key.address is None:
        return f"-f {key.fwmark}{' -6' if key.family is Family.IPV6 else ''}"
    return f"{_OPTIONS[key.protocol or 'tcp']} {_endpoint(key.address, key.port)}"


class _Writer:
    """Lines, and what they do not say."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.warnings: list[str] = []

    def service(self, service: VirtualService) -> None:
        """A service and its real servers."""
        key, place = service.key, _service_words(service.key)
        if service.keep:
            kept = ", ".join(sorted(service.keep))
            self.warnings.append(f"{key}: {kept} kept for another controller, written with defaults")
        self.lines.append(" ".join(["-A", place, "-s", service.scheduler, *self._options(service)]))
        for real in sorted(service.reals, key=_real_order):
            self._real(key, place, real)

    def _options(self, service: VirtualService) -> list[str]:
        words = []
        timeout, mask = service.persistence_timeout, service.persistence_netmask
        if timeout is not None:
            words += ["-p", str(timeout)]
            if timeout > LONGEST_PERSISTENCE:
                limit = f"at most {LONGEST_PERSISTENCE} seconds"
                self.warnings.append(f"{service.key}: persistence_timeout {timeout}: ipvsadm --restore takes {limit}")
            if service.key.family is Family.IPV6:
                words += ["-M", str(mask)] if mask != 128 else []
            elif mask != 32:
                bits = mask if isinstance(mask, int) else 0
                words += [
                    "-M",
                    str(IPv4Address((0xFFFFFFFF << (32 - bits)) & 0xFFFFFFFF) if isinstance(mask, int) else mask),
                ]
        if service.persistence_engine is not None:
            words += ["--pe", service.persistence_engine]
        if service.one_packet:
            words.append("-o")
        if service.scheduler_flags:
            words += ["-b", ",".join(sorted(service.scheduler_flags))]
        return words

    def _real(self, key: ServiceKey, place: str, real: RealServer) -> None:
        what = f"{key} {real.endpoint}"
        method = _METHODS.get(real.forwarding)
        if method is None:
            self.warnings.append(f"{what}: left out: ipvsadm has no forwarding method {real.forwarding}")
            return
        if real.forwarding is ForwardingMethod.LOCAL:
            self.warnings.append(f"{what}: forwarding local is written as direct-route, as which it is added")
        if real.port == 0 != key.port and real.forwarding is not ForwardingMethod.MASQUERADE:
            self.warnings.append(f"{what}: port 0 is read as {key.port}, the service's")
        if real.keep:
            kept = ", ".join(sorted(real.keep))
            self.warnings.append(f"{what}: {kept} kept for another controller, written with defaults")
        if real.upper_threshold or real.lower_threshold:
            self.warnings.append(f"{what}: thresholds are not saved by ipvsadm")
        words = ["-a", place, "-r", _endpoint(real.address, real.port), method, "-w", str(real.weight)]
        self.lines.append(" ".join([*words, *self._tunnel(what, real)]))

    def _tunnel(self, what: str, real: RealServer) -> list[str]:
        tunnel = real.tunnel
        if tunnel is None:
            return []
        words = ["--tun-type", str(tunnel.type)]
        if tunnel.type == TunnelType.GUE:
            words += ["--tun-port", str(tunnel.port)]
        if tunnel.type != TunnelType.IPIP:
            if tunnel.checksum and tunnel.remote_checksum:
                self.warnings.append(
                    f"{what}: tunnel: of both checksums ipvsadm takes one; remote_checksum is left out"
                )
            words.append(
                "--tun-csum" if tunnel.checksum else "--tun-remcsum" if tunnel.remote_checksum else "--tun-nocsum"
            )
        return words
