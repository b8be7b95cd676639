"""Fresh network namespaces for tests.

Knows: how to make one, and what tests do in it. Must not know: IPVS.
"""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING, Any

from ipvskit.netns import NetNS

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["TestNetNS"]


class TestNetNS(NetNS):
    """A namespace that vanishes with its last user, with the loopback interface up. Needs CAP_SYS_ADMIN and the program `ip`."""

    __test__ = False  # for pytest: this is no test

    def __init__(self, descriptor: int | None = None, name: str = "test") -> None:
        if descriptor is None:
            with NetNS.create() as fresh:
                descriptor = os.dup(fresh.fileno())
        super().__init__(descriptor, name)
        self.ip("link set lo up")

    @property
    def path(self) -> str:
        """A path for programs that want one, valid while this process has the namespace open."""
        return f"/proc/{os.getpid()}/fd/{self.fileno()}"

    def run(self, command: Sequence[str], **options: Any) -> subprocess.CompletedProcess[str]:
        """Run a program inside; options as for subprocess.run. Raises CalledProcessError unless `check=False` is given."""
        try:
            return super().run(command, **{"check": True} | options)
        except subprocess.CalledProcessError as error:
            error.add_note(f"it said: {error.stderr or error.stdout or 'nothing'}")
            raise

    def popen(self, command: Sequence[str], **options: Any) -> subprocess.Popen[str]:
        """Start a program inside; options as for subprocess.Popen."""
        return self._inside(lambda: subprocess.Popen(command, text=True, **options))  # noqa: S603 - the test's own command

    def ip(self, *commands: str) -> None:
        """Run commands of the program `ip`, all in one process ("link set lo up", "addr add 10.0.0.1/24 dev eth0")."""
        self.run(["ip", "-batch", "-"], input="\n".join(commands) + "\n")

    def sysctl(self, name: str, value: object) -> None:
        """Set a setting of the namespace ("net.ipv4.ip_forward")."""
        with self.open("/proc/sys/" + name.replace(".", "/"), "w") as file:
            file.write(str(value))
