"""Everything that can be asked of tracked flows and done to them.

Knows: the operations in the user's terms. Must not know: netlink, desired state.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, TypeVar

from ipvskit.conntrack.deleting import LOST, delete
from ipvskit.conntrack.records import AF_INET, AF_INET6, FLOW, flow_record, flows_of
from ipvskit.conntrack.refusals import DELETE, LIST, refusal
from ipvskit.conntrack.report import FlowFailure, FlowReport
from ipvskit.conntrack.stale import rules_of
from ipvskit.errors import AnswerLost, InconsistentDump, InvalidConfig
from ipvskit.model.address import Family
from ipvskit.model.flow import Flow, parse_protocol
from ipvskit.model.key import PROTOCOLS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from ipvskit._native import Answer
    from ipvskit.conntrack.backend import ConntrackBackend
    from ipvskit.model.address import IPAddress
    from ipvskit.model.flow import EndpointLike

__all__ = ["Conntrack"]

ATTEMPTS = 8

#: Keys of a mapping: whichever of the forms its owner uses.
_Place = TypeVar("_Place", bound="EndpointLike")

_FAMILIES = {Family.IPV4: AF_INET, Family.IPV6: AF_INET6}


class Conntrack:
    """The flows that the kernel tracks in one network namespace, as `Kernel.conntrack`. All calls may come from any thread.

    A protocol is "tcp", "udp" or "sctp", a family "ipv4" or "ipv6" (`Family`), None for both. Endpoints are pairs ("192.0.2.10", 53), with addresses
    as text or values, or text "192.0.2.10:53". Methods raise InvalidConfig before anything is sent, ConntrackNotAvailable where the kernel tracks no
    flows, PermissionDenied, and InconsistentDump.
    """

    def __init__(self, backend: ConntrackBackend) -> None:
        self._backend = backend

    def flows(self, protocol: str = "udp", family: Family | str | None = None) -> list[Flow]:
        """The tracked flows of a protocol, in no order."""
        number, families = PROTOCOLS[parse_protocol(protocol)], _families(family)
        return [flow for one in families for flow in flows_of(one, self._listed(one, number))]

    def delete(self, flows: Iterable[Flow]) -> FlowReport:
        """Delete flows, in few system calls; what is gone already is no failure.

        A flow is known by its answers' direction, and where it has a number (`id`), as all that are listed have, by that too: a flow that has taken
        its place since then is left alone. The next packet makes a new one, which takes today's way.
        """
        given = list(flows) if not isinstance(flows, Flow) else None
        if given is None or not all(isinstance(flow, Flow) for flow in given):
            raise InvalidConfig("flows", flows, "several flows (Flow)")
        return self._delete(b"".join(map(flow_record, given)))

    def delete_stale(
        self,
        destinations: Mapping[_Place, Collection[EndpointLike]],
        ports: Mapping[int, Collection[EndpointLike]] | None = None,
        *,
        protocol: str = "udp",
        family: Family | str | None = None,
        node_addresses: Collection[str | IPAddress] | None = None,
    ) -> FlowReport:
        """Delete the flows to services that are answered by none of their endpoints, and no others.

        `destinations` says which endpoints each service address has: ("192.0.2.10", 53) to [("10.0.0.1", 5353), ...], or to [] where it has none and
        every flow to it is stale. `ports` does the same for ports of the node itself (node ports), with any destination address, or one of
        `node_addresses` where these are given; a destination that `destinations` has does not count there. It takes a fraction of a second for some
        hundred thousand flows, and changes nothing before all flows were looked at.
        """
        number, families = PROTOCOLS[parse_protocol(protocol)], _families(family)
        rules = rules_of(destinations, ports or {}, node_addresses)
        asked = [one for one in families if not rules[one].are_empty]
        return self._delete(b"".join([rules[one].stale(self._listed(one, number)) for one in asked]))

    def _listed(self, family: int, protocol: int) -> bytes:
        data = b""
        for _ in range(ATTEMPTS):
            rows = self._backend.flows(family, protocol)
            if rows.refused is not None:
                raise refusal(LIST, rows.refused.error, None, rows.refused.text)
            data = rows.data
            if not rows.interrupted:
                return data
        raise InconsistentDump("flows", ATTEMPTS, flows_of(family, data))

    def _delete(self, records: bytes) -> FlowReport:
        outcome = delete(self._backend, records)
        failures = tuple(_failure(records, at, answer) for at, answer in sorted(outcome.refused.items()))
        done = len(records) // FLOW.size - outcome.already - len(failures)
        return FlowReport(done, outcome.already, failures)


def _failure(records: bytes, at: int, answer: Answer) -> FlowFailure:
    record = records[at * FLOW.size : (at + 1) * FLOW.size]
    (flow,) = flows_of(FLOW.unpack(record)[5], record)
    if answer is LOST:
        reason = "the kernel's answer did not arrive: the flow may be there still"
        return FlowFailure(flow, AnswerLost(errno.ENOBUFS, reason, operation=DELETE, key=flow))
    return FlowFailure(flow, refusal(DELETE, answer.error, flow, answer.text))


def _families(family: Family | str | None) -> list[int]:
    if family is None:
        return list(_FAMILIES.values())
    try:
        return [_FAMILIES[Family(family)]]
    except ValueError:
        raise InvalidConfig("family", family, '"ipv4", "ipv6" or None for both') from None
