"""`ipvskit save`: the present state, as a file that `ipvskit apply` takes.

    ipvskit save -o state.json
    ipvskit save --format ipset > /etc/ipset.conf
    ipvskit save services sets --format yaml

Knows: which parts there are, and which of them a form holds. Must not know: how anything is written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ipvskit.cli.common import Refused, kernel_of, tell
from ipvskit.cli.main import DONE
from ipvskit.cli.progress import Progress
from ipvskit.cli.writing import configure_writing, format_of, write_contents

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from ipvskit.formats import Contents
    from ipvskit.kernel import Kernel
    from ipvskit.model.device import Device

__all__ = ["configure", "run"]

PARTS = ("services", "sets", "devices", "settings", "daemons")
#: What is saved where no part is named.
_HELD = {"ipvsadm": ("services",), "ipset": ("sets",)}


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "parts", nargs="*", metavar="PART",
        help="services, sets, devices, settings (timeouts too), daemons (default: all that the format holds; of devices only dummies)",
    )  # fmt: skip
    configure_writing(parser)


def run(options: argparse.Namespace) -> int:
    """Write it; returns the exit status."""
    from ipvskit.errors import NotSupported
    from ipvskit.formats import Contents

    unknown = [part for part in options.parts if part not in PARTS]
    if unknown:
        raise Refused(f"there is nothing named {unknown[0]}, but " + ", ".join(PARTS))
    parts = tuple(options.parts) or _HELD.get(format_of(options), PARTS)
    contents = Contents()
    with kernel_of(options) as kernel, Progress("reading"):
        for part in PARTS:
            if part not in parts:
                continue
            try:
                _READERS[part](kernel, contents)
            except NotSupported as error:
                if len(parts) < len(PARTS):
                    raise
                if part in {"services", "sets"}:
                    tell([str(error)])
    if not options.parts:
        contents.devices = [_own(device) for device in contents.devices if device.kind == "dummy"]
    write_contents(contents, options)
    return DONE


def _own(device: Device) -> Device:
    """Without the link-local addresses that the kernel gave it."""
    return device.replace(addresses=[one for one in device.addresses if not one.is_link_local])


def _services(kernel: Kernel, contents: Contents) -> None:
    contents.services = list(kernel.ipvs.held().values())


def _sets(kernel: Kernel, contents: Contents) -> None:
    contents.sets = [each for each, _ in kernel.ipset.held()]


def _devices(kernel: Kernel, contents: Contents) -> None:
    contents.devices = kernel.devices.all()


def _settings(kernel: Kernel, contents: Contents) -> None:
    from ipvskit.model.sysctl import SYSCTLS

    found = kernel.ipvs.sysctls.all()
    contents.sysctls = {name: value for name, value in found.items() if value is not None and SYSCTLS[name].is_ipvs}
    contents.timeouts = kernel.ipvs.timeouts()


def _daemons(kernel: Kernel, contents: Contents) -> None:
    contents.daemons = kernel.ipvs.daemons()


_READERS: dict[str, Callable[[Kernel, Contents], Any]] = {
    "services": _services,
    "sets": _sets,
    "devices": _devices,
    "settings": _settings,
    "daemons": _daemons,
}
