"""A Hypothesis state machine over the engine: random states, scopes, drains, rivals, restarts. The same rules for the fake kernel and for real ones.

Knows: what has to be true after every step. Must not know: which kernel it is.
"""

from __future__ import annotations

import tempfile
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import ipvskit as ik
from ipvskit.testing.state_strategies import drains, edited, scopes, states, within
from tests.property.engine_support import ALL, everything

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["EngineMachine"]

#: What a plan may meet without being wrong: foreign lists that refer to a set, types that cannot be swapped, settings that are missing.
_LEGITIMATE = (ik.SetReferenced, ik.SetTypeMismatch, ik.SetBusy, ik.SysctlNotAvailable)


class EngineMachine(RuleBasedStateMachine):
    """One fresh namespace per run. Override `open_kernel`, `open_again` and, where connections can be had, `connect` and `disconnect`."""

    kernel: ik.Kernel
    #: Which parts states have.
    parts: Mapping[str, bool] = MappingProxyType({})
    can_connect = False

    def open_kernel(self) -> ik.Kernel:
        """A handle on a fresh namespace."""
        raise NotImplementedError

    def open_again(self) -> ik.Kernel:
        """Another handle on the same namespace: a rival's, or that of a restarted controller."""
        raise NotImplementedError

    def connect(self, key: ik.ServiceKey, real: ik.RealServer) -> Callable[[], object]:
        """Make a connection; returns what ends it."""
        raise NotImplementedError

    # --- beginning and end ----------------------------------------------------------------------------------------------------------

    @initialize(data=st.data())
    def begin(self, data: st.DataObject) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._path = Path(self._folder.name) / "ledger.json"
        self.kernel = self.open_kernel()
        self.rival = self.open_again()
        self.ledger = ik.Ledger(self._path)
        self.open_connections: list[Callable[[], object]] = []
        self._converge(data.draw(states(**self.parts)), ALL, None)

    def teardown(self) -> None:
        if hasattr(self, "kernel"):
            for end in self.open_connections:
                with suppress(Exception):
                    end()
            self.kernel.close()
            self.rival.close()
            self._folder.cleanup()

    def _wish(self, data: st.DataObject, scope: ik.Scope) -> ik.State:
        """Often a little different from what there is, often something else altogether."""
        there = within(self.rival.snapshot().to_state(), scope)
        if data.draw(st.booleans()):
            return within(data.draw(states(keep=data.draw(st.booleans()), **self.parts)), scope)
        there = ik.State(there.services.values(), sets=there.sets.values(), devices=_dummies(there))
        return within(data.draw(edited(there))[1], scope)

    # --- rules ----------------------------------------------------------------------------------------------------------------------

    @rule(data=st.data(), scope=scopes(), atomic=st.booleans())
    def wanted(self, data: st.DataObject, scope: ik.Scope, atomic: bool) -> None:
        self._converge(self._wish(data, scope), scope, None, atomic=atomic)

    @rule(data=st.data(), scope=scopes(), drain=drains())
    def drained(self, data: st.DataObject, scope: ik.Scope, drain: ik.Drain) -> None:
        self._converge(self._wish(data, scope), scope, drain)

    @rule(data=st.data())
    def without_a_scope(self, data: st.DataObject) -> None:
        before = self.rival.snapshot()
        state = data.draw(states(**self.parts))
        report = self.kernel.apply(ik.diff(self.kernel.snapshot(), state))
        now = self.rival.snapshot()
        assert before.services.keys() <= now.services.keys()
        assert before.sets.keys() <= now.sets.keys()
        assert before.devices.keys() <= now.devices.keys()
        for key, service in before.services.items():
            there = {(real.address, real.port) for real in now.services[key].reals}
            assert {(real.address, real.port) for real in service.reals} <= there
        self._check_failures(report)

    @rule(data=st.data(), theirs=states(settings=False))
    def overtaken(self, data: st.DataObject, theirs: ik.State) -> None:
        """A rival works on the same objects between look and apply: nothing is written, or the plan still fits."""
        plan = ik.diff(self.kernel.snapshot(), self._wish(data, ALL), scope=ALL).guard(1.0)
        with suppress(ik.BulkFailed):
            self.rival.apply(ik.diff(self.rival.snapshot(), theirs))
        was = everything(self.rival)
        report = None
        with suppress(ik.StalePlan):
            report = self.kernel.apply(plan)
        if report is None:
            assert everything(self.rival) == was
        else:
            assert len(report.outcomes) == len(plan)

    @rule(data=st.data(), weight=st.integers(0, 3))
    def somebody_changes_a_weight(self, data: st.DataObject, weight: int) -> None:
        reals = [(service.key, real) for service in self.rival.ipvs.services() for real in service.reals]
        if reals:
            key, real = data.draw(st.sampled_from(reals))
            self.rival.ipvs.update_real(key, real, weight=weight)

    @rule(data=st.data())
    def somebody_deletes_a_service(self, data: st.DataObject) -> None:
        keys = [service.key for service in self.rival.ipvs.services(reals=False)]
        if keys:
            self.rival.ipvs.delete_service(data.draw(st.sampled_from(keys)))

    @precondition(lambda self: self.can_connect)
    @rule(data=st.data())
    def a_client_connects(self, data: st.DataObject) -> None:
        alive = [(service.key, real) for service in self.rival.ipvs.services() for real in service.reals if real.weight]
        if alive:
            self.open_connections.append(self.connect(*data.draw(st.sampled_from(alive))))

    @precondition(lambda self: bool(self.open_connections))
    @rule(data=st.data())
    def a_client_goes(self, data: st.DataObject) -> None:
        end = data.draw(st.sampled_from(self.open_connections))
        self.open_connections.remove(end)
        end()

    @rule(with_ledger=st.booleans())
    def restarted(self, with_ledger: bool) -> None:
        self.kernel.close()
        self.kernel = self.open_again()
        self.ledger = ik.Ledger(self._path)
        if with_ledger:
            self.kernel.snapshot([], ledger=self.ledger)

    # --- what has to be true --------------------------------------------------------------------------------------------------------

    def _converge(
        self, state: ik.State, scope: ik.Scope, drain: ik.Drain | None, *, atomic: bool = False
    ) -> ik.Reconciled:
        was = everything(self.rival)
        busy = self._busy(scope, drain)
        done = ik.reconcile(
            self.kernel, state, scope=scope, drain=drain, ledger=self.ledger, atomic=atomic, max_deletes=1.0
        )
        now = everything(self.rival)
        for key, value in was.items():
            if not isinstance(key, str) and key not in scope:
                assert now[key] == value, f"{key} is outside of {scope}"
        self._check_failures(done.report)
        if done.report.ok:
            left = ik.diff(self.kernel.snapshot(), state, scope=scope, drain=drain)
            on_their_way = {outcome.change.key for outcome in done.report.outcomes if outcome.status == "draining"}
            assert not [change for change in left if change.key not in on_their_way], str(left)
            assert bool(done.report.draining) == (done.requeue_after is not None)
        if drain is not None:
            self._check_drained(state, drain, busy)
        return done

    def _busy(self, scope: ik.Scope, drain: ik.Drain | None) -> list[tuple[ik.ServiceKey, ik.RealServer]]:
        """Real servers that this drain would wait for."""
        if drain is None or drain.deadline is not None:
            return []
        services = [service for service in self.rival.ipvs.services(reals=False) if service.key in scope]
        status = self.rival.ipvs.reals_status(service.key for service in services)
        return [
            (service.key, one.real)
            for service in services
            if drain.waits(service.key, one_packet=service.one_packet)
            for one in status[service.key]
            if not drain.idle(one)
        ]

    def _check_drained(self, state: ik.State, drain: ik.Drain, busy: list[tuple[ik.ServiceKey, ik.RealServer]]) -> None:
        now = {service.key: service for service in self.rival.ipvs.services()}
        for key, real in busy:
            wanted = state.services.get(key)
            if wanted is None and not drain.services:
                continue
            there = [one for one in now[key].reals if (one.address, one.port) == (real.address, real.port)]
            assert there, f"{real.endpoint} of {key} had connections"
            if wanted is None or not _has(wanted, real):
                assert there[0].weight == 0

    def _check_failures(self, report: ik.ApplyReport) -> None:
        for failure in report.failures:
            errors: list[Any] = [failure.error]
            if isinstance(failure.error, ik.BulkFailed):
                errors = [each.error for each in failure.error.report.failures]
            assert all(isinstance(error, _LEGITIMATE) for error in errors), str(failure)

    @invariant()
    def nothing_temporary_is_left(self) -> None:
        if hasattr(self, "rival"):
            assert not [name for name in self.rival.ipset.names() if name.startswith("ipvskit-tmp-")]

    @invariant()
    def the_ledger_can_be_read(self) -> None:
        if hasattr(self, "ledger"):
            assert ik.Ledger(self._path).keys == self.ledger.keys


def _has(service: ik.VirtualService, real: ik.RealServer) -> bool:
    if "reals" in service.keep:
        return True
    return any((one.address, one.port) == (real.address, real.port) for one in service.reals)


def _dummies(state: ik.State) -> list[ik.Device]:
    """Devices without the addresses that the kernel gives them by itself."""
    return [
        device.replace(addresses=[one for one in device.addresses if not one.is_link_local])
        for device in state.devices.values()
        if device.kind == "dummy"
    ]
