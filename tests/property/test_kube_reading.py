"""Objects as most are get read in a hurry: what comes of that is what reading them with care says, whatever stands in them.

Knows: both ways of reading. Must not know: what becomes of an object that was read.
"""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ipvskit.kube.addresses import place_end
from ipvskit.kube.objects import identity
from ipvskit.kube.read_service import _careful_service, _plain_service
from ipvskit.kube.read_slice import _endpoints, _ready_endpoints
from ipvskit.model.address import Family
from tests.examples import examples
from tests.property import kube_clusters
from tests.unit.kube_cluster import endpoint, port, service

Object = dict[str, Any]

ODD: tuple[Any, ...] = (None, "", "x", True, False, [], ["x"], {}, {"x": 1}, [{}])
NUMBERS = (0, 1, -1, 65535, 65536)
ADDRESSES = (
    *(
        "10.96.0.9",
        "10.0.0.1",
        "10.0.0.2",
        "010.0.0.1",
        "10.0.0.1 ",
        "0.0.0.0",
        "127.0.0.1",
        "169.254.0.1",
        "255.255.255.255",
    ),
    *("fd96::9", "fd00::1", "fd00::2", "FD00:0::1", "fe80::1"),
)
TEXTS = ("None", "Local", "Cluster", "ClientIP", "ExternalName", "TCP", "sctp", "n" * 63, "n" * 64)
VALUES = st.one_of(
    st.sampled_from([*ODD, *NUMBERS, *ADDRESSES, *TEXTS]),
    st.sampled_from(ADDRESSES).map(lambda text: [text]),
    st.lists(st.sampled_from(["IPv4", "IPv6"]), max_size=2),
    st.just({"loadBalancer": {"ingress": [{"ip": "203.0.113.7"}]}}),
    st.sampled_from([{"service.kubernetes.io/headless": ""}, {"ipvskit/weight": "7"}, {"ipvskit/scheduler": "?"}]),
)


#: What is of the same type as what it takes the place of gets past the first look.
ALIKE: dict[type, st.SearchStrategy[Any]] = {
    int: st.sampled_from(NUMBERS),
    str: st.sampled_from([*TEXTS, *ADDRESSES]),
}


def places(thing: Any, fields: Object, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The ways to all fields within the thing, and to those of `fields` that it could have, by the field that has them."""
    found = []
    if isinstance(thing, dict):
        more = fields.get(str(path[-1]) if path else "", ())
        for name in dict.fromkeys([*thing, *more]):
            found += [(*path, name), *places(thing.get(name), fields, (*path, name))]
    elif isinstance(thing, list):
        for number, each in enumerate(thing):
            found += [(*path, number), *places(each, fields, (*path, number))]
    return found


@st.composite
def mishandled(draw: st.DrawFn, things: st.SearchStrategy[Any], fields: Object) -> Any:
    """A thing with a field or two changed."""
    made = copy.deepcopy(draw(things))
    for _ in range(draw(st.integers(1, 2))):
        *parents, last = draw(st.sampled_from(places(made, fields)))
        held = made
        for step in parents:
            held = held[step]
        present = held.get(last) if isinstance(held, dict) else held[last]
        held[last] = copy.deepcopy(draw(ALIKE.get(type(present), VALUES) | VALUES))
    return made


# --- Services -----------------------------------------------------------------------------------------------------------------------

RARE: Object = {
    "": ("status",),
    "metadata": ("labels", "annotations", "creationTimestamp"),
    "spec": (
        "externalIPs",
        "loadBalancerSourceRanges",
        "healthCheckNodePort",
        "externalTrafficPolicy",
        "internalTrafficPolicy",
        "sessionAffinity",
        "sessionAffinityConfig",
    ),
}
CREATED = "2026-01-01T00:00:00Z"


@st.composite
def plain_services(draw: st.DrawFn) -> Object:
    made = service(
        draw(st.sampled_from(["web", "n" * 63])),
        draw(st.sampled_from([("10.96.0.1",), ("fd96::1",)])),
        created=CREATED,
        ports=[port(name="a", nodePort=draw(st.sampled_from([0, 30080]))), port(53, "", "UDP")],
        annotations=draw(st.sampled_from([{}, {"ipvskit/scheduler": "wlc"}, {"ipvskit/weight": "x"}])),
        type=draw(st.sampled_from(["ClusterIP", "NodePort", "LoadBalancer"])),
    )
    for name in RARE["spec"]:
        made["spec"].pop(name, None)
    return made


def assert_read_alike(fields: Object) -> bool:
    named = identity("Service", fields)
    found = _plain_service(fields, named, "rr")
    if found is not None:
        assert found == _careful_service(fields, named, "rr")
    return found is not None


@given(plain_services())
@settings(max_examples=examples(30))
def test_plain_services_are_read_in_a_hurry(fields: Object) -> None:
    assert assert_read_alike(fields)


def named_still(fields: Any) -> bool:
    metadata = fields["metadata"]
    return isinstance(metadata, dict) and all(isinstance(metadata.get(name), str) for name in ("name", "namespace"))


@given(mishandled(plain_services(), RARE).filter(named_still).filter(lambda fields: fields["metadata"]["name"]))
@settings(max_examples=examples(400))
def test_services_with_whatever_in_them(fields: Object) -> None:
    assert_read_alike(fields)


@given(kube_clusters.services())
@settings(max_examples=examples(100))
def test_services_of_clusters(fields: Object) -> None:
    assert_read_alike(fields)


# --- endpoints ----------------------------------------------------------------------------------------------------------------------

CONDITIONS = ("ready", "serving", "terminating")
PARTS: Object = {str(number): ("hints", "nodeName", "conditions") for number in range(4)} | {"conditions": CONDITIONS}


@st.composite
def ready_endpoints(draw: st.DrawFn, texts: tuple[str, ...]) -> list[Object]:
    chosen = draw(st.lists(st.sampled_from(texts), min_size=1, max_size=4, unique=True))
    found = [endpoint(text, draw(st.sampled_from(["n1", "n2", "", None]))) for text in chosen]
    for each in found:
        # As the API serves them: what is so by default, or nothing.
        each["conditions"] = draw(st.sampled_from([{}, {"ready": True}, {"ready": True, "serving": True}]))
    return found


V4 = ready_endpoints(("10.0.0.1", "10.0.0.2", "10.0.0.10", "9.0.0.1", "192.0.2.1"))
V6 = ready_endpoints(("fd00::1", "fd00::2", "FD00:0::a", "2001:db8::1"))


def assert_chosen_alike(found: Any, family: Family) -> bool:
    hurried = _ready_endpoints(found, family)
    if hurried is not None:
        faults: list[Any] = []
        careful = _endpoints({"endpoints": found}, family, "EndpointSlice x/y", faults)
        assert sorted(hurried, key=str) == sorted(careful, key=str)
        assert faults == []
        assert list(hurried.texts) == sorted(set(hurried.texts), key=lambda text: text + place_end(family))
    return hurried is not None


@given(V4, V6)
@settings(max_examples=examples(60))
def test_ready_endpoints_are_read_in_a_hurry(v4: list[Object], v6: list[Object]) -> None:
    assert assert_chosen_alike(v4, Family.IPV4)
    assert assert_chosen_alike(v6, Family.IPV6)


TWICE = V4.map(lambda found: [*found, found[0]])


@given(mishandled(st.one_of(V4, V6, TWICE), PARTS) | TWICE, st.sampled_from(Family))
@settings(max_examples=examples(400))
def test_endpoints_with_whatever_in_them(found: Any, family: Family) -> None:
    assert_chosen_alike(found, family)


@given(st.sampled_from(["IPv4", "IPv6"]).flatmap(kube_clusters.endpoints), st.sampled_from(Family))
@settings(max_examples=examples(60))
def test_endpoints_of_clusters(found: Object, family: Family) -> None:
    assert_chosen_alike([found], family)
