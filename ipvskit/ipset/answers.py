"""What the kernel answers, or ProtocolError.

Knows: that bytes which are no answer are told by EBADMSG. Must not know: what refusals mean.
"""

from __future__ import annotations

import errno
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ipvskit._native import ipset as native
from ipvskit.errors import ProtocolError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ipvskit._native.ipset import Failure

__all__ = ["failures", "parse_sets", "split_failures", "trusted"]


@contextmanager
def trusted() -> Iterator[None]:
    """Reading answers within. Raises ProtocolError for bytes that are none."""
    try:
        yield
    except OSError as error:
        if error.errno != errno.EBADMSG:
            raise
        raise ProtocolError("the kernel's answer is not what ipset's protocol allows") from None


def failures(reply: bytes) -> list[Failure]:
    """The refusals in an answer."""
    with trusted():
        return native.failures(reply) if reply else []


def split_failures(reply: bytes, error: int, most: int) -> tuple[list[int], list[Failure]]:
    """Of at most so many messages of single elements: the numbers of those refused with this error, and all other refusals."""
    with trusted():
        return native.split_failures(reply, error, most) if reply else ([], [])


def parse_sets(reply: bytes) -> bytes:
    """What answered HEADER, TYPE and the like, as packed struct ik_ipset_set."""
    with trusted():
        return native.parse_sets(reply) if reply else b""
