"""How the documentation is built: `make docs`.

Knows: Sphinx, its theme, Markdown. Must not know: what the pages say.
"""

from __future__ import annotations

import re
from importlib.metadata import version as _version

project = "ipvskit"
author = "the authors of ipvskit"
copyright = author  # noqa: A001 - Sphinx's own name
version = release = _version("ipvskit")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.intersphinx"]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
exclude_patterns: list[str] = []
#: No inventory is fetched: the documentation is built without a network.
intersphinx_mapping: dict[str, tuple[str, None]] = {}

html_theme = "furo"
html_title = f"ipvskit {version}"

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True, "undoc-members": False, "show-inheritance": True}
autodoc_inherit_docstrings = False

_CODE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_MARKUP = re.compile(r"([*_|\\])")


def _as_markdown(_app: object, _what: str, _name: str, _obj: object, _options: object, lines: list[str]) -> None:
    """Docstrings are plain English in which code stands between single backquotes; Sphinx wants two, and reads other signs as markup."""
    parts = _CODE.split("\n".join(lines))
    parts[0::2] = [_MARKUP.sub(r"\\\1", text) for text in parts[0::2]]
    parts[1::2] = [f"``{code.strip()}``" for code in parts[1::2]]
    lines[:] = "".join(parts).split("\n")


def setup(app: object) -> None:
    """Called by Sphinx."""
    app.connect("autodoc-process-docstring", _as_markdown)  # type: ignore[attr-defined] # an application
