"""The settings of a namespace: those of IPVS, and the few others that a load balancer needs.

Knows: where the files are, and what it means when one is absent. Must not know: what a setting is for (`ipvskit.model.sysctl`).
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from ipvskit.errors import InvalidConfig, KernelError, PermissionDenied, SysctlNotAvailable
from ipvskit.model.sysctl import SYSCTLS, Sysctl, Value

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ipvskit.ipvs.backend import Backend

__all__ = ["Sysctls"]

FOLDER = "/proc/sys/net/ipv4"


class Sysctls:
    """Settings by name (`kernel.ipvs.sysctls["expire_nodest_conn"] = True`). Raises SysctlNotAvailable, PermissionDenied, InvalidConfig."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def __getitem__(self, name: str) -> Value:
        return self._read(known(name))

    def __setitem__(self, name: str, value: Value) -> None:
        text = known(name).write(value)
        try:
            with self._backend.open(f"{FOLDER}/{known(name).path}", "w") as file:
                file.write(text)
        except OSError as error:
            raise _meaning(error, "set sysctl", name, value) from None

    def get(self, name: str) -> Value | None:
        """The value, or None where this kernel does not have the setting."""
        try:
            return self._read(known(name))
        except SysctlNotAvailable:
            return None

    def all(self) -> dict[str, Value | None]:
        """Every known setting; None for those that this kernel does not have."""
        return self.several(SYSCTLS)

    def several(self, names: Iterable[str]) -> dict[str, Value | None]:
        """These settings; None for those that this kernel does not have."""
        wanted = [known(name) for name in names]
        try:
            texts = self._backend.read_all(FOLDER, [one.path for one in wanted])
        except OSError as error:
            if error.errno != errno.ENOENT:
                raise _meaning(error, "read sysctls", "*", None) from None
            texts = {}
        return {one.name: _value(one, texts.get(one.path)) for one in wanted}

    def set(self, values: Mapping[str, Value]) -> None:
        """Several at once: all are checked before the first is written."""
        for name, value in values.items():
            known(name).write(value)
        for name, value in values.items():
            self[name] = value

    def _read(self, sysctl: Sysctl) -> Value:
        try:
            with self._backend.open(f"{FOLDER}/{sysctl.path}") as file:
                return sysctl.parse(file.read())
        except OSError as error:
            raise _meaning(error, "read sysctl", sysctl.name, None) from None


def _value(sysctl: Sysctl, found: str | OSError | None) -> Value | None:
    if isinstance(found, OSError) and found.errno != errno.ENOENT:
        raise _meaning(found, "read sysctl", sysctl.name, None) from None
    return sysctl.parse(found) if isinstance(found, str) else None


def known(name: str) -> Sysctl:
    """The setting of this name. Raises InvalidConfig."""
    if name not in SYSCTLS:
        raise InvalidConfig("sysctl", name, "one of " + ", ".join(SYSCTLS))
    return SYSCTLS[name]


def _meaning(error: OSError, operation: str, name: str, value: object) -> KernelError:
    number = error.errno or errno.EIO
    key = SYSCTLS[name].full_name if name in SYSCTLS else "net.ipv4.vs"
    if number == errno.ENOENT:
        reason = "this kernel does not have it, or does not show it in this namespace"
        return SysctlNotAvailable(number, reason, operation=operation, key=key)
    if number in {errno.EACCES, errno.EPERM, errno.EROFS}:
        return PermissionDenied(
            number,
            "needs root in the namespace's user namespace, and a writable /proc/sys",
            operation=operation,
            key=key,
        )
    if number in {errno.EINVAL, errno.ERANGE}:
        return KernelError(number, f"the kernel does not take {value!r}", operation=operation, key=key)
    return KernelError(number, operation=operation, key=key)
