"""The fake ipset behind the client.

Knows: what the client asks of a transport, and who owns which name. Must not know: how commands are executed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipvskit.ipset.transport import Limits, Reply

if TYPE_CHECKING:
    from ipvskit._native.ipset import Listing
    from ipvskit.testing.fake.ipset.kernel import FakeIpset

__all__ = ["Adapter", "Names"]


class Adapter:
    """A transport (`ipvskit.ipset.transport.Transport`) to the fake."""

    def __init__(self, fake: FakeIpset, limits: Limits | None = None) -> None:
        self._transport = fake.transport()
        self.limits = limits or Limits()

    def exchange(self, messages: memoryview, count: int) -> Reply:
        """See `Transport`."""
        reply = self._transport.exchange(bytes(messages), count)
        return Reply(reply.data, reply.lost)

    def dump(self, message: bytearray, listing: Listing) -> None:
        """See `Transport`."""
        for datagram in self._transport.dump(bytes(message)):
            listing.feed(datagram)

    def close(self) -> None:
        """See `Transport`."""
        self._transport.close()


class Names:
    """Names that are owned in one fake namespace."""

    def __init__(self) -> None:
        self._owned: set[str] = set()

    def own(self, name: str) -> Owned | None:
        """Take a name; None when it is taken."""
        if name in self._owned:
            return None
        self._owned.add(name)
        return Owned(self._owned, name)

    def die(self) -> None:
        """Let go of all of them, as when their processes die."""
        self._owned.clear()


class Owned:
    """A name that is owned until it is closed."""

    def __init__(self, owned: set[str], name: str) -> None:
        self._owned = owned
        self._name = name

    def close(self) -> None:
        """Give it back."""
        self._owned.discard(self._name)
