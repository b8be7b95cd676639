"""API objects in every form, good and bad, and our annotations.

Knows: dicts, Lists and the official client's models. Must not know: how they are read.
"""

from __future__ import annotations

import copy
import importlib
from datetime import UTC, datetime
from typing import Any, ClassVar

import pytest

import ipvskit as ik
from ipvskit import kube
from ipvskit.kube import Code
from tests.unit.kube_cluster import BOTH, NODE, codes, endpoint, keys, port, reals, service, slice_of, v4

VIP = "10.96.0.10:80/tcp"


# --- forms --------------------------------------------------------------------------------------------------------------------------------


def bare(found: dict[str, Any]) -> dict[str, Any]:
    """As an item of a ServiceList is served: without kind and version."""
    return {name: value for name, value in found.items() if name not in {"kind", "apiVersion"}}


FORMS = {
    "objects": [service(), BOTH],
    "a List": [{"kind": "List", "items": [service(), BOTH]}],
    "a List by itself": {"kind": "List", "items": [service(), BOTH]},
    "typed lists": [
        {"kind": "ServiceList", "items": [bare(service())]},
        {"kind": "EndpointSliceList", "items": [bare(BOTH)]},
    ],
    "lists in a list": [{"kind": "List", "items": [{"kind": "List", "items": [service()]}, BOTH]}],
    "among others": [
        {"kind": "Pod", "metadata": {"name": "x"}},
        {"kind": "List", "items": []},
        service(),
        BOTH,
        {"kind": "List"},
    ],
    "a generator": (each for each in [service(), BOTH]),
    "twice": [service(ips=("10.96.0.99",)), service(), BOTH, BOTH],
}


@pytest.mark.parametrize("objects", FORMS.values(), ids=FORMS)
def test_forms(objects: Any) -> None:
    found = kube.translate(objects, NODE)
    assert reals(found["ipv4"], VIP) == ["10.0.0.1:8080", "10.0.0.2:8080"]
    assert (len(found.state.services), found.diagnostics) == (1, ())


class Model:
    """As the official client makes them: attributes in Python's names, and a map to the API's."""

    attribute_map: ClassVar[dict[str, str]] = {}

    def __init__(self, **given: Any) -> None:
        for name in self.attribute_map:
            setattr(self, name, given.pop(name, None))
        assert not given


def model(class_name: str, /, **fields: str) -> type[Model]:
    return type(class_name, (Model,), {"attribute_map": fields})


Meta = model(
    "V1ObjectMeta",
    name="name",
    namespace="namespace",
    labels="labels",
    annotations="annotations",
    creation_timestamp="creationTimestamp",
)
ServiceModel = model(
    "V1Service", api_version="apiVersion", kind="kind", metadata="metadata", spec="spec", status="status"
)
Spec = model("V1ServiceSpec", type="type", cluster_ip="clusterIP", external_i_ps="externalIPs", ports="ports")
PortModel = model("V1ServicePort", name="name", port="port", node_port="nodePort", protocol="protocol")
SliceModel = model(
    "V1EndpointSlice",
    kind="kind",
    metadata="metadata",
    address_type="addressType",
    ports="ports",
    endpoints="endpoints",
)
SlicePortModel = model("DiscoveryV1EndpointPort", name="name", port="port", protocol="protocol")
EndpointModel = model("V1Endpoint", addresses="addresses", node_name="nodeName", conditions="conditions")
Conditions = model("V1EndpointConditions", ready="ready", serving="serving", terminating="terminating")
ListModel = model("V1ServiceList", items="items", kind="kind")


def test_models_of_the_official_client() -> None:
    first = Meta(name="web", namespace="default", creation_timestamp=datetime(2026, 1, 1, tzinfo=UTC))
    second = Meta(name="old", namespace="default", creation_timestamp=datetime(2025, 1, 1, tzinfo=UTC))
    made = [
        ServiceModel(
            metadata=meta,
            spec=Spec(
                type="ClusterIP",
                cluster_ip=address,
                external_i_ps=["203.0.113.1"],
                ports=[PortModel(name="http", port=80)],
            ),
        )
        for meta, address in ((first, "10.96.0.10"), (second, "10.96.0.11"))
    ]
    of_web = SliceModel(
        metadata=Meta(name="web-1", namespace="default", labels={"kubernetes.io/service-name": "web"}),
        address_type="IPv4",
        ports=[SlicePortModel(name="http", port=8080, protocol="TCP")],
        endpoints=[
            EndpointModel(addresses=["10.0.0.1"], node_name="n1", conditions=Conditions(ready=True)),
            EndpointModel(addresses=["10.0.0.2"], conditions=Conditions(ready=False, serving=True, terminating=False)),
        ],
    )
    found = v4(ListModel(items=made), of_web)
    assert reals(found, VIP) == ["10.0.0.1:8080"]
    assert [told.about for told in found.diagnostics] == ["Service default/web"]


def of_client(model_name: str, /, **fields: Any) -> Any:
    """A model of the client, by the API's names: its own differ between versions."""
    kind = getattr(importlib.import_module("kubernetes.client"), model_name)
    names = {api: attribute for attribute, api in kind.attribute_map.items()}
    return kind(**{names[field]: value for field, value in fields.items()})


def test_the_real_client() -> None:
    meta = of_client(
        "V1ObjectMeta", name="web", namespace="default", creationTimestamp=datetime(2026, 1, 1, tzinfo=UTC)
    )
    spec = of_client(
        "V1ServiceSpec",
        clusterIP="10.96.0.10",
        clusterIPs=["10.96.0.10"],
        ipFamilies=["IPv4"],
        externalIPs=["203.0.113.1"],
        ports=[of_client("V1ServicePort", name="http", port=80, nodePort=30080)],
    )
    hints = of_client("V1EndpointHints", forZones=[of_client("V1ForZone", name="a")])
    of_web = of_client(
        "V1EndpointSlice",
        metadata=of_client(
            "V1ObjectMeta", name="web-1", namespace="default", labels={"kubernetes.io/service-name": "web"}
        ),
        addressType="IPv4",
        ports=[of_client("DiscoveryV1EndpointPort", name="http", port=8080, protocol="TCP")],
        endpoints=[
            of_client(
                "V1Endpoint",
                addresses=["10.0.0.1"],
                nodeName="n1",
                conditions=of_client("V1EndpointConditions", ready=True),
                hints=hints,
            )
        ],
    )
    found = v4(of_client("V1ServiceList", items=[of_client("V1Service", metadata=meta, spec=spec)]), of_web)
    assert keys(found) == [VIP, "172.18.0.2:30080/tcp", "203.0.113.1:80/tcp"]
    assert reals(found, VIP) == ["10.0.0.1:8080"]
    assert codes(found) == []


# --- bad objects --------------------------------------------------------------------------------------------------------------------------


def changed(found: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    made = copy.deepcopy(found)
    *parents, last = path.split(".")
    held: Any = made
    for name in parents:
        held = held[int(name)] if name.isdigit() else held[name]
    held[last] = value
    return made


#: (field, a value that it cannot have, whether some of the object is used all the same)
BAD_SERVICES: list[tuple[str, Any, bool | None]] = [
    ("metadata", None, False),
    ("metadata", [], False),
    ("metadata.name", "", False),
    ("metadata.name", 7, False),
    ("metadata.namespace", 7, False),
    ("metadata.labels", "x", False),
    ("metadata.creationTimestamp", 7, False),
    ("spec", "x", False),
    ("spec.type", 7, False),
    ("spec.clusterIP", 7, False),
    ("spec.clusterIPs", "10.96.0.1", False),
    ("spec.clusterIPs", ["nonsense"], False),
    ("spec.clusterIPs", ["fd96::1"], False),
    ("spec.clusterIPs", ["127.0.0.1"], False),
    ("spec.ports", {}, False),
    ("spec.ports", ["x"], False),
    ("spec.ports", [port(0)], True),
    ("spec.ports", [port(65536)], True),
    ("spec.ports", [port(True)], True),
    ("spec.ports", [port("80")], True),  # type: ignore[arg-type]
    ("spec.ports", [port(protocol="ICMP")], True),
    ("spec.ports", [port(nodePort=-1)], True),
    ("spec.ports", [port(name=7)], True),  # type: ignore[arg-type]
    ("spec.externalIPs", "203.0.113.1", False),
    ("spec.externalIPs", [7], False),
    ("spec.loadBalancerSourceRanges", [7], False),
    ("spec.sessionAffinity", 7, False),
    ("spec.sessionAffinityConfig", 7, None),
    ("status", 7, False),
    ("status.loadBalancer", 7, False),
    ("status.loadBalancer", {"ingress": ["x"]}, False),
    ("status.loadBalancer", {"ingress": [{"ip": 7}]}, False),
]


@pytest.mark.parametrize(("path", "value", "used"), BAD_SERVICES)
def test_a_bad_service_does_not_stop_the_others(path: str, value: Any, used: bool | None) -> None:
    found = v4(changed(service("bad", ("10.96.0.66",)), path, value), service(), BOTH)
    assert reals(found, VIP) == ["10.0.0.1:8080", "10.0.0.2:8080"]
    if used is None:
        assert codes(found) == []
    else:
        assert codes(found) == [Code.INVALID_OBJECT]
        assert keys(found) == [VIP]


def test_a_bad_port_does_not_stop_the_others() -> None:
    found = v4(service(ports=[port(0, "bad"), port()]), BOTH)
    assert reals(found, VIP) == ["10.0.0.1:8080", "10.0.0.2:8080"]
    assert [told.subject for told in found.diagnostics] == ["spec.ports[0].port"]


#: (field, a value that it cannot have)
BAD_SLICES: list[tuple[str, Any]] = [
    ("metadata.name", None),
    ("metadata.labels", 7),
    ("addressType", 7),
    ("ports", 7),
    ("ports", [{"name": "http", "port": 70000}]),
    ("ports", [{"name": "http", "port": 80, "protocol": "ICMP"}]),
    ("endpoints", {}),
    ("endpoints", ["x"]),
]


@pytest.mark.parametrize(("path", "value"), BAD_SLICES)
def test_a_bad_slice_does_not_stop_the_others(path: str, value: Any) -> None:
    found = v4(service(), BOTH, changed(slice_of("web", endpoint("10.0.0.9"), name="bad"), path, value))
    assert reals(found, VIP) == ["10.0.0.1:8080", "10.0.0.2:8080"]
    assert codes(found) == [Code.INVALID_OBJECT]


@pytest.mark.parametrize(
    "bad",
    [
        {"addresses": "10.0.0.9"},
        {"addresses": ["nonsense"]},
        {"addresses": ["fd00::1"]},
        {"addresses": [7]},
        {"addresses": ["224.0.0.1"]},
        {"addresses": ["0.0.0.0"]},
        {"addresses": ["10.0.0.9"], "conditions": 7},
        {"addresses": ["10.0.0.9"], "conditions": {"ready": "no"}},
        {"addresses": ["10.0.0.9"], "nodeName": 7},
        {"addresses": ["10.0.0.9"], "hints": 7},
        {"addresses": ["10.0.0.9"], "hints": {"forZones": 7}},
    ],
)
def test_a_bad_endpoint_does_not_stop_the_others(bad: dict[str, Any]) -> None:
    found = v4(service(), slice_of("web", bad, endpoint("10.0.0.1")))
    assert reals(found, VIP) == ["10.0.0.1:8080"]
    assert [(told.code, told.about) for told in found.diagnostics] == [
        (Code.INVALID_ENDPOINT, "EndpointSlice default/web-abc")
    ]


@pytest.mark.parametrize("bad", [None, 7, "text", []])
def test_what_is_no_object(bad: Any) -> None:
    found = v4(bad, service())
    assert (keys(found), codes(found)) == ([VIP], [Code.INVALID_OBJECT])


def test_long_names_are_told_and_used() -> None:
    found = v4(service("n" * 64, namespace="s" * 64, ports=[port(name="p" * 64)]))
    assert (codes(found), keys(found)) == ([Code.NAME_TOO_LONG] * 3, [VIP])
    assert codes(v4(service("n" * 63, namespace="s" * 63, ports=[port(name="p" * 63)]))) == []


def test_an_object_that_goes_bad_and_is_mended() -> None:
    tracker = kube.Tracker(NODE)
    tracker.add([service(), BOTH])
    tracker.update(changed(service(), "spec.ports", 7))
    assert codes(tracker.states()["ipv4"]) == [Code.INVALID_OBJECT]
    assert not tracker.states().state.services
    tracker.update(service())
    assert (codes(tracker.states()["ipv4"]), keys(tracker.states()["ipv4"])) == ([], [VIP])


def test_findings_can_be_printed() -> None:
    (told,) = v4(service(ports=[port(0)])).diagnostics
    assert str(told) == "Service default/web: invalid-object: spec.ports[0].port: there is none"


# --- annotations --------------------------------------------------------------------------------------------------------------------------


def annotated(**given: str) -> kube.FamilyState:
    return v4(service(annotations={f"ipvskit/{name.replace('_', '-')}": text for name, text in given.items()}), BOTH)


def made(found: kube.FamilyState) -> ik.VirtualService:
    return found.state.services[ik.ServiceKey.parse(VIP)]


@pytest.mark.parametrize(
    ("given", "scheduler", "flags"),
    [
        ({"scheduler": "wlc"}, "wlc", []),
        ({"scheduler": " wlc "}, "wlc", []),
        ({"scheduler": "mh"}, "mh", ["mh-port"]),
        ({"scheduler": "mh", "sched_flags": ""}, "mh", []),
        ({"scheduler": "mh", "sched_flags": "mh-fallback, mh-port"}, "mh", ["mh-fallback", "mh-port"]),
        ({"scheduler": "sh", "sched_flags": "sh-port"}, "sh", ["sh-port"]),
        ({"sched_flags": "flag-1"}, "rr", ["flag-1"]),
    ],
)
def test_scheduling_by_annotation(given: dict[str, str], scheduler: str, flags: list[str]) -> None:
    found = annotated(**given)
    assert (made(found).scheduler, sorted(made(found).scheduler_flags)) == (scheduler, flags)
    assert codes(found) == []


def test_a_scheduler_of_its_own_does_not_get_the_configured_flags() -> None:
    asked = service("own", ("10.96.0.11",), annotations={"ipvskit/scheduler": "wlc"})
    found = v4(service(), asked, scheduler="sh", scheduler_flags=("sh-port",))
    flags = {str(key): sorted(one.scheduler_flags) for key, one in found.state.services.items()}
    assert flags == {VIP: ["sh-port"], "10.96.0.11:80/tcp": []}


@pytest.mark.parametrize(
    "given",
    [
        {"scheduler": "no/such"},
        {"scheduler": "much-too-long-for-one"},
        {"scheduler": ""},
        {"sched_flags": "mh-port"},
        {"weight": "-1"},
        {"weight": "heavy"},
        {"weight": "2147483648"},
        {"drain_seconds": "1m"},
        {"drain_seconds": "86401"},
        {"forwarding": "local"},
        {"forwarding": "DSR"},
        {"shceduler": "wlc"},
    ],
)
def test_bad_annotations_are_told_and_the_default_is_used(given: dict[str, str]) -> None:
    found = annotated(**given)
    assert codes(found) == [Code.BAD_ANNOTATION]
    assert str(made(found)) == str(made(v4(service(), BOTH)))
    assert not found.drains


def test_annotations_that_are_no_text() -> None:
    assert codes(v4(service(annotations={"ipvskit/weight": 7}))) == [Code.BAD_ANNOTATION]  # type: ignore[dict-item]


def test_a_bad_weight_of_a_slice() -> None:
    odd = slice_of("web", endpoint("10.0.0.1"), annotations={"ipvskit/weight": "x"})
    found = v4(service(annotations={"ipvskit/weight": "3"}), odd)
    assert codes(found) == [Code.BAD_ANNOTATION]
    assert made(found).reals[0].weight == 3


def test_drains() -> None:
    given = service(annotations={"ipvskit/drain-seconds": "90"}, externalIPs=["203.0.113.1"])
    found = kube.translate([given, service("other", ("10.96.0.11",))], NODE)
    assert {str(key): seconds for key, seconds in found.drains.items()} == {VIP: 90, "203.0.113.1:80/tcp": 90}
    assert found["ipv4"].drains == found.drains
