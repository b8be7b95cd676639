"""The lab end to end: real guests, on $IPVSKIT_LAB_KERNEL or the fastest kernel that can be had.

Knows: what the lab promises its callers. Must not know: how it keeps the promise.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.lab import guest, kernels
from tests.lab.errors import GuestError, GuestTimeoutError, LabError
from tests.lab.guest import Result, Streams

if TYPE_CHECKING:
    from tests.lab.kernels import Kernel

pytestmark = pytest.mark.lab

ROOT = Path(__file__).parents[2]
ENV = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"}

# The generic-netlink controller is asked for a family whose module nobody has loaded.
ASK_FOR_IPVS = """
import socket, struct
name = b"IPVS\\0"
attribute = struct.pack("=HH", 4 + len(name), 2) + name.ljust(8, b"\\0")
body = struct.pack("=BBH", 3, 1, 0) + attribute
with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 16) as link:
    link.send(struct.pack("=IHHII", 16 + len(body), 16, 1, 1, 0) + body)
    answer = link.recv(8192)
print(struct.unpack_from("=H", answer, 4)[0] == 16 and name in answer)
"""


@pytest.fixture(scope="module")
def kernel() -> Kernel:
    try:
        return kernels.pick(os.environ.get("IPVSKIT_LAB_KERNEL", "auto"))
    except LabError as error:
        pytest.skip(error.summary)


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """All that runs leave behind would be here."""
    place = tmp_path / "runs"
    place.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(place))
    monkeypatch.setenv("TMPDIR", str(place))
    return place


def run(
    kernel: Kernel,
    *command: str,
    timeout: float = 60,
    streams: Streams | None = None,
    modules: str = "",
) -> Result:
    return guest.run(
        command,
        kernel=kernel,
        cwd=ROOT,
        env={**ENV, "LAB_MODPROBE": modules},
        timeout=timeout,
        memory="512M",
        streams=streams,
    )


def left_behind(place: Path) -> list[str]:
    """List the files and processes of runs that are still there."""
    found = [str(path) for path in place.iterdir()]
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = process.read_bytes()
        except OSError:
            continue
        if os.fsencode(place) in command:
            found.append(os.fsdecode(command))
    return found


def test_bytes_and_status_come_back_as_they_were(kernel: Kernel, place: Path) -> None:
    write = "import sys; sys.stdout.buffer.write(bytes(range(256)) * 1000); sys.exit(7)"
    result = run(kernel, sys.executable, "-c", write)
    assert result.output == bytes(range(256)) * 1000
    assert result.exit_status == 7
    assert result.kernel_release == kernel.version
    assert left_behind(place) == []


def test_streams_are_kept_apart(kernel: Kernel, tmp_path: Path) -> None:
    script = "printf '\\0out\\r\\n'; printf err >&2; echo again > /dev/stdout; kill -9 $$"
    with (tmp_path / "out").open("wb") as out, (tmp_path / "err").open("wb") as err:
        result = run(kernel, "sh", "-c", script, streams=Streams(out.fileno(), err.fileno()))
    assert result.exit_status == 128 + 9
    assert (tmp_path / "out").read_bytes() == b"\0out\r\nagain\n"
    assert (tmp_path / "err").read_bytes() == b"err"


def test_a_run_out_of_time_is_cut_and_nothing_stays(kernel: Kernel, place: Path) -> None:
    start = time.monotonic()
    with pytest.raises(GuestTimeoutError, match="ran out of time after 3 s") as caught:
        run(kernel, "sh", "-c", "sleep 1000 & echo before; sleep 1000", timeout=3)
    assert 3 <= time.monotonic() - start < 10
    assert caught.value.output == b"before\n"
    assert left_behind(place) == []


def test_a_panic_is_lab_trouble_with_the_consoles_words(kernel: Kernel, place: Path) -> None:
    with pytest.raises(GuestError, match=r"died while the command ran\n.*Kernel panic"):
        run(kernel, "sh", "-c", "echo c > /proc/sysrq-trigger")
    assert left_behind(place) == []


def test_a_daemon_left_behind_does_not_hold_the_run(kernel: Kernel) -> None:
    result = run(kernel, "sh", "-c", "sleep 1000 & echo hi; exit 4")
    assert (result.exit_status, result.output) == (4, b"hi\n")
    assert result.seconds < 30


def test_two_guests_at_once_are_two_machines(kernel: Kernel, tmp_path: Path) -> None:
    # Each waits for the other's file: one after the other would run out of time.
    script = "cat /proc/sys/kernel/random/boot_id; touch $0; until [ -e $1 ]; do sleep 0.05; done"
    one, other = str(tmp_path / "one"), str(tmp_path / "other")
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(run, kernel, "sh", "-c", script, one, other)
        second = pool.submit(run, kernel, "sh", "-c", script, other, one)
        results = [first.result(), second.result()]
    assert [result.exit_status for result in results] == [0, 0]
    assert results[0].output != results[1].output


def test_the_guest_loads_modules_by_itself(kernel: Kernel) -> None:
    # Old kernels' ip_vs does not name the family among its aliases: it must be loaded by hand.
    aliased = "family-IPVS" in (kernel.modules / "modules.alias").read_text()
    result = run(kernel, sys.executable, "-c", ASK_FOR_IPVS)
    assert result.output == f"{aliased}\n".encode()


def test_modules_can_be_loaded_first(kernel: Kernel) -> None:
    result = run(kernel, sys.executable, "-c", ASK_FOR_IPVS, modules="ip_vs ip_set")
    assert result.output == b"True\n"
    with pytest.raises(LabError, match="modprobe no_such_module failed"):
        run(kernel, "true", modules="no_such_module")


def test_the_guest_can_make_the_lab_traffic_needs(kernel: Kernel) -> None:
    script = """set -e
    [ "$(ip -o link show lo | grep -c UP)" = 1 ]
    ip netns add x
    ip link add v0 type veth peer name v1 netns x
    ip link add d0 type dummy
    ip link add b0 type bridge
    ip -n x link show v1 > /dev/null
    unshare -n true
    echo x > /run/x; echo x > /dev/shm/x; echo x > "$TMPDIR/x"; echo x > /dev/null
    [ "$(cat /dev/fd/3 3< /run/x)" = x ]
    """
    result = run(kernel, "sh", "-c", script)
    assert (result.exit_status, result.output) == (0, b"")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_no_guest_outlives_its_host_process(kernel: Kernel, place: Path, number: signal.Signals) -> None:
    name = kernels.INSTALLED if kernel.suite == kernels.INSTALLED else kernel.suite
    words = ["run", "--kernel", name, "--", "sh", "-c", "echo up; sleep 1000"]
    with subprocess.Popen([sys.executable, "-m", "tests.lab", *words], cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        assert left_behind(place) != []
        process.send_signal(number)
    deadline = time.monotonic() + 10
    while left_behind(place) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert left_behind(place) == []
