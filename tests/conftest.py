"""Fixtures for all tests: namespaces and handles on the kernel.

Tests never touch the namespace that they are started in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from ipvskit import IPVSNotAvailable, Kernel, PermissionDenied
from ipvskit.testing.namespaces import TestNetNS
from tests.examples import PROFILE

if TYPE_CHECKING:
    from collections.abc import Iterator


# How long an example takes says nothing on a machine with two cores and neighbours. The default tries the same examples every time, so that what
# somebody changed is what fails; new ones are for the night.
settings.register_profile("default", deadline=None, derandomize=True)
settings.register_profile("nightly", deadline=None, max_examples=2000, suppress_health_check=list(HealthCheck))
settings.register_profile("instrumented", settings.get_profile("default"), max_examples=25)
settings.load_profile(PROFILE)


@pytest.fixture
def namespace() -> Iterator[TestNetNS]:
    """A fresh network namespace with the loopback interface up."""
    with TestNetNS() as fresh:
        yield fresh


@pytest.fixture
def kernel(namespace: TestNetNS) -> Iterator[Kernel]:
    """The real kernel in a fresh namespace. Only for tests marked `ipvs`, which run where there is IPVS."""
    with Kernel(namespace) as handle:
        try:
            handle.ipvs.info()
        except (IPVSNotAvailable, PermissionDenied) as error:
            pytest.fail(f"tests marked ipvs run on a kernel that has it, as root: {error}")
        yield handle
