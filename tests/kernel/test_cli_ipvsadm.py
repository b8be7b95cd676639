"""`ipvskit ipvsadm` beside ipvsadm(8): every option, every message, every list; output, status and what is in the kernel afterwards are the same.

Knows: the tool's command line. Must not know: how ours works.
"""

from __future__ import annotations

import random
import re
import sys
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import ipvskit as ik
from tests.examples import NIGHTLY, examples
from tests.kernel.ipvsadm_strategies import command_lines
from tests.kernel.ipvsadm_support import TOOL, Ended, Pair, fresh_pair, our, settle, their
from tests.kernel.ipvsadm_texts import BEYOND, LISTS, STORIES, TABLE

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.ipvs

COMMON: dict[str, Any] = {"deadline": None, "print_blob": True, "suppress_health_check": list(HealthCheck)}


@pytest.fixture
def pair() -> Iterator[Pair]:
    with fresh_pair() as pair:
        yield pair


def told(story: str) -> Iterator[str]:
    return (line.strip() for line in story.strip().splitlines())


# --- written by hand ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", STORIES)
def test_a_story_ends_alike(pair: Pair, name: str) -> None:
    for line in told(STORIES[name]):
        pair.both(line)
        if NIGHTLY:
            pair.check()


def test_without_any_words_everything_is_listed(pair: Pair) -> None:
    pair.both("-A -t 10.0.0.1:80")
    assert b"TCP  10.0.0.1:http wlc\n" in pair.same([]).out


@pytest.mark.parametrize("options", LISTS)
def test_lists_are_alike(table: Pair, options: str) -> None:
    table.same(options)


@pytest.fixture(scope="module")
def table() -> Iterator[Pair]:
    """A namespace with something of everything; how it came there is compared as well."""
    with fresh_pair() as pair:
        for line in told(TABLE + BEYOND):
            assert pair.both(line).status == 0, line
        yield pair


def test_what_the_tool_cannot_make_is_listed_alike(pair: Pair) -> None:
    with ik.Kernel(pair.theirs) as kernel:
        tunnels = [f"10.0.0.{n} forwarding=tunnel tunnel={t}" for n, t in enumerate(["gue:1+csum+remcsum"], 1)]
        reals = [*tunnels, "10.0.0.9 forwarding=bypass", "10.0.0.10 forwarding=local"]
        kernel.ipvs.add_service(ik.VirtualService("192.0.2.1:80/tcp", scheduler="none", reals=reals))
        kernel.ipvs.add_service(ik.VirtualService("192.0.2.2:80/tcp", scheduler="sh", scheduler_flags=["flag-3"]))
    for options in ("-Ln", "-Ln --tun-info", "-Ln --stats", "-Ln --thresholds"):
        pair.same(options)
    with ik.Kernel(pair.theirs) as kernel:
        kernel.ipvs.delete_real("192.0.2.1:80/tcp", "10.0.0.1")
    pair.same("-Sn")
    with ik.Kernel(pair.theirs) as one, ik.Kernel(pair.ours) as other:
        one.ipvs.flush()
        other.ipvs.flush()


def test_addresses_and_marks_beyond_the_middle_are_sorted_alike(pair: Pair) -> None:
    chance = random.Random(7)
    with ik.Kernel(pair.theirs) as kernel:
        places = [IPv4Address(chance.randrange(1 << 24, 0xDF000000)) for _ in range(60)]
        keys = [f"{place}:{chance.randrange(1, 65536)}/{chance.choice(['tcp', 'udp'])}" for place in places]
        keys += [f"fwmark:{chance.randrange(1, 1 << 32)}/{chance.choice(['v4', 'v6'])}" for _ in range(30)]
        keys += [f"[{chance.randrange(1, 9)}001:db8::{chance.randrange(0x10000):x}:1]:80/tcp" for _ in range(20)]
        mixed = [*(f"{place}:80" for place in places), *(f"[{n}001::{n}]:80" for n in range(1, 10))]
        chance.shuffle(mixed)
        reals = [f"{place} forwarding=tunnel" for place in mixed if not place.startswith(("127.", "[f"))]
        kernel.ipvs.add_services(ik.VirtualService(key, scheduler="rr") for key in dict.fromkeys(keys))
        kernel.ipvs.add_service(ik.VirtualService("192.0.2.1:80/sctp", scheduler="rr"))
        kernel.ipvs.bulk(ik.operations.AddReal.of("192.0.2.1:80/sctp", real) for real in reals)
        for options in ("-Ln", "-Sn", "-Ln --nosort", "-Ln --sctp-service 192.0.2.1:80", "-Ln --nosort --tun-info"):
            pair.same(options)
        kernel.ipvs.flush()


def test_a_table_of_many_pieces_is_listed_alike(pair: Pair) -> None:
    with ik.Kernel(pair.theirs) as kernel:
        reals = [f"10.1.{n // 250}.{n % 250 + 1}:80" for n in range(400)]
        services = [ik.VirtualService(f"10.0.{n // 250}.{n % 250 + 1}:80/tcp", scheduler="rr") for n in range(500)]
        services[7] = services[7].replace(reals=reals)
        kernel.ipvs.add_services(services).raise_for_failures()
        pair.same("-Ln")
        pair.same("-Sn")
        pair.same("-Ln -t 10.0.0.8:80")
        kernel.ipvs.flush()


def test_daemons(pair: Pair) -> None:
    for namespace in (pair.theirs, pair.ours):
        namespace.ip(
            "link add d0 type dummy",
            "addr add 10.9.9.9/24 dev d0",
            "link set d0 up",
            "addr add 2001:db8::9/64 dev d0 nodad",
        )
    master = (
        "--mcast-interface d0 --syncid 7 --sync-maxlen 1000 --mcast-group 224.0.0.99 --mcast-port 9000 --mcast-ttl 3"
    )
    pair.both(f"--start-daemon master {master}")
    pair.both(f"--start-daemon master {master}")
    pair.both("--start-daemon backup --mcast-interface d0 --mcast-group ff02::7")
    pair.both("--start-daemon backup --mcast-interface nosuch")
    settle()
    assert pair.both("-L --daemon").out.startswith(
        b"master sync daemon (mcast=d0, syncid=7, maxlen=1000, group=224.0.0.99"
    )
    pair.check()
    pair.both("-A -t 10.0.0.1:80")
    pair.both("-a -t 10.0.0.1:80 -r [2001:db8::1] -i")
    pair.both("--stop-daemon master --syncid 99")
    pair.both("--stop-daemon master")
    pair.both("-L --daemon")
    pair.both("--stop-daemon backup")
    pair.both("--stop-daemon backup")
    pair.both("-L --daemon")


def test_a_daemon_that_never_ran_is_stopped(pair: Pair) -> None:
    """The kernel may swallow the answer, and then the tool waits for ever; so only ours is asked."""
    pair.ours.ip("link add d0 type dummy", "addr add 10.9.9.9/24 dev d0", "link set d0 up")
    for _ in range(3):
        assert our(pair.ours, ["--start-daemon", "master", "--mcast-interface", "d0"]) == (0, b"", b"")
        assert our(pair.ours, ["--stop-daemon", "master"]) == (0, b"", b"")
        assert our(pair.ours, ["-L", "--daemon"]) == (0, b"", b"")


@pytest.mark.parametrize("prefix", ["unshare -Ur", "setpriv --bounding-set -net_admin,-net_raw"])
def test_without_privileges_the_same_is_said(pair: Pair, prefix: str) -> None:
    """As processes of their own: a capability is not given up for a while."""
    ended = []
    for program in (TOOL, f"{sys.executable} -m ipvskit ipvsadm"):
        done = pair.theirs.run([*prefix.split(), *str(program).split(), "-Ln"], check=False)
        ended.append((done.returncode, done.stdout, done.stderr))
    assert ended[0] == ended[1]
    assert ended[0][0] == 2
    assert "Permission denied (you must be root)" in ended[0][2]


# --- restoring ----------------------------------------------------------------------------------------------------------------------

GOOD = "-A -t 10.0.0.1:80 -s rr\n-a -t 10.0.0.1:80 -r 10.1.0.1 -m -w 3\n-a -t 10.0.0.1:80 -r 10.1.0.2:81 -m\n"
RESTORED = {
    "nothing": "",
    "good": GOOD,
    "blank lines and the tool's name": "\n  \nipvsadm -A -t 10.0.0.1:80\n\n\tipvsadm\n-a -t 10.0.0.1:80 ipvsadm -r 10.0.0.2 -m\n",
    "other blanks": "-A\t-t  10.0.0.1:80 \r\n -a -t 10.0.0.1:80\t-r 10.0.0.2\r\n",
    "no line break at the end": GOOD + "-A -u 10.0.0.1:53",
    "one blank at the end": GOOD + "-A -u 10.0.0.1:53 ",
    "blanks at the end": GOOD + "-A -u 10.0.0.1:53  ",
    "a tab and a blank at the end": GOOD + "-A -u 10.0.0.1:53\t ",
    "only blanks at the end": GOOD + "   ",
    "refusals in between": GOOD + GOOD + "-D -t 10.0.0.9:80\n-A -u 10.0.0.1:53\n",
    "a refusal at the end": GOOD + "-A -u 10.0.0.1:53\n-d -u 10.0.0.1:53 -r 10.0.0.4\n",
    "a comment": GOOD + "# -A -u 10.0.0.1:53\n-A -u 10.0.0.1:54\n",
    "a comment behind a command": GOOD + "-A -u 10.0.0.1:53 # hello\n-A -u 10.0.0.1:54\n",
    "something that is wrong": GOOD + "-D -t 10.0.0.9:80\n-A -u 10.0.0.1\n-A -u 10.0.0.1:54\n",
    "a wrong value": GOOD + "-a -t 10.0.0.1:80 -r 10.1.0.3 -m -w x\n-A -u 10.0.0.1:54\n",
    "an unknown option": GOOD + "-A -u 10.0.0.1:53 --bogus\n-A -u 10.0.0.1:54\n",
    "an unknown option at the end": GOOD + "-A -u 10.0.0.1:53 --bogus\n",
    "an unknown option after a refusal": GOOD + GOOD + "-A -u 10.0.0.1:53 --bogus\n-D -t 10.0.0.9:80\n",
    "an unknown command": GOOD + "-A -u 10.0.0.1:53\n--bogus\n-A -u 10.0.0.1:54\n",
    "an option too much": GOOD + "-A -u 10.0.0.1:53 -w 3\n-A -u 10.0.0.1:54\n",
    "lists in between": GOOD + "-Ln\n-A -u 10.0.0.1:53\n-Ln --stats\n-Sn\n-L --timeout\n-D -t 10.0.0.1:80\n-Ln\n",
    "a list that fails": GOOD + "-Ln -t 10.0.0.7:80\n-A -u 10.0.0.1:53\n",
    "help in between": GOOD + "-h\n-A -u 10.0.0.1:53\n",
    "the version in between": GOOD + "-v\n-A -u 10.0.0.1:53\n",
    "restoring while restoring": GOOD + "-R\n-A -u 10.0.0.1:53\n",
    "flush, zero, timeouts": GOOD + "-C\n-A -u 10.0.0.1:53\n-Z\n--set 10 20 30\n-Z -u 10.0.0.1:53\n",
    "attached values": "-At 10.0.0.1:80 -srr\n-a -t=10.0.0.1:80 -r10.1.0.1:80 -mw5 -x=7 --l-threshold=3\n",
    "repeated options": GOOD + "-a -t 10.0.0.1:80 -r 10.1.0.5 -m -i\n-A -u 10.0.0.1:53\n",
    "a popt substitution": "-A -t 10.0.0.1:80 -s !#:+ rr\n-A -t 10.0.0.2:80 -s rr\n",
    "names": "-A -t localhost:http -s rr\n-a -t localhost:http -r 10.0.0.7 -m\n-A -t nosuch.invalid:80\n",
    "bytes that are no text": "-A -t 10.0.0.1:80 -s r\xe9\n-A -t 10.0.0.1:81 \xa0\n",
    "vertical tabs are no blanks": "-A -t 10.0.0.1:80 -s rr\v\n-A -t 10.0.0.2:80\f-s rr\n",
}


@pytest.mark.parametrize("name", RESTORED)
def test_restoring_ends_alike(pair: Pair, name: str) -> None:
    pair.both("-R", RESTORED[name].encode("latin-1"))


def test_what_either_saves_the_other_restores(table: Pair, pair: Pair) -> None:
    for words in (["-S"], ["-Sn"]):
        saved = their(table.theirs, words).out.replace(b" -b \n", b"\n")
        assert saved == our(table.theirs, words).out.replace(b" -b \n", b"\n")
        pair.both("-C")
        pair.both("-R", b"".join(line for line in saved.splitlines(True) if b"-f -" not in line))
        pair.check()
        assert our(pair.ours, ["-Ln"]).out.count(b"\n") > 20


# --- random sequences ---------------------------------------------------------------------------------------------------------------


@settings(max_examples=examples(16), **COMMON)
@given(lines=st.lists(command_lines(), min_size=6, max_size=14))
def test_random_command_lines_end_alike(lines: list[list[str]]) -> None:
    with fresh_pair() as pair:
        for words in lines:
            pair.both(words)
        pair.check()
        pair.same("-Ln")
        pair.same("-S")


@settings(max_examples=examples(30), **COMMON)
@given(lines=st.lists(command_lines(), max_size=30), rest=st.sampled_from(["", " ", "  ", "\n", "-C"]))
def test_random_files_are_restored_alike(lines: list[list[str]], rest: str) -> None:
    # Of lists the order may depend on the namespace.
    text = "".join(" ".join(words) + "\n" for words in lines if words[0] != "-L") + rest
    with fresh_pair() as pair:
        pair.both("-R", text)


# --- traffic ------------------------------------------------------------------------------------------------------------------------


def test_connections_and_counters_are_shown_alike() -> None:
    from tests.lab import site as lab

    with lab.opened(2) as site:
        plain = site.add("rr", weights=(1, 1))
        six = site.add("rr", key=site.key(6), weights=(1, 1))
        sticky = site.add("rr", weights=(1, 1), persistence_timeout=300)
        datagrams = site.add("rr", key=site.key(4, "udp"), weights=(1, 1))
        for key in (plain, six, sticky, datagrams):
            site.client.count(key, 3)
        with site.client.held(plain, 4), site.client.held(six, 2), site.client.held(sticky, 2):
            lab.eventually(lambda: site.ipvs.service_status(plain).stats.connections, 7)
            lab.eventually(lambda: site.ipvs.service_status(datagrams).stats.connections, 3)
            for options in (
                "-Ln",
                "-Ln --stats",
                "-Ln --stats --exact",
                "-Ln --thresholds",
                "-Ln --persistent-conn",
                "-L --stats",
            ):
                unmoved(site, options)
            for options in ("-Lnc", "-Lc", "-Lnc --persistent-conn"):
                unmoved(site, options)


EXPIRES = re.compile(rb"(?<= )\d\d+:\d\d(?= )")


def unmoved(site: Any, options: str) -> None:
    """Both behind one another, with the tool before and behind ours saying the same: but for when connections expire, which is in between."""
    namespace = site.topology.director.netns
    for _ in range(30):
        before, ours, after = (run(namespace, options.split()) for run in (their, our, their))
        if still(before) == still(after):
            break
    assert still(ours) == still(before) == still(after)
    times = [EXPIRES.findall(ended.out) for ended in (after, ours, before)]
    assert all(sooner <= now <= later for sooner, now, later in zip(*times, strict=True))
    assert ours.out.count(b"\n") > 5


def still(ended: Ended) -> tuple[int, bytes, bytes]:
    return ended.status, EXPIRES.sub(b"", ended.out), ended.err


def test_data_of_a_persistence_engine_is_shown_alike() -> None:
    from tests.kernel.test_traffic_numbers import invitation
    from tests.lab import site as lab

    with lab.opened(2) as site:
        key = site.key(4, "udp")
        site.add("rr", key=key, weights=(1, 1), persistence_timeout=60, persistence_engine="sip")
        for call in ("a84b4c76e66710@example", "b"):
            with site.client.open(key) as line:
                line.ask(invitation(call))
        unmoved(site, "-Lnc --persistent-conn")
        unmoved(site, "-Lc --persistent-conn")
        unmoved(site, "-Ln")
