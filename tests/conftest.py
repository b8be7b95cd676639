"""Fixtures for all tests: namespaces and handles on the kernel.

Tests never touch the namespace that they are started in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ipvskit import IPVSNotAvailable, Kernel, PermissionDenied
from ipvskit.testing.namespaces import TestNetNS

if TYPE_CHECKING:
    from collections.abc import Iterator


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
