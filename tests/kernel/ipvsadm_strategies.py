"""Random command lines of ipvsadm(8).

Knows: the tool's options, and what is often wrong with them. Must not know: what they lead to.
"""

from __future__ import annotations

from hypothesis import strategies as st

__all__ = ["command_lines"]

ADDRESSES = [
    "10.0.0.1",
    "10.0.0.2",
    "192.0.2.1",
    "224.0.0.1",
    "255.255.255.255",
    "0.0.0.0",
    "1.2",
    "localhost",
    "[2001:db8::1]",
    "2001:db8::1",
    "x",
]
PORTS = ["", ":80", ":443", ":0", ":http", ":65536", ":", ":x", ":+5", ":-1"]
NUMBERS = [
    "0",
    "1",
    "7",
    "300",
    "65535",
    "65536",
    "2147483647",
    "2147483648",
    "-1",
    "+3",
    " 4",
    "x",
    "",
    "99999999999999999999",
]


def places() -> st.SearchStrategy[str]:
    return st.builds(str.__add__, st.sampled_from(ADDRESSES), st.sampled_from(PORTS))


def with_value(option: str, values: st.SearchStrategy[str]) -> st.SearchStrategy[list[str]]:
    apart = values.map(lambda value: [option, value])
    joined = values.map(lambda value: [f"{option}={value}"])
    return st.one_of(apart, apart, joined)


SERVICE = st.one_of(
    with_value("-t", places()),
    with_value("-t", places()),
    with_value("--udp-service", places()),
    with_value("--sctp-service", places()),
    with_value("-f", st.sampled_from(["1", "7", "2147483648", "4294967295", "0", "-1", "x"])),
    st.sampled_from([["-f", "1", "-6"], ["-6", "-f", "1"], ["-6"]]),
)
SERVICE_OPTIONS = st.one_of(
    with_value("-s", st.sampled_from(["rr", "wlc", "sh", "mh", "none", "bogus", "", "abcdefghijklmnopqrst"])),
    st.sampled_from(
        [["-p"], ["-p", "60"], ["-p0"], ["--persistent=2678400"], ["-p", "2678401"], ["-p", "x"], ["-o"], ["--ops"]]
    ),
    with_value(
        "-M",
        st.sampled_from(["255.255.255.0", "24", "64", "128", "129", "0", "-1", "64x", "x", "255.0.255.0", "0.0.0.0"]),
    ),
    with_value("--pe", st.sampled_from(["sip", "bogus", ""])),
    with_value(
        "-b", st.sampled_from(["sh-port", "sh-port,sh-fallback", "mh-port", "flag-1,flag-3", "flag-2,,", "x", ""])
    ),
)
REAL_OPTIONS = st.one_of(
    st.sampled_from([["-m"], ["-g"], ["-i"], ["--masquerading"], ["--ipip"], ["--gatewaying"], ["-mi"]]),
    with_value("-w", st.sampled_from(NUMBERS)),
    with_value("-x", st.sampled_from(NUMBERS)),
    with_value("--l-threshold", st.sampled_from(NUMBERS)),
    with_value("--tun-type", st.sampled_from(["ipip", "gue", "gre", "x"])),
    with_value("--tun-port", st.sampled_from(NUMBERS)),
    st.sampled_from([["--tun-csum"], ["--tun-nocsum"], ["--tun-remcsum"]]),
)
ODD = st.sampled_from(
    [
        ["-q"],
        ["--bogus"],
        ["-n"],
        ["--exact"],
        ["x"],
        ["--"],
        ["-"],
        ["-L"],
        ["-h"],
        ["--stats"],
        ["-w"],
        ["--numeric=1"],
        [""],
    ]
)


@st.composite
def command_lines(draw: st.DrawFn) -> list[str]:
    """Mostly something that makes sense, often with something that is wrong with it."""
    kind = draw(st.sampled_from("AAAAAEDaaaaaaedLZ"))
    words: list[list[str]] = []
    if kind in "AEDaedLZ" and draw(st.integers(0, 9)) < (9 if kind not in "LZ" else 4):
        words.append(draw(SERVICE))
    if kind in "aed":
        words.append(draw(with_value("-r", places())))
    if kind in "AE":
        words += draw(st.lists(SERVICE_OPTIONS, max_size=3))
    if kind in "ae":
        words += draw(st.lists(REAL_OPTIONS, max_size=4))
    if kind == "L":
        words.append(
            draw(
                st.sampled_from(
                    [
                        ["-n"],
                        ["-n", "--stats"],
                        ["--rate", "-n"],
                        ["-n", "--tun-info"],
                        ["--timeout"],
                        ["-nX", "--stats"],
                    ]
                )
            )
        )
    if draw(st.integers(0, 7)) == 0:
        words.append(draw(ODD))
    if draw(st.integers(0, 5)) == 0:
        words = draw(st.permutations(words))
    return [f"-{kind}", *(word for some in words for word in some)]
