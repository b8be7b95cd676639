"""Every single request of an apply goes wrong once, in every part of the kernel: the check of what is stale, reading again, writing.

Knows: requests by number. Must not know: what each is for.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any

import pytest

import ipvskit as ik
from ipvskit.devices.records import Command
from tests.property.engine_support import everything, filled
from tests.property.test_engine_failures import OTHER, WORK, check, converges, planned

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.property.watched import Request, Watched

_ERRORS = [
    pytest.param(lambda: ik.TimedOut(errno.ETIMEDOUT, operation="test"), id="timeout"),
    pytest.param(lambda: ik.ProtocolError("garbled"), id="garbled"),
    pytest.param(lambda: ik.PermissionDenied(errno.EPERM, operation="test"), id="not permitted"),
]


def _requests() -> int:
    with filled(WORK) as kernel:
        plan = planned(kernel, OTHER)
        kernel.forget()
        kernel.apply(plan).raise_for_failures()
        return len(kernel.requests)


REQUESTS = _requests()


def _fail(kernel: Watched, number: int, error: Callable[[], Exception]) -> list[Request]:
    """Let the request of this number fail before it is executed; all before it were."""
    seen: list[Request] = []

    def look(request: Request) -> None:
        seen.append(request)
        if len(seen) == number + 1:
            raise error()

    kernel.hook = look
    return seen


@pytest.mark.parametrize("on_error", ["continue", "stop"])
@pytest.mark.parametrize("error", _ERRORS)
@pytest.mark.parametrize("number", range(REQUESTS))
def test_promise_7_any_request_may_fail(number: int, error: Callable[[], Exception], on_error: Any) -> None:
    with filled(WORK) as kernel:
        plan = planned(kernel, OTHER)
        was = everything(kernel)
        seen = _fail(kernel, number, error)
        report = None
        try:
            report = kernel.apply(plan, on_error=on_error)
        except ik.IpvskitError:
            kernel.hook = None
            # Only what is read before the first write may raise.
            assert not any(request.write for request in seen)
            assert everything(kernel) == was
        kernel.hook = None
        if report is not None:
            check(kernel, plan, report)
            if on_error == "stop":
                assert report.stopped == bool(report.failures)
                # Where one answer is missing for several, none of them is known to be done.
                assert len({str(failure.error) for failure in report.failures}) <= 1
        converges(kernel, OTHER)


_LOSSES = [errno.ENOBUFS, errno.ETIMEDOUT]


@pytest.mark.parametrize("loss", _LOSSES)
@pytest.mark.parametrize("command", [None, *Command])
@pytest.mark.parametrize("nth", [1, 2])
def test_promise_7_answers_about_devices_get_lost(nth: int, command: Command | None, loss: int) -> None:
    with filled(WORK) as kernel:
        plan = planned(kernel, OTHER)
        kernel.links.lose_answers(command=command, nth=nth, error=loss)
        report = kernel.apply(plan)
        kernel.links.tell_the_truth()
        check(kernel, plan, report)
        converges(kernel, OTHER)


@pytest.mark.parametrize("error", [errno.ENOMEM, errno.EBUSY, errno.EINTR])
@pytest.mark.parametrize("command", list(Command))
@pytest.mark.parametrize("nth", [1, 2])
def test_promise_7_refusals_about_devices(nth: int, command: Command, error: int) -> None:
    back = ik.State(WORK.services.values(), sets=WORK.sets.values())
    for target in (OTHER, back):
        with filled(WORK) as kernel:
            plan = planned(kernel, target)
            was = everything(kernel)
            kernel.links.refuse(error, command=command, nth=nth)
            report = None
            try:
                report = kernel.apply(plan)
            except ik.KernelError:
                assert everything(kernel) == was
            kernel.links.tell_the_truth()
            if report is not None:
                check(kernel, plan, report)
            converges(kernel, target)
