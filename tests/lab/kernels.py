"""Which packaged kernels there are, and the cache folder they are kept in.

Knows: names and Debian suites, the cache's layout, locks; a kernel in the cache is complete and
used without network. Must not know: how packages are fetched (``archive``), how guests run.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.lab import archive
from tests.lab.errors import KernelUnavailableError, LabError

if TYPE_CHECKING:
    from collections.abc import Iterator

CACHE_VARIABLE = "IPVSKIT_LAB_CACHE"
INSTALLED = "installed"
#: The fastest kernel that can be had; and the fastest of those that iptables works on.
AUTO, IPTABLES = "auto", "iptables"
_RECORD = "kernel.json"
_LAYOUT = 1


@dataclass(frozen=True, slots=True)
class Packaged:
    """A kernel Debian packages: known by the suite, the name is the series found there; `iptables` says whether it has a part for that."""

    name: str
    suite: str
    aged: bool = False
    iptables: bool = True


PACKAGED = (
    Packaged("5.10", "bullseye", aged=True),
    Packaged("6.1", "bookworm"),
    Packaged("6.12", "trixie"),
    # Neither the tables of before nftables nor nftables for IPv4 are built.
    Packaged("7.2", "sid", iptables=False),
)


@dataclass(frozen=True, slots=True)
class Kernel:
    """A kernel ready to boot; identity is the suite and the version really found there."""

    suite: str
    version: str
    linux_uml: Path
    modules: Path
    seccomp: bool
    package: str = ""

    def __str__(self) -> str:
        return f"{self.version} ({self.suite})"


def find(name: str) -> Packaged:
    """Find the packaged kernel called ``name``: its series or its suite."""
    for packaged in PACKAGED:
        if name in (packaged.name, packaged.suite):
            return packaged
    known = ", ".join(f"{packaged.name} ({packaged.suite})" for packaged in PACKAGED)
    raise LabError(f"no kernel is called {name!r}; there are {known}, {INSTALLED}, {AUTO} and {IPTABLES}")


def has_seccomp(version: str) -> bool:
    """Tell whether this version can run its processes under seccomp instead of ptrace (6.16)."""
    found = re.match(r"(\d+)\.(\d+)", version)
    return found is not None and (int(found[1]), int(found[2])) >= (6, 16)


def cache_root() -> Path:
    """Name the cache: outside the tree, for kernels belong to the machine, not to a checkout."""
    named = os.environ.get(CACHE_VARIABLE)
    if named:
        return Path(named).absolute()
    caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(caches).absolute() / "ipvskit-lab"


def cached(suite: str) -> Kernel | None:
    """Find the suite's kernel if the cache has it, at the place it was made for."""
    home = cache_root() / suite
    try:
        record = json.loads((home / _RECORD).read_text())
    except (OSError, ValueError):
        return None
    # The program carries absolute paths, so a folder that was moved or copied does not count.
    if record.get("layout") != _LAYOUT or record.get("home") != str(home):
        return None
    version = str(record["version"])
    if not (home / "linux.uml").exists():
        return None
    return Kernel(
        suite=suite,
        version=version,
        linux_uml=home / "linux.uml",
        modules=home / "modules" / version,
        seccomp=has_seccomp(version),
        package=str(record["package"]),
    )


def fetch(suite: str, *, refresh: bool = False) -> Kernel:
    """Get the suite's kernel, from the cache or else from the archive."""
    packaged = find(suite)
    if not refresh and (kernel := cached(packaged.suite)) is not None:
        return kernel
    try:
        with _lock(packaged.suite, exclusive=True):
            # Another run may have fetched it while this one waited for the lock.
            if refresh or (kernel := cached(packaged.suite)) is None:
                kernel = _fetch(packaged)
            return kernel
    except (LabError, OSError, StopIteration, subprocess.SubprocessError) as error:
        raise KernelUnavailableError(packaged.name, packaged.suite, _reason(error)) from error


def installed() -> Kernel | None:
    """Find the kernel of the distribution's own package, if it is installed."""
    linux = Path("/usr/bin/linux.uml")
    modules = sorted(Path("/usr/lib/uml/modules").glob("*/modules.dep.bin"))
    if not linux.exists() or not modules:
        return None
    version = modules[-1].parent.name
    return Kernel(INSTALLED, version, linux, modules[-1].parent, has_seccomp(version))


def pick(name: str) -> Kernel:
    """Get the kernel called ``name``; 'auto' is the fastest that can be had, newest suite first, 'iptables' the same with iptables."""
    if name == INSTALLED:
        if (own := installed()) is None:
            raise LabError("the package user-mode-linux is not installed on this machine")
        return own
    if name not in {AUTO, IPTABLES}:
        return fetch(find(name).suite)
    reasons = []
    for packaged in reversed(PACKAGED):
        if name == IPTABLES and not packaged.iptables:
            continue
        try:
            return fetch(packaged.suite)
        except KernelUnavailableError as error:
            reasons.append(error.summary)
    if (own := installed()) is not None:
        return own
    raise LabError("no kernel could be had: " + "; ".join(reasons))


@contextlib.contextmanager
def in_use(kernel: Kernel) -> Iterator[None]:
    """Keep a refresh from replacing the kernel's files below a running guest."""
    if kernel.suite == INSTALLED:
        yield
        return
    with contextlib.ExitStack() as stack:
        # A cache this user may only read and that has no lock file cannot be refreshed either.
        with contextlib.suppress(OSError):
            stack.enter_context(_lock(kernel.suite, exclusive=False))
        yield


@contextlib.contextmanager
def _lock(suite: str, *, exclusive: bool) -> Iterator[None]:
    root = cache_root()
    root.mkdir(parents=True, exist_ok=True)
    # Read-only, so that users who share a cache can share its locks.
    file = os.open(root / f"{suite}.lock", os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(file, fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH)
        yield
    finally:
        os.close(file)


def _fetch(packaged: Packaged) -> Kernel:
    """Unpack beside, then rename: the cache never holds half a kernel."""
    root = cache_root()
    home = root / packaged.suite
    _remove_leftovers(root, packaged.suite)
    making = Path(tempfile.mkdtemp(prefix=f".{packaged.suite}-", dir=root))
    try:
        unpacked = archive.unpack_kernel(packaged.suite, making, home, aged=packaged.aged)
        record = {
            "layout": _LAYOUT,
            "home": str(home),
            "version": unpacked.version,
            "package": unpacked.package,
        }
        (making / _RECORD).write_text(json.dumps(record) + "\n")
        making.chmod(0o755)
        if home.exists():
            home.rename(root / f".{packaged.suite}-old")
        making.rename(home)
    finally:
        _remove_leftovers(root, packaged.suite)
    kernel = cached(packaged.suite)
    if kernel is None:
        raise LabError(f"what was unpacked into {home} is not usable")
    return kernel


def _remove_leftovers(root: Path, suite: str) -> None:
    """Half-made folders of runs that were killed; the caller holds the suite's lock."""
    for leftover in root.glob(f".{suite}-*"):
        shutil.rmtree(leftover, ignore_errors=True)


def _reason(error: BaseException) -> str:
    if isinstance(error, LabError):
        return error.summary
    if isinstance(error, StopIteration):
        return "the package does not hold what was expected"
    return str(error) or type(error).__name__
