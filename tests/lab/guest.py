"""Boots a User Mode Linux guest around one command and hands back its output and exit status.

Knows: the kernel's command line, how a guest is watched, timed and ended. Must not know: where
kernels come from, what the command is for.

The guest's root is the host's file tree. What it must not touch is covered by tmpfs (``exchange``
has the list). /tmp is the host's, so that files named on the command line are seen and results
stay, but TMPDIR points to a tmpfs of the guest.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.lab import cpu, exchange, host, kernels
from tests.lab.errors import GuestError, GuestTimeoutError, LabError, NotBootedError
from tests.lab.follow import Follower
from tests.lab.watchdog import Watchdog

if TYPE_CHECKING:
    import threading
    from collections.abc import Mapping, Sequence

    from tests.lab.exchange import Exchange
    from tests.lab.kernels import Kernel

BOOT_SECONDS = 60.0
# How long output may still come after the command itself has ended: a daemon it left behind may
# keep the pipe open for ever.
DRAIN_SECONDS = 2.0
_POLL_SECONDS = 0.01


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
class _Limits:
    """When a run is over whatever the command does."""

    kernel: str
    started: float
    timeout: float
    stop: threading.Event | None


@dataclass(frozen=True, slots=True)
class _Boot:
    """How a guest's kernel is started."""

    kernel: Kernel
    memory: str
    seccomp: str | None


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
    ``env`` is the command's whole environment but for TMPDIR, which is the guest's own unless
    named; LAB_MODPROBE in it names modules to load first. Setting ``stop`` from another thread
    ends the guest. Raises LabError for the lab's own trouble.
    """
    host.check_memory(memory)
    exchange.check_command(command)
    host.check()
    full = {"TMPDIR": exchange.GUEST_TMPDIR, **env}
    directory = os.fspath(Path(cwd).absolute())
    limits = _Limits(str(kernel), time.monotonic(), timeout, stop)

    def attempt(seccomp: str | None) -> Result:
        with exchange.opened() as shared:
            merged = streams is None
            shared.write(command, kernel=kernel, cwd=directory, env=full, merged=merged)
            return _run_guest(shared, _Boot(kernel, memory, seccomp), limits, streams)

    with kernels.in_use(kernel):
        if not kernel.seccomp:
            return attempt(None)
        try:
            # The kernel itself falls back where the host refuses filters; 'off' below is for a
            # host that allows them and then does not honour them.
            return attempt("auto")
        except NotBootedError:
            return attempt("off")


def kernel_arguments(folder: Path, memory: str, seccomp: str | None) -> list[str]:
    """Build the guest kernel's command line."""
    arguments = [
        f"mem={memory}",
        "root=/dev/root",
        "rootfstype=hostfs",
        "rootflags=/",
        "rw",
        f"init={folder / 'init.sh'}",
        f"LAB_DIR={folder}",
        f"uml_dir={folder / 'uml'}",
        "con=null",
        "con0=null,fd:1",
        # A kernel bug must be seen as one, not as a command that was killed.
        "oops=panic",
        # Most of the boot goes into choosing the fastest RAID 6 routine (its start function was
        # renamed in newer kernels), compressed swap and measuring the delay loop: nothing here
        # uses them.
        "initcall_blacklist=raid6_select_algo,raid6_init,init_zswap",
        "lpj=30000000",
    ]
    if seccomp is not None:
        arguments.append(f"seccomp={seccomp}")
    return arguments


def _run_guest(shared: Exchange, boot: _Boot, limits: _Limits, streams: Streams | None) -> Result:
    with contextlib.ExitStack() as stack:
        watchdog = stack.enter_context(Watchdog(shared.path))
        followers = [stack.enter_context(each) for each in _followers(shared, streams)]
        on_cpu = stack.enter_context(cpu.claimed(kernels.cache_root()))
        process = _start(shared, boot, on_cpu)
        try:
            watchdog.guard(process.pid)
            _lift_limits(process.pid)
            status = _wait(shared, process, followers, limits)
        finally:
            _end(process)
        for follower in followers:
            follower.pump()
        return Result(
            exit_status=status,
            output=followers[0].captured,
            kernel_release=shared.release,
            seconds=time.monotonic() - limits.started,
            console=shared.console,
        )


def _followers(shared: Exchange, streams: Streams | None) -> list[Follower]:
    if streams is None:
        return [Follower(shared.path / "stdout", None)]
    return [
        Follower(shared.path / "stdout", streams.stdout),
        Follower(shared.path / "stderr", streams.stderr),
    ]


def _start(shared: Exchange, boot: _Boot, on_cpu: int) -> subprocess.Popen[bytes]:
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(shared.path)}
    if (where := host.memory_folder(boot.memory)) is not None:
        environment["TMPDIR"] = where
    arguments = kernel_arguments(shared.path, boot.memory, boot.seccomp)
    try:
        with open(shared.path / "console", "wb") as console, cpu.children_on(on_cpu):
            return subprocess.Popen(
                [str(boot.kernel.linux_uml), *arguments],
                cwd=shared.path,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                # The guest's kernel, helpers and processes are one group and end together.
                start_new_session=True,
            )
    except OSError as error:
        raise LabError(f"cannot start {boot.kernel.linux_uml}: {error.strerror}") from error


def _lift_limits(process: int) -> None:
    # Each file the guest has open or mapped is one of its kernel's process on the host, where the
    # usual soft limit is 1024; the guest sees "too many open files" then.
    _, hard = resource.prlimit(process, resource.RLIMIT_NOFILE)
    resource.prlimit(process, resource.RLIMIT_NOFILE, (hard, hard))
    # A guest that panics would leave its whole memory as a core file.
    resource.prlimit(process, resource.RLIMIT_CORE, (0, 0))


def _wait(
    shared: Exchange,
    process: subprocess.Popen[bytes],
    followers: Sequence[Follower],
    limits: _Limits,
) -> int:
    """Follow the guest until its output is complete; return the command's exit status."""
    boot_by = time.monotonic() + BOOT_SECONDS
    drain_by: float | None = None
    while True:
        # Looked at first: what a guest that has ended wrote before is then seen below.
        over = shared.done or _has_ended(process)
        for follower in followers:
            follower.pump()
        if trouble := shared.trouble:
            raise GuestError(limits.kernel, f"cannot be used: {trouble}")
        if status := shared.status:
            if drain_by is None:
                drain_by = time.monotonic() + DRAIN_SECONDS
            if over or time.monotonic() >= drain_by:
                return int(status)
        error = _why_over(shared, limits, ended=over, boot_by=boot_by)
        if error is not None:
            error.output = followers[0].captured
            raise error
        time.sleep(_POLL_SECONDS)


def _why_over(shared: Exchange, limits: _Limits, *, ended: bool, boot_by: float) -> GuestError | None:
    """Tell whether the run must end without a result."""
    now = time.monotonic()
    booted = bool(shared.release)
    if ended and not booted:
        return NotBootedError(limits.kernel, "did not boot: its kernel ended", shared.console)
    if ended:
        return GuestError(limits.kernel, "died while the command ran", shared.console)
    if now >= limits.started + limits.timeout:
        what = f"ran out of time after {limits.timeout:g} s" + ("" if booted else ", not booted")
        return GuestTimeoutError(limits.kernel, what, shared.console)
    if not booted and now >= boot_by:
        what = f"did not boot within {BOOT_SECONDS:g} s"
        return NotBootedError(limits.kernel, what, shared.console)
    if limits.stop is not None and limits.stop.is_set():
        return GuestError(limits.kernel, "was stopped")
    return None


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    # Looks without reaping: while the leader is not reaped its group's number cannot be reused.
    flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
    return os.waitid(os.P_PID, process.pid, flags) is not None


def _end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
