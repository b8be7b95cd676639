"""Loading rules with the system's own tools: iptables-save and iptables-restore, for IPv4 and IPv6.

Knows: how the programs are called, and what they say when they fail. Must not know: which rules there are and why (`iptables`).

There are two variants of the tools, with rules of their own each: what one has loaded the other neither sees nor removes. A document is loaded in one
go for each of its tables: a table has all of it or nothing of it.
"""

from __future__ import annotations

import os
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Self, get_args

from ipvskit.errors import InvalidConfig, IpvskitError, PermissionDenied
from ipvskit.kube.config import Variant
from ipvskit.kube.iptables import CHAINS, document, jumps, removal
from ipvskit.kube.iptables_text import same_rules
from ipvskit.model.address import Family
from ipvskit.netns import NetNS

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Sequence
    from types import TracebackType

    from ipvskit.kube.iptables import Removal, Rules
    from ipvskit.netns import NetNSLike

__all__ = ["Iptables", "IptablesFailed", "IptablesNotAvailable", "variant_of"]

_PROGRAMS = {Family.IPV4: "iptables", Family.IPV6: "ip6tables"}
#: Where administrators' programs are, which the PATH of a service may leave out.
_SBIN = ("/usr/local/sbin", "/usr/sbin", "/sbin")
#: The first version that waits for the lock when it restores, and whose MASQUERADE knows --random-fully.
_MODERN = (1, 6, 2)
_ATTEMPTS = 3


class IptablesFailed(IpvskitError):
    """A program ended with an error, or had to be killed.

    `status` is its exit status (None: killed, or not started), `text` what it said, `line` the line of the document it names (from 1, None where it
    names none), and `rule` what stands there. Where the kernel refuses a whole table, older tools name the line of its COMMIT.
    """

    def __init__(self, program: str, status: int | None, text: str, line: int | None = None, rule: str = "") -> None:
        super().__init__(program, status, text, line, rule)
        self.program = program
        self.status = status
        self.text = text
        self.line = line
        self.rule = rule

    def __str__(self) -> str:
        ended = f" ended with {self.status}" if self.status is not None else ""
        place = f" (line {self.line}: {self.rule})" if self.line is not None else ""
        return f"{self.program}{ended}: {self.text or 'it said nothing'}{place}"


class IptablesNotAvailable(IptablesFailed):
    """The program is not installed; `text` says what brings it."""

    def __init__(self, program: str) -> None:
        super().__init__(program, None, "there is no such program; Debian's package iptables brings it")

    def __reduce__(self) -> tuple[type[IptablesNotAvailable], tuple[str]]:
        return type(self), (self.program,)


class Iptables:
    """The tools of one family, run in one network namespace (None: the caller's own). Any thread may call.

    `variant` is "legacy", "nft" or "auto": the one in which Kubernetes has chains already, and where both or none have, the system's default, unless
    only the other one works on this kernel.
    `lock_wait` (seconds) is how long a tool waits while another one changes rules, `timeout` (seconds) how long it may take in all.
    Methods raise IptablesFailed, IptablesNotAvailable, PermissionDenied. Use it with `with`, or call `close()`.
    """

    def __init__(
        self,
        family: Family | str,
        netns: NetNSLike = None,
        *,
        variant: Variant = "auto",
        lock_wait: int = 5,
        timeout: float = 30.0,
    ) -> None:
        if variant not in get_args(Variant):
            raise InvalidConfig("variant", variant, "one of " + ", ".join(get_args(Variant)))
        if family not in tuple(Family):
            raise InvalidConfig("family", family, "one of " + ", ".join(Family))
        self.family = Family(family)
        self._netns = NetNS.of(netns)
        self._variant = variant
        self._lock_wait = lock_wait
        self._timeout = timeout
        self._stem: str | None = None
        self._version: tuple[int, ...] | None = None

    @property
    def program(self) -> str:
        """The tool's name: "iptables", "ip6tables-nft", ... With "auto" the first call looks for chains, and later ones keep to what it found."""
        if self._stem is None:
            found = self._found() if self._variant == "auto" else self._variant
            self._stem = _PROGRAMS[self.family] + (f"-{found}" if found else "")
        return self._stem

    @property
    def version(self) -> tuple[int, ...]:
        """The tool's version, as in (1, 8, 9)."""
        if self._version is None:
            said = self._output([self.program, "--version"])
            numbers = re.search(r"v(\d+(?:\.\d+)+)", said)
            if numbers is None:
                raise IptablesFailed(self.program, 0, f"{said.strip()!r} is no version")
            self._version = tuple(map(int, numbers[1].split(".")))
        return self._version

    @property
    def supports_random_fully(self) -> bool:
        """Whether MASQUERADE can choose ports at random."""
        return self.version >= _MODERN

    def save(self, table: str | None = None) -> str:
        """The rules of a table as text, which makes the kernel have the table; None: of all tables that there are, and none is made."""
        return self._output([f"{self.program}-save", *(() if table is None else ("-t", table))])

    def load(self, text: str) -> None:
        """Load a document, chains and rules that it does not name stay. An empty one does nothing."""
        if not text:
            return
        # Without it, an older one fails when it meets another one.
        wait = ["-w", str(self._lock_wait)] if self.version >= _MODERN else []
        self._output([f"{self.program}-restore", "--noflush", *wait], text)

    def missing(self, rules: Rules) -> str:
        """The document that `ensure` would load now, "" where everything is as these rules have it."""
        rules, present = self._possible(rules), self.save()
        text = document(rules, present)
        same = all(same_rules(text, present, table, chains) for table, chains in CHAINS.items())
        return "" if same and not any(_jumps(present)) else text

    def _possible(self, rules: Rules) -> Rules:
        return rules if self.supports_random_fully else replace(rules, random_fully=False)

    def ensure(self, rules: Rules) -> None:
        """Have exactly these rules in our chains, and each jump to them once, wherever it stands. What others have stays."""
        rules = self._possible(rules)
        for attempt in range(1, _ATTEMPTS + 1):
            present = self._present()
            try:
                self.load(document(rules, present))
                return
            except IptablesFailed:
                # A jump that somebody took out since it was seen fails the document; it is another document then.
                if attempt == _ATTEMPTS or _jumps(self._present()) == _jumps(present):
                    raise

    def remove(self) -> Removal:
        """Take out all that is ours in this variant; the answer's `kept` names chains that others' rules keep from going."""
        present = self.save()
        found = removal(present, present)
        self.load(found.document)
        return found

    def close(self) -> None:
        """Let go of the namespace."""
        self._netns.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Iptables({self.family.value!r}, variant={self._variant!r})"

    def _present(self) -> str:
        # Both tables are about to be used.
        return "".join(self.save(table) for table in CHAINS)

    def _found(self) -> str:
        texts: dict[str, str] = {}
        for variant in ("nft", "legacy"):
            try:
                # Of the tables that there are: one that is named would be made.
                texts[variant] = self._output([f"{_PROGRAMS[self.family]}-{variant}-save"])
            except IptablesFailed:
                # It is not installed, or this kernel has no part for it.
                texts[variant] = ""
        return variant_of(texts["nft"], texts["legacy"]) or self._working()

    def _working(self) -> str:
        """Nobody has rules yet: the system's default if the kernel has a part for it, else the other variant if that is better off."""
        default = "nft" if "nf_tables" in self._output([_PROGRAMS[self.family], "--version"]) else "legacy"
        other = "legacy" if default == "nft" else "nft"
        return other if not self._works(default) and self._works(other) else ""

    def _works(self, variant: str) -> bool:
        """Whether a rule can be made in a chain of the kernel's: asked in a namespace of its own, because tools list tables that they cannot make."""
        try:
            elsewhere = NetNS.create()
        except PermissionDenied:
            # Changing rules takes less than making a namespace: then it shows when they are changed.
            return True
        with elsewhere:
            there = Iptables(self.family, elsewhere, variant=variant, timeout=self._timeout)  # type: ignore[arg-type] # one of them
            with there:
                try:
                    there.load("*nat\n:KUBE-PROBE - [0:0]\n-A OUTPUT -j KUBE-PROBE\nCOMMIT\n")
                except IptablesFailed:
                    return False
        return True

    def _output(self, command: Sequence[str], text: str = "") -> str:
        done = self._run(command, text)
        if done.returncode != 0:
            said = _essence(done.stderr)
            raise IptablesFailed(command[0], done.returncode, said, *_place(said, text))
        return done.stdout

    def _run(self, command: Sequence[str], text: str) -> subprocess.CompletedProcess[str]:
        import subprocess
        from shutil import which

        path = os.pathsep.join([os.environ.get("PATH", os.defpath), *_SBIN])
        program = which(command[0], path=path)
        if program is None:
            raise IptablesNotAvailable(command[0])
        # Its messages are read. Comments of others' rules may be in any encoding.
        environment = os.environ | {"LC_ALL": "C", "PATH": path}
        try:
            return self._netns.run(
                [program, *command[1:]],
                input=text,
                timeout=self._timeout,
                env=environment,
                encoding="utf-8",
                errors="surrogateescape",
            )
        except subprocess.TimeoutExpired:
            why = f"it did not end within {self._timeout:g} seconds and was killed"
            raise IptablesFailed(command[0], None, why) from None


def _jumps(present: str) -> list[list[str]]:
    return [jumps(table, present) for table in CHAINS]


#: Chains that the kubelet makes so that others find the variant.
_HINTS = r"^:KUBE-(?:IPTABLES-HINT|KUBELET-CANARY) "
_ANY = r"^:KUBE-(?!IPTABLES-HINT |KUBELET-CANARY )"


def variant_of(nft: str, legacy: str) -> str:
    """Which variant Kubernetes uses, by what both save: "nft", "legacy", or "" where that does not show."""
    for pattern in (_HINTS, _ANY):
        in_nft, in_legacy = (bool(re.search(pattern, text, re.MULTILINE)) for text in (nft, legacy))
        if in_nft != in_legacy:
            return "nft" if in_nft else "legacy"
    return ""


def _essence(said: str) -> str:
    """What a tool said, in one line, without its advice to read the manual."""
    lines = (line.strip() for line in said.splitlines())
    return " ".join(line for line in lines if line and not line.startswith("Try `"))


def _place(said: str, text: str) -> tuple[int | None, str]:
    """The line of the document that a message names, and what stands there."""
    found = re.search(r"\bline:? (\d+)", said)
    lines = text.splitlines()
    if found is None or not 1 <= int(found[1]) <= len(lines):
        return None, ""
    return int(found[1]), lines[int(found[1]) - 1]
