"""The text files under /proc/net, as kernels write them.

Knows: lines seen on real kernels. Must not know: how they are opened.
"""

from __future__ import annotations

import contextlib
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

import ipvskit as ik
from ipvskit.ipvs.proc import parse_connections, parse_totals

HEAD = "Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData\n"
IPV4 = "TCP 0A000102 9C42 0AC801D8 2328 0A0A0102 0050 ESTABLISHED     899\n"
TEMPLATE = "UDP 0A000100 0000 0AC801D8 0035 0A0A0102 0035 ASSURED          57\n"
MARK = "IP  0A000100 0000 00000007 0000 0A0A0102 0000 NONE             57\n"
IPV6 = "TCP 2001:0db8:0000:0000:0000:0000:0000:0001 9C42 2001:0db8:0000:0000:0000:0000:0000:0002 0050 2001:0db8:0000:0000:0000:0000:0000:0003 0050 SYN_RECV         59\n"  # noqa: E501
MIXED = "TCP 0A000102 9C42 0AC801D8 2328 2001:0db8:0000:0000:0000:0000:0000:0003 2328 FIN_WAIT         10\n"
SIP = "UDP 0A000102 13C4 0AC801D8 13C4 0A0A0102 13C4 UDP             299 sip a call id@with  spaces\n"


def one(line: str) -> ik.Connection:
    (found,) = parse_connections([HEAD, line])
    return found


def test_an_ipv4_connection() -> None:
    assert one(IPV4) == ik.Connection(
        "tcp",
        IPv4Address("10.0.1.2"),
        40002,
        IPv4Address("10.200.1.216"),
        9000,
        IPv4Address("10.10.1.2"),
        80,
        "ESTABLISHED",
        899,
    )
    assert str(one(IPV4)) == "tcp 10.0.1.2:40002 -> 10.200.1.216:9000 -> 10.10.1.2:80 ESTABLISHED 899s"


def test_templates_ipv6_and_mixed_families() -> None:
    assert one(TEMPLATE).is_template
    assert one(MARK).protocol == "ip"
    assert not one(IPV4).is_template
    assert (one(IPV6).client, one(IPV6).destination) == (IPv6Address("2001:db8::1"), IPv6Address("2001:db8::3"))
    assert (one(MIXED).virtual, one(MIXED).destination) == (IPv4Address("10.200.1.216"), IPv6Address("2001:db8::3"))


def test_data_of_a_persistence_engine_is_free_text() -> None:
    assert (one(SIP).engine, one(SIP).engine_data) == ("sip", "a call id@with  spaces")


@pytest.mark.parametrize(
    "line", ["", "TCP", IPV4.replace("9C42", "port"), IPV4.replace("899", ""), IPV4.replace("0A000102", "0A0001")]
)
def test_broken_lines_are_refused(line: str) -> None:
    with pytest.raises(ik.ProtocolError, match="ip_vs_conn"):
        one(line)


@given(st.text())
def test_any_text_parses_or_is_refused(text: str) -> None:
    with contextlib.suppress(ik.ProtocolError):
        assert len(list(parse_connections([text]))) <= 1


TOTALS = """   Total Incoming Outgoing         Incoming         Outgoing
   Conns  Packets  Packets            Bytes            Bytes
       A       14        C              4D2                0

 Conns/s   Pkts/s   Pkts/s          Bytes/s          Bytes/s
       1        2        3               FF                0
"""


def test_totals() -> None:
    assert parse_totals(TOTALS) == ik.Stats(10, 20, 12, 1234, 0, 1, 2, 3, 255, 0)
    with pytest.raises(ik.ProtocolError):
        parse_totals(TOTALS.partition("\n\n")[0])


@given(st.text())
def test_any_text_of_totals_parses_or_is_refused(text: str) -> None:
    with contextlib.suppress(ik.ProtocolError):
        assert isinstance(parse_totals(text), ik.Stats)
