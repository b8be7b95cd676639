"""What iptables-save writes, as far as it concerns some chains.

Knows: tables, chains, rules that jump. Must not know: which chains are whose, what a rule is for.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["SavedRule", "SavedTable", "same_rules", "saved_table"]


class SavedRule(NamedTuple):
    """A rule that leads from `chain` to the chain `target`: always when `plain`, else under conditions. `text` is what follows `-A`."""

    chain: str
    target: str
    plain: bool
    text: str


@dataclass(frozen=True, slots=True)
class SavedTable:
    """Of the chains that were asked for, which there are, and the rules that lead to them from anywhere in the table."""

    chains: frozenset[str] = frozenset()
    rules: tuple[SavedRule, ...] = ()


#: Options of a rule that are no condition, with how many arguments each has.
_NO_CONDITION = {"-m": 1, "--comment": 1, "-j": 1, "-g": 1}


def saved_table(text: str, table: str, chains: Iterable[str]) -> SavedTable:
    """What a text of iptables-save (of one table or several, with counters or without) has on these chains of the table."""
    wanted = frozenset(chains)
    lines = _lines_of(text, table)
    there = (line[1:].split(" ", 1)[0] for line in lines if line.startswith(":"))
    # A node may have tens of thousands of rules that are somebody else's.
    named = re.compile("|".join(map(re.escape, wanted)))
    found = (_rule(line) for line in lines if line.startswith(("-A ", "[")) and named.search(line))
    rules = tuple(rule for rule in found if rule is not None and rule.target in wanted)
    return SavedTable(wanted.intersection(there), rules)


def _lines_of(text: str, table: str) -> list[str]:
    lines: list[str] = []
    inside = False
    for line in text.splitlines():
        if line.startswith("*"):
            inside = line.rstrip() == f"*{table}"
        elif inside:
            lines.append(line)
    return lines


def _rule(line: str) -> SavedRule | None:
    """None for a rule that leads nowhere, and for what is none."""
    import shlex

    text = line.partition("-A ")[2]
    try:
        chain, *words = shlex.split(text)
    except ValueError:
        return None
    target, plain, place = "", True, 0
    while place < len(words):
        word, argument = words[place], "".join(words[place + 1 : place + 2])
        if word in {"-j", "-g"}:
            target = argument
        # `-m comment` is no condition, `-m` of anything else is.
        plain = plain and word in _NO_CONDITION and (word != "-m" or argument == "comment")
        place += 1 + _NO_CONDITION.get(word, 0)
    return SavedRule(chain, target, plain, text) if target else None


# --- whether it is there already ---------------------------------------------------------------------------------------------------------


def same_rules(document: str, present: str, table: str, chains: Iterable[str]) -> bool:
    """Whether these chains hold what a document puts into them, in its order, and are all there.

    iptables-save writes rules in another order of words and some targets in other words; a rule is compared by its words as a set, its target's
    options as the kernel has them.
    """
    wanted, held = (_contents(_lines_of(text, table), frozenset(chains)) for text in (document, present))
    return wanted == held


def _contents(lines: Iterable[str], chains: frozenset[str]) -> dict[str, list[list[str]]]:
    found: dict[str, list[list[str]]] = {}
    for line in lines:
        kind = line.partition(" ")[0]
        if line.startswith(":") and kind[1:] in chains:
            found[kind[1:]] = []
        elif line.startswith(("-A ", "[")):
            chain, _, rule = line.partition("-A ")[2].partition(" ")
            if chain in chains:
                found.setdefault(chain, []).append(_words(rule))
    return found


def _words(rule: str) -> list[str]:
    import shlex

    try:
        words = shlex.split(rule)
    except ValueError:
        return [rule]
    found: list[str] = []
    place = 0
    while place < len(words):
        word, argument = words[place], "".join(words[place + 1 : place + 2])
        place += 1
        if word in _MARKS:
            # As "value/mask" of the one operation that the kernel has.
            found += ["--set-xmark", _MARKS[word].format(argument)]
            place += 1
        elif word == "--reject-with" and argument in _DEFAULT_REJECTIONS:
            place += 1
        elif word == "--vproto":
            found += [word, _PROTOCOLS.get(argument, argument)]
            place += 1
        else:
            found.append(word.removesuffix("/32").removesuffix("/128"))
    return sorted(found)


_MARKS = {"--or-mark": "{0}/{0}", "--xor-mark": "{0}/0x0"}
_DEFAULT_REJECTIONS = {"icmp-port-unreachable", "icmp6-port-unreachable"}
_PROTOCOLS = {"tcp": "6", "udp": "17", "sctp": "132"}
