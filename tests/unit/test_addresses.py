"""Addresses that are made all at once are like any others.

Knows: the standard library's addresses. Must not know: why they are made that way.
"""

from __future__ import annotations

import pickle
from ipaddress import IPv4Address, IPv6Address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipvskit.model import address
from ipvskit.model.address import IPAddress, addresses_of

NUMBERS = st.lists(st.integers(0, 2**32 - 1), max_size=5)


def same(made: IPAddress, usual: IPAddress) -> None:
    assert made == usual
    assert hash(made) == hash(usual)
    assert (str(made), made.packed, repr(made), int(made)) == (str(usual), usual.packed, repr(usual), int(usual))
    assert pickle.loads(pickle.dumps(made)) == usual
    assert (made.is_private, made.version) == (usual.is_private, usual.version)
    assert made in ip_network(f"{usual}/{usual.max_prefixlen}")


@given(NUMBERS)
def test_ipv4(numbers: list[int]) -> None:
    for made, number in zip(addresses_of(IPv4Address, numbers), numbers, strict=True):
        same(made, IPv4Address(number))


@given(st.lists(st.integers(0, 2**128 - 1), max_size=5))
def test_ipv6(numbers: list[int]) -> None:
    for made, number in zip(addresses_of(IPv6Address, numbers), numbers, strict=True):
        same(made, IPv6Address(number))
        assert isinstance(made, IPv6Address)
        assert made.scope_id is None


def test_with_another_standard_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(address, "_SLOTS", {})
    assert addresses_of(IPv4Address, [1, 2]) == [IPv4Address(1), IPv4Address(2)]
