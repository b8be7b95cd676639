"""The JSON Schema (2020-12) of the native form, for editors and other programs.

    python -m ipvskit.formats.schema > ipvskit/formats/state.schema.json

Knows: the table of keys. Must not know: values. What needs more than one key, such as which options a type of set has, the schema does not say: the
parser does.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from ipvskit.formats.tables import DAEMON, DEVICE, DOCUMENT, REAL, SERVICE, SET, SYSCTL, TIMEOUTS

__all__ = ["schema", "schema_text"]

_NAMES = {
    "real": REAL,
    "service": SERVICE,
    "set": SET,
    "device": DEVICE,
    "daemon": DAEMON,
    "timeouts": TIMEOUTS,
    "sysctls": SYSCTL,
}


def schema() -> dict[str, Any]:
    """The schema as objects; each of the tables is there once, under `$defs`."""
    own = {name: table.schema() for name, table in _NAMES.items()}
    definitions = {name: _referred(table, own, name) for name, table in own.items()}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "State of IPVS and ipset for ipvskit",
        **_referred(DOCUMENT.schema(), own, ""),
        "$defs": definitions,
    }


def _referred(tree: Any, tables: dict[str, dict[str, Any]], inside: str) -> Any:  # noqa: ANN401 - any part of a schema
    """The tree with a reference for each table in it but the one that it is."""
    if isinstance(tree, list):
        return [_referred(each, tables, "") for each in tree]
    if not isinstance(tree, dict):
        return tree
    for name, table in tables.items():
        if name != inside and tree.get("properties") == table["properties"]:
            words = {"description": tree["description"]} if "description" in tree else {}
            return words | {"$ref": f"#/$defs/{name}"}
    return {key: _referred(each, tables, "") for key, each in tree.items()}


def schema_text() -> str:
    """The schema as a file has it."""
    return json.dumps(schema(), indent=2) + "\n"


if __name__ == "__main__":
    sys.stdout.write(schema_text())
