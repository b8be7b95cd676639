"""Boots a User Mode Linux guest around one command and hands back its output and exit status.

Knows: the kernel's command line, the exchange folder it shares with ``init.sh``, how a guest is
watched, timed and ended. Must not know: where kernels come from, what the command is for.

The guest's root is the host's file tree. What it must not touch is covered by tmpfs (see
``_FSTAB``). /tmp is the host's, so that files named on the command line are seen and results stay,
but TMPDIR points to a tmpfs of the guest.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tests.lab import cpu, kernels
from tests.lab.archive import tool
from tests.lab.errors import GuestError, GuestNotBooted, GuestTimeout, LabError
from tests.lab.follow import Follower
from tests.lab.kernels import Kernel
from tests.lab.watchdog import Watchdog

BOOT_SECONDS = 60.0
# How long output may still come after the command itself has ended (a daemon it left may keep the
# pipe open for ever).
DRAIN_SECONDS = 2.0
GUEST_TMPDIR = "/run/lab-tmp"
_POLL_SECONDS = 0.01
_INIT = Path(__file__).with_name("init.sh")

# (what, where, type, options); the kernel itself has mounted devtmpfs on /dev.
_FSTAB = (
    ("proc", "/proc", "proc", "defaults"),
    ("sysfs", "/sys", "sysfs", "defaults"),
    ("devpts", "/dev/pts", "devpts", "mode=620,ptmxmode=666,X-mount.mkdir"),
    ("tmpfs", "/dev/shm", "tmpfs", "mode=1777,X-mount.mkdir"),
    ("tmpfs", "/lib/modules", "tmpfs", "mode=755"),
    ("{modules}", "/lib/modules/{version}", "none", "bind,X-mount.mkdir"),
    ("tmpfs", "/run", "tmpfs", "mode=755"),
    ("tmpfs", GUEST_TMPDIR, "tmpfs", "mode=1777,X-mount.mkdir"),
)
_DEVICES = {
    "fd": "/proc/self/fd",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
}
# Folders the guest's own mounts hide: nothing the guest reads at start can lie there.
_HIDDEN = ("/dev", "/proc", "/sys")


@dataclass(frozen=True, slots=True)
class Result:
    """How a command ended in a guest; ``output`` is empty if it was streamed."""

    exit_status: int
    output: bytes
    kernel_release: str
    seconds: float
    console: str


@dataclass(frozen=True, slots=True)
class Streams:
    """The caller's file descriptors that get the command's output while it runs."""

    stdout: int
    stderr: int


@dataclass(frozen=True, slots=True)
class _Job:
    """All one run needs, checked."""

    command: tuple[str, ...]
    kernel: Kernel
    cwd: str
    env: dict[str, str]
    memory: str
    streams: Streams | None
    started: float
    timeout: float
    stop: threading.Event | None

    @property
    def remaining(self) -> float:
        return self.started + self.timeout - time.monotonic()


def run(
    command: Sequence[str],
    *,
    kernel: Kernel,
    cwd: str | os.PathLike[str],
    env: Mapping[str, str],
    timeout: float,
    memory: str = "2G",
    streams: Streams | None = None,
    stop: threading.Event | None = None,
) -> Result:
    """Run ``command`` in a fresh guest; ``timeout`` covers boot and command together.

    Without ``streams`` stdout and stderr are captured together in the order they were written.
    ``env`` is the command's whole environment; LAB_MODPROBE in it names modules to load first.
    Setting ``stop`` from another thread ends the guest. Raises LabError for the lab's own trouble.
    """
    check_memory(memory)
    check_command(command)
    _check_host()
    full = {**default_environment(), **env}
    job = _Job(
        command=tuple(command),
        kernel=kernel,
        cwd=os.fspath(Path(cwd).absolute()),
        env=full,
        memory=memory,
        streams=streams,
        started=time.monotonic(),
        timeout=timeout,
        stop=stop,
    )
    # 'auto' falls back by itself where the host allows no filters; 'off' is for one that lies.
    with kernels.in_use(kernel):
        if not kernel.seccomp:
            return _attempt(job, seccomp=None)
        try:
            return _attempt(job, seccomp="auto")
        except GuestNotBooted:
            return _attempt(job, seccomp="off")


def default_environment() -> dict[str, str]:
    """What a command finds in the guest unless the caller says otherwise."""
    return {"TMPDIR": GUEST_TMPDIR}


def check_memory(memory: str) -> None:
    if re.fullmatch(r"[1-9]\d*[MG]", memory) is None:
        raise LabError(f"memory is a number with M or G, such as 2G, not {memory!r}")


def check_command(command: Sequence[str]) -> None:
    if not command:
        raise LabError("no command was given")
    if "=" in command[0]:
        # env(1), which starts the command, would take it for an assignment.
        raise LabError(f"a program with '=' in its name cannot be run: {command[0]!r}")
    if any("\0" in word for word in command):
        raise LabError("a word of the command holds a NUL character")


def kernel_arguments(job_folder: Path, memory: str, seccomp: str | None) -> list[str]:
    """The guest kernel's command line."""
    arguments = [
        f"mem={memory}",
        "root=/dev/root",
        "rootfstype=hostfs",
        "rootflags=/",
        "rw",
        f"init={job_folder / 'init.sh'}",
        f"LAB_DIR={job_folder}",
        f"uml_dir={job_folder / 'uml'}",
        "con=null",
        "con0=null,fd:1",
        # A kernel bug must be seen as one, not as a command that was killed.
        "oops=panic",
        # Half of the boot is spent choosing the fastest RAID 6 routine and measuring the delay
        # loop; nothing here uses either. The first was renamed in newer kernels.
        "initcall_blacklist=raid6_select_algo,raid6_init,init_zswap",
        "lpj=30000000",
    ]
    if seccomp is not None:
        arguments.append(f"seccomp={seccomp}")
    return arguments


def job_script(command: Sequence[str], cwd: str, env: Mapping[str, str]) -> bytes:
    """The shell script that becomes the command, sourced by init."""
    words = [*(f"{name}={value}" for name, value in env.items()), *command]
    quoted = " ".join(shlex.quote(word) for word in words)
    lines = [f"cd {shlex.quote(cwd)} || exit 126", f"exec env -i {quoted}", ""]
    return os.fsencode("\n".join(lines))


def fstab(kernel: Kernel) -> str:
    known = {"modules": str(kernel.modules), "version": kernel.version}
    lines = []
    for row in _FSTAB:
        fields = (field.format(**known).replace(" ", "\\040") for field in row)
        lines.append(" ".join((*fields, "0 0")))
    return "\n".join(lines) + "\n"


def memory_folder(memory: str) -> str | None:
    """Where the guest's memory file goes: a tmpfs that is large enough and may hold code.

    On a disk every page of the guest would be written back now and then, which is far slower.
    """
    size = int(memory[:-1]) << {"M": 20, "G": 30}[memory[-1]]
    named = [os.environ.get(name) for name in ("TMPDIR", "XDG_RUNTIME_DIR")]
    for folder in ("/dev/shm", *filter(None, named), "/run/shm"):
        with contextlib.suppress(OSError):
            about = os.statvfs(folder)
            usable = os.access(folder, os.W_OK) and not about.f_flag & os.ST_NOEXEC
            if usable and about.f_bavail * about.f_frsize >= size and _is_tmpfs(folder):
                return folder
    return None


def _is_tmpfs(folder: str) -> bool:
    with open("/proc/self/mounts") as mounts:
        types = {fields[1]: fields[2] for fields in (line.split() for line in mounts)}
    return types.get(os.path.realpath(folder)) == "tmpfs"


def _check_host() -> None:
    """Name what the machine lacks before a guest fails for want of it."""
    tool("modprobe", "the Debian package kmod")
    tool("ip", "the Debian package iproute2")
    try:
        # The guest mounts its modules there, and its root is the host's tree.
        Path("/lib/modules").mkdir(exist_ok=True)
    except OSError as error:
        raise LabError("there is no folder /lib/modules: make one as root") from error


def _attempt(job: _Job, seccomp: str | None) -> Result:
    with _exchange_folder() as folder, contextlib.ExitStack() as stack:
        _write_exchange(folder, job)
        watchdog = stack.enter_context(Watchdog(folder))
        followers = _open_followers(folder, job, stack)
        console = stack.enter_context(open(folder / "console", "wb"))
        on_cpu = stack.enter_context(cpu.claimed(kernels.cache_root()))
        process = _start(folder, job, seccomp, console, on_cpu)
        try:
            watchdog.guard(process.pid)
            status = _wait(job, folder, process, followers)
        finally:
            _end(process)
        for follower in followers:
            follower.pump()
        return Result(
            exit_status=status,
            output=followers[0].captured,
            kernel_release=_read(folder / "release"),
            seconds=time.monotonic() - job.started,
            console=_console(folder),
        )


@contextlib.contextmanager
def _exchange_folder() -> Iterator[Path]:
    parents = [tempfile.gettempdir(), "/tmp", "/var/tmp"]
    fit = [p for p in parents if not p.startswith(_HIDDEN) and " " not in p and os.path.isdir(p)]
    folder = Path(tempfile.mkdtemp(prefix="ipvskit-lab-", dir=fit[0])).resolve()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _write_exchange(folder: Path, job: _Job) -> None:
    shutil.copyfile(_INIT, folder / "init.sh")
    (folder / "init.sh").chmod(0o755)
    (folder / "fstab").write_text(fstab(job.kernel))
    (folder / "job").write_bytes(job_script(job.command, job.cwd, job.env))
    modules = shlex.quote(job.env.get("LAB_MODPROBE", ""))
    merged = "yes" if job.streams is None else "no"
    (folder / "settings").write_text(f"LAB_MODPROBE={modules}\nLAB_MERGED={merged}\n")
    (folder / "devices").mkdir()
    for name, target in _DEVICES.items():
        (folder / "devices" / name).symlink_to(target)
    for name in ("stdout", "stderr"):
        (folder / name).touch()


def _open_followers(folder: Path, job: _Job, stack: contextlib.ExitStack) -> list[Follower]:
    wanted: list[tuple[str, int | None]] = [("stdout", None)]
    if job.streams is not None:
        wanted = [("stdout", job.streams.stdout), ("stderr", job.streams.stderr)]
    return [stack.enter_context(Follower(folder / name, target)) for name, target in wanted]


def _start(
    folder: Path, job: _Job, seccomp: str | None, console: IO[bytes], on_cpu: int
) -> subprocess.Popen[bytes]:
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(folder)}
    if (where := memory_folder(job.memory)) is not None:
        environment["TMPDIR"] = where
    try:
        with cpu.children_on(on_cpu):
            return subprocess.Popen(
                [str(job.kernel.linux_uml), *kernel_arguments(folder, job.memory, seccomp)],
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                # The guest's kernel, helpers and processes are one group and end together.
                start_new_session=True,
            )
    except OSError as error:
        raise LabError(f"cannot start {job.kernel.linux_uml}: {error.strerror}") from error


def _wait(
    job: _Job, folder: Path, process: subprocess.Popen[bytes], followers: Sequence[Follower]
) -> int:
    """Follow the guest until its output is complete; returns the command's exit status."""
    booted_by = time.monotonic() + BOOT_SECONDS
    drained_by: float | None = None
    while True:
        ended = _has_ended(process)
        done = (folder / "done").exists()
        booted = done or bool(_read(folder / "release"))
        for follower in followers:
            follower.pump()
        status = _read(folder / "status")
        if status and drained_by is None:
            drained_by = time.monotonic() + DRAIN_SECONDS
        if trouble := _read(folder / "trouble"):
            raise GuestError(str(job.kernel), f"cannot be used: {trouble}", _console(folder))
        if status and (done or ended or time.monotonic() >= (drained_by or 0)):
            return int(status)
        _raise_if_over(job, folder, followers, booted=booted, ended=ended, booted_by=booted_by)
        time.sleep(_POLL_SECONDS)


def _raise_if_over(
    job: _Job,
    folder: Path,
    followers: Sequence[Follower],
    *,
    booted: bool,
    ended: bool,
    booted_by: float,
) -> None:
    name, console = str(job.kernel), _console(folder)
    output = followers[0].captured
    if ended and not booted:
        raise GuestNotBooted(name, "did not boot: its kernel ended", console)
    if ended:
        raise GuestError(name, "died while the command ran", console, output)
    if job.remaining <= 0:
        what = f"ran out of time after {job.timeout:g} s"
        raise GuestTimeout(name, what if booted else f"{what}, while booting", console, output)
    if not booted and time.monotonic() >= booted_by:
        raise GuestNotBooted(name, f"did not boot within {BOOT_SECONDS:g} s", console)
    if job.stop is not None and job.stop.is_set():
        raise GuestError(name, "was stopped", "", output)


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    # Looks without reaping: while the leader is not reaped its group's number cannot be reused.
    flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
    return os.waitid(os.P_PID, process.pid, flags) is not None


def _end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _read(path: Path) -> str:
    """A line the guest wrote; empty until it is there in full."""
    try:
        text = path.read_text(errors="replace")
    except OSError:
        return ""
    return text.strip() if text.endswith("\n") else ""


def _console(folder: Path) -> str:
    with contextlib.suppress(OSError):
        return (folder / "console").read_text(errors="replace")
    return ""
