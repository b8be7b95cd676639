"""Records what ipvsadm(8) says to the command lines of tests/kernel/ipvsadm_texts.py, for tests without a kernel.

    python -m tests.lab run --kernel 7.2 -- .venv/bin/python -m tests.record_ipvsadm

Knows: where the recording is. Must not know: what is in it.
"""

from __future__ import annotations

import json
from pathlib import Path

from ipvskit.testing.namespaces import TestNetNS
from tests.kernel.ipvsadm_support import their, words_of
from tests.kernel.ipvsadm_texts import LISTS, STORIES, TABLE

__all__ = ["RECORDING", "main"]

RECORDING = Path(__file__).parent / "unit" / "ipvsadm_recorded.json"


def main() -> None:
    """Run everything, each story in a fresh namespace."""
    stories = {name: text.strip().splitlines() for name, text in STORIES.items()}
    stories["lists"] = [*TABLE.strip().splitlines(), *LISTS]
    found = {}
    for name, lines in stories.items():
        with TestNetNS() as namespace:
            found[name] = [_recorded(namespace, line.strip()) for line in lines]
    RECORDING.write_text(json.dumps(found, indent=1) + "\n")


def _recorded(namespace: TestNetNS, line: str) -> tuple[str, int, str, str]:
    ended = their(namespace, words_of(line))
    return line, ended.status, ended.out.decode("latin-1"), ended.err.decode("latin-1")


if __name__ == "__main__":
    main()
