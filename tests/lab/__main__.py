"""The lab's command line: run a command in a guest, on one kernel or on each.

    python -m tests.lab run  [--kernel 7.2|sid|auto] [--timeout S] [--memory 2G] -- COMMAND...
    python -m tests.lab each [--kernels 5.10,6.1,6.12,7.2] [--jobs 2] -- COMMAND...
    python -m tests.lab fetch [--kernel NAME] [--refresh]
    python -m tests.lab list

``run`` ends with the command's own exit status; 125 is the lab's own trouble, one line says which.
Knows: options, environment, exit statuses. Must not know: apt, guests' insides.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from typing import TYPE_CHECKING

from tests.lab import each, guest, host, kernels
from tests.lab.each import TROUBLE
from tests.lab.errors import KernelUnavailableError, LabError
from tests.lab.guest import Result, Streams
from tests.lab.kernels import PACKAGED, Kernel

if TYPE_CHECKING:
    import threading
    from collections.abc import Mapping, Sequence
    from types import FrameType

# These name places of the host that the guest does not have.
_NOT_INHERITED = ("TMPDIR", "TEMP", "TMP", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS")

_ROOTS_FOLDERS = ("/usr/local/sbin", "/usr/sbin", "/sbin")


def main(arguments: Sequence[str] | None = None) -> int:
    words = list(sys.argv[1:] if arguments is None else arguments)
    options, command = split_command(words)
    chosen = _parser().parse_args(options)
    signal.signal(signal.SIGTERM, _on_sigterm)
    try:
        if chosen.action in ("run", "each") and not command:
            raise LabError("no command was given: put it after '--'")
        return _ACTIONS[chosen.action](chosen, command)
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return TROUBLE
    except BrokenPipeError:
        # Whoever read the output is gone; Python must not try to write the rest at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def split_command(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Part the lab's own options from the command after the first '--'."""
    if "--" not in words:
        return list(words), []
    at = list(words).index("--")
    return list(words[:at]), list(words[at + 1 :])


def environment(host: Mapping[str, str], settings: Sequence[str]) -> dict[str, str]:
    """Make the command's environment: the host's, without its places, with what --env says."""
    found = {name: value for name, value in host.items() if name not in _NOT_INHERITED}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals or not name:
            raise LabError(f"--env takes NAME=VALUE, not {setting!r}")
        found[name] = value
    # An ordinary user's PATH lacks them, and in the guest everybody is root.
    folders = found.get("PATH", os.defpath).split(os.pathsep)
    missing = [folder for folder in _ROOTS_FOLDERS if folder not in folders]
    found["PATH"] = os.pathsep.join([*folders, *missing])
    return found


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.lab", description="the kernel lab")
    actions = parser.add_subparsers(dest="action", required=True)
    run = actions.add_parser("run", help="run a command in a guest", usage=_usage("run"))
    run.add_argument("--kernel", default="auto", help="series, suite, 'installed' or 'auto'")
    many = actions.add_parser("each", help="run a command on each kernel", usage=_usage("each"))
    default = ",".join(packaged.name for packaged in PACKAGED)
    many.add_argument("--kernels", default=default, help=f"comma between (default {default})")
    many.add_argument("--jobs", type=_at_least_one, default=2, help="guests at once (default 2)")
    many.add_argument("--strict", action="store_true", help="a kernel not to be had is a failure")
    for action in (run, many):
        action.add_argument("--timeout", type=float, default=600.0, help="seconds (default 600)")
        action.add_argument("--memory", default="2G", help="the guest's memory (default 2G)")
        action.add_argument("--env", action="append", default=[], metavar="NAME=VALUE")
    fetch = actions.add_parser("fetch", help="bring kernels into the cache")
    fetch.add_argument("--kernel", action="append", help="series or suite (default all)")
    fetch.add_argument("--refresh", action="store_true", help="even if it is in the cache")
    actions.add_parser("list", help="the kernels and what the cache has")
    return parser


def _usage(action: str) -> str:
    return f"python -m tests.lab {action} [options] -- COMMAND..."


def _at_least_one(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


def _run(chosen: argparse.Namespace, command: list[str]) -> int:
    env = environment(os.environ, chosen.env)
    host.check_memory(chosen.memory)
    kernel = kernels.pick(chosen.kernel)
    sys.stdout.flush()
    result = guest.run(
        command,
        kernel=kernel,
        cwd=os.getcwd(),
        env=env,
        timeout=chosen.timeout,
        memory=chosen.memory,
        streams=Streams(sys.stdout.fileno(), sys.stderr.fileno()),
    )
    return result.exit_status


def _each(chosen: argparse.Namespace, command: list[str]) -> int:
    env = environment(os.environ, chosen.env)
    host.check_memory(chosen.memory)
    # The same kernel named twice is run once.
    names = list(dict.fromkeys(name for name in chosen.kernels.split(",") if name))
    for name in names:
        if name not in ("auto", kernels.INSTALLED):
            kernels.find(name)

    def runner(kernel: Kernel, stop: threading.Event) -> Result:
        return guest.run(
            command,
            kernel=kernel,
            cwd=os.getcwd(),
            env=env,
            timeout=chosen.timeout,
            memory=chosen.memory,
            stop=stop,
        )

    outcomes = each.run_each(names, runner, chosen.jobs)
    print(each.table(outcomes), flush=True)
    return each.exit_status(outcomes, strict=chosen.strict)


def _fetch(chosen: argparse.Namespace, _command: list[str]) -> int:
    status = 0
    for name in chosen.kernel or [packaged.name for packaged in PACKAGED]:
        try:
            kernel = kernels.fetch(kernels.find(name).suite, refresh=chosen.refresh)
            print(f"{name}: {kernel.version} (package {kernel.package}, {kernel.suite})")
        except KernelUnavailableError as error:
            print(f"lab: {error}", file=sys.stderr)
            status = TROUBLE
    return status


def _list(_chosen: argparse.Namespace, _command: list[str]) -> int:
    print(f"cache: {kernels.cache_root()}")
    for packaged in PACKAGED:
        kernel = kernels.cached(packaged.suite)
        state = "not cached" if kernel is None else f"{kernel.version}, package {kernel.package}"
        print(f"{packaged.name:<10}{packaged.suite:<10}{state}")
    own = kernels.installed()
    print(f"{kernels.INSTALLED:<20}{'none' if own is None else own.version}")
    return 0


_ACTIONS = {"run": _run, "each": _each, "fetch": _fetch, "list": _list}


def _on_sigterm(number: int, frame: FrameType | None) -> None:
    # As an exception it passes through the clean-up; by default Python would just end.
    raise SystemExit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
