"""The table of set types in the documentation is the code's own.

Knows: where the table stands. Must not know: what is in it (`ipvskit.model.settype.type_table`).
"""

from __future__ import annotations

from pathlib import Path

from ipvskit.model.settype import SET_TYPES, type_table

PAGE = Path(__file__).resolve().parents[2] / "docs" / "ipset.md"
BEGIN = "<!-- types: begin -->\n"
END = "<!-- types: end -->\n"
WRITE = "python -m tests.unit.test_docs_types"


def written(text: str) -> str:
    """The page with the table of today."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise AssertionError(f"{PAGE.name} has no table between {BEGIN.strip()} and {END.strip()}")
    return before + begin + type_table() + end + after


def test_the_table_is_that_of_the_code() -> None:
    text = PAGE.read_text()
    assert text == written(text), f"the types have changed: write the table anew with `{WRITE}`"


def test_the_table_has_every_type_and_option() -> None:
    rows = type_table().splitlines()[2:]
    assert len(rows) == len(SET_TYPES) == 16
    for row, kind in zip(rows, SET_TYPES.values(), strict=True):
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        assert len(cells) == 7
        assert f"`{kind.name}`" in cells[0]
        assert cells[4] == ", ".join(kind.create_options)
        assert cells[5] == ", ".join(kind.entry_options)


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text()))
