"""A kernel in memory, for the tests of programs that use ipvskit.

    from ipvskit.testing.fake import Command, FakeKernel, Refuse

    with FakeKernel(release="6.1") as kernel:
        kernel.ipvs.add_service("192.0.2.10:80/tcp scheduler=wlc")
        kernel.lie(Refuse(errno.ENOMEM), command=Command.NEW_DEST, nth=1)

Knows: the public names. Must not know: how anything is done. Must not be imported by the library.
"""

from ipvskit.ipvs.records import Command
from ipvskit.testing.fake.backend import FakeBackend
from ipvskit.testing.fake.kernel import SCHEDULERS, FakeKernel
from ipvskit.testing.fake.lies import (
    Before,
    CallLie,
    Chunks,
    Duplicate,
    Fail,
    Interrupt,
    Lie,
    LoseAnswers,
    Omit,
    Refuse,
    RequestLie,
    SwallowAnswer,
    Told,
)
from ipvskit.testing.fake.network import ETHERNET, LOOPBACK, Interface

__all__ = [
    "ETHERNET",
    "LOOPBACK",
    "SCHEDULERS",
    "Before",
    "CallLie",
    "Chunks",
    "Command",
    "Duplicate",
    "Fail",
    "FakeBackend",
    "FakeKernel",
    "Interface",
    "Interrupt",
    "Lie",
    "LoseAnswers",
    "Omit",
    "Refuse",
    "RequestLie",
    "SwallowAnswer",
    "Told",
]
