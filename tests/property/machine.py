"""A Hypothesis state machine over all operations: the same rules for the fake kernel and for a real one.

Knows: how an operation is called, and that the client says what the oracle says. Must not know: which kernel it is.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

import ipvskit as ik
from ipvskit import operations as ops
from ipvskit.testing import strategies
from tests.property.oracle import Model, RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable

# Few of each, so that operations meet what others made.
KEYS = [
    ik.ServiceKey.parse(text)
    for text in (
        "192.0.2.1:80/tcp",
        "192.0.2.1:80/udp",
        "192.0.2.1:0/tcp",
        "192.0.2.1:80/sctp",
        "[2001:db8::1]:80/tcp",
        "[2001:db8::1]:0/udp",
        "fwmark:1/v4",
        "fwmark:1/v6",
    )
]
ADDRESSES = [ip_address(text) for text in ("10.0.0.1", "10.255.255.255", "2001:db8:1::1", "2001:db8:1::2")]
PORTS = [0, 80, 8080]

keys = st.sampled_from(KEYS)
addresses = st.sampled_from(ADDRESSES)
ports = st.sampled_from(PORTS)
services = strategies.virtual_services(keys, addresses=addresses, ports=ports)
operations = strategies.operations(keys, addresses=addresses, ports=ports, interfaces=["lo", "lo", "lo", "missing0"])
# Of the whole namespace: rare among all others, and to be met with daemons running and services there.
wide = st.one_of(
    st.just(ops.Flush()),
    st.builds(ops.StartDaemon, strategies.sync_daemons(["lo"])),
    st.builds(ops.StopDaemon, st.sampled_from(ik.DaemonRole)),
)

_CALLS: dict[type[ops.Operation], Callable[[ik.Ipvs, Any], None]] = {
    ops.AddService: lambda ipvs, one: ipvs.add_service(one.service),
    ops.ReplaceService: lambda ipvs, one: ipvs.replace_service(one.service),
    ops.UpdateService: lambda ipvs, one: ipvs.update_service(one.key, **one.changes),
    ops.DeleteService: lambda ipvs, one: ipvs.delete_service(one.key),
    ops.AddReal: lambda ipvs, one: ipvs.add_real(one.key, one.real),
    ops.ReplaceReal: lambda ipvs, one: ipvs.replace_real(one.key, one.real),
    ops.UpdateReal: lambda ipvs, one: ipvs.update_real(one.key, ik.RealServer(one.address, one.port), **one.changes),
    ops.DeleteReal: lambda ipvs, one: ipvs.delete_real(one.key, ik.RealServer(one.address, one.port)),
    ops.Zero: lambda ipvs, one: ipvs.zero(one.key),
    ops.Flush: lambda ipvs, one: ipvs.flush(),
    ops.SetTimeouts: lambda ipvs, one: ipvs.set_timeouts(tcp=one.tcp, tcp_fin=one.tcp_fin, udp=one.udp),
    ops.StartDaemon: lambda ipvs, one: ipvs.start_daemon(one.daemon),
    ops.StopDaemon: lambda ipvs, one: ipvs.stop_daemon(one.role),
}


class IpvsMachine(RuleBasedStateMachine):
    """One fresh namespace per run; `open_kernel` makes it."""

    kernel: ik.Kernel
    ticks: int

    def open_kernel(self) -> ik.Kernel:
        raise NotImplementedError

    @initialize()
    def begin(self) -> None:
        self.kernel = self.open_kernel()
        self.ipvs = self.kernel.ipvs
        self.model = Model(self.ticks)

    def teardown(self) -> None:
        if hasattr(self, "kernel"):
            for daemon in self.ipvs.daemons():
                self.ipvs.stop_daemon(daemon.role)
            self.kernel.close()

    # --- changes --------------------------------------------------------------------------------------------------------------------

    @rule(operation=operations | wide)
    def call(self, operation: ops.Operation) -> None:
        expected = self.model.bulk([operation])
        kinds = [kind for _, kind in expected.failures]
        try:
            _CALLS[type(operation)](self.ipvs, operation)
            raised: list[type[Exception]] = []
        except ik.BulkFailed as failed:
            raised = [type(failure.error) for failure in failed.report.failures]
            assert len(raised) > 1
        except ik.IpvskitError as error:
            raised = [type(error)]
        assert raised == kinds

    @rule(some=st.lists(operations, max_size=12), stop=st.booleans())
    def bulk(self, some: list[ops.Operation], stop: bool) -> None:
        expected = self.model.bulk(some, stop)
        report = self.ipvs.bulk(some, on_error="stop" if stop else "continue")
        failures = [(failure.index, type(failure.error)) for failure in report.failures]
        assert sorted(failures, key=str) == sorted(expected.failures, key=str)
        assert (report.done, len(report.skipped)) == (expected.done, expected.skipped)
        assert report.stopped == (stop and bool(expected.failures))

    @rule(some=st.lists(services, min_size=1, max_size=5, unique_by=lambda one: one.key))
    def add_services(self, some: list[ik.VirtualService]) -> None:
        expected = self.model.bulk([ops.AddService(one) for one in some])
        report = self.ipvs.add_services(some)
        assert (report.done, len(report.failures)) == (expected.done, len(expected.failures))

    @rule(service=services, engine=st.booleans())
    def missing_module(self, service: ik.VirtualService, engine: bool) -> None:
        changes: dict[str, Any] = {"persistence_engine": "missing"} if engine else {"scheduler": "missing"}
        kind = ik.PersistenceEngineNotAvailable if engine else ik.SchedulerNotAvailable
        if service.key in self.model.services:
            self.refused(kind, lambda: self.ipvs.replace_service(service.replace(**changes)))
        else:
            self.refused(kind, lambda: self.ipvs.add_service(service.replace(reals=(), **changes)))

    # --- questions ------------------------------------------------------------------------------------------------------------------

    @rule(key=keys)
    def one_service(self, key: ik.ServiceKey) -> None:
        wanted = self.model.listed().get(key)
        if wanted is None:
            self.refused(ik.ServiceNotFound, lambda: self.ipvs.service(key))
            self.refused(ik.ServiceNotFound, lambda: self.ipvs.reals(key))
            self.refused(ik.ServiceNotFound, lambda: self.ipvs.service_status(key))
        else:
            assert self.ipvs.service(key) == wanted == self.ipvs.service_status(key).service
            assert self.ipvs.reals(key) == list(wanted.reals)

    @rule(some=st.lists(keys, unique=True))
    def several_services(self, some: list[ik.ServiceKey]) -> None:
        listed = self.model.listed()
        if all(key in listed for key in some):
            assert self.ipvs.get_services(some) == [listed[key] for key in some]
        else:
            self.refused(ik.ServiceNotFound, lambda: self.ipvs.get_services(some))

    @rule(key=keys, address=addresses, port=ports)
    def one_real(self, key: ik.ServiceKey, address: Any, port: int) -> None:
        wanted = ik.RealServer(address, port)
        try:
            place = self.model.held(key, address, port)
        except RefusedError as refused:
            self.refused(refused.kind, lambda: self.ipvs.real(key, wanted))
        else:
            assert self.ipvs.real(key, wanted) == self.model.reals[key][place]

    @rule()
    def without_reals(self) -> None:
        assert {one.key: one for one in self.ipvs.services(reals=False)} == self.model.services

    @invariant()
    def same(self) -> None:
        if hasattr(self, "model"):
            listed = self.model.listed()
            assert {one.key: one for one in self.ipvs.services()} == listed
            assert {one.key: one.service for one in self.ipvs.status()} == listed
            assert {one.role: one for one in self.ipvs.daemons()} == self.model.daemons
            assert self.ipvs.timeouts() == ik.Timeouts(*self.model.timeouts)

    @staticmethod
    def refused(kind: type[Exception], call: Callable[[], object]) -> None:
        with pytest.raises(kind) as caught:
            call()
        assert caught.type is kind
