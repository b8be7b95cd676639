"""The operations that `kernel.ipvs.bulk()` takes.

Knows: their public names. Must not know: anything else.
"""

from ipvskit.ipvs.operations import (
    AddReal,
    AddService,
    DeleteReal,
    DeleteService,
    Flush,
    Operation,
    ReplaceReal,
    ReplaceService,
    SetTimeouts,
    StartDaemon,
    StopDaemon,
    UpdateReal,
    UpdateService,
    Zero,
)

__all__ = [
    "AddReal",
    "AddService",
    "DeleteReal",
    "DeleteService",
    "Flush",
    "Operation",
    "ReplaceReal",
    "ReplaceService",
    "SetTimeouts",
    "StartDaemon",
    "StopDaemon",
    "UpdateReal",
    "UpdateService",
    "Zero",
]
