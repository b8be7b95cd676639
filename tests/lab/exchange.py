"""The folder a run shares with its guest: what the host writes for init, what init answers.

Knows: the folder's files (``init.sh`` has the same list), their formats, where it may lie.
Must not know: how a guest is started, watched or ended.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.lab.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tests.lab.kernels import Kernel

GUEST_TMPDIR = "/run/lab-tmp"
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
# The guest has its own here from the first moment on: its init cannot lie below them.
_HIDDEN = ("/dev/", "/proc/", "/sys/")


@dataclass(frozen=True, slots=True)
class Exchange:
    """One run's folder; the properties read what the guest has answered so far."""

    path: Path

    def write(
        self,
        command: Sequence[str],
        *,
        kernel: Kernel,
        cwd: str,
        env: Mapping[str, str],
        merged: bool,
    ) -> None:
        """Put down all that init reads."""
        shutil.copyfile(_INIT, self.path / "init.sh")
        (self.path / "init.sh").chmod(0o755)
        (self.path / "fstab").write_text(fstab(kernel))
        (self.path / "job").write_bytes(job_script(command, cwd, env))
        modules = shlex.quote(env.get("LAB_MODPROBE", ""))
        settings = f"LAB_MODPROBE={modules}\nLAB_MERGED={'yes' if merged else 'no'}\n"
        (self.path / "settings").write_text(settings)
        (self.path / "devices").mkdir()
        for name, target in _DEVICES.items():
            (self.path / "devices" / name).symlink_to(target)
        for name in ("stdout", "stderr", "console"):
            (self.path / name).touch()

    @property
    def release(self) -> str:
        """The guest's kernel; empty until the guest has booted."""
        return self._line("release")

    @property
    def status(self) -> str:
        """The command's exit status; empty until it has ended."""
        return self._line("status")

    @property
    def trouble(self) -> str:
        """What init could not do; empty if all went well."""
        return self._line("trouble")

    @property
    def done(self) -> bool:
        """Whether all of the command's output is here."""
        return (self.path / "done").exists()

    @property
    def console(self) -> str:
        """What the guest's kernel has said."""
        return (self.path / "console").read_text(errors="replace")

    def _line(self, name: str) -> str:
        """Read what the guest wrote; empty until it is there in full."""
        try:
            text = (self.path / name).read_text(errors="replace")
        except FileNotFoundError:
            return ""
        return text.strip() if text.endswith("\n") else ""


@contextlib.contextmanager
def opened() -> Iterator[Exchange]:
    """Make a fresh folder that is gone afterwards."""
    parents = [os.path.realpath(parent) for parent in (tempfile.gettempdir(), "/tmp", "/var/tmp")]
    # The kernel's command line, which names the folder, is split at spaces.
    fit = [p for p in parents if not f"{p}/".startswith(_HIDDEN) and " " not in p]
    folder = Path(tempfile.mkdtemp(prefix="ipvskit-lab-", dir=fit[0]))
    try:
        yield Exchange(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def check_command(command: Sequence[str]) -> None:
    """Refuse what the job's script could not run faithfully."""
    if not command:
        raise LabError("no command was given")
    if "=" in command[0]:
        # env(1), which starts the command, would take it for an assignment.
        raise LabError(f"a program with '=' in its name cannot be run: {command[0]!r}")
    if any("\0" in word for word in command):
        raise LabError("a word of the command holds a NUL character")


def job_script(command: Sequence[str], cwd: str, env: Mapping[str, str]) -> bytes:
    """Write the shell script that becomes the command, sourced by init."""
    words = [*(f"{name}={value}" for name, value in env.items()), *command]
    quoted = " ".join(shlex.quote(word) for word in words)
    lines = [f"cd {shlex.quote(cwd)} || exit 126", f"exec env -i {quoted}", ""]
    return os.fsencode("\n".join(lines))


def fstab(kernel: Kernel) -> str:
    """List what init mounts, in order."""
    known = {"modules": str(kernel.modules), "version": kernel.version}
    lines = []
    for row in _FSTAB:
        fields = (field.format(**known).replace(" ", "\\040") for field in row)
        lines.append(" ".join((*fields, "0 0")))
    return "\n".join(lines) + "\n"
