"""Values: their text forms round-trip, and no text makes them fail in any other way than InvalidConfig.

Knows: the values' promises. Must not know: the kernel.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import ipvskit as ik
from ipvskit.ipvs import operations as ops
from ipvskit.model.options import read_options
from ipvskit.testing import strategies

if TYPE_CHECKING:
    from collections.abc import Callable

PARSED: list[tuple[Callable[[Any], Any], st.SearchStrategy[Any]]] = [
    (ik.ServiceKey.parse, strategies.service_keys()),
    (ik.Tunnel.parse, strategies.tunnels()),
    (ik.RealServer.parse, strategies.real_servers()),
    (ik.VirtualService.parse, strategies.virtual_services()),
    (ik.SyncDaemon.parse, strategies.sync_daemons()),
]
NAMES = ["key", "tunnel", "real server", "service", "daemon"]

#: Pieces of valid texts, in any order, between other characters.
PIECES = [
    *[
        "192.0.2.1",
        "[2001:db8::1]",
        "2001:db8::1",
        "fwmark:",
        ":80",
        "/tcp",
        "/udp",
        "/v4",
        "/v6",
        "0",
        "7",
        "99999999999",
    ],
    *[
        "scheduler=",
        "sh",
        "sh-port",
        ",",
        "scheduler_flags=",
        "persistence_timeout=",
        "persistence_netmask=",
        "one_packet=",
    ],
    *[
        "yes",
        "no",
        "weight=",
        "forwarding=",
        "tunnel",
        "tunnel=",
        "gue:6080",
        "+csum",
        "upper_threshold=",
        "\n",
        "  -> ",
    ],
    *[
        "master",
        "backup",
        "eth0",
        "group=",
        "224.0.0.81",
        "ff02::1",
        "max_length=",
        " ",
        "=",
        "%eth0",
        "\u0663",
        "\u00b2",
        "\x00",
        "-1",
    ],
]
texts = st.text() | st.lists(st.sampled_from(PIECES), max_size=12).map("".join)


@pytest.mark.parametrize(("parse", "values"), PARSED, ids=NAMES)
def test_text_forms_round_trip(parse: Callable[[Any], Any], values: st.SearchStrategy[Any]) -> None:
    @given(values)
    def check(value: Any) -> None:
        assert parse(str(value)) == value
        assert hash(parse(str(value))) == hash(value)
        assert parse(value) is value

    check()


@pytest.mark.parametrize("parse", [parse for parse, _ in PARSED], ids=NAMES)
def test_any_text_is_a_value_or_refused(parse: Callable[[Any], Any]) -> None:
    @given(texts)
    def check(text: str) -> None:
        try:
            value = parse(text)
        except ik.InvalidConfig:
            return
        assert parse(str(value)) == value

    check()


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (ik.Tunnel.parse, "gue:\u00b2"),  # a digit, but not for int()
        (ik.Tunnel.parse, "gue:\u0667"),
        (ik.VirtualService.parse, "192.0.2.1:80/tcp persistence_timeout=9 persistence_netmask=\u00b2"),
        (ik.RealServer.parse, "10.0.0.\u00b2:80"),
        (ik.RealServer.parse, "::ffff:10.0.0.1"),  # the kernel does not take it for unicast
        (ik.ServiceKey.parse, "[fe80::1%eth0]:80/tcp"),
        (ik.ServiceKey.parse, "fwmark:" + "9" * 5000),  # more digits than int() takes
        (ik.RealServer.parse, "10.0.0.1:80 weight=" + "9" * 5000),
        (ik.Tunnel.parse, "gue:" + "9" * 5000),
        (ik.VirtualService.parse, "192.0.2.1:80/tcp persistence_timeout=9 persistence_netmask=" + "9" * 5000),
    ],
)
def test_texts_that_were_accepted_or_failed_otherwise(parse: Callable[[Any], Any], text: str) -> None:
    with pytest.raises(ik.InvalidConfig):
        parse(text)


@given(st.text(), st.lists(st.text()))
def test_any_words_are_options_or_refused(what: str, words: list[str]) -> None:
    try:
        found = read_options(what, words, {"number": int, "text": str, "flag": bool, "several": list})
    except ik.InvalidConfig:
        return
    assert len(found) == len(words)


@given(strategies.real_servers())
def test_a_real_server_with_nothing_replaced_is_the_same(real: ik.RealServer) -> None:
    assert real.replace() == real


@given(strategies.virtual_services())
def test_a_service_with_nothing_replaced_is_the_same(service: ik.VirtualService) -> None:
    assert service.replace() == service
    assert service.replace(reals=()).replace(reals=service.reals) == service


@given(strategies.real_servers(), strategies.real_servers())
def test_a_real_server_becomes_another_by_replacing_everything(one: ik.RealServer, other: ik.RealServer) -> None:
    names = ("address", "port", "weight", "forwarding", "upper_threshold", "lower_threshold", "tunnel")
    assert one.replace(**{name: getattr(other, name) for name in names}) == other


@given(strategies.virtual_services(), strategies.virtual_services())
def test_a_service_becomes_another_by_replacing_everything(one: ik.VirtualService, other: ik.VirtualService) -> None:
    options = ("persistence_timeout", "persistence_netmask", "persistence_engine", "one_packet")
    names = ("key", "scheduler", "scheduler_flags", *options, "reals")
    assert one.replace(**{name: getattr(other, name) for name in names}) == other


@given(strategies.virtual_services())
def test_a_service_is_none_the_worse_for_losing_its_persistence(service: ik.VirtualService) -> None:
    if service.key.address is not None and service.key.port == 0:
        with pytest.raises(ik.InvalidConfig):
            service.replace(persistence_timeout=None)
    else:
        assert service.replace(persistence_timeout=None).persistence_netmask is None


@given(strategies.virtual_services(), st.sampled_from(strategies.SCHEDULERS))
def test_flags_of_one_scheduler_do_not_pass_to_another(service: ik.VirtualService, scheduler: str) -> None:
    changed = service.replace(scheduler=scheduler)
    assert changed.scheduler_flags == (service.scheduler_flags if scheduler == service.scheduler else frozenset())


@given(strategies.operations())
def test_every_operation_has_a_name_a_command_and_a_request(operation: ops.Operation) -> None:
    described = ops.describe(operation)
    assert described.name
    if not isinstance(operation, ops.UpdateService | ops.UpdateReal):
        assert int.from_bytes(ops.request_of(operation)[:4], sys.byteorder) == described.command
