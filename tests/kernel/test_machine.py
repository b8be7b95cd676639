"""The state machine of tests/property on a real kernel; and the fake kernel beside it, request by request.

Knows: how to get a fresh namespace for every example. Must not know: what is right (`tests.property.oracle`).
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import run_state_machine_as_test

import ipvskit as ik
from ipvskit.ipvs.backend import KernelBackend
from ipvskit.ipvs.sysctls import FOLDER
from ipvskit.testing.fake import LOOPBACK, FakeKernel
from ipvskit.testing.namespaces import TestNetNS
from tests.property import raw
from tests.property.machine import IpvsMachine

if TYPE_CHECKING:
    from ipvskit.ipvs.backend import Backend
    from ipvskit.ipvs.client import Ipvs

pytestmark = pytest.mark.ipvs

INT_MAX = 2**31 - 1
COMMON = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)


def ticks_of(ipvs: Ipvs) -> int:
    """The kernel's ticks per second, by the longest timeout that it takes."""
    for ticks in (100, 250, 300, 1000):
        try:
            ipvs.set_timeouts(tcp=INT_MAX // ticks)
        except ik.KernelError:
            continue
        return ticks
    raise AssertionError("no usual number of ticks per second")


@pytest.fixture(scope="module")
def ticks() -> int:
    with TestNetNS() as namespace, ik.Kernel(namespace) as kernel:
        return ticks_of(kernel.ipvs)


def test_real_kernel_does_what_the_oracle_says(ticks: int) -> None:
    class OnKernel(IpvsMachine):
        def open_kernel(self) -> ik.Kernel:
            self.ticks = ticks
            with TestNetNS() as namespace:
                return ik.Kernel(namespace)

    run_state_machine_as_test(OnKernel, settings=settings(COMMON, max_examples=25, stateful_step_count=20))


def test_fake_kernel_answers_as_the_real_one_does(ticks: int) -> None:
    @given(
        st.sampled_from([[], raw.usual()]),
        st.lists(st.lists(raw.requests(), min_size=1, max_size=12), min_size=1, max_size=4),
    )
    @settings(COMMON, max_examples=60)
    def compare(first: list[bytes], portions: list[list[bytes]]) -> None:
        fake = FakeKernel(release=os.uname().release, ticks=ticks, interfaces=[LOOPBACK]).backend()
        with TestNetNS() as namespace:
            real = KernelBackend(namespace)
            try:
                for portion in [first, *portions]:
                    assert raw.verdicts(fake, portion) == raw.verdicts(real, portion)
                    assert raw.everything(fake) == raw.everything(real)
            finally:
                real.close()

    compare()


#: Of the machine's memory, of all namespaces, or there only when a scheduler was loaded.
NOT_COMPARED = {"sync_qlen_max", "debug_level", "lblc_expiration", "lblcr_expiration"}
TEXTS = ["0", "1", "2", "3", "4", "8", "9", "64", "65", "128", "2147483648", "abc", "1 2", "50 3", "3 50", "7", "0-0"]


def _written(backend: Backend, name: str, text: str) -> str:
    path = f"{FOLDER}/{name}"
    try:
        with backend.open(path, "w") as file:
            file.write(text)
        with backend.open(path) as file:
            return file.read()
    except OSError as error:
        return errno.errorcode[error.errno or 0]


def _held(backend: Backend, name: str) -> str:
    try:
        with backend.open(f"{FOLDER}/{name}") as file:
            return file.read()
    except OSError as error:
        return errno.errorcode[error.errno or 0]


def test_fake_settings_are_those_of_the_real_kernel(namespace: TestNetNS) -> None:
    fake = FakeKernel(release=os.uname().release, cpus=os.cpu_count() or 1).backend()
    real = KernelBackend(namespace)
    try:
        for name in sorted(ik.SYSCTLS.keys() - NOT_COMPARED):
            assert (name, _held(fake, name)) == (name, _held(real, name))
            for text in TEXTS:
                assert (name, text, _written(fake, name, text)) == (name, text, _written(real, name, text))
    finally:
        real.close()
