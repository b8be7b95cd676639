"""`ipvskit ipvsadm` on a fake kernel: what it says is what the tool said where it was recorded (tests/record_ipvsadm.py).

Knows: the recording, and what is ours alone (`--strict`, start-up). Must not know: the kernel.
"""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings

import ipvskit as ik
from ipvskit.cli import main as entry_point
from ipvskit.cli.ipvsadm import lookup, output, program, requests, tables
from ipvskit.cli.ipvsadm.forms import Form, QuickForm
from ipvskit.cli.ipvsadm.outcome import Failed
from ipvskit.cli.ipvsadm.parse import parse
from ipvskit.cli.ipvsadm.program import run
from ipvskit.testing.fake import Command, FakeKernel, Interface, SwallowAnswer
from tests.examples import examples
from tests.kernel.ipvsadm_strategies import command_lines
from tests.kernel.ipvsadm_support import Ended, words_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ipvskit.ipvs.backend import Backend

RECORDED = json.loads((Path(__file__).parent / "ipvsadm_recorded.json").read_text())


@pytest.fixture(autouse=True)
def _names(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the resolver of the recording knew."""
    monkeypatch.setattr(lookup, "_host", lambda name: b"\x7f\0\0\1" if name == "localhost" else None)
    monkeypatch.setattr(lookup, "_host_name", lambda address: "localhost" if address == "127.0.0.1" else address)


@pytest.fixture
def fake() -> Iterator[FakeKernel]:
    with FakeKernel() as kernel:
        yield kernel


def ours(kernel: FakeKernel, words: list[str], text: bytes = b"") -> Ended:
    streams = [io.TextIOWrapper(io.BytesIO(data)) for data in (text, b"", b"")]
    before, sys.stdin = sys.stdin, streams[0]
    try:
        with contextlib.redirect_stdout(streams[1]), contextlib.redirect_stderr(streams[2]):
            status = run(words, lambda: kernel.backend(lies=True)) & 0xFF
    finally:
        sys.stdin = before
    return Ended(status, *(one.buffer.getvalue() for one in streams[1:]))


@pytest.mark.parametrize("name", RECORDED)
def test_a_recorded_story_ends_alike(name: str) -> None:
    with FakeKernel(interfaces=[Interface("lo")]) as kernel:
        for line, status, out, err in RECORDED[name]:
            found = ours(kernel, words_of(line))
            if "--nosort" in line and "-t" not in line:
                # The order of the kernel's hash table.
                assert sorted(found.out.splitlines()) == sorted(out.encode("latin-1").splitlines()), line
                continue
            assert found == (status, out.encode("latin-1"), err.encode("latin-1")), line


# --- forms --------------------------------------------------------------------------------------------------------------------------


@settings(max_examples=examples(400))
@given(command_lines())
def test_lines_of_a_form_are_read_as_by_themselves(words: list[str]) -> None:
    form = Form.of(words)
    if form is None:
        return
    # Another line of the same form, and this one again: neither leaves anything behind.
    outcomes = [outcome(lambda: form.request(words)) for _ in range(2)]
    outcomes.append(outcome(lambda: requests.request(parse(words)[0])))
    assert outcomes[0] == outcomes[1] == outcomes[2]


def outcome(work: Callable[[], bytes]) -> bytes | str:
    try:
        return work()
    except Failed as error:
        return error.message


def test_only_plain_lines_are_quick() -> None:
    quick = ["-a -t 10.0.0.1:80 -r 10.0.0.2:80", "-e -u 10.0.0.1:80 -w 5 -r x -m", "-a --sctp-service x -r y -g -w 0"]
    for line in quick:
        assert type(Form.of(line.split())) is QuickForm, line
    others = [
        "-a -r 10.0.0.2 -t 10.0.0.1:80",
        "-a -f 1 -r x",
        "-a -t x -r y -x 5",
        "-a -t=x -r y",
        "-d -t x -r y",
        "-A -t x",
    ]
    for line in others:
        assert type(Form.of(line.split())) is Form, line
    for line in ("-a -t x -r y -m -m", "-a -t x", "-a -t x -r y -s rr", "-L", "--set 1 2 3", "-a -t x -r y z", "-a -q"):
        assert Form.of(line.split()) is None, line


# --- restoring ----------------------------------------------------------------------------------------------------------------------


class Trickle(io.RawIOBase):
    """Standard input of which a piece arrives only when what came before was done."""

    def __init__(self, pieces: list[bytes], before: Callable[[int], None]) -> None:
        self._pieces, self._before, self._at = pieces, before, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        self._before(self._at)
        if self._at == len(self._pieces):
            return 0
        piece = self._pieces[self._at]
        buffer[: len(piece)] = piece
        self._at += 1
        return len(piece)


def test_what_has_arrived_is_executed_before_there_is_more(fake: FakeKernel, monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[int] = []
    pieces = [b"-A -t 10.0.0.1:80\n-A -t 10.", b"0.0.2:80\n", b"-A -t 10.0.0.3:80"]
    stream: Any = Trickle(pieces, lambda _: held.append(len(fake.ipvs.services())))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(stream)))
    assert run(["-R"], lambda: fake.backend()) == 0
    assert held == [0, 1, 2, 2]
    assert len(fake.ipvs.services()) == 3


def test_many_lines_are_few_calls(fake: FakeKernel) -> None:
    lines = [f"-A -t 10.0.{n // 250}.{n % 250}:80 -s rr\n" for n in range(2000)]
    lines += [f"-a -t 10.0.0.1:80 -r 10.1.{n // 250}.{n % 250}:80 -m\n" for n in range(2000)]
    sent: list[int] = []

    class Counting:
        def __init__(self) -> None:
            self._real = fake.backend()

        def __getattr__(self, name: str) -> object:
            return getattr(self._real, name)

        def execute(self, packed: bytes, count: int) -> object:
            sent.append(count)
            return self._real.execute(packed, count)

    before, sys.stdin = sys.stdin, io.TextIOWrapper(io.BytesIO("".join(lines).encode()))
    try:
        assert run(["-R"], Counting) == 0  # type: ignore[arg-type]
    finally:
        sys.stdin = before
    assert sum(sent) == 4000
    assert len(sent) < 5


@pytest.mark.parametrize("words", [["-R"], ["--strict", "-R"]])
def test_an_answer_that_the_kernel_swallows_is_found_by_reading(fake: FakeKernel, words: list[str]) -> None:
    assert ours(fake, ["--start-daemon", "master"]).status == 0
    fake.lie(SwallowAnswer(), command=Command.DEL_DAEMON, nth=1)
    assert ours(fake, words, b"--stop-daemon master\n") == (0, b"", b"")
    assert fake.ipvs.daemons() == []
    assert ours(fake, words, b"--stop-daemon master\n").status == 255


# --- strict -------------------------------------------------------------------------------------------------------------------------

GOOD = b"# as saved\n-A -t 10.0.0.1:80 -s rr\n\n-a -t 10.0.0.1:80 -r 10.1.0.1 -m -x 9 -y 3\n"


def test_strict_restoring_changes_nothing_if_a_line_cannot_be_read(fake: FakeKernel) -> None:
    text = GOOD + b"-A -u 10.0.0.1\n-Ln\n-A -t 10.0.0.2:80 --bogus\nfoo\n-R\n-h\n"
    found = ours(fake, ["--strict", "-R"], text)
    assert found.status == 2
    assert found.out == b""
    assert found.err.decode().splitlines() == [
        "line 5: Zero port specified for non-persistent service",
        "line 6: -Ln: only commands that change something can be restored",
        "line 7: --bogus: unknown option",
        "line 8: Try `ipvsadm -h' or 'ipvsadm --help' for more information.",
        "line 9: -R: only commands that change something can be restored",
        "line 10: -h: only commands that change something can be restored",
        "nothing was changed: of 8 lines 6 cannot be read",
    ]
    assert fake.ipvs.services() == []


def test_strict_restoring_names_every_line_that_is_refused(fake: FakeKernel) -> None:
    text = GOOD + b"-A -t 10.0.0.1:80\n-D -u 10.0.0.9:80\n-A -u 10.0.0.1:53  "
    found = ours(fake, ["--strict", "-R"], text)
    assert found == (255, b"", b"line 5: Service already exists\nline 6: No such service\n")
    assert sorted(str(service.key) for service in fake.ipvs.services()) == ["10.0.0.1:53/udp", "10.0.0.1:80/tcp"]


def test_what_is_saved_strictly_is_all_there_is(fake: FakeKernel) -> None:
    setup = (
        GOOD
        + b"-A -f 4294967295 -6\n-A -f 3000000000\n--set 100 200 300\n--start-daemon backup --syncid 7 --mcast-ttl 4\n"
    )
    assert ours(fake, ["--strict", "-R"], setup) == (0, b"", b"")
    saved = ours(fake, ["--strict", "-Sn"])
    assert saved == (0, SAVED, b"")
    with FakeKernel() as other:
        assert ours(other, ["-R"], SAVED) == (0, b"", b"")
        assert set(other.ipvs.services()) == set(fake.ipvs.services())
        assert (other.ipvs.timeouts(), other.ipvs.daemons()) == (fake.ipvs.timeouts(), fake.ipvs.daemons())
    assert b"-f -1 -6" in ours(fake, ["-Sn"]).out


SAVED = b"""\
--set 100 200 300
-A -f 3000000000 -s wlc
-A -f 4294967295 -6 -s wlc
-A -t 10.0.0.1:80 -s rr
-a -t 10.0.0.1:80 -r 10.1.0.1:80 -m -w 1 -x 9 -y 3
--start-daemon backup --mcast-interface eth0 --syncid 7 --sync-maxlen 1472 --mcast-group 224.0.0.81 --mcast-port 8848 --mcast-ttl 4
"""


def test_negative_marks_of_the_tool_are_restored_strictly(fake: FakeKernel) -> None:
    assert ours(fake, ["-R"], b"-A -f -1 -6 -s wlc\n").status == 2
    assert ours(fake, ["--strict", "-R"], b"-A -f -1 -6 -s wlc\n-A --fwmark-service -2147483648\n").status == 0
    assert {service.key.fwmark for service in fake.ipvs.services()} == {2**32 - 1, 2**31}


def test_what_no_line_can_say_is_told_strictly(fake: FakeKernel) -> None:
    reals = ["10.0.0.1:80 forwarding=tunnel tunnel=gue:1+csum+remcsum", "10.0.0.2:80 forwarding=bypass"]
    fake.ipvs.add_service(
        ik.VirtualService("192.0.2.1:80/tcp", scheduler="sh", scheduler_flags=["flag-3"], reals=reals)
    )
    found = ours(fake, ["--strict", "-Sn"])
    assert found.status == 1
    assert found.err.decode().splitlines() == [
        "ipvsadm: not saved: -t 192.0.2.1:80: a flag that scheduler sh has no name for",
        "ipvsadm: not saved: -t 192.0.2.1:80 -r 10.0.0.1:80: both checksums of a tunnel",
        "ipvsadm: not saved: -t 192.0.2.1:80 -r 10.0.0.2:80: forwarding method 4",
    ]
    assert ours(fake, ["-Sn"]).status == 0


def test_strict_is_the_first_word_or_a_value(fake: FakeKernel) -> None:
    assert ours(fake, ["-A", "-t", "10.0.0.1:80", "--strict"]).err == b"--strict: unknown option\n"
    assert (
        ours(fake, ["-A", "-t", "10.0.0.1:80", "-s", "--strict"]).err == b"Scheduler or persistence engine not found\n"
    )
    assert ours(fake, ["--strict"]).out.startswith(b"IP Virtual Server version")


# --- numbers ------------------------------------------------------------------------------------------------------------------------


def test_large_numbers_of_real_servers_lose_their_upper_half_as_with_the_tool(fake: FakeKernel) -> None:
    fake.ipvs.add_service(ik.VirtualService("192.0.2.1:80/tcp", scheduler="rr", reals=["10.0.0.1:80"]))
    large = ik.Stats(*(2**32 + number for number in range(10)))
    fake.set_stats("192.0.2.1:80/tcp", large)
    fake.set_stats("192.0.2.1:80/tcp", large, real="10.0.0.1:80")
    words = ["-LnX", "--stats", "-t", "192.0.2.1:80"]
    service, real = (line.split()[2:] for line in ours(fake, words).out.decode().splitlines()[2:])
    assert service == [str(2**32 + number) for number in range(5)]
    assert real == ["0", "1", "2", str(2**32 + 3), str(2**32 + 4)]
    real = ours(fake, ["--strict", *words]).out.decode().splitlines()[3].split()[2:]
    assert real == service
    assert ours(fake, ["-LnX", "--rate", "-t", "192.0.2.1:80"]).out.decode().splitlines()[3].split()[2:] == list(
        "56789"
    )


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "        0"),
        (99_999_999, " 99999999"),
        (100_000_000, "  100000K"),
        (999_999_999, "  999999K"),
        (1_000_000_000, "    1000M"),
        (99_999_999_999, "   99999M"),
        (100_000_000_000, "     100G"),
        (99_999_999_999_999, "   99999G"),
        (100_000_000_000_000, "     100T"),
        (2**64 - 1, "18446744T"),
    ],
)
def test_large_numbers_are_shortened(number: int, text: str) -> None:
    real = ik.RealServer("10.0.0.1:80")
    stats = ik.Stats(number, number, number, number, number)
    status = ik.ServiceStatus(ik.VirtualService("10.0.0.9:80/tcp", reals=[real]), stats, (), stale=False)
    shown = tables.statistics(ik.Info((1, 2, 1), 4096), [status])
    assert shown.splitlines()[3] == f"{'TCP  10.0.0.9:80':<33}{text * 5}"


def test_tables_of_values_are_those_of_the_kernel(fake: FakeKernel) -> None:
    for line, status, *_ in RECORDED["lists"]:
        if line.startswith(("-A", "-a")):
            assert ours(fake, words_of(line)).status == status == 0
    ipvs = fake.ipvs
    for options in ([], ["stats"], ["rate", "exact"], ["thresholds"], ["persistent-conn"], ["tun-info"], ["nosort"]):
        shown = tables.table(ipvs.info(), ipvs.status(), options)
        assert shown.encode() == ours(fake, ["-Ln", *(f"--{option}" for option in options)]).out


# --- the program --------------------------------------------------------------------------------------------------------------------


def test_without_ipvs_it_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    tried: list[str] = []

    def refused() -> Backend:
        tried.append("open")
        raise ik.IPVSNotAvailable(errno.ENOENT)

    def denied() -> Backend:
        raise ik.PermissionDenied(errno.EPERM)

    monkeypatch.setattr(program, "_load", lambda: tried.append("load"))
    monkeypatch.setattr(program, "_init_error", lambda error: errno.ENOPROTOOPT)
    assert run(["-h"], refused) == 2
    assert tried == ["open", "load", "open"]
    monkeypatch.undo()
    monkeypatch.setattr(program, "_load", lambda: None)
    assert run([], denied) == 2
    why = ["Protocol not available", "Permission denied (you must be root)"]
    told = "Can't initialize ipvs: {}\nAre you sure that IP Virtual Server is built in the kernel or as module?\n"
    assert capsys.readouterr() == ("", "".join(told.format(one) for one in why))


def test_bytes_come_out_as_they_went_in(fake: FakeKernel) -> None:
    odd = b"f\xe9\xff".decode(errors="surrogateescape")
    assert ours(fake, ["-A", "-t", "10.0.0.1:80", odd]).err == b"unexpected argument f\xe9\xff\n"
    assert ours(fake, ["-A", "-t", "10.0.0.1:80", "fé"]).err == "unexpected argument fé\n".encode()
    assert output.characters(odd) == "f\xe9\xff"


def test_it_is_a_program_of_the_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[list[str]] = []

    def program_of(words: list[str]) -> int:
        called.append(words)
        return 7

    monkeypatch.setattr("ipvskit.cli.ipvsadm.main", program_of)
    assert entry_point.main(["ipvsadm", "-Ln", "--stats"]) == 7
    assert called == [["-Ln", "--stats"]]


#: What takes longer to import than a short command should.
SLOW = {
    "typing",
    "enum",
    "re",
    "dataclasses",
    "ipaddress",
    "argparse",
    "socket",
    "contextlib",
    "threading",
    "subprocess",
    "pathlib",
}


def test_short_commands_import_nothing_that_takes_long() -> None:
    script = (
        "import sys; before = set(sys.modules)\n"
        "from ipvskit.cli.ipvsadm import main\n"
        "from ipvskit.cli.ipvsadm import program, tables, save, sending, restore, connections, daemons, strict\n"
        "import ipvskit.ipvs.backend, ipvskit.netns\n"
        "print(*(set(sys.modules) - before))"
    )
    run_alone = [sys.executable, "-S", "-c", f"import sys; sys.path[:0] = {sys.path!r}\n{script}"]
    loaded = subprocess.run(run_alone, capture_output=True, text=True, check=True).stdout.split()
    assert SLOW & set(loaded) == set()


def test_an_end_that_nobody_reads_is_met_as_by_the_tool(tmp_path: Path) -> None:
    """Output to a pipe that is closed ends the program by the signal; it says nothing of a full disk."""
    script = (
        "import sys\nfrom ipvskit.cli.ipvsadm import program\nfrom ipvskit.testing.fake import FakeKernel\n"
        "kernel = FakeKernel()\nprogram._open = kernel.backend\nsys.exit(program.start(['-h']))\n"
    )
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([sys.executable, "-c", script], stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (-signal.SIGPIPE, b"")
    with open("/dev/full", "wb") as full:
        done = subprocess.run([sys.executable, "-c", script], stdout=full, stderr=subprocess.PIPE, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
