"""Bytes that real kernels sent, parsed by the core: the sets that were made when they were recorded must come out.

Knows: what `tests/record_corpus.py` set up. Must not know: sockets. Runs without any kernel's help.
"""

from __future__ import annotations

import errno

import pytest

from ipvskit._native.ipset import Failure, Listing, failures, parse_sets, split_failures
from ipvskit.ipset.commands import Header, decode_headers, held
from ipvskit.sets.definition import Set
from ipvskit.sets.elements import Elements
from ipvskit.sets.shape import listing_types
from tests.record_corpus import CORPUS, MANY, SETS

#: Those of the lab, and a machine's own that lacks types.
RELEASES = ("5.10", "6.1", "6.12", "7.2", "6.18")
LACKING = {"5.10": {"bucket", "hipbit"}, "6.1": {"hipbit"}, "6.18": {"hmac", "hipmac", "hmark", "hnn", "hnpn"}}
WANTED = {Set.parse(text).name: (Set.parse(text), lines) for text, lines in SETS}
EXISTS = 4103

pytestmark = pytest.mark.parametrize("release", RELEASES)


def recorded(release: str, name: str) -> bytes:
    """Without the first bytes, which are for the fuzzer."""
    return (CORPUS / "ipset_listing" / f"{release}-{name}").read_bytes()[3:]


def sets_of(release: str, name: str) -> dict[str, tuple[Header, Elements | None]]:
    listing = Listing(listing_types())
    listing.feed(recorded(release, name))
    assert listing.error == 0
    found: dict[str, tuple[Header, Elements | None]] = {}
    for row, table in listing.sets():
        (header,) = decode_headers(row)
        kind = WANTED.get(header.set_name, (Set("many", "hash:ip"), ()))[0].set_type
        elements = None if table is None else Elements.of_table(kind, header.inet, table)
        assert header.set_name not in found
        found[header.set_name] = (header, elements)
    return found


def expected_names(release: str) -> set[str]:
    return set(WANTED) - LACKING.get(release, set())


@pytest.mark.parametrize("name", ["list", "old"])
def test_everything(release: str, name: str) -> None:
    found = sets_of(release, name)
    assert set(found) == expected_names(release)
    for set_name, (header, elements) in found.items():
        wanted, lines = WANTED[set_name]
        assert elements is not None
        expected = Elements(wanted, lines)
        # Timeouts run.
        options = ["packets", "bytes", "comment", "skbmark", "skbprio", "skbqueue", "nomatch", "wildcard"]
        assert elements.same_as(expected, options), set_name
        assert [entry.timeout is None for entry in elements.sorted()] == [
            entry.timeout is None for entry in expected.sorted()
        ]
        assert header.elements == len(lines)
        made = held(header).set
        fields = (
            "type",
            "family",
            "netmask",
            "bitmask",
            "markmask",
            "range",
            "timeout",
            "counters",
            "comment",
            "skbinfo",
            "forceadd",
        )
        assert [getattr(made, field) for field in fields] == [getattr(wanted, field) for field in fields]
        assert held(header).references == (set_name in {"hip", "hnet", "empty"})
        assert (held(header).index is None) == (name == "old")


def test_the_options_of_a_hash(release: str) -> None:
    found = sets_of(release, "list")
    made = held(found["hip6"][0]).set
    assert (made.hashsize, made.maxelem) == (64, 65536)
    if "bucket" in found and release != "6.18":
        # Shown at the newest revision only.
        assert {made.initval for made in [held(found["bucket"][0]).set]} <= {0x12345678, None}


def test_headers_and_names(release: str) -> None:
    headers, names, whole = sets_of(release, "headers"), sets_of(release, "names"), sets_of(release, "list")
    assert set(headers) == set(names) == set(whole)
    for set_name, (header, elements) in headers.items():
        assert not elements
        # The number differs only where one of the two counts those that expired.
        assert header == whole[set_name][0]
        assert names[set_name][1] is None
        assert names[set_name][0].type_name == ""


def test_one_set(release: str) -> None:
    found = sets_of(release, "one")
    assert list(found) == ["hip"]
    assert len(found["hip"][1] or ()) == 3


def test_a_set_in_two_messages(release: str) -> None:
    ((_, elements),) = sets_of(release, "many").values()
    assert elements is not None
    assert recorded(release, "many").count(b"many\0") == 2
    assert elements == Elements("hash:ip", [f"10.1.{number >> 8}.{number & 255}" for number in range(MANY)])


def test_answers(release: str) -> None:
    answers = {
        name: decode_headers(parse_sets(recorded(release, name)))
        for name in ("protocol", "header", "type", "index", "name")
    }
    assert {name: len(found) for name, found in answers.items()} == dict.fromkeys(answers, 1)
    assert (answers["protocol"][0].protocol, answers["protocol"][0].least) == (7, 6)
    header = answers["header"][0]
    assert (header.set_name, header.type_name, header.family, header.index) == ("hip", "hash:ip", 2, 1)
    assert answers["type"][0].revision == {"5.10": 4, "6.1": 5}.get(release, 6)
    assert answers["index"][0].set_index == sets_of(release, "list")["hip"][0].set_index
    assert answers["name"][0].set_name in WANTED


def test_refusals(release: str) -> None:
    listing = Listing(listing_types())
    listing.feed(recorded(release, "missing-list"))
    assert listing.error == errno.ENOENT
    assert failures(recorded(release, "line")) == [Failure(1, EXISTS, 2)]
    assert failures(recorded(release, "exists")) == [Failure(1, EXISTS, 0)]
    assert split_failures(recorded(release, "exists"), EXISTS, 5) == ([1], [])
    assert split_failures(recorded(release, "no-set"), EXISTS, 5) == ([], [Failure(1, errno.ENOENT, 0)])
