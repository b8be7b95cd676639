"""How many examples a property is tried with.

Knows: the nightly profile (IPVSKIT_NIGHTLY, see docs/testing.md). Must not know: any test.
"""

from __future__ import annotations

import os

__all__ = ["NIGHTLY", "examples"]

NIGHTLY = bool(os.environ.get("IPVSKIT_NIGHTLY"))


def examples(count: int) -> int:
    """This many, or twenty times as many at night."""
    return count * 20 if NIGHTLY else count
