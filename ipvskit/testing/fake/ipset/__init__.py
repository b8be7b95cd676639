"""An ipset kernel in memory that speaks raw netlink, for the tests of programs that use ipvskit.

    from ipvskit.testing.fake.ipset import Command, Dumped, FakeIpset

    fake = FakeIpset(release="6.1")
    fake.lie(Dumped(times=2), command=Command.SWAP)
    transport = fake.transport()

Knows: the public names. Must not know: how anything is done. Must not be imported by the library.
"""

from ipvskit.testing.fake.ipset.kernel import FakeIpset, FakeTransport, Reply
from ipvskit.testing.fake.ipset.lies import (
    Before,
    CommandLie,
    Dumped,
    DumpLie,
    Duplicate,
    ExchangeLie,
    Fail,
    Lie,
    LoseAnswers,
    Omit,
    Refuse,
    Told,
)
from ipvskit.testing.fake.ipset.messages import Recorded
from ipvskit.testing.fake.ipset.names import Command
from ipvskit.testing.fake.ipset.types import TYPES

__all__ = [
    "TYPES",
    "Before",
    "Command",
    "CommandLie",
    "DumpLie",
    "Dumped",
    "Duplicate",
    "ExchangeLie",
    "Fail",
    "FakeIpset",
    "FakeTransport",
    "Lie",
    "LoseAnswers",
    "Omit",
    "Recorded",
    "Refuse",
    "Reply",
    "Told",
]
