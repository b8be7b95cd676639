"""What commands have in common: the kernel that is meant, files, what is said where.

Knows: standard streams, files of states, the options that several commands take. Must not know: any command; anything that takes time to import.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from ipvskit.errors import InvalidConfig, InvalidState, IpvskitError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

    from ipvskit.engine.state import State
    from ipvskit.kernel import Kernel

__all__ = [
    "STDIN",
    "BadFile",
    "Refused",
    "counted",
    "kernel_of",
    "names_of",
    "netns_of",
    "read_state",
    "read_text",
    "say",
    "seconds",
    "tell",
    "write_pieces",
]

#: The name that stands for standard input.
STDIN = "-"


class Refused(IpvskitError):
    """A command does not do what it was asked for; the text says why, and what would make it do so."""


class BadFile(IpvskitError):
    """A file holds no state: its name, and all that is wrong with it."""

    def __init__(self, name: str, error: InvalidConfig) -> None:
        super().__init__(name, error)
        self.name, self.error = name, error

    def __str__(self) -> str:
        lines = str(self.error).split("\n")
        if len(lines) == 1:
            return f"{self.name}: {lines[0]}"
        count = len(self.error.faults) if isinstance(self.error, InvalidState) else len(lines)
        return "\n".join([f"{self.name}: {count} things are wrong", *(f"  {line}" for line in lines)])


# --- the kernel ---------------------------------------------------------------------------------------------------------------------


def netns_of(options: argparse.Namespace) -> str | int | None:
    """The network namespace that is named, None for that of the caller."""
    name: str | None = options.netns
    return int(name) if name is not None and name.isdigit() else name


def kernel_of(options: argparse.Namespace) -> Kernel:
    """A handle on the kernel, in the namespace that is named. Raises NamespaceNotFound."""
    from ipvskit import kernel

    return kernel.Kernel(netns_of(options))


# --- files --------------------------------------------------------------------------------------------------------------------------


def read_text(name: str) -> bytes:
    """What is in a file, or comes from standard input. Raises OSError."""
    if name != STDIN:
        from pathlib import Path

        return Path(name).read_bytes()
    buffer = getattr(sys.stdin, "buffer", None)
    return buffer.read() if buffer is not None else sys.stdin.read().encode()


def read_state(name: str) -> State:
    """The state in a file of any form; what its form cannot say is told. Raises BadFile, OSError."""
    from ipvskit.engine.state import State
    from ipvskit.formats import parse

    text, shown = read_text(name), names_of(name)
    try:
        contents, lost = parse(text)
        state = State.of(contents)
    except InvalidConfig as error:
        raise BadFile(shown, error) from None
    tell(f"{shown}: {each}" for each in lost)
    return state


def names_of(name: str) -> str:
    """What a file is called in messages."""
    return "standard input" if name == STDIN else name


def write_pieces(pieces: Iterable[str], path: str | None) -> None:
    """To standard output, or to a file, which is replaced at once and whole. Raises OSError."""
    if path is not None:
        from ipvskit.engine.files import write_whole

        write_whole(path, "".join(pieces))
        return
    for piece in pieces:
        try:
            sys.stdout.write(piece)
        except UnicodeEncodeError:
            # Comments of sets are bytes: those that are no UTF-8 go out as they are.
            sys.stdout.flush()
            sys.stdout.buffer.write(piece.encode(errors="surrogateescape"))
            sys.stdout.buffer.flush()


# --- what is said -------------------------------------------------------------------------------------------------------------------


def say(text: str) -> None:
    """A text and a line break, to standard output."""
    write_pieces([text + "\n"], None)


def tell(lines: Iterable[str]) -> None:
    """Lines that go beside the output."""
    for line in lines:
        print(f"ipvskit: {line}", file=sys.stderr)  # noqa: T201 - beside the output


def counted(counts: dict[str, int]) -> str:
    """`1 service, 2 real servers`, of names in the plural."""
    return ", ".join(
        f"{count} {_SINGLE.get(name, name.removesuffix('s')) if count == 1 else name}"
        for name, count in counts.items()
        if count
    )


_SINGLE = {"entries": "entry", "addresses": "address"}


def seconds(text: str) -> float:
    """A number of seconds, 0 or more; the type of options. Raises ValueError."""
    value = float(text)
    if not 0 <= value < float("inf"):
        raise ValueError(text)
    return value
