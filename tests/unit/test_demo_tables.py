"""The demo's tables where the demo itself has no such values: large numbers, IPv6, other forwarding methods.

Knows: what `ipvsadm -Ln` prints. Must not know: the kernel.
"""

from __future__ import annotations

import pytest

import ipvskit as ik
from tests.demo import tables

INFO = ik.Info((1, 2, 1), 4096)


def status(number: int) -> ik.ServiceStatus:
    real = ik.RealServer("[2001:db8::2]:80", weight=7, forwarding="tunnel")
    service = ik.VirtualService("[2001:db8::1]:80/tcp", scheduler="wrr", reals=[real])
    stats = ik.Stats(connections=number, connection_rate=number)
    return ik.ServiceStatus(service, stats, (ik.RealServerStatus(real, 3, 12, 0, stats),), stale=False)


def test_the_table_is_ipvsadms() -> None:
    assert tables.table(INFO, [status(1)]).splitlines() == [
        "IP Virtual Server version 1.2.1 (size=4096)",
        "Prot LocalAddress:Port Scheduler Flags",
        "  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn",
        "TCP  [2001:db8::1]:80 wrr",
        "  -> [2001:db8::2]:80             Tunnel  7      3          12",
    ]


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (99_999_999, "99999999"),
        (100_000_000, "100000K"),
        (999_999_999, "999999K"),
        (1_000_000_000, "1000M"),
        (99_999_999_999, "99999M"),
        (100_000_000_000, "100G"),
        (100_000_000_000_000, "100T"),
    ],
)
def test_large_numbers_are_shortened(number: int, text: str) -> None:
    for view in (tables.statistics, tables.rates):
        assert [line.split()[2] for line in view(INFO, [status(number)]).splitlines()[3:]] == [text, text]
