"""Random clusters: what is made of them is what a second reading of the specification makes of them, and what needs no second reading.

Knows: the specification, by `kube_oracle`, and what must not matter. Must not know: how translating is done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import ipvskit as ik
from ipvskit import kube
from ipvskit.testing.fake import FakeKernel
from ipvskit.testing.kube_strategies import Cluster, clusters, services, slices
from tests.examples import examples
from tests.property.kube_expected import SETS, Expected, Pass
from tests.property.kube_oracle import expected
from tests.property.kube_views import VERSIONS, differences, view

Object = dict[str, Any]


def tried(count: int) -> settings:
    """Clusters are large: explaining a failure, after making it small, would take longer than a test may."""
    return settings(max_examples=examples(count), phases=[phase for phase in Phase if phase is not Phase.explain])


def found_for(cluster: Cluster, objects: Iterable[Object] | None = None) -> Expected:
    return view(kube.translate(cluster.objects if objects is None else objects, cluster.node, cluster.config))


def told(differing: dict[str, tuple[object, object]]) -> str:
    return "\n".join(f"{name}:\n   found {found}\n  wanted {wanted}" for name, (found, wanted) in differing.items())


# --- the specification --------------------------------------------------------------------------------------------------------------


@given(clusters())
@tried(160)
def test_what_the_specification_says(cluster: Cluster) -> None:
    wanted = expected(cluster.objects, cluster.node_fields, cluster.settings)
    found = found_for(cluster)
    differing = differences(found, wanted)
    assert not differing, told(differing)
    # What an address of the other family is called is told as well.
    assert found.refused >= wanted.refused


@given(clusters())
@tried(20)
def test_all_sets_as_they_are_made(cluster: Cluster) -> None:
    found = kube.translate(cluster.objects, cluster.node, cluster.config)
    for version, family in VERSIONS.items():
        sets = found[family].state.sets
        assert list(sets) == [row[0 if version == 4 else 1] for row in SETS]
        assert [each.type for each in sets.values()] == [kind for *_, kind in SETS]
        for each in map(ik.normalise, sets.values()):
            assert (each.timeout, each.counters, each.comment, each.skbinfo) == (None, False, False, False)
            if each.type == "bitmap:port":
                assert str(each.range) == "0-65535"
                continue
            assert each.family == family
            most = cluster.settings.get("maxelem") or 65536
            assert (each.hashsize, each.maxelem) == (1024, most if len(each.entries) <= most else 65536)
        assert found[family].state.devices["kube-ipvs0"].up is False


# --- what must not matter -----------------------------------------------------------------------------------------------------------


def changed(thing: Any, change: Callable[[Object], Object]) -> Any:
    """The change made to every object within the thing, inner ones first."""
    if isinstance(thing, dict):
        return change({name: changed(each, change) for name, each in thing.items()})
    return [changed(each, change) for each in thing] if isinstance(thing, list | tuple) else thing


def assert_the_same(cluster: Cluster, objects: Iterable[Object]) -> None:
    differing = differences(found_for(cluster, objects), found_for(cluster))
    assert not differing, told(differing)


def without_nulls(fields: Object) -> Object:
    return {name: value for name, value in fields.items() if value is not None}


@given(clusters())
@tried(25)
def test_null_is_the_same_as_absent(cluster: Cluster) -> None:
    assert_the_same(cluster, changed(cluster.objects, without_nulls))


DEFAULTS = {
    "conditions": {"ready": True, "serving": True, "terminating": False},
    "metadata": {"labels": {}, "annotations": {}, "uid": "1", "resourceVersion": "2", "generateName": "x-"},
    "spec": {
        "internalTrafficPolicy": "Cluster",
        "externalTrafficPolicy": "Cluster",
        "sessionAffinity": "None",
        "externalIPs": [],
        "loadBalancerSourceRanges": [],
        "healthCheckNodePort": 0,
        "publishNotReadyAddresses": True,
        "trafficDistribution": "PreferClose",
    },
}


def with_defaults(fields: Object) -> Object:
    stated = without_nulls(fields)
    more = {name: DEFAULTS[name] | value for name, value in stated.items() if name in DEFAULTS}
    if "addresses" in stated:
        more.setdefault("conditions", DEFAULTS["conditions"])
    if "port" in stated:
        more |= {"protocol": stated.get("protocol", "TCP"), "nodePort": stated.get("nodePort", 0)}
    return stated | more


@given(clusters())
@tried(25)
def test_defaults_are_the_same_as_absent(cluster: Cluster) -> None:
    assert_the_same(cluster, changed(cluster.objects, with_defaults))


def split(thing: Object) -> list[Object]:
    if thing["kind"] != "EndpointSlice":
        return [thing]
    return [
        thing | {"metadata": thing["metadata"] | {"name": f"{thing['metadata']['name']}-{number}"}, "endpoints": [each]}
        for number, each in enumerate(thing.get("endpoints") or [])
    ]


@given(clusters())
@tried(25)
def test_how_endpoints_are_sliced_does_not_matter(cluster: Cluster) -> None:
    pieces = [piece for thing in cluster.objects for piece in split(thing)]
    assert_the_same(cluster, pieces)


@given(clusters())
@tried(20)
def test_families_do_not_matter_to_each_other(cluster: Cluster) -> None:
    whole = found_for(cluster)
    for version, family in VERSIONS.items():
        alone = Cluster(cluster.objects, cluster.node_fields, {**cluster.settings, "families": (family,)})
        found = found_for(alone)
        assert found.passes == {version: whole.passes[version]}


# --- Services beside each other -----------------------------------------------------------------------------------------------------


def together(parts: list[Expected]) -> Expected:
    """Everything that any part has."""
    found = Expected({version: Pass() for version in VERSIONS}, {})
    for part in parts:
        found.health |= part.health
        for version, one in part.passes.items():
            into = found.passes[version]
            assert not into.services.keys() & one.services.keys()
            into.services |= one.services
            into.bound |= one.bound
            into.drops |= one.drops
            for name, entries in one.sets.items():
                into.sets.setdefault(name, set()).update(entries)
    return found


@given(clusters(conflicts=False))
@tried(40)
def test_without_conflicts_services_do_not_matter_to_each_other(cluster: Cluster) -> None:
    whole = found_for(cluster)
    assert not whole.losers
    wanted = expected(cluster.objects, cluster.node_fields, cluster.settings)
    assert not differences(whole, wanted), told(differences(whole, wanted))
    made = [each for each in cluster.objects if each["kind"] == "Service"]
    rest = [each for each in cluster.objects if each["kind"] != "Service"]
    parts = [found_for(cluster, [each, *rest]) for each in made] or [found_for(cluster, rest)]
    differing = differences(whole, together(parts))
    assert not differing, told(differing)


LATE = services("zz", "late").flatmap(lambda service: st.tuples(st.just(service), slices(service)))


def dated(service: Object, created: str | None) -> Object:
    return service | {"metadata": service["metadata"] | {"creationTimestamp": created}}


@given(clusters(most=2), LATE)
@tried(25)
def test_who_comes_late_takes_nothing_away(cluster: Cluster, late: tuple[Object, list[Object]]) -> None:
    service, its_slices = late
    before = found_for(cluster)
    after = found_for(cluster, [dated(service, None), *its_slices, *cluster.objects])
    for version, known in before.passes.items():
        now = after.passes[version]
        assert {key: now.services.get(key) for key in known.services} == known.services
        assert now.bound >= known.bound
        assert now.drops >= known.drops
        assert all(now.sets[name] >= held for name, held in known.sets.items())
    assert after.losers - before.losers <= {"zz/late"}


@given(clusters(most=2), LATE)
@tried(25)
def test_who_was_there_first_has_all_it_wants(cluster: Cluster, first: tuple[Object, list[Object]]) -> None:
    service, its_slices = first
    mine = [dated(service, "2001-01-01T00:00:00Z"), *its_slices]
    alone, beside = found_for(cluster, mine), found_for(cluster, [*cluster.objects, *mine])
    for version, wanted in alone.passes.items():
        found = beside.passes[version]
        assert {key: found.services.get(key) for key in wanted.services} == wanted.services
        assert all(found.sets[name] >= held for name, held in wanted.sets.items())
    assert alone.losers >= beside.losers & {"zz/late"}


# --- a kernel -----------------------------------------------------------------------------------------------------------------------


@given(clusters())
@tried(25)
def test_a_kernel_that_has_it_needs_no_more(cluster: Cluster) -> None:
    sized = {name: value for name, value in cluster.settings.items() if name != "maxelem"}
    found = kube.translate(cluster.objects, cluster.node, kube.Config(**sized))
    with FakeKernel(patience=0.01) as kernel:
        plan = ik.diff(kernel.snapshot(), found.state, scope=found.scope)
        kernel.apply(plan.guard(1.0)).raise_for_failures()
        left = ik.diff(kernel.snapshot(), found.state, scope=found.scope)
        assert not left, str(left)
