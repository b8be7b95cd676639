"""Every Python example of the documentation runs, and prints what the page says.

Knows: Markdown's fences. Must not know: what the examples are about. `ik.Kernel` is the fake kernel here.
"""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import pytest

import ipvskit as ik
from ipvskit.kube import proxy, removing
from ipvskit.testing.fake import FakeKernel
from ipvskit.testing.fake.iptables import FakeIptables

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
#: An example, and what the text behind it says that it prints.
EXAMPLE = re.compile(
    r"```python\n(?P<code>.*?)```(?:\n\nprints(?: `(?P<line>[^`]*)`|\n\n```text\n(?P<block>.*?)```))?", re.DOTALL
)

EXAMPLES = [
    pytest.param(match, id=f"{page.name}-{number}")
    for page in PAGES
    for number, match in enumerate(EXAMPLE.finditer(page.read_text()))
]


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 8


@pytest.mark.parametrize("example", EXAMPLES)
def test_example(example: re.Match[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ik, "Kernel", lambda *_, **__: FakeKernel())
    for user in (proxy, removing):
        monkeypatch.setattr(user, "Iptables", FakeIptables)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(example["code"], "example", "exec"), {"__name__": "example"})
    expected = example["block"] or example["line"]
    if expected:
        assert printed.getvalue().strip() == expected.strip()


LINK = re.compile(r"\]\((?!https?:)([^)#]+)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(page.read_text()):
        assert (page.parent / target).exists(), target
