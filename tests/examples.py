"""How many examples a property is tried with.

Knows: the nightly profile and that of instrumented code (IPVSKIT_NIGHTLY, IPVSKIT_INSTRUMENTED, see docs/testing.md). Must not know: any test.
"""

from __future__ import annotations

import os

__all__ = ["NIGHTLY", "PROFILE", "examples"]

NIGHTLY = bool(os.environ.get("IPVSKIT_NIGHTLY"))
_INSTRUMENTED = bool(os.environ.get("IPVSKIT_INSTRUMENTED"))
#: Hypothesis's settings where a test does not say how many examples it wants (`tests/conftest.py`).
PROFILE = "nightly" if NIGHTLY else "instrumented" if _INSTRUMENTED else "default"


def examples(count: int) -> int:
    """This many; twenty times as many at night, a quarter where sanitizers make each take several times as long (the fuzzers have them, too)."""
    if NIGHTLY:
        return count * 20
    return max(5, count // 4) if _INSTRUMENTED else count
