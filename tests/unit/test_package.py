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


def test_importing_brings_nothing_heavy() -> None:
    script = "import sys; before = set(sys.modules); import ipvskit; print(*(set(sys.modules) - before))"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert "ipvskit.kernel" in loaded
    assert "ipvskit.ipvs.client" not in loaded
    assert HEAVY & set(loaded) == set()


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
