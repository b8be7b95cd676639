"""Text forms of states: what is written is read back as it was, and what is read is a state or a clear refusal.

Knows: strategies for all values. Must not know: how texts are read and written.
"""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

import ipvskit as ik
from ipvskit import formats
from ipvskit.formats import schema
from ipvskit.formats.contents import Contents
from ipvskit.model.device import Device
from ipvskit.model.keep import KEEP
from ipvskit.model.sysctl import SYSCTLS, Sysctl
from ipvskit.testing import set_strategies
from ipvskit.testing.strategies import real_servers, sync_daemons, virtual_services

SLOW = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
VALIDATOR = jsonschema.Draft202012Validator(schema.schema())
WORDS = st.text("abcdefghijklmnopqrstuvwxyz0123456789-_.", min_size=1, max_size=12)


@st.composite
def kept_services(draw: st.DrawFn) -> ik.VirtualService:
    service = draw(virtual_services())
    names = draw(
        st.sets(st.sampled_from(["scheduler", "scheduler_flags", "one_packet", "persistence_engine", "reals"]))
    )
    if "reals" not in names and draw(st.booleans()):
        reals = [_kept_real(draw, real) for real in service.reals]
        service = service.replace(reals=reals)
    return service.replace(**dict.fromkeys(names, KEEP))


def _kept_real(draw: st.DrawFn, real: ik.RealServer) -> ik.RealServer:
    names = draw(st.sets(st.sampled_from(["weight", "lower_threshold"])))
    return real.replace(**dict.fromkeys(names, KEEP))


@st.composite
def filled_sets(draw: st.DrawFn) -> ik.Set:
    bare = draw(set_strategies.sets()).replace(name=draw(WORDS.filter(lambda name: not name.startswith("-"))))
    if draw(st.integers(0, 4)) == 0:
        return bare
    return bare.replace(entries=draw(st.lists(set_strategies.entries(bare), max_size=4)))


def _value(one: Sysctl) -> st.SearchStrategy[Any]:
    if one.kind is str:
        return st.sampled_from(["", "0", "0,2-3"])
    if one.kind is tuple:
        return st.tuples(st.integers(0, 10), st.integers(11, 100))
    if one.kind is bool:
        return st.booleans()
    return st.sampled_from([one.low, one.high])


DEVICES = st.builds(
    Device,
    WORDS.filter(lambda name: name not in {".", ".."}),
    kind=st.sampled_from(["dummy", None, "", "veth"]),
    up=st.sampled_from([True, False, None]),
    addresses=st.lists(st.ip_addresses(network="10.0.0.0/8") | st.ip_addresses(network="2001:db8::/32"), unique=True),
)
SETTINGS = st.lists(st.sampled_from(sorted(SYSCTLS)), unique=True, max_size=5).flatmap(
    lambda names: st.fixed_dictionaries({name: _value(SYSCTLS[name]) for name in names})
)
TIMEOUT = st.integers(0, 21474836)


def unique(values: st.SearchStrategy[Any], identity: Any) -> st.SearchStrategy[list[Any]]:
    return st.lists(values, unique_by=identity, max_size=3)


CONTENTS = st.builds(
    Contents,
    services=unique(kept_services(), lambda one: one.key),
    sets=unique(filled_sets(), lambda one: one.name),
    devices=unique(DEVICES, lambda one: one.name),
    sysctls=SETTINGS,
    timeouts=st.none() | st.builds(ik.Timeouts, TIMEOUT, TIMEOUT, TIMEOUT),
    daemons=st.none() | unique(sync_daemons(), lambda one: one.role),
)


# --- there and back -----------------------------------------------------------------------------------------------------------------


@given(CONTENTS)
@SLOW
def test_json_and_back(contents: Contents) -> None:
    text = formats.write_json(contents)
    assert formats.parse_json(text) == contents
    assert formats.parse_json(text.encode()) == contents
    assert formats.detect(text) == "json"
    tree = formats.to_dict(contents)
    assert json.loads(text) == tree
    assert formats.from_dict(tree) == contents
    VALIDATOR.validate(tree)


@given(CONTENTS)
@SLOW
def test_yaml_and_back(contents: Contents) -> None:
    text = formats.write_yaml(contents)
    assert formats.parse_yaml(text) == contents
    assert formats.detect(text) == "yaml"
    tree = formats.to_dict(contents)
    assert yaml.safe_load(text) == tree
    # As others write it, with anchors and aliases.
    assert formats.parse_yaml(yaml.safe_dump(tree, allow_unicode=True)) == contents


@given(st.lists(virtual_services(), unique_by=lambda one: one.key, max_size=4))
@SLOW
def test_ipvsadm_and_back(services: list[ik.VirtualService]) -> None:
    for service in map(expressed, services):
        assume(service is not None)
    text, warnings = formats.write_ipvsadm(Contents(services=services))
    read, notes = formats.parse_ipvsadm(text)
    assert notes == ()
    assert {service.key: in_order(service) for service in read.services} == {
        one.key: expressed(one) for one in services
    }
    lossless = all(expressed(service) == in_order(service) for service in services)
    short = all((service.persistence_timeout or 0) <= 31 * 86400 for service in services)
    assert (warnings == ()) == (lossless and short)
    if lossless:
        assert formats.write_ipvsadm(read)[0] == text
    if text:
        assert formats.detect(text) == "ipvsadm"


def in_order(service: ik.VirtualService) -> ik.VirtualService:
    return service.replace(reals=sorted(service.reals, key=str))


def expressed(service: ik.VirtualService) -> ik.VirtualService | None:
    """What the format can say of it; None where two real servers become the same."""
    reals = []
    for real in service.reals:
        if real.forwarding == "bypass":
            continue
        one = real.replace(upper_threshold=0, lower_threshold=0)
        if one.forwarding == "local":
            one = one.replace(forwarding="direct-route")
        if one.forwarding != "masquerade":
            one = one.replace(port=service.key.port)
        tunnel = one.tunnel
        if tunnel is not None and tunnel.checksum and tunnel.remote_checksum:
            one = one.replace(tunnel=ik.Tunnel(str(tunnel.type), tunnel.port, checksum=True))
        reals.append(one)
    return service.replace(reals=sorted(reals, key=str))


@given(st.lists(filled_sets(), unique_by=lambda one: one.name, max_size=4))
@SLOW
def test_ipset_and_back(sets: list[ik.Set]) -> None:
    pieces, _ = formats.write_ipset(Contents(sets=sets))
    text = "".join(pieces)
    read, _ = formats.parse_ipset(text)
    wanted = [one if one.entries is not None else one.replace(entries=[]) for one in sets]
    assert read.sets == sorted(wanted, key=lambda one: one.type == "list:set")
    if text:
        assert formats.detect(text) == "ipset"


# --- hostile ------------------------------------------------------------------------------------------------------------------------

JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["keep", "10.0.0.1:80/tcp", "a"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.text(max_size=4)
            | st.sampled_from(["key", "name", "type", "entries", "reals", "address", "weight", "role", "up"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=10,
)
SECTIONS = ["ipvskit", "services", "sets", "devices", "sysctls", "timeouts", "daemons"]
DOCUMENTS = st.dictionaries(st.sampled_from(SECTIONS), JUNK | st.lists(JUNK, max_size=3), max_size=5).map(
    lambda one: {"ipvskit": 1} | one
)
WORDS_OF_LINES = """
-A -a -E -e -D -d -C -t -u -f -6 -p -M -s -b -r -g -i -m -w -x -y --set --pe --tun-type --start-daemon -exist # "
create add del flush destroy rename swap COMMIT a b hash:ip list:set hash:net comment timeout 5 -At -p5 --weight=5
10.0.0.1:80 10.0.0.1 [::1]:80 7 -1 master gue 255.255.255.0 sip
"""
LINES = st.lists(st.sampled_from([*WORDS_OF_LINES.split(), "\n", "\n", "\n", "\t", "", 'comment "x']), max_size=30).map(
    " ".join
)
PARSERS = [formats.parse_json, formats.parse_yaml, formats.parse_ipvsadm, formats.parse_ipset, formats.parse]


def survives(parse: Any, text: str | bytes) -> None:
    found = refusal(parse, text)
    if found is not None:
        lines = (text if isinstance(text, bytes) else text.encode(errors="surrogatepass")).count(b"\n") + 1
        assert found.faults
        assert str(found)
        assert all(0 <= fault.line <= lines + 1 and fault.message for fault in found.faults)


def refusal(parse: Any, given: Any) -> ik.InvalidState | None:
    try:
        parse(given)
    except ik.InvalidState as error:
        return error
    return None


@pytest.mark.parametrize("parse", PARSERS, ids=lambda parse: parse.__name__)
@given(text=st.binary(max_size=60) | st.text(max_size=60) | LINES)
@example(text="[" * 100_000)
@example(text='{"a":' * 100_000)
@example(text="- " * 5_000)
@example(text="{a: " * 5_000)
@example(text="9" * 10_000)
@example(text="ipvskit: " + "9" * 10_000)
@example(text='{"ipvskit": ' + "9" * 10_000 + "}")
@example(text='{"ipvskit": 1e999}')
@example(text='{"ipvskit": NaN}')
@example(text="\ufeff{}")
@example(text=b"\xff\xfe{\0}\0")
@example(
    text='{"ipvskit": 1, "sets": [{"name": "\\ud800", "type": "hash:ip", "entries": ["\\ud800", "\\udc80", "\\u0000"]}]}'
)
@example(text='{"ipvskit": 1, "daemons": [{"role": "master", "interface": "\\ud800"}]}')
@example(text='create a hash:ip comment\nadd a 10.0.0.1 comment "\ud800"\n')
@example(text="a: \ud800")
@example(text="? [a]\n: b")
@example(text="a: !!timestamp x\nb: !!int y\nc: !!bool z\nd: !!binary '='")
@example(text="<<: 5\na: 1")
@example(text="? <<\n: [1]")
@SLOW
def test_random_texts(parse: Any, text: str | bytes) -> None:
    survives(parse, text)


@given(DOCUMENTS)
@SLOW
def test_random_documents(tree: dict[str, Any]) -> None:
    survives(formats.parse_json, json.dumps(tree))
    survives(formats.parse_yaml, yaml.safe_dump(tree))
    found = refusal(formats.from_dict, tree)
    if found is not None:
        assert all(fault.line == 0 for fault in found.faults)
    else:
        contents = formats.from_dict(tree)
        assert formats.parse_json(formats.write_json(contents)) == contents


@given(CONTENTS, st.data())
@SLOW
def test_damaged_documents(contents: Contents, data: st.DataObject) -> None:
    text = formats.write_json(contents)
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 10)))
    survives(formats.parse_json, text[:start] + data.draw(st.text(max_size=3)) + text[end:])


@given(real_servers())
def test_text_forms_stand_for_objects(real: ik.RealServer) -> None:
    tree = {
        "ipvskit": 1,
        "services": [{"key": "fwmark:7/v4", "reals": [str(real.replace(port=0, forwarding="tunnel"))]}],
    }
    (service,) = formats.from_dict(tree).services
    assert service.reals == (real.replace(port=0, forwarding="tunnel"),)
