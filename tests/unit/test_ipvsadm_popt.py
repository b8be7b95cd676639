"""How words are taken apart, beside popt(3) itself.

Knows: the library's functions. Must not know: ipvsadm's options.
"""

from __future__ import annotations

import ctypes

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipvskit.cli.ipvsadm.popt import NEEDED, NONE, OPTIONAL, BadWord, Words
from tests.examples import examples

LONG = {
    "none": ("none", NONE),
    "nothing": ("nothing", NONE),
    "need": ("need", NEEDED),
    "perhaps": ("perhaps", OPTIONAL),
}
SHORT = {"n": ("none", NONE), "N": ("nothing", NONE), "w": ("need", NEEDED), "p": ("perhaps", OPTIONAL)}

STRING, MAY_BE_MISSING = 1, 0x10000000
KINDS = {NONE: 0, NEEDED: STRING, OPTIONAL: STRING | MAY_BE_MISSING}


class PoptOption(ctypes.Structure):
    _fields_ = (
        ("long", ctypes.c_char_p),
        ("short", ctypes.c_char),
        ("kind", ctypes.c_uint),
        ("argument", ctypes.c_void_p),
        ("value", ctypes.c_int),
        ("description", ctypes.c_char_p),
        ("argument_description", ctypes.c_char_p),
    )


def library() -> ctypes.CDLL:
    try:
        popt = ctypes.CDLL("libpopt.so.0")
    except OSError:
        pytest.skip("the library popt (Debian: libpopt0, comes with ipvsadm) is missing")
    popt.poptGetContext.restype = ctypes.c_void_p
    popt.poptGetOptArg.restype = ctypes.c_void_p
    for name in ("poptGetArg", "poptBadOption", "poptStrerror"):
        getattr(popt, name).restype = ctypes.c_char_p
    return popt


def witness(words: list[str]) -> list[object]:
    """What the library makes of them: options and arguments in order, what is wrong, and the words left over."""
    popt = library()
    letters = {name: letter for letter, (name, _) in SHORT.items()}
    names = list(LONG)
    options = (PoptOption * (len(names) + 1))()
    for at, name in enumerate(names):
        options[at] = PoptOption(name.encode(), letters[name].encode(), KINDS[LONG[name][1]], None, at + 1)
    argv = (ctypes.c_char_p * (len(words) + 2))(b"program", *(word.encode() for word in words), None)
    context = ctypes.c_void_p(popt.poptGetContext(b"program", len(words) + 1, argv, options, 0))
    found: list[object] = []
    while (number := popt.poptGetNextOpt(context)) > 0:
        value = popt.poptGetOptArg(context)
        found.append((names[number - 1], value and ctypes.string_at(value).decode()))
    if number < -1:
        return [*found, (popt.poptBadOption(context, 1).decode(), popt.poptStrerror(number).decode())]
    while (left := popt.poptGetArg(context)) is not None:
        found.append(left.decode())
    return found


def ours(words: list[str]) -> list[object]:
    reader = Words(words, LONG, SHORT)
    found: list[object] = []
    try:
        while (option := reader.option()) is not None:
            found.append(option)
            if reader.place >= 0:
                assert words[reader.place] == option[1]
    except BadWord as error:
        return [*found, (error.word, error.reason)]
    return [*found, *reader.arguments]


CASES = [
    ["-n", "-w", "5", "x"],
    ["-nw5", "-Nw", "-5", "-w=7", "-w=", "-p", "-p6", "-p=", "-p", "-n"],
    ["--none", "--need=4", "--need", "--none", "--perhaps", "--perhaps=", "--perhaps", "8", "--perhaps", "-"],
    ["--none=1"],
    ["--need"],
    ["-w"],
    ["-nq", "x"],
    ["-none"],
    ["--nonesuch"],
    ["--non"],
    ["--=x"],
    ["---"],
    ["-", "--", "-n", "--need"],
    ["", "-w", "", "-"],
    ["-w", "!#:+", "x", "-n", "y"],
    ["-w", "a!#:+b!#:+c", "-n", "x"],
    ["--need=!#:+", "x", "-p", "!#:+", "y", "z"],
]


@pytest.mark.parametrize("words", CASES)
def test_words_are_taken_apart_as_by_popt(words: list[str]) -> None:
    assert ours(words) == witness(words)


WORD = st.one_of(
    st.sampled_from(
        ["-n", "-N", "-w", "-p", "--none", "--need", "--perhaps", "--nothing", "--", "-", "", "x", "5", "-5"]
    ),
    # What popt makes of "=" behind a short option without argument ("-N=") is not the same from one process to the next.
    st.text("nNwpx5-=", max_size=6).filter(lambda word: word.startswith("--") or "=" not in word),
    st.sampled_from(["none", "need", "perhaps", "nonesuch", "nee"]).flatmap(
        lambda name: st.text("-=ax", max_size=4).map(lambda rest: f"--{name}={rest}")
    ),
)


@settings(max_examples=examples(400))
@given(st.lists(WORD, max_size=9))
def test_any_words_are_taken_apart_as_by_popt(words: list[str]) -> None:
    assert ours(words) == witness(words)
