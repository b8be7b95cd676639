"""Properties of the rules' documents, with a small iptables-restore that works on text.

Knows: what iptables-restore does with a document. Must not know: which rules there are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

import ipvskit as ik
from ipvskit import kube
from ipvskit.kube.iptables import document, jumps

if TYPE_CHECKING:
    from collections.abc import Iterable

BUILT_IN = {"nat": ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"), "filter": ("INPUT", "FORWARD", "OUTPUT")}
Tables = dict[str, dict[str, list[str]]]


def empty() -> Tables:
    return {table: {chain: [] for chain in chains} for table, chains in BUILT_IN.items()}


def restored(before: Tables, text: str) -> Tables:
    """What the tables are after a document. Fails where the program would."""
    tables = {table: {chain: list(rules) for chain, rules in chains.items()} for table, chains in before.items()}
    chains: dict[str, list[str]] = {}
    for line in text.splitlines():
        kind, _, rest = line.partition(" ")
        chain, _, rule = rest.partition(" ")
        if kind.startswith("*"):
            chains = tables[kind[1:]]
        elif kind.startswith(":"):
            chains[kind[1:]] = []
        elif kind == "-A":
            chains[chain].append(rule)
        elif kind == "-I":
            chains[chain].insert(0, rule)
        elif kind == "-D":
            chains[chain].remove(rule)
        elif kind == "-X":
            assert not chains.pop(chain), "a chain with rules"
            assert not any(leads(rule, chain) for rules in chains.values() for rule in rules), "a chain that is in use"
        else:
            assert line == "COMMIT"
            chains = {}
    return tables


def leads(rule: str, chain: str) -> bool:
    return f"{rule} ".endswith((f"-j {chain} ", f"-g {chain} "))


def saved(tables: Tables, only: Iterable[str] = ("nat", "filter")) -> str:
    lines: list[str] = []
    for table in only:
        lines += [f"*{table}", *(f":{chain} - [0:0]" for chain in tables[table])]
        lines += [f"-A {chain} {rule}" for chain, rules in tables[table].items() for rule in rules]
        lines.append("COMMIT")
    return "".join(f"{line}\n" for line in lines)


@st.composite
def rules_of_all_kinds(draw: st.DrawFn) -> kube.Rules:
    family = draw(st.sampled_from(ik.Family))
    address = st.ip_addresses(v=4 if family is ik.Family.IPV4 else 6)
    network = "10.0.0.0/8" if family is ik.Family.IPV4 else "fd00::/8"
    filters = st.builds(kube.OutFilter, address, st.integers(1, 65535), st.sampled_from(["tcp", "udp", "sctp"]))
    detectors = [kube.LocalDetector("NodeCIDR", network), kube.LocalDetector("BridgeInterface", "br0"), None]
    return kube.Rules(
        family=family,
        filled=draw(st.frozensets(st.sampled_from(kube.Role))),
        out_filters=tuple(draw(st.lists(filters, max_size=4))),
        masquerade_all=draw(st.booleans()),
        masquerade_bit=draw(st.integers(0, 31)),
        local_detector=draw(st.sampled_from(detectors)),
        random_fully=draw(st.booleans()),
    )


@st.composite
def others(draw: st.DrawFn) -> Tables:
    """Tables with chains and rules of others', and perhaps some jumps of ours: once, several times, with another comment, with a condition."""
    tables = empty()
    for table, chains in tables.items():
        ours = [jump for jump in kube.JUMPS if jump.table == table]
        targets = {jump.target for jump in draw(st.lists(st.sampled_from(ours), max_size=4))}
        rules = ["-j CNI", "-i eth0 -j ACCEPT", '-m comment --comment "-j KUBE-SERVICES" -j CNI']
        for chain in chains:
            mine = [str(jump).partition(" ")[2] for jump in ours if jump.chain == chain and jump.target in targets]
            mine += [f"-j {jump.target}" for jump in ours if jump.chain == chain and jump.target in targets]
            chains[chain] = draw(st.lists(st.sampled_from(rules + mine), max_size=6))
        chains["CNI"] = ["-s 10.0.0.0/8 -j RETURN"]
        chains |= {target: ["-j DROP"] for target in targets}
    return tables


def of_others(tables: Tables) -> Tables:
    """Without chains of ours and without what leads to them."""
    return {
        table: {
            chain: [rule for rule in rules if not any(leads(rule, mine) for mine in kube.CHAINS[table])]
            for chain, rules in chains.items()
            if chain not in kube.CHAINS[table]
        }
        for table, chains in tables.items()
    }


@given(rules_of_all_kinds(), st.randoms(use_true_random=False))
def test_a_document_depends_on_its_rules_alone(rules: kube.Rules, random: object) -> None:
    shuffled = list(rules.out_filters) * 2
    random.shuffle(shuffled)  # type: ignore[attr-defined] # a Random
    again = kube.Rules(
        **{name: getattr(rules, name) for name in kube.Rules.__dataclass_fields__} | {"out_filters": tuple(shuffled)}
    )
    assert document(again) == document(rules)
    assert restored(empty(), document(rules)) != empty()


@given(rules_of_all_kinds(), rules_of_all_kinds(), others())
def test_loading_leaves_others_alone_and_is_idempotent(first: kube.Rules, second: kube.Rules, before: Tables) -> None:
    once = restored(before, document(first, saved(before)))
    assert of_others(once) == of_others(before)
    assert not any(jumps(table, saved(once)) for table in kube.CHAINS)
    for jump in kube.JUMPS:
        assert [leads(rule, jump.target) for rule in once[jump.table][jump.chain]].count(True) == 1
    assert restored(once, document(first, saved(once))) == once
    assert restored(once, document(first, with_jumps=False)) == once
    other = restored(once, document(second, saved(once)))
    assert restored(other, document(first, saved(other))) == once


@given(rules_of_all_kinds(), others())
def test_after_a_removal_nothing_of_ours_is_left(rules: kube.Rules, before: Tables) -> None:
    loaded = restored(before, document(rules, saved(before)))
    found = kube.removal(saved(loaded, ["nat"]), saved(loaded, ["filter"]))
    assert found.kept == ()
    after = restored(loaded, found.document)
    assert after == of_others(before)
    assert kube.removal(saved(after), saved(after)).document == ""


@given(rules_of_all_kinds(), others(), st.data())
def test_what_others_use_stays_empty(rules: kube.Rules, before: Tables, data: st.DataObject) -> None:
    loaded = restored(before, document(rules, saved(before)))
    table = data.draw(st.sampled_from(sorted(kube.CHAINS)))
    chains = data.draw(st.sets(st.sampled_from(kube.CHAINS[table]), min_size=1))
    loaded[table]["CNI"] += [f"-p tcp -j {chain}" for chain in sorted(chains)]
    found = kube.removal(saved(loaded), saved(loaded))
    assert set(found.kept) == {(table, chain, "CNI") for chain in chains}
    after = restored(loaded, found.document)
    mine = {(where, chain) for where in kube.CHAINS for chain in kube.CHAINS[where] if chain in after[where]}
    assert mine == {(table, chain) for chain in chains}
    assert not any(after[where][chain] for where, chain in mine)
