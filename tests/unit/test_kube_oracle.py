"""Every row of the specification's tables: `kube.translate` and the oracle that random clusters are held against, by the same examples.

Knows: the examples. Must not know: what is in them.
"""

from __future__ import annotations

import pytest

from ipvskit import kube
from tests.property.kube_expected import Expected
from tests.property.kube_oracle import expected
from tests.property.kube_views import differences, view
from tests.unit.kube_examples import Example, choosing, look
from tests.unit.kube_examples_kinds import kinds
from tests.unit.kube_examples_node import surroundings

EXAMPLES = [*choosing(), *kinds(), *surroundings()]


def translated(example: Example) -> Expected:
    return view(kube.translate(example.objects, kube.Node(**example.node), kube.Config(**example.settings)))


def foretold(example: Example) -> Expected:
    return expected(example.objects, example.node, example.settings)


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_what_is_translated(example: Example) -> None:
    found = translated(example)
    assert {what: look(found, what) for what in example.wanted} == example.wanted
    # And in what the example does not name.
    assert not differences(found, foretold(example))


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_what_the_oracle_says(example: Example) -> None:
    found = foretold(example)
    assert {what: look(found, what) for what in example.wanted} == example.wanted


def test_each_example_has_a_name_of_its_own() -> None:
    assert len({str(example) for example in EXAMPLES}) == len(EXAMPLES)
    assert all(example.wanted for example in EXAMPLES)
