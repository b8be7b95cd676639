"""What `import ipvskit` costs in modules, and whether the package is whole.

Knows: the public surface. Must not know: the kernel.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import ipvskit
from ipvskit import errors

HEAVY = {
    "asyncio",
    "yaml",
    "prometheus_client",
    "pyroute2",
    "subprocess",
    "socket",
    "logging",
    "typing_extensions",
    "hypothesis",
}
# Under the sanitizers the package is a folder of links.
PACKAGE = Path(errors.__file__).resolve().parent


#: What programs that live for a moment cannot afford: each takes longer than such a program should.
SLOW = HEAVY | {"typing", "dataclasses", "enum", "re", "ipaddress", "contextlib", "threading", "pathlib"}


def loaded_by(statement: str) -> set[str]:
    script = f"import sys; before = set(sys.modules); {statement}; print(*(set(sys.modules) - before))"
    # Without the finder of an editable installation, which brings half of the standard library itself.
    run = [sys.executable, "-S", "-c", f"import sys; sys.path[:0] = {sys.path!r}; {script}"]
    return set(subprocess.run(run, capture_output=True, text=True, check=True).stdout.split())


def test_importing_brings_nothing_heavy() -> None:
    loaded = loaded_by("from ipvskit import Kernel, VirtualService")
    assert "ipvskit.kernel" in loaded
    assert "ipvskit.ipvs.client" not in loaded
    assert HEAVY & loaded == set()


@pytest.mark.parametrize("statement", ["import ipvskit", "from ipvskit.ipvs.backend import KernelBackend"])
def test_short_programs_do_not_pay_for_values(statement: str) -> None:
    assert SLOW & loaded_by(statement) == set()


def test_everything_public_is_there_and_has_a_docstring() -> None:
    for name in ipvskit.__all__:
        assert getattr(ipvskit, name).__doc__, name
    with pytest.raises(AttributeError, match="nonsense"):
        ipvskit.nonsense  # noqa: B018


def test_every_file_opens_with_what_it_knows() -> None:
    for path in sorted(PACKAGE.rglob("*.py")):
        doc = ast.get_docstring(ast.parse(path.read_text())) or ""
        assert doc, path
        if path.name != "__init__.py":
            assert "Knows:" in doc, path
            assert "ust not" in doc, path


def test_the_compiled_module_is_named_by_one_file_only() -> None:
    users = [path.name for path in sorted(PACKAGE.rglob("*.py")) if "ipvskit._core" in path.read_text()]
    assert users == ["__init__.py"], "only ipvskit/_native/__init__.py"
